/* SPDX-License-Identifier: MIT */
/*
 * The zoned page allocator: entry points and the fast path (behaviour: Linux 6.1 mm/page_alloc.c).
 *
 * A request names the highest zone it can use, how mobile its frames are, and what may be done to
 * get them. It walks the zonelist of its node: own zones from the highest down, then those of the
 * next nodes. The first zone that would still have more than its low watermark free gives the
 * frames, from the CPU's own list where there is one for this order, else from the buddy. That is
 * the fast path, and it never waits. Everything else is the slow path's: page_alloc_slow.c.
 *
 *   rule                                                      why
 *   a zone below its low watermark is passed over             kswapd must be woken first
 *   lowmem_reserve counts as watermark                        keep low zones for who needs them
 *   first round: no mixing of types within a pageblock, when  fragmentation is for good; a DMA32
 *   the Normal zone is preferred                              frame is as good as a Normal one
 *   ... but a remote node is worse than mixing                start over, mixing allowed
 *   __GFP_WRITE passes over nodes full of dirty pages         spread what writeback must clean
 *   vm.zone_reclaim_mode: reclaim in a node before leaving it locality before page cache
 *
 * A free goes the same way back: to the CPU's list by the type of the frame's pageblock, or to the
 * buddy when the order has no list.
 *
 * NR_FREE_PAGES counts the frames in the buddy alone. PGALLOC and PGFREE count frames at this
 * interface, whichever way they go.
 *
 * Locking: cpu->lock around the CPU's lists and counters (threaded machines only), zone->lock
 * around the buddy. Watermarks are read without a lock; a stale look costs a wrong choice of zone,
 * no more.
 */
#include "mm/page_alloc_internal.h"
#include "mm/vmscan.h"
#include "mm/writeback.h"

/* The order is a constant where it is 0, and that is nearly everywhere. */
#define always_inline inline __attribute__((always_inline))

/* What a frame must not be when it comes back: somebody still believes to own it. */
#define FLAGS_CHECK_AT_FREE                                                                        \
	(BIT(PG_locked) | BIT(PG_writeback) | BIT(PG_lru) | BIT(PG_active) | BIT(PG_unevictable) | \
	 BIT(PG_private) | BIT(PG_buddy) | BIT(PG_pcp) | BIT(PG_slab) | BIT(PG_table) |            \
	 BIT(PG_reserved))

enum zone_type rcl_gfp_zone(gfp_t gfp)
{
	/* By __GFP_DMA | __GFP_DMA32 | __GFP_HIGHMEM | __GFP_MOVABLE; the lowest zone wins. */
	static const u8 zone_of[16] = {
		[0] = ZONE_NORMAL,
		[__GFP_DMA] = ZONE_DMA,
		[__GFP_DMA32] = ZONE_DMA32,
		[__GFP_DMA | __GFP_DMA32] = ZONE_DMA,
		[__GFP_HIGHMEM] = ZONE_NORMAL,
		[__GFP_HIGHMEM | __GFP_DMA] = ZONE_DMA,
		[__GFP_HIGHMEM | __GFP_DMA32] = ZONE_DMA32,
		[__GFP_HIGHMEM | __GFP_DMA | __GFP_DMA32] = ZONE_DMA,
		[__GFP_MOVABLE] = ZONE_NORMAL,
		[__GFP_MOVABLE | __GFP_DMA] = ZONE_DMA,
		[__GFP_MOVABLE | __GFP_DMA32] = ZONE_DMA32,
		[__GFP_MOVABLE | __GFP_DMA | __GFP_DMA32] = ZONE_DMA,
		[__GFP_MOVABLE | __GFP_HIGHMEM] = ZONE_MOVABLE,
		[__GFP_MOVABLE | __GFP_HIGHMEM | __GFP_DMA] = ZONE_DMA,
		[__GFP_MOVABLE | __GFP_HIGHMEM | __GFP_DMA32] = ZONE_DMA32,
		[15] = ZONE_DMA,
	};

	return (enum zone_type)zone_of[gfp & 15];
}

/* Free frames that this request may not count on. */
static s64 unusable_free(const struct zone *z, u32 order, u32 alloc_flags)
{
	s64 n = (1 << order) - 1;

	if (!(alloc_flags & ALLOC_RESERVES))
		n += (s64)z->nr_reserved_highatomic;
	return n;
}

static bool find_fitting_block(struct zone *z, u32 order, u32 alloc_flags)
{
	for (u32 o = order; o < MAX_ORDER; o++) {
		if (!hint_read(&z->free_area[o].nr_free))
			continue;
		for (u32 mt = 0; mt < MIGRATE_PCPTYPES; mt++)
			if (rcl_buddy_has_block(z, o, mt))
				return true;
		if (alloc_flags & ALLOC_CMA && rcl_buddy_has_block(z, o, MIGRATE_CMA))
			return true;
		if (alloc_flags & (ALLOC_HIGHATOMIC | ALLOC_OOM) &&
		    rcl_buddy_has_block(z, o, MIGRATE_HIGHATOMIC))
			return true;
	}
	return false;
}

static bool has_fitting_block(struct zone *z, u32 order, u32 alloc_flags)
{
	bool found;

	spin_lock(&z->lock);
	found = find_fitting_block(z, order, alloc_flags);
	spin_unlock(&z->lock);
	return found;
}

bool rcl_watermark_ok(struct zone *z, u32 order, u64 mark, u32 highest_zoneidx, u32 alloc_flags,
		      s64 free_pages)
{
	s64 least = (s64)mark;

	free_pages -= unusable_free(z, order, alloc_flags);
	if (unlikely(alloc_flags & ALLOC_RESERVES)) {
		if (alloc_flags & ALLOC_MIN_RESERVE) {
			least -= least / 2;
			if (alloc_flags & ALLOC_NON_BLOCK)
				least -= least / 4;
		}
		/* A killed task asks for little, and is about to give back a lot. */
		if (alloc_flags & ALLOC_OOM)
			least -= least / 2;
	}
	if (free_pages <= least + (s64)hint_read(&z->lowmem_reserve[highest_zoneidx]))
		return false;
	return !order || has_fitting_block(z, order, alloc_flags);
}

bool rcl_zone_watermark_ok(struct zone *z, u32 order, u64 mark, int highest_zoneidx,
			   u32 alloc_flags)
{
	return rcl_watermark_ok(z, order, mark, (u32)highest_zoneidx, alloc_flags,
				zone_page_state(z, NR_FREE_PAGES));
}

/* The same in a few instructions for what is nearly always asked: order 0, plenty free. */
static inline bool watermark_fast(struct zone *z, u32 order, u64 mark, u32 highest_zoneidx,
				  u32 alloc_flags, gfp_t gfp)
{
	s64 free_pages = zone_page_state(z, NR_FREE_PAGES);

	if (likely(!order) && free_pages - unusable_free(z, 0, alloc_flags) >
				      (s64)(mark + hint_read(&z->lowmem_reserve[highest_zoneidx])))
		return true;
	if (rcl_watermark_ok(z, order, mark, highest_zoneidx, alloc_flags, free_pages))
		return true;
	/* Atomic requests disregard the boost: it is there to wake kswapd, not to fail them. */
	if (!order && gfp & __GFP_ATOMIC && watermark_boost(z) &&
	    (alloc_flags & ALLOC_WMARK_MASK) == WMARK_MIN)
		return rcl_watermark_ok(z, 0, z->watermark[WMARK_MIN], highest_zoneidx, alloc_flags,
					free_pages);
	return false;
}

/* Per-CPU state: in the simulator nobody else can be on it, on the host it has a lock. */
struct cpu_ref {
	struct cpu *cpu;
	u32 id;
	bool locked;
};
static always_inline struct cpu_ref get_cpu(struct rcl *m, bool simulated)
{
	struct cpu_ref ref = {.locked = !simulated && m->threaded};

	ref.id = simulated ? m->plat->cpu : m->plat->ops->this_cpu(m->plat);
	ref.cpu = m->cpus + ref.id;
	if (ref.locked)
		spin_lock(&ref.cpu->lock);
	return ref;
}
static always_inline void put_cpu(struct cpu_ref ref)
{
	if (ref.locked)
		spin_unlock(&ref.cpu->lock);
}

/*
 * Put on a list's head and take from it, one straight after the other more often than not. The two
 * links of f are stored one by one, since a load of one out of a store of both would be slow.
 */
static always_inline void push(struct folio *f, struct list_head *list)
{
	struct list_head *first = list->next;

	__atomic_store_n(&f->lru.next, first, __ATOMIC_RELAXED);
	__atomic_store_n(&f->lru.prev, list, __ATOMIC_RELAXED);
	first->prev = &f->lru;
	list->next = &f->lru;
}
static always_inline struct folio *pop(struct list_head *list)
{
	struct folio *f = list_first_entry(list, struct folio, lru);
	struct list_head *next = f->lru.next;

	RCL_DEBUG_ASSERT(f->lru.prev == list);
	next->prev = list;
	list->next = next;
	return f;
}

/* Take the newest block of a list. An allocation halves what the next drain will free. */
static always_inline struct folio *pcp_take(struct zone *z, struct cpu *cpu,
					    struct per_cpu_pages *pcp, struct list_head *list,
					    u32 order)
{
	struct folio *f = pop(list);

	if (unlikely(pcp->free_factor))
		pcp->free_factor >>= 1;
	pcp->count -= 1u << order;
	hint_set(&cpu->events[PGALLOC_DMA + z->type],
		 cpu->events[PGALLOC_DMA + z->type] + (1 << order));
	return f;
}

static struct folio *alloc_from_pcp(struct zone *z, u32 order, u32 migratetype, u32 alloc_flags)
{
	struct rcl *m = z->m;
	struct cpu_ref ref = get_cpu(m, rcl_is_simulated(m->plat));
	struct per_cpu_pages *pcp = z->pcp + ref.id;
	struct list_head *list = &pcp->lists[order_to_pindex(migratetype, order)];
	struct folio *f = NULL;

	if (list_empty(list))
		rcl_pcp_refill(z, pcp, list, order, migratetype, alloc_flags);
	if (likely(!list_empty(list)))
		f = pcp_take(z, ref.cpu, pcp, list, order);
	else
		pcp->free_factor >>= 1;
	put_cpu(ref);
	return f;
}

static struct folio *alloc_from_buddy(struct zone *z, u32 order, u32 migratetype, u32 alloc_flags)
{
	struct rcl *m = z->m;
	u64 pfn = NO_BLOCK;
	struct cpu_ref ref;

	spin_lock(&z->lock);
	if (alloc_flags & ALLOC_HIGHATOMIC)
		pfn = rcl_buddy_alloc_highatomic(z, order);
	if (pfn == NO_BLOCK)
		pfn = rcl_buddy_alloc(z, order, migratetype, alloc_flags);
	/* Failing now is worse than failing a high-order request later. */
	if (pfn == NO_BLOCK && alloc_flags & (ALLOC_OOM | ALLOC_NON_BLOCK))
		pfn = rcl_buddy_alloc_highatomic(z, order);
	if (pfn != NO_BLOCK)
		mod_zone_state(z, NR_FREE_PAGES, -(1 << order));
	spin_unlock(&z->lock);
	if (pfn == NO_BLOCK)
		return NULL;

	ref = get_cpu(m, rcl_is_simulated(m->plat));
	hint_set(&ref.cpu->events[PGALLOC_DMA + z->type],
		 ref.cpu->events[PGALLOC_DMA + z->type] + (1 << order));
	put_cpu(ref);
	return describe_block(z, pfn, order);
}

static inline struct folio *alloc_from_zone(struct zone *z, u32 order, u32 migratetype,
					    u32 alloc_flags)
{
	struct folio *f = NULL;

	if (likely(pcp_allowed_order(order)))
		f = alloc_from_pcp(z, order, migratetype, alloc_flags);
	if (unlikely(!f))
		f = alloc_from_buddy(z, order, migratetype, alloc_flags);
	/* The boost was set with the lock held, where nobody may be woken. */
	if (unlikely(__atomic_load_n(&z->boosted, __ATOMIC_RELAXED))) {
		__atomic_store_n(&z->boosted, false, __ATOMIC_RELAXED);
		rcl_wakeup_kswapd(z, 0, 0, z->type);
	}
	return f;
}

/*
 * The new owner finds a clean descriptor. What check_free() has seen to be 0 still is; the count is
 * last, as it makes the frame visible.
 */
static always_inline void prepare_folio(struct zone *z, struct folio *f, u32 order)
{
	RCL_DEBUG_ASSERT(!folio_ref_count(f) && !f->mapcount && !f->memcg);
	RCL_DEBUG_ASSERT(f->order == order && folio_zone(z->m, f) == z);
	(void)order;
	set_flags(f, z->frame_flags);
	/* (Who met the page's former self may be looking still.) */
	hint_set(&f->mapping, NULL);
	hint_set(&f->index, 0);
	hint_set(&f->private_, 0);
	f->mlock_count = 0;
	folio_ref_unfreeze(f, 1);
}

/* Node reclaim is on and this zone is below its mark: was enough freed in its node? */
static bool reclaim_in_node(struct zone *z, gfp_t gfp, u32 order, u64 mark, u32 highest_zoneidx,
			    u32 alloc_flags)
{
	return rcl_node_reclaim(z->m, z->node, gfp, order) >= NODE_RECLAIM_SOME &&
	       rcl_zone_watermark_ok(z, order, mark, (int)highest_zoneidx, alloc_flags);
}

struct folio *rcl_get_page_from_freelist(const struct alloc_context *ac, gfp_t gfp, u32 order,
					 u32 alloc_flags)
{
	const struct zonelist *zl = ac->zonelist;
	struct node *last_node;
	bool dirty_ok;

retry:
	last_node = NULL;
	dirty_ok = false;
	for (u32 i = ac->first; i < zl->nr; i++) {
		struct zone *z = zl->zones[i];
		struct folio *f;
		u64 mark;

		if (unlikely(z->type > ac->highest_zoneidx))
			continue;
		if (ac->spread_dirty) {
			if (last_node != z->node) {
				last_node = z->node;
				dirty_ok = rcl_node_dirty_ok(z->node);
			}
			if (!dirty_ok)
				continue;
		}
		if (alloc_flags & ALLOC_NOFRAGMENT && i != ac->first &&
		    z->node != zl->zones[ac->first]->node)
			break;

		mark = wmark_pages(z, alloc_flags & ALLOC_WMARK_MASK);
		if (unlikely(!watermark_fast(z, order, mark, ac->highest_zoneidx, alloc_flags,
					     gfp)) &&
		    !(alloc_flags & ALLOC_NO_WATERMARKS)) {
			if (!(ac->m->tun.zone_reclaim_mode & 1) ||
			    !reclaim_in_node(z, gfp, order, mark, ac->highest_zoneidx, alloc_flags))
				continue;
		}
		f = alloc_from_zone(z, order, ac->migratetype, alloc_flags);
		if (unlikely(!f))
			continue;
		prepare_folio(z, f, order);
		if (unlikely(alloc_flags & ALLOC_HIGHATOMIC))
			rcl_reserve_highatomic(z, f);
		return f;
	}
	/* Before leaving the node, or at the end of the list: mix types after all. */
	if (alloc_flags & ALLOC_NOFRAGMENT) {
		alloc_flags &= ~(u32)ALLOC_NOFRAGMENT;
		goto retry;
	}
	return NULL;
}

/* What the task has forbidden itself for a while. */
static gfp_t task_gfp_context(const struct task *t, gfp_t gfp)
{
	if (t->flags & PF_MEMALLOC_NOIO)
		return gfp & ~(__GFP_IO | __GFP_FS);
	if (t->flags & PF_MEMALLOC_NOFS)
		return gfp & ~__GFP_FS;
	return gfp;
}

/* debug.fail_alloc: chance draws no number when it is off, so that runs stay comparable. */
static bool inject_failure(struct rcl *m, gfp_t gfp)
{
	if (gfp & __GFP_NOFAIL)
		return false;
	return m->plat->ops->random(m->plat) % 1000000 < (u64)m->tun.fail_alloc;
}

/*
 * What nearly every request comes to: order 0, the preferred zone above its low watermark, a frame
 * on the CPU's list. This is rcl_get_page_from_freelist() with all that cannot matter then left
 * out; NULL says that something might.
 */
static always_inline struct folio *alloc_fast(struct rcl *m, struct node *nd, gfp_t gfp,
					      bool simulated)
{
	u32 highest = rcl_gfp_zone(gfp);
	struct zone *z = nd->zonelist.preferred[highest];
	struct per_cpu_pages *pcp;
	struct list_head *list;
	struct folio *f = NULL;
	struct cpu_ref ref;

	if (unlikely(gfp & (__GFP_WRITE | __GFP_THISNODE) || m->tun.fail_alloc || !z))
		return NULL;
	if (unlikely(shared_read(&z->stat[NR_FREE_PAGES]) - (s64)z->nr_reserved_highatomic <=
		     (s64)(wmark_pages(z, WMARK_LOW) + hint_read(&z->lowmem_reserve[highest]))))
		return NULL;

	ref = get_cpu(m, simulated);
	pcp = z->pcp + ref.id;
	list = &pcp->lists[gfp_migratetype(gfp)];
	if (likely(!list_empty(list)))
		f = pcp_take(z, ref.cpu, pcp, list, 0);
	put_cpu(ref);
	if (likely(f))
		prepare_folio(z, f, 0);
	return f;
}

static __attribute__((noinline)) struct folio *alloc_general(struct rcl *m, struct node *nd,
							     gfp_t gfp, u32 order)
{
	u32 alloc_flags = ALLOC_WMARK_LOW | (gfp & __GFP_KSWAPD_RECLAIM);
	struct alloc_context ac = {
		.m = m,
		.zonelist = gfp & __GFP_THISNODE ? &nd->thisnode_zonelist : &nd->zonelist,
		.highest_zoneidx = rcl_gfp_zone(gfp),
		.migratetype = gfp_migratetype(gfp),
		.spread_dirty = gfp & __GFP_WRITE,
	};
	struct zone *z;
	struct folio *f;

	RCL_ASSERT(order < MAX_ORDER);
	gfp = task_gfp_context(rcl_current(m), gfp);
	if (unlikely(m->tun.fail_alloc) && inject_failure(m, gfp))
		return NULL;
	ac.first = ac.zonelist->first[ac.highest_zoneidx];
	z = preferred_zone(&ac);
	if (z && z->type == ZONE_NORMAL &&
	    (m->nr_nodes == 1 || managed_zone(&z->node->zones[ZONE_DMA32])))
		alloc_flags |= ALLOC_NOFRAGMENT;

	f = rcl_get_page_from_freelist(&ac, gfp, order, alloc_flags);
	if (unlikely(!f)) {
		ac.spread_dirty = false;
		f = rcl_alloc_pages_slow(&ac, gfp, order);
	}
	return f;
}

struct folio *rcl_alloc_pages_node(struct rcl *m, u32 node, gfp_t gfp, u32 order)
{
	struct node *nd = m->nodes + node;
	struct folio *f = NULL;

	RCL_ASSERT(node < m->nr_nodes);
	if (!order)
		f = alloc_fast(m, nd, gfp, rcl_is_simulated(m->plat));
	return likely(f) ? f : alloc_general(m, nd, gfp, order);
}

static __attribute__((noinline)) struct folio *alloc_here(struct rcl *m, gfp_t gfp, u32 order)
{
	return rcl_alloc_pages_node(m, rcl_current(m)->node, gfp, order);
}

struct folio *rcl_alloc_pages(struct rcl *m, gfp_t gfp, u32 order)
{
	struct node *nd;
	struct folio *f;

	if (unlikely(order || !rcl_is_simulated(m->plat)))
		return alloc_here(m, gfp, order);
	nd = m->nodes + m->plat->current->node;
	f = alloc_fast(m, nd, gfp, true);
	return likely(f) ? f : alloc_general(m, nd, gfp, 0);
}

void rcl_split_page(struct rcl *m, struct folio *f, u32 order)
{
	struct zone *z = folio_zone(m, f);
	u64 pfn = folio_pfn(m, f);

	f->order = 0;
	for (u64 i = 1; i < 1ull << order; i++)
		prepare_folio(z, describe_block(z, pfn + i, 0), 0);
}

/* munlock lost a race with truncation; the frame is the last to know. */
static __attribute__((noinline)) void clear_mlocked(struct zone *z, struct folio *f, u32 order)
{
	mod_zone_state(z, NR_MLOCK, -(1 << order));
	count_vm_events(z->m, UNEVICTABLE_PGCLEARED, 1 << order);
	folio_clear(f, PG_mlocked);
}

/* The last look at a block before it is free: nobody may use, list, map or pay for it. */
static always_inline void check_free(const struct folio *f, u32 order)
{
	/* (As words: a look-up that comes too late may just be trying to get a reference.) */
	RCL_ASSERT(!(folio_ref_count(f) | hint_read(&f->mapcount)) && !f->memcg);
	RCL_ASSERT(f->order == order);
	RCL_ASSERT(!(folio_flags(f) & FLAGS_CHECK_AT_FREE));
}

/* Counting it is the caller's. */
static always_inline void free_to_pcp(struct rcl *m, struct zone *z, struct per_cpu_pages *pcp,
				      struct folio *f, u32 order)
{
	u32 type = pageblock_type(m, folio_pfn(m, f)), high = hint_read(&pcp->high), pindex;
	bool free_high = order && order <= PAGE_ALLOC_COSTLY_ORDER && pcp->free_factor;

	set_flags(f, z->frame_flags | BIT(PG_pcp));
	f->migratetype = (u8)type;
	/* Blocks of other types wait among the movable ones, to keep their type in the buddy. */
	pindex = order_to_pindex(likely(type < MIGRATE_PCPTYPES) ? type : MIGRATE_MOVABLE, order);
	push(f, &pcp->lists[pindex]);
	pcp->count += 1u << order;

	if (unlikely(hint_read(&z->reclaim_active)))
		high = min(hint_read(&pcp->batch) << 2, high);
	if (unlikely(pcp->count >= high || free_high))
		rcl_pcp_shrink(z, pcp, high, pindex, free_high);
}

static __attribute__((noinline)) void free_to_buddy(struct zone *z, struct folio *f, u32 order)
{
	struct rcl *m = z->m;
	u64 pfn = folio_pfn(m, f);
	struct cpu_ref ref;

	check_free(f, order);
	set_flags(f, z->frame_flags);
	spin_lock(&z->lock);
	rcl_buddy_free(z, pfn, order, pageblock_type(m, pfn), false);
	mod_zone_state(z, NR_FREE_PAGES, 1 << order);
	spin_unlock(&z->lock);
	ref = get_cpu(m, rcl_is_simulated(m->plat));
	hint_set(&ref.cpu->events[PGFREE], ref.cpu->events[PGFREE] + (1 << order));
	put_cpu(ref);
}

static always_inline void free_block(struct rcl *m, struct folio *f, u32 order, bool simulated)
{
	struct zone *z = folio_zone(m, f);
	struct cpu_ref ref;

	check_free(f, order);
	ref = get_cpu(m, simulated);
	hint_set(&ref.cpu->events[PGFREE], ref.cpu->events[PGFREE] + (1 << order));
	free_to_pcp(m, z, z->pcp + ref.id, f, order);
	put_cpu(ref);
}

static __attribute__((noinline)) void free_general(struct rcl *m, struct folio *f, u32 order)
{
	if (unlikely(folio_test(f, PG_mlocked)))
		clear_mlocked(folio_zone(m, f), f, order);
	if (pcp_allowed_order(order))
		free_block(m, f, order, rcl_is_simulated(m->plat));
	else
		free_to_buddy(folio_zone(m, f), f, order);
}

/* This and rcl_alloc_pages() go on elsewhere where there is more to do, and so need no stack. */
void rcl_free_pages(struct rcl *m, struct folio *f, u32 order)
{
	if (likely(!order && rcl_is_simulated(m->plat) && !folio_test(f, PG_mlocked)))
		free_block(m, f, 0, true);
	else
		free_general(m, f, order);
}

void rcl_free_folio_list(struct rcl *m, struct list_head *list)
{
	struct cpu_ref ref = get_cpu(m, rcl_is_simulated(m->plat));
	struct per_cpu_pages *pcp = NULL;
	struct zone *z = NULL;
	struct folio *f, *next;
	u32 nr = 0;

	/* As a rule all are of one zone. */
	list_for_each_safe (f, next, list, lru) {
		if (unlikely(!z || f->zone_node != z->zone_node)) {
			z = folio_zone(m, f);
			pcp = z->pcp + ref.id;
		}
		if (unlikely(folio_test(f, PG_mlocked)))
			clear_mlocked(z, f, 0);
		check_free(f, 0);
		free_to_pcp(m, z, pcp, f, 0);
		nr++;
	}
	hint_set(&ref.cpu->events[PGFREE], ref.cpu->events[PGFREE] + (nr));
	put_cpu(ref);
	list_init(list);
}
