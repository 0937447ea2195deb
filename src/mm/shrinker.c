/* SPDX-License-Identifier: MIT */
/*
 * Shrinkers: how object caches share the pressure on the page lists.
 *
 * Page lists are scanned a fraction 2^-priority at a time. A cache of objects is asked for the same
 * fraction, weighted by what an object costs to get back (its seeks; 2 is the cost of a page):
 *
 *   new work    delta    = (freeable >> priority) * 4 / seeks      seeks > 0
 *                        = freeable / 2                            seeks = 0, objects cost nothing
 *   this pass   target   = (deferred >> priority) + delta, at most 2 * freeable
 *   left over   deferred = what it was + delta - scanned, within 0 .. 2 * freeable
 *
 * The target is handed to the cache in batches. A rest smaller than a batch is not worth a call and
 * is deferred, so that many small requests add up to a batch; only when the target is at least the
 * whole cache (pressure is high, or the cache tiny) is the rest scanned too. A cache that cannot
 * work in the caller's context answers SHRINK_STOP and the whole rest is deferred: pressure that
 * comes from a context without filesystem access is delivered by the next one that has it. Deferred
 * work is itself taken in doses of 2^-priority, or a storm of such contexts would empty the cache
 * at one blow.
 *
 * Who is called: for the root group, every shrinker. For another group, the memcg-aware shrinkers
 * whose bit is set in the (group, node) map. The bit is set by whoever adds the first object of
 * that group, and cleared here when a shrinker counts SHRINK_EMPTY. An object may be added between
 * that count and the clearing, so after clearing the shrinker is asked once more, and if it is not
 * empty now the bit is set again: an adder either sees the bit cleared and sets it, or its object
 * is seen by the second count.
 *
 * Deferred counts belong to (shrinker, node), and for a memcg-aware shrinker to (shrinker, node,
 * group), the root group included. A shrinker that is not NUMA aware keeps them all on node 0.
 *
 * Locking: the gate. Passes enter as readers and never wait: when a writer holds or wants the gate
 * they give up (return 0, or 1 if in the middle with nothing freed, which tells reclaim to go on).
 * Writers wait until the passes that are in have left. Maps and counts are atomic words.
 */
#include "mm/shrinker.h"
#include "mm/machine.h"
#include "mm/trace.h"

#include <stdlib.h>

#define GATE_WRITER 0x80000000u

/* Of one (group, node). A: atomic */
struct memcg_info {
	u64 map;			   /* A: bit per id: may have objects */
	s64 nr_deferred[SHRINKER_MAX_IDS]; /* A */
};

struct shrinkers {
	u32 gate;				  /* A: passes inside; GATE_WRITER: changes */
	struct list_head list;			  /* gate: all, in order of registration */
	struct shrinker *by_id[SHRINKER_MAX_IDS]; /* gate */
	struct memcg_info *info;		  /* [group id * nodes + node]; untouched = zero */
	size_t info_bytes;
};

static bool gate_enter(struct shrinkers *sh)
{
	u32 v = __atomic_load_n(&sh->gate, __ATOMIC_RELAXED);

	do {
		if (v & GATE_WRITER)
			return false;
	} while (!__atomic_compare_exchange_n(&sh->gate, &v, v + 1, true, __ATOMIC_ACQUIRE,
					      __ATOMIC_RELAXED));
	return true;
}

static void gate_leave(struct rcl *m)
{
	if (__atomic_sub_fetch(&m->shrinkers->gate, 1, __ATOMIC_RELEASE) == GATE_WRITER)
		rcl_wake(m, &m->shrinkers->gate, UINT32_MAX);
}

static bool gate_is_contended(const struct shrinkers *sh)
{
	return __atomic_load_n(&sh->gate, __ATOMIC_RELAXED) & GATE_WRITER;
}

/* Become the writer, then wait for the passes to leave. */
static void gate_write_lock(struct rcl *m)
{
	u32 *gate = &m->shrinkers->gate;
	u32 v;

	while ((v = __atomic_fetch_or(gate, GATE_WRITER, __ATOMIC_ACQUIRE)) & GATE_WRITER)
		rcl_wait_on(m, gate, v, RCL_FOREVER, false);
	while ((v = __atomic_load_n(gate, __ATOMIC_ACQUIRE)) != GATE_WRITER)
		rcl_wait_on(m, gate, v, RCL_FOREVER, false);
}

static void gate_write_unlock(struct rcl *m)
{
	__atomic_and_fetch(&m->shrinkers->gate, ~GATE_WRITER, __ATOMIC_RELEASE);
	rcl_wake(m, &m->shrinkers->gate, UINT32_MAX);
}

static struct memcg_info *memcg_info(struct rcl *m, const struct memcg *memcg, u32 nid)
{
	return &m->shrinkers->info[(size_t)memcg->id * m->nr_nodes + nid];
}

static bool is_root(const struct memcg *memcg)
{
	return !memcg || !memcg->parent;
}

/* Where the work that a pass could not do is remembered. */
static s64 *deferred_count(struct shrinker *s, const struct shrink_control *sc)
{
	u32 nid = s->flags & SHRINKER_NUMA_AWARE ? sc->nid : 0;

	if (sc->memcg && s->flags & SHRINKER_MEMCG_AWARE)
		return &memcg_info(sc->m, sc->memcg, nid)->nr_deferred[s->id];
	return &s->nr_deferred[nid];
}

static long new_work(long freeable, int priority, int seeks)
{
	if (!seeks)
		return freeable / 2;
	return (long)(4ull * (unsigned long)(freeable >> priority) / (unsigned)seeks);
}

long rcl_shrink_slab_target(unsigned long freeable, long deferred, int priority, int seeks)
{
	long all = (long)freeable;

	return min((deferred >> priority) + new_work(all, priority, seeks), 2 * all);
}

/* One shrinker, one (node, group): objects freed, 0, or SHRINK_EMPTY. */
static unsigned long do_shrink(struct shrink_control *sc, struct shrinker *s, int priority)
{
	unsigned long count = s->count_objects(s, sc);
	long batch = s->batch ? s->batch : SHRINK_BATCH;
	long freeable = (long)count, scanned = 0, deferred, target, left;
	unsigned long freed = 0;
	s64 *where;

	if (count == 0 || count == SHRINK_EMPTY)
		return count;
	where = deferred_count(s, sc);
	/* Taken away while we work on it, lest a pass on another CPU do it twice. */
	deferred = (long)__atomic_exchange_n(where, 0, __ATOMIC_RELAXED);
	target = rcl_shrink_slab_target(count, deferred, priority, s->seeks);
	RCL_TRACE(mm_shrink_slab_start, s, sc->gfp, deferred, freeable, target, priority);
	while (target >= batch || target >= freeable) {
		unsigned long ret;

		sc->nr_to_scan = sc->nr_scanned = (unsigned long)min(batch, target);
		ret = s->scan_objects(s, sc);
		if (ret == SHRINK_STOP)
			break;
		freed += ret;
		count_vm_events(sc->m, SLABS_SCANNED, (s64)sc->nr_scanned);
		target -= (long)sc->nr_scanned;
		scanned += (long)sc->nr_scanned;
		rcl_poll(sc->m);
	}
	left = max(deferred + new_work(freeable, priority, s->seeks) - scanned, 0l);
	left = min(left, 2 * freeable);
	shared_add(where, left, sc->m->threaded);
	RCL_TRACE(mm_shrink_slab_end, s, freed, deferred, left, target);
	return freed;
}

static unsigned long shrink_memcg(struct shrink_control *sc, int priority)
{
	struct shrinkers *sh = sc->m->shrinkers;
	struct memcg_info *info = memcg_info(sc->m, sc->memcg, sc->nid);
	unsigned long freed = 0;
	u64 todo = __atomic_load_n(&info->map, __ATOMIC_RELAXED);

	for (; todo; todo &= todo - 1) {
		int id = __builtin_ctzll(todo);
		struct shrinker *s = sh->by_id[id];
		unsigned long ret;

		if (!s) { /* unregistered since its bit was set */
			__atomic_and_fetch(&info->map, ~(1ull << id), __ATOMIC_RELAXED);
			continue;
		}
		ret = do_shrink(sc, s, priority);
		if (ret == SHRINK_EMPTY) {
			__atomic_and_fetch(&info->map, ~(1ull << id), __ATOMIC_SEQ_CST);
			ret = do_shrink(sc, s, priority);
			if (ret == SHRINK_EMPTY)
				ret = 0;
			else
				rcl_set_shrinker_bit(sc->m, sc->memcg, sc->nid, id);
		}
		freed += ret;
		if (gate_is_contended(sh))
			return freed ? freed : 1;
	}
	return freed;
}

static unsigned long shrink_all(struct shrink_control *sc, int priority)
{
	struct shrinkers *sh = sc->m->shrinkers;
	unsigned long freed = 0;
	struct shrinker *s;

	list_for_each (s, &sh->list, link) {
		unsigned long ret = do_shrink(sc, s, priority);

		if (ret != SHRINK_EMPTY)
			freed += ret;
		if (gate_is_contended(sh))
			return freed ? freed : 1;
	}
	return freed;
}

unsigned long rcl_shrink_slab(struct rcl *m, gfp_t gfp, u32 nid, struct memcg *memcg, int priority)
{
	struct shrink_control sc = {.m = m, .gfp = gfp, .nid = nid, .memcg = memcg};
	unsigned long freed;

	RCL_DEBUG_ASSERT(priority >= 0 && priority <= 12 && nid < m->nr_nodes);
	if (!is_root(memcg)) {
		if (!hint_read(&memcg->online) ||
		    !__atomic_load_n(&memcg_info(m, memcg, nid)->map, __ATOMIC_RELAXED))
			return 0;
		if (!gate_enter(m->shrinkers))
			return 0;
		freed = shrink_memcg(&sc, priority);
		gate_leave(m);
		return freed;
	}
	freed = 0;
	if (gate_enter(m->shrinkers)) {
		freed = shrink_all(&sc, priority);
		gate_leave(m);
	}
	rcl_poll(m);
	return freed;
}

void rcl_set_shrinker_bit(struct rcl *m, struct memcg *memcg, u32 nid, int id)
{
	u64 *map, bit = 1ull << id;

	if (id < 0 || is_root(memcg))
		return;
	map = &memcg_info(m, memcg, nid)->map;
	if (!m->threaded)
		*map |= bit;
	else
		__atomic_or_fetch(map, bit, __ATOMIC_SEQ_CST);
}

void rcl_shrinkers_memcg_offline(struct rcl *m, struct memcg *memcg)
{
	if (is_root(memcg))
		return;
	gate_write_lock(m);
	for (u32 nid = 0; nid < m->nr_nodes; nid++) {
		struct memcg_info *info = memcg_info(m, memcg, nid);
		struct memcg_info *parent = memcg_info(m, memcg->parent, nid);

		for (int id = 0; id < SHRINKER_MAX_IDS; id++)
			parent->nr_deferred[id] += info->nr_deferred[id];
		memset(info, 0, sizeof(*info)); /* the id may be given to another group */
	}
	gate_write_unlock(m);
}

static int free_id(const struct shrinkers *sh)
{
	for (int id = 0; id < SHRINKER_MAX_IDS; id++)
		if (!sh->by_id[id])
			return id;
	return -ENOSPC;
}

int rcl_register_shrinker(struct rcl *m, struct shrinker *s)
{
	struct shrinkers *sh = m->shrinkers;
	int id = -1;

	s->nr_deferred =
		calloc(s->flags & SHRINKER_NUMA_AWARE ? m->nr_nodes : 1, sizeof(*s->nr_deferred));
	if (!s->nr_deferred)
		return -ENOMEM;
	gate_write_lock(m);
	if (s->flags & SHRINKER_MEMCG_AWARE) {
		id = free_id(sh);
		if (id < 0) {
			gate_write_unlock(m);
			free(s->nr_deferred);
			s->nr_deferred = NULL;
			return id;
		}
		sh->by_id[id] = s;
	}
	s->id = id;
	list_add_tail(&s->link, &sh->list);
	gate_write_unlock(m);
	return 0;
}

/* Forget what groups deferred for this id: the next owner must not inherit it. */
static void forget_id(struct rcl *m, int id)
{
	struct memcg *root = m->root_memcg;

	for_each_memcg (g, root) {
		for (u32 nid = 0; nid < m->nr_nodes; nid++) {
			memcg_info(m, g, nid)->nr_deferred[id] = 0;
			__atomic_and_fetch(&memcg_info(m, g, nid)->map, ~(1ull << id),
					   __ATOMIC_RELAXED);
		}
	}
}

void rcl_unregister_shrinker(struct rcl *m, struct shrinker *s)
{
	if (!s->nr_deferred)
		return;
	gate_write_lock(m);
	if (s->id >= 0) {
		m->shrinkers->by_id[s->id] = NULL;
		forget_id(m, s->id);
	}
	list_del_init(&s->link);
	gate_write_unlock(m);
	free(s->nr_deferred);
	s->nr_deferred = NULL;
}

int rcl_shrinkers_init(struct rcl *m)
{
	struct shrinkers *sh = calloc(1, sizeof(*sh));

	if (!sh)
		return -ENOMEM;
	list_init(&sh->list);
	sh->info_bytes = (size_t)(RCL_MAX_MEMCG + 1) * m->nr_nodes * sizeof(*sh->info);
	sh->info = m->plat->ops->reserve(m->plat, sh->info_bytes);
	if (!sh->info) {
		free(sh);
		return -ENOMEM;
	}
	m->shrinkers = sh;
	return 0;
}

void rcl_shrinkers_exit(struct rcl *m)
{
	struct shrinkers *sh = m->shrinkers;

	if (!sh)
		return;
	while (!list_empty(&sh->list)) {
		struct shrinker *s = list_first_entry(&sh->list, struct shrinker, link);

		list_del_init(&s->link);
		free(s->nr_deferred);
		s->nr_deferred = NULL;
	}
	m->plat->ops->release(m->plat, sh->info, sh->info_bytes);
	free(sh);
	m->shrinkers = NULL;
}
