/* SPDX-License-Identifier: MIT */
/*
 * Object caches (algorithm: Linux 6.1 mm/slub.c, accounting of mm/slab.h): objects carved from
 * slabs, slabs made of frames, bytes charged to groups. The engine's own objects that the kernel
 * would charge (page cache tree nodes, buffer heads) come from here, so that their cost is seen.
 */
#ifndef RCL_MM_SLAB_H
#define RCL_MM_SLAB_H

#include "mm/gfp.h"
#include "mm/types.h"

enum slab_flag {
	SLAB_RECLAIM_ACCOUNT = 1, /* counts as reclaimable, allocated __GFP_RECLAIMABLE */
	SLAB_ACCOUNT = 2	  /* objects are charged to the allocating group */
};
/*
 * size: bytes an object occupies in the reference (decides objects per slab and the charge).
 * mem_size: bytes of memory the caller really needs per object (<= size in practice).
 * max_objects: bound for the reserved address space.
 */
struct kmem_cache *rcl_kmem_cache_create(struct rcl *m, const char *name, u32 size, u32 mem_size,
					 u32 flags, u64 max_objects);
void rcl_kmem_cache_destroy(struct rcl *m, struct kmem_cache *c);
/* Zeroed object, or NULL. Charges `memcg` (NULL or root: nobody) when the cache is accounted or
 * gfp has __GFP_ACCOUNT. */
void *rcl_kmem_cache_alloc(struct rcl *m, struct kmem_cache *c, gfp_t gfp, struct memcg *memcg);
void rcl_kmem_cache_free(struct rcl *m, struct kmem_cache *c, void *obj);
/* The group an object is charged to (NULL = none), and the node its slab is on. */
struct memcg *rcl_slab_obj_memcg(struct rcl *m, struct kmem_cache *c, void *obj);
u32 rcl_slab_obj_node(struct rcl *m, struct kmem_cache *c, void *obj);
bool rcl_kmem_cache_is_valid(struct rcl *m, struct kmem_cache *c);

#endif
