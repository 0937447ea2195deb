/* SPDX-License-Identifier: MIT */
/*
 * A machine to be watched: simulated, with two groups one in the other, in which nothing runs.
 * Pages go to a folder of the test's own.
 */
#ifndef RCL_TESTS_WATCHED_H
#define RCL_TESTS_WATCHED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/observe.h"
#include "mm/machine.h"
#include "platform/sim/sim.h"

#include "../folder.h"

/* ThreadSanitizer does not let a child start threads. */
#if defined(__SANITIZE_THREAD__)
#define NO_THREADS_IN_CHILDREN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_THREADS_IN_CHILDREN 1
#endif
#endif
#ifndef NO_THREADS_IN_CHILDREN
#define NO_THREADS_IN_CHILDREN 0
#endif

struct watched {
	struct rcl_sim *sim;
	struct rcl *m;
	struct memcg *outer, *inner;
	struct rcl_observe_config cfg;
	char dir[TEST_FOLDER_SIZE];
};

static void watched_stats(void *arg, struct rcl_stats *stats)
{
	(void)arg;
	assert_int_equal(stats->size, sizeof(*stats));
	stats->budget = 64 << 20;
	stats->used = 3 << 20;
	stats->checksum_errors = 7;
	stats->stalled_some = 1500000001;
}

static inline struct watched *watched_open(void)
{
	struct watched *w = calloc(1, sizeof(*w));
	struct rcl_sim_config sc = {.seed = 1};
	struct rcl_machine_config mc = {.nr_cpus = 1, .nr_nodes = 1};

	assert_int_equal(rcl_sim_create(&sc, &w->sim), 0);
	mc.plat = rcl_sim_platform(w->sim);
	mc.nodes[0].managed[ZONE_NORMAL] = 16384;
	rcl_tunables_defaults(&mc.tunables);
	assert_int_equal(rcl_machine_open(&mc, &w->m), 0);
	assert_int_equal(rcl_memcg_create(w->m, w->m->root_memcg, "outer", &w->outer), 0);
	assert_int_equal(rcl_memcg_create(w->m, w->outer, "in\"ner", &w->inner), 0);
	assert_int_equal(rcl_memcg_set_max(w->m, w->inner, 8 << 20), 0);
	w->cfg = (struct rcl_observe_config){
		.m = w->m, .name = "te\\st\x1b[2J", .stats = watched_stats};
	assert_true(test_folder_for_sockets(w->dir));
	setenv("XDG_RUNTIME_DIR", w->dir, 1);
	return w;
}

static inline void watched_close(struct watched *w)
{
	rcl_machine_close(w->m);
	rcl_sim_destroy(w->sim);
	assert_int_equal(rmdir(w->dir), 0); /* nothing is left in it */
	free(w);
}

#endif
