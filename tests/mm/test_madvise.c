/* SPDX-License-Identifier: MIT */
/* Advice about memory: what each kind does to pages, entries, slots and flags. */
#include "core_world.h"

CORE_SETUP(setup, 2, 8192, 0)
CORE_SETUP(setup_swap, 2, 8192, 2048)

static int advise(struct core *c, u64 vpn, u64 pages, enum rcl_madvice advice)
{
	return rcl_madvise(c->m, c->mm, vpn, pages, advice);
}
static void advise_ok(struct core *c, u64 vpn, u64 pages, enum rcl_madvice advice)
{
	assert_int_equal(advise(c, vpn, pages, advice), 0);
	assert_int_equal(c->w->plugs, 0);
}
static void fill(struct core *c, u64 vpn, u64 pages)
{
	map_anon(c, vpn, pages);
	touch_all(c, vpn, pages, true);
}

/* ---- DONTNEED ------------------------------------------------------------------------------ */

static void dontneed_frees_anonymous_pages_and_slots(void **state)
{
	struct core *c = *state;
	s64 usage = c->group->usage, tables = c->mm->table_pages;

	fill(c, 0, 100);
	swap_out(c, 0, 50);
	assert_int_equal(c->mm->swap_ents, 50);
	advise_ok(c, 0, 100, RCL_MADV_DONTNEED);
	assert_int_equal(c->mm->anon_rss, 0);
	assert_int_equal(c->mm->swap_ents, 0);
	assert_true(c->group->usage <= usage + 3 + 64);
	assert_true(c->mm->table_pages > tables); /* tables stay */
	assert_int_equal(list_size(c, LRU_INACTIVE_ANON) + list_size(c, LRU_ACTIVE_ANON), 0);
	assert_int_equal(touch(c, 3, false), 0);
	assert_true(pte_at(c, 3) & PTE_ZERO); /* the content is gone */
}

/* Pages that a batch still holds go with the others. */
static void dontneed_drains_batches(void **state)
{
	struct core *c = *state;
	struct memcg_stock *s = &c->m->cpus[0].stock;
	s64 used;

	fill(c, 0, 3);
	assert_int_equal(c->m->cpus[0].batches.lru_add.nr, 3);
	used = c->group->usage - s->nr_pages;
	advise_ok(c, 0, 3, RCL_MADV_DONTNEED);
	assert_int_equal(c->group->usage - s->nr_pages, used - 3);
	assert_int_equal(c->m->cpus[0].batches.lru_add.nr, 0);
	fill(c, 0, 3);
	assert_int_equal(rcl_munmap(c->m, c->mm, 0, 3), 0);
	assert_int_equal(c->m->cpus[0].batches.lru_add.nr, 0);
}

static void dontneed_of_a_file_keeps_the_cache(void **state)
{
	struct core *c = *state;

	map_file(c, 0, 4, 0, VM_READ | VM_WRITE);
	touch_all(c, 0, 2, true);
	touch_all(c, 2, 2, false);
	*rcl_pte_lookup(c->mm, 3) &= ~PTE_ACCESSED;
	for (u64 i = 0; i < 4; i++)
		folio_clear(cached(c, i), PG_referenced);
	advise_ok(c, 0, 4, RCL_MADV_DONTNEED);
	assert_int_equal(c->mm->file_rss, 0);
	assert_int_equal(c->mapping->nr_pages, 4);
	assert_true(folio_test(cached(c, 1), PG_dirty));
	assert_true(folio_test(cached(c, 2), PG_referenced)); /* was used */
	assert_false(folio_test(cached(c, 3), PG_referenced));
}

/* ---- FREE ---------------------------------------------------------------------------------- */

static void free_makes_pages_lazyfree(void **state)
{
	struct core *c = *state;

	fill(c, 0, 20);
	advise_ok(c, 0, 20, RCL_MADV_FREE);
	rcl_lru_add_drain(c->m);
	assert_int_equal(list_size(c, LRU_INACTIVE_FILE), 20);
	assert_int_equal(list_size(c, LRU_INACTIVE_ANON), 0);
	assert_int_equal(events_of(c, PGLAZYFREE), 20);
	assert_int_equal(c->mm->anon_rss, 20);
	for (u64 i = 0; i < 20; i++)
		assert_false(pte_at(c, i) & (PTE_ACCESSED | PTE_DIRTY));
	/* Writing takes it back; reclaim takes the others. */
	assert_int_equal(touch(c, 7, true), 0);
	assert_int_equal(rcl_memcg_reclaim(c->m, c->group, 19 * PAGE_SIZE) / PAGE_SIZE, 19);
	assert_int_equal(events_of(c, PGLAZYFREED), 19);
	assert_int_equal(c->mm->anon_rss, 1);
	assert_true(folio_test(folio_at(c, 7), PG_swapbacked));
}

static void free_drops_what_is_swapped(void **state)
{
	struct core *c = *state;

	fill(c, 0, 10);
	swap_out(c, 0, 10);
	assert_int_equal(touch(c, 4, false), 0); /* in memory, and a clean copy in swap */
	assert_true(folio_test(folio_at(c, 4), PG_swapcache));
	advise_ok(c, 0, 10, RCL_MADV_FREE);
	rcl_lru_add_drain(c->m);
	assert_int_equal(c->mm->swap_ents, 0);
	assert_int_equal(pte_at(c, 3), 0);
	assert_false(folio_test(folio_at(c, 4), PG_swapcache));
	assert_false(folio_test(folio_at(c, 4), PG_dirty));
	assert_false(folio_test(folio_at(c, 4), PG_swapbacked));
}

static void free_leaves_a_locked_page_in_swap_cache_alone(void **state)
{
	struct core *c = *state;
	struct folio *f;

	fill(c, 0, 1);
	swap_out(c, 0, 1);
	assert_int_equal(touch(c, 0, false), 0);
	f = folio_at(c, 0);
	folio_lock(c->m, f);
	advise_ok(c, 0, 1, RCL_MADV_FREE);
	folio_unlock(c->m, f);
	rcl_lru_add_drain(c->m);
	assert_true(folio_test(f, PG_swapcache) && folio_test(f, PG_swapbacked));
	assert_true(pte_at(c, 0) & PTE_ACCESSED);
}

static void free_is_for_anonymous_memory(void **state)
{
	struct core *c = *state;

	map_file(c, 0, 4, 0, VM_READ);
	assert_int_equal(advise(c, 0, 4, RCL_MADV_FREE), -EINVAL);
}

/* ---- COLD ---------------------------------------------------------------------------------- */

static void cold_pages_go_to_the_inactive_list(void **state)
{
	struct core *c = *state;

	fill(c, 0, 4);
	rcl_lru_add_drain(c->m);
	for (u64 i = 0; i < 3; i++)
		rcl_folio_activate(c->m, folio_at(c, i));
	rcl_lru_add_drain(c->m);
	folio_set(folio_at(c, 3), PG_referenced);
	advise_ok(c, 0, 4, RCL_MADV_COLD);
	rcl_lru_add_drain(c->m);
	assert_int_equal(list_size(c, LRU_ACTIVE_ANON), 0);
	assert_int_equal(list_size(c, LRU_INACTIVE_ANON), 4);
	assert_int_equal(events_of(c, PGDEACTIVATE), 3);
	for (u64 i = 0; i < 4; i++) {
		assert_false(pte_at(c, i) & PTE_ACCESSED);
		assert_false(folio_test(folio_at(c, i), PG_referenced));
	}
}

static void cold_leaves_shared_and_unlisted_pages_alone(void **state)
{
	struct core *c = *state;
	struct folio *f;

	map_file(c, 0, 1, 0, VM_READ);
	map_file(c, 100, 1, 0, VM_READ);
	touch_all(c, 0, 1, false);
	touch_all(c, 100, 1, false);
	fill(c, 200, 1);
	rcl_lru_add_drain(c->m);
	rcl_folio_activate(c->m, cached(c, 0));
	rcl_lru_add_drain(c->m);
	advise_ok(c, 0, 1, RCL_MADV_COLD);
	rcl_lru_add_drain(c->m);
	assert_true(folio_test(cached(c, 0), PG_active));
	assert_true(pte_at(c, 0) & PTE_ACCESSED);

	f = folio_at(c, 200);
	assert_int_equal(rcl_folio_isolate_lru(c->m, f), 0);
	advise_ok(c, 200, 1, RCL_MADV_COLD);
	assert_true(pte_at(c, 200) & PTE_ACCESSED);
	rcl_folio_putback_lru(c->m, f);
}

/* ---- PAGEOUT ------------------------------------------------------------------------------- */

static void pageout_writes_now_and_in_order(void **state)
{
	struct core *c = *state;

	fill(c, 0, 100);
	rcl_lru_add_drain(c->m);
	for (u64 i = 0; i < 50; i++)
		rcl_folio_activate(c->m, folio_at(c, i));
	rcl_lru_add_drain(c->m);
	advise_ok(c, 0, 100, RCL_MADV_PAGEOUT);
	assert_int_equal(c->w->nr_io, 100);
	assert_int_equal(c->mm->swap_ents, 100);
	/* Neighbours in memory are neighbours in swap. */
	for (u64 i = 1; i < 100; i++) {
		assert_int_equal(swp_offset(pte_swap(pte_at(c, i))),
				 swp_offset(pte_swap(pte_at(c, i - 1))) + 1);
		assert_int_equal(c->w->io[i].block, c->w->io[i - 1].block + 1);
	}
	lone_complete_io(c->w);
	rcl_lru_add_drain(c->m);
	assert_int_equal(list_size(c, LRU_ACTIVE_ANON), 0);
	assert_int_equal(list_size(c, LRU_INACTIVE_ANON), 100);
	assert_int_equal(lone_node_stat(c->w, NR_ISOLATED_ANON), 0);
	/* On demand: not for the statistics of reclaim. */
	assert_int_equal(group_events(c, PGSCAN_DIRECT) + events_of(c, PGSCAN_ANON), 0);
}

static void pageout_frees_clean_file_pages(void **state)
{
	struct core *c = *state;

	map_file(c, 0, 10, 0, VM_READ | VM_WRITE);
	touch_all(c, 0, 10, false);
	assert_int_equal(touch(c, 3, true), 0);
	advise_ok(c, 0, 10, RCL_MADV_PAGEOUT);
	assert_int_equal(c->mapping->nr_pages, 1);
	assert_true(folio_test(cached(c, 3), PG_dirty)); /* the flusher's work */
}

static void pageout_leaves_what_is_held_but_cold(void **state)
{
	struct core *c = *state;
	struct folio *f;

	map_file(c, 0, 2, 0, VM_READ);
	touch_all(c, 0, 2, false);
	rcl_lru_add_drain(c->m);
	f = cached(c, 0);
	rcl_folio_activate(c->m, f);
	rcl_lru_add_drain(c->m);
	folio_get(f);
	advise_ok(c, 0, 2, RCL_MADV_PAGEOUT);
	rcl_lru_add_drain(c->m);
	assert_int_equal(c->mapping->nr_pages, 1);
	assert_true(folio_test(f, PG_lru));
	assert_false(folio_test(f, PG_active));
	folio_put(c->m, f);
}

static struct core *watched;
static u64 most_isolated;
static void watch_isolated(struct platform *p)
{
	u64 listed =
		(u64)(list_size(watched, LRU_INACTIVE_FILE) + list_size(watched, LRU_ACTIVE_FILE));

	(void)p;
	most_isolated = max(most_isolated, watched->mapping->nr_pages - listed);
}

/* What is isolated at once are the pages of one page table. */
static void pageout_is_done_a_table_at_a_time(void **state)
{
	struct core *c = *state;

	map_file(c, 0, 1024, 0, VM_READ);
	touch_all(c, 0, 1024, false);
	rcl_lru_add_drain(c->m);
	io_at_polls(c);
	core_ops.poll = watch_isolated;
	watched = c;
	most_isolated = 0;
	advise_ok(c, 0, 1024, RCL_MADV_PAGEOUT);
	assert_int_equal(c->mapping->nr_pages, 0);
	assert_int_equal(c->mm->file_rss, 0);
	assert_in_range(most_isolated, 500, 512);
}

/* ---- WILLNEED ------------------------------------------------------------------------------ */

static void willneed_reads_swapped_pages(void **state)
{
	struct core *c = *state;

	c->m->tun.page_cluster = 0;
	fill(c, 0, 40);
	swap_out(c, 0, 40);
	advise_ok(c, 0, 40, RCL_MADV_WILLNEED);
	assert_int_equal(events_of(c, PSWPIN), 40);
	assert_int_equal(events_of(c, PGMAJFAULT), 0);
	assert_int_equal(c->mm->swap_ents, 40); /* in the swap cache, not mapped */
	/* All of them are on their way to the lists. */
	assert_int_equal(c->m->cpus[0].batches.lru_add.nr, 0);
	assert_int_equal(list_size(c, LRU_INACTIVE_ANON) + list_size(c, LRU_ACTIVE_ANON), 40);
	lone_complete_io(c->w);
	touch_all(c, 0, 40, false);
	assert_int_equal(events_of(c, PGMAJFAULT), 0);
}

static void willneed_reads_the_file(void **state)
{
	struct core *c = *state;

	map_file(c, 0, 20, 100, VM_READ);
	advise_ok(c, 5, 10, RCL_MADV_WILLNEED);
	lone_complete_io(c->w);
	assert_null(cached(c, 104));
	for (u64 i = 105; i < 115; i++)
		assert_non_null(cached(c, i));
}

/* ---- how to read --------------------------------------------------------------------------- */

static void access_patterns_are_flags_of_the_vma(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 30);
	advise_ok(c, 10, 10, RCL_MADV_SEQUENTIAL);
	assert_int_equal(c->mm->nr_vmas, 3);
	assert_int_equal(rcl_find_vma(c->mm, 9)->flags & (VM_SEQ_READ | VM_RAND_READ), 0);
	assert_int_equal(rcl_find_vma(c->mm, 10)->flags & (VM_SEQ_READ | VM_RAND_READ),
			 VM_SEQ_READ);
	advise_ok(c, 0, 30, RCL_MADV_RANDOM);
	assert_int_equal(rcl_find_vma(c->mm, 10)->flags & (VM_SEQ_READ | VM_RAND_READ),
			 VM_RAND_READ);
	advise_ok(c, 0, 30, RCL_MADV_NORMAL);
	assert_int_equal(rcl_find_vma(c->mm, 29)->flags & (VM_SEQ_READ | VM_RAND_READ), 0);
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void locked_memory_takes_no_advice_to_leave(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 4);
	assert_int_equal(rcl_mlock(c->m, c->mm, 0, 4), 0);
	assert_int_equal(advise(c, 0, 4, RCL_MADV_DONTNEED), -EINVAL);
	assert_int_equal(advise(c, 0, 4, RCL_MADV_FREE), -EINVAL);
	assert_int_equal(advise(c, 0, 4, RCL_MADV_COLD), -EINVAL);
	assert_int_equal(advise(c, 0, 4, RCL_MADV_PAGEOUT), -EINVAL);
	assert_int_equal(c->mm->anon_rss, 4);
}

static void holes_are_passed_over_and_told(void **state)
{
	struct core *c = *state;

	fill(c, 0, 4);
	fill(c, 10, 4);
	assert_int_equal(advise(c, 0, 14, RCL_MADV_DONTNEED), -ENOMEM);
	assert_int_equal(c->mm->anon_rss, 0);
	assert_int_equal(advise(c, 4, 6, RCL_MADV_DONTNEED), -ENOMEM);
	assert_int_equal(advise(c, 12, 4, RCL_MADV_DONTNEED), -ENOMEM);
	assert_int_equal(advise(c, 0, 14, RCL_MADV_RANDOM), -ENOMEM);
	assert_true(rcl_find_vma(c->mm, 12)->flags & VM_RAND_READ);
	assert_int_equal(advise(c, 0, 0, RCL_MADV_DONTNEED), -EINVAL);
	assert_int_equal(advise(c, 2, ~0ull, RCL_MADV_DONTNEED), -EINVAL);
	assert_int_equal(advise(c, 11, 2, RCL_MADV_COLD), 0);
}

int main(void)
{
#define T(f)  cmocka_unit_test_setup_teardown(f, setup, core_teardown)
#define TS(f) cmocka_unit_test_setup_teardown(f, setup_swap, core_teardown)
	const struct CMUnitTest tests[] = {
		TS(dontneed_frees_anonymous_pages_and_slots),
		T(dontneed_drains_batches),
		T(dontneed_of_a_file_keeps_the_cache),
		TS(free_makes_pages_lazyfree),
		TS(free_drops_what_is_swapped),
		TS(free_leaves_a_locked_page_in_swap_cache_alone),
		T(free_is_for_anonymous_memory),
		T(cold_pages_go_to_the_inactive_list),
		T(cold_leaves_shared_and_unlisted_pages_alone),
		TS(pageout_writes_now_and_in_order),
		T(pageout_frees_clean_file_pages),
		T(pageout_leaves_what_is_held_but_cold),
		T(pageout_is_done_a_table_at_a_time),
		TS(willneed_reads_swapped_pages),
		T(willneed_reads_the_file),
		T(access_patterns_are_flags_of_the_vma),
		T(locked_memory_takes_no_advice_to_leave),
		T(holes_are_passed_over_and_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
