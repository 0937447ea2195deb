/* SPDX-License-Identifier: MIT */
/*
 * The two binary request traces of libCacheSim: fixed little-endian records, no header.
 *
 *   oracleGeneral  24 bytes: u32 time, u64 object, u32 size, i64 index of the object's next request
 *                  (-1, -2 or the largest number where there is none)
 *   vscsi          version 1, 32 bytes: u32 serial, u32 bytes, u32 segments, u16 command,
 *                  u16 version, u64 block, u64 time
 *                  version 2, 40 bytes: u16 command, u16 version, u32 serial, u32 bytes,
 *                  u32 segments, u64 block, u64 time, u64 response time
 *                  Blocks are sectors of 512 bytes; the version stands in the upper byte.
 *
 * Both become reads and writes of one file. oracleGeneral names objects: each has pages of its own,
 * unless unit= says that the names are addresses (a block trace converted to it: unit=512). It
 * knows no writes. In vscsi, commands that are neither reads nor writes move no data; they are
 * counted as skipped.
 *
 * Neither has a magic number. vscsi repeats its version in every record, which is as good;
 * oracleGeneral is believed when times do not run backwards and next requests lie ahead in all
 * records looked at.
 */
#include <errno.h>
#include <string.h>

#include "trace/format.h"

#define ORACLE_SIZE    24u
#define VSCSI_1_SIZE   32u
#define VSCSI_2_SIZE   40u
#define SECTOR	       512u
#define PROBED_RECORDS 256u

struct records_state {
	uint32_t size; /* of a record */
	uint32_t unit;
	uint64_t index; /* of the next record */
};

/* What a record asks for. */
struct record {
	uint64_t id, bytes;
	int direction; /* 0 read, 1 write, -1 moves no data */
};

/* Decode one record; a static text when it is wrong, with the value that is in *bad. */
typedef const char *(*record_fn)(const uint8_t *p, uint32_t size, struct record *r, uint64_t *bad);

/* ---- oracleGeneral ------------------------------------------------------------------------- */

static const char *oracle_record(const uint8_t *p, uint32_t size, struct record *r, uint64_t *bad)
{
	int64_t next = (int64_t)rcl_le64(p + 16);

	(void)size;
	r->id = rcl_le64(p + 4);
	r->bytes = rcl_le32(p + 12);
	r->direction = 0;
	*bad = (uint64_t)next;
	return next < -2 ? "is not the index of a next request" : NULL;
}

static bool oracle_probe(const struct rcl_probe *probe)
{
	uint64_t nr = probe->size / ORACLE_SIZE;
	uint32_t time = 0;

	if (!nr)
		return false;
	for (uint64_t i = 0; i < nr && i < PROBED_RECORDS; i++) {
		const uint8_t *p = probe->head + i * ORACLE_SIZE;
		int64_t next = (int64_t)rcl_le64(p + 16);

		if (rcl_le32(p) < time || next < -2 || (next >= 0 && (uint64_t)next < i))
			return false;
		/* No trace is 2^48 requests long: such a number is something else. */
		if (next >> 48 > 0 && next != INT64_MAX)
			return false;
		time = rcl_le32(p);
	}
	return true;
}

static int oracle_start(struct rcl_trace *t)
{
	struct records_state *s = t->state;

	s->size = ORACLE_SIZE;
	s->unit = t->options.unit;
	rcl_trace_add_region(t, RCL_ACCESS_FILE, s->unit ? "file" : "objects", 0);
	return 0;
}

/* ---- vscsi --------------------------------------------------------------------------------- */

static uint32_t vscsi_version(const uint8_t *p, uint32_t size)
{
	return p[size == VSCSI_1_SIZE ? 15 : 3];
}

static const char *vscsi_record(const uint8_t *p, uint32_t size, struct record *r, uint64_t *bad)
{
	bool first = size == VSCSI_1_SIZE;
	uint32_t op = rcl_le16(p + (first ? 12 : 0));

	*bad = vscsi_version(p, size);
	if (*bad != (first ? 1 : 2))
		return first ? "is not version 1 of the format" : "is not version 2 of the format";
	*bad = op;
	if (op > 0xff)
		return "is not a SCSI command";
	r->bytes = rcl_le32(p + (first ? 4 : 8));
	r->id = rcl_le64(p + 16);
	r->direction = rcl_scsi_direction(op);
	return NULL;
}

/* The record size with which the beginning makes sense, or 0. */
static uint32_t vscsi_size(const uint8_t *head, size_t size)
{
	static const uint32_t sizes[] = {VSCSI_2_SIZE, VSCSI_1_SIZE};

	for (size_t k = 0; k < 2; k++) {
		size_t nr = size / sizes[k], i;
		struct record r;
		uint64_t bad;

		if (nr > PROBED_RECORDS)
			nr = PROBED_RECORDS;
		for (i = 0; i < nr && !vscsi_record(head + i * sizes[k], sizes[k], &r, &bad); i++)
			;
		if (nr && i == nr)
			return sizes[k];
	}
	return 0;
}

static bool vscsi_probe(const struct rcl_probe *probe)
{
	return vscsi_size(probe->head, probe->size) != 0;
}

static int vscsi_start(struct rcl_trace *t)
{
	struct records_state *s = t->state;
	struct rcl_input *in = &t->input;
	int rc = rcl_input_need(in, VSCSI_2_SIZE, &t->error);

	if (rc)
		return rc;
	/* The first record decides; what follows is held against it. */
	if (rcl_input_left(in) >= VSCSI_2_SIZE)
		s->size = vscsi_size(in->cur, VSCSI_2_SIZE);
	else if (rcl_input_left(in) >= VSCSI_1_SIZE)
		s->size = vscsi_size(in->cur, VSCSI_1_SIZE);
	if (!s->size)
		return rcl_trace_fail(
			t, -EBADMSG,
			"%s: byte 0: the first record is of neither vscsi version (32 or 40 bytes)",
			rcl_input_name(in));
	s->unit = t->options.unit ? t->options.unit : SECTOR;
	rcl_trace_add_region(t, RCL_ACCESS_FILE, "disk", 0);
	return 0;
}

/* ---- both ---------------------------------------------------------------------------------- */

static int bad_record(struct rcl_trace *t, uint64_t value, const char *what)
{
	struct records_state *s = t->state;

	return rcl_trace_fail(t, -EBADMSG, "%s: byte %llu: record %llu: %lld %s",
			      rcl_input_name(&t->input),
			      (unsigned long long)rcl_input_offset(&t->input),
			      (unsigned long long)s->index, (long long)value, what);
}

static inline __attribute__((always_inline)) int
next_records(struct rcl_trace *t, uint64_t *out, size_t max, size_t *n, record_fn decode)
{
	struct records_state *s = t->state;
	struct rcl_input *in = &t->input;
	int rc;

	while ((rc = rcl_trace_emit(t, out, max, n)) == 0 && *n < max) {
		const char *wrong;
		struct record r;
		uint64_t bad;

		if (__builtin_expect(rcl_input_left(in) < s->size, 0)) {
			rc = rcl_input_need(in, s->size, &t->error);
			if (rc || !rcl_input_left(in))
				return rc;
			if (rcl_input_left(in) < s->size)
				return rcl_trace_fail(
					t, -EBADMSG,
					"%s: truncated at byte %llu: record %llu has %zu of %u "
					"bytes",
					rcl_input_name(in), (unsigned long long)in->end_offset,
					(unsigned long long)s->index, rcl_input_left(in), s->size);
		}
		wrong = decode(in->cur, s->size, &r, &bad);
		if (wrong)
			return bad_record(t, bad, wrong);
		if (r.direction < 0)
			t->skipped++;
		else if (rcl_trace_request(t, s->unit, r.id, r.bytes, r.direction))
			return bad_record(t, r.id, "is an address beyond 2^64 pages");
		in->cur += s->size;
		s->index++;
	}
	return rc;
}

static int oracle_next(struct rcl_trace *t, uint64_t *out, size_t max, size_t *n)
{
	return next_records(t, out, max, n, oracle_record);
}

static int vscsi_next(struct rcl_trace *t, uint64_t *out, size_t max, size_t *n)
{
	return next_records(t, out, max, n, vscsi_record);
}

const struct rcl_format rcl_format_oracle_general = {
	.name = "oracleGeneral",
	.help = "libCacheSim, 24-byte records; reads of objects (options: unit=BYTES, size=BYTES)",
	.options = RCL_OPT_UNIT | RCL_OPT_SIZE,
	.state_size = sizeof(struct records_state),
	.probe = oracle_probe,
	.start = oracle_start,
	.next = oracle_next,
};

const struct rcl_format rcl_format_vscsi = {
	.name = "vscsi",
	.help = "libCacheSim, 32- or 40-byte SCSI records; reads and writes of one disk (option: "
		"unit=BYTES)",
	.options = RCL_OPT_UNIT,
	.state_size = sizeof(struct records_state),
	.probe = vscsi_probe,
	.start = vscsi_start,
	.next = vscsi_next,
};
