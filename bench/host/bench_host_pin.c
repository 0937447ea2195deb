/* SPDX-License-Identifier: MIT */
/*
 * What using a page that is in memory costs.
 *
 *	bench_host_pin [-r repeats] [thousands of pages]...
 *
 * Pages in random order, so many that everything fits the second-level cache (16K pages) and so
 * many that it does not (1M). The peer is the least there can be: an array of words, one for each
 * page, in the manner of vmcache (Leis et al., SIGMOD 2023): a pin for reading is one
 * compare-and-swap that counts a reader up, an unpin another that counts it down, an optimistic
 * read two loads of the word. It neither says where a page is nor can it ever bring one in. Its
 * runs alternate with ours; medians, and their ratio. A run is the median of batches, each with an
 * order of its own, so whatever else the machine does now and then is left out.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "reclaim/inline.h"

#define MAX_REPEATS 31
#define BATCH	    (1u << 16)
#define ROUNDS	    16

static void die(const char *what, int err)
{
	fprintf(stderr, "bench_host_pin: %s: %s\n", what, rcl_strerror(err));
	exit(1);
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

/* ---- The peer ------------------------------------------------------------------------------ */

/* State in the top 8 bits: 0 unlocked, 1..252 readers; version below. */
#define STATE_SHIFT 56
#define STATE_ONE   (1ull << STATE_SHIFT)
#define STATE_MAX   252

static bool word_lock_shared(uint64_t *word)
{
	uint64_t old = __atomic_load_n(word, __ATOMIC_RELAXED);

	return old >> STATE_SHIFT < STATE_MAX &&
	       __atomic_compare_exchange_n(word, &old, old + STATE_ONE, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static void word_unlock_shared(uint64_t *word)
{
	uint64_t old = __atomic_load_n(word, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(word, &old, old - STATE_ONE, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
}

/* ---- What is measured ---------------------------------------------------------------------- */

struct bench {
	struct rcl_area *area;
	uint64_t *words;
	uint64_t pages;
};

struct job {
	const struct bench *b;
	uint64_t (*fn)(const struct bench *b, const uint32_t *order);
	uint64_t first, nr, seed;
	pthread_barrier_t *start;
	double ns;
	uint64_t sum;
	pthread_t thread;
};

static uint64_t ours_pin(const struct bench *b, const uint32_t *order)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < BATCH; i++) {
		struct rcl_pin pin;

		if (rcl_pin(b->area, order[i], RCL_READ, &pin))
			abort();
		sum += (uintptr_t)pin.addr;
		rcl_unpin(&pin);
	}
	return sum;
}

static uint64_t ours_pin_write(const struct bench *b, const uint32_t *order)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < BATCH; i++) {
		struct rcl_pin pin;

		if (rcl_pin(b->area, order[i], RCL_WRITE, &pin))
			abort();
		sum += (uintptr_t)pin.addr;
		rcl_unpin(&pin);
	}
	return sum;
}

static uint64_t ours_peek(const struct bench *b, const uint32_t *order)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < BATCH; i++) {
		struct rcl_peek peek;

		if (!rcl_peek(b->area, order[i], &peek) || !rcl_peek_ok(&peek))
			abort();
		sum += (uintptr_t)peek.addr;
	}
	return sum;
}

static uint64_t ours_peek_inline(const struct bench *b, const uint32_t *order)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < BATCH; i++) {
		struct rcl_peek peek;

		if (!rcl_peek_inline(b->area, order[i], &peek) || !rcl_peek_ok_inline(&peek))
			abort();
		sum += (uintptr_t)peek.addr;
	}
	return sum;
}

static uint64_t words_pin(const struct bench *b, const uint32_t *order)
{
	for (unsigned i = 0; i < BATCH; i++) {
		while (!word_lock_shared(&b->words[order[i]]))
			;
		word_unlock_shared(&b->words[order[i]]);
	}
	return 0;
}

static uint64_t words_peek(const struct bench *b, const uint32_t *order)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < BATCH; i++) {
		uint64_t *word = &b->words[order[i]];
		uint64_t seen = __atomic_load_n(word, __ATOMIC_ACQUIRE);

		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		sum += seen == __atomic_load_n(word, __ATOMIC_RELAXED);
	}
	return sum;
}

/* A random order of pages from [first, first + nr). */
static void make_order(uint32_t *order, uint64_t first, uint64_t nr, uint64_t seed)
{
	for (unsigned i = 0; i < BATCH; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		order[i] = (uint32_t)(first + ((seed >> 33) * nr >> 31));
	}
}

static void *run_job(void *arg)
{
	uint32_t *order = malloc(BATCH * sizeof(*order));
	struct job *j = arg;
	double ns[ROUNDS];

	if (j->start)
		pthread_barrier_wait(j->start);
	/* Another order each time, so that 1M pages do not become 64K. */
	for (unsigned i = 0; i < ROUNDS; i++) {
		make_order(order, j->first, j->nr, j->seed * ROUNDS + i);
		ns[i] = now_ns();
		j->sum += j->fn(j->b, order);
		ns[i] = (now_ns() - ns[i]) / BATCH;
	}
	j->ns = median(ns, ROUNDS);
	free(order);
	return NULL;
}

static double one_thread(const struct bench *b,
			 uint64_t (*fn)(const struct bench *, const uint32_t *), uint64_t nr)
{
	struct job j = {.b = b, .fn = fn, .nr = nr, .seed = 1};

	run_job(&j);
	return j.ns;
}

/* Pairs a second of two threads on distinct pages, as a multiple of one thread's on as many. */
static double two_threads(const struct bench *b, double one)
{
	pthread_barrier_t start;
	struct job j[2] = {0};

	pthread_barrier_init(&start, NULL, 2);
	for (unsigned i = 0; i < 2; i++) {
		j[i] = (struct job){.b = b, .fn = ours_pin, .start = &start, .seed = i + 1};
		j[i].nr = b->pages / 2;
		j[i].first = i * j[i].nr;
		pthread_create(&j[i].thread, NULL, run_job, &j[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(j[i].thread, NULL);
	pthread_barrier_destroy(&start);
	return one / j[0].ns + one / j[1].ns;
}

static const struct {
	const char *name;
	uint64_t (*ours)(const struct bench *, const uint32_t *);
	uint64_t (*peer)(const struct bench *, const uint32_t *);
	uint32_t flags;
} cases[] = {
	{"pin to read + unpin", ours_pin, words_pin, 0},
	{"pin to write + unpin", ours_pin_write, words_pin, 0},
	{"optimistic read", ours_peek, words_peek, RCL_AREA_OPTIMISTIC},
	{"optimistic read, in line", ours_peek_inline, words_peek, RCL_AREA_OPTIMISTIC},
	{"optimistic read, words pinned", ours_peek, words_pin, RCL_AREA_OPTIMISTIC},
	{"  in line", ours_peek_inline, words_pin, RCL_AREA_OPTIMISTIC},
};

static void open_bench(struct bench *b, struct rcl_machine **machine, uint64_t pages,
		       uint32_t flags)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;
	int err;

	opt.budget = pages * RCL_PAGE_SIZE / 4 * 5 + (64 << 20);
	err = rcl_open(&opt, machine, NULL);
	if (!err)
		err = rcl_area_anon(*machine, NULL, pages, flags, &b->area);
	if (err)
		die("open", err);
	b->pages = pages;
	b->words =
		mmap(NULL, pages * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(b->words, pages * 8, MADV_HUGEPAGE);
	memset(b->words, 0, pages * 8);
	for (uint64_t i = 0; i < pages; i++) {
		struct rcl_pin pin;

		err = rcl_pin(b->area, i, RCL_WRITE, &pin);
		if (err)
			die("first pin", err);
		rcl_unpin(&pin);
	}
}

static void close_bench(struct bench *b, struct rcl_machine *machine)
{
	munmap(b->words, b->pages * 8);
	if (rcl_area_close(b->area) || rcl_close(machine))
		die("close", -EBUSY);
}

static void run(uint64_t pages, unsigned repeats)
{
	double ours[MAX_REPEATS], peer[MAX_REPEATS], scale[MAX_REPEATS];
	struct rcl_machine *machine;
	struct bench b;

	printf("%llu pages\n", (unsigned long long)pages);
	for (unsigned flags = 0; flags <= RCL_AREA_OPTIMISTIC; flags += RCL_AREA_OPTIMISTIC) {
		open_bench(&b, &machine, pages, flags);
		for (unsigned c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
			if (cases[c].flags != flags)
				continue;
			for (unsigned r = 0; r < repeats; r++) {
				ours[r] = one_thread(&b, cases[c].ours, pages);
				peer[r] = one_thread(&b, cases[c].peer, pages);
			}
			printf("  %-40s %6.1f ns   bare words %6.1f ns   %.2fx\n", cases[c].name,
			       median(ours, repeats), median(peer, repeats),
			       median(ours, repeats) / median(peer, repeats));
		}
		for (unsigned r = 0; r < repeats && !flags; r++)
			scale[r] = two_threads(&b, one_thread(&b, ours_pin, pages / 2));
		if (!flags)
			printf("  %-40s %6.2fx one thread's\n", "two threads on distinct pages",
			       median(scale, repeats));
		close_bench(&b, machine);
	}
}

int main(int argc, char **argv)
{
	unsigned repeats = 5;
	int opt;

	while ((opt = getopt(argc, argv, "r:")) != -1) {
		if (opt != 'r' || (repeats = (unsigned)atoi(optarg)) < 1 || repeats > MAX_REPEATS) {
			fprintf(stderr,
				"usage: bench_host_pin [-r repeats] [thousands of pages]...\n");
			return 2;
		}
	}
	for (int i = optind; i < argc; i++)
		run(strtoull(argv[i], NULL, 10) << 10, repeats);
	if (optind == argc) {
		run(16 << 10, repeats);
		run(1 << 20, repeats);
	}
	return 0;
}
