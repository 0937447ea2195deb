/* SPDX-License-Identifier: MIT */
/* What `reclaim top` shows of a machine: the last samples of it, and what follows from them. */
#ifndef RCL_CLI_TOP_H
#define RCL_CLI_TOP_H

#include "api/stats_read.h"
#include "cli/cli.h"

#define TOP_HISTORY 120u

/* What is shown per second. */
enum top_rate {
	TOP_FAULTS,
	TOP_MAJOR_FAULTS,
	TOP_REFAULTS,
	TOP_SCANNED,
	TOP_RECLAIMED,
	TOP_SWAPPED_IN,
	TOP_SWAPPED_OUT,
	TOP_READ,
	TOP_WRITTEN,
	TOP_STALLED_SOME,
	TOP_STALLED_FULL,
	NR_TOP_RATES
};
enum top_unit {
	TOP_COUNT,
	TOP_BYTES,
	TOP_SHARE /* of time, in parts per million */
};
struct top_rate_info {
	const char *figure, *title;
	enum top_unit unit;
};
extern const struct top_rate_info top_rates[NR_TOP_RATES];

/* A line of the list of groups. */
struct top_group {
	const struct stats_group *record;
	char *path;				  /* with the groups above */
	u64 usage, limit;			  /* bytes; limit INT64_MAX: none */
	u64 faults, refaults, scanned, reclaimed; /* per second */
	u64 stalled;				  /* share of time, in parts per million */
};

enum top_sort {
	TOP_BY_TREE,
	TOP_BY_USAGE,
	TOP_BY_FAULTS,
	TOP_BY_REFAULTS,
	TOP_BY_RECLAIMED,
	TOP_BY_STALLED,
	NR_TOP_SORTS
};
extern const char *const top_sort_names[NR_TOP_SORTS + 1]; /* ends with NULL */

struct top {
	int fd;				/* of the page */
	struct stats_view last, before; /* before.block NULL: there is only one sample */
	u64 rates[NR_TOP_RATES];
	u64 history[NR_TOP_RATES][TOP_HISTORY]; /* of rates, oldest first */
	u32 nr_history;
	struct top_group *groups;
	u32 nr_groups;
	enum top_sort sort;
};

/*
 * Read the page again. 1: it has changed, and everything follows it; 0: it has not; else what
 * rcl_stats_load() says.
 */
int top_update(struct top *t);
/* Put the groups in the order of t->sort. */
void top_sort_groups(struct top *t);
void top_free(struct top *t);

/* All of it as text and as JSON. */
void top_print(const struct top *t, FILE *out);
int top_print_json(const struct top *t, FILE *out);
/* A rate or an amount, for people. buf: TEXT_MAX bytes of table.h. */
char *top_amount(u64 n, enum top_unit unit, char *buf);

/* The screen (top_screen.c), until q is pressed or the program ends: an exit code. */
int top_screen(struct top *t, u64 interval_ms);

#endif
