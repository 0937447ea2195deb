/* SPDX-License-Identifier: MIT */
/*
 * What a sizing came to, as plain data, and the page that shows it. Who fills it in and in which
 * other forms it is printed is no business of this folder.
 */
#ifndef RCL_REPORT_REPORT_H
#define RCL_REPORT_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define RCL_REPORT_ACCEPTED_MAX 8
#define RCL_REPORT_AT_MAX	(RCL_REPORT_ACCEPTED_MAX + 1)

/* One run. */
struct rcl_report_point {
	uint64_t limit;	 /* bytes */
	double slowdown; /* against memory for everything; INFINITY: killed */
	uint64_t major_faults, refaults;
	uint64_t swap_in, swap_out; /* pages */
	uint64_t written;	    /* pages, to swap and to files */
	uint64_t run_ns, stall_ns;
	uint64_t wait_ns; /* for devices: what a task waited on the average */
	bool gave_up;	  /* it took too long and was ended: the counts are of a part */
};

/* The smallest limit for an accepted slowdown. */
struct rcl_report_answer {
	bool found;
	uint64_t limit;
	double slowdown;      /* there */
	uint64_t worse_limit; /* the next smaller limit that was run; 0: none */
	double worse_slowdown;
};

/* A row of the table of settings; the first is the one of the curve. */
struct rcl_report_setting {
	const char *name;
	struct rcl_report_answer answers[RCL_REPORT_ACCEPTED_MAX];
	/* slowdown under this setting at the limit that the first setting needs; 0: not known */
	double at[RCL_REPORT_ACCEPTED_MAX];
	uint32_t nr_points; /* its own curve, from the largest limit down */
	struct rcl_report_step {
		uint64_t limit;
		double slowdown;
	} * points;
};

struct rcl_report_region {
	const char *name;
	bool file;
	uint64_t pages; /* touched */
	struct {
		uint64_t refaults, major_faults, stall_ns;
	} at[RCL_REPORT_AT_MAX]; /* as rcl_report.at */
};

/* Pages over the course of the program, by share of its accesses. */
struct rcl_course {
	uint32_t nr;
	uint64_t *working_set; /* touched in the part */
	uint64_t *footprint;   /* touched from the start to the end of the part */
};

struct rcl_report {
	const char *trace, *version;
	uint64_t accesses, anon_pages, file_pages;
	uint64_t need;	 /* bytes at the most when nothing limits it */
	uint64_t run_ns; /* then */
	uint64_t own_ns; /* of that, the program's own work as far as it is known; 0 = unknown */
	uint64_t memory, swap;
	const char *device, *swap_device;
	uint64_t exact; /* limits are exact to so many bytes */
	uint32_t nr_runs;

	uint32_t nr_points;
	struct rcl_report_point *points; /* from the largest limit down */
	uint32_t nr_accepted;
	double accepted[RCL_REPORT_ACCEPTED_MAX];
	uint32_t nr_settings;
	struct rcl_report_setting *settings;
	uint32_t nr_at; /* limits at which the regions are told apart */
	struct {
		uint64_t limit;
		double slowdown;
	} at[RCL_REPORT_AT_MAX];
	uint32_t nr_regions;
	struct rcl_report_region *regions; /* those that matter most first */
	struct rcl_course course;
};

/* One HTML page that needs nothing else. A failed write shows in ferror(out). */
void rcl_report_html(const struct rcl_report *r, FILE *out);

/* course.c: cut a trace's course into `nr` parts. -ENOMEM. */
struct rcl_trace_image;
int rcl_course_of(const struct rcl_trace_image *trace, uint32_t nr, struct rcl_course *out);
void rcl_course_free(struct rcl_course *course);

#endif
