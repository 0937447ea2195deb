/* SPDX-License-Identifier: MIT */
/*
 * Injected faults, seen from the public interface: who asked is told, nobody else notices, nothing
 * that can be kept is lost, nothing hangs, and the machine can be closed afterwards.
 */
#include "fault_world.h"

#include <pthread.h>
#include <stdatomic.h>

#define BAD_FIRST 100u
#define BAD_NR	  3u
#define PAGES	  1000u /* twice what there is room for */

static bool is_bad(uint64_t page)
{
	return page >= BAD_FIRST && page < BAD_FIRST + BAD_NR;
}

/* Blocks of a file that cannot be read. */
static void read_errors_of_a_file(void **state)
{
	struct rcl_host_fault_rule rule;
	struct fault_world w;
	struct rcl_pin pins[64], pin;

	fault_open(state, &w);
	fault_file(&w, "f", PAGES, RCL_AREA_WRITE);
	rule = fault_always(RCL_FAULT_ERROR, RCL_IO_READ, EIO);
	rule.first_block = BAD_FIRST;
	rule.nr_blocks = BAD_NR;
	fault_begin(&w, rule);
	/* Twice: the second time they come by other read-ahead, or not at all. */
	for (uint64_t i = 0; i < 2 * PAGES; i++)
		assert_int_equal(try_page(w.area, i % PAGES, i % PAGES),
				 is_bad(i % PAGES) ? -EIO : 0);
	for (uint64_t i = PAGES; i-- > 0;)
		assert_int_equal(try_page(w.area, i, i), is_bad(i) ? -EIO : 0);
	/* All or none. */
	assert_int_equal(rcl_pin_range(w.area, 60, 64, RCL_READ, pins), -EIO);
	for (int i = 0; i < 64; i++)
		assert_null(pins[i].addr);
	assert_ok(rcl_prefetch(w.area, 60, 100));
	assert_ok(rcl_pin_range(w.area, 36, 64, RCL_WRITE, pins));
	rcl_unpin_batch(pins, 64);
	assert_int_equal(rcl_pin(w.area, BAD_FIRST, RCL_WRITE, &pin), -EIO);
	assert_null(pin.addr);
	assert_int_equal(rcl_pin(w.area, BAD_FIRST, RCL_READ | RCL_WAIT, &pin), -EIO);
	assert_int_equal(rcl_pin(w.area, BAD_FIRST, RCL_READ | RCL_NOFAIL, &pin), -EIO);
	/* Who writes all of it needs not read it. */
	for (uint64_t i = BAD_FIRST; i < BAD_FIRST + BAD_NR; i++) {
		assert_ok(rcl_pin(w.area, i, RCL_OVERWRITE, &pin));
		fill_page(pin.addr, i);
		rcl_unpin(&pin);
	}
	assert_ok(rcl_area_sync(w.area, 0, 0));
	for (uint64_t i = 0; i < PAGES; i++)
		assert_true(disk_has(&w, "f", i, i));
	assert_true(read_stats(w.machine, NULL).io_errors >= BAD_NR);
	/* The disk recovers. */
	assert_ok(rcl_area_advise(w.area, 0, 0, RCL_ADVISE_PAGEOUT));
	fault_end(&w);
	for (uint64_t i = 0; i < PAGES; i++)
		assert_ok(try_page(w.area, i, i));
	fault_close(&w);
}

struct reader {
	struct rcl_area *area;
	uint64_t random, bad;
	pthread_t thread;
};

static void *read_at_random(void *arg)
{
	struct reader *r = arg;

	for (int n = 0; n < 4000; n++) {
		uint64_t page;
		int err;

		r->random = r->random * 6364136223846793005ull + 1442695040888963407ull;
		page = (r->random >> 33) % 600;
		err = try_page(r->area, page, page);
		if (err)
			r->bad++;
		assert_int_equal(err, is_bad(page) ? -EIO : 0);
	}
	return NULL;
}

/* Several wait for one read, and it fails: all of them are told. */
static void read_errors_of_many_threads(void **state)
{
	struct reader readers[4];
	struct rcl_host_fault_rule rule;
	struct fault_world w;

	fault_open(state, &w);
	fault_file(&w, "f", 600, 0);
	rule = fault_always(RCL_FAULT_ERROR, RCL_IO_READ, EIO);
	rule.first_block = BAD_FIRST;
	rule.nr_blocks = BAD_NR;
	fault_begin(&w, rule);
	for (unsigned i = 0; i < 4; i++) {
		readers[i] = (struct reader){.area = w.area, .random = i + 1};
		assert_ok(pthread_create(&readers[i].thread, NULL, read_at_random, &readers[i]));
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_ok(pthread_join(readers[i].thread, NULL));
		assert_true(readers[i].bad > 0);
	}
	fault_close(&w);
}

/* A file's page whose write fails: told once, at the sync; the others are on the disk. */
static void write_errors_of_a_file(void **state)
{
	struct rcl_host_fault_rule rule;
	struct fault_world w;

	fault_open(state, &w);
	fault_file(&w, "f", 600, RCL_AREA_WRITE);
	rule = fault_always(RCL_FAULT_ERROR, RCL_IO_WRITE, EIO);
	rule.first_block = BAD_FIRST;
	rule.nr_blocks = BAD_NR;
	fault_begin(&w, rule);
	for (uint64_t i = 0; i < 600; i++)
		write_page(w.area, i, i + 1000);
	assert_int_equal(rcl_area_sync(w.area, 0, 0), -EIO);
	assert_ok(rcl_area_sync(w.area, 0, 0));
	for (uint64_t i = 0; i < 600; i++)
		assert_true(disk_has(&w, "f", i, is_bad(i) ? i : i + 1000));
	/* Once more, to a disk that works. */
	fault_end(&w);
	write_through(&w, "f", 600, 2000);
	fault_close(&w);
}

/* Dirty pages that reclaim or the flusher writes, and that nobody waits for: the sync still says.
 */
static void write_errors_in_the_background(void **state)
{
	struct rcl_host_fault_rule rule;
	struct fault_world w;

	fault_open(state, &w);
	fault_file(&w, "f", PAGES, RCL_AREA_WRITE);
	rule = fault_always(RCL_FAULT_ERROR, RCL_IO_WRITE, ENOSPC);
	rule.first_block = BAD_FIRST;
	rule.nr_blocks = BAD_NR;
	fault_begin(&w, rule);
	for (uint64_t i = 0; i < PAGES; i++)
		write_page(w.area, i, i + 1000);
	/* What could not be written is as lost as with the kernel: the old page may be back. */
	for (uint64_t i = 0; i < PAGES; i++)
		if (!is_bad(i))
			check_page(w.area, i, i + 1000);
	assert_int_equal(rcl_area_sync(w.area, 0, 0), -ENOSPC);
	assert_ok(rcl_area_sync(w.area, 0, 0));
	for (uint64_t i = 0; i < PAGES; i++)
		assert_true(is_bad(i) || disk_has(&w, "f", i, i + 1000));
	fault_close(&w);
}

/* Some writes to swap fail: those pages stay, and go another time. */
static void write_errors_of_swap(void **state)
{
	struct rcl_host_fault_rule rule;
	struct fault_world w;

	fault_open(state, &w);
	fault_anon(&w, PAGES);
	rule = fault_always(RCL_FAULT_ERROR, RCL_IO_WRITE, EIO);
	rule.ppm = 200000;
	fault_begin(&w, rule);
	for (unsigned round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < PAGES; i++)
			write_page(w.area, i, i + round);
		for (uint64_t i = 0; i < PAGES; i++)
			check_page(w.area, i, i + round);
	}
	assert_true(fault_hits(&w, 0) > 0);
	assert_true(read_stats(w.machine, NULL).swapped_out > 0);
	fault_close(&w);
}

/* None gets through: memory is full, and says so; nothing is lost, and it recovers. */
static void dead_swap(void **state)
{
	struct rcl_pin pin;
	struct fault_world w;
	uint64_t nr;
	int err = 0;

	fault_open(state, &w);
	fault_anon(&w, PAGES);
	fault_begin(&w, fault_always(RCL_FAULT_ERROR, RCL_IO_WRITE, EIO));
	for (nr = 0; nr < PAGES; nr++) {
		err = rcl_pin(w.area, nr, RCL_WRITE, &pin);
		if (err)
			break;
		fill_page(pin.addr, nr);
		rcl_unpin(&pin);
	}
	assert_int_equal(err, -ENOMEM);
	assert_true(nr > FAULT_BUDGET / RCL_PAGE_SIZE / 2);
	for (uint64_t i = 0; i < nr; i++)
		check_page(w.area, i, i);
	fault_end(&w);
	for (uint64_t i = nr; i < PAGES; i++)
		write_page(w.area, i, i);
	for (uint64_t i = 0; i < PAGES; i++)
		check_page(w.area, i, i);
	fault_close(&w);
}

/* A read from swap that fails: the page's user is told, and may try again. */
static void read_errors_of_swap(void **state)
{
	struct rcl_host_fault_rule rule;
	struct fault_world w;
	uint64_t failed = 0;

	fault_open(state, &w);
	fault_anon(&w, PAGES);
	for (uint64_t i = 0; i < PAGES; i++)
		write_page(w.area, i, i);
	rule = fault_always(RCL_FAULT_ERROR, RCL_IO_READ, EIO);
	rule.ppm = 0;
	rule.nth = 5;
	fault_begin(&w, rule);
	for (uint64_t i = 0; i < PAGES; i++) {
		int err, tries = 0;

		while ((err = try_page(w.area, i, i)) && tries++ < 10) {
			assert_int_equal(err, -EIO);
			failed++;
		}
		assert_ok(err);
	}
	assert_true(failed > 10);
	assert_true(read_stats(w.machine, NULL).io_errors >= failed);
	/* For good now. Who overwrites a page, or gives it up, needs not read it. */
	assert_ok(rcl_area_advise(w.area, 0, 0, RCL_ADVISE_PAGEOUT));
	fault_begin(&w, fault_always(RCL_FAULT_ERROR, RCL_IO_READ, EIO));
	assert_int_equal(try_page(w.area, 10, 10), -EIO);
	assert_int_equal(try_page(w.area, 10, 10), -EIO);
	for (uint64_t i = 0; i < 20; i++) {
		struct rcl_pin pin;

		assert_ok(rcl_pin(w.area, i, RCL_OVERWRITE, &pin));
		fill_page(pin.addr, i + 5000);
		rcl_unpin(&pin);
	}
	assert_ok(rcl_area_punch(w.area, 20, 20));
	for (uint64_t i = 20; i < 40; i++)
		check_zero(w.area, i);
	fault_end(&w);
	/* Not before: kswapd may have been at work still, and taken some of them again. */
	for (uint64_t i = 0; i < 20; i++)
		check_page(w.area, i, i + 5000);
	for (uint64_t i = 40; i < PAGES; i++)
		check_page(w.area, i, i);
	fault_close(&w);
}

/* What reading ahead has met is not the error of whoever comes later: the page is read once more. */
static void read_ahead_fails(void **state)
{
	struct fault_world w;
	uint64_t errors;

	fault_open(state, &w);
	fault_anon(&w, PAGES);
	for (uint64_t i = 0; i < PAGES; i++)
		write_page(w.area, i, i);
	assert_ok(rcl_area_advise(w.area, 0, 0, RCL_ADVISE_PAGEOUT));
	errors = read_stats(w.machine, NULL).io_errors;
	fault_begin(&w, fault_always(RCL_FAULT_ERROR, RCL_IO_READ, EIO));
	assert_ok(rcl_prefetch(w.area, 0, 32));
	/* Pages whose writing is not over are there still, and need not be read. */
	while (read_stats(w.machine, NULL).io_errors == errors)
		usleep(1000);
	usleep(10000);
	fault_end(&w);
	for (uint64_t i = 0; i < PAGES; i++)
		check_page(w.area, i, i);
	fault_close(&w);
}

/* Bits turn on the way from swap: never handed out. What is on the disk is good still. */
static void bits_turn(void **state)
{
	struct rcl_host_fault_rule rule;
	struct fault_world w;
	uint64_t failed = 0;

	fault_open(state, &w);
	fault_anon(&w, PAGES);
	for (uint64_t i = 0; i < PAGES; i++)
		write_page(w.area, i, i);
	rule = fault_always(RCL_FAULT_CORRUPT, RCL_IO_READ, 0);
	rule.ppm = 300000;
	fault_begin(&w, rule);
	for (uint64_t i = 0; i < PAGES; i++) {
		int err, tries = 0;

		while ((err = try_page(w.area, i, i)) && tries++ < 100) {
			assert_int_equal(err, -EIO);
			failed++;
		}
		assert_ok(err);
	}
	assert_true(failed > 10);
	assert_true(read_stats(w.machine, NULL).checksum_errors >= failed);
	fault_close(&w);
}

/* Work that must come out right whatever the rules are. */
static void work(struct fault_world *w, unsigned seed)
{
	struct rcl_area *anon;
	struct rcl_pin pins[32];

	fault_file(w, "f", 600, RCL_AREA_WRITE);
	assert_ok(rcl_area_anon(w->machine, NULL, 600, 0, &anon));
	for (uint64_t i = 0; i < 600; i++) {
		write_page(anon, i, i + seed);
		if (i % 3)
			write_page(w->area, i, i + seed);
	}
	for (uint64_t i = 0; i < 600; i++) {
		check_page(anon, i, i + seed);
		check_page(w->area, i, i % 3 ? i + seed : i);
	}
	for (uint64_t i = 0; i + 32 < 600; i += 300) {
		assert_ok(rcl_pin_range(w->area, i, 32, RCL_READ, pins));
		for (uint64_t j = i; j < i + 32; j++)
			assert_true(page_is(pins[j - i].addr, j % 3 ? j + seed : j));
		rcl_unpin_batch(pins, 32);
	}
	assert_ok(rcl_area_sync(w->area, 0, 0));
	for (uint64_t i = 0; i < 600; i++)
		assert_true(disk_has(w, "f", i, i % 3 ? i + seed : i));
	assert_ok(rcl_area_close(w->area));
	assert_ok(rcl_area_close(anon));
}

static void nothing_but_delays(void **state)
{
	static const struct rcl_host_fault_rule rules[] = {
		{.kind = RCL_FAULT_SHORT, .dev = -1, .op = -1, .nth = 1, .amount = 1},
		{.kind = RCL_FAULT_SHORT, .dev = -1, .op = -1, .nth = 1, .amount = 4095},
		{.kind = RCL_FAULT_SHORT, .dev = -1, .op = -1, .nth = 1, .amount = 4096},
		{.kind = RCL_FAULT_SHORT, .dev = -1, .op = -1, .nth = 2, .amount = 10000},
		{.kind = RCL_FAULT_SHORT, .dev = -1, .op = -1, .nth = 1, .amount = 1 << 30},
		{.kind = RCL_FAULT_EINTR, .dev = -1, .op = -1, .nth = 1, .amount = 200},
		{.kind = RCL_FAULT_DELAY, .dev = -1, .op = -1, .nth = 50, .amount = 2000000},
	};
	struct fault_world w;

	/* One by one, and the last few all at once. */
	for (unsigned i = 0; i <= ARRAY_SIZE(rules); i++) {
		unsigned from = min(i, (unsigned)ARRAY_SIZE(rules) - 4);

		fault_open(state, &w);
		if (i < ARRAY_SIZE(rules))
			fault_begin(&w, rules[i]);
		while (i == ARRAY_SIZE(rules) && from < i)
			fault_begin(&w, rules[from++]);
		work(&w, i * 10000);
		assert_true(fault_hits(&w, 0) > 0);
		assert_int_equal(read_stats(w.machine, NULL).io_errors, 0);
		fault_anon(&w, 1);
		fault_close(&w);
	}
}

/* Where the system refuses io_uring, threads do it. */
static void uring_refused(void **state)
{
	struct fault_world w = {.faults.refuse_uring = true};
	struct rcl_options opt = RCL_OPTIONS_INIT;

	folder_make(&w.folder);
	opt.swap_size = 64 * MIB;
	opt.swap_dir = w.folder.path;
	fault_open_with(state, &w, &opt);
	assert_string_equal(rcl_host_io_backend(w.machine->host), "threads");
	work(&w, 5);
	fault_anon(&w, 1);
	fault_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT_TEST(read_errors_of_a_file),
		FAULT_TEST(read_errors_of_many_threads),
		FAULT_TEST(write_errors_of_a_file),
		FAULT_TEST(write_errors_in_the_background),
		FAULT_TEST(write_errors_of_swap),
		FAULT_TEST(dead_swap),
		FAULT_TEST(read_errors_of_swap),
		FAULT_TEST(read_ahead_fails),
		FAULT_TEST(bits_turn),
		FAULT_TEST(nothing_but_delays),
		FAULT_TEST(uring_refused),
	};

	alarm(WATCHDOG_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
