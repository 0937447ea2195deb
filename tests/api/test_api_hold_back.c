/* SPDX-License-Identifier: MIT */
/*
 * A page pinned for writing does not reach the disk: not half changed, and not before its owner
 * lets go. Who must write a log first relies on that.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "api_test.h"

#define PAGES 64

struct fixture {
	struct folder dir;
	struct rcl_machine *machine;
	struct rcl_area *area;
	const char *path;
	int fd;
};

static void open_fixture(struct fixture *x)
{
	folder_make(&x->dir);
	x->path = folder_file(&x->dir, "data");
	x->machine = open_machine(4 * MIB, 0);
	assert_ok(rcl_area_file(x->machine, NULL, x->path, RCL_AREA_WRITE | RCL_AREA_CREATE,
				&x->area));
	assert_ok(rcl_area_truncate(x->area, PAGES * RCL_PAGE_SIZE));
	x->fd = open(x->path, O_RDONLY);
	assert_true(x->fd >= 0);
}

static void close_fixture(struct fixture *x)
{
	close(x->fd);
	assert_ok(rcl_area_close(x->area));
	assert_ok(rcl_close(x->machine));
	folder_remove(&x->dir);
}

static void sleep_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static void write_pages(struct fixture *x, uint64_t seed)
{
	for (unsigned i = 0; i < PAGES; i++) {
		struct rcl_pin pin;

		assert_ok(rcl_pin(x->area, i, RCL_WRITE, &pin));
		fill_page(pin.addr, seed + i);
		rcl_unpin(&pin);
	}
}

static bool disk_has(struct fixture *x, unsigned page, uint64_t seed)
{
	char buf[RCL_PAGE_SIZE];

	assert_int_equal(pread(x->fd, buf, sizeof(buf), (off_t)page * RCL_PAGE_SIZE), sizeof(buf));
	return page_is(buf, seed);
}

/* Everything else is written in the background; the pinned page, half changed, is not. */
static void background_leaves_it(void **state)
{
	struct rcl_pin pin;
	struct fixture x;

	(void)state;
	open_fixture(&x);
	write_pages(&x, 100);
	assert_ok(rcl_area_sync(x.area, 0, 0));
	assert_ok(rcl_tunable_set(x.machine, "vm.dirty_writeback_centisecs", 1));
	assert_ok(rcl_tunable_set(x.machine, "vm.dirty_expire_centisecs", 1));
	assert_ok(rcl_pin(x.area, 5, RCL_WRITE, &pin));
	memset(pin.addr, 0xff, RCL_PAGE_SIZE / 2);
	for (unsigned i = 0; i < PAGES; i++) {
		struct rcl_pin other;

		if (i == 5)
			continue;
		assert_ok(rcl_pin(x.area, i, RCL_WRITE, &other));
		fill_page(other.addr, 200 + i);
		rcl_unpin(&other);
	}
	for (unsigned i = 0; i < PAGES; i++)
		while (i != 5 && !disk_has(&x, i, 200 + i))
			sleep_ms(5); /* (the watchdog ends it if the flusher sleeps) */
	assert_true(disk_has(&x, 5, 105));
	fill_page(pin.addr, 205);
	rcl_unpin(&pin);
	while (!disk_has(&x, 5, 205))
		sleep_ms(5);
	close_fixture(&x);
}

struct syncer {
	struct fixture *x;
	_Atomic bool begun, done;
};

static void *sync_all(void *arg)
{
	struct syncer *s = arg;

	atomic_store(&s->begun, true);
	if (rcl_area_sync(s->x->area, 0, 0))
		abort();
	atomic_store(&s->done, true);
	return NULL;
}

/* A sync waits for the pin, and then covers what was written under it. */
static void sync_waits(void **state)
{
	struct fixture x;
	struct syncer s = {.x = &x};
	struct rcl_pin pin, reader;
	pthread_t thread;

	(void)state;
	open_fixture(&x);
	write_pages(&x, 100);
	assert_ok(rcl_pin(x.area, 5, RCL_WRITE, &pin));
	memset(pin.addr, 0xff, RCL_PAGE_SIZE / 2);
	assert_ok(rcl_pin(x.area, 6, RCL_READ, &reader)); /* these are no matter */
	assert_ok(pthread_create(&thread, NULL, sync_all, &s));
	while (!atomic_load(&s.begun))
		sleep_ms(1);
	sleep_ms(100);
	assert_false(atomic_load(&s.done));
	fill_page(pin.addr, 500);
	rcl_unpin(&pin);
	assert_ok(pthread_join(thread, NULL));
	assert_true(disk_has(&x, 5, 500));
	assert_true(disk_has(&x, 6, 106));
	rcl_unpin(&reader);
	close_fixture(&x);
}

/* Writers that never pause: every state that reaches the disk is one that a writer left. */
struct writer {
	struct fixture *x;
	_Atomic bool stop;
};

static void *write_on(void *arg)
{
	struct writer *w = arg;

	for (uint64_t n = 0; !atomic_load(&w->stop); n++) {
		struct rcl_pin pin;

		if (rcl_pin(w->x->area, n % 4, RCL_WRITE, &pin))
			abort();
		fill_page(pin.addr, 1000 + n);
		rcl_unpin(&pin);
	}
	return NULL;
}

static void nothing_torn_on_disk(void **state)
{
	struct fixture x;
	struct writer w = {.x = &x};
	pthread_t thread;

	(void)state;
	open_fixture(&x);
	assert_ok(pthread_create(&thread, NULL, write_on, &w));
	for (unsigned i = 0; i < 100; i++) {
		uint64_t words[RCL_PAGE_SIZE / 8];

		assert_ok(rcl_area_sync(x.area, 0, 0));
		/* (The kernel reads a sector at a time: what is looked at is each eighth.) */
		assert_int_equal(pread(x.fd, words, sizeof(words), i % 4 * RCL_PAGE_SIZE),
				 sizeof(words));
		for (unsigned k = 0; k < RCL_PAGE_SIZE / 8; k += 64) {
			if (!words[k] && !words[k + 63])
				continue;
			assert_int_equal(words[k + 63] - words[k], 63);
		}
	}
	atomic_store(&w.stop, true);
	assert_ok(pthread_join(thread, NULL));
	close_fixture(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(background_leaves_it),
		cmocka_unit_test(sync_waits),
		cmocka_unit_test(nothing_torn_on_disk),
	};

	alarm(WATCHDOG_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
