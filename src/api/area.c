/* SPDX-License-Identifier: MIT */
/*
 * Areas: making, growing, closing them, and advice.
 *
 * An area's pages are reached through a directory, one pointer for each page table (512 pages),
 * filled in when a page of the table is pinned for the first time. A table stays where it is while
 * its area is open: the mapping never shrinks, so the engine has no reason to free one. Growing
 * past the directory's room puts a larger one in its place; the old one stays until the area is
 * closed, since pins take no lock and may be reading it. Together the old ones are smaller than the
 * one in use.
 *
 *   order of growing   room in directory and mapping, then area->pages
 *   order of reading   area->pages, then the directory
 *
 * Directories are wiped in a forked child, so that there every pin takes the slow way, which knows.
 */
#include "api/internal.h"

#include <stdlib.h>

#include "mm/pin.h"

#define FIRST_SLOTS (PAGE_SIZE / sizeof(struct page_table *))

struct old_dir {
	struct old_dir *next;
	struct page_table **dir;
	u64 slots;
};

static void *reserve(struct rcl_machine *machine, size_t bytes)
{
	return machine->m->plat->ops->reserve(machine->m->plat, bytes);
}

static void release(struct rcl_machine *machine, void *mem, size_t bytes)
{
	machine->m->plat->ops->release(machine->m->plat, mem, bytes);
}

static u64 slots_for(u64 pages)
{
	return (pages + PTRS_PER_TABLE - 1) / PTRS_PER_TABLE;
}

/* ---- room ---------------------------------------------------------------------------------- */

/* area->lock is held. */
static int extend_dir(struct rcl_area *area, u64 pages)
{
	u64 slots = max(area->dir_slots, (u64)FIRST_SLOTS);
	struct page_table **dir;
	struct old_dir *old;

	while (slots < slots_for(pages))
		slots *= 2;
	if (slots == area->dir_slots)
		return 0;
	old = malloc(sizeof(*old));
	dir = reserve(area->machine, slots * sizeof(*dir));
	if (!old || !dir) {
		free(old);
		if (dir)
			release(area->machine, dir, slots * sizeof(*dir));
		return -ENOMEM;
	}
	/* Entries are only set with the lock held; empty parts of the old one stay untouched. */
	for (u64 i = 0; i < slots_for(area->mapped); i++)
		if (area->dir[i])
			dir[i] = area->dir[i];
	*old = (struct old_dir){.next = area->old, .dir = area->dir, .slots = area->dir_slots};
	if (area->dir)
		area->old = old;
	else
		free(old);
	__atomic_store_n(&area->dir, dir, __ATOMIC_RELEASE);
	area->dir_slots = slots;
	return 0;
}

static u32 vma_flags(const struct rcl_area *area)
{
	bool write = !area->backing || area->flags & RCL_AREA_WRITE;

	return VM_READ | (write ? VM_WRITE : 0) | (area->flags & RCL_AREA_CACHE ? VM_DROPPABLE : 0);
}

int rcl_area_extend(struct rcl_area *area, u64 pages)
{
	struct rcl *m = area->machine->m;
	int err = 0;

	pthread_mutex_lock(&area->lock);
	if (pages > area->mapped) {
		err = extend_dir(area, pages);
		if (!err && area->mapped)
			err = rcl_mremap(m, area->mm, 0, area->mapped, 0, pages);
		else if (!err)
			err = rcl_mmap(m, area->mm, 0, pages, vma_flags(area),
				       area->backing ? &area->file : NULL, 0);
		if (!err && !area->mapped && area->order != RCL_MADV_NORMAL)
			err = rcl_madvise(m, area->mm, 0, pages, area->order);
		if (!err)
			__atomic_store_n(&area->mapped, pages, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&area->lock);
	return err;
}

void rcl_area_note_table(struct rcl_area *area, u64 page, pte_t *pte)
{
	struct page_table *t = (void *)((uintptr_t)pte & ~(PAGE_SIZE - 1));
	struct page_table **slot;

	slot = &__atomic_load_n(&area->dir, __ATOMIC_ACQUIRE)[page / PTRS_PER_TABLE];
	if (likely(__atomic_load_n(slot, __ATOMIC_RELAXED) == t))
		return;
	pthread_mutex_lock(&area->lock);
	__atomic_store_n(&area->dir[page / PTRS_PER_TABLE], t, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&area->lock);
}

bool rcl_area_is_pinned(struct rcl_area *area, u64 first, u64 nr)
{
	struct page_table **dir = __atomic_load_n(&area->dir, __ATOMIC_ACQUIRE);
	u64 end = min(first + nr, __atomic_load_n(&area->mapped, __ATOMIC_ACQUIRE));

	for (u64 page = first; page < end; page++) {
		struct page_table *t =
			__atomic_load_n(&dir[page / PTRS_PER_TABLE], __ATOMIC_ACQUIRE);

		if (!t)
			page |= PTRS_PER_TABLE - 1;
		else if (pte_pinned(pte_read(&t->e[page % PTRS_PER_TABLE])))
			return true;
	}
	return false;
}

int rcl_area_unmap(struct rcl_area *area, u64 first, u64 nr)
{
	u64 mapped = __atomic_load_n(&area->mapped, __ATOMIC_RELAXED);

	if (first >= mapped || !nr)
		return 0;
	return rcl_madvise(area->machine->m, area->mm, first, min(nr, mapped - first),
			   RCL_MADV_DONTNEED);
}

u64 rcl_area_room(const struct rcl_area *area)
{
	u64 pages = area->machine->m->totalram_pages;

	for (struct rcl_group *g = area->group; g; g = g->parent)
		pages = min(pages, __atomic_load_n(&g->memcg->max, __ATOMIC_RELAXED));
	return pages;
}

/* ---- making and closing -------------------------------------------------------------------- */

int rcl_area_create(struct rcl_machine *machine, struct rcl_group *group, u32 flags,
		    struct rcl_area **out)
{
	struct rcl_area *area = aligned_alloc(64, (sizeof(*area) + 63) / 64 * 64);
	int err;

	if (!area)
		return -ENOMEM;
	*area = (struct rcl_area){
		.machine = machine, .group = group, .flags = flags, .arena = machine->arena};
	pthread_mutex_init(&area->lock, NULL);
	list_init(&area->link);
	list_init(&area->backing_link);
	area->order = RCL_MADV_NORMAL;
	err = extend_dir(area, 0);
	if (!err)
		err = rcl_mm_create(machine->m, api_memcg(group), &area->mm);
	if (err) {
		rcl_area_free(area);
		return err;
	}
	if (flags & RCL_AREA_OPTIMISTIC) {
		rcl_mm_want_versions(area->mm);
		area->versions = area->mm->version_distance;
	}
	*out = area;
	return 0;
}

void rcl_area_free(struct rcl_area *area)
{
	struct rcl_machine *machine = area->machine;

	if (area->mm)
		rcl_mm_destroy(machine->m, area->mm);
	while (area->old) {
		struct old_dir *old = area->old;

		area->old = old->next;
		release(machine, old->dir, old->slots * sizeof(*old->dir));
		free(old);
	}
	if (area->dir)
		release(machine, area->dir, area->dir_slots * sizeof(*area->dir));
	pthread_mutex_destroy(&area->lock);
	free(area);
}

void rcl_area_link(struct rcl_area *area)
{
	struct rcl_machine *machine = area->machine;

	pthread_mutex_lock(&machine->lock);
	list_add_tail(&area->link, &machine->areas);
	rcl_group_use(area->group, 1);
	pthread_mutex_unlock(&machine->lock);
}

int rcl_area_anon(struct rcl_machine *machine, struct rcl_group *group, uint64_t pages,
		  uint32_t flags, struct rcl_area **out)
{
	struct rcl_area *area;
	struct task *t;
	int err;

	*out = NULL;
	if (!api_is_alive(machine))
		return -ECHILD;
	if (flags & ~(u32)(RCL_AREA_OPTIMISTIC | RCL_AREA_CACHE) ||
	    (group && group->machine != machine))
		return -EINVAL;
	if (pages > RCL_MAX_AREA)
		return -ERANGE;
	t = api_enter(machine, group);
	if (!t)
		return -ENOMEM;
	err = rcl_area_create(machine, group, flags, &area);
	if (!err) {
		err = rcl_area_extend(area, pages);
		if (err)
			rcl_area_free(area);
	}
	if (!err) {
		area->pages = pages;
		rcl_area_link(area);
		*out = area;
	}
	api_leave(machine, t);
	return err;
}

int rcl_area_close(struct rcl_area *area)
{
	struct rcl_machine *machine = area->machine;
	struct rcl_group *group = area->group;
	struct task *t;
	int err = 0;

	if (!api_is_alive(machine))
		return -ECHILD;
	if (rcl_area_is_pinned(area, 0, area->mapped))
		return -EBUSY;
	t = api_enter(machine, group);
	if (!t)
		return -ENOMEM;
	pthread_mutex_lock(&machine->lock);
	list_del(&area->link);
	pthread_mutex_unlock(&machine->lock);
	if (area->backing)
		err = rcl_backing_close(area);
	else
		rcl_area_free(area);
	pthread_mutex_lock(&machine->lock);
	rcl_group_use(group, -1);
	pthread_mutex_unlock(&machine->lock);
	rcl_memory_freed(machine);
	api_leave(machine, t);
	return err;
}

uint64_t rcl_area_pages(const struct rcl_area *area)
{
	return area_pages(area);
}

int rcl_area_grow(struct rcl_area *area, uint64_t pages)
{
	struct rcl_machine *machine = area->machine;
	struct task *t;
	u64 now;
	int err;

	if (!api_is_alive(machine))
		return -ECHILD;
	now = area_pages(area);
	if (area->backing || pages < now)
		return -EINVAL;
	if (pages > RCL_MAX_AREA)
		return -ERANGE;
	t = api_enter(machine, area->group);
	if (!t)
		return -ENOMEM;
	err = rcl_area_extend(area, pages);
	/* Somebody may be growing it further. */
	while (!err && now < pages &&
	       !__atomic_compare_exchange_n(&area->pages, &now, pages, false, __ATOMIC_RELEASE,
					    __ATOMIC_ACQUIRE))
		;
	api_leave(machine, t);
	return err;
}

int rcl_area_punch(struct rcl_area *area, uint64_t first, uint64_t nr)
{
	struct rcl_machine *machine = area->machine;
	struct task *t;
	int err;

	if (!api_is_alive(machine))
		return -ECHILD;
	if (!area_has(area, first, nr))
		return -ERANGE;
	if (area->backing && !(area->flags & RCL_AREA_WRITE))
		return -EACCES;
	if (!nr)
		return 0;
	t = api_enter(machine, area->group);
	if (!t)
		return -ENOMEM;
	err = area->backing ? rcl_backing_punch(area, first, nr) : rcl_area_unmap(area, first, nr);
	rcl_memory_freed(machine);
	api_leave(machine, t);
	return err;
}

/* ---- advice -------------------------------------------------------------------------------- */

/*
 * 32 times read_ahead_kb where the engine has twice as much: a fast disk wants much to do at once,
 * and more while the reader deals with what has come. But no more than a sixth of what the area may
 * have in memory: two windows can be under way, and a third be read. A power of two, so that
 * windows are whole blocks of frames.
 */
static void read_far_ahead(struct rcl_area *area)
{
	u64 pages = hint_read(&area->file.ra_pages), most = rcl_area_room(area) / 6;

	most = min(16 * pages, max(most, (u64)1));
	most = 1ull << (63 - __builtin_clzll(most));
	hint_set(&area->file.ra_pages, (u32)max(pages, most));
}

/* How the whole area is going to be read. */
static int set_order(struct rcl_area *area, enum rcl_madvice order, enum rcl_fadvice file_order)
{
	struct rcl *m = area->machine->m;
	int err = 0;

	pthread_mutex_lock(&area->lock);
	if (area->mapped)
		err = rcl_madvise(m, area->mm, 0, area->mapped, order);
	if (!err && area->backing)
		err = rcl_file_advise(m, &area->file, 0, 0, file_order);
	if (!err && area->backing) {
		hint_set(&area->file.once, file_order == RCL_FADV_SEQUENTIAL);
		if (area->file.once)
			read_far_ahead(area);
	}
	if (!err)
		area->order = order;
	pthread_mutex_unlock(&area->lock);
	return err;
}

static int advise(struct rcl_area *area, u64 first, u64 nr, enum rcl_area_advice advice)
{
	struct rcl *m = area->machine->m;
	int err = 0;

	switch (advice) {
	case RCL_ADVISE_NORMAL:
		return set_order(area, RCL_MADV_NORMAL, RCL_FADV_NORMAL);
	case RCL_ADVISE_RANDOM:
		return set_order(area, RCL_MADV_RANDOM, RCL_FADV_RANDOM);
	case RCL_ADVISE_SEQUENTIAL:
		return set_order(area, RCL_MADV_SEQUENTIAL, RCL_FADV_SEQUENTIAL);
	case RCL_ADVISE_COLD:
		if (nr)
			err = rcl_madvise(m, area->mm, first, nr, RCL_MADV_COLD);
		break;
	case RCL_ADVISE_PAGEOUT:
		if (nr)
			err = rcl_madvise(m, area->mm, first, nr, RCL_MADV_PAGEOUT);
		break;
	default:
		return -EINVAL;
	}
	/* Pinned pages are left alone, as the header says. */
	return err == -EBUSY ? 0 : err;
}

int rcl_area_advise(struct rcl_area *area, uint64_t first, uint64_t nr, enum rcl_area_advice advice)
{
	struct rcl_machine *machine = area->machine;
	bool whole = advice <= RCL_ADVISE_SEQUENTIAL;
	struct task *t;
	u64 pages;
	int err;

	if (!api_is_alive(machine))
		return -ECHILD;
	pages = area_pages(area);
	if (!nr && first <= pages)
		nr = pages - first;
	if (!whole && !area_has(area, first, nr))
		return -ERANGE;
	if (advice == RCL_ADVISE_WILLNEED)
		return rcl_prefetch(area, first, nr);
	t = api_enter(machine, area->group);
	if (!t)
		return -ENOMEM;
	err = advise(area, first, nr, advice);
	api_leave(machine, t);
	return err;
}
