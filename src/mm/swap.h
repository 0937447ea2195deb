/* SPDX-License-Identifier: MIT */
/*
 * Swap areas, slots, the swap cache, and swap I/O (algorithm: Linux 6.1 mm/swapfile.c,
 * swap_state.c, swap_slots.c, page_io.c).
 *
 * A swap entry is a non-zero 64-bit word: type (area) in bits 58..62, offset in bits 0..49.
 */
#ifndef RCL_MM_SWAP_H
#define RCL_MM_SWAP_H

#include "mm/gfp.h"
#include "mm/lru.h"

#define MAX_SWAPFILES	 24
#define SWAP_CLUSTER_MAX 32ul

typedef u64 swp_entry_t; /* 0 = none; slot 0 of an area is its header and never given out */
static inline swp_entry_t swp_entry(u32 type, u64 offset)
{
	return (u64)type << 58 | offset;
}
static inline u32 swp_type(swp_entry_t e)
{
	return (u32)(e >> 58);
}
static inline u64 swp_offset(swp_entry_t e)
{
	return e & ((1ull << 50) - 1);
}

enum swap_flag {
	SWAP_SOLIDSTATE = 1, /* no seek cost: allocate in clusters */
	SWAP_PUNCH = 2,	     /* hold freed slots back for rcl_swap_take_held() */
};
/* Use a device's first `pages` 4 KiB blocks as swap. prio -1 = next lower than all before. */
int rcl_swapon(struct rcl *m, u16 dev, u64 pages, int prio, u32 flags);
/* Freed slots of an area with SWAP_PUNCH, to be punched: nobody else has them meanwhile. */
struct swap_run {
	u32 type; /* area */
	u16 dev;
	u64 first, nr; /* slots, which are blocks of dev */
};
/* The next such run. Start with zeros; false: that was the last, for now. */
bool rcl_swap_take_held(struct rcl *m, struct swap_run *run);
/* It may be used again. */
void rcl_swap_give_held(struct rcl *m, const struct swap_run *run);
/*
 * Between the first and the second call a run that nobody has seen is looked for; the second sleeps
 * until there are more since the first, or somebody calls the third.
 */
void rcl_swap_held_going_to_sleep(struct rcl *m);
void rcl_swap_held_sleep(struct rcl *m);
void rcl_swap_held_wake(struct rcl *m);

u64 rcl_nr_swap_pages(struct rcl *m);	 /* free slots */
u64 rcl_total_swap_pages(struct rcl *m); /* all slots */
bool rcl_vm_swap_full(struct rcl *m);	 /* more than half in use */

/* Give a locked anonymous folio a slot and put it into the swap cache, dirty. False: no slot. */
bool rcl_add_to_swap(struct rcl *m, struct folio *f);
/* One more / one fewer page-table reference to a slot; the last one frees it if uncached. */
void rcl_swap_duplicate(struct rcl *m, swp_entry_t e);
void rcl_swap_free(struct rcl *m, swp_entry_t e);
/* Drop a page-table reference; also drop the cached folio when nobody needs the slot (unmap). */
void rcl_free_swap_and_cache(struct rcl *m, swp_entry_t e);
/* If a locked swap-cache folio's slot has no other users, drop it from the cache: true if done. */
bool rcl_folio_free_swap(struct rcl *m, struct folio *f);
u32 rcl_swap_count(struct rcl *m, swp_entry_t e); /* page-table references */

/* The cached folio with a reference, or NULL, without counting a readahead hit. */
struct folio *rcl_swap_cache_lookup(struct rcl *m, swp_entry_t e);
/*
 * The cached folio with a reference, or NULL. A page that readahead brought counts as a hit. Here
 * and below, vma and vpn are the fault's; vma NULL: no fault.
 */
struct folio *rcl_swap_cache_get_folio(struct rcl *m, swp_entry_t e, struct vma *vma, u64 vpn);
/*
 * Read a slot in, with readahead by vm.page-cluster (around the fault's address if no area has seek
 * cost, else around the slot): the folio with a reference, in the swap cache, charged, on the LRU.
 * Without readahead it was waited for; else it may still be locked for I/O. NULL with *error
 * -ENOMEM: no memory for it; NULL with 0: the slot was freed meanwhile (caller re-checks its pte).
 * vma's mm is locked against changes of its layout; waits.
 */
struct folio *rcl_swapin_readahead(struct rcl *m, swp_entry_t e, gfp_t gfp, struct vma *vma,
				   u64 vpn, int *error);
/* The same for this slot alone, without waiting for the read (madvise). NULL as above. */
struct folio *rcl_read_swap_cache_async(struct rcl *m, swp_entry_t e, gfp_t gfp);
/* Take a locked folio out of the cache and drop the cache's reference and claim on the slot. */
void rcl_swap_cache_delete(struct rcl *m, struct folio *f);
/* Remove a frozen (reference count 0), locked folio from the swap cache, leaving a shadow, and
 * free the slot if no page table refers to it. Used by reclaim. */
void rcl_delete_from_swap_cache(struct rcl *m, struct folio *f, void *shadow);
/* The group that owns a slot (charged the page swapped out); NULL if none. */
struct memcg *rcl_swap_memcg(struct rcl *m, swp_entry_t e);
/* Fetch what swapping the slot in will read; it may have been freed. */
void rcl_swap_fetch(struct rcl *m, swp_entry_t e);
void *rcl_swap_shadow(struct rcl *m, swp_entry_t e);

/* Write a locked, cleaned-for-io swap-cache folio; unlocks it. 0 (also when the slot turned out
 * unused and the write was skipped). */
int rcl_swap_writepage(struct rcl *m, struct folio *f);
/* Start reading a locked swap-cache folio; it is unlocked at the end. sync: wait for that. */
void rcl_swap_readpage(struct rcl *m, struct folio *f, bool sync);

int rcl_swap_init(struct rcl *m);
void rcl_swap_exit(struct rcl *m);
bool rcl_swap_is_valid(struct rcl *m);

#endif
