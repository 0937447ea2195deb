/* SPDX-License-Identifier: MIT */
/*
 * `reclaim top` on a terminal.
 *
 *	name and age, bars of the budget and of swap      what there is
 *	a line for each rate, with its last minutes       what happens
 *	a line for each group                             where
 *	keys
 *
 * What does not fit is left out from the bottom, and lines are cut at the edge. Everything is drawn
 * anew each time; ncurses finds out what has changed.
 */
#define _GNU_SOURCE
#include <curses.h>
#include <inttypes.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/table.h"
#include "cli/top.h"

enum {
	COLOR_ANON = 1,
	COLOR_FILE,
	COLOR_OTHER,
	COLOR_ALARM
};

struct screen {
	struct top *t;
	bool utf8, color;
	int rows, columns;
	u32 first; /* group shown first */
};

static void paint(const struct screen *s, int color, bool on)
{
	if (!s->color)
		return;
	if (on)
		attron(COLOR_PAIR(color));
	else
		attroff(COLOR_PAIR(color));
}

/* Text at a place, cut at the edge. Returns the column behind it (a byte a column). */
__attribute__((format(printf, 4, 5))) static int put(const struct screen *s, int row, int column,
						     const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (column < s->columns)
		mvaddnstr(row, column, text, s->columns - column);
	return column + (int)strlen(text);
}

static u64 figure(const struct screen *s, const char *name)
{
	s64 v = rcl_stats_value(&s->t->last, NULL, name);

	return v > 0 ? (u64)v : 0;
}

/* Columns of `width` that part is of whole. */
static int cells(u64 part, u64 whole, int width)
{
	double n = whole ? (double)part / (double)whole * width + 0.5 : 0;

	return n > width ? width : (int)n;
}

struct segment {
	u64 part;
	int color;
	char mark;
};

/* "title [###==    ] used of whole (12%)" */
static void bar(const struct screen *s, int row, const char *title, const struct segment *segments,
		size_t nr, u64 used, u64 whole)
{
	char a[TEXT_MAX], b[TEXT_MAX], text[3 * TEXT_MAX];
	int width, at = 0;

	snprintf(text, sizeof(text), "%s of %s (%.0f%%)", top_amount(used, TOP_BYTES, a),
		 top_amount(whole, TOP_BYTES, b),
		 whole ? 100.0 * (double)used / (double)whole : 0.0);
	width = s->columns - 8 - 3 - 34;
	put(s, row, 0, "%-7s ", title);
	if (width < 8) {
		put(s, row, 8, "%s", text);
		return;
	}
	mvaddch(row, 8, '[');
	for (size_t i = 0; i < nr; i++) {
		int n = cells(segments[i].part, whole, width);

		paint(s, segments[i].color, true);
		for (; n > 0 && at < width; n--, at++)
			addch((chtype)segments[i].mark);
		paint(s, segments[i].color, false);
	}
	for (; at < width; at++)
		addch(' ');
	put(s, row, 9 + width, "] %s", text);
}

static int draw_sizes(const struct screen *s, int row)
{
	u64 anon = figure(s, "anon"), file = figure(s, "file"), used = figure(s, "used");
	u64 swap = figure(s, "swap_used");
	const struct segment memory[] = {
		{anon, COLOR_ANON, '|'},
		{file, COLOR_FILE, '='},
		{used > anon + file ? used - anon - file : 0, COLOR_OTHER, '.'},
	};
	const struct segment swapped[] = {{swap, COLOR_ANON, '|'}};
	char a[TEXT_MAX], b[TEXT_MAX], c[TEXT_MAX];

	bar(s, row++, "memory", memory, ARRAY_SIZE(memory), used, figure(s, "budget"));
	if (figure(s, "swap_size"))
		bar(s, row++, "swap", swapped, 1, swap, figure(s, "swap_size"));
	put(s, row++, 8, "| anonymous %s   = files %s (%s dirty)   . other",
	    top_amount(anon, TOP_BYTES, a), top_amount(file, TOP_BYTES, b),
	    top_amount(figure(s, "dirty"), TOP_BYTES, c));
	if (figure(s, "io_errors") || figure(s, "checksum_errors")) {
		paint(s, COLOR_ALARM, true);
		put(s, row++, 8, "%" PRIu64 " I/O errors, %" PRIu64 " wrong checksums",
		    figure(s, "io_errors"), figure(s, "checksum_errors"));
		paint(s, COLOR_ALARM, false);
	}
	return row;
}

static int draw_rates(const struct screen *s, int row)
{
	const struct top *t = s->t;
	int width = s->columns - 28;
	u32 nr = t->nr_history;

	attron(A_BOLD);
	put(s, row++, 0, "%-14s %10s", "per second", "now");
	attroff(A_BOLD);
	if (width < 0)
		width = 0;
	if (nr > (u32)width)
		nr = (u32)width;
	for (u32 i = 0; i < NR_TOP_RATES && row < s->rows - 1; i++) {
		const u64 *values = t->history[i] + t->nr_history - nr;
		char text[TEXT_MAX], line[3 * TOP_HISTORY + 1];
		u64 highest = 0;

		for (u32 k = 0; k < nr; k++)
			highest = max(highest, values[k]);
		/* Shares of time have a scale of their own, or a little would look like much. */
		if (top_rates[i].unit == TOP_SHARE)
			highest = max(highest, (u64)100000);
		text_sparkline(values, nr, highest, s->utf8, line);
		put(s, row, 0, "%-14s %10s  ", top_rates[i].title,
		    top_amount(t->rates[i], top_rates[i].unit, text));
		mvaddstr(row++, 27 + width - (int)nr, line);
	}
	return row;
}

static int draw_groups(struct screen *s, int row)
{
	const struct top *t = s->t;
	int name = s->columns - 6 * 11 - 1;
	char a[TEXT_MAX], b[TEXT_MAX], c[TEXT_MAX], d[TEXT_MAX], e[TEXT_MAX], f[TEXT_MAX];

	if (!t->nr_groups || row >= s->rows - 2)
		return row;
	if (name < 8)
		name = 8;
	attron(A_BOLD);
	put(s, row++, 0, "%-*.*s %10s %10s %10s %10s %10s %10s", name, name, "group", "usage",
	    "limit", "faults", "refaults", "reclaimed", "stalled");
	attroff(A_BOLD);
	if (s->first >= t->nr_groups)
		s->first = t->nr_groups - 1;
	for (u32 i = s->first; i < t->nr_groups && row < s->rows - 1; i++) {
		const struct top_group *g = &t->groups[i];

		put(s, row, 0, "%s", g->path);
		/* The path may have more bytes than columns: place what follows. */
		move(row, name);
		clrtoeol();
		put(s, row, name, " %10s %10s %10s %10s %10s %10s",
		    top_amount(g->usage, TOP_BYTES, a),
		    g->limit == INT64_MAX ? "-" : top_amount(g->limit, TOP_BYTES, b),
		    top_amount(g->faults, TOP_COUNT, c), top_amount(g->refaults, TOP_COUNT, d),
		    top_amount(g->reclaimed, TOP_COUNT, e), top_amount(g->stalled, TOP_SHARE, f));
		row++;
	}
	return row;
}

static void draw_keys(const struct screen *s)
{
	int column;

	attron(A_REVERSE);
	column = put(s, s->rows - 1, 0, " q quit  s sort: %s  up, down: groups ",
		     top_sort_names[s->t->sort]);
	if (s->t->last.header->groups_left_out)
		put(s, s->rows - 1, column, " %u more groups are not shown ",
		    s->t->last.header->groups_left_out);
	attroff(A_REVERSE);
}

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

static void draw(struct screen *s)
{
	const struct stats_header *h = s->t->last.header;
	u64 now = now_ns(), age = now > h->updated_ns ? now - h->updated_ns : 0;
	char text[TEXT_MAX];
	int row = 0, column;

	getmaxyx(stdscr, s->rows, s->columns);
	erase();
	attron(A_BOLD);
	column = put(s, row, 0, "%s", h->machine);
	attroff(A_BOLD);
	column = put(s, row, column, " (process %d), open for %s", (int)h->pid,
		     text_time((h->updated_ns - h->opened_ns) / 1000000000 * 1000000000, text));
	if (age > 3000000000u) {
		paint(s, COLOR_ALARM, true);
		put(s, row, column, "   not updated for %s",
		    text_time(age / 1000000000 * 1000000000, text));
		paint(s, COLOR_ALARM, false);
	}
	row = draw_sizes(s, row + 1);
	row = draw_rates(s, row + 1);
	draw_groups(s, row + 1);
	draw_keys(s);
	refresh();
}

/* False: end. */
static bool key(struct screen *s, int c)
{
	struct top *t = s->t;

	switch (c) {
	case 'q':
	case 'Q':
	case 27:
		return false;
	case 's':
		t->sort = (t->sort + 1) % NR_TOP_SORTS;
		top_sort_groups(t);
		break;
	case KEY_DOWN:
	case 'j':
		s->first++;
		break;
	case KEY_UP:
	case 'k':
		s->first -= s->first > 0;
		break;
	}
	return true;
}

static bool start(struct screen *s, SCREEN **terminal)
{
	setlocale(LC_CTYPE, "");
	s->utf8 = text_utf8();
	*terminal = newterm(NULL, stdout, stdin);
	if (!*terminal)
		return false;
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, true);
	set_escdelay(50);
	s->color = !getenv("NO_COLOR") && has_colors() && start_color() == OK &&
		   use_default_colors() == OK;
	if (s->color) {
		init_pair(COLOR_ANON, COLOR_GREEN, -1);
		init_pair(COLOR_FILE, COLOR_CYAN, -1);
		init_pair(COLOR_OTHER, COLOR_YELLOW, -1);
		init_pair(COLOR_ALARM, COLOR_RED, -1);
	}
	return true;
}

int top_screen(struct top *t, u64 interval_ms)
{
	struct screen s = {.t = t};
	u64 next = now_ns() + interval_ms * 1000000;
	SCREEN *terminal;
	bool alive = true;
	int err = 0;

	if (!start(&s, &terminal))
		return cli_error(CLI_FAILED, "top: the terminal cannot be used for a screen; try "
					     "--once");
	while (alive) {
		u64 now;
		int c;

		draw(&s);
		now = now_ns();
		timeout(next > now ? (int)((next - now) / 1000000 + 1) : 0);
		c = getch();
		if (c != ERR && !key(&s, c))
			break;
		if (now_ns() < next)
			continue;
		next = now_ns() + interval_ms * 1000000;
		err = top_update(t);
		/* A page cut short or garbled: perhaps because its program has ended. */
		alive = err >= 0 && rcl_stats_is_alive(t->fd);
	}
	endwin();
	delscreen(terminal);
	if (err < 0)
		return cli_error(CLI_FAILED, "top: the statistics cannot be read any more: %s",
				 strerror(-err));
	if (!alive)
		printf("%s (process %d) has ended\n", t->last.header->machine,
		       (int)t->last.header->pid);
	return CLI_OK;
}
