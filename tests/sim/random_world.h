/* SPDX-License-Identifier: MIT */
/*
 * A random world from one seed: a machine, its settings, groups, files and tasks, all doing random
 * things to their memory, and a record of what every page must hold.
 */
#ifndef RCL_TESTS_RANDOM_WORLD_H
#define RCL_TESTS_RANDOM_WORLD_H

#include "mm/types.h"

struct world_result {
	u64 digest;	/* of all scheduling decisions and events */
	u64 operations; /* done by all tasks */
	u64 oom_kills;
	u64 io_errors; /* operations that failed with -EIO */
	u64 swapped_out, written, reclaimed;
	char error[512]; /* "" = the world held */
};

/* Run the world of this seed. `operations` per task; 0 = as the seed says. */
void random_world_run(u64 seed, u64 operations, struct world_result *res);

#endif
