/* SPDX-License-Identifier: MIT */
#include "cli/size_print.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "cli/table.h"
#include "sim/size.h"

#define PAGE	      4096u
#define REGIONS_SHOWN 12

/* ---- Text ---------------------------------------------------------------------------------- */

/* "1.05x", "killed". */
static char *text_slowdown(double s, char buf[TEXT_MAX])
{
	if (isinf(s))
		snprintf(buf, TEXT_MAX, "killed");
	else
		snprintf(buf, TEXT_MAX, s < 99.95 ? "%.2fx" : "%.0fx", s);
	return buf;
}

/* Two slowdowns side by side, with as many digits as tell them apart. */
static void text_slowdowns(double good, double bad, char a[TEXT_MAX], char b[TEXT_MAX])
{
	text_slowdown(good, a);
	text_slowdown(bad, b);
	if (strcmp(a, b) || isinf(good))
		return;
	snprintf(a, TEXT_MAX, "%.4fx", good);
	snprintf(b, TEXT_MAX, "%.4fx", bad);
}

static char *text_accepted(double s, char buf[TEXT_MAX])
{
	snprintf(buf, TEXT_MAX, "%.6gx", s);
	return buf;
}

static void count_cell(struct table *t, uint64_t n)
{
	char buf[TEXT_MAX];

	table_cell(t, "%s", text_count(n, buf));
}

static void share_cell(struct table *t, uint64_t part, uint64_t whole)
{
	if (whole)
		table_cell(t, "%.0f%%", 100.0 * (double)part / (double)whole);
	else
		table_cell(t, "-");
}

/* A column whose title the table does not keep: `titles` does. */
static void titled(struct table *t, char title[TEXT_MAX], const char *fmt, const char *text)
{
	snprintf(title, TEXT_MAX, fmt, text);
	table_column(t, title, false);
}

static void print_head(const struct rcl_report *r, FILE *out)
{
	uint64_t touched = (r->anon_pages + r->file_pages) * PAGE;
	char n[TEXT_MAX], a[RCL_SIZE_TEXT], b[RCL_SIZE_TEXT], c[RCL_SIZE_TEXT];

	fprintf(out, "%s: %s accesses to %s (%s anonymous, %s of files)\n", r->trace,
		text_count(r->accesses, n), rcl_size_format(touched, a),
		rcl_size_format(r->anon_pages * PAGE, b), rcl_size_format(r->file_pages * PAGE, c));
	fprintf(out, "with memory for everything: %s, ", text_time(r->run_ns, n));
	fprintf(out, "uses %s at most\n", rcl_size_format(r->need, a));
}

static void print_course(const struct rcl_report *r, FILE *out)
{
	enum {
		COLUMNS = 60
	};
	uint64_t set[COLUMNS] = {0}, all[COLUMNS] = {0}, top = 0, widest = 0;
	char buf[COLUMNS * 3 + 1], text[RCL_SIZE_TEXT];
	uint32_t columns = r->course.nr < COLUMNS ? r->course.nr : COLUMNS;

	for (uint32_t i = 0; i < r->course.nr; i++) {
		uint32_t k = (uint32_t)((uint64_t)i * columns / r->course.nr);

		if (r->course.working_set[i] > set[k])
			set[k] = r->course.working_set[i];
		all[k] = r->course.footprint[i];
		if (set[k] > widest)
			widest = set[k];
		top = all[k];
	}
	if (!columns)
		return;
	fprintf(out, "touched so far    %s  %s\n",
		text_sparkline(all, columns, top, text_utf8(), buf),
		rcl_size_format(top * PAGE, text));
	fprintf(out, "touched just then %s  %s at most in 1/%u of the run\n\n",
		text_sparkline(set, columns, top, text_utf8(), buf),
		rcl_size_format(widest * PAGE, text), r->course.nr);
}

static void print_answer(const struct rcl_report *r, FILE *out, uint32_t i)
{
	const struct rcl_report_answer *a = &r->settings[0].answers[i];
	char x[TEXT_MAX], text[RCL_SIZE_TEXT], slow[TEXT_MAX], worse[TEXT_MAX];

	text_accepted(r->accepted[i], x);
	if (!a->found) {
		fprintf(out, "  at most %-6s no limit is enough\n", x);
		return;
	}
	text_slowdowns(a->slowdown, a->worse_slowdown, slow, worse);
	fprintf(out, "  at most %-6s %8s  %3.0f%% of what it uses; there %s", x,
		rcl_size_exact(a->limit, text), 100.0 * (double)a->limit / (double)r->need, slow);
	if (!a->worse_limit)
		fputs("; less was not tried", out);
	else if (isinf(a->worse_slowdown))
		fprintf(out, ", with %s killed", rcl_size_exact(a->worse_limit, text));
	else
		fprintf(out, ", with %s %s", rcl_size_exact(a->worse_limit, text), worse);
	fputs(a->limit > r->need + r->exact ? " (1)\n" : "\n", out);
}

/* Why an answer may be more than the program uses. */
static void print_note(const struct rcl_report *r, FILE *out)
{
	for (uint32_t i = 0; i < r->nr_accepted; i++) {
		if (r->settings[0].answers[i].limit <= r->need + r->exact)
			continue;
		fputs("(1) More than it uses: how much may be dirty before writers are held up is "
		      "a share of\n    the limit (vm.dirty_ratio).\n",
		      out);
		return;
	}
}

static void print_curve(const struct rcl_report *r, FILE *out)
{
	char text[RCL_SIZE_TEXT], slow[TEXT_MAX];
	struct table t;

	table_init(&t);
	table_column(&t, "limit", false);
	table_column(&t, "", false);
	table_column(&t, "major faults", false);
	table_column(&t, "refaults", false);
	table_column(&t, "swapped in", false);
	table_column(&t, "out", false);
	table_column(&t, "written", false);
	table_column(&t, "waiting", false);
	table_column(&t, "stalled", false);
	table_column(&t, "run time", false);
	table_column(&t, "slowdown", false);
	for (uint32_t i = 0; i < r->nr_points; i++) {
		const struct rcl_report_point *p = &r->points[i];

		table_cell(&t, "%s", rcl_size_exact(p->limit, text));
		share_cell(&t, p->limit, r->need);
		count_cell(&t, p->major_faults);
		count_cell(&t, p->refaults);
		count_cell(&t, p->swap_in);
		count_cell(&t, p->swap_out);
		count_cell(&t, p->written);
		share_cell(&t, p->wait_ns, p->run_ns);
		share_cell(&t, p->stall_ns, p->run_ns);
		table_cell(&t, "%s", isinf(p->slowdown) ? "-" : text_time(p->run_ns, slow));
		table_cell(&t, "%s%s", p->gave_up ? "> " : "", text_slowdown(p->slowdown, slow));
	}
	table_print(&t, out);
	table_free(&t);
}

/* An answer in a table: exact, or what is known of it. */
static void answer_cell(struct table *t, const struct rcl_report_answer *a)
{
	char text[RCL_SIZE_TEXT];

	if (!a->found)
		table_cell(t, "none");
	else if (!a->worse_limit)
		table_cell(t, "<= %s", rcl_size_exact(a->limit, text));
	else
		table_cell(t, "%s", rcl_size_exact(a->limit, text));
}

static void print_settings(const struct rcl_report *r, FILE *out)
{
	char titles[2 * RCL_REPORT_ACCEPTED_MAX][TEXT_MAX], text[TEXT_MAX], size[RCL_SIZE_TEXT];
	const struct rcl_report_answer *first = r->settings[0].answers;
	bool show[RCL_REPORT_ACCEPTED_MAX] = {false};
	/* Limits, and a few slowdowns: as many as there are columns. */
	uint32_t room = TABLE_COLUMNS_MAX - 1 - r->nr_accepted;
	struct table t;

	table_init(&t);
	table_column(&t, "smallest limit for", true);
	for (uint32_t i = 0; i < r->nr_accepted; i++)
		titled(&t, titles[i], "%s", text_accepted(r->accepted[i], text));
	for (uint32_t i = 0; i < r->nr_accepted && room; i++) {
		if (!first[i].found || (i && first[i].limit == first[i - 1].limit))
			continue;
		show[i] = true;
		room--;
		titled(&t, titles[RCL_REPORT_ACCEPTED_MAX + i], "with %s",
		       rcl_size_exact(first[i].limit, size));
	}
	for (uint32_t s = 0; s < r->nr_settings; s++) {
		const struct rcl_report_setting *row = &r->settings[s];

		table_cell(&t, "%s", row->name);
		for (uint32_t i = 0; i < r->nr_accepted; i++)
			answer_cell(&t, &row->answers[i]);
		for (uint32_t i = 0; i < r->nr_accepted; i++)
			if (show[i])
				table_cell(&t, "%s",
					   row->at[i] > 0 ? text_slowdown(row->at[i], text) : "-");
	}
	table_print(&t, out);
	table_free(&t);
}

static void print_regions(const struct rcl_report *r, FILE *out)
{
	char titles[RCL_REPORT_AT_MAX][TEXT_MAX], size[RCL_SIZE_TEXT];
	struct rcl_report_region rest = {0};
	struct table t;

	table_init(&t);
	table_column(&t, "refaults of", true);
	table_column(&t, "", true);
	table_column(&t, "touched", false);
	for (uint32_t k = 0; k < r->nr_at; k++)
		titled(&t, titles[k], "with %s", rcl_size_exact(r->at[k].limit, size));
	for (uint32_t i = 0; i < r->nr_regions; i++) {
		const struct rcl_report_region *region = &r->regions[i];

		if (i >= REGIONS_SHOWN && r->nr_regions > REGIONS_SHOWN + 1) {
			rest.pages += region->pages;
			for (uint32_t k = 0; k < r->nr_at; k++)
				rest.at[k].refaults += region->at[k].refaults;
			continue;
		}
		table_cell(&t, "%s", region->name[0] ? region->name : "(no name)");
		table_cell(&t, "%s", region->file ? "file" : "anonymous");
		table_cell(&t, "%s", rcl_size_format(region->pages * PAGE, size));
		for (uint32_t k = 0; k < r->nr_at; k++)
			count_cell(&t, region->at[k].refaults);
	}
	if (rest.pages) {
		table_cell(&t, "%u others", r->nr_regions - REGIONS_SHOWN);
		table_cell(&t, "%s", "");
		table_cell(&t, "%s", rcl_size_format(rest.pages * PAGE, size));
		for (uint32_t k = 0; k < r->nr_at; k++)
			count_cell(&t, rest.at[k].refaults);
	}
	table_print(&t, out);
	table_free(&t);
}

void size_print_text(const struct rcl_report *r, FILE *out)
{
	char text[RCL_SIZE_TEXT];

	print_head(r, out);
	print_course(r, out);
	fprintf(out, "Smallest limit for a slowdown of\n");
	for (uint32_t i = 0; i < r->nr_accepted; i++)
		print_answer(r, out, i);
	print_note(r, out);
	fputc('\n', out);
	print_curve(r, out);
	fputc('\n', out);
	print_settings(r, out);
	if (r->nr_at) {
		fputc('\n', out);
		print_regions(r, out);
	}
	fprintf(out, "\n%u runs; limits are exact to %s.", r->nr_runs,
		rcl_size_exact(r->exact, text));
	if (!r->own_ns)
		fputs(" The trace does not say how long the program computes\nbetween accesses, so "
		      "slowdowns are at most what is shown; --run-time tells.",
		      out);
	fputc('\n', out);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static json_t *number(double v)
{
	return isinf(v) || isnan(v) ? json_null() : json_real(round(v * 1e4) / 1e4);
}

static json_t *integer(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static json_t *answer_json(double accepted, const struct rcl_report_answer *a)
{
	json_t *o = json_object();

	json_object_set_new(o, "slowdown", number(accepted));
	json_object_set_new(o, "limit", a->found ? integer(a->limit) : json_null());
	if (a->found)
		json_object_set_new(o, "slowdown_there", number(a->slowdown));
	if (a->worse_limit) {
		json_object_set_new(o, "next_smaller", integer(a->worse_limit));
		json_object_set_new(o, "slowdown_then", number(a->worse_slowdown));
	}
	return o;
}

static json_t *curve_json(const struct rcl_report *r)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < r->nr_points; i++) {
		const struct rcl_report_point *p = &r->points[i];
		json_t *o = json_object();

		json_object_set_new(o, "limit", integer(p->limit));
		json_object_set_new(o, "outcome",
				    json_string(p->gave_up	     ? "too_long"
						: isinf(p->slowdown) ? "oom"
								     : "completed"));
		json_object_set_new(o, "slowdown", number(p->slowdown));
		json_object_set_new(o, "pgmajfault", integer(p->major_faults));
		json_object_set_new(o, "refaults", integer(p->refaults));
		json_object_set_new(o, "pswpin", integer(p->swap_in));
		json_object_set_new(o, "pswpout", integer(p->swap_out));
		json_object_set_new(o, "nr_written", integer(p->written));
		json_object_set_new(o, "run_ns", integer(p->run_ns));
		json_object_set_new(o, "stall_ns", integer(p->stall_ns));
		json_object_set_new(o, "io_wait_ns", integer(p->wait_ns));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *settings_json(const struct rcl_report *r)
{
	json_t *list = json_array();

	for (uint32_t s = 0; s < r->nr_settings; s++) {
		const struct rcl_report_setting *row = &r->settings[s];
		json_t *o = json_object(), *answers = json_array();

		for (uint32_t i = 0; i < r->nr_accepted; i++) {
			json_t *a = answer_json(r->accepted[i], &row->answers[i]);

			if (row->at[i] > 0)
				json_object_set_new(a, "slowdown_at_first_limit",
						    number(row->at[i]));
			json_array_append_new(answers, a);
		}
		json_object_set_new(o, "setting", json_string(row->name));
		json_object_set_new(o, "answers", answers);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *regions_json(const struct rcl_report *r)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < r->nr_regions; i++) {
		const struct rcl_report_region *region = &r->regions[i];
		json_t *o = json_object(), *at = json_array();

		json_object_set_new(o, "name", json_string(region->name));
		json_object_set_new(o, "kind", json_string(region->file ? "file" : "anonymous"));
		json_object_set_new(o, "pages", integer(region->pages));
		for (uint32_t k = 0; k < r->nr_at; k++) {
			json_t *e = json_object();

			json_object_set_new(e, "limit", integer(r->at[k].limit));
			json_object_set_new(e, "refaults", integer(region->at[k].refaults));
			json_object_set_new(e, "major_faults", integer(region->at[k].major_faults));
			json_object_set_new(e, "stall_ns", integer(region->at[k].stall_ns));
			json_array_append_new(at, e);
		}
		json_object_set_new(o, "at", at);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *series_json(const uint64_t *values, uint32_t nr)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < nr; i++)
		json_array_append_new(list, integer(values[i]));
	return list;
}

void size_print_json(const struct rcl_report *r, FILE *out)
{
	json_t *root = json_object(), *o = json_object(), *answers = json_array();

	json_object_set_new(o, "path", json_string(r->trace));
	json_object_set_new(o, "accesses", integer(r->accesses));
	json_object_set_new(o, "anon_pages", integer(r->anon_pages));
	json_object_set_new(o, "file_pages", integer(r->file_pages));
	json_object_set_new(root, "trace", o);
	o = json_object();
	json_object_set_new(o, "bytes", integer(r->need));
	json_object_set_new(o, "run_ns", integer(r->run_ns));
	json_object_set_new(o, "own_ns", r->own_ns ? integer(r->own_ns) : json_null());
	json_object_set_new(root, "unlimited", o);
	o = json_object();
	json_object_set_new(o, "memory", integer(r->memory));
	json_object_set_new(o, "swap", integer(r->swap));
	json_object_set_new(o, "device", json_string(r->device));
	json_object_set_new(o, "swap_device", json_string(r->swap_device));
	json_object_set_new(root, "machine", o);
	for (uint32_t i = 0; i < r->nr_accepted; i++)
		json_array_append_new(answers,
				      answer_json(r->accepted[i], &r->settings[0].answers[i]));
	json_object_set_new(root, "answers", answers);
	json_object_set_new(root, "exact_to", integer(r->exact));
	json_object_set_new(root, "runs", integer(r->nr_runs));
	json_object_set_new(root, "curve", curve_json(r));
	json_object_set_new(root, "settings", settings_json(r));
	json_object_set_new(root, "regions", regions_json(r));
	o = json_object();
	json_object_set_new(o, "footprint", series_json(r->course.footprint, r->course.nr));
	json_object_set_new(o, "working_set", series_json(r->course.working_set, r->course.nr));
	json_object_set_new(root, "course", o);
	json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
	fputc('\n', out);
	json_decref(root);
}
