/* SPDX-License-Identifier: MIT */
/*
 * Requests done by io_uring: rings, and who reaps them.
 *
 * A read of one page by a thread that waits for it should cost one system call, that starts and
 * waits, and no switch to another thread. The kernel does a request's last part in the thread that
 * submitted it, so such a thread is woken for each of its requests anyway. Hence there are several
 * rings, and each thread has one of its own; with more than HOST_RINGS threads some share.
 *
 * Starting: requests are put into the thread's ring under its sq_lock, and handed to the kernel by
 * one system call for all of them, without the lock. Whoever comes to the kernel first hands over
 * what anybody has put in.
 *
 * Reaping needs the ring's `reaper` word, taken by exchange and never waited for:
 *
 *   a thread that goes to sleep while its ring has requests in flight reaps there: it sleeps in the
 *   kernel until something has completed, for as long as the word it waits for has not changed. A
 *   waker of that word finds it published (host_rings.word) and gets the thread out by a NOP. If it
 *   waits for I/O it looks for the completion first, before it sleeps (spin.c)
 *
 *   a thread that starts requests and does not wait takes along what has completed by then, and
 *   whenever it polls: where the reference would be interrupted. Reclaim goes through its lists for
 *   milliseconds, and what it began with is often written before it has come to the end
 *
 *   everything else is left to the background: a thread that looks, as long as anything is in
 *   flight, every SLOW_TICK_NS for rings that nobody has reaped since, and then sleeps on these by
 *   ppoll() until something completes; every FAST_TICK_NS while threads sleep for I/O that is in
 *   somebody else's ring. After IDLE_TICKS with nothing in flight it sleeps until somebody leaves
 *   requests behind
 *
 * So a thread that starts and waits in turns has all its completions to itself, and asynchronous
 * I/O completes though nobody waits.
 *
 * Nothing but the kernel stands between the thread that submits a request and the one that reaps
 * it, which the language's memory model does not know: owner_gate is written by the one and read by
 * the other.
 */
#define _GNU_SOURCE 1 /* ppoll */
#include "platform/host/io.h"
#include "platform/host/spin.h"

#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SLOW_TICK_NS RCL_NSEC_PER_MSEC
#define FAST_TICK_NS (100 * 1000)
#define IDLE_TICKS   20
#define RETRY_NS     (50 * 1000)

struct host_ring {
	struct io_uring u;	 /* S: the submission side; reaper: the completion side */
	pthread_mutex_t sq_lock; /* held for moments only */
	u32 reaper;		 /* A: 1 while somebody reaps */
	u32 in_flight;		 /* A: requests put in and not yet reaped */
	u32 rounds;		 /* A: times it was reaped */
	u32 kicked;		 /* A: a NOP is under way */
	u16 index;		 /* c */
	struct host_spin spin;	 /* reaper */
} __attribute__((aligned(64)));

struct host_rings {
	struct host_ring *ring[HOST_RINGS]; /* A: made when first needed */
	u32 *word[HOST_RINGS];		    /* A: what the thread asleep in it waits for, or NULL */
	pthread_mutex_t lock;		    /* making a ring, starting the background thread */
	u32 nr_max;			    /* c */
	u32 next;			    /* A: ring for the next new thread */
	/* the background thread */
	struct host_thread *thread; /* lock */
	u32 started;		    /* A: thread is there */
	u32 awake;		    /* A: 0 while it sleeps for good */
	u32 slow;		    /* A: it knows of no sleepers */
	u32 stop;		    /* A */
	u32 sleepers;		    /* A: threads asleep for I/O that they do not reap themselves */
	int event_fd;		    /* c: gets it out of ppoll() */
};

static u32 pending(const struct host_ring *g)
{
	return __atomic_load_n(g->u.sq.ktail, __ATOMIC_ACQUIRE) -
	       __atomic_load_n(g->u.sq.khead, __ATOMIC_ACQUIRE);
}

static bool has_completions(const struct host_ring *g)
{
	return __atomic_load_n(g->u.cq.ktail, __ATOMIC_ACQUIRE) !=
	       __atomic_load_n(g->u.cq.khead, __ATOMIC_RELAXED);
}

static u32 in_flight(const struct host_ring *g)
{
	return __atomic_load_n(&g->in_flight, __ATOMIC_SEQ_CST);
}

static struct host_ring *nth_ring(const struct host_rings *rings, u32 i)
{
	return __atomic_load_n(&rings->ring[i], __ATOMIC_ACQUIRE);
}

/* ---- submission ---- */

/* The next free entry; to be followed by publish(). sq_lock is held. */
static struct io_uring_sqe *new_entry(struct host_ring *g)
{
	struct io_uring_sq *sq = &g->u.sq;

	/* The ring has room for all requests that can be under way, and a NOP. */
	RCL_ASSERT(sq->sqe_tail - __atomic_load_n(sq->khead, __ATOMIC_ACQUIRE) < sq->ring_entries);
	return &sq->sqes[sq->sqe_tail++ & sq->ring_mask];
}

static void publish(struct host_ring *g)
{
	__atomic_store_n(g->u.sq.ktail, g->u.sq.sqe_tail, __ATOMIC_RELEASE);
}

static void put_in(struct host_ring *g, struct host_request *r)
{
	struct io_uring_sqe *sqe = new_entry(g);
	u64 offset = r->offset + r->from;

	if (unlikely(r->delay_ns)) {
		r->delay.sec = (s64)(r->delay_ns / RCL_NSEC_PER_SEC);
		r->delay.nsec = (long long)(r->delay_ns % RCL_NSEC_PER_SEC);
		io_uring_prep_timeout(sqe, (struct __kernel_timespec *)&r->delay, 0, 0);
	} else if (unlikely(r->inject)) {
		io_uring_prep_nop(sqe);
	} else if (r->op == RCL_IO_READ) {
		if (r->nr_iov == 1)
			io_uring_prep_read(sqe, r->fd, r->iov[0].iov_base, (u32)r->iov[0].iov_len,
					   offset);
		else
			io_uring_prep_readv(sqe, r->fd, r->iov, r->nr_iov, offset);
	} else {
		if (r->nr_iov == 1)
			io_uring_prep_write(sqe, r->fd, r->iov[0].iov_base, (u32)r->iov[0].iov_len,
					    offset);
		else
			io_uring_prep_writev(sqe, r->fd, r->iov, r->nr_iov, offset);
	}
	io_uring_sqe_set_data(sqe, r);
	__atomic_store_n(&r->owner_gate, 1, __ATOMIC_RELEASE);
}

static int enter(struct host_ring *g, u32 wait, const struct timespec *timeout)
{
	struct __kernel_timespec ts;
	struct io_uring_getevents_arg arg = {0};

	if (timeout) {
		ts.tv_sec = timeout->tv_sec;
		ts.tv_nsec = timeout->tv_nsec;
		arg.ts = (uintptr_t)&ts;
		return io_uring_enter2((u32)g->u.ring_fd, pending(g), wait,
				       IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, (void *)&arg,
				       sizeof(arg));
	}
	return io_uring_enter2((u32)g->u.ring_fd, pending(g), wait,
			       wait ? IORING_ENTER_GETEVENTS : 0, NULL, _NSIG / 8);
}

/* The kernel had no memory for requests, or the like: others must get on first. */
static void check_entered(int ret)
{
	struct timespec t = {.tv_nsec = RETRY_NS};

	if (likely(ret >= 0 || ret == -EINTR || ret == -ETIME))
		return;
	RCL_ASSERT((ret == -EAGAIN || ret == -EBUSY || ret == -ENOMEM) && "io_uring_enter");
	nanosleep(&t, NULL);
}

/* Hand what has been put in to the kernel. */
static void push(struct host_ring *g)
{
	while (pending(g))
		check_entered(enter(g, 0, NULL));
}

/* ---- reaping ---- */

static bool begin_reaping(struct host_ring *g)
{
	return !__atomic_load_n(&g->reaper, __ATOMIC_RELAXED) &&
	       !__atomic_exchange_n(&g->reaper, 1, __ATOMIC_ACQUIRE);
}

static void end_reaping(struct host_ring *g)
{
	__atomic_store_n(&g->reaper, 0, __ATOMIC_SEQ_CST);
}

/* Deal with everything that has completed. True if that was a kick, or nothing: look around. */
static bool reap(struct host_io *io, struct host_ring *g)
{
	struct io_uring_cq *cq = &g->u.cq;
	bool kicked = false, again = false;
	u32 head = *cq->khead;

	while (head != __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE)) {
		const struct io_uring_cqe *cqe = &cq->cqes[head & cq->ring_mask];
		struct host_request *r = io_uring_cqe_get_data(cqe);
		s64 res = cqe->res;

		__atomic_store_n(cq->khead, ++head, __ATOMIC_RELEASE);
		if (unlikely(!r)) {
			__atomic_store_n(&g->kicked, 0, __ATOMIC_SEQ_CST);
			kicked = true;
			continue;
		}
		__atomic_load_n(&r->owner_gate, __ATOMIC_ACQUIRE);
		if (unlikely(r->delay_ns))
			r->delay_ns = 0; /* the time has come */
		else if (likely(!rcl_host_request_step(io, r,
						       unlikely(r->inject) ? r->inject : res))) {
			__atomic_sub_fetch(&g->in_flight, 1, __ATOMIC_SEQ_CST);
			continue;
		}
		pthread_mutex_lock(&g->sq_lock);
		put_in(g, r);
		publish(g);
		pthread_mutex_unlock(&g->sq_lock);
		again = true;
	}
	__atomic_add_fetch(&g->rounds, 1, __ATOMIC_RELAXED);
	if (unlikely(again))
		push(g);
	return kicked;
}

/* ---- the background ---- */

static bool any_in_flight(const struct host_rings *rings)
{
	for (u32 i = 0; i < rings->nr_max; i++) {
		const struct host_ring *g = nth_ring(rings, i);

		if (g && in_flight(g))
			return true;
	}
	return false;
}

/* Sleep a tick, or until something completes in a ring that nobody has reaped for one. */
static void background_round(struct host_io *io, u32 *rounds)
{
	struct host_rings *rings = io->rings;
	struct pollfd fds[HOST_RINGS + 1];
	struct timespec tick = {.tv_nsec = FAST_TICK_NS};
	nfds_t nr = 1;

	/* Either this sees a sleeper or the sleeper sees this. */
	__atomic_store_n(&rings->slow, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&rings->sleepers, __ATOMIC_SEQ_CST))
		__atomic_store_n(&rings->slow, 0, __ATOMIC_SEQ_CST);
	else
		tick.tv_nsec = SLOW_TICK_NS;
	fds[0] = (struct pollfd){.fd = rings->event_fd, .events = POLLIN};
	for (u32 i = 0; i < rings->nr_max; i++) {
		struct host_ring *g = nth_ring(rings, i);
		u32 round;

		if (!g)
			continue;
		round = __atomic_load_n(&g->rounds, __ATOMIC_RELAXED);
		if (in_flight(g) && round == rounds[i] && begin_reaping(g)) {
			/* What we reap ourselves is no sign that somebody else will. */
			reap(io, g);
			end_reaping(g);
			push(g);
			round = __atomic_load_n(&g->rounds, __ATOMIC_RELAXED);
			if (in_flight(g))
				fds[nr++] = (struct pollfd){.fd = g->u.ring_fd, .events = POLLIN};
		}
		rounds[i] = round;
	}
	ppoll(fds, nr, &tick, NULL);
	if (fds[0].revents & POLLIN) {
		u64 count;

		if (read(rings->event_fd, &count, sizeof(count)) < 0)
			RCL_ASSERT(errno == EAGAIN || errno == EINTR);
	}
}

static void background(void *arg)
{
	struct host_io *io = arg;
	struct host_rings *rings = io->rings;
	u32 rounds[HOST_RINGS] = {0};
	u32 idle = 0;

	while (!__atomic_load_n(&rings->stop, __ATOMIC_ACQUIRE)) {
		if (any_in_flight(rings))
			idle = 0;
		else if (++idle > IDLE_TICKS) {
			idle = 0;
			__atomic_store_n(&rings->awake, 0, __ATOMIC_SEQ_CST);
			/* Either this sees what is in flight or who left it there sees this. */
			if (!any_in_flight(rings) &&
			    !__atomic_load_n(&rings->stop, __ATOMIC_SEQ_CST))
				rcl_host_futex_wait(io->h, &rings->awake, 0, RCL_FOREVER);
			__atomic_store_n(&rings->awake, 1, __ATOMIC_SEQ_CST);
			continue;
		}
		background_round(io, rounds);
	}
}

static void start_background(struct host_io *io)
{
	struct host_rings *rings = io->rings;

	pthread_mutex_lock(&rings->lock);
	if (!rings->thread) {
		__atomic_store_n(&rings->awake, 1, __ATOMIC_SEQ_CST);
		/* If there is no thread to be had: the next time, perhaps. */
		if (!rcl_host_worker_start(io->h, "reaper", background, io, &rings->thread))
			__atomic_store_n(&rings->started, 1, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&rings->lock);
}

/* Get the background thread to look around. */
static void nudge_background(struct host_rings *rings)
{
	const u64 one = 1;

	if (write(rings->event_fd, &one, sizeof(one)) < 0)
		RCL_ASSERT(errno == EAGAIN || errno == EINTR);
}

/* Requests are in flight that the calling thread does not reap. */
static void leave_to_background(struct host_io *io)
{
	struct host_rings *rings = io->rings;

	if (unlikely(!__atomic_load_n(&rings->started, __ATOMIC_ACQUIRE)))
		start_background(io);
	if (!__atomic_load_n(&rings->awake, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(&rings->awake, 1, __ATOMIC_SEQ_CST);
		rcl_host_futex_wake(io->h, &rings->awake, 1);
	}
}

/* ---- threads and their rings ---- */

static int make_ring(struct host_io *io, u32 i);

/* The thread's own ring. If a new one cannot be had it shares the first, which always exists. */
static struct host_ring *own_ring(struct host_io *io, struct host_thread *th)
{
	struct host_rings *rings = io->rings;
	struct host_ring *g;
	u32 i;

	if (likely(th->plug.ring))
		return nth_ring(rings, th->plug.ring - 1u);
	i = __atomic_fetch_add(&rings->next, 1, __ATOMIC_RELAXED) % rings->nr_max;
	pthread_mutex_lock(&rings->lock);
	if (!rings->ring[i] && make_ring(io, i))
		i = 0;
	pthread_mutex_unlock(&rings->lock);
	g = nth_ring(rings, i);
	th->plug.ring = (u16)(i + 1);
	return g;
}

void rcl_host_rings_start(struct host_io *io, struct host_thread *th, struct host_request *list,
			  bool defer)
{
	struct host_ring *g = own_ring(io, th);
	u32 nr = 0;

	for (struct host_request *r = list; r; r = r->next)
		nr++;
	__atomic_add_fetch(&g->in_flight, nr, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&g->sq_lock);
	while (list) {
		struct host_request *r = list;

		/* Once put in it is no longer ours. */
		list = r->next;
		put_in(g, r);
	}
	publish(g);
	pthread_mutex_unlock(&g->sq_lock);
	if (defer)
		return;
	push(g);
	if (has_completions(g) && begin_reaping(g)) {
		reap(io, g);
		end_reaping(g);
	}
	if (in_flight(g))
		leave_to_background(io);
}

void rcl_host_rings_poll(struct host_io *io, struct host_thread *th)
{
	struct host_ring *g = th->plug.ring ? nth_ring(io->rings, th->plug.ring - 1u) : NULL;

	if (g && has_completions(g) && begin_reaping(g)) {
		reap(io, g);
		end_reaping(g);
	}
}

static void add_ns(struct timespec *t, u64 ns)
{
	ns += (u64)t->tv_nsec;
	t->tv_sec += (time_t)(ns / RCL_NSEC_PER_SEC);
	t->tv_nsec = (long)(ns % RCL_NSEC_PER_SEC);
}

/* What is left until `until`; false if nothing. */
static bool time_left(const struct timespec *until, struct timespec *left)
{
	clock_gettime(CLOCK_MONOTONIC, left);
	left->tv_sec = until->tv_sec - left->tv_sec;
	left->tv_nsec = until->tv_nsec - left->tv_nsec;
	if (left->tv_nsec < 0) {
		left->tv_sec--;
		left->tv_nsec += (long)RCL_NSEC_PER_SEC;
	}
	return left->tv_sec >= 0 && (left->tv_sec || left->tv_nsec);
}

/* Between two looks at the clock. */
#define LOOKS 32

/* Look for completions, for as long as that is worth it. */
static void look_first(struct host_io *io, struct host_ring *g, const u32 *word, u32 value)
{
	u64 until = rcl_host_spin_begin(io->h, &g->spin);

	if (!until)
		return;
	push(g);
	do {
		for (u32 i = 0; i < LOOKS; i++) {
			if (has_completions(g) || __atomic_load_n(word, __ATOMIC_RELAXED) != value)
				break;
			cpu_relax();
		}
	} while (!has_completions(g) && __atomic_load_n(word, __ATOMIC_RELAXED) == value &&
		 host_now(io->h) < until);
	rcl_host_spin_stop(io->h, &g->spin);
}

/* Reap, asleep in the kernel in between, until the word has changed. The caller is the reaper. */
static int sleep_reaping(struct host_io *io, struct host_ring *g, u32 *word, u32 value,
			 u64 timeout_ns, bool for_io)
{
	bool forever = timeout_ns > INT64_MAX;
	u32 **published = &io->rings->word[g->index];
	struct timespec until, left;
	int ret = 0;

	if (!forever) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		add_ns(&until, timeout_ns);
	}
	for_io = for_io && in_flight(g) && !has_completions(g);
	if (for_io)
		look_first(io, g, word, value);
	while (in_flight(g)) {
		if (!has_completions(g)) {
			if (!forever && !time_left(&until, &left)) {
				ret = -ETIMEDOUT;
				break;
			}
			__atomic_store_n(published, word, __ATOMIC_RELAXED);
			__atomic_add_fetch(&io->h->io_reapers, 1, __ATOMIC_SEQ_CST);
			if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value)
				check_entered(enter(g, 1, forever ? NULL : &left));
			__atomic_sub_fetch(&io->h->io_reapers, 1, __ATOMIC_SEQ_CST);
			__atomic_store_n(published, NULL, __ATOMIC_RELAXED);
		}
		if (reap(io, g) || __atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
			break;
	}
	push(g);
	if (for_io)
		rcl_host_spin_end(io->h, &g->spin);
	return ret;
}

int rcl_host_rings_sleep(struct host_io *io, struct host_thread *th, u32 *word, u32 value,
			 u64 timeout_ns, bool for_io)
{
	struct host_rings *rings = io->rings;
	struct host_ring *g = th->plug.ring ? nth_ring(rings, th->plug.ring - 1u) : NULL;
	int ret;

	if (g && in_flight(g)) {
		if (begin_reaping(g)) {
			ret = sleep_reaping(io, g, word, value, timeout_ns, for_io);
			end_reaping(g);
			if (in_flight(g))
				leave_to_background(io);
			return ret;
		}
		push(g);
	}
	if (!for_io)
		return rcl_host_futex_wait(io->h, word, value, timeout_ns);
	/* Who has the requests that this thread waits for may be busy elsewhere. */
	__atomic_add_fetch(&rings->sleepers, 1, __ATOMIC_SEQ_CST);
	if (any_in_flight(rings)) {
		leave_to_background(io);
		if (__atomic_exchange_n(&rings->slow, 0, __ATOMIC_SEQ_CST))
			nudge_background(rings);
	}
	ret = rcl_host_futex_wait(io->h, word, value, timeout_ns);
	__atomic_sub_fetch(&rings->sleepers, 1, __ATOMIC_SEQ_CST);
	return ret;
}

u32 rcl_host_rings_kick(struct host_io *io, const u32 *word)
{
	struct host_rings *rings = io->rings;
	u32 nr = 0;

	for (u32 i = 0; i < rings->nr_max; i++) {
		struct host_ring *g = nth_ring(rings, i);
		struct io_uring_sqe *sqe;

		if (!g || __atomic_load_n(&rings->word[i], __ATOMIC_RELAXED) != word)
			continue;
		nr++;
		if (__atomic_exchange_n(&g->kicked, 1, __ATOMIC_SEQ_CST))
			continue;
		pthread_mutex_lock(&g->sq_lock);
		sqe = new_entry(g);
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data(sqe, NULL);
		publish(g);
		pthread_mutex_unlock(&g->sq_lock);
		push(g);
	}
	return nr;
}

/* ---- opening and closing ---- */

static int make_ring(struct host_io *io, u32 i)
{
	struct io_uring_params params = {.flags = IORING_SETUP_CLAMP};
	struct host_ring *g = aligned_alloc(_Alignof(struct host_ring), sizeof(*g));
	int err;

	if (!g)
		return -ENOMEM;
	memset(g, 0, sizeof(*g));
	g->index = (u16)i;
	err = io_uring_queue_init_params(io->h->cfg.io_depth + 1, &g->u, &params);
	if (err) {
		free(g);
		return err;
	}
	/* Sleeping with a timeout, and no completion lost. */
	if (~params.features & (IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP)) {
		io_uring_queue_exit(&g->u);
		free(g);
		return -ENOSYS;
	}
	for (u32 e = 0; e < g->u.sq.ring_entries; e++)
		g->u.sq.array[e] = e;
	pthread_mutex_init(&g->sq_lock, NULL);
	__atomic_store_n(&io->rings->ring[i], g, __ATOMIC_RELEASE);
	return 0;
}

static void free_rings(struct host_io *io)
{
	struct host_rings *rings = io->rings;

	for (u32 i = 0; i < HOST_RINGS; i++) {
		struct host_ring *g = rings->ring[i];

		if (!g)
			continue;
		io_uring_queue_exit(&g->u);
		pthread_mutex_destroy(&g->sq_lock);
		free(g);
	}
	if (rings->event_fd >= 0)
		close(rings->event_fd);
	pthread_mutex_destroy(&rings->lock);
	free(rings);
	io->rings = NULL;
}

int rcl_host_rings_init(struct host_io *io)
{
	struct host_rings *rings;
	int err;

	if (io->faults && io->faults->refuse_uring)
		return -EPERM;
	rings = calloc(1, sizeof(*rings));
	if (!rings)
		return -ENOMEM;
	io->rings = rings;
	pthread_mutex_init(&rings->lock, NULL);
	rings->nr_max = min(max(4 * io->h->cfg.nr_cpus, 8u), HOST_RINGS);
	rings->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = rings->event_fd < 0 ? -errno : make_ring(io, 0);
	if (err)
		free_rings(io);
	return err;
}

void rcl_host_rings_exit(struct host_io *io)
{
	struct host_rings *rings = io->rings;

	if (rings->thread) {
		__atomic_store_n(&rings->stop, 1, __ATOMIC_SEQ_CST);
		leave_to_background(io);
		nudge_background(rings);
		rcl_host_worker_join(rings->thread);
	}
	free_rings(io);
}
