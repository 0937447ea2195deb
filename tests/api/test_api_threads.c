/* SPDX-License-Identifier: MIT */
/*
 * The public API from several threads: same and different pages, groups at their limits, peeks
 * while others write, sizes that change, things that come and go. Run it under ThreadSanitizer.
 */
#include "api_test.h"

#include <pthread.h>
#include <sched.h>

static struct folder folder;

static uint64_t next(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint64_t load(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}
static void store(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

/* ---- the same pages from all threads ---- */

#define THREADS 4
#define PAGES	1200
#define STEPS	4000

struct shared {
	struct rcl_machine *machine;
	struct rcl_area *area[2];	 /* anonymous; a file */
	struct rcl_group *group[2];	 /* that pay */
	pthread_mutex_t locks[2][PAGES]; /* who uses a page's content */
	uint64_t count[2][PAGES];	 /* under the lock: what it must say */
};
struct worker {
	struct shared *s;
	uint64_t seed;
	pthread_t thread;
};

/* The page says what was written last; say something else if it is to be written. */
static void use_page(struct shared *s, int which, uint64_t page, struct rcl_pin *pin, bool write)
{
	uint64_t *count = &s->count[which][page];

	pthread_mutex_lock(&s->locks[which][page]);
	if (*count)
		assert_true(page_is(pin->addr, *count + page));
	else
		assert_true(is_zero(pin->addr, RCL_PAGE_SIZE));
	if (write)
		fill_page(pin->addr, ++*count + page);
	pthread_mutex_unlock(&s->locks[which][page]);
}

static void one_page(struct worker *w, uint64_t r)
{
	static const uint32_t hows[] = {RCL_READ,
					RCL_WRITE,
					RCL_READ | RCL_TRY,
					RCL_WRITE | RCL_TRY,
					RCL_READ | RCL_WAIT,
					RCL_WRITE | RCL_NOFAIL};
	struct shared *s = w->s;
	uint64_t page = (r >> 8) % PAGES;
	uint32_t how = hows[(r >> 4) % 6];
	int which = r & 1, err;
	struct rcl_pin pin;

	err = rcl_pin(s->area[which], page, how, &pin);
	if (err) {
		assert_int_equal(err, how & RCL_TRY ? -EAGAIN : 0);
		assert_null(pin.addr);
		return;
	}
	use_page(s, which, page, &pin, how & RCL_WRITE);
	rcl_unpin(&pin);
}

static void several_pages(struct worker *w, uint64_t r)
{
	struct rcl_place places[12];
	struct rcl_pin pins[12];
	struct shared *s = w->s;
	bool write = r & 16;

	for (int i = 0; i < 12; i++) {
		uint64_t x = next(&w->seed);

		places[i].area = s->area[x & 1];
		places[i].page = (x >> 8) % PAGES;
	}
	assert_ok(rcl_pin_batch(places, 12, (write ? RCL_WRITE : RCL_READ) | RCL_WAIT, pins));
	for (int i = 0; i < 12; i++)
		use_page(s, places[i].area == s->area[1], places[i].page, &pins[i], write);
	rcl_unpin_batch(pins, 12);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->s;

	for (int i = 0; i < STEPS; i++) {
		uint64_t r = next(&w->seed), page = (r >> 8) % (PAGES - 40);

		switch ((r >> 40) % 64) {
		case 0:
			assert_ok(rcl_prefetch(s->area[r & 1], page, 40));
			break;
		case 1:
			assert_ok(rcl_area_advise(s->area[r & 1], page, 40,
						  r & 2 ? RCL_ADVISE_COLD : RCL_ADVISE_PAGEOUT));
			break;
		case 2:
			assert_ok(rcl_area_sync(s->area[1], page, 40));
			break;
		case 3:
			rcl_group_reclaim(s->group[r & 1], 64 * RCL_PAGE_SIZE);
			break;
		case 4:
			read_stats(s->machine, r & 2 ? s->group[r & 1] : NULL);
			break;
		case 5:
		case 6:
		case 7:
			several_pages(w, r);
			break;
		default:
			one_page(w, r);
		}
	}
	return NULL;
}

static void test_same_pages(void **state)
{
	struct shared *s = calloc(1, sizeof(*s));
	struct worker workers[THREADS];
	struct rcl_stats stats;

	(void)state;
	s->machine = open_machine(4 * MIB, 64 * MIB);
	for (int g = 0; g < 2; g++) {
		assert_ok(rcl_group_create(s->machine, NULL, g ? "b" : "a", &s->group[g]));
		assert_ok(rcl_group_set_max(s->group[g], 1 * MIB));
		for (int i = 0; i < PAGES; i++)
			pthread_mutex_init(&s->locks[g][i], NULL);
	}
	assert_ok(rcl_area_anon(s->machine, s->group[0], PAGES, 0, &s->area[0]));
	assert_ok(rcl_area_file(s->machine, s->group[1], folder_file(&folder, "f"),
				RCL_AREA_WRITE | RCL_AREA_CREATE, &s->area[1]));
	assert_ok(rcl_area_truncate(s->area[1], PAGES * RCL_PAGE_SIZE));
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.s = s, .seed = (uint64_t)i};
		assert_ok(pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	for (int i = 0; i < THREADS; i++)
		assert_ok(pthread_join(workers[i].thread, NULL));
	for (int which = 0; which < 2; which++) {
		for (uint64_t page = 0; page < PAGES; page++) {
			struct rcl_pin pin;

			assert_ok(rcl_pin(s->area[which], page, RCL_READ, &pin));
			use_page(s, which, page, &pin, false);
			rcl_unpin(&pin);
		}
	}
	stats = read_stats(s->machine, NULL);
	assert_true(stats.swapped_out && stats.swapped_in && stats.written);
	assert_int_equal(stats.io_errors + stats.checksum_errors, 0);
	for (int g = 0; g < 2; g++) {
		assert_ok(rcl_area_close(s->area[g]));
		assert_ok(rcl_group_destroy(s->group[g]));
	}
	assert_ok(rcl_close(s->machine));
	free(s);
}

/* ---- peeking while others write ---- */

#define PEEK_PAGES 400

struct peeking {
	struct rcl_area *area;
	uint32_t stop;
	uint64_t believed, seed;
};

static void *peek_at_pages(void *arg)
{
	struct peeking *p = arg;
	uint64_t seed = __atomic_add_fetch(&p->seed, 1, __ATOMIC_RELAXED);

	while (!__atomic_load_n(&p->stop, __ATOMIC_RELAXED)) {
		uint64_t page = next(&seed) % PEEK_PAGES, copy[RCL_PAGE_SIZE / 8];
		struct rcl_peek peek;
		struct rcl_pin pin;

		if (!rcl_peek(p->area, page, &peek)) {
			if (!rcl_pin(p->area, page, RCL_READ, &pin))
				rcl_unpin(&pin);
			continue;
		}
		for (unsigned i = 0; i < RCL_PAGE_SIZE / 8; i++)
			copy[i] = load((const uint64_t *)peek.addr + i);
		if (!rcl_peek_ok(&peek))
			continue;
		/* This page, and all of it of one writing. */
		assert_int_equal(copy[0] >> 32, page);
		for (unsigned i = 1; i < RCL_PAGE_SIZE / 8; i++)
			assert_int_equal(copy[i], copy[0]);
		__atomic_add_fetch(&p->believed, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void write_all_words(struct rcl_area *area, uint64_t page, uint64_t value)
{
	struct rcl_pin pin;

	assert_ok(rcl_pin(area, page, RCL_WRITE, &pin));
	for (unsigned i = 0; i < RCL_PAGE_SIZE / 8; i++)
		store((uint64_t *)pin.addr + i, page << 32 | value);
	rcl_unpin(&pin);
}

static void test_peeks_and_writers(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 64 * MIB);
	struct peeking p = {.seed = 1000};
	struct rcl_group *group;
	pthread_t threads[2];
	uint64_t seed = 5;

	(void)state;
	assert_ok(rcl_group_create(machine, NULL, "g", &group));
	assert_ok(rcl_area_anon(machine, group, PEEK_PAGES, RCL_AREA_OPTIMISTIC, &p.area));
	for (uint64_t i = 0; i < PEEK_PAGES; i++)
		write_all_words(p.area, i, 0);
	for (int i = 0; i < 2; i++)
		assert_ok(pthread_create(&threads[i], NULL, peek_at_pages, &p));
	/* With all in memory, then with some of it going and coming. */
	for (uint64_t i = 0; i < 20000 || load(&p.believed) < 100; i++) {
		if (i == 10000)
			assert_ok(rcl_group_set_max(group, 1 * MIB));
		write_all_words(p.area, next(&seed) % PEEK_PAGES, i);
		if (i % 1000 == 0)
			assert_ok(rcl_area_advise(p.area, 0, 100, RCL_ADVISE_PAGEOUT));
	}
	__atomic_store_n(&p.stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		assert_ok(pthread_join(threads[i], NULL));
	assert_ok(rcl_area_close(p.area));
	assert_ok(rcl_group_destroy(group));
	assert_ok(rcl_close(machine));
}

/* ---- sizes that change under pins ---- */

#define MOST_PAGES 600

struct sizes {
	struct rcl_area *area, *reader, *anon;
	uint32_t stop;
	uint64_t seed, ranges, pins;
};

/* What is there has its number in it, or is new. */
static void *pin_what_is_there(void *arg)
{
	struct sizes *s = arg;
	uint64_t seed = __atomic_add_fetch(&s->seed, 1, __ATOMIC_RELAXED);

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		struct rcl_area *areas[] = {s->area, s->reader, s->anon};
		uint64_t r = next(&seed), page = r % MOST_PAGES, value;
		struct rcl_area *area = areas[(r >> 32) % 3];
		bool write = area != s->reader && r >> 40 & 1;
		struct rcl_pin pin;
		int err = rcl_pin(area, page, write ? RCL_WRITE : RCL_READ, &pin);

		if (err) {
			assert_int_equal(err, -ERANGE);
			__atomic_add_fetch(&s->ranges, 1, __ATOMIC_RELAXED);
			continue;
		}
		value = load(pin.addr);
		if (value && value != page + 1)
			fail_msg("page %lu says %lu", page, value);
		if (write)
			store(pin.addr, page + 1);
		rcl_unpin(&pin);
		__atomic_add_fetch(&s->pins, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void test_sizes_that_change(void **state)
{
	struct rcl_machine *machine = open_machine(2 * MIB, 64 * MIB);
	struct sizes s = {.seed = 77};
	pthread_t threads[3];
	uint64_t seed = 3, pages = 1;

	(void)state;
	assert_ok(rcl_area_file(machine, NULL, folder_file(&folder, "s"),
				RCL_AREA_WRITE | RCL_AREA_CREATE, &s.area));
	assert_ok(rcl_area_file(machine, NULL, folder_file(&folder, "s"), 0, &s.reader));
	assert_ok(rcl_area_anon(machine, NULL, 1, 0, &s.anon));
	for (int i = 0; i < 3; i++)
		assert_ok(pthread_create(&threads[i], NULL, pin_what_is_there, &s));
	for (int i = 0; i < 1500 || load(&s.pins) < 500 || load(&s.ranges) < 50; i++) {
		uint64_t r = next(&seed), size = r % MOST_PAGES, first = (r >> 20) % (size + 1);
		int err;

		switch ((r >> 40) % 4) {
		case 0:
			err = rcl_area_truncate(s.area, size * RCL_PAGE_SIZE + (r >> 50) % 4096);
			break;
		case 1:
			err = rcl_area_punch(s.area, first, 20);
			break;
		case 2:
			pages += pages < MOST_PAGES;
			err = rcl_area_grow(s.anon, pages);
			assert_ok(err);
			break;
		default:
			err = rcl_area_punch(s.anon, first % pages, 1);
		}
		if (err && err != -ERANGE)
			assert_int_equal(err, -EBUSY);
	}
	__atomic_store_n(&s.stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		assert_ok(pthread_join(threads[i], NULL));
	assert_int_equal(rcl_area_pages(s.area), rcl_area_pages(s.reader));
	assert_ok(rcl_area_close(s.area));
	assert_ok(rcl_area_close(s.reader));
	assert_ok(rcl_area_close(s.anon));
	assert_ok(rcl_close(machine));
}

/* ---- coming and going ---- */

struct coming {
	struct rcl_machine *machine;
	uint64_t seed;
	pthread_t thread;
};

static void *come_and_go(void *arg)
{
	struct coming *c = arg;
	char name[16];

	for (int i = 0; i < 100; i++) {
		uint64_t r = next(&c->seed);
		struct rcl_group *group, *below;
		struct rcl_area *anon, *file;
		struct rcl_event e;
		void *block;

		snprintf(name, sizeof(name), "f%lu", r % 3);
		assert_ok(rcl_group_create(c->machine, NULL, name, &group));
		assert_ok(rcl_group_set_max(group, 1 * MIB));
		assert_ok(rcl_group_create(c->machine, group, "below", &below));
		assert_ok(rcl_area_anon(c->machine, below, 400, 0, &anon));
		assert_ok(rcl_area_file(c->machine, group, folder_file(&folder, name),
					RCL_AREA_WRITE | RCL_AREA_CREATE, &file));
		for (uint64_t p = 0; p < 400; p += 3)
			write_page(anon, p, p + r);
		assert_ok(rcl_frames_alloc(c->machine, group, 1, RCL_WAIT, &block));
		for (uint64_t p = 0; p < 400; p += 3)
			check_page(anon, p, p + r);
		read_stats(c->machine, group);
		rcl_event_read(c->machine, &e);
		rcl_frames_free(c->machine, block, 1);
		assert_ok(rcl_area_sync(file, 0, 0));
		assert_ok(rcl_area_close(anon));
		assert_ok(rcl_area_close(file));
		assert_ok(rcl_group_destroy(below));
		assert_ok(rcl_group_destroy(group));
	}
	return NULL;
}

static void test_coming_and_going(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 64 * MIB);
	struct coming c[3];

	(void)state;
	assert_true(rcl_event_fd(machine) >= 0);
	for (int i = 0; i < 3; i++) {
		c[i] = (struct coming){.machine = machine, .seed = (uint64_t)i};
		assert_ok(pthread_create(&c[i].thread, NULL, come_and_go, &c[i]));
	}
	for (int i = 0; i < 3; i++)
		assert_ok(pthread_join(c[i].thread, NULL));
	assert_true(read_stats(machine, NULL).swap_used < MIB);
	assert_ok(rcl_close(machine));
}

/* Pins belong to no thread, and threads that end leave nothing behind. */
static void *pin_and_end(void *arg)
{
	struct rcl_pin *pin = arg;

	assert_ok(rcl_pin(pin->area, pin->page_low, RCL_WRITE, pin));
	fill_page(pin->addr, pin->page_low);
	return NULL;
}

static void test_pins_of_threads_that_end(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 64 * MIB);
	struct rcl_pin pins[200];
	struct rcl_area *area;

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, 2000, 0, &area));
	for (uint32_t i = 0; i < 200; i++) {
		pthread_t thread;

		pins[i] = (struct rcl_pin){.area = area, .page_low = i};
		assert_ok(pthread_create(&thread, NULL, pin_and_end, &pins[i]));
		assert_ok(pthread_join(thread, NULL));
	}
	for (uint64_t i = 200; i < 2000; i++)
		write_page(area, i, i);
	for (uint32_t i = 0; i < 200; i++)
		assert_true(page_is(pins[i].addr, i));
	assert_int_equal(rcl_area_close(area), -EBUSY);
	rcl_unpin_batch(pins, 200);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
}

static int set_up(void **state)
{
	(void)state;
	folder_make(&folder);
	return 0;
}
static int tear_down(void **state)
{
	(void)state;
	folder_remove(&folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_pages),
		cmocka_unit_test(test_peeks_and_writers),
		cmocka_unit_test(test_sizes_that_change),
		cmocka_unit_test(test_coming_and_going),
		cmocka_unit_test(test_pins_of_threads_that_end),
	};

	alarm(WATCHDOG_SECONDS);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
