/* SPDX-License-Identifier: MIT */
/*
 * The engine on real memory under real threads: several address spaces of anonymous memory and of
 * files, in groups at their limits, with swap, kswapd and flushers. Threads pin pages for reading,
 * writing and overwriting, try to, peek at them, read and write files, sync, advise, punch, grow
 * areas, change limits, and set up and take down address spaces. Every page carries a stamp in each
 * of its words, and whoever reads one checks it against the last write.
 *
 *	test_stress [SECONDS [THREADS [SEED]]]
 *
 * Two threads may pin one page for writing, and keeping them apart is up to them; so every page of
 * the model has a lock of its own, a word that is only ever tried: no thread waits for another with
 * a pin in its hands.
 *
 * ThreadSanitizer sees all accesses but peeks: these read pages that others may be writing to, on
 * purpose, and find out afterwards (pin.h).
 */
#include "../host/host_world.h"

#include <pthread.h>
#include <sched.h>

#define MEMORY	    3000
#define SWAP	    16384
#define MOST_PAGES  2048
#define MOST_PINNED 6
#define FILE_IO	    512 /* pages of the file that is read and written by calls */

/* What a page should hold. lock: number of readers, or WRITER. */
#define WRITER UINT32_MAX
struct cell {
	u32 lock;
	bool maybe_zero; /* lock */
	u64 stamp;	 /* lock */
};
/* The content of anonymous memory, or of a file, which several areas may show. */
struct store {
	u64 id;
	u64 pages; /* A */
	struct cell cells[MOST_PAGES];
};

struct area {
	struct mm *mm;
	struct memcg *memcg;
	struct store *store;
	struct host_file *file;
	struct file handle;
	u64 most; /* grows so far */
	bool writable, droppable;
};
#define AREAS 6

struct world {
	struct host_world *w;
	struct rcl *m;
	struct memcg *group[3];
	struct store stores[AREAS];
	struct area areas[AREAS];
	struct store call_store;
	struct host_file *call_file;
	pthread_mutex_t grow, limits, churn;
	u32 stop;
};

struct held {
	struct area *a;
	struct cell *cell;
	u64 page, pfn;
	pte_t *pte;
	bool write;
};

struct thread {
	struct world *x;
	pthread_t thread;
	struct task *task;
	u64 seed;
	struct file call_handle;
	u32 nr_held;
	struct held held[MOST_PINNED];
	u64 steps, pins, tries, peeks, believed, no_memory, busy;
};

static u64 random_of(struct thread *t)
{
	u64 z = t->seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}
static u64 below(struct thread *t, u64 n)
{
	return random_of(t) % n;
}

/* Wrong content ends the program: what comes after would only blur it. */
#define CHECK(cond, fmt, ...)                                                                      \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "stress: %s: " fmt "\n", #cond, __VA_ARGS__);              \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* ---- content ------------------------------------------------------------------------------- */

#define WORDS (PAGE_SIZE / sizeof(u64))
#define TORN  UINT64_MAX

static u64 stamp_for(struct thread *t, const struct store *s, u64 page)
{
	return s->id << 56 | page << 40 | (random_of(t) & 0xffffffffffull);
}
static u64 word_of(u64 stamp, u64 i)
{
	return stamp ? stamp + i : 0;
}
static void put_stamp(u64 *words, u64 stamp)
{
	for (u64 i = 0; i < WORDS; i++)
		words[i] = word_of(stamp, i);
}
static u64 get_stamp(const u64 *words)
{
	for (u64 i = 1; i < WORDS; i++)
		if (words[i] != word_of(words[0], i))
			return TORN;
	return words[0];
}
/* The same out of ThreadSanitizer's sight, for pages that may be changing. */
__attribute__((noinline, no_sanitize("thread"))) static u64 peek_stamp(const volatile u64 *words)
{
	u64 first = words[0];

	for (u64 i = 1; i < WORDS; i++)
		if (words[i] != (first ? first + i : 0))
			return TORN;
	return first;
}

static bool lock_cell(struct cell *c, bool write)
{
	u32 v = __atomic_load_n(&c->lock, __ATOMIC_RELAXED);

	do {
		if (write ? v : v == WRITER)
			return false;
	} while (!__atomic_compare_exchange_n(&c->lock, &v, write ? WRITER : v + 1, true,
					      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	return true;
}
static void unlock_cell(struct cell *c, bool write)
{
	if (write)
		__atomic_store_n(&c->lock, 0, __ATOMIC_RELEASE);
	else
		__atomic_sub_fetch(&c->lock, 1, __ATOMIC_RELEASE);
}

static void check_content(struct cell *c, const struct store *s, u64 page, u64 found)
{
	CHECK(found == c->stamp || (!found && c->maybe_zero),
	      "store %llu page %llu: found %llx, wrote %llx", (unsigned long long)s->id,
	      (unsigned long long)page, (unsigned long long)found, (unsigned long long)c->stamp);
}

/* ---- pins ---------------------------------------------------------------------------------- */

static u64 *data_of(struct thread *t, u64 pfn)
{
	return rcl_host_frame(t->x->w->h, pfn);
}

static void unpin(struct thread *t, struct held *h)
{
	if (!rcl_unpin_fast(h->a->mm, h->pte, h->write))
		rcl_unpin_page(t->x->m, h->a->mm, h->page, h->pte);
	unlock_cell(h->cell, h->write);
}

/* Look at the page, write to it if it is pinned for that. */
static void use(struct thread *t, struct held *h, bool overwrite)
{
	u64 *data = data_of(t, h->pfn), found = get_stamp(data);

	if (overwrite)
		CHECK(!found || found == h->cell->stamp, "page %llu: overwriting %llx",
		      (unsigned long long)h->page, (unsigned long long)found);
	else
		check_content(h->cell, h->a->store, h->page, found);
	if (h->write) {
		h->cell->stamp = stamp_for(t, h->a->store, h->page);
		h->cell->maybe_zero = h->a->droppable;
		put_stamp(data, h->cell->stamp);
	}
}

static bool pin(struct thread *t, struct area *a, u64 page, u32 how, struct held *h)
{
	struct rcl *m = t->x->m;
	struct cell *c = &a->store->cells[page];
	pte_t *pte;
	int err = 0;

	*h = (struct held){.a = a, .cell = c, .page = page, .write = how & PIN_WRITE};
	if (!lock_cell(c, h->write))
		return false;
	pte = rcl_pte_lookup(a->mm, page);
	if (pte && rcl_pin_fast(a->mm, pte, h->write, &h->pfn))
		h->pte = pte;
	else
		err = rcl_pin_page(m, a->mm, page, how, &h->pte, &h->pfn);
	if (!err) {
		t->pins++;
		use(t, h, how & PIN_OVERWRITE);
		return true;
	}
	if (how & PIN_TRY)
		t->tries++;
	else if (err == -ENOMEM)
		t->no_memory++;
	else if (err == -ENODATA && how & PIN_KEPT)
		check_content(c, a->store, page, 0);
	CHECK(err == -ENOMEM || (how & PIN_TRY && err == -EAGAIN) ||
		      (how & PIN_KEPT && err == -ENODATA),
	      "pin %x: error %d", how, err);
	unlock_cell(c, h->write);
	return false;
}

static struct area *some_area(struct thread *t)
{
	return &t->x->areas[below(t, AREAS)];
}
static u64 pages_of(const struct area *a)
{
	return __atomic_load_n(&a->store->pages, __ATOMIC_ACQUIRE);
}
/* Often one of a few, so that threads meet; mostly of a quarter; sometimes any. */
static u64 some_page(struct thread *t, const struct area *a)
{
	u64 n = pages_of(a), r = below(t, 8);

	return below(t, r < 3 ? 12 : r < 7 ? n / 4 : n);
}

static void pin_one(struct thread *t)
{
	static const u32 ways[] = {0,	      0,
				   0,	      PIN_WRITE,
				   PIN_WRITE, PIN_WRITE | PIN_OVERWRITE,
				   PIN_TRY,   PIN_WRITE | PIN_TRY,
				   PIN_KEPT,  PIN_WRITE | PIN_OVERWRITE | PIN_TRY};
	struct area *a = some_area(t);
	u32 how = ways[below(t, ARRAY_SIZE(ways))];
	struct held h;

	if (!a->writable)
		how &= ~(u32)(PIN_WRITE | PIN_OVERWRITE);
	if (!pin(t, a, some_page(t, a), how, &h))
		return;
	/* Keep some for a while. */
	if (below(t, 4)) {
		unpin(t, &h);
		return;
	}
	if (t->nr_held == MOST_PINNED)
		unpin(t, &t->held[--t->nr_held]);
	t->held[t->nr_held++] = h;
}

static void unpin_some(struct thread *t, u32 keep)
{
	while (t->nr_held > keep) {
		struct held *h = &t->held[t->nr_held - 1];

		if (h->write)
			use(t, h, false);
		unpin(t, h);
		t->nr_held--;
	}
}

static void peek(struct thread *t)
{
	struct area *a = some_area(t);
	u64 page = some_page(t, a), version, stamp;
	struct cell *c = &a->store->cells[page];
	pte_t *pte = rcl_pte_lookup(a->mm, page), word;
	bool locked;

	if (!pte || !a->mm->versions)
		return;
	locked = below(t, 2) && lock_cell(c, false);
	version = __atomic_load_n(pte_version(a->mm, pte), __ATOMIC_ACQUIRE);
	word = __atomic_load_n(pte, __ATOMIC_ACQUIRE);
	if (pte_present(word) && !(word & PTE_ZERO) && !pte_write_pins(word)) {
		t->peeks++;
		if (!below(t, 4))
			sched_yield(); /* so that something may have happened to the page */
		stamp = peek_stamp(data_of(t, pte_pfn(word)));
		__asm__ volatile("" ::: "memory"); /* loads are not reordered on what runs this */
		if (!((__atomic_load_n(pte, __ATOMIC_ACQUIRE) ^ word) &
		      ~(PTE_PIN * PTE_MAX_PINS | PTE_ACCESSED | PTE_DIRTY | PTE_WRITE)) &&
		    __atomic_load_n(pte_version(a->mm, pte), __ATOMIC_ACQUIRE) == version) {
			t->believed++;
			CHECK(stamp != TORN, "peek: page %llu is torn", (unsigned long long)page);
			CHECK(!stamp || stamp >> 40 == (a->store->id << 16 | page),
			      "peek: page %llu: %llx", (unsigned long long)page,
			      (unsigned long long)stamp);
			if (locked)
				check_content(c, a->store, page, stamp);
		}
	}
	if (locked)
		unlock_cell(c, false);
}

/* ---- ranges -------------------------------------------------------------------------------- */

/* Lock pages from `first` on for writing, as many as can be had. */
static u64 lock_run(struct store *s, u64 first, u64 nr)
{
	u64 n = 0;

	while (n < nr && lock_cell(&s->cells[first + n], true))
		n++;
	return n;
}
static void unlock_run(struct store *s, u64 first, u64 nr)
{
	for (u64 i = 0; i < nr; i++)
		unlock_cell(&s->cells[first + i], true);
}

static void advise(struct thread *t)
{
	static const enum rcl_madvice advice[] = {RCL_MADV_COLD, RCL_MADV_PAGEOUT,
						  RCL_MADV_WILLNEED, RCL_MADV_RANDOM,
						  RCL_MADV_NORMAL};
	struct area *a = some_area(t);
	u64 first = some_page(t, a), nr = min(pages_of(a) - first, 1 + below(t, 40));
	enum rcl_madvice what = advice[below(t, ARRAY_SIZE(advice))];
	bool all = what == RCL_MADV_RANDOM || what == RCL_MADV_NORMAL;
	int err;

	/* All of it, as it is now: a part would be split off, and what is in parts cannot grow. */
	if (all && pthread_mutex_trylock(&t->x->grow))
		return;
	if (all) {
		first = 0;
		nr = pages_of(a);
	}
	err = rcl_madvise(t->x->m, a->mm, first, nr, what);
	if (all)
		pthread_mutex_unlock(&t->x->grow);
	CHECK(!err || (err == -EBUSY && what == RCL_MADV_PAGEOUT), "advice %d: error %d", what,
	      err);
	t->busy += err == -EBUSY;
}

/* Throw the content of a range away. */
static void punch(struct thread *t)
{
	struct area *a = some_area(t);
	struct rcl *m = t->x->m;
	struct store *s = a->store;
	u64 first = some_page(t, a), nr = min(pages_of(a) - first, 1 + below(t, 30)), left;
	bool lazily = !a->file && below(t, 2);

	if (!a->writable)
		return;
	nr = lock_run(s, first, nr);
	if (!nr)
		return;
	CHECK(!rcl_count_pinned(m, a->mm, first, nr), "pinned %d", 1);
	for (u32 i = 0; i < AREAS; i++) {
		if (t->x->areas[i].store == s) {
			int err = rcl_madvise(m, t->x->areas[i].mm, first, nr,
					      lazily ? RCL_MADV_FREE : RCL_MADV_DONTNEED);

			CHECK(!err, "advice: error %d", err);
		}
	}
	if (a->file) {
		left = rcl_truncate_range(m, a->file->mapping, first, first + nr - 1);
		CHECK(!left, "%llu pages stay", (unsigned long long)left);
		CHECK(!rcl_host_punch(t->x->w->h, a->file->dev, first, nr), "punch %d", 1);
		/* Somebody may have read ahead in between. */
		left = rcl_truncate_range(m, a->file->mapping, first, first + nr - 1);
		CHECK(!left, "%llu pages stay", (unsigned long long)left);
	}
	for (u64 i = first; i < first + nr; i++) {
		s->cells[i].maybe_zero |= lazily;
		if (!lazily)
			s->cells[i].stamp = 0;
	}
	unlock_run(s, first, nr);
}

static void sync_file(struct thread *t)
{
	struct area *a = &t->x->areas[3 + below(t, 3)];
	struct file handle;
	int err;

	/* It may wait for pages that are pinned for writing, by us or by who waits like us. */
	unpin_some(t, 0);
	rcl_file_open(t->x->m, a->file->mapping, &handle);
	err = rcl_file_fsync(t->x->m, &handle);
	CHECK(!err, "fsync: %d", err);
}

static void prefetch(struct thread *t)
{
	struct area *a = some_area(t);
	u64 first = some_page(t, a);

	rcl_pin_prefetch(t->x->m, a->mm, first, min(pages_of(a) - first, 1 + below(t, 64)));
}

static void grow(struct thread *t)
{
	struct area *a = &t->x->areas[below(t, 3)];
	u64 pages = pages_of(a), more = min(pages + 1 + below(t, 64), a->most);
	int err;

	if (pthread_mutex_trylock(&t->x->grow))
		return;
	if (pages_of(a) == pages && more > pages) {
		err = rcl_mremap(t->x->m, a->mm, 0, pages, 0, more);
		CHECK(!err || err == -ENOMEM, "growing: %d", err);
		if (!err)
			__atomic_store_n(&a->store->pages, more, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&t->x->grow);
}

/* ---- calls --------------------------------------------------------------------------------- */

static void call(struct thread *t, bool write)
{
	struct store *s = &t->x->call_store;
	u64 page = below(t, FILE_IO), stamp;
	struct cell *c = &s->cells[page];
	int err;

	if (!lock_cell(c, write))
		return;
	if (write) {
		stamp = stamp_for(t, s, page);
		err = rcl_file_write(t->x->m, &t->call_handle, page, 1, stamp);
		if (!err)
			c->stamp = stamp;
	} else {
		err = rcl_file_read(t->x->m, &t->call_handle, page, 1, &stamp);
		if (!err)
			check_content(c, s, page, stamp);
	}
	CHECK(!err || err == -ENOMEM, "call: %d", err);
	t->no_memory += err == -ENOMEM;
	unlock_cell(c, write);
}

static void limit(struct thread *t)
{
	static const u64 most[2] = {700, 500};
	u64 i = below(t, 2);

	if (pthread_mutex_trylock(&t->x->limits))
		return;
	if (below(t, 2))
		rcl_memcg_set_max(t->x->m, t->x->group[i],
				  (most[i] / 2 + below(t, most[i] / 2)) * PAGE_SIZE);
	else
		rcl_memcg_set_max(t->x->m, t->x->group[i], most[i] * PAGE_SIZE);
	pthread_mutex_unlock(&t->x->limits);
}

/* An address space of one thread, in a group of its own, made and taken down. */
static void churn(struct thread *t)
{
	struct world *x = t->x;
	struct rcl *m = x->m;
	struct memcg *group = x->group[2];
	struct mm *mm, *child;
	u64 pages = 20 + below(t, 400), stamp = 1 + below(t, 1u << 30);

	if (pthread_mutex_trylock(&x->churn))
		return;
	if (!group->online && rcl_memcg_revive(m, group, "again"))
		goto out;
	rcl_host_leave(x->w->h, t->task);
	t->task = rcl_host_enter(x->w->h, group);
	if (rcl_mm_create(m, group, &mm))
		goto out;
	CHECK(!rcl_mmap(m, mm, 100, pages, VM_READ | VM_WRITE, NULL, 0), "mmap %d", 1);
	rcl_mmap(m, mm, 1000, pages, VM_READ | VM_RAND_READ, &x->areas[5].handle, 0);
	for (u64 i = 0; i < pages; i++) {
		struct held h = {.a = &(struct area){.mm = mm}};

		if (rcl_pin_page(m, mm, 100 + i, PIN_WRITE, &h.pte, &h.pfn))
			break;
		put_stamp(data_of(t, h.pfn), stamp + i);
		if (!rcl_unpin_fast(mm, h.pte, true))
			rcl_unpin_page(m, mm, 100 + i, h.pte);
		if (!rcl_pin_page(m, mm, 1000 + i, 0, &h.pte, &h.pfn))
			rcl_unpin_fast(mm, h.pte, false);
		if (i + 1 < pages)
			continue;
		/* All of it: somewhere else, once more, and gone. */
		rcl_madvise(m, mm, 100, pages / 2, RCL_MADV_PAGEOUT);
		if (rcl_mremap(m, mm, 100, pages, 5000, pages) || rcl_mm_fork(m, mm, group, &child))
			break;
		rcl_munmap(m, mm, 5000, pages / 2);
		for (u64 k = 0; k < pages; k++) {
			u64 found;

			if (rcl_pin_page(m, child, 5000 + k, k & 1 ? PIN_WRITE : 0, &h.pte, &h.pfn))
				continue;
			found = get_stamp(data_of(t, h.pfn));
			CHECK(found == stamp + k, "child: %llx", (unsigned long long)found);
			rcl_unpin_fast(child, h.pte, k & 1);
		}
		rcl_mm_destroy(m, child);
	}
	rcl_mm_destroy(m, mm);
	if (below(t, 4) == 0)
		rcl_memcg_offline(m, group);
	rcl_host_leave(x->w->h, t->task);
	t->task = rcl_host_enter(x->w->h, x->group[below(t, 2)]);
out:
	pthread_mutex_unlock(&x->churn);
}

/* ---- threads ------------------------------------------------------------------------------- */

static void step(struct thread *t)
{
	struct rcl *m = t->x->m;

	switch (below(t, 64)) {
	case 0:
		advise(t);
		break;
	case 1:
		punch(t);
		break;
	case 2:
		if (!below(t, 4))
			sync_file(t);
		break;
	case 3:
		prefetch(t);
		break;
	case 4:
		grow(t);
		break;
	case 5:
		if (!below(t, 4))
			limit(t);
		break;
	case 6:
		if (!below(t, 8))
			churn(t);
		break;
	case 7:
		if (!below(t, 8))
			rcl_memcg_reclaim(m, t->x->group[below(t, 2)], 32 * PAGE_SIZE);
		break;
	case 8:
		if (!below(t, 16))
			rcl_lru_add_drain_all(m);
		break;
	case 9 ... 12:
		call(t, true);
		break;
	case 13 ... 18:
		call(t, false);
		break;
	case 19 ... 20:
		unpin_some(t, 0);
		break;
	case 21 ... 32:
		peek(t);
		break;
	default:
		pin_one(t);
	}
	t->steps++;
}

static void *run(void *arg)
{
	struct thread *t = arg;
	struct world *x = t->x;

	t->task = rcl_host_enter(x->w->h, x->group[below(t, 2)]);
	rcl_file_open(x->m, x->call_file->mapping, &t->call_handle);
	while (!__atomic_load_n(&x->stop, __ATOMIC_RELAXED))
		step(t);
	unpin_some(t, 0);
	rcl_host_leave(x->w->h, t->task);
	return NULL;
}

static void open_area(struct world *x, u32 i, struct memcg *memcg, u64 pages, u64 most,
		      struct host_file *file, bool writable)
{
	struct area *a = &x->areas[i];

	a->memcg = memcg;
	a->file = file;
	a->most = most;
	a->writable = writable;
	a->store = &x->stores[i];
	a->store->id = i + 1;
	a->store->pages = pages;
	assert_int_equal(rcl_mm_create(x->m, memcg, &a->mm), 0);
	/* (Its file is written through another area.) */
	if (writable)
		rcl_mm_want_versions(a->mm);
	if (file)
		rcl_file_open(x->m, file->mapping, &a->handle);
	assert_int_equal(
		rcl_mmap(x->m, a->mm, 0, pages,
			 VM_READ | (writable ? VM_WRITE : 0) | (a->droppable ? VM_DROPPABLE : 0),
			 file ? &a->handle : NULL, 0),
		0);
}

static void tune(struct tunables *tun)
{
	tun->dirty_expire_centisecs = 20; /* flushers are to have work */
	tun->dirty_writeback_centisecs = 5;
}

static struct world *open_world(void)
{
	struct world *x = calloc(1, sizeof(*x));
	struct host_file *f0, *f1;

	x->w = host_world_open(
		&(struct host_world_options){.pages = MEMORY, .swap_pages = SWAP, .tune = tune});
	x->m = x->w->m;
	pthread_mutex_init(&x->grow, NULL);
	pthread_mutex_init(&x->limits, NULL);
	pthread_mutex_init(&x->churn, NULL);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(rcl_memcg_create(x->m, x->m->root_memcg, "g", &x->group[i]), 0);
	assert_int_equal(rcl_memcg_set_max(x->m, x->group[0], 700 * PAGE_SIZE), 0);
	assert_int_equal(rcl_memcg_set_max(x->m, x->group[1], 500 * PAGE_SIZE), 0);
	f0 = host_world_file(x->w, "f0", 1500);
	f1 = host_world_file(x->w, "f1", 900);
	x->call_file = host_world_file(x->w, "f2", FILE_IO);
	x->call_store.id = 99;
	open_area(x, 0, x->group[0], 1200, 2000, NULL, true);
	open_area(x, 1, x->group[1], 1000, 1500, NULL, true);
	x->areas[2].droppable = true;
	open_area(x, 2, NULL, 400, 600, NULL, true);
	open_area(x, 3, x->group[0], 1500, 1500, f0, true);
	open_area(x, 4, x->group[1], 1500, 1500, f0, false);
	x->areas[4].store = x->areas[3].store;
	open_area(x, 5, NULL, 900, 900, f1, true);
	return x;
}

/* Every page once more, by one thread. */
static void check_all(struct thread *t)
{
	for (u32 i = 0; i < AREAS; i++) {
		struct area *a = &t->x->areas[i];

		for (u64 page = 0; page < pages_of(a); page++) {
			struct held h;

			CHECK(pin(t, a, page, 0, &h), "page %llu", (unsigned long long)page);
			unpin(t, &h);
		}
	}
}

static void close_world(struct world *x)
{
	struct rcl *m = x->m;
	s64 left = 0;

	host_world_settle(x->w);
	assert_true(rcl_check(m));
	for (u32 i = 0; i < AREAS; i++) {
		assert_int_equal(x->areas[i].mm->lock, 0);
		assert_int_equal(rcl_count_pinned(m, x->areas[i].mm, 0, MOST_PAGES), 0);
		rcl_mm_destroy(m, x->areas[i].mm);
	}
	host_world_settle(x->w);
	for (u32 i = 0; i < x->w->nr_files; i++)
		assert_int_equal(
			rcl_truncate_range(m, x->w->files[i].mapping, 0, x->w->files[i].pages), 0);
	rcl_lru_add_drain_all(m);
	/* A page in the swap cache whose last user could not lock it stays until reclaim finds it.
	 */
	for_each_lru (l)
		left += m->nodes[0].stat[l];
	assert_int_equal(left, m->nodes[0].stat[NR_SWAPCACHE]);
	assert_int_equal(m->nodes[0].stat[NR_ANON_MAPPED], 0);
	assert_int_equal(m->nodes[0].stat[NR_FILE_MAPPED], 0);
	assert_int_equal(m->nodes[0].stat[NR_PAGETABLE], 0);
	assert_int_equal(m->nodes[0].stat[NR_ISOLATED_ANON], 0);
	assert_int_equal(m->nodes[0].stat[NR_ISOLATED_FILE], 0);
	assert_int_equal(m->nodes[0].stat[NR_FILE_DIRTY], 0);
	assert_int_equal(m->nodes[0].stat[NR_WRITEBACK], 0);
	host_world_close(x->w);
	free(x);
}

static unsigned seconds = 2, nr_threads = 4, seed = 1;

static void nothing_is_lost(void **state)
{
	struct world *x = open_world();
	struct thread *threads = calloc(nr_threads, sizeof(*threads)), last = {.x = x, .seed = 7};
	u64 steps = 0, pins = 0, tries = 0, peeks = 0, believed = 0, no_memory = 0;

	(void)state;
	for (u32 i = 0; i < nr_threads; i++) {
		threads[i].x = x;
		threads[i].seed = (u64)seed << 32 | i;
		assert_int_equal(pthread_create(&threads[i].thread, NULL, run, &threads[i]), 0);
	}
	sleep(seconds);
	__atomic_store_n(&x->stop, 1, __ATOMIC_RELAXED);
	for (u32 i = 0; i < nr_threads; i++) {
		pthread_join(threads[i].thread, NULL);
		assert_true(threads[i].steps > 0);
		steps += threads[i].steps;
		pins += threads[i].pins;
		tries += threads[i].tries;
		peeks += threads[i].peeks;
		believed += threads[i].believed;
		no_memory += threads[i].no_memory;
	}
	print_message("%llu steps, %llu pins, %llu tries in vain, %llu of %llu peeks believed, "
		      "%llu times no memory\n",
		      (unsigned long long)steps, (unsigned long long)pins,
		      (unsigned long long)tries, (unsigned long long)believed,
		      (unsigned long long)peeks, (unsigned long long)no_memory);
	assert_true(pins && believed);
	/* Running out is for those who hold on to everything. */
	assert_true(no_memory < steps / 100);
	check_all(&last);
	close_world(x);
	free(threads);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_lost)};

	if (argc > 1)
		seconds = (unsigned)atoi(argv[1]);
	if (argc > 2)
		nr_threads = (unsigned)atoi(argv[2]);
	if (argc > 3)
		seed = (unsigned)atoi(argv[3]);
	host_watchdog(seconds * 3 + 120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
