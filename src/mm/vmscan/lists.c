/* SPDX-License-Identifier: MIT */
/*
 * One batch of one list: take folios off the old end, decide, put back what stays.
 *
 * Isolation takes up to nr_to_scan folios from the tail under lru_lock. Folios in zones above the
 * caller's reach do not count and go back to the head; a folio that somebody else is freeing or
 * isolating moves to the head and counts as looked at. An isolated folio has PG_lru clear and one
 * more reference, and counts in NR_ISOLATED_*.
 *
 * Inactive list: rcl_shrink_folio_list() frees what it can; survivors return to the list their
 * flags now name. Pages that were sent to disk count as cost of their kind. If every folio of a
 * batch was dirty and not even queued for I/O, the flushers are asleep at the wheel: wake them.
 * Pinned folios are left out of such judgements.
 *
 * Active list: every folio is demoted to the inactive list, referenced or not (its accessed bits
 * are cleared, so that the inactive list will tell whether it is used again), with one exception:
 * referenced executable file pages get another round. Demoted folios are marked PG_workingset.
 *
 * Returning an active folio to its list ages the shadows like an eviction does, since it moves the
 * inactive list's pages one closer to the end.
 */
#include "mm/vmscan/internal.h"

#include "mm/mm.h"
#include "mm/workingset.h"
#include "mm/writeback.h"

/* Back to the young end; where to go on, if it was the only one left of `pos` and the head. */
static struct list_head *pass_over(struct folio *f, struct list_head *src, struct list_head *pos)
{
	list_move(&f->lru, src);
	return pos == src ? &f->lru : pos;
}

/*
 * What is not taken is moved out of the way, so that the taken stand together at the old end of src
 * and can leave it in one piece.
 */
static u64 isolate_folios(u64 nr_to_scan, struct lruvec *lv, struct list_head *dst, u64 *nr_scanned,
			  struct scan_control *sc, int lru)
{
	struct rcl *m = lv->node->m;
	struct list_head *src = &lv->lists[lru], *pos = src->prev, skipped;
	s64 taken[MAX_NR_ZONES] = {0};
	u64 scan = 0, total = 0, nr_taken = 0;

	list_init(&skipped);
	while (scan < nr_to_scan && pos != src) {
		struct folio *f = list_entry(pos, struct folio, lru);

		pos = pos->prev;
		__builtin_prefetch(pos, 1);
		total++;
		if ((int)folio_zone_idx(f) > sc->reclaim_idx) {
			count_vm_event(m,
				       (enum vm_event_item)(PGSCAN_SKIP_DMA + folio_zone_idx(f)));
			list_move(&f->lru, &skipped);
			continue;
		}
		scan++;
		if (unlikely((!sc->may_unmap && folio_mapped(f)) || !folio_test(f, PG_lru) ||
			     !folio_try_get(f))) {
			pos = pass_over(f, src, pos);
			continue;
		}
		if (unlikely(!folio_test_clear(f, PG_lru))) {
			folio_ref_add(f, -1);
			pos = pass_over(f, src, pos);
			continue;
		}
		nr_taken++;
		taken[folio_zone_idx(f)]++;
	}
	list_cut_tail(src, pos, dst);
	lru_start_ahead(lv, lru);
	list_splice_init(&skipped, src);
	*nr_scanned = total;
	RCL_TRACE(mm_vmscan_lru_isolate, lru, sc->order, nr_to_scan, total, total - scan, nr_taken,
		  sc->reclaim_idx);
	rcl_work_n(m, WORK_SKIP, total - scan);
	for (u32 z = 0; z < MAX_NR_ZONES; z++)
		if (taken[z])
			rcl_update_lru_size(lv, lru, z, -taken[z]);
	return nr_taken;
}

/* Put folios back where their flags say; those nobody else holds any more end up on `freeable`. */
static u32 putback(struct rcl *m, struct lruvec *lv, struct list_head *list,
		   struct list_head *freeable)
{
	struct lru_sizes sizes = {.lv = lv};
	u32 moved = 0;

	while (!list_empty(list)) {
		struct folio *f = list_last_entry(list, struct folio, lru);
		int to;

		list_del(&f->lru);
		if (unlikely(!rcl_folio_evictable(f))) {
			lru_sizes_flush(&sizes);
			spin_unlock(&lv->lru_lock);
			rcl_folio_putback_lru(m, f);
			spin_lock(&lv->lru_lock);
			continue;
		}
		folio_set(f, PG_lru);
		if (unlikely(folio_put_testzero(f))) {
			folio_clear(f, PG_lru);
			folio_clear(f, PG_active);
			list_add(&f->lru, freeable);
			continue;
		}
		if (unlikely(folio_zone_idx(f) != sizes.zone)) {
			lru_sizes_flush(&sizes);
			sizes.zone = folio_zone_idx(f);
		}
		to = folio_lru_list(f);
		sizes.nr[to]++;
		list_add(&f->lru, &lv->lists[to]);
		moved++;
		if (folio_test(f, PG_active))
			rcl_workingset_age_nonresident(m, lv, 1);
	}
	lru_sizes_flush(&sizes);
	return moved;
}

static void free_list(struct rcl *m, struct list_head *list)
{
	if (list_empty(list))
		return;
	rcl_memcg_uncharge_list(m, list);
	rcl_free_folio_list(m, list);
}

/* More pages isolated than left on the inactive list: too many reclaimers at once. */
static bool too_many_isolated(struct rcl *m, struct node *nd, bool file, struct scan_control *sc)
{
	s64 inactive = node_page_state(nd, file ? NR_INACTIVE_FILE : NR_INACTIVE_ANON);
	s64 isolated = node_page_state(nd, file ? NR_ISOLATED_FILE : NR_ISOLATED_ANON);
	bool too_many;

	if (rcl_is_kswapd(m))
		return false;
	/* Those who may not start I/O are allowed more, so that they never wait for those who may.
	 */
	if ((sc->gfp & (__GFP_IO | __GFP_FS)) == (__GFP_IO | __GFP_FS))
		inactive >>= 3;
	too_many = isolated > inactive;
	if (!too_many)
		rcl_wake_throttled(m, nd, VMSCAN_THROTTLE_ISOLATED);
	return too_many;
}

u64 rcl_shrink_inactive_list(struct rcl *m, u64 nr_to_scan, struct lruvec *lv,
			     struct scan_control *sc, int lru)
{
	struct list_head folios, freeable;
	struct node *nd = lv->node;
	struct reclaim_stat stat;
	bool file = is_file_lru(lru), kswapd = rcl_is_kswapd(m), stalled = false;
	u64 nr_scanned, nr_taken, nr_reclaimed;

	while (unlikely(too_many_isolated(m, nd, file, sc))) {
		if (stalled)
			return 0;
		stalled = true;
		rcl_reclaim_throttle(m, nd, VMSCAN_THROTTLE_ISOLATED);
		if (fatal_signal_pending(rcl_current(m)))
			return SWAP_CLUSTER_MAX;
	}

	list_init(&folios);
	list_init(&freeable);
	rcl_lru_add_drain(m);

	spin_lock(&lv->lru_lock);
	nr_taken = isolate_folios(nr_to_scan, lv, &folios, &nr_scanned, sc, lru);
	mod_node_state(nd, file ? NR_ISOLATED_FILE : NR_ISOLATED_ANON, (s64)nr_taken);
	spin_unlock(&lv->lru_lock);
	if (!cgroup_reclaim(sc))
		count_vm_events(m, kswapd ? PGSCAN_KSWAPD : PGSCAN_DIRECT, (s64)nr_scanned);
	rcl_count_memcg_events(lv->memcg, kswapd ? PGSCAN_KSWAPD : PGSCAN_DIRECT, (s64)nr_scanned);
	count_vm_events(m, file ? PGSCAN_FILE : PGSCAN_ANON, (s64)nr_scanned);
	if (!nr_taken)
		return 0;

	nr_reclaimed = rcl_shrink_folio_list(m, &folios, nd, sc, &stat, false);

	spin_lock(&lv->lru_lock);
	putback(m, lv, &folios, &freeable);
	mod_node_state(nd, file ? NR_ISOLATED_FILE : NR_ISOLATED_ANON, -(s64)nr_taken);
	spin_unlock(&lv->lru_lock);
	if (!cgroup_reclaim(sc))
		count_vm_events(m, kswapd ? PGSTEAL_KSWAPD : PGSTEAL_DIRECT, (s64)nr_reclaimed);
	rcl_count_memcg_events(lv->memcg, kswapd ? PGSTEAL_KSWAPD : PGSTEAL_DIRECT,
			       (s64)nr_reclaimed);
	count_vm_events(m, file ? PGSTEAL_FILE : PGSTEAL_ANON, (s64)nr_reclaimed);
	rcl_lru_note_cost(m, lv, file, stat.nr_pageout);
	free_list(m, &freeable);

	RCL_TRACE(mm_vmscan_lru_shrink_inactive, nd->id, file, nr_scanned, nr_reclaimed,
		  sc->priority, stat.nr_dirty, stat.nr_writeback);

	nr_taken -= stat.nr_pinned;
	if (stat.nr_unqueued_dirty && stat.nr_unqueued_dirty == nr_taken)
		rcl_wakeup_flusher_threads(m);

	sc->nr_pinned += stat.nr_pinned;
	sc->nr.dirty += stat.nr_dirty;
	sc->nr.congested += stat.nr_congested;
	sc->nr.unqueued_dirty += stat.nr_unqueued_dirty;
	sc->nr.writeback += stat.nr_writeback;
	sc->nr.immediate += stat.nr_immediate;
	sc->nr.taken += nr_taken;
	if (file)
		sc->nr.file_taken += nr_taken;
	return nr_reclaimed;
}

void rcl_shrink_active_list(struct rcl *m, u64 nr_to_scan, struct lruvec *lv,
			    struct scan_control *sc, int lru)
{
	struct list_head hold, active, inactive, freeable;
	struct node *nd = lv->node;
	bool file = is_file_lru(lru);
	u64 nr_taken, nr_scanned;
	u32 nr_deactivate;

	list_init(&hold);
	list_init(&active);
	list_init(&inactive);
	list_init(&freeable);
	rcl_lru_add_drain(m);

	spin_lock(&lv->lru_lock);
	nr_taken = isolate_folios(nr_to_scan, lv, &hold, &nr_scanned, sc, lru);
	mod_node_state(nd, file ? NR_ISOLATED_FILE : NR_ISOLATED_ANON, (s64)nr_taken);
	spin_unlock(&lv->lru_lock);
	if (!cgroup_reclaim(sc))
		count_vm_events(m, PGREFILL, (s64)nr_scanned);
	rcl_count_memcg_events(lv->memcg, PGREFILL, (s64)nr_scanned);

	while (!list_empty(&hold)) {
		struct folio *f = list_last_entry(&hold, struct folio, lru);
		u32 vm_flags = 0;

		if (folio_mapped(f)) {
			rcl_lru_fetch_ahead(m, lv, lru);
			if (f->lru.prev != &hold)
				rcl_rmap_fetch(m, list_entry(f->lru.prev, struct folio, lru));
		}
		rcl_work(m, WORK_SCAN);
		rcl_poll(m);
		list_del(&f->lru);
		if (unlikely(!rcl_folio_evictable(f))) {
			rcl_folio_putback_lru(m, f);
			continue;
		}
		if (folio_mapped(f) && rcl_folio_referenced(m, f, false, sc->target, &vm_flags) &&
		    vm_flags & VM_EXEC && folio_is_file_lru(f)) {
			list_add(&f->lru, &active);
			continue;
		}
		folio_clear(f, PG_active);
		folio_set(f, PG_workingset);
		list_add(&f->lru, &inactive);
	}

	spin_lock(&lv->lru_lock);
	putback(m, lv, &active, &freeable);
	nr_deactivate = putback(m, lv, &inactive, &freeable);
	mod_node_state(nd, file ? NR_ISOLATED_FILE : NR_ISOLATED_ANON, -(s64)nr_taken);
	spin_unlock(&lv->lru_lock);
	count_vm_events(m, PGDEACTIVATE, nr_deactivate);
	rcl_count_memcg_events(lv->memcg, PGDEACTIVATE, nr_deactivate);
	RCL_TRACE(mm_vmscan_lru_shrink_active, nd->id, nr_taken, nr_deactivate, sc->priority, file);
	free_list(m, &freeable);
}

static u64 reclaim_of_node(struct rcl *m, struct list_head *folios, struct node *nd)
{
	struct scan_control sc = {.gfp = GFP_KERNEL,
				  .reclaim_idx = MAX_NR_ZONES - 1,
				  .may_writepage = true,
				  .may_unmap = true,
				  .may_swap = true};
	struct reclaim_stat stat;
	u64 freed = rcl_shrink_folio_list(m, folios, nd, &sc, &stat, false);

	while (!list_empty(folios)) {
		struct folio *f = list_last_entry(folios, struct folio, lru);

		list_del(&f->lru);
		rcl_folio_putback_lru(m, f);
	}
	return freed;
}

/* Runs of folios of one node go together, oldest first; they do not count in NR_ISOLATED_*. */
u64 rcl_reclaim_pages(struct rcl *m, struct list_head *folios)
{
	bool was_memalloc = task_test_set(m, PF_MEMALLOC);
	struct node *nd = NULL;
	struct list_head run;
	u64 freed = 0;

	list_init(&run);
	while (!list_empty(folios)) {
		struct folio *f = list_last_entry(folios, struct folio, lru);

		if (folio_node(m, f) != nd && nd)
			freed += reclaim_of_node(m, &run, nd);
		nd = folio_node(m, f);
		folio_clear(f, PG_active);
		list_move(&f->lru, &run);
	}
	if (nd)
		freed += reclaim_of_node(m, &run, nd);
	if (!was_memalloc)
		task_clear(m, PF_MEMALLOC);
	return freed;
}
