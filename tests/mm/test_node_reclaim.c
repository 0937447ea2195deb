/* SPDX-License-Identifier: MIT */
/* Reclaim within one node (vm.zone_reclaim_mode), and the run of rising priority around it. */
#include "core_world.h"

CORE_SETUP(setup, 1, 8192, 0)
CORE_SETUP(setup_swap, 1, 8192, 4096)

enum {
	MODE_ON = 1,
	MODE_WRITE = 2,
	MODE_UNMAP = 4
};

static struct node *node0(struct core *c)
{
	return c->m->nodes;
}
static int reclaim(struct core *c, gfp_t gfp, u32 order)
{
	int r = rcl_node_reclaim(c->m, node0(c), gfp, order);

	assert_false(c->w->task.flags & PF_MEMALLOC);
	assert_false(node0(c)->node_reclaim_running);
	assert_null(c->w->task.reclaim_state);
	return r;
}
static void read_pages(struct core *c, u64 nr)
{
	set_random_reads(c);
	for (u64 i = 0; i < nr; i++) {
		read_file(c, i, 1);
		folio_clear(cached(c, i), PG_referenced);
	}
	rcl_lru_add_drain(c->m);
}

/* ---- when ---------------------------------------------------------------------------------- */

static void a_node_keeps_a_little_cache(void **state)
{
	struct core *c = *state;

	c->m->tun.zone_reclaim_mode = MODE_ON;
	read_pages(c, 81); /* a hundredth of 8192 */
	assert_int_equal(reclaim(c, GFP_KERNEL, 0), NODE_RECLAIM_FULL);
	read_pages(c, 82);
	assert_int_equal(reclaim(c, GFP_KERNEL, 0), NODE_RECLAIM_SUCCESS);
	c->m->tun.min_unmapped_ratio = 0;
	assert_int_equal(reclaim(c, GFP_KERNEL, 0), NODE_RECLAIM_SUCCESS);
}

static void mapped_pages_count_if_they_may_be_unmapped(void **state)
{
	struct core *c = *state;

	c->m->tun.zone_reclaim_mode = MODE_ON;
	map_file(c, 0, 300, 0, VM_READ);
	touch_all(c, 0, 300, false);
	rcl_lru_add_drain(c->m);
	assert_int_equal(reclaim(c, GFP_KERNEL, 0), NODE_RECLAIM_FULL);
	c->m->tun.zone_reclaim_mode = MODE_ON | MODE_UNMAP;
	for (u64 i = 0; i < 300; i++)
		*rcl_pte_lookup(c->mm, i) &= ~PTE_ACCESSED;
	assert_int_equal(reclaim(c, GFP_KERNEL, 0), NODE_RECLAIM_SUCCESS);
	assert_true(c->mm->file_rss < 300);
}

static void dirty_pages_count_if_they_may_be_written(void **state)
{
	struct core *c = *state;
	u64 stamp = 1;

	c->m->tun.zone_reclaim_mode = MODE_ON;
	read_pages(c, 100);
	for (u64 i = 0; i < 60; i++)
		assert_int_equal(rcl_file_write(c->m, &c->file, i, 1, stamp), 0);
	assert_int_equal(reclaim(c, GFP_KERNEL, 0), NODE_RECLAIM_FULL);
	c->m->tun.zone_reclaim_mode = MODE_ON | MODE_WRITE;
	assert_int_not_equal(reclaim(c, GFP_KERNEL, 0), NODE_RECLAIM_FULL);
	assert_in_range(c->mapping->nr_pages, 60, 99);
}

static void who_may_not(void **state)
{
	struct core *c = *state;

	c->m->tun.zone_reclaim_mode = MODE_ON;
	read_pages(c, 200);
	assert_int_equal(reclaim(c, GFP_NOWAIT, 0), NODE_RECLAIM_NOSCAN);
	c->w->task.flags |= PF_MEMALLOC;
	assert_int_equal(rcl_node_reclaim(c->m, node0(c), GFP_KERNEL, 0), NODE_RECLAIM_NOSCAN);
	c->w->task.flags = 0;
	c->w->task.node = 1; /* its own node has memory of its own */
	assert_int_equal(reclaim(c, GFP_KERNEL, 0), NODE_RECLAIM_NOSCAN);
	c->w->task.node = 0;
	node0(c)->node_reclaim_running = true; /* one at a time */
	assert_int_equal(rcl_node_reclaim(c->m, node0(c), GFP_KERNEL, 0), NODE_RECLAIM_NOSCAN);
	assert_true(node0(c)->node_reclaim_running);
	node0(c)->node_reclaim_running = false;
	assert_int_equal(c->mapping->nr_pages, 200);
}

/* ---- how much ------------------------------------------------------------------------------ */

static void it_stops_when_the_request_is_met(void **state)
{
	struct core *c = *state;

	c->m->tun.zone_reclaim_mode = MODE_ON;
	read_pages(c, 2000);
	/* At the first priority a sixteenth of the list is 125 pages; 32 are reclaimed at a time.
	 */
	assert_int_equal(reclaim(c, GFP_KERNEL, 0), NODE_RECLAIM_SUCCESS);
	assert_in_range(c->mapping->nr_pages, 2000 - 64, 2000 - 32);
	assert_int_equal(events_of(c, ALLOCSTALL_NORMAL) + events_of(c, ALLOCSTALL_MOVABLE), 0);
	assert_true(events_of(c, PGSTEAL_DIRECT) >= 32);
}

static void failure_is_counted(void **state)
{
	struct core *c = *state;

	c->m->tun.zone_reclaim_mode = MODE_ON;
	read_pages(c, 100);
	for (u64 i = 0; i < 100; i++)
		folio_get(cached(c, i)); /* nothing can go */
	assert_int_equal(reclaim(c, GFP_KERNEL, 0), NODE_RECLAIM_SOME);
	assert_int_equal(events_of(c, ZONE_RECLAIM_FAILED), 1);
	for (u64 i = 0; i < 100; i++)
		folio_put(c->m, cached(c, i));
	assert_int_equal(reclaim(c, GFP_KERNEL, 0), NODE_RECLAIM_SUCCESS);
	assert_int_equal(events_of(c, ZONE_RECLAIM_FAILED), 1);
}

static void anonymous_pages_are_only_taken_if_they_may_be_unmapped(void **state)
{
	struct core *c = *state;

	io_at_polls(c);
	c->m->tun.zone_reclaim_mode = MODE_ON;
	c->m->tun.swappiness = 200;
	read_pages(c, 100);
	map_anon(c, 0, 500);
	touch_all(c, 0, 500, true);
	for (int i = 0; i < 5; i++)
		reclaim(c, GFP_KERNEL, 0);
	assert_int_equal(c->mm->anon_rss, 500);
	assert_int_equal(events_of(c, PSWPOUT), 0);
}

/* ---- direct reclaim ------------------------------------------------------------------------ */

static struct zonelist *zonelist(struct core *c)
{
	return &node0(c)->zonelist;
}

static void direct_reclaim_frees_a_batch(void **state)
{
	struct core *c = *state;

	read_pages(c, 1000);
	assert_in_range(rcl_try_to_free_pages(c->m, zonelist(c), 0, GFP_KERNEL), 32, 64);
	assert_int_equal(events_of(c, ALLOCSTALL_NORMAL), 1);
	assert_int_equal(c->lv->refaults[1], 0);
	/* By the highest zone the request could have used. */
	rcl_try_to_free_pages(c->m, zonelist(c), 0, GFP_HIGHUSER_MOVABLE);
	assert_int_equal(events_of(c, ALLOCSTALL_MOVABLE), 1);
	rcl_try_to_free_pages(c->m, zonelist(c), 0, GFP_KERNEL | __GFP_DMA32);
	assert_int_equal(events_of(c, ALLOCSTALL_DMA32), 1);
	/* A request for a zone that is not there finds nothing to free. */
	assert_int_equal(rcl_try_to_free_pages(c->m, zonelist(c), 0, GFP_KERNEL | __GFP_DMA), 0);
	assert_true(events_of(c, PGSTEAL_DIRECT) > 0);
	assert_int_equal(events_of(c, PGSTEAL_KSWAPD), 0);
}

static void with_nothing_left_it_starts_over_once_with_force(void **state)
{
	struct core *c = *state;

	read_pages(c, 60);
	for (u64 i = 0; i < 30; i++)
		rcl_folio_activate(c->m, cached(c, i));
	rcl_lru_add_drain(c->m);
	/* The inactive half is in use; the active one is not low on inactive pages. */
	for (u64 i = 30; i < 60; i++)
		folio_get(cached(c, i));
	assert_int_equal(list_size(c, LRU_ACTIVE_FILE), 30);
	assert_true(rcl_try_to_free_pages(c->m, zonelist(c), 0, GFP_KERNEL) > 0);
	assert_int_equal(events_of(c, ALLOCSTALL_NORMAL), 2); /* counted at each start */
	assert_true(events_of(c, PGDEACTIVATE) > 0);
	for (u64 i = 30; i < 60; i++)
		folio_put(c->m, cached(c, i));
}

static void it_gives_up_when_there_is_nothing(void **state)
{
	struct core *c = *state;

	assert_int_equal(rcl_try_to_free_pages(c->m, zonelist(c), 0, GFP_KERNEL), 0);
	assert_int_equal(events_of(c, ALLOCSTALL_NORMAL), 1);
}

static void a_group_counts_no_stall_of_the_machine(void **state)
{
	struct core *c = *state;

	read_pages(c, 100);
	assert_true(rcl_memcg_reclaim(c->m, c->group, 10 * PAGE_SIZE) > 0);
	for (int i = ALLOCSTALL_DMA; i <= ALLOCSTALL_MOVABLE; i++)
		assert_int_equal(events_of(c, (enum vm_event_item)i), 0);
}

static void scopes_forbid_io_and_filesystems(void **state)
{
	struct core *c = *state;

	io_at_polls(c);
	map_anon(c, 0, 200);
	touch_all(c, 0, 200, true);
	rcl_lru_add_drain(c->m);
	c->w->task.flags |= PF_MEMALLOC_NOIO;
	assert_int_equal(rcl_try_to_free_pages(c->m, zonelist(c), 0, GFP_KERNEL), 0);
	assert_int_equal(events_of(c, PSWPOUT), 0);
	c->w->task.flags = PF_MEMALLOC_NOFS; /* swap needs no filesystem */
	assert_true(rcl_try_to_free_pages(c->m, zonelist(c), 0, GFP_KERNEL) > 0);
	c->w->task.flags = 0;
}

static void refaults_are_noted_at_the_end(void **state)
{
	struct core *c = *state;
	struct lruvec *root = c->m->root_memcg->lruvecs[0];

	read_pages(c, 100);
	rcl_mod_lruvec_state(c->lv, WORKINGSET_ACTIVATE_FILE, 7);
	rcl_memcg_reclaim(c->m, c->group, PAGE_SIZE);
	assert_int_equal(c->lv->refaults[1], 7);
	assert_int_equal(root->refaults[1], 0);
	rcl_try_to_free_pages(c->m, zonelist(c), 0, GFP_KERNEL);
	assert_int_equal(root->refaults[1], 7);
}

/* ---- higher orders ------------------------------------------------------------------------- */

/* For a large block, reclaim goes on until compaction would have room; without I/O it does not. */
static void a_large_request_wants_more(void **state)
{
	struct core *c = *state;
	struct zone *z = &node0(c)->zones[ZONE_DMA32];
	u64 marks[NR_WMARK];
	u64 freed;

	memcpy(marks, z->watermark, sizeof(marks));
	read_pages(c, 2000);
	z->watermark[WMARK_MIN] = (u64)zone_page_state(z, NR_FREE_PAGES);
	z->watermark[WMARK_LOW] = z->watermark[WMARK_MIN] + 500; /* where compaction could start */
	freed = rcl_try_to_free_pages(c->m, zonelist(c), 4, GFP_NOIO);
	assert_in_range(freed, 32, 63);
	/* The block itself can be had as soon as the min watermark is kept (CPUs' lists are full).
	 */
	freed = rcl_try_to_free_pages(c->m, zonelist(c), 4, GFP_KERNEL);
	assert_in_range(freed, 64, 300);
	/* Without such a block the low watermark and twice the request must be free. */
	z->watermark[WMARK_MIN] = (u64)zone_page_state(z, NR_FREE_PAGES) + 5000;
	z->watermark[WMARK_LOW] = (u64)zone_page_state(z, NR_FREE_PAGES) + 500;
	freed = rcl_try_to_free_pages(c->m, zonelist(c), 4, GFP_KERNEL);
	assert_in_range(freed, 450, 800);
	memcpy(z->watermark, marks, sizeof(marks));
}

int main(void)
{
#define T(f)  cmocka_unit_test_setup_teardown(f, setup, core_teardown)
#define TS(f) cmocka_unit_test_setup_teardown(f, setup_swap, core_teardown)
	const struct CMUnitTest tests[] = {
		T(a_node_keeps_a_little_cache),
		T(mapped_pages_count_if_they_may_be_unmapped),
		T(dirty_pages_count_if_they_may_be_written),
		T(who_may_not),
		T(it_stops_when_the_request_is_met),
		T(failure_is_counted),
		TS(anonymous_pages_are_only_taken_if_they_may_be_unmapped),
		T(direct_reclaim_frees_a_batch),
		T(with_nothing_left_it_starts_over_once_with_force),
		T(it_gives_up_when_there_is_nothing),
		T(a_group_counts_no_stall_of_the_machine),
		TS(scopes_forbid_io_and_filesystems),
		T(refaults_are_noted_at_the_end),
		T(a_large_request_wants_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
