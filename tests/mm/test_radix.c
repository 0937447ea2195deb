/* SPDX-License-Identifier: MIT */
/* The page cache's tree against a plain model: what it holds, its tags, its nodes and their cost.
 */
#include <setjmp.h>
#include <stdarg.h>

#include "lone_task.h"
#include "mm/filemap.h"
#include "mm/slab.h"
#include "mm/workingset.h"

#include <cmocka.h>

#define NODE_COST (RADIX_NODE_BYTES + 8)
#define POOL	  4096

struct tree {
	struct lone *w;
	struct mapping *mapping;
	struct folio *pool; /* stand-ins: only looked at by the check */
	u32 used;
};

static int setup(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	t->w = lone_open(1, 16384);
	t->pool = aligned_alloc(64, POOL * sizeof(struct folio));
	memset(t->pool, 0, POOL * sizeof(struct folio));
	*state = t;
	return rcl_mapping_create(t->w->m, "f", 0, 0, 1, 0, &t->mapping);
}
static int teardown(void **state)
{
	struct tree *t = *state;
	u64 i = 0;

	spin_lock(&t->mapping->lock);
	for (; rcl_radix_next_entry(t->mapping, &i, UINT64_MAX); i++)
		rcl_radix_store(t->w->m, t->mapping, i, NULL);
	t->mapping->nr_pages = 0;
	spin_unlock(&t->mapping->lock);
	rcl_mapping_destroy(t->w->m, t->mapping);
	assert_int_equal(lone_group_stat(t->w, NR_SLAB_RECLAIMABLE_B), 0);
	assert_int_equal(lone_group_stat(t->w, WORKINGSET_NODES), 0);
	lone_close(t->w);
	free(t->pool);
	free(t);
	return 0;
}

static s64 nodes(struct tree *t)
{
	return lone_group_stat(t->w, NR_SLAB_RECLAIMABLE_B) / NODE_COST;
}
static s64 shadow_nodes(struct tree *t)
{
	return lone_group_stat(t->w, WORKINGSET_NODES);
}
static struct folio *page(struct tree *t, u64 index)
{
	struct folio *f = &t->pool[t->used++ % POOL];

	f->mapping = t->mapping;
	f->index = index;
	f->refcount = 1;
	return f;
}
static void *shadow(u64 value)
{
	return (void *)(uintptr_t)(value << 1 | 1);
}
static void *put(struct tree *t, u64 index, void *entry)
{
	struct mapping *mapping = t->mapping;
	void *old;

	spin_lock(&mapping->lock);
	if (entry)
		assert_int_equal(rcl_radix_reserve(t->w->m, mapping, index, NULL), 0);
	old = rcl_radix_store(t->w->m, mapping, index, entry);
	mapping->nr_pages += (entry && !entry_is_shadow(entry)) - (old && !entry_is_shadow(old));
	spin_unlock(&mapping->lock);
	return old;
}
static void tag(struct tree *t, u64 index, enum radix_tag which, bool on)
{
	spin_lock(&t->mapping->lock);
	if (on)
		rcl_radix_set_tag(t->mapping, index, which);
	else
		rcl_radix_clear_tag(t->mapping, index, which);
	spin_unlock(&t->mapping->lock);
}
static void assert_valid(struct tree *t)
{
	assert_true(rcl_mapping_is_valid(t->w->m, t->mapping));
}

static void page_zero_alone_needs_no_node(void **state)
{
	struct tree *t = *state;
	struct folio *f = page(t, 0);

	assert_null(rcl_radix_load(t->mapping, 0));
	put(t, 0, f);
	assert_ptr_equal(rcl_radix_load(t->mapping, 0), f);
	assert_null(rcl_radix_load(t->mapping, 1));
	assert_null(rcl_radix_load(t->mapping, UINT64_MAX));
	assert_int_equal(nodes(t), 0);
	assert_int_equal(t->mapping->height, 0);
	tag(t, 0, TAG_DIRTY, true);
	assert_true(rcl_radix_get_tag(t->mapping, 0, TAG_DIRTY));
	assert_valid(t);
	/* A second page: the tag moves into the node. */
	put(t, 1, page(t, 1));
	assert_int_equal(nodes(t), 1);
	assert_true(rcl_radix_get_tag(t->mapping, 0, TAG_DIRTY));
	assert_false(rcl_radix_get_tag(t->mapping, 1, TAG_DIRTY));
	assert_valid(t);
	/* And back. */
	put(t, 1, NULL);
	assert_int_equal(nodes(t), 0);
	assert_true(rcl_radix_get_tag(t->mapping, 0, TAG_DIRTY));
	assert_valid(t);
}

static void height_follows_the_largest_index(void **state)
{
	struct tree *t = *state;
	static const struct {
		u64 index;
		int levels;
	} cases[] = {{1, 1},	  {63, 1},	   {64, 2},
		     {4095, 2},	  {4096, 3},	   {262143, 3},
		     {262144, 4}, {1ull << 24, 5}, {(1ull << 60) - 1, 10}};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct folio *f = page(t, cases[i].index);

		put(t, cases[i].index, f);
		assert_int_equal(t->mapping->height, cases[i].levels);
		assert_int_equal(nodes(t), cases[i].levels);
		assert_ptr_equal(rcl_radix_load(t->mapping, cases[i].index), f);
		assert_null(rcl_radix_load(t->mapping, cases[i].index - 1));
		assert_null(rcl_radix_load(t->mapping, cases[i].index + 1));
		assert_valid(t);
		put(t, cases[i].index, NULL);
		assert_int_equal(nodes(t), 0);
		assert_null(t->mapping->root);
	}
}

/* A node becomes known to the shadow shrinker with its last folio, and unknown with the first. */
static void shadow_only_nodes_are_listed(void **state)
{
	struct tree *t = *state;
	struct radix_node *node;

	for (u64 i = 0; i < 130; i++)
		put(t, i, page(t, i));
	assert_int_equal(nodes(t), 4); /* 3 leaves, 1 top */
	for (u64 i = 64; i < 128; i++) {
		assert_int_equal(shadow_nodes(t), 0);
		put(t, i, shadow(i));
	}
	assert_int_equal(shadow_nodes(t), 1);
	assert_valid(t);
	put(t, 100, page(t, 100));
	assert_int_equal(shadow_nodes(t), 0);
	put(t, 100, NULL);
	assert_int_equal(shadow_nodes(t), 1);
	assert_valid(t);
	/* The shrinker's way of freeing it. */
	node = radix_to_node(radix_to_node(t->mapping->root)->slots[1]);
	spin_lock(&t->mapping->lock);
	rcl_radix_delete_node(t->w->m, node);
	spin_unlock(&t->mapping->lock);
	assert_int_equal(shadow_nodes(t), 0);
	assert_int_equal(nodes(t), 3);
	for (u64 i = 60; i < 130; i++)
		assert_int_equal(!!rcl_radix_load(t->mapping, i), i < 64 || i >= 128);
	assert_valid(t);
}

/* The last shadow-only node is the whole tree: deleting it leaves nothing. */
static void deleting_the_only_leaf_empties_the_tree(void **state)
{
	struct tree *t = *state;
	struct radix_node *node;

	put(t, 1ull << 20, shadow(7));
	assert_int_equal(nodes(t), 4);
	assert_int_equal(shadow_nodes(t), 1);
	node = radix_to_node(t->mapping->root);
	while (node->shift)
		node = radix_to_node(node->slots[(1ull << 20 >> node->shift) & 63]);
	spin_lock(&t->mapping->lock);
	rcl_radix_delete_node(t->w->m, node);
	spin_unlock(&t->mapping->lock);
	assert_null(t->mapping->root);
	assert_int_equal(nodes(t), 0);
	assert_valid(t);
}

/*
 * At its limit the group gets no node. What was built of the path is taken down again by
 * unreserve, and a node got beforehand is used first.
 */
static void reserving_without_memory(void **state)
{
	struct tree *t = *state;
	struct rcl *m = t->w->m;
	struct radix_node *spare;

	put(t, 0, page(t, 0));
	/* Nothing charged ahead, nothing to be had. */
	rcl_drain_stock(m, &m->cpus[0].stock);
	t->w->group->max = 0;
	spin_lock(&t->mapping->lock);
	assert_int_equal(rcl_radix_reserve(m, t->mapping, 5000, NULL), -ENOMEM);
	spin_unlock(&t->mapping->lock);

	t->w->task.memcg = NULL; /* the root group pays */
	spare = rcl_radix_alloc_node(m, GFP_KERNEL);
	assert_non_null(spare);
	t->w->task.memcg = t->w->group;
	spin_lock(&t->mapping->lock);
	assert_int_equal(rcl_radix_reserve(m, t->mapping, 5000, &spare), -ENOMEM);
	assert_null(spare); /* used for the first level */
	rcl_radix_unreserve(m, t->mapping, 5000);
	assert_int_equal(t->mapping->height, 0);
	spin_unlock(&t->mapping->lock);
	assert_valid(t);

	t->w->task.memcg = NULL;
	spare = rcl_radix_alloc_node(m, GFP_KERNEL);
	t->w->task.memcg = t->w->group;
	spin_lock(&t->mapping->lock);
	assert_int_equal(rcl_radix_reserve(m, t->mapping, 63, &spare), 0);
	assert_null(spare);
	rcl_radix_unreserve(m, t->mapping, 63); /* slot 0 is in use, yet alone: no node needed */
	spin_unlock(&t->mapping->lock);
	assert_int_equal(t->mapping->height, 0);
	assert_valid(t);
}

/* ---- against a model ----------------------------------------------------------------------- */

#define MODEL 3000

struct model {
	u64 index[MODEL];
	void *entry[MODEL];
	u32 tags[MODEL];
	u32 nr;
};

static u32 model_find(const struct model *md, u64 index)
{
	u32 i = 0;

	while (i < md->nr && md->index[i] != index)
		i++;
	return i;
}

/* The smallest index >= from that satisfies: any entry (-2), folio (-1), or has the tag. */
static u32 model_next(const struct model *md, u64 from, u64 last, int what)
{
	u32 best = md->nr;

	for (u32 i = 0; i < md->nr; i++) {
		if (md->index[i] < from || md->index[i] > last)
			continue;
		if (what == -1 && entry_is_shadow(md->entry[i]))
			continue;
		if (what >= 0 && !(md->tags[i] >> what & 1))
			continue;
		if (best == md->nr || md->index[i] < md->index[best])
			best = i;
	}
	return best;
}

static u64 random_index(struct lone *w)
{
	static const u8 bits[] = {1, 6, 7, 12, 13, 18, 24, 40, 60};
	u64 r = lone_random_value(w);

	return lone_random_value(w) & ((1ull << bits[r % sizeof(bits)]) - 1);
}

static void check_next(struct tree *t, const struct model *md, u64 from, u64 last)
{
	for (int what = -2; what < NR_RADIX_TAGS; what++) {
		u32 want = model_next(md, from, last, what);
		u64 index = from;
		void *e = what == -2   ? rcl_radix_next_entry(t->mapping, &index, last)
			  : what == -1 ? rcl_radix_next(t->mapping, &index, last)
				       : rcl_radix_next_tagged(t->mapping, &index, last,
							       (enum radix_tag)what);

		if (want == md->nr) {
			assert_null(e);
		} else {
			assert_ptr_equal(e, md->entry[want]);
			assert_int_equal(index, md->index[want]);
		}
	}
}

static void random_operations_match_the_model(void **state)
{
	struct tree *t = *state;
	struct model *md = calloc(1, sizeof(*md));

	for (u32 step = 0; step < 60000; step++) {
		u64 r = lone_random_value(t->w), index = random_index(t->w);
		u32 at = model_find(md, index);
		u32 kind = r % 16;

		if (kind < 5 && (at < md->nr || md->nr < MODEL)) {
			void *e = kind < 3 ? (void *)page(t, index) : shadow(r >> 8);
			void *old = put(t, index, e);

			assert_ptr_equal(old, at < md->nr ? md->entry[at] : NULL);
			if (at == md->nr) {
				md->index[md->nr] = index;
				md->tags[md->nr++] = 0;
			}
			md->entry[at] = e;
			if (entry_is_shadow(e))
				md->tags[at] = 0;
			/* The pool goes round: an older page whose stand-in was taken goes. */
			for (u32 i = 0; kind < 3 && i < md->nr; i++)
				if (i != at && md->entry[i] == e)
					fail_msg("pool too small");
		} else if (kind < 10) {
			void *old =
				put(t, md->nr && kind < 9 ? md->index[r % md->nr] : index, NULL);
			u32 gone = md->nr && kind < 9 ? (u32)(r % md->nr) : at;

			assert_ptr_equal(old, gone < md->nr ? md->entry[gone] : NULL);
			if (gone < md->nr && step % 3 == 0) {
				put(t, md->index[gone], old); /* keep the tree populated */
				md->tags[gone] = 0;
			} else if (gone < md->nr) {
				md->nr--;
				md->index[gone] = md->index[md->nr];
				md->entry[gone] = md->entry[md->nr];
				md->tags[gone] = md->tags[md->nr];
			}
		} else if (kind < 14 && md->nr) {
			u32 i = (u32)(r >> 32) % md->nr, which = (u32)(r >> 16) % NR_RADIX_TAGS;
			bool on = kind < 13;

			if (!entry_is_shadow(md->entry[i])) {
				tag(t, md->index[i], (enum radix_tag)which, on);
				md->tags[i] =
					on ? md->tags[i] | BIT(which) : md->tags[i] & ~BIT(which);
			}
		} else {
			u64 last = r & 1 ? UINT64_MAX : index + (r >> 40);

			check_next(t, md, index, last);
			assert_ptr_equal(rcl_radix_load(t->mapping, index),
					 at < md->nr ? md->entry[at] : NULL);
			for (u32 g = 0; g < NR_RADIX_TAGS; g++)
				assert_int_equal(
					rcl_radix_get_tag(t->mapping, index, (enum radix_tag)g),
					at < md->nr && md->tags[at] >> g & 1);
		}
		if (step % 16 == 0)
			assert_valid(t);
		if (md->nr > MODEL - 10 || t->used > POOL - 10)
			break;
	}
	assert_true(md->nr > 100);
	free(md);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(page_zero_alone_needs_no_node, setup, teardown),
		cmocka_unit_test_setup_teardown(height_follows_the_largest_index, setup, teardown),
		cmocka_unit_test_setup_teardown(shadow_only_nodes_are_listed, setup, teardown),
		cmocka_unit_test_setup_teardown(deleting_the_only_leaf_empties_the_tree, setup,
						teardown),
		cmocka_unit_test_setup_teardown(reserving_without_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(random_operations_match_the_model, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
