/* SPDX-License-Identifier: MIT */
/*
 * Coroutines with stacks of their own: the simulator's tasks.
 *
 * A switch saves what the calling convention says a callee keeps and nothing else; all coroutines
 * of a simulator share one floating-point environment and one signal mask.
 */
#ifndef RCL_SIM_CORO_H
#define RCL_SIM_CORO_H

#include "mm/types.h"

/* No switch written for this processor (or, to test that case, defined by hand). */
#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(RCL_CORO_UCONTEXT)
#define RCL_CORO_UCONTEXT 1
#endif
#ifdef RCL_CORO_UCONTEXT
#include <ucontext.h>
#endif

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define RCL_CORO_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define RCL_CORO_TSAN 1
#endif

struct rcl_coro {
	void *sp;    /* saved stack pointer while it does not run */
	void *stack; /* lowest usable byte; NULL: the caller's own thread */
	size_t stack_bytes;
	void (*entry)(void *);
	void *arg;
	void *fake_stack; /* AddressSanitizer's, while it does not run */
	void *fiber;	  /* ThreadSanitizer's */
	unsigned valgrind_id;
#ifdef RCL_CORO_UCONTEXT
	ucontext_t ctx;
#endif
};

/* Bytes of stack that instrumented code needs where plain code needs `bytes`. */
size_t rcl_coro_stack_bytes(size_t bytes);
/* The calling thread, as the coroutine that the first switch leaves. */
void rcl_coro_init_thread(struct rcl_coro *c);
/* Register a stack once; it may be prepared many times before rcl_coro_exit. */
void rcl_coro_init(struct rcl_coro *c, void *stack, size_t stack_bytes);
void rcl_coro_exit(struct rcl_coro *c);
/* Make the next switch to c call entry(arg), which must never return. */
void rcl_coro_prepare(struct rcl_coro *c, void (*entry)(void *), void *arg);
/* Leave `from` (which is running) for `to`. dying: from will not be switched to again. */
#if defined(RCL_CORO_UCONTEXT) || defined(RCL_CORO_ASAN) || defined(RCL_CORO_TSAN)
void rcl_coro_switch(struct rcl_coro *from, struct rcl_coro *to, bool dying);
#else
void rcl_coro_swap(void **save_sp, void *load_sp) __attribute__((visibility("hidden")));

static inline void rcl_coro_switch(struct rcl_coro *from, struct rcl_coro *to, bool dying)
{
	(void)dying; /* only tools that watch stacks want to know */
	rcl_coro_swap(&from->sp, to->sp);
}
#endif
/* entry(arg) calls this first: the second half of the switch from `from` that started it. */
void rcl_coro_started(struct rcl_coro *c, struct rcl_coro *from);

#endif
