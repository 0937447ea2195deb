/* SPDX-License-Identifier: MIT */
/* reclaim sim: what Linux would do with a trace in this much memory. */
#include "cli/cli.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/pool.h"
#include "cli/report.h"
#include "cli/settings.h"
#include "platform/sim/sim.h"
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
	{'s', "swap", "SIZE", false,
	 "size of the swap device; 0 = no swap. Default: twice the trace's anonymous memory, so "
	 "that "
	 "it never fills up"},
	{0, "set", "NAME=VALUE", true,
	 "change a setting of the kernel; 'reclaim tunables' lists them"},
	{'d', "device", "PRESET", false,
	 "the disk and the swap device: nvme, ssd, hdd or virtio. Default: nvme"},
	{0, "swap-device", "PRESET", false, "another preset for the swap device"},
	{0, "costs", "PRESET", false,
	 "what CPU work costs: native, or emulated (a guest under QEMU's software emulation)"},
	{0, "cpus", "N", false, "CPUs of the machine; default 1"},
	{0, "readahead", "on|off", false,
	 "whether files are read ahead. Default: on, but off for tracegen's traces, whose "
	 "recordings "
	 "were made without"},
	{0, "seed", "N", false, "of all the simulator's choices; default 1"},
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

static int size_option(const struct cli_args *args, const char *option, u64 whole, u64 *out)
{
	const char *text = cli_value(args, option);
	struct rcl_error err;

	if (text && rcl_size_parse(text, whole, out, &err))
		return cli_error(CLI_USAGE, "--%s: %s", option, err.text);
	return 0;
}

/* Append the limits of one list; *nr counts them. */
static int parse_limits(const char *list, u64 footprint, u64 *limits, size_t *nr)
{
	while (1) {
		size_t len = strcspn(list, ",");
		struct rcl_error err;
		char text[64];

		if (*nr == LIMITS_MAX)
			return cli_error(CLI_USAGE, "--limit: more than %u limits", LIMITS_MAX);
		snprintf(text, sizeof(text), "%.*s", (int)min(len, sizeof(text) - 1), list);
		if (rcl_size_parse(text, footprint, &limits[*nr], &err))
			return cli_error(CLI_USAGE, "--limit: %s", err.text);
		++*nr;
		if (!list[len])
			return 0;
		list += len + 1;
	}
}

static int limits_of(const struct cli_args *args, u64 footprint, u64 *limits, size_t *nr)
{
	const char *list;
	int ret;

	*nr = 0;
	for (unsigned int i = 0; (list = cli_value_nth(args, "limit", i)); i++) {
		ret = parse_limits(list, footprint, limits, nr);
		if (ret)
			return ret;
	}
	if (!*nr && !cli_given(args, "memory"))
		return parse_limits(SWEEP, footprint, limits, nr);
	return 0;
}

static int device_option(const struct cli_args *args, const char *option, const char **out)
{
	const char *names[32] = {NULL};
	size_t nr = 0;

	*out = cli_value(args, option);
	if (!*out || rcl_sim_device_preset(*out))
		return 0;
	for (const struct rcl_sim_device_config *d = rcl_sim_device_presets(); d->name; d++)
		if (nr < ARRAY_SIZE(names) - 1)
			names[nr++] = d->name;
	const char *meant = cli_nearest(*out, names);

	return cli_error(CLI_USAGE, "--%s: unknown device '%s'%s%s%s (nvme, ssd, hdd, virtio)",
			 option, *out, meant ? "; did you mean '" : "", meant ? meant : "",
			 meant ? "'?" : "");
}

static int readahead_of(const struct cli_args *args, enum rcl_sim_readahead *out)
{
	const char *text = cli_value(args, "readahead");

	if (!text || !strcmp(text, "auto"))
		*out = RCL_SIM_READAHEAD_AUTO;
	else if (!strcmp(text, "on"))
		*out = RCL_SIM_READAHEAD_ON;
	else if (!strcmp(text, "off"))
		*out = RCL_SIM_READAHEAD_OFF;
	else
		return cli_error(CLI_USAGE, "--readahead %s: on or off is needed", text);
	return 0;
}

/* What can be wrong without knowing the trace; everything but sizes that may be shares. */
static int request_of(const struct cli_args *args, struct rcl_sim_request *req)
{
	u64 cpus = 1;
	int ret;

	rcl_sim_request_init(req, NULL);
	req->seed = 1;
	req->check = cli_given(args, "check");
	req->cost = cli_value(args, "costs");
	ret = cli_settings(args, &req->tunables);
	if (!ret)
		ret = device_option(args, "device", &req->device);
	if (!ret)
		ret = device_option(args, "swap-device", &req->swap_device);
	if (!ret)
		ret = readahead_of(args, &req->readahead);
	if (!ret)
		ret = cli_integer(args, "seed", 0, UINT64_MAX, &req->seed);
	if (!ret)
		ret = cli_integer(args, "cpus", 1, RCL_SIM_MAX_CPUS, &cpus);
	req->nr_cpus = (u32)cpus;
	if (!req->device)
		req->device = RCL_SIM_DEFAULT_DEVICE;
	if (!ret && cli_given(args, "json") && cli_given(args, "csv"))
		ret = cli_error(CLI_USAGE, "--json and --csv exclude each other");
	return ret;
}

/* ---- Running ------------------------------------------------------------------------------- */

struct progress {
	pthread_mutex_t lock;
	u64 shown_at; /* lock */
	struct sim_run *run;
};

struct one {
	struct sim_run *run;
	u64 done; /* A */
};

struct sim_run {
	struct sim_job *jobs;
	struct one *ones;
	size_t nr;
	u64 accesses; /* of one job */
	bool show;
	struct progress progress;
};

static u64 milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

static bool show_progress(void *arg, u64 done, u64 accesses)
{
	struct one *one = arg;
	struct sim_run *run = one->run;
	u64 sum = 0, now = milliseconds();

	(void)accesses;
	__atomic_store_n(&one->done, done, __ATOMIC_RELAXED);
	if (pthread_mutex_trylock(&run->progress.lock))
		return true;
	if (now >= run->progress.shown_at + 100) {
		run->progress.shown_at = now;
		for (size_t i = 0; i < run->nr; i++)
			sum += __atomic_load_n(&run->ones[i].done, __ATOMIC_RELAXED);
		fprintf(stderr, "\rreplaying %zu runs: %3.0f%%", run->nr,
			100.0 * (double)sum / ((double)run->accesses * (double)run->nr));
		fflush(stderr);
	}
	pthread_mutex_unlock(&run->progress.lock);
	return true;
}

static void run_one(void *arg, size_t i)
{
	struct sim_run *run = arg;
	struct sim_job *job = &run->jobs[i];

	if (run->show)
		job->req.progress =
			(struct rcl_sim_progress){.report = show_progress, .arg = &run->ones[i]};
	job->ret = rcl_sim_run(&job->req, &job->res, &job->err);
	__atomic_store_n(&run->ones[i].done, run->accesses, __ATOMIC_RELAXED);
}

static int run_all(struct sim_job *jobs, size_t nr, u64 accesses, bool show, unsigned int threads)
{
	struct sim_run run = {
		.jobs = jobs,
		.nr = nr,
		.accesses = accesses,
		.show = show,
		.progress.lock = PTHREAD_MUTEX_INITIALIZER,
	};

	run.ones = calloc(nr, sizeof(*run.ones));
	if (!run.ones)
		return cli_error(CLI_FAILED, "out of memory");
	for (size_t i = 0; i < nr; i++)
		run.ones[i].run = &run;
	pool_run(threads, nr, run_one, &run);
	if (show)
		fprintf(stderr, "\r%40s\r", "");
	free(run.ones);
	return 0;
}

static int exit_code(const struct sim_job *jobs, size_t nr)
{
	int code = CLI_OK;

	for (size_t i = 0; i < nr; i++) {
		if (jobs[i].ret || (jobs[i].res.outcome != RCL_SIM_COMPLETED &&
				    jobs[i].res.outcome != RCL_SIM_OOM))
			return CLI_FAILED;
		if (jobs[i].res.outcome == RCL_SIM_OOM)
			code = CLI_OOM;
	}
	return code;
}

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
		ret = size_option(args, "memory", footprint, &memory);
	if (!ret)
		ret = size_option(args, "swap", footprint, &swap);
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
		ret = run_all(jobs, nr_jobs + 1, trace->count,
			      isatty(STDERR_FILENO) && !cli_given(args, "quiet"),
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
			ret = exit_code(jobs, nr_jobs);
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
	int ret = request_of(args, &base);

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
