/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_WORKLOAD_H
#define RCL_TRACE_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "trace/spec.h"

/* The accesses of a specification, one after the other. Private to src/trace. */
struct rcl_workload;

/* The specification has to stay until the workload is freed. -ENOMEM. */
int rcl_workload_new(struct rcl_workload **out, const struct rcl_spec *spec);
void rcl_workload_free(struct rcl_workload *workload);

/*
 * The next accesses as tracegen records, little-endian: how many, at most `max`, 0 at the end.
 * -ENOMEM; -EINVAL when a zipf's theta leaves no finite probabilities. Both with a text in `err`
 * that begins with `name`.
 */
ssize_t rcl_workload_next(struct rcl_workload *workload, uint32_t *records, size_t max,
			  const char *name, struct rcl_error *err);

#endif
