/* SPDX-License-Identifier: MIT */
/* The runs of `reclaim sim`, and how they are reported. */
#ifndef RCL_CLI_REPORT_H
#define RCL_CLI_REPORT_H

#include <stdio.h>

#include "sim/driver.h"

#define CLI_REPEAT_MAX 99u

/* How far apart several runs of the same are. */
struct run_spread {
	u32 nr;				/* runs */
	u32 nr_worst;			/* of them ended as badly as the worst */
	struct rcl_sim_result min, max; /* each field on its own; counters begin at 0; no tasks */
};

struct sim_job {
	struct rcl_sim_request req;
	struct rcl_sim_result res;
	struct rcl_error err;
	int ret;			 /* of rcl_sim_run; not 0: no result, err says why */
	const struct run_spread *spread; /* res is the median of several runs; NULL: it is one's */
};

struct sim_report {
	const char *path;
	const struct rcl_trace_image *trace;
	const struct sim_job *jobs;
	size_t nr_jobs;
	const char *where; /* not on a modelled device, but here; else NULL */
	const struct sim_job
		*baseline; /* the same with memory for everything; may be one of jobs */
};

/* Run time as a multiple of the baseline's; 0 when there is no telling. */
double report_slowdown(const struct sim_report *r, const struct sim_job *job);
void report_table(const struct sim_report *r, FILE *out);
void report_json(const struct sim_report *r, FILE *out);
void report_csv(const struct sim_report *r, FILE *out);
const char *report_outcome(enum rcl_sim_outcome outcome);

#endif
