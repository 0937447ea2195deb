/* SPDX-License-Identifier: MIT */
/*
 * What a simulated machine costs in real memory, and how long filling it takes.
 *
 *	bench_memory [gibibytes]...
 *
 * Each machine is opened in a process of its own, and a program writes to all of its memory, page
 * by page; then the memory of the process counts, less what it had before. A second run reads a
 * file as large as the memory, a third writes half as much again to anonymous memory as there is,
 * so that swap is used.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mm/filemap.h"
#include "mm/mm.h"
#include "mm/swap_internal.h"
#include "sim/driver.h"
#include "trace/image.h"

static u64 resident(void)
{
	unsigned long size, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f && fscanf(f, "%lu %lu", &size, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (u64)sysconf(_SC_PAGESIZE);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* One access to each page, RCL_TRACE_RUN_MAX in one word. */
static struct rcl_trace_image *sweep(enum rcl_access_kind kind, u64 pages)
{
	struct rcl_region region = {.kind = kind, .name = "all", .pages = pages};
	struct rcl_trace_image *image = NULL;
	struct rcl_image_builder b;

	if (rcl_image_begin(&b, &region, 1, 0, true))
		return NULL;
	for (u64 page = 0; page < pages;) {
		size_t room, n = 0;
		uint64_t *at;

		if (rcl_image_room(&b, &at, &room))
			return NULL;
		for (; n < room && page < pages; n++) {
			struct rcl_access a = {.page = page, .kind = (uint8_t)kind};

			a.write = kind == RCL_ACCESS_ANON;
			a.pages = (uint32_t)min(pages - page, (u64)RCL_TRACE_RUN_MAX);
			page += a.pages;
			at[n] = rcl_word_pack(&a);
		}
		if (rcl_image_add(&b, n))
			return NULL;
	}
	return rcl_image_end(&b, &region, 1, "sweep", "none", &image) ? NULL : image;
}

static bool progress(void *arg, u64 done, u64 all)
{
	if (done == all)
		*(u64 *)arg = resident();
	return true;
}

static int measure(const char *what, enum rcl_access_kind kind, u64 memory, u64 pages)
{
	struct rcl_trace_image *image = sweep(kind, pages);
	struct rcl_sim_request req;
	struct rcl_sim_result res;
	u64 before, at_end = 0;
	struct rcl_error err;
	double begun, took;

	if (!image)
		return 1;
	rcl_sim_request_init(&req, image);
	req.memory = memory;
	req.swap = kind == RCL_ACCESS_ANON ? memory : 0;
	req.readahead = RCL_SIM_READAHEAD_OFF;
	req.progress.report = progress;
	req.progress.arg = &at_end;
	before = resident();
	begun = seconds();
	if (rcl_sim_run(&req, &res, &err) || res.outcome != RCL_SIM_COMPLETED) {
		fprintf(stderr, "bench_memory: %s\n", at_end ? res.detail : err.text);
		return 1;
	}
	took = seconds() - begun;
	printf("  %5llu GiB  %-34s %8.1f MiB  %5.2f%% of it  %7.2f s  %6.2f M pages/s\n",
	       (unsigned long long)(memory >> 30), what, (double)(at_end - before) / (1 << 20),
	       100.0 * (double)(at_end - before) / (double)memory, took,
	       (double)pages / took / 1e6);
	return 0;
}

static int in_a_child(const char *what, enum rcl_access_kind kind, u64 memory, u64 pages)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		status = measure(what, kind, memory, pages);
		fflush(stdout);
		_exit(status);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 1;
	return status ? 1 : 0;
}

static void print_parts(void)
{
	const double page = PAGE_SIZE;
	const struct swap_area *a = NULL;

	printf("bytes of metadata for a page\n");
	printf("  %-44s %6.2f  %5.2f%%\n", "descriptor", (double)sizeof(struct folio),
	       100 * sizeof(struct folio) / page);
	printf("  %-44s %6.2f  %5.2f%%\n", "page-table word, where mapped", (double)sizeof(pte_t),
	       100 * sizeof(pte_t) / page);
	printf("  %-44s %6.2f  %5.2f%%\n", "page cache tree, where in a file",
	       (double)sizeof(struct radix_node) / RADIX_SLOTS,
	       100 * (double)sizeof(struct radix_node) / RADIX_SLOTS / page);
	printf("  %-44s %6.2f  %5.2f%%\n", "swap slot, where swapped out",
	       (double)(sizeof(*a->map) + sizeof(*a->owner) + sizeof(*a->cache)),
	       100 * (double)(sizeof(*a->map) + sizeof(*a->owner) + sizeof(*a->cache)) / page);
}

int main(int argc, char **argv)
{
	static const u64 usual[] = {1, 16, 256};
	const u64 needed = 10ull << 30; /* for the largest */
	u64 available = (u64)sysconf(_SC_AVPHYS_PAGES) * (u64)sysconf(_SC_PAGESIZE);
	u32 nr = argc > 1 ? (u32)argc - 1 : ARRAY_SIZE(usual) - (available < needed);
	int ret = 0;

	print_parts();
	printf("machines, and their process at the end\n");
	for (u32 i = 0; i < nr && !ret; i++) {
		u64 gib = argc > 1 ? strtoull(argv[i + 1], NULL, 0) : usual[i];
		if (!gib || gib > 4096)
			return 2;
		u64 memory = gib << 30, pages = memory >> PAGE_SHIFT;

		ret = in_a_child("anonymous memory, all but full", RCL_ACCESS_ANON, memory,
				 pages / 100 * 96);
		if (!ret && gib <= 16) {
			ret = in_a_child("a file, read once", RCL_ACCESS_FILE, memory, pages);
			ret |= in_a_child("anonymous memory and swap", RCL_ACCESS_ANON, memory,
					  pages * 3 / 2);
		}
	}
	return ret;
}
