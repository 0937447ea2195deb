/* SPDX-License-Identifier: MIT */
/*
 * Files: from a descriptor or a path to a region.
 *
 * QEMU's user mode uses the program's descriptors and paths as they are, so that a plugin may ask
 * the kernel about them. What is known about a descriptor is forgotten when it is closed or
 * replaced, and found again when it is used. A file is a region once and for all processes; the
 * number comes from a table that they share, and whoever finds a file first writes its chunk.
 *
 * Regular files only: pipes, sockets and terminals have no pages, and what lies in proc and sysfs
 * has none that reclaim would see.
 */
#define _GNU_SOURCE 1 /* statx */
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "record/plugin.h"

enum {
	FD_UNKNOWN,
	FD_NO_FILE,
	FD_REGION
};

static void lock(void)
{
	while (__atomic_exchange_n(&rec.control->lock, 1, __ATOMIC_ACQUIRE))
		sched_yield();
}

static void unlock(void)
{
	__atomic_store_n(&rec.control->lock, 0, __ATOMIC_RELEASE);
}

static bool has_no_pages(int fd, const char *name)
{
	struct statfs fs;

	if (fd >= 0 ? fstatfs(fd, &fs) : statfs(name, &fs))
		return false;
	return fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC ||
	       fs.f_type == CGROUP2_SUPER_MAGIC || fs.f_type == DEBUGFS_MAGIC ||
	       fs.f_type == TRACEFS_MAGIC;
}

/* The file's region, made if `define` says so; NO_REGION. */
static uint32_t look_up(const struct statx *st, int fd, const char *name, bool define)
{
	struct rcl_control *ctl = rec.control;
	uint64_t dev = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor, ino = st->stx_ino;
	uint64_t born = (uint64_t)st->stx_btime.tv_sec * 1000000000 + st->stx_btime.tv_nsec;
	uint64_t i = (ino * 0x9e3779b97f4a7c15ull ^ dev ^ born * 0xff51afd7ed558ccdull) >> 20;
	char path[PATH_MAX] = "", link[64];
	struct rcl_control_file *f;
	uint32_t region = NO_REGION;
	ssize_t n;

	lock();
	for (;; i++) {
		f = &ctl->files[i % RCL_CONTROL_FILES];
		if (!f->region || (f->dev == dev && f->ino == ino && f->born == born))
			break;
	}
	if (f->region || !define) {
		region = f->region ? f->region : NO_REGION;
	} else if (has_no_pages(fd, name)) {
		region = NO_REGION;
	} else if (ctl->next_region >= RCL_NATIVE_REGIONS_MAX) {
		ctl->regions_lost++;
	} else {
		region = ctl->next_region++;
		*f = (struct rcl_control_file){dev, ino, born, region};
		if (fd >= 0) {
			snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
			n = readlink(link, path, sizeof(path) - 1);
			path[n > 0 ? n : 0] = 0;
			name = path;
		}
		stream_region(region, 1, st->stx_size, name);
	}
	unlock();
	return region;
}

uint32_t file_region_stat(int dir, const char *path, int flags, uint64_t *links, uint64_t *bytes,
			  bool define)
{
	struct statx st;

	if (statx(dir, path, flags, STATX_BASIC_STATS | STATX_BTIME, &st) || !S_ISREG(st.stx_mode))
		return NO_REGION;
	if (links)
		*links = st.stx_nlink;
	if (bytes)
		*bytes = st.stx_size;
	return look_up(&st, flags & AT_EMPTY_PATH ? dir : -1, path, define);
}

uint32_t file_region(int fd)
{
	uint32_t *known = fd >= 0 && fd < FDS_MAX ? &rec.fds[fd] : NULL, region;

	if (known && *known != FD_UNKNOWN)
		return *known == FD_NO_FILE ? NO_REGION : *known - FD_REGION;
	region = file_region_stat(fd, "", AT_EMPTY_PATH, NULL, NULL, true);
	if (known)
		*known = region == NO_REGION ? FD_NO_FILE : region + FD_REGION;
	return region;
}

void file_forget(int fd)
{
	if (fd >= 0 && fd < FDS_MAX)
		rec.fds[fd] = FD_UNKNOWN;
}

bool file_is_open(uint32_t region, int except)
{
	for (int fd = 0; fd < FDS_MAX; fd++)
		if (fd != except && rec.fds[fd] == region + FD_REGION)
			return true;
	return false;
}
