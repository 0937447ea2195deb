/* SPDX-License-Identifier: MIT */
/*
 * Basic types, assertion tiers and intrusive lists that every subsystem uses.
 *
 * Assertions come in three tiers. RCL_ASSERT guards cheap invariants and is always on: when an
 * internal invariant breaks, the engine stops loudly with its text. RCL_DEBUG_ASSERT is compiled in
 * with RCL_DEBUG_CHECKS (debug, asan and tsan builds). The third tier, x_is_valid() per structure
 * and rcl_check() over a machine, walks whole structures and is called by tests and --check runs.
 */
#ifndef RCL_MM_TYPES_H
#define RCL_MM_TYPES_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1ul << PAGE_SHIFT)

#define likely(x)			__builtin_expect(!!(x), 1)
#define unlikely(x)			__builtin_expect(!!(x), 0)
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))

/* min and max evaluate each side once; both sides must have one type. */
#define min(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) min_a_ = (a);                                                        \
		__typeof__(b) min_b_ = (b);                                                        \
		(void)(&min_a_ == &min_b_);                                                        \
		min_a_ < min_b_ ? min_a_ : min_b_;                                                 \
	})
#define max(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) max_a_ = (a);                                                        \
		__typeof__(b) max_b_ = (b);                                                        \
		(void)(&max_a_ == &max_b_);                                                        \
		max_a_ > max_b_ ? max_a_ : max_b_;                                                 \
	})

_Noreturn void rcl_assert_failed(const char *what, const char *file, int line);
#define RCL_ASSERT(cond) (likely(cond) ? (void)0 : rcl_assert_failed(#cond, __FILE__, __LINE__))
#ifdef RCL_DEBUG_CHECKS
#define RCL_DEBUG_ASSERT(cond) RCL_ASSERT(cond)
#else
#define RCL_DEBUG_ASSERT(cond) ((void)0)
#endif

/* Intrusive circular doubly linked list. An empty list, or a detached node, points to itself. */
struct list_head {
	struct list_head *next, *prev;
};

static inline void list_init(struct list_head *l)
{
	l->next = l->prev = l;
}
static inline bool list_empty(const struct list_head *l)
{
	return l->next == l;
}
static inline void list_link(struct list_head *n, struct list_head *prev, struct list_head *next)
{
	n->prev = prev;
	n->next = next;
	prev->next = n;
	next->prev = n;
}
/* Insert at the head (the young end of an LRU list). */
static inline void list_add(struct list_head *n, struct list_head *l)
{
	list_link(n, l, l->next);
}
/* Insert at the tail (the old end of an LRU list). */
static inline void list_add_tail(struct list_head *n, struct list_head *l)
{
	list_link(n, l->prev, l);
}
/* Unlink; the node's own links become stale. */
static inline void list_del(struct list_head *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
}
static inline void list_del_init(struct list_head *n)
{
	list_del(n);
	list_init(n);
}
static inline void list_move(struct list_head *n, struct list_head *l)
{
	list_del(n);
	list_add(n, l);
}
static inline void list_move_tail(struct list_head *n, struct list_head *l)
{
	list_del(n);
	list_add_tail(n, l);
}
/* Move all of src to the head of dst; src becomes empty. */
static inline void list_splice_init(struct list_head *src, struct list_head *dst)
{
	if (list_empty(src))
		return;
	src->next->prev = dst;
	src->prev->next = dst->next;
	dst->next->prev = src->prev;
	dst->next = src->next;
	list_init(src);
}
/* Move all of src that follows pos (an element, or src itself for all) to the head of dst. */
static inline void list_cut_tail(struct list_head *src, struct list_head *pos,
				 struct list_head *dst)
{
	struct list_head *first = pos->next, *last = src->prev;

	if (last == pos)
		return;
	pos->next = src;
	src->prev = pos;
	first->prev = dst;
	last->next = dst->next;
	dst->next->prev = last;
	dst->next = first;
}
#define list_entry(ptr, type, member)	  container_of(ptr, type, member)
#define list_first_entry(l, type, member) container_of((l)->next, type, member)
#define list_last_entry(l, type, member)  container_of((l)->prev, type, member)
#define list_for_each(pos, head, member)                                                           \
	for (pos = list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head);     \
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))
#define list_for_each_safe(pos, n, head, member)                                                   \
	for (pos = list_entry((head)->next, __typeof__(*pos), member),                             \
	    n = list_entry(pos->member.next, __typeof__(*pos), member);                            \
	     &pos->member != (head);                                                               \
	     pos = n, n = list_entry(n->member.next, __typeof__(*n), member))

/* Forward declarations of the engine's main structures. */
struct rcl;	 /* a machine (machine.h) */
struct platform; /* the world under it (platform/platform.h) */
struct folio;	 /* descriptor of a frame (page.h) */
struct zone;	 /* (zone.h) */
struct node;	 /* (zone.h) */
struct lruvec;	 /* (lru.h) */
struct memcg;	 /* (memcg.h) */
struct mapping;	 /* the page cache of one file (filemap.h) */
struct mm;	 /* an address space (mm.h) */
struct vma;	 /* a mapping in it (mm.h) */
struct task;	 /* a thread of execution as the engine sees it (task.h) */
struct cpu;	 /* per-CPU state (machine.h) */

#endif
