/* SPDX-License-Identifier: MIT */
/* I/O on block devices, by either backend: sizes, O_DIRECT with sectors of 512 and 4096, swap. */
#include "io_world.h"

#include <fcntl.h>

#include "../loop_device.h"

#define BLOCKS 512u

static void make_device(struct io_world *w, struct loop_device *l, u64 bytes, u32 sector)
{
	int err = loop_make(l, io_path(w, "image"), bytes, sector, false);

	assert_int_equal(err, 0);
}
static void remove_device(struct io_world *w, struct loop_device *l)
{
	loop_detach(l);
	assert_int_equal(unlink(io_path(w, "image")), 0);
}

static void random_io(void **state)
{
	for (u32 sector = 512; sector <= 4096; sector *= 8) {
		struct io_world *w = io_world_open(state, &(struct io_world_options){0});
		const u64 bytes = IO_THREADS * BLOCKS * PAGE_SIZE;
		struct rcl_host_device_info info;
		struct loop_device l;
		int dev;

		make_device(w, &l, bytes, sector);
		dev = rcl_host_open_file(w->h, l.path, RCL_HOST_WRITE);
		assert_true(dev >= 0);
		info = io_info(w, dev);
		assert_int_equal(info.bytes, bytes);
		assert_true(info.is_block && info.direct && info.writable);
		io_model_run(
			&(struct io_model){
				.w = w, .dev = dev, .blocks = BLOCKS, .frames = 64, .rounds = 100},
			NULL);
		assert_int_equal(rcl_host_sync(w->h, (u16)dev), 0);
		assert_int_equal(io_info(w, dev).errors, 0);
		assert_int_equal(rcl_host_truncate(w->h, (u16)dev, bytes / 2), -EINVAL);
		assert_int_equal(io_info(w, dev).bytes, bytes);
		rcl_host_close_device(w->h, (u16)dev);
		remove_device(w, &l);
		io_world_close(w);
	}
}

static void random_swap(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	const u64 bytes = IO_THREADS * BLOCKS * PAGE_SIZE;
	struct loop_device l;
	int dev;

	make_device(w, &l, bytes + 3 * PAGE_SIZE, 4096);
	dev = rcl_host_open_swap(w->h, l.path, NULL, bytes, RCL_HOST_PREALLOCATE);
	assert_true(dev >= 0);
	assert_int_equal(io_info(w, dev).bytes, bytes);
	assert_true(io_info(w, dev).direct);
	io_model_run(
		&(struct io_model){
			.w = w, .dev = dev, .blocks = BLOCKS, .frames = 64, .rounds = 50},
		NULL);
	assert_int_equal(io_info(w, dev).errors + io_info(w, dev).checksum_errors, 0);
	/* What lies behind the swap is not its. */
	assert_int_equal(io_do(w, dev, RCL_IO_WRITE, IO_THREADS * BLOCKS, 0), -EIO);
	/* Slots that are given back. */
	assert_int_equal(io_write_stamp(w, dev, 7, 0, 99), 0);
	assert_int_equal(io_write_stamp(w, dev, 8, 0, 100), 0);
	assert_int_equal(rcl_host_punch(w->h, (u16)dev, 7, 1), 0);
	assert_int_equal(io_read_stamp(w, dev, 7, 0), 0);
	assert_int_equal(io_read_stamp(w, dev, 8, 0), 100);
	rcl_host_close_device(w->h, (u16)dev);
	remove_device(w, &l);
	io_world_close(w);
}

static bool have_loop_devices(void)
{
	char path[TEST_FOLDER_SIZE], image[TEST_PATH_SIZE];
	struct loop_device l;
	int err;

	if (!test_folder_make(path))
		return false;
	snprintf(image, sizeof(image), "%s/image", path);
	err = loop_make(&l, image, PAGE_SIZE, 4096, false);
	if (!err)
		loop_detach(&l);
	unlink(image);
	rmdir(path);
	return !err;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IO_TEST(random_io),
		IO_TEST(random_swap),
	};

	alarm(100);
	if (!have_loop_devices())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
