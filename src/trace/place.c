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
 * Both maps are open hash tables with linear probing that never exceed 70% of their slots.
 */
#include "trace/place.h"

#include <errno.h>
#include <stdlib.h>

#include "trace/trace.h"

#define RUN_SHIFT   9
#define RUN_PAGES   (1ull << RUN_SHIFT)
#define RUN_SLOTS   ((RCL_TRACE_PAGES_MAX - RCL_PLACE_KEPT) / (2 * RUN_PAGES))
#define BLOCK_PAGES 512ull

struct rcl_place_entry {
	uint64_t key;
	uint64_t value; /* plus one; 0: the slot is free */
};

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

/* The value of `key`, which gets `fresh` when it is new. */
static int map_get(struct rcl_place_map *map, uint64_t key, uint64_t fresh, uint64_t *value)
{
	struct rcl_place_entry *e;

	if (!map->slots || map->used * 10 >= (map->mask + 1) * 7) {
		int rc = map_grow(map);

		if (rc)
			return rc;
	}
	e = map_slot(map, key);
	if (!e->value) {
		e->key = key;
		e->value = fresh + 1;
		map->used++;
	}
	*value = e->value - 1;
	return 0;
}

/* ---- addresses ---------------------------------------------------------------------------- */

int rcl_place_address(struct rcl_place *place, uint64_t page, uint64_t pages, uint64_t *at,
		      uint64_t *run)
{
	uint64_t offset = page & (RUN_PAGES - 1), slot;
	int rc;

	if (page < RCL_PLACE_KEPT) {
		*at = page;
		*run = pages < RCL_PLACE_KEPT - page ? pages : RCL_PLACE_KEPT - page;
		return 0;
	}
	if (place->runs.used == RUN_SLOTS)
		return -EOVERFLOW;
	rc = map_get(&place->runs, page >> RUN_SHIFT, place->runs.used, &slot);
	if (rc)
		return rc;
	*at = RCL_PLACE_KEPT + slot * 2 * RUN_PAGES + offset;
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

static int extent_new(struct rcl_place *place, uint64_t first, uint64_t pages, uint64_t *index)
{
	struct rcl_place_extent *e;
	uint64_t at;
	int rc = block_take(place, pages, &at);

	if (rc)
		return rc;
	if (place->nr_extents == place->extents_max) {
		uint64_t max = place->extents_max ? 2 * place->extents_max : 1024;

		e = realloc(place->extents, max * sizeof(*e));
		if (!e)
			return -ENOMEM;
		place->extents = e;
		place->extents_max = max;
	}
	*index = place->nr_extents++;
	e = &place->extents[*index];
	*e = (struct rcl_place_extent){.first = first, .pages = pages, .at = at};
	return 0;
}

int rcl_place_object(struct rcl_place *place, uint64_t id, uint64_t page, uint64_t pages,
		     uint64_t *at, uint64_t *run)
{
	uint64_t fresh = place->nr_extents, index;
	struct rcl_place_extent *e;
	int rc = map_get(&place->objects, id, fresh, &index);

	if (!rc && index == fresh)
		rc = extent_new(place, 0, page + pages, &index);
	if (rc)
		return rc;
	e = &place->extents[index];
	while (page >= e->first + e->pages) {
		uint64_t end = e->first + e->pages;

		if (!e->next) {
			uint64_t missing = page + pages - end;

			rc = extent_new(place, end, missing > end ? missing : end, &fresh);
			if (rc)
				return rc;
			place->extents[index].next = fresh + 1;
		}
		index = place->extents[index].next - 1;
		e = &place->extents[index];
	}
	*at = e->at + (page - e->first);
	*run = e->first + e->pages - page;
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
