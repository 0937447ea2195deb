/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim/size.h"

#define M (1024ull * 1024)

static void sizes_as_people_write_them(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"4096", 4096},	   {"0", 0},	      {"96M", 96 * M},	  {"96m", 96 * M},
		{"96MB", 96 * M},  {"96MiB", 96 * M}, {"1.5G", 1536 * M}, {".5k", 512},
		{"2T", 2 * M * M}, {"12b", 12},	      {"40%", 400},	  {"12.5%", 125},
		{"100%", 1000},	   {"250%", 2500},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t v = 77;
		struct rcl_error err = {""};

		if (rcl_size_parse(good[i].text, 1000, &v, &err))
			fail_msg("%s: %s", good[i].text, err.text);
		assert_int_equal(v, good[i].bytes);
	}
}

static void nonsense_is_refused(void **state)
{
	static const char *const bad[] = {"",	    "M",      "-1",	      "1x",  "1 M",
					  "1.5.5G", "0x10",   "nan",	      "inf", "1e9",
					  "96MM",   "96Mbit", "99999999999P", "4%%", "%",
					  "1bb",    "+4M",    " 4M",	      "."};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t v = 77;
		struct rcl_error err = {""};

		if (rcl_size_parse(bad[i], 1000, &v, &err) != -EINVAL)
			fail_msg("'%s' was taken for %llu", bad[i], (unsigned long long)v);
		assert_int_equal(v, 77);
		assert_non_null(strstr(err.text, bad[i]));
	}
	struct rcl_error err = {""};
	uint64_t v;

	assert_int_equal(rcl_size_parse("40%", 0, &v, &err), -EINVAL);
}

static void formatting_is_short_and_reads_back(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0"},
		{512, "512"},
		{4096, "4K"},
		{96 * M, "96M"},
		{1536 * M, "1.5G"},
		{54945382, "52.4M"},
		{1023, "1023"},
		{1024 * M * M, "1P"},
		{1024ull * 1024 * M * M, "1024P"},
		{1300 * M, "1.27G"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char buf[RCL_SIZE_TEXT];
		uint64_t back;

		assert_string_equal(rcl_size_format(cases[i].bytes, buf), cases[i].text);
		assert_int_equal(rcl_size_parse(buf, 0, &back, NULL), 0);
		double off = (double)back - (double)cases[i].bytes;
		assert_true(off * off <= (double)cases[i].bytes * (double)cases[i].bytes * 1e-4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_as_people_write_them),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(formatting_is_short_and_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
