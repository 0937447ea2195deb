/* SPDX-License-Identifier: MIT */
/*
 * The observer: one thread that keeps the statistics page up to date and answers who asks for
 * metrics.
 *
 * It sleeps in poll() until the next update is due, somebody connects, or it is told to end. It
 * takes no signals, so that the program's handlers run on the program's threads. The block of
 * figures is its own; who starts it only makes it, before the thread is there.
 */
#define _GNU_SOURCE
#include "api/observe.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "api/metrics.h"
#include "api/observe_internal.h"
#include "api/stats_image.h"

#define INTERVAL_NS (STATS_INTERVAL * 1000000ull)

/* All constant while the thread runs, but for what block points to, which is the thread's. */
struct rcl_observer {
	struct rcl_observe_config cfg;
	pid_t owner;
	struct stats_header *block;
	struct rcl_stats_page *page; /* NULL = none */
	struct rcl_metrics *metrics; /* NULL = none */
	int stop;		     /* eventfd: readable when the thread is to end */
	pthread_t thread;
};

int rcl_observe_fail(char **message, int err, const char *format, ...)
{
	va_list args;

	if (!message)
		return err;
	va_start(args, format);
	if (vasprintf(message, format, args) < 0)
		*message = NULL;
	va_end(args);
	return err;
}

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

static const struct stats_header *fill(void *arg)
{
	struct rcl_observer *o = arg;

	rcl_stats_image_fill(&o->cfg, o->block);
	return o->block;
}

static int poll_timeout(u64 until)
{
	u64 now = now_ns();

	if (until == UINT64_MAX)
		return -1;
	return until <= now ? 0 : (int)((until - now) / 1000000 + 1);
}

static void *observe(void *arg)
{
	struct rcl_observer *o = arg;
	struct pollfd fds[1 + METRICS_FDS];
	u64 next = o->page ? now_ns() + INTERVAL_NS : UINT64_MAX;

	for (;;) {
		u64 until = next;
		nfds_t nr = 0;

		fds[0] = (struct pollfd){.fd = o->stop, .events = POLLIN};
		if (o->metrics) {
			nr = rcl_metrics_poll(o->metrics, fds + 1);
			until = min(until, rcl_metrics_deadline(o->metrics));
		}
		if (poll(fds, nr + 1, poll_timeout(until)) < 0)
			continue;
		if (fds[0].revents)
			return NULL;
		if (o->metrics)
			rcl_metrics_serve(o->metrics, fds + 1, nr, fill, o);
		if (now_ns() >= next) {
			fill(o);
			rcl_stats_page_update(o->page);
			next = now_ns() + INTERVAL_NS;
		}
	}
}

static int start_thread(struct rcl_observer *o, char **message)
{
	sigset_t all, before;
	int err;

	o->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (o->stop < 0)
		return rcl_observe_fail(message, -errno, "observer: %s", strerror(errno));
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&o->thread, NULL, observe, o);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return rcl_observe_fail(message, -err, "observer: cannot start a thread: %s",
					strerror(err));
	pthread_setname_np(o->thread, "reclaim-observe");
	return 0;
}

/* Let go of all but the thread. keep: the files are somebody else's. */
static void release(struct rcl_observer *o, bool keep)
{
	rcl_stats_page_destroy(o->page, keep);
	rcl_metrics_close(o->metrics, keep);
	if (o->stop >= 0)
		close(o->stop);
	free(o->block);
	free(o);
}

int rcl_observe_start(const struct rcl_observe_config *cfg, struct rcl_observer **out,
		      char **message)
{
	struct rcl_observer *o;
	int err = 0;

	*out = NULL;
	if (!cfg->page && !cfg->metrics)
		return 0;
	o = calloc(1, sizeof(*o));
	if (!o)
		return rcl_observe_fail(message, -ENOMEM, "observer: out of memory");
	o->cfg = *cfg;
	o->owner = getpid();
	o->stop = -1;
	o->block = rcl_stats_image_create(cfg);
	/* The block has the name now. */
	o->cfg.name = o->cfg.metrics = NULL;
	if (!o->block)
		err = rcl_observe_fail(message, -ENOMEM, "observer: out of memory");
	if (!err) {
		fill(o);
		if (cfg->metrics)
			err = rcl_metrics_open(cfg->metrics, &o->metrics, message);
	}
	if (!err && cfg->page)
		err = rcl_stats_page_create(o->block, &o->page, message);
	if (!err)
		err = start_thread(o, message);
	if (err)
		release(o, false);
	else
		*out = o;
	return err;
}

void rcl_observe_stop(struct rcl_observer *o)
{
	u64 one = 1;

	if (!o)
		return;
	if (o->owner != getpid()) {
		release(o, true);
		return;
	}
	if (write(o->stop, &one, sizeof(one)) == (ssize_t)sizeof(one))
		pthread_join(o->thread, NULL);
	release(o, false);
}
