/* SPDX-License-Identifier: MIT */
/* Faults injected into the host platform's I/O: errors reach the pages concerned, and only them. */
#include "io_world.h"
#include "platform/host/io.h"

#define BLOCKS 256
/* Requests that reading all of them takes; writing takes one. */
#define READS (BLOCKS / HOST_READ_PAGES)

static int write_all(struct io_world *w, int dev, int *errors)
{
	int nr = 0;

	w->plat->ops->plug_start(w->plat);
	for (u64 b = 0; b < BLOCKS; b++) {
		rcl_host_stamp(io_data(w, b), b + 1);
		io_submit(w, dev, RCL_IO_WRITE, b, b, false);
	}
	w->plat->ops->plug_finish(w->plat);
	for (u64 b = 0; b < BLOCKS; b++) {
		errors[b] = io_wait(w, b);
		nr += errors[b] != 0;
	}
	return nr;
}

static int read_all(struct io_world *w, int dev, int *errors)
{
	int nr = 0;

	w->plat->ops->plug_start(w->plat);
	for (u64 b = 0; b < BLOCKS; b++) {
		memset(io_data(w, b), 0x5a, PAGE_SIZE);
		io_submit(w, dev, RCL_IO_READ, b, b, true);
	}
	for (u64 b = 0; b < BLOCKS; b++) {
		errors[b] = io_wait(w, b);
		nr += errors[b] != 0;
		if (!errors[b])
			assert_int_equal(rcl_host_stamp_of(io_data(w, b)), b + 1);
	}
	w->plat->ops->plug_finish(w->plat);
	return nr;
}

/* A bad place on the disk, in the middle of a large request. */
static void bad_blocks(void **state)
{
	struct rcl_host_fault_rule bad = {.kind = RCL_FAULT_ERROR,
					  .dev = -1,
					  .op = RCL_IO_READ,
					  .first_block = 100,
					  .nr_blocks = 3,
					  .ppm = 1000000,
					  .amount = EIO};
	struct rcl_host_faults faults = {.nr_rules = 1, .rules = &bad};
	struct io_world *w = io_world_open(state, &(struct io_world_options){.faults = &faults});
	int errors[BLOCKS], dev = io_file(w, "file", BLOCKS * PAGE_SIZE);

	assert_int_equal(write_all(w, dev, errors), 0);
	assert_int_equal(read_all(w, dev, errors), 3);
	for (u32 b = 0; b < BLOCKS; b++)
		assert_int_equal(errors[b], b >= 100 && b < 103 ? -EIO : 0);
	assert_int_equal(io_info(w, dev).errors, 3);
	assert_int_equal(io_info(w, dev).reads, READS);
	/* Not for another device. */
	bad.dev = dev + 1;
	assert_int_equal(read_all(w, dev, errors), 0);
	io_file_gone(w, "file", dev);
	io_world_close(w);
}

/* Every third write fails, whatever is behind it. */
static void every_nth(void **state)
{
	struct rcl_host_fault_rule bad = {
		.kind = RCL_FAULT_ERROR, .dev = -1, .op = RCL_IO_WRITE, .nth = 3, .amount = ENOSPC};
	struct rcl_host_faults faults = {.nr_rules = 1, .rules = &bad};
	struct io_world *w = io_world_open(state, &(struct io_world_options){.faults = &faults});
	int dev = io_file(w, "file", BLOCKS * PAGE_SIZE);

	for (u32 b = 0; b < 30; b++)
		assert_int_equal(io_write_stamp(w, dev, b, 0, 1000 + b), b % 3 == 2 ? -ENOSPC : 0);
	/* Nothing was written for those. */
	for (u32 b = 0; b < 30; b++)
		assert_int_equal(io_read_stamp(w, dev, b, 0), b % 3 == 2 ? 0 : 1000 + b);
	assert_int_equal(bad.hits, 10);
	io_file_gone(w, "file", dev);
	io_world_close(w);
}

/* By how much a transfer may fall short. */
static void short_transfers(void **state)
{
	static const u64 by[] = {1,	  511, 512, 4095, 4096, 5000, 100000, BLOCKS * 4096 - 1,
				 1u << 30};
	struct rcl_host_fault_rule less = {
		.kind = RCL_FAULT_SHORT, .dev = -1, .op = -1, .ppm = 1000000};
	struct rcl_host_faults faults = {.nr_rules = 1, .rules = &less};
	struct io_world *w = io_world_open(state, &(struct io_world_options){.faults = &faults});
	int errors[BLOCKS], dev = io_file(w, "file", BLOCKS * PAGE_SIZE);
	int plain =
		rcl_host_open_file(w->h, io_path(w, "file"), RCL_HOST_WRITE | RCL_HOST_BUFFERED);

	for (u32 i = 0; i < ARRAY_SIZE(by); i++) {
		less.amount = by[i];
		assert_int_equal(write_all(w, dev, errors), 0);
		assert_int_equal(read_all(w, dev, errors), 0);
		assert_int_equal(write_all(w, plain, errors), 0);
		assert_int_equal(read_all(w, plain, errors), 0);
	}
	assert_true(less.hits >= 4 * ARRAY_SIZE(by));
	rcl_host_close_device(w->h, (u16)plain);
	io_file_gone(w, "file", dev);
	io_world_close(w);
}

static void interrupted(void **state)
{
	struct rcl_host_fault_rule storm = {
		.kind = RCL_FAULT_EINTR, .dev = -1, .op = -1, .ppm = 500000, .amount = 1000};
	struct rcl_host_faults faults = {.nr_rules = 1, .rules = &storm};
	struct io_world *w = io_world_open(state, &(struct io_world_options){.faults = &faults});
	int errors[BLOCKS], dev = io_file(w, "file", BLOCKS * PAGE_SIZE);

	for (u32 i = 0; i < 10; i++) {
		assert_int_equal(write_all(w, dev, errors), 0);
		assert_int_equal(read_all(w, dev, errors), 0);
	}
	assert_in_range(storm.hits, 1, 10 * (1 + READS) - 1);
	io_file_gone(w, "file", dev);
	io_world_close(w);
}

static void refused(void **state)
{
	struct rcl_host_faults faults = {.refuse_uring = true};
	struct rcl_host_config hc = {.nr_frames = 16, .faults = &faults};
	struct rcl_host *h;

	(void)state;
	assert_int_equal(rcl_host_create(&hc, &h), 0);
	assert_string_equal(rcl_host_io_backend(h), "threads");
	rcl_host_destroy(h);
	faults.refuse_uring = false;
	hc.no_uring = true;
	assert_int_equal(rcl_host_create(&hc, &h), 0);
	assert_string_equal(rcl_host_io_backend(h), "threads");
	rcl_host_destroy(h);
}

/* The disk returns something else than was written to it. */
static void corruption(void **state)
{
	struct rcl_host_fault_rule wrong = {
		.kind = RCL_FAULT_CORRUPT, .dev = -1, .op = RCL_IO_READ, .nth = 2 * READS};
	struct rcl_host_faults faults = {.nr_rules = 1, .rules = &wrong};
	struct io_world *w = io_world_open(state, &(struct io_world_options){.faults = &faults});
	int errors[BLOCKS], dev = rcl_host_open_swap(w->h, NULL, w->dir, BLOCKS * PAGE_SIZE, 0);

	assert_true(dev >= 0);
	assert_int_equal(write_all(w, dev, errors), 0);
	assert_int_equal(read_all(w, dev, errors), 0);
	assert_int_equal(read_all(w, dev, errors), 1);
	assert_int_equal(errors[BLOCKS - HOST_READ_PAGES], -EIO);
	assert_int_equal(io_info(w, dev).checksum_errors, 1);
	assert_int_equal(read_all(w, dev, errors), 0);
	rcl_host_close_device(w->h, (u16)dev);
	io_world_close(w);
}

/* The same seed and the same requests: the same faults; another seed: others. */
static void from_a_seed(void **state)
{
	struct rcl_host_fault_rule some = {.kind = RCL_FAULT_ERROR,
					   .dev = -1,
					   .op = RCL_IO_WRITE,
					   .ppm = 200000,
					   .amount = EIO};
	struct rcl_host_faults faults = {.nr_rules = 1, .rules = &some};
	u8 failed[3][BLOCKS];

	for (u32 run = 0; run < 3; run++) {
		struct io_world *w;
		int dev;

		faults.seed = run == 2 ? 99 : 7;
		faults.nr_requests = 0;
		w = io_world_open(state, &(struct io_world_options){.faults = &faults});
		dev = io_file(w, "file", BLOCKS * PAGE_SIZE);
		for (u64 b = 0; b < BLOCKS; b++)
			failed[run][b] = io_write_stamp(w, dev, b, 0, b) != 0;
		io_file_gone(w, "file", dev);
		io_world_close(w);
	}
	assert_memory_equal(failed[0], failed[1], BLOCKS);
	assert_memory_not_equal(failed[0], failed[2], BLOCKS);
	assert_in_range(some.hits, 3 * BLOCKS / 10, 3 * BLOCKS * 3 / 10);
}

/* All of it at once, from four threads, on a file and on swap: content is right in the end. */
static void everything(void **state)
{
	struct rcl_host_fault_rule rules[] = {
		{.kind = RCL_FAULT_ERROR, .dev = -1, .op = -1, .ppm = 20000, .amount = EIO},
		{.kind = RCL_FAULT_ERROR,
		 .dev = -1,
		 .op = RCL_IO_WRITE,
		 .nth = 50,
		 .amount = ENOSPC},
		{.kind = RCL_FAULT_SHORT, .dev = -1, .op = -1, .ppm = 50000, .amount = 700},
		{.kind = RCL_FAULT_SHORT, .dev = -1, .op = -1, .ppm = 50000, .amount = 70000},
		{.kind = RCL_FAULT_EINTR, .dev = -1, .op = -1, .ppm = 50000, .amount = 5},
		{.kind = RCL_FAULT_DELAY, .dev = -1, .op = -1, .ppm = 20000, .amount = 200000},
	};
	struct rcl_host_faults faults = {.seed = 3, .nr_rules = ARRAY_SIZE(rules), .rules = rules};
	struct io_world *w =
		io_world_open(state, &(struct io_world_options){.faults = &faults, .io_depth = 16});
	int file = io_file(w, "file", IO_THREADS * 512 * PAGE_SIZE);
	int swap = rcl_host_open_swap(w->h, NULL, w->dir, IO_THREADS * 512 * PAGE_SIZE, 0);
	struct io_model mo = {
		.w = w, .dev = file, .blocks = 512, .frames = 64, .rounds = 100, .errors = true};

	io_model_run(&mo, NULL);
	assert_true(mo.nr_errors > 0);
	mo.dev = swap;
	io_model_run(&mo, NULL);
	assert_int_equal(io_info(w, swap).checksum_errors, 0);
	for (u32 i = 0; i < ARRAY_SIZE(rules); i++)
		assert_true(rules[i].hits > 0);
	rcl_host_close_device(w->h, (u16)swap);
	io_file_gone(w, "file", file);
	io_world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IO_TEST(bad_blocks),  IO_TEST(every_nth),	 IO_TEST(short_transfers),
		IO_TEST(interrupted), IO_TEST(corruption),	 IO_TEST(from_a_seed),
		IO_TEST(everything),  cmocka_unit_test(refused),
	};

	alarm(200);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
