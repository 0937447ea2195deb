/* SPDX-License-Identifier: MIT */
/*
 * The generator: the bytes it writes, the language it reads, and what it says of mistakes.
 *
 * The checksums are FNV-1a of the files that the specification language's first implementation
 * wrote, so that a recording made with one is comparable with a run on the other.
 */
#include <locale.h>
#include <sys/stat.h>

#include "trace/gen.h"
#include "trace_test.h"

static uint64_t file_sum(const char *path, uint64_t *size)
{
	uint64_t h = 0xcbf29ce484222325ull;
	FILE *f = fopen(path, "rb");
	int c;

	assert_non_null(f);
	*size = 0;
	while ((c = getc_unlocked(f)) != EOF) {
		h = (h ^ (uint8_t)c) * 0x100000001b3ull;
		++*size;
	}
	fclose(f);
	return h;
}

static void check_sum(const char *spec, uint64_t size, uint64_t sum)
{
	char *out = temp_file(NULL);
	struct rcl_error err;
	uint64_t got_size, got;

	if (rcl_gen(spec, out, &err))
		fail_msg("%s", err.text);
	got = file_sum(out, &got_size);
	if (got_size != size || got != sum)
		fail_msg("%s: %llu bytes, 0x%016llx", spec, (unsigned long long)got_size,
			 (unsigned long long)got);
	temp_remove(out);
}

static void the_fidelity_specifications(void **state)
{
	static const struct {
		const char *name;
		uint64_t size, sum;
	} specs[] = {
		{"anon-uniform", 1114112, 0x9774a0bccbd8ef74ull},
		{"anon-zipf", 2949120, 0xf728039022749888ull},
		{"dirty-pwrite", 1245184, 0x3afd11db4da0c9a8ull},
		{"mixed", 2490368, 0xecbac5236fd624e5ull},
		{"mmap-zipf", 2424832, 0xf0d9f9aa9ec7ff00ull},
		{"phases", 2097152, 0xf650b801d2a962e2ull},
		{"pread-loop", 983040, 0x2ffc6f8d22d417c2ull},
		{"pread-zipf", 2424832, 0x893455f551fbdad7ull},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		char path[512];

		snprintf(path, sizeof(path), RCL_TESTS_DIR "/fidelity/specs/%s.spec",
			 specs[i].name);
		check_sum(path, specs[i].size, specs[i].sum);
	}
}

static void check_text_sum(const char *text, uint64_t size, uint64_t sum)
{
	struct bytes b = {0};
	char *path;

	put(&b, text, strlen(text));
	path = temp_file(&b);
	check_sum(path, size, sum);
	temp_remove(path);
	bytes_free(&b);
}

static const char lenient[] = "  # every leniency of the language\n"
			      "seed -1\n"
			      "anon 64\n"
			      " file\t100   # pages\n"
			      "phase 0\n"
			      "stream 1 pread zipf 1 0\n"
			      "phase500\n"
			      "stream .5e0 anon scan 2.9 1e-1 5 +60\n"
			      "stream 0x1p-2 mmap zipf 0 1\n"
			      "stream 1 pread uniform -3 .5 10 20 # the rest\n"
			      "phase 100\n"
			      "stream 0 anon zipf -1 0.5\n"
			      "stream 0 mmap scan 0 0 99 100\n"
			      "anon 65\n";

static void the_language(void **state)
{
	(void)state;
	check_text_sum(lenient, 65536, 0xfc26ca59d18a1a7full);
}

/* A comma as the decimal point elsewhere must not change what a specification says. */
static void the_locale_does_not_matter(void **state)
{
	(void)state;
	if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
		skip();
	check_text_sum(lenient, 65536, 0xfc26ca59d18a1a7full);
	setlocale(LC_ALL, "C");
}

/* In memory and through a file, the same image. */
static void image_is_the_file(void **state)
{
	const char text[] = "seed 3\nanon 300\nfile 500\nphase 200000\n"
			    "stream .3 anon zipf .9 .3\nstream .3 mmap uniform 0 .1\n"
			    "stream 1 pread scan 3 .2 100 400\n";
	struct rcl_trace_image *a, *b;
	struct bytes spec = {0};
	char *in, *out = temp_file(NULL);
	struct rcl_error err;

	(void)state;
	put(&spec, text, strlen(text));
	in = temp_file(&spec);
	if (rcl_gen_image(text, strlen(text), "spec", &a, &err))
		fail_msg("%s", err.text);
	if (rcl_gen(in, out, &err))
		fail_msg("%s", err.text);
	assert_int_equal(rcl_trace_load(out, "tracegen", &b, &err), 0);
	assert_int_equal(a->count, 200000);
	assert_int_equal(b->count, 200000);
	assert_memory_equal(a->words, b->words, a->count * sizeof(uint64_t));
	assert_memory_equal(&a->summary, &b->summary, sizeof(a->summary));
	assert_int_equal(a->nr_regions, 2);
	assert_memory_equal(a->regions, b->regions, 2 * sizeof(a->regions[0]));
	assert_string_equal(a->format, "tracegen");
	rcl_trace_image_free(a);
	rcl_trace_image_free(b);
	temp_remove(in);
	temp_remove(out);
	bytes_free(&spec);
}

static void through_pipes(void **state)
{
	const char text[] = "anon 10\nphase 20\nstream 1 anon scan 1 0\n";
	struct bytes spec = {0};
	struct rcl_trace_image *image;
	struct rcl_error err;
	pid_t child, gen;
	int before, ends[2];

	(void)state;
	put(&spec, text, strlen(text));
	assert_int_equal(pipe(ends), 0);
	gen = fork();
	if (!gen) {
		/* Specification from a pipe, trace into a pipe. */
		stdin_from(pipe_of(&spec, 7, &child));
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		_exit(rcl_gen("-", "-", NULL) != 0);
	}
	close(ends[1]);
	before = stdin_from(ends[0]);
	if (rcl_trace_load("-", NULL, &image, &err))
		fail_msg("%s", err.text);
	assert_int_equal(image->count, 20);
	assert_int_equal(rcl_trace_image_get(image, 13).page, 3);
	rcl_trace_image_free(image);
	stdin_restore(before);
	waitpid(gen, NULL, 0);
	bytes_free(&spec);
}

static void mistakes(void **state)
{
#define TOP "anon 100\nfile 100\n"
	static const struct {
		const char *spec;
		int code;
		const char *says;
	} wrong[] = {
		{"", -ENODATA, "spec: the specification makes no access"},
		{"seed 1\nanon 10\n", -ENODATA, "makes no access"},
		{TOP "phase 0\nstream 1 anon scan 1 0\n", -ENODATA, "makes no access"},
		{"speed 1\n", -EINVAL,
		 "spec: line 1: not seed, anon, file, phase or stream: 'speed 1'"},
		{"seed\n", -EINVAL, "line 1: seed needs a number: 'seed'"},
		{"seed x\n", -EINVAL, "line 1: seed needs a number"},
		{"\n# x\nseed 1 2\n", -EINVAL, "line 3: more than a number after seed: 'seed 1 2'"},
		{"anon 1.5\n", -EINVAL, "line 1: more than a number after anon"},
		{"anon 0x10\n", -EINVAL, "line 1: more than a number after anon"},
		{"seed 99999999999999999999\n", -EINVAL,
		 "line 1: seed: the number exceeds 64 bits"},
		{"anon -1\n", -EINVAL, "anon: 18446744073709551615 pages are more than a trace"},
		{"file 268435457\n", -EINVAL, "file: 268435457 pages are more than a trace"},
		{TOP "phase 999999999999999\n", -EINVAL, "phase: 999999999999999 accesses are too"},
		{TOP "stream 1 anon scan 1 0\n", -EINVAL, "line 3: a stream has to follow a phase"},
		{TOP "phase 5\n", -EINVAL, "line 3: a phase of 5 accesses has no stream"},
		{TOP "phase 5\nphase 6\nstream 1 anon scan 1 0\n", -EINVAL, "line 3: a phase of 5"},
		{TOP "phase 5\nseed 3\n", -EINVAL, "line 4: seed has to stand before"},
		{TOP "phase 5\nstream 1 anon scan 1\n", -EINVAL,
		 "line 4: stream needs P KIND PATTERN"},
		{TOP "phase 5\nstream x anon scan 1 0\n", -EINVAL, "line 4: stream needs P KIND"},
		{TOP "phase 5\nstream 1 anno scan 1 0\n", -EINVAL, "line 4: unknown kind 'anno'"},
		{TOP "phase 5\nstream 1 anon scam 1 0\n", -EINVAL,
		 "line 4: unknown pattern 'scam'"},
		{TOP "phase 5\nstream 1 anon scan 1 0 5\n", -EINVAL, "line 4: not a page range"},
		{TOP "phase 5\nstream 1 anon scan 1 0 5 x\n", -EINVAL, "line 4: not a page range"},
		{TOP "phase 5\nstream 1 anon scan 1 0 5 9 3\n", -EINVAL,
		 "line 4: not a page range"},
		{TOP "phase 5\nstream 1 anon scan 1 0 5 5\n", -EINVAL, "the range 5 5 has no page"},
		{TOP "phase 5\nstream 1 anon scan 1 0 0 101\n", -EINVAL,
		 "line 4: the range ends at 101, but anon has 100 pages"},
		{TOP "phase 5\nstream 1 mmap scan 1 0\nfile 99\n", -EINVAL,
		 "line 4: the range ends at 100, but file has 99 pages"},
		{"anon 9\nphase 5\nstream 1 pread scan 1 0\n", -EINVAL,
		 "the range 0 0 has no page"},
		{TOP "phase 5\nstream 1 anon scan 1 0 0 99999999999\n", -EINVAL,
		 "beyond what a trace"},
		{TOP "phase 5\nstream 60 anon scan 1 0\n", -EINVAL,
		 "the share 60 is not between 0 and 1"},
		{TOP "phase 5\nstream nan anon scan 1 0\n", -EINVAL,
		 "the share nan is not between"},
		{TOP "phase 5\nstream -.1 anon scan 1 0\n", -EINVAL,
		 "the share -0.1 is not between"},
		{TOP "phase 5\nstream 1 anon scan 1 1.5\n", -EINVAL,
		 "the share of writes 1.5 is not"},
		{TOP "phase 5\nstream 1 anon scan -1 0\n", -EINVAL, "the stride -1 is not one"},
		{TOP "phase 5\nstream 1 anon scan 9e18 0\n", -EINVAL,
		 "the stride 9e+18 is not one"},
		{TOP "phase 5\nstream 1 anon zipf inf 0\n", -EINVAL,
		 "the argument inf is not a number"},
		{TOP "phase 5\nstream 1 anon zipf 1e999 0\n", -EINVAL, "a number is out of range"},
		{TOP "phase 5\nstream 1 anon zipf -999 0\n", -EINVAL,
		 "line 4: theta -999 is too far"},
		{TOP "phase 5\nstream .6 anon scan 1 0\nstream .6 anon scan 1 0\nstream 1 anon "
		     "scan 1 0\n",
		 -EINVAL, "line 6: the shares before this stream add up to 1.2"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct rcl_trace_image *image;
		struct rcl_error err = {""};
		int rc = rcl_gen_image(wrong[i].spec, strlen(wrong[i].spec), "spec", &image, &err);

		if (rc != wrong[i].code)
			fail_msg("'%s': %d '%s'", wrong[i].spec, rc, err.text);
		assert_says(&err, wrong[i].says);
		assert_null(image);
	}
}

static void long_and_strange_lines(void **state)
{
	struct rcl_trace_image *image;
	struct bytes b = {0};
	struct rcl_error err;

	(void)state;
	put_text(&b, "   # a remark of a thousand characters: %900d\r\n", 1);
	put_text(&b, "anon 10%499s\r\nphase 1\r\nstream 1 anon scan 1 0", "");
	assert_int_equal(rcl_gen_image((char *)b.at, b.size, "spec", &image, &err), 0);
	assert_int_equal(image->count, 1);
	rcl_trace_image_free(image);
	put_text(&b, "\nfile %600d\n", 1);
	assert_int_equal(rcl_gen_image((char *)b.at, b.size, "spec", &image, &err), -EINVAL);
	assert_says(&err, "line 5: the line has 605 bytes, 511 are the most");
	b.at[2] = '\0';
	assert_int_equal(rcl_gen_image((char *)b.at, b.size, "spec", &image, &err), -EINVAL);
	assert_says(&err, "line 1: a zero byte");
	bytes_free(&b);
}

static void seventeen_streams(void **state)
{
	struct rcl_trace_image *image;
	struct bytes b = {0};
	struct rcl_error err;

	(void)state;
	put_text(&b, "anon 10\nphase 100\n");
	for (int i = 0; i < 16; i++)
		put_text(&b, "stream .05 anon zipf 1 0\n");
	assert_int_equal(rcl_gen_image((char *)b.at, b.size, "spec", &image, &err), 0);
	rcl_trace_image_free(image);
	put_text(&b, "stream .05 anon zipf 1 0\n");
	assert_int_equal(rcl_gen_image((char *)b.at, b.size, "spec", &image, &err), -EINVAL);
	assert_says(&err, "line 19: a phase has at most 16 streams");
	bytes_free(&b);
}

/* Nothing is left behind, and nothing is overwritten by a specification that is wrong. */
static void files(void **state)
{
	struct bytes good = {0}, bad = {0};
	char *good_path, *bad_path, *out = temp_file(NULL);
	struct rcl_error err;
	struct stat st;

	(void)state;
	put_text(&good, "anon 10\nphase 100\nstream 1 anon scan 1 0\n");
	put_text(&bad, "anon 10\nphase 100\nstream 1 anon zipf -999 0\n");
	good_path = temp_file(&good);
	bad_path = temp_file(&bad);
	assert_int_equal(rcl_gen("/nonexistent/spec", out, &err), -ENOENT);
	assert_says(&err, "/nonexistent/spec: cannot open: No such file");
	assert_int_equal(stat(out, &st), 0);
	assert_int_equal(rcl_gen(good_path, "/nonexistent/out", &err), -ENOENT);
	assert_says(&err, "/nonexistent/out: cannot create: No such file");
	assert_int_equal(rcl_gen(bad_path, out, &err), -EINVAL);
	assert_int_equal(stat(out, &st), -1); /* found while writing: removed */
	if (!access("/dev/full", W_OK)) {
		assert_int_equal(rcl_gen(good_path, "/dev/full", &err), -ENOSPC);
		assert_says(&err, "/dev/full: cannot write at byte 0: No space left");
		assert_int_equal(stat("/dev/full", &st), 0);
	}
	assert_int_equal(rcl_gen("/dev/zero", out, &err), -EINVAL);
	assert_says(&err, "/dev/zero: more than 1048576 bytes: this is not a specification");
	temp_remove(good_path);
	temp_remove(bad_path);
	free(out);
	bytes_free(&good);
	bytes_free(&bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fidelity_specifications),
		cmocka_unit_test(the_language),
		cmocka_unit_test(the_locale_does_not_matter),
		cmocka_unit_test(image_is_the_file),
		cmocka_unit_test(through_pipes),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(long_and_strange_lines),
		cmocka_unit_test(seventeen_streams),
		cmocka_unit_test(files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
