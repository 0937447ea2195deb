/* SPDX-License-Identifier: MIT */
/*
 * The page allocator alone on a platform that does nothing: one task, virtual time that stands
 * still but for sleeps, memory from mmap. For tests and benchmarks of the allocator itself.
 */
#ifndef RCL_TESTS_BARE_MACHINE_H
#define RCL_TESTS_BARE_MACHINE_H

#include "mm/machine.h"

#include <stdlib.h>
#include <sys/mman.h>

struct bare {
	struct platform plat;
	struct rcl m;
	struct task task;
	struct cpu *cpus;
	u64 seed;
	s64 reserved; /* bytes reserved and not released */
	u64 naps;     /* waits that timed out */
};

static u64 bare_now(struct platform *p)
{
	return p->now;
}
static struct task *bare_current(struct platform *p)
{
	return p->current;
}
static u32 bare_this_cpu(struct platform *p)
{
	return p->cpu;
}
static int bare_wait_on(struct platform *p, u32 *word, u32 value, u64 timeout_ns, bool io)
{
	(void)io;
	if (*word != value)
		return -EAGAIN;
	RCL_ASSERT(timeout_ns != RCL_FOREVER); /* nobody is there to wake us */
	container_of(p, struct bare, plat)->naps++;
	p->now += timeout_ns;
	return -ETIMEDOUT;
}
static u32 bare_wake(struct platform *p, u32 *word, u32 n)
{
	(void)p, (void)word, (void)n;
	return 0;
}
static void bare_poll(struct platform *p)
{
	(void)p;
}
static u64 bare_random(struct platform *p)
{
	u64 z = container_of(p, struct bare, plat)->seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}
static void *bare_reserve(struct platform *p, size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		return NULL;
	/* Tables are touched at random: with small pages most of the time goes to the TLB. */
	if (bytes >= 8ul << 20)
		madvise(mem, bytes, MADV_HUGEPAGE);
	container_of(p, struct bare, plat)->reserved += (s64)bytes;
	return mem;
}
static void bare_release(struct platform *p, void *mem, size_t bytes)
{
	container_of(p, struct bare, plat)->reserved -= (s64)bytes;
	munmap(mem, bytes);
}
static const struct platform_ops bare_ops = {
	.now = bare_now,
	.current = bare_current,
	.this_cpu = bare_this_cpu,
	.wait_on = bare_wait_on,
	.wake = bare_wake,
	.poll = bare_poll,
	.random = bare_random,
	.reserve = bare_reserve,
	.release = bare_release,
};

/* Everything but the nodes: fill in layouts and call rcl_page_alloc_init(&b->m, ...). */
static inline struct bare *bare_new(u32 nr_cpus, bool threaded)
{
	struct bare *b = calloc(1, sizeof(*b));

	b->plat.ops = &bare_ops;
	b->plat.simulated = !threaded;
	b->plat.threaded = threaded;
	b->plat.next_event = UINT64_MAX;
	b->plat.current = &b->task;
	b->plat.m = &b->m;
	b->seed = 1;
	b->cpus = calloc(nr_cpus, sizeof(*b->cpus));
	b->m.plat = &b->plat;
	b->m.threaded = threaded;
	b->m.nr_cpus = nr_cpus;
	b->m.cpus = b->cpus;
	for (u32 i = 0; i < nr_cpus; i++) {
		b->cpus[i].id = i;
		spin_init(&b->cpus[i].lock, threaded);
	}
	list_init(&b->m.tasks);
	spin_init(&b->m.tasks_lock, threaded);
	rcl_tunables_defaults(&b->m.tun);
	b->task.m = &b->m;
	memcpy(b->task.name, "bare", 5);
	return b;
}

static inline void bare_delete(struct bare *b)
{
	RCL_ASSERT(!b->reserved);
	free(b->cpus);
	free(b);
}

static inline void bare_close(struct bare *b)
{
	if (b->m.nodes)
		rcl_page_alloc_destroy(&b->m);
	bare_delete(b);
}

static inline s64 bare_events(const struct bare *b, enum vm_event_item item)
{
	s64 sum = 0;

	for (u32 i = 0; i < b->m.nr_cpus; i++)
		sum += b->cpus[i].events[item];
	return sum;
}

#endif
