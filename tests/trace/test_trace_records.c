/* SPDX-License-Identifier: MIT */
/* libCacheSim's binary records: oracleGeneral and both versions of vscsi. */
#include "trace_test.h"

static void oracle(struct bytes *b, uint32_t time, uint64_t id, uint32_t size, int64_t next)
{
	put_le(b, time, 4);
	put_le(b, id, 8);
	put_le(b, size, 4);
	put_le(b, (uint64_t)next, 8);
}

static void vscsi1(struct bytes *b, uint32_t cmd, uint32_t len, uint64_t lbn)
{
	put_le(b, 7, 4);
	put_le(b, len, 4);
	put_le(b, 1, 4);
	put_le(b, cmd, 2);
	put_le(b, 0x100, 2);
	put_le(b, lbn, 8);
	put_le(b, 123456, 8);
}

static void vscsi2(struct bytes *b, uint32_t cmd, uint32_t len, uint64_t lbn)
{
	put_le(b, cmd, 2);
	put_le(b, 0x203, 2);
	put_le(b, 7, 4);
	put_le(b, len, 4);
	put_le(b, 1, 4);
	put_le(b, lbn, 8);
	put_le(b, 123456, 8);
	put_le(b, 99, 8);
}

/* Each object has pages of its own, the same ones each time. */
static void objects(void **state)
{
	const uint64_t hash = 0xfedcba9876543210ull;
	struct bytes b = {0};
	struct rcl_error err;
	struct rcl_trace *t;
	struct accesses a;

	(void)state;
	oracle(&b, 10, hash, 4096, 2);
	oracle(&b, 10, hash + 1, 10000, -1);
	oracle(&b, 11, hash, 100, INT64_MAX);
	oracle(&b, 12, 3, 0, -2);
	oracle(&b, 12, 4, 3 * 4096, -1);
	assert_int_equal(rcl_trace_open_memory(b.at, b.size, "sample", NULL, &t, &err), 0);
	assert_string_equal(rcl_trace_format(t), "oracleGeneral");
	assert_string_equal(rcl_trace_region(t, 0)->name, "objects");
	a = read_on(t, 2);
	assert_int_equal(a.error, 0);
	assert_int_equal(a.count, 4);
	assert_int_equal(rcl_trace_skipped(t), 1);
	assert_int_equal(a.at[0].pages, 1);
	assert_int_equal(a.at[1].pages, 3);
	assert_int_equal(a.at[2].pages, 1);
	assert_int_equal(a.at[0].page, a.at[2].page);
	/* Neighbours in time are not neighbours in space, upwards. */
	assert_true(a.at[1].page + 3 <= a.at[0].page);
	assert_true(a.at[3].page + 3 <= a.at[1].page);
	accesses_free(&a);
	rcl_trace_close(t);
	bytes_free(&b);
}

/* An object that grows keeps its pages and gets more. */
static void objects_that_grow(void **state)
{
	struct bytes b = {0};
	struct accesses a;

	(void)state;
	oracle(&b, 1, 77, 4096, -1);
	oracle(&b, 1, 88, 4096, -1);
	oracle(&b, 1, 77, 3 * 4096, -1);
	oracle(&b, 1, 77, 2 * 4096, -1);
	a = read_memory(&b, NULL, 100);
	assert_int_equal(a.error, 0);
	assert_int_equal(a.count, 6);
	assert_access(&a.at[2], RCL_ACCESS_FILE, a.at[0].page, 1, 0);
	assert_int_equal(a.at[3].pages, 2);
	assert_true(a.at[3].page != a.at[1].page && a.at[3].page + 1 != a.at[1].page);
	assert_access(&a.at[4], RCL_ACCESS_FILE, a.at[0].page, 1, 0);
	assert_access(&a.at[5], RCL_ACCESS_FILE, a.at[3].page, 1, 0);
	accesses_free(&a);
	bytes_free(&b);
}

/* A request of more than 512 pages comes in pieces, and cutting the reads changes nothing. */
static void large_objects(void **state)
{
	struct bytes b = {0};
	struct accesses a, c;

	(void)state;
	oracle(&b, 1, 5, UINT32_MAX, -1);
	oracle(&b, 1, 6, 513 * 4096, -1);
	a = read_memory(&b, NULL, 1);
	c = read_memory(&b, NULL, 1000);
	assert_same_accesses(&a, &c);
	assert_int_equal(a.count, 2048 + 2);
	for (size_t i = 1; i < 2048; i++)
		assert_int_equal(a.at[i].page, a.at[i - 1].page + 512);
	assert_int_equal(a.at[2048].pages, 512);
	assert_int_equal(a.at[2049].pages, 1);
	accesses_free(&a);
	accesses_free(&c);
	bytes_free(&b);
}

static void object_addresses(void **state)
{
	struct bytes b = {0};
	struct accesses a;

	(void)state;
	oracle(&b, 1, 15, 1024, -1);
	oracle(&b, 1, 80, 512, -1);
	oracle(&b, 1, ~0ull, 512, -1);
	a = read_memory(&b, "oracleGeneral:unit=512", 100);
	assert_int_equal(a.error, 0);
	assert_access(&a.at[0], RCL_ACCESS_FILE, 1, 2, 0);
	assert_access(&a.at[1], RCL_ACCESS_FILE, 10, 1, 0);
	assert_access(&a.at[2], RCL_ACCESS_FILE, (1ull << 35) + 511, 1, 0);
	accesses_free(&a);
	a = read_memory(&b, "oracleGeneral:unit=1048576", 100);
	assert_int_equal(a.count, 2);
	assert_int_equal(a.error, -EBADMSG);
	assert_says(&a.text, "byte 48: record 2: -1 is an address beyond 2^64 pages");
	accesses_free(&a);
	a = read_memory(&b, "ORACLEGENERAL:size=8192", 100);
	assert_int_equal(a.at[0].pages, 2);
	accesses_free(&a);
	bytes_free(&b);
}

static void oracle_errors(void **state)
{
	struct bytes b = {0};

	(void)state;
	oracle(&b, 1, 5, 4096, 3);
	oracle(&b, 1, 6, 4096, -3);
	assert_fails(&b, "oracleGeneral", -EBADMSG, 1,
		     "sample: byte 24: record 1: -3 is not the index of a next request");
	b.size = 30;
	assert_fails(&b, NULL, -EBADMSG, 1, "truncated at byte 30: record 1 has 6 of 24 bytes");
	b.size = 0;
	oracle(&b, 1, 5, 0, -1);
	assert_fails(&b, NULL, -ENODATA, 0, "holds no access (1 requests touch no page)");
	bytes_free(&b);
}

static void vscsi(void **state)
{
	static void (*const record[2])(struct bytes *, uint32_t, uint32_t, uint64_t) = {vscsi1,
											vscsi2};

	(void)state;
	for (int version = 0; version < 2; version++) {
		struct bytes b = {0};
		struct rcl_error err;
		struct rcl_trace *t;
		struct accesses a;

		record[version](&b, 0x28, 512, 15);
		record[version](&b, 0x2a, 8192, 8);
		record[version](&b, 0x35, 0, 0); /* SYNCHRONIZE CACHE */
		record[version](&b, 0x8a, 4096, 4);
		record[version](&b, 0x88, 0, 4);
		assert_int_equal(rcl_trace_open_memory(b.at, b.size, "sample", NULL, &t, &err), 0);
		assert_string_equal(rcl_trace_format(t), "vscsi");
		a = read_on(t, 2);
		assert_int_equal(a.error, 0);
		assert_int_equal(a.count, 3);
		assert_access(&a.at[0], RCL_ACCESS_FILE, 1, 1, 0);
		assert_access(&a.at[1], RCL_ACCESS_FILE, 1, 2, 1);
		assert_access(&a.at[2], RCL_ACCESS_FILE, 0, 2, 1);
		assert_int_equal(rcl_trace_skipped(t), 2);
		accesses_free(&a);
		rcl_trace_close(t);
		bytes_free(&b);
	}
}

static void vscsi_errors(void **state)
{
	struct bytes b = {0};

	(void)state;
	vscsi1(&b, 0x28, 512, 15);
	vscsi1(&b, 0x28, 512, 15);
	b.at[32 + 15] = 3;
	assert_fails(&b, "vscsi", -EBADMSG, 1,
		     "sample: byte 32: record 1: 3 is not version 1 of the format");
	b.at[32 + 15] = 1;
	b.at[32 + 13] = 1;
	assert_fails(&b, "vscsi", -EBADMSG, 1, "byte 32: record 1: 296 is not a SCSI command");
	b.size = 63;
	assert_fails(&b, NULL, -EBADMSG, 1, "truncated at byte 63: record 1 has 31 of 32 bytes");
	b.at[15] = 9;
	assert_fails(&b, "vscsi", -EBADMSG, 0, "byte 0: the first record is of neither");
	b.size = 20;
	assert_fails(&b, "vscsi", -EBADMSG, 0, "byte 0: the first record is of neither");
	bytes_free(&b);

	vscsi2(&b, 0x28, 512, 15);
	vscsi2(&b, 0x28, 512, 15);
	b.size = 79;
	assert_fails(&b, NULL, -EBADMSG, 1, "truncated at byte 79: record 1 has 39 of 40 bytes");
	bytes_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects),	 cmocka_unit_test(objects_that_grow),
		cmocka_unit_test(large_objects), cmocka_unit_test(object_addresses),
		cmocka_unit_test(oracle_errors), cmocka_unit_test(vscsi),
		cmocka_unit_test(vscsi_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
