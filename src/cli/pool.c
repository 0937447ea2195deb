/* SPDX-License-Identifier: MIT */
#include "cli/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define THREADS_MAX 256

struct pool {
	atomic_size_t next;
	size_t nr;
	void (*fn)(void *arg, size_t i);
	void *arg;
};

static void *work(void *arg)
{
	struct pool *p = arg;
	size_t i;

	while ((i = atomic_fetch_add(&p->next, 1)) < p->nr)
		p->fn(p->arg, i);
	return NULL;
}

void pool_run(unsigned int threads, size_t nr, void (*fn)(void *arg, size_t i), void *arg)
{
	struct pool p = {.nr = nr, .fn = fn, .arg = arg};
	pthread_t thread[THREADS_MAX];
	unsigned int started = 0;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (!threads)
		threads = cores > 0 ? (unsigned int)cores : 1;
	if (threads > nr)
		threads = (unsigned int)nr;
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	/* The calling thread is one of them; where no more can be had, it does all. */
	while (started + 1 < threads && !pthread_create(&thread[started], NULL, work, &p))
		started++;
	work(&p);
	while (started)
		pthread_join(thread[--started], NULL);
}
