/* SPDX-License-Identifier: MIT */
/* Object caches: geometry, the life of slabs, and who is charged. */
#include <setjmp.h>
#include <stdarg.h>

#include "lone_task.h"
#include "mm/slab.h"

#include <cmocka.h>

#define MAX_OBJECTS 20000

static int open2(void **state)
{
	*state = lone_open(2, 16384);
	return *state ? 0 : -1;
}
static int close2(void **state)
{
	lone_close(*state);
	return 0;
}

static s64 bytes(struct lone *w)
{
	return lone_node_stat(w, NR_SLAB_RECLAIMABLE_B);
}

/* What one slab of a size takes, and how many objects it holds, on a machine with so many CPUs. */
static void slab_geometry(u32 nr_cpus, u32 size, u32 *slab_bytes, u32 *objects)
{
	struct lone *w = lone_open(nr_cpus, 16384);
	struct kmem_cache *c;
	s64 before = bytes(w);
	u32 n = 0;

	c = rcl_kmem_cache_create(w->m, "t", size, 16, SLAB_RECLAIM_ACCOUNT, MAX_OBJECTS);
	assert_non_null(c);
	rcl_kmem_cache_alloc(w->m, c, GFP_KERNEL, NULL);
	*slab_bytes = (u32)(bytes(w) - before);
	for (n = 1; bytes(w) - before == *slab_bytes; n++)
		rcl_kmem_cache_alloc(w->m, c, GFP_KERNEL, NULL);
	*objects = n - 1;
	rcl_kmem_cache_destroy(w->m, c);
	assert_int_equal(bytes(w), before);
	lone_close(w);
}

/* As /proc/slabinfo of the reference shows them. */
static void geometry_follows_the_number_of_cpus(void **state)
{
	static const struct {
		u32 cpus, size, bytes, objects;
	} cases[] = {
		{1, 584, 8192, 14},   {2, 584, 8192, 14}, {4, 584, 16384, 28},
		{16, 584, 16384, 28}, {1, 104, 4096, 39}, {4, 104, 4096, 39},
		{1, 4096, 32768, 8},  {1, 8, 4096, 512},  {64, 584, 32768, 56},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		u32 slab_bytes, objects;

		slab_geometry(cases[i].cpus, cases[i].size, &slab_bytes, &objects);
		assert_int_equal(slab_bytes, cases[i].bytes);
		assert_int_equal(objects, cases[i].objects);
	}
}

/*
 * Free everything in order of allocation. Each slab goes onto the CPU's stack at its first free and
 * is empty before the next one comes; at every seventh the stack moves to the node, which keeps
 * five slabs. Left: the current slab, one on the stack, five on the node.
 */
static void empty_slabs_beyond_the_minimum_go_back(void **state)
{
	struct lone *w = *state;
	struct kmem_cache *c =
		rcl_kmem_cache_create(w->m, "t", 104, 8, SLAB_RECLAIM_ACCOUNT, MAX_OBJECTS);
	static void *obj[3900];
	s64 before = bytes(w);
	u64 free_before;

	for (u32 i = 0; i < 3900; i++)
		assert_non_null(obj[i] = rcl_kmem_cache_alloc(w->m, c, GFP_KERNEL, NULL));
	assert_int_equal(bytes(w) - before, 100 * 4096);
	free_before = (u64)zone_page_state(&w->m->nodes[0].zones[ZONE_DMA32], NR_FREE_PAGES);
	for (u32 i = 0; i < 3900; i++) {
		rcl_kmem_cache_free(w->m, c, obj[i]);
		if (i % 100 == 0)
			assert_true(rcl_kmem_cache_is_valid(w->m, c));
	}
	assert_int_equal(bytes(w) - before, (1 + 1 + 5) * 4096);
	rcl_drain_all_pages(w->m);
	assert_true((u64)zone_page_state(&w->m->nodes[0].zones[ZONE_DMA32], NR_FREE_PAGES) >=
		    free_before + 93);
	/* What stayed is used first. */
	for (u32 i = 0; i < 7 * 39; i++)
		assert_non_null(rcl_kmem_cache_alloc(w->m, c, GFP_KERNEL, NULL));
	assert_int_equal(bytes(w) - before, 7 * 4096);
	assert_true(rcl_kmem_cache_is_valid(w->m, c));
	rcl_kmem_cache_destroy(w->m, c);
}

/* One object left in each slab keeps the slab. */
static void sparse_slabs_stay(void **state)
{
	struct lone *w = *state;
	struct kmem_cache *c =
		rcl_kmem_cache_create(w->m, "t", 104, 8, SLAB_RECLAIM_ACCOUNT, MAX_OBJECTS);
	static void *obj[3900];
	s64 before = bytes(w);

	for (u32 i = 0; i < 3900; i++)
		obj[i] = rcl_kmem_cache_alloc(w->m, c, GFP_KERNEL, NULL);
	for (u32 i = 0; i < 3900; i++)
		if (i % 39)
			rcl_kmem_cache_free(w->m, c, obj[i]);
	assert_int_equal(bytes(w) - before, 100 * 4096);
	for (u32 i = 0; i < 3900; i += 39)
		rcl_kmem_cache_free(w->m, c, obj[i]);
	assert_true(bytes(w) - before < 20 * 4096);
	assert_true(rcl_kmem_cache_is_valid(w->m, c));
	rcl_kmem_cache_destroy(w->m, c);
}

static void reclaim_hears_of_freed_slabs(void **state)
{
	struct lone *w = *state;
	struct kmem_cache *c = rcl_kmem_cache_create(w->m, "t", 4096, 8, 0, MAX_OBJECTS);
	struct reclaim_state rs = {0};
	static void *obj[800];
	s64 before = lone_node_stat(w, NR_SLAB_UNRECLAIMABLE_B), after;

	for (u32 i = 0; i < 800; i++)
		obj[i] = rcl_kmem_cache_alloc(w->m, c, GFP_KERNEL, NULL);
	assert_int_equal(lone_node_stat(w, NR_SLAB_UNRECLAIMABLE_B) - before, 800 * 4096);
	w->task.reclaim_state = &rs;
	for (u32 i = 0; i < 800; i++)
		rcl_kmem_cache_free(w->m, c, obj[i]);
	w->task.reclaim_state = NULL;
	after = lone_node_stat(w, NR_SLAB_UNRECLAIMABLE_B) - before;
	assert_true(rs.reclaimed_slab > 0);
	assert_int_equal(rs.reclaimed_slab * 4096, 800 * 4096 - after);
	rcl_kmem_cache_destroy(w->m, c);
}

static void groups_pay_for_accounted_objects(void **state)
{
	struct lone *w = *state;
	struct kmem_cache *plain =
		rcl_kmem_cache_create(w->m, "p", 584, 576, SLAB_RECLAIM_ACCOUNT, MAX_OBJECTS);
	struct kmem_cache *paid =
		rcl_kmem_cache_create(w->m, "a", 104, 8, SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, 5000);
	void *a, *b, *c, *d;

	a = rcl_kmem_cache_alloc(w->m, plain, GFP_KERNEL, w->group);
	assert_null(rcl_slab_obj_memcg(w->m, plain, a));
	assert_int_equal(lone_group_stat(w, NR_SLAB_RECLAIMABLE_B), 0);
	b = rcl_kmem_cache_alloc(w->m, plain, GFP_KERNEL | __GFP_ACCOUNT, w->group);
	assert_ptr_equal(rcl_slab_obj_memcg(w->m, plain, b), w->group);
	assert_int_equal(lone_group_stat(w, NR_SLAB_RECLAIMABLE_B), 592);
	c = rcl_kmem_cache_alloc(w->m, paid, GFP_KERNEL, w->group);
	assert_int_equal(lone_group_stat(w, NR_SLAB_RECLAIMABLE_B), 592 + 112);
	d = rcl_kmem_cache_alloc(w->m, paid, GFP_KERNEL, w->m->root_memcg);
	assert_null(rcl_slab_obj_memcg(w->m, paid, d));
	assert_int_equal(lone_group_stat(w, NR_SLAB_RECLAIMABLE_B), 592 + 112);
	assert_true(w->group->usage > 0);

	rcl_kmem_cache_free(w->m, plain, a);
	rcl_kmem_cache_free(w->m, plain, b);
	assert_int_equal(lone_group_stat(w, NR_SLAB_RECLAIMABLE_B), 112);
	rcl_kmem_cache_free(w->m, paid, c);
	rcl_kmem_cache_free(w->m, paid, d);
	assert_int_equal(lone_group_stat(w, NR_SLAB_RECLAIMABLE_B), 0);
	rcl_kmem_cache_destroy(w->m, plain);
	rcl_kmem_cache_destroy(w->m, paid);
}

/* A group at its limit gets no object without waiting, and nothing is left charged. */
static void a_full_group_gets_nothing(void **state)
{
	struct lone *w = *state;
	struct kmem_cache *c = rcl_kmem_cache_create(w->m, "t", 104, 8,
						     SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, 50000);
	u32 n = 0;

	assert_int_equal(rcl_memcg_set_max(w->m, w->group, 64 * PAGE_SIZE), 0);
	while (rcl_kmem_cache_alloc(w->m, c, GFP_NOWAIT, w->group))
		n++;
	/* 64 pages, 112 bytes each. */
	assert_int_equal(n, 64 * PAGE_SIZE / 112);
	assert_int_equal(lone_group_stat(w, NR_SLAB_RECLAIMABLE_B), n * 112);
	assert_non_null(rcl_kmem_cache_alloc(w->m, c, GFP_NOWAIT, NULL));
	rcl_kmem_cache_destroy(w->m, c);
}

static void the_object_bound_holds(void **state)
{
	struct lone *w = *state;
	struct kmem_cache *c = rcl_kmem_cache_create(w->m, "t", 4096, 8, 0, 3);
	u32 n = 0;

	/* Room for three slabs and one more, eight objects each. */
	while (rcl_kmem_cache_alloc(w->m, c, GFP_KERNEL, NULL))
		n++;
	assert_int_equal(n, 32);
	assert_true(rcl_kmem_cache_is_valid(w->m, c));
	rcl_kmem_cache_destroy(w->m, c);
}

/* Random allocation and freeing on both CPUs: content stays, books balance. */
static void random_use_keeps_objects_apart(void **state)
{
	struct lone *w = *state;
	struct kmem_cache *c = rcl_kmem_cache_create(w->m, "t", 584, 576,
						     SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, 20000);
	static u64 *obj[MAX_OBJECTS];
	u32 live = 0, charged = 0;
	s64 before = lone_group_stat(w, NR_SLAB_RECLAIMABLE_B);

	for (u32 step = 0; step < 300000; step++) {
		u64 r = lone_random_value(w);
		u32 target = 300 + step / 1000 % 7 * 700; /* breathe */

		w->plat.cpu = r & 1;
		if (live < MAX_OBJECTS && r % 1000 < (live < target ? 600 : 400)) {
			bool pay = r >> 20 & 1;
			u64 *o = rcl_kmem_cache_alloc(w->m, c, GFP_KERNEL, pay ? w->group : NULL);

			assert_non_null(o);
			assert_int_equal((uintptr_t)o & 63, 0);
			for (u32 i = 0; i < 576 / 8; i++)
				assert_int_equal(o[i], 0);
			o[0] = (u64)(uintptr_t)o;
			o[1] = pay;
			o[71] = ~o[0];
			obj[live++] = o;
			charged += pay;
		} else if (live) {
			u32 i = (u32)(r >> 32) % live;
			u64 *o = obj[i];

			assert_int_equal(o[0], (uintptr_t)o);
			assert_int_equal(o[71], ~o[0]);
			assert_ptr_equal(rcl_slab_obj_memcg(w->m, c, o), o[1] ? w->group : NULL);
			charged -= (u32)o[1];
			rcl_kmem_cache_free(w->m, c, o);
			obj[i] = obj[--live];
		}
		assert_int_equal(lone_group_stat(w, NR_SLAB_RECLAIMABLE_B) - before,
				 (s64)charged * 592);
		if (step % 1000 == 0)
			assert_true(rcl_kmem_cache_is_valid(w->m, c));
	}
	while (live)
		rcl_kmem_cache_free(w->m, c, obj[--live]);
	assert_true(rcl_kmem_cache_is_valid(w->m, c));
	/* At most: two current slabs, two stacks of 52*2/14 = 8, five on the node. */
	assert_true(bytes(w) <= (2 + 16 + 5) * 8192);
	rcl_kmem_cache_destroy(w->m, c);
	assert_true(rcl_page_alloc_is_valid(w->m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(geometry_follows_the_number_of_cpus),
		cmocka_unit_test_setup_teardown(empty_slabs_beyond_the_minimum_go_back, open2,
						close2),
		cmocka_unit_test_setup_teardown(sparse_slabs_stay, open2, close2),
		cmocka_unit_test_setup_teardown(reclaim_hears_of_freed_slabs, open2, close2),
		cmocka_unit_test_setup_teardown(groups_pay_for_accounted_objects, open2, close2),
		cmocka_unit_test_setup_teardown(a_full_group_gets_nothing, open2, close2),
		cmocka_unit_test_setup_teardown(the_object_bound_holds, open2, close2),
		cmocka_unit_test_setup_teardown(random_use_keeps_objects_apart, open2, close2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
