/* SPDX-License-Identifier: MIT */
/*
 * Pins: the long way of letting go, reading ahead for pins, and counting them. (The long way of
 * pinning is a fault: fault.c.)
 *
 * Writeback leaves alone what is pinned for writing, but other things may take the dirty or write
 * bit off an entry. So at the end of such a pin the entry is looked at, and if it has lost one, the
 * page is marked dirty before the pin goes: as long as the pin is there the page stays in its file,
 * and the mark is made on the right page. The entry stays read-only, and the next pin for writing
 * is told to the filesystem again. Here the owner also waits if too much is dirty.
 *
 * Locking: a pinned word keeps its frame without any lock. vmas are looked up under mm->lock.
 */
#include "mm/pin.h"

#include "mm/machine.h"
#include "mm/mm_lock.h"
#include "mm/writeback.h"

void rcl_unpin_page(struct rcl *m, struct mm *mm, u64 vpn, pte_t *pte)
{
	struct folio *f = pfn_folio(m, pte_pfn(pte_read(pte)));
	struct mapping *mapping = folio_is_anon(f) ? NULL : f->mapping;
	pte_t old;

	(void)vpn;
	rcl_folio_mark_dirty(m, f);
	old = pte_read(pte);
	while (!__atomic_compare_exchange_n(pte, &old, pte_end_write(mm, pte, old), true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	/* (The file stays: this is an access to its mapping, which the owner keeps.) */
	if (mapping)
		rcl_balance_dirty_pages(m, mapping);
}

static bool is_absent(struct mm *mm, u64 vpn, bool swapped, pte_t *pte)
{
	pte_t *p = rcl_pte_fast(mm, vpn);

	*pte = p ? pte_read(p) : 0;
	return swapped ? pte_is_swap(*pte) : !*pte;
}

/* No more than forced readahead takes at once. */
#define CHUNK ((u64)64)

/* A run of pages that are not mapped at a time: those that are cached all the same are found. */
static void read_file(struct rcl *m, struct vma *vma, u64 vpn, u64 end)
{
	while (vpn < end) {
		u64 first;
		pte_t pte;

		while (vpn < end && !is_absent(vma->mm, vpn, false, &pte))
			vpn++;
		first = vpn;
		while (vpn < end && is_absent(vma->mm, vpn, false, &pte))
			vpn++;
		for (; first < vpn; first += CHUNK)
			rcl_page_cache_force_ra(m, vma->file, vma->pgoff + first - vma->start,
						min(vpn - first, CHUNK));
	}
}

/* A hint is not worth trying hard for: where there is no room, what is read pushes out the rest. */
#define MAX_REFUSALS 4

static void read_swap(struct rcl *m, struct vma *vma, u64 vpn, u64 end)
{
	const gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN;
	u32 refused = 0;

	for (; vpn < end && refused < MAX_REFUSALS; vpn++) {
		struct folio *f;
		pte_t pte;

		if (!rcl_pte_fast(vma->mm, vpn)) {
			vpn |= PTRS_PER_TABLE - 1;
			continue;
		}
		if (!is_absent(vma->mm, vpn, true, &pte))
			continue;
		f = rcl_read_swap_cache_async(m, pte_swap(pte), gfp);
		refused = f ? 0 : refused + 1;
		if (f)
			folio_put(m, f);
	}
}

void rcl_pin_prefetch(struct rcl *m, struct mm *mm, u64 vpn, u64 nr)
{
	u64 end = vpn + nr;

	mmap_read_lock(m, mm);
	PLATFORM_CALL(m->plat, plug_start)(m->plat);
	while (vpn < end) {
		struct vma *vma = rcl_next_vma(mm, vpn);
		u64 upto;

		if (!vma || vma->start >= end || __atomic_load_n(&mm->dead, __ATOMIC_RELAXED))
			break;
		vpn = max(vpn, vma->start);
		upto = min(vma->end, end);
		if (vma->file)
			read_file(m, vma, vpn, upto);
		/* (Private pages of files may be swapped too.) */
		if (vma->anon_vma)
			read_swap(m, vma, vpn, upto);
		vpn = upto;
	}
	PLATFORM_CALL(m->plat, plug_finish)(m->plat);
	mmap_unlock(m, mm);
}

u64 rcl_count_pinned(struct rcl *m, struct mm *mm, u64 vpn, u64 nr)
{
	u64 end = vpn + nr, n = 0;

	mmap_read_lock(m, mm);
	for (; vpn < end; vpn++) {
		pte_t *p = rcl_pte_fast(mm, vpn);

		if (p)
			n += pte_pinned(pte_read(p));
		else
			vpn |= PTRS_PER_TABLE - 1;
	}
	mmap_unlock(m, mm);
	return n;
}
