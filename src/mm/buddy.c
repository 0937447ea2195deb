/* SPDX-License-Identifier: MIT */
/*
 * Free blocks by order and migratetype (behaviour: Linux 6.1 mm/page_alloc.c).
 *
 * Free memory of a zone is a set of blocks of 2^order frames, each aligned to its size. Two blocks
 * of one order that differ in that one address bit are buddies; when both are free they are one
 * block of the next order, so a free block never has a free buddy of its order (except between
 * pageblocks of types that do not mix). A request takes the smallest block that fits and splits it,
 * giving the upper halves back.
 *
 * Migratetypes keep frames that cannot move out of the way of those that can. Every 2 MiB pageblock
 * has a type, every free block stands on the list of a type, and the frames that a request frees go
 * to the list of their pageblock. A request takes from its own type's lists as long as it can; then
 * it takes from another type's, by these rules:
 *
 *   the largest block of the first type in the fallback order that has one, so that the pageblock
 *   with the most free memory is spoiled, not many a little;
 *   a movable request that may not steal (block below half a pageblock's order) takes the smallest
 *   block instead: movable frames spoil nothing for good;
 *   a block of a pageblock or more: the pageblocks change their type at once;
 *   a smaller one: the zone's watermarks are boosted, so that kswapd makes room and the next
 *   request need not fall back; if stealing is allowed, all free blocks of the pageblock move to
 *   the new type, and the pageblock changes its type when half of it is free or of the like kind.
 *
 * What is free stands in two tables of the machine, by frame number: zone->blocks has a byte, order
 * and type of the free block that starts there, 0 if none does; zone->links has the block's place
 * on its list. A free in a random place looks at buddies and list neighbours in random places, and
 * descriptors are too large to be in a cache then. A list's head is an entry of the links as well.
 *
 * The buddy hardly touches descriptors. One is zero until its frame leaves the buddy as the first
 * of a block, and from then on has zone_node, order and PG_threaded right; while its frame is free,
 * or inside a block, it is at rest: reference count 0, no flags but PG_threaded. So a machine of
 * any size is set up without touching a descriptor at all.
 *
 * Locking: everything here happens under zone->lock, held by the caller unless said. The functions
 * do not change NR_FREE_PAGES: the caller does, once for many blocks.
 *
 * MIGRATE_CMA and MIGRATE_ISOLATE have lists but no blocks yet: CMA belongs into rcl_buddy_alloc()
 * (a movable request takes it first when over half of the free memory is CMA, else before falling
 * back), isolation into the free path (the type is read again under the lock), compaction's
 * captured block into rcl_buddy_free().
 */
#include "mm/page_alloc_internal.h"
#include "mm/trace.h"

#define PAGEBLOCK_NR_PAGES (1ul << PAGEBLOCK_ORDER)

/* Whose free blocks to take when there are none of one's own type, in this order. */
static const u8 fallbacks[MIGRATE_PCPTYPES][2] = {
	[MIGRATE_UNMOVABLE] = {MIGRATE_RECLAIMABLE, MIGRATE_MOVABLE},
	[MIGRATE_MOVABLE] = {MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE},
	[MIGRATE_RECLAIMABLE] = {MIGRATE_UNMOVABLE, MIGRATE_MOVABLE},
};

static bool type_mixes(u32 migratetype)
{
	return migratetype < MIGRATE_PCPTYPES;
}

/* zone->blocks: order + 1 in the low bits, the type above. */
#define BLOCK_ORDER_BITS 4
#define BLOCK_ORDER_MASK ((1u << BLOCK_ORDER_BITS) - 1)

static bool is_free_block(const struct zone *z, u64 pfn, u32 order)
{
	return (z->blocks[pfn] & BLOCK_ORDER_MASK) == order + 1;
}
static u32 block_order(const struct zone *z, u64 pfn)
{
	RCL_DEBUG_ASSERT(z->blocks[pfn]);
	return (z->blocks[pfn] & BLOCK_ORDER_MASK) - 1;
}

static void link_block(struct zone *z, u32 pfn, u32 prev, u32 next)
{
	z->links[pfn] = (struct block_link){.next = next, .prev = prev};
	hint_set(&z->links[prev].next, pfn); /* of a head: rcl_buddy_has_block() */
	z->links[next].prev = pfn;
}
static void unlink_block(struct zone *z, u32 pfn)
{
	struct block_link l = z->links[pfn];

	hint_set(&z->links[l.prev].next, l.next);
	z->links[l.next].prev = l.prev;
}

static void add_block(struct zone *z, u64 pfn, u32 order, u32 migratetype, bool to_tail)
{
	struct free_area *area = &z->free_area[order];
	u32 head = area->free_list[migratetype];

	RCL_DEBUG_ASSERT(!z->blocks[pfn]);
	z->blocks[pfn] = (u8)(migratetype << BLOCK_ORDER_BITS | (order + 1));
	if (to_tail)
		link_block(z, (u32)pfn, z->links[head].prev, head);
	else
		link_block(z, (u32)pfn, head, z->links[head].next);
	hint_set(&area->nr_free, area->nr_free + 1);
}

static void del_block(struct zone *z, u64 pfn, u32 order)
{
	RCL_DEBUG_ASSERT(is_free_block(z, pfn, order));
	unlink_block(z, (u32)pfn);
	z->blocks[pfn] = 0;
	hint_set(&z->free_area[order].nr_free, z->free_area[order].nr_free - 1);
}

/* To the tail: what was just moved should not be the next to go. */
static void move_block(struct zone *z, u64 pfn, u32 migratetype)
{
	u32 order = block_order(z, pfn);

	del_block(z, pfn, order);
	add_block(z, pfn, order, migratetype, true);
}

static u64 first_block(const struct zone *z, u32 order, u32 migratetype)
{
	u32 head = z->free_area[order].free_list[migratetype], pfn = z->links[head].next;

	return pfn == head ? NO_BLOCK : pfn;
}

bool rcl_buddy_has_block(const struct zone *z, u32 order, u32 migratetype)
{
	u32 head = z->free_area[order].free_list[migratetype];

	/* The caller need not hold the lock: then it is a guess. */
	return hint_read(&z->links[head].next) != head;
}

/* Make the lists of a zone empty. heads: where in zone->links its heads go. */
void rcl_buddy_init_lists(struct zone *z, u32 heads)
{
	for (u32 o = 0; o < MAX_ORDER; o++) {
		for (u32 mt = 0; mt < MIGRATE_TYPES; mt++) {
			u32 head = heads + o * MIGRATE_TYPES + mt;

			z->free_area[o].free_list[mt] = head;
			z->links[head] = (struct block_link){.next = head, .prev = head};
		}
	}
}

/*
 * Is the buddy of the block that this block and its own buddy would make free? Then they are
 * likely to become one soon, and the block should stay free until then.
 */
static bool merge_is_likely(const struct zone *z, u64 pfn, u32 order)
{
	if (order >= MAX_ORDER - 2)
		return false;
	return is_free_block(z, (pfn & ~(1ull << order)) ^ (2ull << order), order + 1);
}

void rcl_buddy_free(struct zone *z, u64 pfn, u32 order, u32 migratetype, bool to_tail)
{
	RCL_DEBUG_ASSERT(spin_is_held(&z->lock));
	RCL_DEBUG_ASSERT(!(pfn & ((1ull << order) - 1)));
	RCL_DEBUG_ASSERT(pfn >= z->managed_start && pfn < z->managed_start + z->managed_pages);
	RCL_ASSERT(!z->blocks[pfn]);

	for (; order < MAX_ORDER - 1; order++) {
		u64 buddy = pfn ^ 1ull << order;

		if (!is_free_block(z, buddy, order))
			break;
		if (unlikely(order >= PAGEBLOCK_ORDER)) {
			u32 type = pageblock_type(z->m, buddy);

			if (type != migratetype && (!type_mixes(type) || !type_mixes(migratetype)))
				break;
		}
		del_block(z, buddy, order);
		pfn &= buddy;
	}
	add_block(z, pfn, order, migratetype, to_tail || merge_is_likely(z, pfn, order));
}

/*
 * Start the memory accesses that freeing frame pfn will make: step 0 the states around it, then
 * with these at hand step 1 its buddy's links, then step 2 the buddy's neighbours.
 */
void rcl_buddy_prefetch(const struct zone *z, u64 pfn, u32 step)
{
	const struct block_link *l = &z->links[pfn ^ 1];

	if (!step) {
		__builtin_prefetch(&z->blocks[pfn], 1);
		__builtin_prefetch(&z->links[pfn], 1);
		return;
	}
	if (!is_free_block(z, pfn ^ 1, 0))
		return;
	__builtin_prefetch(&z->links[l->next], 1);
	__builtin_prefetch(&z->links[l->prev], 1);
}

/* The smallest block of this type that fits, off its list and whole; *have is its order. */
static u64 take_smallest(struct zone *z, u32 order, u32 migratetype, u32 *have)
{
	for (u32 o = order; o < MAX_ORDER; o++) {
		u64 pfn = first_block(z, o, migratetype);

		if (pfn == NO_BLOCK)
			continue;
		del_block(z, pfn, o);
		*have = o;
		return pfn;
	}
	return NO_BLOCK;
}

/* Of a taken block keep the first `keep` frames; the rest goes back as the blocks it consists of.
 */
static void give_back_rest(struct zone *z, u64 pfn, u32 have, u32 keep, u32 migratetype)
{
	for (u32 off = keep; off < 1u << have; off += off & -off)
		add_block(z, pfn + off, (u32)__builtin_ctz(off), migratetype, false);
}

static u64 alloc_smallest(struct zone *z, u32 order, u32 migratetype)
{
	u32 have;
	u64 pfn = take_smallest(z, order, migratetype, &have);

	if (pfn != NO_BLOCK)
		give_back_rest(z, pfn, have, 1u << order, migratetype);
	return pfn;
}

/*
 * Move all free blocks of the pageblock around pfn to another type. Returns the frames moved;
 * *movable counts the frames in use that look movable, which is taken to mean "on an LRU list".
 */
static u32 move_pageblock(struct zone *z, u64 pfn, u32 migratetype, u32 *movable)
{
	u64 start = pfn & ~(PAGEBLOCK_NR_PAGES - 1), end = start + PAGEBLOCK_NR_PAGES;
	u32 moved = 0;

	/* Frame 0 belongs to no zone (the first page of a PC): such a block is taken from pfn on.
	 */
	if (!start)
		start = pfn;
	*movable = 0;
	for (pfn = start; pfn < end;) {
		u32 order;

		if (!z->blocks[pfn]) {
			*movable += folio_test(pfn_folio(z->m, pfn), PG_lru);
			pfn++;
			continue;
		}
		order = block_order(z, pfn);
		move_block(z, pfn, migratetype);
		moved += 1u << order;
		pfn += 1u << order;
	}
	return moved;
}

/* May a fallback that meets a block of this order take the whole pageblock? */
static bool may_steal(u32 order, u32 migratetype)
{
	return order >= PAGEBLOCK_ORDER / 2 || migratetype != MIGRATE_MOVABLE;
}

/* Raise the zone's watermarks by a pageblock. False when boosting is off or makes no sense. */
static bool boost_watermark(struct zone *z)
{
	u64 factor = (u64)z->m->tun.watermark_boost_factor;
	u64 most;

	/* A small zone has nothing to give: a boost there only brings the OOM killer nearer. */
	if (!factor || 4 * PAGEBLOCK_NR_PAGES > z->managed_pages)
		return false;
	most = z->watermark[WMARK_HIGH] * factor / 10000;
	if (!most)
		return false;
	most = max(most, (u64)PAGEBLOCK_NR_PAGES);
	set_watermark_boost(z, min(z->watermark_boost + PAGEBLOCK_NR_PAGES, most));
	return true;
}

/* Make a free block of another type one of ours, with as much around it as the rules allow. */
static void steal(struct zone *z, u64 pfn, u32 alloc_flags, u32 migratetype)
{
	struct rcl *m = z->m;
	u32 old_type = pageblock_type(m, pfn), order = block_order(z, pfn);
	u32 free_pages, movable, alike = 0;

	if (old_type == MIGRATE_HIGHATOMIC)
		goto single;
	if (order >= PAGEBLOCK_ORDER) {
		for (u64 n = 1ull << (order - PAGEBLOCK_ORDER); n--;)
			set_pageblock_type(m, pfn + n * PAGEBLOCK_NR_PAGES, migratetype);
		goto single;
	}
	if (boost_watermark(z) && alloc_flags & ALLOC_KSWAPD)
		__atomic_store_n(&z->boosted, true, __ATOMIC_RELAXED);
	if (!may_steal(order, migratetype))
		goto single;

	free_pages = move_pageblock(z, pfn, migratetype, &movable);
	RCL_DEBUG_ASSERT(free_pages);
	/*
	 * What in use there is of our kind? Movable frames can be told. For the other two types,
	 * what is not movable in a movable pageblock is like ours; elsewhere there is no knowing.
	 */
	if (migratetype == MIGRATE_MOVABLE)
		alike = movable;
	else if (old_type == MIGRATE_MOVABLE)
		alike = (u32)PAGEBLOCK_NR_PAGES - free_pages - movable;
	if (free_pages + alike >= PAGEBLOCK_NR_PAGES / 2)
		set_pageblock_type(m, pfn, migratetype);
	return;
single:
	move_block(z, pfn, migratetype);
}

static u64 fallback_block(const struct zone *z, u32 order, u32 migratetype)
{
	u64 pfn = NO_BLOCK;

	if (z->free_area[order].nr_free)
		for (u32 i = 0; i < ARRAY_SIZE(fallbacks[0]) && pfn == NO_BLOCK; i++)
			pfn = first_block(z, order, fallbacks[migratetype][i]);
	return pfn;
}

/* No block of our type is left: make one of another type ours. False: none that we may take. */
static bool fall_back(struct zone *z, u32 order, u32 migratetype, u32 alloc_flags)
{
	u32 lowest = order, have;
	u64 pfn = NO_BLOCK;

	if (!type_mixes(migratetype))
		return false;
	if (alloc_flags & ALLOC_NOFRAGMENT)
		lowest = max(order, (u32)PAGEBLOCK_ORDER);

	for (u32 o = MAX_ORDER; o-- > lowest && pfn == NO_BLOCK;)
		pfn = fallback_block(z, o, migratetype);
	if (pfn == NO_BLOCK)
		return false;
	/* The largest is too small to be stolen as a whole: split the smallest instead. */
	have = block_order(z, pfn);
	if (!may_steal(have, migratetype) && have > order) {
		pfn = NO_BLOCK;
		for (u32 o = order; o < MAX_ORDER && pfn == NO_BLOCK; o++)
			pfn = fallback_block(z, o, migratetype);
	}
	RCL_TRACE(mm_page_alloc_extfrag, pfn, order, have, migratetype);
	steal(z, pfn, alloc_flags, migratetype);
	return true;
}

u64 rcl_buddy_alloc(struct zone *z, u32 order, u32 migratetype, u32 alloc_flags)
{
	u64 pfn;

	RCL_DEBUG_ASSERT(spin_is_held(&z->lock));
	do {
		pfn = alloc_smallest(z, order, migratetype);
	} while (unlikely(pfn == NO_BLOCK) && fall_back(z, order, migratetype, alloc_flags));
	return pfn;
}

u64 rcl_buddy_alloc_highatomic(struct zone *z, u32 order)
{
	return alloc_smallest(z, order, MIGRATE_HIGHATOMIC);
}

/*
 * Single requests would split the smallest block and then eat up its pieces in the order of their
 * addresses, since the pieces are smaller than any other block. So the block can be handed out from
 * its start on without ever standing on the lists between.
 */
u32 rcl_buddy_alloc_bulk(struct zone *z, u32 order, u32 count, u32 migratetype, u32 alloc_flags,
			 struct list_head *list)
{
	u32 got = 0;

	RCL_DEBUG_ASSERT(spin_is_held(&z->lock));
	while (got < count) {
		u32 have, nr;
		u64 pfn = take_smallest(z, order, migratetype, &have);

		if (pfn == NO_BLOCK) {
			if (!fall_back(z, order, migratetype, alloc_flags))
				break;
			continue;
		}
		nr = min(1u << (have - order), count - got);
		got += nr;
		give_back_rest(z, pfn, have, nr << order, migratetype);
		for (; nr; nr--, pfn += 1u << order) {
			struct folio *f = describe_block(z, pfn, order);

			set_flags(f, z->frame_flags | BIT(PG_pcp));
			f->migratetype = (u8)migratetype;
			list_add_tail(&f->lru, list);
		}
	}
	return got;
}

/*
 * Keep the pageblock of a high-order atomic allocation for others of its kind: at most one
 * pageblock and 1% of the zone in all. Takes zone->lock.
 */
void rcl_reserve_highatomic(struct zone *z, struct folio *f)
{
	struct rcl *m = z->m;
	u64 pfn = folio_pfn(m, f);
	u32 movable;

	spin_lock(&z->lock);
	if (z->nr_reserved_highatomic < z->managed_pages / 100 + PAGEBLOCK_NR_PAGES &&
	    type_mixes(pageblock_type(m, pfn))) {
		z->nr_reserved_highatomic += PAGEBLOCK_NR_PAGES;
		set_pageblock_type(m, pfn, MIGRATE_HIGHATOMIC);
		move_pageblock(z, pfn, MIGRATE_HIGHATOMIC, &movable);
	}
	spin_unlock(&z->lock);
}

static bool unreserve_in_zone(struct zone *z, u32 migratetype)
{
	struct rcl *m = z->m;

	for (u32 o = 0; o < MAX_ORDER; o++) {
		u64 pfn = first_block(z, o, MIGRATE_HIGHATOMIC);
		u32 movable;

		if (pfn == NO_BLOCK)
			continue;
		if (pageblock_type(m, pfn) == MIGRATE_HIGHATOMIC)
			z->nr_reserved_highatomic -=
				min(z->nr_reserved_highatomic, (u64)PAGEBLOCK_NR_PAGES);
		set_pageblock_type(m, pfn, migratetype);
		if (o >= PAGEBLOCK_ORDER)
			move_block(z, pfn, migratetype);
		else
			move_pageblock(z, pfn, migratetype, &movable);
		return true;
	}
	return false;
}

/*
 * Reclaim did not help: give a reserved pageblock to the request's type. All but the last one of a
 * zone; with force the last one too. True if one was given. Takes zone->lock.
 */
bool rcl_unreserve_highatomic(const struct alloc_context *ac, bool force)
{
	for_each_zone_of(z, ac)
	{
		bool done;

		if (!force && z->nr_reserved_highatomic <= PAGEBLOCK_NR_PAGES)
			continue;
		spin_lock(&z->lock);
		done = unreserve_in_zone(z, ac->migratetype);
		spin_unlock(&z->lock);
		if (done)
			return true;
	}
	return false;
}

static bool free_area_is_valid(const struct zone *z, u32 order)
{
	const struct free_area *area = &z->free_area[order];
	u64 on_lists = 0;

	for (u32 mt = 0; mt < MIGRATE_TYPES; mt++) {
		u32 head = area->free_list[mt];

		for (u32 pfn = z->links[head].next; pfn != head; pfn = z->links[pfn].next) {
			if (pfn < z->managed_start || pfn >= z->managed_start + z->managed_pages ||
			    z->blocks[pfn] != (mt << BLOCK_ORDER_BITS | (order + 1)) ||
			    z->links[z->links[pfn].next].prev != pfn)
				return false;
			if (++on_lists > area->nr_free)
				return false;
		}
	}
	return on_lists == area->nr_free;
}

/* Nobody has a free frame. Only the first is looked at: the others may never have been touched. */
static bool is_at_rest(const struct zone *z, u64 pfn)
{
	const struct folio *f = pfn_folio(z->m, pfn);

	return !(f->flags & ~z->frame_flags) && !f->refcount && !f->memcg;
}

static bool is_handed_out(const struct zone *z, u64 pfn, u64 *pcp_pages)
{
	const struct folio *f = pfn_folio(z->m, pfn);

	if (f->zone_node != z->zone_node || f->order >= MAX_ORDER || f->flags & BIT(PG_reserved))
		return false;
	if (!(f->flags & BIT(PG_pcp)))
		return true;
	*pcp_pages += 1ull << f->order;
	return !f->refcount && !f->memcg;
}

/*
 * Walk the lists, then all frames from block to block: each frame belongs to one block, free blocks
 * are as many as the lists have, none has a free buddy it could merge with.
 */
bool rcl_buddy_is_valid(struct zone *z, u64 *free_pages, u64 *pcp_pages)
{
	u64 end = z->managed_start + z->managed_pages, blocks[MAX_ORDER] = {0};

	*free_pages = *pcp_pages = 0;
	for (u32 o = 0; o < MAX_ORDER; o++)
		if (!free_area_is_valid(z, o))
			return false;
	for (u64 pfn = z->managed_start; pfn < end;) {
		u32 order;

		if (z->blocks[pfn]) {
			order = block_order(z, pfn);
			if (!is_at_rest(z, pfn) || (order < PAGEBLOCK_ORDER &&
						    is_free_block(z, pfn ^ 1ull << order, order)))
				return false;
			blocks[order]++;
			*free_pages += 1ull << order;
		} else {
			order = pfn_folio(z->m, pfn)->order;
			if (!is_handed_out(z, pfn, pcp_pages))
				return false;
		}
		if (pfn & ((1ull << order) - 1) || pfn + (1ull << order) > end)
			return false;
		for (u64 inside = pfn + 1; inside < pfn + (1ull << order); inside++)
			if (z->blocks[inside])
				return false;
		pfn += 1ull << order;
	}
	for (u32 o = 0; o < MAX_ORDER; o++)
		if (blocks[o] != z->free_area[o].nr_free)
			return false;
	return true;
}
