/* SPDX-License-Identifier: MIT */
/* Address space as both platforms give it to the engine (ops->reserve). */
#ifndef RCL_PLATFORM_RESERVE_H
#define RCL_PLATFORM_RESERVE_H

#include "mm/types.h"

/* Zeroed memory that costs nothing until it is touched. NULL if refused. */
void *rcl_reserve_memory(size_t bytes);
void rcl_release_memory(void *mem, size_t bytes);

/*
 * The same aligned to `align`, a power of two of at least a page: bytes, rounded up to pages, and
 * nothing before or after them.
 */
void *rcl_reserve_aligned(size_t bytes, size_t align);

#endif
