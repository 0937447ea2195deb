/* SPDX-License-Identifier: MIT */
/*
 * Anonymous memory four times the budget, used by zipf(1.0), half of it writes.
 *
 *	bench_host_anon [-r repeats] [-b budget in MiB]
 *
 * Peer: the kernel's own swap, on a file of the same size in the same folder, in a memory cgroup of
 * the budget's size. Where that is not allowed, the random reads that the device does at depth one
 * stand in: each miss costs at least one. All pages are written once first; that is not measured.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peer.h"
#include "reclaim/reclaim.h"

#define TIMES 4

struct bench {
	uint64_t budget, pages, accesses;
	const struct zipf *zipf;
	uint64_t seed;
	double misses; /* of our last run: share of accesses */
};

static double ours(struct bench *b)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;
	struct rcl_stats before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
	struct rcl_machine *machine;
	struct rcl_area *area;
	uint64_t state = b->seed, sum = 0;
	double begun = 0;
	int err;

	opt.budget = b->budget;
	opt.swap_size = b->pages * RCL_PAGE_SIZE + (64 << 20);
	opt.swap_dir = scratch_dir();
	err = rcl_open(&opt, &machine, NULL);
	if (!err)
		err = rcl_area_anon(machine, NULL, b->pages, 0, &area);
	if (err)
		die("open", err);
	for (uint64_t i = 0; i < b->pages + b->accesses; i++) {
		uint64_t page = i < b->pages ? i : zipf_next(b->zipf, &state);
		bool write = i < b->pages || (state & 1);
		struct rcl_pin pin;

		if (i == b->pages) {
			rcl_stats_read(machine, NULL, &before);
			begun = now_s();
		}
		err = rcl_pin(area, page, write ? RCL_WRITE : RCL_READ, &pin);
		if (err)
			die("pin", err);
		if (write)
			*(uint64_t *)pin.addr += i;
		else
			sum += *(uint64_t *)pin.addr;
		rcl_unpin(&pin);
	}
	begun = now_s() - begun;
	rcl_stats_read(machine, NULL, &after);
	b->misses = (double)(after.major_faults - before.major_faults) / (double)b->accesses;
	if (rcl_area_close(area) || rcl_close(machine))
		die("close", -EBUSY);
	return sum == 1 ? 0 : (double)b->accesses / begun;
}

static double kernels(void *arg)
{
	const struct bench *b = arg;
	uint64_t state = b->seed, sum = 0;
	double begun = 0;
	char *mem = mmap(NULL, b->pages * RCL_PAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		return -1;
	madvise(mem, b->pages * RCL_PAGE_SIZE, MADV_NOHUGEPAGE);
	for (uint64_t i = 0; i < b->pages + b->accesses; i++) {
		uint64_t page = i < b->pages ? i : zipf_next(b->zipf, &state);
		volatile uint64_t *word = (uint64_t *)(mem + page * RCL_PAGE_SIZE);

		if (i == b->pages)
			begun = now_s();
		if (i < b->pages || (state & 1))
			*word += i;
		else
			sum += *word;
	}
	return sum == 1 ? 0 : (double)b->accesses / (now_s() - begun);
}

static double device_reads(void)
{
	char *path = make_file(scratch_dir(), 256 << 20), *buf;
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	uint64_t state = 1;
	double begun = now_s();

	if (fd < 0 || posix_memalign((void **)&buf, 4096, 4096))
		die(path, -errno);
	for (unsigned i = 0; i < 5000; i++)
		if (pread(fd, buf, 4096, (off_t)random_below(&state, 65536) * 4096) != 4096)
			die(path, -EIO);
	begun = now_s() - begun;
	close(fd);
	unlink(path);
	free(path);
	free(buf);
	return 5000 / begun;
}

int main(int argc, char **argv)
{
	struct bench b = {.budget = 64ull << 20, .accesses = 400000};
	double mine[MAX_REPEATS], peer[MAX_REPEATS], misses[MAX_REPEATS];
	char swap[300];
	struct zipf zipf;
	unsigned repeats = 3;
	bool have_peer;
	int opt;

	while ((opt = getopt(argc, argv, "r:b:")) != -1) {
		if (opt == 'r')
			repeats = (unsigned)atoi(optarg);
		else if (opt == 'b')
			b.budget = (uint64_t)atoi(optarg) << 20;
		else
			repeats = 0;
	}
	if (repeats < 1 || repeats > MAX_REPEATS || b.budget < 4 << 20) {
		fprintf(stderr, "usage: bench_host_anon [-r repeats] [-b budget in MiB]\n");
		return 2;
	}
	b.pages = TIMES * b.budget / RCL_PAGE_SIZE;
	zipf_init(&zipf, b.pages);
	b.zipf = &zipf;
	snprintf(swap, sizeof(swap), "%s/reclaim-bench-swap-%d", scratch_dir(), (int)getpid());
	have_peer = kernel_swap_on(swap, b.pages * RCL_PAGE_SIZE + (64 << 20));
	for (unsigned i = 0; i < repeats; i++) {
		b.seed = i + 1;
		mine[i] = ours(&b);
		misses[i] = b.misses;
		peer[i] = have_peer ? in_cgroup(b.budget, kernels, &b) : -1;
	}
	if (have_peer)
		kernel_swap_off(swap);
	printf("%llu MiB of anonymous memory in a budget of %llu MiB, zipf(1.0), half writes; "
	       "medians of %u\n",
	       (unsigned long long)(TIMES * b.budget) >> 20, (unsigned long long)b.budget >> 20,
	       repeats);
	printf("  %-28s %10.1f k/s   %.1f%% misses\n", "reclaim", median(mine, repeats) / 1e3,
	       100 * median(misses, repeats));
	if (median(peer, repeats) > 0) {
		printf("  %-28s %10.1f k/s   reclaim: %.2fx\n", "the kernel's swap",
		       peer[repeats / 2] / 1e3, mine[repeats / 2] / peer[repeats / 2]);
	} else {
		double reads = device_reads();

		printf("  %-28s not to be had here; misses come at %.2f times the %.1f k/s random "
		       "reads of the device\n",
		       "the kernel's swap", mine[repeats / 2] * misses[repeats / 2] / reads,
		       reads / 1e3);
	}
	zipf_free(&zipf);
	return 0;
}
