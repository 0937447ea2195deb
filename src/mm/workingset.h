/* SPDX-License-Identifier: MIT */
/*
 * Refault detection (algorithm: Linux 6.1 mm/workingset.c). Shadow entries are odd 64-bit words.
 * Layout, low to high: 1 (marks a value), workingset bit, node (10), group id (16), clock (36).
 */
#ifndef RCL_MM_WORKINGSET_H
#define RCL_MM_WORKINGSET_H

#include "mm/machine.h"

/* A page cache or swap cache slot holds NULL, a folio pointer (even) or a shadow entry (odd). */
static inline bool entry_is_shadow(const void *e)
{
	return (uintptr_t)e & 1;
}

/* A new folio (charged, not yet on the LRU) replaces a shadow: count, and maybe set PG_active. */
void rcl_workingset_refault(struct rcl *m, struct folio *f, void *shadow);
void rcl_workingset_activation(struct rcl *m, struct folio *f);
/* The clocks of this lruvec and of its parents tick. */
static inline void rcl_workingset_age_nonresident(struct rcl *m, struct lruvec *lv, u64 nr_pages)
{
	for (; lv; lv = rcl_parent_lruvec(m, lv))
		shared_add(&lv->nonresident_age, (s64)nr_pages, m->threaded);
}

#define SHADOW_NODE_BITS  10
#define SHADOW_MEMCG_BITS 16
#define SHADOW_SHIFT	  (2 + SHADOW_NODE_BITS + SHADOW_MEMCG_BITS)
#define EVICTION_MASK	  (~0ull >> SHADOW_SHIFT)

/*
 * The folio is being evicted (locked, frozen, off the LRU): the entry to leave in its slot. lv: of
 * the group under reclaim on the folio's node.
 */
static inline void *rcl_workingset_evict_from(struct rcl *m, struct folio *f, struct lruvec *lv)
{
	u64 v = (u64)shared_read(&lv->nonresident_age) & EVICTION_MASK;

	RCL_DEBUG_ASSERT(!folio_test(f, PG_lru) && folio_test(f, PG_locked));
	rcl_workingset_age_nonresident(m, lv, 1);
	v = v << SHADOW_MEMCG_BITS | lv->memcg->id;
	v = v << SHADOW_NODE_BITS | folio_node_id(f);
	v = v << 1 | folio_test(f, PG_workingset);
	return (void *)(uintptr_t)(v << 1 | 1);
}
static inline void *rcl_workingset_eviction(struct rcl *m, struct folio *f, struct memcg *target)
{
	return rcl_workingset_evict_from(m, f, rcl_memcg_lruvec(m, target, folio_node(m, f)));
}

/*
 * A page cache tree node changed: track it while it holds shadow entries and nothing else, so that
 * the shadow shrinker can free it. mapping->lock is held.
 */
void rcl_workingset_track_node(struct rcl *m, struct radix_node *node, bool only_shadows);
/* Whether a node is on a list changes under mapping->lock, its neighbours there at any time. */
static inline RCL_RACY bool rcl_workingset_is_tracked(const struct radix_node *node)
{
	return hint_read(&node->private_list.next) != &node->private_list;
}
static inline void rcl_workingset_update_node(struct rcl *m, struct mapping *mapping,
					      struct radix_node *node)
{
	bool only_shadows = node->count && node->count == node->nr_values;

	RCL_DEBUG_ASSERT(spin_is_held(&mapping->lock));
	(void)mapping;
	if (unlikely(only_shadows != rcl_workingset_is_tracked(node)))
		rcl_workingset_track_node(m, node, only_shadows);
}
/* Register the shadow-node shrinker. */
int rcl_workingset_init(struct rcl *m);
void rcl_workingset_exit(struct rcl *m);

#endif
