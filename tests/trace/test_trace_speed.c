/* SPDX-License-Identifier: MIT */
/*
 * How fast traces are decoded and generated. It prints rates and holds them against nothing: a
 * machine that is busy must not fail a test. Each rate is per second of processor time, the best of
 * a few runs.
 */
#include <time.h>

#include "trace/gen.h"
#include "trace_test.h"

#define LINES 2000000u
#define RUNS  4

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void report_load(const char *name, const char *path, uint64_t accesses)
{
	double best = 1e9;

	for (int i = 0; i < RUNS; i++) {
		struct rcl_trace_image *image;
		struct rcl_error err;
		double t = seconds();

		if (rcl_trace_load(path, NULL, &image, &err))
			fail_msg("%s", err.text);
		t = seconds() - t;
		best = t < best ? t : best;
		assert_string_equal(image->format, name);
		assert_int_equal(image->count, accesses);
		rcl_trace_image_free(image);
	}
	print_message("decode %-14s %8.1f M accesses/s\n", name, (double)accesses / best / 1e6);
}

static void make_address(struct bytes *b, uint64_t r)
{
	put_text(b, "%c 0x%llx %u\n", r & 1 ? 'l' : 's', 0x7f0000000000ull + (r >> 1), 3);
}

static void make_lackey(struct bytes *b, uint64_t r)
{
	put_text(b, " %c %08llx,8\n", r & 1 ? 'L' : 'S', 0x1fff000000ull + (r & 0xffffff8));
}

static void make_blocks(struct bytes *b, uint64_t r)
{
	put_text(b, "%llu\n", (unsigned long long)(r & 0xfffff));
}

static void make_csv(struct bytes *b, uint64_t r)
{
	put_text(b, "1,5633898,%s,4096,%llu\n", r & 1 ? "28" : "2a",
		 (unsigned long long)(r & 0xfffff) * 8);
}

static void make_oracle(struct bytes *b, uint64_t r)
{
	put_le(b, 77, 4);
	put_le(b, (r & 0xfffff) * 0x9e3779b97f4a7c15ull, 8);
	put_le(b, 4096, 4);
	put_le(b, ~0ull, 8);
}

static void make_vscsi(struct bytes *b, uint64_t r)
{
	put_le(b, 1, 4);
	put_le(b, 4096, 4);
	put_le(b, 1, 4);
	put_le(b, r & 1 ? 0x28 : 0x2a, 2);
	put_le(b, 0x100, 2);
	put_le(b, (r & 0xfffff) * 8, 8);
	put_le(b, 77, 8);
}

static void decoding(void **state)
{
	static const struct {
		const char *name, *header;
		void (*make)(struct bytes *, uint64_t);
	} formats[] = {
		{"address", "", make_address}, {"lackey", "", make_lackey},
		{"blocks", "", make_blocks},   {"csv", "version,time,op,size,lbn\n", make_csv},
		{"vscsi", "", make_vscsi},     {"oracleGeneral", "", make_oracle},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct bytes b = {0};
		uint64_t seed = 1;
		char *path;

		put_text(&b, "%s", formats[i].header);
		for (uint32_t k = 0; k < LINES; k++)
			formats[i].make(&b, test_random(&seed));
		path = temp_file(&b);
		report_load(formats[i].name, path, LINES);
		temp_remove(path);
		bytes_free(&b);
	}
}

static void generating(void **state)
{
	static const char spec[] = "seed 9\nanon 32768\nphase 20000000\n"
				   "stream 1 anon zipf 0.9 0.3\n";
	struct bytes b = {0};
	char *in, *out = temp_file(NULL);
	struct rcl_error err;
	double t;

	(void)state;
	put(&b, spec, sizeof(spec) - 1);
	in = temp_file(&b);
	t = seconds();
	if (rcl_gen(in, out, &err))
		fail_msg("%s", err.text);
	t = seconds() - t;
	print_message("generate %-12s %8.1f M accesses/s\n", "zipf", 20 / t);
	report_load("tracegen", out, 20000000);
	temp_remove(in);
	temp_remove(out);
	bytes_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decoding),
		cmocka_unit_test(generating),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
