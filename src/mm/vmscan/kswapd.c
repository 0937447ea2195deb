/* SPDX-License-Identifier: MIT */
/*
 * kswapd: one task per node that restores the high watermark before allocations have to.
 *
 * States: asleep (on kswapd_wait) -> balancing -> short sleep of 100 ms -> asleep. An allocation
 * that finds a zone below its low watermark wakes it, leaving the order and the highest zone of the
 * request in the node. If the short sleep is cut short, or ends with the node unbalanced, it goes
 * straight back to balancing.
 *
 * balance_pgdat(): passes over the node with rising priority from 12 until one zone that could
 * serve the request is above its high watermark. The priority rises after a pass that scanned less
 * than the sum of the high watermarks, or that freed nothing. Each pass first ages the anonymous
 * active lists of all groups if inactive anonymous memory is low. When everything was scanned and
 * nothing freed, that is a failure; after MAX_RECLAIM_RETRIES of them the node is hopeless, kswapd
 * stays asleep and direct reclaim is on its own until somebody frees something.
 *
 * Boost: fragmentation may have raised a zone's watermarks for a while. While that is the only
 * reason to reclaim, kswapd does not swap, write, or go beyond priority 10; the boost it was woken
 * with is taken back when it is done.
 *
 * A request of order > 0 is downgraded to order 0 once twice its size has been freed: the rest is
 * for compaction.
 *
 * Locking: kswapd_order and kswapd_highest_zoneidx are hints, written without a lock by wakers;
 * boosts under zone->lock; kswapd_asleep is set before the last check of the watermarks.
 */
#include <stdlib.h>

#include "mm/vmscan/internal.h"

#define BOOST_MAX_RAISE 2 /* priorities a boosted pass may rise */

static bool boosted(struct node *nd, int highest)
{
	for (int i = highest; i >= 0; i--)
		if (managed_zone(&nd->zones[i]) && watermark_boost(&nd->zones[i]))
			return true;
	return false;
}

static bool balanced(struct node *nd, int order, int highest)
{
	bool any = false;

	for (int i = 0; i <= highest; i++) {
		struct zone *z = &nd->zones[i];

		if (!managed_zone(z))
			continue;
		any = true;
		if (rcl_zone_watermark_ok(z, (u32)order, high_wmark_pages(z), highest, 0))
			return true;
	}
	return !any;
}

static void set_reclaim_active(struct node *nd, int highest, bool active)
{
	for (int i = 0; i <= highest; i++)
		hint_set(&nd->zones[i].reclaim_active, active && managed_zone(&nd->zones[i]));
}

static void age_anon(struct rcl *m, struct node *nd, struct scan_control *sc)
{
	if (!rcl_total_swap_pages(m) ||
	    !rcl_inactive_is_low(rcl_memcg_lruvec(m, NULL, nd), LRU_INACTIVE_ANON))
		return;
	for_each_memcg (memcg, m->root_memcg)
		rcl_shrink_active_list(m, SWAP_CLUSTER_MAX, memcg->lruvecs[nd->id], sc,
				       LRU_ACTIVE_ANON);
}

/* One pass. True if it scanned as much as the high watermarks ask for. */
static bool shrink_once(struct rcl *m, struct node *nd, struct scan_control *sc)
{
	sc->nr_to_reclaim = 0;
	for (int i = 0; i <= sc->reclaim_idx; i++) {
		struct zone *z = &nd->zones[i];

		if (managed_zone(z))
			sc->nr_to_reclaim += max(high_wmark_pages(z), (u64)SWAP_CLUSTER_MAX);
	}
	rcl_shrink_node(m, nd, sc);
	if (sc->order && sc->nr_reclaimed >= 2ull << sc->order)
		sc->order = 0;
	return sc->nr_scanned >= sc->nr_to_reclaim;
}

static void wake_pfmemalloc(struct rcl *m, struct node *nd)
{
	__atomic_add_fetch(&nd->pfmemalloc_wait, 1, __ATOMIC_RELEASE);
	rcl_wake(m, &nd->pfmemalloc_wait, UINT32_MAX);
}

static u64 take_boosts(struct node *nd, int highest, u64 boosts[MAX_NR_ZONES])
{
	u64 sum = 0;

	for (int i = 0; i <= highest; i++) {
		boosts[i] = managed_zone(&nd->zones[i]) ? watermark_boost(&nd->zones[i]) : 0;
		sum += boosts[i];
	}
	return sum;
}

static void give_back_boosts(struct node *nd, int highest, const u64 boosts[MAX_NR_ZONES])
{
	for (int i = 0; i <= highest; i++) {
		struct zone *z = &nd->zones[i];

		if (!boosts[i])
			continue;
		spin_lock(&z->lock);
		set_watermark_boost(z, z->watermark_boost - min(z->watermark_boost, boosts[i]));
		spin_unlock(&z->lock);
	}
}

/* Returns the order it ended with. */
static int balance_pgdat(struct rcl *m, struct node *nd, int order, int highest)
{
	struct scan_control sc = {.gfp = GFP_KERNEL, .order = order, .may_unmap = true};
	struct task *t = rcl_current(m);
	u64 boosts[MAX_NR_ZONES], boost_left;
	bool was_boosted, stall = rcl_psi_memstall_enter(m);

	t->reclaim_state = &sc.reclaim_state;
	count_vm_event(m, PAGEOUTRUN);
	boost_left = take_boosts(nd, highest, boosts);
	was_boosted = boost_left;

restart:
	set_reclaim_active(nd, highest, true);
	sc.priority = DEF_PRIORITY;
	do {
		u64 before = sc.nr_reclaimed, freed;
		bool raise = true, ok;

		sc.reclaim_idx = highest;
		ok = balanced(nd, sc.order, highest);
		/* A real shortage beats the boost: reclaim without its restrictions. */
		if (!ok && boost_left) {
			boost_left = 0;
			goto restart;
		}
		if (ok && !boost_left)
			goto out;
		if (boost_left && sc.priority == DEF_PRIORITY - BOOST_MAX_RAISE)
			raise = false;
		sc.may_writepage = !m->tun.laptop_mode && !boost_left;
		sc.may_swap = !boost_left;

		age_anon(m, nd, &sc);
		if (sc.priority < DEF_PRIORITY - 2)
			sc.may_writepage = true;
		sc.nr_scanned = 0;
		if (shrink_once(m, nd, &sc))
			raise = false;
		if (rcl_allow_direct_reclaim(m, nd))
			wake_pfmemalloc(m, nd);
		if (hint_read(&m->stopping))
			break;

		freed = sc.nr_reclaimed - before;
		boost_left -= min(boost_left, freed);
		if (boost_left && !freed)
			break;
		if (raise || !freed)
			sc.priority--;
	} while (sc.priority >= 1);
	if (!sc.nr_reclaimed)
		hint_set(&nd->kswapd_failures, hint_read(&nd->kswapd_failures) + 1);
out:
	set_reclaim_active(nd, highest, false);
	if (was_boosted)
		give_back_boosts(nd, highest, boosts);
	rcl_snapshot_refaults(m, NULL, nd);
	t->reclaim_state = NULL;
	rcl_psi_memstall_leave(m, stall);
	return sc.order;
}

/* May kswapd sleep now? Clears the node's signs of trouble when it is balanced. */
static bool may_sleep(struct rcl *m, struct node *nd, int order, int highest)
{
	wake_pfmemalloc(m, nd);
	if (hint_read(&nd->kswapd_failures) >= MAX_RECLAIM_RETRIES)
		return true;
	if (!balanced(nd, order, highest))
		return false;
	hint_clear_bits(&rcl_memcg_lruvec(m, NULL, nd)->flags, LRUVEC_CONGESTED);
	hint_clear_bits(&nd->flags, PGDAT_DIRTY | PGDAT_WRITEBACK);
	return true;
}

static int requested_zone(struct node *nd, int previous)
{
	int highest = hint_read(&nd->kswapd_highest_zoneidx);

	return highest == MAX_NR_ZONES ? previous : highest;
}

static void try_to_sleep(struct rcl *m, struct node *nd, int reclaim_order, int highest)
{
	u32 seen = __atomic_load_n(&nd->kswapd_wait, __ATOMIC_ACQUIRE);
	bool woken = false;

	__atomic_store_n(&nd->kswapd_asleep, true, __ATOMIC_SEQ_CST);
	if (may_sleep(m, nd, reclaim_order, highest)) {
		/* A short nap first: a request that comes at once means we stopped too early. */
		woken = rcl_wait_on(m, &nd->kswapd_wait, seen, RCL_NSEC_PER_SEC / 10, false) !=
			-ETIMEDOUT;
		if (woken) {
			hint_set(&nd->kswapd_highest_zoneidx, requested_zone(nd, highest));
			hint_set(&nd->kswapd_order,
				 max(hint_read(&nd->kswapd_order), (s32)reclaim_order));
		}
		seen = __atomic_load_n(&nd->kswapd_wait, __ATOMIC_ACQUIRE);
	}
	if (!woken && !hint_read(&m->stopping) && may_sleep(m, nd, reclaim_order, highest)) {
		RCL_TRACE(mm_vmscan_kswapd_sleep, nd->id);
		rcl_wait_on(m, &nd->kswapd_wait, seen, RCL_FOREVER, false);
	} else {
		count_vm_event(m, woken ? KSWAPD_LOW_WMARK_HIT_QUICKLY
					: KSWAPD_HIGH_WMARK_HIT_QUICKLY);
	}
	hint_set(&nd->kswapd_asleep, false);
}

static void kswapd(void *arg)
{
	struct node *nd = arg;
	struct rcl *m = nd->m;
	int alloc_order = 0, reclaim_order = 0, highest = MAX_NR_ZONES - 1;

	while (!hint_read(&m->stopping)) {
		if (reclaim_order >= alloc_order) {
			alloc_order = reclaim_order = hint_read(&nd->kswapd_order);
			highest = requested_zone(nd, highest);
		}
		try_to_sleep(m, nd, reclaim_order, highest);
		alloc_order = hint_read(&nd->kswapd_order);
		highest = requested_zone(nd, highest);
		hint_set(&nd->kswapd_order, 0);
		hint_set(&nd->kswapd_highest_zoneidx, MAX_NR_ZONES);
		if (hint_read(&m->stopping))
			break;
		RCL_TRACE(mm_vmscan_kswapd_wake, nd->id, highest, alloc_order);
		reclaim_order = balance_pgdat(m, nd, alloc_order, highest);
	}
}

void rcl_wakeup_kswapd(struct zone *z, gfp_t gfp, u32 order, int highest)
{
	struct node *nd = z->node;
	int current_idx = hint_read(&nd->kswapd_highest_zoneidx);

	(void)gfp; /* an atomic request would wake kcompactd instead when balanced */
	if (!managed_zone(z))
		return;
	if (current_idx == MAX_NR_ZONES || current_idx < highest)
		hint_set(&nd->kswapd_highest_zoneidx, highest);
	if (hint_read(&nd->kswapd_order) < (s32)order)
		hint_set(&nd->kswapd_order, (s32)order);
	/* It may be about to sleep; then it looks at the watermarks once more, or the next request
	 * wakes it. */
	if (!hint_read(&nd->kswapd_asleep))
		return;
	if (hint_read(&nd->kswapd_failures) >= MAX_RECLAIM_RETRIES ||
	    (balanced(nd, (int)order, highest) && !boosted(nd, highest)))
		return;
	RCL_TRACE(mm_vmscan_wakeup_kswapd, nd->id, highest, order, gfp);
	__atomic_add_fetch(&nd->kswapd_wait, 1, __ATOMIC_RELEASE);
	rcl_wake(z->m, &nd->kswapd_wait, 1);
}

int rcl_kswapd_run(struct rcl *m, struct node *nd)
{
	struct task *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	nd->kswapd_highest_zoneidx = MAX_NR_ZONES;
	memcpy(t->name, "kswapd", 7);
	t->flags = PF_KTHREAD | PF_KSWAPD | PF_MEMALLOC;
	t->node = nd->id;
	rcl_task_attach(m, t);
	err = m->plat->ops->spawn(m->plat, t, kswapd, nd);
	if (err) {
		rcl_task_detach(m, t);
		free(t);
		return err;
	}
	nd->kswapd = t;
	return 0;
}

/* The machine is stopping (m->stopping set): wait for the task to end. */
void rcl_kswapd_stop(struct rcl *m, struct node *nd)
{
	if (!nd->kswapd)
		return;
	__atomic_add_fetch(&nd->kswapd_wait, 1, __ATOMIC_RELEASE);
	rcl_wake(m, &nd->kswapd_wait, UINT32_MAX);
	m->plat->ops->join(m->plat, nd->kswapd);
	rcl_task_detach(m, nd->kswapd);
	free(nd->kswapd);
	nd->kswapd = NULL;
}
