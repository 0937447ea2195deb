/* SPDX-License-Identifier: MIT */
/*
 * Reading a request. It is looked at when its empty line has come, or when it cannot become a
 * request any more: no method of HTTP begins so, or there is no room left. A body is not read; who
 * sends one gets its answer all the same, and the connection closes behind it.
 */
#define _GNU_SOURCE
#include "api/http.h"

#include <strings.h>

/* The line that begins at buf, without its end; *next: the line after it. NULL: it has no end. */
static const char *line_end(const char *buf, const char *end, const char **next)
{
	const char *nl = memchr(buf, '\n', (size_t)(end - buf));

	if (!nl)
		return NULL;
	*next = nl + 1;
	return nl > buf && nl[-1] == '\r' ? nl - 1 : nl;
}

static bool is_token(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static int request_line(const char *s, const char *end, struct http_request *out)
{
	const char *method = s, *path, *version;
	size_t len;

	while (s < end && is_token(*s))
		s++;
	len = (size_t)(s - method);
	if (!len || s == end || *s != ' ')
		return 400;
	path = ++s;
	while (s<end && * s> ' ' && *s != 127)
		s++;
	if (s == path || s == end || *s != ' ')
		return 400;
	version = s + 1;
	if (end - version != 8 || memcmp(version, "HTTP/", 5) || version[6] != '.' ||
	    version[5] < '0' || version[5] > '9' || version[7] < '0' || version[7] > '9')
		return 400;
	if (version[5] != '1')
		return 505;
	if (*path != '/')
		return 400;
	out->head = len == 4 && !memcmp(method, "HEAD", 4);
	if (!out->head && !(len == 3 && !memcmp(method, "GET", 3)))
		return 405;
	len = (size_t)(s - path);
	if (len >= sizeof(out->path))
		return 414;
	memcpy(out->path, path, len);
	out->path[len] = 0;
	out->path[strcspn(out->path, "?")] = 0;
	return 200;
}

static int header_line(const char *s, const char *end, struct http_request *out)
{
	const char *name = s;
	size_t len;

	while (s < end && is_token(*s))
		s++;
	len = (size_t)(s - name);
	if (!len || s == end || *s != ':')
		return 400;
	for (s++; s < end && (*s == ' ' || *s == '\t');)
		s++;
	while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (memchr(s, 0, (size_t)(end - s)))
		return 400;
	if (len != 4 || strncasecmp(name, "host", 4))
		return 200;
	len = (size_t)(end - s);
	if (len >= sizeof(out->host) || out->host[0])
		return 400;
	memcpy(out->host, s, len);
	out->host[len] = 0;
	return 200;
}

int rcl_http_parse(const char *buf, size_t bytes, struct http_request *out)
{
	const char *end = buf + bytes, *next = buf, *stop;
	int status = 200;

	memset(out, 0, sizeof(*out));
	if (bytes && !is_token(*buf))
		return 400;
	for (bool first = true;; first = false) {
		const char *line = next;

		stop = line_end(line, end, &next);
		if (!stop)
			return bytes >= HTTP_REQUEST_MAX ? 431 : 0;
		if (first) {
			status = request_line(line, stop, out);
			if (status == 400)
				return status;
			continue;
		}
		if (stop == line)
			return status;
		if (header_line(line, stop, out) != 200)
			return 400;
	}
}

const char *rcl_http_reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 414:
		return "URI Too Long";
	case 431:
		return "Request Header Fields Too Large";
	case 505:
		return "HTTP Version Not Supported";
	}
	return "Internal Server Error";
}

bool rcl_http_host_is_local(const char *host)
{
	size_t len = strcspn(host, ":");

	if (*host == '[')
		return !strncmp(host, "[::1]", 5) && (!host[5] || host[5] == ':');
	if (len == 9 && !strncasecmp(host, "localhost", 9))
		return true;
	if (strncmp(host, "127.", 4))
		return false;
	return strspn(host, "0123456789.") == len;
}
