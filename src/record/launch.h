/* SPDX-License-Identifier: MIT */
#ifndef RCL_RECORD_LAUNCH_H
#define RCL_RECORD_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/error.h"

/* Recording a program: `reclaim record` without its command line. */
struct rcl_record_request {
	const char *out;	 /* the trace */
	uint64_t window;	 /* references */
	bool calibrate;		 /* run it once without the emulator, for its time */
	const char *qemu;	 /* NULL: qemu-x86_64, from $PATH */
	const char *const *argv; /* ends with NULL */
};

struct rcl_record_result {
	int status; /* exit code, or 128 + signal */
	uint64_t references, instructions, tasks, bytes;
	uint64_t native_ns; /* CPU time without emulation; 0: not calibrated */
	uint64_t native_wall_ns;
	uint64_t wall_ns, cpu_ns; /* of the recording */
	uint32_t native_execs;	  /* programs that were not followed into */
	uint32_t regions_lost;
};

/*
 * 0 when there is a trace, however the program ended. Else a negative errno with a text: -ENOENT
 * (program or emulator not found), -ENOEXEC (not for x86-64 Linux), -ENOSPC and other failures to
 * write, -ECHILD (nothing was recorded).
 */
int rcl_record(const struct rcl_record_request *req, struct rcl_record_result *res,
	       struct rcl_error *err);

#endif
