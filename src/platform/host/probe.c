/* SPDX-License-Identifier: MIT */
/*
 * When a disk says that requests have ended.
 *
 * Some virtual disks are a thread that does one request after the other and tells of all of them
 * when it finds no more. On such a disk whoever submits much waits for the first until the last is
 * done, which nobody would conclude from how long single requests take.
 *
 * So: REQUESTS reads, each large enough to take its time, and each handed over by itself. A disk
 * that tells of each has the first one back when it has done a part of them; one that does not, has
 * it with the last. Other work on the same disk only makes the first one later. That is why it is
 * looked at several times, and the median counts.
 */
#define _GNU_SOURCE 1 /* O_DIRECT, O_TMPFILE */
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "platform/host/measure.h"
#include "platform/platform.h"

#define REQUESTS 6u /* with their pages all over memory they fit into the least queue there is */
#define BYTES	 (128u << 10)
#define ROUNDS	 9u
#define TOGETHER 0.8

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * RCL_NSEC_PER_SEC + (u64)t.tv_nsec;
}

/* Of the time that all of it took: the part until the first one was back. */
static bool round_of_reads(struct io_uring *u, int fd, char *buf, double *part)
{
	u64 from = now_ns(), first = 0, last = 0;
	u32 ended = 0, started = 0;
	bool ok = true;

	while (ended < REQUESTS) {
		struct io_uring_cqe *cqe = NULL;

		if (started < REQUESTS) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(u);

			io_uring_prep_read(sqe, fd, buf, BYTES, (u64)started++ * BYTES);
			ok = io_uring_submit(u) == 1 && ok;
			io_uring_peek_cqe(u, &cqe);
		} else if (io_uring_wait_cqe(u, &cqe)) {
			return false;
		}
		for (; cqe; cqe = io_uring_peek_cqe(u, &cqe) ? NULL : cqe) {
			ok = cqe->res == (int)BYTES && ok;
			last = now_ns();
			first = ended++ ? first : last;
			io_uring_cqe_seen(u, cqe);
		}
	}
	*part = (double)(first - from) / (double)(last - from);
	return ok;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static bool look(int fd, char *buf)
{
	double parts[ROUNDS];
	struct io_uring u;
	bool ok = true;

	for (u32 i = 0; i < REQUESTS; i++)
		if (pwrite(fd, buf, BYTES, (off_t)i * BYTES) != (ssize_t)BYTES)
			return false;
	if (io_uring_queue_init(2 * REQUESTS, &u, 0))
		return false;
	for (u32 i = 0; i < ROUNDS && ok; i++)
		ok = round_of_reads(&u, fd, buf, &parts[i]);
	io_uring_queue_exit(&u);
	if (!ok)
		return false;
	qsort(parts, ROUNDS, sizeof(parts[0]), compare);
	return parts[ROUNDS / 2] > TOGETHER;
}

bool rcl_host_probe_ends_together(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
	char *buf = aligned_alloc(PAGE_SIZE, BYTES);
	bool together = false;

	if (fd >= 0 && buf) {
		memset(buf, 1, BYTES);
		together = look(fd, buf);
	}
	free(buf);
	if (fd >= 0)
		close(fd);
	return together;
}
