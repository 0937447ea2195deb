/* SPDX-License-Identifier: MIT */
/*
 * Writeback on a simulated machine: the calling thread is a task, so a test is written straight
 * down, and when it sleeps the flusher and the device go on.
 */
#ifndef RCL_TESTS_WRITEBACK_WORLD_H
#define RCL_TESTS_WRITEBACK_WORLD_H

#include "mm/wb_internal.h"
#include "mm/swap.h"
#include "platform/sim/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MIB_PAGES     (1ull << (20 - PAGE_SHIFT))
#define DEVICE_BLOCKS (1ull << 20)

struct world {
	struct rcl_sim *sim;
	struct rcl *m;
	struct task *me;
	u16 dev, other_dev, swap_dev;
	u64 next_block;
};

struct world_config {
	u64 memory_mib; /* 0: 64 */
	u64 bandwidth;	/* 0: 100 MB/s */
	u32 fail_write_ppm, fail_read_ppm;
	u32 nr_cpus;
	u64 seed;
	bool check, explore;
};

static inline void world_open(struct world *w, struct world_config c)
{
	struct rcl_sim_config sc = {.seed = c.seed ? c.seed : 1,
				    .nr_cpus = c.nr_cpus,
				    .check = c.check,
				    .explore = c.explore};
	struct rcl_sim_device_config dc = {
		.name = "test",
		.read_latency_ns = 80000,
		.write_latency_ns = 30000,
		.bandwidth = c.bandwidth ? c.bandwidth : 100000000,
		.request_ns = 5000,
		.queue_depth = 32,
		.max_request_bytes = 1 << 20,
		.fail_write_ppm = c.fail_write_ppm,
		.fail_read_ppm = c.fail_read_ppm,
	};
	struct rcl_machine_config mc = {.nr_cpus = c.nr_cpus ? c.nr_cpus : 1, .nr_nodes = 1};

	memset(w, 0, sizeof(*w));
	assert_int_equal(rcl_sim_create(&sc, &w->sim), 0);
	w->dev = (u16)rcl_sim_add_device(w->sim, &dc);
	w->other_dev = (u16)rcl_sim_add_device(w->sim, &dc);
	dc.fail_write_ppm = dc.fail_read_ppm = 0;
	w->swap_dev = (u16)rcl_sim_add_device(w->sim, &dc);
	mc.plat = rcl_sim_platform(w->sim);
	mc.nodes[0].managed[ZONE_DMA32] = (c.memory_mib ? c.memory_mib : 64) * MIB_PAGES;
	rcl_tunables_defaults(&mc.tunables);
	assert_int_equal(rcl_machine_open(&mc, &w->m), 0);
	assert_int_equal(rcl_writeback_add_device(w->m, w->dev), 0);
	assert_int_equal(rcl_writeback_add_device(w->m, w->dev), 0);
	assert_int_equal(rcl_writeback_add_device(w->m, w->other_dev), 0);
	w->me = rcl_sim_main_task(w->sim);
}

static inline void world_close(struct world *w)
{
	assert_true(rcl_writeback_is_valid(w->m));
	rcl_machine_close(w->m);
	rcl_sim_destroy(w->sim);
}

static inline struct mapping *file_on(struct world *w, u16 dev, u64 pages)
{
	struct mapping *mapping;

	assert_int_equal(rcl_mapping_create(w->m, "file", dev, w->next_block, pages, 0, &mapping),
			 0);
	w->next_block += pages;
	assert_true(w->next_block < DEVICE_BLOCKS);
	return mapping;
}

static inline void open_new(struct world *w, u64 pages, struct file *file)
{
	rcl_file_open(w->m, file_on(w, w->dev, pages), file);
}

static inline void sleep_ms(struct world *w, u64 ms)
{
	u64 until = rcl_now(w->m) + ms * RCL_NSEC_PER_MSEC;
	u32 word = 0;

	while (rcl_now(w->m) < until)
		rcl_wait_on(w->m, &word, 0, until - rcl_now(w->m), false);
}

static inline s64 state(struct world *w, enum node_stat_item item)
{
	return node_page_state(&w->m->nodes[0], item);
}

static inline s64 pending(struct world *w)
{
	s64 sum = 0;

	for_each_zone (z, &w->m->nodes[0])
		sum += zone_page_state(z, NR_ZONE_WRITE_PENDING);
	return sum;
}

static inline void expect(struct world *w, s64 dirty, s64 writeback, s64 dirtied, s64 written)
{
	assert_int_equal(state(w, NR_FILE_DIRTY), dirty);
	assert_int_equal(state(w, NR_WRITEBACK), writeback);
	assert_int_equal(pending(w), dirty + writeback);
	assert_int_equal(state(w, NR_DIRTIED), dirtied);
	assert_int_equal(state(w, NR_WRITTEN), written);
	assert_true(rcl_writeback_is_valid(w->m));
}

#endif
