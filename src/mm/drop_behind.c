/* SPDX-License-Identifier: MIT */
/*
 * Dropping behind: a file that is read in order makes room for itself.
 *
 * Who reads a file from its start to its end, and has said so, will not come back to what it has
 * read soon. LRU order lets such pages stay until all others have been looked at, and those of a
 * long file push out everything else. So when memory is short for the next window of a stream,
 * which is seen while the device is busy with this one, the stream's last window goes first: the
 * pages right behind the reader. Only what is left to wish for is reclaimed in the usual order.
 *
 *       dropped now         the reader is here     under way
 *   |------ 2 * nr ------|-------- nr --------|-------- nr --------|
 *                        index (had the marker)
 *
 * Two windows, as the reader may have been given two at once (rcl_page_cache_ra_resume).
 *
 * What is gained: others keep their pages; reclaim needs no search; and a stream keeps to few frames,
 * which lie together, so that requests are long, and which the processor's cache still knows when
 * the device fills them again. The reference has no such thing for files: the manual page of
 * madvise() allows it ("may be freed soon after they are accessed").
 *
 * Pages that somebody else maps or has used, that are dirty, locked, pinned or on the active list
 * are left to reclaim. While memory is not short nothing is dropped, and a file that fits stays.
 * This is for files whose owner asks for it (file->once): what a program tells the kernel in a trace
 * (RCL_FADV_SEQUENTIAL) means what it means there.
 */
#include "mm/drop_behind.h"

#include "mm/machine.h"
#include "mm/memcg.h"
#include "mm/page_alloc.h"
#include "mm/vmscan.h"

static bool is_done_with(const struct folio *f)
{
	const u64 in_use = BIT(PG_locked) | BIT(PG_dirty) | BIT(PG_writeback) | BIT(PG_active) |
			   BIT(PG_referenced) | BIT(PG_unevictable);

	return !(folio_flags(f) & in_use) && hint_read(&f->mapcount) <= 1;
}

u64 rcl_drop_behind(struct rcl *m, struct mapping *mapping, u64 index, u64 nr, gfp_t gfp)
{
	struct list_head folios;
	u64 dropped;

	if (!rcl_pages_lacking(m, gfp, nr) && rcl_memcg_room(m) >= nr)
		return 0;
	list_init(&folios);
	rcl_lru_add_drain(m);
	for (u64 i = index > 2 * nr ? index - 2 * nr : 0; i < index; i++) {
		struct folio *f = rcl_filemap_get_folio(m, mapping, i);

		if (!f)
			continue;
		if (is_done_with(f) && !rcl_folio_isolate_lru(m, f))
			list_add(&f->lru, &folios);
		folio_put(m, f);
	}
	dropped = rcl_reclaim_pages(m, &folios);
	/* So that they become blocks, from which the next window is taken. */
	rcl_drain_local_pages(m);
	return dropped;
}
