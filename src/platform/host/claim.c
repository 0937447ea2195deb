/* SPDX-License-Identifier: MIT */
/*
 * Claims to block devices: who writes to one wants to be alone with it.
 *
 * The system keeps those apart who open a block device with O_EXCL: filesystems that are mounted,
 * volume managers, RAID, swap, mkfs; the disk and its partitions count as one. It does not keep
 * them from anybody who opens without, so reading is left alone, and whoever is going to write has
 * a second descriptor, for the claim.
 *
 * The claim is the host's: several areas of a device may write to it, since they show the same
 * pages. Swap shares with nobody.
 *
 * Field legend:  c constant after it is made   D host_io.devices_lock
 */
#define _GNU_SOURCE 1
#include "platform/host/io.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct host_claim {
	struct list_head link; /* D: io->claims */
	dev_t number;	       /* c */
	bool shared;	       /* c */
	int fd;		       /* c */
	u32 users;	       /* D */
};

static struct host_claim *find(struct host_io *io, dev_t number)
{
	struct host_claim *c;

	list_for_each (c, &io->claims, link)
		if (c->number == number)
			return c;
	return NULL;
}

static int open_exclusively(const char *path, dev_t number)
{
	struct stat st;
	int fd;

	do
		fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return -errno;
	/* Another one may have taken its place. */
	if (!fstat(fd, &st) && S_ISBLK(st.st_mode) && st.st_rdev == number)
		return fd;
	close(fd);
	return -ENODEV;
}

static int make(struct host_io *io, const char *path, dev_t number, bool shared,
		struct host_claim **out)
{
	struct host_claim *c = malloc(sizeof(*c));
	int fd;

	if (!c)
		return -ENOMEM;
	fd = open_exclusively(path, number);
	if (fd < 0) {
		free(c);
		return fd;
	}
	*c = (struct host_claim){.number = number, .shared = shared, .fd = fd, .users = 1};
	list_add_tail(&c->link, &io->claims);
	*out = c;
	return 0;
}

int rcl_host_claim(struct host_io *io, const char *path, dev_t number, bool shared,
		   struct host_claim **out)
{
	struct host_claim *c;
	int err = 0;

	pthread_mutex_lock(&io->devices_lock);
	c = find(io, number);
	if (!c) {
		err = make(io, path, number, shared, out);
	} else if (shared && c->shared) {
		c->users++;
		*out = c;
	} else {
		err = -EBUSY;
	}
	pthread_mutex_unlock(&io->devices_lock);
	return err;
}

void rcl_host_unclaim(struct host_io *io, struct host_claim *c)
{
	bool last;

	pthread_mutex_lock(&io->devices_lock);
	last = !--c->users;
	if (last) {
		list_del(&c->link);
		close(c->fd);
	}
	pthread_mutex_unlock(&io->devices_lock);
	if (last)
		free(c);
}

int rcl_host_claim_fd(const struct host_claim *c)
{
	return c->fd;
}
