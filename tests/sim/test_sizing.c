/* SPDX-License-Identifier: MIT */
/* The search for limits: on made-up curves, whose answers are known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/size.h"
#include "sim/sizing.h"

#define MIB (1024.0 * 1024)

static const double usual[] = {1.05, 1.2, 2};

struct shape {
	double (*slowdown)(const struct shape *shape, double share); /* share of what is needed */
	double a, b;
	uint64_t seed;
};

static double smooth(const struct shape *s, double share)
{
	return share >= 1 ? 1 : 1 + s->a * pow(1 - share, s->b);
}

static double cliff(const struct shape *s, double share)
{
	return share >= s->a ? 1 : s->b;
}

static double killed_below(const struct shape *s, double share)
{
	return share >= s->a ? 1.01 : INFINITY;
}

static double never_bad(const struct shape *s, double share)
{
	(void)s;
	(void)share;
	return 1;
}

/* What may be dirty is a share of the limit: wants more than is used. */
static double wants_more(const struct shape *s, double share)
{
	return 1 + s->a / (share * share);
}

/* Rises, with dents that depend on the limit alone. */
static double dented(const struct shape *s, double share)
{
	uint64_t h = (uint64_t)(share * 4096) * 0x9e3779b97f4a7c15u ^ s->seed;

	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9u;
	h ^= h >> 32;
	return smooth(s, share) * (1 + (double)(h % 1000) / 1000 * 0.3);
}

static double run(const struct shape *shape, const struct rcl_sizing *s, uint64_t limit)
{
	return shape->slowdown(shape, (double)limit / (double)s->top);
}

/* Let the search ask until it is done; returns how many rounds. */
static unsigned int search(struct rcl_sizing *s, const struct shape *shape)
{
	uint64_t limits[RCL_SIZING_BATCH];
	unsigned int rounds = 0;
	size_t nr;

	while ((nr = rcl_sizing_next(s, limits)) != 0) {
		assert_true(nr <= RCL_SIZING_BATCH);
		assert_true(++rounds < 1000);
		for (size_t i = 0; i < nr; i++) {
			unsigned int before = s->nr_points;

			assert_int_equal(limits[i] % s->quantum, 0);
			assert_in_range(limits[i], s->floor, s->ceiling);
			rcl_sizing_add(s, limits[i], run(shape, s, limits[i]));
			/* Nothing is asked for twice. */
			assert_int_equal(s->nr_points, before + 1);
			assert_true(rcl_sizing_is_valid(s));
		}
		assert_true(s->nr_points <= s->max_points);
	}
	return rounds;
}

static void start(struct rcl_sizing *s, double mib, unsigned int runs)
{
	rcl_sizing_init(s, (uint64_t)(mib * MIB), (uint64_t)(4 * mib * MIB), usual, 3, runs);
	assert_true(rcl_sizing_is_valid(s));
}

/* The smallest multiple of the quantum that is good, on a curve that only rises. */
static uint64_t smallest_good(const struct rcl_sizing *s, const struct shape *shape,
			      double accepted)
{
	uint64_t limit = s->ceiling;

	while (limit > s->floor && run(shape, s, limit - s->quantum) <= accepted)
		limit -= s->quantum;
	return limit;
}

static void finds_the_smallest_limits(void **state)
{
	static const struct shape shapes[] = {
		{.slowdown = smooth, .a = 3, .b = 1},	{.slowdown = smooth, .a = 30, .b = 2},
		{.slowdown = smooth, .a = 500, .b = 3}, {.slowdown = cliff, .a = 0.61, .b = 50},
		{.slowdown = cliff, .a = 0.02, .b = 9}, {.slowdown = killed_below, .a = 0.333},
		{.slowdown = killed_below, .a = 0.999}, {.slowdown = wants_more, .a = 0.1},
		{.slowdown = wants_more, .a = 0.3},
	};
	static const double sizes[] = {0.3, 5, 38.5, 1000, 70000};
	struct rcl_sizing s;

	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
			start(&s, sizes[k], 60);
			search(&s, &shapes[i]);
			for (int a = 0; a < 3; a++) {
				struct rcl_sizing_answer got = rcl_sizing_answer(&s, usual[a]);

				assert_true(got.found);
				assert_int_equal(got.good.limit,
						 smallest_good(&s, &shapes[i], usual[a]));
				assert_true(got.good.slowdown <= usual[a]);
				if (got.has_bad) {
					assert_true(got.bad.slowdown > usual[a]);
					assert_int_equal(got.bad.limit, got.good.limit - s.quantum);
				} else {
					assert_int_equal(got.good.limit, s.floor);
				}
			}
		}
	}
}

/* The usual number of runs is enough for ordinary curves. */
static void is_frugal(void **state)
{
	const struct shape shapes[] = {
		{.slowdown = smooth, .a = 30, .b = 2},
		{.slowdown = cliff, .a = 0.61, .b = 50},
		{.slowdown = killed_below, .a = 0.9},
	};
	struct rcl_sizing s;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		start(&s, 100, 24);
		assert_true(search(&s, &shapes[i]) <= 16);
		assert_in_range(s.nr_points, 14, 24);
		for (int a = 0; a < 3; a++)
			assert_int_equal(rcl_sizing_answer(&s, usual[a]).good.limit,
					 smallest_good(&s, &shapes[i], usual[a]));
	}
}

/* More points where the curve changes than where it does not. */
static void looks_around_the_knee(void **state)
{
	const struct shape knee = {.slowdown = cliff, .a = 0.5, .b = 50};
	unsigned int near = 0;
	struct rcl_sizing s;

	(void)state;
	start(&s, 100, 24);
	search(&s, &knee);
	for (unsigned int i = 0; i < s.nr_points; i++)
		near += fabs((double)s.points[i].limit / (double)s.top - 0.5) < 0.1;
	assert_true(near >= s.nr_points / 2);
}

static void gives_no_answer_where_there_is_none(void **state)
{
	const struct shape bad = {.slowdown = wants_more, .a = 1000};
	const struct shape good = {.slowdown = never_bad};
	struct rcl_sizing s;

	(void)state;
	start(&s, 100, 24);
	search(&s, &bad);
	assert_false(rcl_sizing_answer(&s, 2).found);
	start(&s, 100, 24);
	search(&s, &good);
	assert_true(rcl_sizing_answer(&s, 1.05).found);
	assert_false(rcl_sizing_answer(&s, 1.05).has_bad);
	assert_int_equal(rcl_sizing_answer(&s, 1.05).good.limit, s.floor);
}

/* A good limit below a bad one is no answer. */
static void a_dent_is_no_answer(void **state)
{
	struct rcl_sizing s;

	(void)state;
	start(&s, 100, 24);
	rcl_sizing_add(&s, s.top, 1);
	rcl_sizing_add(&s, s.top - 40 * s.quantum, 1.01);
	rcl_sizing_add(&s, s.top - 20 * s.quantum, 1.5);
	struct rcl_sizing_answer a = rcl_sizing_answer(&s, 1.2);

	assert_int_equal(a.good.limit, s.top);
	assert_int_equal(a.bad.limit, s.top - 20 * s.quantum);
	/* A limit counts once. */
	rcl_sizing_add(&s, s.top, 7);
	assert_int_equal(s.nr_points, 3);
	assert_true(s.points[0].slowdown == 1);
}

static void keeps_to_its_runs(void **state)
{
	const struct shape shape = {.slowdown = smooth, .a = 30, .b = 2};
	struct rcl_sizing s;

	(void)state;
	for (unsigned int runs = 1; runs < 40; runs++) {
		start(&s, 100, runs);
		search(&s, &shape);
		assert_in_range(s.nr_points, runs < 18 ? runs : 18, runs);
	}
}

/* Another setting: the same limits, so that they can be compared, and its own answers. */
static void starts_near_another(void **state)
{
	const struct shape first = {.slowdown = smooth, .a = 30, .b = 2};
	const struct shape other = {.slowdown = killed_below, .a = 0.97};
	struct rcl_sizing s, near;

	(void)state;
	start(&s, 100, 24);
	search(&s, &first);
	rcl_sizing_init_near(&near, &s, 60);
	search(&near, &other);
	for (int a = 0; a < 3; a++) {
		uint64_t limit = rcl_sizing_answer(&s, usual[a]).good.limit;
		bool compared = false;

		assert_int_equal(rcl_sizing_answer(&near, usual[a]).good.limit,
				 smallest_good(&near, &other, usual[a]));
		for (unsigned int i = 0; i < near.nr_points; i++)
			compared |= near.points[i].limit == limit;
		assert_true(compared);
	}
}

/* Whatever the curve: it ends, stays valid, and its answers are what was seen. */
static void holds_on_any_curve(void **state)
{
	uint64_t x = 88172645463325252u;
	struct rcl_sizing s, near;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		struct shape shape = {.slowdown = dented,
				      .a = (double)(x % 500),
				      .b = 1 + (double)(x / 500 % 4),
				      .seed = x};
		unsigned int runs = 2 + (unsigned int)(x >> 20) % 120;

		start(&s, (double)(x >> 40) / 1000 + 0.01, runs);
		search(&s, &shape);
		rcl_sizing_init_near(&near, &s, runs);
		shape.seed++;
		search(&near, &shape);
		for (int a = 0; a < 3; a++) {
			struct rcl_sizing_answer got = rcl_sizing_answer(&s, usual[a]);

			for (unsigned int i = 0; i < s.nr_points; i++)
				if (got.found && s.points[i].limit >= got.good.limit)
					assert_true(s.points[i].slowdown <= usual[a]);
			if (runs > 100 && got.found && got.has_bad)
				assert_true(got.good.limit - got.bad.limit <= s.quantum);
		}
	}
}

/* A limit that is printed can be used. */
static void limits_survive_printing(void **state)
{
	char text[RCL_SIZE_TEXT];
	struct rcl_error err;
	uint64_t back, x = 1;

	(void)state;
	assert_string_equal(rcl_size_exact(40108032, text), "38.25M");
	assert_string_equal(rcl_size_exact(1ull << 30, text), "1G");
	assert_string_equal(rcl_size_exact(4096 * 3, text), "12K");
	assert_string_equal(rcl_size_exact(40108032 + 4096, text), "39172K");
	assert_string_equal(rcl_size_exact(0, text), "0");
	for (int i = 0; i < 100000; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		uint64_t bytes = (x >> 12) >> (x % 48);

		assert_int_equal(rcl_size_parse(rcl_size_exact(bytes, text), 0, &back, &err), 0);
		assert_int_equal(back, bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_smallest_limits),
		cmocka_unit_test(is_frugal),
		cmocka_unit_test(looks_around_the_knee),
		cmocka_unit_test(gives_no_answer_where_there_is_none),
		cmocka_unit_test(a_dent_is_no_answer),
		cmocka_unit_test(keeps_to_its_runs),
		cmocka_unit_test(starts_near_another),
		cmocka_unit_test(holds_on_any_curve),
		cmocka_unit_test(limits_survive_printing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
