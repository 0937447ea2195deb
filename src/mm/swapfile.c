/* SPDX-License-Identifier: MIT */
/*
 * Swap areas and the use counts of their slots (algorithm: Linux 6.1 mm/swapfile.c).
 *
 * An area is a device cut into 4 KiB slots; slot 0 holds its header and is never given out. The
 * life of a slot, told by its map word (references + claim bit SWAP_HAS_CACHE):
 *
 *   0                 free
 *   claim             in a slot cache, or a folio about to be unmapped is in the swap cache
 *   claim + n         in the swap cache and in n page-table entries
 *   n                 in n page-table entries only: the data is on the device alone
 *   claim (again)     nobody needs it; the cache may drop it, and at last the slot waits in a
 *                     CPU's return array
 *   0
 *
 * A slot dies when references and claim are both gone. The one who drops the last of them leaves
 * the word at `claim` and hands the slot to swap_slots.c, which calls rcl_swap_release_slots() at
 * once or later; until then nobody can find or take it.
 *
 * A page read back keeps its slot while it stays clean, so that it can be evicted again without a
 * write. That is only affordable while swap is plentiful: when more than half is in use
 * (rcl_vm_swap_full) users of the cache give slots up early, and the search for a slot takes them
 * from cached folios that nobody else refers to.
 *
 * Areas with a free slot stand in a list by priority. Each request goes to the first and moves it
 * behind the others of the same priority, which spreads requests (of up to 64 slots) evenly.
 *
 * The owner of a slot is the group its page was charged to when it was swapped out. It is kept by
 * id until the slot is freed, and is charged when the page is read in again, whoever reads it.
 *
 * Memory: 12 bytes a slot and 16 per 64 slots, reserved for the whole area but touched only where
 * slots are used.
 */
#include "mm/swap_internal.h"

u64 rcl_nr_swap_pages(struct rcl *m)
{
	s64 n = m->swap ? shared_read(&m->swap->nr_swap_pages) : 0;
	return n > 0 ? (u64)n : 0;
}

u64 rcl_total_swap_pages(struct rcl *m)
{
	return m->swap ? (u64)shared_read(&m->swap->total_swap_pages) : 0;
}

bool rcl_vm_swap_full(struct rcl *m)
{
	struct swap_state *s = m->swap;
	return shared_read(&s->nr_swap_pages) * 2 < shared_read(&s->total_swap_pages);
}

/* Areas that can give slots. */

/* Behind all areas of the same or a higher priority. */
static void avail_insert(struct swap_state *s, struct swap_area *a)
{
	struct swap_area *other;

	list_for_each (other, &s->avail, avail_link) {
		if (other->prio < a->prio)
			break;
	}
	list_add_tail(&a->avail_link, &other->avail_link);
}

static void avail_add(struct swap_area *a)
{
	struct swap_state *s = a->m->swap;

	spin_lock(&s->avail_lock);
	RCL_ASSERT(list_empty(&a->avail_link));
	avail_insert(s, a);
	spin_unlock(&s->avail_lock);
}

static void avail_del(struct swap_area *a)
{
	struct swap_state *s = a->m->swap;

	spin_lock(&s->avail_lock);
	list_del_init(&a->avail_link);
	spin_unlock(&s->avail_lock);
}

/* The first area not in the set `tried`, moved behind its equals; NULL if there is none. */
static struct swap_area *avail_next(struct swap_state *s, u32 tried)
{
	struct swap_area *a, *found = NULL;

	spin_lock(&s->avail_lock);
	list_for_each (a, &s->avail, avail_link) {
		if (!(tried & BIT(a->type))) {
			found = a;
			break;
		}
	}
	if (found) {
		list_del(&found->avail_link);
		avail_insert(s, found);
	}
	spin_unlock(&s->avail_lock);
	return found;
}

static u32 get_free_slots(struct rcl *m, u32 goal, swp_entry_t *out)
{
	struct swap_area *a;
	u32 n = 0, tried = 0;

	while (!n && (a = avail_next(m->swap, tried))) {
		tried |= BIT(a->type);
		spin_lock(&a->lock);
		if (a->highest_bit)
			n = rcl_swap_scan(a, goal, out);
		spin_unlock(&a->lock);
	}
	return n;
}

u32 rcl_swap_get_slots(struct rcl *m, u32 goal, swp_entry_t *out)
{
	struct swap_state *s = m->swap;
	s64 avail;
	u32 n;

	/* Reserve first, so that nobody else counts on the same slots; what is not found returns.
	 */
	spin_lock(&s->avail_lock);
	avail = shared_read(&s->nr_swap_pages);
	if (avail > 0) {
		goal = (u32)min((s64)min(goal, SWAP_SLOTS_CACHE_SIZE), avail);
		shared_add(&s->nr_swap_pages, -(s64)goal, m->threaded);
	}
	spin_unlock(&s->avail_lock);
	if (avail <= 0)
		return 0;
	n = get_free_slots(m, goal, out);
	while (unlikely(!n) && rcl_swap_use_held(m))
		n = get_free_slots(m, goal, out);
	if (n < goal)
		shared_add(&s->nr_swap_pages, goal - n, m->threaded);
	return n;
}

void rcl_swap_range_alloc(struct swap_area *a, u64 offset)
{
	if (offset == a->lowest_bit)
		a->lowest_bit++;
	if (offset == a->highest_bit)
		a->highest_bit--;
	if (++a->inuse == a->pages) {
		a->lowest_bit = a->max;
		a->highest_bit = 0;
		avail_del(a);
	}
}

static void range_free(struct swap_area *a, u64 offset)
{
	if (offset < a->lowest_bit)
		a->lowest_bit = offset;
	if (offset > a->highest_bit) {
		bool was_full = !a->highest_bit;

		a->highest_bit = offset;
		if (was_full)
			avail_add(a);
	}
	a->inuse--;
}

void rcl_swap_make_free(struct swap_area *a, u64 offset)
{
	swap_map_set(a, offset, 0);
	rcl_swap_cluster_dec(a, offset);
	range_free(a, offset);
}

void rcl_swap_release_slots(struct rcl *m, const swp_entry_t *slots, u32 nr)
{
	struct swap_area *locked = NULL;
	bool held = false;

	for (u32 i = 0; i < nr; i++) {
		struct swap_area *a = swap_area_of(m, slots[i]);
		u64 offset = swp_offset(slots[i]);

		if (a != locked) {
			if (locked)
				spin_unlock(&locked->lock);
			spin_lock(&a->lock);
			locked = a;
		}
		RCL_ASSERT(a->map[offset] == SWAP_HAS_CACHE);
		__atomic_store_n(a->owner + offset, 0, __ATOMIC_RELAXED);
		if (unlikely(a->held)) {
			rcl_swap_hold(a, offset);
			held = true;
		} else {
			rcl_swap_make_free(a, offset);
		}
		shared_add(&m->swap->nr_swap_pages, 1, m->threaded);
		rcl_swap_clear_shadow(a, offset);
	}
	if (locked)
		spin_unlock(&locked->lock);
	if (unlikely(held))
		rcl_swap_held_wake(m);
}

/* References and the cache's claim. */

/*
 * Drop a reference, or the claim. When nothing is left the word becomes a bare claim again, which
 * keeps the slot until it is freed; 0 is returned, and the caller has to free it. Else the word.
 */
static u16 drop(struct swap_area *a, u64 offset, bool claim)
{
	u16 word = a->map[offset];

	if (claim) {
		RCL_ASSERT(word & SWAP_HAS_CACHE);
		word &= (u16)~SWAP_HAS_CACHE;
	} else {
		RCL_ASSERT(swap_map_count(word));
		if (swap_map_count(word) < SWAP_MAP_MAX)
			word--;
	}
	swap_map_set(a, offset, word ? word : SWAP_HAS_CACHE);
	return word;
}

static u16 drop_and_free(struct rcl *m, swp_entry_t e, bool claim)
{
	struct swap_area *a = swap_area_of(m, e);
	u16 left;

	spin_lock(&a->lock);
	left = drop(a, swp_offset(e), claim);
	spin_unlock(&a->lock);
	if (!left)
		rcl_swap_slot_free(m, e);
	return left;
}

void rcl_swap_duplicate(struct rcl *m, swp_entry_t e)
{
	struct swap_area *a = swap_area_of(m, e);
	u64 offset = swp_offset(e);

	spin_lock(&a->lock);
	RCL_ASSERT(a->map[offset]);
	if (swap_map_count(a->map[offset]) < SWAP_MAP_MAX)
		swap_map_set(a, offset, a->map[offset] + 1);
	spin_unlock(&a->lock);
}

void rcl_swap_free(struct rcl *m, swp_entry_t e)
{
	drop_and_free(m, e, false);
}

int rcl_swap_cache_prepare(struct rcl *m, swp_entry_t e)
{
	struct swap_area *a = swap_area_of(m, e);
	u64 offset = swp_offset(e);
	int err = 0;

	spin_lock(&a->lock);
	if (a->map[offset] & SWAP_HAS_CACHE)
		err = -EEXIST;
	else if (!a->map[offset])
		err = -ENOENT;
	else
		swap_map_set(a, offset, a->map[offset] | SWAP_HAS_CACHE);
	spin_unlock(&a->lock);
	return err;
}

void rcl_swap_cache_release(struct rcl *m, swp_entry_t e)
{
	drop_and_free(m, e, true);
}

u32 rcl_swap_count(struct rcl *m, swp_entry_t e)
{
	struct swap_area *a = swap_area_of(m, e);
	return swap_map_count(__atomic_load_n(a->map + swp_offset(e), __ATOMIC_RELAXED));
}

bool rcl_folio_free_swap(struct rcl *m, struct folio *f)
{
	RCL_ASSERT(folio_test(f, PG_locked));
	if (!folio_test(f, PG_swapcache) || folio_test(f, PG_writeback))
		return false;
	if (rcl_swap_count(m, f->private_))
		return false;
	rcl_swap_cache_delete(m, f);
	/* The copy on the device is gone, so the content lives here alone. */
	folio_set(f, PG_dirty);
	return true;
}

bool rcl_swap_try_to_reclaim(struct rcl *m, swp_entry_t e, bool anyway)
{
	struct folio *f = rcl_swap_cache_lookup(m, e);
	bool freed = false;

	if (!f)
		return false;
	/* Callers may hold another folio's lock: never wait for this one. */
	if (folio_trylock(f)) {
		if (folio_test(f, PG_swapcache) && f->private_ == e &&
		    (anyway || !folio_mapped(f) || rcl_memcg_swap_full(m, f)))
			freed = rcl_folio_free_swap(m, f);
		folio_unlock(m, f);
	}
	folio_put(m, f);
	return freed;
}

void rcl_free_swap_and_cache(struct rcl *m, swp_entry_t e)
{
	if (drop_and_free(m, e, false) == SWAP_HAS_CACHE)
		rcl_swap_try_to_reclaim(m, e, false);
}

/* Owners. */

struct memcg *rcl_swap_memcg(struct rcl *m, swp_entry_t e)
{
	u16 id = __atomic_load_n(swap_area_of(m, e)->owner + swp_offset(e), __ATOMIC_RELAXED);
	return id ? rcl_memcg_from_id(m, id) : NULL;
}

/* Set-up and checks. */

static void area_destroy(struct swap_area *a)
{
	struct platform *p = a->m->plat;

	rcl_swap_tree_exit(a);
	rcl_swap_scan_exit(a);
	rcl_swap_held_exit(a);
	if (a->cache)
		p->ops->release(p, a->cache, a->max * sizeof(*a->cache));
	if (a->owner)
		p->ops->release(p, a->owner, a->max * sizeof(*a->owner));
	if (a->map)
		p->ops->release(p, a->map, a->max * sizeof(*a->map));
	p->ops->release(p, a, sizeof(*a));
}

int rcl_swapon(struct rcl *m, u16 dev, u64 pages, int prio, u32 flags)
{
	struct swap_state *s = m->swap;
	struct platform *p = m->plat;
	struct swap_area *a;
	u32 type = s->nr_areas;

	if (pages < 2 || pages > UINT32_MAX || (flags & ~(SWAP_SOLIDSTATE | SWAP_PUNCH)) ||
	    prio > INT16_MAX)
		return -EINVAL;
	if (type == MAX_SWAPFILES)
		return -EPERM;
	a = p->ops->reserve(p, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->m = m;
	a->type = type;
	a->dev = dev;
	a->flags = flags;
	a->max = pages;
	a->pages = pages - 1;
	spin_init(&a->lock, m->threaded);
	list_init(&a->avail_link);
	a->map = p->ops->reserve(p, a->max * sizeof(*a->map));
	a->owner = p->ops->reserve(p, a->max * sizeof(*a->owner));
	a->cache = p->ops->reserve(p, a->max * sizeof(*a->cache));
	if (!a->map || !a->owner || !a->cache || rcl_swap_tree_init(a) || rcl_swap_scan_init(a) ||
	    rcl_swap_held_init(a)) {
		area_destroy(a);
		return -ENOMEM;
	}
	a->map[0] = SWAP_MAP_BAD;

	spin_lock(&s->avail_lock);
	a->prio = prio < 0 ? --s->least_priority : prio;
	s->areas[type] = a;
	__atomic_store_n(&s->nr_areas, type + 1, __ATOMIC_RELEASE);
	avail_insert(s, a);
	if (!(flags & SWAP_SOLIDSTATE))
		__atomic_store_n(&s->nr_rotate_swap, s->nr_rotate_swap + 1, __ATOMIC_RELAXED);
	spin_unlock(&s->avail_lock);
	shared_add(&s->total_swap_pages, (s64)a->pages, m->threaded);
	shared_add(&s->nr_swap_pages, (s64)a->pages, m->threaded);
	return 0;
}

int rcl_swap_init(struct rcl *m)
{
	struct platform *p = m->plat;
	struct swap_state *s = p->ops->reserve(p, sizeof(*s));

	if (!s)
		return -ENOMEM;
	m->swap = s;
	s->least_priority = -1;
	spin_init(&s->avail_lock, m->threaded);
	list_init(&s->avail);
	s->readahead_hits = 4; /* the first window opens wide */
	if (rcl_swap_slots_init(m)) {
		p->ops->release(p, s, sizeof(*s));
		m->swap = NULL;
		return -ENOMEM;
	}
	return 0;
}

void rcl_swap_exit(struct rcl *m)
{
	struct platform *p = m->plat;
	struct swap_state *s = m->swap;

	if (!s)
		return;
	for (u32 i = 0; i < s->nr_areas; i++)
		area_destroy(s->areas[i]);
	rcl_swap_slots_exit(m);
	p->ops->release(p, s, sizeof(*s));
	m->swap = NULL;
}

/* Counts, bounds and the words of one area against each other. */
static bool area_is_valid(struct swap_area *a)
{
	u64 inuse = 0;

	if (a->map[0] != SWAP_MAP_BAD || a->cache[0])
		return false;
	for (u64 off = 1; off < a->max; off++) {
		void *word = a->cache[off];

		if (!a->map[off]) {
			if (off < a->lowest_bit || off > a->highest_bit || word || a->owner[off])
				return false;
			continue;
		}
		inuse++;
		if (swap_word_is_folio(word)) {
			struct folio *f = word;

			if (!(a->map[off] & SWAP_HAS_CACHE) || !folio_test(f, PG_swapcache) ||
			    f->private_ != swp_entry(a->type, off) || !folio_ref_count(f))
				return false;
		}
	}
	return inuse == a->inuse && (inuse == a->pages) == list_empty(&a->avail_link) &&
	       rcl_swap_clusters_valid(a) && rcl_swap_tree_valid(a) && rcl_swap_held_valid(a);
}

/* A slot in a slot cache: nobody's. */
static bool slot_is_idle(struct rcl *m, swp_entry_t e)
{
	struct swap_area *a = swap_area_of(m, e);
	u64 off = swp_offset(e);

	return a->map[off] == SWAP_HAS_CACHE && !swap_word_is_folio(a->cache[off]);
}

bool rcl_swap_is_valid(struct rcl *m)
{
	struct swap_state *s = m->swap;
	struct swap_area *a, *prev = NULL;
	u64 total = 0, free = 0;

	for (u32 i = 0; i < s->nr_areas; i++) {
		if (!area_is_valid(s->areas[i]))
			return false;
		total += s->areas[i]->pages;
		free += s->areas[i]->pages - s->areas[i]->inuse + s->areas[i]->nr_held;
	}
	list_for_each (a, &s->avail, avail_link) {
		if (prev && prev->prio < a->prio)
			return false;
		prev = a;
	}
	for (u32 cpu = 0; cpu < m->nr_cpus; cpu++) {
		struct swap_slots_cache *c = s->slots + cpu;

		if (c->cur + c->nr > SWAP_SLOTS_CACHE_SIZE || c->nr_ret > SWAP_SLOTS_CACHE_SIZE)
			return false;
		for (u32 i = 0; i < c->nr; i++)
			if (!slot_is_idle(m, c->slots[c->cur + i]))
				return false;
		for (u32 i = 0; i < c->nr_ret; i++)
			if (!slot_is_idle(m, c->slots_ret[i]))
				return false;
	}
	return total == (u64)s->total_swap_pages && free == (u64)s->nr_swap_pages;
}
