/* SPDX-License-Identifier: MIT */
/*
 * Where bytes come from: every format in every compression, from memory, a file, standard input as
 * a file and as a pipe; rewinding each; and input that is cut short or damaged.
 */
#include <sys/stat.h>

#include "trace/input.h"
#include "trace_test.h"

#define RECORDS 20000 /* enough to fill the reader's window more than once */

/* ---- one sample of each format ----------------------------------------------------------------
 */

static void sample_tracegen(struct bytes *b)
{
	uint32_t *records = malloc(RECORDS * 4 * sizeof(*records));
	uint64_t seed = 1;

	for (size_t i = 0; i < RECORDS * 4; i++) {
		uint64_t r = test_random(&seed);

		records[i] = (uint32_t)(r % 1000) | (r & 0x10000 ? 1u << 31 : 0) |
			     (r & 0x20000 ? 1u << 30 : 0);
	}
	put_tracegen(b, 1000, 1000, records, RECORDS * 4);
	put_zeros(b, 65536 - b->size % 65536);
	free(records);
}

static void sample_oracle(struct bytes *b)
{
	uint64_t seed = 2;

	for (size_t i = 0; i < RECORDS; i++) {
		put_le(b, i / 10, 4);
		put_le(b, test_random(&seed) % 5000 * 0x9e3779b97f4a7c15ull, 8);
		put_le(b, test_random(&seed) % 20000, 4);
		put_le(b, ~0ull, 8);
	}
}

static void sample_vscsi(struct bytes *b)
{
	uint64_t seed = 3;

	for (size_t i = 0; i < RECORDS; i++) {
		put_le(b, i, 4);
		put_le(b, 512 * (1 + test_random(&seed) % 100), 4);
		put_le(b, 1, 4);
		put_le(b, test_random(&seed) & 1 ? 0x28 : 0x2a, 2);
		put_le(b, 0x100, 2);
		put_le(b, test_random(&seed), 8);
		put_le(b, i * 1000, 8);
	}
}

static void sample_csv(struct bytes *b)
{
	uint64_t seed = 4;

	put_text(b, "version,time,op,size,lbn\n");
	for (size_t i = 0; i < RECORDS; i++)
		put_text(b, "1,%zu,%s,%u,%u\n", i, test_random(&seed) & 1 ? "28" : "2a",
			 (unsigned int)(test_random(&seed) % 9000),
			 (unsigned int)test_random(&seed));
}

static void sample_address(struct bytes *b)
{
	uint64_t seed = 5;

	for (size_t i = 0; i < RECORDS; i++)
		put_text(b, "%c 0x%llx %zu\n", test_random(&seed) & 1 ? 'l' : 's',
			 (unsigned long long)test_random(&seed) << 17, i % 9);
}

static void sample_lackey(struct bytes *b)
{
	static const char *const kinds[] = {"I ", " L", " S", " M"};
	uint64_t seed = 6;

	put_text(b, "==1== Lackey\n");
	for (size_t i = 0; i < RECORDS; i++)
		put_text(b, "%s %08llx,%u\n", kinds[test_random(&seed) % 4],
			 (unsigned long long)test_random(&seed), 1u << i % 4);
}

static void sample_blocks(struct bytes *b)
{
	uint64_t seed = 7;

	for (size_t i = 0; i < RECORDS; i++)
		put_text(b, "%llu\n", (unsigned long long)test_random(&seed));
}

static const struct sample {
	const char *format;
	void (*make)(struct bytes *);
} samples[] = {
	{"tracegen", sample_tracegen}, {"oracleGeneral", sample_oracle}, {"vscsi", sample_vscsi},
	{"csv", sample_csv},	       {"address", sample_address},	 {"lackey", sample_lackey},
	{"blocks", sample_blocks},
};

#define NR_SAMPLES (sizeof(samples) / sizeof(samples[0]))

/* ---- reading them ------------------------------------------------------------------------- */

static struct rcl_trace *open_ok(const char *path, const char *format)
{
	struct rcl_error err;
	struct rcl_trace *t;

	if (rcl_trace_open(path, format, &t, &err))
		fail_msg("%s", err.text);
	return t;
}

/* Read all, rewind in the middle and at the end, and find the same each time. */
static void check_trace(struct rcl_trace *t, const struct sample *s, enum compression c,
			const struct accesses *expected)
{
	struct rcl_access some[100];
	struct rcl_error err;
	struct accesses a;

	assert_string_equal(rcl_trace_format(t), s->format);
	assert_string_equal(rcl_trace_compression(t), compression_names[c]);
	assert_int_equal(rcl_trace_next(t, some, 100, &err), 100);
	if (rcl_trace_rewind(t, &err))
		fail_msg("%s", err.text);
	for (int k = 0; k < 2; k++) {
		a = read_on(t, 5000);
		assert_same_accesses(&a, expected);
		accesses_free(&a);
		assert_int_equal(rcl_trace_rewind(t, &err), 0);
	}
	rcl_trace_close(t);
}

static void from_file(const struct sample *s, const struct bytes *b, enum compression c,
		      const struct accesses *expected)
{
	char *path = temp_file(b);
	int before;

	check_trace(open_ok(path, NULL), s, c, expected);
	check_trace(open_ok(path, s->format), s, c, expected);
	before = stdin_from(open(path, O_RDONLY));
	check_trace(open_ok("-", NULL), s, c, expected);
	stdin_restore(before);
	temp_remove(path);
}

static void from_pipe(const struct sample *s, const struct bytes *b, enum compression c,
		      const struct accesses *expected, size_t piece)
{
	pid_t child;
	int before = stdin_from(pipe_of(b, piece, &child)), status;

	check_trace(open_ok("-", NULL), s, c, expected);
	stdin_restore(before);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void every_format_and_compression(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SAMPLES; i++) {
		struct bytes plain = {0};
		struct accesses expected;

		samples[i].make(&plain);
		expected = read_memory(&plain, samples[i].format, 777);
		assert_int_equal(expected.error, 0);
		assert_true(expected.count >= RECORDS / 2);
		for (enum compression c = 0; c < NR_COMPRESSIONS; c++) {
			struct bytes b = compressed(&plain, c);
			struct accesses a = read_memory(&b, NULL, 10000);

			assert_same_accesses(&a, &expected);
			accesses_free(&a);
			from_file(&samples[i], &b, c, &expected);
			from_pipe(&samples[i], &b, c, &expected, 65536);
			from_pipe(&samples[i], &b, c, &expected, 3001);
			bytes_free(&b);
		}
		accesses_free(&expected);
		bytes_free(&plain);
	}
}

/* Standard input that another program has read a part of begins where that stopped. */
static void standard_input_is_taken_where_it_stands(void **state)
{
	struct bytes b = {0};
	struct accesses a;
	struct rcl_trace *t;
	char *path;
	int before, fd;

	(void)state;
	put_text(&b, "not for us\n1\n2\n3\n");
	path = temp_file(&b);
	fd = open(path, O_RDONLY);
	assert_int_equal(lseek(fd, 11, SEEK_SET), 11);
	before = stdin_from(fd);
	t = open_ok("-", NULL);
	for (int k = 0; k < 2; k++) {
		a = read_on(t, 10);
		assert_int_equal(a.error, 0);
		assert_int_equal(a.count, 3);
		accesses_free(&a);
		assert_int_equal(rcl_trace_rewind(t, NULL), 0);
	}
	rcl_trace_close(t);
	stdin_restore(before);
	temp_remove(path);
	bytes_free(&b);
}

/* Several members or frames in one file are one trace, as `cat a.gz b.gz` has it. */
static void concatenated(void **state)
{
	(void)state;
	for (enum compression c = GZIP; c < NR_COMPRESSIONS; c++) {
		struct bytes one = {0}, all = {0}, packed;
		struct accesses a;

		put_text(&one, "1\n2\n");
		packed = compressed(&one, c);
		for (int k = 0; k < 3; k++)
			put(&all, packed.at, packed.size);
		a = read_memory(&all, NULL, 100);
		assert_int_equal(a.error, 0);
		assert_int_equal(a.count, 6);
		accesses_free(&a);
		bytes_free(&packed);
		bytes_free(&all);
		bytes_free(&one);
	}
}

/* ---- what is wrong ------------------------------------------------------------------------ */

static void cut_short(void **state)
{
	(void)state;
	for (enum compression c = GZIP; c < NR_COMPRESSIONS; c++) {
		struct bytes plain = {0}, b;
		struct accesses a;
		char says[64];

		sample_blocks(&plain);
		b = compressed(&plain, c);
		snprintf(says, sizeof(says), "truncated: the %s data breaks off",
			 compression_names[c]);
		for (size_t cut = 1; cut < b.size; cut += 1 + b.size / 50) {
			b.size -= cut;
			a = read_memory(&b, "blocks", 5000);
			/* Below the magic it is no compressed file at all. */
			if (b.size > 64) {
				assert_int_equal(a.error, -EBADMSG);
				assert_says(&a.text, says);
			}
			assert_true(a.count <= RECORDS); /* the checksum at the end may be cut */
			accesses_free(&a);
			b.size += cut;
		}
		bytes_free(&b);
		bytes_free(&plain);
	}
}

static void damaged(void **state)
{
	(void)state;
	for (enum compression c = GZIP; c < NR_COMPRESSIONS; c++) {
		struct bytes plain = {0}, b;
		char says[64];
		struct accesses a;

		sample_blocks(&plain);
		b = compressed(&plain, c);
		for (size_t i = 0; i < 16; i++)
			b.at[b.size / 2 + i] ^= 0x5a;
		a = read_memory(&b, "blocks", 5000);
		assert_int_equal(a.error, -EBADMSG);
		/* Damage is noticed by the decoder, or earlier because the text is none. */
		if (!strstr(a.text.text, "not a block number")) {
			snprintf(says, sizeof(says), "sample: the %s data is bad near byte ",
				 compression_names[c]);
			assert_says(&a.text, says);
		}
		accesses_free(&a);
		bytes_free(&b);

		b = compressed(&plain, c);
		put(&b, "this is not compressed at all", 29);
		a = read_memory(&b, "blocks", 5000);
		assert_int_equal(a.error, -EBADMSG);
		assert_int_equal(a.count, RECORDS);
		accesses_free(&a);
		bytes_free(&b);
		bytes_free(&plain);
	}
}

static void compressed_nothing(void **state)
{
	(void)state;
	for (enum compression c = PLAIN; c < NR_COMPRESSIONS; c++) {
		struct bytes nothing = {.at = malloc(1)}, b = compressed(&nothing, c);

		assert_fails(&b, NULL, -ENODATA, 0, "sample: the trace is empty (0 bytes)");
		bytes_free(&b);
		bytes_free(&nothing);
	}
}

static void unreadable(void **state)
{
	struct rcl_error err;
	struct rcl_trace *t;
	char dir[TEST_FOLDER_SIZE], path[TEST_PATH_SIZE];

	(void)state;
	assert_true(test_folder_make(dir));
	assert_int_equal(rcl_trace_open(dir, NULL, &t, &err), -EISDIR);
	assert_null(t);
	assert_says(&err, "cannot read at byte 0: Is a directory");
	snprintf(path, sizeof(path), "%s/absent", dir);
	assert_int_equal(rcl_trace_open(path, NULL, &t, &err), -ENOENT);
	assert_says(&err, path);
	assert_says(&err, "cannot open: No such file or directory");
	rmdir(dir);
}

/* A file that shrinks while it is read is an error, not a signal. */
static void shrinking_file(void **state)
{
	struct rcl_access some[10];
	struct bytes b = {0};
	struct rcl_trace *t;
	struct accesses a;
	char *path;

	(void)state;
	sample_tracegen(&b);
	path = temp_file(&b);
	t = open_ok(path, NULL);
	assert_int_equal(rcl_trace_next(t, some, 10, NULL), 10);
	assert_int_equal(truncate(path, 300000), 0);
	a = read_on(t, 1000);
	assert_int_equal(a.error, -EBADMSG);
	assert_says(&a.text, "truncated at byte 300000: 6024 of 80000 records are missing");
	assert_int_equal(a.count + 10, (300000 - 4096) / 4);
	accesses_free(&a);
	rcl_trace_close(t);
	temp_remove(path);
	bytes_free(&b);
}

/* The fault is reported again until a rewind, which then finds it again. */
static void faults_stay(void **state)
{
	const char *text = "1\n2\nx\n4\n";
	struct rcl_access some[10];
	struct rcl_error err;
	struct rcl_trace *t;

	(void)state;
	assert_int_equal(rcl_trace_open_memory(text, strlen(text), "sample", NULL, &t, &err), 0);
	for (int k = 0; k < 2; k++) {
		assert_int_equal(rcl_trace_next(t, some, 10, &err), 2);
		for (int again = 0; again < 3; again++) {
			err.text[0] = '\0';
			assert_int_equal(rcl_trace_next(t, some, 10, &err), -EBADMSG);
			assert_says(&err, "line 3: not a block number: 'x'");
		}
		assert_int_equal(rcl_trace_rewind(t, &err), 0);
	}
	rcl_trace_close(t);
}

/* A pipe that was not spooled, as rcl_trace_load opens it, says so when asked to rewind. */
static void unspooled_pipe(void **state)
{
	struct bytes b = {0};
	struct rcl_input in;
	struct rcl_error err;
	pid_t child;
	int before;

	(void)state;
	put_text(&b, "1\n2\n");
	before = stdin_from(pipe_of(&b, 10, &child));
	assert_int_equal(rcl_input_open(&in, "-", false, &err), 0);
	assert_int_equal(rcl_input_rewind(&in, &err), -ESPIPE);
	assert_says(&err, "standard input: cannot rewind this kind of input");
	rcl_input_close(&in);
	stdin_restore(before);
	waitpid(child, NULL, 0);
	bytes_free(&b);
}

/* Without a place for the spool, reading goes on and rewinding explains itself. */
static void spool_fails(void **state)
{
	const char *tmpdir = getenv("TMPDIR");
	char *saved = tmpdir ? strdup(tmpdir) : NULL;
	struct bytes b = {0};
	struct rcl_error err;
	struct rcl_trace *t;
	struct accesses a;
	pid_t child;
	int before;

	(void)state;
	put_text(&b, "1\n2\n");
	before = stdin_from(pipe_of(&b, 10, &child));
	setenv("TMPDIR", "/nonexistent/place", 1);
	t = open_ok("-", NULL);
	a = read_on(t, 10);
	assert_int_equal(a.error, 0);
	assert_int_equal(a.count, 2);
	accesses_free(&a);
	assert_int_equal(rcl_trace_rewind(t, &err), -ESPIPE);
	assert_says(&err, "keeping a copy failed: No such file or directory");
	rcl_trace_close(t);
	if (saved)
		setenv("TMPDIR", saved, 1);
	else
		unsetenv("TMPDIR");
	free(saved);
	stdin_restore(before);
	waitpid(child, NULL, 0);
	bytes_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_format_and_compression),
		cmocka_unit_test(standard_input_is_taken_where_it_stands),
		cmocka_unit_test(concatenated),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(damaged),
		cmocka_unit_test(compressed_nothing),
		cmocka_unit_test(unreadable),
		cmocka_unit_test(shrinking_file),
		cmocka_unit_test(faults_stay),
		cmocka_unit_test(unspooled_pipe),
		cmocka_unit_test(spool_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
