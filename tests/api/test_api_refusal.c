/* SPDX-License-Identifier: MIT */
/*
 * Refusals: with everything pinned, who wants one page more is told so after a look or two at all
 * pages, not after sixteen rounds of looks at them, and who unpins some gets the next. Who finds
 * everything being read, by others, is not refused: that will be over.
 */
#include "fault_world.h"

#include <inttypes.h>

#define PAGES	 4096u /* of the budget, or the limit */
#define SWAP	 (4 * PAGES * (uint64_t)RCL_PAGE_SIZE)
#define REFUSALS 4u

struct place {
	struct folder folder;
	struct rcl_machine *machine;
	struct rcl_group *group; /* NULL: all of the machine */
	struct rcl_area *area;
	struct rcl_pin *pins;
	uint64_t nr; /* pinned */
};

static uint64_t counter(struct place *p, const char *name)
{
	size_t size = rcl_stats_text(p->machine, p->group, NULL, 0) + 4096, length = strlen(name);
	char *text = malloc(size), *line;
	uint64_t value = UINT64_MAX;

	assert_non_null(text);
	assert_true(rcl_stats_text(p->machine, p->group, text, size) < size);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (!strncmp(line, name, length) && line[length] == ' ')
			value = strtoull(line + length, NULL, 10);
	free(text);
	if (value == UINT64_MAX)
		fail_msg("no counter %s", name);
	return value;
}

/* Pin pages, for writing, until there is no room. */
static void fill(struct place *p, bool grouped, bool file)
{
	const uint64_t pages = 2 * PAGES;
	const uint64_t room = PAGES * (uint64_t)RCL_PAGE_SIZE;
	int err = 0;

	*p = (struct place){.machine = open_machine(grouped ? 4 * room : room, SWAP)};
	folder_make(&p->folder);
	if (grouped) {
		assert_ok(rcl_group_create(p->machine, NULL, "full", &p->group));
		assert_ok(rcl_group_set_max(p->group, room));
	}
	if (file) {
		assert_ok(rcl_area_file(p->machine, p->group, folder_file(&p->folder, "file"),
					RCL_AREA_WRITE | RCL_AREA_CREATE, &p->area));
		assert_ok(rcl_area_truncate(p->area, pages * RCL_PAGE_SIZE));
	} else {
		assert_ok(rcl_area_anon(p->machine, p->group, pages, 0, &p->area));
	}
	p->pins = calloc(pages, sizeof(*p->pins));
	assert_non_null(p->pins);
	while (p->nr < pages && !err) {
		err = rcl_pin(p->area, p->nr, file ? RCL_OVERWRITE : RCL_WRITE, &p->pins[p->nr]);
		p->nr += !err;
	}
	assert_int_equal(err, -ENOMEM);
	assert_true(p->nr > PAGES / 2 && p->nr <= PAGES);
}

static void empty(struct place *p)
{
	rcl_unpin_batch(p->pins, p->nr);
	free(p->pins);
	assert_ok(rcl_area_close(p->area));
	if (p->group)
		assert_ok(rcl_group_destroy(p->group));
	assert_ok(rcl_close(p->machine));
	folder_remove(&p->folder);
}

/* A refusal may look at so many times the pages that there are. */
static void refuse(struct place *p, uint64_t times)
{
	for (unsigned i = 0; i < REFUSALS; i++) {
		uint64_t before, scanned;
		int err;

		/* (Some more may fit: what was taken for metadata on the way comes back.) */
		do {
			before = counter(p, "pgscan_direct");
			err = rcl_pin(p->area, p->nr, RCL_WRITE, &p->pins[p->nr]);
			p->nr += !err;
		} while (!err && p->nr < 2 * PAGES);
		assert_int_equal(err, -ENOMEM);
		scanned = counter(p, "pgscan_direct") - before;
		if (scanned > times * p->nr)
			fail_msg("a refusal looked at %" PRIu64 " pages of %" PRIu64, scanned,
				 p->nr);
	}
}

/* Some pages less pinned, wherever they are, is room for another. */
static void give_and_take(struct place *p)
{
	const uint64_t every = p->nr / 64;

	for (uint64_t first = 0; first < 5; first++) {
		struct rcl_pin pin;

		for (uint64_t i = first; i < p->nr; i += every)
			rcl_unpin(&p->pins[i]);
		assert_ok(rcl_pin(p->area, p->nr, RCL_WRITE, &pin));
		rcl_unpin(&pin);
		/* (The last of them may find that metadata needs more room than before.) */
		for (uint64_t i = first; i < p->nr; i += every)
			if (rcl_pin(p->area, i, RCL_WRITE, &p->pins[i]))
				break;
	}
}

static void of_anonymous_memory(void **state)
{
	bool grouped = *state;
	struct place p;

	fill(&p, grouped, false);
	refuse(&p, 8);
	give_and_take(&p);
	empty(&p);
}

static void of_a_file(void **state)
{
	bool grouped = *state;
	struct place p;

	fill(&p, grouped, true);
	/* (Twice, since dirty pages might be on their way; and read-ahead asks, too.) */
	refuse(&p, 32);
	give_and_take(&p);
	empty(&p);
}

/* Nor does a limit that cannot be reached take long. */
static void of_a_limit(void **state)
{
	uint64_t before;
	struct place p;

	(void)state;
	fill(&p, true, false);
	before = counter(&p, "pgscan_direct");
	assert_int_equal(rcl_group_set_max(p.group, RCL_MIN_BUDGET), -EBUSY);
	assert_true(counter(&p, "pgscan_direct") - before <= 8 * p.nr);
	empty(&p);
}

#define READ_NS	    100000000ull
#define READ_BUDGET (1 * MIB)
#define READ_PAGES  (4 * READ_BUDGET / RCL_PAGE_SIZE)

/*
 * All that there is room for is being read, slowly. A page more can be had when it has been, without
 * asking to wait; not by who asks not to.
 */
static void while_all_is_read(void **state, bool grouped)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;
	struct rcl_group *group = NULL;
	struct fault_world w = {0};
	struct rcl_pin pin;

	folder_make(&w.folder);
	opt.budget = grouped ? 16 * READ_BUDGET : READ_BUDGET;
	fault_open_with(state, &w, &opt);
	if (grouped) {
		assert_ok(rcl_group_create(w.machine, NULL, "reading", &group));
		assert_ok(rcl_group_set_max(group, READ_BUDGET));
	}
	fault_file_of(&w, group, "file", READ_PAGES, 0);
	fault_begin(&w, fault_always(RCL_FAULT_DELAY, RCL_IO_READ, READ_NS));
	for (uint64_t page = 0; page < READ_PAGES / 2; page += 64)
		assert_ok(rcl_prefetch(w.area, page, 64));
	assert_int_equal(rcl_pin(w.area, READ_PAGES - 1, RCL_READ | RCL_TRY, &pin), -EAGAIN);
	assert_ok(try_page(w.area, READ_PAGES - 1, READ_PAGES - 1));
	assert_true(fault_hits(&w, 0));
	assert_ok(rcl_area_close(w.area));
	if (group)
		assert_ok(rcl_group_destroy(group));
	assert_ok(rcl_close(w.machine));
	folder_remove(&w.folder);
}

static void of_nothing_that_is_read(void **state)
{
	while_all_is_read(state, false);
}

static void of_nothing_that_a_group_reads(void **state)
{
	while_all_is_read(state, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(of_anonymous_memory, NULL),
		cmocka_unit_test_prestate(of_anonymous_memory, (void *)1),
		cmocka_unit_test_prestate(of_a_file, NULL),
		cmocka_unit_test_prestate(of_a_file, (void *)1),
		cmocka_unit_test(of_a_limit),
		FAULT_TEST(of_nothing_that_is_read),
		FAULT_TEST(of_nothing_that_a_group_reads),
	};

	alarm(WATCHDOG_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
