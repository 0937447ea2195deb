/* SPDX-License-Identifier: MIT */
/* The OOM killer (algorithm: Linux 6.1 mm/oom_kill.c). */
#ifndef RCL_MM_OOM_H
#define RCL_MM_OOM_H

#include "mm/gfp.h"
#include "mm/types.h"

struct oom_control {
	struct memcg *memcg; /* NULL: the whole machine */
	gfp_t gfp;
	int order;
	u64 totalpages; /* filled */
};
/*
 * Choose the task with the most memory (badness: resident pages + swap entries + page tables,
 * oom_score_adj thousandths of total) among those of the group (or machine), kill it: PF_KILLED is
 * set, its address space is reaped (pages freed) so that the caller can retry. True if somebody
 * was killed or is already dying.
 */
bool rcl_out_of_memory(struct rcl *m, struct oom_control *oc);
s64 rcl_oom_badness(struct rcl *m, struct task *t, u64 totalpages);
/* Last victim's name and id for reports; false if none yet. */
bool rcl_oom_last_victim(struct rcl *m, char name[16], u32 *id);

#endif
