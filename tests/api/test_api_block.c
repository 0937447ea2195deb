/* SPDX-License-Identifier: MIT */
/*
 * Block devices as areas and as swap: loop devices with sectors of 512 and of 4096 bytes. Skipped
 * where they are not to be had.
 */
#define _GNU_SOURCE 1 /* unshare, fallocate */
#include "api_test.h"

#include <linux/falloc.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "../loop_device.h"

#define PAGES 1500u

static struct folder folder;
static unsigned int sector = 512;

/* A device over the folder's file `name`; gone with the file when the test ends. */
static void make_device(struct loop_device *l, const char *name, uint64_t bytes)
{
	assert_ok(loop_make(l, folder_file(&folder, name), bytes, sector, false));
}
static void remove_device(struct loop_device *l, const char *name)
{
	loop_detach(l);
	assert_ok(unlink(folder_file(&folder, name)));
}

/* What is behind the device. */
static bool image_has(const char *name, uint64_t page, uint64_t seed)
{
	char content[RCL_PAGE_SIZE];
	int fd = open(folder_file(&folder, name), O_RDONLY);

	assert_int_equal(pread(fd, content, sizeof(content), (off_t)(page * RCL_PAGE_SIZE)),
			 sizeof(content));
	close(fd);
	return page_is(content, seed);
}
static bool image_is_zero(const char *name, uint64_t offset, size_t bytes)
{
	char *content = malloc(bytes);
	int fd = open(folder_file(&folder, name), O_RDONLY);
	bool zero;

	assert_int_equal(pread(fd, content, bytes, (off_t)offset), bytes);
	close(fd);
	zero = is_zero(content, bytes);
	free(content);
	return zero;
}
static void write_image(const char *name, uint64_t offset, const void *text, size_t bytes)
{
	int fd = open(folder_file(&folder, name), O_WRONLY);

	assert_int_equal(pwrite(fd, text, bytes, (off_t)offset), bytes);
	close(fd);
}

static uint32_t swap_flags;

static struct rcl_machine *open_on_swap(const char *path, uint64_t swap, int expected)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;
	struct rcl_machine *machine;
	char *message;
	int err;

	opt.budget = 2 * MIB;
	opt.swap_size = swap;
	opt.swap_path = path;
	opt.flags = swap_flags;
	err = rcl_open(&opt, &machine, &message);
	assert_int_equal(err, expected);
	if (err)
		assert_non_null(strstr(message, path));
	free(message);
	return machine;
}

/* ---- areas --------------------------------------------------------------------------------- */

static void pages_go_there_and_back(uint32_t flags)
{
	struct rcl_machine *machine = open_machine(2 * MIB, 0);
	struct rcl_area *area, *reader;
	struct rcl_pin pin, two[2];
	struct loop_device l;

	make_device(&l, "d", PAGES * RCL_PAGE_SIZE);
	assert_ok(rcl_area_file(machine, NULL, l.path, RCL_AREA_WRITE | flags, &area));
	assert_int_equal(rcl_area_pages(area), PAGES);
	assert_int_equal(rcl_area_file_size(area), PAGES * RCL_PAGE_SIZE);
	for (uint64_t i = 0; i < PAGES; i++)
		write_page(area, i, i);
	assert_ok(rcl_area_sync(area, 0, 0));
	for (uint64_t i = 0; i < PAGES; i++)
		assert_true(image_has("d", i, i));
	for (uint64_t i = 0; i < PAGES; i++)
		check_page(area, i, i);
	/* It has an end, and stays as long as it is. */
	assert_int_equal(rcl_pin(area, PAGES, RCL_WRITE, &pin), -ERANGE);
	assert_int_equal(rcl_pin_range(area, PAGES - 1, 2, RCL_OVERWRITE, two), -ERANGE);
	assert_int_equal(rcl_area_truncate(area, RCL_PAGE_SIZE), -EINVAL);
	assert_int_equal(rcl_area_truncate(area, (PAGES + 1) * RCL_PAGE_SIZE), -EINVAL);
	assert_int_equal(rcl_area_grow(area, PAGES + 1), -EINVAL);
	assert_int_equal(rcl_area_pages(area), PAGES);
	/* Holes. */
	write_page(area, 700, 7000);
	assert_ok(rcl_area_punch(area, 690, 20));
	assert_ok(rcl_area_punch(area, PAGES - 3, 3));
	assert_int_equal(rcl_area_punch(area, PAGES - 3, 4), -ERANGE);
	for (uint64_t i = 680; i < 720; i++) {
		if (i >= 690 && i < 710)
			check_zero(area, i);
		else
			check_page(area, i, i);
	}
	assert_ok(rcl_area_sync(area, 0, 0));
	assert_true(image_is_zero("d", 690 * RCL_PAGE_SIZE, 20 * RCL_PAGE_SIZE));
	assert_true(image_is_zero("d", (PAGES - 3) * RCL_PAGE_SIZE, 3 * RCL_PAGE_SIZE));
	assert_true(image_has("d", 689, 689) && image_has("d", 710, 710));
	assert_ok(rcl_area_file(machine, NULL, l.path, flags, &reader));
	check_page(reader, 689, 689);
	assert_int_equal(rcl_pin(reader, 0, RCL_WRITE, &pin), -EACCES);
	assert_ok(rcl_area_close(reader));
	assert_ok(rcl_area_close(area));
	assert_int_equal(read_stats(machine, NULL).io_errors, 0);
	assert_ok(rcl_close(machine));
	remove_device(&l, "d");
}

static void an_area(void **state)
{
	(void)state;
	pages_go_there_and_back(0);
}

static void an_area_through_the_kernels_cache(void **state)
{
	(void)state;
	pages_go_there_and_back(RCL_AREA_BUFFERED);
}

/* Pages whose writing waits in the kernel's cache are no reason not to punch. */
static void a_hole_in_what_is_just_written(void **state)
{
	struct rcl_machine *machine = open_machine(2 * MIB, 0);
	struct loop_device l;
	struct rcl_area *area;

	(void)state;
	make_device(&l, "d", 64 * RCL_PAGE_SIZE);
	assert_ok(rcl_area_file(machine, NULL, l.path, RCL_AREA_WRITE | RCL_AREA_BUFFERED, &area));
	for (int round = 0; round < 20; round++) {
		for (uint64_t i = 0; i < 64; i++)
			write_page(area, i, i + 1);
		/* To the kernel, not to the disk. */
		assert_ok(rcl_area_advise(area, 0, 64, RCL_ADVISE_PAGEOUT));
		for (int waits = 0; read_stats(machine, NULL).dirty && waits < 100; waits++)
			usleep(1000);
		assert_ok(rcl_area_punch(area, 8, 16));
		check_page(area, 7, 8);
		check_zero(area, 8);
		check_zero(area, 23);
		check_page(area, 24, 25);
	}
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
	remove_device(&l, "d");
}

/* The image is where there are no holes, so the device has none: zeros are written. */
static void no_holes(void **state)
{
	struct rcl_machine *machine;
	struct loop_device l;
	struct rcl_area *area;
	int fd;

	(void)state;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", folder.path, "ramfs", 0, NULL))
		skip();
	make_device(&l, "d", 64 * RCL_PAGE_SIZE);
	fd = open(l.path, O_WRONLY);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
	close(fd);
	machine = open_machine(2 * MIB, 0);
	assert_ok(rcl_area_file(machine, NULL, l.path, RCL_AREA_WRITE, &area));
	for (uint64_t i = 0; i < 64; i++)
		write_page(area, i, i);
	assert_ok(rcl_area_punch(area, 10, 30));
	assert_ok(rcl_area_sync(area, 0, 0));
	assert_true(image_is_zero("d", 10 * RCL_PAGE_SIZE, 30 * RCL_PAGE_SIZE));
	check_page(area, 9, 9);
	check_zero(area, 39);
	check_page(area, 40, 40);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
	remove_device(&l, "d");
	assert_ok(umount2(folder.path, MNT_DETACH));
}

/* No filesystem makes sure that a device ends with a page. */
static void an_odd_size(void **state)
{
	struct rcl_machine *machine = open_machine(2 * MIB, 0);
	const uint64_t bytes = 20 * RCL_PAGE_SIZE + 3 * 512;
	struct loop_device l;
	struct rcl_area *area;
	struct rcl_pin pin;

	(void)state;
	if (sector > 512) {
		assert_ok(rcl_close(machine));
		skip();
	}
	make_device(&l, "d", bytes);
	assert_ok(rcl_area_file(machine, NULL, l.path, RCL_AREA_WRITE, &area));
	assert_int_equal(rcl_area_file_size(area), bytes);
	assert_int_equal(rcl_area_pages(area), 21);
	for (uint64_t i = 0; i < 21; i++)
		write_page(area, i, i);
	assert_ok(rcl_area_sync(area, 0, 0));
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_area_file(machine, NULL, l.path, RCL_AREA_WRITE, &area));
	for (uint64_t i = 0; i < 20; i++)
		check_page(area, i, i);
	assert_ok(rcl_pin(area, 20, RCL_READ, &pin));
	assert_false(is_zero(pin.addr, 3 * 512));
	assert_true(is_zero((char *)pin.addr + 3 * 512, RCL_PAGE_SIZE - 3 * 512));
	rcl_unpin(&pin);
	assert_ok(rcl_area_punch(area, 19, 2));
	check_zero(area, 19);
	check_zero(area, 20);
	assert_ok(rcl_area_sync(area, 0, 0));
	assert_true(image_is_zero("d", 19 * RCL_PAGE_SIZE, RCL_PAGE_SIZE + 3 * 512));
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
	remove_device(&l, "d");
}

/* It is the device that counts, not the node through which it was found. */
static void two_names_of_one_device(void **state)
{
	struct rcl_machine *machine = open_machine(2 * MIB, 0);
	struct rcl_area *area, *other;
	char node[TEST_PATH_SIZE];
	struct loop_device l;
	struct stat st;
	int fd = -1;

	(void)state;
	make_device(&l, "d", 64 * RCL_PAGE_SIZE);
	assert_ok(fstat(l.fd, &st));
	snprintf(node, sizeof(node), "%s", folder_file(&folder, "node"));
	if (!mknod(node, S_IFBLK | 0600, st.st_rdev))
		fd = open(node, O_RDWR);
	if (fd < 0) {
		unlink(node);
		remove_device(&l, "d");
		assert_ok(rcl_close(machine));
		skip();
	}
	close(fd);
	assert_ok(rcl_area_file(machine, NULL, l.path, RCL_AREA_WRITE, &area));
	assert_ok(rcl_area_file(machine, NULL, node, RCL_AREA_WRITE, &other));
	write_page(area, 5, 50);
	check_page(other, 5, 50);
	write_page(other, 5, 51);
	check_page(area, 5, 51);
	assert_ok(rcl_area_close(area));
	check_page(other, 5, 51);
	assert_ok(rcl_area_close(other));
	assert_ok(unlink(node));
	assert_ok(rcl_close(machine));
	remove_device(&l, "d");
}

/* ---- whose it is --------------------------------------------------------------------------- */

static void one_writer(void **state)
{
	struct rcl_machine *machine = open_machine(2 * MIB, 0), *second = open_machine(2 * MIB, 0);
	struct rcl_area *area, *other, *reader;
	struct loop_device l;

	(void)state;
	make_device(&l, "d", 64 * RCL_PAGE_SIZE);
	assert_ok(rcl_area_file(machine, NULL, l.path, 0, &reader));
	assert_ok(rcl_area_file(machine, NULL, l.path, RCL_AREA_WRITE, &area));
	assert_int_equal(rcl_area_file(second, NULL, l.path, RCL_AREA_WRITE, &other), -EBUSY);
	assert_null(other);
	assert_null(open_on_swap(l.path, 32 * RCL_PAGE_SIZE, -EBUSY));
	/* But the machine itself may come again, and looking is always allowed. */
	assert_ok(rcl_area_file(machine, NULL, l.path, RCL_AREA_WRITE, &other));
	assert_ok(rcl_area_close(area));
	assert_int_equal(rcl_area_file(second, NULL, l.path, RCL_AREA_WRITE, &area), -EBUSY);
	assert_ok(rcl_area_file(second, NULL, l.path, 0, &area));
	check_zero(area, 3);
	assert_ok(rcl_area_close(area));
	write_page(other, 3, 3);
	check_page(reader, 3, 3);
	assert_ok(rcl_area_close(other));
	assert_ok(rcl_area_close(reader));
	/* Let go of with the last. */
	assert_ok(rcl_area_file(second, NULL, l.path, RCL_AREA_WRITE, &other));
	check_page(other, 3, 3);
	assert_ok(rcl_area_close(other));
	assert_ok(rcl_close(machine));
	assert_ok(rcl_close(second));
	remove_device(&l, "d");
}

/* What a volume manager, a RAID or a mounted filesystem does. */
static void held_by_others(void **state)
{
	struct rcl_machine *machine = open_machine(2 * MIB, 0);
	struct rcl_area *area;
	struct loop_device l;
	int fd;

	(void)state;
	make_device(&l, "d", 64 * RCL_PAGE_SIZE);
	fd = open(l.path, O_RDONLY | O_EXCL);
	assert_true(fd >= 0);
	assert_int_equal(rcl_area_file(machine, NULL, l.path, RCL_AREA_WRITE, &area), -EBUSY);
	assert_null(open_on_swap(l.path, 32 * RCL_PAGE_SIZE, -EBUSY));
	assert_ok(rcl_area_file(machine, NULL, l.path, 0, &area));
	assert_ok(rcl_area_close(area));
	close(fd);
	assert_ok(rcl_area_file(machine, NULL, l.path, RCL_AREA_WRITE, &area));
	assert_int_equal(open(l.path, O_RDONLY | O_EXCL), -1);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
	remove_device(&l, "d");
}

static int with_a_mounted_device(void *arg)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;
	const struct loop_device *l = arg;
	struct rcl_machine *machine;
	struct rcl_area *area;
	int ret = 0;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(l->path, folder.path, "ext4", 0, NULL))
		return 77;
	opt.budget = 2 * MIB;
	if (rcl_open(&opt, &machine, NULL))
		return 1;
	if (rcl_area_file(machine, NULL, l->path, RCL_AREA_WRITE, &area) != -EBUSY)
		ret = 2;
	if (rcl_area_file(machine, NULL, l->path, 0, &area) || rcl_area_close(area))
		ret = 3;
	if (rcl_close(machine))
		ret = 4;
	opt.swap_size = MIB;
	opt.swap_path = l->path;
	if (rcl_open(&opt, &machine, NULL) != -EBUSY)
		ret = 5;
	return ret;
}

static void mounted(void **state)
{
	char command[TEST_PATH_SIZE + 64];
	struct loop_device l;
	int ret = 77;

	(void)state;
	make_device(&l, "d", 16 * MIB);
	snprintf(command, sizeof(command), "mke2fs -q -t ext4 %s >/dev/null 2>&1", l.path);
	if (!system(command))
		ret = in_child(with_a_mounted_device, &l);
	remove_device(&l, "d");
	if (ret == 77)
		skip();
	assert_ok(ret);
}

static void a_device_that_cannot_be_written(void **state)
{
	struct rcl_machine *machine = open_machine(2 * MIB, 0);
	struct rcl_area *area;
	struct loop_device l;

	(void)state;
	assert_ok(loop_make(&l, folder_file(&folder, "d"), 64 * RCL_PAGE_SIZE, sector, true));
	assert_int_equal(rcl_area_file(machine, NULL, l.path, RCL_AREA_WRITE, &area), -EROFS);
	assert_null(open_on_swap(l.path, 32 * RCL_PAGE_SIZE, -EROFS));
	assert_ok(rcl_area_file(machine, NULL, l.path, 0, &area));
	check_zero(area, 63);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
	remove_device(&l, "d");
}

/* ---- swap ---------------------------------------------------------------------------------- */

static void swap_on_a_device(void **state)
{
	static const uint64_t signatures[] = {0, 1024, 4086, 65536 + 64};
	struct rcl_machine *machine;
	struct loop_device l;
	struct rcl_area *area;
	struct stat st;

	(void)state;
	make_device(&l, "s", 16 * MIB);
	for (unsigned int i = 0; i < 4; i++)
		write_image("s", signatures[i], "A FILESYSTEM", 12);
	assert_null(open_on_swap(l.path, 16 * MIB + RCL_PAGE_SIZE, -ENOSPC));
	machine = open_on_swap(l.path, 16 * MIB, 0);
	assert_null(open_on_swap(l.path, 16 * MIB, -EBUSY));
	assert_int_equal(rcl_area_file(machine, NULL, l.path, RCL_AREA_WRITE, &area), -EBUSY);
	assert_ok(rcl_area_anon(machine, NULL, PAGES, 0, &area));
	for (int round = 0; round < 2; round++) {
		for (uint64_t i = 0; i < PAGES; i++)
			write_page(area, i, i + (uint64_t)round);
		for (uint64_t i = 0; i < PAGES; i++)
			check_page(area, i, i + (uint64_t)round);
	}
	assert_true(read_stats(machine, NULL).swapped_in > 500);
	assert_int_equal(read_stats(machine, NULL).io_errors, 0);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
	/* Nobody takes it for what it was, and what was in it is not seen. */
	machine = open_on_swap(l.path, 8 * MIB, 0);
	assert_true(image_is_zero("s", 0, 128 * 1024));
	assert_ok(rcl_close(machine));
	assert_ok(stat(folder_file(&folder, "s"), &st));
	assert_int_equal(st.st_size, 16 * MIB);
	remove_device(&l, "s");
}

/* The device gives what is free back to the file behind it. */
static void swap_that_is_punched(void **state)
{
	struct rcl_machine *machine;
	struct loop_device l;
	struct rcl_area *area;
	struct stat st;

	(void)state;
	make_device(&l, "s", 16 * MIB);
	swap_flags = RCL_OPEN_PUNCH_SWAP;
	machine = open_on_swap(l.path, 16 * MIB, 0);
	swap_flags = 0;
	assert_ok(rcl_area_anon(machine, NULL, PAGES, 0, &area));
	for (uint64_t i = 0; i < PAGES; i++)
		write_page(area, i, i);
	assert_ok(rcl_area_advise(area, 0, 0, RCL_ADVISE_PAGEOUT));
	for (uint64_t i = 0; i < PAGES; i++)
		check_page(area, i, i);
	assert_ok(rcl_area_close(area));
	for (int i = 0; i < 2000; i++) {
		assert_ok(stat(folder_file(&folder, "s"), &st));
		if (st.st_blocks * 512 < (off_t)MIB)
			break;
		usleep(10000);
	}
	assert_true(st.st_blocks * 512 < (off_t)MIB);
	assert_ok(rcl_close(machine));
	remove_device(&l, "s");
}

/* ---- the tests, with either kind of sectors ------------------------------------------------ */

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

static bool have_loop_devices(void)
{
	struct loop_device l;
	int err;

	folder_make(&folder);
	err = loop_make(&l, folder_file(&folder, "d"), MIB, 4096, false);
	if (err)
		printf("no loop devices here: %s\n", strerror(-err));
	else
		loop_detach(&l);
	folder_remove(&folder);
	return !err;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_area),
		cmocka_unit_test(an_area_through_the_kernels_cache),
		cmocka_unit_test(a_hole_in_what_is_just_written),
		cmocka_unit_test(no_holes),
		cmocka_unit_test(an_odd_size),
		cmocka_unit_test(two_names_of_one_device),
		cmocka_unit_test(one_writer),
		cmocka_unit_test(held_by_others),
		cmocka_unit_test(mounted),
		cmocka_unit_test(a_device_that_cannot_be_written),
		cmocka_unit_test(swap_on_a_device),
		cmocka_unit_test(swap_that_is_punched),
	};
	int failed;

	alarm(WATCHDOG_SECONDS);
	if (!have_loop_devices())
		return 77;
	failed = cmocka_run_group_tests_name("512", tests, set_up, tear_down);
	sector = 4096;
	return failed + cmocka_run_group_tests_name("4096", tests, set_up, tear_down);
}
