/* SPDX-License-Identifier: MIT */
/*
 * tracegen traces: the format of the fidelity runs and of reclaim's own generator.
 *
 * The one format that is decoded by the hundred million, so the loop is bare: the top three bits
 * of a record choose a row of eight with the word's upper bits and the number of pages allowed,
 * and one comparison finds every kind of nonsense, because the page is taken with its unused bit
 * 28 (a set bit makes it too large) and rows that cannot be allow no pages.
 *
 * The header says how many records there are, so a trace that was cut short is told apart from one
 * that ends: from the file's size at opening, or, where that is not known (compressed, a pipe), at
 * the point where the bytes stop. The zeros at the end may be missing, they carry nothing; other
 * bytes in their place mean that the header is not this file's.
 */
#include "trace/tracegen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "trace/format.h"

#define TOP_SHIFT 29
#define TOP_WRITE (RCL_TRACEGEN_WRITE >> TOP_SHIFT)
#define TOP_FILE  (RCL_TRACEGEN_FILE >> TOP_SHIFT)
#define TOP_MMAP  (RCL_TRACEGEN_MMAP >> TOP_SHIFT)

struct tracegen_state {
	struct rcl_tracegen_map map;
	uint64_t records; /* as the header says */
	uint64_t done;
};

/* ---- the records --------------------------------------------------------------------------- */

static void map_kind(struct rcl_tracegen_map *map, uint32_t top, enum rcl_access_kind kind,
		     uint32_t region, uint64_t pages)
{
	map->kind[top].bits = rcl_word_bits(kind, false, region);
	map->kind[top].pages = pages;
	map->kind[top | TOP_WRITE].bits = rcl_word_bits(kind, true, region);
	map->kind[top | TOP_WRITE].pages = pages;
}

void rcl_tracegen_map_init(struct rcl_tracegen_map *map, uint64_t anon, uint64_t file)
{
	uint32_t file_index = anon ? 1 : 0;

	memset(map, 0, sizeof(*map));
	if (anon)
		map->regions[map->nr_regions++] =
			(struct rcl_region){.kind = RCL_ACCESS_ANON, .name = "anon", .pages = anon};
	if (file)
		map->regions[map->nr_regions++] =
			(struct rcl_region){.kind = RCL_ACCESS_FILE, .name = "file", .pages = file};
	map_kind(map, 0, RCL_ACCESS_ANON, 0, anon);
	map_kind(map, TOP_FILE, RCL_ACCESS_FILE, file_index, file);
	map_kind(map, TOP_MMAP, RCL_ACCESS_MMAP, file_index, file);
}

size_t rcl_tracegen_decode(const struct rcl_tracegen_map *map, const uint8_t *records, size_t nr,
			   uint64_t *words)
{
	for (size_t i = 0; i < nr; i++) {
		uint32_t record = rcl_le32(records + 4 * i), top = record >> TOP_SHIFT;
		uint64_t page = record & ((1u << TOP_SHIFT) - 1);

		if (__builtin_expect(page >= map->kind[top].pages, 0))
			return i;
		words[i] = page | map->kind[top].bits;
	}
	return nr;
}

/* ---- the file ------------------------------------------------------------------------------ */

static bool tracegen_probe(const struct rcl_probe *probe)
{
	size_t size = probe->size < RCL_TRACEGEN_HEADER ? probe->size : RCL_TRACEGEN_HEADER;

	/* A piece of a header still counts, so that it can be reported as one. */
	if (size < 64 || (size < RCL_TRACEGEN_HEADER && !probe->whole))
		return false;
	for (size_t i = 24; i < size; i++) {
		if (probe->head[i])
			return false;
	}
	return rcl_le64(probe->head) <= RCL_TRACEGEN_RECORDS_MAX &&
	       rcl_le64(probe->head + 8) <= RCL_TRACEGEN_PAGES_MAX &&
	       rcl_le64(probe->head + 16) <= RCL_TRACEGEN_PAGES_MAX;
}

static int truncated(struct rcl_trace *t, uint64_t offset)
{
	struct tracegen_state *s = t->state;
	uint64_t have = (offset - RCL_TRACEGEN_HEADER) / 4;

	return rcl_trace_fail(
		t, -EBADMSG, "%s: truncated at byte %llu: %llu of %llu records are missing",
		rcl_input_name(&t->input), (unsigned long long)offset,
		(unsigned long long)(s->records - have), (unsigned long long)s->records);
}

static int header_field(struct rcl_trace *t, unsigned int offset, const char *what, uint64_t max,
			uint64_t *value)
{
	*value = rcl_le64(t->input.cur + offset);
	if (*value <= max)
		return 0;
	return rcl_trace_fail(t, -EBADMSG,
			      "%s: byte %u: %s: %llu is more than a trace can have (%llu)",
			      rcl_input_name(&t->input), offset, what, (unsigned long long)*value,
			      (unsigned long long)max);
}

static int tracegen_start(struct rcl_trace *t)
{
	struct tracegen_state *s = t->state;
	int64_t size = rcl_input_size(&t->input);
	uint64_t anon, file;
	int rc = rcl_input_need(&t->input, RCL_TRACEGEN_HEADER, &t->error);

	if (rc)
		return rc;
	if (rcl_input_left(&t->input) < RCL_TRACEGEN_HEADER)
		return rcl_trace_fail(
			t, -EBADMSG, "%s: truncated at byte %zu: a tracegen header has %u bytes",
			rcl_input_name(&t->input), rcl_input_left(&t->input), RCL_TRACEGEN_HEADER);
	rc = header_field(t, 0, "records", RCL_TRACEGEN_RECORDS_MAX, &s->records);
	if (!rc)
		rc = header_field(t, 8, "anonymous pages", RCL_TRACEGEN_PAGES_MAX, &anon);
	if (!rc)
		rc = header_field(t, 16, "file pages", RCL_TRACEGEN_PAGES_MAX, &file);
	if (rc)
		return rc;
	t->input.cur += RCL_TRACEGEN_HEADER;
	if (size >= 0 && (uint64_t)size < rcl_tracegen_records_end(s->records))
		return truncated(t, (uint64_t)size);
	/* Only a size that was seen is worth taking memory for. */
	if (size >= 0)
		t->expected = s->records;
	rcl_tracegen_map_init(&s->map, anon, file);
	memcpy(t->regions, s->map.regions, sizeof(t->regions));
	t->nr_regions = s->map.nr_regions;
	return 0;
}

static int bad_record(struct rcl_trace *t, uint32_t record)
{
	static const char *const kinds[4] = {"anonymous", "mapped file", "file", "no"};
	struct tracegen_state *s = t->state;
	uint32_t kind = record >> TOP_SHIFT & 3;
	uint64_t page = record & ((1u << TOP_SHIFT) - 1);
	const char *name = rcl_input_name(&t->input);
	unsigned long long offset = rcl_input_offset(&t->input);

	if (kind == 3)
		return rcl_trace_fail(t, -EBADMSG,
				      "%s: byte %llu: record 0x%08x is both read() and mapped",
				      name, offset, record);
	return rcl_trace_fail(t, -EBADMSG, "%s: byte %llu: record 0x%08x: %s page %llu of %llu",
			      name, offset, record, kinds[kind], (unsigned long long)page,
			      (unsigned long long)s->map.kind[kind].pages);
}

/* All records are read: nothing but zeros may follow, and not too many of them. */
static int tracegen_end(struct rcl_trace *t)
{
	struct tracegen_state *s = t->state;
	uint64_t size = rcl_tracegen_size(s->records);
	struct rcl_input *in = &t->input;

	for (;;) {
		ssize_t n;

		for (; in->cur < in->end; in->cur++) {
			unsigned long long offset = rcl_input_offset(in);

			if (*in->cur || offset >= size)
				return rcl_trace_fail(
					t, -EBADMSG,
					"%s: byte %llu: 0x%02x follows the last of %llu records",
					rcl_input_name(in), offset, *in->cur,
					(unsigned long long)s->records);
		}
		n = rcl_input_more(in, &t->error);
		if (n <= 0)
			return (int)n;
	}
}

static int tracegen_next(struct rcl_trace *t, uint64_t *out, size_t max, size_t *n)
{
	struct tracegen_state *s = t->state;
	struct rcl_input *in = &t->input;

	while (*n < max) {
		uint64_t left = s->records - s->done;
		size_t want = max - *n, good;
		int rc;

		if (!left)
			return tracegen_end(t);
		if (rcl_input_left(in) < 4) {
			rc = rcl_input_need(in, 4, &t->error);
			if (rc)
				return rc;
			if (rcl_input_left(in) < 4)
				return truncated(t, in->end_offset);
		}
		if (want > rcl_input_left(in) / 4)
			want = rcl_input_left(in) / 4;
		if (want > left)
			want = left;
		good = rcl_tracegen_decode(&s->map, in->cur, want, out + *n);
		in->cur += 4 * good;
		s->done += good;
		*n += good;
		if (good < want)
			return bad_record(t, rcl_le32(in->cur));
	}
	return 0;
}

const struct rcl_format rcl_format_tracegen = {
	.name = "tracegen",
	.help = "page accesses in 4-byte records behind a 4096-byte header, as reclaim gen writes "
		"them",
	.state_size = sizeof(struct tracegen_state),
	.probe = tracegen_probe,
	.start = tracegen_start,
	.next = tracegen_next,
};
