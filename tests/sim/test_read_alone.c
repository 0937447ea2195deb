/* SPDX-License-Identifier: MIT */
/*
 * Reads that nothing else can interfere with take a short way (platform/sim/alone.c). Here the same
 * program runs on two simulators, one of which has to take the long way each time: afterwards every
 * clock, statistic and digest must be the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "mm/machine.h"
#include "platform/sim/sim.h"

#define US	  1000ull
#define NR_READS  400
#define NR_OTHERS 3

struct scenario {
	const char *device;
	u32 nr_cpus, nr_others;
	u64 other_sleep_ns, other_work_ns;
	u64 alarm_at;
	bool some_short, some_long; /* ways that the first simulator must have taken */
};

struct rig {
	const struct scenario *sc;
	struct rcl_sim *sim;
	struct platform *p;
	struct rcl m; /* a platform, groups to book pressure to: all that reading needs */
	struct memcg root, group;
	struct folio page;
	struct task task, others[NR_OTHERS];
	u32 never, nr_short, nr_long, alarms;
	u64 ended;
	bool over;
};

/* Not rcl_end_io itself: whoever has a hand of his own in completion gets no short way. */
static void long_way(struct rcl *m, const struct rcl_io *io, int error)
{
	rcl_end_io(m, io, error);
}

static u64 next(u64 *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 33;
}

/* As the engine reads a page (mm/page_io.c). */
static void read_page(struct rig *r, u64 block, bool stall)
{
	struct rcl_io io = {.folio = &r->page, .block = block, .op = RCL_IO_READ, .sync = true};
	bool cookie = stall && rcl_psi_memstall_enter(&r->m);
	u64 token;

	folio_clear(&r->page, PG_uptodate);
	folio_set(&r->page, PG_locked);
	if (r->p->ops->read_begin(r->p, &io, &token)) {
		if (stall && block % 2)
			rcl_psi_memstall_leave(&r->m, cookie);
		r->p->ops->read_end(r->p, &io, token);
		r->nr_short++;
	} else {
		r->p->ops->submit(r->p, &io);
		if (stall && block % 2)
			rcl_psi_memstall_leave(&r->m, cookie);
		rcl_folio_wait_locked(&r->m, &r->page);
		r->nr_long++;
	}
	if (stall && block % 2 == 0)
		rcl_psi_memstall_leave(&r->m, cookie);
	assert_true(folio_test(&r->page, PG_uptodate));
	assert_false(folio_test(&r->page, PG_locked));
}

static void reader(void *arg)
{
	struct rig *r = arg;
	u64 seed = 1;

	for (u32 i = 0; i < NR_READS; i++) {
		r->p->now += next(&seed) % (20 * US);
		rcl_poll(&r->m);
		read_page(r, next(&seed) % 8 ? next(&seed) % 1000 : i, next(&seed) % 3 == 0);
	}
	r->ended = r->p->now;
	r->over = true;
}

static void other(void *arg)
{
	struct rig *r = arg;
	u64 seed = 2;

	while (!r->over) {
		r->p->now += next(&seed) % (r->sc->other_work_ns + 1);
		rcl_poll(&r->m);
		if (r->sc->other_sleep_ns)
			rcl_wait_on(&r->m, &r->never, 0, next(&seed) % r->sc->other_sleep_ns + 1,
				    false);
	}
}

static void alarm_rings(void *arg)
{
	struct rig *r = arg;

	r->alarms++;
}

static void run(struct rig *r, const struct scenario *sc, bool short_way)
{
	struct rcl_sim_config cfg = {
		.seed = 7, .nr_cpus = sc->nr_cpus, .end_io = short_way ? NULL : long_way};

	memset(r, 0, sizeof(*r));
	r->sc = sc;
	assert_int_equal(rcl_sim_create(&cfg, &r->sim), 0);
	assert_int_equal(rcl_sim_add_device(r->sim, rcl_sim_device_preset(sc->device)), 0);
	r->p = rcl_sim_platform(r->sim);
	r->m.plat = r->p;
	r->m.root_memcg = &r->root;
	r->group.parent = &r->root;
	r->p->m = &r->m;
	rcl_sim_at(r->sim, sc->alarm_at, alarm_rings, r);
	r->task.memcg = &r->group;
	assert_int_equal(rcl_sim_spawn_user(r->sim, &r->task, reader, r), 0);
	for (u32 i = 0; i < sc->nr_others; i++)
		assert_int_equal(rcl_sim_spawn_user(r->sim, &r->others[i], other, r), 0);
	assert_int_equal(rcl_sim_run_users(r->sim), 0);
}

static void same(const struct scenario *sc)
{
	struct rig a, b;
	struct rcl_sim_stats sa, sb;
	struct rcl_sim_device_stats da, db;

	run(&a, sc, true);
	run(&b, sc, false);
	assert_int_equal(b.nr_short, 0);
	assert_int_equal(a.nr_short + a.nr_long, NR_READS);
	assert_int_equal(a.nr_short > 0, sc->some_short);
	assert_int_equal(a.nr_long > 0, sc->some_long);

	rcl_sim_get_stats(a.sim, &sa);
	rcl_sim_get_stats(b.sim, &sb);
	assert_memory_equal(&sa, &sb, sizeof(sa));
	rcl_sim_device_get_stats(a.sim, 0, &da);
	rcl_sim_device_get_stats(b.sim, 0, &db);
	assert_memory_equal(&da, &db, sizeof(da));
	assert_int_equal(da.pages[RCL_IO_READ], NR_READS);
	assert_int_equal(a.ended, b.ended);
	assert_int_equal(a.p->now, b.p->now);
	assert_int_equal(rcl_sim_digest(a.sim), rcl_sim_digest(b.sim));
	assert_memory_equal(&a.root.psi, &b.root.psi, sizeof(a.root.psi));
	assert_memory_equal(&a.group.psi, &b.group.psi, sizeof(a.group.psi));
	assert_true(a.group.psi.some_ns > 0);
	assert_int_equal(a.task.cpu_ns, b.task.cpu_ns);
	assert_int_equal(a.task.io_wait_ns, b.task.io_wait_ns);
	assert_int_equal(a.task.memstall_ns, b.task.memstall_ns);
	assert_int_equal(a.alarms, b.alarms);
	assert_int_equal(a.alarms, sc->alarm_at != 0);
	for (u32 i = 0; i < sc->nr_others; i++)
		assert_int_equal(a.others[i].cpu_ns, b.others[i].cpu_ns);
	rcl_sim_destroy(a.sim);
	rcl_sim_destroy(b.sim);
}

static void alone_all_the_time(void **state)
{
	(void)state;
	same(&(struct scenario){.device = "nvme", .some_short = true});
	same(&(struct scenario){.device = "hdd", .some_short = true});
	same(&(struct scenario){.device = "virtio", .nr_cpus = 4, .some_short = true});
}

static void others_wake_now_and_then(void **state)
{
	struct scenario sc = {.device = "nvme",
			      .nr_others = 1,
			      .other_sleep_ns = 400 * US,
			      .other_work_ns = 30 * US,
			      .some_short = true,
			      .some_long = true};

	(void)state;
	same(&sc);
	sc.nr_cpus = 2;
	same(&sc);
	sc.nr_others = NR_OTHERS;
	same(&sc);
	sc.device = "ssd";
	sc.nr_cpus = 1;
	same(&sc);
}

static void somebody_always_works(void **state)
{
	(void)state;
	same(&(struct scenario){.device = "nvme",
				.nr_cpus = 2,
				.nr_others = 2,
				.other_work_ns = 50 * US,
				.some_short = false,
				.some_long = true});
}

static void an_alarm_rings_in_time(void **state)
{
	(void)state;
	same(&(struct scenario){
		.device = "nvme", .alarm_at = 9000 * US, .some_short = true, .some_long = true});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alone_all_the_time),
		cmocka_unit_test(others_wake_now_and_then),
		cmocka_unit_test(somebody_always_works),
		cmocka_unit_test(an_alarm_rings_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
