/* SPDX-License-Identifier: MIT */
/* What the simulator says of a run on real memory, on a disk and a CPU like those of that run. */
#ifndef RCL_CLI_PREDICT_H
#define RCL_CLI_PREDICT_H

#include <stdio.h>

#include "cli/runs.h"
#include "platform/host/measure.h"
#include "platform/sim/sim.h"

/* The disk and the CPU of a run, as the simulator knows such. */
struct measured {
	struct rcl_sim_device_config device;
	u32 cost_ns[NR_WORK];
	u64 slow_ns[2]; /* one read, one write in a hundred took longer; 0: unknown */
};

/*
 * Predict `real`, which measured `f`, into `sim` (whose request is made). What was not measured is
 * as with the preset `like`. What the disk does by chance begins with `chance`. sim->ret says how
 * that went.
 */
void cli_predict(struct sim_job *sim, const struct sim_job *real, const struct rcl_host_figures *f,
		 const char *like, u64 chance, struct measured *out);
/* For several predictions: the medians. */
void cli_measured_median(const struct measured *each, u32 nr, const struct rcl_host_figures *median,
			 const char *like, struct measured *out);
/* One line: with which figures. */
void cli_print_measured(const struct measured *m, FILE *out);

#endif
