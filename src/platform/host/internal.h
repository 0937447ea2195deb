/* SPDX-License-Identifier: MIT */
/*
 * What the host platform's files share: its structures, and the calls between the half that runs
 * threads and keeps memory (host.c, thread.c, arena.c) and the half that does I/O (queue.c,
 * device.c, uring.c, pool.c, faults.c).
 *
 * Sleeping and I/O. A completion must be handled by somebody, and a switch to another thread and
 * back costs more than the I/O's own software path. So whoever is about to sleep while I/O is under
 * way goes to rcl_host_io_wait(), and if nobody reaps completions just then, reaps them itself
 * until its own word has changed. A reaper sleeps in the kernel's queue and not on its word, so
 * wake() looks whether there is one (io_reapers), and has rcl_host_io_kick() get it out of there.
 *
 *   sleeper: says which word, io_reapers++, *word still == value? sleeps in the queue
 *   waker:   has changed *word, atomic read-modify-write, looks at io_reapers: any? kicks
 *
 * What a reaper leaves under way a thread in the background takes over (uring.c).
 *
 * Field legend:  c constant after create   A atomic   L rcl_host.lock   t the thread itself
 *                I the I/O half's own
 */
#ifndef RCL_HOST_INTERNAL_H
#define RCL_HOST_INTERNAL_H

#include <pthread.h>

#include "mm/machine.h"
#include "platform/host/host.h"

struct host_io; /* queue.c: devices, queues, the ring or the pool */

#define HOST_PLUG_PAGES 512u

/* Pages that a thread has submitted and that have not been started yet. */
struct host_plug {
	u32 depth; /* of plug_start */
	u32 nr;
	u32 swap_requests; /* writes to swap among them, neighbours being one */
	bool must_start;   /* there are some that the thread will not wait for */
	u16 ring;	   /* uring.c: its ring + 1; 0: none yet */
	struct rcl_io pages[HOST_PLUG_PAGES];
};

/*
 * A thread that runs engine code. Found through the host's pthread key. Threads that enter have
 * their task in `own`; a task that the engine spawned is the engine's, and task->platform is this.
 */
#define HOST_ENTER_DEPTH 8
struct host_thread {
	struct rcl_host *h;		       /* c */
	struct task *task;		       /* c */
	struct task own;		       /* t, as task.h says */
	u32 depth;			       /* t: of rcl_host_enter() */
	int cancel_state;		       /* t: before the outermost of these */
	bool attached;			       /* L: the machine knows the task */
	struct memcg *outer[HOST_ENTER_DEPTH]; /* t: task->memcg before each rcl_host_enter() */
	struct host_plug plug;		       /* t */
	u64 ending_ns;			       /* t: CPU time spent on ends of I/O, for measure.c */
	struct list_head link;		       /* L: h->threads */
	void (*fn)(void *);		       /* c: spawned threads: what they run */
	bool spawned;			       /* c: by the engine */
	void *arg;			       /* c */
	pthread_t pthread;		       /* c: spawned threads */
};

#define HOST_SLEEPERS_BITS 8

struct rcl_host {
	struct platform plat;	    /* first: ops get a pointer to it */
	struct rcl_host_config cfg; /* c: with defaults filled in */
	u32 *alive;		    /* c: in a page that a forked child finds zeroed */
	u64 opened_at;		    /* c: CLOCK_MONOTONIC */
	u64 random_state;	    /* A */

	/* arena.c */
	char *arena; /* c: frame 0 */

	/* thread.c */
	pthread_key_t key;	  /* c: struct host_thread * */
	pthread_mutex_t lock;	  /* never held while waiting for anything else */
	struct list_head threads; /* L: those that entered */
	bool closing;		  /* L: the machine is closing: no task may be attached any more */
	u32 sleepers[1u << HOST_SLEEPERS_BITS]; /* A: threads asleep, by their word's address */

	/* spin.c */
	u32 usable_cpus; /* c: that who opened it could keep busy (cpus.c) */
	u32 awake;	 /* A: threads spawned by the engine that are not asleep */
	u32 spinners;	 /* A: threads that look for the end of a read */

	/* The I/O half. */
	struct host_io *io; /* I */
	u32 io_inflight;    /* A: pages submitted whose end_io() has not returned yet */
	u32 io_reapers;	    /* A: threads asleep in a queue of completions, not on their word */
	/* c: rcl_end_io, unless a test puts another here before any I/O */
	void (*end_io)(struct rcl *m, const struct rcl_io *io, int error);
};

static inline struct rcl_host *to_host(struct platform *p)
{
	return container_of(p, struct rcl_host, plat);
}

/* NULL: the calling thread has nothing to do with this host. */
static inline struct host_thread *host_this_thread(struct rcl_host *h)
{
	return pthread_getspecific(h->key);
}

/* Address of a folio's memory. */
static inline void *host_folio_data(struct rcl_host *h, const struct folio *f)
{
	return h->arena + (folio_pfn(h->plat.m, f) << PAGE_SHIFT);
}

static inline u64 host_now(const struct rcl_host *h)
{
	return h->plat.ops->now((struct platform *)&h->plat);
}

/* ---- arena.c ---- */

int rcl_host_arena_init(struct rcl_host *h);
void rcl_host_arena_exit(struct rcl_host *h);
void rcl_host_page_zero(struct platform *p, struct folio *f);
void rcl_host_page_store(struct platform *p, struct folio *f, u64 stamp);
u64 rcl_host_page_load(struct platform *p, struct folio *f);
void rcl_host_page_copy(struct platform *p, struct folio *dst, struct folio *src);
/* The same on plain memory: fill a page so that it says `stamp`, and read that back.
 * RCL_HOST_TORN: these 4 KiB were not all written by one rcl_host_stamp(). */
#define RCL_HOST_TORN 0xdeadbadc0ffee000ull
void rcl_host_stamp(void *page, u64 stamp);
u64 rcl_host_stamp_of(const void *page);

/* ---- thread.c ---- */

int rcl_host_threads_init(struct rcl_host *h);
void rcl_host_threads_exit(struct rcl_host *h);
struct task *rcl_host_current(struct platform *p);
u32 rcl_host_this_cpu(struct platform *p);
int rcl_host_spawn(struct platform *p, struct task *t, void (*fn)(void *), void *arg);
void rcl_host_join(struct platform *p, struct task *t);
int rcl_host_wait_on(struct platform *p, u32 *word, u32 value, u64 timeout_ns, bool io);
u32 rcl_host_wake(struct platform *p, u32 *word, u32 n);
void rcl_host_closing(struct platform *p);
void rcl_host_drain_io(struct platform *p);
/*
 * A thread of the platform's own that calls into the engine (rcl_end_io): named, signals blocked,
 * a task that no machine lists. It must not outlive the host. 0 or -errno.
 */
int rcl_host_worker_start(struct rcl_host *h, const char *name, void (*fn)(void *), void *arg,
			  struct host_thread **out);
void rcl_host_worker_join(struct host_thread *th);
/*
 * Sleep on the word and nothing else. No plug is flushed, no completion reaped, no stall booked.
 * 0 after a wake or for no reason, -EAGAIN if *word != value, -ETIMEDOUT.
 */
int rcl_host_futex_wait(struct rcl_host *h, u32 *word, u32 value, u64 timeout_ns);
/* Wake sleepers of rcl_host_futex_wait() only; costs no system call when there are none. */
u32 rcl_host_futex_wake(struct rcl_host *h, u32 *word, u32 n);

/* ---- the I/O half (queue.c) ---- */

/* After the arena exists, before any thread does; exit: with no I/O under way. */
int rcl_host_io_init(struct rcl_host *h);
void rcl_host_io_exit(struct rcl_host *h);
/* ops->submit, plug_start, plug_finish */
void rcl_host_submit(struct platform *p, const struct rcl_io *io);
void rcl_host_plug_start(struct platform *p);
void rcl_host_plug_finish(struct platform *p);
/* The running thread is about to sleep: start what it has gathered. */
void rcl_host_plug_flush(struct rcl_host *h, struct host_thread *th);
/*
 * The calling thread is about to sleep on a word, and has requests in its plug, or io_inflight was
 * not 0 just now. Start what is plugged, and if *word == value still, reap completions (if nobody
 * else does) or sleep on the word by rcl_host_futex_wait(), until the word changes, the time is
 * over (timeout_ns may be 0), or there is any other reason to look again. for_io: it waits for I/O.
 * Returns as wait_on() does.
 */
int rcl_host_io_wait(struct rcl_host *h, struct host_thread *th, u32 *word, u32 value,
		     u64 timeout_ns, bool for_io);
/* Deal with what has completed of what the running thread has started. No spinlock held. */
void rcl_host_io_poll(struct rcl_host *h);
/* The word has been changed: get threads that reap completions, and wait for it, out of their
 * sleep. Returns how many. */
u32 rcl_host_io_kick(struct rcl_host *h, const u32 *word);

#endif
