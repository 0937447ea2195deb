/* SPDX-License-Identifier: MIT */
/* LRU lists and their batches: what each moves, when it drains, marking accessed, costs. */
#include "core_world.h"

CORE_SETUP(setup, 2, 4096, 0)

static bool is_young_end(struct core *c, struct folio *f, int lru)
{
	return c->lv->lists[lru].next == &f->lru;
}
static bool is_old_end(struct core *c, struct folio *f, int lru)
{
	return c->lv->lists[lru].prev == &f->lru;
}
static bool is_on(struct core *c, struct folio *f, int lru)
{
	struct folio *pos;

	list_for_each (pos, &c->lv->lists[lru], lru)
		if (pos == f)
			return folio_test(f, PG_lru);
	return false;
}
static void drain(struct core *c)
{
	rcl_lru_add_drain(c->m);
}
static void put(struct core *c, struct folio *f)
{
	folio_put(c->m, f);
}

/* ---- the add batch ------------------------------------------------------------------------- */

static void fifteen_folios_reach_their_list_together(void **state)
{
	struct core *c = *state;
	struct folio *f[FOLIO_BATCH_SIZE];

	for (int i = 0; i < 15; i++) {
		f[i] = new_folio(c, 0);
		rcl_folio_add_lru(c->m, f[i]);
		if (i < 14) {
			assert_false(folio_test(f[i], PG_lru));
			assert_int_equal(folio_ref_count(f[i]), 2);
			assert_int_equal(list_size(c, LRU_INACTIVE_FILE), 0);
		}
	}
	assert_int_equal(list_size(c, LRU_INACTIVE_FILE), 15);
	assert_int_equal(lone_node_stat(c->w, NR_INACTIVE_FILE), 15);
	assert_true(is_young_end(c, f[14], LRU_INACTIVE_FILE));
	assert_true(is_old_end(c, f[0], LRU_INACTIVE_FILE));
	for (int i = 0; i < 15; i++) {
		assert_int_equal(folio_ref_count(f[i]), 1);
		put(c, f[i]);
	}
	assert_int_equal(list_size(c, LRU_INACTIVE_FILE), 0);
}

static void flags_choose_the_list(void **state)
{
	static const struct {
		u32 flags;
		int lru;
	} cases[] = {
		{0, LRU_INACTIVE_FILE},
		{BIT(PG_active), LRU_ACTIVE_FILE},
		{ANON_FLAGS, LRU_INACTIVE_ANON},
		{ANON_FLAGS | BIT(PG_active), LRU_ACTIVE_ANON},
		{BIT(PG_anon), LRU_INACTIVE_FILE}, /* lazyfree */
		{BIT(PG_mlocked), LRU_UNEVICTABLE},
		{BIT(PG_mlocked) | BIT(PG_active), LRU_UNEVICTABLE},
		{BIT(PG_unevictable), LRU_INACTIVE_FILE}, /* was there, need not stay */
	};
	struct core *c = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct folio *f = listed_folio(c, cases[i].flags);

		assert_int_equal(folio_lru_list(f), cases[i].lru);
		assert_true(is_on(c, f, cases[i].lru));
		assert_int_equal(list_size(c, cases[i].lru), 1);
		assert_int_equal(rcl_lruvec_lru_size(c->lv, cases[i].lru, ZONE_DMA), 0);
		assert_int_equal(rcl_lruvec_lru_size(c->lv, cases[i].lru, ZONE_DMA32), 1);
		assert_true(!folio_test(f, PG_active) || !folio_test(f, PG_unevictable));
		folio_clear(f, PG_mlocked);
		put(c, f);
	}
	assert_int_equal(events_of(c, UNEVICTABLE_PGCULLED), 2);
	assert_int_equal(events_of(c, UNEVICTABLE_PGRESCUED), 1);
}

static void each_cpu_has_its_own_batches(void **state)
{
	struct core *c = *state;
	struct folio *f = new_folio(c, 0);

	c->w->plat.cpu = 1;
	rcl_folio_add_lru(c->m, f);
	c->w->plat.cpu = 0;
	drain(c);
	assert_false(folio_test(f, PG_lru));
	rcl_lru_add_drain_all(c->m);
	assert_true(folio_test(f, PG_lru));
	put(c, f);
}

static void a_batch_serves_several_groups(void **state)
{
	struct core *c = *state;
	struct memcg *other;
	struct folio *f[2];

	assert_int_equal(rcl_memcg_create(c->m, c->m->root_memcg, "other", &other), 0);
	for (int i = 0; i < 2; i++) {
		f[i] = rcl_alloc_pages(c->m, GFP_HIGHUSER_MOVABLE, 0);
		f[i]->mapping = NULL;
		assert_int_equal(rcl_memcg_charge(c->m, f[i], i ? other : c->group, GFP_KERNEL), 0);
		rcl_folio_add_lru(c->m, f[i]);
	}
	drain(c);
	assert_int_equal(list_size(c, LRU_INACTIVE_FILE), 1);
	assert_int_equal(other->lruvecs[0]->stat[NR_INACTIVE_FILE], 1);
	assert_true(rcl_lruvec_is_valid(c->m, other->lruvecs[0]));
	/* The node and the root group see both. */
	assert_int_equal(rcl_lruvec_page_state(c->m->root_memcg->lruvecs[0], NR_INACTIVE_FILE), 2);
	put(c, f[0]);
	put(c, f[1]);
}

static void the_last_reference_can_be_the_batchs(void **state)
{
	struct core *c = *state;
	struct folio *f = new_folio(c, BIT(PG_active));
	s64 usage = c->group->usage;

	rcl_folio_add_lru(c->m, f);
	put(c, f);
	assert_int_equal(folio_ref_count(f), 1);
	drain(c);
	assert_int_equal(folio_ref_count(f), 0);
	assert_int_equal(c->group->usage, usage - 1);
	assert_int_equal(list_size(c, LRU_ACTIVE_FILE), 0);
}

/* ---- marking accessed ---------------------------------------------------------------------- */

static void the_second_mark_activates(void **state)
{
	struct core *c = *state;
	struct folio *f = listed_folio(c, 0);
	s64 age = c->lv->nonresident_age;

	rcl_folio_mark_accessed(c->m, f);
	assert_true(folio_test(f, PG_referenced));
	assert_int_equal(c->lv->nonresident_age, age);

	rcl_folio_mark_accessed(c->m, f);
	assert_false(folio_test(f, PG_referenced));
	assert_false(folio_test(f, PG_active)); /* waits in the batch */
	assert_int_equal(c->lv->nonresident_age, age + 1);
	drain(c);
	assert_true(is_on(c, f, LRU_ACTIVE_FILE));
	assert_int_equal(events_of(c, PGACTIVATE), 1);
	assert_int_equal(group_events(c, PGACTIVATE), 1);

	/* Active: the mark is kept for the day it is demoted, and nothing more happens. */
	rcl_folio_mark_accessed(c->m, f);
	rcl_folio_mark_accessed(c->m, f);
	drain(c);
	assert_true(folio_test(f, PG_referenced));
	assert_int_equal(events_of(c, PGACTIVATE), 1);
	assert_int_equal(c->lv->nonresident_age, age + 1);
	put(c, f);
}

static void an_unevictable_folio_cannot_be_activated(void **state)
{
	struct core *c = *state;
	struct folio *f = listed_folio(c, BIT(PG_mlocked));
	s64 age = c->lv->nonresident_age;

	for (int i = 0; i < 3; i++)
		rcl_folio_mark_accessed(c->m, f);
	rcl_folio_activate(c->m, f);
	drain(c);
	assert_true(is_on(c, f, LRU_UNEVICTABLE));
	assert_true(folio_test(f, PG_referenced));
	assert_int_equal(c->lv->nonresident_age, age);
	folio_clear(f, PG_mlocked);
	put(c, f);
}

static void a_folio_in_this_cpus_add_batch_arrives_active(void **state)
{
	struct core *c = *state;
	struct folio *here = new_folio(c, 0), *there = new_folio(c, 0);
	s64 age = c->lv->nonresident_age;

	rcl_folio_add_lru(c->m, here);
	c->w->plat.cpu = 1;
	rcl_folio_add_lru(c->m, there);
	c->w->plat.cpu = 0;
	for (int i = 0; i < 2; i++) {
		rcl_folio_mark_accessed(c->m, here);
		rcl_folio_mark_accessed(c->m, there);
	}
	assert_true(folio_test(here, PG_active));
	assert_false(folio_test(there, PG_active)); /* nobody may touch another CPU's batch */
	assert_false(folio_test(there, PG_referenced));
	assert_int_equal(c->lv->nonresident_age, age + 2);
	rcl_lru_add_drain_all(c->m);
	assert_true(is_on(c, here, LRU_ACTIVE_FILE));
	assert_true(is_on(c, there, LRU_INACTIVE_FILE));
	assert_int_equal(events_of(c, PGACTIVATE), 0); /* counted for moves only */
	put(c, here);
	put(c, there);
}

/* ---- the other batches --------------------------------------------------------------------- */

static void rotation_goes_to_the_old_end(void **state)
{
	struct core *c = *state;
	struct folio *old = listed_folio(c, 0), *f = listed_folio(c, BIT(PG_active));

	rcl_folio_rotate_reclaimable(c->m, f);
	assert_int_equal(folio_ref_count(f), 2);
	drain(c);
	assert_false(folio_test(f, PG_active));
	assert_true(is_old_end(c, f, LRU_INACTIVE_FILE));
	assert_true(is_young_end(c, old, LRU_INACTIVE_FILE));
	assert_int_equal(events_of(c, PGROTATED), 1);
	put(c, f);
	put(c, old);
}

static void rotation_is_refused(void **state)
{
	static const enum folio_flag no[] = {PG_locked, PG_dirty, PG_unevictable};
	struct core *c = *state;
	struct folio *f = listed_folio(c, 0), *unlisted = new_folio(c, 0);

	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		folio_set(f, no[i]);
		rcl_folio_rotate_reclaimable(c->m, f);
		folio_clear(f, no[i]);
		assert_int_equal(folio_ref_count(f), 1);
	}
	rcl_folio_rotate_reclaimable(c->m, unlisted);
	assert_int_equal(folio_ref_count(unlisted), 1);
	put(c, f);
	put(c, unlisted);
}

static void file_deactivation(void **state)
{
	struct core *c = *state;
	struct folio *old = listed_folio(c, 0);
	struct folio *clean = listed_folio(c, BIT(PG_active) | BIT(PG_referenced));
	struct folio *dirty = listed_folio(c, BIT(PG_dirty));
	struct folio *mapped = listed_folio(c, BIT(PG_active));

	mapped->mapcount = 1;
	rcl_folio_deactivate_file(c->m, dirty);
	rcl_folio_deactivate_file(c->m, clean);
	rcl_folio_deactivate_file(c->m, mapped);
	drain(c);
	assert_true(is_old_end(c, clean, LRU_INACTIVE_FILE));
	assert_false(folio_test(clean, PG_referenced));
	assert_false(folio_test(clean, PG_reclaim));
	assert_true(is_young_end(c, dirty, LRU_INACTIVE_FILE));
	assert_true(folio_test(dirty, PG_reclaim)); /* to be freed when written */
	assert_true(is_on(c, mapped, LRU_ACTIVE_FILE));
	assert_int_equal(events_of(c, PGROTATED), 1);
	assert_int_equal(events_of(c, PGDEACTIVATE), 1);
	assert_int_equal(group_events(c, PGDEACTIVATE), 1);
	mapped->mapcount = 0;
	put(c, old);
	put(c, clean);
	put(c, dirty);
	put(c, mapped);
}

static void deactivation(void **state)
{
	struct core *c = *state;
	struct folio *active = listed_folio(c, ANON_FLAGS | BIT(PG_active) | BIT(PG_referenced));
	struct folio *other = listed_folio(c, ANON_FLAGS);
	struct folio *inactive = listed_folio(c, ANON_FLAGS | BIT(PG_referenced));

	rcl_folio_deactivate(c->m, active);
	rcl_folio_deactivate(c->m, inactive);
	assert_int_equal(folio_ref_count(inactive), 1); /* not even queued */
	drain(c);
	assert_true(is_young_end(c, active, LRU_INACTIVE_ANON));
	assert_false(folio_test(active, PG_referenced));
	assert_true(folio_test(inactive, PG_referenced));
	assert_int_equal(events_of(c, PGDEACTIVATE), 1);
	put(c, active);
	put(c, other);
	put(c, inactive);
}

static void lazyfree(void **state)
{
	struct core *c = *state;
	struct folio *f = listed_folio(c, ANON_FLAGS | BIT(PG_active) | BIT(PG_referenced));
	struct folio *cached_in_swap = listed_folio(c, ANON_FLAGS | BIT(PG_swapcache));
	struct folio *file = listed_folio(c, 0);

	rcl_folio_mark_lazyfree(c->m, f);
	rcl_folio_mark_lazyfree(c->m, cached_in_swap);
	rcl_folio_mark_lazyfree(c->m, file);
	assert_int_equal(folio_ref_count(cached_in_swap), 1);
	assert_int_equal(folio_ref_count(file), 1);
	drain(c);
	assert_true(is_young_end(c, f, LRU_INACTIVE_FILE));
	assert_false(folio_test(f, PG_swapbacked));
	assert_false(folio_test(f, PG_referenced));
	assert_int_equal(events_of(c, PGLAZYFREE), 1);
	assert_int_equal(group_events(c, PGLAZYFREE), 1);
	folio_clear(cached_in_swap, PG_swapcache);
	put(c, f);
	put(c, cached_in_swap);
	put(c, file);
}

/* What was true when a folio was queued is looked at again when the batch drains. */
static void batches_look_again(void **state)
{
	struct core *c = *state;
	struct folio *f = listed_folio(c, ANON_FLAGS), *g = listed_folio(c, 0);

	rcl_folio_mark_lazyfree(c->m, f);
	folio_set(f, PG_swapcache);
	rcl_folio_deactivate_file(c->m, g);
	g->mapcount = 1;
	drain(c);
	assert_true(is_on(c, f, LRU_INACTIVE_ANON));
	assert_int_equal(events_of(c, PGLAZYFREE), 0);
	assert_int_equal(events_of(c, PGROTATED), 0);
	folio_clear(f, PG_swapcache);
	g->mapcount = 0;
	put(c, f);
	put(c, g);
}

static void batches_drain_in_a_fixed_order(void **state)
{
	struct core *c = *state;
	struct folio *f = listed_folio(c, BIT(PG_active)), *g = listed_folio(c, 0);

	/* Queued first, drained last. */
	rcl_folio_activate(c->m, g);
	rcl_folio_deactivate(c->m, f);
	rcl_folio_rotate_reclaimable(c->m, g);
	rcl_folio_deactivate_file(c->m, g);
	drain(c);
	assert_true(is_on(c, g, LRU_ACTIVE_FILE));
	assert_true(is_on(c, f, LRU_INACTIVE_FILE));
	assert_int_equal(events_of(c, PGROTATED), 2);
	assert_int_equal(events_of(c, PGACTIVATE), 1);
	put(c, f);
	put(c, g);
}

/* ---- isolation ----------------------------------------------------------------------------- */

static void isolation_takes_the_token(void **state)
{
	struct core *c = *state;
	struct folio *f = listed_folio(c, 0);

	rcl_folio_activate(c->m, f);
	assert_int_equal(rcl_folio_isolate_lru(c->m, f), 0);
	assert_int_equal(rcl_folio_isolate_lru(c->m, f), -EBUSY);
	assert_int_equal(folio_ref_count(f), 3);
	assert_int_equal(list_size(c, LRU_INACTIVE_FILE), 0);
	/* The batch finds that the folio is somebody else's, and lets go of it. */
	drain(c);
	assert_int_equal(folio_ref_count(f), 2);
	assert_false(folio_test(f, PG_active));
	assert_false(folio_test(f, PG_lru));

	rcl_folio_putback_lru(c->m, f);
	drain(c);
	assert_int_equal(folio_ref_count(f), 1);
	assert_true(is_on(c, f, LRU_INACTIVE_FILE));
	put(c, f);
}

static void an_unlisted_folio_cannot_be_isolated(void **state)
{
	struct core *c = *state;
	struct folio *f = new_folio(c, 0);

	assert_int_equal(rcl_folio_isolate_lru(c->m, f), -EBUSY);
	assert_int_equal(folio_ref_count(f), 1);
	put(c, f);
}

/* ---- costs --------------------------------------------------------------------------------- */

static void costs_reach_the_parents_and_decay(void **state)
{
	struct core *c = *state;
	struct lruvec *root = c->m->root_memcg->lruvecs[0];
	struct folio *f[100];

	for (int i = 0; i < 100; i++)
		f[i] = listed_folio(c, i & 1 ? ANON_FLAGS : 0);
	rcl_lru_note_cost(c->m, c->lv, true, 10);
	rcl_lru_note_cost(c->m, c->lv, false, 15);
	assert_int_equal(c->lv->file_cost, 10);
	assert_int_equal(c->lv->anon_cost, 15);
	assert_int_equal(root->file_cost, 10);
	assert_int_equal(root->anon_cost, 15);
	/* 26 is more than a quarter of 100. */
	rcl_lru_note_cost(c->m, c->lv, false, 1);
	assert_int_equal(c->lv->file_cost, 5);
	assert_int_equal(c->lv->anon_cost, 8);
	/* Noted for the root alone: the group does not hear of it. */
	rcl_lru_note_cost(c->m, root, true, 1);
	assert_int_equal(c->lv->file_cost, 5);
	assert_int_equal(root->file_cost, 6);
	for (int i = 0; i < 100; i++)
		put(c, f[i]);
}

/* ---- anything in any order ----------------------------------------------------------------- */

static void random_moves(void **state)
{
	enum {
		NR = 40,
		STEPS = 4000
	};
	struct core *c = *state;
	struct folio *f[NR] = {NULL};
	s64 isolated = 0;

	for (int step = 0; step < STEPS; step++) {
		u64 r = lone_random_value(c->w);
		struct folio **slot = &f[r % NR], *p = *slot;

		c->w->plat.cpu = r >> 8 & 1;
		if (!p) {
			*slot = new_folio(c, r >> 9 & 1 ? ANON_FLAGS : 0);
			rcl_folio_add_lru(c->m, *slot);
			continue;
		}
		switch (r >> 16 & 15) {
		case 0:
		case 1:
		case 2:
			rcl_folio_mark_accessed(c->m, p);
			break;
		case 3:
			rcl_folio_activate(c->m, p);
			break;
		case 4:
			rcl_folio_deactivate(c->m, p);
			break;
		case 5:
			rcl_folio_deactivate_file(c->m, p);
			break;
		case 6:
			rcl_folio_rotate_reclaimable(c->m, p);
			break;
		case 7:
			rcl_folio_mark_lazyfree(c->m, p);
			break;
		case 8:
			if (!rcl_folio_isolate_lru(c->m, p)) {
				isolated++;
				rcl_folio_putback_lru(c->m, p);
			}
			break;
		case 9:
			rcl_mlock_folio(c->m, p);
			break;
		case 10:
		case 11:
			rcl_munlock_folio(c->m, p);
			break;
		case 12:
			put(c, p);
			*slot = NULL;
			break;
		case 13:
			rcl_lru_add_drain(c->m);
			break;
		case 14:
			rcl_lru_add_drain_all(c->m);
			break;
		default:
			folio_clear(p, PG_reclaim);
		}
		assert_true(rcl_lruvec_is_valid(c->m, c->lv));
	}
	assert_true(isolated > 50);
	rcl_lru_add_drain_all(c->m);
	for (int i = 0; i < NR; i++) {
		if (!f[i])
			continue;
		assert_int_equal(folio_ref_count(f[i]), 1);
		assert_true(folio_test(f[i], PG_lru));
		put(c, f[i]);
	}
	assert_int_equal(c->m->nodes[0].zones[ZONE_DMA32].stat[NR_MLOCK], 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, core_teardown)
	const struct CMUnitTest tests[] = {
		T(fifteen_folios_reach_their_list_together),
		T(flags_choose_the_list),
		T(each_cpu_has_its_own_batches),
		T(a_batch_serves_several_groups),
		T(the_last_reference_can_be_the_batchs),
		T(the_second_mark_activates),
		T(an_unevictable_folio_cannot_be_activated),
		T(a_folio_in_this_cpus_add_batch_arrives_active),
		T(rotation_goes_to_the_old_end),
		T(rotation_is_refused),
		T(file_deactivation),
		T(deactivation),
		T(lazyfree),
		T(batches_look_again),
		T(batches_drain_in_a_fixed_order),
		T(isolation_takes_the_token),
		T(an_unlisted_folio_cannot_be_isolated),
		T(costs_reach_the_parents_and_decay),
		T(random_moves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
