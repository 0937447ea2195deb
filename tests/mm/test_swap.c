/* SPDX-License-Identifier: MIT */
/*
 * Swap on a machine whose own tasks never run and whose device completes I/O when somebody waits:
 * the test is the only actor, and plays the parts of faults and reclaim by hand.
 */
#include "mm/memcg.h"
#include "mm/mm.h"
#include "mm/page_alloc.h"
#include "mm/page_io.h"
#include "mm/slab.h"
#include "mm/swap_internal.h"
#include "mm/workingset.h"
#include "mm/writeback.h"

#include <pthread.h>
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

static struct world *world_of(struct platform *p)
{
	return container_of(p, struct world, plat);
}
static int fake_spawn(struct platform *p, struct task *t, void (*fn)(void *), void *arg)
{
	(void)p, (void)t, (void)fn, (void)arg;
	return 0;
}
static void fake_join(struct platform *p, struct task *t)
{
	(void)p, (void)t;
}
static u64 fake_now(struct platform *p)
{
	return p->now;
}
static struct task *fake_current(struct platform *p)
{
	return p->current;
}
static u32 fake_this_cpu(struct platform *p)
{
	return p->cpu;
}
static void complete_io(struct world *w)
{
	u32 n = w->nr_io;

	w->nr_io = 0;
	for (u32 i = 0; i < n; i++)
		rcl_end_io(w->m, &w->io[i], w->fail);
}
static int fake_wait_on(struct platform *p, u32 *word, u32 value, u64 timeout_ns, bool io)
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
static u32 fake_wake(struct platform *p, u32 *word, u32 n)
{
	(void)p, (void)word, (void)n;
	return 0;
}
static void fake_poll(struct platform *p)
{
	(void)p;
}
static void fake_submit(struct platform *p, const struct rcl_io *io)
{
	struct world *w = world_of(p);

	assert_true(w->nr_io < MAX_IO);
	w->io[w->nr_io++] = *io;
	*(io->op == RCL_IO_READ ? &w->reads : &w->writes) += 1;
	w->last_block = io->block;
	w->last_dev = io->dev;
	w->last_sync = io->sync;
}
static void fake_plug_start(struct platform *p)
{
	world_of(p)->plugs++;
}
static void fake_plug_finish(struct platform *p)
{
	assert_true(world_of(p)->plugs-- > 0);
}
static u64 fake_random(struct platform *p)
{
	u64 *s = &world_of(p)->seed;

	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}
static void *fake_reserve(struct platform *p, size_t bytes)
{
	(void)p;
	return calloc(1, bytes);
}
static void fake_release(struct platform *p, void *mem, size_t bytes)
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

static int world_open(void **state)
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
static int world_close(void **state)
{
	struct world *w = *state;

	complete_io(w);
	rcl_machine_close(w->m);
	free(w);
	return 0;
}
static u64 events(struct world *w, enum vm_event_item item)
{
	s64 n = 0;

	for (u32 cpu = 0; cpu < w->m->nr_cpus; cpu++)
		n += w->m->cpus[cpu].events[item];
	return (u64)n;
}
static u64 swapcached(struct world *w)
{
	return (u64)node_page_state(w->m->nodes, NR_SWAPCACHE);
}
static struct swap_area *area(struct world *w, u32 type)
{
	return w->m->swap->areas[type];
}
#define assert_swap_valid(w) assert_true(rcl_swap_is_valid((w)->m))

/* An anonymous page as a fault leaves it: one reference and one mapping. */
static struct folio *new_page(struct world *w)
{
	struct folio *f = rcl_alloc_pages(w->m, GFP_HIGHUSER_MOVABLE, 0);

	assert_non_null(f);
	assert_int_equal(rcl_memcg_charge(w->m, f, w->group, GFP_KERNEL), 0);
	folio_set(f, PG_swapbacked);
	folio_set(f, PG_uptodate);
	f->mapcount = 1;
	rcl_folio_add_lru(w->m, f);
	rcl_lru_add_drain(w->m);
	return f;
}
/* Reclaim unmaps it: its page-table entry becomes a swap entry. It stays in the cache, dirty. */
static swp_entry_t unmap(struct world *w, struct folio *f)
{
	swp_entry_t e;

	assert_true(folio_trylock(f));
	if (!folio_test(f, PG_swapcache))
		assert_true(rcl_add_to_swap(w->m, f));
	e = f->private_;
	rcl_swap_duplicate(w->m, e);
	f->mapcount = 0;
	folio_unlock(w->m, f);
	return e;
}
static void write_out(struct world *w, struct folio *f)
{
	assert_true(folio_trylock(f));
	folio_clear(f, PG_dirty);
	assert_int_equal(rcl_swap_writepage(w->m, f), 0);
	complete_io(w);
}
/* The end of a clean page: only the mapping's reference (given up by now) and the cache's. */
static void drop_page(struct world *w, struct folio *f)
{
	void *shadow;

	assert_true(folio_trylock(f));
	assert_int_equal(rcl_folio_isolate_lru(w->m, f), 0);
	folio_put(w->m, f); /* the mapping's */
	assert_true(folio_ref_freeze(f, 2));
	shadow = rcl_workingset_eviction(w->m, f, NULL);
	assert_true(entry_is_shadow(shadow));
	rcl_delete_from_swap_cache(w->m, f, shadow);
	folio_clear(f, PG_locked);
	folio_clear(f, PG_active);
	folio_ref_unfreeze(f, 1);
	folio_put(w->m, f);
}
static swp_entry_t evict(struct world *w, struct folio *f)
{
	swp_entry_t e = unmap(w, f);

	write_out(w, f);
	drop_page(w, f);
	return e;
}
/* A fault on a swap entry: maps the page and gives the entry's reference up. */
static struct folio *fault_in(struct world *w, swp_entry_t e)
{
	struct folio *f = rcl_swap_cache_get_folio(w->m, e, NULL, 0);
	int error = -1;

	if (!f)
		f = rcl_swapin_readahead(w->m, e, GFP_HIGHUSER_MOVABLE, NULL, 0, &error);
	assert_non_null(f);
	folio_lock(w->m, f);
	assert_true(folio_test(f, PG_uptodate) && folio_test(f, PG_swapcache));
	rcl_swap_free(w->m, e);
	f->mapcount = 1;
	folio_unlock(w->m, f);
	rcl_lru_add_drain(w->m);
	return f;
}
/* The process exits: the mapping goes, the cached copy and its slot with it. */
static void unmap_and_free(struct world *w, struct folio *f)
{
	f->mapcount = 0;
	assert_true(folio_trylock(f));
	rcl_folio_free_swap(w->m, f);
	folio_unlock(w->m, f);
	folio_put(w->m, f);
}

static void alloc_run(struct world *w, u64 first, u64 n)
{
	for (u64 i = 0; i < n; i++)
		assert_int_equal(rcl_swap_slot_alloc(w->m), swp_entry(0, first + i));
}

/* The same past the slot caches. */
static void area_run(struct world *w, u64 first, u64 n)
{
	for (u64 i = 0; i < n; i++) {
		swp_entry_t e = 0;

		assert_int_equal(rcl_swap_get_slots(w->m, 1, &e), 1);
		assert_int_equal(e, swp_entry(0, first + i));
	}
}
static void release(struct world *w, u64 first, u64 n)
{
	for (u64 i = 0; i < n; i++) {
		swp_entry_t e = swp_entry(0, first + i);

		rcl_swap_release_slots(w->m, &e, 1);
	}
}

static void test_entries(void **state)
{
	swp_entry_t e = swp_entry(23, (1ull << 50) - 1);

	(void)state;
	assert_int_equal(swp_type(e), 23);
	assert_int_equal(swp_offset(e), (1ull << 50) - 1);
	assert_true(swp_entry(0, 1));
}

static void test_swapon(void **state)
{
	struct world *w = *state;

	assert_int_equal(rcl_total_swap_pages(w->m), 0);
	assert_int_equal(rcl_swapon(w->m, 0, 1, -1, 0), -EINVAL);
	assert_int_equal(rcl_swapon(w->m, 0, 100, -1, 64), -EINVAL);
	assert_int_equal(rcl_swap_slot_alloc(w->m), 0);
	assert_int_equal(rcl_swapon(w->m, 0, 100, -1, 0), 0);
	assert_int_equal(rcl_total_swap_pages(w->m), 99);
	assert_int_equal(rcl_nr_swap_pages(w->m), 99);
	assert_int_equal(area(w, 0)->prio, -2); /* as the kernel reports its first */
	for (int i = 1; i < MAX_SWAPFILES; i++)
		assert_int_equal(rcl_swapon(w->m, 0, 2, i % 3 - 1, SWAP_SOLIDSTATE), 0);
	assert_int_equal(rcl_swapon(w->m, 0, 100, -1, 0), -EPERM);
	assert_swap_valid(w);
	/* All of it can be used, the smallest areas too, and then there is no more. */
	for (u32 i = 0; i < 99 + MAX_SWAPFILES - 1; i++)
		assert_true(rcl_swap_slot_alloc(w->m));
	assert_int_equal(rcl_swap_slot_alloc(w->m), 0);
	assert_int_equal(rcl_nr_swap_pages(w->m), 0);
	assert_swap_valid(w);
}

/* With seek cost: in order, then the lowest wholly free run, then what there is. */
static void test_rotating_order(void **state)
{
	struct world *w = *state;

	assert_int_equal(rcl_swapon(w->m, 0, 1 + 4096, -1, 0), 0);
	area_run(w, 1, 4 * SWAPFILE_CLUSTER);
	assert_swap_valid(w);
	release(w, 100, 600);
	assert_swap_valid(w);
	area_run(w, 100, SWAPFILE_CLUSTER);
	/* The hole's rest is too short for a run: the search goes on after the used ones. */
	area_run(w, 2049, SWAPFILE_CLUSTER);
	assert_swap_valid(w);
}

/* When no run is left, the search takes single free slots, wherever they are. */
static void test_rotating_fragmented(void **state)
{
	struct world *w = *state;
	const u64 pages = 1400;
	u32 found = 0;

	assert_int_equal(rcl_swapon(w->m, 0, 1 + pages, -1, 0), 0);
	area_run(w, 1, pages);
	assert_int_equal(rcl_swap_slot_alloc(w->m), 0);
	assert_true(list_empty(&area(w, 0)->avail_link));
	for (u64 off = 3; off <= pages; off += 3)
		release(w, off, 1);
	assert_swap_valid(w);
	for (swp_entry_t e; rcl_swap_get_slots(w->m, 1, &e); found++)
		assert_int_equal(e, 3 * (found + 1));
	assert_int_equal(found, pages / 3);
	assert_swap_valid(w);
}

/* Without: clusters from the queue, far apart at first; each CPU its own. */
static void test_cluster_order(void **state)
{
	struct world *w = *state;
	const u32 cols = SWAP_ADDRESS_SPACE_PAGES / SWAPFILE_CLUSTER;

	assert_int_equal(rcl_swapon(w->m, 0, 100 * SWAPFILE_CLUSTER, -1, SWAP_SOLIDSTATE), 0);
	assert_swap_valid(w);
	/* Cluster 0 has the header: never free. */
	alloc_run(w, cols * SWAPFILE_CLUSTER, 300);
	w->plat.cpu = 1;
	alloc_run(w, 2 * cols * SWAPFILE_CLUSTER, 300);
	w->plat.cpu = 0;
	alloc_run(w, cols * SWAPFILE_CLUSTER + 300, SWAPFILE_CLUSTER - 300);
	alloc_run(w, 3 * cols * SWAPFILE_CLUSTER, 64);
	assert_swap_valid(w);
	/* A cluster that becomes free goes to the queue's end. */
	release(w, cols * SWAPFILE_CLUSTER, SWAPFILE_CLUSTER);
	assert_int_equal(area(w, 0)->free_tail, cols);
	assert_swap_valid(w);
	/* Every slot can be given out. */
	while (rcl_swap_slot_alloc(w->m))
		;
	w->plat.cpu = 1;
	while (rcl_swap_slot_alloc(w->m))
		;
	assert_int_equal(area(w, 0)->inuse, area(w, 0)->pages);
	assert_swap_valid(w);
}

static void test_priorities(void **state)
{
	struct world *w = *state;
	u32 nr[4] = {0};

	assert_int_equal(rcl_swapon(w->m, 0, 1 + 1000, -1, 0), 0);
	assert_int_equal(rcl_swapon(w->m, 1, 1 + 1000, 5, 0), 0);
	assert_int_equal(rcl_swapon(w->m, 2, 1 + 1000, 5, 0), 0);
	assert_int_equal(rcl_swapon(w->m, 3, 1 + 1000, 9, 0), 0);
	for (u32 i = 0; i < 1000; i++)
		assert_int_equal(swp_type(rcl_swap_slot_alloc(w->m)), 3);
	/*
	 * Equal priorities take turns by what the slot cache fetches at a time: 3 the first time,
	 * when finding a run of 512 leaves little of the ration, then 64.
	 */
	for (u32 turn = 0; turn < 6; turn++)
		for (u32 i = 0; i < (turn < 2 ? 3 : SWAP_SLOTS_CACHE_SIZE); i++)
			assert_int_equal(swp_type(rcl_swap_slot_alloc(w->m)), 1 + turn % 2);
	assert_swap_valid(w);
	for (swp_entry_t e; (e = rcl_swap_slot_alloc(w->m));)
		nr[swp_type(e)]++;
	assert_int_equal(nr[0], 1000);
	assert_int_equal(nr[1] + nr[2], 2000 - 2 * 3 - 4 * SWAP_SLOTS_CACHE_SIZE);
	assert_swap_valid(w);
}

/* Slots come and go 64 at a time while swap is plentiful, one at a time when it is short. */
static void test_slot_caches(void **state)
{
	struct world *w = *state;
	const u64 pages = 2000;
	swp_entry_t e[2001];
	u64 n = 0;

	assert_int_equal(rcl_swapon(w->m, 0, 1 + pages, -1, 0), 0);
	e[n++] = rcl_swap_slot_alloc(w->m);
	assert_int_equal(rcl_nr_swap_pages(w->m), pages - 3);
	e[n++] = rcl_swap_slot_alloc(w->m);
	e[n++] = rcl_swap_slot_alloc(w->m);
	e[n++] = rcl_swap_slot_alloc(w->m);
	assert_int_equal(rcl_nr_swap_pages(w->m), pages - 3 - SWAP_SLOTS_CACHE_SIZE);
	while (n < 300)
		e[n++] = rcl_swap_slot_alloc(w->m);
	u64 free = rcl_nr_swap_pages(w->m);
	for (u32 i = 0; i < SWAP_SLOTS_CACHE_SIZE; i++)
		rcl_swap_slot_free(w->m, e[--n]);
	assert_int_equal(rcl_nr_swap_pages(w->m), free);
	assert_swap_valid(w);
	rcl_swap_slot_free(w->m, e[--n]);
	assert_int_equal(rcl_nr_swap_pages(w->m), free + SWAP_SLOTS_CACHE_SIZE);
	assert_swap_valid(w);
	/* Short of swap: the caches are emptied; nothing waits in them. */
	while ((e[n] = rcl_swap_slot_alloc(w->m)))
		n++;
	assert_false(w->m->swap->slots_cache_active);
	assert_int_equal(n, pages);
	rcl_swap_slot_free(w->m, e[--n]);
	assert_int_equal(rcl_nr_swap_pages(w->m), 1);
	/* They come back only when far more is free. */
	while (n > pages - 5 * 2 * SWAP_SLOTS_CACHE_SIZE)
		rcl_swap_slot_free(w->m, e[--n]);
	e[n++] = rcl_swap_slot_alloc(w->m);
	assert_false(w->m->swap->slots_cache_active);
	for (int i = 0; i < 2; i++)
		rcl_swap_slot_free(w->m, e[--n]);
	e[n++] = rcl_swap_slot_alloc(w->m);
	assert_true(w->m->swap->slots_cache_active);
	assert_swap_valid(w);
}

static void test_out_and_in(void **state)
{
	struct world *w = *state;
	struct folio *f;
	swp_entry_t e;
	s64 file_pages;

	w->m->tun.page_cluster = 0;
	assert_int_equal(rcl_swapon(w->m, 7, 4096, -1, 0), 0);
	f = new_page(w);
	file_pages = node_page_state(w->m->nodes, NR_FILE_PAGES);

	e = unmap(w, f);
	assert_true(folio_test(f, PG_dirty));
	assert_int_equal(swapcached(w), 1);
	assert_int_equal(node_page_state(w->m->nodes, NR_FILE_PAGES), file_pages + 1);
	assert_int_equal(folio_ref_count(f), 2);
	assert_int_equal(rcl_swap_count(w->m, e), 1);
	assert_ptr_equal(rcl_swap_memcg(w->m, e), w->group);

	write_out(w, f);
	assert_int_equal(w->writes, 1);
	assert_int_equal(w->last_dev, 7);
	assert_int_equal(w->last_block, swp_offset(e));
	assert_int_equal(events(w, PSWPOUT), 1);
	assert_int_equal(events(w, PGPGOUT), 4);
	assert_false(folio_test(f, PG_writeback) || folio_test(f, PG_dirty));

	drop_page(w, f);
	assert_int_equal(swapcached(w), 0);
	assert_null(rcl_swap_cache_get_folio(w->m, e, NULL, 0));
	assert_non_null(rcl_swap_shadow(w->m, e));
	assert_swap_valid(w);

	f = fault_in(w, e);
	assert_true(w->last_sync); /* no window: the read is waited for */
	assert_int_equal(w->reads, 1);
	assert_int_equal(events(w, PSWPIN), 1);
	assert_int_equal(events(w, PGPGIN), 4);
	assert_ptr_equal(f->memcg, w->group);
	assert_true(folio_test(f, PG_swapbacked) && !folio_test(f, PG_dirty));
	assert_int_equal(node_page_state(w->m->nodes, WORKINGSET_REFAULT_ANON), 1);
	assert_null(rcl_swap_shadow(w->m, e));
	assert_int_equal(rcl_swap_count(w->m, e), 0);
	assert_swap_valid(w);

	/* It kept its slot: clean, it leaves again without a write. */
	assert_int_equal(unmap(w, f), e);
	drop_page(w, f);
	assert_int_equal(w->writes, 1);
	assert_swap_valid(w);

	/* The last reference frees the slot and the shadow with it. */
	rcl_free_swap_and_cache(w->m, e);
	for (u32 i = 0; i < SWAP_SLOTS_CACHE_SIZE; i++)
		rcl_swap_slot_free(w->m, rcl_swap_slot_alloc(w->m));
	assert_null(rcl_swap_shadow(w->m, e));
	assert_null(rcl_swap_memcg(w->m, e));
	assert_swap_valid(w);
}

/* A page that nobody needs any more is not written. */
static void test_needless_write(void **state)
{
	struct world *w = *state;
	struct folio *f;
	swp_entry_t e;

	assert_int_equal(rcl_swapon(w->m, 0, 4096, -1, 0), 0);
	f = new_page(w);
	e = unmap(w, f);
	rcl_swap_free(w->m, e);
	write_out(w, f);
	assert_int_equal(w->writes, 0);
	assert_int_equal(events(w, PSWPOUT), 0);
	assert_false(folio_test(f, PG_locked) || folio_test(f, PG_swapcache));
	assert_true(folio_test(f, PG_dirty)); /* memory has the only copy */
	assert_int_equal(folio_ref_count(f), 1);
	folio_put(w->m, f);
	assert_swap_valid(w);
}

static void test_free_swap_and_cache(void **state)
{
	struct world *w = *state;
	struct folio *f;
	swp_entry_t e;

	assert_int_equal(rcl_swapon(w->m, 0, 4096, -1, 0), 0);
	f = new_page(w);
	e = unmap(w, f);
	rcl_swap_duplicate(w->m, e);
	rcl_free_swap_and_cache(w->m, e);
	assert_true(folio_test(f, PG_swapcache)); /* one more reference */
	assert_true(folio_trylock(f));
	assert_false(rcl_folio_free_swap(w->m, f));
	rcl_free_swap_and_cache(w->m, e);
	assert_true(folio_test(f, PG_swapcache)); /* locked by us: not waited for */
	assert_true(rcl_folio_free_swap(w->m, f));
	assert_false(rcl_folio_free_swap(w->m, f));
	folio_unlock(w->m, f);
	assert_int_equal(swapcached(w), 0);

	e = unmap(w, f);
	folio_put(w->m, f); /* the cache's reference is the last */
	rcl_free_swap_and_cache(w->m, e);
	assert_int_equal(swapcached(w), 0);
	assert_swap_valid(w);
}

static void test_io_errors(void **state)
{
	struct world *w = *state;
	struct folio *f, *g;
	swp_entry_t e;
	int error;

	w->m->tun.page_cluster = 0;
	assert_int_equal(rcl_swapon(w->m, 0, 4096, -1, 0), 0);
	f = new_page(w);
	e = unmap(w, f);
	w->fail = -EIO;
	folio_set(f, PG_reclaim);
	write_out(w, f);
	assert_true(folio_test(f, PG_dirty) && folio_test(f, PG_error));
	assert_false(folio_test(f, PG_reclaim) || folio_test(f, PG_writeback));
	w->fail = 0;
	write_out(w, f);
	assert_false(folio_test(f, PG_dirty));
	drop_page(w, f);

	w->fail = -EIO;
	g = rcl_swapin_readahead(w->m, e, GFP_HIGHUSER_MOVABLE, NULL, 0, &error);
	assert_non_null(g);
	assert_int_equal(error, 0);
	assert_true(folio_test(g, PG_error));
	assert_false(folio_test(g, PG_uptodate) || folio_test(g, PG_locked));
	folio_put(w->m, g);
	w->fail = 0;
	assert_swap_valid(w);
}

/* A slot freed between the look at the page table and the read: no folio, no error. */
static void test_swapin_of_freed_slot(void **state)
{
	struct world *w = *state;
	swp_entry_t e;
	int error = -1;

	assert_int_equal(rcl_swapon(w->m, 0, 4096, -1, 0), 0);
	e = evict(w, new_page(w));
	rcl_free_swap_and_cache(w->m, e);
	assert_null(rcl_swapin_readahead(w->m, e, GFP_HIGHUSER_MOVABLE, NULL, 0, &error));
	assert_int_equal(error, 0);
	assert_int_equal(w->reads, 0);
	assert_swap_valid(w);
}

static void test_readahead_window(void **state)
{
	struct world *w = *state;
	swp_entry_t e[64];
	struct folio *f;

	w->m->tun.page_cluster = 3;
	assert_int_equal(rcl_swapon(w->m, 0, 4096, -1, 0), 0);
	for (u32 i = 0; i < 64; i++) {
		e[i] = evict(w, new_page(w));
		assert_int_equal(swp_offset(e[i]), i + 1);
	}
	/* A machine starts with 4 hits to its credit: 4 + 2 rounds up to 8, slots 8..15. */
	f = fault_in(w, swp_entry(0, 10));
	assert_int_equal(w->reads, 8);
	assert_int_equal(events(w, SWAP_RA), 7);
	assert_int_equal(w->plugs, 0);
	assert_false(folio_test(f, PG_readahead_));
	/* Those are there; using them counts as hits. */
	for (u64 off = 11; off < 14; off++)
		fault_in(w, swp_entry(0, off));
	assert_int_equal(w->reads, 8);
	assert_int_equal(events(w, SWAP_RA_HIT), 3);
	/* 3 + 2 -> 8: slots 24..31. */
	fault_in(w, swp_entry(0, 31));
	assert_int_equal(w->reads, 16);
	/* No hits: half of the last window, then half again, then one; that is waited for. */
	fault_in(w, swp_entry(0, 40));
	assert_int_equal(w->reads, 20);
	assert_false(w->last_sync);
	fault_in(w, swp_entry(0, 50));
	assert_int_equal(w->reads, 22);
	fault_in(w, swp_entry(0, 61));
	assert_int_equal(w->reads, 23);
	assert_true(w->last_sync);
	/* A neighbour of the last wanted one: two. */
	fault_in(w, swp_entry(0, 62));
	assert_int_equal(w->reads, 25);
	assert_swap_valid(w);
	assert_int_equal(events(w, PSWPIN), w->reads);
	/* The header is never read, nor slots nobody uses. */
	w->m->swap->readahead_hits = 6;
	fault_in(w, swp_entry(0, 3));
	assert_int_equal(events(w, PSWPIN), 25 + 7);
	assert_swap_valid(w);
}

/* Swap nearly full: slots of pages that are also in memory are taken from them. */
static void test_full_swap_steals_cached(void **state)
{
	struct world *w = *state;
	const u32 pages = 100;
	struct folio *f[100];
	swp_entry_t e[100];

	w->m->tun.page_cluster = 0;
	assert_int_equal(rcl_swapon(w->m, 0, 1 + pages, -1, 0), 0);
	for (u32 i = 0; i < pages; i++)
		e[i] = evict(w, new_page(w));
	assert_true(rcl_vm_swap_full(w->m));
	assert_false(rcl_swap_slot_alloc(w->m));
	for (u32 i = 1; i < 5; i++)
		f[i] = fault_in(w, e[i]);
	rcl_free_swap_and_cache(w->m, e[0]);
	rcl_free_swap_and_cache(w->m, e[90]);
	assert_int_equal(rcl_nr_swap_pages(w->m), 2);
	assert_int_equal(rcl_swap_slot_alloc(w->m), e[0]);
	assert_true(folio_test(f[1], PG_swapcache) && folio_test(f[2], PG_swapcache));
	assert_int_equal(rcl_swap_slot_alloc(w->m), e[1]);
	assert_false(folio_test(f[1], PG_swapcache));
	assert_true(folio_test(f[1], PG_dirty)); /* memory has the only copy now */
	assert_true(folio_test(f[2], PG_swapcache));
	/* A locked one is passed over. */
	assert_true(folio_trylock(f[2]));
	assert_int_equal(rcl_swap_slot_alloc(w->m), e[3]);
	folio_unlock(w->m, f[2]);
	assert_int_equal(rcl_nr_swap_pages(w->m), 1);
	assert_swap_valid(w);
}

/* The trees' nodes: one for 64 slots, one for 4096 and one at the top, and gone with the last. */
static void test_tree_nodes(void **state)
{
	struct world *w = *state;
	struct swap_area *a;
	struct folio *f[200];
	u32 nodes = 0;

	assert_int_equal(rcl_swapon(w->m, 0, 20000, -1, 0), 0);
	a = area(w, 0);
	for (u32 i = 0; i < 200; i++)
		unmap(w, f[i] = new_page(w)); /* slots 1..200 */
	for (u32 i = 0; i < 8; i++)
		nodes += a->tree[0][i].object != NULL;
	assert_int_equal(nodes, 4);
	assert_non_null(a->tree[1][0].object);
	assert_non_null(a->tree[2][0].object);
	assert_null(a->tree[2][1].object);
	assert_null(a->tree[3]);
	assert_swap_valid(w);
	for (u32 i = 0; i < 200; i++) {
		rcl_swap_free(w->m, f[i]->private_);
		unmap_and_free(w, f[i]);
	}
	assert_null(a->tree[0][0].object);
	assert_null(a->tree[2][0].object);
	assert_swap_valid(w);
}

/* Every frame that an allocation may get, linked through private_. */
static struct folio *take_all_memory(struct world *w)
{
	struct folio *hoard = NULL, *f;

	while ((f = rcl_alloc_pages(w->m, __GFP_HIGH | __GFP_NOWARN, 0))) {
		f->private_ = (uintptr_t)hoard;
		hoard = f;
	}
	return hoard;
}
static void give_back(struct world *w, struct folio *hoard)
{
	for (struct folio *f; (f = hoard);) {
		hoard = (struct folio *)(uintptr_t)f->private_;
		f->private_ = 0;
		folio_put(w->m, f);
	}
}

/* No memory for a node: the page is not added, and nothing is left behind. */
static void test_no_memory_for_nodes(void **state)
{
	struct world *w = *state;
	struct folio *f[2000], *hoard;
	u32 added = 0, n = 0;

	assert_int_equal(rcl_swapon(w->m, 0, 200000, -1, 0), 0);
	for (n = 0; n < 2000; n++)
		f[n] = new_page(w);
	hoard = take_all_memory(w);
	for (; added < n; added++) {
		assert_true(folio_trylock(f[added]));
		if (!rcl_add_to_swap(w->m, f[added]))
			break;
		folio_unlock(w->m, f[added]);
	}
	assert_true(added < n);
	assert_false(folio_test(f[added], PG_swapcache));
	assert_int_equal(f[added]->private_, 0);
	assert_int_equal(folio_ref_count(f[added]), 1);
	assert_int_equal(swapcached(w), added);
	assert_swap_valid(w);
	give_back(w, hoard);
	assert_true(rcl_add_to_swap(w->m, f[added]));
	folio_unlock(w->m, f[added]);
	assert_swap_valid(w);
}

/* Somebody else is reading the slot in and has not inserted its folio yet. */
static void give_claim_up(struct world *w)
{
	rcl_swap_cache_release(w->m, w->nap_entry);
}
static void test_claim_is_waited_for(void **state)
{
	struct world *w = *state;

	assert_int_equal(rcl_swapon(w->m, 0, 4096, -1, 0), 0);
	w->nap_entry = evict(w, new_page(w));
	w->on_nap = give_claim_up;
	assert_int_equal(rcl_swap_cache_prepare(w->m, w->nap_entry), 0);
	assert_int_equal(rcl_swap_cache_prepare(w->m, w->nap_entry), -EEXIST);
	fault_in(w, w->nap_entry);
	assert_int_equal(w->naps, 1);
	assert_int_equal(w->plat.now, rcl_jiffies_to_ns(w->m, 1));
	assert_int_equal(rcl_swap_cache_prepare(w->m, w->nap_entry), -EEXIST);
	assert_int_equal(rcl_swap_cache_prepare(w->m, rcl_swap_slot_alloc(w->m)), -EEXIST);
	assert_int_equal(rcl_swap_cache_prepare(w->m, swp_entry(0, 4000)), -ENOENT);
	assert_swap_valid(w);
}

static void test_swapin_without_memory(void **state)
{
	struct world *w = *state;
	struct folio *hoard;
	swp_entry_t e;
	int error = 0;

	assert_int_equal(rcl_swapon(w->m, 0, 4096, -1, 0), 0);
	e = evict(w, new_page(w));
	hoard = take_all_memory(w);
	assert_null(rcl_swapin_readahead(w->m, e, GFP_NOWAIT | __GFP_NOWARN, NULL, 0, &error));
	assert_int_equal(error, -ENOMEM);
	assert_null(rcl_read_swap_cache_async(w->m, e, GFP_NOWAIT | __GFP_NOWARN));
	give_back(w, hoard);
	assert_int_equal(rcl_swap_count(w->m, e), 1);
	assert_non_null(rcl_swap_shadow(w->m, e));
	assert_swap_valid(w);
	fault_in(w, e);
}

/* Faults of a program, on swap without seek cost: readahead goes by address. */
static bool is_swapped(struct mm *mm, u64 vpn)
{
	pte_t *p = rcl_pte_lookup(mm, vpn);

	return p && pte_is_swap(*p);
}
static void test_readahead_by_address(void **state)
{
	struct world *w = *state;
	const u64 base = 4 * PTRS_PER_TABLE - 32, pages = 96; /* across a table's end */
	struct mm *mm;

	w->m->tun.page_cluster = 3;
	assert_int_equal(rcl_swapon(w->m, 0, 65536, -1, SWAP_SOLIDSTATE), 0);
	w->task.memcg = w->group;
	assert_int_equal(rcl_mm_create(w->m, w->group, &mm), 0);
	w->task.mm = mm;
	assert_int_equal(rcl_mmap(w->m, mm, base, pages, VM_READ | VM_WRITE, NULL, 0), 0);
	for (u64 i = 0; i < pages; i++)
		assert_int_equal(rcl_touch(w->m, mm, base + i, true), 0);
	assert_int_equal(rcl_madvise(w->m, mm, base, pages, RCL_MADV_PAGEOUT), 0);
	complete_io(w);
	rcl_memcg_reclaim(w->m, w->group, pages * PAGE_SIZE); /* clean now: drop them */
	for (u64 i = 0; i < pages; i++)
		assert_true(is_swapped(mm, base + i));
	assert_int_equal(swapcached(w), 0);
	assert_swap_valid(w);

	/* The first window: 8 pages, 3 before and 4 after. */
	assert_int_equal(rcl_touch(w->m, mm, base + 10, false), 0);
	assert_int_equal(w->reads, 8);
	assert_int_equal(swapcached(w), 8);
	assert_int_equal(events(w, SWAP_RA), 7);
	for (u64 i = 11; i < 15; i++)
		assert_int_equal(rcl_touch(w->m, mm, base + i, false), 0);
	assert_int_equal(w->reads, 8);
	assert_int_equal(events(w, SWAP_RA_HIT), 4);
	/* Upwards with hits: 8 from the fault on. */
	assert_int_equal(rcl_touch(w->m, mm, base + 15, false), 0);
	assert_int_equal(w->reads, 16);
	assert_int_equal(rcl_touch(w->m, mm, base + 22, false), 0);
	assert_int_equal(w->reads, 16);
	/* One hit since: 4 pages, 29..32, of which 32 is in the next page table. */
	assert_int_equal(rcl_touch(w->m, mm, base + 30, false), 0);
	assert_int_equal(w->reads, 16 + 3);
	assert_true(is_swapped(mm, base + 32));
	w->task.mm = NULL;
	complete_io(w);
	rcl_mm_destroy(w->m, mm);
	assert_swap_valid(w);
}

/* Threads that fight for the last slots: nobody may get a slot that another has. */
#define NR_THREADS 4
struct stress {
	struct platform plat;
	struct rcl m;
	struct cpu cpus[NR_THREADS];
	u32 holder[2][3000];
};
static _Thread_local u32 thread_cpu;
static u32 stress_this_cpu(struct platform *p)
{
	(void)p;
	return thread_cpu;
}
static u64 stress_random(struct platform *p)
{
	(void)p;
	return thread_cpu * 977;
}
static const struct platform_ops stress_ops = {
	.this_cpu = stress_this_cpu,
	.random = stress_random,
	.reserve = fake_reserve,
	.release = fake_release,
};
struct stress_arg {
	struct stress *s;
	u32 id;
};
static void *stress_thread(void *p)
{
	struct stress_arg *arg = p;
	struct stress *s = arg->s;
	swp_entry_t held[1500];
	u32 n = 0, seed = arg->id;

	thread_cpu = arg->id - 1;
	for (u32 i = 0; i < 40000; i++) {
		bool grow = i / 2000 % 2 == 0;

		seed = seed * 1664525 + 1013904223;
		if (n < ARRAY_SIZE(held) && (seed >> 16) % 4 < (grow ? 3 : 1)) {
			swp_entry_t e = rcl_swap_slot_alloc(&s->m);

			if (!e)
				continue;
			RCL_ASSERT(!__atomic_exchange_n(&s->holder[swp_type(e)][swp_offset(e)],
							arg->id, __ATOMIC_RELAXED));
			/* In the cache, then in a page table only. */
			rcl_swap_duplicate(&s->m, e);
			rcl_swap_cache_release(&s->m, e);
			held[n++] = e;
		} else if (n) {
			swp_entry_t e = held[--n];

			RCL_ASSERT(rcl_swap_count(&s->m, e) == 1);
			RCL_ASSERT(__atomic_exchange_n(&s->holder[swp_type(e)][swp_offset(e)], 0,
						       __ATOMIC_RELAXED) == arg->id);
			rcl_swap_free(&s->m, e);
		}
	}
	while (n) {
		s->holder[swp_type(held[n - 1])][swp_offset(held[n - 1])] = 0;
		rcl_swap_free(&s->m, held[--n]);
	}
	return NULL;
}
static void test_threads(void **state)
{
	struct stress *s = calloc(1, sizeof(*s));
	struct stress_arg args[NR_THREADS];
	pthread_t threads[NR_THREADS];
	u64 cached = 0;

	(void)state;
	s->plat.ops = &stress_ops;
	s->plat.threaded = s->m.threaded = true;
	s->m.plat = &s->plat;
	s->m.cpus = s->cpus;
	s->m.nr_cpus = NR_THREADS;
	for (u32 i = 0; i < NR_THREADS; i++)
		s->cpus[i].id = i;
	assert_int_equal(rcl_swap_init(&s->m), 0);
	assert_int_equal(rcl_swapon(&s->m, 0, 3000, 1, SWAP_SOLIDSTATE), 0);
	assert_int_equal(rcl_swapon(&s->m, 0, 1000, 1, 0), 0);
	for (u32 i = 0; i < NR_THREADS; i++) {
		args[i] = (struct stress_arg){s, i + 1};
		assert_int_equal(pthread_create(&threads[i], NULL, stress_thread, &args[i]), 0);
	}
	for (u32 i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_true(rcl_swap_is_valid(&s->m));
	for (u32 i = 0; i < NR_THREADS; i++)
		cached += s->m.swap->slots[i].nr + s->m.swap->slots[i].nr_ret;
	assert_int_equal(rcl_nr_swap_pages(&s->m) + cached, rcl_total_swap_pages(&s->m));
	rcl_swap_exit(&s->m);
	free(s);
}

/*
 * Random life of pages in two areas of both kinds, against a model: who holds which slot, and how
 * many references it has.
 */
struct page_model {
	struct folio *f; /* mapped, or NULL */
	swp_entry_t e;	 /* swapped out: its page-table entry */
	u32 extra;	 /* further references to e */
};
#define NR_MODELS 1500

static void model_step(struct world *w, struct page_model *p)
{
	u64 r = fake_random(&w->plat) >> 20;

	w->plat.cpu = r & 1;
	r >>= 1;
	if (!p->f && !p->e) {
		p->f = new_page(w);
	} else if (p->f) {
		switch (r % 8) {
		case 0:
			unmap_and_free(w, p->f);
			p->f = NULL;
			break;
		case 1: /* dirtied: the copy on the device is stale */
			assert_true(folio_trylock(p->f));
			rcl_folio_free_swap(w->m, p->f);
			folio_set(p->f, PG_dirty);
			folio_unlock(w->m, p->f);
			break;
		default:
			assert_true(folio_trylock(p->f));
			if (!folio_test(p->f, PG_swapcache) && !rcl_add_to_swap(w->m, p->f)) {
				assert_true(rcl_nr_swap_pages(w->m) < 2);
				folio_unlock(w->m, p->f);
				return;
			}
			folio_unlock(w->m, p->f);
			p->e = unmap(w, p->f);
			if (folio_test(p->f, PG_dirty))
				write_out(w, p->f);
			if (r % 8 < 4)
				folio_put(w->m, p->f); /* stays in the cache for a while */
			else
				drop_page(w, p->f);
			p->f = NULL;
		}
	} else {
		assert_int_equal(rcl_swap_count(w->m, p->e), 1 + p->extra);
		assert_ptr_equal(rcl_swap_memcg(w->m, p->e), w->group);
		if (p->extra) {
			rcl_swap_free(w->m, p->e);
			p->extra--;
			return;
		}
		switch (r % 8) {
		case 0:
			rcl_free_swap_and_cache(w->m, p->e);
			p->e = 0;
			break;
		case 1:
			rcl_swap_duplicate(w->m, p->e);
			p->extra++;
			break;
		default:
			p->f = fault_in(w, p->e);
			p->e = 0;
			complete_io(w);
		}
	}
}

static void test_property(void **state)
{
	struct world *w = *state;
	struct page_model *pages = calloc(NR_MODELS, sizeof(*pages));

	assert_int_equal(rcl_swapon(w->m, 0, 1 + 700, 3, 0), 0);
	assert_int_equal(rcl_swapon(w->m, 1, 1100, 3, SWAP_SOLIDSTATE), 0);
	for (u32 i = 0; i < 60000; i++) {
		/* Breathe: from nearly empty to more than there is swap. */
		u32 range = i / 6000 % 2 ? NR_MODELS : 200;

		model_step(w, pages + (fake_random(&w->plat) >> 17) % range);
		if (i % 16 == 0)
			assert_swap_valid(w);
	}
	for (u32 i = 0; i < NR_MODELS; i++) {
		for (; pages[i].e && pages[i].extra; pages[i].extra--)
			rcl_swap_free(w->m, pages[i].e);
		if (pages[i].e)
			rcl_free_swap_and_cache(w->m, pages[i].e);
		if (pages[i].f)
			unmap_and_free(w, pages[i].f);
	}
	assert_swap_valid(w);
	assert_int_equal(swapcached(w), 0);
	/* All that is not free waits in the slot caches. */
	u64 cached = 0;
	for (u32 cpu = 0; cpu < w->m->nr_cpus; cpu++)
		cached += w->m->swap->slots[cpu].nr + w->m->swap->slots[cpu].nr_ret;
	assert_int_equal(rcl_nr_swap_pages(w->m) + cached, rcl_total_swap_pages(w->m));
	free(pages);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_entries),
		TEST(test_swapon),
		TEST(test_rotating_order),
		TEST(test_rotating_fragmented),
		TEST(test_cluster_order),
		TEST(test_priorities),
		TEST(test_slot_caches),
		TEST(test_out_and_in),
		TEST(test_needless_write),
		TEST(test_free_swap_and_cache),
		TEST(test_io_errors),
		TEST(test_swapin_of_freed_slot),
		TEST(test_readahead_window),
		TEST(test_full_swap_steals_cached),
		TEST(test_tree_nodes),
		TEST(test_no_memory_for_nodes),
		TEST(test_claim_is_waited_for),
		TEST(test_swapin_without_memory),
		TEST(test_readahead_by_address),
		cmocka_unit_test(test_threads),
		TEST(test_property),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
