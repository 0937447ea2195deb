/* SPDX-License-Identifier: MIT */
/*
 * A page read while nothing else goes on.
 *
 * The commonest wait of all: one task runs, the device is idle, the task reads a page and waits for
 * it, and nothing is due before the page is there. What submission, event loop, completion and
 * scheduler would do then is known beforehand and comes to a few sums, without a request, an event,
 * a queue or a switch. They are done here in the order and with the results of the long way, to
 * the last bit of every clock, statistic and digest; wherever anything else might happen,
 * read_begin refuses and the long way is taken.
 *
 *   begin     page and request are charged to the task: the clock is where submission ends
 *   (between  the engine may end the memory stall it submitted in)
 *   end       the CPU idles until the device is done, handles the completion, switches back
 */
#include "platform/sim/internal.h"

/* Does the scheduler account for this task in its group's pressure? As productive() in sched.c. */
static inline bool has_pressure(const struct rcl_sim *sim, const struct sim_task *st)
{
	return (st->task->memcg || st->user) && sim->plat.m && st != &sim->main;
}

bool rcl_sim_read_begin(struct platform *p, const struct rcl_io *io, u64 *done)
{
	struct rcl_sim *sim = to_sim(p);
	struct sim_task *st = sim->running;
	struct sim_cpu *c = &sim->cpus[p->cpu];
	struct sim_device *dev = sim->devices[io->dev];
	u64 submitted = p->now + p->cost_ns[WORK_IO_PAGE] + p->cost_ns[WORK_IO_SUBMIT];

	if (unlikely(sim->busy != 1ull << p->cpu || c->rq.nr || dev->nr_requests ||
		     !dev->predictable || st->plug_depth))
		return false;
	*done = max(submitted + device_latency(dev, RCL_IO_READ), dev->channel_free) +
		device_channel(dev, io->block, 1);
	if (unlikely(sim->events.nr &&
		     sim->events.slots[0].key <= *done + p->cost_ns[WORK_IO_DONE]))
		return false;
	if (unlikely((sim->alarm_at && *done >= sim->alarm_at) ||
		     (has_pressure(sim, st) && !st->task->productive && !st->task->in_memstall)))
		return false;
	dev->head = io->block + 1;
	dev->channel_free = *done;
	p->now = submitted;
	return true;
}

void rcl_sim_read_end(struct platform *p, const struct rcl_io *io, u64 done)
{
	struct rcl_sim *sim = to_sim(p);
	struct sim_task *st = sim->running;
	struct sim_cpu *c = &sim->cpus[p->cpu];
	struct sim_device *dev = sim->devices[io->dev];
	u64 slept = p->now, woken = done + p->cost_ns[WORK_IO_DONE];
	u64 back = woken + p->cost_ns[WORK_SWITCH];

	/* The device. */
	dev->stats.requests[RCL_IO_READ]++;
	dev->stats.pages[RCL_IO_READ]++;
	dev->stats.busy_ns += done - slept;
	dev->stats.request_ns += done - slept;
	dev->last_read = done;
	sim->event_seq++;
	sim->stats.events++;
	digest(sim, done);

	/* The task slept, and was woken when the page was ready. */
	if (has_pressure(sim, st) && !st->task->in_memstall)
		rcl_psi_slept(p->m, st->task, slept, woken);
	p->now = woken;
	if (unlikely(sim->cfg.check))
		rcl_sim_data_done(sim, dev, &(struct sim_page_io){.io = *io});
	rcl_end_io(p->m, io, 0);
	st->task->cpu_ns += slept - st->exec_start;
	st->vruntime += slept - st->exec_start;
	c->min_vruntime = max(c->min_vruntime, st->vruntime);
	st->vruntime = max(st->vruntime, c->min_vruntime - sim->latency / 2);
	st->task->io_wait_ns += back - slept;

	/* The CPU idled, and takes it up again. */
	sim->stats.idle_ns += woken - slept;
	c->idle_since = slept;
	sim->stats.switches++;
	c->last = st;
	c->need_resched = false;
	c->now = back;
	st->exec_start = st->slice_start = back;
	digest(sim, back ^ (u64)st->task->id << 48 ^ st->tie);
	p->now = back;
	if (st->user)
		sim->last_user = back;
	sim->horizon = UINT64_MAX;
	p->next_event = sim->events.nr ? sim->events.slots[0].key : UINT64_MAX;
}
