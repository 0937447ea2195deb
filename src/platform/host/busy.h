/* SPDX-License-Identifier: MIT */
/* What the times come to that a disk is busy, if it does one request after the other. */
#ifndef RCL_HOST_BUSY_H
#define RCL_HOST_BUSY_H

#include "platform/host/measure.h"

/*
 * Of a busy time: a latency; requests, further pages, and pages beyond RCL_HOST_FEW_PAGES, of reads
 * and of writes; and how long it was.
 */
enum busy_term {
	BUSY_LATENCY, /* 1 */
	BUSY_REQUESTS,
	BUSY_PAGES = BUSY_REQUESTS + 2,
	BUSY_MANY = BUSY_PAGES + 2,
	BUSY_NS = BUSY_MANY + 2,
	NR_BUSY
};

#define BUSY_SAMPLES 2048u

/* What was under way: one read of a page, one write of a page, or more. */
enum busy_kind {
	BUSY_READ,
	BUSY_WRITE,
	BUSY_SEVERAL,
	NR_BUSY_KINDS
};

/* Fields are the caller's to protect. All 0 to begin with. */
struct busy {
	u64 begun;
	u32 term[NR_BUSY]; /* of the time that goes on */
	u64 nr[NR_BUSY_KINDS], chance;
	u32 sample[NR_BUSY_KINDS][BUSY_SAMPLES][NR_BUSY];
};

void rcl_host_busy_begins(struct busy *b, u64 now);
/* A request more: by enum rcl_io_op, and its pages. */
void rcl_host_busy_request(struct busy *b, u32 op, u32 nr_pages);
void rcl_host_busy_ends(struct busy *b, u64 now);
void rcl_host_busy_figures(const struct busy *b, struct rcl_host_busy_figures *out);

#endif
