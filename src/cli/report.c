/* SPDX-License-Identifier: MIT */
/*
 * A sweep as a table with one sentence about its knee, as JSON, and as CSV.
 *
 * The knee is the smallest limit from which on, upwards, every run is within KNEE of the time the
 * trace takes with memory for everything: the least memory that costs next to nothing.
 */
#include "cli/report.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/table.h"
#include "sim/size.h"

#define KNEE 1.1

const char *report_outcome(enum rcl_sim_outcome outcome)
{
	static const char *const names[] = {
		[RCL_SIM_COMPLETED] = "completed", [RCL_SIM_OOM] = "oom",
		[RCL_SIM_IO_ERROR] = "io_error",   [RCL_SIM_CANCELLED] = "cancelled",
		[RCL_SIM_CORRUPT] = "corrupt",	   [RCL_SIM_BROKEN] = "broken",
		[RCL_SIM_TOO_LONG] = "too_long",
	};

	return names[outcome];
}

static bool completed(const struct sim_job *job)
{
	return !job->ret && job->res.outcome == RCL_SIM_COMPLETED;
}

double report_slowdown(const struct sim_report *r, const struct sim_job *job)
{
	if (!r->baseline || !completed(r->baseline) || !completed(job) || !r->baseline->res.run_ns)
		return 0;
	return (double)job->res.run_ns / (double)r->baseline->res.run_ns;
}

static bool has_limit(const struct sim_job *job)
{
	return job->req.limit != RCL_SIM_NO_LIMIT;
}

/* What the row is called: its limit, or the machine's memory when that is the limit. */
static u64 memory_of(const struct sim_job *job)
{
	return has_limit(job) ? job->req.limit : job->res.memory;
}

static u64 event(const struct sim_job *job, const char *name)
{
	s64 v = rcl_sim_delta(&job->res.vmstat, name);

	return v > 0 ? (u64)v : 0;
}

/* ---- The table ----------------------------------------------------------------------------- */

static void count_cell(struct table *t, u64 n)
{
	char buf[TEXT_MAX];

	table_cell(t, "%s", text_count(n, buf));
}

static bool has_spread(const struct sim_report *r)
{
	for (size_t i = 0; i < r->nr_jobs; i++)
		if (r->jobs[i].spread)
			return true;
	return false;
}

static void print_row(const struct sim_report *r, const struct sim_job *job, struct table *t,
		      u64 top, bool utf8)
{
	double slowdown = report_slowdown(r, job);
	char buf[RCL_SIM_TIMELINE * 3 + 1], text[TEXT_MAX], more[TEXT_MAX];

	table_cell(t, "%s", rcl_size_format(memory_of(job), text));
	if (job->ret) {
		for (unsigned int c = 1; c < t->nr_columns; c++)
			table_cell(t, "%s", c == 1 ? "failed" : "");
		return;
	}
	count_cell(t, event(job, "pgmajfault"));
	count_cell(t,
		   event(job, "workingset_refault_anon") + event(job, "workingset_refault_file"));
	count_cell(t, event(job, "pswpin"));
	count_cell(t, event(job, "pswpout"));
	count_cell(t, event(job, "nr_written"));
	count_cell(t, event(job, "pgscan_anon") + event(job, "pgscan_file"));
	count_cell(t, event(job, "pgsteal_anon") + event(job, "pgsteal_file"));
	table_cell(t, "%s", text_time(job->res.stall_ns, text));
	table_cell(t, "%s", text_time(job->res.run_ns, text));
	if (has_spread(r)) {
		text_time(job->spread->min.run_ns, text);
		table_cell(t, "%s..%s", text, text_time(job->spread->max.run_ns, more));
	}
	if (job->res.outcome == RCL_SIM_OOM)
		table_cell(t, "killed");
	else if (!completed(job))
		table_cell(t, "ended");
	else if (slowdown > 0)
		table_cell(t, slowdown < 99.95 ? "%.2fx" : "%.0fx", slowdown);
	else
		table_cell(t, "-");
	table_cell(t, "%s", text_sparkline(job->res.timeline, RCL_SIM_TIMELINE, top, utf8, buf));
}

static int by_memory(const void *a, const void *b)
{
	u64 x = memory_of(*(const struct sim_job *const *)a);
	u64 y = memory_of(*(const struct sim_job *const *)b);

	return x > y ? -1 : x < y;
}

static void print_share(const struct sim_report *r, FILE *out, u64 bytes)
{
	char text[RCL_SIZE_TEXT];

	fprintf(out, "%s (%.0f%% of what the trace touches)", rcl_size_format(bytes, text),
		100.0 * (double)bytes / (double)(r->trace->summary.footprint_pages * PAGE_SIZE));
}

static void print_below(const struct sim_report *r, FILE *out, const struct sim_job *job)
{
	double slowdown = report_slowdown(r, job);
	char text[RCL_SIZE_TEXT];

	rcl_size_format(memory_of(job), text);
	if (slowdown > 0)
		fprintf(out, "with %s it runs %.2f times as long", text, slowdown);
	else
		fprintf(out, "with %s it is killed for want of memory", text);
}

static void print_knee(const struct sim_report *r, FILE *out)
{
	const struct sim_job **sorted = calloc(r->nr_jobs + 1, sizeof(struct sim_job *));
	const struct sim_job *knee = NULL, *below = NULL;
	size_t nr = 0;

	if (!sorted)
		return;
	for (size_t i = 0; i < r->nr_jobs; i++)
		if (completed(&r->jobs[i]) ||
		    (!r->jobs[i].ret && r->jobs[i].res.outcome == RCL_SIM_OOM))
			sorted[nr++] = &r->jobs[i];
	qsort(sorted, nr, sizeof(*sorted), by_memory);
	for (size_t i = 0; i < nr && !below; i++) {
		double s = report_slowdown(r, sorted[i]);

		if (s > 0 && s <= KNEE)
			knee = sorted[i];
		else
			below = sorted[i];
	}
	if (nr && r->baseline && completed(r->baseline)) {
		if (knee && below) {
			fputs("The knee is at ", out);
			print_share(r, out, memory_of(knee));
			fprintf(out,
				": down to there the program keeps within %.0f%% of its speed; ",
				(KNEE - 1) * 100);
			print_below(r, out, below);
			fputs(".\n", out);
		} else if (knee) {
			fputs("No knee in sight: even ", out);
			print_share(r, out, memory_of(knee));
			fprintf(out, " keeps the program within %.0f%% of its speed.\n",
				(KNEE - 1) * 100);
		} else {
			fputs("The knee is above ", out);
			print_share(r, out, memory_of(below));
			fputs(": already ", out);
			print_below(r, out, below);
			fputs(".\n", out);
		}
	}
	free(sorted);
}

static void print_head(const struct sim_report *r, FILE *out)
{
	const struct rcl_trace_summary *s = &r->trace->summary;
	const struct sim_job *job = &r->jobs[0];
	u64 files = s->footprint_pages - s->anon_pages;
	char n[TEXT_MAX], a[RCL_SIZE_TEXT], b[RCL_SIZE_TEXT], c[RCL_SIZE_TEXT];

	fprintf(out, "%s: %s accesses to %s (%s anonymous, %s of files)\n", r->path,
		text_count(s->touches, n), rcl_size_format(s->footprint_pages * PAGE_SIZE, a),
		rcl_size_format(s->anon_pages * PAGE_SIZE, b),
		rcl_size_format(files * PAGE_SIZE, c));
	if (job->ret)
		return;
	fprintf(out, "machine: %s of memory, ", rcl_size_format(job->res.memory, a));
	if (job->res.swap)
		fprintf(out, "%s of swap, ", rcl_size_format(job->res.swap, b));
	else
		fputs("no swap, ", out);
	fputs(r->where ? r->where : job->req.device, out);
	if (r->baseline && completed(r->baseline))
		fprintf(out, "; with memory for everything the trace takes %s",
			text_time(r->baseline->res.run_ns, n));
	fputs("\n\n", out);
}

static const char *runs_text(const struct sim_job *job, char buf[TEXT_MAX])
{
	buf[0] = 0;
	if (job->spread)
		snprintf(buf, TEXT_MAX, "%u of %u runs: ", job->spread->nr_worst, job->spread->nr);
	return buf;
}

void report_table(const struct sim_report *r, FILE *out)
{
	bool utf8 = text_utf8();
	struct table t;
	u64 top = 0;

	table_init(&t);
	table_column(&t, has_limit(&r->jobs[0]) ? "limit" : "memory", false);
	table_column(&t, "major faults", false);
	table_column(&t, "refaults", false);
	table_column(&t, "swapped in", false);
	table_column(&t, "out", false);
	table_column(&t, "written", false);
	table_column(&t, "scanned", false);
	table_column(&t, "stolen", false);
	table_column(&t, "stalled", false);
	table_column(&t, "run time", false);
	if (has_spread(r))
		table_column(&t, "of all runs", false);
	table_column(&t, "slowdown", false);
	table_column(&t, "stall over the run", true);
	for (size_t i = 0; i < r->nr_jobs; i++)
		for (size_t k = 0; k < RCL_SIM_TIMELINE; k++)
			top = max(top, r->jobs[i].res.timeline[k]);
	print_head(r, out);
	for (size_t i = 0; i < r->nr_jobs; i++)
		print_row(r, &r->jobs[i], &t, top, utf8);
	table_print(&t, out);
	fputc('\n', out);
	for (size_t i = 0; i < r->nr_jobs; i++) {
		const struct sim_job *job = &r->jobs[i];
		char text[RCL_SIZE_TEXT], of_runs[TEXT_MAX];

		rcl_size_format(memory_of(job), text);
		if (job->ret)
			fprintf(out, "%s: %s\n", text, job->err.text);
		else if (!completed(job))
			fprintf(out, "%s: %s%s at access %llu: %s\n", text, runs_text(job, of_runs),
				job->res.outcome == RCL_SIM_OOM ? "OOM kill" : "ended",
				(unsigned long long)job->res.bad_access, job->res.detail);
		else if (job->res.io_errors)
			fprintf(out, "%s: %llu calls failed with an I/O error\n", text,
				(unsigned long long)job->res.io_errors);
	}
	print_knee(r, out);
	table_free(&t);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static json_t *deltas(const struct rcl_sim_counters *c)
{
	json_t *o = json_object();

	for (size_t i = 0; i < c->nr; i++)
		json_object_set_new(o, c->end[i].name,
				    json_integer(c->end[i].value - c->start[i].value));
	return o;
}

static json_t *settings(const struct sim_job *job)
{
	const struct rcl_sim_request *q = &job->req;
	json_t *o = json_object();

	for (const struct rcl_tunable_info *i = rcl_tunable_table(); i->name; i++)
		json_object_set_new(o, i->name, json_integer(rcl_tunables_get(&q->tunables, i)));
	json_object_set_new(o, "memory", json_integer((json_int_t)job->res.memory));
	json_object_set_new(o, "swap", json_integer((json_int_t)job->res.swap));
	json_object_set_new(o, "cpus", json_integer(q->nr_cpus ? q->nr_cpus : 1));
	if (q->device) {
		json_object_set_new(o, "device", json_string(q->device));
		json_object_set_new(o, "swap_device",
				    json_string(q->swap_device ? q->swap_device : q->device));
	}
	json_object_set_new(o, "costs", json_string(q->cost ? q->cost : "native"));
	json_object_set_new(o, "seed", json_integer((json_int_t)q->seed));
	return o;
}

static const char *const list_names[] = {"inactive_anon", "active_anon", "inactive_file",
					 "active_file", "unevictable"};

/* The least or the greatest of each number that several runs had. */
static json_t *end_json(const struct rcl_sim_result *res)
{
	return json_pack("{s:o,s:o,s:{s:I,s:I,s:I}}", "vmstat", deltas(&res->vmstat), "memory_stat",
			 deltas(&res->memory_stat), "time", "run_ns", (json_int_t)res->run_ns,
			 "stall_ns", (json_int_t)res->stall_ns, "full_stall_ns",
			 (json_int_t)res->full_stall_ns);
}

static json_t *run_json(const struct sim_report *r, const struct sim_job *job)
{
	const struct rcl_sim_result *res = &job->res;
	double slowdown = report_slowdown(r, job);
	json_t *o = json_object(), *lists, *time;
	u64 io = 0;

	json_object_set_new(o, "limit",
			    has_limit(job) ? json_integer((json_int_t)job->req.limit)
					   : json_null());
	json_object_set_new(o, "outcome",
			    json_string(job->ret ? "failed" : report_outcome(res->outcome)));
	if (job->ret)
		json_object_set_new(o, "detail", json_string(job->err.text));
	if (job->ret)
		return o;
	if (!completed(job)) {
		json_object_set_new(o, "access", json_integer((json_int_t)res->bad_access));
		json_object_set_new(o, "detail", json_string(res->detail));
	}
	json_object_set_new(o, "settings", settings(job));
	json_object_set_new(o, "vmstat", deltas(&res->vmstat));
	json_object_set_new(o, "memory_stat", deltas(&res->memory_stat));
	lists = json_object();
	for (size_t i = 0; i < ARRAY_SIZE(list_names); i++)
		json_object_set_new(lists, list_names[i], json_integer((json_int_t)res->lists[i]));
	json_object_set_new(o, "lists", lists);
	for (u32 i = 0; i < res->nr_tasks; i++)
		io += res->tasks[i].io_ns;
	time = json_pack("{s:I,s:I,s:I,s:I}", "run_ns", (json_int_t)res->run_ns, "stall_ns",
			 (json_int_t)res->stall_ns, "full_stall_ns", (json_int_t)res->full_stall_ns,
			 "io_wait_ns", (json_int_t)io);
	if (slowdown > 0)
		json_object_set_new(time, "slowdown", json_real(round(slowdown * 1e4) / 1e4));
	json_object_set_new(o, "time", time);
	if (job->spread) {
		json_object_set_new(o, "repeat", json_integer(job->spread->nr));
		json_object_set_new(o, "min", end_json(&job->spread->min));
		json_object_set_new(o, "max", end_json(&job->spread->max));
	}
	json_object_set_new(o, "peak_bytes", json_integer((json_int_t)res->usage_peak));
	json_object_set_new(o, "accesses", json_integer((json_int_t)res->accesses));
	json_object_set_new(o, "io_errors", json_integer((json_int_t)res->io_errors));
	return o;
}

void report_json(const struct sim_report *r, FILE *out)
{
	const struct rcl_trace_summary *s = &r->trace->summary;
	json_t *root = json_object(), *runs = json_array();

	for (size_t i = 0; i < r->nr_jobs; i++)
		json_array_append_new(runs, run_json(r, &r->jobs[i]));
	json_object_set_new(root, "runs", runs);
	json_object_set_new(root, "trace",
			    json_pack("{s:s,s:s,s:I,s:I,s:I,s:I}", "path", r->path, "format",
				      r->trace->format, "accesses", (json_int_t)s->touches,
				      "footprint_pages", (json_int_t)s->footprint_pages,
				      "anon_pages", (json_int_t)s->anon_pages, "file_pages",
				      (json_int_t)(s->footprint_pages - s->anon_pages)));
	if (r->baseline && completed(r->baseline))
		json_object_set_new(root, "unlimited_run_ns",
				    json_integer((json_int_t)r->baseline->res.run_ns));
	json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
	fputc('\n', out);
	json_decref(root);
}

/* ---- CSV ----------------------------------------------------------------------------------- */

static void csv_head(const struct sim_report *r, FILE *out)
{
	const struct rcl_sim_result *res = NULL;

	fputs("limit,memory,outcome,access,run_ns,stall_ns,full_stall_ns,slowdown", out);
	for (size_t i = 0; i < ARRAY_SIZE(list_names); i++)
		fprintf(out, ",list.%s", list_names[i]);
	for (size_t i = 0; i < r->nr_jobs && !res; i++)
		res = r->jobs[i].ret ? NULL : &r->jobs[i].res;
	for (size_t i = 0; res && i < res->vmstat.nr; i++)
		fprintf(out, ",%s", res->vmstat.end[i].name);
	for (size_t i = 0; res && i < res->memory_stat.nr; i++)
		fprintf(out, ",memory.%s", res->memory_stat.end[i].name);
	fputc('\n', out);
}

static void csv_counters(FILE *out, const struct rcl_sim_counters *c)
{
	for (size_t i = 0; i < c->nr; i++)
		fprintf(out, ",%lld", (long long)(c->end[i].value - c->start[i].value));
}

void report_csv(const struct sim_report *r, FILE *out)
{
	csv_head(r, out);
	for (size_t i = 0; i < r->nr_jobs; i++) {
		const struct sim_job *job = &r->jobs[i];
		const struct rcl_sim_result *res = &job->res;
		double slowdown = report_slowdown(r, job);

		if (has_limit(job))
			fprintf(out, "%llu", (unsigned long long)job->req.limit);
		if (job->ret) {
			fputs(",,failed\n", out);
			continue;
		}
		fprintf(out, ",%llu,%s,", (unsigned long long)res->memory,
			report_outcome(res->outcome));
		if (!completed(job))
			fprintf(out, "%llu", (unsigned long long)res->bad_access);
		fprintf(out, ",%llu,%llu,%llu,", (unsigned long long)res->run_ns,
			(unsigned long long)res->stall_ns, (unsigned long long)res->full_stall_ns);
		if (slowdown > 0)
			fprintf(out, "%.4f", slowdown);
		for (size_t k = 0; k < ARRAY_SIZE(list_names); k++)
			fprintf(out, ",%llu", (unsigned long long)res->lists[k]);
		csv_counters(out, &res->vmstat);
		csv_counters(out, &res->memory_stat);
		fputc('\n', out);
	}
}
