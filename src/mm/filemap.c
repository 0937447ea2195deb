/* SPDX-License-Identifier: MIT */
/*
 * The page cache of a file: how folios come into it, are found in it and leave it, and how a page
 * fault finds its page.
 *
 * Life of a page cache folio:
 *
 *   allocated  one reference, its creator's
 *   added      locked; charged first, since the charge may reclaim and wait; then one reference for
 *              the tree. Becomes visible to look-ups when the tree takes it, before its content is
 *              there: PG_locked until read (or until the writer has filled it)
 *   resident   uptodate. On an LRU list, or on its way there in a CPU's batch
 *   removed    by reclaim, invalidation or truncation, locked and with the tree's lock held.
 *              f->mapping is NULL from then on; f->index stays
 *
 * A look-up takes no lock. It takes a reference unless the count is 0 (free, or frozen by someone
 * who is removing it) and then makes sure that the folio is still the page it looked for. What it
 * holds may be removed from the file at any time until it locks the folio; so whoever locks looks
 * at f->mapping again. Who reads f->mapping without the lock may find a file that has just been
 * destroyed: its memory stays a mapping until the machine closes, and its flags can be read. A
 * folio that is locked, or under I/O, stays where it is.
 *
 * The page fault counts PGMAJFAULT where the page is absent, and may not wait for a device with the
 * mmap lock held if it can help it: the first attempt releases the lock, waits, and asks to be
 * repeated; the second, which normally finds the page ready, keeps the lock come what may.
 *
 *   page       first attempt                                        second attempt
 *   ready      done                                                 done
 *   ready, RA marker   start readahead, drop lock, lock page, repeat    done
 *   in I/O     drop lock, wait for the page, repeat                 wait with the lock held
 *   absent     count major; read around (unless advised random or   create, read, wait
 *              too many misses lately); create if still absent,
 *              drop lock, read, wait, repeat
 *
 * Locking: mapping->lock for the tree and nr_pages, the folio lock for a folio's membership.
 */
#include "mm/filemap.h"

#include <stdio.h>
#include <stdlib.h>

#include "mm/machine.h"
#include "mm/mm.h"
#include "mm/mm_lock.h"
#include "mm/page_io.h"
#include "mm/trace.h"
#include "mm/workingset.h"
#include "mm/writeback.h"

#define MMAP_LOTSAMISS 100u

/* A destroyed one again, or a new one: all zero but for the flags. */
static struct mapping *new_mapping(struct rcl *m)
{
	const size_t after = offsetof(struct mapping, flags) + sizeof(u32);
	struct mapping *mapping = NULL;

	spin_lock(&m->tasks_lock);
	if (!list_empty(&m->free_mappings)) {
		mapping = list_first_entry(&m->free_mappings, struct mapping, link);
		list_del(&mapping->link);
	}
	spin_unlock(&m->tasks_lock);
	if (!mapping)
		return calloc(1, sizeof(*mapping));
	memset(mapping, 0, offsetof(struct mapping, flags));
	memset((char *)mapping + after, 0, sizeof(*mapping) - after);
	return mapping;
}

int rcl_mapping_create(struct rcl *m, const char *name, u16 dev, u64 first_block, u64 pages,
		       u32 flags, struct mapping **out)
{
	struct mapping *mapping = new_mapping(m);

	if (!mapping)
		return -ENOMEM;
	mapping->m = m;
	snprintf(mapping->name, sizeof(mapping->name), "%s", name);
	__atomic_store_n(&mapping->flags, flags, __ATOMIC_RELAXED);
	mapping->dev = mapping->bdi = dev;
	mapping->first_block = first_block;
	mapping->size = pages;
	mapping->block_size = (u32)m->tun.fs_block_size;
	spin_init(&mapping->lock, m->threaded);
	spin_init(&mapping->i_mmap_lock, m->threaded);
	list_init(&mapping->i_mmap);
	list_init(&mapping->wb_link);
	spin_lock(&m->tasks_lock);
	list_add_tail(&mapping->link, &m->mappings);
	spin_unlock(&m->tasks_lock);
	*out = mapping;
	return 0;
}

void rcl_mapping_destroy(struct rcl *m, struct mapping *mapping)
{
	RCL_ASSERT(list_empty(&mapping->i_mmap));
	__atomic_or_fetch(&mapping->flags, MAPPING_EXITING, __ATOMIC_RELAXED);
	rcl_truncate_range(m, mapping, 0, UINT64_MAX);
	rcl_writeback_forget(m, mapping);
	RCL_ASSERT(!mapping->root && !mapping->nr_pages);
	spin_lock(&m->tasks_lock);
	list_move(&mapping->link, &m->free_mappings);
	spin_unlock(&m->tasks_lock);
}

void rcl_mappings_exit(struct rcl *m)
{
	while (!list_empty(&m->free_mappings)) {
		struct mapping *mapping = list_first_entry(&m->free_mappings, struct mapping, link);

		list_del(&mapping->link);
		free(mapping);
	}
}

void rcl_file_open(struct rcl *m, struct mapping *mapping, struct file *out)
{
	*out = (struct file){.mapping = mapping, .prev_index = -1};
	out->ra_pages = (u32)((u64)m->tun.read_ahead_kb * 1024 / PAGE_SIZE);
	out->wb_err_seen = rcl_mapping_wb_err_sample(mapping);
}

/* ---- in and out ---------------------------------------------------------------------------- */

struct folio *rcl_filemap_get_folio(struct rcl *m, struct mapping *mapping, u64 index)
{
	for (;;) {
		struct folio *f = rcl_radix_load(mapping, index);

		if (!f || entry_is_shadow(f))
			return NULL;
		if (!folio_try_get(f))
			continue;
		if (likely(__atomic_load_n(&f->mapping, __ATOMIC_RELAXED) == mapping &&
			   f->index == index))
			return f;
		folio_put(m, f);
	}
}

/* Put f into the tree, perhaps at slot `hint`; *shadow gets what it replaced. */
static int insert(struct rcl *m, struct mapping *mapping, struct folio *f, u64 index, gfp_t gfp,
		  void **hint, void **shadow)
{
	struct radix_node *spare = NULL;
	int err;

	for (;;) {
		void **slot, *old;

		spin_lock(&mapping->lock);
		slot = hint && likely(rcl_radix_slot_holds(mapping, hint, index))
			       ? hint
			       : rcl_radix_slot(mapping, index);
		old = slot ? *slot : rcl_radix_load(mapping, index);
		if (old && !entry_is_shadow(old))
			err = -EEXIST;
		else if (likely(slot))
			err = 0;
		else
			err = rcl_radix_reserve(m, mapping, index, &spare);
		if (!err) {
			*shadow = slot ? rcl_radix_store_slot(m, mapping, slot, index, f)
				       : rcl_radix_store(m, mapping, index, f);
			f->private_ = index ? (uintptr_t)slot : 0;
			mapping->nr_pages++;
			rcl_mod_folio_state(m, f, NR_FILE_PAGES, 1);
		}
		spin_unlock(&mapping->lock);
		if (err != -ENOMEM)
			break;
		/* Without waiting there was no memory for the path: get a node the hard way. */
		spare = rcl_radix_alloc_node(m, gfp & GFP_RECLAIM_MASK);
		if (!spare)
			break;
	}
	if (unlikely(spare))
		rcl_radix_free_node(m, spare);
	if (unlikely(err)) {
		spin_lock(&mapping->lock);
		rcl_radix_unreserve(m, mapping, index);
		spin_unlock(&mapping->lock);
	}
	return err;
}

int rcl_filemap_add_folio(struct rcl *m, struct mapping *mapping, struct folio *f, u64 index,
			  gfp_t gfp)
{
	return rcl_filemap_add_folio_at(m, mapping, f, index, gfp, NULL);
}

int rcl_filemap_add_folio_at(struct rcl *m, struct mapping *mapping, struct folio *f, u64 index,
			     gfp_t gfp, void **slot)
{
	void *shadow = NULL;
	int err;

	RCL_ASSERT(!folio_test(f, PG_locked) && !folio_test(f, PG_swapbacked) && !f->mapping);
	folio_set(f, PG_locked);
	err = rcl_memcg_charge(m, f, NULL, gfp);
	if (err) {
		folio_clear(f, PG_locked);
		return err;
	}
	folio_get(f);
	f->index = index;
	f->mapping = mapping;
	err = insert(m, mapping, f, index, gfp, slot, &shadow);
	if (err) {
		rcl_memcg_uncharge(m, f);
		f->mapping = NULL;
		folio_clear(f, PG_locked);
		folio_put(m, f);
		return err;
	}
	RCL_TRACE(mm_filemap_add_to_page_cache, mapping, index, folio_pfn(m, f));
	/*
	 * Evicted not long ago: maybe part of the working set. A page about to be overwritten is
	 * not being used again, and must not push out data that is.
	 */
	if (shadow && !(gfp & __GFP_WRITE))
		rcl_workingset_refault(m, f, shadow);
	rcl_folio_add_lru(m, f);
	return 0;
}

void rcl_filemap_remove_folio(struct rcl *m, struct folio *f, void *shadow)
{
	struct mapping *mapping = f->mapping;
	void **slot = folio_slot(f);
	void *old;

	RCL_ASSERT(folio_test(f, PG_locked));
	RCL_ASSERT(spin_is_held(&mapping->lock));
	RCL_ASSERT(!folio_mapped(f));
	RCL_ASSERT(!folio_test(f, PG_dirty) && !folio_test(f, PG_writeback));
	RCL_ASSERT(!folio_needs_release(f));
	RCL_ASSERT(!shadow || entry_is_shadow(shadow));
	RCL_TRACE(mm_filemap_delete_from_page_cache, mapping, f->index, folio_pfn(m, f));
	if (__atomic_load_n(&mapping->flags, __ATOMIC_RELAXED) & MAPPING_EXITING)
		shadow = NULL;
	rcl_mod_folio_state(m, f, NR_FILE_PAGES, -1);
	if (likely(slot))
		old = rcl_radix_store_slot(m, mapping, slot, f->index, shadow);
	else
		old = rcl_radix_store(m, mapping, f->index, shadow);
	RCL_ASSERT(old == f);
	mapping->nr_pages--;
	hint_set(&f->private_, 0);
	__atomic_store_n(&f->mapping, NULL, __ATOMIC_RELAXED);
}

struct folio *rcl_filemap_grab_folio(struct rcl *m, struct mapping *mapping, u64 index, gfp_t gfp)
{
	for (;;) {
		struct folio *f = rcl_filemap_get_folio(m, mapping, index);
		int err;

		if (f) {
			folio_lock(m, f);
			if (likely(f->mapping == mapping))
				return f;
			folio_unlock(m, f);
			folio_put(m, f);
			continue;
		}
		f = rcl_alloc_pages(m, gfp, 0);
		if (!f)
			return NULL;
		err = rcl_filemap_add_folio(m, mapping, f, index, gfp);
		if (!err)
			return f;
		folio_put(m, f);
		if (err != -EEXIST)
			return NULL;
	}
}

int rcl_filemap_read_folio(struct rcl *m, struct file *file, struct folio *f)
{
	folio_clear(f, PG_error);
	if (!rcl_file_read_alone(m, f, true))
		rcl_folio_wait_locked(m, f);
	if (folio_test(f, PG_uptodate))
		return 0;
	hint_set(&file->ra_pages,
		 hint_read(&file->ra_pages) /
			 4); /* a bad medium: do not run into the same error with each page */
	return -EIO;
}

/* ---- page fault ---------------------------------------------------------------------------- */

/* What a fault attempt knows: may it still release the mmap lock, and has it? */
struct fault {
	struct vma *vma;
	struct file *file;
	u64 index;
	bool first;
	bool dropped;
};

static void drop_mmap_lock(struct rcl *m, struct fault *fa)
{
	if (fa->first && !fa->dropped) {
		mmap_unlock(m, fa->vma->mm);
		fa->dropped = true;
	}
}

/* The page is absent: read it together with its neighbours, if that has paid lately. */
static void sync_mmap_readahead(struct rcl *m, struct fault *fa)
{
	struct file *file = fa->file;
	u32 miss, pages = hint_read(&file->ra_pages);
	struct folio *f;

	if (fa->vma->flags & VM_RAND_READ || !pages)
		return;
	if (fa->vma->flags & VM_SEQ_READ) {
		drop_mmap_lock(m, fa);
		f = rcl_page_cache_sync_ra(m, file, fa->index, pages, NULL);
		if (f)
			folio_put(m, f);
		return;
	}
	miss = hint_read(&file->mmap_miss);
	if (miss < MMAP_LOTSAMISS * 10)
		hint_set(&file->mmap_miss, ++miss);
	if (miss > MMAP_LOTSAMISS)
		return;
	drop_mmap_lock(m, fa);
	hint_set(&file->ra_start, fa->index > pages / 2 ? fa->index - pages / 2 : 0);
	hint_set(&file->ra_size, pages);
	hint_set(&file->ra_async_size, pages / 4);
	rcl_page_cache_ra_window(m, file);
}

/* The page is there: a hit; and if it carries the marker, time to read on. */
static void async_mmap_readahead(struct rcl *m, struct fault *fa, struct folio *f)
{
	struct file *file = fa->file;
	u32 miss, pages = hint_read(&file->ra_pages);

	if (fa->vma->flags & VM_RAND_READ || !pages)
		return;
	miss = hint_read(&file->mmap_miss);
	if (miss)
		hint_set(&file->mmap_miss, miss - 1);
	if (folio_test(f, PG_readahead_)) {
		drop_mmap_lock(m, fa);
		rcl_page_cache_async_ra(m, file, f, fa->index, pages);
	}
}

/* The folio at index with a reference, unlocked; created and empty when absent. */
static struct folio *get_or_create(struct rcl *m, struct mapping *mapping, u64 index)
{
	for (;;) {
		struct folio *f = rcl_filemap_get_folio(m, mapping, index);
		int err;

		if (f)
			return f;
		f = rcl_alloc_pages(m, GFP_HIGHUSER_MOVABLE, 0);
		if (!f)
			return NULL;
		err = rcl_filemap_add_folio(m, mapping, f, index, GFP_HIGHUSER_MOVABLE);
		if (!err) {
			folio_unlock(m, f);
			return f;
		}
		folio_put(m, f);
		if (err != -EEXIST)
			return NULL;
	}
}

struct folio *rcl_filemap_fault(struct rcl *m, struct vma *vma, struct file *file, u64 index,
				bool exec, bool *major, bool *retry, int *error)
{
	struct fault fa = {.vma = vma, .file = file, .index = index, .first = !*retry};
	struct mapping *mapping = file->mapping;
	bool waited = false;
	struct folio *f;

	(void)exec; /* 6.1 reads executable mappings like others */
	*retry = false;
	*error = 0;
	if (index >= __atomic_load_n(&mapping->size, __ATOMIC_RELAXED)) {
		*error = -ENODATA;
		return NULL;
	}
	f = rcl_filemap_get_folio(m, mapping, index);
	if (likely(f)) {
		if (fa.first)
			async_mmap_readahead(m, &fa, f);
	} else {
		count_vm_event(m, PGMAJFAULT);
		rcl_current(m)->maj_flt++;
		rcl_count_memcg_events(vma->mm->memcg ? vma->mm->memcg : m->root_memcg, PGMAJFAULT,
				       1);
		*major = true;
		sync_mmap_readahead(m, &fa);
	}
	for (;; f = NULL) {
		if (!f)
			f = get_or_create(m, mapping, index);
		if (!f) {
			if (fa.dropped)
				*retry = true;
			else
				*error = -ENOMEM;
			return NULL;
		}
		if (unlikely(!folio_trylock(f))) {
			drop_mmap_lock(m, &fa);
			folio_lock(m, f);
			waited = true;
		}
		if (unlikely(f->mapping != mapping)) {
			folio_unlock(m, f);
			folio_put(m, f);
			continue;
		}
		if (likely(folio_test(f, PG_uptodate))) {
			if (likely(!fa.dropped))
				return f;
			folio_unlock(m, f);
			break;
		}
		/* New, or its read failed: read it alone. Only the second attempt reports errors.
		 */
		drop_mmap_lock(m, &fa);
		*error = rcl_filemap_read_folio(m, file, f);
		if (fa.dropped)
			break;
		if (*error) {
			folio_put(m, f);
			return NULL;
		}
		folio_put(m, f);
	}
	folio_put(m, f);
	if (waited && rcl_is_threaded(m))
		rcl_page_cache_ra_resume(m, file, index);
	*error = 0;
	*retry = true;
	return NULL;
}
