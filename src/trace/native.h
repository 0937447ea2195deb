/* SPDX-License-Identifier: MIT */
/*
 * reclaim's own trace format: what the recorder writes and the reader reads. docs/trace-format.md
 * is its description; this header holds its numbers and the few inlines that both sides need. It
 * stands alone, because the recorder's half is compiled into a plugin of an emulator.
 *
 * A trace is a header and chunks. A chunk is a header of 32 bytes and a payload with a checksum, so
 * that a trace that ends anywhere is readable up to its last whole chunk. Numbers are
 * little-endian.
 */
#ifndef RCL_TRACE_NATIVE_H
#define RCL_TRACE_NATIVE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RCL_NATIVE_MAGIC	"rclTRACE"
#define RCL_NATIVE_VERSION	1u
#define RCL_NATIVE_HEADER	64u	    /* fixed part; the command follows */
#define RCL_NATIVE_COMMAND_MAX	4096u	    /* bytes */
#define RCL_NATIVE_CHUNK_MAGIC	0x6b6e6843u /* "Chnk" */
#define RCL_NATIVE_CHUNK_HEADER 32u
#define RCL_NATIVE_RAW_MAX	(128u << 10) /* payload, uncompressed */
#define RCL_NATIVE_STORED_MAX	(160u << 10) /* payload, as stored */
#define RCL_NATIVE_TASKS_MAX	65536u
#define RCL_NATIVE_REGIONS_MAX	65536u
#define RCL_NATIVE_NAME_MAX	1024u

/* Header: magic 8 | version u32 | size of the whole header u32 | window u32 | flags u32 |
 * native_ns u64 | bytes of the command u32 | source u32 | native_wall_ns u64 | zeros 12 | crc32c
 * u32 at the fixed part's end, of everything in the header but itself. */
enum rcl_native_source {
	RCL_NATIVE_RECORDED,  /* reclaim record */
	RCL_NATIVE_CONVERTED, /* reclaim convert: regions and pages, no layout */
	RCL_NATIVE_STRACE,
	RCL_NATIVE_PERF,
	RCL_NATIVE_SOURCES
};

enum rcl_native_chunk {
	RCL_NATIVE_REGION = 1, /* id u32 | kind u8 | bytes u64 | name */
	RCL_NATIVE_TASK,       /* id u32 | process u32 | parent u32 | how u8 | name */
	RCL_NATIVE_STREAM,     /* records of one task, in their order */
	RCL_NATIVE_END,	       /* references u64 | exit status u32: nothing is missing */
};

enum rcl_native_how {
	RCL_NATIVE_FIRST, /* the first task */
	RCL_NATIVE_THREAD,
	RCL_NATIVE_FORKED,
};

/* Regions that every recording has, and where files begin. */
enum rcl_native_region {
	RCL_NATIVE_ANON,
	RCL_NATIVE_HEAP,
	RCL_NATIVE_STACK,
	RCL_NATIVE_BSS,
	RCL_NATIVE_THREAD_STACKS,
	RCL_NATIVE_SHARED,
	RCL_NATIVE_FIRST_FILE
};

/* Records of a stream: a number whose low three bits say what it is. */
enum rcl_native_record {
	RCL_REC_READ,	    /* page, as a signed difference to the page before */
	RCL_REC_WRITE,	    /* the same */
	RCL_REC_EXEC,	    /* the same: instructions were fetched */
	RCL_REC_REGION,	    /* region of the accesses that follow */
	RCL_REC_FILE_READ,  /* region, then offset (signed difference), bytes */
	RCL_REC_FILE_WRITE, /* the same */
	RCL_REC_WINDOW,	    /* references in the window that ends here, then instructions */
	RCL_REC_EVENT,	    /* an rcl_native_event, then its arguments */
};

/*
 * Events. Those with a `seq` change an address space; seq counts them within the process.
 */
enum rcl_native_event {
	RCL_EVENT_MAP,	    /* seq, page, pages, flags, region, first page in the file */
	RCL_EVENT_UNMAP,    /* seq, page, pages */
	RCL_EVENT_MOVE,	    /* seq, page, pages, new page, new pages */
	RCL_EVENT_PROTECT,  /* seq, page, pages, flags */
	RCL_EVENT_ADVISE,   /* seq, page, pages, advice as Linux numbers it */
	RCL_EVENT_LOCK,	    /* seq, page, pages, 1 locked or 0 unlocked */
	RCL_EVENT_FORK,	    /* seq, task */
	RCL_EVENT_EXEC,	    /* seq: a new, empty address space */
	RCL_EVENT_CLONE,    /* task: a thread of this process */
	RCL_EVENT_EXIT,	    /* status */
	RCL_EVENT_WAIT,	    /* task: it had ended before this one went on */
	RCL_EVENT_SYNC,	    /* seq: the layout as this task saw it from here on */
	RCL_EVENT_OPEN,	    /* region */
	RCL_EVENT_TRUNCATE, /* region, bytes */
	RCL_EVENT_DELETE,   /* region: no name and nobody who has it open is left */
	RCL_EVENT_FSYNC,    /* region */
	RCL_EVENT_FADVISE,  /* region, first page, pages, advice as Linux numbers it */
	RCL_EVENTS
};
#define RCL_EVENT_ARGS_MAX 6

enum rcl_native_map_flag {
	RCL_MAP_READ = 1,
	RCL_MAP_WRITE = 2,
	RCL_MAP_EXEC = 4,
	RCL_MAP_SHARED = 8,
	RCL_MAP_FILE = 16,
};

/* How many arguments an event has; it has a seq if it changes an address space. */
static inline unsigned int rcl_event_args(unsigned int event)
{
	return event < RCL_EVENTS ? "63544421111112114"[event] - '0' : 0;
}
static inline int rcl_event_has_seq(unsigned int event)
{
	return event <= RCL_EVENT_EXEC;
}

/* ---- Numbers -------------------------------------------------------------------------------- */

static inline uint64_t rcl_zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}
static inline int64_t rcl_unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

#define RCL_VARINT_MAX 10
static inline uint8_t *rcl_put_varint(uint8_t *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = (uint8_t)(v | 0x80);
	*p++ = (uint8_t)v;
	return p;
}

/* The number at p, or NULL when it does not end before `end` or has more than 64 bits. */
static inline const uint8_t *rcl_get_varint(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; p < end && shift < 64; shift += 7) {
		uint8_t b = *p++;

		if (shift == 63 && b > 1)
			return NULL;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			*out = v;
			return p;
		}
	}
	return NULL;
}

static inline void rcl_put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}
static inline void rcl_put_le64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* CRC-32C (Castagnoli), of data in pieces: start with 0. */
static inline uint32_t rcl_crc32c(uint32_t crc, const void *data, size_t size)
{
	static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
					   0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
					   0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
					   0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
	const uint8_t *p = data;

	crc = ~crc;
	for (; size--; p++) {
		crc = table[(crc ^ *p) & 15] ^ crc >> 4;
		crc = table[(crc ^ *p >> 4) & 15] ^ crc >> 4;
	}
	return ~crc;
}

/* ---- Chunk headers -------------------------------------------------------------------------- */

struct rcl_chunk {
	uint32_t type;	  /* enum rcl_native_chunk */
	uint32_t task;	  /* of a stream; 0 otherwise */
	uint32_t stored;  /* bytes of payload that follow */
	uint32_t raw;	  /* decompressed; 0: they are stored as they are */
	uint32_t records; /* of a stream */
	uint32_t crc;	  /* of the stored payload */
};

static inline void rcl_put_chunk(uint8_t *p, const struct rcl_chunk *c)
{
	rcl_put_le32(p, RCL_NATIVE_CHUNK_MAGIC);
	rcl_put_le32(p + 4, c->type);
	rcl_put_le32(p + 8, c->task);
	rcl_put_le32(p + 12, c->stored);
	rcl_put_le32(p + 16, c->raw);
	rcl_put_le32(p + 20, c->records);
	rcl_put_le32(p + 24, c->crc);
	rcl_put_le32(p + 28, rcl_crc32c(0, p, 28));
}

#endif
