/* SPDX-License-Identifier: MIT */
/*
 * The page allocator under load: a machine larger than memory, random operations against a model,
 * and threads.
 */
#include "page_alloc_world.h"

#include <pthread.h>
#include <sys/resource.h>

/* A machine with more descriptors than memory to hold them opens, and touches few. */
static void test_huge_machine(void **state)
{
	struct rcl_node_layout layout[2];
	struct rusage before, after;
	struct bare *b;
	(void)state;

	rcl_layout_for_memory(256ull << 30, 2, layout);
	getrusage(RUSAGE_SELF, &before);
	b = bare_new(2, false);
	assert_int_equal(rcl_page_alloc_init(&b->m, layout, 2), 0);
	getrusage(RUSAGE_SELF, &after);
	assert_int_equal(b->m.totalram_pages, 1ull << 26);
	/* of 26 million pages of them and the tables */
	assert_in_range(after.ru_minflt - before.ru_minflt, 1, 400000);
	assert_non_null(rcl_alloc_pages_node(&b->m, 1, GFP_KERNEL, 0));
	bare_close(b);
}

/* Random requests of every kind from three CPUs; the allocator stays whole. */
static void random_operations(u64 seed, u32 steps)
{
	struct rcl_node_layout layout[2] = {{{3840, 3000, 2000, 0}}, {{0, 0, 4100, 900}}};
	static const gfp_t gfps[] = {GFP_KERNEL,
				     GFP_HIGHUSER_MOVABLE,
				     GFP_ATOMIC,
				     GFP_NOWAIT,
				     GFP_KERNEL | __GFP_RECLAIMABLE,
				     GFP_HIGHUSER_MOVABLE | __GFP_WRITE,
				     GFP_KERNEL | __GFP_DMA,
				     GFP_KERNEL | __GFP_THISNODE};
	struct bare *b = open_nodes(3, layout, 2);
	struct {
		struct folio *f;
		u32 order;
	} have[4096];
	u32 nr = 0;
	s64 frames = 0;

	b->seed = seed;
	for (u32 i = 0; i < steps; i++) {
		u64 r = bare_random(&b->plat);
		bool grow = (i / 500) % 3 != 2;

		b->plat.cpu = r >> 8 & 0xff ? b->plat.cpu : (u32)(r >> 16) % 3;
		b->task.node = r >> 20 & 1;
		b->task.flags = r >> 21 & 15 ? 0 : PF_MEMALLOC;
		if (r >> 32 & 255 || !i) {
			if (nr < 4096 && (r & 3) != (grow ? 0 : 3) && (grow || (r & 3) == 1)) {
				u32 order = r >> 40 & 1 ? 0 : (u32)(r >> 44) % MAX_ORDER;
				gfp_t gfp = gfps[(r >> 50) % ARRAY_SIZE(gfps)] | __GFP_NOWARN;
				struct folio *f = rcl_alloc_pages(&b->m, gfp, order);

				if (!f)
					continue;
				assert_int_equal(f->refcount, 1);
				f->flags |= BIT(PG_uptodate);
				have[nr].f = f;
				have[nr++].order = order;
				frames += 1 << order;
			} else if (nr) {
				u32 k = (u32)(r >> 44) % nr;

				put(&b->m, have[k].f, have[k].order);
				frames -= 1 << have[k].order;
				have[k] = have[--nr];
			}
		} else if (r >> 40 & 1) {
			rcl_drain_all_pages(&b->m);
		} else {
			b->m.nodes[r >> 41 & 1].zones[ZONE_NORMAL].reclaim_active ^= true;
		}
		if (i % 16 == 0)
			assert_true(rcl_page_alloc_is_valid(&b->m));
	}
	assert_true(rcl_page_alloc_is_valid(&b->m));
	assert_int_equal(bare_events(b, PGALLOC_DMA) + bare_events(b, PGALLOC_DMA32) +
				 bare_events(b, PGALLOC_NORMAL) + bare_events(b, PGALLOC_MOVABLE) -
				 bare_events(b, PGFREE),
			 frames);
	while (nr--)
		put(&b->m, have[nr].f, have[nr].order);
	rcl_drain_all_pages(&b->m);
	assert_true(rcl_page_alloc_is_valid(&b->m));
	frames = 0;
	for (u32 n = 0; n < 2; n++)
		for_each_zone (z, b->m.nodes + n)
			frames += nr_free(z);
	assert_int_equal(frames, b->m.totalram_pages);
	bare_close(b);
}

static void test_random_operations(void **state)
{
	(void)state;
	for (u64 seed = 1; seed <= 20; seed++)
		random_operations(seed, 3000);
}

/* Threads: each on a CPU of its own, two sharing one; frames never belong to two owners. */
static _Thread_local struct task thread_task;
static _Thread_local u32 thread_cpu;

static struct task *thread_current(struct platform *p)
{
	(void)p;
	return &thread_task;
}
static u32 thread_this_cpu(struct platform *p)
{
	(void)p;
	return thread_cpu;
}

struct worker {
	struct rcl *m;
	u32 id;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct folio *have[256];
	u32 nr = 0, orders[256];
	u64 r = w->id + 1;

	thread_cpu = w->id / 2;
	thread_task.m = w->m;
	for (u32 i = 0; i < 30000; i++) {
		r = r * 6364136223846793005ull + 1442695040888963407ull;
		if (nr < 256 && r >> 63) {
			u32 order = r >> 60 & 3 ? 0 : (u32)(r >> 40) % 6;
			struct folio *f = rcl_alloc_pages(
				w->m, GFP_NOWAIT | __GFP_MOVABLE | __GFP_NOWARN, order);

			if (!f)
				continue;
			RCL_ASSERT(!f->private_); /* nobody else's */
			f->private_ = w->id + 1;
			have[nr] = f;
			orders[nr++] = order;
		} else if (nr) {
			u32 k = (u32)(r >> 33) % nr;

			RCL_ASSERT(have[k]->private_ == w->id + 1);
			have[k]->private_ = 0;
			have[k]->refcount = 0;
			rcl_free_pages(w->m, have[k], orders[k]);
			have[k] = have[--nr];
			orders[k] = orders[nr];
		}
		if (i % 5000 == 4999)
			rcl_drain_all_pages(w->m);
	}
	while (nr--) {
		have[nr]->refcount = 0;
		rcl_free_pages(w->m, have[nr], orders[nr]);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct rcl_node_layout layout = {{3840, 19662, 0, 0}};
	struct platform_ops ops = bare_ops;
	struct bare *b = bare_new(2, true);
	struct worker workers[4];
	pthread_t threads[4];
	struct folio *f;
	(void)state;

	memset(&hook, 0, sizeof(hook));
	ops.current = thread_current;
	ops.this_cpu = thread_this_cpu;
	b->plat.ops = &ops;
	assert_int_equal(rcl_page_alloc_init(&b->m, &layout, 1), 0);
	f = rcl_alloc_pages(&b->m, GFP_KERNEL, 0);
	assert_int_equal(f->flags, BIT(PG_threaded));
	put(&b->m, f, 0);
	for (u32 i = 0; i < 4; i++) {
		workers[i] = (struct worker){&b->m, i};
		pthread_create(&threads[i], NULL, work, &workers[i]);
	}
	for (u32 i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	rcl_drain_all_pages(&b->m);
	assert_true(rcl_page_alloc_is_valid(&b->m));
	assert_int_equal(nr_free(&b->m.nodes[0].zones[0]) + nr_free(&b->m.nodes[0].zones[1]),
			 b->m.totalram_pages);
	bare_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_huge_machine),
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
