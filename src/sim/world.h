/* SPDX-License-Identifier: MIT */
/*
 * What a run stands on: the simulator (sim_world.c), or real memory, files and threads
 * (replay/host_world.c). The rest of a run is the same for both.
 */
#ifndef RCL_SIM_WORLD_H
#define RCL_SIM_WORLD_H

#include "sim/run.h"

struct world_ops {
	/*
	 * Open the platform (r->plat) and its devices (r->disk, r->swap), as r->req says. On
	 * failure close() is called all the same.
	 */
	int (*open)(struct run *r);
	void (*close)(struct run *r);
	/* The machine has been opened; it will be closed. NULL: nothing to do. */
	int (*machine_opened)(struct run *r);
	void (*machine_closing)(struct run *r);
	/* The swap device has a moving head. */
	bool (*swap_rotational)(struct run *r);
	/* A new file with blank pages, of a region of the trace or NO_REGION; r->req says whether
	 * pages have buffers. */
	int (*create_file)(struct run *r, const char *name, u32 region, u64 pages,
			   struct mapping **out);
	/* Start a task of the program; run until all that were started have ended. 0 or -errno. */
	int (*spawn)(struct run *r, struct task *t, void (*fn)(void *), void *arg);
	int (*run_all)(struct run *r);
	/* Call fn once when the machine's clock shows `at`, until the next call; 0: never. */
	void (*at)(struct run *r, u64 at, void (*fn)(void *), void *arg);
	/* All tasks have ended and the counters are read: a last look. NULL: none. 0 or -errno. */
	int (*finish)(struct run *r);
	/* Why run_all() gave up with -EDEADLK. */
	const char *(*stuck)(struct run *r);

	/*
	 * Checking runs: what each page must hold. check_memory: a page of memory was just
	 * touched, compare what is there, or write; 0, -ECANCELED (content lost: rcl_run_fail() was
	 * called), or an error of rcl_touch().
	 */
	int (*content_init)(struct run *r);
	int (*check_memory)(struct runner *t, u32 region, u64 page, bool write);
	bool (*check_read)(struct runner *t, u32 region, u64 page, u64 stamp);
	u64 (*begin_write)(struct runner *t, u32 region, u64 page, u64 pages);
	void (*end_write)(struct runner *t, bool failed);
	/*
	 * The same for recordings, by page of the address space; NULL: their content is not
	 * checked. event: a layout change was just made, or a file is about to be cut.
	 */
	int (*play_memory)(struct runner *t, u64 vpn, bool write);
	void (*play_event)(struct runner *t, const struct rcl_trace_event *e);
};

extern const struct world_ops rcl_sim_world;

/* rcl_sim_run() on another world. */
int rcl_run_in(const struct world_ops *world, const struct rcl_sim_request *req, void *world_arg,
	       struct rcl_sim_result *res, struct rcl_error *err);

#endif
