/* SPDX-License-Identifier: MIT */
/*
 * What is dirty: the state of each folio between a store and the disk, and its accounting.
 *
 * A file folio goes round this circle. In each state the counters on the right include it, in the
 * machine, in its group, and (those in brackets) in the wb of its file; the tags are those of the
 * page cache tree, by which writers find it.
 *
 *            clean
 *              | rcl_folio_mark_dirty: NR_DIRTIED, [DIRTIED], task->nr_dirtied
 *            dirty          PG_dirty       TAG_DIRTY       NR_FILE_DIRTY, [RECLAIMABLE]
 *              | rcl_folio_clear_dirty_for_io: page tables are write-protected first, so that
 *              | a later store faults and starts a new round
 *            cleaned        (locked)       TAG_DIRTY       none
 *              | rcl_folio_start_writeback
 *            writeback      PG_writeback   TAG_WRITEBACK   NR_WRITEBACK, [WRITEBACK]
 *              | rcl_folio_end_writeback: NR_WRITTEN, [WRITTEN]
 *            clean
 *
 * NR_ZONE_WRITE_PENDING counts dirty and writeback together. A folio may be dirtied again while it
 * is under writeback, and then counts in both. `cleaned` lasts only while the cleaner holds the
 * folio lock; the tag outlives the flag there so that a data-integrity walk does not miss it.
 *
 * Anonymous folios carry the flags alone: nobody limits or flushes them, reclaim writes them when
 * it needs the frame. Only their time under writeback is counted.
 *
 * A file with dirty pages has MAPPING_DIRTY_PAGES set and stands on a list of its wb. Order matters
 * in both directions: a dirtier first tags the page, then looks at the flag; the flusher first
 * clears the flag, then looks at the tags. So one of the two sees the other.
 *
 *   b_dirty      newest first by dirtied_when; not being written
 *   b_io         taken from b_dirty by a pass, written from the tail   } MAPPING_QUEUED: a dirtier
 *   b_more_io    had its chunk in this pass, more remains              } leaves it there
 *   b_attached   clean
 *
 * Errors: a failed write raises the file's error sequence. Each open file reports it once at its
 * next fsync; one that was opened after somebody else was told does not.
 *
 * Locking: mapping->lock makes a change of flag, tag and [counters] one step, and mapping->wb can
 * not change under it. List moves are under wb->list_lock. Completion (rcl_folio_end_writeback)
 * takes mapping->lock and list_lock, waits for nothing.
 */
#include "mm/wb_internal.h"
#include "mm/mm.h"
#include "mm/page_io.h"
#include "mm/vmscan.h"

/* The wb a folio's file belongs to, settled by the first folio of it that becomes dirty. */
static struct wb *attach_wb(struct rcl *m, struct mapping *mapping, struct folio *f)
{
	struct wb *wb = __atomic_load_n(&mapping->wb, __ATOMIC_ACQUIRE);
	struct bdi *bdi;

	if (likely(wb))
		return wb;
	bdi = wb_bdi(m->wb, mapping->bdi);
	if (!bdi) /* nothing writes this device back: memory is its home */
		return NULL;
	rcl_mapping_attach_wb(mapping, rcl_wb_of(m, bdi, f->memcg));
	return mapping->wb;
}

static void mark_mapping_dirty(struct rcl *m, struct mapping *mapping)
{
	struct wb *wb;
	bool first;

	if (m->threaded) /* the tag, then the flag */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (likely(mapping_wb_state(mapping) & MAPPING_DIRTY_PAGES))
		return;
	wb = rcl_mapping_lock_wb(mapping);
	if (!(mapping_wb_state(mapping) & MAPPING_DIRTY_PAGES)) {
		mapping_wb_change(mapping, 0, MAPPING_DIRTY_PAGES);
		if (!(mapping_wb_state(mapping) & (MAPPING_QUEUED | MAPPING_FREEING))) {
			mapping->dirtied_when = wb_jiffies(m);
			list_move(&mapping->wb_link, &wb->b_dirty);
			first = !wb_test(wb, WB_HAS_DIRTY_IO);
			rcl_wb_note_lists(wb);
			if (first)
				rcl_wb_wakeup_delayed(wb);
		}
	}
	spin_unlock(&wb->list_lock);
}

/* Folio states --------------------------------------------------------------------------------- */

static void account_dirtied(struct rcl *m, struct folio *f, struct wb *wb)
{
	struct wb_cpu *cpu;

	rcl_wb_settle_bandwidth(wb);
	rcl_mod_folio_state(m, f, NR_FILE_DIRTY, 1);
	mod_zone_state(folio_zone(m, f), NR_ZONE_WRITE_PENDING, 1);
	mod_node_state(folio_node(m, f), NR_DIRTIED, 1);
	wb_stat_add(wb, WB_RECLAIMABLE, 1);
	wb_stat_add(wb, WB_DIRTIED, 1);
	rcl_current(m)->nr_dirtied++;
	cpu = &m->wb->cpus[rcl_this_cpu(m)->id];
	hint_set(&cpu->dirtied, hint_read(&cpu->dirtied) + 1);
}

static void account_cleaned(struct rcl *m, struct folio *f, struct wb *wb)
{
	rcl_mod_folio_state(m, f, NR_FILE_DIRTY, -1);
	mod_zone_state(folio_zone(m, f), NR_ZONE_WRITE_PENDING, -1);
	wb_stat_add(wb, WB_RECLAIMABLE, -1);
}

bool rcl_folio_mark_dirty(struct rcl *m, struct folio *f)
{
	struct mapping *mapping = folio_is_anon(f) ? NULL : f->mapping;
	struct wb *wb;

	if (!mapping) {
		if (folio_test(f, PG_swapcache))
			folio_clear(f, PG_reclaim);
		return !folio_test(f, PG_dirty) && !folio_test_set(f, PG_dirty);
	}
	if (folio_test(f, PG_reclaim)) /* it is in use: not to be freed when written */
		folio_clear(f, PG_reclaim);
	if (mapping_flags(mapping) & MAPPING_BUFFERS && !folio_needs_release(f))
		rcl_folio_create_buffers(m, f);
	if (folio_test(f, PG_dirty))
		return false;
	wb = attach_wb(m, mapping, f);
	spin_lock(&mapping->lock);
	if (folio_test_set(f, PG_dirty)) {
		spin_unlock(&mapping->lock);
		return false;
	}
	if (f->mapping == mapping) { /* else it was truncated meanwhile */
		if (likely(wb))
			account_dirtied(m, f, mapping->wb);
		rcl_radix_set_tag(mapping, f->index, TAG_DIRTY);
	}
	spin_unlock(&mapping->lock);
	if (likely(wb))
		mark_mapping_dirty(m, mapping);
	return true;
}

/* Take PG_dirty from a file folio together with what it counts for. */
static bool clear_dirty(struct rcl *m, struct folio *f)
{
	struct mapping *mapping = f->mapping;
	bool was;

	spin_lock(&mapping->lock);
	was = folio_test_clear(f, PG_dirty);
	if (was && mapping->wb)
		account_cleaned(m, f, mapping->wb);
	spin_unlock(&mapping->lock);
	return was;
}

bool rcl_folio_clear_dirty_for_io(struct rcl *m, struct folio *f)
{
	bool held = false;

	RCL_ASSERT(folio_test(f, PG_locked));
	if (folio_is_anon(f) || !f->mapping)
		return folio_test_clear(f, PG_dirty);
	/* Stores that only the page tables know of become the folio's before it is cleaned. */
	if (folio_mapped(f) && rcl_folio_mkclean(m, f, &held))
		rcl_folio_mark_dirty(m, f);
	return likely(!held) && clear_dirty(m, f);
}

void rcl_folio_cancel_dirty(struct rcl *m, struct folio *f)
{
	if (!folio_test(f, PG_dirty))
		return;
	if (folio_is_anon(f) || !f->mapping)
		folio_clear(f, PG_dirty);
	else
		clear_dirty(m, f);
}

void rcl_folio_start_writeback(struct rcl *m, struct folio *f)
{
	struct mapping *mapping = folio_is_anon(f) ? NULL : f->mapping;

	RCL_ASSERT(folio_test(f, PG_locked) && !folio_test(f, PG_writeback));
	if (mapping) {
		spin_lock(&mapping->lock);
		folio_set(f, PG_writeback);
		if (mapping->wb) {
			wb_stat_add(mapping->wb, WB_WRITEBACK, 1);
			if (!rcl_mapping_tagged(mapping, TAG_WRITEBACK))
				__atomic_add_fetch(&mapping->wb->writeback_files, 1,
						   __ATOMIC_RELAXED);
		}
		rcl_radix_set_tag(mapping, f->index, TAG_WRITEBACK);
		if (!folio_test(f, PG_dirty))
			rcl_radix_clear_tag(mapping, f->index, TAG_DIRTY);
		rcl_radix_clear_tag(mapping, f->index, TAG_TOWRITE);
		spin_unlock(&mapping->lock);
	} else {
		folio_set(f, PG_writeback);
	}
	rcl_mod_folio_state(m, f, NR_WRITEBACK, 1);
	mod_zone_state(folio_zone(m, f), NR_ZONE_WRITE_PENDING, 1);
}

/* The last page of a file is written: a good moment to measure, once the others' are in too. */
static void end_file_writeback(struct wb *wb)
{
	struct rcl *m = wb->bdi->m;
	u64 due = rcl_now(m) + wb_bandwidth_interval(m) * wb_tick_ns(m), never = RCL_FOREVER;

	__atomic_sub_fetch(&wb->writeback_files, 1, __ATOMIC_RELAXED);
	__atomic_compare_exchange_n(&wb->bw_update_ns, &never, due, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
}

void rcl_folio_end_writeback(struct rcl *m, struct folio *f)
{
	struct mapping *mapping = folio_is_anon(f) ? NULL : f->mapping;
	struct node *nd = folio_node(m, f);

	RCL_ASSERT(folio_test(f, PG_writeback));
	if (folio_test(f, PG_reclaim)) {
		folio_clear(f, PG_reclaim);
		rcl_folio_rotate_reclaimable(m, f);
	}
	/* Whoever waits for the end may free the folio as soon as the flag is gone. */
	folio_get(f);
	if (mapping) {
		struct wb *wb;

		spin_lock(&mapping->lock);
		wb = mapping->wb;
		if (wb)
			rcl_wb_settle_bandwidth(wb);
		folio_clear(f, PG_writeback);
		rcl_radix_clear_tag(mapping, f->index, TAG_WRITEBACK);
		if (wb) {
			wb_stat_add(wb, WB_WRITEBACK, -1);
			rcl_wb_writeout_add(wb, 1);
			if (!rcl_mapping_tagged(mapping, TAG_WRITEBACK))
				end_file_writeback(wb);
		}
		spin_unlock(&mapping->lock);
	} else {
		folio_clear(f, PG_writeback);
	}
	rcl_mod_folio_state(m, f, NR_WRITEBACK, -1);
	mod_zone_state(folio_zone(m, f), NR_ZONE_WRITE_PENDING, -1);
	mod_node_state(nd, NR_WRITTEN, 1);
	if (folio_test(f, PG_waiters))
		rcl_folio_wake(m, f);
	if (unlikely(shared_read(&nd->nr_writeback_throttled)))
		rcl_acct_reclaim_writeback(m, nd);
	folio_put(m, f);
}

int rcl_file_writepage(struct rcl *m, struct folio *f)
{
	rcl_folio_start_writeback(m, f);
	folio_clear(f, PG_error);
	rcl_file_submit_write(m, f, false);
	folio_unlock(m, f);
	return 0;
}

/* Errors: bits 0..11 errno, bit 12 somebody was told, above it a count of changes. --------------
 */

#define ERR_MASK 0xfffu
#define ERR_SEEN 0x1000u
#define ERR_NEXT 0x2000u

void rcl_mapping_set_error(struct mapping *mapping, int error)
{
	u32 old = __atomic_load_n(&mapping->wb_err, __ATOMIC_RELAXED), new;

	if (!error)
		return;
	RCL_ASSERT(error < 0 && -error <= (int)ERR_MASK);
	do {
		new = (old & ~(ERR_MASK | ERR_SEEN)) | (u32)-error;
		if (old & ERR_SEEN) /* else nobody has seen this value: it can stand for both */
			new += ERR_NEXT;
	} while (new != old && !__atomic_compare_exchange_n(&mapping->wb_err, &old, new, true,
							    __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	__atomic_or_fetch(&mapping->flags, error == -ENOSPC ? MAPPING_ENOSPC : MAPPING_EIO,
			  __ATOMIC_RELAXED);
}

u32 rcl_mapping_wb_err_sample(struct mapping *mapping)
{
	u32 v = __atomic_load_n(&mapping->wb_err, __ATOMIC_ACQUIRE);

	return v & ERR_SEEN ? v : 0;
}

int rcl_file_check_wb_err(struct file *file)
{
	struct mapping *mapping = file->mapping;
	u32 v = __atomic_load_n(&mapping->wb_err, __ATOMIC_ACQUIRE);

	__atomic_and_fetch(&mapping->flags, ~(u32)(MAPPING_EIO | MAPPING_ENOSPC), __ATOMIC_RELAXED);
	if (v == file->wb_err_seen)
		return 0;
	/* A change between load and here is news for the next call. */
	if (!(v & ERR_SEEN))
		__atomic_compare_exchange_n(&mapping->wb_err, &(u32){v}, v | ERR_SEEN, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	file->wb_err_seen = v | ERR_SEEN;
	return -(int)(v & ERR_MASK);
}
