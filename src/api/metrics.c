/* SPDX-License-Identifier: MIT */
/*
 * The server of metrics: one listening socket, a few connections, nothing that waits.
 *
 * A connection is one request and one answer. It has METRICS_PATIENCE for both, whatever it does
 * meanwhile: send a byte a second, garbage, nothing, or not read. What it sends beyond a request's
 * size ends it. So no client costs more than a descriptor, a few KiB and one answer, or keeps its
 * place for longer than that.
 *
 * Only addresses of this computer are listened at. A Unix socket's mode is 0600 from the moment it
 * exists (the mode of its inode is set before bind() makes a name for it). A TCP port can be
 * reached by every user of the computer, and by their web browsers on behalf of foreign pages: a
 * request whose Host is not a name of the loopback is refused.
 */
#define _GNU_SOURCE
#include "api/metrics.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "api/http.h"
#include "api/observe_internal.h"

struct client {
	int fd; /* -1: nobody */
	u64 deadline;
	char in[HTTP_REQUEST_MAX];
	size_t nr_in;
	char *out; /* NULL: still asking */
	size_t nr_out, sent;
};

struct rcl_metrics {
	int fd;
	bool tcp;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "" = no file */
	dev_t dev;
	ino_t ino;
	struct client clients[METRICS_CLIENTS];
};

#define ORPHAN_PATIENCE_MS 250

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

/* ---- Addresses ----------------------------------------------------------------------------- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
};

/*
 * Who listens there is dead: a child that was forked before keeps the socket open, no more. But the
 * child may be a daemon, that serves what its parent has opened: then it takes what it is sent.
 */
static bool is_orphan(int fd)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	struct pollfd answer = {.fd = fd, .events = POLLIN};
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int not_taken = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) || peer.pid <= 0 ||
	    !kill(peer.pid, 0) || errno != ESRCH)
		return false;
	return send(fd, request, strlen(request), MSG_NOSIGNAL) > 0 &&
	       !poll(&answer, 1, ORPHAN_PATIENCE_MS) && !ioctl(fd, SIOCOUTQ, &not_taken) &&
	       not_taken;
}

/* Nobody listens at a socket's file any more: what is left of a process that was killed. */
static bool is_left_over(const union address *a, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool left = false;
	struct stat st;
	int saved = errno;

	if (fd < 0)
		return false;
	/* Ours have that mode. */
	if (!lstat(a->un.sun_path, &st) && S_ISSOCK(st.st_mode) && st.st_uid == geteuid() &&
	    (st.st_mode & 0777) == 0600)
		left = connect(fd, &a->any, len) ? errno == ECONNREFUSED : is_orphan(fd);
	close(fd);
	errno = saved;
	return left;
}

static int unix_address(const char *path, const char *shown, union address *a, socklen_t *len,
			char **message)
{
	if (*path != '/')
		return rcl_observe_fail(message, -EINVAL,
					"metrics: %s: the path must begin with '/'", shown);
	if (strlen(path) >= sizeof(a->un.sun_path))
		return rcl_observe_fail(message, -ENAMETOOLONG,
					"metrics: %s: the path has more than %zu characters", shown,
					sizeof(a->un.sun_path) - 1);
	a->un.sun_family = AF_UNIX;
	strcpy(a->un.sun_path, path);
	*len = sizeof(a->un);
	return 0;
}

/* "1".."65535", else 0. */
static u16 port_of(const char *s)
{
	unsigned long n = 0;

	if (!*s || strspn(s, "0123456789") != strlen(s) || strlen(s) > 5)
		return 0;
	n = strtoul(s, NULL, 10);
	return n <= UINT16_MAX ? (u16)n : 0;
}

static int tcp_address(const char *s, union address *a, socklen_t *len, char **message)
{
	const char *colon = strrchr(s, ':');
	char host[64] = "";
	size_t n;

	if (!colon)
		return rcl_observe_fail(message, -EINVAL,
					"metrics: '%s': neither unix:/PATH nor 127.0.0.1:PORT nor "
					"[::1]:PORT",
					s);
	n = (size_t)(colon - s);
	if (n < sizeof(host))
		memcpy(host, s, n);
	if (!port_of(colon + 1))
		return rcl_observe_fail(message, -EINVAL,
					"metrics: '%s': the port is not a number from 1 to 65535",
					s);
	if (!strcmp(host, "[::1]")) {
		a->v6.sin6_family = AF_INET6;
		a->v6.sin6_addr = in6addr_loopback;
		a->v6.sin6_port = htons(port_of(colon + 1));
		*len = sizeof(a->v6);
		return 0;
	}
	if (!strcmp(host, "localhost"))
		strcpy(host, "127.0.0.1");
	a->v4.sin_family = AF_INET;
	a->v4.sin_port = htons(port_of(colon + 1));
	*len = sizeof(a->v4);
	if (inet_pton(AF_INET, host, &a->v4.sin_addr) != 1 ||
	    ntohl(a->v4.sin_addr.s_addr) >> 24 != 127)
		return rcl_observe_fail(message, -EACCES,
					"metrics: '%s': not an address of this computer's loopback "
					"(127.0.0.1, [::1]); to serve other computers, put a proxy "
					"that asks who they are in front of it",
					s);
	return 0;
}

static int listen_at(struct rcl_metrics *s, const union address *a, socklen_t len)
{
	int on = 1;
	struct stat st;

	s->fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return -errno;
	if (s->tcp)
		setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	else if (fchmod(s->fd, 0600))
		return -errno;
	if (bind(s->fd, &a->any, len)) {
		if (s->tcp || errno != EADDRINUSE || !is_left_over(a, len))
			return -errno;
		unlink(a->un.sun_path);
		if (bind(s->fd, &a->any, len))
			return -errno;
	}
	if (!s->tcp) {
		strcpy(s->path, a->un.sun_path);
		if (lstat(s->path, &st))
			return -errno;
		s->dev = st.st_dev;
		s->ino = st.st_ino;
	}
	return listen(s->fd, 16) ? -errno : 0;
}

int rcl_metrics_open(const char *address, struct rcl_metrics **out, char **message)
{
	struct rcl_metrics *s = calloc(1, sizeof(*s));
	union address a = {0};
	socklen_t len = 0;
	int err;

	*out = NULL;
	if (!s)
		return rcl_observe_fail(message, -ENOMEM, "metrics: out of memory");
	s->fd = -1;
	for (u32 i = 0; i < METRICS_CLIENTS; i++)
		s->clients[i].fd = -1;
	s->tcp = strncmp(address, "unix:", 5);
	if (s->tcp)
		err = tcp_address(address, &a, &len, message);
	else
		err = unix_address(address + 5, address, &a, &len, message);
	if (!err) {
		err = listen_at(s, &a, len);
		if (err)
			rcl_observe_fail(message, err, "metrics: %s: %s", address, strerror(-err));
	}
	if (err)
		rcl_metrics_close(s, false);
	else
		*out = s;
	return err;
}

static void hang_up(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->out);
	c->out = NULL;
	c->fd = -1;
}

void rcl_metrics_close(struct rcl_metrics *s, bool keep)
{
	struct stat st;

	if (!s)
		return;
	for (u32 i = 0; i < METRICS_CLIENTS; i++)
		hang_up(&s->clients[i]);
	if (!keep && s->path[0] && !lstat(s->path, &st) && st.st_dev == s->dev &&
	    st.st_ino == s->ino)
		unlink(s->path);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

/* ---- Connections --------------------------------------------------------------------------- */

static void answer(struct client *c, int status, const char *type, const char *body, size_t bytes,
		   bool head)
{
	size_t size = bytes + 256;
	int n;

	c->out = malloc(size);
	if (!c->out) {
		hang_up(c);
		return;
	}
	n = snprintf(c->out, 256,
		     "HTTP/1.0 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		     "Connection: close\r\n%s\r\n",
		     status, rcl_http_reason(status), type, bytes,
		     status == 405 ? "Allow: GET, HEAD\r\n" : "");
	c->nr_out = (size_t)n;
	c->sent = 0;
	if (!head) {
		memcpy(c->out + n, body, bytes);
		c->nr_out += bytes;
	}
}

static void refuse(struct client *c, int status, bool head)
{
	char body[128];
	int n = snprintf(body, sizeof(body), "%d %s%s\n", status, rcl_http_reason(status),
			 status == 404 ? "; the figures are at /metrics" : "");

	answer(c, status, "text/plain; charset=utf-8", body, (size_t)n, head);
}

static void answer_request(struct rcl_metrics *s, struct client *c, int status,
			   const struct http_request *r, const struct stats_header *(*fill)(void *),
			   void *arg)
{
	size_t bytes;
	char *text;

	if (status == 200 && s->tcp && r->host[0] && !rcl_http_host_is_local(r->host))
		status = 403;
	else if (status == 200 && strcmp(r->path, "/metrics"))
		status = 404;
	if (status != 200) {
		refuse(c, status, r->head);
		return;
	}
	text = rcl_metrics_text(fill(arg), &bytes);
	if (!text) {
		refuse(c, 500, r->head);
		return;
	}
	answer(c, 200, "text/plain; version=0.0.4; charset=utf-8", text, bytes, r->head);
	free(text);
}

static void take_request(struct rcl_metrics *s, struct client *c,
			 const struct stats_header *(*fill)(void *), void *arg)
{
	struct http_request r;
	ssize_t n = recv(c->fd, c->in + c->nr_in, sizeof(c->in) - c->nr_in, MSG_DONTWAIT);
	int status;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(c);
		return;
	}
	c->nr_in += (size_t)n;
	status = rcl_http_parse(c->in, c->nr_in, &r);
	if (status)
		answer_request(s, c, status, &r, fill, arg);
}

static void send_answer(struct client *c)
{
	char rest[512];

	while (c->sent < c->nr_out) {
		ssize_t n = send(c->fd, c->out + c->sent, c->nr_out - c->sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			hang_up(c);
			return;
		}
		c->sent += (size_t)n;
	}
	/* Closing with something unread would make the system throw the answer away. */
	shutdown(c->fd, SHUT_WR);
	for (int i = 0; i < 16; i++)
		if (recv(c->fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0)
			break;
	hang_up(c);
}

static struct client *vacant(struct rcl_metrics *s)
{
	for (u32 i = 0; i < METRICS_CLIENTS; i++)
		if (s->clients[i].fd < 0)
			return &s->clients[i];
	return NULL;
}

static void take_clients(struct rcl_metrics *s)
{
	struct client *c;

	while ((c = vacant(s))) {
		int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		c->fd = fd;
		c->nr_in = 0;
		c->deadline = now_ns() + METRICS_PATIENCE * 1000000ull;
	}
}

/* ---- The loop's side ----------------------------------------------------------------------- */

nfds_t rcl_metrics_poll(struct rcl_metrics *s, struct pollfd *fds)
{
	nfds_t nr = 0;

	for (u32 i = 0; i < METRICS_CLIENTS; i++) {
		struct client *c = &s->clients[i];

		if (c->fd >= 0)
			fds[nr++] =
				(struct pollfd){.fd = c->fd, .events = c->out ? POLLOUT : POLLIN};
	}
	if (nr < METRICS_CLIENTS)
		fds[nr++] = (struct pollfd){.fd = s->fd, .events = POLLIN};
	return nr;
}

u64 rcl_metrics_deadline(const struct rcl_metrics *s)
{
	u64 first = UINT64_MAX;

	for (u32 i = 0; i < METRICS_CLIENTS; i++)
		if (s->clients[i].fd >= 0)
			first = min(first, s->clients[i].deadline);
	return first;
}

static bool is_ready(const struct pollfd *fds, nfds_t nr, int fd)
{
	for (nfds_t i = 0; i < nr; i++)
		if (fds[i].fd == fd)
			return fds[i].revents;
	return false;
}

void rcl_metrics_serve(struct rcl_metrics *s, const struct pollfd *fds, nfds_t nr,
		       const struct stats_header *(*fill)(void *arg), void *arg)
{
	u64 now = now_ns();

	for (u32 i = 0; i < METRICS_CLIENTS; i++) {
		struct client *c = &s->clients[i];

		if (c->fd < 0)
			continue;
		if (now >= c->deadline) {
			hang_up(c);
			continue;
		}
		if (!is_ready(fds, nr, c->fd))
			continue;
		if (!c->out)
			take_request(s, c, fill, arg);
		if (c->fd >= 0 && c->out)
			send_answer(c);
	}
	if (is_ready(fds, nr, s->fd))
		take_clients(s);
}
