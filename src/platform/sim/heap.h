/* SPDX-License-Identifier: MIT */
/*
 * An intrusive binary heap of (key, tie) pairs, smallest first: the simulator's run queues and its
 * list of future events. Keys stand in the slots, next to each other, so that sifting reads no
 * nodes; a node knows its slot, so that any node can be taken out.
 *
 * Growing is the only operation that allocates. Owners call heap_reserve() when a member is
 * created, so pushing never fails and never allocates.
 */
#ifndef RCL_SIM_HEAP_H
#define RCL_SIM_HEAP_H

#include <stdlib.h>

#include "mm/types.h"

#define HEAP_OUT UINT32_MAX /* position of a node that is in no heap */

struct heap_node {
	u32 pos;
};

struct heap_slot {
	u64 key, tie;
	struct heap_node *node;
};

struct heap {
	struct heap_slot *slots;
	u32 nr, cap;
};

/* Room for n members in all. 0 or -ENOMEM. */
static inline int heap_reserve(struct heap *h, u32 n)
{
	u32 cap = h->cap ? h->cap : 16;
	struct heap_slot *slots;

	if (n <= h->cap)
		return 0;
	while (cap < n)
		cap *= 2;
	slots = realloc(h->slots, cap * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	h->slots = slots;
	h->cap = cap;
	return 0;
}
static inline bool heap_before(const struct heap_slot *a, const struct heap_slot *b)
{
	return a->key < b->key || (a->key == b->key && a->tie < b->tie);
}
static inline void heap_put(struct heap *h, u32 pos, struct heap_slot s)
{
	h->slots[pos] = s;
	s.node->pos = pos;
}
static inline void heap_sift_up(struct heap *h, u32 pos, struct heap_slot s)
{
	while (pos) {
		u32 parent = (pos - 1) / 2;
		if (!heap_before(&s, &h->slots[parent]))
			break;
		heap_put(h, pos, h->slots[parent]);
		pos = parent;
	}
	heap_put(h, pos, s);
}
static inline void heap_sift_down(struct heap *h, u32 pos, struct heap_slot s)
{
	for (;;) {
		u32 child = 2 * pos + 1;
		if (child >= h->nr)
			break;
		if (child + 1 < h->nr && heap_before(&h->slots[child + 1], &h->slots[child]))
			child++;
		if (!heap_before(&h->slots[child], &s))
			break;
		heap_put(h, pos, h->slots[child]);
		pos = child;
	}
	heap_put(h, pos, s);
}
static inline void heap_push(struct heap *h, struct heap_node *node, u64 key, u64 tie)
{
	RCL_DEBUG_ASSERT(node->pos == HEAP_OUT);
	RCL_ASSERT(h->nr < h->cap);
	heap_sift_up(h, h->nr++, (struct heap_slot){key, tie, node});
}
/* Put the last member where another was taken out. */
static inline void heap_refill(struct heap *h, u32 pos)
{
	struct heap_slot last = h->slots[h->nr];

	if (pos && heap_before(&last, &h->slots[(pos - 1) / 2]))
		heap_sift_up(h, pos, last);
	else
		heap_sift_down(h, pos, last);
}
static inline void heap_remove(struct heap *h, struct heap_node *node)
{
	u32 pos = node->pos;

	RCL_DEBUG_ASSERT(pos < h->nr);
	node->pos = HEAP_OUT;
	if (pos != --h->nr)
		heap_refill(h, pos);
}
static inline struct heap_node *heap_pop(struct heap *h)
{
	struct heap_node *node = h->slots[0].node;

	heap_remove(h, node);
	return node;
}

#endif
