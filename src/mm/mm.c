/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: their layout, and the page tables under it.
 *
 * Layout: an array of vmas ordered by address, never overlapping. Mapping over something replaces
 * it; unmapping a part splits a vma. Split, moved and forked parts share the anon_vma of the whole,
 * since folios remember only that and their index in it.
 *
 * Page tables: four levels of 512 entries. Each table is one frame, allocated and charged as the
 * reference does (top and third level are charged but not counted in nr_page_table_pages). Its
 * content lives elsewhere, in address space reserved at open for as many tables as there are
 * frames: tables have numbers, given out densely, and an entry of an upper level holds the child's
 * number where a leaf holds a frame. A table is all zero when it is freed, hence when it is
 * allocated.
 *
 * Tables are freed when munmap leaves no vma in the range they span; MADV_DONTNEED keeps them.
 *
 * Pinned pages (pin.h) are never taken away: a vma with such a page outlives munmap, with the
 * tables under it.
 *
 * An address space belongs to whoever made it, who destroys it when nobody is in it. Only a reaper
 * may come at any time: it finds the address space through a task and keeps the struct (users).
 *
 * Reaping: the OOM killer takes a victim's memory without waiting for it to die. It reads the
 * layout under mm->lock like a fault, but past waiting writers, since it may be in a fault of this
 * very address space; writers that hold the lock may themselves wait for memory (fork, mremap), so
 * it waits for them no longer than a second and then leaves the memory to the victim's exit. Faults
 * look at mm->dead under page_table_lock before they map anything: what they map before it is set,
 * the reaper finds; after that they map nothing.
 *
 * Locking: layout under mm->lock (readers fault, writers map and unmap); words under
 * page_table_lock. Tables appear under page_table_lock and go only with mm->lock held for writing,
 * after the vmas they served have left reverse mapping: so a walk from there, which holds no
 * mm->lock, finds the tables of the vma it came by.
 */
#include "mm/mm.h"

#include <stdlib.h>

#include "mm/mm_internal.h"
#include "mm/mm_lock.h"

/*
 * What page tables hold is not where their frames are: frames hold nothing in the simulator, and on
 * the host tables want to be close together, so that huge pages serve them. Table N of the machine
 * is tables[N]; numbers are given out from 0 on and used again. table_frames[N] is its frame, or,
 * while the number is free, the next free one.
 */
struct mm_state {
	struct page_table *tables; /* c */
	u64 *versions;		   /* c: of each (pte_version); NULL without threads */
	u32 *table_frames;	   /* lock: while free; else c */
	struct spinlock lock;
	u32 free_table, nr_tables;	 /* lock: first free number, NIL; numbers ever used */
	struct anon_vma *free_anon_vmas; /* lock */
};
#define NIL UINT32_MAX

static size_t versions_size(const struct rcl *m)
{
	return m->nr_frames * sizeof(u64);
}

int rcl_mm_init(struct rcl *m)
{
	struct mm_state *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->tables = m->plat->ops->reserve(m->plat, m->nr_frames * PAGE_SIZE);
	s->table_frames = m->plat->ops->reserve(m->plat, m->nr_frames * sizeof(u32));
	s->free_table = NIL;
	m->mm_state = s;
	spin_init(&s->lock, m->threaded);
	if (m->threaded)
		s->versions = m->plat->ops->reserve(m->plat, versions_size(m));
	if (s->tables && s->table_frames && (s->versions || !m->threaded))
		return 0;
	rcl_mm_exit(m);
	return -ENOMEM;
}

void rcl_mm_exit(struct rcl *m)
{
	struct mm_state *s = m->mm_state;

	if (!s)
		return;
	while (s->free_anon_vmas) {
		struct anon_vma *av = s->free_anon_vmas;

		s->free_anon_vmas = av->next;
		free(av);
	}
	if (s->versions)
		m->plat->ops->release(m->plat, s->versions, versions_size(m));
	if (s->table_frames)
		m->plat->ops->release(m->plat, s->table_frames, m->nr_frames * sizeof(u32));
	if (s->tables)
		m->plat->ops->release(m->plat, s->tables, m->nr_frames * PAGE_SIZE);
	free(s);
	m->mm_state = NULL;
}

#define REAP_TRIES 10

bool rcl_mmap_lock_slow(struct rcl *m, struct mm *mm, enum mmap_lock_mode mode)
{
	u32 v = __atomic_load_n(&mm->lock, __ATOMIC_RELAXED);
	u64 timeout = mode == MMAP_REAP ? RCL_NSEC_PER_SEC / 10 : RCL_FOREVER;

	for (u32 waits = 0;;) {
		u32 busy = MMAP_WRITER, taken = v + 1;

		if (mode == MMAP_WRITE) {
			busy |= MMAP_READERS;
			taken = v | MMAP_WRITER;
		} else if (mode == MMAP_READ && !waits) {
			busy |= MMAP_WAITERS;
		}
		if (!(v & busy)) {
			if (__atomic_compare_exchange_n(&mm->lock, &v, taken, false,
							__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
				return true;
			continue;
		}
		if (mode == MMAP_REAP &&
		    (waits == REAP_TRIES ||
		     __atomic_load_n(&mm->writer, __ATOMIC_RELAXED) == rcl_current(m)))
			return false;
		if (!(v & MMAP_WAITERS) &&
		    !__atomic_compare_exchange_n(&mm->lock, &v, v | MMAP_WAITERS, false,
						 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			continue;
		rcl_wait_on(m, &mm->lock, v | MMAP_WAITERS, timeout, false);
		waits++;
		v = __atomic_load_n(&mm->lock, __ATOMIC_RELAXED);
	}
}

/* ---- page tables ------------------------------------------------------------------------- */

static struct page_table *table_of(struct rcl *m, u64 number)
{
	return ((struct mm_state *)m->mm_state)->tables + number;
}

static u32 table_number(struct rcl *m, const struct page_table *t)
{
	return (u32)(t - ((struct mm_state *)m->mm_state)->tables);
}

/* There are as many numbers as frames. */
static struct page_table *take_number(struct rcl *m, const struct folio *f)
{
	struct mm_state *s = m->mm_state;
	u32 n;

	spin_lock(&s->lock);
	n = s->free_table;
	if (n != NIL)
		s->free_table = s->table_frames[n];
	else
		n = s->nr_tables++;
	s->table_frames[n] = (u32)folio_pfn(m, f);
	spin_unlock(&s->lock);
	return s->tables + n;
}

static struct folio *release_number(struct rcl *m, u32 n)
{
	struct mm_state *s = m->mm_state;
	struct folio *f = pfn_folio(m, s->table_frames[n]);

	spin_lock(&s->lock);
	s->table_frames[n] = s->free_table;
	s->free_table = n;
	spin_unlock(&s->lock);
	return f;
}

/* Tables with leaf entries and those right above count as page tables in the statistics. */
static bool level_counted(int level)
{
	return level < 2;
}

static struct page_table *alloc_table(struct rcl *m, struct mm *mm, int level)
{
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO;
	struct folio *f = rcl_alloc_pages(m, gfp, 0);

	if (!f)
		return NULL;
	if (rcl_memcg_charge_kmem(m, mm->memcg, gfp, 1)) {
		folio_ref_unfreeze(f, 0);
		rcl_free_pages(m, f, 0);
		return NULL;
	}
	folio_set(f, PG_table);
	shared_add(&mm->table_pages, 1, m->threaded);
	if (level_counted(level))
		rcl_mod_lruvec_state(rcl_memcg_lruvec(m, mm->memcg, folio_node(m, f)), NR_PAGETABLE,
				     1);
	return take_number(m, f);
}

static void free_table(struct rcl *m, struct mm *mm, struct page_table *t, int level)
{
	u32 number = table_number(m, t);
	struct folio *f;

#ifdef RCL_DEBUG_CHECKS
	for (int i = 0; i < PTRS_PER_TABLE; i++)
		RCL_ASSERT(!t->e[i]);
#endif
	if (!mm_is_threaded(mm) && (u32)mm->last_table == number)
		mm->last_table = NO_TABLE;
	f = release_number(m, number);
	shared_add(&mm->table_pages, -1, m->threaded);
	if (level_counted(level))
		rcl_mod_lruvec_state(rcl_memcg_lruvec(m, mm->memcg, folio_node(m, f)), NR_PAGETABLE,
				     -1);
	rcl_memcg_uncharge_kmem(m, mm->memcg, 1);
	folio_clear(f, PG_table);
	folio_ref_unfreeze(f, 0);
	rcl_free_pages(m, f, 0);
}

static u32 slot(u64 vpn, int level)
{
	return vpn >> (TABLE_SHIFT * level) & (PTRS_PER_TABLE - 1);
}

static pte_t *remember(struct mm *mm, struct page_table *t, u64 vpn)
{
	if (!mm_is_threaded(mm))
		mm->last_table = vpn >> TABLE_SHIFT << 32 | (u64)(t - mm->tables);
	return &t->e[slot(vpn, 0)];
}

/* An upper level's entry is set once while others look. */
static u64 upper_entry(const struct page_table *t, u64 vpn, int level)
{
	return __atomic_load_n(&t->e[slot(vpn, level)], __ATOMIC_ACQUIRE);
}

pte_t *rcl_pte_lookup(struct mm *mm, u64 vpn)
{
	struct rcl *m = mm->m;
	struct page_table *t = mm->pgd;

	for (int level = TABLE_LEVELS - 1; level > 0; level--) {
		u64 e = upper_entry(t, vpn, level);

		if (!pte_present(e))
			return NULL;
		t = table_of(m, pte_pfn(e));
	}
	return remember(mm, t, vpn);
}

pte_t *rcl_pte_alloc(struct rcl *m, struct mm *mm, u64 vpn)
{
	struct page_table *t = mm->pgd;

	for (int level = TABLE_LEVELS - 1; level > 0; level--) {
		u64 *e = &t->e[slot(vpn, level)];

		if (!pte_present(upper_entry(t, vpn, level))) {
			struct page_table *child = alloc_table(m, mm, level - 1);
			bool lost;

			if (!child)
				return NULL;
			spin_lock(&mm->page_table_lock);
			/* Allocating may have waited while another thread filled the entry. */
			lost = pte_present(*e);
			if (!lost)
				__atomic_store_n(e, pte_make(table_number(m, child), PTE_WRITE),
						 __ATOMIC_RELEASE);
			spin_unlock(&mm->page_table_lock);
			if (lost)
				free_table(m, mm, child, level - 1);
		}
		t = table_of(m, pte_pfn(upper_entry(t, vpn, level)));
	}
	return remember(mm, t, vpn);
}

/* Free the tables below t[level] (which covers addresses from base on) that lie in [start, end). */
static void free_tables(struct rcl *m, struct mm *mm, struct page_table *t, int level, u64 base,
			u64 start, u64 end)
{
	u64 span = 1ull << (TABLE_SHIFT * level);
	u64 first = start > base ? (start - base) / span : 0;

	for (u64 i = first; i < PTRS_PER_TABLE && base + i * span < end; i++) {
		u64 lo = base + i * span;
		struct page_table *child;

		if (!pte_present(t->e[i]))
			continue;
		child = table_of(m, pte_pfn(t->e[i]));
		if (level > 1)
			free_tables(m, mm, child, level - 1, lo, start, end);
		if (lo >= start && lo + span <= end) {
			__atomic_store_n(&t->e[i], 0, __ATOMIC_RELAXED);
			free_table(m, mm, child, level - 1);
		}
	}
}

/* ---- vmas -------------------------------------------------------------------------------- */

/* Index of the first vma that ends after vpn. */
static u32 vma_index(struct mm *mm, u64 vpn)
{
	u32 lo = 0, hi = mm->nr_vmas;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (mm->vmas[mid]->end > vpn)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

struct vma *rcl_find_vma(struct mm *mm, u64 vpn)
{
	u32 i = vma_index(mm, vpn);

	return i < mm->nr_vmas && mm->vmas[i]->start <= vpn ? mm->vmas[i] : NULL;
}

struct vma *rcl_next_vma(struct mm *mm, u64 vpn)
{
	u32 i = vma_index(mm, vpn);

	return i < mm->nr_vmas ? mm->vmas[i] : NULL;
}

static struct anon_vma *new_anon_vma(struct rcl *m)
{
	struct mm_state *s = m->mm_state;
	struct anon_vma *av;

	spin_lock(&s->lock);
	av = s->free_anon_vmas;
	if (av)
		s->free_anon_vmas = av->next;
	spin_unlock(&s->lock);
	if (av)
		return av;
	av = calloc(1, sizeof(*av));
	if (!av)
		return NULL;
	spin_init(&av->lock, m->threaded);
	list_init(&av->vmas);
	return av;
}

/* Its list is empty, and stays a list. */
static void free_anon_vma(struct rcl *m, struct anon_vma *av)
{
	struct mm_state *s = m->mm_state;

	spin_lock(&s->lock);
	av->next = s->free_anon_vmas;
	s->free_anon_vmas = av;
	spin_unlock(&s->lock);
}

static void rmap_link(struct vma *vma)
{
	if (vma->file) {
		struct mapping *mapping = vma->file->mapping;

		spin_lock(&mapping->i_mmap_lock);
		list_add_tail(&vma->file_link, &mapping->i_mmap);
		spin_unlock(&mapping->i_mmap_lock);
	}
	if (vma->anon_vma) {
		spin_lock(&vma->anon_vma->lock);
		vma->anon_vma->refs++;
		list_add_tail(&vma->anon_link, &vma->anon_vma->vmas);
		spin_unlock(&vma->anon_vma->lock);
	}
}

static void rmap_unlink(struct vma *vma)
{
	struct anon_vma *av = vma->anon_vma;

	if (vma->file) {
		struct mapping *mapping = vma->file->mapping;

		spin_lock(&mapping->i_mmap_lock);
		list_del(&vma->file_link);
		spin_unlock(&mapping->i_mmap_lock);
	}
	if (av) {
		u32 left;

		spin_lock(&av->lock);
		list_del(&vma->anon_link);
		left = --av->refs;
		spin_unlock(&av->lock);
		if (!left)
			free_anon_vma(vma->mm->m, av);
	}
}

static int insert_vma_at(struct mm *mm, u32 i, struct vma *vma)
{
	if (mm->nr_vmas == mm->cap_vmas) {
		u32 cap = mm->cap_vmas ? 2 * mm->cap_vmas : 16;
		struct vma **v = realloc(mm->vmas, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		mm->vmas = v;
		mm->cap_vmas = cap;
	}
	memmove(&mm->vmas[i + 1], &mm->vmas[i], (mm->nr_vmas - i) * sizeof(*mm->vmas));
	mm->vmas[i] = vma;
	mm->nr_vmas++;
	rmap_link(vma);
	return 0;
}

int rcl_vma_insert(struct mm *mm, struct vma *vma)
{
	return insert_vma_at(mm, vma_index(mm, vma->start), vma);
}

static void remove_vma(struct mm *mm, u32 i)
{
	struct vma *vma = mm->vmas[i];

	memmove(&mm->vmas[i], &mm->vmas[i + 1], (mm->nr_vmas - i - 1) * sizeof(*mm->vmas));
	mm->nr_vmas--;
	rmap_unlink(vma);
	free(vma);
}

struct vma *rcl_vma_copy(const struct vma *vma)
{
	struct vma *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = (struct vma){.mm = vma->mm,
			     .start = vma->start,
			     .end = vma->end,
			     .flags = vma->flags,
			     .file = vma->file,
			     .pgoff = vma->pgoff,
			     .anon_vma = vma->anon_vma,
			     .swap_readahead_info = hint_read(&vma->swap_readahead_info)};
	return copy;
}

/*
 * Cut a vma in two at vpn (strictly inside). Reverse mapping may come by at any time: it must find
 * each page in one half at least, and does no harm if it finds it in both.
 */
static int split_vma(struct mm *mm, struct vma *vma, u64 vpn)
{
	struct vma *upper = rcl_vma_copy(vma);
	int err;

	if (!upper)
		return -ENOMEM;
	upper->start = vpn;
	upper->pgoff += vpn - vma->start;
	err = insert_vma_at(mm, vma_index(mm, vma->start) + 1, upper);
	if (err)
		free(upper);
	else
		__atomic_store_n(&vma->end, vpn, __ATOMIC_RELAXED);
	return err;
}

int rcl_vma_cut(struct mm *mm, u64 start, u64 end)
{
	u64 cuts[2] = {start, end};

	for (int i = 0; i < 2; i++) {
		struct vma *vma = rcl_find_vma(mm, cuts[i]);
		int err = vma && vma->start < cuts[i] ? split_vma(mm, vma, cuts[i]) : 0;

		if (err)
			return err;
	}
	return 0;
}

int rcl_munmap_locked(struct rcl *m, struct mm *mm, u64 start, u64 end)
{
	u64 lo, hi;
	int err = rcl_vma_cut(mm, start, end);
	u32 i;

	if (err)
		return err;
	for (i = vma_index(mm, start); i < mm->nr_vmas && mm->vmas[i]->start < end;) {
		if (rcl_zap_range(m, mm->vmas[i], mm->vmas[i]->start, mm->vmas[i]->end)) {
			i++;
			err = -EBUSY;
		} else {
			remove_vma(mm, i);
		}
	}
	if (err)
		return err;
	/* Tables may serve neighbours: only the hole around the range is sure to be empty. */
	lo = i ? mm->vmas[i - 1]->end : 0;
	hi = i < mm->nr_vmas ? mm->vmas[i]->start : MM_PAGES;
	free_tables(m, mm, mm->pgd, TABLE_LEVELS - 1, 0, lo, hi);
	return 0;
}

int rcl_mm_create(struct rcl *m, struct memcg *memcg, struct mm **out)
{
	struct mm *mm = aligned_alloc(_Alignof(struct mm), sizeof(*mm));
	struct mm_state *s = m->mm_state;

	if (!mm)
		return -ENOMEM;
	memset(mm, 0, sizeof(*mm));
	mm->m = m;
	mm->memcg = memcg;
	mm->threaded = m->threaded;
	mm->users = 1;
	mm->tables = s->tables;
	if (m->threaded)
		mm->version_distance =
			(uintptr_t)s->versions - (uintptr_t)pte_version_at(s->tables->e, 0);
	mm->last_table = NO_TABLE;
	spin_init(&mm->page_table_lock, m->threaded);
	mm->pgd = alloc_table(m, mm, TABLE_LEVELS - 1);
	if (!mm->pgd) {
		free(mm);
		return -ENOMEM;
	}
	*out = mm;
	return 0;
}

void rcl_mm_destroy(struct rcl *m, struct mm *mm)
{
	int err;

	mmap_write_lock(m, mm);
	err = rcl_munmap_locked(m, mm, 0, MM_PAGES);
	RCL_ASSERT(!err);
	mmap_unlock(m, mm);
	free_table(m, mm, mm->pgd, TABLE_LEVELS - 1);
	RCL_ASSERT(!mm->table_pages && !mm->anon_rss && !mm->file_rss && !mm->swap_ents);
	free(mm->vmas);
	rcl_mm_put(mm);
}

void rcl_mm_put(struct mm *mm)
{
	if (!__atomic_sub_fetch(&mm->users, 1, __ATOMIC_ACQ_REL))
		free(mm);
}

void rcl_mm_want_versions(struct mm *mm)
{
	RCL_ASSERT(mm->threaded);
	mm->versions = true;
}

static int new_vma(struct rcl *m, struct mm *mm, u64 start, u64 pages, u32 flags, struct file *file,
		   u64 pgoff, struct vma **out)
{
	struct vma *vma = calloc(1, sizeof(*vma));

	if (!vma)
		return -ENOMEM;
	*vma = (struct vma){.mm = mm, .start = start, .end = start + pages, .flags = flags};
	vma->file = file;
	vma->pgoff = file ? pgoff : start;
	vma->flags &= ~(u32)VM_SHARED;
	if (file && !(flags & VM_PRIVATE)) {
		vma->flags |= VM_SHARED;
	} else {
		vma->anon_vma = new_anon_vma(m);
		if (!vma->anon_vma) {
			free(vma);
			return -ENOMEM;
		}
	}
	*out = vma;
	return 0;
}

int rcl_mmap(struct rcl *m, struct mm *mm, u64 start, u64 pages, u32 flags, struct file *file,
	     u64 pgoff)
{
	struct vma *vma;
	int err;

	if (!pages || start + pages < start || start + pages > MM_PAGES)
		return -EINVAL;
	err = new_vma(m, mm, start, pages, flags, file, pgoff, &vma);
	if (err)
		return err;
	mmap_write_lock(m, mm);
	err = rcl_munmap_locked(m, mm, start, start + pages);
	if (!err)
		err = rcl_vma_insert(mm, vma);
	mmap_unlock(m, mm);
	if (err) {
		if (vma->anon_vma)
			free_anon_vma(m, vma->anon_vma);
		free(vma);
	}
	return err;
}

int rcl_munmap(struct rcl *m, struct mm *mm, u64 start, u64 pages)
{
	int err;

	if (!pages || start + pages < start)
		return -EINVAL;
	mmap_write_lock(m, mm);
	err = rcl_munmap_locked(m, mm, start, start + pages);
	mmap_unlock(m, mm);
	return err;
}

/* ---- all of a range, all of an address space ----------------------------------------------- */

int rcl_vma_set_flags(struct mm *mm, u64 start, u64 end, u32 set, u32 clear)
{
	int err = rcl_vma_cut(mm, start, end);
	u64 covered = start;

	if (err)
		return err;
	for (u32 i = vma_index(mm, start); i < mm->nr_vmas && mm->vmas[i]->start < end; i++) {
		struct vma *vma = mm->vmas[i];

		if (vma->start > covered)
			return -ENOMEM;
		__atomic_store_n(&vma->flags, (vma->flags & ~clear) | set, __ATOMIC_RELAXED);
		covered = vma->end;
	}
	return covered < end ? -ENOMEM : 0;
}

void rcl_mm_reap(struct rcl *m, struct mm *mm)
{
	__atomic_store_n(&mm->dead, true, __ATOMIC_RELAXED);
	if (!rcl_mmap_lock_slow(m, mm, MMAP_REAP))
		return;
	for (u32 i = 0; i < mm->nr_vmas; i++)
		rcl_zap_range(m, mm->vmas[i], mm->vmas[i]->start, mm->vmas[i]->end);
	mmap_unlock(m, mm);
}

/* Tables below t[level], itself included; negative if there is an entry outside of all vmas. */
static s64 count_tables(struct mm *mm, const struct page_table *t, int level, u64 base)
{
	s64 nr = 1;

	for (u64 i = 0; i < PTRS_PER_TABLE; i++) {
		u64 vpn = base + (i << (TABLE_SHIFT * level));
		s64 below = 0;

		if (!t->e[i])
			continue;
		if (level)
			below = count_tables(mm, mm->tables + pte_pfn(t->e[i]), level - 1, vpn);
		else if (!rcl_find_vma(mm, vpn))
			below = -1;
		if (below < 0)
			return -1;
		nr += below;
	}
	return nr;
}

bool rcl_mm_is_valid(struct rcl *m, struct mm *mm)
{
	s64 anon = 0, file = 0, swapped = 0;

	for (u32 i = 0; i < mm->nr_vmas; i++) {
		struct vma *vma = mm->vmas[i];

		if (vma->start >= vma->end || (i && mm->vmas[i - 1]->end > vma->start))
			return false;
		for (u64 vpn = vma->start; vpn < vma->end; vpn++) {
			pte_t *p = rcl_pte_lookup(mm, vpn);
			struct folio *f;

			if (!p) {
				vpn |= PTRS_PER_TABLE - 1;
				continue;
			}
			if (pte_is_swap(*p)) {
				swapped++;
				if (!rcl_swap_count(m, pte_swap(*p)))
					return false;
			}
			if (!pte_present(*p) || *p & PTE_ZERO)
				continue;
			f = pfn_folio(m, pte_pfn(*p));
			if (!folio_mapped(f) || folio_ref_count(f) < f->mapcount)
				return false;
			if (f->index != vma->pgoff + vpn - vma->start)
				return false;
			if (folio_is_anon(f) ? f->anon_vma != vma->anon_vma
					     : !vma->file || f->mapping != vma->file->mapping)
				return false;
			if (*p & PTE_WRITE && folio_is_anon(f) && !folio_test(f, PG_exclusive))
				return false;
			if (folio_is_anon(f))
				anon++;
			else
				file++;
		}
	}
	return anon == mm->anon_rss && file == mm->file_rss && swapped == mm->swap_ents &&
	       count_tables(mm, mm->pgd, TABLE_LEVELS - 1, 0) == mm->table_pages;
}
