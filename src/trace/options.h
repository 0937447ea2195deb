/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_OPTIONS_H
#define RCL_TRACE_OPTIONS_H

#include <stdint.h>

#include "trace/error.h"

/* Which options a format takes: a mask of these. */
enum rcl_trace_option {
	RCL_OPT_UNIT = 1 << 0,
	RCL_OPT_SIZE = 1 << 1,
	RCL_OPT_COLUMNS = 1 << 2, /* all that describe a table */
};

/* Options of a format, as they stand after the colon of a format string. */
struct rcl_trace_options {
	uint32_t unit; /* bytes an identifier counts in: it is an address; 0: not given */
	uint32_t size; /* bytes of every request, whatever the trace says; 0: not given */

	/* Columns count from 1; 0: not given. */
	uint32_t time_col, id_col, size_col, op_col;
	char delimiter;	   /* 0: not given */
	int8_t header;	   /* 1 yes, 0 no, -1 not given */
	int8_t id_is_num;  /* likewise */
	char write_op[16]; /* the op that writes, all others reading; "": not given */
};

#define RCL_OPT_UNIT_MAX   (1u << 20)
#define RCL_OPT_COLUMN_MAX 64u

/*
 * Read "name=value,name=value". `format` and `accepted` (a mask) are the format's, for the texts
 * and for refusing what it does not take. NULL and "" give the defaults. -EINVAL with a text.
 */
int rcl_trace_options_parse(struct rcl_trace_options *opt, const char *text, const char *format,
			    uint32_t accepted, struct rcl_error *err);

#endif
