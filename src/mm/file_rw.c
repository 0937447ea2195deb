/* SPDX-License-Identifier: MIT */
/*
 * read() and write() of whole pages through the page cache, and what goes with an open file: fsync,
 * advice.
 *
 * Reading goes in batches: as many cached pages as follow each other, at most FOLIO_BATCH_SIZE,
 * ending early with the first that is not uptodate or carries the readahead marker. Then
 *
 *   batch empty         synchronous readahead, look again; still empty: read that page alone
 *   last has marker     asynchronous readahead
 *   last not uptodate   somebody reads it: wait. Its read failed: read it again. Failing that, the
 *                       batch without it, or the error if it was alone
 *
 * What counts as a use: each page of a read is marked accessed, except when a read begins with the
 * page at which the previous read of the same open file ended; several small reads of one page
 * are one use. Writes are no use at all: whether written data will be read is not known, so pages
 * only written stay inactive, and a write to a page that was evicted is no refault.
 *
 * A write fills one page at a time: look up or create it (no read: the page is overwritten in
 * full), give it buffers, copy, mark dirty, uptodate; then the writer may be made to wait for the
 * device (rcl_balance_dirty_pages), with nothing locked.
 *
 * The state of an open file is used by one task at a time, or loosely (readahead).
 */
#include <limits.h>

#include "mm/filemap.h"
#include "mm/machine.h"
#include "mm/wb_internal.h"
#include "mm/workingset.h"
#include "mm/writeback.h"

#define AGAIN 1 /* the folio left the file, or its lock was waited for: look it up again */

static u64 mapping_size(struct mapping *mapping)
{
	return __atomic_load_n(&mapping->size, __ATOMIC_RELAXED);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* Cached pages from index on, not beyond last, with references. */
static void get_read_batch(struct rcl *m, struct mapping *mapping, u64 index, u64 last,
			   struct folio_batch *b)
{
	while (index <= last) {
		struct folio *f = rcl_filemap_get_folio(m, mapping, index++);
		u32 flags;

		if (!f)
			return;
		b->folios[b->nr++] = f;
		flags = folio_flags(f);
		if (b->nr == FOLIO_BATCH_SIZE || !(flags & BIT(PG_uptodate)) ||
		    flags & BIT(PG_readahead_))
			return;
	}
}

/* The page is absent although readahead was asked for it. */
static int create_and_read(struct rcl *m, struct file *file, u64 index, struct folio_batch *b)
{
	struct folio *f = rcl_alloc_pages(m, GFP_HIGHUSER_MOVABLE, 0);
	int err;

	if (!f)
		return -ENOMEM;
	err = rcl_filemap_add_folio(m, file->mapping, f, index, GFP_KERNEL);
	if (!err)
		err = rcl_filemap_read_folio(m, file, f);
	if (err) {
		folio_put(m, f);
		return err == -EEXIST ? AGAIN : err;
	}
	b->folios[b->nr++] = f;
	return 0;
}

/* Make a page that is not uptodate so. 0: it is; the caller's reference stays in any case. */
static int update_folio(struct rcl *m, struct file *file, struct folio *f)
{
	if (!folio_trylock(f)) {
		rcl_folio_wait_locked(m, f);
		return AGAIN;
	}
	if (f->mapping == file->mapping && !folio_test(f, PG_uptodate))
		return rcl_filemap_read_folio(m, file, f);
	folio_unlock(m, f);
	return f->mapping == file->mapping ? 0 : AGAIN;
}

/*
 * Readahead has read the page alone and we hold it: nearly always it only has to arrive, and then
 * need not be looked up once more. AGAIN, and no reference: look again.
 */
static int wait_for_read(struct rcl *m, struct mapping *mapping, struct folio *f,
			 struct folio_batch *b)
{
	const u32 flags = BIT(PG_uptodate) | BIT(PG_readahead_);
	bool dead;

	rcl_folio_wait_locked(m, f);
	dead = fatal_signal_pending(rcl_current(m));
	if (likely(!dead && f->mapping == mapping &&
		   (folio_flags(f) & flags) == BIT(PG_uptodate))) {
		b->folios[b->nr++] = f;
		return 0;
	}
	folio_put(m, f);
	return dead ? -EINTR : AGAIN;
}

/* Is it certain without a look-up that the page is absent? slot: as for rcl_file_read_page(). */
static inline bool is_absent(struct mapping *mapping, void **slot, u64 index)
{
	void *e;

	if (!slot || !rcl_radix_slot_holds(mapping, slot, index))
		return false;
	e = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
	return !e || entry_is_shadow(e);
}

/* Fill the batch with at least one uptodate page, the one at index: 0 or -errno. */
static int get_pages(struct rcl *m, struct file *file, u64 index, u64 last, void **slot,
		     struct folio_batch *b)
{
	struct mapping *mapping = file->mapping;
	bool absent = is_absent(mapping, slot, index);
	struct folio *f;
	int err;

	for (;; absent = false) {
		if (unlikely(fatal_signal_pending(rcl_current(m))))
			return -EINTR;
		if (!absent)
			get_read_batch(m, mapping, index, last, b);
		if (unlikely(!b->nr)) {
			f = rcl_page_cache_sync_ra(m, file, index, last - index + 1, slot);
			if (likely(f)) {
				err = wait_for_read(m, mapping, f, b);
				if (err == AGAIN)
					continue;
				return err;
			}
			get_read_batch(m, mapping, index, last, b);
		}
		if (unlikely(!b->nr)) {
			err = create_and_read(m, file, index, b);
			if (err == AGAIN)
				continue;
			return err;
		}
		f = b->folios[b->nr - 1];
		if (unlikely(folio_test(f, PG_readahead_)))
			rcl_page_cache_async_ra(m, file, f, f->index, last + 1 - f->index);
		if (likely(folio_test(f, PG_uptodate)))
			return 0;
		err = update_folio(m, file, f);
		if (!err)
			return 0;
		folio_put(m, f);
		if (--b->nr)
			return 0;
		if (err != AGAIN)
			return err;
	}
}

/* The user gets the page's content. */
static inline void copy_out(struct rcl *m, struct file *file, struct folio *f, u64 index,
			    bool new_use, u64 *stamp)
{
	struct platform *p = m->plat;

	if (new_use)
		rcl_folio_mark_accessed(m, f);
	rcl_work(m, WORK_COPY);
	if (unlikely(p->has_data) && stamp)
		*stamp = p->ops->page_load(p, f);
	hint_set(&file->prev_index, (s64)index);
}

static int read_pages(struct rcl *m, struct file *file, u64 index, u64 nr, u64 *stamp)
{
	while (nr) {
		struct folio_batch b;
		u64 size;
		int err;

		b.nr = 0;
		if (index >= mapping_size(file->mapping))
			return -ENODATA;
		err = get_pages(m, file, index, index + nr - 1, NULL, &b);
		if (err)
			return err;
		size = mapping_size(file->mapping);
		for (u32 i = 0; i < b.nr; i++, index++, nr--) {
			struct folio *f = b.folios[i];

			if (index < size)
				copy_out(m, file, f, index,
					 i || hint_read(&file->prev_index) != (s64)index, stamp);
			folio_put(m, f);
		}
		if (nr)
			rcl_poll(m);
	}
	return 0;
}

int rcl_file_read(struct rcl *m, struct file *file, u64 index, u64 nr, u64 *stamp)
{
	rcl_work(m, WORK_SYSCALL);
	if (!nr)
		return 0;
	rcl_poll(m);
	return read_pages(m, file, index, nr, stamp);
}

int rcl_file_read_page(struct rcl *m, struct file *file, u64 index, void **slot, u64 *stamp)
{
	const u32 flags = BIT(PG_uptodate) | BIT(PG_readahead_);
	struct mapping *mapping = file->mapping;
	struct folio_batch b;
	struct folio *f;
	int err;

	rcl_work(m, WORK_SYSCALL);
	rcl_poll(m);
	f = slot ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : NULL;
	if (likely(f && !entry_is_shadow(f) && !radix_is_node(f) && folio_try_get(f))) {
		/* Wherever the folio came from, these say that it is the right one. */
		if (likely(__atomic_load_n(&f->mapping, __ATOMIC_RELAXED) == mapping &&
			   f->index == index && index < mapping_size(mapping) &&
			   (folio_flags(f) & flags) == BIT(PG_uptodate) &&
			   !fatal_signal_pending(rcl_current(m)))) {
			copy_out(m, file, f, index, hint_read(&file->prev_index) != (s64)index,
				 stamp);
			folio_put(m, f);
			return 0;
		}
		folio_put(m, f);
	}
	b.nr = 0;
	if (unlikely(index >= mapping_size(mapping)))
		return -ENODATA;
	err = get_pages(m, file, index, index, slot, &b);
	if (unlikely(err))
		return err;
	if (likely(index < mapping_size(mapping)))
		copy_out(m, file, b.folios[0], index, hint_read(&file->prev_index) != (s64)index,
			 stamp);
	folio_put(m, b.folios[0]);
	return 0;
}

/*
 * In the simulator nothing changes unless others run, and they do not before the clock reaches
 * next_event: so all questions can be asked at once, and no reference is needed to keep the folio.
 */
bool rcl_file_read_hit(struct rcl *m, struct file *file, u64 index, void **slot)
{
	const u32 ready = BIT(PG_uptodate), other = BIT(PG_readahead_);
	struct platform *p = m->plat;
	u64 now = p->now + p->cost_ns[WORK_SYSCALL];
	struct mapping *mapping = file->mapping;
	struct folio *f;
	u32 flags;

	if (unlikely(!rcl_is_simulated(p) || p->has_data || now >= p->next_event))
		return false;
	f = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
	if (!f || entry_is_shadow(f) ||
	    unlikely(radix_is_node(f) || f->mapping != mapping || f->index != index ||
		     index >= mapping_size(mapping)))
		return false;
	flags = folio_flags(f);
	if (unlikely((flags & (ready | other)) != ready))
		return false;
	p->now = now;
	if (likely(hint_read(&file->prev_index) != (s64)index)) {
		if (!(flags & BIT(PG_referenced)))
			folio_set(f, PG_referenced);
		else if (!(flags & BIT(PG_active)))
			rcl_folio_mark_accessed(m, f);
	}
	hint_set(&file->prev_index, (s64)index);
	p->now += p->cost_ns[WORK_COPY];
	return true;
}

/* ---- writing ------------------------------------------------------------------------------- */

static void extend(struct mapping *mapping, u64 size)
{
	spin_lock(&mapping->lock);
	if (mapping->size < size)
		__atomic_store_n(&mapping->size, size, __ATOMIC_RELAXED);
	spin_unlock(&mapping->lock);
}

static int write_page(struct rcl *m, struct mapping *mapping, u64 index, u64 stamp)
{
	struct platform *p = m->plat;
	struct folio *f;
	int err = 0;

	f = rcl_filemap_grab_folio(m, mapping, index, GFP_HIGHUSER_MOVABLE | __GFP_WRITE);
	if (!f)
		return -ENOMEM;
	if (mapping_flags(mapping) & MAPPING_BUFFERS)
		err = rcl_folio_create_buffers(m, f);
	if (!err) {
		rcl_work(m, WORK_COPY);
		if (unlikely(p->has_data))
			p->ops->page_store(p, f, stamp);
		rcl_folio_mark_dirty(m, f);
		folio_set(f, PG_uptodate);
		if (unlikely(index >= mapping_size(mapping)))
			extend(mapping, index + 1);
	}
	folio_unlock(m, f);
	folio_put(m, f);
	return err;
}

int rcl_file_write(struct rcl *m, struct file *file, u64 index, u64 nr, u64 stamp)
{
	struct mapping *mapping = file->mapping;

	rcl_work(m, WORK_SYSCALL);
	for (; nr; nr--, index++) {
		int err;

		if (unlikely(fatal_signal_pending(rcl_current(m))))
			return -EINTR;
		err = write_page(m, mapping, index, stamp);
		if (err)
			return err;
		rcl_poll(m);
		rcl_balance_dirty_pages(m, mapping);
	}
	return 0;
}

int rcl_file_fsync(struct rcl *m, struct file *file)
{
	int err, wb_err;

	rcl_work(m, WORK_SYSCALL);
	err = rcl_mapping_write_and_wait(m, file->mapping, 0, UINT64_MAX);
	wb_err = rcl_file_check_wb_err(file);
	return err ? err : wb_err;
}

/* ---- advice -------------------------------------------------------------------------------- */

/* Start writing the range, then drop what is clean. What other CPUs' batches hold is tried twice.
 */
static void drop_pages(struct rcl *m, struct mapping *mapping, u64 first, u64 last)
{
	struct wb_control wbc = {.nr_to_write = LONG_MAX, .first = first, .last = last};
	u64 failed;

	if (rcl_mapping_tagged(mapping, TAG_DIRTY))
		rcl_do_writepages(m, mapping, &wbc);
	rcl_lru_add_drain(m);
	rcl_invalidate_range_count(m, mapping, first, last, &failed);
	if (failed) {
		rcl_lru_add_drain_all(m);
		rcl_invalidate_range(m, mapping, first, last);
	}
}

int rcl_file_advise(struct rcl *m, struct file *file, u64 index, u64 nr, enum rcl_fadvice advice)
{
	u32 ra_pages = (u32)((u64)m->tun.read_ahead_kb * 1024 / PAGE_SIZE);
	u64 last = nr && index + nr > index ? index + nr - 1 : UINT64_MAX; /* 0: to the end */

	rcl_work(m, WORK_SYSCALL);
	switch (advice) {
	case RCL_FADV_NORMAL:
		hint_set(&file->ra_pages, ra_pages);
		hint_set(&file->random, false);
		hint_set(&file->sequential, false);
		return 0;
	case RCL_FADV_RANDOM:
		hint_set(&file->random, true);
		return 0;
	case RCL_FADV_SEQUENTIAL:
		hint_set(&file->ra_pages, ra_pages * 2);
		hint_set(&file->random, false);
		hint_set(&file->sequential, true);
		return 0;
	case RCL_FADV_WILLNEED:
		rcl_page_cache_force_ra(m, file, index,
					last - index < UINT64_MAX ? last - index + 1 : UINT64_MAX);
		return 0;
	case RCL_FADV_DONTNEED:
		drop_pages(m, file->mapping, index, last);
		return 0;
	}
	return -EINVAL;
}
