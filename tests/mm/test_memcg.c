/* SPDX-License-Identifier: MIT */
/* Memory groups: stocks, batches, bytes, the hierarchy, limits, OOM, the end of a group. */
#include "core_world.h"

#include "mm/oom.h"
#include "mm/shrinker.h"

/* The task's group holds page tables already; tests use groups of their own where it matters. */
CORE_SETUP(setup, 2, 8192, 0)
CORE_SETUP(setup_swap, 2, 8192, 4096)

static struct memcg *group(struct core *c, struct memcg *parent, u64 max_pages)
{
	struct memcg *g;

	assert_int_equal(rcl_memcg_create(c->m, parent ? parent : c->m->root_memcg, "g", &g), 0);
	g->max = max_pages;
	return g;
}

struct charged {
	struct folio *f[600];
	int nr;
};
static int charge(struct core *c, struct charged *ch, struct memcg *g, int nr, gfp_t gfp)
{
	for (int i = 0; i < nr; i++) {
		struct folio *f = rcl_alloc_pages(c->m, GFP_HIGHUSER_MOVABLE, 0);
		int err = rcl_memcg_charge(c->m, f, g, gfp);

		f->mapping = NULL;
		if (err) {
			folio_put(c->m, f);
			return err;
		}
		assert_ptr_equal(f->memcg, g);
		ch->f[ch->nr++] = f;
	}
	return 0;
}
static void uncharge(struct core *c, struct charged *ch, int nr)
{
	while (nr--)
		folio_put(c->m, ch->f[--ch->nr]);
}
static struct memcg_stock *stock(struct core *c, u32 cpu)
{
	return &c->m->cpus[cpu].stock;
}

/* ---- pages --------------------------------------------------------------------------------- */

static void a_cpu_charges_sixty_four_ahead(void **state)
{
	struct core *c = *state;
	struct memcg *g = group(c, NULL, MEMCG_MAX);
	struct charged ch = {.nr = 0};

	charge(c, &ch, g, 1, GFP_KERNEL);
	assert_int_equal(g->usage, 64);
	assert_ptr_equal(stock(c, 0)->cached, g);
	assert_int_equal(stock(c, 0)->nr_pages, 63);
	charge(c, &ch, g, 63, GFP_KERNEL);
	assert_int_equal(g->usage, 64);
	assert_int_equal(stock(c, 0)->nr_pages, 0);
	charge(c, &ch, g, 1, GFP_KERNEL);
	assert_int_equal(g->usage, 128);

	/* Another CPU has a stock of its own. */
	c->w->plat.cpu = 1;
	charge(c, &ch, g, 1, GFP_KERNEL);
	c->w->plat.cpu = 0;
	assert_int_equal(g->usage, 192);
	assert_int_equal(g->watermark, 192);

	/* Folios go back to the counter, not to the stock. */
	uncharge(c, &ch, 66);
	assert_int_equal(g->usage, 192 - 66);
	assert_int_equal(stock(c, 0)->nr_pages, 63);
	assert_int_equal(g->watermark, 192);
	assert_int_equal(g->failcnt, 0);
}

static void the_stock_is_for_one_group(void **state)
{
	struct core *c = *state;
	struct memcg *a = group(c, NULL, MEMCG_MAX), *b = group(c, NULL, MEMCG_MAX);
	struct charged ch = {.nr = 0};

	charge(c, &ch, a, 1, GFP_KERNEL);
	charge(c, &ch, b, 1, GFP_KERNEL);
	assert_int_equal(a->usage, 1); /* what a had ahead went back */
	assert_int_equal(b->usage, 64);
	assert_ptr_equal(stock(c, 0)->cached, b);
	uncharge(c, &ch, 2);
}

static void kernel_pages_go_back_to_the_stock(void **state)
{
	struct core *c = *state;
	struct memcg *g = group(c, NULL, MEMCG_MAX);

	assert_int_equal(rcl_memcg_charge_kmem(c->m, g, GFP_KERNEL, 4), 0);
	assert_int_equal(g->kernel_pages, 4);
	assert_int_equal(g->usage, 64);
	rcl_memcg_uncharge_kmem(c->m, g, 4);
	assert_int_equal(g->kernel_pages, 0);
	assert_int_equal(g->usage, 64);
	assert_int_equal(stock(c, 0)->nr_pages, 64);

	/* A stock of more than a batch is given back whole. */
	assert_int_equal(rcl_memcg_charge_kmem(c->m, g, GFP_KERNEL, 64), 0);
	assert_int_equal(stock(c, 0)->nr_pages, 0);
	assert_int_equal(rcl_memcg_charge_kmem(c->m, g, GFP_KERNEL, 1), 0);
	assert_int_equal(g->usage, 128);
	rcl_memcg_uncharge_kmem(c->m, g, 65);
	assert_int_equal(g->usage, 0);
	assert_int_equal(stock(c, 0)->nr_pages, 0);
}

static void large_charges_pass_by_the_stock(void **state)
{
	struct core *c = *state;
	struct memcg *g = group(c, NULL, MEMCG_MAX);

	assert_int_equal(rcl_memcg_charge_kmem(c->m, g, GFP_KERNEL, 100), 0);
	assert_int_equal(g->usage, 100);
	rcl_memcg_uncharge_kmem(c->m, g, 100);
	assert_int_equal(g->usage, 0);
}

static void a_batch_that_does_not_fit_is_charged_exactly(void **state)
{
	struct core *c = *state;
	struct memcg *g = group(c, NULL, 70);
	struct charged ch = {.nr = 0};

	charge(c, &ch, g, 64, GFP_KERNEL);
	assert_int_equal(g->usage, 64);
	charge(c, &ch, g, 1, GFP_KERNEL);
	assert_int_equal(g->usage, 65);
	assert_int_equal(g->failcnt, 1);
	assert_int_equal(stock(c, 0)->nr_pages, 0);
	charge(c, &ch, g, 5, GFP_KERNEL);
	assert_int_equal(g->usage, 70);
	assert_int_equal(g->max_events, 0); /* nothing had to be reclaimed so far */
	assert_int_equal(g->watermark, 70); /* not what was tried */
	uncharge(c, &ch, 70);
}

static void the_root_group_counts_nothing(void **state)
{
	struct core *c = *state;
	struct memcg *root = c->m->root_memcg;
	struct charged ch = {.nr = 0};

	charge(c, &ch, root, 10, GFP_KERNEL);
	assert_int_equal(rcl_memcg_charge_kmem(c->m, root, GFP_KERNEL, 10), 0);
	assert_int_equal(rcl_memcg_charge_bytes(c->m, root, GFP_KERNEL, 10), 0);
	assert_int_equal(root->usage, 0);
	rcl_memcg_uncharge_kmem(c->m, root, 10);
	rcl_memcg_uncharge_bytes(c->m, root, 10);
	uncharge(c, &ch, 10);
	assert_int_equal(root->usage, 0);
	assert_int_equal(rcl_memcg_set_max(c->m, root, 4096), -EINVAL);
	assert_int_equal(rcl_memcg_destroy(c->m, root), -EINVAL);
}

/* ---- bytes --------------------------------------------------------------------------------- */

static void objects_are_charged_in_bytes_of_a_page(void **state)
{
	struct core *c = *state;
	struct memcg *g = group(c, NULL, MEMCG_MAX);

	assert_int_equal(rcl_memcg_charge_bytes(c->m, g, GFP_KERNEL, 600), 0);
	assert_int_equal(g->kernel_pages, 1);
	assert_int_equal(stock(c, 0)->nr_bytes, 4096 - 600);
	for (int i = 0; i < 5; i++)
		assert_int_equal(rcl_memcg_charge_bytes(c->m, g, GFP_KERNEL, 600), 0);
	assert_int_equal(stock(c, 0)->nr_bytes, 4096 - 6 * 600);
	assert_int_equal(g->kernel_pages, 1);
	/* 496 bytes do not do: another page, and what is left of it comes on top. */
	assert_int_equal(rcl_memcg_charge_bytes(c->m, g, GFP_KERNEL, 600), 0);
	assert_int_equal(g->kernel_pages, 2);
	assert_int_equal(stock(c, 0)->nr_bytes, 2 * 4096 - 7 * 600);

	/* Giving back: more than a page in stock becomes a page of the page stock. */
	for (int i = 0; i < 7; i++)
		rcl_memcg_uncharge_bytes(c->m, g, 600);
	assert_int_equal(g->kernel_pages, 1);
	assert_int_equal(stock(c, 0)->nr_bytes, 4096);
	rcl_memcg_uncharge_bytes(c->m, g, 0);
	assert_int_equal(g->kernel_pages, 1); /* a whole page is not more than a page */
	rcl_drain_stock(c->m, stock(c, 0));
	assert_int_equal(g->kernel_pages, 0);
	assert_int_equal(g->usage, 0);
}

static void a_large_object_is_charged_in_pages_and_bytes(void **state)
{
	struct core *c = *state;
	struct memcg *g = group(c, NULL, MEMCG_MAX);

	assert_int_equal(rcl_memcg_charge_bytes(c->m, g, GFP_KERNEL, 3 * 4096 + 96), 0);
	assert_int_equal(g->kernel_pages, 4);
	assert_int_equal(stock(c, 0)->nr_bytes, 4000);
	assert_int_equal(rcl_memcg_charge_bytes(c->m, g, GFP_KERNEL, 8192), 0);
	assert_int_equal(g->kernel_pages, 6);
	rcl_memcg_uncharge_bytes(c->m, g, 3 * 4096 + 96);
	rcl_memcg_uncharge_bytes(c->m, g, 8192);
	rcl_drain_stock(c->m, stock(c, 0));
	assert_int_equal(g->usage, 0);
}

/* The rest of a page stays with the group when its CPU turns to another; the next CPU takes it. */
static void the_rest_of_a_page_changes_hands(void **state)
{
	struct core *c = *state;
	struct memcg *a = group(c, NULL, MEMCG_MAX), *b = group(c, NULL, MEMCG_MAX);

	assert_int_equal(rcl_memcg_charge_bytes(c->m, a, GFP_KERNEL, 1000), 0);
	assert_int_equal(rcl_memcg_charge_bytes(c->m, b, GFP_KERNEL, 1000), 0);
	assert_int_equal(a->nr_charged_bytes, 3096);
	assert_int_equal(a->kernel_pages, 1);

	c->w->plat.cpu = 1;
	/* The stock is empty, so a page is charged; then the two rests together are more than one.
	 */
	assert_int_equal(rcl_memcg_charge_bytes(c->m, a, GFP_KERNEL, 1000), 0);
	assert_int_equal(a->nr_charged_bytes, 0);
	assert_int_equal(stock(c, 1)->nr_bytes, 2 * 3096 - 4096);
	assert_int_equal(a->kernel_pages, 1);
	rcl_memcg_uncharge_bytes(c->m, a, 2000);
	c->w->plat.cpu = 0;
	rcl_memcg_uncharge_bytes(c->m, b, 1000);
	rcl_drain_stock(c->m, stock(c, 0));
	rcl_drain_stock(c->m, stock(c, 1));
	assert_int_equal(a->kernel_pages + b->kernel_pages, 0);
	assert_int_equal(a->usage + b->usage, 0);
}

/* Whole pages that a byte stock holds go to the page stock when the CPU turns to another group. */
static void whole_pages_of_a_byte_stock_go_to_the_page_stock(void **state)
{
	struct core *c = *state;
	struct memcg *a = group(c, NULL, MEMCG_MAX), *b = group(c, NULL, MEMCG_MAX);

	assert_int_equal(rcl_memcg_charge_bytes(c->m, a, GFP_KERNEL, 4000), 0);
	assert_int_equal(rcl_memcg_charge_bytes(c->m, a, GFP_KERNEL, 100), 0);
	rcl_memcg_uncharge_bytes(c->m, a, 4000 + 100 - 96 - 1);
	assert_int_equal(stock(c, 0)->nr_bytes, 8192 - 97 - 4096);
	rcl_memcg_uncharge_bytes(c->m, a, 97);
	assert_int_equal(stock(c, 0)->nr_bytes, 4096);
	assert_int_equal(a->usage, 64);
	/* Taking b into the byte stock puts a's page into the page stock, where it was charged. */
	rcl_memcg_uncharge_bytes(c->m, b, 0);
	assert_int_equal(a->kernel_pages, 0);
	assert_ptr_equal(stock(c, 0)->cached, a);
	assert_int_equal(stock(c, 0)->nr_pages, 64);
	assert_int_equal(a->usage, 64);
	rcl_drain_stock(c->m, stock(c, 0));
	assert_int_equal(a->usage, 0);
}

/* ---- hierarchy ----------------------------------------------------------------------------- */

static void usage_counts_all_the_way_up(void **state)
{
	struct core *c = *state;
	struct memcg *a = group(c, NULL, MEMCG_MAX), *b = group(c, a, MEMCG_MAX);
	struct memcg *d = group(c, b, MEMCG_MAX);
	struct charged ch = {.nr = 0};

	charge(c, &ch, d, 65, GFP_KERNEL);
	assert_int_equal(a->usage, 128);
	assert_int_equal(b->usage, 128);
	uncharge(c, &ch, 65);
	rcl_drain_stock(c->m, stock(c, 0));
	assert_int_equal(a->usage + b->usage + d->usage, 0);
}

static void the_tightest_ancestor_limits(void **state)
{
	struct core *c = *state;
	struct memcg *a = group(c, NULL, 100), *b = group(c, a, MEMCG_MAX);
	struct memcg *d = group(c, b, 200);
	struct charged ch = {.nr = 0};

	c->m->tun.memcg_oom = 0;
	assert_int_equal(charge(c, &ch, d, 101, GFP_KERNEL), -ENOMEM);
	assert_int_equal(ch.nr, 100);
	assert_int_equal(a->usage, 100);
	assert_int_equal(b->usage, 100); /* what was tried below the full group is undone */
	assert_int_equal(d->usage, 100);
	assert_true(a->max_events > 0);
	assert_int_equal(a->oom_events, 1);
	assert_int_equal(b->max_events + d->max_events + b->failcnt + d->failcnt, 0);
	uncharge(c, &ch, 100);
}

static void groups_are_walked_depth_first(void **state)
{
	struct core *c = *state;
	struct memcg *a = group(c, NULL, MEMCG_MAX), *a1 = group(c, a, MEMCG_MAX);
	struct memcg *a11 = group(c, a1, MEMCG_MAX), *a2 = group(c, a, MEMCG_MAX);
	struct memcg *b = group(c, NULL, MEMCG_MAX);
	struct memcg *all[] = {c->m->root_memcg, c->group, a, a1, a11, a2, b};
	int i = 0;

	for_each_memcg (pos, c->m->root_memcg)
		assert_ptr_equal(pos, all[i++]);
	assert_int_equal(i, ARRAY_SIZE(all));
	i = 2;
	for_each_memcg (pos, a)
		assert_ptr_equal(pos, all[i++]);
	assert_int_equal(i, 6);
	i = 0;
	for_each_memcg (pos, b)
		i++;
	assert_int_equal(i, 1);
	assert_ptr_equal(rcl_memcg_from_id(c->m, a11->id), a11);
}

/* ---- who may go over ----------------------------------------------------------------------- */

static void who_may_go_over_the_limit(void **state)
{
	struct core *c = *state;
	struct memcg *g = group(c, NULL, 10);
	struct charged ch = {.nr = 0};

	charge(c, &ch, g, 10, GFP_KERNEL);
	assert_int_equal(charge(c, &ch, g, 1, GFP_NOWAIT), -ENOMEM);
	assert_int_equal(g->max_events, 0);
	assert_int_equal(charge(c, &ch, g, 1, GFP_NOWAIT | __GFP_HIGH), 0);
	assert_int_equal(g->usage, 11);
	assert_int_equal(g->max_events, 1); /* being over is told even if nobody reclaimed */
	assert_int_equal(charge(c, &ch, g, 1, GFP_NOWAIT | __GFP_NOFAIL), 0);
	c->w->task.flags |= PF_MEMALLOC;
	assert_int_equal(charge(c, &ch, g, 1, GFP_KERNEL), 0);
	c->w->task.flags &= ~PF_MEMALLOC;
	assert_int_equal(g->usage, 13);
	assert_int_equal(g->max_events, 3);
	assert_int_equal(g->watermark, 13);
	uncharge(c, &ch, 13);
}

static void who_gives_up_early(void **state)
{
	struct core *c = *state;
	struct memcg *g = group(c, NULL, 10);
	struct charged ch = {.nr = 0};

	charge(c, &ch, g, 10, GFP_KERNEL);
	assert_int_equal(charge(c, &ch, g, 1, GFP_KERNEL | __GFP_NORETRY), -ENOMEM);
	/* One try, and one more after the stocks were drained. */
	assert_int_equal(g->max_events, 2);
	assert_int_equal(g->oom_events, 0);
	g->max_events = 0;
	assert_int_equal(charge(c, &ch, g, 1, GFP_KERNEL | __GFP_RETRY_MAYFAIL), -ENOMEM);
	assert_int_equal(g->max_events, 2 + MAX_RECLAIM_RETRIES);
	assert_int_equal(g->oom_events, 0);
	uncharge(c, &ch, 10);
}

/* ---- the limit ----------------------------------------------------------------------------- */

/* A full group draws on what other CPUs have ahead, but leaves other groups' stocks alone. */
static void only_stocks_of_the_full_group_are_drained(void **state)
{
	struct core *c = *state;
	struct memcg *full = group(c, NULL, 70), *below = group(c, full, MEMCG_MAX);
	struct memcg *other = group(c, NULL, MEMCG_MAX);
	struct charged ch = {.nr = 0};

	c->w->plat.cpu = 1;
	charge(c, &ch, below, 1, GFP_KERNEL);
	assert_int_equal(full->usage, 64);
	c->w->plat.cpu = 0;
	charge(c, &ch, full, 6, GFP_KERNEL);
	charge(c, &ch, other, 1, GFP_KERNEL);
	assert_int_equal(other->usage, 64);
	/* Without room: CPU 1 has 63 pages ahead. */
	assert_int_equal(charge(c, &ch, full, 1, GFP_KERNEL), 0);
	assert_int_equal(full->usage, 1 + 6 + 1);
	assert_null(stock(c, 1)->cached);
	uncharge(c, &ch, 9);
}
static void other_groups_keep_their_stocks(void **state)
{
	struct core *c = *state;
	struct memcg *full = group(c, NULL, 6), *other = group(c, NULL, MEMCG_MAX);
	struct charged ch = {.nr = 0};

	c->w->plat.cpu = 1;
	charge(c, &ch, other, 1, GFP_KERNEL);
	c->w->plat.cpu = 0;
	charge(c, &ch, full, 6, GFP_KERNEL);
	assert_int_equal(charge(c, &ch, full, 1, GFP_KERNEL | __GFP_NORETRY), -ENOMEM);
	assert_ptr_equal(stock(c, 1)->cached, other);
	assert_int_equal(other->usage, 64);
	uncharge(c, &ch, 7);
}

static void set_max_reclaims_down_to_it(void **state)
{
	struct core *c = *state;

	set_random_reads(c);
	for (u64 i = 0; i < 300; i++)
		read_file(c, i, 1);
	assert_true(c->group->usage > 300);
	assert_int_equal(rcl_memcg_set_max(c->m, c->group, 200 * PAGE_SIZE + 17), 0);
	assert_int_equal(c->group->max, 200);
	assert_true(c->group->usage <= 200);
	assert_true(c->mapping->nr_pages > 100);
	assert_int_equal(c->group->max_events, 0);
	/* From now on a charge reclaims what it needs. */
	for (u64 i = 300; i < 400; i++)
		read_file(c, i, 1);
	assert_true(c->group->usage <= 200);
	assert_true(c->group->max_events > 0);
	assert_int_equal(rcl_memcg_set_max(c->m, c->group, MEMCG_MAX), 0);
	assert_int_equal(c->group->max, MEMCG_MAX);
}

static void a_limit_that_cannot_be_met_kills(void **state)
{
	struct core *c = *state;

	map_anon(c, 0, 300);
	touch_all(c, 0, 300, true); /* no swap: nothing can be reclaimed */
	assert_int_equal(rcl_memcg_set_max(c->m, c->group, 100 * PAGE_SIZE), 0);
	assert_true(c->w->task.flags & PF_KILLED);
	assert_int_equal(c->group->oom_events, 1);
	assert_int_equal(c->group->oom_kills, 1);
	assert_int_equal(c->mm->anon_rss, 0);
	assert_true(c->group->usage <= 100);
	assert_int_equal(events_of(c, OOM_KILL), 1);
}

static void a_limit_stands_if_there_is_nobody_to_kill(void **state)
{
	struct core *c = *state;
	struct memcg *g = group(c, NULL, MEMCG_MAX);
	struct charged ch = {.nr = 0};

	charge(c, &ch, g, 20, GFP_KERNEL);
	assert_int_equal(rcl_memcg_set_max(c->m, g, 10 * PAGE_SIZE), 0);
	assert_int_equal(g->max, 10);
	assert_int_equal(g->usage, 20);
	assert_int_equal(g->oom_events, 1);
	uncharge(c, &ch, 20);
}

static void a_fault_over_the_limit_kills(void **state)
{
	struct core *c = *state;
	u64 vpn = 0;
	int err = 0;

	assert_int_equal(rcl_memcg_set_max(c->m, c->group, 100 * PAGE_SIZE), 0);
	map_anon(c, 0, 300);
	while (!err && vpn < 300)
		err = touch(c, vpn++, true);
	assert_int_equal(err, -EINTR);
	assert_true(vpn > 60 && vpn <= 100);
	assert_int_equal(c->group->oom_kills, 1);
	assert_int_equal(events_of(c, OOM_KILL), 1);
	assert_int_equal(c->mm->anon_rss, 0);
	assert_true(c->mm->dead);
}

static void a_fault_over_the_limit_swaps(void **state)
{
	struct core *c = *state;

	io_at_polls(c);
	assert_int_equal(rcl_memcg_set_max(c->m, c->group, 100 * PAGE_SIZE), 0);
	map_anon(c, 0, 300);
	touch_all(c, 0, 300, true);
	assert_int_equal(c->group->oom_events, 0);
	assert_true(c->group->usage <= 100);
	assert_true(c->mm->anon_rss < 100);
	assert_int_equal(c->mm->anon_rss + c->mm->swap_ents, 300);
	assert_true(group_events(c, PGSTEAL_DIRECT) > 150);
	assert_int_equal(events_of(c, PGSTEAL_DIRECT),
			 0); /* a group's reclaim is not the machine's */
	assert_int_equal(events_of(c, PGSTEAL_ANON), group_events(c, PGSTEAL_DIRECT));
}

/* memory.reclaim asks for all of it at once; and gets what it asked for, or all there is. */
static void proactive_reclaim(void **state)
{
	struct core *c = *state;
	u64 freed;

	set_random_reads(c);
	for (u64 i = 0; i < 500; i++)
		read_file(c, i, 1);
	rcl_lru_add_drain(c->m);
	freed = rcl_memcg_reclaim(c->m, c->group, 100 * PAGE_SIZE) / PAGE_SIZE;
	assert_in_range(freed, 100, 140);
	assert_in_range(c->mapping->nr_pages, 500 - 140, 400);
	freed = rcl_memcg_reclaim(c->m, c->group, 1 << 30) / PAGE_SIZE;
	assert_int_equal(c->mapping->nr_pages, 0);
	assert_true(freed >= 360);
	assert_int_equal(rcl_memcg_reclaim(c->m, c->group, 1 << 20), 0);
	assert_int_equal(c->group->max_events, 0);
}

static unsigned long passes;
static unsigned long count_pass(struct shrinker *s, struct shrink_control *sc)
{
	(void)s, (void)sc;
	passes++;
	return 0;
}

/* All of it is asked for at once: one run of rising priority, not one for each 32 pages. */
static void proactive_reclaim_is_one_run(void **state)
{
	struct core *c = *state;
	struct shrinker s = {.count_objects = count_pass,
			     .flags = SHRINKER_MEMCG_AWARE | SHRINKER_NUMA_AWARE};

	set_random_reads(c);
	for (u64 i = 0; i < 1500; i++)
		read_file(c, i, 1);
	rcl_lru_add_drain(c->m);
	assert_int_equal(rcl_register_shrinker(c->m, &s), 0);
	rcl_set_shrinker_bit(c->m, c->group, 0, s.id);
	passes = 0;
	assert_true(rcl_memcg_reclaim(c->m, c->group, 1400 * PAGE_SIZE) >= 1400 * PAGE_SIZE);
	assert_in_range(passes, 11, 13);
	rcl_unregister_shrinker(c->m, &s);
}

/* ---- the end ------------------------------------------------------------------------------- */

static void a_group_in_use_cannot_be_destroyed(void **state)
{
	struct core *c = *state;
	struct memcg *a = group(c, NULL, MEMCG_MAX), *b = group(c, a, MEMCG_MAX);
	struct charged ch = {.nr = 0};
	u16 id = b->id;

	charge(c, &ch, b, 1, GFP_KERNEL);
	assert_int_equal(rcl_memcg_destroy(c->m, a), -EBUSY);
	assert_int_equal(rcl_memcg_destroy(c->m, b), -EBUSY);
	uncharge(c, &ch, 1);
	/* Only what CPUs have ahead is left. */
	assert_int_equal(rcl_memcg_destroy(c->m, b), 0);
	assert_null(rcl_memcg_from_id(c->m, id));
	assert_int_equal(rcl_memcg_destroy(c->m, a), 0);
	for (u32 cpu = 0; cpu < 2; cpu++) {
		assert_null(stock(c, cpu)->cached);
		assert_null(stock(c, cpu)->cached_objs);
	}
}

static void names_and_ids(void **state)
{
	struct core *c = *state;
	struct memcg *a, *b;
	char name[100];

	memset(name, 'x', sizeof(name));
	name[99] = 0;
	assert_int_equal(rcl_memcg_create(c->m, c->m->root_memcg, name, &a), 0);
	assert_int_equal(strlen(a->name), sizeof(a->name) - 1);
	assert_int_equal(rcl_memcg_destroy(c->m, a), 0);
	/* Ids are not used again soon: shadows of the old group are still about. */
	assert_int_equal(rcl_memcg_create(c->m, c->m->root_memcg, "b", &b), 0);
	assert_int_not_equal(b->id, 0);
	assert_int_not_equal(b->id, c->group->id);
	assert_null(rcl_memcg_from_id(c->m, (u16)(b->id - 1)));
	c->m->next_memcg_id = RCL_MAX_MEMCG - 1;
	assert_int_equal(rcl_memcg_create(c->m, c->m->root_memcg, "c", &a), 0);
	assert_int_equal(a->id, RCL_MAX_MEMCG - 1);
	assert_int_equal(rcl_memcg_create(c->m, c->m->root_memcg, "d", &a), 0);
	assert_true(a->id && a->id < RCL_MAX_MEMCG && a->id != b->id && a->id != c->group->id);
}

/* ---- anything in any order ----------------------------------------------------------------- */

static void random_charges(void **state)
{
	enum {
		GROUPS = 6,
		STEPS = 3000
	};
	struct core *c = *state;
	struct memcg *g[GROUPS];
	static struct charged ch[GROUPS];
	s64 kmem[GROUPS] = {0}, bytes[GROUPS] = {0};

	memset(ch, 0, sizeof(ch));
	c->m->tun.memcg_oom = 0;
	for (int i = 0; i < GROUPS; i++)
		g[i] = group(c, i ? g[(i - 1) / 2] : NULL, i == 1 ? 300 : MEMCG_MAX);
	for (int step = 0; step < STEPS; step++) {
		u64 r = lone_random_value(c->w);
		int i = (int)(r % GROUPS), n = (int)(r >> 8 & 31);

		c->w->plat.cpu = r >> 13 & 1;
		switch (r >> 16 & 7) {
		case 0:
		case 1:
			if (ch[i].nr + n < 600)
				charge(c, &ch[i], g[i], n, GFP_KERNEL | __GFP_NORETRY);
			break;
		case 2:
			uncharge(c, &ch[i], min(n, ch[i].nr));
			break;
		case 3:
			if (!rcl_memcg_charge_kmem(c->m, g[i], GFP_NOWAIT, (u32)n))
				kmem[i] += n;
			break;
		case 4:
			n = (int)min((s64)n, kmem[i]);
			rcl_memcg_uncharge_kmem(c->m, g[i], (u32)n);
			kmem[i] -= n;
			break;
		case 5:
			n = (int)(r >> 20 & 8191);
			if (!rcl_memcg_charge_bytes(c->m, g[i], GFP_NOWAIT, (u32)n))
				bytes[i] += n;
			break;
		case 6:
			n = (int)min((s64)(r >> 20 & 8191), bytes[i]);
			rcl_memcg_uncharge_bytes(c->m, g[i], (u32)n);
			bytes[i] -= n;
			break;
		default:
			rcl_drain_stock(c->m, stock(c, r >> 13 & 1));
		}
		assert_true(rcl_memcg_is_valid(c->m));
		assert_true((u64)g[1]->usage <= g[1]->max);
	}
	for (int i = GROUPS; i-- > 0;) {
		uncharge(c, &ch[i], ch[i].nr);
		rcl_memcg_uncharge_kmem(c->m, g[i], (u32)kmem[i]);
		rcl_memcg_uncharge_bytes(c->m, g[i], (u32)bytes[i]);
		assert_int_equal(rcl_memcg_destroy(c->m, g[i]), 0);
	}
}

int main(void)
{
#define T(f)  cmocka_unit_test_setup_teardown(f, setup, core_teardown)
#define TS(f) cmocka_unit_test_setup_teardown(f, setup_swap, core_teardown)
	const struct CMUnitTest tests[] = {
		T(a_cpu_charges_sixty_four_ahead),
		T(the_stock_is_for_one_group),
		T(kernel_pages_go_back_to_the_stock),
		T(large_charges_pass_by_the_stock),
		T(a_batch_that_does_not_fit_is_charged_exactly),
		T(the_root_group_counts_nothing),
		T(objects_are_charged_in_bytes_of_a_page),
		T(a_large_object_is_charged_in_pages_and_bytes),
		T(the_rest_of_a_page_changes_hands),
		T(whole_pages_of_a_byte_stock_go_to_the_page_stock),
		T(usage_counts_all_the_way_up),
		T(the_tightest_ancestor_limits),
		T(groups_are_walked_depth_first),
		T(who_may_go_over_the_limit),
		T(who_gives_up_early),
		T(only_stocks_of_the_full_group_are_drained),
		T(other_groups_keep_their_stocks),
		T(set_max_reclaims_down_to_it),
		T(a_limit_that_cannot_be_met_kills),
		T(a_limit_stands_if_there_is_nobody_to_kill),
		T(a_fault_over_the_limit_kills),
		TS(a_fault_over_the_limit_swaps),
		T(proactive_reclaim),
		T(proactive_reclaim_is_one_run),
		T(a_group_in_use_cannot_be_destroyed),
		T(names_and_ids),
		T(random_charges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
