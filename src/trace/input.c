/* SPDX-License-Identifier: MIT */
/*
 * Where a trace's bytes come from.
 *
 * Three layers, each with one job. The raw layer reads a descriptor or a piece of memory. The
 * decoding layer turns raw bytes into the trace's bytes, which is a copy unless the file's first
 * bytes are those of a compression. The window on top lets a format look at several bytes at once
 * and keep an unfinished record or line while more arrives: its unread bytes are moved to the
 * front, at most a record's worth, and new ones are read behind them.
 *
 * Plain read(2) rather than a mapping: the copy costs less than a nanosecond a record, and a file
 * that shrinks while it is read is then an error text, not a signal.
 *
 * Rewinding has to work on a pipe, for simulations that pass over a trace more than once. Such
 * input is spooled: each raw byte read is also written to an unlinked temporary file, and after a
 * rewind the raw layer reads from there until it has caught up with the pipe. Raw bytes, so that a
 * compressed trace costs its compressed size. A spool that cannot be written (a full disk) does
 * not disturb the reading; only the rewind fails then, and says why.
 *
 * Faults come after the data in front of them: when a decoder produced bytes before it found its
 * input corrupt, those are delivered, and the fault is kept for the next call.
 */
#define _GNU_SOURCE 1 /* O_TMPFILE, mkostemp */
#include "trace/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace/codec.h"

#define RAW_BUFFER (128u << 10)

_Static_assert(RAW_BUFFER >= RCL_CODEC_HEAD, "the head has to fit");

struct rcl_input_source {
	char *name;
	int fd; /* -1: memory */
	bool owns_fd;
	const uint8_t *data; /* memory: all of it */
	size_t data_size;

	bool seekable;
	off_t base;   /* seekable: where the trace begins; standard input may be half read */
	int64_t size; /* raw bytes, -1 when unknown */

	bool spool;
	int spool_fd;	 /* -1: not opened yet */
	int spool_errno; /* why spooling stopped, 0 while it works */
	uint64_t spool_size;

	uint64_t raw_pos; /* raw bytes read so far */
	bool raw_end;
	uint8_t *raw; /* RAW_BUFFER bytes; [raw_cur, raw_fill) not decoded yet */
	size_t raw_cur, raw_fill;

	enum rcl_codec_type codec_type;
	struct rcl_codec *codec;
	int fault; /* found after bytes that were still delivered */
	struct rcl_error fault_text;
};

/* ---- raw ---------------------------------------------------------------------------------- */

static int spool_open(void)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];
	int fd;

	if (!dir || !*dir)
		dir = "/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	/* Not every file system has O_TMPFILE. */
	if (snprintf(path, sizeof(path), "%s/reclaim-XXXXXX", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

static void spool_keep(struct rcl_input_source *s, const uint8_t *buf, size_t size)
{
	if (!s->spool || s->spool_errno)
		return;
	if (s->spool_fd < 0) {
		int fd = spool_open();

		if (fd < 0) {
			s->spool_errno = -fd;
			return;
		}
		s->spool_fd = fd;
	}
	while (size) {
		ssize_t n = pwrite(s->spool_fd, buf, size, (off_t)s->spool_size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			s->spool_errno = n < 0 ? errno : ENOSPC;
			return;
		}
		s->spool_size += (uint64_t)n;
		buf += n;
		size -= (size_t)n;
	}
}

static ssize_t raw_read(struct rcl_input_source *s, uint8_t *buf, size_t room,
			struct rcl_error *err)
{
	bool replay = s->raw_pos < s->spool_size;
	ssize_t n;

	if (s->fd < 0) {
		size_t left = s->data_size - s->raw_pos;

		n = (ssize_t)(left < room ? left : room);
		if (n)
			memcpy(buf, s->data + s->raw_pos, (size_t)n);
	} else {
		do {
			if (replay)
				n = pread(s->spool_fd, buf, room, (off_t)s->raw_pos);
			else
				n = read(s->fd, buf, room);
		} while (n < 0 && errno == EINTR);
		if (n < 0) {
			n = -errno;
			return rcl_error_set(err, (int)n, "%s: cannot read at byte %llu: %s",
					     s->name, (unsigned long long)s->raw_pos,
					     strerror((int)-n));
		}
		if (!replay)
			spool_keep(s, buf, (size_t)n);
	}
	s->raw_pos += (uint64_t)n;
	return n;
}

/* Top the raw buffer up to at least `bytes`, or to the end of the input. */
static int raw_fill(struct rcl_input_source *s, size_t bytes, struct rcl_error *err)
{
	if (s->raw_cur) {
		memmove(s->raw, s->raw + s->raw_cur, s->raw_fill - s->raw_cur);
		s->raw_fill -= s->raw_cur;
		s->raw_cur = 0;
	}
	while (!s->raw_end && s->raw_fill < bytes) {
		ssize_t n = raw_read(s, s->raw + s->raw_fill, RAW_BUFFER - s->raw_fill, err);

		if (n < 0)
			return (int)n;
		s->raw_end = n == 0;
		s->raw_fill += (size_t)n;
	}
	return 0;
}

/* ---- decoding ----------------------------------------------------------------------------- */

static ssize_t plain_read(struct rcl_input_source *s, uint8_t *buf, size_t room,
			  struct rcl_error *err)
{
	size_t left = s->raw_fill - s->raw_cur;

	/* What was read to look at the first bytes goes first. */
	if (left) {
		if (left > room)
			left = room;
		memcpy(buf, s->raw + s->raw_cur, left);
		s->raw_cur += left;
		return (ssize_t)left;
	}
	return raw_read(s, buf, room, err);
}

static int decoding_fault(struct rcl_input_source *s, int code, const char *why,
			  struct rcl_error *err)
{
	return rcl_error_set(err, code, "%s: the %s data is bad near byte %llu of the file: %s",
			     s->name, rcl_codec_name(s->codec_type),
			     (unsigned long long)(s->raw_pos - (s->raw_fill - s->raw_cur)), why);
}

static ssize_t codec_read(struct rcl_input_source *s, uint8_t *buf, size_t room,
			  struct rcl_error *err)
{
	for (;;) {
		struct rcl_codec_io io;
		const char *why = "";
		size_t before;
		int rc;

		if (s->raw_cur == s->raw_fill) {
			rc = raw_fill(s, 1, err);
			if (rc)
				return rc;
		}
		before = s->raw_cur;
		io = (struct rcl_codec_io){
			.in = s->raw + s->raw_cur,
			.in_end = s->raw + s->raw_fill,
			.out = buf,
			.out_end = buf + room,
			.last = s->raw_end,
		};
		rc = rcl_codec_decode(s->codec, &io, &why);
		s->raw_cur = (size_t)(io.in - s->raw);
		if (rc) {
			s->fault = decoding_fault(s, rc, why, &s->fault_text);
			if (io.out == buf)
				return rcl_error_set(err, s->fault, "%s", s->fault_text.text);
		}
		if (io.out != buf)
			return io.out - buf;
		if (s->raw_cur == s->raw_fill && s->raw_end) {
			if (rcl_codec_complete(s->codec))
				return 0;
			return rcl_error_set(err, -EBADMSG,
					     "%s: truncated: the %s data breaks off at the end of "
					     "the file, byte %llu",
					     s->name, rcl_codec_name(s->codec_type),
					     (unsigned long long)s->raw_pos);
		}
		if (s->raw_cur == before && before != s->raw_fill)
			return decoding_fault(s, -EBADMSG, "bytes after its end", err);
	}
}

static ssize_t source_read(struct rcl_input_source *s, uint8_t *buf, size_t room,
			   struct rcl_error *err)
{
	if (s->fault)
		return rcl_error_set(err, s->fault, "%s", s->fault_text.text);
	return s->codec ? codec_read(s, buf, room, err) : plain_read(s, buf, room, err);
}

/* ---- the window --------------------------------------------------------------------------- */

static void window_reset(struct rcl_input *in)
{
	in->cur = in->end = in->window;
	in->window[0] = '\n';
	in->end_offset = 0;
	in->at_end = false;
}

ssize_t rcl_input_more(struct rcl_input *in, struct rcl_error *err)
{
	size_t kept = rcl_input_left(in);
	uint8_t *tail = in->window + kept;
	ssize_t n;

	if (in->at_end || kept == RCL_INPUT_WINDOW)
		return 0;
	if (in->cur != in->window)
		memmove(in->window, in->cur, kept);
	in->cur = in->window;
	in->end = tail;
	*tail = '\n';
	n = source_read(in->source, tail, RCL_INPUT_WINDOW - kept, err);
	if (n < 0)
		return n;
	in->at_end = n == 0;
	in->end += n;
	in->window[kept + (size_t)n] = '\n';
	in->end_offset += (uint64_t)n;
	return n;
}

int rcl_input_need(struct rcl_input *in, size_t bytes, struct rcl_error *err)
{
	while (rcl_input_left(in) < bytes && !in->at_end) {
		ssize_t n = rcl_input_more(in, err);

		if (n < 0)
			return (int)n;
	}
	return 0;
}

int64_t rcl_input_size(const struct rcl_input *in)
{
	return in->source->codec ? -1 : in->source->size;
}

const char *rcl_input_name(const struct rcl_input *in)
{
	return in->source->name;
}

const char *rcl_input_compression(const struct rcl_input *in)
{
	return rcl_codec_name(in->source->codec_type);
}

int rcl_input_rewind(struct rcl_input *in, struct rcl_error *err)
{
	struct rcl_input_source *s = in->source;

	if (s->fd >= 0 && s->seekable) {
		if (lseek(s->fd, s->base, SEEK_SET) < 0)
			return rcl_error_set(err, -errno, "%s: cannot rewind: %s", s->name,
					     strerror(errno));
	} else if (s->fd >= 0 && s->spool_errno) {
		return rcl_error_set(err, -ESPIPE, "%s: cannot rewind: keeping a copy failed: %s",
				     s->name, strerror(s->spool_errno));
	} else if (s->fd >= 0 && !s->spool) {
		return rcl_error_set(err, -ESPIPE, "%s: cannot rewind this kind of input", s->name);
	}
	if (s->codec) {
		rcl_codec_close(s->codec);
		s->codec = NULL;
		if (rcl_codec_open(&s->codec, s->codec_type)) {
			/* Without a decoder the raw bytes must not pass for the trace's. */
			s->fault = rcl_error_set(&s->fault_text, -ENOMEM, "%s: out of memory",
						 s->name);
			return rcl_error_set(err, s->fault, "%s", s->fault_text.text);
		}
	}
	s->raw_pos = 0;
	s->raw_cur = s->raw_fill = 0;
	s->raw_end = false;
	s->fault = 0;
	window_reset(in);
	return 0;
}

/* ---- opening ------------------------------------------------------------------------------ */

void rcl_input_close(struct rcl_input *in)
{
	struct rcl_input_source *s = in->source;

	if (s) {
		if (s->owns_fd)
			close(s->fd);
		if (s->spool_fd >= 0)
			close(s->spool_fd);
		rcl_codec_close(s->codec);
		free(s->raw);
		free(s->name);
		free(s);
	}
	free(in->window);
	memset(in, 0, sizeof(*in));
}

static int input_new(struct rcl_input *in, const char *name, struct rcl_error *err)
{
	struct rcl_input_source *s = calloc(1, sizeof(*s));

	memset(in, 0, sizeof(*in));
	in->source = s;
	in->window = malloc(RCL_INPUT_WINDOW + 1);
	if (s) {
		s->fd = s->spool_fd = -1;
		s->size = -1;
		s->name = strdup(name);
		s->raw = malloc(RAW_BUFFER);
	}
	if (!s || !in->window || !s->name || !s->raw) {
		rcl_input_close(in);
		return rcl_error_set(err, -ENOMEM, "%s: out of memory", name);
	}
	window_reset(in);
	return 0;
}

/* Look at the first bytes and set the decoder up. */
static int input_start(struct rcl_input *in, struct rcl_error *err)
{
	struct rcl_input_source *s = in->source;
	int rc = raw_fill(s, RCL_CODEC_HEAD, err);

	if (!rc) {
		s->codec_type = rcl_codec_detect(s->raw, s->raw_fill);
		if (s->codec_type != RCL_CODEC_NONE && rcl_codec_open(&s->codec, s->codec_type))
			rc = rcl_error_set(err, -ENOMEM, "%s: out of memory", s->name);
	}
	if (rc)
		rcl_input_close(in);
	return rc;
}

int rcl_input_open(struct rcl_input *in, const char *path, bool spool, struct rcl_error *err)
{
	bool is_stdin = !strcmp(path, "-");
	struct rcl_input_source *s;
	struct stat st;
	int rc = input_new(in, is_stdin ? "standard input" : path, err);

	if (rc)
		return rc;
	s = in->source;
	s->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	s->owns_fd = !is_stdin && s->fd >= 0;
	if (s->fd < 0 || fstat(s->fd, &st) < 0) {
		rc = rcl_error_set(err, -errno, "%s: cannot open: %s", s->name, strerror(errno));
		rcl_input_close(in);
		return rc;
	}
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) {
		s->base = lseek(s->fd, 0, SEEK_CUR);
		s->seekable = s->base >= 0;
	}
	if (s->seekable && S_ISREG(st.st_mode) && st.st_size >= s->base)
		s->size = st.st_size - s->base;
	s->spool = spool && !s->seekable;
	return input_start(in, err);
}

int rcl_input_open_memory(struct rcl_input *in, const void *data, size_t size, const char *name,
			  struct rcl_error *err)
{
	int rc = input_new(in, name, err);

	if (rc)
		return rc;
	in->source->data = data;
	in->source->data_size = size;
	in->source->size = (int64_t)size;
	return input_start(in, err);
}
