/* SPDX-License-Identifier: MIT */
/*
 * Reading a file far larger than the budget, and getting rid of its pages.
 *
 *	bench_host_file [-r repeats] [-b budget in MiB] [-n] [kind]...
 *
 *   random      4 KiB pages at random of a file 16 times the budget, one at a time and 32 at a
 *               time. Peers: raw io_uring at the same depth (O_DIRECT, no cache at all, so it
 *               reads the sixteenth that we find in memory too), and mmap() of the file with
 *               MADV_RANDOM in a memory cgroup of the budget's size.
 *   sequential  all of the file once. Peers: raw io_uring, STREAM_DEPTH requests of STREAM_BYTES
 *               at a time into the same few places, which is what the disk gives to who caches
 *               nothing; mmap() with MADV_SEQUENTIAL in such a cgroup.
 *   eviction    CPU time of reclaiming clean, mapped file pages, and system calls a page.
 *
 * -n: ours alone, without peers. Kinds: random1 random32 sequential eviction; all if none is named.
 * Each page that is read is looked at in eight places. Runs of the peers alternate with ours;
 * medians. Before each run of a peer the kernel drops what it has cached of the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "peer.h"
#include "reclaim/reclaim.h"

#define FILE_TIMES 16
#define DEPTH_MAX  32

#define STREAM_DEPTH 4
#define STREAM_BYTES (2u << 20)

struct bench {
	const char *path;
	uint64_t budget, bytes, pages;
	uint64_t reads; /* of a random run */
	unsigned depth;
	uint64_t seed;
	bool alone; /* no peers */
};

static uint64_t look(const void *page)
{
	const uint64_t *words = page;
	uint64_t sum = 0;

	for (unsigned i = 0; i < 512; i += 64)
		sum += words[i];
	return sum;
}

static void drop_cache(const struct bench *b)
{
	int fd = open(b->path, O_RDONLY | O_CLOEXEC);

	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

/* ---- Ours ---------------------------------------------------------------------------------- */

static struct rcl_area *open_area(const struct bench *b, struct rcl_machine **machine)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;
	struct rcl_area *area;
	int err;

	opt.budget = b->budget;
	opt.flags = RCL_OPEN_PREALLOCATE; /* zeroing memory is not what is measured */
	err = rcl_open(&opt, machine, NULL);
	if (!err)
		err = rcl_area_file(*machine, NULL, b->path, 0, &area);
	if (err)
		die("open", err);
	return area;
}

static void close_area(struct rcl_area *area, struct rcl_machine *machine)
{
	if (rcl_area_close(area) || rcl_close(machine))
		die("close", -EBUSY);
}

static volatile uint64_t seen;

static void use_page(struct rcl_area *area, uint64_t page)
{
	struct rcl_pin pin;
	int err = rcl_pin(area, page, RCL_READ, &pin);

	if (err)
		die("pin", err);
	seen += look(pin.addr);
	rcl_unpin(&pin);
}

static double ours_random(struct bench *b)
{
	struct rcl_machine *machine;
	struct rcl_area *area = open_area(b, &machine);
	uint64_t state = b->seed, warm = b->budget / RCL_PAGE_SIZE;
	double begun = 0;

	rcl_area_advise(area, 0, 0, RCL_ADVISE_RANDOM);
	/* The first budgetful meets free memory: not what is to be measured. */
	for (uint64_t i = 0; i < warm + b->reads; i += b->depth) {
		uint64_t pages[DEPTH_MAX];
		struct rcl_place places[DEPTH_MAX];
		struct rcl_pin pins[DEPTH_MAX];

		if (!begun && i >= warm)
			begun = now_s();
		for (unsigned k = 0; k < b->depth; k++)
			pages[k] = random_below(&state, b->pages);
		if (b->depth == 1) {
			use_page(area, pages[0]);
			continue;
		}
		for (unsigned k = 0; k < b->depth; k++)
			places[k] = (struct rcl_place){area, pages[k]};
		int err = rcl_pin_batch(places, b->depth, RCL_READ, pins);

		if (err)
			die("pin a batch", err);
		for (unsigned k = 0; k < b->depth; k++)
			seen += look(pins[k].addr);
		rcl_unpin_batch(pins, b->depth);
	}
	begun = now_s() - begun;
	close_area(area, machine);
	return (double)b->reads / begun;
}

static double ours_sequential(struct bench *b)
{
	struct rcl_machine *machine;
	struct rcl_area *area = open_area(b, &machine);
	double begun = now_s();

	rcl_area_advise(area, 0, 0, RCL_ADVISE_SEQUENTIAL);
	for (uint64_t i = 0; i < b->pages; i++)
		use_page(area, i);
	begun = now_s() - begun;
	close_area(area, machine);
	return (double)b->bytes / begun;
}

/* Pages a second of CPU time; *calls: context switches a page, as the sign of system calls. */
static double ours_eviction(struct bench *b)
{
	struct rcl_machine *machine;
	struct rcl_options opt = RCL_OPTIONS_INIT;
	struct rcl_group *group;
	struct rcl_area *area;
	uint64_t pages = b->bytes / RCL_PAGE_SIZE / 2, gone = 0;
	double begun;
	int err;

	opt.budget = b->bytes;
	err = rcl_open(&opt, &machine, NULL);
	if (!err)
		err = rcl_group_create(machine, NULL, "bench", &group);
	if (!err)
		err = rcl_area_file(machine, group, b->path, 0, &area);
	if (err)
		die("open", err);
	rcl_area_advise(area, 0, 0, RCL_ADVISE_SEQUENTIAL);
	for (uint64_t i = 0; i < pages; i++)
		use_page(area, i);
	rcl_area_advise(area, 0, 0, RCL_ADVISE_NORMAL);
	begun = cpu_s();
	while (gone < pages / 2) {
		uint64_t now = rcl_group_reclaim(group, 4 << 20) / RCL_PAGE_SIZE;

		if (!now)
			break;
		gone += now;
	}
	begun = cpu_s() - begun;
	if (rcl_area_close(area) || rcl_group_destroy(group) || rcl_close(machine))
		die("close", -EBUSY);
	return (double)gone / begun;
}

/* ---- Peers --------------------------------------------------------------------------------- */

static double uring_random(struct bench *b)
{
	int fd = open(b->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	uint64_t state = b->seed, sent = 0, done = 0;
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	double begun;
	char *buf;

	if (b->alone || fd < 0 || io_uring_queue_init(DEPTH_MAX, &ring, 0))
		return -1;
	if (posix_memalign((void **)&buf, 4096, DEPTH_MAX * 4096ul))
		die("buffers", -ENOMEM);
	begun = now_s();
	while (done < b->reads) {
		while (sent < b->reads && sent - done < b->depth) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
			char *to = buf + sent % DEPTH_MAX * 4096;

			io_uring_prep_read(sqe, fd, to, 4096,
					   random_below(&state, b->pages) * RCL_PAGE_SIZE);
			io_uring_sqe_set_data(sqe, to);
			sent++;
		}
		io_uring_submit_and_wait(&ring, 1);
		while (!io_uring_peek_cqe(&ring, &cqe)) {
			if (cqe->res != 4096)
				die("raw read", cqe->res);
			seen += look(io_uring_cqe_get_data(cqe));
			io_uring_cqe_seen(&ring, cqe);
			done++;
		}
	}
	begun = now_s() - begun;
	io_uring_queue_exit(&ring);
	close(fd);
	free(buf);
	return (double)b->reads / begun;
}

static double uring_sequential(struct bench *b)
{
	int fd = open(b->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	uint64_t sent = 0, done = 0;
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	double begun;
	char *buf;

	if (b->alone || fd < 0 || io_uring_queue_init(STREAM_DEPTH, &ring, 0))
		return -1;
	if (posix_memalign((void **)&buf, STREAM_BYTES, STREAM_DEPTH * STREAM_BYTES))
		die("buffers", -ENOMEM);
	madvise(buf, STREAM_DEPTH * STREAM_BYTES, MADV_HUGEPAGE);
	memset(buf, 1, STREAM_DEPTH * STREAM_BYTES);
	begun = now_s();
	while (done < b->bytes) {
		while (sent < b->bytes && sent - done < STREAM_DEPTH * STREAM_BYTES) {
			char *to = buf + sent % (STREAM_DEPTH * STREAM_BYTES);
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

			io_uring_prep_read(sqe, fd, to, STREAM_BYTES, sent);
			sent += STREAM_BYTES;
		}
		io_uring_submit_and_wait(&ring, STREAM_DEPTH);
		while (!io_uring_peek_cqe(&ring, &cqe)) {
			if (cqe->res != (int)STREAM_BYTES)
				die("raw read", cqe->res);
			io_uring_cqe_seen(&ring, cqe);
			done += STREAM_BYTES;
		}
		for (size_t at = 0; at < STREAM_DEPTH * STREAM_BYTES; at += RCL_PAGE_SIZE)
			seen += look(buf + at);
	}
	begun = now_s() - begun;
	io_uring_queue_exit(&ring);
	close(fd);
	free(buf);
	return (double)b->bytes / begun;
}

static char *map_file(const struct bench *b, int advice)
{
	int fd = open(b->path, O_RDONLY | O_CLOEXEC);
	char *mem = mmap(NULL, b->bytes, PROT_READ, MAP_SHARED, fd, 0);

	if (mem == MAP_FAILED)
		die("mmap", -errno);
	madvise(mem, b->bytes, advice);
	close(fd);
	return mem;
}

static double mmap_random(void *arg)
{
	const struct bench *b = arg;
	uint64_t state = b->seed, warm = b->budget / RCL_PAGE_SIZE;
	char *mem = map_file(b, MADV_RANDOM);
	double begun = 0;

	for (uint64_t i = 0; i < warm + b->reads; i++) {
		if (i == warm)
			begun = now_s();
		seen += look(mem + random_below(&state, b->pages) * RCL_PAGE_SIZE);
	}
	return (double)b->reads / (now_s() - begun);
}

static double mmap_sequential(void *arg)
{
	const struct bench *b = arg;
	char *mem = map_file(b, MADV_SEQUENTIAL);
	double begun = now_s();

	for (uint64_t i = 0; i < b->pages; i++)
		seen += look(mem + i * RCL_PAGE_SIZE);
	return (double)b->bytes / (now_s() - begun);
}

static double peer_mmap(struct bench *b, double (*fn)(void *))
{
	double value;

	if (b->alone)
		return -1;
	drop_cache(b);
	value = in_cgroup(b->budget, fn, b);
	drop_cache(b);
	return value;
}

/* ---- The report ---------------------------------------------------------------------------- */

static void report(const char *name, double *ours, unsigned n, double scale, const char *unit)
{
	printf("  %-28s %10.1f %s\n", name, median(ours, n) / scale, unit);
}

static void report_peer(const char *name, const double *ours, double *peer, unsigned n,
			double scale, const char *unit)
{
	double value = median(peer, n);

	if (peer[0] < 0)
		printf("  %-28s not to be had here\n", name);
	else
		printf("  %-28s %10.1f %s   reclaim: %.2fx\n", name, value / scale, unit,
		       ours[n / 2] / value);
}

static void random_reads(struct bench *b, unsigned repeats)
{
	double ours[MAX_REPEATS], raw[MAX_REPEATS], mapped[MAX_REPEATS];

	for (unsigned i = 0; i < repeats; i++) {
		b->seed = i + 1;
		ours[i] = ours_random(b);
		raw[i] = uring_random(b);
		if (b->depth == 1)
			mapped[i] = peer_mmap(b, mmap_random);
	}
	printf("random 4 KiB reads, %u at a time\n", b->depth);
	report("reclaim", ours, repeats, 1e3, "k/s");
	report_peer("io_uring, no cache", ours, raw, repeats, 1e3, "k/s");
	if (b->depth == 1)
		report_peer("mmap in a cgroup", ours, mapped, repeats, 1e3, "k/s");
}

static void sequential(struct bench *b, unsigned repeats)
{
	double ours[MAX_REPEATS], raw[MAX_REPEATS], mapped[MAX_REPEATS];

	for (unsigned i = 0; i < repeats; i++) {
		ours[i] = ours_sequential(b);
		raw[i] = uring_sequential(b);
		mapped[i] = peer_mmap(b, mmap_sequential);
	}
	printf("all of it in order\n");
	report("reclaim", ours, repeats, 1e6, "MB/s");
	report_peer("io_uring, no cache", ours, raw, repeats, 1e6, "MB/s");
	report_peer("mmap in a cgroup", ours, mapped, repeats, 1e6, "MB/s");
}

static void eviction(struct bench *b, unsigned repeats)
{
	double ours[MAX_REPEATS];

	for (unsigned i = 0; i < repeats; i++)
		ours[i] = ours_eviction(b);
	printf("eviction of clean pages\n");
	report("reclaim", ours, repeats, 1e6, "M pages/s of one core");
}

static bool is_asked(char **kinds, int nr, const char *kind)
{
	for (int i = 0; i < nr; i++)
		if (!strcmp(kinds[i], kind))
			return true;
	return !nr;
}

int main(int argc, char **argv)
{
	struct bench b = {.budget = 32ull << 20};
	unsigned repeats = 5;
	char *path;
	int opt;

	while ((opt = getopt(argc, argv, "r:b:n")) != -1) {
		if (opt == 'r')
			repeats = (unsigned)atoi(optarg);
		else if (opt == 'b')
			b.budget = (uint64_t)atoi(optarg) << 20;
		else if (opt == 'n')
			b.alone = true;
		else
			repeats = 0;
	}
	if (repeats < 1 || repeats > MAX_REPEATS || b.budget < 4 << 20) {
		fprintf(stderr, "usage: bench_host_file [-r repeats] [-b budget in MiB] [-n] "
				"[random1|random32|sequential|eviction]...\n");
		return 2;
	}
	argv += optind;
	argc -= optind;
	b.bytes = FILE_TIMES * b.budget;
	b.pages = b.bytes / RCL_PAGE_SIZE;
	b.path = path = make_file(scratch_dir(), b.bytes);
	printf("a file of %llu MiB, a budget of %llu MiB; medians of %u\n",
	       (unsigned long long)b.bytes >> 20, (unsigned long long)b.budget >> 20, repeats);
	for (b.depth = 1; b.depth <= DEPTH_MAX; b.depth *= DEPTH_MAX) {
		b.reads = (b.depth > 1 ? 8 : 1) * 20000;
		if (is_asked(argv, argc, b.depth > 1 ? "random32" : "random1"))
			random_reads(&b, repeats);
	}
	if (is_asked(argv, argc, "sequential"))
		sequential(&b, repeats);
	if (is_asked(argv, argc, "eviction"))
		eviction(&b, repeats);
	unlink(path);
	free(path);
	return 0;
}
