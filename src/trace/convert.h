/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_CONVERT_H
#define RCL_TRACE_CONVERT_H

#include "trace/trace.h"

/*
 * A trace in another format. `out` is a file, or "-" for standard output. 0, or a negative errno
 * with a text.
 *
 * To reclaim's own format: what was in one region each gets an address of its own.
 */
int rcl_convert_native(const struct rcl_trace_image *image, const char *source, const char *out,
		       struct rcl_error *err);

/*
 * To libCacheSim's oracleGeneral: a request of 4096 bytes for each page accessed, the object being
 * the page. Several tasks are merged as if they went through their accesses side by side.
 */
int rcl_convert_oracle(const struct rcl_trace_image *image, const char *out, struct rcl_error *err);

/*
 * What strace printed, or perf script: to reclaim's own format. `path` is a file or "-"; compressed
 * or not. -EBADMSG when nothing of it can be used.
 */
int rcl_import_strace(const char *path, const char *out, struct rcl_error *err);
int rcl_import_perf(const char *path, const char *out, struct rcl_error *err);

#endif
