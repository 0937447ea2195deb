/* SPDX-License-Identifier: MIT */
/*
 * The statistics page: what a machine shows of itself to other programs, as one block of memory.
 *
 * The block holds a header, the name and kind of every figure once, the machine's figures, and one
 * record for each group with the group's figures. It is made by stats_image.c, kept in a file by
 * stats_page.c, read and checked by stats_read.c, and turned into Prometheus' text by metrics.c.
 *
 *	header | names: machine's, then a group's | machine's figures | group records
 *
 * Who reads it finds figures by name, so that figures may be added without a new version; the
 * version changes when the layout does. Byte order and alignment are the machine's: the file never
 * leaves it.
 *
 * The file is named reclaim-PID-N and lies in $XDG_RUNTIME_DIR, or /dev/shm. Its mode is 0600. Who
 * keeps it has it locked (flock) as long as it lives, so a file that can be locked is a dead one's;
 * as is one that is locked by a child alone (which has no lock by fcntl()) and not written any more.
 * It is written with pwrite(), so that a file that somebody cut short cannot fault its writer, and
 * in three steps, a sequence lock: sequence number made odd, everything else, number made even.
 */
#ifndef RCL_API_STATS_PAGE_H
#define RCL_API_STATS_PAGE_H

#include "mm/types.h"

#define STATS_MAGIC	 "RCLSTATS"
#define STATS_VERSION	 1u
#define STATS_NAME_MAX	 40u
#define STATS_GROUPS_MAX 64u
#define STATS_NO_PARENT	 UINT32_MAX
#define STATS_INTERVAL	 250u /* ms between updates */

enum stats_kind {
	STATS_GAUGE,
	STATS_COUNTER, /* only ever grows */
};
enum stats_unit {
	STATS_NUMBER,
	STATS_PAGES,
	STATS_BYTES,
	STATS_KIB,
	STATS_NS,
};

struct stats_name {
	char name[STATS_NAME_MAX];
	u8 kind, unit; /* enum stats_kind, stats_unit */
	u8 own;	       /* ours; else the name is the kernel's */
	u8 unused[5];
};

struct stats_header {
	char magic[8];
	u32 version;
	u32 seq;			  /* odd: being written */
	u32 bytes;			  /* of the whole block */
	u32 nr_figures, nr_group_figures; /* constant, like all that follows but for nr_groups */
	u32 nr_groups, max_groups;	  /* records in use; records there are */
	u32 groups_left_out;		  /* groups that there was no record for */
	u32 names_at, figures_at;	  /* offsets in the block */
	u32 groups_at, group_bytes;	  /* of the first record; of each */
	u32 interval_ms;		  /* between updates */
	s32 pid;			  /* as its writer sees itself */
	u64 opened_ns, updated_ns;	  /* CLOCK_MONOTONIC */
	char machine[64];		  /* its name */
};

struct stats_group {
	char name[32];
	u32 id, parent; /* parent: index of its record, before this one; or STATS_NO_PARENT */
	s64 figures[];
};

/* ---- Keeping one in a file (stats_page.c) ---- */

struct rcl_stats_page;

/*
 * Make the file, with the block as it is now. Removes the files of those of our own processes that
 * are no more. 0; or -errno, and *message (if message is not NULL) says more.
 */
int rcl_stats_page_create(struct stats_header *block, struct rcl_stats_page **out, char **message);
/* Write the block, the same that it was created with, again. Sets its seq. */
void rcl_stats_page_update(struct rcl_stats_page *page);
/* Remove the file, unless keep: then only let go of it. NULL: nothing. */
void rcl_stats_page_destroy(struct rcl_stats_page *page, bool keep);
const char *rcl_stats_page_path(const struct rcl_stats_page *page);

#endif
