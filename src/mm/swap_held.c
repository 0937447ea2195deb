/* SPDX-License-Identifier: MIT */
/*
 * Freed slots that are held back until their disk space has been given up (SWAP_PUNCH).
 *
 * A slot that may be given out again must not be punched any more: somebody may have written to it.
 * So of an area with SWAP_PUNCH a slot is not free at once when it is freed. It keeps the claim that
 * it has in a slot cache, and is noted in a bitmap; whoever punches takes runs from there, and frees
 * them afterwards. The reference discards whole clusters in the same manner, and holds these back by
 * marking their slots bad; single slots are good enough for files.
 *
 * Held slots count as free pages of swap. When a search finds nothing else as many as it wants become
 * free as they are: what is written to next need not be punched before. For that there is always more
 * than what is being punched.
 */
#include "mm/swap_internal.h"

#define RUN_MAX 4096ul /* slots */
#define BITS	64u

int rcl_swap_held_init(struct swap_area *a)
{
	struct platform *p = a->m->plat;

	if (!(a->flags & SWAP_PUNCH))
		return 0;
	a->held = p->ops->reserve(p, (a->max / BITS + 1) * sizeof(*a->held));
	return a->held ? 0 : -ENOMEM;
}

void rcl_swap_held_exit(struct swap_area *a)
{
	struct platform *p = a->m->plat;

	if (a->held)
		p->ops->release(p, a->held, (a->max / BITS + 1) * sizeof(*a->held));
}

void rcl_swap_hold(struct swap_area *a, u64 offset)
{
	RCL_ASSERT(!(a->held[offset / BITS] & (1ull << offset % BITS)));
	a->held[offset / BITS] |= (1ull << offset % BITS);
	a->nr_held++;
}

void rcl_swap_held_going_to_sleep(struct rcl *m)
{
	__atomic_store_n(&m->swap->held_word, 0, __ATOMIC_SEQ_CST);
}

void rcl_swap_held_sleep(struct rcl *m)
{
	rcl_wait_on(m, &m->swap->held_word, 0, RCL_FOREVER, false);
}

void rcl_swap_held_wake(struct rcl *m)
{
	u32 *word = &m->swap->held_word;

	/* Either this sees the sleeper or the sleeper sees what is held. */
	if (!__atomic_load_n(word, __ATOMIC_SEQ_CST) &&
	    !__atomic_exchange_n(word, 1, __ATOMIC_SEQ_CST))
		rcl_wake(m, word, 1);
}

static bool is_held(const struct swap_area *a, u64 offset)
{
	return a->held[offset / BITS] & (1ull << offset % BITS);
}

/* The first held slot from there on, or a->max. */
static u64 next_held(const struct swap_area *a, u64 offset)
{
	u64 i = offset / BITS, word = a->held[i] & ~0ull << offset % BITS;

	while (!word) {
		if (++i * BITS >= a->max)
			return a->max;
		word = a->held[i];
	}
	return i * BITS + (u64)__builtin_ctzll(word);
}

static void unhold(struct swap_area *a, u64 offset)
{
	a->held[offset / BITS] &= ~(1ull << offset % BITS);
	a->nr_held--;
}

bool rcl_swap_take_held(struct rcl *m, struct swap_run *run)
{
	struct swap_area *a;
	u64 enough, end;

	for (; run->type < m->swap->nr_areas; run->type++, run->first = run->nr = 0) {
		a = m->swap->areas[run->type];
		if (!a->held)
			continue;
		enough = a->pages / 16;
		spin_lock(&a->lock);
		run->first = next_held(a, min(run->first + run->nr, a->max));
		end = min(run->first + min(RUN_MAX, max(enough, (u64)1)), a->max);
		run->nr = 0;
		if (a->pages - a->inuse + a->nr_held > 2 * enough)
			for (u64 at = run->first; at < end && is_held(a, at); at++, run->nr++)
				unhold(a, at);
		spin_unlock(&a->lock);
		if (run->nr) {
			run->dev = a->dev;
			return true;
		}
	}
	return false;
}

void rcl_swap_give_held(struct rcl *m, const struct swap_run *run)
{
	struct swap_area *a = m->swap->areas[run->type];

	spin_lock(&a->lock);
	for (u64 i = 0; i < run->nr; i++)
		rcl_swap_make_free(a, run->first + i);
	spin_unlock(&a->lock);
}

bool rcl_swap_use_held(struct rcl *m)
{
	bool any = false;

	for (u32 type = 0; type < m->swap->nr_areas; type++) {
		struct swap_area *a = m->swap->areas[type];
		u64 at = 0;

		if (!a->held)
			continue;
		spin_lock(&a->lock);
		for (u32 i = 0; i < SWAP_SLOTS_CACHE_SIZE && a->nr_held; i++) {
			at = next_held(a, at);
			unhold(a, at);
			rcl_swap_make_free(a, at);
			any = true;
		}
		spin_unlock(&a->lock);
	}
	return any;
}

bool rcl_swap_held_valid(const struct swap_area *a)
{
	u64 nr = 0;

	if (!a->held)
		return !a->nr_held;
	for (u64 off = next_held(a, 0); off < a->max; off = next_held(a, off + 1), nr++)
		if (a->map[off] != SWAP_HAS_CACHE || a->cache[off] || a->owner[off])
			return false;
	return nr == a->nr_held;
}
