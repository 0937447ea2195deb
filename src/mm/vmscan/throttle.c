/* SPDX-License-Identifier: MIT */
/*
 * When a reclaimer must wait.
 *
 * Reclaim that runs faster than the disks write, or in parallel with too many others, burns CPU
 * and evicts the wrong pages. So it waits, always with a timeout, for one of these:
 *
 *   reason       who waits                       until                              at most
 *   WRITEBACK    kswapd that meets pages still   enough pages were written since    100 ms
 *                under writeback for the second  the first waiter came (32 for
 *                time                            each waiter)
 *   ISOLATED     a direct reclaimer while more   somebody puts pages back           20 ms
 *                pages are isolated than remain
 *   CONGESTED,   a reclaimer whose lruvec cycles  progress elsewhere                one tick
 *   NOPROGRESS   dirty pages, or that freed
 *                nothing at a late priority
 *
 * The last two wait only when at least half of what could be reclaimed is waiting to be written;
 * otherwise more scanning helps and they merely let others run. Kernel tasks other than kswapd
 * never wait here, since reclaim may depend on them.
 *
 * Apart from these, a task whose allocation would eat into the last half of the min watermark
 * waits until kswapd has restored it (pfmemalloc), unless kswapd has given up.
 */
#include "mm/vmscan/internal.h"

static bool enough_clean_pages(struct rcl *m, struct node *nd)
{
	u64 reclaimable = 0, pending = 0;

	(void)m;
	if (hint_read(&nd->kswapd_failures) >= MAX_RECLAIM_RETRIES)
		return true;
	for_each_zone (z, nd) {
		if (!managed_zone(z))
			continue;
		reclaimable += rcl_zone_reclaimable_pages(z);
		pending += (u64)zone_page_state(z, NR_ZONE_WRITE_PENDING);
	}
	return 2 * pending <= reclaimable;
}

void rcl_reclaim_throttle(struct rcl *m, struct node *nd, enum vmscan_throttle reason)
{
	struct task *t = rcl_current(m);
	u32 seen = __atomic_load_n(&nd->reclaim_wait[reason], __ATOMIC_ACQUIRE);
	u64 timeout;

	if (t->flags & PF_KTHREAD && !(t->flags & PF_KSWAPD)) {
		rcl_poll(m);
		return;
	}
	switch (reason) {
	case VMSCAN_THROTTLE_WRITEBACK:
		timeout = RCL_NSEC_PER_SEC / 10;
		if (shared_add(&nd->nr_writeback_throttled, 1, m->threaded) == 1)
			hint_set(&nd->nr_reclaim_start, node_page_state(nd, NR_THROTTLED_WRITTEN));
		break;
	case VMSCAN_THROTTLE_ISOLATED:
		timeout = RCL_NSEC_PER_SEC / 50;
		break;
	default:
		if (enough_clean_pages(m, nd)) {
			rcl_poll(m);
			return;
		}
		timeout = rcl_jiffies_to_ns(m, 1);
	}
	RCL_TRACE(mm_vmscan_throttled, nd->id, timeout / 1000, reason);
	__atomic_fetch_add(&nd->reclaim_waiters[reason], 1, __ATOMIC_RELAXED);
	rcl_wait_on(m, &nd->reclaim_wait[reason], seen, timeout, false);
	__atomic_fetch_sub(&nd->reclaim_waiters[reason], 1, __ATOMIC_RELAXED);
	if (reason == VMSCAN_THROTTLE_WRITEBACK)
		shared_add(&nd->nr_writeback_throttled, -1, m->threaded);
}

void rcl_wake_throttled(struct rcl *m, struct node *nd, enum vmscan_throttle reason)
{
	/* Who comes to wait just now may miss this; all these waits have a timeout. */
	if (likely(!hint_read(&nd->reclaim_waiters[reason])))
		return;
	__atomic_add_fetch(&nd->reclaim_wait[reason], 1, __ATOMIC_RELEASE);
	rcl_wake(m, &nd->reclaim_wait[reason], UINT32_MAX);
}

void rcl_acct_reclaim_writeback(struct rcl *m, struct node *nd)
{
	s64 written;

	mod_node_state(nd, NR_THROTTLED_WRITTEN, 1);
	written = node_page_state(nd, NR_THROTTLED_WRITTEN) - hint_read(&nd->nr_reclaim_start);
	if (written > (s64)SWAP_CLUSTER_MAX * shared_read(&nd->nr_writeback_throttled))
		rcl_wake_throttled(m, nd, VMSCAN_THROTTLE_WRITEBACK);
}

bool rcl_allow_direct_reclaim(struct rcl *m, struct node *nd)
{
	u64 reserve = 0, free = 0;
	bool ok;

	if (hint_read(&nd->kswapd_failures) >= MAX_RECLAIM_RETRIES)
		return true;
	for_each_zone (z, nd) {
		if (z->type > ZONE_NORMAL || !managed_zone(z) || !rcl_zone_reclaimable_pages(z))
			continue;
		reserve += wmark_pages(z, WMARK_MIN);
		free += (u64)zone_page_state(z, NR_FREE_PAGES);
	}
	if (!reserve)
		return true;
	ok = free > reserve / 2;
	/* Whoever waits here waits for kswapd: it must be awake. */
	if (!ok && hint_read(&nd->kswapd_asleep)) {
		if (hint_read(&nd->kswapd_highest_zoneidx) > ZONE_NORMAL)
			hint_set(&nd->kswapd_highest_zoneidx, ZONE_NORMAL);
		__atomic_add_fetch(&nd->kswapd_wait, 1, __ATOMIC_RELEASE);
		rcl_wake(m, &nd->kswapd_wait, 1);
	}
	return ok;
}

/* The node whose reserves matter to a request: the first with memory that the kernel could use. */
static struct node *reserve_node(const struct zonelist *zl, gfp_t gfp)
{
	u32 highest = min((u32)rcl_gfp_zone(gfp), (u32)ZONE_NORMAL);

	for (u32 i = 0; i < zl->nr; i++)
		if (zl->zones[i]->type <= highest && managed_zone(zl->zones[i]))
			return zl->zones[i]->node;
	return NULL;
}

bool rcl_throttle_direct_reclaim(struct rcl *m, gfp_t gfp, struct zonelist *zl)
{
	struct task *t = rcl_current(m);
	u64 deadline = rcl_now(m) + RCL_NSEC_PER_SEC;
	struct node *nd;

	if (t->flags & PF_KTHREAD || fatal_signal_pending(t))
		return false;
	nd = reserve_node(zl, gfp);
	if (!nd || rcl_allow_direct_reclaim(m, nd))
		return false;
	count_vm_event(m, PGSCAN_DIRECT_THROTTLE);
	for (;;) {
		u32 seen = __atomic_load_n(&nd->pfmemalloc_wait, __ATOMIC_ACQUIRE);

		if (rcl_allow_direct_reclaim(m, nd) || fatal_signal_pending(t))
			break;
		/* A filesystem caller may hold what kswapd needs: it waits a second at most. */
		if (!(gfp & __GFP_FS) && rcl_now(m) >= deadline)
			break;
		rcl_wait_on(m, &nd->pfmemalloc_wait, seen, RCL_NSEC_PER_SEC, false);
	}
	return fatal_signal_pending(t);
}
