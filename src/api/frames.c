/* SPDX-License-Identifier: MIT */
/*
 * Blocks of frames for the program's own use: allocated like a kernel's memory, charged to a group
 * as such, never on a list that reclaim looks at.
 *
 * The descriptor of a block's first frame says whose it is: `index` holds a mark, so that what is
 * not (or no longer) such a block is not freed, and `private_` the group.
 */
#include "api/internal.h"

#define BLOCK_MARK 0x72636c20626c6b00ull /* "rcl blk", and the order */

static bool how_is_valid(u32 how)
{
	return !(how & ~(u32)(RCL_TRY | RCL_WAIT | RCL_NOFAIL)) &&
	       !(how & RCL_TRY && how & (RCL_WAIT | RCL_NOFAIL));
}

static gfp_t gfp_of(u32 how, unsigned order)
{
	if (how & RCL_TRY)
		return GFP_NOWAIT | __GFP_ZERO;
	/* Large blocks are worth trying for; reclaim of single pages need not make one, though. */
	return GFP_KERNEL | __GFP_ZERO | (order ? __GFP_RETRY_MAYFAIL : 0);
}

static int alloc_once(struct rcl_machine *machine, struct rcl_group *group, unsigned order, u32 how,
		      void **addr)
{
	gfp_t gfp = gfp_of(how, order);
	struct rcl *m = machine->m;
	struct task *t = api_enter(machine, group);
	struct folio *f;
	int err = -ENOMEM;

	if (!t)
		return -ENOMEM;
	f = rcl_alloc_pages(m, gfp, order);
	if (f)
		err = rcl_memcg_charge_kmem(m, api_memcg(group),
					    gfp | (how & RCL_NOFAIL ? __GFP_NOFAIL : 0),
					    1u << order);
	if (f && err) {
		folio_ref_unfreeze(f, 0);
		rcl_free_pages(m, f, order);
	}
	api_leave(machine, t);
	if (err)
		return err;
	f->private_ = (u64)(uintptr_t)group;
	__atomic_store_n(&f->index, BLOCK_MARK | order, __ATOMIC_RELEASE);
	*addr = rcl_host_frame(machine->host, folio_pfn(m, f));
	memset(*addr, 0, PAGE_SIZE << order);
	pthread_mutex_lock(&machine->lock);
	machine->nr_blocks++;
	rcl_group_use(group, 1);
	pthread_mutex_unlock(&machine->lock);
	return 0;
}

int rcl_frames_alloc(struct rcl_machine *machine, struct rcl_group *group, unsigned order,
		     uint32_t how, void **addr)
{
	struct patience p;
	int err;

	*addr = NULL;
	if (!api_is_alive(machine))
		return -ECHILD;
	if (order >= MAX_ORDER || !how_is_valid(how) || (group && group->machine != machine))
		return -EINVAL;
	if (how & RCL_TRY) {
		err = alloc_once(machine, group, order, how, addr);
		return err == -ENOMEM ? -EAGAIN : err;
	}
	rcl_patience_begin(machine, &p);
	do {
		err = alloc_once(machine, group, order, how, addr);
	} while (err == -ENOMEM && rcl_patience_wait(machine, group, how, &p));
	return err;
}

/* The block at this address, of this order; NULL: there is none. */
static struct folio *block_at(struct rcl_machine *machine, void *addr, unsigned order)
{
	u64 offset = (u64)((uintptr_t)addr - (uintptr_t)machine->arena);
	struct folio *f;

	if ((uintptr_t)addr < (uintptr_t)machine->arena || offset % PAGE_SIZE ||
	    offset >> PAGE_SHIFT >= machine->m->nr_frames || order >= MAX_ORDER)
		return NULL;
	f = pfn_folio(machine->m, offset >> PAGE_SHIFT);
	/* Only one caller gets it, so that freeing twice at once is harmless as well. */
	return __atomic_compare_exchange_n(&f->index, &(u64){BLOCK_MARK | order}, 0, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)
		       ? f
		       : NULL;
}

void rcl_frames_free(struct rcl_machine *machine, void *addr, unsigned order)
{
	struct rcl_group *group;
	struct folio *f;
	struct task *t;

	if (!addr || !api_is_alive(machine))
		return;
	f = block_at(machine, addr, order);
	if (!f)
		return;
	group = (struct rcl_group *)(uintptr_t)f->private_;
	f->private_ = 0;
	while (!(t = api_enter(machine, group)))
		nanosleep(&(struct timespec){.tv_nsec = RCL_NSEC_PER_MSEC}, NULL);
	rcl_memcg_uncharge_kmem(machine->m, api_memcg(group), 1u << order);
	folio_ref_unfreeze(f, 0);
	rcl_free_pages(machine->m, f, order);
	pthread_mutex_lock(&machine->lock);
	machine->nr_blocks--;
	rcl_group_use(group, -1);
	pthread_mutex_unlock(&machine->lock);
	rcl_memory_freed(machine);
	api_leave(machine, t);
}
