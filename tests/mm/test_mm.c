/* SPDX-License-Identifier: MIT */
/* Address spaces: layout, page tables and what they cost, locks, reaping, fork and mremap. */
#include "core_world.h"

CORE_SETUP(setup, 2, 8192, 0)
CORE_SETUP(setup_swap, 2, 8192, 2048)

#define TABLE 512ull	   /* pages that one table maps */
#define TOP   (1ull << 36) /* end of the address space */

static s64 tables(struct core *c)
{
	return c->mm->table_pages;
}
static void assert_vmas(struct core *c, u32 nr, const u64 (*at)[2])
{
	assert_int_equal(c->mm->nr_vmas, nr);
	for (u32 i = 0; i < nr; i++) {
		assert_int_equal(c->mm->vmas[i]->start, at[i][0]);
		assert_int_equal(c->mm->vmas[i]->end, at[i][1]);
	}
	assert_true(rcl_mm_is_valid(c->m, c->mm));
}
#define assert_layout(c, ...)                                                                      \
	do {                                                                                       \
		const u64 at_[][2] = {__VA_ARGS__};                                                \
		assert_vmas(c, ARRAY_SIZE(at_), at_);                                              \
	} while (0)

/* ---- layout -------------------------------------------------------------------------------- */

static void mappings_are_kept_in_order(void **state)
{
	struct core *c = *state;

	map_anon(c, 100, 10);
	map_anon(c, 0, 10);
	map_anon(c, 50, 10);
	assert_layout(c, {0, 10}, {50, 60}, {100, 110});
	assert_null(rcl_find_vma(c->mm, 10));
	assert_ptr_equal(rcl_find_vma(c->mm, 59), c->mm->vmas[1]);
	assert_ptr_equal(rcl_next_vma(c->mm, 60), c->mm->vmas[2]);
	assert_ptr_equal(rcl_next_vma(c->mm, 59), c->mm->vmas[1]);
	assert_null(rcl_next_vma(c->mm, 110));
	for (u64 i = 0; i < 40; i++)
		map_anon(c, 1000 + i * 2, 1); /* the array grows */
	assert_int_equal(c->mm->nr_vmas, 43);
}

static void mapping_over_something_replaces_it(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 30);
	touch_all(c, 0, 30, true);
	map_file(c, 10, 10, 0, VM_READ);
	assert_layout(c, {0, 10}, {10, 20}, {20, 30});
	assert_int_equal(c->mm->anon_rss, 20);
	assert_non_null(c->mm->vmas[1]->file);
	/* Both halves of what was one still find their pages. */
	assert_ptr_equal(c->mm->vmas[0]->anon_vma, c->mm->vmas[2]->anon_vma);
	assert_int_equal(c->mm->vmas[0]->anon_vma->refs, 2);
	map_anon(c, 0, 30);
	assert_layout(c, {0, 30});
	assert_int_equal(c->mm->anon_rss, 0);
}

static void unmapping_a_part_splits(void **state)
{
	struct core *c = *state;

	map_file(c, 0, 30, 100, VM_READ);
	touch_all(c, 0, 30, false);
	assert_int_equal(rcl_munmap(c->m, c->mm, 10, 5), 0);
	assert_layout(c, {0, 10}, {15, 30});
	assert_int_equal(c->mm->vmas[1]->pgoff, 115);
	assert_int_equal(c->mm->file_rss, 25);
	assert_int_equal(rcl_munmap(c->m, c->mm, 5, 15), 0);
	assert_layout(c, {0, 5}, {20, 30});
	assert_int_equal(rcl_munmap(c->m, c->mm, 40, 5), 0); /* nothing there */
	assert_int_equal(rcl_munmap(c->m, c->mm, 0, 100), 0);
	assert_int_equal(c->mm->nr_vmas, 0);
	assert_int_equal(c->mm->file_rss, 0);
	assert_true(list_empty(&c->mapping->i_mmap));
}

static void bad_ranges_are_refused(void **state)
{
	struct core *c = *state;

	assert_int_equal(rcl_mmap(c->m, c->mm, 0, 0, VM_READ, NULL, 0), -EINVAL);
	assert_int_equal(rcl_mmap(c->m, c->mm, TOP, 1, VM_READ, NULL, 0), -EINVAL);
	assert_int_equal(rcl_mmap(c->m, c->mm, TOP - 1, 2, VM_READ, NULL, 0), -EINVAL);
	assert_int_equal(rcl_mmap(c->m, c->mm, 5, ~0ull, VM_READ, NULL, 0), -EINVAL);
	assert_int_equal(rcl_munmap(c->m, c->mm, 0, 0), -EINVAL);
	assert_int_equal(rcl_munmap(c->m, c->mm, 5, ~0ull), -EINVAL);
	map_anon(c, TOP - 1, 1);
	assert_int_equal(touch(c, TOP - 1, true), 0);
	assert_int_equal(touch(c, TOP - 2, true), -EFAULT);
}

static void flags_change_for_whole_vmas(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 10);
	map_anon(c, 10, 10);
	assert_int_equal(rcl_vma_set_flags(c->mm, 5, 15, VM_EXEC, VM_WRITE), 0);
	assert_layout(c, {0, 5}, {5, 10}, {10, 15}, {15, 20});
	assert_int_equal(c->mm->vmas[0]->flags, VM_READ | VM_WRITE);
	assert_int_equal(c->mm->vmas[1]->flags, VM_READ | VM_EXEC);
	assert_int_equal(c->mm->vmas[2]->flags, VM_READ | VM_EXEC);
	assert_int_equal(rcl_vma_set_flags(c->mm, 15, 25, VM_EXEC, 0), -ENOMEM);
	assert_int_equal(rcl_vma_set_flags(c->mm, 30, 35, VM_EXEC, 0), -ENOMEM);
}

/* ---- page tables --------------------------------------------------------------------------- */

static void tables_are_allocated_as_they_are_needed(void **state)
{
	struct core *c = *state;

	assert_int_equal(tables(c), 1); /* the top */
	assert_int_equal(lone_node_stat(c->w, NR_PAGETABLE), 0);
	map_anon(c, 0, 10 * TABLE);
	assert_int_equal(tables(c), 1);
	assert_int_equal(touch(c, 0, true), 0);
	assert_int_equal(tables(c), 4);
	assert_int_equal(lone_node_stat(c->w, NR_PAGETABLE), 2); /* the lower two levels */
	assert_int_equal(touch(c, TABLE - 1, true), 0);
	assert_int_equal(tables(c), 4);
	assert_int_equal(touch(c, TABLE, true), 0);
	assert_int_equal(tables(c), 5);
	/* An empty space far away needs tables only when it is touched. */
	map_anon(c, TOP / 2, 1);
	assert_null(rcl_pte_lookup(c->mm, TOP / 2));
	assert_int_equal(touch(c, TOP / 2, false), 0); /* the zero page needs them as well */
	assert_int_equal(tables(c), 8);
	assert_int_equal(lone_group_stat(c->w, NR_PAGETABLE), 5);
	assert_int_equal(c->group->kernel_pages, 8);
}

static void tables_go_with_what_they_map(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 3 * TABLE);
	touch_all(c, 0, 1, true);
	touch_all(c, TABLE, 1, true);
	touch_all(c, 2 * TABLE, 1, true);
	assert_int_equal(tables(c), 6);
	/* Half of a table's range: it still serves the other half. */
	assert_int_equal(rcl_munmap(c->m, c->mm, TABLE, TABLE / 2), 0);
	assert_int_equal(tables(c), 6);
	/* The rest of it goes, and the table with it. */
	assert_int_equal(rcl_munmap(c->m, c->mm, TABLE + TABLE / 2, TABLE / 2), 0);
	assert_int_equal(tables(c), 5);
	/* DONTNEED keeps tables. */
	assert_int_equal(rcl_madvise(c->m, c->mm, 0, TABLE, RCL_MADV_DONTNEED), 0);
	assert_int_equal(tables(c), 5);
	assert_int_equal(rcl_munmap(c->m, c->mm, 0, 3 * TABLE), 0);
	assert_int_equal(tables(c), 1);
	assert_int_equal(lone_node_stat(c->w, NR_PAGETABLE), 0);
	assert_int_equal(c->group->kernel_pages, 1);
	/* And can be had again. */
	map_anon(c, 0, 1);
	assert_int_equal(touch(c, 0, true), 0);
	assert_int_equal(tables(c), 4);
}

static void neighbours_share_tables(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 100);
	map_anon(c, 200, 100);
	touch_all(c, 0, 1, true);
	touch_all(c, 200, 1, true);
	assert_int_equal(tables(c), 4);
	assert_int_equal(rcl_munmap(c->m, c->mm, 0, 100), 0);
	assert_int_equal(tables(c), 4);
	assert_true(pte_present(pte_at(c, 200)));
	assert_int_equal(rcl_munmap(c->m, c->mm, 200, 100), 0);
	assert_int_equal(tables(c), 1);
}

static void the_last_table_is_remembered_and_forgotten(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 2 * TABLE);
	touch_all(c, 0, 1, true);
	touch_all(c, TABLE, 1, true);
	assert_int_equal(c->mm->last_table >> 32, 1);
	assert_ptr_equal(rcl_pte_fast(c->mm, TABLE + 3), rcl_pte_lookup(c->mm, TABLE) + 3);
	assert_ptr_equal(rcl_pte_fast(c->mm, 3), rcl_pte_lookup(c->mm, 0) + 3);
	assert_int_equal(c->mm->last_table >> 32, 0);
	assert_int_equal(rcl_munmap(c->m, c->mm, 0, TABLE), 0);
	assert_int_equal(c->mm->last_table, NO_TABLE);
	assert_null(rcl_pte_fast(c->mm, 3));
	assert_non_null(rcl_pte_fast(c->mm, TABLE));
}

static void without_memory_for_a_table_the_fault_fails(void **state)
{
	struct core *c = *state;

	c->m->tun.memcg_oom = 0;
	map_anon(c, 0, 1);
	assert_int_equal(rcl_memcg_set_max(c->m, c->group, 0), 0);
	assert_int_equal(touch(c, 0, false), -ENOMEM);
	assert_int_equal(rcl_memcg_set_max(c->m, c->group, MEMCG_MAX), 0);
	assert_int_equal(touch(c, 0, false), 0);
}

/* ---- the lock ------------------------------------------------------------------------------ */

static void readers_and_a_writer(void **state)
{
	struct core *c = *state;
	struct mm *mm = c->mm;

	mmap_read_lock(c->m, mm);
	mmap_read_lock(c->m, mm);
	assert_int_equal(mm->lock, 2);
	mmap_unlock(c->m, mm);
	mmap_unlock(c->m, mm);
	assert_int_equal(mm->lock, 0);
	mmap_write_lock(c->m, mm);
	assert_int_equal(mm->lock, MMAP_WRITER);
	assert_ptr_equal(mm->writer, &c->w->task);
	mmap_unlock(c->m, mm);
	assert_int_equal(mm->lock, 0);
	assert_null(mm->writer);
}

static int let_go(struct platform *p, u32 *word, u32 value, u64 timeout_ns, bool io)
{
	struct mm *mm = container_of(word, struct mm, lock);

	(void)p, (void)io;
	if (*word != value)
		return -EAGAIN;
	p->now += timeout_ns == RCL_FOREVER ? 0 : timeout_ns;
	if (timeout_ns == RCL_FOREVER) {
		assert_true(value & MMAP_WAITERS);
		mmap_unlock(mm->m, mm); /* whoever holds it leaves */
		return 0;
	}
	return -ETIMEDOUT;
}
static void others_hold_it(struct core *c)
{
	core_ops = lone_ops;
	core_ops.wait_on = let_go;
	c->w->plat.ops = &core_ops;
}

static void newcomers_queue_behind_a_waiting_writer(void **state)
{
	struct core *c = *state;
	struct mm *mm = c->mm;

	others_hold_it(c);
	mm->lock = 1 | MMAP_WAITERS; /* a reader, for whose end a writer waits */
	mmap_read_lock(c->m, mm);    /* waits: the reader leaves, all may try */
	assert_int_equal(mm->lock, 1);
	mmap_unlock(c->m, mm);
	mm->lock = 1;
	mmap_write_lock(c->m, mm);
	assert_int_equal(mm->lock, MMAP_WRITER);
	mmap_unlock(c->m, mm);
	mm->lock = MMAP_WRITER;
	mmap_read_lock(c->m, mm);
	assert_int_equal(mm->lock, 1);
	mmap_unlock(c->m, mm);
}

/* ---- reaping ------------------------------------------------------------------------------- */

static void reaping_takes_all_but_the_tables(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 100);
	touch_all(c, 0, 100, true);
	map_file(c, 1000, 10, 0, VM_READ | VM_WRITE);
	touch_all(c, 1000, 10, true);
	swap_out(c, 0, 10);
	rcl_mm_reap(c->m, c->mm);
	assert_int_equal(c->mm->anon_rss + c->mm->file_rss + c->mm->swap_ents, 0);
	assert_true(tables(c) > 1);
	assert_true(folio_test(cached(c, 3), PG_dirty)); /* what was written to files is kept */
	assert_int_equal(touch(c, 0, true), -EINTR);
	assert_int_equal(touch(c, 1000, false), -EINTR);
	assert_int_equal(c->mm->lock, 0);
	rcl_mm_reap(c->m, c->mm); /* no harm */
}

static void a_killer_in_a_fault_of_its_victim_reaps_it(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 10);
	touch_all(c, 0, 10, true);
	mmap_read_lock(c->m, c->mm);
	c->mm->lock |= MMAP_WAITERS; /* and somebody wants to write */
	rcl_mm_reap(c->m, c->mm);
	assert_int_equal(c->mm->anon_rss, 0);
	assert_int_equal(c->mm->lock, 1 | MMAP_WAITERS);
	mmap_unlock(c->m, c->mm);
	assert_int_equal(c->mm->lock, 0);
}

static void a_writer_is_waited_for_for_a_second(void **state)
{
	struct core *c = *state;
	struct task other = {0};
	u64 before = c->w->plat.now;

	map_anon(c, 0, 10);
	touch_all(c, 0, 10, true);
	others_hold_it(c);
	c->mm->lock = MMAP_WRITER;
	c->mm->writer = &other;
	rcl_mm_reap(c->m, c->mm);
	assert_int_equal(c->mm->anon_rss, 10);
	assert_true(
		c->mm->dead); /* nothing more will be mapped, and the next kill goes elsewhere */
	assert_int_equal(c->w->plat.now, before + RCL_NSEC_PER_SEC);
	/* The writer itself need not wait for itself. */
	c->mm->writer = &c->w->task;
	before = c->w->plat.now;
	rcl_mm_reap(c->m, c->mm);
	assert_int_equal(c->w->plat.now, before);
	c->mm->lock = 0;
	c->mm->writer = NULL;
}

/* ---- copies and moves ---------------------------------------------------------------------- */

static void fork_shares_pages_until_they_are_written(void **state)
{
	struct core *c = *state;
	struct mm *child;
	struct folio *f;

	map_anon(c, 0, 20);
	touch_all(c, 0, 20, true);
	swap_out(c, 10, 5);
	assert_int_equal(rcl_mm_fork(c->m, c->mm, c->group, &child), 0);
	assert_int_equal(child->anon_rss, 15);
	assert_int_equal(child->swap_ents, 5);
	assert_int_equal(child->nr_vmas, 1);
	assert_int_equal(lone_node_stat(c->w, NR_ANON_MAPPED), 15);
	f = folio_at(c, 0);
	assert_int_equal(f->mapcount, 2);
	/* Whoever writes first gets a copy, the other keeps the page. */
	assert_int_equal(touch(c, 0, true), 0);
	assert_ptr_not_equal(folio_at(c, 0), f);
	assert_int_equal(f->mapcount, 1);
	assert_int_equal(events_of(c, PGREUSE), 0);
	assert_int_equal(rcl_touch(c->m, child, 0, true), 0);
	assert_int_equal(events_of(c, PGREUSE), 1);
	assert_int_equal(pte_pfn(*rcl_pte_lookup(child, 0)), folio_pfn(c->m, f));
	assert_true(rcl_mm_is_valid(c->m, child));
	assert_true(rcl_mm_is_valid(c->m, c->mm));
	/* A swapped page: one slot, two users. */
	assert_int_equal(rcl_swap_count(c->m, pte_swap(pte_at(c, 12))), 2);
	assert_int_equal(touch(c, 12, true), 0);
	assert_int_equal(rcl_swap_count(c->m, pte_swap(*rcl_pte_lookup(child, 12))), 1);
	rcl_mm_destroy(c->m, child);
	assert_int_equal(folio_at(c, 3)->mapcount, 1);
	assert_int_equal(touch(c, 3, true), 0);
	assert_int_equal(events_of(c, PGREUSE), 2);
}

static void mremap_takes_pages_along(void **state)
{
	struct core *c = *state;
	struct folio *f;

	map_anon(c, 0, 20);
	touch_all(c, 0, 20, true);
	swap_out(c, 15, 5);
	f = folio_at(c, 3);
	assert_int_equal(rcl_mremap(c->m, c->mm, 0, 20, 10000, 30), 0);
	assert_layout(c, {10000, 10030});
	assert_ptr_equal(folio_at(c, 10003), f);
	assert_true(is_swapped(c, 10016));
	assert_int_equal(c->mm->anon_rss, 15);
	/* Reverse mapping finds it there: it can be swapped out. */
	swap_out(c, 10003, 1);
	assert_int_equal(touch(c, 10003, false), 0);
	assert_int_equal(touch(c, 10029, true), 0);
	assert_int_equal(rcl_mremap(c->m, c->mm, 10000, 30, 10000, 5), 0);
	assert_layout(c, {10000, 10005});
	assert_int_equal(rcl_mremap(c->m, c->mm, 10000, 5, 10001, 5), -EINVAL);
	assert_int_equal(rcl_mremap(c->m, c->mm, 20000, 5, 30000, 5), -EFAULT);
}

/* ---- anything in any order ----------------------------------------------------------------- */

static void random_layouts(void **state)
{
	enum {
		SPACE = 3000,
		STEPS = 1500
	};
	struct core *c = *state;

	io_at_polls(c);
	/* Nobody writes behind our back: no throttling, and fsync() now and then. */
	c->m->tun.cgroup_writeback = 0;
	c->m->tun.dirty_ratio = c->m->tun.dirty_background_ratio = 100;
	rcl_tunables_apply(c->m);
	assert_int_equal(rcl_memcg_set_max(c->m, c->group, 500 * PAGE_SIZE), 0);
	for (int step = 0; step < STEPS; step++) {
		u64 r = lone_random_value(c->w);
		u64 vpn = r % SPACE, pages = 1 + (r >> 16) % 200;
		int err = 0;

		switch (r >> 32 & 15) {
		case 0:
			map_anon(c, vpn, pages);
			break;
		case 1:
			map_file(c, vpn, pages, r >> 40 & 1023, VM_READ | VM_WRITE);
			break;
		case 2:
			assert_int_equal(rcl_munmap(c->m, c->mm, vpn, pages), 0);
			break;
		case 3:
			err = rcl_madvise(c->m, c->mm, vpn, pages,
					  (enum rcl_madvice)((r >> 40) % (RCL_MADV_WILLNEED + 1)));
			assert_true(!err || err == -ENOMEM || err == -EINVAL);
			break;
		case 4:
			err = rcl_mlock(c->m, c->mm, vpn, min(pages, (u64)20));
			assert_true(!err || err == -ENOMEM);
			break;
		case 5:
			err = rcl_munlock(c->m, c->mm, vpn, pages);
			assert_true(!err || err == -ENOMEM);
			break;
		default:
			for (u64 i = vpn; i < vpn + pages && err != -EFAULT;
			     i += 1 + (r >> 50) % 7) {
				err = touch(c, i, r >> 60 & 1);
				assert_true(!err || err == -EFAULT);
			}
		}
		if (lone_node_stat(c->w, NR_FILE_DIRTY) > 50)
			assert_int_equal(rcl_file_fsync(c->m, &c->file), 0);
		if (!(step & 7))
			assert_true(rcl_mm_is_valid(c->m, c->mm));
		if (!(step & 127))
			assert_true(rcl_check(c->m));
	}
	assert_int_equal(events_of(c, OOM_KILL), 0);
	assert_true(events_of(c, PSWPIN) > 0);
	assert_int_equal(rcl_munmap(c->m, c->mm, 0, 2 * SPACE), 0);
	assert_int_equal(tables(c), 1);
	assert_int_equal(c->mm->anon_rss + c->mm->file_rss + c->mm->swap_ents, 0);
	assert_int_equal(rcl_memcg_set_max(c->m, c->group, MEMCG_MAX), 0);
	assert_int_equal(c->m->nodes[0].zones[ZONE_DMA32].stat[NR_MLOCK], 0);
}

int main(void)
{
#define T(f)  cmocka_unit_test_setup_teardown(f, setup, core_teardown)
#define TS(f) cmocka_unit_test_setup_teardown(f, setup_swap, core_teardown)
	const struct CMUnitTest tests[] = {
		T(mappings_are_kept_in_order),
		T(mapping_over_something_replaces_it),
		T(unmapping_a_part_splits),
		T(bad_ranges_are_refused),
		T(flags_change_for_whole_vmas),
		T(tables_are_allocated_as_they_are_needed),
		T(tables_go_with_what_they_map),
		T(neighbours_share_tables),
		T(the_last_table_is_remembered_and_forgotten),
		T(without_memory_for_a_table_the_fault_fails),
		T(readers_and_a_writer),
		T(newcomers_queue_behind_a_waiting_writer),
		TS(reaping_takes_all_but_the_tables),
		T(a_killer_in_a_fault_of_its_victim_reaps_it),
		T(a_writer_is_waited_for_for_a_second),
		TS(fork_shares_pages_until_they_are_written),
		TS(mremap_takes_pages_along),
		TS(random_layouts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
