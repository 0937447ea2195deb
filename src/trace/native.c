/* SPDX-License-Identifier: MIT */
/*
 * Reading reclaim's own format: docs/trace-format.md.
 *
 * A recording is several streams with a common table of regions, so it is read whole, into an
 * image; there is no way to read it as one stream of accesses. Chunks come in the order in which
 * they were written, which is about the order of time: good enough for counting what is live at any
 * time, while the exact order of events between tasks is in their numbers.
 *
 * What can be trusted: a chunk whose checksum is right. But it may still have been made by anyone,
 * so every number is checked against its limits, and a wrong one is an error with its place. An end
 * in the middle of a chunk is no error: that is what a recording that was killed looks like.
 */
#include "trace/native_load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int bad(struct rcl_native_load *l, const char *what, uint64_t value)
{
	return rcl_trace_fail(l->t, -EBADMSG, "%s: chunk %llu, before byte %llu: %s (%llu)",
			      rcl_input_name(&l->t->input), (unsigned long long)l->rec.chunks + 1,
			      (unsigned long long)rcl_input_offset(&l->t->input), what,
			      (unsigned long long)value);
}

int rcl_native_no_memory(struct rcl_native_load *l)
{
	return rcl_trace_fail(l->t, -ENOMEM, "%s: out of memory", rcl_input_name(&l->t->input));
}

/* ---- What is live ---------------------------------------------------------------------------- */

static void page_gone(void *arg, const struct rcl_live_page *p)
{
	struct rcl_native_load *l = arg;

	l->regions[p->region].live--;
	if (p->key >> 63)
		l->live_anon--;
}

static void pages_gone(struct rcl_native_load *l, uint64_t key, uint64_t pages)
{
	rcl_live_remove(&l->live, key, pages, page_gone, l);
}

static int page_used(struct rcl_native_load *l, uint64_t key, uint32_t region, unsigned int kind)
{
	struct rcl_load_region *r = &l->regions[region];
	struct rcl_live_page *p;
	bool made;

	p = rcl_live_add(&l->live, key, &made);
	if (!p)
		return rcl_native_no_memory(l);
	if (made) {
		p->region = region;
		if (++r->live > r->peak)
			r->peak = r->live;
		if (key >> 63 && ++l->live_anon > l->peak_anon)
			l->peak_anon = l->live_anon;
		if (l->live.nr > l->peak)
			l->peak = l->live.nr;
	}
	if (!(p->kinds & 1u << kind)) {
		p->kinds |= 1u << kind;
		l->by_kind[kind]++;
	}
	return 0;
}

static int memory_used(struct rcl_native_load *l, struct rcl_load_process *p, uint32_t region,
		       uint64_t page, bool write)
{
	const struct rcl_area *a;
	int rc;

	if (l->regions[region].kind == RCL_ACCESS_ANON) {
		/* What a fork has only read is its parent's. */
		if (p->copy && !write)
			return 0;
		return page_used(l, rcl_live_anon(p->index, page), region, RCL_ACCESS_ANON);
	}
	a = rcl_areas_find(&p->areas, page);
	if (!a || !(a->flags & RCL_MAP_FILE))
		return 0; /* a task that ran ahead of the one that maps it */
	rc = page_used(
		l, rcl_live_file(region, (a->pgoff + page - a->start) & (RCL_TRACE_PAGES_MAX - 1)),
		region, RCL_ACCESS_MMAP);
	if (!rc && write && !(a->flags & RCL_MAP_SHARED)) /* a copy of its own */
		rc = page_used(l, rcl_live_anon(p->index, page), region, RCL_ACCESS_ANON);
	return rc;
}

/* ---- Words ---------------------------------------------------------------------------------- */

static int add_word(struct rcl_native_load *l, struct rcl_load_task *t, uint64_t word)
{
	if (!l->keep) {
		t->count++;
		return 0;
	}
	if (t->count == t->max) {
		uint64_t max = t->max ? 2 * t->max : 256;
		uint64_t *words = realloc(t->words, max * sizeof(*words));

		if (!words)
			return rcl_native_no_memory(l);
		t->words = words;
		t->max = max;
	}
	t->words[t->count++] = word;
	return 0;
}

static int add_access(struct rcl_native_load *l, struct rcl_load_task *t, uint32_t region,
		      uint64_t page, bool write)
{
	struct rcl_load_region *r = &l->regions[region];
	enum rcl_access_kind kind = r->kind == RCL_ACCESS_ANON ? RCL_ACCESS_ANON : RCL_ACCESS_MMAP;
	int rc = memory_used(l, &l->processes[t->process], region, page, write);

	if (rc)
		return rc;
	r->touches++;
	r->writes += write;
	if (page + 1 > r->end)
		r->end = page + 1;
	l->sum.accesses++;
	l->sum.touches++;
	l->sum.writes += write;
	*(kind == RCL_ACCESS_ANON ? &l->sum.anon_touches : &l->sum.mmap_touches) += 1;
	return add_word(l, t, page | rcl_word_bits(kind, write, region));
}

static int add_file(struct rcl_native_load *l, struct rcl_load_task *t, uint32_t region,
		    uint64_t offset, uint64_t bytes, bool write)
{
	struct rcl_load_region *r = &l->regions[region];
	uint64_t page = offset >> RCL_TRACE_PAGE_SHIFT, end;
	int rc = 0;

	if (!bytes) {
		l->sum.skipped++;
		return 0;
	}
	end = ((offset + bytes - 1) >> RCL_TRACE_PAGE_SHIFT) + 1;
	if (end > r->end)
		r->end = end;
	if (end > r->pages)
		r->pages = end;
	while (page < end && !rc) {
		uint64_t run = end - page < RCL_TRACE_RUN_MAX ? end - page : RCL_TRACE_RUN_MAX;

		for (uint64_t i = 0; i < run && !rc; i++)
			rc = page_used(l, rcl_live_file(region, page + i), region, RCL_ACCESS_FILE);
		if (rc)
			break;
		r->touches += run;
		r->writes += write ? run : 0;
		l->sum.accesses++;
		l->sum.touches += run;
		l->sum.file_touches += run;
		l->sum.writes += write ? run : 0;
		rc = add_word(l, t,
			      page | (run - 1) << RCL_WORD_RUN_SHIFT |
				      rcl_word_bits(RCL_ACCESS_FILE, write, region));
		page += run;
	}
	return rc;
}

/* ---- Events --------------------------------------------------------------------------------- */

static bool range_ok(uint64_t page, uint64_t pages)
{
	return pages && page < RCL_TRACE_PAGES_MAX && pages <= RCL_TRACE_PAGES_MAX - page;
}

static int check_event(struct rcl_native_load *l, unsigned int type, const uint64_t *a)
{
	if (rcl_event_has_seq(type) && a[0] > UINT32_MAX)
		return bad(l, "a layout has changed too often", a[0]);
	switch (type) {
	case RCL_EVENT_MOVE:
		if (!range_ok(a[3], a[4]))
			return bad(l, "pages beyond an address space", a[3]);
		/* fallthrough */
	case RCL_EVENT_MAP:
	case RCL_EVENT_UNMAP:
	case RCL_EVENT_PROTECT:
	case RCL_EVENT_ADVISE:
	case RCL_EVENT_LOCK:
		if (!range_ok(a[1], a[2]))
			return bad(l, "pages beyond an address space", a[1]);
		break;
	case RCL_EVENT_OPEN:
	case RCL_EVENT_DELETE:
	case RCL_EVENT_FSYNC:
	case RCL_EVENT_FADVISE:
	case RCL_EVENT_TRUNCATE:
		if (a[0] >= RCL_NATIVE_REGIONS_MAX || !l->regions[a[0]].known ||
		    l->regions[a[0]].kind == RCL_ACCESS_ANON)
			return bad(l, "an event of a file that is not declared", a[0]);
		if (type == RCL_EVENT_TRUNCATE && a[1] > 1ull << 47)
			return bad(l, "a file is too large", a[1]);
		if (type == RCL_EVENT_FADVISE && a[2] && !range_ok(a[1], a[2]))
			return bad(l, "pages beyond a file", a[1]);
		break;
	case RCL_EVENT_FORK:
	case RCL_EVENT_CLONE:
	case RCL_EVENT_WAIT:
		if (a[type == RCL_EVENT_FORK] >= RCL_NATIVE_TASKS_MAX)
			return bad(l, "a task's number is too high", a[type == RCL_EVENT_FORK]);
		break;
	default:
		break;
	}
	if (type != RCL_EVENT_MAP)
		return 0;
	if (a[4] >= RCL_NATIVE_REGIONS_MAX || !l->regions[a[4]].known)
		return bad(l, "a mapping of a region that is not declared", a[4]);
	if (!!(a[3] & RCL_MAP_FILE) != (l->regions[a[4]].kind != RCL_ACCESS_ANON) ||
	    (a[3] & RCL_MAP_FILE && !range_ok(a[5], a[2])))
		return bad(l, "a mapping does not fit its region", a[5]);
	return 0;
}

/* Follow the layout, for what is live. */
static int apply(struct rcl_native_load *l, struct rcl_load_process *p, unsigned int type,
		 const uint64_t *a)
{
	uint64_t key = rcl_live_anon(p->index, a[1]);
	struct rcl_load_region *r;
	int rc = 0;

	switch (type) {
	case RCL_EVENT_MAP:
		pages_gone(l, key, a[2]);
		rc = rcl_areas_map(&p->areas, (struct rcl_area){a[1], a[1] + a[2], (uint32_t)a[3],
								(uint32_t)a[4], a[5]});
		r = &l->regions[a[4]];
		if (a[3] & RCL_MAP_FILE && a[5] + a[2] > r->pages && r->bytes)
			r->pages = (r->bytes + RCL_TRACE_PAGE_SIZE - 1) >> RCL_TRACE_PAGE_SHIFT;
		break;
	case RCL_EVENT_UNMAP:
		pages_gone(l, key, a[2]);
		rc = rcl_areas_unmap(&p->areas, a[1], a[2]);
		break;
	case RCL_EVENT_MOVE:
		if (a[4] < a[2])
			pages_gone(l, key + a[4], a[2] - a[4]);
		if (a[1] != a[3]) {
			pages_gone(l, rcl_live_anon(p->index, a[3]), a[4]);
			if (a[2] <= l->live.mask)
				rcl_live_move(&l->live, key, a[2] < a[4] ? a[2] : a[4],
					      rcl_live_anon(p->index, a[3]));
			else /* far more than there is: they count again when they are touched */
				pages_gone(l, key, a[2]);
		}
		rc = rcl_areas_move(&p->areas, a[1], a[2], a[3], a[4]);
		break;
	case RCL_EVENT_ADVISE:
		if (a[3] == 4) /* MADV_DONTNEED */
			pages_gone(l, key, a[2]);
		break;
	case RCL_EVENT_EXEC:
		pages_gone(l, rcl_live_anon(p->index, 0), RCL_TRACE_PAGES_MAX);
		rcl_areas_clear(&p->areas);
		p->copy = false;
		break;
	case RCL_EVENT_TRUNCATE: {
		uint64_t pages = (a[1] + RCL_TRACE_PAGE_SIZE - 1) >> RCL_TRACE_PAGE_SHIFT;

		pages_gone(l, rcl_live_file((uint32_t)a[0], pages), RCL_TRACE_PAGES_MAX - pages);
		if (pages > l->regions[a[0]].pages)
			l->regions[a[0]].pages = pages;
		break;
	}
	case RCL_EVENT_DELETE:
		pages_gone(l, rcl_live_file((uint32_t)a[0], 0), RCL_TRACE_PAGES_MAX);
		break;
	default:
		break;
	}
	return rc ? rcl_native_no_memory(l) : 0;
}

static int add_event(struct rcl_native_load *l, struct rcl_load_task *t, unsigned int type,
		     const uint64_t *args)
{
	struct rcl_load_process *p = &l->processes[t->process];
	unsigned int seq = rcl_event_has_seq(type);
	struct rcl_trace_event *e;
	int rc = check_event(l, type, args);

	if (!rc)
		rc = apply(l, p, type, args);
	if (!rc && type == RCL_EVENT_EXIT && l->tasks[p->first].index == t->index)
		pages_gone(l, rcl_live_anon(p->index, 0), RCL_TRACE_PAGES_MAX);
	if (rc || !l->keep)
		return rc;
	if (l->nr_events == l->max_events) {
		uint32_t max = l->max_events ? 2 * l->max_events : 256;

		e = max > l->max_events ? realloc(l->events, max * sizeof(*e)) : NULL;
		if (!e)
			return rcl_native_no_memory(l);
		l->events = e;
		l->max_events = max;
	}
	e = &l->events[l->nr_events];
	*e = (struct rcl_trace_event){.type = type};
	if (seq)
		e->order = (uint32_t)args[0];
	for (unsigned int i = seq; i < rcl_event_args(type); i++)
		e->args[i - seq] = args[i];
	return add_word(l, t, l->nr_events++ | rcl_word_bits(RCL_ACCESS_EVENT, false, 0));
}

/* ---- Chunks --------------------------------------------------------------------------------- */

struct cursor {
	const uint8_t *p, *end;
	uint64_t page, offset;
	uint32_t region;
};

/* One record. The number that begins it is read; -EBADMSG with no text: it does not end. */
static int read_record(struct rcl_native_load *l, struct rcl_load_task *t, struct cursor *c,
		       uint64_t head)
{
	uint64_t value = head >> 3, a[RCL_EVENT_ARGS_MAX];
	unsigned int kind = head & 7;

#define NEED(n)                                                                                    \
	do {                                                                                       \
		for (unsigned int i = 0; i < (n); i++) {                                           \
			c->p = rcl_get_varint(c->p, c->end, &a[i]);                                \
			if (!c->p)                                                                 \
				return bad(l, "a record does not end", head);                      \
		}                                                                                  \
	} while (0)
	switch (kind) {
	case RCL_REC_READ:
	case RCL_REC_WRITE:
	case RCL_REC_EXEC:
		c->page += (uint64_t)rcl_unzigzag(value);
		if (c->page >= RCL_TRACE_PAGES_MAX)
			return bad(l, "a page beyond an address space", c->page);
		if (c->region == NOWHERE)
			return bad(l, "an access without a region", c->page);
		return add_access(l, t, c->region, c->page, kind == RCL_REC_WRITE);
	case RCL_REC_REGION:
		if (value >= RCL_NATIVE_REGIONS_MAX || !l->regions[value].known)
			return bad(l, "a region that is not declared", value);
		c->region = (uint32_t)value;
		return 0;
	case RCL_REC_FILE_READ:
	case RCL_REC_FILE_WRITE:
		NEED(2);
		if (value >= RCL_NATIVE_REGIONS_MAX || !l->regions[value].known ||
		    l->regions[value].kind == RCL_ACCESS_ANON)
			return bad(l, "a file that is not declared", value);
		c->offset += (uint64_t)rcl_unzigzag(a[0]);
		if (c->offset >= 1ull << 47 || a[1] > 1u << 31)
			return bad(l, "a transfer beyond the largest file", c->offset);
		head = c->offset;
		c->offset += a[1];
		return add_file(l, t, (uint32_t)value, head, a[1], kind == RCL_REC_FILE_WRITE);
	case RCL_REC_WINDOW:
		NEED(1);
		if (value >= RCL_TRACE_PAGES_MAX)
			return bad(l, "a window is too long", value);
		t->references += value;
		t->instructions += a[0];
		return value ? add_word(l, t, value | rcl_word_bits(RCL_ACCESS_EVENT, true, 0)) : 0;
	default:
		if (value >= RCL_EVENTS)
			return bad(l, "an unknown event", value);
		NEED(rcl_event_args((unsigned int)value));
		return add_event(l, t, (unsigned int)value, a);
	}
#undef NEED
}

static int read_stream(struct rcl_native_load *l, const struct rcl_chunk *chunk,
		       const uint8_t *payload)
{
	struct cursor c = {.p = payload, .end = payload + chunk->stored, .region = NOWHERE};
	struct rcl_load_task *t;
	int rc = 0;

	if (chunk->task >= RCL_NATIVE_TASKS_MAX || !l->tasks[chunk->task].known)
		return bad(l, "records of a task that is not declared", chunk->task);
	t = &l->tasks[chunk->task];
	if (chunk->raw) {
		size_t n = chunk->raw > RCL_NATIVE_RAW_MAX
				   ? 0
				   : ZSTD_decompressDCtx(l->zstd, l->raw, RCL_NATIVE_RAW_MAX,
							 payload, chunk->stored);

		if (ZSTD_isError(n) || n != chunk->raw)
			return bad(l, "a chunk does not decompress to its size", chunk->raw);
		c.p = l->raw;
		c.end = l->raw + n;
	}
	while (!rc && c.p < c.end) {
		uint64_t head;

		c.p = rcl_get_varint(c.p, c.end, &head);
		if (!c.p)
			return bad(l, "the last record does not end", 0);
		rc = read_record(l, t, &c, head);
	}
	return rc;
}

static int read_region(struct rcl_native_load *l, const uint8_t *p, size_t size)
{
	uint32_t id;
	struct rcl_load_region *r;

	if (size < 13 || size > 13 + RCL_NATIVE_NAME_MAX)
		return bad(l, "a region's chunk has a wrong size", size);
	id = rcl_le32(p);
	if (id >= RCL_NATIVE_REGIONS_MAX || l->regions[id].known)
		return bad(l, "a region is declared twice, or its number is too high", id);
	if (p[4] > 1 || rcl_le64(p + 5) > 1ull << 47)
		return bad(l, "a region of an unknown kind or size", p[4]);
	r = &l->regions[id];
	r->known = true;
	r->kind = p[4] ? RCL_ACCESS_FILE : RCL_ACCESS_ANON;
	r->bytes = rcl_le64(p + 5);
	r->pages = (r->bytes + RCL_TRACE_PAGE_SIZE - 1) >> RCL_TRACE_PAGE_SHIFT;
	r->name = strndup((const char *)p + 13, size - 13);
	if (id >= l->nr_regions)
		l->nr_regions = id + 1;
	return r->name ? 0 : rcl_native_no_memory(l);
}

static int read_task(struct rcl_native_load *l, const uint8_t *p, size_t size)
{
	uint32_t id, process, parent;
	struct rcl_load_process *pr;
	struct rcl_load_task *t;

	if (size < 13)
		return bad(l, "a task's chunk has a wrong size", size);
	id = rcl_le32(p);
	process = rcl_le32(p + 4);
	parent = rcl_le32(p + 8);
	if (id >= RCL_NATIVE_TASKS_MAX || process >= RCL_NATIVE_TASKS_MAX || l->tasks[id].known)
		return bad(l, "a task is declared twice, or its number is too high", id);
	if (p[12] > RCL_NATIVE_FORKED ||
	    (p[12] != RCL_NATIVE_FIRST &&
	     (parent >= RCL_NATIVE_TASKS_MAX || !l->tasks[parent].known)))
		return bad(l, "a task comes from nowhere", parent);
	t = &l->tasks[id];
	*t = (struct rcl_load_task){
		.known = true, .process = process, .parent = parent, .how = p[12]};
	t->index = l->nr_tasks++;
	if (id >= l->end_tasks)
		l->end_tasks = id + 1;
	if (process >= l->end_tasks)
		l->end_tasks = process + 1;
	pr = &l->processes[process];
	if (!pr->known) {
		*pr = (struct rcl_load_process){.known = true,
						.index = process,
						.first = id,
						.copy = t->how == RCL_NATIVE_FORKED};
		if (pr->copy &&
		    rcl_areas_copy(&pr->areas, &l->processes[l->tasks[parent].process].areas))
			return rcl_native_no_memory(l);
	}
	return 0;
}

static int read_chunk(struct rcl_native_load *l, const struct rcl_chunk *c, const uint8_t *payload)
{
	switch (c->type) {
	case RCL_NATIVE_REGION:
		return read_region(l, payload, c->stored);
	case RCL_NATIVE_TASK:
		return read_task(l, payload, c->stored);
	case RCL_NATIVE_STREAM:
		return read_stream(l, c, payload);
	case RCL_NATIVE_END:
		if (c->stored < 12)
			return bad(l, "the last chunk is too short", c->stored);
		l->rec.complete = true;
		l->rec.status = rcl_le32(payload + 8);
		return 0;
	default:
		return 0; /* of a later version that means the same without it */
	}
}

static int read_chunks(struct rcl_native_load *l)
{
	struct rcl_input *in = &l->t->input;

	for (;;) {
		struct rcl_chunk c;
		int rc = rcl_input_need(in, RCL_NATIVE_CHUNK_HEADER, &l->t->error);

		if (rc || !rcl_input_left(in))
			return rc;
		l->rec.missing = rcl_input_left(in);
		if (rcl_input_left(in) < RCL_NATIVE_CHUNK_HEADER)
			return 0;
		if (rcl_le32(in->cur) != RCL_NATIVE_CHUNK_MAGIC ||
		    rcl_le32(in->cur + 28) != rcl_crc32c(0, in->cur, 28))
			return bad(l, "a chunk's header is damaged", rcl_le32(in->cur));
		c = (struct rcl_chunk){.type = rcl_le32(in->cur + 4),
				       .task = rcl_le32(in->cur + 8),
				       .stored = rcl_le32(in->cur + 12),
				       .raw = rcl_le32(in->cur + 16),
				       .records = rcl_le32(in->cur + 20),
				       .crc = rcl_le32(in->cur + 24)};
		if (c.stored > RCL_NATIVE_STORED_MAX)
			return bad(l, "a chunk is too large", c.stored);
		rc = rcl_input_need(in, RCL_NATIVE_CHUNK_HEADER + c.stored, &l->t->error);
		if (rc)
			return rc;
		l->rec.missing = rcl_input_left(in);
		if (rcl_input_left(in) < RCL_NATIVE_CHUNK_HEADER + c.stored)
			return 0;
		if (rcl_crc32c(0, in->cur + RCL_NATIVE_CHUNK_HEADER, c.stored) != c.crc)
			return bad(l, "a chunk's checksum is wrong", c.crc);
		rc = read_chunk(l, &c, in->cur + RCL_NATIVE_CHUNK_HEADER);
		if (rc)
			return rc;
		in->cur += RCL_NATIVE_CHUNK_HEADER + c.stored;
		l->rec.chunks++;
		l->rec.missing = 0;
		l->rec.bytes = rcl_input_offset(in);
	}
}

/* ---- The header ----------------------------------------------------------------------------- */

static bool native_probe(const struct rcl_probe *probe)
{
	return probe->size >= 8 && !memcmp(probe->head, RCL_NATIVE_MAGIC, 8);
}

static int native_start(struct rcl_trace *t)
{
	const char *name = rcl_input_name(&t->input);
	const uint8_t *p;
	uint32_t size, command;
	int rc = rcl_input_need(&t->input, RCL_NATIVE_HEADER, &t->error);

	if (rc)
		return rc;
	p = t->input.cur;
	if (!native_probe(&(struct rcl_probe){.head = p, .size = rcl_input_left(&t->input)}))
		return rcl_trace_fail(t, -EBADMSG, "%s: not a recording of reclaim's", name);
	if (rcl_input_left(&t->input) < RCL_NATIVE_HEADER)
		return rcl_trace_fail(t, -EBADMSG, "%s: truncated at byte %zu: a header has %u",
				      name, rcl_input_left(&t->input), RCL_NATIVE_HEADER);
	if (rcl_le32(p + 8) != RCL_NATIVE_VERSION)
		return rcl_trace_fail(t, -EBADMSG,
				      "%s: version %u of the format; this program reads version %u",
				      name, rcl_le32(p + 8), RCL_NATIVE_VERSION);
	size = rcl_le32(p + 12);
	command = rcl_le32(p + 32);
	if (size < RCL_NATIVE_HEADER || size > RCL_NATIVE_HEADER + RCL_NATIVE_COMMAND_MAX ||
	    command != size - RCL_NATIVE_HEADER)
		return rcl_trace_fail(t, -EBADMSG, "%s: the header is damaged: it has %u bytes",
				      name, size);
	rc = rcl_input_need(&t->input, size, &t->error);
	if (rc)
		return rc;
	p = t->input.cur;
	if (rcl_input_left(&t->input) < size)
		return rcl_trace_fail(t, -EBADMSG, "%s: truncated at byte %zu: the header has %u",
				      name, rcl_input_left(&t->input), size);
	if (rcl_le32(p + 60) != rcl_crc32c(rcl_crc32c(0, p, 60), p + RCL_NATIVE_HEADER, command))
		return rcl_trace_fail(t, -EBADMSG, "%s: the header's checksum is wrong", name);
	return 0;
}

static int native_next(struct rcl_trace *t, uint64_t *out, size_t max, size_t *n)
{
	(void)out, (void)max, (void)n;
	return rcl_trace_fail(t, -EINVAL, "%s: a recording is no single stream of accesses",
			      rcl_input_name(&t->input));
}

static int read_header(struct rcl_native_load *l)
{
	struct rcl_input *in = &l->t->input;
	const uint8_t *p = in->cur;
	uint32_t size = rcl_le32(p + 12);

	l->rec.window = rcl_le32(p + 16);
	l->rec.native_ns = rcl_le64(p + 24);
	l->rec.native_wall_ns = rcl_le64(p + 40);
	l->rec.command_size = rcl_le32(p + 32);
	l->rec.source = rcl_le32(p + 36);
	l->command = malloc(l->rec.command_size + 1);
	if (!l->command)
		return rcl_native_no_memory(l);
	memcpy(l->command, p + RCL_NATIVE_HEADER, l->rec.command_size);
	l->command[l->rec.command_size] = 0;
	in->cur += size;
	return 0;
}

static int native_load(struct rcl_trace *t, bool keep, struct rcl_trace_image **out)
{
	struct rcl_native_load l = {.t = t, .keep = keep};
	int rc;

	l.tasks = calloc(RCL_NATIVE_TASKS_MAX, sizeof(*l.tasks));
	l.processes = calloc(RCL_NATIVE_TASKS_MAX, sizeof(*l.processes));
	l.regions = calloc(RCL_NATIVE_REGIONS_MAX, sizeof(*l.regions));
	l.raw = malloc(RCL_NATIVE_RAW_MAX);
	l.zstd = ZSTD_createDCtx();
	rc = l.tasks && l.processes && l.regions && l.raw && l.zstd ? 0 : rcl_native_no_memory(&l);
	if (!rc)
		rc = read_header(&l);
	if (!rc)
		rc = read_chunks(&l);
	if (!rc && !l.sum.accesses)
		rc = rcl_trace_fail(t, -ENODATA, "%s: the recording holds no access%s",
				    rcl_input_name(&t->input),
				    l.rec.complete ? "" : ": it was cut off");
	if (!rc)
		rc = rcl_native_make_image(&l, out);
	for (uint32_t i = 0; l.tasks && i < l.end_tasks; i++)
		free(l.tasks[i].words);
	for (uint32_t i = 0; l.processes && i < l.end_tasks; i++)
		rcl_areas_clear(&l.processes[i].areas);
	for (uint32_t i = 0; l.regions && i < l.nr_regions; i++)
		free(l.regions[i].name);
	free(l.tasks);
	free(l.processes);
	free(l.regions);
	free(l.events);
	free(l.raw);
	free(l.command);
	rcl_live_free(&l.live);
	ZSTD_freeDCtx(l.zstd);
	return rc;
}

const struct rcl_format rcl_format_native = {
	.name = "reclaim",
	.help = "recordings made by reclaim record, import and convert",
	.probe = native_probe,
	.start = native_start,
	.next = native_next,
	.load = native_load,
};
