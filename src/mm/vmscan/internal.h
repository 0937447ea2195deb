/* SPDX-License-Identifier: MIT */
/*
 * What the files of vmscan share: the control block of one reclaim, and the steps.
 *
 *   direct.c      try_to_free_pages, memcg reclaim, node reclaim: priority loop and retries
 *   kswapd.c      the background reclaimer of a node
 *   shrink_node.c one pass over a node's groups; shrink_lruvec
 *   balance.c     how much of each list to scan
 *   lists.c       one batch of an active or inactive list
 *   folio_list.c  the fate of each isolated folio
 *   throttle.c    when a reclaimer must wait
 */
#ifndef RCL_VMSCAN_INTERNAL_H
#define RCL_VMSCAN_INTERNAL_H

#include "mm/machine.h"
#include "mm/trace.h"
#include "mm/vmscan.h"

enum {
	DEACTIVATE_ANON = 1,
	DEACTIVATE_FILE = 2
};

struct scan_control {
	/* the request */
	u64 nr_to_reclaim;
	u64 enough_looks;     /* give up after so many pages scanned in vain, or about; 0 = never */
	struct memcg *target; /* group whose limit is hit; NULL = the whole machine */
	gfp_t gfp;
	s32 order;
	int reclaim_idx; /* highest zone worth reclaiming */
	bool may_writepage, may_unmap, may_swap, proactive;
	/* state */
	int priority;	    /* scan lists >> priority */
	u32 may_deactivate; /* bits: which active lists may be aged */
	bool force_deactivate, skipped_deactivate;
	bool memcg_low_reclaim, memcg_low_skipped;
	bool cache_trim_mode; /* plenty of inactive file pages: leave anon alone */
	bool file_is_tiny;    /* file cache nearly gone: take anon only */
	bool compaction_ready;
	u64 anon_cost, file_cost;
	/* results */
	u64 nr_scanned, nr_reclaimed, nr_pinned;
	struct { /* of one pass over a node */
		u64 dirty, unqueued_dirty, congested, writeback, immediate, taken, file_taken;
	} nr;
	struct reclaim_state reclaim_state;
};

/* Bits of hints (lock.h). */
static inline void hint_set_bits(u32 *p, u32 bits)
{
	if ((hint_read(p) & bits) != bits)
		__atomic_fetch_or(p, bits, __ATOMIC_RELAXED);
}
static inline void hint_clear_bits(u32 *p, u32 bits)
{
	if (hint_read(p) & bits)
		__atomic_fetch_and(p, ~bits, __ATOMIC_RELAXED);
}

/* Reclaim on behalf of a group's limit rather than the machine's watermarks. */
static inline bool cgroup_reclaim(const struct scan_control *sc)
{
	return sc->target;
}

/* What one call of rcl_shrink_folio_list() met. */
struct reclaim_stat {
	u32 nr_dirty, nr_unqueued_dirty, nr_congested, nr_writeback, nr_immediate, nr_pageout;
	u32 nr_activate[2], nr_ref_keep, nr_unmap_fail, nr_lazyfree_fail;
	u32 nr_pinned; /* not among the dirty: no writing would help */
};

/* folio_list.c: free what can be freed of an isolated list; the rest stays on it. */
u32 rcl_shrink_folio_list(struct rcl *m, struct list_head *folios, struct node *nd,
			  struct scan_control *sc, struct reclaim_stat *stat,
			  bool ignore_references);
/* lists.c */
u64 rcl_shrink_inactive_list(struct rcl *m, u64 nr_to_scan, struct lruvec *lv,
			     struct scan_control *sc, int lru);
void rcl_shrink_active_list(struct rcl *m, u64 nr_to_scan, struct lruvec *lv,
			    struct scan_control *sc, int lru);
/* balance.c */
bool rcl_inactive_is_low(struct lruvec *lv, int inactive_lru);
void rcl_prepare_scan_count(struct rcl *m, struct node *nd, struct scan_control *sc);
void rcl_get_scan_count(struct rcl *m, struct lruvec *lv, struct scan_control *sc,
			u64 nr[NR_LRU_LISTS]);
bool rcl_can_reclaim_anon(struct rcl *m, struct memcg *memcg);
/* shrink_node.c */
void rcl_shrink_node(struct rcl *m, struct node *nd, struct scan_control *sc);
void rcl_snapshot_refaults(struct rcl *m, struct memcg *target, struct node *nd);
/* throttle.c */
void rcl_reclaim_throttle(struct rcl *m, struct node *nd, enum vmscan_throttle reason);
void rcl_wake_throttled(struct rcl *m, struct node *nd, enum vmscan_throttle reason);
/* Wait while the reserves are nearly gone; true: the task was killed meanwhile. */
bool rcl_throttle_direct_reclaim(struct rcl *m, gfp_t gfp, struct zonelist *zl);
bool rcl_allow_direct_reclaim(struct rcl *m, struct node *nd);

#endif
