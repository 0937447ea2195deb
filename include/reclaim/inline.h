/* SPDX-License-Identifier: MIT */
/*
 * Optimistic reading (rcl_peek() in reclaim.h) compiled into its caller.
 *
 * Where many pages are looked at, the processor waits for their words to come from memory, and the
 * fewer instructions a look takes the more of these waits overlap: this saves a third to a half of
 * the time. The meaning is that of rcl_peek() and rcl_peek_ok(), and the two kinds can be mixed.
 *
 * What it knows of the library's insides, the names that end in an underscore, is as stable as a
 * function of the library: it only changes together with the number in libreclaim.so.N. Not for use
 * by anyone else.
 */
#ifndef RECLAIM_INLINE_H
#define RECLAIM_INLINE_H

#include "reclaim/reclaim.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a struct rcl_area begins. */
struct rcl_area_front_ {
	uint64_t pages;
	uint64_t *const *tables; /* of RCL_TABLE_WORDS_ pages each; NULL: not known yet */
	const char *arena;	 /* the first frame */
	size_t versions;	 /* from the tables to their versions; 0: not RCL_AREA_OPTIMISTIC */
};
enum {
	RCL_TABLE_WORDS_ = 512
};
/* Of a page's word: where it is, and what must be so, or stay so, for a look to be believed. */
#define RCL_WORD_PLACE_ 0x00000ffffffff000ull
#define RCL_WORD_STATE_ 0xfc00000000000201ull
#define RCL_WORD_SEEN_	0xfc00fffffffff201ull
#define RCL_WORD_HERE_	0x0000000000000001ull
#define RCL_WORD_USED_	0x0000000000000020ull

/* rcl_peek() of a page that has been used of late. False: rcl_peek() may know more. */
static inline bool rcl_peek_used_(const struct rcl_area *area, uint64_t page, struct rcl_peek *peek)
{
	const struct rcl_area_front_ *a = (const struct rcl_area_front_ *)(const void *)area;
	uint64_t *const *tables;
	const uint64_t *table, *version;
	uint64_t seen, word;

	if (__builtin_expect(page >= __atomic_load_n(&a->pages, __ATOMIC_ACQUIRE) || !a->versions,
			     0))
		return false;
	tables = __atomic_load_n(&a->tables, __ATOMIC_ACQUIRE);
	table = __atomic_load_n(&tables[page / RCL_TABLE_WORDS_], __ATOMIC_ACQUIRE);
	if (__builtin_expect(!table, 0))
		return false;
	version = (const uint64_t *)((uintptr_t)table / RCL_TABLE_WORDS_ + a->versions);
	seen = __atomic_load_n(version, __ATOMIC_ACQUIRE);
	word = __atomic_load_n(&table[page % RCL_TABLE_WORDS_], __ATOMIC_ACQUIRE);
	if (__builtin_expect((word & (RCL_WORD_STATE_ | RCL_WORD_USED_)) !=
				     (RCL_WORD_HERE_ | RCL_WORD_USED_),
			     0))
		return false;
	peek->addr = a->arena + (word & RCL_WORD_PLACE_);
	peek->word = &table[page % RCL_TABLE_WORDS_];
	peek->version = version;
	peek->word_seen = word;
	peek->version_seen = seen;
	return true;
}

static inline bool rcl_peek_inline(struct rcl_area *area, uint64_t page, struct rcl_peek *peek)
{
	/* Of its own, so that *peek, whose address nobody is told, need not be in memory. */
	struct rcl_peek other;

	if (__builtin_expect(rcl_peek_used_(area, page, peek), 1))
		return true;
	if (!rcl_peek(area, page, &other))
		return false;
	*peek = other;
	return true;
}

static inline bool rcl_peek_ok_inline(const struct rcl_peek *peek)
{
	/* What was read of the page was read before the word, and that before the version. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return !((__atomic_load_n(peek->word, __ATOMIC_ACQUIRE) ^ peek->word_seen) &
		 RCL_WORD_SEEN_) &&
	       __atomic_load_n(peek->version, __ATOMIC_RELAXED) == peek->version_seen;
}

#ifdef __cplusplus
}
#endif

#endif
