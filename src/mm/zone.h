/* SPDX-License-Identifier: MIT */
/*
 * Nodes and zones: where frames live. A node is a range of frame numbers cut into zones; a zone has
 * the buddy free lists, watermarks and per-CPU lists; the node has the LRU lists and kswapd.
 *
 * Field legend:  Z zone->lock   A atomic   c constant after set-up   C owning CPU only
 *                T written on tunable changes   K written by kswapd and its wakers
 */
#ifndef RCL_MM_ZONE_H
#define RCL_MM_ZONE_H

#include "mm/lock.h"
#include "mm/page.h"
#include "mm/vmstat.h"

#define MAX_ORDER		11 /* orders 0..10 */
#define PAGEBLOCK_ORDER		9
#define MAX_NODES		32
#define PAGE_ALLOC_COSTLY_ORDER 3

enum zone_type {
	ZONE_DMA,
	ZONE_DMA32,
	ZONE_NORMAL,
	ZONE_MOVABLE,
	MAX_NR_ZONES
};

enum migratetype {
	MIGRATE_UNMOVABLE,
	MIGRATE_MOVABLE,
	MIGRATE_RECLAIMABLE,
	MIGRATE_PCPTYPES, /* the types per-CPU lists hold */
	MIGRATE_HIGHATOMIC = MIGRATE_PCPTYPES,
	MIGRATE_CMA,
	MIGRATE_ISOLATE,
	MIGRATE_TYPES
};

enum zone_watermark {
	WMARK_MIN,
	WMARK_LOW,
	WMARK_HIGH,
	WMARK_PROMO,
	NR_WMARK
};

/*
 * Links of free blocks, by frame number; behind the frames stand the heads of the lists. They are
 * not in the descriptors so that merging and splitting move in a few bytes a frame (buddy.c).
 */
struct block_link {
	u32 next, prev;
};
struct free_area {
	u32 free_list[MIGRATE_TYPES]; /* c: where in zone->links the list's head is */
	u64 nr_free;		      /* Z, read as a word without: blocks of this order */
};

/*
 * A list per migratetype for each order up to the costly one, and two for pageblock-sized blocks
 * (others, movable). Blocks come and go at the head; drains take from the tail.
 */
#define NR_LOWORDER_PCP_LISTS (MIGRATE_PCPTYPES * (PAGE_ALLOC_COSTLY_ORDER + 1))
#define NR_PCP_LISTS	      (NR_LOWORDER_PCP_LISTS + 2)
struct per_cpu_pages {
	u32 count;			      /* C: frames on the lists */
	u32 high;			      /* T: drain above this */
	u32 batch;			      /* T: refill and drain in this many */
	u16 free_factor;		      /* C: how fast a drain grows */
	struct list_head lists[NR_PCP_LISTS]; /* C */
} __attribute__((aligned(64)));

struct zone {
	struct rcl *m;		    /* c */
	struct node *node;	    /* c */
	enum zone_type type;	    /* c */
	const char *name;	    /* c */
	u64 start_pfn;		    /* c */
	u64 spanned_pages;	    /* c: frames from start_pfn to the end, holes included */
	u64 managed_start;	    /* c: first frame given to the allocator; the rest follow it */
	u64 managed_pages;	    /* c: frames given to the allocator */
	u8 zone_node;		    /* c: folio->zone_node of its frames */
	u32 frame_flags;	    /* c: flags of a frame at rest: PG_threaded or none */
	u64 watermark[NR_WMARK];    /* T: without boost */
	u64 watermark_boost;	    /* Z: added to every watermark since types were mixed */
	bool boosted;		    /* A: boost is new, kswapd must be told */
	u64 nr_reserved_highatomic; /* Z: frames in MIGRATE_HIGHATOMIC pageblocks */
	u64 lowmem_reserve[MAX_NR_ZONES]; /* T */
	struct per_cpu_pages *pcp;	  /* one per CPU */
	bool reclaim_active;		  /* K: kswapd at work, pcp->high lowered */
	s64 stat[NR_ZONE_STAT_ITEMS];	  /* A */
	struct spinlock lock;
	struct free_area free_area[MAX_ORDER]; /* Z */
	struct block_link *links;	       /* Z: of the whole machine */
	u8 *blocks; /* Z: by frame number, what free block starts there; of the whole machine */
};

/* Why somebody sleeps in rcl_reclaim_throttle(). */
enum vmscan_throttle {
	VMSCAN_THROTTLE_WRITEBACK,
	VMSCAN_THROTTLE_ISOLATED,
	VMSCAN_THROTTLE_NOPROGRESS,
	VMSCAN_THROTTLE_CONGESTED,
	NR_VMSCAN_THROTTLE
};

/* Zones in the order in which a request tries them. */
struct zonelist {
	u32 nr;
	u8 first[MAX_NR_ZONES]; /* where a request up to this zone type starts; nr: nowhere */
	struct zone *preferred[MAX_NR_ZONES];	      /* the zone there, or NULL */
	struct zone *zones[MAX_NODES * MAX_NR_ZONES]; /* nearest node first, highest zone first */
};

struct node {
	struct rcl *m; /* c */
	u32 id;	       /* c */
	struct zone zones[MAX_NR_ZONES];
	struct zonelist zonelist;	   /* c: fallback order from this node */
	struct zonelist thisnode_zonelist; /* c: __GFP_THISNODE: this node's zones alone */
	u64 totalreserve_pages;	      /* T: frames that only reserves may use (not dirtyable) */
	u64 alloc_report_at;	      /* A: no allocation failure report before this time */
	u64 start_pfn, spanned_pages; /* c */
	s64 stat[NR_NODE_STAT_ITEMS]; /* A; slab items in bytes */
	u32 flags;		      /* A: enum node_flag */

	/* kswapd (vmscan/kswapd.c) */
	struct task *kswapd;
	u32 kswapd_wait;	    /* K: wait word, see platform.h */
	s32 kswapd_order;	    /* K */
	s32 kswapd_highest_zoneidx; /* K: MAX_NR_ZONES when there is no request */
	bool kswapd_asleep;	    /* K: kswapd is on its wait word */
	s32 kswapd_failures;	    /* A */

	/* throttling (vmscan/throttle.c) */
	u32 pfmemalloc_wait;			 /* wait word */
	u32 reclaim_wait[NR_VMSCAN_THROTTLE];	 /* wait words */
	u32 reclaim_waiters[NR_VMSCAN_THROTTLE]; /* A */
	s64 nr_writeback_throttled;		 /* A */
	s64 nr_reclaim_start;	   /* NR_THROTTLED_WRITTEN when the first throttled task came */
	bool node_reclaim_running; /* A */
};

enum node_flag {
	PGDAT_DIRTY = 1,     /* many dirty file pages at the tail of the LRU */
	PGDAT_WRITEBACK = 2, /* many pages under writeback at the tail */
};

static inline bool managed_zone(const struct zone *z)
{
	return z->managed_pages;
}
/* Changed under the zone's lock, looked at without it. */
static inline u64 watermark_boost(const struct zone *z)
{
	return __atomic_load_n(&z->watermark_boost, __ATOMIC_RELAXED);
}
static inline void set_watermark_boost(struct zone *z, u64 pages)
{
	__atomic_store_n(&z->watermark_boost, pages, __ATOMIC_RELAXED);
}
static inline u64 wmark_pages(const struct zone *z, enum zone_watermark w)
{
	return __atomic_load_n(&z->watermark[w], __ATOMIC_RELAXED) + watermark_boost(z);
}
static inline u64 high_wmark_pages(const struct zone *z)
{
	return wmark_pages(z, WMARK_HIGH);
}
static inline s64 zone_page_state(const struct zone *z, enum zone_stat_item item)
{
	s64 v = shared_read(&z->stat[item]);
	return v < 0 ? 0 : v;
}
static inline s64 node_page_state(const struct node *n, enum node_stat_item item)
{
	s64 v = shared_read(&n->stat[item]);
	return v < 0 ? 0 : v;
}
#define for_each_zone(z, nd) for (struct zone *z = (nd)->zones; z < (nd)->zones + MAX_NR_ZONES; z++)

#endif
