/* SPDX-License-Identifier: MIT */
/*
 * Reverse mapping: from a folio to the page-table entries that map it.
 *
 * A file folio's mapping lists all vmas of the file; an anonymous folio's anon_vma lists the vma it
 * was first touched in, what was split from it, moved, and copied by fork. Either way the folio's
 * index tells at which address inside such a vma it would be, and the entry there maps the folio or
 * does not.
 *
 * Every mapping holds one reference and one count in mapcount; the first and the last one change
 * NR_ANON_MAPPED or NR_FILE_MAPPED.
 *
 * Rules:
 *  - referenced: a mapping counts if its accessed bit was set, which is cleared; not in vmas read
 *    sequentially, whose pages are used once. Under a group's limit only mappings of that group's
 *    tasks count. A mapping in a locked vma ends the walk and says so.
 *  - unmap: the dirty bit moves to the folio. Anonymous: the entry becomes a swap entry, one more
 *    user of the slot. Lazyfree and clean: the entry vanishes; but if it was written again, the
 *    folio is ordinary anonymous memory once more and stays mapped. In droppable memory all
 *    folios are lazyfree from the start, written or not, and remain so.
 *  - mkclean: entries lose dirty and write permission, so that the next write faults and is seen;
 *    those pinned for writing keep both, and hold the folio back from being written.
 *  - A pinned entry (pin.h) keeps its page, so unmapping ends there; cleaning does not mind pins.
 *
 * Locking: the list's lock, then page_table_lock of each address space.
 */
#include "mm/machine.h"
#include "mm/mm.h"
#include "mm/pin.h"
#include "mm/writeback.h"

/* A vma may be cut, grown or advised about while we look; its lower part keeps its start. */
static u64 vma_end(const struct vma *vma)
{
	return __atomic_load_n(&vma->end, __ATOMIC_RELAXED);
}

static u32 vma_flags(const struct vma *vma)
{
	return __atomic_load_n(&vma->flags, __ATOMIC_RELAXED);
}

/* Visits one mapping; false ends the walk. page_table_lock held. NULL: just fetch the first. */
typedef bool visit_fn(struct rcl *m, struct folio *f, struct vma *vma, pte_t *pte, void *arg);

static bool visit_vma(struct rcl *m, struct folio *f, struct vma *vma, visit_fn *visit, void *arg)
{
	struct mm *mm = vma->mm;
	u64 vpn = vma->start + f->index - vma->pgoff;
	bool go_on = true;
	pte_t *pte, old;

	if (f->index < vma->pgoff || vpn >= vma_end(vma))
		return true;
	if (!visit) {
		spin_lock(&mm->page_table_lock);
		__builtin_prefetch(rcl_pte_lookup(mm, vpn), 1);
		spin_unlock(&mm->page_table_lock);
		return false;
	}
	rcl_work(m, WORK_RMAP);
	spin_lock(&mm->page_table_lock);
	pte = rcl_pte_fast(mm, vpn);
	old = pte ? pte_read(pte) : 0;
	if (pte_present(old) && !(old & PTE_ZERO) && pte_pfn(old) == folio_pfn(m, f))
		go_on = visit(m, f, vma, pte, arg);
	spin_unlock(&mm->page_table_lock);
	return go_on;
}

static void walk(struct rcl *m, struct folio *f, visit_fn *visit, void *arg)
{
	struct vma *vma;

	if (folio_is_anon(f)) {
		struct anon_vma *av = f->anon_vma;

		spin_lock(&av->lock);
		list_for_each (vma, &av->vmas, anon_link)
			if (!visit_vma(m, f, vma, visit, arg))
				break;
		spin_unlock(&av->lock);
	} else {
		struct mapping *mapping = f->mapping;

		spin_lock(&mapping->i_mmap_lock);
		list_for_each (vma, &mapping->i_mmap, file_link)
			if (!visit_vma(m, f, vma, visit, arg))
				break;
		spin_unlock(&mapping->i_mmap_lock);
	}
}

void rcl_rmap_fetch(struct rcl *m, struct folio *f)
{
	/* With threads it is not worth locks that others want. */
	if (rcl_is_threaded(m) || !folio_mapped(f) || !folio_trylock(f))
		return;
	if (folio_mapped(f) && f->mapping)
		walk(m, f, NULL, NULL);
	folio_unlock(m, f);
}

/* ---- counts ------------------------------------------------------------------------------ */

static s32 mapcount_add(struct folio *f, s32 n)
{
	if (likely(!folio_test(f, PG_threaded)))
		return f->mapcount += n;
	return __atomic_add_fetch(&f->mapcount, n, __ATOMIC_RELAXED);
}

void rcl_folio_add_anon_rmap(struct rcl *m, struct folio *f, struct vma *vma, u64 vpn)
{
	if (!folio_is_anon(f)) {
		f->anon_vma = vma->anon_vma;
		f->index = vma->pgoff + vpn - vma->start;
		folio_set(f, PG_anon);
	}
	if (mapcount_add(f, 1) == 1)
		rcl_mod_folio_state(m, f, NR_ANON_MAPPED, 1);
	shared_add(&vma->mm->anon_rss, 1, m->threaded);
}

void rcl_folio_add_file_rmap(struct rcl *m, struct folio *f, struct vma *vma)
{
	if (mapcount_add(f, 1) == 1)
		rcl_mod_folio_state(m, f, NR_FILE_MAPPED, 1);
	shared_add(&vma->mm->file_rss, 1, m->threaded);
	if (unlikely(vma_flags(vma) & VM_LOCKED))
		rcl_mlock_folio(m, f);
}

void rcl_folio_remove_rmap(struct rcl *m, struct folio *f, struct vma *vma)
{
	bool anon = folio_is_anon(f);

	RCL_DEBUG_ASSERT(folio_mapped(f));
	if (mapcount_add(f, -1) == 0)
		rcl_mod_folio_state(m, f, anon ? NR_ANON_MAPPED : NR_FILE_MAPPED, -1);
	shared_add(anon ? &vma->mm->anon_rss : &vma->mm->file_rss, -1, m->threaded);
	if (unlikely(vma_flags(vma) & VM_LOCKED))
		rcl_munlock_folio(m, f);
}

/* ---- referenced -------------------------------------------------------------------------- */

struct referenced {
	struct memcg *target;
	int count;
	u32 vm_flags;
	s32 mappings_left;
};

static bool visit_referenced(struct rcl *m, struct folio *f, struct vma *vma, pte_t *pte, void *arg)
{
	struct memcg *memcg = vma->mm->memcg ? vma->mm->memcg : m->root_memcg;
	struct referenced *r = arg;

	(void)f;
	if (r->target && !rcl_memcg_is_below(memcg, r->target))
		return true;
	if (vma_flags(vma) & VM_LOCKED) {
		r->vm_flags |= VM_LOCKED;
		return false;
	}
	if (unlikely(pte_pinned(pte_read(pte))))
		r->vm_flags |= VM_PINNED;
	if (pte_read(pte) & PTE_ACCESSED) {
		pte_modify(vma->mm, pte, 0, PTE_ACCESSED);
		if (!(vma_flags(vma) & VM_SEQ_READ)) {
			r->count++;
			r->vm_flags |= vma_flags(vma);
		}
	}
	return --r->mappings_left > 0;
}

int rcl_folio_referenced(struct rcl *m, struct folio *f, bool is_locked, struct memcg *target,
			 u32 *vm_flags)
{
	struct referenced r = {.target = target, .mappings_left = hint_read(&f->mapcount)};
	bool we_locked = false;

	*vm_flags = 0;
	if (!folio_mapped(f))
		return 0;
	/* An anonymous folio keeps its anon_vma while mapped; a file folio may lose its mapping. */
	if (!is_locked && !folio_is_anon(f)) {
		we_locked = folio_trylock(f);
		if (!we_locked)
			return 1;
	}
	if (f->mapping) {
		walk(m, f, visit_referenced, &r);
		if (unlikely(r.vm_flags & VM_LOCKED) && !folio_test(f, PG_mlocked))
			rcl_mlock_folio(m, f);
	}
	if (we_locked)
		folio_unlock(m, f);
	*vm_flags = r.vm_flags;
	return r.count;
}

/* ---- unmap ------------------------------------------------------------------------------- */

/*
 * Take a lazyfree folio out of one address space, if nobody else holds it and it was not written
 * since; else it is ordinary memory again. Droppable memory always may, and never is.
 */
static bool unmap_lazyfree(struct mm *mm, struct folio *f, pte_t *pte, bool droppable)
{
	pte_t old;

	do {
		old = pte_read(pte);
		if (pte_pinned(old))
			return false;
		if (folio_ref_count(f) != 1 + hint_read(&f->mapcount) || folio_test(f, PG_dirty) ||
		    (old & PTE_DIRTY && !droppable)) {
			if (!droppable)
				folio_set(f, PG_swapbacked);
			return false;
		}
	} while (!pte_change(mm, pte, old, 0));
	return true;
}

/* What made the walk end early. */
struct unmap {
	bool locked, pinned;
};

static bool visit_unmap(struct rcl *m, struct folio *f, struct vma *vma, pte_t *pte, void *arg)
{
	bool droppable = vma_flags(vma) & VM_DROPPABLE;
	struct unmap *u = arg;
	struct mm *mm = vma->mm;
	pte_t old;

	if (vma_flags(vma) & VM_LOCKED) {
		u->locked = true;
		return false;
	}
	u->pinned = pte_pinned(pte_read(pte));
	if (pte_read(pte) & PTE_DIRTY && !droppable)
		rcl_folio_mark_dirty(m, f);
	if (!folio_is_anon(f)) {
		if (!pte_replace(mm, pte, &old, 0))
			return false;
		/* (Written while we looked.) */
		if (unlikely(old & PTE_DIRTY && !folio_test(f, PG_dirty)))
			rcl_folio_mark_dirty(m, f);
	} else if (folio_test(f, PG_swapbacked)) {
		bool exclusive = folio_test(f, PG_exclusive);

		if (!folio_test(f, PG_swapcache))
			return false;
		rcl_swap_duplicate(m, f->private_);
		if (!pte_replace(mm, pte, &old,
				 pte_make_swap(f->private_) |
					 (exclusive ? PTE_SWAP_EXCLUSIVE : 0))) {
			rcl_swap_free(m, f->private_);
			return false;
		}
		if (unlikely(old & PTE_DIRTY && !folio_test(f, PG_dirty)))
			rcl_folio_mark_dirty(m, f);
		shared_add(&mm->swap_ents, 1, m->threaded);
		/* From here on the entry remembers it: the folio may come back to somebody else. */
		if (exclusive)
			folio_clear(f, PG_exclusive);
	} else if (!unmap_lazyfree(mm, f, pte, droppable)) {
		return false;
	}
	rcl_folio_remove_rmap(m, f, vma);
	folio_ref_add(f, -1);
	return folio_mapped(f);
}

bool rcl_try_to_unmap(struct rcl *m, struct folio *f)
{
	struct unmap u = {0};

	RCL_DEBUG_ASSERT(folio_test(f, PG_locked));
	walk(m, f, visit_unmap, &u);
	if (unlikely(u.locked) && !folio_test(f, PG_mlocked))
		rcl_mlock_folio(m, f);
	return u.pinned && folio_mapped(f);
}

/* ---- clean ------------------------------------------------------------------------------- */

struct mkclean {
	u32 cleaned;
	bool held;
};

static bool visit_mkclean(struct rcl *m, struct folio *f, struct vma *vma, pte_t *pte, void *arg)
{
	struct mkclean *c = arg;
	pte_t old = pte_read(pte);

	(void)m;
	(void)f;
	if (!(vma_flags(vma) & VM_SHARED))
		return true;
	while (old & (PTE_DIRTY | PTE_WRITE) && !pte_write_pins(old)) {
		if (pte_change(vma->mm, pte, old, old & ~(PTE_DIRTY | PTE_WRITE))) {
			c->cleaned++;
			return true;
		}
		old = pte_read(pte);
	}
	c->held |= pte_write_pins(old) != 0;
	return true;
}

u32 rcl_folio_mkclean(struct rcl *m, struct folio *f, bool *held)
{
	struct mkclean c = {0};

	RCL_DEBUG_ASSERT(folio_test(f, PG_locked));
	if (folio_mapped(f) && !folio_is_anon(f) && f->mapping)
		walk(m, f, visit_mkclean, &c);
	*held = c.held;
	return c.cleaned;
}
