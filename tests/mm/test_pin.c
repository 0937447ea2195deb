/* SPDX-License-Identifier: MIT */
/*
 * Pins: what a pin gives, that pinned pages stay, and that nothing written under a pin is lost. On
 * a machine with real locks and atomics, though with one task (test_threads.c has many).
 */
#define LONE_THREADED true
#include "core_world.h"

#include "mm/pin.h"

struct pin {
	pte_t *pte;
	u64 vpn, pfn;
	bool write;
};

static int try_pin(struct core *c, u64 vpn, u32 how, struct pin *pin)
{
	*pin = (struct pin){.vpn = vpn, .write = how & PIN_WRITE};
	return rcl_pin_page(c->m, c->mm, vpn, how, &pin->pte, &pin->pfn);
}
static struct pin pin(struct core *c, u64 vpn, u32 how)
{
	struct pin p;

	assert_int_equal(try_pin(c, vpn, how, &p), 0);
	assert_ptr_equal(p.pte, rcl_pte_lookup(c->mm, vpn));
	assert_int_equal(p.pfn, pte_pfn(*p.pte));
	assert_true(pte_pinned(*p.pte));
	assert_int_equal(c->mm->lock, 0);
	return p;
}
static void unpin(struct core *c, struct pin *p)
{
	if (!rcl_unpin_fast(c->mm, p->pte, p->write))
		rcl_unpin_page(c->m, c->mm, p->vpn, p->pte);
}
static u64 *page(struct core *c, const struct pin *p)
{
	return &c->w->frame_data[p->pfn];
}
static void write_page(struct core *c, u64 vpn, u64 stamp)
{
	struct pin p = pin(c, vpn, PIN_WRITE);

	*page(c, &p) = stamp;
	unpin(c, &p);
}
static u64 read_page(struct core *c, u64 vpn)
{
	struct pin p = pin(c, vpn, 0);
	u64 stamp = *page(c, &p);

	unpin(c, &p);
	return stamp;
}
static void fsync_file(struct core *c)
{
	assert_int_equal(rcl_file_fsync(c->m, &c->file), 0);
}

/* ---- what a pin gives ---------------------------------------------------------------------- */

static void a_read_of_untouched_memory_gets_a_zeroed_page_of_its_own(void **state)
{
	struct core *c = *state;
	struct pin a, b;

	memset(c->w->frame_data, 0xff, c->m->nr_frames * sizeof(u64));
	map_anon(c, 0, 4);
	assert_int_equal(touch(c, 1, false), 0);
	assert_true(pte_at(c, 1) & PTE_ZERO);
	a = pin(c, 0, 0);
	b = pin(c, 1, 0);
	assert_false((*a.pte | *b.pte) & PTE_ZERO);
	assert_int_not_equal(a.pfn, b.pfn);
	assert_int_equal(*page(c, &a) | *page(c, &b), 0);
	assert_false(*a.pte & PTE_DIRTY);
	assert_int_equal(c->mm->anon_rss, 2);
	unpin(c, &a);
	unpin(c, &b);
}

static void pins_of_a_page_count(void **state)
{
	struct core *c = *state;
	struct pin a, b;
	u64 pfn;

	map_anon(c, 0, 4);
	a = pin(c, 2, PIN_WRITE);
	assert_true(*a.pte & PTE_DIRTY);
	b = pin(c, 2, 0);
	assert_true(rcl_pin_fast(c->mm, a.pte, true, &pfn));
	assert_int_equal(pfn, b.pfn);
	assert_int_equal(pte_pins(*a.pte), 3);
	assert_int_equal(rcl_count_pinned(c->m, c->mm, 0, 2000), 1);
	unpin(c, &a);
	unpin(c, &a);
	assert_int_equal(pte_pins(*a.pte), 1);
	*a.pte += (u64)(PTE_MAX_PINS - 1) * PTE_PIN;
	assert_false(rcl_pin_fast(c->mm, a.pte, false, &pfn));
	assert_int_equal(try_pin(c, 2, 0, &a), -EBUSY);
	*b.pte -= (u64)(PTE_MAX_PINS - 1) * PTE_PIN;
	unpin(c, &b);
	assert_int_equal(rcl_count_pinned(c->m, c->mm, 0, 2000), 0);
}

static void errors_are_those_of_faults(void **state)
{
	struct core *c = *state;
	struct pin p;

	map_file(c, 10, 4, CORE_FILE_PAGES - 2, VM_READ);
	assert_int_equal(try_pin(c, 5, 0, &p), -EFAULT);
	assert_int_equal(try_pin(c, 10, PIN_WRITE, &p), -EACCES);
	assert_int_equal(try_pin(c, 12, 0, &p), -ENODATA);
	c->w->fail = -EIO;
	assert_int_equal(try_pin(c, 10, 0, &p), -EIO);
	c->w->fail = 0;
	assert_int_equal(try_pin(c, 10, 0, &p), 0);
	unpin(c, &p);
	assert_int_equal(c->mm->lock, 0);
}

static void kept_pages_only(void **state)
{
	struct core *c = *state;
	struct pin p;

	map_anon(c, 0, 4);
	assert_int_equal(try_pin(c, 0, PIN_KEPT, &p), -ENODATA);
	assert_int_equal(touch(c, 0, false), 0);
	assert_int_equal(try_pin(c, 0, PIN_WRITE | PIN_KEPT, &p), -ENODATA);
	write_page(c, 0, 5);
	p = pin(c, 0, PIN_WRITE | PIN_KEPT);
	assert_int_equal(*page(c, &p), 5);
	unpin(c, &p);
}

/* ---- pinned pages stay --------------------------------------------------------------------- */

static void reclaim_leaves_pinned_pages(void **state)
{
	struct core *c = *state;
	u64 slots = rcl_nr_swap_pages(c->m);
	struct pin a, f;

	map_anon(c, 0, 4);
	map_file(c, 10, 4, 0, VM_READ | VM_WRITE);
	a = pin(c, 0, PIN_WRITE);
	f = pin(c, 10, 0);
	*page(c, &a) = 77;
	for (int i = 0; i < 5; i++)
		assert_int_equal(rcl_memcg_reclaim(c->m, c->group, 4 * PAGE_SIZE), 0);
	assert_int_equal(pte_at(c, 0), *a.pte);
	assert_int_equal(pte_pfn(*a.pte), a.pfn);
	assert_int_equal(pte_pfn(*f.pte), f.pfn);
	/* It was not even given a slot. */
	assert_int_equal(rcl_nr_swap_pages(c->m), slots);
	assert_false(evict_folio(c, folio_at(c, 0))); /* whatever its age */
	assert_true(pte_present(*a.pte));
	unpin(c, &a);
	unpin(c, &f);
	swap_out(c, 0, 1);
	assert_true(evict_folio(c, folio_at(c, 10)));
	assert_int_equal(read_page(c, 0), 77);
}

static void munmap_leaves_pinned_pages(void **state)
{
	struct core *c = *state;
	struct pin p;

	map_anon(c, 0, 3000);
	touch_all(c, 0, 3000, true);
	p = pin(c, 1000, PIN_WRITE);
	*page(c, &p) = 4;
	assert_int_equal(rcl_munmap(c->m, c->mm, 0, 3000), -EBUSY);
	assert_int_equal(c->mm->anon_rss, 1);
	assert_int_equal(pte_pfn(pte_at(c, 1000)), p.pfn);
	assert_non_null(rcl_find_vma(c->mm, 1000));
	assert_int_equal(pte_at(c, 999), 0);
	assert_true(rcl_check(c->m));
	/* Nor can anything be mapped over it. */
	assert_int_equal(rcl_mmap(c->m, c->mm, 500, 1000, VM_READ, NULL, 0), -EBUSY);
	assert_true(rcl_check(c->m));
	unpin(c, &p);
	assert_int_equal(read_page(c, 1000), 4);
	assert_int_equal(rcl_munmap(c->m, c->mm, 0, 3000), 0);
	assert_int_equal(c->mm->anon_rss, 0);
	assert_int_equal(c->mm->table_pages, 1);
}

static void moves_and_copies_leave_pinned_pages(void **state)
{
	struct core *c = *state;
	struct mm *child;
	struct pin p;

	map_anon(c, 0, 100);
	for (u64 i = 0; i < 100; i++)
		write_page(c, i, i + 1);
	p = pin(c, 50, 0);
	assert_int_equal(rcl_mremap(c->m, c->mm, 0, 100, 1000, 200), -EBUSY);
	assert_null(rcl_find_vma(c->mm, 1000));
	assert_int_equal(rcl_mm_fork(c->m, c->mm, c->group, &child), -EBUSY);
	assert_int_equal(rcl_mremap(c->m, c->mm, 0, 100, 0, 200), 0); /* growing is no move */
	assert_int_equal(pte_pfn(pte_at(c, 50)), p.pfn);
	assert_true(rcl_check(c->m));
	unpin(c, &p);
	assert_int_equal(rcl_mremap(c->m, c->mm, 0, 200, 1000, 200), 0);
	for (u64 i = 0; i < 100; i++)
		assert_int_equal(read_page(c, 1000 + i), i + 1);
}

static void advice_passes_over_pinned_pages(void **state)
{
	static const enum rcl_madvice advice[] = {RCL_MADV_DONTNEED, RCL_MADV_FREE,
						  RCL_MADV_PAGEOUT};
	struct core *c = *state;

	map_anon(c, 0, 10);
	for (u32 i = 0; i < 3; i++) {
		struct pin p;

		for (u64 vpn = 0; vpn < 10; vpn++)
			write_page(c, vpn, vpn + i);
		rcl_lru_add_drain(c->m);
		p = pin(c, 4, 0);
		assert_int_equal(rcl_madvise(c->m, c->mm, 0, 10, advice[i]), -EBUSY);
		assert_int_equal(pte_pfn(*p.pte), p.pfn);
		unpin(c, &p);
		if (advice[i] == RCL_MADV_FREE) /* the others may go now, this one not */
			rcl_memcg_reclaim(c->m, c->group, 10 * PAGE_SIZE);
		assert_int_equal(read_page(c, 4), 4 + i);
		assert_false(pte_present(pte_at(c, 3)));
		assert_int_equal(rcl_madvise(c->m, c->mm, 0, 10, RCL_MADV_COLD), 0);
	}
	assert_int_equal(read_page(c, 3), 5); /* the last one wrote it to swap */
}

static void truncation_leaves_pinned_pages(void **state)
{
	struct core *c = *state;
	struct pin p;

	map_file(c, 0, 8, 0, VM_READ | VM_WRITE);
	for (u64 i = 0; i < 8; i++)
		write_page(c, i, i + 1);
	p = pin(c, 3, 0);
	assert_int_equal(rcl_truncate_range(c->m, c->mapping, 2, 4), 1);
	assert_null(cached(c, 2));
	assert_null(cached(c, 4));
	assert_ptr_equal(cached(c, 3), folio_at(c, 3));
	assert_int_equal(*page(c, &p), 4);
	assert_true(folio_test(cached(c, 3), PG_dirty)); /* nor is it any cleaner */
	unpin(c, &p);
	assert_int_equal(rcl_truncate_range(c->m, c->mapping, 0, 7), 0);
	assert_null(cached(c, 3));
}

static void a_pinned_page_is_not_copied_away(void **state)
{
	struct core *c = *state;
	struct mm *child;
	struct pin p, q;

	map_anon(c, 0, 4);
	write_page(c, 0, 9);
	assert_int_equal(rcl_mm_fork(c->m, c->mm, c->group, &child), 0);
	p = pin(c, 0, 0);
	/* A write would have to give us a page of our own, with somebody looking at the old one. */
	assert_int_equal(try_pin(c, 0, PIN_WRITE, &q), -EBUSY);
	assert_int_equal(pte_pfn(*p.pte), p.pfn);
	unpin(c, &p);
	q = pin(c, 0, PIN_WRITE);
	assert_int_not_equal(q.pfn, p.pfn);
	assert_int_equal(*page(c, &q), 9);
	unpin(c, &q);
	rcl_mm_destroy(c->m, child);
}

/* ---- writing ------------------------------------------------------------------------------- */

static void what_is_pinned_for_writing_is_held_back(void **state)
{
	struct core *c = *state;
	struct folio *f;
	struct pin p;

	map_file(c, 0, 4, 10, VM_READ | VM_WRITE);
	p = pin(c, 1, PIN_WRITE);
	*page(c, &p) = 1;
	f = cached(c, 11);
	folio_lock(c->m, f);
	assert_false(rcl_folio_clear_dirty_for_io(c->m, f));
	assert_true(folio_test(f, PG_dirty));
	assert_true(*p.pte & PTE_WRITE && *p.pte & PTE_DIRTY);
	folio_unlock(c->m, f);
	*page(c, &p) = 2;
	unpin(c, &p);
	fsync_file(c);
	assert_int_equal(c->w->disk[CORE_FILE_BLOCK + 11], 2);
	assert_false(*p.pte & (PTE_WRITE | PTE_DIRTY));
	/* The next one tells the filesystem again. A pin for reading holds nothing back. */
	write_page(c, 1, 3);
	assert_true(folio_test(f, PG_dirty));
	p = pin(c, 1, 0);
	fsync_file(c);
	assert_int_equal(c->w->disk[CORE_FILE_BLOCK + 11], 3);
	unpin(c, &p);
}

static void a_page_that_lost_its_dirty_bit_under_a_pin_is_marked_again(void **state)
{
	struct core *c = *state;
	struct pin p;

	map_file(c, 0, 4, 10, VM_READ | VM_WRITE);
	p = pin(c, 1, PIN_WRITE);
	rcl_folio_cancel_dirty(c->m, cached(c, 11));
	*p.pte &= ~(PTE_WRITE | PTE_DIRTY);
	*page(c, &p) = 2;
	assert_false(rcl_unpin_fast(c->mm, p.pte, true));
	assert_true(pte_pinned(*p.pte)); /* that did nothing */
	rcl_unpin_page(c->m, c->mm, 1, p.pte);
	assert_false(pte_pinned(*p.pte));
	assert_true(folio_test(cached(c, 11), PG_dirty));
	fsync_file(c);
	assert_int_equal(c->w->disk[CORE_FILE_BLOCK + 11], 2);
}

static void overwritten_file_pages_are_not_read(void **state)
{
	struct core *c = *state;
	struct pin p;

	map_file(c, 0, 4, 10, VM_READ | VM_WRITE);
	p = pin(c, 1, PIN_WRITE | PIN_OVERWRITE);
	assert_int_equal(c->w->nr_log + c->w->nr_io, 0);
	assert_int_equal(*page(c, &p), 0);
	assert_true(folio_test(cached(c, 11), PG_dirty) && folio_test(cached(c, 11), PG_uptodate));
	*page(c, &p) = 8;
	unpin(c, &p);
	fsync_file(c);
	assert_int_equal(c->w->disk[CORE_FILE_BLOCK + 11], 8);
	/* What is cached stays what it was. */
	p = pin(c, 1, PIN_WRITE | PIN_OVERWRITE);
	assert_int_equal(*page(c, &p), 8);
	unpin(c, &p);
	assert_int_equal(try_pin(c, 1, PIN_OVERWRITE, &p), 0); /* means nothing for reading */
	assert_int_equal(*page(c, &p), 8);
	unpin(c, &p);
}

static void overwritten_swapped_pages_are_not_read(void **state)
{
	struct core *c = *state;
	struct pin p;

	map_anon(c, 0, 2);
	write_page(c, 0, 3);
	write_page(c, 1, 4);
	swap_out(c, 0, 2);
	assert_int_equal(c->mm->swap_ents, 2);
	p = pin(c, 0, PIN_WRITE | PIN_OVERWRITE);
	assert_int_equal(c->w->nr_log + c->w->nr_io, 0);
	assert_int_equal(*page(c, &p), 0);
	assert_int_equal(c->mm->swap_ents, 1);
	assert_int_equal(c->mm->anon_rss, 1);
	unpin(c, &p);
	assert_int_equal(read_page(c, 1), 4);
	assert_true(rcl_check(c->m));
}

/* ---- without waiting ----------------------------------------------------------------------- */

static void assert_try_fails(struct core *c, u64 vpn, u32 how)
{
	struct pin p;
	u64 now = c->w->plat.now;
	u32 submitted = c->w->nr_io + c->w->nr_log;

	assert_int_equal(try_pin(c, vpn, how | PIN_TRY, &p), -EAGAIN);
	assert_int_equal(c->w->plat.now, now);
	assert_int_equal(c->w->nr_io + c->w->nr_log, submitted);
}
static void assert_try_works(struct core *c, u64 vpn, u32 how)
{
	struct pin p = pin(c, vpn, how | PIN_TRY);

	unpin(c, &p);
}

static void trying_does_not_wait_for_files(void **state)
{
	struct core *c = *state;

	map_file(c, 0, 10, 0, VM_READ | VM_WRITE);
	map_file(c, 2000, 10, 0, VM_READ | VM_WRITE);
	assert_try_fails(c, 0, 0); /* not read, and no table */
	read_file(c, 0, 2);
	assert_try_fails(c, 0, 0);
	assert_int_equal(touch(c, 1, false), 0);
	assert_try_works(c, 0, 0);
	assert_try_works(c, 1, PIN_WRITE); /* from read-only */
	assert_try_fails(c, 5, 0);
	assert_true(folio_trylock(cached(c, 0)));
	assert_try_fails(c, 0, PIN_WRITE);
	assert_try_works(c, 0, 0);
	folio_unlock(c->m, cached(c, 0));
	assert_try_works(c, 0, PIN_WRITE);
	assert_true(folio_test(cached(c, 0), PG_dirty));
	mmap_write_lock(c->m, c->mm);
	assert_try_fails(c, 5, 0);
	mmap_unlock(c->m, c->mm);
	/* Mapped elsewhere and cached is good enough. */
	assert_int_equal(touch(c, 2000, false), 0);
	assert_try_works(c, 2001, PIN_WRITE);
}

static void trying_does_not_wait_for_swap(void **state)
{
	struct core *c = *state;
	struct folio *f;

	map_anon(c, 0, 10);
	assert_try_fails(c, 0, 0); /* no table */
	write_page(c, 0, 6);
	assert_try_works(c, 1, 0); /* a new page, as there is memory */
	swap_out(c, 0, 1);
	assert_try_fails(c, 0, 0);
	f = rcl_read_swap_cache_async(c->m, pte_swap(pte_at(c, 0)), GFP_HIGHUSER_MOVABLE);
	assert_non_null(f);
	assert_try_fails(c, 0, 0); /* being read */
	lone_complete_io(c->w);
	folio_put(c->m, f);
	assert_try_works(c, 0, PIN_WRITE);
	assert_int_equal(read_page(c, 0), 6);
}

/* ---- versions ------------------------------------------------------------------------------ */

static u32 writes_of(const pte_t *pte)
{
	return (u32)(pte_read(pte) >> PTE_WRITES_SHIFT & 15);
}

static void write_pin(struct core *c, u64 vpn)
{
	struct pin p = pin(c, vpn, PIN_WRITE);

	unpin(c, &p);
}

static void versions_tell_of_writes_and_losses(void **state)
{
	struct core *c = *state;
	u64 *version, was;
	struct pin p, q;
	pte_t *pte;

	rcl_mm_want_versions(c->mm);
	map_anon(c, 0, 4);
	p = pin(c, 0, 0);
	pte = p.pte;
	version = pte_version(c->mm, pte);
	was = *version;
	unpin(c, &p);
	assert_int_equal(writes_of(pte), 0); /* reading changes nothing */
	p = pin(c, 0, PIN_WRITE);
	q = pin(c, 0, PIN_WRITE);
	assert_int_equal(writes_of(pte), 0); /* the word tells of writes under way */
	assert_int_equal(pte_write_pins(*pte), 2);
	unpin(c, &p);
	assert_int_equal(writes_of(pte), 1);
	unpin(c, &q);
	assert_int_equal(writes_of(pte), 2);
	assert_int_equal(*version, was);
	swap_out(c, 0, 1);
	assert_int_equal(*version, was + 1);
	p = pin(c, 0, 0);
	unpin(c, &p);
	assert_int_equal(writes_of(pte), 0); /* and the table's version tells that from before */
	assert_int_equal(*version, was + 1);
	assert_int_equal(rcl_munmap(c->m, c->mm, 0, 4), 0);
	assert_int_equal(*version, was + 2);
}

static void sixteen_writes_are_not_none(void **state)
{
	struct core *c = *state;
	u64 *version, was;
	struct pin p;
	pte_t *pte;

	rcl_mm_want_versions(c->mm);
	map_file(c, 0, 4, 0, VM_READ | VM_WRITE | VM_SHARED);
	p = pin(c, 0, PIN_WRITE);
	pte = p.pte;
	version = pte_version(c->mm, pte);
	unpin(c, &p);
	was = *version;
	for (u32 i = 1; i < 16; i++) {
		assert_int_equal(writes_of(pte), i);
		assert_int_equal(*version, was);
		write_pin(c, 0);
	}
	assert_int_equal(writes_of(pte), 0);
	assert_int_equal(*version, was + 1);
	/* The long way to unpin counts, too, and leaves the pins right. */
	for (u32 i = 0; i < 16; i++) {
		p = pin(c, 0, PIN_WRITE);
		pte_modify(c->mm, pte, 0, PTE_DIRTY);
		assert_false(rcl_unpin_fast(c->mm, pte, true));
		assert_int_equal(writes_of(pte), i);
		rcl_unpin_page(c->m, c->mm, 0, pte);
		assert_false(pte_pinned(*pte));
		assert_int_equal(writes_of(pte), (i + 1) % 16);
	}
	assert_int_equal(*version, was + 2);
}

/* ---- reading ahead ------------------------------------------------------------------------- */

static void prefetch_reads_what_is_missing(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 8);
	for (u64 i = 0; i < 8; i++)
		write_page(c, i, i + 1);
	swap_out(c, 0, 8);
	map_file(c, 8, 600, 100, VM_READ);
	read_page(c, 10);
	read_file(c, 105, 1); /* cached, not mapped */
	c->w->reads = 0;
	rcl_pin_prefetch(c->m, c->mm, 4, 300);
	/* Four of swap; all of the file but the two. */
	assert_int_equal(c->w->nr_io + c->w->reads, 4 + 296 - 2);
	assert_int_equal(c->w->reads, 0); /* nothing was waited for */
	assert_int_equal(c->mm->lock, 0);
	lone_complete_io(c->w);
	assert_try_works(c, 4, 0);
	assert_try_works(c, 303, 0);
	rcl_pin_prefetch(c->m, c->mm, 4, 300);
	assert_int_equal(c->w->nr_io, 0);
	for (u64 i = 0; i < 8; i++)
		assert_int_equal(read_page(c, i), i + 1);
}

CORE_SETUP(with_swap, 1, 8192, 4096)

#define T(name) cmocka_unit_test_setup_teardown(name, with_swap, core_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_read_of_untouched_memory_gets_a_zeroed_page_of_its_own),
		T(pins_of_a_page_count),
		T(errors_are_those_of_faults),
		T(kept_pages_only),
		T(reclaim_leaves_pinned_pages),
		T(munmap_leaves_pinned_pages),
		T(moves_and_copies_leave_pinned_pages),
		T(advice_passes_over_pinned_pages),
		T(truncation_leaves_pinned_pages),
		T(a_pinned_page_is_not_copied_away),
		T(what_is_pinned_for_writing_is_held_back),
		T(a_page_that_lost_its_dirty_bit_under_a_pin_is_marked_again),
		T(overwritten_file_pages_are_not_read),
		T(overwritten_swapped_pages_are_not_read),
		T(trying_does_not_wait_for_files),
		T(trying_does_not_wait_for_swap),
		T(versions_tell_of_writes_and_losses),
		T(sixteen_writes_are_not_none),
		T(prefetch_reads_what_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
