/* SPDX-License-Identifier: MIT */
/*
 * The page allocator when memory is short: who reclaims, how often, who is let off, and how it ends.
 */
#include "page_alloc_world.h"

#include <unistd.h>

static struct zone *only_zone;
static u64 give_back_held(struct rcl *m)
{
	u64 n = hook.nr_held;

	while (hook.nr_held) {
		struct folio *f = hook.held[--hook.nr_held];

		put(m, f, 0);
	}
	return n;
}
static u64 pretend_progress(struct rcl *m)
{
	(void)m;
	return 32;
}

/* A machine with nothing above min. */
static struct bare *open_full(void)
{
	struct bare *b = open_zones(1, 0, 0, 262144);
	struct list_head taken;
	struct folio *f;

	only_zone = &b->m.nodes[0].zones[ZONE_NORMAL];
	for (u32 i = 0; i < ARRAY_SIZE(hook.held); i++)
		hook.held[i] = rcl_alloc_pages(&b->m, GFP_HIGHUSER_MOVABLE, 0);
	rcl_drain_all_pages(&b->m);
	drain_zone_to(only_zone, (s64)only_zone->watermark[WMARK_MIN], &taken, MIGRATE_MOVABLE);
	while ((f = rcl_alloc_pages(&b->m, GFP_NOWAIT | __GFP_MOVABLE | __GFP_NOWARN, 0)))
		;
	hook.nr_held = 0;
	hook.nr_wake = 0;
	return b;
}

static void test_direct_reclaim(void **state)
{
	struct bare *b = open_full();
	struct folio *f;
	(void)state;

	/* What reclaim frees lies on the CPU's list: it must be drained to be seen. */
	hook.nr_held = 64;
	hook.reclaim = give_back_held;
	f = rcl_alloc_pages(&b->m, GFP_KERNEL | __GFP_MOVABLE, 0);
	assert_non_null(f);
	assert_int_equal(hook.nr_reclaim, 1);
	assert_int_equal(hook.stalled, 0);
	assert_false(b->task.flags & PF_MEMALLOC);
	assert_true(hook.nr_wake >= 2);
	assert_int_equal(hook.nr_oom, 0);
	bare_close(b);
}

static void expect_failure(gfp_t gfp, u32 order, int reclaims, int ooms)
{
	struct bare *b = open_full();

	assert_null(rcl_alloc_pages(&b->m, gfp | __GFP_NOWARN, order));
	assert_int_equal(hook.nr_reclaim, reclaims);
	assert_int_equal(hook.nr_oom, ooms);
	bare_close(b);
}

static void test_giving_up(void **state)
{
	(void)state;
	/* Nothing reclaimable: one round and the OOM killer, who finds nobody. */
	expect_failure(GFP_KERNEL, 0, 1, 1);
	expect_failure(GFP_KERNEL | __GFP_NORETRY, 0, 1, 0);
	expect_failure(GFP_KERNEL | __GFP_RETRY_MAYFAIL, 0, 1, 0);
	expect_failure(GFP_KERNEL | __GFP_THISNODE, 0, 1, 0);
	expect_failure(GFP_KERNEL, 4, 1, 0);
	expect_failure(GFP_KERNEL | __GFP_NORETRY, 4, 0, 0);
	expect_failure(GFP_NOWAIT, 0, 0, 0);
	expect_failure(GFP_ATOMIC, 10, 0, 0);
	expect_failure(GFP_KERNEL | __GFP_DMA, 0, 0, 0);
}

static void test_sixteen_rounds(void **state)
{
	struct bare *b = open_full();
	(void)state;

	/* Enough on the lists to hope, but never any progress: 16 retries, then the OOM killer. */
	hook.reclaimable = 1000;
	assert_null(rcl_alloc_pages(&b->m, GFP_KERNEL | __GFP_NOWARN, 0));
	assert_int_equal(hook.nr_reclaim, 17);
	assert_int_equal(hook.nr_oom, 1);
	bare_close(b);
}

static u32 rounds_left;
static u64 progress_for_a_while(struct rcl *m)
{
	if (rounds_left) {
		rounds_left--;
		return 1;
	}
	return give_back_held(m);
}

static void test_progress_resets_rounds(void **state)
{
	struct bare *b = open_full();
	(void)state;

	hook.reclaimable = 1000;
	hook.reclaim = progress_for_a_while;
	hook.nr_held = 64;
	rounds_left = 50;
	assert_non_null(rcl_alloc_pages(&b->m, GFP_KERNEL | __GFP_MOVABLE, 0));
	assert_int_equal(hook.nr_reclaim, 51);
	assert_int_equal(hook.nr_oom, 0);
	bare_close(b);
}

/* Take a block of at least this order off the lists for good. */
static bool first_fitting(struct zone *z, u32 order)
{
	u64 pfn = NO_BLOCK;

	for (u32 o = order; o < MAX_ORDER && pfn == NO_BLOCK; o++)
		for (u32 mt = 0; mt < MIGRATE_TYPES && pfn == NO_BLOCK; mt++)
			pfn = first_block(z, o, mt);
	if (pfn != NO_BLOCK)
		del_block(z, pfn, block_order(z, pfn));
	return pfn != NO_BLOCK;
}

/* Large orders: progress does not count, and with RETRY_MAYFAIL there are 16 retries and no kill.
 */
static void test_costly(void **state)
{
	struct bare *b = open_full();
	(void)state;

	hook.reclaimable = 1000;
	hook.reclaim = pretend_progress;
	assert_null(rcl_alloc_pages(&b->m, GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN, 5));
	assert_int_equal(hook.nr_reclaim, 17);
	assert_int_equal(hook.nr_oom, 0);
	/* Without a block of that size anywhere, freed pages alone are no hope. */
	hook.nr_reclaim = 0;
	while (first_fitting(only_zone, 5))
		;
	assert_null(rcl_alloc_pages(&b->m, GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN, 5));
	assert_int_equal(hook.nr_reclaim, 1);
	bare_close(b);
}

static bool oom_frees(struct rcl *m)
{
	hook.nr_held = 64;
	give_back_held(m);
	rcl_drain_all_pages(m);
	return true;
}

static void test_oom_then_success(void **state)
{
	struct bare *b = open_full();
	(void)state;

	hook.oom = oom_frees;
	assert_non_null(rcl_alloc_pages(&b->m, GFP_KERNEL | __GFP_MOVABLE, 0));
	assert_int_equal(hook.nr_oom, 1);
	bare_close(b);
}

/* Somebody else kills: wait a tick and try again; here until the rounds of reclaim bring memory. */
static void test_oom_busy(void **state)
{
	struct bare *b = open_full();
	(void)state;

	hook.oom_busy = true;
	hook.reclaim = progress_for_a_while;
	hook.nr_held = 64;
	rounds_left = 3;
	assert_non_null(rcl_alloc_pages(&b->m, GFP_KERNEL | __GFP_MOVABLE, 0));
	assert_int_equal(hook.nr_oom, 0);
	assert_int_equal(b->naps, 3);
	bare_close(b);
}

static bool oom_marks_us(struct rcl *m)
{
	rcl_current(m)->flags |= PF_KILLED | PF_OOM_VICTIM;
	return true;
}

static void test_victim_uses_reserves_then_dies(void **state)
{
	struct bare *b = open_full();
	u32 n = 0;
	(void)state;

	hook.oom = oom_marks_us;
	while (rcl_alloc_pages(&b->m, GFP_KERNEL | __GFP_NOWARN, 0))
		n++;
	assert_true(n > 100); /* half of min */
	assert_true(nr_free(only_zone) > 100);
	bare_close(b);
}

static u64 nothing_until_half_a_second(struct rcl *m)
{
	return rcl_now(m) > RCL_NSEC_PER_SEC / 2 ? give_back_held(m) : 0;
}

static void test_nofail(void **state)
{
	struct bare *b = open_full();
	struct folio *f;
	u32 n = 0;
	(void)state;

	/* Nobody can be killed, nothing can be freed: a request that must not fail takes the
	 * reserves, and when they are used up it waits for better times.
	 */
	hook.nr_held = 64;
	hook.reclaim = nothing_until_half_a_second;
	while (rcl_now(&b->m) < RCL_NSEC_PER_SEC / 2) {
		f = rcl_alloc_pages(&b->m, GFP_NOFS | __GFP_MOVABLE | __GFP_NOFAIL, 0);
		assert_non_null(f);
		n++;
	}
	assert_true(n > 500);
	assert_true(b->naps >= 100);
	bare_close(b);
}

/* stderr of fn, as text. */
static char *captured(struct rcl *m, gfp_t gfp)
{
	static char text[4096];
	int saved = dup(2), fds[2];
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], 2);
	assert_null(rcl_alloc_pages(m, gfp, 0));
	fputc('.', stderr); /* so that there is something to read */
	fflush(stderr);
	dup2(saved, 2);
	close(saved);
	close(fds[1]);
	n = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	assert_true(n > 0);
	text[n] = 0;
	return text;
}

static void test_report(void **state)
{
	struct bare *b = open_full();
	char *text;
	(void)state;

	b->plat.now = RCL_NSEC_PER_SEC;
	text = captured(&b->m, GFP_NOWAIT | __GFP_NOWARN);
	assert_string_equal(text, ".");
	text = captured(&b->m, GFP_NOWAIT);
	assert_non_null(strstr(text, "bare: page allocation failure: order:0, mode:0x800"));
	assert_non_null(strstr(text, "Node 0 Normal free:"));
	text = captured(&b->m, GFP_NOWAIT);
	assert_string_equal(text, ".");
	b->plat.now += 10 * RCL_NSEC_PER_SEC;
	text = captured(&b->m, GFP_NOWAIT);
	assert_non_null(strstr(text, "failure"));
	bare_close(b);
}

static void test_failure_injection(void **state)
{
	struct bare *b = open_zones(1, 0, 0, 262144);
	u32 failed = 0;
	(void)state;

	b->m.tun.fail_alloc = 250000;
	for (u32 i = 0; i < 4000; i++) {
		failed += !rcl_alloc_pages(&b->m, GFP_KERNEL, 0);
		assert_non_null(rcl_alloc_pages(&b->m, GFP_KERNEL | __GFP_NOFAIL, 0));
	}
	assert_in_range(failed, 800, 1200);
	assert_int_equal(hook.nr_reclaim, 0);
	bare_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_direct_reclaim),
		cmocka_unit_test(test_giving_up),
		cmocka_unit_test(test_sixteen_rounds),
		cmocka_unit_test(test_progress_resets_rounds),
		cmocka_unit_test(test_costly),
		cmocka_unit_test(test_oom_then_success),
		cmocka_unit_test(test_oom_busy),
		cmocka_unit_test(test_victim_uses_reserves_then_dies),
		cmocka_unit_test(test_nofail),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_failure_injection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
