/* SPDX-License-Identifier: MIT */
/*
 * What the processes of one recording share: a small file that all of them map. It hands out the
 * numbers of tasks and regions, and carries the first error to the one who started the recording.
 */
#ifndef RCL_RECORD_CONTROL_H
#define RCL_RECORD_CONTROL_H

#include <stdint.h>

#define RCL_CONTROL_MAGIC 0x72636c31u
#define RCL_CONTROL_FILES (1u << 17) /* slots; twice the regions there can be */

/* A file by identity: an inode number may be used again, but not with the same time of birth. */
struct rcl_control_file {
	uint64_t dev, ino, born;
	uint32_t region; /* 0: the slot is free */
};

struct rcl_control {
	uint32_t magic;
	uint32_t lock; /* a futex word would be too much: held for a table look-up */
	uint32_t next_task, next_region;
	int32_t error;	       /* errno of the write that failed; 0: none */
	uint32_t regions_lost; /* files beyond the last region number */
	uint32_t native_execs; /* programs that could not be followed into */
	uint32_t ended;	       /* tasks that were seen to end */
	uint64_t out_dev, out_ino;
	uint64_t references, instructions;
	struct rcl_control_file files[RCL_CONTROL_FILES];
};

#endif
