/* SPDX-License-Identifier: MIT */
/* Several runs side by side, with progress on the terminal. */
#ifndef RCL_CLI_RUNS_H
#define RCL_CLI_RUNS_H

#include "cli/report.h"

/*
 * Do every job: req is set, res, err and ret come out. `title` (NULL: nothing) goes to stderr with
 * the share that is done, and vanishes at the end. threads 0: one per core. 0, or CLI_FAILED after
 * saying why.
 */
int run_jobs(struct sim_job *jobs, size_t nr, const char *title, unsigned int threads);

/* What a program that made these runs exits with. */
int run_exit_code(const struct sim_job *jobs, size_t nr);

#endif
