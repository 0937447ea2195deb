/* SPDX-License-Identifier: MIT */
/*
 * The descriptor of one page frame: 64 bytes, one cache line.
 *
 * Frame N of a machine has descriptor m->frames[N]. All user memory is handled in order-0 folios
 * for now; a free block or a slab of higher order is described by its first frame.
 *
 * Reference counts follow the reference: 1 for the page cache or swap cache, 1 per page-table
 * mapping, 1 for being isolated or held by a caller, 1 for sitting in a per-CPU LRU batch, and 1
 * for private buffers. A count frozen to 0 by reclaim cannot be raised by a look-up.
 *
 * Field legend:  L lruvec->lru_lock   P folio lock   Z zone->lock (while free)   A atomic
 *                M mapping->lock or swap area lock    c constant after set-up
 */
#ifndef RCL_MM_PAGE_H
#define RCL_MM_PAGE_H

#include "mm/lock.h"
#include "mm/types.h"

enum folio_flag {
	PG_locked,	/* sleeping lock on identity and I/O */
	PG_waiters,	/* somebody sleeps on PG_locked or PG_writeback */
	PG_uptodate,	/* content is valid */
	PG_dirty,	/* content is newer than the backing store */
	PG_writeback,	/* being written */
	PG_referenced,	/* used once since the last look */
	PG_active,	/* belongs on an active list */
	PG_workingset,	/* was active before */
	PG_lru,		/* on an LRU list */
	PG_unevictable, /* on the unevictable list */
	PG_mlocked,	/* mapped by a VM_LOCKED vma */
	PG_reclaim,	/* free as soon as written; on a clean page: readahead marker */
	PG_swapbacked,	/* backed by swap (anonymous, not lazyfree) */
	PG_swapcache,	/* private_ holds the swap entry */
	PG_private,	/* private_ holds buffer heads */
	PG_error,	/* last I/O failed */
	PG_anon,	/* mapping points to an anon_vma, not a page cache */
	PG_buddy,	/* head of a free block; order valid */
	PG_slab,	/* head of a slab */
	PG_table,	/* a page table */
	PG_reserved,	/* never given out */
	PG_exclusive,	/* anonymous and mapped by one process only */
	PG_pfmemalloc,	/* from the reserves */
	PG_readahead_ = PG_reclaim,
	PG_threaded = 31 /* constant: flag and count updates must be atomic (host platform) */
};
#define BIT(n) (1u << (n))

struct folio {
	u32 flags;	      /* A: enum folio_flag */
	s32 refcount;	      /* A */
	struct list_head lru; /* L: LRU list; Z: free list; P: private lists while isolated */
	union {
		struct mapping *mapping;   /* P+M: file folios */
		struct anon_vma *anon_vma; /* P: anonymous folios (PG_anon) */
		struct kmem_slab *slab;	   /* slabs */
	};
	u64 index;    /* P: page offset in the file, or virtual page number when anonymous */
	u64 private_; /* P: swap entry, or buffer heads, or a file folio's place (folio_slot) */
	struct memcg *memcg; /* set while charged, else NULL */
	s32 mapcount;	     /* A: page-table entries that map this folio */
	u8 zone_node;	     /* c: zone index (low 3 bits), node (high 5 bits) */
	u8 order;	     /* order of the block this folio heads */
	u8 migratetype;	     /* Z: list a free block stands on; pcp list while in a per-CPU list */
	u8 mlock_count;	     /* L: number of VM_LOCKED mappings, saturating, while unevictable */
};
_Static_assert(sizeof(struct folio) == 64, "a frame descriptor is one cache line");

static inline u32 folio_flags(const struct folio *f)
{
	return __atomic_load_n(&f->flags, __ATOMIC_RELAXED);
}
static inline bool folio_test(const struct folio *f, enum folio_flag bit)
{
	return folio_flags(f) & BIT(bit);
}
static inline void folio_set(struct folio *f, enum folio_flag bit)
{
	u32 v = folio_flags(f);
	if (!RCL_THREADS || likely(!(v & BIT(PG_threaded))))
		f->flags = v | BIT(bit);
	else
		__atomic_fetch_or(&f->flags, BIT(bit), __ATOMIC_ACQ_REL);
}
static inline void folio_clear(struct folio *f, enum folio_flag bit)
{
	u32 v = folio_flags(f);
	if (!RCL_THREADS || likely(!(v & BIT(PG_threaded))))
		f->flags = v & ~BIT(bit);
	else
		__atomic_fetch_and(&f->flags, ~BIT(bit), __ATOMIC_ACQ_REL);
}
/* Set / clear and tell what was there before. */
static inline bool folio_test_set(struct folio *f, enum folio_flag bit)
{
	u32 v = folio_flags(f);
	if (!RCL_THREADS || likely(!(v & BIT(PG_threaded))))
		f->flags = v | BIT(bit);
	else
		v = __atomic_fetch_or(&f->flags, BIT(bit), __ATOMIC_ACQ_REL);
	return v & BIT(bit);
}
static inline bool folio_test_clear(struct folio *f, enum folio_flag bit)
{
	u32 v = folio_flags(f);
	if (!RCL_THREADS || likely(!(v & BIT(PG_threaded))))
		f->flags = v & ~BIT(bit);
	else
		v = __atomic_fetch_and(&f->flags, ~BIT(bit), __ATOMIC_ACQ_REL);
	return v & BIT(bit);
}

static inline s32 folio_ref_count(const struct folio *f)
{
	return __atomic_load_n(&f->refcount, __ATOMIC_RELAXED);
}
static inline void folio_ref_add(struct folio *f, s32 n)
{
	if (!RCL_THREADS || likely(!folio_test(f, PG_threaded)))
		f->refcount += n;
	else
		__atomic_add_fetch(&f->refcount, n, __ATOMIC_ACQ_REL);
}
static inline void folio_get(struct folio *f)
{
	RCL_DEBUG_ASSERT(folio_ref_count(f) > 0);
	folio_ref_add(f, 1);
}
/* Take a reference unless the count is 0 (free or frozen). */
static inline bool folio_try_get(struct folio *f)
{
	s32 c = folio_ref_count(f);
	if (!RCL_THREADS || likely(!folio_test(f, PG_threaded))) {
		if (c)
			f->refcount = c + 1;
		return c;
	}
	while (c && !__atomic_compare_exchange_n(&f->refcount, &c, c + 1, true, __ATOMIC_ACQ_REL,
						 __ATOMIC_RELAXED))
		;
	return c;
}
static inline bool folio_put_testzero(struct folio *f)
{
	RCL_DEBUG_ASSERT(folio_ref_count(f) > 0);
	if (!RCL_THREADS || likely(!folio_test(f, PG_threaded)))
		return --f->refcount == 0;
	return __atomic_sub_fetch(&f->refcount, 1, __ATOMIC_ACQ_REL) == 0;
}
/* Freeze: if the count is exactly n, make it 0 and own the folio. */
static inline bool folio_ref_freeze(struct folio *f, s32 n)
{
	if (!RCL_THREADS || likely(!folio_test(f, PG_threaded))) {
		if (f->refcount != n)
			return false;
		f->refcount = 0;
		return true;
	}
	return __atomic_compare_exchange_n(&f->refcount, &n, 0, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}
static inline void folio_ref_unfreeze(struct folio *f, s32 n)
{
	__atomic_store_n(&f->refcount, n, __ATOMIC_RELEASE);
}

static inline u32 folio_zone_idx(const struct folio *f)
{
	return f->zone_node & 7;
}
static inline u32 folio_node_id(const struct folio *f)
{
	return f->zone_node >> 3;
}
static inline bool folio_mapped(const struct folio *f)
{
	return __atomic_load_n(&f->mapcount, __ATOMIC_RELAXED) > 0;
}
static inline bool folio_is_anon(const struct folio *f)
{
	return folio_test(f, PG_anon);
}
/* File LRU: page cache and lazyfree folios. */
static inline bool folio_is_file_lru(const struct folio *f)
{
	return !folio_test(f, PG_swapbacked);
}

/* The folio lock. trylock never waits; lock waits uninterruptibly (I/O accounting in psi). */
static inline bool folio_trylock(struct folio *f)
{
	return !folio_test_set(f, PG_locked);
}
void rcl_folio_lock_slow(struct rcl *m, struct folio *f);
static inline void folio_lock(struct rcl *m, struct folio *f)
{
	if (unlikely(!folio_trylock(f)))
		rcl_folio_lock_slow(m, f);
}
void rcl_folio_wake(struct rcl *m, struct folio *f);
static inline void folio_unlock(struct rcl *m, struct folio *f)
{
	RCL_DEBUG_ASSERT(folio_test(f, PG_locked));
	folio_clear(f, PG_locked);
	if (unlikely(folio_test(f, PG_waiters)))
		rcl_folio_wake(m, f);
}
/* Wait until the folio is not locked / not under writeback. The caller holds a reference. */
void rcl_folio_wait_locked(struct rcl *m, struct folio *f);
void rcl_folio_wait_writeback(struct rcl *m, struct folio *f);

/* Drop a reference; the last one takes the folio off its LRU list, uncharges and frees it. */
void rcl_folio_put_last(struct rcl *m, struct folio *f);
static inline void folio_put(struct rcl *m, struct folio *f)
{
	if (folio_put_testzero(f))
		rcl_folio_put_last(m, f);
}

#endif
