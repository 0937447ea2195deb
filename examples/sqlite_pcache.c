/* SPDX-License-Identifier: MIT */
/*
 * SQLite's page caches as areas of a memory budget.
 *
 * SQLite asks a module for cached pages (sqlite3_pcache_methods2): fetch pins the page of a number,
 * creating it if asked to; unpin says that nobody uses it and that the file has it, too. So an
 * unpinned page may go at any time, and to write it to swap would be a waste. That is an area with
 * RCL_AREA_CACHE: its cold pages are dropped when any part of the budget needs memory, and
 * RCL_IF_KEPT tells at the next fetch which way it went: pinned again for the price of an atomic
 * instruction, or to be read again from the database.
 *
 * How one cache is laid out:
 *
 *   slots    a page of the cache lives in one page of the area, its slot. SQLite changes the
 *            numbers of pinned pages (xRekey), which must not move, so slots are not numbers.
 *   headers  one a slot, with what SQLite keeps beside each page (szExtra). They come from frames:
 *            memory of the budget that is never reclaimed. A hash table finds them by number.
 *   limit    PRAGMA cache_size says how many headers there may be. It is best set to what all of
 *            the budget holds, for every cache: reclaim decides which pages stay, from what is used
 *            and what other areas want, and the headers of pages dropped long ago are used again,
 *            oldest first.
 *
 * Two rules of SQLite's bind us. While a page is cached, its address must not change; a page that
 * reclaim dropped, and one that came back elsewhere, are therefore given to SQLite as new ones. And
 * when pages pinned by a large transaction fill the memory, xFetch with createFlag 1 must fail:
 * then SQLite writes some of them early.
 *
 * SQLite calls for one cache are never concurrent; what caches share is atomic. The module needs a
 * global, as SQLite passes no context to xCreate.
 */
#include <sqlite3.h>

#include "common.h"
#include "sqlite_pcache.h"

enum {
	BLOCK_ORDER = 3, /* headers come 32 KiB at a time */
	BLOCK_SIZE = RCL_PAGE_SIZE << BLOCK_ORDER
};

struct header {
	sqlite3_pcache_page page; /* first: it is what SQLite knows of us */
	unsigned key;
	uint32_t slot;
	struct rcl_pin pin;
	struct header *next;	      /* in its hash chain, or among the unused */
	struct header *older, *newer; /* unpinned ones, by when that was */
};

struct block {
	struct block *next;
};

struct cache {
	struct rcl_area *area;
	uint32_t extra, stride, nr_hash; /* bytes beside a page; a header's; a power of 2 */
	uint32_t nr_slots, nr_cached, limit;
	struct header **hash, *unused;
	struct header unpinned; /* ends of the list: .newer is the oldest */
	struct block *blocks;
	char *block_free, *block_end;
};

static struct {
	struct rcl_machine *machine;
	uint32_t max_pinned;		  /* by all caches, before xFetch may fail */
	uint32_t pinned;		  /* atomic */
	struct sqlite_pcache_stats stats; /* atomic */
} module;

#define COUNT(what, n) __atomic_fetch_add(&module.what, n, __ATOMIC_RELAXED)

static struct header **chain(struct cache *c, unsigned key)
{
	return &c->hash[key & (c->nr_hash - 1)];
}

static struct header *find(struct cache *c, unsigned key)
{
	struct header *h = *chain(c, key);

	while (h && h->key != key)
		h = h->next;
	return h;
}

static void hash_remove(struct cache *c, struct header *h)
{
	struct header **p = chain(c, h->key);

	while (*p != h)
		p = &(*p)->next;
	*p = h->next;
	c->nr_cached--;
}

static void hash_add(struct cache *c, struct header *h, unsigned key)
{
	if (c->nr_cached == c->nr_hash) {
		uint32_t nr = c->nr_hash * 2;
		struct header **old = c->hash, **hash = calloc(nr, sizeof(struct header *));

		for (uint32_t i = 0; hash && i < c->nr_hash; i++) {
			for (struct header *x = old[i], *next; x; x = next) {
				next = x->next;
				x->next = hash[x->key & (nr - 1)];
				hash[x->key & (nr - 1)] = x;
			}
		}
		if (hash) { /* without memory for a larger one, the chains grow */
			c->hash = hash;
			c->nr_hash = nr;
			free(old);
		}
	}
	h->key = key;
	h->next = *chain(c, key);
	*chain(c, key) = h;
	c->nr_cached++;
}

static void list_remove(struct header *h)
{
	h->older->newer = h->newer;
	h->newer->older = h->older;
}

static void list_add_newest(struct cache *c, struct header *h)
{
	h->older = c->unpinned.older;
	h->newer = &c->unpinned;
	h->older->newer = h->newer->older = h;
}

/* The number has no page any more. */
static void forget(struct cache *c, struct header *h)
{
	if (h->pin.addr) {
		rcl_unpin(&h->pin);
		COUNT(pinned, -1u);
	} else {
		list_remove(h);
	}
	hash_remove(c, h);
	(void)rcl_area_punch(c->area, h->slot, 1); /* sooner than reclaim would */
	h->next = c->unused;
	c->unused = h;
}

/* A header with a slot that nobody uses; NULL: no memory. */
static struct header *take_header(struct cache *c)
{
	struct header *h = c->unused;
	void *frames;

	if (!h && c->nr_cached >= c->limit && c->unpinned.newer != &c->unpinned) {
		h = c->unpinned.newer;
		list_remove(h);
		hash_remove(c, h);
		return h;
	}
	if (h) {
		c->unused = h->next;
		return h;
	}
	if (c->nr_slots == rcl_area_pages(c->area) && rcl_area_grow(c->area, 2ull * c->nr_slots))
		return NULL;
	if (c->block_end - c->block_free < (ptrdiff_t)c->stride) {
		if (rcl_frames_alloc(module.machine, NULL, BLOCK_ORDER, 0, &frames))
			return NULL;
		((struct block *)frames)->next = c->blocks;
		c->blocks = frames;
		c->block_free = (char *)frames + 64;
		c->block_end = (char *)frames + BLOCK_SIZE;
	}
	h = (struct header *)c->block_free;
	c->block_free += c->stride;
	h->slot = c->nr_slots++;
	h->page.pExtra = h + 1;
	return h;
}

/* Pin a page that SQLite takes for a new one: its own part of the header starts out as zeros. */
static sqlite3_pcache_page *make(struct cache *c, unsigned key, int how_hard)
{
	struct header *h;

	if (how_hard == 1 && __atomic_load_n(&module.pinned, __ATOMIC_RELAXED) >= module.max_pinned)
		return NULL;
	h = take_header(c);
	if (!h)
		return NULL;
	if (rcl_pin(c->area, h->slot, RCL_OVERWRITE, &h->pin)) {
		h->next = c->unused;
		c->unused = h;
		return NULL;
	}
	hash_add(c, h, key);
	COUNT(pinned, 1);
	COUNT(stats.made, 1);
	h->page.pBuf = h->pin.addr;
	memset(h->page.pExtra, 0, c->extra);
	return &h->page;
}

static sqlite3_pcache_page *x_fetch(sqlite3_pcache *cache, unsigned key, int create)
{
	struct cache *c = (struct cache *)cache;
	struct header *h = find(c, key);

	COUNT(stats.fetched, 1);
	if (h && !h->pin.addr) {
		int err = rcl_pin(c->area, h->slot, RCL_WRITE | RCL_IF_KEPT, &h->pin);

		if (err) {
			COUNT(stats.dropped, 1);
			forget(c, h);
			h = NULL;
		} else {
			list_remove(h);
			COUNT(pinned, 1);
			COUNT(stats.kept, 1);
			if (h->pin.addr != h->page.pBuf) {
				COUNT(stats.moved, 1);
				forget(c, h);
				h = NULL;
			}
		}
	}
	if (h)
		return &h->page;
	return create ? make(c, key, create) : NULL;
}

static void x_unpin(sqlite3_pcache *cache, sqlite3_pcache_page *page, int discard)
{
	struct cache *c = (struct cache *)cache;
	struct header *h = (struct header *)page;

	if (discard) {
		forget(c, h);
		return;
	}
	rcl_unpin(&h->pin);
	COUNT(pinned, -1u);
	list_add_newest(c, h);
}

static void x_rekey(sqlite3_pcache *cache, sqlite3_pcache_page *page, unsigned old, unsigned new)
{
	struct cache *c = (struct cache *)cache;
	struct header *h = (struct header *)page, *victim = find(c, new);

	(void)old;
	if (victim)
		forget(c, victim);
	hash_remove(c, h);
	hash_add(c, h, new);
}

static void x_truncate(sqlite3_pcache *cache, unsigned limit)
{
	struct cache *c = (struct cache *)cache;

	for (uint32_t i = 0; i < c->nr_hash; i++) {
		for (struct header *h = c->hash[i], *next; h; h = next) {
			next = h->next;
			if (h->key >= limit)
				forget(c, h);
		}
	}
}

static void x_destroy(sqlite3_pcache *cache)
{
	struct cache *c = (struct cache *)cache;

	x_truncate(cache, 0);
	MUST(rcl_area_close(c->area));
	for (struct block *b = c->blocks, *next; b; b = next) {
		next = b->next;
		rcl_frames_free(module.machine, b, BLOCK_ORDER);
	}
	free(c->hash);
	free(c);
}

static sqlite3_pcache *x_create(int size, int extra, int purgeable)
{
	struct cache *c = calloc(1, sizeof(*c));

	/* Pages of an area follow each other as numbers, not as addresses: no larger ones. */
	if (!c || size > (int)RCL_PAGE_SIZE)
		goto out;
	c->nr_hash = 256;
	c->hash = calloc(c->nr_hash, sizeof(struct header *));
	if (!c->hash ||
	    rcl_area_anon(module.machine, NULL, 256, purgeable ? RCL_AREA_CACHE : 0, &c->area))
		goto out;
	c->extra = (uint32_t)extra;
	c->stride = (uint32_t)(sizeof(struct header) + (size_t)extra + 15) / 16 * 16;
	c->limit = 256;
	c->unpinned.newer = c->unpinned.older = &c->unpinned;
	return (sqlite3_pcache *)c;
out:
	if (c)
		free(c->hash);
	free(c);
	return NULL;
}

static void x_cachesize(sqlite3_pcache *cache, int pages)
{
	((struct cache *)cache)->limit = (uint32_t)pages;
}
static int x_pagecount(sqlite3_pcache *cache)
{
	return (int)((struct cache *)cache)->nr_cached;
}
/* Give back what can be: all that is not pinned. */
static void x_shrink(sqlite3_pcache *cache)
{
	struct cache *c = (struct cache *)cache;

	while (c->unpinned.newer != &c->unpinned)
		forget(c, c->unpinned.newer);
}
static int x_init(void *arg)
{
	(void)arg;
	return SQLITE_OK;
}
static void x_shutdown(void *arg)
{
	(void)arg;
}

void sqlite_pcache_use(struct rcl_machine *machine, uint64_t budget)
{
	sqlite3_pcache_methods2 methods = {
		.iVersion = 1,
		.xInit = x_init,
		.xShutdown = x_shutdown,
		.xCreate = x_create,
		.xCachesize = x_cachesize,
		.xPagecount = x_pagecount,
		.xFetch = x_fetch,
		.xUnpin = x_unpin,
		.xRekey = x_rekey,
		.xTruncate = x_truncate,
		.xDestroy = x_destroy,
		.xShrink = x_shrink,
	};

	module.machine = machine;
	module.max_pinned = (uint32_t)(budget / RCL_PAGE_SIZE / 2);
	if (sqlite3_config(SQLITE_CONFIG_PCACHE2, &methods) != SQLITE_OK)
		die("SQLite does not take the page cache");
}

void sqlite_pcache_read_stats(struct sqlite_pcache_stats *stats)
{
	stats->fetched = COUNT(stats.fetched, 0);
	stats->kept = COUNT(stats.kept, 0);
	stats->dropped = COUNT(stats.dropped, 0);
	stats->moved = COUNT(stats.moved, 0);
	stats->made = COUNT(stats.made, 0);
}
