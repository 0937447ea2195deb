/* SPDX-License-Identifier: MIT */
/*
 * A block device for tests: a loop device over a file. It detaches itself once nobody has it open,
 * and the test has, so it goes with the test, however that ends.
 */
#ifndef RCL_TESTS_LOOP_DEVICE_H
#define RCL_TESTS_LOOP_DEVICE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct loop_device {
	char path[32];
	int fd;
};

static inline int loop_try(struct loop_device *l, int file, uint32_t sector, bool read_only)
{
	struct loop_config config = {.fd = (uint32_t)file, .block_size = sector};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), nr, err = 0;

	if (control < 0)
		return -errno;
	nr = ioctl(control, LOOP_CTL_GET_FREE);
	if (nr < 0)
		err = -errno;
	close(control);
	if (err)
		return err;
	snprintf(l->path, sizeof(l->path), "/dev/loop%d", nr);
	l->fd = open(l->path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (l->fd < 0)
		return -errno;
	config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (read_only ? LO_FLAGS_READ_ONLY : 0);
	if (!ioctl(l->fd, LOOP_CONFIGURE, &config))
		return 0;
	err = -errno;
	close(l->fd);
	return err;
}

/* Of so many bytes, with sectors of 512 or 4096 bytes. 0, or why it cannot be had here: -errno. */
static inline int loop_make(struct loop_device *l, const char *path, uint64_t bytes,
			    uint32_t sector, bool read_only)
{
	int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), err = -EBUSY;

	l->fd = -1;
	if (file < 0)
		return -errno;
	if (ftruncate(file, (off_t)bytes))
		err = -errno;
	/* Somebody else may take the free one. */
	for (int i = 0; err == -EBUSY && i < 100; i++)
		err = loop_try(l, file, sector, read_only);
	close(file);
	return err;
}

static inline void loop_detach(struct loop_device *l)
{
	close(l->fd);
	l->fd = -1;
}

#endif
