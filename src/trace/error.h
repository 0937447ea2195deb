/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_ERROR_H
#define RCL_TRACE_ERROR_H

/*
 * What went wrong, in words, beside the negative errno that says it in a number.
 *
 * The caller owns the struct; it needs no initialisation and nothing to free. Every function that
 * takes a `struct rcl_error *` accepts NULL, and writes the text only when it fails. A text names
 * the input, the place (line, or byte offset) and the value that was found there, and ends without
 * a newline.
 */
struct rcl_error {
	char text[512];
};

/* Write the text (cut to fit) and return `code`, so that a failure is one return statement. */
int rcl_error_set(struct rcl_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
