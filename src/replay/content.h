/* SPDX-License-Identifier: MIT */
#ifndef RCL_REPLAY_CONTENT_H
#define RCL_REPLAY_CONTENT_H

#include "sim/world.h"

/* The part of world.h that says what pages hold, on real memory. */
int rcl_content_init(struct run *r);
void rcl_content_exit(struct run *r);
int rcl_content_check_memory(struct runner *t, u32 region, u64 page, bool write);
bool rcl_content_check_read(struct runner *t, u32 region, u64 page, u64 stamp);
u64 rcl_content_begin_write(struct runner *t, u32 region, u64 page, u64 pages);
void rcl_content_end_write(struct runner *t, bool failed);
/* After the run: read every page of the trace once more. 0, -ECANCELED, -errno. */
int rcl_content_check_all(struct run *r);

/*
 * A page of memory that was touched, pinned, so that reclaim leaves it alone while it is looked at;
 * touched again if it has left meanwhile. folio NULL: the shared zero page, which cannot leave.
 */
struct pinned {
	struct mm *mm;
	struct folio *folio;
	u64 vpn;
	pte_t *pte;
	bool write;
};
int rcl_content_pin(struct runner *t, u64 vpn, bool write, struct pinned *out);
void rcl_content_unpin(struct runner *t, struct pinned *p);

/* The same for recordings (play_content.c). */
int rcl_play_content_init(struct run *r);
void rcl_play_content_exit(struct run *r);
int rcl_play_content_memory(struct runner *t, u64 vpn, bool write);
bool rcl_play_content_read(struct runner *t, u32 region, u64 page, u64 stamp);
u64 rcl_play_content_begin_write(struct runner *t, u32 region, u64 page, u64 pages);
void rcl_play_content_end_write(struct runner *t, bool failed);
void rcl_play_content_event(struct runner *t, const struct rcl_trace_event *e);

/* What page `page` of a region's file holds before it is written. */
static inline u64 rcl_content_blank(u32 region, u64 page)
{
	return 1ull << 63 | (u64)region << 40 | (page & ((1ull << 40) - 1));
}

#endif
