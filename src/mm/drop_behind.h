/* SPDX-License-Identifier: MIT */
/* Room for a stream out of what it has left behind. */
#ifndef RCL_MM_DROP_BEHIND_H
#define RCL_MM_DROP_BEHIND_H

#include "mm/filemap.h"

/*
 * The reader of a file that is read in order has come to page `index`, and nr pages will be
 * allocated for it. If memory is short for that, or the running task's group, reclaim the 2 * nr
 * pages behind it, as far as nobody else needs them. How many went. Waits for no page.
 */
u64 rcl_drop_behind(struct rcl *m, struct mapping *mapping, u64 index, u64 nr, gfp_t gfp);

#endif
