/* SPDX-License-Identifier: MIT */
/*
 * A lone task (lone_task.h) with what most tests of the core need: a group, an address space in it,
 * a file on device 0 and, where asked for, swap on device 1.
 */
#ifndef RCL_TESTS_CORE_WORLD_H
#define RCL_TESTS_CORE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>

#include "lone_task.h"
#include "mm/filemap.h"
#include "mm/mm.h"
#include "mm/mm_lock.h"
#include "mm/swap.h"
#include "mm/vmscan/internal.h"
#include "mm/workingset.h"
#include "mm/writeback.h"

#include <cmocka.h>

#define CORE_FILE_PAGES 2048
#define CORE_FILE_BLOCK 64

struct core {
	struct lone *w;
	struct rcl *m;
	struct memcg *group;
	struct lruvec *lv; /* of the group */
	struct mm *mm;
	struct mapping *mapping;
	struct file file;
};

/* With io_at_polls(), whatever polls finds its I/O done, as if devices took no time. */
static inline void core_poll(struct platform *p)
{
	lone_complete_io(lone_of(p));
}
static struct platform_ops core_ops;
static inline void io_at_polls(struct core *c)
{
	core_ops = lone_ops;
	core_ops.poll = core_poll;
	c->w->plat.ops = &core_ops;
	c->w->plat.next_event = 0;
}

static inline struct core *core_open(u32 nr_cpus, u64 pages, u64 swap_pages)
{
	struct core *c = calloc(1, sizeof(*c));

	c->w = lone_open(nr_cpus, pages);
	assert_non_null(c->w);
	c->m = c->w->m;
	c->group = c->w->group;
	c->lv = c->group->lruvecs[0];
	assert_int_equal(rcl_mm_create(c->m, c->group, &c->mm), 0);
	c->w->task.mm = c->mm;
	assert_int_equal(rcl_writeback_add_device(c->m, 0), 0);
	assert_int_equal(rcl_mapping_create(c->m, "file", 0, CORE_FILE_BLOCK, CORE_FILE_PAGES, 0,
					    &c->mapping),
			 0);
	rcl_file_open(c->m, c->mapping, &c->file);
	if (swap_pages)
		assert_int_equal(rcl_swapon(c->m, 1, swap_pages, -1, SWAP_SOLIDSTATE), 0);
	return c;
}

/* Every test ends with a whole-machine check, and with nothing left behind. */
static inline void core_close(struct core *c)
{
	struct lone *w = c->w;

	lone_complete_io(w);
	assert_int_equal(w->plugs, 0);
	assert_true(rcl_check(c->m));
	w->task.mm = NULL;
	rcl_mm_destroy(c->m, c->mm);
	rcl_lru_add_drain_all(c->m);
	rcl_mapping_destroy(c->m, c->mapping);
	rcl_lru_add_drain_all(c->m);
	assert_int_equal(lone_node_stat(w, NR_ANON_MAPPED), 0);
	assert_int_equal(lone_node_stat(w, NR_FILE_MAPPED), 0);
	assert_int_equal(lone_node_stat(w, NR_FILE_PAGES), 0);
	assert_int_equal(lone_node_stat(w, NR_PAGETABLE), 0);
	assert_int_equal(lone_node_stat(w, NR_ISOLATED_ANON), 0);
	assert_int_equal(lone_node_stat(w, NR_ISOLATED_FILE), 0);
	for_each_lru (l)
		assert_int_equal(lone_node_stat(w, (enum node_stat_item)l), 0);
	/* CPUs keep some free slots to themselves. */
	assert_true(rcl_nr_swap_pages(c->m) + 2 * 64 * c->m->nr_cpus >= rcl_total_swap_pages(c->m));
	lone_close(w);
	free(c);
}

#define CORE_SETUP(name, nr_cpus, pages, swap_pages)                                               \
	static int name(void **state)                                                              \
	{                                                                                          \
		*state = core_open(nr_cpus, pages, swap_pages);                                    \
		return 0;                                                                          \
	}
static inline int core_teardown(void **state)
{
	core_close(*state);
	return 0;
}

static inline s64 events_of(struct core *c, enum vm_event_item item)
{
	return lone_events(c->w, item);
}
static inline s64 group_events(struct core *c, enum vm_event_item item)
{
	return shared_read(&c->group->events[item]);
}
static inline s64 list_size(struct core *c, int lru)
{
	return lone_group_stat(c->w, (enum node_stat_item)lru);
}

/* A new folio charged to the group; the caller has the only reference. */
static inline struct folio *new_folio(struct core *c, u32 flags)
{
	struct folio *f = rcl_alloc_pages(c->m, GFP_HIGHUSER_MOVABLE, 0);

	assert_non_null(f);
	assert_int_equal(rcl_memcg_charge(c->m, f, c->group, GFP_KERNEL), 0);
	f->mapping = NULL;
	for (int bit = 0; bit < 32; bit++)
		if (flags & BIT(bit))
			folio_set(f, (enum folio_flag)bit);
	folio_set(f, PG_uptodate);
	return f;
}
/* The same, on its list; the caller still has a reference. */
static inline struct folio *listed_folio(struct core *c, u32 flags)
{
	struct folio *f = new_folio(c, flags);

	rcl_folio_add_lru(c->m, f);
	rcl_lru_add_drain(c->m);
	assert_true(folio_test(f, PG_lru));
	assert_int_equal(folio_ref_count(f), 1);
	return f;
}
#define ANON_FLAGS (BIT(PG_swapbacked) | BIT(PG_anon))

static inline void map_anon(struct core *c, u64 vpn, u64 pages)
{
	assert_int_equal(rcl_mmap(c->m, c->mm, vpn, pages, VM_READ | VM_WRITE, NULL, 0), 0);
}
/* Faults read the page they need and no more. */
static inline void map_file(struct core *c, u64 vpn, u64 pages, u64 pgoff, u32 flags)
{
	assert_int_equal(rcl_mmap(c->m, c->mm, vpn, pages, flags | VM_RAND_READ, &c->file, pgoff),
			 0);
}
static inline int touch(struct core *c, u64 vpn, bool write)
{
	return rcl_touch(c->m, c->mm, vpn, write);
}
static inline void touch_all(struct core *c, u64 vpn, u64 pages, bool write)
{
	for (u64 i = 0; i < pages; i++)
		assert_int_equal(touch(c, vpn + i, write), 0);
}
static inline pte_t pte_at(struct core *c, u64 vpn)
{
	pte_t *p = rcl_pte_lookup(c->mm, vpn);

	return p ? *p : 0;
}
static inline struct folio *folio_at(struct core *c, u64 vpn)
{
	pte_t pte = pte_at(c, vpn);

	assert_true(pte_present(pte) && !(pte & PTE_ZERO));
	return pfn_folio(c->m, pte_pfn(pte));
}
static inline bool is_swapped(struct core *c, u64 vpn)
{
	return pte_is_swap(pte_at(c, vpn));
}
/* Reclaim one folio on behalf of the group, whatever its age: was it freed? */
static inline bool evict_folio(struct core *c, struct folio *f)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL,
		.target = c->group,
		.reclaim_idx = MAX_NR_ZONES - 1,
		.may_writepage = true,
		.may_unmap = true,
		.may_swap = true,
	};
	struct reclaim_stat stat;
	struct list_head one;

	rcl_lru_add_drain(c->m);
	assert_int_equal(rcl_folio_isolate_lru(c->m, f), 0);
	folio_clear(f, PG_active);
	list_init(&one);
	list_add(&f->lru, &one);
	if (rcl_shrink_folio_list(c->m, &one, c->m->nodes, &sc, &stat, true))
		return true;
	rcl_folio_putback_lru(c->m, f);
	return false;
}
/* Swap pages out, written and gone from memory. */
static inline void swap_out(struct core *c, u64 vpn, u64 pages)
{
	for (u64 i = vpn; i < vpn + pages; i++) {
		struct folio *f = folio_at(c, i);

		assert_false(evict_folio(c, f));
		lone_complete_io(c->w);
		assert_true(evict_folio(c, f));
		assert_true(is_swapped(c, i));
	}
}
static inline void set_random_reads(struct core *c)
{
	assert_int_equal(rcl_file_advise(c->m, &c->file, 0, 0, RCL_FADV_RANDOM), 0);
}
/* The cached folio of a file page; no reference is taken. */
static inline struct folio *cached(struct core *c, u64 index)
{
	void *e = rcl_radix_load(c->mapping, index);

	return e && !entry_is_shadow(e) ? e : NULL;
}
static inline void read_file(struct core *c, u64 index, u64 nr)
{
	u64 stamp = 0;

	assert_int_equal(rcl_file_read(c->m, &c->file, index, nr, &stamp), 0);
}

#endif
