/* SPDX-License-Identifier: MIT */
/*
 * Shrinkers: callbacks through which object caches give memory back (algorithm: Linux 6.1
 * mm/vmscan.c do_shrink_slab).
 */
#ifndef RCL_MM_SHRINKER_H
#define RCL_MM_SHRINKER_H

#include "mm/gfp.h"
#include "mm/types.h"

#define SHRINK_STOP	 (~0ul)	    /* scan: no progress possible here, stop asking */
#define SHRINK_EMPTY	 (~0ul - 1) /* count: no objects at all (0: unknown or not worth it) */
#define DEFAULT_SEEKS	 2
#define SHRINK_BATCH	 128
#define SHRINKER_MAX_IDS 64 /* memcg-aware shrinkers in one machine */

enum shrinker_flag {
	SHRINKER_NUMA_AWARE = 1,
	SHRINKER_MEMCG_AWARE = 2,
	SHRINKER_NONSLAB = 4
};
struct shrink_control {
	struct rcl *m;
	gfp_t gfp;
	u32 nid;
	struct memcg *memcg;	  /* the group being shrunk (the root group: everything) */
	unsigned long nr_to_scan; /* asked of scan_objects */
	unsigned long nr_scanned; /* set to nr_to_scan; scan_objects may correct it */
};
/* Callbacks may wait; they must not register or unregister shrinkers. */
struct shrinker {
	unsigned long (*count_objects)(struct shrinker *, struct shrink_control *);
	unsigned long (*scan_objects)(struct shrinker *, struct shrink_control *);
	const char *name;
	long batch; /* 0 = SHRINK_BATCH */
	int seeks;  /* 0 = objects cost nothing to recreate */
	u32 flags;
	/* set by register */
	int id; /* of a memcg-aware shrinker, else -1 */
	struct list_head link;
	s64 *nr_deferred; /* A: per node; root group and shrinkers without groups */
};
/* 0, -ENOMEM, or -ENOSPC when all ids are in use. The struct stays the caller's. */
int rcl_register_shrinker(struct rcl *m, struct shrinker *s);
/* On return no callback of it runs or will run. No-op when it is not registered. */
void rcl_unregister_shrinker(struct rcl *m, struct shrinker *s);
/* Tell that a memcg-aware shrinker may have objects of this group on this node. */
void rcl_set_shrinker_bit(struct rcl *m, struct memcg *memcg, u32 nid, int id);
/* The group goes away: what was deferred for it becomes its parent's. */
void rcl_shrinkers_memcg_offline(struct rcl *m, struct memcg *memcg);
/* Shrink every cache for one (node, memcg) at a priority (12 .. 0): number of objects freed. */
unsigned long rcl_shrink_slab(struct rcl *m, gfp_t gfp, u32 nid, struct memcg *memcg, int priority);
int rcl_shrinkers_init(struct rcl *m);
void rcl_shrinkers_exit(struct rcl *m);
/* The arithmetic alone, pure: how many objects a pass should scan. For tests and readers. */
long rcl_shrink_slab_target(unsigned long freeable, long deferred, int priority, int seeks);

#endif
