/* SPDX-License-Identifier: MIT */
/* The tracegen format: what records mean, and every way in which such a file can be wrong. */
#include "trace_test.h"

#define WRITE (1u << 31)
#define PREAD (1u << 30)
#define MMAP  (1u << 29)

static void decodes_every_kind(void **state)
{
	const uint32_t records[] = {0,	      WRITE | 9,       PREAD | 19, PREAD | WRITE | 3,
				    MMAP | 0, MMAP | WRITE | 7};
	struct bytes b = {0};
	struct rcl_error err;
	struct rcl_trace *t;
	struct accesses a;

	(void)state;
	put_tracegen(&b, 10, 20, records, 6);
	put_zeros(&b, 65536 - b.size);
	assert_int_equal(rcl_trace_open_memory(b.at, b.size, "sample", NULL, &t, &err), 0);
	assert_string_equal(rcl_trace_format(t), "tracegen");
	assert_string_equal(rcl_trace_compression(t), "none");
	assert_int_equal(rcl_trace_nr_regions(t), 2);
	assert_int_equal(rcl_trace_region(t, 0)->kind, RCL_ACCESS_ANON);
	assert_int_equal(rcl_trace_region(t, 0)->pages, 10);
	assert_string_equal(rcl_trace_region(t, 0)->name, "anon");
	assert_int_equal(rcl_trace_region(t, 1)->kind, RCL_ACCESS_FILE);
	assert_int_equal(rcl_trace_region(t, 1)->pages, 20);
	assert_null(rcl_trace_region(t, 2));
	a = read_on(t, 4);
	assert_int_equal(a.error, 0);
	assert_int_equal(a.count, 6);
	assert_access(&a.at[0], RCL_ACCESS_ANON, 0, 1, 0);
	assert_access(&a.at[1], RCL_ACCESS_ANON, 9, 1, 1);
	assert_access(&a.at[2], RCL_ACCESS_FILE, 19, 1, 0);
	assert_access(&a.at[3], RCL_ACCESS_FILE, 3, 1, 1);
	assert_access(&a.at[4], RCL_ACCESS_MMAP, 0, 1, 0);
	assert_access(&a.at[5], RCL_ACCESS_MMAP, 7, 1, 1);
	assert_int_equal(a.at[1].region, 0);
	assert_int_equal(a.at[2].region, 1);
	assert_int_equal(a.at[5].region, 1);
	accesses_free(&a);

	/* The end stays the end. */
	a = read_on(t, 4);
	assert_int_equal(a.count, 0);
	assert_int_equal(a.error, 0);
	accesses_free(&a);
	rcl_trace_close(t);
	bytes_free(&b);
}

static void names_only_mappings_that_exist(void **state)
{
	const uint32_t records[] = {PREAD | 1};
	struct bytes b = {0};
	struct rcl_trace *t;

	(void)state;
	put_tracegen(&b, 0, 20, records, 1);
	assert_int_equal(rcl_trace_open_memory(b.at, b.size, "sample", NULL, &t, NULL), 0);
	assert_int_equal(rcl_trace_nr_regions(t), 1);
	assert_int_equal(rcl_trace_region(t, 0)->kind, RCL_ACCESS_FILE);
	rcl_trace_close(t);
	bytes_free(&b);
}

static void one_record(uint32_t record, const char *says)
{
	uint32_t records[3] = {1, 2, record};
	struct bytes b = {0};

	put_tracegen(&b, 10, 20, records, 3);
	assert_fails(&b, NULL, -EBADMSG, 2, says);
	bytes_free(&b);
}

static void bad_records(void **state)
{
	(void)state;
	one_record(10, "sample: byte 4104: record 0x0000000a: anonymous page 10 of 10");
	one_record(PREAD | 20, "byte 4104: record 0x40000014: file page 20 of 20");
	one_record(MMAP | WRITE | 21, "mapped file page 21 of 20");
	one_record(PREAD | MMAP | 1, "record 0x60000001 is both");
	one_record(1u << 28, "record 0x10000000: anonymous page 268435456 of 10");
}

/* Compressed, the missing records show only at the end: after the good ones. */
static void truncated(void **state)
{
	uint32_t records[100] = {0};
	struct bytes b = {0}, packed;

	(void)state;
	put_tracegen(&b, 10, 20, records, 100);
	b.size = 4096 + 4 * 37 + 2;
	assert_fails(&b, NULL, -EBADMSG, 0,
		     "truncated at byte 4246: 63 of 100 records are missing");
	packed = compressed(&b, ZSTD);
	assert_fails(&packed, NULL, -EBADMSG, 37,
		     "truncated at byte 4246: 63 of 100 records are missing");
	bytes_free(&packed);
	b.size = 100;
	assert_fails(&b, NULL, -EBADMSG, 0, "truncated at byte 100: a tracegen header has 4096");
	bytes_free(&b);
}

static void padding(void **state)
{
	uint32_t records[3] = {0, 1, 2};
	struct bytes b = {0};
	struct accesses a;

	(void)state;
	put_tracegen(&b, 10, 20, records, 3);
	/* Missing zeros carry nothing. */
	for (int k = 0; k < 3; k++) {
		a = read_memory(&b, NULL, 2);
		assert_int_equal(a.error, 0);
		assert_int_equal(a.count, 3);
		accesses_free(&a);
		put_zeros(&b, k == 0 ? 5 : 65536 - b.size);
	}
	b.at[5000] = 0x41;
	assert_fails(&b, NULL, -EBADMSG, 3, "byte 5000: 0x41 follows the last of 3 records");
	b.at[5000] = 0;
	put_zeros(&b, 1);
	assert_fails(&b, NULL, -EBADMSG, 3, "byte 65536: 0x00 follows the last of 3 records");
	bytes_free(&b);
}

static void bad_headers(void **state)
{
	uint32_t records[3] = {0, 1, 2};
	struct bytes b = {0};

	(void)state;
	put_tracegen(&b, 10, 20, records, 3);
	b.at[8 + 3] = 0x40;
	assert_fails(&b, "tracegen", -EBADMSG, 0, "byte 8: anonymous pages: 1073741834 is more");
	b.at[8 + 3] = 0;
	b.at[16 + 7] = 1;
	assert_fails(&b, "tracegen", -EBADMSG, 0, "byte 16: file pages: 72057594037927956 is more");
	b.at[16 + 7] = 0;
	b.at[7] = 1;
	assert_fails(&b, "tracegen", -EBADMSG, 0, "byte 0: records: 72057594037927939 is more");
	b.at[7] = 0;
	b.at[5] = 1; /* 2^40 records are allowed, but they are not there */
	assert_fails(&b, "tracegen", -EBADMSG, 0, "1099511627776 of 1099511627779 records are");
	bytes_free(&b);

	put_tracegen(&b, 10, 20, records, 0);
	assert_fails(&b, NULL, -ENODATA, 0, "the trace holds no access");
	bytes_free(&b);
}

/* 559903 records: the header begins with gzip's magic, method and flags. */
static void header_that_looks_like_gzip(void **state)
{
	uint32_t *records = calloc(559903, sizeof(*records));
	struct bytes b = {0};
	struct accesses a;

	(void)state;
	put_tracegen(&b, 10, 20, records, 559903);
	assert_memory_equal(b.at, "\x1f\x8b\x08\x00", 4);
	a = read_memory(&b, NULL, 4096);
	assert_int_equal(a.error, 0);
	assert_int_equal(a.count, 559903);
	accesses_free(&a);
	bytes_free(&b);
	free(records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_every_kind),
		cmocka_unit_test(names_only_mappings_that_exist),
		cmocka_unit_test(bad_records),
		cmocka_unit_test(truncated),
		cmocka_unit_test(padding),
		cmocka_unit_test(bad_headers),
		cmocka_unit_test(header_that_looks_like_gzip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
