/* SPDX-License-Identifier: MIT */
/* Opening and closing machines, options and what is said of them, tunables, forks. */
#include "api_test.h"

/* Opening fails, and the message has all of these words in it. */
static void refuse(const struct rcl_options *opt, int error, const char *first, const char *second)
{
	struct rcl_machine *machine = (void *)1;
	char *message = NULL;

	assert_int_equal(rcl_open(opt, &machine, &message), error);
	assert_null(machine);
	assert_non_null(message);
	if (!strstr(message, first) || !strstr(message, second))
		fail_msg("'%s' does not name '%s' and '%s'", message, first, second);
	free(message);
	/* The message is not a must. */
	assert_int_equal(rcl_open(opt, &machine, NULL), error);
	assert_null(machine);
}

static void test_bad_options(void **state)
{
	const struct rcl_options good = {.size = sizeof(good), .budget = 4 * MIB};
	struct rcl_options opt;

	(void)state;
	opt = good;
	opt.budget = 1000;
	refuse(&opt, -EINVAL, "budget", "1000");
	opt.budget = UINT64_MAX;
	refuse(&opt, -EINVAL, "budget", "18446744073709551615");
	opt = good;
	opt.flags = 1u << 20;
	refuse(&opt, -EINVAL, "flags", "0x100000");
	opt = good;
	opt.io_depth = 100000;
	refuse(&opt, -EINVAL, "io_depth", "100000");
	opt = good;
	opt.io_spin_us = -2;
	refuse(&opt, -EINVAL, "io_spin_us", "-2");
	opt.io_spin_us = 10001;
	refuse(&opt, -EINVAL, "io_spin_us", "10001");
	opt = good;
	opt.nr_cpus = 65;
	refuse(&opt, -EINVAL, "nr_cpus", "65");
	opt = good;
	opt.swap_path = "/some/where";
	refuse(&opt, -EINVAL, "swap_path", "/some/where");
	opt.swap_size = 4 * MIB;
	opt.swap_dir = "/else/where";
	refuse(&opt, -EINVAL, "swap_dir", "/else/where");
	opt.swap_dir = NULL;
	opt.swap_path = "/no/such/folder/file";
	refuse(&opt, -ENOENT, "swap_path", "/no/such/folder/file");
	opt = good;
	opt.swap_size = 4096;
	refuse(&opt, -EINVAL, "swap_size", "4096");
	refuse(NULL, -EINVAL, "options", "");
}

static void test_sizes_of_options(void **state)
{
	struct {
		struct rcl_options opt;
		uint64_t later;
	} newer = {.opt = RCL_OPTIONS_INIT};
	struct rcl_machine *machine;

	(void)state;
	newer.opt.budget = 4 * MIB;
	newer.opt.size = 0;
	refuse(&newer.opt, -EINVAL, "size", "0");
	newer.opt.size = 8;
	refuse(&newer.opt, -EINVAL, "size", "8");
	/* A field that this version does not know: fine while it asks for nothing. */
	newer.opt.size = sizeof(newer);
	assert_ok(rcl_open(&newer.opt, &machine, NULL));
	assert_ok(rcl_close(machine));
	newer.later = 1;
	refuse(&newer.opt, -EINVAL, "size", rcl_version());
}

/* A swap file has one user, and what is given as strings may change at once. */
static void test_swap_file(void **state)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;
	struct rcl_machine *machine;
	struct folder folder;
	struct rcl_area *area;
	char path[TEST_PATH_SIZE], name[8] = "first";
	struct stat st;

	(void)state;
	folder_make(&folder);
	strcpy(path, folder_file(&folder, "swap"));
	opt.budget = 2 * MIB;
	opt.swap_size = 8 * MIB;
	opt.swap_path = path;
	opt.name = name;
	assert_ok(rcl_open(&opt, &machine, NULL));
	memset(name, 'x', sizeof(name) - 1);
	refuse(&opt, -EBUSY, "swap_path", path);
	memset(path, 'x', 10);
	assert_ok(stat(folder_file(&folder, "swap"), &st));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(read_stats(machine, NULL).budget, 2 * MIB);
	/* It is used. */
	assert_ok(rcl_area_anon(machine, NULL, 1024, 0, &area));
	for (uint64_t i = 0; i < 1024; i++)
		write_page(area, i, i);
	for (uint64_t i = 0; i < 1024; i++)
		check_page(area, i, i);
	assert_true(read_stats(machine, NULL).swapped_out > 500);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
	folder_remove(&folder);
}

static void test_close_is_refused_while_used(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0);
	struct rcl_group *group;
	struct rcl_area *area;
	void *block;

	(void)state;
	assert_ok(rcl_group_create(machine, NULL, "g", &group));
	assert_int_equal(rcl_close(machine), -EBUSY);
	assert_ok(rcl_area_anon(machine, group, 10, 0, &area));
	assert_int_equal(rcl_group_destroy(group), -EBUSY);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_group_destroy(group));
	assert_ok(rcl_frames_alloc(machine, NULL, 0, 0, &block));
	assert_int_equal(rcl_close(machine), -EBUSY);
	rcl_frames_free(machine, block, 0);
	assert_ok(rcl_close(machine));
	assert_ok(rcl_close(NULL));
}

static void test_two_machines(void **state)
{
	struct rcl_machine *a = open_machine(4 * MIB, 0), *b = open_machine(8 * MIB, 0);
	struct rcl_group *group;
	struct rcl_area *area, *other;
	struct rcl_pin pins[2];
	struct rcl_place places[2];
	void *block;

	(void)state;
	assert_int_equal(read_stats(a, NULL).budget, 4 * MIB);
	assert_int_equal(read_stats(b, NULL).budget, 8 * MIB);
	assert_ok(rcl_group_create(a, NULL, "of a", &group));
	/* What belongs to one is no use to the other. */
	assert_int_equal(rcl_area_anon(b, group, 10, 0, &area), -EINVAL);
	assert_null(area);
	assert_int_equal(rcl_frames_alloc(b, group, 0, 0, &block), -EINVAL);
	assert_null(block);
	assert_ok(rcl_area_anon(a, group, 10, 0, &area));
	assert_ok(rcl_area_anon(b, NULL, 10, 0, &other));
	places[0] = (struct rcl_place){.area = area, .page = 1};
	places[1] = (struct rcl_place){.area = other, .page = 1};
	assert_int_equal(rcl_pin_batch(places, 2, RCL_READ, pins), -EINVAL);
	write_page(area, 3, 1);
	write_page(other, 3, 2);
	check_page(area, 3, 1);
	check_page(other, 3, 2);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_area_close(other));
	assert_ok(rcl_group_destroy(group));
	assert_ok(rcl_close(a));
	assert_ok(rcl_close(b));
}

static void test_errors_have_texts(void **state)
{
	static const int errors[] = {0,	      ENOMEM, EIO,    ENOSPC, ERANGE, EACCES, EAGAIN,
				     ENODATA, EBUSY,  EINVAL, ENOENT, EFBIG,  ECHILD, EISDIR};

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		const char *text = rcl_strerror(-errors[i]);

		assert_non_null(text);
		assert_true(strlen(text) > 5);
		/* Whoever has lost the sign is told the same. */
		assert_string_equal(text, rcl_strerror(errors[i]));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(text, rcl_strerror(-errors[j]));
	}
	assert_non_null(rcl_strerror(-99999));
	assert_string_equal(rcl_version(), "0.1.0");
}

static void test_tunables(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0);
	struct rcl_tunable t;
	int64_t value;
	size_t nr = 0;

	(void)state;
	for (; rcl_tunable_info(nr, &t); nr++) {
		assert_non_null(strchr(t.name, '_') ?: strchr(t.name, '.'));
		assert_true(strlen(t.help) > 5);
		assert_true(t.min <= t.default_value && t.default_value <= t.max);
		/* What only a simulation can use is not there. */
		assert_null(strstr(t.name, "sim."));
		assert_ok(rcl_tunable_get(machine, t.name, &value));
		assert_int_equal(value, t.default_value);
		assert_int_equal(rcl_tunable_set(machine, t.name, t.min - 1), -ERANGE);
		if (t.max < INT64_MAX)
			assert_int_equal(rcl_tunable_set(machine, t.name, t.max + 1), -ERANGE);
		assert_ok(rcl_tunable_set(machine, t.name, t.default_value));
	}
	assert_true(nr > 15);
	assert_ok(rcl_tunable_set(machine, "vm.swappiness", 17));
	assert_ok(rcl_tunable_get(machine, "vm.swappiness", &value));
	assert_int_equal(value, 17);
	assert_int_equal(rcl_tunable_set(machine, "vm.no_such", 1), -ENOENT);
	assert_int_equal(rcl_tunable_get(machine, "vm.no_such", &value), -ENOENT);
	assert_int_equal(rcl_tunable_get(machine, NULL, &value), -ENOENT);
	assert_int_equal(rcl_tunable_set(machine, "sim.nr_inodes", 1), -ENOENT);
	assert_ok(rcl_close(machine));
}

/* A tunable that others are computed from takes effect at once: less can be had. */
static void test_tunable_takes_effect(void **state)
{
	struct rcl_machine *machine = open_machine(16 * MIB, 0);
	struct rcl_area *area;
	struct rcl_pin pin;
	uint64_t before = 0, after = 0;

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, 8192, 0, &area));
	while (!rcl_pin(area, before, RCL_WRITE, &pin)) {
		rcl_unpin(&pin);
		before++;
	}
	assert_ok(rcl_area_punch(area, 0, 8192));
	assert_ok(rcl_tunable_set(machine, "vm.min_free_kbytes", 8192));
	while (!rcl_pin(area, after, RCL_WRITE, &pin)) {
		rcl_unpin(&pin);
		after++;
	}
	assert_true(before > 3500 && before < 4096);
	assert_true(after < before - 1500);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
}

/* ---- forks ---- */

struct forked {
	struct rcl_machine *machine;
	struct rcl_group *group;
	struct rcl_area *area, *file;
	struct rcl_pin pin;
	struct rcl_peek peek;
};

#define CHILD_EXPECT(x, result)                                                                    \
	do {                                                                                       \
		if ((x) != (result))                                                               \
			return __LINE__ - first_line;                                              \
	} while (0)

static int use_in_child(void *arg)
{
	const int first_line = __LINE__;
	struct rcl_stats stats = {.size = sizeof(stats)};
	struct forked *f = arg;
	struct rcl_group *group;
	struct rcl_area *area;
	struct rcl_event event;
	struct rcl_peek peek;
	struct rcl_pin pins[3];
	int64_t value;
	char text[10];
	void *block;

	/* Pages that are in the parent's memory, and others. */
	CHILD_EXPECT(rcl_pin(f->area, 0, RCL_READ, pins), -ECHILD);
	CHILD_EXPECT(pins[0].addr, NULL);
	CHILD_EXPECT(rcl_pin(f->area, 50, RCL_WRITE | RCL_TRY, pins), -ECHILD);
	CHILD_EXPECT(rcl_pin(f->file, 0, RCL_READ, pins), -ECHILD);
	CHILD_EXPECT(rcl_pin_range(f->area, 0, 3, RCL_READ, pins), -ECHILD);
	CHILD_EXPECT(rcl_pin_batch(&(struct rcl_place){f->area, 0}, 1, RCL_READ, pins), -ECHILD);
	CHILD_EXPECT(rcl_prefetch(f->area, 0, 10), -ECHILD);
	CHILD_EXPECT(rcl_peek(f->area, 0, &peek), false);
	CHILD_EXPECT(rcl_peek_ok(&f->peek), false);
	rcl_unpin(&f->pin);
	CHILD_EXPECT(f->pin.addr, NULL);
	CHILD_EXPECT(rcl_pin(f->area, 0, RCL_READ, pins), -ECHILD);
	CHILD_EXPECT(rcl_area_anon(f->machine, NULL, 1, 0, &area), -ECHILD);
	CHILD_EXPECT(rcl_area_file(f->machine, NULL, "/etc/passwd", 0, &area), -ECHILD);
	CHILD_EXPECT(rcl_area_grow(f->area, 1000), -ECHILD);
	CHILD_EXPECT(rcl_area_punch(f->area, 0, 1), -ECHILD);
	CHILD_EXPECT(rcl_area_sync(f->file, 0, 0), -ECHILD);
	CHILD_EXPECT(rcl_area_truncate(f->file, 0), -ECHILD);
	CHILD_EXPECT(rcl_area_advise(f->area, 0, 0, RCL_ADVISE_COLD), -ECHILD);
	CHILD_EXPECT(rcl_group_create(f->machine, NULL, "x", &group), -ECHILD);
	CHILD_EXPECT(rcl_group_set_max(f->group, 0), -ECHILD);
	CHILD_EXPECT(rcl_group_reclaim(f->group, 4096), 0);
	CHILD_EXPECT(rcl_group_destroy(f->group), -ECHILD);
	CHILD_EXPECT(rcl_frames_alloc(f->machine, NULL, 0, 0, &block), -ECHILD);
	CHILD_EXPECT(rcl_tunable_set(f->machine, "vm.swappiness", 1), -ECHILD);
	CHILD_EXPECT(rcl_tunable_get(f->machine, "vm.swappiness", &value), -ECHILD);
	CHILD_EXPECT(rcl_stats_read(f->machine, NULL, &stats), -ECHILD);
	CHILD_EXPECT(rcl_stats_text(f->machine, NULL, text, sizeof(text)), 0);
	CHILD_EXPECT(rcl_event_fd(f->machine), -ECHILD);
	CHILD_EXPECT(rcl_event_read(f->machine, &event), -ECHILD);
	CHILD_EXPECT(rcl_area_close(f->area), -ECHILD);
	CHILD_EXPECT(rcl_close(f->machine), -ECHILD);
	return 0;
}

static void test_fork(void **state)
{
	struct folder folder;
	struct forked f;
	int fd;

	(void)state;
	folder_make(&folder);
	f.machine = open_machine(4 * MIB, 4 * MIB);
	assert_ok(rcl_group_create(f.machine, NULL, "g", &f.group));
	assert_ok(rcl_area_anon(f.machine, f.group, 100, RCL_AREA_OPTIMISTIC, &f.area));
	assert_ok(rcl_area_file(f.machine, NULL, folder_file(&folder, "f"),
				RCL_AREA_WRITE | RCL_AREA_CREATE, &f.file));
	assert_ok(rcl_area_truncate(f.file, 8192));
	fd = rcl_event_fd(f.machine);
	assert_true(fd >= 0);
	write_page(f.area, 0, 7);
	write_page(f.file, 0, 8);
	assert_true(rcl_peek(f.area, 0, &f.peek));
	assert_true(rcl_peek_ok(&f.peek));
	assert_ok(rcl_pin(f.area, 0, RCL_WRITE, &f.pin));
	assert_int_equal(in_child(use_in_child, &f), 0);
	/* Nothing of it is the parent's concern. */
	assert_true(page_is(f.pin.addr, 7));
	rcl_unpin(&f.pin);
	check_page(f.file, 0, 8);
	assert_ok(rcl_area_close(f.area));
	assert_ok(rcl_area_close(f.file));
	assert_ok(rcl_group_destroy(f.group));
	assert_ok(rcl_close(f.machine));
	folder_remove(&folder);
}

/* The arena is not there in a child: reading a pinned page's address is fatal. */
static int read_pinned(void *arg)
{
	struct forked *f = arg;

	return *(volatile char *)f->pin.addr;
}

static void test_fork_has_no_arena(void **state)
{
	struct forked f;
	int status;
	pid_t pid;

	(void)state;
	f.machine = open_machine(4 * MIB, 0);
	assert_ok(rcl_area_anon(f.machine, NULL, 10, 0, &f.area));
	assert_ok(rcl_pin(f.area, 0, RCL_WRITE, &f.pin));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		alarm(20);
		signal(SIGSEGV, SIG_DFL);
		_exit(read_pinned(&f));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	rcl_unpin(&f.pin);
	assert_ok(rcl_area_close(f.area));
	assert_ok(rcl_close(f.machine));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_sizes_of_options),
		cmocka_unit_test(test_swap_file),
		cmocka_unit_test(test_close_is_refused_while_used),
		cmocka_unit_test(test_two_machines),
		cmocka_unit_test(test_errors_have_texts),
		cmocka_unit_test(test_tunables),
		cmocka_unit_test(test_tunable_takes_effect),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_fork_has_no_arena),
	};

	alarm(WATCHDOG_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
