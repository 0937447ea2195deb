/* SPDX-License-Identifier: MIT */
/*
 * Counting a trace while it is decoded.
 *
 * Distinct pages need a set; everything else is sums. Both are kept per region and kind, because
 * a file's page that is read and mapped counts once in the footprint and once in each kind, and
 * the union of the two sets gives the one from the other. The totals that the summary shows are
 * sums over those rows, and the highest page is looked up in the set at the end.
 *
 * This runs over every word of every trace that is loaded, at about a nanosecond each: the words
 * are still in the cache; kind, write and region lie together in a word and are used as they are,
 * as the index of a counter and of the set's bits; and words at odd and even places have counters
 * of their own, because a counter's next increment has to wait for the one before.
 */
#include "trace/tally.h"

#include <errno.h>
#include <stdlib.h>

#define KINDS	3u
#define REGIONS 256u /* what the simple formats have is two */
#define KEYS                                                                                       \
	(REGIONS << (RCL_WORD_REGION_SHIFT - RCL_WORD_KIND_SHIFT)) /* of kind, write and region */
#define KEY_WRITE	 (1u << (RCL_WORD_WRITE_SHIFT - RCL_WORD_KIND_SHIFT))
#define KEY_REGION_SHIFT (RCL_WORD_REGION_SHIFT - RCL_WORD_KIND_SHIFT)

struct rcl_tally {
	uint64_t accesses;
	uint64_t touches[2][KEYS]; /* of words at even and odd places */
	uint64_t *bits[KEYS];	   /* the set's bits where it is dense, or NULL */
	uint32_t nr_regions;
	struct rcl_pageset sets[]; /* KINDS for each region */
};

static uint32_t set_of(uint32_t key)
{
	return (key >> KEY_REGION_SHIFT) * KINDS + (key & (KEY_WRITE - 1));
}

int rcl_tally_new(struct rcl_tally **out, const struct rcl_region *regions, uint32_t nr_regions)
{
	uint32_t nr_sets = nr_regions * KINDS;
	struct rcl_tally *tally = calloc(1, sizeof(*tally) + nr_sets * sizeof(tally->sets[0]));

	*out = NULL;
	if (nr_regions > REGIONS) {
		free(tally);
		return -ENOMEM;
	}
	if (!tally)
		return -ENOMEM;
	tally->nr_regions = nr_regions;
	for (uint32_t i = 0; i < nr_sets; i++) {
		if (rcl_pageset_init(&tally->sets[i], regions[i / KINDS].pages)) {
			rcl_tally_free(tally);
			return -ENOMEM;
		}
	}
	for (uint32_t key = 0; key < nr_regions << KEY_REGION_SHIFT; key++) {
		if ((key & (KEY_WRITE - 1)) < KINDS)
			tally->bits[key] = tally->sets[set_of(key)].bits;
	}
	*out = tally;
	return 0;
}

void rcl_tally_free(struct rcl_tally *tally)
{
	if (!tally)
		return;
	for (uint32_t i = 0; i < tally->nr_regions * KINDS; i++)
		rcl_pageset_free(&tally->sets[i]);
	free(tally);
}

int rcl_tally_add(struct rcl_tally *tally, const uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t word = words[i], page = rcl_word_page(word);
		uint32_t pages = rcl_word_pages(word);
		uint32_t key = word >> RCL_WORD_KIND_SHIFT & (KEYS - 1);
		uint64_t *bits = tally->bits[key];
		int rc;

		tally->touches[i & 1][key] += pages;
		if (__builtin_expect(bits && pages == 1, 1)) {
			bits += page >> 6;
			/* Test first: a needless store would delay the next load of the word. */
			if (!(*bits >> (page & 63) & 1))
				*bits |= 1ull << (page & 63);
			continue;
		}
		rc = rcl_pageset_add(&tally->sets[set_of(key)], page, pages);
		if (rc)
			return rc;
	}
	tally->accesses += n;
	return 0;
}

static uint64_t touches(const struct rcl_tally *tally, uint32_t region, uint32_t kind,
			uint32_t write)
{
	uint32_t key = region << KEY_REGION_SHIFT | write | kind;

	return tally->touches[0][key] + tally->touches[1][key];
}

static void summarise_region(const struct rcl_tally *tally, uint32_t r,
			     struct rcl_trace_summary *sum, struct rcl_region_summary *region)
{
	uint64_t *const by_kind[KINDS] = {&sum->anon_touches, &sum->mmap_touches,
					  &sum->file_touches};
	uint64_t *const pages[KINDS] = {&sum->anon_pages, &sum->mmap_pages, &sum->file_pages};
	const struct rcl_pageset *sets = &tally->sets[r * KINDS];

	*region = (struct rcl_region_summary){0};
	for (uint32_t kind = 0; kind < KINDS; kind++) {
		uint64_t reads = touches(tally, r, kind, 0);
		uint64_t writes = touches(tally, r, kind, KEY_WRITE);
		uint64_t distinct = rcl_pageset_count(&sets[kind]);
		uint64_t end = rcl_pageset_end(&sets[kind]);

		region->touches += reads + writes;
		region->writes += writes;
		region->footprint += distinct;
		if (end > region->end)
			region->end = end;
		*by_kind[kind] += reads + writes;
		*pages[kind] += distinct;
	}
	/* Anonymous pages are a region of their own; only mapped and read pages can coincide. */
	region->footprint -= rcl_pageset_common(&sets[RCL_ACCESS_MMAP], &sets[RCL_ACCESS_FILE]);
	sum->touches += region->touches;
	sum->writes += region->writes;
	sum->footprint_pages += region->footprint;
}

void rcl_tally_summary(const struct rcl_tally *tally, struct rcl_trace_summary *summary,
		       struct rcl_region_summary *regions)
{
	uint64_t skipped = summary->skipped;

	*summary = (struct rcl_trace_summary){.accesses = tally->accesses, .skipped = skipped};
	for (uint32_t r = 0; r < tally->nr_regions; r++)
		summarise_region(tally, r, summary, &regions[r]);
	summary->reads = summary->touches - summary->writes;
}
