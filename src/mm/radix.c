/* SPDX-License-Identifier: MIT */
/*
 * The tree of a file's page cache: from page index to folio or shadow entry.
 *
 * Why a 64-ary tree: files are sparse in the cache but runs of pages are dense, a node's slots of
 * one tag fit a 64-bit word, and a node costs a group the same bytes as in the reference, where
 * the memory of the tree is part of what a limit has to pay for.
 *
 * Shape. A tree with nothing but index 0 is that entry itself, in mapping->root. Otherwise root is
 * a node of level height-1, and a slot of a node of level L covers 64^L pages. The tree is as low
 * as its largest index allows when it grows; it is lowered only while slot 0 alone is used.
 *
 * Invariants (checked by rcl_mapping_is_valid):
 *   1 a node has 1..64 slots in use, except on a path being reserved (see below)
 *   2 count and nr_values are what the slots say; only level 0 holds entries
 *   3 a node's bit of a tag is set exactly if the child has any bit of it; root_tags likewise
 *   4 only folios are tagged
 *   5 workingset.c knows a node as shadow-only exactly if all its entries are shadows
 *
 * Growing may need memory while the lock is held, hence in two steps: rcl_radix_reserve() tries
 * without waiting; if that fails the caller drops the lock, gets one node with
 * rcl_radix_alloc_node() and tries again. Nodes of a path half made stay in place meanwhile.
 *
 * Locking: changes under mapping->lock. Look-ups take none: slots are published with release
 * stores after the node is filled in, and a freed node's memory keeps its last content until it
 * becomes a node again (slab.c), so a late reader finds stale entries, never wild pointers.
 */
#include <stdio.h>

#include "mm/filemap.h"
#include "mm/machine.h"
#include "mm/slab.h"
#include "mm/workingset.h"

#define MAX_LEVEL 9u /* 60 bits of page index */

static void *make_entry(struct radix_node *node, u32 level)
{
	return (void *)((uintptr_t)node | level << 2 | 2);
}

static u32 slot_of(u64 index, u32 level)
{
	return (u32)(index >> level * RADIX_SHIFT) & (RADIX_SLOTS - 1);
}

static u32 node_level(const struct radix_node *node)
{
	return node->shift / RADIX_SHIFT;
}

/* Does a tree whose top node has this level reach index? */
static bool level_covers(u32 level, u64 index)
{
	return !(index >> (level + 1) * RADIX_SHIFT);
}

static void publish(void **slot, void *entry)
{
	__atomic_store_n(slot, entry, __ATOMIC_RELEASE);
}

/* ---- nodes --------------------------------------------------------------------------------- */

struct radix_node *rcl_radix_alloc_node(struct rcl *m, gfp_t gfp)
{
	struct radix_node *node = rcl_kmem_cache_alloc(m, m->radix_node_cache, gfp | __GFP_ACCOUNT,
						       rcl_current_memcg(m));

	if (node) {
		RCL_DEBUG_ASSERT(((uintptr_t)node & 63) == 0);
		list_init(&node->private_list);
	}
	return node;
}

void rcl_radix_free_node(struct rcl *m, struct radix_node *node)
{
	if (!node)
		return;
	RCL_ASSERT(list_empty(&node->private_list));
	__atomic_store_n(&node->mapping, NULL, __ATOMIC_RELAXED);
	rcl_kmem_cache_free(m, m->radix_node_cache, node);
}

static struct radix_node *new_node(struct rcl *m, struct mapping *mapping,
				   struct radix_node *parent, u32 level, u64 index,
				   struct radix_node **spare)
{
	struct radix_node *node = *spare;

	*spare = NULL;
	if (!node)
		node = rcl_radix_alloc_node(m, GFP_NOWAIT | __GFP_NOWARN);
	if (!node)
		return NULL;
	node->shift = (u8)(level * RADIX_SHIFT);
	node->offset = parent ? (u8)slot_of(index, level + 1) : 0;
	node->parent = parent;
	__atomic_store_n(&node->leaf,
			 level ? RADIX_NO_LEAF : (u32)min(index / RADIX_SLOTS, (u64)RADIX_NO_LEAF),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&node->mapping, mapping, __ATOMIC_RELAXED);
	if (parent) {
		parent->count++;
		rcl_workingset_update_node(m, mapping, parent);
	}
	return node;
}

static void set_root(struct mapping *mapping, void *entry)
{
	mapping->height = radix_is_node(entry) ? (u8)(radix_level(entry) + 1) : 0;
	publish(&mapping->root, entry);
}

/* While only slot 0 of the top is used, its content can be the root. */
static void lower_tree(struct rcl *m, struct mapping *mapping)
{
	while (radix_is_node(mapping->root)) {
		struct radix_node *node = radix_to_node(mapping->root);
		void *only = node->slots[0];

		if (node->count != 1 || !only)
			return;
		set_root(mapping, only);
		if (radix_is_node(only))
			radix_to_node(only)->parent = NULL;
		node->count = node->nr_values = 0;
		rcl_workingset_update_node(m, mapping, node);
		rcl_radix_free_node(m, node);
	}
}

/* Free a node if it is empty, then its parents as far as they become so, and lower the tree. */
static void prune(struct rcl *m, struct mapping *mapping, struct radix_node *node)
{
	while (!node->count) {
		struct radix_node *parent = node->parent;
		u32 offset = node->offset;

		if (parent)
			publish(&parent->slots[offset], NULL);
		else
			set_root(mapping, NULL);
		rcl_radix_free_node(m, node);
		if (!parent)
			return;
		parent->count--;
		node = parent;
		rcl_workingset_update_node(m, mapping, node);
	}
	if (!node->parent)
		lower_tree(m, mapping);
}

/* ---- storing ------------------------------------------------------------------------------- */

/* Put levels on top until the tree reaches index. */
static int raise_tree(struct rcl *m, struct mapping *mapping, u64 index, struct radix_node **spare)
{
	for (;;) {
		void *root = mapping->root;
		u32 level = radix_is_node(root) ? radix_level(root) + 1 : 0;
		struct radix_node *node;

		if (level ? level_covers(level - 1, index) : !index)
			return 0;
		node = new_node(m, mapping, NULL, level, 0, spare);
		if (!node)
			return -ENOMEM;
		node->count = 1;
		node->nr_values = entry_is_shadow(root);
		publish(&node->slots[0], root); /* (a stale reader may still be at this node) */
		for (u32 t = 0; t < NR_RADIX_TAGS; t++)
			node->tags[t] = mapping->root_tags >> t & 1;
		if (level)
			radix_to_node(root)->parent = node;
		set_root(mapping, make_entry(node, level));
		rcl_workingset_update_node(m, mapping, node);
	}
}

int rcl_radix_reserve(struct rcl *m, struct mapping *mapping, u64 index, struct radix_node **spare)
{
	struct radix_node *parent = NULL, *none = NULL;
	void **slot = &mapping->root;
	u32 level = 0;

	RCL_DEBUG_ASSERT(spin_is_held(&mapping->lock));
	RCL_ASSERT(level_covers(MAX_LEVEL, index));
	if (!spare)
		spare = &none;
	if (mapping->root) {
		int err = raise_tree(m, mapping, index, spare);

		if (err || !radix_is_node(mapping->root))
			return err;
		level = radix_level(mapping->root);
	} else if (!index) {
		return 0;
	}
	while (!level_covers(level, index))
		level++;
	for (;; level--) {
		if (!*slot) {
			struct radix_node *node;

			node = new_node(m, mapping, parent, level, index, spare);
			if (!node)
				return -ENOMEM;
			if (parent)
				publish(slot, make_entry(node, level));
			else
				set_root(mapping, make_entry(node, level));
		}
		if (!level)
			return 0;
		parent = radix_to_node(*slot);
		slot = &parent->slots[slot_of(index, level)];
	}
}

/* The lowest node there is on the way to index; NULL when the root is no node or too low. */
static struct radix_node *lowest_node(struct mapping *mapping, u64 index)
{
	void *e = mapping->root;
	struct radix_node *node = NULL;

	if (radix_is_node(e) && !level_covers(radix_level(e), index))
		return NULL;
	while (radix_is_node(e)) {
		node = radix_to_node(e);
		e = node->slots[slot_of(index, radix_level(e))];
	}
	return node;
}

void rcl_radix_unreserve(struct rcl *m, struct mapping *mapping, u64 index)
{
	struct radix_node *node = lowest_node(mapping, index);

	if (node)
		prune(m, mapping, node);
	else
		lower_tree(m, mapping);
}

static void clear_tag_up(struct mapping *mapping, struct radix_node *node, u32 slot, u32 tag)
{
	for (; node; slot = node->offset, node = node->parent) {
		if (!(node->tags[tag] >> slot & 1))
			return;
		node->tags[tag] &= ~(1ull << slot);
		if (node->tags[tag])
			return;
	}
	hint_set(&mapping->root_tags, mapping->root_tags & (u8)~BIT(tag));
}

/* Store at a slot of a node of level 0. */
static void *store_at(struct rcl *m, struct mapping *mapping, struct radix_node *node, u32 slot,
		      void *entry)
{
	void *old = node->slots[slot];

	RCL_DEBUG_ASSERT(spin_is_held(&mapping->lock));
	RCL_DEBUG_ASSERT(!radix_is_node(entry));
	if (unlikely(mapping->root_tags) && (!entry || entry_is_shadow(entry)))
		for (u32 t = 0; t < NR_RADIX_TAGS; t++)
			clear_tag_up(mapping, node, slot, t);
	publish(&node->slots[slot], entry);
	node->count = (u8)(node->count + !!entry - !!old);
	node->nr_values = (u8)(node->nr_values + entry_is_shadow(entry) - entry_is_shadow(old));
	RCL_ASSERT(node->count <= RADIX_SLOTS && node->nr_values <= node->count);
	rcl_workingset_update_node(m, mapping, node);
	if (!entry && old)
		prune(m, mapping, node);
	return old;
}

void *rcl_radix_store(struct rcl *m, struct mapping *mapping, u64 index, void *entry)
{
	struct radix_node *node = lowest_node(mapping, index);
	void *old;

	if (likely(node && !node->shift))
		return store_at(m, mapping, node, slot_of(index, 0), entry);
	RCL_DEBUG_ASSERT(spin_is_held(&mapping->lock));
	RCL_DEBUG_ASSERT(!radix_is_node(entry));
	if (!node && !index && !radix_is_node(mapping->root)) {
		old = mapping->root;
		if (!entry || entry_is_shadow(entry))
			hint_set(&mapping->root_tags, (u8)0);
		publish(&mapping->root, entry);
		return old;
	}
	RCL_ASSERT(!entry); /* a path for it was to be reserved */
	return NULL;
}

void *rcl_radix_store_slot(struct rcl *m, struct mapping *mapping, void **slot, u64 index,
			   void *entry)
{
	u32 n = slot_of(index, 0);

	return store_at(m, mapping, list_entry(slot - n, struct radix_node, slots), n, entry);
}

void rcl_radix_delete_node(struct rcl *m, struct radix_node *node)
{
	struct mapping *mapping = node->mapping;

	RCL_DEBUG_ASSERT(spin_is_held(&mapping->lock));
	RCL_ASSERT(node->count && node->count == node->nr_values && !node->shift);
	for (u32 i = 0; i < RADIX_SLOTS; i++)
		publish(&node->slots[i], NULL);
	node->count = node->nr_values = 0;
	rcl_workingset_update_node(m, mapping, node);
	prune(m, mapping, node);
}

/* ---- tags ---------------------------------------------------------------------------------- */

void rcl_radix_set_tag(struct mapping *mapping, u64 index, enum radix_tag tag)
{
	struct radix_node *node = lowest_node(mapping, index);
	u32 slot = slot_of(index, 0);

	RCL_DEBUG_ASSERT(spin_is_held(&mapping->lock));
	RCL_DEBUG_ASSERT(rcl_radix_load(mapping, index) &&
			 !entry_is_shadow(rcl_radix_load(mapping, index)));
	for (; node; slot = node->offset, node = node->parent) {
		if (node->tags[tag] >> slot & 1)
			return;
		node->tags[tag] |= 1ull << slot;
	}
	hint_set(&mapping->root_tags, mapping->root_tags | (u8)BIT(tag));
}

void rcl_radix_clear_tag(struct mapping *mapping, u64 index, enum radix_tag tag)
{
	struct radix_node *node = lowest_node(mapping, index);

	RCL_DEBUG_ASSERT(spin_is_held(&mapping->lock));
	if (node && !node->shift)
		clear_tag_up(mapping, node, slot_of(index, 0), tag);
	else if (!index && !radix_is_node(mapping->root))
		hint_set(&mapping->root_tags, mapping->root_tags & (u8)~BIT(tag));
}

bool rcl_radix_get_tag(struct mapping *mapping, u64 index, enum radix_tag tag)
{
	struct radix_node *node = lowest_node(mapping, index);

	if (!node)
		return !index && !radix_is_node(mapping->root) && rcl_mapping_tagged(mapping, tag);
	return !node->shift && node->tags[tag] >> slot_of(index, 0) & 1;
}

/* ---- walking ------------------------------------------------------------------------------- */

enum {
	ANY_ENTRY = -1
};

/* First slot >= from that is used (and tagged, if tag is one); RADIX_SLOTS when none. */
static u32 next_slot(const struct radix_node *node, u32 from, int tag)
{
	if (tag != ANY_ENTRY) {
		u64 bits = node->tags[tag] >> from;

		return bits ? from + (u32)__builtin_ctzll(bits) : RADIX_SLOTS;
	}
	while (from < RADIX_SLOTS && !__atomic_load_n(&node->slots[from], __ATOMIC_RELAXED))
		from++;
	return from;
}

/*
 * Works without the lock too, as look-ups do: levels come with the pointers, and an entry that went
 * between being seen in its node and being loaded makes the walk start again where it was.
 */
static void *find_next(struct mapping *mapping, u64 *index, u64 last, int tag)
{
	u64 i = *index;

	for (;;) {
		void *e = __atomic_load_n(&mapping->root, __ATOMIC_ACQUIRE);
		u32 level;

		if (i > last)
			return NULL;
		if (!radix_is_node(e)) {
			if (i || (tag != ANY_ENTRY && !(mapping->root_tags >> tag & 1)))
				return NULL;
			*index = 0;
			return e;
		}
		if (!level_covers(radix_level(e), i))
			return NULL;
		do {
			u32 from, to;

			level = radix_level(e);
			from = slot_of(i, level);
			to = next_slot(radix_to_node(e), from, tag);
			if (to != from)
				i = ((i >> (level + 1) * RADIX_SHIFT << RADIX_SHIFT) + to)
				    << level * RADIX_SHIFT;
			if (to == RADIX_SLOTS)
				break; /* i is now the first index after this node */
			e = __atomic_load_n(&radix_to_node(e)->slots[to], __ATOMIC_ACQUIRE);
		} while (radix_is_node(e));
		if (e && !radix_is_node(e)) {
			if (i > last)
				return NULL;
			*index = i;
			return e;
		}
	}
}

struct folio *rcl_radix_next_tagged(struct mapping *mapping, u64 *index, u64 last,
				    enum radix_tag tag)
{
	if (!rcl_mapping_tagged(mapping, tag))
		return NULL;
	return find_next(mapping, index, last, (int)tag);
}

void *rcl_radix_next_entry(struct mapping *mapping, u64 *index, u64 last)
{
	return find_next(mapping, index, last, ANY_ENTRY);
}

void *rcl_radix_next(struct mapping *mapping, u64 *index, u64 last)
{
	for (u64 i = *index;; i++) {
		void *e = find_next(mapping, &i, last, ANY_ENTRY);

		if (!e)
			return NULL;
		if (!entry_is_shadow(e)) {
			*index = i;
			return e;
		}
	}
}

/* ---- checking ------------------------------------------------------------------------------ */

struct check {
	struct mapping *mapping;
	u64 folios;
	const char *broken;
};

static void check_entry(struct check *ck, void *e, u64 index)
{
	struct folio *f = e;

	if (entry_is_shadow(e))
		return;
	ck->folios++;
	if (f->mapping != ck->mapping || f->index != index)
		ck->broken = "a folio does not belong where it is";
	else if (folio_is_anon(f) || folio_test(f, PG_swapcache))
		ck->broken = "an anonymous folio is in a file";
	else if (folio_ref_count(f) < 1)
		ck->broken = "a folio without references is in a file";
}

/* Returns the tags that some entry at or below has, a bit each. */
static u32 check_node(struct check *ck, void *e, struct radix_node *parent, u64 first)
{
	struct radix_node *node = radix_to_node(e);
	u32 level = radix_level(e), count = 0, values = 0, tags = 0;

	if (node->parent != parent || node->mapping != ck->mapping || node_level(node) != level ||
	    node->leaf != (level ? RADIX_NO_LEAF : min(first / RADIX_SLOTS, (u64)RADIX_NO_LEAF)))
		ck->broken = "a node does not belong where it is";
	for (u32 i = 0; i < RADIX_SLOTS && !ck->broken; i++) {
		u64 index = first + ((u64)i << level * RADIX_SHIFT);
		u32 below = 0, here = 0;
		void *child = node->slots[i];

		for (u32 t = 0; t < NR_RADIX_TAGS; t++)
			here |= (u32)(node->tags[t] >> i & 1) << t;
		tags |= here;
		if (!child) {
			if (here)
				ck->broken = "an empty slot is tagged";
			continue;
		}
		count++;
		if (radix_is_node(child) != (level > 0)) {
			ck->broken = "an entry or node is at the wrong level";
		} else if (level) {
			if (radix_level(child) != level - 1 || radix_to_node(child)->offset != i)
				ck->broken = "a child node has a wrong level or offset";
			else
				below = check_node(ck, child, node, index);
			if (here != below)
				ck->broken = "tags are not carried upwards";
		} else {
			check_entry(ck, child, index);
			values += entry_is_shadow(child);
			if (entry_is_shadow(child) && here)
				ck->broken = "a shadow is tagged";
			if (!entry_is_shadow(child) && folio_slot(child) &&
			    folio_slot(child) != &node->slots[i])
				ck->broken = "a folio remembers another place";
		}
	}
	if (ck->broken)
		return tags;
	if (!count || count != node->count || values != node->nr_values)
		ck->broken = "a node counts its slots wrongly";
	else if (list_empty(&node->private_list) == (count == values))
		ck->broken = "a node is wrongly listed as shadow-only";
	return tags;
}

bool rcl_mapping_is_valid(struct rcl *m, struct mapping *mapping)
{
	struct check ck = {.mapping = mapping};
	void *root = mapping->root;
	u32 tags = mapping->root_tags;

	(void)m;
	if (radix_is_node(root))
		tags = check_node(&ck, root, NULL, 0);
	else if (root)
		check_entry(&ck, root, 0);
	else
		tags = 0;
	if (!ck.broken && tags != mapping->root_tags)
		ck.broken = "the root's tags are wrong";
	if (!ck.broken && mapping->height != (radix_is_node(root) ? radix_level(root) + 1 : 0))
		ck.broken = "height is wrong";
	if (!ck.broken && ck.folios != mapping->nr_pages)
		ck.broken = "nr_pages is wrong";
	if (ck.broken)
		fprintf(stderr, "reclaim: page cache of %s: %s\n", mapping->name, ck.broken);
	return !ck.broken;
}
