/* SPDX-License-Identifier: MIT */
/*
 * Page faults: what happens when a task touches a page that its page table does not give it.
 *
 * By entry, area and access:
 *
 *   none, anonymous
 *     read    map the shared zero page, read-only; nothing is charged
 *     write   a new zeroed page, writable and dirty
 *   none, file
 *     read    map what is cached around the address (fault-around); if that missed it, get the page
 *             from the file, map it read-only
 *     write   get the page, tell the filesystem (buffers, dirty), map it writable; in a private
 *             mapping: a copy of it as an anonymous page
 *   swapped
 *     any     find or read the page; map it, writable only for a write
 *   read-only
 *     write   anonymous: ours alone: make it writable (reuse); shared since a fork: a copy; the
 *             zero page: a new page. File: tell the filesystem, make it writable; private: a copy
 *   allowed   set accessed (and dirty)
 *
 * Every new mapping starts out accessed, those of fault-around too: the first look of reclaim will
 * find them "referenced", which is why it takes a second one to be activated.
 *
 * Counting: PGFAULT at every entry. A fault on a file page that is not there counts PGMAJFAULT,
 * waits without mm->lock, and starts over, counting PGFAULT again. A swap fault counts PGMAJFAULT
 * only if it had to read; it too starts over if the page is still being read (readahead), but not
 * when it read the one page it needs, since that is waited for at once.
 *
 * After a read fault a swapped-in page keeps its slot (clean copy, may be dropped without a write);
 * after a write fault the slot is given up if nobody else can be using the page, which includes
 * this CPU's own batches: they are drained first.
 *
 * All waiting (allocation, charge, I/O) happens without page_table_lock, so each path looks at the
 * entry again before it sets it; if another thread was faster, the new page is dropped.
 *
 * A pin (pin.h) is a fault that ends with the page pinned, while mm->lock still keeps its table.
 * What differs: a read of untouched anonymous memory gets a page of its own, as the zero page is
 * everybody's; to overwrite a page what it held is not read; and if it may not wait, whatever would
 * wait or read is -EAGAIN.
 *
 * Returns 0 when the access may proceed, else a negative errno (mm.h).
 */
#include "mm/machine.h"
#include "mm/mm.h"
#include "mm/mm_lock.h"
#include "mm/pin.h"
#include "mm/writeback.h"

struct fault {
	struct rcl *m;
	struct mm *mm;
	struct vma *vma;
	u64 vpn;
	bool write, exec;
	bool pin, overwrite, nowait, kept; /* rcl_pin_page() */
	bool pinned;			   /* the word has been made with the pin in it */
	struct mapping *dirtied;	   /* by a pin, to be paid for when the page is pinned */
	bool tried; /* this attempt repeats one that released mm->lock to wait */
};

/* Outcomes of one attempt besides 0 and errors: start over; start over, mm->lock is released. */
#define FAULT_RETRY    1
#define FAULT_UNLOCKED 2

static void count_fault(struct fault *ft, enum vm_event_item item)
{
	count_vm_event(ft->m, item);
	if (ft->mm->memcg)
		rcl_count_memcg_events(ft->mm->memcg, item, 1);
}

/*
 * Who dirties much waits for some of it to be written. A pin waits when it has its page: else the
 * page could be written, and write-protected, meanwhile, and again each time that it is tried.
 */
static void pay_for_dirtying(struct fault *ft)
{
	if (ft->nowait)
		return;
	if (ft->pin)
		ft->dirtied = ft->vma->file->mapping;
	else
		rcl_balance_dirty_pages(ft->m, ft->vma->file->mapping);
}

static bool is_dead(const struct mm *mm)
{
	return __atomic_load_n(&mm->dead, __ATOMIC_RELAXED);
}

/* Other threads come and go with pins and accesses: that is not a change to start over for. */
static bool same_entry(const struct mm *mm, pte_t now, pte_t old)
{
	if (likely(now == old))
		return true;
	return mm_is_threaded(mm) && pte_present(old) &&
	       !((now ^ old) & ~(PTE_PINS | PTE_WRITES | PTE_ACCESSED | PTE_DIRTY));
}

/* The entry, with page_table_lock held, if it still is `old` and may change; else NULL, no lock. */
static pte_t *lock_pte(struct fault *ft, pte_t old)
{
	pte_t *pte;

	spin_lock(&ft->mm->page_table_lock);
	pte = rcl_pte_fast(ft->mm, ft->vpn);
	if (likely(pte && same_entry(ft->mm, pte_read(pte), old) && !is_dead(ft->mm)))
		return pte;
	spin_unlock(&ft->mm->page_table_lock);
	return NULL;
}

/*
 * What a word is made with for who overwrites the page: the pin is in it from the start. The page
 * may hold zeros that nobody has written. They must not reach a file, nor stay behind if reclaim
 * were to take the page before it is pinned and the pin failed.
 */
static pte_t begin_pinned(struct fault *ft, pte_t new)
{
	if (likely(!ft->overwrite || !(PTE_WRITE & new)))
		return new;
	ft->pinned = true;
	return new + pte_pin_of(true);
}

static void add_to_lru(struct fault *ft, struct folio *f)
{
	if (unlikely(ft->vma->flags & VM_LOCKED))
		rcl_mlock_new_folio(ft->m, f);
	else
		rcl_folio_add_lru(ft->m, f);
}

/* ---- anonymous memory -------------------------------------------------------------------- */

static int map_zero_page(struct fault *ft)
{
	pte_t *pte = rcl_pte_alloc(ft->m, ft->mm, ft->vpn);

	if (!pte)
		return -ENOMEM;
	pte = lock_pte(ft, 0);
	if (pte) {
		pte_write(pte, pte_make(0, PTE_ZERO | PTE_ACCESSED));
		spin_unlock(&ft->mm->page_table_lock);
	}
	return 0;
}

/* A charged page, or NULL and an error. */
static struct folio *new_page(struct fault *ft, bool zero, int *err)
{
	gfp_t gfp = GFP_HIGHUSER_MOVABLE | (zero ? __GFP_ZERO : 0), charge = GFP_KERNEL;
	struct folio *f;

	*err = -ENOMEM;
	if (unlikely(ft->nowait)) {
		*err = -EAGAIN;
		if (!rcl_pte_fast(ft->mm, ft->vpn))
			return NULL;
		gfp = (gfp & ~GFP_RECLAIM_MASK) | GFP_NOWAIT | __GFP_NOWARN;
		charge = GFP_NOWAIT;
	} else if (!rcl_pte_alloc(ft->m, ft->mm, ft->vpn)) {
		return NULL;
	}
	f = rcl_alloc_pages(ft->m, gfp, 0);
	if (!f)
		return NULL;
	if (rcl_memcg_charge(ft->m, f, ft->mm->memcg, charge)) {
		folio_put(ft->m, f);
		return NULL;
	}
	return f;
}

/*
 * A new page of our own in place of `old` (nothing, the zero page, swap that is not wanted, or a
 * page that we may only read): a copy of `source`, on which the caller holds a reference, or
 * zeroed. -EBUSY: others have the old page pinned.
 */
static int map_new_page(struct fault *ft, pte_t old, struct folio *source)
{
	struct rcl *m = ft->m;
	struct folio *f, *replaced = NULL;
	pte_t *pte, new;
	int err;

	f = new_page(ft, !source, &err);
	if (!f)
		return err;
	rcl_work(m, source ? WORK_COPY : WORK_ZERO);
	if (m->plat->has_data) {
		if (source)
			m->plat->ops->page_copy(m->plat, f, source);
		else
			m->plat->ops->page_zero(m->plat, f);
	}
	folio_set(f, PG_uptodate);
	if (likely(!(ft->vma->flags & VM_DROPPABLE)))
		folio_set(f, PG_swapbacked);
	folio_set(f, PG_exclusive);
	new = pte_make(folio_pfn(m, f), PTE_ACCESSED);
	if (ft->vma->flags & VM_WRITE)
		new |= PTE_WRITE;
	if (ft->write)
		new |= PTE_DIRTY;
	pte = lock_pte(ft, old);
	if (!pte) {
		folio_put(m, f);
		return 0;
	}
	/* The old page leaves the entry first, so that no pin comes to a page that is on its way.
	 */
	if (pte_present(old) && !(old & PTE_ZERO)) {
		if (!pte_replace(ft->mm, pte, &old, 0)) {
			spin_unlock(&ft->mm->page_table_lock);
			folio_put(m, f);
			return -EBUSY;
		}
		replaced = pfn_folio(m, pte_pfn(old));
		rcl_folio_remove_rmap(m, replaced, ft->vma);
	}
	rcl_folio_add_anon_rmap(m, f, ft->vma, ft->vpn);
	folio_get(f); /* the mapping's; ours goes when the folio is on its way to the LRU */
	pte_replace(ft->mm, pte, &old, begin_pinned(ft, new));
	spin_unlock(&ft->mm->page_table_lock);
	add_to_lru(ft, f);
	folio_put(m, f);
	if (replaced)
		folio_put(m, replaced);
	if (unlikely(pte_is_swap(old))) {
		shared_add(&ft->mm->swap_ents, -1, m->threaded);
		rcl_free_swap_and_cache(m, pte_swap(old));
	}
	return 0;
}

static int write_protect_fault(struct fault *ft, pte_t old);

static bool should_free_swap(struct fault *ft, struct folio *f)
{
	if (!folio_test(f, PG_swapcache))
		return false;
	if (rcl_memcg_swap_full(ft->m, f) || ft->vma->flags & VM_LOCKED ||
	    folio_test(f, PG_mlocked))
		return true;
	/* Written: the copy in swap is worthless. Only the cache and we hold it: nobody waits. */
	return ft->write && folio_ref_count(f) == 2;
}

static int swap_fault(struct fault *ft, pte_t old)
{
	struct rcl *m = ft->m;
	swp_entry_t entry = pte_swap(old);
	struct folio *f = rcl_swap_cache_get_folio(m, entry, ft->vma, ft->vpn);
	bool exclusive = old & PTE_SWAP_EXCLUSIVE, found = f;
	u64 bits = PTE_ACCESSED;
	int err = 0;
	pte_t *pte, new;

	if (!f && unlikely(ft->nowait))
		return -EAGAIN;
	if (!f) {
		f = rcl_swapin_readahead(m, entry, GFP_HIGHUSER_MOVABLE, ft->vma, ft->vpn, &err);
		if (!f) {
			/* Perhaps somebody else mapped it, and freed the slot, meanwhile. */
			pte = rcl_pte_fast(ft->mm, ft->vpn);
			return pte && pte_read(pte) == old && !is_dead(ft->mm)
				       ? (err ? err : FAULT_RETRY)
				       : 0;
		}
		count_fault(ft, PGMAJFAULT);
		rcl_current(m)->maj_flt++;
	}
	if (!folio_trylock(f)) {
		if (unlikely(ft->nowait)) {
			folio_put(m, f);
			return -EAGAIN;
		}
		/* Still being read, with others around it. Wait without mm->lock once, then with.
		 */
		if (!ft->tried) {
			mmap_unlock(m, ft->mm);
			rcl_folio_wait_locked(m, f);
			folio_put(m, f);
			return FAULT_UNLOCKED;
		}
		folio_lock(m, f);
	}
	if (!folio_test(f, PG_swapcache) || f->private_ != entry)
		goto out;
	/* References held by this CPU's batch would make the page look shared. */
	if (ft->write && !folio_test(f, PG_lru))
		rcl_lru_add_drain(m);
	if (!folio_test(f, PG_uptodate)) {
		/*
		 * The slot stays; whoever comes next tries to read it again. With threads that is we,
		 * if it failed before we came: an error of read-ahead is not ours to report.
		 */
		rcl_swap_cache_delete(m, f);
		err = mm_is_threaded(ft->mm) && found && !ft->tried && !ft->nowait ? FAULT_RETRY
										   : -EIO;
		goto out;
	}
	pte = lock_pte(ft, old);
	if (!pte)
		goto out;
	rcl_swap_free(m, entry);
	if (should_free_swap(ft, f))
		rcl_folio_free_swap(m, f);
	shared_add(&ft->mm->swap_ents, -1, m->threaded);
	if (exclusive || folio_ref_count(f) == 1) {
		folio_set(f, PG_exclusive);
		if (ft->write)
			bits |= PTE_WRITE | PTE_DIRTY;
	}
	rcl_folio_add_anon_rmap(m, f, ft->vma, ft->vpn);
	new = pte_make(folio_pfn(m, f), bits);
	pte_write(pte, new);
	spin_unlock(&ft->mm->page_table_lock);
	if (unlikely(ft->vma->flags & VM_LOCKED))
		rcl_mlock_folio(m, f);
	folio_unlock(m, f); /* our reference is the mapping's now */
	return ft->write && !(bits & PTE_WRITE) ? write_protect_fault(ft, new) : 0;
out:
	folio_unlock(m, f);
	folio_put(m, f);
	return err;
}

/* ---- file memory ------------------------------------------------------------------------- */

/* Have the descriptors of those pages of a window fetched, all at once, that are not mapped. */
static void fetch_window(struct mm *mm, u64 vpn, struct mapping *mapping, u64 index, u64 last)
{
	void **slot = rcl_radix_slot(mapping, index);
	pte_t *pte = rcl_pte_fast(mm, vpn);
	u64 nr = min(last - index + 1, RADIX_SLOTS - index % RADIX_SLOTS);

	nr = min(nr, PTRS_PER_TABLE - vpn % PTRS_PER_TABLE);
	for (u64 i = 0; slot && pte && i < nr; i++) {
		void *e = __atomic_load_n(slot + i, __ATOMIC_RELAXED);

		if (!pte_read(pte + i) && e && !entry_is_shadow(e))
			__builtin_prefetch(e, 1);
	}
}

/*
 * Map every page of the aligned window around the fault that is cached, uptodate and idle. True if
 * that included the faulting page.
 */
static bool fault_around(struct fault *ft)
{
	struct rcl *m = ft->m;
	struct vma *vma = ft->vma;
	struct mapping *mapping = vma->file->mapping;
	u64 nr = (u64)m->tun.fault_around_bytes >> PAGE_SHIFT;
	u64 start = max(ft->vpn & ~(nr - 1), vma->start);
	u64 end = min(min(start + nr, vma->end), (ft->vpn | (PTRS_PER_TABLE - 1)) + 1);
	u64 index = vma->pgoff + start - vma->start, last = vma->pgoff + end - 1 - vma->start;
	u32 mmap_miss = __atomic_load_n(&vma->file->mmap_miss, __ATOMIC_RELAXED);
	u64 size = __atomic_load_n(&mapping->size, __ATOMIC_RELAXED);
	bool hit = false;

	if (!size)
		return false;
	last = min(last, size - 1);
	if (index > last)
		return false;
	fetch_window(ft->mm, start, mapping, index, last);
	for (; index <= last; index++) {
		u64 vpn = vma->start + index - vma->pgoff;
		pte_t *pte = rcl_pte_fast(ft->mm, vpn);
		struct folio *f;

		/* Mapped already, as most are, and nothing left to count it for. */
		if (!mmap_miss && pte && pte_read(pte))
			continue;
		f = rcl_radix_next(mapping, &index, last);
		if (!f || index > last)
			break;
		vpn = vma->start + index - vma->pgoff;
		if (entry_is_shadow(f) || folio_test(f, PG_locked) || !folio_try_get(f))
			continue;
		if (!folio_test(f, PG_uptodate) || folio_test(f, PG_readahead_) ||
		    !folio_trylock(f))
			goto skip;
		if (f->mapping != mapping || f->index != index || !folio_test(f, PG_uptodate))
			goto unlock;
		if (mmap_miss)
			mmap_miss--;
		spin_lock(&ft->mm->page_table_lock);
		pte = rcl_pte_fast(ft->mm, vpn);
		if (pte_read(pte) || is_dead(ft->mm)) {
			spin_unlock(&ft->mm->page_table_lock);
			goto unlock;
		}
		rcl_folio_add_file_rmap(m, f, vma);
		pte_write(pte, pte_make(folio_pfn(m, f), PTE_ACCESSED));
		spin_unlock(&ft->mm->page_table_lock);
		hit |= vpn == ft->vpn;
		folio_unlock(m, f);
		continue; /* the reference stays with the mapping */
	unlock:
		folio_unlock(m, f);
	skip:
		folio_put(m, f);
	}
	__atomic_store_n(&vma->file->mmap_miss, mmap_miss, __ATOMIC_RELAXED);
	return hit;
}

/*
 * The task is about to write to a shared file page: let the filesystem prepare (buffers) and mark
 * it dirty. The folio is locked and stays so; false if it was truncated meanwhile.
 */
static int make_file_page_writable(struct fault *ft, struct folio *f)
{
	struct rcl *m = ft->m;

	if (f->mapping != ft->vma->file->mapping)
		return -EAGAIN;
	/* What is on its way to the disk arrives as it is now. */
	if (rcl_is_threaded(m) && folio_test(f, PG_writeback)) {
		if (ft->nowait)
			return -EAGAIN;
		rcl_folio_wait_writeback(m, f);
	}
	if (mapping_flags(f->mapping) & MAPPING_BUFFERS && !folio_needs_release(f)) {
		int err = rcl_folio_create_buffers(m, f);

		if (err)
			return err;
	}
	rcl_folio_mark_dirty(m, f);
	return 0;
}

/* The folio at index, locked, if it is there and uptodate: what needs no waiting. */
static struct folio *get_ready(struct rcl *m, struct mapping *mapping, u64 index)
{
	struct folio *f = rcl_filemap_get_folio(m, mapping, index);

	if (!f)
		return NULL;
	if (folio_test(f, PG_uptodate) && folio_trylock(f)) {
		if (f->mapping == mapping && folio_test(f, PG_uptodate))
			return f;
		folio_unlock(m, f);
	}
	folio_put(m, f);
	return NULL;
}

/* The folio at index, locked, with what it held or zeros in it: all of it will be overwritten. */
static struct folio *get_to_overwrite(struct rcl *m, struct mapping *mapping, u64 index)
{
	struct folio *f =
		rcl_filemap_grab_folio(m, mapping, index, GFP_HIGHUSER_MOVABLE | __GFP_WRITE);

	if (f && !folio_test(f, PG_uptodate)) {
		rcl_work(m, WORK_ZERO);
		if (m->plat->has_data)
			m->plat->ops->page_zero(m->plat, f);
		folio_clear(f, PG_error);
		folio_set(f, PG_uptodate);
	}
	return f;
}

/* The page for a pin that has wishes; as rcl_filemap_fault() otherwise. */
static struct folio *get_for_pin(struct fault *ft, u64 index, int *err)
{
	struct mapping *mapping = ft->vma->file->mapping;
	struct folio *f;

	*err = -ENODATA;
	if (index >= __atomic_load_n(&mapping->size, __ATOMIC_RELAXED))
		return NULL;
	*err = ft->nowait ? -EAGAIN : -ENOMEM;
	if (!ft->nowait)
		return get_to_overwrite(ft->m, mapping, index);
	f = rcl_pte_fast(ft->mm, ft->vpn) ? get_ready(ft->m, mapping, index) : NULL;
	/* Buffers would have to be allocated. */
	if (f && ft->write && mapping_flags(mapping) & MAPPING_BUFFERS && !folio_needs_release(f)) {
		folio_unlock(ft->m, f);
		folio_put(ft->m, f);
		f = NULL;
	}
	return f;
}

static int file_fault(struct fault *ft)
{
	struct rcl *m = ft->m;
	struct vma *vma = ft->vma;
	u64 index = vma->pgoff + ft->vpn - vma->start, bits = PTE_ACCESSED;
	bool major = false, retry = ft->tried;
	struct folio *f;
	int err = 0;
	pte_t *pte;

	if (!ft->nowait && !rcl_pte_alloc(m, ft->mm, ft->vpn))
		return -ENOMEM;
	if (unlikely(ft->nowait || (ft->overwrite && !(vma->flags & VM_PRIVATE)))) {
		f = get_for_pin(ft, index, &err);
		if (!f)
			return err;
	} else {
		if (!ft->write && m->tun.fault_around_bytes > (s64)PAGE_SIZE && fault_around(ft))
			return 0;
		f = rcl_filemap_fault(m, vma, vma->file, index, ft->exec, &major, &retry, &err);
		if (!f)
			return err ? err : FAULT_UNLOCKED;
	}
	if (ft->write && vma->flags & VM_PRIVATE) {
		folio_unlock(m, f);
		err = map_new_page(ft, 0, f);
		folio_put(m, f);
		return err;
	}
	if (ft->write) {
		err = make_file_page_writable(ft, f);
		if (err) {
			folio_unlock(m, f);
			folio_put(m, f);
			return err == -EAGAIN ? FAULT_RETRY : err;
		}
		bits |= PTE_WRITE | PTE_DIRTY;
	}
	pte = lock_pte(ft, 0);
	if (pte) {
		rcl_folio_add_file_rmap(m, f, vma);
		pte_write(pte, begin_pinned(ft, pte_make(folio_pfn(m, f), bits)));
		spin_unlock(&ft->mm->page_table_lock);
	}
	folio_unlock(m, f);
	if (!pte)
		folio_put(m, f);
	if (ft->write)
		pay_for_dirtying(ft);
	return 0;
}

/* ---- write to a read-only entry ---------------------------------------------------------- */

/* Does nobody but this mapping use the anonymous page (page_table_lock held)? Then it is ours. */
static bool take_over(struct fault *ft, struct folio *f)
{
	struct rcl *m = ft->m;

	if (folio_test(f, PG_exclusive))
		return true;
	/* The mapping, the swap cache, this CPU's batch: more cannot go away. */
	if (folio_ref_count(f) > 3)
		return false;
	if (!folio_test(f, PG_lru))
		rcl_lru_add_drain(m);
	if (folio_ref_count(f) > 1 + folio_test(f, PG_swapcache) || !folio_trylock(f))
		return false;
	if (folio_test(f, PG_swapcache))
		rcl_folio_free_swap(m, f);
	if (folio_ref_count(f) == 1)
		folio_set(f, PG_exclusive);
	folio_unlock(m, f);
	return folio_test(f, PG_exclusive);
}

static int write_protect_fault(struct fault *ft, pte_t old)
{
	struct rcl *m = ft->m;
	struct folio *f;
	pte_t *pte;
	int err;

	if (old & PTE_ZERO)
		return map_new_page(ft, old, NULL);
	f = pfn_folio(m, pte_pfn(old));
	pte = lock_pte(ft, old);
	if (!pte)
		return 0;
	if (folio_is_anon(f) && take_over(ft, f)) {
		pte_modify(ft->mm, pte, PTE_WRITE | PTE_DIRTY | PTE_ACCESSED, 0);
		spin_unlock(&ft->mm->page_table_lock);
		count_vm_event(m, PGREUSE);
		return 0;
	}
	folio_get(f);
	spin_unlock(&ft->mm->page_table_lock);
	if (!(ft->vma->flags & VM_SHARED)) {
		err = map_new_page(ft, old, f);
		folio_put(m, f);
		return err;
	}
	if (unlikely(ft->nowait)) {
		folio_put(m, f);
		f = get_for_pin(ft, ft->vma->pgoff + ft->vpn - ft->vma->start, &err);
		if (!f)
			return err;
	} else {
		folio_lock(m, f);
	}
	err = make_file_page_writable(ft, f);
	if (!err) {
		pte = lock_pte(ft, old);
		if (pte) {
			pte_modify(ft->mm, pte, PTE_WRITE | PTE_DIRTY | PTE_ACCESSED, 0);
			spin_unlock(&ft->mm->page_table_lock);
			count_vm_event(m, PGREUSE);
		}
	}
	folio_unlock(m, f);
	folio_put(m, f);
	if (err == -EAGAIN)
		return FAULT_RETRY;
	pay_for_dirtying(ft);
	return err;
}

/* Is a swapped page, all of which will be written, not even in memory, or not yet, or in vain? */
static bool not_worth_reading(struct fault *ft, pte_t old)
{
	struct folio *f = rcl_swap_cache_lookup(ft->m, pte_swap(old));
	bool is_there = f && folio_test(f, PG_uptodate);

	if (f)
		folio_put(ft->m, f);
	return !is_there;
}

static int try_fault(struct fault *ft)
{
	pte_t *pte = rcl_pte_fast(ft->mm, ft->vpn);
	pte_t old = pte ? pte_read(pte) : 0;

	if (!old) {
		if (ft->vma->file)
			return file_fault(ft);
		if (unlikely(ft->kept))
			return -ENODATA;
		return ft->write || ft->pin ? map_new_page(ft, 0, NULL) : map_zero_page(ft);
	}
	if (!pte_present(old)) {
		if (unlikely(ft->overwrite) && not_worth_reading(ft, old))
			return map_new_page(ft, old, NULL);
		return swap_fault(ft, old);
	}
	if (unlikely(ft->kept && old & PTE_ZERO))
		return -ENODATA;
	if (ft->write && !(old & PTE_WRITE))
		return write_protect_fault(ft, old);
	if (unlikely(ft->pin))
		return old & PTE_ZERO ? map_new_page(ft, old, NULL) : 0;
	spin_lock(&ft->mm->page_table_lock);
	if (pte_read(pte) == old)
		pte_change(ft->mm, pte, old, old | PTE_ACCESSED | (ft->write ? PTE_DIRTY : 0));
	spin_unlock(&ft->mm->page_table_lock);
	return 0;
}

static int check_access(struct vma *vma, bool write, bool exec)
{
	if (!vma)
		return -EFAULT;
	if (write && !(vma->flags & VM_WRITE))
		return -EACCES;
	if (exec && !(vma->flags & VM_EXEC))
		return -EACCES;
	return 0;
}

/* mm->lock is held, so that the table is there to be looked at. */
static bool allowed(struct mm *mm, u64 vpn, bool write)
{
	u64 need = PTE_PRESENT | (write ? PTE_WRITE : 0);
	pte_t *pte = rcl_pte_fast(mm, vpn);

	return pte && (pte_read(pte) & need) == need;
}

/* One attempt, with mm->lock held: 0, an error, FAULT_RETRY, or FAULT_UNLOCKED (ft->tried). */
static int fault_once(struct fault *ft)
{
	int err;

	ft->vma = rcl_find_vma(ft->mm, ft->vpn);
	err = check_access(ft->vma, ft->write, ft->exec);
	if (!err && is_dead(ft->mm))
		err = -EINTR;
	if (!err) {
		count_fault(ft, PGFAULT);
		err = try_fault(ft);
	}
	ft->tried = err == FAULT_UNLOCKED;
	return err;
}

int rcl_handle_fault(struct rcl *m, struct mm *mm, u64 vpn, bool write, bool exec)
{
	struct fault ft = {.m = m, .mm = mm, .vpn = vpn, .write = write, .exec = exec};
	bool done = false;
	int err = 0;

	/* The page can be reclaimed again before the access gets to use it: see it there. */
	while (!done && err >= 0) {
		if (unlikely(fatal_signal_pending(rcl_current(m))))
			return -EINTR;
		rcl_work(m, WORK_FAULT);
		mmap_read_lock(m, mm);
		err = fault_once(&ft);
		if (ft.tried)
			continue;
		done = !err && allowed(mm, vpn, write);
		mmap_unlock(m, mm);
	}
	if (err == -ENOMEM && fatal_signal_pending(rcl_current(m)))
		return -EINTR;
	return err < 0 ? err : 0;
}

int rcl_pin_page(struct rcl *m, struct mm *mm, u64 vpn, u32 how, pte_t **pte, u64 *pfn)
{
	struct fault ft = {.m = m, .mm = mm, .vpn = vpn, .write = how & PIN_WRITE, .pin = true};
	bool done = false;
	int err = 0;

	ft.overwrite = (how & (PIN_WRITE | PIN_OVERWRITE)) == (PIN_WRITE | PIN_OVERWRITE);
	ft.nowait = how & PIN_TRY;
	ft.kept = how & PIN_KEPT;
	while (!done && err >= 0) {
		if (fatal_signal_pending(rcl_current(m)))
			return -EINTR;
		rcl_work(m, WORK_FAULT);
		if (!ft.nowait)
			mmap_read_lock(m, mm);
		else if (!mmap_read_trylock(m, mm))
			return -EAGAIN;
		err = fault_once(&ft);
		if (ft.tried)
			continue;
		if (!err) {
			*pte = rcl_pte_fast(mm, vpn);
			if (ft.pinned) {
				*pfn = pte_pfn(pte_read(*pte));
				pin_is_seen_first();
			}
			done = ft.pinned || (*pte && rcl_pin_fast(mm, *pte, ft.write, pfn));
			if (!done && *pte && pte_pins_full(pte_read(*pte), ft.write))
				err = -EBUSY;
		}
		mmap_unlock(m, mm);
		/* Once more is not waiting, but who knows how often. */
		if (ft.nowait && !done && err >= 0)
			err = -EAGAIN;
	}
	if (ft.dirtied)
		rcl_balance_dirty_pages(m, ft.dirtied);
	if (err == -ENOMEM && fatal_signal_pending(rcl_current(m)))
		return -EINTR;
	return err < 0 ? err : 0;
}
