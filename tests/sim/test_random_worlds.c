/* SPDX-License-Identifier: MIT */
/*
 * Simulation test: many seeds, each a random machine under random load with injected faults; see
 * random_world.c for what must hold.
 *
 *   test_random_worlds               the seeds of the test suite
 *   test_random_worlds FIRST COUNT   those seeds, each reported (a longer run, or one to debug)
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "random_world.h"

/* ThreadSanitizer has little to see where nothing runs at the same time, and takes its time. */
#ifdef __SANITIZE_THREAD__
#define SUITE_SEEDS 40
#else
#define SUITE_SEEDS 200
#endif

static void worlds_hold(void **state)
{
	struct world_result sum = {0};

	(void)state;
	for (u64 seed = 1; seed <= SUITE_SEEDS; seed++) {
		struct world_result r;

		random_world_run(seed, 0, &r);
		if (r.error[0])
			fail_msg("seed %llu: %s", (unsigned long long)seed, r.error);
		sum.operations += r.operations;
		sum.oom_kills += r.oom_kills;
		sum.io_errors += r.io_errors;
		sum.swapped_out += r.swapped_out;
		sum.written += r.written;
		sum.reclaimed += r.reclaimed;
	}
	printf("%d worlds: %llu operations, %llu pages reclaimed, %llu swapped out, %llu written, "
	       "%llu OOM kills, %llu I/O errors\n",
	       SUITE_SEEDS, (unsigned long long)sum.operations, (unsigned long long)sum.reclaimed,
	       (unsigned long long)sum.swapped_out, (unsigned long long)sum.written,
	       (unsigned long long)sum.oom_kills, (unsigned long long)sum.io_errors);
	/* Worlds in which nothing happens prove nothing. */
	assert_true(sum.reclaimed > 500 * SUITE_SEEDS && sum.swapped_out > 50 * SUITE_SEEDS &&
		    sum.written > 50 * SUITE_SEEDS);
	assert_true(sum.io_errors > 0 && (sum.oom_kills > 0 || SUITE_SEEDS < 200));
}

static void same_seed_same_world(void **state)
{
	(void)state;
	for (u64 seed = 1000; seed < 1000 + (SUITE_SEEDS + 19) / 20; seed++) {
		struct world_result a, b;

		random_world_run(seed, 500, &a);
		random_world_run(seed, 500, &b);
		assert_int_equal(a.digest, b.digest);
		assert_int_equal(a.reclaimed, b.reclaimed);
	}
}

static int run_range(u64 first, u64 count)
{
	int bad = 0;

	for (u64 seed = first; seed < first + count; seed++) {
		struct world_result r;

		random_world_run(seed, 0, &r);
		if (r.error[0] || count <= 10)
			printf("seed %llu: %s (%llu operations, %llu reclaimed, %llu killed)\n",
			       (unsigned long long)seed, r.error[0] ? r.error : "ok",
			       (unsigned long long)r.operations, (unsigned long long)r.reclaimed,
			       (unsigned long long)r.oom_kills);
		bad += r.error[0] != 0;
	}
	printf("%llu worlds, %d broken\n", (unsigned long long)count, bad);
	return bad != 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(worlds_hold),
		cmocka_unit_test(same_seed_same_world),
	};

	if (argc == 3)
		return run_range(strtoull(argv[1], NULL, 0), strtoull(argv[2], NULL, 0));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
