/* SPDX-License-Identifier: MIT */
/*
 * Unmapping, and advice about a range of memory.
 *
 *   zap          entries go; dirty bits move to file pages; a file page that was accessed counts as
 *                used; swap slots lose a user
 *   DONTNEED     zap: anonymous content is gone, file content can be read again
 *   FREE         anonymous pages become lazyfree: clean, old, on the inactive file list; a write
 *                before reclaim finds them makes them ordinary again. Swapped ones are dropped.
 *   COLD         accessed bits cleared, pages moved to their inactive list
 *   PAGEOUT      reclaimed now, whatever their age
 *   WILLNEED     file pages are read ahead; swapped pages are read into the swap cache
 *   RANDOM, SEQUENTIAL, NORMAL   how faults read ahead, and whether accesses count
 *
 * Pinned pages (pin.h) are passed over, and -EBUSY says that there were some.
 *
 * Advice about a range with holes is followed where there is memory, and told to be wrong
 * (-ENOMEM). All of it runs under a plug, so that what is read or written goes out in few requests.
 *
 * A zapped page must not live on, charged, because a batch of this CPU holds it: batches are
 * drained before, and after, since marking pages accessed fills them again.
 *
 * Locking: zap takes page_table_lock page by page, since dropping a page may wait for other locks.
 */
#include "mm/machine.h"
#include "mm/mm.h"
#include "mm/mm_lock.h"
#include "mm/vmscan.h"
#include "mm/writeback.h"

/* page_table_lock is held, so that nobody finds the entry gone and the page still mapped. */
static struct folio *unmap_page(struct rcl *m, struct vma *vma, pte_t old)
{
	struct folio *f = pfn_folio(m, pte_pfn(old));

	if (!folio_is_anon(f)) {
		if (old & PTE_DIRTY)
			rcl_folio_mark_dirty(m, f);
		if (old & PTE_ACCESSED && !(vma->flags & VM_SEQ_READ))
			rcl_folio_mark_accessed(m, f);
	}
	rcl_folio_remove_rmap(m, f, vma);
	return f;
}

static void drop_page(struct rcl *m, struct folio *f)
{
	/* The last mapping of an anonymous page that reclaim has not taken: its slot goes with it.
	 */
	if (folio_is_anon(f) && folio_test(f, PG_swapcache) && folio_trylock(f)) {
		rcl_folio_free_swap(m, f);
		folio_unlock(m, f);
	}
	folio_put(m, f);
}

u64 rcl_zap_range(struct rcl *m, struct vma *vma, u64 start, u64 end)
{
	struct mm *mm = vma->mm;
	u64 pinned = 0;

	rcl_lru_add_drain(m);
	for (u64 vpn = start; vpn < end; vpn++) {
		struct folio *f = NULL;
		pte_t *pte, old;
		bool gone = true;

		spin_lock(&mm->page_table_lock);
		pte = rcl_pte_fast(mm, vpn);
		old = pte ? pte_read(pte) : 0;
		if (old)
			gone = pte_replace(mm, pte, &old, 0);
		if (gone && pte_present(old) && !(old & PTE_ZERO))
			f = unmap_page(m, vma, old);
		spin_unlock(&mm->page_table_lock);
		if (!pte) {
			vpn |= PTRS_PER_TABLE - 1;
			continue;
		}
		if (unlikely(!gone)) {
			pinned++;
			continue;
		}
		if (pte_is_swap(old)) {
			shared_add(&mm->swap_ents, -1, m->threaded);
			rcl_free_swap_and_cache(m, pte_swap(old));
		} else if (f) {
			drop_page(m, f);
		}
	}
	rcl_lru_add_drain(m);
	return pinned;
}

/* Make one page lazyfree. Shared and locked pages are left alone, pinned ones too: then false. */
static bool free_lazily(struct rcl *m, struct vma *vma, u64 vpn)
{
	struct mm *mm = vma->mm;
	pte_t *pte, old;
	struct folio *f;

	spin_lock(&mm->page_table_lock);
	pte = rcl_pte_fast(mm, vpn);
	old = pte ? pte_read(pte) : 0;
	if (pte_is_swap(old))
		pte_write(pte, 0);
	if (!pte_present(old) || old & PTE_ZERO) {
		spin_unlock(&mm->page_table_lock);
		if (pte_is_swap(old)) {
			shared_add(&mm->swap_ents, -1, m->threaded);
			rcl_free_swap_and_cache(m, pte_swap(old));
		}
		return true;
	}
	if (unlikely(pte_pinned(old))) {
		spin_unlock(&mm->page_table_lock);
		return false;
	}
	f = pfn_folio(m, pte_pfn(old));
	folio_get(f);
	if (folio_test(f, PG_swapcache) || folio_test(f, PG_dirty)) {
		bool keep = hint_read(&f->mapcount) != 1 || !folio_trylock(f);

		if (!keep) {
			keep = folio_test(f, PG_swapcache) && !rcl_folio_free_swap(m, f);
			if (!keep)
				folio_clear(f, PG_dirty);
			folio_unlock(m, f);
		}
		if (keep) {
			spin_unlock(&mm->page_table_lock);
			folio_put(m, f);
			return true;
		}
	}
	while (!pte_pinned(old) && !pte_change(mm, pte, old, old & ~(PTE_ACCESSED | PTE_DIRTY)))
		old = pte_read(pte);
	if (unlikely(pte_pinned(old)))
		/* What is in it may not be thrown away without a look at the entry's dirty bit. */
		folio_set(f, PG_dirty);
	spin_unlock(&mm->page_table_lock);
	if (likely(!pte_pinned(old)))
		rcl_folio_mark_lazyfree(m, f);
	folio_put(m, f);
	return !pte_pinned(old);
}

/*
 * COLD and PAGEOUT; the latter collects isolated pages on `pageout`, oldest last. Pages that others
 * use too, or that somebody else is moving, are left alone. False: the page is pinned.
 */
static bool make_cold(struct rcl *m, struct vma *vma, u64 vpn, struct list_head *pageout)
{
	struct mm *mm = vma->mm;
	struct folio *f = NULL;
	pte_t *pte, old;

	spin_lock(&mm->page_table_lock);
	pte = rcl_pte_fast(mm, vpn);
	old = pte ? pte_read(pte) : 0;
	if (pte_present(old) && !(old & PTE_ZERO))
		f = pfn_folio(m, pte_pfn(old));
	if (!f || !folio_test(f, PG_lru) || hint_read(&f->mapcount) != 1 || pte_pinned(old)) {
		spin_unlock(&mm->page_table_lock);
		return !pte_pinned(old);
	}
	pte_modify(mm, pte, 0, PTE_ACCESSED);
	folio_clear(f, PG_referenced);
	folio_get(f);
	spin_unlock(&mm->page_table_lock);
	if (!pageout)
		rcl_folio_deactivate(m, f);
	else if (!folio_test(f, PG_unevictable) && !rcl_folio_isolate_lru(m, f))
		list_add(&f->lru, pageout);
	folio_put(m, f);
	return true;
}

static void read_swapped(struct rcl *m, struct vma *vma, u64 vpn)
{
	pte_t *pte = rcl_pte_fast(vma->mm, vpn);
	pte_t old = pte ? pte_read(pte) : 0;
	struct folio *f = NULL;

	if (pte_is_swap(old))
		f = rcl_read_swap_cache_async(m, pte_swap(old), GFP_HIGHUSER_MOVABLE);
	if (f)
		folio_put(m, f);
}

/* Advice was followed, but for pinned pages. */
#define PINNED 1

static int advise_vma(struct rcl *m, struct vma *vma, u64 start, u64 end, enum rcl_madvice advice)
{
	struct list_head pageout;
	bool all = true;

	if (vma->flags & VM_LOCKED && (advice == RCL_MADV_DONTNEED || advice == RCL_MADV_FREE ||
				       advice == RCL_MADV_COLD || advice == RCL_MADV_PAGEOUT))
		return -EINVAL;
	if (advice == RCL_MADV_FREE && vma->file)
		return -EINVAL;
	if (advice == RCL_MADV_WILLNEED && vma->file)
		return rcl_file_advise(m, vma->file, vma->pgoff + start - vma->start, end - start,
				       RCL_FADV_WILLNEED);
	if (advice == RCL_MADV_DONTNEED) {
		return rcl_zap_range(m, vma, start, end) ? PINNED : 0;
	}
	rcl_lru_add_drain(m);
	list_init(&pageout);
	for (u64 vpn = start; vpn < end; vpn++) {
		/* No more is isolated at once than one page table maps. */
		if (!(vpn & (PTRS_PER_TABLE - 1)))
			rcl_reclaim_pages(m, &pageout);
		if (!rcl_pte_fast(vma->mm, vpn)) {
			vpn |= PTRS_PER_TABLE - 1;
			continue;
		}
		switch (advice) {
		case RCL_MADV_FREE:
			all &= free_lazily(m, vma, vpn);
			break;
		case RCL_MADV_COLD:
			make_cold(m, vma, vpn, NULL);
			break;
		case RCL_MADV_PAGEOUT:
			all &= make_cold(m, vma, vpn, &pageout);
			break;
		default:
			read_swapped(m, vma, vpn);
		}
		rcl_poll(m);
	}
	rcl_reclaim_pages(m, &pageout);
	if (advice == RCL_MADV_WILLNEED)
		rcl_lru_add_drain(m);
	return all ? 0 : PINNED;
}

static bool changes_flags(enum rcl_madvice advice)
{
	return advice == RCL_MADV_NORMAL || advice == RCL_MADV_RANDOM ||
	       advice == RCL_MADV_SEQUENTIAL;
}

static int set_pattern(struct mm *mm, u64 start, u64 end, enum rcl_madvice advice)
{
	u32 set = advice == RCL_MADV_RANDOM	  ? VM_RAND_READ
		  : advice == RCL_MADV_SEQUENTIAL ? VM_SEQ_READ
						  : 0;

	return rcl_vma_set_flags(mm, start, end, set, (VM_RAND_READ | VM_SEQ_READ) & ~set);
}

int rcl_madvise(struct rcl *m, struct mm *mm, u64 start, u64 pages, enum rcl_madvice advice)
{
	u64 end = start + pages, done = start;
	int err = 0, holes = 0, pinned = 0;

	if (!pages || end < start)
		return -EINVAL;
	if (changes_flags(advice))
		mmap_write_lock(m, mm);
	else
		mmap_read_lock(m, mm);
	m->plat->ops->plug_start(m->plat);
	while (!err && done < end) {
		struct vma *vma = rcl_next_vma(mm, done);
		u64 from, upto;

		if (!vma || vma->start > done)
			holes = -ENOMEM;
		if (!vma || vma->start >= end)
			break;
		from = max(vma->start, done);
		upto = min(vma->end, end);
		err = changes_flags(advice) ? set_pattern(mm, from, upto, advice)
					    : advise_vma(m, vma, from, upto, advice);
		done = upto;
		if (err == PINNED) {
			pinned = -EBUSY;
			err = 0;
		}
	}
	m->plat->ops->plug_finish(m->plat);
	mmap_unlock(m, mm);
	return err ? err : holes ? holes : pinned;
}
