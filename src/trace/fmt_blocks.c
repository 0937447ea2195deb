/* SPDX-License-Identifier: MIT */
/*
 * Block numbers, one a line: the traces of the LIRS paper and its successors.
 *
 * Each line reads one block of a file. A block is a page unless unit= says how large blocks are;
 * blocks smaller than a page then share pages, and larger ones cover several.
 */
#include <errno.h>

#include "trace/text.h"

struct blocks_state {
	uint32_t unit;
};

static const uint8_t *parse(const uint8_t *p, uint64_t *block)
{
	p = rcl_text_decimal(rcl_text_blanks(p), block);
	return p ? rcl_text_line_end(p) : NULL;
}

static bool blocks_probe(const struct rcl_probe *probe)
{
	uint8_t line[64];
	uint64_t block;

	return rcl_text_first_line(probe, line, sizeof(line)) && parse(line, &block);
}

static int blocks_start(struct rcl_trace *t)
{
	struct blocks_state *s = t->state;

	s->unit = t->options.unit ? t->options.unit : RCL_TRACE_PAGE_SIZE;
	rcl_trace_add_region(t, RCL_ACCESS_FILE, "file", 0);
	return 0;
}

static int blocks_next(struct rcl_trace *t, uint64_t *out, size_t max, size_t *n)
{
	struct blocks_state *s = t->state;
	uint64_t bits = rcl_word_bits(RCL_ACCESS_FILE, false, 0);
	bool is_page = s->unit == RCL_TRACE_PAGE_SIZE && !t->options.size;
	const uint8_t *p, *next, *limit;
	int rc;

	while ((rc = rcl_trace_emit(t, out, max, n)) == 0 && *n < max) {
		rc = rcl_text_lines(t, &limit);
		if (rc <= 0)
			return rc;
		for (p = t->input.cur; p < limit && *n < max && !t->rest.pages; p = next) {
			uint64_t block;

			next = parse(p, &block);
			if (__builtin_expect(!next, 0)) {
				if (!rcl_text_is_comment(p)) {
					rcl_text_used(t, p);
					return rcl_trace_fail_line(t, p, "not a block number");
				}
				next = rcl_text_next_line(p);
			} else if (is_page && block < RCL_PLACE_KEPT) {
				out[(*n)++] = block | bits;
			} else if (rcl_trace_request(t, s->unit, block, s->unit, false)) {
				rcl_text_used(t, p);
				return rcl_trace_fail_line(t, p, "the block is beyond 2^64 pages");
			}
			t->line++;
		}
		rcl_text_used(t, p);
	}
	return rc;
}

const struct rcl_format rcl_format_blocks = {
	.name = "blocks",
	.help = "text: a block number a line; reads of one file (options: unit=BYTES, size=BYTES)",
	.options = RCL_OPT_UNIT | RCL_OPT_SIZE,
	.state_size = sizeof(struct blocks_state),
	.probe = blocks_probe,
	.start = blocks_start,
	.next = blocks_next,
};
