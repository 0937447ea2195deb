/* SPDX-License-Identifier: MIT */
/*
 * The swap cache and swap readahead (algorithm: Linux 6.1 mm/swap_state.c).
 *
 * The swap cache says, for each slot, which folio holds its data in memory. It is what makes
 * swapping safe: a page on its way out is found there by a fault that comes too late to see it
 * mapped, and two faults on one swapped page find one folio. Per slot there is one word:
 *
 *   NULL            not in memory, no history
 *   folio (even)    in memory; the folio has PG_swapcache, private_ = the entry, and one reference
 *                   is the cache's
 *   shadow (odd)    evicted by reclaim: when it left, for workingset.c. Goes when the slot is freed
 *
 * Words change under area->lock with the folio locked. Look-ups take no lock: they read the word,
 * try to get a reference, and look again; a folio frozen by reclaim refuses the reference, and the
 * word changes soon.
 *
 * Reading a slot in: look in the cache; allocate a folio; claim the slot (SWAP_HAS_CACHE), which
 * only one can; charge the slot's owner, which may reclaim and wait; insert; judge the shadow;
 * put it on the LRU; read. Whoever finds the claim taken but no folio yet sleeps a tick and starts
 * again.
 *
 * Readahead has a window that doubles up with hits (pages read ahead and then used) to at most
 * 2^page-cluster; without hits it falls, halving at most, to the one page, or two if this fault is
 * next to the last one. With a window of one the read is waited for at once. Where the window lies:
 *
 *   some area has seek cost   around the slot, aligned: pages that left together may return
 *                             together, and neighbours cost no seek. One set of statistics
 *                             for the machine
 *   else                      around the address: after it when faults go up, before it when
 *                             they go down, else on both sides; swapped pages only, within the
 *                             vma and the page table. Statistics for each vma
 *
 * The reference keeps the words in trees, one for each 64 MiB of swap, whose nodes are slab objects
 * charged to nobody. Our words are a flat array (faster), but the nodes are allocated and freed
 * as there, because they take frames from a machine that is short of them: see swap_tree_node.
 */
#include "mm/mm.h"
#include "mm/page_alloc.h"
#include "mm/psi.h"
#include "mm/slab.h"
#include "mm/swap_internal.h"
#include "mm/workingset.h"
#include "mm/writeback.h"

/* Tree nodes. Level 0 covers 64 slots, level 1 4096; above come the top nodes of the tree of one
 * address space, one more for each 6 bits of the offset that the tree must be able to index. */

static const u8 tree_shift[SWAP_TREE_LEVELS] = {
	6,
	12,
	SWAP_ADDRESS_SPACE_SHIFT,
	SWAP_ADDRESS_SPACE_SHIFT,
	SWAP_ADDRESS_SPACE_SHIFT,
	SWAP_ADDRESS_SPACE_SHIFT,
};

static u32 tree_levels(u64 offset)
{
	u32 n = 3;

	for (offset >>= 18; offset; offset >>= 6)
		n++;
	RCL_DEBUG_ASSERT(n <= SWAP_TREE_LEVELS);
	return n;
}

static u64 tree_size(struct swap_area *a, u32 level)
{
	return ((a->max - 1) >> tree_shift[level]) + 1;
}

int rcl_swap_tree_init(struct swap_area *a)
{
	struct platform *p = a->m->plat;

	for (u32 l = 0; l < tree_levels(a->max - 1); l++) {
		a->tree[l] = p->ops->reserve(p, tree_size(a, l) * sizeof(*a->tree[l]));
		if (!a->tree[l])
			return -ENOMEM;
	}
	return 0;
}

void rcl_swap_tree_exit(struct swap_area *a)
{
	struct platform *p = a->m->plat;

	for (u32 l = 0; l < SWAP_TREE_LEVELS && a->tree[l]; l++) {
		for (u64 i = 0; a->inuse && i < tree_size(a, l); i++)
			if (a->tree[l][i].object)
				rcl_kmem_cache_free(a->m, a->m->radix_node_cache,
						    a->tree[l][i].object);
		p->ops->release(p, a->tree[l], tree_size(a, l) * sizeof(*a->tree[l]));
	}
}

/* Objects allocated outside the lock for nodes that could not be had inside. */
struct spares {
	u32 nr;
	void *object[SWAP_TREE_LEVELS];
};

static void *node_alloc(struct rcl *m, struct spares *spares)
{
	if (spares->nr)
		return spares->object[--spares->nr];
	return rcl_kmem_cache_alloc(m, m->radix_node_cache, GFP_NOWAIT | __GFP_NOWARN, NULL);
}

/* Count one entry at `offset`, making the nodes above it exist. False: no memory, nothing done. */
static bool tree_add(struct swap_area *a, u64 offset, struct spares *spares)
{
	for (u32 l = 0; l < tree_levels(offset); l++) {
		struct swap_tree_node *node = a->tree[l] + (offset >> tree_shift[l]);

		if (node->used++)
			return true;
		node->object = node_alloc(a->m, spares);
		if (node->object)
			continue;
		node->used = 0;
		while (l--) {
			node = a->tree[l] + (offset >> tree_shift[l]);
			node->used = 0;
			rcl_kmem_cache_free(a->m, a->m->radix_node_cache, node->object);
			node->object = NULL;
		}
		return false;
	}
	return true;
}

static void tree_del(struct swap_area *a, u64 offset)
{
	for (u32 l = 0; l < tree_levels(offset); l++) {
		struct swap_tree_node *node = a->tree[l] + (offset >> tree_shift[l]);

		RCL_ASSERT(node->used && node->object);
		if (--node->used)
			return;
		rcl_kmem_cache_free(a->m, a->m->radix_node_cache, node->object);
		node->object = NULL;
	}
}

bool rcl_swap_tree_valid(struct swap_area *a)
{
	for (u32 l = 0; l < SWAP_TREE_LEVELS && a->tree[l]; l++) {
		u64 fanout = 1ull << (tree_shift[l] - (l ? tree_shift[l - 1] : 0));
		u64 below = l ? tree_size(a, l - 1) : a->max;

		for (u64 i = 0; i < tree_size(a, l); i++) {
			struct swap_tree_node *node = a->tree[l] + i;
			u32 used = 0;

			for (u64 k = i * fanout; k < min((i + 1) * fanout, below); k++)
				used += l ? a->tree[l - 1][k].used != 0 : a->cache[k] != NULL;
			if (l >= tree_levels(i << tree_shift[l]))
				used = 0;
			if (node->used != used || !node->object != !used)
				return false;
		}
	}
	return true;
}

/* The cache. */

struct folio *rcl_swap_cache_lookup(struct rcl *m, swp_entry_t e)
{
	void **word = swap_area_of(m, e)->cache + swp_offset(e);

	for (;;) {
		struct folio *f = __atomic_load_n(word, __ATOMIC_ACQUIRE);

		if (!swap_word_is_folio(f))
			return NULL;
		if (folio_try_get(f)) {
			if (likely(__atomic_load_n(word, __ATOMIC_ACQUIRE) == f))
				return f;
			folio_put(m, f);
		}
		/* Only another thread can be between freezing a folio and clearing its word. */
		RCL_ASSERT(m->threaded);
	}
}

/*
 * Statistics of readahead by address, in one word of the vma: the last fault's page, the window
 * chosen then, the hits since. 0: no fault yet, which starts with some hits to its credit.
 */
#define RA_BITS		      6
#define RA_HITS_MAX	      ((1u << RA_BITS) - 1)
#define RA_INITIAL	      4
#define SWAP_RA_ORDER_CEILING 5

struct vma_ra {
	u64 vpn;
	u32 win, hits;
};
static struct vma_ra vma_ra_load(const struct vma *vma)
{
	u64 v = __atomic_load_n(&vma->swap_readahead_info, __ATOMIC_RELAXED);

	if (!v)
		v = RA_INITIAL;
	return (struct vma_ra){v >> 2 * RA_BITS, v >> RA_BITS & RA_HITS_MAX, v & RA_HITS_MAX};
}
static void vma_ra_store(struct vma *vma, u64 vpn, u32 win, u32 hits)
{
	u64 v = vpn << 2 * RA_BITS | win << RA_BITS | hits;

	__atomic_store_n(&vma->swap_readahead_info, v, __ATOMIC_RELAXED);
}
static bool use_vma_readahead(struct rcl *m)
{
	return !__atomic_load_n(&m->swap->nr_rotate_swap, __ATOMIC_RELAXED);
}

struct folio *rcl_swap_cache_get_folio(struct rcl *m, swp_entry_t e, struct vma *vma, u64 vpn)
{
	struct folio *f = rcl_swap_cache_lookup(m, e);
	bool by_vma = vma && use_vma_readahead(m), hit;

	if (!f)
		return NULL;
	hit = folio_test(f, PG_readahead_) && folio_test_clear(f, PG_readahead_);
	if (by_vma) {
		struct vma_ra ra = vma_ra_load(vma);

		vma_ra_store(vma, vpn, ra.win, min(ra.hits + hit, RA_HITS_MAX));
	} else if (hit) {
		shared_add(&m->swap->readahead_hits, 1, m->threaded);
	}
	if (hit)
		count_vm_event(m, SWAP_RA_HIT);
	return f;
}

void rcl_swap_fetch(struct rcl *m, swp_entry_t e)
{
	struct swap_area *a = swap_area_of(m, e);

	__builtin_prefetch(a->cache + swp_offset(e), 1);
	__builtin_prefetch(a->map + swp_offset(e), 1);
	__builtin_prefetch(a->owner + swp_offset(e), 1);
}

void *rcl_swap_shadow(struct rcl *m, swp_entry_t e)
{
	void *word = __atomic_load_n(swap_area_of(m, e)->cache + swp_offset(e), __ATOMIC_RELAXED);
	return entry_is_shadow(word) ? word : NULL;
}

void rcl_swap_clear_shadow(struct swap_area *a, u64 offset)
{
	if (!a->cache[offset])
		return;
	RCL_ASSERT(entry_is_shadow(a->cache[offset]));
	__atomic_store_n(a->cache + offset, NULL, __ATOMIC_RELAXED);
	tree_del(a, offset);
}

/*
 * Put a locked folio into the cache in a slot that is claimed for it. gfp is for tree nodes that
 * the area's lock is dropped for; the first try does not wait. *shadow gets what was there before.
 */
static int cache_add(struct rcl *m, struct folio *f, swp_entry_t e, gfp_t gfp, void **shadow)
{
	struct swap_area *a = swap_area_of(m, e);
	u64 offset = swp_offset(e);
	struct spares spares = {0};
	int err = 0;

	RCL_ASSERT(folio_test(f, PG_locked) && !folio_test(f, PG_swapcache));
	folio_get(f);
	folio_set(f, PG_swapcache);
	hint_set(&f->private_, e);
	spin_lock(&a->lock);
	RCL_ASSERT(!swap_word_is_folio(a->cache[offset]));
	/* A shadow holds its place: no node is needed, and the count stays. */
	while (!a->cache[offset] && !tree_add(a, offset, &spares)) {
		spin_unlock(&a->lock);
		while (spares.nr < tree_levels(offset)) {
			void *o = rcl_kmem_cache_alloc(m, m->radix_node_cache, gfp, NULL);

			if (!o) {
				err = -ENOMEM;
				goto out;
			}
			spares.object[spares.nr++] = o;
		}
		spin_lock(&a->lock);
	}
	*shadow = a->cache[offset];
	__atomic_store_n(a->cache + offset, f, __ATOMIC_RELEASE);
	mod_node_state(folio_node(m, f), NR_FILE_PAGES, 1);
	rcl_mod_folio_state(m, f, NR_SWAPCACHE, 1);
	spin_unlock(&a->lock);
out:
	if (err) {
		folio_clear(f, PG_swapcache);
		hint_set(&f->private_, 0);
		folio_ref_add(f, -1);
	}
	while (spares.nr)
		rcl_kmem_cache_free(m, m->radix_node_cache, spares.object[--spares.nr]);
	return err;
}

/* Take a locked folio out, leaving `shadow` (or NULL). The cache's reference stays to be dropped.
 */
static void cache_remove(struct rcl *m, struct folio *f, void *shadow)
{
	struct swap_area *a = swap_area_of(m, f->private_);
	u64 offset = swp_offset(f->private_);

	RCL_ASSERT(folio_test(f, PG_locked) && folio_test(f, PG_swapcache));
	RCL_ASSERT(!folio_test(f, PG_writeback));
	spin_lock(&a->lock);
	RCL_ASSERT(a->cache[offset] == f);
	__atomic_store_n(a->cache + offset, shadow, __ATOMIC_RELEASE);
	if (!shadow)
		tree_del(a, offset);
	folio_clear(f, PG_swapcache);
	hint_set(&f->private_, 0);
	mod_node_state(folio_node(m, f), NR_FILE_PAGES, -1);
	rcl_mod_folio_state(m, f, NR_SWAPCACHE, -1);
	spin_unlock(&a->lock);
}

void rcl_swap_cache_delete(struct rcl *m, struct folio *f)
{
	swp_entry_t e = f->private_;

	cache_remove(m, f, NULL);
	rcl_swap_cache_release(m, e);
	RCL_ASSERT(folio_ref_count(f) > 1);
	folio_ref_add(f, -1);
}

void rcl_delete_from_swap_cache(struct rcl *m, struct folio *f, void *shadow)
{
	swp_entry_t e = f->private_;

	RCL_ASSERT(folio_ref_count(f) == 0);
	cache_remove(m, f, shadow);
	rcl_swap_cache_release(m, e);
}

/* The group to charge for a slot: the folio's, or the nearest above it that still exists. */
static u16 owner_id(const struct folio *f)
{
	const struct memcg *g = f->memcg;

	while (g && !hint_read(&g->online))
		g = g->parent;
	return g ? g->id : 0;
}

bool rcl_add_to_swap(struct rcl *m, struct folio *f)
{
	swp_entry_t e;
	void *shadow;

	RCL_ASSERT(folio_test(f, PG_locked) && folio_test(f, PG_uptodate));
	e = rcl_swap_slot_alloc(m);
	if (!e)
		return false;
	__atomic_store_n(swap_area_of(m, e)->owner + swp_offset(e), owner_id(f), __ATOMIC_RELAXED);
	/* Reclaim must not eat the emergency reserves for its own tree nodes. */
	if (cache_add(m, f, e, __GFP_HIGH | __GFP_NOMEMALLOC | __GFP_NOWARN, &shadow)) {
		rcl_swap_cache_release(m, e);
		return false;
	}
	/* Nothing is on the device yet, whatever the page tables say about dirtiness. */
	rcl_folio_mark_dirty(m, f);
	return true;
}

/* Swap-in. */

/*
 * The folio of a slot with a reference, read in or not: *fresh tells that it is new, locked, and
 * has to be read. NULL: no memory (*error) or the slot is not in use any more.
 */
static struct folio *cache_get_or_create(struct rcl *m, swp_entry_t e, gfp_t gfp, bool *fresh,
					 int *error)
{
	struct folio *f;
	void *shadow;

	*fresh = false;
	for (;;) {
		int err;

		f = rcl_swap_cache_lookup(m, e);
		if (f)
			return f;
		if (!rcl_swap_count(m, e))
			return NULL;
		f = rcl_alloc_pages(m, gfp, 0);
		if (!f) {
			*error = -ENOMEM;
			return NULL;
		}
		err = rcl_swap_cache_prepare(m, e);
		if (!err)
			break;
		folio_put(m, f);
		if (err != -EEXIST)
			return NULL;
		/* Another task is between its claim and its insertion. */
		rcl_wait_on(m, &m->swap->nap, 0, rcl_jiffies_to_ns(m, 1), false);
	}
	folio_set(f, PG_locked);
	folio_set(f, PG_swapbacked);
	if (rcl_memcg_swapin_charge(m, f, e, gfp) ||
	    cache_add(m, f, e, gfp & GFP_RECLAIM_MASK, &shadow)) {
		rcl_swap_cache_release(m, e);
		folio_unlock(m, f);
		folio_put(m, f);
		*error = -ENOMEM;
		return NULL;
	}
	if (shadow)
		rcl_workingset_refault(m, f, shadow);
	rcl_folio_add_lru(m, f);
	*fresh = true;
	return f;
}

/* How many pages to read: a power of two up to `most`. prev, now: positions of faults. */
static u32 window_pages(u64 prev, u64 now, s64 hits, u32 most, u32 last_window)
{
	u32 pages = 1;

	if (hits) {
		for (pages = 4; pages < hits + 2 && pages < most; pages <<= 1)
			;
	} else if (now == prev + 1 || now + 1 == prev) {
		pages = 2;
	}
	return max(min(pages, most), last_window / 2);
}

/* One page of a window. Errors do not matter: nobody asked for it, or will ask again. */
static void read_ahead(struct rcl *m, swp_entry_t e, gfp_t gfp, bool wanted)
{
	int error;
	bool fresh;
	struct folio *f = cache_get_or_create(m, e, gfp, &fresh, &error);

	if (!f)
		return;
	if (fresh) {
		rcl_swap_readpage(m, f, false);
		if (!wanted) {
			folio_set(f, PG_readahead_);
			count_vm_event(m, SWAP_RA);
		}
	}
	folio_put(m, f);
}

/* Read around the slot; the size of the window. */
static u32 cluster_readahead(struct rcl *m, swp_entry_t e, gfp_t gfp)
{
	struct swap_state *s = m->swap;
	struct swap_area *a = swap_area_of(m, e);
	u32 most = 1u << m->tun.page_cluster, pages;
	u64 wanted = swp_offset(e), first, last;
	s64 hits;

	if (most == 1)
		return 1;
	hits = __atomic_exchange_n(&s->readahead_hits, 0, __ATOMIC_RELAXED);
	pages = window_pages(__atomic_load_n(&s->readahead_prev, __ATOMIC_RELAXED), wanted, hits,
			     most, __atomic_load_n(&s->readahead_last_pages, __ATOMIC_RELAXED));
	if (!hits)
		__atomic_store_n(&s->readahead_prev, wanted, __ATOMIC_RELAXED);
	__atomic_store_n(&s->readahead_last_pages, pages, __ATOMIC_RELAXED);
	if (pages == 1)
		return 1;
	first = max(wanted & ~(u64)(pages - 1), (u64)1);
	last = min(wanted | (pages - 1), a->max - 1);
	m->plat->ops->plug_start(m->plat);
	for (u64 offset = first; offset <= last; offset++)
		read_ahead(m, swp_entry(a->type, offset), gfp, offset == wanted);
	m->plat->ops->plug_finish(m->plat);
	return pages;
}

/* Read around the address; the size of the window. */
static u32 vma_readahead(struct rcl *m, gfp_t gfp, struct vma *vma, u64 vpn)
{
	u32 most = 1u << min(m->tun.page_cluster, (s64)SWAP_RA_ORDER_CEILING), pages;
	struct vma_ra ra = vma_ra_load(vma);
	u64 first, end;

	if (most == 1)
		return 1;
	pages = window_pages(ra.vpn, vpn, ra.hits, most, ra.win);
	vma_ra_store(vma, vpn, pages, 0);
	if (pages == 1)
		return 1;
	if (vpn == ra.vpn + 1)
		first = vpn;
	else if (vpn + 1 == ra.vpn)
		first = vpn - min(vpn, (u64)pages - 1);
	else
		first = vpn - min(vpn, (u64)(pages - 1) / 2);
	end = min(min(first + pages, vma->end), (vpn | (PTRS_PER_TABLE - 1)) + 1);
	first = max(max(first, vma->start), vpn & ~(u64)(PTRS_PER_TABLE - 1));
	m->plat->ops->plug_start(m->plat);
	for (; first < end; first++) {
		/* Look up each time: the last page's charge may have waited. */
		pte_t *p = rcl_pte_lookup(vma->mm, first);
		pte_t pte = p ? __atomic_load_n(p, __ATOMIC_RELAXED) : 0;

		if (pte_is_swap(pte))
			read_ahead(m, pte_swap(pte), gfp, first == vpn);
	}
	m->plat->ops->plug_finish(m->plat);
	return pages;
}

static struct folio *read_one(struct rcl *m, swp_entry_t e, gfp_t gfp, bool sync, int *error)
{
	bool fresh;
	struct folio *f = cache_get_or_create(m, e, gfp, &fresh, error);

	if (f && fresh)
		rcl_swap_readpage(m, f, sync);
	return f;
}

struct folio *rcl_swapin_readahead(struct rcl *m, swp_entry_t e, gfp_t gfp, struct vma *vma,
				   u64 vpn, int *error)
{
	u32 pages = vma && use_vma_readahead(m) ? vma_readahead(m, gfp, vma, vpn)
						: cluster_readahead(m, e, gfp);

	/* Let reclaim see what was read: it may well be useless. */
	if (pages > 1)
		rcl_lru_add_drain(m);
	*error = 0;
	/* Usually just read above; else (evicted again, failed, no window) once more, alone. */
	return read_one(m, e, gfp, pages == 1, error);
}

struct folio *rcl_read_swap_cache_async(struct rcl *m, swp_entry_t e, gfp_t gfp)
{
	int error;
	return read_one(m, e, gfp, false, &error);
}
