/* SPDX-License-Identifier: MIT */
/*
 * One trace on one simulated machine: from a request to the counters and times it ends with.
 *
 * A run is a value: it opens its own platform and machine, shares nothing but the read-only trace,
 * and may run on any thread beside others. The same request gives the same result, bit for bit.
 *
 * The machine of a run: one node (or the layout the request gives), a disk that holds the trace's
 * files one behind the other, a swap device, kswapd and a flusher as the engine starts them. The
 * program: a group with memory.max (none: the root group), a task for each task of the trace, and
 * in its address space each region at an address of its own, 1 GiB aligned. A recording says itself
 * what lies where; see play.c.
 */
#ifndef RCL_SIM_DRIVER_H
#define RCL_SIM_DRIVER_H

#include "mm/page_alloc.h"
#include "mm/tunables.h"
#include "mm/vmstat.h"
#include "trace/trace.h"

struct rcl_sim_device_config; /* platform/sim/sim.h */

#define RCL_SIM_NO_LIMIT UINT64_MAX

/* What is in memory before the first access that counts. Pages. */
struct rcl_sim_start {
	/* The program's own, charged to its group. */
	u32 anon_pages;	  /* its data, heap and stack: written once, reclaimable */
	u32 locked_pages; /* mlocked buffers */
	u32 file_pages;	  /* page cache it has used twice */
	u32 kernel_pages; /* kernel memory of the group in all; page tables are part of it */
	/* The rest of the machine, charged to nobody. */
	u64 other_inactive_anon; /* swappable memory that nobody will use again */
	u64 other_active_anon;
	u64 free_pages; /* kernel memory takes what exceeds this; 0 = the kernel takes none */
	u64 kernel_reclaimable; /* of the kernel's memory: slabs that count as reclaimable */
	u64 kernel_dma;		/* of the kernel's memory: taken from ZONE_DMA */
};
/* A small program written in C, as cgroups see it: what a run starts with unless told otherwise. */
#define RCL_SIM_SMALL_PROGRAM ((struct rcl_sim_start){.anon_pages = 15, .kernel_pages = 15})

enum rcl_sim_readahead {
	RCL_SIM_READAHEAD_AUTO, /* off for tracegen's traces, whose recordings have none */
	RCL_SIM_READAHEAD_ON,
	RCL_SIM_READAHEAD_OFF, /* MADV_RANDOM and POSIX_FADV_RANDOM on everything */
};

struct rcl_sim_progress {
	/* Called now and then from the run's thread; a false return ends the run with -ECANCELED.
	 */
	bool (*report)(void *arg, u64 accesses_done, u64 accesses);
	void *arg;
};

struct rcl_sim_request {
	const struct rcl_trace_image *trace;
	u64 limit;    /* memory.max in bytes, or RCL_SIM_NO_LIMIT */
	u64 memory;   /* of the machine, bytes; 0 = more than the trace can use */
	u32 nr_nodes; /* explicit layout, used instead of `memory` when not 0 */
	struct rcl_node_layout nodes[4];
	u64 swap;    /* bytes; 0 = no swap */
	u32 nr_cpus; /* 0 = 1 */
	struct tunables tunables;
	const char *device;	 /* preset of the disk; NULL = RCL_SIM_DEFAULT_DEVICE */
	const char *swap_device; /* preset of the swap device; NULL = the same */
	/* Used instead of presets, for both the disk and swap, if not NULL; NR_WORK costs. */
	const struct rcl_sim_device_config *device_config;
	const u32 *cost_ns;
	const char *cost; /* what CPU work costs: "native" (NULL) or "emulated" */
	u64 seed;
	bool check; /* carry content and compare every read; check invariants */
	enum rcl_sim_readahead readahead;
	bool charges_wait; /* as on real threads: see wait_for_writeback() in memcg.c */
	bool no_buffers;   /* the filesystem attaches no buffer heads to written pages */
	u64 give_up_ns;	   /* end a run that takes longer, in its own time; 0 = never */
	bool by_region;	   /* tell the regions' shares of faults and refaults apart */
	struct rcl_sim_start start;
	struct rcl_sim_progress progress;
};

#define RCL_SIM_DEFAULT_DEVICE "nvme"
/* debug.check_every when the request says check and the tunables do not say how often. */
#define RCL_SIM_CHECK_EVERY 1000000

/* Everything off, small program, defaults of all tunables; the caller sets trace and sizes. */
void rcl_sim_request_init(struct rcl_sim_request *req, const struct rcl_trace_image *trace);
/* The memory a machine gets when the request says 0, in bytes. */
u64 rcl_sim_auto_memory(const struct rcl_trace_image *trace);
/* Swap that cannot fill up, in bytes: twice the anonymous footprint. */
u64 rcl_sim_auto_swap(const struct rcl_trace_image *trace);
/* 0, or -EINVAL with a text: settings that no machine can be opened with. Opens nothing. */
int rcl_sim_request_check(const struct rcl_sim_request *req, struct rcl_error *err);

/* A list of counters at the start and end of the counted part, in one order. */
struct rcl_sim_counters {
	size_t nr;
	struct rcl_counter start[RCL_COUNTERS_MAX], end[RCL_COUNTERS_MAX];
};
/* End minus start of one counter; 0 if there is none of that name. */
s64 rcl_sim_delta(const struct rcl_sim_counters *c, const char *name);
s64 rcl_sim_end(const struct rcl_sim_counters *c, const char *name);

#define RCL_SIM_TIMELINE 24

enum rcl_sim_outcome {
	RCL_SIM_COMPLETED,
	RCL_SIM_OOM,	   /* a task was killed for want of memory */
	RCL_SIM_IO_ERROR,  /* a page of a mapping could not be read: the task died of SIGBUS */
	RCL_SIM_CANCELLED, /* by the progress callback */
	RCL_SIM_CORRUPT,   /* check: a read did not return what was written last */
	RCL_SIM_BROKEN,	   /* check: an invariant of the machine does not hold */
	RCL_SIM_TOO_LONG,  /* it took give_up_ns and was not done */
};

struct rcl_sim_task_result {
	u16 id;	      /* as in the trace */
	u64 accesses; /* completed */
	u64 run_ns;   /* from the start until its last access was done */
	u64 stall_ns; /* stalled on memory (PSI's sense) */
	u64 io_ns;    /* waiting for devices */
	u64 cpu_ns;   /* rest: it ran */
};

/* What accesses to one region of the trace met with. Pages read ahead count for the access that
 * started the reading, whosesoever they are. */
struct rcl_sim_region_result {
	u64 major_faults, refaults;
	u64 stall_ns; /* its tasks' time stalled on memory, added up */
};

struct rcl_sim_result {
	enum rcl_sim_outcome outcome;
	u64 bad_access; /* 1-based number of the access in the trace that ended the run */
	char detail[256];
	u64 memory, swap; /* of the machine, bytes */
	struct rcl_sim_counters vmstat, memory_stat;
	u64 lists[5];	   /* pages at the end, in the order of enum lru_list; the group's, or the
			      machine's */
	u64 usage_peak;	   /* bytes charged to the group at most */
	u64 accesses;	   /* done */
	u64 io_errors;	   /* read() and write() calls that failed */
	u64 stray;	   /* recordings: accesses to what another task had unmapped by then */
	u64 run_ns;	   /* virtual time from the first access to the last task's end */
	u64 stall_ns;	   /* some task of the program was stalled on memory */
	u64 full_stall_ns; /* all its tasks were */
	u32 nr_tasks;
	struct rcl_sim_task_result *tasks;
	struct rcl_sim_region_result *regions; /* by_region: one a region of the trace; or NULL */
	/* stall_ns as it came about: a share for each such part of the longest task's accesses */
	u64 timeline[RCL_SIM_TIMELINE];
	u64 wall_ns; /* real time the replay took: for speed reports only */
};

/*
 * Run. 0 when there is a result, whatever its outcome; else -errno with a text and nothing to free.
 */
int rcl_sim_run(const struct rcl_sim_request *req, struct rcl_sim_result *res,
		struct rcl_error *err);
void rcl_sim_result_free(struct rcl_sim_result *res);

#endif
