/* SPDX-License-Identifier: MIT */
/*
 * Threads that end: by returning, by pthread_exit(), and by being cancelled, in the middle of calls
 * and with pins in their hands. What they held stays as it was; everybody else goes on.
 *
 * And signals, all the time: no call notices.
 */
#include "fault_world.h"

#include <pthread.h>
#include <stdatomic.h>

#define PAGES 1500u

static void *pin_and_end(void *arg)
{
	struct rcl_pin *pins = arg;
	struct rcl_area *area = pins[0].area;

	for (unsigned i = 0; i < 20; i++)
		assert_ok(rcl_pin(area, i, i % 2 ? RCL_WRITE : RCL_READ, &pins[i]));
	pthread_exit(NULL);
}

/* Pins are nobody's: they stay when their thread has gone, and another undoes them. */
static void ends_with_pins(void **state)
{
	struct rcl_pin pins[20] = {{0}};
	struct fault_world w;
	pthread_t thread;

	fault_open(state, &w);
	fault_anon(&w, PAGES);
	for (uint64_t i = 0; i < PAGES; i++)
		write_page(w.area, i, i);
	pins[0].area = w.area;
	assert_ok(pthread_create(&thread, NULL, pin_and_end, pins));
	assert_ok(pthread_join(thread, NULL));
	/* Pressure does not move them. */
	for (uint64_t i = 20; i < PAGES; i++)
		check_page(w.area, i, i);
	assert_int_equal(rcl_area_close(w.area), -EBUSY);
	for (unsigned i = 0; i < 20; i++) {
		assert_true(page_is(pins[i].addr, i));
		if (i % 2)
			fill_page(pins[i].addr, i + 5000);
		rcl_unpin(&pins[i]);
	}
	for (uint64_t i = 20; i < PAGES; i++)
		check_page(w.area, i, i);
	for (uint64_t i = 0; i < 20; i++)
		check_page(w.area, i, i % 2 ? i + 5000 : i);
	fault_close(&w);
}

/* ---- cancelled in a call ------------------------------------------------------------------- */

enum call {
	PIN_MISS,
	PIN_MANY,
	SYNC,
	TRUNCATE,
	PUNCH,
	ADVISE,
	OPEN_AND_CLOSE_FILE,
	OPEN_AND_CLOSE_MACHINE,
	EVENT_FD,
	NR_CALLS,
};

struct victim {
	struct fault_world *w;
	struct rcl_area *anon;
	enum call call;
	bool came_back;
};

static void pin_many(struct rcl_area *area)
{
	struct rcl_pin pins[64];

	for (uint64_t i = 0; i + 64 < PAGES; i += 64) {
		assert_ok(rcl_pin_range(area, i, 64, RCL_WRITE, pins));
		for (uint64_t j = i; j < i + 64; j++)
			assert_true(page_is(pins[j - i].addr, j));
		rcl_unpin_batch(pins, 64);
	}
}

static void open_and_close_machine(void)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;
	struct rcl_machine *machine;
	struct rcl_area *area;

	opt.budget = 2 * MIB;
	opt.swap_size = 8 * MIB;
	assert_ok(rcl_open(&opt, &machine, NULL));
	assert_true(rcl_event_fd(machine) >= 0);
	assert_ok(rcl_area_anon(machine, NULL, 1000, 0, &area));
	for (uint64_t i = 0; i < 1000; i++)
		write_page(area, i, i);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
}

static __attribute__((noinline)) void do_call(struct victim *v)
{
	struct fault_world *w = v->w;
	struct rcl_area *area;

	switch (v->call) {
	case PIN_MISS:
		for (uint64_t i = 0; i < PAGES; i++)
			check_page(v->anon, i, i);
		break;
	case PIN_MANY:
		pin_many(v->anon);
		break;
	case SYNC:
		for (uint64_t i = 0; i < PAGES; i++)
			write_page(w->area, i, i);
		assert_ok(rcl_area_sync(w->area, 0, 0));
		break;
	case TRUNCATE:
		assert_ok(rcl_area_truncate(w->area, (PAGES + 100) * RCL_PAGE_SIZE + 5));
		assert_ok(rcl_area_truncate(w->area, PAGES * RCL_PAGE_SIZE));
		break;
	case PUNCH:
		assert_ok(rcl_area_punch(w->area, 10, 1));
		write_page(w->area, 10, 10);
		break;
	case ADVISE:
		assert_ok(rcl_area_advise(w->area, 0, 0, RCL_ADVISE_PAGEOUT));
		assert_ok(rcl_area_advise(v->anon, 0, 0, RCL_ADVISE_PAGEOUT));
		break;
	case OPEN_AND_CLOSE_FILE:
		assert_ok(rcl_area_file(w->machine, NULL, folder_file(&w->folder, "other"),
					RCL_AREA_WRITE | RCL_AREA_CREATE, &area));
		assert_ok(rcl_area_truncate(area, 10 * RCL_PAGE_SIZE + 1));
		write_page(area, 5, 5);
		assert_ok(rcl_area_close(area));
		break;
	case OPEN_AND_CLOSE_MACHINE:
		open_and_close_machine();
		break;
	case EVENT_FD:
		assert_true(rcl_event_fd(w->machine) >= 0);
		break;
	case NR_CALLS:
		break;
	}
}

/* Cancelled already when it calls: the first thing in a call that can end the thread does. */
static void *call_cancelled(void *arg)
{
	struct victim *v = arg;

	pthread_cancel(pthread_self());
	do_call(v);
	v->came_back = true;
	pthread_testcancel();
	return NULL;
}

/* No call ends the thread that makes it; the thread ends afterwards. */
static void no_cancellation_points(void **state)
{
	struct fault_world w;
	struct victim v = {.w = &w};
	pthread_t thread;
	void *result;

	fault_open(state, &w);
	fault_file(&w, "f", PAGES, RCL_AREA_WRITE);
	assert_ok(rcl_area_anon(w.machine, NULL, PAGES, 0, &v.anon));
	for (uint64_t i = 0; i < PAGES; i++)
		write_page(v.anon, i, i);
	for (v.call = 0; v.call < NR_CALLS; v.call++) {
		v.came_back = false;
		assert_ok(pthread_create(&thread, NULL, call_cancelled, &v));
		assert_ok(pthread_join(thread, &result));
		if (!v.came_back)
			fail_msg("call %d ended its thread", v.call);
		assert_ptr_equal(result, PTHREAD_CANCELED);
	}
	for (uint64_t i = 0; i < PAGES; i++) {
		check_page(w.area, i, i);
		check_page(v.anon, i, i);
	}
	assert_ok(rcl_area_close(v.anon));
	fault_close(&w);
}

/* ---- cancelled at any moment --------------------------------------------------------------- */

static __attribute__((noinline)) void read_one(struct victim *v)
{
	static _Thread_local uint64_t state;
	uint64_t page;

	if (!state)
		state = (uintptr_t)&state;
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	page = (state >> 41) % PAGES;
	check_page(state >> 40 & 1 ? v->anon : v->w->area, page, page);
}

/* (Frames that a cancelled thread leaves must have nothing that AddressSanitizer marks.) */
static void *read_for_ever(void *arg)
{
	for (;;) {
		read_one(arg);
		pthread_testcancel();
	}
	return NULL;
}

static void cancelled_at_work(void **state)
{
	struct fault_world w;
	struct victim v = {.w = &w};
	pthread_t threads[3];

	fault_open(state, &w);
	fault_file(&w, "f", PAGES, RCL_AREA_WRITE);
	assert_ok(rcl_area_anon(w.machine, NULL, PAGES, 0, &v.anon));
	for (uint64_t i = 0; i < PAGES; i++)
		write_page(v.anon, i, i);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
			assert_ok(pthread_create(&threads[i], NULL, read_for_ever, &v));
		usleep(1000 + round * 500);
		for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
			pthread_cancel(threads[i]);
		for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
			assert_ok(pthread_join(threads[i], NULL));
	}
	for (uint64_t i = 0; i < PAGES; i++) {
		check_page(w.area, i, i);
		check_page(v.anon, i, i);
	}
	assert_ok(rcl_area_close(v.anon));
	fault_close(&w);
}

/* ---- signals ------------------------------------------------------------------------------- */

struct pest {
	pthread_t thread, target;
	atomic_bool stop;
};

static atomic_ulong nr_signals;

static void count_signal(int nr)
{
	(void)nr;
	atomic_fetch_add(&nr_signals, 1);
}

static void *send_signals(void *arg)
{
	struct pest *p = arg;

	while (!atomic_load(&p->stop)) {
		pthread_kill(p->target, SIGUSR1);
		usleep(100);
	}
	return NULL;
}

/* Asleep or not, and system calls are not started over. */
static void signals_all_the_time(void **state)
{
	struct sigaction act = {.sa_handler = count_signal};
	struct pest pest = {.target = pthread_self()};
	struct fault_world w;
	struct victim v = {.w = &w};

	fault_open(state, &w);
	fault_file(&w, "f", PAGES, RCL_AREA_WRITE);
	assert_ok(rcl_area_anon(w.machine, NULL, PAGES, 0, &v.anon));
	assert_ok(sigaction(SIGUSR1, &act, NULL));
	assert_ok(pthread_create(&pest.thread, NULL, send_signals, &pest));
	for (uint64_t i = 0; i < PAGES; i++)
		write_page(v.anon, i, i);
	for (v.call = 0; v.call < NR_CALLS; v.call++)
		do_call(&v);
	for (uint64_t i = 0; i < PAGES; i++) {
		check_page(w.area, i, i);
		check_page(v.anon, i, i);
	}
	atomic_store(&pest.stop, true);
	assert_ok(pthread_join(pest.thread, NULL));
	assert_true(atomic_load(&nr_signals) > 0);
	assert_int_equal(read_stats(w.machine, NULL).io_errors, 0);
	assert_ok(rcl_area_close(v.anon));
	fault_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT_TEST(ends_with_pins),
		FAULT_TEST(no_cancellation_points),
		FAULT_TEST(cancelled_at_work),
		FAULT_TEST(signals_all_the_time),
	};

	alarm(WATCHDOG_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
