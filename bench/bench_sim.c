/* SPDX-License-Identifier: MIT */
/*
 * What the simulator itself costs, in real nanoseconds: the bare context switch, a wait that
 * another task ends, a page read that the reader waits for, alone and with others, and a poll that
 * finds nothing.
 *
 *	bench_sim [rounds]
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "mm/machine.h"
#include "platform/sim/coro.h"
#include "platform/sim/sim.h"

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void show(const char *what, double start, u64 n)
{
	printf("%-58s %8.2f ns\n", what, (now_ns() - start) / (double)n);
}

/* ---- the bare switch ---- */

struct pair {
	struct rcl_coro thread, other;
};

static void switch_back(void *arg)
{
	struct pair *p = arg;

	rcl_coro_started(&p->other, &p->thread);
	for (;;)
		rcl_coro_switch(&p->other, &p->thread, false);
}

static void bench_switch(u64 rounds)
{
	static const size_t bytes = 65536;
	void *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct pair p;
	double start;

	if (stack == MAP_FAILED)
		exit(1);
	rcl_coro_init_thread(&p.thread);
	rcl_coro_init(&p.other, stack, bytes);
	rcl_coro_prepare(&p.other, switch_back, &p);
	start = now_ns();
	for (u64 i = 0; i < rounds; i++)
		rcl_coro_switch(&p.thread, &p.other, false);
	show("context switch", start, rounds * 2);
	rcl_coro_exit(&p.other);
	munmap(stack, bytes);
}

/* ---- tasks ---- */

struct job {
	struct task task;
	struct rcl_sim *sim;
	struct platform *p;
	u64 rounds;
	u32 *word;
	u32 parity;
	struct folio folio;
};

static void end_io(struct rcl *m, const struct rcl_io *io, int error)
{
	struct folio *f = io->folio;
	struct job *j = container_of(f, struct job, folio);
	struct platform *p = j->p;

	(void)m;
	(void)error;
	folio_clear(f, PG_locked);
	if (folio_test_clear(f, PG_waiters))
		p->ops->wake(p, &f->flags, UINT32_MAX);
}

static void ping_pong(void *arg)
{
	struct job *j = arg;
	struct platform *p = j->p;

	for (u64 i = 0; i < j->rounds; i++) {
		while ((*j->word & 1) != j->parity)
			p->ops->wait_on(p, j->word, *j->word, RCL_FOREVER, false);
		++*j->word;
		p->ops->wake(p, j->word, 1);
	}
}

static void read_pages(void *arg)
{
	struct job *j = arg;
	struct platform *p = j->p;
	struct folio *f = &j->folio;

	for (u64 i = 0; i < j->rounds; i++) {
		struct rcl_io io = {.folio = f, .block = i * 2, .op = RCL_IO_READ, .sync = true};
		folio_set(f, PG_locked);
		p->ops->submit(p, &io);
		while (folio_test(f, PG_locked)) {
			folio_set(f, PG_waiters);
			p->ops->wait_on(p, &f->flags, folio_flags(f), RCL_FOREVER, true);
		}
	}
}

static void poll_often(void *arg)
{
	struct job *j = arg;
	struct platform *p = j->p;

	for (u64 i = 0; i < j->rounds; i++) {
		p->now += 2;
		if (unlikely(p->now >= p->next_event))
			p->ops->poll(p);
		__asm__ volatile("" : : : "memory");
	}
}

static void run(const char *what, void (*fn)(void *), u32 nr_tasks, u32 nr_cpus, u64 rounds)
{
	struct rcl_sim_config cfg = {.seed = 1, .nr_cpus = nr_cpus, .end_io = end_io};
	struct job *jobs = calloc(nr_tasks, sizeof(*jobs));
	struct rcl_sim *sim;
	u32 word = 0;
	double start;

	if (!jobs || rcl_sim_create(&cfg, &sim) ||
	    rcl_sim_add_device(sim, rcl_sim_device_preset("nvme")) < 0)
		exit(1);
	for (u32 i = 0; i < nr_tasks; i++) {
		jobs[i] = (struct job){.sim = sim,
				       .p = rcl_sim_platform(sim),
				       .rounds = rounds / nr_tasks,
				       .word = &word,
				       .parity = i & 1};
		jobs[i].task.id = i + 1;
		if (rcl_sim_spawn_user(sim, &jobs[i].task, fn, &jobs[i]))
			exit(1);
	}
	start = now_ns();
	if (rcl_sim_run_users(sim))
		exit(1);
	show(what, start, rounds / nr_tasks * nr_tasks);
	rcl_sim_destroy(sim);
	free(jobs);
}

int main(int argc, char **argv)
{
	u64 rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : 5000000;

	bench_switch(rounds);
	run("poll that finds nothing, one task", poll_often, 1, 1, rounds * 4);
	run("wake and wait, two tasks on one CPU", ping_pong, 2, 1, rounds);
	run("wake and wait, two tasks on two CPUs", ping_pong, 2, 2, rounds);
	run("read a page and wait for it, one task", read_pages, 1, 1, rounds);
	run("read a page and wait for it, 16 tasks on one CPU", read_pages, 16, 1, rounds);
	run("read a page and wait for it, 16 tasks on 4 CPUs", read_pages, 16, 4, rounds);
	return 0;
}
