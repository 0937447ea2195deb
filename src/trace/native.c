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
#include "trace/native.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <zstd.h>

#include "trace/areas.h"
#include "trace/format.h"
#include "trace/image.h"
#include "trace/live.h"

#define NOWHERE UINT32_MAX

struct task {
	bool known;
	uint32_t index; /* in the image */
	uint32_t process, parent;
	uint32_t how;
	uint64_t *words;
	uint64_t count, max, references, instructions;
};

struct process {
	bool known;
	uint32_t index;
	struct rcl_areas areas;
	bool copy;	/* a fork that has not called exec: its pages may be its parent's */
	uint32_t first; /* task */
};

struct region {
	bool known;
	uint32_t kind;
	char *name;
	uint64_t bytes, pages; /* at first; at most */
	uint64_t touches, writes, live, peak, end;
	uint32_t index; /* in the image */
};

struct load {
	struct rcl_trace *t;
	bool keep;
	struct task *tasks;	      /* by number */
	struct process *processes;    /* by number */
	struct region *regions;	      /* by number */
	uint32_t nr_regions;	      /* one past the highest known */
	uint32_t nr_tasks, end_tasks; /* how many; one past the highest number of a task */
	struct rcl_trace_event *events;
	uint32_t nr_events, max_events;
	struct rcl_live live;
	uint64_t live_anon, peak_anon, peak, by_kind[3];
	uint8_t *raw;
	ZSTD_DCtx *zstd;
	struct rcl_trace_summary sum;
	struct rcl_trace_recording rec;
	char *command;
};

struct image {
	struct rcl_trace_image public;
	struct rcl_trace_recording rec;
	uint64_t mapped;
};

static int bad(struct load *l, const char *what, uint64_t value)
{
	return rcl_trace_fail(l->t, -EBADMSG, "%s: chunk %llu, before byte %llu: %s (%llu)",
			      rcl_input_name(&l->t->input), (unsigned long long)l->rec.chunks + 1,
			      (unsigned long long)rcl_input_offset(&l->t->input), what,
			      (unsigned long long)value);
}

static int no_memory(struct load *l)
{
	return rcl_trace_fail(l->t, -ENOMEM, "%s: out of memory", rcl_input_name(&l->t->input));
}

/* ---- What is live ---------------------------------------------------------------------------- */

static void page_gone(void *arg, const struct rcl_live_page *p)
{
	struct load *l = arg;

	l->regions[p->region].live--;
	if (p->key >> 63)
		l->live_anon--;
}

static void pages_gone(struct load *l, uint64_t key, uint64_t pages)
{
	rcl_live_remove(&l->live, key, pages, page_gone, l);
}

static int page_used(struct load *l, uint64_t key, uint32_t region, unsigned int kind)
{
	struct region *r = &l->regions[region];
	struct rcl_live_page *p;
	bool made;

	p = rcl_live_add(&l->live, key, &made);
	if (!p)
		return no_memory(l);
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

static int memory_used(struct load *l, struct process *p, uint32_t region, uint64_t page,
		       bool write)
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

static int add_word(struct load *l, struct task *t, uint64_t word)
{
	if (!l->keep) {
		t->count++;
		return 0;
	}
	if (t->count == t->max) {
		uint64_t max = t->max ? 2 * t->max : 256;
		uint64_t *words = realloc(t->words, max * sizeof(*words));

		if (!words)
			return no_memory(l);
		t->words = words;
		t->max = max;
	}
	t->words[t->count++] = word;
	return 0;
}

static int add_access(struct load *l, struct task *t, uint32_t region, uint64_t page, bool write)
{
	struct region *r = &l->regions[region];
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

static int add_file(struct load *l, struct task *t, uint32_t region, uint64_t offset,
		    uint64_t bytes, bool write)
{
	struct region *r = &l->regions[region];
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

static int check_event(struct load *l, unsigned int type, const uint64_t *a)
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
static int apply(struct load *l, struct process *p, unsigned int type, const uint64_t *a)
{
	uint64_t key = rcl_live_anon(p->index, a[1]);
	struct region *r;
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
	return rc ? no_memory(l) : 0;
}

static int add_event(struct load *l, struct task *t, unsigned int type, const uint64_t *args)
{
	struct process *p = &l->processes[t->process];
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
			return no_memory(l);
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
static int read_record(struct load *l, struct task *t, struct cursor *c, uint64_t head)
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

static int read_stream(struct load *l, const struct rcl_chunk *chunk, const uint8_t *payload)
{
	struct cursor c = {.p = payload, .end = payload + chunk->stored, .region = NOWHERE};
	struct task *t;
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

static int read_region(struct load *l, const uint8_t *p, size_t size)
{
	uint32_t id;
	struct region *r;

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
	return r->name ? 0 : no_memory(l);
}

static int read_task(struct load *l, const uint8_t *p, size_t size)
{
	uint32_t id, process, parent;
	struct process *pr;
	struct task *t;

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
	*t = (struct task){.known = true, .process = process, .parent = parent, .how = p[12]};
	t->index = l->nr_tasks++;
	if (id >= l->end_tasks)
		l->end_tasks = id + 1;
	if (process >= l->end_tasks)
		l->end_tasks = process + 1;
	pr = &l->processes[process];
	if (!pr->known) {
		*pr = (struct process){.known = true,
				       .index = process,
				       .first = id,
				       .copy = t->how == RCL_NATIVE_FORKED};
		if (pr->copy &&
		    rcl_areas_copy(&pr->areas, &l->processes[l->tasks[parent].process].areas))
			return no_memory(l);
	}
	return 0;
}

static int read_chunk(struct load *l, const struct rcl_chunk *c, const uint8_t *payload)
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

static int read_chunks(struct load *l)
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

static int read_header(struct load *l)
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
		return no_memory(l);
	memcpy(l->command, p + RCL_NATIVE_HEADER, l->rec.command_size);
	l->command[l->rec.command_size] = 0;
	in->cur += size;
	return 0;
}

/* ---- The image ------------------------------------------------------------------------------ */

struct numbered {
	uint32_t process, order, event;
};

static int by_order(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;

	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return x->event < y->event ? -1 : x->event > y->event;
}

/* Events of a process with a number below this. */
static uint32_t rank(const struct numbered *n, uint32_t nr, uint32_t process, uint64_t order)
{
	uint32_t lo = 0, hi = nr, first;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (n[mid].process < process)
			lo = mid + 1;
		else
			hi = mid;
	}
	first = lo;
	hi = nr;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (n[mid].process == process && n[mid].order < order)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo - first;
}

/*
 * What was lost at the end leaves gaps in the numbers, and a gap would be waited for: number anew.
 */
static int number_events(struct load *l, const struct rcl_trace_task *tasks, uint32_t nr_tasks,
			 const uint64_t *words)
{
	struct numbered *n = malloc((l->nr_events + 1) * sizeof(*n));
	uint32_t nr = 0, next = 0;

	if (!n)
		return no_memory(l);
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t t = 0; t < nr_tasks; t++) {
			for (uint64_t i = 0; i < tasks[t].count; i++) {
				uint64_t w = words[tasks[t].first + i];
				struct rcl_trace_event *e = &l->events[rcl_word_page(w)];

				if (!rcl_word_is_event(w) || rcl_word_write(w))
					continue;
				if (!pass && rcl_event_has_seq(e->type))
					n[nr++] = (struct numbered){tasks[t].process, e->order,
								    (uint32_t)rcl_word_page(w)};
				else if (pass && e->type == RCL_EVENT_SYNC)
					e->args[0] = rank(n, nr, tasks[t].process, e->args[0]);
			}
		}
		if (!pass)
			qsort(n, nr, sizeof(*n), by_order);
	}
	for (uint32_t i = 0; i < nr; i++) {
		if (i && n[i].process != n[i - 1].process)
			next = 0;
		l->events[n[i].event].order = next++;
	}
	free(n);
	return 0;
}

/* Numbers of tasks as the trace has them become indices; what is not in the trace, no event. */
static void resolve_tasks(struct load *l, const uint32_t *index)
{
	for (uint32_t i = 0; i < l->nr_events; i++) {
		struct rcl_trace_event *e = &l->events[i];

		if (e->type == RCL_EVENT_FORK || e->type == RCL_EVENT_CLONE ||
		    e->type == RCL_EVENT_WAIT)
			e->args[0] = index[e->args[0]];
	}
}

static uint32_t list_tasks(struct load *l, struct rcl_trace_task *tasks, uint32_t *index,
			   uint32_t *nr_processes)
{
	uint32_t nr = 0;
	uint64_t first = 0;

	*nr_processes = 0;
	memset(index, 0xff, RCL_NATIVE_TASKS_MAX * sizeof(*index));
	for (uint32_t i = 0; i < l->end_tasks; i++) {
		struct task *t = &l->tasks[i];

		if (!t->known || !t->count)
			continue;
		tasks[nr] = (struct rcl_trace_task){.first = first,
						    .count = t->count,
						    .id = i,
						    .process = t->process,
						    .parent = t->parent,
						    .forked = t->how == RCL_NATIVE_FORKED,
						    .references = t->references,
						    .instructions = t->instructions};
		first += t->count;
		index[i] = nr++;
	}
	/* Processes by the order of their first tasks. */
	for (uint32_t i = 0; i < nr; i++) {
		struct process *p = &l->processes[tasks[i].process];

		if (p->known) {
			p->known = false;
			p->index = (*nr_processes)++;
		}
	}
	for (uint32_t i = 0; i < nr; i++) {
		struct task *t = &l->tasks[tasks[i].id];
		uint32_t parent = t->how == RCL_NATIVE_FIRST ? NOWHERE : index[tasks[i].parent];

		tasks[i].process = l->processes[tasks[i].process].index;
		tasks[i].parent = parent == NOWHERE ? i : parent;
	}
	return nr;
}

static void *put(uint8_t **at, size_t bytes)
{
	void *p = *at;

	*at += (bytes + 7) & ~7ull;
	return p;
}

static size_t names_size(const struct load *l)
{
	size_t n = 0;

	for (uint32_t i = 0; i < l->nr_regions; i++)
		n += l->regions[i].known ? strlen(l->regions[i].name) + 1 : 1;
	return n;
}

static int gather_words(struct load *l, struct image *im, const struct rcl_trace_task *tasks,
			uint32_t nr)
{
	uint64_t total = nr ? tasks[nr - 1].first + tasks[nr - 1].count : 0, *words;

	if (!l->keep || !total)
		return 0;
	words = mmap(NULL, total * sizeof(*words), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (words == MAP_FAILED)
		return no_memory(l);
	madvise(words, total * sizeof(*words), MADV_HUGEPAGE);
	for (uint32_t i = 0; i < nr; i++) {
		struct task *t = &l->tasks[tasks[i].id];

		memcpy(words + tasks[i].first, t->words, t->count * sizeof(*words));
		free(t->words);
		t->words = NULL;
	}
	im->public.words = words;
	im->public.count = total;
	im->mapped = total * sizeof(*words);
	return 0;
}

static void fill_regions(struct load *l, struct rcl_region *regions,
			 struct rcl_region_summary *sums, uint64_t *pages, uint64_t *sizes,
			 const char **names, char *text)
{
	for (uint32_t i = 0; i < l->nr_regions; i++) {
		const struct region *r = &l->regions[i];
		const char *name = r->known ? r->name : "", *slash = strrchr(name, '/');

		names[i] = strcpy(text, name);
		text += strlen(name) + 1;
		regions[i].kind = r->kind;
		regions[i].pages =
			r->kind == RCL_ACCESS_ANON
				? 0
				: (r->bytes + RCL_TRACE_PAGE_SIZE - 1) >> RCL_TRACE_PAGE_SHIFT;
		snprintf(regions[i].name, sizeof(regions[i].name), "%s", slash ? slash + 1 : name);
		sums[i] = (struct rcl_region_summary){.touches = r->touches,
						      .writes = r->writes,
						      .footprint = r->peak,
						      .end = r->end};
		pages[i] = r->pages;
		sizes[i] = r->bytes;
	}
	/* Words that are no accesses name region 0; their "pages" are within its end as well. */
	if (l->nr_regions)
		sums[0].end = RCL_TRACE_PAGES_MAX;
}

static void fill_summary(struct load *l, struct rcl_trace_summary *sum)
{
	*sum = l->sum;
	sum->reads = sum->touches - sum->writes;
	sum->footprint_pages = l->peak;
	sum->anon_pages = l->peak_anon;
	sum->mmap_pages = l->by_kind[RCL_ACCESS_MMAP];
	sum->file_pages = l->by_kind[RCL_ACCESS_FILE];
}

static int make_image(struct load *l, struct rcl_trace_image **out)
{
	uint32_t nr_tasks = l->nr_tasks, nr = l->nr_regions, *index;
	size_t size = sizeof(struct image) + nr_tasks * sizeof(struct rcl_trace_task) +
		      nr * (sizeof(struct rcl_region) + sizeof(struct rcl_region_summary) +
			    2 * sizeof(uint64_t) + sizeof(char *)) +
		      l->nr_events * sizeof(struct rcl_trace_event) + names_size(l) +
		      l->rec.command_size + 128;
	struct image *im = calloc(1, size);
	uint8_t *at = (uint8_t *)(im + 1);
	struct rcl_trace_task *tasks;
	int rc;

	index = malloc(RCL_NATIVE_TASKS_MAX * sizeof(*index));
	if (!im || !index) {
		free(im);
		free(index);
		return no_memory(l);
	}
	tasks = put(&at, nr_tasks * sizeof(*tasks));
	im->public.tasks = tasks;
	im->public.nr_tasks = list_tasks(l, tasks, index, &im->public.nr_processes);
	rc = gather_words(l, im, tasks, im->public.nr_tasks);
	if (!rc && l->keep)
		rc = number_events(l, tasks, im->public.nr_tasks, im->public.words);
	if (!rc) {
		struct rcl_region *regions = put(&at, nr * sizeof(*regions));
		struct rcl_region_summary *sums = put(&at, nr * sizeof(*sums));
		uint64_t *pages = put(&at, nr * sizeof(*pages));
		uint64_t *sizes = put(&at, nr * sizeof(*sizes));
		const char **names = put(&at, nr * sizeof(*names));
		void *events = put(&at, l->nr_events * sizeof(*l->events));
		char *command = put(&at, l->rec.command_size + 1);

		fill_regions(l, regions, sums, pages, sizes, names, (char *)at);
		resolve_tasks(l, index);
		if (l->nr_events)
			memcpy(events, l->events, l->nr_events * sizeof(*l->events));
		memcpy(command, l->command, l->rec.command_size);
		im->rec = l->rec;
		im->rec.events = events;
		im->rec.nr_events = l->nr_events;
		im->rec.file_pages = pages;
		im->rec.sizes = sizes;
		im->rec.names = names;
		im->rec.command = command;
		for (uint32_t i = 0; i < im->public.nr_tasks; i++) {
			im->rec.references += tasks[i].references;
			im->rec.instructions += tasks[i].instructions;
		}
		im->public.regions = regions;
		im->public.region_summaries = sums;
		im->public.nr_regions = nr;
		im->public.recording = &im->rec;
		im->public.format = rcl_trace_format(l->t);
		im->public.compression = rcl_trace_compression(l->t);
		fill_summary(l, &im->public.summary);
		*out = &im->public;
	} else {
		if (im->public.words)
			munmap((void *)(uintptr_t)im->public.words, im->mapped);
		free(im);
	}
	free(index);
	return rc;
}

void rcl_native_image_free(struct rcl_trace_image *image)
{
	struct image *im = (struct image *)image;

	if (image->words)
		munmap((void *)(uintptr_t)image->words, im->mapped);
	free(im);
}

static int native_load(struct rcl_trace *t, bool keep, struct rcl_trace_image **out)
{
	struct load l = {.t = t, .keep = keep};
	int rc;

	l.tasks = calloc(RCL_NATIVE_TASKS_MAX, sizeof(*l.tasks));
	l.processes = calloc(RCL_NATIVE_TASKS_MAX, sizeof(*l.processes));
	l.regions = calloc(RCL_NATIVE_REGIONS_MAX, sizeof(*l.regions));
	l.raw = malloc(RCL_NATIVE_RAW_MAX);
	l.zstd = ZSTD_createDCtx();
	rc = l.tasks && l.processes && l.regions && l.raw && l.zstd ? 0 : no_memory(&l);
	if (!rc)
		rc = read_header(&l);
	if (!rc)
		rc = read_chunks(&l);
	if (!rc && !l.sum.accesses)
		rc = rcl_trace_fail(t, -ENODATA, "%s: the recording holds no access%s",
				    rcl_input_name(&t->input),
				    l.rec.complete ? "" : ": it was cut off");
	if (!rc)
		rc = make_image(&l, out);
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
