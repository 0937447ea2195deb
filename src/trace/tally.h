/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_TALLY_H
#define RCL_TRACE_TALLY_H

#include <stdint.h>

#include "trace/pageset.h"
#include "trace/trace.h"

/* Counts over a stream of words, on the way to a summary. One thread at a time. */
struct rcl_tally;

/* For words of these regions (copied). -ENOMEM. */
int rcl_tally_new(struct rcl_tally **out, const struct rcl_region *regions, uint32_t nr_regions);
void rcl_tally_free(struct rcl_tally *tally);

/* Count `n` words, whose regions and pages are within what the regions say. -ENOMEM. */
int rcl_tally_add(struct rcl_tally *tally, const uint64_t *words, size_t n);

/* The result so far; `regions` has room for one entry a region. summary->skipped is left alone. */
void rcl_tally_summary(const struct rcl_tally *tally, struct rcl_trace_summary *summary,
		       struct rcl_region_summary *regions);

#endif
