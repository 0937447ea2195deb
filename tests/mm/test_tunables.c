/* SPDX-License-Identifier: MIT */
/* The table of tunables: defaults, ranges, and what an unknown name is taken for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mm/tunables.h"

static void defaults_lie_in_their_ranges(void **state)
{
	struct tunables t;

	(void)state;
	memset(&t, 0xa5, sizeof(t));
	rcl_tunables_defaults(&t);
	for (const struct rcl_tunable_info *i = rcl_tunable_table(); i->name; i++) {
		assert_true(i->min <= i->def && i->def <= i->max);
		assert_int_equal(rcl_tunables_get(&t, i), i->def);
		assert_true(strlen(i->help) > 0);
		assert_ptr_equal(rcl_tunable_find(i->name, NULL), i);
		for (const struct rcl_tunable_info *j = rcl_tunable_table(); j < i; j++)
			assert_string_not_equal(i->name, j->name);
	}
	assert_int_equal(t.swappiness, 60);
	assert_int_equal(t.page_cluster, 3);
}

static void setting_checks_name_and_range(void **state)
{
	struct tunables t, before;

	(void)state;
	rcl_tunables_defaults(&t);
	assert_int_equal(rcl_tunables_set(&t, "vm.swappiness", 200), 0);
	assert_int_equal(t.swappiness, 200);
	before = t;
	assert_int_equal(rcl_tunables_set(&t, "vm.swappiness", 201), -ERANGE);
	assert_int_equal(rcl_tunables_set(&t, "vm.swappiness", -1), -ERANGE);
	assert_int_equal(rcl_tunables_set(&t, "vm.swapiness", 1), -ENOENT);
	assert_int_equal(rcl_tunables_set(&t, "", 1), -ENOENT);
	assert_memory_equal(&t, &before, sizeof(t));
}

static void unknown_names_have_a_nearest(void **state)
{
	static const struct {
		const char *typed, *meant;
	} cases[] = {
		{"vm.swapiness", "vm.swappiness"},	     {"swappiness", "vm.swappiness"},
		{"vm.page_cluster", "vm.page-cluster"},	     {"VM.SWAPPINESS", "vm.swappiness"},
		{"readahead_kb", "read_ahead_kb"},	     {"dirty_ratio", "vm.dirty_ratio"},
		{"vm.min_free_kbyte", "vm.min_free_kbytes"}, {"check_every", "debug.check_every"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *nearest = NULL;

		assert_null(rcl_tunable_find(cases[i].typed, &nearest));
		assert_non_null(nearest);
		assert_string_equal(nearest, cases[i].meant);
	}
}

static void distance_is_an_edit_distance(void **state)
{
	char longer[200];

	(void)state;
	assert_int_equal(rcl_name_distance("kitten", "sitting"), 3);
	assert_int_equal(rcl_name_distance("", "abc"), 3);
	assert_int_equal(rcl_name_distance("abc", ""), 3);
	assert_int_equal(rcl_name_distance("a-b", "a_b"), 0);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	assert_true(rcl_name_distance(longer, "vm.swappiness") > 40);
	assert_true(rcl_name_distance("vm.swappiness", longer) > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_lie_in_their_ranges),
		cmocka_unit_test(setting_checks_name_and_range),
		cmocka_unit_test(unknown_names_have_a_nearest),
		cmocka_unit_test(distance_is_an_edit_distance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
