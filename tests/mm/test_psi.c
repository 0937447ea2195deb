/* SPDX-License-Identifier: MIT */
#include "mm/machine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A machine that is only a clock and a tree of groups: / - a - b, and / - c. */
struct world {
	struct platform plat;
	struct rcl m;
	struct memcg root, a, b, c;
};

static void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->plat.simulated = true;
	w->m.plat = &w->plat;
	w->m.root_memcg = &w->root;
	w->a.parent = w->c.parent = &w->root;
	w->b.parent = &w->a;
}

static void expect(struct world *w, struct memcg *g, u64 some, u64 full)
{
	u64 s, f;

	rcl_psi_read(&w->m, g, &s, &f);
	assert_int_equal(s, some);
	assert_int_equal(f, full);
}

/* One task: a stall of its own is always full. Nested sections count once. */
static void one_task_is_full(void **state)
{
	struct world w;
	struct task t = {0};
	bool outer, inner;

	(void)state;
	world_init(&w);
	t.memcg = &w.b;
	w.plat.current = &t;
	rcl_psi_task_change(&w.m, &t, true);
	w.plat.now = 100;
	outer = rcl_psi_memstall_enter(&w.m);
	w.plat.now = 130;
	inner = rcl_psi_memstall_enter(&w.m);
	assert_true(inner);
	assert_false(outer);
	rcl_psi_memstall_leave(&w.m, inner);
	w.plat.now = 150;
	expect(&w, &w.b, 50, 50);
	rcl_psi_memstall_leave(&w.m, outer);
	w.plat.now = 400;
	expect(&w, &w.b, 50, 50);
	expect(&w, &w.a, 50, 50);
	expect(&w, &w.root, 50, 50);
	expect(&w, &w.c, 0, 0);
	assert_int_equal(t.memstall_ns, 50);
}

/* A productive neighbour makes it `some` above, while the stalled task's own group stays full. */
static void productive_neighbour(void **state)
{
	struct world w;
	struct task x = {0}, y = {0};
	bool cookie;

	(void)state;
	world_init(&w);
	x.memcg = &w.b;
	y.memcg = &w.a;
	rcl_psi_task_change(&w.m, &x, true);
	rcl_psi_task_change(&w.m, &y, true);
	w.plat.current = &x;
	w.plat.now = 10;
	cookie = rcl_psi_memstall_enter(&w.m);
	rcl_psi_task_change(&w.m, &x, false); /* sleeps inside the stall: nothing new */
	w.plat.now = 30;
	expect(&w, &w.b, 20, 20);
	expect(&w, &w.a, 20, 0);
	rcl_psi_task_change(&w.m, &y, false); /* goes to sleep for a reason of its own */
	w.plat.now = 35;
	expect(&w, &w.a, 25, 5);
	rcl_psi_task_change(&w.m, &x, true);
	rcl_psi_memstall_leave(&w.m, cookie);
	w.plat.now = 90;
	expect(&w, &w.a, 25, 5);
	assert_int_equal(w.a.psi.nr_productive, 1);
	assert_int_equal(w.root.psi.nr_stalled, 0);
}

/* A clock that steps back (another CPU's) adds nothing and loses nothing afterwards. */
static void clock_never_runs_backwards(void **state)
{
	struct world w;
	struct task t = {0};
	bool cookie;

	(void)state;
	world_init(&w);
	w.plat.current = &t;
	w.plat.now = 1000;
	cookie = rcl_psi_memstall_enter(&w.m);
	w.plat.now = 900;
	expect(&w, NULL, 0, 0);
	w.plat.now = 1040;
	rcl_psi_memstall_leave(&w.m, cookie);
	expect(&w, NULL, 40, 40);
}

enum {
	NR = 9,
	STEPS = 20000
};

static bool is_below(const struct memcg *g, const struct memcg *top)
{
	for (; g; g = g->parent)
		if (g == top)
			return true;
	return false;
}

/* Random transitions against a model that judges every group afresh at each step. */
static void random_against_model(void **state)
{
	struct world w;
	struct task t[NR];
	struct memcg *groups[] = {&w.root, &w.a, &w.b, &w.c};
	u64 some[4] = {0}, full[4] = {0};
	u64 seed = 12345;

	(void)state;
	world_init(&w);
	memset(t, 0, sizeof(t));
	for (int i = 0; i < NR; i++)
		t[i].memcg = i ? groups[i % 4] : NULL;
	for (int step = 0; step < STEPS; step++) {
		struct task *one;
		u64 dt;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		dt = (seed >> 33) % 50;
		for (int g = 0; g < 4; g++) {
			int stalled = 0, productive = 0;

			for (int i = 0; i < NR; i++) {
				if (!is_below(t[i].memcg ? t[i].memcg : &w.root, groups[g]))
					continue;
				stalled += t[i].in_memstall;
				productive += t[i].productive && !t[i].in_memstall;
			}
			some[g] += stalled ? dt : 0;
			full[g] += stalled && !productive ? dt : 0;
		}
		w.plat.now += dt;
		one = &t[(seed >> 20) % NR];
		w.plat.current = one;
		if (seed >> 60 < 9)
			rcl_psi_task_change(&w.m, one, !one->productive);
		else if (one->in_memstall)
			rcl_psi_memstall_leave(&w.m, false);
		else
			assert_false(rcl_psi_memstall_enter(&w.m));
		if (step % 97 == 0)
			for (int g = 0; g < 4; g++)
				expect(&w, groups[g], some[g], full[g]);
	}
	for (int g = 0; g < 4; g++) {
		expect(&w, groups[g], some[g], full[g]);
		assert_true(some[g] > full[g] && full[g] > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_task_is_full),
		cmocka_unit_test(productive_neighbour),
		cmocka_unit_test(clock_never_runs_backwards),
		cmocka_unit_test(random_against_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
