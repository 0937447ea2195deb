/* SPDX-License-Identifier: MIT */
/*
 * Faults injected into the host platform's I/O, for tests. What a rule does to a request depends on
 * the seed, the rule, the number of the request and where in it the transfer begins, and on nothing
 * else: requests that are formed in the same order meet the same faults.
 */
#ifndef RCL_HOST_FAULTS_H
#define RCL_HOST_FAULTS_H

#include "mm/types.h"

enum rcl_host_fault_kind {
	RCL_FAULT_ERROR, /* the pages concerned fail with -amount (EIO, ENOSPC); nothing is done */
	RCL_FAULT_SHORT, /* the first two transfers of a request do amount bytes less */
	RCL_FAULT_DELAY, /* it starts amount nanoseconds later */
	RCL_FAULT_EINTR, /* it is interrupted amount times before it is done */
	RCL_FAULT_CORRUPT, /* one bit of the first page read comes out wrong */
};

#define RCL_FAULT_ANY (-1)

/* Fields are constant while I/O runs but for those marked A (atomic). */
struct rcl_host_fault_rule {
	enum rcl_host_fault_kind kind;
	s32 dev, op;		    /* device number, enum rcl_io_op, or RCL_FAULT_ANY */
	u64 first_block, nr_blocks; /* of the device; nr_blocks 0 = all of it */
	u32 nth;		    /* every nth transfer that matches, or, if 0, */
	u32 ppm;		    /* so many in a million of them */
	u64 amount;		    /* as the kind says */
	u64 seen, hits;		    /* A: transfers that matched, and that were struck */
};

struct rcl_host_faults {
	u64 seed;
	bool refuse_uring; /* setting io_uring up fails with -EPERM */
	u32 nr_rules;	   /* A: rules may be added, and all be ended, while I/O runs */
	struct rcl_host_fault_rule *rules;
	u64 nr_requests; /* A: so far */
};

#endif
