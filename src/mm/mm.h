/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: vmas, software page tables, faults, reverse mapping, mlock, madvise (algorithm:
 * Linux 6.1 mm/memory.c, mm/rmap.c, mm/mlock.c, mm/madvise.c).
 *
 * A page-table entry is one 64-bit word:
 *
 *   none      0
 *   present   bit 0 set; bit 1 writable; bit 5 accessed; bit 6 dirty; bit 9 the shared zero page;
 *             bits 12..43 frame (upper levels: number of a table); on the host bits 44..47 writes
 *             that have ended, bits 48..63 pins (pin.h)
 *   swapped   bit 0 clear, bit 2 set; bit 1: the page was this process's alone; bits 3..7 swap
 *             area; bits 8..57 offset in it
 *
 * Field legend:  w mm->lock held for writing   p page_table_lock   c constant   A atomic
 */
#ifndef RCL_MM_MM_H
#define RCL_MM_MM_H

#include "mm/filemap.h"
#include "mm/swap.h"
#include "mm/workingset.h"

typedef u64 pte_t;
#define PTE_PRESENT	    (1ull << 0)
#define PTE_WRITE	    (1ull << 1)
#define PTE_SWAP	    (1ull << 2)
#define PTE_ACCESSED	    (1ull << 5)
#define PTE_DIRTY	    (1ull << 6)
#define PTE_ZERO	    (1ull << 9)
#define PTE_SWAP_EXCLUSIVE  PTE_WRITE
#define PTE_PFN_SHIFT	    12
#define PTE_WRITES_SHIFT    44
#define PTE_PIN_SHIFT	    48
#define PTE_WRITE_PIN_SHIFT 58
#define PTE_WRITES	    (15ull << PTE_WRITES_SHIFT)
#define PTE_PINS	    (~0ull << PTE_PIN_SHIFT)

/* Entries change under page_table_lock, but are also looked at without it: a hint, or a second look
 * follows. */
static inline pte_t pte_read(const pte_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}
/* For a word that is not present, with page_table_lock held: nobody else writes such a word. */
static inline void pte_write(pte_t *p, pte_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}
static inline bool pte_present(pte_t p)
{
	return p & PTE_PRESENT;
}
static inline u64 pte_pfn(pte_t p)
{
	return p >> PTE_PFN_SHIFT & 0xffffffffu;
}
static inline pte_t pte_make(u64 pfn, u64 bits)
{
	return pfn << PTE_PFN_SHIFT | PTE_PRESENT | bits;
}
static inline bool pte_pinned(pte_t p)
{
	return p & PTE_PRESENT && p & PTE_PINS;
}
static inline bool pte_is_swap(pte_t p)
{
	return (p & (PTE_PRESENT | PTE_SWAP)) == PTE_SWAP;
}
/* Swap entries: area in bits 3..7, offset from bit 8 on. */
static inline pte_t pte_make_swap(swp_entry_t e)
{
	return swp_offset(e) << 8 | (u64)swp_type(e) << 3 | PTE_SWAP;
}
static inline swp_entry_t pte_swap(pte_t p)
{
	return swp_entry((u32)(p >> 3 & 31), p >> 8);
}

#define PTRS_PER_TABLE 512
/* One page-table page: 512 words, a frame of its own that is allocated and charged. */
struct page_table {
	u64 e[PTRS_PER_TABLE];
};

enum vm_flag {
	VM_READ = 1,
	VM_WRITE = 2,
	VM_EXEC = 4,
	VM_SHARED = 8,
	VM_LOCKED = 16,
	VM_RAND_READ = 32,
	VM_SEQ_READ = 64,
	VM_PRIVATE = 128,   /* of a file: a write copies the page into anonymous memory */
	VM_DROPPABLE = 256, /* anonymous: reclaim drops pages, dirty or not; they never see swap */
	VM_PINNED = 512	    /* rcl_folio_referenced() alone says so: a mapping is pinned */
};

/*
 * Who maps the anonymous folios that were first touched through one vma or its split parts. Once
 * allocated its memory stays an anon_vma until the machine closes: reverse mapping may come to one
 * that has just lost its last vma, and must find a lock and a list there.
 */
struct anon_vma {
	struct spinlock lock;
	u32 refs;	       /* folios do not count: vmas only */
	struct list_head vmas; /* lock: through vma->anon_link */
	struct anon_vma *next; /* while it is nobody's: mm.c */
};

struct vma {
	struct mm *mm;
	u64 start, end;	   /* virtual page numbers, half open */
	u32 flags;	   /* enum vm_flag */
	struct file *file; /* NULL = anonymous */
	u64 pgoff;	   /* index of the page at `start`: in the file, or of anonymous memory */
	struct anon_vma *anon_vma;  /* all but shared file mappings have one */
	struct list_head file_link; /* mapping->i_mmap */
	struct list_head anon_link; /* anon_vma->vmas */
	u64 swap_readahead_info;    /* A: swap_state.c */
};

/*
 * What nobody writes once the address space is in use comes first, in a cache line of its own:
 * every access of every thread reads it.
 */
struct mm {
	struct rcl *m;		   /* c */
	struct memcg *memcg;	   /* c: pays for page tables; NULL = root */
	struct page_table *pgd;	   /* c */
	struct page_table *tables; /* c: of the whole machine, by number */
	u64 last_table; /* vpn >> 9 << 32 | number of the last table looked up (simulator); below */
	size_t version_distance; /* c: pte_version() */
	bool threaded;		 /* c: copy of m->threaded */
	bool versions;		 /* c once used: words have versions (rcl_mm_want_versions) */

	_Alignas(64) u32 lock; /* sleeping reader-writer lock of the layout (mm_lock.h) */
	u32 nr_vmas, cap_vmas; /* w */
	struct vma **vmas;     /* w: by address */
	struct task *writer;   /* A: who holds the lock for writing */
	struct spinlock page_table_lock;
	bool dead; /* A: being or been reaped: nothing may be mapped any more */
	u32 users; /* A: its owner and reapers: the struct goes with the last of them */
	s64 anon_rss, file_rss, swap_ents, table_pages; /* A */
};

static inline bool mm_is_threaded(const struct mm *mm)
{
	return RCL_THREADS && unlikely(mm->threaded);
}

/*
 * The version of a table's words, for optimistic readers (pin.h): it changes whenever one of them
 * loses its frame, or starts to count writes from 0 again. Versions lie in the order of the tables.
 */
static inline u64 *pte_version_at(const pte_t *p, size_t distance)
{
	return (u64 *)((uintptr_t)p / sizeof(struct page_table) * sizeof(u64) + distance);
}
static inline u64 *pte_version(const struct mm *mm, const pte_t *p)
{
	return pte_version_at(p, mm->version_distance);
}

/* A word that counts its writes anew is as good as one without its frame. */
#define PTE_IDENTITY (PTE_PRESENT | PTE_ZERO | PTE_WRITES | 0xffffffffull << PTE_PFN_SHIFT)
static inline bool pte_loses_frame(pte_t old, pte_t new)
{
	return (old & (PTE_PRESENT | PTE_ZERO)) == PTE_PRESENT && (old ^ new) & PTE_IDENTITY;
}
/*
 * Change a word that may be present, so that no pin or access that comes at the same time is lost:
 * false if it is not `old` any more. To take a frame away, page_table_lock is held and the word not
 * pinned.
 */
static inline bool pte_change(struct mm *mm, pte_t *p, pte_t old, pte_t new)
{
	if (!mm_is_threaded(mm)) {
		*p = new;
		return true;
	}
	RCL_DEBUG_ASSERT(!pte_pinned(old) || !pte_loses_frame(old, new));
	if (!__atomic_compare_exchange_n(p, &old, new, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	if (mm->versions && pte_loses_frame(old, new))
		__atomic_fetch_add(pte_version(mm, p), 1, __ATOMIC_ACQ_REL);
	return true;
}
/* Put another entry in a word's place; *old is what it was. False: it is pinned, and stays. */
static inline bool pte_replace(struct mm *mm, pte_t *p, pte_t *old, pte_t new)
{
	do {
		*old = pte_read(p);
		if (unlikely(pte_pinned(*old)))
			return false;
	} while (unlikely(!pte_change(mm, p, *old, new)));
	return true;
}
/* Set and clear bits of a present word. Returns what it was. */
static inline pte_t pte_modify(struct mm *mm, pte_t *p, u64 set, u64 clear)
{
	pte_t old;

	do {
		old = pte_read(p);
	} while (unlikely(!pte_change(mm, p, old, (old | set) & ~clear)));
	return old;
}

int rcl_mm_create(struct rcl *m, struct memcg *memcg, struct mm **out);
/* Nothing in it is pinned, and it is no attached task's. A reaper (OOM) may still be in it. */
void rcl_mm_destroy(struct rcl *m, struct mm *mm);
/* Keep versions of its words from now on. Machines with threads only, before the first pin. */
void rcl_mm_want_versions(struct mm *mm);
/* Keep the struct: against a destroy that comes meanwhile. put: the last one frees it. */
static inline void rcl_mm_get(struct mm *mm)
{
	__atomic_add_fetch(&mm->users, 1, __ATOMIC_RELAXED);
}
void rcl_mm_put(struct mm *mm);
/*
 * Pinned pages stay where they are: what would take them away takes the rest, and says -EBUSY.
 *
 * Map [start, start+pages). file NULL: anonymous memory, pgoff is ignored. Else the file from page
 * pgoff on: shared, or private with VM_PRIVATE. Replaces what was mapped there.
 */
int rcl_mmap(struct rcl *m, struct mm *mm, u64 start, u64 pages, u32 flags, struct file *file,
	     u64 pgoff);
/* -EBUSY: areas with a pinned page are still mapped, but their other pages are gone. */
int rcl_munmap(struct rcl *m, struct mm *mm, u64 start, u64 pages);
/*
 * Move [old, old + old_pages), which lies in one vma, to [new, new + new_pages): pages that fit
 * move along, the rest is unmapped or untouched. The ranges do not overlap, or have the same start.
 * -EBUSY: a pinned page would have to move, and none has; or, shrinking, as with rcl_munmap().
 */
int rcl_mremap(struct rcl *m, struct mm *mm, u64 old, u64 old_pages, u64 new, u64 new_pages);
/*
 * A copy of an address space, as fork() makes it: anonymous pages are shared and copied at the
 * first write of either. The child's tables are charged to its group. -EBUSY: an anonymous page of
 * the parent's is pinned.
 */
int rcl_mm_fork(struct rcl *m, struct mm *parent, struct memcg *memcg, struct mm **out);
enum rcl_madvice {
	RCL_MADV_NORMAL,
	RCL_MADV_RANDOM,
	RCL_MADV_SEQUENTIAL,
	RCL_MADV_DONTNEED,
	RCL_MADV_FREE,
	RCL_MADV_COLD,
	RCL_MADV_PAGEOUT,
	RCL_MADV_WILLNEED
};
/* -EBUSY: DONTNEED, FREE and PAGEOUT have passed over pinned pages. */
int rcl_madvise(struct rcl *m, struct mm *mm, u64 start, u64 pages, enum rcl_madvice advice);
int rcl_mlock(struct rcl *m, struct mm *mm, u64 start, u64 pages);
int rcl_munlock(struct rcl *m, struct mm *mm, u64 start, u64 pages);

/*
 * The running task touches one page. 0, -EFAULT (no vma), -EACCES, -EIO, -ENOMEM, -EINTR (killed).
 * A mapped page costs one page-table word; all else goes to rcl_handle_fault().
 */
int rcl_handle_fault(struct rcl *m, struct mm *mm, u64 vpn, bool write, bool exec);
pte_t *rcl_pte_lookup(struct mm *mm, u64 vpn); /* NULL: no table there */
/*
 * The next access is usually near the last: in the simulator one word holds which table that was
 * and what it covers. Threads would fight for that word, and one that looks up without mm->lock
 * could put a table there that has just been freed: they walk.
 */
#define NO_TABLE UINT64_MAX
static inline pte_t *rcl_pte_fast(struct mm *mm, u64 vpn)
{
	u64 last = __atomic_load_n(&mm->last_table, __ATOMIC_RELAXED);

	if (likely(last >> 32 == vpn >> 9))
		return &mm->tables[(u32)last].e[vpn & 511];
	return rcl_pte_lookup(mm, vpn);
}
static inline int rcl_touch(struct rcl *m, struct mm *mm, u64 vpn, bool write)
{
	pte_t *p = rcl_pte_fast(mm, vpn);
	u64 need = PTE_PRESENT | (write ? PTE_WRITE : 0);
	pte_t old = p ? pte_read(p) : 0;

	if (likely((old & need) == need)) {
		/* (Only with threads can it have changed just now.) */
		if (likely(pte_change(mm, p, old, old | PTE_ACCESSED | (write ? PTE_DIRTY : 0))))
			return 0;
	}
	return rcl_handle_fault(m, mm, vpn, write, false);
}

/* Reverse mapping (rmap.c). The folio is locked except where said. */
/* Count and clear accessed bits; *vm_flags gets the union over mappings. Lock optional (anon). */
int rcl_folio_referenced(struct rcl *m, struct folio *f, bool is_locked, struct memcg *target,
			 u32 *vm_flags);
/* Fetch the first page-table word that one of these will look at. Takes the folio lock or gives up.
 */
void rcl_rmap_fetch(struct rcl *m, struct folio *f);
/* Remove all mappings, moving dirty bits to the folio; anonymous ones become swap entries (or
 * vanish when lazyfree and clean). True: it ended at a pin. */
bool rcl_try_to_unmap(struct rcl *m, struct folio *f);
/*
 * Write-protect and clean all mappings; how many were dirty (shared file writeback). Those pinned
 * for writing stay as they are, and *held says that there are some.
 */
u32 rcl_folio_mkclean(struct rcl *m, struct folio *f, bool *held);
/* One more mapping. A folio that was not anonymous yet becomes so, as the vma's page at vpn. */
void rcl_folio_add_anon_rmap(struct rcl *m, struct folio *f, struct vma *vma, u64 vpn);
void rcl_folio_add_file_rmap(struct rcl *m, struct folio *f, struct vma *vma);
void rcl_folio_remove_rmap(struct rcl *m, struct folio *f, struct vma *vma);

/* An anonymous or file page that is new in a locked vma: straight to the unevictable list. */
void rcl_mlock_new_folio(struct rcl *m, struct folio *f);

/* The vma that holds vpn, or NULL; the first one that ends after vpn, or NULL. mm->lock held. */
struct vma *rcl_find_vma(struct mm *mm, u64 vpn);
struct vma *rcl_next_vma(struct mm *mm, u64 vpn);
/* Split at the borders and change flags of all vmas in the range; -ENOMEM if it has holes. */
int rcl_vma_set_flags(struct mm *mm, u64 start, u64 end, u32 set, u32 clear);
/* Unmap the pages of [start, end) in one vma; page tables stay. mm->lock held. Returns how many
 * stay because they are pinned. */
u64 rcl_zap_range(struct rcl *m, struct vma *vma, u64 start, u64 end);
/* The entry for vpn, with its tables allocated and charged; NULL when out of memory. May wait. */
pte_t *rcl_pte_alloc(struct rcl *m, struct mm *mm, u64 vpn);

/*
 * Unmap everything the address space holds; nothing can be mapped again (OOM reaper). Its tables
 * stay until it is destroyed. Gives up, with nothing unmapped, if its layout stays locked for
 * writing.
 */
void rcl_mm_reap(struct rcl *m, struct mm *mm);
int rcl_mm_init(struct rcl *m);
void rcl_mm_exit(struct rcl *m);
/* Nothing in it may change meanwhile. */
bool rcl_mm_is_valid(struct rcl *m, struct mm *mm);

#endif
