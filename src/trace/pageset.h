/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_PAGESET_H
#define RCL_TRACE_PAGESET_H

#include <stdint.h>

#include "trace/trace.h"

/*
 * A set of page numbers below 2^36: which pages of a region were touched. One thread at a time.
 * Initialise with rcl_pageset_init; free even when that failed.
 */
struct rcl_pageset {
	uint64_t *bits; /* dense: one bit a page, `pages` of them; NULL when sparse */
	uint64_t pages;
	struct rcl_pageset_run *runs; /* sparse: hash table of runs */
	uint64_t mask, used;
	struct rcl_pageset_run *last; /* sparse: the run of the last addition, or NULL */
};

/* `pages`: the region's size when known, and then no page at or above it may be added; or 0. */
int rcl_pageset_init(struct rcl_pageset *set, uint64_t pages);
void rcl_pageset_free(struct rcl_pageset *set);

/* Add [page, page + pages); -ENOMEM when the set cannot grow. */
int rcl_pageset_add(struct rcl_pageset *set, uint64_t page, uint64_t pages);

uint64_t rcl_pageset_count(const struct rcl_pageset *set);

/* One past the highest page; 0 when the set is empty. */
uint64_t rcl_pageset_end(const struct rcl_pageset *set);

/* Pages that are in both; the two were made with the same `pages`. */
uint64_t rcl_pageset_common(const struct rcl_pageset *a, const struct rcl_pageset *b);

#endif
