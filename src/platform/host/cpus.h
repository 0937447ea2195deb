/* SPDX-License-Identifier: MIT */
/* How many processors the process may keep busy. */
#ifndef RCL_HOST_CPUS_H
#define RCL_HOST_CPUS_H

#include "mm/types.h"

/* At least 1. */
u32 rcl_host_usable_cpus(void);
/*
 * What the quotas of its cgroups leave, rounded up; UINT32_MAX: there are none, or they cannot be
 * read. root: where /proc and /sys are found; "" but in tests.
 */
u32 rcl_host_quota_cpus(const char *root);

#endif
