/* SPDX-License-Identifier: MIT */
/* kswapd, running as a task of the simulator: sleeping and waking, balance, boost, hopelessness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include "mm/filemap.h"
#include "mm/machine.h"
#include "mm/mm.h"
#include "mm/swap.h"
#include "mm/vmscan/internal.h"
#include "mm/writeback.h"
#include "platform/sim/sim.h"

#include <cmocka.h>

#define MS	    RCL_NSEC_PER_MSEC
#define PAGES	    8192
#define BIG_PAGES   32768
#define FILE_PAGES  20000
#define SWAP_PAGES  4096
#define FILE_DEVICE 0
#define SWAP_DEVICE 1

struct world {
	struct rcl_sim *sim;
	struct rcl *m;
	struct node *nd;
	struct zone *z;
	struct mapping *mapping;
	struct file file;
	struct mm *mm;
	struct folio *held[PAGES];
	u32 nr_held;
	u64 marks[NR_WMARK];
};

static int setup_pages(void **state, u64 pages)
{
	struct world *w = calloc(1, sizeof(*w));
	struct rcl_sim_config scfg = {.seed = 1, .nr_cpus = 2};
	struct rcl_machine_config cfg = {
		.nr_cpus = 2, .nr_nodes = 1, .nodes[0].managed[ZONE_DMA32] = pages};

	assert_int_equal(rcl_sim_create(&scfg, &w->sim), 0);
	for (int dev = 0; dev < 2; dev++)
		assert_int_equal(rcl_sim_add_device(w->sim, rcl_sim_device_preset("nvme")), dev);
	cfg.plat = rcl_sim_platform(w->sim);
	rcl_tunables_defaults(&cfg.tunables);
	cfg.tunables.watermark_boost_factor = 0; /* tests boost by hand */
	assert_int_equal(rcl_machine_open(&cfg, &w->m), 0);
	w->nd = w->m->nodes;
	w->z = &w->nd->zones[ZONE_DMA32];
	memcpy(w->marks, w->z->watermark, sizeof(w->marks));
	assert_int_equal(rcl_writeback_add_device(w->m, FILE_DEVICE), 0);
	assert_int_equal(rcl_swapon(w->m, SWAP_DEVICE, SWAP_PAGES, -1, SWAP_SOLIDSTATE), 0);
	assert_int_equal(rcl_mapping_create(w->m, "f", FILE_DEVICE, 0, FILE_PAGES, 0, &w->mapping),
			 0);
	rcl_file_open(w->m, w->mapping, &w->file);
	assert_int_equal(rcl_file_advise(w->m, &w->file, 0, 0, RCL_FADV_RANDOM), 0);
	assert_int_equal(rcl_mm_create(w->m, NULL, &w->mm), 0);
	*state = w;
	return 0;
}
static int setup(void **state)
{
	return setup_pages(state, PAGES);
}
static int setup_big(void **state)
{
	return setup_pages(state, BIG_PAGES);
}
static void free_some(struct world *w, u32 nr)
{
	while (nr-- && w->nr_held)
		folio_put(w->m, w->held[--w->nr_held]);
}
static int teardown(void **state)
{
	struct world *w = *state;

	memcpy(w->z->watermark, w->marks, sizeof(w->marks));
	assert_true(rcl_check(w->m));
	free_some(w, w->nr_held);
	rcl_mm_destroy(w->m, w->mm);
	rcl_lru_add_drain_all(w->m);
	rcl_mapping_destroy(w->m, w->mapping);
	rcl_machine_close(w->m); /* stops kswapd, wherever it is */
	rcl_sim_destroy(w->sim);
	free(w);
	return 0;
}

static s64 events(struct world *w, enum vm_event_item item)
{
	return w->m->cpus[0].events[item] + w->m->cpus[1].events[item];
}
/* Let the others run. */
static void pass(struct world *w, u64 ns)
{
	u32 word = 0;

	rcl_wait_on(w->m, &word, 0, ns, false);
}
static u64 free_pages(struct world *w)
{
	return (u64)zone_page_state(w->z, NR_FREE_PAGES);
}
static void fill_cache(struct world *w, u64 pages)
{
	u64 stamp = 0;

	for (u64 i = 0; i < pages; i++)
		assert_int_equal(rcl_file_read(w->m, &w->file, i, 1, &stamp), 0);
	rcl_lru_add_drain_all(w->m);
}
/* Take memory away until this much is free; nobody is woken for it. */
static void hold_until(struct world *w, u64 left)
{
	rcl_drain_all_pages(w->m);
	while (free_pages(w) > left) {
		struct folio *f = rcl_alloc_pages(w->m, __GFP_MEMALLOC | __GFP_NOWARN, 0);

		assert_non_null(f);
		w->held[w->nr_held++] = f;
		rcl_drain_all_pages(w->m);
	}
}
static u64 mark(struct world *w, enum zone_watermark which)
{
	return wmark_pages(w->z, which);
}
static void wake(struct world *w, u32 order)
{
	rcl_wakeup_kswapd(w->z, GFP_KERNEL, order, ZONE_NORMAL);
}
static void settle(struct world *w)
{
	pass(w, 300 * MS);
	assert_true(w->nd->kswapd_asleep);
}

/* ---- sleeping and waking ------------------------------------------------------------------- */

static void it_sleeps_when_there_is_nothing_to_do(void **state)
{
	struct world *w = *state;

	settle(w);
	assert_int_equal(events(w, PAGEOUTRUN), 0);
	wake(w, 0); /* balanced: not worth waking */
	pass(w, 10 * MS);
	assert_int_equal(events(w, PAGEOUTRUN), 0);
	assert_true(w->nd->kswapd_asleep);
}

static void it_restores_the_high_watermark(void **state)
{
	struct world *w = *state;

	settle(w);
	fill_cache(w, 3000);
	hold_until(w, mark(w, WMARK_LOW) - 5);
	assert_int_equal(events(w, PAGEOUTRUN), 0);
	wake(w, 0);
	pass(w, 50 * MS);
	assert_true(free_pages(w) > mark(w, WMARK_HIGH));
	assert_int_equal(events(w, PAGEOUTRUN), 1);
	assert_true(events(w, PGSTEAL_KSWAPD) > 0);
	assert_int_equal(events(w, PGSTEAL_DIRECT), 0);
	assert_false(w->z->reclaim_active);
	assert_int_equal(w->nd->kswapd_failures, 0);
	settle(w);
	assert_int_equal(w->nd->kswapd_highest_zoneidx, MAX_NR_ZONES);
	assert_int_equal(w->nd->kswapd_order, 0);
}

static void an_allocation_below_the_low_watermark_wakes_it(void **state)
{
	struct world *w = *state;
	struct folio *f;

	settle(w);
	fill_cache(w, 3000);
	hold_until(w, mark(w, WMARK_LOW) - 5);
	f = rcl_alloc_pages(w->m, GFP_KERNEL, 0);
	assert_non_null(f);
	pass(w, 50 * MS);
	assert_int_equal(events(w, PAGEOUTRUN), 1);
	assert_true(free_pages(w) > mark(w, WMARK_HIGH));
	folio_put(w->m, f);
}

static void a_request_during_the_nap_means_it_stopped_too_early(void **state)
{
	struct world *w = *state;

	settle(w);
	fill_cache(w, 3000);
	hold_until(w, mark(w, WMARK_LOW) - 5);
	wake(w, 0);
	pass(w, 20 * MS); /* done, and napping for 100 ms */
	assert_true(w->nd->kswapd_asleep);
	assert_int_equal(events(w, PAGEOUTRUN), 1);
	hold_until(w, mark(w, WMARK_LOW) - 5);
	wake(w, 0);
	pass(w, 20 * MS);
	assert_int_equal(events(w, KSWAPD_LOW_WMARK_HIT_QUICKLY), 1);
	assert_int_equal(events(w, KSWAPD_HIGH_WMARK_HIT_QUICKLY), 0);
	assert_int_equal(events(w, PAGEOUTRUN), 2);
	settle(w);
	/* After the nap it sleeps for good, and waking it is nothing special. */
	hold_until(w, mark(w, WMARK_LOW) - 5);
	wake(w, 0);
	settle(w);
	assert_int_equal(events(w, KSWAPD_LOW_WMARK_HIT_QUICKLY), 1);
}

static void a_nap_that_ends_out_of_balance_is_short_too(void **state)
{
	struct world *w = *state;

	settle(w);
	fill_cache(w, 3000);
	hold_until(w, mark(w, WMARK_LOW) - 5);
	wake(w, 0);
	pass(w, 20 * MS);
	hold_until(w, mark(w, WMARK_LOW) - 5); /* and nobody says so */
	pass(w, 150 * MS);
	assert_int_equal(events(w, KSWAPD_HIGH_WMARK_HIT_QUICKLY), 1);
	assert_int_equal(events(w, PAGEOUTRUN), 2);
}

static void it_clears_the_signs_of_trouble(void **state)
{
	struct world *w = *state;
	struct lruvec *lv = w->m->root_memcg->lruvecs[0];

	settle(w);
	fill_cache(w, 3000);
	w->nd->flags = PGDAT_DIRTY | PGDAT_WRITEBACK;
	lv->flags = LRUVEC_CONGESTED;
	hold_until(w, mark(w, WMARK_LOW) - 5);
	wake(w, 0);
	settle(w);
	assert_int_equal(w->nd->flags, 0);
	assert_int_equal(lv->flags, 0);
}

static void it_swaps(void **state)
{
	struct world *w = *state;

	settle(w);
	assert_int_equal(rcl_mmap(w->m, w->mm, 0, 3000, VM_READ | VM_WRITE, NULL, 0), 0);
	for (u64 i = 0; i < 3000; i++)
		assert_int_equal(rcl_touch(w->m, w->mm, i, true), 0);
	hold_until(w, mark(w, WMARK_LOW) - 5);
	wake(w, 0);
	settle(w);
	assert_true(free_pages(w) > mark(w, WMARK_HIGH));
	assert_true(events(w, PSWPOUT) > 0);
	assert_true(w->mm->swap_ents > 0);
	assert_int_equal(events(w, OOM_KILL), 0);
}

/* ---- tasks at the reserves ----------------------------------------------------------------- */

static void those_who_wait_for_the_reserves_are_let_go(void **state)
{
	struct world *w = *state;
	u64 before;

	settle(w);
	fill_cache(w, 3000);
	hold_until(w, mark(w, WMARK_LOW) - 5);
	w->z->watermark[WMARK_MIN] = 2 * free_pages(w) + 20;
	before = rcl_now(w->m);
	/* We wait, kswapd is woken by that, frees, and wakes us: no timeout is involved. */
	assert_false(rcl_throttle_direct_reclaim(w->m, GFP_KERNEL, &w->nd->zonelist));
	assert_in_range(rcl_now(w->m) - before, 1, 200 * MS);
	assert_int_equal(events(w, PGSCAN_DIRECT_THROTTLE), 1);
	assert_true(free_pages(w) * 2 > w->z->watermark[WMARK_MIN]);
	memcpy(w->z->watermark, w->marks, sizeof(w->marks));
}

/* ---- boost --------------------------------------------------------------------------------- */

static void a_boost_is_worked_off_without_io(void **state)
{
	struct world *w = *state;
	u64 before;

	settle(w);
	fill_cache(w, 20000);
	assert_int_equal(rcl_mmap(w->m, w->mm, 0, 1000, VM_READ | VM_WRITE, NULL, 0), 0);
	for (u64 i = 0; i < 1000; i++)
		assert_int_equal(rcl_touch(w->m, w->mm, i, true), 0);
	rcl_lru_add_drain_all(w->m);
	before = free_pages(w);
	w->z->watermark_boost = 100;
	wake(w, 0);
	settle(w);
	assert_int_equal(w->z->watermark_boost, 0);
	assert_int_equal(events(w, PAGEOUTRUN), 1);
	assert_true(events(w, PGSTEAL_KSWAPD) >= 100);
	assert_true(free_pages(w) + 100 > before); /* some of it on CPUs' lists */
	assert_int_equal(events(w, PSWPOUT), 0);
	assert_int_equal(events(w, PGSCAN_ANON), 0);
	/* Priority 10 at the most: a thousandth of the list in one pass. */
	assert_in_range(events(w, PGSTEAL_FILE), 100, 100 + 20);
}

static void a_boost_that_frees_nothing_is_given_up(void **state)
{
	struct world *w = *state;

	settle(w);
	assert_int_equal(rcl_mmap(w->m, w->mm, 0, 12000, VM_READ | VM_WRITE, NULL, 0), 0);
	for (u64 i = 0; i < 12000; i++)
		assert_int_equal(rcl_touch(w->m, w->mm, i, true), 0);
	rcl_lru_add_drain_all(w->m);
	w->z->watermark_boost = 100;
	wake(w, 0);
	settle(w);
	assert_int_equal(w->z->watermark_boost, 0);
	assert_int_equal(events(w, PSWPOUT) + events(w, PGSCAN_ANON), 0); /* though there is swap */
	assert_int_equal(events(w, PAGEOUTRUN), 1);
	fill_cache(w, 9000);
	for (u64 i = 0; i < 9000; i++)
		folio_get(rcl_radix_load(w->mapping, i)); /* nothing of it can go */
	w->z->watermark_boost = 100;
	wake(w, 0);
	settle(w);
	assert_int_equal(w->z->watermark_boost, 0);
	assert_int_equal(events(w, PSWPOUT) + events(w, PGSCAN_ANON), 0);
	assert_int_equal(events(w, PAGEOUTRUN), 2);
	assert_int_equal(events(w, PGSCAN_FILE), 9000 >> DEF_PRIORITY); /* one pass */
	for (u64 i = 0; i < 9000; i++)
		folio_put(w->m, rcl_radix_load(w->mapping, i));
}

/* Being really short of memory matters more: swap and all. The boost is taken back in the end. */
static void a_shortage_overrules_the_boost(void **state)
{
	struct world *w = *state;

	settle(w);
	assert_int_equal(rcl_mmap(w->m, w->mm, 0, 3000, VM_READ | VM_WRITE, NULL, 0), 0);
	for (u64 i = 0; i < 3000; i++)
		assert_int_equal(rcl_touch(w->m, w->mm, i, true), 0);
	hold_until(w, mark(w, WMARK_LOW) - 5);
	w->z->watermark_boost = 20;
	wake(w, 0);
	settle(w);
	assert_true(events(w, PSWPOUT) > 0);
	assert_int_equal(w->z->watermark_boost, 0);
	assert_true(free_pages(w) > mark(w, WMARK_HIGH));
}

/* ---- a hopeless node ----------------------------------------------------------------------- */

static void it_gives_up_and_is_revived_by_progress(void **state)
{
	struct world *w = *state;
	s64 runs;

	settle(w);
	hold_until(w, mark(w, WMARK_LOW) - 5); /* nothing here can be reclaimed */
	wake(w, 0);
	settle(w);
	assert_int_equal(w->nd->kswapd_failures, MAX_RECLAIM_RETRIES);
	runs = events(w, PAGEOUTRUN);
	assert_int_equal(runs, MAX_RECLAIM_RETRIES);
	wake(w, 0);
	pass(w, 50 * MS);
	assert_int_equal(events(w, PAGEOUTRUN), runs);
	/* Somebody else frees something. */
	free_some(w, 50);
	fill_cache(w, 40);
	assert_true(rcl_try_to_free_pages(w->m, &w->nd->zonelist, 0, GFP_KERNEL) > 0);
	assert_int_equal(w->nd->kswapd_failures, 0);
	hold_until(w, mark(w, WMARK_LOW) - 5);
	wake(w, 0);
	pass(w, 50 * MS);
	assert_true(events(w, PAGEOUTRUN) > runs);
	settle(w);
}

/* ---- higher orders ------------------------------------------------------------------------- */

/* Every second frame free: plenty of memory, but no two frames together. */
static void fragment(struct world *w, u64 left)
{
	u32 kept = 0;

	hold_until(w, mark(w, WMARK_MIN));
	for (u32 i = 0; i < w->nr_held; i++) {
		struct folio *f = w->held[i];

		if (folio_pfn(w->m, f) & 1 || free_pages(w) > left)
			w->held[kept++] = f;
		else
			folio_put(w->m, f);
		if (!(i & 63))
			rcl_drain_all_pages(w->m);
	}
	w->nr_held = kept;
	rcl_drain_all_pages(w->m);
}

static void a_large_request_is_brought_down(void **state)
{
	struct world *w = *state;
	s64 runs, stolen;

	settle(w);
	fragment(w, 3500);
	fill_cache(w, 1500);
	assert_true(free_pages(w) > mark(w, WMARK_HIGH) + 200);
	assert_false(rcl_zone_watermark_ok(w->z, 9, mark(w, WMARK_HIGH), ZONE_NORMAL, 0));
	/* (Tree nodes are of a higher order too, and may have asked already.) */
	settle(w);
	runs = events(w, PAGEOUTRUN);
	stolen = events(w, PGSTEAL_KSWAPD);
	wake(w, 9);
	settle(w);
	/* Twice its size was freed (more than that there is not to be had), and that was it. */
	assert_int_equal(events(w, PAGEOUTRUN) - runs, 1);
	assert_in_range(events(w, PGSTEAL_KSWAPD) - stolen, 1024, 1200);
	assert_int_equal(w->nd->kswapd_failures, 0);
	assert_int_equal(w->nd->kswapd_order, 0);
}

/* ---- the end ------------------------------------------------------------------------------- */

static void it_stops_while_awake(void **state)
{
	struct world *w = *state;

	settle(w);
	fill_cache(w, 3000);
	hold_until(w, mark(w, WMARK_LOW) - 5);
	wake(w, 0); /* and at once it is told to stop, by the teardown */
}

static void wakers_leave_the_largest_request(void **state)
{
	struct world *w = *state;

	settle(w);
	rcl_wakeup_kswapd(w->z, GFP_KERNEL, 2, ZONE_DMA32);
	assert_int_equal(w->nd->kswapd_order, 2);
	assert_int_equal(w->nd->kswapd_highest_zoneidx, ZONE_DMA32);
	rcl_wakeup_kswapd(w->z, GFP_KERNEL, 1, ZONE_MOVABLE);
	assert_int_equal(w->nd->kswapd_order, 2);
	assert_int_equal(w->nd->kswapd_highest_zoneidx, ZONE_MOVABLE);
	rcl_wakeup_kswapd(w->z, GFP_KERNEL, 3, ZONE_DMA);
	assert_int_equal(w->nd->kswapd_order, 3);
	assert_int_equal(w->nd->kswapd_highest_zoneidx, ZONE_MOVABLE);
	/* A zone without memory has no kswapd to wake. */
	rcl_wakeup_kswapd(&w->nd->zones[ZONE_NORMAL], GFP_KERNEL, 7, ZONE_MOVABLE);
	assert_int_equal(w->nd->kswapd_order, 3);
	assert_int_equal(events(w, PAGEOUTRUN), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(it_sleeps_when_there_is_nothing_to_do),
		T(it_restores_the_high_watermark),
		T(an_allocation_below_the_low_watermark_wakes_it),
		T(a_request_during_the_nap_means_it_stopped_too_early),
		T(a_nap_that_ends_out_of_balance_is_short_too),
		T(it_clears_the_signs_of_trouble),
		T(it_swaps),
		T(those_who_wait_for_the_reserves_are_let_go),
		cmocka_unit_test_setup_teardown(a_boost_is_worked_off_without_io, setup_big,
						teardown),
		cmocka_unit_test_setup_teardown(a_boost_that_frees_nothing_is_given_up, setup_big,
						teardown),
		T(a_shortage_overrules_the_boost),
		T(it_gives_up_and_is_revived_by_progress),
		T(a_large_request_is_brought_down),
		T(it_stops_while_awake),
		T(wakers_leave_the_largest_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
