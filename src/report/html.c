/* SPDX-License-Identifier: MIT */
/*
 * A sizing as one page: the answers, four charts, and the tables they are drawn from. There is no
 * script and no reference to anything outside: the page can be mailed, printed and kept. All that
 * comes from a trace (names, paths) is escaped.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "report/chart.h"
#include "report/report.h"
#include "report/style.h"

#define PAGE	      4096u
#define SERIES_MAX    256
#define REGIONS_SHOWN 24
#define TIMES	      "\u00d7"
#define DASH	      "\u2013"

/* Strokes by rank; the style sheet knows them. */
static const char *const strokes[] = {"a", "b", "c", "d", "e"};
#define STROKES (sizeof(strokes) / sizeof(strokes[0]))

/* ---- Words --------------------------------------------------------------------------------- */

static char *time_text(uint64_t ns, char buf[CHART_TEXT])
{
	double s = (double)ns / 1e9;

	if (s < 0.0009995)
		snprintf(buf, CHART_TEXT, "%.0f \u00b5s", s * 1e6);
	else if (s < 0.9995)
		snprintf(buf, CHART_TEXT, "%.3g ms", s * 1e3);
	else if (s < 99.95)
		snprintf(buf, CHART_TEXT, "%.3g s", s);
	else
		snprintf(buf, CHART_TEXT, "%.0f s", s);
	return buf;
}

static char *slow_text(double s, char buf[CHART_TEXT])
{
	if (isinf(s))
		snprintf(buf, CHART_TEXT, "killed");
	else
		snprintf(buf, CHART_TEXT, s < 99.95 ? "%.2f" TIMES : "%.0f" TIMES, s);
	return buf;
}

/* Two slowdowns side by side, with as many digits as tell them apart. */
static void slow_texts(double good, double bad, char a[CHART_TEXT], char b[CHART_TEXT])
{
	slow_text(good, a);
	slow_text(bad, b);
	if (strcmp(a, b) || isinf(good))
		return;
	snprintf(a, CHART_TEXT, "%.4f" TIMES, good);
	snprintf(b, CHART_TEXT, "%.4f" TIMES, bad);
}

static char *accepted_text(double s, char buf[CHART_TEXT])
{
	snprintf(buf, CHART_TEXT, "%.6g" TIMES, s);
	return buf;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static void head(const struct rcl_report *r, FILE *out)
{
	char a[CHART_TEXT], b[CHART_TEXT];
	const char *name = strcmp(r->trace, "-") ? base_name(r->trace) : "standard input";

	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<link rel=\"icon\" href=\"data:,\">\n<title>Memory for ",
	      out);
	chart_text(out, name);
	fprintf(out,
		"</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<h1>How much memory for ",
		style);
	chart_text(out, name);
	fprintf(out, "?</h1>\n<p>With memory for everything it takes %s and uses %s at most. ",
		time_text(r->run_ns, a), chart_size(r->need, b));
	fprintf(out, "It touches %s", chart_size((r->anon_pages + r->file_pages) * PAGE, a));
	if (r->anon_pages && r->file_pages)
		fprintf(out, ": %s of anonymous memory and %s of files",
			chart_size(r->anon_pages * PAGE, a), chart_size(r->file_pages * PAGE, b));
	else
		fputs(r->anon_pages ? " of anonymous memory" : " of files", out);
	fprintf(out, ", in %s accesses.</p>\n", chart_count((double)r->accesses, a));
}

static void answers(const struct rcl_report *r, FILE *out)
{
	char x[CHART_TEXT], size[CHART_TEXT], slow[CHART_TEXT], worse[CHART_TEXT];

	fputs("<ul class=\"answers\" aria-label=\"The smallest limits\">\n", out);
	for (uint32_t i = 0; i < r->nr_accepted; i++) {
		const struct rcl_report_answer *a = &r->settings[0].answers[i];

		fprintf(out, "<li><span class=\"m\">at most %s as long</span> ",
			accepted_text(r->accepted[i], x));
		if (!a->found) {
			fputs("<b>none</b> <span class=\"s\">no limit is enough</span></li>\n",
			      out);
			continue;
		}
		slow_texts(a->slowdown, a->worse_slowdown, slow, worse);
		fprintf(out, "<b>%s</b> <span class=\"s m\">%.0f%% of what it uses; %s there",
			chart_limit(a->limit, size), 100.0 * (double)a->limit / (double)r->need,
			slow);
		if (a->worse_limit)
			fprintf(out, ", %s with %s", worse, chart_limit(a->worse_limit, size));
		if (a->limit > r->need + r->exact)
			fputs(". More than it uses: what may be dirty is a share of the limit",
			      out);
		fputs("</span></li>\n", out);
	}
	fputs("</ul>\n", out);
}

/* ---- Charts -------------------------------------------------------------------------------- */

static void key_begin(FILE *out)
{
	fputs("<ul class=\"key\">\n", out);
}

static void key(FILE *out, const char *stroke, const char *text)
{
	fprintf(out,
		"<li><svg viewBox=\"0 0 30 10\" aria-hidden=\"true\"><path class=\"%s\" "
		"d=\"M1 5H29\"/></svg>",
		stroke);
	chart_text(out, text);
	fputs("</li>\n", out);
}

static void key_end(FILE *out)
{
	fputs("</ul>\n", out);
}

static void figure_begin(FILE *out, const char *title)
{
	fprintf(out, "<figure>\n<h2>%s</h2>\n", title);
}

static void figure_end(FILE *out, const char *caption)
{
	fprintf(out, "<figcaption>%s</figcaption>\n</figure>\n", caption);
}

static double top_limit(const struct rcl_report *r)
{
	double top = (double)r->need;

	for (uint32_t i = 0; i < r->nr_points; i++)
		top = fmax(top, (double)r->points[i].limit);
	return top;
}

/* Beyond this, how slow exactly is no use to anybody, and the part that matters gets room. */
static double top_slowdown(const struct rcl_report *r)
{
	double want = 8, most = 1;

	for (uint32_t i = 0; i < r->nr_accepted; i++)
		want = fmax(want, 4 * r->accepted[i]);
	for (uint32_t s = 0; s < r->nr_settings; s++)
		for (uint32_t i = 0; i < r->settings[s].nr_points; i++)
			if (isfinite(r->settings[s].points[i].slowdown))
				most = fmax(most, r->settings[s].points[i].slowdown);
	for (uint32_t i = 0; i < r->nr_accepted; i++)
		most = fmax(most, 1.1 * r->accepted[i]);
	return fmin(want, most * 1.05);
}

static void draw_setting(struct chart *c, const struct rcl_report_setting *s, const char *stroke)
{
	double x[SERIES_MAX], y[SERIES_MAX];
	uint32_t nr = s->nr_points < SERIES_MAX ? s->nr_points : SERIES_MAX;

	for (uint32_t i = 0; i < nr; i++) {
		x[i] = (double)s->points[i].limit;
		y[i] = s->points[i].slowdown;
	}
	chart_line(c, stroke, x, y, nr);
}

static void killed_band(struct chart *c, const struct rcl_report *r)
{
	for (uint32_t i = 0; i < r->nr_points; i++) {
		if (!isinf(r->points[i].slowdown))
			continue;
		chart_band(c, 0, (double)r->points[i].limit, "killed");
		return;
	}
}

static void slowdown_chart(const struct rcl_report *r, FILE *out)
{
	char text[160], size[CHART_TEXT], slow[CHART_TEXT], count[CHART_TEXT];
	struct chart c = {
		.out = out,
		.id = "slowdown",
		.x = {CHART_LINEAR, 0, top_limit(r)},
		.y = {CHART_LOG, 1, top_slowdown(r)},
	};

	figure_begin(out, "Slowdown");
	chart_begin(&c, "Slowdown over the memory limit",
		    "One line for each setting: how many times as long the program takes as with "
		    "memory for everything. The table of runs below has the numbers.");
	chart_y_times(&c, "run time, as a multiple");
	chart_x_bytes(&c, "memory limit");
	killed_band(&c, r);
	for (uint32_t i = 0; i < r->nr_accepted; i++)
		chart_level(&c, r->accepted[i], accepted_text(r->accepted[i], text));
	for (uint32_t s = r->nr_settings; s-- > 0;)
		draw_setting(&c, &r->settings[s], strokes[s % STROKES]);
	for (uint32_t s = 1; s < r->nr_settings; s++) {
		const struct rcl_report_setting *set = &r->settings[s];

		for (uint32_t i = 0; i < set->nr_points; i++) {
			if (!isinf(set->points[i].slowdown))
				continue;
			/* The largest limit that kills: one cross tells. */
			snprintf(text, sizeof(text), "%s, %s: killed", set->name,
				 chart_limit(set->points[i].limit, size));
			snprintf(slow, sizeof(slow), "%s dot", strokes[s % STROKES]);
			chart_dot(&c, slow, (double)set->points[i].limit, INFINITY, text);
			break;
		}
	}
	for (uint32_t i = 0; i < r->nr_points; i++) {
		const struct rcl_report_point *p = &r->points[i];

		snprintf(text, sizeof(text), "%s: %s, %s refaults", chart_limit(p->limit, size),
			 slow_text(p->slowdown, slow), chart_count((double)p->refaults, count));
		chart_dot(&c, "a dot", (double)p->limit, p->slowdown, text);
	}
	chart_end(&c);
	key_begin(out);
	for (uint32_t s = 0; s < r->nr_settings; s++)
		key(out, strokes[s % STROKES], r->settings[s].name);
	key_end(out);
	figure_end(out, "Against the same program with memory for everything. A cross at the top "
			"is slower than the chart is high, or killed.");
}

struct series {
	const char *name, *stroke;
	double y[SERIES_MAX];
};

/* Lines over the limit; runs that were ended have done only part of the work and are left out. */
static void draw_series(struct chart *c, const struct rcl_report *r, const struct series *s,
			uint32_t nr)
{
	double x[SERIES_MAX];
	uint32_t points = r->nr_points < SERIES_MAX ? r->nr_points : SERIES_MAX;

	for (uint32_t i = 0; i < points; i++)
		x[i] = (double)r->points[i].limit;
	for (uint32_t k = nr; k-- > 0;)
		chart_line(c, s[k].stroke, x, s[k].y, points);
	for (uint32_t k = 0; k < nr; k++) {
		char class[16], text[160], size[CHART_TEXT], count[CHART_TEXT];

		snprintf(class, sizeof(class), "%s dot", s[k].stroke);
		for (uint32_t i = 0; i < points; i++) {
			if (!isfinite(s[k].y[i]))
				continue;
			if (c->y.scale == CHART_COUNTS)
				chart_count(s[k].y[i], count);
			else
				chart_size((uint64_t)s[k].y[i], count);
			snprintf(text, sizeof(text), "%s: %s %s", chart_limit((uint64_t)x[i], size),
				 count, s[k].name);
			chart_dot(c, class, x[i], s[k].y[i], text);
		}
	}
}

static double highest(const struct series *s, uint32_t nr, uint32_t points, double least)
{
	for (uint32_t k = 0; k < nr; k++)
		for (uint32_t i = 0; i < points; i++)
			if (isfinite(s[k].y[i]))
				least = fmax(least, s[k].y[i]);
	return least;
}

static void fault_chart(const struct rcl_report *r, FILE *out)
{
	struct series *s = calloc(2, sizeof(*s));
	uint32_t points = r->nr_points < SERIES_MAX ? r->nr_points : SERIES_MAX;

	if (!s)
		return;
	s[0].name = "refaults";
	s[0].stroke = "a";
	s[1].name = "major faults";
	s[1].stroke = "b";
	for (uint32_t i = 0; i < points; i++) {
		bool killed = isinf(r->points[i].slowdown) || r->points[i].gave_up;

		s[0].y[i] = killed ? NAN : (double)r->points[i].refaults;
		s[1].y[i] = killed ? NAN : (double)r->points[i].major_faults;
	}
	struct chart c = {
		.out = out,
		.id = "faults",
		.x = {CHART_LINEAR, 0, top_limit(r)},
		.y = {CHART_COUNTS, 0, highest(s, 2, points, 10) * 1.1},
	};

	figure_begin(out, "Pages that came back");
	chart_begin(&c, "Refaults and major faults over the memory limit",
		    "Refaults are pages that were used again after reclaim had taken them; major "
		    "faults are the times the program waited for a page. Logarithmic scale.");
	chart_y_counts(&c, "pages, faults");
	chart_x_bytes(&c, "memory limit");
	killed_band(&c, r);
	draw_series(&c, r, s, 2);
	chart_end(&c);
	key_begin(out);
	key(out, "a", "refaults: used again after reclaim had taken them");
	key(out, "b", "major faults: waits for a page");
	key_end(out);
	figure_end(out, "Readahead brings in several pages for one wait. Logarithmic scale.");
	free(s);
}

static void traffic_chart(const struct rcl_report *r, FILE *out)
{
	struct series *s = calloc(3, sizeof(*s));
	uint32_t points = r->nr_points < SERIES_MAX ? r->nr_points : SERIES_MAX;
	double cap = 0;

	if (!s)
		return;
	s[0].name = "swapped in";
	s[0].stroke = "a";
	s[1].name = "swapped out";
	s[1].stroke = "b";
	s[2].name = "written back";
	s[2].stroke = "c";
	for (uint32_t i = 0; i < points; i++) {
		const struct rcl_report_point *p = &r->points[i];
		bool killed = isinf(p->slowdown) || p->gave_up;

		s[0].y[i] = killed ? NAN : (double)p->swap_in * PAGE;
		s[1].y[i] = killed ? NAN : (double)p->swap_out * PAGE;
		s[2].y[i] = killed ? NAN : (double)p->written * PAGE;
		/* What lies beyond the other chart's top would flatten the rest. */
		if (p->slowdown <= top_slowdown(r))
			cap = fmax(cap, fmax(s[0].y[i], fmax(s[1].y[i], s[2].y[i])));
	}
	struct chart c = {
		.out = out,
		.id = "traffic",
		.x = {CHART_LINEAR, 0, top_limit(r)},
		.y = {CHART_LINEAR, 0, fmax(cap, 1 << 20) * 1.15},
	};

	figure_begin(out, "Traffic");
	chart_begin(&c, "Swap and write-back traffic over the memory limit",
		    "Amounts read from swap, written to swap, and written in all, to swap and to "
		    "files.");
	chart_y_bytes(&c, "over the whole run");
	chart_x_bytes(&c, "memory limit");
	killed_band(&c, r);
	draw_series(&c, r, s, 3);
	chart_end(&c);
	key_begin(out);
	key(out, "a", "swapped in");
	key(out, "b", "swapped out");
	key(out, "c", "written back, to swap and to files");
	key_end(out);
	figure_end(out, "A cross at the top is more than the chart is high: see the table.");
	free(s);
}

static void course_chart(const struct rcl_report *r, FILE *out)
{
	double x[SERIES_MAX], set[SERIES_MAX], all[SERIES_MAX], top = PAGE;
	uint32_t nr = r->course.nr < SERIES_MAX ? r->course.nr : SERIES_MAX;
	char text[2 * CHART_TEXT + 4], slow[CHART_TEXT], size[CHART_TEXT];

	if (!nr)
		return;
	for (uint32_t i = 0; i < nr; i++) {
		x[i] = (i + 0.5) / nr;
		set[i] = (double)r->course.working_set[i] * PAGE;
		all[i] = (double)r->course.footprint[i] * PAGE;
		top = fmax(top, all[i]);
	}
	struct chart c = {
		.out = out,
		.id = "course",
		.x = {CHART_LINEAR, 0, 1},
		.y = {CHART_LINEAR, 0, top * 1.1},
	};

	figure_begin(out, "Over the run");
	chart_begin(&c, "Footprint and working set over the course of the program",
		    "Memory touched from the start, and memory touched in each short part of the "
		    "run.");
	chart_y_bytes(&c, "memory touched");
	chart_x_share(&c, "share of the program's accesses");
	chart_area(&c, "fill", x, set, nr);
	for (uint32_t i = 0; i < r->nr_accepted; i++) {
		const struct rcl_report_answer *a = &r->settings[0].answers[i];

		if (!a->found)
			continue;
		snprintf(text, sizeof(text), "%s: %s", accepted_text(r->accepted[i], slow),
			 chart_limit(a->limit, size));
		chart_level(&c, (double)a->limit, text);
	}
	chart_line(&c, "b", x, all, nr);
	chart_line(&c, "a", x, set, nr);
	chart_end(&c);
	key_begin(out);
	key(out, "b", "touched so far");
	key(out, "a", "touched just then");
	key_end(out);
	fprintf(out,
		"<figcaption>Just then: within 1/%u of the run. Dotted: the limits "
		"found.</figcaption>"
		"\n</figure>\n",
		r->course.nr);
}

/* ---- Tables -------------------------------------------------------------------------------- */

/* The caption stands outside: a table may be wider than a phone, and scrolls. */
static void table_begin(FILE *out, const char *id, const char *caption)
{
	fprintf(out,
		"<p class=\"s m\" id=\"%s\">%s</p>\n<div class=\"scroll\" tabindex=\"0\" "
		"role=\"region\" aria-labelledby=\"%s\">\n<table aria-labelledby=\"%s\">\n"
		"<thead><tr>",
		id, caption, id, id);
}

static void heading(FILE *out, const char *text)
{
	fputs("<th scope=\"col\">", out);
	chart_text(out, text);
	fputs("</th>", out);
}

static void table_body(FILE *out)
{
	fputs("</tr></thead>\n<tbody>\n", out);
}

static void table_end(FILE *out)
{
	fputs("</tbody>\n</table>\n</div>\n", out);
}

static void row_begin(FILE *out, const char *text)
{
	fputs("<tr><th scope=\"row\">", out);
	chart_text(out, text);
	fputs("</th>", out);
}

static void cell(FILE *out, const char *text)
{
	fputs("<td>", out);
	chart_text(out, text);
	fputs("</td>", out);
}

static void row_end(FILE *out)
{
	fputs("</tr>\n", out);
}

static void settings_table(const struct rcl_report *r, FILE *out)
{
	const struct rcl_report_answer *first = r->settings[0].answers;
	char text[CHART_TEXT + 16], buf[CHART_TEXT];

	if (r->nr_settings < 2)
		return;
	fputs("<h2>Other settings</h2>\n", out);
	table_begin(out, "settings",
		    "The smallest limit for each slowdown, and how slow the program is under "
		    "the limits found with the first setting.");
	heading(out, "setting");
	for (uint32_t i = 0; i < r->nr_accepted; i++)
		heading(out, accepted_text(r->accepted[i], buf));
	for (uint32_t i = 0; i < r->nr_accepted; i++) {
		if (!first[i].found || (i && first[i].limit == first[i - 1].limit))
			continue;
		snprintf(text, sizeof(text), "with %s", chart_limit(first[i].limit, buf));
		heading(out, text);
	}
	table_body(out);
	for (uint32_t s = 0; s < r->nr_settings; s++) {
		const struct rcl_report_setting *row = &r->settings[s];

		row_begin(out, row->name);
		for (uint32_t i = 0; i < r->nr_accepted; i++) {
			const struct rcl_report_answer *a = &row->answers[i];

			snprintf(text, sizeof(text), "%s%s",
				 a->found && !a->worse_limit ? "\u2264 " : "",
				 a->found ? chart_limit(a->limit, buf) : "none");
			cell(out, text);
		}
		for (uint32_t i = 0; i < r->nr_accepted; i++) {
			if (!first[i].found || (i && first[i].limit == first[i - 1].limit))
				continue;
			cell(out, row->at[i] > 0 ? slow_text(row->at[i], buf) : DASH);
		}
		row_end(out);
	}
	table_end(out);
}

static void regions_table(const struct rcl_report *r, FILE *out)
{
	char text[CHART_TEXT * 3], buf[CHART_TEXT], slow[CHART_TEXT];

	if (!r->nr_at)
		return;
	fputs("<h2>Whose pages came back</h2>\n", out);
	table_begin(out, "regions",
		    "Refaults by what the pages belong to, under each of the limits found and "
		    "just below the last.");
	heading(out, "region");
	fputs("<th scope=\"col\" class=\"left\">kind</th>", out);
	heading(out, "touched");
	for (uint32_t k = 0; k < r->nr_at; k++) {
		snprintf(text, sizeof(text), "with %s (%s)", chart_limit(r->at[k].limit, buf),
			 slow_text(r->at[k].slowdown, slow));
		heading(out, text);
	}
	table_body(out);
	for (uint32_t i = 0; i < r->nr_regions; i++) {
		const struct rcl_report_region *region = &r->regions[i];

		if (i == REGIONS_SHOWN) {
			fprintf(out,
				"<tr><th scope=\"row\" class=\"m\">%u more, with fewer</th></tr>\n",
				r->nr_regions - i);
			break;
		}
		row_begin(out, region->name[0] ? region->name : "(no name)");
		fprintf(out, "<td class=\"left\">%s</td>", region->file ? "file" : "anonymous");
		cell(out, chart_size(region->pages * PAGE, buf));
		for (uint32_t k = 0; k < r->nr_at; k++)
			cell(out, chart_count((double)region->at[k].refaults, buf));
		row_end(out);
	}
	table_end(out);
}

static void count_cell(FILE *out, uint64_t n)
{
	char text[CHART_TEXT];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	cell(out, text);
}

static void share_cell(FILE *out, uint64_t part, uint64_t whole)
{
	char text[CHART_TEXT];

	snprintf(text, sizeof(text), "%.0f%%", whole ? 100.0 * (double)part / (double)whole : 0);
	cell(out, text);
}

static void runs_table(const struct rcl_report *r, FILE *out)
{
	static const char *const columns[] = {
		"limit",      "of use",	     "slowdown", "run time", "major faults", "refaults",
		"swapped in", "swapped out", "written",	 "waiting",  "stalled"};
	char buf[CHART_TEXT], text[CHART_TEXT + 4];

	fputs("<h2>The runs</h2>\n", out);
	table_begin(out, "runs",
		    "Counts are pages. Waiting: share of the run on devices. Stalled: share "
		    "in which the kernel counts memory pressure (PSI).");
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		heading(out, columns[i]);
	table_body(out);
	for (uint32_t i = 0; i < r->nr_points; i++) {
		const struct rcl_report_point *p = &r->points[i];
		bool killed = isinf(p->slowdown);

		row_begin(out, chart_limit(p->limit, buf));
		share_cell(out, p->limit, r->need);
		snprintf(text, sizeof(text), "%s%s", p->gave_up ? "> " : "",
			 slow_text(p->slowdown, buf));
		cell(out, text);
		cell(out, killed ? DASH : time_text(p->run_ns, buf));
		count_cell(out, p->major_faults);
		count_cell(out, p->refaults);
		count_cell(out, p->swap_in);
		count_cell(out, p->swap_out);
		count_cell(out, p->written);
		share_cell(out, p->wait_ns, p->run_ns);
		share_cell(out, p->stall_ns, p->run_ns);
		row_end(out);
	}
	table_end(out);
}

static void course_table(const struct rcl_report *r, FILE *out)
{
	char text[CHART_TEXT];

	fputs("<details>\n<summary>Footprint and working set in numbers</summary>\n", out);
	table_begin(out, "tenths", "Memory touched, at every tenth of the run.");
	heading(out, "up to");
	heading(out, "touched so far");
	heading(out, "just then");
	table_body(out);
	for (uint32_t k = 1; k <= 10 && r->course.nr >= 10; k++) {
		uint32_t i = r->course.nr * k / 10 - 1;

		snprintf(text, sizeof(text), "%u%%", k * 10);
		row_begin(out, text);
		cell(out, chart_size(r->course.footprint[i] * PAGE, text));
		cell(out, chart_size(r->course.working_set[i] * PAGE, text));
		row_end(out);
	}
	table_end(out);
	fputs("</details>\n", out);
}

static void foot(const struct rcl_report *r, FILE *out)
{
	char a[CHART_TEXT], b[CHART_TEXT];

	fprintf(out,
		"</main>\n<footer>\n<p>Simulated with Linux 6.1's memory reclaim by reclaim %s: "
		"%u runs on a machine with %s of memory, ",
		r->version, r->nr_runs, chart_size(r->memory, a));
	if (r->swap)
		fprintf(out, "%s of swap (%s), ", chart_size(r->swap, b), r->swap_device);
	else
		fputs("no swap, ", out);
	fprintf(out,
		"files on %s. A limit is the memory.max of the program's group and covers all that "
		"the kernel charges to it. Limits are exact to %s.",
		r->device, chart_limit(r->exact, a));
	if (!r->own_ns)
		fputs(" The trace does not say how long the program computes between accesses: "
		      "slowdowns are at most what is shown.",
		      out);
	fputs("</p>\n</footer>\n</body>\n</html>\n", out);
}

void rcl_report_html(const struct rcl_report *r, FILE *out)
{
	head(r, out);
	answers(r, out);
	fputs("<div class=\"charts\">\n", out);
	slowdown_chart(r, out);
	fault_chart(r, out);
	traffic_chart(r, out);
	course_chart(r, out);
	fputs("</div>\n", out);
	settings_table(r, out);
	regions_table(r, out);
	runs_table(r, out);
	course_table(r, out);
	foot(r, out);
}
