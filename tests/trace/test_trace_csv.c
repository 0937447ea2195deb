/* SPDX-License-Identifier: MIT */
/* Tables: columns by header and by option, delimiters, quoting, operations; and the options. */
#include "trace_test.h"

static void header_line(void **state)
{
	struct accesses a = read_text("version,time,op,size,lbn\n"
				      "1,5633898,2a,512,15\n"
				      "1,5633899,28,8192,8\r\n"
				      "\n"
				      "1,5633899,35,0,0\n"
				      "1,5633899,28,0,8",
				      NULL, "csv");

	(void)state;
	assert_int_equal(a.count, 2);
	assert_access(&a.at[0], RCL_ACCESS_FILE, 1, 1, 1);
	assert_access(&a.at[1], RCL_ACCESS_FILE, 1, 2, 0);
	accesses_free(&a);
}

static void columns_by_option(void **state)
{
	static const char *const formats[] = {
		"csv:time-col=1,obj-id-col=3,obj-size-col=2",
		"csv:time_col=1, obj_id_col=3, obj_size_col=2, delimiter=,",
		"csv:time-field=1,obj-id-field=3,size-field=2,delimiter=,,",
		"CSV:obj-id-col=3;size-col=2;has-header=false;obj-id-is-num=true",
	};
	const char *text = "1,4096,70\n2,8192,71\n3,4096,70\n";

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct accesses a = read_text(text, formats[i], "csv");

		assert_int_equal(a.count, 3);
		assert_int_equal(a.at[0].page, a.at[2].page);
		assert_int_equal(a.at[1].pages, 2);
		accesses_free(&a);
	}
}

/* A first line without numbers where numbers belong is a header; has-header says it outright. */
static void header_is_found(void **state)
{
	struct accesses a =
		read_text("time,thing,much\n1,70,4096\n", "csv:obj-id-col=2,obj-size-col=3", "csv");

	(void)state;
	assert_int_equal(a.count, 1);
	accesses_free(&a);
	a = read_text("1,70,4096\n1,71,4096\n", "csv:obj-id-col=2,has-header=true", "csv");
	assert_int_equal(a.count, 1);
	accesses_free(&a);
	assert_text_fails("time,thing,much\n1,70,4096\n", "csv:obj-id-col=2,has-header=false",
			  -EBADMSG, 0, "line 1: the identifier is not a number");
}

static void delimiters(void **state)
{
	static const char delimiters[] = ",;|\t ";

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(delimiters); i++) {
		char d = delimiters[i], text[128], format[64];
		struct accesses a;

		snprintf(text, sizeof(text), "op%coffset%csize\nR%c4096%c512\nW%c8191%c2\n", d, d,
			 d, d, d, d);
		a = read_text(text, NULL, "csv");
		assert_int_equal(a.count, 2);
		assert_access(&a.at[0], RCL_ACCESS_FILE, 1, 1, 0);
		assert_access(&a.at[1], RCL_ACCESS_FILE, 1, 2, 1);
		accesses_free(&a);

		snprintf(text, sizeof(text), "R%c5\nW%c6\n", d, d);
		snprintf(format, sizeof(format), "csv:obj-id-col=2,op-col=1,delimiter=%c", d);
		a = read_text(text, format, "csv");
		assert_int_equal(a.count, 2);
		assert_int_equal(a.at[1].write, 1);
		accesses_free(&a);
	}
}

static void tab_by_escape(void **state)
{
	struct accesses a = read_text("x,y\t5\nx,z\t6\n", "csv:obj-id-col=2,delimiter=\\t", "csv");

	(void)state;
	assert_int_equal(a.count, 2);
	accesses_free(&a);
}

static void quotes_and_blanks(void **state)
{
	struct accesses a = read_text("\"op\", \"key\", size\n"
				      "\"get\",\"12\", 4096 \n"
				      "set , 0x0c ,4096\n",
				      NULL, "csv");

	(void)state;
	assert_int_equal(a.count, 2);
	assert_int_equal(a.at[0].page, a.at[1].page);
	assert_int_equal(a.at[0].write, 0);
	assert_int_equal(a.at[1].write, 1);
	accesses_free(&a);
}

static void names_as_identifiers(void **state)
{
	struct accesses a =
		read_text("k,1\nuser:1,1\nuser:2,1\nuser:1,1\n",
			  "csv:obj-id-col=1,obj-id-is-num=false,has-header=true", "csv");

	(void)state;
	assert_int_equal(a.count, 3);
	assert_int_equal(a.at[0].page, a.at[2].page);
	assert_true(a.at[0].page != a.at[1].page);
	accesses_free(&a);
}

static void operations(void **state)
{
	struct accesses a =
		read_text("0,1\n1,1\n2,1\n", "csv:obj-id-col=2,op-col=1,write-op=1", "csv");

	(void)state;
	assert_int_equal(a.at[0].write, 0);
	assert_int_equal(a.at[1].write, 1);
	assert_int_equal(a.at[2].write, 0);
	accesses_free(&a);
	assert_text_fails("r,1\n1,1\n", "csv:obj-id-col=2,op-col=1", -EBADMSG, 1,
			  "line 2: unknown operation");
	a = read_text("op,id\ntrim,1\nread,2\n8,3\na,4\n", NULL, "csv");
	assert_int_equal(a.count, 3);
	assert_int_equal(a.at[2].write, 1);
	accesses_free(&a);
}

static void row_errors(void **state)
{
	(void)state;
	assert_text_fails("op,id,size\nr,1,1\nr,1\n", NULL, -EBADMSG, 1,
			  "sample: line 3: the line has too few fields: 'r,1'");
	assert_text_fails("op,id,size\nr,1,1\nr,x,1\n", NULL, -EBADMSG, 1,
			  "line 3: the identifier is not a number");
	assert_text_fails("op,id,size\nr,1,1\nr,2,-1\n", NULL, -EBADMSG, 1,
			  "line 3: the size is not a number: 'r,2,-1'");
	assert_text_fails("op,id,size\nr,1,1\nr,2,4294967296\n", NULL, -EBADMSG, 1,
			  "line 3: the request exceeds 4 GiB");
	assert_text_fails("op,offset,size\nr,1,1\nr,18446744073709551616,1\n", NULL, -EBADMSG, 1,
			  "line 3: the identifier is not a number");
	assert_text_fails("op,id,size\n", NULL, -ENODATA, 0, "holds no access");
	assert_text_fails(
		"1,2,3\n", "csv", -EBADMSG, 0,
		"line 1: no column is known to hold the identifier; say obj-id-col=N: '1,2,3'");
	assert_text_fails("# only\n", "csv", -ENODATA, 0, "sample: the trace is empty (no line)");
}

static void options(void **state)
{
	static const struct {
		const char *format, *says;
	} wrong[] = {
		{"nonsense", "unknown trace format 'nonsense' (known: reclaim, "},
		{"csv:colour=3", "format csv has no option 'colour' (it has: unit, size, time-col"},
		{"blocks:obj-id-col=1",
		 "format blocks has no option 'obj-id-col' (it has: unit, size)"},
		{"tracegen:unit=1", "format tracegen has no option 'unit' (it has: none)"},
		{"csv:obj-id-col", "option obj-id-col has no value"},
		{"csv:obj-id-col=", "option obj-id-col: '' is not a number from 1 to 64"},
		{"csv:obj-id-col=0", "option obj-id-col: '0' is not a number from 1 to 64"},
		{"csv:obj-id-col=65", "option obj-id-col: '65' is not a number"},
		{"csv:obj-id-col=99999999999999999999999", "is not a number from 1 to 64"},
		{"csv:obj-id-col=1x", "option obj-id-col: '1x' is not a number"},
		{"csv:unit=1048577", "option unit: '1048577' is not a number from 1 to 1048576"},
		{"csv:has-header=maybe", "option has-header: 'maybe' is neither true nor false"},
		{"csv:delimiter=ab", "option delimiter: 'ab' is not one character"},
		{"csv:delimiter=\\", "option delimiter: '' is not one character"},
		{"csv:write-op=abcdefghijklmnopq", "is not 1 to 15 characters"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_text_fails("1,2\n", wrong[i].format, -EINVAL, 0, wrong[i].says);
}

static void formats_are_listed(void **state)
{
	unsigned int n = 0;

	(void)state;
	for (; rcl_trace_format_name(n); n++)
		assert_non_null(rcl_trace_format_help(n));
	assert_int_equal(n, 8);
	assert_null(rcl_trace_format_help(n));
}

static void unrecognised(void **state)
{
	struct bytes b = {0};

	(void)state;
	assert_text_fails("hello world\n", NULL, -EINVAL, 0,
			  "sample: no trace format recognises it; it begins 68 65 6c 6c 6f");
	assert_text_fails("# only a remark\n", NULL, -EINVAL, 0, "no trace format recognises it");
	for (int i = 0; i < 200; i++)
		put_le(&b, 0xdeadbeefcafef00dull * (unsigned)(i + 1), 8);
	assert_fails(&b, NULL, -EINVAL, 0, "no trace format recognises it");
	bytes_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_line),		cmocka_unit_test(columns_by_option),
		cmocka_unit_test(header_is_found),	cmocka_unit_test(delimiters),
		cmocka_unit_test(tab_by_escape),	cmocka_unit_test(quotes_and_blanks),
		cmocka_unit_test(names_as_identifiers), cmocka_unit_test(operations),
		cmocka_unit_test(row_errors),		cmocka_unit_test(options),
		cmocka_unit_test(formats_are_listed),	cmocka_unit_test(unrecognised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
