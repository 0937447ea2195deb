/* SPDX-License-Identifier: MIT */
/*
 * The page allocator while there is memory: zones, watermarks, reserves, the buddy and per-CPU
 * lists, which block a request gets, and which zone and node.
 */
#include "page_alloc_world.h"

static void test_layout(void **state)
{
	struct rcl_node_layout l[4];
	(void)state;

	rcl_layout_for_memory(1ull << 30, 1, l);
	assert_int_equal(l[0].managed[ZONE_DMA], 3840);
	assert_int_equal(l[0].managed[ZONE_DMA32], 262144 - 3840);
	assert_int_equal(l[0].managed[ZONE_NORMAL], 0);

	rcl_layout_for_memory(8ull << 30, 1, l);
	assert_int_equal(l[0].managed[ZONE_DMA32], 786432 - 4096);
	assert_int_equal(l[0].managed[ZONE_NORMAL], 2097152 - 3840 - (786432 - 4096));

	/* The second node starts where the first one ended, below or above the hole. */
	rcl_layout_for_memory(4ull << 30, 2, l);
	assert_int_equal(l[0].managed[ZONE_DMA] + l[0].managed[ZONE_DMA32], 524288);
	assert_int_equal(l[1].managed[ZONE_DMA], 0);
	assert_true(l[1].managed[ZONE_DMA32] > 0);
	assert_true(l[1].managed[ZONE_NORMAL] > 0);
	assert_int_equal(l[1].managed[ZONE_DMA32] + l[1].managed[ZONE_NORMAL], 524288);
}

static void test_bad_layouts(void **state)
{
	struct rcl_node_layout none = {{0}};
	struct bare *b = bare_new(1, false);
	(void)state;

	assert_int_equal(rcl_page_alloc_init(&b->m, &none, 1), -EINVAL);
	assert_int_equal(rcl_page_alloc_init(&b->m, &none, 0), -EINVAL);
	assert_int_equal(rcl_page_alloc_init(&b->m, &none, MAX_NODES + 1), -EINVAL);
	bare_close(b);
}

/* The zones of a small machine as 6.1 reported them. */
static void test_watermarks_recorded(void **state)
{
	struct bare *b = open_zones(1, 3840, 19662, 0);
	struct zone *dma = &b->m.nodes[0].zones[ZONE_DMA], *dma32 = dma + 1;
	(void)state;

	b->m.tun.min_free_kbytes = 1212;
	rcl_setup_watermarks(&b->m);
	assert_int_equal(dma->watermark[WMARK_MIN], 49);
	assert_int_equal(dma->watermark[WMARK_LOW], 61);
	assert_int_equal(dma->watermark[WMARK_HIGH], 73);
	assert_int_equal(dma32->watermark[WMARK_MIN], 253);
	assert_int_equal(dma32->watermark[WMARK_LOW], 316);
	assert_int_equal(dma32->watermark[WMARK_HIGH], 379);
	assert_int_equal(dma32->watermark[WMARK_PROMO], 442);

	assert_int_equal(dma->lowmem_reserve[ZONE_DMA], 0);
	assert_int_equal(dma->lowmem_reserve[ZONE_DMA32], 19662 / 256);
	assert_int_equal(dma->lowmem_reserve[ZONE_MOVABLE], 19662 / 256);
	assert_int_equal(dma32->lowmem_reserve[ZONE_NORMAL], 0);
	assert_int_equal(b->m.nodes[0].totalreserve_pages, 73 + 76 + 379);

	/* batch 1 with 4 as the least limit; the low watermark where it is more. */
	assert_int_equal(dma->pcp[0].batch, 1);
	assert_int_equal(dma->pcp[0].high, 61);
	assert_int_equal(dma32->pcp[0].batch, 3);
	assert_int_equal(dma32->pcp[0].high, 316);
	bare_close(b);
}

static void test_watermarks_computed(void **state)
{
	struct bare *b = open_zones(4, 0, 0, 262144);
	struct zone *z = &b->m.nodes[0].zones[ZONE_NORMAL];
	(void)state;

	/* 4 * sqrt(1 GiB in kB) = 4096 kB; low and high by the larger of min / 4 and 0.1% */
	assert_int_equal(z->watermark[WMARK_MIN], 1024);
	assert_int_equal(z->watermark[WMARK_LOW], 1024 + 262);
	assert_int_equal(z->pcp[3].batch, 63);
	assert_int_equal(z->pcp[3].high, (1024 + 262) / 4);

	b->m.tun.watermark_scale_factor = 1000;
	b->m.tun.percpu_pagelist_high_fraction = 8;
	z->watermark_boost = 5;
	rcl_setup_watermarks(&b->m);
	assert_int_equal(z->watermark_boost, 0);
	assert_int_equal(z->watermark[WMARK_HIGH], 1024 + 2 * 26214);
	assert_int_equal(z->pcp[0].high, 262144 / 8 / 4);
	bare_close(b);

	b = open_zones(1, 0, 64, 0);
	assert_int_equal(b->m.nodes[0].zones[ZONE_DMA32].watermark[WMARK_MIN], 32);
	bare_close(b);
}

static void test_gfp(void **state)
{
	(void)state;
	assert_int_equal(rcl_gfp_zone(GFP_KERNEL), ZONE_NORMAL);
	assert_int_equal(rcl_gfp_zone(GFP_KERNEL | __GFP_DMA), ZONE_DMA);
	assert_int_equal(rcl_gfp_zone(GFP_KERNEL | __GFP_DMA32), ZONE_DMA32);
	assert_int_equal(rcl_gfp_zone(GFP_HIGHUSER), ZONE_NORMAL);
	assert_int_equal(rcl_gfp_zone(GFP_HIGHUSER_MOVABLE), ZONE_MOVABLE);
	assert_int_equal(rcl_gfp_zone(GFP_KERNEL | __GFP_MOVABLE), ZONE_NORMAL);
	assert_int_equal(gfp_migratetype(GFP_KERNEL), MIGRATE_UNMOVABLE);
	assert_int_equal(gfp_migratetype(GFP_HIGHUSER_MOVABLE), MIGRATE_MOVABLE);
	assert_int_equal(gfp_migratetype(GFP_KERNEL | __GFP_RECLAIMABLE), MIGRATE_RECLAIMABLE);
}

/* Frames come in order, leave the free count by batches, and are clean. */
static void test_order0(void **state)
{
	struct bare *b = open_zones(1, 0, 0, 262144);
	struct zone *z = &b->m.nodes[0].zones[ZONE_NORMAL];
	struct folio *f[200];
	(void)state;

	for (u32 i = 0; i < 200; i++) {
		f[i] = rcl_alloc_pages(&b->m, GFP_HIGHUSER_MOVABLE, 0);
		assert_non_null(f[i]);
		assert_ptr_equal(f[i], f[0] + i);
		assert_int_equal(f[i]->flags, 0);
		assert_int_equal(f[i]->refcount, 1);
		assert_null(f[i]->memcg);
		assert_ptr_equal(folio_zone(&b->m, f[i]), z);
		assert_int_equal(nr_free(z), 262144 - (i + 63) / 63 * 63);
	}
	assert_int_equal(z->pcp[0].count, 4 * 63 - 200);
	assert_int_equal(bare_events(b, PGALLOC_NORMAL), 200);
	for (u32 i = 0; i < 200; i++) {
		f[i]->flags |= BIT(PG_dirty) | BIT(PG_uptodate);
		f[i]->mapping = (void *)1;
		put(&b->m, f[i], 0);
	}
	assert_int_equal(bare_events(b, PGFREE), 200);
	assert_int_equal(nr_free(z), 262144 - 4 * 63);
	f[0] = rcl_alloc_pages(&b->m, GFP_HIGHUSER_MOVABLE, 0);
	assert_ptr_equal(f[0], f[199]); /* last in, first out */
	assert_int_equal(f[0]->flags, 0);
	assert_null(f[0]->mapping);
	put(&b->m, f[0], 0);
	rcl_drain_all_pages(&b->m);
	assert_int_equal(nr_free(z), 262144);
	assert_int_equal(z->free_area[MAX_ORDER - 1].nr_free, 256);
	assert_true(rcl_page_alloc_is_valid(&b->m));
	bare_close(b);
}

static void test_free_list(void **state)
{
	struct bare *b = open_zones(1, 3840, 19662, 0);
	struct list_head list;
	(void)state;

	list_init(&list);
	for (u32 i = 0; i < 1000; i++) {
		struct folio *f = rcl_alloc_pages(&b->m, GFP_KERNEL, 0);

		f->refcount = 0;
		list_add(&f->lru, &list);
	}
	rcl_free_folio_list(&b->m, &list);
	assert_true(list_empty(&list));
	assert_int_equal(bare_events(b, PGFREE), 1000);
	rcl_drain_local_pages(&b->m);
	assert_true(rcl_page_alloc_is_valid(&b->m));
	assert_int_equal(nr_free(&b->m.nodes[0].zones[ZONE_DMA32]), 19662);
	bare_close(b);
}

/* Drains: at the limit, doubling, lower while kswapd works, all for high orders. */
static void test_pcp_drain(void **state)
{
	struct bare *b = open_zones(1, 0, 0, 262144);
	struct zone *z = &b->m.nodes[0].zones[ZONE_NORMAL];
	struct per_cpu_pages *pcp = z->pcp;
	struct folio *f[3000];
	u32 high, n = 0;
	(void)state;

	rcl_setup_watermarks(&b->m);
	high = pcp->high;
	assert_int_equal(high, 1286);
	for (u32 i = 0; i < 3000; i++)
		f[i] = rcl_alloc_pages(&b->m, GFP_HIGHUSER_MOVABLE, 0);
	while (pcp->count < high - 1)
		put(&b->m, f[n++], 0);
	assert_int_equal(pcp->free_factor, 0);
	put(&b->m, f[n++], 0);
	assert_int_equal(pcp->count, high - 63);
	assert_int_equal(pcp->free_factor, 1);
	while (pcp->count < high - 1)
		put(&b->m, f[n++], 0);
	put(&b->m, f[n++], 0);
	assert_int_equal(pcp->count, high - 126);
	assert_int_equal(pcp->free_factor, 2);

	f[--n] = rcl_alloc_pages(&b->m, GFP_HIGHUSER_MOVABLE, 0);
	assert_int_equal(pcp->free_factor, 1);
	z->reclaim_active = true; /* the limit is 252 now: a batch stays, the doubled batch goes */
	put(&b->m, f[n++], 0);
	assert_int_equal(pcp->count, high - 126 - 126);
	assert_int_equal(pcp->free_factor, 2);
	for (; n < 3000; n++)
		put(&b->m, f[n], 0);
	assert_true(pcp->count <= 252);
	assert_true(pcp->free_factor >= 2);

	/* A freed block of order 1..3 takes everything with it while frees prevail. */
	pcp->free_factor = 4;
	f[0] = rcl_alloc_pages(&b->m, GFP_KERNEL, 2);
	assert_int_equal(pcp->free_factor, 2);
	put(&b->m, f[0], 2);
	assert_int_equal(pcp->count, 0);
	assert_int_equal(nr_free(z), 262144);
	assert_true(rcl_page_alloc_is_valid(&b->m));
	bare_close(b);
}

static void test_all_orders(void **state)
{
	struct bare *b = open_zones(1, 3840, 19662, 0);
	struct zone *z = &b->m.nodes[0].zones[ZONE_DMA32];
	u64 before[MAX_ORDER];
	(void)state;

	for (u32 o = 0; o < MAX_ORDER; o++)
		before[o] = z->free_area[o].nr_free;
	for (u32 o = 0; o < MAX_ORDER; o++) {
		struct folio *f = rcl_alloc_pages(&b->m, GFP_KERNEL, o);

		assert_non_null(f);
		assert_int_equal(f->order, o);
		assert_false(folio_pfn(&b->m, f) & ((1u << o) - 1));
		assert_true(rcl_page_alloc_is_valid(&b->m));
		put(&b->m, f, o);
		assert_true(rcl_page_alloc_is_valid(&b->m));
	}
	assert_int_equal(bare_events(b, PGALLOC_DMA32), 2047);
	assert_int_equal(bare_events(b, PGFREE), 2047);
	rcl_drain_all_pages(&b->m);
	for (u32 o = 0; o < MAX_ORDER; o++)
		assert_int_equal(before[o], z->free_area[o].nr_free);
	bare_close(b);
}

/* A refill hands out the very frames, in the very order, that single requests would get. */
static void test_bulk_is_singles(void **state)
{
	(void)state;
	for (u64 seed = 1; seed <= 40; seed++) {
		struct bare *pair[2];
		u32 want, order, n, i = 0;
		struct list_head got;
		struct folio *f;

		for (u32 k = 0; k < 2; k++) {
			struct folio *keep[1500];
			struct rcl *m;

			pair[k] = open_zones(1, 0, 4096, 0);
			pair[k]->seed = seed;
			m = &pair[k]->m;
			for (u32 j = 0; j < 1500; j++)
				keep[j] = rcl_alloc_pages(m, GFP_HIGHUSER_MOVABLE, 0);
			for (u32 j = 0; j < 1500; j++)
				if (bare_random(&pair[k]->plat) & 1)
					put(m, keep[j], 0);
			rcl_drain_all_pages(m);
		}
		want = (u32)(bare_random(&pair[0]->plat) % 400) + 1;
		order = (u32)(bare_random(&pair[0]->plat) % 4);
		list_init(&got);
		spin_lock(&pair[0]->m.nodes[0].zones[1].lock);
		spin_lock(&pair[1]->m.nodes[0].zones[1].lock);
		n = rcl_buddy_alloc_bulk(&pair[0]->m.nodes[0].zones[1], order, want,
					 MIGRATE_MOVABLE, 0, &got);
		list_for_each (f, &got, lru) {
			assert_int_equal(folio_pfn(&pair[0]->m, f),
					 rcl_buddy_alloc(&pair[1]->m.nodes[0].zones[1], order,
							 MIGRATE_MOVABLE, 0));
			i++;
		}
		assert_int_equal(i, n);
		if (n < want)
			assert_int_equal(rcl_buddy_alloc(&pair[1]->m.nodes[0].zones[1], order,
							 MIGRATE_MOVABLE, 0),
					 NO_BLOCK);
		for (u32 o = 0; o < MAX_ORDER; o++) {
			struct zone *z0 = &pair[0]->m.nodes[0].zones[1];
			struct zone *z1 = &pair[1]->m.nodes[0].zones[1];
			u32 head = z0->free_area[o].free_list[MIGRATE_MOVABLE], pfn = head;

			assert_int_equal(head, z1->free_area[o].free_list[MIGRATE_MOVABLE]);
			do {
				assert_int_equal(z0->links[pfn].next, z1->links[pfn].next);
				pfn = z0->links[pfn].next;
			} while (pfn != head);
		}
		bare_close(pair[0]);
		bare_close(pair[1]);
	}
}

/* Blocks of a pageblock or more change their type as a whole, without a boost. */
static void test_fallback_whole_blocks(void **state)
{
	struct bare *b = open_zones(1, 0, 0, 262144);
	struct zone *z = &b->m.nodes[0].zones[ZONE_NORMAL];
	struct folio *f = rcl_alloc_pages(&b->m, GFP_KERNEL, 0);
	u64 pfn = folio_pfn(&b->m, f) & ~1023ull;
	(void)state;

	assert_int_equal(pageblock_type(&b->m, pfn), MIGRATE_UNMOVABLE);
	assert_int_equal(pageblock_type(&b->m, pfn + 512), MIGRATE_UNMOVABLE);
	assert_int_equal(pageblock_type(&b->m, pfn + 1024), MIGRATE_MOVABLE);
	assert_int_equal(z->watermark_boost, 0);
	assert_int_equal(hook.nr_wake, 0);
	put(&b->m, f, 0);
	rcl_drain_all_pages(&b->m);
	/* What was merged again stays on the list of its new type. */
	assert_true(rcl_buddy_has_block(z, MAX_ORDER - 1, MIGRATE_UNMOVABLE));
	assert_true(rcl_page_alloc_is_valid(&b->m));
	bare_close(b);
}

/* Leave free in pageblock `pb` of the zone only these frames, everything else in use. */
static struct folio *one_pageblock_left(struct bare *b, struct zone *z, u32 pb, u32 from, u32 nr,
					bool on_lru)
{
	struct list_head taken;
	struct folio *start = pfn_folio(&b->m, z->managed_start + pb * 512);

	drain_zone_to(z, 0, &taken, MIGRATE_MOVABLE);
	for (u32 i = 0; i < 512; i++) {
		struct folio *f = start + i;

		if (i >= from && i < from + nr)
			rcl_free_pages(&b->m, f, 0);
		else if (on_lru)
			f->flags |= BIT(PG_lru);
	}
	rcl_drain_all_pages(&b->m);
	assert_int_equal(nr_free(z), nr);
	return start;
}

static void test_fallback_claims(void **state)
{
	static const struct {
		u32 nr;	     /* free frames of the movable pageblock */
		bool lru;    /* the others are movable */
		u32 type;    /* request */
		u32 becomes; /* the pageblock */
	} cases[] = {
		{256, true, MIGRATE_UNMOVABLE, MIGRATE_UNMOVABLE},  /* half is free */
		{240, true, MIGRATE_UNMOVABLE, MIGRATE_MOVABLE},    /* less, the rest is movable */
		{240, false, MIGRATE_UNMOVABLE, MIGRATE_UNMOVABLE}, /* the rest is like ours */
		{16, true, MIGRATE_RECLAIMABLE, MIGRATE_MOVABLE},
		{16, false, MIGRATE_RECLAIMABLE, MIGRATE_RECLAIMABLE},
	};
	(void)state;

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bare *b = open_zones(1, 0, 0, 262144);
		struct zone *z = &b->m.nodes[0].zones[ZONE_NORMAL];
		struct folio *start = one_pageblock_left(b, z, 7, 0, cases[i].nr, cases[i].lru);
		u64 pfn;

		pfn = take_frame(z, cases[i].type, ALLOC_KSWAPD);
		assert_in_range(pfn, folio_pfn(&b->m, start), folio_pfn(&b->m, start) + 511);
		assert_int_equal(pageblock_type(&b->m, folio_pfn(&b->m, start)), cases[i].becomes);
		assert_int_equal(z->watermark_boost, 512);
		assert_true(z->boosted);
		/* Claimed or not, all its free blocks are ours now. */
		for (u32 o = 0; o < MAX_ORDER; o++)
			assert_false(rcl_buddy_has_block(z, o, MIGRATE_MOVABLE));
		bare_close(b);
	}
}

/* A movable request that finds only small blocks of other types takes the smallest, and no more. */
static void test_fallback_movable_takes_smallest(void **state)
{
	struct bare *b = open_zones(1, 0, 0, 262144);
	struct zone *z = &b->m.nodes[0].zones[ZONE_NORMAL];
	struct folio *start = one_pageblock_left(b, z, 7, 1, 7, true); /* orders 0, 1, 2 */
	u64 pfn = folio_pfn(&b->m, start);
	(void)state;

	set_pageblock_type(&b->m, pfn, MIGRATE_UNMOVABLE);
	for (u32 o = 0; o < 3; o++) {
		assert_true(rcl_buddy_has_block(z, o, MIGRATE_MOVABLE));
		move_block(z, first_block(z, o, MIGRATE_MOVABLE), MIGRATE_UNMOVABLE);
	}
	assert_int_equal(take_frame(z, MIGRATE_MOVABLE, 0), pfn + 1);
	assert_int_equal(pageblock_type(&b->m, pfn), MIGRATE_UNMOVABLE);
	assert_true(rcl_buddy_has_block(z, 2, MIGRATE_UNMOVABLE));
	assert_false(rcl_buddy_has_block(z, 2, MIGRATE_MOVABLE));
	assert_int_equal(z->watermark_boost, 512);
	assert_false(z->boosted); /* no ALLOC_KSWAPD: nobody is woken */
	bare_close(b);
}

static void test_boost_limits(void **state)
{
	struct bare *b = open_zones(1, 0, 2047, 0); /* less than four pageblocks */
	struct zone *z = &b->m.nodes[0].zones[ZONE_DMA32];
	(void)state;

	assert_false(boost_watermark(z));
	assert_int_equal(z->watermark_boost, 0);
	bare_close(b);

	b = open_zones(1, 0, 0, 262144);
	z = &b->m.nodes[0].zones[ZONE_NORMAL];
	for (u32 i = 0; i < 20; i++)
		assert_true(boost_watermark(z));
	assert_int_equal(z->watermark_boost, z->watermark[WMARK_HIGH] * 15000 / 10000);
	b->m.tun.watermark_boost_factor = 0;
	assert_false(boost_watermark(z));
	/* However small the factor, a pageblock is always allowed. */
	b->m.tun.watermark_boost_factor = 10;
	z->watermark_boost = 0;
	boost_watermark(z);
	boost_watermark(z);
	assert_int_equal(z->watermark_boost, 512);
	bare_close(b);
}

/* The request that boosted wakes kswapd when the lock is free again, once. */
static void test_boost_wakes_kswapd(void **state)
{
	struct bare *b = open_zones(1, 0, 0, 262144);
	struct zone *z = &b->m.nodes[0].zones[ZONE_NORMAL];
	struct folio *f;
	(void)state;

	b->m.tun.min_free_kbytes = 128;
	rcl_setup_watermarks(&b->m);
	one_pageblock_left(b, z, 7, 0, 500, true);
	assert_int_equal(hook.nr_wake, 0);
	f = rcl_alloc_pages(&b->m, GFP_KERNEL, 0);
	assert_non_null(f);
	assert_int_equal(z->watermark_boost, min(512ul, 512ul));
	assert_true(hook.nr_wake >= 1);
	assert_ptr_equal(hook.woken, z);
	assert_false(z->boosted);
	bare_close(b);
}

static void test_watermark_flags(void **state)
{
	struct bare *b = open_zones(1, 0, 262144, 262144);
	struct zone *z = &b->m.nodes[0].zones[ZONE_DMA32];
	const u32 N = ZONE_NORMAL, D = ZONE_DMA32;
	u64 reserve = z->lowmem_reserve[N];
	struct list_head taken;
	(void)state;

	assert_int_equal(reserve, 262144 / 256);
	assert_true(rcl_watermark_ok(z, 0, 1000, D, 0, 1001));
	assert_false(rcl_watermark_ok(z, 0, 1000, D, 0, 1000));
	assert_false(rcl_watermark_ok(z, 0, 1000, N, 0, 1000 + (s64)reserve));
	assert_true(rcl_watermark_ok(z, 0, 1000, N, 0, 1001 + (s64)reserve));
	/* half; half and a quarter of that; half for a victim; all of them in turn */
	assert_true(rcl_watermark_ok(z, 0, 1000, D, ALLOC_MIN_RESERVE, 501));
	assert_false(rcl_watermark_ok(z, 0, 1000, D, ALLOC_MIN_RESERVE, 500));
	assert_true(rcl_watermark_ok(z, 0, 1000, D, ALLOC_MIN_RESERVE | ALLOC_NON_BLOCK, 376));
	assert_false(rcl_watermark_ok(z, 0, 1000, D, ALLOC_MIN_RESERVE | ALLOC_NON_BLOCK, 375));
	assert_false(rcl_watermark_ok(z, 0, 1000, D, ALLOC_NON_BLOCK, 1000));
	assert_true(rcl_watermark_ok(z, 0, 1000, D, ALLOC_OOM, 501));
	assert_false(rcl_watermark_ok(z, 0, 1000, D, ALLOC_OOM, 500));
	/* An order needs its frames but one above the mark, and a block. */
	assert_true(rcl_watermark_ok(z, 3, 1000, D, 0, 1008));
	assert_false(rcl_watermark_ok(z, 3, 1000, D, 0, 1007));
	z->nr_reserved_highatomic = 100;
	assert_false(rcl_watermark_ok(z, 0, 1000, D, 0, 1100));
	assert_true(rcl_watermark_ok(z, 0, 1000, D, ALLOC_NON_BLOCK, 1100));
	z->nr_reserved_highatomic = 0;

	drain_zone_to(z, 1, &taken, MIGRATE_MOVABLE);
	assert_false(rcl_watermark_ok(z, 1, 0, D, 0, 1 << 20));
	assert_true(rcl_watermark_ok(z, 0, 0, D, 0, 1 << 20));
	assert_false(rcl_zone_watermark_ok(z, 0, 1, D, 0));
	bare_close(b);
}

/* Normal above its low mark, then DMA32 above low plus reserve; DMA is spared by its own. */
static void test_zone_order(void **state)
{
	struct bare *b = open_zones(1, 3840, 30000, 30000);
	struct zone *zones = b->m.nodes[0].zones;
	u64 got[MAX_NR_ZONES] = {0};
	struct folio *f;
	(void)state;

	while (!hook.nr_wake) {
		f = rcl_alloc_pages(&b->m, GFP_HIGHUSER_MOVABLE | __GFP_NOWARN | __GFP_NORETRY, 0);
		if (!f)
			break;
		got[folio_zone_idx(f)]++;
	}
	for (u32 t = ZONE_DMA; t <= ZONE_NORMAL; t++) {
		struct zone *z = zones + t;
		s64 mark = (s64)(wmark_pages(z, WMARK_LOW) + z->lowmem_reserve[ZONE_NORMAL]);

		assert_true(nr_free(z) <= mark + z->pcp[0].batch);
		/* Checks are made before a batch leaves: one batch below the mark at most. */
		assert_true(nr_free(z) >= mark - (s64)z->pcp[0].batch - 1);
		assert_true(got[t] > 0);
	}
	assert_int_equal(hook.nr_oom, 0);
	bare_close(b);
}

/* With types to mix in Normal, DMA32 comes first; a request for Normal alone mixes. */
static void test_nofragment(void **state)
{
	struct bare *b = open_zones(1, 0, 30720, 30720);
	struct zone *dma32 = &b->m.nodes[0].zones[ZONE_DMA32], *normal = dma32 + 1;
	struct list_head taken;
	struct folio *f;
	(void)state;

	/* Leave Normal no whole pageblock, but plenty of small movable blocks. */
	drain_zone_to(normal, 0, &taken, MIGRATE_MOVABLE);
	for (u32 i = 0; i < 30720; i++)
		if (i % 512 < 400)
			rcl_free_pages(&b->m, pfn_folio(&b->m, normal->managed_start + i), 0);
	rcl_drain_all_pages(&b->m);
	f = rcl_alloc_pages(&b->m, GFP_KERNEL, 0);
	assert_ptr_equal(folio_zone(&b->m, f), dma32);
	assert_int_equal(normal->watermark_boost, 0);
	drain_zone_to(dma32, 0, &taken, MIGRATE_MOVABLE);
	rcl_drain_all_pages(&b->m);
	drain_zone_to(dma32, 0, &taken, MIGRATE_MOVABLE);
	f = rcl_alloc_pages(&b->m, GFP_KERNEL, 0);
	assert_ptr_equal(folio_zone(&b->m, f), normal);
	assert_int_equal(normal->watermark_boost, 512);
	bare_close(b);
}

/* How far below the marks each kind of request gets. */
static void test_reserves(void **state)
{
	static const struct {
		gfp_t gfp;
		u32 pf;
		u32 permille; /* of min that must stay */
	} cases[] = {
		{GFP_NOWAIT, 0, 1000},
		{GFP_ATOMIC, 0, 375},
		{GFP_ATOMIC | __GFP_NOMEMALLOC, 0, 500},
		{GFP_KERNEL | __GFP_HIGH | __GFP_NORETRY, 0, 500},
		{GFP_KERNEL | __GFP_NORETRY, PF_OOM_VICTIM, 500},
		{GFP_KERNEL | __GFP_NORETRY, PF_MEMALLOC, 0},
		{GFP_KERNEL | __GFP_NORETRY | __GFP_NOMEMALLOC, PF_MEMALLOC, 1000},
		{GFP_NOWAIT | __GFP_MEMALLOC, 0, 0},
	};
	(void)state;

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bare *b = open_zones(1, 0, 262144, 0);
		struct zone *z = &b->m.nodes[0].zones[ZONE_DMA32];
		s64 min_pages = (s64)z->watermark[WMARK_MIN], left;
		struct list_head taken;

		drain_zone_to(z, min_pages + 300, &taken, MIGRATE_UNMOVABLE);
		z->watermark_boost = 0; /* the drain fell back */
		z->pcp[0].batch = 1;
		b->task.flags = cases[i].pf;
		while (rcl_alloc_pages(&b->m, cases[i].gfp | __GFP_NOWARN, 0))
			;
		left = min_pages * cases[i].permille / 1000;
		assert_in_range(nr_free(z) + 10, left + 8, left + 12);
		assert_true(hook.nr_wake > 0);
		bare_close(b);
	}
}

static void test_nodes(void **state)
{
	struct rcl_node_layout layout[3] = {
		{{3840, 30000, 0, 0}}, {{0, 0, 30000, 0}}, {{0, 0, 30000, 0}}};
	struct bare *b = open_nodes(4, layout, 3);
	struct node *nodes = b->m.nodes;
	struct folio *f;
	(void)state;

	assert_int_equal(nodes[0].zonelist.nr, 4);
	assert_ptr_equal(nodes[0].zonelist.zones[0], &nodes[0].zones[ZONE_DMA32]);
	assert_ptr_equal(nodes[0].zonelist.zones[1], &nodes[0].zones[ZONE_DMA]);
	assert_ptr_equal(nodes[0].zonelist.zones[2], &nodes[1].zones[ZONE_NORMAL]);
	assert_ptr_equal(nodes[1].zonelist.zones[1], &nodes[2].zones[ZONE_NORMAL]);
	assert_ptr_equal(nodes[1].zonelist.zones[2], &nodes[0].zones[ZONE_DMA32]);
	/* CPUs: 2, 1, 1 */
	assert_int_equal(nodes[1].zones[ZONE_NORMAL].pcp[0].high,
			 nodes[1].zones[ZONE_NORMAL].watermark[WMARK_LOW]);

	b->task.node = 1;
	f = rcl_alloc_pages(&b->m, GFP_KERNEL, 0);
	assert_int_equal(folio_node_id(f), 1);
	f = rcl_alloc_pages(&b->m, GFP_KERNEL | __GFP_DMA32, 0);
	assert_int_equal(folio_node_id(f), 0);
	f = rcl_alloc_pages_node(&b->m, 2, GFP_KERNEL, 3);
	assert_int_equal(folio_node_id(f), 2);
	/* A node with too much dirty data is passed over, unless all are. */
	hook.clean_nodes = 1 << 2;
	f = rcl_alloc_pages(&b->m, GFP_HIGHUSER_MOVABLE | __GFP_WRITE, 0);
	assert_int_equal(folio_node_id(f), 2);
	hook.clean_nodes = 0;
	f = rcl_alloc_pages(&b->m, GFP_HIGHUSER_MOVABLE | __GFP_WRITE, 0);
	assert_int_equal(folio_node_id(f), 1);

	while ((f = rcl_alloc_pages(&b->m, GFP_NOWAIT | __GFP_THISNODE | __GFP_NOWARN, 0)))
		assert_int_equal(folio_node_id(f), 1);
	f = rcl_alloc_pages(&b->m, GFP_KERNEL, 0);
	assert_int_equal(folio_node_id(f), 2);
	/* Reclaim at home before going abroad. */
	b->m.tun.zone_reclaim_mode = 1;
	f = rcl_alloc_pages(&b->m, GFP_KERNEL, 0);
	assert_int_equal(hook.nr_node_reclaim, 1);
	assert_int_equal(folio_node_id(f), 2);
	assert_true(rcl_page_alloc_is_valid(&b->m));
	bare_close(b);
}

static void test_highatomic(void **state)
{
	struct bare *b = open_zones(1, 0, 0, 262144);
	struct zone *z = &b->m.nodes[0].zones[ZONE_NORMAL];
	struct list_head taken;
	struct folio *f;
	(void)state;

	drain_zone_to(z, 700, &taken, MIGRATE_MOVABLE);
	f = rcl_alloc_pages(&b->m, GFP_ATOMIC, 2);
	assert_non_null(f);
	assert_int_equal(z->nr_reserved_highatomic, 512);
	assert_int_equal(pageblock_type(&b->m, folio_pfn(&b->m, f)), MIGRATE_HIGHATOMIC);
	put(&b->m, f, 2);
	rcl_drain_all_pages(&b->m);
	assert_true(rcl_page_alloc_is_valid(&b->m));
	/* An ordinary request in need gets the block back, the last one only by force. */
	hook.reclaim = NULL;
	assert_null(rcl_alloc_pages(&b->m, GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY, 0));
	assert_int_equal(z->nr_reserved_highatomic, 512);
	b->m.tun.min_free_kbytes = 256;
	rcl_setup_watermarks(&b->m);
	rcl_alloc_pages(&b->m, GFP_KERNEL | __GFP_NOWARN | __GFP_MOVABLE, 0);
	assert_true(rcl_page_alloc_is_valid(&b->m));
	bare_close(b);
}

static void test_is_valid_sees(void **state)
{
	struct bare *b = open_zones(1, 3840, 19662, 0);
	struct rcl *m = &b->m;
	struct zone *z = &m->nodes[0].zones[ZONE_DMA32];
	struct folio *g = rcl_alloc_pages(m, GFP_KERNEL, 0);
	u64 pfn = first_block(z, 10, MIGRATE_MOVABLE);
	struct folio *f = pfn_folio(m, pfn);
	(void)state;

	assert_true(rcl_page_alloc_is_valid(m));
	z->stat[NR_FREE_PAGES]++;
	assert_false(rcl_page_alloc_is_valid(m));
	z->stat[NR_FREE_PAGES]--;
	z->pcp[0].count++;
	assert_false(rcl_page_alloc_is_valid(m));
	z->pcp[0].count--;
	z->free_area[10].nr_free++;
	assert_false(rcl_page_alloc_is_valid(m));
	z->free_area[10].nr_free--;
	for (u32 i = 0; i < 2; i++) { /* a wrong type, a wrong order */
		u8 was = z->blocks[pfn];

		z->blocks[pfn] ^= i ? 1 : 1 << BLOCK_ORDER_BITS;
		assert_false(rcl_page_alloc_is_valid(m));
		z->blocks[pfn] = was;
	}
	z->blocks[pfn + 77] = 1;
	assert_false(rcl_page_alloc_is_valid(m));
	z->blocks[pfn + 77] = 0;
	f->refcount = 1;
	assert_false(rcl_page_alloc_is_valid(m));
	f->refcount = 0;
	f->flags = BIT(PG_lru);
	assert_false(rcl_page_alloc_is_valid(m));
	f->flags = 0;
	g->flags |= BIT(PG_pcp);
	g->refcount = 0;
	assert_false(rcl_page_alloc_is_valid(m));
	g->flags = 0;
	g->order = 1;
	assert_false(rcl_page_alloc_is_valid(m));
	g->order = 0;
	assert_true(rcl_page_alloc_is_valid(m));
	bare_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_bad_layouts),
		cmocka_unit_test(test_watermarks_recorded),
		cmocka_unit_test(test_watermarks_computed),
		cmocka_unit_test(test_gfp),
		cmocka_unit_test(test_order0),
		cmocka_unit_test(test_free_list),
		cmocka_unit_test(test_pcp_drain),
		cmocka_unit_test(test_all_orders),
		cmocka_unit_test(test_bulk_is_singles),
		cmocka_unit_test(test_fallback_whole_blocks),
		cmocka_unit_test(test_fallback_claims),
		cmocka_unit_test(test_fallback_movable_takes_smallest),
		cmocka_unit_test(test_boost_limits),
		cmocka_unit_test(test_boost_wakes_kswapd),
		cmocka_unit_test(test_watermark_flags),
		cmocka_unit_test(test_zone_order),
		cmocka_unit_test(test_nofragment),
		cmocka_unit_test(test_reserves),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_highatomic),
		cmocka_unit_test(test_is_valid_sees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
