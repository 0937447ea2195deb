/* SPDX-License-Identifier: MIT */
/*
 * Pressure stall information for memory: how long at least one task of a group (some) and all
 * its tasks that could run (full) were stalled on memory. Times in nanoseconds of the machine's
 * clock.
 *
 * Field legend: P psi->lock
 */
#ifndef RCL_MM_PSI_H
#define RCL_MM_PSI_H

#include "mm/lock.h"

struct psi {
	struct spinlock lock;
	u32 nr_stalled;	      /* P: tasks in a memory stall, asleep or reclaiming */
	u32 nr_productive;    /* P: tasks running or runnable outside a stall */
	u64 last;	      /* P: when the counts last changed */
	u64 some_ns, full_ns; /* P */
};

/* Mark the running task as stalled on memory until the matching leave; nests (cookie). */
bool rcl_psi_memstall_enter(struct rcl *m);
void rcl_psi_memstall_leave(struct rcl *m, bool cookie);
/*
 * A task starts (runnable) or stops (asleep, ended) being able to run. Called by the platform on
 * run/sleep transitions; calls that change nothing are free.
 */
void rcl_psi_task_change(struct rcl *m, struct task *t, bool productive);
/* The same for a task that stopped at a time, started again at another, and nothing in between. */
void rcl_psi_slept(struct rcl *m, struct task *t, u64 from, u64 to);
/* The task belongs to another group from now on (NULL: root), and counts there. */
void rcl_psi_task_move(struct rcl *m, struct task *t, struct memcg *memcg);
/* Nobody is in the group: its times begin anew. */
void rcl_psi_reset(struct psi *p);
/* Times up to now. */
void rcl_psi_read(struct rcl *m, struct memcg *memcg, u64 *some_ns, u64 *full_ns);

#endif
