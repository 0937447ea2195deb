/* SPDX-License-Identifier: MIT */
/*
 * How much of each list to scan.
 *
 * Before a pass over a node, prepare_scan_count() looks at the group under reclaim (or the whole
 * node) and decides three things:
 *
 *  may_deactivate   Age an active list if its inactive list is small compared to it, or if pages of
 *                   that kind were refaulted straight into the active list since the last reclaim:
 *                   a new working set is forming and the old one must be able to leave.
 *  cache_trim_mode  There are inactive file pages to spare at this priority and the file working
 *                   set is stable: do not touch anonymous memory.
 *  file_is_tiny     (machine-wide reclaim) Free memory and the whole file cache together do not
 *                   reach the high watermarks: scanning file any more would only thrash.
 *
 * Then, for each lruvec, get_scan_count() picks one of four balances:
 *
 *   when (first that holds)                              balance
 *   no swap to be had, or the caller forbids swapping    FILE
 *   a group's limit, and swappiness is 0                 FILE
 *   last resort (priority 0), swappiness not 0           EQUAL  lists by their size alone
 *   file_is_tiny                                         ANON
 *   cache_trim_mode                                      FILE
 *   otherwise                                            FRACT
 *
 * FRACT: the pressure on a kind is inverse to what reclaiming it has cost lately (anon_cost,
 * file_cost: decaying counts of refaults of hot pages and of pages written by reclaim), damped so
 * that neither gets less than a third before swappiness weighs them s : (200 - s).
 *
 * A list's share is its size >> priority, times its fraction.
 */
#include "mm/vmscan/internal.h"

#include "mm/swap.h"

enum scan_balance {
	SCAN_EQUAL,
	SCAN_FRACT,
	SCAN_ANON,
	SCAN_FILE
};

static u64 int_sqrt(u64 x)
{
	u64 r = 0;

	for (u64 bit = 1ull << 62; bit; bit >>= 2) {
		if (x >= r + bit) {
			x -= r + bit;
			r = (r >> 1) + bit;
		} else {
			r >>= 1;
		}
	}
	return r;
}

bool rcl_can_reclaim_anon(struct rcl *m, struct memcg *memcg)
{
	if (!memcg)
		return rcl_nr_swap_pages(m) > 0;
	return rcl_memcg_nr_swap_pages(m, memcg) > 0;
}

/*
 * The inactive list should be large enough that its pages get a chance to be referenced, and small
 * enough that most memory holds the established working set: 1:1 below 1 GiB, then 1:sqrt(10 GiB).
 */
bool rcl_inactive_is_low(struct lruvec *lv, int inactive_lru)
{
	u64 inactive = (u64)rcl_lruvec_page_state(lv, (enum node_stat_item)inactive_lru);
	u64 active =
		(u64)rcl_lruvec_page_state(lv, (enum node_stat_item)(inactive_lru + LRU_ACTIVE));
	u64 gb = (inactive + active) >> (30 - PAGE_SHIFT);
	u64 ratio = gb ? int_sqrt(10 * gb) : 1;

	return inactive * ratio < active;
}

static bool wants_aging(struct lruvec *lv, bool file)
{
	s64 activated =
		rcl_lruvec_page_state(lv, (enum node_stat_item)(WORKINGSET_ACTIVATE_ANON + file));

	return activated != hint_read(&lv->refaults[file]) ||
	       rcl_inactive_is_low(lv, file ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON);
}

static bool file_cache_is_tiny(struct node *nd, struct scan_control *sc)
{
	u64 high = 0, free = 0, file, anon;

	for_each_zone (z, nd) {
		if (!managed_zone(z))
			continue;
		high += high_wmark_pages(z);
		free += (u64)zone_page_state(z, NR_FREE_PAGES);
	}
	file = (u64)(node_page_state(nd, NR_ACTIVE_FILE) + node_page_state(nd, NR_INACTIVE_FILE));
	anon = (u64)node_page_state(nd, NR_INACTIVE_ANON);
	/* With little anonymous memory left either, this is plain shortage and not a cache trap. */
	return file + free <= high && !(sc->may_deactivate & DEACTIVATE_ANON) &&
	       anon >> sc->priority;
}

void rcl_prepare_scan_count(struct rcl *m, struct node *nd, struct scan_control *sc)
{
	struct lruvec *lv = rcl_memcg_lruvec(m, sc->target, nd);
	u64 inactive_file;

	spin_lock(&lv->lru_lock);
	sc->anon_cost = lv->anon_cost;
	sc->file_cost = lv->file_cost;
	spin_unlock(&lv->lru_lock);

	sc->may_deactivate = 0;
	if (sc->force_deactivate || wants_aging(lv, false))
		sc->may_deactivate |= DEACTIVATE_ANON;
	if (sc->force_deactivate || wants_aging(lv, true))
		sc->may_deactivate |= DEACTIVATE_FILE;

	inactive_file = (u64)rcl_lruvec_page_state(lv, NR_INACTIVE_FILE);
	sc->cache_trim_mode =
		inactive_file >> sc->priority && !(sc->may_deactivate & DEACTIVATE_FILE);

	sc->file_is_tiny = !cgroup_reclaim(sc) && file_cache_is_tiny(nd, sc);
}

void rcl_get_scan_count(struct rcl *m, struct lruvec *lv, struct scan_control *sc,
			u64 nr[NR_LRU_LISTS])
{
	u64 swappiness = (u64)m->tun.swappiness;
	u64 total, anon_cost, file_cost, fraction[2], denominator;
	enum scan_balance balance;

	if (!sc->may_swap || !rcl_can_reclaim_anon(m, lv->memcg))
		balance = SCAN_FILE;
	else if (cgroup_reclaim(sc) && !swappiness)
		balance = SCAN_FILE;
	else if (!sc->priority && swappiness)
		balance = SCAN_EQUAL;
	else if (sc->file_is_tiny)
		balance = SCAN_ANON;
	else if (sc->cache_trim_mode)
		balance = SCAN_FILE;
	else
		balance = SCAN_FRACT;

	total = sc->anon_cost + sc->file_cost;
	anon_cost = total + sc->anon_cost;
	file_cost = total + sc->file_cost;
	total = anon_cost + file_cost;
	fraction[0] = swappiness * (total + 1) / (anon_cost + 1);
	fraction[1] = (200 - swappiness) * (total + 1) / (file_cost + 1);
	denominator = fraction[0] + fraction[1];

	for_each_evictable_lru (lru) {
		bool file = is_file_lru(lru);
		u64 size = rcl_lruvec_lru_size(lv, lru, sc->reclaim_idx);
		u64 scan = size >> sc->priority;

		/* What is left in a deleted group must not live for ever. */
		if (!scan && !hint_read(&lv->memcg->online))
			scan = min(size, (u64)SWAP_CLUSTER_MAX);
		switch (balance) {
		case SCAN_EQUAL:
			break;
		case SCAN_FRACT:
			scan *= fraction[file];
			if (!hint_read(&lv->memcg->online))
				scan += denominator - 1;
			scan /= denominator;
			break;
		case SCAN_ANON:
		case SCAN_FILE:
			if ((balance == SCAN_FILE) != file)
				scan = 0;
		}
		nr[lru] = scan;
	}
	nr[LRU_UNEVICTABLE] = 0;
}
