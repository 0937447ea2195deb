/* SPDX-License-Identifier: MIT */
/*
 * The host platform as a value: opening and closing it, the clock, chance, address space.
 *
 * Fork. A child has copies of everything but may use nothing: its copy of the locks may be held by
 * threads that it does not have, and the files are shared. So it must notice. What it would read
 * first is made to read as zeros in it: page tables and directories (all that the engine reserves)
 * and the word `alive`. Descriptions of the host itself are plain copies; nothing of them is freed
 * or unmapped in a child, as its addresses may belong to something else by then.
 */
#include "platform/host/cpus.h"
#include "platform/host/internal.h"
#include "platform/reserve.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_IO_DEPTH 128

static u64 monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * RCL_NSEC_PER_SEC + (u64)t.tv_nsec;
}

static u64 now(struct platform *p)
{
	return monotonic() - to_host(p)->opened_at;
}

/* splitmix64 over a counter that all threads share. */
static u64 random_u64(struct platform *p)
{
	const u64 step = 0x9e3779b97f4a7c15ull;
	u64 z = __atomic_add_fetch(&to_host(p)->random_state, step, __ATOMIC_RELAXED);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static void *reserve(struct platform *p, size_t bytes)
{
	void *mem = rcl_reserve_memory(bytes);

	(void)p;
	/* Alone this makes a child safe, so a system that refuses it will not do. */
	if (mem && madvise(mem, bytes, MADV_WIPEONFORK)) {
		rcl_release_memory(mem, bytes);
		return NULL;
	}
	return mem;
}

static void release(struct platform *p, void *mem, size_t bytes)
{
	(void)p;
	rcl_release_memory(mem, bytes);
}

static void poll(struct platform *p)
{
	struct rcl_host *h = to_host(p);

	if (__atomic_load_n(&h->io_inflight, __ATOMIC_RELAXED))
		rcl_host_io_poll(h);
}

static const struct platform_ops host_ops = {
	.now = now,
	.current = rcl_host_current,
	.this_cpu = rcl_host_this_cpu,
	.spawn = rcl_host_spawn,
	.join = rcl_host_join,
	.wait_on = rcl_host_wait_on,
	.wake = rcl_host_wake,
	.poll = poll,
	.submit = rcl_host_submit,
	.plug_start = rcl_host_plug_start,
	.plug_finish = rcl_host_plug_finish,
	.page_zero = rcl_host_page_zero,
	.page_store = rcl_host_page_store,
	.page_load = rcl_host_page_load,
	.page_copy = rcl_host_page_copy,
	.random = random_u64,
	.reserve = reserve,
	.release = release,
	.closing = rcl_host_closing,
	.drain_io = rcl_host_drain_io,
};

/* A seed that nobody chose. */
static u64 system_seed(void)
{
	u64 seed;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = monotonic() ^ (u64)getpid() << 32;
	return seed;
}

static int fill_config(struct rcl_host_config *cfg)
{
	/* A page-table word has 32 bits for the frame. */
	if (!cfg->nr_frames || cfg->nr_frames > 1ull << 32 || cfg->nr_cpus > RCL_MAX_CPUS)
		return -EINVAL;
	if (!cfg->nr_cpus) {
		long nr = sysconf(_SC_NPROCESSORS_ONLN);

		cfg->nr_cpus = nr < 1 ? 1 : (u32)min(nr, (long)RCL_MAX_CPUS);
	}
	if (!cfg->io_depth)
		cfg->io_depth = DEFAULT_IO_DEPTH;
	if (!cfg->seed)
		cfg->seed = system_seed();
	return 0;
}

/* Takes down whatever create has put up. */
static void destroy(struct rcl_host *h)
{
	if (h->io)
		rcl_host_io_exit(h);
	rcl_host_threads_exit(h);
	rcl_host_arena_exit(h);
	release(&h->plat, h->alive, sizeof(*h->alive));
	free(h);
}

int rcl_host_create(const struct rcl_host_config *cfg, struct rcl_host **out)
{
	struct rcl_host *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return -ENOMEM;
	h->cfg = *cfg;
	err = fill_config(&h->cfg);
	if (err) {
		free(h);
		return err;
	}
	h->plat.ops = &host_ops;
	h->plat.threaded = true;
	h->plat.has_data = true;
	h->plat.next_event = UINT64_MAX;
	h->opened_at = monotonic();
	h->random_state = h->cfg.seed;
	h->end_io = rcl_end_io;
	h->usable_cpus = rcl_host_usable_cpus();
	err = rcl_host_threads_init(h);
	if (err) {
		free(h);
		return err;
	}
	h->alive = reserve(&h->plat, sizeof(*h->alive));
	err = h->alive ? 0 : -ENOMEM;
	if (!err) {
		*h->alive = 1;
		err = rcl_host_arena_init(h);
	}
	if (!err)
		err = rcl_host_io_init(h);
	if (err) {
		destroy(h);
		return err;
	}
	*out = h;
	return 0;
}

void rcl_host_destroy(struct rcl_host *h)
{
	if (h && rcl_host_is_alive(h))
		destroy(h);
}

struct platform *rcl_host_platform(struct rcl_host *h)
{
	return &h->plat;
}

u32 rcl_host_nr_cpus(const struct rcl_host *h)
{
	return h->cfg.nr_cpus;
}

bool rcl_host_is_alive(const struct rcl_host *h)
{
	return *h->alive;
}
