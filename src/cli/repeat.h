/* SPDX-License-Identifier: MIT */
/* Several runs of the same, as one: medians, and how far apart they are. */
#ifndef RCL_CLI_REPEAT_H
#define RCL_CLI_REPEAT_H

#include "cli/report.h"
#include "platform/host/measure.h"

/*
 * `nr` runs of the same request as one job. Counters, times and lists are medians of those runs
 * that ended well, and spread (two results whose counters begin at 0) is what is between the least
 * and the greatest. Outcome, text and failure are those of the worst run. `out` owns what it has.
 * -ENOMEM: nothing to free.
 */
int cli_repeat_merge(const struct sim_job *runs, u32 nr, struct sim_job *out,
		     struct run_spread *spread);
/* Medians of what the runs measured, in place of the first. */
void cli_repeat_figures(struct rcl_host_figures *f, u32 nr);

#endif
