/* SPDX-License-Identifier: MIT */
/* Swap of the host platform: private, locked, checked, and what happens when its file is harmed. */
#define _GNU_SOURCE 1 /* O_DIRECT */
#include "io_world.h"

#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>

#define SLOTS 256

static int open_swap(struct io_world *w, const char *name, u64 slots, u32 flags)
{
	char path[TEST_PATH_SIZE];

	if (!name)
		return rcl_host_open_swap(w->h, NULL, w->dir, slots * PAGE_SIZE, flags);
	snprintf(path, sizeof(path), "%s", io_path(w, name));
	return rcl_host_open_swap(w->h, path, NULL, slots * PAGE_SIZE, flags);
}

static u64 stamp_of(u64 slot)
{
	return 0xabcd000000 + slot * 7;
}

/* Write slots [0, nr) from frames of the same numbers. */
static void write_slots(struct io_world *w, int dev, u64 nr)
{
	w->plat->ops->plug_start(w->plat);
	for (u64 i = 0; i < nr; i++) {
		rcl_host_stamp(io_data(w, i), stamp_of(i));
		io_submit(w, dev, RCL_IO_WRITE, i, i, false);
	}
	w->plat->ops->plug_finish(w->plat);
}

/* Read slots [0, nr) in one go; errors[i] says how each went; those without are right. */
static void read_slots(struct io_world *w, int dev, u64 nr, int *errors)
{
	w->plat->ops->plug_start(w->plat);
	for (u64 i = 0; i < nr; i++) {
		memset(io_data(w, i), 0x5a, PAGE_SIZE);
		io_submit(w, dev, RCL_IO_READ, i, i, true);
	}
	for (u64 i = 0; i < nr; i++) {
		errors[i] = io_wait(w, i);
		if (!errors[i])
			assert_int_equal(rcl_host_stamp_of(io_data(w, i)), stamp_of(i));
	}
	w->plat->ops->plug_finish(w->plat);
}

static void wait_slots(struct io_world *w, u64 nr)
{
	for (u64 i = 0; i < nr; i++)
		assert_int_equal(io_wait(w, i), 0);
}

static u32 names_in(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	u32 nr = 0;

	while ((e = readdir(d)))
		nr += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	closedir(d);
	return nr;
}

static void unnamed(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	int errors[SLOTS], dev = open_swap(w, NULL, SLOTS, 0);

	assert_true(dev >= 0);
	assert_int_equal(names_in(w->dir), 0);
	assert_int_equal(io_info(w, dev).bytes, SLOTS * PAGE_SIZE);
	/* What was never written reads as zeros, and no I/O is done for it. */
	assert_int_equal(io_read_stamp(w, dev, 17, 0), 0);
	assert_int_equal(io_info(w, dev).reads, 0);
	write_slots(w, dev, SLOTS);
	wait_slots(w, SLOTS);
	read_slots(w, dev, SLOTS, errors);
	for (u32 i = 0; i < SLOTS; i++)
		assert_int_equal(errors[i], 0);
	assert_in_range(io_info(w, dev).reads, 1, SLOTS / 8); /* neighbours go together */
	/* There is nothing beyond. */
	assert_int_equal(io_do(w, dev, RCL_IO_READ, SLOTS, 0), -EIO);
	assert_int_equal(io_do(w, dev, RCL_IO_WRITE, SLOTS, 0), -EIO);
	assert_int_equal(rcl_host_truncate(w->h, (u16)dev, 0), -EINVAL);
	rcl_host_close_device(w->h, (u16)dev);
	assert_true(rcl_host_open_swap(w->h, NULL, "/nonexistent", PAGE_SIZE, 0) < 0);
	assert_int_equal(open_swap(w, NULL, 0, 0), -EINVAL);
	io_world_close(w);
}

static void random_swap(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	int dev = open_swap(w, NULL, IO_THREADS * 512, 0);
	struct io_model mo = {.w = w, .dev = dev, .blocks = 512, .frames = 64, .rounds = 200};

	io_model_run(&mo, NULL);
	assert_int_equal(io_info(w, dev).errors, 0);
	assert_int_equal(io_info(w, dev).checksum_errors, 0);
	rcl_host_close_device(w->h, (u16)dev);
	io_world_close(w);
}

static void named(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	struct stat st;
	int dev, again;

	umask(0);
	dev = open_swap(w, "swap", SLOTS, 0);
	assert_true(dev >= 0);
	assert_int_equal(stat(io_path(w, "swap"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, SLOTS * PAGE_SIZE);
	write_slots(w, dev, SLOTS);
	wait_slots(w, SLOTS);
	/* One user. Who comes second does no harm. */
	assert_int_equal(open_swap(w, "swap", 1, 0), -EBUSY);
	assert_int_equal(stat(io_path(w, "swap"), &st), 0);
	assert_int_equal(st.st_size, SLOTS * PAGE_SIZE);
	rcl_host_close_device(w->h, (u16)dev);
	/* The next one does not see what was in it. */
	again = open_swap(w, "swap", SLOTS, RCL_HOST_PREALLOCATE);
	if (again != -EOPNOTSUPP) {
		assert_true(again >= 0);
		assert_int_equal(stat(io_path(w, "swap"), &st), 0);
		assert_true((u64)st.st_blocks * 512 >= SLOTS * PAGE_SIZE);
		assert_int_equal(io_read_stamp(w, again, 3, 0), 0);
		rcl_host_close_device(w->h, (u16)again);
	}
	assert_int_equal(unlink(io_path(w, "swap")), 0);
	assert_int_equal(rcl_host_open_swap(w->h, w->dir, NULL, PAGE_SIZE, 0), -EISDIR);
	io_world_close(w);
}

static void punched(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	int dev = open_swap(w, "swap", SLOTS, RCL_HOST_PUNCH);
	struct stat before, after;
	int err;

	assert_true(dev >= 0);
	write_slots(w, dev, SLOTS);
	wait_slots(w, SLOTS);
	assert_int_equal(rcl_host_sync(w->h, (u16)dev), 0);
	assert_int_equal(stat(io_path(w, "swap"), &before), 0);
	err = rcl_host_punch(w->h, (u16)dev, 16, 128);
	assert_true(!err || err == -EOPNOTSUPP);
	assert_int_equal(stat(io_path(w, "swap"), &after), 0);
	assert_true(err || after.st_blocks + 128 * 8 <= before.st_blocks);
	assert_int_equal(after.st_size, SLOTS * PAGE_SIZE);
	for (u64 i = 0; i < SLOTS; i++)
		assert_int_equal(io_read_stamp(w, dev, i, 0), i >= 16 && i < 144 ? 0 : stamp_of(i));
	/* And are written again. */
	assert_int_equal(io_write_stamp(w, dev, 20, 0, 5), 0);
	assert_int_equal(io_read_stamp(w, dev, 20, 0), 5);
	io_file_gone(w, "swap", dev);
	io_world_close(w);
}

/* One bit on the disk changes: that page is an error, and no other. */
static void corrupted(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	int errors[SLOTS], fd, dev = open_swap(w, "swap", SLOTS, 0);
	char byte;

	write_slots(w, dev, SLOTS);
	wait_slots(w, SLOTS);
	assert_int_equal(rcl_host_sync(w->h, (u16)dev), 0);
	fd = open(io_path(w, "swap"), O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, 100 * PAGE_SIZE + 1234), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, 100 * PAGE_SIZE + 1234), 1);
	close(fd);
	read_slots(w, dev, SLOTS, errors);
	for (u32 i = 0; i < SLOTS; i++)
		assert_int_equal(errors[i], i == 100 ? -EIO : 0);
	assert_int_equal(io_info(w, dev).checksum_errors, 1);
	assert_int_equal(io_info(w, dev).errors, 1);
	/* Written anew it is good again. */
	assert_int_equal(io_write_stamp(w, dev, 100, 0, 1), 0);
	assert_int_equal(io_read_stamp(w, dev, 100, 0), 1);
	io_file_gone(w, "swap", dev);
	io_world_close(w);
}

static void truncated(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	int errors[SLOTS], dev = open_swap(w, "swap", SLOTS, 0);

	write_slots(w, dev, SLOTS);
	wait_slots(w, SLOTS);
	assert_int_equal(truncate(io_path(w, "swap"), 99 * PAGE_SIZE + 77), 0);
	read_slots(w, dev, SLOTS, errors);
	for (u32 i = 0; i < SLOTS; i++)
		assert_int_equal(errors[i], i >= 99 ? -EIO : 0);
	assert_int_equal(io_info(w, dev).checksum_errors, SLOTS - 99);
	/* The rest goes on, and can grow again. */
	assert_int_equal(io_write_stamp(w, dev, 200, 0, 1), 0);
	assert_int_equal(io_read_stamp(w, dev, 200, 0), 1);
	assert_int_equal(io_read_stamp(w, dev, 98, 0), stamp_of(98));
	io_file_gone(w, "swap", dev);
	io_world_close(w);
}

/* A disk that is full: some pages are written, some are errors, and everybody knows which. */
static void full_disk(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	struct rcl_host_fault_rule full = {.kind = RCL_FAULT_ERROR,
					   .dev = -1,
					   .op = RCL_IO_WRITE,
					   .first_block = 64,
					   .nr_blocks = 4096,
					   .ppm = 1000000,
					   .amount = ENOSPC};
	struct rcl_host_faults faults = {.nr_rules = 1, .rules = &full};
	int written[SLOTS], errors[SLOTS], nr = 0, dev;
	/* For this process alone, so that it goes with it. */
	bool mounted = !unshare(CLONE_NEWNS) &&
		       !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
		       !mount("tmpfs", w->dir, "tmpfs", 0, "size=256k");

	/* Without the right to mount: pretend. */
	if (!mounted) {
		io_world_close(w);
		w = io_world_open(state, &(struct io_world_options){.faults = &faults});
	}
	dev = open_swap(w, "swap", SLOTS, 0);
	assert_true(dev >= 0);
	write_slots(w, dev, SLOTS);
	for (u32 i = 0; i < SLOTS; i++) {
		written[i] = io_wait(w, i);
		assert_true(!written[i] || written[i] == -ENOSPC);
		nr += !written[i];
	}
	assert_true(nr > 0 && nr <= 64);
	assert_int_equal(io_info(w, dev).errors, SLOTS - nr);
	read_slots(w, dev, SLOTS, errors);
	for (u32 i = 0; i < SLOTS; i++)
		assert_int_equal(errors[i], written[i] ? -EIO : 0);
	io_file_gone(w, "swap", dev);
	if (mounted)
		assert_int_equal(umount(w->dir), 0);
	io_world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IO_TEST(unnamed),   IO_TEST(random_swap), IO_TEST(named),     IO_TEST(punched),
		IO_TEST(corrupted), IO_TEST(truncated),	  IO_TEST(full_disk),
	};

	alarm(200);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
