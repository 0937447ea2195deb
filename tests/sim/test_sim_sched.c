/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "mm/machine.h"
#include "platform/sim/sim.h"

#define MS RCL_NSEC_PER_MSEC
#define US 1000ull

#if defined(__SANITIZE_THREAD__)
#define MANY 500
#else
#define MANY 4000
#endif

/* One simulator and what its tasks share. */
struct world {
	struct rcl_sim *sim;
	struct platform *p;
	u32 word, other;
	u32 order[64], nr_order;
	u64 hash;
	bool stop;
};

struct actor {
	struct task task;
	struct world *w;
	u32 nr;
	u64 work_ns, step_ns, sleep_ns, worst_ns, ended_at;
	int result;
};

static void no_end_io(struct rcl *m, const struct rcl_io *io, int error)
{
	(void)m;
	(void)io;
	(void)error;
}

static void open_world(struct world *w, struct rcl_sim_config cfg)
{
	memset(w, 0, sizeof(*w));
	cfg.end_io = no_end_io;
	assert_int_equal(rcl_sim_create(&cfg, &w->sim), 0);
	w->p = rcl_sim_platform(w->sim);
}

static void close_world(struct world *w)
{
	rcl_sim_destroy(w->sim);
}

static void poll(struct platform *p)
{
	if (p->now >= p->next_event)
		p->ops->poll(p);
}

/* Compute for ns, in steps between which others may run. */
static void compute(struct platform *p, u64 ns, u64 step)
{
	for (; ns; ns -= min(ns, step)) {
		p->now += min(ns, step);
		poll(p);
	}
}

static int nap(struct world *w, u64 ns)
{
	u32 word = 0;
	int ret = w->p->ops->wait_on(w->p, &word, 0, ns, false);

	return ret;
}

static void spawn(struct world *w, struct actor *a, u32 nr, void (*fn)(void *))
{
	a->w = w;
	a->nr = nr;
	a->task.id = nr;
	snprintf(a->task.name, sizeof(a->task.name), "actor%u", nr);
	assert_int_equal(rcl_sim_spawn_user(w->sim, &a->task, fn, a), 0);
}

static void note(struct world *w, u32 nr)
{
	assert_true(w->nr_order < ARRAY_SIZE(w->order));
	w->order[w->nr_order++] = nr;
}

/* ---- waiting ---- */

static void waits_one_way_or_other(void *arg)
{
	struct actor *a = arg;
	struct platform *p = a->w->p;
	u32 word = 7;
	u64 start = p->now;

	assert_ptr_equal(p->ops->current(p), &a->task);
	assert_int_equal(p->ops->wait_on(p, &word, 6, RCL_FOREVER, false), -EAGAIN);
	assert_int_equal(p->now, start);
	assert_int_equal(p->ops->wait_on(p, &word, 7, 0, false), -ETIMEDOUT);
	assert_int_equal(p->now, start);
	/* An idle CPU takes the task up at the deadline, for the price of a switch. */
	assert_int_equal(p->ops->wait_on(p, &word, 7, 5 * MS, true), -ETIMEDOUT);
	assert_int_equal(p->now, start + 5 * MS + p->cost_ns[WORK_SWITCH]);
	assert_int_equal(a->task.io_wait_ns, 5 * MS + p->cost_ns[WORK_SWITCH]);
	assert_int_equal(p->ops->wait_on(p, &word, 7, 5 * MS, false), -ETIMEDOUT);
	assert_int_equal(a->task.io_wait_ns, 5 * MS + p->cost_ns[WORK_SWITCH]);
	a->result = 1;
}

static void test_wait_results(void **state)
{
	struct world w;
	struct actor a = {0};

	(void)state;
	open_world(&w, (struct rcl_sim_config){.seed = 1});
	spawn(&w, &a, 1, waits_one_way_or_other);
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	assert_int_equal(a.result, 1);
	assert_null(a.task.platform);
	close_world(&w);
}

static void sleeps_then_notes(void *arg)
{
	struct actor *a = arg;

	assert_int_equal(nap(a->w, a->sleep_ns), -ETIMEDOUT);
	note(a->w, a->nr);
}

static void test_timers_fire_in_order(void **state)
{
	static const u64 sleep_us[] = {700, 100, 500, 300, 900, 200};
	static const u32 expect[] = {1, 5, 3, 2, 0, 4};
	struct actor a[6] = {0};
	struct world w;

	(void)state;
	open_world(&w, (struct rcl_sim_config){.seed = 3});
	for (u32 i = 0; i < 6; i++) {
		a[i].sleep_ns = sleep_us[i] * US;
		spawn(&w, &a[i], i, sleeps_then_notes);
	}
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	assert_int_equal(w.nr_order, 6);
	assert_memory_equal(w.order, expect, sizeof(expect));
	close_world(&w);
}

/* Queue up at the word one after the other, in the order of their numbers. */
static void queues_up(void *arg)
{
	struct actor *a = arg;
	struct platform *p = a->w->p;

	nap(a->w, a->nr * MS);
	a->result = p->ops->wait_on(p, &a->w->word, 0, RCL_FOREVER, false);
	note(a->w, a->nr);
}

static void wakes_some(void *arg)
{
	struct actor *a = arg;
	struct world *w = a->w;
	struct platform *p = w->p;

	nap(w, 50 * MS);
	assert_int_equal(p->ops->wake(p, &w->other, 9), 0);
	assert_int_equal(p->ops->wake(p, &w->word, 0), 0);
	assert_int_equal(p->ops->wake(p, &w->word, 1), 1);
	nap(w, 1 * MS);
	assert_int_equal(w->nr_order, 1);
	assert_int_equal(p->ops->wake(p, &w->word, 2), 2);
	nap(w, 10 * MS);
	assert_int_equal(w->nr_order, 3);
	assert_int_equal(p->ops->wake(p, &w->word, UINT32_MAX), 5);
	assert_int_equal(p->ops->wake(p, &w->word, UINT32_MAX), 0);
}

static void wake_order(bool explore, u64 seed, u32 *order)
{
	struct actor a[9] = {0};
	struct world w;

	open_world(&w, (struct rcl_sim_config){.seed = seed, .explore = explore});
	for (u32 i = 0; i < 8; i++)
		spawn(&w, &a[i], i, queues_up);
	spawn(&w, &a[8], 8, wakes_some);
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	assert_int_equal(w.nr_order, 8);
	memcpy(order, w.order, 8 * sizeof(u32));
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(a[i].result, 0);
	close_world(&w);
}

static void test_first_come_first_woken(void **state)
{
	u32 order[8];

	(void)state;
	wake_order(false, 5, order);
	/* Which one is taken up first is the scheduler's choice only within one wake of several. */
	assert_int_equal(order[0], 0);
	assert_true((order[1] == 1 && order[2] == 2) || (order[1] == 2 && order[2] == 1));
}

static void test_exploring_wakes_any(void **state)
{
	u32 order[8], first = 0;

	(void)state;
	for (u64 seed = 0; seed < 40; seed++) {
		wake_order(true, seed, order);
		first |= 1u << order[0];
	}
	assert_true(__builtin_popcount(first) >= 5);
}

static void passes_token(void *arg)
{
	struct actor *a = arg;
	struct world *w = a->w;
	struct platform *p = w->p;

	for (u32 i = 0; i < 200; i++) {
		while (w->word % 5 != a->nr) {
			u32 seen = w->word;
			p->ops->wait_on(p, &w->word, seen, RCL_FOREVER, false);
		}
		p->now += 300;
		w->word++;
		p->ops->wake(p, &w->word, UINT32_MAX);
		poll(p);
	}
}

static void test_no_wakeup_is_lost(void **state)
{
	(void)state;
	for (u64 seed = 0; seed < 60; seed++) {
		struct actor a[5] = {0};
		struct world w;

		open_world(&w, (struct rcl_sim_config){
				       .seed = seed, .nr_cpus = 1 + seed % 4, .explore = seed & 1});
		for (u32 i = 0; i < 5; i++)
			spawn(&w, &a[i], i, passes_token);
		assert_int_equal(rcl_sim_run_users(w.sim), 0);
		assert_int_equal(w.word, 1000);
		close_world(&w);
	}
}

/* ---- sharing a CPU ---- */

static void works(void *arg)
{
	struct actor *a = arg;
	struct platform *p = a->w->p;

	compute(p, a->work_ns, a->step_ns);
	a->ended_at = p->now;
}

static void test_cpu_is_shared_fairly(void **state)
{
	enum {
		NR = 5
	};
	struct actor a[NR] = {0};
	struct rcl_sim_stats stats;
	struct world w;
	u64 first = UINT64_MAX, last = 0;

	(void)state;
	open_world(&w, (struct rcl_sim_config){.seed = 11});
	for (u32 i = 0; i < NR; i++) {
		a[i].work_ns = 1000 * MS;
		a[i].step_ns = 100 + i * 700;
		spawn(&w, &a[i], i, works);
	}
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	for (u32 i = 0; i < NR; i++) {
		assert_int_equal(a[i].task.cpu_ns, a[i].work_ns);
		first = min(first, a[i].ended_at);
		last = max(last, a[i].ended_at);
	}
	/* All end within a few slices of each other, not one after the other. */
	assert_in_range(last, NR * 1000 * MS, NR * 1000 * MS + 20 * MS);
	assert_true(last - first < 30 * MS);
	/* A slice is the latency over the tasks, but noticed at a tick. */
	rcl_sim_get_stats(w.sim, &stats);
	assert_in_range(stats.preemptions, 5000 / 8, 5000 / 4);
	close_world(&w);
}

static void naps_often(void *arg)
{
	struct actor *a = arg;
	struct world *w = a->w;

	for (u32 i = 0; i < 100; i++) {
		u64 due = w->p->now + 10 * MS;
		nap(w, 10 * MS);
		a->worst_ns = max(a->worst_ns, w->p->now - due);
		compute(w->p, 200 * US, 10 * US);
	}
}

static void test_sleeper_preempts_hog(void **state)
{
	struct actor hog = {.work_ns = 3000 * MS, .step_ns = 5 * US}, sleeper = {0};
	struct world w;

	(void)state;
	open_world(&w, (struct rcl_sim_config){.seed = 2});
	spawn(&w, &hog, 0, works);
	spawn(&w, &sleeper, 1, naps_often);
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	/* Woken it runs at the hog's next poll: it used far less than its share. */
	assert_true(sleeper.worst_ns <= 5 * US + w.p->cost_ns[WORK_SWITCH]);
	assert_true(sleeper.task.cpu_ns >= 100 * 200 * US);
	close_world(&w);
}

static void wakes_late(void *arg)
{
	struct actor *a = arg;
	struct world *w = a->w;

	nap(w, a->sleep_ns);
	compute(w->p, a->work_ns, 10 * US);
	a->ended_at = w->p->now;
}

static void test_long_sleep_gives_no_hoard(void **state)
{
	struct actor hog = {.work_ns = 1000 * MS, .step_ns = 10 * US};
	struct actor late = {.sleep_ns = 500 * MS, .work_ns = 100 * MS};
	struct world w;

	(void)state;
	open_world(&w, (struct rcl_sim_config){.seed = 2});
	spawn(&w, &hog, 0, works);
	spawn(&w, &late, 1, wakes_late);
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	/* Half the CPU from its wake-up on, not all of it until it has caught up. */
	assert_in_range(late.ended_at, 680 * MS, 710 * MS);
	close_world(&w);
}

/* ---- several CPUs ---- */

static void test_cpus_work_in_parallel(void **state)
{
	struct actor a[8] = {0};
	struct world w;

	(void)state;
	open_world(&w, (struct rcl_sim_config){.seed = 4, .nr_cpus = 4});
	for (u32 i = 0; i < 8; i++) {
		a[i].work_ns = 100 * MS;
		a[i].step_ns = 1000 + i;
		spawn(&w, &a[i], i, works);
	}
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	for (u32 i = 0; i < 8; i++)
		assert_in_range(a[i].ended_at, 180 * MS, 212 * MS);
	close_world(&w);
}

static void watches_clock(void *arg)
{
	struct actor *a = arg;
	struct world *w = a->w;

	for (u32 i = 0; i < 20000; i++) {
		w->p->now += 100 + (i * 37 + a->nr * 11) % 1000;
		poll(w->p);
		/* w->hash: the latest time anybody saw. Nobody is far behind it. */
		if (w->p->now < w->hash)
			a->worst_ns = max(a->worst_ns, w->hash - w->p->now);
		w->hash = max(w->hash, w->p->now);
	}
}

static void test_clocks_stay_together(void **state)
{
	struct actor a[7] = {0};
	struct world w;

	(void)state;
	open_world(&w, (struct rcl_sim_config){.seed = 4, .nr_cpus = 7});
	for (u32 i = 0; i < 7; i++)
		spawn(&w, &a[i], i, watches_clock);
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	for (u32 i = 0; i < 7; i++)
		assert_true(a[i].worst_ns <= 10 * US + 2 * 1100);
	close_world(&w);
}

static void ticks_along(void *arg)
{
	struct actor *a = arg;
	struct world *w = a->w;

	/* A timer is due while the other CPU computes; it must not be seen early or much too late.
	 */
	for (u32 i = 0; i < 500; i++) {
		u64 due = w->p->now + 33 * US;
		nap(w, 33 * US);
		assert_true(w->p->now >= due);
		a->worst_ns = max(a->worst_ns, w->p->now - due);
	}
	w->stop = true;
}

static void works_until_stop(void *arg)
{
	struct actor *a = arg;

	while (!a->w->stop)
		compute(a->w->p, 1 * US, 500);
	a->ended_at = a->w->p->now;
}

static void test_timer_beside_busy_cpu(void **state)
{
	struct actor hog = {0}, timer = {0};
	struct world w;

	(void)state;
	open_world(&w, (struct rcl_sim_config){.seed = 4, .nr_cpus = 2});
	spawn(&w, &hog, 0, works_until_stop);
	spawn(&w, &timer, 1, ticks_along);
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	assert_true(timer.worst_ns <= w.p->cost_ns[WORK_SWITCH]);
	/* The hog lost no time to it. */
	assert_true(hog.ended_at - hog.task.cpu_ns <= 20 * US);
	close_world(&w);
}

static void test_idle_cpu_takes_work(void **state)
{
	struct actor a[4] = {0};
	struct world w;

	(void)state;
	open_world(&w, (struct rcl_sim_config){.seed = 9, .nr_cpus = 2});
	/* Long and short by turns: wherever they start, the long ones end up on both CPUs. */
	for (u32 i = 0; i < 4; i++) {
		a[i].work_ns = i < 2 ? 10 * MS : 200 * MS;
		a[i].step_ns = 10 * US;
		spawn(&w, &a[i], i, works);
	}
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	for (u32 i = 0; i < 4; i++)
		assert_true(a[i].ended_at <= 225 * MS);
	close_world(&w);
}

/* ---- who waits for whom ---- */

static void waits_forever(void *arg)
{
	struct actor *a = arg;

	while (!a->w->stop)
		a->w->p->ops->wait_on(a->w->p, &a->w->word, 0, RCL_FOREVER, false);
	a->result = 1;
}

static void test_deadlock_is_reported(void **state)
{
	struct actor a = {0}, b = {.work_ns = 5 * MS, .step_ns = 1 * MS};
	struct world w;

	(void)state;
	open_world(&w, (struct rcl_sim_config){.seed = 1, .nr_cpus = 2});
	assert_string_equal(rcl_sim_report(w.sim), "");
	spawn(&w, &a, 1, waits_forever);
	spawn(&w, &b, 2, works);
	assert_int_equal(rcl_sim_run_users(w.sim), -EDEADLK);
	assert_non_null(strstr(rcl_sim_report(w.sim), "deadlock"));
	assert_non_null(strstr(rcl_sim_report(w.sim), "actor1"));
	assert_null(strstr(rcl_sim_report(w.sim), "actor2"));
	/* The caller may know better: the task is still there and can be woken. */
	w.stop = true;
	w.p->ops->wake(w.p, &w.word, 1);
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	assert_int_equal(a.result, 1);
	close_world(&w);
}

static void serves(void *arg)
{
	struct actor *a = arg;
	struct world *w = a->w;

	while (!w->stop) {
		w->p->ops->wait_on(w->p, &w->other, 0, a->sleep_ns, false);
		a->result++;
	}
}

static void spawn_service(struct world *w, struct actor *a)
{
	a->w = w;
	a->task.flags = PF_KTHREAD;
	assert_int_equal(w->p->ops->spawn(w->p, &a->task, serves, a), 0);
}

static void test_waiting_services_are_no_deadlock(void **state)
{
	struct actor service = {.sleep_ns = RCL_FOREVER};
	struct actor a = {.work_ns = 5 * MS, .step_ns = 1 * MS};
	struct world w;

	(void)state;
	open_world(&w, (struct rcl_sim_config){.seed = 1});
	spawn_service(&w, &service);
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	spawn(&w, &a, 1, works);
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	/* Main ends the service and waits for it. */
	w.stop = true;
	w.p->ops->wake(w.p, &w.other, 1);
	w.p->ops->join(w.p, &service.task);
	assert_null(service.task.platform);
	w.p->ops->join(w.p, &service.task);
	close_world(&w);
}

static void test_users_that_hang_beside_timers(void **state)
{
	struct actor service = {.sleep_ns = 5000 * MS}, a = {0};
	struct world w;

	(void)state;
	open_world(&w, (struct rcl_sim_config){.seed = 1});
	spawn_service(&w, &service);
	spawn(&w, &a, 1, waits_forever);
	assert_int_equal(rcl_sim_run_users(w.sim), -EDEADLK);
	assert_in_range(service.result, 100, 130);
	assert_non_null(strstr(rcl_sim_report(w.sim), "actor1"));
	close_world(&w);
}

static void joins(void *arg)
{
	struct actor *a = arg;

	a->w->p->ops->join(a->w->p, &a[1].task);
	note(a->w, a->nr);
}

static void test_join(void **state)
{
	struct actor a[2] = {{.nr = 0}, {.sleep_ns = 20 * MS}};
	struct world w;

	(void)state;
	open_world(&w, (struct rcl_sim_config){.seed = 1});
	spawn(&w, &a[0], 0, joins);
	spawn(&w, &a[1], 1, sleeps_then_notes);
	/* Main waits too, in the way the engine would, and the others run meanwhile. */
	w.p->ops->join(w.p, &a[0].task);
	assert_int_equal(w.nr_order, 2);
	assert_int_equal(w.order[0], 1);
	assert_int_equal(w.order[1], 0);
	assert_ptr_equal(w.p->current, rcl_sim_main_task(w.sim));
	close_world(&w);
}

static void test_main_sleeps(void **state)
{
	struct actor a = {.work_ns = 5 * MS, .step_ns = 10 * US};
	struct world w;

	(void)state;
	open_world(&w, (struct rcl_sim_config){.seed = 1});
	spawn(&w, &a, 1, works);
	assert_int_equal(nap(&w, 100 * MS), -ETIMEDOUT);
	assert_null(a.task.platform);
	assert_in_range(w.p->now, 100 * MS, 100 * MS + 2 * w.p->cost_ns[WORK_SWITCH]);
	close_world(&w);
}

/* ---- as a whole ---- */

/* A bit of everything, driven by the machine's random numbers. */
static void lives(void *arg)
{
	struct actor *a = arg;
	struct world *w = a->w;
	struct platform *p = w->p;

	for (u32 i = 0; i < 60; i++) {
		u64 r = p->ops->random(p);
		switch (r % 4) {
		case 0:
			compute(p, r >> 44, 1 + (r >> 8) % 5000);
			break;
		case 1:
			nap(w, 1 + (r >> 44));
			break;
		case 2:
			p->ops->wait_on(p, &w->word, w->word, 1 + (r >> 43), r >> 8 & 1);
			break;
		case 3:
			w->word++;
			p->ops->wake(p, &w->word, (u32)(r >> 8) % 3);
			break;
		}
		w->hash = (w->hash ^ p->now ^ (u64)a->nr << 50) * 0x9fb21c651e98df25ull;
	}
}

static u64 whole_run(u64 seed, u32 cpus, bool explore, u32 nr, u64 *sched)
{
	struct actor *a = calloc(nr, sizeof(*a));
	struct world w;
	u64 hash;

	assert_non_null(a);
	open_world(&w, (struct rcl_sim_config){.seed = seed, .nr_cpus = cpus, .explore = explore});
	for (u32 i = 0; i < nr; i++)
		spawn(&w, &a[i], i, lives);
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	for (u32 i = 0; i < nr; i++)
		assert_null(a[i].task.platform);
	hash = w.hash;
	*sched = rcl_sim_digest(w.sim);
	close_world(&w);
	free(a);
	return hash;
}

static void test_same_seed_same_run(void **state)
{
	(void)state;
	for (u32 i = 0; i < 24; i++) {
		u32 cpus = 1 + i % 5;
		bool explore = i & 8;
		u64 d1, d2, d3, h1, h2, h3;

		h1 = whole_run(i, cpus, explore, 20, &d1);
		h2 = whole_run(i, cpus, explore, 20, &d2);
		h3 = whole_run(i + 1000, cpus, explore, 20, &d3);
		assert_int_equal(h1, h2);
		assert_int_equal(d1, d2);
		assert_int_not_equal(h1, h3);
		assert_int_not_equal(d1, d3);
	}
}

static void test_thousands_of_tasks(void **state)
{
	u64 d1, d2;

	(void)state;
	assert_int_equal(whole_run(1, 3, false, MANY, &d1), whole_run(1, 3, false, MANY, &d2));
	assert_int_equal(d1, d2);
}

static void *run_in_thread(void *arg)
{
	u64 *out = arg;

	for (u32 i = 0; i < 8; i++)
		out[0] ^= whole_run(i, 2, i & 1, 30, &out[1]);
	return NULL;
}

static void test_simulators_share_nothing(void **state)
{
	u64 out[3][2] = {{0}};
	pthread_t thread[2];

	(void)state;
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, run_in_thread, out[i]), 0);
	for (u32 i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	run_in_thread(out[2]);
	assert_memory_equal(out[0], out[2], sizeof(out[0]));
	assert_memory_equal(out[1], out[2], sizeof(out[0]));
}

static void test_bad_configurations(void **state)
{
	struct rcl_sim *sim;

	(void)state;
	assert_int_equal(rcl_sim_create(&(struct rcl_sim_config){.nr_cpus = 65}, &sim), -EINVAL);
	assert_int_equal(rcl_sim_create(&(struct rcl_sim_config){.costs = "free"}, &sim), -EINVAL);
	assert_int_equal(rcl_sim_create(&(struct rcl_sim_config){.costs = "emulated"}, &sim), 0);
	assert_true(rcl_sim_platform(sim)->cost_ns[WORK_FAULT] > 5000);
	assert_int_equal(rcl_sim_run_users(sim), 0);
	rcl_sim_destroy(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait_results),
		cmocka_unit_test(test_timers_fire_in_order),
		cmocka_unit_test(test_first_come_first_woken),
		cmocka_unit_test(test_exploring_wakes_any),
		cmocka_unit_test(test_no_wakeup_is_lost),
		cmocka_unit_test(test_cpu_is_shared_fairly),
		cmocka_unit_test(test_sleeper_preempts_hog),
		cmocka_unit_test(test_long_sleep_gives_no_hoard),
		cmocka_unit_test(test_cpus_work_in_parallel),
		cmocka_unit_test(test_clocks_stay_together),
		cmocka_unit_test(test_timer_beside_busy_cpu),
		cmocka_unit_test(test_idle_cpu_takes_work),
		cmocka_unit_test(test_deadlock_is_reported),
		cmocka_unit_test(test_waiting_services_are_no_deadlock),
		cmocka_unit_test(test_users_that_hang_beside_timers),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_main_sleeps),
		cmocka_unit_test(test_same_seed_same_run),
		cmocka_unit_test(test_thousands_of_tasks),
		cmocka_unit_test(test_simulators_share_nothing),
		cmocka_unit_test(test_bad_configurations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
