/* SPDX-License-Identifier: MIT */
/*
 * The sleeping reader-writer lock of an address space: faults read, layout changes write. The word
 * holds the number of readers, a bit for a writer, and one that says that somebody waits. The last
 * one out takes that bit off and wakes all waiters, who try again; newcomers queue behind waiting
 * writers once, so nobody starves.
 */
#ifndef RCL_MM_LOCK_MM_H
#define RCL_MM_LOCK_MM_H

#include "mm/machine.h"
#include "mm/mm.h"

#define MMAP_WRITER  0x80000000u
#define MMAP_WAITERS 0x40000000u
#define MMAP_READERS 0x3fffffffu

enum mmap_lock_mode {
	MMAP_READ,
	MMAP_WRITE,
	/* Read, past waiting writers and for a second at most: for a killer that may hold the lock
	 * for reading already. */
	MMAP_REAP
};
/* Wait for the lock. False only for MMAP_REAP: a writer would not leave (or is the caller itself).
 */
bool rcl_mmap_lock_slow(struct rcl *m, struct mm *mm, enum mmap_lock_mode mode);

static inline void mmap_read_lock(struct rcl *m, struct mm *mm)
{
	u32 v = __atomic_load_n(&mm->lock, __ATOMIC_RELAXED);

	if (likely(!(v & (MMAP_WRITER | MMAP_WAITERS)))) {
		if (!m->threaded) {
			mm->lock = v + 1;
			return;
		}
		if (__atomic_compare_exchange_n(&mm->lock, &v, v + 1, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return;
	}
	rcl_mmap_lock_slow(m, mm, MMAP_READ);
}
/* Without waiting. */
static inline bool mmap_read_trylock(struct rcl *m, struct mm *mm)
{
	u32 v = __atomic_load_n(&mm->lock, __ATOMIC_RELAXED);

	(void)m;
	while (!(v & (MMAP_WRITER | MMAP_WAITERS)))
		if (__atomic_compare_exchange_n(&mm->lock, &v, v + 1, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return true;
	return false;
}
static inline void mmap_write_lock(struct rcl *m, struct mm *mm)
{
	u32 v = 0;

	if (!__atomic_compare_exchange_n(&mm->lock, &v, MMAP_WRITER, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		rcl_mmap_lock_slow(m, mm, MMAP_WRITE);
	__atomic_store_n(&mm->writer, rcl_current(m), __ATOMIC_RELAXED);
}
static inline void mmap_unlock(struct rcl *m, struct mm *mm)
{
	u32 v = __atomic_load_n(&mm->lock, __ATOMIC_RELAXED);

	if (likely(!m->threaded && !(v & (MMAP_WRITER | MMAP_WAITERS)))) {
		mm->lock = v - 1;
		return;
	}
	/* (Whoever holds the lock in one way knows that nobody holds it in the other.) */
	if (v & MMAP_WRITER) {
		__atomic_store_n(&mm->writer, NULL, __ATOMIC_RELAXED);
		v = __atomic_and_fetch(&mm->lock, ~MMAP_WRITER, __ATOMIC_RELEASE);
	} else {
		v = __atomic_sub_fetch(&mm->lock, 1, __ATOMIC_RELEASE);
	}
	/* The last one out lets everybody who waits try again. */
	if (v & MMAP_WAITERS && !(v & MMAP_READERS)) {
		__atomic_and_fetch(&mm->lock, ~MMAP_WAITERS, __ATOMIC_RELEASE);
		rcl_wake(m, &mm->lock, UINT32_MAX);
	}
}

#endif
