/* SPDX-License-Identifier: MIT */
/* Looking for the end of a read before going to sleep for it. */
#ifndef RCL_HOST_SPIN_H
#define RCL_HOST_SPIN_H

#include "platform/host/internal.h"

/* One for each place where a thread waits for I/O of its own; whoever waits there owns it. */
struct host_spin {
	u64 window_ns; /* how long to look, next time; 0 = not at all */
	u64 begun;
	bool spinning;
};

/* A wait begins. Until when to look, on the platform's clock; 0 = go to sleep at once. */
u64 rcl_host_spin_begin(struct rcl_host *h, struct host_spin *s);
/* The thread has stopped looking, and sleeps if the wait is not over. */
void rcl_host_spin_stop(struct rcl_host *h, struct host_spin *s);
/* The wait is over, with what it was for. */
void rcl_host_spin_end(struct rcl_host *h, struct host_spin *s);

#endif
