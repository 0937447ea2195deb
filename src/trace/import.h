/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_IMPORT_H
#define RCL_TRACE_IMPORT_H

#include "trace/error.h"

/*
 * Give each line of a text, without its end, to fn: 0, what fn returned if that was not 0, or a
 * negative errno with a text. A line longer than 64 KiB comes cut. `line` may be written to.
 */
int rcl_import_lines(const char *path, int (*fn)(void *arg, char *line), void *arg,
		     struct rcl_error *err);

#endif
