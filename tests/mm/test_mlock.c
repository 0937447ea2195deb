/* SPDX-License-Identifier: MIT */
/* mlock: who becomes unevictable, counts of locked mappings, the way back, what is counted. */
#include "core_world.h"

CORE_SETUP(setup, 2, 8192, 0)
CORE_SETUP(setup_swap, 2, 8192, 1024)

static s64 nr_mlock(struct core *c)
{
	return c->m->nodes[0].zones[ZONE_DMA32].stat[NR_MLOCK];
}
static void mlock_ok(struct core *c, u64 vpn, u64 pages)
{
	assert_int_equal(rcl_mlock(c->m, c->mm, vpn, pages), 0);
}
static void munlock_ok(struct core *c, u64 vpn, u64 pages)
{
	assert_int_equal(rcl_munlock(c->m, c->mm, vpn, pages), 0);
}
static bool is_locked(struct folio *f)
{
	bool mlocked = folio_test(f, PG_mlocked);

	assert_int_equal(folio_test(f, PG_unevictable), mlocked);
	assert_true(folio_test(f, PG_lru));
	return mlocked;
}

static void locked_memory_is_there_at_once(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 20);
	touch_all(c, 0, 5, true);
	mlock_ok(c, 0, 20);
	assert_int_equal(c->mm->anon_rss, 20);
	assert_int_equal(list_size(c, LRU_UNEVICTABLE), 20);
	assert_int_equal(nr_mlock(c), 20);
	assert_int_equal(events_of(c, UNEVICTABLE_PGMLOCKED), 20);
	assert_int_equal(events_of(c, UNEVICTABLE_PGCULLED), 20);
	assert_int_equal(events_of(c, PGFAULT), 20);
	for (u64 i = 0; i < 20; i++) {
		assert_true(is_locked(folio_at(c, i)));
		assert_int_equal(folio_at(c, i)->mlock_count, 1);
	}
	munlock_ok(c, 0, 20);
	rcl_lru_add_drain(c->m);
	assert_int_equal(list_size(c, LRU_UNEVICTABLE), 0);
	assert_int_equal(list_size(c, LRU_INACTIVE_ANON), 20);
	assert_int_equal(nr_mlock(c), 0);
	assert_int_equal(events_of(c, UNEVICTABLE_PGMUNLOCKED), 20);
	assert_int_equal(events_of(c, UNEVICTABLE_PGRESCUED), 20);
	assert_int_equal(events_of(c, UNEVICTABLE_PGSTRANDED), 0);
}

static void read_only_memory_gets_the_zero_page(void **state)
{
	struct core *c = *state;

	assert_int_equal(rcl_mmap(c->m, c->mm, 0, 3, VM_READ, NULL, 0), 0);
	mlock_ok(c, 0, 3);
	assert_true(pte_at(c, 2) & PTE_ZERO);
	assert_int_equal(nr_mlock(c), 0);
}

static void pages_that_come_later_are_locked_as_they_come(void **state)
{
	struct core *c = *state;
	struct folio *f;

	map_anon(c, 0, 4);
	mlock_ok(c, 0, 4);
	/* Locked memory may be thrown away by unmapping it, and comes back locked. */
	assert_int_equal(rcl_madvise(c->m, c->mm, 0, 4, RCL_MADV_DONTNEED), -EINVAL);
	rcl_zap_range(c->m, rcl_find_vma(c->mm, 1), 1, 2);
	assert_int_equal(nr_mlock(c), 3);
	assert_int_equal(touch(c, 1, true), 0);
	f = folio_at(c, 1);
	assert_true(is_locked(f));
	assert_int_equal(nr_mlock(c), 4);
}

static void file_pages_are_locked_by_any_mapping(void **state)
{
	struct core *c = *state;
	struct folio *f;

	map_file(c, 0, 1, 5, VM_READ);
	map_file(c, 100, 1, 5, VM_READ);
	touch_all(c, 0, 1, false);
	f = cached(c, 5);
	mlock_ok(c, 0, 1);
	assert_true(is_locked(f));
	assert_int_equal(f->mlock_count, 1);
	mlock_ok(c, 100, 1);
	assert_int_equal(f->mlock_count, 2);
	assert_int_equal(nr_mlock(c), 1);
	munlock_ok(c, 0, 1);
	assert_true(is_locked(f));
	/* Unmapping unlocks. */
	assert_int_equal(rcl_munmap(c->m, c->mm, 100, 1), 0);
	assert_false(is_locked(f));
	assert_int_equal(nr_mlock(c), 0);
	assert_int_equal(events_of(c, UNEVICTABLE_PGMUNLOCKED), 1);
}

/* A vma is locked or it is not: how often it was asked for does not matter. */
static void locking_twice_is_locking_once(void **state)
{
	struct core *c = *state;
	struct folio *f;

	map_anon(c, 0, 4);
	mlock_ok(c, 0, 4);
	mlock_ok(c, 0, 4);
	mlock_ok(c, 1, 2);
	f = folio_at(c, 2);
	assert_int_equal(f->mlock_count, 1);
	munlock_ok(c, 0, 4);
	assert_false(is_locked(f));
	assert_int_equal(nr_mlock(c), 0);
	assert_int_equal(list_size(c, LRU_UNEVICTABLE), 0);
}

/* Nor does unlocking what was not locked take another mapping's lock away. */
static void unlocking_what_is_not_locked_does_nothing(void **state)
{
	struct core *c = *state;
	struct folio *f;

	map_file(c, 0, 1, 5, VM_READ);
	map_file(c, 100, 1, 5, VM_READ);
	touch_all(c, 100, 1, false);
	mlock_ok(c, 0, 1);
	f = cached(c, 5);
	assert_int_equal(f->mapcount, 2);
	munlock_ok(c, 100, 1);
	munlock_ok(c, 100, 1);
	assert_true(is_locked(f));
	assert_int_equal(f->mlock_count, 1);
	munlock_ok(c, 0, 1);
	assert_false(is_locked(f));
}

static void only_a_part_of_a_mapping(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 10);
	touch_all(c, 0, 10, true);
	mlock_ok(c, 3, 4);
	assert_int_equal(c->mm->nr_vmas, 3);
	assert_int_equal(nr_mlock(c), 4);
	for (u64 i = 0; i < 10; i++)
		assert_int_equal(is_locked(folio_at(c, i)), i >= 3 && i < 7);
	munlock_ok(c, 0, 5);
	assert_int_equal(nr_mlock(c), 2);
}

static void holes(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 5);
	map_anon(c, 10, 5);
	touch_all(c, 0, 5, true);
	assert_int_equal(rcl_mlock(c->m, c->mm, 0, 15), -ENOMEM);
	/* What lies before the hole is locked, flags and pages alike. */
	assert_true(rcl_find_vma(c->mm, 4)->flags & VM_LOCKED);
	assert_false(rcl_find_vma(c->mm, 10)->flags & VM_LOCKED);
	assert_int_equal(nr_mlock(c), 5);
	assert_int_equal(rcl_mlock(c->m, c->mm, 5, 5), -ENOMEM);
	assert_int_equal(rcl_mlock(c->m, c->mm, 0, 0), -EINVAL);
	assert_int_equal(rcl_mlock(c->m, c->mm, 1, ~0ull), -EINVAL);
	assert_int_equal(rcl_munlock(c->m, c->mm, 0, 15), -ENOMEM);
	assert_int_equal(nr_mlock(c), 0);
}

static void reclaim_leaves_locked_pages_alone(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 50);
	mlock_ok(c, 0, 50);
	map_anon(c, 100, 50);
	touch_all(c, 100, 50, true);
	io_at_polls(c);
	for (int i = 0; i < 10; i++)
		rcl_memcg_reclaim(c->m, c->group, 100 * PAGE_SIZE);
	for (u64 i = 0; i < 50; i++) {
		assert_true(pte_present(pte_at(c, i)));
		assert_true(is_swapped(c, 100 + i));
	}
}

static void swapped_pages_come_back_locked(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 3);
	touch_all(c, 0, 3, true);
	assert_int_equal(rcl_madvise(c->m, c->mm, 0, 3, RCL_MADV_PAGEOUT), 0);
	lone_complete_io(c->w);
	assert_true(is_swapped(c, 1));
	mlock_ok(c, 0, 3);
	rcl_lru_add_drain(c->m);
	for (u64 i = 0; i < 3; i++) {
		assert_true(is_locked(folio_at(c, i)));
		assert_false(folio_test(folio_at(c, i), PG_swapcache)); /* will not go out again */
	}
	assert_int_equal(nr_mlock(c), 3);
}

/* ---- folios that cannot be moved just now -------------------------------------------------- */

static void a_folio_off_its_list_is_only_marked(void **state)
{
	struct core *c = *state;
	struct folio *f = listed_folio(c, 0);

	assert_int_equal(rcl_folio_isolate_lru(c->m, f), 0);
	rcl_mlock_folio(c->m, f);
	assert_true(folio_test(f, PG_mlocked) && !folio_test(f, PG_unevictable));
	assert_int_equal(events_of(c, UNEVICTABLE_PGCULLED), 0);
	rcl_folio_putback_lru(c->m, f);
	rcl_lru_add_drain(c->m);
	assert_true(is_locked(f));
	assert_int_equal(f->mlock_count, 0); /* nobody knows who counted */
	rcl_munlock_folio(c->m, f);
	assert_false(is_locked(f));
	folio_put(c->m, f);
}

/* Which event: stranded are those that stay on the unevictable list because nobody can move them.
 */
static void munlocking_off_the_list(void **state)
{
	struct core *c = *state;
	struct folio *f = listed_folio(c, 0), *g = listed_folio(c, 0);

	assert_int_equal(rcl_folio_isolate_lru(c->m, f), 0);
	rcl_mlock_folio(c->m, f);
	rcl_munlock_folio(c->m, f);
	assert_int_equal(events_of(c, UNEVICTABLE_PGMUNLOCKED), 1);
	assert_int_equal(events_of(c, UNEVICTABLE_PGSTRANDED), 0);

	rcl_mlock_folio(c->m, g);
	assert_int_equal(rcl_folio_isolate_lru(c->m, g), 0);
	assert_true(folio_test(g, PG_unevictable));
	rcl_munlock_folio(c->m, g);
	assert_int_equal(events_of(c, UNEVICTABLE_PGMUNLOCKED), 1);
	assert_int_equal(events_of(c, UNEVICTABLE_PGSTRANDED), 1);
	rcl_folio_putback_lru(c->m, f);
	rcl_folio_putback_lru(c->m, g);
	rcl_lru_add_drain(c->m);
	assert_false(folio_test(g, PG_unevictable)); /* rescued on its way back */
	assert_int_equal(events_of(c, UNEVICTABLE_PGRESCUED), 1);
	folio_put(c->m, f);
	folio_put(c->m, g);
}

/* Let go while a batch had the token: the batch finds it and takes it off the list. */
static void a_stranded_folio_is_rescued_by_who_had_it(void **state)
{
	struct core *c = *state;
	struct folio *f = listed_folio(c, 0);

	rcl_folio_activate(c->m, f);
	rcl_mlock_folio(c->m, f);
	assert_true(is_locked(f));
	folio_clear(f, PG_mlocked);
	mod_zone_state(&c->m->nodes[0].zones[ZONE_DMA32], NR_MLOCK, -1);
	rcl_lru_add_drain(c->m);
	assert_false(folio_test(f, PG_unevictable));
	assert_int_equal(list_size(c, LRU_INACTIVE_FILE), 1);
	assert_int_equal(events_of(c, UNEVICTABLE_PGRESCUED), 1);
	folio_put(c->m, f);
}

static void more_lockers_than_can_be_counted(void **state)
{
	struct core *c = *state;
	struct folio *f = listed_folio(c, 0);

	for (int i = 0; i < 300; i++)
		rcl_mlock_folio(c->m, f);
	assert_int_equal(f->mlock_count, UINT8_MAX);
	for (int i = 0; i < 254; i++)
		rcl_munlock_folio(c->m, f);
	assert_true(is_locked(f));
	rcl_munlock_folio(c->m, f);
	assert_false(is_locked(f)); /* early; reclaim will find the mappings */
	folio_put(c->m, f);
}

static void a_folio_may_die_locked(void **state)
{
	struct core *c = *state;
	struct folio *f = listed_folio(c, 0);

	rcl_mlock_folio(c->m, f);
	folio_put(c->m, f);
	assert_int_equal(nr_mlock(c), 0);
	assert_int_equal(events_of(c, UNEVICTABLE_PGCLEARED), 1);
}

int main(void)
{
#define T(f)  cmocka_unit_test_setup_teardown(f, setup, core_teardown)
#define TS(f) cmocka_unit_test_setup_teardown(f, setup_swap, core_teardown)
	const struct CMUnitTest tests[] = {
		T(locked_memory_is_there_at_once),
		T(read_only_memory_gets_the_zero_page),
		T(pages_that_come_later_are_locked_as_they_come),
		T(file_pages_are_locked_by_any_mapping),
		T(locking_twice_is_locking_once),
		T(unlocking_what_is_not_locked_does_nothing),
		T(only_a_part_of_a_mapping),
		T(holes),
		TS(reclaim_leaves_locked_pages_alone),
		TS(swapped_pages_come_back_locked),
		T(a_folio_off_its_list_is_only_marked),
		T(munlocking_off_the_list),
		T(a_stranded_folio_is_rescued_by_who_had_it),
		T(more_lockers_than_can_be_counted),
		T(a_folio_may_die_locked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
