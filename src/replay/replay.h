/* SPDX-License-Identifier: MIT */
/*
 * Replaying a trace on real memory, real files and a real swap file.
 *
 * The run is the simulator's (sim/driver.h): same machine, same group, same start, same accesses,
 * same result. But a page is 4 KiB of memory that is written and read, a file is a file, and tasks
 * are threads. Every page's content is verified: at each access, and, but for recordings, all of
 * them once more at the end. So what `reclaim sim` predicts and what the engine does can be put side
 * by side.
 */
#ifndef RCL_REPLAY_H
#define RCL_REPLAY_H

#include "platform/host/measure.h"
#include "sim/driver.h"

struct rcl_replay_options {
	const char *dir; /* where the trace's files are made, unnamed; NULL: $TMPDIR or /var/tmp */
	const char *swap_path; /* swap file; NULL: an unnamed one in dir */
	u32 threads;	       /* share a trace's one task out to so many; 0 = 1 */
	bool no_uring;
	struct rcl_host_figures *figures; /* gets what I/O took; NULL: not wanted */
};

/*
 * Run; req->check is taken as given, costs and device presets do not apply, and times are real
 * ones. Needs disk space for all file pages of the trace and for what is swapped. A recording has
 * its own tasks: -EINVAL if it is to be shared out. As rcl_sim_run() otherwise.
 */
int rcl_replay_run(const struct rcl_sim_request *req, const struct rcl_replay_options *opt,
		   struct rcl_sim_result *res, struct rcl_error *err);

/*
 * The simulator's device preset that says of itself what the disk of a folder says (a moving head
 * or not decides how swap slots are given out): for predicting a run there.
 */
const char *rcl_replay_device_like(const char *dir);

#endif
