/* SPDX-License-Identifier: MIT */
/*
 * Memory in a second place: moved within its address space, or shared with a child until one of the
 * two writes.
 *
 * Parts that are moved or copied keep the anon_vma of the whole and their index in it, so that
 * reverse mapping, which looks at every vma of an anon_vma, finds a page wherever it now is: of two
 * places that it might be in, one has the entry.
 *
 * Moving takes entry by entry from the old place to the new one; what cannot be finished goes back.
 *
 * Fork copies the entries of private memory and takes write permission from both copies: whoever
 * writes first gets a page of its own. PG_exclusive says that a page is one process's alone. Pages
 * of files are not copied: the child finds them in the file.
 *
 * A move or a copy that would concern a pinned page (pin.h) fails.
 *
 * Locking: mm->lock for writing, the parent's for fork (nobody knows the child yet); entries under
 * page_table_lock. Tables of the new place are allocated first, as that may wait, and what waits is
 * overtaken by reclaim: entries are read again after it.
 */
#include <stdlib.h>

#include "mm/machine.h"
#include "mm/mm_internal.h"
#include "mm/mm_lock.h"

/* Move the entries of nr pages; tables at the new place are allocated first, as that may wait. */
static int move_pages(struct rcl *m, struct mm *mm, u64 from, u64 to, u64 nr)
{
	for (u64 i = 0; i < nr; i++) {
		pte_t *src = rcl_pte_lookup(mm, from + i), *dst, old;
		bool moved;

		if (!src) {
			i += PTRS_PER_TABLE - 1 - ((from + i) & (PTRS_PER_TABLE - 1));
			continue;
		}
		if (!pte_read(src))
			continue;
		dst = rcl_pte_alloc(m, mm, to + i);
		if (!dst)
			return -ENOMEM;
		spin_lock(&mm->page_table_lock);
		moved = pte_replace(mm, src, &old, 0);
		if (moved)
			pte_write(dst, old);
		spin_unlock(&mm->page_table_lock);
		if (!moved)
			return -EBUSY;
	}
	return 0;
}

static int mremap_locked(struct rcl *m, struct mm *mm, u64 old, u64 old_pages, u64 new,
			 u64 new_pages)
{
	struct vma *vma, *copy;
	int err = rcl_vma_cut(mm, old, old + old_pages);

	if (err)
		return err;
	vma = rcl_find_vma(mm, old);
	if (!vma || vma->start != old || vma->end != old + old_pages)
		return -EFAULT;
	if (new == old && new_pages <= old_pages)
		return new_pages < old_pages
			       ? rcl_munmap_locked(m, mm, old + new_pages, old + old_pages)
			       : 0;
	if (new == old) {
		err = rcl_munmap_locked(m, mm, old + old_pages, new + new_pages);
		if (!err)
			__atomic_store_n(&vma->end, new + new_pages, __ATOMIC_RELAXED);
		return err;
	}
	err = rcl_munmap_locked(m, mm, new, new + new_pages);
	if (err)
		return err;
	vma = rcl_find_vma(mm, old);
	copy = rcl_vma_copy(vma);
	if (!copy)
		return -ENOMEM;
	copy->start = new;
	copy->end = new + new_pages;
	err = rcl_vma_insert(mm, copy);
	if (err) {
		free(copy);
		return err;
	}
	err = move_pages(m, mm, old, new, min(old_pages, new_pages));
	if (err) {
		/* The half that moved goes back: its tables are still there. */
		int back = move_pages(m, mm, new, old, min(old_pages, new_pages));

		RCL_ASSERT(!back);
		rcl_munmap_locked(m, mm, new, new + new_pages);
		return err;
	}
	return rcl_munmap_locked(m, mm, old, old + old_pages);
}

int rcl_mremap(struct rcl *m, struct mm *mm, u64 old, u64 old_pages, u64 new, u64 new_pages)
{
	u64 old_end = old + old_pages, new_end = new + new_pages;
	int err;

	if (!old_pages || !new_pages || old_end < old || new_end < new || new_end > MM_PAGES ||
	    (old != new &&old < new_end &&new < old_end))
		return -EINVAL;
	mmap_write_lock(m, mm);
	err = mremap_locked(m, mm, old, old_pages, new, new_pages);
	mmap_unlock(m, mm);
	return err;
}

/*
 * The child gets the parent's entry; from now on neither may write without copying. False: it is
 * pinned, so that it cannot be told whether it is being written.
 */
static bool copy_entry(struct rcl *m, struct mm *parent, struct vma *vma, pte_t *src, pte_t *dst)
{
	pte_t old = pte_read(src);

	if (pte_is_swap(old)) {
		old &= ~PTE_SWAP_EXCLUSIVE;
		pte_write(src, old);
		rcl_swap_duplicate(m, pte_swap(old));
		shared_add(&vma->mm->swap_ents, 1, m->threaded);
		pte_write(dst, old);
		return true;
	}
	if (!(old & PTE_ZERO)) {
		struct folio *f = pfn_folio(m, pte_pfn(old));

		/* A file's page can be had from the file again. */
		if (!folio_is_anon(f))
			return true;
		while (!pte_pinned(old) && !pte_change(parent, src, old, old & ~PTE_WRITE))
			old = pte_read(src);
		if (pte_pinned(old))
			return false;
		folio_get(f);
		folio_clear(f, PG_exclusive);
		rcl_folio_add_anon_rmap(m, f, vma, 0);
		old &= ~PTE_WRITE;
	}
	pte_write(dst, old & ~PTE_ACCESSED);
	return true;
}

static int copy_pages(struct rcl *m, struct mm *parent, struct vma *vma)
{
	for (u64 vpn = vma->start; vpn < vma->end; vpn++) {
		pte_t *src = rcl_pte_lookup(parent, vpn), *dst;
		bool ok = true;

		if (!src) {
			vpn |= PTRS_PER_TABLE - 1;
			continue;
		}
		if (!pte_read(src))
			continue;
		dst = rcl_pte_alloc(m, vma->mm, vpn);
		if (!dst)
			return -ENOMEM;
		spin_lock(&parent->page_table_lock);
		/* Allocating may have waited, and reclaim may have taken the page meanwhile. */
		if (pte_read(src))
			ok = copy_entry(m, parent, vma, src, dst);
		spin_unlock(&parent->page_table_lock);
		if (!ok)
			return -EBUSY;
	}
	return 0;
}

int rcl_mm_fork(struct rcl *m, struct mm *parent, struct memcg *memcg, struct mm **out)
{
	struct mm *child;
	int err = rcl_mm_create(m, memcg, &child);

	if (err)
		return err;
	mmap_write_lock(m, parent);
	for (u32 i = 0; !err && i < parent->nr_vmas; i++) {
		struct vma *copy = rcl_vma_copy(parent->vmas[i]);

		if (!copy) {
			err = -ENOMEM;
			break;
		}
		copy->mm = child;
		copy->flags &= ~(u32)VM_LOCKED; /* locks are not inherited */
		err = rcl_vma_insert(child, copy);
		if (err)
			free(copy);
		else if (copy->anon_vma)
			err = copy_pages(m, parent, copy);
	}
	mmap_unlock(m, parent);
	if (err) {
		rcl_mm_destroy(m, child);
		return err;
	}
	*out = child;
	return 0;
}
