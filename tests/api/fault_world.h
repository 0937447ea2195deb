/* SPDX-License-Identifier: MIT */
/*
 * A machine whose I/O goes wrong: 2 MiB of memory, 64 MiB of swap in a named file, rules that a
 * test may add at any time. Each test runs once for each way of doing I/O.
 */
#ifndef RCL_TESTS_FAULT_WORLD_H
#define RCL_TESTS_FAULT_WORLD_H

#include "api_test.h"
#include "api/internal.h"
#include "platform/host/faults.h"

#define FAULT_BUDGET (2 * MIB)
#define FAULT_RULES  8

/* A test's state is the flags it opens its machine with. */
#define FAULT_TEST(f)                                                                              \
	{.name = #f " (io_uring)", .test_func = f, .initial_state = &(uint32_t){0}},               \
	{                                                                                          \
		.name = #f " (threads)", .test_func = f, .initial_state = &(uint32_t)              \
		{                                                                                  \
			RCL_OPEN_NO_URING                                                          \
		}                                                                                  \
	}

struct fault_world {
	struct folder folder;
	struct rcl_host_fault_rule rules[FAULT_RULES];
	uint32_t nr_rules; /* used so far */
	struct rcl_host_faults faults;
	struct rcl_machine *machine;
	struct rcl_area *area; /* set by the test, closed with the world */
};

/* What strikes every transfer of this kind, anywhere. */
static inline struct rcl_host_fault_rule fault_always(enum rcl_host_fault_kind kind, int op,
						      uint64_t amount)
{
	return (struct rcl_host_fault_rule){
		.kind = kind, .dev = RCL_FAULT_ANY, .op = op, .ppm = 1000000, .amount = amount};
}

/* One more rule from here on, and the end of all. */
static inline void fault_begin(struct fault_world *w, struct rcl_host_fault_rule rule)
{
	uint32_t nr = w->nr_rules++;

	assert_true(nr < FAULT_RULES);
	w->rules[nr] = rule;
	__atomic_store_n(&w->faults.nr_rules, nr + 1, __ATOMIC_RELEASE);
}
static inline void fault_end(struct fault_world *w)
{
	__atomic_store_n(&w->faults.nr_rules, 0, __ATOMIC_RELEASE);
}
static inline uint64_t fault_hits(struct fault_world *w, unsigned rule)
{
	return __atomic_load_n(&w->rules[rule].hits, __ATOMIC_RELAXED);
}

static inline void fault_open_with(void **state, struct fault_world *w, struct rcl_options *opt)
{
	char *message;

	opt->flags |= *(uint32_t *)*state;
	if (!opt->budget)
		opt->budget = FAULT_BUDGET;
	w->faults.seed = 7;
	w->faults.rules = w->rules;
	if (rcl_open_with_faults(opt, &w->faults, &w->machine, &message))
		fail_msg("rcl_open: %s", message);
}

static inline void fault_open(void **state, struct fault_world *w)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;

	memset(w, 0, sizeof(*w));
	folder_make(&w->folder);
	opt.swap_size = 64 * MIB;
	opt.swap_path = folder_file(&w->folder, "swap");
	fault_open_with(state, w, &opt);
}

static inline void fault_close(struct fault_world *w)
{
	assert_ok(rcl_area_close(w->area));
	assert_ok(rcl_close(w->machine));
	folder_remove(&w->folder);
}

static inline void fault_anon(struct fault_world *w, uint64_t pages)
{
	assert_ok(rcl_area_anon(w->machine, NULL, pages, 0, &w->area));
}

/* A file whose page N is filled from N, as an area of a group, or (NULL) of none. */
static inline void fault_file_of(struct fault_world *w, struct rcl_group *group, const char *name,
				 uint64_t pages, uint32_t flags)
{
	int fd = open(folder_file(&w->folder, name), O_RDWR | O_CREAT | O_TRUNC, 0600);
	static uint64_t page[RCL_PAGE_SIZE / 8];

	assert_true(fd >= 0);
	for (uint64_t i = 0; i < pages; i++) {
		fill_page(page, i);
		assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	}
	assert_ok(close(fd));
	assert_ok(rcl_area_file(w->machine, group, folder_file(&w->folder, name), flags, &w->area));
	assert_int_equal(rcl_area_pages(w->area), pages);
}
static inline void fault_file(struct fault_world *w, const char *name, uint64_t pages,
			      uint32_t flags)
{
	fault_file_of(w, NULL, name, pages, flags);
}

/* Pin a page for reading; what came of it. If it could be, it must be as seed says. */
static inline int try_page(struct rcl_area *area, uint64_t page, uint64_t seed)
{
	struct rcl_pin pin;
	int err = rcl_pin(area, page, RCL_READ, &pin);

	if (err) {
		assert_null(pin.addr);
		return err;
	}
	if (!page_is(pin.addr, seed))
		fail_msg("page %llu is wrong", (unsigned long long)page);
	rcl_unpin(&pin);
	return 0;
}

/* Does the file hold at this place what seed says? */
static inline bool disk_has(struct fault_world *w, const char *name, uint64_t page, uint64_t seed)
{
	static uint64_t buf[RCL_PAGE_SIZE / 8];
	int fd = open(folder_file(&w->folder, name), O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, buf, sizeof(buf), (off_t)(page * RCL_PAGE_SIZE)), sizeof(buf));
	close(fd);
	return page_is(buf, seed);
}

/* Page i of the first nr holds seed + i, in memory and, once synced, on the disk. */
static inline void write_through(struct fault_world *w, const char *name, uint64_t nr,
				 uint64_t seed)
{
	for (uint64_t i = 0; i < nr; i++)
		write_page(w->area, i, i + seed);
	assert_ok(rcl_area_sync(w->area, 0, 0));
	for (uint64_t i = 0; i < nr; i++)
		assert_true(disk_has(w, name, i, i + seed));
}

#endif
