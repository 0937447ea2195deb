/* SPDX-License-Identifier: MIT */
/*
 * Several runs as one.
 *
 * What happens on a real disk and in real threads is not twice the same. One run is a sample; the
 * median of some is a better one, and the least and the greatest tell what a single number is
 * worth. Each counter has its own median: the result may be one that no single run had, but no odd
 * run moves it.
 *
 * A run that was killed has counted a part of the trace only. Such runs are left out of the medians
 * unless there is no other; that one was killed is said, since the outcome is that of the worst.
 */
#include "cli/repeat.h"

#include <stdlib.h>

#define RUNS_MAX CLI_REPEAT_MAX

static int compare_s64(const void *a, const void *b)
{
	s64 x = *(const s64 *)a, y = *(const s64 *)b;

	return (x > y) - (x < y);
}

/* Sorts them. Between two in the middle: the mean. */
static s64 median(s64 *v, u32 nr)
{
	qsort(v, nr, sizeof(*v), compare_s64);
	return nr & 1 ? v[nr / 2] : v[nr / 2 - 1] + (v[nr / 2] - v[nr / 2 - 1]) / 2;
}

/* The worse, the higher. */
static int badness(const struct sim_job *job)
{
	if (job->ret)
		return 3;
	if (job->res.outcome == RCL_SIM_COMPLETED)
		return 0;
	return job->res.outcome == RCL_SIM_OOM ? 1 : 2;
}

static void merge_counters(const struct rcl_sim_counters **from, u32 nr,
			   struct rcl_sim_counters *out, struct rcl_sim_counters *min,
			   struct rcl_sim_counters *max)
{
	s64 v[RUNS_MAX];

	*out = *from[0];
	for (size_t i = 0; i < out->nr; i++) {
		for (u32 k = 0; k < nr; k++)
			v[k] = from[k]->end[i].value - from[k]->start[i].value;
		out->end[i].value = out->start[i].value + median(v, nr);
		min->start[i] = max->start[i] = min->end[i] = max->end[i] = out->end[i];
		min->start[i].value = max->start[i].value = 0;
		min->end[i].value = v[0];
		max->end[i].value = v[nr - 1];
	}
	min->nr = max->nr = out->nr;
}

/* One number of each run: the median into the first place, the ends where they are wanted. */
static u64 merge_u64(const struct sim_job *const *runs, u32 nr, size_t offset, u64 *min, u64 *max)
{
	s64 v[RUNS_MAX], mid;

	for (u32 k = 0; k < nr; k++)
		v[k] = (s64) * (const u64 *)((const char *)&runs[k]->res + offset);
	mid = median(v, nr);
	*min = (u64)v[0];
	*max = (u64)v[nr - 1];
	return (u64)mid;
}

#define MERGE(field)                                                                               \
	(out->res.field = merge_u64(runs, nr, offsetof(struct rcl_sim_result, field),              \
				    &spread->min.field, &spread->max.field))

static void merge_results(const struct sim_job *const *runs, u32 nr, struct sim_job *out,
			  struct run_spread *spread)
{
	const struct rcl_sim_counters *vm[RUNS_MAX], *cg[RUNS_MAX];
	s64 v[RUNS_MAX];

	for (u32 k = 0; k < nr; k++) {
		vm[k] = &runs[k]->res.vmstat;
		cg[k] = &runs[k]->res.memory_stat;
	}
	merge_counters(vm, nr, &out->res.vmstat, &spread->min.vmstat, &spread->max.vmstat);
	merge_counters(cg, nr, &out->res.memory_stat, &spread->min.memory_stat,
		       &spread->max.memory_stat);
	MERGE(run_ns);
	MERGE(stall_ns);
	MERGE(full_stall_ns);
	MERGE(usage_peak);
	for (size_t i = 0; i < ARRAY_SIZE(out->res.lists); i++)
		MERGE(lists[i]);
	for (size_t i = 0; i < RCL_SIM_TIMELINE; i++)
		MERGE(timeline[i]);
	for (u32 i = 0; i < out->res.nr_tasks; i++) {
		struct rcl_sim_task_result *t = &out->res.tasks[i];

		for (u32 k = 0; k < nr; k++)
			v[k] = (s64)runs[k]->res.tasks[i].run_ns;
		t->run_ns = (u64)median(v, nr);
		for (u32 k = 0; k < nr; k++)
			v[k] = (s64)runs[k]->res.tasks[i].io_ns;
		t->io_ns = (u64)median(v, nr);
	}
}

int cli_repeat_merge(const struct sim_job *runs, u32 nr, struct sim_job *out,
		     struct run_spread *spread)
{
	const struct sim_job *worst = runs, *good[RUNS_MAX];
	struct rcl_sim_task_result *tasks;
	u32 nr_good = 0;
	int best = badness(&runs[0]);

	for (u32 k = 0; k < nr; k++) {
		worst = badness(&runs[k]) > badness(worst) ? &runs[k] : worst;
		best = min(best, badness(&runs[k]));
	}
	for (u32 k = 0; k < nr; k++)
		if (badness(&runs[k]) == best && !runs[k].ret)
			good[nr_good++] = &runs[k];
	*out = *worst;
	out->res.tasks = NULL;
	out->res.regions = NULL;
	*spread = (struct run_spread){.nr = nr, .nr_worst = 0};
	for (u32 k = 0; k < nr; k++)
		spread->nr_worst += badness(&runs[k]) == badness(worst);
	if (worst->ret)
		return 0;
	tasks = calloc(worst->res.nr_tasks + 1, sizeof(*tasks));
	if (!tasks)
		return -ENOMEM;
	for (u32 i = 0; i < worst->res.nr_tasks; i++)
		tasks[i] = worst->res.tasks[i];
	out->res.tasks = tasks;
	merge_results(good, nr_good, out, spread);
	out->spread = spread;
	return 0;
}

static u64 median_of(const struct rcl_host_figures *f, u32 nr, size_t offset)
{
	s64 v[RUNS_MAX];

	for (u32 k = 0; k < nr; k++)
		v[k] = (s64) * (const u64 *)((const char *)&f[k] + offset);
	return (u64)median(v, nr);
}

void cli_repeat_figures(struct rcl_host_figures *f, u32 nr)
{
	struct rcl_host_figures out = f[0];
	u64 *const busy[] = {
		&out.busy.times,	 &out.busy.latency_ns, &out.busy.request_ns[0],
		&out.busy.request_ns[1], &out.busy.page_ns[0], &out.busy.page_ns[1],
		&out.busy.many_ns[0],	 &out.busy.many_ns[1],
	};
	u32 together = 0;

	for (u32 op = 0; op < ARRAY_SIZE(out.op); op++) {
		u64 *const figures[] = {
			&out.op[op].requests,	&out.op[op].pages,   &out.op[op].latency_ns,
			&out.op[op].request_ns, &out.op[op].page_ns, &out.op[op].slow_ns,
		};

		for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
			*figures[i] = median_of(f, nr, (size_t)((char *)figures[i] - (char *)&out));
	}
	for (size_t i = 0; i < ARRAY_SIZE(busy); i++)
		*busy[i] = median_of(f, nr, (size_t)((char *)busy[i] - (char *)&out));
	for (u32 k = 0; k < nr; k++)
		together += f[k].ends_together;
	out.ends_together = 2 * together > nr;
	out.submit_ns = median_of(f, nr, offsetof(struct rcl_host_figures, submit_ns));
	out.unmeasured = median_of(f, nr, offsetof(struct rcl_host_figures, unmeasured));
	out.submit_page_ns = median_of(f, nr, offsetof(struct rcl_host_figures, submit_page_ns));
	out.end_page_ns = median_of(f, nr, offsetof(struct rcl_host_figures, end_page_ns));
	out.end_ns = median_of(f, nr, offsetof(struct rcl_host_figures, end_ns));
	*f = out;
}
