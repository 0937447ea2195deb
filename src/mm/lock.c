/* SPDX-License-Identifier: MIT */
/* Slow halves of locks and assertions. */
#include "mm/lock.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void rcl_assert_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "reclaim: invariant broken: %s (%s:%d)\n", what, file, line);
	abort();
}

void rcl_spin_lock_slow(struct spinlock *l)
{
	/* In the simulator nobody waits while holding a lock, so a held one is a bug, not a wait.
	 */
	RCL_ASSERT(__atomic_load_n(&l->word, __ATOMIC_RELAXED) & SPIN_THREADED);
	for (;;) {
		if (!(__atomic_fetch_or(&l->word, SPIN_HELD, __ATOMIC_ACQUIRE) & SPIN_HELD))
			return;
		while (__atomic_load_n(&l->word, __ATOMIC_RELAXED) & SPIN_HELD)
			__asm__ volatile("" ::: "memory");
	}
}
