/* SPDX-License-Identifier: MIT */
/*
 * Memory cgroups: a tree of groups, what is charged to them, and the limit (algorithm: Linux 6.1
 * mm/memcontrol.c, cgroup v2 semantics). memory.low/min/high and soft limits come later: their
 * place is memcg_protected() in vmscan and the `high` check in try_charge.
 */
#ifndef RCL_MM_MEMCG_H
#define RCL_MM_MEMCG_H

#include "mm/gfp.h"
#include "mm/lru.h"
#include "mm/psi.h"

#define MEMCG_CHARGE_BATCH 64u
#define MEMCG_MAX	   UINT64_MAX

/* Field legend:  A atomic   T written by a limit change   c constant   g m->memcg_lock */
struct memcg {
	struct rcl *m;			    /* c */
	struct memcg *parent;		    /* c: NULL for the root group */
	struct list_head children, sibling; /* g */
	char name[32];			    /* c */
	u16 id;				    /* c: stored in shadow entries; 0 is never used */
	bool online;			    /* g */
	s64 usage;			    /* A: pages charged, here and below */
	s64 watermark;			    /* A: highest usage seen */
	u64 max;			    /* T: pages; MEMCG_MAX = none */
	u64 failcnt;			    /* A: charges that hit max */
	s64 kernel_pages;     /* A: pages of `usage` charged as kernel memory (this group only) */
	s64 nr_charged_bytes; /* A: rests of charged pages that CPUs' byte stocks gave back */
	s64 events[NR_VM_EVENT_ITEMS];	       /* A: this group only */
	u64 oom_events, oom_kills, max_events; /* A: here only */
	bool under_oom;			       /* an OOM kill is under way */
	struct psi psi;			       /* pressure stall times of this group and below */
	struct lruvec **lruvecs;	       /* c: one per node */
};

/* New group under parent; at most 65534 groups. Freed with the machine, or by destroy when empty.
 */
int rcl_memcg_create(struct rcl *m, struct memcg *parent, const char *name, struct memcg **out);
int rcl_memcg_destroy(struct rcl *m, struct memcg *memcg);
/*
 * Where threads run, instead of destroying: nobody is in it and no groups are below it that are
 * online; it stays in the tree with what it still holds. revive: that has gone, and it is a new
 * group under the same parent from now on; else -EBUSY.
 */
void rcl_memcg_offline(struct rcl *m, struct memcg *memcg);
int rcl_memcg_revive(struct rcl *m, struct memcg *memcg, const char *name);
/* Set memory.max (bytes, rounded down to pages); reclaims down to it now. 0 or -errno. */
int rcl_memcg_set_max(struct rcl *m, struct memcg *memcg, u64 bytes);
/* memory.reclaim: try to free this many bytes; returns bytes freed. */
u64 rcl_memcg_reclaim(struct rcl *m, struct memcg *memcg, u64 bytes);
struct memcg *rcl_memcg_from_id(struct rcl *m, u16 id);
/* Depth-first walk over root's subtree: pass NULL first; NULL at the end. */
struct memcg *rcl_memcg_next(struct memcg *root, struct memcg *prev);
#define for_each_memcg(pos, root)                                                                  \
	for (struct memcg *pos = (root); pos; pos = rcl_memcg_next(root, pos))

/* Is it root or below? (NULL is below nobody.) */
static inline bool rcl_memcg_is_below(const struct memcg *memcg, const struct memcg *root)
{
	while (memcg && memcg != root)
		memcg = memcg->parent;
	return memcg;
}

/* Charge one order-0 folio to a group (NULL = running task's). 0, -ENOMEM. May reclaim and wait. */
int rcl_memcg_charge(struct rcl *m, struct folio *f, struct memcg *memcg, gfp_t gfp);
/* Charge a folio being read in from swap to the group that owned the slot. */
int rcl_memcg_swapin_charge(struct rcl *m, struct folio *f, u64 swap_entry, gfp_t gfp);
/* Undo the charge of a folio about to be freed; sets f->memcg NULL. No-op when uncharged. */
void rcl_memcg_uncharge(struct rcl *m, struct folio *f);
void rcl_memcg_uncharge_list(struct rcl *m, struct list_head *folios);
/* Charge / uncharge whole pages of kernel memory (page tables, stacks): NULL memcg = no-op. */
int rcl_memcg_charge_kmem(struct rcl *m, struct memcg *memcg, gfp_t gfp, u32 nr_pages);
void rcl_memcg_uncharge_kmem(struct rcl *m, struct memcg *memcg, u32 nr_pages);
/*
 * Charge bytes of kernel objects through the per-CPU byte stock; a whole page is charged when the
 * stock runs out. Used by slab.c for objects of accounted caches.
 */
int rcl_memcg_charge_bytes(struct rcl *m, struct memcg *memcg, gfp_t gfp, u32 bytes);
void rcl_memcg_uncharge_bytes(struct rcl *m, struct memcg *memcg, u32 bytes);

/* Pages that the running task's group, and those above it, are below their limits. */
u64 rcl_memcg_room(struct rcl *m);
/* May this group (and its ancestors) still use swap? Pages. */
s64 rcl_memcg_nr_swap_pages(struct rcl *m, struct memcg *memcg);
bool rcl_memcg_swap_full(struct rcl *m, struct folio *f);

/* Per-CPU: pages and bytes charged ahead for one group; cpu->lock on the host. */
struct memcg_stock {
	struct memcg *cached;
	u32 nr_pages;
	struct memcg *cached_objs;
	u32 nr_bytes;
};
/* Give back what a CPU (s is its stock) has ahead. */
void rcl_drain_stock(struct rcl *m, struct memcg_stock *s);

int rcl_memcg_init(struct rcl *m);
void rcl_memcg_exit(struct rcl *m);
bool rcl_memcg_is_valid(struct rcl *m);

#endif
