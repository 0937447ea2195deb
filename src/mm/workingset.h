/* SPDX-License-Identifier: MIT */
/* Refault detection (algorithm: Linux 6.1 mm/workingset.c). Shadow entries are odd 64-bit words. */
#ifndef RCL_MM_WORKINGSET_H
#define RCL_MM_WORKINGSET_H

#include "mm/machine.h"

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
/* The clocks of this lruvec and of its parents tick. */
static inline void rcl_workingset_age_nonresident(struct rcl *m, struct lruvec *lv, u64 nr_pages)
{
	for (; lv; lv = rcl_parent_lruvec(m, lv))
		shared_add(&lv->nonresident_age, (s64)nr_pages, m->threaded);
}

/*
 * A page cache tree node changed: track it while it holds shadow entries and nothing else, so that
 * the shadow shrinker can free it. mapping->lock is held.
 */
void rcl_workingset_track_node(struct rcl *m, struct radix_node *node, bool only_shadows);
static inline void rcl_workingset_update_node(struct rcl *m, struct mapping *mapping,
					      struct radix_node *node)
{
	bool only_shadows = node->count && node->count == node->nr_values;

	RCL_DEBUG_ASSERT(spin_is_held(&mapping->lock));
	(void)mapping;
	if (unlikely(only_shadows == list_empty(&node->private_list)))
		rcl_workingset_track_node(m, node, only_shadows);
}
/* Register the shadow-node shrinker. */
int rcl_workingset_init(struct rcl *m);
void rcl_workingset_exit(struct rcl *m);

#endif
