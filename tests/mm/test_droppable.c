/* SPDX-License-Identifier: MIT */
/* Droppable memory: reclaim takes its pages without a write, whatever was written to them. */
#include "core_world.h"

CORE_SETUP(setup, 2, 8192, 0)
CORE_SETUP(setup_swap, 2, 8192, 2048)

static void map_droppable(struct core *c, u64 vpn, u64 pages)
{
	assert_int_equal(
		rcl_mmap(c->m, c->mm, vpn, pages, VM_READ | VM_WRITE | VM_DROPPABLE, NULL, 0), 0);
}

static void pages_live_on_the_file_list(void **state)
{
	struct core *c = *state;

	map_droppable(c, 0, 20);
	touch_all(c, 0, 20, true);
	rcl_lru_add_drain(c->m);
	assert_int_equal(list_size(c, LRU_INACTIVE_FILE), 20);
	assert_int_equal(list_size(c, LRU_INACTIVE_ANON), 0);
	assert_int_equal(c->mm->anon_rss, 20);
}

/* With swap to be had, and dirty: dropped all the same, nothing written, and zeros afterwards. */
static void dirty_pages_are_dropped(void **state)
{
	struct core *c = *state;

	map_droppable(c, 0, 20);
	touch_all(c, 0, 20, true);
	assert_int_equal(rcl_memcg_reclaim(c->m, c->group, 20 * PAGE_SIZE) / PAGE_SIZE, 20);
	assert_int_equal(events_of(c, PGLAZYFREED), 20);
	assert_int_equal(events_of(c, PSWPOUT), 0);
	assert_int_equal(c->mm->anon_rss, 0);
	assert_int_equal(c->mm->swap_ents, 0);
	for (u64 i = 0; i < 20; i++)
		assert_int_equal(pte_at(c, i), 0);
}

/* What somebody holds stays, stays droppable, and goes the next time. */
static void a_held_page_stays_droppable(void **state)
{
	struct core *c = *state;
	struct folio *f;

	map_droppable(c, 0, 1);
	touch_all(c, 0, 1, true);
	rcl_lru_add_drain(c->m);
	f = folio_at(c, 0);
	folio_get(f);
	assert_false(evict_folio(c, f));
	assert_ptr_equal(folio_at(c, 0), f);
	assert_false(folio_test(f, PG_swapbacked));
	assert_false(folio_test(f, PG_dirty));
	folio_put(c->m, f);
	assert_true(evict_folio(c, f));
	assert_int_equal(pte_at(c, 0), 0);
}

/* The first look finds the accessed bit and leaves the page for one more round. */
static void used_pages_get_another_round(void **state)
{
	struct core *c = *state;
	u64 freed;

	map_droppable(c, 0, 64);
	touch_all(c, 0, 64, true);
	rcl_lru_add_drain(c->m);
	for (u64 i = 0; i < 32; i++)
		*rcl_pte_lookup(c->mm, i) &= ~PTE_ACCESSED;
	freed = rcl_memcg_reclaim(c->m, c->group, 16 * PAGE_SIZE) / PAGE_SIZE;
	assert_true(freed >= 16 && freed <= 32);
	for (u64 i = 32; i < 64; i++)
		assert_true(pte_present(pte_at(c, i)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pages_live_on_the_file_list, setup, core_teardown),
		cmocka_unit_test_setup_teardown(dirty_pages_are_dropped, setup, core_teardown),
		cmocka_unit_test_setup_teardown(dirty_pages_are_dropped, setup_swap, core_teardown),
		cmocka_unit_test_setup_teardown(a_held_page_stays_droppable, setup_swap,
						core_teardown),
		cmocka_unit_test_setup_teardown(used_pages_get_another_round, setup, core_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
