/* SPDX-License-Identifier: MIT */
/*
 * The simulator: a platform of virtual time, coroutine tasks and modelled devices.
 *
 * Same configuration, same seed, same calls: the same order of events. Nothing is global; several
 * simulators may run on several host threads, each used by one thread at a time.
 *
 *	rcl_sim_create(&cfg, &sim);
 *	rcl_machine_open(... rcl_sim_platform(sim) ...);	spawns the machine's own tasks
 *	rcl_sim_spawn_user(sim, task, fn, arg);			one for each simulated program
 *	rcl_sim_run_users(sim);				until every user task has ended
 *	rcl_machine_close(m);
 *	rcl_sim_destroy(sim);
 *
 * The calling thread is itself a task ("main"): it may call the engine before, between and after
 * runs, and when it has to wait there, the other tasks run meanwhile.
 */
#ifndef RCL_SIM_H
#define RCL_SIM_H

#include "platform/platform.h"

struct rcl_sim;

#define RCL_SIM_MAX_CPUS    64
#define RCL_SIM_MAX_DEVICES 64

/* What CPU work costs (RCL_WORK in platform.h), as a preset. */
struct rcl_sim_costs {
	const char *name, *help;
	u32 ns[NR_WORK];
};

/*
 * A block device: `queue_depth` requests in flight; a request is ready `latency` after it starts,
 * then takes its turn on the one channel for request_ns + its bytes / bandwidth, and on a disk
 * with a moving head for seek_ns more unless it continues where the last one ended. Writes may have
 * a channel of their own, without seeks.
 */
#define RCL_SIM_PACES 64
struct rcl_sim_device_config {
	const char *name;
	u64 read_latency_ns, write_latency_ns;
	u64 bandwidth;	       /* bytes per second; 0 = no limit */
	u64 request_ns;	       /* channel time of a request besides its bytes */
	u64 write_request_ns;  /* 0: writes take their turn with reads. Else they have a channel */
	u64 write_page_ns;     /* of their own: for a request, and for each page */
	u64 seek_ns;	       /* average seek and rotation; 0 = no moving head */
	u32 queue_depth;       /* requests in flight; 0 = 1 */
	u32 nr_requests;       /* requests queued or plugged before submitters wait; 0 = no limit */
	u32 max_request_bytes; /* adjacent pages merge up to this; 0 = one page */
	u32 wbt_depth;	  /* writeback throttling: writes queued before writers wait; 0 = off */
	bool write_cache; /* has a volatile cache: throttled writers wait until it is idle */
	bool rotational;  /* what the device says of itself (swap allocates accordingly) */
	/*
	 * Works off its requests one by one, in their order, and says that they are done when it has
	 * none left: write_request_ns, write_page_ns are what writes take on the one channel.
	 */
	bool ends_together;
	u32 few_pages; /* those of a request that come after so many take this; 0: as the others */
	u64 read_many_ns, write_many_ns;
	u32 pace[RCL_SIM_PACES]; /* percent, one by chance each time it wakes up; 0: always 100 */
	u64 chance;		 /* which ones */
	bool same_disk;		 /* as the device added before it, if both end together */
	u32 plug_pages;		 /* in a plug before it is emptied; 0: as in the kernel */
	/* faults, in parts per million of requests */
	u32 fail_read_ppm, fail_write_ppm;
	u32 slow_ppm; /* completes RCL_SIM_SLOW_FACTOR times its usual time late */
};
#define RCL_SIM_SLOW_FACTOR 100

struct rcl_sim_config {
	u64 seed;
	u32 nr_cpus;	    /* 0 = 1 */
	const char *costs;  /* a preset's name; NULL = "native" */
	bool check;	    /* pages have content: an 8-byte stamp each */
	bool explore;	    /* random scheduling at every poll, random wake order, device jitter */
	size_t stack_bytes; /* of a task; 0 = 64 KiB */
	u64 hung_task_ns;   /* all users asleep this long without a timeout or I/O: a deadlock; 0 =
			       600 s */
	/* NULL: rcl_end_io */
	void (*end_io)(struct rcl *m, const struct rcl_io *io, int error);
};

struct rcl_sim_device_stats {
	u64 requests[2], pages[2]; /* completed, by enum rcl_io_op */
	u64 errors;		   /* requests */
	u64 slow;		   /* requests */
	u64 busy_ns;		   /* time with something in flight */
	u64 request_ns;		   /* sum over requests of start to completion */
	u64 wait_ns;		   /* sum over requests of submission to start */
};

struct rcl_sim_stats {
	u64 switches;	 /* a CPU took up another task than it ran last */
	u64 preemptions; /* a running task had to make way */
	u64 migrations;	 /* a task woke or was moved to another CPU */
	u64 events;	 /* completions and timers */
	u64 idle_ns;	 /* summed over CPUs */
};

/* 0, -EINVAL or -ENOMEM. */
int rcl_sim_create(const struct rcl_sim_config *cfg, struct rcl_sim **out);
/* Frees everything, tasks that never ended included. Called from the thread that created it. */
void rcl_sim_destroy(struct rcl_sim *sim);
struct platform *rcl_sim_platform(struct rcl_sim *sim);
/* The calling thread's own task. */
struct task *rcl_sim_main_task(struct rcl_sim *sim);

/* Start a user task; runs when rcl_sim_run_users is called or main waits. 0 or -ENOMEM. */
int rcl_sim_spawn_user(struct rcl_sim *sim, struct task *t, void (*fn)(void *), void *arg);
/*
 * Run until all user tasks have ended: 0. -EDEADLK if that can never be, because all that live
 * wait for wake-ups that nobody is left to give; rcl_sim_report() then says who waits on what.
 */
int rcl_sim_run_users(struct rcl_sim *sim);
/* Why the last run ended with an error; "" if it did not. Lives as long as the simulator. */
const char *rcl_sim_report(struct rcl_sim *sim);
/*
 * Call fn once, with the first event at that time or later: between what tasks do, so it may not
 * wait. Until then nothing is different from a run without. There is one such call; `at` 0: none.
 */
void rcl_sim_at(struct rcl_sim *sim, u64 at, void (*fn)(void *), void *arg);
/* A digest of every scheduling decision and every event so far: equal runs have equal digests. */
u64 rcl_sim_digest(const struct rcl_sim *sim);
void rcl_sim_get_stats(const struct rcl_sim *sim, struct rcl_sim_stats *out);

/* The presets; a NULL name ends the list. */
const struct rcl_sim_costs *rcl_sim_cost_presets(void);

/* nvme, ssd, hdd, virtio; NULL when unknown. rcl_sim_device_presets() ends with a NULL name. */
const struct rcl_sim_device_config *rcl_sim_device_preset(const char *name);
const struct rcl_sim_device_config *rcl_sim_device_presets(void);
/* Add a device: its index (rcl_io.dev), -EINVAL or -ENOMEM. */
int rcl_sim_add_device(struct rcl_sim *sim, const struct rcl_sim_device_config *cfg);
const struct rcl_sim_device_config *rcl_sim_device_config(const struct rcl_sim *sim, u16 dev);
void rcl_sim_device_get_stats(const struct rcl_sim *sim, u16 dev, struct rcl_sim_device_stats *out);

/*
 * Checking runs: the content of a block as the device holds it now. A block that was never written
 * holds rcl_sim_blank(dev, block), which no other block holds and which is not zero.
 */
u64 rcl_sim_device_content(struct rcl_sim *sim, u16 dev, u64 block);
static inline u64 rcl_sim_blank(u16 dev, u64 block)
{
	return 1ull << 63 | (u64)dev << 48 | (block & ((1ull << 48) - 1));
}

#endif
