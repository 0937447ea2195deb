/* SPDX-License-Identifier: MIT */
/*
 * Watching while it runs: threads that pin pages and threads that make and destroy groups, with a
 * reader of the statistics page and a reader of the metrics at the same time. What is read is whole
 * every time, and counters never go back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/stats_read.h"
#include "reclaim/reclaim.h"

#include "../folder.h"

#define PAGES  1024u
#define ROUNDS 60

struct world {
	struct rcl_machine *machine;
	struct rcl_group *group;
	struct rcl_area *area;
	char dir[TEST_FOLDER_SIZE], address[TEST_PATH_SIZE];
	bool stop; /* atomic */
};

static void make_folder(struct world *w)
{
	memset(w, 0, sizeof(*w));
	assert_true(test_folder_for_sockets(w->dir));
	setenv("XDG_RUNTIME_DIR", w->dir, 1);
	snprintf(w->address, sizeof(w->address), "unix:%s/metrics", w->dir);
}

static void open_machine(struct world *w)
{
	struct rcl_options o = RCL_OPTIONS_INIT;
	char *why = NULL;
	int err;

	o.budget = 4 << 20;
	o.swap_size = 16 << 20;
	o.flags = RCL_OPEN_STATS;
	o.metrics = w->address;
	o.name = "watched";
	err = rcl_open(&o, &w->machine, &why);
	if (err)
		fail_msg("%s", why);
	assert_int_equal(rcl_group_create(w->machine, NULL, "busy", &w->group), 0);
	assert_int_equal(rcl_group_set_max(w->group, 2 << 20), 0);
	assert_int_equal(rcl_area_anon(w->machine, w->group, PAGES, 0, &w->area), 0);
}

static void open_world(struct world *w)
{
	make_folder(w);
	open_machine(w);
}

static void close_world(struct world *w)
{
	assert_int_equal(rcl_area_close(w->area), 0);
	assert_int_equal(rcl_group_destroy(w->group), 0);
	assert_int_equal(rcl_close(w->machine), 0);
	assert_int_equal(rmdir(w->dir), 0);
}

static bool stopped(const struct world *w)
{
	return __atomic_load_n(&w->stop, __ATOMIC_RELAXED);
}

static void *pin_pages(void *arg)
{
	struct world *w = arg;
	struct rcl_pin pin;

	for (uint64_t i = 0; !stopped(w); i++) {
		if (rcl_pin(w->area, i * 7 % PAGES, RCL_READ | RCL_WRITE, &pin))
			return "pin";
		rcl_unpin(&pin);
	}
	return NULL;
}

static void *make_groups(void *arg)
{
	struct world *w = arg;

	for (int i = 0; !stopped(w); i++) {
		struct rcl_group *group;
		char name[16];

		snprintf(name, sizeof(name), "group-%d", i % 100);
		if (rcl_group_create(w->machine, i % 2 ? w->group : NULL, name, &group))
			return "create";
		if (rcl_group_destroy(group))
			return "destroy";
	}
	return NULL;
}

static int open_page(const struct world *w)
{
	DIR *dir = opendir(w->dir);
	struct dirent *e;
	char path[512];
	int fd = -1;

	assert_non_null(dir);
	while ((e = readdir(dir))) {
		if (!rcl_stats_is_name(e->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", w->dir, e->d_name);
		fd = rcl_stats_open(path);
	}
	closedir(dir);
	assert_true(fd >= 0);
	return fd;
}

/* The page is written four times a second: wait until the group is in it. */
static void await_group(int fd)
{
	struct stats_view v;
	u32 nr;

	do {
		assert_int_equal(rcl_stats_load(fd, &v), 0);
		nr = v.header->nr_groups;
		rcl_stats_view_free(&v);
		usleep(10000);
	} while (!nr);
}

static void read_page(int fd, uint64_t *time, int64_t *faults)
{
	struct stats_view v;
	int64_t now;

	assert_int_equal(rcl_stats_load(fd, &v), 0);
	now = rcl_stats_value(&v, NULL, "pgfault");
	assert_true(v.header->updated_ns >= *time && now >= *faults);
	*time = v.header->updated_ns;
	*faults = now;
	assert_int_equal(rcl_stats_value(&v, NULL, "budget"), 4 << 20);
	assert_in_range(v.header->nr_groups, 1, 3); /* its own, and one of each maker */
	assert_string_equal(stats_view_group(&v, 0)->name, "busy");
	for (u32 i = 1; i < v.header->nr_groups; i++)
		assert_memory_equal(stats_view_group(&v, i)->name, "group-", 6);
	rcl_stats_view_free(&v);
}

static void read_metrics(const struct world *w)
{
	static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t nr = 0, size = 1 << 20;
	char *text = malloc(size);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ssize_t n;

	strcpy(a.sun_path, w->address + 5);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	while ((n = recv(fd, text + nr, size - nr - 1, 0)) > 0)
		nr += (size_t)n;
	text[nr] = 0;
	close(fd);
	assert_non_null(strstr(text, "reclaim_budget_bytes{machine=\"watched\""));
	assert_non_null(strstr(text, "reclaim_group_limit_bytes{machine=\"watched\""));
	assert_int_equal(text[nr - 1], '\n');
	free(text);
}

static void test_watching(void **state)
{
	pthread_t threads[4];
	struct world w;
	uint64_t time = 0;
	int64_t faults = 0;
	void *said;
	int fd;

	(void)state;
	open_world(&w);
	fd = open_page(&w);
	await_group(fd);
	for (int i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, i < 2 ? pin_pages : make_groups, &w), 0);
	for (int i = 0; i < ROUNDS; i++) {
		read_page(fd, &time, &faults);
		read_metrics(&w);
		usleep(10000);
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &said), 0);
		if (said)
			fail_msg("%s failed", (char *)said);
	}
	assert_true(faults > 0);
	close(fd);
	close_world(&w);
}

/* Machines opened and closed again and again: nothing stays behind (close_world looks). */
static void test_open_close(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct world w;

		open_world(&w);
		if (i % 2)
			read_metrics(&w);
		close_world(&w);
	}
}

/* What is wrong with the metrics' address is the open's error, and nothing stays open. */
static void test_refused(void **state)
{
	struct rcl_options o = RCL_OPTIONS_INIT;
	struct rcl_machine *machine = (void *)&o;
	char *why = NULL;

	(void)state;
	o.budget = 4 << 20;
	o.metrics = "0.0.0.0:9000";
	assert_int_equal(rcl_open(&o, &machine, &why), -EACCES);
	assert_null(machine);
	assert_non_null(why);
	assert_non_null(strstr(why, "0.0.0.0:9000"));
	free(why);
	assert_int_equal(rcl_open(&o, &machine, NULL), -EACCES);
}

/* A child that closes what it inherited leaves its parent's page and socket alone. */
static void test_fork(void **state)
{
	struct world w;
	int status, fd;
	pid_t pid;

	(void)state;
	open_world(&w);
	pid = fork();
	if (!pid)
		_exit(rcl_close(w.machine) == -ECHILD ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	read_metrics(&w);
	fd = open_page(&w);
	assert_true(rcl_stats_is_alive(fd));
	close(fd);
	close_world(&w);
}

static void set_updated(int fd, uint64_t ns)
{
	char path[64];
	int writable;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	writable = open(path, O_RDWR | O_CLOEXEC);
	assert_true(writable >= 0);
	assert_int_equal(
		pwrite(writable, &ns, sizeof(ns), offsetof(struct stats_header, updated_ns)),
		sizeof(ns));
	close(writable);
}

/*
 * A program forks, as daemons do, and is killed; the child lives on. It has the page open, too, but
 * nobody takes it for the machine, and the next program that opens one removes the file.
 */
static void test_child_outlives_it(void **state)
{
	struct stats_header h = {0};
	int told[2], status, fd;
	struct world w, next;
	pid_t pid, child = 0;

	(void)state;
	assert_int_equal(pipe(told), 0);
	make_folder(&w);
	pid = fork();
	if (!pid) {
		open_machine(&w);
		child = fork();
		if (!child) {
			alarm(180);
			for (;;)
				pause();
		}
		_exit(write(told[1], &child, sizeof(child)) != sizeof(child) || pause());
	}
	assert_int_equal(read(told[0], &child, sizeof(child)), sizeof(child));
	fd = open_page(&w);
	assert_true(rcl_stats_is_alive(fd));
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	/* As if nothing had been written for long: who is only stopped is not dead. */
	assert_int_equal(pread(fd, &h, sizeof(h), 0), sizeof(h));
	set_updated(fd, 1);
	assert_true(rcl_stats_is_alive(fd));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(rcl_stats_is_alive(fd));

	next = w;
	open_machine(&next);
	close(fd);
	fd = open_page(&next);
	assert_true(rcl_stats_is_alive(fd));
	assert_int_equal(pread(fd, &h, sizeof(h), 0), sizeof(h));
	assert_int_equal(h.pid, getpid()); /* the only page there is */
	close(fd);
	close_world(&next);
	kill(child, SIGKILL);
	close(told[0]);
	close(told[1]);
}

/* Open a machine with a port of its own that is free. */
static u16 open_at_port(struct world *w)
{
	struct rcl_options o = RCL_OPTIONS_INIT;

	o.budget = 4 << 20;
	o.metrics = w->address;
	for (u32 try = 0; try < 50; try++) {
		u16 port = (u16)(20000 + ((u32)getpid() * 131 + try * 977) % 30000);

		snprintf(w->address, sizeof(w->address), "127.0.0.1:%u", port);
		if (!rcl_open(&o, &w->machine, NULL))
			return port;
	}
	return 0;
}

/* The child of a killed program that has let go of its parent's machine is not in the next one's way. */
static void test_child_lets_go_of_port(void **state)
{
	struct rcl_options o = RCL_OPTIONS_INIT;
	int told[2], status;
	struct world w;
	pid_t pid, child;
	u16 port;

	(void)state;
	assert_int_equal(pipe(told), 0);
	make_folder(&w);
	pid = fork();
	if (!pid) {
		alarm(180);
		port = open_at_port(&w);
		child = fork();
		if (!child) {
			alarm(180);
			child = getpid();
			_exit(rcl_close(w.machine) != -ECHILD ||
			      write(told[1], &port, sizeof(port)) != sizeof(port) ||
			      write(told[1], &child, sizeof(child)) != sizeof(child) || pause());
		}
		_exit(pause());
	}
	assert_int_equal(read(told[0], &port, sizeof(port)), sizeof(port));
	assert_int_equal(read(told[0], &child, sizeof(child)), sizeof(child));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);

	assert_true(port);
	snprintf(w.address, sizeof(w.address), "127.0.0.1:%u", port);
	o.budget = 4 << 20;
	o.metrics = w.address;
	assert_int_equal(rcl_open(&o, &w.machine, NULL), 0);
	assert_int_equal(kill(child, 0), 0);
	assert_int_equal(rcl_close(w.machine), 0);
	kill(child, SIGKILL);
	close(told[0]);
	close(told[1]);
	assert_int_equal(rmdir(w.dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_watching),
		cmocka_unit_test(test_open_close),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_child_outlives_it),
		cmocka_unit_test(test_child_lets_go_of_port),
	};

	alarm(180);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
