/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_NATIVE_WRITE_H
#define RCL_TRACE_NATIVE_WRITE_H

#include <stdbool.h>

#include "trace/error.h"
#include "trace/native.h"

/*
 * Writing traces in reclaim's own format: one writer, any number of tasks, one chunk under way for
 * each. The first failure is kept and reported by rcl_native_close; calls after it do nothing.
 */
struct rcl_native_writer;

struct rcl_native_info {
	uint32_t window;	 /* references; 0: every access is in the trace */
	uint64_t native_ns;	 /* the program's own CPU time; 0: not known */
	uint64_t native_wall_ns; /* from its start to its end */
	uint32_t source;	 /* enum rcl_native_source */
	const char *command;
	size_t command_size; /* words, each with a NUL behind it */
};

/* Create the file, with its header; "-" is standard output. */
int rcl_native_create(const char *path, const struct rcl_native_info *info,
		      struct rcl_native_writer **out, struct rcl_error *err);
void rcl_native_put_region(struct rcl_native_writer *w, uint32_t id, unsigned int kind,
			   uint64_t bytes, const char *name);
void rcl_native_put_task(struct rcl_native_writer *w, uint32_t id, uint32_t process,
			 uint32_t parent, enum rcl_native_how how);
void rcl_native_put_access(struct rcl_native_writer *w, uint32_t task, enum rcl_native_record kind,
			   uint32_t region, uint64_t page);
void rcl_native_put_file(struct rcl_native_writer *w, uint32_t task, bool write, uint32_t region,
			 uint64_t offset, uint64_t bytes);
void rcl_native_put_event(struct rcl_native_writer *w, uint32_t task, enum rcl_native_event event,
			  const uint64_t *args);
void rcl_native_put_window(struct rcl_native_writer *w, uint32_t task, uint64_t references,
			   uint64_t instructions);
/* The regions and the first task that every recording begins with. */
void rcl_native_put_start(struct rcl_native_writer *w);
/* All is written: what is under way, and the mark that nothing is missing. */
void rcl_native_put_end(struct rcl_native_writer *w, uint64_t references, uint32_t status);

/* The mark alone, behind what others have appended to a trace since it was created. */
int rcl_native_append_end(const char *path, uint64_t references, uint32_t status,
			  struct rcl_error *err);

/* 0, or the first failure. The writer is gone in either case. */
int rcl_native_close(struct rcl_native_writer *w, struct rcl_error *err);

#endif
