/* SPDX-License-Identifier: MIT */
/* The sleeping reader-writer lock of an address space: faults read, layout changes write. */
#ifndef RCL_MM_LOCK_MM_H
#define RCL_MM_LOCK_MM_H

#include "mm/machine.h"
#include "mm/mm.h"

#define MMAP_WRITER  0x80000000u
#define MMAP_WAITERS 0x40000000u
#define MMAP_READERS 0x3fffffffu

void rcl_mmap_lock_slow(struct rcl *m, struct mm *mm, bool write);

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
	rcl_mmap_lock_slow(m, mm, false);
}
static inline void mmap_write_lock(struct rcl *m, struct mm *mm)
{
	u32 v = 0;

	if (!__atomic_compare_exchange_n(&mm->lock, &v, MMAP_WRITER, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		rcl_mmap_lock_slow(m, mm, true);
}
static inline void mmap_unlock(struct rcl *m, struct mm *mm)
{
	u32 v = __atomic_load_n(&mm->lock, __ATOMIC_RELAXED);

	if (likely(!m->threaded && !(v & (MMAP_WRITER | MMAP_WAITERS)))) {
		mm->lock = v - 1;
		return;
	}
	v = v & MMAP_WRITER ? __atomic_and_fetch(&mm->lock, ~MMAP_WRITER, __ATOMIC_RELEASE)
			    : __atomic_sub_fetch(&mm->lock, 1, __ATOMIC_RELEASE);
	/* The last one out lets everybody who waits try again. */
	if (v & MMAP_WAITERS && !(v & MMAP_READERS)) {
		__atomic_and_fetch(&mm->lock, ~MMAP_WAITERS, __ATOMIC_RELEASE);
		rcl_wake(m, &mm->lock, UINT32_MAX);
	}
}

#endif
