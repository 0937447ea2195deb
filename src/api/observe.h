/* SPDX-License-Identifier: MIT */
/*
 * Watching an open machine from outside: its statistics page (stats_page.h), which `reclaim top`
 * attaches to, and its metrics over HTTP (metrics.h). One thread does both; with neither wanted
 * there is no thread. It only reads: counters as they are, the list of groups under memcg_lock.
 *
 * Whoever opens machines calls rcl_observe_start() as the last step of opening, and
 * rcl_observe_stop() as the first of closing, in a forked child too.
 */
#ifndef RCL_API_OBSERVE_H
#define RCL_API_OBSERVE_H

#include "mm/types.h"
#include "reclaim/reclaim.h"

struct rcl_observer;

struct rcl_observe_config {
	struct rcl *m;
	const char *name;    /* NULL = the program's */
	const char *metrics; /* as in struct rcl_options; NULL = none */
	bool page;	     /* keep a statistics page (RCL_OPEN_STATS) */
	/*
	 * Fill in the machine's figures, as rcl_stats_read(machine, NULL, stats) does; stats->size
	 * is set. Called now and then from the observer's thread, which is not a task of the
	 * machine. May not wait for anything that waits for rcl_observe_stop().
	 */
	void (*stats)(void *arg, struct rcl_stats *stats);
	void *arg;
};

/*
 * 0; or -errno, and *message (if message is not NULL) says what is wrong with which option; it is
 * the caller's to free(). *out is NULL when nothing was asked for. Strings are copied.
 */
int rcl_observe_start(const struct rcl_observe_config *cfg, struct rcl_observer **out,
		      char **message);
/*
 * End the thread, remove the page and the socket. NULL: nothing. In a child of the process that
 * started it: lets go of memory and descriptors and leaves the parent's alone.
 */
void rcl_observe_stop(struct rcl_observer *o);

#endif
