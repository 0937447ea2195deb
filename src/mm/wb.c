/* SPDX-License-Identifier: MIT */
/*
 * Devices and groups as writeback sees them: bdi, wb and wb_domain, and the lists of files.
 *
 * A group's wb on a device, and its domain, come into being when the group first dirties a file
 * there (or asks for its limits), and stay until the machine closes: they are few, and so nobody
 * needs a reference to use one. When a group goes away its files move to its parent's wb together
 * with the counts of their pages; the empty wb stays behind with no group and is never looked up
 * again.
 *
 * Whoever must drop all locks while it works on a file holds it: a flusher by MAPPING_SYNC, others
 * by a pin. Freeing a file first marks it (FREEING, so that nobody puts it back on a list), then
 * waits until neither is left.
 *
 * Locking: wb_state->lock for creation; readers see a wb's index only after the wb is complete.
 * To move a file between wbs: mapping->lock, then both list_locks, the one at the lower address
 * first.
 */
#include "mm/wb_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* Lists ------------------------------------------------------------------------------------------
 */

static bool has_dirty_lists(const struct wb *wb)
{
	return !list_empty(&wb->b_dirty) || !list_empty(&wb->b_io) || !list_empty(&wb->b_more_io);
}

void rcl_wb_note_lists(struct wb *wb)
{
	bool has = has_dirty_lists(wb);
	s64 bw = (s64)hint_read(&wb->avg_write_bandwidth);

	RCL_DEBUG_ASSERT(spin_is_held(&wb->list_lock));
	if (has == wb_test(wb, WB_HAS_DIRTY_IO))
		return;
	if (has)
		__atomic_or_fetch(&wb->state, WB_HAS_DIRTY_IO, __ATOMIC_RELAXED);
	else
		__atomic_and_fetch(&wb->state, ~WB_HAS_DIRTY_IO, __ATOMIC_RELAXED);
	shared_add(&wb->bdi->tot_write_bandwidth, has ? bw : -bw, wb->bdi->m->threaded);
}

struct wb *rcl_mapping_lock_wb(struct mapping *mapping)
{
	for (;;) {
		struct wb *wb = __atomic_load_n(&mapping->wb, __ATOMIC_ACQUIRE);

		spin_lock(&wb->list_lock);
		if (likely(wb == mapping->wb))
			return wb;
		spin_unlock(&wb->list_lock);
	}
}

void rcl_mapping_attach_wb(struct mapping *mapping, struct wb *wb)
{
	spin_lock(&mapping->lock);
	if (!mapping->wb) { /* else another was first */
		spin_lock(&wb->list_lock);
		list_add(&mapping->wb_link, &wb->b_attached);
		__atomic_store_n(&mapping->wb, wb, __ATOMIC_RELEASE);
		spin_unlock(&wb->list_lock);
	}
	spin_unlock(&mapping->lock);
}

void rcl_mapping_pin(struct mapping *mapping)
{
	mapping_wb_change(mapping, ~0u, mapping->wb_state + MAPPING_PIN);
}

void rcl_mapping_unpin(struct rcl *m, struct mapping *mapping)
{
	struct wb *wb = rcl_mapping_lock_wb(mapping);

	RCL_ASSERT(mapping->wb_state >= MAPPING_PIN);
	mapping_wb_change(mapping, ~0u, mapping->wb_state - MAPPING_PIN);
	/* The waiter frees the file: wake it while the lock keeps it from doing so. */
	rcl_wake(m, &mapping->wb_state, UINT32_MAX);
	spin_unlock(&wb->list_lock);
}

void rcl_writeback_forget(struct rcl *m, struct mapping *mapping)
{
	struct wb *wb;

	if (!mapping->wb)
		return;
	wb = rcl_mapping_lock_wb(mapping);
	mapping_wb_change(mapping, 0, MAPPING_FREEING);
	while (mapping->wb_state & MAPPING_SYNC || mapping->wb_state >= MAPPING_PIN) {
		u32 v = mapping->wb_state;

		spin_unlock(&wb->list_lock);
		rcl_wait_on(m, &mapping->wb_state, v, RCL_FOREVER, true);
		wb = rcl_mapping_lock_wb(mapping);
	}
	list_del_init(&mapping->wb_link);
	rcl_wb_note_lists(wb);
	spin_unlock(&wb->list_lock);
}

/* Groups -----------------------------------------------------------------------------------------
 */

static void wb_init(struct wb *wb, struct bdi *bdi, struct memcg *memcg)
{
	wb->bdi = bdi;
	wb->memcg = memcg;
	spin_init(&wb->list_lock, bdi->m->threaded);
	list_init(&wb->b_dirty);
	list_init(&wb->b_io);
	list_init(&wb->b_more_io);
	list_init(&wb->b_attached);
	list_init(&wb->work_list);
	wb->wake_ns = RCL_FOREVER;
	wb->last_old_flush = wb_jiffies(bdi->m);
	rcl_wb_bandwidth_init(bdi->m, wb);
}

/* First use: slow path of rcl_wb_of(). Out of memory, the root group's serves. */
static struct wb *create_wb(struct rcl *m, struct bdi *bdi, struct memcg *memcg)
{
	struct wb_domain *dom = &m->wb->domains[memcg->id];
	struct wb *new = calloc(1, sizeof(*new)), *wb;

	if (!new)
		return &bdi->wb;
	wb_init(new, bdi, memcg);
	new->domain = dom;
	spin_lock(&m->wb->lock);
	if (!dom->period_end_ns)
		rcl_wb_domain_init(m, dom);
	wb = bdi->wbs[bdi->wb_of[memcg->id]];
	if (wb == &bdi->wb && bdi->nr_wbs <= RCL_MAX_MEMCG) {
		wb = bdi->wbs[bdi->nr_wbs] = new;
		__atomic_store_n(&bdi->wb_of[memcg->id], bdi->nr_wbs, __ATOMIC_RELEASE);
		__atomic_store_n(&bdi->nr_wbs, bdi->nr_wbs + 1, __ATOMIC_RELEASE);
	}
	spin_unlock(&m->wb->lock);
	if (wb != new)
		free(new);
	return wb;
}

struct wb *rcl_wb_of(struct rcl *m, struct bdi *bdi, struct memcg *memcg)
{
	u32 i;

	if (!memcg || !memcg->parent || !m->tun.cgroup_writeback)
		return &bdi->wb;
	i = __atomic_load_n(&bdi->wb_of[memcg->id], __ATOMIC_ACQUIRE);
	return likely(i) ? bdi->wbs[i] : create_wb(m, bdi, memcg);
}

static void lock_both(struct wb *a, struct wb *b)
{
	spin_lock(a < b ? &a->list_lock : &b->list_lock);
	spin_lock(a < b ? &b->list_lock : &a->list_lock);
}

static s64 count_tagged(struct mapping *mapping, enum radix_tag tag, enum folio_flag flag)
{
	struct folio *f;
	s64 nr = 0;

	for (u64 i = 0; (f = rcl_radix_next_tagged(mapping, &i, UINT64_MAX, tag)); i++)
		nr += folio_test(f, flag);
	return nr;
}

/* Put a file into a list ordered by dirtied_when, newest first. */
static void insert_by_age(struct mapping *mapping, struct list_head *list)
{
	struct list_head *pos = list->next;

	while (pos != list &&
	       list_entry(pos, struct mapping, wb_link)->dirtied_when > mapping->dirtied_when)
		pos = pos->next;
	list_add_tail(&mapping->wb_link, pos);
}

static void switch_wb(struct mapping *mapping, struct wb *from, struct wb *to)
{
	s64 dirty, writeback;

	spin_lock(&mapping->lock);
	lock_both(from, to);
	if (mapping->wb != from)
		goto out;
	dirty = count_tagged(mapping, TAG_DIRTY, PG_dirty);
	writeback = count_tagged(mapping, TAG_WRITEBACK, PG_writeback);
	wb_stat_add(from, WB_RECLAIMABLE, -dirty);
	wb_stat_add(to, WB_RECLAIMABLE, dirty);
	wb_stat_add(from, WB_WRITEBACK, -writeback);
	wb_stat_add(to, WB_WRITEBACK, writeback);
	if (rcl_mapping_tagged(mapping, TAG_WRITEBACK)) {
		__atomic_sub_fetch(&from->writeback_files, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&to->writeback_files, 1, __ATOMIC_RELAXED);
	}
	list_del(&mapping->wb_link);
	mapping_wb_change(mapping, MAPPING_QUEUED, 0);
	if (mapping->wb_state & MAPPING_DIRTY_PAGES)
		insert_by_age(mapping, &to->b_dirty);
	else
		list_add(&mapping->wb_link, &to->b_attached);
	__atomic_store_n(&mapping->wb, to, __ATOMIC_RELEASE);
	rcl_wb_note_lists(from);
	rcl_wb_note_lists(to);
	if (wb_test(to, WB_HAS_DIRTY_IO))
		rcl_wb_wakeup_delayed(to);
out:
	spin_unlock(&from->list_lock);
	spin_unlock(&to->list_lock);
	spin_unlock(&mapping->lock);
}

/* Some file of a wb, pinned; NULL: it has none. */
static struct mapping *pin_any(struct wb *wb)
{
	struct list_head *lists[] = {&wb->b_dirty, &wb->b_io, &wb->b_more_io, &wb->b_attached};
	struct mapping *mapping = NULL;

	spin_lock(&wb->list_lock);
	for (size_t i = 0; i < ARRAY_SIZE(lists) && !mapping; i++)
		if (!list_empty(lists[i]))
			mapping = list_first_entry(lists[i], struct mapping, wb_link);
	if (mapping)
		rcl_mapping_pin(mapping);
	spin_unlock(&wb->list_lock);
	return mapping;
}

/* Move the files of a group's wb to its parent's. Returns the wb, NULL if it has none. */
static struct wb *reparent(struct rcl *m, struct bdi *bdi, struct memcg *memcg)
{
	u32 i = bdi ? __atomic_load_n(&bdi->wb_of[memcg->id], __ATOMIC_ACQUIRE) : 0;
	struct mapping *mapping;
	struct wb *wb;

	if (!i)
		return NULL;
	wb = bdi->wbs[i];
	while ((mapping = pin_any(wb))) {
		switch_wb(mapping, wb, rcl_wb_of(m, bdi, memcg->parent));
		rcl_mapping_unpin(m, mapping);
	}
	return wb;
}

void rcl_writeback_reparent(struct rcl *m, struct memcg *memcg)
{
	for (u32 i = 0; memcg->parent && i < WB_MAX_DEVICES; i++)
		reparent(m, wb_bdi(m->wb, i), memcg);
}

void rcl_writeback_memcg_offline(struct rcl *m, struct memcg *memcg)
{
	struct wb_state *ws = m->wb;

	for (u32 dev = 0; ws && memcg->parent && dev < WB_MAX_DEVICES; dev++) {
		struct bdi *bdi = wb_bdi(ws, dev);
		struct wb *wb = reparent(m, bdi, memcg);

		if (!wb)
			continue;
		if (__atomic_exchange_n(&wb->dirty_exceeded, false, __ATOMIC_RELAXED))
			__atomic_sub_fetch(&ws->nr_exceeded, 1, __ATOMIC_RELAXED);
		spin_lock(&ws->lock);
		__atomic_store_n(&bdi->wb_of[memcg->id], 0, __ATOMIC_RELEASE);
		wb->memcg = NULL;
		wb->domain = NULL;
		spin_unlock(&ws->lock);
	}
	if (ws) /* the id may be given to another group */
		memset(&ws->domains[memcg->id], 0, sizeof(*ws->domains));
}

/* Devices ----------------------------------------------------------------------------------------
 */

/* The machine closes before its files do: from now on they belong to nobody. */
static void detach_files(struct wb *wb)
{
	struct mapping *mapping;

	while ((mapping = pin_any(wb))) {
		list_del_init(&mapping->wb_link);
		mapping->wb_state = 0;
		mapping->wb = NULL;
	}
}

static void free_bdi(struct bdi *bdi)
{
	struct platform *p = bdi->m->plat;

	for (u32 i = 0; i < bdi->nr_wbs; i++) {
		detach_files(bdi->wbs[i]);
		if (i)
			free(bdi->wbs[i]);
	}
	if (bdi->wbs)
		p->ops->release(p, bdi->wbs, (RCL_MAX_MEMCG + 1) * sizeof(*bdi->wbs));
	if (bdi->wb_of)
		p->ops->release(p, bdi->wb_of, (RCL_MAX_MEMCG + 1) * sizeof(*bdi->wb_of));
	free(bdi);
}

int rcl_writeback_add_device(struct rcl *m, u16 dev)
{
	struct platform *p = m->plat;
	struct bdi *bdi;
	int err;

	if (dev >= WB_MAX_DEVICES)
		return -ENOSPC;
	if (m->wb->bdis[dev])
		return 0;
	bdi = calloc(1, sizeof(*bdi));
	if (!bdi)
		return -ENOMEM;
	bdi->m = m;
	bdi->dev = dev;
	bdi->wbs = p->ops->reserve(p, (RCL_MAX_MEMCG + 1) * sizeof(*bdi->wbs));
	bdi->wb_of = p->ops->reserve(p, (RCL_MAX_MEMCG + 1) * sizeof(*bdi->wb_of));
	if (!bdi->wbs || !bdi->wb_of) {
		free_bdi(bdi);
		return -ENOMEM;
	}
	wb_init(&bdi->wb, bdi, NULL);
	bdi->wbs[0] = &bdi->wb;
	bdi->nr_wbs = 1;
	err = rcl_flusher_start(bdi);
	if (err) {
		free_bdi(bdi);
		return err;
	}
	__atomic_store_n(&m->wb->bdis[dev], bdi, __ATOMIC_RELEASE);
	return 0;
}

int rcl_writeback_init(struct rcl *m)
{
	struct platform *p = m->plat;
	struct wb_state *ws = calloc(1, sizeof(*ws));

	if (!ws)
		return -ENOMEM;
	spin_init(&ws->lock, m->threaded);
	ws->domains_bytes = (RCL_MAX_MEMCG + 1) * sizeof(*ws->domains);
	ws->domains = p->ops->reserve(p, ws->domains_bytes);
	ws->cpus = calloc(m->nr_cpus, sizeof(*ws->cpus));
	m->wb = ws;
	if (!ws->domains || !ws->cpus) {
		rcl_writeback_exit(m);
		return -ENOMEM;
	}
	rcl_wb_domain_init(m, &ws->global);
	rcl_writeback_set_ratelimit(m);
	return 0;
}

void rcl_writeback_exit(struct rcl *m)
{
	struct wb_state *ws = m->wb;

	if (!ws)
		return;
	for (u32 dev = 0; dev < WB_MAX_DEVICES; dev++) {
		if (ws->bdis[dev])
			rcl_flusher_stop(ws->bdis[dev]);
	}
	/* The last to submit I/O are gone. What they have submitted ends with all of us in place.
	 */
	if (m->plat->ops->drain_io)
		m->plat->ops->drain_io(m->plat);
	for (u32 dev = 0; dev < WB_MAX_DEVICES; dev++) {
		if (ws->bdis[dev])
			free_bdi(ws->bdis[dev]);
	}
	if (ws->domains)
		m->plat->ops->release(m->plat, ws->domains, ws->domains_bytes);
	free(ws->cpus);
	free(ws);
	m->wb = NULL;
}

/* Checks -----------------------------------------------------------------------------------------
 */

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "writeback: %s does not hold\n", #cond);                   \
			return false;                                                              \
		}                                                                                  \
	} while (0)

struct wb_sums {
	s64 dirty, writeback, files;
};

static bool list_is_valid(struct wb *wb, struct list_head *list, u32 want, u32 unwanted, bool aged,
			  struct wb_sums *sum)
{
	struct mapping *mapping, *prev = NULL;

	list_for_each (mapping, list, wb_link) {
		u32 state = mapping_wb_state(mapping);
		s64 dirty;

		CHECK(mapping->wb == wb);
		/* Whoever holds SYNC is about to settle the flags. */
		CHECK(state & MAPPING_SYNC || (state & want) == want);
		CHECK(state & MAPPING_SYNC || !(state & unwanted));
		CHECK(!aged || !prev || prev->dirtied_when >= mapping->dirtied_when);
		spin_lock(&mapping->lock);
		dirty = count_tagged(mapping, TAG_DIRTY, PG_dirty);
		sum->dirty += dirty;
		sum->writeback += count_tagged(mapping, TAG_WRITEBACK, PG_writeback);
		sum->files += rcl_mapping_tagged(mapping, TAG_WRITEBACK);
		spin_unlock(&mapping->lock);
		CHECK(state & (MAPPING_SYNC | MAPPING_DIRTY_PAGES) || !dirty);
		prev = mapping;
	}
	return true;
}

static bool wb_is_valid(struct wb *wb, struct wb_sums *total)
{
	struct wb_sums sum = {0};
	const u32 dirty = MAPPING_DIRTY_PAGES, queued = MAPPING_QUEUED;

	if (!list_is_valid(wb, &wb->b_dirty, dirty, queued, true, &sum) ||
	    !list_is_valid(wb, &wb->b_io, dirty | queued, 0, false, &sum) ||
	    !list_is_valid(wb, &wb->b_more_io, dirty | queued, 0, false, &sum) ||
	    !list_is_valid(wb, &wb->b_attached, 0, dirty | queued, false, &sum))
		return false;
	CHECK(wb->stat[WB_RECLAIMABLE] == sum.dirty);
	CHECK(wb->stat[WB_WRITEBACK] == sum.writeback);
	CHECK(wb->writeback_files == sum.files);
	CHECK(has_dirty_lists(wb) == wb_test(wb, WB_HAS_DIRTY_IO));
	CHECK(wb->avg_write_bandwidth > 0 && wb->dirty_ratelimit > 0);
	total->dirty += sum.dirty;
	total->writeback += sum.writeback;
	return true;
}

/* With nobody else running: lists, flags, tags and counters agree. */
bool rcl_writeback_is_valid(struct rcl *m)
{
	struct wb_sums total = {0};
	s64 dirty = 0, writeback = 0, pending = 0;

	for (u32 dev = 0; dev < WB_MAX_DEVICES; dev++) {
		struct bdi *bdi = wb_bdi(m->wb, dev);
		s64 bw = 0;

		for (u32 i = 0; bdi && i < bdi->nr_wbs; i++) {
			if (!wb_is_valid(bdi->wbs[i], &total))
				return false;
			if (wb_test(bdi->wbs[i], WB_HAS_DIRTY_IO))
				bw += (s64)bdi->wbs[i]->avg_write_bandwidth;
		}
		CHECK(!bdi || bdi->tot_write_bandwidth == bw);
	}
	for (u32 n = 0; n < m->nr_nodes; n++) {
		dirty += m->nodes[n].stat[NR_FILE_DIRTY];
		writeback += m->nodes[n].stat[NR_WRITEBACK];
		for_each_zone (z, &m->nodes[n])
			pending += z->stat[NR_ZONE_WRITE_PENDING];
	}
	CHECK(dirty == total.dirty);
	CHECK(writeback >= total.writeback); /* swap is written too */
	CHECK(pending == dirty + writeback);
	return true;
}
