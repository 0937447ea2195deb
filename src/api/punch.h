/* SPDX-License-Identifier: MIT */
/* Giving the disk space of freed swap back (RCL_OPEN_PUNCH_SWAP). */
#ifndef RCL_API_PUNCH_H
#define RCL_API_PUNCH_H

#include "api/internal.h"

/* Swap is open. 0 or -errno. */
int rcl_puncher_start(struct rcl_machine *machine);
/* Before the machine closes. */
void rcl_puncher_stop(struct rcl_machine *machine);

#endif
