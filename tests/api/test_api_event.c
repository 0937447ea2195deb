/* SPDX-License-Identifier: MIT */
/* Events: each kind, the descriptor, the queue's end. */
#include "api_test.h"

#include <poll.h>
#include <pthread.h>
#include <time.h>

#include "api/internal.h"
#include "platform/host/faults.h"

static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The next event of this kind and group; others are passed over. */
static struct rcl_event wait_event(struct rcl_machine *machine, enum rcl_event_kind kind,
				   const char *group)
{
	uint64_t end = now_ns() + 20000000000ull;
	struct rcl_event e;

	while (now_ns() < end) {
		if (!is_readable(rcl_event_fd(machine), 1000))
			continue;
		/* Readable: there is one. */
		assert_int_equal(rcl_event_read(machine, &e), 1);
		if (e.kind == kind && !strcmp(e.group, group))
			return e;
	}
	fail_msg("no event of kind %d", kind);
	return e;
}

static void test_descriptor(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0);
	struct rcl_event e;
	int fd;

	(void)state;
	assert_int_equal(rcl_event_read(machine, &e), 0);
	fd = rcl_event_fd(machine);
	assert_true(fd >= 0);
	assert_int_equal(rcl_event_fd(machine), fd);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_false(is_readable(fd, 250));
	assert_int_equal(rcl_event_read(machine, &e), 0);
	assert_ok(rcl_close(machine));
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void test_limit_and_oom(void **state)
{
	struct rcl_machine *machine = open_machine(8 * MIB, 0);
	uint64_t start = now_ns();
	struct rcl_group *group;
	struct rcl_area *area;
	struct rcl_event e;
	struct rcl_pin pin;

	(void)state;
	assert_ok(rcl_group_create(machine, NULL, "small", &group));
	assert_ok(rcl_area_anon(machine, group, 1000, 0, &area));
	/* Before anybody listens: not told. */
	assert_int_equal(rcl_group_set_max(group, 0), -EBUSY); /* the area has a page table */
	assert_int_equal(rcl_pin(area, 0, RCL_WRITE, &pin), -ENOMEM);
	assert_true(rcl_event_fd(machine) >= 0);
	assert_false(is_readable(rcl_event_fd(machine), 250));
	assert_ok(rcl_group_set_max(group, 1 * MIB));
	for (uint64_t i = 0; !rcl_pin(area, i, RCL_WRITE, &pin); i++)
		rcl_unpin(&pin);
	e = wait_event(machine, RCL_EVENT_LIMIT, "small");
	assert_true(e.value > 0);
	assert_true(e.time_ns > start && e.time_ns <= now_ns());
	assert_int_equal(e.lost, 0);
	/* The group has counted; the machine itself has enough. (Both come in one look.) */
	assert_int_equal(rcl_event_read(machine, &e), 1);
	assert_int_equal(e.kind, RCL_EVENT_OOM);
	assert_string_equal(e.group, "small");
	assert_true(e.value > 0);
	assert_ok(rcl_group_set_max(group, RCL_UNLIMITED));
	/* Now the machine's own memory. */
	assert_ok(rcl_area_grow(area, 4000));
	for (uint64_t i = 0; !rcl_pin(area, i, RCL_WRITE, &pin); i++)
		rcl_unpin(&pin);
	e = wait_event(machine, RCL_EVENT_OOM, "");
	assert_int_equal(e.value, 1);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_group_destroy(group));
	assert_ok(rcl_close(machine));
}

struct waiter {
	struct rcl_area *area;
	int err;
};

static void *wait_for_page(void *arg)
{
	struct waiter *w = arg;
	struct rcl_pin pin;

	w->err = rcl_pin(w->area, 999, RCL_WRITE | RCL_WAIT, &pin);
	rcl_unpin(&pin);
	return NULL;
}

/* A thread that waits for others to unpin is stalled, and if it is the only one at work, all are.
 */
static void test_pressure(void **state)
{
	struct rcl_machine *machine = open_machine(8 * MIB, 0);
	static struct rcl_pin pins[1000];
	struct rcl_group *group;
	struct rcl_stats stats;
	struct rcl_event e;
	struct waiter w;
	pthread_t thread;
	uint64_t nr = 0;

	(void)state;
	assert_ok(rcl_group_create(machine, NULL, "tight", &group));
	assert_ok(rcl_group_set_max(group, 1 * MIB));
	assert_ok(rcl_area_anon(machine, group, 1000, 0, &w.area));
	while (!rcl_pin(w.area, nr, RCL_WRITE, &pins[nr]))
		nr++;
	assert_true(rcl_event_fd(machine) >= 0);
	assert_ok(pthread_create(&thread, NULL, wait_for_page, &w));
	do
		e = wait_event(machine, RCL_EVENT_PRESSURE, "tight");
	while (e.value != RCL_PRESSURE_CRITICAL);
	stats = read_stats(machine, group);
	assert_true(stats.stalled_some > 300000000 && stats.stalled_full > 300000000);
	assert_true(read_stats(machine, NULL).stalled_some >= stats.stalled_some);
	rcl_unpin_batch(pins, nr);
	/* (There is no swap.) */
	assert_ok(rcl_area_punch(w.area, 0, nr));
	assert_ok(pthread_join(thread, NULL));
	assert_ok(w.err);
	/* Levels below are passed on the way down; it takes a second. */
	do
		e = wait_event(machine, RCL_EVENT_PRESSURE, "tight");
	while (e.value != RCL_PRESSURE_NONE);
	assert_ok(rcl_area_close(w.area));
	assert_ok(rcl_group_destroy(group));
	assert_ok(rcl_close(machine));
}

static void test_io_errors(void **state)
{
	struct rcl_host_fault_rule rule = {.kind = RCL_FAULT_ERROR,
					   .dev = RCL_FAULT_ANY,
					   .op = RCL_IO_WRITE,
					   .nth = 1,
					   .amount = ENOSPC};
	struct rcl_host_faults faults = {.seed = 1, .nr_rules = 1, .rules = &rule};
	struct rcl_options opt = {.size = sizeof(opt), .budget = 4 * MIB, .swap_size = 64 * MIB};
	struct rcl_machine *machine;
	struct rcl_area *area;
	struct folder folder;

	(void)state;
	folder_make(&folder);
	assert_ok(rcl_open_with_faults(&opt, &faults, &machine, NULL));
	assert_true(rcl_event_fd(machine) >= 0);
	assert_ok(rcl_area_file(machine, NULL, folder_file(&folder, "f"),
				RCL_AREA_WRITE | RCL_AREA_CREATE, &area));
	assert_ok(rcl_area_truncate(area, 100 * RCL_PAGE_SIZE));
	write_page(area, 1, 1);
	/* Also when the file is closed at once. */
	assert_int_equal(rcl_area_close(area), -ENOSPC);
	assert_int_equal(wait_event(machine, RCL_EVENT_IO_ERROR, "").value, ENOSPC);
	/* Swap: told, nothing lost. */
	assert_ok(rcl_area_anon(machine, NULL, 500, 0, &area));
	for (uint64_t i = 0; i < 500; i++)
		write_page(area, i, i);
	assert_ok(rcl_area_advise(area, 0, 0, RCL_ADVISE_PAGEOUT));
	assert_int_equal(wait_event(machine, RCL_EVENT_IO_ERROR, "").value, EIO);
	for (uint64_t i = 0; i < 500; i++)
		check_page(area, i, i);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
	folder_remove(&folder);
}

/* More groups have news than the queue has room for. */
static void test_full_queue(void **state)
{
	struct rcl_machine *machine = open_machine(16 * MIB, 0);
	struct rcl_group *groups[300];
	struct rcl_area *areas[300];
	struct rcl_event e;
	struct rcl_pin pin;
	uint64_t nr = 0, lost = 0;
	char name[24];

	(void)state;
	assert_true(rcl_event_fd(machine) >= 0);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "group %d", i);
		assert_ok(rcl_group_create(machine, NULL, name, &groups[i]));
		assert_ok(rcl_area_anon(machine, groups[i], 1, 0, &areas[i]));
		assert_int_equal(rcl_group_set_max(groups[i], 0), -EBUSY);
		assert_int_equal(rcl_pin(areas[i], 0, RCL_WRITE, &pin), -ENOMEM);
	}
	/* Two for each group. 256 of them find room; what was lost comes with the next ones. */
	usleep(500000);
	for (int i = 0; nr + lost < 600; i++) {
		if (i)
			assert_int_equal(rcl_pin(areas[7], 0, RCL_WRITE, &pin), -ENOMEM);
		assert_true(is_readable(rcl_event_fd(machine), 5000));
		while (rcl_event_read(machine, &e)) {
			if (nr < 256)
				assert_int_equal(e.lost, 0);
			lost += e.lost;
			nr++;
		}
	}
	assert_true(lost > 0);
	for (int i = 0; i < 300; i++) {
		assert_ok(rcl_area_close(areas[i]));
		assert_ok(rcl_group_destroy(groups[i]));
	}
	assert_ok(rcl_close(machine));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptor), cmocka_unit_test(test_limit_and_oom),
		cmocka_unit_test(test_pressure),   cmocka_unit_test(test_io_errors),
		cmocka_unit_test(test_full_queue),
	};

	alarm(WATCHDOG_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
