/* SPDX-License-Identifier: MIT */
/* What people read: tables, numbers, times, sparklines. */
#ifndef RCL_CLI_TABLE_H
#define RCL_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 16

/* Cells are gathered first, so that columns are as wide as what is in them. */
struct table {
	unsigned int nr_columns, nr_rows;
	struct {
		const char *title;
		bool left;
	} column[TABLE_COLUMNS_MAX];
	char **cells; /* nr_rows * nr_columns */
};

void table_init(struct table *t);
/* Columns come before the first row. */
void table_column(struct table *t, const char *title, bool left);
/* The next cell, row by row. */
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_print(struct table *t, FILE *out);
void table_free(struct table *t);

#define TEXT_MAX 32
/* 1234567 -> "1.23M"; below 10,000 as it is. */
char *text_count(uint64_t n, char buf[TEXT_MAX]);
/* Nanoseconds -> "850 us", "1.25 s", "3 min 20 s". */
char *text_time(uint64_t ns, char buf[TEXT_MAX]);
/* One character a value, `top` the highest; UTF-8 blocks or ASCII. buf: 3 bytes a value and 1. */
char *text_sparkline(const uint64_t *values, size_t nr, uint64_t top, bool utf8, char *buf);
/* Does the terminal's character set have the blocks? */
bool text_utf8(void);

#endif
