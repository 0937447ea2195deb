/* SPDX-License-Identifier: MIT */
/*
 * What the page allocator costs, against a bare per-CPU list (a stack of frames and nothing else:
 * the floor) and malloc/free of 4 KiB. Prints ns of the thread's CPU time per operation, the best
 * of several rounds.
 *
 *   bench_page_alloc [MiB of the machine, default 8192]
 */
#include "../tests/mm/bare_machine.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define BULK	    (1u << 20)
#define PAIRS	    (1u << 14) /* a sample is short, so that one falls between disturbances */
#define ROUNDS	    1000
#define BULK_ROUNDS 5

static u64 clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (u64)ts.tv_sec * RCL_NSEC_PER_SEC + (u64)ts.tv_nsec;
}

static void keep(void *p)
{
	__asm__ volatile("" ::"r"(p) : "memory");
}

/* The floor: frames on one list. */
struct stack {
	struct list_head head;
};
static struct folio *stack_get(struct stack *s)
{
	struct folio *f = list_first_entry(&s->head, struct folio, lru);

	list_del(&f->lru);
	f->refcount = 1;
	return f;
}
static void stack_put(struct stack *s, struct folio *f)
{
	f->refcount = 0;
	list_add(&f->lru, &s->head);
}

static double bench_stack_pair(void)
{
	struct folio *frames = calloc(64, sizeof(*frames));
	struct stack s;
	double best = 1e9;

	list_init(&s.head);
	for (u32 i = 0; i < 64; i++)
		list_add_tail(&frames[i].lru, &s.head);
	for (u32 r = 0; r < ROUNDS; r++) {
		u64 t = clock_ns();

		for (u32 i = 0; i < PAIRS; i++) {
			struct folio *f = stack_get(&s);

			keep(f);
			stack_put(&s, f);
		}
		best = min(best, (double)(clock_ns() - t) / PAIRS);
	}
	free(frames);
	return best;
}

static double bench_malloc_pair(void)
{
	double best = 1e9;

	for (u32 r = 0; r < ROUNDS; r++) {
		u64 t = clock_ns();

		for (u32 i = 0; i < PAIRS; i++) {
			void *p = malloc(PAGE_SIZE);

			keep(p);
			free(p);
		}
		best = min(best, (double)(clock_ns() - t) / PAIRS);
	}
	return best;
}

static double bench_pair(struct rcl *m, u32 order)
{
	double best = 1e9;

	for (u32 r = 0; r < ROUNDS; r++) {
		u64 t = clock_ns();

		for (u32 i = 0; i < PAIRS; i++) {
			struct folio *f = rcl_alloc_pages(m, GFP_HIGHUSER_MOVABLE, order);

			keep(f);
			f->refcount = 0;
			rcl_free_pages(m, f, order);
		}
		best = min(best, (double)(clock_ns() - t) / PAIRS);
	}
	return best;
}

static void shuffle(struct platform *p, struct folio **a, u32 n)
{
	for (u32 i = n - 1; i; i--) {
		u32 j = (u32)(p->ops->random(p) % (i + 1));
		struct folio *f = a[i];

		a[i] = a[j];
		a[j] = f;
	}
}

struct bulk {
	double get, put, put_shuffled;
};

static double bulk_get(struct rcl *m, struct folio **a)
{
	u64 t = clock_ns();

	for (u32 i = 0; i < BULK; i++)
		a[i] = rcl_alloc_pages(m, GFP_HIGHUSER_MOVABLE, 0);
	return (double)(clock_ns() - t) / BULK;
}

static double bulk_put(struct rcl *m, struct folio **a)
{
	u64 t = clock_ns();

	for (u32 i = 0; i < BULK; i++) {
		a[i]->refcount = 0;
		rcl_free_pages(m, a[i], 0);
	}
	return (double)(clock_ns() - t) / BULK;
}

static struct bulk bench_bulk(struct rcl *m)
{
	struct folio **a = malloc(BULK * sizeof(struct folio *));
	struct bulk best = {1e9, 1e9, 1e9};

	for (u32 r = 0; r < BULK_ROUNDS; r++) {
		best.get = min(best.get, bulk_get(m, a));
		best.put = min(best.put, bulk_put(m, a));
		bulk_get(m, a);
		shuffle(m->plat, a, BULK);
		best.put_shuffled = min(best.put_shuffled, bulk_put(m, a));
		rcl_drain_all_pages(m);
	}
	free(a);
	return best;
}

/* One frame freed and one allocated at random places while half of memory is in use. */
static u64 bench_churn(struct rcl *m, u32 rounds, u64 *whole_before)
{
	u32 nr = (u32)(m->totalram_pages / 2);
	struct folio **a = malloc(nr * sizeof(struct folio *));
	u64 whole = 0;

	*whole_before = 0;
	for (u32 i = 0; i < nr; i++)
		a[i] = rcl_alloc_pages(m, GFP_HIGHUSER_MOVABLE, 0);
	for (u32 r = 0; r < rounds; r++) {
		for (u32 i = 0; i < nr / 64; i++) {
			u32 j = (u32)(m->plat->ops->random(m->plat) % nr);

			a[j]->refcount = 0;
			rcl_free_pages(m, a[j], 0);
			a[j] = rcl_alloc_pages(m, GFP_HIGHUSER_MOVABLE, 0);
		}
	}
	rcl_drain_all_pages(m);
	for_each_zone (z, m->nodes) {
		whole += z->free_area[PAGEBLOCK_ORDER].nr_free +
			 2 * z->free_area[PAGEBLOCK_ORDER + 1].nr_free;
		*whole_before += z->managed_pages >> PAGEBLOCK_ORDER;
	}
	*whole_before /= 2;
	for (u32 i = 0; i < nr; i++) {
		a[i]->refcount = 0;
		rcl_free_pages(m, a[i], 0);
	}
	free(a);
	return whole;
}

static struct bare *machine(u64 bytes)
{
	struct rcl_node_layout layout;
	struct bare *b = bare_new(1, false);

	rcl_layout_for_memory(bytes, 1, &layout);
	if (rcl_page_alloc_init(&b->m, &layout, 1))
		exit(1);
	return b;
}

/* ---- Two threads on two CPUs; everything is locked and atomic then. ------------------------- */

static __thread u32 thread_cpu;

static u32 thread_this_cpu(struct platform *p)
{
	(void)p;
	return thread_cpu;
}

struct worker {
	struct rcl *m;
	u32 cpu, order;
	double ns;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	thread_cpu = w->cpu;
	w->ns = bench_pair(w->m, w->order);
	return NULL;
}

static double bench_threads(struct rcl *m, u32 nr, u32 order)
{
	struct worker w[2];
	pthread_t t[2];
	double worst = 0;

	for (u32 i = 0; i < nr; i++) {
		w[i] = (struct worker){.m = m, .cpu = i, .order = order};
		if (pthread_create(&t[i], NULL, work, &w[i]))
			exit(1);
	}
	for (u32 i = 0; i < nr; i++) {
		pthread_join(t[i], NULL);
		worst = max(worst, w[i].ns);
	}
	return worst;
}

static void show_threads(u64 bytes)
{
	static const u32 orders[] = {0, 9};
	struct platform_ops ops = bare_ops;
	struct rcl_node_layout layout;
	struct bare *b = bare_new(2, true);

	ops.this_cpu = thread_this_cpu;
	b->plat.ops = &ops;
	rcl_layout_for_memory(bytes, 1, &layout);
	if (rcl_page_alloc_init(&b->m, &layout, 1))
		exit(1);
	for (u32 i = 0; i < ARRAY_SIZE(orders); i++) {
		double one = bench_threads(&b->m, 1, orders[i]);
		double two = bench_threads(&b->m, 2, orders[i]);

		printf("threaded, order %u: 1, 2 threads     %7.2f %7.2f ns   %.2f x\n", orders[i],
		       one, two, two / one);
	}
	bare_close(b);
}

int main(int argc, char **argv)
{
	u64 mib = argc > 1 ? strtoull(argv[1], NULL, 0) : 8192, t, ideal, whole;
	struct bare *b;
	double floor, pair;
	struct bulk bulk;

	t = clock_ns();
	b = machine(256ull << 30);
	printf("%-34s %8.2f ms\n", "open 256 GiB", (double)(clock_ns() - t) / 1e6);
	bare_close(b);

	b = machine(mib << 20);
	floor = bench_stack_pair();
	pair = bench_pair(&b->m, 0);
	printf("%-34s %8.2f ns\n", "bare list: get + put", floor);
	printf("%-34s %8.2f ns   %.1f x bare list\n", "order 0: alloc + free", pair, pair / floor);
	printf("%-34s %8.2f ns\n", "order 3: alloc + free", bench_pair(&b->m, 3));
	printf("%-34s %8.2f ns\n", "order 9: alloc + free", bench_pair(&b->m, 9));
	printf("%-34s %8.2f ns   %.1f x ours\n", "malloc + free of 4 KiB", bench_malloc_pair(),
	       bench_malloc_pair() / pair);
	bulk = bench_bulk(&b->m);
	printf("%-34s %8.2f ns\n", "1M frames: get", bulk.get);
	printf("%-34s %8.2f ns\n", "1M frames: put", bulk.put);
	printf("%-34s %8.2f ns\n", "1M frames: put shuffled", bulk.put_shuffled);
	bare_close(b);

	show_threads(mib << 20);

	b = machine(1ull << 30);
	whole = bench_churn(&b->m, 500, &ideal);
	printf("%-34s %8llu of %llu\n", "whole 2 MiB blocks after churn", (unsigned long long)whole,
	       (unsigned long long)ideal);
	bare_close(b);
	return 0;
}
