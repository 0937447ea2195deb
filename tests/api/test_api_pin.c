/* SPDX-License-Identifier: MIT */
/* Pins on anonymous areas: what each flag and each error promises, ranges, batches, peeks. */
#include "api_test.h"
#include "reclaim/inline.h"

#include "mm/mm.h"

static void test_content_through_swap(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 64 * MIB);
	struct rcl_stats stats;
	struct rcl_area *area;

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, 4096, 0, &area));
	assert_int_equal(rcl_area_pages(area), 4096);
	check_zero(area, 17);
	for (uint64_t i = 0; i < 4096; i++)
		write_page(area, i, i);
	for (uint64_t i = 0; i < 4096; i++)
		check_page(area, i * 1009 % 4096, i * 1009 % 4096);
	stats = read_stats(machine, NULL);
	assert_true(stats.swapped_out >= 3000 && stats.swapped_in >= 3000);
	assert_true(stats.swap_used >= 12 * MIB && stats.swap_used <= 17 * MIB);
	assert_int_equal(stats.swap_size,
			 64 * MIB - RCL_PAGE_SIZE); /* its first page is a header */
	assert_true(stats.used <= 4 * MIB && stats.anon <= stats.used);
	assert_ok(rcl_area_close(area));
	stats = read_stats(machine, NULL);
	assert_true(stats.swap_used < MIB); /* what each CPU has ahead */
	assert_int_equal(stats.anon, 0);
	assert_ok(rcl_close(machine));
}

static void test_bad_arguments(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0);
	struct rcl_pin pin = {.addr = (void *)1}, pins[4];
	struct rcl_area *area;

	(void)state;
	assert_int_equal(rcl_area_anon(machine, NULL, 1, 1u << 30, &area), -EINVAL);
	assert_null(area);
	assert_int_equal(rcl_area_anon(machine, NULL, 1, RCL_AREA_WRITE, &area), -EINVAL);
	assert_int_equal(rcl_area_anon(machine, NULL, RCL_MAX_AREA + 1, 0, &area), -ERANGE);
	assert_ok(rcl_area_anon(machine, NULL, 100, 0, &area));
	assert_int_equal(rcl_pin(area, 100, RCL_READ, &pin), -ERANGE);
	assert_null(pin.addr);
	rcl_unpin(&pin);
	assert_int_equal(rcl_pin(area, UINT64_MAX, RCL_READ, &pin), -ERANGE);
	for (int resident = 0; resident < 2; resident++) {
		static const uint32_t wrong[] = {0,
						 RCL_TRY,
						 RCL_WAIT,
						 128,
						 128 | RCL_READ,
						 RCL_READ | RCL_TRY | RCL_WAIT,
						 RCL_WRITE | RCL_TRY | RCL_NOFAIL,
						 UINT32_MAX};

		for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
			pin.addr = (void *)1;
			assert_int_equal(rcl_pin(area, 3, wrong[i], &pin), -EINVAL);
			assert_null(pin.addr);
			assert_int_equal(rcl_pin_range(area, 3, 2, wrong[i], pins), -EINVAL);
			assert_null(pins[1].addr);
		}
		write_page(area, 3, 1);
		write_page(area, 4, 1);
	}
	assert_ok(rcl_pin(area, 3, RCL_READ | RCL_WRITE, &pin));
	fill_page(pin.addr, 2);
	rcl_unpin(&pin);
	check_page(area, 3, 2);
	pins[0].addr = pins[3].addr = (void *)1;
	assert_int_equal(rcl_pin_range(area, 97, 4, RCL_READ, pins), -ERANGE);
	assert_null(pins[0].addr);
	assert_null(pins[3].addr);
	assert_int_equal(rcl_pin_range(area, UINT64_MAX, 2, RCL_READ, pins), -ERANGE);
	assert_ok(rcl_pin_range(area, 97, 0, RCL_READ, NULL));
	assert_ok(rcl_pin_batch(NULL, 0, RCL_READ, NULL));
	assert_int_equal(rcl_area_punch(area, 99, 2), -ERANGE);
	assert_int_equal(rcl_area_punch(area, UINT64_MAX, 2), -ERANGE);
	assert_ok(rcl_area_punch(area, 100, 0));
	assert_int_equal(rcl_area_sync(area, 101, 0), -ERANGE);
	assert_ok(rcl_area_sync(area, 0, 0));
	assert_int_equal(rcl_area_truncate(area, 4096), -EINVAL);
	assert_int_equal(rcl_area_file_size(area), 0);
	assert_int_equal(rcl_area_advise(area, 0, 0, 77), -EINVAL);
	assert_int_equal(rcl_area_advise(area, 90, 11, RCL_ADVISE_COLD), -ERANGE);
	/* Prefetching is a hint. */
	assert_ok(rcl_prefetch(area, 90, 11));
	assert_ok(rcl_prefetch(area, 1000, 1));
	assert_ok(rcl_prefetch(area, 0, UINT64_MAX));
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
}

static void test_pinned_stays(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 64 * MIB);
	struct rcl_area *area;
	struct rcl_pin a, b, c;

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, 4096, 0, &area));
	write_page(area, 0, 100);
	assert_ok(rcl_pin(area, 0, RCL_READ, &a));
	assert_ok(rcl_pin(area, 0, RCL_WRITE, &b));
	assert_ptr_equal(a.addr, b.addr);
	for (int round = 0; round < 2; round++)
		for (uint64_t i = 1; i < 4096; i++)
			write_page(area, i, i);
	assert_true(page_is(a.addr, 100));
	fill_page(b.addr, 101);
	assert_int_equal(rcl_area_close(area), -EBUSY);
	rcl_unpin(&b);
	/* Pins count. And one may be undone through a copy. */
	assert_int_equal(rcl_area_close(area), -EBUSY);
	c = a;
	for (uint64_t i = 1; i < 4096; i++)
		check_page(area, i, i);
	assert_true(page_is(a.addr, 101));
	rcl_unpin(&c);
	assert_null(c.addr);
	for (uint64_t i = 1; i < 4096; i++)
		check_page(area, i, i);
	check_page(area, 0, 101);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
}

static void test_most_pins(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0);
	struct rcl_pin *pins = calloc(RCL_MAX_PINS + 1, sizeof(*pins)), *last = pins + RCL_MAX_PINS;
	const uint32_t writing = 63;
	struct rcl_area *area;

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, 10, 0, &area));
	for (uint32_t i = 0; i < writing; i++)
		assert_ok(rcl_pin(area, 5, RCL_WRITE, &pins[i]));
	assert_int_equal(rcl_pin(area, 5, RCL_WRITE, last), -EBUSY);
	for (uint32_t i = writing; i < RCL_MAX_PINS; i++)
		assert_ok(rcl_pin(area, 5, RCL_READ, &pins[i]));
	assert_int_equal(rcl_pin(area, 5, RCL_READ, last), -EBUSY);
	assert_null(last->addr);
	assert_int_equal(rcl_pin(area, 5, RCL_WRITE | RCL_WAIT, last), -EBUSY);
	assert_ok(rcl_pin(area, 6, RCL_WRITE, last));
	rcl_unpin(last);
	rcl_unpin(&pins[7]);
	assert_ok(rcl_pin(area, 5, RCL_WRITE, last));
	/* One of these is not pinned any more: that is fine. */
	rcl_unpin_batch(pins, RCL_MAX_PINS + 1);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
	free(pins);
}

static void test_try(void **state)
{
	struct rcl_machine *machine = open_machine(2 * MIB, 64 * MIB);
	uint64_t tried = 0, got = 0;
	struct rcl_area *area;
	struct rcl_pin pin, pins[64];

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, 4096, 0, &area));
	for (uint64_t i = 0; i < 4096; i++)
		write_page(area, i, i);
	/* The last are in memory, most of the first are in swap. */
	assert_ok(rcl_pin(area, 4095, RCL_WRITE | RCL_TRY, &pin));
	assert_true(page_is(pin.addr, 4095));
	rcl_unpin(&pin);
	for (uint64_t i = 0; i < 2000; i++, tried++) {
		int err = rcl_pin(area, i, RCL_READ | RCL_TRY, &pin);

		if (err) {
			assert_int_equal(err, -EAGAIN);
			assert_null(pin.addr);
			continue;
		}
		assert_true(page_is(pin.addr, i));
		rcl_unpin(&pin);
		got++;
	}
	assert_true(got < tried / 2);
	assert_int_equal(rcl_pin_range(area, 0, 64, RCL_READ | RCL_TRY, pins), -EAGAIN);
	for (int i = 0; i < 64; i++)
		assert_null(pins[i].addr);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
}

static void test_overwrite(void **state)
{
	struct rcl_machine *machine = open_machine(2 * MIB, 64 * MIB);
	struct rcl_stats before, after;
	struct rcl_area *area;
	struct rcl_pin pin;

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, 4096, 0, &area));
	for (uint64_t i = 0; i < 4096; i++)
		write_page(area, i, i);
	before = read_stats(machine, NULL);
	for (uint64_t i = 0; i < 2000; i++) {
		assert_ok(rcl_pin(area, i, RCL_OVERWRITE, &pin));
		assert_true(is_zero(pin.addr, RCL_PAGE_SIZE) || page_is(pin.addr, i));
		fill_page(pin.addr, i + 10000);
		rcl_unpin(&pin);
	}
	after = read_stats(machine, NULL);
	/* Nothing was read for it but what reading around others' pages brought in. */
	assert_true(after.swapped_in - before.swapped_in < 200);
	for (uint64_t i = 0; i < 4096; i++)
		check_page(area, i, i < 2000 ? i + 10000 : i);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
}

static void test_if_kept(void **state)
{
	struct rcl_machine *machine = open_machine(2 * MIB, 64 * MIB);
	struct rcl_area *area;
	struct rcl_pin pin;

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, 4096, 0, &area));
	assert_int_equal(rcl_pin(area, 9, RCL_READ | RCL_IF_KEPT, &pin), -ENODATA);
	assert_null(pin.addr);
	assert_int_equal(rcl_pin(area, 9, RCL_WRITE | RCL_IF_KEPT, &pin), -ENODATA);
	for (uint64_t i = 0; i < 4096; i += 2)
		write_page(area, i, i);
	for (uint64_t i = 0; i < 4096; i++) {
		int err = rcl_pin(area, i, RCL_READ | RCL_IF_KEPT, &pin);

		assert_int_equal(err, i % 2 ? -ENODATA : 0);
		if (!err)
			assert_true(page_is(pin.addr, i));
		rcl_unpin(&pin);
	}
	assert_ok(rcl_area_punch(area, 10, 1));
	assert_int_equal(rcl_pin(area, 10, RCL_READ | RCL_IF_KEPT, &pin), -ENODATA);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
}

/* Dropped instead of swapped; what is still there is what was written. */
static void test_cache_area(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0);
	uint64_t kept = 0, dropped = 0;
	struct rcl_area *area;
	struct rcl_pin pin;

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, 4096, RCL_AREA_CACHE, &area));
	for (uint64_t i = 0; i < 4096; i++)
		write_page(area, i, i);
	for (uint64_t i = 0; i < 4096; i++) {
		int err = rcl_pin(area, i, RCL_READ | RCL_IF_KEPT, &pin);

		if (err) {
			assert_int_equal(err, -ENODATA);
			dropped++;
			continue;
		}
		assert_true(page_is(pin.addr, i));
		rcl_unpin(&pin);
		kept++;
	}
	assert_true(kept > 300 && dropped > 2500);
	assert_int_equal(read_stats(machine, NULL).swapped_out, 0);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
}

static void test_grow_and_punch(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 64 * MIB);
	const uint64_t large = 400000; /* more than a directory of one page can name */
	struct rcl_area *area;
	struct rcl_pin pin;

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, 0, 0, &area));
	assert_int_equal(rcl_area_pages(area), 0);
	assert_int_equal(rcl_pin(area, 0, RCL_READ, &pin), -ERANGE);
	assert_ok(rcl_area_grow(area, 1000));
	write_page(area, 999, 999);
	assert_ok(rcl_pin(area, 998, RCL_WRITE, &pin));
	fill_page(pin.addr, 998);
	assert_int_equal(rcl_area_grow(area, 999), -EINVAL);
	assert_int_equal(rcl_area_grow(area, RCL_MAX_AREA + 1), -ERANGE);
	assert_ok(rcl_area_grow(area, 1000));
	assert_ok(rcl_area_grow(area, large));
	assert_true(page_is(pin.addr, 998));
	assert_int_equal(rcl_area_pages(area), large);
	for (uint64_t i = 0; i < large; i += 97)
		if (i != 998)
			write_page(area, i, i);
	check_page(area, 999, 999);
	/* Pinned pages stay, the others are gone. */
	assert_int_equal(rcl_area_punch(area, 0, large / 2), -EBUSY);
	assert_true(page_is(pin.addr, 998));
	check_page(area, 998, 998);
	check_zero(area, 999);
	check_zero(area, 97);
	check_page(area, large / 97 * 97, large / 97 * 97);
	rcl_unpin(&pin);
	assert_ok(rcl_area_punch(area, 0, large));
	check_zero(area, 998);
	check_zero(area, large / 97 * 97);
	assert_ok(rcl_area_close(area));
	/* The largest there may be, used at its ends. */
	assert_ok(rcl_area_anon(machine, NULL, 1, 0, &area));
	assert_ok(rcl_area_grow(area, RCL_MAX_AREA));
	write_page(area, 0, 1);
	write_page(area, RCL_MAX_AREA - 1, 2);
	check_page(area, RCL_MAX_AREA - 1, 2);
	assert_int_equal(rcl_pin(area, RCL_MAX_AREA, RCL_READ, &pin), -ERANGE);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
}

static void test_advice(void **state)
{
	struct rcl_machine *machine = open_machine(16 * MIB, 64 * MIB);
	struct rcl_stats stats;
	struct rcl_area *area;
	struct rcl_pin pin;

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, 1024, 0, &area));
	for (uint64_t i = 0; i < 1024; i++)
		write_page(area, i, i);
	assert_ok(rcl_pin(area, 5, RCL_READ, &pin));
	assert_ok(rcl_area_advise(area, 0, 0, RCL_ADVISE_PAGEOUT));
	stats = read_stats(machine, NULL);
	assert_true(stats.swapped_out > 900 && stats.anon < 124 * RCL_PAGE_SIZE);
	assert_true(page_is(pin.addr, 5));
	rcl_unpin(&pin);
	assert_ok(rcl_area_advise(area, 100, 200, RCL_ADVISE_WILLNEED));
	for (uint64_t i = 0; i < 1024; i++)
		check_page(area, i, i);
	assert_ok(rcl_area_advise(area, 100, 200, RCL_ADVISE_COLD));
	assert_ok(rcl_area_advise(area, 5000, 1, RCL_ADVISE_SEQUENTIAL));
	assert_ok(rcl_area_advise(area, 0, 0, RCL_ADVISE_RANDOM));
	assert_ok(rcl_area_advise(area, 0, 0, RCL_ADVISE_NORMAL));
	for (uint64_t i = 0; i < 1024; i++)
		check_page(area, i, i);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
}

/* ---- several pages ---- */

static void test_range_and_batch(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 64 * MIB);
	struct rcl_area *area, *other;
	struct rcl_place places[300];
	struct rcl_pin pins[300];

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, 4096, 0, &area));
	assert_ok(rcl_area_anon(machine, NULL, 4096, 0, &other));
	for (uint64_t i = 0; i < 4096; i++) {
		write_page(area, i, i);
		write_page(other, i, i + 5000);
	}
	for (uint64_t first = 0; first + 300 <= 4096; first += 271) {
		assert_ok(rcl_pin_range(area, first, 300, RCL_READ, pins));
		for (uint64_t i = 0; i < 300; i++)
			assert_true(page_is(pins[i].addr, first + i));
		rcl_unpin_batch(pins, 300);
		assert_null(pins[299].addr);
	}
	for (int round = 0; round < 20; round++) {
		for (uint64_t i = 0; i < 300; i++)
			places[i] =
				(struct rcl_place){.area = i % 3 ? area : other,
						   .page = (i * 911 + (uint64_t)round * 77) % 4096};
		places[7] = places[3]; /* twice */
		assert_ok(rcl_pin_batch(places, 300, RCL_WRITE, pins));
		assert_ptr_equal(pins[7].addr, pins[3].addr);
		for (uint64_t i = 0; i < 300; i++)
			assert_true(page_is(pins[i].addr,
					    places[i].page + (places[i].area == other ? 5000 : 0)));
		rcl_unpin_batch(pins, 300);
	}
	/* One of them is beyond the end: none is pinned. */
	places[250].page = 4096;
	assert_int_equal(rcl_pin_batch(places, 300, RCL_READ, pins), -ERANGE);
	for (uint64_t i = 0; i < 300; i++)
		assert_null(pins[i].addr);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_area_close(other));
	assert_ok(rcl_close(machine));
}

/* More than there is room for: no page is pinned afterwards, and all are as they were. */
static void test_batch_is_all_or_none(void **state)
{
	struct rcl_machine *machine = open_machine(2 * MIB, 64 * MIB);
	struct rcl_pin *pins = calloc(600, sizeof(*pins));
	struct rcl_group *group;
	struct rcl_area *area;

	(void)state;
	assert_ok(rcl_group_create(machine, NULL, "g", &group));
	assert_ok(rcl_group_set_max(group, MIB / 2));
	assert_ok(rcl_area_anon(machine, group, 600, 0, &area));
	for (uint64_t i = 0; i < 600; i++)
		write_page(area, i, i);
	assert_int_equal(rcl_pin_range(area, 0, 200, RCL_READ, pins), -ENOMEM);
	for (uint64_t i = 0; i < 200; i++)
		assert_null(pins[i].addr);
	/* The machine's own limit. */
	assert_ok(rcl_group_set_max(group, RCL_UNLIMITED));
	assert_int_equal(rcl_pin_range(area, 0, 600, RCL_READ, pins), -ENOMEM);
	for (uint64_t i = 0; i < 600; i++)
		check_page(area, i, i);
	assert_ok(rcl_pin_range(area, 0, 300, RCL_READ, pins));
	for (uint64_t i = 0; i < 300; i++)
		assert_true(page_is(pins[i].addr, i));
	rcl_unpin_batch(pins, 300);
	/* Nothing was left pinned. */
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_group_destroy(group));
	assert_ok(rcl_close(machine));
	free(pins);
}

/* ---- peeking ---- */

static void check_peeks(bool (*look)(struct rcl_area *, uint64_t, struct rcl_peek *),
			bool (*is_ok)(const struct rcl_peek *))
{
	struct rcl_machine *machine = open_machine(4 * MIB, 64 * MIB);
	struct rcl_area *area, *plain;
	struct rcl_peek peek, other;
	struct rcl_pin pin;

	assert_ok(rcl_area_anon(machine, NULL, 4096, RCL_AREA_OPTIMISTIC, &area));
	assert_ok(rcl_area_anon(machine, NULL, 10, 0, &plain));
	write_page(plain, 3, 3);
	assert_false(look(plain, 3, &peek));
	assert_false(look(area, 3, &peek));
	assert_false(look(area, 4096, &peek));
	assert_false(look(area, UINT64_MAX, &peek));
	write_page(area, 3, 3);
	assert_true(look(area, 3, &peek));
	assert_true(page_is(peek.addr, 3));
	assert_true(is_ok(&peek));
	/* A pin for reading does not matter; nor does one of a neighbour for writing. */
	assert_ok(rcl_pin(area, 3, RCL_READ, &pin));
	assert_true(is_ok(&peek));
	assert_true(look(area, 3, &other) && is_ok(&other));
	rcl_unpin(&pin);
	assert_ok(rcl_pin(area, 4, RCL_WRITE, &pin));
	assert_true(is_ok(&peek));
	assert_true(look(area, 3, &other) && is_ok(&other));
	rcl_unpin(&pin);
	assert_true(is_ok(&peek));
	/* 15 writes to a neighbour do not matter either; the 16th does, once. */
	for (unsigned i = 1; i < 15; i++)
		write_page(area, 4, 4);
	assert_true(is_ok(&peek));
	write_page(area, 4, 4);
	assert_false(is_ok(&peek));
	assert_true(look(area, 3, &peek));
	write_page(area, 512, 512);
	assert_true(is_ok(&peek));
	/* One for writing does, while it lasts and afterwards. */
	assert_ok(rcl_pin(area, 3, RCL_WRITE, &pin));
	assert_false(is_ok(&peek));
	assert_false(look(area, 3, &other));
	rcl_unpin(&pin);
	assert_false(is_ok(&peek));
	assert_true(look(area, 3, &peek) && is_ok(&peek));
	/* Leaving memory, and coming back. */
	for (uint64_t i = 10; i < 4096; i++)
		write_page(area, i, i);
	assert_false(look(area, 3, &other));
	assert_false(is_ok(&peek));
	check_page(area, 3, 3);
	assert_false(is_ok(&peek));
	assert_true(look(area, 3, &peek) && page_is(peek.addr, 3) && is_ok(&peek));
	assert_ok(rcl_area_punch(area, 3, 1));
	assert_false(is_ok(&peek));
	assert_false(look(area, 3, &peek));
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_area_close(plain));
	assert_ok(rcl_close(machine));
}

static void test_peek(void **state)
{
	(void)state;
	check_peeks(rcl_peek, rcl_peek_ok);
	check_peeks(rcl_peek_inline, rcl_peek_ok_inline);
}

/* Peeking is a use: reclaim finds the page's accessed bit set. */
static void test_peek_counts_as_use(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0);
	struct rcl_area *area;
	struct rcl_peek peek;

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, 10, RCL_AREA_OPTIMISTIC, &area));
	write_page(area, 3, 3);
	assert_true(rcl_peek(area, 3, &peek));
	assert_ok(rcl_area_advise(area, 3, 1, RCL_ADVISE_COLD));
	assert_int_equal(*peek.word & PTE_ACCESSED, 0);
	assert_true(rcl_peek_ok(&peek));
	assert_true(rcl_peek(area, 3, &peek));
	assert_int_equal(*peek.word & PTE_ACCESSED, PTE_ACCESSED);
	assert_true(rcl_peek_ok(&peek));
	assert_ok(rcl_area_advise(area, 3, 1, RCL_ADVISE_COLD));
	assert_true(rcl_peek_inline(area, 3, &peek) && rcl_peek_ok_inline(&peek));
	assert_int_equal(*peek.word & PTE_ACCESSED, PTE_ACCESSED);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content_through_swap),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_pinned_stays),
		cmocka_unit_test(test_most_pins),
		cmocka_unit_test(test_try),
		cmocka_unit_test(test_overwrite),
		cmocka_unit_test(test_if_kept),
		cmocka_unit_test(test_cache_area),
		cmocka_unit_test(test_grow_and_punch),
		cmocka_unit_test(test_advice),
		cmocka_unit_test(test_range_and_batch),
		cmocka_unit_test(test_batch_is_all_or_none),
		cmocka_unit_test(test_peek),
		cmocka_unit_test(test_peek_counts_as_use),
	};

	alarm(WATCHDOG_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
