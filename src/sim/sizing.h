/* SPDX-License-Identifier: MIT */
/*
 * Which memory limits to try next: the search for the smallest limit at which a program is slowed
 * down no more than is accepted. Pure logic: it names limits, the caller runs them and tells what
 * came out.
 */
#ifndef RCL_SIM_SIZING_H
#define RCL_SIM_SIZING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RCL_SIZING_ACCEPTED_MAX 8
#define RCL_SIZING_POINTS_MAX	256
/* Limits that one call of rcl_sizing_next() names at most. */
#define RCL_SIZING_BATCH 16

struct rcl_sizing_point {
	uint64_t limit;
	double slowdown; /* INFINITY: the program was killed */
};

struct rcl_sizing {
	uint64_t top;	  /* what the program uses at most */
	uint64_t quantum; /* limits are multiples of it; answers are exact to it */
	uint64_t floor;	  /* nothing below is tried */
	uint64_t ceiling; /* nor above */
	double accepted[RCL_SIZING_ACCEPTED_MAX];
	unsigned int nr_accepted;
	unsigned int max_points;
	unsigned int want_points; /* a curve to look at has this many, answers or no */
	unsigned int nr_points;
	struct rcl_sizing_point points[RCL_SIZING_POINTS_MAX]; /* from the largest limit down */
	uint64_t hints[RCL_SIZING_POINTS_MAX];
	unsigned int nr_hints;
};

/*
 * A search from `need` bytes, what the program uses at most when nothing limits it, downwards; and
 * upwards to `most` where that is not enough, since some limits (of dirty memory) are shares of the
 * group's. At most RCL_SIZING_ACCEPTED_MAX slowdowns; max_points is the most runs it may ask for.
 */
void rcl_sizing_init(struct rcl_sizing *s, uint64_t need, uint64_t most, const double *accepted,
		     unsigned int nr_accepted, unsigned int max_points);
/*
 * A search for the same program under another setting. It looks first where `near` has looked, so
 * that the two can be compared, but not far below near's answers; near's point at the top is taken
 * over.
 */
void rcl_sizing_init_near(struct rcl_sizing *s, const struct rcl_sizing *near,
			  unsigned int max_points);

/* Limits to run before the next call: how many; 0 when the search is over. */
size_t rcl_sizing_next(const struct rcl_sizing *s, uint64_t limits[RCL_SIZING_BATCH]);
/* What came out. A limit counts once. */
void rcl_sizing_add(struct rcl_sizing *s, uint64_t limit, double slowdown);

struct rcl_sizing_answer {
	bool found;		      /* false: no limit was good enough */
	struct rcl_sizing_point good; /* the smallest from which on upwards all are */
	bool has_bad;		      /* false: nothing smaller was tried, or there is nothing */
	struct rcl_sizing_point bad;  /* the next smaller one that was tried */
};
struct rcl_sizing_answer rcl_sizing_answer(const struct rcl_sizing *s, double accepted);

bool rcl_sizing_is_valid(const struct rcl_sizing *s);

#endif
