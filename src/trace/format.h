/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_FORMAT_H
#define RCL_TRACE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/input.h"
#include "trace/options.h"
#include "trace/place.h"
#include "trace/trace.h"

/*
 * What a trace format is to the reader: a row of functions over an open trace. Private to
 * src/trace. A new format is one more fmt_*.c and one more entry in trace.c's table.
 */

/* The beginning of an input, decompressed, for recognising its format. */
struct rcl_probe {
	const uint8_t *head;
	size_t size; /* bytes at `head` */
	bool whole;  /* they are the whole input */
};

#define RCL_PROBE_SIZE (64u << 10)

struct rcl_format {
	const char *name;
	const char *help;
	uint32_t options;  /* mask of enum rcl_trace_option */
	size_t state_size; /* of rcl_trace.state, zeroed before every start; may be 0 */

	/* Does the input look like this format? */
	bool (*probe)(const struct rcl_probe *probe);

	/* The input is at its first byte: read a header, declare the regions. */
	int (*start)(struct rcl_trace *t);

	/* Decode at most `max` words behind out[*n], advancing *n; 0 with nothing added is the
	 * end. On failure *n still counts the good ones. */
	int (*next)(struct rcl_trace *t, uint64_t *out, size_t max, size_t *n);

	/* Formats that are more than one stream of accesses: make the image. NULL for the others.
	 */
	int (*load)(struct rcl_trace *t, bool keep, struct rcl_trace_image **out);
};

extern const struct rcl_format rcl_format_native, rcl_format_tracegen, rcl_format_oracle_general,
	rcl_format_vscsi, rcl_format_csv, rcl_format_address, rcl_format_lackey, rcl_format_blocks;

/* What is left of a request that did not fit into one word, or into the caller's buffer. */
struct rcl_request {
	uint64_t id;	/* object, or unused */
	uint64_t page;	/* next page: of the object, or of the address space */
	uint64_t pages; /* left; 0: none */
	uint64_t bits;	/* kind, write, region as in a word */
	bool object;
};

struct rcl_trace {
	struct rcl_input input;
	const struct rcl_format *format;
	struct rcl_trace_options options;
	struct rcl_region regions[2];
	uint32_t nr_regions;
	struct rcl_place place;
	struct rcl_request rest;
	uint64_t line;	   /* text formats: lines used up so far */
	uint64_t skipped;  /* requests that touched nothing */
	uint64_t given;	   /* words delivered so far */
	uint64_t expected; /* words there will be, where the format knows; 0 where not */
	int failed;	   /* the errno that ended decoding, with its text in `error` */
	struct rcl_error error;
	void *state; /* the format's */
};

/* Where a trace comes from: a path ("-" is standard input), or memory. */
struct rcl_trace_source {
	const char *name;
	const void *data; /* NULL: a path */
	size_t size;
	bool spool; /* keep what cannot seek, for rewinding */
};

int rcl_trace_open_source(const struct rcl_trace_source *source, const char *format,
			  struct rcl_trace **out, struct rcl_error *err);

/* Declare a region; `pages` 0 when unknown. Returns its index. */
uint32_t rcl_trace_add_region(struct rcl_trace *t, enum rcl_access_kind kind, const char *name,
			      uint64_t pages);

/* The bits of a word beside its page: one page. */
static inline uint64_t rcl_word_bits(enum rcl_access_kind kind, bool write, uint32_t region)
{
	return (uint64_t)kind << RCL_WORD_KIND_SHIFT | (uint64_t)write << RCL_WORD_WRITE_SHIFT |
	       (uint64_t)region << RCL_WORD_REGION_SHIFT;
}

/* Note the error in the trace and return its code. */
int rcl_trace_fail(struct rcl_trace *t, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Text formats: "NAME: line N: WHAT: 'the line'" for the line that begins at `at`. */
int rcl_trace_fail_line(struct rcl_trace *t, const uint8_t *at, const char *what);

/*
 * Give out t->rest as words while there is room. Every format calls this before it decodes a
 * request and after it has put one into t->rest.
 */
int rcl_trace_emit(struct rcl_trace *t, uint64_t *out, size_t max, size_t *n);

/*
 * Block and object formats: turn a request into t->rest. With a unit, `id` is an address in units;
 * without, the object `id` is touched from its first byte. `bytes` 0 touches nothing and counts as
 * skipped. -ERANGE, without a text, for 4 GiB and more, or beyond 2^64 pages.
 */
int rcl_trace_request(struct rcl_trace *t, uint32_t unit, uint64_t id, uint64_t bytes, bool write);

/* SCSI operation codes: 0 reads, 1 writes, -1 moves no data that anyone would cache. */
int rcl_scsi_direction(uint32_t op);

/* A little-endian number, at any alignment. */
static inline uint64_t rcl_le64(const uint8_t *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static inline uint32_t rcl_le32(const uint8_t *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	return v;
}

static inline uint16_t rcl_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

#endif
