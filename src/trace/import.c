/* SPDX-License-Identifier: MIT */
#include "trace/import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace/input.h"

#define LONGEST (64u << 10)

int rcl_import_lines(const char *path, int (*fn)(void *arg, char *line), void *arg,
		     struct rcl_error *err)
{
	char *line = malloc(LONGEST + 1);
	struct rcl_input in;
	size_t n = 0;
	int rc = rcl_input_open(&in, path, false, err);

	if (rc || !line) {
		free(line);
		if (!rc)
			rcl_input_close(&in);
		return rc ? rc : rcl_error_set(err, -ENOMEM, "out of memory");
	}
	for (;;) {
		const uint8_t *eol = memchr(in.cur, '\n', rcl_input_left(&in));
		size_t have = eol ? (size_t)(eol - in.cur) : rcl_input_left(&in);
		size_t take = have < LONGEST - n ? have : LONGEST - n;
		ssize_t more;

		memcpy(line + n, in.cur, take);
		n += take;
		in.cur += have + !!eol;
		if (!eol) {
			more = rcl_input_more(&in, err);
			rc = more < 0 ? (int)more : 0;
			if (more > 0)
				continue;
			if (rc || !n)
				break;
		}
		line[n] = 0;
		n = 0;
		rc = fn(arg, line);
		if (rc || (!eol && in.at_end && !rcl_input_left(&in)))
			break;
	}
	rcl_input_close(&in);
	free(line);
	return rc;
}
