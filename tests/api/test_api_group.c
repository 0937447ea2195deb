/* SPDX-License-Identifier: MIT */
/* Groups and their limits, what a call does when there is no memory, frames, counters. */
#include "api_test.h"

#include <pthread.h>
#include <time.h>

#include "api/internal.h"

static struct folder folder;

static struct rcl_group *make_group(struct rcl_machine *machine, struct rcl_group *parent,
				    const char *name, uint64_t max)
{
	struct rcl_group *group;

	assert_ok(rcl_group_create(machine, parent, name, &group));
	assert_ok(rcl_group_set_max(group, max));
	return group;
}

static void test_limit(void **state)
{
	struct rcl_machine *machine = open_machine(16 * MIB, 64 * MIB);
	struct rcl_group *group = make_group(machine, NULL, "g", 2 * MIB);
	struct rcl_stats stats;
	struct rcl_area *area;

	(void)state;
	assert_int_equal(rcl_group_usage(NULL), 0);
	assert_ok(rcl_area_anon(machine, group, 4096, 0, &area));
	for (uint64_t i = 0; i < 4096; i++) {
		write_page(area, i, i);
		assert_true(rcl_group_usage(group) <= 2 * MIB);
	}
	stats = read_stats(machine, group);
	assert_int_equal(stats.budget, 2 * MIB);
	assert_true(stats.used <= 2 * MIB && stats.anon && stats.anon <= stats.used);
	assert_true(stats.reclaimed >= 3500 && stats.scanned >= stats.reclaimed);
	assert_int_equal(stats.swap_size, 64 * MIB - RCL_PAGE_SIZE);
	/* Larger: more fits. Smaller: what is too much goes at once. */
	assert_ok(rcl_group_set_max(group, 8 * MIB));
	for (uint64_t i = 0; i < 4096; i++)
		check_page(area, i, i);
	assert_true(rcl_group_usage(group) > 7 * MIB);
	assert_ok(rcl_group_set_max(group, 1 * MIB + 100));
	assert_true(rcl_group_usage(group) <= 1 * MIB);
	assert_int_equal(read_stats(machine, group).budget, 1 * MIB);
	for (uint64_t i = 0; i < 4096; i++)
		check_page(area, i, i);
	/* On request. */
	assert_true(rcl_group_reclaim(group, 512 * 1024) >= 512 * 1024);
	assert_true(rcl_group_usage(group) <= 512 * 1024);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_group_destroy(group));
	assert_ok(rcl_close(machine));
}

static void test_limit_that_cannot_be_met(void **state)
{
	struct rcl_machine *machine = open_machine(16 * MIB, 0);
	struct rcl_group *group = make_group(machine, NULL, "g", RCL_UNLIMITED);
	struct rcl_area *area;
	struct rcl_pin pin;

	(void)state;
	assert_int_equal(read_stats(machine, group).budget, RCL_UNLIMITED);
	assert_ok(rcl_area_anon(machine, group, 1000, 0, &area));
	for (uint64_t i = 0; i < 500; i++)
		write_page(area, i, i);
	/* There is no swap. The limit stands for what comes. */
	assert_int_equal(rcl_group_set_max(group, 1 * MIB), -EBUSY);
	assert_int_equal(rcl_pin(area, 600, RCL_WRITE, &pin), -ENOMEM);
	assert_null(pin.addr);
	for (uint64_t i = 0; i < 500; i++)
		check_page(area, i, i);
	assert_ok(rcl_group_set_max(group, 4 * MIB));
	write_page(area, 600, 600);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_group_destroy(group));
	assert_ok(rcl_close(machine));
}

static void test_tree(void **state)
{
	struct rcl_machine *machine = open_machine(16 * MIB, 64 * MIB);
	struct rcl_group *top = make_group(machine, NULL, "top", 4 * MIB), *a, *b;
	struct rcl_area *in_a, *in_b;

	(void)state;
	a = make_group(machine, top, "a", RCL_UNLIMITED);
	b = make_group(machine, top, "b", 1 * MIB);
	assert_int_equal(rcl_group_destroy(top), -EBUSY);
	assert_ok(rcl_area_anon(machine, a, 2000, 0, &in_a));
	assert_ok(rcl_area_anon(machine, b, 2000, 0, &in_b));
	for (uint64_t i = 0; i < 2000; i++) {
		write_page(in_a, i, i);
		write_page(in_b, i, i + 10000);
		assert_true(rcl_group_usage(top) <= 4 * MIB);
		assert_true(rcl_group_usage(b) <= 1 * MIB);
	}
	assert_true(rcl_group_usage(a) > 1 * MIB);
	assert_true(read_stats(machine, top).anon >= read_stats(machine, a).anon);
	for (uint64_t i = 0; i < 2000; i++) {
		check_page(in_a, i, i);
		check_page(in_b, i, i + 10000);
	}
	assert_ok(rcl_area_close(in_a));
	assert_ok(rcl_area_close(in_b));
	assert_ok(rcl_group_destroy(a));
	assert_ok(rcl_group_destroy(b));
	assert_ok(rcl_group_destroy(top));
	assert_ok(rcl_close(machine));
}

/* Pages of files outlive the group that brought them in, and count for its parent. */
static void test_destroyed_group_leaves_pages(void **state)
{
	struct rcl_machine *machine = open_machine(16 * MIB, 0);
	struct rcl_group *top = make_group(machine, NULL, "top", 2 * MIB), *group;
	struct rcl_area *first, *second;
	const char *path = folder_file(&folder, "f");
	uint64_t before;

	(void)state;
	assert_ok(rcl_area_file(machine, NULL, path, RCL_AREA_WRITE | RCL_AREA_CREATE, &first));
	assert_ok(rcl_area_truncate(first, 300 * RCL_PAGE_SIZE));
	group = make_group(machine, top, "one", RCL_UNLIMITED);
	assert_ok(rcl_area_file(machine, group, path, RCL_AREA_WRITE, &second));
	for (uint64_t i = 0; i < 300; i++)
		write_page(second, i, i);
	assert_ok(rcl_area_close(second));
	before = rcl_group_usage(top);
	assert_true(before >= 300 * RCL_PAGE_SIZE);
	assert_ok(rcl_group_destroy(group));
	assert_true(rcl_group_usage(top) >= 300 * RCL_PAGE_SIZE);
	assert_true(read_stats(machine, top).file >= 300 * RCL_PAGE_SIZE);
	for (uint64_t i = 0; i < 300; i++)
		check_page(first, i, i);
	/* They go when the parent's limit says so. */
	assert_ok(rcl_group_set_max(top, 256 * 1024));
	assert_true(rcl_group_usage(top) <= 256 * 1024);
	for (uint64_t i = 0; i < 300; i++)
		check_page(first, i, i);
	assert_ok(rcl_area_close(first));
	assert_ok(rcl_group_destroy(top));
	assert_ok(rcl_close(machine));
}

/* More groups one after another than there can be at a time. */
static void test_groups_come_and_go(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0);
	struct rcl_group *group, *below;
	struct rcl_area *area;
	char name[16];

	(void)state;
	assert_int_equal(rcl_group_create(machine, NULL, NULL, &group), -EINVAL);
	assert_int_equal(rcl_group_create(machine, NULL, "", &group), -EINVAL);
	assert_null(group);
	for (int i = 0; i < 70000; i++) {
		snprintf(name, sizeof(name), "g%d", i);
		assert_ok(rcl_group_create(machine, NULL, name, &group));
		if (i % 1000 == 0) {
			assert_int_equal(read_stats(machine, group).faults, 0);
			assert_ok(rcl_group_create(machine, group, "below", &below));
			assert_ok(rcl_area_anon(machine, below, 10, 0, &area));
			write_page(area, 3, 3);
			assert_ok(rcl_area_close(area));
			assert_ok(rcl_group_destroy(below));
		}
		assert_ok(rcl_group_destroy(group));
	}
	assert_ok(rcl_close(machine));
}

/* ---- groups that go while others work ---- */

#define BUSY_PAGES 1024u /* four times its group's limit */

/* A thread that is reclaiming all the time, so walks the tree of groups. */
struct busy {
	struct rcl_group *group;
	struct rcl_area *area;
	pthread_t thread;
	unsigned seed;
	uint64_t wrong;
	int err;
	bool stop; /* atomic */
};

static void *be_busy(void *arg)
{
	struct busy *b = arg;
	uint64_t versions[BUSY_PAGES] = {0};

	for (uint64_t i = 1; !__atomic_load_n(&b->stop, __ATOMIC_RELAXED) && !b->err; i++) {
		uint64_t page = (uint64_t)rand_r(&b->seed) % BUSY_PAGES;
		struct rcl_pin pin;

		b->err = rcl_pin(b->area, page, RCL_WRITE, &pin);
		if (b->err)
			break;
		b->wrong += *(uint64_t *)pin.addr != versions[page];
		*(uint64_t *)pin.addr = versions[page] = i;
		rcl_unpin(&pin);
	}
	return NULL;
}

/* Nothing of it is the machine's alone: pages, of a file and not, in two levels of groups. */
static void live_and_die(struct rcl_machine *machine, struct rcl_group *parent, int i)
{
	struct rcl_group *group, *below;
	struct rcl_area *anon, *file;
	char name[24];

	snprintf(name, sizeof(name), "short%d", i);
	assert_ok(rcl_group_create(machine, i % 2 ? parent : NULL, name, &group));
	assert_ok(rcl_group_set_max(group, MIB));
	assert_ok(rcl_group_create(machine, group, "below", &below));
	assert_ok(rcl_area_anon(machine, below, 512, 0, &anon));
	assert_ok(rcl_area_file(machine, group, folder_file(&folder, "short"),
				RCL_AREA_WRITE | RCL_AREA_CREATE, &file));
	assert_ok(rcl_area_truncate(file, 64 * RCL_PAGE_SIZE));
	for (uint64_t p = 0; p < 300; p++)
		write_page(anon, p, p + (uint64_t)i);
	for (uint64_t p = 0; p < 64; p++)
		write_page(file, p, p + (uint64_t)i);
	for (uint64_t p = 0; p < 300; p += 7)
		check_page(anon, p, p + (uint64_t)i);
	assert_true(rcl_group_usage(group) <= MIB);
	assert_ok(rcl_area_close(anon));
	assert_ok(rcl_area_close(file));
	assert_ok(rcl_group_destroy(below));
	assert_ok(rcl_group_destroy(group));
}

static void test_groups_go_while_others_work(void **state)
{
	struct rcl_machine *machine = open_machine(16 * MIB, 64 * MIB);
	struct rcl_group *parent;
	struct busy busy[3] = {0};

	(void)state;
	assert_ok(rcl_group_create(machine, NULL, "parent", &parent));
	assert_ok(rcl_group_set_max(parent, 3 * MIB));
	for (unsigned i = 0; i < 3; i++) {
		struct busy *b = &busy[i];

		b->seed = i;
		assert_ok(rcl_group_create(machine, i ? parent : NULL, "busy", &b->group));
		assert_ok(rcl_group_set_max(b->group, MIB));
		assert_ok(rcl_area_anon(machine, b->group, BUSY_PAGES, 0, &b->area));
		assert_ok(pthread_create(&b->thread, NULL, be_busy, b));
	}
	for (int i = 0; i < 60; i++)
		live_and_die(machine, parent, i);
	for (unsigned i = 0; i < 3; i++) {
		__atomic_store_n(&busy[i].stop, true, __ATOMIC_RELAXED);
		assert_ok(pthread_join(busy[i].thread, NULL));
		assert_int_equal(busy[i].err, 0);
		assert_int_equal(busy[i].wrong, 0);
		assert_true(rcl_group_usage(busy[i].group) <= MIB);
		assert_ok(rcl_area_close(busy[i].area));
		assert_ok(rcl_group_destroy(busy[i].group));
	}
	assert_ok(rcl_group_destroy(parent));
	assert_ok(rcl_close(machine));
}

/* ---- no memory ---- */

struct waiter {
	struct rcl_area *area;
	uint64_t page;
	uint32_t how;
	int err, done;
};

static void *wait_for_page(void *arg)
{
	struct waiter *w = arg;
	struct rcl_pin pin;

	w->err = rcl_pin(w->area, w->page, w->how, &pin);
	rcl_unpin(&pin);
	__atomic_store_n(&w->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static bool is_done(struct waiter *w)
{
	return __atomic_load_n(&w->done, __ATOMIC_ACQUIRE);
}

/* How so many pages of a group with that limit can be pinned: the number that were. */
static uint64_t pin_as_many_as_possible(struct rcl_area *area, struct rcl_pin *pins, uint64_t max)
{
	uint64_t nr = 0;

	while (nr < max) {
		int err = rcl_pin(area, nr, RCL_WRITE, &pins[nr]);

		if (err) {
			assert_int_equal(err, -ENOMEM);
			assert_null(pins[nr].addr);
			break;
		}
		nr++;
	}
	return nr;
}

static void test_group_full_of_pins(void **state)
{
	struct rcl_machine *machine = open_machine(8 * MIB, 64 * MIB);
	struct rcl_group *group = make_group(machine, NULL, "g", 1 * MIB);
	struct rcl_pin *pins = calloc(2000, sizeof(*pins)), pin;
	struct rcl_area *area;
	struct waiter w;
	pthread_t thread;
	uint64_t nr;

	(void)state;
	assert_ok(rcl_area_anon(machine, group, 2000, 0, &area));
	nr = pin_as_many_as_possible(area, pins, 2000);
	assert_true(nr > 230 && nr < 256);
	assert_int_equal(rcl_pin(area, nr, RCL_WRITE | RCL_TRY, &pin), -EAGAIN);
	/* NOFAIL: over the limit. */
	assert_ok(rcl_pin(area, nr, RCL_WRITE | RCL_NOFAIL, &pin));
	assert_true(rcl_group_usage(group) > 1 * MIB);
	rcl_unpin(&pin);
	/* WAIT: until somebody unpins. */
	w = (struct waiter){.area = area, .page = 1500, .how = RCL_WRITE | RCL_WAIT};
	assert_ok(pthread_create(&thread, NULL, wait_for_page, &w));
	usleep(200000);
	assert_false(is_done(&w));
	rcl_unpin_batch(pins, nr / 2);
	assert_ok(pthread_join(thread, NULL));
	assert_ok(w.err);
	/* ... or the limit is raised. */
	nr = pin_as_many_as_possible(area, pins, 2000);
	w = (struct waiter){.area = area, .page = 1501, .how = RCL_READ | RCL_WAIT};
	assert_ok(pthread_create(&thread, NULL, wait_for_page, &w));
	usleep(100000);
	assert_false(is_done(&w));
	assert_ok(rcl_group_set_max(group, 4 * MIB));
	assert_ok(pthread_join(thread, NULL));
	assert_ok(w.err);
	rcl_unpin_batch(pins, 2000);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_group_destroy(group));
	assert_ok(rcl_close(machine));
	free(pins);
}

static void test_machine_full_of_pins(void **state)
{
	struct rcl_machine *machine = open_machine(2 * MIB, 64 * MIB);
	struct rcl_pin *pins = calloc(2000, sizeof(*pins)), pin;
	struct rcl_area *area, *other;
	struct waiter w[2];
	pthread_t threads[2];
	void *block;
	uint64_t nr;

	(void)state;
	assert_ok(rcl_area_anon(machine, NULL, 2000, 0, &area));
	assert_ok(rcl_area_anon(machine, NULL, 2000, 0, &other));
	nr = pin_as_many_as_possible(area, pins, 2000);
	assert_true(nr > 350 && nr < 512);
	assert_int_equal(rcl_pin(other, 0, RCL_WRITE, &pin), -ENOMEM);
	assert_int_equal(rcl_pin(other, 0, RCL_WRITE | RCL_TRY, &pin), -EAGAIN);
	assert_int_equal(rcl_frames_alloc(machine, NULL, 4, 0, &block), -ENOMEM);
	assert_null(block);
	assert_int_equal(rcl_frames_alloc(machine, NULL, 4, RCL_TRY, &block), -EAGAIN);
	/* Here NOFAIL has to wait as well. */
	w[0] = (struct waiter){.area = other, .page = 1, .how = RCL_WRITE | RCL_NOFAIL};
	w[1] = (struct waiter){.area = other, .page = 2, .how = RCL_OVERWRITE | RCL_WAIT};
	for (int i = 0; i < 2; i++)
		assert_ok(pthread_create(&threads[i], NULL, wait_for_page, &w[i]));
	usleep(200000);
	assert_false(is_done(&w[0]) || is_done(&w[1]));
	rcl_unpin_batch(pins, nr / 2);
	for (int i = 0; i < 2; i++) {
		assert_ok(pthread_join(threads[i], NULL));
		assert_ok(w[i].err);
	}
	rcl_unpin_batch(pins, nr);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_area_close(other));
	assert_ok(rcl_close(machine));
	free(pins);
}

/* Two threads that want three quarters of the memory each, all at once, again and again. */
struct greedy {
	struct rcl_area *area;
	int rounds;
};

static void *take_most(void *arg)
{
	struct greedy *g = arg;
	struct rcl_pin *pins = calloc(700, sizeof(*pins));

	for (int i = 0; i < g->rounds; i++) {
		assert_ok(rcl_pin_range(g->area, 0, 700, RCL_WRITE | RCL_WAIT, pins));
		for (int j = 0; j < 700; j++)
			*(int *)pins[j].addr = i * 1000 + j;
		sched_yield();
		for (int j = 0; j < 700; j++)
			assert_int_equal(*(int *)pins[j].addr, i * 1000 + j);
		rcl_unpin_batch(pins, 700);
	}
	free(pins);
	return NULL;
}

static void test_batches_do_not_deadlock(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 64 * MIB);
	struct greedy g[2] = {{.rounds = 5}, {.rounds = 5}};
	pthread_t threads[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_ok(rcl_area_anon(machine, NULL, 700, 0, &g[i].area));
		assert_ok(pthread_create(&threads[i], NULL, take_most, &g[i]));
	}
	for (int i = 0; i < 2; i++)
		assert_ok(pthread_join(threads[i], NULL));
	for (int i = 0; i < 2; i++)
		assert_ok(rcl_area_close(g[i].area));
	assert_ok(rcl_close(machine));
}

/* ---- frames ---- */

static void test_frames(void **state)
{
	struct rcl_machine *machine = open_machine(64 * MIB, 0);
	struct rcl_group *group = make_group(machine, NULL, "g", 8 * MIB);
	void *blocks[11], *block;

	(void)state;
	for (unsigned order = 0; order <= 10; order++) {
		assert_ok(rcl_frames_alloc(machine, group, order, 0, &blocks[order]));
		assert_int_equal((uintptr_t)blocks[order] % ((uintptr_t)RCL_PAGE_SIZE << order), 0);
		assert_true(is_zero(blocks[order], RCL_PAGE_SIZE << order));
		memset(blocks[order], 0xa5, RCL_PAGE_SIZE << order);
	}
	assert_true(rcl_group_usage(group) >= 2047 * RCL_PAGE_SIZE);
	assert_int_equal(rcl_group_destroy(group), -EBUSY);
	assert_int_equal(rcl_frames_alloc(machine, group, 10, 0, &block), -ENOMEM);
	assert_null(block);
	assert_int_equal(rcl_frames_alloc(machine, group, 10, RCL_TRY, &block), -EAGAIN);
	assert_ok(rcl_frames_alloc(machine, group, 8, RCL_NOFAIL, &block));
	rcl_frames_free(machine, block, 8);
	assert_int_equal(rcl_frames_alloc(machine, group, 11, 0, &block), -EINVAL);
	assert_int_equal(rcl_frames_alloc(machine, group, 0, RCL_READ, &block), -EINVAL);
	assert_int_equal(rcl_frames_alloc(machine, group, 0, RCL_TRY | RCL_WAIT, &block), -EINVAL);
	/* What is no such block is left alone. */
	rcl_frames_free(machine, NULL, 0);
	rcl_frames_free(machine, &block, 0);
	rcl_frames_free(machine, (char *)blocks[3] + RCL_PAGE_SIZE, 0);
	rcl_frames_free(machine, blocks[3], 2);
	for (unsigned order = 0; order <= 10; order++) {
		for (size_t i = 0; i < RCL_PAGE_SIZE << order; i++)
			if (((unsigned char *)blocks[order])[i] != 0xa5)
				fail_msg("order %u byte %zu", order, i);
		rcl_frames_free(machine, blocks[order], order);
		rcl_frames_free(machine, blocks[order], order);
	}
	/* Used again, and zeroed again. */
	assert_ok(rcl_frames_alloc(machine, NULL, 10, 0, &block));
	assert_true(is_zero(block, RCL_PAGE_SIZE << 10));
	rcl_frames_free(machine, block, 10);
	assert_ok(rcl_group_destroy(group));
	assert_ok(rcl_close(machine));
}

/* ---- counters ---- */

static void test_stats_sizes(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0), *other = open_machine(4 * MIB, 0);
	struct rcl_group *group = make_group(other, NULL, "g", RCL_UNLIMITED);
	struct {
		struct rcl_stats stats;
		uint64_t later[4];
	} s;

	(void)state;
	memset(&s, 0xff, sizeof(s));
	s.stats.size = 0;
	assert_int_equal(rcl_stats_read(machine, NULL, &s.stats), -EINVAL);
	s.stats.size = sizeof(s.stats);
	assert_int_equal(rcl_stats_read(machine, group, &s.stats), -EINVAL);
	/* An older caller: only what it knows. */
	s.stats.size = offsetof(struct rcl_stats, anon);
	assert_ok(rcl_stats_read(machine, NULL, &s.stats));
	assert_int_equal(s.stats.size, offsetof(struct rcl_stats, anon));
	assert_int_equal(s.stats.budget, 4 * MIB);
	assert_int_equal(s.stats.anon, UINT64_MAX);
	/* A newer one: zeros for what we do not know. */
	s.stats.size = sizeof(s) - sizeof(s.later[0]);
	assert_ok(rcl_stats_read(machine, NULL, &s.stats));
	assert_int_equal(s.stats.checksum_errors, 0);
	assert_int_equal(s.later[2], 0);
	assert_int_equal(s.later[3], UINT64_MAX);
	assert_ok(rcl_group_destroy(group));
	assert_ok(rcl_close(other));
	assert_ok(rcl_close(machine));
}

static void test_stats_text(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0);
	struct rcl_group *group = make_group(machine, NULL, "g", RCL_UNLIMITED);
	static char all[65536], part[65536];
	size_t len;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct rcl_group *whose = i ? group : NULL;

		len = rcl_stats_text(machine, whose, all, sizeof(all));
		assert_int_equal(len, strlen(all));
		assert_int_equal(all[len - 1], '\n');
		assert_non_null(strstr(all, i ? "\npgscan 0\n" : "\npgfault 0\n"));
		assert_int_equal(rcl_stats_text(machine, whose, NULL, 0), len);
		memset(part, 'x', sizeof(part));
		assert_int_equal(rcl_stats_text(machine, whose, part, 100), len);
		assert_int_equal(strlen(part), 99);
		assert_memory_equal(part, all, 99);
		assert_int_equal(part[100], 'x');
		assert_int_equal(rcl_stats_text(machine, whose, part, 1), len);
		assert_int_equal(part[0], 0);
		assert_int_equal(rcl_stats_text(machine, whose, part, len), len);
		assert_int_equal(strlen(part), len - 1);
	}
	assert_ok(rcl_group_destroy(group));
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
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_limit_that_cannot_be_met),
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_destroyed_group_leaves_pages),
		cmocka_unit_test(test_groups_come_and_go),
		cmocka_unit_test(test_groups_go_while_others_work),
		cmocka_unit_test(test_group_full_of_pins),
		cmocka_unit_test(test_machine_full_of_pins),
		cmocka_unit_test(test_batches_do_not_deadlock),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_stats_sizes),
		cmocka_unit_test(test_stats_text),
	};

	alarm(WATCHDOG_SECONDS);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
