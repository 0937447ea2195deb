/* SPDX-License-Identifier: MIT */
/*
 * A file that is read in order, as announced: when memory is short its own pages behind the reader go
 * first, unless somebody needs them; and the device is not left idle while the reader catches up.
 */
#include "core_world.h"
#include "mm/drop_behind.h"
#include "mm/pin.h"

#define GFP   (GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN)
#define PAGES 300
#define HERE  200
#define NR    64

CORE_SETUP(setup, 1, 8192, 0)

/* The file's first pages have been read in order, through a mapping that says so. */
static void read_in_order(struct core *c)
{
	map_file(c, 0, PAGES, 0, VM_READ | VM_WRITE | VM_SHARED | VM_SEQ_READ);
	touch_all(c, 0, PAGES, false);
	rcl_lru_add_drain_all(c->m);
}

static void leave_room(struct core *c, u64 pages)
{
	u64 usage;

	rcl_drain_stock(c->m, &c->m->cpus[0].stock);
	usage = (u64)shared_read(&c->group->usage);
	assert_int_equal(rcl_memcg_set_max(c->m, c->group, (usage + pages) * PAGE_SIZE), 0);
	assert_int_equal(rcl_memcg_room(c->m), pages);
}

static u32 count_cached(struct core *c, u64 first, u64 end)
{
	u32 nr = 0;

	for (u64 i = first; i < end; i++)
		nr += cached(c, i) != NULL;
	return nr;
}

static void with_memory_to_spare_all_stays(void **state)
{
	struct core *c = *state;

	read_in_order(c);
	assert_int_equal(rcl_drop_behind(c->m, c->mapping, HERE, NR, GFP), 0);
	leave_room(c, NR);
	assert_int_equal(rcl_drop_behind(c->m, c->mapping, HERE, NR, GFP), 0);
	assert_int_equal(count_cached(c, 0, PAGES), PAGES);
}

static void a_full_group_loses_two_windows(void **state)
{
	struct core *c = *state;

	read_in_order(c);
	leave_room(c, NR - 1);
	assert_int_equal(rcl_drop_behind(c->m, c->mapping, HERE, NR, GFP), 2 * NR);
	assert_int_equal(count_cached(c, HERE - 2 * NR, HERE), 0);
	assert_int_equal(count_cached(c, 0, PAGES), PAGES - 2 * NR);
	/* There is room now. */
	assert_int_equal(rcl_drop_behind(c->m, c->mapping, HERE, NR, GFP), 0);
}

static void at_the_start_there_is_less(void **state)
{
	struct core *c = *state;

	read_in_order(c);
	leave_room(c, 0);
	assert_int_equal(rcl_drop_behind(c->m, c->mapping, 0, NR, GFP), 0);
	assert_int_equal(rcl_drop_behind(c->m, c->mapping, 10, NR, GFP), 10);
	assert_int_equal(count_cached(c, 0, PAGES), PAGES - 10);
}

static void short_memory_of_the_machine_counts(void **state)
{
	struct core *c = *state;
	struct folio *held[8192];
	u32 nr = 0;

	read_in_order(c);
	while (nr < ARRAY_SIZE(held) && (held[nr] = rcl_alloc_pages(c->m, GFP & ~__GFP_RECLAIM, 0)))
		nr++;
	assert_int_equal(rcl_drop_behind(c->m, c->mapping, HERE, NR, GFP), 2 * NR);
	while (nr)
		folio_put(c->m, held[--nr]);
}

static void what_somebody_needs_stays(void **state)
{
	struct core *c = *state;
	struct folio *locked, *f;
	u64 pfn;
	pte_t *pte;

	read_in_order(c);
	f = cached(c, HERE - 1);
	rcl_folio_mark_dirty(c->m, f);
	folio_set(cached(c, HERE - 2), PG_referenced);
	f = cached(c, HERE - 3);
	folio_set(f, PG_referenced);
	rcl_folio_mark_accessed(c->m, f);
	rcl_lru_add_drain_all(c->m);
	assert_true(folio_test(f, PG_active));
	map_file(c, 1000, 1, HERE - 4, VM_READ | VM_SHARED);
	assert_int_equal(touch(c, 1000, false), 0);
	locked = cached(c, HERE - 5);
	assert_true(folio_trylock(locked));
	assert_int_equal(rcl_pin_page(c->m, c->mm, HERE - 6, 0, &pte, &pfn), 0);
	leave_room(c, 0);
	assert_int_equal(rcl_drop_behind(c->m, c->mapping, HERE, NR, GFP), 2 * NR - 6);
	assert_int_equal(count_cached(c, HERE - 6, HERE), 6);
	assert_int_equal(count_cached(c, HERE - 2 * NR, HERE), 6);
	folio_unlock(c->m, locked);
	assert_true(rcl_unpin_fast(c->mm, pte, false));
	assert_int_equal(rcl_munmap(c->m, c->mm, 1000, 1), 0);
}

/* What the device has been asked to read since the last time; it has done so then. */
static u32 pages_asked(struct core *c)
{
	u32 nr;

	lone_complete_io(c->w);
	nr = (u32)c->w->reads;
	c->w->reads = 0;
	return nr;
}

static void an_idle_device_gets_the_next_window(void **state)
{
	struct core *c = *state;
	u32 first, next;

	assert_int_equal(rcl_file_advise(c->m, &c->file, 0, 0, RCL_FADV_SEQUENTIAL), 0);
	c->file.once = true;
	assert_null(rcl_page_cache_sync_ra(c->m, &c->file, 0, 1, NULL));
	/* While that is being read there is no need. */
	rcl_page_cache_ra_resume(c->m, &c->file, 0);
	first = pages_asked(c);
	assert_int_equal(first, c->file.ra_size);
	assert_int_equal(count_cached(c, 0, first + 1), first);
	rcl_page_cache_ra_resume(c->m, &c->file, 0);
	assert_int_equal(c->file.ra_start, first);
	next = pages_asked(c);
	assert_in_range(next, first, 4 * first);
	/* Whoever stays at the start is not left behind for ever. */
	for (u32 i = 0; i < 10; i++) {
		rcl_page_cache_ra_resume(c->m, &c->file, 0);
		next = pages_asked(c);
	}
	assert_int_equal(next, 0);
	assert_in_range(count_cached(c, 0, CORE_FILE_PAGES), 1, 3 * c->file.ra_size);
}

static void programs_that_advise_the_kernel_get_the_kernel(void **state)
{
	struct core *c = *state;

	assert_int_equal(rcl_file_advise(c->m, &c->file, 0, 0, RCL_FADV_SEQUENTIAL), 0);
	assert_null(rcl_page_cache_sync_ra(c->m, &c->file, 0, 1, NULL));
	assert_true(pages_asked(c) > 1);
	rcl_page_cache_ra_resume(c->m, &c->file, 0);
	assert_int_equal(pages_asked(c), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(with_memory_to_spare_all_stays, setup,
						core_teardown),
		cmocka_unit_test_setup_teardown(a_full_group_loses_two_windows, setup,
						core_teardown),
		cmocka_unit_test_setup_teardown(at_the_start_there_is_less, setup, core_teardown),
		cmocka_unit_test_setup_teardown(short_memory_of_the_machine_counts, setup,
						core_teardown),
		cmocka_unit_test_setup_teardown(what_somebody_needs_stays, setup, core_teardown),
		cmocka_unit_test_setup_teardown(an_idle_device_gets_the_next_window, setup,
						core_teardown),
		cmocka_unit_test_setup_teardown(programs_that_advise_the_kernel_get_the_kernel,
						setup, core_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
