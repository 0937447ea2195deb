/* SPDX-License-Identifier: MIT */
/* Refault detection: shadow entries, distances, who is activated; shadow nodes and their shrinker.
 */
#include "core_world.h"

#include "mm/shrinker.h"

#define CLOCK_BITS 36
#define CLOCK_MASK ((1ull << CLOCK_BITS) - 1)

CORE_SETUP(setup, 1, 8192, 0)
CORE_SETUP(setup_swap, 1, 8192, 1024)

/* Evict a folio made up for it: the shadow that is left. */
static void *evict(struct core *c, u32 flags, struct memcg *target)
{
	struct folio *f = new_folio(c, flags | BIT(PG_locked));
	void *shadow = rcl_workingset_eviction(c->m, f, target);

	folio_clear(f, PG_locked);
	folio_put(c->m, f);
	return shadow;
}

/* A new folio takes the shadow's place: does it come in active? */
static bool refault(struct core *c, u32 flags, void *shadow, bool *workingset)
{
	struct folio *f = new_folio(c, flags);
	bool active;

	rcl_workingset_refault(c->m, f, shadow);
	active = folio_test(f, PG_active);
	if (workingset)
		*workingset = folio_test(f, PG_workingset);
	folio_put(c->m, f);
	return active;
}

static s64 count(struct core *c, enum node_stat_item item)
{
	return c->lv->stat[item];
}

/* Make the group look as if it had this much on a list. */
static void pretend(struct core *c, int lru, s64 pages)
{
	rcl_mod_lruvec_state(c->lv, (enum node_stat_item)lru, pages - count(c, lru));
}
static void stop_pretending(struct core *c)
{
	for_each_evictable_lru (l)
		pretend(c, l, 0);
}

/* ---- shadow entries ------------------------------------------------------------------------ */

static void a_shadow_tells_who_when_and_what(void **state)
{
	struct core *c = *state;
	struct memcg *root = c->m->root_memcg;
	u64 v;

	c->lv->nonresident_age = 0x123456789;
	v = (uintptr_t)evict(c, BIT(PG_workingset), c->group);
	assert_int_equal(v & 1, 1);
	assert_int_equal(v >> 1 & 1, 1);
	assert_int_equal(v >> 2 & 1023, 0);
	assert_int_equal(v >> 12 & 65535, c->group->id);
	assert_int_equal(v >> 28, 0x123456789);

	/* The group under reclaim is meant, not the owner: here the whole machine. */
	root->lruvecs[0]->nonresident_age = 77;
	v = (uintptr_t)evict(c, 0, NULL);
	assert_int_equal(v >> 1 & 1, 0);
	assert_int_equal(v >> 12 & 65535, root->id);
	assert_int_equal(v >> 28, 77);
}

static void the_clock_ticks_for_the_target_and_its_parents(void **state)
{
	struct core *c = *state;
	struct lruvec *root = c->m->root_memcg->lruvecs[0];
	s64 age = c->lv->nonresident_age, root_age = root->nonresident_age;

	evict(c, 0, c->group);
	assert_int_equal(c->lv->nonresident_age, age + 1);
	assert_int_equal(root->nonresident_age, root_age + 1);
	evict(c, 0, NULL);
	assert_int_equal(c->lv->nonresident_age, age + 1);
	assert_int_equal(root->nonresident_age, root_age + 2);
}

/* ---- distance ------------------------------------------------------------------------------ */

static void distance_decides_at_the_page(void **state)
{
	struct core *c = *state;
	void *shadow = evict(c, 0, c->group);

	pretend(c, LRU_ACTIVE_FILE, 10);
	rcl_workingset_age_nonresident(c->m, c->lv, 9); /* one tick was its own eviction */
	assert_true(refault(c, 0, shadow, NULL));	/* 10 <= 10; and the clock ticks again */
	assert_false(refault(c, 0, shadow, NULL));	/* 11 > 10 */
	assert_int_equal(count(c, WORKINGSET_REFAULT_FILE), 2);
	assert_int_equal(count(c, WORKINGSET_ACTIVATE_FILE), 1);
	assert_int_equal(count(c, WORKINGSET_REFAULT_ANON), 0);
	stop_pretending(c);
}

static void the_clock_may_wrap(void **state)
{
	struct core *c = *state;
	void *shadow;

	c->lv->nonresident_age = CLOCK_MASK - 1;
	shadow = evict(c, 0, c->group);
	assert_int_equal((uintptr_t)shadow >> 28, CLOCK_MASK - 1);
	rcl_workingset_age_nonresident(c->m, c->lv, 4);
	pretend(c, LRU_ACTIVE_FILE, 4);
	assert_false(refault(c, 0, shadow, NULL)); /* distance 5 */
	pretend(c, LRU_ACTIVE_FILE, 5);
	assert_true(refault(c, 0, shadow, NULL));
	/* The clock goes on past the bits a shadow can hold. */
	assert_int_equal(c->lv->nonresident_age, CLOCK_MASK + 5);
	shadow = evict(c, 0, c->group);
	assert_int_equal((uintptr_t)shadow >> 28, 4);
	assert_true(refault(c, 0, shadow, NULL));
	stop_pretending(c);
}

/* ---- room ---------------------------------------------------------------------------------- */

/* The room a refaulting page is granted: the largest distance that still activates it. */
static u64 room(struct core *c, u32 flags)
{
	void *shadow = evict(c, 0, c->group);
	s64 born = c->lv->nonresident_age - 1;

	for (u64 distance = 4096; distance; distance--) {
		c->lv->nonresident_age = born + (s64)distance;
		if (refault(c, flags, shadow, NULL))
			return distance;
	}
	return 0;
}

static void pretend_all(struct core *c)
{
	pretend(c, LRU_INACTIVE_ANON, 1000);
	pretend(c, LRU_ACTIVE_ANON, 200);
	pretend(c, LRU_INACTIVE_FILE, 30);
	pretend(c, LRU_ACTIVE_FILE, 4);
}

static void room_without_swap(void **state)
{
	struct core *c = *state;

	pretend_all(c);
	assert_int_equal(room(c, 0), 4);
	assert_int_equal(room(c, ANON_FLAGS), 34);
	stop_pretending(c);
}

static void room_with_swap(void **state)
{
	struct core *c = *state;

	pretend_all(c);
	assert_int_equal(room(c, 0), 1204);	    /* all but its own inactive list */
	assert_int_equal(room(c, ANON_FLAGS), 234); /* the same for anonymous pages */
	stop_pretending(c);
}

static void room_is_that_of_the_group_that_evicted(void **state)
{
	struct core *c = *state;
	struct memcg *other;
	struct lruvec *lv;
	void *shadow;

	assert_int_equal(rcl_memcg_create(c->m, c->m->root_memcg, "other", &other), 0);
	lv = other->lruvecs[0];
	shadow = evict(c, 0, other);
	pretend(c, LRU_ACTIVE_FILE, 1000);
	assert_false(refault(c, 0, shadow, NULL));
	rcl_mod_lruvec_state(lv, NR_ACTIVE_FILE, 1);
	assert_true(refault(c, 0, shadow, NULL));
	rcl_mod_lruvec_state(lv, NR_ACTIVE_FILE, -1);
	/* Counted for the owner of the page, whoever evicted it. */
	assert_int_equal(count(c, WORKINGSET_REFAULT_FILE), 2);
	assert_int_equal(lv->stat[WORKINGSET_REFAULT_FILE], 0);
	stop_pretending(c);
}

static void the_shadow_of_a_group_that_is_gone_says_nothing(void **state)
{
	struct core *c = *state;
	struct memcg *other;
	void *shadow;

	assert_int_equal(rcl_memcg_create(c->m, c->m->root_memcg, "other", &other), 0);
	shadow = evict(c, 0, other);
	assert_int_equal(rcl_memcg_destroy(c->m, other), 0);
	pretend(c, LRU_ACTIVE_FILE, 1000);
	assert_false(refault(c, 0, shadow, NULL));
	assert_int_equal(count(c, WORKINGSET_REFAULT_FILE), 0);
	stop_pretending(c);
}

/* ---- restore ------------------------------------------------------------------------------- */

static void what_was_hot_before_is_restored_and_costs(void **state)
{
	struct core *c = *state;
	void *cold = evict(c, 0, c->group), *hot = evict(c, BIT(PG_workingset), c->group);
	s64 age = c->lv->nonresident_age;
	bool workingset;

	pretend(c, LRU_ACTIVE_FILE, 400);
	assert_true(refault(c, 0, cold, &workingset));
	assert_false(workingset);
	assert_int_equal(c->lv->file_cost, 0);
	assert_int_equal(count(c, WORKINGSET_RESTORE_FILE), 0);

	assert_true(refault(c, 0, hot, &workingset));
	assert_true(workingset);
	assert_int_equal(c->lv->file_cost, 1);
	assert_int_equal(count(c, WORKINGSET_RESTORE_FILE), 1);
	assert_int_equal(c->lv->nonresident_age, age + 2);

	/* Too late to matter: neither active nor restored. */
	rcl_workingset_age_nonresident(c->m, c->lv, 500);
	assert_false(refault(c, 0, hot, &workingset));
	assert_false(workingset);
	assert_int_equal(c->lv->file_cost, 1);

	/* Anonymous pages cost on their own account. */
	hot = evict(c, ANON_FLAGS | BIT(PG_workingset), c->group);
	assert_true(refault(c, ANON_FLAGS, hot, &workingset));
	assert_int_equal(c->lv->anon_cost, 1);
	assert_int_equal(count(c, WORKINGSET_RESTORE_ANON), 1);
	assert_int_equal(count(c, WORKINGSET_ACTIVATE_ANON), 1);
	stop_pretending(c);
}

static void an_uncharged_folio_does_not_tick(void **state)
{
	struct core *c = *state;
	struct folio *f = rcl_alloc_pages(c->m, GFP_HIGHUSER_MOVABLE, 0);
	s64 age = c->m->root_memcg->lruvecs[0]->nonresident_age;

	rcl_workingset_activation(c->m, f);
	assert_int_equal(c->m->root_memcg->lruvecs[0]->nonresident_age, age);
	folio_put(c->m, f);
}

/* ---- a real page cache --------------------------------------------------------------------- */

static void add_page(struct core *c, u64 index)
{
	struct folio *f = rcl_alloc_pages(c->m, GFP_HIGHUSER_MOVABLE, 0);

	assert_non_null(f);
	assert_int_equal(rcl_filemap_add_folio(c->m, c->mapping, f, index, GFP_KERNEL), 0);
	folio_set(f, PG_uptodate);
	folio_unlock(c->m, f);
	folio_put(c->m, f);
}

static void reclaim_all(struct core *c)
{
	rcl_lru_add_drain(c->m);
	for (int i = 0; i < 20 && c->mapping->nr_pages; i++)
		rcl_memcg_reclaim(c->m, c->group, PAGE_SIZE);
	assert_int_equal(c->mapping->nr_pages, 0);
}

static void a_page_that_comes_back_soon_comes_back_active(void **state)
{
	struct core *c = *state;

	for (u64 i = 0; i < 4; i++)
		add_page(c, i);
	reclaim_all(c);
	assert_true(entry_is_shadow(rcl_radix_load(c->mapping, 2)));
	pretend(c, LRU_ACTIVE_FILE, 100);
	add_page(c, 2);
	stop_pretending(c);
	assert_true(folio_test(cached(c, 2), PG_active));
	assert_int_equal(count(c, WORKINGSET_REFAULT_FILE), 1);
	assert_int_equal(count(c, WORKINGSET_ACTIVATE_FILE), 1);
	rcl_lru_add_drain(c->m);
	assert_int_equal(list_size(c, LRU_ACTIVE_FILE), 1);
}

static void nodes_of_nothing_but_shadows_are_listed(void **state)
{
	struct core *c = *state;
	u64 nr = c->lv->nr_shadow_nodes;

	add_page(c, 0);
	add_page(c, 1);
	add_page(c, 64);
	assert_int_equal(c->lv->nr_shadow_nodes, nr);
	reclaim_all(c);
	assert_int_equal(c->lv->nr_shadow_nodes, 2);
	assert_int_equal(count(c, WORKINGSET_NODES), 2);
	add_page(c, 1); /* its node holds a page again */
	assert_int_equal(c->lv->nr_shadow_nodes, 1);
	rcl_truncate_range(c->m, c->mapping, 64, 64); /* and this one holds nothing */
	assert_int_equal(c->lv->nr_shadow_nodes, 0);
	assert_int_equal(count(c, WORKINGSET_NODES), 0);
}

static void the_shrinker_frees_the_oldest_nodes(void **state)
{
	enum {
		NODES = 30
	};
	struct core *c = *state;
	struct shrinker *s = c->m->workingset;
	struct shrink_control sc = {.m = c->m, .gfp = GFP_KERNEL, .memcg = c->group};

	assert_int_equal(s->count_objects(s, &sc), SHRINK_EMPTY);
	for (u64 i = 0; i < NODES; i++) {
		add_page(c, i * 64);
		rcl_lru_add_drain(c->m);
	}
	/* Evict without a pass over the object caches. */
	for (u64 i = 0; i < NODES; i++)
		assert_true(evict_folio(c, cached(c, i * 64)));
	assert_int_equal(c->lv->nr_shadow_nodes, NODES);

	/* The tree's own nodes are the group's only memory: a node's worth of shadows for 8 pages.
	 */
	u64 slab = (u64)(count(c, NR_SLAB_RECLAIMABLE_B) + count(c, NR_SLAB_UNRECLAIMABLE_B)) >>
		   PAGE_SHIFT;
	assert_int_equal(s->count_objects(s, &sc), NODES - (slab >> 3));
	pretend(c, LRU_INACTIVE_FILE, 80);
	assert_int_equal(s->count_objects(s, &sc), NODES - ((80 + slab) >> 3));
	pretend(c, LRU_INACTIVE_FILE, 8 * NODES);
	assert_int_equal(s->count_objects(s, &sc), 0); /* not empty: nothing to spare */
	stop_pretending(c);

	/* A tree that somebody works on is left for later. */
	spin_lock(&c->mapping->lock);
	sc.nr_to_scan = 3;
	assert_int_equal(s->scan_objects(s, &sc), 0);
	spin_unlock(&c->mapping->lock);
	for (u64 i = 0; i < NODES - 3; i++) /* those three are the last now: turn the list on */
		list_move_tail(c->lv->shadow_nodes.next, &c->lv->shadow_nodes);

	sc.nr_to_scan = 5;
	assert_int_equal(s->scan_objects(s, &sc), 5);
	assert_int_equal(count(c, WORKINGSET_NODERECLAIM), 5);
	assert_int_equal(c->lv->nr_shadow_nodes, NODES - 5);
	assert_null(rcl_radix_load(c->mapping, 4 * 64));
	assert_true(entry_is_shadow(rcl_radix_load(c->mapping, 5 * 64)));
	assert_true(rcl_mapping_is_valid(c->m, c->mapping));
	sc.nr_to_scan = 1000;
	assert_int_equal(s->scan_objects(s, &sc), NODES - 5);
	assert_int_equal(s->count_objects(s, &sc), SHRINK_EMPTY);
}

int main(void)
{
#define T(f)  cmocka_unit_test_setup_teardown(f, setup, core_teardown)
#define TS(f) cmocka_unit_test_setup_teardown(f, setup_swap, core_teardown)
	const struct CMUnitTest tests[] = {
		T(a_shadow_tells_who_when_and_what),
		T(the_clock_ticks_for_the_target_and_its_parents),
		T(distance_decides_at_the_page),
		T(the_clock_may_wrap),
		T(room_without_swap),
		TS(room_with_swap),
		T(room_is_that_of_the_group_that_evicted),
		T(the_shadow_of_a_group_that_is_gone_says_nothing),
		T(what_was_hot_before_is_restored_and_costs),
		T(an_uncharged_folio_does_not_tick),
		T(a_page_that_comes_back_soon_comes_back_active),
		T(nodes_of_nothing_but_shadows_are_listed),
		T(the_shrinker_frees_the_oldest_nodes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
