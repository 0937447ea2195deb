/* SPDX-License-Identifier: MIT */
/*
 * A key-value store whose buffer pool is a file area, under readers and writers.
 *
 *	kv FILE [--keys 1M] [--budget 32M] [--readers 2] [--writers 2] [--ops 256K]
 *
 * The file is a hash table of pages: 63 slots of 64 bytes and a header. Keys that follow each other
 * share a page, which is where the hash of their group says, or, if that is full, one behind it
 * (the full one is marked "overflowed"). Nothing is ever deleted, so a key once found on a page
 * stays on it.
 *
 * Who may do what when:
 *
 *   put     pins the page for writing, then takes its latch for writing. In this order: a pin may
 *           wait for the disk, and nobody should wait for a latch meanwhile.
 *   get     first tries without either: rcl_peek(), look, copy, rcl_peek_ok(). That fails if the
 *           page is not in memory or somebody is writing to it. Then it pins and latches, both for
 *           reading. Gets come in batches, and the pages that a batch misses are pinned together,
 *           so that the disk reads them all at the same time.
 *   sync    a thread makes the file durable every now and then, while the others go on.
 *
 * As an optimistic reader may look at a page in the middle of a change, all words of a page are
 * read and written as atomics (relaxed, which costs nothing), and what is read from it (the number
 * of slots) is bounded before it is used.
 *
 * The library keeps pages in memory; who may touch their bytes is up to the store. Its latches are
 * a small array of locks, picked by page.
 *
 * What is checked: every value is made from key and version, so one that is mixed from two versions
 * is noticed. A get never returns an older version than the last one put before it began. At the
 * end the file is closed, opened again, and holds every key once, in its last version.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "common.h"

enum {
	WORDS = 8, /* of a slot: key, version, value */
	SLOTS = RCL_PAGE_SIZE / 64 - 1,
	GROUP = 32, /* keys that share a page */
	NR_LATCHES = 1024,
	BATCH = 16
};

/* Words: number of slots in use, whether keys went on to the next page. */
struct page {
	_Atomic uint64_t nr, overflowed, unused[WORDS - 2];
	_Atomic uint64_t slots[SLOTS][WORDS];
};

static struct {
	struct rcl_area *area;
	uint64_t pages, keys;
	_Atomic uint32_t *versions; /* by key; written by the key's writer, after the page */
	pthread_rwlock_t latches[NR_LATCHES];
	uint32_t readers, writers;
	uint64_t ops; /* of each thread */
	atomic_bool done;
	atomic_ulong optimistic, pinned, syncs;
} store;

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit((_Atomic uint64_t *)word, memory_order_relaxed);
}
static void save(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static uint64_t home_page(uint64_t key)
{
	uint64_t group = key / GROUP;

	return random_below(&group, store.pages);
}
static uint64_t next_page(uint64_t page)
{
	return page + 1 < store.pages ? page + 1 : 0;
}
static pthread_rwlock_t *latch_of(uint64_t page)
{
	return &store.latches[page % NR_LATCHES];
}

static void make_slot(uint64_t *slot, uint64_t key, uint32_t version)
{
	uint64_t seed = key << 32 ^ version;

	slot[0] = key;
	slot[1] = version;
	for (int i = 2; i < WORDS; i++)
		slot[i] = random_u64(&seed);
}

static void check_slot(const uint64_t *slot, uint64_t key, uint32_t at_least)
{
	uint64_t expected[WORDS];

	make_slot(expected, key, (uint32_t)slot[1]);
	if (memcmp(slot, expected, sizeof(expected)))
		die("key %" PRIu64 ": the value is not one that was put", key);
	if (slot[1] < at_least)
		die("key %" PRIu64 ": version %" PRIu64 ", but %u had been put", key, slot[1],
		    at_least);
}

enum found {
	ABSENT,
	HERE,
	FURTHER /* perhaps on the next page */
};

/* Copy the key's slot. The page may be changing, or be no such page at all. */
static enum found look(const struct page *page, uint64_t key, uint64_t *slot)
{
	uint64_t nr = load(&page->nr);

	for (uint64_t i = 0; i < nr && i < SLOTS; i++) {
		if (load(&page->slots[i][0]) != key)
			continue;
		for (int w = 0; w < WORDS; w++)
			slot[w] = load(&page->slots[i][w]);
		return HERE;
	}
	return load(&page->overflowed) ? FURTHER : ABSENT;
}

static enum found look_pinned(const struct rcl_pin *pin, uint64_t page, uint64_t key,
			      uint64_t *slot)
{
	enum found found;

	pthread_rwlock_rdlock(latch_of(page));
	found = look(pin->addr, key, slot);
	pthread_rwlock_unlock(latch_of(page));
	return found;
}

/*
 * As far as pages in memory go: true if that answered it, else *page is the first one that has to
 * be pinned.
 */
static bool get_optimistic(uint64_t key, uint64_t *page, uint64_t *slot, enum found *found)
{
	struct rcl_peek peek;

	while (rcl_peek(store.area, *page, &peek)) {
		*found = look(peek.addr, key, slot);
		if (!rcl_peek_ok(&peek))
			return false;
		if (*found != FURTHER)
			return true;
		*page = next_page(*page);
	}
	return false;
}

/* Get up to BATCH keys; all of them are there. */
static void get_batch(const uint64_t *keys, size_t nr)
{
	struct rcl_place places[BATCH];
	struct rcl_pin pins[BATCH];
	uint64_t slot[WORDS], missing[BATCH];
	uint32_t versions[BATCH];
	enum found found = ABSENT;
	size_t n = 0;

	for (size_t i = 0; i < nr; i++) {
		uint64_t page = home_page(keys[i]);

		versions[n] = atomic_load_explicit(&store.versions[keys[i]], memory_order_acquire);
		if (!get_optimistic(keys[i], &page, slot, &found)) {
			places[n] = (struct rcl_place){store.area, page};
			missing[n++] = keys[i];
		} else if (found == HERE) {
			check_slot(slot, keys[i], versions[n]);
		} else {
			die("key %" PRIu64 " is gone", keys[i]);
		}
	}
	atomic_fetch_add(&store.optimistic, nr - n);
	atomic_fetch_add(&store.pinned, n);
	MUST(rcl_pin_batch(places, n, RCL_READ, pins));
	for (size_t i = 0; i < n; i++) {
		uint64_t page = places[i].page;

		found = look_pinned(&pins[i], page, missing[i], slot);
		rcl_unpin(&pins[i]);
		while (found == FURTHER) {
			struct rcl_pin pin;

			page = next_page(page);
			MUST(rcl_pin(store.area, page, RCL_READ, &pin));
			found = look_pinned(&pin, page, missing[i], slot);
			rcl_unpin(&pin);
		}
		if (found != HERE)
			die("key %" PRIu64 " is gone", missing[i]);
		check_slot(slot, missing[i], versions[i]);
	}
}

/* Into its slot, or a new one; false: the page is full, and says so from now on. */
static bool put_on(struct page *page, uint64_t key, const uint64_t *slot)
{
	uint64_t nr = load(&page->nr), i = 0;

	while (i < nr && load(&page->slots[i][0]) != key)
		i++;
	if (i == SLOTS) {
		save(&page->overflowed, 1);
		return false;
	}
	for (int w = 0; w < WORDS; w++)
		save(&page->slots[i][w], slot[w]);
	if (i == nr)
		save(&page->nr, nr + 1);
	return true;
}

/* Only one thread puts a given key. */
static void put(uint64_t key)
{
	uint32_t version = atomic_load_explicit(&store.versions[key], memory_order_relaxed) + 1;
	uint64_t page = home_page(key), slot[WORDS];
	struct rcl_pin pin;
	bool there;

	make_slot(slot, key, version);
	for (;; page = next_page(page)) {
		MUST(rcl_pin(store.area, page, RCL_WRITE, &pin));
		pthread_rwlock_wrlock(latch_of(page));
		there = put_on(pin.addr, key, slot);
		pthread_rwlock_unlock(latch_of(page));
		rcl_unpin(&pin);
		if (there)
			break;
	}
	atomic_store_explicit(&store.versions[key], version, memory_order_release);
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void *loader(void *arg)
{
	for (uint64_t key = (uintptr_t)arg; key < store.keys; key += store.writers)
		put(key);
	return NULL;
}

static void *writer(void *arg)
{
	uint64_t me = (uintptr_t)arg, rng = me + 1;

	for (uint64_t i = 0; i < store.ops; i++) {
		uint64_t key = random_skewed(&rng, store.keys / store.writers);

		put(key * store.writers + me);
	}
	return NULL;
}

static void *reader(void *arg)
{
	uint64_t rng = (uintptr_t)arg + 1000, keys[BATCH];

	for (uint64_t i = 0; i < store.ops; i += BATCH) {
		for (int k = 0; k < BATCH; k++)
			keys[k] = random_skewed(&rng, store.keys);
		get_batch(keys, BATCH);
	}
	return NULL;
}

static void *syncer(void *arg)
{
	const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};

	(void)arg;
	while (!atomic_load(&store.done)) {
		MUST(rcl_area_sync(store.area, 0, 0));
		atomic_fetch_add(&store.syncs, 1);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void start(pthread_t *thread, void *(*function)(void *), uint64_t arg)
{
	if (pthread_create(thread, NULL, function, (void *)(uintptr_t)arg))
		die("no thread to be had");
}

/* Every key once, in its last version. */
static void verify(struct rcl_machine *machine, const char *path)
{
	uint64_t nr = 0;
	struct rcl_pin pin;

	MUST(rcl_area_file(machine, NULL, path, 0, &store.area));
	MUST(rcl_area_advise(store.area, 0, 0, RCL_ADVISE_SEQUENTIAL));
	for (uint64_t p = 0; p < rcl_area_pages(store.area); p++) {
		const struct page *page;

		MUST(rcl_pin(store.area, p, RCL_READ, &pin));
		page = pin.addr;
		for (uint64_t i = 0; i < load(&page->nr); i++, nr++) {
			uint64_t slot[WORDS], key = load(&page->slots[i][0]);

			if (key >= store.keys || look(page, key, slot) != HERE)
				die("page %" PRIu64 " is damaged", p);
			check_slot(slot, key, 0);
			if (slot[1] != atomic_exchange(&store.versions[key], 0))
				die("key %" PRIu64 " is there twice, or not the last version", key);
		}
		rcl_unpin(&pin);
	}
	if (nr != store.keys)
		die("%" PRIu64 " keys of %" PRIu64 " are there", nr, store.keys);
	MUST(rcl_area_close(store.area));
}

static void run(const char *path, uint64_t budget)
{
	struct rcl_machine *machine = open_machine(budget, 0, "kv");
	uint32_t nr = store.readers + store.writers;
	pthread_t *threads = calloc(nr, sizeof(*threads)), sync_thread;
	double begin = seconds_now(), loaded, end;

	MUST(rcl_area_file(machine, NULL, path,
			   RCL_AREA_WRITE | RCL_AREA_CREATE | RCL_AREA_OPTIMISTIC, &store.area));
	MUST(rcl_area_truncate(store.area, 0));
	MUST(rcl_area_truncate(store.area, store.pages * RCL_PAGE_SIZE));
	MUST(rcl_area_advise(store.area, 0, 0, RCL_ADVISE_RANDOM));
	for (uint32_t i = 0; i < store.writers; i++)
		start(&threads[i], loader, i);
	for (uint32_t i = 0; i < store.writers; i++)
		pthread_join(threads[i], NULL);
	MUST(rcl_area_sync(store.area, 0, 0));
	loaded = seconds_now();

	start(&sync_thread, syncer, 0);
	for (uint32_t i = 0; i < nr; i++)
		start(&threads[i], i < store.writers ? writer : reader,
		      i < store.writers ? i : i - store.writers);
	for (uint32_t i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	end = seconds_now();
	atomic_store(&store.done, true);
	pthread_join(sync_thread, NULL);
	MUST(rcl_area_sync(store.area, 0, 0));

	printf("%" PRIu64 " keys, %.1f MiB, loaded in %.2f s\n", store.keys,
	       (double)(store.pages * RCL_PAGE_SIZE) / (1 << 20), loaded - begin);
	printf("%u readers and %u writers, %.2f s: %.0f gets/s, %.0f puts/s, %lu syncs\n",
	       store.readers, store.writers, end - loaded,
	       (double)(store.readers * store.ops) / (end - loaded),
	       (double)(store.writers * store.ops) / (end - loaded), atomic_load(&store.syncs));
	printf("gets without a pin: %.1f%%\n", 100.0 * (double)atomic_load(&store.optimistic) /
						       (double)(store.readers * store.ops + 1e-9));
	print_stats(machine);
	MUST(rcl_area_close(store.area));
	verify(machine, path);
	printf("\nThe file holds every key once, in its last version.\n");
	MUST(rcl_close(machine));
	free(threads);
}

int main(int argc, char **argv)
{
	uint64_t budget = 32 << 20;
	const char *path = NULL;

	store.keys = 1 << 20;
	store.ops = 1 << 18;
	store.readers = store.writers = 2;
	for (int i = 1; i < argc; i++) {
		uint64_t n = argv[i][0] == '-' && i + 1 < argc ? parse_size(argv[i + 1]) : 0;

		if (argv[i][0] != '-')
			path = argv[i];
		else if (i++, !strcmp(argv[i - 1], "--keys") && n)
			store.keys = n;
		else if (!strcmp(argv[i - 1], "--budget") && n)
			budget = n;
		else if (!strcmp(argv[i - 1], "--readers"))
			store.readers = (uint32_t)n;
		else if (!strcmp(argv[i - 1], "--writers") && n)
			store.writers = (uint32_t)n;
		else if (!strcmp(argv[i - 1], "--ops"))
			store.ops = (n + BATCH - 1) / BATCH * BATCH;
		else
			path = NULL, i = argc;
	}
	if (!path)
		die("usage: %s FILE [--keys N] [--budget SIZE] [--readers N] [--writers N] "
		    "[--ops N]",
		    argv[0]);
	store.keys = (store.keys + store.writers - 1) / store.writers * store.writers;
	store.pages = store.keys / GROUP * 3 / 2 + 8;
	store.versions = calloc(store.keys, sizeof(*store.versions));
	for (int i = 0; i < NR_LATCHES; i++)
		pthread_rwlock_init(&store.latches[i], NULL);
	run(path, budget);
	free(store.versions);
	return 0;
}
