/* SPDX-License-Identifier: MIT */
/*
 * Events: a thread looks at the machine and its groups ten times a second and queues what has
 * changed.
 *
 *   pressure   time in which some thread was stalled, of the last second (ten samples); each time
 *              the level it makes is another than the one told last
 *   limit      a charge met the group's limit since the last look
 *   oom        ... and reclaim could not make room; of the machine: it had no memory for a call
 *   I/O error  the error sequence of a file has changed; swap writes have failed
 *
 * Nothing is sampled before somebody asks for the descriptor: the thread costs little, but not
 * nothing. The descriptor is an eventfd that is raised when the queue gets its first event and
 * lowered when its last is taken, both with the queue's lock held, so that it is readable exactly
 * while there are events. With the queue full, news are counted and dropped; the next event that
 * finds room carries the count.
 *
 * Field legend:  Q events->lock   L machine->lock   c constant   A atomic
 */
#define _GNU_SOURCE 1
#include "api/internal.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define QUEUE_LENGTH   256u
#define SAMPLE_NS      ((u64)(100 * RCL_NSEC_PER_MSEC))
#define MAPPING_ERRNO  0xfffu /* of mapping->wb_err: writeback.c */
#define LOW_PERCENT    10u
#define MEDIUM_PERCENT 40u

struct events {
	struct rcl_machine *machine; /* c */
	int fd;			     /* c */
	pthread_t thread;	     /* c */
	pthread_mutex_t lock;
	pthread_cond_t stopped; /* Q: with stop */
	bool stop;		/* Q */
	u32 first, nr;		/* Q */
	u64 lost;		/* Q: since the last event that was queued */
	u64 swap_errors;	/* L: told */
	struct rcl_event queue[QUEUE_LENGTH];
};

static u64 monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * RCL_NSEC_PER_SEC + (u64)t.tv_nsec;
}

/* ---- the queue ----------------------------------------------------------------------------- */

static void push(struct events *ev, enum rcl_event_kind kind, u64 value, const char *group)
{
	struct rcl_event *e;

	pthread_mutex_lock(&ev->lock);
	if (ev->nr == QUEUE_LENGTH) {
		ev->lost++;
		pthread_mutex_unlock(&ev->lock);
		return;
	}
	e = &ev->queue[(ev->first + ev->nr) % QUEUE_LENGTH];
	*e = (struct rcl_event){.kind = kind,
				.value = (int)min(value, (u64)INT32_MAX),
				.time_ns = monotonic_ns(),
				.lost = ev->lost};
	snprintf(e->group, sizeof(e->group), "%s", group);
	ev->lost = 0;
	if (!ev->nr++)
		eventfd_write(ev->fd, 1);
	pthread_mutex_unlock(&ev->lock);
}

int rcl_event_read(struct rcl_machine *machine, struct rcl_event *event)
{
	struct events *ev = __atomic_load_n(&machine->events, __ATOMIC_ACQUIRE);
	API_UNCANCELLED;
	int got = 0;

	if (!api_is_alive(machine))
		return -ECHILD;
	if (!ev)
		return 0;
	pthread_mutex_lock(&ev->lock);
	if (ev->nr) {
		*event = ev->queue[ev->first];
		ev->first = (ev->first + 1) % QUEUE_LENGTH;
		if (!--ev->nr)
			eventfd_read(ev->fd, &(eventfd_t){0});
		got = 1;
	}
	pthread_mutex_unlock(&ev->lock);
	return got;
}

/* ---- looking ------------------------------------------------------------------------------- */

static enum rcl_pressure level_of(u64 stalled_ns, u64 window_ns)
{
	if (!stalled_ns)
		return RCL_PRESSURE_NONE;
	if (stalled_ns * 100 < window_ns * LOW_PERCENT)
		return RCL_PRESSURE_LOW;
	return stalled_ns * 100 < window_ns * MEDIUM_PERCENT ? RCL_PRESSURE_MEDIUM
							     : RCL_PRESSURE_CRITICAL;
}

/* machine->lock is held, here and below. */
static void look_at_pressure(struct events *ev, struct watch *w, struct memcg *memcg,
			     const char *name)
{
	u64 some, full, oldest;
	enum rcl_pressure level;

	rcl_psi_read(ev->machine->m, memcg, &some, &full);
	/* The place of the next sample holds the oldest one. */
	oldest = w->nr < PRESSURE_SAMPLES ? w->some_ns[0] : w->some_ns[w->pos];
	if (!w->nr)
		oldest = some;
	w->some_ns[w->pos] = some;
	w->pos = (w->pos + 1) % PRESSURE_SAMPLES;
	w->nr = min(w->nr + 1, PRESSURE_SAMPLES);
	level = level_of(some - min(oldest, some), PRESSURE_SAMPLES * SAMPLE_NS);
	if (level == w->level)
		return;
	w->level = level;
	push(ev, RCL_EVENT_PRESSURE, level, name);
}

/* Tell of a count that only grows. */
static void look_at_count(struct events *ev, u64 *told, u64 now, enum rcl_event_kind kind,
			  const char *name)
{
	if (now == *told)
		return;
	*told = now;
	push(ev, kind, now, name);
}

static u64 read_count(const u64 *count)
{
	return __atomic_load_n(count, __ATOMIC_RELAXED);
}

static void look_at_group(struct events *ev, struct rcl_group *group)
{
	struct memcg *memcg = group->memcg;

	look_at_pressure(ev, &group->watch, memcg, memcg->name);
	look_at_count(ev, &group->watch.limits, read_count(&memcg->max_events), RCL_EVENT_LIMIT,
		      memcg->name);
	look_at_count(ev, &group->watch.ooms, read_count(&memcg->oom_events), RCL_EVENT_OOM,
		      memcg->name);
}

static void look_at_file(struct events *ev, struct backing *b)
{
	u32 err = __atomic_load_n(&b->mapping->wb_err, __ATOMIC_ACQUIRE);

	/* (That somebody was told of it by a sync changes the word, too, but not the error.) */
	err &= ~(MAPPING_ERRNO + 1);
	if (err == b->told_err)
		return;
	b->told_err = err;
	push(ev, RCL_EVENT_IO_ERROR, err & MAPPING_ERRNO, "");
}

static void look_at_swap(struct events *ev)
{
	struct rcl_machine *machine = ev->machine;
	struct rcl_host_device_info info;

	if (machine->swap_dev < 0)
		return;
	rcl_host_device_info(machine->host, (u16)machine->swap_dev, &info);
	if (info.errors == ev->swap_errors)
		return;
	ev->swap_errors = info.errors;
	push(ev, RCL_EVENT_IO_ERROR, EIO, "");
}

static void look(struct events *ev)
{
	struct rcl_machine *machine = ev->machine;
	struct rcl_group *group;
	struct backing *b;

	pthread_mutex_lock(&machine->lock);
	look_at_pressure(ev, &machine->watch, NULL, "");
	look_at_count(ev, &machine->watch.ooms, read_count(&machine->refused), RCL_EVENT_OOM, "");
	list_for_each (group, &machine->groups, link)
		look_at_group(ev, group);
	list_for_each (b, &machine->backings, link)
		look_at_file(ev, b);
	look_at_swap(ev);
	pthread_mutex_unlock(&machine->lock);
}

void rcl_events_file_closing(struct backing *b)
{
	struct events *ev = __atomic_load_n(&b->machine->events, __ATOMIC_ACQUIRE);

	if (ev)
		look_at_file(ev, b);
}

static void *monitor(void *arg)
{
	struct events *ev = arg;
	u64 next = monotonic_ns();

	pthread_mutex_lock(&ev->lock);
	while (!ev->stop) {
		struct timespec until;

		pthread_mutex_unlock(&ev->lock);
		look(ev);
		pthread_mutex_lock(&ev->lock);
		/* A late look does not make the next ones early. */
		next = max(next + SAMPLE_NS, monotonic_ns());
		until = (struct timespec){.tv_sec = (time_t)(next / RCL_NSEC_PER_SEC),
					  .tv_nsec = (long)(next % RCL_NSEC_PER_SEC)};
		while (!ev->stop && !pthread_cond_timedwait(&ev->stopped, &ev->lock, &until))
			;
	}
	pthread_mutex_unlock(&ev->lock);
	return NULL;
}

/* ---- beginning and end --------------------------------------------------------------------- */

/* What happened before is not told. machine->lock is held. */
static void begin_watching(struct events *ev)
{
	struct rcl_machine *machine = ev->machine;
	struct rcl_host_device_info info;
	struct rcl_group *group;
	struct backing *b;

	machine->watch.ooms = read_count(&machine->refused);
	list_for_each (group, &machine->groups, link) {
		group->watch.limits = read_count(&group->memcg->max_events);
		group->watch.ooms = read_count(&group->memcg->oom_events);
	}
	list_for_each (b, &machine->backings, link)
		b->told_err = __atomic_load_n(&b->mapping->wb_err, __ATOMIC_ACQUIRE) &
			      ~(MAPPING_ERRNO + 1);
	if (machine->swap_dev >= 0) {
		rcl_host_device_info(machine->host, (u16)machine->swap_dev, &info);
		ev->swap_errors = info.errors;
	}
}

static void free_events(struct events *ev)
{
	pthread_cond_destroy(&ev->stopped);
	pthread_mutex_destroy(&ev->lock);
	close(ev->fd);
	free(ev);
}

/* Signals are for the program's threads. */
static int start_thread(struct events *ev)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&ev->thread, NULL, monitor, ev);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err)
		pthread_setname_np(ev->thread, "rcl-events");
	return -err;
}

/* machine->lock is held. */
static int start(struct rcl_machine *machine)
{
	struct events *ev = calloc(1, sizeof(*ev));
	pthread_condattr_t attr;
	int err;

	if (!ev)
		return -ENOMEM;
	ev->machine = machine;
	ev->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ev->fd < 0) {
		err = -errno;
		free(ev);
		return err;
	}
	pthread_mutex_init(&ev->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&ev->stopped, &attr);
	pthread_condattr_destroy(&attr);
	begin_watching(ev);
	err = start_thread(ev);
	if (err) {
		free_events(ev);
		return err;
	}
	__atomic_store_n(&machine->events, ev, __ATOMIC_RELEASE);
	return 0;
}

int rcl_event_fd(struct rcl_machine *machine)
{
	API_UNCANCELLED;
	int err = 0;

	if (!api_is_alive(machine))
		return -ECHILD;
	pthread_mutex_lock(&machine->lock);
	if (!machine->events)
		err = start(machine);
	pthread_mutex_unlock(&machine->lock);
	return err ? err : machine->events->fd;
}

void rcl_events_stop(struct rcl_machine *machine)
{
	struct events *ev = machine->events;

	if (!ev)
		return;
	pthread_mutex_lock(&ev->lock);
	ev->stop = true;
	pthread_cond_signal(&ev->stopped);
	pthread_mutex_unlock(&ev->lock);
	pthread_join(ev->thread, NULL);
	machine->events = NULL;
	free_events(ev);
}

void rcl_events_forget(struct rcl_machine *machine)
{
	if (machine->events)
		close(machine->events->fd);
	free(machine->events);
}
