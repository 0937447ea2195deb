/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_CODEC_H
#define RCL_TRACE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The compressions a trace may come in, none excepted. */
enum rcl_codec_type {
	RCL_CODEC_NONE,
	RCL_CODEC_GZIP,
	RCL_CODEC_XZ,
	RCL_CODEC_ZSTD,
};

/* Enough of a file's beginning for rcl_codec_detect to be sure. */
#define RCL_CODEC_HEAD 4096

/* Which compression the first `size` bytes of a file show. */
enum rcl_codec_type rcl_codec_detect(const uint8_t *head, size_t size);

/* "none", "gzip", "xz", "zstd" */
const char *rcl_codec_name(enum rcl_codec_type type);

/* A decoder of one compressed file: any number of members or frames, one after the other. */
struct rcl_codec;

/* -ENOMEM when there is no memory. The caller frees it. */
int rcl_codec_open(struct rcl_codec **out, enum rcl_codec_type type);
void rcl_codec_close(struct rcl_codec *codec);

/* What the decoder takes from and gives to; it advances the two pointers. */
struct rcl_codec_io {
	const uint8_t *in, *in_end;
	uint8_t *out, *out_end;
	bool last; /* no input follows in_end */
};

/*
 * Decode until the input is used up or the output is full. 0, or a negative errno with *why set to
 * a static text; what was decoded up to the fault is in the output even then.
 */
int rcl_codec_decode(struct rcl_codec *codec, struct rcl_codec_io *io, const char **why);

/* Would the file be whole if it ended with the input taken so far? */
bool rcl_codec_complete(const struct rcl_codec *codec);

#endif
