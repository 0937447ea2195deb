/* SPDX-License-Identifier: MIT */
/*
 * kill -9: a child writes pages of a file and syncs, and is killed at some moment; then the file is
 * read without the library. What must hold, by the header:
 *
 *   every page holds what it was between two pins for writing, and nothing in between
 *   not older than what the last sync that succeeded had covered
 *
 * Each word of a page says which version of it this is. The child notes in memory that it shares
 * with its parent what it is going to write, and after each sync what that has made durable.
 */
#include "api_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#define PAGES	600u
#define WRITERS 2u
#define ROUNDS	60u
#define WORDS	(RCL_PAGE_SIZE / 8)

struct notes {
	_Atomic uint64_t begun[PAGES];	/* version that is being, or was last, written */
	_Atomic uint64_t synced[PAGES]; /* version that is on the disk for certain */
	_Atomic uint64_t nr_syncs;
};

struct child {
	struct notes *notes;
	struct rcl_area *area;
	const char *path, *swap;
	unsigned round;
};

static struct folder folder;

static uint64_t random_of(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

/* Word i of this version of a page. The version can be told from any one word. */
static uint64_t word_of(uint64_t page, uint64_t version, uint64_t i)
{
	return version << 32 | ((page * WORDS + i) * 0x9e3779b1u & 0xffffffffu);
}

static void fill_version(uint64_t *words, uint64_t page, uint64_t version)
{
	for (uint64_t i = 0; i < WORDS; i++)
		words[i] = word_of(page, version, i);
}

/* ---- the child: failures end it with a code of their own ---- */

enum {
	CANNOT_OPEN = 1,
	CANNOT_PIN,
	CANNOT_SYNC,
	CANNOT_START,
};

struct writer {
	struct child *c;
	unsigned nr;
};

static void *write_for_ever(void *arg)
{
	struct writer *w = arg;
	struct child *c = w->c;
	struct notes *n = c->notes;
	uint64_t state = c->round * WRITERS + w->nr + 1, covered[PAGES];

	for (;;) {
		uint64_t burst = 1 + random_of(&state) % 60;
		uint64_t first, nr;

		/* Pages of its own: what is noted and what is written must agree. */
		for (uint64_t i = 0; i < burst; i++) {
			uint64_t page = random_of(&state) % (PAGES / WRITERS) * WRITERS + w->nr;
			uint64_t version = atomic_load(&n->begun[page]) + 1;
			bool all = random_of(&state) % 2;
			struct rcl_pin pin;

			if (rcl_pin(c->area, page, all ? RCL_OVERWRITE : RCL_WRITE, &pin))
				_exit(CANNOT_PIN);
			atomic_store(&n->begun[page], version);
			fill_version(pin.addr, page, version);
			rcl_unpin(&pin);
		}
		for (uint64_t p = 0; p < PAGES; p++)
			covered[p] = atomic_load(&n->begun[p]);
		first = random_of(&state) % 2 ? 0 : random_of(&state) % PAGES;
		nr = first ? 1 + random_of(&state) % (PAGES - first) : 0;
		if (rcl_area_sync(c->area, first, nr))
			_exit(CANNOT_SYNC);
		for (uint64_t p = first; p < (nr ? first + nr : PAGES); p++)
			if (p % WRITERS == w->nr)
				atomic_store(&n->synced[p], covered[p]);
		atomic_fetch_add(&n->nr_syncs, 1);
	}
	return NULL;
}

/* Other work, so that the file's pages are reclaimed and swap is in use. */
static void *fill_memory(void *arg)
{
	struct rcl_area *area = arg;

	for (uint64_t i = 0;; i = (i + 1) % 800) {
		struct rcl_pin pin;

		if (rcl_pin(area, i, RCL_WRITE | RCL_WAIT, &pin))
			_exit(CANNOT_PIN);
		fill_page(pin.addr, i);
		rcl_unpin(&pin);
	}
	return NULL;
}

static void run_child(struct child *c)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;
	uint32_t flags = RCL_AREA_WRITE | (c->round & 2 ? RCL_AREA_BUFFERED : 0);
	struct writer writers[WRITERS];
	struct rcl_machine *machine;
	struct rcl_area *anon;
	pthread_t thread;
	char *message;

	opt.budget = 2 * MIB;
	opt.swap_size = 16 * MIB;
	/* Named: the dead child's lock on it must be gone. Unnamed: nothing may stay behind. */
	if (c->round & 4)
		opt.swap_path = c->swap;
	else
		opt.swap_dir = folder.path;
	opt.flags = c->round & 1 ? RCL_OPEN_NO_URING : 0;
	if (rcl_open(&opt, &machine, &message)) {
		fprintf(stderr, "rcl_open: %s\n", message);
		_exit(CANNOT_OPEN);
	}
	if (rcl_area_file(machine, NULL, c->path, flags, &c->area) ||
	    rcl_area_anon(machine, NULL, 800, 0, &anon))
		_exit(CANNOT_OPEN);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){c, i};
		if (pthread_create(&thread, NULL, write_for_ever, &writers[i]))
			_exit(CANNOT_START);
	}
	fill_memory(anon);
}

/* ---- the parent ---- */

/* Everything whole and as new as it must be. Returns how many are newer than the last sync. */
static uint64_t check_file(int fd, struct notes *n, unsigned round)
{
	uint64_t words[WORDS], newer = 0;

	for (uint64_t page = 0; page < PAGES; page++) {
		uint64_t begun = atomic_load(&n->begun[page]);
		uint64_t synced = atomic_load(&n->synced[page]), version;

		assert_int_equal(pread(fd, words, sizeof(words), (off_t)(page * sizeof(words))),
				 sizeof(words));
		version = words[0] >> 32;
		if (version < synced || version > begun)
			fail_msg("round %u: page %llu holds version %llu; %llu was synced, "
				 "%llu is the newest",
				 round, (unsigned long long)page, (unsigned long long)version,
				 (unsigned long long)synced, (unsigned long long)begun);
		for (uint64_t i = 0; i < WORDS; i++)
			if (words[i] != word_of(page, version, i))
				fail_msg("round %u: page %llu is torn: word %llu of version %llu "
					 "is %#llx",
					 round, (unsigned long long)page, (unsigned long long)i,
					 (unsigned long long)version, (unsigned long long)words[i]);
		newer += version > synced;
	}
	return newer;
}

/* All pages whole, and of the version that was begun last, for the next round. */
static void renew_file(int fd, struct notes *n)
{
	uint64_t words[WORDS];

	for (uint64_t page = 0; page < PAGES; page++) {
		fill_version(words, page, atomic_load(&n->begun[page]));
		assert_int_equal(pwrite(fd, words, sizeof(words), (off_t)(page * sizeof(words))),
				 sizeof(words));
		atomic_store(&n->synced[page], atomic_load(&n->begun[page]));
	}
	assert_ok(fsync(fd));
}

/* The child has synced at least once since, or has ended. */
static void wait_for_sync(struct notes *n, pid_t pid)
{
	uint64_t seen = atomic_load(&n->nr_syncs);
	int status;

	while (atomic_load(&n->nr_syncs) == seen) {
		if (waitpid(pid, &status, WNOHANG))
			fail_msg("the child has ended by itself: %#x", (unsigned)status);
		usleep(200);
	}
}

static void test_kill(void **state)
{
	struct child c = {.round = 0};
	uint64_t random = (uint64_t)time(NULL), newer = 0, syncs = 0;
	char path[TEST_PATH_SIZE], swap[TEST_PATH_SIZE];
	int fd;

	(void)state;
	c.notes = mmap(NULL, sizeof(*c.notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	assert_true(c.notes != MAP_FAILED);
	snprintf(path, sizeof(path), "%s/file", folder.path);
	snprintf(swap, sizeof(swap), "%s/swap", folder.path);
	c.path = path;
	c.swap = swap;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	for (; c.round < ROUNDS; c.round++) {
		pid_t pid;
		int status;

		renew_file(fd, c.notes);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			alarm(60);
			run_child(&c);
		}
		wait_for_sync(c.notes, pid);
		usleep((useconds_t)(random_of(&random) % 20000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			fail_msg("the child has ended by itself: %#x", (unsigned)status);
		newer += check_file(fd, c.notes, c.round);
		syncs += atomic_exchange(&c.notes->nr_syncs, 0);
	}
	close(fd);
	/* It was killed while it was at work. */
	assert_true(syncs >= ROUNDS);
	assert_true(newer > 0);
	/* Only what has a name is there. */
	assert_ok(unlink(path));
	assert_ok(unlink(swap));
	assert_ok(rmdir(folder.path));
	folder_make(&folder);
	print_message("%u rounds, %llu syncs, %llu pages newer than the last sync\n", ROUNDS,
		      (unsigned long long)syncs, (unsigned long long)newer);
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
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill)};

	alarm(WATCHDOG_SECONDS);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
