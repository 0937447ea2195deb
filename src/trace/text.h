/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_TEXT_H
#define RCL_TRACE_TEXT_H

#include "trace/format.h"

/*
 * What the text formats share. Private to src/trace.
 *
 * Lines are parsed where they lie in the input's window. Every parser stops at the line's newline
 * at the latest, and the window ends in one, so no parser needs to know where the line ends.
 */

#define RCL_LINE_MAX 65536u

/*
 * Have at least one complete line at hand: 1 with *limit behind the last complete one, 0 at the end
 * of the input, or a negative errno. A last line without a newline is complete.
 */
int rcl_text_lines(struct rcl_trace *t, const uint8_t **limit);

/* Everything before `p` is used up. */
static inline void rcl_text_used(struct rcl_trace *t, const uint8_t *p)
{
	/* The newline that is only lent (see struct rcl_input) is not part of the input. */
	t->input.cur = p < t->input.end ? p : t->input.end;
}

static inline const uint8_t *rcl_text_blanks(const uint8_t *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

/* Behind the newline, when nothing but blanks and a carriage return is left on the line; or NULL.
 */
static inline const uint8_t *rcl_text_line_end(const uint8_t *p)
{
	if (__builtin_expect(*p != '\n', 0)) {
		while (*p == ' ' || *p == '\t' || *p == '\r')
			p++;
		if (*p != '\n')
			return NULL;
	}
	return p + 1;
}

/* Is there nothing on the line of `p`, or a comment ("# ...")? */
static inline bool rcl_text_is_comment(const uint8_t *p)
{
	return *p == '#' || rcl_text_line_end(p);
}

/* Behind the line of `p`. */
const uint8_t *rcl_text_next_line(const uint8_t *p);

/* A decimal number from `p` on: behind it, or NULL when there is none or it exceeds 64 bits. */
static inline const uint8_t *rcl_text_decimal(const uint8_t *p, uint64_t *value)
{
	const uint8_t *begin = p;
	uint64_t v = 0;
	unsigned int d;

	for (; (d = *p - (unsigned int)'0') < 10; p++) {
		/* 19 digits always fit. */
		if (p - begin >= 19 &&
		    (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d, &v)))
			return NULL;
		else if (p - begin < 19)
			v = v * 10 + d;
	}
	*value = v;
	return p == begin ? NULL : p;
}

/* The value of a hexadecimal digit, or 16 and more. */
static inline unsigned int rcl_text_hex_digit(uint8_t c)
{
	unsigned int d = c - (unsigned int)'0';

	if (d < 10)
		return d;
	d = (c | 0x20u) - (unsigned int)'a';
	return d < 6 ? d + 10 : 16;
}

/* A hexadecimal number, with "0x" or without: behind it, or NULL likewise. */
static inline const uint8_t *rcl_text_hex(const uint8_t *p, uint64_t *value)
{
	const uint8_t *begin;
	uint64_t v = 0;
	unsigned int d;

	if (*p == '0' && (p[1] | 0x20) == 'x')
		p += 2;
	begin = p;
	for (; (d = rcl_text_hex_digit(*p)) < 16; p++) {
		if (__builtin_expect(v >> 60, 0))
			return NULL;
		v = v << 4 | d;
	}
	*value = v;
	return p == begin ? NULL : p;
}

/*
 * The first line of a probe's text that is no comment, copied with a newline (its own may lie
 * beyond the probe). False when the probe does not hold text, or only comments, or the line does
 * not fit.
 */
bool rcl_text_first_line(const struct rcl_probe *probe, uint8_t *line, size_t size);

/* The line of `p`, cut to fit and with \xNN for what does not print, as a string. */
void rcl_text_excerpt(const uint8_t *p, char *out, size_t size);

#endif
