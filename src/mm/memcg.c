/* SPDX-License-Identifier: MIT */
/*
 * Memory cgroups: who pays for a page.
 *
 * A group's usage counts the pages charged to it and to all groups below it. A charge must fit
 * under `max` of the group and of every ancestor; where it does not fit, the charging task itself
 * reclaims from that ancestor until it does, or the OOM killer makes room.
 *
 * Charging one page at a time would touch every ancestor's counter on each fault, so a CPU charges
 * MEMCG_CHARGE_BATCH pages and keeps the rest as a stock for the one group that charged last. Only
 * when a whole batch does not fit is the exact number tried. Usage therefore runs ahead of the
 * pages in use by up to a batch per CPU: with a small limit this is visible, and it is the
 * reference's behaviour.
 *
 * Kernel objects are charged in bytes: a CPU charges a page, hands out bytes of it, and gives whole
 * pages back when enough bytes have returned. Page tables and stacks are charged by the page.
 *
 *   what                     charged when                     given back when
 *   folio                    it is allocated for a group      it is freed: straight to the counter
 *   kernel pages             allocated with __GFP_ACCOUNT     freed: into the CPU's stock
 *   kernel objects (bytes)   allocated from an accounted      freed: into the byte stock; more than
 *                            cache                            a page there: into the page stock
 *
 * The order in which a charge tries to succeed: stock; a batch; exactly; reclaim and again (also
 * after draining every CPU's stock, once); up to MAX_RECLAIM_RETRIES rounds without progress; the
 * OOM killer; failure. A task that is reclaiming (PF_MEMALLOC), __GFP_NOFAIL and __GFP_HIGH may go
 * over the limit; so may a task with PF_CHARGE_OVER, as soon as reclaim has been tried once.
 * memory.high would be checked where a charge succeeds, memory.low and memory.min where reclaim
 * walks the groups; both are left for later.
 *
 * The root group has no limit and no counter, but its folios carry its pointer, so that every LRU
 * folio has a lruvec.
 *
 * Locking: usage is atomic; the tree under m->memcg_lock (walks take no lock: a group joins its
 * parent's list with one store, and must not be destroyed while anybody may walk: with threads,
 * taken offline instead); stocks belong to
 * their CPU, which on the host means cpu->lock.
 */
#include "mm/memcg.h"

#include <stdio.h>
#include <stdlib.h>

#include "mm/machine.h"
#include "mm/oom.h"
#include "mm/shrinker.h"
#include "mm/swap.h"
#include "mm/vmscan.h"
#include "mm/writeback.h"

/* ---- the tree ---------------------------------------------------------------------------- */

static bool is_root(const struct memcg *memcg)
{
	return !memcg->parent;
}

/* The entry behind one, on a list that may be added to meanwhile. */
static struct list_head *next_entry(const struct list_head *entry)
{
	return __atomic_load_n(&entry->next, __ATOMIC_ACQUIRE);
}

/* Put a group at the end of its parent's list: whoever walks sees it whole, or not at all. */
static void join(struct memcg *memcg, struct memcg *parent)
{
	struct list_head *l = &parent->children, *n = &memcg->sibling;

	n->prev = l->prev;
	n->next = l;
	__atomic_store_n(&n->prev->next, n, __ATOMIC_RELEASE);
	l->prev = n;
}

struct memcg *rcl_memcg_next(struct memcg *root, struct memcg *prev)
{
	struct memcg *pos = prev ? prev : root;
	struct list_head *next;

	if (!prev)
		return root;
	next = next_entry(&pos->children);
	if (next != &pos->children)
		return list_entry(next, struct memcg, sibling);
	while (pos != root) {
		next = next_entry(&pos->sibling);
		if (next != &pos->parent->children)
			return list_entry(next, struct memcg, sibling);
		pos = pos->parent;
	}
	return NULL;
}

struct memcg *rcl_memcg_from_id(struct rcl *m, u16 id)
{
	return m->memcg_by_id[id];
}

static void free_group(struct rcl *m, struct memcg *memcg)
{
	m->memcg_by_id[memcg->id] = NULL;
	for (u32 n = 0; memcg->lruvecs && n < m->nr_nodes; n++)
		free(memcg->lruvecs[n]);
	free(memcg->lruvecs);
	free(memcg);
}

/* The next id that nobody has, or 0. memcg_lock is held. */
static u32 free_id(struct rcl *m)
{
	u32 id = m->next_memcg_id;

	for (u32 tries = 0; tries <= RCL_MAX_MEMCG; tries++, id = (id + 1) % RCL_MAX_MEMCG)
		if (id && !m->memcg_by_id[id])
			return id;
	return 0;
}

int rcl_memcg_create(struct rcl *m, struct memcg *parent, const char *name, struct memcg **out)
{
	struct memcg *memcg;
	u32 id;

	if (parent && !hint_read(&parent->online))
		return -EINVAL;
	memcg = calloc(1, sizeof(*memcg));
	if (!memcg)
		return -ENOMEM;
	memcg->parent = parent;
	memcg->lruvecs = calloc(m->nr_nodes, sizeof(*memcg->lruvecs));
	for (u32 n = 0; memcg->lruvecs && n < m->nr_nodes; n++) {
		memcg->lruvecs[n] = calloc(1, sizeof(struct lruvec));
		if (!memcg->lruvecs[n])
			break;
		rcl_lruvec_init(memcg->lruvecs[n], &m->nodes[n], memcg);
	}
	if (!memcg->lruvecs || !memcg->lruvecs[m->nr_nodes - 1]) {
		free_group(m, memcg);
		return -ENOMEM;
	}
	memcg->m = m;
	memcg->max = MEMCG_MAX;
	memcg->online = true;
	snprintf(memcg->name, sizeof(memcg->name), "%s", name);
	list_init(&memcg->children);
	list_init(&memcg->sibling);
	spin_init(&memcg->psi.lock, m->threaded);
	spin_lock(&m->memcg_lock);
	id = free_id(m);
	if (id) {
		memcg->id = (u16)id;
		__atomic_store_n(&m->memcg_by_id[id], memcg, __ATOMIC_RELEASE);
		m->next_memcg_id = (id + 1) % RCL_MAX_MEMCG;
		if (parent)
			join(memcg, parent);
	}
	spin_unlock(&m->memcg_lock);
	if (!id) {
		free_group(m, memcg);
		return -ENOSPC;
	}
	*out = memcg;
	return 0;
}

int rcl_memcg_init(struct rcl *m)
{
	int err;

	m->memcg_by_id = calloc(RCL_MAX_MEMCG, sizeof(struct memcg *));
	if (!m->memcg_by_id)
		return -ENOMEM;
	spin_init(&m->memcg_lock, m->threaded);
	m->next_memcg_id = 1;
	err = rcl_memcg_create(m, NULL, "/", &m->root_memcg);
	return err;
}

void rcl_memcg_exit(struct rcl *m)
{
	for (u32 id = 0; m->memcg_by_id && id < RCL_MAX_MEMCG; id++)
		if (m->memcg_by_id[id])
			free_group(m, m->memcg_by_id[id]);
	free(m->memcg_by_id);
	m->memcg_by_id = NULL;
	m->root_memcg = NULL;
}

s64 rcl_memcg_nr_swap_pages(struct rcl *m, struct memcg *memcg)
{
	(void)memcg; /* memory.swap.max comes later */
	return (s64)rcl_nr_swap_pages(m);
}

bool rcl_memcg_swap_full(struct rcl *m, struct folio *f)
{
	(void)f;
	return rcl_vm_swap_full(m);
}

/* Counters of events; nobody decides anything by them. */
static void count_one(struct memcg *memcg, u64 *what)
{
	if (!rcl_is_threaded(memcg->m))
		++*what;
	else
		__atomic_fetch_add(what, 1, __ATOMIC_RELAXED);
}

/* ---- the counters ------------------------------------------------------------------------ */

static void uncharge_counters(struct memcg *memcg, s64 nr)
{
	for (; !is_root(memcg); memcg = memcg->parent) {
		s64 left = shared_add(&memcg->usage, -nr, memcg->m->threaded);

		RCL_ASSERT(left >= 0);
		(void)left;
	}
}

/* Two at once may leave the smaller of their values: good enough for a mark to look at. */
static void raise_watermark(struct memcg *memcg, s64 usage)
{
	if (usage > shared_read(&memcg->watermark))
		__atomic_store_n(&memcg->watermark, usage, __ATOMIC_RELAXED);
}

static void charge_counters(struct memcg *memcg, s64 nr)
{
	for (; !is_root(memcg); memcg = memcg->parent) {
		raise_watermark(memcg, shared_add(&memcg->usage, nr, memcg->m->threaded));
	}
}

static u64 max_of(const struct memcg *memcg)
{
	return __atomic_load_n(&memcg->max, __ATOMIC_RELAXED);
}

/* Charge nr pages all the way up, or nothing: then returns the group that had no room. */
static inline struct memcg *try_counters(struct memcg *memcg, s64 nr)
{
	bool threaded = memcg->m->threaded;

	for (struct memcg *pos = memcg; !is_root(pos); pos = pos->parent) {
		s64 now = shared_add(&pos->usage, nr, threaded);

		if (unlikely((u64)now > max_of(pos))) {
			count_one(pos, &pos->failcnt);
			shared_add(&pos->usage, -nr, threaded);
			for (; memcg != pos; memcg = memcg->parent)
				shared_add(&memcg->usage, -nr, threaded);
			return pos;
		}
		raise_watermark(pos, now);
	}
	return NULL;
}

/* Room left below the group's own limit. */
static u64 margin(struct memcg *memcg)
{
	u64 usage = (u64)shared_read(&memcg->usage), max = max_of(memcg);

	return usage < max ? max - usage : 0;
}

u64 rcl_memcg_room(struct rcl *m)
{
	u64 room = UINT64_MAX;

	for (struct memcg *memcg = rcl_current_memcg(m); memcg; memcg = memcg->parent)
		room = min(room, margin(memcg));
	return room;
}

/* ---- the per-CPU stock ------------------------------------------------------------------- */

static bool consume_stock(struct rcl *m, struct memcg *memcg, u32 nr)
{
	struct cpu *cpu = cpu_lock(m, rcl_this_cpu(m));
	struct memcg_stock *s = &cpu->stock;
	bool enough = s->cached == memcg && s->nr_pages >= nr;

	if (enough)
		s->nr_pages -= nr;
	cpu_unlock(m, cpu);
	return enough;
}

static void drain_pages(struct memcg_stock *s)
{
	if (s->cached && s->nr_pages)
		uncharge_counters(s->cached, s->nr_pages);
	s->nr_pages = 0;
	s->cached = NULL;
}

/* The stock's CPU is locked. */
static void stock_pages(struct memcg_stock *s, struct memcg *memcg, u32 nr)
{
	if (s->cached != memcg) {
		drain_pages(s);
		s->cached = memcg;
	}
	s->nr_pages += nr;
	if (s->nr_pages > MEMCG_CHARGE_BATCH)
		drain_pages(s);
}

static void refill_stock(struct rcl *m, struct memcg *memcg, u32 nr)
{
	struct cpu *cpu = cpu_lock(m, rcl_this_cpu(m));

	stock_pages(&cpu->stock, memcg, nr);
	cpu_unlock(m, cpu);
}

static void drain_bytes(struct rcl *m, struct memcg_stock *s)
{
	struct memcg *memcg = s->cached_objs;
	u32 pages;

	if (!memcg)
		return;
	pages = s->nr_bytes >> PAGE_SHIFT;
	if (pages) {
		shared_add(&memcg->kernel_pages, -(s64)pages, m->threaded);
		stock_pages(s, memcg, pages);
	}
	/* The rest of the page stays charged; whoever stocks this group next takes it over. */
	shared_add(&memcg->nr_charged_bytes, s->nr_bytes & (PAGE_SIZE - 1), m->threaded);
	s->nr_bytes = 0;
	s->cached_objs = NULL;
}

void rcl_drain_stock(struct rcl *m, struct memcg_stock *s)
{
	struct cpu *cpu = cpu_lock(m, container_of(s, struct cpu, stock));

	drain_bytes(m, s);
	drain_pages(s);
	cpu_unlock(m, cpu);
}

/* Every CPU gives back what it has ahead for root's subtree. */
static void drain_all_stocks(struct rcl *m, const struct memcg *root)
{
	for (u32 i = 0; i < m->nr_cpus; i++) {
		struct cpu *cpu = cpu_lock(m, &m->cpus[i]);
		struct memcg_stock *s = &cpu->stock;
		bool drain = (s->nr_pages && rcl_memcg_is_below(s->cached, root)) ||
			     rcl_memcg_is_below(s->cached_objs, root);

		cpu_unlock(m, cpu);
		if (drain)
			rcl_drain_stock(m, s);
	}
}

int rcl_memcg_destroy(struct rcl *m, struct memcg *memcg)
{
	s64 pages;

	if (is_root(memcg))
		return -EINVAL;
	rcl_lru_add_drain_all(m);
	drain_all_stocks(m, memcg);
	/* Bytes that came back on different CPUs may add up to pages only now. */
	pages = memcg->nr_charged_bytes >> PAGE_SHIFT;
	memcg->nr_charged_bytes -= pages << PAGE_SHIFT;
	memcg->kernel_pages -= pages;
	uncharge_counters(memcg, pages);
	if (!list_empty(&memcg->children) || memcg->usage)
		return -EBUSY;
	rcl_shrinkers_memcg_offline(m, memcg);
	rcl_writeback_memcg_offline(m, memcg);
	spin_lock(&m->memcg_lock);
	memcg->online = false;
	list_del_init(&memcg->sibling);
	spin_unlock(&m->memcg_lock);
	free_group(m, memcg);
	return 0;
}

/*
 * With threads, walks go on all the time. So a group that nobody needs any more stays in the tree,
 * charged with what it still holds, and is taken into use again when that has gone.
 */
void rcl_memcg_offline(struct rcl *m, struct memcg *memcg)
{
	RCL_ASSERT(!is_root(memcg));
	__atomic_store_n(&memcg->online, false, __ATOMIC_RELAXED);
	__atomic_store_n(&memcg->max, MEMCG_MAX, __ATOMIC_RELAXED);
	rcl_lru_add_drain_all(m);
	drain_all_stocks(m, memcg);
	rcl_writeback_reparent(m, memcg);
}

/* What happened in a group happened below its parent. */
static void hand_up_counters(struct memcg *memcg, struct memcg *parent)
{
	struct rcl *m = memcg->m;

	for (int i = 0; i < NR_VM_EVENT_ITEMS; i++) {
		s64 n = shared_read(&memcg->events[i]);

		shared_add(&parent->events[i], n, m->threaded);
		shared_add(&memcg->events[i], -n, m->threaded);
	}
	for (u32 nid = 0; nid < m->nr_nodes; nid++) {
		for (int i = 0; i < NR_NODE_STAT_ITEMS; i++) {
			s64 n = shared_read(&memcg->lruvecs[nid]->stat[i]);

			shared_add(&parent->lruvecs[nid]->stat[i], n, m->threaded);
			shared_add(&memcg->lruvecs[nid]->stat[i], -n, m->threaded);
		}
	}
}

int rcl_memcg_revive(struct rcl *m, struct memcg *memcg, const char *name)
{
	s64 bytes;

	if (shared_read(&memcg->usage) > (s64)(m->nr_cpus * MEMCG_CHARGE_BATCH))
		return -EBUSY;
	rcl_lru_add_drain_all(m);
	drain_all_stocks(m, memcg);
	bytes = shared_read(&memcg->nr_charged_bytes) & ~(s64)(PAGE_SIZE - 1);
	shared_add(&memcg->nr_charged_bytes, -bytes, m->threaded);
	shared_add(&memcg->kernel_pages, -(bytes >> PAGE_SHIFT), m->threaded);
	uncharge_counters(memcg, bytes >> PAGE_SHIFT);
	if (shared_read(&memcg->usage))
		return -EBUSY;
	for_each_memcg (pos, memcg)
		hand_up_counters(pos, memcg->parent);
	__atomic_store_n(&memcg->watermark, 0, __ATOMIC_RELAXED);
	memcg->failcnt = memcg->oom_events = memcg->oom_kills = memcg->max_events = 0;
	rcl_psi_reset(&memcg->psi);
	spin_lock(&m->memcg_lock); /* for who shows groups by name */
	snprintf(memcg->name, sizeof(memcg->name), "%s", name);
	__atomic_store_n(&memcg->online, true, __ATOMIC_RELAXED);
	spin_unlock(&m->memcg_lock);
	return 0;
}

/* ---- charging ---------------------------------------------------------------------------- */

static bool memcg_oom(struct rcl *m, struct memcg *memcg, gfp_t gfp, u32 nr)
{
	struct oom_control oc = {.memcg = memcg, .gfp = gfp};

	while (1u << oc.order < nr)
		oc.order++;
	/* Nobody dies for a large block: its user can do without. */
	if (oc.order > PAGE_ALLOC_COSTLY_ORDER)
		return false;
	count_one(memcg, &memcg->oom_events);
	if (!m->tun.memcg_oom)
		return false;
	return rcl_out_of_memory(m, &oc);
}

#define WRITEBACK_POLL_NS (RCL_NSEC_PER_SEC / 4000)
#define WRITEBACK_LOOK_NS (RCL_NSEC_PER_SEC / 50)
#define WRITEBACK_WAIT_NS (2 * RCL_NSEC_PER_SEC)

static s64 pages_in_state(struct rcl *m, struct memcg *top, enum node_stat_item item)
{
	s64 nr = 0;

	for_each_memcg (pos, top)
		for (u32 n = 0; n < m->nr_nodes; n++)
			nr += shared_read(&pos->lruvecs[n]->stat[item]);
	return nr;
}

/* Is what there is to wait for as it was when so many pages were being written? */
static bool still_writing(struct rcl *m, struct memcg *top, s64 before)
{
	s64 now = pages_in_state(m, top, NR_WRITEBACK);

	if (before > 0)
		return now > max(before - (s64)SWAP_CLUSTER_MAX, (s64)0);
	return now <= 0 && pages_in_state(m, top, NR_FILE_DIRTY) > 0;
}

/*
 * Reclaim found nothing to free. In a small group everything may be on its way to the disk, and a
 * real processor is through with all retries before the first write has ended; or before it has
 * begun, with dirty pages of files, which the flusher alone writes, when it comes to them and has a
 * CPU. True: there was such, and it has been waited for some of it to end (or to begin), or for
 * long enough to look again. (Looking for nothing does harm: every page that is being written is
 * activated for it, and the CPU may be the one that has to end the writes.) *since: when this
 * began; 0: now.
 */
static bool wait_for_writeback(struct rcl *m, struct memcg *over, u64 *since)
{
	u32 nobody_wakes = 0;
	s64 writing;
	u64 begun;

	if (likely(!m->charges_wait))
		return false;
	writing = pages_in_state(m, over, NR_WRITEBACK);
	if (writing <= 0 && !rcl_current(m)->met_dirty)
		return false;
	begun = rcl_now(m);
	if (!*since)
		*since = begun;
	if (begun - *since > WRITEBACK_WAIT_NS)
		return false;
	if (writing <= 0)
		rcl_wakeup_flusher_threads(m);
	do
		rcl_wait_on(m, &nobody_wakes, 0, WRITEBACK_POLL_NS, true);
	while (still_writing(m, over, writing) && margin(over) < SWAP_CLUSTER_MAX &&
	       rcl_now(m) - begun < WRITEBACK_LOOK_NS);
	return true;
}

/* `over` has no room for nr pages: make some, or do without. */
static __attribute__((noinline)) int charge_over_limit(struct rcl *m, struct memcg *memcg,
						       gfp_t gfp, u32 nr, struct memcg *over)
{
	int retries = MAX_RECLAIM_RETRIES;
	bool drained = false, passed_oom = false, told = false;
	struct task *t = rcl_current(m);
	u64 since = 0;

	for (;;) {
		bool stall, writing;
		u64 freed;

		/* A reclaimer must not wait for reclaim: it frees more than it takes. */
		if (unlikely(t->flags & PF_MEMALLOC))
			break;
		if (!(gfp & __GFP_DIRECT_RECLAIM))
			goto nomem;

		count_one(over, &over->max_events);
		told = true;
		stall = rcl_psi_memstall_enter(m);
		freed = rcl_try_to_free_mem_cgroup_pages(m, over, nr, gfp, MEMCG_RECLAIM_MAY_SWAP);
		writing = margin(over) < nr && !freed && drained &&
			  wait_for_writeback(m, over, &since);
		rcl_psi_memstall_leave(m, stall);

		if (margin(over) >= nr || writing)
			goto again;
		if (freed)
			since = 0;
		if (!drained) {
			drain_all_stocks(m, over);
			drained = true;
			if (t->futile_rounds < MAX_RECLAIM_RETRIES || margin(over) >= nr)
				goto again;
		}
		if (gfp & __GFP_NORETRY || t->flags & PF_CHARGE_OVER)
			goto nomem;
		/* Somebody else took what was freed; small charges are worth trying again. */
		if (freed && nr <= 1u << PAGE_ALLOC_COSTLY_ORDER)
			goto again;
		retries -= 1 + (int)t->futile_rounds;
		if (retries >= 0)
			goto again;
		if (gfp & __GFP_RETRY_MAYFAIL)
			goto nomem;
		if (passed_oom && fatal_signal_pending(t))
			goto nomem;
		if (memcg_oom(m, over, gfp, nr)) {
			passed_oom = true;
			retries = MAX_RECLAIM_RETRIES;
			goto again;
		}
	nomem:
		if (!(gfp & (__GFP_NOFAIL | __GFP_HIGH)) && !(told && t->flags & PF_CHARGE_OVER))
			return -ENOMEM;
		break;
	again:
		if (consume_stock(m, memcg, nr))
			return 0;
		over = try_counters(memcg, nr);
		if (!over)
			return 0;
	}
	if (!told)
		count_one(over, &over->max_events);
	charge_counters(memcg, nr);
	return 0;
}

/*
 * A group at its limit has room for single pages, as reclaim frees them, but not for a batch: there
 * the counter is looked at before it is raised in vain.
 */
static inline int try_charge(struct rcl *m, struct memcg *memcg, gfp_t gfp, u32 nr)
{
	struct memcg *over;

	if (is_root(memcg) || consume_stock(m, memcg, nr))
		return 0;
	if (nr < MEMCG_CHARGE_BATCH) {
		if ((u64)shared_read(&memcg->usage) + MEMCG_CHARGE_BATCH > max_of(memcg)) {
			count_one(memcg, &memcg->failcnt);
		} else if (!try_counters(memcg, MEMCG_CHARGE_BATCH)) {
			refill_stock(m, memcg, MEMCG_CHARGE_BATCH - nr);
			return 0;
		}
	}
	over = try_counters(memcg, nr);
	return likely(!over) ? 0 : charge_over_limit(m, memcg, gfp, nr, over);
}

int rcl_memcg_charge(struct rcl *m, struct folio *f, struct memcg *memcg, gfp_t gfp)
{
	int err;

	RCL_DEBUG_ASSERT(!f->memcg);
	rcl_work(m, WORK_ALLOC);
	if (!memcg)
		memcg = rcl_current_memcg(m);
	err = try_charge(m, memcg, gfp, 1);
	if (!err)
		f->memcg = memcg;
	return err;
}

int rcl_memcg_swapin_charge(struct rcl *m, struct folio *f, u64 swap_entry, gfp_t gfp)
{
	struct memcg *memcg = rcl_swap_memcg(m, swap_entry);

	if (memcg && !hint_read(&memcg->online))
		memcg = NULL;
	return rcl_memcg_charge(m, f, memcg, gfp);
}

void rcl_memcg_uncharge(struct rcl *m, struct folio *f)
{
	(void)m;
	if (!f->memcg)
		return;
	if (!is_root(f->memcg))
		uncharge_counters(f->memcg, 1);
	f->memcg = NULL;
}

void rcl_memcg_uncharge_list(struct rcl *m, struct list_head *folios)
{
	struct memcg *memcg = NULL;
	struct folio *f;
	s64 nr = 0;

	(void)m;
	list_for_each (f, folios, lru) {
		if (f->memcg != memcg) {
			if (memcg && nr)
				uncharge_counters(memcg, nr);
			memcg = f->memcg;
			nr = 0;
		}
		nr += memcg != NULL;
		f->memcg = NULL;
	}
	if (memcg && nr)
		uncharge_counters(memcg, nr);
}

/* ---- kernel memory ----------------------------------------------------------------------- */

int rcl_memcg_charge_kmem(struct rcl *m, struct memcg *memcg, gfp_t gfp, u32 nr_pages)
{
	int err;

	if (!memcg || is_root(memcg))
		return 0;
	err = try_charge(m, memcg, gfp, nr_pages);
	if (!err)
		shared_add(&memcg->kernel_pages, nr_pages, m->threaded);
	return err;
}

void rcl_memcg_uncharge_kmem(struct rcl *m, struct memcg *memcg, u32 nr_pages)
{
	if (!memcg || is_root(memcg))
		return;
	shared_add(&memcg->kernel_pages, -(s64)nr_pages, m->threaded);
	refill_stock(m, memcg, nr_pages);
}

static s64 take_all(struct rcl *m, s64 *what)
{
	s64 v;

	if (rcl_is_threaded(m))
		return __atomic_exchange_n(what, 0, __ATOMIC_RELAXED);
	v = *what;
	*what = 0;
	return v;
}

/* Bytes come back to this CPU's stock; with give_back, whole pages leave it again. */
static void refill_bytes(struct rcl *m, struct memcg *memcg, u32 bytes, bool give_back)
{
	struct cpu *cpu = cpu_lock(m, rcl_this_cpu(m));
	struct memcg_stock *s = &cpu->stock;
	u32 pages = 0;

	if (s->cached_objs != memcg) {
		drain_bytes(m, s);
		s->cached_objs = memcg;
		s->nr_bytes = (u32)take_all(m, &memcg->nr_charged_bytes);
		give_back = true;
	}
	s->nr_bytes += bytes;
	if (give_back && s->nr_bytes > PAGE_SIZE) {
		pages = s->nr_bytes >> PAGE_SHIFT;
		s->nr_bytes &= PAGE_SIZE - 1;
	}
	cpu_unlock(m, cpu);
	if (pages)
		rcl_memcg_uncharge_kmem(m, memcg, pages);
}

static bool consume_bytes(struct rcl *m, struct memcg *memcg, u32 bytes)
{
	struct cpu *cpu = cpu_lock(m, rcl_this_cpu(m));
	struct memcg_stock *s = &cpu->stock;
	bool enough = s->cached_objs == memcg && s->nr_bytes >= bytes;

	if (enough)
		s->nr_bytes -= bytes;
	cpu_unlock(m, cpu);
	return enough;
}

int rcl_memcg_charge_bytes(struct rcl *m, struct memcg *memcg, gfp_t gfp, u32 bytes)
{
	u32 pages = bytes >> PAGE_SHIFT, rest = bytes & (PAGE_SIZE - 1);
	int err;

	if (!memcg || is_root(memcg))
		return 0;
	if (consume_bytes(m, memcg, bytes))
		return 0;
	err = rcl_memcg_charge_kmem(m, memcg, gfp, pages + (rest != 0));
	if (!err && rest)
		refill_bytes(m, memcg, PAGE_SIZE - rest, false);
	return err;
}

void rcl_memcg_uncharge_bytes(struct rcl *m, struct memcg *memcg, u32 bytes)
{
	if (memcg && !is_root(memcg))
		refill_bytes(m, memcg, bytes, true);
}

/* ---- limits ------------------------------------------------------------------------------ */

u64 rcl_memcg_reclaim(struct rcl *m, struct memcg *memcg, u64 bytes)
{
	u64 want = bytes >> PAGE_SHIFT, freed = 0;
	int retries = MAX_RECLAIM_RETRIES;

	while (freed < want) {
		u64 got;

		if (fatal_signal_pending(rcl_current(m)))
			break;
		/* The last tries look for folios that sit in other CPUs' batches. */
		if (!retries)
			rcl_lru_add_drain_all(m);
		got = rcl_try_to_free_mem_cgroup_pages(m, memcg, want - freed, GFP_KERNEL,
						       MEMCG_RECLAIM_MAY_SWAP |
							       MEMCG_RECLAIM_PROACTIVE);
		if (!got) {
			if (!retries)
				break;
			retries = max(retries - 1 - (int)rcl_current(m)->futile_rounds, 0);
		}
		freed += got;
	}
	return freed << PAGE_SHIFT;
}

int rcl_memcg_set_max(struct rcl *m, struct memcg *memcg, u64 bytes)
{
	u64 pages = bytes == MEMCG_MAX ? MEMCG_MAX : bytes >> PAGE_SHIFT;
	int retries = MAX_RECLAIM_RETRIES;
	bool drained = false;
	u64 since = 0;

	if (is_root(memcg))
		return -EINVAL;
	__atomic_store_n(&memcg->max, pages, __ATOMIC_RELAXED);
	for (;;) {
		u64 usage = (u64)shared_read(&memcg->usage);

		/* Somebody may set another limit meanwhile: then it is their work. */
		if (usage <= pages || max_of(memcg) != pages)
			return 0;
		if (fatal_signal_pending(rcl_current(m)))
			return -EINTR;
		if (!drained) {
			drain_all_stocks(m, memcg);
			drained = true;
			continue;
		}
		if (retries > 0) {
			if (rcl_try_to_free_mem_cgroup_pages(m, memcg, usage - pages, GFP_KERNEL,
							     MEMCG_RECLAIM_MAY_SWAP))
				since = 0;
			else if (!wait_for_writeback(m, memcg, &since))
				retries -= 1 + (int)rcl_current(m)->futile_rounds;
			continue;
		}
		if (!memcg_oom(m, memcg, GFP_KERNEL, 1))
			return 0; /* nothing left to kill: the limit stands, usage will follow */
	}
}

/* ---- checks ------------------------------------------------------------------------------ */

bool rcl_memcg_is_valid(struct rcl *m)
{
	for_each_memcg (pos, m->root_memcg) {
		struct memcg *child;
		s64 own = 0, below = 0;

		if (is_root(pos))
			continue;
		/* Every page on a list of this group is charged to it, and all that is below it. */
		for (u32 n = 0; n < m->nr_nodes; n++)
			for_each_lru (l)
				own += pos->lruvecs[n]->stat[l];
		own += pos->kernel_pages;
		list_for_each (child, &pos->children, sibling)
			below += child->usage;
		if (pos->usage < 0 || pos->kernel_pages < 0 || own + below > pos->usage)
			return false;
		if (pos->usage > pos->watermark)
			return false;
	}
	return true;
}
