/* SPDX-License-Identifier: MIT */
/* reclaim replay: a trace on real memory, real files and a real swap file. */
#include "cli/cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/predict.h"
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

static void compare_counter(struct table *t, const char *name, s64 predicted, s64 measured,
			    unsigned int *outside)
{
	s64 more = max(predicted, measured);
	double diff = predicted ? 100.0 * (double)(measured - predicted) / (double)predicted : 0;
	bool small = more < SMALL_COUNT;
	bool out = !small && (!predicted || fabs(diff) > TOLERANCE_PERCENT);

	if (!more)
		return;
	table_cell(t, "%s", name);
	table_cell(t, "%lld", (long long)predicted);
	table_cell(t, "%lld", (long long)measured);
	if (predicted)
		table_cell(t, "%+.1f%%", diff);
	else
		table_cell(t, "-");
	table_cell(t, "%s", out ? "!" : small ? "(few)" : "");
	*outside += out;
}

static void print_comparison(const struct sim_job *real, const struct sim_job *sim,
			     const struct measured *measured, FILE *out)
{
	char text[RCL_SIZE_TEXT];
	unsigned int outside = 0;
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
	table_column(&t, "measured", false);
	table_column(&t, "difference", false);
	table_column(&t, "", true);
	for (const char *const *name = rcl_recording_counters; *name; name++)
		compare_counter(&t, *name, rcl_sim_delta(&sim->res.vmstat, *name),
				rcl_sim_delta(&real->res.vmstat, *name), &outside);
	table_print(&t, out);
	table_free(&t);
	if (outside)
		fprintf(out, "%u counters of %d or more differ by more than %.0f%% (!)\n", outside,
			SMALL_COUNT, TOLERANCE_PERCENT);
	else
		fprintf(out, "all counters of %d or more are within %.0f%%\n", SMALL_COUNT,
			TOLERANCE_PERCENT);
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

/* As with what was measured, or with the device that is asked for. */
static void predict(const struct cli_args *args, const struct rcl_replay_options *opt,
		    const struct sim_job *real, struct sim_job *sim, struct measured *measured)
{
	sim->req = real->req;
	sim->req.check = false;
	if (measured) {
		cli_predict(sim, real, opt->figures, rcl_replay_device_like(opt->dir), measured);
		return;
	}
	sim->req.device = cli_value(args, "device");
	sim->ret = rcl_sim_run(&sim->req, &sim->res, &sim->err);
}

static int run_trace(const struct cli_args *args, const struct rcl_trace_image *trace)
{
	bool compare = cli_given(args, "compare");
	struct rcl_host_figures figures = {0};
	struct measured measured[LIMITS_MAX];
	bool as_measured = compare && !cli_given(args, "device");
	struct rcl_replay_options opt;
	struct rcl_sim_request req;
	u64 limits[LIMITS_MAX];
	struct sim_job *jobs, *predicted;
	struct rcl_error err;
	size_t nr;
	int ret = request_of(args, trace, &req, &opt);

	if (!ret)
		ret = limits_of(args, trace->summary.footprint_pages * PAGE_SIZE, limits, &nr);
	if (!ret && rcl_sim_request_check(&req, &err))
		ret = cli_error(CLI_USAGE, "%s", err.text);
	if (ret)
		return ret;
	jobs = calloc(2 * nr + 1, sizeof(*jobs));
	if (!jobs)
		return cli_error(CLI_FAILED, "out of memory");
	predicted = jobs + nr;
	opt.figures = as_measured ? &figures : NULL;
	for (size_t i = 0; i < nr; i++) {
		struct sim_job *real = &jobs[i];

		real->req = req;
		real->req.limit = limits[i];
		real->ret = rcl_replay_run(&real->req, &opt, &real->res, &real->err);
		if (compare)
			predict(args, &opt, real, &predicted[i], as_measured ? &measured[i] : NULL);
	}
	struct sim_report r = {
		.path = args->operands[0],
		.trace = trace,
		.jobs = jobs,
		.nr_jobs = nr,
		.where = "real memory and files, every page verified",
	};

	ret = report(args, &r, compare ? predicted : NULL, as_measured ? measured : NULL);
	if (!ret)
		ret = run_exit_code(jobs, nr);
	for (size_t i = 0; i < 2 * nr; i++)
		rcl_sim_result_free(&jobs[i].res);
	free(jobs);
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
		"Needs disk space in --dir for the pages of the trace's files and for what goes to "
		"swap. Exit code 3 says that a run ended in an OOM kill.",
	.options = options,
	.examples =
		"  reclaim replay app.trace.zst --limit 96M --compare\n"
		"  reclaim replay app.trace.zst --limit 40%,20% --threads 4 --dir /mnt/scratch\n",
	.run = run,
};
