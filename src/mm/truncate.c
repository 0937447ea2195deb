/* SPDX-License-Identifier: MIT */
/*
 * Taking pages out of a file's cache on purpose.
 *
 *   truncate    the pages must go: dirty data is lost, mappings are removed, writeback is waited
 *               for. What is pinned or locked in memory stays all the same. Two passes: the first
 * takes what can be had without waiting, so that the second has little left to wait for invalidate
 * a wish: only what is clean, unlocked, unmapped and otherwise unused goes; nothing is waited for.
 * What stays is moved to where reclaim finds it soon
 *
 * Both drop shadow entries of the range too.
 *
 * Locking: a folio is referenced, then locked, then looked at again (it may have left the file);
 * the tree's lock is taken last and for one entry at a time.
 */
#include "mm/filemap.h"
#include "mm/machine.h"
#include "mm/mm.h"
#include "mm/workingset.h"
#include "mm/writeback.h"

/*
 * Next folio at or after *index, with a reference; shadows on the way are erased and counted.
 * NULL at the end.
 */
static struct folio *next_folio(struct rcl *m, struct mapping *mapping, u64 *index, u64 last,
				u64 *shadows)
{
	struct folio *f = NULL;

	spin_lock(&mapping->lock);
	while (!f) {
		void *e = rcl_radix_next_entry(mapping, index, last);

		if (!e)
			break;
		if (entry_is_shadow(e)) {
			rcl_radix_store(m, mapping, *index, NULL);
			++*shadows;
		} else {
			/* The lock is held: nobody can be removing it, so its count is not 0. */
			f = e;
			if (!folio_try_get(f))
				RCL_ASSERT(!"a folio in the tree has no reference");
		}
	}
	spin_unlock(&mapping->lock);
	return f;
}

/* A locked folio of the mapping, not under writeback: out of it, whatever its state. False: it is
 * locked in memory, or pinned. */
static bool truncate_folio(struct rcl *m, struct mapping *mapping, struct folio *f)
{
	bool released;

	if (folio_mapped(f))
		rcl_try_to_unmap(m, f);
	if (folio_mapped(f))
		return false;
	if (folio_test(f, PG_dirty))
		rcl_folio_cancel_dirty(m, f);
	released = rcl_filemap_release_folio(m, f);
	RCL_ASSERT(released);
	spin_lock(&mapping->lock);
	rcl_filemap_remove_folio(m, f, NULL);
	spin_unlock(&mapping->lock);
	folio_put(m, f);
	return true;
}

u64 rcl_truncate_range(struct rcl *m, struct mapping *mapping, u64 first, u64 last)
{
	u64 stay = 0;

	for (int may_wait = 0; may_wait < 2; may_wait++) {
		u64 index = first, shadows = 0;
		struct folio *f;

		while ((f = next_folio(m, mapping, &index, last, &shadows))) {
			if (may_wait)
				folio_lock(m, f);
			if (may_wait || folio_trylock(f)) {
				if (may_wait)
					rcl_folio_wait_writeback(m, f);
				if (f->mapping == mapping && !folio_test(f, PG_writeback) &&
				    !truncate_folio(m, mapping, f))
					stay += may_wait;
				folio_unlock(m, f);
			}
			folio_put(m, f);
			if (index++ == last)
				break;
			rcl_poll(m);
		}
	}
	return stay;
}

/* Remove a locked folio if nobody but the tree, its buffers and the caller refers to it. */
static bool evict_folio(struct rcl *m, struct mapping *mapping, struct folio *f)
{
	bool gone = false;

	if (folio_flags(f) & (BIT(PG_dirty) | BIT(PG_writeback)))
		return false;
	if (folio_ref_count(f) > 2 + folio_needs_release(f))
		return false;
	if (!rcl_filemap_release_folio(m, f))
		return false;
	spin_lock(&mapping->lock);
	if (folio_ref_freeze(f, 2)) {
		if (folio_test(f, PG_dirty)) {
			folio_ref_unfreeze(f, 2);
		} else {
			rcl_filemap_remove_folio(m, f, NULL);
			folio_ref_unfreeze(f, 1);
			gone = true;
		}
	}
	spin_unlock(&mapping->lock);
	return gone;
}

u64 rcl_invalidate_range_count(struct rcl *m, struct mapping *mapping, u64 first, u64 last,
			       u64 *nr_failed)
{
	u64 index = first, gone = 0;
	struct folio *f;

	*nr_failed = 0;
	while ((f = next_folio(m, mapping, &index, last, &gone))) {
		if (folio_trylock(f)) {
			bool ours = f->mapping == mapping && !folio_test(f, PG_writeback);
			bool evicted = ours && evict_folio(m, mapping, f);

			folio_unlock(m, f);
			gone += evicted;
			if (ours && !evicted) {
				rcl_folio_deactivate_file(m, f);
				++*nr_failed;
			}
		}
		folio_put(m, f);
		if (index++ == last)
			break;
		rcl_poll(m);
	}
	return gone;
}

u64 rcl_invalidate_range(struct rcl *m, struct mapping *mapping, u64 first, u64 last)
{
	u64 failed;

	return rcl_invalidate_range_count(m, mapping, first, last, &failed);
}
