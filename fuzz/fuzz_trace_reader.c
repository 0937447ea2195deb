/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing the trace readers: any bytes, in any format, compressed or not.
 *
 * The input's first line is the format string (empty: detect it), the rest is the trace. Besides
 * not crashing, a reader has to keep its promises: every access within its region, the same
 * accesses and the same end however the reads are cut and after a rewind, and a fault told in
 * words.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/tally.h"
#include "trace/trace.h"

#define WORDS_MAX 20000u   /* a few bytes can ask for very many */
#define PAGES_MAX 1000000u /* a header can promise regions that only take long to count */

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct outcome {
	uint64_t words, hash, skipped;
	ssize_t end; /* 0, an errno, or 1 for too many words */
	char text[512];
};

static void check_word(const struct rcl_trace *t, uint64_t word)
{
	const struct rcl_region *region = rcl_trace_region(t, rcl_word_region(word));
	uint64_t end = rcl_word_page(word) + rcl_word_pages(word);

	REQUIRE(region);
	REQUIRE(rcl_word_kind(word) <= RCL_ACCESS_FILE);
	REQUIRE((rcl_word_kind(word) == RCL_ACCESS_ANON) == (region->kind == RCL_ACCESS_ANON));
	REQUIRE(end <= (region->pages ? region->pages : RCL_TRACE_PAGES_MAX));
}

static struct outcome drain(struct rcl_trace *t, size_t batch, struct rcl_tally *tally)
{
	struct outcome o = {.hash = 1};
	static uint64_t words[4096];

	while (o.words < WORDS_MAX) {
		struct rcl_error err = {""};
		size_t room = WORDS_MAX - o.words < batch ? WORDS_MAX - o.words : batch;
		ssize_t n = rcl_trace_next_words(t, words, room, &err);

		REQUIRE(n <= (ssize_t)room);
		REQUIRE(n >= 0 || *err.text);
		if (n <= 0) {
			o.end = n;
			strcpy(o.text, err.text);
			break;
		}
		for (ssize_t i = 0; i < n; i++) {
			check_word(t, words[i]);
			o.hash = (o.hash ^ words[i]) * 0x100000001b3ull;
		}
		o.words += (uint64_t)n;
		if (tally)
			rcl_tally_add(tally, words, (size_t)n);
	}
	if (o.words == WORDS_MAX)
		o.end = 1;
	o.skipped = rcl_trace_skipped(t);
	return o;
}

static void check_summary(const struct rcl_tally *tally, const struct outcome *o)
{
	struct rcl_trace_summary s = {0};
	struct rcl_region_summary regions[RCL_TRACE_REGIONS_MAX];

	rcl_tally_summary(tally, &s, regions);
	REQUIRE(s.accesses == o->words);
	REQUIRE(s.reads + s.writes == s.touches);
	REQUIRE(s.anon_touches + s.mmap_touches + s.file_touches == s.touches);
	REQUIRE(s.footprint_pages <= s.touches);
	REQUIRE(s.footprint_pages <= s.anon_pages + s.mmap_pages + s.file_pages);
	REQUIRE((s.footprint_pages == 0) == (s.touches == 0));
}

static void check_trace(struct rcl_trace *t)
{
	static const size_t batches[] = {4096, 1, 61};
	struct rcl_region regions[2];
	struct outcome first = {0};

	REQUIRE(rcl_trace_nr_regions(t) <= 2);
	for (uint32_t i = 0; i < rcl_trace_nr_regions(t); i++) {
		regions[i] = *rcl_trace_region(t, i);
		if (regions[i].pages > PAGES_MAX)
			regions[i].pages = 0; /* count as if it were not known */
	}
	for (size_t k = 0; k < 3; k++) {
		struct rcl_tally *tally = NULL;
		struct outcome o;

		if (!k && rcl_tally_new(&tally, regions, rcl_trace_nr_regions(t)))
			return;
		o = drain(t, batches[k], tally);
		if (!k) {
			check_summary(tally, &o);
			rcl_tally_free(tally);
			first = o;
		}
		REQUIRE(o.words == first.words && o.hash == first.hash && o.end == first.end);
		/* Whoever stops early may have passed over more than was delivered. */
		REQUIRE(o.end == 1 || o.skipped == first.skipped);
		REQUIRE(!strcmp(o.text, first.text));
		REQUIRE(rcl_trace_rewind(t, NULL) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *eol = size ? memchr(data, '\n', size) : NULL;
	char format[256] = "";
	struct rcl_error err = {""};
	struct rcl_trace *t;
	size_t n;

	if (!eol)
		return 0;
	n = (size_t)(eol - data);
	if (n >= sizeof(format) || memchr(data, '\0', n))
		return 0;
	memcpy(format, data, n);
	data = eol + 1;
	size -= n + 1;
	if (rcl_trace_open_memory(data, size, "fuzz", format, &t, &err)) {
		REQUIRE(!t && *err.text);
		return 0;
	}
	check_trace(t);
	rcl_trace_close(t);
	return 0;
}
