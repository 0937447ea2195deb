/* SPDX-License-Identifier: MIT */
/*
 * More threads than there are rings and requests to go round: many at once over several groups, and
 * many more that come, do a little, and end with I/O under way. Every page is verified, and nothing
 * of them stays behind.
 */
#include "api_test.h"

#include <pthread.h>

#include "api/internal.h"
#include "platform/host/internal.h"

#define GROUPS	   4
#define PAGES	   500 /* of each area; a group has an anonymous one and a file */
#define AREAS	   (2 * GROUPS)
#define DEPTH	   16 /* I/Os under way */
#define THREADS	   200
#define PASSERS_BY 1000
#define AT_A_TIME  50
#ifdef __SANITIZE_THREAD__
#define STEPS 50
#else
#define STEPS 150
#endif
#define FEW_STEPS 4

struct world {
	struct folder folder;
	struct rcl_machine *machine;
	struct rcl_group *groups[GROUPS];
	struct rcl_area *areas[AREAS];
	pthread_mutex_t locks[AREAS][PAGES]; /* who uses a page's content */
	uint64_t count[AREAS][PAGES];	     /* under the lock: what it must say */
};
struct worker {
	struct world *w;
	uint64_t seed;
	unsigned int steps;
	pthread_t thread;
};

static uint64_t next(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* The page says what was written last; say something else if it is to be written. */
static void use_page(struct world *w, unsigned int a, uint64_t page, struct rcl_pin *pin,
		     bool write)
{
	uint64_t *count = &w->count[a][page];

	pthread_mutex_lock(&w->locks[a][page]);
	if (*count)
		assert_true(page_is(pin->addr, *count + page));
	else
		assert_true(is_zero(pin->addr, RCL_PAGE_SIZE));
	if (write)
		fill_page(pin->addr, ++*count + page);
	pthread_mutex_unlock(&w->locks[a][page]);
}

static void step(struct worker *k)
{
	struct world *w = k->w;
	uint64_t r = next(&k->seed), page = (r >> 16) % PAGES;
	unsigned int a = r % AREAS;
	bool write = r >> 8 & 1;
	struct rcl_pin pins[4];

	switch ((r >> 40) % 16) {
	case 0:
		assert_ok(rcl_prefetch(w->areas[a], page, 32));
		break;
	case 1:
		page = min(page, (uint64_t)PAGES - 32);
		assert_ok(rcl_area_advise(w->areas[a], page, 32, RCL_ADVISE_PAGEOUT));
		break;
	case 2:
		page = min(page, (uint64_t)PAGES - 4);
		assert_ok(rcl_pin_range(w->areas[a], page, 4, write ? RCL_WRITE : RCL_READ, pins));
		for (unsigned int i = 0; i < 4; i++)
			use_page(w, a, page + i, &pins[i], write);
		rcl_unpin_batch(pins, 4);
		break;
	default:
		assert_ok(rcl_pin(w->areas[a], page, write ? RCL_WRITE : RCL_READ, pins));
		use_page(w, a, page, pins, write);
		rcl_unpin(pins);
	}
}

static void *work(void *arg)
{
	struct worker *k = arg;

	for (unsigned int i = 0; i < k->steps; i++)
		step(k);
	return NULL;
}

static void start(struct worker *k, struct world *w, uint64_t seed, unsigned int steps)
{
	*k = (struct worker){.w = w, .seed = seed, .steps = steps};
	assert_ok(pthread_create(&k->thread, NULL, work, k));
}

static size_t length(const struct list_head *list)
{
	size_t n = 0;

	for (const struct list_head *l = list->next; l != list; l = l->next)
		n++;
	return n;
}

/* Threads that the platform knows of, and tasks that the engine does. */
static size_t known_threads(struct world *w)
{
	struct rcl_host *h = w->machine->host;
	size_t n;

	pthread_mutex_lock(&h->lock);
	n = length(&h->threads);
	pthread_mutex_unlock(&h->lock);
	return n;
}
static size_t known_tasks(struct world *w)
{
	struct rcl *m = w->machine->m;
	size_t n;

	spin_lock(&m->tasks_lock);
	n = length(&m->tasks);
	spin_unlock(&m->tasks_lock);
	return n;
}

static struct world *open_world(bool no_uring)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;
	struct world *w = calloc(1, sizeof(*w));
	char name[16];

	folder_make(&w->folder);
	opt.budget = 8 * MIB;
	opt.swap_size = 64 * MIB;
	opt.swap_dir = w->folder.path;
	opt.io_depth = DEPTH;
	opt.flags = no_uring ? RCL_OPEN_NO_URING : 0;
	assert_ok(rcl_open(&opt, &w->machine, NULL));
	for (unsigned int g = 0; g < GROUPS; g++) {
		snprintf(name, sizeof(name), "g%u", g);
		assert_ok(rcl_group_create(w->machine, NULL, name, &w->groups[g]));
		assert_ok(rcl_group_set_max(w->groups[g], 2 * MIB));
		assert_ok(rcl_area_anon(w->machine, w->groups[g], PAGES, 0, &w->areas[2 * g]));
		assert_ok(rcl_area_file(w->machine, w->groups[g], folder_file(&w->folder, name),
					RCL_AREA_WRITE | RCL_AREA_CREATE, &w->areas[2 * g + 1]));
		assert_ok(rcl_area_truncate(w->areas[2 * g + 1], PAGES * RCL_PAGE_SIZE));
	}
	for (unsigned int a = 0; a < AREAS; a++)
		for (unsigned int i = 0; i < PAGES; i++)
			pthread_mutex_init(&w->locks[a][i], NULL);
	return w;
}

static void close_world(struct world *w)
{
	struct rcl_stats stats;

	for (unsigned int a = 0; a < AREAS; a++) {
		for (uint64_t page = 0; page < PAGES; page++) {
			struct rcl_pin pin;

			assert_ok(rcl_pin(w->areas[a], page, RCL_READ, &pin));
			use_page(w, a, page, &pin, false);
			rcl_unpin(&pin);
		}
	}
	stats = read_stats(w->machine, NULL);
	assert_true(stats.swapped_out && stats.swapped_in && stats.written && stats.read);
	assert_int_equal(stats.io_errors + stats.checksum_errors, 0);
	for (unsigned int a = 0; a < AREAS; a++)
		assert_ok(rcl_area_close(w->areas[a]));
	for (unsigned int g = 0; g < GROUPS; g++)
		assert_ok(rcl_group_destroy(w->groups[g]));
	assert_ok(rcl_close(w->machine));
	folder_remove(&w->folder);
	free(w);
}

static void many_at_once(bool no_uring)
{
	struct world *w = open_world(no_uring);
	struct worker *workers = calloc(THREADS, sizeof(*workers));
	size_t threads = known_threads(w), tasks = known_tasks(w);

	for (uint64_t i = 0; i < THREADS; i++)
		start(&workers[i], w, i, STEPS);
	for (int i = 0; i < THREADS; i++)
		assert_ok(pthread_join(workers[i].thread, NULL));
	assert_int_equal(known_threads(w), threads);
	assert_int_equal(known_tasks(w), tasks);
	free(workers);
	close_world(w);
}

static void many_that_pass_by(bool no_uring)
{
	struct world *w = open_world(no_uring);
	struct worker *workers = calloc(AT_A_TIME, sizeof(*workers));
	size_t threads = known_threads(w), tasks = known_tasks(w);

	for (uint64_t i = 0; i < PASSERS_BY; i++) {
		struct worker *k = &workers[i % AT_A_TIME];

		if (i >= AT_A_TIME)
			assert_ok(pthread_join(k->thread, NULL));
		start(k, w, 1000 + i, FEW_STEPS);
		/* Never more than there are. */
		assert_true(known_threads(w) <= threads + AT_A_TIME);
	}
	for (unsigned int i = 0; i < AT_A_TIME; i++)
		assert_ok(pthread_join(workers[i].thread, NULL));
	assert_int_equal(known_threads(w), threads);
	assert_int_equal(known_tasks(w), tasks);
	free(workers);
	close_world(w);
}

static void at_once_with_io_uring(void **state)
{
	(void)state;
	many_at_once(false);
}
static void at_once_with_a_pool(void **state)
{
	(void)state;
	many_at_once(true);
}
static void passing_by_with_io_uring(void **state)
{
	(void)state;
	many_that_pass_by(false);
}
static void passing_by_with_a_pool(void **state)
{
	(void)state;
	many_that_pass_by(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_once_with_io_uring),
		cmocka_unit_test(at_once_with_a_pool),
		cmocka_unit_test(passing_by_with_io_uring),
		cmocka_unit_test(passing_by_with_a_pool),
	};

	alarm(WATCHDOG_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
