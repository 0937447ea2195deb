/* SPDX-License-Identifier: MIT */
/*
 * The layout of address spaces, for those who change it: mm.c maps and unmaps, mm_copy.c moves and
 * forks. All with mm->lock held for writing, or of an address space that nobody else knows yet.
 */
#ifndef RCL_MM_MM_INTERNAL_H
#define RCL_MM_MM_INTERNAL_H

#include "mm/mm.h"

#define TABLE_LEVELS 4
#define TABLE_SHIFT  9
#define MM_PAGES     (1ull << (TABLE_SHIFT * TABLE_LEVELS))

/* All but the links, which belong to the lists and change with their neighbours; free() it. */
struct vma *rcl_vma_copy(const struct vma *vma);
/* Into the layout, where there is room for it, and into reverse mapping. -ENOMEM */
int rcl_vma_insert(struct mm *mm, struct vma *vma);
/* Make vma borders at start and end. -ENOMEM */
int rcl_vma_cut(struct mm *mm, u64 start, u64 end);
/* -EBUSY: vmas with pinned pages stay. -ENOMEM */
int rcl_munmap_locked(struct rcl *m, struct mm *mm, u64 start, u64 end);

#endif
