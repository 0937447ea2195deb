/* SPDX-License-Identifier: MIT */
/* The twelve gates of vmscan/folio_list.c, each stopped at, passed, and counted. */
#include "core_world.h"

CORE_SETUP(setup, 2, 8192, 0)
CORE_SETUP(setup_swap, 2, 8192, 1024)

static struct scan_control direct(struct core *c)
{
	return (struct scan_control){
		.gfp = GFP_KERNEL,
		.target = c->group,
		.priority = DEF_PRIORITY,
		.reclaim_idx = MAX_NR_ZONES - 1,
		.may_writepage = true,
		.may_unmap = true,
		.may_swap = true,
	};
}

struct outcome {
	bool freed, active, referenced, reclaim;
	u64 scanned;
	struct reclaim_stat stat;
};

/* One folio is isolated and goes through the gates; a survivor is looked at and put back. */
static struct outcome shrink_with(struct core *c, struct folio *f, struct scan_control *sc,
				  bool ignore_references)
{
	struct outcome o = {0};
	struct list_head one;

	list_init(&one);
	rcl_lru_add_drain(c->m);
	assert_int_equal(rcl_folio_isolate_lru(c->m, f), 0);
	folio_clear(f, PG_active);
	list_add(&f->lru, &one);
	sc->nr_scanned = 0;
	o.freed = rcl_shrink_folio_list(c->m, &one, c->m->nodes, sc, &o.stat, ignore_references);
	o.scanned = sc->nr_scanned;
	assert_int_equal(list_empty(&one), o.freed);
	if (o.freed)
		return o;
	assert_ptr_equal(list_first_entry(&one, struct folio, lru), f);
	assert_ptr_equal(one.next, one.prev);
	assert_false(folio_test(f, PG_lru));
	o.active = folio_test(f, PG_active);
	o.referenced = folio_test(f, PG_referenced);
	o.reclaim = folio_test(f, PG_reclaim);
	rcl_folio_putback_lru(c->m, f);
	rcl_lru_add_drain(c->m);
	return o;
}
static struct outcome shrink(struct core *c, struct folio *f)
{
	struct scan_control sc = direct(c);

	return shrink_with(c, f, &sc, false);
}
static void as_kswapd(struct core *c, bool on)
{
	if (on)
		c->w->task.flags |= PF_KSWAPD | PF_KTHREAD;
	else
		c->w->task.flags &= ~(u32)(PF_KSWAPD | PF_KTHREAD);
}

/* A clean cached page, read long ago. */
static struct folio *file_page(struct core *c, u64 index)
{
	set_random_reads(c);
	read_file(c, index, 1);
	rcl_lru_add_drain(c->m);
	folio_clear(cached(c, index), PG_referenced);
	return cached(c, index);
}
/* A mapped one, whose accessed bit is still set. */
static struct folio *mapped_page(struct core *c, u64 vpn, u64 index, u32 flags)
{
	file_page(c, index);
	map_file(c, vpn, 1, index, flags);
	assert_int_equal(touch(c, vpn, false), 0);
	rcl_lru_add_drain(c->m);
	folio_clear(cached(c, index), PG_referenced);
	return cached(c, index);
}
static void make_old(struct core *c, u64 vpn)
{
	*rcl_pte_lookup(c->mm, vpn) &= ~PTE_ACCESSED;
}
static struct folio *anon_page(struct core *c, u64 vpn)
{
	map_anon(c, vpn, 1);
	assert_int_equal(touch(c, vpn, true), 0);
	rcl_lru_add_drain(c->m);
	return folio_at(c, vpn);
}
static void dirty(struct core *c, struct folio *f)
{
	folio_lock(c->m, f);
	assert_true(rcl_folio_mark_dirty(c->m, f));
	folio_unlock(c->m, f);
}
static void start_writeback(struct core *c, struct folio *f)
{
	dirty(c, f);
	folio_lock(c->m, f);
	assert_true(rcl_folio_clear_dirty_for_io(c->m, f));
	rcl_file_writepage(c->m, f);
	assert_true(folio_test(f, PG_writeback));
}

/* ---- 1: locked ----------------------------------------------------------------------------- */

static void a_locked_folio_is_not_even_scanned(void **state)
{
	struct core *c = *state;
	struct folio *f = file_page(c, 0);
	struct outcome o;

	folio_lock(c->m, f);
	o = shrink(c, f);
	assert_true(!o.freed && !o.active);
	assert_int_equal(o.scanned, 0);
	assert_true(folio_test(f, PG_locked));
	folio_unlock(c->m, f);
	assert_int_equal(shrink(c, f).scanned, 1);
}

/* ---- 2: not evictable ---------------------------------------------------------------------- */

static void an_mlocked_folio_goes_back(void **state)
{
	struct core *c = *state;
	struct folio *f = file_page(c, 0);
	struct outcome o;

	folio_set(f, PG_mlocked);
	o = shrink(c, f);
	assert_true(!o.freed && !o.active && o.scanned == 1);
	assert_int_equal(o.stat.nr_activate[1], 0);
	assert_true(folio_test(f, PG_unevictable)); /* the list sorted it out */
	folio_clear(f, PG_mlocked);
	assert_int_equal(events_of(c, PGACTIVATE), 0);
}

static void a_page_of_an_unevictable_file_counts_as_activated(void **state)
{
	struct core *c = *state;
	struct folio *f = file_page(c, 0);
	struct outcome o;

	c->mapping->flags |= MAPPING_UNEVICTABLE;
	o = shrink(c, f);
	assert_true(!o.freed && o.active);
	assert_int_equal(o.stat.nr_activate[1], 1);
	assert_true(folio_test(f, PG_unevictable) && !folio_test(f, PG_active));
	c->mapping->flags &= ~(u32)MAPPING_UNEVICTABLE;
}

/* ---- 3: mapped ----------------------------------------------------------------------------- */

static void a_mapped_folio_stays_if_unmapping_is_not_allowed(void **state)
{
	struct core *c = *state;
	struct folio *f = mapped_page(c, 0, 0, VM_READ);
	struct scan_control sc = direct(c);
	struct outcome o;

	sc.may_unmap = false;
	make_old(c, 0);
	o = shrink_with(c, f, &sc, false);
	assert_true(!o.freed && !o.active && o.scanned == 1);
	assert_true(pte_present(pte_at(c, 0)));
	sc.may_unmap = true;
	assert_true(shrink_with(c, f, &sc, false).freed);
	assert_int_equal(pte_at(c, 0), 0);
}

/* ---- 4: under writeback -------------------------------------------------------------------- */

static void a_folio_under_writeback_is_marked_and_activated(void **state)
{
	struct core *c = *state;
	struct folio *f = file_page(c, 0);
	struct outcome o;

	start_writeback(c, f);
	o = shrink(c, f);
	assert_true(!o.freed && o.active && o.reclaim);
	assert_int_equal(o.stat.nr_writeback, 1);
	assert_int_equal(o.stat.nr_dirty, 1);
	assert_int_equal(o.stat.nr_unqueued_dirty, 0);
	assert_int_equal(o.stat.nr_congested, 0);
	/* Met again. */
	o = shrink(c, f);
	assert_int_equal(o.stat.nr_congested, 1);
	assert_int_equal(o.stat.nr_writeback, 1);
	assert_int_equal(o.stat.nr_immediate, 0);
	/* Written: to the old end of the inactive list, ready to be freed. */
	lone_complete_io(c->w);
	rcl_lru_add_drain(c->m);
	assert_false(folio_test(f, PG_active) || folio_test(f, PG_reclaim));
	assert_int_equal(events_of(c, PGROTATED), 1);
	assert_true(shrink(c, f).freed);
}

static void kswapd_remembers_to_stall(void **state)
{
	struct core *c = *state;
	struct folio *f = file_page(c, 0);

	start_writeback(c, f);
	as_kswapd(c, true);
	c->m->nodes[0].flags |= PGDAT_WRITEBACK;
	assert_int_equal(shrink(c, f).stat.nr_immediate, 0); /* not marked yet */
	assert_int_equal(shrink(c, f).stat.nr_immediate, 1);
	assert_int_equal(shrink(c, f).stat.nr_writeback, 0);
	c->m->nodes[0].flags &= ~(u32)PGDAT_WRITEBACK;
	assert_int_equal(shrink(c, f).stat.nr_immediate, 0);
	as_kswapd(c, false);
}

/* ---- 5: referenced ------------------------------------------------------------------------- */

static void young_once_means_another_round(void **state)
{
	struct core *c = *state;
	struct folio *f = mapped_page(c, 0, 0, VM_READ);
	struct outcome o = shrink(c, f);

	assert_true(!o.freed && !o.active && o.referenced);
	assert_int_equal(o.stat.nr_ref_keep, 1);
	assert_false(pte_at(c, 0) & PTE_ACCESSED); /* looking clears */
	/* Not used since: the mark alone does not save a clean file page. */
	assert_true(shrink(c, f).freed);
}

static void young_twice_means_active(void **state)
{
	struct core *c = *state;
	struct folio *f = mapped_page(c, 0, 0, VM_READ);
	struct outcome o;

	assert_false(shrink(c, f).active);
	assert_int_equal(touch(c, 0, false), 0);
	o = shrink(c, f);
	assert_true(!o.freed && o.active && o.referenced);
	assert_int_equal(o.stat.nr_activate[1], 1);
	assert_int_equal(events_of(c, PGACTIVATE), 1);
	assert_int_equal(group_events(c, PGACTIVATE), 1);
}

static void young_in_two_mappings_means_active(void **state)
{
	struct core *c = *state;
	struct folio *f = mapped_page(c, 0, 0, VM_READ);

	map_file(c, 100, 1, 0, VM_READ);
	assert_int_equal(touch(c, 100, false), 0);
	assert_int_equal(f->mapcount, 2);
	assert_true(shrink(c, f).active);
}

static void code_is_active_at_once(void **state)
{
	struct core *c = *state;

	assert_true(shrink(c, mapped_page(c, 0, 0, VM_READ | VM_EXEC)).active);
}

static void anonymous_code_is_not(void **state)
{
	struct core *c = *state;
	struct folio *f;

	assert_int_equal(rcl_mmap(c->m, c->mm, 0, 1, VM_READ | VM_WRITE | VM_EXEC, NULL, 0), 0);
	assert_int_equal(touch(c, 0, true), 0);
	rcl_lru_add_drain(c->m);
	f = folio_at(c, 0);
	assert_false(shrink(c, f).active);
}

static void a_mark_alone_does_not_save_an_anonymous_page(void **state)
{
	struct core *c = *state;
	struct folio *f = anon_page(c, 0);

	folio_set(f, PG_referenced);
	make_old(c, 0);
	shrink(c, f);
	assert_true(is_swapped(c, 0));
	assert_true(folio_test(f, PG_writeback));
}

static void sequential_reads_do_not_count(void **state)
{
	struct core *c = *state;
	struct folio *f = mapped_page(c, 0, 0, VM_READ);

	assert_int_equal(rcl_madvise(c->m, c->mm, 0, 1, RCL_MADV_SEQUENTIAL), 0);
	assert_true(shrink(c, f).freed);
}

static void mappings_of_other_groups_do_not_count(void **state)
{
	struct core *c = *state;
	struct folio *f = mapped_page(c, 0, 0, VM_READ);
	struct scan_control sc = direct(c);
	struct memcg *other;

	assert_int_equal(rcl_memcg_create(c->m, c->m->root_memcg, "other", &other), 0);
	sc.target = other;
	assert_true(shrink_with(c, f, &sc, false).freed);
	/* But those of groups below do. */
	f = mapped_page(c, 0, 0, VM_READ);
	sc.target = NULL;
	assert_false(shrink_with(c, f, &sc, false).freed);
}

static void references_can_be_ignored(void **state)
{
	struct core *c = *state;
	struct folio *f = mapped_page(c, 0, 0, VM_READ);
	struct scan_control sc = direct(c);

	folio_set(f, PG_referenced);
	assert_true(shrink_with(c, f, &sc, true).freed);
}

static void a_locked_mapping_is_found(void **state)
{
	struct core *c = *state;
	struct folio *f = mapped_page(c, 0, 0, VM_READ);
	struct outcome o;

	/* The vma was locked behind the folio's back. */
	rcl_find_vma(c->mm, 0)->flags |= VM_LOCKED;
	o = shrink(c, f);
	assert_true(!o.freed && !o.active);
	assert_true(folio_test(f, PG_mlocked) && folio_test(f, PG_unevictable));
	assert_int_equal(o.stat.nr_activate[1], 0);
	assert_int_equal(events_of(c, UNEVICTABLE_PGMLOCKED), 1);
	assert_int_equal(events_of(c, UNEVICTABLE_PGCULLED), 1);
}

/* ---- 6: anonymous without swap slot ------------------------------------------------------- */

static void without_swap_an_anonymous_page_is_activated(void **state)
{
	struct core *c = *state;
	struct folio *f = anon_page(c, 0);
	struct outcome o;

	make_old(c, 0);
	o = shrink(c, f);
	assert_true(!o.freed && o.active);
	assert_int_equal(o.stat.nr_activate[0], 1);
	assert_true(pte_present(pte_at(c, 0)));
}

static void without_io_no_slot_is_taken(void **state)
{
	struct core *c = *state;
	struct folio *f = anon_page(c, 0);
	struct scan_control sc = direct(c);
	struct outcome o;

	make_old(c, 0);
	sc.gfp = GFP_NOIO;
	o = shrink_with(c, f, &sc, false);
	assert_true(!o.freed && !o.active && !folio_test(f, PG_swapcache));
}

/* ---- 7: unmapping fails -------------------------------------------------------------------- */

static void a_lazyfree_page_that_was_written_lives(void **state)
{
	struct core *c = *state;
	struct folio *f = anon_page(c, 0);
	struct outcome o;

	assert_int_equal(rcl_madvise(c->m, c->mm, 0, 1, RCL_MADV_FREE), 0);
	rcl_lru_add_drain(c->m);
	assert_false(folio_test(f, PG_swapbacked));
	assert_int_equal(touch(c, 0, true), 0);
	make_old(c, 0);
	o = shrink(c, f);
	assert_true(!o.freed && o.active);
	assert_int_equal(o.stat.nr_unmap_fail, 1);
	assert_int_equal(o.stat.nr_lazyfree_fail, 1);
	assert_int_equal(o.stat.nr_activate[0], 1); /* anonymous again */
	assert_true(folio_test(f, PG_swapbacked));
	assert_true(pte_at(c, 0) & PTE_DIRTY);
}

static void a_lazyfree_page_that_is_held_lives(void **state)
{
	struct core *c = *state;
	struct folio *f = anon_page(c, 0);
	struct outcome o;

	assert_int_equal(rcl_madvise(c->m, c->mm, 0, 1, RCL_MADV_FREE), 0);
	rcl_lru_add_drain(c->m);
	folio_get(f);
	o = shrink(c, f);
	assert_true(!o.freed && o.active);
	assert_int_equal(o.stat.nr_lazyfree_fail, 1);
	folio_put(c->m, f);
}

/* ---- 8: dirty file pages ------------------------------------------------------------------- */

static void a_dirty_file_page_waits_for_the_flusher(void **state)
{
	struct core *c = *state;
	struct folio *f = file_page(c, 0);
	struct outcome o;

	dirty(c, f);
	o = shrink(c, f);
	assert_true(!o.freed && o.active && o.reclaim);
	assert_int_equal(o.stat.nr_dirty, 1);
	assert_int_equal(o.stat.nr_unqueued_dirty, 1);
	assert_int_equal(lone_node_stat(c->w, NR_VMSCAN_IMMEDIATE), 1);
	assert_int_equal(c->w->nr_io, 0);
}

static void kswapd_writes_it_at_the_second_meeting(void **state)
{
	struct core *c = *state;
	struct folio *f = file_page(c, 0);
	struct scan_control sc = direct(c);
	struct outcome o;

	dirty(c, f);
	as_kswapd(c, true);
	o = shrink_with(c, f, &sc, false); /* the node is not full of dirty pages */
	assert_true(o.active && o.reclaim && !o.stat.nr_pageout);
	c->m->nodes[0].flags |= PGDAT_DIRTY;
	folio_clear(f, PG_reclaim);
	o = shrink_with(c, f, &sc, false); /* first meeting */
	assert_true(o.active && o.reclaim && !o.stat.nr_pageout);
	folio_set(f, PG_referenced);
	o = shrink_with(c, f, &sc, false); /* used through read(): only if clean */
	assert_true(!o.active && !o.stat.nr_pageout && !c->w->nr_io);
	o = shrink_with(c, f, &sc, false);
	assert_int_equal(o.stat.nr_pageout, 1);
	assert_true(!o.active && folio_test(f, PG_writeback));
	assert_int_equal(c->w->nr_io, 1);
	assert_int_equal(lone_node_stat(c->w, NR_VMSCAN_WRITE), 1);
	as_kswapd(c, false);
	lone_complete_io(c->w);
	assert_true(shrink(c, f).freed);
}

static void unmapping_finds_that_a_page_is_dirty(void **state)
{
	struct core *c = *state;
	struct folio *f = mapped_page(c, 0, 0, VM_READ | VM_WRITE);
	struct outcome o;

	assert_int_equal(touch(c, 0, true), 0);
	folio_lock(c->m, f);
	rcl_folio_clear_dirty_for_io(c->m, f); /* the flusher was there */
	folio_unlock(c->m, f);
	assert_int_equal(touch(c, 0, true), 0); /* and it was written again */
	make_old(c, 0);
	o = shrink(c, f);
	assert_true(!o.freed && o.active && folio_test(f, PG_dirty));
	assert_int_equal(pte_at(c, 0), 0);
	/* The mkwrite fault marked the folio, so it was counted as dirty before it was unmapped. */
	assert_int_equal(o.stat.nr_dirty, 1);
}

/* ---- 9: pageout ---------------------------------------------------------------------------- */

static void an_anonymous_page_is_written_and_then_freed(void **state)
{
	struct core *c = *state;
	struct folio *f = anon_page(c, 0);
	struct outcome o;
	u64 slots = rcl_nr_swap_pages(c->m);

	make_old(c, 0);
	o = shrink(c, f);
	assert_true(!o.freed && !o.active && o.reclaim);
	assert_int_equal(o.stat.nr_pageout, 1);
	assert_int_equal(o.stat.nr_dirty, 0); /* not the flushers' work */
	assert_int_equal(events_of(c, PSWPOUT), 1);
	assert_int_equal(lone_node_stat(c->w, NR_VMSCAN_WRITE), 1);
	assert_true(is_swapped(c, 0));
	assert_int_equal(c->mm->anon_rss, 0);
	assert_int_equal(c->mm->swap_ents, 1);
	assert_true(rcl_nr_swap_pages(c->m) < slots);
	/* Anonymous pages under writeback are not counted as dirty either. */
	o = shrink(c, f);
	assert_true(o.active && o.stat.nr_writeback == 1 && !o.stat.nr_dirty &&
		    !o.stat.nr_congested);
	lone_complete_io(c->w);
	rcl_lru_add_drain(c->m);
	assert_true(shrink(c, f).freed);
	assert_true(entry_is_shadow(rcl_swap_shadow(c->m, pte_swap(pte_at(c, 0)))));
}

static void pageout_is_not_allowed(void **state)
{
	struct core *c = *state;
	struct folio *f = anon_page(c, 0);
	struct scan_control sc = direct(c);
	struct outcome o;

	make_old(c, 0);
	sc.may_writepage = false;
	o = shrink_with(c, f, &sc, false);
	assert_true(!o.freed && !o.active && folio_test(f, PG_swapcache) && is_swapped(c, 0));
	assert_int_equal(c->w->nr_io, 0);
	/* Swap needs no filesystem, but it needs I/O. */
	sc.may_writepage = true;
	sc.gfp = GFP_NOIO;
	shrink_with(c, f, &sc, false);
	assert_int_equal(c->w->nr_io, 0);
	sc.gfp = GFP_NOFS;
	shrink_with(c, f, &sc, false);
	assert_int_equal(c->w->nr_io, 1);
}

static void a_page_that_somebody_holds_is_not_written(void **state)
{
	struct core *c = *state;
	struct folio *f = anon_page(c, 0);
	struct outcome o;

	make_old(c, 0);
	folio_get(f);
	o = shrink(c, f);
	assert_true(!o.freed && !o.active && folio_test(f, PG_dirty));
	assert_int_equal(c->w->nr_io, 0);
	folio_put(c->m, f);
}

static void a_failed_write_leaves_the_page_dirty(void **state)
{
	struct core *c = *state;
	struct folio *f = anon_page(c, 0);

	make_old(c, 0);
	shrink(c, f);
	c->w->fail = -EIO;
	lone_complete_io(c->w);
	c->w->fail = 0;
	assert_true(folio_test(f, PG_dirty));
	/* The content is still there. */
	assert_int_equal(touch(c, 0, false), 0);
	assert_ptr_equal(folio_at(c, 0), f);
}

/* ---- 10: buffers --------------------------------------------------------------------------- */

static void clean_buffers_go_with_the_page(void **state)
{
	struct core *c = *state;
	struct folio *f;
	struct outcome o;

	c->mapping->flags |= MAPPING_BUFFERS;
	f = file_page(c, 0);
	start_writeback(c, f);
	lone_complete_io(c->w);
	assert_true(folio_test(f, PG_private));
	assert_int_equal(folio_ref_count(f), 2);
	o = shrink(c, f);
	assert_true(o.freed);
	assert_int_equal(c->mapping->nr_pages, 0);
}

/* ---- 11: held ------------------------------------------------------------------------------ */

static void a_held_page_stays(void **state)
{
	struct core *c = *state;
	struct folio *f = file_page(c, 0);
	s64 age = c->lv->nonresident_age;
	struct outcome o;

	folio_get(f);
	o = shrink(c, f);
	assert_true(!o.freed && !o.active && !folio_test(f, PG_locked));
	assert_ptr_equal(cached(c, 0), f);
	assert_int_equal(c->lv->nonresident_age, age);
	folio_put(c->m, f);
	assert_true(shrink(c, f).freed);
	assert_int_equal(c->lv->nonresident_age, age + 1);
}

/* ---- 12: freed ----------------------------------------------------------------------------- */

static void a_file_page_leaves_a_shadow(void **state)
{
	struct core *c = *state;
	struct folio *f = file_page(c, 7);
	s64 usage = c->group->usage;
	u64 shadow;

	folio_set(f, PG_workingset);
	assert_true(shrink(c, f).freed);
	assert_int_equal(c->group->usage, usage - 1);
	assert_int_equal(c->mapping->nr_pages, 0);
	shadow = (uintptr_t)rcl_radix_load(c->mapping, 7);
	assert_true(entry_is_shadow((void *)shadow));
	assert_int_equal(shadow >> 1 & 1, 1);
	assert_int_equal(shadow >> 12 & 65535, c->group->id);
}

static void a_file_that_goes_away_gets_no_shadow(void **state)
{
	struct core *c = *state;
	struct folio *f = file_page(c, 7);
	s64 age = c->lv->nonresident_age;

	c->mapping->flags |= MAPPING_EXITING;
	assert_true(shrink(c, f).freed);
	assert_int_equal(c->lv->nonresident_age, age); /* nor does it count as an eviction */
	assert_null(rcl_radix_load(c->mapping, 7));
	c->mapping->flags &= ~(u32)MAPPING_EXITING;
}

static void a_lazyfree_page_just_goes(void **state)
{
	struct core *c = *state;
	struct folio *f = anon_page(c, 0);
	s64 usage = c->group->usage;
	struct outcome o;

	assert_int_equal(rcl_madvise(c->m, c->mm, 0, 1, RCL_MADV_FREE), 0);
	rcl_lru_add_drain(c->m);
	o = shrink(c, f);
	assert_true(o.freed);
	assert_int_equal(o.stat.nr_pageout, 0);
	assert_int_equal(events_of(c, PGLAZYFREED), 1);
	assert_int_equal(group_events(c, PGLAZYFREED), 1);
	assert_int_equal(c->mm->anon_rss, 0);
	assert_int_equal(pte_at(c, 0), 0);
	assert_int_equal(c->group->usage, usage - 1);
}

static void a_clean_copy_in_swap_is_freed_without_a_write(void **state)
{
	struct core *c = *state;
	struct folio *f = anon_page(c, 0);
	struct outcome o;

	make_old(c, 0);
	shrink(c, f);
	lone_complete_io(c->w);
	assert_true(shrink(c, f).freed);
	assert_int_equal(touch(c, 0, false), 0); /* reading keeps the slot */
	f = folio_at(c, 0);
	assert_true(folio_test(f, PG_swapcache));
	make_old(c, 0);
	o = shrink(c, f);
	assert_true(o.freed);
	assert_int_equal(events_of(c, PSWPOUT), 1);
	assert_true(is_swapped(c, 0));
}

/* ---- the list as a whole ------------------------------------------------------------------- */

static void survivors_come_back_in_reverse_order(void **state)
{
	enum {
		NR = 6
	};
	struct core *c = *state;
	struct scan_control sc = direct(c);
	struct reclaim_stat stat;
	struct list_head list;
	struct folio *f[NR], *pos;
	int i = NR;

	list_init(&list);
	for (int k = 0; k < NR; k++) {
		f[k] = file_page(c, (u64)k);
		if (k & 1)
			dirty(c, f[k]);
		assert_int_equal(rcl_folio_isolate_lru(c->m, f[k]), 0);
		list_add(&f[k]->lru, &list); /* f[0] is the oldest */
	}
	assert_int_equal(rcl_shrink_folio_list(c->m, &list, c->m->nodes, &sc, &stat, false),
			 NR / 2);
	assert_int_equal(stat.nr_activate[1], NR / 2);
	assert_int_equal(stat.nr_unqueued_dirty, NR / 2);
	assert_int_equal(sc.nr_scanned, NR);
	assert_int_equal(events_of(c, PGACTIVATE), NR / 2);
	i = NR - 1;
	list_for_each (pos, &list, lru) {
		assert_ptr_equal(pos, f[i]);
		i -= 2;
	}
	while (!list_empty(&list)) {
		pos = list_first_entry(&list, struct folio, lru);
		list_del(&pos->lru);
		rcl_folio_putback_lru(c->m, pos);
	}
}

static void an_activated_page_gives_up_its_slot_when_swap_is_short(void **state)
{
	struct core *c = *state;
	struct folio *f = anon_page(c, 0);

	make_old(c, 0);
	shrink(c, f);
	lone_complete_io(c->w);
	assert_int_equal(touch(c, 0, false), 0);
	f = folio_at(c, 0);
	assert_true(folio_test(f, PG_swapcache));
	folio_set(f, PG_referenced);
	assert_true(shrink(c, f).active);
	assert_true(folio_test(f, PG_swapcache)); /* swap is not full: the copy may be of use */
	/* More than half of it taken. */
	map_anon(c, 1000, 600);
	touch_all(c, 1000, 600, true);
	assert_int_equal(rcl_madvise(c->m, c->mm, 1000, 600, RCL_MADV_PAGEOUT), 0);
	lone_complete_io(c->w);
	assert_true(rcl_vm_swap_full(c->m));
	assert_int_equal(touch(c, 0, false), 0);
	folio_set(f, PG_referenced);
	assert_true(shrink(c, f).active);
	assert_false(folio_test(f, PG_swapcache));
	assert_true(folio_test(f, PG_dirty)); /* or its content would be lost */
}

int main(void)
{
#define T(f)  cmocka_unit_test_setup_teardown(f, setup, core_teardown)
#define TS(f) cmocka_unit_test_setup_teardown(f, setup_swap, core_teardown)
	const struct CMUnitTest tests[] = {
		T(a_locked_folio_is_not_even_scanned),
		T(an_mlocked_folio_goes_back),
		T(a_page_of_an_unevictable_file_counts_as_activated),
		T(a_mapped_folio_stays_if_unmapping_is_not_allowed),
		T(a_folio_under_writeback_is_marked_and_activated),
		T(kswapd_remembers_to_stall),
		T(young_once_means_another_round),
		T(young_twice_means_active),
		T(young_in_two_mappings_means_active),
		T(code_is_active_at_once),
		TS(anonymous_code_is_not),
		TS(a_mark_alone_does_not_save_an_anonymous_page),
		T(sequential_reads_do_not_count),
		T(mappings_of_other_groups_do_not_count),
		T(references_can_be_ignored),
		T(a_locked_mapping_is_found),
		T(without_swap_an_anonymous_page_is_activated),
		TS(without_io_no_slot_is_taken),
		TS(a_lazyfree_page_that_was_written_lives),
		TS(a_lazyfree_page_that_is_held_lives),
		T(a_dirty_file_page_waits_for_the_flusher),
		T(kswapd_writes_it_at_the_second_meeting),
		T(unmapping_finds_that_a_page_is_dirty),
		TS(an_anonymous_page_is_written_and_then_freed),
		TS(pageout_is_not_allowed),
		TS(a_page_that_somebody_holds_is_not_written),
		TS(a_failed_write_leaves_the_page_dirty),
		T(clean_buffers_go_with_the_page),
		T(a_held_page_stays),
		T(a_file_page_leaves_a_shadow),
		T(a_file_that_goes_away_gets_no_shadow),
		TS(a_lazyfree_page_just_goes),
		TS(a_clean_copy_in_swap_is_freed_without_a_write),
		T(survivors_come_back_in_reverse_order),
		TS(an_activated_page_gives_up_its_slot_when_swap_is_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
