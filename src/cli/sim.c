/* SPDX-License-Identifier: MIT */
/* reclaim sim: what Linux would do with a trace in this much memory. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/report.h"
#include "cli/request.h"
#include "cli/runs.h"
#include "sim/size.h"

#define LIMITS_MAX 1024
#define SWEEP	   "110%,100%,80%,60%,40%,30%,20%"

static const struct cli_option options[] = {
	{'l', "limit", "SIZE,...", true,
	 "memory.max of the group the trace runs in, one run for each: bytes such as 96M or 1.5G, "
	 "or a share such as 40% of what the trace touches"},
	{'m', "memory", "SIZE", false,
	 "memory of the machine; without --limit it is what the trace has to live in, and kswapd "
	 "works. Default: more than the trace can use"},
	CLI_MACHINE_OPTIONS,
	{0, "check", NULL, false,
	 "give every page a content, compare each read with the last write, and check the whole "
	 "machine's invariants every so often (debug.check_every). Slow"},
	{'f', "format", "FORMAT", false,
	 "the trace's format, where detecting it fails; options follow a colon, as in csv:sep=;"},
	{0, "json", NULL, false, "print everything as JSON"},
	{0, "csv", NULL, false, "print everything as CSV, one line a run"},
	{'o', "output", "FILE", false, "write the report to FILE"},
	{'j', "jobs", "N", false, "runs at the same time; default: one per core"},
	{'q', "quiet", NULL, false, "no progress on the terminal"},
	{0},
};

/* ---- Options ------------------------------------------------------------------------------- */

static int limits_of(const struct cli_args *args, u64 footprint, u64 *limits, size_t *nr)
{
	bool default_sweep = !cli_given(args, "limit") && !cli_given(args, "memory");

	return cli_limits(args, default_sweep ? SWEEP : NULL, footprint, limits, LIMITS_MAX, nr);
}

/* ---- Running ------------------------------------------------------------------------------- */

static int report(const struct cli_args *args, const struct sim_report *r)
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
	/* Tables say what went wrong below; the other forms leave it to stderr. */
	for (size_t i = 0; i < r->nr_jobs; i++)
		if (r->jobs[i].ret)
			cli_error(0, "%s", r->jobs[i].err.text);
	return cli_output_close(out, path);
}

static int run_trace(const struct cli_args *args, const struct rcl_sim_request *base,
		     const struct rcl_trace_image *trace)
{
	u64 footprint = trace->summary.footprint_pages * PAGE_SIZE;
	u64 limits[LIMITS_MAX], memory = 0, threads = 0, swap = rcl_sim_auto_swap(trace);
	struct sim_job *jobs;
	size_t nr;
	int ret;

	ret = limits_of(args, footprint, limits, &nr);
	if (!ret)
		ret = cli_size_option(args, "memory", footprint, &memory);
	if (!ret)
		ret = cli_size_option(args, "swap", footprint, &swap);
	if (!ret)
		ret = cli_integer(args, "jobs", 1, 256, &threads);
	if (!ret && cli_given(args, "memory") && !memory)
		ret = cli_error(CLI_USAGE, "--memory 0: a machine needs memory");
	if (ret)
		return ret;
	/* The last job is the baseline: the same with memory for everything. */
	size_t nr_jobs = nr ? nr : 1;
	jobs = calloc(nr_jobs + 1, sizeof(*jobs));
	if (!jobs)
		return cli_error(CLI_FAILED, "out of memory");
	for (size_t i = 0; i <= nr_jobs; i++) {
		jobs[i].req = *base;
		jobs[i].req.trace = trace;
		jobs[i].req.swap = swap;
		jobs[i].req.memory = i == nr_jobs ? 0 : memory;
		jobs[i].req.limit = i < nr ? limits[i] : RCL_SIM_NO_LIMIT;
	}
	struct rcl_error err;

	if (rcl_sim_request_check(&jobs[0].req, &err)) {
		ret = cli_error(CLI_USAGE, "%s", err.text);
	} else {
		char title[48];

		snprintf(title, sizeof(title), "replaying %zu runs", nr_jobs + 1);
		ret = run_jobs(jobs, nr_jobs + 1,
			       isatty(STDERR_FILENO) && !cli_given(args, "quiet") ? title : NULL,
			       (unsigned int)threads);
	}
	if (!ret) {
		struct sim_report r = {
			.path = args->operands[0],
			.trace = trace,
			.jobs = jobs,
			.nr_jobs = nr_jobs,
			.baseline = &jobs[nr_jobs],
		};

		ret = report(args, &r);
		if (!ret)
			ret = run_exit_code(jobs, nr_jobs);
	}
	for (size_t i = 0; i <= nr_jobs; i++)
		rcl_sim_result_free(&jobs[i].res);
	free(jobs);
	return ret;
}

static int run(const struct cli_args *args)
{
	struct rcl_trace_image *trace = NULL;
	struct rcl_sim_request base;
	struct rcl_error err;
	int ret = cli_request(args, &base);

	if (!ret && cli_given(args, "json") && cli_given(args, "csv"))
		ret = cli_error(CLI_USAGE, "--json and --csv exclude each other");
	if (ret)
		return ret;
	ret = rcl_trace_load(args->operands[0], cli_value(args, "format"), &trace, &err);
	if (ret)
		return cli_error(CLI_FAILED, "%s", err.text);
	ret = run_trace(args, &base, trace);
	rcl_trace_image_free(trace);
	return ret;
}

const struct cli_verb cli_sim = {
	.name = "sim",
	.operands = "TRACE",
	.min_operands = 1,
	.max_operands = 1,
	.summary = "replay a trace in limited memory and count what Linux would have done",
	.description =
		"Replay a trace of page accesses on a simulated machine with Linux 6.1's memory "
		"reclaim, once for each memory limit, and print the kernel's counters and how long "
		"the program would have stalled. TRACE is a file in any format that 'docs/"
		"trace-input.md' lists, compressed or not; '-' is standard input.\n"
		"\n"
		"Without --limit and --memory the limits " SWEEP " of what the trace touches are "
		"tried. The same command gives the same output, byte for byte.\n"
		"\n"
		"Slowdown compares with the same run with memory for everything. Exit code 3 says "
		"that a run ended in an OOM kill; the other runs are complete all the same.",
	.options = options,
	.examples = "  reclaim sim app.trace.zst\n"
		    "  reclaim sim app.trace.zst --limit 96M,64M,40% --set vm.swappiness=10\n"
		    "  reclaim sim app.trace.zst --memory 176M --swap 1G --device hdd --json\n",
	.run = run,
};
