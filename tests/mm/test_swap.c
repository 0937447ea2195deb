/* SPDX-License-Identifier: MIT */
/*
 * The swap cache, swap-in with readahead, and page I/O. The test plays the parts of faults and
 * reclaim by hand.
 */
#include "mm/memcg.h"
#include "mm/mm.h"
#include "mm/page_alloc.h"
#include "mm/workingset.h"
#include "swap_world.h"

/* An anonymous page as a fault leaves it: one reference and one mapping. */
static struct folio *new_page(struct world *w)
{
	struct folio *f = rcl_alloc_pages(w->m, GFP_HIGHUSER_MOVABLE, 0);

	assert_non_null(f);
	assert_int_equal(rcl_memcg_charge(w->m, f, w->group, GFP_KERNEL), 0);
	folio_set(f, PG_swapbacked);
	folio_set(f, PG_uptodate);
	f->mapcount = 1;
	rcl_folio_add_lru(w->m, f);
	rcl_lru_add_drain(w->m);
	return f;
}
/* Reclaim unmaps it: its page-table entry becomes a swap entry. It stays in the cache, dirty. */
static swp_entry_t unmap(struct world *w, struct folio *f)
{
	swp_entry_t e;

	assert_true(folio_trylock(f));
	if (!folio_test(f, PG_swapcache))
		assert_true(rcl_add_to_swap(w->m, f));
	e = f->private_;
	rcl_swap_duplicate(w->m, e);
	f->mapcount = 0;
	folio_unlock(w->m, f);
	return e;
}
static void write_out(struct world *w, struct folio *f)
{
	assert_true(folio_trylock(f));
	folio_clear(f, PG_dirty);
	assert_int_equal(rcl_swap_writepage(w->m, f), 0);
	complete_io(w);
}
/* The end of a clean page: only the mapping's reference (given up by now) and the cache's. */
static void drop_page(struct world *w, struct folio *f)
{
	void *shadow;

	assert_true(folio_trylock(f));
	assert_int_equal(rcl_folio_isolate_lru(w->m, f), 0);
	folio_put(w->m, f); /* the mapping's */
	assert_true(folio_ref_freeze(f, 2));
	shadow = rcl_workingset_eviction(w->m, f, NULL);
	assert_true(entry_is_shadow(shadow));
	rcl_delete_from_swap_cache(w->m, f, shadow);
	folio_clear(f, PG_locked);
	folio_clear(f, PG_active);
	folio_ref_unfreeze(f, 1);
	folio_put(w->m, f);
}
static swp_entry_t evict(struct world *w, struct folio *f)
{
	swp_entry_t e = unmap(w, f);

	write_out(w, f);
	drop_page(w, f);
	return e;
}
/* A fault on a swap entry: maps the page and gives the entry's reference up. */
static struct folio *fault_in(struct world *w, swp_entry_t e)
{
	struct folio *f = rcl_swap_cache_get_folio(w->m, e, NULL, 0);
	int error = -1;

	if (!f)
		f = rcl_swapin_readahead(w->m, e, GFP_HIGHUSER_MOVABLE, NULL, 0, &error);
	assert_non_null(f);
	folio_lock(w->m, f);
	assert_true(folio_test(f, PG_uptodate) && folio_test(f, PG_swapcache));
	rcl_swap_free(w->m, e);
	f->mapcount = 1;
	folio_unlock(w->m, f);
	rcl_lru_add_drain(w->m);
	return f;
}
/* The process exits: the mapping goes, the cached copy and its slot with it. */
static void unmap_and_free(struct world *w, struct folio *f)
{
	f->mapcount = 0;
	assert_true(folio_trylock(f));
	rcl_folio_free_swap(w->m, f);
	folio_unlock(w->m, f);
	folio_put(w->m, f);
}

static void test_out_and_in(void **state)
{
	struct world *w = *state;
	struct folio *f;
	swp_entry_t e;
	s64 file_pages;

	w->m->tun.page_cluster = 0;
	assert_int_equal(rcl_swapon(w->m, 7, 4096, -1, 0), 0);
	f = new_page(w);
	file_pages = node_page_state(w->m->nodes, NR_FILE_PAGES);

	e = unmap(w, f);
	assert_true(folio_test(f, PG_dirty));
	assert_int_equal(swapcached(w), 1);
	assert_int_equal(node_page_state(w->m->nodes, NR_FILE_PAGES), file_pages + 1);
	assert_int_equal(folio_ref_count(f), 2);
	assert_int_equal(rcl_swap_count(w->m, e), 1);
	assert_ptr_equal(rcl_swap_memcg(w->m, e), w->group);

	write_out(w, f);
	assert_int_equal(w->writes, 1);
	assert_int_equal(w->last_dev, 7);
	assert_int_equal(w->last_block, swp_offset(e));
	assert_int_equal(events(w, PSWPOUT), 1);
	assert_int_equal(events(w, PGPGOUT), 4);
	assert_false(folio_test(f, PG_writeback) || folio_test(f, PG_dirty));

	drop_page(w, f);
	assert_int_equal(swapcached(w), 0);
	assert_null(rcl_swap_cache_get_folio(w->m, e, NULL, 0));
	assert_non_null(rcl_swap_shadow(w->m, e));
	assert_swap_valid(w);

	f = fault_in(w, e);
	assert_true(w->last_sync); /* no window: the read is waited for */
	assert_int_equal(w->reads, 1);
	assert_int_equal(events(w, PSWPIN), 1);
	assert_int_equal(events(w, PGPGIN), 4);
	assert_ptr_equal(f->memcg, w->group);
	assert_true(folio_test(f, PG_swapbacked) && !folio_test(f, PG_dirty));
	assert_int_equal(node_page_state(w->m->nodes, WORKINGSET_REFAULT_ANON), 1);
	assert_null(rcl_swap_shadow(w->m, e));
	assert_int_equal(rcl_swap_count(w->m, e), 0);
	assert_swap_valid(w);

	/* It kept its slot: clean, it leaves again without a write. */
	assert_int_equal(unmap(w, f), e);
	drop_page(w, f);
	assert_int_equal(w->writes, 1);
	assert_swap_valid(w);

	/* The last reference frees the slot and the shadow with it. */
	rcl_free_swap_and_cache(w->m, e);
	for (u32 i = 0; i < SWAP_SLOTS_CACHE_SIZE; i++)
		rcl_swap_slot_free(w->m, rcl_swap_slot_alloc(w->m));
	assert_null(rcl_swap_shadow(w->m, e));
	assert_null(rcl_swap_memcg(w->m, e));
	assert_swap_valid(w);
}

/* A page that nobody needs any more is not written. */
static void test_needless_write(void **state)
{
	struct world *w = *state;
	struct folio *f;
	swp_entry_t e;

	assert_int_equal(rcl_swapon(w->m, 0, 4096, -1, 0), 0);
	f = new_page(w);
	e = unmap(w, f);
	rcl_swap_free(w->m, e);
	write_out(w, f);
	assert_int_equal(w->writes, 0);
	assert_int_equal(events(w, PSWPOUT), 0);
	assert_false(folio_test(f, PG_locked) || folio_test(f, PG_swapcache));
	assert_true(folio_test(f, PG_dirty)); /* memory has the only copy */
	assert_int_equal(folio_ref_count(f), 1);
	folio_put(w->m, f);
	assert_swap_valid(w);
}

static void test_free_swap_and_cache(void **state)
{
	struct world *w = *state;
	struct folio *f;
	swp_entry_t e;

	assert_int_equal(rcl_swapon(w->m, 0, 4096, -1, 0), 0);
	f = new_page(w);
	e = unmap(w, f);
	rcl_swap_duplicate(w->m, e);
	rcl_free_swap_and_cache(w->m, e);
	assert_true(folio_test(f, PG_swapcache)); /* one more reference */
	assert_true(folio_trylock(f));
	assert_false(rcl_folio_free_swap(w->m, f));
	rcl_free_swap_and_cache(w->m, e);
	assert_true(folio_test(f, PG_swapcache)); /* locked by us: not waited for */
	assert_true(rcl_folio_free_swap(w->m, f));
	assert_false(rcl_folio_free_swap(w->m, f));
	folio_unlock(w->m, f);
	assert_int_equal(swapcached(w), 0);

	e = unmap(w, f);
	folio_put(w->m, f); /* the cache's reference is the last */
	rcl_free_swap_and_cache(w->m, e);
	assert_int_equal(swapcached(w), 0);
	assert_swap_valid(w);
}

static void test_io_errors(void **state)
{
	struct world *w = *state;
	struct folio *f, *g;
	swp_entry_t e;
	int error;

	w->m->tun.page_cluster = 0;
	assert_int_equal(rcl_swapon(w->m, 0, 4096, -1, 0), 0);
	f = new_page(w);
	e = unmap(w, f);
	w->fail = -EIO;
	folio_set(f, PG_reclaim);
	write_out(w, f);
	assert_true(folio_test(f, PG_dirty) && folio_test(f, PG_error));
	assert_false(folio_test(f, PG_reclaim) || folio_test(f, PG_writeback));
	rcl_lru_add_drain(w->m);
	assert_int_equal(events(w, PGROTATED), 0); /* not to where it would be freed next */
	w->fail = 0;
	folio_set(f, PG_reclaim);
	write_out(w, f);
	rcl_lru_add_drain(w->m);
	assert_int_equal(events(w, PGROTATED), 1);
	assert_false(folio_test(f, PG_dirty));
	drop_page(w, f);

	w->fail = -EIO;
	g = rcl_swapin_readahead(w->m, e, GFP_HIGHUSER_MOVABLE, NULL, 0, &error);
	assert_non_null(g);
	assert_int_equal(error, 0);
	assert_true(folio_test(g, PG_error));
	assert_false(folio_test(g, PG_uptodate) || folio_test(g, PG_locked));
	folio_put(w->m, g);
	w->fail = 0;
	assert_swap_valid(w);
}

/* A slot freed between the look at the page table and the read: no folio, no error. */
static void test_swapin_of_freed_slot(void **state)
{
	struct world *w = *state;
	swp_entry_t e;
	int error = -1;

	assert_int_equal(rcl_swapon(w->m, 0, 4096, -1, 0), 0);
	e = evict(w, new_page(w));
	rcl_free_swap_and_cache(w->m, e);
	assert_null(rcl_swapin_readahead(w->m, e, GFP_HIGHUSER_MOVABLE, NULL, 0, &error));
	assert_int_equal(error, 0);
	assert_int_equal(w->reads, 0);
	assert_swap_valid(w);
}

static void test_readahead_window(void **state)
{
	struct world *w = *state;
	swp_entry_t e[64];
	struct folio *f;

	w->m->tun.page_cluster = 3;
	assert_int_equal(rcl_swapon(w->m, 0, 4096, -1, 0), 0);
	for (u32 i = 0; i < 64; i++) {
		e[i] = evict(w, new_page(w));
		assert_int_equal(swp_offset(e[i]), i + 1);
	}
	/* A machine starts with 4 hits to its credit: 4 + 2 rounds up to 8, slots 8..15. */
	f = fault_in(w, swp_entry(0, 10));
	assert_int_equal(w->reads, 8);
	assert_int_equal(events(w, SWAP_RA), 7);
	assert_int_equal(w->plugs, 0);
	assert_false(folio_test(f, PG_readahead_));
	/* Those are there; using them counts as hits. */
	for (u64 off = 11; off < 14; off++)
		fault_in(w, swp_entry(0, off));
	assert_int_equal(w->reads, 8);
	assert_int_equal(events(w, SWAP_RA_HIT), 3);
	/* 3 + 2 -> 8: slots 24..31. */
	fault_in(w, swp_entry(0, 31));
	assert_int_equal(w->reads, 16);
	/* No hits: half of the last window, then half again, then one; that is waited for. */
	fault_in(w, swp_entry(0, 40));
	assert_int_equal(w->reads, 20);
	assert_false(w->last_sync);
	fault_in(w, swp_entry(0, 50));
	assert_int_equal(w->reads, 22);
	fault_in(w, swp_entry(0, 61));
	assert_int_equal(w->reads, 23);
	assert_true(w->last_sync);
	/* A neighbour of the last wanted one: two. */
	fault_in(w, swp_entry(0, 62));
	assert_int_equal(w->reads, 25);
	assert_swap_valid(w);
	assert_int_equal(events(w, PSWPIN), w->reads);
	/* The header is never read, nor slots nobody uses. */
	w->m->swap->readahead_hits = 6;
	fault_in(w, swp_entry(0, 3));
	assert_int_equal(events(w, PSWPIN), 25 + 7);
	assert_swap_valid(w);
}

/* Swap nearly full: slots of pages that are also in memory are taken from them. */
static void test_full_swap_steals_cached(void **state)
{
	struct world *w = *state;
	const u32 pages = 100;
	struct folio *f[100];
	swp_entry_t e[100];

	w->m->tun.page_cluster = 0;
	assert_int_equal(rcl_swapon(w->m, 0, 1 + pages, -1, 0), 0);
	for (u32 i = 0; i < pages; i++)
		e[i] = evict(w, new_page(w));
	assert_true(rcl_vm_swap_full(w->m));
	assert_false(rcl_swap_slot_alloc(w->m));
	for (u32 i = 1; i < 5; i++)
		f[i] = fault_in(w, e[i]);
	rcl_free_swap_and_cache(w->m, e[0]);
	rcl_free_swap_and_cache(w->m, e[90]);
	assert_int_equal(rcl_nr_swap_pages(w->m), 2);
	assert_int_equal(rcl_swap_slot_alloc(w->m), e[0]);
	assert_true(folio_test(f[1], PG_swapcache) && folio_test(f[2], PG_swapcache));
	assert_int_equal(rcl_swap_slot_alloc(w->m), e[1]);
	assert_false(folio_test(f[1], PG_swapcache));
	assert_true(folio_test(f[1], PG_dirty)); /* memory has the only copy now */
	assert_true(folio_test(f[2], PG_swapcache));
	/* A locked one is passed over. */
	assert_true(folio_trylock(f[2]));
	assert_int_equal(rcl_swap_slot_alloc(w->m), e[3]);
	folio_unlock(w->m, f[2]);
	assert_int_equal(rcl_nr_swap_pages(w->m), 1);
	assert_swap_valid(w);
}

/* The trees' nodes: one for 64 slots, one for 4096 and one at the top, and gone with the last. */
static void test_tree_nodes(void **state)
{
	struct world *w = *state;
	struct swap_area *a;
	struct folio *f[200];
	u32 nodes = 0;

	assert_int_equal(rcl_swapon(w->m, 0, 20000, -1, 0), 0);
	a = area(w, 0);
	for (u32 i = 0; i < 200; i++)
		unmap(w, f[i] = new_page(w)); /* slots 1..200 */
	for (u32 i = 0; i < 8; i++)
		nodes += a->tree[0][i].object != NULL;
	assert_int_equal(nodes, 4);
	assert_non_null(a->tree[1][0].object);
	assert_non_null(a->tree[2][0].object);
	assert_null(a->tree[2][1].object);
	assert_null(a->tree[3]);
	assert_swap_valid(w);
	for (u32 i = 0; i < 200; i++) {
		rcl_swap_free(w->m, f[i]->private_);
		unmap_and_free(w, f[i]);
	}
	assert_null(a->tree[0][0].object);
	assert_null(a->tree[2][0].object);
	assert_swap_valid(w);
}

/* Every frame that an allocation may get, linked through private_. */
static struct folio *take_all_memory(struct world *w)
{
	struct folio *hoard = NULL, *f;

	while ((f = rcl_alloc_pages(w->m, __GFP_HIGH | __GFP_NOWARN, 0))) {
		f->private_ = (uintptr_t)hoard;
		hoard = f;
	}
	return hoard;
}
static void give_back(struct world *w, struct folio *hoard)
{
	for (struct folio *f; (f = hoard);) {
		hoard = (struct folio *)(uintptr_t)f->private_;
		f->private_ = 0;
		folio_put(w->m, f);
	}
}

/* No memory for a node: the page is not added, and nothing is left behind. */
static void test_no_memory_for_nodes(void **state)
{
	struct world *w = *state;
	struct folio *f[2000], *hoard;
	u32 added = 0, n = 0;

	assert_int_equal(rcl_swapon(w->m, 0, 200000, -1, 0), 0);
	for (n = 0; n < 2000; n++)
		f[n] = new_page(w);
	hoard = take_all_memory(w);
	for (; added < n; added++) {
		assert_true(folio_trylock(f[added]));
		if (!rcl_add_to_swap(w->m, f[added]))
			break;
		folio_unlock(w->m, f[added]);
	}
	assert_true(added < n);
	assert_false(folio_test(f[added], PG_swapcache));
	assert_int_equal(f[added]->private_, 0);
	assert_int_equal(folio_ref_count(f[added]), 1);
	assert_int_equal(swapcached(w), added);
	assert_swap_valid(w);
	give_back(w, hoard);
	assert_true(rcl_add_to_swap(w->m, f[added]));
	folio_unlock(w->m, f[added]);
	assert_swap_valid(w);
}

/* Somebody else is reading the slot in and has not inserted its folio yet. */
static void give_claim_up(struct world *w)
{
	rcl_swap_cache_release(w->m, w->nap_entry);
}
static void test_claim_is_waited_for(void **state)
{
	struct world *w = *state;

	assert_int_equal(rcl_swapon(w->m, 0, 4096, -1, 0), 0);
	w->nap_entry = evict(w, new_page(w));
	w->on_nap = give_claim_up;
	assert_int_equal(rcl_swap_cache_prepare(w->m, w->nap_entry), 0);
	assert_int_equal(rcl_swap_cache_prepare(w->m, w->nap_entry), -EEXIST);
	fault_in(w, w->nap_entry);
	assert_int_equal(w->naps, 1);
	assert_int_equal(w->plat.now, rcl_jiffies_to_ns(w->m, 1));
	assert_int_equal(rcl_swap_cache_prepare(w->m, w->nap_entry), -EEXIST);
	assert_int_equal(rcl_swap_cache_prepare(w->m, rcl_swap_slot_alloc(w->m)), -EEXIST);
	assert_int_equal(rcl_swap_cache_prepare(w->m, swp_entry(0, 4000)), -ENOENT);
	assert_swap_valid(w);
}

static void test_swapin_without_memory(void **state)
{
	struct world *w = *state;
	struct folio *hoard;
	swp_entry_t e;
	int error = 0;

	assert_int_equal(rcl_swapon(w->m, 0, 4096, -1, 0), 0);
	e = evict(w, new_page(w));
	hoard = take_all_memory(w);
	assert_null(rcl_swapin_readahead(w->m, e, GFP_NOWAIT | __GFP_NOWARN, NULL, 0, &error));
	assert_int_equal(error, -ENOMEM);
	assert_null(rcl_read_swap_cache_async(w->m, e, GFP_NOWAIT | __GFP_NOWARN));
	give_back(w, hoard);
	assert_int_equal(rcl_swap_count(w->m, e), 1);
	assert_non_null(rcl_swap_shadow(w->m, e));
	assert_swap_valid(w);
	fault_in(w, e);
}

/* Faults of a program, on swap without seek cost: readahead goes by address. */
static bool is_swapped(struct mm *mm, u64 vpn)
{
	pte_t *p = rcl_pte_lookup(mm, vpn);

	return p && pte_is_swap(*p);
}
static void test_readahead_by_address(void **state)
{
	struct world *w = *state;
	const u64 base = 4 * PTRS_PER_TABLE - 32, pages = 96; /* across a table's end */
	struct mm *mm;

	w->m->tun.page_cluster = 3;
	assert_int_equal(rcl_swapon(w->m, 0, 65536, -1, SWAP_SOLIDSTATE), 0);
	w->task.memcg = w->group;
	assert_int_equal(rcl_mm_create(w->m, w->group, &mm), 0);
	w->task.mm = mm;
	assert_int_equal(rcl_mmap(w->m, mm, base, pages, VM_READ | VM_WRITE, NULL, 0), 0);
	for (u64 i = 0; i < pages; i++)
		assert_int_equal(rcl_touch(w->m, mm, base + i, true), 0);
	assert_int_equal(rcl_madvise(w->m, mm, base, pages, RCL_MADV_PAGEOUT), 0);
	complete_io(w);
	rcl_memcg_reclaim(w->m, w->group, pages * PAGE_SIZE); /* clean now: drop them */
	for (u64 i = 0; i < pages; i++)
		assert_true(is_swapped(mm, base + i));
	assert_int_equal(swapcached(w), 0);
	assert_swap_valid(w);

	/* The first window: 8 pages, 3 before and 4 after. */
	assert_int_equal(rcl_touch(w->m, mm, base + 10, false), 0);
	assert_int_equal(w->reads, 8);
	assert_int_equal(swapcached(w), 8);
	assert_int_equal(events(w, SWAP_RA), 7);
	for (u64 i = 11; i < 15; i++)
		assert_int_equal(rcl_touch(w->m, mm, base + i, false), 0);
	assert_int_equal(w->reads, 8);
	assert_int_equal(events(w, SWAP_RA_HIT), 4);
	/* Upwards with hits: 8 from the fault on. */
	assert_int_equal(rcl_touch(w->m, mm, base + 15, false), 0);
	assert_int_equal(w->reads, 16);
	assert_int_equal(rcl_touch(w->m, mm, base + 22, false), 0);
	assert_int_equal(w->reads, 16);
	/* One hit since: 4 pages, 29..32, of which 32 is in the next page table. */
	assert_int_equal(rcl_touch(w->m, mm, base + 30, false), 0);
	assert_int_equal(w->reads, 16 + 3);
	assert_true(is_swapped(mm, base + 32));
	w->task.mm = NULL;
	complete_io(w);
	rcl_mm_destroy(w->m, mm);
	assert_swap_valid(w);
}

/*
 * Random life of pages in two areas of both kinds, against a model: who holds which slot, and how
 * many references it has.
 */
struct page_model {
	struct folio *f; /* mapped, or NULL */
	swp_entry_t e;	 /* swapped out: its page-table entry */
	u32 extra;	 /* further references to e */
};
#define NR_MODELS 1500

static void model_step(struct world *w, struct page_model *p)
{
	u64 r = fake_random(&w->plat) >> 20;

	w->plat.cpu = r & 1;
	r >>= 1;
	if (!p->f && !p->e) {
		p->f = new_page(w);
	} else if (p->f) {
		switch (r % 8) {
		case 0:
			unmap_and_free(w, p->f);
			p->f = NULL;
			break;
		case 1: /* dirtied: the copy on the device is stale */
			assert_true(folio_trylock(p->f));
			rcl_folio_free_swap(w->m, p->f);
			folio_set(p->f, PG_dirty);
			folio_unlock(w->m, p->f);
			break;
		default:
			assert_true(folio_trylock(p->f));
			if (!folio_test(p->f, PG_swapcache) && !rcl_add_to_swap(w->m, p->f)) {
				assert_true(rcl_nr_swap_pages(w->m) < 2);
				folio_unlock(w->m, p->f);
				return;
			}
			folio_unlock(w->m, p->f);
			p->e = unmap(w, p->f);
			if (folio_test(p->f, PG_dirty))
				write_out(w, p->f);
			if (r % 8 < 4)
				folio_put(w->m, p->f); /* stays in the cache for a while */
			else
				drop_page(w, p->f);
			p->f = NULL;
		}
	} else {
		assert_int_equal(rcl_swap_count(w->m, p->e), 1 + p->extra);
		assert_ptr_equal(rcl_swap_memcg(w->m, p->e), w->group);
		if (p->extra) {
			rcl_swap_free(w->m, p->e);
			p->extra--;
			return;
		}
		switch (r % 8) {
		case 0:
			rcl_free_swap_and_cache(w->m, p->e);
			p->e = 0;
			break;
		case 1:
			rcl_swap_duplicate(w->m, p->e);
			p->extra++;
			break;
		default:
			p->f = fault_in(w, p->e);
			p->e = 0;
			complete_io(w);
		}
	}
}

static void test_property(void **state)
{
	struct world *w = *state;
	struct page_model *pages = calloc(NR_MODELS, sizeof(*pages));

	assert_int_equal(rcl_swapon(w->m, 0, 1 + 700, 3, 0), 0);
	assert_int_equal(rcl_swapon(w->m, 1, 1100, 3, SWAP_SOLIDSTATE), 0);
	for (u32 i = 0; i < 60000; i++) {
		/* Breathe: from nearly empty to more than there is swap. */
		u32 range = i / 6000 % 2 ? NR_MODELS : 200;

		model_step(w, pages + (fake_random(&w->plat) >> 17) % range);
		if (i % 16 == 0)
			assert_swap_valid(w);
	}
	for (u32 i = 0; i < NR_MODELS; i++) {
		for (; pages[i].e && pages[i].extra; pages[i].extra--)
			rcl_swap_free(w->m, pages[i].e);
		if (pages[i].e)
			rcl_free_swap_and_cache(w->m, pages[i].e);
		if (pages[i].f)
			unmap_and_free(w, pages[i].f);
	}
	assert_swap_valid(w);
	assert_int_equal(swapcached(w), 0);
	/* All that is not free waits in the slot caches. */
	u64 cached = 0;
	for (u32 cpu = 0; cpu < w->m->nr_cpus; cpu++)
		cached += w->m->swap->slots[cpu].nr + w->m->swap->slots[cpu].nr_ret;
	assert_int_equal(rcl_nr_swap_pages(w->m) + cached, rcl_total_swap_pages(w->m));
	free(pages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_out_and_in),
		TEST(test_needless_write),
		TEST(test_free_swap_and_cache),
		TEST(test_io_errors),
		TEST(test_swapin_of_freed_slot),
		TEST(test_readahead_window),
		TEST(test_full_swap_steals_cached),
		TEST(test_tree_nodes),
		TEST(test_no_memory_for_nodes),
		TEST(test_claim_is_waited_for),
		TEST(test_swapin_without_memory),
		TEST(test_readahead_by_address),
		TEST(test_property),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
