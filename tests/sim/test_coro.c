/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/mman.h>

#include "platform/sim/coro.h"

#define STACK 65536ul

struct routine {
	struct rcl_coro coro;
	struct rcl_coro *back;
	u64 turns, sum;
	double real;
	bool done;
};

static void *new_stack(void)
{
	void *s = mmap(NULL, rcl_coro_stack_bytes(STACK), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(s != MAP_FAILED);
	return s;
}

static void open_routine(struct routine *r, struct rcl_coro *back)
{
	memset(r, 0, sizeof(*r));
	rcl_coro_init(&r->coro, new_stack(), rcl_coro_stack_bytes(STACK));
	r->back = back;
}

static void close_routine(struct routine *r)
{
	void *stack = r->coro.stack;

	rcl_coro_exit(&r->coro);
	munmap(stack, rcl_coro_stack_bytes(STACK));
}

static void counting(void *arg)
{
	struct routine *r = arg;

	rcl_coro_started(&r->coro, r->back);
	for (u64 i = 1; i <= r->turns; i++) {
		r->sum += i;
		rcl_coro_switch(&r->coro, r->back, false);
	}
	r->done = true;
	rcl_coro_switch(&r->coro, r->back, true);
	abort();
}

static void test_runs_and_comes_back(void **state)
{
	struct rcl_coro thread;
	struct routine r;
	u64 switches = 0;

	(void)state;
	rcl_coro_init_thread(&thread);
	open_routine(&r, &thread);
	r.turns = 1000;
	rcl_coro_prepare(&r.coro, counting, &r);
	while (!r.done) {
		rcl_coro_switch(&thread, &r.coro, false);
		switches++;
	}
	assert_int_equal(switches, 1001);
	assert_int_equal(r.sum, 500500);
	close_routine(&r);
}

static void test_stack_is_reused(void **state)
{
	struct rcl_coro thread;
	struct routine r;

	(void)state;
	rcl_coro_init_thread(&thread);
	open_routine(&r, &thread);
	for (u64 round = 0; round < 100; round++) {
		r.turns = round;
		r.sum = 0;
		r.done = false;
		rcl_coro_prepare(&r.coro, counting, &r);
		while (!r.done)
			rcl_coro_switch(&thread, &r.coro, false);
		assert_int_equal(r.sum, round * (round + 1) / 2);
	}
	close_routine(&r);
}

/* Keeps more values alive across each switch than there are registers to keep. */
static void juggling(void *arg)
{
	struct routine *r = arg;
	u64 a = r->sum, b = a + 1, c = a + 2, d = a + 3, e = a + 4, f = a + 5, g = a + 6, h = a + 7;
	double x = (double)a, y = x / 3, z = x / 7;

	rcl_coro_started(&r->coro, r->back);
	for (u64 i = 0; i < r->turns; i++) {
		rcl_coro_switch(&r->coro, r->back, false);
		a += b ^ i;
		b += c * 3;
		c += d ^ a;
		d += e + 11;
		e ^= f << 1;
		f += g;
		g += h ^ b;
		h += a;
		x += y;
		y = y * 0.5 + z;
		z += 0.25;
	}
	r->sum = a ^ b ^ c ^ d ^ e ^ f ^ g ^ h;
	r->real = x + y + z;
	r->done = true;
	rcl_coro_switch(&r->coro, r->back, true);
	abort();
}

static void test_registers_are_kept(void **state)
{
	enum {
		NR = 16,
		TURNS = 500
	};
	struct rcl_coro thread;
	struct routine r[NR], alone;
	u32 left = NR;

	(void)state;
	rcl_coro_init_thread(&thread);
	for (u32 i = 0; i < NR; i++) {
		open_routine(&r[i], &thread);
		r[i].sum = i * 1000;
		r[i].turns = TURNS;
		rcl_coro_prepare(&r[i].coro, juggling, &r[i]);
	}
	/* Interleaved in a pseudo-random order... */
	for (u32 seed = 1; left;) {
		struct routine *pick;
		seed = seed * 1664525 + 1013904223;
		pick = &r[seed >> 16 & (NR - 1)];
		if (pick->done)
			continue;
		rcl_coro_switch(&thread, &pick->coro, false);
		left -= pick->done;
	}
	/* ... each computes what it computes alone. */
	for (u32 i = 0; i < NR; i++) {
		open_routine(&alone, &thread);
		alone.sum = i * 1000;
		alone.turns = TURNS;
		rcl_coro_prepare(&alone.coro, juggling, &alone);
		while (!alone.done)
			rcl_coro_switch(&thread, &alone.coro, false);
		assert_int_equal(alone.sum, r[i].sum);
		assert_true(alone.real == r[i].real);
		close_routine(&alone);
		close_routine(&r[i]);
	}
}

static u64 recurse(struct routine *r, u64 depth)
{
	volatile u64 here[16];

	for (u32 i = 0; i < 16; i++)
		here[i] = depth + i;
	if (depth)
		r->sum += recurse(r, depth - 1);
	else
		rcl_coro_switch(&r->coro, r->back, false);
	for (u32 i = 0; i < 16; i++)
		if (here[i] != depth + i)
			abort();
	return here[1];
}

static void deep(void *arg)
{
	struct routine *r = arg;

	rcl_coro_started(&r->coro, r->back);
	assert_int_equal((uintptr_t)__builtin_frame_address(0) & 15, 0);
	r->sum += recurse(r, r->turns);
	r->done = true;
	rcl_coro_switch(&r->coro, r->back, true);
	abort();
}

static void test_deep_stack(void **state)
{
	struct rcl_coro thread;
	struct routine r;

	(void)state;
	rcl_coro_init_thread(&thread);
	open_routine(&r, &thread);
	r.turns = 120; /* some 20 to 40 KiB, as the compiler likes */
	rcl_coro_prepare(&r.coro, deep, &r);
	rcl_coro_switch(&thread, &r.coro, false);
	assert_false(r.done);
	rcl_coro_switch(&thread, &r.coro, false);
	assert_true(r.done);
	assert_int_equal(r.sum, 121 * 122 / 2);
	close_routine(&r);
}

/* From one coroutine straight to the next, without the thread in between. */
static void passing(void *arg)
{
	struct routine *r = arg;

	rcl_coro_started(&r->coro, r[-1].done ? r[-1].back : &r[-1].coro);
	r->sum = r[-1].sum + 1;
	if (r->turns)
		rcl_coro_switch(&r->coro, &r[1].coro, false);
	else
		rcl_coro_switch(&r->coro, r->back, false);
	abort();
}

static void test_chain(void **state)
{
	enum {
		NR = 8
	};
	struct rcl_coro thread;
	struct routine r[NR + 1];

	(void)state;
	rcl_coro_init_thread(&thread);
	memset(&r[0], 0, sizeof(r[0]));
	r[0].done = true; /* stands for the thread */
	r[0].back = &thread;
	for (u32 i = 1; i <= NR; i++) {
		open_routine(&r[i], &thread);
		r[i].turns = NR - i;
		rcl_coro_prepare(&r[i].coro, passing, &r[i]);
	}
	rcl_coro_switch(&thread, &r[1].coro, false);
	assert_int_equal(r[NR].sum, NR);
	for (u32 i = 1; i <= NR; i++)
		close_routine(&r[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_and_comes_back),
		cmocka_unit_test(test_stack_is_reused),
		cmocka_unit_test(test_registers_are_kept),
		cmocka_unit_test(test_deep_stack),
		cmocka_unit_test(test_chain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
