/* SPDX-License-Identifier: MIT */
/*
 * Refault detection: was a page that comes back evicted too early?
 *
 * Every lruvec has a clock, nonresident_age, that ticks once for each eviction and each activation,
 * that is, once for each page that leaves the inactive list. When a page is evicted, the clock's
 * value stays behind in its slot as a shadow entry. When the page comes back, the clock has moved
 * on by the refault distance: had the inactive list been that much longer, the page would still
 * be here. The missing room could only have come from the other lists of the lruvec that evicted
 * it; so if the distance is no larger than their sizes together, the page competes with pages that
 * are no hotter, and it enters the active list at once.
 *
 * Rules:
 *  - Eviction: shadow = (clock, group, node, was-workingset); the clock of the group under reclaim
 *    (the target, not the owner) and of all its parents ticks.
 *  - Room for a file page: active file, plus both anonymous lists while the group can still swap.
 *    Room for an anonymous page: both file lists, plus active anonymous while the group can swap.
 *  - Refault is counted for the group that owns the new page; if within reach, the page becomes
 *    active, that group's clock ticks, and if it was active before its eviction it is a restore,
 *    which also counts as a cost of reclaiming its kind.
 *
 * The shadow entry's layout is in workingset.h.
 *
 * Shadows take memory: page cache tree nodes that hold nothing else are kept on a list per
 * (group, node), and a shrinker frees the oldest when there are more of them than can still matter
 * (an eighth of a slot's worth per page of the group).
 *
 * Locking: clocks are atomic; the shadow lists have lruvec->shadow_lock inside mapping->lock; their
 * lengths are read without.
 */
#include "mm/workingset.h"

#include <stdlib.h>

#include "mm/filemap.h"
#include "mm/machine.h"
#include "mm/shrinker.h"
#include "mm/slab.h"
#include "mm/trace.h"

void rcl_workingset_refault(struct rcl *m, struct folio *f, void *shadow)
{
	u64 v = (uintptr_t)shadow >> 1;
	bool file = folio_is_file_lru(f), workingset = v & 1;
	u32 node = (v >> 1) & ((1u << SHADOW_NODE_BITS) - 1);
	u16 id = (u16)(v >> (1 + SHADOW_NODE_BITS));
	u64 age = v >> (SHADOW_SHIFT - 1), distance, room;
	struct memcg *evictor = rcl_memcg_from_id(m, id);
	struct lruvec *ev, *lv;

	if (!evictor)
		return; /* the group is gone, and with it the meaning of its clock */
	ev = evictor->lruvecs[node];
	distance = ((u64)shared_read(&ev->nonresident_age) - age) & EVICTION_MASK;

	lv = rcl_memcg_lruvec(m, f->memcg, m->nodes + node);
	rcl_mod_lruvec_state(lv, (enum node_stat_item)(WORKINGSET_REFAULT_ANON + file), 1);
	rcl_current(m)->refaults++;
	RCL_TRACE(mm_workingset_refault, id, file, distance);

	room = (u64)rcl_lruvec_page_state(ev, NR_ACTIVE_FILE);
	if (!file)
		room += (u64)rcl_lruvec_page_state(ev, NR_INACTIVE_FILE);
	if (rcl_memcg_nr_swap_pages(m, f->memcg) > 0) {
		room += (u64)rcl_lruvec_page_state(ev, NR_ACTIVE_ANON);
		if (file)
			room += (u64)rcl_lruvec_page_state(ev, NR_INACTIVE_ANON);
	}
	if (distance > room)
		return;

	folio_set(f, PG_active);
	rcl_workingset_age_nonresident(m, lv, 1);
	rcl_mod_lruvec_state(lv, (enum node_stat_item)(WORKINGSET_ACTIVATE_ANON + file), 1);
	if (workingset) {
		folio_set(f, PG_workingset);
		rcl_lru_note_cost(m, rcl_folio_lruvec(m, f), file, 1);
		rcl_mod_lruvec_state(lv, (enum node_stat_item)(WORKINGSET_RESTORE_ANON + file), 1);
	}
}

void rcl_workingset_activation(struct rcl *m, struct folio *f)
{
	if (f->memcg)
		rcl_workingset_age_nonresident(m, rcl_folio_lruvec(m, f), 1);
}

/* ---- tree nodes that hold only shadows ---------------------------------------------------- */

static struct lruvec *node_lruvec(struct rcl *m, struct radix_node *node)
{
	struct memcg *memcg = rcl_slab_obj_memcg(m, m->radix_node_cache, node);
	u32 nid = rcl_slab_obj_node(m, m->radix_node_cache, node);

	return rcl_memcg_lruvec(m, memcg, m->nodes + nid);
}

void rcl_workingset_track_node(struct rcl *m, struct radix_node *node, bool only_shadows)
{
	struct lruvec *lv = node_lruvec(m, node);
	bool first = false;

	spin_lock(&lv->shadow_lock);
	if (only_shadows) {
		list_add_tail(&node->private_list, &lv->shadow_nodes);
		first = !lv->nr_shadow_nodes;
		__atomic_store_n(&lv->nr_shadow_nodes, lv->nr_shadow_nodes + 1, __ATOMIC_RELAXED);
	} else {
		list_del_init(&node->private_list);
		__atomic_store_n(&lv->nr_shadow_nodes, lv->nr_shadow_nodes - 1, __ATOMIC_RELAXED);
	}
	spin_unlock(&lv->shadow_lock);
	if (first)
		rcl_set_shrinker_bit(m, lv->memcg, lv->node->id,
				     ((struct shrinker *)m->workingset)->id);
	rcl_mod_lruvec_state(lv, WORKINGSET_NODES, only_shadows ? 1 : -1);
}

static unsigned long count_shadow_nodes(struct shrinker *s, struct shrink_control *sc)
{
	struct rcl *m = sc->m;
	struct lruvec *lv = rcl_memcg_lruvec(m, sc->memcg, m->nodes + sc->nid);
	u64 nodes = __atomic_load_n(&lv->nr_shadow_nodes, __ATOMIC_RELAXED);
	u64 pages = 0, max_nodes;

	(void)s;
	if (!nodes)
		return SHRINK_EMPTY;
	if (sc->memcg) {
		for_each_lru (l)
			pages += (u64)max(shared_read(&lv->stat[l]), (s64)0);
		pages += (u64)max(shared_read(&lv->stat[NR_SLAB_RECLAIMABLE_B]), (s64)0) >>
			 PAGE_SHIFT;
		pages += (u64)max(shared_read(&lv->stat[NR_SLAB_UNRECLAIMABLE_B]), (s64)0) >>
			 PAGE_SHIFT;
	} else {
		pages = m->nodes[sc->nid].spanned_pages;
	}
	/* One node's 64 slots for every 8 pages: sparser than that, some refaults go unseen. */
	max_nodes = pages >> (RADIX_SHIFT - 3);
	return nodes <= max_nodes ? 0 : nodes - max_nodes;
}

/*
 * The oldest node, with its tree locked. The tree's lock is outside of the list's, and only the
 * list keeps the tree from going away: so it is only tried, and a node whose tree is busy goes to
 * the end.
 */
static struct radix_node *lock_oldest(struct lruvec *lv, bool *empty)
{
	struct radix_node *node = NULL;

	spin_lock(&lv->shadow_lock);
	*empty = list_empty(&lv->shadow_nodes);
	if (!*empty) {
		node = list_first_entry(&lv->shadow_nodes, struct radix_node, private_list);
		if (!spin_trylock(&node->mapping->lock)) {
			list_move_tail(&node->private_list, &lv->shadow_nodes);
			node = NULL;
		}
	}
	spin_unlock(&lv->shadow_lock);
	return node;
}

static unsigned long scan_shadow_nodes(struct shrinker *s, struct shrink_control *sc)
{
	struct rcl *m = sc->m;
	struct lruvec *lv = rcl_memcg_lruvec(m, sc->memcg, m->nodes + sc->nid);
	unsigned long freed = 0;
	bool empty = false;

	(void)s;
	for (unsigned long left = sc->nr_to_scan; left && !empty; left--) {
		struct radix_node *node = lock_oldest(lv, &empty);

		if (node) {
			/* It cannot leave its tree, nor the list, while the tree is locked. */
			struct mapping *mapping = node->mapping;

			rcl_radix_delete_node(m, node);
			spin_unlock(&mapping->lock);
			rcl_mod_lruvec_state(lv, WORKINGSET_NODERECLAIM, 1);
			freed++;
		}
		rcl_poll(m);
	}
	return freed;
}

int rcl_workingset_init(struct rcl *m)
{
	struct shrinker *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->count_objects = count_shadow_nodes;
	s->scan_objects = scan_shadow_nodes;
	s->name = "workingset-nodes";
	s->seeks = 0; /* a lost shadow is never read back: free to drop */
	s->flags = SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE;
	err = rcl_register_shrinker(m, s);
	if (err) {
		free(s);
		return err;
	}
	m->workingset = s;
	return 0;
}

void rcl_workingset_exit(struct rcl *m)
{
	struct shrinker *s = m->workingset;

	if (!s)
		return;
	rcl_unregister_shrinker(m, s);
	free(s);
	m->workingset = NULL;
}
