/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_PLACE_H
#define RCL_TRACE_PLACE_H

#include <stdint.h>

/*
 * Where sparse and huge identifiers go among 2^36 page numbers. The same sequence of calls gives
 * the same places. One thread at a time. Initialise with zeros.
 */
struct rcl_place_entry;
struct rcl_place_extent;

struct rcl_place_map {
	struct rcl_place_entry *slots;
	uint64_t mask; /* slots - 1; 0 with no slots */
	uint64_t used;
};

struct rcl_place {
	struct rcl_place_map runs;    /* 2 MiB run of a large address -> its place */
	struct rcl_place_map objects; /* object -> where it lies */
	struct rcl_place_extent *extents;
	uint64_t nr_extents, extents_max;
	/* objects: pages in blocks so far; the newest block, and what is free at its bottom */
	uint64_t blocks_end, block_base, block_left;
};

/* Page numbers below this are kept as they are. */
#define RCL_PLACE_KEPT (1ull << 35)

/*
 * The place of page `page` of an address space of 2^64 pages: *at. The pages after it follow for
 * as long as *run says, `pages` at most. -EOVERFLOW when there is no room (an object has less than
 * 2^27 pages), -ENOMEM.
 */
int rcl_place_address(struct rcl_place *place, uint64_t page, uint64_t pages, uint64_t *at,
		      uint64_t *run);

/* The same for page `page` of an object with an identifier, which thereby gets at least
 * page + pages pages of its own. */
int rcl_place_object(struct rcl_place *place, uint64_t id, uint64_t page, uint64_t pages,
		     uint64_t *at, uint64_t *run);

void rcl_place_free(struct rcl_place *place);

#endif
