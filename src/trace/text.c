/* SPDX-License-Identifier: MIT */
/*
 * Text traces: finding whole lines in the input, and telling what a bad one was.
 */
#define _GNU_SOURCE 1 /* memrchr, rawmemchr */
#include "trace/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int rcl_text_lines(struct rcl_trace *t, const uint8_t **limit)
{
	struct rcl_input *in = &t->input;

	for (;;) {
		size_t left = rcl_input_left(in);
		const uint8_t *last = memrchr(in->cur, '\n', left);
		ssize_t n;

		if (last) {
			*limit = last + 1;
			return 1;
		}
		if (left > RCL_LINE_MAX)
			return rcl_trace_fail(t, -EBADMSG, "%s: line %llu is longer than %u bytes",
					      rcl_input_name(in), (unsigned long long)t->line + 1,
					      RCL_LINE_MAX);
		if (in->at_end) {
			*limit = in->end + 1;
			return left ? 1 : 0;
		}
		n = rcl_input_more(in, &t->error);
		if (n < 0)
			return (int)n;
	}
}

const uint8_t *rcl_text_next_line(const uint8_t *p)
{
	return (const uint8_t *)rawmemchr(p, '\n') + 1;
}

void rcl_text_excerpt(const uint8_t *p, char *out, size_t size)
{
	size_t n = 0;

	for (; *p != '\n' && *p != '\r' && n + 8 < size; p++) {
		if (*p >= ' ' && *p < 0x7f)
			out[n++] = (char)*p;
		else
			n += (size_t)sprintf(out + n, "\\x%02x", *p);
	}
	if (*p != '\n' && *p != '\r')
		n += (size_t)sprintf(out + n, "...");
	out[n] = '\0';
}

int rcl_trace_fail_line(struct rcl_trace *t, const uint8_t *at, const char *what)
{
	char line[96];

	rcl_text_excerpt(at, line, sizeof(line));
	return rcl_trace_fail(t, -EBADMSG, "%s: line %llu: %s: '%s'", rcl_input_name(&t->input),
			      (unsigned long long)t->line + 1, what, line);
}

/* Binary data gives itself away by control characters. Bytes from 0x80 on may be names in UTF-8. */
static bool is_text(const struct rcl_probe *probe)
{
	for (size_t i = 0; i < probe->size; i++) {
		uint8_t c = probe->head[i];

		if (c < ' ' && c != '\n' && c != '\r' && c != '\t')
			return false;
	}
	return true;
}

bool rcl_text_first_line(const struct rcl_probe *probe, uint8_t *line, size_t size)
{
	const uint8_t *p = probe->head, *end = p + probe->size;

	if (!is_text(probe))
		return false;
	while (p < end) {
		const uint8_t *eol = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((eol ? eol : end) - p);

		/* A line cut off by the probe's end is not known. */
		if (!eol && !probe->whole)
			return false;
		if (n >= size)
			return false;
		memcpy(line, p, n);
		line[n] = '\n';
		if (!rcl_text_is_comment(line))
			return true;
		p += n + 1;
	}
	return false;
}
