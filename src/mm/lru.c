/* SPDX-License-Identifier: MIT */
/*
 * LRU lists and the batches in front of them.
 *
 * Why: a page is put on a list, moved up, or moved back far more often than it is reclaimed, and
 * each move wants the list's lock. So every CPU gathers pages that want the same move in a batch of
 * FOLIO_BATCH_SIZE and performs them together.
 *
 * Batches and their moves (each holds a reference on its folios):
 *
 *   add              a new or put-back folio goes to the head of the list its flags name
 *   rotate           written while marked PG_reclaim: to the tail of the inactive list, to be freed
 *   deactivate_file  invalidation could not drop it: to the tail if clean, else head + PG_reclaim
 *   deactivate       an active folio goes to the head of its inactive list
 *   lazyfree         an anonymous folio becomes discardable: inactive file list
 *   activate         a folio seen twice goes to the head of its active list
 *
 * A batch drains when it is full, when reclaim or a write fault asks (rcl_lru_add_drain), or when
 * another CPU needs every folio on its list. The order of draining is fixed: add, rotate,
 * deactivate_file, deactivate, lazyfree, activate.
 *
 * Rules that callers feel:
 *  - A folio in the add batch is not yet on a list (PG_lru clear): marking it accessed sets
 *    PG_active directly if it sits in this CPU's batch; reclaim cannot find it.
 *  - All other moves act only if the folio still is on a list when the batch drains; PG_lru is the
 *    token: whoever clears it owns the folio's list position.
 *  - Marking accessed: first mark sets PG_referenced; a second one activates and clears it.
 *
 * Costs: each lruvec keeps a decaying count of how often reclaiming anonymous and file pages ended
 * in I/O (rcl_lru_note_cost); halved when their sum passes a quarter of the lruvec's pages.
 *
 * Locking: lists and sizes under lruvec->lru_lock; batches belong to their CPU, which on the host
 * means cpu->lock. That lock is inside lru_lock, so a batch is emptied first and moved then.
 */
#include "mm/lru.h"

#include "mm/machine.h"
#include "mm/workingset.h"

void rcl_lruvec_init(struct lruvec *lv, struct node *node, struct memcg *memcg)
{
	memset(lv, 0, sizeof(*lv));
	for_each_lru (l)
		list_init(&lv->lists[l]);
	list_init(&lv->shadow_nodes);
	spin_init(&lv->lru_lock, node->m->threaded);
	spin_init(&lv->shadow_lock, node->m->threaded);
	lv->node = node;
	lv->memcg = memcg;
	lv->parent = memcg->parent ? memcg->parent->lruvecs[node->id] : NULL;
}

/* ---- sizes and counters ------------------------------------------------------------------- */

u64 rcl_lruvec_lru_size(const struct lruvec *lv, int lru, int zone_idx)
{
	s64 size = 0;

	for (int z = 0; z <= zone_idx && z < MAX_NR_ZONES; z++)
		size += shared_read(&lv->zone_size[z][lru]);
	return size < 0 ? 0 : (u64)size;
}

s64 rcl_lruvec_subtree_state(struct lruvec *lv, enum node_stat_item item)
{
	s64 v = 0;

	for_each_memcg (pos, lv->memcg)
		v += shared_read(&pos->lruvecs[lv->node->id]->stat[item]);
	return v < 0 ? 0 : v;
}

void rcl_lruvec_rescue_folio(struct rcl *m, struct lruvec *lv, struct folio *f)
{
	if (!folio_test(f, PG_unevictable) || !rcl_folio_evictable(f))
		return;
	rcl_lruvec_del_folio(lv, f);
	folio_clear(f, PG_unevictable);
	rcl_lruvec_add_folio(lv, f);
	count_vm_event(m, UNEVICTABLE_PGRESCUED);
}

/* ---- what each batch does to a folio; lru_lock held -------------------------------------- */

/* NULL: add. */
typedef void move_fn(struct rcl *m, struct lruvec *lv, struct folio *f);

static void count_for(struct rcl *m, struct lruvec *lv, enum vm_event_item item)
{
	count_vm_event(m, item);
	rcl_count_memcg_events(lv->memcg, item, 1);
}

/* A new folio, or one put back: may it be reclaimed, or does it belong on the unevictable list? */
static void sort_out(struct rcl *m, struct folio *f)
{
	bool was_unevictable = folio_test_clear(f, PG_unevictable);

	if (likely(rcl_folio_evictable(f))) {
		if (was_unevictable)
			count_vm_event(m, UNEVICTABLE_PGRESCUED);
	} else {
		folio_clear(f, PG_active);
		folio_set(f, PG_unevictable);
		f->mlock_count = 0;
		if (!was_unevictable)
			count_vm_event(m, UNEVICTABLE_PGCULLED);
	}
}

static void move_rotate(struct rcl *m, struct lruvec *lv, struct folio *f)
{
	if (folio_test(f, PG_unevictable))
		return;
	rcl_lruvec_del_folio(lv, f);
	folio_clear(f, PG_active);
	rcl_lruvec_add_folio_tail(lv, f);
	count_vm_event(m, PGROTATED);
}

static void move_deactivate_file(struct rcl *m, struct lruvec *lv, struct folio *f)
{
	bool active = folio_test(f, PG_active);

	if (folio_test(f, PG_unevictable) || folio_mapped(f))
		return;
	rcl_lruvec_del_folio(lv, f);
	folio_clear(f, PG_active);
	folio_clear(f, PG_referenced);
	if (folio_test(f, PG_writeback) || folio_test(f, PG_dirty)) {
		rcl_lruvec_add_folio(lv, f);
		folio_set(f, PG_reclaim);
	} else {
		rcl_lruvec_add_folio_tail(lv, f);
		count_vm_event(m, PGROTATED);
	}
	if (active)
		count_for(m, lv, PGDEACTIVATE);
}

static void move_deactivate(struct rcl *m, struct lruvec *lv, struct folio *f)
{
	if (folio_test(f, PG_unevictable) || !folio_test(f, PG_active))
		return;
	rcl_lruvec_del_folio(lv, f);
	folio_clear(f, PG_active);
	folio_clear(f, PG_referenced);
	rcl_lruvec_add_folio(lv, f);
	count_for(m, lv, PGDEACTIVATE);
}

static void move_lazyfree(struct rcl *m, struct lruvec *lv, struct folio *f)
{
	if (!folio_is_anon(f) || !folio_test(f, PG_swapbacked) || folio_test(f, PG_swapcache) ||
	    folio_test(f, PG_unevictable))
		return;
	rcl_lruvec_del_folio(lv, f);
	folio_clear(f, PG_active);
	folio_clear(f, PG_referenced);
	/* A clean anonymous folio without this flag is what reclaim may drop without writing. */
	folio_clear(f, PG_swapbacked);
	rcl_lruvec_add_folio(lv, f);
	count_for(m, lv, PGLAZYFREE);
}

static void move_activate(struct rcl *m, struct lruvec *lv, struct folio *f)
{
	if (folio_test(f, PG_active) || folio_test(f, PG_unevictable))
		return;
	rcl_lruvec_del_folio(lv, f);
	folio_set(f, PG_active);
	rcl_lruvec_add_folio(lv, f);
	count_for(m, lv, PGACTIVATE);
}

/* ---- batches ----------------------------------------------------------------------------- */

/* The batch's references. */
static void put_batch(struct rcl *m, struct folio_batch *b)
{
	u32 nr = b->nr;

	hint_set(&b->nr, 0);
	for (u32 i = 0; i < nr; i++)
		folio_put(m, b->folios[i]);
}

/* The add batch, which nearly every page goes through: as a rule, 15 pages for one list. */
static void add_batch(struct rcl *m, struct folio_batch *b)
{
	struct lru_sizes sizes = {0};
	struct folio *last = NULL;
	struct lruvec *lv = NULL;
	u32 nr = b->nr;

	for (u32 i = 0; i < nr; i++) {
		struct folio *f = b->folios[i];
		int lru;

		if (unlikely(!last || f->memcg != last->memcg || f->zone_node != last->zone_node)) {
			lru_sizes_flush(&sizes);
			sizes.lv = rcl_folio_lruvec(m, f);
			sizes.zone = folio_zone_idx(f);
			if (lv != sizes.lv) {
				if (lv)
					spin_unlock(&lv->lru_lock);
				spin_lock(&sizes.lv->lru_lock);
				lv = sizes.lv;
			}
		}
		last = f;
		if (unlikely(folio_test(f, PG_unevictable) || !rcl_folio_evictable(f)))
			sort_out(m, f);
		lru = folio_lru_list(f);
		sizes.nr[lru]++;
		list_add(&f->lru, &lv->lists[lru]);
		if (unlikely(folio_test(f, PG_unevictable)))
			rcl_lruvec_rescue_folio(m, lv, f);
		folio_set(f, PG_lru);
	}
	lru_sizes_flush(&sizes);
	if (lv)
		spin_unlock(&lv->lru_lock);
	put_batch(m, b);
}

static void move_batch(struct rcl *m, struct folio_batch *b, move_fn *move)
{
	struct lruvec *locked = NULL;
	u32 nr = b->nr;

	if (!move) {
		add_batch(m, b);
		return;
	}

	for (u32 i = 0; i < nr; i++) {
		struct folio *f = b->folios[i];
		struct lruvec *lv;

		if (!folio_test_clear(f, PG_lru))
			continue;
		lv = rcl_folio_lruvec(m, f);
		if (lv != locked) {
			if (locked)
				spin_unlock(&locked->lru_lock);
			spin_lock(&lv->lru_lock);
			locked = lv;
		}
		move(m, lv, f);
		/* It may have been let go while we had it, and the one who did could not move it.
		 */
		if (unlikely(folio_test(f, PG_unevictable)))
			rcl_lruvec_rescue_folio(m, lv, f);
		folio_set(f, PG_lru);
	}
	if (locked)
		spin_unlock(&locked->lru_lock);
	put_batch(m, b);
}

/*
 * The moves take lru_lock, which is outside of the CPU's lock: on the host the batch is emptied
 * into a private copy first. The CPU is locked on entry and not on return.
 */
static __attribute__((noinline)) void move_and_unlock(struct rcl *m, struct cpu *cpu,
						      struct folio_batch *b, move_fn *move)
{
	struct folio_batch mine;

	if (rcl_is_threaded(m)) {
		mine = *b;
		hint_set(&b->nr, 0);
		b = &mine;
	}
	cpu_unlock(m, cpu);
	move_batch(m, b, move);
}

static void drain_batch(struct rcl *m, struct cpu *cpu, struct folio_batch *b, move_fn *move)
{
	cpu_lock(m, cpu);
	if (b->nr)
		move_and_unlock(m, cpu, b, move);
	else
		cpu_unlock(m, cpu);
}

/* The caller's reference, taken here, moves into the batch. */
static inline void batch_add(struct rcl *m, struct cpu *cpu, struct folio_batch *b, struct folio *f,
			     move_fn *move)
{
	folio_get(f);
	cpu_lock(m, cpu);
	b->folios[b->nr] = f;
	hint_set(&b->nr, b->nr + 1);
	if (b->nr == FOLIO_BATCH_SIZE)
		move_and_unlock(m, cpu, b, move);
	else
		cpu_unlock(m, cpu);
}

static void drain_cpu(struct rcl *m, struct cpu *cpu)
{
	struct cpu_batches *b = &cpu->batches;

	drain_batch(m, cpu, &b->lru_add, NULL);
	drain_batch(m, cpu, &b->rotate, move_rotate);
	drain_batch(m, cpu, &b->deactivate_file, move_deactivate_file);
	drain_batch(m, cpu, &b->deactivate, move_deactivate);
	drain_batch(m, cpu, &b->lazyfree, move_lazyfree);
	drain_batch(m, cpu, &b->activate, move_activate);
}

void rcl_lru_add_drain(struct rcl *m)
{
	drain_cpu(m, rcl_this_cpu(m));
}

void rcl_lru_add_drain_all(struct rcl *m)
{
	for (u32 i = 0; i < m->nr_cpus; i++)
		drain_cpu(m, &m->cpus[i]);
}

void rcl_folio_add_lru(struct rcl *m, struct folio *f)
{
	struct lruvec *lv = rcl_folio_lruvec(m, f);
	int base = folio_is_file_lru(f) ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON;
	struct cpu *cpu = rcl_this_cpu(m);

	RCL_DEBUG_ASSERT(!folio_test(f, PG_lru));
	/* For every page that comes in about one will be scanned, and half as many active ones. */
	rcl_lru_fetch_ahead(m, lv, base);
	if (hint_read(&cpu->batches.lru_add.nr) & 1)
		rcl_lru_fetch_ahead(m, lv, base + LRU_ACTIVE);
	batch_add(m, cpu, &cpu->batches.lru_add, f, NULL);
}

void rcl_folio_rotate_reclaimable(struct rcl *m, struct folio *f)
{
	struct cpu *cpu = rcl_this_cpu(m);
	u32 v = folio_flags(f);

	if (!(v & BIT(PG_lru)) || v & (BIT(PG_locked) | BIT(PG_dirty) | BIT(PG_unevictable)))
		return;
	batch_add(m, cpu, &cpu->batches.rotate, f, move_rotate);
}

static RCL_RACY void fetch_neighbours(const struct folio *f)
{
	__builtin_prefetch(racy_read(&f->lru.next), 1);
	__builtin_prefetch(racy_read(&f->lru.prev), 1);
}

void rcl_folio_activate(struct rcl *m, struct folio *f)
{
	struct cpu *cpu = rcl_this_cpu(m);
	u32 v = folio_flags(f);

	if (v & BIT(PG_lru) && !(v & (BIT(PG_active) | BIT(PG_unevictable)))) {
		/* Its neighbours on the list will be written when it moves. */
		fetch_neighbours(f);
		batch_add(m, cpu, &cpu->batches.activate, f, move_activate);
	}
}

/* A folio not on a list may sit in this CPU's add batch: let it arrive active. */
static void activate_in_add_batch(struct rcl *m, struct folio *f)
{
	struct cpu *cpu = cpu_lock(m, rcl_this_cpu(m));
	struct folio_batch *b = &cpu->batches.lru_add;

	for (u32 i = b->nr; i-- > 0;) {
		if (b->folios[i] == f) {
			folio_set(f, PG_active);
			break;
		}
	}
	cpu_unlock(m, cpu);
}

void rcl_folio_accessed_again(struct rcl *m, struct folio *f)
{
	u32 v = folio_flags(f);

	if (v & (BIT(PG_unevictable) | BIT(PG_active)))
		return;
	if (v & BIT(PG_lru))
		rcl_folio_activate(m, f);
	else
		activate_in_add_batch(m, f);
	folio_clear(f, PG_referenced);
	rcl_workingset_activation(m, f);
}

void rcl_folio_deactivate(struct rcl *m, struct folio *f)
{
	struct cpu *cpu = rcl_this_cpu(m);
	u32 v = folio_flags(f);

	if (v & BIT(PG_lru) && v & BIT(PG_active) && !(v & BIT(PG_unevictable)))
		batch_add(m, cpu, &cpu->batches.deactivate, f, move_deactivate);
}

void rcl_folio_deactivate_file(struct rcl *m, struct folio *f)
{
	struct cpu *cpu = rcl_this_cpu(m);

	if (!folio_test(f, PG_unevictable))
		batch_add(m, cpu, &cpu->batches.deactivate_file, f, move_deactivate_file);
}

void rcl_folio_mark_lazyfree(struct rcl *m, struct folio *f)
{
	struct cpu *cpu = rcl_this_cpu(m);
	u32 v = folio_flags(f), need = BIT(PG_lru) | BIT(PG_anon) | BIT(PG_swapbacked);

	if ((v & need) == need && !(v & (BIT(PG_swapcache) | BIT(PG_unevictable))))
		batch_add(m, cpu, &cpu->batches.lazyfree, f, move_lazyfree);
}

/* ---- isolation --------------------------------------------------------------------------- */

int rcl_folio_isolate_lru(struct rcl *m, struct folio *f)
{
	struct lruvec *lv;

	RCL_DEBUG_ASSERT(folio_ref_count(f) > 0);
	if (!folio_test_clear(f, PG_lru))
		return -EBUSY;
	folio_get(f);
	lv = rcl_folio_lruvec(m, f);
	spin_lock(&lv->lru_lock);
	rcl_lruvec_del_folio(lv, f);
	spin_unlock(&lv->lru_lock);
	return 0;
}

void rcl_folio_putback_lru(struct rcl *m, struct folio *f)
{
	rcl_folio_add_lru(m, f);
	folio_put(m, f);
}

/* ---- cost of reclaim --------------------------------------------------------------------- */

void rcl_lru_note_cost(struct rcl *m, struct lruvec *lv, bool file, u32 nr_pages)
{
	for (; lv; lv = rcl_parent_lruvec(m, lv)) {
		u64 pages;

		spin_lock(&lv->lru_lock);
		if (file)
			lv->file_cost += nr_pages;
		else
			lv->anon_cost += nr_pages;
		pages = 0;
		for_each_evictable_lru (l)
			pages += (u64)rcl_lruvec_page_state(lv, (enum node_stat_item)l);
		if (lv->file_cost + lv->anon_cost > pages / 4) {
			lv->file_cost /= 2;
			lv->anon_cost /= 2;
		}
		spin_unlock(&lv->lru_lock);
	}
}

bool rcl_lruvec_is_valid(struct rcl *m, struct lruvec *lv)
{
	s64 found[MAX_NR_ZONES] = {0};

	for_each_lru (l) {
		struct folio *f;

		memset(found, 0, sizeof(found));
		list_for_each (f, &lv->lists[l], lru) {
			if (!folio_test(f, PG_lru) || folio_lru_list(f) != l ||
			    rcl_folio_lruvec(m, f) != lv || folio_ref_count(f) <= 0)
				return false;
			if (f->lru.next->prev != &f->lru)
				return false;
			found[folio_zone_idx(f)]++;
		}
		for (int z = 0; z < MAX_NR_ZONES; z++)
			if (found[z] != lv->zone_size[z][l])
				return false;
	}
	return true;
}
