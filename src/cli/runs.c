/* SPDX-License-Identifier: MIT */
#include "cli/runs.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/pool.h"

struct runs;

struct one {
	struct runs *runs;
	u64 done; /* A: accesses */
};

struct runs {
	struct sim_job *jobs;
	struct one *ones;
	size_t nr;
	const char *title;
	u64 accesses; /* of all jobs */
	pthread_mutex_t lock;
	u64 shown_at; /* lock */
};

static u64 milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

static bool show_progress(void *arg, u64 done, u64 accesses)
{
	struct one *one = arg;
	struct runs *runs = one->runs;
	u64 sum = 0, now = milliseconds();

	(void)accesses;
	__atomic_store_n(&one->done, done, __ATOMIC_RELAXED);
	if (pthread_mutex_trylock(&runs->lock))
		return true;
	if (now >= runs->shown_at + 100) {
		runs->shown_at = now;
		for (size_t i = 0; i < runs->nr; i++)
			sum += __atomic_load_n(&runs->ones[i].done, __ATOMIC_RELAXED);
		fprintf(stderr, "\r%s: %3.0f%%\033[K", runs->title,
			100.0 * (double)sum / (double)runs->accesses);
		fflush(stderr);
	}
	pthread_mutex_unlock(&runs->lock);
	return true;
}

static void run_one(void *arg, size_t i)
{
	struct runs *runs = arg;
	struct sim_job *job = &runs->jobs[i];

	if (runs->title)
		job->req.progress =
			(struct rcl_sim_progress){.report = show_progress, .arg = &runs->ones[i]};
	job->ret = rcl_sim_run(&job->req, &job->res, &job->err);
	job->req.progress = (struct rcl_sim_progress){0};
	__atomic_store_n(&runs->ones[i].done, job->req.trace->count, __ATOMIC_RELAXED);
}

int run_jobs(struct sim_job *jobs, size_t nr, const char *title, unsigned int threads)
{
	struct runs runs = {
		.jobs = jobs,
		.nr = nr,
		.title = title,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};

	runs.ones = calloc(nr + 1, sizeof(*runs.ones));
	if (!runs.ones)
		return cli_error(CLI_FAILED, "out of memory");
	for (size_t i = 0; i < nr; i++) {
		runs.ones[i].runs = &runs;
		runs.accesses += jobs[i].req.trace->count;
	}
	pool_run(threads, nr, run_one, &runs);
	if (title)
		fprintf(stderr, "\r\033[K");
	free(runs.ones);
	return 0;
}

int run_exit_code(const struct sim_job *jobs, size_t nr)
{
	int code = CLI_OK;

	for (size_t i = 0; i < nr; i++) {
		if (jobs[i].ret || (jobs[i].res.outcome != RCL_SIM_COMPLETED &&
				    jobs[i].res.outcome != RCL_SIM_OOM))
			return CLI_FAILED;
		if (jobs[i].res.outcome == RCL_SIM_OOM)
			code = CLI_OOM;
	}
	return code;
}
