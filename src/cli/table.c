/* SPDX-License-Identifier: MIT */
#include "cli/table.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void table_init(struct table *t)
{
	memset(t, 0, sizeof(*t));
}

void table_column(struct table *t, const char *title, bool left)
{
	if (t->nr_columns == TABLE_COLUMNS_MAX)
		abort();
	t->column[t->nr_columns].title = title;
	t->column[t->nr_columns++].left = left;
}

void table_cell(struct table *t, const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	t->cells = realloc(t->cells, (t->nr_rows + 1) * sizeof(*t->cells));
	if (!t->cells)
		abort();
	t->cells[t->nr_rows] = strdup(text);
	if (!t->cells[t->nr_rows++])
		abort();
}

/* Columns on the screen: bytes that do not continue a UTF-8 character. */
static int width(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void print_cell(FILE *out, const char *text, int columns, bool left, bool last)
{
	int pad = columns - width(text);

	if (left)
		fprintf(out, "%s%*s", text, last ? 0 : pad, "");
	else
		fprintf(out, "%*s%s", pad, "", text);
	fputs(last ? "\n" : "  ", out);
}

void table_print(struct table *t, FILE *out)
{
	unsigned int columns = t->nr_columns;
	int widths[TABLE_COLUMNS_MAX];

	for (unsigned int c = 0; c < columns; c++)
		widths[c] = width(t->column[c].title);
	for (unsigned int i = 0; i < t->nr_rows; i++)
		if (width(t->cells[i]) > widths[i % columns])
			widths[i % columns] = width(t->cells[i]);
	for (unsigned int c = 0; c < columns; c++)
		print_cell(out, t->column[c].title, widths[c], t->column[c].left, c + 1 == columns);
	for (unsigned int i = 0; i < t->nr_rows; i++) {
		unsigned int c = i % columns;

		print_cell(out, t->cells[i], widths[c], t->column[c].left, c + 1 == columns);
	}
}

void table_free(struct table *t)
{
	for (unsigned int i = 0; i < t->nr_rows; i++)
		free(t->cells[i]);
	free(t->cells);
	table_init(t);
}

char *text_count(uint64_t n, char buf[TEXT_MAX])
{
	static const char units[] = " kMGTPE";
	double v = (double)n;
	int u = 0;

	if (n < 10000) {
		snprintf(buf, TEXT_MAX, "%llu", (unsigned long long)n);
		return buf;
	}
	while (v >= 999.5) {
		v /= 1000;
		u++;
	}
	snprintf(buf, TEXT_MAX, "%.*f%c", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, units[u]);
	return buf;
}

char *text_time(uint64_t ns, char buf[TEXT_MAX])
{
	double s = (double)ns / 1e9;

	if (ns == 0)
		snprintf(buf, TEXT_MAX, "0");
	else if (s < 0.0009995)
		snprintf(buf, TEXT_MAX, "%.0f us", s * 1e6);
	else if (s < 0.9995)
		snprintf(buf, TEXT_MAX, "%.*f ms", s < 0.009995 ? 2 : s < 0.09995 ? 1 : 0, s * 1e3);
	else if (s < 119.5)
		snprintf(buf, TEXT_MAX, "%.*f s", s < 9.995 ? 2 : s < 99.95 ? 1 : 0, s);
	else
		snprintf(buf, TEXT_MAX, "%llu min %llu s", (unsigned long long)(s + 0.5) / 60,
			 (unsigned long long)(s + 0.5) % 60);
	return buf;
}

char *text_sparkline(const uint64_t *values, size_t nr, uint64_t top, bool utf8, char *buf)
{
	static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const ascii[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
	char *end = buf;

	*end = 0;
	for (size_t i = 0; i < nr; i++) {
		/* Anything at all shows; only the top itself is a full block. */
		unsigned int level =
			!top || !values[i]
				? 0
				: 1 + (unsigned int)((double)values[i] / (double)top * 7);
		const char *c = (utf8 ? blocks : ascii)[level > 8 ? 8 : level];

		end = stpcpy(end, c);
	}
	return buf;
}

bool text_utf8(void)
{
	locale_t loc = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	bool yes = loc && !strcmp(nl_langinfo_l(CODESET, loc), "UTF-8");

	if (loc)
		freelocale(loc);
	return yes;
}
