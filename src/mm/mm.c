/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: their layout, and the page tables under it.
 *
 * Layout: an array of vmas ordered by address, never overlapping. Mapping over something replaces
 * it; unmapping a part splits a vma. Split parts share the anon_vma of the whole, since folios
 * remember only that.
 *
 * Page tables: four levels of 512 entries. Each table is one frame, allocated and charged as the
 * reference does (top and third level are charged but not counted in nr_page_table_pages). Its
 * content lives at tables + frame * 4 KiB, in address space reserved at open for all frames and
 * touched only for those that are tables; so a table's words need no allocation of their own, and
 * an entry of an upper level is the child's frame like any present entry. A table is all zero when
 * it is freed, hence when it is allocated.
 *
 * Tables are freed when munmap leaves no vma in the range they span; MADV_DONTNEED keeps them.
 *
 * A thread's next access is usually near the last: mm->table remembers the last table looked up.
 *
 * Locking: layout under mm->lock (readers fault, writers map and unmap); words under
 * page_table_lock. Tables appear under page_table_lock and go only with mm->lock held for writing.
 */
#include "mm/mm.h"

#include <stdlib.h>

#include "mm/mm_lock.h"

#define TABLE_LEVELS 4
#define TABLE_SHIFT  9

struct mm_state {
	struct page_table *tables; /* content of frame N if it is a page table */
};

int rcl_mm_init(struct rcl *m)
{
	struct mm_state *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->tables = m->plat->ops->reserve(m->plat, m->nr_frames * PAGE_SIZE);
	if (!s->tables) {
		free(s);
		return -ENOMEM;
	}
	m->mm_state = s;
	return 0;
}

void rcl_mm_exit(struct rcl *m)
{
	struct mm_state *s = m->mm_state;

	if (!s)
		return;
	m->plat->ops->release(m->plat, s->tables, m->nr_frames * PAGE_SIZE);
	free(s);
	m->mm_state = NULL;
}

void rcl_mmap_lock_slow(struct rcl *m, struct mm *mm, bool write)
{
	u32 v = __atomic_load_n(&mm->lock, __ATOMIC_RELAXED);

	for (;;) {
		u32 busy = write ? MMAP_WRITER | MMAP_READERS : MMAP_WRITER;
		u32 taken = write ? v | MMAP_WRITER : v + 1;

		if (!(v & busy)) {
			if (__atomic_compare_exchange_n(&mm->lock, &v, taken, false,
							__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
				return;
			continue;
		}
		if (!(v & MMAP_WAITERS) &&
		    !__atomic_compare_exchange_n(&mm->lock, &v, v | MMAP_WAITERS, false,
						 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			continue;
		rcl_wait_on(m, &mm->lock, v | MMAP_WAITERS, RCL_FOREVER, false);
		v = __atomic_load_n(&mm->lock, __ATOMIC_RELAXED);
	}
}

/* ---- page tables ------------------------------------------------------------------------- */

static struct page_table *table_of(struct rcl *m, u64 pfn)
{
	return ((struct mm_state *)m->mm_state)->tables + pfn;
}

static u64 table_pfn(struct rcl *m, const struct page_table *t)
{
	return (u64)(t - ((struct mm_state *)m->mm_state)->tables);
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
		rcl_mod_lruvec_state(rcl_memcg_lruvec(m, mm->memcg, folio_node(m, f)),
				     NR_PAGETABLE, 1);
	return table_of(m, folio_pfn(m, f));
}

static void free_table(struct rcl *m, struct mm *mm, struct page_table *t, int level)
{
	struct folio *f = pfn_folio(m, table_pfn(m, t));

#ifdef RCL_DEBUG_CHECKS
	for (int i = 0; i < PTRS_PER_TABLE; i++)
		RCL_ASSERT(!t->e[i]);
#endif
	if (mm->table == t) {
		mm->table = NULL;
		mm->table_vpn = ~0ull;
	}
	shared_add(&mm->table_pages, -1, m->threaded);
	if (level_counted(level))
		rcl_mod_lruvec_state(rcl_memcg_lruvec(m, mm->memcg, folio_node(m, f)),
				     NR_PAGETABLE, -1);
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
	mm->table = t;
	mm->table_vpn = vpn >> TABLE_SHIFT;
	return &t->e[slot(vpn, 0)];
}

pte_t *rcl_pte_lookup(struct mm *mm, u64 vpn)
{
	struct rcl *m = mm->m;
	struct page_table *t = mm->pgd;

	for (int level = TABLE_LEVELS - 1; level > 0; level--) {
		u64 e = t->e[slot(vpn, level)];

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

		if (!pte_present(*e)) {
			struct page_table *child = alloc_table(m, mm, level - 1);
			bool lost = false;

			if (!child)
				return NULL;
			spin_lock(&mm->page_table_lock);
			/* Allocating may have waited while another thread filled the entry. */
			if (pte_present(*e))
				lost = true;
			else
				*e = pte_make(table_pfn(m, child), PTE_WRITE);
			spin_unlock(&mm->page_table_lock);
			if (lost)
				free_table(m, mm, child, level - 1);
		}
		t = table_of(m, pte_pfn(*e));
	}
	return remember(mm, t, vpn);
}

/* Free the tables below t[level] that lie wholly in [start, end) and hold nothing. */
static void free_tables(struct rcl *m, struct mm *mm, struct page_table *t, int level, u64 base,
			u64 start, u64 end)
{
	u64 span = 1ull << (TABLE_SHIFT * level);

	for (int i = 0; i < PTRS_PER_TABLE; i++) {
		u64 lo = base + (u64)i * span;
		struct page_table *child;

		if (lo + span <= start || lo >= end || !pte_present(t->e[i]))
			continue;
		child = table_of(m, pte_pfn(t->e[i]));
		if (level > 1)
			free_tables(m, mm, child, level - 1, lo, start, end);
		if (lo >= start && lo + span <= end) {
			t->e[i] = 0;
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

static void rmap_link(struct vma *vma)
{
	if (vma->file) {
		struct mapping *mapping = vma->file->mapping;

		spin_lock(&mapping->i_mmap_lock);
		list_add_tail(&vma->rmap_link, &mapping->i_mmap);
		spin_unlock(&mapping->i_mmap_lock);
	} else {
		spin_lock(&vma->anon_vma->lock);
		vma->anon_vma->refs++;
		list_add_tail(&vma->rmap_link, &vma->anon_vma->vmas);
		spin_unlock(&vma->anon_vma->lock);
	}
}

static void rmap_unlink(struct vma *vma)
{
	struct anon_vma *av = vma->anon_vma;
	u32 left;

	if (vma->file) {
		struct mapping *mapping = vma->file->mapping;

		spin_lock(&mapping->i_mmap_lock);
		list_del(&vma->rmap_link);
		spin_unlock(&mapping->i_mmap_lock);
		return;
	}
	spin_lock(&av->lock);
	list_del(&vma->rmap_link);
	left = --av->refs;
	spin_unlock(&av->lock);
	if (!left)
		free(av);
}

static int insert_vma(struct mm *mm, struct vma *vma)
{
	u32 i = vma_index(mm, vma->start);

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

static void remove_vma(struct mm *mm, u32 i)
{
	struct vma *vma = mm->vmas[i];

	memmove(&mm->vmas[i], &mm->vmas[i + 1], (mm->nr_vmas - i - 1) * sizeof(*mm->vmas));
	mm->nr_vmas--;
	rmap_unlink(vma);
	free(vma);
}

/* Cut a vma in two at vpn (strictly inside). */
static int split_vma(struct mm *mm, struct vma *vma, u64 vpn)
{
	struct vma *upper = malloc(sizeof(*upper));
	u64 end = vma->end;
	int err;

	if (!upper)
		return -ENOMEM;
	*upper = *vma;
	upper->start = vpn;
	upper->pgoff += vpn - vma->start;
	vma->end = vpn;
	err = insert_vma(mm, upper);
	if (err) {
		vma->end = end;
		free(upper);
	}
	return err;
}

/* Make vma borders at start and end. */
static int split_range(struct mm *mm, u64 start, u64 end)
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

static int unmap_locked(struct rcl *m, struct mm *mm, u64 start, u64 end)
{
	u64 lo, hi;
	int err = split_range(mm, start, end);
	u32 i;

	if (err)
		return err;
	for (i = vma_index(mm, start); i < mm->nr_vmas && mm->vmas[i]->start < end;) {
		rcl_zap_range(m, mm->vmas[i], mm->vmas[i]->start, mm->vmas[i]->end);
		remove_vma(mm, i);
	}
	/* Tables may serve neighbours: only the hole around the range is sure to be empty. */
	lo = i ? mm->vmas[i - 1]->end : 0;
	hi = i < mm->nr_vmas ? mm->vmas[i]->start : 1ull << (TABLE_SHIFT * TABLE_LEVELS);
	free_tables(m, mm, mm->pgd, TABLE_LEVELS - 1, 0, lo, hi);
	return 0;
}

int rcl_mm_create(struct rcl *m, struct memcg *memcg, struct mm **out)
{
	struct mm *mm = calloc(1, sizeof(*mm));

	if (!mm)
		return -ENOMEM;
	mm->m = m;
	mm->memcg = memcg;
	mm->table_vpn = ~0ull;
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
	err = unmap_locked(m, mm, 0, 1ull << (TABLE_SHIFT * TABLE_LEVELS));
	RCL_ASSERT(!err);
	mmap_unlock(m, mm);
	free_table(m, mm, mm->pgd, TABLE_LEVELS - 1);
	RCL_ASSERT(!mm->table_pages && !mm->anon_rss && !mm->file_rss && !mm->swap_ents);
	free(mm->vmas);
	free(mm);
}

int rcl_mmap(struct rcl *m, struct mm *mm, u64 start, u64 pages, u32 flags, struct file *file,
	     u64 pgoff)
{
	struct vma *vma;
	int err;

	if (!pages || start + pages < start || start + pages > 1ull << (TABLE_SHIFT * TABLE_LEVELS))
		return -EINVAL;
	vma = calloc(1, sizeof(*vma));
	if (!vma)
		return -ENOMEM;
	*vma = (struct vma){
		.mm = mm, .start = start, .end = start + pages, .file = file, .pgoff = pgoff};
	vma->flags = file ? flags | VM_SHARED : flags & ~(u32)VM_SHARED;
	if (!file) {
		vma->anon_vma = calloc(1, sizeof(*vma->anon_vma));
		if (!vma->anon_vma) {
			free(vma);
			return -ENOMEM;
		}
		spin_init(&vma->anon_vma->lock, m->threaded);
		list_init(&vma->anon_vma->vmas);
	}
	mmap_write_lock(m, mm);
	err = unmap_locked(m, mm, start, start + pages);
	if (!err)
		err = insert_vma(mm, vma);
	mmap_unlock(m, mm);
	if (err) {
		free(vma->anon_vma);
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
	err = unmap_locked(m, mm, start, start + pages);
	mmap_unlock(m, mm);
	return err;
}

int rcl_vma_set_flags(struct mm *mm, u64 start, u64 end, u32 set, u32 clear)
{
	int err = split_range(mm, start, end);
	u64 covered = start;

	if (err)
		return err;
	for (u32 i = vma_index(mm, start); i < mm->nr_vmas && mm->vmas[i]->start < end; i++) {
		struct vma *vma = mm->vmas[i];

		if (vma->start > covered)
			return -ENOMEM;
		vma->flags = (vma->flags & ~clear) | set;
		covered = vma->end;
	}
	return covered < end ? -ENOMEM : 0;
}

void rcl_mm_reap(struct rcl *m, struct mm *mm)
{
	/* Readers may be waiting for memory inside a fault: do not wait for them. */
	mm->dead = true;
	for (u32 i = 0; i < mm->nr_vmas; i++)
		rcl_zap_range(m, mm->vmas[i], mm->vmas[i]->start, mm->vmas[i]->end);
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
			if (folio_is_anon(f) ? f->anon_vma != vma->anon_vma || f->index != vpn
					     : f->mapping != vma->file->mapping ||
						       f->index != vma->pgoff + vpn - vma->start)
				return false;
			if (folio_is_anon(f))
				anon++;
			else
				file++;
		}
	}
	return anon == mm->anon_rss && file == mm->file_rss && swapped == mm->swap_ents;
}
