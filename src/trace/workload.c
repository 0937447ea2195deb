/* SPDX-License-Identifier: MIT */
/*
 * Making the accesses of a specification.
 *
 * What the bytes of a trace depend on, and must go on depending on:
 *
 *   - one splitmix64 stream, in this order: when a phase begins, for each of its zipf streams in
 *     turn, n - 1 numbers that shuffle its ranks (Fisher-Yates from the end, modulo); then for each
 *     access one number that chooses the stream, one for the page unless the stream scans, and one
 *     that decides whether it writes;
 *   - a number's upper 53 bits, as a fraction, are what shares are compared with;
 *   - a zipf's page is the first rank whose cumulated weight exceeds that fraction of the total,
 *     weights 1 / rank^theta being summed from rank 1 on in double precision.
 *
 * It is made fast without changing any of it. Comparing k / 2^53 with a share is comparing the
 * integer k with the share times 2^53, rounded up; both are exact. The first cumulated weight
 * above u is found by bisection between two bounds from a guide table indexed with the upper bits
 * of k: rounding a product is monotonic, so the bounds computed from a bucket's ends enclose every
 * u that falls into it, and they are mostly equal or neighbours.
 */
#include "trace/workload.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "trace/tracegen.h"

#define FRACTION_BITS  53
#define GUIDE_BITS_MIN 6u
#define GUIDE_BITS_MAX 20u

struct stream {
	const struct rcl_spec_stream *spec;
	uint64_t pages;
	uint64_t chosen_below; /* it makes the accesses whose number is below this */
	uint64_t write_below;
	uint32_t record; /* the bits of its kind */

	uint64_t cursor, stride; /* scan: within the range */

	double *cumulated; /* zipf: `pages` of each */
	uint32_t *rank;
	uint32_t *guide; /* 2^guide_bits + 1 */
	uint32_t guide_bits;
};

struct rcl_workload {
	const struct rcl_spec *spec;
	uint64_t random;
	size_t phase;  /* the current one, spec->nr_phases at the end */
	uint64_t left; /* accesses of it still to make */
	bool in_phase;
	uint32_t nr_streams;
	struct stream streams[RCL_SPEC_STREAMS];
};

static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* A fraction in 2^-53ths. */
static inline uint64_t random_fraction(uint64_t *state)
{
	return random_next(state) >> (64 - FRACTION_BITS);
}

/* k / 2^53 < share exactly when k is below this. */
static uint64_t threshold(double share)
{
	double t = ceil(ldexp(share, FRACTION_BITS));

	return t >= 0x1p63 ? UINT64_MAX : (uint64_t)t;
}

/* ---- zipf ---------------------------------------------------------------------------------- */

static void zipf_free(struct stream *s)
{
	free(s->cumulated);
	free(s->rank);
	free(s->guide);
	s->cumulated = NULL;
	s->rank = s->guide = NULL;
}

static void guide_fill(struct stream *s)
{
	uint64_t buckets = 1ull << s->guide_bits;
	double total = s->cumulated[s->pages - 1];
	uint32_t i = 0;

	for (uint64_t b = 0; b < buckets; b++) {
		double u = ldexp((double)b, -(int)s->guide_bits) * total;

		while (i < s->pages - 1 && !(s->cumulated[i] > u))
			i++;
		s->guide[b] = i;
	}
	s->guide[buckets] = (uint32_t)(s->pages - 1);
}

static void shuffle(struct stream *s, uint64_t *random)
{
	for (uint64_t i = 0; i < s->pages; i++)
		s->rank[i] = (uint32_t)i;
	for (uint64_t i = s->pages - 1; i > 0; i--) {
		uint64_t j = random_next(random) % (i + 1);
		uint32_t swapped = s->rank[i];

		s->rank[i] = s->rank[j];
		s->rank[j] = swapped;
	}
}

static int zipf_start(struct stream *s, uint64_t *random)
{
	double sum = 0;

	s->guide_bits = GUIDE_BITS_MIN;
	while (s->guide_bits < GUIDE_BITS_MAX && 1ull << s->guide_bits < s->pages)
		s->guide_bits++;
	s->cumulated = malloc(s->pages * sizeof(*s->cumulated));
	s->rank = malloc(s->pages * sizeof(*s->rank));
	s->guide = malloc(((1ull << s->guide_bits) + 1) * sizeof(*s->guide));
	if (!s->cumulated || !s->rank || !s->guide)
		return -ENOMEM;
	for (uint64_t i = 0; i < s->pages; i++) {
		sum += 1.0 / pow((double)(i + 1), s->spec->arg);
		s->cumulated[i] = sum;
	}
	if (!isfinite(sum))
		return -EINVAL;
	guide_fill(s);
	shuffle(s, random);
	return 0;
}

static inline uint32_t zipf_page(const struct stream *s, uint64_t fraction)
{
	uint64_t bucket = fraction >> (FRACTION_BITS - s->guide_bits);
	double u = (double)fraction * 0x1p-53 * s->cumulated[s->pages - 1];
	uint32_t lo = s->guide[bucket], hi = s->guide[bucket + 1];

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (s->cumulated[mid] > u)
			hi = mid;
		else
			lo = mid + 1;
	}
	return s->rank[lo];
}

/* ---- phases -------------------------------------------------------------------------------- */

static void phase_end(struct rcl_workload *w)
{
	for (uint32_t i = 0; i < w->nr_streams; i++)
		zipf_free(&w->streams[i]);
	w->nr_streams = 0;
	w->in_phase = false;
	w->phase++;
}

static int phase_start(struct rcl_workload *w)
{
	static const uint32_t kinds[] = {
		[RCL_ACCESS_ANON] = 0,
		[RCL_ACCESS_MMAP] = RCL_TRACEGEN_MMAP,
		[RCL_ACCESS_FILE] = RCL_TRACEGEN_FILE,
	};
	const struct rcl_spec_phase *phase = &w->spec->phases[w->phase];
	double shares = 0;

	w->in_phase = true;
	w->left = phase->ops;
	for (uint32_t i = 0; i < phase->nr_streams; i++) {
		const struct rcl_spec_stream *spec = &phase->streams[i];
		struct stream *s = &w->streams[w->nr_streams++];
		uint64_t stride = (uint64_t)(spec->pattern == RCL_PATTERN_SCAN ? spec->arg : 0);
		int rc;

		shares += spec->share;
		*s = (struct stream){
			.spec = spec,
			.pages = spec->hi - spec->lo,
			.chosen_below = i + 1 < phase->nr_streams ? threshold(shares) : UINT64_MAX,
			.write_below = threshold(spec->write),
			.record = kinds[spec->kind],
		};
		s->stride = (stride ? stride : 1) % s->pages;
		if (spec->pattern != RCL_PATTERN_ZIPF)
			continue;
		rc = zipf_start(s, &w->random);
		if (rc)
			return rc;
	}
	return 0;
}

static inline uint32_t stream_page(struct stream *s, uint64_t *random)
{
	uint64_t page = s->cursor;

	switch (s->spec->pattern) {
	case RCL_PATTERN_SCAN:
		s->cursor += s->stride;
		if (s->cursor >= s->pages)
			s->cursor -= s->pages;
		break;
	case RCL_PATTERN_UNIFORM:
		page = random_next(random) % s->pages;
		break;
	case RCL_PATTERN_ZIPF:
		page = zipf_page(s, random_fraction(random));
		break;
	}
	return (uint32_t)(s->spec->lo + page);
}

static void make(struct rcl_workload *w, uint32_t *records, size_t n)
{
	uint64_t random = w->random;

	for (size_t k = 0; k < n; k++) {
		uint64_t choice = random_fraction(&random);
		struct stream *s = w->streams;
		uint32_t record;

		while (choice >= s->chosen_below)
			s++;
		record = stream_page(s, &random) | s->record;
		if (random_fraction(&random) < s->write_below)
			record |= RCL_TRACEGEN_WRITE;
		records[k] = htole32(record);
	}
	w->random = random;
}

ssize_t rcl_workload_next(struct rcl_workload *w, uint32_t *records, size_t max, const char *name,
			  struct rcl_error *err)
{
	while (w->phase < w->spec->nr_phases) {
		if (!w->in_phase) {
			int rc = phase_start(w);

			if (rc == -EINVAL)
				return rcl_error_set(err, rc,
						     "%s: line %u: theta %g is too far from 0",
						     name, w->streams[w->nr_streams - 1].spec->line,
						     w->streams[w->nr_streams - 1].spec->arg);
			if (rc)
				return rcl_error_set(err, rc, "%s: out of memory", name);
		}
		if (w->left) {
			size_t n = w->left < max ? w->left : max;

			make(w, records, n);
			w->left -= n;
			return (ssize_t)n;
		}
		phase_end(w);
	}
	return 0;
}

int rcl_workload_new(struct rcl_workload **out, const struct rcl_spec *spec)
{
	struct rcl_workload *w = calloc(1, sizeof(*w));

	*out = w;
	if (!w)
		return -ENOMEM;
	w->spec = spec;
	w->random = spec->seed;
	return 0;
}

void rcl_workload_free(struct rcl_workload *w)
{
	if (!w)
		return;
	for (uint32_t i = 0; i < w->nr_streams; i++)
		zipf_free(&w->streams[i]);
	free(w);
}
