/* SPDX-License-Identifier: MIT */
/* As much of HTTP/1.0 as a server of one text needs. */
#ifndef RCL_API_HTTP_H
#define RCL_API_HTTP_H

#include "mm/types.h"

#define HTTP_REQUEST_MAX 4096u

struct http_request {
	bool head; /* HEAD: only the headers of the answer are wanted */
	char path[256];
	char host[256]; /* of the Host header; "" when there was none */
};

/*
 * Look at what has come so far. 0: more must come; 200: the request is whole, and in *out; else the
 * status to answer with: 400 no HTTP, 405 another method, 414 the path is too long, 431 too large,
 * 505 a version that does not exist yet.
 */
int rcl_http_parse(const char *buf, size_t bytes, struct http_request *out);
/* Reason that goes with a status. */
const char *rcl_http_reason(int status);
/* Does a Host header name this machine itself, as one that came over the loopback does? */
bool rcl_http_host_is_local(const char *host);

#endif
