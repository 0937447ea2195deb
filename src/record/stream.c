/* SPDX-License-Identifier: MIT */
/*
 * From items to the trace.
 *
 * Each task fills a chunk of its own with records that are coded as differences to the record
 * before, compresses it, and appends it to the trace in one write(). All processes append to the
 * same file, and the kernel puts appended writes one behind the other; so no process waits for a
 * common writer, and whatever is killed, all chunks up to then are in the file.
 *
 * The descriptor of the trace is high, out of the way of programs that count on getting low ones.
 * The program may close it all the same, or put something else in its place: before each write the
 * descriptor is looked at, and the file is opened again if it is not what it should be.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "record/plugin.h"

#define HIGH_FD	 900
#define LEVEL	 9
#define ITEM_MAX 96 /* bytes of one item's records, at most */

_Static_assert(ITEM_MAX >= RCL_VARINT_MAX * (RCL_EVENT_ARGS_MAX + 2), "the longest item fits");

/* ---- The file ------------------------------------------------------------------------------- */

static int open_high(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC), high;

	if (fd < 0)
		return -1;
	high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
	if (high < 0)
		return fd; /* a low limit on descriptors: any will have to do */
	close(fd);
	return high;
}

static bool out_is_ours(void)
{
	struct stat st;

	return rec.out >= 0 && !fstat(rec.out, &st) &&
	       (uint64_t)st.st_dev == rec.control->out_dev &&
	       (uint64_t)st.st_ino == rec.control->out_ino;
}

/* A trace that cannot be written is worth no further emulation. */
static void fail(int code)
{
	int32_t none = 0;

	__atomic_compare_exchange_n(&rec.control->error, &none, code, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
	_exit(125);
}

static void append(const uint8_t *data, size_t size)
{
	if (!out_is_ours()) {
		rec.out = open_high(rec.out_path);
		if (!out_is_ours())
			fail(errno ? errno : EBADF);
	}
	while (size) {
		ssize_t n = write(rec.out, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			fail(n ? errno : ENOSPC);
		data += n;
		size -= (size_t)n;
	}
}

bool stream_open(void)
{
	int fd = open(rec.control_path, O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		rec.control =
			mmap(NULL, sizeof(*rec.control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	if (fd < 0 || rec.control == MAP_FAILED || rec.control->magic != RCL_CONTROL_MAGIC) {
		complain("%s: %s", rec.control_path, strerror(errno));
		return false;
	}
	rec.out = open_high(rec.out_path);
	if (!out_is_ours()) {
		complain("%s: %s", rec.out_path, strerror(errno));
		return false;
	}
	return true;
}

/* ---- Chunks --------------------------------------------------------------------------------- */

void stream_flush(struct cpu *c)
{
	struct rcl_chunk chunk = {
		.type = RCL_NATIVE_STREAM,
		.task = c->task,
		.raw = c->raw_size,
		.records = c->raw_records,
	};
	uint8_t *payload = c->packed + RCL_NATIVE_CHUNK_HEADER;
	size_t n;

	if (!c->raw_size)
		return;
	n = ZSTD_compress(payload, RCL_NATIVE_STORED_MAX, c->raw, c->raw_size, LEVEL);
	if (ZSTD_isError(n)) {
		memcpy(payload, c->raw, c->raw_size);
		n = c->raw_size;
		chunk.raw = 0;
	}
	chunk.stored = (uint32_t)n;
	chunk.crc = rcl_crc32c(0, payload, n);
	rcl_put_chunk(c->packed, &chunk);
	append(c->packed, RCL_NATIVE_CHUNK_HEADER + n);
	c->raw_size = c->raw_records = c->raw_windows = 0;
	c->last_region = NO_REGION;
	c->last_page = c->last_offset = 0;
}

static void put_chunk(unsigned int type, const uint8_t *payload, size_t size)
{
	uint8_t all[RCL_NATIVE_CHUNK_HEADER + 64 + RCL_NATIVE_NAME_MAX];
	struct rcl_chunk chunk = {
		.type = type, .stored = (uint32_t)size, .crc = rcl_crc32c(0, payload, size)};

	rcl_put_chunk(all, &chunk);
	memcpy(all + RCL_NATIVE_CHUNK_HEADER, payload, size);
	append(all, RCL_NATIVE_CHUNK_HEADER + size);
}

void stream_region(uint32_t id, unsigned int kind, uint64_t bytes, const char *name)
{
	uint8_t payload[13 + RCL_NATIVE_NAME_MAX];
	size_t n = strnlen(name, RCL_NATIVE_NAME_MAX);

	rcl_put_le32(payload, id);
	payload[4] = (uint8_t)kind;
	rcl_put_le64(payload + 5, bytes);
	memcpy(payload + 13, name, n);
	put_chunk(RCL_NATIVE_REGION, payload, 13 + n);
}

void stream_task(uint32_t id, uint32_t process, uint32_t parent, unsigned int how)
{
	uint8_t payload[13];

	rcl_put_le32(payload, id);
	rcl_put_le32(payload + 4, process);
	rcl_put_le32(payload + 8, parent);
	payload[12] = (uint8_t)how;
	put_chunk(RCL_NATIVE_TASK, payload, sizeof(payload));
}

/* ---- Records -------------------------------------------------------------------------------- */

static uint8_t *put_record(struct cpu *c, uint8_t *p, unsigned int kind, uint64_t value)
{
	c->raw_records++;
	return rcl_put_varint(p, value << 3 | kind);
}

static uint8_t *put_access(struct cpu *c, uint8_t *p, unsigned int kind, uint64_t item)
{
	uint32_t region = (uint32_t)(item >> ITEM_REGION_SHIFT & 0xffff);
	uint64_t page = item & ITEM_PAGE_MASK;

	if (region != c->last_region) {
		p = put_record(c, p, RCL_REC_REGION, region);
		c->last_region = region;
	}
	p = put_record(c, p, kind, rcl_zigzag((int64_t)(page - c->last_page)));
	c->last_page = page;
	return p;
}

static uint8_t *put_file(struct cpu *c, uint8_t *p, unsigned int kind, const uint64_t *args)
{
	p = put_record(c, p, kind, args[0]);
	p = rcl_put_varint(p, rcl_zigzag((int64_t)(args[1] - c->last_offset)));
	p = rcl_put_varint(p, args[2]);
	c->last_offset = args[1] + args[2];
	return p;
}

static uint8_t *put_item(struct cpu *c, uint8_t *p, uint64_t item)
{
	unsigned int kind = (unsigned int)(item >> ITEM_TYPE_SHIFT);
	const uint64_t *args = c->args + (item & ITEM_PAGE_MASK);
	unsigned int event;

	if (kind <= RCL_REC_EXEC)
		return put_access(c, p, kind, item);
	if (kind != RCL_REC_EVENT)
		return put_file(c, p, kind, args);
	event = (unsigned int)(item >> ITEM_REGION_SHIFT & 0xffff);
	p = put_record(c, p, kind, event);
	for (unsigned int i = 0; i < rcl_event_args(event); i++)
		p = rcl_put_varint(p, args[i]);
	return p;
}

static void make_room(struct cpu *c)
{
	if (c->raw_size + ITEM_MAX > RCL_NATIVE_RAW_MAX)
		stream_flush(c);
}

void stream_add_window(struct cpu *c, uint64_t references, uint64_t instructions)
{
	uint8_t *p;

	for (uint32_t i = 0; i < c->nr_items; i++) {
		make_room(c);
		p = put_item(c, c->raw + c->raw_size, c->items[i]);
		c->raw_size = (uint32_t)(p - c->raw);
	}
	make_room(c);
	p = put_record(c, c->raw + c->raw_size, RCL_REC_WINDOW, references);
	p = rcl_put_varint(p, instructions);
	c->raw_size = (uint32_t)(p - c->raw);
	__atomic_fetch_add(&rec.control->references, references, __ATOMIC_RELAXED);
	__atomic_fetch_add(&rec.control->instructions, instructions, __ATOMIC_RELAXED);
	if (++c->raw_windows >= FLUSH_EVERY)
		stream_flush(c);
}
