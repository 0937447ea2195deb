/* SPDX-License-Identifier: MIT */
/*
 * Threads as tasks, and sleeping.
 *
 * Whoever runs engine code is a task, found through a pthread key: the caller's threads from their
 * first rcl_host_enter() on, the machine's own (kswapd, flushers), and those of the I/O half that
 * end I/Os. Entering again costs a look at the key. A thread's task is given up when the thread
 * ends, when the machine closes, or at the latest when the host does. A thread that is just ending
 * while another destroys the host is a race that nobody but the caller can exclude.
 *
 * Sleeping is a futex on the engine's own word. A wake-up is a system call even if nobody sleeps,
 * so sleepers are counted, in a small table by address:
 *
 *   sleeper: count++, then the kernel compares the word and sleeps
 *   waker:   changes the word, then looks at the count
 *
 * Both look at the count by an atomic read-modify-write, and these have one order: either the waker
 * sees the sleeper, or the sleeper comes later and the kernel sees the changed word.
 *
 * Pressure. A thread that has entered once counts as productive for the machine while it does not
 * sleep in the engine: what it does outside cannot be seen, and the likely thing is that it works.
 * For a group it counts from entering on behalf of that group to leaving. The machine's own tasks
 * do not count: they have no work of their own to lose.
 */
#define _GNU_SOURCE 1 /* sched_getcpu, names of threads */
#include "platform/host/internal.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- threads that enter ---- */

static struct host_thread *new_thread(struct rcl_host *h, u32 flags)
{
	struct host_thread *th = calloc(1, sizeof(*th));

	if (!th)
		return NULL;
	th->h = h;
	th->task = &th->own;
	th->own.flags = flags;
	th->own.platform = th;
	list_init(&th->own.link);
	list_init(&th->link);
	return th;
}

/* Make the machine forget a thread's task. h->lock is held. */
static void detach(struct host_thread *th)
{
	struct rcl *m = th->h->plat.m;

	if (!th->attached)
		return;
	th->attached = false;
	rcl_psi_task_change(m, th->task, false);
	rcl_task_detach(m, th->task);
}

/* The machine may not be open yet, or no more; then the thread does without. */
static void attach(struct host_thread *th)
{
	struct rcl_host *h = th->h;
	struct rcl *m;

	pthread_mutex_lock(&h->lock);
	m = h->closing ? NULL : h->plat.m;
	if (m) {
		rcl_task_attach(m, th->task);
		rcl_psi_task_change(m, th->task, true);
		th->attached = true;
	}
	pthread_mutex_unlock(&h->lock);
}

/* The key's destructor: a thread ends that has entered and may have left long ago. */
static void thread_ends(void *arg)
{
	struct host_thread *th = arg;
	struct rcl_host *h = th->h;

	if (!rcl_host_is_alive(h))
		return;
	/* What follows runs engine code, on a task. */
	pthread_setspecific(h->key, th);
	if (th->plug.nr)
		rcl_host_plug_flush(h, th);
	pthread_mutex_lock(&h->lock);
	detach(th);
	list_del_init(&th->link);
	pthread_mutex_unlock(&h->lock);
	pthread_setspecific(h->key, NULL);
	free(th);
}

static struct host_thread *first_enter(struct rcl_host *h)
{
	struct host_thread *th = new_thread(h, 0);

	if (!th)
		return NULL;
	if (pthread_setspecific(h->key, th)) {
		free(th);
		return NULL;
	}
	pthread_getname_np(pthread_self(), th->own.name, sizeof(th->own.name));
	pthread_mutex_lock(&h->lock);
	list_add_tail(&th->link, &h->threads);
	pthread_mutex_unlock(&h->lock);
	return th;
}

/* The thread works for another group now. */
static void set_memcg(struct host_thread *th, struct memcg *memcg)
{
	struct task *t = th->task;

	if (likely(t->memcg == memcg))
		return;
	if (th->attached)
		rcl_psi_task_move(th->h->plat.m, t, memcg);
	else
		t->memcg = memcg;
}

struct task *rcl_host_enter(struct rcl_host *h, struct memcg *memcg)
{
	struct host_thread *th;

	if (unlikely(!rcl_host_is_alive(h)))
		return NULL;
	th = host_this_thread(h);
	if (unlikely(!th)) {
		th = first_enter(h);
		if (!th)
			return NULL;
	}
	if (unlikely(!th->attached && !th->fn))
		attach(th);
	RCL_ASSERT(th->depth < HOST_ENTER_DEPTH);
	/* A thread that is cancelled in here would take locks with it. */
	if (!th->depth)
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &th->cancel_state);
	th->outer[th->depth] = th->task->memcg;
	set_memcg(th, memcg && memcg->parent ? memcg : NULL);
	__atomic_store_n(&th->depth, th->depth + 1, __ATOMIC_RELAXED);
	return th->task;
}

void rcl_host_leave(struct rcl_host *h, struct task *t)
{
	struct host_thread *th = host_this_thread(h);
	int cancel_state = th->cancel_state;
	bool outermost = th->depth == 1;

	RCL_ASSERT(th->task == t && th->depth);
	if (unlikely(th->plug.nr))
		rcl_host_plug_flush(h, th);
	set_memcg(th, th->outer[th->depth - 1]);
	/* Whoever closes the machine finds this and with it all that the task did. */
	__atomic_store_n(&th->depth, th->depth - 1, __ATOMIC_RELEASE);
	if (outermost)
		pthread_setcancelstate(cancel_state, NULL);
}

struct task *rcl_host_current(struct platform *p)
{
	struct host_thread *th = host_this_thread(to_host(p));

	RCL_ASSERT(th);
	return th->task;
}

u32 rcl_host_this_cpu(struct platform *p)
{
	u32 cpu = (u32)sched_getcpu(), nr = to_host(p)->cfg.nr_cpus;

	return likely(cpu < nr) ? cpu : cpu % nr;
}

/* The machine goes: its tasks list must be left, and nobody may come to it any more. */
void rcl_host_closing(struct platform *p)
{
	struct rcl_host *h = to_host(p);
	struct host_thread *th;

	pthread_mutex_lock(&h->lock);
	h->closing = true;
	list_for_each (th, &h->threads, link) {
		__atomic_load_n(&th->depth, __ATOMIC_ACQUIRE);
		detach(th);
	}
	pthread_mutex_unlock(&h->lock);
}

/*
 * Whoever waited for a page may go on, and close the machine, before the thread that ended the
 * page's I/O has left the engine. (Nobody wakes us: that thread may do no more than count.)
 */
void rcl_host_drain_io(struct platform *p)
{
	struct rcl_host *h = to_host(p);
	struct host_thread *th = host_this_thread(h);
	u32 left;

	rcl_host_plug_flush(h, th);
	while ((left = __atomic_load_n(&h->io_inflight, __ATOMIC_ACQUIRE)))
		rcl_host_io_wait(h, th, &h->io_inflight, left, RCL_NSEC_PER_MSEC, true);
}

int rcl_host_threads_init(struct rcl_host *h)
{
	int err = pthread_key_create(&h->key, thread_ends);

	if (err)
		return -err;
	pthread_mutex_init(&h->lock, NULL);
	list_init(&h->threads);
	return 0;
}

void rcl_host_threads_exit(struct rcl_host *h)
{
	struct host_thread *th, *next;

	/* From here on no thread's end comes to us. */
	pthread_key_delete(h->key);
	pthread_mutex_lock(&h->lock);
	list_for_each_safe (th, next, &h->threads, link) {
		RCL_ASSERT(!th->attached);
		free(th);
	}
	pthread_mutex_unlock(&h->lock);
	pthread_mutex_destroy(&h->lock);
}

/* ---- threads of our own ---- */

/* spin.c wants to know how many are. */
static void count_awake(struct host_thread *th, s32 nr)
{
	if (th->spawned)
		__atomic_add_fetch(&th->h->awake, (u32)nr, __ATOMIC_RELAXED);
}

static void *thread_main(void *arg)
{
	struct host_thread *th = arg;
	char name[16];

	snprintf(name, sizeof(name), "rcl-%.11s", th->task->name);
	pthread_setname_np(pthread_self(), name);
	if (pthread_setspecific(th->h->key, th))
		rcl_assert_failed("memory for a new thread's key", __FILE__, __LINE__);
	count_awake(th, 1);
	th->fn(th->arg);
	if (th->plug.nr)
		rcl_host_plug_flush(th->h, th);
	count_awake(th, -1);
	pthread_setspecific(th->h->key, NULL);
	return NULL;
}

/* Signals are for the caller's threads. A mask is inherited, so no signal can come in between. */
static int start(struct host_thread *th, void (*fn)(void *), void *arg)
{
	sigset_t all, old;
	int err;

	th->fn = fn;
	th->arg = arg;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&th->pthread, NULL, thread_main, th);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

int rcl_host_spawn(struct platform *p, struct task *t, void (*fn)(void *), void *arg)
{
	struct host_thread *th = new_thread(to_host(p), 0);
	int err;

	if (!th)
		return -ENOMEM;
	th->task = t;
	th->spawned = true;
	t->platform = th;
	err = start(th, fn, arg);
	if (err) {
		t->platform = NULL;
		free(th);
	}
	return err;
}

void rcl_host_join(struct platform *p, struct task *t)
{
	struct host_thread *th = t->platform, *self = host_this_thread(to_host(p));

	if (!th)
		return;
	/* The task may be waiting for what we have gathered. */
	if (self && self->plug.nr)
		rcl_host_plug_flush(to_host(p), self);
	rcl_host_worker_join(th);
	t->platform = NULL;
}

int rcl_host_worker_start(struct rcl_host *h, const char *name, void (*fn)(void *), void *arg,
			  struct host_thread **out)
{
	struct host_thread *th = new_thread(h, PF_KTHREAD | PF_MEMALLOC);
	int err;

	if (!th)
		return -ENOMEM;
	snprintf(th->own.name, sizeof(th->own.name), "%.15s", name);
	err = start(th, fn, arg);
	if (err) {
		free(th);
		return err;
	}
	*out = th;
	return 0;
}

void rcl_host_worker_join(struct host_thread *th)
{
	int err = pthread_join(th->pthread, NULL);

	RCL_ASSERT(!err);
	free(th);
}

/* ---- sleeping and waking ---- */

static u32 *sleepers_on(struct rcl_host *h, const u32 *word)
{
	u64 hash = ((uintptr_t)word >> 2) * 0x9e3779b97f4a7c15ull;

	return &h->sleepers[hash >> (64 - HOST_SLEEPERS_BITS)];
}

/* Until `until` on CLOCK_MONOTONIC, NULL: for ever. */
static int futex_wait(const u32 *word, u32 value, const struct timespec *until)
{
	/* The deadline is absolute, so that however many signals come it stays where it is. */
	while (syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, until, NULL,
		       FUTEX_BITSET_MATCH_ANY)) {
		if (errno == EAGAIN || errno == ETIMEDOUT)
			return -errno;
		RCL_ASSERT(errno == EINTR);
	}
	return 0;
}

int rcl_host_futex_wait(struct rcl_host *h, u32 *word, u32 value, u64 timeout_ns)
{
	u32 *sleepers = sleepers_on(h, word);
	struct timespec until;
	u64 ns = 0;
	int err;

	if (timeout_ns != RCL_FOREVER) {
		ns = h->opened_at + host_now(h);
		/* Centuries are for ever. */
		ns = timeout_ns > INT64_MAX - ns ? 0 : ns + timeout_ns;
		until.tv_sec = (time_t)(ns / RCL_NSEC_PER_SEC);
		until.tv_nsec = (long)(ns % RCL_NSEC_PER_SEC);
	}
	__atomic_fetch_add(sleepers, 1, __ATOMIC_SEQ_CST);
	err = futex_wait(word, value, ns ? &until : NULL);
	__atomic_fetch_sub(sleepers, 1, __ATOMIC_RELEASE);
	return err;
}

u32 rcl_host_futex_wake(struct rcl_host *h, u32 *word, u32 n)
{
	long woken;

	/* Not a load: see the top of the file. */
	if (!__atomic_fetch_add(sleepers_on(h, word), 0, __ATOMIC_SEQ_CST))
		return 0;
	woken = syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, (int)min(n, (u32)INT32_MAX));
	return woken < 0 ? 0 : (u32)woken;
}

int rcl_host_wait_on(struct platform *p, u32 *word, u32 value, u64 timeout_ns, bool io)
{
	struct rcl_host *h = to_host(p);
	struct host_thread *th = host_this_thread(h);
	struct task *t = th->task;
	bool counts;
	u64 start;
	int err;

	if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
		return -EAGAIN;
	if (!timeout_ns && !th->plug.nr)
		return -ETIMEDOUT;

	count_awake(th, -1);
	counts = th->attached && !t->in_memstall;
	start = io ? host_now(h) : 0;
	if (counts)
		rcl_psi_task_change(p->m, t, false);
	if (th->plug.nr || __atomic_load_n(&h->io_inflight, __ATOMIC_RELAXED))
		err = rcl_host_io_wait(h, th, word, value, timeout_ns, io);
	else
		err = rcl_host_futex_wait(h, word, value, timeout_ns);
	if (counts)
		rcl_psi_task_change(p->m, t, true);
	if (io)
		t->io_wait_ns += host_now(h) - start;
	count_awake(th, 1);
	return err;
}

u32 rcl_host_wake(struct platform *p, u32 *word, u32 n)
{
	struct rcl_host *h = to_host(p);
	u32 woken = rcl_host_futex_wake(h, word, n);

	if (__atomic_load_n(&h->io_reapers, __ATOMIC_SEQ_CST))
		woken += rcl_host_io_kick(h, word);
	return woken;
}
