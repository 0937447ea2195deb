/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks, and the lock order of the whole engine.
 *
 * One object code serves both platforms. On the host a lock is a real test-and-set lock; in the
 * simulator tasks are coroutines that only switch where the engine waits, so a lock is a plain word
 * that proves that nobody waits while holding it. Which of the two a lock is, its own word says
 * (SPIN_THREADED), so that the cheap form costs one load and one store.
 *
 * LOCK ORDER, outermost first. A task may take a lock only while it holds locks further up.
 *
 *   mm->lock                     (sleeping) address space layout
 *     folio lock (PG_locked)     (sleeping) a folio's identity and its I/O
 *       mapping->i_mmap_lock     which vmas map a file
 *       anon_vma->lock           which vmas map anonymous folios
 *         mm->page_table_lock    page table entries
 *           swap_area->lock      slots and swap cache of one area
 *           mapping->lock        page cache tree of one file
 *             wb->list_lock      the device's lists of dirty files
 *             lruvec->lru_lock   LRU lists of one (node, memcg)
 *               kmem_cache->lock slabs of one object cache
 *                 zone->lock     buddy free lists
 *                   memcg counters (atomic, no lock)
 *
 * Per-CPU structures (batches, stocks, page lists) are protected by staying on the CPU: the
 * simulator never switches inside, the host takes cpu->lock, which is innermost but for zone->lock.
 */
#ifndef RCL_MM_LOCK_H
#define RCL_MM_LOCK_H

#include "mm/types.h"

/*
 * The engine is also compiled with RCL_SIM_ONLY, for programs whose machines are all simulated
 * (CMakeLists.txt). Then there is nothing to ask: a machine has one thread, and its platform is the
 * simulator.
 */
#ifdef RCL_SIM_ONLY
#define RCL_THREADS 0
/* Nobody else changes a word between two looks at it: the compiler may look once. */
#define __atomic_load_n(p, order)     (*(p))
#define __atomic_store_n(p, v, order) ((void)(*(p) = (v)))
#else
#define RCL_THREADS 1
#endif

#define SPIN_HELD     1u
#define SPIN_THREADED 0x80000000u

struct spinlock {
	u32 word;
};

/* Says that the processor is waiting for another one. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#endif
}

void rcl_spin_lock_slow(struct spinlock *l);

static inline void spin_init(struct spinlock *l, bool threaded)
{
	l->word = threaded ? SPIN_THREADED : 0;
}
static inline void spin_lock(struct spinlock *l)
{
	if (likely(__atomic_load_n(&l->word, __ATOMIC_RELAXED) == 0))
		l->word = SPIN_HELD;
	else
		rcl_spin_lock_slow(l);
}
/* For a lock that is outside of one already held. */
static inline bool spin_trylock(struct spinlock *l)
{
	u32 v = __atomic_load_n(&l->word, __ATOMIC_RELAXED);

	if (v & SPIN_HELD)
		return false;
	if (!RCL_THREADS || likely(!v)) {
		l->word = SPIN_HELD;
		return true;
	}
	return !(__atomic_fetch_or(&l->word, SPIN_HELD, __ATOMIC_ACQUIRE) & SPIN_HELD);
}
static inline void spin_unlock(struct spinlock *l)
{
	if (!RCL_THREADS || likely(__atomic_load_n(&l->word, __ATOMIC_RELAXED) == SPIN_HELD))
		l->word = 0;
	else
		__atomic_store_n(&l->word, SPIN_THREADED, __ATOMIC_RELEASE);
}
static inline bool spin_is_held(const struct spinlock *l)
{
	return __atomic_load_n(&l->word, __ATOMIC_RELAXED) & SPIN_HELD;
}

/*
 * Counters that several threads may change on the host. In the simulator (threaded false) they are
 * plain words: a locked instruction costs as much as the rest of the operation.
 */
static inline s64 shared_add(s64 *p, s64 n, bool threaded)
{
	if (!RCL_THREADS || likely(!threaded))
		return *p += n;
	return __atomic_add_fetch(p, n, __ATOMIC_RELAXED);
}
/*
 * Flags, requests and guesses that tasks leave for each other are hints: one word each, read and
 * written without a lock, and nothing breaks if one comes late.
 */
#define hint_read(p)   __atomic_load_n(p, __ATOMIC_RELAXED)
#define hint_set(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
/*
 * A function that reads what others, with or without a lock, are just writing: it gets whole words
 * from memory that is always there, and what it does is right whatever they are.
 */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCL_RACY __attribute__((no_sanitize("thread")))
#endif
#elif defined(__SANITIZE_THREAD__)
#define RCL_RACY __attribute__((no_sanitize("thread")))
#endif
#ifndef RCL_RACY
#define RCL_RACY
#endif
/* A word that is being written by who does not expect that (clang checks atomics even here). */
#define racy_read(p) (*(volatile __typeof__(*(p)) *)(p))

static inline s64 shared_read(const s64 *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

#endif
