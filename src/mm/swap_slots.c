/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU caches of swap slots (algorithm: Linux 6.1 mm/swap_slots.c).
 *
 * Why: an area's lock is taken once for 64 slots instead of once for each; and slots that come back
 * are freed 64 at a time, so that they coalesce instead of being reused at once. The second half is
 * visible from outside: a slot whose last user is gone stays taken (and keeps its shadow) until the
 * batch it is in is returned.
 *
 * Each CPU has two arrays of SWAP_SLOTS_CACHE_SIZE: `slots`, fetched from the areas and used in
 * order, and `slots_ret`, emptied into the areas when one more comes and it is full. A slot in
 * either has the map word SWAP_HAS_CACHE, which keeps everybody else away from it.
 *
 * The caches are used only while swap is plentiful: they start when more than 5 x 64 slots a CPU
 * are free and are emptied and left alone when fewer than 2 x 64 a CPU are, so that no slot idles
 * in a cache while another CPU finds none.
 */
#include "mm/swap_internal.h"

static bool cache_active(struct swap_state *s)
{
	return __atomic_load_n(&s->slots_cache_active, __ATOMIC_RELAXED);
}

static void drain_all(struct rcl *m)
{
	for (u32 cpu = 0; cpu < m->nr_cpus; cpu++) {
		struct swap_slots_cache *c = m->swap->slots + cpu;

		spin_lock(&c->alloc_lock);
		rcl_swap_release_slots(m, c->slots + c->cur, c->nr);
		c->cur = c->nr = 0;
		spin_unlock(&c->alloc_lock);
		spin_lock(&c->free_lock);
		rcl_swap_release_slots(m, c->slots_ret, c->nr_ret);
		c->nr_ret = 0;
		spin_unlock(&c->free_lock);
	}
}

/* Switch the caches on or off by the amount of free swap; are they on now? */
static bool check_cache_active(struct rcl *m)
{
	struct swap_state *s = m->swap;
	s64 free = shared_read(&s->nr_swap_pages);

	if (!cache_active(s)) {
		if (free > (s64)m->nr_cpus * THRESHOLD_ACTIVATE_SWAP_SLOTS_CACHE)
			__atomic_store_n(&s->slots_cache_active, true, __ATOMIC_RELAXED);
	} else if (free < (s64)m->nr_cpus * THRESHOLD_DEACTIVATE_SWAP_SLOTS_CACHE) {
		__atomic_store_n(&s->slots_cache_active, false, __ATOMIC_RELAXED);
		drain_all(m);
	}
	return cache_active(s);
}

swp_entry_t rcl_swap_slot_alloc(struct rcl *m)
{
	struct swap_slots_cache *c = m->swap->slots + rcl_this_cpu(m)->id;
	swp_entry_t e = 0;

	if (check_cache_active(m)) {
		spin_lock(&c->alloc_lock);
		/* Another CPU may have switched the caches off and emptied this one meanwhile. */
		if (!c->nr && cache_active(m->swap)) {
			c->cur = 0;
			c->nr = rcl_swap_get_slots(m, SWAP_SLOTS_CACHE_SIZE, c->slots);
		}
		if (c->nr) {
			e = c->slots[c->cur++];
			c->nr--;
		}
		spin_unlock(&c->alloc_lock);
	}
	if (!e)
		rcl_swap_get_slots(m, 1, &e);
	return e;
}

void rcl_swap_slot_free(struct rcl *m, swp_entry_t e)
{
	struct swap_slots_cache *c = m->swap->slots + rcl_this_cpu(m)->id;
	bool kept = false;

	spin_lock(&c->free_lock);
	if (cache_active(m->swap)) {
		if (c->nr_ret == SWAP_SLOTS_CACHE_SIZE) {
			rcl_swap_release_slots(m, c->slots_ret, c->nr_ret);
			c->nr_ret = 0;
		}
		c->slots_ret[c->nr_ret++] = e;
		kept = true;
	}
	spin_unlock(&c->free_lock);
	if (!kept)
		rcl_swap_release_slots(m, &e, 1);
}

int rcl_swap_slots_init(struct rcl *m)
{
	struct platform *p = m->plat;
	struct swap_state *s = m->swap;

	s->slots = p->ops->reserve(p, m->nr_cpus * sizeof(*s->slots));
	if (!s->slots)
		return -ENOMEM;
	for (u32 cpu = 0; cpu < m->nr_cpus; cpu++) {
		spin_init(&s->slots[cpu].alloc_lock, m->threaded);
		spin_init(&s->slots[cpu].free_lock, m->threaded);
	}
	return 0;
}

void rcl_swap_slots_exit(struct rcl *m)
{
	struct platform *p = m->plat;

	p->ops->release(p, m->swap->slots, m->nr_cpus * sizeof(*m->swap->slots));
}
