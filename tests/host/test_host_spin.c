/* SPDX-License-Identifier: MIT */
/* How long a thread looks for the end of a read, and when it does not; with a clock of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include "platform/host/spin.h"

#include <cmocka.h>

#define US   1000ull
#define MOST (100 * US)

struct world {
	struct rcl_host h;
	u64 now;
	struct host_spin spin;
};

static u64 clock_of(struct platform *p)
{
	return container_of(to_host(p), struct world, h)->now;
}
static const struct platform_ops ops = {.now = clock_of};

static struct world *new_world(u32 cpus)
{
	struct world *w = calloc(1, sizeof(*w));

	w->h.plat.ops = &ops;
	w->h.cfg.spin_ns = MOST;
	w->h.usable_cpus = cpus;
	w->now = 1000 * US;
	return w;
}

/* A wait that takes so long; how long it was looked for. */
static u64 wait_for(struct world *w, u64 ns)
{
	u64 until = rcl_host_spin_begin(&w->h, &w->spin), looked = until ? until - w->now : 0;

	assert_int_equal(w->h.spinners, until ? 1 : 0);
	rcl_host_spin_stop(&w->h, &w->spin);
	assert_int_equal(w->h.spinners, 0);
	w->now += ns;
	rcl_host_spin_end(&w->h, &w->spin);
	return looked;
}

static void the_window_follows_the_waits(void **state)
{
	struct world *w = new_world(2);

	(void)state;
	assert_int_equal(wait_for(w, 40 * US), 0);
	assert_int_equal(wait_for(w, 40 * US), 25 * US);
	assert_int_equal(wait_for(w, 40 * US), 50 * US);
	assert_int_equal(wait_for(w, 40 * US), 100 * US);
	assert_int_equal(wait_for(w, 100 * US), 100 * US);
	assert_int_equal(wait_for(w, 101 * US), 100 * US);
	assert_int_equal(wait_for(w, 5000 * US), 50 * US);
	assert_int_equal(wait_for(w, 5000 * US), 25 * US);
	assert_int_equal(wait_for(w, 5000 * US), 0);
	assert_int_equal(wait_for(w, 10 * US), 0);
	assert_int_equal(wait_for(w, 10 * US), 25 * US);
	free(w);
}

static void a_processor_stays_free(void **state)
{
	struct world *w = new_world(2);
	struct host_spin other = {.window_ns = MOST};

	(void)state;
	w->spin.window_ns = MOST;
	/* kswapd works. */
	w->h.awake = 1;
	assert_int_equal(rcl_host_spin_begin(&w->h, &w->spin), 0);
	rcl_host_spin_stop(&w->h, &w->spin);
	w->h.awake = 0;
	/* Somebody looks already. */
	assert_int_not_equal(rcl_host_spin_begin(&w->h, &w->spin), 0);
	assert_int_equal(rcl_host_spin_begin(&w->h, &other), 0);
	rcl_host_spin_stop(&w->h, &other);
	assert_int_equal(w->h.spinners, 1);
	rcl_host_spin_stop(&w->h, &w->spin);
	assert_int_not_equal(rcl_host_spin_begin(&w->h, &other), 0);
	rcl_host_spin_stop(&w->h, &other);
	/* There is only one. */
	w->h.usable_cpus = 1;
	assert_int_equal(rcl_host_spin_begin(&w->h, &w->spin), 0);
	free(w);
}

static void off_is_off(void **state)
{
	struct world *w = new_world(8);

	(void)state;
	w->h.cfg.spin_ns = 0;
	for (u32 i = 0; i < 10; i++)
		assert_int_equal(wait_for(w, US), 0);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_window_follows_the_waits),
		cmocka_unit_test(a_processor_stays_free),
		cmocka_unit_test(off_is_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
