/* SPDX-License-Identifier: MIT */
/* Metrics: the text, the server, and the clients that one would rather not have. */
#include "watched.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "api/http.h"
#include "api/metrics.h"
#include "api/stats_image.h"

#define GET "GET /metrics HTTP/1.0\r\n\r\n"

static char socket_path[TEST_PATH_SIZE];

static int start_at(struct watched *w, const char *address, struct rcl_observer **o, char **message)
{
	*message = NULL;
	w->cfg.metrics = address;
	return rcl_observe_start(&w->cfg, o, message);
}

static struct rcl_observer *start(struct watched *w)
{
	static char address[TEST_PATH_SIZE + 8];
	struct rcl_observer *o;
	char *message;

	snprintf(socket_path, sizeof(socket_path), "%s/metrics", w->dir);
	snprintf(address, sizeof(address), "unix:%s", socket_path);
	assert_int_equal(start_at(w, address, &o, &message), 0);
	assert_non_null(o);
	return o;
}

static int dial(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(a.sun_path, socket_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Everything until the other side hangs up. */
static char *read_all(int fd)
{
	size_t nr = 0, size = 1 << 20;
	char *buf = malloc(size);
	ssize_t n;

	while ((n = recv(fd, buf + nr, size - nr - 1, 0)) > 0)
		nr += (size_t)n;
	buf[nr] = 0;
	close(fd);
	return buf;
}

static char *ask(const char *request)
{
	int fd = dial();

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	return read_all(fd);
}

static void says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no '%s' in: %.3000s", part, text);
}

static void test_answer(void **state)
{
	struct watched *w = watched_open();
	struct rcl_observer *o;
	char pid[32], *text, *body;
	struct stat st;
	size_t length;

	(void)state;
	w->m->cpus[0].events[PGSCAN_DIRECT] = 4711;
	w->inner->events[PGFAULT] = 11;
	o = start(w);
	assert_int_equal(stat(socket_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	text = ask(GET);
	says(text, "HTTP/1.0 200 OK\r\n");
	says(text, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
	body = strstr(text, "\r\n\r\n") + 4;
	length = strtoul(strstr(text, "Content-Length: ") + 16, NULL, 10);
	assert_int_equal(length, strlen(body));
	snprintf(pid, sizeof(pid), "pid=\"%d\"", (int)getpid());
	says(body, pid);
	says(body,
	     "# TYPE reclaim_budget_bytes gauge\nreclaim_budget_bytes{machine=\"te\\\\st?[2J\",");
	says(body, "# HELP reclaim_checksum_errors_total ");
	says(body, "# TYPE reclaim_stalled_some_seconds_total counter\n");
	says(body, "} 1.500000001\n");
	says(body, "# TYPE reclaim_vmstat_pgscan_direct counter\nreclaim_vmstat_pgscan_direct{");
	says(body, "} 4711\n");
	says(body, "# TYPE reclaim_vmstat_nr_free_pages gauge\n");
	says(body, "group=\"outer/in\\\"ner\",id=\"");
	says(body, "# TYPE reclaim_group_limit_bytes gauge\nreclaim_group_limit_bytes{");
	says(body, "# TYPE reclaim_memory_stat_pgfault counter\n");
	/* The outer group has no limit, so it has no such line. */
	assert_null(strstr(body, "9223372036854775807"));
	free(text);

	text = ask("HEAD /metrics?x=1 HTTP/1.1\r\nHost: whatever\r\n\r\n");
	says(text, "HTTP/1.0 200 OK\r\n");
	assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
	free(text);
	text = ask("GET / HTTP/1.0\n\n");
	says(text, "HTTP/1.0 404 ");
	says(text, "/metrics");
	free(text);
	text = ask("POST /metrics HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello");
	says(text, "HTTP/1.0 405 ");
	says(text, "Allow: GET, HEAD\r\n");
	free(text);
	rcl_observe_stop(o);
	assert_int_equal(stat(socket_path, &st), -1);
	watched_close(w);
}

/* Every line of the text is one of the format. */
static void test_format(void **state)
{
	struct watched *w = watched_open();
	struct stats_header *h = rcl_stats_image_create(&w->cfg);
	char *text, *line, *save, type[128] = "";
	size_t bytes, samples = 0;

	(void)state;
	rcl_stats_image_fill(&w->cfg, h);
	text = rcl_metrics_text(h, &bytes);
	assert_int_equal(bytes, strlen(text));
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char name[128], kind[16], *end;

		if (!strncmp(line, "# HELP ", 7))
			continue;
		if (sscanf(line, "# TYPE %127s %15s", name, kind) == 2) {
			assert_true(!strcmp(kind, "counter") || !strcmp(kind, "gauge"));
			strcpy(type, name);
			continue;
		}
		/* A value belongs to the last type, has labels and a number. */
		assert_int_equal(strncmp(line, type, strlen(type)), 0);
		assert_int_equal(line[strlen(type)], '{');
		assert_int_equal(strspn(type, "abcdefghijklmnopqrstuvwxyz_0123456789"),
				 strlen(type));
		end = strrchr(line, '}');
		assert_non_null(end);
		assert_int_equal(end[1], ' ');
		strtod(end + 2, &end);
		assert_int_equal(*end, 0);
		samples++;
	}
	/* Both groups have all figures, but for the limit that one of them has not. */
	assert_int_equal(samples, h->nr_figures + 2 * h->nr_group_figures - 1);
	free(text);
	free(h);
	watched_close(w);
}

static void test_parser(void **state)
{
	static const struct {
		const char *request;
		int status;
	} requests[] = {
		{"", 0},
		{"G", 0},
		{"GET", 0},
		{"GET / HTTP/1.0", 0},
		{"GET / HTTP/1.0\r\n", 0},
		{"GET / HTTP/1.0\r\n\r", 0},
		{"GET / HTTP/1.0\r\n\r\n", 200},
		{"GET / HTTP/1.1\nHost: a\nX-y:\n\n", 200},
		{"GET /a?b HTTP/1.1\r\n\r\n", 200},
		{"\x16\x03\x01", 400}, /* TLS */
		{"\r\n", 400},
		{"GET  / HTTP/1.0\r\n", 400},
		{"GET /\r\n", 400},
		{"GET / HTTP/1.0 \r\n", 400},
		{"GET / HTTQ/1.0\r\n", 400},
		{"GET http://x/ HTTP/1.0\r\n", 400},
		{"GET / HTTP/2.0\r\n\r\n", 505},
		{"DELETE / HTTP/1.0\r\n\r\n", 405},
		{"get / HTTP/1.0\r\n\r\n", 405},
		{"GET / HTTP/1.0\r\nno colon\r\n\r\n", 400},
		{"GET / HTTP/1.0\r\n: x\r\n\r\n", 400},
		{"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{"GET / HTTP/1.0\r\n folded\r\n\r\n", 400},
	};
	static const struct {
		const char *host;
		bool local;
	} hosts[] = {
		{"127.0.0.1", true},	   {"127.0.0.1:9000", true}, {"localhost", true},
		{"LocalHost:1", true},	   {"[::1]", true},	     {"[::1]:80", true},
		{"127.0.0.1.evil", false}, {"evil.com", false},	     {"localhost.evil", false},
		{"[::2]", false},	   {"[::1]evil", false},     {"10.0.0.1", false},
	};
	struct http_request r;
	char large[HTTP_REQUEST_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		const char *s = requests[i].request;
		int status = rcl_http_parse(s, strlen(s), &r);

		if (status != requests[i].status)
			fail_msg("%s: %d, not %d", s, status, requests[i].status);
	}
	assert_int_equal(rcl_http_parse("HEAD /a?b HTTP/1.1\r\nhOST:  x:1 \r\n\r\n", 36, &r), 200);
	assert_true(r.head);
	assert_string_equal(r.path, "/a");
	assert_string_equal(r.host, "x:1");
	memset(large, 'a', sizeof(large));
	assert_int_equal(rcl_http_parse(large, sizeof(large) - 1, &r), 0);
	assert_int_equal(rcl_http_parse(large, sizeof(large), &r), 431);
	memcpy(large, "GET /", 5);
	memcpy(large + 1000, " HTTP/1.0\r\n\r\n", 13);
	assert_int_equal(rcl_http_parse(large, 1013, &r), 414);
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
		if (rcl_http_host_is_local(hosts[i].host) != hosts[i].local)
			fail_msg("host %s", hosts[i].host);
}

/* Clients that send nothing, too much, nonsense, or do not read: others are served meanwhile. */
static void test_bad_clients(void **state)
{
	struct watched *w = watched_open();
	struct rcl_observer *o = start(w);
	char garbage[3 * HTTP_REQUEST_MAX], *text;
	int idle[4], deaf[4], fd;

	(void)state;
	for (int i = 0; i < 4; i++) {
		idle[i] = dial();
		assert_int_equal(send(idle[i], "GET /me", 7, MSG_NOSIGNAL), 7);
		deaf[i] = dial();
		assert_int_equal(send(deaf[i], GET, strlen(GET), MSG_NOSIGNAL), strlen(GET));
	}
	memset(garbage, 'x', sizeof(garbage));
	fd = dial();
	send(fd, garbage, sizeof(garbage), MSG_NOSIGNAL);
	text = read_all(fd);
	says(text, "HTTP/1.0 431 ");
	free(text);
	text = ask("\x16\x03\x01\x02 what");
	says(text, "HTTP/1.0 400 ");
	free(text);
	close(dial());
	/* A request in single bytes. */
	fd = dial();
	for (const char *c = GET; *c; c++)
		assert_int_equal(send(fd, c, 1, MSG_NOSIGNAL), 1);
	text = read_all(fd);
	says(text, "HTTP/1.0 200 OK");
	says(text, "reclaim_budget_bytes");
	free(text);
	for (int i = 0; i < 4; i++) {
		text = read_all(deaf[i]);
		says(text, "HTTP/1.0 200 OK");
		free(text);
		/* It did not ask in time. */
		text = read_all(idle[i]);
		assert_string_equal(text, "");
		free(text);
	}
	rcl_observe_stop(o);
	watched_close(w);
}

/* More clients than there is room for: all get their turn. Stopping does not wait for them. */
static void test_crowd(void **state)
{
	struct watched *w = watched_open();
	struct rcl_observer *o = start(w);
	int fds[3 * METRICS_CLIENTS];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = dial();
		assert_int_equal(send(fds[i], GET, strlen(GET), MSG_NOSIGNAL), strlen(GET));
		if (i >= 2 * METRICS_CLIENTS - 1) {
			char *text = read_all(fds[i - 2 * METRICS_CLIENTS + 1]);

			says(text, "reclaim_vmstat_pgfault");
			free(text);
		}
	}
	rcl_observe_stop(o);
	for (size_t i = METRICS_CLIENTS + 1; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	watched_close(w);
}

static void refused(struct watched *w, const char *address, int err, const char *why)
{
	struct rcl_observer *o;
	char *message;

	assert_int_equal(start_at(w, address, &o, &message), err);
	assert_null(o);
	says(message, why);
	free(message);
}

static void test_addresses(void **state)
{
	struct watched *w = watched_open();
	struct rcl_observer *o;
	char *message, path[TEST_PATH_SIZE];
	FILE *f;

	(void)state;
	refused(w, "0.0.0.0:9000", -EACCES, "not an address of this computer's loopback");
	refused(w, "192.168.1.1:9000", -EACCES, "loopback");
	refused(w, "[::]:9000", -EACCES, "loopback");
	refused(w, "example.com:9000", -EACCES, "loopback");
	refused(w, ":9000", -EACCES, "loopback");
	refused(w, "127.0.0.1", -EINVAL, "neither unix:/PATH nor");
	refused(w, "127.0.0.1:", -EINVAL, "port");
	refused(w, "127.0.0.1:0", -EINVAL, "port");
	refused(w, "127.0.0.1:65536", -EINVAL, "port");
	refused(w, "127.0.0.1:80x", -EINVAL, "port");
	refused(w, "", -EINVAL, "neither");
	refused(w, "unix:relative", -EINVAL, "must begin with '/'");
	refused(w, "unix:/nonexistent/socket", -ENOENT, "No such file");
	memset(path, 'a', sizeof(path));
	memcpy(path, "unix:/", 6);
	path[200] = 0;
	refused(w, path, -ENAMETOOLONG, "more than 107 characters");

	/* A file in the way, and a server in the way: both stay. */
	snprintf(path, sizeof(path), "unix:%s/metrics", w->dir);
	f = fopen(path + 5, "w");
	assert_non_null(f);
	fclose(f);
	refused(w, path, -EADDRINUSE, "in use");
	assert_int_equal(unlink(path + 5), 0);
	o = start(w);
	refused(w, path, -EADDRINUSE, "in use");
	message = ask(GET);
	says(message, "200 OK");
	free(message);
	rcl_observe_stop(o);
	watched_close(w);
}

/* A socket that a killed process left is taken over. */
static void test_left_over(void **state)
{
	struct watched *w;
	struct rcl_observer *o;
	char *text;
	int status;
	pid_t pid;

	(void)state;
	if (NO_THREADS_IN_CHILDREN)
		skip();
	w = watched_open();
	pid = fork();
	if (!pid) {
		start(w);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	o = start(w);
	text = ask(GET);
	says(text, "200 OK");
	free(text);
	rcl_observe_stop(o);
	watched_close(w);
}

/* One that a daemon serves whose parent, now dead, has opened it: not ours to take. */
static void test_daemon_in_the_way(void **state)
{
	struct watched *w = watched_open();
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char path[300];
	struct stat st;
	int status, fd;
	pid_t parent, daemon = 0;
	int ids[2];

	(void)state;
	snprintf(path, sizeof(path), "unix:%s/metrics", w->dir);
	assert_true(strlen(path + 5) < sizeof(a.sun_path));
	strcpy(a.sun_path, path + 5);
	assert_int_equal(pipe(ids), 0);
	parent = fork();
	if (!parent) {
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || chmod(a.sun_path, 0600) ||
		    listen(fd, 5))
			_exit(1);
		daemon = fork();
		if (!daemon) {
			char buf[100];
			int client;

			alarm(60); /* should the test end before it ends us */
			while ((client = accept(fd, NULL, NULL)) >= 0)
				while (read(client, buf, sizeof(buf)) > 0)
					;
			_exit(0);
		}
		_exit(write(ids[1], &daemon, sizeof(daemon)) != sizeof(daemon));
	}
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_int_equal(status, 0);
	assert_int_equal(read(ids[0], &daemon, sizeof(daemon)), sizeof(daemon));
	refused(w, path, -EADDRINUSE, "in use");
	assert_int_equal(stat(a.sun_path, &st), 0);
	kill(daemon, SIGKILL);
	unlink(a.sun_path);
	close(ids[0]);
	close(ids[1]);
	watched_close(w);
}

static char *ask_tcp(u16 port, const char *request)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	return read_all(fd);
}

static void test_tcp(void **state)
{
	struct watched *w = watched_open();
	struct rcl_observer *o = NULL;
	char address[32], *message, *text;
	u16 port = 0;

	(void)state;
	for (u32 try = 0; try < 100 && !o; try++) {
		port = (u16)(20000 + ((u32)getpid() * 131 + try * 977) % 30000);
		snprintf(address, sizeof(address), "127.0.0.1:%u", port);
		if (start_at(w, address, &o, &message))
			free(message);
	}
	assert_non_null(o);
	text = ask_tcp(port, GET);
	says(text, "200 OK");
	free(text);
	text = ask_tcp(port, "GET /metrics HTTP/1.1\r\nHost: localhost:1\r\n\r\n");
	says(text, "200 OK");
	free(text);
	/* A page from elsewhere whose name was made to mean this computer. */
	text = ask_tcp(port, "GET /metrics HTTP/1.1\r\nHost: evil.example:1\r\n\r\n");
	says(text, "403 ");
	assert_null(strstr(text, "reclaim_budget"));
	free(text);
	rcl_observe_stop(o);
	watched_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer),	  cmocka_unit_test(test_format),
		cmocka_unit_test(test_parser),	  cmocka_unit_test(test_bad_clients),
		cmocka_unit_test(test_crowd),	  cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_left_over), cmocka_unit_test(test_daemon_in_the_way),
		cmocka_unit_test(test_tcp),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
