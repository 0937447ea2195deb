/* SPDX-License-Identifier: MIT */
/*
 * Object caches: why small objects are cut from slabs, and who pays for them.
 *
 * A cache hands out objects of one size. It gets frames in blocks (slabs) and keeps a slab while
 * at least one of its objects is in use, and a few empty ones beyond that. How many slabs stay and
 * when an empty one goes back decides how much memory "nr_slab_*" shows, so the life of a slab
 * follows the reference exactly; the addresses of objects do not matter and do not.
 *
 *   state        where it is                       frozen  free objects
 *   current      one CPU allocates from it         yes     on the CPU's list; freed by others: own
 *   cpu partial  stack of one CPU                  yes     own list
 *   partial      list of its node                  no      own list, at least one
 *   full         nowhere                           no      none
 *   unused       no frames; stack of unused slots  -       -
 *
 *   full -> cpu partial       first object freed (the freeing CPU takes it)
 *   cpu partial -> partial    the stack is as long as cpu_partial_slabs: all of it moves at once
 *   any -> unused             empty, and its node already has min_partial partial slabs
 *   partial -> current        a CPU ran dry; it takes further ones onto its stack, half a stack
 *
 * A frozen slab stays with its CPU even when it is empty.
 *
 * Memory: frames have no content in the simulator, so objects live in a range of address space of
 * their own, one slot a slab: header, free links and owners' ids, objects. A slot keeps its layout
 * for ever. Hence memory of a freed object stays memory of an object of this type, which look-ups
 * without locks rely on, and its words are not touched until it is allocated again.
 *
 * Charging: an object of an accounted cache costs its group its size plus one pointer (where the
 * reference notes the owner). Bytes go through the group's byte stock before anything is allocated.
 * The node's counters see whole slabs, the group's share sees charged bytes.
 *
 * Locking: c->lock protects lists and slabs; the current slab's own free list and the stack belong
 * to the CPU (cpu->lock inside c->lock). Frames are allocated and freed with no lock held.
 */
#include "mm/slab.h"

#include <stdio.h>
#include <stdlib.h>

#include "mm/machine.h"

#define NIL		0xffffu /* end of a free list */
#define MIN_PARTIAL	5u
#define MAX_PARTIAL	10u
#define SLUB_MAX_ORDER	PAGE_ALLOC_COSTLY_ORDER
#define OBJCG_PTR_BYTES 8u

struct kmem_slab {
	struct folio *folio;	/* first frame; NULL while unused */
	struct kmem_slab *next; /* stack of a CPU, or of unused slots, or to be given back */
	struct list_head link;	/* partial list of the node */
	u32 stack_len;		/* of the stack this slab heads */
	u16 objects;
	u16 inuse; /* objects not on the slab's own free list */
	u16 freelist;
	bool frozen;
	u16 words[]; /* free links, then ids of the groups charged */
};

struct cache_cpu {
	struct kmem_slab *slab;	   /* current */
	struct kmem_slab *partial; /* stack */
	u16 freelist;		   /* of the current slab */
} __attribute__((aligned(64)));

struct cache_node {
	struct list_head partial;
	u64 nr_partial;
	u64 nr_slabs;
};

struct kmem_cache {
	struct rcl *m;
	const char *name;
	u32 size, mem_size, full_size, flags;
	u32 order, min_order;
	u16 objects, min_objects; /* in slabs of either order */
	u32 cpu_partial_slabs;
	u32 min_partial;
	enum node_stat_item item;
	/* slots */
	void *mem;
	size_t reserved;
	char *base; /* mem, aligned to a cache line */
	u32 slot_shift;
	u32 obj_offset; /* of the first object in a slot */
	u32 obj_recip;	/* 2^32 / mem_size, rounded up */
	u64 nr_slots;	/* there is room for */
	u64 slots_used; /* ever used: the rest was never touched */
	struct kmem_slab *unused;
	struct spinlock lock;
	struct cache_node *nodes;
	struct cache_cpu cpus[];
};

static struct kmem_slab *slot(const struct kmem_cache *c, u64 n)
{
	return (struct kmem_slab *)(c->base + (n << c->slot_shift));
}

static struct kmem_slab *obj_slab(const struct kmem_cache *c, const void *obj)
{
	return slot(c, (u64)((const char *)obj - c->base) >> c->slot_shift);
}

static u32 obj_index(const struct kmem_cache *c, const struct kmem_slab *s, const void *obj)
{
	u64 off = (u64)((const char *)obj - (const char *)s) - c->obj_offset;
	u32 idx = (u32)(off * c->obj_recip >> 32);

	RCL_DEBUG_ASSERT(idx < s->objects && off == (u64)idx * c->mem_size);
	return idx;
}

static void *obj_at(const struct kmem_cache *c, struct kmem_slab *s, u32 idx)
{
	return (char *)s + c->obj_offset + (size_t)idx * c->mem_size;
}

static u16 *obj_owner(const struct kmem_cache *c, struct kmem_slab *s, u32 idx)
{
	return &s->words[c->objects + idx];
}

static struct cache_node *slab_node(const struct kmem_cache *c, const struct kmem_slab *s)
{
	return c->nodes + folio_node_id(s->folio);
}

static inline struct cpu *lock_cpu(struct rcl *m)
{
	struct cpu *cpu = rcl_this_cpu(m);

	if (rcl_is_threaded(m))
		spin_lock(&cpu->lock);
	return cpu;
}

static inline void unlock_cpu(struct rcl *m, struct cpu *cpu)
{
	if (rcl_is_threaded(m))
		spin_unlock(&cpu->lock);
}

/* ---- geometry ------------------------------------------------------------------------------ */

static u32 fls32(u32 v)
{
	return v ? 32u - (u32)__builtin_clz(v) : 0;
}

static u32 order_for(u64 bytes)
{
	u32 order = 0;

	while ((PAGE_SIZE << order) < bytes)
		order++;
	return order;
}

/* The smallest order that holds min_objects and wastes at most 1/fraction; > max when none. */
static u32 fitting_order(u32 size, u32 min_objects, u32 max, u32 fraction)
{
	u32 order;

	for (order = order_for((u64)min_objects * size); order <= max; order++) {
		u64 bytes = PAGE_SIZE << order;

		if (bytes % size <= bytes / fraction)
			break;
	}
	return order;
}

/* More CPUs want more objects a slab; waste is tolerated before fewer objects are. */
static u32 calculate_order(u32 size, u32 nr_cpus)
{
	u32 most = (u32)((PAGE_SIZE << SLUB_MAX_ORDER) / size);
	u32 order;

	for (u32 n = min(4 * (fls32(nr_cpus) + 1), most); n > 1; n--)
		for (u32 fraction = 16; fraction >= 4; fraction /= 2) {
			order = fitting_order(size, n, SLUB_MAX_ORDER, fraction);
			if (order <= SLUB_MAX_ORDER)
				return order;
		}
	return fitting_order(size, 1, MAX_ORDER - 1, 1);
}

/* How many free objects a CPU's stack of partial slabs is meant to hold, slabs half full. */
static u32 cpu_partial_slabs(u32 size, u32 objects)
{
	u32 n = size >= PAGE_SIZE ? 6 : size >= 1024 ? 24 : size >= 256 ? 52 : 120;

	return (n * 2 + objects - 1) / objects;
}

struct kmem_cache *rcl_kmem_cache_create(struct rcl *m, const char *name, u32 size, u32 mem_size,
					 u32 flags, u64 max_objects)
{
	struct kmem_cache *c = calloc(1, sizeof(*c) + m->nr_cpus * sizeof(c->cpus[0]));
	u64 slot_bytes;

	RCL_ASSERT(size && mem_size && size <= PAGE_SIZE << (MAX_ORDER - 1));
	if (!c)
		return NULL;
	c->m = m;
	c->name = name;
	c->size = (size + 7) & ~7u;
	c->mem_size = (mem_size + 7) & ~7u;
	c->full_size = c->size + OBJCG_PTR_BYTES;
	c->flags = flags;
	c->order = calculate_order(c->size, m->nr_cpus);
	c->min_order = order_for(c->size);
	RCL_ASSERT((PAGE_SIZE << c->order) / c->size < NIL);
	c->objects = (u16)((PAGE_SIZE << c->order) / c->size);
	c->min_objects = (u16)((PAGE_SIZE << c->min_order) / c->size);
	c->cpu_partial_slabs = cpu_partial_slabs(c->size, c->objects);
	c->min_partial = max(MIN_PARTIAL, min(MAX_PARTIAL, (fls32(c->size) - 1) / 2));
	c->item = flags & SLAB_RECLAIM_ACCOUNT ? NR_SLAB_RECLAIMABLE_B : NR_SLAB_UNRECLAIMABLE_B;
	spin_init(&c->lock, m->threaded);

	c->obj_offset = (u32)(sizeof(struct kmem_slab) + 2 * c->objects * sizeof(u16) + 63) & ~63u;
	c->obj_recip = (u32)(((1ull << 32) + c->mem_size - 1) / c->mem_size);
	slot_bytes = c->obj_offset + (u64)c->objects * c->mem_size;
	c->slot_shift = 64 - (u32)__builtin_clzll(slot_bytes - 1);
	/* Each slab has a frame and an object at least. */
	c->nr_slots = min(max_objects, m->nr_frames >> c->min_order) + 1;
	c->reserved = (size_t)(c->nr_slots << c->slot_shift) + 64;
	c->mem = m->plat->ops->reserve(m->plat, c->reserved);
	c->base = (char *)(((uintptr_t)c->mem + 63) & ~63ul);
	c->nodes = calloc(m->nr_nodes, sizeof(*c->nodes));
	if (!c->mem || !c->nodes) {
		rcl_kmem_cache_destroy(m, c);
		return NULL;
	}
	for (u32 i = 0; i < m->nr_nodes; i++)
		list_init(&c->nodes[i].partial);
	for (u32 i = 0; i < m->nr_cpus; i++)
		c->cpus[i].freelist = NIL;
	return c;
}

/* ---- slabs --------------------------------------------------------------------------------- */

static struct kmem_slab *get_slot(struct kmem_cache *c)
{
	struct kmem_slab *s;

	spin_lock(&c->lock);
	s = c->unused;
	if (s)
		c->unused = s->next;
	else if (c->slots_used < c->nr_slots)
		s = slot(c, c->slots_used++);
	spin_unlock(&c->lock);
	return s;
}

static void put_slot(struct kmem_cache *c, struct kmem_slab *s)
{
	s->folio = NULL;
	spin_lock(&c->lock);
	s->next = c->unused;
	c->unused = s;
	spin_unlock(&c->lock);
}

/*
 * Frames for a slab. The preferred order is tried without reclaim and without the reserves; only
 * the smallest order that fits an object is worth an effort.
 */
static struct folio *alloc_frames(struct kmem_cache *c, gfp_t gfp)
{
	gfp_t first;
	struct folio *f;

	gfp &= GFP_RECLAIM_MASK | __GFP_HARDWALL | __GFP_THISNODE;
	if (c->flags & SLAB_RECLAIM_ACCOUNT)
		gfp |= __GFP_RECLAIMABLE;
	first = (gfp | __GFP_NOWARN | __GFP_NORETRY) & ~__GFP_NOFAIL;
	if ((first & __GFP_DIRECT_RECLAIM) && c->order > c->min_order)
		first = (first | __GFP_NOMEMALLOC) & ~__GFP_RECLAIM;
	f = rcl_alloc_pages(c->m, first, c->order);
	if (f)
		f->order = (u8)c->order;
	else if ((f = rcl_alloc_pages(c->m, gfp, c->min_order)))
		f->order = (u8)c->min_order;
	return f;
}

/* A slab with all objects free, on no list. May wait. */
static struct kmem_slab *new_slab(struct kmem_cache *c, gfp_t gfp)
{
	struct kmem_slab *s = get_slot(c);
	struct folio *f = s ? alloc_frames(c, gfp) : NULL;

	if (!f) {
		if (s)
			put_slot(c, s);
		return NULL;
	}
	folio_set(f, PG_slab);
	f->slab = s;
	s->folio = f;
	s->next = NULL;
	s->objects = f->order == c->order ? c->objects : c->min_objects;
	s->inuse = 0;
	s->frozen = false;
	s->freelist = 0;
	for (u16 i = 0; i < s->objects; i++) {
		s->words[i] = i + 1 < s->objects ? (u16)(i + 1) : NIL;
		*obj_owner(c, s, i) = 0;
	}
	mod_node_state(folio_node(c->m, f), c->item, (s64)(PAGE_SIZE << f->order));
	spin_lock(&c->lock);
	slab_node(c, s)->nr_slabs++;
	spin_unlock(&c->lock);
	return s;
}

/* Give a chain of empty slabs back. No lock held. */
static void discard_slabs(struct kmem_cache *c, struct kmem_slab *s)
{
	struct rcl *m = c->m;

	while (s) {
		struct kmem_slab *next = s->next;
		struct folio *f = s->folio;
		struct reclaim_state *rs = rcl_current(m)->reclaim_state;
		bool last;

		RCL_ASSERT(!s->inuse && !s->frozen);
		if (rs)
			rs->reclaimed_slab += 1u << f->order;
		mod_node_state(folio_node(m, f), c->item, -(s64)(PAGE_SIZE << f->order));
		folio_clear(f, PG_slab);
		f->slab = NULL;
		put_slot(c, s);
		last = folio_put_testzero(f);
		RCL_ASSERT(last);
		rcl_free_pages(m, f, f->order);
		s = next;
	}
}

static void add_partial(struct kmem_cache *c, struct kmem_slab *s, bool tail)
{
	struct cache_node *n = slab_node(c, s);

	RCL_DEBUG_ASSERT(!s->frozen && s->freelist != NIL);
	if (tail)
		list_add_tail(&s->link, &n->partial);
	else
		list_add(&s->link, &n->partial);
	n->nr_partial++;
}

static void remove_partial(struct kmem_cache *c, struct kmem_slab *s)
{
	list_del(&s->link);
	slab_node(c, s)->nr_partial--;
}

/* An empty slab is worth keeping only while its node has few to allocate from. */
static bool surplus(struct kmem_cache *c, struct kmem_slab *s)
{
	return !s->inuse && slab_node(c, s)->nr_partial >= c->min_partial;
}

static void push_discard(struct kmem_cache *c, struct kmem_slab *s, struct kmem_slab **discard)
{
	slab_node(c, s)->nr_slabs--;
	s->next = *discard;
	*discard = s;
}

/* A CPU lets go of its current slab; freelist: what was left of the CPU's list. */
static void deactivate_slab(struct kmem_cache *c, struct kmem_slab *s, u16 freelist,
			    struct kmem_slab **discard)
{
	bool tail = s->freelist != NIL;

	while (freelist != NIL) {
		u16 next = s->words[freelist];

		s->words[freelist] = s->freelist;
		s->freelist = freelist;
		s->inuse--;
		freelist = next;
	}
	s->frozen = false;
	if (surplus(c, s))
		push_discard(c, s, discard);
	else if (s->freelist != NIL)
		add_partial(c, s, tail);
}

/* Put a frozen slab on a CPU's stack; drain: if that is full, move the stack to the nodes. */
static void put_cpu_partial(struct kmem_cache *c, struct cache_cpu *cc, struct kmem_slab *s,
			    bool drain, struct kmem_slab **discard)
{
	struct kmem_slab *old = cc->partial;

	if (old && drain && old->stack_len >= c->cpu_partial_slabs) {
		while (old) {
			struct kmem_slab *next = old->next;

			old->frozen = false;
			if (surplus(c, old))
				push_discard(c, old, discard);
			else
				add_partial(c, old, true);
			old = next;
		}
	}
	s->frozen = true;
	s->stack_len = old ? old->stack_len + 1 : 1;
	s->next = old;
	cc->partial = s;
}

/* The slab's own free objects become the CPU's. */
static void load_freelist(struct cache_cpu *cc, struct kmem_slab *s)
{
	RCL_DEBUG_ASSERT(s->freelist != NIL);
	cc->slab = s;
	cc->freelist = s->freelist;
	s->freelist = NIL;
	s->inuse = s->objects;
	s->frozen = true;
}

/* Take partial slabs of one node: the first becomes current, some more go onto the stack. */
static bool get_partial_node(struct kmem_cache *c, struct cache_cpu *cc, struct cache_node *n)
{
	struct kmem_slab *s, *next, *none = NULL;
	u32 taken = 0;
	bool found = false;

	list_for_each_safe (s, next, &n->partial, link) {
		remove_partial(c, s);
		if (!found) {
			load_freelist(cc, s);
			found = true;
		} else {
			put_cpu_partial(c, cc, s, false, &none);
			taken++;
		}
		if (taken > c->cpu_partial_slabs / 2)
			break;
	}
	return found;
}

/* Other nodes give only what they have in plenty. */
static bool get_partial(struct kmem_cache *c, struct cache_cpu *cc, u32 nid)
{
	struct rcl *m = c->m;

	if (get_partial_node(c, cc, c->nodes + nid))
		return true;
	for (u32 i = 1; i < m->nr_nodes; i++) {
		struct cache_node *n = c->nodes + (nid + i) % m->nr_nodes;

		if (n->nr_partial > c->min_partial && get_partial_node(c, cc, n))
			return true;
	}
	return false;
}

/* Make the CPU's free list non-empty from slabs there are. */
static bool refill(struct kmem_cache *c, struct cache_cpu *cc, u32 nid)
{
	for (;;) {
		struct kmem_slab *s = cc->slab;

		if (s) {
			if (cc->freelist != NIL)
				return true;
			if (s->freelist != NIL) {
				load_freelist(cc, s);
				return true;
			}
			s->frozen = false; /* full */
			cc->slab = NULL;
		}
		s = cc->partial;
		if (!s)
			return get_partial(c, cc, nid);
		cc->partial = s->next;
		cc->slab = s;
	}
}

static void *take(struct kmem_cache *c, struct cache_cpu *cc)
{
	struct kmem_slab *s = cc->slab;
	u16 idx = cc->freelist;

	cc->freelist = s->words[idx];
	return obj_at(c, s, idx);
}

static __attribute__((noinline)) void *alloc_slow(struct rcl *m, struct kmem_cache *c, gfp_t gfp)
{
	u32 nid = rcl_current(m)->node;
	struct kmem_slab *s, *discard = NULL;
	struct cache_cpu *cc;
	struct cpu *cpu;
	void *obj = NULL;

	spin_lock(&c->lock);
	cpu = lock_cpu(m);
	cc = c->cpus + cpu->id;
	if (refill(c, cc, nid))
		obj = take(c, cc);
	unlock_cpu(m, cpu);
	spin_unlock(&c->lock);
	if (obj)
		return obj;

	s = new_slab(c, gfp);
	if (!s)
		return NULL;
	spin_lock(&c->lock);
	cpu = lock_cpu(m); /* after a wait: maybe another one, maybe refilled */
	cc = c->cpus + cpu->id;
	if (cc->slab)
		deactivate_slab(c, cc->slab, cc->freelist, &discard);
	load_freelist(cc, s);
	obj = take(c, cc);
	unlock_cpu(m, cpu);
	spin_unlock(&c->lock);
	discard_slabs(c, discard);
	return obj;
}

static void change_group_share(struct rcl *m, struct kmem_cache *c, struct kmem_slab *s,
			       struct memcg *memcg, s64 bytes)
{
	struct lruvec *lv = rcl_memcg_lruvec(m, memcg, folio_node(m, s->folio));

	shared_add(&lv->stat[c->item], bytes, m->threaded);
}

/* Word by word: a late reader without a lock may still look at what was here before. */
static void zero_object(void *obj, u32 bytes)
{
	for (u64 *w = obj; (char *)w < (char *)obj + bytes; w++)
		__atomic_store_n(w, 0, __ATOMIC_RELAXED);
}

void *rcl_kmem_cache_alloc(struct rcl *m, struct kmem_cache *c, gfp_t gfp, struct memcg *memcg)
{
	struct cache_cpu *cc;
	struct cpu *cpu;
	void *obj = NULL;

	if (memcg == m->root_memcg || !((c->flags & SLAB_ACCOUNT) || (gfp & __GFP_ACCOUNT)))
		memcg = NULL;
	if (memcg && rcl_memcg_charge_bytes(m, memcg, gfp, c->full_size))
		return NULL;

	cpu = lock_cpu(m);
	cc = c->cpus + cpu->id;
	if (likely(cc->freelist != NIL))
		obj = take(c, cc);
	unlock_cpu(m, cpu);
	if (unlikely(!obj)) {
		obj = alloc_slow(m, c, gfp);
		if (!obj) {
			if (memcg)
				rcl_memcg_uncharge_bytes(m, memcg, c->full_size);
			return NULL;
		}
	}
	if (memcg) {
		struct kmem_slab *s = obj_slab(c, obj);

		*obj_owner(c, s, obj_index(c, s, obj)) = memcg->id;
		change_group_share(m, c, s, memcg, c->full_size);
	}
	zero_object(obj, c->mem_size);
	return obj;
}

static __attribute__((noinline)) void free_slow(struct rcl *m, struct kmem_cache *c,
						struct kmem_slab *s, u16 idx)
{
	struct kmem_slab *discard = NULL;
	bool was_full;

	spin_lock(&c->lock);
	was_full = s->freelist == NIL;
	s->words[idx] = s->freelist;
	s->freelist = idx;
	RCL_ASSERT(s->inuse);
	s->inuse--;
	if (s->frozen) {
		; /* some CPU's: it stays there */
	} else if (was_full) {
		struct cpu *cpu = lock_cpu(m);

		put_cpu_partial(c, c->cpus + cpu->id, s, true, &discard);
		unlock_cpu(m, cpu);
	} else if (surplus(c, s)) {
		remove_partial(c, s);
		push_discard(c, s, &discard);
	}
	spin_unlock(&c->lock);
	discard_slabs(c, discard);
}

void rcl_kmem_cache_free(struct rcl *m, struct kmem_cache *c, void *obj)
{
	struct kmem_slab *s = obj_slab(c, obj);
	u16 idx = (u16)obj_index(c, s, obj), *owner = obj_owner(c, s, idx);
	struct cache_cpu *cc;
	struct cpu *cpu;

	RCL_DEBUG_ASSERT(s->folio);
	if (*owner) {
		struct memcg *memcg = rcl_memcg_from_id(m, *owner);

		*owner = 0;
		rcl_memcg_uncharge_bytes(m, memcg, c->full_size);
		change_group_share(m, c, s, memcg, -(s64)c->full_size);
	}
	cpu = lock_cpu(m);
	cc = c->cpus + cpu->id;
	if (likely(s == cc->slab)) {
		s->words[idx] = cc->freelist;
		cc->freelist = idx;
		unlock_cpu(m, cpu);
		return;
	}
	unlock_cpu(m, cpu);
	free_slow(m, c, s, idx);
}

struct memcg *rcl_slab_obj_memcg(struct rcl *m, struct kmem_cache *c, void *obj)
{
	struct kmem_slab *s = obj_slab(c, obj);
	u16 id = *obj_owner(c, s, obj_index(c, s, obj));

	return id ? rcl_memcg_from_id(m, id) : NULL;
}

u32 rcl_slab_obj_node(struct rcl *m, struct kmem_cache *c, void *obj)
{
	(void)m;
	return folio_node_id(obj_slab(c, obj)->folio);
}

void rcl_kmem_cache_destroy(struct rcl *m, struct kmem_cache *c)
{
	if (!c)
		return;
	for (u64 i = 0; i < c->slots_used; i++) {
		struct kmem_slab *s = slot(c, i);
		struct folio *f = s->folio;

		if (!f)
			continue;
		mod_node_state(folio_node(m, f), c->item, -(s64)(PAGE_SIZE << f->order));
		folio_clear(f, PG_slab);
		f->slab = NULL;
		if (folio_put_testzero(f))
			rcl_free_pages(m, f, f->order);
	}
	if (c->mem)
		m->plat->ops->release(m->plat, c->mem, c->reserved);
	free(c->nodes);
	free(c);
}

/* ---- checking ------------------------------------------------------------------------------ */

static bool bad(const struct kmem_cache *c, const char *what)
{
	fprintf(stderr, "reclaim: object cache %s: %s\n", c->name, what);
	return false;
}

/* Length of a free list, or -1 when it leaves the slab or runs in a circle. */
static int freelist_len(const struct kmem_slab *s, u16 idx)
{
	int n = 0;

	for (; idx != NIL; idx = s->words[idx])
		if (idx >= s->objects || ++n > s->objects)
			return -1;
	return n;
}

static bool slab_is_valid(struct kmem_cache *c, struct kmem_slab *s)
{
	int nr_free = freelist_len(s, s->freelist);
	struct folio *f = s->folio;

	if (!folio_test(f, PG_slab) || f->slab != s)
		return bad(c, "frames and slab disagree");
	if (s->objects != (f->order == c->order ? c->objects : c->min_objects))
		return bad(c, "number of objects does not fit the order");
	if (nr_free < 0 || s->inuse + nr_free != s->objects)
		return bad(c, "free list and inuse disagree");
	return true;
}

bool rcl_kmem_cache_is_valid(struct rcl *m, struct kmem_cache *c)
{
	u64 slabs = 0, frozen = 0, partial = 0, unused = 0;

	for (u64 i = 0; i < c->slots_used; i++) {
		struct kmem_slab *s = slot(c, i);

		if (!s->folio) {
			unused++;
			continue;
		}
		slabs++;
		if (!slab_is_valid(c, s))
			return false;
		if (s->frozen)
			frozen++;
		else if (s->freelist != NIL)
			partial++;
	}
	for (struct kmem_slab *s = c->unused; s; s = s->next)
		unused--;
	if (unused)
		return bad(c, "unused slots lost");
	for (u32 i = 0; i < m->nr_cpus; i++) {
		struct cache_cpu *cc = c->cpus + i;
		u32 len = cc->partial ? cc->partial->stack_len : 0;

		if (cc->slab) {
			if (!cc->slab->frozen || freelist_len(cc->slab, cc->freelist) < 0)
				return bad(c, "current slab broken");
			frozen--;
		} else if (cc->freelist != NIL) {
			return bad(c, "free objects without a current slab");
		}
		for (struct kmem_slab *s = cc->partial; s; s = s->next, len--) {
			if (!s->frozen || s->freelist == NIL || s->stack_len != len)
				return bad(c, "stack of partial slabs broken");
			frozen--;
		}
		if (len)
			return bad(c, "length of a stack wrong");
	}
	if (frozen)
		return bad(c, "frozen slabs belong to no CPU");
	for (u32 i = 0; i < m->nr_nodes; i++) {
		struct cache_node *n = c->nodes + i;
		struct kmem_slab *s;
		u64 len = 0;

		list_for_each (s, &n->partial, link) {
			if (s->frozen || s->freelist == NIL || slab_node(c, s) != n)
				return bad(c, "partial list broken");
			len++;
		}
		if (len != n->nr_partial)
			return bad(c, "nr_partial wrong");
		partial -= len;
		slabs -= n->nr_slabs;
	}
	if (partial)
		return bad(c, "a partly free slab is on no list");
	return slabs ? bad(c, "nr_slabs wrong") : true;
}
