/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU lists of free blocks, in front of the buddy (behaviour: Linux 6.1 mm/page_alloc.c).
 *
 * A CPU takes and gives small blocks (orders 0..3, and whole pageblocks) at lists of its own, so
 * that most requests touch neither the zone's lock nor its free areas. There is a list per order
 * and migratetype; a list is a stack at its head, and drains take the coldest blocks from its tail.
 * Frames on these lists are not free pages to the watermarks: they left NR_FREE_PAGES when the list
 * was refilled and come back to it when the list is drained.
 *
 * Sizes, per zone and CPU:
 *   batch   blocks move to and from the buddy in this many frames: a thousandth of the zone, at
 *           most 1 MiB, a quarter of that, made one less than a power of two;
 *   high    a free that reaches this many frames drains. The zone's low watermark shared out among
 *           the node's CPUs, so that full lists alone do not start reclaim; at least 4 batches.
 *           While kswapd works on the zone it counts as 4 batches;
 *   free_factor  frees that follow each other without allocations drain twice as much each time,
 *           up to 2^5 batches; each allocation halves that again. Blocks of order 1..3 that meet a
 *           factor above 0 drain everything: they would only keep others from merging.
 *
 * A drain empties one list after the other, first the one that was just freed to.
 *
 * Locking: cpu->lock (held by the caller unless said, and only taken on threaded machines), then
 * zone->lock.
 */
#include "mm/page_alloc_internal.h"

#define PCP_BATCH_SCALE_MAX 5
#define PCP_MAX_BYTES	    (1ul << 20)

/* How far ahead of a drain its memory accesses are started. */
#define AHEAD_FAR  10
#define AHEAD_NEAR 4

void rcl_pcp_init(struct per_cpu_pages *pcp)
{
	pcp->count = 0;
	pcp->free_factor = 0;
	pcp->batch = 1;
	pcp->high = 4;
	for (u32 i = 0; i < NR_PCP_LISTS; i++)
		list_init(&pcp->lists[i]);
}

static u32 zone_batchsize(const struct zone *z)
{
	u64 batch = min(z->managed_pages >> 10, (u64)(PCP_MAX_BYTES / PAGE_SIZE)) / 4;

	batch = max(batch, (u64)1);
	batch += batch / 2;
	batch = (1ull << (63 - __builtin_clzll(batch))) - 1;
	return (u32)max(batch, (u64)1);
}

/* CPUs are dealt out evenly; a node without one counts all, since any may allocate from it. */
static u32 cpus_near(const struct zone *z)
{
	struct rcl *m = z->m;
	u32 n = m->nr_cpus / m->nr_nodes + (z->node->id < m->nr_cpus % m->nr_nodes);

	return n ? n : m->nr_cpus;
}

static u32 zone_highsize(const struct zone *z, u32 batch)
{
	u64 fraction = (u64)z->m->tun.percpu_pagelist_high_fraction;
	u64 total = fraction ? z->managed_pages / fraction : wmark_pages(z, WMARK_LOW);

	return (u32)max(total / cpus_near(z), (u64)batch * 4);
}

void rcl_pcp_set_limits(struct zone *z)
{
	u32 batch = zone_batchsize(z), high = zone_highsize(z, batch);

	for (u32 cpu = 0; cpu < z->m->nr_cpus; cpu++) {
		__atomic_store_n(&z->pcp[cpu].batch, batch, __ATOMIC_RELAXED);
		__atomic_store_n(&z->pcp[cpu].high, high, __ATOMIC_RELAXED);
	}
}

void rcl_pcp_refill(struct zone *z, struct per_cpu_pages *pcp, struct list_head *list, u32 order,
		    u32 migratetype, u32 alloc_flags)
{
	u32 batch = hint_read(&pcp->batch), nr;

	if (batch > 1)
		batch = max(batch >> order, 2u);
	spin_lock(&z->lock);
	nr = rcl_buddy_alloc_bulk(z, order, batch, migratetype, alloc_flags, list);
	mod_zone_state(z, NR_FREE_PAGES, -(s64)((u64)nr << order));
	spin_unlock(&z->lock);
	pcp->count += nr << order;
}

/*
 * A drain knows what it will free next, and where the buddy will look then: cursors that run ahead
 * of it start these accesses. Order 0 only; higher orders are a fraction of the work.
 */
struct lookahead {
	struct list_head *pos[2]; /* at the next frame for rcl_buddy_prefetch() step i */
};

static void look_ahead(struct zone *z, struct lookahead *la, const struct list_head *list)
{
	for (u32 step = 0; step < ARRAY_SIZE(la->pos); step++) {
		struct list_head *pos = la->pos[step];

		if (pos == list)
			continue;
		rcl_buddy_prefetch(z, folio_pfn(z->m, list_entry(pos, struct folio, lru)), step);
		la->pos[step] = pos->prev;
	}
}

static struct lookahead start_lookahead(struct zone *z, struct list_head *list)
{
	struct lookahead la = {{list->prev, list->prev}};

	for (u32 i = 0; i < AHEAD_FAR; i++) {
		struct list_head *near = la.pos[1];

		look_ahead(z, &la, list);
		if (i < AHEAD_FAR - AHEAD_NEAR)
			la.pos[1] = near;
	}
	return la;
}

/* Free blocks of one list, coldest first, until `count` frames are freed or it is empty. */
static u32 drain_list(struct zone *z, struct list_head *list, u32 order, u32 count)
{
	struct lookahead la = {{list, list}};
	u32 freed = 0;

	if (!order)
		la = start_lookahead(z, list);
	do {
		struct folio *f = list_last_entry(list, struct folio, lru);

		look_ahead(z, &la, list);
		list_del(&f->lru);
		set_flags(f, z->frame_flags);
		freed += 1u << order;
		rcl_buddy_free(z, folio_pfn(z->m, f), order, f->migratetype, false);
	} while (freed < count && !list_empty(list));
	return freed;
}

/* Drain `count` frames (or what there is), starting with list `pindex`. */
static void drain(struct zone *z, struct per_cpu_pages *pcp, u32 count, u32 pindex)
{
	u32 freed = 0;

	count = min(count, pcp->count);
	if (!count)
		return;
	spin_lock(&z->lock);
	while (freed < count) {
		struct list_head *list = &pcp->lists[pindex];
		u32 order = pindex_to_order(pindex);

		if (!list_empty(list))
			freed += drain_list(z, list, order, count - freed);
		if (++pindex == NR_PCP_LISTS)
			pindex = 0;
	}
	mod_zone_state(z, NR_FREE_PAGES, freed);
	spin_unlock(&z->lock);
	pcp->count -= freed;
}

static u32 nr_pcp_free(struct per_cpu_pages *pcp, u32 high, bool free_high)
{
	u32 batch = hint_read(&pcp->batch), most;

	if (free_high)
		return pcp->count;
	if (high < batch)
		return 1;
	most = high - batch;
	batch <<= pcp->free_factor;
	if (batch < most && pcp->free_factor < PCP_BATCH_SCALE_MAX)
		pcp->free_factor++;
	return min(max(batch, hint_read(&pcp->batch)), most);
}

void rcl_pcp_shrink(struct zone *z, struct per_cpu_pages *pcp, u32 high, u32 pindex, bool free_high)
{
	drain(z, pcp, nr_pcp_free(pcp, high, free_high), pindex);
}

/* Takes cpu->lock, and drops it now and then: a long drain would hold up the CPU. */
static void drain_cpu(struct rcl *m, struct cpu *cpu)
{
	for (u32 n = 0; n < m->nr_nodes; n++) {
		for_each_zone (z, m->nodes + n) {
			u32 left = managed_zone(z);

			while (left) {
				struct per_cpu_pages *pcp = &z->pcp[cpu - m->cpus];

				rcl_cpu_lock(m, cpu);
				drain(z, pcp, hint_read(&pcp->batch) << PCP_BATCH_SCALE_MAX, 0);
				left = pcp->count;
				rcl_cpu_unlock(m, cpu);
			}
		}
	}
}

void rcl_drain_local_pages(struct rcl *m)
{
	drain_cpu(m, rcl_this_cpu(m));
}

void rcl_drain_all_pages(struct rcl *m)
{
	for (u32 i = 0; i < m->nr_cpus; i++)
		drain_cpu(m, m->cpus + i);
}
