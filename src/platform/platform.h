/* SPDX-License-Identifier: MIT */
/*
 * What the engine asks of the world: time, tasks that wait, block I/O, page data, chance.
 *
 * Two implementations: platform/host (threads, real files) and platform/sim (virtual clock,
 * coroutines, modelled devices). The engine reaches them only through this header.
 *
 * Waiting is futex-shaped, so no wake-up can be lost: wait_on(word, value) sleeps only while *word
 * still equals value, wake(word) wakes sleepers; spurious returns are allowed and callers loop.
 *
 * In the simulator a task runs until it waits or polls. rcl_work() charges CPU time to the running
 * task; rcl_poll() is the point where devices may complete, timers fire and another task may run
 * (the reference's interrupts and cond_resched()). It must not be called with a spinlock held.
 */
#ifndef RCL_PLATFORM_H
#define RCL_PLATFORM_H

#include "mm/types.h"

#define RCL_NSEC_PER_SEC  1000000000ull
#define RCL_NSEC_PER_MSEC 1000000ull
#define RCL_FOREVER	  UINT64_MAX

enum rcl_io_op {
	RCL_IO_READ,
	RCL_IO_WRITE
};

/* One page to or from a block device. The folio is locked (read) or under writeback (write). */
struct rcl_io {
	struct folio *folio;
	u64 block; /* 4 KiB block of the device */
	u16 dev;   /* index of the device in the platform */
	u8 op;
	bool sync; /* the submitter will wait for it: start at once, past any plug */
};

/* Kinds of CPU work, each with a cost in nanoseconds in platform->cost_ns. */
#define RCL_WORK(X)                                                                                \
	X(WORK_ACCESS, "access", 2, "a memory access that hits a mapped page")                     \
	X(WORK_FAULT, "fault", 700, "entering and leaving a page fault")                           \
	X(WORK_ZERO, "zero", 150, "clearing a page")                                               \
	X(WORK_SYSCALL, "syscall", 300, "a read or write system call")                             \
	X(WORK_COPY, "copy", 250, "copying a page to or from a user buffer")                       \
	X(WORK_ALLOC, "alloc", 100, "allocating and charging a page")                              \
	X(WORK_SCAN, "scan", 120, "reclaim looking at one page")                                   \
	X(WORK_SKIP, "skip", 8, "reclaim passing over a page of a zone above its reach")           \
	X(WORK_RMAP, "rmap", 100, "visiting one mapping of a page")                                \
	X(WORK_FREE, "free", 80, "freeing one page")                                               \
	X(WORK_IO_PAGE, "io_page", 200, "adding a page to a request, and ending its I/O")          \
	X(WORK_IO_SUBMIT, "io_submit", 1500, "submitting one request to a device")                 \
	X(WORK_IO_DONE, "io_done", 1500, "handling one completed request")                         \
	X(WORK_SWITCH, "switch", 1200, "a context switch")
#define RCL_X(e, n, d, h) e,
enum rcl_work {
	RCL_WORK(RCL_X) NR_WORK
};
#undef RCL_X

struct platform_ops {
	/* Nanoseconds since the machine was opened. */
	u64 (*now)(struct platform *p);
	/* The running task (never NULL inside the engine). */
	struct task *(*current)(struct platform *p);
	u32 (*this_cpu)(struct platform *p);
	/*
	 * Start a task: fn(arg) runs on it. t is filled by the caller (task.h) and stays the
	 * caller's; t->platform belongs to the platform until the task has ended. 0 or -errno.
	 */
	int (*spawn)(struct platform *p, struct task *t, void (*fn)(void *), void *arg);
	/* Wait until a spawned task's fn has returned. */
	void (*join)(struct platform *p, struct task *t);
	/* 0 after a wake (or spuriously), -EAGAIN if *word != value, -ETIMEDOUT. */
	int (*wait_on)(struct platform *p, u32 *word, u32 value, u64 timeout_ns, bool io);
	/* Wake up to n sleepers on word; returns how many. Callable from I/O completion. */
	u32 (*wake)(struct platform *p, u32 *word, u32 n);
	/* Process what is due and let others run if it is their turn. */
	void (*poll)(struct platform *p);
	/*
	 * Queue one page; it starts at once, or when the task's plug is flushed. Never fails, but
	 * may wait for room in the device's queue: no spinlock held. Not from I/O completion.
	 */
	void (*submit)(struct platform *p, const struct rcl_io *io);
	/*
	 * Submit one page's read and wait for it, where the platform knows that nothing else can
	 * happen meanwhile; outside of plugs. begin: false if it cannot tell; else it is submitted,
	 * and end, which gets what begin left in *token, returns when rcl_end_io() has been called.
	 * Neither call to any other operation nor a wait is allowed in between. NULL: never so.
	 */
	bool (*read_begin)(struct platform *p, const struct rcl_io *io, u64 *token);
	void (*read_end)(struct platform *p, const struct rcl_io *io, u64 token);
	/* Between start and finish the running task's submissions gather (nests; a wait flushes).
	 */
	void (*plug_start)(struct platform *p);
	void (*plug_finish)(struct platform *p);
	/* Page data (NULL ops when pages have no content: plain simulation). */
	void (*page_zero)(struct platform *p, struct folio *f);
	void (*page_store)(struct platform *p, struct folio *f, u64 stamp);
	u64 (*page_load)(struct platform *p, struct folio *f);
	void (*page_copy)(struct platform *p, struct folio *dst, struct folio *src);
	/* Uniform 64-bit random number from the machine's seed. */
	u64 (*random)(struct platform *p);
	/* Zeroed memory that may never be touched: address space only until used. NULL if refused.
	 */
	void *(*reserve)(struct platform *p, size_t bytes);
	void (*release)(struct platform *p, void *mem, size_t bytes);
	/* The machine is about to close: make it forget tasks of the platform's (NULL: none). */
	void (*closing)(struct platform *p);
	/* Wait until no I/O is under way and no rcl_end_io() either (NULL: does not matter). */
	void (*drain_io)(struct platform *p);
};

/* The part both platforms share; embedded first in the platform's own struct. */
struct platform {
	const struct platform_ops *ops;
	bool simulated; /* virtual time: now, current and cpu below are live */
	bool threaded;	/* several threads run the engine: atomics and real locks */
	bool has_data;	/* page_* ops carry content */
	struct rcl *m;	/* the machine, set at open */
	/* simulator only: state of the running task, read inline on hot paths */
	u64 now;	/* virtual time of the running CPU */
	u64 next_event; /* poll when now reaches it */
	struct task *current;
	u32 cpu;
	u32 cost_ns[NR_WORK];
};

/* The engine's side of I/O: called by the platform when an I/O has ended; may not wait. */
void rcl_end_io(struct rcl *m, const struct rcl_io *io, int error);

/* Calls of the simulator's operations that need no pointer. */
#ifdef RCL_SIM_ONLY
#define PLATFORM_CALL(p, op) rcl_sim_##op
#define PLATFORM_HAS(p, op)  true
int rcl_sim_wait_on(struct platform *p, u32 *word, u32 value, u64 timeout_ns, bool io);
u32 rcl_sim_wake(struct platform *p, u32 *word, u32 n);
void rcl_sim_poll(struct platform *p);
void rcl_sim_submit(struct platform *p, const struct rcl_io *io);
bool rcl_sim_read_begin(struct platform *p, const struct rcl_io *io, u64 *token);
void rcl_sim_read_end(struct platform *p, const struct rcl_io *io, u64 token);
void rcl_sim_plug_start(struct platform *p);
void rcl_sim_plug_finish(struct platform *p);
#else
#define PLATFORM_CALL(p, op) (p)->ops->op
#define PLATFORM_HAS(p, op)  ((p)->ops->op != NULL)
#endif

/* The calling thread gives its CPU away if another wants it (host; locks that spin). */
void rcl_yield(void);

#endif
