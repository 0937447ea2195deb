/* SPDX-License-Identifier: MIT */
/*
 * Pins: a page-table word that says "in use, leave it" (host platform).
 *
 * Bits 48..57 of a present page-table word count its pins, bits 58..63 those of them that are for
 * writing. A pin is taken and dropped with one
 * compare-and-swap on the word and no lock, so whoever changes a present word, pinned or not, does
 * that with a compare-and-swap too (pte_change in mm.h). While the count is not 0 the word keeps
 * its frame: reclaim, munmap and madvise leave the page alone.
 *
 * A page of a file that is pinned for writing is not written back: what a pin's owner has half
 * changed does not reach the disk. Background writeback and reclaim pass over it, fsync waits.
 * While it is being written back it cannot be pinned for writing, so what reaches the disk is what
 * the page was between two such pins.
 *
 * Words live in page tables, which go with munmap (and a moving mremap). Whoever pins without
 * mm->lock, or keeps a pointer to a word, sees to it that its range stays mapped meanwhile.
 *
 * Words have versions, for optimistic readers: bits 44..47 count the pins for writing that have
 * ended. What four bits cannot tell apart, the version of the word's table does (pte_version in
 * mm.h): it changes before a count goes from 15 to 0, and when a word of the table has lost its
 * frame. So the version of a page that is written to lies in the word, which its reader reads
 * anyway, and that of half a thousand pages that are not is one number that stays in the cache.
 * The price: a page lost, or a sixteenth write, makes whoever is reading one of the table's others
 * try again. Versions are only kept for address spaces that ask for it (mm->versions).
 *
 * An optimistic reader takes the version, then a word without pins for writing, looks at the page,
 * and then finds the same word (but for pins for reading, accessed and dirty), and after that the
 * same version. Then what it has seen was the page, and nobody wrote to it: had it seen a byte
 * of a write, then the word would have the writer's pin, or another count of writes, or the pin is
 * over and the version was changed before it went. Pages change only under such pins, so who reads
 * this way must not write to the page's file by other ways.
 */
#ifndef RCL_MM_PIN_H
#define RCL_MM_PIN_H

#include "mm/mm.h"

#define PTE_PIN		   (1ull << PTE_PIN_SHIFT)
#define PTE_MAX_PINS	   1023u
#define PTE_WRITE_PIN	   (1ull << PTE_WRITE_PIN_SHIFT)
#define PTE_MAX_WRITE_PINS 63u

static inline u32 pte_pins(pte_t p)
{
	return (u32)(p >> PTE_PIN_SHIFT & PTE_MAX_PINS);
}
static inline u32 pte_write_pins(pte_t p)
{
	return (u32)(p >> PTE_WRITE_PIN_SHIFT);
}
/* What a pin adds to the word. */
static inline u64 pte_pin_of(bool write)
{
	return write ? PTE_PIN + PTE_WRITE_PIN : PTE_PIN;
}
static inline bool pte_pins_full(pte_t p, bool write)
{
	return pte_pins(p) == PTE_MAX_PINS || (write && pte_write_pins(p) == PTE_MAX_WRITE_PINS);
}

enum pin_how {
	PIN_WRITE = 1,
	PIN_OVERWRITE = 2, /* with PIN_WRITE: all of the page will be written, do not read it */
	PIN_TRY = 4,	   /* -EAGAIN instead of waiting */
	PIN_KEPT = 8,	   /* -ENODATA instead of a new page of zeros */
};

/* Whoever sees what is written to the page from here on sees the pin, too. */
static inline void pin_is_seen_first(void)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

/*
 * The fast way: pin the page if the word allows it just so. False: take rcl_pin_page(). Needs no
 * task. The shared zero page is never pinned: an anonymous page gets a frame at its first pin.
 */
static inline bool rcl_pin_fast(struct mm *mm, pte_t *pte, bool write, u64 *pfn)
{
	pte_t old = __atomic_load_n(pte, __ATOMIC_RELAXED);
	pte_t need = PTE_PRESENT | (write ? PTE_WRITE : 0), new;

	do {
		if ((old & (need | PTE_ZERO)) != need || pte_pins_full(old, write))
			return false;
		new = (old + pte_pin_of(write)) | PTE_ACCESSED | (write ? PTE_DIRTY : 0);
	} while (!__atomic_compare_exchange_n(pte, &old, new, true, __ATOMIC_ACQUIRE,
					      __ATOMIC_RELAXED));
	*pfn = pte_pfn(new);
	if (write && mm->versions)
		pin_is_seen_first();
	return true;
}

/*
 * The long way: fault the page in until it can be pinned. The running task pays. *pte and *pfn say
 * what was pinned. 0, or an error of rcl_handle_fault(); -EBUSY: no more pins of a page are
 * possible, or the page is shared since a fork, pinned, and now to be written; -EAGAIN: PIN_TRY;
 * -ENODATA: PIN_KEPT, or beyond the end of a file.
 */
int rcl_pin_page(struct rcl *m, struct mm *mm, u64 vpn, u32 how, pte_t **pte, u64 *pfn);

/* What becomes of a word when a pin for writing ends. */
static inline pte_t pte_end_write(struct mm *mm, pte_t *pte, pte_t old)
{
	pte_t new = old - pte_pin_of(true);

	if (!mm->versions)
		return new;
	if (unlikely((old & PTE_WRITES) == PTE_WRITES))
		__atomic_fetch_add(pte_version(mm, pte), 1, __ATOMIC_ACQ_REL);
	return (new & ~PTE_WRITES) | ((old + (1ull << PTE_WRITES_SHIFT)) & PTE_WRITES);
}

/* Undo a pin; the long way when a page pinned for writing was cleaned meanwhile (needs a task). */
static inline bool rcl_unpin_fast(struct mm *mm, pte_t *pte, bool write)
{
	pte_t old;

	if (!write) {
		__atomic_fetch_sub(pte, PTE_PIN, __ATOMIC_RELEASE);
		return true;
	}
	old = __atomic_load_n(pte, __ATOMIC_RELAXED);
	do {
		if ((old & (PTE_WRITE | PTE_DIRTY)) != (PTE_WRITE | PTE_DIRTY))
			return false;
	} while (!__atomic_compare_exchange_n(pte, &old, pte_end_write(mm, pte, old), true,
					      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	return true;
}
/* After rcl_unpin_fast() said false: mark the page dirty again, and unpin it. May wait. */
void rcl_unpin_page(struct rcl *m, struct mm *mm, u64 vpn, pte_t *pte);

/*
 * Start reading the pages of [vpn, vpn + nr) that are not there, one plug, and do not wait for any
 * of it. Pages of files and of swap. Allocates and charges, so it may reclaim.
 */
void rcl_pin_prefetch(struct rcl *m, struct mm *mm, u64 vpn, u64 nr);

/* How many pages of [vpn, vpn + nr) are pinned: exact as long as nobody pins or unpins there. */
u64 rcl_count_pinned(struct rcl *m, struct mm *mm, u64 vpn, u64 nr);

#endif
