/* SPDX-License-Identifier: MIT */
/*
 * Runs that take too long. A program that has far too little memory may go on for hours of its own
 * time, or forever: where the limit on dirty memory comes to a page, a write to a mapped file is
 * held up until that very page is written back and write-protected, and faults again. Who asked for
 * at most so much time gets a task of the machine that sleeps until then, and kills the program.
 * While it sleeps it changes nothing.
 */
#include "sim/run.h"

static void end_run(struct run *r)
{
	rcl_run_fail(r, RCL_SIM_TOO_LONG, 0, "longer than %llu ns",
		     (unsigned long long)r->req->give_up_ns);
	r->stop = true;
	for (u32 i = 0; i < r->nr_runners; i++)
		__atomic_fetch_or(&r->runners[i].task.flags, PF_KILLED, __ATOMIC_RELAXED);
}

static void watch(void *arg)
{
	struct run *r = arg;
	u64 end = r->start_ns + r->req->give_up_ns, now;

	while (!r->watch_over && (now = rcl_now(r->m)) < end)
		rcl_wait_on(r->m, &r->watch_over, 0, end - now, false);
	if (!r->watch_over)
		end_run(r);
}

int rcl_run_watch_start(struct run *r)
{
	int ret;

	if (!r->req->give_up_ns)
		return 0;
	r->watch = (struct task){.name = "watch", .flags = PF_KTHREAD};
	rcl_task_attach(r->m, &r->watch);
	ret = r->m->plat->ops->spawn(r->m->plat, &r->watch, watch, r);
	if (ret)
		rcl_task_detach(r->m, &r->watch);
	else
		r->watching = true;
	return ret;
}

void rcl_run_watch_stop(struct run *r)
{
	if (!r->watching)
		return;
	r->watch_over = 1;
	rcl_wake(r->m, &r->watch_over, 1);
	r->m->plat->ops->join(r->m->plat, &r->watch);
	rcl_task_detach(r->m, &r->watch);
	r->watching = false;
}
