/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing a simulator, its table of operations, and the report of a deadlock.
 *
 * The report is made where the event loop finds that nothing can happen any more. If main waits in
 * rcl_sim_run_users it is woken with the bad news; if main itself is among the stuck (it called
 * something in the engine that can never return) there is nobody to tell, and the program ends.
 */
#include <stdio.h>

#include "platform/reserve.h"
#include "platform/sim/internal.h"

static u64 sim_now(struct platform *p)
{
	return p->now;
}

static struct task *sim_current(struct platform *p)
{
	return p->current;
}

static u32 sim_this_cpu(struct platform *p)
{
	return p->cpu;
}

static int sim_spawn(struct platform *p, struct task *t, void (*fn)(void *), void *arg)
{
	return rcl_sim_spawn_task(to_sim(p), t, false, fn, arg);
}

static void sim_join(struct platform *p, struct task *t)
{
	struct sim_task *st;

	/* The word outlives the task; should another have taken its place, that one ends too. */
	while ((st = t->platform))
		rcl_sim_wait_on(p, &st->ended, 0, RCL_FOREVER, false);
}

static u64 sim_random(struct platform *p)
{
	return rng_next(&to_sim(p)->rng_engine);
}

static void *sim_reserve(struct platform *p, size_t bytes)
{
	(void)p;
	return rcl_reserve_memory(bytes);
}

static void sim_release(struct platform *p, void *mem, size_t bytes)
{
	(void)p;
	rcl_release_memory(mem, bytes);
}

#define COMMON_OPS                                                                                 \
	.now = sim_now, .current = sim_current, .this_cpu = sim_this_cpu, .spawn = sim_spawn,      \
	.join = sim_join, .wait_on = rcl_sim_wait_on, .wake = rcl_sim_wake, .poll = rcl_sim_poll,  \
	.submit = rcl_sim_submit, .read_begin = rcl_sim_read_begin, .read_end = rcl_sim_read_end,  \
	.plug_start = rcl_sim_plug_start, .plug_finish = rcl_sim_plug_finish,                      \
	.random = sim_random, .reserve = sim_reserve, .release = sim_release

static const struct platform_ops plain_ops = {COMMON_OPS};

static const struct platform_ops check_ops = {
	COMMON_OPS,
	.page_zero = rcl_sim_page_zero,
	.page_store = rcl_sim_page_store,
	.page_load = rcl_sim_page_load,
	.page_copy = rcl_sim_page_copy,
};

int rcl_sim_create(const struct rcl_sim_config *cfg, struct rcl_sim **out)
{
	u32 nr_cpus = cfg->nr_cpus ? cfg->nr_cpus : 1;
	const struct rcl_sim_costs *costs = rcl_sim_cost_presets();
	struct rcl_sim *sim;

	while (costs->name && cfg->costs && strcmp(costs->name, cfg->costs))
		costs++;
	if (nr_cpus > RCL_SIM_MAX_CPUS || !costs->name)
		return -EINVAL;
	sim = calloc(1, sizeof(*sim));
	if (!sim)
		return -ENOMEM;
	sim->cfg = *cfg;
	sim->cfg.costs = costs->name;
	if (!sim->cfg.end_io)
		sim->cfg.end_io = rcl_end_io;
	if (!sim->cfg.hung_task_ns)
		sim->cfg.hung_task_ns = 600 * RCL_NSEC_PER_SEC;
	sim->nr_cpus = nr_cpus;
	sim->cpus = calloc(nr_cpus, sizeof(*sim->cpus));
	if (!sim->cpus) {
		free(sim);
		return -ENOMEM;
	}

	struct rng seeds = {cfg->seed};
	sim->rng_engine.state = rng_next(&seeds);
	sim->rng_sched.state = rng_next(&seeds);
	sim->rng_device.state = rng_next(&seeds);
	sim->rng_fault.state = rng_next(&seeds);

	sim->plat.ops = cfg->check ? &check_ops : &plain_ops;
	sim->plat.simulated = true;
	sim->plat.has_data = cfg->check;
	memcpy(sim->plat.cost_ns, costs->ns, sizeof(sim->plat.cost_ns));
	memcpy(sim->main_task.name, "main", 5);
	list_init(&sim->main_task.link);
	rcl_sim_sched_init(sim);
	*out = sim;
	return 0;
}

void rcl_sim_destroy(struct rcl_sim *sim)
{
	if (!sim)
		return;
	RCL_ASSERT(sim->running == &sim->main);
	rcl_sim_devices_exit(sim);
	rcl_sim_data_exit(sim);
	rcl_sim_sched_exit(sim);
	free(sim->report);
	free(sim->cpus);
	free(sim);
}

void rcl_sim_at(struct rcl_sim *sim, u64 at, void (*fn)(void *), void *arg)
{
	sim->alarm_at = at;
	sim->alarm = fn;
	sim->alarm_arg = arg;
}

struct platform *rcl_sim_platform(struct rcl_sim *sim)
{
	return &sim->plat;
}

struct task *rcl_sim_main_task(struct rcl_sim *sim)
{
	return &sim->main_task;
}

int rcl_sim_spawn_user(struct rcl_sim *sim, struct task *t, void (*fn)(void *), void *arg)
{
	return rcl_sim_spawn_task(sim, t, true, fn, arg);
}

int rcl_sim_run_users(struct rcl_sim *sim)
{
	RCL_ASSERT(sim->running == &sim->main);
	sim->deadlock = false;
	/* Main is no user while it waits here: its waiting keeps nobody from being stuck. */
	sim->in_run = true;
	sim->main.user = false;
	sim->nr_users--;
	while (sim->nr_users && !sim->deadlock)
		rcl_sim_wait_on(&sim->plat, &sim->users_seq, sim->users_seq, RCL_FOREVER, false);
	sim->nr_users++;
	sim->main.user = true;
	sim->in_run = false;
	return sim->deadlock ? -EDEADLK : 0;
}

static void report_task(FILE *f, const struct rcl_sim *sim, const struct sim_task *st)
{
	static const char *const states[] = {"runnable", "running", "waiting"};

	fprintf(f, "  %s task %u \"%.16s\" on cpu %u: %s", st->user ? "user" : "machine",
		st->task->id, st->task->name, st->cpu, states[st->state]);
	if (st->state == TASK_WAITING)
		fprintf(f, " on word %p while it is %u (it is %u), since %.6f s%s",
			(void *)st->word, st->value, *st->word, (double)st->slept_at / 1e9,
			st->forever ? "" : ", with a timeout");
	for (u32 i = 0; i < sim->nr_devices; i++)
		if (st->word == &sim->devices[i]->full_seq || st->word == &sim->devices[i]->wbt_seq)
			fprintf(f, " (room in the queue of %s)", sim->devices[i]->name);
	if (st->task->in_memstall)
		fprintf(f, ", stalled on memory");
	fprintf(f, "\n");
}

void rcl_sim_stuck(struct rcl_sim *sim, const char *why)
{
	const u32 most = 100;
	struct sim_task *st;
	size_t bytes;
	u32 nr = 0;
	FILE *f;

	free(sim->report);
	sim->report = NULL;
	f = open_memstream(&sim->report, &bytes);
	if (f) {
		fprintf(f, "deadlock at %.6f s: %s\n", (double)sim->plat.now / 1e9, why);
		list_for_each (st, &sim->tasks, all) {
			/* A task that has just ended may still be the one that runs this loop. */
			if (st->state == TASK_ENDED || (st == &sim->main && sim->in_run))
				continue;
			if (++nr > most)
				break;
			report_task(f, sim, st);
		}
		if (nr > most)
			fprintf(f, "  and more\n");
		if (fclose(f))
			sim->report = NULL;
	}
	if (!sim->in_run) {
		fprintf(stderr, "%s", sim->report ? sim->report : "deadlock\n");
		RCL_ASSERT(!"the thread that drives the simulator is deadlocked");
	}
	sim->deadlock = true;
	sim->users_seq++;
	rcl_sim_wake(&sim->plat, &sim->users_seq, UINT32_MAX);
}

const char *rcl_sim_report(struct rcl_sim *sim)
{
	return sim->report ? sim->report : "";
}

u64 rcl_sim_digest(const struct rcl_sim *sim)
{
	return sim->digest;
}

void rcl_sim_get_stats(const struct rcl_sim *sim, struct rcl_sim_stats *out)
{
	*out = sim->stats;
}
