/* SPDX-License-Identifier: MIT */
/* Swap areas: which slot comes next, when it is freed, and that nobody gets what another has. */
#include "swap_world.h"

#include <pthread.h>

static void alloc_run(struct world *w, u64 first, u64 n)
{
	for (u64 i = 0; i < n; i++)
		assert_int_equal(rcl_swap_slot_alloc(w->m), swp_entry(0, first + i));
}

/* The same past the slot caches. */
static void area_run(struct world *w, u64 first, u64 n)
{
	for (u64 i = 0; i < n; i++) {
		swp_entry_t e = 0;

		assert_int_equal(rcl_swap_get_slots(w->m, 1, &e), 1);
		assert_int_equal(e, swp_entry(0, first + i));
	}
}
static void release(struct world *w, u64 first, u64 n)
{
	for (u64 i = 0; i < n; i++) {
		swp_entry_t e = swp_entry(0, first + i);

		rcl_swap_release_slots(w->m, &e, 1);
	}
}

static void test_entries(void **state)
{
	swp_entry_t e = swp_entry(23, (1ull << 50) - 1);

	(void)state;
	assert_int_equal(swp_type(e), 23);
	assert_int_equal(swp_offset(e), (1ull << 50) - 1);
	assert_true(swp_entry(0, 1));
}

static void test_swapon(void **state)
{
	struct world *w = *state;

	assert_int_equal(rcl_total_swap_pages(w->m), 0);
	assert_int_equal(rcl_swapon(w->m, 0, 1, -1, 0), -EINVAL);
	assert_int_equal(rcl_swapon(w->m, 0, 100, -1, 64), -EINVAL);
	assert_int_equal(rcl_swap_slot_alloc(w->m), 0);
	assert_int_equal(rcl_swapon(w->m, 0, 100, -1, 0), 0);
	assert_int_equal(rcl_total_swap_pages(w->m), 99);
	assert_int_equal(rcl_nr_swap_pages(w->m), 99);
	assert_int_equal(area(w, 0)->prio, -2); /* as the kernel reports its first */
	for (int i = 1; i < MAX_SWAPFILES; i++)
		assert_int_equal(rcl_swapon(w->m, 0, 2, i % 3 - 1, SWAP_SOLIDSTATE), 0);
	assert_int_equal(rcl_swapon(w->m, 0, 100, -1, 0), -EPERM);
	assert_swap_valid(w);
	/* All of it can be used, the smallest areas too, and then there is no more. */
	for (u32 i = 0; i < 99 + MAX_SWAPFILES - 1; i++)
		assert_true(rcl_swap_slot_alloc(w->m));
	assert_int_equal(rcl_swap_slot_alloc(w->m), 0);
	assert_int_equal(rcl_nr_swap_pages(w->m), 0);
	assert_swap_valid(w);
}

/* Slots that are freed are held for whoever punches them; but if there are no others they are used. */
static void held_slots(struct world *w, u32 flags)
{
	const u64 pages = 4 * SWAPFILE_CLUSTER;
	struct swap_run run = {0};
	swp_entry_t e;
	u64 punched = 0;

	assert_int_equal(rcl_swapon(w->m, 7, 1 + pages, -1, flags | SWAP_PUNCH), 0);
	assert_false(rcl_swap_take_held(w->m, &run));
	for (u64 i = 0; i < pages; i++)
		assert_int_equal(rcl_swap_get_slots(w->m, 1, &e), 1);
	assert_int_equal(rcl_swap_get_slots(w->m, 1, &e), 0);
	/* While few are free they stay for those who need them. */
	release(w, 100, 200);
	assert_swap_valid(w);
	assert_int_equal(rcl_nr_swap_pages(w->m), 200);
	run = (struct swap_run){0};
	assert_false(rcl_swap_take_held(w->m, &run));
	for (u64 i = 0; i < 200; i++) {
		assert_int_equal(rcl_swap_get_slots(w->m, 1, &e), 1);
		assert_in_range(swp_offset(e), 100, 299);
		assert_swap_valid(w);
	}
	assert_int_equal(rcl_swap_get_slots(w->m, 1, &e), 0);
	/* Else they go in runs, of which nobody gets any until they are back. */
	release(w, 1, 700);
	release(w, 1000, 1049);
	run = (struct swap_run){0};
	while (rcl_swap_take_held(w->m, &run)) {
		assert_int_equal(run.dev, 7);
		assert_in_range(run.nr, 1, pages / 16);
		assert_true(run.first + run.nr <= 701 ||
			    (run.first >= 1000 && run.first + run.nr <= 2049));
		for (u64 i = 0; i < 3; i++) {
			assert_int_equal(rcl_swap_get_slots(w->m, 1, &e), 1);
			assert_false(swp_offset(e) >= run.first &&
				     swp_offset(e) < run.first + run.nr);
			rcl_swap_release_slots(w->m, &e, 1);
		}
		rcl_swap_give_held(w->m, &run);
		punched += run.nr;
		assert_swap_valid(w);
	}
	assert_in_range(punched, 1749 - 100, 1749 + 100);
	assert_int_equal(rcl_nr_swap_pages(w->m), 1749);
	for (u64 i = 0; i < 1749; i++)
		assert_int_equal(rcl_swap_get_slots(w->m, 1, &e), 1);
	assert_int_equal(rcl_swap_get_slots(w->m, 1, &e), 0);
	assert_swap_valid(w);
}
static void test_held_rotating(void **state)
{
	held_slots(*state, 0);
}
static void test_held_clusters(void **state)
{
	held_slots(*state, SWAP_SOLIDSTATE);
}

/* With seek cost: in order, then the lowest wholly free run, then what there is. */
static void test_rotating_order(void **state)
{
	struct world *w = *state;

	assert_int_equal(rcl_swapon(w->m, 0, 1 + 4096, -1, 0), 0);
	area_run(w, 1, 4 * SWAPFILE_CLUSTER);
	assert_swap_valid(w);
	release(w, 100, 600);
	assert_swap_valid(w);
	area_run(w, 100, SWAPFILE_CLUSTER);
	/* The hole's rest is too short for a run: the search goes on after the used ones. */
	area_run(w, 2049, SWAPFILE_CLUSTER);
	assert_swap_valid(w);
}

/*
 * In batches, a run may be left by a few slots: the batch in which it ends goes on behind it. The
 * first batch after the long search for a run has 3 slots, the others 64: 3 + 8 * 64 = 515.
 */
static void test_rotating_batches(void **state)
{
	struct world *w = *state;

	assert_int_equal(rcl_swapon(w->m, 0, 1 + 4096, -1, 0), 0);
	area_run(w, 1, 2 * SWAPFILE_CLUSTER);
	release(w, 100, 600);
	alloc_run(w, 100, 515);
	alloc_run(w, 1025, SWAPFILE_CLUSTER);
	assert_swap_valid(w);
}

/* When no run is left, the search takes single free slots, wherever they are. */
static void test_rotating_fragmented(void **state)
{
	struct world *w = *state;
	const u64 pages = 1400;
	u32 found = 0;

	assert_int_equal(rcl_swapon(w->m, 0, 1 + pages, -1, 0), 0);
	area_run(w, 1, pages);
	assert_int_equal(rcl_swap_slot_alloc(w->m), 0);
	assert_true(list_empty(&area(w, 0)->avail_link));
	for (u64 off = 3; off <= pages; off += 3)
		release(w, off, 1);
	assert_swap_valid(w);
	for (swp_entry_t e; rcl_swap_get_slots(w->m, 1, &e); found++)
		assert_int_equal(e, 3 * (found + 1));
	assert_int_equal(found, pages / 3);
	assert_swap_valid(w);
}

/* Without: clusters from the queue, far apart at first; each CPU its own. */
static void test_cluster_order(void **state)
{
	struct world *w = *state;
	const u32 cols = SWAP_ADDRESS_SPACE_PAGES / SWAPFILE_CLUSTER;

	assert_int_equal(rcl_swapon(w->m, 0, 100 * SWAPFILE_CLUSTER, -1, SWAP_SOLIDSTATE), 0);
	assert_swap_valid(w);
	/* Cluster 0 has the header: never free. */
	alloc_run(w, cols * SWAPFILE_CLUSTER, 300);
	w->plat.cpu = 1;
	alloc_run(w, 2 * cols * SWAPFILE_CLUSTER, 300);
	w->plat.cpu = 0;
	alloc_run(w, cols * SWAPFILE_CLUSTER + 300, SWAPFILE_CLUSTER - 300);
	alloc_run(w, 3 * cols * SWAPFILE_CLUSTER, 64);
	assert_swap_valid(w);
	/* A cluster that becomes free goes to the queue's end. */
	release(w, cols * SWAPFILE_CLUSTER, SWAPFILE_CLUSTER);
	assert_int_equal(area(w, 0)->free_tail, cols);
	assert_swap_valid(w);
	/* Every slot can be given out. */
	while (rcl_swap_slot_alloc(w->m))
		;
	w->plat.cpu = 1;
	while (rcl_swap_slot_alloc(w->m))
		;
	assert_int_equal(area(w, 0)->inuse, area(w, 0)->pages);
	assert_swap_valid(w);
}

static void test_priorities(void **state)
{
	struct world *w = *state;
	u32 nr[4] = {0};

	assert_int_equal(rcl_swapon(w->m, 0, 1 + 1000, -1, 0), 0);
	assert_int_equal(rcl_swapon(w->m, 1, 1 + 1000, 5, 0), 0);
	assert_int_equal(rcl_swapon(w->m, 2, 1 + 1000, 5, 0), 0);
	assert_int_equal(rcl_swapon(w->m, 3, 1 + 1000, 9, 0), 0);
	for (u32 i = 0; i < 1000; i++)
		assert_int_equal(swp_type(rcl_swap_slot_alloc(w->m)), 3);
	/*
	 * Equal priorities take turns by what the slot cache fetches at a time: 3 the first time,
	 * when finding a run of 512 leaves little of the ration, then 64.
	 */
	for (u32 turn = 0; turn < 6; turn++)
		for (u32 i = 0; i < (turn < 2 ? 3 : SWAP_SLOTS_CACHE_SIZE); i++)
			assert_int_equal(swp_type(rcl_swap_slot_alloc(w->m)), 1 + turn % 2);
	assert_swap_valid(w);
	for (swp_entry_t e; (e = rcl_swap_slot_alloc(w->m));)
		nr[swp_type(e)]++;
	assert_int_equal(nr[0], 1000);
	assert_int_equal(nr[1] + nr[2], 2000 - 2 * 3 - 4 * SWAP_SLOTS_CACHE_SIZE);
	assert_swap_valid(w);
}

/* Slots come and go 64 at a time while swap is plentiful, one at a time when it is short. */
static void test_slot_caches(void **state)
{
	struct world *w = *state;
	const u64 pages = 2000;
	swp_entry_t e[2001];
	u64 n = 0;

	assert_int_equal(rcl_swapon(w->m, 0, 1 + pages, -1, 0), 0);
	e[n++] = rcl_swap_slot_alloc(w->m);
	assert_int_equal(rcl_nr_swap_pages(w->m), pages - 3);
	e[n++] = rcl_swap_slot_alloc(w->m);
	e[n++] = rcl_swap_slot_alloc(w->m);
	e[n++] = rcl_swap_slot_alloc(w->m);
	assert_int_equal(rcl_nr_swap_pages(w->m), pages - 3 - SWAP_SLOTS_CACHE_SIZE);
	while (n < 300)
		e[n++] = rcl_swap_slot_alloc(w->m);
	u64 free = rcl_nr_swap_pages(w->m);
	for (u32 i = 0; i < SWAP_SLOTS_CACHE_SIZE; i++)
		rcl_swap_slot_free(w->m, e[--n]);
	assert_int_equal(rcl_nr_swap_pages(w->m), free);
	assert_swap_valid(w);
	rcl_swap_slot_free(w->m, e[--n]);
	assert_int_equal(rcl_nr_swap_pages(w->m), free + SWAP_SLOTS_CACHE_SIZE);
	assert_swap_valid(w);
	/* Short of swap: the caches are emptied; nothing waits in them. */
	while ((e[n] = rcl_swap_slot_alloc(w->m)))
		n++;
	assert_false(w->m->swap->slots_cache_active);
	assert_int_equal(n, pages);
	rcl_swap_slot_free(w->m, e[--n]);
	assert_int_equal(rcl_nr_swap_pages(w->m), 1);
	/* They come back only when far more is free. */
	while (n > pages - 5 * 2 * SWAP_SLOTS_CACHE_SIZE)
		rcl_swap_slot_free(w->m, e[--n]);
	e[n++] = rcl_swap_slot_alloc(w->m);
	assert_false(w->m->swap->slots_cache_active);
	for (int i = 0; i < 2; i++)
		rcl_swap_slot_free(w->m, e[--n]);
	e[n++] = rcl_swap_slot_alloc(w->m);
	assert_true(w->m->swap->slots_cache_active);
	assert_swap_valid(w);
}

/* Threads that fight for the last slots: nobody may get a slot that another has. */
#define NR_THREADS 4
struct stress {
	struct platform plat;
	struct rcl m;
	struct cpu cpus[NR_THREADS];
	u32 holder[2][3000];
};
static _Thread_local u32 thread_cpu;
static u32 stress_this_cpu(struct platform *p)
{
	(void)p;
	return thread_cpu;
}
static u64 stress_random(struct platform *p)
{
	(void)p;
	return thread_cpu * 977;
}
static const struct platform_ops stress_ops = {
	.this_cpu = stress_this_cpu,
	.random = stress_random,
	.reserve = fake_reserve,
	.release = fake_release,
};
struct stress_arg {
	struct stress *s;
	u32 id;
};
static void *stress_thread(void *p)
{
	struct stress_arg *arg = p;
	struct stress *s = arg->s;
	swp_entry_t held[1500];
	u32 n = 0, seed = arg->id;

	thread_cpu = arg->id - 1;
	for (u32 i = 0; i < 40000; i++) {
		bool grow = i / 2000 % 2 == 0;

		seed = seed * 1664525 + 1013904223;
		if (n < ARRAY_SIZE(held) && (seed >> 16) % 4 < (grow ? 3 : 1)) {
			swp_entry_t e = rcl_swap_slot_alloc(&s->m);

			if (!e)
				continue;
			RCL_ASSERT(!__atomic_exchange_n(&s->holder[swp_type(e)][swp_offset(e)],
							arg->id, __ATOMIC_RELAXED));
			/* In the cache, then in a page table only. */
			rcl_swap_duplicate(&s->m, e);
			rcl_swap_cache_release(&s->m, e);
			held[n++] = e;
		} else if (n) {
			swp_entry_t e = held[--n];

			RCL_ASSERT(rcl_swap_count(&s->m, e) == 1);
			RCL_ASSERT(__atomic_exchange_n(&s->holder[swp_type(e)][swp_offset(e)], 0,
						       __ATOMIC_RELAXED) == arg->id);
			rcl_swap_free(&s->m, e);
		}
	}
	while (n) {
		s->holder[swp_type(held[n - 1])][swp_offset(held[n - 1])] = 0;
		rcl_swap_free(&s->m, held[--n]);
	}
	return NULL;
}
static void test_threads(void **state)
{
	struct stress *s = calloc(1, sizeof(*s));
	struct stress_arg args[NR_THREADS];
	pthread_t threads[NR_THREADS];
	u64 cached = 0;

	(void)state;
	s->plat.ops = &stress_ops;
	s->plat.threaded = s->m.threaded = true;
	s->m.plat = &s->plat;
	s->m.cpus = s->cpus;
	s->m.nr_cpus = NR_THREADS;
	for (u32 i = 0; i < NR_THREADS; i++)
		s->cpus[i].id = i;
	assert_int_equal(rcl_swap_init(&s->m), 0);
	assert_int_equal(rcl_swapon(&s->m, 0, 3000, 1, SWAP_SOLIDSTATE), 0);
	assert_int_equal(rcl_swapon(&s->m, 0, 1000, 1, 0), 0);
	for (u32 i = 0; i < NR_THREADS; i++) {
		args[i] = (struct stress_arg){s, i + 1};
		assert_int_equal(pthread_create(&threads[i], NULL, stress_thread, &args[i]), 0);
	}
	for (u32 i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_true(rcl_swap_is_valid(&s->m));
	for (u32 i = 0; i < NR_THREADS; i++)
		cached += s->m.swap->slots[i].nr + s->m.swap->slots[i].nr_ret;
	assert_int_equal(rcl_nr_swap_pages(&s->m) + cached, rcl_total_swap_pages(&s->m));
	rcl_swap_exit(&s->m);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_entries),
		TEST(test_swapon),
		TEST(test_held_rotating),
		TEST(test_held_clusters),
		TEST(test_rotating_order),
		TEST(test_rotating_batches),
		TEST(test_rotating_fragmented),
		TEST(test_cluster_order),
		TEST(test_priorities),
		TEST(test_slot_caches),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
