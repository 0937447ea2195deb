/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_SPEC_H
#define RCL_TRACE_SPEC_H

#include <stddef.h>
#include <stdint.h>

#include "trace/error.h"
#include "trace/trace.h"

/*
 * A workload specification, read. See gen.h for the language. Private to src/trace.
 */

enum rcl_pattern {
	RCL_PATTERN_SCAN,
	RCL_PATTERN_UNIFORM,
	RCL_PATTERN_ZIPF,
};

struct rcl_spec_stream {
	double share; /* of the phase's accesses; the last stream takes the rest whatever it says */
	double arg;   /* scan: stride; zipf: theta */
	double write; /* share of its accesses that write */
	enum rcl_access_kind kind;
	enum rcl_pattern pattern;
	uint64_t lo, hi; /* pages, half open */
	unsigned int line;
};

#define RCL_SPEC_STREAMS 16u

struct rcl_spec_phase {
	uint64_t ops;
	uint32_t nr_streams;
	unsigned int line;
	struct rcl_spec_stream streams[RCL_SPEC_STREAMS];
};

struct rcl_spec {
	uint64_t seed, anon, file;
	uint64_t ops; /* of all phases */
	struct rcl_spec_phase *phases;
	size_t nr_phases, phases_max;
};

/*
 * Read the `size` bytes of a specification; `name` stands in error texts. -EINVAL with the line's
 * number for what is not in the language, -ENODATA when it makes no access. Free it in any case.
 */
int rcl_spec_parse(struct rcl_spec *spec, const char *text, size_t size, const char *name,
		   struct rcl_error *err);
void rcl_spec_free(struct rcl_spec *spec);

#endif
