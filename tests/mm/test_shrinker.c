/* SPDX-License-Identifier: MIT */
#include "mm/shrinker.h"
#include "mm/machine.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static _Thread_local u32 thread_cpu;

static void *fake_reserve(struct platform *p, size_t bytes)
{
	(void)p;
	return calloc(1, bytes);
}
static void fake_release(struct platform *p, void *mem, size_t bytes)
{
	(void)p;
	(void)bytes;
	free(mem);
}
static int fake_wait_on(struct platform *p, u32 *word, u32 value, u64 timeout, bool io)
{
	(void)p;
	(void)word;
	(void)value;
	(void)timeout;
	(void)io;
	sched_yield();
	return 0;
}
static u32 fake_wake(struct platform *p, u32 *word, u32 n)
{
	(void)p;
	(void)word;
	(void)n;
	return 0;
}
static u32 fake_this_cpu(struct platform *p)
{
	(void)p;
	return thread_cpu;
}
static void fake_poll(struct platform *p)
{
	(void)p;
}
static const struct platform_ops ops = {
	.poll = fake_poll,
	.reserve = fake_reserve,
	.release = fake_release,
	.wait_on = fake_wait_on,
	.wake = fake_wake,
	.this_cpu = fake_this_cpu,
};

/* A machine with two nodes, two CPUs and the groups / - a - b. */
struct world {
	struct platform plat;
	struct rcl m;
	struct cpu cpus[2];
	struct memcg root, a, b;
};

static void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->plat.simulated = true;
	w->plat.next_event = UINT64_MAX;
	w->plat.ops = &ops;
	w->m.plat = &w->plat;
	w->m.cpus = w->cpus;
	w->m.nr_cpus = w->m.nr_nodes = 2;
	w->root.id = 1;
	w->a.id = 2;
	w->b.id = 7;
	w->a.parent = &w->root;
	w->b.parent = &w->a;
	w->root.online = w->a.online = w->b.online = true;
	list_init(&w->root.children);
	list_init(&w->a.children);
	list_init(&w->b.children);
	list_add_tail(&w->a.sibling, &w->root.children);
	list_add_tail(&w->b.sibling, &w->a.children);
	w->m.root_memcg = &w->root;
	assert_int_equal(rcl_shrinkers_init(&w->m), 0);
}

/* A cache that has `objects` and frees one in `free_one_in` of those it scans. */
struct cache {
	struct shrinker s;
	unsigned long objects, calls, counts, last_nid, asked[32];
	unsigned long free_one_in; /* 0: frees nothing */
	unsigned long really_scans;
	bool stop;
	unsigned long empty_answers; /* count() says SHRINK_EMPTY this often first */
	struct memcg *last_memcg;
};

static unsigned long cache_count(struct shrinker *s, struct shrink_control *sc)
{
	struct cache *c = container_of(s, struct cache, s);

	c->counts++;
	c->last_nid = sc->nid;
	c->last_memcg = sc->memcg;
	if (c->empty_answers) {
		c->empty_answers--;
		return SHRINK_EMPTY;
	}
	return c->objects;
}

static unsigned long cache_scan(struct shrinker *s, struct shrink_control *sc)
{
	struct cache *c = container_of(s, struct cache, s);
	unsigned long freed;

	assert_int_equal(sc->nr_scanned, sc->nr_to_scan);
	assert_true(sc->nr_to_scan > 0);
	if (c->calls < 32)
		c->asked[c->calls] = sc->nr_to_scan;
	c->calls++;
	if (c->stop)
		return SHRINK_STOP;
	if (c->really_scans)
		sc->nr_scanned = c->really_scans;
	freed = c->free_one_in ? min(sc->nr_to_scan / c->free_one_in, c->objects) : 0;
	c->objects -= freed;
	return freed;
}

static void cache_init(struct cache *c, unsigned long objects, int seeks, u32 flags)
{
	memset(c, 0, sizeof(*c));
	c->s.count_objects = cache_count;
	c->s.scan_objects = cache_scan;
	c->s.name = "cache";
	c->s.seeks = seeks;
	c->s.flags = flags;
	c->objects = objects;
}

static s64 slabs_scanned(struct world *w)
{
	return w->cpus[0].events[SLABS_SCANNED];
}

/* Computed by hand from the rules at the top of shrinker.c. */
static void targets_by_hand(void **state)
{
	static const struct {
		unsigned long freeable;
		long deferred;
		int priority, seeks;
		long target;
	} t[] = {
		{1000, 0, 12, 2, 0},	     /* 1000 >> 12 = 0 */
		{4096, 0, 12, 2, 2},	     /* 1 * 4 / 2 */
		{1000, 0, 3, 2, 250},	     /* 125 * 4 / 2 */
		{1000, 0, 1, 5, 400},	     /* 500 * 4 / 5 */
		{1000, 0, 1, 3, 666},	     /* 2000 / 3, rounded down */
		{1000, 0, 0, 2, 2000},	     /* exactly the cap */
		{1000, 0, 0, 1, 2000},	     /* 4000, capped to 2 * 1000 */
		{1000, 0, 12, 0, 500},	     /* free objects: half, whatever the priority */
		{1, 0, 0, 0, 0},	     /* half of one */
		{100, 800, 2, 2, 200},	     /* 200 + 50, capped to 200 */
		{1000, 800, 2, 2, 700},	     /* 200 + 500 */
		{1000, 4095, 12, 2, 0},	     /* 4095 >> 12 = 0 */
		{1000, 1 << 20, 12, 2, 256}, /* old work comes in doses */
		{1ul << 40, 0, 0, 2, 1l << 41},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		assert_int_equal(rcl_shrink_slab_target(t[i].freeable, t[i].deferred, t[i].priority,
							t[i].seeks),
				 t[i].target);
}

static void rest_is_deferred_until_it_is_a_batch(void **state)
{
	struct world w;
	struct cache c;

	(void)state;
	world_init(&w);
	cache_init(&c, 1000, 2, 0);
	assert_int_equal(rcl_register_shrinker(&w.m, &c.s), 0);
	/* target 250: one batch of 128, 122 deferred */
	assert_int_equal(rcl_shrink_slab(&w.m, GFP_KERNEL, 0, &w.root, 3), 0);
	assert_int_equal(c.calls, 1);
	assert_int_equal(c.asked[0], 128);
	assert_int_equal(c.s.nr_deferred[0], 122);
	/* target (122 >> 3) + 250 = 265: two batches; 122 + 250 - 256 = 116 stay deferred */
	rcl_shrink_slab(&w.m, GFP_KERNEL, 0, &w.root, 3);
	assert_int_equal(c.calls, 3);
	assert_int_equal(c.s.nr_deferred[0], 116);
	assert_int_equal(slabs_scanned(&w), 384);
	/* light pressure alone never reaches a batch, yet adds up */
	rcl_shrink_slab(&w.m, GFP_KERNEL, 0, &w.root, 9);
	assert_int_equal(c.calls, 3);
	assert_int_equal(c.s.nr_deferred[0], 118);
	rcl_unregister_shrinker(&w.m, &c.s);
	assert_null(c.s.nr_deferred);
	rcl_unregister_shrinker(&w.m, &c.s);
	rcl_shrink_slab(&w.m, GFP_KERNEL, 0, &w.root, 0);
	assert_int_equal(c.calls, 3);
	rcl_shrinkers_exit(&w.m);
}

static void small_cache_is_emptied_under_high_pressure(void **state)
{
	struct world w;
	struct cache c;

	(void)state;
	world_init(&w);
	cache_init(&c, 10, 2, 0);
	c.free_one_in = 1;
	assert_int_equal(rcl_register_shrinker(&w.m, &c.s), 0);
	/* (10 >> 2) * 2 = 4: less than a batch and less than the cache */
	assert_int_equal(rcl_shrink_slab(&w.m, GFP_KERNEL, 0, NULL, 2), 0);
	assert_int_equal(c.calls, 0);
	assert_int_equal(c.s.nr_deferred[0], 4);
	/* (4 >> 1) + 10 = 12 >= 10: all of it, in one call */
	assert_int_equal(rcl_shrink_slab(&w.m, GFP_KERNEL, 0, NULL, 1), 10);
	assert_int_equal(c.calls, 1);
	assert_int_equal(c.asked[0], 12);
	assert_int_equal(c.s.nr_deferred[0], 2); /* 4 + 10 - 12 */
	rcl_shrinkers_exit(&w.m);
}

static void stop_defers_everything(void **state)
{
	struct world w;
	struct cache c;

	(void)state;
	world_init(&w);
	cache_init(&c, 1000, 2, 0);
	c.stop = true;
	assert_int_equal(rcl_register_shrinker(&w.m, &c.s), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(rcl_shrink_slab(&w.m, GFP_NOFS, 0, &w.root, 2), 0);
	assert_int_equal(c.calls, 20); /* asked once a pass, then left alone */
	assert_int_equal(slabs_scanned(&w), 0);
	assert_int_equal(c.s.nr_deferred[0], 2000); /* 20 * 500, capped at twice the cache */
	/* the next pass that may, takes a dose of it: 2000 >> 2 + 500 = 1000 = 7 batches + 104 */
	c.stop = false;
	rcl_shrink_slab(&w.m, GFP_KERNEL, 0, &w.root, 2);
	assert_int_equal(slabs_scanned(&w), 896);
	assert_int_equal(c.s.nr_deferred[0], 2000 + 500 - 896);
	rcl_shrinkers_exit(&w.m);
}

static void corrected_scan_count_is_believed(void **state)
{
	struct world w;
	struct cache c;

	(void)state;
	world_init(&w);
	cache_init(&c, 1000, 2, 0);
	c.s.batch = 64;
	c.really_scans = 100;
	assert_int_equal(rcl_register_shrinker(&w.m, &c.s), 0);
	/* target 250, minus 100 each: calls at 250, 150; 50 is less than a batch */
	rcl_shrink_slab(&w.m, GFP_KERNEL, 0, &w.root, 3);
	assert_int_equal(c.calls, 2);
	assert_int_equal(c.asked[1], 64);
	assert_int_equal(slabs_scanned(&w), 200);
	assert_int_equal(c.s.nr_deferred[0], 50);
	rcl_shrinkers_exit(&w.m);
}

static void deferred_by_node_and_group(void **state)
{
	struct world w;
	struct cache plain, numa, memcg;

	(void)state;
	world_init(&w);
	cache_init(&plain, 1000, 2, 0);
	cache_init(&numa, 1000, 2, SHRINKER_NUMA_AWARE);
	cache_init(&memcg, 1000, 2, SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE);
	assert_int_equal(rcl_register_shrinker(&w.m, &plain.s), 0);
	assert_int_equal(rcl_register_shrinker(&w.m, &numa.s), 0);
	assert_int_equal(rcl_register_shrinker(&w.m, &memcg.s), 0);
	assert_int_equal(plain.s.id, -1);
	assert_int_equal(memcg.s.id, 0);
	rcl_shrink_slab(&w.m, GFP_KERNEL, 1, &w.root, 5); /* 31 * 2 = 62: deferred */
	assert_int_equal(plain.s.nr_deferred[0], 62);
	assert_int_equal(numa.s.nr_deferred[0], 0);
	assert_int_equal(numa.s.nr_deferred[1], 62);
	assert_int_equal(memcg.s.nr_deferred[1], 0); /* kept with the root group */
	assert_ptr_equal(memcg.last_memcg, &w.root);
	assert_int_equal(memcg.last_nid, 1);
	/* another group: only memcg-aware ones whose bit is set, on that node */
	rcl_shrink_slab(&w.m, GFP_KERNEL, 1, &w.b, 5);
	assert_int_equal(memcg.counts, 1);
	rcl_set_shrinker_bit(&w.m, &w.b, 1, memcg.s.id);
	rcl_shrink_slab(&w.m, GFP_KERNEL, 0, &w.b, 5);
	assert_int_equal(memcg.counts, 1);
	for (int i = 0; i < 3; i++) /* 62; 62 + (62 >> 5) = 63 < 128; again */
		rcl_shrink_slab(&w.m, GFP_KERNEL, 1, &w.b, 5);
	assert_int_equal(memcg.counts, 4);
	assert_int_equal(plain.counts, 1);
	assert_int_equal(memcg.calls, 0);
	/* b goes: its 186 become a's; a pass over a at priority 0 then shows them */
	rcl_shrinkers_memcg_offline(&w.m, &w.b);
	rcl_set_shrinker_bit(&w.m, &w.a, 1, memcg.s.id);
	memcg.s.batch = 100000; /* so that one call tells the target: 93 + 1000 */
	rcl_shrink_slab(&w.m, GFP_KERNEL, 1, &w.a, 1);
	assert_int_equal(memcg.asked[0], 1093);
	/* an offline group is not shrunk */
	w.a.online = false;
	rcl_shrink_slab(&w.m, GFP_KERNEL, 1, &w.a, 0);
	assert_int_equal(memcg.calls, 1);
	rcl_shrinkers_exit(&w.m);
}

/* After SHRINK_EMPTY the bit is cleared, and set again if the second look finds something. */
static void empty_clears_the_bit_after_a_second_look(void **state)
{
	struct world w;
	struct cache c;

	(void)state;
	world_init(&w);
	cache_init(&c, 1000, 2, SHRINKER_MEMCG_AWARE);
	assert_int_equal(rcl_register_shrinker(&w.m, &c.s), 0);
	rcl_set_shrinker_bit(&w.m, &w.a, 0, c.s.id);
	c.empty_answers = 1; /* an object was added in between */
	rcl_shrink_slab(&w.m, GFP_KERNEL, 0, &w.a, 12);
	assert_int_equal(c.counts, 2);
	c.empty_answers = 2; /* really empty */
	rcl_shrink_slab(&w.m, GFP_KERNEL, 0, &w.a, 12);
	assert_int_equal(c.counts, 4);
	rcl_shrink_slab(&w.m, GFP_KERNEL, 0, &w.a, 12);
	assert_int_equal(c.counts, 4);
	rcl_set_shrinker_bit(&w.m, &w.a, 0, c.s.id);
	rcl_shrink_slab(&w.m, GFP_KERNEL, 0, &w.a, 12);
	assert_int_equal(c.counts, 5);
	rcl_shrinkers_exit(&w.m);
}

static void ids_run_out_and_come_back(void **state)
{
	struct world w;
	struct cache *c = calloc(SHRINKER_MAX_IDS + 1, sizeof(*c));

	(void)state;
	world_init(&w);
	for (int i = 0; i <= SHRINKER_MAX_IDS; i++) {
		cache_init(&c[i], 1000, 2, SHRINKER_MEMCG_AWARE);
		assert_int_equal(rcl_register_shrinker(&w.m, &c[i].s),
				 i < SHRINKER_MAX_IDS ? 0 : -ENOSPC);
	}
	/* what a group deferred for an id is not inherited by the id's next owner */
	rcl_set_shrinker_bit(&w.m, &w.a, 0, 17);
	rcl_shrink_slab(&w.m, GFP_KERNEL, 0, &w.a, 5);
	rcl_unregister_shrinker(&w.m, &c[17].s);
	c[SHRINKER_MAX_IDS].s.batch = 1;
	assert_int_equal(rcl_register_shrinker(&w.m, &c[SHRINKER_MAX_IDS].s), 0);
	assert_int_equal(c[SHRINKER_MAX_IDS].s.id, 17);
	rcl_shrink_slab(&w.m, GFP_KERNEL, 0, &w.a, 5);
	assert_int_equal(c[SHRINKER_MAX_IDS].counts, 0); /* bit went with the old one */
	rcl_set_shrinker_bit(&w.m, &w.a, 0, 17);
	rcl_shrink_slab(&w.m, GFP_KERNEL, 0, &w.a, 5);
	assert_int_equal(c[SHRINKER_MAX_IDS].calls, 62);
	rcl_shrinkers_exit(&w.m);
	free(c);
}

/* Whatever the order of passes: deferred stays within 0 .. 2 * freeable, and no work is lost. */
static void random_passes_conserve_work(void **state)
{
	struct world w;
	struct cache c;
	u64 seed = 99;

	(void)state;
	world_init(&w);
	cache_init(&c, 0, 2, 0);
	assert_int_equal(rcl_register_shrinker(&w.m, &c.s), 0);
	for (int i = 0; i < 50000; i++) {
		s64 before = c.s.nr_deferred[0], scanned = slabs_scanned(&w), want;
		int priority;
		long freeable;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		priority = (int)((seed >> 40) % 13);
		c.s.seeks = (int)((seed >> 50) % 4);
		c.s.batch = (seed >> 55) % 3 ? 0 : 1 + (long)((seed >> 33) % 300);
		c.stop = (seed >> 60) == 0;
		c.free_one_in = (seed >> 58) % 3;
		c.objects = (seed >> 20) % 5000;
		freeable = (long)c.objects;
		rcl_shrink_slab(&w.m, GFP_KERNEL, 0, &w.root, priority);
		scanned = slabs_scanned(&w) - scanned;
		if (!freeable) {
			assert_int_equal(c.s.nr_deferred[0], before);
			continue;
		}
		assert_in_range(c.s.nr_deferred[0], 0, 2 * freeable);
		assert_true(scanned <= 2 * freeable);
		want = before +
		       rcl_shrink_slab_target(c.objects = freeable, 0, priority, c.s.seeks) -
		       scanned;
		/* the target is capped at twice the cache, the new work is not: seeks 1 only */
		if (c.s.seeks != 1)
			assert_int_equal(c.s.nr_deferred[0],
					 min(max(want, (s64)0), (s64)(2 * freeable)));
	}
	rcl_shrinkers_exit(&w.m);
}

/* Two threads shrink while a third registers and unregisters: no callback after unregister. */
struct stress {
	struct world w;
	struct cache fixed;
	bool done;
};
static unsigned long guarded_count(struct shrinker *s, struct shrink_control *sc)
{
	(void)sc;
	if (!__atomic_load_n((bool *)(s + 1), __ATOMIC_ACQUIRE))
		abort();
	return 300;
}
static unsigned long guarded_scan(struct shrinker *s, struct shrink_control *sc)
{
	(void)sc;
	sched_yield();
	if (!__atomic_load_n((bool *)(s + 1), __ATOMIC_ACQUIRE))
		abort();
	return 1;
}
static void *stress_thread(void *arg)
{
	struct stress *st = arg;
	static u32 next;

	thread_cpu = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % 2;
	while (!__atomic_load_n(&st->done, __ATOMIC_RELAXED)) {
		rcl_shrink_slab(&st->w.m, GFP_KERNEL, 0, &st->w.root, 0);
		rcl_set_shrinker_bit(&st->w.m, &st->w.a, 0, 0);
		rcl_shrink_slab(&st->w.m, GFP_KERNEL, 0, &st->w.a, 0);
	}
	return NULL;
}
static s64 scanned(struct stress *st)
{
	return shared_read(&st->w.cpus[0].events[SLABS_SCANNED]) +
	       shared_read(&st->w.cpus[1].events[SLABS_SCANNED]);
}
static void unregister_waits_for_passes(void **state)
{
	struct stress *st = calloc(1, sizeof(*st));
	struct {
		struct shrinker s;
		bool alive;
	} guest = {0};
	pthread_t t[2];

	(void)state;
	world_init(&st->w);
	st->w.plat.simulated = false;
	st->w.plat.threaded = st->w.m.threaded = true;
	guest.s.count_objects = guarded_count;
	guest.s.scan_objects = guarded_scan;
	guest.s.seeks = 2;
	guest.s.flags = SHRINKER_MEMCG_AWARE;
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, stress_thread, st);
	for (int i = 0; i < 300; i++) {
		__atomic_store_n(&guest.alive, true, __ATOMIC_RELEASE);
		assert_int_equal(rcl_register_shrinker(&st->w.m, &guest.s), 0);
		/* Once at least the threads get to it. */
		do
			sched_yield();
		while (!i && !scanned(st));
		rcl_unregister_shrinker(&st->w.m, &guest.s);
		__atomic_store_n(&guest.alive, false, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&st->done, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_true(scanned(st) > 0);
	rcl_shrinkers_exit(&st->w.m);
	free(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets_by_hand),
		cmocka_unit_test(rest_is_deferred_until_it_is_a_batch),
		cmocka_unit_test(small_cache_is_emptied_under_high_pressure),
		cmocka_unit_test(stop_defers_everything),
		cmocka_unit_test(corrected_scan_count_is_believed),
		cmocka_unit_test(deferred_by_node_and_group),
		cmocka_unit_test(empty_clears_the_bit_after_a_second_look),
		cmocka_unit_test(ids_run_out_and_come_back),
		cmocka_unit_test(random_passes_conserve_work),
		cmocka_unit_test(unregister_waits_for_passes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
