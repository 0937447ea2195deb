/* SPDX-License-Identifier: MIT */
/*
 * More pages of a file pinned for writing than may be dirty: who holds them cannot be made to wait
 * until they are written.
 */
#include "api_test.h"

static struct folder folder;

static struct rcl_area *make_area(struct rcl_machine *machine, struct rcl_group *group,
				  uint64_t pages)
{
	struct rcl_area *area;

	assert_ok(rcl_area_file(machine, group, folder_file(&folder, "f"),
				RCL_AREA_WRITE | RCL_AREA_CREATE, &area));
	assert_ok(rcl_area_truncate(area, pages * RCL_PAGE_SIZE));
	return area;
}

static void check_file(uint64_t pages)
{
	static char buf[RCL_PAGE_SIZE];
	int fd = open(folder_file(&folder, "f"), O_RDONLY);

	assert_true(fd >= 0);
	for (uint64_t i = 0; i < pages; i++) {
		assert_int_equal(pread(fd, buf, sizeof(buf), (off_t)(i * sizeof(buf))),
				 sizeof(buf));
		assert_true(page_is(buf, i));
	}
	assert_ok(close(fd));
}

static void check_any(struct rcl_area *area, uint64_t page)
{
	struct rcl_pin pin;

	assert_ok(rcl_pin(area, page, RCL_READ, &pin));
	rcl_unpin(&pin);
}

static void pin_and_fill(struct rcl_area *area, uint64_t pages, uint32_t how)
{
	struct rcl_pin *pins = calloc(pages, sizeof(*pins));

	assert_ok(rcl_pin_range(area, 0, pages, how, pins));
	for (uint64_t i = 0; i < pages; i++)
		fill_page(pins[i].addr, i);
	rcl_unpin_batch(pins, pages);
	for (uint64_t i = 0; i < pages; i++)
		assert_ok(rcl_pin(area, i, how, &pins[i]));
	for (uint64_t i = 0; i < pages; i++)
		fill_page(pins[i].addr, i);
	rcl_unpin_batch(pins, pages);
	free(pins);
}

static void test_machine(void **state)
{
	struct rcl_machine *machine = open_machine(8 * MIB, 0);
	struct rcl_area *area = make_area(machine, NULL, 1500);

	(void)state;
	pin_and_fill(area, 1500, RCL_WRITE);
	pin_and_fill(area, 1500, RCL_OVERWRITE);
	assert_ok(rcl_area_close(area));
	check_file(1500);
	assert_ok(rcl_close(machine));
}

static void test_group(void **state)
{
	struct rcl_machine *machine = open_machine(16 * MIB, 0);
	struct rcl_group *group;
	struct rcl_area *area;

	(void)state;
	assert_ok(rcl_group_create(machine, NULL, "g", &group));
	assert_ok(rcl_group_set_max(group, 4 * MIB));
	area = make_area(machine, group, 700);
	pin_and_fill(area, 700, RCL_WRITE);
	pin_and_fill(area, 700, RCL_OVERWRITE);
	assert_ok(rcl_area_close(area));
	check_file(700);
	assert_ok(rcl_group_destroy(group));
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

/*
 * So little memory that few pages may be dirty: who writes waits after each. The page is clean again
 * before the wait is over; then it must not have to be made writable anew, and waited for, for ever.
 */
static void test_little_may_be_dirty(void **state)
{
	struct rcl_machine *machine = open_machine(16 * MIB, 0);
	struct rcl_group *group;
	struct rcl_area *area;

	(void)state;
	assert_ok(rcl_group_create(machine, NULL, "g", &group));
	assert_ok(rcl_group_set_max(group, MIB));
	area = make_area(machine, group, 20);
	assert_ok(rcl_tunable_set(machine, "vm.dirty_bytes", 2 * RCL_PAGE_SIZE));
	assert_ok(rcl_tunable_set(machine, "vm.dirty_background_bytes", 1));
	for (uint64_t i = 0; i < 20; i++) {
		check_any(area, i); /* or it would be dirty from the start */
		write_page(area, i, i);
	}
	assert_ok(rcl_area_close(area));
	check_file(20);
	assert_ok(rcl_group_destroy(group));
	assert_ok(rcl_close(machine));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_little_may_be_dirty),
	};

	alarm(WATCHDOG_SECONDS);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
