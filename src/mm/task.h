/* SPDX-License-Identifier: MIT */
/* A task: a thread of a simulated or real program, or one of the machine's own (kswapd, flusher).
 */
#ifndef RCL_MM_TASK_H
#define RCL_MM_TASK_H

#include "mm/types.h"

enum task_flag {
	PF_KTHREAD = 1, /* one of the machine's own */
	PF_KSWAPD = 2,
	PF_MEMALLOC = 4, /* is reclaiming: may use reserves, must not reclaim again */
	PF_MEMALLOC_NOFS = 8,
	PF_MEMALLOC_NOIO = 16,
	PF_FLUSHER = 32,
	PF_KILLED = 64,	     /* chosen by the OOM killer: fatal signal pending */
	PF_OOM_VICTIM = 128, /* may use the reserves to die */
	PF_LOCAL_THROTTLE = 256,
	PF_CHARGE_OVER = 512 /* rather exceeds a group's limit than fails for it */
};

/* Slab pages freed on behalf of the reclaim the task is in. */
struct reclaim_state {
	u64 reclaimed_slab;
};

/* All fields belong to the task itself unless marked: A atomic, c constant, g m->tasks_lock. */
struct task {
	struct rcl *m;		    /* c */
	char name[16];		    /* c */
	u32 id;			    /* c */
	u32 flags;		    /* A: enum task_flag */
	u32 node;		    /* c: home node */
	struct memcg *memcg;	    /* c: NULL = root */
	struct memcg *active_memcg; /* charge kernel objects here instead, if set */
	struct mm *mm;		    /* c: NULL for kernel tasks */
	struct list_head link;	    /* g: m->tasks */
	s32 oom_score_adj;	    /* -1000..1000 */
	struct reclaim_state *reclaim_state;
	u32 futile_rounds; /* that its last reclaim, without progress, counts for besides its own */
	bool met_dirty;	 /* its last reclaim freed nothing, but met pages of files to be written */
	bool met_locked; /* it has met pages that others had locked; cleared by who looks at this */
	bool memcg_in_oom;

	/* dirty throttling (writeback.c) */
	u32 nr_dirtied;	      /* since the last pause */
	u32 nr_dirtied_pause; /* check the limits after this many */
	u64 dirty_paused_when;

	/* pressure (psi.c) */
	bool in_memstall, productive;
	u64 memstall_since;
	u64 memstall_ns; /* total time this task was stalled on memory */
	u64 io_wait_ns;	 /* total time it waited for I/O */
	u64 cpu_ns;	 /* CPU work charged to it (simulator) */

	/* what it met with; reads ahead count for the task that started them */
	u64 maj_flt;  /* major faults */
	u64 refaults; /* pages that reclaim had taken not long before */

	void *platform; /* the platform's own */
};

/* Add a task to the machine (fills links and defaults; t->name, memcg, mm set by the caller). */
void rcl_task_attach(struct rcl *m, struct task *t);
void rcl_task_detach(struct rcl *m, struct task *t);

#endif
