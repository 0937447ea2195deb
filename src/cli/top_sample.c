/* SPDX-License-Identifier: MIT */
/*
 * From two samples of a machine's statistics to what happens per second, and how it is written.
 *
 * The time between samples is the writer's, so a reader that comes late sees right rates. Groups
 * are matched by number and name: a number may have been given to another group meanwhile. A
 * counter that went down (a group begun anew) counts as not having moved.
 */
#define _GNU_SOURCE
#include "cli/top.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/table.h"

const struct top_rate_info top_rates[NR_TOP_RATES] = {
	[TOP_FAULTS] = {"faults", "faults", TOP_COUNT},
	[TOP_MAJOR_FAULTS] = {"major_faults", "major faults", TOP_COUNT},
	[TOP_REFAULTS] = {"refaults", "refaults", TOP_COUNT},
	[TOP_SCANNED] = {"scanned", "scanned", TOP_COUNT},
	[TOP_RECLAIMED] = {"reclaimed", "reclaimed", TOP_COUNT},
	[TOP_SWAPPED_IN] = {"swapped_in", "swapped in", TOP_COUNT},
	[TOP_SWAPPED_OUT] = {"swapped_out", "swapped out", TOP_COUNT},
	[TOP_READ] = {"read", "read", TOP_BYTES},
	[TOP_WRITTEN] = {"written", "written", TOP_BYTES},
	[TOP_STALLED_SOME] = {"stalled_some", "stalled, some", TOP_SHARE},
	[TOP_STALLED_FULL] = {"stalled_full", "stalled, all", TOP_SHARE},
};

const char *const top_sort_names[NR_TOP_SORTS + 1] = {
	[TOP_BY_TREE] = "tree",		  [TOP_BY_USAGE] = "usage",
	[TOP_BY_FAULTS] = "faults",	  [TOP_BY_REFAULTS] = "refaults",
	[TOP_BY_RECLAIMED] = "reclaimed", [TOP_BY_STALLED] = "stalled",
};

/* ---- Rates --------------------------------------------------------------------------------- */

/* How much a counter grew, per second. */
static u64 per_second(s64 now, s64 before, u64 ns)
{
	if (now <= before || !ns)
		return 0;
	return (u64)((double)((u64)now - (u64)before) * 1e9 / (double)ns + 0.5);
}

/* Nanoseconds per second are parts per billion; CPUs' clocks may make it a little more than all. */
static u64 as_rate(u64 per_second, enum top_unit unit)
{
	if (unit != TOP_SHARE)
		return per_second;
	return per_second > 1000000000 ? 1000000 : per_second / 1000;
}

static const struct stats_group *find_before(const struct top *t, const struct stats_group *g)
{
	for (u32 i = 0; t->before.block && i < t->before.header->nr_groups; i++) {
		const struct stats_group *old = stats_view_group(&t->before, i);

		if (old->id == g->id && !strcmp(old->name, g->name))
			return old;
	}
	return NULL;
}

static u64 elapsed(const struct top *t)
{
	u64 now = t->last.header->updated_ns;

	if (!t->before.block || now <= t->before.header->updated_ns)
		return 0;
	return now - t->before.header->updated_ns;
}

static u64 group_rate(const struct top *t, const struct stats_group *now, const char *figure)
{
	const struct stats_group *old = find_before(t, now);

	if (!old)
		return 0;
	return per_second(rcl_stats_value(&t->last, now, figure),
			  rcl_stats_value(&t->before, old, figure), elapsed(t));
}

static void machine_rates(struct top *t)
{
	for (u32 i = 0; i < NR_TOP_RATES; i++) {
		const char *figure = top_rates[i].figure;
		u64 n = 0;

		if (t->before.block)
			n = per_second(rcl_stats_value(&t->last, NULL, figure),
				       rcl_stats_value(&t->before, NULL, figure), elapsed(t));
		t->rates[i] = as_rate(n, top_rates[i].unit);
		if (!t->before.block)
			continue;
		if (t->nr_history == TOP_HISTORY)
			memmove(t->history[i], t->history[i] + 1, (TOP_HISTORY - 1) * sizeof(u64));
		t->history[i][min(t->nr_history, TOP_HISTORY - 1)] = t->rates[i];
	}
	if (t->before.block && t->nr_history < TOP_HISTORY)
		t->nr_history++;
}

/* ---- Groups -------------------------------------------------------------------------------- */

static void free_groups(struct top *t)
{
	for (u32 i = 0; i < t->nr_groups; i++)
		free(t->groups[i].path);
	free(t->groups);
	t->groups = NULL;
	t->nr_groups = 0;
}

static u64 positive(s64 v)
{
	return v > 0 ? (u64)v : 0;
}

static int make_groups(struct top *t)
{
	u32 nr = t->last.header->nr_groups;

	free_groups(t);
	t->groups = calloc(nr ? nr : 1, sizeof(*t->groups));
	if (!t->groups)
		return -ENOMEM;
	for (; t->nr_groups < nr; t->nr_groups++) {
		const struct stats_group *r = stats_view_group(&t->last, t->nr_groups);
		struct top_group *g = &t->groups[t->nr_groups];

		/* They are in the tree's order here, so a parent's index is its place. */
		if (asprintf(&g->path, "%s%s%s",
			     r->parent == STATS_NO_PARENT ? "" : t->groups[r->parent].path,
			     r->parent == STATS_NO_PARENT ? "" : "/", r->name) < 0)
			return -ENOMEM;
		g->record = r;
		g->usage = positive(rcl_stats_value(&t->last, r, "usage"));
		g->limit = positive(rcl_stats_value(&t->last, r, "limit"));
		g->faults = group_rate(t, r, "pgfault");
		g->refaults = group_rate(t, r, "workingset_refault_anon") +
			      group_rate(t, r, "workingset_refault_file");
		g->scanned = group_rate(t, r, "pgscan");
		g->reclaimed = group_rate(t, r, "pgsteal");
		g->stalled = as_rate(group_rate(t, r, "stalled_some"), TOP_SHARE);
	}
	top_sort_groups(t);
	return 0;
}

static u64 sort_key(const struct top_group *g, enum top_sort sort)
{
	switch (sort) {
	case TOP_BY_USAGE:
		return g->usage;
	case TOP_BY_FAULTS:
		return g->faults;
	case TOP_BY_REFAULTS:
		return g->refaults;
	case TOP_BY_RECLAIMED:
		return g->reclaimed;
	case TOP_BY_STALLED:
		return g->stalled;
	default:
		return 0;
	}
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct top_group *x = a, *y = b;
	const struct top *t = arg;
	u64 i = sort_key(x, t->sort), k = sort_key(y, t->sort);

	if (i != k)
		return i < k ? 1 : -1;
	/* As they come in the page: the tree. */
	return x->record < y->record ? -1 : x->record > y->record;
}

void top_sort_groups(struct top *t)
{
	qsort_r(t->groups, t->nr_groups, sizeof(*t->groups), compare, t);
}

int top_update(struct top *t)
{
	struct stats_view now;
	int err = rcl_stats_load(t->fd, &now);

	if (err)
		return err;
	if (t->last.block && now.header->updated_ns == t->last.header->updated_ns) {
		rcl_stats_view_free(&now);
		return 0;
	}
	rcl_stats_view_free(&t->before);
	t->before = t->last;
	t->last = now;
	machine_rates(t);
	err = make_groups(t);
	return err ? err : 1;
}

void top_free(struct top *t)
{
	free_groups(t);
	rcl_stats_view_free(&t->last);
	rcl_stats_view_free(&t->before);
}

/* ---- As text ------------------------------------------------------------------------------- */

static char *text_bytes(u64 n, char *buf)
{
	static const char units[] = "BKMGTPE";
	double v = (double)n;
	u32 u = 0;

	for (; v >= 1023.5 && units[u + 1]; u++)
		v /= 1024;
	/* As the kernel counts: 1024. */
	if (u)
		snprintf(buf, TEXT_MAX, "%.*f %ciB", v < 99.95 ? 1 : 0, v, units[u]);
	else
		snprintf(buf, TEXT_MAX, "%" PRIu64 " B", n);
	return buf;
}

char *top_amount(u64 n, enum top_unit unit, char *buf)
{
	switch (unit) {
	case TOP_BYTES:
		return text_bytes(n, buf);
	case TOP_SHARE:
		snprintf(buf, TEXT_MAX, "%.1f%%", (double)n / 1e4);
		return buf;
	case TOP_COUNT:
		break;
	}
	return text_count(n, buf);
}

static void print_groups(const struct top *t, FILE *out)
{
	static const char *const titles[] = {"usage",	  "limit",	 "faults/s", "refaults/s",
					     "scanned/s", "reclaimed/s", "stalled"};
	char text[TEXT_MAX];
	struct table table;

	table_init(&table);
	table_column(&table, "group", true);
	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		table_column(&table, titles[i], false);
	for (u32 i = 0; i < t->nr_groups; i++) {
		const struct top_group *g = &t->groups[i];

		table_cell(&table, "%s", g->path);
		table_cell(&table, "%s", text_bytes(g->usage, text));
		table_cell(&table, "%s", g->limit == INT64_MAX ? "-" : text_bytes(g->limit, text));
		table_cell(&table, "%s", text_count(g->faults, text));
		table_cell(&table, "%s", text_count(g->refaults, text));
		table_cell(&table, "%s", text_count(g->scanned, text));
		table_cell(&table, "%s", text_count(g->reclaimed, text));
		table_cell(&table, "%s", top_amount(g->stalled, TOP_SHARE, text));
	}
	table_print(&table, out);
	table_free(&table);
}

static void print_size(const struct top *t, FILE *out, const char *title, const char *part,
		       const char *whole)
{
	char a[TEXT_MAX], b[TEXT_MAX];
	u64 n = positive(rcl_stats_value(&t->last, NULL, part));
	u64 of = positive(rcl_stats_value(&t->last, NULL, whole));

	fprintf(out, "%-16s%s of %s (%.1f%%)\n", title, text_bytes(n, a), text_bytes(of, b),
		of ? 100.0 * (double)n / (double)of : 0.0);
}

void top_print(const struct top *t, FILE *out)
{
	const struct stats_header *h = t->last.header;
	char text[TEXT_MAX];

	fprintf(out, "%s (process %d), open for %s\n\n", h->machine, (int)h->pid,
		text_time(h->updated_ns - h->opened_ns, text));
	print_size(t, out, "memory", "used", "budget");
	print_size(t, out, "  anonymous", "anon", "budget");
	print_size(t, out, "  files", "file", "budget");
	print_size(t, out, "  dirty", "dirty", "budget");
	if (rcl_stats_value(&t->last, NULL, "swap_size"))
		print_size(t, out, "swap", "swap_used", "swap_size");
	fprintf(out, "errors          %" PRId64 " of I/O, %" PRId64 " of checksums\n",
		rcl_stats_value(&t->last, NULL, "io_errors"),
		rcl_stats_value(&t->last, NULL, "checksum_errors"));
	fprintf(out, "\nper second, over the last %s:\n", text_time(elapsed(t), text));
	for (u32 i = 0; i < NR_TOP_RATES; i++)
		fprintf(out, "  %-14s %10s\n", top_rates[i].title,
			top_amount(t->rates[i], top_rates[i].unit, text));
	if (t->nr_groups) {
		fputc('\n', out);
		print_groups(t, out);
	}
	if (h->groups_left_out)
		fprintf(out, "and %u more groups\n", h->groups_left_out);
}

/* ---- As JSON ------------------------------------------------------------------------------- */

/* All figures, and how fast those that count grow. old NULL: not known. */
static void json_figures(json_t *to, const struct top *t, const struct stats_name *names, u32 nr,
			 const s64 *now, const struct stats_group *old, bool of_group)
{
	json_t *figures = json_object(), *rates = json_object();

	for (u32 i = 0; i < nr; i++) {
		const char *name = names[i].name;
		s64 before;

		json_object_set_new(figures, name,
				    now[i] == INT64_MAX ? json_null() : json_integer(now[i]));
		if (names[i].kind != STATS_COUNTER || !t->before.block || (of_group && !old))
			continue;
		before = rcl_stats_value(&t->before, old, name);
		json_object_set_new(
			rates, name,
			json_integer((json_int_t)per_second(now[i], before, elapsed(t))));
	}
	json_object_set_new(to, "figures", figures);
	json_object_set_new(to, "per_second", rates);
}

int top_print_json(const struct top *t, FILE *out)
{
	const struct stats_view *v = &t->last;
	const struct stats_header *h = v->header;
	json_t *groups = json_array();
	json_t *root = json_pack("{s:s, s:i, s:f, s:f}", "machine", h->machine, "pid", (int)h->pid,
				 "open_for", (double)(h->updated_ns - h->opened_ns) / 1e9,
				 "measured_over", (double)elapsed(t) / 1e9);
	int ret;

	json_figures(root, t, v->names, h->nr_figures, v->figures, NULL, false);
	for (u32 i = 0; i < t->nr_groups; i++) {
		const struct top_group *g = &t->groups[i];
		json_t *j =
			json_pack("{s:s, s:I}", "group", g->path, "id", (json_int_t)g->record->id);

		json_figures(j, t, v->group_names, h->nr_group_figures, g->record->figures,
			     find_before(t, g->record), true);
		json_array_append_new(groups, j);
	}
	json_object_set_new(root, "groups", groups);
	json_object_set_new(root, "groups_left_out", json_integer(h->groups_left_out));
	ret = json_dumpf(root, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(root);
	return ret ? CLI_FAILED : 0;
}
