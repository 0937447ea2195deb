/* SPDX-License-Identifier: MIT */
/* What I/O took, for those who want to predict what it will take (rcl_host_config.measure). */
#ifndef RCL_HOST_MEASURE_H
#define RCL_HOST_MEASURE_H

#include "mm/types.h"

struct rcl_host;

/*
 * Of reads and of writes. A request that starts with none of its kind under way takes latency_ns +
 * request_ns + page_ns for each page; one behind others that started before, request_ns + page_ns
 * for each page after the one before it. These are medians, and for request_ns a mean; one request
 * in a hundred took slow_ns or more. What too few were seen for is 0.
 */
struct rcl_host_op_figures {
	u64 requests, pages;
	u64 latency_ns, request_ns, page_ns;
	u64 slow_ns;
};

/*
 * What the times come to with something under way, from the first start to the last end, if the
 * disk does one request after the other: latency_ns, and for each request request_ns, and page_ns
 * for each page after its first, but many_ns beyond RCL_HOST_FEW_PAGES of them.
 */
#define RCL_HOST_PACES	   64
#define RCL_HOST_FEW_PAGES 16u
struct rcl_host_busy_figures {
	u64 times; /* that more than a page was under way in */
	u64 latency_ns, request_ns[2], page_ns[2], many_ns[2];
	/* How long those times were, from the shortest on, in percent of what it comes to. */
	u32 pace[RCL_HOST_PACES];
};

struct rcl_host_figures {
	struct rcl_host_op_figures op[2]; /* by enum rcl_io_op */
	struct rcl_host_busy_figures busy;
	bool ends_together;    /* for the caller: what rcl_host_probe_ends_together() said */
	u64 submit_ns, end_ns; /* CPU time of a request: starting it, ending it */
	u64 submit_page_ns, end_page_ns; /* and of each of its pages */
	u64 unmeasured;			 /* requests whose starting was part of a wait for them */
	u32 depth;			 /* requests under way at most */
	u32 request_pages, plug_pages;	 /* that are gathered for a request, before a start */
};

/*
 * Does the disk of this folder say that requests have ended only when it has none left? Some
 * milliseconds of reading. False also if that cannot be found out.
 */
bool rcl_host_probe_ends_together(const char *dir);

/* Since the host was created, all devices together; all 0 without rcl_host_config.measure. */
void rcl_host_get_figures(struct rcl_host *h, struct rcl_host_figures *out);

#endif
