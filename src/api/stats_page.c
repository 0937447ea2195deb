/* SPDX-License-Identifier: MIT */
/*
 * A statistics page in a file (stats_page.h has the why).
 *
 * The file's life: created under a name that nobody has, mode 0600, locked, filled; written again
 * and again; unlinked when the machine closes. When the process dies without closing it, the lock
 * goes with it, and the next process of the same user that makes a page removes the file. A
 * finder of a dead file locks it before it unlinks it. So one who has just created a file and does
 * not get the lock, or finds it gone when it has the lock, lost it to a finder: it takes the next
 * name.
 *
 * The lock is one of the open file, which a forked child has as well. A child that neither ends nor
 * execs would keep a dead page alive; so it takes a second lock, of the process, to make a page
 * that is not written any more a living one's (rcl_stats_is_alive()).
 */
#define _GNU_SOURCE
#include "api/stats_page.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/observe_internal.h"
#include "api/stats_read.h"

#define NAMES_MAX 1000 /* pages of one process */

struct rcl_stats_page {
	struct stats_header *block;
	int fd;
	dev_t dev; /* of the file, to know it again */
	ino_t ino;
	char path[512];
};

/*
 * A forked child has the file's lock, too, and may outlive us: this one dies with us. But it goes
 * when this process closes the file anywhere, and so is taken again from time to time.
 */
static void mark_ours(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	fcntl(fd, F_SETLK, &lock);
}

/* Remove a dead process's file: one of ours that nobody has locked. */
static void remove_if_dead(int folder, const char *name)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st, now;

	if (fd < 0)
		return;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	    (!flock(fd, LOCK_EX | LOCK_NB) || !rcl_stats_is_alive(fd)) &&
	    !fstatat(folder, name, &now, AT_SYMLINK_NOFOLLOW) && now.st_dev == st.st_dev &&
	    now.st_ino == st.st_ino)
		unlinkat(folder, name, 0);
	close(fd);
}

static void remove_dead(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir)))
		if (rcl_stats_is_name(e->d_name))
			remove_if_dead(dirfd(dir), e->d_name);
	closedir(dir);
}

/* Create and lock the file of this name: 0, -EEXIST when it is another's, -errno. */
static int create(struct rcl_stats_page *page)
{
	int fd = open(page->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;
	int err = 0;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB))
		err = -EEXIST;
	else if (fchmod(fd, 0600) || fstat(fd, &st))
		err = -errno;
	else if (!st.st_nlink)
		err = -EEXIST;
	/* A full filesystem shows here and not while the machine runs. */
	if (!err)
		err = -posix_fallocate(fd, 0, page->block->bytes);
	if (err) {
		if (err != -EEXIST)
			unlink(page->path);
		close(fd);
		return err;
	}
	page->fd = fd;
	page->dev = st.st_dev;
	page->ino = st.st_ino;
	return 0;
}

int rcl_stats_page_create(struct stats_header *block, struct rcl_stats_page **out, char **message)
{
	struct rcl_stats_page *page = calloc(1, sizeof(*page));
	const char *folder = rcl_stats_folder(0);
	int err = -EEXIST;

	*out = NULL;
	if (!page)
		return rcl_observe_fail(message, -ENOMEM, "statistics page: out of memory");
	page->block = block;
	remove_dead(folder);
	for (int i = 0; i < NAMES_MAX && err == -EEXIST; i++) {
		if (snprintf(page->path, sizeof(page->path), "%s/reclaim-%d-%d", folder,
			     (int)getpid(), i) >= (int)sizeof(page->path)) {
			err = -ENAMETOOLONG;
			break;
		}
		err = create(page);
	}
	if (err) {
		rcl_observe_fail(message, err, "statistics page: cannot make a file in %s: %s",
				 folder, strerror(-err));
		free(page);
		return err;
	}
	rcl_stats_page_update(page);
	*out = page;
	return 0;
}

static void write_at(int fd, const void *data, size_t bytes, size_t at)
{
	/* An error leaves the page as it was; who reads it sees that it is not updated. */
	if (pwrite(fd, data, bytes, (off_t)at) != (ssize_t)bytes)
		return;
}

void rcl_stats_page_update(struct rcl_stats_page *page)
{
	struct stats_header *h = page->block;
	size_t seq_at = offsetof(struct stats_header, seq);
	size_t used = h->groups_at + (size_t)h->nr_groups * h->group_bytes;

	mark_ours(page->fd);
	h->seq |= 1;
	write_at(page->fd, &h->seq, sizeof(h->seq), seq_at);
	write_at(page->fd, h, used, 0);
	h->seq++;
	write_at(page->fd, &h->seq, sizeof(h->seq), seq_at);
}

void rcl_stats_page_destroy(struct rcl_stats_page *page, bool keep)
{
	struct stat st;

	if (!page)
		return;
	if (!keep && !lstat(page->path, &st) && st.st_dev == page->dev && st.st_ino == page->ino)
		unlink(page->path);
	close(page->fd);
	free(page);
}

const char *rcl_stats_page_path(const struct rcl_stats_page *page)
{
	return page->path;
}
