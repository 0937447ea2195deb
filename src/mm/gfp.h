/* SPDX-License-Identifier: MIT */
/* Allocation flags: which zones, what the allocator may do to succeed, whom to charge. */
#ifndef RCL_MM_GFP_H
#define RCL_MM_GFP_H

#include "mm/types.h"

typedef u32 gfp_t;

#define __GFP_DMA	     0x1u
#define __GFP_DMA32	     0x2u
#define __GFP_HIGHMEM	     0x4u /* any zone; here: Normal and, with MOVABLE, Movable */
#define __GFP_MOVABLE	     0x8u
#define __GFP_RECLAIMABLE    0x10u
#define __GFP_HIGH	     0x20u
#define __GFP_IO	     0x40u
#define __GFP_FS	     0x80u
#define __GFP_ZERO	     0x100u
#define __GFP_ATOMIC	     0x200u
#define __GFP_DIRECT_RECLAIM 0x400u
#define __GFP_KSWAPD_RECLAIM 0x800u
#define __GFP_WRITE	     0x1000u /* will be dirtied: spread dirty pages over nodes */
#define __GFP_NOWARN	     0x2000u
#define __GFP_RETRY_MAYFAIL  0x4000u
#define __GFP_NOFAIL	     0x8000u
#define __GFP_NORETRY	     0x10000u
#define __GFP_MEMALLOC	     0x20000u
#define __GFP_NOMEMALLOC     0x40000u
#define __GFP_HARDWALL	     0x80000u
#define __GFP_THISNODE	     0x100000u
#define __GFP_ACCOUNT	     0x200000u
#define __GFP_RECLAIM	     (__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM)

#define GFP_ATOMIC	     (__GFP_HIGH | __GFP_ATOMIC | __GFP_KSWAPD_RECLAIM)
#define GFP_KERNEL	     (__GFP_RECLAIM | __GFP_IO | __GFP_FS)
#define GFP_KERNEL_ACCOUNT   (GFP_KERNEL | __GFP_ACCOUNT)
#define GFP_NOWAIT	     (__GFP_KSWAPD_RECLAIM)
#define GFP_NOIO	     (__GFP_RECLAIM)
#define GFP_NOFS	     (__GFP_RECLAIM | __GFP_IO)
#define GFP_USER	     (__GFP_RECLAIM | __GFP_IO | __GFP_FS | __GFP_HARDWALL)
#define GFP_HIGHUSER	     (GFP_USER | __GFP_HIGHMEM)
#define GFP_HIGHUSER_MOVABLE (GFP_HIGHUSER | __GFP_MOVABLE)
#define GFP_RECLAIM_MASK                                                                           \
	(__GFP_RECLAIM | __GFP_HIGH | __GFP_IO | __GFP_FS | __GFP_NOWARN | __GFP_RETRY_MAYFAIL |   \
	 __GFP_NOFAIL | __GFP_NORETRY | __GFP_MEMALLOC | __GFP_NOMEMALLOC | __GFP_ATOMIC)

#endif
