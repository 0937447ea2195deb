/* SPDX-License-Identifier: MIT */
/* Reclaim's entry points (algorithm: Linux 6.1 mm/vmscan.c); internals in vmscan/internal.h. */
#ifndef RCL_MM_VMSCAN_H
#define RCL_MM_VMSCAN_H

#include "mm/gfp.h"
#include "mm/swap.h"
#include "mm/zone.h"

#define DEF_PRIORITY	    12
#define MAX_RECLAIM_RETRIES 16

/* Direct reclaim for an allocation from these zones: pages freed (1 may mean "retry"). May wait. */
u64 rcl_try_to_free_pages(struct rcl *m, struct zonelist *zl, u32 order, gfp_t gfp);
/* How many pages the zones lack to give away nr, and still be at their high watermarks. */
u64 rcl_pages_lacking(struct rcl *m, gfp_t gfp, u64 nr);
/*
 * For who is about to allocate nr pages one by one: reclaim at once as many as the zones lack for
 * that, above the high watermark. Pages freed. May wait, as far as gfp allows.
 */
u64 rcl_reclaim_ahead(struct rcl *m, gfp_t gfp, u64 nr);
/* Reclaim from a group because of its limit, or on request (proactive). */
#define MEMCG_RECLAIM_MAY_SWAP	2u
#define MEMCG_RECLAIM_PROACTIVE 4u
u64 rcl_try_to_free_mem_cgroup_pages(struct rcl *m, struct memcg *memcg, u64 nr_pages, gfp_t gfp,
				     u32 options);
/* vm.zone_reclaim_mode: reclaim within one node; see enum. */
enum {
	NODE_RECLAIM_NOSCAN = -2,
	NODE_RECLAIM_FULL = -1,
	NODE_RECLAIM_SOME,
	NODE_RECLAIM_SUCCESS
};
int rcl_node_reclaim(struct rcl *m, struct node *nd, gfp_t gfp, u32 order);

/* Reclaim isolated folios now (MADV_PAGEOUT), last of the list first; the list ends empty. */
u64 rcl_reclaim_pages(struct rcl *m, struct list_head *folios);

/* kswapd of one node. */
int rcl_kswapd_run(struct rcl *m, struct node *nd);
void rcl_kswapd_stop(struct rcl *m, struct node *nd);
/* Reclaimable LRU pages of a zone (anon only while swap is free). */
u64 rcl_zone_reclaimable_pages(struct zone *z);
/* Called at end of writeback when tasks are throttled on it. */
void rcl_acct_reclaim_writeback(struct rcl *m, struct node *nd);

#endif
