/* SPDX-License-Identifier: MIT */
/* Reverse mapping: counts, references, unmapping, cleaning; in several address spaces. */
#include "core_world.h"

CORE_SETUP(setup, 2, 8192, 0)
CORE_SETUP(setup_swap, 2, 8192, 1024)

static struct mm *second_mm(struct core *c, struct memcg *group)
{
	struct mm *mm;

	assert_int_equal(rcl_mm_create(c->m, group, &mm), 0);
	return mm;
}
static void map_there(struct core *c, struct mm *mm, u64 vpn, u64 pages, u64 pgoff, u32 flags)
{
	assert_int_equal(rcl_mmap(c->m, mm, vpn, pages, flags | VM_RAND_READ, &c->file, pgoff), 0);
	for (u64 i = vpn; i < vpn + pages; i++)
		assert_int_equal(rcl_touch(c->m, mm, i, false), 0);
}
static int referenced(struct core *c, struct folio *f, struct memcg *target, u32 *flags)
{
	u32 dummy;
	int n;

	folio_lock(c->m, f);
	n = rcl_folio_referenced(c->m, f, true, target, flags ? flags : &dummy);
	folio_unlock(c->m, f);
	return n;
}
static void unmap(struct core *c, struct folio *f)
{
	folio_lock(c->m, f);
	rcl_try_to_unmap(c->m, f);
	folio_unlock(c->m, f);
}

/* ---- counts -------------------------------------------------------------------------------- */

static void the_first_and_the_last_mapping_count(void **state)
{
	struct core *c = *state;
	struct folio *f;

	map_file(c, 0, 1, 7, VM_READ);
	map_file(c, 100, 1, 7, VM_READ);
	assert_int_equal(touch(c, 0, false), 0);
	f = cached(c, 7);
	assert_int_equal(f->mapcount, 1);
	assert_int_equal(lone_group_stat(c->w, NR_FILE_MAPPED), 1);
	assert_int_equal(touch(c, 100, false), 0);
	assert_int_equal(f->mapcount, 2);
	assert_int_equal(lone_group_stat(c->w, NR_FILE_MAPPED), 1);
	assert_int_equal(c->mm->file_rss, 2);
	rcl_lru_add_drain(c->m);
	assert_int_equal(folio_ref_count(f), 3); /* the cache and each mapping */
	assert_int_equal(rcl_munmap(c->m, c->mm, 0, 1), 0);
	assert_int_equal(lone_group_stat(c->w, NR_FILE_MAPPED), 1);
	assert_int_equal(rcl_munmap(c->m, c->mm, 100, 1), 0);
	assert_int_equal(lone_group_stat(c->w, NR_FILE_MAPPED), 0);
	assert_int_equal(folio_ref_count(f), 1);
	assert_int_equal(c->mm->file_rss, 0);
}

static void anonymous_folios_know_their_place(void **state)
{
	struct core *c = *state;
	struct folio *f;

	map_anon(c, 1000, 10);
	assert_int_equal(touch(c, 1004, true), 0);
	f = folio_at(c, 1004);
	assert_true(folio_is_anon(f));
	assert_ptr_equal(f->anon_vma, rcl_find_vma(c->mm, 1004)->anon_vma);
	assert_int_equal(f->mapcount, 1);
	assert_int_equal(c->mm->anon_rss, 1);
	assert_int_equal(lone_group_stat(c->w, NR_ANON_MAPPED), 1);
	assert_int_equal(rcl_munmap(c->m, c->mm, 1000, 10), 0);
	assert_int_equal(lone_group_stat(c->w, NR_ANON_MAPPED), 0);
}

/* ---- referenced ---------------------------------------------------------------------------- */

static void each_young_mapping_counts_once(void **state)
{
	struct core *c = *state;
	struct mm *mm = second_mm(c, c->group);
	struct folio *f;
	u32 flags;

	map_file(c, 0, 4, 0, VM_READ);
	touch_all(c, 0, 4, false);
	map_there(c, mm, 500, 4, 0, VM_READ | VM_EXEC);
	f = cached(c, 2);
	assert_int_equal(referenced(c, f, NULL, &flags), 2);
	assert_true(flags & VM_EXEC && flags & VM_READ);
	assert_false(pte_at(c, 2) & PTE_ACCESSED);
	assert_false(*rcl_pte_lookup(mm, 502) & PTE_ACCESSED);
	assert_true(pte_at(c, 1) & PTE_ACCESSED); /* other pages are not touched */
	assert_int_equal(referenced(c, f, NULL, &flags), 0);
	assert_int_equal(flags, 0);
	assert_int_equal(rcl_touch(c->m, mm, 502, false), 0);
	assert_int_equal(referenced(c, f, NULL, &flags), 1);
	assert_true(flags & VM_EXEC);
	rcl_mm_destroy(c->m, mm);
}

static void only_the_groups_own_references_count_for_a_limit(void **state)
{
	struct core *c = *state;
	struct memcg *other, *below;
	struct mm *mm, *mm_below, *mm_root;
	struct folio *f;

	assert_int_equal(rcl_memcg_create(c->m, c->m->root_memcg, "other", &other), 0);
	assert_int_equal(rcl_memcg_create(c->m, c->group, "below", &below), 0);
	mm = second_mm(c, other);
	mm_below = second_mm(c, below);
	mm_root = second_mm(c, NULL);
	map_file(c, 0, 1, 0, VM_READ);
	touch_all(c, 0, 1, false);
	map_there(c, mm, 0, 1, 0, VM_READ);
	map_there(c, mm_below, 0, 1, 0, VM_READ);
	map_there(c, mm_root, 0, 1, 0, VM_READ);
	f = cached(c, 0);
	assert_int_equal(referenced(c, f, c->group, NULL), 2); /* its own and those below */
	assert_true(*rcl_pte_lookup(mm, 0) & PTE_ACCESSED);    /* others keep their bits */
	assert_int_equal(referenced(c, f, c->m->root_memcg, NULL), 2);
	assert_int_equal(rcl_touch(c->m, mm, 0, false), 0);
	assert_int_equal(referenced(c, f, NULL, NULL), 1);
	rcl_mm_destroy(c->m, mm);
	rcl_mm_destroy(c->m, mm_below);
	rcl_mm_destroy(c->m, mm_root);
}

static void sequential_readers_leave_no_mark(void **state)
{
	struct core *c = *state;

	map_file(c, 0, 1, 0, VM_READ | VM_SEQ_READ);
	touch_all(c, 0, 1, false);
	assert_int_equal(referenced(c, cached(c, 0), NULL, NULL), 0);
	assert_false(pte_at(c, 0) & PTE_ACCESSED);
}

static void a_locked_vma_ends_the_walk(void **state)
{
	struct core *c = *state;
	struct mm *mm = second_mm(c, c->group);
	struct folio *f;
	u32 flags;

	map_file(c, 0, 1, 0, VM_READ);
	touch_all(c, 0, 1, false);
	map_there(c, mm, 0, 1, 0, VM_READ);
	f = cached(c, 0);
	rcl_lru_add_drain(c->m);
	rcl_find_vma(c->mm, 0)->flags |= VM_LOCKED;
	referenced(c, f, NULL, &flags);
	assert_true(flags & VM_LOCKED);
	assert_true(folio_test(f, PG_mlocked));
	assert_true(*rcl_pte_lookup(mm, 0) & PTE_ACCESSED); /* was not come to */
	rcl_mm_destroy(c->m, mm);
}

static void what_is_busy_counts_as_referenced(void **state)
{
	struct core *c = *state;
	struct folio *f;
	u32 flags;

	map_file(c, 0, 1, 0, VM_READ);
	touch_all(c, 0, 1, false);
	f = cached(c, 0);
	folio_lock(c->m, f); /* by somebody else */
	assert_int_equal(rcl_folio_referenced(c->m, f, false, NULL, &flags), 1);
	assert_int_equal(flags, 0);
	assert_true(pte_at(c, 0) & PTE_ACCESSED);
	folio_unlock(c->m, f);
	assert_int_equal(rcl_folio_referenced(c->m, f, false, NULL, &flags), 1);
	assert_false(folio_test(f, PG_locked));
	assert_int_equal(rcl_folio_referenced(c->m, f, false, NULL, &flags), 0);
	/* Anonymous folios need no lock. */
	map_anon(c, 100, 1);
	touch_all(c, 100, 1, true);
	f = folio_at(c, 100);
	folio_lock(c->m, f);
	assert_int_equal(rcl_folio_referenced(c->m, f, false, NULL, &flags), 1);
	folio_unlock(c->m, f);
}

static void parts_of_a_split_mapping_are_found(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 30);
	touch_all(c, 0, 30, true);
	assert_int_equal(rcl_munmap(c->m, c->mm, 10, 5), 0);
	assert_int_equal(rcl_madvise(c->m, c->mm, 20, 3, RCL_MADV_RANDOM), 0);
	for (u64 i = 0; i < 30; i++)
		if (i < 10 || i >= 15)
			assert_int_equal(referenced(c, folio_at(c, i), NULL, NULL), 1);
	/* An unmapped folio is nobody's. */
	folio_lock(c->m, folio_at(c, 0));
	folio_unlock(c->m, folio_at(c, 0));
}

/* ---- unmap --------------------------------------------------------------------------------- */

static void unmapping_removes_all_mappings_and_keeps_dirt(void **state)
{
	struct core *c = *state;
	struct mm *mm = second_mm(c, c->group);
	struct folio *f;

	map_file(c, 0, 1, 0, VM_READ | VM_WRITE);
	assert_int_equal(touch(c, 0, true), 0);
	map_there(c, mm, 0, 1, 0, VM_READ);
	f = cached(c, 0);
	/* As if it had been written after the flusher looked. */
	folio_lock(c->m, f);
	rcl_folio_cancel_dirty(c->m, f);
	folio_unlock(c->m, f);
	unmap(c, f);
	assert_int_equal(f->mapcount, 0);
	assert_int_equal(pte_at(c, 0), 0);
	assert_int_equal(*rcl_pte_lookup(mm, 0), 0);
	assert_true(folio_test(f, PG_dirty));
	assert_int_equal(c->mm->file_rss + mm->file_rss, 0);
	assert_int_equal(lone_node_stat(c->w, NR_FILE_DIRTY), 1);
	rcl_mm_destroy(c->m, mm);
}

static void an_anonymous_page_becomes_a_swap_entry(void **state)
{
	struct core *c = *state;
	struct folio *f;
	swp_entry_t e;

	map_anon(c, 0, 1);
	touch_all(c, 0, 1, true);
	f = folio_at(c, 0);
	unmap(c, f); /* without a slot nothing can be put in its place */
	assert_true(pte_present(pte_at(c, 0)));
	folio_lock(c->m, f);
	assert_true(rcl_add_to_swap(c->m, f));
	e = f->private_;
	assert_int_equal(rcl_swap_count(c->m, e), 0);
	rcl_try_to_unmap(c->m, f);
	folio_unlock(c->m, f);
	assert_true(is_swapped(c, 0));
	assert_int_equal(pte_swap(pte_at(c, 0)), e);
	assert_int_equal(rcl_swap_count(c->m, e), 1);
	assert_int_equal(c->mm->swap_ents, 1);
	assert_true(pte_at(c, 0) & PTE_SWAP_EXCLUSIVE);
	assert_true(folio_test(f, PG_dirty));
}

static void a_forked_page_becomes_two_swap_entries(void **state)
{
	struct core *c = *state;
	struct mm *child;
	struct folio *f;

	map_anon(c, 0, 1);
	touch_all(c, 0, 1, true);
	assert_int_equal(rcl_mm_fork(c->m, c->mm, c->group, &child), 0);
	f = folio_at(c, 0);
	assert_int_equal(referenced(c, f, NULL, NULL), 1); /* the child has not touched it yet */
	swap_out(c, 0, 1);
	assert_int_equal(rcl_swap_count(c->m, pte_swap(pte_at(c, 0))), 2);
	assert_int_equal(pte_swap(*rcl_pte_lookup(child, 0)), pte_swap(pte_at(c, 0)));
	assert_false(pte_at(c, 0) & PTE_SWAP_EXCLUSIVE);
	rcl_mm_destroy(c->m, child);
}

static void a_locked_mapping_stays(void **state)
{
	struct core *c = *state;
	struct folio *f;

	map_file(c, 0, 1, 0, VM_READ);
	touch_all(c, 0, 1, false);
	rcl_lru_add_drain(c->m);
	rcl_find_vma(c->mm, 0)->flags |= VM_LOCKED;
	f = cached(c, 0);
	unmap(c, f);
	assert_int_equal(f->mapcount, 1);
	assert_true(folio_test(f, PG_mlocked));
}

static void lazyfree_pages_vanish_or_come_back(void **state)
{
	struct core *c = *state;
	struct folio *f[3];

	map_anon(c, 0, 3);
	touch_all(c, 0, 3, true);
	rcl_lru_add_drain(c->m);
	assert_int_equal(rcl_madvise(c->m, c->mm, 0, 3, RCL_MADV_FREE), 0);
	rcl_lru_add_drain(c->m);
	for (u64 i = 0; i < 3; i++) {
		f[i] = folio_at(c, i);
		assert_int_equal(rcl_folio_isolate_lru(c->m, f[i]), 0);
	}
	assert_int_equal(touch(c, 1, true), 0); /* written again */
	folio_get(f[2]);			/* held by somebody */
	for (int i = 0; i < 3; i++)
		unmap(c, f[i]);
	assert_int_equal(pte_at(c, 0), 0);
	assert_int_equal(c->mm->anon_rss, 2);
	for (u64 i = 1; i < 3; i++) {
		assert_true(pte_present(pte_at(c, i)));
		assert_true(folio_test(f[i], PG_swapbacked));
	}
	assert_true(pte_at(c, 1) & PTE_DIRTY);
	folio_put(c->m, f[2]);
	for (int i = 0; i < 3; i++)
		rcl_folio_putback_lru(c->m, f[i]);
	rcl_lru_add_drain(c->m);
	assert_int_equal(list_size(c, LRU_INACTIVE_ANON), 2);
}

/* ---- clean --------------------------------------------------------------------------------- */

static void cleaning_write_protects(void **state)
{
	struct core *c = *state;
	struct mm *mm = second_mm(c, c->group);
	struct folio *f;
	bool held = false;

	map_file(c, 0, 2, 0, VM_READ | VM_WRITE);
	touch_all(c, 0, 2, true);
	map_there(c, mm, 0, 1, 0, VM_READ);
	f = cached(c, 0);
	folio_lock(c->m, f);
	assert_int_equal(rcl_folio_mkclean(c->m, f, &held), 1);
	assert_int_equal(rcl_folio_mkclean(c->m, f, &held), 0);
	folio_unlock(c->m, f);
	assert_false(held);
	assert_false(pte_at(c, 0) & (PTE_DIRTY | PTE_WRITE));
	assert_true(pte_at(c, 0) & PTE_ACCESSED);
	assert_true(pte_at(c, 1) & PTE_DIRTY && pte_at(c, 1) & PTE_WRITE);
	assert_int_equal(f->mapcount, 2);
	/* The next write is seen. */
	assert_int_equal(touch(c, 0, true), 0);
	assert_int_equal(events_of(c, PGREUSE), 1);
	rcl_mm_destroy(c->m, mm);
}

static void cleaning_is_for_mapped_file_pages(void **state)
{
	struct core *c = *state;
	struct folio *f;
	bool held = false;

	map_anon(c, 0, 1);
	touch_all(c, 0, 1, true);
	f = folio_at(c, 0);
	folio_lock(c->m, f);
	assert_int_equal(rcl_folio_mkclean(c->m, f, &held), 0);
	folio_unlock(c->m, f);
	assert_true(pte_at(c, 0) & PTE_WRITE);
	read_file(c, 9, 1);
	f = cached(c, 9);
	folio_lock(c->m, f);
	assert_int_equal(rcl_folio_mkclean(c->m, f, &held), 0);
	folio_unlock(c->m, f);
}

/* A lone anon_vma's memory is used again, and is a list at all times. */
static void anon_vmas_are_recycled(void **state)
{
	struct core *c = *state;
	struct anon_vma *av;

	map_anon(c, 0, 1);
	av = rcl_find_vma(c->mm, 0)->anon_vma;
	assert_int_equal(av->refs, 1);
	assert_int_equal(rcl_munmap(c->m, c->mm, 0, 1), 0);
	assert_true(list_empty(&av->vmas));
	assert_false(spin_is_held(&av->lock));
	map_anon(c, 50, 1);
	assert_ptr_equal(rcl_find_vma(c->mm, 50)->anon_vma, av);
	assert_int_equal(av->refs, 1);
}

int main(void)
{
#define T(f)  cmocka_unit_test_setup_teardown(f, setup, core_teardown)
#define TS(f) cmocka_unit_test_setup_teardown(f, setup_swap, core_teardown)
	const struct CMUnitTest tests[] = {
		T(the_first_and_the_last_mapping_count),
		T(anonymous_folios_know_their_place),
		T(each_young_mapping_counts_once),
		T(only_the_groups_own_references_count_for_a_limit),
		T(sequential_readers_leave_no_mark),
		T(a_locked_vma_ends_the_walk),
		T(what_is_busy_counts_as_referenced),
		T(parts_of_a_split_mapping_are_found),
		T(unmapping_removes_all_mappings_and_keeps_dirt),
		TS(an_anonymous_page_becomes_a_swap_entry),
		TS(a_forked_page_becomes_two_swap_entries),
		T(a_locked_mapping_stays),
		TS(lazyfree_pages_vanish_or_come_back),
		T(cleaning_write_protects),
		T(cleaning_is_for_mapped_file_pages),
		T(anon_vmas_are_recycled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
