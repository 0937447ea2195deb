/* SPDX-License-Identifier: MIT */
/*
 * Recordings of a real kernel: what it was run with and what its counters were.
 *
 * A recording is a text file of lines
 *
 *   SETTINGS trace=mixed ram_mib=512 limit=96M page_cluster=0
 *   GUEST kernel=6.1.0 limit=96M lru_gen=0x0000 swappiness=60 page_cluster=0
 *   Node 0, zone DMA min 22 low 27 high 32 managed 3840 Node 0, zone DMA32 min 656 ...
 *   VMSTAT start nr_free_pages=107233 ...       and VMSTAT end, MEMSTAT start, MEMSTAT end
 *   TIME ms=17892 ops=274576 sink=19
 *   EXIT 0
 *
 * in which a counter that is not there is zero. Its name is TRACE.POLICY[.SETTING].txt, and that of
 * a second run of the same TRACE.POLICY[.SETTING].repeat.txt.
 */
#ifndef RCL_SIM_RECORDING_H
#define RCL_SIM_RECORDING_H

#include "sim/driver.h"

struct rcl_recorded_counter {
	char name[48];
	s64 value;
};
struct rcl_recorded_list {
	u32 nr;
	struct rcl_recorded_counter counter[256];
};

#define RCL_RECORDED_ZONES_MAX 8
struct rcl_recorded_zone {
	u32 node;
	char name[12];
	u64 min, low, high, managed;
};

struct rcl_recording {
	char trace[64]; /* name of the specification */
	bool has_limit;
	u64 limit;   /* bytes */
	u32 lru_gen; /* not 0: the multi-generational LRU */
	s64 swappiness, page_cluster;
	u32 nr_zones;
	struct rcl_recorded_zone zones[RCL_RECORDED_ZONES_MAX];
	struct rcl_recorded_list vmstat[2], memstat[2]; /* start, end */
	u64 time_ms;
	char unknown[128]; /* settings that are not understood, each with a space in front */
};

/* Parse a recording; `name` stands for it in texts. 0, or -EBADMSG with the line number. */
int rcl_recording_parse(const char *name, const char *text, size_t size, struct rcl_recording *rec,
			struct rcl_error *err);
/* Read and parse a file. */
int rcl_recording_read(const char *path, struct rcl_recording *rec, struct rcl_error *err);
s64 rcl_recorded_get(const struct rcl_recorded_list *list, const char *name);
static inline s64 rcl_recorded_delta(const struct rcl_recorded_list pair[2], const char *name)
{
	return rcl_recorded_get(&pair[1], name) - rcl_recorded_get(&pair[0], name);
}

/*
 * The run that stands for the recording: machine layout, watermarks, settings, and what was in
 * memory at the start. The caller sets trace and check. -EINVAL when no machine has these zones.
 */
int rcl_recording_request(const struct rcl_recording *rec, struct rcl_sim_request *req,
			  struct rcl_error *err);

/* The counters that are compared, in order; NULL ends the list. */
extern const char *const rcl_recording_counters[];
/* One of them as the recording has it. */
s64 rcl_recording_value(const struct rcl_recording *rec, const char *counter);
/* The same of a run. */
s64 rcl_recording_run_value(const struct rcl_recording *rec, const struct rcl_sim_result *res,
			    const char *counter);
/*
 * How far off a run may be, in counts: a counter of 1,000 and more by 5% under a limit and by 15%
 * without, or by twice what the kernel's own second recording differs; a smaller one by 50.
 */
s64 rcl_recording_bound(const struct rcl_recording *rec, const struct rcl_recording *repeat,
			const char *counter);

#endif
