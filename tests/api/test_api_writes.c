/* SPDX-License-Identifier: MIT */
/* Pages on their way to swap are not memory that cannot go: a small budget waits for them. */
#include "api_test.h"

#define PAGES  4096ull /* sixteen times the budget */
#define PINNED 100

static void a_small_budget_waits_for_its_writes(void **state)
{
	struct rcl_machine *machine = open_machine(RCL_MIN_BUDGET, 64 * MIB);
	struct rcl_pin pins[PINNED];
	struct rcl_area *area, *held;

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, PAGES, 0, &area));
	assert_ok(rcl_area_anon(machine, NULL, PINNED, 0, &held));
	assert_ok(rcl_pin_range(held, 0, PINNED, RCL_OVERWRITE, pins));
	for (uint64_t round = 0; round < 4; round++) {
		for (uint64_t page = 0; page < PAGES; page++)
			write_page(area, page, round * PAGES + page);
		for (uint64_t page = 0; page < PAGES; page++)
			check_page(area, page, round * PAGES + page);
	}
	rcl_unpin_batch(pins, PINNED);
	assert_ok(rcl_area_close(held));
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
}

/* Nothing is being written, and nothing can go: it says so at once, not after some seconds. */
static void a_budget_full_of_pins_does_not_wait(void **state)
{
	struct rcl_machine *machine = open_machine(RCL_MIN_BUDGET, 64 * MIB);
	struct rcl_pin pins[RCL_MIN_BUDGET / RCL_PAGE_SIZE];
	struct rcl_area *area;
	size_t nr = 0;
	int err = 0;

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, PAGES, 0, &area));
	while (!err)
		err = rcl_pin(area, nr, RCL_OVERWRITE, &pins[nr]), nr += !err;
	assert_int_equal(err, -ENOMEM);
	assert_true(nr > RCL_MIN_BUDGET / RCL_PAGE_SIZE / 2);
	assert_int_equal(rcl_pin(area, nr, RCL_OVERWRITE, &pins[nr]), -ENOMEM);
	rcl_unpin_batch(pins, nr);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_budget_waits_for_its_writes),
		cmocka_unit_test(a_budget_full_of_pins_does_not_wait),
	};

	alarm(WATCHDOG_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
