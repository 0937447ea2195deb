/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_IMAGE_H
#define RCL_TRACE_IMAGE_H

#include <stdbool.h>

#include "trace/tally.h"
#include "trace/trace.h"

/*
 * How an image comes about. Private to src/trace.
 *
 * A builder takes words in pieces: ask for room, write words there, say how many. Its functions
 * return -ENOMEM without a text.
 */
struct rcl_image_builder {
	struct rcl_tally *tally;
	uint64_t *words;
	uint64_t count, max; /* words used, words there is room for */
	bool keep;	     /* false: the words are counted and forgotten */
};

/* `expected` words, 0 when that is not known. Free the builder even when this failed. */
int rcl_image_begin(struct rcl_image_builder *b, const struct rcl_region *regions,
		    uint32_t nr_regions, uint64_t expected, bool keep);

/* Room for at least one word, and *room of them: never more than stay in the cache. */
int rcl_image_room(struct rcl_image_builder *b, uint64_t **at, size_t *room);
int rcl_image_add(struct rcl_image_builder *b, size_t n);

/* Make the image; the builder is empty after it. `format` and `compression` are static strings. */
int rcl_image_end(struct rcl_image_builder *b, const struct rcl_region *regions,
		  uint32_t nr_regions, const char *format, const char *compression,
		  struct rcl_trace_image **out);

void rcl_image_abandon(struct rcl_image_builder *b);

/* native.c: an image of a recording is in other pieces. */
void rcl_native_image_free(struct rcl_trace_image *image);

#endif
