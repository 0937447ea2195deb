/* SPDX-License-Identifier: MIT */
/*
 * What the examples share and what is not about reclaim: sizes on the command line, a random
 * number, the time, giving up; and the table of what reclaim did.
 */
#ifndef EXAMPLES_COMMON_H
#define EXAMPLES_COMMON_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <reclaim/reclaim.h>

/* Examples end at the first error; what is open then, the system takes back. */
static inline void die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* The call must have succeeded: MUST(rcl_pin(...)). */
#define MUST(call) must((call), #call)
static inline void must(int err, const char *call)
{
	if (err)
		die("%.*s: %s (%d)", (int)strcspn(call, "("), call, rcl_strerror(err), err);
}

/* "64M": bytes. */
static inline uint64_t parse_size(const char *s)
{
	static const char units[] = "KMGT";
	char *end;
	double x = strtod(s, &end);
	const char *unit = *end ? strchr(units, *end) : NULL;

	if (end == s || x < 0 || (*end && (!unit || end[1])))
		die("%s: a size is a number, and K, M, G or T", s);
	return (uint64_t)(x * (double)(unit ? 1ull << 10 * (unit - units + 1) : 1));
}

/* splitmix64: the same numbers from the same seed everywhere. */
static inline uint64_t random_u64(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}
/* 0 to n - 1. The second one prefers small ones: half of them are in the first n / 16. */
static inline uint64_t random_below(uint64_t *state, uint64_t n)
{
	return (uint64_t)((unsigned __int128)random_u64(state) * n >> 64);
}
static inline uint64_t random_skewed(uint64_t *state, uint64_t n)
{
	double u = (double)(random_u64(state) >> 11) * 0x1p-53;

	u *= u;
	return (uint64_t)((double)n * u * u);
}

static inline double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline struct rcl_machine *open_machine(uint64_t budget, uint64_t swap, const char *name)
{
	struct rcl_options options = RCL_OPTIONS_INIT;
	struct rcl_machine *machine;
	char *message;

	options.budget = budget;
	options.swap_size = swap;
	options.name = name;
	if (rcl_open(&options, &machine, &message))
		die("%s", message);
	return machine;
}

static inline void print_stats(struct rcl_machine *machine)
{
	struct rcl_stats s = {.size = sizeof(s)};
	const double mib = 1 << 20;

	MUST(rcl_stats_read(machine, NULL, &s));
	printf("\nWhat reclaim did\n");
	printf("  budget %17.1f MiB   in use %.1f: files %.1f, anonymous %.1f\n",
	       (double)s.budget / mib, (double)s.used / mib, (double)s.file / mib,
	       (double)s.anon / mib);
	printf("  scanned %16" PRIu64 " pages reclaimed %" PRIu64 "\n", s.scanned, s.reclaimed);
	printf("  swapped out %12" PRIu64 " pages swapped in %" PRIu64 ", in use %.1f MiB\n",
	       s.swapped_out, s.swapped_in, (double)s.swap_used / mib);
	printf("  faults %17" PRIu64 " that had to read %" PRIu64 ", refaults %" PRIu64 "\n",
	       s.faults, s.major_faults, s.refaults);
	printf("  read %19.1f MiB   written %.1f\n", (double)s.read / mib, (double)s.written / mib);
	printf("  waiting for memory %5.2f s     all threads at once %.2f\n",
	       (double)s.stalled_some * 1e-9, (double)s.stalled_full * 1e-9);
	if (s.io_errors || s.checksum_errors)
		printf("  errors: %" PRIu64 " of I/O, %" PRIu64 " of checksums\n", s.io_errors,
		       s.checksum_errors);
}

#endif
