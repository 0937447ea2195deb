/* SPDX-License-Identifier: MIT */
/*
 * Files, block devices and swap as devices: opening and closing them, their sizes, checksums.
 *
 * A device is a number for an open file. The table of devices is an array that I/O reads without a
 * lock: an entry is written once the device is complete, and taken out when no I/O is under way.
 *
 * O_DIRECT is used where the file takes it: the system says what alignment it wants, or a read is
 * tried. It moves whole blocks only, so a file that ends within a page has a second descriptor
 * without O_DIRECT for that page, made from the first through /proc, and when that cannot be done
 * the file does without O_DIRECT. The system keeps the two views of a file coherent.
 *
 * Swap belongs to one user: a lock on the file, or a claim to the block device (claim.c), is taken
 * before anything in it is touched. What was in it is dropped. Without a name it is a file that
 * never had one, or has lost it before anything was written. For each slot there is a checksum of
 * what was written to it last, so that whatever comes back is what was written, or an error.
 *
 * A block device is known by its number: any number of nodes, in any number of places, may be it.
 * One that is to be written is claimed too, against filesystems and whoever else would not expect
 * it. It has the size it has.
 */
#define _GNU_SOURCE 1 /* O_DIRECT, O_TMPFILE, locks of open files, statx, fallocate */
#include "platform/host/io.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* How long swap, or a block device, that is in use is waited for: a second. */
#define BUSY_NAP_NS 5000000
#define BUSY_NAPS   200u
/* Where filesystems and the like have what they are known by. */
#define SIGNATURES (128u << 10)

#ifdef __SANITIZE_THREAD__
/* ThreadSanitizer is not to see the original: see below. */
static RCL_RACY const void *racy_copy(u64 *copy, const volatile u64 *page)
{
	for (u32 i = 0; i < PAGE_SIZE / sizeof(*page); i++)
		copy[i] = page[i];
	return copy;
}
#endif

/*
 * A page being written to swap may be in use again, and be written to, already. The sum of the
 * mixture that goes to the device may be wrong then; but the page is dirty, and its slot is written
 * again before anybody reads it.
 */
u32 rcl_host_checksum(const void *page)
{
#ifdef __SANITIZE_THREAD__
	u64 copy[PAGE_SIZE / sizeof(u64)];

	page = racy_copy(copy, page);
#endif
	XXH64_hash_t hash = XXH3_64bits(page, PAGE_SIZE);
	u32 sum = (u32)(hash ^ hash >> 32);

	return likely(sum) ? sum : 1;
}

/* ---- what a descriptor can do ---- */

/* Does reading a page through it work? Only that tells, where the system does not. */
static bool direct_read_works(int fd)
{
	void *page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	ssize_t n;

	if (!page)
		return false;
	do
		n = pread(fd, page, PAGE_SIZE, 0);
	while (n < 0 && errno == EINTR);
	n = n < 0 ? -errno : n;
	free(page);
	/* An error of the disk is not ours to judge here. */
	return n != -EINVAL;
}

static bool direct_works(int fd)
{
#ifdef STATX_DIOALIGN
	struct statx stx;

	if (!statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) && stx.stx_mask & STATX_DIOALIGN)
		return stx.stx_dio_mem_align && stx.stx_dio_mem_align <= PAGE_SIZE &&
		       stx.stx_dio_offset_align && stx.stx_dio_offset_align <= PAGE_SIZE;
#endif
	return direct_read_works(fd);
}

/* Turn a flag of an open descriptor on or off: 0 or -errno. */
static int set_flag(int fd, int flag, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, on ? flags | flag : flags & ~flag))
		return -errno;
	return 0;
}

static bool try_direct(int fd)
{
	if (set_flag(fd, O_DIRECT, true))
		return false;
	if (direct_works(fd))
		return true;
	set_flag(fd, O_DIRECT, false);
	return false;
}

/* Does the disk under it turn? Unknown is no. */
static bool is_rotational(dev_t dev)
{
	static const char *const places[] = {"", "../"}; /* a partition's is its disk's */
	char path[96], c = '0';

	for (u32 i = 0; i < ARRAY_SIZE(places); i++) {
		int fd;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/rotational", major(dev),
			 minor(dev), places[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, &c, 1) != 1)
			c = '0';
		close(fd);
		break;
	}
	return c == '1';
}

static int size_of(int fd, const struct stat *st, u64 *bytes)
{
	if (S_ISREG(st->st_mode)) {
		*bytes = (u64)st->st_size;
		return 0;
	}
	return ioctl(fd, BLKGETSIZE64, bytes) ? -errno : 0;
}

/* A block device that can be opened for writing, and be written to not. */
static bool is_write_protected(int fd)
{
	int read_only = 0;

	return !ioctl(fd, BLKROGET, &read_only) && read_only;
}

bool rcl_host_device_at_end(const struct host_device *d, u64 offset)
{
	struct stat st;
	u64 bytes;

	return fstat(d->fd, &st) || size_of(d->fd, &st, &bytes) || offset >= bytes;
}

/*
 * Make it possible to transfer the part of a page. Callers exclude each other: at opening, or under
 * devices_lock.
 */
static void need_tail(struct host_device *d)
{
	struct stat a, b;
	char path[32];
	int fd;

	if (d->tail_fd >= 0 || !__atomic_load_n(&d->direct, __ATOMIC_RELAXED))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", d->fd);
	fd = open(path, (d->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (fd >= 0 && !fstat(fd, &a) && !fstat(d->fd, &b) && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino) {
		__atomic_store_n(&d->tail_fd, fd, __ATOMIC_RELEASE);
		return;
	}
	if (fd >= 0)
		close(fd);
	set_flag(d->fd, O_DIRECT, false);
	__atomic_store_n(&d->direct, false, __ATOMIC_RELAXED);
}

/* ---- the table ---- */

static void free_device(struct host_io *io, struct host_device *d)
{
	struct platform *p = &io->h->plat;

	if (d->sums)
		p->ops->release(p, d->sums, d->nr_slots * sizeof(*d->sums));
	if (d->tail_fd >= 0)
		close(d->tail_fd);
	if (d->fd >= 0)
		close(d->fd);
	if (d->claim)
		rcl_host_unclaim(io, d->claim);
	free(d);
}

/* Make a device of an open file and give it a number; the descriptor is the device's then. */
static int add_device(struct host_io *io, struct host_device *d)
{
	u32 i;

	pthread_mutex_lock(&io->devices_lock);
	for (i = 0; i < HOST_MAX_DEVICES; i++) {
		u32 nr = (io->devices_next + i) % HOST_MAX_DEVICES;

		if (!io->devices[nr]) {
			d->index = (u16)nr;
			__atomic_store_n(&io->devices[nr], d, __ATOMIC_RELEASE);
			io->devices_next = (nr + 1) % HOST_MAX_DEVICES;
			break;
		}
	}
	pthread_mutex_unlock(&io->devices_lock);
	return i < HOST_MAX_DEVICES ? d->index : -EMFILE;
}

void rcl_host_close_device(struct rcl_host *h, u16 dev)
{
	struct host_device *d = host_device(h, dev);

	pthread_mutex_lock(&h->io->devices_lock);
	__atomic_store_n(&h->io->devices[dev], NULL, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&h->io->devices_lock);
	free_device(h->io, d);
}

static struct host_device *new_device(int fd, bool writable)
{
	struct host_device *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->fd = fd;
	d->tail_fd = -1;
	d->writable = writable;
	return d;
}

/* What there is to know of an open file; 0 or -errno. */
static int examine(struct host_device *d, u32 flags)
{
	struct stat st;
	int err;

	if (fstat(d->fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -EINVAL;
	err = size_of(d->fd, &st, &d->bytes);
	if (err)
		return err;
	d->is_block = S_ISBLK(st.st_mode);
	if (d->is_block && d->writable && is_write_protected(d->fd))
		return -EROFS;
	d->st_dev = d->is_block ? st.st_rdev : st.st_dev;
	d->st_ino = d->is_block ? 0 : st.st_ino;
	d->rotational = is_rotational((dev_t)d->st_dev);
	d->direct = !(flags & RCL_HOST_BUFFERED) && try_direct(d->fd);
	return 0;
}

/* open(), but for what is no file: not a wait for somebody at the other end of a pipe. */
static int open_path(const char *path, int flags, mode_t mode)
{
	int fd;

	do
		fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, mode);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return -errno;
	set_flag(fd, O_NONBLOCK, false);
	return fd;
}

/*
 * A program that died just now, io_uring and all, has its files open until the system has cleaned
 * up behind it, and whoever starts it again is not to be refused for that.
 */
static bool wait_while_busy(int err, u32 *naps)
{
	const struct timespec nap = {.tv_nsec = BUSY_NAP_NS};

	if (err != -EBUSY || ++*naps > BUSY_NAPS)
		return false;
	nanosleep(&nap, NULL);
	return true;
}

/* Nobody else is to write to it, or to have it mounted. */
static int claim(struct host_io *io, const char *path, struct host_device *d, bool shared)
{
	u32 naps = 0;
	int err;

	do
		err = rcl_host_claim(io, path, (dev_t)d->st_dev, shared, &d->claim);
	while (wait_while_busy(err, &naps));
	return err;
}

int rcl_host_open_file(struct rcl_host *h, const char *path, u32 flags)
{
	bool writable = flags & (RCL_HOST_WRITE | RCL_HOST_CREATE);
	int fd, ret, oflags = writable ? O_RDWR : O_RDONLY;
	struct host_device *d;

	if (flags & RCL_HOST_CREATE)
		oflags |= O_CREAT;
	fd = open_path(path, oflags, 0600);
	if (fd < 0)
		return fd;
	d = new_device(fd, writable);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	ret = examine(d, flags);
	if (!ret && d->is_block && writable)
		ret = claim(h->io, path, d, true);
	if (!ret) {
		if (d->bytes & (PAGE_SIZE - 1))
			need_tail(d);
		ret = add_device(h->io, d);
	}
	if (ret < 0)
		free_device(h->io, d);
	return ret;
}

/* ---- swap ---- */

/* A file in dir that has no name. */
static int open_unnamed(const char *dir)
{
	char path[4096];
	u64 chance;
	int fd;

	do
		fd = open(dir, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	while (fd < 0 && errno == EINTR);
	/* Filesystems, and systems, that do not know O_TMPFILE. */
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd < 0 ? -errno : fd;
	for (u32 i = 0; i < 100; i++) {
		if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/.reclaim-%016llx", dir,
				     (unsigned long long)chance) >= sizeof(path))
			return -ENAMETOOLONG;
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0 && unlink(path)) {
			int err = -errno;

			close(fd);
			return err;
		}
		if (fd >= 0)
			return fd;
		if (errno != EEXIST && errno != EINTR)
			return -errno;
	}
	return -EEXIST;
}

/* A block device is claimed once it is known to be one. */
static int lock_swap(struct host_io *io, const char *path, struct host_device *d)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	u32 naps = 0;
	int err;

	if (d->is_block)
		return claim(io, path, d, false);
	do {
		err = fcntl(d->fd, F_OFD_SETLK, &lock) ? -errno : 0;
		if (err == -EAGAIN || err == -EACCES)
			err = -EBUSY;
	} while (wait_while_busy(err, &naps));
	return err;
}

/*
 * What was on a block device must not be found on it any more, and mounted, when part of it has been
 * overwritten.
 */
static int wipe_signatures(struct host_device *d, u64 bytes)
{
	size_t left = (size_t)min(bytes, (u64)SIGNATURES);
	char *zeros = aligned_alloc(PAGE_SIZE, left);
	off_t at = 0;
	int err = 0;

	if (!zeros)
		return -ENOMEM;
	memset(zeros, 0, left);
	while (!err && left) {
		ssize_t n = pwrite(d->fd, zeros, left, at);

		if (n > 0) {
			left -= (size_t)n;
			at += n;
		} else if (!n || errno != EINTR) {
			err = n ? -errno : -EIO;
		}
	}
	free(zeros);
	return err;
}

/* Make the swap as large as asked, and empty. */
static int make_room(struct host_device *d, u64 bytes, u32 flags)
{
	if (d->is_block) {
		int err = d->bytes < bytes ? -ENOSPC : wipe_signatures(d, bytes);

		if (err)
			return err;
	} else {
		if (ftruncate(d->fd, 0) || ftruncate(d->fd, (off_t)bytes))
			return -errno;
		if (flags & RCL_HOST_PREALLOCATE) {
			int err;

			do
				err = fallocate(d->fd, 0, 0, (off_t)bytes) ? errno : 0;
			while (err == EINTR);
			if (err)
				return -err;
		}
	}
	d->bytes = bytes;
	return 0;
}

int rcl_host_open_swap(struct rcl_host *h, const char *path, const char *dir, u64 bytes, u32 flags)
{
	struct platform *p = &h->plat;
	struct host_device *d;
	int fd, ret;

	bytes &= ~(u64)(PAGE_SIZE - 1);
	if (!bytes || bytes > INT64_MAX)
		return -EINVAL;
	if (!path && !dir)
		dir = secure_getenv("TMPDIR");
	if (!path && (!dir || !*dir))
		dir = "/var/tmp";
	fd = path ? open_path(path, O_RDWR | O_CREAT, 0600) : open_unnamed(dir);
	if (fd < 0)
		return fd;
	d = new_device(fd, true);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	d->swap = true;
	ret = examine(d, flags);
	if (!ret && path)
		ret = lock_swap(h->io, path, d);
	if (!ret)
		ret = make_room(d, bytes, flags);
	if (!ret) {
		d->nr_slots = bytes >> PAGE_SHIFT;
		d->sums = p->ops->reserve(p, d->nr_slots * sizeof(*d->sums));
		ret = d->sums ? add_device(h->io, d) : -ENOMEM;
	}
	if (ret < 0)
		free_device(h->io, d);
	return ret;
}

/* ---- while it is open ---- */

void rcl_host_device_info(struct rcl_host *h, u16 dev, struct rcl_host_device_info *info)
{
	struct host_device *d = host_device(h, dev);

	*info = (struct rcl_host_device_info){
		.bytes = host_device_bytes(d),
		.st_dev = d->st_dev,
		.st_ino = d->st_ino,
		.direct = __atomic_load_n(&d->direct, __ATOMIC_RELAXED),
		.rotational = d->rotational,
		.is_block = d->is_block,
		.writable = d->writable,
		.reads = __atomic_load_n(&d->reads, __ATOMIC_RELAXED),
		.writes = __atomic_load_n(&d->writes, __ATOMIC_RELAXED),
		.read_bytes = __atomic_load_n(&d->read_bytes, __ATOMIC_RELAXED),
		.written_bytes = __atomic_load_n(&d->written_bytes, __ATOMIC_RELAXED),
		.errors = __atomic_load_n(&d->errors, __ATOMIC_RELAXED),
		.checksum_errors = __atomic_load_n(&d->checksum_errors, __ATOMIC_RELAXED),
	};
}

int rcl_host_sync(struct rcl_host *h, u16 dev)
{
	struct host_device *d = host_device(h, dev);

	while (fdatasync(d->fd)) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int rcl_host_truncate(struct rcl_host *h, u16 dev, u64 bytes)
{
	struct host_device *d = host_device(h, dev);
	u64 old;
	int err = 0;

	if (d->swap || d->is_block || bytes > INT64_MAX)
		return -EINVAL;
	if (!d->writable)
		return -EBADF;
	pthread_mutex_lock(&h->io->devices_lock);
	old = host_device_bytes(d);
	if (bytes & (PAGE_SIZE - 1))
		need_tail(d);
	/* Nothing is to be written behind the end while it moves. */
	if (bytes < old)
		__atomic_store_n(&d->bytes, bytes, __ATOMIC_RELAXED);
	while (ftruncate(d->fd, (off_t)bytes)) {
		if (errno != EINTR) {
			err = -errno;
			break;
		}
	}
	__atomic_store_n(&d->bytes, err ? old : bytes, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&h->io->devices_lock);
	return err;
}

int rcl_host_punch(struct rcl_host *h, u16 dev, u64 first, u64 nr)
{
	struct host_device *d = host_device(h, dev);
	u64 end = (host_device_bytes(d) + PAGE_SIZE - 1) >> PAGE_SHIFT;
	/* Of a device only who has claimed it may drop what the system caches. */
	int fd = d->claim ? rcl_host_claim_fd(d->claim) : d->fd;

	if (!d->writable)
		return -EBADF;
	if (first >= end || !nr)
		return 0;
	end = first + min(nr, end - first);
	for (u64 i = first; d->swap && i < end; i++)
		__atomic_store_n(&d->sums[i], 0, __ATOMIC_RELAXED);
	while (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)(first << PAGE_SHIFT), (off_t)((end - first) << PAGE_SHIFT))) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* ---- opening and closing ---- */

int rcl_host_devices_init(struct host_io *io)
{
	struct platform *p = &io->h->plat;

	io->devices = p->ops->reserve(p, HOST_MAX_DEVICES * sizeof(struct host_device *));
	if (!io->devices)
		return -ENOMEM;
	list_init(&io->claims);
	pthread_mutex_init(&io->devices_lock, NULL);
	return 0;
}

void rcl_host_devices_exit(struct host_io *io)
{
	struct platform *p = &io->h->plat;

	for (u32 i = 0; i < HOST_MAX_DEVICES; i++)
		if (io->devices[i])
			free_device(io, io->devices[i]);
	p->ops->release(p, io->devices, HOST_MAX_DEVICES * sizeof(struct host_device *));
	pthread_mutex_destroy(&io->devices_lock);
}
