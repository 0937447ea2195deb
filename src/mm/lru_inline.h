/* SPDX-License-Identifier: MIT */
/*
 * What is done for each page that comes or goes, small enough to stand where it is used: whose
 * lruvec a page belongs to, its counters, its place on a list. Comes with machine.h.
 */
#ifndef RCL_MM_LRU_INLINE_H
#define RCL_MM_LRU_INLINE_H

#include "mm/filemap.h"
#include "mm/machine.h"

/* The group a task runs in; the root group for kernel threads. */
static inline struct memcg *rcl_current_memcg(struct rcl *m)
{
	struct task *t = rcl_current(m);
	struct memcg *memcg = t->active_memcg ? t->active_memcg : t->memcg;

	return memcg ? memcg : m->root_memcg;
}

static inline void rcl_count_memcg_events(struct memcg *memcg, enum vm_event_item item, s64 n)
{
	shared_add(&memcg->events[item], n, memcg->m->threaded);
}

/* ---- whose lists --------------------------------------------------------------------------- */

static inline struct lruvec *rcl_memcg_lruvec(struct rcl *m, struct memcg *memcg, struct node *node)
{
	return (memcg ? memcg : m->root_memcg)->lruvecs[node->id];
}

static inline struct lruvec *rcl_folio_lruvec(struct rcl *m, const struct folio *f)
{
	return (f->memcg ? f->memcg : m->root_memcg)->lruvecs[folio_node_id(f)];
}

static inline struct lruvec *rcl_parent_lruvec(struct rcl *m, struct lruvec *lv)
{
	(void)m;
	return lv->parent;
}

/* ---- counters ------------------------------------------------------------------------------ */

s64 rcl_lruvec_subtree_state(struct lruvec *lv, enum node_stat_item item);

/* A counter of the lruvec's group and all below it (of the whole node for the root group). */
static inline s64 rcl_lruvec_page_state(struct lruvec *lv, enum node_stat_item item)
{
	const struct list_head *children = &lv->memcg->children;
	s64 v;

	if (unlikely(!lv->memcg->parent))
		return node_page_state(lv->node, item);
	/* (A group may join just now.) */
	if (unlikely(__atomic_load_n(&children->next, __ATOMIC_RELAXED) != children))
		return rcl_lruvec_subtree_state(lv, item);
	v = shared_read(&lv->stat[item]);
	return v < 0 ? 0 : v;
}

/* Change a node counter and the group's share of it. lv->memcg's ancestors see it when reading. */
static inline void rcl_mod_lruvec_state(struct lruvec *lv, enum node_stat_item item, s64 n)
{
	bool threaded = lv->node->m->threaded;

	shared_add(&lv->node->stat[item], n, threaded);
	shared_add(&lv->stat[item], n, threaded);
}

/* The same for the lruvec a folio is charged to. */
static inline void rcl_mod_folio_state(struct rcl *m, struct folio *f, enum node_stat_item item,
				       s64 n)
{
	rcl_mod_lruvec_state(rcl_folio_lruvec(m, f), item, n);
}

/* ---- lists; lru_lock is held --------------------------------------------------------------- */

/* The list that a folio with these flags belongs on. */
static inline int lru_list_of(u32 flags)
{
	if (unlikely(flags & BIT(PG_unevictable)))
		return LRU_UNEVICTABLE;
	return (flags & BIT(PG_swapbacked) ? 0 : LRU_FILE) +
	       (flags & BIT(PG_active) ? LRU_ACTIVE : 0);
}

static inline int folio_lru_list(const struct folio *f)
{
	return lru_list_of(folio_flags(f));
}

static inline void rcl_update_lru_size(struct lruvec *lv, int lru, u32 zone, s64 nr)
{
	RCL_DEBUG_ASSERT(spin_is_held(&lv->lru_lock));
	/* Under the lock; scan counts read it without. */
	__atomic_store_n(&lv->zone_size[zone][lru], lv->zone_size[zone][lru] + nr,
			 __ATOMIC_RELAXED);
	rcl_mod_lruvec_state(lv, (enum node_stat_item)(NR_INACTIVE_ANON + lru), nr);
	mod_zone_state(&lv->node->zones[zone], (enum zone_stat_item)(NR_ZONE_INACTIVE_ANON + lru),
		       nr);
}

/* The folio's flags choose the list. All sizes are kept. */
static inline void rcl_lruvec_add_folio(struct lruvec *lv, struct folio *f)
{
	int lru = folio_lru_list(f);

	rcl_update_lru_size(lv, lru, folio_zone_idx(f), 1);
	list_add(&f->lru, &lv->lists[lru]);
}

static inline void rcl_lruvec_add_folio_tail(struct lruvec *lv, struct folio *f)
{
	int lru = folio_lru_list(f);

	rcl_update_lru_size(lv, lru, folio_zone_idx(f), 1);
	list_add_tail(&f->lru, &lv->lists[lru]);
}

static inline void rcl_lruvec_del_folio(struct lruvec *lv, struct folio *f)
{
	list_del(&f->lru);
	rcl_update_lru_size(lv, folio_lru_list(f), folio_zone_idx(f), -1);
}

/*
 * List sizes that change by one for each folio of a batch: gathered here while lruvec and zone stay
 * the same, and changed once. Nobody can tell, since the lock is held all the time.
 */
struct lru_sizes {
	struct lruvec *lv;
	u32 zone;
	s32 nr[NR_LRU_LISTS];
};

static inline void lru_sizes_flush(struct lru_sizes *s)
{
	for_each_lru (l) {
		if (s->nr[l]) {
			rcl_update_lru_size(s->lv, l, s->zone, s->nr[l]);
			s->nr[l] = 0;
		}
	}
}

/* No lock is held and the place may be out of date; but a descriptor can always be read. */
static inline RCL_RACY void rcl_lru_fetch_ahead(struct rcl *m, struct lruvec *lv, int lru)
{
	u32 left = __atomic_load_n(&lv->ahead[lru].left, __ATOMIC_RELAXED);
	struct folio *f = __atomic_load_n(&lv->ahead[lru].at, __ATOMIC_RELAXED);

	if (!left || (uintptr_t)f - (uintptr_t)m->frames >= m->nr_frames * sizeof(*f))
		return;
	f = list_entry(racy_read(&f->lru.prev), struct folio, lru);
	__builtin_prefetch(f, 1);
	__atomic_store_n(&lv->ahead[lru].at, f, __ATOMIC_RELAXED);
	__atomic_store_n(&lv->ahead[lru].left, left - 1, __ATOMIC_RELAXED);
}

/* ---- use ----------------------------------------------------------------------------------- */

void rcl_folio_accessed_again(struct rcl *m, struct folio *f);

/* The first mark sets PG_referenced; the next one moves an inactive folio up. */
static inline void rcl_folio_mark_accessed(struct rcl *m, struct folio *f)
{
	u32 v = folio_flags(f);

	if (!(v & BIT(PG_referenced)))
		folio_set(f, PG_referenced);
	else if (!(v & BIT(PG_active)))
		rcl_folio_accessed_again(m, f);
}

/* May the folio be reclaimed as far as locking in memory goes? */
static inline bool rcl_folio_evictable(const struct folio *f)
{
	u32 v = folio_flags(f);
	struct mapping *mapping;

	if (unlikely(v & BIT(PG_mlocked)))
		return false;
	/* A swap cache page gets PG_anon, and another thing where `mapping` is, just as we look. */
	if (v & (BIT(PG_anon) | BIT(PG_swapbacked)))
		return true;
	mapping = hint_read(&f->mapping);
	return !mapping || !(mapping_flags(mapping) & MAPPING_UNEVICTABLE);
}

#endif
