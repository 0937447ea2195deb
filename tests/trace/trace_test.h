/* SPDX-License-Identifier: MIT */
#ifndef TESTS_TRACE_TRACE_TEST_H
#define TESTS_TRACE_TRACE_TEST_H

/*
 * What the tests of src/trace share: byte buffers to build samples in, compression, temporary
 * files, standard input from a file or a pipe, and reading a trace to its end.
 */

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#include "../folder.h"
#include "trace/trace.h"

/* ---- bytes ---------------------------------------------------------------------------------- */

struct bytes {
	uint8_t *at;
	size_t size, max;
};

static inline void put(struct bytes *b, const void *data, size_t size)
{
	if (b->size + size > b->max) {
		b->max = 2 * (b->size + size);
		b->at = realloc(b->at, b->max);
		assert_non_null(b->at);
	}
	if (size)
		memcpy(b->at + b->size, data, size);
	b->size += size;
}

static inline void put_le(struct bytes *b, uint64_t value, size_t size)
{
	uint8_t le[8];

	for (size_t i = 0; i < size; i++)
		le[i] = (uint8_t)(value >> 8 * i);
	put(b, le, size);
}

__attribute__((format(printf, 2, 3))) static inline void put_text(struct bytes *b, const char *fmt,
								  ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	put(b, line, (size_t)n);
}

static inline void put_zeros(struct bytes *b, size_t size)
{
	static const uint8_t zeros[4096];

	for (; size > sizeof(zeros); size -= sizeof(zeros))
		put(b, zeros, sizeof(zeros));
	put(b, zeros, size);
}

static inline void bytes_free(struct bytes *b)
{
	free(b->at);
	*b = (struct bytes){0};
}

/* A tracegen trace, without the zeros at its end. */
static inline void put_tracegen(struct bytes *b, uint64_t anon, uint64_t file,
				const uint32_t *records, size_t nr)
{
	put_le(b, nr, 8);
	put_le(b, anon, 8);
	put_le(b, file, 8);
	put_zeros(b, 4096 - 24);
	for (size_t i = 0; i < nr; i++)
		put_le(b, records[i], 4);
}

/* A small generator of its own, so that samples do not depend on what is tested. */
static inline uint64_t test_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

/* ---- compression ---------------------------------------------------------------------------- */

enum compression {
	PLAIN,
	GZIP,
	XZ,
	ZSTD,
	NR_COMPRESSIONS
};

static const char *const compression_names[NR_COMPRESSIONS] = {"none", "gzip", "xz", "zstd"};

static inline struct bytes compress_gzip(const struct bytes *in)
{
	z_stream z = {0};
	struct bytes out = {.max = 64 + compressBound(in->size)};

	out.at = malloc(out.max);
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = in->at;
	z.avail_in = (uInt)in->size;
	z.next_out = out.at;
	z.avail_out = (uInt)out.max;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out.size = z.total_out;
	deflateEnd(&z);
	return out;
}

static inline struct bytes compress_xz(const struct bytes *in)
{
	struct bytes out = {.max = lzma_stream_buffer_bound(in->size)};

	out.at = malloc(out.max);
	assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, in->at, in->size,
						 out.at, &out.size, out.max),
			 LZMA_OK);
	return out;
}

static inline struct bytes compress_zstd(const struct bytes *in)
{
	struct bytes out = {.max = ZSTD_compressBound(in->size)};

	out.at = malloc(out.max);
	out.size = ZSTD_compress(out.at, out.max, in->at, in->size, 3);
	assert_false(ZSTD_isError(out.size));
	return out;
}

static inline struct bytes compressed(const struct bytes *in, enum compression how)
{
	struct bytes copy = {0};

	switch (how) {
	case GZIP:
		return compress_gzip(in);
	case XZ:
		return compress_xz(in);
	case ZSTD:
		return compress_zstd(in);
	default:
		put(&copy, in->at, in->size);
		return copy;
	}
}

/* ---- files and standard input ---------------------------------------------------------------- */

/* Write a temporary file; free() the path after unlink(). */
static inline char *temp_file(const struct bytes *b)
{
	char path[TEST_FOLDER_SIZE];
	int fd;

	assert_true(test_file_make(path));
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	if (b && b->size)
		assert_int_equal(write(fd, b->at, b->size), (ssize_t)b->size);
	close(fd);
	return strdup(path);
}

static inline void temp_remove(char *path)
{
	unlink(path);
	free(path);
}

/* Standard input becomes `fd`; what it was is returned for stdin_restore. */
static inline int stdin_from(int fd)
{
	int before = dup(STDIN_FILENO);

	assert_true(dup2(fd, STDIN_FILENO) == STDIN_FILENO);
	close(fd);
	return before;
}

static inline void stdin_restore(int before)
{
	if (before >= 0) {
		dup2(before, STDIN_FILENO);
		close(before);
	} else {
		close(STDIN_FILENO);
	}
}

/* A pipe that a child fills, `piece` bytes at a time. Returns its reading end. */
static inline int pipe_of(const struct bytes *b, size_t piece, pid_t *child)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	*child = fork();
	assert_true(*child >= 0);
	if (*child == 0) {
		close(ends[0]);
		for (size_t at = 0; at < b->size; at += piece) {
			size_t n = b->size - at < piece ? b->size - at : piece;

			if (write(ends[1], b->at + at, n) != (ssize_t)n)
				_exit(1);
		}
		_exit(0);
	}
	close(ends[1]);
	return ends[0];
}

/* ---- reading -------------------------------------------------------------------------------- */

struct accesses {
	struct rcl_access *at;
	size_t count;
	int error; /* that ended it, 0 for the end of the trace */
	struct rcl_error text;
};

/* Read to the end, at most `batch` accesses at a time. */
static inline struct accesses read_on(struct rcl_trace *t, size_t batch)
{
	struct accesses a = {0};
	size_t max = 0;

	for (;;) {
		ssize_t n;

		if (a.count + batch > max) {
			max = 2 * (a.count + batch);
			a.at = realloc(a.at, max * sizeof(*a.at));
			assert_non_null(a.at);
		}
		n = rcl_trace_next(t, a.at + a.count, batch, &a.text);
		if (n <= 0) {
			a.error = (int)n;
			return a;
		}
		assert_true((size_t)n <= batch);
		a.count += (size_t)n;
	}
}

/* Open memory and read it all; the error may be that of opening. */
static inline struct accesses read_memory(const struct bytes *b, const char *format, size_t batch)
{
	struct accesses a = {0};
	struct rcl_trace *t;

	a.error = rcl_trace_open_memory(b->at, b->size, "sample", format, &t, &a.text);
	if (a.error) {
		assert_null(t);
		return a;
	}
	a = read_on(t, batch);
	rcl_trace_close(t);
	return a;
}

static inline void accesses_free(struct accesses *a)
{
	free(a->at);
	*a = (struct accesses){0};
}

static inline void assert_access(const struct rcl_access *a, enum rcl_access_kind kind,
				 uint64_t page, uint32_t pages, int write)
{
	assert_int_equal(a->kind, kind);
	assert_int_equal(a->page, page);
	assert_int_equal(a->pages, pages);
	assert_int_equal(a->write, write);
}

static inline void assert_same_accesses(const struct accesses *a, const struct accesses *b)
{
	assert_int_equal(a->error, b->error);
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++)
		assert_int_equal(rcl_word_pack(&a->at[i]), rcl_word_pack(&b->at[i]));
}

/* The text of an error holds `part`. */
static inline void assert_says(const struct rcl_error *err, const char *part)
{
	if (!strstr(err->text, part))
		fail_msg("'%s' does not say '%s'", err->text, part);
}

/* Reading the text in `format` fails with `code` and says `part`, after `good` accesses. */
static inline void assert_fails(const struct bytes *b, const char *format, int code, size_t good,
				const char *part)
{
	/* The same fault after the same accesses, however the reads are cut. */
	static const size_t batches[] = {1, 7, 4096};

	for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
		struct accesses a = read_memory(b, format, batches[i]);

		if (a.error != code)
			fail_msg("%d '%s', expected %d '%s'", a.error, a.text.text, code, part);
		assert_says(&a.text, part);
		assert_int_equal(a.count, good);
		accesses_free(&a);
	}
}

static inline void assert_text_fails(const char *text, const char *format, int code, size_t good,
				     const char *part)
{
	struct bytes b = {0};

	put(&b, text, strlen(text));
	assert_fails(&b, format, code, good, part);
	bytes_free(&b);
}

/* Open the text and read it; it must be well-formed and detected as `detected`. */
static inline struct accesses read_text(const char *text, const char *format, const char *detected)
{
	struct bytes b = {0};
	struct accesses a;
	struct rcl_error err;
	struct rcl_trace *t;

	put(&b, text, strlen(text));
	if (rcl_trace_open_memory(b.at, b.size, "sample", format, &t, &err))
		fail_msg("%s", err.text);
	assert_string_equal(rcl_trace_format(t), detected);
	a = read_on(t, 3);
	if (a.error)
		fail_msg("%s", a.text.text);
	rcl_trace_close(t);
	bytes_free(&b);
	return a;
}

#endif
