/* SPDX-License-Identifier: MIT */
/*
 * An address space as a list of areas by address: what the recorder keeps of a program, and what a
 * reader keeps of a recording. It stands alone, because it is part of the recorder's plugin.
 */
#ifndef RCL_TRACE_AREAS_H
#define RCL_TRACE_AREAS_H

#include <stdint.h>

struct rcl_area {
	uint64_t start, end; /* pages, half open */
	uint32_t flags;	     /* enum rcl_native_map_flag */
	uint32_t region;
	uint64_t pgoff; /* page of the file at `start` */
};

struct rcl_areas {
	struct rcl_area *at;
	uint32_t nr, max;
};

/* The area with the page, or NULL. */
const struct rcl_area *rcl_areas_find(const struct rcl_areas *a, uint64_t page);

/* These return 0, or -ENOMEM with parts of the change made. */
int rcl_areas_map(struct rcl_areas *a, struct rcl_area area);
int rcl_areas_unmap(struct rcl_areas *a, uint64_t page, uint64_t pages);
int rcl_areas_move(struct rcl_areas *a, uint64_t page, uint64_t pages, uint64_t to,
		   uint64_t to_pages);
int rcl_areas_protect(struct rcl_areas *a, uint64_t page, uint64_t pages, uint32_t flags);
int rcl_areas_copy(struct rcl_areas *to, const struct rcl_areas *from);
void rcl_areas_clear(struct rcl_areas *a);

#endif
