/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the page allocator tell each other.
 *
 *   page_alloc.c       which zone: zonelists, watermarks, the fast path, entry points
 *   page_alloc_slow.c  what to do when no zone is above its watermark
 *   pcp.c              per-CPU lists in front of the buddy
 *   buddy.c            free blocks by order and migratetype
 *   zone.c             layout and sizes: zones, watermarks, reserves, list limits
 */
#ifndef RCL_MM_PAGE_ALLOC_INTERNAL_H
#define RCL_MM_PAGE_ALLOC_INTERNAL_H

#include "mm/machine.h"

/*
 * How hard a request may try. The low two bits name the watermark it must respect. 6.1 calls
 * ALLOC_HIGH of earlier kernels ALLOC_MIN_RESERVE and ALLOC_HARDER ALLOC_NON_BLOCK.
 */
enum alloc_flag {
	ALLOC_WMARK_MIN = WMARK_MIN,
	ALLOC_WMARK_LOW = WMARK_LOW,
	ALLOC_WMARK_HIGH = WMARK_HIGH,
	ALLOC_WMARK_MASK = 0x3,
	ALLOC_NO_WATERMARKS = 0x4, /* everything: the caller is about to free more than it takes */
	ALLOC_OOM = 0x8,	   /* half of what is left: the caller was killed and must exit */
	ALLOC_NON_BLOCK = 0x10,	   /* a further quarter: the caller cannot wait */
	ALLOC_MIN_RESERVE = 0x20,  /* half of the min watermark: __GFP_HIGH */
	ALLOC_CMA = 0x80,	   /* may use MIGRATE_CMA blocks */
	ALLOC_NOFRAGMENT = 0x100,  /* do not mix migratetypes in a pageblock */
	ALLOC_HIGHATOMIC = 0x200,  /* may use MIGRATE_HIGHATOMIC blocks */
	ALLOC_KSWAPD = 0x800,	   /* may wake kswapd: __GFP_KSWAPD_RECLAIM */
	ALLOC_RESERVES = ALLOC_NON_BLOCK | ALLOC_MIN_RESERVE | ALLOC_HIGHATOMIC | ALLOC_OOM
};
/* These two are copied from gfp without a test. */
_Static_assert((u32)ALLOC_MIN_RESERVE == __GFP_HIGH, "one bit, two names");
_Static_assert((u32)ALLOC_KSWAPD == __GFP_KSWAPD_RECLAIM, "one bit, two names");

/* One request on its way through the zones. */
struct alloc_context {
	struct rcl *m;
	struct zonelist *zonelist;
	u32 first;	     /* index in zonelist of the preferred zone */
	u32 highest_zoneidx; /* no zone above this type */
	u32 migratetype;
	bool spread_dirty; /* pass over nodes with too many dirty pages */
};

#define for_each_zone_of(z, ac)                                                                    \
	for (u32 zi_ = (ac)->first; zi_ < (ac)->zonelist->nr; zi_++)                               \
		for (struct zone *z = (ac)->zonelist->zones[zi_]; z; z = NULL)                     \
			if (z->type <= (ac)->highest_zoneidx)

static inline struct zone *preferred_zone(const struct alloc_context *ac)
{
	return ac->first < ac->zonelist->nr ? ac->zonelist->zones[ac->first] : NULL;
}

static inline u32 gfp_migratetype(gfp_t gfp)
{
	_Static_assert(__GFP_MOVABLE >> 3 == MIGRATE_MOVABLE, "shift");
	_Static_assert(__GFP_RECLAIMABLE >> 3 == MIGRATE_RECLAIMABLE, "shift");
	return (gfp & (__GFP_MOVABLE | __GFP_RECLAIMABLE)) >> 3;
}

/* A frame's flags may be looked at by others at any time (a look-up that comes too late). */
static inline void set_flags(struct folio *f, u32 flags)
{
	__atomic_store_n(&f->flags, flags, __ATOMIC_RELAXED);
}

/* page_alloc.c */
struct folio *rcl_get_page_from_freelist(const struct alloc_context *ac, gfp_t gfp, u32 order,
					 u32 alloc_flags);
/* rcl_zone_watermark_ok() for a supposed number of free frames. */
bool rcl_watermark_ok(struct zone *z, u32 order, u64 mark, u32 highest_zoneidx, u32 alloc_flags,
		      s64 free_pages);

/* page_alloc_slow.c */
struct folio *rcl_alloc_pages_slow(struct alloc_context *ac, gfp_t gfp, u32 order);

/*
 * buddy.c: zone->lock is held; NR_FREE_PAGES is the caller's to change. Blocks are named by their
 * first frame; their descriptors are the caller's business.
 */
#define NO_BLOCK UINT64_MAX
void rcl_buddy_free(struct zone *z, u64 pfn, u32 order, u32 migratetype, bool to_tail);
void rcl_buddy_prefetch(const struct zone *z, u64 pfn, u32 step);
/* One block: own type first, then (by alloc_flags) fallbacks. */
u64 rcl_buddy_alloc(struct zone *z, u32 order, u32 migratetype, u32 alloc_flags);
u64 rcl_buddy_alloc_highatomic(struct zone *z, u32 order);
/*
 * Up to count blocks, with PG_pcp, to the tail of list, as that many single requests would get; how
 * many. Here the descriptors are filled in.
 */
u32 rcl_buddy_alloc_bulk(struct zone *z, u32 order, u32 count, u32 migratetype, u32 alloc_flags,
			 struct list_head *list);
bool rcl_buddy_has_block(const struct zone *z, u32 order, u32 migratetype);
void rcl_buddy_init_lists(struct zone *z, u32 heads);
bool rcl_buddy_is_valid(struct zone *z, u64 *free_pages, u64 *pcp_pages);

/* buddy.c: these take zone->lock. */
void rcl_reserve_highatomic(struct zone *z, struct folio *f);
bool rcl_unreserve_highatomic(const struct alloc_context *ac, bool force);

/* Per-CPU state needs a lock only where other threads may be on the same CPU's state. */
static inline void rcl_cpu_lock(struct rcl *m, struct cpu *cpu)
{
	if (unlikely(m->threaded))
		spin_lock(&cpu->lock);
}
static inline void rcl_cpu_unlock(struct rcl *m, struct cpu *cpu)
{
	if (unlikely(m->threaded))
		spin_unlock(&cpu->lock);
}

/*
 * The migratetype of each pageblock is a byte of a table that stands in front of the descriptors
 * and grows away from them: a free finds it without going through the zone. Written under
 * zone->lock, read without: a free to the wrong list only costs a fallback some day.
 */
static inline u8 *pageblock_slot(struct rcl *m, u64 pfn)
{
	return (u8 *)m->frames - 1 - (pfn >> PAGEBLOCK_ORDER);
}
static inline u32 pageblock_type(struct rcl *m, u64 pfn)
{
	return __atomic_load_n(pageblock_slot(m, pfn), __ATOMIC_RELAXED);
}
static inline void set_pageblock_type(struct rcl *m, u64 pfn, u32 migratetype)
{
	__atomic_store_n(pageblock_slot(m, pfn), (u8)migratetype, __ATOMIC_RELAXED);
}

/*
 * pcp.c. While a block is on a per-CPU list it has a flag of the allocator's own, by which a second
 * free and a lost block are told.
 */
enum {
	PG_pcp = 30
};

/*
 * A block leaves the buddy: its descriptor learns what it describes. Others may be looking at
 * zone_node (a look-up that comes too late), so it is written once.
 */
static inline struct folio *describe_block(struct zone *z, u64 pfn, u32 order)
{
	struct folio *f = pfn_folio(z->m, pfn);

	if (unlikely(f->zone_node != z->zone_node))
		f->zone_node = z->zone_node;
	f->order = (u8)order;
	return f;
}
static inline u32 pindex_to_order(u32 pindex)
{
	return pindex >= NR_LOWORDER_PCP_LISTS ? PAGEBLOCK_ORDER : pindex / MIGRATE_PCPTYPES;
}
static inline bool pcp_allowed_order(u32 order)
{
	return order <= PAGE_ALLOC_COSTLY_ORDER || order == PAGEBLOCK_ORDER;
}
static inline u32 order_to_pindex(u32 migratetype, u32 order)
{
	if (unlikely(order > PAGE_ALLOC_COSTLY_ORDER))
		return NR_LOWORDER_PCP_LISTS + (migratetype == MIGRATE_MOVABLE);
	return MIGRATE_PCPTYPES * order + migratetype;
}
/* Fill an empty list from the buddy. */
void rcl_pcp_refill(struct zone *z, struct per_cpu_pages *pcp, struct list_head *list, u32 order,
		    u32 migratetype, u32 alloc_flags);
/* The lists are over their limit after a free of this order to list pindex: drain some. */
void rcl_pcp_shrink(struct zone *z, struct per_cpu_pages *pcp, u32 high, u32 pindex,
		    bool free_high);
/* Batch and limit for lists of all CPUs, from the zone's size, watermark and CPUs nearby. */
void rcl_pcp_set_limits(struct zone *z);
void rcl_pcp_init(struct per_cpu_pages *pcp);

/* oom.c: one kill at a time. trylock fails when somebody else is at it. */
int rcl_oom_init(struct rcl *m);
void rcl_oom_exit(struct rcl *m);
bool rcl_oom_trylock(struct rcl *m);
void rcl_oom_unlock(struct rcl *m);

#endif
