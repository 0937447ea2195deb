/* SPDX-License-Identifier: MIT */
/*
 * What the simulator's files share: its structures, and the calls between them.
 *
 *   sim.c     opening and closing, the platform's operations, the report of a deadlock
 *   sched.c   CPUs, run queues, waiting and waking, the event loop
 *   device.c  plugs, requests, queues, completions
 *   alone.c   reads that nothing else can interfere with
 *   faults.c  what goes wrong, and the presets of devices and costs
 *   data.c    page and block content in checking runs
 *   coro.c    the context switch
 */
#ifndef RCL_SIM_INTERNAL_H
#define RCL_SIM_INTERNAL_H

#include "mm/machine.h"
#include "platform/sim/coro.h"
#include "platform/sim/heap.h"
#include "platform/sim/sim.h"

#define WAIT_BUCKET_BITS 8
#define NR_WAIT_BUCKETS	 (1u << WAIT_BUCKET_BITS)

/* A random stream (splitmix64). Each purpose has its own, so that using one disturbs no other. */
struct rng {
	u64 state;
};
static inline u64 rng_next(struct rng *r)
{
	u64 z = r->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}
/* Uniform in 0..n-1, n < 2^32. */
static inline u64 rng_below(struct rng *r, u64 n)
{
	return (rng_next(r) >> 32) * n >> 32;
}

/* Something due at a time: a member of sim->events. */
enum event_kind {
	EVENT_TIMER,
	EVENT_IO
};
struct sim_event {
	struct heap_node node;
	u8 kind;
	u32 cpu; /* the CPU it interrupts */
};

enum sim_task_state {
	TASK_RUNNABLE,
	TASK_RUNNING,
	TASK_WAITING,
	TASK_ENDED
};

/* The platform's part of a task. Lives at the top of the task's stack; never unmapped before end.
 */
struct sim_task {
	struct task *task;
	struct rcl_sim *sim;
	struct rcl_coro coro;
	u8 state;
	bool user;    /* rcl_sim_run_users waits for it */
	bool forever; /* waits without a timeout */
	u32 cpu;      /* runs or waits there; last ran there when asleep */
	int result;   /* of the wait that just ended */

	/* run queue */
	struct heap_node rq;
	u64 vruntime;
	u64 tie;	 /* order among equal vruntimes */
	u64 exec_start;	 /* CPU time is charged up to here */
	u64 slice_start; /* picked up at */

	/* waiting */
	struct list_head waiter; /* a wait bucket */
	u32 *word, value;
	u64 slept_at;
	struct sim_event timer;

	/* plug */
	u32 plug_depth, plug_count, plug_pages;
	bool plug_multi; /* holds requests of several devices */
	struct list_head plug;

	void (*fn)(void *);
	void *arg;
	u32 ended;	      /* joiners wait for 1 */
	struct list_head all; /* sim->tasks, or sim->free_tasks */
};

struct sim_cpu {
	u64 now;	       /* live copy in platform->now while it is the running CPU */
	struct sim_task *curr; /* NULL: idle, or about to pick */
	struct sim_task *last; /* picking another one costs a switch */
	struct heap rq;	       /* runnable, by vruntime; curr is not in it */
	u64 min_vruntime;
	u64 next_tick; /* matters while others wait in rq */
	u64 idle_since;
	bool need_resched;
	u32 id;
	struct task idle; /* current while an interrupt finds the CPU idle */
};

/* One page of a request. */
struct sim_page_io {
	struct sim_page_io *next;
	struct rcl_io io;
	u64 stamp; /* writes of checking runs: content at submission */
};

struct sim_request {
	struct sim_event event;
	struct list_head link; /* a plug, or the device's queue */
	struct sim_page_io *first, *last;
	u64 block;
	u32 nr_pages;
	u16 dev;
	u8 op;
	bool fail, slow;
	bool reports; /* that it has ended, and all that has before */
	u64 queued_at, started_at;
};

struct block_map;
struct sim_device {
	struct rcl_sim_device_config cfg;
	char name[32];
	u32 max_pages;
	u64 page_ns;	  /* channel time of a page */
	bool predictable; /* a request's end is known when it starts: see alone.c */
	u32 in_flight;
	struct list_head queue; /* beyond the depth, first come first served */
	u64 channel_free;	/* the channel is taken until then */
	u64 write_free;		/* that of writes, if they have one */
	u64 head;		/* block after the last one started */
	u64 busy_since;

	/* of a disk whose requests end together */
	struct sim_device *disk;    /* where its requests go: itself, or another device */
	struct sim_request *newest; /* of those not yet done; NULL: none */
	struct rng chance;
	u32 pace;	       /* percent of what it takes usually */
	struct list_head done; /* not yet reported */

	/* limits on submitters */
	u32 nr_requests, nr_writes; /* plugged, queued or in flight */
	u32 full_seq, wbt_seq;	    /* futex words: change when there may be room */
	u64 last_read;		    /* a read was submitted or completed then; 0 = never */

	struct rcl_sim_device_stats stats;
	struct block_map *blocks; /* checking runs */
};

struct rcl_sim {
	struct platform plat; /* first: ops get a pointer to it */
	struct rcl_sim_config cfg;
	u32 nr_cpus;
	struct sim_cpu *cpus;
	struct sim_task *running; /* platform->current as the scheduler sees it */
	u64 busy;		  /* bit per CPU that runs something or has something to run */
	u64 horizon;		  /* the running CPU must let others catch up then */
	bool in_irq;		  /* an event is being handled: nobody may wait */

	/* rcl_sim_at() */
	u64 alarm_at; /* 0: none */
	void (*alarm)(void *arg);
	void *alarm_arg;
	struct heap events;
	u64 event_seq;
	struct list_head buckets[NR_WAIT_BUCKETS];

	struct rng rng_engine, rng_sched, rng_device, rng_fault;
	u64 digest;
	struct rcl_sim_stats stats;

	/* scheduler constants, scaled by the number of CPUs */
	u64 latency, min_granularity, wakeup_granularity, tick;

	struct list_head tasks, free_tasks;
	u32 nr_tasks;	      /* in tasks */
	u32 nr_users;	      /* user tasks alive; main counts outside of runs */
	u32 nr_users_forever; /* of them asleep without a timeout */
	u64 last_user;	      /* a user task was last taken up then */
	u32 users_seq;	      /* rcl_sim_run_users waits here */
	bool in_run;	      /* main is in rcl_sim_run_users */
	bool deadlock;
	char *report;
	struct sim_task *leaving; /* coroutine left by the switch under way */
	struct sim_task main;
	struct task main_task;
	struct stack_batch *stacks;
	size_t stack_bytes, guard_bytes;

	struct sim_device *devices[RCL_SIM_MAX_DEVICES];
	u32 nr_devices, nr_in_flight;
	struct sim_request *free_requests; /* linked through link.next */
	struct sim_page_io *free_pages;
	struct chunk *chunks;
	u32 nr_request_structs;

	u64 *stamps; /* checking runs: content of each frame */
	u64 nr_stamps;
};

/* How long a request takes before it needs the channel, and how long it then takes that. */
static inline u64 device_latency(const struct sim_device *dev, u8 op)
{
	return op == RCL_IO_READ ? dev->cfg.read_latency_ns : dev->cfg.write_latency_ns;
}
static inline u64 device_channel(const struct sim_device *dev, u64 block, u32 nr_pages)
{
	u64 ns = dev->cfg.request_ns + nr_pages * dev->page_ns;

	return block == dev->head ? ns : ns + dev->cfg.seek_ns;
}
static inline struct rcl_sim *to_sim(struct platform *p)
{
	return container_of(p, struct rcl_sim, plat);
}
static inline void digest(struct rcl_sim *sim, u64 what)
{
	sim->digest = (sim->digest ^ what) * 0x9fb21c651e98df25ull;
	sim->digest ^= sim->digest >> 32;
}

/* sched.c */
void rcl_sim_sched_init(struct rcl_sim *sim);
void rcl_sim_sched_exit(struct rcl_sim *sim);
int rcl_sim_spawn_task(struct rcl_sim *sim, struct task *t, bool user, void (*fn)(void *),
		       void *arg);
int rcl_sim_wait_on(struct platform *p, u32 *word, u32 value, u64 timeout_ns, bool io);
u32 rcl_sim_wake(struct platform *p, u32 *word, u32 n);
void rcl_sim_poll(struct platform *p);
/* Something new is due at time t, on the running task's machine. */
void rcl_sim_event_add(struct rcl_sim *sim, struct sim_event *ev, u64 t);

/* sim.c: nobody can ever run again, or all users hang. */
void rcl_sim_stuck(struct rcl_sim *sim, const char *why);

/* device.c */
void rcl_sim_submit(struct platform *p, const struct rcl_io *io);
void rcl_sim_plug_start(struct platform *p);
void rcl_sim_plug_finish(struct platform *p);
/* The running task is about to wait: start what it has plugged. */
void rcl_sim_plug_flush(struct rcl_sim *sim, struct sim_task *st);
/* A request has completed at time t; called on the CPU it interrupts, perhaps a little later. */
void rcl_sim_complete(struct rcl_sim *sim, struct sim_request *rq, u64 t);
void rcl_sim_devices_exit(struct rcl_sim *sim);

/* alone.c */
bool rcl_sim_read_begin(struct platform *p, const struct rcl_io *io, u64 *done);
void rcl_sim_read_end(struct platform *p, const struct rcl_io *io, u64 done);

/* faults.c */
/* Decide a request's fate when it starts; returns by how much its latency grows. */
u64 rcl_sim_fault(struct rcl_sim *sim, struct sim_device *dev, struct sim_request *rq, u64 latency);

/* data.c */
void rcl_sim_page_zero(struct platform *p, struct folio *f);
void rcl_sim_page_store(struct platform *p, struct folio *f, u64 stamp);
u64 rcl_sim_page_load(struct platform *p, struct folio *f);
void rcl_sim_page_copy(struct platform *p, struct folio *dst, struct folio *src);
/* A write is submitted: keep the page's content. A page's transfer ended well: move the content. */
void rcl_sim_data_submit(struct rcl_sim *sim, struct sim_page_io *pio);
void rcl_sim_data_done(struct rcl_sim *sim, struct sim_device *dev, struct sim_page_io *pio);
int rcl_sim_data_init(struct sim_device *dev);
void rcl_sim_data_exit_device(struct sim_device *dev);
void rcl_sim_data_exit(struct rcl_sim *sim);

#endif
