/* SPDX-License-Identifier: MIT */
/*
 * The trace reader.
 *
 * A trace passes through four stages: bytes (input.c, decompressed), the format that decodes them
 * (fmt_*.c), the placing of identifiers that are too large for a page number (place.c), and packed
 * words, which is what every format produces. Words are the currency because they are what an
 * image keeps; rcl_trace_next only unpacks them.
 *
 * Which format it is, is decided once, at opening: by name, or by asking each format in turn
 * whether the first 64 KiB look like it. The table's order is from the most telling beginning
 * (a header of zeros) to the least (24 bytes that are numbers of a plausible size), and every text
 * format recognises only lines that it could decode, so that at most one of them answers.
 *
 * A fault in the middle of a batch must not hide the accesses in front of it, and must be
 * reported in the same words however the caller's buffers are cut: formats say how far they got,
 * the reader delivers that much, and reports the fault when asked again.
 */
#include "trace/trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "trace/format.h"
#include "trace/text.h"

static const struct rcl_format *const formats[] = {
	&rcl_format_native, &rcl_format_tracegen, &rcl_format_vscsi, &rcl_format_address,
	&rcl_format_lackey, &rcl_format_blocks,	  &rcl_format_csv,   &rcl_format_oracle_general,
};

#define NR_FORMATS   (sizeof(formats) / sizeof(formats[0]))
#define UNPACK_BATCH 512

const char *rcl_trace_format_name(unsigned int index)
{
	return index < NR_FORMATS ? formats[index]->name : NULL;
}

const char *rcl_trace_format_help(unsigned int index)
{
	return index < NR_FORMATS ? formats[index]->help : NULL;
}

/* ---- what formats use ----------------------------------------------------------------------- */

int rcl_trace_fail(struct rcl_trace *t, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->error.text, sizeof(t->error.text), fmt, ap);
	va_end(ap);
	return code;
}

uint32_t rcl_trace_add_region(struct rcl_trace *t, enum rcl_access_kind kind, const char *name,
			      uint64_t pages)
{
	struct rcl_region *r = &t->regions[t->nr_regions];

	*r = (struct rcl_region){.kind = kind, .pages = pages};
	snprintf(r->name, sizeof(r->name), "%s", name);
	return t->nr_regions++;
}

static int emit_fault(struct rcl_trace *t, int code)
{
	const char *name = rcl_input_name(&t->input);
	char where[48];

	if (t->line)
		snprintf(where, sizeof(where), "line %llu", (unsigned long long)t->line);
	else
		snprintf(where, sizeof(where), "before byte %llu",
			 (unsigned long long)rcl_input_offset(&t->input));
	if (code == -EOVERFLOW)
		return rcl_trace_fail(t, code, "%s: %s: more pages than a region holds (2^%u)",
				      name, where, RCL_WORD_PAGE_BITS);
	return rcl_trace_fail(t, code, "%s: %s: out of memory", name, where);
}

int rcl_trace_emit(struct rcl_trace *t, uint64_t *out, size_t max, size_t *n)
{
	struct rcl_request *r = &t->rest;

	while (r->pages && *n < max) {
		uint64_t at, run;
		int rc;

		if (r->object)
			rc = rcl_place_object(&t->place, r->id, r->page, r->pages, &at, &run);
		else
			rc = rcl_place_address(&t->place, r->page, r->pages, &at, &run);
		if (rc)
			return emit_fault(t, rc);
		if (run > RCL_TRACE_RUN_MAX)
			run = RCL_TRACE_RUN_MAX;
		out[(*n)++] = at | (run - 1) << RCL_WORD_RUN_SHIFT | r->bits;
		r->page += run;
		r->pages -= run;
	}
	return 0;
}

int rcl_trace_request(struct rcl_trace *t, uint32_t unit, uint64_t id, uint64_t bytes, bool write)
{
	struct rcl_request *r = &t->rest;
	unsigned __int128 from, to;

	if (t->options.size)
		bytes = t->options.size;
	if (!bytes) {
		t->skipped++;
		return 0;
	}
	from = (unsigned __int128)id * unit;
	to = from + bytes - 1;
	/* Pages are numbered with 64 bits up to here, and with 36 from rcl_trace_emit on. No device
	 * or store takes 4 GiB at once; a larger size is a damaged one. */
	if (bytes > UINT32_MAX || to >> (64 + RCL_TRACE_PAGE_SHIFT) ||
	    (uint64_t)(to >> RCL_TRACE_PAGE_SHIFT) == UINT64_MAX)
		return -ERANGE;
	r->object = !unit;
	r->id = id;
	r->page = (uint64_t)(from >> RCL_TRACE_PAGE_SHIFT);
	r->pages = (uint64_t)(to >> RCL_TRACE_PAGE_SHIFT) - r->page + 1;
	r->bits = rcl_word_bits(RCL_ACCESS_FILE, write, 0);
	return 0;
}

int rcl_scsi_direction(uint32_t op)
{
	switch (op) {
	case 0x08: /* READ, with 6-, 10-, 12- and 16-byte commands */
	case 0x28:
	case 0xa8:
	case 0x88:
		return 0;
	case 0x0a: /* WRITE, likewise */
	case 0x2a:
	case 0xaa:
	case 0x8a:
	case 0x2e: /* WRITE AND VERIFY, from 10 bytes on */
	case 0xae:
	case 0x8e:
		return 1;
	default:
		return -1;
	}
}

/* ---- opening ------------------------------------------------------------------------------ */

static void format_list(char *buf, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < NR_FORMATS; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? ", " : "", formats[i]->name);
}

/* The format of "name:options", and where its options begin. */
static const struct rcl_format *format_named(const char *spec, const char **options,
					     struct rcl_error *err)
{
	size_t length = strcspn(spec, ":");
	char list[160];

	*options = spec[length] ? spec + length + 1 : "";
	for (size_t i = 0; i < NR_FORMATS; i++) {
		if (strlen(formats[i]->name) == length &&
		    !strncasecmp(formats[i]->name, spec, length))
			return formats[i];
	}
	format_list(list, sizeof(list));
	rcl_error_set(err, -EINVAL, "unknown trace format '%.*s' (known: %s)",
		      length < 64 ? (int)length : 64, spec, list);
	return NULL;
}

static const struct rcl_format *format_probed(struct rcl_trace *t, struct rcl_error *err)
{
	struct rcl_probe probe = {
		.head = t->input.cur,
		.size = rcl_input_left(&t->input),
		.whole = t->input.at_end,
	};
	char list[160], hex[3 * 16 + 1] = "";

	for (size_t i = 0; i < NR_FORMATS; i++) {
		if (formats[i]->probe(&probe))
			return formats[i];
	}
	format_list(list, sizeof(list));
	for (size_t i = 0; i < probe.size && i < 16; i++)
		sprintf(hex + 3 * i, " %02x", probe.head[i]);
	rcl_error_set(err, -EINVAL,
		      "%s: no trace format recognises it; it begins%s; name one of: %s",
		      rcl_input_name(&t->input), hex, list);
	return NULL;
}

/* Set the format's state up, at the input's first byte. */
static int trace_start(struct rcl_trace *t)
{
	rcl_place_free(&t->place);
	memset(&t->rest, 0, sizeof(t->rest));
	t->line = t->skipped = t->given = t->expected = 0;
	t->nr_regions = 0;
	t->failed = 0;
	memset(t->state, 0, t->format->state_size);
	return t->format->start(t);
}

/* The input is open. */
static int trace_setup(struct rcl_trace *t, const char *format, struct rcl_error *err)
{
	const char *options = "";
	int rc;

	if (format && *format) {
		t->format = format_named(format, &options, err);
		if (!t->format)
			return -EINVAL;
		rc = rcl_trace_options_parse(&t->options, options, t->format->name,
					     t->format->options, err);
		if (rc)
			return rc;
	}
	rc = rcl_input_need(&t->input, RCL_PROBE_SIZE, err);
	if (rc)
		return rc;
	if (t->input.at_end && !rcl_input_left(&t->input))
		return rcl_error_set(err, -ENODATA, "%s: the trace is empty (0 bytes)",
				     rcl_input_name(&t->input));
	if (!t->format) {
		t->format = format_probed(t, err);
		if (!t->format)
			return -EINVAL;
		rcl_trace_options_parse(&t->options, "", t->format->name, 0, NULL);
	}
	t->state = malloc(t->format->state_size + 1);
	if (!t->state)
		return rcl_error_set(err, -ENOMEM, "%s: out of memory", rcl_input_name(&t->input));
	rc = trace_start(t);
	if (rc)
		rcl_error_set(err, rc, "%s", t->error.text);
	return rc;
}

int rcl_trace_open_source(const struct rcl_trace_source *source, const char *format,
			  struct rcl_trace **out, struct rcl_error *err)
{
	struct rcl_trace *t = calloc(1, sizeof(*t));
	int rc;

	*out = NULL;
	if (!t)
		return rcl_error_set(err, -ENOMEM, "%s: out of memory", source->name);
	if (source->data)
		rc = rcl_input_open_memory(&t->input, source->data, source->size, source->name,
					   err);
	else
		rc = rcl_input_open(&t->input, source->name, source->spool, err);
	if (!rc)
		rc = trace_setup(t, format, err);
	if (rc) {
		rcl_trace_close(t);
		return rc;
	}
	*out = t;
	return 0;
}

int rcl_trace_open(const char *path, const char *format, struct rcl_trace **out,
		   struct rcl_error *err)
{
	struct rcl_trace_source source = {.name = path, .spool = true};

	return rcl_trace_open_source(&source, format, out, err);
}

int rcl_trace_open_memory(const void *data, size_t size, const char *name, const char *format,
			  struct rcl_trace **out, struct rcl_error *err)
{
	struct rcl_trace_source source = {.name = name, .data = data ? data : "", .size = size};

	return rcl_trace_open_source(&source, format, out, err);
}

void rcl_trace_close(struct rcl_trace *trace)
{
	if (!trace)
		return;
	rcl_input_close(&trace->input);
	rcl_place_free(&trace->place);
	free(trace->state);
	free(trace);
}

/* ---- reading ------------------------------------------------------------------------------ */

ssize_t rcl_trace_next_words(struct rcl_trace *trace, uint64_t *buf, size_t max,
			     struct rcl_error *err)
{
	size_t n = 0;

	if (!trace->failed) {
		trace->failed = trace->format->next(trace, buf, max, &n);
		trace->given += n;
		if (!n && !trace->failed && !trace->given)
			trace->failed = rcl_trace_fail(
				trace, -ENODATA,
				"%s: the trace holds no access (%llu requests touch no page)",
				rcl_input_name(&trace->input), (unsigned long long)trace->skipped);
		if (n)
			return (ssize_t)n;
	}
	if (trace->failed)
		return rcl_error_set(err, trace->failed, "%s", trace->error.text);
	return 0;
}

ssize_t rcl_trace_next(struct rcl_trace *trace, struct rcl_access *buf, size_t max,
		       struct rcl_error *err)
{
	uint64_t words[UNPACK_BATCH];
	size_t done = 0;

	while (done < max) {
		size_t room = max - done < UNPACK_BATCH ? max - done : UNPACK_BATCH;
		ssize_t n;

		/* A fault behind accesses of this call waits for the next one. */
		if (done && trace->failed)
			break;
		n = rcl_trace_next_words(trace, words, room, err);
		if (n <= 0) {
			if (done)
				break;
			return n;
		}
		for (ssize_t i = 0; i < n; i++)
			buf[done++] = rcl_word_unpack(words[i]);
	}
	return (ssize_t)done;
}

int rcl_trace_rewind(struct rcl_trace *trace, struct rcl_error *err)
{
	int rc = rcl_input_rewind(&trace->input, err);

	if (rc)
		return rc;
	rc = trace_start(trace);
	if (rc) {
		trace->failed = rc;
		rcl_error_set(err, rc, "%s", trace->error.text);
	}
	return rc;
}

uint32_t rcl_trace_nr_regions(const struct rcl_trace *trace)
{
	return trace->nr_regions;
}

const struct rcl_region *rcl_trace_region(const struct rcl_trace *trace, uint32_t index)
{
	return index < trace->nr_regions ? &trace->regions[index] : NULL;
}

uint64_t rcl_trace_skipped(const struct rcl_trace *trace)
{
	return trace->skipped;
}

const char *rcl_trace_format(const struct rcl_trace *trace)
{
	return trace->format->name;
}

const char *rcl_trace_compression(const struct rcl_trace *trace)
{
	return rcl_input_compression(&trace->input);
}
