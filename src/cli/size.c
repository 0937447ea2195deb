/* SPDX-License-Identifier: MIT */
/*
 * reclaim size: how much memory does a program need?
 *
 * Two runs with memory for everything tell what the program needs and how long it takes then.
 * From there the search (sim/sizing.h) names limits, round by round; the runs of a round go side by
 * side. When the curve is known, the answers are looked for once more under each other setting, all
 * settings in the same rounds.
 */
#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/request.h"
#include "cli/runs.h"
#include "cli/size_print.h"
#include "report/report.h"
#include "sim/size.h"
#include "sim/sizing.h"

#define SETTINGS_MAX	 8
#define DEFAULT_RUNS	 24
#define COURSE_PARTS	 120
#define CALIBRATION_STEP 1000 /* ns an access */
/* A run that is so many times slower need not come to its end. */
#define GIVE_UP 100

_Static_assert(RCL_REPORT_ACCEPTED_MAX == RCL_SIZING_ACCEPTED_MAX, "");

static const struct cli_option options[] = {
	{'S', "slowdown", "X", true,
	 "find the smallest limit with which the program takes at most X times as long as with "
	 "memory for everything. Default: 1.05, 1.2 and 2"},
	{'r', "report", "FILE", false, "also write a page with charts: one HTML file"},
	{'t', "run-time", "TIME", false,
	 "how long the program takes with memory for everything, such as 1.5s or 250ms. Traces "
	 "that "
	 "do not say what the program computes between two accesses make it look faster, and "
	 "memory more important, than it is"},
	{0, "runs", "N", false, "most runs of the curve; default 24"},
	{0, "no-settings", NULL, false,
	 "the curve alone, in a quarter of the time: leave other settings out"},
	CLI_MACHINE_OPTIONS,
	{'f', "format", "FORMAT", false,
	 "the trace's format, where detecting it fails; options follow a colon, as in csv:sep=;"},
	{0, "json", NULL, false, "print everything as JSON"},
	{'o', "output", "FILE", false, "write the result to FILE"},
	{'j', "jobs", "N", false, "runs at the same time; default: one per core"},
	{'q', "quiet", NULL, false, "no progress on the terminal"},
	{0},
};

/* A search and its runs. */
struct curve {
	char name[48];
	struct rcl_sim_request req;
	struct rcl_sizing sizing;
	struct sim_job *jobs[RCL_SIZING_POINTS_MAX];
	unsigned int nr_jobs;
};

struct sizing {
	const struct cli_args *args;
	const struct rcl_trace_image *trace;
	bool show;
	unsigned int threads;
	unsigned int nr_runs;
	double accepted[RCL_SIZING_ACCEPTED_MAX];
	unsigned int nr_accepted;
	u64 max_runs;
	struct sim_job whole, plenty; /* without a limit; with one that is never reached */
	u64 own_ns;
	struct curve curves[SETTINGS_MAX];
	unsigned int nr_curves;
};

/* ---- Options ------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int accepted_of(struct sizing *s)
{
	static const double usual[] = {1.05, 1.2, 2};
	const char *text;
	char *end;

	for (unsigned int i = 0; (text = cli_value_nth(s->args, "slowdown", i)); i++) {
		double v = strtod(text, &end);
		unsigned int k = 0;

		if (end == text || (*end && strcmp(end, "x")) || !(v > 1) || v > 1e6)
			return cli_error(CLI_USAGE,
					 "--slowdown %s: a number above 1 is needed, such as 1.2",
					 text);
		while (k < s->nr_accepted && s->accepted[k] != v)
			k++;
		if (k == RCL_SIZING_ACCEPTED_MAX)
			return cli_error(CLI_USAGE, "--slowdown: at most %u of them",
					 RCL_SIZING_ACCEPTED_MAX);
		s->accepted[k] = v;
		if (k == s->nr_accepted)
			s->nr_accepted++;
	}
	if (!s->nr_accepted) {
		memcpy(s->accepted, usual, sizeof(usual));
		s->nr_accepted = ARRAY_SIZE(usual);
	}
	qsort(s->accepted, s->nr_accepted, sizeof(*s->accepted), by_value);
	return 0;
}

static int time_option(const struct cli_args *args, const char *option, u64 *ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"min", 60e9}, {"h", 3600e9}};
	const char *text = cli_value(args, option);
	char *end;

	if (!text)
		return 0;
	double v = strtod(text, &end);

	for (size_t i = 0; end != text && i < ARRAY_SIZE(units); i++) {
		if (strcmp(end, units[i].name) || !(v > 0) || v * units[i].ns > 1e15)
			continue;
		*ns = (u64)(v * units[i].ns);
		return 0;
	}
	return cli_error(CLI_USAGE, "--%s %s: a time is needed, such as 1.5s, 250ms or 2min",
			 option, text);
}

/* ---- Running ------------------------------------------------------------------------------- */

static double slowdown_of(const struct sizing *s, const struct sim_job *job)
{
	if (job->res.outcome == RCL_SIM_OOM || !s->whole.res.run_ns)
		return INFINITY;
	return (double)job->res.run_ns / (double)s->whole.res.run_ns;
}

/* A sizing is of use only when every run came to an end, or to an OOM kill. */
static int check_outcome(const struct sim_job *job)
{
	char text[RCL_SIZE_TEXT] = "memory for everything";

	if (job->req.limit != RCL_SIM_NO_LIMIT)
		rcl_size_format(job->req.limit, text);
	if (job->ret)
		return cli_error(CLI_FAILED, "with %s: %s", text, job->err.text);
	if (job->res.outcome != RCL_SIM_COMPLETED && job->res.outcome != RCL_SIM_OOM &&
	    job->res.outcome != RCL_SIM_TOO_LONG)
		return cli_error(CLI_FAILED, "with %s the run ended at access %llu: %s", text,
				 (unsigned long long)job->res.bad_access, job->res.detail);
	return 0;
}

static int do_jobs(struct sizing *s, struct sim_job *jobs, size_t nr, const char *what)
{
	char title[80];
	int ret;

	snprintf(title, sizeof(title), "%s: runs %u to %zu", what, s->nr_runs + 1, s->nr_runs + nr);
	s->nr_runs += (unsigned int)nr;
	ret = run_jobs(jobs, nr, s->show ? title : NULL, s->threads);
	for (size_t i = 0; i < nr && !ret; i++)
		ret = check_outcome(&jobs[i]);
	return ret;
}

/*
 * Give each access its share of the time that the program takes: what a run takes beside grows
 * with it on a straight line, so two runs tell how much.
 */
static int calibrate(struct sizing *s, struct rcl_sim_request *req, u64 run_time)
{
	struct sim_job jobs[2] = {{.req = *req}, {.req = *req}};
	u64 step = CALIBRATION_STEP, base = (u64)req->tunables.access_ns;
	int ret;

	jobs[0].req.tunables.access_ns = (s64)max(base, (u64)1);
	jobs[1].req.tunables.access_ns = (s64)(max(base, (u64)1) + step);
	ret = do_jobs(s, jobs, 2, "calibrating");
	if (!ret) {
		u64 low = jobs[0].res.run_ns, high = jobs[1].res.run_ns;

		if (run_time < low)
			cli_error(
				0,
				"--run-time is less than what the kernel's part alone takes here; "
				"the program's own part counts as nothing");
		else if (high > low)
			jobs[0].req.tunables.access_ns +=
				(s64)((double)(run_time - low) / (double)(high - low) *
					      (double)step +
				      0.5);
		req->tunables.access_ns = jobs[0].req.tunables.access_ns;
		if (high > low)
			s->own_ns = (u64)((double)req->tunables.access_ns * (double)(high - low) /
					  (double)step);
	}
	for (size_t i = 0; i < 2; i++)
		rcl_sim_result_free(&jobs[i].res);
	return ret;
}

static int measure_need(struct sizing *s, const struct rcl_sim_request *req)
{
	struct sim_job jobs[2] = {{.req = *req}, {.req = *req}};
	int ret;

	jobs[1].req.limit = rcl_sim_auto_memory(s->trace);
	ret = do_jobs(s, jobs, 2, "measuring");
	s->whole = jobs[0];
	s->plenty = jobs[1];
	for (size_t i = 0; i < 2 && !ret; i++)
		if (jobs[i].res.outcome == RCL_SIM_OOM)
			ret = cli_error(CLI_OOM, "even with memory for everything: %s",
					jobs[i].res.detail);
	return ret;
}

/* One round of some curves: 1 when there was something to do, 0 when not, else an exit code. */
static int round_of(struct sizing *s, struct curve *curves, unsigned int nr, const char *what,
		    bool *did)
{
	struct sim_job *jobs = calloc((size_t)nr * RCL_SIZING_BATCH + 1, sizeof(*jobs));
	size_t counts[SETTINGS_MAX], nr_jobs = 0;
	int ret = 0;

	if (!jobs)
		return cli_error(CLI_FAILED, "out of memory");
	for (unsigned int c = 0; c < nr; c++) {
		u64 limits[RCL_SIZING_BATCH];

		counts[c] = rcl_sizing_next(&curves[c].sizing, limits);
		for (size_t i = 0; i < counts[c]; i++) {
			jobs[nr_jobs].req = curves[c].req;
			jobs[nr_jobs++].req.limit = limits[i];
		}
	}
	*did = nr_jobs;
	if (nr_jobs)
		ret = do_jobs(s, jobs, nr_jobs, what);
	size_t at = 0;

	for (unsigned int c = 0; c < nr; c++) {
		for (size_t i = 0; i < counts[c]; i++, at++) {
			struct sim_job *keep = ret ? NULL : malloc(sizeof(*keep));

			if (!keep) {
				rcl_sim_result_free(&jobs[at].res);
				ret = ret ? ret : cli_error(CLI_FAILED, "out of memory");
				continue;
			}
			*keep = jobs[at];
			curves[c].jobs[curves[c].nr_jobs++] = keep;
			rcl_sizing_add(&curves[c].sizing, keep->req.limit, slowdown_of(s, keep));
		}
	}
	free(jobs);
	return ret;
}

static int search(struct sizing *s, struct curve *curves, unsigned int nr, const char *what)
{
	bool more = nr;
	int ret = 0;

	while (!ret && more)
		ret = round_of(s, curves, nr, what, &more);
	return ret;
}

static struct curve *add_curve(struct sizing *s, const struct rcl_sim_request *req,
			       const char *name)
{
	struct curve *c = &s->curves[s->nr_curves++];

	c->req = *req;
	c->req.by_region = s->nr_curves == 1;
	c->req.give_up_ns = (u64)((double)s->whole.res.run_ns *
				  fmax(GIVE_UP, 4 * s->accepted[s->nr_accepted - 1]));
	snprintf(c->name, sizeof(c->name), "%s", name);
	return c;
}

static int main_curve(struct sizing *s, const struct rcl_sim_request *req)
{
	char name[48];
	struct curve *c;

	snprintf(name, sizeof(name), "swappiness %lld", (long long)req->tunables.swappiness);
	c = add_curve(s, req, req->swap ? name : "no swap");
	rcl_sizing_init(&c->sizing, s->plenty.res.usage_peak, s->plenty.req.limit, s->accepted,
			s->nr_accepted, (unsigned int)s->max_runs);
	return search(s, c, 1, "sizing");
}

/* Without anonymous memory, or without swap, these settings change nothing. */
static int other_settings(struct sizing *s, const struct rcl_sim_request *req)
{
	static const int swappiness[] = {1, 60, 100, 150};

	if (!req->swap || cli_given(s->args, "no-settings"))
		return 0;
	add_curve(s, req, "no swap")->req.swap = 0;
	for (size_t i = 0; i < ARRAY_SIZE(swappiness); i++) {
		char name[48];

		if (req->tunables.swappiness == swappiness[i])
			continue;
		snprintf(name, sizeof(name), "swappiness %d", swappiness[i]);
		add_curve(s, req, name)->req.tunables.swappiness = swappiness[i];
	}
	for (unsigned int i = 1; i < s->nr_curves; i++)
		rcl_sizing_init_near(&s->curves[i].sizing, &s->curves[0].sizing,
				     2 * (unsigned int)s->max_runs);
	return search(s, s->curves + 1, s->nr_curves - 1, "other settings");
}

/* ---- The report ---------------------------------------------------------------------------- */

static u64 event(const struct sim_job *job, const char *name)
{
	s64 v = rcl_sim_delta(&job->res.vmstat, name);

	return v > 0 ? (u64)v : 0;
}

static const struct sim_job *job_at(const struct curve *c, u64 limit)
{
	for (unsigned int i = 0; i < c->nr_jobs; i++)
		if (c->jobs[i]->req.limit == limit)
			return c->jobs[i];
	return NULL;
}

static u64 wait_of(const struct sim_job *job)
{
	u64 sum = 0;

	for (u32 i = 0; i < job->res.nr_tasks; i++)
		sum += job->res.tasks[i].io_ns;
	return job->res.nr_tasks ? sum / job->res.nr_tasks : 0;
}

static void fill_points(const struct sizing *s, struct rcl_report *r)
{
	const struct curve *c = &s->curves[0];

	for (unsigned int i = 0; i < c->sizing.nr_points; i++) {
		const struct sim_job *job = job_at(c, c->sizing.points[i].limit);

		r->points[r->nr_points++] = (struct rcl_report_point){
			.limit = job->req.limit,
			.slowdown = c->sizing.points[i].slowdown,
			.major_faults = event(job, "pgmajfault"),
			.refaults = event(job, "workingset_refault_anon") +
				    event(job, "workingset_refault_file"),
			.swap_in = event(job, "pswpin"),
			.swap_out = event(job, "pswpout"),
			.written = event(job, "nr_written"),
			.run_ns = job->res.run_ns,
			.stall_ns = job->res.stall_ns,
			.wait_ns = wait_of(job),
			.gave_up = job->res.outcome == RCL_SIM_TOO_LONG,
		};
	}
}

static int fill_settings(const struct sizing *s, struct rcl_report *r)
{
	for (unsigned int c = 0; c < s->nr_curves; c++) {
		struct rcl_report_setting *row = &r->settings[r->nr_settings++];
		const struct rcl_sizing *z = &s->curves[c].sizing;

		row->name = s->curves[c].name;
		row->points = calloc(z->nr_points + 1, sizeof(*row->points));
		if (!row->points)
			return cli_error(CLI_FAILED, "out of memory");
		for (unsigned int i = 0; i < z->nr_points; i++) {
			row->points[i].limit = z->points[i].limit;
			row->points[i].slowdown = z->points[i].slowdown;
		}
		row->nr_points = z->nr_points;
		for (unsigned int i = 0; i < s->nr_accepted; i++) {
			struct rcl_sizing_answer a = rcl_sizing_answer(z, s->accepted[i]);
			const struct rcl_report_answer *first = &r->settings[0].answers[i];

			row->answers[i] = (struct rcl_report_answer){
				.found = a.found,
				.limit = a.good.limit,
				.slowdown = a.good.slowdown,
				.worse_limit = a.has_bad ? a.bad.limit : 0,
				.worse_slowdown = a.bad.slowdown,
			};
			for (unsigned int k = 0; k < z->nr_points && first->found; k++)
				if (z->points[k].limit == first->limit)
					row->at[i] = z->points[k].slowdown;
		}
	}
	return 0;
}

/* Where regions are told apart: at each answer, and just below the last. */
static void fill_at(struct rcl_report *r)
{
	const struct rcl_report_answer *a = r->settings[0].answers;

	for (u32 i = 0; i < r->nr_accepted; i++) {
		if (!a[i].found || (r->nr_at && r->at[r->nr_at - 1].limit == a[i].limit))
			continue;
		r->at[r->nr_at].limit = a[i].limit;
		r->at[r->nr_at++].slowdown = a[i].slowdown;
	}
	a += r->nr_accepted - 1;
	if (a->worse_limit) {
		r->at[r->nr_at].limit = a->worse_limit;
		r->at[r->nr_at++].slowdown = a->worse_slowdown;
	}
}

static int by_weight(const void *a, const void *b)
{
	const struct rcl_report_region *x = a, *y = b;

	for (int i = RCL_REPORT_AT_MAX - 1; i >= 0; i--)
		if (x->at[i].refaults + x->at[i].major_faults !=
		    y->at[i].refaults + y->at[i].major_faults)
			return x->at[i].refaults + x->at[i].major_faults >
					       y->at[i].refaults + y->at[i].major_faults
				       ? -1
				       : 1;
	if (x->pages != y->pages)
		return x->pages > y->pages ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void fill_regions(const struct sizing *s, struct rcl_report *r)
{
	for (u32 i = 0; i < s->trace->nr_regions; i++) {
		struct rcl_report_region *region = &r->regions[r->nr_regions];

		if (!s->trace->region_summaries[i].footprint)
			continue;
		r->nr_regions++;
		region->name = s->trace->recording ? s->trace->recording->names[i]
						   : s->trace->regions[i].name;
		region->file = s->trace->regions[i].kind != RCL_ACCESS_ANON;
		region->pages = s->trace->region_summaries[i].footprint;
		for (u32 k = 0; k < r->nr_at; k++) {
			const struct sim_job *job = job_at(&s->curves[0], r->at[k].limit);
			const struct rcl_sim_region_result *res = &job->res.regions[i];

			region->at[k].refaults = res->refaults;
			region->at[k].major_faults = res->major_faults;
			region->at[k].stall_ns = res->stall_ns;
		}
	}
	qsort(r->regions, r->nr_regions, sizeof(*r->regions), by_weight);
}

static int fill(const struct sizing *s, struct rcl_report *r)
{
	const struct rcl_trace_summary *sum = &s->trace->summary;
	const struct rcl_sim_request *req = &s->curves[0].req;

	*r = (struct rcl_report){
		.trace = s->args->operands[0],
		.version = RCL_VERSION,
		.accesses = sum->touches,
		.anon_pages = sum->anon_pages,
		.file_pages = sum->footprint_pages - sum->anon_pages,
		.need = s->plenty.res.usage_peak,
		.run_ns = s->whole.res.run_ns,
		.own_ns = s->own_ns,
		.memory = s->whole.res.memory,
		.swap = s->whole.res.swap,
		.device = req->device,
		.swap_device = req->swap_device ? req->swap_device : req->device,
		.exact = s->curves[0].sizing.quantum,
		.nr_runs = s->nr_runs,
		.nr_accepted = s->nr_accepted,
		.points = calloc(s->curves[0].sizing.nr_points + 1, sizeof(*r->points)),
		.settings = calloc(s->nr_curves, sizeof(*r->settings)),
		.regions = calloc(s->trace->nr_regions + 1, sizeof(*r->regions)),
	};
	/* A recording may know, and is replayed with it. */
	if (!r->own_ns && s->trace->recording)
		r->own_ns = s->trace->recording->native_ns;
	memcpy(r->accepted, s->accepted, sizeof(s->accepted));
	if (!r->points || !r->settings || !r->regions ||
	    rcl_course_of(s->trace, COURSE_PARTS, &r->course))
		return cli_error(CLI_FAILED, "out of memory");
	fill_points(s, r);
	if (fill_settings(s, r))
		return CLI_FAILED;
	fill_at(r);
	fill_regions(s, r);
	return 0;
}

static int print(const struct sizing *s, const struct rcl_report *r)
{
	const char *path = cli_value(s->args, "report");
	FILE *out;
	int ret;

	if (path) {
		out = cli_output_open(path);
		if (!out)
			return CLI_FAILED;
		rcl_report_html(r, out);
		ret = cli_output_close(out, path);
		if (ret || out == stdout)
			return ret;
	}
	path = cli_value(s->args, "output");
	out = cli_output_open(path);
	if (!out)
		return CLI_FAILED;
	if (cli_given(s->args, "json"))
		size_print_json(r, out);
	else
		size_print_text(r, out);
	return cli_output_close(out, path);
}

/* ---- The verb ------------------------------------------------------------------------------ */

static int size(struct sizing *s, struct rcl_sim_request *req, u64 run_time)
{
	struct rcl_report r = {0};
	struct rcl_error err;
	int ret = cli_size_option(s->args, "swap", s->trace->summary.footprint_pages * PAGE_SIZE,
				  &req->swap);

	if (!ret && rcl_sim_request_check(req, &err))
		ret = cli_error(CLI_USAGE, "%s", err.text);
	if (!ret && run_time)
		ret = calibrate(s, req, run_time);
	if (!ret)
		ret = measure_need(s, req);
	if (!ret)
		ret = main_curve(s, req);
	if (!ret)
		ret = other_settings(s, req);
	if (!ret)
		ret = fill(s, &r);
	if (!ret)
		ret = print(s, &r);
	rcl_course_free(&r.course);
	for (u32 i = 0; i < r.nr_settings; i++)
		free(r.settings[i].points);
	free(r.points);
	free(r.settings);
	free(r.regions);
	return ret;
}

static void free_sizing(struct sizing *s)
{
	rcl_sim_result_free(&s->whole.res);
	rcl_sim_result_free(&s->plenty.res);
	for (unsigned int c = 0; c < s->nr_curves; c++) {
		for (unsigned int i = 0; i < s->curves[c].nr_jobs; i++) {
			rcl_sim_result_free(&s->curves[c].jobs[i]->res);
			free(s->curves[c].jobs[i]);
		}
	}
	free(s);
}

static int run(const struct cli_args *args)
{
	struct rcl_trace_image *trace = NULL;
	struct sizing *s = calloc(1, sizeof(*s));
	struct rcl_sim_request req;
	struct rcl_error err;
	u64 run_time = 0, threads = 0;
	int ret;

	if (!s)
		return cli_error(CLI_FAILED, "out of memory");
	s->args = args;
	s->max_runs = DEFAULT_RUNS;
	s->show = isatty(STDERR_FILENO) && !cli_given(args, "quiet");
	ret = cli_request(args, &req);
	if (!ret)
		ret = accepted_of(s);
	if (!ret)
		ret = time_option(args, "run-time", &run_time);
	if (!ret)
		ret = cli_integer(args, "runs", 2, RCL_SIZING_POINTS_MAX, &s->max_runs);
	if (!ret)
		ret = cli_integer(args, "jobs", 1, 256, &threads);
	s->threads = (unsigned int)threads;
	if (!ret && rcl_trace_load(args->operands[0], cli_value(args, "format"), &trace, &err))
		ret = cli_error(CLI_FAILED, "%s", err.text);
	if (!ret) {
		s->trace = req.trace = trace;
		req.swap = rcl_sim_auto_swap(trace);
		ret = size(s, &req, run_time);
	}
	rcl_trace_image_free(trace);
	free_sizing(s);
	return ret;
}

const struct cli_verb cli_size = {
	.name = "size",
	.operands = "TRACE",
	.min_operands = 1,
	.max_operands = 1,
	.summary = "find how much memory a program needs, and what less would cost",
	.description =
		"Find the memory limits worth looking at, replay the trace under each of them on a "
		"simulated machine with Linux 6.1's memory reclaim, and print: the smallest limit "
		"for each slowdown that is accepted; how the program degrades as memory shrinks; "
		"what the limits would be without swap and with other values of vm.swappiness; and "
		"whose pages came back after reclaim had taken them.\n"
		"\n"
		"TRACE is what 'reclaim sim' reads. A limit is the memory.max of the program's "
		"group; it covers all that the kernel charges to a group, page cache and page "
		"tables "
		"included. A limit is the answer when every larger one that was tried is good "
		"enough too, and the next smaller is not.\n"
		"\n"
		"The same command gives the same output, byte for byte, on any number of cores.",
	.options = options,
	.examples = "  reclaim size app.trace.zst --run-time 12s\n"
		    "  reclaim size app.trace.zst --slowdown 1.1 --report app.html\n"
		    "  reclaim size app.trace.zst --device hdd --set vm.page-cluster=0 --json\n",
	.run = run,
};
