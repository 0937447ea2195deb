/* SPDX-License-Identifier: MIT */
/*
 * The context switch.
 *
 * rcl_coro_swap pushes the callee-saved registers, stores the stack pointer through its first
 * argument, loads the second and pops: the caller of the other coroutine's swap continues. A fresh
 * coroutine's stack is laid out as if it had been suspended just before a trampoline that calls
 * entry(arg); the trampoline's frame ends the call chain for debuggers.
 *
 * Tools that watch stacks are told about every switch: AddressSanitizer and ThreadSanitizer through
 * their fiber calls, valgrind by registering each stack once. Elsewhere ucontext does the work.
 */
#include "platform/sim/coro.h"

#ifdef RCL_CORO_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef RCL_CORO_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define CORO_VALGRIND 1
#endif
#endif

#ifndef RCL_CORO_UCONTEXT

void rcl_coro_swap(void **save_sp, void *load_sp) __attribute__((visibility("hidden")));
void rcl_coro_trampoline(void) __attribute__((visibility("hidden")));

#ifdef __x86_64__
__asm__(".text\n"
	".p2align 4\n"
	".globl rcl_coro_swap\n"
	".hidden rcl_coro_swap\n"
	".type rcl_coro_swap, @function\n"
	"rcl_coro_swap:\n"
	"	.cfi_startproc\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	.cfi_adjust_cfa_offset 48\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	.cfi_adjust_cfa_offset -48\n"
	"	popq %rcx\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	.cfi_register rip, rcx\n"
	"	jmpq *%rcx\n"
	"	.cfi_endproc\n"
	".size rcl_coro_swap, .-rcl_coro_swap\n"
	".p2align 4\n"
	".globl rcl_coro_trampoline\n"
	".hidden rcl_coro_trampoline\n"
	".type rcl_coro_trampoline, @function\n"
	"rcl_coro_trampoline:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined rip\n"
	"	movq %r12, %rdi\n"
	"	callq *%rbx\n"
	"	ud2\n"
	"	.cfi_endproc\n"
	".size rcl_coro_trampoline, .-rcl_coro_trampoline\n");

static void *first_frame(struct rcl_coro *c)
{
	void **sp = (void **)(((uintptr_t)c->stack + c->stack_bytes) & ~(uintptr_t)15);

	*--sp = NULL; /* the trampoline's own frame: no caller */
	*--sp = NULL; /* and keeps the stack aligned at its call */
	*--sp = (void *)rcl_coro_trampoline;
	*--sp = NULL;		  /* rbp */
	*--sp = (void *)c->entry; /* rbx */
	*--sp = c->arg;		  /* r12 */
	sp -= 3;		  /* r13 r14 r15 */
	memset(sp, 0, 3 * sizeof(*sp));
	return sp;
}
#else
__asm__(".text\n"
	".p2align 4\n"
	".globl rcl_coro_swap\n"
	".hidden rcl_coro_swap\n"
	".type rcl_coro_swap, %function\n"
	"rcl_coro_swap:\n"
	"	.cfi_startproc\n"
	"	sub sp, sp, #160\n"
	"	stp x19, x20, [sp, #0]\n"
	"	stp x21, x22, [sp, #16]\n"
	"	stp x23, x24, [sp, #32]\n"
	"	stp x25, x26, [sp, #48]\n"
	"	stp x27, x28, [sp, #64]\n"
	"	stp x29, x30, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	mov x9, sp\n"
	"	str x9, [x0]\n"
	"	mov sp, x1\n"
	"	ldp x19, x20, [sp, #0]\n"
	"	ldp x21, x22, [sp, #16]\n"
	"	ldp x23, x24, [sp, #32]\n"
	"	ldp x25, x26, [sp, #48]\n"
	"	ldp x27, x28, [sp, #64]\n"
	"	ldp x29, x30, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	add sp, sp, #160\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size rcl_coro_swap, .-rcl_coro_swap\n"
	".p2align 4\n"
	".globl rcl_coro_trampoline\n"
	".hidden rcl_coro_trampoline\n"
	".type rcl_coro_trampoline, %function\n"
	"rcl_coro_trampoline:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined x30\n"
	"	mov x0, x20\n"
	"	blr x19\n"
	"	brk #1\n"
	"	.cfi_endproc\n"
	".size rcl_coro_trampoline, .-rcl_coro_trampoline\n");

static void *first_frame(struct rcl_coro *c)
{
	u64 *sp = (u64 *)(((uintptr_t)c->stack + c->stack_bytes) & ~(uintptr_t)15) - 20;

	memset(sp, 0, 160);
	sp[0] = (u64)c->entry;		   /* x19 */
	sp[1] = (u64)c->arg;		   /* x20 */
	sp[11] = (u64)rcl_coro_trampoline; /* x30 */
	return sp;
}
#endif

static void prepare_context(struct rcl_coro *c)
{
	c->sp = first_frame(c);
}

#else /* RCL_CORO_UCONTEXT */

/* makecontext passes ints: the coroutine's address travels in two halves. */
static void ucontext_entry(unsigned hi, unsigned lo)
{
	struct rcl_coro *c = (void *)(uintptr_t)((u64)hi << 32 | lo);

	c->entry(c->arg);
}
static void prepare_context(struct rcl_coro *c)
{
	getcontext(&c->ctx);
	c->ctx.uc_stack.ss_sp = c->stack;
	c->ctx.uc_stack.ss_size = c->stack_bytes;
	c->ctx.uc_link = NULL;
	makecontext(&c->ctx, (void (*)(void))ucontext_entry, 2, (unsigned)((u64)(uintptr_t)c >> 32),
		    (unsigned)(uintptr_t)c);
}

#endif

size_t rcl_coro_stack_bytes(size_t bytes)
{
#if defined(RCL_CORO_ASAN) || defined(RCL_CORO_TSAN)
	return bytes * 4;
#else
	return bytes;
#endif
}

void rcl_coro_init_thread(struct rcl_coro *c)
{
	memset(c, 0, sizeof(*c));
#ifdef RCL_CORO_TSAN
	c->fiber = __tsan_get_current_fiber();
#endif
}

void rcl_coro_init(struct rcl_coro *c, void *stack, size_t stack_bytes)
{
	memset(c, 0, sizeof(*c));
	c->stack = stack;
	c->stack_bytes = stack_bytes;
#ifdef RCL_CORO_TSAN
	c->fiber = __tsan_create_fiber(0);
#endif
#ifdef CORO_VALGRIND
	c->valgrind_id = VALGRIND_STACK_REGISTER(stack, (char *)stack + stack_bytes - 1);
#endif
}

void rcl_coro_exit(struct rcl_coro *c)
{
#ifdef RCL_CORO_TSAN
	__tsan_destroy_fiber(c->fiber);
#endif
#ifdef CORO_VALGRIND
	VALGRIND_STACK_DEREGISTER(c->valgrind_id);
#endif
#ifdef RCL_CORO_ASAN
	__asan_unpoison_memory_region(c->stack, c->stack_bytes);
#endif
	c->stack = NULL;
}

void rcl_coro_prepare(struct rcl_coro *c, void (*entry)(void *), void *arg)
{
#ifdef RCL_CORO_ASAN
	/* Frames of the last user that never returned left their red zones behind. */
	__asan_unpoison_memory_region(c->stack, c->stack_bytes);
	c->fake_stack = NULL;
#endif
	c->entry = entry;
	c->arg = arg;
	prepare_context(c);
}

void rcl_coro_started(struct rcl_coro *c, struct rcl_coro *from)
{
#ifdef RCL_CORO_ASAN
	const void *bottom;
	size_t bytes;

	__sanitizer_finish_switch_fiber(c->fake_stack, &bottom, &bytes);
	/* The thread's own stack is first left for a fresh coroutine: here its bounds are learnt.
	 */
	if (!from->stack) {
		from->stack = (void *)bottom;
		from->stack_bytes = bytes;
	}
#else
	(void)c;
	(void)from;
#endif
}

#if defined(RCL_CORO_UCONTEXT) || defined(RCL_CORO_ASAN) || defined(RCL_CORO_TSAN)
void rcl_coro_switch(struct rcl_coro *from, struct rcl_coro *to, bool dying)
{
	(void)dying;
#ifdef RCL_CORO_ASAN
	__sanitizer_start_switch_fiber(dying ? NULL : &from->fake_stack, to->stack,
				       to->stack_bytes);
#endif
#ifdef RCL_CORO_TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
#ifdef RCL_CORO_UCONTEXT
	swapcontext(&from->ctx, &to->ctx);
#else
	rcl_coro_swap(&from->sp, to->sp);
#endif
#ifdef RCL_CORO_ASAN
	__sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}
#endif
