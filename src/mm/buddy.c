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
 * Descriptors. A frame's descriptor is zero until the frame becomes the first of a block, free or
 * used; then it has zone_node, order and PG_threaded right and keeps them so. PG_buddy says that
 * the frame is the first of a free block of f->order that stands on list f->migratetype. All other
 * frames of a block, free or used, have a descriptor at rest: no PG_buddy, reference count 0. So a
 * machine of any size is set up by touching one descriptor in 1024.
 *
 * Locking: everything here happens under zone->lock, held by the caller unless said. The functions
 * do not change NR_FREE_PAGES: the caller does, once for many blocks.
 *
 * MIGRATE_CMA and MIGRATE_ISOLATE have lists but no blocks yet: CMA belongs into buddy_take() (a
 * movable request takes it first when over half of the free memory is CMA, else before falling
 * back), isolation into the free path (the type is read again under the lock), compaction's
 * captured block into rcl_buddy_free().
 */
#include "mm/page_alloc_internal.h"

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

/* Others may read an owner's zone_node: never write it twice. */
static void set_zone_node(struct zone *z, struct folio *f)
{
	if (unlikely(f->zone_node != z->zone_node))
		f->zone_node = z->zone_node;
}

static bool is_free_block(const struct folio *f, u32 order)
{
	return folio_flags(f) & BIT(PG_buddy) && f->order == order;
}

static void add_block(struct zone *z, struct folio *f, u32 order, u32 migratetype, bool to_tail)
{
	struct free_area *area = &z->free_area[order];

	set_flags(f, z->frame_flags | BIT(PG_buddy));
	set_zone_node(z, f);
	f->order = (u8)order;
	f->migratetype = (u8)migratetype;
	if (to_tail)
		list_add_tail(&f->lru, &area->free_list[migratetype]);
	else
		list_add(&f->lru, &area->free_list[migratetype]);
	area->nr_free++;
}

static void del_block(struct zone *z, struct folio *f, u32 order)
{
	RCL_DEBUG_ASSERT(is_free_block(f, order));
	list_del(&f->lru);
	set_flags(f, z->frame_flags);
	z->free_area[order].nr_free--;
}

/* To the tail: what was just moved should not be the next to go. */
static void move_block(struct zone *z, struct folio *f, u32 migratetype)
{
	list_move_tail(&f->lru, &z->free_area[f->order].free_list[migratetype]);
	f->migratetype = (u8)migratetype;
}

static struct folio *first_block(struct zone *z, u32 order, u32 migratetype)
{
	struct list_head *l = &z->free_area[order].free_list[migratetype];

	return list_empty(l) ? NULL : list_first_entry(l, struct folio, lru);
}

/*
 * Is the buddy of the block that this block and its own buddy would make free? Then they are
 * likely to become one soon, and the block should stay free until then.
 */
static bool merge_is_likely(struct rcl *m, u64 pfn, u32 order)
{
	u64 above;

	if (order >= MAX_ORDER - 2)
		return false;
	above = (pfn & ~(1ull << order)) ^ (2ull << order);
	return is_free_block(pfn_folio(m, above), order + 1);
}

void rcl_buddy_free(struct zone *z, struct folio *f, u32 order, u32 migratetype, bool to_tail)
{
	struct rcl *m = z->m;
	u64 pfn = folio_pfn(m, f);

	RCL_DEBUG_ASSERT(spin_is_held(&z->lock));
	RCL_DEBUG_ASSERT(!(pfn & ((1ull << order) - 1)));
	RCL_DEBUG_ASSERT(pfn >= z->managed_start && pfn < z->managed_start + z->managed_pages);

	set_flags(f, z->frame_flags); /* at rest, should it end up inside a larger block */
	for (; order < MAX_ORDER - 1; order++) {
		u64 buddy_pfn = pfn ^ 1ull << order;
		struct folio *buddy = pfn_folio(m, buddy_pfn);

		if (!is_free_block(buddy, order))
			break;
		if (unlikely(order >= PAGEBLOCK_ORDER)) {
			u32 type = pageblock_type(m, buddy_pfn);

			if (type != migratetype && (!type_mixes(type) || !type_mixes(migratetype)))
				break;
		}
		del_block(z, buddy, order);
		if (buddy_pfn < pfn) {
			pfn = buddy_pfn;
			f = buddy;
		}
	}
	add_block(z, f, order, migratetype, to_tail || merge_is_likely(m, pfn, order));
}

/* The smallest block of this type that fits, off its list and whole; *have is its order. */
static struct folio *take_smallest(struct zone *z, u32 order, u32 migratetype, u32 *have)
{
	for (u32 o = order; o < MAX_ORDER; o++) {
		struct folio *f = first_block(z, o, migratetype);

		if (!f)
			continue;
		del_block(z, f, o);
		*have = o;
		return f;
	}
	return NULL;
}

/* Of a taken block keep the first `keep` frames; the rest goes back as the blocks it consists of.
 */
static void give_back_rest(struct zone *z, struct folio *f, u32 have, u32 keep, u32 migratetype)
{
	for (u32 off = keep; off < 1u << have; off += off & -off)
		add_block(z, f + off, (u32)__builtin_ctz(off), migratetype, false);
}

/* Turn a free block into one that can be handed out. */
static void make_used(struct zone *z, struct folio *f, u32 order, u32 migratetype, u32 flags)
{
	set_flags(f, z->frame_flags | flags);
	set_zone_node(z, f);
	f->order = (u8)order;
	f->migratetype = (u8)migratetype;
}

static struct folio *alloc_smallest(struct zone *z, u32 order, u32 migratetype)
{
	u32 have;
	struct folio *f = take_smallest(z, order, migratetype, &have);

	if (!f)
		return NULL;
	give_back_rest(z, f, have, 1u << order, migratetype);
	make_used(z, f, order, migratetype, 0);
	return f;
}

/*
 * Move all free blocks of the pageblock around pfn to another type. Returns the frames moved;
 * *movable counts the frames in use that look movable, which is taken to mean "on an LRU list".
 */
static u32 move_pageblock(struct zone *z, u64 pfn, u32 migratetype, u32 *movable)
{
	u64 start = pfn & ~(PAGEBLOCK_NR_PAGES - 1), end = start + PAGEBLOCK_NR_PAGES;
	u32 moved = 0;

	*movable = 0;
	for (pfn = start; pfn < end;) {
		struct folio *f = pfn_folio(z->m, pfn);

		if (!(folio_flags(f) & BIT(PG_buddy))) {
			*movable += folio_test(f, PG_lru);
			pfn++;
			continue;
		}
		move_block(z, f, migratetype);
		moved += 1u << f->order;
		pfn += 1u << f->order;
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
	z->watermark_boost = min(z->watermark_boost + PAGEBLOCK_NR_PAGES, most);
	return true;
}

/* Make free block f, of another type, one of ours, with as much around it as the rules allow. */
static void steal(struct zone *z, struct folio *f, u32 alloc_flags, u32 migratetype, bool whole)
{
	struct rcl *m = z->m;
	u64 pfn = folio_pfn(m, f);
	u32 old_type = pageblock_type(m, pfn);
	u32 free_pages, movable, alike = 0;

	if (old_type == MIGRATE_HIGHATOMIC)
		goto single;
	if (f->order >= PAGEBLOCK_ORDER) {
		for (u64 n = 1ull << (f->order - PAGEBLOCK_ORDER); n--;)
			set_pageblock_type(m, pfn + n * PAGEBLOCK_NR_PAGES, migratetype);
		goto single;
	}
	if (boost_watermark(z) && alloc_flags & ALLOC_KSWAPD)
		__atomic_store_n(&z->boosted, true, __ATOMIC_RELAXED);
	if (!whole)
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
	move_block(z, f, migratetype);
}

static struct folio *fallback_block(struct zone *z, u32 order, u32 migratetype)
{
	if (!z->free_area[order].nr_free)
		return NULL;
	for (u32 i = 0; i < ARRAY_SIZE(fallbacks[0]); i++) {
		struct folio *f = first_block(z, order, fallbacks[migratetype][i]);

		if (f)
			return f;
	}
	return NULL;
}

/* No block of our type is left: make one of another type ours. False: none that we may take. */
static bool fall_back(struct zone *z, u32 order, u32 migratetype, u32 alloc_flags)
{
	u32 lowest = order;
	struct folio *f = NULL;

	if (!type_mixes(migratetype))
		return false;
	if (alloc_flags & ALLOC_NOFRAGMENT)
		lowest = max(order, (u32)PAGEBLOCK_ORDER);

	for (u32 o = MAX_ORDER; o-- > lowest && !f;)
		f = fallback_block(z, o, migratetype);
	if (!f)
		return false;
	/* The largest is too small to be stolen as a whole: split the smallest instead. */
	if (!may_steal(f->order, migratetype) && f->order > order) {
		f = NULL;
		for (u32 o = order; o < MAX_ORDER && !f; o++)
			f = fallback_block(z, o, migratetype);
	}
	steal(z, f, alloc_flags, migratetype, may_steal(f->order, migratetype));
	return true;
}

struct folio *rcl_buddy_alloc(struct zone *z, u32 order, u32 migratetype, u32 alloc_flags)
{
	struct folio *f;

	RCL_DEBUG_ASSERT(spin_is_held(&z->lock));
	do {
		f = alloc_smallest(z, order, migratetype);
	} while (unlikely(!f) && fall_back(z, order, migratetype, alloc_flags));
	return f;
}

struct folio *rcl_buddy_alloc_highatomic(struct zone *z, u32 order)
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
		struct folio *f = take_smallest(z, order, migratetype, &have);

		if (!f) {
			if (!fall_back(z, order, migratetype, alloc_flags))
				break;
			continue;
		}
		nr = min(1u << (have - order), count - got);
		got += nr;
		give_back_rest(z, f, have, nr << order, migratetype);
		for (; nr; nr--, f += 1u << order) {
			make_used(z, f, order, migratetype, BIT(PG_pcp));
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
		struct folio *f = first_block(z, o, MIGRATE_HIGHATOMIC);
		u32 movable;
		u64 pfn;

		if (!f)
			continue;
		pfn = folio_pfn(m, f);
		if (pageblock_type(m, pfn) == MIGRATE_HIGHATOMIC)
			z->nr_reserved_highatomic -=
				min(z->nr_reserved_highatomic, (u64)PAGEBLOCK_NR_PAGES);
		set_pageblock_type(m, pfn, migratetype);
		if (o >= PAGEBLOCK_ORDER)
			move_block(z, f, migratetype);
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

static bool free_area_is_valid(struct zone *z, u32 order)
{
	struct free_area *area = &z->free_area[order];
	u64 on_lists = 0;

	for (u32 mt = 0; mt < MIGRATE_TYPES; mt++) {
		struct folio *f;

		list_for_each (f, &area->free_list[mt], lru) {
			if (!is_free_block(f, order) || f->migratetype != mt ||
			    f->zone_node != z->zone_node || f->lru.next->prev != &f->lru)
				return false;
			if (++on_lists > area->nr_free)
				return false;
		}
	}
	return on_lists == area->nr_free;
}

/*
 * Walk the lists, then all frames from block to block: each frame belongs to one block, free blocks
 * are as many as the lists have, none has a free buddy it could merge with.
 */
bool rcl_buddy_is_valid(struct zone *z, u64 *free_pages, u64 *pcp_pages)
{
	struct rcl *m = z->m;
	u64 end = z->managed_start + z->managed_pages, blocks[MAX_ORDER] = {0};

	*free_pages = *pcp_pages = 0;
	for (u32 o = 0; o < MAX_ORDER; o++)
		if (!free_area_is_valid(z, o))
			return false;
	for (u64 pfn = z->managed_start; pfn < end;) {
		struct folio *f = pfn_folio(m, pfn);
		u64 buddy = pfn ^ 1ull << f->order;

		if (f->zone_node != z->zone_node || f->order >= MAX_ORDER ||
		    pfn & ((1ull << f->order) - 1))
			return false;
		if (f->flags & BIT(PG_buddy)) {
			if (f->refcount || f->memcg)
				return false;
			if (f->order < PAGEBLOCK_ORDER &&
			    is_free_block(pfn_folio(m, buddy), f->order))
				return false;
			blocks[f->order]++;
			*free_pages += 1u << f->order;
		} else if (f->flags & BIT(PG_pcp)) {
			if (f->refcount)
				return false;
			*pcp_pages += 1u << f->order;
		}
		pfn += 1u << f->order;
		if (pfn > end)
			return false;
	}
	for (u32 o = 0; o < MAX_ORDER; o++)
		if (blocks[o] != z->free_area[o].nr_free)
			return false;
	return true;
}
