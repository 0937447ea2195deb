/* SPDX-License-Identifier: MIT */
/*
 * RCL_OPEN_PUNCH_SWAP: what swap no longer needs is given back to the disk, what it needs is not,
 * and nobody has to wait for it when swap is short.
 */
#include "api_test.h"

#include <pthread.h>

#define PAGES 3000u
#define SWAP  (16 * MIB)

static struct folder folder;

static struct rcl_machine *open_punching(uint64_t swap, uint32_t flags)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;
	struct rcl_machine *machine;

	opt.budget = 2 * MIB;
	opt.swap_size = swap;
	opt.swap_path = folder_file(&folder, "swap");
	opt.flags = flags;
	assert_ok(rcl_open(&opt, &machine, NULL));
	return machine;
}

static uint64_t disk_space(void)
{
	struct stat st;

	assert_ok(stat(folder_file(&folder, "swap"), &st));
	return (uint64_t)st.st_blocks * 512;
}

/* Does it become less than that, within a time in which it should? */
static bool shrinks_below(uint64_t bytes)
{
	for (int i = 0; i < 2000; i++) {
		if (disk_space() < bytes)
			return true;
		usleep(10000);
	}
	return false;
}

static void is_given_back(void **state)
{
	struct rcl_machine *machine = open_punching(SWAP, RCL_OPEN_PUNCH_SWAP);
	struct rcl_area *goes, *stays;

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, PAGES, 0, &goes));
	assert_ok(rcl_area_anon(machine, NULL, 1000, 0, &stays));
	for (uint64_t i = 0; i < PAGES; i++) {
		write_page(goes, i, i);
		if (i % 3 == 0)
			write_page(stays, i / 3, i + 1);
	}
	assert_ok(rcl_area_advise(goes, 0, 0, RCL_ADVISE_PAGEOUT));
	assert_ok(rcl_area_advise(stays, 0, 0, RCL_ADVISE_PAGEOUT));
	assert_true(disk_space() > 12 * MIB);
	/* Most of one is punched, then all of it is gone. */
	assert_ok(rcl_area_punch(goes, 0, 2900));
	assert_true(shrinks_below(6 * MIB));
	check_zero(goes, 7);
	for (uint64_t i = 2900; i < PAGES; i++)
		check_page(goes, i, i);
	assert_ok(rcl_area_close(goes));
	for (uint64_t i = 0; i < 1000; i++)
		check_page(stays, i, 3 * i + 1);
	assert_ok(rcl_area_close(stays));
	assert_true(shrinks_below(1 * MIB));
	assert_true(read_stats(machine, NULL).swap_used < MIB);
	assert_int_equal(read_stats(machine, NULL).io_errors, 0);
	assert_ok(rcl_close(machine));
}

static void is_kept_without(void **state)
{
	struct rcl_machine *machine = open_punching(SWAP, 0);
	struct rcl_area *area;

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, PAGES, 0, &area));
	for (uint64_t i = 0; i < PAGES; i++)
		write_page(area, i, i);
	assert_ok(rcl_area_close(area));
	usleep(300000);
	assert_true(disk_space() > 8 * MIB);
	assert_ok(rcl_close(machine));
}

/* ---- with little swap ---------------------------------------------------------------------- */

struct rounds {
	struct rcl_machine *machine;
	uint64_t seed;
	pthread_t thread;
};

/* All of the swap is needed again as soon as it is free. */
static void *come_and_go(void *arg)
{
	struct rounds *r = arg;

	for (unsigned int round = 0; round < 15; round++) {
		struct rcl_area *area;
		uint64_t seed = r->seed + round * 10000;

		assert_ok(rcl_area_anon(r->machine, NULL, 450, 0, &area));
		for (uint64_t i = 0; i < 450; i++)
			write_page(area, i, seed + i);
		for (uint64_t i = 0; i < 450; i += 2)
			assert_ok(rcl_area_punch(area, i, 1));
		for (uint64_t i = 0; i < 450; i++) {
			if (i % 2)
				check_page(area, i, seed + i);
			else
				write_page(area, i, seed - i);
		}
		for (uint64_t i = 0; i < 450; i++)
			check_page(area, i, i % 2 ? seed + i : seed - i);
		assert_ok(rcl_area_close(area));
	}
	return NULL;
}

static void is_used_again(void **state)
{
	/* 4 * 450 pages are needed at a time. */
	struct rcl_machine *machine = open_punching(2200 * RCL_PAGE_SIZE, RCL_OPEN_PUNCH_SWAP);
	struct rounds r[4];

	(void)state;
	for (uint64_t i = 0; i < 4; i++) {
		r[i] = (struct rounds){.machine = machine, .seed = i << 40};
		assert_ok(pthread_create(&r[i].thread, NULL, come_and_go, &r[i]));
	}
	for (int i = 0; i < 4; i++)
		assert_ok(pthread_join(r[i].thread, NULL));
	assert_int_equal(read_stats(machine, NULL).io_errors, 0);
	assert_true(shrinks_below(1 * MIB));
	assert_ok(rcl_close(machine));
}

static int set_up(void **state)
{
	(void)state;
	folder_make(&folder);
	return 0;
}
static int tear_down(void **state)
{
	(void)state;
	folder_remove(&folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_given_back),
		cmocka_unit_test(is_kept_without),
		cmocka_unit_test(is_used_again),
	};

	alarm(WATCHDOG_SECONDS);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
