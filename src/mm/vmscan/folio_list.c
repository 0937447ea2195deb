/* SPDX-License-Identifier: MIT */
/*
 * The fate of each isolated folio.
 *
 * Reclaim walks a list of up to 32 isolated folios, old end first. Each one passes these gates in
 * order; the first that stops it decides:
 *
 *   1  locked by somebody                              keep (not even counted as scanned)
 *   2  not evictable (mlocked)                         activate: the LRU will sort it out
 *   3  mapped, and unmapping is not allowed            keep
 *   4  under writeback                                 activate, to be out of the way; it is marked
 *                                                      to be freed when written. kswapd that meets
 *                                                      it for the second time also remembers that
 *                                                      it should stall.
 *   5  referenced                                      see the table below
 *   6  anonymous without swap slot                     give it one, or activate if there is none
 *   7  mapped                                          unmap everywhere, or activate if that fails
 *   8  dirty file page                                 activate and mark for reclaim: writing is
 *                                                      the flushers' work. Only kswapd, on a node
 *                                                      full of dirty pages, and at the second
 *                                                      meeting, writes it itself.
 *   9  dirty                                           write it out: keep; it comes back to the
 *                                                      tail of the list when written
 *  10  has buffers                                     free them, or activate if they are in use
 *  11  somebody else still holds a reference           keep
 *  12  otherwise                                       out of its mapping (leaving a shadow entry
 *                                                      of its age), free
 *
 * References: `young` is the number of mappings whose accessed bit was set (it is cleared by
 * looking), `again` says that PG_referenced was set before (it is cleared too):
 *
 *   mapped in a locked vma                             activate (goes to the unevictable list)
 *   young, and (again or young in several, or code)    activate
 *   young otherwise                                    keep, mark PG_referenced: one more round
 *   pinned (host platform)                             keep
 *   not young, again, file                             reclaim if clean, keep if dirty
 *   else                                               reclaim
 *
 * Counting: a folio counts as scanned once its lock was got; pgactivate per machine is counted once
 * per list, per group at each folio, mlocked folios excluded.
 *
 * Invariants: on entry every folio is isolated (PG_lru clear, one reference ours); on exit the list
 * holds exactly the survivors, unlocked, in reverse order of inspection; the freed are gone.
 */
#include "mm/vmscan/internal.h"

#include "mm/filemap.h"
#include "mm/mm.h"
#include "mm/swap.h"
#include "mm/workingset.h"
#include "mm/writeback.h"

enum fate {
	FATE_FREED, /* removed, reference count 0, unlocked */
	FATE_KEEP,  /* already unlocked */
	FATE_KEEP_LOCKED,
	FATE_ACTIVATE_LOCKED,
	FATE_CONTINUE /* internal: pass on to the next gate */
};

enum references {
	REF_RECLAIM,
	REF_RECLAIM_CLEAN,
	REF_KEEP,
	REF_ACTIVATE
};

/* The walk of one list. */
struct shrink {
	struct rcl *m;
	struct node *node;
	struct scan_control *sc;
	struct reclaim_stat *stat;
	struct lruvec *evictor; /* whose clock evictions are noted by */
	bool kswapd, ignore_references;
	bool is_dirty; /* the folio at hand counts as dirty, and not queued for I/O */
};

/* It waits for its owner, not for a flusher. */
static void note_pinned(struct shrink *s)
{
	s->stat->nr_pinned++;
	s->stat->nr_dirty -= s->is_dirty;
	s->stat->nr_unqueued_dirty -= s->is_dirty;
	s->is_dirty = false;
}

static enum references check_references(struct shrink *s, struct folio *f)
{
	u32 vm_flags = 0;
	int young = rcl_folio_referenced(s->m, f, true, s->sc->target, &vm_flags);
	bool again = folio_test_clear(f, PG_referenced);

	if (vm_flags & VM_LOCKED)
		return REF_ACTIVATE;
	if (unlikely(vm_flags & VM_PINNED))
		note_pinned(s);
	if (young) {
		folio_set(f, PG_referenced);
		if (again || young > 1)
			return REF_ACTIVATE;
		if (vm_flags & VM_EXEC && folio_is_file_lru(f))
			return REF_ACTIVATE;
		return REF_KEEP;
	}
	if (unlikely(vm_flags & VM_PINNED))
		return REF_KEEP;
	if (again && folio_is_file_lru(f))
		return REF_RECLAIM_CLEAN;
	return REF_RECLAIM;
}

static bool may_enter_fs(struct folio *f, gfp_t gfp)
{
	return gfp & __GFP_FS || (folio_test(f, PG_swapcache) && gfp & __GFP_IO);
}

/* Gate 4, and the counts that tell how far writeback lags behind. */
static enum fate check_writeback(struct shrink *s, struct folio *f)
{
	u32 flags = folio_flags(f);
	bool file = !(flags & BIT(PG_swapbacked)) && !(flags & BIT(PG_anon));
	bool dirty = file && flags & BIT(PG_dirty), writeback = file && flags & BIT(PG_writeback);

	if (dirty || writeback)
		s->stat->nr_dirty++;
	s->is_dirty = dirty && !writeback;
	s->stat->nr_unqueued_dirty += s->is_dirty;
	if (writeback && flags & BIT(PG_reclaim))
		s->stat->nr_congested++;

	if (!(flags & BIT(PG_writeback)))
		return FATE_CONTINUE;
	if (s->kswapd && flags & BIT(PG_reclaim) && hint_read(&s->node->flags) & PGDAT_WRITEBACK) {
		s->stat->nr_immediate++;
	} else {
		folio_set(f, PG_reclaim);
		s->stat->nr_writeback++;
	}
	return FATE_ACTIVATE_LOCKED;
}

/* Gate 7. Only the last mapping's removal makes progress. */
static enum fate unmap(struct shrink *s, struct folio *f)
{
	bool was_swapbacked = folio_test(f, PG_swapbacked);

	if (unlikely(rcl_try_to_unmap(s->m, f)))
		note_pinned(s);
	if (!folio_mapped(f))
		return FATE_CONTINUE;
	s->stat->nr_unmap_fail++;
	/* A lazyfree folio that was written again. */
	if (!was_swapbacked && folio_test(f, PG_swapbacked))
		s->stat->nr_lazyfree_fail++;
	return FATE_ACTIVATE_LOCKED;
}

/* Only the page cache (or swap cache), private buffers and we hold references. */
static bool only_cache_refs(const struct folio *f)
{
	return folio_ref_count(f) - folio_test(f, PG_private) == 2;
}

/* Gate 9: start the write; the folio comes back unlocked unless it turned out clean. */
static enum fate pageout(struct shrink *s, struct folio *f)
{
	struct rcl *m = s->m;
	/* Once it is unlocked, truncation may take it out of its file; a file outlives its writes.
	 */
	struct mapping *mapping = folio_is_anon(f) ? NULL : f->mapping;
	int err;

	if (!only_cache_refs(f))
		return FATE_KEEP_LOCKED;
	if (!rcl_folio_clear_dirty_for_io(m, f))
		return folio_test(f, PG_dirty) ? FATE_KEEP_LOCKED : FATE_CONTINUE;
	folio_set(f, PG_reclaim);
	rcl_mod_folio_state(m, f, NR_VMSCAN_WRITE, 1);
	s->stat->nr_pageout++;
	err = folio_test(f, PG_swapcache) ? rcl_swap_writepage(m, f) : rcl_file_writepage(m, f);
	if (err < 0 && mapping)
		rcl_mapping_set_error(mapping, err);
	if (folio_test(f, PG_writeback))
		return FATE_KEEP;
	/* The write was skipped or is over already: perhaps the folio can go at once. */
	folio_clear(f, PG_reclaim);
	if (folio_test(f, PG_dirty) || !folio_trylock(f))
		return FATE_KEEP;
	if (folio_test(f, PG_dirty) || folio_test(f, PG_writeback))
		return FATE_KEEP_LOCKED;
	return FATE_CONTINUE;
}

/* Gates 8 and 9. */
static enum fate write_dirty(struct shrink *s, struct folio *f, enum references refs)
{
	if (folio_is_file_lru(f) && (!s->kswapd || !folio_test(f, PG_reclaim) ||
				     !(hint_read(&s->node->flags) & PGDAT_DIRTY))) {
		rcl_mod_folio_state(s->m, f, NR_VMSCAN_IMMEDIATE, 1);
		folio_set(f, PG_reclaim);
		return FATE_ACTIVATE_LOCKED;
	}
	if (refs == REF_RECLAIM_CLEAN)
		return FATE_KEEP_LOCKED;
	if (!may_enter_fs(f, s->sc->gfp) || !s->sc->may_writepage)
		return FATE_KEEP_LOCKED;
	return pageout(s, f);
}

/* Gates 11 and 12 for a folio in a page cache. */
static inline bool remove_from_file(struct shrink *s, struct folio *f)
{
	struct mapping *mapping = f->mapping;
	void *shadow = NULL;

	spin_lock(&mapping->lock);
	if (unlikely(!folio_ref_freeze(f, 2))) {
		spin_unlock(&mapping->lock);
		return false;
	}
	if (unlikely(folio_test(f, PG_dirty))) {
		folio_ref_unfreeze(f, 2);
		spin_unlock(&mapping->lock);
		return false;
	}
	if (likely(!(mapping_flags(mapping) & MAPPING_EXITING)))
		shadow = rcl_workingset_evict_from(s->m, f, s->evictor);
	rcl_filemap_remove_folio(s->m, f, shadow);
	spin_unlock(&mapping->lock);
	return true;
}

/* Gates 11 and 12 for a folio in a page cache or in the swap cache. */
static bool remove_mapping(struct shrink *s, struct folio *f)
{
	struct rcl *m = s->m;
	void *shadow;

	if (folio_test(f, PG_swapcache)) {
		/* Two references: the swap cache's and ours. */
		if (!folio_ref_freeze(f, 2))
			return false;
		if (unlikely(folio_test(f, PG_dirty))) {
			folio_ref_unfreeze(f, 2);
			return false;
		}
		shadow = rcl_workingset_evict_from(m, f, s->evictor);
		rcl_delete_from_swap_cache(m, f, shadow);
		return true;
	}
	return remove_from_file(s, f);
}

/* Gates 10 to 12. */
static enum fate free_folio(struct shrink *s, struct folio *f)
{
	struct rcl *m = s->m;

	if (folio_needs_release(f) && !rcl_filemap_release_folio(m, f))
		return FATE_ACTIVATE_LOCKED;
	if (folio_is_anon(f) && !folio_test(f, PG_swapbacked)) {
		/* Lazyfree: its mappings are gone, and ours must be the last reference. */
		if (!folio_ref_freeze(f, 1))
			return FATE_KEEP_LOCKED;
		count_vm_event(m, PGLAZYFREED);
		if (f->memcg)
			rcl_count_memcg_events(f->memcg, PGLAZYFREED, 1);
	} else if (!folio_test(f, PG_swapcache) && (folio_is_anon(f) || !f->mapping)) {
		/* (A page that swap readahead brought in has no mapping, but is in the swap cache.)
		 */
		return FATE_KEEP_LOCKED;
	} else if (!remove_mapping(s, f)) {
		return FATE_KEEP_LOCKED;
	}
	/* Frozen: nobody can have come to wait for the lock but through a reference it lost. */
	folio_clear(f, PG_locked);
	return FATE_FREED;
}

/*
 * What most folios at the old end of a list of files are: clean, mapped by nobody, without buffers.
 * Gates 2 to 10 have nothing to say about such a folio, and its one reference, PG_referenced, only
 * protects dirty ones.
 */
static inline bool is_plain_cache(const struct folio *f)
{
	const u32 others = BIT(PG_mlocked) | BIT(PG_writeback) | BIT(PG_dirty) | BIT(PG_private) |
			   BIT(PG_anon) | BIT(PG_swapbacked) | BIT(PG_swapcache);

	return !(folio_flags(f) & others) && !folio_mapped(f) && f->mapping &&
	       !(mapping_flags(f->mapping) & MAPPING_UNEVICTABLE);
}

static inline enum fate free_plain_cache(struct shrink *s, struct folio *f)
{
	if (likely(remove_from_file(s, f))) {
		folio_clear(f, PG_locked);
		return FATE_FREED;
	}
	if (!s->ignore_references)
		folio_clear(f, PG_referenced);
	return FATE_KEEP_LOCKED;
}

/* All gates but the first, for a locked folio that is counted as scanned. */
static __attribute__((noinline)) enum fate decide(struct shrink *s, struct folio *f)
{
	enum references refs = REF_RECLAIM;
	enum fate fate;

	if (unlikely(!rcl_folio_evictable(f)))
		return FATE_ACTIVATE_LOCKED;
	if (!s->sc->may_unmap && folio_mapped(f))
		return FATE_KEEP_LOCKED;
	fate = check_writeback(s, f);
	if (fate != FATE_CONTINUE)
		return fate;

	if (!s->ignore_references)
		refs = check_references(s, f);
	if (refs == REF_ACTIVATE)
		return FATE_ACTIVATE_LOCKED;
	if (refs == REF_KEEP) {
		s->stat->nr_ref_keep++;
		return FATE_KEEP_LOCKED;
	}

	if (folio_is_anon(f) && folio_test(f, PG_swapbacked) && !folio_test(f, PG_swapcache)) {
		if (!(s->sc->gfp & __GFP_IO))
			return FATE_KEEP_LOCKED;
		if (!rcl_add_to_swap(s->m, f))
			return FATE_ACTIVATE_LOCKED;
	}
	if (folio_mapped(f)) {
		fate = unmap(s, f);
		if (fate != FATE_CONTINUE)
			return fate;
	}
	if (folio_test(f, PG_dirty)) {
		fate = write_dirty(s, f, refs);
		if (fate != FATE_CONTINUE)
			return fate;
	}
	return free_folio(s, f);
}

/*
 * Fetch what the turn of a folio some places further up will need: its page-table word, or its
 * place in its file's tree.
 */
#define FETCH_DISTANCE 8

static inline void fetch(struct rcl *m, struct folio *f)
{
	if (folio_mapped(f)) {
		/* A list of mapped pages is scanned several times for each page that leaves it. */
		rcl_lru_fetch_ahead(m, rcl_folio_lruvec(m, f), folio_lru_list(f));
		rcl_rmap_fetch(m, f);
	} else {
		void **slot = folio_slot(f);

		if (likely(slot))
			rcl_radix_fetch_slot(slot, f->index);
	}
}

static void activate(struct shrink *s, struct folio *f)
{
	/* It will stay: its swap slot is better used by another if slots are short. */
	if (folio_test(f, PG_swapcache) &&
	    (rcl_memcg_swap_full(s->m, f) || folio_test(f, PG_mlocked)))
		rcl_folio_free_swap(s->m, f);
	if (folio_test(f, PG_mlocked))
		return;
	folio_set(f, PG_active);
	s->stat->nr_activate[folio_is_file_lru(f)]++;
	if (f->memcg)
		rcl_count_memcg_events(f->memcg, PGACTIVATE, 1);
}

u32 rcl_shrink_folio_list(struct rcl *m, struct list_head *folios, struct node *nd,
			  struct scan_control *sc, struct reclaim_stat *stat,
			  bool ignore_references)
{
	struct shrink s = {.m = m,
			   .node = nd,
			   .sc = sc,
			   .stat = stat,
			   .evictor = rcl_memcg_lruvec(m, sc->target, nd),
			   .kswapd = rcl_is_kswapd(m),
			   .ignore_references = ignore_references};
	struct list_head kept, freed, *ahead = folios->prev;
	u32 nr_reclaimed = 0;

	memset(stat, 0, sizeof(*stat));
	list_init(&kept);
	list_init(&freed);
	for (u32 i = 0; i < FETCH_DISTANCE && ahead != folios; i++, ahead = ahead->prev)
		fetch(m, list_entry(ahead, struct folio, lru));
	while (!list_empty(folios)) {
		struct folio *f = list_last_entry(folios, struct folio, lru);
		enum fate fate = FATE_KEEP;

		if (likely(ahead != folios)) {
			fetch(m, list_entry(ahead, struct folio, lru));
			ahead = ahead->prev;
		}
		rcl_work(m, WORK_SCAN);
		rcl_poll(m);
		list_del(&f->lru);
		if (likely(folio_trylock(f))) {
			sc->nr_scanned++;
			fate = is_plain_cache(f) ? free_plain_cache(&s, f) : decide(&s, f);
		} else {
			rcl_current(m)->met_locked = true;
		}
		switch (fate) {
		case FATE_FREED:
			rcl_work(m, WORK_FREE);
			list_add(&f->lru, &freed);
			nr_reclaimed++;
			continue;
		case FATE_ACTIVATE_LOCKED:
			activate(&s, f);
			folio_unlock(m, f);
			break;
		case FATE_KEEP_LOCKED:
			folio_unlock(m, f);
			break;
		case FATE_KEEP:
		case FATE_CONTINUE:
			break;
		}
		list_add(&f->lru, &kept);
	}
	rcl_memcg_uncharge_list(m, &freed);
	rcl_free_folio_list(m, &freed);
	list_splice_init(&kept, folios);
	count_vm_events(m, PGACTIVATE, stat->nr_activate[0] + stat->nr_activate[1]);
	return nr_reclaimed;
}
