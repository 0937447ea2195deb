/* SPDX-License-Identifier: MIT */
/* The text formats: addresses, lackey's output, block numbers. */
#include "trace_test.h"

static void addresses(void **state)
{
	struct accesses a = read_text("l 0x1fffff58 1\n"
				      "s 0x1fffff60 12\r\n"
				      "\n"
				      "# a remark\n"
				      "l 7FFFFFFFF000\n"
				      "s 0 \n"
				      "l  0xfff\t3 \n"
				      "s 0x1000 0",
				      NULL, "address");

	(void)state;
	assert_int_equal(a.count, 6);
	assert_access(&a.at[0], RCL_ACCESS_ANON, 0x1ffff, 1, 0);
	assert_access(&a.at[1], RCL_ACCESS_ANON, 0x1ffff, 1, 1);
	assert_access(&a.at[2], RCL_ACCESS_ANON, 0x7ffffffff, 1, 0);
	assert_access(&a.at[3], RCL_ACCESS_ANON, 0, 1, 1);
	assert_access(&a.at[4], RCL_ACCESS_ANON, 0, 1, 0);
	assert_access(&a.at[5], RCL_ACCESS_ANON, 1, 1, 1);
	accesses_free(&a);
}

static void address_errors(void **state)
{
	(void)state;
	assert_text_fails("l 0x10 1\ns 0x20 1\nx 0x30 1\n", NULL, -EBADMSG, 2,
			  "sample: line 3: not 'l|s HEX-ADDRESS [GAP]': 'x 0x30 1'");
	assert_text_fails("l 0x10 1\n\nl 0x\n", NULL, -EBADMSG, 1, "line 3: not 'l|s");
	assert_text_fails("l 0x10 1\nl 0x10 1 2\n", NULL, -EBADMSG, 1, "line 2: not 'l|s");
	assert_text_fails("l 0x10 1\nl 0x10 -1\n", NULL, -EBADMSG, 1, "line 2: not 'l|s");
	assert_text_fails("l 0x10 1\nl 0x11223344556677889 1\n", NULL, -EBADMSG, 1,
			  "line 2: not 'l|s HEX-ADDRESS [GAP]': 'l 0x11223344556677889 1'");
	/* Lines of another format. */
	assert_text_fails("l 0x10 1\n L 04222cac,4\n", NULL, -EBADMSG, 1,
			  "line 2: not 'l|s HEX-ADDRESS [GAP]': ' L 04222cac,4'");
	assert_text_fails("l 0x10 1\n17\n", NULL, -EBADMSG, 1, "line 2:");
	/* Bytes that do not print, and a line that is too long to quote. */
	assert_text_fails("l 0x10 1\nl \x01\x80\xff\n", "address", -EBADMSG, 1,
			  "line 2: not 'l|s HEX-ADDRESS [GAP]': 'l \\x01\\x80\\xff'");
	assert_text_fails(
		"l 0x10 1\n"
		"l aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
		NULL, -EBADMSG, 1, "aaaa...'");
}

static void a_zero_byte_is_no_end(void **state)
{
	struct bytes b = {0};

	(void)state;
	put(&b, "l 0x10 1\nl 0x20\0 1\nl 0x30 1\n", 27);
	assert_fails(&b, "address", -EBADMSG, 1,
		     "line 2: not 'l|s HEX-ADDRESS [GAP]': 'l 0x20\\x00");
	bytes_free(&b);
}

static void lackey(void **state)
{
	struct accesses a = read_text("==1554== Lackey, an example Valgrind tool\n"
				      "--1554-- a warning\n"
				      "I  0401ab70,3\n"
				      " S 1fff000708,8\n"
				      " L 04222cac,4\n"
				      " M 04221ffe,4\n"
				      "SB 0401ab73\n"
				      "I  04221fff,1\n"
				      "==1554== \n",
				      NULL, "lackey");

	(void)state;
	assert_int_equal(a.count, 5);
	assert_access(&a.at[0], RCL_ACCESS_ANON, 0x401a, 1, 0);
	assert_access(&a.at[1], RCL_ACCESS_ANON, 0x1fff000, 1, 1);
	assert_access(&a.at[2], RCL_ACCESS_ANON, 0x4222, 1, 0);
	assert_access(&a.at[3], RCL_ACCESS_ANON, 0x4221, 2, 1); /* straddles a page's end */
	assert_access(&a.at[4], RCL_ACCESS_ANON, 0x4221, 1, 0);
	accesses_free(&a);
}

static void lackey_errors(void **state)
{
	(void)state;
	assert_text_fails("I  0401ab70,3\n S 1fff000708\n", NULL, -EBADMSG, 1,
			  "line 2: not 'I|L|S|M HEX-ADDRESS,SIZE' in lackey's columns: ' S 1fff");
	assert_text_fails("I  0401ab70,3\n S 1fff000708,0\n", NULL, -EBADMSG, 1, "line 2");
	assert_text_fails("I  0401ab70,3\n S 1fff000708,4097\n", NULL, -EBADMSG, 1, "line 2");
	assert_text_fails("I  0401ab70,3\n L ffffffffffffffff,2\n", NULL, -EBADMSG, 1, "line 2");
	assert_text_fails("I  0401ab70,3\nL 0401ab70,3\n", NULL, -EBADMSG, 1, "line 2");
	assert_text_fails("I  0401ab70,3\nl 0401ab70 3\n", NULL, -EBADMSG, 1, "line 2");
	assert_text_fails("==1== only valgrind's words\n", NULL, -ENODATA, 0, "holds no access");
}

static void blocks(void **state)
{
	struct accesses a = read_text("0\r\n17\n 3\n# remark\n\n34359738367\n4", NULL, "blocks");

	(void)state;
	assert_int_equal(a.count, 5);
	assert_access(&a.at[0], RCL_ACCESS_FILE, 0, 1, 0);
	assert_access(&a.at[1], RCL_ACCESS_FILE, 17, 1, 0);
	assert_access(&a.at[2], RCL_ACCESS_FILE, 3, 1, 0);
	assert_access(&a.at[3], RCL_ACCESS_FILE, (1ull << 35) - 1, 1, 0);
	assert_access(&a.at[4], RCL_ACCESS_FILE, 4, 1, 0);
	accesses_free(&a);
}

static void blocks_of_other_sizes(void **state)
{
	struct accesses a = read_text("0\n7\n8\n17\n", "blocks:unit=512", "blocks");

	(void)state;
	assert_access(&a.at[1], RCL_ACCESS_FILE, 0, 1, 0);
	assert_access(&a.at[2], RCL_ACCESS_FILE, 1, 1, 0);
	assert_access(&a.at[3], RCL_ACCESS_FILE, 2, 1, 0);
	accesses_free(&a);

	a = read_text("0\n3\n", "blocks:unit=16384", "blocks");
	assert_access(&a.at[0], RCL_ACCESS_FILE, 0, 4, 0);
	assert_access(&a.at[1], RCL_ACCESS_FILE, 12, 4, 0);
	accesses_free(&a);

	a = read_text("1\n", "blocks:unit=4096,size=6000", "blocks");
	assert_access(&a.at[0], RCL_ACCESS_FILE, 1, 2, 0);
	accesses_free(&a);
}

static void block_errors(void **state)
{
	(void)state;
	assert_text_fails("1\n2\n3x\n", NULL, -EBADMSG, 2, "line 3: not a block number: '3x'");
	assert_text_fails("1\n-2\n", NULL, -EBADMSG, 1, "line 2: not a block number: '-2'");
	assert_text_fails("1\n2 3\n", NULL, -EBADMSG, 1, "line 2: not a block number: '2 3'");
	assert_text_fails("1\n18446744073709551616\n", NULL, -EBADMSG, 1, "line 2: not a block");
	assert_text_fails("1\n18446744073709551615\n", NULL, -EBADMSG, 1,
			  "line 2: the block is beyond 2^64 pages");
	assert_text_fails("# nothing\n\n", "blocks", -ENODATA, 0, "the trace holds no access");
	assert_text_fails("", NULL, -ENODATA, 0, "sample: the trace is empty (0 bytes)");
}

/* Above 2^35, runs of 512 pages move as a whole; offsets within them stay. */
static void huge_addresses(void **state)
{
	struct accesses a = read_text("l 0xffff888000001000 1\n"
				      "l 0xffff888000200000 1\n"
				      "l 0xffff888000005000 1\n"
				      "l 0x00007fffffffffff 1\n"
				      "l 0xffffffffffffffff 1\n",
				      NULL, "address");
	uint64_t half = 1ull << 35;

	(void)state;
	assert_int_equal(a.count, 5);
	assert_access(&a.at[0], RCL_ACCESS_ANON, half + 1, 1, 0);
	assert_access(&a.at[1], RCL_ACCESS_ANON, half + 1024, 1, 0);
	assert_access(&a.at[2], RCL_ACCESS_ANON, half + 5, 1, 0);
	assert_access(&a.at[3], RCL_ACCESS_ANON, 0x7ffffffff, 1, 0);
	assert_access(&a.at[4], RCL_ACCESS_ANON, half + 2048 + 511, 1, 0);
	accesses_free(&a);

	/* Across the end of a run, and across the border of what is kept. */
	a = read_text(" L ffff8880001ffffe,4\n L 00007ffffffffffe,4\n", NULL, "lackey");
	assert_int_equal(a.count, 4);
	assert_access(&a.at[0], RCL_ACCESS_ANON, half + 511, 1, 0);
	assert_access(&a.at[1], RCL_ACCESS_ANON, half + 1024, 1, 0);
	assert_access(&a.at[2], RCL_ACCESS_ANON, half - 1, 1, 0);
	assert_access(&a.at[3], RCL_ACCESS_ANON, half + 2048, 1, 0);
	accesses_free(&a);
}

/* Larger than the reader's window, with lines across every border of it. */
static void long_input(void **state)
{
	const size_t lines = 300000;
	struct bytes b = {0};
	struct accesses a;
	uint64_t seed = 1;

	(void)state;
	for (size_t i = 0; i < lines; i++)
		put_text(&b, "%llu\n", (unsigned long long)test_random(&seed));
	assert_true(b.size > 1 << 20);
	a = read_memory(&b, NULL, 1000);
	assert_int_equal(a.error, 0);
	assert_int_equal(a.count, lines);
	seed = 1;
	for (size_t i = 0; i < lines; i++)
		assert_int_equal(a.at[i].page, test_random(&seed));
	accesses_free(&a);
	put_text(&b, "oops\n");
	assert_fails(&b, NULL, -EBADMSG, lines, "line 300001: not a block number: 'oops'");
	bytes_free(&b);
}

static void overlong_line(void **state)
{
	struct bytes b = {0};
	char *line = malloc(400000);

	(void)state;
	memset(line, '7', 400000);
	put(&b, "1\n", 2);
	put(&b, line, 400000);
	assert_fails(&b, "blocks", -EBADMSG, 1, "line 2 is longer than 65536 bytes");
	bytes_free(&b);
	/* Where it happens to fit the window it is still no number. */
	put(&b, "1\n", 2);
	put(&b, line, 70000);
	put(&b, "\n", 1);
	assert_fails(&b, "blocks", -EBADMSG, 1, "line 2");
	bytes_free(&b);
	free(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(address_errors),
		cmocka_unit_test(a_zero_byte_is_no_end),
		cmocka_unit_test(lackey),
		cmocka_unit_test(lackey_errors),
		cmocka_unit_test(blocks),
		cmocka_unit_test(blocks_of_other_sizes),
		cmocka_unit_test(block_errors),
		cmocka_unit_test(huge_addresses),
		cmocka_unit_test(long_input),
		cmocka_unit_test(overlong_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
