/* SPDX-License-Identifier: MIT */
/* The replay of recordings: layouts that change, forks, threads, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../folder.h"
#include "sim/driver.h"
#include "trace/native_write.h"

#define HEAP	    RCL_NATIVE_HEAP
#define FILE_REGION RCL_NATIVE_FIRST_FILE
#define AT	    0x100000ull
#define OWN	    120 /* pages: kernel memory, page tables, charged ahead by two CPUs */

struct world {
	char path[TEST_FOLDER_SIZE];
	struct rcl_native_writer *w;
	uint64_t seq[3]; /* by process */
	struct rcl_trace_image *image;
	struct rcl_sim_result res;
};

static void begin(struct world *w)
{
	struct rcl_native_info info = {.window = 1000};

	*w = (struct world){0};
	assert_true(test_file_make(w->path));
	assert_int_equal(rcl_native_create(w->path, &info, &w->w, NULL), 0);
	rcl_native_put_start(w->w);
	rcl_native_put_region(w->w, FILE_REGION, 1, 200 * 4096, "/file");
}

static void event(struct world *w, uint32_t task, enum rcl_native_event e, uint64_t a, uint64_t b,
		  uint64_t c, uint64_t d, uint64_t f)
{
	uint64_t args[] = {a, b, c, d, f, 0}, with_seq[] = {w->seq[0], a, b, c, d, f};

	if (rcl_event_has_seq(e)) {
		with_seq[0] = w->seq[task == 2]++;
		rcl_native_put_event(w->w, task, e, with_seq);
	} else {
		rcl_native_put_event(w->w, task, e, args);
	}
}

static void map(struct world *w, uint32_t task, uint64_t page, uint64_t pages)
{
	event(w, task, RCL_EVENT_MAP, page, pages, RCL_MAP_READ | RCL_MAP_WRITE, HEAP, 0);
}

static void touch(struct world *w, uint32_t task, uint32_t region, uint64_t page, uint64_t pages,
		  bool write)
{
	for (uint64_t i = 0; i < pages; i++)
		rcl_native_put_access(w->w, task, write ? RCL_REC_WRITE : RCL_REC_READ, region,
				      page + i);
}

static void run(struct world *w, u64 limit, uint32_t cpus)
{
	struct rcl_error err = {""};
	struct rcl_sim_request req;

	if (w->w) {
		rcl_native_put_end(w->w, 1000, 0);
		assert_int_equal(rcl_native_close(w->w, &err), 0);
		w->w = NULL;
		if (rcl_trace_load(w->path, NULL, &w->image, &err))
			fail_msg("%s", err.text);
		unlink(w->path);
	}
	rcl_sim_result_free(&w->res);
	rcl_sim_request_init(&req, w->image);
	req.swap = 64 << 20;
	req.limit = limit;
	req.nr_cpus = cpus;
	req.check = true;
	req.tunables.check_every = 100;
	if (rcl_sim_run(&req, &w->res, &err))
		fail_msg("%s", err.text);
	if (w->res.outcome != RCL_SIM_COMPLETED)
		fail_msg("%s", w->res.detail);
}

static void end(struct world *w)
{
	rcl_sim_result_free(&w->res);
	rcl_trace_image_free(w->image);
}

static u64 peak(const struct world *w)
{
	return w->res.usage_peak / 4096;
}

static void what_is_unmapped_is_given_back(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	for (uint64_t i = 0; i < 20; i++) {
		map(&w, 0, AT + 1000 * i, 200);
		touch(&w, 0, HEAP, AT + 1000 * i, 200, true);
		if (i % 2)
			event(&w, 0, RCL_EVENT_UNMAP, AT + 1000 * i, 200, 0, 0, 0);
		else
			event(&w, 0, RCL_EVENT_ADVISE, AT + 1000 * i, 200, 4, 0, 0);
	}
	run(&w, 64 << 20, 1);
	assert_in_range(peak(&w), 200, 200 + OWN);
	assert_int_equal(w.image->summary.anon_pages, 200);
	assert_int_equal(w.res.stray, 0);
	assert_int_equal(rcl_sim_end(&w.res.memory_stat, "anon"), 0);
	end(&w);
}

static void what_is_moved_keeps_its_pages(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	map(&w, 0, AT, 200);
	touch(&w, 0, HEAP, AT, 200, true);
	event(&w, 0, RCL_EVENT_MOVE, AT, 200, AT + 5000, 400, 0);
	touch(&w, 0, HEAP, AT + 5000, 400, true);
	run(&w, 64 << 20, 1);
	assert_in_range(peak(&w), 400, 400 + OWN);
	assert_in_range(rcl_sim_delta(&w.res.vmstat, "pgfault"), 400, 410);
	assert_int_equal(w.image->summary.anon_pages, 400);
	assert_int_equal(w.res.stray, 0);
	end(&w);
}

/* A child writes to half of what its parent has; the parent waits, and writes to all of it. */
static void a_fork_copies_what_is_written(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	rcl_native_put_task(w.w, 2, 2, 0, RCL_NATIVE_FORKED);
	map(&w, 0, AT, 400);
	touch(&w, 0, HEAP, AT, 400, true);
	event(&w, 0, RCL_EVENT_FORK, 2, 0, 0, 0, 0);
	touch(&w, 2, HEAP, AT, 400, false);
	touch(&w, 2, HEAP, AT, 200, true);
	event(&w, 2, RCL_EVENT_EXIT, 0, 0, 0, 0, 0);
	event(&w, 0, RCL_EVENT_WAIT, 2, 0, 0, 0, 0);
	touch(&w, 0, HEAP, AT, 400, true);
	for (uint32_t cpus = 1; cpus <= 2; cpus++) {
		run(&w, 64 << 20, cpus);
		assert_in_range(peak(&w), 600, 600 + OWN);
		assert_int_equal(w.res.stray, 0);
		assert_int_equal(w.res.nr_tasks, 2);
	}
	run(&w, 1 << 20, 2); /* through swap */
	assert_true(rcl_sim_delta(&w.res.vmstat, "pswpin") > 0);
	end(&w);
}

static void exec_leaves_nothing(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	map(&w, 0, AT, 300);
	touch(&w, 0, HEAP, AT, 300, true);
	event(&w, 0, RCL_EVENT_EXEC, 0, 0, 0, 0, 0);
	touch(&w, 0, HEAP, AT, 1, true); /* where nothing is any more */
	map(&w, 0, AT + 600, 300);
	touch(&w, 0, HEAP, AT + 600, 300, true);
	run(&w, 64 << 20, 1);
	assert_in_range(peak(&w), 300, 300 + OWN);
	assert_int_equal(w.res.stray, 1);
	end(&w);
}

/* Two threads map in turns, and each touches what the other has mapped. */
static void threads_see_changes_in_their_order(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	rcl_native_put_task(w.w, 1, 0, 0, RCL_NATIVE_THREAD);
	event(&w, 0, RCL_EVENT_CLONE, 1, 0, 0, 0, 0);
	for (uint64_t i = 0; i < 100; i++) {
		uint32_t self = i % 2;

		map(&w, self, AT + 100 * i, 10);
		event(&w, !self, RCL_EVENT_SYNC, i + 1, 0, 0, 0, 0);
		touch(&w, !self, HEAP, AT + 100 * i, 10, true);
		rcl_native_put_window(w.w, self, 5000, 5000);
	}
	for (uint32_t cpus = 1; cpus <= 2; cpus++) {
		run(&w, 64 << 20, cpus);
		assert_int_equal(w.res.stray, 0);
		assert_in_range(peak(&w), 1000, 1000 + OWN);
		/* 100 windows of 5000 references, a nanosecond each, on one or two CPUs */
		assert_true(w.res.run_ns >= 500000 / cpus);
	}
	end(&w);
}

/* Read through a private mapping it is the file's page, written to it is the program's. */
static void private_pages_of_a_file_are_copied(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	event(&w, 0, RCL_EVENT_MAP, AT, 200, RCL_MAP_READ | RCL_MAP_WRITE | RCL_MAP_FILE,
	      FILE_REGION, 0);
	touch(&w, 0, FILE_REGION, AT, 200, false);
	run(&w, 64 << 20, 1);
	assert_int_equal(rcl_sim_delta(&w.res.vmstat, "pswpout"), 0);
	assert_in_range(peak(&w), 200, 200 + OWN);
	assert_int_equal(w.image->summary.footprint_pages, 200);
	end(&w);

	begin(&w);
	event(&w, 0, RCL_EVENT_MAP, AT, 200, RCL_MAP_READ | RCL_MAP_WRITE | RCL_MAP_FILE,
	      FILE_REGION, 0);
	touch(&w, 0, FILE_REGION, AT, 200, false);
	touch(&w, 0, FILE_REGION, AT, 100, true);
	run(&w, 64 << 20, 1);
	assert_in_range(peak(&w), 300, 300 + OWN);
	assert_int_equal(w.image->summary.footprint_pages, 300);
	end(&w);
}

static void a_deleted_file_has_no_pages(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	for (int i = 0; i < 10; i++) {
		event(&w, 0, RCL_EVENT_OPEN, FILE_REGION, 0, 0, 0, 0);
		rcl_native_put_file(w.w, 0, true, FILE_REGION, 0, 300 * 4096);
		rcl_native_put_file(w.w, 0, false, FILE_REGION, 0, 300 * 4096);
		event(&w, 0, i % 2 ? RCL_EVENT_DELETE : RCL_EVENT_TRUNCATE, FILE_REGION, 0, 0, 0,
		      0);
	}
	run(&w, 64 << 20, 1);
	assert_int_equal(rcl_sim_end(&w.res.memory_stat, "file"), 0);
	assert_int_equal(w.image->summary.footprint_pages, 300);
	assert_int_equal(w.res.io_errors, 0);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_unmapped_is_given_back),
		cmocka_unit_test(what_is_moved_keeps_its_pages),
		cmocka_unit_test(a_fork_copies_what_is_written),
		cmocka_unit_test(exec_leaves_nothing),
		cmocka_unit_test(threads_see_changes_in_their_order),
		cmocka_unit_test(private_pages_of_a_file_are_copied),
		cmocka_unit_test(a_deleted_file_has_no_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
