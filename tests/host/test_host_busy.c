/* SPDX-License-Identifier: MIT */
/* What the figures of a disk come to that does one request after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "platform/host/busy.h"
#include "platform/platform.h"

#define LATENCY 50000u
static const u32 request[2] = {10000, 6000}, page[2] = {2500, 800}, many[2] = {2000, 300};

struct mix {
	struct busy busy;
	struct rcl_host_busy_figures got;
	u64 now, chance;
};

static struct mix *new_mix(void)
{
	struct mix *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	return x;
}

static u32 below(struct mix *x, u32 n)
{
	x->chance = x->chance * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)((x->chance >> 32) * n >> 32);
}

/* A busy time with requests of so many pages, `slow` times as long as it should be. */
static void busy_time(struct mix *x, u32 reads, u32 writes, u32 pages, u32 slow)
{
	u64 ns = LATENCY;

	rcl_host_busy_begins(&x->busy, x->now);
	for (u32 i = 0; i < reads + writes; i++) {
		u32 op = i < reads ? RCL_IO_READ : RCL_IO_WRITE;

		rcl_host_busy_request(&x->busy, op, pages);
		ns += request[op] + (min(pages, RCL_HOST_FEW_PAGES) - 1) * page[op] +
		      (pages - min(pages, RCL_HOST_FEW_PAGES)) * many[op];
	}
	x->now += ns * slow;
	rcl_host_busy_ends(&x->busy, x->now);
	x->now += 1000;
}

static void near(u64 got, u64 want)
{
	assert_in_range(got, want - want / 50 - 1, want + want / 50 + 1);
}

/* One in twenty is much too late, and thousands of single reads say nothing but what they take. */
static void the_usual_is_found(void **state)
{
	struct mix *x = new_mix();

	(void)state;
	for (u32 i = 0; i < 20000; i++)
		busy_time(x, 1, 0, 1, below(x, 20) ? 1 : 40);
	for (u32 i = 0; i < 3000; i++)
		busy_time(x, below(x, 3), 1 + below(x, 32), 1 + below(x, 40),
			  below(x, 20) ? 1 : 40);
	rcl_host_busy_figures(&x->busy, &x->got);
	assert_in_range(x->got.times, 2900, 3000);
	near(x->got.latency_ns, LATENCY);
	for (u32 op = 0; op < 2; op++) {
		near(x->got.request_ns[op], request[op]);
		near(x->got.page_ns[op], page[op]);
		near(x->got.many_ns[op], many[op]);
	}
	/* How late the late ones were is known, too. */
	assert_in_range(x->got.pace[0], 98, 102);
	assert_in_range(x->got.pace[RCL_HOST_PACES / 2], 98, 102);
	assert_in_range(x->got.pace[RCL_HOST_PACES - 1], 3900, 4100);
	free(x);
}

/* What nothing was seen of is 0; what cannot be told apart is right as a sum. */
static void little_is_enough(void **state)
{
	struct mix *x = new_mix();

	(void)state;
	rcl_host_busy_figures(&x->busy, &x->got);
	assert_int_equal(x->got.times, 0);
	assert_int_equal(x->got.latency_ns, 0);
	for (u32 i = 0; i < 50; i++)
		busy_time(x, 1, 0, 1, 1);
	rcl_host_busy_figures(&x->busy, &x->got);
	assert_int_equal(x->got.times, 0);
	near(x->got.latency_ns + x->got.request_ns[RCL_IO_READ], LATENCY + request[RCL_IO_READ]);
	assert_int_equal(x->got.request_ns[RCL_IO_WRITE], 0);
	assert_int_equal(x->got.page_ns[RCL_IO_READ], 0);
	free(x);
}

/* Larger requests that take less: no figure is below zero. */
static void nothing_is_below_zero(void **state)
{
	struct mix *x = new_mix();

	(void)state;
	for (u32 i = 0; i < 100; i++) {
		rcl_host_busy_begins(&x->busy, x->now);
		rcl_host_busy_request(&x->busy, RCL_IO_WRITE, 1 + i);
		x->now += 200000 - 1000 * i;
		rcl_host_busy_ends(&x->busy, x->now);
	}
	rcl_host_busy_figures(&x->busy, &x->got);
	assert_int_equal(x->got.many_ns[RCL_IO_WRITE], 0);
	assert_in_range(x->got.latency_ns + x->got.request_ns[RCL_IO_WRITE], 100000, 200000);
	free(x);
}

/* A folder that is none. */
static void no_disk_no_answer(void **state)
{
	(void)state;
	assert_false(rcl_host_probe_ends_together("/nowhere/at/all"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_usual_is_found),
		cmocka_unit_test(little_is_enough),
		cmocka_unit_test(nothing_is_below_zero),
		cmocka_unit_test(no_disk_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
