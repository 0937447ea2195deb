/* SPDX-License-Identifier: MIT */
/*
 * Random 4 KiB reads of a file through the host platform's submit and wait, against io_uring by
 * hand, at the same depth in the same run. Kinds take turns; medians of all rounds, and of the
 * ratios within a round.
 *
 *   bench_host_io [-r rounds] [-t seconds of each] [-s MiB] [-k kind besides raw] [-d depth]
 *		   [directory, default /var/tmp]
 *
 *   raw            a ring as it comes: reap what there is, refill, submit and wait
 *   raw-fixed      with registered file and buffers
 *   raw-deferred   with completions handled where they are waited for, by one thread alone
 *   platform       submit(sync) for what is refilled, then a wait
 *   platform-plug  the same by plug_start, submit, plug_finish, and then a wait
 *   threads        the platform without io_uring
 */
#define _GNU_SOURCE 1 /* O_DIRECT */
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "platform/host/internal.h"

#define MAX_DEPTH  32
#define MAX_ROUNDS 99

enum kind {
	RAW,
	RAW_FIXED,
	RAW_DEFERRED,
	PLATFORM,
	PLATFORM_PLUG,
	THREADS,
	NR_KINDS
};
static const char *const names[] = {"raw",	"raw-fixed",	 "raw-deferred",
				    "platform", "platform-plug", "threads"};

struct bench {
	const char *path;
	const char *only;
	u64 blocks, random;
	double seconds;
	int fd;
};

/* What one run came to: nanoseconds of time and of CPU for each read. */
struct result {
	double wall, cpu;
};

static void die(const char *what, int err)
{
	fprintf(stderr, "bench_host_io: %s: %s\n", what, strerror(err < 0 ? -err : errno));
	exit(1);
}

static double clock_s(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static u64 next_block(struct bench *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random % b->blocks;
}

static struct result result_of(double wall, double cpu, u64 reads)
{
	return (struct result){.wall = (clock_s(CLOCK_MONOTONIC) - wall) * 1e9 / (double)reads,
			       .cpu = (clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e9 /
				      (double)reads};
}

/* ---- by hand ---- */

static struct result run_raw(struct bench *b, enum kind kind, u32 depth)
{
	struct io_uring_params params = {0};
	struct io_uring ring;
	struct iovec iov[MAX_DEPTH];
	char *buffers = aligned_alloc(PAGE_SIZE, depth * PAGE_SIZE);
	double start, cpu;
	u32 free_slots[MAX_DEPTH], nr_free = depth;
	u64 reads = 0;
	int err;

	if (kind == RAW_DEFERRED)
		params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	err = io_uring_queue_init_params(2 * MAX_DEPTH, &ring, &params);
	if (err)
		die("io_uring", err);
	memset(buffers, 0, depth * PAGE_SIZE);
	for (u32 i = 0; i < depth; i++) {
		free_slots[i] = i;
		iov[i] = (struct iovec){.iov_base = buffers + i * PAGE_SIZE, .iov_len = PAGE_SIZE};
	}
	if (kind == RAW_FIXED && (io_uring_register_files(&ring, &b->fd, 1) ||
				  io_uring_register_buffers(&ring, iov, depth)))
		die("registering", 0);
	start = clock_s(CLOCK_MONOTONIC);
	cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
	while (clock_s(CLOCK_MONOTONIC) < start + b->seconds) {
		struct io_uring_cqe *cqe;
		u32 head, nr = 0;

		while (nr_free) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
			u32 slot = free_slots[--nr_free];
			u64 offset = next_block(b) * PAGE_SIZE;

			if (kind == RAW_FIXED) {
				io_uring_prep_read_fixed(sqe, 0, iov[slot].iov_base, PAGE_SIZE,
							 offset, (int)slot);
				sqe->flags |= IOSQE_FIXED_FILE;
			} else {
				io_uring_prep_read(sqe, b->fd, iov[slot].iov_base, PAGE_SIZE,
						   offset);
			}
			io_uring_sqe_set_data64(sqe, slot);
		}
		err = io_uring_submit_and_wait(&ring, 1);
		if (err < 0)
			die("io_uring_enter", err);
		io_uring_for_each_cqe(&ring, head, cqe)
		{
			if (cqe->res != (int)PAGE_SIZE)
				die("read", cqe->res);
			free_slots[nr_free++] = (u32)cqe->user_data;
			nr++;
		}
		io_uring_cq_advance(&ring, nr);
		reads += nr;
	}
	io_uring_queue_exit(&ring);
	free(buffers);
	return result_of(start, cpu, reads);
}

/* ---- through the platform ---- */

struct world {
	struct rcl m; /* as much of it as the platform looks at */
	struct folio frames[MAX_DEPTH];
	u32 ended[MAX_DEPTH];
	u32 nr_ended; /* what the thread waits for */
};

static void ended(struct rcl *m, const struct rcl_io *io, int error)
{
	struct world *w = container_of(m, struct world, m);
	u32 slot = (u32)(io->folio - w->frames);

	if (error)
		die("read", error);
	__atomic_store_n(&w->ended[slot], 1, __ATOMIC_RELEASE);
	__atomic_add_fetch(&w->nr_ended, 1, __ATOMIC_RELEASE);
	m->plat->ops->wake(m->plat, &w->nr_ended, 1);
}

static struct result run_platform(struct bench *b, enum kind kind, u32 depth)
{
	struct rcl_host_config hc = {.nr_frames = MAX_DEPTH, .no_uring = kind == THREADS};
	struct world *w = calloc(1, sizeof(*w));
	const struct platform_ops *ops;
	struct result result;
	struct platform *p;
	struct rcl_host *h;
	struct task *task;
	double start, cpu;
	u64 reads = 0;
	int dev, err = rcl_host_create(&hc, &h);

	if (err)
		die("host", err);
	p = rcl_host_platform(h);
	ops = p->ops;
	w->m.frames = w->frames;
	w->m.plat = p;
	p->m = &w->m;
	h->closing = true; /* there is no machine for threads to be attached to */
	h->end_io = ended;
	task = rcl_host_enter(h, NULL);
	dev = rcl_host_open_file(h, b->path, 0);
	if (dev < 0)
		die(b->path, dev);
	memset(rcl_host_arena(h), 0, MAX_DEPTH * PAGE_SIZE);
	for (u32 i = 0; i < depth; i++)
		w->ended[i] = 1;
	start = clock_s(CLOCK_MONOTONIC);
	cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
	while (clock_s(CLOCK_MONOTONIC) < start + b->seconds) {
		u32 seen = __atomic_load_n(&w->nr_ended, __ATOMIC_ACQUIRE);

		if (kind == PLATFORM_PLUG)
			ops->plug_start(p);
		for (u32 i = 0; i < depth; i++) {
			struct rcl_io io = {.folio = &w->frames[i],
					    .dev = (u16)dev,
					    .op = RCL_IO_READ,
					    .sync = kind != PLATFORM_PLUG};

			if (!__atomic_load_n(&w->ended[i], __ATOMIC_ACQUIRE))
				continue;
			io.block = next_block(b);
			reads++;
			__atomic_store_n(&w->ended[i], 0, __ATOMIC_RELAXED);
			ops->submit(p, &io);
		}
		if (kind == PLATFORM_PLUG)
			ops->plug_finish(p);
		ops->wait_on(p, &w->nr_ended, seen, RCL_FOREVER, true);
	}
	for (;;) {
		u32 seen = __atomic_load_n(&w->nr_ended, __ATOMIC_ACQUIRE);

		if (seen == (u32)reads)
			break;
		ops->wait_on(p, &w->nr_ended, seen, RCL_FOREVER, true);
	}
	result = result_of(start, cpu, reads);
	rcl_host_leave(h, task);
	rcl_host_destroy(h);
	free(w);
	return result;
}

/* ---- all of it ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}
static double median(const double *v, u32 n)
{
	double sorted[MAX_ROUNDS];

	memcpy(sorted, v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*v), by_value);
	return sorted[n / 2];
}

static void compare(struct bench *b, u32 depth, u32 rounds)
{
	static double wall[NR_KINDS][MAX_ROUNDS], cpu[NR_KINDS][MAX_ROUNDS],
		ratio[NR_KINDS][MAX_ROUNDS];

	for (u32 r = 0; r < rounds; r++) {
		for (u32 i = 0; i < NR_KINDS; i++) {
			/* Forwards and backwards, so that a drift hits all alike. */
			enum kind kind = r & 1 ? NR_KINDS - 1 - i : i;
			struct result res;

			if (kind != RAW && b->only && strcmp(b->only, names[kind]))
				continue;
			res = kind <= RAW_DEFERRED ? run_raw(b, kind, depth)
						   : run_platform(b, kind, depth);

			wall[kind][r] = res.wall;
			cpu[kind][r] = res.cpu;
		}
		for (u32 kind = 0; kind < NR_KINDS; kind++)
			ratio[kind][r] = wall[RAW][r] / wall[kind][r];
	}
	printf("%5s %-14s %10s %10s %10s %8s\n", "depth", "", "reads/s", "us", "CPU us", "x raw");
	for (u32 kind = 0; kind < NR_KINDS; kind++) {
		double ns = median(wall[kind], rounds);

		if (kind != RAW && b->only && strcmp(b->only, names[kind]))
			continue;
		printf("%5u %-14s %10.0f %10.2f %10.2f %8.3f\n", depth, names[kind], 1e9 / ns,
		       ns * depth / 1000, median(cpu[kind], rounds) / 1000,
		       median(ratio[kind], rounds));
	}
}

static void make_file(struct bench *b)
{
	const size_t chunk = 1 << 20;
	char *data = malloc(chunk);

	b->fd = open(b->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (b->fd < 0)
		die(b->path, 0);
	for (u64 at = 0; at < b->blocks * PAGE_SIZE; at += chunk) {
		memset(data, (int)(at >> 20) | 1, chunk);
		if (write(b->fd, data, chunk) != (ssize_t)chunk) {
			unlink(b->path);
			die(b->path, 0);
		}
	}
	free(data);
	fsync(b->fd);
	if (fcntl(b->fd, F_SETFL, O_DIRECT))
		printf("no O_DIRECT here: this measures copying\n");
}

int main(int argc, char **argv)
{
	struct bench b = {.blocks = 512 * 256, .random = 88172645463325252ull, .seconds = 1};
	char path[4096];
	u32 rounds = 5, depth = 0;
	int opt;

	while ((opt = getopt(argc, argv, "r:t:s:k:d:")) != -1) {
		if (opt == 'r')
			rounds = min(max((u32)atoi(optarg), 1u), (u32)MAX_ROUNDS);
		else if (opt == 't')
			b.seconds = atof(optarg);
		else if (opt == 's')
			b.blocks = (u64)max(atoi(optarg), 1) * 256;
		else if (opt == 'k')
			b.only = optarg;
		else if (opt == 'd')
			depth = min(max((u32)atoi(optarg), 1u), (u32)MAX_DEPTH);
		else
			return 2;
	}
	snprintf(path, sizeof(path), "%s/bench_host_io.%d",
		 optind < argc ? argv[optind] : "/var/tmp", (int)getpid());
	b.path = path;
	make_file(&b);
	compare(&b, depth ? depth : 1, rounds);
	if (!depth)
		compare(&b, MAX_DEPTH, rounds);
	unlink(path);
	close(b.fd);
	return 0;
}
