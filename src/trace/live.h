/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_LIVE_H
#define RCL_TRACE_LIVE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The pages that a recorded program has at the moment: of each address space those it has touched
 * and not given back, of files those it has touched. One thread at a time; starts as zeros.
 */
struct rcl_live {
	struct rcl_live_page *slots;
	uint64_t mask; /* slots - 1; 0 with no slots */
	uint64_t nr;
};

struct rcl_live_page {
	uint64_t key; /* 0: free */
	uint32_t region;
	uint32_t kinds; /* mask of 1 << enum rcl_access_kind */
};

/* Keys: owner is a process, or a file's region. */
static inline uint64_t rcl_live_anon(uint32_t process, uint64_t page)
{
	return 1ull << 63 | (uint64_t)process << 36 | page;
}
static inline uint64_t rcl_live_file(uint32_t region, uint64_t page)
{
	return 1ull << 62 | (uint64_t)region << 36 | page;
}

/* The page's entry, made if it was not there: *made says so. NULL: out of memory. */
struct rcl_live_page *rcl_live_add(struct rcl_live *l, uint64_t key, bool *made);
/* Remove `pages` keys from `key` on; `gone` is told of each. */
void rcl_live_remove(struct rcl_live *l, uint64_t key, uint64_t pages,
		     void (*gone)(void *arg, const struct rcl_live_page *page), void *arg);
/* Give `pages` keys from `key` on the keys from `to` on, none of which is there. */
void rcl_live_move(struct rcl_live *l, uint64_t key, uint64_t pages, uint64_t to);
void rcl_live_free(struct rcl_live *l);

#endif
