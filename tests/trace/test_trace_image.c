/* SPDX-License-Identifier: MIT */
/* Images and summaries, held against counting by brute force; the sets under them; placing. */
#include "trace/pageset.h"
#include "trace/place.h"
#include "trace_test.h"

/* ---- packed words --------------------------------------------------------------------------- */

static void words_keep_everything(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct rcl_access a = {
			.page = test_random(&seed) << 5 | (test_random(&seed) & 31),
			.region = test_random(&seed) % RCL_TRACE_REGIONS_MAX,
			.kind = test_random(&seed) % 3,
			.write = test_random(&seed) & 1,
			.pages = 1 + test_random(&seed) % RCL_TRACE_RUN_MAX,
		};
		struct rcl_access b = rcl_word_unpack(rcl_word_pack(&a));

		a.page %= RCL_TRACE_PAGES_MAX;
		assert_int_equal(a.page, b.page);
		assert_int_equal(a.region, b.region);
		assert_int_equal(a.kind, b.kind);
		assert_int_equal(a.write, b.write);
		assert_int_equal(a.pages, b.pages);
	}
}

/* ---- sets of pages -------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t distinct(uint64_t *pages, size_t n)
{
	uint64_t count = 0;

	qsort(pages, n, sizeof(*pages), by_value);
	for (size_t i = 0; i < n; i++)
		count += !i || pages[i] != pages[i - 1];
	return count;
}

static void page_sets(void **state)
{
	static uint64_t added[2][20000];

	(void)state;
	for (int dense = 0; dense < 2; dense++) {
		struct rcl_pageset set[2];
		uint64_t seed = 9, limit = dense ? 70001 : RCL_TRACE_PAGES_MAX, total[2], common;
		size_t n[2] = {20000, 15000};

		for (int k = 0; k < 2; k++) {
			assert_int_equal(rcl_pageset_init(&set[k], dense ? limit : 0), 0);
			assert_int_equal(rcl_pageset_count(&set[k]), 0);
			assert_int_equal(rcl_pageset_end(&set[k]), 0);
			for (size_t i = 0; i < n[k]; i++) {
				/* the last page, clusters, and lone pages all over */
				uint64_t page = !i	? limit - 1
						: i % 3 ? test_random(&seed) % 70001
							: test_random(&seed) * 37 % limit;

				added[k][i] = page;
				assert_int_equal(rcl_pageset_add(&set[k], page, 1), 0);
			}
			assert_int_equal(rcl_pageset_end(&set[k]), limit);
			total[k] = rcl_pageset_count(&set[k]);
			assert_int_equal(total[k], distinct(added[k], n[k]));
		}
		common = rcl_pageset_common(&set[0], &set[1]);
		assert_true(common > 0);
		assert_int_equal(common, rcl_pageset_common(&set[1], &set[0]));
		for (size_t i = 0; i < n[1]; i++)
			assert_int_equal(rcl_pageset_add(&set[0], added[1][i], 1), 0);
		assert_int_equal(rcl_pageset_count(&set[0]), total[0] + total[1] - common);
		rcl_pageset_free(&set[0]);
		rcl_pageset_free(&set[1]);
	}
}

/* Runs of pages at once, against one page at a time. */
static void page_set_runs(void **state)
{
	(void)state;
	for (int dense = 0; dense < 2; dense++) {
		struct rcl_pageset runs, pages;
		uint64_t seed = 11, limit = dense ? 100000 : 0;

		assert_int_equal(rcl_pageset_init(&runs, limit), 0);
		assert_int_equal(rcl_pageset_init(&pages, limit), 0);
		for (int i = 0; i < 300; i++) {
			uint64_t page = test_random(&seed) % 99000, n = test_random(&seed) % 300;

			assert_int_equal(rcl_pageset_add(&runs, page, n), 0);
			for (uint64_t k = 0; k < n; k++)
				assert_int_equal(rcl_pageset_add(&pages, page + k, 1), 0);
			assert_int_equal(rcl_pageset_count(&runs), rcl_pageset_count(&pages));
			assert_int_equal(rcl_pageset_common(&runs, &pages),
					 rcl_pageset_count(&pages));
			assert_int_equal(rcl_pageset_end(&runs), rcl_pageset_end(&pages));
		}
		rcl_pageset_free(&runs);
		rcl_pageset_free(&pages);
	}
}

/* ---- images --------------------------------------------------------------------------------- */

static struct rcl_trace_image *load_bytes(const struct bytes *b, bool scan)
{
	struct rcl_trace_image *image;
	struct rcl_error err;
	char *path = temp_file(b);
	int rc = scan ? rcl_trace_scan(path, NULL, &image, &err)
		      : rcl_trace_load(path, NULL, &image, &err);

	if (rc)
		fail_msg("%s", err.text);
	temp_remove(path);
	return image;
}

/* Distinct (region, page) pairs whose kind is in `kinds` (a mask). */
static uint64_t footprint(const struct accesses *a, unsigned int kinds)
{
	uint64_t *pages = malloc(a->count * 600 * sizeof(*pages)), count;
	size_t n = 0;

	for (size_t i = 0; i < a->count; i++) {
		for (uint32_t k = 0; kinds >> a->at[i].kind & 1 && k < a->at[i].pages; k++)
			pages[n++] = (a->at[i].page + k) << 8 | a->at[i].region;
	}
	count = distinct(pages, n);
	free(pages);
	return count;
}

static void check_summary(const struct rcl_trace_image *image, const struct accesses *a)
{
	const struct rcl_trace_summary *s = &image->summary;
	uint64_t touches = 0, writes = 0, by_kind[3] = {0}, ends[2] = {0};
	uint64_t region_touches = 0, region_writes = 0, region_footprint = 0;

	for (size_t i = 0; i < a->count; i++) {
		const struct rcl_access *x = &a->at[i];

		touches += x->pages;
		writes += x->write ? x->pages : 0;
		by_kind[x->kind] += x->pages;
		if (x->page + x->pages > ends[x->region])
			ends[x->region] = x->page + x->pages;
	}
	assert_int_equal(s->accesses, a->count);
	assert_int_equal(s->touches, touches);
	assert_int_equal(s->writes, writes);
	assert_int_equal(s->reads, touches - writes);
	assert_int_equal(s->anon_touches, by_kind[RCL_ACCESS_ANON]);
	assert_int_equal(s->mmap_touches, by_kind[RCL_ACCESS_MMAP]);
	assert_int_equal(s->file_touches, by_kind[RCL_ACCESS_FILE]);
	assert_int_equal(s->footprint_pages, footprint(a, 7));
	assert_int_equal(s->anon_pages, footprint(a, 1 << RCL_ACCESS_ANON));
	assert_int_equal(s->mmap_pages, footprint(a, 1 << RCL_ACCESS_MMAP));
	assert_int_equal(s->file_pages, footprint(a, 1 << RCL_ACCESS_FILE));
	for (uint32_t r = 0; r < image->nr_regions; r++) {
		assert_int_equal(image->region_summaries[r].end, ends[r]);
		region_touches += image->region_summaries[r].touches;
		region_writes += image->region_summaries[r].writes;
		region_footprint += image->region_summaries[r].footprint;
	}
	assert_int_equal(region_touches, touches);
	assert_int_equal(region_writes, writes);
	assert_int_equal(region_footprint, s->footprint_pages);
}

static void check_image(const struct bytes *b, const char *format, uint64_t skipped)
{
	struct accesses a = read_memory(b, NULL, 1000);
	struct rcl_trace_image *image = load_bytes(b, false), *scan = load_bytes(b, true);

	assert_int_equal(a.error, 0);
	assert_string_equal(image->format, format);
	assert_string_equal(image->compression, "none");
	assert_int_equal(image->count, a.count);
	for (size_t i = 0; i < a.count; i++) {
		struct rcl_access x = rcl_trace_image_get(image, i);

		assert_int_equal(rcl_word_pack(&x), rcl_word_pack(&a.at[i]));
	}
	check_summary(image, &a);
	assert_int_equal(image->summary.skipped, skipped);

	assert_null(scan->words);
	assert_int_equal(scan->count, 0);
	assert_memory_equal(&scan->summary, &image->summary, sizeof(scan->summary));
	rcl_trace_image_free(scan);
	rcl_trace_image_free(image);
	accesses_free(&a);
}

/* Enough records that the array grows, in all three kinds. */
static void image_of_tracegen(void **state)
{
	const size_t nr = 700000;
	uint32_t *records = malloc(nr * sizeof(*records));
	uint64_t seed = 3;
	struct bytes b = {0}, packed;

	(void)state;
	for (size_t i = 0; i < nr; i++) {
		uint32_t kind = test_random(&seed) % 3;

		records[i] = (uint32_t)(test_random(&seed) % 5000) | kind << 29 |
			     (uint32_t)(test_random(&seed) & 1) << 31;
	}
	put_tracegen(&b, 5000, 7777, records, nr);
	/* The brute-force count is slow: check a part, and the whole against its compressed self.
	 */
	{
		struct bytes part = {0};

		put_tracegen(&part, 5000, 7777, records, 20000);
		check_image(&part, "tracegen", 0);
		bytes_free(&part);
	}
	packed = compressed(&b, ZSTD);
	{
		struct rcl_trace_image *x = load_bytes(&b, false), *y = load_bytes(&packed, false);

		assert_int_equal(x->count, nr);
		assert_int_equal(y->count, nr);
		assert_memory_equal(x->words, y->words, nr * sizeof(uint64_t));
		assert_memory_equal(&x->summary, &y->summary, sizeof(x->summary));
		assert_string_equal(y->compression, "zstd");
		rcl_trace_image_free(x);
		rcl_trace_image_free(y);
	}
	bytes_free(&packed);
	bytes_free(&b);
	free(records);
}

static void image_of_sparse_requests(void **state)
{
	struct bytes b = {0};
	uint64_t seed = 4;

	(void)state;
	put_text(&b, "op,lbn,size\n");
	for (int i = 0; i < 2000; i++)
		put_text(&b, "%c,%llu,%u\n", test_random(&seed) & 1 ? 'r' : 'w',
			 (unsigned long long)(test_random(&seed) << (i % 40)),
			 (unsigned int)(test_random(&seed) % 3 ? test_random(&seed) % 3000000
							       : 4096));
	put_text(&b, "r,1,0\ntrim,1,4096\n");
	check_image(&b, "csv", 2);
	bytes_free(&b);
}

static void image_of_addresses(void **state)
{
	struct bytes b = {0};
	uint64_t seed = 5;

	(void)state;
	for (int i = 0; i < 5000; i++)
		put_text(&b, " %c %llx,8\n", test_random(&seed) & 1 ? 'L' : 'S',
			 (unsigned long long)(test_random(&seed) << (i % 33)));
	check_image(&b, "lackey", 0);
	bytes_free(&b);
}

static void load_errors(void **state)
{
	struct rcl_trace_image *image;
	struct rcl_error err;
	struct bytes b = {0};
	char *path;

	(void)state;
	assert_int_equal(rcl_trace_load("/nonexistent/x", NULL, &image, &err), -ENOENT);
	assert_null(image);
	put_text(&b, "1\n2\nx\n");
	path = temp_file(&b);
	assert_int_equal(rcl_trace_load(path, NULL, &image, &err), -EBADMSG);
	assert_null(image);
	assert_says(&err, "line 3: not a block number: 'x'");
	assert_says(&err, path);
	assert_int_equal(rcl_trace_load(path, "vscsi", &image, NULL), -EBADMSG);
	temp_remove(path);
	bytes_free(&b);
	path = temp_file(NULL);
	assert_int_equal(rcl_trace_load(path, NULL, &image, &err), -ENODATA);
	assert_says(&err, "the trace is empty (0 bytes)");
	temp_remove(path);
	rcl_trace_image_free(NULL);
}

/* ---- placing -------------------------------------------------------------------------------- */

/* Every object's pages are its own, all its life, whatever order sizes come in. */
static void objects_do_not_overlap(void **state)
{
	enum {
		OBJECTS = 300,
		PAGES = 900
	};
	static uint64_t where[OBJECTS][PAGES];
	struct rcl_place place = {0};
	uint64_t seed = 6, all[20000];
	size_t n = 0;

	(void)state;
	memset(where, 0xff, sizeof(where));
	for (int i = 0; i < 5000; i++) {
		uint64_t id = test_random(&seed) % OBJECTS, page = 0;
		uint64_t pages = 1 + test_random(&seed) % (i % 50 ? 6 : PAGES);

		while (pages) {
			uint64_t at, run;

			assert_int_equal(rcl_place_object(&place, id * 0x9e3779b97f4a7c15ull, page,
							  pages, &at, &run),
					 0);
			assert_true(run >= 1 && run <= pages);
			assert_true(at + run <= RCL_TRACE_PAGES_MAX);
			for (uint64_t k = 0; k < run; k++, page++, pages--) {
				if (where[id][page] == UINT64_MAX)
					where[id][page] = at + k;
				assert_int_equal(where[id][page], at + k);
			}
		}
	}
	for (int id = 0; id < OBJECTS; id++) {
		for (int page = 0; page < PAGES && where[id][page] != UINT64_MAX; page++) {
			if (n < sizeof(all) / sizeof(all[0]))
				all[n++] = where[id][page];
		}
	}
	assert_int_equal(distinct(all, n), n);
	rcl_place_free(&place);
}

static void addresses_keep_their_runs(void **state)
{
	struct rcl_place place = {0};
	uint64_t seed = 7, at, run;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint64_t page = test_random(&seed) << (i % 33) ^ test_random(&seed);
		uint64_t first;

		assert_int_equal(rcl_place_address(&place, page, 1000, &at, &run), 0);
		assert_true(at + run <= RCL_TRACE_PAGES_MAX);
		if (page < RCL_PLACE_KEPT) {
			assert_int_equal(at, page);
			continue;
		}
		assert_true(at >= RCL_PLACE_KEPT);
		assert_int_equal(at % 512, page % 512);
		assert_int_equal(run, 512 - page % 512);
		assert_int_equal(rcl_place_address(&place, page - page % 512, 1, &first, &run), 0);
		assert_int_equal(first, at - page % 512);
	}
	rcl_place_free(&place);
}

/* What does not fit is refused, not wrapped around. */
static void no_room(void **state)
{
	struct rcl_place place = {0};
	uint64_t at, run;

	(void)state;
	for (uint64_t id = 0; id < 1 << 10; id++)
		assert_int_equal(rcl_place_object(&place, id, 0, 1 << 26, &at, &run), 0);
	assert_int_equal(rcl_place_object(&place, 1 << 10, 0, 1, &at, &run), -EOVERFLOW);
	assert_int_equal(rcl_place_object(&place, 3, 1 << 26, 1, &at, &run), -EOVERFLOW);
	assert_int_equal(rcl_place_object(&place, 3, 5, 7, &at, &run), 0);
	assert_int_equal(run, 7);
	rcl_place_free(&place);
	assert_int_equal(rcl_place_object(&place, 1, 0, RCL_TRACE_PAGES_MAX + 1, &at, &run),
			 -EOVERFLOW);
	rcl_place_free(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_keep_everything),
		cmocka_unit_test(page_sets),
		cmocka_unit_test(page_set_runs),
		cmocka_unit_test(image_of_tracegen),
		cmocka_unit_test(image_of_sparse_requests),
		cmocka_unit_test(image_of_addresses),
		cmocka_unit_test(load_errors),
		cmocka_unit_test(objects_do_not_overlap),
		cmocka_unit_test(addresses_keep_their_runs),
		cmocka_unit_test(no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
