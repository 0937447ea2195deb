/* SPDX-License-Identifier: MIT */
/* Frames to read a window of a file into, neighbours in memory where that can be had. */
#ifndef RCL_MM_WINDOW_FRAMES_H
#define RCL_MM_WINDOW_FRAMES_H

#include "mm/gfp.h"
#include "mm/page.h"

#define WINDOW_FRAMES_MAX 512u

/* Owned by one task; starts as all zeros but for f. */
struct window_frames {
	u32 nr, used;
	struct folio *f[WINDOW_FRAMES_MAX];
};

/*
 * One frame, with a reference, not charged, from those at hand; if there are none left, `wanted`
 * (1 or more) are allocated first, or as many as there is memory for. NULL: not one. May reclaim.
 */
struct folio *rcl_window_frame(struct rcl *m, struct window_frames *w, gfp_t gfp, u32 wanted);
/* Give back those that were not taken. */
void rcl_window_frames_free(struct rcl *m, struct window_frames *w);

#endif
