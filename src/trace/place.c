/* SPDX-License-Identifier: MIT */
/*
 * Finding room for huge identifiers.
 *
 * The simulator numbers the pages of a region with 36 bits. Traces bring addresses of 64 bits
 * (kernel addresses, block numbers in a sharded store) and object identifiers that are hashes.
 * Both are sparse, so they fit; what matters is what is preserved on the way.
 *
 * Addresses. A page below 2^35 stays where it is: that is every address of a user program on a
 * 48-bit machine and every byte of a 128 TiB disk, so ordinary traces pass through unchanged.
 * Above, what has to survive is the neighbourhood that page tables, radix nodes and readahead work
 * on: aligned runs of 512 pages (2 MiB) move as a whole, an offset within a run never changes, and
 * runs get places in the upper half, [2^35, 2^36), in the order in which they are first seen.
 * Every other run-sized place stays empty: two runs that met only because one was used after the
 * other would look like a sequential stream to readahead, with the future as its content.
 *
 * Objects. An identifier says nothing about neighbours; an object of n pages gets n consecutive
 * pages for itself. Low page numbers are given out densely, in blocks of 512, and each block is
 * filled from its top downwards, for the same reason: objects in order of first use, laid out
 * upwards, would be one long sequential read. An object that comes back larger than it was gets
 * the missing pages in a further extent, which is at least as large as all before it: an object
 * that grows by a page at a time must not become a long list.
 *
 * Both maps are open hash tables with linear probing that never exceed 70% of their slots. Looking
 * an object up is a cache miss in a large trace, so it should be only one: an object in one piece,
 * which nearly all are, has its place packed into its slot; a list of extents exists for the rest.
 */
#include "trace/place.h"

#include <errno.h>
#include <stdlib.h>

#include "trace/trace.h"

#define RUN_SHIFT   9
#define RUN_PAGES   (1ull << RUN_SHIFT)
#define RUN_SLOTS   ((RCL_TRACE_PAGES_MAX - RCL_PLACE_KEPT) / (2 * RUN_PAGES))
#define BLOCK_PAGES 512ull

/*
 * A slot is free while its value is 0. Runs: the run's place, plus one. Objects: the page the
 * object begins at, and how many pages it has from there; or, with OBJECT_LIST, its first extent's
 * index.
 */
struct rcl_place_entry {
	uint64_t key;
	uint64_t value;
};

#define OBJECT_PAGES_SHIFT RCL_WORD_PAGE_BITS
#define OBJECT_LIST	   (1ull << 63)
#define OBJECT_PAGES_MAX   ((1ull << (63 - OBJECT_PAGES_SHIFT)) - 1)

/* Pages [first, first + pages) of an object are at [at, at + pages). */
struct rcl_place_extent {
	uint64_t first, pages, at;
	uint64_t next; /* index plus one of the object's next extent, 0 at the last */
};

/* ---- the hash table ----------------------------------------------------------------------- */

static uint64_t hash(uint64_t key)
{
	key ^= key >> 32;
	key *= 0x9fb21c651e98df25ull;
	key ^= key >> 29;
	return key;
}

static struct rcl_place_entry *map_slot(const struct rcl_place_map *map, uint64_t key)
{
	uint64_t i = hash(key) & map->mask;

	while (map->slots[i].value && map->slots[i].key != key)
		i = (i + 1) & map->mask;
	return &map->slots[i];
}

static int map_grow(struct rcl_place_map *map)
{
	uint64_t size = map->slots ? 2 * (map->mask + 1) : 1024;
	struct rcl_place_map bigger = {
		.slots = calloc(size, sizeof(*bigger.slots)),
		.mask = size - 1,
		.used = map->used,
	};

	if (!bigger.slots)
		return -ENOMEM;
	for (uint64_t i = 0; map->slots && i <= map->mask; i++) {
		if (map->slots[i].value)
			*map_slot(&bigger, map->slots[i].key) = map->slots[i];
	}
	free(map->slots);
	*map = bigger;
	return 0;
}

/* The slot of `key`: its own, or a free one with its key; NULL without memory. */
static struct rcl_place_entry *map_get(struct rcl_place_map *map, uint64_t key)
{
	struct rcl_place_entry *e;

	if ((!map->slots || map->used * 10 >= (map->mask + 1) * 7) && map_grow(map))
		return NULL;
	e = map_slot(map, key);
	e->key = key;
	return e;
}

/* ---- addresses ---------------------------------------------------------------------------- */

int rcl_place_address(struct rcl_place *place, uint64_t page, uint64_t pages, uint64_t *at,
		      uint64_t *run)
{
	uint64_t offset = page & (RUN_PAGES - 1);
	struct rcl_place_entry *e;

	if (page < RCL_PLACE_KEPT) {
		*at = page;
		*run = pages < RCL_PLACE_KEPT - page ? pages : RCL_PLACE_KEPT - page;
		return 0;
	}
	e = map_get(&place->runs, page >> RUN_SHIFT);
	if (!e)
		return -ENOMEM;
	if (!e->value) {
		if (place->runs.used == RUN_SLOTS)
			return -EOVERFLOW;
		e->value = ++place->runs.used;
	}
	*at = RCL_PLACE_KEPT + (e->value - 1) * 2 * RUN_PAGES + offset;
	*run = pages < RUN_PAGES - offset ? pages : RUN_PAGES - offset;
	return 0;
}

/* ---- objects ------------------------------------------------------------------------------ */

static int block_take(struct rcl_place *place, uint64_t pages, uint64_t *at)
{
	if (pages > place->block_left) {
		uint64_t size = (pages + BLOCK_PAGES - 1) / BLOCK_PAGES * BLOCK_PAGES;

		if (size > RCL_TRACE_PAGES_MAX - place->blocks_end)
			return -EOVERFLOW;
		place->block_base = place->blocks_end;
		place->block_left = size;
		place->blocks_end += size;
	}
	place->block_left -= pages;
	*at = place->block_base + place->block_left;
	return 0;
}

/* Append an extent at `at` to the list; *index is its index. */
static int extent_new(struct rcl_place *place, uint64_t first, uint64_t pages, uint64_t at,
		      uint64_t *index)
{
	if (place->nr_extents == place->extents_max) {
		uint64_t max = place->extents_max ? 2 * place->extents_max : 64;
		struct rcl_place_extent *extents = realloc(place->extents, max * sizeof(*extents));

		if (!extents)
			return -ENOMEM;
		place->extents = extents;
		place->extents_max = max;
	}
	*index = place->nr_extents++;
	place->extents[*index] =
		(struct rcl_place_extent){.first = first, .pages = pages, .at = at};
	return 0;
}

/* An object that is in one piece becomes a list of one extent. */
static int object_to_list(struct rcl_place *place, struct rcl_place_entry *e)
{
	uint64_t index;
	int rc = extent_new(place, 0, e->value >> OBJECT_PAGES_SHIFT,
			    e->value & (RCL_TRACE_PAGES_MAX - 1), &index);

	if (!rc)
		e->value = OBJECT_LIST | index;
	return rc;
}

/* The extent of the list at `index` that holds `page`, made if there is none. */
static int list_find(struct rcl_place *place, uint64_t index, uint64_t page, uint64_t pages,
		     const struct rcl_place_extent **found)
{
	struct rcl_place_extent *e = &place->extents[index];

	while (page >= e->first + e->pages) {
		uint64_t end = e->first + e->pages, missing = page + pages - end, at, next;
		uint64_t take = missing > end ? missing : end;
		int rc = 0;

		if (!e->next) {
			rc = block_take(place, take, &at);
			if (!rc)
				rc = extent_new(place, end, take, at, &next);
			if (rc)
				return rc;
			place->extents[index].next = next + 1;
		}
		index = place->extents[index].next - 1;
		e = &place->extents[index];
	}
	*found = e;
	return 0;
}

int rcl_place_object(struct rcl_place *place, uint64_t id, uint64_t page, uint64_t pages,
		     uint64_t *at, uint64_t *run)
{
	struct rcl_place_entry *e = map_get(&place->objects, id);
	struct rcl_place_extent whole = {0};
	const struct rcl_place_extent *x = &whole;
	int rc = 0;

	if (!e)
		return -ENOMEM;
	if (!e->value) {
		uint64_t base;

		if (page + pages > OBJECT_PAGES_MAX)
			return -EOVERFLOW;
		rc = block_take(place, page + pages, &base);
		if (rc)
			return rc;
		e->value = base | (page + pages) << OBJECT_PAGES_SHIFT;
		place->objects.used++;
	}
	if (!(e->value & OBJECT_LIST)) {
		whole.pages = e->value >> OBJECT_PAGES_SHIFT;
		whole.at = e->value & (RCL_TRACE_PAGES_MAX - 1);
		if (page >= whole.pages)
			rc = object_to_list(place, e);
	}
	if (!rc && e->value & OBJECT_LIST)
		rc = list_find(place, e->value & ~OBJECT_LIST, page, pages, &x);
	if (rc)
		return rc;
	*at = x->at + (page - x->first);
	*run = x->first + x->pages - page;
	if (*run > pages)
		*run = pages;
	return 0;
}

void rcl_place_free(struct rcl_place *place)
{
	free(place->runs.slots);
	free(place->objects.slots);
	free(place->extents);
	*place = (struct rcl_place){0};
}
