/* SPDX-License-Identifier: MIT */
/*
 * Readahead: reading pages of a file before they are asked for.
 *
 * A sequential reader should never wait for a device. So a read that misses fetches a window that
 * starts with what was asked for, and the first page of its last part (async_size) carries a
 * marker. When the reader comes to the marker it is inside the window, and the next window, up to
 * twice as large, is started then, while the rest of this one is still unread.
 *
 *      |<----------------- size ----------------->|
 *      |                  |<----- async_size ---->|
 *      ra_start           marker
 *
 * What a miss or a marker at `index` means, first match:
 *
 *   index is 0                               a new stream: initial window
 *   the marker's place, or right after the   the stream goes on: next window, all of it async
 *     window
 *   (marker) elsewhere                       another stream through the same file: its window ends
 *                                            at the next hole; go on from there
 *   (miss) longer than the largest window    initial window
 *   (miss) right behind the last page read   a new stream: initial window
 *   (miss) more cached pages right before    a stream whose pages were cached: window of that
 *     it than are asked for                  length
 *   (miss) else                              a random read: just what was asked for
 *
 * If the window starts here and is async throughout, this read would meet the marker at once: the
 * next window is merged into it.
 *
 * A window is filled front to back: absent pages are allocated, locked and inserted; a run of them
 * is submitted when a page that is already there interrupts it, and at the end. Memory for this is
 * not worth much trouble (NORETRY), and reclaim must not enter the filesystem while locked pages
 * wait here for their submission (NOFS).
 *
 * With threads a window's frames come from window_frames.c, and when a stream has started a window it
 * finds room for the next. A stream whose owner has announced it (file->once) takes that from what it
 * has left behind (drop_behind.c), and does not leave the device idle: some devices tell of what they
 * have read only when they have read all that they were asked for. Who has waited for a window and
 * finds the one after it read, too, goes on as if it had come to that one's marker.
 *
 * The state belongs to the open file and is changed without a lock; threads that share it spoil
 * each other's guesses, nothing else.
 */
#include "mm/drop_behind.h"
#include "mm/filemap.h"
#include "mm/machine.h"
#include "mm/page_io.h"
#include "mm/psi.h"
#include "mm/vmscan.h"
#include "mm/window_frames.h"
#include "mm/workingset.h"

#define READAHEAD_GFP	    (GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN)
#define FORCE_CHUNK	    (2u * 1024 * 1024 / PAGE_SIZE)
#define BLK_DEF_MAX_SECTORS 2560u /* of 512 bytes: the largest request of a device */
#define IO_PAGES	    (BLK_DEF_MAX_SECTORS / (PAGE_SIZE / 512))

/* Inserted, locked folios that have not been submitted yet: [start, start + nr). */
struct run {
	u64 start, nr;
	struct folio *first;
	bool workingset;
};

/* Locked by us, so it is there; but a look-up without a lock may miss it while the tree changes. */
static struct folio *inserted_at(struct mapping *mapping, u64 index)
{
	for (;;) {
		struct folio *f = rcl_radix_load(mapping, index);

		if (likely(f && !entry_is_shadow(f) &&
			   __atomic_load_n(&f->mapping, __ATOMIC_RELAXED) == mapping &&
			   f->index == index))
			return f;
	}
}

static void submit_run(struct rcl *m, struct mapping *mapping, struct run *r)
{
	struct platform *p = m->plat;
	bool cookie;

	if (!r->nr)
		return;
	cookie = r->workingset && rcl_psi_memstall_enter(m);
	PLATFORM_CALL(p, plug_start)(p);
	for (u64 i = r->start; i < r->start + r->nr; i++) {
		struct folio *f = i == r->start ? r->first : inserted_at(mapping, i);

		rcl_file_readpage(m, f, false);
		folio_put(m, f);
	}
	PLATFORM_CALL(p, plug_finish)(p);
	if (r->workingset)
		rcl_psi_memstall_leave(m, cookie);
	*r = (struct run){0};
}

static void set_task_flag(struct rcl *m, struct task *t, u32 flag, bool on)
{
	if (!m->threaded)
		t->flags = on ? t->flags | flag : t->flags & ~flag;
	else if (on)
		__atomic_fetch_or(&t->flags, flag, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&t->flags, ~flag, __ATOMIC_RELAXED);
}

/* How many of [index, index + nr) are not there, as far as it is worth counting. */
static u32 count_absent(struct mapping *mapping, u64 index, u64 nr)
{
	u32 absent = 0;

	for (u64 i = 0; i < nr && absent < WINDOW_FRAMES_MAX; i++) {
		void *e = rcl_radix_load(mapping, index + i);

		absent += !e || entry_is_shadow(e);
	}
	return absent;
}

/* A frame for the page at index, one of nr that may be wanted from there on. */
static struct folio *next_frame(struct rcl *m, struct window_frames *w, struct mapping *mapping,
				u64 index, u64 nr)
{
	if (!rcl_is_threaded(m))
		return rcl_alloc_pages(m, READAHEAD_GFP, 0);
	return rcl_window_frame(m, w, READAHEAD_GFP,
				w->used < w->nr ? 1 : count_absent(mapping, index, nr));
}

/* Read what is absent of [index, index + nr) and inside the file; mark the page `lookahead` pages
 * before the end. */
static void read_window(struct rcl *m, struct mapping *mapping, u64 index, u64 nr, u64 lookahead)
{
	u64 size = __atomic_load_n(&mapping->size, __ATOMIC_RELAXED);
	struct task *t = rcl_current(m);
	bool nofs = t->flags & PF_MEMALLOC_NOFS;
	struct run run = {0};
	struct window_frames frames;

	frames.nr = frames.used = 0;
	if (index >= size)
		return;
	nr = min(nr, size - index);
	set_task_flag(m, t, PF_MEMALLOC_NOFS, true);
	for (u64 i = 0; i < nr; i++) {
		void *e = rcl_radix_load(mapping, index + i);
		struct folio *f;
		int err;

		if (e && !entry_is_shadow(e)) {
			submit_run(m, mapping, &run);
			continue;
		}
		/* Let the device begin while frames for the rest are found. */
		if (rcl_is_threaded(m) && frames.used == frames.nr)
			submit_run(m, mapping, &run);
		f = next_frame(m, &frames, mapping, index + i, nr - i);
		if (!f)
			break;
		err = rcl_filemap_add_folio(m, mapping, f, index + i, READAHEAD_GFP);
		if (err) {
			folio_put(m, f);
			/* A group that is full stays so, and each try looks at all of its pages. */
			if (err == -ENOMEM && rcl_is_threaded(m))
				break;
			submit_run(m, mapping, &run);
			continue;
		}
		if (i + lookahead == nr)
			folio_set(f, PG_readahead_);
		if (!run.nr++) {
			run.start = index + i;
			run.first = f;
		}
		run.workingset |= folio_test(f, PG_workingset);
	}
	submit_run(m, mapping, &run);
	rcl_window_frames_free(m, &frames);
	if (!nofs)
		set_task_flag(m, t, PF_MEMALLOC_NOFS, false);
}

/*
 * read_window() of one absent page that the caller will wait for: a random read. Returned with a
 * reference, its read submitted or over; NULL when there was no memory, or it is there by now.
 */
static struct folio *read_one(struct rcl *m, struct mapping *mapping, u64 index, void **slot)
{
	struct task *t = rcl_current(m);
	bool nofs = t->flags & PF_MEMALLOC_NOFS;
	struct folio *f;

	if (index >= __atomic_load_n(&mapping->size, __ATOMIC_RELAXED))
		return NULL;
	set_task_flag(m, t, PF_MEMALLOC_NOFS, true);
	f = rcl_alloc_pages(m, READAHEAD_GFP, 0);
	if (likely(f)) {
		if (likely(!rcl_filemap_add_folio_at(m, mapping, f, index, READAHEAD_GFP, slot))) {
			rcl_file_read_alone(m, f, false);
		} else {
			folio_put(m, f);
			f = NULL;
		}
	}
	if (!nofs)
		set_task_flag(m, t, PF_MEMALLOC_NOFS, false);
	return f;
}

void rcl_page_cache_ra_window(struct rcl *m, struct file *file)
{
	read_window(m, file->mapping, hint_read(&file->ra_start), hint_read(&file->ra_size),
		    hint_read(&file->ra_async_size));
}

void rcl_page_cache_force_ra(struct rcl *m, struct file *file, u64 index, u64 nr)
{
	nr = min(nr, (u64)max((u32)IO_PAGES, hint_read(&file->ra_pages)));
	while (nr) {
		u64 chunk = min(nr, (u64)FORCE_CHUNK);

		read_window(m, file->mapping, index, chunk, 0);
		index += chunk;
		nr -= chunk;
	}
}

/* ---- choosing the window ------------------------------------------------------------------- */

/* The first window for a request: 4, 2 or 1 times as much, the less the larger it is. */
static u32 init_ra_size(u64 request, u32 most)
{
	u64 size = request <= 1 ? 1 : 1ull << (64 - __builtin_clzll(request - 1));

	if (size <= most / 32)
		return (u32)size * 4;
	if (size <= most / 4)
		return (u32)size * 2;
	return most;
}

static u32 next_ra_size(u32 size, u32 most)
{
	if (size < most / 16)
		return 4 * size;
	if (size <= most / 2)
		return 2 * size;
	return most;
}

static bool present(struct mapping *mapping, u64 index)
{
	void *e = rcl_radix_load(mapping, index);

	return e && !entry_is_shadow(e);
}

/* The first hole among the `most` pages from index on; their last one if there is none. */
static u64 next_miss(struct mapping *mapping, u64 index, u32 most)
{
	u64 last = index + most - 1;

	while (index < last && present(mapping, index))
		index++;
	return index;
}

/* Cached pages right before index, as far as `most` pages back (that one is not counted). */
static u64 history_pages(struct mapping *mapping, u64 index, u32 most)
{
	u64 n = 0;

	while (n < index && n + 1 < most && present(mapping, index - 1 - n))
		n++;
	return n;
}

enum {
	NO_PAGE = -1
};

static bool follows_last_read(const struct file *file, u64 index)
{
	return hint_read(&file->prev_index) != NO_PAGE &&
	       (index == (u64)hint_read(&file->prev_index) + 1 ||
		index == (u64)hint_read(&file->prev_index) + 2);
}

/* Set the file's window for a miss or a marker at index; false: no stream, leave it alone. */
static bool choose_window(struct file *file, u64 index, bool marker, u64 request, u32 most)
{
	struct mapping *mapping = file->mapping;
	u64 end = hint_read(&file->ra_start) + hint_read(&file->ra_size);

	if (index && (index == end - hint_read(&file->ra_async_size) || index == end)) {
		hint_set(&file->ra_start, end);
		hint_set(&file->ra_size, max(hint_read(&file->ra_size),
					     next_ra_size(hint_read(&file->ra_size), most)));
		hint_set(&file->ra_async_size, hint_read(&file->ra_size));
		return true;
	}
	if (index && marker) {
		u64 hole = next_miss(mapping, index + 1, most);

		if (hole - index > most)
			return false;
		hint_set(&file->ra_start, hole);
		hint_set(&file->ra_size, next_ra_size((u32)(hole - index + request), most));
		hint_set(&file->ra_async_size, hint_read(&file->ra_size));
		return true;
	}
	if (index && request <= most && !follows_last_read(file, index)) {
		u64 history = history_pages(mapping, index, most);

		if (history <= request)
			return false;
		if (history >= index)
			history *= 2; /* from the start of the file on */
		hint_set(&file->ra_start, index);
		hint_set(&file->ra_size, (u32)min(history + request, (u64)most));
		hint_set(&file->ra_async_size, 1);
		return true;
	}
	hint_set(&file->ra_start, index);
	hint_set(&file->ra_size, init_ra_size(request, most));
	hint_set(&file->ra_async_size, hint_read(&file->ra_size) > request
					       ? hint_read(&file->ra_size) - (u32)request
					       : hint_read(&file->ra_size));
	return true;
}

static struct folio *ondemand_readahead(struct rcl *m, struct file *file, u64 index, bool marker,
					u64 request, void **slot)
{
	u32 most = hint_read(&file->ra_pages);

	/* A request beyond the window may be as large as the device takes at once. */
	if (request > most && IO_PAGES > most)
		most = (u32)min(request, (u64)IO_PAGES);
	if (!choose_window(file, index, marker, request, most)) {
		if (marker)
			return NULL;
		if (request == 1)
			return read_one(m, file->mapping, index, slot);
		read_window(m, file->mapping, index, request, 0);
		return NULL;
	}
	if (index == hint_read(&file->ra_start) &&
	    hint_read(&file->ra_size) == hint_read(&file->ra_async_size)) {
		u32 add = next_ra_size(hint_read(&file->ra_size), most);

		if (hint_read(&file->ra_size) + add <= most) {
			hint_set(&file->ra_async_size, add);
			hint_set(&file->ra_size, hint_read(&file->ra_size) + add);
		} else {
			hint_set(&file->ra_size, most);
			hint_set(&file->ra_async_size, most >> 1);
		}
	}
	rcl_page_cache_ra_window(m, file);
	return NULL;
}

struct folio *rcl_page_cache_sync_ra(struct rcl *m, struct file *file, u64 index, u64 req_count,
				     void **slot)
{
	if (hint_read(&file->ra_pages) && !hint_read(&file->random))
		return ondemand_readahead(m, file, index, false, req_count, slot);
	if (req_count == 1)
		return read_one(m, file->mapping, index, slot);
	/* Readahead off still means reading: the page that is needed. */
	rcl_page_cache_force_ra(m, file, index, hint_read(&file->ra_pages) ? req_count : 1);
	return NULL;
}

/* f is at index and has the marker, and the reader is there, or as good as there. */
static bool pass_marker(struct rcl *m, struct file *file, struct folio *f, u64 index, u64 req_count)
{
	/* Under writeback the bit means something else. */
	if (!hint_read(&file->ra_pages) || folio_test(f, PG_writeback))
		return false;
	folio_clear(f, PG_readahead_);
	ondemand_readahead(m, file, index, true, req_count, NULL);
	return true;
}

/*
 * The reader has come to the marker at `index`, so it will come to the next one. That window is as
 * large as the one under way: find its room while the device is busy.
 */
static void find_room(struct rcl *m, struct file *file, u64 index)
{
	u64 size = __atomic_load_n(&file->mapping->size, __ATOMIC_RELAXED);
	u64 nr = hint_read(&file->ra_size);

	if (nr < SWAP_CLUSTER_MAX || hint_read(&file->ra_start) + nr >= size)
		return;
	if (hint_read(&file->once))
		rcl_drop_behind(m, file->mapping, index, nr, READAHEAD_GFP);
	if (nr >= WINDOW_FRAMES_MAX)
		rcl_reclaim_ahead(m, READAHEAD_GFP, nr);
}

void rcl_page_cache_async_ra(struct rcl *m, struct file *file, struct folio *f, u64 index,
			     u64 req_count)
{
	if (pass_marker(m, file, f, index, req_count) && rcl_is_threaded(m))
		find_room(m, file, index);
}

static bool is_read(struct rcl *m, struct mapping *mapping, u64 index)
{
	struct folio *f = rcl_filemap_get_folio(m, mapping, index);
	bool is = f && folio_test(f, PG_uptodate);

	if (f)
		folio_put(m, f);
	return is;
}

void rcl_page_cache_ra_resume(struct rcl *m, struct file *file, u64 index)
{
	u64 start = hint_read(&file->ra_start), size = hint_read(&file->ra_size);
	u64 marker = start + size - hint_read(&file->ra_async_size);
	struct folio *f;

	/* (The window after the reader's at the most: else it would be left behind.) */
	if (!hint_read(&file->once) || marker <= index || start > index + size ||
	    !is_read(m, file->mapping, start + size - 1))
		return;
	f = rcl_filemap_get_folio(m, file->mapping, marker);
	if (!f)
		return;
	if (folio_test(f, PG_readahead_))
		pass_marker(m, file, f, marker, 1);
	folio_put(m, f);
}
