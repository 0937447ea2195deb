/* SPDX-License-Identifier: MIT */
/* How much of each list is scanned: the decisions of a pass, the four balances, proportions. */
#include "core_world.h"

CORE_SETUP(setup, 1, 16384, 0)
CORE_SETUP(setup_swap, 1, 16384, 8192)

static struct scan_control request(struct core *c, int priority)
{
	return (struct scan_control){
		.nr_to_reclaim = SWAP_CLUSTER_MAX,
		.gfp = GFP_KERNEL,
		.target = c->group,
		.priority = priority,
		.reclaim_idx = MAX_NR_ZONES - 1,
		.may_writepage = true,
		.may_unmap = true,
		.may_swap = true,
	};
}

/* Lists that look this long to whoever decides; nothing may be scanned meanwhile. */
static void pretend(struct core *c, u64 inactive_anon, u64 active_anon, u64 inactive_file,
		    u64 active_file)
{
	s64 want[] = {(s64)inactive_anon, (s64)active_anon, (s64)inactive_file, (s64)active_file};

	spin_lock(&c->lv->lru_lock);
	for_each_evictable_lru (l)
		rcl_update_lru_size(c->lv, l, ZONE_DMA32, want[l] - list_size(c, l));
	spin_unlock(&c->lv->lru_lock);
}
static void stop_pretending(struct core *c)
{
	pretend(c, 0, 0, 0, 0);
}
static void count_activated(struct core *c, bool file)
{
	rcl_mod_lruvec_state(c->lv, (enum node_stat_item)(WORKINGSET_ACTIVATE_ANON + file), 1);
}

/* ---- is the inactive list low? ------------------------------------------------------------- */

static void the_inactive_list_shrinks_in_proportion_to_memory(void **state)
{
	/* Sizes in GiB together, and how many active pages one inactive page stands for. */
	static const struct {
		u64 gib, ratio;
	} cases[] = {{0, 1}, {1, 3}, {2, 4}, {10, 10}, {100, 31}, {1000, 100}, {1024, 101}};
	struct core *c = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 total = cases[i].gib ? cases[i].gib << 18 : 2000;
		u64 inactive = total / (cases[i].ratio + 1) + 1;

		pretend(c, inactive, total - inactive, inactive, total - inactive);
		assert_false(rcl_inactive_is_low(c->lv, LRU_INACTIVE_ANON));
		assert_false(rcl_inactive_is_low(c->lv, LRU_INACTIVE_FILE));
		pretend(c, inactive - 2, total - inactive + 2, 0, 0);
		assert_true(rcl_inactive_is_low(c->lv, LRU_INACTIVE_ANON));
		assert_false(rcl_inactive_is_low(c->lv, LRU_INACTIVE_FILE)); /* none at all */
	}
	stop_pretending(c);
}

static void equal_is_not_low(void **state)
{
	struct core *c = *state;

	pretend(c, 100, 100, 99, 100);
	assert_false(rcl_inactive_is_low(c->lv, LRU_INACTIVE_ANON));
	assert_true(rcl_inactive_is_low(c->lv, LRU_INACTIVE_FILE));
	stop_pretending(c);
}

/* ---- the decisions of a pass --------------------------------------------------------------- */

static u32 may_deactivate(struct core *c, struct scan_control *sc)
{
	rcl_prepare_scan_count(c->m, c->m->nodes, sc);
	return sc->may_deactivate;
}

static void active_lists_are_aged_when_inactive_ones_are_low(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, DEF_PRIORITY);

	pretend(c, 100, 100, 100, 100);
	assert_int_equal(may_deactivate(c, &sc), 0);
	pretend(c, 99, 100, 100, 100);
	assert_int_equal(may_deactivate(c, &sc), DEACTIVATE_ANON);
	pretend(c, 100, 100, 99, 100);
	assert_int_equal(may_deactivate(c, &sc), DEACTIVATE_FILE);
	pretend(c, 100, 100, 100, 100);
	sc.force_deactivate = true;
	assert_int_equal(may_deactivate(c, &sc), DEACTIVATE_ANON | DEACTIVATE_FILE);
	stop_pretending(c);
}

static void refaults_into_the_active_list_age_it(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, DEF_PRIORITY);

	pretend(c, 100, 100, 100, 100);
	count_activated(c, true);
	assert_int_equal(may_deactivate(c, &sc), DEACTIVATE_FILE);
	count_activated(c, false);
	assert_int_equal(may_deactivate(c, &sc), DEACTIVATE_ANON | DEACTIVATE_FILE);
	/* Until the end of a reclaim takes note. */
	rcl_snapshot_refaults(c->m, c->group, c->m->nodes);
	assert_int_equal(may_deactivate(c, &sc), 0);
	/* Each target has notes of its own. */
	sc.target = NULL;
	assert_int_equal(may_deactivate(c, &sc), DEACTIVATE_ANON | DEACTIVATE_FILE);
	stop_pretending(c);
}

static void cache_is_trimmed_first_while_there_is_plenty(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 4);

	pretend(c, 100, 100, 16, 10);
	rcl_prepare_scan_count(c->m, c->m->nodes, &sc);
	assert_true(sc.cache_trim_mode);
	pretend(c, 100, 100, 15, 10); /* nothing left of it at this priority */
	rcl_prepare_scan_count(c->m, c->m->nodes, &sc);
	assert_false(sc.cache_trim_mode);
	pretend(c, 100, 100, 16, 10);
	count_activated(c, true); /* the cache is thrashing */
	rcl_prepare_scan_count(c->m, c->m->nodes, &sc);
	assert_false(sc.cache_trim_mode);
	stop_pretending(c);
}

static void the_file_cache_can_be_too_small_to_be_worth_it(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 4);
	struct zone *z = &c->m->nodes[0].zones[ZONE_DMA32];
	u64 free = (u64)zone_page_state(z, NR_FREE_PAGES);
	u64 before = z->watermark[WMARK_HIGH];

	sc.target = NULL;
	z->watermark[WMARK_HIGH] = free + 50;
	pretend(c, 100, 100, 20, 30);
	rcl_prepare_scan_count(c->m, c->m->nodes, &sc);
	assert_true(sc.file_is_tiny);
	pretend(c, 100, 100, 21, 30);
	rcl_prepare_scan_count(c->m, c->m->nodes, &sc);
	assert_false(sc.file_is_tiny);
	/* With little anonymous memory, or while it is thrashing, it is plain shortage. */
	pretend(c, 15, 15, 20, 30);
	rcl_prepare_scan_count(c->m, c->m->nodes, &sc);
	assert_false(sc.file_is_tiny);
	pretend(c, 100, 101, 20, 30);
	rcl_prepare_scan_count(c->m, c->m->nodes, &sc);
	assert_false(sc.file_is_tiny);
	/* A group has no watermarks. */
	pretend(c, 100, 100, 20, 30);
	sc.target = c->group;
	rcl_prepare_scan_count(c->m, c->m->nodes, &sc);
	assert_false(sc.file_is_tiny);
	z->watermark[WMARK_HIGH] = before;
	stop_pretending(c);
}

static void costs_are_those_of_the_target(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 4);

	pretend(c, 1000, 1000, 1000, 1000);
	rcl_lru_note_cost(c->m, c->lv, false, 3);
	rcl_lru_note_cost(c->m, c->lv, true, 5);
	rcl_lru_note_cost(c->m, c->m->root_memcg->lruvecs[0], true, 7);
	rcl_prepare_scan_count(c->m, c->m->nodes, &sc);
	assert_int_equal(sc.anon_cost, 3);
	assert_int_equal(sc.file_cost, 5);
	sc.target = NULL;
	rcl_prepare_scan_count(c->m, c->m->nodes, &sc);
	assert_int_equal(sc.anon_cost, 3);
	assert_int_equal(sc.file_cost, 12);
	stop_pretending(c);
}

/* ---- the four balances --------------------------------------------------------------------- */

static void assert_scan(struct core *c, struct scan_control *sc, u64 inactive_anon, u64 active_anon,
			u64 inactive_file, u64 active_file)
{
	u64 nr[NR_LRU_LISTS];

	rcl_get_scan_count(c->m, c->lv, sc, nr);
	assert_int_equal(nr[LRU_INACTIVE_ANON], inactive_anon);
	assert_int_equal(nr[LRU_ACTIVE_ANON], active_anon);
	assert_int_equal(nr[LRU_INACTIVE_FILE], inactive_file);
	assert_int_equal(nr[LRU_ACTIVE_FILE], active_file);
	assert_int_equal(nr[LRU_UNEVICTABLE], 0);
}

static void without_swap_files_are_scanned(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 4);

	pretend(c, 1600, 800, 400, 200);
	sc.file_is_tiny = true;
	assert_scan(c, &sc, 0, 0, 25, 12);
	sc.priority = 0;
	assert_scan(c, &sc, 0, 0, 400, 200);
	stop_pretending(c);
}

static void files_are_scanned_when_swapping_is_forbidden(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 4);

	pretend(c, 1600, 800, 400, 200);
	sc.may_swap = false;
	assert_scan(c, &sc, 0, 0, 25, 12);
	sc.may_swap = true;
	/* A group with swappiness 0 never swaps; the machine does as a last resort. */
	c->m->tun.swappiness = 0;
	assert_scan(c, &sc, 0, 0, 25, 12);
	sc.priority = 0;
	assert_scan(c, &sc, 0, 0, 400, 200);
	sc.target = NULL;
	sc.file_is_tiny = true;
	assert_scan(c, &sc, 1600, 800, 0, 0);
	stop_pretending(c);
}

static void the_last_resort_takes_all(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 0);

	pretend(c, 1600, 800, 400, 200);
	sc.cache_trim_mode = true;
	sc.file_cost = 1000;
	assert_scan(c, &sc, 1600, 800, 400, 200);
	stop_pretending(c);
}

static void a_tiny_cache_is_spared(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 3);

	pretend(c, 1600, 800, 400, 200);
	sc.file_is_tiny = sc.cache_trim_mode = true;
	assert_scan(c, &sc, 200, 100, 0, 0);
	sc.file_is_tiny = false;
	assert_scan(c, &sc, 0, 0, 50, 25);
	stop_pretending(c);
}

static void otherwise_swappiness_and_cost_weigh(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 0);

	sc.priority = 1;
	pretend(c, 20000, 0, 20000, 0);
	/* No cost known: 60 to 140. */
	assert_scan(c, &sc, 3000, 0, 7000, 0);
	c->m->tun.swappiness = 100;
	assert_scan(c, &sc, 5000, 0, 5000, 0);
	c->m->tun.swappiness = 200;
	assert_scan(c, &sc, 10000, 0, 0, 0);
	c->m->tun.swappiness = 100;
	/* Only swapping cost anything, but anonymous pages still get a third of the pressure. */
	sc.anon_cost = 1000000;
	assert_scan(c, &sc, 3325, 0, 6674, 0);
	/* And the other way round. */
	sc.anon_cost = 0;
	sc.file_cost = 1000000;
	assert_scan(c, &sc, 6674, 0, 3325, 0);
	/* Twice the cost is damped by the sum to 5 : 4, so the pressure is 9/4 : 9/5. */
	sc.anon_cost = 1000;
	sc.file_cost = 2000;
	assert_scan(c, &sc, 10000 * 224 / (224 + 179), 0, 10000 * 179 / (224 + 179), 0);
	stop_pretending(c);
}

static void pages_of_higher_zones_do_not_count(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 1);

	pretend(c, 0, 0, 1000, 500);
	sc.may_swap = false;
	sc.reclaim_idx = ZONE_DMA;
	assert_scan(c, &sc, 0, 0, 0, 0);
	sc.reclaim_idx = ZONE_DMA32;
	assert_scan(c, &sc, 0, 0, 500, 250);
	stop_pretending(c);
}

/* What a deleted group left behind is scraped out, down to the last page. */
static void a_deleted_group_is_scanned_to_the_end(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, DEF_PRIORITY);

	pretend(c, 10, 0, 3, 100);
	assert_scan(c, &sc, 0, 0, 0, 0);
	c->group->online = false;
	assert_scan(c, &sc, 3, 0, 3, 23); /* of 10, 3 and 32, and rounded up */
	c->group->online = true;
	stop_pretending(c);
}

/* ---- proportions --------------------------------------------------------------------------- */

/* Fill the lists for real: clean file pages and anonymous pages, all inactive and unused. */
static void fill(struct core *c, u64 anon, u64 file)
{
	set_random_reads(c);
	for (u64 i = 0; i < file; i++)
		read_file(c, i, 1);
	map_anon(c, 0, anon);
	touch_all(c, 0, anon, true);
	rcl_lru_add_drain(c->m);
	for (u64 i = 0; i < anon; i++)
		*rcl_pte_lookup(c->mm, i) &= ~PTE_ACCESSED;
	for (u64 i = 0; i < file; i++)
		folio_clear(cached(c, i), PG_referenced);
	assert_int_equal(list_size(c, LRU_INACTIVE_ANON), anon);
	assert_int_equal(list_size(c, LRU_INACTIVE_FILE), file);
}
/* Once enough is freed the smaller kind is left alone and the larger one gets what it still owes.
 */
static void both_kinds_are_scanned_in_proportion(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 1);

	fill(c, 400, 480);
	c->m->tun.swappiness = 100;
	count_activated(c, true); /* no trimming: fractions */
	rcl_shrink_node(c->m, c->m->nodes, &sc);
	/*
	 * The plan: 100 anonymous, 120 file. After the first round (32 of each) enough is freed: 68
	 * of 101 are left for anonymous pages, 67%, so the files are trimmed to 33% of 120.
	 */
	assert_int_equal(events_of(c, PGSCAN_ANON), 32);
	assert_int_equal(events_of(c, PGSCAN_FILE), 39);
}

static void proportions_are_put_right_once(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 1);

	fill(c, 400, 1600);
	c->m->tun.swappiness = 100;
	count_activated(c, true);
	rcl_shrink_node(c->m, c->m->nodes, &sc);
	/* 33% of 400 would be 132, but after one more round one kind is done, and that is the end.
	 */
	assert_int_equal(events_of(c, PGSCAN_ANON), 32);
	assert_int_equal(events_of(c, PGSCAN_FILE), 64);
}

static void the_larger_kind_may_be_the_anonymous_one(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 1);

	fill(c, 480, 400);
	c->m->tun.swappiness = 100;
	count_activated(c, true);
	rcl_shrink_node(c->m, c->m->nodes, &sc);
	assert_int_equal(events_of(c, PGSCAN_FILE), 32);
	assert_int_equal(events_of(c, PGSCAN_ANON), 39);
}

static void nothing_is_owed_if_one_kind_is_done(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 1);

	fill(c, 64, 1600);
	c->m->tun.swappiness = 100;
	count_activated(c, true);
	rcl_shrink_node(c->m, c->m->nodes, &sc);
	/* 16 anonymous pages are all of the plan: after the first round they are done. */
	assert_int_equal(events_of(c, PGSCAN_ANON), 16);
	assert_int_equal(events_of(c, PGSCAN_FILE), 32);
}

static void the_first_pass_of_direct_reclaim_does_the_whole_plan(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, DEF_PRIORITY);

	fill(c, 0 + 1, 1600);
	sc.target = NULL;
	sc.priority = DEF_PRIORITY;
	sc.nr_to_reclaim = 1;
	rcl_shrink_node(c->m, c->m->nodes, &sc);
	assert_int_equal(events_of(c, PGSCAN_FILE), 0); /* 1600 >> 12 */
	/* At the next priority it stops when enough is freed. */
	sc.priority = 3;
	rcl_shrink_node(c->m, c->m->nodes, &sc);
	assert_int_equal(events_of(c, PGSCAN_FILE), 32);
	/* As kswapd does at any. */
	c->w->task.flags |= PF_KSWAPD;
	sc.nr_reclaimed = 0;
	rcl_shrink_node(c->m, c->m->nodes, &sc);
	assert_int_equal(events_of(c, PGSCAN_FILE), 64);
	c->w->task.flags &= ~(u32)PF_KSWAPD;
}

static void anonymous_pages_are_aged_even_if_none_are_wanted(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 2);

	fill(c, 200, 400);
	for (u64 i = 0; i < 200; i++)
		rcl_folio_activate(c->m, folio_at(c, i));
	rcl_lru_add_drain(c->m);
	assert_int_equal(list_size(c, LRU_ACTIVE_ANON), 200);
	sc.may_swap = false;
	rcl_shrink_node(c->m, c->m->nodes, &sc);
	assert_int_equal(events_of(c, PGSCAN_ANON), 0);
	assert_int_equal(list_size(c, LRU_ACTIVE_ANON), 200 - 32);
	assert_int_equal(list_size(c, LRU_INACTIVE_ANON), 32);
	assert_int_equal(group_events(c, PGREFILL), 32);
	assert_int_equal(events_of(c, PGREFILL), 0);
	assert_int_equal(events_of(c, PGDEACTIVATE), 32);
}

static void an_active_list_that_may_not_be_aged_is_remembered(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 1);

	fill(c, 1, 300);
	for (u64 i = 0; i < 100; i++)
		rcl_folio_activate(c->m, cached(c, i));
	rcl_lru_add_drain(c->m);
	rcl_shrink_node(c->m, c->m->nodes, &sc);
	assert_true(sc.skipped_deactivate);
	assert_int_equal(list_size(c, LRU_ACTIVE_FILE), 100);
	sc.force_deactivate = true;
	rcl_shrink_node(c->m, c->m->nodes, &sc);
	assert_in_range(list_size(c, LRU_ACTIVE_FILE), 50, 99);
}

/* ---- one batch of a list ------------------------------------------------------------------- */

static void demoted_folios_are_marked_and_code_stays(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 1);
	s64 age;

	set_random_reads(c);
	map_file(c, 0, 2, 0, VM_READ | VM_EXEC);
	map_file(c, 100, 2, 10, VM_READ);
	for (u64 i = 0; i < 2; i++) {
		assert_int_equal(touch(c, i, false), 0);
		assert_int_equal(touch(c, 100 + i, false), 0);
	}
	rcl_lru_add_drain(c->m);
	*rcl_pte_lookup(c->mm, 1) &= ~PTE_ACCESSED; /* code that is not used */
	for (u64 i = 0; i < 2; i++) {
		rcl_folio_activate(c->m, cached(c, i));
		rcl_folio_activate(c->m, cached(c, 10 + i));
	}
	rcl_lru_add_drain(c->m);
	assert_int_equal(list_size(c, LRU_ACTIVE_FILE), 4);
	age = c->lv->nonresident_age;
	rcl_shrink_active_list(c->m, 10, c->lv, &sc, LRU_ACTIVE_FILE);
	assert_int_equal(list_size(c, LRU_ACTIVE_FILE), 1);
	assert_true(folio_test(cached(c, 0), PG_active));
	assert_false(folio_test(cached(c, 0), PG_workingset));
	for (u64 i = 0; i < 2; i++) {
		assert_false(folio_test(cached(c, 10 + i), PG_active));
		assert_true(folio_test(cached(c, 10 + i), PG_workingset));
		assert_false(pte_at(c, 100 + i) & PTE_ACCESSED);
	}
	assert_int_equal(group_events(c, PGREFILL), 4);
	assert_int_equal(group_events(c, PGDEACTIVATE), 3);
	/* A folio that returns to the active list moves the inactive pages on. */
	assert_int_equal(c->lv->nonresident_age, age + 1);
	assert_int_equal(lone_node_stat(c->w, NR_ISOLATED_FILE), 0);
}

static void zones_out_of_reach_are_skipped(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 0);

	fill(c, 1, 40);
	sc.reclaim_idx = ZONE_DMA;
	assert_int_equal(rcl_shrink_inactive_list(c->m, 10, c->lv, &sc, LRU_INACTIVE_FILE), 0);
	assert_int_equal(events_of(c, PGSCAN_SKIP_DMA32),
			 40); /* skipping does not count as scanning */
	assert_int_equal(list_size(c, LRU_INACTIVE_FILE), 40);
	assert_int_equal(group_events(c, PGSCAN_DIRECT), 40);
	/* The order is kept among the skipped. */
	assert_ptr_equal(list_last_entry(&c->lv->lists[LRU_INACTIVE_FILE], struct folio, lru),
			 cached(c, 0));
}

static void mapped_folios_turn_if_unmapping_is_not_allowed(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 0);

	set_random_reads(c);
	map_file(c, 0, 4, 0, VM_READ);
	touch_all(c, 0, 4, false);
	rcl_lru_add_drain(c->m);
	sc.may_unmap = false;
	assert_int_equal(rcl_shrink_inactive_list(c->m, 4, c->lv, &sc, LRU_INACTIVE_FILE), 0);
	assert_int_equal(group_events(c, PGSCAN_DIRECT), 4);
	assert_int_equal(list_size(c, LRU_INACTIVE_FILE), 4);
	assert_true(pte_at(c, 0) & PTE_ACCESSED);
}

static void who_counts_what(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 0);

	fill(c, 1, 100);
	assert_int_equal(rcl_shrink_inactive_list(c->m, 10, c->lv, &sc, LRU_INACTIVE_FILE), 10);
	assert_int_equal(events_of(c, PGSCAN_DIRECT) + events_of(c, PGSTEAL_DIRECT), 0);
	assert_int_equal(group_events(c, PGSCAN_DIRECT), 10);
	assert_int_equal(group_events(c, PGSTEAL_DIRECT), 10);
	assert_int_equal(events_of(c, PGSCAN_FILE), 10);
	assert_int_equal(events_of(c, PGSTEAL_FILE), 10);
	sc.target = NULL;
	rcl_shrink_inactive_list(c->m, 10, c->lv, &sc, LRU_INACTIVE_FILE);
	assert_int_equal(events_of(c, PGSCAN_DIRECT), 10);
	assert_int_equal(events_of(c, PGSTEAL_DIRECT), 10);
	c->w->task.flags |= PF_KSWAPD;
	rcl_shrink_inactive_list(c->m, 10, c->lv, &sc, LRU_INACTIVE_FILE);
	c->w->task.flags &= ~(u32)PF_KSWAPD;
	assert_int_equal(events_of(c, PGSTEAL_KSWAPD), 10);
	assert_int_equal(events_of(c, PGSTEAL_DIRECT), 10);
	assert_int_equal(group_events(c, PGSCAN_KSWAPD), 10);
	assert_int_equal(sc.nr.taken, 30);
	assert_int_equal(sc.nr.file_taken, 30);
	assert_int_equal(list_size(c, LRU_INACTIVE_FILE), 70);
}

static void writing_out_costs(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 0);

	fill(c, 200, 1);
	rcl_shrink_inactive_list(c->m, 20, c->lv, &sc, LRU_INACTIVE_ANON);
	assert_int_equal(c->lv->anon_cost, 20);
	assert_int_equal(c->lv->file_cost, 0);
}

/* A folio whose last other reference went while it was isolated is freed by who puts it back. */
static void an_isolated_folio_may_be_ours_alone(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c, 0);
	struct folio *f[4];
	s64 usage;

	for (int i = 0; i < 4; i++)
		f[i] = listed_folio(c, 0);
	usage = c->group->usage;
	/* Without mapping they cannot be reclaimed; and without our reference they are nobody's. */
	for (int i = 0; i < 4; i++)
		folio_get(f[i]);
	rcl_shrink_inactive_list(c->m, 4, c->lv, &sc, LRU_INACTIVE_FILE);
	assert_int_equal(list_size(c, LRU_INACTIVE_FILE), 4);
	for (int i = 0; i < 4; i++) {
		folio_put(c->m, f[i]);
		folio_put(c->m, f[i]);
	}
	assert_int_equal(list_size(c, LRU_INACTIVE_FILE), 0);
	assert_int_equal(c->group->usage, usage - 4);
}

int main(void)
{
#define T(f)  cmocka_unit_test_setup_teardown(f, setup, core_teardown)
#define TS(f) cmocka_unit_test_setup_teardown(f, setup_swap, core_teardown)
	const struct CMUnitTest tests[] = {
		T(the_inactive_list_shrinks_in_proportion_to_memory),
		T(equal_is_not_low),
		T(active_lists_are_aged_when_inactive_ones_are_low),
		T(refaults_into_the_active_list_age_it),
		T(cache_is_trimmed_first_while_there_is_plenty),
		T(the_file_cache_can_be_too_small_to_be_worth_it),
		T(costs_are_those_of_the_target),
		T(without_swap_files_are_scanned),
		TS(files_are_scanned_when_swapping_is_forbidden),
		TS(the_last_resort_takes_all),
		TS(a_tiny_cache_is_spared),
		TS(otherwise_swappiness_and_cost_weigh),
		T(pages_of_higher_zones_do_not_count),
		TS(a_deleted_group_is_scanned_to_the_end),
		TS(both_kinds_are_scanned_in_proportion),
		TS(proportions_are_put_right_once),
		TS(the_larger_kind_may_be_the_anonymous_one),
		TS(nothing_is_owed_if_one_kind_is_done),
		TS(the_first_pass_of_direct_reclaim_does_the_whole_plan),
		TS(anonymous_pages_are_aged_even_if_none_are_wanted),
		TS(an_active_list_that_may_not_be_aged_is_remembered),
		T(demoted_folios_are_marked_and_code_stays),
		T(zones_out_of_reach_are_skipped),
		T(mapped_folios_turn_if_unmapping_is_not_allowed),
		T(who_counts_what),
		TS(writing_out_costs),
		T(an_isolated_folio_may_be_ours_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
