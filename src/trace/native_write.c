/* SPDX-License-Identifier: MIT */
/* The writing half of reclaim's own format: docs/trace-format.md. */
#include "trace/native_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define LEVEL 9
#define ROOM  96 /* bytes that one record takes at most */

struct stream {
	uint8_t *raw; /* NULL: the task has none */
	uint32_t size, records, region;
	uint64_t page, offset;
};

struct rcl_native_writer {
	int fd;
	int failed;
	const char *path;
	struct stream *streams; /* by task */
	uint32_t nr_streams;
	uint8_t packed[RCL_NATIVE_CHUNK_HEADER + RCL_NATIVE_STORED_MAX];
};

static void put(struct rcl_native_writer *w, const uint8_t *data, size_t size)
{
	while (size && !w->failed) {
		ssize_t n = write(w->fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			w->failed = -errno;
		data += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
}

int rcl_native_create(const char *path, const struct rcl_native_info *info,
		      struct rcl_native_writer **out, struct rcl_error *err)
{
	uint8_t head[RCL_NATIVE_HEADER + RCL_NATIVE_COMMAND_MAX] = {0};
	struct rcl_native_writer *w = calloc(1, sizeof(*w));
	size_t command = info->command_size;

	*out = NULL;
	if (!w)
		return rcl_error_set(err, -ENOMEM, "%s: out of memory", path);
	if (command > RCL_NATIVE_COMMAND_MAX)
		command = RCL_NATIVE_COMMAND_MAX;
	w->path = path;
	w->fd = strcmp(path, "-") ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)
				  : STDOUT_FILENO;
	if (w->fd < 0) {
		int rc = rcl_error_set(err, -errno, "%s: %s", path, strerror(errno));

		free(w);
		return rc;
	}
	memcpy(head, RCL_NATIVE_MAGIC, 8);
	rcl_put_le32(head + 8, RCL_NATIVE_VERSION);
	rcl_put_le32(head + 12, (uint32_t)(RCL_NATIVE_HEADER + command));
	rcl_put_le32(head + 16, info->window);
	rcl_put_le64(head + 24, info->native_ns);
	rcl_put_le32(head + 32, (uint32_t)command);
	rcl_put_le32(head + 36, info->source);
	rcl_put_le64(head + 40, info->native_wall_ns);
	if (command)
		memcpy(head + RCL_NATIVE_HEADER, info->command, command);
	rcl_put_le32(head + 60,
		     rcl_crc32c(rcl_crc32c(0, head, 60), head + RCL_NATIVE_HEADER, command));
	put(w, head, RCL_NATIVE_HEADER + command);
	*out = w;
	return 0;
}

static void put_chunk(struct rcl_native_writer *w, struct rcl_chunk chunk)
{
	uint8_t *payload = w->packed + RCL_NATIVE_CHUNK_HEADER;

	chunk.crc = rcl_crc32c(0, payload, chunk.stored);
	rcl_put_chunk(w->packed, &chunk);
	put(w, w->packed, RCL_NATIVE_CHUNK_HEADER + chunk.stored);
}

void rcl_native_put_region(struct rcl_native_writer *w, uint32_t id, unsigned int kind,
			   uint64_t bytes, const char *name)
{
	uint8_t *payload = w->packed + RCL_NATIVE_CHUNK_HEADER;
	size_t n = strnlen(name, RCL_NATIVE_NAME_MAX);

	rcl_put_le32(payload, id);
	payload[4] = (uint8_t)kind;
	rcl_put_le64(payload + 5, bytes);
	memcpy(payload + 13, name, n);
	put_chunk(w, (struct rcl_chunk){.type = RCL_NATIVE_REGION, .stored = (uint32_t)(13 + n)});
}

void rcl_native_put_task(struct rcl_native_writer *w, uint32_t id, uint32_t process,
			 uint32_t parent, enum rcl_native_how how)
{
	uint8_t *payload = w->packed + RCL_NATIVE_CHUNK_HEADER;

	rcl_put_le32(payload, id);
	rcl_put_le32(payload + 4, process);
	rcl_put_le32(payload + 8, parent);
	payload[12] = (uint8_t)how;
	put_chunk(w, (struct rcl_chunk){.type = RCL_NATIVE_TASK, .stored = 13});
}

void rcl_native_put_start(struct rcl_native_writer *w)
{
	static const char *const names[RCL_NATIVE_FIRST_FILE] = {
		"[anon]", "[heap]", "[stack]", "[bss]", "[thread stacks]", "[shared]"};

	for (uint32_t i = 0; i < RCL_NATIVE_FIRST_FILE; i++)
		rcl_native_put_region(w, i, 0, 0, names[i]);
	rcl_native_put_task(w, 0, 0, 0, RCL_NATIVE_FIRST);
}

static void flush(struct rcl_native_writer *w, uint32_t task)
{
	struct stream *s = &w->streams[task];
	size_t n;

	if (!s->size)
		return;
	n = ZSTD_compress(w->packed + RCL_NATIVE_CHUNK_HEADER, RCL_NATIVE_STORED_MAX, s->raw,
			  s->size, LEVEL);
	if (ZSTD_isError(n)) {
		w->failed = w->failed ? w->failed : -ENOMEM;
		return;
	}
	put_chunk(w, (struct rcl_chunk){.type = RCL_NATIVE_STREAM,
					.task = task,
					.stored = (uint32_t)n,
					.raw = s->size,
					.records = s->records});
	*s = (struct stream){.raw = s->raw, .region = UINT32_MAX};
}

/* The task's stream with room for a record, or NULL after a failure. */
static struct stream *stream_of(struct rcl_native_writer *w, uint32_t task)
{
	struct stream *s;

	if (w->failed)
		return NULL;
	if (task >= w->nr_streams) {
		s = realloc(w->streams, (task + 1) * sizeof(*s));
		if (!s) {
			w->failed = -ENOMEM;
			return NULL;
		}
		w->streams = s;
		memset(s + w->nr_streams, 0, (task + 1 - w->nr_streams) * sizeof(*s));
		w->nr_streams = task + 1;
	}
	s = &w->streams[task];
	if (!s->raw) {
		s->region = UINT32_MAX;
		s->raw = malloc(RCL_NATIVE_RAW_MAX);
		if (!s->raw) {
			w->failed = -ENOMEM;
			return NULL;
		}
	}
	if (s->size + ROOM > RCL_NATIVE_RAW_MAX)
		flush(w, task);
	return s;
}

static void add(struct stream *s, uint64_t value)
{
	s->size = (uint32_t)(rcl_put_varint(s->raw + s->size, value) - s->raw);
}

static void add_record(struct stream *s, unsigned int kind, uint64_t value)
{
	s->records++;
	add(s, value << 3 | kind);
}

void rcl_native_put_access(struct rcl_native_writer *w, uint32_t task, enum rcl_native_record kind,
			   uint32_t region, uint64_t page)
{
	struct stream *s = stream_of(w, task);

	if (!s)
		return;
	if (region != s->region)
		add_record(s, RCL_REC_REGION, region);
	s->region = region;
	add_record(s, kind, rcl_zigzag((int64_t)(page - s->page)));
	s->page = page;
}

void rcl_native_put_file(struct rcl_native_writer *w, uint32_t task, bool write, uint32_t region,
			 uint64_t offset, uint64_t bytes)
{
	struct stream *s = stream_of(w, task);

	if (!s)
		return;
	add_record(s, write ? RCL_REC_FILE_WRITE : RCL_REC_FILE_READ, region);
	add(s, rcl_zigzag((int64_t)(offset - s->offset)));
	add(s, bytes);
	s->offset = offset + bytes;
}

void rcl_native_put_event(struct rcl_native_writer *w, uint32_t task, enum rcl_native_event event,
			  const uint64_t *args)
{
	struct stream *s = stream_of(w, task);

	if (!s)
		return;
	add_record(s, RCL_REC_EVENT, event);
	for (unsigned int i = 0; i < rcl_event_args(event); i++)
		add(s, args[i]);
}

void rcl_native_put_window(struct rcl_native_writer *w, uint32_t task, uint64_t references,
			   uint64_t instructions)
{
	struct stream *s = stream_of(w, task);

	if (!s)
		return;
	add_record(s, RCL_REC_WINDOW, references);
	add(s, instructions);
}

void rcl_native_put_end(struct rcl_native_writer *w, uint64_t references, uint32_t status)
{
	uint8_t *payload = w->packed + RCL_NATIVE_CHUNK_HEADER;

	for (uint32_t i = 0; i < w->nr_streams; i++)
		flush(w, i);
	rcl_put_le64(payload, references);
	rcl_put_le32(payload + 8, status);
	put_chunk(w, (struct rcl_chunk){.type = RCL_NATIVE_END, .stored = 12});
}

int rcl_native_append_end(const char *path, uint64_t references, uint32_t status,
			  struct rcl_error *err)
{
	struct rcl_native_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return rcl_error_set(err, -ENOMEM, "%s: out of memory", path);
	w->path = path;
	w->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (w->fd < 0) {
		int rc = rcl_error_set(err, -errno, "%s: %s", path, strerror(errno));

		free(w);
		return rc;
	}
	rcl_native_put_end(w, references, status);
	return rcl_native_close(w, err);
}

int rcl_native_close(struct rcl_native_writer *w, struct rcl_error *err)
{
	int rc = w->failed;

	if (w->fd != STDOUT_FILENO && close(w->fd) && !rc)
		rc = -errno;
	if (rc)
		rcl_error_set(err, rc, "%s: %s", w->path, strerror(-rc));
	for (uint32_t i = 0; i < w->nr_streams; i++)
		free(w->streams[i].raw);
	free(w->streams);
	free(w);
	return rc;
}
