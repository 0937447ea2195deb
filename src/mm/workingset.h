/* SPDX-License-Identifier: MIT */
/* Refault detection (algorithm: Linux 6.1 mm/workingset.c). Shadow entries are odd 64-bit words. */
#ifndef RCL_MM_WORKINGSET_H
#define RCL_MM_WORKINGSET_H

#include "mm/lru.h"

/* A page cache or swap cache slot holds NULL, a folio pointer (even) or a shadow entry (odd). */
static inline bool entry_is_shadow(const void *e)
{
	return (uintptr_t)e & 1;
}

/* The folio is being evicted (locked, frozen, off the LRU): the entry to leave in its slot. */
void *rcl_workingset_eviction(struct rcl *m, struct folio *f, struct memcg *target);
/* A new folio (charged, not yet on the LRU) replaces a shadow: count, and maybe set PG_active. */
void rcl_workingset_refault(struct rcl *m, struct folio *f, void *shadow);
void rcl_workingset_activation(struct rcl *m, struct folio *f);
void rcl_workingset_age_nonresident(struct rcl *m, struct lruvec *lv, u64 nr_pages);

/*
 * A page cache tree node changed: track it while it holds shadow entries and nothing else, so that
 * the shadow shrinker can free it. mapping->lock is held.
 */
struct radix_node;
void rcl_workingset_update_node(struct rcl *m, struct mapping *mapping, struct radix_node *node);
/* Register the shadow-node shrinker. */
int rcl_workingset_init(struct rcl *m);
void rcl_workingset_exit(struct rcl *m);

#endif
