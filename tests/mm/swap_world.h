/* SPDX-License-Identifier: MIT */
/*
 * A machine whose own tasks never run and whose device completes I/O when somebody waits: the test
 * is the only actor.
 */
#ifndef TESTS_SWAP_WORLD_H
#define TESTS_SWAP_WORLD_H

#include "mm/page_io.h"
#include "mm/swap_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MAX_IO 4096

struct world {
	struct platform plat;
	struct task task;
	struct rcl *m;
	struct memcg *group;
	struct rcl_io io[MAX_IO]; /* submitted, not completed */
	u32 nr_io, plugs, naps;
	int fail; /* what the next completions report */
	u64 seed;
	u64 reads, writes, last_block;
	u16 last_dev;
	bool last_sync;
	void (*on_nap)(struct world *); /* what another task does meanwhile */
	swp_entry_t nap_entry;
};

static inline struct world *world_of(struct platform *p)
{
	return container_of(p, struct world, plat);
}
static inline int fake_spawn(struct platform *p, struct task *t, void (*fn)(void *), void *arg)
{
	(void)p, (void)t, (void)fn, (void)arg;
	return 0;
}
static inline void fake_join(struct platform *p, struct task *t)
{
	(void)p, (void)t;
}
static inline u64 fake_now(struct platform *p)
{
	return p->now;
}
static inline struct task *fake_current(struct platform *p)
{
	return p->current;
}
static inline u32 fake_this_cpu(struct platform *p)
{
	return p->cpu;
}
static inline void complete_io(struct world *w)
{
	u32 n = w->nr_io;

	w->nr_io = 0;
	for (u32 i = 0; i < n; i++)
		rcl_end_io(w->m, &w->io[i], w->fail);
}
static inline int fake_wait_on(struct platform *p, u32 *word, u32 value, u64 timeout_ns, bool io)
{
	struct world *w = world_of(p);

	(void)io;
	if (*word != value)
		return -EAGAIN;
	if (timeout_ns != RCL_FOREVER) {
		p->now += timeout_ns;
		w->naps++;
		if (w->on_nap)
			w->on_nap(w);
		return -ETIMEDOUT;
	}
	assert_true(w->nr_io); /* or nobody would ever wake us */
	complete_io(w);
	return 0;
}
static inline u32 fake_wake(struct platform *p, u32 *word, u32 n)
{
	(void)p, (void)word, (void)n;
	return 0;
}
static inline void fake_poll(struct platform *p)
{
	(void)p;
}
static inline void fake_submit(struct platform *p, const struct rcl_io *io)
{
	struct world *w = world_of(p);

	assert_true(w->nr_io < MAX_IO);
	w->io[w->nr_io++] = *io;
	*(io->op == RCL_IO_READ ? &w->reads : &w->writes) += 1;
	w->last_block = io->block;
	w->last_dev = io->dev;
	w->last_sync = io->sync;
}
static inline void fake_plug_start(struct platform *p)
{
	world_of(p)->plugs++;
}
static inline void fake_plug_finish(struct platform *p)
{
	assert_true(world_of(p)->plugs-- > 0);
}
static inline u64 fake_random(struct platform *p)
{
	u64 *s = &world_of(p)->seed;

	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}
static inline void *fake_reserve(struct platform *p, size_t bytes)
{
	(void)p;
	return calloc(1, bytes);
}
static inline void fake_release(struct platform *p, void *mem, size_t bytes)
{
	(void)p, (void)bytes;
	free(mem);
}
static const struct platform_ops fake_ops = {
	.now = fake_now,
	.current = fake_current,
	.this_cpu = fake_this_cpu,
	.spawn = fake_spawn,
	.join = fake_join,
	.wait_on = fake_wait_on,
	.wake = fake_wake,
	.poll = fake_poll,
	.submit = fake_submit,
	.plug_start = fake_plug_start,
	.plug_finish = fake_plug_finish,
	.random = fake_random,
	.reserve = fake_reserve,
	.release = fake_release,
};

static inline int world_open(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct rcl_machine_config cfg = {
		.plat = &w->plat,
		.nr_cpus = 2,
		.nr_nodes = 1,
		.nodes[0].managed[ZONE_DMA32] = 16384,
	};

	w->seed = 88172645463325252ull;
	w->plat.ops = &fake_ops;
	w->plat.simulated = true;
	w->plat.next_event = UINT64_MAX;
	w->plat.current = &w->task;
	rcl_tunables_defaults(&cfg.tunables);
	assert_int_equal(rcl_machine_open(&cfg, &w->m), 0);
	w->task.m = w->m;
	assert_int_equal(rcl_memcg_create(w->m, w->m->root_memcg, "group", &w->group), 0);
	*state = w;
	return 0;
}
static inline int world_close(void **state)
{
	struct world *w = *state;

	complete_io(w);
	rcl_machine_close(w->m);
	free(w);
	return 0;
}
static inline u64 events(struct world *w, enum vm_event_item item)
{
	s64 n = 0;

	for (u32 cpu = 0; cpu < w->m->nr_cpus; cpu++)
		n += w->m->cpus[cpu].events[item];
	return (u64)n;
}
static inline u64 swapcached(struct world *w)
{
	return (u64)node_page_state(w->m->nodes, NR_SWAPCACHE);
}
static inline struct swap_area *area(struct world *w, u32 type)
{
	return w->m->swap->areas[type];
}
#define assert_swap_valid(w) assert_true(rcl_swap_is_valid((w)->m))

#define TEST(t) cmocka_unit_test_setup_teardown(t, world_open, world_close)

#endif
