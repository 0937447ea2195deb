/* SPDX-License-Identifier: MIT */
#ifndef RCL_REPLAY_SPLIT_H
#define RCL_REPLAY_SPLIT_H

#include "mm/types.h"
#include "trace/trace.h"

/*
 * Share every task of a trace out to `threads` tasks of the same process: 64 pages in a row of a
 * region always go to the same one, so each page keeps its order of accesses. An access that spans
 * two shares becomes two. *out borrows from `trace` and is freed with rcl_split_free(). 0, -ENOMEM.
 */
int rcl_split(const struct rcl_trace_image *trace, u32 threads, struct rcl_trace_image **out);
void rcl_split_free(struct rcl_trace_image *split);

#endif
