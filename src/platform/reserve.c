/* SPDX-License-Identifier: MIT */
/*
 * Reserving address space.
 *
 * A large reservation is used all over, at random: huge pages save it most of its TLB misses. Small
 * ones, of which a sweep opens many, take only what they use.
 */
#include "platform/reserve.h"

#include <sys/mman.h>

#define HUGE_PAGE	  (2ull << 20)
#define HUGE_PAGE_RESERVE (16 * HUGE_PAGE)

void *rcl_reserve_aligned(size_t bytes, size_t align)
{
	size_t slack = align > PAGE_SIZE ? align : 0;
	size_t used = (bytes + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1), head, tail;
	char *mem;

	if (used < bytes || used + slack < used)
		return NULL;
	mem = mmap(NULL, used + slack, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)mem & (align - 1);
	tail = slack - head;
	if (head)
		munmap(mem, head);
	if (tail)
		munmap(mem + head + used, tail);
	return mem + head;
}

void *rcl_reserve_memory(size_t bytes)
{
	void *mem = rcl_reserve_aligned(bytes, bytes >= HUGE_PAGE_RESERVE ? HUGE_PAGE : PAGE_SIZE);

	if (mem && bytes >= HUGE_PAGE_RESERVE)
		madvise(mem, bytes, MADV_HUGEPAGE); /* where there is none it is no loss */
	return mem;
}

void rcl_release_memory(void *mem, size_t bytes)
{
	if (mem)
		munmap(mem, bytes);
}
