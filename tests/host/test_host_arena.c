/* SPDX-License-Identifier: MIT */
/* Frames of the host platform, what stamps notice, and reserved memory. */
#include "host_world.h"

#include <sys/mman.h>

#define WORDS (PAGE_SIZE / 8)

static struct rcl_host *create(u64 frames, bool populate)
{
	struct rcl_host_config cfg = {.nr_frames = frames, .seed = 7, .populate = populate};
	struct rcl_host *h;

	assert_int_equal(rcl_host_create(&cfg, &h), 0);
	return h;
}

static void addresses(void **state)
{
	struct rcl_host *h = create(5000, false);
	char *base = rcl_host_arena(h);

	(void)state;
	assert_int_equal((uintptr_t)base & ((PAGE_SIZE << (MAX_ORDER - 1)) - 1), 0);
	for (u64 i = 0; i < 5000; i++) {
		assert_ptr_equal(rcl_host_frame(h, i), base + i * 4096);
		assert_int_equal(*(u64 *)rcl_host_frame(h, i), 0);
		*(u64 *)rcl_host_frame(h, i) = i;
	}
	for (u64 i = 0; i < 5000; i++)
		assert_int_equal(*(u64 *)rcl_host_frame(h, i), i);
	rcl_host_destroy(h);
}

/* How many of the arena's pages are in memory. */
static u64 resident(struct rcl_host *h, u64 frames)
{
	unsigned char *map = malloc(frames);
	u64 nr = 0;

	assert_int_equal(mincore(rcl_host_arena(h), frames * PAGE_SIZE, map), 0);
	for (u64 i = 0; i < frames; i++)
		nr += map[i] & 1;
	free(map);
	return nr;
}

static void populated(void **state)
{
	struct rcl_host *h = create(2000, false);

	(void)state;
	assert_int_equal(resident(h, 2000), 0);
	rcl_host_destroy(h);
	h = create(2000, true);
	assert_int_equal(resident(h, 2000), 2000);
	rcl_host_destroy(h);
}

static void bad_configs(void **state)
{
	struct rcl_host_config cfg = {.nr_frames = 0};
	struct rcl_host *h = NULL;

	(void)state;
	assert_int_equal(rcl_host_create(&cfg, &h), -EINVAL);
	cfg.nr_frames = (1ull << 32) + 1;
	assert_int_equal(rcl_host_create(&cfg, &h), -EINVAL);
	cfg = (struct rcl_host_config){.nr_frames = 10, .nr_cpus = RCL_MAX_CPUS + 1};
	assert_int_equal(rcl_host_create(&cfg, &h), -EINVAL);
	assert_null(h);
	rcl_host_destroy(NULL);
}

static void stamps(void **state)
{
	static u64 page[WORDS + 2];
	u64 *p = page + 1, z = 1;

	(void)state;
	page[0] = page[WORDS + 1] = 42;
	assert_int_equal(rcl_host_stamp_of(p), 0);
	for (int i = 0; i < 10000; i++) {
		z = z * 6364136223846793005ull + 1442695040888963407ull;
		rcl_host_stamp(p, z);
		assert_int_equal(rcl_host_stamp_of(p), z);
	}
	for (u64 s = 0; s < 64; s++) {
		rcl_host_stamp(p, 1ull << s);
		assert_int_equal(rcl_host_stamp_of(p), 1ull << s);
	}
	rcl_host_stamp(p, 0);
	for (u64 i = 0; i < WORDS; i++)
		assert_int_equal(p[i], 0);
	assert_int_equal(page[0], 42);
	assert_int_equal(page[WORDS + 1], 42);
}

/* One wrong bit anywhere; parts of two pages; sectors that changed places. */
static void torn(void **state)
{
	static u64 page[WORDS], other[WORDS], mixed[WORDS];
	static const u64 pairs[][2] = {{1, 2},		{0, 1},		 {1, 0},
				       {5, 5ull << 58}, {1ull << 63, 0}, {1, 1 + (1ull << 55)}};

	(void)state;
	rcl_host_stamp(page, 4711);
	for (u64 i = 0; i < WORDS; i++) {
		for (u64 bit = 0; bit < 64; bit++) {
			page[i] ^= 1ull << bit;
			assert_true(rcl_host_stamp_of(page) == RCL_HOST_TORN);
			page[i] ^= 1ull << bit;
		}
	}
	assert_int_equal(rcl_host_stamp_of(page), 4711);
	for (size_t k = 0; k < ARRAY_SIZE(pairs); k++) {
		rcl_host_stamp(page, pairs[k][0]);
		rcl_host_stamp(other, pairs[k][1]);
		for (u64 cut = 1; cut < WORDS; cut++) {
			memcpy(mixed, page, cut * 8);
			memcpy(mixed + cut, other + cut, (WORDS - cut) * 8);
			assert_true(rcl_host_stamp_of(mixed) == RCL_HOST_TORN);
		}
	}
	rcl_host_stamp(page, 99);
	for (u64 a = 0; a < 8; a++) {
		for (u64 b = 0; b < a; b++) {
			memcpy(mixed, page, PAGE_SIZE);
			memcpy(mixed + a * 64, page + b * 64, 512);
			assert_true(rcl_host_stamp_of(mixed) == RCL_HOST_TORN);
		}
	}
}

/* The platform's page operations, through descriptors. */
static void page_ops(void **state)
{
	struct host_world *w = host_world_open(&(struct host_world_options){.pages = 2048});
	const struct platform_ops *ops = w->plat->ops;
	struct folio *a = rcl_alloc_pages(w->m, GFP_KERNEL, 0);
	struct folio *b = rcl_alloc_pages(w->m, GFP_KERNEL, 0);

	(void)state;
	assert_true(w->plat->has_data && w->plat->threaded && !w->plat->simulated);
	ops->page_store(w->plat, a, 17);
	ops->page_store(w->plat, b, 18);
	assert_int_equal(ops->page_load(w->plat, a), 17);
	assert_int_equal(rcl_host_stamp_of(rcl_host_frame(w->h, folio_pfn(w->m, a))), 17);
	ops->page_copy(w->plat, b, a);
	assert_int_equal(ops->page_load(w->plat, b), 17);
	ops->page_zero(w->plat, a);
	assert_int_equal(ops->page_load(w->plat, a), 0);
	assert_int_equal(ops->page_load(w->plat, b), 17);
	((char *)rcl_host_frame(w->h, folio_pfn(w->m, b)))[4095] ^= 1;
	assert_true(ops->page_load(w->plat, b) == RCL_HOST_TORN);
	folio_put(w->m, a);
	folio_put(w->m, b);
	host_world_close(w);
}

static void reserved(void **state)
{
	static const size_t sizes[] = {1, 4096, 4097, 32 << 20, (32 << 20) + 1, 1ull << 36};
	struct rcl_host *h = create(10, false);
	struct platform *p = rcl_host_platform(h);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *mem = p->ops->reserve(p, sizes[i]);

		assert_non_null(mem);
		assert_int_equal((uintptr_t)mem & (PAGE_SIZE - 1), 0);
		assert_int_equal(mem[0] | mem[sizes[i] - 1], 0);
		mem[0] = mem[sizes[i] - 1] = 1;
		p->ops->release(p, mem, sizes[i]);
	}
	assert_null(p->ops->reserve(p, SIZE_MAX));
	assert_null(p->ops->reserve(p, SIZE_MAX - (4 << 20)));
	p->ops->release(p, NULL, 4096);
	rcl_host_destroy(h);
}

static void random_numbers(void **state)
{
	struct rcl_host *a = create(10, false), *b = create(10, false), *c, *d;
	struct platform *pa = rcl_host_platform(a), *pb = rcl_host_platform(b);
	struct rcl_host_config cfg = {.nr_frames = 10};
	u64 ones = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		u64 r = pa->ops->random(pa);

		assert_int_equal(r, pb->ops->random(pb));
		ones += (u64)__builtin_popcountll(r);
	}
	assert_in_range(ones, 31000, 33000);
	assert_int_equal(rcl_host_create(&cfg, &c), 0);
	assert_int_equal(rcl_host_create(&cfg, &d), 0);
	assert_true(rcl_host_platform(c)->ops->random(rcl_host_platform(c)) !=
		    rcl_host_platform(d)->ops->random(rcl_host_platform(d)));
	rcl_host_destroy(a);
	rcl_host_destroy(b);
	rcl_host_destroy(c);
	rcl_host_destroy(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),   cmocka_unit_test(populated),
		cmocka_unit_test(bad_configs), cmocka_unit_test(stamps),
		cmocka_unit_test(torn),	       cmocka_unit_test(page_ops),
		cmocka_unit_test(reserved),    cmocka_unit_test(random_numbers),
	};

	host_watchdog(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
