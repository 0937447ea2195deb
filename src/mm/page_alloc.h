/* SPDX-License-Identifier: MIT */
/*
 * The zoned page allocator (algorithm: Linux 6.1 mm/page_alloc.c).
 * All functions may be called by any task of the machine; those that take gfp with
 * __GFP_DIRECT_RECLAIM may wait.
 */
#ifndef RCL_MM_PAGE_ALLOC_H
#define RCL_MM_PAGE_ALLOC_H

#include "mm/gfp.h"
#include "mm/zone.h"

/*
 * A block of 2^order frames, reference count 1 on the first, not charged to any memcg, flags clear
 * but for PG_threaded. NULL when out of memory (never with __GFP_NOFAIL and
 * __GFP_DIRECT_RECLAIM). Takes the running task's node first. Only the descriptor of the first
 * frame is valid; nobody may look at the others. Contents, and the time it takes to allocate and
 * clear them (WORK_ALLOC, WORK_ZERO), are the caller's: __GFP_ZERO changes nothing here.
 */
struct folio *rcl_alloc_pages(struct rcl *m, gfp_t gfp, u32 order);
struct folio *rcl_alloc_pages_node(struct rcl *m, u32 node, gfp_t gfp, u32 order);
/* Make every frame of a block a folio of its own, of order 0 and with one reference. */
void rcl_split_page(struct rcl *m, struct folio *f, u32 order);
/* Give back a block with no references left (count 0), uncharged and off every list. */
void rcl_free_pages(struct rcl *m, struct folio *f, u32 order);
/* Free all order-0 folios (reference count 0) on a list linked through lru; the list ends empty. */
void rcl_free_folio_list(struct rcl *m, struct list_head *list);

/*
 * Is the zone's free memory above `mark`, for a request of this order that could also use zones up
 * to highest_zoneidx? Subtracts the lowmem reserve; for order > 0 also asks for a fitting block.
 */
bool rcl_zone_watermark_ok(struct zone *z, u32 order, u64 mark, int highest_zoneidx,
			   u32 alloc_flags);

/* The highest zone a request may use. */
enum zone_type rcl_gfp_zone(gfp_t gfp);

/* Move the frames of this CPU's (or every CPU's) lists back to the buddy. */
void rcl_drain_local_pages(struct rcl *m);
void rcl_drain_all_pages(struct rcl *m);

/* Recompute watermarks, lowmem reserves and per-CPU limits from the tunables; ends any boost. */
void rcl_setup_watermarks(struct rcl *m);

/* Layout of one node at open: pages per zone (0 = zone absent). */
struct rcl_node_layout {
	u64 managed[MAX_NR_ZONES]; /* frames */
};
/*
 * Lay out a machine of this much managed memory, spread evenly over nodes, as x86-64 does: 15 MiB
 * of DMA, up to 3 GiB in all below the device hole in DMA32, the rest in Normal.
 */
void rcl_layout_for_memory(u64 bytes, u32 nr_nodes, struct rcl_node_layout *out);
/*
 * Build nodes, zones, free lists and zonelists; frames are all free afterwards. 0 or -errno.
 * Needs plat, threaded, nr_cpus, cpus (zeroed, locks initialised) and tun; sets frames, nr_frames,
 * totalram_pages, nodes, nr_nodes and oom_state.
 */
int rcl_page_alloc_init(struct rcl *m, const struct rcl_node_layout *layout, u32 nr_nodes);
void rcl_page_alloc_destroy(struct rcl *m);

/* Whole-allocator invariants (every frame on exactly one list or in use, counts match). Slow. */
bool rcl_page_alloc_is_valid(struct rcl *m);

/* kswapd interface used by the slow path; implemented in vmscan/kswapd.c. */
void rcl_wakeup_kswapd(struct zone *z, gfp_t gfp, u32 order, int highest_zoneidx);

#endif
