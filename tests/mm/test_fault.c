/* SPDX-License-Identifier: MIT */
/* Page faults: every row of the table in fault.c, what is counted, fault-around, starting over. */
#include "core_world.h"

CORE_SETUP(setup, 2, 8192, 0)
CORE_SETUP(setup_swap, 2, 8192, 1024)

static struct {
	s64 fault, major, reuse;
} last;
/* What the counters did since the last call. */
static void take_counts(struct core *c)
{
	last.fault = events_of(c, PGFAULT);
	last.major = events_of(c, PGMAJFAULT);
	last.reuse = events_of(c, PGREUSE);
}
static void assert_counts(struct core *c, s64 fault, s64 major, s64 reuse)
{
	assert_int_equal(events_of(c, PGFAULT) - last.fault, fault);
	assert_int_equal(events_of(c, PGMAJFAULT) - last.major, major);
	assert_int_equal(events_of(c, PGREUSE) - last.reuse, reuse);
	take_counts(c);
}
static s64 zone_free(struct core *c)
{
	rcl_drain_all_pages(c->m);
	return zone_page_state(&c->m->nodes[0].zones[ZONE_DMA32], NR_FREE_PAGES);
}
#define ALL (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_ZERO)

/* ---- nothing there, anonymous -------------------------------------------------------------- */

static void reading_untouched_memory_maps_the_zero_page(void **state)
{
	struct core *c = *state;
	s64 free, tables;

	map_anon(c, 0, 10);
	assert_int_equal(touch(c, 0, false), 0);
	free = zone_free(c);
	tables = c->mm->table_pages;
	for (u64 i = 1; i < 10; i++)
		assert_int_equal(touch(c, i, false), 0);
	assert_int_equal(zone_free(c), free);
	assert_int_equal(c->mm->table_pages, tables);
	assert_int_equal(c->mm->anon_rss, 0);
	assert_int_equal(pte_at(c, 5) & ALL, PTE_PRESENT | PTE_ZERO | PTE_ACCESSED);
	assert_counts(c, 10, 0, 0);
	assert_int_equal(touch(c, 5, false), 0); /* no fault any more */
	assert_counts(c, 0, 0, 0);
}

static void writing_untouched_memory_gets_a_page(void **state)
{
	struct core *c = *state;
	struct folio *f;

	take_counts(c);
	map_anon(c, 0, 10);
	assert_int_equal(touch(c, 3, true), 0);
	assert_counts(c, 1, 0, 0);
	assert_int_equal(pte_at(c, 3) & ALL, PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY);
	f = folio_at(c, 3);
	assert_ptr_equal(f->memcg, c->group);
	assert_true(folio_test(f, PG_swapbacked) && folio_test(f, PG_uptodate));
	assert_false(folio_test(f, PG_dirty));	 /* the entry is */
	assert_int_equal(folio_ref_count(f), 2); /* the mapping and the batch */
	assert_int_equal(group_events(c, PGFAULT), 1);
	rcl_lru_add_drain(c->m);
	assert_int_equal(list_size(c, LRU_INACTIVE_ANON), 1); /* new pages start inactive */
}

static void writing_to_the_zero_page_gets_a_page(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 1);
	assert_int_equal(touch(c, 0, false), 0);
	take_counts(c);
	assert_int_equal(touch(c, 0, true), 0);
	assert_counts(c, 1, 0, 0); /* a new page is no reuse */
	assert_int_equal(c->mm->anon_rss, 1);
	assert_int_equal(pte_at(c, 0) & ALL, PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY);
}

/* ---- nothing there, file ------------------------------------------------------------------- */

static void reading_a_file_maps_it_read_only(void **state)
{
	struct core *c = *state;
	struct folio *f;

	map_file(c, 0, 4, 10, VM_READ | VM_WRITE);
	take_counts(c);
	assert_int_equal(touch(c, 1, false), 0);
	/* It had to be read: the fault waits without the lock and starts over. */
	assert_counts(c, 2, 1, 0);
	assert_int_equal(group_events(c, PGFAULT), 2);
	assert_int_equal(group_events(c, PGMAJFAULT), 1);
	f = cached(c, 11);
	assert_ptr_equal(folio_at(c, 1), f);
	assert_int_equal(pte_at(c, 1) & ALL, PTE_PRESENT | PTE_ACCESSED);
	assert_int_equal(c->mm->file_rss, 1);
	assert_int_equal(c->mm->lock, 0);
}

static void writing_a_file_marks_it_dirty(void **state)
{
	struct core *c = *state;

	read_file(c, 10, 1);
	map_file(c, 0, 4, 10, VM_READ | VM_WRITE);
	take_counts(c);
	assert_int_equal(touch(c, 0, true), 0);
	assert_counts(c, 1, 0, 0);
	assert_int_equal(pte_at(c, 0) & ALL, PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY);
	assert_true(folio_test(cached(c, 10), PG_dirty));
	assert_int_equal(lone_node_stat(c->w, NR_FILE_DIRTY), 1);
	assert_false(folio_test(cached(c, 10), PG_private));
	assert_false(folio_test(cached(c, 10), PG_locked));
}

static void the_filesystem_prepares_a_page_for_writing(void **state)
{
	struct core *c = *state;

	c->mapping->flags |= MAPPING_BUFFERS;
	read_file(c, 10, 1);
	map_file(c, 0, 4, 10, VM_READ | VM_WRITE);
	assert_int_equal(touch(c, 0, false), 0);
	assert_false(folio_test(cached(c, 10), PG_private));
	assert_int_equal(touch(c, 0, true), 0);
	assert_true(folio_test(cached(c, 10), PG_private));
}

static void writing_a_mapped_file_page_is_reuse(void **state)
{
	struct core *c = *state;

	read_file(c, 10, 1);
	map_file(c, 0, 4, 10, VM_READ | VM_WRITE);
	assert_int_equal(touch(c, 0, false), 0);
	assert_false(folio_test(cached(c, 10), PG_dirty));
	take_counts(c);
	assert_int_equal(touch(c, 0, true), 0);
	assert_counts(c, 1, 0, 1);
	assert_true(folio_test(cached(c, 10), PG_dirty));
}

static void a_private_mapping_copies(void **state)
{
	struct core *c = *state;
	struct folio *f;

	read_file(c, 10, 2);
	assert_int_equal(rcl_mmap(c->m, c->mm, 0, 4, VM_READ | VM_WRITE | VM_PRIVATE, &c->file, 10),
			 0);
	assert_int_equal(touch(c, 0, false), 0);
	assert_ptr_equal(folio_at(c, 0), cached(c, 10));
	take_counts(c);
	assert_int_equal(touch(c, 0, true), 0);
	assert_counts(c, 1, 0, 0);
	f = folio_at(c, 0);
	assert_ptr_not_equal(f, cached(c, 10));
	assert_true(folio_is_anon(f));
	assert_int_equal(lone_page_load(&c->w->plat, f),
			 lone_page_load(&c->w->plat, cached(c, 10)));
	assert_int_equal(touch(c, 1, true), 0); /* without being mapped before */
	assert_true(folio_is_anon(folio_at(c, 1)));
	assert_false(folio_test(cached(c, 10), PG_dirty) || folio_test(cached(c, 11), PG_dirty));
	assert_int_equal(c->mm->anon_rss, 2);
	assert_int_equal(c->mm->file_rss, 0);
}

static void beyond_the_end_of_the_file(void **state)
{
	struct core *c = *state;

	map_file(c, 0, 10, CORE_FILE_PAGES - 5, VM_READ | VM_WRITE);
	assert_int_equal(touch(c, 4, false), 0);
	assert_int_equal(touch(c, 5, false), -ENODATA);
	assert_int_equal(touch(c, 5, true), -ENODATA);
	assert_int_equal(c->mm->lock, 0);
}

static void a_file_that_cannot_be_read(void **state)
{
	struct core *c = *state;

	map_file(c, 0, 10, 0, VM_READ);
	c->w->fail = -EIO;
	assert_int_equal(touch(c, 0, false), -EIO);
	c->w->fail = 0;
	assert_int_equal(c->mm->lock, 0);
	assert_int_equal(touch(c, 0, false), 0);
}

/* ---- fault-around -------------------------------------------------------------------------- */

static u64 mapped_between(struct core *c, u64 from, u64 to)
{
	u64 n = 0;

	for (u64 i = from; i < to; i++)
		n += pte_present(pte_at(c, i));
	return n;
}

static void what_is_cached_around_is_mapped_too(void **state)
{
	struct core *c = *state;

	set_random_reads(c);
	for (u64 i = 0; i < 64; i++)
		read_file(c, i, 1);
	map_file(c, 1000, 64, 0, VM_READ);
	take_counts(c);
	assert_int_equal(touch(c, 1000 + 20, false), 0);
	assert_counts(c, 1, 0, 0);
	/* The aligned 16 pages of addresses: 1008 .. 1023. */
	assert_int_equal(mapped_between(c, 1000, 1064), 16);
	assert_int_equal(mapped_between(c, 1008, 1024), 16);
	assert_true(pte_at(c, 1009) & PTE_ACCESSED); /* they too look used */
	assert_int_equal(c->mm->file_rss, 16);
	/* At the start of a mapping the window starts there, and is as long. */
	assert_int_equal(touch(c, 1000 + 3, false), 0);
	assert_int_equal(mapped_between(c, 1000, 1008), 8);
	assert_int_equal(mapped_between(c, 1000, 1064), 24);
}

static void the_window_ends_with_the_mapping_the_table_and_the_file(void **state)
{
	struct core *c = *state;

	set_random_reads(c);
	for (u64 i = 0; i < 32; i++)
		read_file(c, i, 1);
	map_file(c, 512 - 6, 20, 0, VM_READ);
	assert_int_equal(touch(c, 512 - 3, false), 0);
	assert_int_equal(mapped_between(c, 500, 540), 6); /* up to the end of the page table */
	map_file(c, 2048, 5, 0, VM_READ);
	assert_int_equal(touch(c, 2048, false), 0);
	assert_int_equal(mapped_between(c, 2048, 2064), 5);
	read_file(c, CORE_FILE_PAGES - 1, 1);
	map_file(c, 4096, 16, CORE_FILE_PAGES - 1, VM_READ);
	assert_int_equal(touch(c, 4096, false), 0);
	assert_int_equal(mapped_between(c, 4096, 4112), 1);
}

static void some_pages_are_passed_over(void **state)
{
	struct core *c = *state;

	set_random_reads(c);
	for (u64 i = 0; i < 16; i++)
		if (i != 9)
			read_file(c, i, 1);
	map_file(c, 0, 16, 0, VM_READ);
	folio_lock(c->m, cached(c, 3));
	folio_clear(cached(c, 4), PG_uptodate);
	folio_set(cached(c, 5), PG_readahead_); /* using it shall start the next readahead */
	assert_int_equal(touch(c, 8, false), 0);
	assert_int_equal(mapped_between(c, 0, 16), 12);
	assert_int_equal(pte_at(c, 3) | pte_at(c, 4) | pte_at(c, 5) | pte_at(c, 9), 0);
	folio_unlock(c->m, cached(c, 3));
	folio_set(cached(c, 4), PG_uptodate);
	/* If the page itself was passed over, the fault goes on to get it. */
	folio_clear(cached(c, 5), PG_readahead_);
	assert_int_equal(touch(c, 9, false), 0);
	assert_int_equal(mapped_between(c, 0, 16), 16);
	assert_int_equal(events_of(c, PGMAJFAULT), 1);
}

static void writes_do_not_fault_around(void **state)
{
	struct core *c = *state;

	set_random_reads(c);
	for (u64 i = 0; i < 16; i++)
		read_file(c, i, 1);
	map_file(c, 0, 16, 0, VM_READ | VM_WRITE);
	assert_int_equal(touch(c, 8, true), 0);
	assert_int_equal(mapped_between(c, 0, 16), 1);
}

static void fault_around_can_be_turned_off(void **state)
{
	struct core *c = *state;

	set_random_reads(c);
	for (u64 i = 0; i < 16; i++)
		read_file(c, i, 1);
	c->m->tun.fault_around_bytes = 4096;
	map_file(c, 0, 16, 0, VM_READ);
	assert_int_equal(touch(c, 8, false), 0);
	assert_int_equal(mapped_between(c, 0, 16), 1);
	c->m->tun.fault_around_bytes = 16384;
	assert_int_equal(touch(c, 0, false), 0);
	assert_int_equal(mapped_between(c, 0, 16), 5);
}

/* ---- swapped ------------------------------------------------------------------------------- */

static void a_swapped_page_is_read_back(void **state)
{
	struct core *c = *state;
	struct folio *f;
	swp_entry_t e;

	c->m->tun.page_cluster = 0;
	map_anon(c, 0, 1);
	assert_int_equal(touch(c, 0, true), 0);
	lone_page_store(&c->w->plat, folio_at(c, 0), 4711);
	swap_out(c, 0, 1);
	e = pte_swap(pte_at(c, 0));
	take_counts(c);
	assert_int_equal(touch(c, 0, false), 0);
	/* The one page is waited for at once: no starting over. */
	assert_counts(c, 1, 1, 0);
	f = folio_at(c, 0);
	assert_int_equal(lone_page_load(&c->w->plat, f), 4711);
	/* For reading: the slot keeps the clean copy, and the page may not be written yet. */
	assert_true(folio_test(f, PG_swapcache));
	assert_int_equal(f->private_, e);
	assert_int_equal(pte_at(c, 0) & ALL, PTE_PRESENT | PTE_ACCESSED);
	assert_int_equal(c->mm->swap_ents, 0);
	assert_int_equal(c->mm->anon_rss, 1);
	/* The first write makes it ours; the slot is given up when the page is reclaimed again. */
	assert_int_equal(touch(c, 0, true), 0);
	assert_counts(c, 1, 0, 1);
	assert_true(pte_at(c, 0) & PTE_WRITE);
}

static void writing_a_swapped_page_gives_up_its_slot(void **state)
{
	struct core *c = *state;
	struct folio *f;
	swp_entry_t e;

	c->m->tun.page_cluster = 0;
	map_anon(c, 0, 1);
	assert_int_equal(touch(c, 0, true), 0);
	swap_out(c, 0, 1);
	e = pte_swap(pte_at(c, 0));
	take_counts(c);
	assert_int_equal(touch(c, 0, true), 0);
	assert_counts(c, 1, 1, 0);
	f = folio_at(c, 0);
	assert_false(folio_test(f, PG_swapcache));
	assert_true(folio_test(f, PG_dirty));
	assert_int_equal(rcl_swap_count(c->m, e), 0);
	assert_int_equal(pte_at(c, 0) & ALL, PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY);
	assert_true(folio_test(f, PG_lru)); /* this CPU's batches were drained to be sure */
}

static void a_page_that_others_hold_keeps_its_slot(void **state)
{
	struct core *c = *state;
	struct folio *f;

	map_anon(c, 0, 1);
	assert_int_equal(touch(c, 0, true), 0);
	f = folio_at(c, 0);
	assert_false(evict_folio(c, f)); /* being written, and still in the swap cache */
	lone_complete_io(c->w);
	rcl_lru_add_drain(c->m);
	folio_get(f);
	take_counts(c);
	assert_int_equal(touch(c, 0, true), 0);
	assert_counts(c, 1, 0, 0); /* nothing had to be read: minor */
	assert_ptr_equal(folio_at(c, 0), f);
	assert_true(folio_test(f, PG_swapcache));
	assert_true(pte_at(c, 0) & PTE_WRITE);
	folio_put(c->m, f);
}

static void when_swap_is_full_reads_give_up_slots_too(void **state)
{
	struct core *c = *state;

	c->m->tun.page_cluster = 0;
	map_anon(c, 0, 700);
	touch_all(c, 0, 700, true);
	swap_out(c, 0, 700);
	assert_true(rcl_vm_swap_full(c->m));
	assert_int_equal(touch(c, 0, false), 0);
	assert_false(folio_test(folio_at(c, 0), PG_swapcache));
	assert_true(folio_test(folio_at(c, 0), PG_dirty)); /* the only copy now */
}

/* With readahead the page itself may still be on its way: wait without the lock, and start over. */
static void a_page_on_its_way_is_waited_for(void **state)
{
	struct core *c = *state;

	c->m->tun.page_cluster = 3;
	map_anon(c, 0, 16);
	touch_all(c, 0, 16, true);
	swap_out(c, 0, 16);
	take_counts(c);
	assert_int_equal(touch(c, 8, false), 0);
	assert_counts(c, 2, 1, 0);
	assert_int_equal(c->mm->lock, 0);
	/* Its neighbours came along; they are minor. */
	lone_complete_io(c->w);
	take_counts(c);
	assert_true(events_of(c, SWAP_RA) > 0);
	for (u64 i = 0; i < 16; i++)
		if (is_swapped(c, i) && rcl_swap_shadow(c->m, pte_swap(pte_at(c, i))) == NULL)
			assert_int_equal(touch(c, i, false), 0);
	assert_true(events_of(c, PGFAULT) - last.fault > 0);
	assert_int_equal(events_of(c, PGMAJFAULT), last.major);
}

static void a_page_that_cannot_be_read_back(void **state)
{
	struct core *c = *state;

	c->m->tun.page_cluster = 0;
	map_anon(c, 0, 1);
	assert_int_equal(touch(c, 0, true), 0);
	swap_out(c, 0, 1);
	c->w->fail = -EIO;
	assert_int_equal(touch(c, 0, false), -EIO);
	c->w->fail = 0;
	assert_true(is_swapped(c, 0));
	assert_int_equal(c->mm->swap_ents, 1);
	assert_int_equal(c->mm->lock, 0);
}

/* A page that was hot when it went, and comes back soon, comes back active. */
static void a_refault_counts(void **state)
{
	struct core *c = *state;

	c->m->tun.page_cluster = 0;
	map_anon(c, 0, 20);
	touch_all(c, 0, 20, true);
	rcl_lru_add_drain(c->m);
	for (u64 i = 1; i < 20; i++)
		rcl_folio_activate(c->m, folio_at(c, i));
	rcl_lru_add_drain(c->m);
	swap_out(c, 0, 1);
	assert_int_equal(touch(c, 0, false), 0);
	assert_int_equal(lone_group_stat(c->w, WORKINGSET_REFAULT_ANON), 1);
	assert_int_equal(lone_group_stat(c->w, WORKINGSET_ACTIVATE_ANON), 1);
	rcl_lru_add_drain(c->m);
	assert_true(folio_test(folio_at(c, 0), PG_active));
}

/* ---- present ------------------------------------------------------------------------------- */

static void writing_a_read_only_page_of_ours_is_reuse(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 1);
	assert_int_equal(touch(c, 0, true), 0);
	*rcl_pte_lookup(c->mm, 0) &= ~(PTE_WRITE | PTE_DIRTY);
	take_counts(c);
	assert_int_equal(touch(c, 0, true), 0);
	assert_counts(c, 1, 0, 1);
	assert_int_equal(group_events(c, PGREUSE), 0); /* counted for the machine alone */
	assert_true(pte_at(c, 0) & PTE_DIRTY);
}

static void a_spurious_fault_only_marks(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 1);
	assert_int_equal(touch(c, 0, true), 0);
	*rcl_pte_lookup(c->mm, 0) &= ~(PTE_ACCESSED | PTE_DIRTY);
	take_counts(c);
	assert_int_equal(rcl_handle_fault(c->m, c->mm, 0, false, false), 0);
	assert_counts(c, 1, 0, 0);
	assert_int_equal(pte_at(c, 0) & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED);
	assert_int_equal(rcl_handle_fault(c->m, c->mm, 0, true, false), 0);
	assert_true(pte_at(c, 0) & PTE_DIRTY);
	assert_counts(c, 1, 0, 0);
}

static void a_resident_access_costs_no_fault(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 600);
	touch_all(c, 0, 600, true);
	take_counts(c);
	for (u64 i = 0; i < 600; i++) {
		*rcl_pte_lookup(c->mm, i) &= ~(PTE_ACCESSED | PTE_DIRTY);
		assert_int_equal(touch(c, i, i & 1), 0);
		assert_int_equal(pte_at(c, i) & (PTE_ACCESSED | PTE_DIRTY),
				 PTE_ACCESSED | (i & 1 ? PTE_DIRTY : 0));
	}
	assert_counts(c, 0, 0, 0);
}

/* ---- refused ------------------------------------------------------------------------------- */

static void access_is_checked(void **state)
{
	struct core *c = *state;

	assert_int_equal(rcl_mmap(c->m, c->mm, 0, 2, VM_READ, NULL, 0), 0);
	take_counts(c);
	assert_int_equal(touch(c, 0, true), -EACCES);
	assert_int_equal(rcl_handle_fault(c->m, c->mm, 0, false, true), -EACCES);
	assert_int_equal(touch(c, 2, false), -EFAULT);
	assert_counts(c, 0, 0, 0); /* not handled, not counted */
	assert_int_equal(touch(c, 0, false), 0);
	assert_int_equal(touch(c, 0, true), -EACCES);
	assert_int_equal(c->mm->lock, 0);
}

static void the_dead_get_nothing(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 2);
	c->w->task.flags |= PF_KILLED;
	take_counts(c);
	assert_int_equal(touch(c, 0, true), -EINTR);
	assert_counts(c, 0, 0, 0);
	c->w->task.flags = 0;
	c->mm->dead = true;
	assert_int_equal(touch(c, 0, true), -EINTR);
	assert_int_equal(touch(c, 1, false), -EINTR);
	assert_int_equal(c->mm->anon_rss, 0);
	assert_int_equal(c->mm->lock, 0);
	c->mm->dead = false;
}

static void without_memory(void **state)
{
	struct core *c = *state;
	s64 usage;

	c->m->tun.memcg_oom = 0;
	map_anon(c, 0, 100);
	touch_all(c, 0, 10, true);
	usage = c->group->usage;
	assert_int_equal(rcl_memcg_set_max(c->m, c->group, 10 * PAGE_SIZE), 0);
	assert_int_equal(touch(c, 50, true), -ENOMEM);
	assert_int_equal(c->mm->anon_rss, 10);
	assert_true(c->group->usage <= usage);
	assert_int_equal(c->mm->lock, 0);
	assert_int_equal(touch(c, 50, false), 0); /* the zero page costs nothing */
	assert_int_equal(rcl_memcg_set_max(c->m, c->group, MEMCG_MAX), 0);
	assert_int_equal(touch(c, 50, true), 0);
}

/* Killed while it waited for memory, and still none: the kill is what the caller hears of. */
static void killed_for_want_of_memory(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 10);
	touch_all(c, 0, 1, true);
	assert_int_equal(rcl_memcg_charge_kmem(c->m, c->group, GFP_KERNEL, 100), 0);
	rcl_drain_stock(c->m, &c->m->cpus[0].stock);
	c->group->max = 90;
	assert_int_equal(touch(c, 1, true), -EINTR);
	assert_true(c->w->task.flags & PF_KILLED);
	assert_int_equal(c->mm->lock, 0);
	c->w->task.flags = 0;
	c->group->max = MEMCG_MAX;
	rcl_memcg_uncharge_kmem(c->m, c->group, 100);
}

int main(void)
{
#define T(f)  cmocka_unit_test_setup_teardown(f, setup, core_teardown)
#define TS(f) cmocka_unit_test_setup_teardown(f, setup_swap, core_teardown)
	const struct CMUnitTest tests[] = {
		T(reading_untouched_memory_maps_the_zero_page),
		T(writing_untouched_memory_gets_a_page),
		T(writing_to_the_zero_page_gets_a_page),
		T(reading_a_file_maps_it_read_only),
		T(writing_a_file_marks_it_dirty),
		T(the_filesystem_prepares_a_page_for_writing),
		T(writing_a_mapped_file_page_is_reuse),
		T(a_private_mapping_copies),
		T(beyond_the_end_of_the_file),
		T(a_file_that_cannot_be_read),
		T(what_is_cached_around_is_mapped_too),
		T(the_window_ends_with_the_mapping_the_table_and_the_file),
		T(some_pages_are_passed_over),
		T(writes_do_not_fault_around),
		T(fault_around_can_be_turned_off),
		TS(a_swapped_page_is_read_back),
		TS(writing_a_swapped_page_gives_up_its_slot),
		TS(a_page_that_others_hold_keeps_its_slot),
		TS(when_swap_is_full_reads_give_up_slots_too),
		TS(a_page_on_its_way_is_waited_for),
		TS(a_page_that_cannot_be_read_back),
		TS(a_refault_counts),
		T(writing_a_read_only_page_of_ours_is_reuse),
		T(a_spurious_fault_only_marks),
		T(a_resident_access_costs_no_fault),
		T(access_is_checked),
		T(the_dead_get_nothing),
		T(without_memory),
		T(killed_for_want_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
