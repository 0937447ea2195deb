/* SPDX-License-Identifier: MIT */
/*
 * Flushers: who writes dirty files, when, and in which order.
 *
 * Each device has one task. It sleeps until one of its wbs asks for it, and then does, in this
 * order, what there is to do for that wb:
 *
 *   work            who                            until
 *   queued          sync                           its pages are written
 *   start all       reclaim that found nothing     as many pages as were dirty at the start, plus
 *                   but dirty pages                one for each file in use, are written, or all
 *                                                  is clean
 *   old data        every dirty_writeback          files that became dirty dirty_expire ago or
 *                   centiseconds                   earlier have been visited
 *   background      writers over their limits      less than the background limit is dirty
 *
 * Old data and background stop early when other work is queued. Work goes in rounds: if b_io is
 * empty, it is refilled with what b_more_io has and with the files of b_dirty that are old enough;
 * then files are written from its tail. In a round a file gets to write a chunk (half a second of
 * the device, not too much of the dirty limit, in steps of 4 MiB, at least one), and then
 *
 *   has dirty pages, chunk used up       to b_more_io: another turn after the others
 *   has dirty pages otherwise            to b_dirty, keeping its age
 *   clean                                to b_attached
 *
 * The round ends when b_io is empty, or after 100 ms, so that the conditions above are looked at
 * often. Work goes on as long as a round made progress.
 *
 * A file is written in ascending order from where the last pass stopped, then (if the chunk allows)
 * from the start up to there. Pages are looked up by tag in batches and submitted one by one in a
 * plug; the platform makes requests of neighbours. For data integrity (sync, fsync) the pages that
 * are dirty now are first tagged TOWRITE and only these written, all of them: a writer that goes on
 * cannot keep the pass busy forever. Without integrity, a page that is under writeback already is
 * skipped; with it, waited for and written again.
 *
 * In the reference the wbs of a device are flushed concurrently, by a pool of workers; here one
 * after the other. No work waits for I/O but sync's, so a group rarely notices.
 *
 * Locking: list_lock around list moves, dropped while a file is written; MAPPING_SYNC keeps the
 * file then, and other flushers away from it.
 */
#include "mm/wb_internal.h"
#include "mm/page_io.h"
#include "mm/trace.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* Waking -----------------------------------------------------------------------------------------
 */

static void kick(struct bdi *bdi)
{
	__atomic_add_fetch(&bdi->kick, 1, __ATOMIC_RELEASE);
	rcl_wake(bdi->m, &bdi->kick, 1);
}

static void wake_at(struct wb *wb, u64 ns)
{
	RCL_DEBUG_ASSERT(spin_is_held(&wb->list_lock));
	if (wb->wake_ns <= ns)
		return;
	__atomic_store_n(&wb->wake_ns, ns, __ATOMIC_RELAXED);
	kick(wb->bdi);
}

void rcl_wb_wakeup(struct wb *wb)
{
	spin_lock(&wb->list_lock);
	wake_at(wb, rcl_now(wb->bdi->m));
	spin_unlock(&wb->list_lock);
}

/* Unless it is to run earlier anyway. */
void rcl_wb_wakeup_delayed(struct wb *wb)
{
	struct rcl *m = wb->bdi->m;
	u64 delay = wb_centisecs_to_jiffies(m, m->tun.dirty_writeback_centisecs);

	if (wb->wake_ns == RCL_FOREVER)
		wake_at(wb, rcl_now(m) + rcl_jiffies_to_ns(m, delay));
}

/* Writing one file -------------------------------------------------------------------------------
 */

#define BATCH 15

static u32 lookup_tagged(struct mapping *mapping, u64 *index, u64 last, enum radix_tag tag,
			 struct folio **batch)
{
	struct folio *f;
	u32 nr = 0;

	spin_lock(&mapping->lock);
	while (nr < BATCH && *index <= last &&
	       (f = rcl_radix_next_tagged(mapping, index, last, tag))) {
		if (folio_try_get(f))
			batch[nr++] = f;
		if (*index == UINT64_MAX)
			break;
		++*index;
	}
	spin_unlock(&mapping->lock);
	return nr;
}

/* Everything that is dirty now in [first, last] gets TAG_TOWRITE. */
static void tag_pages_for_writeback(struct rcl *m, struct mapping *mapping, u64 first, u64 last)
{
	u64 index = first;
	u32 tagged = 0;

	spin_lock(&mapping->lock);
	while (index <= last && rcl_radix_next_tagged(mapping, &index, last, TAG_DIRTY)) {
		rcl_radix_set_tag(mapping, index, TAG_TOWRITE);
		if (index++ == UINT64_MAX)
			break;
		if (++tagged % 4096 == 0) {
			spin_unlock(&mapping->lock);
			rcl_poll(m);
			spin_lock(&mapping->lock);
		}
	}
	spin_unlock(&mapping->lock);
}

#define PINNED_WAIT_NS	   (u64)50000
#define PINNED_WAIT_MAX_NS (u64)5000000

/*
 * Write one page if it still wants it; true if it was submitted. A page that is pinned for writing
 * is left for the next time, or, if all must be written, waited for: unpinning wakes nobody.
 */
static bool write_one(struct rcl *m, struct mapping *mapping, struct folio *f, bool sync_all)
{
	for (u64 wait = PINNED_WAIT_NS;; wait = min(2 * wait, PINNED_WAIT_MAX_NS)) {
		u32 nobody_wakes = 0;

		folio_lock(m, f);
		if (f->mapping != mapping || !folio_test(f, PG_dirty) ||
		    (folio_test(f, PG_writeback) && !sync_all))
			break;
		rcl_folio_wait_writeback(m, f);
		if (likely(rcl_folio_clear_dirty_for_io(m, f))) {
			rcl_file_writepage(m, f);
			return true;
		}
		if (!sync_all)
			break;
		folio_unlock(m, f);
		rcl_wait_on(m, &nobody_wakes, 0, wait, true);
	}
	folio_unlock(m, f);
	return false;
}

/* Write tagged pages of [*first, last]; *first becomes the index after the last one written. True
 * when the end of the range was reached. */
static bool write_range(struct rcl *m, struct mapping *mapping, struct wb_control *wbc, u64 *first,
			u64 last)
{
	enum radix_tag tag = wbc->sync_all || wbc->tagged ? TAG_TOWRITE : TAG_DIRTY;
	struct folio *batch[BATCH];
	u64 index = *first;
	bool full = false;
	u32 nr;

	while (!full && (nr = lookup_tagged(mapping, &index, last, tag, batch))) {
		for (u32 i = 0; i < nr; i++) {
			struct folio *f = batch[i];

			full |= !wbc->sync_all && wbc->nr_to_write <= 0;
			if (!full) {
				u64 at = f->index;

				if (write_one(m, mapping, f, wbc->sync_all)) {
					*first = at + 1;
					wbc->nr_to_write--;
				}
			}
			folio_put(m, f);
		}
		rcl_poll(m);
	}
	return !full;
}

int rcl_do_writepages(struct rcl *m, struct mapping *mapping, struct wb_control *wbc)
{
	struct platform *p = m->plat;
	u64 first = wbc->first, last = wbc->last;
	u64 start = 0; /* where the second part of a cyclic pass ends */
	bool whole = !wbc->range_cyclic && first == 0 && last == UINT64_MAX;

	if (wbc->nr_to_write <= 0)
		return 0;
	if (mapping->wb)
		rcl_wb_bandwidth_estimate_start(mapping->wb);
	if (!rcl_mapping_tagged(mapping, TAG_DIRTY))
		goto out;
	if (wbc->range_cyclic) {
		first = start = hint_read(&mapping->writeback_index);
		last = UINT64_MAX;
	}
	for (;;) {
		if (wbc->sync_all || wbc->tagged)
			tag_pages_for_writeback(m, mapping, first, last);
		p->ops->plug_start(p);
		write_range(m, mapping, wbc, &first, last);
		p->ops->plug_finish(p);
		if (!start || wbc->nr_to_write <= 0)
			break;
		first = 0;
		last = start - 1;
		start = 0;
	}
	if (wbc->range_cyclic || (whole && wbc->nr_to_write > 0))
		hint_set(&mapping->writeback_index, first);
out:
	if (mapping->wb)
		rcl_wb_update_bandwidth(mapping->wb);
	return 0;
}

static void wait_range(struct rcl *m, struct mapping *mapping, u64 first, u64 last)
{
	struct folio *batch[BATCH];
	u32 nr;

	while ((nr = lookup_tagged(mapping, &first, last, TAG_WRITEBACK, batch))) {
		for (u32 i = 0; i < nr; i++) {
			rcl_folio_wait_writeback(m, batch[i]);
			folio_clear(batch[i], PG_error);
			folio_put(m, batch[i]);
		}
		rcl_poll(m);
	}
}

int rcl_mapping_write_and_wait(struct rcl *m, struct mapping *mapping, u64 first, u64 last)
{
	struct wb_control wbc = {
		.nr_to_write = LONG_MAX, .sync_all = true, .first = first, .last = last};
	int err = 0;

	if (rcl_mapping_tagged(mapping, TAG_DIRTY))
		err = rcl_do_writepages(m, mapping, &wbc);
	wait_range(m, mapping, first, last);
	return err;
}

/* Rounds -----------------------------------------------------------------------------------------
 */

/* Back to b_dirty; if it is out of order there, it counts as dirtied now. */
static void redirty_tail(struct mapping *mapping, struct wb *wb)
{
	if (!list_empty(&wb->b_dirty)) {
		struct mapping *newest = list_first_entry(&wb->b_dirty, struct mapping, wb_link);

		if (mapping->dirtied_when < newest->dirtied_when)
			mapping->dirtied_when = wb_jiffies(wb->bdi->m);
	}
	list_move(&mapping->wb_link, &wb->b_dirty);
	mapping_wb_change(mapping, MAPPING_QUEUED, 0);
	rcl_wb_note_lists(wb);
}

static void requeue_io(struct mapping *mapping, struct wb *wb)
{
	list_move(&mapping->wb_link, &wb->b_more_io);
	rcl_wb_note_lists(wb);
}

/* Refill b_io: what is old enough goes behind what waits for another turn. */
static void queue_io(struct wb *wb, u64 dirtied_before)
{
	list_splice_init(&wb->b_more_io, &wb->b_io);
	while (!list_empty(&wb->b_dirty)) {
		struct mapping *oldest = list_last_entry(&wb->b_dirty, struct mapping, wb_link);

		if (oldest->dirtied_when > dirtied_before)
			break;
		mapping_wb_change(oldest, 0, MAPPING_QUEUED);
		list_move(&oldest->wb_link, &wb->b_io);
	}
	rcl_wb_note_lists(wb);
}

static long writeback_chunk_size(struct wb *wb, const struct wb_work *work)
{
	u64 pages;

	if (work->sync_all || work->tagged)
		return LONG_MAX;
	pages = min(hint_read(&wb->avg_write_bandwidth) / 2,
		    hint_read(&wb->bdi->m->wb->global.dirty_limit) / DIRTY_SCOPE);
	pages = min(pages, (u64)work->nr_pages) + MIN_WRITEBACK_PAGES;
	return (long)(pages - pages % MIN_WRITEBACK_PAGES);
}

/* Where a file goes after its turn. list_lock held; the flags tell whether it is dirty. */
static void requeue_mapping(struct mapping *mapping, struct wb *wb, const struct wb_control *wbc)
{
	if (mapping_wb_state(mapping) & MAPPING_FREEING)
		return;
	if (mapping_wb_state(mapping) & MAPPING_DIRTY_PAGES && (wbc->sync_all || wbc->tagged))
		mapping->dirtied_when = wb_jiffies(wb->bdi->m); /* not to be synced again */
	if (mapping_wb_state(mapping) & MAPPING_DIRTY_PAGES) {
		if (wbc->nr_to_write <= 0)
			requeue_io(mapping, wb);
		else
			redirty_tail(mapping, wb);
		return;
	}
	mapping_wb_change(mapping, MAPPING_QUEUED, 0);
	list_move(&mapping->wb_link, &wb->b_attached);
	rcl_wb_note_lists(wb);
}

/* Write a chunk of one file: pages written, one more if that made it clean. Drops list_lock. */
static long writeback_single(struct rcl *m, struct wb *wb, struct mapping *mapping,
			     struct wb_work *work)
{
	long chunk = writeback_chunk_size(wb, work), wrote;
	struct wb_control wbc = {
		.nr_to_write = chunk,
		.sync_all = work->sync_all,
		.tagged = work->tagged,
		.range_cyclic = !work->sync_all,
		.last = UINT64_MAX,
	};

	mapping_wb_change(mapping, 0, MAPPING_SYNC);
	spin_unlock(&wb->list_lock);
	rcl_do_writepages(m, mapping, &wbc);
	if (work->sync_all && !work->for_sync)
		wait_range(m, mapping, 0, UINT64_MAX);
	wrote = chunk - wbc.nr_to_write;
	work->nr_pages -= wrote;
	rcl_poll(m);

	wb = rcl_mapping_lock_wb(mapping);
	/* A page dirtied from here on sees the flag cleared, or else we see its tag. */
	mapping_wb_change(mapping, MAPPING_DIRTY_PAGES, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (rcl_mapping_tagged(mapping, TAG_DIRTY))
		mapping_wb_change(mapping, 0, MAPPING_DIRTY_PAGES);
	else
		wrote++;
	requeue_mapping(mapping, wb, &wbc);
	mapping_wb_change(mapping, MAPPING_SYNC, 0);
	rcl_wake(m, &mapping->wb_state, UINT32_MAX);
	spin_unlock(&wb->list_lock);
	return wrote;
}

/* list_lock held; sleeps until nobody else writes the file. It may be gone then. */
static void wait_for_sync(struct rcl *m, struct wb *wb, struct mapping *mapping)
{
	u32 v = mapping_wb_state(mapping);

	if (v & MAPPING_SYNC) {
		/* The pin keeps the word; whoever frees the file waits for it too. */
		rcl_mapping_pin(mapping);
		v = mapping_wb_state(mapping);
		spin_unlock(&wb->list_lock);
		rcl_wait_on(m, &mapping->wb_state, v, RCL_FOREVER, true);
		rcl_mapping_unpin(m, mapping);
		spin_lock(&wb->list_lock);
	}
}

/* Write files from the tail of b_io. Called and left with list_lock held. */
static long writeback_files(struct rcl *m, struct wb *wb, struct wb_work *work)
{
	u64 give_up = wb_jiffies(m) + (u64)m->tun.hz / 10;
	long wrote = 0;

	while (!list_empty(&wb->b_io)) {
		struct mapping *mapping = list_last_entry(&wb->b_io, struct mapping, wb_link);
		u32 state = mapping_wb_state(mapping);

		if (state & MAPPING_FREEING) {
			redirty_tail(mapping, wb);
			continue;
		}
		if (state & MAPPING_SYNC) {
			if (work->sync_all)
				wait_for_sync(m, wb, mapping);
			else
				requeue_io(mapping, wb);
			continue;
		}
		wrote += writeback_single(m, wb, mapping, work);
		spin_lock(&wb->list_lock);
		if (wrote && (wb_jiffies(m) > give_up || work->nr_pages <= 0))
			break;
	}
	return wrote;
}

static void wb_writeback(struct rcl *m, struct wb *wb, struct wb_work *work)
{
	struct platform *p = m->plat;
	u64 dirtied_before = wb_jiffies(m), age;

	RCL_TRACE(writeback_start, wb->bdi->dev, work->nr_pages, work->for_background);
	p->ops->plug_start(p);
	spin_lock(&wb->list_lock);
	while (work->nr_pages > 0) {
		bool over;
		long progress;

		if ((work->for_background || work->for_kupdate) && !list_empty(&wb->work_list))
			break;
		if (work->for_background) {
			spin_unlock(&wb->list_lock);
			over = rcl_wb_over_bg_thresh(wb);
			spin_lock(&wb->list_lock);
			if (!over)
				break;
			dirtied_before = wb_jiffies(m);
		} else if (work->for_kupdate) {
			age = wb_centisecs_to_jiffies(m, m->tun.dirty_expire_centisecs);
			dirtied_before = wb_jiffies(m);
			dirtied_before -= min(dirtied_before, age);
		}
		if (list_empty(&wb->b_io))
			queue_io(wb, dirtied_before);
		progress = writeback_files(m, wb, work);
		if (progress)
			continue;
		if (list_empty(&wb->b_more_io))
			break;
		wait_for_sync(m, wb, list_last_entry(&wb->b_more_io, struct mapping, wb_link));
	}
	spin_unlock(&wb->list_lock);
	p->ops->plug_finish(p);
	RCL_TRACE(writeback_written, wb->bdi->dev, work->nr_pages);
}

/* Work -------------------------------------------------------------------------------------------
 */

static u64 nr_dirty_pages_and_files(struct rcl *m)
{
	u64 nr = (u64)m->tun.nr_inodes;

	for (u32 n = 0; n < m->nr_nodes; n++)
		nr += (u64)node_page_state(&m->nodes[n], NR_FILE_DIRTY);
	return nr;
}

/* This wb's part of a request to the device, by bandwidth among those that have dirty files. */
static long split_pages(struct wb *wb, u64 nr)
{
	u64 bw = hint_read(&wb->avg_write_bandwidth);
	s64 total = shared_read(&wb->bdi->tot_write_bandwidth);

	if (total <= 0 || bw >= (u64)total)
		return (long)nr;
	return (long)((nr * bw + (u64)total - 1) / (u64)total);
}

static struct wb_work *next_work(struct wb *wb)
{
	struct wb_work *work = NULL;

	spin_lock(&wb->list_lock);
	if (!list_empty(&wb->work_list)) {
		work = list_first_entry(&wb->work_list, struct wb_work, link);
		list_del_init(&work->link);
	}
	spin_unlock(&wb->list_lock);
	return work;
}

static void check_start_all(struct rcl *m, struct wb *wb)
{
	u64 nr;

	if (!wb_test(wb, WB_START_ALL))
		return;
	nr = nr_dirty_pages_and_files(m);
	if (nr) {
		struct wb_work work = {.nr_pages = split_pages(wb, nr)};

		wb_writeback(m, wb, &work);
	}
	__atomic_and_fetch(&wb->state, ~WB_START_ALL, __ATOMIC_RELAXED);
}

static void check_old_data(struct rcl *m, struct wb *wb)
{
	u64 now = wb_jiffies(m), nr;

	if (!m->tun.dirty_writeback_centisecs ||
	    now < wb->last_old_flush + wb_centisecs_to_jiffies(m, m->tun.dirty_writeback_centisecs))
		return;
	wb->last_old_flush = now;
	nr = nr_dirty_pages_and_files(m);
	if (nr) {
		struct wb_work work = {.nr_pages = (long)nr, .for_kupdate = true};

		wb_writeback(m, wb, &work);
	}
}

static void check_background(struct rcl *m, struct wb *wb)
{
	struct wb_work work = {.nr_pages = LONG_MAX, .for_background = true};

	if (rcl_wb_over_bg_thresh(wb))
		wb_writeback(m, wb, &work);
}

static void do_writeback(struct rcl *m, struct wb *wb)
{
	struct wb_work *work;

	__atomic_or_fetch(&wb->state, WB_WRITEBACK_RUNNING, __ATOMIC_RELAXED);
	do {
		while ((work = next_work(wb))) {
			wb_writeback(m, wb, work);
			/* The requester's stack may be gone after this store: wake by address. */
			__atomic_store_n(&work->done, 1, __ATOMIC_RELEASE);
			rcl_wake(m, &work->done, UINT32_MAX);
		}
		check_start_all(m, wb);
		check_old_data(m, wb);
		check_background(m, wb);
	} while (!list_empty(&wb->work_list));
	__atomic_and_fetch(&wb->state, ~WB_WRITEBACK_RUNNING, __ATOMIC_RELAXED);
	spin_lock(&wb->list_lock);
	if (wb_test(wb, WB_HAS_DIRTY_IO) && m->tun.dirty_writeback_centisecs)
		rcl_wb_wakeup_delayed(wb);
	spin_unlock(&wb->list_lock);
}

/* Run what is due; the time of what is due next. */
static u64 run_due(struct bdi *bdi, bool *ran)
{
	struct rcl *m = bdi->m;
	u64 next = RCL_FOREVER;

	for (u32 i = 0; i < __atomic_load_n(&bdi->nr_wbs, __ATOMIC_ACQUIRE); i++) {
		struct wb *wb = bdi->wbs[i];

		if (__atomic_load_n(&wb->wake_ns, __ATOMIC_RELAXED) <= rcl_now(m)) {
			spin_lock(&wb->list_lock);
			wb->wake_ns = RCL_FOREVER;
			spin_unlock(&wb->list_lock);
			do_writeback(m, wb);
			*ran = true;
		}
		next = min(next, __atomic_load_n(&wb->wake_ns, __ATOMIC_RELAXED));
	}
	return next;
}

static void flusher(void *arg)
{
	struct bdi *bdi = arg;
	struct rcl *m = bdi->m;

	while (!__atomic_load_n(&bdi->stopping, __ATOMIC_ACQUIRE)) {
		u32 seen = __atomic_load_n(&bdi->kick, __ATOMIC_ACQUIRE);
		bool ran = false;
		u64 next = run_due(bdi, &ran), now = rcl_now(m);

		if (!ran && next > now)
			rcl_wait_on(m, &bdi->kick, seen,
				    next == RCL_FOREVER ? RCL_FOREVER : next - now, false);
	}
}

int rcl_flusher_start(struct bdi *bdi)
{
	struct rcl *m = bdi->m;
	struct task *t = &bdi->flusher;
	int err;

	snprintf(t->name, sizeof(t->name), "flush-%u", bdi->dev);
	t->flags = PF_KTHREAD | PF_FLUSHER;
	rcl_task_attach(m, t);
	err = m->plat->ops->spawn(m->plat, t, flusher, bdi);
	if (err)
		rcl_task_detach(m, t);
	return err;
}

void rcl_flusher_stop(struct bdi *bdi)
{
	struct rcl *m = bdi->m;

	__atomic_store_n(&bdi->stopping, true, __ATOMIC_RELEASE);
	kick(bdi);
	m->plat->ops->join(m->plat, &bdi->flusher);
	rcl_task_detach(m, &bdi->flusher);
}

void rcl_wakeup_flusher_threads(struct rcl *m)
{
	for (u32 dev = 0; dev < WB_MAX_DEVICES; dev++) {
		struct bdi *bdi = wb_bdi(m->wb, dev);

		for (u32 i = 0; bdi && i < __atomic_load_n(&bdi->nr_wbs, __ATOMIC_ACQUIRE); i++) {
			struct wb *wb = bdi->wbs[i];

			/* One request at a time: reclaim comes here very often. */
			if (!wb_test(wb, WB_HAS_DIRTY_IO) || wb_test(wb, WB_START_ALL))
				continue;
			__atomic_or_fetch(&wb->state, WB_START_ALL, __ATOMIC_RELAXED);
			rcl_wb_wakeup(wb);
		}
	}
}

/* Sync -------------------------------------------------------------------------------------------
 */

static void queue_and_wait(struct rcl *m, struct wb *wb)
{
	struct wb_work work = {.nr_pages = LONG_MAX, .sync_all = true, .for_sync = true};

	spin_lock(&wb->list_lock);
	list_add_tail(&work.link, &wb->work_list);
	wake_at(wb, rcl_now(m));
	spin_unlock(&wb->list_lock);
	while (!__atomic_load_n(&work.done, __ATOMIC_ACQUIRE))
		rcl_wait_on(m, &work.done, 0, RCL_FOREVER, true);
}

/* Pin up to `max` files of a wb that have pages under writeback. */
static size_t pin_under_writeback(struct wb *wb, struct mapping **out, size_t max)
{
	struct list_head *lists[] = {&wb->b_dirty, &wb->b_io, &wb->b_more_io, &wb->b_attached};
	struct mapping *mapping;
	size_t nr = 0;

	spin_lock(&wb->list_lock);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		list_for_each (mapping, lists[i], wb_link) {
			if (!rcl_mapping_tagged(mapping, TAG_WRITEBACK))
				continue;
			if (nr < max) {
				rcl_mapping_pin(mapping);
				out[nr] = mapping;
			}
			nr++;
		}
	}
	spin_unlock(&wb->list_lock);
	return nr;
}

/* Wait for what is under writeback now, and not for what comes after. */
static void wait_files(struct rcl *m, struct wb *wb)
{
	size_t nr = (size_t)__atomic_load_n(&wb->writeback_files, __ATOMIC_RELAXED) + 64;
	struct mapping **files = malloc(nr * sizeof(*files));

	if (!files) { /* then until there is a moment with none */
		while (wb_stat(wb, WB_WRITEBACK)) {
			u32 word = 0;

			rcl_wait_on(m, &word, 0, wb_tick_ns(m), true);
		}
		return;
	}
	nr = min(pin_under_writeback(wb, files, nr), nr);
	for (size_t i = 0; i < nr; i++) {
		wait_range(m, files[i], 0, UINT64_MAX);
		rcl_mapping_unpin(m, files[i]);
	}
	free(files);
}

void rcl_sync(struct rcl *m)
{
	rcl_wakeup_flusher_threads(m);
	for (u32 dev = 0; dev < WB_MAX_DEVICES; dev++) {
		struct bdi *bdi = wb_bdi(m->wb, dev);

		for (u32 i = 0; bdi && i < __atomic_load_n(&bdi->nr_wbs, __ATOMIC_ACQUIRE); i++) {
			if (wb_test(bdi->wbs[i], WB_HAS_DIRTY_IO))
				queue_and_wait(m, bdi->wbs[i]);
			wait_files(m, bdi->wbs[i]);
		}
	}
}
