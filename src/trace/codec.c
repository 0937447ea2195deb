/* SPDX-License-Identifier: MIT */
/*
 * Decompression behind one face.
 *
 * zlib, liblzma and libzstd agree on the idea (hand over input and room for output, and get told
 * how far it went) and differ in how they say "finished", "no progress" and "several streams one
 * after the other". That difference ends here: rcl_codec_decode takes bytes and gives bytes, and
 * rcl_codec_complete answers the one question that decides whether a file was cut short: was the
 * last stream finished when the input ended.
 *
 * Several gzip members or zstd frames in one file are one stream of data, as their tools have it.
 * zlib stops at the end of a member, so the next one is started here; the other two do it
 * themselves.
 */
#include "trace/codec.h"

#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* What xz's strongest preset needs is 65 MiB; a header must not make us take all memory. */
#define XZ_MEMORY_MAX (1ull << 30)

#define GZIP_WINDOW	 15 /* the largest there is */
#define GZIP_ONLY	 16 /* added to it: accept gzip's header, not zlib's bare one */
#define GZIP_FLAGS_KNOWN 0x1f

struct rcl_codec {
	enum rcl_codec_type type;
	bool complete;
	z_stream gzip;
	lzma_stream xz;
	ZSTD_DStream *zstd;
};

const char *rcl_codec_name(enum rcl_codec_type type)
{
	static const char *const names[] = {
		[RCL_CODEC_NONE] = "none",
		[RCL_CODEC_GZIP] = "gzip",
		[RCL_CODEC_XZ] = "xz",
		[RCL_CODEC_ZSTD] = "zstd",
	};

	return names[type];
}

/*
 * Two or four magic bytes are weak evidence against binary traces whose first field is a count: a
 * tracegen trace of 559,903 records begins like a gzip file. Compressed data never holds
 * four thousand zero bytes in a row, that trace's header does.
 */
static bool mostly_zero(const uint8_t *head, size_t size)
{
	const size_t fields = 24;

	if (size < RCL_CODEC_HEAD)
		return false;
	for (size_t i = fields; i < RCL_CODEC_HEAD; i++) {
		if (head[i])
			return false;
	}
	return true;
}

enum rcl_codec_type rcl_codec_detect(const uint8_t *head, size_t size)
{
	static const uint8_t xz[] = {0xfd, '7', 'z', 'X', 'Z', 0};
	static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
	/* gzip: two magic bytes, the one method (deflate), the known flags */
	bool gzip = size >= 4 && head[0] == 0x1f && head[1] == 0x8b && head[2] == 8 &&
		    head[3] <= GZIP_FLAGS_KNOWN;

	if (mostly_zero(head, size))
		return RCL_CODEC_NONE;
	if (gzip)
		return RCL_CODEC_GZIP;
	if (size >= sizeof(xz) && !memcmp(head, xz, sizeof(xz)))
		return RCL_CODEC_XZ;
	if (size >= sizeof(zstd) && !memcmp(head, zstd, sizeof(zstd)))
		return RCL_CODEC_ZSTD;
	return RCL_CODEC_NONE;
}

int rcl_codec_open(struct rcl_codec **out, enum rcl_codec_type type)
{
	struct rcl_codec *codec = calloc(1, sizeof(*codec));
	bool ok = false;

	*out = NULL;
	if (!codec)
		return -ENOMEM;
	codec->type = type;
	switch (type) {
	case RCL_CODEC_NONE:
		break;
	case RCL_CODEC_GZIP:
		ok = inflateInit2(&codec->gzip, GZIP_WINDOW + GZIP_ONLY) == Z_OK;
		break;
	case RCL_CODEC_XZ:
		codec->xz = (lzma_stream)LZMA_STREAM_INIT;
		ok = lzma_stream_decoder(&codec->xz, XZ_MEMORY_MAX, LZMA_CONCATENATED) == LZMA_OK;
		break;
	case RCL_CODEC_ZSTD:
		codec->zstd = ZSTD_createDStream();
		ok = codec->zstd != NULL;
		break;
	}
	if (!ok) {
		free(codec);
		return -ENOMEM;
	}
	*out = codec;
	return 0;
}

void rcl_codec_close(struct rcl_codec *codec)
{
	if (!codec)
		return;
	if (codec->type == RCL_CODEC_GZIP)
		inflateEnd(&codec->gzip);
	else if (codec->type == RCL_CODEC_XZ)
		lzma_end(&codec->xz);
	else
		ZSTD_freeDStream(codec->zstd);
	free(codec);
}

bool rcl_codec_complete(const struct rcl_codec *codec)
{
	return codec->complete;
}

/* zlib and liblzma count in different integers; no piece handed over here comes near either. */
static size_t length(const uint8_t *from, const uint8_t *to)
{
	return (size_t)(to - from);
}

static int gzip_decode(struct rcl_codec *codec, struct rcl_codec_io *io, const char **why)
{
	z_stream *z = &codec->gzip;
	int rc = Z_OK;

	while (io->out < io->out_end && (!codec->complete || io->in < io->in_end)) {
		if (codec->complete) {
			inflateReset(z);
			codec->complete = false;
		}
		z->next_in = (Bytef *)(uintptr_t)io->in;
		z->avail_in = (uInt)length(io->in, io->in_end);
		z->next_out = io->out;
		z->avail_out = (uInt)length(io->out, io->out_end);
		rc = inflate(z, Z_NO_FLUSH);
		io->in = z->next_in;
		io->out = z->next_out;
		codec->complete = rc == Z_STREAM_END;
		if (rc != Z_OK && rc != Z_STREAM_END)
			break;
	}
	if (rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR)
		return 0;
	*why = z->msg ? z->msg : "not gzip data";
	return rc == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

static const char *xz_reason(lzma_ret rc)
{
	switch (rc) {
	case LZMA_MEM_ERROR:
		return "out of memory";
	case LZMA_MEMLIMIT_ERROR:
		return "it needs more than 1 GiB of memory to decode";
	case LZMA_FORMAT_ERROR:
		return "not xz data";
	case LZMA_OPTIONS_ERROR:
		return "unsupported options";
	default:
		return "corrupt data";
	}
}

static int xz_decode(struct rcl_codec *codec, struct rcl_codec_io *io, const char **why)
{
	lzma_stream *x = &codec->xz;
	lzma_ret rc;

	if (codec->complete)
		return 0;
	x->next_in = io->in;
	x->avail_in = length(io->in, io->in_end);
	x->next_out = io->out;
	x->avail_out = length(io->out, io->out_end);
	rc = lzma_code(x, io->last ? LZMA_FINISH : LZMA_RUN);
	io->in = x->next_in;
	io->out = x->next_out;
	codec->complete = rc == LZMA_STREAM_END;
	if (rc == LZMA_OK || rc == LZMA_STREAM_END || rc == LZMA_BUF_ERROR)
		return 0;
	*why = xz_reason(rc);
	return rc == LZMA_MEM_ERROR || rc == LZMA_MEMLIMIT_ERROR ? -ENOMEM : -EBADMSG;
}

static int zstd_decode(struct rcl_codec *codec, struct rcl_codec_io *io, const char **why)
{
	ZSTD_inBuffer in = {io->in, length(io->in, io->in_end), 0};
	ZSTD_outBuffer out = {io->out, length(io->out, io->out_end), 0};
	size_t rc = 0;

	/* A finished frame leaves nothing inside; a new call would await the next one. */
	while (out.pos < out.size && (in.pos < in.size || !codec->complete)) {
		size_t in_before = in.pos, out_before = out.pos;

		rc = ZSTD_decompressStream(codec->zstd, &out, &in);
		if (ZSTD_isError(rc))
			break;
		codec->complete = rc == 0;
		if (in.pos == in_before && out.pos == out_before)
			break;
	}
	io->in += in.pos;
	io->out += out.pos;
	if (!ZSTD_isError(rc))
		return 0;
	*why = ZSTD_getErrorName(rc);
	return -EBADMSG;
}

int rcl_codec_decode(struct rcl_codec *codec, struct rcl_codec_io *io, const char **why)
{
	switch (codec->type) {
	case RCL_CODEC_GZIP:
		return gzip_decode(codec, io, why);
	case RCL_CODEC_XZ:
		return xz_decode(codec, io, why);
	case RCL_CODEC_ZSTD:
		return zstd_decode(codec, io, why);
	default:
		return 0;
	}
}
