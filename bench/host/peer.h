/* SPDX-License-Identifier: MIT */
/* What the host benchmarks compare with: the kernel, in a memory cgroup of the same size. */
#ifndef RCL_BENCH_PEER_H
#define RCL_BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_REPEATS 31

double now_s(void);
double cpu_s(void); /* of the calling thread */
double median(double *v, unsigned n);
void die(const char *what, int err) __attribute__((noreturn)); /* err: negative errno */

/* A uniform number below n; *state is the generator. */
uint64_t random_below(uint64_t *state, uint64_t n);

/* zipf(1.0) over n items, scattered: item of a uniform number. Made once, then read-only. */
struct zipf {
	uint64_t n, mask;
	double *cumulative;
};
void zipf_init(struct zipf *z, uint64_t n);
void zipf_free(struct zipf *z);
uint64_t zipf_next(const struct zipf *z, uint64_t *state);

/*
 * Run fn(arg) in a child process in a memory cgroup of so many bytes (0: no cgroup), and return
 * what it returns; < 0: it cannot be (no cgroups to be had here: say so and leave the peer out).
 */
double in_cgroup(uint64_t limit, double (*fn)(void *arg), void *arg);
/* The kernel's swap on this file, made for it: false if that is not allowed here. */
bool kernel_swap_on(const char *path, uint64_t bytes);
void kernel_swap_off(const char *path);

/* A file of random bytes in dir, and out of the kernel's cache. Its path, to be freed. */
char *make_file(const char *dir, uint64_t bytes);
/* Where to put it: $TMPDIR or /var/tmp. */
const char *scratch_dir(void);

#endif
