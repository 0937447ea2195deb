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

struct rcl_host_figures {
	struct rcl_host_op_figures op[2]; /* by enum rcl_io_op */
	u64 submit_ns, end_ns;		  /* CPU time of a request: starting it, ending it */
	u32 depth;			  /* requests under way at most */
};

/* Since the host was created, all devices together; all 0 without rcl_host_config.measure. */
void rcl_host_get_figures(struct rcl_host *h, struct rcl_host_figures *out);

#endif
