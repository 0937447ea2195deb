/* SPDX-License-Identifier: MIT */
/*
 * Predicting a run with the figures of its own disk and CPU.
 *
 * Reclaim decides upon what has been written by then. So whoever compares what was predicted with
 * what happened has to predict for the disk on which it happened, and that is known best after the
 * run: it has measured what its requests took (platform/host/measure.h). The disk of the simulator
 * gets these times, and a channel of its own for writes, since real disks do both at once; but for
 * one that does one request after the other and tells of them all together, which is predicted as
 * such, with the paces that it was seen to work at. It has no writeback throttling, since the host
 * platform has none, gathers as many pages as that does, and its charges wait for writes, as they do
 * there.
 *
 * CPU time: starting and ending a request is measured. All else, the looking at contents above all,
 * is what is left of the run's time when waiting for I/O is taken off it. A first prediction says
 * how much of that the engine's work explains; the rest is shared out over the accesses, and the
 * second prediction counts.
 */
#include "cli/predict.h"

#include <stdlib.h>
#include <string.h>

#include "cli/repeat.h"
#include "replay/replay.h"

#define ENOUGH 64u /* requests */
#define FEW    16u /* times with something under way: a fit of five */

static u64 less(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

static u64 page_ns(const struct rcl_sim_device_config *d)
{
	return d->bandwidth ? PAGE_SIZE * RCL_NSEC_PER_SEC / d->bandwidth : 0;
}

/* One request after the other, reads and writes, on the one channel. */
static void serial_device(const struct rcl_host_busy_figures *b, u64 submit_ns,
			  struct rcl_sim_device_config *d)
{
	d->ends_together = true;
	if (b->times < FEW) {
		d->write_request_ns = max(d->request_ns, (u64)1);
		d->write_page_ns = page_ns(d);
		return;
	}
	_Static_assert(sizeof(d->pace) == sizeof(b->pace), "as many");
	memcpy(d->pace, b->pace, sizeof(d->pace));
	d->read_latency_ns = d->write_latency_ns = less(b->latency_ns, submit_ns);
	d->bandwidth = b->page_ns[RCL_IO_READ]
			       ? PAGE_SIZE * RCL_NSEC_PER_SEC / b->page_ns[RCL_IO_READ]
			       : d->bandwidth;
	d->request_ns = less(b->request_ns[RCL_IO_READ], page_ns(d));
	d->write_page_ns = b->page_ns[RCL_IO_WRITE];
	d->few_pages = RCL_HOST_FEW_PAGES;
	d->read_many_ns = b->many_ns[RCL_IO_READ] ? b->many_ns[RCL_IO_READ] : page_ns(d);
	d->write_many_ns = b->many_ns[RCL_IO_WRITE] ? b->many_ns[RCL_IO_WRITE] : d->write_page_ns;
	d->write_request_ns = max(less(b->request_ns[RCL_IO_WRITE], d->write_page_ns), (u64)1);
}

static void measured_device(const struct rcl_host_figures *f, const char *like,
			    struct rcl_sim_device_config *d)
{
	const struct rcl_host_op_figures *r = &f->op[RCL_IO_READ], *w = &f->op[RCL_IO_WRITE];

	*d = *rcl_sim_device_preset(like);
	d->name = "measured";
	d->seek_ns = 0;
	d->wbt_depth = 0;
	d->queue_depth = d->nr_requests = f->depth;
	d->max_request_bytes = f->request_pages * (u32)PAGE_SIZE;
	d->plug_pages = f->plug_pages;
	if (f->ends_together) {
		serial_device(&f->busy, f->submit_ns, d);
		return;
	}
	if (r->requests >= ENOUGH && r->latency_ns) {
		d->read_latency_ns = r->latency_ns;
		d->request_ns = r->request_ns ? r->request_ns : d->request_ns;
		if (r->page_ns)
			d->bandwidth = PAGE_SIZE * RCL_NSEC_PER_SEC / r->page_ns;
	}
	d->write_request_ns = max(d->request_ns, (u64)1);
	d->write_page_ns = page_ns(d);
	if (w->requests >= ENOUGH && w->latency_ns) {
		d->write_latency_ns = w->latency_ns;
		d->write_request_ns = w->request_ns ? w->request_ns : d->write_request_ns;
		d->write_page_ns = w->page_ns ? w->page_ns : d->write_page_ns;
	}
}

static const struct rcl_sim_costs *native_costs(void)
{
	return rcl_sim_cost_presets();
}

/* Time the tasks did not wait for I/O. */
static u64 busy_ns(const struct rcl_sim_result *res)
{
	u64 ns = 0;

	for (u32 i = 0; i < res->nr_tasks; i++)
		ns += res->tasks[i].run_ns - min(res->tasks[i].io_ns, res->tasks[i].run_ns);
	return ns;
}

/*
 * What an access takes beside what the engine does for it. Recordings' accesses are free but for
 * their faults. Who waits for a request starts it with the same call, so what that costs counts as
 * waiting in the run, if not in the simulator. False: nothing.
 */
static bool charge_accesses(const struct sim_job *real, const struct sim_job *sim,
			    const struct rcl_host_figures *f, u32 *cost_ns)
{
	u64 waiting = f->unmeasured * cost_ns[WORK_IO_SUBMIT];
	u64 have = less(busy_ns(&sim->res), waiting), want = busy_ns(&real->res), more;
	bool recording = real->req.trace->recording;
	u64 nr = recording ? (u64)rcl_sim_delta(&sim->res.vmstat, "pgfault") : real->res.accesses;

	if (want <= have || !nr)
		return false;
	more = (want - have) / nr;
	cost_ns[WORK_FAULT] += (u32)min(more, (u64)1000000);
	if (!recording) {
		cost_ns[WORK_ACCESS] += (u32)min(more, (u64)1000000);
		cost_ns[WORK_SYSCALL] += (u32)min(more, (u64)1000000);
	}
	return more;
}

void cli_predict(struct sim_job *sim, const struct sim_job *real, const struct rcl_host_figures *f,
		 const char *like, u64 chance, struct measured *out)
{
	measured_device(f, like, &out->device);
	out->device.chance = chance;
	memcpy(out->cost_ns, native_costs()->ns, sizeof(out->cost_ns));
	for (u32 op = 0; op < ARRAY_SIZE(out->slow_ns); op++)
		out->slow_ns[op] = f->op[op].requests >= ENOUGH ? f->op[op].slow_ns : 0;
	if (f->submit_ns)
		out->cost_ns[WORK_IO_SUBMIT] = (u32)min(f->submit_ns, (u64)1000000);
	if (f->end_ns)
		out->cost_ns[WORK_IO_DONE] = (u32)min(f->end_ns, (u64)1000000);
	if (f->submit_ns)
		out->cost_ns[WORK_IO_PAGE] =
			(u32)min(f->submit_page_ns + f->end_page_ns, (u64)1000000);
	sim->req.device_config = &out->device;
	sim->req.cost_ns = out->cost_ns;
	sim->req.charges_wait = true;
	sim->ret = rcl_sim_run(&sim->req, &sim->res, &sim->err);
	if (!sim->ret && !real->ret && charge_accesses(real, sim, f, out->cost_ns)) {
		rcl_sim_result_free(&sim->res);
		sim->ret = rcl_sim_run(&sim->req, &sim->res, &sim->err);
	}
}

static int compare_u32(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return (x > y) - (x < y);
}

void cli_measured_median(const struct measured *each, u32 nr, const struct rcl_host_figures *median,
			 const char *like, struct measured *out)
{
	u32 v[CLI_REPEAT_MAX];

	measured_device(median, like, &out->device);
	for (u32 i = 0; i < ARRAY_SIZE(out->slow_ns); i++)
		out->slow_ns[i] = median->op[i].requests >= ENOUGH ? median->op[i].slow_ns : 0;
	for (u32 i = 0; i < NR_WORK; i++) {
		for (u32 k = 0; k < nr; k++)
			v[k] = each[k].cost_ns[i];
		qsort(v, nr, sizeof(*v), compare_u32);
		out->cost_ns[i] = v[nr / 2];
	}
}

static void print_op(const char *what, u64 first_ns, u64 next_ns, u64 page_ns, u64 many_ns,
		     u64 slow_ns, FILE *out)
{
	fprintf(out, "%s %.0f us, one behind another %.0f, each page more %.1f", what,
		(double)first_ns / 1e3, (double)next_ns / 1e3, (double)page_ns / 1e3);
	if (many_ns)
		fprintf(out, ", beyond %u of them %.1f", RCL_HOST_FEW_PAGES, (double)many_ns / 1e3);
	if (slow_ns)
		fprintf(out, " (1%% over %.3g ms)", (double)slow_ns / 1e6);
}

void cli_print_measured(const struct measured *m, FILE *out)
{
	const struct rcl_sim_device_config *d = &m->device;
	u64 read = d->request_ns + page_ns(d), write = d->write_request_ns + d->write_page_ns;

	fputs("predicted for what was measured: ", out);
	print_op("a read", d->read_latency_ns + read, read, page_ns(d), d->read_many_ns,
		 m->slow_ns[0], out);
	print_op("; a write", d->write_latency_ns + write, write, d->write_page_ns,
		 d->write_many_ns, m->slow_ns[1], out);
	fprintf(out,
		"; CPU: %.1f us to start a request, %.1f to end it, %.2f for each page, %.2f for "
		"an access%s\n",
		(double)m->cost_ns[WORK_IO_SUBMIT] / 1e3, (double)m->cost_ns[WORK_IO_DONE] / 1e3,
		(double)m->cost_ns[WORK_IO_PAGE] / 1e3, (double)m->cost_ns[WORK_ACCESS] / 1e3,
		d->ends_together ? "; ends are reported together" : "");
}
