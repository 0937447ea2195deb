/* SPDX-License-Identifier: MIT */
/*
 * The arena: where the frames are, and what is in them.
 *
 * Frame N is the page at arena + N * 4096. The arena is aligned to the allocator's largest block,
 * so that a block's address has the alignment of its order, and a block of order 9 can be a huge
 * page of the processor. Memory is taken from the system when a frame is first written. A forked
 * child does not get the arena: the parent would pay for copies of pages it writes while the child
 * lives, and the child could not use them.
 *
 * On a system of several memory nodes the frames are spread over all nodes the process may use, as
 * threads on all of them share the budget. That is one system call, so no library is needed.
 *
 * Stamps. Tests and verifying runs write a page as one 64-bit stamp. Here it must really fill the
 * page: word 0 is the stamp and word i is stamp + i * step, where step is a scrambled stamp (0 for
 * 0, so that a zeroed page says 0). Two stamps have different steps, so that of pages put together
 * from two writes, be it in any parts, at least some word is not what word 0 promises.
 */
#include "platform/host/internal.h"
#include "platform/reserve.h"

#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_MEMORY_NODES 1024
#define BITS_PER_WORD	 (8 * sizeof(unsigned long))
#define WORDS_PER_PAGE	 (PAGE_SIZE / sizeof(u64))

/* Spread over the memory nodes that the process may use. Where it cannot be done it is no loss. */
static void interleave(void *mem, size_t bytes)
{
	unsigned long nodes[MAX_MEMORY_NODES / BITS_PER_WORD] = {0};
	int nr = 0;

	if (syscall(SYS_get_mempolicy, NULL, nodes, MAX_MEMORY_NODES, NULL, MPOL_F_MEMS_ALLOWED))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		nr += __builtin_popcountl(nodes[i]);
	if (nr > 1)
		syscall(SYS_mbind, mem, bytes, MPOL_INTERLEAVE, nodes, MAX_MEMORY_NODES, 0);
}

/* Take all memory now: 0 or -ENOMEM. */
static int populate(char *mem, size_t bytes)
{
	if (!madvise(mem, bytes, MADV_POPULATE_WRITE))
		return 0;
	if (errno != EINVAL)
		return -ENOMEM;
	/* A kernel before 5.14: by hand, where the lack of memory may be fatal. */
	for (size_t i = 0; i < bytes; i += PAGE_SIZE)
		*(volatile char *)(mem + i) = 0;
	return 0;
}

int rcl_host_arena_init(struct rcl_host *h)
{
	size_t bytes = h->cfg.nr_frames << PAGE_SHIFT;

	h->arena = rcl_reserve_aligned(bytes, PAGE_SIZE << (MAX_ORDER - 1));
	if (!h->arena)
		return -ENOMEM;
	madvise(h->arena, bytes, MADV_HUGEPAGE);
	if (madvise(h->arena, bytes, MADV_DONTFORK))
		return -errno;
	interleave(h->arena, bytes);
	return h->cfg.populate ? populate(h->arena, bytes) : 0;
}

void rcl_host_arena_exit(struct rcl_host *h)
{
	rcl_release_memory(h->arena, h->cfg.nr_frames << PAGE_SHIFT);
	h->arena = NULL;
}

void *rcl_host_arena(const struct rcl_host *h)
{
	return h->arena;
}

static u64 scramble(u64 z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* A page that is pinned for writing may be on its way to the disk: then it goes there once more. */
RCL_RACY void rcl_host_stamp(void *page, u64 stamp)
{
	u64 *words = page, step = scramble(stamp);

	RCL_ASSERT(stamp != RCL_HOST_TORN);
	for (u64 i = 0; i < WORDS_PER_PAGE; i++)
		words[i] = stamp + i * step;
}

u64 rcl_host_stamp_of(const void *page)
{
	const u64 *words = page;
	u64 stamp = words[0], step = scramble(stamp), wrong = 0;

	for (u64 i = 0; i < WORDS_PER_PAGE; i++)
		wrong |= words[i] ^ (stamp + i * step);
	return wrong ? RCL_HOST_TORN : stamp;
}

void rcl_host_page_zero(struct platform *p, struct folio *f)
{
	memset(host_folio_data(to_host(p), f), 0, PAGE_SIZE);
}

void rcl_host_page_store(struct platform *p, struct folio *f, u64 stamp)
{
	rcl_host_stamp(host_folio_data(to_host(p), f), stamp);
}

u64 rcl_host_page_load(struct platform *p, struct folio *f)
{
	return rcl_host_stamp_of(host_folio_data(to_host(p), f));
}

void rcl_host_page_copy(struct platform *p, struct folio *dst, struct folio *src)
{
	struct rcl_host *h = to_host(p);

	memcpy(host_folio_data(h, dst), host_folio_data(h, src), PAGE_SIZE);
}
