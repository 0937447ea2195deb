/* SPDX-License-Identifier: MIT */
/*
 * Requests done by threads with preadv() and pwritev(), where io_uring cannot be used.
 *
 * One queue, served in order. A thread is started when a request comes and nobody is idle, until
 * there are as many as I/Os may be under way, or HOST_POOL_THREADS; they stay until the end. Who
 * submits does a request himself if not a single thread can be had.
 */
#define _GNU_SOURCE 1 /* preadv, pwritev */
#include "platform/host/io.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct host_pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct host_request *first, **last; /* P */
	u32 queued, idle, nr_threads;	    /* P */
	bool stop;			    /* P */
	u32 max_threads;		    /* c */
	struct host_thread *threads[HOST_POOL_THREADS];
};

static ssize_t write_some(struct host_request *r, u64 offset)
{
#ifdef __SANITIZE_THREAD__
	/* ThreadSanitizer is not to see that a page of swap is in use again: see device.c. */
	if (r->dev->swap)
		return syscall(SYS_pwritev, r->fd, r->iov, (long)r->nr_iov, (long)offset, 0L);
#endif
	return pwritev(r->fd, r->iov, r->nr_iov, (off_t)offset);
}

static s64 transfer(struct host_request *r)
{
	u64 offset = r->offset + r->from;
	ssize_t n;

	if (unlikely(r->delay_ns)) {
		struct timespec t = {.tv_sec = (time_t)(r->delay_ns / RCL_NSEC_PER_SEC),
				     .tv_nsec = (long)(r->delay_ns % RCL_NSEC_PER_SEC)};
		nanosleep(&t, NULL);
		r->delay_ns = 0;
	}
	if (unlikely(r->inject))
		return r->inject;
	if (r->op == RCL_IO_READ)
		n = preadv(r->fd, r->iov, r->nr_iov, (off_t)offset);
	else
		n = write_some(r, offset);
	return n < 0 ? -errno : n;
}

static void serve(struct host_io *io, struct host_request *r)
{
	while (rcl_host_request_step(io, r, transfer(r)))
		;
}

static void worker(void *arg)
{
	struct host_io *io = arg;
	struct host_pool *pool = io->pool;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct host_request *r = pool->first;

		if (!r) {
			if (pool->stop)
				break;
			pool->idle++;
			pthread_cond_wait(&pool->work, &pool->lock);
			pool->idle--;
			continue;
		}
		pool->first = r->next;
		if (!pool->first)
			pool->last = &pool->first;
		pool->queued--;
		pthread_mutex_unlock(&pool->lock);
		serve(io, r);
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
}

/* With the lock held, so that a thread has its place before anybody stops the pool. */
static void more_threads(struct host_io *io)
{
	struct host_pool *pool = io->pool;

	u32 missing = pool->queued - min(pool->queued, pool->idle);

	for (; missing && pool->nr_threads < pool->max_threads; missing--) {
		if (rcl_host_worker_start(io->h, "io", worker, io,
					  &pool->threads[pool->nr_threads]))
			break;
		pool->nr_threads++;
	}
}

void rcl_host_pool_start(struct host_io *io, struct host_request *list)
{
	struct host_pool *pool = io->pool;
	struct host_request *last = list;
	u32 nr = 1, wake;

	for (; last->next; last = last->next)
		nr++;
	pthread_mutex_lock(&pool->lock);
	*pool->last = list;
	pool->last = &last->next;
	pool->queued += nr;
	wake = min(nr, pool->idle);
	more_threads(io);
	if (unlikely(!pool->nr_threads)) {
		/* Nobody else touches the queue. */
		list = pool->first;
		pool->first = NULL;
		pool->last = &pool->first;
		pool->queued = 0;
	} else {
		list = NULL;
	}
	pthread_mutex_unlock(&pool->lock);
	while (wake--)
		pthread_cond_signal(&pool->work);
	while (unlikely(list)) {
		struct host_request *r = list;

		list = r->next;
		serve(io, r);
	}
}

int rcl_host_pool_init(struct host_io *io)
{
	struct host_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	io->pool = pool;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pool->last = &pool->first;
	pool->max_threads = min(io->h->cfg.io_depth, HOST_POOL_THREADS);
	return 0;
}

void rcl_host_pool_exit(struct host_io *io)
{
	struct host_pool *pool = io->pool;

	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (u32 i = 0; i < pool->nr_threads; i++)
		rcl_host_worker_join(pool->threads[i]);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
	io->pool = NULL;
}
