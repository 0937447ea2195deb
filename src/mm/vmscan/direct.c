/* SPDX-License-Identifier: MIT */
/*
 * Reclaim by the task that needs memory.
 *
 * do_try_to_free() passes over the nodes of a zonelist with rising priority: 12 looks at 1/4096 of
 * each list, 0 at all of it. It stops when nr_to_reclaim pages are free. When all priorities fail,
 * it starts over once with active lists forced open, if some were skipped on the way.
 *
 * Users: the allocator's slow path (machine out of free pages), a group over its limit, a request
 * for proactive reclaim, and reclaim within one node (vm.zone_reclaim_mode).
 *
 * Who asks tries again, MAX_RECLAIM_RETRIES times without progress, so that others get on meanwhile:
 * writes end, batches drain. None of that frees a pinned page, and looking at all of them again is
 * dear: a reclaim without progress therefore counts as that many more rounds as pages were pinned
 * (t->futile_rounds). With nothing but pinned pages about, the first one is the last.
 *
 * ALLOCSTALL is counted at each start for the machine, never for a group. Snapshots of the refault
 * counters are taken at the end: activations since then mean that the working set moves.
 */
#include "mm/vmscan/internal.h"

static enum vm_event_item allocstall_event(int zone)
{
	return (enum vm_event_item)(ALLOCSTALL_DMA + zone);
}

static void consider_throttle(struct rcl *m, struct node *nd, struct scan_control *sc)
{
	if (sc->nr_reclaimed > sc->nr_scanned >> 3) {
		rcl_wake_throttled(m, nd, VMSCAN_THROTTLE_NOPROGRESS);
		return;
	}
	if (rcl_is_kswapd(m) || cgroup_reclaim(sc))
		return;
	if (sc->priority == 1 && !sc->nr_reclaimed)
		rcl_reclaim_throttle(m, nd, VMSCAN_THROTTLE_NOPROGRESS);
}

static void shrink_nodes(struct rcl *m, struct zonelist *zl, struct scan_control *sc)
{
	struct node *first = NULL, *last = NULL;

	for (u32 i = 0; i < zl->nr; i++) {
		struct zone *z = zl->zones[i];

		if ((int)z->type > sc->reclaim_idx || z->node == last)
			continue;
		last = z->node;
		if (!first)
			first = last;
		rcl_shrink_node(m, last, sc);
	}
	if (first)
		consider_throttle(m, first, sc);
}

static void end_of_reclaim(struct rcl *m, struct zonelist *zl, struct scan_control *sc)
{
	struct node *last = NULL;

	for (u32 i = 0; i < zl->nr; i++) {
		struct zone *z = zl->zones[i];

		if ((int)z->type > sc->reclaim_idx || z->node == last)
			continue;
		last = z->node;
		rcl_snapshot_refaults(m, sc->target, last);
		if (cgroup_reclaim(sc))
			hint_clear_bits(&rcl_memcg_lruvec(m, sc->target, last)->flags,
					LRUVEC_CONGESTED);
	}
}

static u64 do_try_to_free(struct rcl *m, struct zonelist *zl, struct scan_control *sc)
{
	int initial_priority = sc->priority;
	u64 looked_at = 0;

retry:
	if (!cgroup_reclaim(sc))
		count_vm_event(m, allocstall_event(sc->reclaim_idx));
	do {
		sc->nr_scanned = 0;
		sc->nr_pinned = 0;
		shrink_nodes(m, zl, sc);
		if (sc->nr_reclaimed >= sc->nr_to_reclaim || sc->compaction_ready)
			break;
		looked_at += sc->nr_scanned;
		if (unlikely(sc->enough_looks && looked_at >= sc->enough_looks)) {
			end_of_reclaim(m, zl, sc);
			return sc->nr_reclaimed;
		}
		if (sc->priority < DEF_PRIORITY - 2)
			sc->may_writepage = true;
	} while (--sc->priority >= 0);
	end_of_reclaim(m, zl, sc);

	if (sc->nr_reclaimed)
		return sc->nr_reclaimed;
	if (sc->compaction_ready)
		return 1;
	if (sc->skipped_deactivate) {
		sc->priority = initial_priority;
		sc->force_deactivate = true;
		sc->skipped_deactivate = false;
		goto retry;
	}
	if (sc->memcg_low_skipped) {
		sc->priority = initial_priority;
		sc->force_deactivate = false;
		sc->memcg_low_reclaim = true;
		sc->memcg_low_skipped = false;
		goto retry;
	}
	return 0;
}

/* Pages that this reclaim might have freed, if nobody used them. */
static u64 nr_evictable(struct rcl *m, struct zonelist *zl, const struct scan_control *sc)
{
	struct memcg *root = sc->target ? sc->target : m->root_memcg;
	struct node *last = NULL;
	u64 nr = 0;

	for (u32 i = 0; i < zl->nr; i++) {
		struct zone *z = zl->zones[i];
		struct node *nd = z->node;

		if ((int)z->type > sc->reclaim_idx || nd == last)
			continue;
		last = nd;
		nr += (u64)max(node_page_state(nd, NR_ISOLATED_ANON), (s64)0);
		nr += (u64)max(node_page_state(nd, NR_ISOLATED_FILE), (s64)0);
		for_each_memcg (memcg, root) {
			bool anon = sc->may_swap && rcl_can_reclaim_anon(m, memcg);

			for_each_evictable_lru (lru)
				if (anon || is_file_lru(lru))
					nr += rcl_lruvec_lru_size(memcg->lruvecs[nd->id], lru,
								  sc->reclaim_idx);
		}
	}
	return nr;
}

/* Nothing was freed: does it make sense to try again? The last pass looked at all lists. */
static u32 futile_rounds(struct rcl *m, struct zonelist *zl, const struct scan_control *sc)
{
	u64 nr;

	if (likely(!sc->nr_pinned))
		return 0;
	/* What is not on a list yet was not looked at, either. */
	rcl_lru_add_drain_all(m);
	nr = nr_evictable(m, zl, sc);
	return (u32)(MAX_RECLAIM_RETRIES * min(sc->nr_pinned, nr) / max(nr, (u64)1));
}

/* What the running task's scopes forbid. */
static gfp_t context_gfp(struct rcl *m, gfp_t gfp)
{
	u32 flags = rcl_current(m)->flags;

	if (flags & PF_MEMALLOC_NOIO)
		return gfp & ~(__GFP_IO | __GFP_FS);
	if (flags & PF_MEMALLOC_NOFS)
		return gfp & ~__GFP_FS;
	return gfp;
}

static u64 run(struct rcl *m, struct zonelist *zl, struct scan_control *sc)
{
	struct task *t = rcl_current(m);
	struct reclaim_state *outer = t->reclaim_state;
	u64 freed;

	t->reclaim_state = &sc->reclaim_state;
	freed = do_try_to_free(m, zl, sc);
	t->futile_rounds = freed ? 0 : futile_rounds(m, zl, sc);
	t->met_dirty = !freed && sc->nr.dirty;
	t->reclaim_state = outer;
	return freed;
}

/* enough_looks: see scan_control. */
static u64 try_to_free_pages(struct rcl *m, struct zonelist *zl, u64 nr, u64 enough_looks,
			     u32 order, gfp_t gfp)
{
	struct scan_control sc = {
		.nr_to_reclaim = nr,
		.enough_looks = enough_looks,
		.gfp = context_gfp(m, gfp),
		.reclaim_idx = (int)rcl_gfp_zone(gfp),
		.order = (s32)order,
		.priority = DEF_PRIORITY,
		.may_writepage = !m->tun.laptop_mode,
		.may_unmap = true,
		.may_swap = true,
	};
	u64 freed;

	/* A task that was killed while waiting should try to allocate, not reclaim. */
	if (rcl_throttle_direct_reclaim(m, sc.gfp, zl))
		return 1;
	RCL_TRACE(mm_vmscan_direct_reclaim_begin, order, sc.gfp);
	freed = run(m, zl, &sc);
	RCL_TRACE(mm_vmscan_direct_reclaim_end, freed);
	return freed;
}

u64 rcl_try_to_free_pages(struct rcl *m, struct zonelist *zl, u32 order, gfp_t gfp)
{
	return try_to_free_pages(m, zl, SWAP_CLUSTER_MAX, 0, order, gfp);
}

/* How many pages the nearest zone lacks to give away nr, and still be at its high mark. */
static u64 shortfall(const struct zonelist *zl, int highest, u64 nr)
{
	s64 least = INT64_MAX;

	for (u32 i = 0; i < zl->nr; i++) {
		struct zone *z = zl->zones[i];
		s64 wanted = (s64)(wmark_pages(z, WMARK_HIGH) + nr +
				   hint_read(&z->lowmem_reserve[highest]));

		if ((int)z->type <= highest && managed_zone(z))
			least = min(least, wanted - zone_page_state(z, NR_FREE_PAGES));
	}
	return least > 0 && least < INT64_MAX ? (u64)least : 0;
}

/*
 * Pages that it looks at for one that is wanted. Where most are pinned, or cannot go for another
 * reason, so many at once are not to be had: who goes on reclaiming for 32 at a time finds enough.
 */
#define AHEAD_LOOKS 4

u64 rcl_pages_lacking(struct rcl *m, gfp_t gfp, u64 nr)
{
	return shortfall(&m->nodes[rcl_current(m)->node].zonelist, (int)rcl_gfp_zone(gfp), nr);
}

u64 rcl_reclaim_ahead(struct rcl *m, gfp_t gfp, u64 nr)
{
	struct task *t = rcl_current(m);
	struct zonelist *zl = &m->nodes[t->node].zonelist;
	u64 lacking = rcl_pages_lacking(m, gfp, nr), freed;
	bool stall;

	if (!(gfp & __GFP_DIRECT_RECLAIM) || t->flags & PF_MEMALLOC || !lacking)
		return 0;
	stall = rcl_psi_memstall_enter(m);
	task_test_set(m, PF_MEMALLOC);
	freed = try_to_free_pages(m, zl, lacking, AHEAD_LOOKS * lacking, 0, gfp);
	task_clear(m, PF_MEMALLOC);
	rcl_psi_memstall_leave(m, stall);
	return freed;
}

u64 rcl_try_to_free_mem_cgroup_pages(struct rcl *m, struct memcg *memcg, u64 nr_pages, gfp_t gfp,
				     u32 options)
{
	bool was_memalloc = task_test_set(m, PF_MEMALLOC);
	struct scan_control sc = {
		.nr_to_reclaim = max(nr_pages, (u64)SWAP_CLUSTER_MAX),
		.gfp = (context_gfp(m, gfp) & GFP_RECLAIM_MASK) |
		       (GFP_HIGHUSER_MOVABLE & ~GFP_RECLAIM_MASK),
		.reclaim_idx = MAX_NR_ZONES - 1,
		.target = memcg,
		.priority = DEF_PRIORITY,
		.may_writepage = !m->tun.laptop_mode,
		.may_unmap = true,
		.may_swap = options & MEMCG_RECLAIM_MAY_SWAP,
		.proactive = options & MEMCG_RECLAIM_PROACTIVE,
	};
	u64 freed;

	RCL_TRACE(mm_vmscan_memcg_reclaim_begin, sc.order, sc.gfp, memcg->id);
	freed = run(m, &m->nodes[rcl_current(m)->node].zonelist, &sc);
	RCL_TRACE(mm_vmscan_memcg_reclaim_end, freed, memcg->id);
	if (!was_memalloc)
		task_clear(m, PF_MEMALLOC);
	return freed;
}

/* ---- reclaim within one node ------------------------------------------------------------- */

#define NODE_RECLAIM_PRIORITY 4 /* a sixteenth of each list to begin with */
enum {
	RECLAIM_ZONE = 1,
	RECLAIM_WRITE = 2,
	RECLAIM_UNMAP = 4
};

/* Page cache pages of the node that this mode may free. */
static u64 node_pagecache_reclaimable(struct rcl *m, struct node *nd)
{
	s64 cache, delta = 0;

	if (m->tun.zone_reclaim_mode & RECLAIM_UNMAP) {
		cache = node_page_state(nd, NR_FILE_PAGES);
	} else {
		s64 lru =
			node_page_state(nd, NR_INACTIVE_FILE) + node_page_state(nd, NR_ACTIVE_FILE);
		s64 mapped = node_page_state(nd, NR_FILE_MAPPED);

		cache = lru > mapped ? lru - mapped : 0;
	}
	if (!(m->tun.zone_reclaim_mode & RECLAIM_WRITE))
		delta = node_page_state(nd, NR_FILE_DIRTY);
	return cache > delta ? (u64)(cache - delta) : 0;
}

/* Is there more page cache or slab than the node shall keep? */
static bool worth_reclaiming(struct rcl *m, struct node *nd)
{
	u64 managed = 0;

	for_each_zone (z, nd)
		managed += z->managed_pages;
	return node_pagecache_reclaimable(m, nd) > managed * (u64)m->tun.min_unmapped_ratio / 100 ||
	       (u64)node_page_state(nd, NR_SLAB_RECLAIMABLE_B) >> PAGE_SHIFT >
		       managed * (u64)m->tun.min_slab_ratio / 100;
}

static bool reclaim_node(struct rcl *m, struct node *nd, gfp_t gfp, u32 order)
{
	struct task *t = rcl_current(m);
	struct reclaim_state *outer = t->reclaim_state;
	u64 nr_pages = 1ull << order;
	struct scan_control sc = {
		.nr_to_reclaim = max(nr_pages, (u64)SWAP_CLUSTER_MAX),
		.gfp = context_gfp(m, gfp),
		.order = (s32)order,
		.priority = NODE_RECLAIM_PRIORITY,
		.may_writepage = m->tun.zone_reclaim_mode & RECLAIM_WRITE,
		.may_unmap = m->tun.zone_reclaim_mode & RECLAIM_UNMAP,
		.may_swap = true,
		.reclaim_idx = (int)rcl_gfp_zone(gfp),
	};
	bool stall = rcl_psi_memstall_enter(m);

	task_test_set(m, PF_MEMALLOC);
	t->reclaim_state = &sc.reclaim_state;
	/* Others may have been at it while we waited for the right to. */
	if (worth_reclaiming(m, nd)) {
		do {
			rcl_shrink_node(m, nd, &sc);
		} while (sc.nr_reclaimed < nr_pages && --sc.priority >= 0);
	}
	t->reclaim_state = outer;
	task_clear(m, PF_MEMALLOC);
	rcl_psi_memstall_leave(m, stall);
	return sc.nr_reclaimed >= nr_pages;
}

int rcl_node_reclaim(struct rcl *m, struct node *nd, gfp_t gfp, u32 order)
{
	struct task *t = rcl_current(m);
	bool enough;

	if (!worth_reclaiming(m, nd))
		return NODE_RECLAIM_FULL;
	if (!(gfp & __GFP_DIRECT_RECLAIM) || t->flags & PF_MEMALLOC)
		return NODE_RECLAIM_NOSCAN;
	/* One at a time, and only tasks of this node: the others have memory of their own. */
	if (t->node != nd->id ||
	    __atomic_exchange_n(&nd->node_reclaim_running, true, __ATOMIC_ACQUIRE))
		return NODE_RECLAIM_NOSCAN;
	enough = reclaim_node(m, nd, gfp, order);
	__atomic_store_n(&nd->node_reclaim_running, false, __ATOMIC_RELEASE);
	if (enough)
		return NODE_RECLAIM_SUCCESS;
	count_vm_event(m, ZONE_RECLAIM_FAILED);
	return NODE_RECLAIM_SOME;
}

u64 rcl_zone_reclaimable_pages(struct zone *z)
{
	s64 nr =
		zone_page_state(z, NR_ZONE_INACTIVE_FILE) + zone_page_state(z, NR_ZONE_ACTIVE_FILE);

	if (rcl_can_reclaim_anon(z->m, NULL))
		nr += zone_page_state(z, NR_ZONE_INACTIVE_ANON) +
		      zone_page_state(z, NR_ZONE_ACTIVE_ANON);
	return (u64)nr;
}
