/* SPDX-License-Identifier: MIT */
/*
 * Address traces in text: loads and stores of one program, as anonymous memory.
 *
 *   address   "l 0x1fffff58 1": l or s, a hexadecimal address, and how many instructions ran since
 *             the access before (which page reclaim has no use for, so it may be missing)
 *   lackey    what valgrind --tool=lackey --trace-mem=yes prints: " L 04222cac,4" with the size in
 *             bytes, S for a store, M for a load and store of the same place, I for an instruction
 *             fetch; among lines of valgrind's own, "==pid== ..."
 *
 * Virtual addresses are sparse, and stay so: page = address / 4096. What was mapped where the trace
 * does not say, so everything is one anonymous region, program text included. An access that
 * straddles two pages touches both. M is one access, a write: the load in front of it cannot miss
 * differently from the store.
 *
 * The two share their loop; a format is a function that parses one line.
 */
#include <errno.h>
#include <string.h>

#include "trace/text.h"

struct line {
	uint64_t address, size; /* size 0: the line is no access */
	bool write;
};

/* Parse the line of `p`: behind it, or NULL when it is not one of the format's. */
typedef const uint8_t *(*parse_fn)(const uint8_t *p, struct line *line);

static const uint8_t *parse_address(const uint8_t *p, struct line *line)
{
	uint64_t gap;

	if ((*p != 'l' && *p != 's') || p[1] != ' ')
		return NULL;
	line->write = *p == 's';
	line->size = 1;
	p = rcl_text_hex(rcl_text_blanks(p + 2), &line->address);
	if (!p)
		return NULL;
	if (*p == ' ' || *p == '\t') {
		const uint8_t *rest = rcl_text_blanks(p);

		p = *rest == '\n' || *rest == '\r' ? rest : rcl_text_decimal(rest, &gap);
		if (!p)
			return NULL;
	}
	return rcl_text_line_end(p);
}

/* valgrind's own lines, and superblock numbers. */
static bool is_lackey_noise(const uint8_t *p)
{
	return (*p == '=' && p[1] == '=') || (*p == '-' && p[1] == '-') ||
	       (*p == '*' && p[1] == '*') || (*p == 'S' && p[1] == 'B' && p[2] == ' ');
}

static const uint8_t *parse_lackey(const uint8_t *p, struct line *line)
{
	line->size = 0;
	if (*p == ' ' && (p[1] == 'L' || p[1] == 'S' || p[1] == 'M') && p[2] == ' ')
		line->write = p[1] != 'L';
	else if (*p == 'I' && p[1] == ' ' && p[2] == ' ')
		line->write = false;
	else
		return is_lackey_noise(p) ? rcl_text_next_line(p) : NULL;
	p = rcl_text_hex(p + 3, &line->address);
	if (!p || *p != ',')
		return NULL;
	p = rcl_text_decimal(p + 1, &line->size);
	if (!p || !line->size || line->size > RCL_TRACE_PAGE_SIZE ||
	    line->address + line->size - 1 < line->address)
		return NULL;
	return rcl_text_line_end(p);
}

static int address_start(struct rcl_trace *t)
{
	rcl_trace_add_region(t, RCL_ACCESS_ANON, "memory", 0);
	return 0;
}

static int bad_line(struct rcl_trace *t, const uint8_t *p, const char *what)
{
	rcl_text_used(t, p);
	return rcl_trace_fail_line(t, p, what);
}

static inline __attribute__((always_inline)) int next_lines(struct rcl_trace *t, uint64_t *out,
							    size_t max, size_t *n, parse_fn parse,
							    const char *what)
{
	uint64_t bits[2] = {rcl_word_bits(RCL_ACCESS_ANON, false, 0),
			    rcl_word_bits(RCL_ACCESS_ANON, true, 0)};
	const uint8_t *p, *next, *limit;
	int rc;

	while ((rc = rcl_trace_emit(t, out, max, n)) == 0 && *n < max) {
		rc = rcl_text_lines(t, &limit);
		if (rc <= 0)
			return rc;
		for (p = t->input.cur; p < limit && *n < max && !t->rest.pages; p = next) {
			struct line line;
			uint64_t page, more;

			next = parse(p, &line);
			if (__builtin_expect(!next, 0)) {
				if (!rcl_text_is_comment(p))
					return bad_line(t, p, what);
				next = rcl_text_next_line(p);
				line.size = 0;
			}
			t->line++;
			if (!line.size)
				continue;
			page = line.address >> RCL_TRACE_PAGE_SHIFT;
			more = ((line.address + line.size - 1) >> RCL_TRACE_PAGE_SHIFT) - page;
			if (__builtin_expect(page + more < RCL_PLACE_KEPT, 1))
				out[(*n)++] = page | more << RCL_WORD_RUN_SHIFT | bits[line.write];
			else
				t->rest = (struct rcl_request){
					.page = page, .pages = more + 1, .bits = bits[line.write]};
		}
		rcl_text_used(t, p);
	}
	return rc;
}

static int address_next(struct rcl_trace *t, uint64_t *out, size_t max, size_t *n)
{
	return next_lines(t, out, max, n, parse_address, "not 'l|s HEX-ADDRESS [GAP]'");
}

static int lackey_next(struct rcl_trace *t, uint64_t *out, size_t max, size_t *n)
{
	return next_lines(t, out, max, n, parse_lackey,
			  "not 'I|L|S|M HEX-ADDRESS,SIZE' in lackey's columns");
}

static bool address_probe(const struct rcl_probe *probe)
{
	struct line line;
	uint8_t text[256];

	return rcl_text_first_line(probe, text, sizeof(text)) && parse_address(text, &line);
}

static bool lackey_probe(const struct rcl_probe *probe)
{
	struct line line;
	uint8_t text[1024];

	return rcl_text_first_line(probe, text, sizeof(text)) && parse_lackey(text, &line);
}

const struct rcl_format rcl_format_address = {
	.name = "address",
	.help = "text: 'l|s HEX-ADDRESS [GAP]' a line; loads and stores of anonymous memory",
	.probe = address_probe,
	.start = address_start,
	.next = address_next,
};

const struct rcl_format rcl_format_lackey = {
	.name = "lackey",
	.help = "text: valgrind --tool=lackey --trace-mem=yes; anonymous memory",
	.probe = lackey_probe,
	.start = address_start,
	.next = lackey_next,
};
