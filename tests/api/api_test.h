/* SPDX-License-Identifier: MIT */
/* What the tests of the public API share: a machine, a folder of its own, pages with content. */
#ifndef RCL_TESTS_API_TEST_H
#define RCL_TESTS_API_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <reclaim/reclaim.h>

#include <cmocka.h>

#include "../folder.h"

#define MIB	     (1ull << 20)
#define assert_ok(x) assert_int_equal(x, 0)

/* A test that hangs fails. */
#define WATCHDOG_SECONDS 500

/* A folder that is gone afterwards. */
struct folder {
	char path[TEST_FOLDER_SIZE];
};

static inline void folder_make(struct folder *f)
{
	assert_true(test_folder_make(f->path));
}
static inline void folder_remove(struct folder *f)
{
	char command[TEST_PATH_SIZE];

	snprintf(command, sizeof(command), "rm -rf '%s'", f->path);
	assert_ok(system(command));
}
/* The path of a file in it; good until the next call. */
static inline const char *folder_file(struct folder *f, const char *name)
{
	static __thread char path[TEST_PATH_SIZE];

	snprintf(path, sizeof(path), "%s/%s", f->path, name);
	return path;
}

static inline struct rcl_machine *open_machine(uint64_t budget, uint64_t swap)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;
	struct rcl_machine *machine;
	char *message;

	opt.budget = budget;
	opt.swap_size = swap;
	if (rcl_open(&opt, &machine, &message))
		fail_msg("rcl_open: %s", message);
	return machine;
}

/* A page's content: what seed makes of each of its words. */
static inline void fill_page(void *addr, uint64_t seed)
{
	uint64_t *words = addr;

	for (uint64_t i = 0; i < RCL_PAGE_SIZE / 8; i++)
		words[i] = (seed + 1) * 0x9e3779b97f4a7c15ull + i;
}
static inline bool page_is(const void *addr, uint64_t seed)
{
	const uint64_t *words = addr;

	for (uint64_t i = 0; i < RCL_PAGE_SIZE / 8; i++)
		if (words[i] != (seed + 1) * 0x9e3779b97f4a7c15ull + i)
			return false;
	return true;
}
static inline bool is_zero(const void *addr, size_t bytes)
{
	const char *c = addr;

	for (size_t i = 0; i < bytes; i++)
		if (c[i])
			return false;
	return true;
}

static inline void write_page(struct rcl_area *area, uint64_t page, uint64_t seed)
{
	struct rcl_pin pin;

	assert_ok(rcl_pin(area, page, RCL_WRITE, &pin));
	fill_page(pin.addr, seed);
	rcl_unpin(&pin);
}
static inline void check_page(struct rcl_area *area, uint64_t page, uint64_t seed)
{
	struct rcl_pin pin;

	assert_ok(rcl_pin(area, page, RCL_READ, &pin));
	assert_true(page_is(pin.addr, seed));
	rcl_unpin(&pin);
}
static inline void check_zero(struct rcl_area *area, uint64_t page)
{
	struct rcl_pin pin;

	assert_ok(rcl_pin(area, page, RCL_READ, &pin));
	assert_true(is_zero(pin.addr, RCL_PAGE_SIZE));
	rcl_unpin(&pin);
}

/* Run fn in a child of fork(); what it returns. */
static inline int in_child(int (*fn)(void *), void *arg)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		alarm(20);
		_exit(fn(arg));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static inline struct rcl_stats read_stats(struct rcl_machine *machine, struct rcl_group *group)
{
	struct rcl_stats stats = {.size = sizeof(stats)};

	assert_ok(rcl_stats_read(machine, group, &stats));
	return stats;
}

#endif
