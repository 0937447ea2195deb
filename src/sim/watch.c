/* SPDX-License-Identifier: MIT */
/*
 * Runs that take too long. A program that has far too little memory may go on for hours of its own
 * time, or forever: where the limit on dirty memory comes to a page, a write to a mapped file is
 * held up until that very page is written back and write-protected, and faults again. Who asked for
 * at most so much time gets a run that is ended then, by killing the program; up to then it is the
 * same as any other.
 */
#include "sim/world.h"

static void time_is_up(void *arg)
{
	struct run *r = arg;

	rcl_run_fail(r, RCL_SIM_TOO_LONG, 0, "it takes longer than %llu ns",
		     (unsigned long long)r->req->give_up_ns);
	r->stop = true;
	for (u32 i = 0; i < r->nr_runners; i++)
		__atomic_fetch_or(&r->runners[i].task.flags, PF_KILLED, __ATOMIC_RELAXED);
}

void rcl_run_watch(struct run *r)
{
	if (r->req->give_up_ns)
		r->world->at(r, r->start_ns + r->req->give_up_ns, time_is_up, r);
}

void rcl_run_watch_end(struct run *r)
{
	r->world->at(r, 0, NULL, NULL);
}
