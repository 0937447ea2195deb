/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double clock_s(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double now_s(void)
{
	return clock_s(CLOCK_MONOTONIC);
}

double cpu_s(void)
{
	return clock_s(CLOCK_THREAD_CPUTIME_ID);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

void die(const char *what, int err)
{
	fprintf(stderr, "benchmark: %s: %s\n", what, strerror(-err));
	exit(1);
}

/* ---- Chance -------------------------------------------------------------------------------- */

static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint64_t random_below(uint64_t *state, uint64_t n)
{
	return (uint64_t)((unsigned __int128)next(state) * n >> 64);
}

void zipf_init(struct zipf *z, uint64_t n)
{
	double sum = 0;

	z->n = n;
	z->cumulative = malloc(n * sizeof(double));
	if (!z->cumulative)
		die("zipf", -ENOMEM);
	for (uint64_t i = 0; i < n; i++)
		z->cumulative[i] = sum += 1.0 / (double)(i + 1);
	for (uint64_t i = 0; i < n; i++)
		z->cumulative[i] /= sum;
}

void zipf_free(struct zipf *z)
{
	free(z->cumulative);
}

uint64_t zipf_next(const struct zipf *z, uint64_t *state)
{
	double u = (double)(next(state) >> 11) * 0x1p-53;
	uint64_t lo = 0, hi = z->n - 1;

	while (lo < hi) {
		uint64_t mid = (lo + hi) / 2;

		if (z->cumulative[mid] < u)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* Scattered, so that popular items are not neighbours; two may share a place. */
	return (lo * 0x9e3779b97f4a7c15ull >> 20) % z->n;
}

/* ---- The kernel ---------------------------------------------------------------------------- */

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Version 1 or 2, whichever is mounted and lets us. */
static bool make_cgroup(uint64_t limit, char *dir, size_t size)
{
	static const struct {
		const char *root, *limit;
	} kinds[] = {{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
		     {"/sys/fs/cgroup", "memory.max"}};
	char path[300], text[32];

	for (unsigned i = 0; i < 2; i++) {
		snprintf(dir, size, "%s/reclaim-bench-%d", kinds[i].root, (int)getpid());
		if (mkdir(dir, 0755))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, kinds[i].limit);
		snprintf(text, sizeof(text), "%llu", (unsigned long long)limit);
		if (write_text(path, text))
			return true;
		rmdir(dir);
	}
	return false;
}

static void child(const char *dir, int result, double (*fn)(void *), void *arg)
{
	char path[300];
	double value;

	if (dir) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
		if (!write_text(path, "0"))
			_exit(1);
	}
	value = fn(arg);
	_exit(write(result, &value, sizeof(value)) != sizeof(value));
}

double in_cgroup(uint64_t limit, double (*fn)(void *arg), void *arg)
{
	char dir[256];
	double value = -1;
	int result[2];
	pid_t pid;

	if (limit && !make_cgroup(limit, dir, sizeof(dir)))
		return -1;
	if (pipe(result))
		die("pipe", -errno);
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork", -errno);
	if (!pid)
		child(limit ? dir : NULL, result[1], fn, arg);
	close(result[1]);
	if (read(result[0], &value, sizeof(value)) != sizeof(value))
		value = -1;
	close(result[0]);
	waitpid(pid, NULL, 0);
	if (limit)
		rmdir(dir);
	return value;
}

bool kernel_swap_on(const char *path, uint64_t bytes)
{
	char command[512];
	int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	bool ok;

	if (fd < 0)
		return false;
	ok = !posix_fallocate(fd, 0, (off_t)bytes);
	close(fd);
	snprintf(command, sizeof(command), "mkswap %s >/dev/null 2>&1", path);
	ok = ok && !system(command) && !swapon(path, 0);
	if (!ok)
		unlink(path);
	return ok;
}

void kernel_swap_off(const char *path)
{
	swapoff(path);
	unlink(path);
}

/* ---- Files --------------------------------------------------------------------------------- */

const char *scratch_dir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir && *dir ? dir : "/var/tmp";
}

char *make_file(const char *dir, uint64_t bytes)
{
	static const size_t chunk = 1 << 20;
	uint64_t *buf = malloc(chunk), state = 1;
	char *path = malloc(strlen(dir) + 40);
	int fd;

	if (!buf || !path)
		die("a file", -ENOMEM);
	sprintf(path, "%s/reclaim-bench-XXXXXX", dir);
	fd = mkstemp(path);
	if (fd < 0)
		die(path, -errno);
	for (uint64_t at = 0; at < bytes; at += chunk) {
		for (size_t i = 0; i < chunk / 8; i++)
			buf[i] = next(&state);
		if (write(fd, buf, chunk) != (ssize_t)chunk)
			die(path, -errno);
	}
	fdatasync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	free(buf);
	return path;
}
