/* SPDX-License-Identifier: MIT */
/*
 * A recording while it is read. Private to native.c, which reads, and native_image.c, which makes
 * the image of what was read.
 */
#ifndef RCL_TRACE_NATIVE_LOAD_H
#define RCL_TRACE_NATIVE_LOAD_H

#include <zstd.h>

#include "trace/areas.h"
#include "trace/format.h"
#include "trace/live.h"
#include "trace/native.h"

#define NOWHERE UINT32_MAX

struct rcl_load_task {
	bool known;
	uint32_t index; /* in the image */
	uint32_t process, parent;
	uint32_t how;
	uint64_t *words;
	uint64_t count, max, references, instructions;
};

struct rcl_load_process {
	bool known;
	uint32_t index;
	struct rcl_areas areas;
	bool copy;	/* a fork that has not called exec: its pages may be its parent's */
	uint32_t first; /* task */
};

struct rcl_load_region {
	bool known;
	uint32_t kind;
	char *name;
	uint64_t bytes, pages; /* at first; at most */
	uint64_t touches, writes, live, peak, end;
	uint32_t index; /* in the image */
};

struct rcl_native_load {
	struct rcl_trace *t;
	bool keep;
	struct rcl_load_task *tasks;	    /* by number */
	struct rcl_load_process *processes; /* by number */
	struct rcl_load_region *regions;    /* by number */
	uint32_t nr_regions;		    /* one past the highest known */
	uint32_t nr_tasks, end_tasks;	    /* how many; one past the highest number of a task */
	struct rcl_trace_event *events;
	uint32_t nr_events, max_events;
	struct rcl_live live;
	uint64_t live_anon, peak_anon, peak, by_kind[3];
	uint8_t *raw;
	ZSTD_DCtx *zstd;
	struct rcl_trace_summary sum;
	struct rcl_trace_recording rec;
	char *command;
};

/* -ENOMEM, with its text in the trace. */
int rcl_native_no_memory(struct rcl_native_load *l);
/* Everything is read: make the image. Words go over to it. */
int rcl_native_make_image(struct rcl_native_load *l, struct rcl_trace_image **out);

#endif
