/* SPDX-License-Identifier: MIT */
/* When a reclaimer must wait: reasons, limits, who is excused, what wakes. */
#include "core_world.h"

CORE_SETUP(setup, 1, 8192, 0)
CORE_SETUP(setup_swap, 1, 8192, 64)

#define MS RCL_NSEC_PER_MSEC

static struct node *node0(struct core *c)
{
	return c->m->nodes;
}
static u64 waited(struct core *c, enum vmscan_throttle reason)
{
	u64 before = c->w->plat.now;

	rcl_reclaim_throttle(c->m, node0(c), reason);
	assert_int_equal(node0(c)->reclaim_waiters[reason], 0);
	assert_int_equal(node0(c)->nr_writeback_throttled, 0);
	return c->w->plat.now - before;
}
/* Page cache of which this much waits to be written. */
static void fill_cache(struct core *c, u64 pages, u64 dirty)
{
	u64 stamp = 1;

	set_random_reads(c);
	for (u64 i = 0; i < pages; i++)
		read_file(c, i, 1);
	for (u64 i = 0; i < dirty; i++)
		assert_int_equal(rcl_file_write(c->m, &c->file, i, 1, stamp++), 0);
	rcl_lru_add_drain(c->m);
}

/* ---- reasons ------------------------------------------------------------------------------- */

static void each_reason_has_its_limit(void **state)
{
	struct core *c = *state;

	assert_int_equal(waited(c, VMSCAN_THROTTLE_WRITEBACK), 100 * MS);
	assert_int_equal(waited(c, VMSCAN_THROTTLE_ISOLATED), 20 * MS);
	fill_cache(c, 100, 60);
	assert_int_equal(waited(c, VMSCAN_THROTTLE_CONGESTED), 4 * MS); /* a tick of 250 Hz */
	assert_int_equal(waited(c, VMSCAN_THROTTLE_NOPROGRESS), 4 * MS);
	c->m->tun.hz = 1000;
	assert_int_equal(waited(c, VMSCAN_THROTTLE_NOPROGRESS), 1 * MS);
	assert_int_equal(waited(c, VMSCAN_THROTTLE_ISOLATED), 20 * MS);
}

static void nobody_waits_while_there_is_enough_that_is_clean(void **state)
{
	struct core *c = *state;

	fill_cache(c, 100, 50);
	assert_int_equal(waited(c, VMSCAN_THROTTLE_NOPROGRESS), 0); /* half of it */
	assert_int_equal(waited(c, VMSCAN_THROTTLE_CONGESTED), 0);
	fill_cache(c, 100, 51);
	assert_int_equal(waited(c, VMSCAN_THROTTLE_NOPROGRESS), 4 * MS);
	node0(c)->kswapd_failures = MAX_RECLAIM_RETRIES; /* nearly out of memory: get on with it */
	assert_int_equal(waited(c, VMSCAN_THROTTLE_NOPROGRESS), 0);
}

static void swap_makes_anonymous_pages_reclaimable(void **state)
{
	struct core *c = *state;

	fill_cache(c, 100, 60);
	map_anon(c, 0, 30);
	touch_all(c, 0, 30, true);
	rcl_lru_add_drain(c->m);
	assert_int_equal(waited(c, VMSCAN_THROTTLE_NOPROGRESS), 0);
	assert_int_equal(rcl_zone_reclaimable_pages(&node0(c)->zones[ZONE_DMA32]), 130);
}

static void the_machines_own_tasks_are_excused_but_for_kswapd(void **state)
{
	struct core *c = *state;

	c->w->task.flags |= PF_KTHREAD;
	assert_int_equal(waited(c, VMSCAN_THROTTLE_WRITEBACK), 0);
	c->w->task.flags |= PF_KSWAPD;
	assert_int_equal(waited(c, VMSCAN_THROTTLE_WRITEBACK), 100 * MS);
	c->w->task.flags = 0;
}

/* ---- what wakes ---------------------------------------------------------------------------- */

static void waiters_on_writeback_wake_after_enough_of_it(void **state)
{
	struct core *c = *state;
	struct node *nd = node0(c);
	u32 *word = &nd->reclaim_wait[VMSCAN_THROTTLE_WRITEBACK], before = *word;

	mod_node_state(nd, NR_THROTTLED_WRITTEN, 1000);
	waited(c, VMSCAN_THROTTLE_WRITEBACK); /* the first takes note of where it began */
	assert_int_equal(nd->nr_reclaim_start, 1000);
	nd->reclaim_waiters[VMSCAN_THROTTLE_WRITEBACK] = 2;
	nd->nr_writeback_throttled = 2;
	for (int i = 0; i < 64; i++)
		rcl_acct_reclaim_writeback(c->m, nd);
	assert_int_equal(*word, before);
	rcl_acct_reclaim_writeback(c->m, nd);
	assert_int_equal(*word, before + 1);
	nd->reclaim_waiters[VMSCAN_THROTTLE_WRITEBACK] = 0;
	nd->nr_writeback_throttled = 0;
}

static void waking_nobody_costs_nothing(void **state)
{
	struct core *c = *state;
	u32 before = node0(c)->reclaim_wait[VMSCAN_THROTTLE_NOPROGRESS];

	rcl_wake_throttled(c->m, node0(c), VMSCAN_THROTTLE_NOPROGRESS);
	assert_int_equal(node0(c)->reclaim_wait[VMSCAN_THROTTLE_NOPROGRESS], before);
}

static void progress_wakes_those_without(void **state)
{
	struct core *c = *state;
	struct node *nd = node0(c);
	u32 *word = &nd->reclaim_wait[VMSCAN_THROTTLE_NOPROGRESS], before = *word;

	fill_cache(c, 200, 0);
	nd->reclaim_waiters[VMSCAN_THROTTLE_NOPROGRESS] = 1;
	assert_true(rcl_memcg_reclaim(c->m, c->group, 32 * PAGE_SIZE) > 0);
	assert_true(*word > before);
	nd->reclaim_waiters[VMSCAN_THROTTLE_NOPROGRESS] = 0;
}

/* ---- too many isolated --------------------------------------------------------------------- */

static struct scan_control request(struct core *c)
{
	return (struct scan_control){.gfp = GFP_KERNEL,
				     .target = c->group,
				     .reclaim_idx = MAX_NR_ZONES - 1,
				     .may_unmap = true};
}

static void too_many_isolated_pages_stall_once(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c);
	u64 before;

	fill_cache(c, 160, 0);
	mod_node_state(node0(c), NR_ISOLATED_FILE, 20); /* an eighth */
	before = c->w->plat.now;
	assert_true(rcl_shrink_inactive_list(c->m, 1, c->lv, &sc, LRU_INACTIVE_FILE) == 1);
	assert_int_equal(c->w->plat.now, before);
	assert_int_equal(rcl_shrink_inactive_list(c->m, 1, c->lv, &sc, LRU_INACTIVE_FILE), 0);
	assert_int_equal(c->w->plat.now, before + 20 * MS);
	/* Who may not start I/O is allowed as many as there are left; kswapd any number. */
	sc.gfp = GFP_NOFS;
	assert_int_equal(rcl_shrink_inactive_list(c->m, 1, c->lv, &sc, LRU_INACTIVE_FILE), 1);
	sc.gfp = GFP_KERNEL;
	c->w->task.flags |= PF_KSWAPD;
	assert_int_equal(rcl_shrink_inactive_list(c->m, 1, c->lv, &sc, LRU_INACTIVE_FILE), 1);
	c->w->task.flags = PF_KILLED; /* about to free its memory: not held up any longer */
	assert_int_equal(rcl_shrink_inactive_list(c->m, 1, c->lv, &sc, LRU_INACTIVE_FILE),
			 SWAP_CLUSTER_MAX);
	c->w->task.flags = 0;
	mod_node_state(node0(c), NR_ISOLATED_FILE, -20);
}

/* ---- the reserves -------------------------------------------------------------------------- */

static struct zone *zone0(struct core *c)
{
	return &node0(c)->zones[ZONE_DMA32];
}
/* Make the reserves look used up, or not. */
static void set_reserve(struct core *c, bool low)
{
	zone0(c)->watermark[WMARK_MIN] =
		(u64)zone_page_state(zone0(c), NR_FREE_PAGES) * 2 - (low ? 0 : 2);
}

static void half_of_the_min_watermark_must_be_free(void **state)
{
	struct core *c = *state;
	u64 mark = zone0(c)->watermark[WMARK_MIN];

	fill_cache(c, 10, 0);
	set_reserve(c, false);
	assert_true(rcl_allow_direct_reclaim(c->m, node0(c)));
	set_reserve(c, true);
	assert_false(rcl_allow_direct_reclaim(c->m, node0(c)));
	node0(c)->kswapd_failures = MAX_RECLAIM_RETRIES; /* it would be waiting for nobody */
	assert_true(rcl_allow_direct_reclaim(c->m, node0(c)));
	node0(c)->kswapd_failures = 0;
	/* Zones without anything to reclaim have no say. */
	rcl_memcg_reclaim(c->m, c->group, 10 * PAGE_SIZE);
	assert_int_equal(rcl_zone_reclaimable_pages(zone0(c)), 0);
	assert_true(rcl_allow_direct_reclaim(c->m, node0(c)));
	zone0(c)->watermark[WMARK_MIN] = mark;
}

static void whoever_waits_wakes_kswapd(void **state)
{
	struct core *c = *state;
	struct node *nd = node0(c);
	u64 mark = zone0(c)->watermark[WMARK_MIN];
	u32 word = nd->kswapd_wait;

	fill_cache(c, 10, 0);
	set_reserve(c, true);
	nd->kswapd_highest_zoneidx = MAX_NR_ZONES;
	rcl_allow_direct_reclaim(c->m, nd);
	assert_int_equal(nd->kswapd_wait, word); /* it is awake */
	nd->kswapd_asleep = true;
	rcl_allow_direct_reclaim(c->m, nd);
	assert_int_equal(nd->kswapd_wait, word + 1);
	assert_int_equal(nd->kswapd_highest_zoneidx, ZONE_NORMAL);
	nd->kswapd_asleep = false;
	zone0(c)->watermark[WMARK_MIN] = mark;
}

/* While the task waits, time passes and perhaps something happens. */
static struct core *waiting;
static int waits_left;
static void (*meanwhile)(struct core *c);
static int wait_and_see(struct platform *p, u32 *word, u32 value, u64 timeout_ns, bool io)
{
	if (*word != value)
		return -EAGAIN;
	(void)io;
	p->now += timeout_ns;
	if (--waits_left == 0)
		meanwhile(waiting);
	return -ETIMEDOUT;
}
static void on_wait(struct core *c, int nth, void (*what)(struct core *c))
{
	core_ops = lone_ops;
	core_ops.wait_on = wait_and_see;
	c->w->plat.ops = &core_ops;
	waiting = c;
	waits_left = nth;
	meanwhile = what;
}
static void refill(struct core *c)
{
	set_reserve(c, false);
}
static void kill_it(struct core *c)
{
	c->w->task.flags |= PF_KILLED;
}
static struct zonelist *zonelist(struct core *c)
{
	return &node0(c)->zonelist;
}

static void a_task_waits_until_the_reserves_are_back(void **state)
{
	struct core *c = *state;
	u64 mark = zone0(c)->watermark[WMARK_MIN], before = c->w->plat.now;

	fill_cache(c, 10, 0);
	assert_false(rcl_throttle_direct_reclaim(c->m, GFP_KERNEL, zonelist(c)));
	assert_int_equal(events_of(c, PGSCAN_DIRECT_THROTTLE), 0);
	set_reserve(c, true);
	on_wait(c, 5, refill);
	before = c->w->plat.now;
	assert_false(rcl_throttle_direct_reclaim(c->m, GFP_KERNEL, zonelist(c)));
	assert_int_equal(events_of(c, PGSCAN_DIRECT_THROTTLE), 1);
	assert_int_equal(waits_left, 0);
	assert_int_equal(c->w->plat.now, before + 5 * RCL_NSEC_PER_SEC);
	zone0(c)->watermark[WMARK_MIN] = mark;
}

static void in_a_filesystem_it_waits_a_second(void **state)
{
	struct core *c = *state;
	u64 mark = zone0(c)->watermark[WMARK_MIN], before;

	fill_cache(c, 10, 0);
	set_reserve(c, true);
	on_wait(c, 1000, refill);
	before = c->w->plat.now;
	assert_false(rcl_throttle_direct_reclaim(c->m, GFP_NOFS, zonelist(c)));
	assert_int_equal(c->w->plat.now, before + RCL_NSEC_PER_SEC);
	zone0(c)->watermark[WMARK_MIN] = mark;
}

static void a_killed_task_need_not_reclaim(void **state)
{
	struct core *c = *state;
	u64 mark = zone0(c)->watermark[WMARK_MIN];

	fill_cache(c, 10, 0);
	set_reserve(c, true);
	on_wait(c, 2, kill_it);
	assert_int_equal(rcl_try_to_free_pages(c->m, zonelist(c), 0, GFP_KERNEL), 1);
	assert_int_equal(events_of(c, PGSCAN_DIRECT), 0);
	assert_int_equal(events_of(c, ALLOCSTALL_NORMAL) + events_of(c, ALLOCSTALL_MOVABLE), 0);
	/* Killed before: it does not wait at all. */
	assert_false(rcl_throttle_direct_reclaim(c->m, GFP_KERNEL, zonelist(c)));
	assert_int_equal(events_of(c, PGSCAN_DIRECT_THROTTLE), 1);
	c->w->task.flags = PF_KTHREAD;
	assert_false(rcl_throttle_direct_reclaim(c->m, GFP_KERNEL, zonelist(c)));
	c->w->task.flags = 0;
	zone0(c)->watermark[WMARK_MIN] = mark;
}

static void a_request_that_cannot_use_the_zone_does_not_wait_for_it(void **state)
{
	struct core *c = *state;
	u64 mark = zone0(c)->watermark[WMARK_MIN];

	fill_cache(c, 10, 0);
	set_reserve(c, true);
	on_wait(c, 1, refill);
	assert_false(rcl_throttle_direct_reclaim(c->m, GFP_KERNEL | __GFP_DMA, zonelist(c)));
	assert_int_equal(events_of(c, PGSCAN_DIRECT_THROTTLE), 0);
	zone0(c)->watermark[WMARK_MIN] = mark;
}

/* ---- congestion ---------------------------------------------------------------------------- */

/* Pages under writeback that come round marked already: the group's reclaimers stall. */
static void cycling_dirty_pages_congest_a_group(void **state)
{
	struct core *c = *state;
	struct scan_control sc = request(c);
	u64 before;

	fill_cache(c, 8, 8);
	for (u64 i = 0; i < 8; i++) {
		struct folio *f = cached(c, i);

		folio_lock(c->m, f);
		rcl_folio_clear_dirty_for_io(c->m, f);
		rcl_file_writepage(c->m, f);
	}
	sc.priority = 0;
	sc.nr_to_reclaim = 1;
	before = c->w->plat.now;
	rcl_shrink_node(c->m, node0(c), &sc);
	assert_int_equal(sc.nr.writeback, 8);
	assert_int_equal(sc.nr.congested, 0);
	assert_int_equal(c->w->plat.now, before);
	assert_int_equal(c->w->nr_io, 8);
	for (u64 i = 0; i < 8; i++)
		rcl_folio_deactivate(c->m, cached(c, i));
	rcl_lru_add_drain(c->m);
	rcl_shrink_node(c->m, node0(c), &sc);
	assert_int_equal(sc.nr.congested, 8);
	assert_true(c->lv->flags & LRUVEC_CONGESTED);
	assert_int_equal(c->w->nr_io, 0); /* the wait let the device work */
	/* At the end of a reclaim of the group the mark goes. */
	rcl_memcg_reclaim(c->m, c->group, PAGE_SIZE);
	assert_false(c->lv->flags & LRUVEC_CONGESTED);
}

int main(void)
{
#define T(f)  cmocka_unit_test_setup_teardown(f, setup, core_teardown)
#define TS(f) cmocka_unit_test_setup_teardown(f, setup_swap, core_teardown)
	const struct CMUnitTest tests[] = {
		T(each_reason_has_its_limit),
		T(nobody_waits_while_there_is_enough_that_is_clean),
		TS(swap_makes_anonymous_pages_reclaimable),
		T(the_machines_own_tasks_are_excused_but_for_kswapd),
		T(waiters_on_writeback_wake_after_enough_of_it),
		T(waking_nobody_costs_nothing),
		T(progress_wakes_those_without),
		T(too_many_isolated_pages_stall_once),
		T(half_of_the_min_watermark_must_be_free),
		T(whoever_waits_wakes_kswapd),
		T(a_task_waits_until_the_reserves_are_back),
		T(in_a_filesystem_it_waits_a_second),
		T(a_killed_task_need_not_reclaim),
		T(a_request_that_cannot_use_the_zone_does_not_wait_for_it),
		T(cycling_dirty_pages_congest_a_group),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
