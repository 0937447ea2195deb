/* SPDX-License-Identifier: MIT */
/* reclaim info: what is in a trace. */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "trace/live.h"
#include "trace/native.h"
#include "trace/trace.h"

#define PARTS	 16
#define BAR	 40
#define LIST_MAX 20 /* regions and tasks shown without --all */

static const struct cli_option options[] = {
	{'a', "all", NULL, false, "all regions and tasks, not only the largest 20"},
	{0, "format", "NAME", false, "the trace's format, when it cannot be told from its content"},
	{'o', "output", "FILE", false, "write to FILE; '-' or nothing: standard output"},
	{0},
};

static const char *bytes(uint64_t pages, char *text)
{
	double v = (double)pages * RCL_TRACE_PAGE_SIZE;
	const char *units[] = {"B", "kB", "MB", "GB", "TB"};
	unsigned int u = 0;

	/* As /proc and cgroups count: 1024. */
	for (; v >= 1024 && u < 4; u++)
		v /= 1024;
	sprintf(text, u ? "%.1f %s" : "%.0f %s", v, units[u]);
	return text;
}

static const char *count(uint64_t n, char *text)
{
	if (n < 100000)
		sprintf(text, "%" PRIu64, n);
	else if (n < 100000000)
		sprintf(text, "%.2f M", (double)n / 1e6);
	else
		sprintf(text, "%.2f G", (double)n / 1e9);
	return text;
}

static double share(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* ---- Head ----------------------------------------------------------------------------------- */

static void print_recording(FILE *out, const struct rcl_trace_recording *r)
{
	static const char *const sources[RCL_NATIVE_SOURCES] = {"reclaim record", "reclaim convert",
								"reclaim import strace",
								"reclaim import perf-script"};
	char a[32], b[32];

	if (r->command_size) {
		fprintf(out, "command      ");
		for (size_t i = 0; i < r->command_size; i++)
			fputc(r->command[i] ? r->command[i] : ' ', out);
		fputc('\n', out);
	}
	fprintf(out, "made by      %s\n",
		r->source < RCL_NATIVE_SOURCES ? sources[r->source] : "an unknown program");
	if (r->references)
		fprintf(out, "references   %s, in windows of %u; %s instructions\n",
			count(r->references, a), r->window, count(r->instructions, b));
	if (r->native_ns)
		fprintf(out,
			"time         %.3f s of CPU time, %.3f s in all, without emulation: %.2f "
			"ns a "
			"reference\n",
			(double)r->native_ns / 1e9, (double)r->native_wall_ns / 1e9,
			r->references ? (double)r->native_ns / (double)r->references : 0.0);
	fprintf(out, "chunks       %" PRIu64 ", %" PRIu64 " bytes\n", r->chunks, r->bytes);
	if (r->complete)
		fprintf(out, "complete     yes; the program ended with code %u\n", r->status);
	else if (r->missing)
		fprintf(out,
			"complete     no: cut off in a chunk; its %" PRIu64
			" bytes and what followed are missing\n",
			r->missing);
	else
		fprintf(out, "complete     no: the end is missing\n");
}

static void print_summary(FILE *out, const struct rcl_trace_image *t)
{
	const struct rcl_trace_summary *s = &t->summary;
	char a[32], b[32], c[32];

	fprintf(out, "format       %s, compression: %s\n", t->format, t->compression);
	if (t->recording)
		print_recording(out, t->recording);
	fprintf(out, "tasks        %u in %u process%s\n", t->nr_tasks, t->nr_processes,
		t->nr_processes == 1 ? "" : "es");
	fprintf(out, "accesses     %s of %s pages: %.1f%% read, %.1f%% write\n",
		count(s->accesses, a), count(s->touches, b), share(s->reads, s->touches),
		share(s->writes, s->touches));
	fprintf(out,
		"  of them    %.1f%% anonymous, %.1f%% through mappings of files, %.1f%% calls\n",
		share(s->anon_touches, s->touches), share(s->mmap_touches, s->touches),
		share(s->file_touches, s->touches));
	fprintf(out, "footprint    %s%s: %s anonymous", bytes(s->footprint_pages, a),
		t->recording ? " at most at a time" : "", bytes(s->anon_pages, b));
	fprintf(out, ", %s of files\n",
		bytes(s->footprint_pages > s->anon_pages && !t->recording
			      ? s->footprint_pages - s->anon_pages
		      : s->mmap_pages > s->file_pages ? s->mmap_pages
						      : s->file_pages,
		      c));
}

/* ---- Regions and tasks ----------------------------------------------------------------------- */

struct ranked {
	uint64_t value;
	uint32_t index;
};

static int by_value(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? 1 : -1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static void print_regions(FILE *out, const struct rcl_trace_image *t, bool all, struct ranked *list)
{
	uint32_t nr = 0;
	char a[32], b[32];

	for (uint32_t i = 0; i < t->nr_regions; i++)
		if (t->region_summaries[i].touches)
			list[nr++] = (struct ranked){t->region_summaries[i].footprint, i};
	qsort(list, nr, sizeof(*list), by_value);
	fprintf(out, "\n%-10s %12s %12s %8s  region\n", "kind", "footprint", "accesses", "writes");
	for (uint32_t k = 0; k < nr && (all || k < LIST_MAX); k++) {
		uint32_t i = list[k].index;
		const struct rcl_region_summary *s = &t->region_summaries[i];

		fprintf(out, "%-10s %12s %12s %7.1f%%  %s\n",
			t->regions[i].kind == RCL_ACCESS_ANON ? "anonymous" : "file",
			bytes(s->footprint, a), count(s->touches, b), share(s->writes, s->touches),
			t->recording ? t->recording->names[i] : t->regions[i].name);
	}
	if (!all && nr > LIST_MAX)
		fprintf(out, "and %u more: --all shows them\n", nr - LIST_MAX);
}

static void print_tasks(FILE *out, const struct rcl_trace_image *t, bool all, struct ranked *list)
{
	char a[32], b[32];

	if (t->nr_tasks < 2)
		return;
	for (uint32_t i = 0; i < t->nr_tasks; i++)
		list[i] = (struct ranked){t->tasks[i].count, i};
	qsort(list, t->nr_tasks, sizeof(*list), by_value);
	fprintf(out, "\n%8s %8s %8s %12s %12s\n", "task", "process", "parent", "records",
		"references");
	for (uint32_t k = 0; k < t->nr_tasks && (all || k < LIST_MAX); k++) {
		const struct rcl_trace_task *task = &t->tasks[list[k].index];

		fprintf(out, "%8u %8u %8u %12s %12s\n", task->id, task->process,
			t->tasks[task->parent].id, count(task->count, a),
			count(task->references, b));
	}
	if (!all && t->nr_tasks > LIST_MAX)
		fprintf(out, "and %u more: --all shows them\n", t->nr_tasks - LIST_MAX);
}

/* ---- The course ------------------------------------------------------------------------------ */

struct part {
	uint64_t touched, fresh;
};

/* Pages touched in each part of the trace, and those not touched before. */
static int working_sets(const struct rcl_trace_image *t, struct part *parts)
{
	struct rcl_live seen = {0};
	bool made;
	int ret = 0;

	for (uint32_t p = 0; p < PARTS && !ret; p++) {
		for (uint32_t k = 0; k < t->nr_tasks && !ret; k++) {
			const struct rcl_trace_task *task = &t->tasks[k];
			uint64_t i = task->count * p / PARTS, end = task->count * (p + 1) / PARTS;

			for (; i < end && !ret; i++) {
				uint64_t w = t->words[task->first + i], page = rcl_word_page(w);
				uint64_t owner = rcl_word_region(w);

				if (rcl_word_is_event(w))
					continue;
				for (uint32_t n = rcl_word_pages(w); n && !ret; n--, page++) {
					bool by_address =
						t->recording && rcl_word_kind(w) != RCL_ACCESS_FILE;
					uint64_t key =
						by_address ? rcl_live_anon(task->process, page)
							   : rcl_live_file((uint32_t)owner, page);
					struct rcl_live_page *l = rcl_live_add(&seen, key, &made);

					if (!l) {
						ret = cli_error(CLI_FAILED, "out of memory");
						break;
					}
					if (made || l->kinds != p + 1)
						parts[p].touched++;
					parts[p].fresh += made;
					l->kinds = p + 1;
				}
			}
		}
	}
	rcl_live_free(&seen);
	return ret;
}

static void print_course(FILE *out, const struct part *parts)
{
	uint64_t most = 1;
	char a[32], b[32];

	for (uint32_t p = 0; p < PARTS; p++)
		if (parts[p].touched > most)
			most = parts[p].touched;
	fprintf(out,
		"\nworking set: pages touched in each %u%% of the trace ('#': for the first "
		"time)\n",
		100 / PARTS);
	for (uint32_t p = 0; p < PARTS; p++) {
		uint64_t length = (parts[p].touched * BAR + most - 1) / most;
		uint64_t fresh = (parts[p].fresh * BAR + most - 1) / most;

		fprintf(out, "%4u%% %10s %10s  ", 100 * (p + 1) / PARTS, bytes(parts[p].touched, a),
			bytes(parts[p].fresh, b));
		for (uint64_t i = 0; i < length; i++)
			fputc(i < fresh ? '#' : '=', out);
		fputc('\n', out);
	}
}

static int run(const struct cli_args *args)
{
	const char *path = cli_value(args, "output");
	struct part parts[PARTS] = {{0}};
	struct rcl_trace_image *t = NULL;
	struct rcl_error err;
	struct ranked *list;
	FILE *out;
	int ret;

	if (rcl_trace_load(args->operands[0], cli_value(args, "format"), &t, &err))
		return cli_error(CLI_FAILED, "%s", err.text);
	list = calloc((size_t)t->nr_regions + t->nr_tasks, sizeof(*list));
	ret = list ? working_sets(t, parts) : cli_error(CLI_FAILED, "out of memory");
	out = ret ? NULL : cli_output_open(path);
	if (out) {
		fprintf(out, "%s\n", args->operands[0]);
		print_summary(out, t);
		print_regions(out, t, cli_given(args, "all"), list);
		print_tasks(out, t, cli_given(args, "all"), list);
		print_course(out, parts);
		ret = cli_output_close(out, path);
	} else {
		ret = CLI_FAILED;
	}
	free(list);
	rcl_trace_image_free(t);
	return ret;
}

const struct cli_verb cli_info = {
	.name = "info",
	.operands = "TRACE",
	.min_operands = 1,
	.max_operands = 1,
	.summary = "show what is in a trace",
	.description = "Show what is in a trace: where it comes from and whether it is complete, "
		       "its tasks and regions, how much it touches, and the working set from its "
		       "beginning to its end. TRACE is a file in any format that 'reclaim sim' "
		       "reads; '-' is standard input.",
	.options = options,
	.examples = "  reclaim info sort.rcl\n"
		    "  reclaim info --all build.rcl\n",
	.run = run,
};
