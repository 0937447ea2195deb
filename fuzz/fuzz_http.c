/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing the request parser of the metrics server: any bytes. They come as one piece and bit by
 * bit, and the verdict must be the same; what is in it must end, and be within its limits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/http.h"

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request whole, part;
	size_t len = size < HTTP_REQUEST_MAX ? size : HTTP_REQUEST_MAX;
	char *buf = calloc(1, len ? len : 1);
	int status, early = 0;

	memcpy(buf, data, len);
	status = rcl_http_parse(buf, len, &whole);
	REQUIRE(len < HTTP_REQUEST_MAX || status);
	REQUIRE(strlen(whole.path) < sizeof(whole.path) && strlen(whole.host) < sizeof(whole.host));
	REQUIRE(status != 200 || *whole.path == '/');
	REQUIRE(!status || *rcl_http_reason(status));
	rcl_http_host_is_local(whole.host);
	for (size_t n = 0, step = 1 + len / 256; n <= len && !early;
	     n = n < len && n + step > len ? len : n + step) {
		/* Nothing behind what has come may be looked at. */
		char *piece = calloc(1, n ? n : 1);

		memcpy(piece, buf, n);
		early = rcl_http_parse(piece, n, &part);
		free(piece);
	}
	/* The first verdict is the last. */
	REQUIRE(early == status);
	REQUIRE(status != 200 ||
		(!strcmp(part.path, whole.path) && !strcmp(part.host, whole.host)));
	free(buf);
	return 0;
}
