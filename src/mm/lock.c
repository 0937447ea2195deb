/* SPDX-License-Identifier: MIT */
/* Slow halves of locks and assertions. */
#include "mm/lock.h"

#include "platform/platform.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void rcl_assert_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "reclaim: invariant broken: %s (%s:%d)\n", what, file, line);
	abort();
}

#define SPINS_BEFORE_YIELD 100

/*
 * Locks are held for fractions of a microsecond: whoever spins longer waits for a thread that has
 * lost its CPU, perhaps to those that spin.
 */
void rcl_spin_lock_slow(struct spinlock *l)
{
	/* In the simulator nobody waits while holding a lock, so a held one is a bug, not a wait.
	 */
	RCL_ASSERT(__atomic_load_n(&l->word, __ATOMIC_RELAXED) & SPIN_THREADED);
	for (u32 spins = 1;; spins++) {
		if (!(__atomic_load_n(&l->word, __ATOMIC_RELAXED) & SPIN_HELD) &&
		    !(__atomic_fetch_or(&l->word, SPIN_HELD, __ATOMIC_ACQUIRE) & SPIN_HELD))
			return;
		if (spins % SPINS_BEFORE_YIELD)
			cpu_relax();
		else
			rcl_yield();
	}
}
