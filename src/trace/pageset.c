/* SPDX-License-Identifier: MIT */
/*
 * Counting distinct pages.
 *
 * A region of known size gets one bit a page: 32 MiB for the largest tracegen mapping, and memory
 * that is never touched is never taken. A sparse region gets a hash table whose entries are runs
 * of 64 pages, a key and a word of bits: exact, a fraction of a byte a page where pages lie
 * together, and 23 to 46 bytes for a page without neighbours. Successive accesses mostly stay in
 * one run, so the last one is remembered.
 */
#include "trace/pageset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RUN_PAGES 64u

struct rcl_pageset_run {
	uint64_t key; /* page / RUN_PAGES, plus one; 0: free */
	uint64_t bits;
};

int rcl_pageset_init(struct rcl_pageset *set, uint64_t pages)
{
	memset(set, 0, sizeof(*set));
	set->pages = pages;
	if (!pages)
		return 0;
	set->bits = calloc((pages + 63) / 64, sizeof(*set->bits));
	return set->bits ? 0 : -ENOMEM;
}

void rcl_pageset_free(struct rcl_pageset *set)
{
	free(set->bits);
	free(set->runs);
	memset(set, 0, sizeof(*set));
}

static uint64_t hash(uint64_t key)
{
	key *= 0x9e3779b97f4a7c15ull;
	return key ^ key >> 32;
}

static struct rcl_pageset_run *find(const struct rcl_pageset *set, uint64_t key)
{
	uint64_t i = hash(key) & set->mask;

	while (set->runs[i].key && set->runs[i].key != key)
		i = (i + 1) & set->mask;
	return &set->runs[i];
}

static int grow(struct rcl_pageset *set)
{
	uint64_t size = set->runs ? 2 * (set->mask + 1) : 256;
	struct rcl_pageset bigger = *set;

	bigger.runs = calloc(size, sizeof(*bigger.runs));
	if (!bigger.runs)
		return -ENOMEM;
	bigger.mask = size - 1;
	bigger.last = NULL;
	for (uint64_t i = 0; set->runs && i <= set->mask; i++) {
		if (set->runs[i].key)
			*find(&bigger, set->runs[i].key) = set->runs[i];
	}
	free(set->runs);
	*set = bigger;
	return 0;
}

/* The bits of a run of 64 pages, entered into the table when it is new; NULL without memory. */
static uint64_t *run_bits(struct rcl_pageset *set, uint64_t index)
{
	uint64_t key = index + 1;
	struct rcl_pageset_run *run = set->last;

	if (!run || run->key != key) {
		if ((!set->runs || set->used * 10 >= (set->mask + 1) * 7) && grow(set))
			return NULL;
		run = find(set, key);
		set->used += !run->key;
		run->key = key;
		set->last = run;
	}
	return &run->bits;
}

int rcl_pageset_add(struct rcl_pageset *set, uint64_t page, uint64_t pages)
{
	while (pages) {
		uint64_t first = page % RUN_PAGES, run = page / RUN_PAGES;
		uint64_t n = pages < RUN_PAGES - first ? pages : RUN_PAGES - first;
		uint64_t *bits = set->bits ? &set->bits[run] : run_bits(set, run);

		if (!bits)
			return -ENOMEM;
		*bits |= ~0ull >> (RUN_PAGES - n) << first;
		page += n;
		pages -= n;
	}
	return 0;
}

uint64_t rcl_pageset_end(const struct rcl_pageset *set)
{
	uint64_t end = 0;

	for (uint64_t i = set->bits ? (set->pages + 63) / 64 : 0; i; i--) {
		if (set->bits[i - 1])
			return i * 64 - (uint64_t)__builtin_clzll(set->bits[i - 1]);
	}
	for (uint64_t i = 0; set->runs && i <= set->mask; i++) {
		const struct rcl_pageset_run *run = &set->runs[i];

		if (run->key && run->key * 64 - (uint64_t)__builtin_clzll(run->bits) > end)
			end = run->key * 64 - (uint64_t)__builtin_clzll(run->bits);
	}
	return end;
}

static uint64_t popcount(const uint64_t *words, uint64_t nr)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < nr; i++)
		n += (uint64_t)__builtin_popcountll(words[i]);
	return n;
}

uint64_t rcl_pageset_count(const struct rcl_pageset *set)
{
	uint64_t n = 0;

	if (set->bits)
		return popcount(set->bits, (set->pages + 63) / 64);
	for (uint64_t i = 0; set->runs && i <= set->mask; i++) {
		if (set->runs[i].key)
			n += popcount(&set->runs[i].bits, 1);
	}
	return n;
}

static uint64_t popcount_common(const uint64_t *a, const uint64_t *b, uint64_t nr)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < nr; i++)
		n += (uint64_t)__builtin_popcountll(a[i] & b[i]);
	return n;
}

uint64_t rcl_pageset_common(const struct rcl_pageset *a, const struct rcl_pageset *b)
{
	uint64_t n = 0;

	if (a->bits && b->bits)
		return popcount_common(a->bits, b->bits, (a->pages + 63) / 64);
	if (!a->runs || !b->runs)
		return 0;
	for (uint64_t i = 0; i <= a->mask; i++) {
		const struct rcl_pageset_run *run;

		if (!a->runs[i].key)
			continue;
		run = find(b, a->runs[i].key);
		if (run->key)
			n += popcount_common(&a->runs[i].bits, &run->bits, 1);
	}
	return n;
}
