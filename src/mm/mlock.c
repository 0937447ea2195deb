/* SPDX-License-Identifier: MIT */
/*
 * mlock: pages that must not be reclaimed.
 *
 * A folio mapped by a VM_LOCKED vma carries PG_mlocked and lives on the unevictable list, where
 * reclaim never looks. mlock_count counts the locked mappings while it is there; it may undercount
 * (a folio that reached the list by another way starts at 0), and reclaim puts right a folio that
 * was let go too early, since it finds the locked vma by reverse mapping.
 *
 * A vma is locked or not; how often that was asked for is not counted. So pages are told only when
 * their vma changes. A hole ends the request with -ENOMEM; what lies before it has changed.
 *
 * Reverse mapping may find a locked vma before the walk below has come to the page. The folio is
 * isolated then, is only marked, and the walk does the counting: no mapping counts twice.
 *
 * Locking: flags are atomic; list moves and mlock_count under lru_lock, with PG_lru as the token.
 * PG_mlocked is cleared under lru_lock even if somebody else has the token: whoever has, looks at
 * the folio under that lock before it is on a list again, and so no evictable folio is left behind
 * on the unevictable list.
 */
#include "mm/machine.h"
#include "mm/mm.h"
#include "mm/mm_lock.h"

static void set_mlocked(struct rcl *m, struct folio *f)
{
	if (folio_test_set(f, PG_mlocked))
		return;
	mod_zone_state(folio_zone(m, f), NR_MLOCK, 1);
	count_vm_event(m, UNEVICTABLE_PGMLOCKED);
}

static void bump_mlock_count(struct folio *f)
{
	if (f->mlock_count < UINT8_MAX)
		f->mlock_count++;
}

void rcl_mlock_folio(struct rcl *m, struct folio *f)
{
	struct lruvec *lv;

	set_mlocked(m, f);
	/* Not on a list (in a batch, or isolated): it will find its place when it gets there. */
	if (!folio_test_clear(f, PG_lru))
		return;
	lv = rcl_folio_lruvec(m, f);
	spin_lock(&lv->lru_lock);
	if (folio_test(f, PG_unevictable)) {
		bump_mlock_count(f);
	} else {
		rcl_lruvec_del_folio(lv, f);
		folio_clear(f, PG_active);
		folio_set(f, PG_unevictable);
		f->mlock_count = 1;
		rcl_lruvec_add_folio(lv, f);
		count_vm_event(m, UNEVICTABLE_PGCULLED);
	}
	folio_set(f, PG_lru);
	spin_unlock(&lv->lru_lock);
}

void rcl_mlock_new_folio(struct rcl *m, struct folio *f)
{
	struct lruvec *lv = rcl_folio_lruvec(m, f);

	set_mlocked(m, f);
	spin_lock(&lv->lru_lock);
	folio_clear(f, PG_active);
	folio_set(f, PG_unevictable);
	f->mlock_count = 1;
	rcl_lruvec_add_folio(lv, f);
	folio_set(f, PG_lru);
	spin_unlock(&lv->lru_lock);
	count_vm_event(m, UNEVICTABLE_PGCULLED);
}

/* A folio on the unevictable list that somebody else holds isolated is stranded there for now. */
static void clear_mlocked(struct rcl *m, struct folio *f, bool isolated)
{
	bool stranded = !isolated && folio_test(f, PG_unevictable);

	if (!folio_test_clear(f, PG_mlocked))
		return;
	mod_zone_state(folio_zone(m, f), NR_MLOCK, -1);
	count_vm_event(m, stranded ? UNEVICTABLE_PGSTRANDED : UNEVICTABLE_PGMUNLOCKED);
}

void rcl_munlock_folio(struct rcl *m, struct folio *f)
{
	struct lruvec *lv = rcl_folio_lruvec(m, f);
	bool isolated;

	spin_lock(&lv->lru_lock);
	isolated = folio_test_clear(f, PG_lru);
	if (isolated && folio_test(f, PG_unevictable)) {
		if (f->mlock_count)
			f->mlock_count--;
		if (f->mlock_count)
			goto out;
	}
	clear_mlocked(m, f, isolated);
	if (isolated)
		rcl_lruvec_rescue_folio(m, lv, f);
out:
	if (isolated)
		folio_set(f, PG_lru);
	spin_unlock(&lv->lru_lock);
}

/* Tell every page that the vma maps. page_table_lock keeps reclaim from freeing it meanwhile. */
static void tell_pages(struct rcl *m, struct vma *vma, bool lock)
{
	struct mm *mm = vma->mm;

	rcl_lru_add_drain(m);
	for (u64 vpn = vma->start; vpn < vma->end; vpn++) {
		pte_t *pte;

		spin_lock(&mm->page_table_lock);
		pte = rcl_pte_fast(mm, vpn);
		if (!pte) {
			vpn |= PTRS_PER_TABLE - 1;
		} else if (pte_present(pte_read(pte)) && !(pte_read(pte) & PTE_ZERO)) {
			if (lock)
				rcl_mlock_folio(m, pfn_folio(m, pte_pfn(pte_read(pte))));
			else
				rcl_munlock_folio(m, pfn_folio(m, pte_pfn(pte_read(pte))));
		}
		spin_unlock(&mm->page_table_lock);
	}
}

static int change_vmas(struct rcl *m, struct mm *mm, u64 start, u64 end, bool lock)
{
	u32 set = lock ? VM_LOCKED : 0, clear = lock ? 0 : VM_LOCKED;

	while (start < end) {
		struct vma *vma = rcl_find_vma(mm, start);
		u64 upto;
		int err;

		if (!vma)
			return -ENOMEM;
		upto = min(vma->end, end);
		if (!(vma->flags & VM_LOCKED) == lock) {
			err = rcl_vma_set_flags(mm, start, upto, set, clear);
			if (err)
				return err;
			tell_pages(m, rcl_find_vma(mm, start), lock);
		}
		start = upto;
	}
	return 0;
}

static int set_locked(struct rcl *m, struct mm *mm, u64 start, u64 pages, bool lock)
{
	int err;

	if (!pages || start + pages < start)
		return -EINVAL;
	mmap_write_lock(m, mm);
	err = change_vmas(m, mm, start, start + pages, lock);
	mmap_unlock(m, mm);
	return err;
}

int rcl_mlock(struct rcl *m, struct mm *mm, u64 start, u64 pages)
{
	int err = set_locked(m, mm, start, pages, true);

	/* Locked memory is there from the start: touch it all, for writing where possible. */
	for (u64 vpn = start; !err && vpn < start + pages; vpn++) {
		struct vma *vma;
		bool write;

		mmap_read_lock(m, mm);
		vma = rcl_find_vma(mm, vpn);
		write = vma && vma->flags & VM_WRITE && !(vma->flags & VM_SHARED);
		mmap_unlock(m, mm);
		/* (With threads the table may go meanwhile.) */
		err = mm_is_threaded(mm) ? rcl_handle_fault(m, mm, vpn, write, false)
					 : rcl_touch(m, mm, vpn, write);
		rcl_poll(m);
	}
	return err;
}

int rcl_munlock(struct rcl *m, struct mm *mm, u64 start, u64 pages)
{
	return set_locked(m, mm, start, pages, false);
}
