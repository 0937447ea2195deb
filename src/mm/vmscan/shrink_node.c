/* SPDX-License-Identifier: MIT */
/*
 * One pass over a node: every group below the target, its lists, then its object caches.
 *
 * shrink_lruvec() works through the four lists in slices of SWAP_CLUSTER_MAX, as much of each as
 * get_scan_count() says. Once enough pages are freed it does not stop on the spot, since that would
 * favour whichever list comes first: it drops the kind with less left to do and gives the other
 * kind the share that it still owes, so that both end up scanned in the planned proportion. (Global
 * direct reclaim at the first priority does the whole plan: kswapd has fallen behind, one batch of
 * work is due.) Finally the anonymous active list is aged if the inactive one runs low, whether
 * or not anonymous pages were wanted: otherwise all of them would be "active" when they are.
 *
 * After the pass the node's congestion is judged from what was met:
 *   all pages taken were under writeback   PGDAT_WRITEBACK: kswapd will stall on marked pages
 *   all file pages were dirty, not queued  PGDAT_DIRTY: kswapd may write file pages itself
 *   marked pages were met again            kswapd stalls now
 *   all dirty pages were marked before     LRUVEC_CONGESTED: direct reclaimers stall
 */
#include "mm/vmscan/internal.h"

#include "mm/shrinker.h"

static u64 shrink_list(struct rcl *m, int lru, u64 nr, struct lruvec *lv, struct scan_control *sc)
{
	if (!is_active_lru(lru))
		return rcl_shrink_inactive_list(m, nr, lv, sc, lru);
	if (sc->may_deactivate & (is_file_lru(lru) ? DEACTIVATE_FILE : DEACTIVATE_ANON))
		rcl_shrink_active_list(m, nr, lv, sc, lru);
	else
		sc->skipped_deactivate = true;
	return 0;
}

/* What is left of a list's plan when `percent` of the other kind's plan is not going to be done. */
static u64 rest_of_plan(u64 target, u64 left, u64 percent)
{
	u64 done = target - left, rest = target * (100 - percent) / 100;

	return rest - min(rest, done);
}

/* Enough is freed: stop the smaller kind, trim the larger. False if one kind is already done. */
static bool rebalance(u64 nr[NR_LRU_LISTS], const u64 targets[NR_LRU_LISTS])
{
	u64 anon = nr[LRU_INACTIVE_ANON] + nr[LRU_ACTIVE_ANON];
	u64 file = nr[LRU_INACTIVE_FILE] + nr[LRU_ACTIVE_FILE];
	int stop = file > anon ? LRU_BASE : LRU_FILE, go = LRU_FILE - stop;
	u64 plan = targets[stop] + targets[stop + LRU_ACTIVE] + 1;
	u64 percent = min(anon, file) * 100 / plan;

	if (!anon || !file)
		return false;
	nr[stop] = nr[stop + LRU_ACTIVE] = 0;
	nr[go] = rest_of_plan(targets[go], nr[go], percent);
	nr[go + LRU_ACTIVE] = rest_of_plan(targets[go + LRU_ACTIVE], nr[go + LRU_ACTIVE], percent);
	return true;
}

static void shrink_lruvec(struct rcl *m, struct lruvec *lv, struct scan_control *sc)
{
	u64 nr[NR_LRU_LISTS], targets[NR_LRU_LISTS], nr_reclaimed = 0;
	bool whole_plan = !cgroup_reclaim(sc) && !rcl_is_kswapd(m) && sc->priority == DEF_PRIORITY;

	rcl_get_scan_count(m, lv, sc, nr);
	memcpy(targets, nr, sizeof(nr));
	PLATFORM_CALL(m->plat, plug_start)(m->plat);
	while (nr[LRU_INACTIVE_ANON] || nr[LRU_ACTIVE_FILE] || nr[LRU_INACTIVE_FILE]) {
		for_each_evictable_lru (lru) {
			u64 n = min(nr[lru], (u64)SWAP_CLUSTER_MAX);

			if (!n)
				continue;
			nr[lru] -= n;
			nr_reclaimed += shrink_list(m, lru, n, lv, sc);
		}
		rcl_poll(m);
		if (nr_reclaimed < sc->nr_to_reclaim || whole_plan)
			continue;
		if (!rebalance(nr, targets))
			break;
	}
	PLATFORM_CALL(m->plat, plug_finish)(m->plat);
	sc->nr_reclaimed += nr_reclaimed;

	if (rcl_total_swap_pages(m) && rcl_inactive_is_low(lv, LRU_INACTIVE_ANON))
		rcl_shrink_active_list(m, SWAP_CLUSTER_MAX, lv, sc, LRU_ACTIVE_ANON);
}

/* memory.min and memory.low: where a group's protection will be weighed. */
static bool memcg_protected(struct memcg *memcg, struct scan_control *sc)
{
	(void)memcg;
	(void)sc;
	return false;
}

static void shrink_groups(struct rcl *m, struct node *nd, struct scan_control *sc)
{
	struct memcg *root = sc->target ? sc->target : m->root_memcg;

	for_each_memcg (memcg, root) {
		rcl_poll(m);
		if (memcg_protected(memcg, sc))
			continue;
		shrink_lruvec(m, memcg->lruvecs[nd->id], sc);
		rcl_shrink_slab(m, sc->gfp, nd->id, memcg, sc->priority);
	}
}

static void judge_node(struct rcl *m, struct node *nd, struct scan_control *sc)
{
	struct lruvec *lv = rcl_memcg_lruvec(m, sc->target, nd);
	bool kswapd = rcl_is_kswapd(m);

	if (kswapd) {
		if (sc->nr.writeback && sc->nr.writeback == sc->nr.taken)
			hint_set_bits(&nd->flags, PGDAT_WRITEBACK);
		if (sc->nr.unqueued_dirty == sc->nr.file_taken)
			hint_set_bits(&nd->flags, PGDAT_DIRTY);
		if (sc->nr.immediate)
			rcl_reclaim_throttle(m, nd, VMSCAN_THROTTLE_WRITEBACK);
	}
	if ((kswapd || cgroup_reclaim(sc)) && sc->nr.dirty && sc->nr.dirty == sc->nr.congested)
		hint_set_bits(&lv->flags, LRUVEC_CONGESTED);
	if (!kswapd && !(rcl_current(m)->flags & PF_LOCAL_THROTTLE) &&
	    hint_read(&lv->flags) & LRUVEC_CONGESTED)
		rcl_reclaim_throttle(m, nd, VMSCAN_THROTTLE_CONGESTED);
}

/* Could the request be met now, or would compaction have room to work? */
static bool compaction_suitable(struct zone *z, const struct scan_control *sc)
{
	u64 min_mark = wmark_pages(z, WMARK_MIN), mark = min_mark;

	if (rcl_zone_watermark_ok(z, (u32)sc->order, min_mark, sc->reclaim_idx, 0))
		return true;
	if (sc->order > PAGE_ALLOC_COSTLY_ORDER)
		mark = wmark_pages(z, WMARK_LOW);
	return rcl_zone_watermark_ok(z, 0, mark + (2ull << sc->order), sc->reclaim_idx, 0);
}

/*
 * For a request of higher order, pages freed here only help if compaction can join them: go on
 * while something is freed and there still is an inactive list worth scanning.
 */
static bool should_continue_reclaim(struct rcl *m, struct node *nd, u64 freed,
				    struct scan_control *sc)
{
	u64 inactive;

	if (!(sc->gfp & __GFP_IO) || !sc->order ||
	    (sc->order <= PAGE_ALLOC_COSTLY_ORDER && sc->priority >= DEF_PRIORITY - 2))
		return false;
	if (!freed)
		return false;
	for (int i = 0; i <= sc->reclaim_idx && i < MAX_NR_ZONES; i++)
		if (managed_zone(&nd->zones[i]) && compaction_suitable(&nd->zones[i], sc))
			return false;
	inactive = (u64)node_page_state(nd, NR_INACTIVE_FILE);
	if (rcl_can_reclaim_anon(m, NULL))
		inactive += (u64)node_page_state(nd, NR_INACTIVE_ANON);
	return inactive > 2ull << sc->order;
}

void rcl_shrink_node(struct rcl *m, struct node *nd, struct scan_control *sc)
{
	struct task *t = rcl_current(m);
	bool progress = false;
	u64 freed;

	do {
		u64 before = sc->nr_reclaimed;

		memset(&sc->nr, 0, sizeof(sc->nr));
		rcl_prepare_scan_count(m, nd, sc);
		shrink_groups(m, nd, sc);
		if (t->reclaim_state) {
			sc->nr_reclaimed += t->reclaim_state->reclaimed_slab;
			t->reclaim_state->reclaimed_slab = 0;
		}
		freed = sc->nr_reclaimed - before;
		progress |= freed != 0;
		judge_node(m, nd, sc);
	} while (should_continue_reclaim(m, nd, freed, sc));
	/* Any progress by anybody revives a kswapd that had given up. */
	if (progress)
		hint_set(&nd->kswapd_failures, 0);
}

void rcl_snapshot_refaults(struct rcl *m, struct memcg *target, struct node *nd)
{
	struct lruvec *lv = rcl_memcg_lruvec(m, target, nd);

	hint_set(&lv->refaults[0], rcl_lruvec_page_state(lv, WORKINGSET_ACTIVATE_ANON));
	hint_set(&lv->refaults[1], rcl_lruvec_page_state(lv, WORKINGSET_ACTIVATE_FILE));
}
