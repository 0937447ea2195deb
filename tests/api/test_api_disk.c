/* SPDX-License-Identifier: MIT */
/*
 * Disks that are full and files that others damage, really: swap that is cut off or overwritten
 * underneath, a filesystem without room (for root only: a small one is mounted).
 */
#define _GNU_SOURCE 1 /* unshare */
#include "fault_world.h"

#include <sched.h>
#include <sys/mount.h>

#define PAGES 2500u

/* All pages: right, or -EIO where that is allowed. Returns how many failed. */
static uint64_t survey(struct rcl_area *area, uint64_t seed)
{
	uint64_t failed = 0;

	for (uint64_t i = 0; i < PAGES; i++) {
		int err = try_page(area, i, i + seed);

		if (err)
			assert_int_equal(err, -EIO);
		failed += err != 0;
	}
	return failed;
}

/* Everything works again for who writes everything anew. */
static void recovers(struct fault_world *w)
{
	struct rcl_pin pin;

	for (uint64_t i = 0; i < PAGES; i++) {
		assert_ok(rcl_pin(w->area, i, RCL_OVERWRITE, &pin));
		fill_page(pin.addr, i + 7000);
		rcl_unpin(&pin);
	}
	assert_int_equal(survey(w->area, 7000), 0);
}

/* What was cut off is lost, and nobody is told otherwise; the rest is there. */
static void swap_cut_off(void **state)
{
	struct fault_world w;
	uint64_t failed;

	fault_open(state, &w);
	fault_anon(&w, PAGES);
	for (uint64_t i = 0; i < PAGES; i++)
		write_page(w.area, i, i);
	assert_int_equal(survey(w.area, 0), 0);
	assert_ok(truncate(folder_file(&w.folder, "swap"), 300 * RCL_PAGE_SIZE + 100));
	failed = survey(w.area, 0);
	assert_in_range(failed, 1, PAGES - 200);
	assert_true(read_stats(w.machine, NULL).checksum_errors >= failed);
	/* Again: the same ones. */
	assert_true(survey(w.area, 0) >= failed);
	recovers(&w);
	fault_close(&w);
}

static void swap_overwritten(void **state)
{
	static char garbage[RCL_PAGE_SIZE];
	struct fault_world w;
	uint64_t failed, from_disk;
	int fd;

	fault_open(state, &w);
	fault_anon(&w, PAGES);
	for (uint64_t i = 0; i < PAGES; i++)
		write_page(w.area, i, i);
	fd = open(folder_file(&w.folder, "swap"), O_WRONLY);
	assert_true(fd >= 0);
	memset(garbage, 0x55, sizeof(garbage));
	for (uint64_t i = 0; i < PAGES; i += 2)
		assert_int_equal(pwrite(fd, garbage, sizeof(garbage), (off_t)(i * RCL_PAGE_SIZE)),
				 sizeof(garbage));
	failed = survey(w.area, 0);
	from_disk = read_stats(w.machine, NULL).swapped_in;
	assert_in_range(failed, 1, from_disk);
	assert_true(failed < PAGES * 2 / 3);
	assert_true(read_stats(w.machine, NULL).checksum_errors >= failed);
	close(fd);
	recovers(&w);
	fault_close(&w);
}

/* A file that others make shorter: what is gone reads as zeros or as it was, and nobody stumbles.
 */
static void file_cut_off(void **state)
{
	struct fault_world w;
	struct rcl_pin pin;

	fault_open(state, &w);
	fault_file(&w, "f", PAGES, RCL_AREA_WRITE);
	for (uint64_t i = 0; i < 100; i++)
		check_page(w.area, i, i);
	assert_ok(truncate(folder_file(&w.folder, "f"), 500 * RCL_PAGE_SIZE + 100));
	for (uint64_t i = 0; i < 500; i++)
		check_page(w.area, i, i);
	for (uint64_t i = 501; i < PAGES; i++) {
		assert_ok(rcl_pin(w.area, i, RCL_READ, &pin));
		assert_true(page_is(pin.addr, i) || is_zero(pin.addr, RCL_PAGE_SIZE));
		rcl_unpin(&pin);
	}
	write_page(w.area, 1000, 5);
	assert_ok(rcl_area_sync(w.area, 0, 0));
	assert_true(disk_has(&w, "f", 1000, 5));
	fault_close(&w);
}

/* ---- a full disk --------------------------------------------------------------------------- */

/* So much disk at the world's folder, for this process alone; false: not for us. */
static bool mount_small(struct fault_world *w, const char *size)
{
	return !unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("small", w->folder.path, "tmpfs", 0, size);
}

static void open_on_small(void **state, struct fault_world *w, const char *size)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;

	memset(w, 0, sizeof(*w));
	folder_make(&w->folder);
	if (!mount_small(w, size)) {
		folder_remove(&w->folder);
		skip();
	}
	opt.budget = 2 * MIB;
	opt.swap_size = 64 * MIB;
	opt.swap_dir = w->folder.path;
	fault_open_with(state, w, &opt);
}

static void close_on_small(struct fault_world *w)
{
	assert_ok(rcl_area_close(w->area));
	assert_ok(rcl_close(w->machine));
	assert_ok(umount(w->folder.path));
	folder_remove(&w->folder);
}

/* Some of it fits. What does not is told by the sync, and can be written when there is room. */
static void full_disk_under_a_file(void **state)
{
	struct fault_world w;
	uint64_t there = 0;
	char *rest;
	int fd;

	open_on_small(state, &w, "size=4m");
	fd = open(folder_file(&w.folder, "filler"), O_RDWR | O_CREAT, 0600);
	rest = calloc(1, 3 * MIB);
	assert_int_equal(write(fd, rest, 3 * MIB), 3 * MIB);
	free(rest);
	assert_ok(rcl_area_file(w.machine, NULL, folder_file(&w.folder, "f"),
				RCL_AREA_WRITE | RCL_AREA_CREATE, &w.area));
	assert_ok(rcl_area_truncate(w.area, 500 * RCL_PAGE_SIZE));
	for (uint64_t i = 0; i < 500; i++)
		write_page(w.area, i, i);
	assert_int_equal(rcl_area_sync(w.area, 0, 0), -ENOSPC);
	for (uint64_t i = 0; i < 500; i++)
		there += disk_has(&w, "f", i, i);
	assert_in_range(there, 200, 260);
	assert_ok(ftruncate(fd, 0));
	close(fd);
	write_through(&w, "f", 500, 1);
	close_on_small(&w);
}

/* 64 MiB of swap were promised, and there is 1: memory is full then, and nothing is lost. */
static void full_disk_under_swap(void **state)
{
	struct rcl_pin pin;
	struct fault_world w;
	uint64_t nr;
	int err = 0;

	open_on_small(state, &w, "size=1m");
	fault_anon(&w, 4 * PAGES);
	for (nr = 0; nr < 4 * PAGES; nr++) {
		err = rcl_pin(w.area, nr, RCL_WRITE, &pin);
		if (err)
			break;
		fill_page(pin.addr, nr);
		rcl_unpin(&pin);
	}
	assert_int_equal(err, -ENOMEM);
	assert_in_range(nr, 500, 760);
	/* What is in memory is there; to bring something in, something else would have to go. */
	for (uint64_t i = nr; i-- > nr - 100;)
		check_page(w.area, i, i);
	/* Who gives something up has room again. */
	assert_ok(rcl_area_punch(w.area, nr - 100, 100));
	for (uint64_t i = 0; i < nr - 100; i++)
		check_page(w.area, i, i);
	for (uint64_t i = nr - 100; i < nr - 60; i++)
		write_page(w.area, i, i + 9);
	for (uint64_t i = 0; i < nr - 60; i++)
		check_page(w.area, i, i < nr - 100 ? i : i + 9);
	close_on_small(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT_TEST(swap_cut_off),	  FAULT_TEST(swap_overwritten),
		FAULT_TEST(file_cut_off),	  FAULT_TEST(full_disk_under_a_file),
		FAULT_TEST(full_disk_under_swap),
	};

	alarm(WATCHDOG_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
