/* SPDX-License-Identifier: MIT */
/*
 * A whole machine with one task: the machine's own tasks never run, I/O completes when the task
 * waits for it (or on demand), and pages have content. For tests that play all parts by hand.
 */
#ifndef RCL_TESTS_LONE_TASK_H
#define RCL_TESTS_LONE_TASK_H

#include <stdlib.h>
#include <sys/mman.h>

#include "mm/machine.h"

/* True: with real locks and atomics, as for threads, though there is but one; nothing polls. */
#ifndef LONE_THREADED
#define LONE_THREADED false
#endif
#define LONE_MAX_IO	8192
#define LONE_MAX_BLOCKS 65536

struct lone {
	struct platform plat;
	struct task task;
	struct rcl *m;
	struct memcg *group;	       /* the task is in it */
	struct rcl_io io[LONE_MAX_IO]; /* submitted, not completed */
	u32 nr_io, plugs;
	int fail;	      /* what the next completions report */
	u64 reads, writes;    /* pages completed */
	u64 log[LONE_MAX_IO]; /* blocks read, in order of submission */
	u32 nr_log;
	u64 seed;
	u64 *frame_data;	   /* stamp per frame */
	u64 disk[LONE_MAX_BLOCKS]; /* stamp per block */
};

static inline struct lone *lone_of(struct platform *p)
{
	return container_of(p, struct lone, plat);
}
static inline u64 lone_random_value(struct lone *w)
{
	u64 z = w->seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}
static inline void lone_complete_io(struct lone *w)
{
	for (u32 i = 0; i < w->nr_io; i++) {
		struct rcl_io *io = &w->io[i];
		u64 *data = &w->frame_data[folio_pfn(w->m, io->folio)];

		if (io->op == RCL_IO_READ) {
			w->reads++;
			if (!w->fail)
				*data = w->disk[io->block];
		} else {
			w->writes++;
			if (!w->fail)
				w->disk[io->block] = *data;
		}
		rcl_end_io(w->m, io, w->fail);
	}
	w->nr_io = 0;
}

static u64 lone_now(struct platform *p)
{
	return p->now;
}
static struct task *lone_current(struct platform *p)
{
	return p->current;
}
static u32 lone_this_cpu(struct platform *p)
{
	return p->cpu;
}
static int lone_spawn(struct platform *p, struct task *t, void (*fn)(void *), void *arg)
{
	(void)p, (void)t, (void)fn, (void)arg;
	return 0;
}
static void lone_join(struct platform *p, struct task *t)
{
	(void)p, (void)t;
}
static int lone_wait_on(struct platform *p, u32 *word, u32 value, u64 timeout_ns, bool io)
{
	struct lone *w = lone_of(p);

	(void)io;
	if (*word != value)
		return -EAGAIN;
	if (w->nr_io) {
		lone_complete_io(w);
		return 0;
	}
	RCL_ASSERT(timeout_ns != RCL_FOREVER); /* or nobody would ever wake us */
	p->now += timeout_ns;
	return -ETIMEDOUT;
}
static u32 lone_wake(struct platform *p, u32 *word, u32 n)
{
	(void)p, (void)word, (void)n;
	return 0;
}
static void lone_poll(struct platform *p)
{
	(void)p;
}
static void lone_submit(struct platform *p, const struct rcl_io *io)
{
	struct lone *w = lone_of(p);

	RCL_ASSERT(io->block < LONE_MAX_BLOCKS);
	if (w->nr_io == LONE_MAX_IO)
		lone_complete_io(w);
	w->io[w->nr_io++] = *io;
	if (io->op == RCL_IO_READ && w->nr_log < LONE_MAX_IO)
		w->log[w->nr_log++] = io->block;
}
static void lone_plug_start(struct platform *p)
{
	lone_of(p)->plugs++;
}
static void lone_plug_finish(struct platform *p)
{
	RCL_ASSERT(lone_of(p)->plugs-- > 0);
}
static void lone_page_zero(struct platform *p, struct folio *f)
{
	lone_of(p)->frame_data[folio_pfn(p->m, f)] = 0;
}
static void lone_page_store(struct platform *p, struct folio *f, u64 stamp)
{
	lone_of(p)->frame_data[folio_pfn(p->m, f)] = stamp;
}
static u64 lone_page_load(struct platform *p, struct folio *f)
{
	return lone_of(p)->frame_data[folio_pfn(p->m, f)];
}
static void lone_page_copy(struct platform *p, struct folio *dst, struct folio *src)
{
	lone_page_store(p, dst, lone_page_load(p, src));
}
static u64 lone_random(struct platform *p)
{
	return lone_random_value(lone_of(p));
}
static void *lone_reserve(struct platform *p, size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)p;
	return mem == MAP_FAILED ? NULL : mem;
}
static void lone_release(struct platform *p, void *mem, size_t bytes)
{
	(void)p;
	munmap(mem, bytes);
}
static const struct platform_ops lone_ops = {
	.now = lone_now,
	.current = lone_current,
	.this_cpu = lone_this_cpu,
	.spawn = lone_spawn,
	.join = lone_join,
	.wait_on = lone_wait_on,
	.wake = lone_wake,
	.poll = lone_poll,
	.submit = lone_submit,
	.plug_start = lone_plug_start,
	.plug_finish = lone_plug_finish,
	.page_zero = lone_page_zero,
	.page_store = lone_page_store,
	.page_load = lone_page_load,
	.page_copy = lone_page_copy,
	.random = lone_random,
	.reserve = lone_reserve,
	.release = lone_release,
};

/* The task runs on CPU 0; set w->plat.cpu to move it. NULL when the machine does not open. */
static inline struct lone *lone_open(u32 nr_cpus, u64 pages)
{
	struct lone *w = calloc(1, sizeof(*w));
	struct rcl_machine_config cfg = {
		.plat = &w->plat,
		.nr_cpus = nr_cpus,
		.nr_nodes = 1,
		.nodes[0].managed[ZONE_DMA32] = pages,
	};

	w->seed = 1;
	w->plat.ops = &lone_ops;
	w->plat.simulated = !LONE_THREADED;
	w->plat.threaded = LONE_THREADED;
	w->plat.has_data = true;
	w->plat.next_event = UINT64_MAX;
	w->plat.current = &w->task;
	list_init(&w->task.link);
	rcl_tunables_defaults(&cfg.tunables);
	if (rcl_machine_open(&cfg, &w->m))
		return NULL;
	w->frame_data = calloc(w->m->nr_frames, sizeof(u64));
	rcl_task_attach(w->m, &w->task);
	if (rcl_memcg_create(w->m, w->m->root_memcg, "group", &w->group))
		return NULL;
	w->task.memcg = w->group;
	for (u64 b = 0; b < LONE_MAX_BLOCKS; b++)
		w->disk[b] = b << 32 | 1;
	return w;
}
static inline void lone_close(struct lone *w)
{
	lone_complete_io(w);
	rcl_task_detach(w->m, &w->task);
	rcl_machine_close(w->m);
	free(w->frame_data);
	free(w);
}
static inline s64 lone_events(struct lone *w, enum vm_event_item item)
{
	s64 n = 0;

	for (u32 cpu = 0; cpu < w->m->nr_cpus; cpu++)
		n += w->m->cpus[cpu].events[item];
	return n;
}
static inline s64 lone_node_stat(struct lone *w, enum node_stat_item item)
{
	return shared_read(&w->m->nodes[0].stat[item]);
}
static inline s64 lone_group_stat(struct lone *w, enum node_stat_item item)
{
	return shared_read(&w->group->lruvecs[0]->stat[item]);
}

#endif
