/* SPDX-License-Identifier: MIT */
/*
 * Giving the disk space of freed swap back (RCL_OPEN_PUNCH_SWAP).
 *
 * A thread sleeps until slots have been freed, lets some more gather, and punches them in runs; only
 * then they may be used again (mm/swap_held.c). What cannot be punched, since the filesystem or the
 * device makes no holes, is freed as it is.
 */
#include "api/punch.h"

#include <stdlib.h>

#include "mm/swap.h"
#include "platform/host/internal.h"

#define GATHER_NS (200 * RCL_NSEC_PER_MSEC)

struct puncher {
	struct rcl_machine *machine; /* c */
	struct host_thread *thread;  /* c */
	u32 stop;		     /* A */
};

static bool stopping(const struct puncher *p)
{
	return __atomic_load_n(&p->stop, __ATOMIC_ACQUIRE);
}

/* All there is. */
static void punch(struct puncher *p)
{
	struct rcl *m = p->machine->m;
	struct swap_run run = {0};

	while (!stopping(p) && rcl_swap_take_held(m, &run)) {
		rcl_host_punch(p->machine->host, run.dev, run.first, run.nr);
		rcl_swap_give_held(m, &run);
	}
}

static void puncher(void *arg)
{
	struct puncher *p = arg;
	struct rcl *m = p->machine->m;

	while (!stopping(p)) {
		rcl_wait_on(m, &p->stop, 0, GATHER_NS, false);
		rcl_swap_held_going_to_sleep(m);
		punch(p);
		if (!stopping(p))
			rcl_swap_held_sleep(m);
	}
}

int rcl_puncher_start(struct rcl_machine *machine)
{
	struct puncher *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->machine = machine;
	err = rcl_host_worker_start(machine->host, "punch", puncher, p, &p->thread);
	if (err)
		free(p);
	else
		machine->puncher = p;
	return err;
}

void rcl_puncher_stop(struct rcl_machine *machine)
{
	struct puncher *p = machine->puncher;

	if (!p)
		return;
	/* In a forked child there is no thread. */
	if (api_is_alive(machine)) {
		__atomic_store_n(&p->stop, 1, __ATOMIC_SEQ_CST);
		rcl_wake(machine->m, &p->stop, 1);
		rcl_swap_held_wake(machine->m);
		rcl_host_worker_join(p->thread);
	}
	machine->puncher = NULL;
	free(p);
}
