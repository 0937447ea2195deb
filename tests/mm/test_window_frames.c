/* SPDX-License-Identifier: MIT */
/* Frames for a window of read-ahead: neighbours where there are some, reclaimed ahead where not. */
#include "core_world.h"
#include "mm/page_alloc.h"
#include "mm/vmscan.h"
#include "mm/window_frames.h"

#define GFP (GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN)

static int setup(void **state)
{
	*state = core_open(1, 4096, 0);
	return 0;
}

static s64 free_pages(struct core *c)
{
	s64 nr = 0;

	rcl_drain_all_pages(c->m);
	for_each_zone (z, c->m->nodes)
		nr += zone_page_state(z, NR_FREE_PAGES);
	return nr;
}

static s64 stalls(struct core *c)
{
	return events_of(c, ALLOCSTALL_NORMAL) + events_of(c, ALLOCSTALL_MOVABLE);
}

/* All that there is, the reserves too. */
static u32 take_everything(struct core *c, struct folio **f, u32 most)
{
	gfp_t gfp = (GFP_HIGHUSER_MOVABLE & ~__GFP_RECLAIM) | __GFP_MEMALLOC | __GFP_NOWARN;
	u32 nr = 0;

	while (nr < most && (f[nr] = rcl_alloc_pages(c->m, gfp, 0)))
		nr++;
	return nr;
}

/* Takes as many as it gets, up to nr; they must come in the order of memory. */
static u32 take(struct core *c, struct window_frames *w, u32 nr, struct folio **f)
{
	u32 got = 0;

	while (got < nr && (f[got] = rcl_window_frame(c->m, w, GFP, nr))) {
		assert_int_equal(folio_ref_count(f[got]), 1);
		assert_int_equal(f[got]->order, 0);
		assert_true(!got || f[got] > f[got - 1]);
		got++;
	}
	return got;
}

static u32 count_runs(struct folio **f, u32 nr)
{
	u32 runs = nr > 0;

	for (u32 i = 1; i < nr; i++)
		runs += f[i] != f[i - 1] + 1;
	return runs;
}

static void put_all(struct core *c, struct folio **f, u32 nr)
{
	for (u32 i = 0; i < nr; i++)
		folio_put(c->m, f[i]);
}

static void a_window_is_one_run(void **state)
{
	struct core *c = *state;
	s64 before = free_pages(c);
	struct window_frames w = {0};
	struct folio *f[WINDOW_FRAMES_MAX];

	assert_int_equal(take(c, &w, WINDOW_FRAMES_MAX, f), WINDOW_FRAMES_MAX);
	assert_int_equal(count_runs(f, WINDOW_FRAMES_MAX), 1);
	assert_int_equal(free_pages(c), before - WINDOW_FRAMES_MAX);
	put_all(c, f, WINDOW_FRAMES_MAX);
	/* 1 + 2 + 4 + ...: a block for each bit of the number, at most. */
	assert_int_equal(take(c, &w, 117, f), 117);
	assert_in_range(count_runs(f, 117), 1, 5);
	put_all(c, f, 117);
	assert_int_equal(free_pages(c), before);
}

static void what_is_not_used_goes_back(void **state)
{
	struct core *c = *state;
	s64 before = free_pages(c);
	struct window_frames w = {0};
	struct folio *f = rcl_window_frame(c->m, &w, GFP, 100);

	assert_int_equal(free_pages(c), before - 100);
	rcl_window_frames_free(c->m, &w);
	assert_int_equal(free_pages(c), before - 1);
	folio_put(c->m, f);
}

static void no_neighbours_then_single_frames(void **state)
{
	struct core *c = *state;
	struct folio *all[4096], *f[WINDOW_FRAMES_MAX];
	struct window_frames w = {0};
	u32 nr = take_everything(c, all, ARRAY_SIZE(all));

	assert_true(nr > 2000);
	for (u32 i = 0; i < nr; i++)
		if (!(folio_pfn(c->m, all[i]) % 2))
			folio_put(c->m, all[i]);
	rcl_drain_all_pages(c->m);
	assert_int_equal(take(c, &w, WINDOW_FRAMES_MAX, f), WINDOW_FRAMES_MAX);
	assert_int_equal(count_runs(f, WINDOW_FRAMES_MAX), WINDOW_FRAMES_MAX);
	/* Memory was not short, only in pieces. */
	assert_int_equal(stalls(c), 0);
	put_all(c, f, WINDOW_FRAMES_MAX);
	for (u32 i = 0; i < nr; i++)
		if (folio_pfn(c->m, all[i]) % 2)
			folio_put(c->m, all[i]);
}

static void short_of_memory_reclaims_a_window_at_once(void **state)
{
	struct core *c = *state;
	struct folio *held[4096], *f[WINDOW_FRAMES_MAX];
	struct window_frames w = {0};
	u32 nr = 0;

	/* A file read in order, and nothing else that could be reclaimed. */
	for (u64 i = 0; i < 1024; i += 32) {
		read_file(c, i, 32);
		lone_complete_io(c->w);
	}
	rcl_lru_add_drain_all(c->m);
	while (nr < ARRAY_SIZE(held) && (held[nr] = rcl_alloc_pages(c->m, GFP & ~__GFP_RECLAIM, 0)))
		nr++;
	assert_int_equal(events_of(c, PGSTEAL_DIRECT), 0);
	assert_int_equal(take(c, &w, WINDOW_FRAMES_MAX, f), WINDOW_FRAMES_MAX);
	/* Once, and not page after page; a last pass may free more than it had to. */
	assert_int_equal(stalls(c), 1);
	assert_in_range(events_of(c, PGSTEAL_DIRECT), WINDOW_FRAMES_MAX, 2 * WINDOW_FRAMES_MAX);
	assert_in_range(count_runs(f, WINDOW_FRAMES_MAX), 1, WINDOW_FRAMES_MAX / 8);
	put_all(c, f, WINDOW_FRAMES_MAX);
	put_all(c, held, nr);
}

static void no_memory_no_frame(void **state)
{
	struct core *c = *state;
	struct folio *held[4096], *f;
	struct window_frames w = {0};
	u32 nr = 0;

	while (nr < ARRAY_SIZE(held) && (held[nr] = rcl_alloc_pages(c->m, GFP, 0)))
		nr++;
	f = rcl_window_frame(c->m, &w, GFP, 64);
	assert_null(f);
	rcl_window_frames_free(c->m, &w);
	put_all(c, held, nr);
}

/* Who asks for much at once must not go through all memory for it, window after window. */
static void what_is_not_to_be_had_is_not_searched_for_long(void **state)
{
	enum {
		IN_USE = CORE_FILE_PAGES
	};
	struct core *c = *state;
	struct folio *held[4096], *used[IN_USE];
	u32 nr = 0;

	for (u64 i = 0; i < IN_USE; i += 32) {
		read_file(c, i, 32);
		lone_complete_io(c->w);
	}
	for (u64 i = 0; i < IN_USE; i++) {
		used[i] = rcl_filemap_get_folio(c->m, c->mapping, i);
		assert_non_null(used[i]);
	}
	rcl_lru_add_drain_all(c->m);
	while (nr < ARRAY_SIZE(held) && (held[nr] = rcl_alloc_pages(c->m, GFP & ~__GFP_RECLAIM, 0)))
		nr++;
	assert_int_equal(rcl_reclaim_ahead(c->m, GFP, 32), 0);
	assert_in_range(events_of(c, PGSCAN_DIRECT), 32, IN_USE / 2);
	put_all(c, held, nr);
	put_all(c, used, IN_USE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_window_is_one_run, setup, core_teardown),
		cmocka_unit_test_setup_teardown(what_is_not_used_goes_back, setup, core_teardown),
		cmocka_unit_test_setup_teardown(no_neighbours_then_single_frames, setup,
						core_teardown),
		cmocka_unit_test_setup_teardown(short_of_memory_reclaims_a_window_at_once, setup,
						core_teardown),
		cmocka_unit_test_setup_teardown(no_memory_no_frame, setup, core_teardown),
		cmocka_unit_test_setup_teardown(what_is_not_to_be_had_is_not_searched_for_long,
						setup, core_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
