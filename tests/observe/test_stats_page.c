/* SPDX-License-Identifier: MIT */
/* The statistics page: what is in it, who may read it, and when it goes. */
#include "watched.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "api/stats_image.h"
#include "api/stats_read.h"

/* The one page in the folder; false: none. */
static bool find_page(const struct watched *w, char path[512])
{
	DIR *dir = opendir(w->dir);
	struct dirent *e;
	int found = 0;

	assert_non_null(dir);
	while ((e = readdir(dir))) {
		if (!rcl_stats_is_name(e->d_name))
			continue;
		snprintf(path, 512, "%s/%s", w->dir, e->d_name);
		found++;
	}
	closedir(dir);
	assert_in_range(found, 0, 1);
	return found;
}

static struct rcl_observer *start(struct watched *w)
{
	struct rcl_observer *o;
	char *message = NULL;

	w->cfg.page = true;
	assert_int_equal(rcl_observe_start(&w->cfg, &o, &message), 0);
	assert_null(message);
	assert_non_null(o);
	return o;
}

static void test_nothing_asked(void **state)
{
	struct watched *w = watched_open();
	struct rcl_observer *o = (void *)w;

	(void)state;
	assert_int_equal(rcl_observe_start(&w->cfg, &o, NULL), 0);
	assert_null(o);
	rcl_observe_stop(o);
	watched_close(w);
}

static void test_content(void **state)
{
	struct watched *w = watched_open();
	struct rcl_observer *o;
	struct stats_view v;
	struct stats_group *g;
	struct stat st;
	char path[512];
	int fd;

	(void)state;
	w->m->cpus[0].events[PGSCAN_DIRECT] = 4711;
	w->inner->events[PGFAULT] = 11;
	w->outer->events[PGFAULT] = 100;
	w->inner->usage = 5;
	w->inner->max_events = 3;
	o = start(w);
	assert_true(find_page(w, path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	fd = rcl_stats_open(path);
	assert_true(fd >= 0);
	assert_int_equal(rcl_stats_load(fd, &v), 0);
	assert_int_equal(v.header->pid, getpid());
	assert_string_equal(v.header->machine, "te\\st?[2J");
	assert_int_equal(rcl_stats_value(&v, NULL, "budget"), 64 << 20);
	assert_int_equal(rcl_stats_value(&v, NULL, "checksum_errors"), 7);
	assert_int_equal(rcl_stats_value(&v, NULL, "pgscan_direct"), 4711);
	assert_int_equal(rcl_stats_value(&v, NULL, "nr_free_pages"),
			 rcl_vmstat_get(w->m, "nr_free_pages"));
	assert_int_equal(rcl_stats_value(&v, NULL, "no such"), 0);
	assert_int_equal(v.header->nr_groups, 2);
	g = stats_view_group(&v, 0);
	assert_string_equal(g->name, "outer");
	assert_int_equal(g->parent, STATS_NO_PARENT);
	assert_int_equal(rcl_stats_value(&v, g, "limit"), INT64_MAX);
	assert_int_equal(rcl_stats_value(&v, g, "pgfault"), 111);
	g = stats_view_group(&v, 1);
	assert_string_equal(g->name, "in\"ner");
	assert_int_equal(g->parent, 0);
	assert_int_equal(rcl_stats_value(&v, g, "limit"), 8 << 20);
	assert_int_equal(rcl_stats_value(&v, g, "usage"), 5 * 4096);
	assert_int_equal(rcl_stats_value(&v, g, "limit_hits"), 3);
	assert_int_equal(rcl_stats_value(&v, g, "pgfault"), 11);
	/* Every counter is there, and once. */
	for (u32 i = 0; i < v.header->nr_figures; i++)
		for (u32 k = 0; k < i; k++)
			assert_string_not_equal(v.names[i].name, v.names[k].name);
	for (u32 i = 0; i < v.header->nr_group_figures; i++)
		for (u32 k = 0; k < i; k++)
			assert_string_not_equal(v.group_names[i].name, v.group_names[k].name);
	rcl_stats_view_free(&v);
	assert_true(rcl_stats_is_alive(fd));
	w->inner->usage = 0;
	rcl_observe_stop(o);
	assert_false(rcl_stats_is_alive(fd));
	assert_false(find_page(w, path));
	close(fd);
	watched_close(w);
}

static const struct stats_name *name_of(const struct stats_name *names, u32 nr, const char *name)
{
	for (u32 i = 0; i < nr; i++)
		if (!strcmp(names[i].name, name))
			return names + i;
	fail_msg("no figure %s", name);
	return NULL;
}

static void test_kinds(void **state)
{
	static const struct {
		const char *name;
		bool group;
		enum stats_kind kind;
		enum stats_unit unit;
	} expected[] = {
		{"budget", false, STATS_GAUGE, STATS_BYTES},
		{"stalled_full", false, STATS_COUNTER, STATS_NS},
		{"nr_free_pages", false, STATS_GAUGE, STATS_PAGES},
		{"nr_mlock", false, STATS_GAUGE, STATS_PAGES},
		{"nr_inactive_anon", false, STATS_GAUGE, STATS_PAGES},
		{"workingset_nodes", false, STATS_GAUGE, STATS_NUMBER},
		{"workingset_refault_anon", false, STATS_COUNTER, STATS_PAGES},
		{"workingset_nodereclaim", false, STATS_COUNTER, STATS_PAGES},
		{"nr_dirty", false, STATS_GAUGE, STATS_PAGES},
		{"nr_dirtied", false, STATS_COUNTER, STATS_PAGES},
		{"nr_kernel_stack", false, STATS_GAUGE, STATS_KIB},
		{"nr_swapcached", false, STATS_GAUGE, STATS_PAGES},
		{"nr_dirty_background_threshold", false, STATS_GAUGE, STATS_PAGES},
		{"pgpgin", false, STATS_COUNTER, STATS_KIB},
		{"pgscan_direct", false, STATS_COUNTER, STATS_NUMBER},
		{"swap_ra_hit", false, STATS_COUNTER, STATS_NUMBER},
		{"usage", true, STATS_GAUGE, STATS_BYTES},
		{"pagetables", true, STATS_GAUGE, STATS_BYTES},
		{"workingset_refault_file", true, STATS_COUNTER, STATS_NUMBER},
		{"pgsteal", true, STATS_COUNTER, STATS_NUMBER},
	};
	struct watched *w = watched_open();
	struct stats_header *h = rcl_stats_image_create(&w->cfg);
	struct stats_view v;

	(void)state;
	rcl_stats_image_fill(&w->cfg, h);
	assert_int_equal(rcl_stats_parse(h, h->bytes, &v), 0);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		const struct stats_name *n =
			expected[i].group
				? name_of(v.group_names, h->nr_group_figures, expected[i].name)
				: name_of(v.names, h->nr_figures, expected[i].name);

		if (n->kind != expected[i].kind || n->unit != expected[i].unit)
			fail_msg("%s: kind %d, unit %d", n->name, n->kind, n->unit);
	}
	rcl_stats_view_free(&v);
	watched_close(w);
}

static void test_is_updated(void **state)
{
	struct watched *w = watched_open();
	struct rcl_observer *o = start(w);
	struct stats_view v;
	char path[512];
	u64 first = 0;
	int fd;

	(void)state;
	assert_true(find_page(w, path));
	fd = rcl_stats_open(path);
	for (;;) {
		assert_int_equal(rcl_stats_load(fd, &v), 0);
		u64 now = v.header->updated_ns;

		rcl_stats_view_free(&v);
		if (!first)
			first = now;
		if (now > first)
			break; /* else the watchdog ends it */
		usleep(10000);
	}
	/* Cutting the file short does not hurt its writer. */
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(rcl_stats_load(fd, &v), -EINVAL);
	usleep(300000);
	rcl_observe_stop(o);
	close(fd);
	watched_close(w);
}

/* A process that dies leaves a page; the next one that makes one removes it, and no other. */
static void test_dead_are_removed(void **state)
{
	struct watched *w;
	char path[512], other[TEST_PATH_SIZE], live[TEST_PATH_SIZE];
	struct rcl_observer *o;
	struct stat st;
	int pipe_fd[2], fd, keep;
	pid_t pid;
	char c;

	(void)state;
	if (NO_THREADS_IN_CHILDREN)
		skip();
	w = watched_open();
	assert_int_equal(pipe(pipe_fd), 0);
	pid = fork();
	if (!pid) {
		start(w);
		_exit(write(pipe_fd[1], "x", 1) == 1 && !raise(SIGKILL));
	}
	assert_int_equal(read(pipe_fd[0], &c, 1), 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(find_page(w, path));
	fd = rcl_stats_open(path);
	assert_false(rcl_stats_is_alive(fd));
	close(fd);
	/* Not a page's name; a page that somebody keeps. */
	snprintf(other, sizeof(other), "%s/reclaim-12-x", w->dir);
	close(open(other, O_CREAT | O_WRONLY, 0600));
	snprintf(live, sizeof(live), "%s/reclaim-1-0", w->dir);
	keep = open(live, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(flock(keep, LOCK_EX), 0);
	o = start(w);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(stat(other, &st), 0);
	assert_int_equal(stat(live, &st), 0);
	rcl_observe_stop(o);
	unlink(other);
	unlink(live);
	close(keep);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	watched_close(w);
}

/* A name that is taken, by a file or by a link to somewhere, is left alone. */
static void test_taken_names(void **state)
{
	struct watched *w = watched_open();
	char taken[TEST_PATH_SIZE], target[TEST_PATH_SIZE], path[TEST_PATH_SIZE];
	struct rcl_observer *o;
	struct stat st;
	int fd;

	(void)state;
	snprintf(taken, sizeof(taken), "%s/reclaim-%d-0", w->dir, (int)getpid());
	snprintf(target, sizeof(target), "%s/target", w->dir);
	assert_int_equal(symlink(target, taken), 0);
	o = start(w);
	assert_int_equal(stat(target, &st), -1);
	snprintf(path, sizeof(path), "%s/reclaim-%d-1", w->dir, (int)getpid());
	fd = rcl_stats_open(path);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(rcl_stats_open(taken), -ELOOP);
	rcl_observe_stop(o);
	assert_int_equal(lstat(taken, &st), 0);
	unlink(taken);
	watched_close(w);
}

static void test_cannot_be_made(void **state)
{
	struct watched *w = watched_open();
	struct rcl_observer *o;
	char *message = NULL;

	(void)state;
	setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
	w->cfg.page = true;
	assert_int_equal(rcl_observe_start(&w->cfg, &o, &message), -ENOENT);
	assert_null(o);
	assert_non_null(strstr(message, "/nonexistent"));
	free(message);
	assert_int_equal(rcl_observe_start(&w->cfg, &o, NULL), -ENOENT);
	watched_close(w);
}

/* A child of the process that has the page lets go of it and leaves it where it is. */
static void test_fork(void **state)
{
	struct watched *w = watched_open();
	struct rcl_observer *o = start(w);
	char path[512];
	int status, fd;
	pid_t pid;

	(void)state;
	pid = fork();
	if (!pid) {
		rcl_observe_stop(o);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(find_page(w, path));
	fd = rcl_stats_open(path);
	assert_true(rcl_stats_is_alive(fd));
	close(fd);
	rcl_observe_stop(o);
	watched_close(w);
}

static void test_many_groups(void **state)
{
	struct watched *w = watched_open();
	struct memcg *groups[200];
	struct stats_header *h;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		assert_int_equal(rcl_memcg_create(w->m, w->outer, "g", &groups[i]), 0);
	h = rcl_stats_image_create(&w->cfg);
	rcl_stats_image_fill(&w->cfg, h);
	assert_int_equal(h->nr_groups, STATS_GROUPS_MAX);
	assert_int_equal(h->groups_left_out, 2 + ARRAY_SIZE(groups) - STATS_GROUPS_MAX);
	free(h);
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		assert_int_equal(rcl_memcg_destroy(w->m, groups[i]), 0);
	watched_close(w);
}

/* What is damaged is refused, wherever the damage is. */
static void test_damage(void **state)
{
	struct watched *w = watched_open();
	struct stats_header *h = rcl_stats_image_create(&w->cfg), *copy;
	struct stats_view v;

	(void)state;
	rcl_stats_image_fill(&w->cfg, h);
	copy = malloc(h->bytes);
#define REFUSED(err, change)                                                                       \
	do {                                                                                       \
		memcpy(copy, h, h->bytes);                                                         \
		change;                                                                            \
		assert_int_equal(rcl_stats_parse(copy, h->bytes, &v), err);                        \
	} while (0)
	REFUSED(-EINVAL, copy->magic[3] = 'x');
	REFUSED(-EPROTO, copy->version++);
	REFUSED(-EAGAIN, copy->seq |= 1);
	REFUSED(-EINVAL, copy->bytes++);
	REFUSED(-EINVAL, copy->nr_figures = 60000);
	REFUSED(-EINVAL, copy->nr_group_figures = UINT32_MAX);
	REFUSED(-EINVAL, copy->nr_groups = copy->max_groups + 1);
	REFUSED(-EINVAL, copy->max_groups++);
	REFUSED(-EINVAL, copy->names_at = 8);
	REFUSED(-EINVAL, copy->names_at += 4);
	REFUSED(-EINVAL, copy->figures_at = copy->names_at);
	REFUSED(-EINVAL, copy->groups_at = copy->figures_at);
	REFUSED(-EINVAL, copy->groups_at = copy->bytes - 8);
	REFUSED(-EINVAL, copy->group_bytes -= 8);
	assert_int_equal(rcl_stats_parse(copy, sizeof(*copy) - 1, &v), -EINVAL);
	memcpy(copy, h, h->bytes);
	/* A group cannot be its own grandchild. */
	((struct stats_group *)((char *)copy + copy->groups_at))->parent = 1;
	assert_int_equal(rcl_stats_parse(copy, h->bytes, &v), 0);
	assert_int_equal(stats_view_group(&v, 0)->parent, STATS_NO_PARENT);
	rcl_stats_view_free(&v);
	free(h);
	watched_close(w);
}

static void test_names_are_printable(void **state)
{
	static const struct {
		const char *raw, *shown;
	} names[] = {
		{"plain", "plain"},
		{"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x98",
		 "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x98"},
		{"\x1b[31m\n\x7f", "?[31m??"},
		{"\xc2\x9b", "??"},		 /* a control character */
		{"\xc0\xaf", "??"},		 /* '/' in two bytes */
		{"\xed\xa0\x80", "???"},	 /* half of a pair */
		{"\xe2\x80\xae.txt", "???.txt"}, /* from right to left */
		{"\xe2\x82", "??"},
	};
	char name[16] = "0123456789012345";

	(void)state;
	rcl_stats_clean(name, 8);
	assert_string_equal(name, "0123456");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		memset(name, 0, sizeof(name));
		strcpy(name, names[i].raw);
		rcl_stats_clean(name, sizeof(name));
		assert_string_equal(name, names[i].shown);
	}
	assert_true(rcl_stats_is_name("reclaim-1-0"));
	assert_false(rcl_stats_is_name("reclaim-1-"));
	assert_false(rcl_stats_is_name("reclaim--1"));
	assert_false(rcl_stats_is_name("reclaim-1"));
	assert_false(rcl_stats_is_name("reclaim-1-0.tmp"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_asked),
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_is_updated),
		cmocka_unit_test(test_dead_are_removed),
		cmocka_unit_test(test_taken_names),
		cmocka_unit_test(test_cannot_be_made),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_many_groups),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_names_are_printable),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
