/* SPDX-License-Identifier: MIT */
/*
 * Stress: many threads, four groups, budgets far too small, every byte verified.
 *
 *	test_stress [SECONDS [THREADS [SEED]]]
 *
 * Eight areas, anonymous and of files, two to a group. Each page is all zeros, or filled from one
 * number: which area, which page, which version. What version each page must have is noted under
 * latches of the test's own, as a storage engine has them; optimistic readers take no latch, and
 * check that what they believed was one whole version. Meanwhile limits, tunables and areas change.
 *
 * A watchdog ends the program if a thread makes no progress for a minute, and says where it was.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reclaim/reclaim.h"

#include "../folder.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DEFAULT_SECONDS 15
#else
#define DEFAULT_SECONDS 60
#endif
#define WATCHDOG_SECONDS 60

#define NR_GROUPS   4
#define NR_AREAS    8
#define NR_STRIPES  32 /* all at once are no more than ThreadSanitizer can follow */
#define MAX_THREADS 64
#define AREA_PAGES  4096 /* 16 MiB; grows to twice that */
#define MAX_PAGES   (2 * AREA_PAGES)
#define BUDGET	    (24ull << 20)
#define SWAP	    (512ull << 20)
#define WORDS	    (RCL_PAGE_SIZE / 8)

struct area {
	pthread_rwlock_t lock; /* held for reading by every use, for writing to reopen */
	struct rcl_area *area; /* lock */
	unsigned id;
	bool is_file;
	uint32_t flags;
	struct rcl_group *group;
	char path[TEST_PATH_SIZE];
	_Atomic uint64_t pages;
	pthread_mutex_t latches[NR_STRIPES];
	uint64_t versions[MAX_PAGES]; /* latch of the page; 0 = zeros */
};

struct worker {
	struct world *world;
	pthread_t thread;
	uint64_t random;
	_Atomic uint64_t ops;
	_Atomic(const char *) doing;
	uint64_t refused, tried, peeked, believed;
};

struct world {
	struct rcl_machine *machine;
	struct rcl_group *groups[NR_GROUPS];
	struct area areas[NR_AREAS];
	struct worker workers[MAX_THREADS];
	unsigned nr_workers;
	_Atomic bool stop;
	_Atomic uint64_t next_version;
	char dir[TEST_FOLDER_SIZE];
};

static void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "test_stress: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	abort();
}

static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint64_t below(struct worker *w, uint64_t n)
{
	return (next(&w->random) >> 32) * n >> 32;
}

/* ---- What a page holds --------------------------------------------------------------------- */

static uint64_t seed_of(const struct area *a, uint64_t page, uint64_t version)
{
	uint64_t state = (uint64_t)a->id << 56 ^ page << 32 ^ version;

	return next(&state) | 1;
}

static void fill(const struct area *a, uint64_t page, uint64_t version, uint64_t *words)
{
	uint64_t seed = seed_of(a, page, version);

	words[0] = version;
	for (unsigned i = 1; i < WORDS; i++)
		words[i] = seed * i;
}

/* Does it hold this version, and nothing but? */
static bool holds(const struct area *a, uint64_t page, uint64_t version, const uint64_t *words)
{
	uint64_t seed = version ? seed_of(a, page, version) : 0, wrong = words[0] ^ version;

	for (unsigned i = 1; i < WORDS; i++)
		wrong |= words[i] ^ seed * i;
	return !wrong;
}

static void verify(const struct area *a, uint64_t page, const void *addr, const char *when)
{
	const uint64_t *words = addr;

	if (!holds(a, page, a->versions[page], words))
		fail("%s: area %u (%s) page %llu holds version %llu, word 1 %#llx; written last "
		     "was %llu",
		     when, a->id, a->is_file ? "file" : "anonymous", (unsigned long long)page,
		     (unsigned long long)words[0], (unsigned long long)words[1],
		     (unsigned long long)a->versions[page]);
}

static void write_page(struct world *world, struct area *a, uint64_t page, void *addr)
{
	uint64_t version = atomic_fetch_add(&world->next_version, 1) + 1;

	fill(a, page, version, addr);
	a->versions[page] = version;
}

/* ---- Latches ------------------------------------------------------------------------------- */

static void latch(struct area *a, uint64_t first, uint64_t nr)
{
	/* In the order of stripes, so that nobody waits in a circle. */
	for (unsigned s = 0; s < NR_STRIPES; s++)
		if ((s + NR_STRIPES - first % NR_STRIPES) % NR_STRIPES < nr)
			pthread_mutex_lock(&a->latches[s]);
}

static void unlatch(struct area *a, uint64_t first, uint64_t nr)
{
	for (unsigned s = 0; s < NR_STRIPES; s++)
		if ((s + NR_STRIPES - first % NR_STRIPES) % NR_STRIPES < nr)
			pthread_mutex_unlock(&a->latches[s]);
}

/* ---- Operations ---------------------------------------------------------------------------- */

static bool refused(struct worker *w, int err, const char *what)
{
	if (!err)
		return false;
	if (err == -EAGAIN)
		w->tried++;
	else if (err == -ENOMEM)
		w->refused++;
	else
		fail("%s: %s", what, rcl_strerror(err));
	return true;
}

static uint32_t some_flags(struct worker *w)
{
	uint64_t n = below(w, 8);

	return n == 0 ? RCL_TRY : n == 1 ? RCL_WAIT : n == 2 ? RCL_NOFAIL : 0;
}

/* Mostly a few pages, sometimes any. */
static uint64_t some_page(struct worker *w, const struct area *a)
{
	uint64_t pages = atomic_load(&a->pages);

	return below(w, 4) ? below(w, pages / 8) : below(w, pages);
}

static void op_read(struct worker *w, struct area *a)
{
	uint64_t page = some_page(w, a);
	struct rcl_pin pin;

	latch(a, page, 1);
	if (!refused(w, rcl_pin(a->area, page, RCL_READ | some_flags(w), &pin), "pin to read")) {
		verify(a, page, pin.addr, "read");
		rcl_unpin(&pin);
	}
	unlatch(a, page, 1);
}

static void op_write(struct worker *w, struct area *a)
{
	uint32_t how = below(w, 2) ? RCL_WRITE : RCL_OVERWRITE;
	uint64_t page = some_page(w, a);
	struct rcl_pin pin;

	latch(a, page, 1);
	if (!refused(w, rcl_pin(a->area, page, how | some_flags(w), &pin), "pin to write")) {
		if (how == RCL_WRITE)
			verify(a, page, pin.addr, "read before a write");
		write_page(w->world, a, page, pin.addr);
		rcl_unpin(&pin);
	}
	unlatch(a, page, 1);
}

static void op_range(struct worker *w, struct area *a)
{
	uint64_t first = some_page(w, a), pages = atomic_load(&a->pages);
	uint64_t nr = 1 + below(w, 16);
	bool write = below(w, 2);
	struct rcl_pin pins[16];
	int err;

	if (first + nr > pages)
		nr = pages - first;
	latch(a, first, nr);
	err = rcl_pin_range(a->area, first, nr, (write ? RCL_WRITE : RCL_READ) | some_flags(w),
			    pins);
	if (!refused(w, err, "pin a range")) {
		for (uint64_t i = 0; i < nr; i++) {
			verify(a, first + i, pins[i].addr, "read of a range");
			if (write)
				write_page(w->world, a, first + i, pins[i].addr);
		}
		rcl_unpin_batch(pins, nr);
	}
	unlatch(a, first, nr);
}

/* Copied word by word, where others may be writing: it is the library's job to tell. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
__attribute__((no_sanitize("thread"), no_sanitize("address")))
#endif
static void
copy_racing(uint64_t *dst, const void *src)
{
	const volatile uint64_t *words = src;

	for (unsigned i = 0; i < WORDS; i++)
		dst[i] = words[i];
}

static void op_peek(struct worker *w, struct area *a)
{
	uint64_t page = some_page(w, a), words[WORDS];
	struct rcl_peek peek;

	if (!(a->flags & RCL_AREA_OPTIMISTIC))
		return;
	w->peeked++;
	if (!rcl_peek(a->area, page, &peek))
		return;
	copy_racing(words, peek.addr);
	if (!rcl_peek_ok(&peek))
		return;
	w->believed++;
	if (!holds(a, page, words[0], words))
		fail("peek: area %u page %llu: believed a page that is not one version (%llu, "
		     "%#llx)",
		     a->id, (unsigned long long)page, (unsigned long long)words[0],
		     (unsigned long long)words[1]);
}

static void op_prefetch(struct worker *w, struct area *a)
{
	rcl_prefetch(a->area, some_page(w, a), 1 + below(w, 64));
}

static void op_advise(struct worker *w, struct area *a)
{
	static const enum rcl_area_advice advice[] = {
		RCL_ADVISE_NORMAL,   RCL_ADVISE_RANDOM, RCL_ADVISE_SEQUENTIAL,
		RCL_ADVISE_WILLNEED, RCL_ADVISE_COLD,	RCL_ADVISE_PAGEOUT,
	};
	int err = rcl_area_advise(a->area, some_page(w, a), 1 + below(w, 64),
				  advice[below(w, sizeof(advice) / sizeof(advice[0]))]);

	if (err && err != -ERANGE)
		refused(w, err, "advise");
}

static void op_punch(struct worker *w, struct area *a)
{
	uint64_t first = some_page(w, a), nr = 1 + below(w, 16), pages = atomic_load(&a->pages);

	if (first + nr > pages)
		nr = pages - first;
	latch(a, first, nr);
	/* Everybody pins under the latch, so none of them can be pinned. */
	if (!refused(w, rcl_area_punch(a->area, first, nr), "punch"))
		for (uint64_t i = 0; i < nr; i++)
			a->versions[first + i] = 0;
	unlatch(a, first, nr);
}

static void op_sync(struct worker *w, struct area *a)
{
	refused(w, rcl_area_sync(a->area, below(w, AREA_PAGES - 256), below(w, 256)), "sync");
}

static void op_grow(struct worker *w, struct area *a)
{
	uint64_t pages;

	/* One at a time: the size is read and set. */
	latch(a, 0, NR_STRIPES);
	pages = atomic_load(&a->pages);
	if (pages + 64 <= MAX_PAGES) {
		int err = a->is_file ? rcl_area_truncate(a->area, (pages + 64) * RCL_PAGE_SIZE)
				     : rcl_area_grow(a->area, pages + 64);

		if (!refused(w, err, "grow"))
			atomic_store(&a->pages, pages + 64);
	}
	unlatch(a, 0, NR_STRIPES);
}

static void op_batch(struct worker *w, struct area *a)
{
	struct rcl_place places[8];
	struct rcl_pin pins[8];
	size_t nr = 1 + below(w, 8);
	uint64_t first = below(w, NR_STRIPES);

	/* Pages of one stripe, so that one latch covers them. */
	for (size_t i = 0; i < nr; i++)
		places[i] = (struct rcl_place){
			a->area,
			below(w, atomic_load(&a->pages) / NR_STRIPES) * NR_STRIPES + first};
	latch(a, first, 1);
	if (!refused(w, rcl_pin_batch(places, nr, RCL_READ | some_flags(w), pins), "pin a batch")) {
		for (size_t i = 0; i < nr; i++)
			verify(a, places[i].page, pins[i].addr, "read of a batch");
		rcl_unpin_batch(pins, nr);
	}
	unlatch(a, first, 1);
}

static void op_frames(struct worker *w, struct area *a)
{
	unsigned order = (unsigned)below(w, 4);
	uint64_t *addr;
	void *mem;

	if (refused(w, rcl_frames_alloc(w->world->machine, a->group, order, RCL_TRY, &mem),
		    "frames"))
		return;
	addr = mem;
	for (unsigned i = 0; i < WORDS << order; i++)
		if (addr[i])
			fail("frames: not zero");
	memset(mem, 0xa5, (size_t)RCL_PAGE_SIZE << order);
	rcl_frames_free(w->world->machine, mem, order);
}

static int open_area(struct world *world, struct area *a)
{
	int err;

	if (!a->is_file)
		return rcl_area_anon(world->machine, a->group, atomic_load(&a->pages), a->flags,
				     &a->area);
	err = rcl_area_file(world->machine, a->group, a->path,
			    a->flags | RCL_AREA_WRITE | RCL_AREA_CREATE, &a->area);
	if (!err && rcl_area_pages(a->area) < atomic_load(&a->pages))
		err = rcl_area_truncate(a->area, atomic_load(&a->pages) * RCL_PAGE_SIZE);
	return err;
}

/* Close and open again: a file has kept what it held, anonymous memory has not. */
static void reopen(struct worker *w, struct area *a)
{
	int err;

	pthread_rwlock_wrlock(&a->lock);
	err = rcl_area_close(a->area);
	if (err)
		fail("close: %s", rcl_strerror(err));
	if (!a->is_file)
		memset(a->versions, 0, sizeof(a->versions));
	err = open_area(w->world, a);
	if (err)
		fail("open again: %s", rcl_strerror(err));
	pthread_rwlock_unlock(&a->lock);
}

static const struct op {
	const char *name;
	void (*fn)(struct worker *w, struct area *a);
	unsigned share; /* of a thousand */
} ops[] = {
	{"read", op_read, 400},	   {"write", op_write, 250},	  {"range", op_range, 80},
	{"peek", op_peek, 120},	   {"prefetch", op_prefetch, 40}, {"batch", op_batch, 50},
	{"advise", op_advise, 15}, {"punch", op_punch, 20},	  {"sync", op_sync, 5},
	{"grow", op_grow, 2},	   {"frames", op_frames, 17},	  {"reopen", NULL, 1},
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct world *world = w->world;

	while (!atomic_load(&world->stop)) {
		struct area *a = &world->areas[below(w, NR_AREAS)];
		uint64_t n = below(w, 1000);
		const struct op *op = ops;

		while (n >= op->share)
			n -= op++->share;
		atomic_store(&w->doing, op->name);
		if (op->fn) {
			pthread_rwlock_rdlock(&a->lock);
			op->fn(w, a);
			pthread_rwlock_unlock(&a->lock);
		} else if (!below(w, 20)) {
			reopen(w, a);
		}
		atomic_fetch_add(&w->ops, 1);
	}
	return NULL;
}

/* ---- Set-up and watch ---------------------------------------------------------------------- */

static void open_world(struct world *world)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;
	char *message = NULL;
	int err;

	if (!test_folder_make(world->dir))
		fail("%s: %s", world->dir, strerror(errno));
	opt.budget = BUDGET;
	opt.swap_size = SWAP;
	opt.swap_dir = world->dir;
	err = rcl_open(&opt, &world->machine, &message);
	if (err)
		fail("open: %s: %s", rcl_strerror(err), message);
	for (unsigned i = 0; i < NR_GROUPS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "group%u", i);
		err = rcl_group_create(world->machine, i == 3 ? world->groups[2] : NULL, name,
				       &world->groups[i]);
		if (!err)
			err = rcl_group_set_max(world->groups[i], (4 + 2 * i) << 20);
		if (err)
			fail("group: %s", rcl_strerror(err));
	}
	for (unsigned i = 0; i < NR_AREAS; i++) {
		struct area *a = &world->areas[i];

		a->id = i + 1;
		a->is_file = i & 1;
		a->flags = i & 2 ? RCL_AREA_OPTIMISTIC : 0;
		a->group = world->groups[i / 2];
		atomic_store(&a->pages, AREA_PAGES);
		pthread_rwlock_init(&a->lock, NULL);
		for (unsigned s = 0; s < NR_STRIPES; s++)
			pthread_mutex_init(&a->latches[s], NULL);
		snprintf(a->path, sizeof(a->path), "%s/file%u", world->dir, i);
		err = open_area(world, a);
		if (err)
			fail("area %u: %s", i, rcl_strerror(err));
	}
}

static void change_settings(struct world *world, uint64_t *random)
{
	static const struct {
		const char *name;
		int64_t values[3];
	} settings[] = {
		{"vm.swappiness", {0, 60, 200}},
		{"vm.page-cluster", {0, 1, 3}},
		{"vm.watermark_scale_factor", {10, 100, 500}},
	};
	uint64_t n = next(random);
	unsigned g = n % NR_GROUPS, s = (n >> 8) % 3;
	int err = rcl_group_set_max(world->groups[g], (2 + (n >> 16) % 14) << 20);

	if (err && err != -EBUSY)
		fail("limit: %s", rcl_strerror(err));
	err = rcl_tunable_set(world->machine, settings[s].name, settings[s].values[(n >> 32) % 3]);
	if (err)
		fail("%s: %s", settings[s].name, rcl_strerror(err));
	rcl_group_reclaim(world->groups[(n >> 40) % NR_GROUPS], 64 << 10);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void watch(struct world *world, unsigned seconds, uint64_t seed)
{
	uint64_t last[MAX_THREADS] = {0}, random = seed;
	unsigned idle[MAX_THREADS] = {0};
	double end = now_s() + seconds;

	for (unsigned tick = 0; now_s() < end; tick++) {
		nanosleep(&(struct timespec){0, 100000000}, NULL);
		change_settings(world, &random);
		for (unsigned i = 0; i < world->nr_workers && tick % 10 == 0; i++) {
			uint64_t done = atomic_load(&world->workers[i].ops);

			idle[i] = done == last[i] ? idle[i] + 1 : 0;
			last[i] = done;
			if (idle[i] > WATCHDOG_SECONDS)
				fail("thread %u hangs in '%s'", i,
				     atomic_load(&world->workers[i].doing));
		}
	}
}

/*
 * The hardest settings for a second: with swappiness 0 a group at its limit does not swap at all, so
 * that those who wait for memory wait for the settings. Then they must all come through.
 */
static void squeeze_and_ease(struct world *world)
{
	if (rcl_tunable_set(world->machine, "vm.swappiness", 0))
		fail("vm.swappiness");
	for (unsigned i = 0; i < NR_GROUPS; i++)
		rcl_group_set_max(world->groups[i], 2 << 20);
	sleep(1);
	if (rcl_tunable_set(world->machine, "vm.swappiness", 60))
		fail("vm.swappiness");
}

static void verify_all(struct world *world)
{
	for (unsigned i = 0; i < NR_AREAS; i++) {
		struct area *a = &world->areas[i];

		for (uint64_t page = 0; page < atomic_load(&a->pages); page++) {
			struct rcl_pin pin;
			int err = rcl_pin(a->area, page, RCL_READ, &pin);

			if (err) {
				static char text[1 << 16];

				rcl_stats_text(world->machine, a->group, text, sizeof(text));
				fail("at the end: area %u page %llu: %s; %llu bytes used\n%s", i,
				     (unsigned long long)page, rcl_strerror(err),
				     (unsigned long long)rcl_group_usage(a->group), text);
			}
			verify(a, page, pin.addr, "at the end");
			rcl_unpin(&pin);
		}
	}
}

static void close_world(struct world *world)
{
	int err = 0;

	for (unsigned i = 0; i < NR_AREAS; i++) {
		err = rcl_area_close(world->areas[i].area);
		if (err)
			fail("close area %u: %s", i, rcl_strerror(err));
		if (world->areas[i].is_file)
			unlink(world->areas[i].path);
	}
	for (unsigned i = NR_GROUPS; i-- > 0;) {
		err = rcl_group_destroy(world->groups[i]);
		if (err)
			fail("destroy group %u: %s", i, rcl_strerror(err));
	}
	err = rcl_close(world->machine);
	if (err)
		fail("close: %s", rcl_strerror(err));
	rmdir(world->dir);
}

int main(int argc, char **argv)
{
	unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : DEFAULT_SECONDS;
	unsigned threads = argc > 2 ? (unsigned)atoi(argv[2]) : 8;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
	uint64_t sum[5] = {0};
	struct rcl_stats stats = {.size = sizeof(stats)};
	struct world *world = calloc(1, sizeof(*world));

	if (!world || !threads || threads > MAX_THREADS)
		fail("usage: test_stress [SECONDS [THREADS [SEED]]]");
	open_world(world);
	world->nr_workers = threads;
	for (unsigned i = 0; i < threads; i++) {
		struct worker *w = &world->workers[i];

		w->world = world;
		w->random = seed * 1000 + i;
		atomic_store(&w->doing, "nothing yet");
		if (pthread_create(&w->thread, NULL, work, w))
			fail("no thread");
	}
	watch(world, seconds, seed);
	squeeze_and_ease(world);
	atomic_store(&world->stop, true);
	alarm(WATCHDOG_SECONDS * 2);
	for (unsigned i = 0; i < threads; i++) {
		struct worker *w = &world->workers[i];

		pthread_join(w->thread, NULL);
		sum[0] += atomic_load(&w->ops);
		sum[1] += w->refused;
		sum[2] += w->tried;
		sum[3] += w->peeked;
		sum[4] += w->believed;
	}
	verify_all(world);
	rcl_stats_read(world->machine, NULL, &stats);
	printf("%llu operations by %u threads in %u s; refused %llu, not tried %llu; peeks %llu, "
	       "believed %llu\nmajor faults %llu, swapped out %llu, in %llu, reclaimed %llu, "
	       "refaults %llu, I/O errors %llu\n",
	       (unsigned long long)sum[0], threads, seconds, (unsigned long long)sum[1],
	       (unsigned long long)sum[2], (unsigned long long)sum[3], (unsigned long long)sum[4],
	       (unsigned long long)stats.major_faults, (unsigned long long)stats.swapped_out,
	       (unsigned long long)stats.swapped_in, (unsigned long long)stats.reclaimed,
	       (unsigned long long)stats.refaults, (unsigned long long)stats.io_errors);
	if (stats.io_errors || stats.checksum_errors)
		fail("I/O or checksum errors");
	close_world(world);
	free(world);
	return 0;
}
