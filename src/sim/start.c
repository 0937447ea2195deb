/* SPDX-License-Identifier: MIT */
/*
 * What is in memory before the first access that counts.
 *
 * The rest of the machine comes first: kernel memory until as little is free as the request says,
 * and the pages of an idle task, which stand on the LRU lists for reclaim to find. Then each
 * process of the program gets what any program has: a few pages of data and stack, buffers it has
 * locked, a little page cache it has used twice, and the kernel memory charged to its group for
 * what the engine does not model (its file table, its pipes, its page directories).
 *
 *   pages of a process, from FIRST_OWN_VPN:   data | locked
 *   at the end of the address space:          stack
 */
#include "sim/run.h"

#include <stdio.h>
#include <stdlib.h>

#define FIRST_OWN_VPN 0x400ull /* 4 MiB, where programs are linked to */
#define STACK_PAGES   2u
#define STACK_VPN     (LAST_VPN - 0x1000)
#define START_SLACK   1024 /* pages left for the last step: more than per-CPU lists hold */

static int touch_all(struct run *r, struct mm *mm, u64 vpn, u64 pages)
{
	int ret = 0;

	for (u64 i = 0; i < pages && !ret; i++) {
		ret = rcl_touch(r->m, mm, vpn + i, true);
		rcl_poll(r->m);
	}
	return ret;
}

/* ---- The rest of the machine --------------------------------------------------------------- */

/*
 * Pages of one kind. Single pages, as kernel memory mostly is: each kind then has pageblocks of its
 * own, as after a boot, and what is free in the last of them decides how soon the kinds must steal
 * from each other, which boosts the watermarks.
 */
static int take_pages(struct run *r, u64 nr, gfp_t kind)
{
	for (; nr && r->nr_kernel < r->max_kernel; nr--) {
		struct folio *f =
			rcl_alloc_pages(r->m, GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY | kind, 0);

		if (!f)
			return -ENOSPC;
		r->kernel[r->nr_kernel++] = f;
	}
	return 0;
}

static s64 excess(struct run *r)
{
	return rcl_vmstat_get(r->m, "nr_free_pages") - (s64)r->req->start.free_pages;
}

/* Before anything else: all but what will be taken by the rest. */
static int take_kernel_memory(struct run *r)
{
	const struct rcl_sim_start *s = &r->req->start;
	s64 later = (s64)(s->anon_pages + s->locked_pages + s->kernel_pages + s->file_pages +
			  s->other_inactive_anon + s->other_active_anon);
	s64 need = excess(r);
	u64 slab, dma;
	int ret;

	if (need <= 0)
		return 0;
	r->max_kernel = (u64)need;
	r->kernel = calloc(r->max_kernel, sizeof(*r->kernel));
	if (!r->kernel)
		return -ENOMEM;
	need -= later + START_SLACK;
	if (need <= 0)
		return 0;
	dma = min(s->kernel_dma, (u64)need);
	slab = min(s->kernel_reclaimable, (u64)need - dma);
	ret = take_pages(r, dma, __GFP_DMA);
	if (!ret)
		ret = take_pages(r, slab, __GFP_RECLAIMABLE);
	return ret ? ret : take_pages(r, (u64)need - dma - slab, 0);
}

/* At last: until what is free is what shall be. Per-CPU lists make it uneven. */
static int take_rest(struct run *r)
{
	int ret = 0;

	while (!ret && r->nr_kernel < r->max_kernel && excess(r) > 0)
		ret = take_pages(r, 1, 0);
	return ret;
}

static void use_other_memory(void *arg)
{
	struct run *r = arg;
	u64 active = r->req->start.other_active_anon;
	u64 pages = r->req->start.other_inactive_anon + active;

	if (rcl_mmap(r->m, r->other_mm, FIRST_REGION_VPN, pages, VM_READ | VM_WRITE, NULL, 0) ||
	    touch_all(r, r->other_mm, FIRST_REGION_VPN, pages))
		return;
	rcl_lru_add_drain(r->m);
	for (u64 i = 0; i < pages; i++) {
		pte_t *p = rcl_pte_lookup(r->other_mm, FIRST_REGION_VPN + i);

		if (!p || !pte_present(*p))
			continue;
		if (i < active)
			rcl_folio_activate(r->m, pfn_folio(r->m, pte_pfn(*p)));
		*p &= ~PTE_ACCESSED; /* it was used long ago */
	}
	rcl_lru_add_drain(r->m);
}

static int fill_rest_of_machine(struct run *r)
{
	const struct rcl_sim_start *s = &r->req->start;
	bool killed;
	int ret;

	ret = s->free_pages ? take_kernel_memory(r) : 0;
	if (ret || !(s->other_inactive_anon + s->other_active_anon))
		return ret;
	ret = rcl_mm_create(r->m, r->m->root_memcg, &r->other_mm);
	if (ret)
		return ret;
	return rcl_run_task(r, r->other_mm, NULL, "idle", use_other_memory, r, &killed);
}

/* ---- The program --------------------------------------------------------------------------- */

struct own {
	struct run *run;
	struct mm *mm;
	bool first; /* has what there is only once */
	int ret;
};

static int use_own_file(struct run *r, u32 pages)
{
	struct file file;
	int ret = rcl_run_create_file(r, "program", NO_REGION, pages, &r->program_file);

	if (ret)
		return ret;
	rcl_file_open(r->m, r->program_file, &file);
	rcl_file_advise(r->m, &file, 0, pages, RCL_FADV_RANDOM);
	for (u32 i = 0; i < 2 * pages && !ret; i++)
		ret = rcl_file_read(r->m, &file, i % pages, 1, &(u64){0});
	return ret;
}

static void start_process(void *arg)
{
	struct own *own = arg;
	struct run *r = own->run;
	const struct rcl_sim_start *s = &r->req->start;
	u32 stack = min(s->anon_pages, STACK_PAGES);
	u32 locked = own->first ? s->locked_pages : 0;
	u32 data = s->anon_pages - stack;
	u64 locked_vpn = FIRST_OWN_VPN + data;
	int ret = 0;

	if (data + locked)
		ret = rcl_mmap(r->m, own->mm, FIRST_OWN_VPN, data + locked, VM_READ | VM_WRITE,
			       NULL, 0);
	if (!ret && stack)
		ret = rcl_mmap(r->m, own->mm, STACK_VPN, stack, VM_READ | VM_WRITE, NULL, 0);
	if (!ret)
		ret = touch_all(r, own->mm, FIRST_OWN_VPN, data + locked);
	if (!ret)
		ret = touch_all(r, own->mm, STACK_VPN, stack);
	if (!ret && locked)
		ret = rcl_mlock(r->m, own->mm, locked_vpn, locked);
	if (!ret && own->first && s->file_pages)
		ret = use_own_file(r, s->file_pages);
	if (!ret && own->first && r->group && s->kernel_pages > (u64)r->group->kernel_pages) {
		u32 more = (u32)(s->kernel_pages - (u64)r->group->kernel_pages);

		ret = rcl_memcg_charge_kmem(r->m, r->group, GFP_KERNEL, more);
		if (!ret)
			r->own_kernel_pages = more;
	}
	own->ret = ret;
}

void rcl_run_touch_own(struct run *r, struct mm *mm)
{
	if (r->req->start.anon_pages)
		rcl_touch(r->m, mm, STACK_VPN, true);
}

int rcl_run_start(struct run *r)
{
	int ret = fill_rest_of_machine(r);

	for (u32 p = 0; p < r->nr_processes && !ret; p++) {
		struct own own = {.run = r, .mm = r->processes[p].mm, .first = !p};
		bool killed;

		if (!own.mm)
			continue; /* forked later */
		ret = rcl_run_task(r, own.mm, r->group, "start", start_process, &own, &killed);
		if (!ret)
			ret = killed ? -EINTR : own.ret;
	}
	if (!ret && r->req->start.free_pages)
		ret = take_rest(r);
	return ret;
}

void rcl_run_start_undo(struct run *r)
{
	for (u64 i = 0; i < r->nr_kernel; i++) {
		r->kernel[i]->refcount = 0;
		rcl_free_pages(r->m, r->kernel[i], 0);
	}
	free(r->kernel);
	if (r->own_kernel_pages)
		rcl_memcg_uncharge_kmem(r->m, r->group, (u32)r->own_kernel_pages);
	if (r->other_mm)
		rcl_mm_destroy(r->m, r->other_mm);
	if (r->program_file)
		rcl_mapping_destroy(r->m, r->program_file);
}
