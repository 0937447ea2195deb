/* SPDX-License-Identifier: MIT */
/* Jobs side by side on the cores: each is done once, by one thread. */
#ifndef RCL_CLI_POOL_H
#define RCL_CLI_POOL_H

#include <stddef.h>

/* Do fn(arg, i) for i in 0..nr-1 on up to `threads` threads (0 = one per core). */
void pool_run(unsigned int threads, size_t nr, void (*fn)(void *arg, size_t i), void *arg);

#endif
