/* SPDX-License-Identifier: MIT */
/* reclaim replay: a trace on real memory, real files and a real swap file. */
#include "cli/cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/predict.h"
#include "cli/repeat.h"
#include "cli/report.h"
#include "cli/request.h"
#include "cli/runs.h"
#include "cli/settings.h"
#include "cli/table.h"
#include "replay/replay.h"
#include "sim/recording.h"
#include "sim/size.h"

#define LIMITS_MAX 64
#define SWEEP	   "100%,60%,30%"
/* The real run may differ from the predicted one by this much before the table marks it. */
#define TOLERANCE_PERCENT 5.0
#define SMALL_COUNT	  1000

static const struct cli_option options[] = {
	{'l', "limit", "SIZE,...", true,
	 "memory.max of the group the trace runs in, one run for each: bytes such as 96M or 1.5G, "
	 "or a share such as 40% of what the trace touches. Default: " SWEEP},
	{'m', "memory", "SIZE", false,
	 "memory of the machine; without --limit it is what the trace has to live in, and kswapd "
	 "works. Default: more than the trace can use"},
	{0, "swap", "FILE", false,
	 "the swap file or block device; its content is lost. Default: an unnamed file in --dir"},
	{0, "swap-size", "SIZE", false,
	 "size of the swap; 0 = none. Default: twice the trace's anonymous memory"},
	{0, "dir", "DIR", false,
	 "folder for the trace's files, which are unnamed and go when the run ends. Default: "
	 "$TMPDIR or /var/tmp"},
	{'t', "threads", "N", false, "share the trace out to N threads, by page; default 1"},
	{0, "set", "NAME=VALUE", true,
	 "change a setting of the kernel; 'reclaim tunables' lists them"},
	{0, "readahead", "on|off", false,
	 "whether files are read ahead. Default: on, but off for tracegen's traces"},
	{0, "no-uring", NULL, false, "do I/O with threads even where io_uring is allowed"},
	{'n', "repeat", "N", false,
	 "run N times at each limit, and report the median of each counter and the spread; "
	 "default 1"},
	{0, "compare", NULL, false,
	 "also predict each run, as 'reclaim sim' does, and print both side by side"},
	{'d', "device", "DEVICE", false,
	 "predict for this device: nvme, ssd, hdd or virtio. Default: one as it was measured "
	 "during the run"},
	{'f', "format", "FORMAT", false, "the trace's format, where detecting it fails"},
	{0, "json", NULL, false, "print everything as JSON"},
	{0, "csv", NULL, false, "print everything as CSV, one line a run"},
	{'o', "output", "FILE", false, "write the report to FILE"},
	{0},
};

/* ---- Options ------------------------------------------------------------------------------- */

static int limits_of(const struct cli_args *args, u64 footprint, u64 *limits, size_t *nr)
{
	bool whole_machine = !cli_given(args, "limit") && cli_given(args, "memory");
	int ret = cli_limits(args, whole_machine ? NULL : SWEEP, footprint, limits, LIMITS_MAX, nr);

	if (!ret && whole_machine)
		limits[(*nr)++] = RCL_SIM_NO_LIMIT;
	return ret;
}

static int readahead_option(const struct cli_args *args, enum rcl_sim_readahead *out)
{
	const char *text = cli_value(args, "readahead");

	*out = RCL_SIM_READAHEAD_AUTO;
	if (!text)
		return 0;
	if (strcmp(text, "on") && strcmp(text, "off"))
		return cli_error(CLI_USAGE, "--readahead %s: on or off is needed", text);
	*out = strcmp(text, "on") ? RCL_SIM_READAHEAD_OFF : RCL_SIM_READAHEAD_ON;
	return 0;
}

static int request_of(const struct cli_args *args, const struct rcl_trace_image *trace,
		      struct rcl_sim_request *req, struct rcl_replay_options *opt)
{
	u64 footprint = trace->summary.footprint_pages * PAGE_SIZE, threads = 1;
	int ret;

	rcl_sim_request_init(req, trace);
	req->check = true;
	req->seed = 1;
	req->nr_cpus = 1;
	req->swap = rcl_sim_auto_swap(trace);
	*opt = (struct rcl_replay_options){
		.dir = cli_value(args, "dir"),
		.swap_path = cli_value(args, "swap"),
		.no_uring = cli_given(args, "no-uring"),
	};
	ret = cli_settings(args, &req->tunables);
	if (!ret)
		ret = readahead_option(args, &req->readahead);
	if (!ret)
		ret = cli_size_option(args, "memory", footprint, &req->memory);
	if (!ret)
		ret = cli_size_option(args, "swap-size", footprint, &req->swap);
	if (!ret)
		ret = cli_integer(args, "threads", 1, 64, &threads);
	if (!ret && threads > 1 && trace->recording)
		ret = cli_error(CLI_USAGE,
				"--threads: a recording has threads of its own and cannot be "
				"shared out");
	if (!ret && opt->dir && access(opt->dir, W_OK | X_OK))
		ret = cli_error(CLI_FAILED, "--dir %s: %s", opt->dir, strerror(errno));
	opt->threads = (u32)threads;
	return ret;
}

/* ---- Side by side -------------------------------------------------------------------------- */

struct verdict {
	unsigned int outside; /* further off than tolerated, and none of the runs was there */
	unsigned int between; /* further off, but the runs lie to both sides of it */
};

static void compare_counter(struct table *t, const char *name, const struct sim_job *real,
			    const struct sim_job *sim, struct verdict *v)
{
	s64 predicted = rcl_sim_delta(&sim->res.vmstat, name);
	s64 measured = rcl_sim_delta(&real->res.vmstat, name), lo = measured, hi = measured;
	double diff = predicted ? 100.0 * (double)(measured - predicted) / (double)predicted : 0;
	bool small, off, between;

	if (real->spread) {
		lo = rcl_sim_delta(&real->spread->min.vmstat, name);
		hi = rcl_sim_delta(&real->spread->max.vmstat, name);
	}
	if (!max(predicted, hi))
		return;
	small = max(predicted, measured) < SMALL_COUNT;
	off = !small && (!predicted || fabs(diff) > TOLERANCE_PERCENT);
	between = off && predicted >= lo && predicted <= hi;
	table_cell(t, "%s", name);
	table_cell(t, "%lld", (long long)predicted);
	table_cell(t, "%lld", (long long)measured);
	if (real->spread)
		table_cell(t, "%lld..%lld", (long long)lo, (long long)hi);
	if (predicted)
		table_cell(t, "%+.1f%%", diff);
	else
		table_cell(t, "-");
	table_cell(t, "%s", between ? "~" : off ? "!" : small ? "(few)" : "");
	v->outside += off && !between;
	v->between += between;
}

static void print_verdict(const struct verdict *v, FILE *out)
{
	if (v->outside)
		fprintf(out, "%u counters of %d or more differ by more than %.0f%% (!)", v->outside,
			SMALL_COUNT, TOLERANCE_PERCENT);
	else
		fprintf(out, "all %scounters of %d or more are within %.0f%%",
			v->between ? "other " : "", SMALL_COUNT, TOLERANCE_PERCENT);
	if (v->between)
		fprintf(out, "; %u are off within the runs' own spread (~)", v->between);
	fputc('\n', out);
}

static void print_comparison(const struct sim_job *real, const struct sim_job *sim,
			     const struct measured *measured, FILE *out)
{
	char text[RCL_SIZE_TEXT];
	struct verdict verdict = {0};
	struct table t;

	if (real->req.limit == RCL_SIM_NO_LIMIT)
		fprintf(out, "\nwith %s of memory\n", rcl_size_format(real->res.memory, text));
	else
		fprintf(out, "\nat a limit of %s\n", rcl_size_format(real->req.limit, text));
	if (measured)
		cli_print_measured(measured, out);
	table_init(&t);
	table_column(&t, "counter", true);
	table_column(&t, "predicted", false);
	table_column(&t, real->spread ? "median" : "measured", false);
	if (real->spread)
		table_column(&t, "of all runs", false);
	table_column(&t, "difference", false);
	table_column(&t, "", true);
	for (const char *const *name = rcl_recording_counters; *name; name++)
		compare_counter(&t, *name, real, sim, &verdict);
	table_print(&t, out);
	table_free(&t);
	print_verdict(&verdict, out);
}

/* ---- Running ------------------------------------------------------------------------------- */

static int report(const struct cli_args *args, const struct sim_report *r,
		  const struct sim_job *predicted, const struct measured *measured)
{
	const char *path = cli_value(args, "output");
	FILE *out = cli_output_open(path);

	if (!out)
		return CLI_FAILED;
	if (cli_given(args, "json"))
		report_json(r, out);
	else if (cli_given(args, "csv"))
		report_csv(r, out);
	else
		report_table(r, out);
	for (size_t i = 0; predicted && i < r->nr_jobs; i++)
		if (!r->jobs[i].ret && !predicted[i].ret)
			print_comparison(&r->jobs[i], &predicted[i], measured ? measured + i : NULL,
					 out);
	for (size_t i = 0; i < r->nr_jobs; i++)
		if (r->jobs[i].ret)
			cli_error(0, "%s", r->jobs[i].err.text);
	return cli_output_close(out, path);
}

/* What all limits of a trace need. */
struct sweep {
	const struct cli_args *args;
	struct rcl_replay_options opt;
	struct rcl_sim_request req;
	u32 repeat;
	size_t nr;
	u64 limits[LIMITS_MAX];
	bool compare, as_measured;
	struct sim_job *jobs, *predicted; /* nr of each */
	struct measured *measured;	  /* nr */
	struct run_spread *spread;	  /* nr */
	struct sim_job *runs;		  /* repeat: those of one limit */
	struct sim_job *predictions;	  /* repeat: of each */
	struct measured *each;		  /* repeat: for what */
	struct rcl_host_figures *figures; /* repeat */
};

static void sweep_free(struct sweep *s)
{
	for (size_t i = 0; s->jobs && i < 2 * s->nr; i++)
		rcl_sim_result_free(&s->jobs[i].res);
	free(s->jobs);
	free(s->measured);
	free(s->spread);
	free(s->runs);
	free(s->predictions);
	free(s->each);
	free(s->figures);
}

static int sweep_alloc(struct sweep *s)
{
	s->jobs = calloc(2 * s->nr + 1, sizeof(*s->jobs));
	s->measured = calloc(s->nr + 1, sizeof(*s->measured));
	s->spread = calloc(s->nr + 1, sizeof(*s->spread));
	s->runs = calloc(s->repeat, sizeof(*s->runs));
	s->predictions = calloc(s->repeat, sizeof(*s->predictions));
	s->each = calloc(s->repeat, sizeof(*s->each));
	s->figures = calloc(s->repeat, sizeof(*s->figures));
	if (!s->jobs || !s->measured || !s->spread || !s->runs || !s->predictions || !s->each ||
	    !s->figures)
		return cli_error(CLI_FAILED, "out of memory");
	s->predicted = s->jobs + s->nr;
	return 0;
}

/* One job for the first nr of several, which are gone then. */
static int merge(struct sim_job *jobs, u32 nr, struct sim_job *out, struct run_spread *spread)
{
	int ret;

	if (nr == 1) {
		*out = jobs[0];
		return 0;
	}
	ret = cli_repeat_merge(jobs, nr, out, spread);
	out->spread = ret ? NULL : spread;
	for (u32 k = 0; k < nr; k++)
		rcl_sim_result_free(&jobs[k].res);
	return ret ? cli_error(CLI_FAILED, "out of memory") : 0;
}

/* What the k-th run should have been: with the device that is asked for, or as it was measured. */
static void predict(struct sweep *s, u32 k)
{
	const struct sim_job *real = &s->runs[k];
	struct sim_job *sim = &s->predictions[k];

	*sim = (struct sim_job){.req = real->req};
	sim->req.check = false;
	if (s->as_measured) {
		cli_predict(sim, real, &s->figures[k], rcl_replay_device_like(s->opt.dir), k,
			    &s->each[k]);
		return;
	}
	sim->req.device = cli_value(s->args, "device");
	sim->ret = rcl_sim_run(&sim->req, &sim->res, &sim->err);
}

/*
 * The runs of one limit, as one, and what is predicted for them: each for its own disk, or, with
 * --device, once. What cannot begin is not repeated.
 */
static int run_limit(struct sweep *s, size_t i)
{
	struct run_spread spread;
	bool failed = false;
	u32 nr = 0, nr_predicted;
	int ret = 0;

	for (; nr < s->repeat && !failed; nr++) {
		struct sim_job *job = &s->runs[nr];

		*job = (struct sim_job){.req = s->req};
		job->req.limit = s->limits[i];
		s->opt.figures = s->as_measured ? &s->figures[nr] : NULL;
		job->ret = rcl_replay_run(&job->req, &s->opt, &job->res, &job->err);
		failed = job->ret;
	}
	nr_predicted = s->compare && !failed ? s->as_measured ? nr : 1 : 0;
	for (u32 k = 0; k < nr_predicted; k++)
		predict(s, k);
	if (nr_predicted) {
		ret = merge(s->predictions, nr_predicted, &s->predicted[i], &spread);
		s->predicted[i].spread = NULL;
		if (nr > 1)
			cli_repeat_figures(s->figures, nr);
		if (s->as_measured)
			cli_measured_median(s->each, nr, s->figures,
					    rcl_replay_device_like(s->opt.dir), &s->measured[i]);
	}
	if (!ret)
		ret = merge(s->runs, nr, &s->jobs[i], &s->spread[i]);
	return ret;
}

static int run_trace(const struct cli_args *args, const struct rcl_trace_image *trace)
{
	struct sweep s = {.args = args, .compare = cli_given(args, "compare")};
	char where[80] = "real memory and files, every page verified";
	struct rcl_error err;
	u64 repeat = 1;
	int ret = request_of(args, trace, &s.req, &s.opt);

	if (!ret)
		ret = cli_integer(args, "repeat", 1, CLI_REPEAT_MAX, &repeat);
	if (!ret)
		ret = limits_of(args, trace->summary.footprint_pages * PAGE_SIZE, s.limits, &s.nr);
	if (!ret && rcl_sim_request_check(&s.req, &err))
		ret = cli_error(CLI_USAGE, "%s", err.text);
	if (ret)
		return ret;
	s.repeat = (u32)repeat;
	if (repeat > 1)
		snprintf(where, sizeof(where),
			 "real memory and files, every page verified; medians of %u runs",
			 s.repeat);
	s.as_measured = s.compare && !cli_given(args, "device");
	ret = sweep_alloc(&s);
	for (size_t i = 0; i < s.nr && !ret; i++)
		ret = run_limit(&s, i);
	struct sim_report r = {
		.path = args->operands[0],
		.trace = trace,
		.jobs = s.jobs,
		.nr_jobs = s.nr,
		.where = where,
	};

	if (!ret)
		ret = report(args, &r, s.compare ? s.predicted : NULL,
			     s.as_measured ? s.measured : NULL);
	if (!ret)
		ret = run_exit_code(s.jobs, s.nr);
	sweep_free(&s);
	return ret;
}

static int run(const struct cli_args *args)
{
	struct rcl_trace_image *trace = NULL;
	struct rcl_error err;
	int ret;

	if (cli_given(args, "json") && cli_given(args, "csv"))
		return cli_error(CLI_USAGE, "--json and --csv exclude each other");
	if (cli_given(args, "compare") && (cli_given(args, "json") || cli_given(args, "csv")))
		return cli_error(CLI_USAGE, "--compare prints tables; --json and --csv do not");
	ret = rcl_trace_load(args->operands[0], cli_value(args, "format"), &trace, &err);
	if (ret)
		return cli_error(CLI_FAILED, "%s", err.text);
	ret = run_trace(args, trace);
	rcl_trace_image_free(trace);
	return ret;
}

const struct cli_verb cli_replay = {
	.name = "replay",
	.operands = "TRACE",
	.min_operands = 1,
	.max_operands = 1,
	.summary = "replay a trace on real memory, files and swap, verifying every page",
	.description =
		"Replay a trace with the same engine as 'reclaim sim', but on real memory, real "
		"files and a real swap file, with threads for tasks. Every page has a content of "
		"its own, which is verified at each access and, but for recordings, once more at "
		"the end; a run in which one is lost says so and fails.\n"
		"\n"
		"With --compare each run is also predicted, and the kernel's counters of both are "
		"printed side by side. Times are those of this machine. A recording's threads and "
		"processes are replayed by a thread each.\n"
		"\n"
		"Disks and threads are not twice the same. With --repeat what is reported is the "
		"median of several runs, and a counter counts as off when it is by more than 5%, "
		"and the prediction is none that the runs themselves lie around.\n"
		"\n"
		"Needs disk space in --dir for the pages of the trace's files and for what goes to "
		"swap. Exit code 3 says that a run ended in an OOM kill.",
	.options = options,
	.examples =
		"  reclaim replay app.trace.zst --limit 96M --compare\n"
		"  reclaim replay app.trace.zst --limit 40%,20% --threads 4 --dir /mnt/scratch\n",
	.run = run,
};
