/* SPDX-License-Identifier: MIT */
#ifndef EXAMPLES_SQLITE_PCACHE_H
#define EXAMPLES_SQLITE_PCACHE_H

#include <reclaim/reclaim.h>

/*
 * Have all page caches that SQLite creates from now on live in the machine, whose budget is given.
 * Before sqlite3_initialize() or the first database is opened; the machine is closed after
 * sqlite3_shutdown(). Pages of up to 4096 bytes.
 */
void sqlite_pcache_use(struct rcl_machine *machine, uint64_t budget);

struct sqlite_pcache_stats {
	uint64_t fetched; /* xFetch calls */
	uint64_t kept;	  /* pages found unpinned, and pinned again */
	uint64_t dropped; /* ... that reclaim had taken */
	uint64_t moved;	  /* ... that were at another address */
	uint64_t made;	  /* new ones */
};
void sqlite_pcache_read_stats(struct sqlite_pcache_stats *stats);

#endif
