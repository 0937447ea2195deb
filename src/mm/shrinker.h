/* SPDX-License-Identifier: MIT */
/*
 * Shrinkers: callbacks through which object caches give memory back (algorithm: reference paper
 * 002; Linux 6.1 mm/vmscan.c do_shrink_slab).
 */
#ifndef RCL_MM_SHRINKER_H
#define RCL_MM_SHRINKER_H

#include "mm/gfp.h"
#include "mm/types.h"

#define SHRINK_STOP	(~0ul)
#define SHRINK_EMPTY	(~0ul - 1)
#define DEFAULT_SEEKS	2
#define SHRINK_BATCH	128

enum shrinker_flag {
	SHRINKER_NUMA_AWARE = 1,
	SHRINKER_MEMCG_AWARE = 2,
	SHRINKER_NONSLAB = 4
};
struct shrink_control {
	struct rcl *m;
	gfp_t gfp;
	u32 nid;
	struct memcg *memcg; /* NULL unless memcg aware */
	unsigned long nr_to_scan;
	unsigned long nr_scanned;
};
struct shrinker {
	unsigned long (*count_objects)(struct shrinker *, struct shrink_control *);
	unsigned long (*scan_objects)(struct shrinker *, struct shrink_control *);
	const char *name;
	long batch; /* 0 = SHRINK_BATCH */
	int seeks;  /* 0 = objects cost nothing to recreate */
	u32 flags;
	/* set by register */
	int id;
	struct list_head link;
	s64 *nr_deferred; /* per node (not memcg aware) */
};
int rcl_register_shrinker(struct rcl *m, struct shrinker *s);
void rcl_unregister_shrinker(struct rcl *m, struct shrinker *s);
/* Tell that a memcg-aware shrinker may have objects of this group on this node. */
void rcl_set_shrinker_bit(struct rcl *m, struct memcg *memcg, u32 nid, int id);
/* Shrink every cache for one (node, memcg) at a priority (12 .. 0): number of objects freed. */
unsigned long rcl_shrink_slab(struct rcl *m, gfp_t gfp, u32 nid, struct memcg *memcg, int priority);
int rcl_shrinkers_init(struct rcl *m);
void rcl_shrinkers_exit(struct rcl *m);
/* The arithmetic alone, pure: how many objects a pass should scan. For tests and readers. */
long rcl_shrink_slab_target(unsigned long freeable, long deferred, int priority, int seeks);

#endif
