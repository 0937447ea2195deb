/* SPDX-License-Identifier: MIT */
/*
 * Statistics in Prometheus' text format (version 0.0.4).
 *
 *	reclaim_NAME_UNIT           our own figures of the machine, counters with _total
 *	reclaim_vmstat_NAME         /proc/vmstat's, the kernel's names as they are
 *	reclaim_group_NAME_UNIT     our own figures of a group
 *	reclaim_memory_stat_NAME    memory.stat's of a group
 *
 * All carry the machine's name and the process; those of groups the group's path and number, since
 * two groups may have one name. Sizes are bytes and times seconds, but for vmstat's, which have the
 * kernel's units. All lines of one metric stand together, as the format wants it.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/metrics.h"
#include "api/stats_image.h"

static const struct stats_name *names_of(const struct stats_header *h)
{
	return (const struct stats_name *)((const char *)h + h->names_at);
}
static const struct stats_group *group_of(const struct stats_header *h, u32 i)
{
	return (const struct stats_group *)((const char *)h + h->groups_at +
					    (size_t)i * h->group_bytes);
}

static void label(FILE *out, const char *s, size_t max)
{
	for (size_t i = 0; i < max && s[i]; i++) {
		if (s[i] == '\n')
			fputs("\\n", out);
		else if (s[i] == '"' || s[i] == '\\')
			fprintf(out, "\\%c", s[i]);
		else
			fputc(s[i], out);
	}
}

static void group_path(FILE *out, const struct stats_header *h, const struct stats_group *g)
{
	if (g->parent != STATS_NO_PARENT) {
		group_path(out, h, group_of(h, g->parent));
		fputc('/', out);
	}
	label(out, g->name, sizeof(g->name));
}

static const char *unit_of(const struct stats_name *n)
{
	if (!n->own)
		return "";
	switch (n->unit) {
	case STATS_BYTES:
		return "_bytes";
	case STATS_PAGES:
		return "_pages";
	case STATS_NS:
		return "_seconds";
	}
	return "";
}

static void value(FILE *out, const struct stats_name *n, s64 v)
{
	if (n->unit == STATS_NS)
		fprintf(out, " %" PRIu64 ".%09" PRIu64 "\n", (u64)v / 1000000000,
			(u64)v % 1000000000);
	else
		fprintf(out, " %" PRId64 "\n", v);
}

static void metric_name(FILE *out, const struct stats_name *n, const char *prefix)
{
	fprintf(out, "reclaim_%s%s%s%s", prefix, n->name, unit_of(n),
		n->own && n->kind == STATS_COUNTER ? "_total" : "");
}

/* What comes before the values of a metric. */
static void metric(FILE *out, const struct stats_name *n, const char *prefix, bool of_group)
{
	const char *help = n->own ? rcl_stats_help(n->name, of_group) : NULL;

	if (help) {
		fputs("# HELP ", out);
		metric_name(out, n, prefix);
		fprintf(out, " %s\n", help);
	}
	fputs("# TYPE ", out);
	metric_name(out, n, prefix);
	fputs(n->kind == STATS_COUNTER ? " counter\n" : " gauge\n", out);
}

static void machine_labels(FILE *out, const struct stats_header *h)
{
	fputs("machine=\"", out);
	label(out, h->machine, sizeof(h->machine));
	fprintf(out, "\",pid=\"%d\"", (int)h->pid);
}

static void group_metric(FILE *out, const struct stats_header *h, u32 i)
{
	const struct stats_name *n = names_of(h) + h->nr_figures + i;
	const char *prefix = n->own ? "group_" : "memory_stat_";

	metric(out, n, prefix, true);
	for (u32 k = 0; k < h->nr_groups; k++) {
		const struct stats_group *g = group_of(h, k);

		if (g->figures[i] == INT64_MAX)
			continue;
		metric_name(out, n, prefix);
		fputc('{', out);
		machine_labels(out, h);
		fputs(",group=\"", out);
		group_path(out, h, g);
		fprintf(out, "\",id=\"%u\"}", g->id);
		value(out, n, g->figures[i]);
	}
}

char *rcl_metrics_text(const struct stats_header *h, size_t *bytes)
{
	const s64 *figures = (const s64 *)((const char *)h + h->figures_at);
	char *text = NULL;
	FILE *out = open_memstream(&text, bytes);
	bool failed;

	if (!out)
		return NULL;
	for (u32 i = 0; i < h->nr_figures; i++) {
		const struct stats_name *n = names_of(h) + i;
		const char *prefix = n->own ? "" : "vmstat_";

		metric(out, n, prefix, false);
		metric_name(out, n, prefix);
		fputc('{', out);
		machine_labels(out, h);
		fputc('}', out);
		value(out, n, figures[i]);
	}
	for (u32 i = 0; h->nr_groups && i < h->nr_group_figures; i++)
		group_metric(out, h, i);
	failed = ferror(out);
	if (fclose(out) || failed) {
		free(text);
		return NULL;
	}
	return text;
}
