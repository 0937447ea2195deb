/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_INPUT_H
#define RCL_TRACE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "trace/error.h"

/*
 * The decompressed bytes of a trace, seen through a window that moves forward.
 *
 * [cur, end) are the bytes at hand; the user advances `cur` over what it has used. One byte past
 * `end` is always readable and is a newline, so that a text's last line may lack its own. The
 * other fields belong to input.c.
 */
struct rcl_input {
	const uint8_t *cur, *end;
	bool at_end;	     /* nothing follows `end` */
	uint64_t end_offset; /* of `end`, counted in decompressed bytes from the start */
	struct rcl_input_source *source;
	uint8_t *window;
};

/* The longest piece that rcl_input_need can put into the window. */
#define RCL_INPUT_WINDOW (256u << 10)

/*
 * Open a file, or standard input for "-"; or bytes in memory that the caller keeps, `name` then
 * standing for a path in error texts. With `spool`, input that cannot seek is kept in an unlinked
 * temporary file for rcl_input_rewind. Nothing to clean up after a failure.
 */
int rcl_input_open(struct rcl_input *in, const char *path, bool spool, struct rcl_error *err);
int rcl_input_open_memory(struct rcl_input *in, const void *data, size_t size, const char *name,
			  struct rcl_error *err);
void rcl_input_close(struct rcl_input *in);

/*
 * Add bytes to the window: how many; 0 at the end of the input or when the window is full; or a
 * negative errno. Moves the bytes at hand, so `cur` and `end` have to be read again.
 */
ssize_t rcl_input_more(struct rcl_input *in, struct rcl_error *err);

/* Have `bytes` (at most RCL_INPUT_WINDOW) at hand if the input has them: 0 or a negative errno. */
int rcl_input_need(struct rcl_input *in, size_t bytes, struct rcl_error *err);

/* Back to the first byte. -ESPIPE when the input can neither seek nor was spooled. */
int rcl_input_rewind(struct rcl_input *in, struct rcl_error *err);

/* Bytes there are in all, decompressed; -1 when that is not known beforehand. */
int64_t rcl_input_size(const struct rcl_input *in);

const char *rcl_input_name(const struct rcl_input *in);
const char *rcl_input_compression(const struct rcl_input *in);

/* Bytes at hand, and the offset of the first of them. */
static inline size_t rcl_input_left(const struct rcl_input *in)
{
	return (size_t)(in->end - in->cur);
}

static inline uint64_t rcl_input_offset(const struct rcl_input *in)
{
	return in->end_offset - rcl_input_left(in);
}

#endif
