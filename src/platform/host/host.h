/* SPDX-License-Identifier: MIT */
/*
 * The host platform: real memory, real files, real threads under the engine.
 *
 *   host.c     the platform as a value: clock, chance, random, reserve; opening and closing it
 *   arena.c    frames: frame N is the 4 KiB at base + N * 4096; page_zero, page_copy, stamps
 *   thread.c   tasks: threads that enter and leave, threads the engine spawns, futex waiting
 *   device.c   files and swap as block devices: opening, locking, checksums, sizes, durability
 *   claim.c    claims to real block devices: who writes to one is alone with it
 *   queue.c    from pages to requests: plugs, merging of neighbours, dispatch, completion
 *   uring.c    requests done by io_uring
 *   pool.c     requests done by a pool of threads with preadv and pwritev
 *   spin.c     looking for the end of a read before going to sleep for it
 *   cpus.c     how many processors there are for that
 *   measure.c  how long I/O takes, where that is wanted
 *   faults.c   faults injected on purpose, for tests
 *
 * Threads. Any thread may run engine code between rcl_host_enter() and rcl_host_leave(), which cost
 * a few loads after the first time: a thread's struct task is made once and kept until the thread
 * ends or the platform closes. current() is that task.
 *
 * Frames. The arena is reserved at create, with room for one block of the largest order before the
 * first frame to be aligned to it; huge pages where the system gives them. It is not inherited by
 * fork (MADV_DONTFORK); what the fast paths read (page tables, directories) is wiped in a child
 * (MADV_WIPEONFORK: reserve() does that), so that a child always takes the slow path, which looks
 * at `alive` in a page that is wiped too.
 */
#ifndef RCL_HOST_H
#define RCL_HOST_H

#include "mm/task.h"
#include "platform/platform.h"

struct rcl_host;
struct rcl_host_faults; /* faults.h */

struct rcl_host_config {
	u64 nr_frames; /* of the arena: at least as many as the machine's highest frame + 1 */
	u32 nr_cpus;   /* 0 = as the system has, at most RCL_MAX_CPUS */
	u32 io_depth;  /* I/Os under way at most; 0 = 128 */
	u64 spin_ns;   /* how long to look for the end of a read before sleeping; 0 = not: spin.c */
	bool no_uring; /* use threads for I/O */
	bool measure;  /* note how long I/O takes: measure.h */
	bool populate; /* take the arena's memory at once */
	u64 seed;      /* of ops->random; 0 = from the system */
	struct rcl_host_faults *faults; /* NULL = none; the caller's, outlives the host */
};

/* 0 or -errno. The machine is opened on rcl_host_platform() afterwards, and closed before. */
int rcl_host_create(const struct rcl_host_config *cfg, struct rcl_host **out);
void rcl_host_destroy(struct rcl_host *h);
struct platform *rcl_host_platform(struct rcl_host *h);
u32 rcl_host_nr_cpus(const struct rcl_host *h);
/* False in a process forked from the one that made it. */
bool rcl_host_is_alive(const struct rcl_host *h);

/* ---- Threads (thread.c) ---- */

/*
 * The calling thread is a task of the machine from here to rcl_host_leave() (nests). memcg: who is
 * charged for what it brings in, until it leaves; NULL = root. NULL when out of memory. Such tasks
 * are not killed by the OOM killer: allocations that find nothing fail instead.
 */
struct task *rcl_host_enter(struct rcl_host *h, struct memcg *memcg);
void rcl_host_leave(struct rcl_host *h, struct task *t);

/* ---- Frames (arena.c) ---- */

/* Address of frame 0; constant. frame N is at + N * PAGE_SIZE. */
void *rcl_host_arena(const struct rcl_host *h);
static inline void *rcl_host_frame(const struct rcl_host *h, u64 pfn)
{
	return (char *)rcl_host_arena(h) + (pfn << PAGE_SHIFT);
}

/* ---- Devices (device.c) ---- */

enum rcl_host_device_flag {
	RCL_HOST_WRITE = 1,
	RCL_HOST_CREATE = 2,
	RCL_HOST_BUFFERED = 4,	  /* no O_DIRECT */
	RCL_HOST_PREALLOCATE = 8, /* swap: take the disk space at once */
	RCL_HOST_PUNCH = 16,	  /* swap: give freed slots back: rcl_host_punch() may be used */
};
/*
 * Open a file or block device; page N of it is block N. Returns the device number, >= 0, or -errno.
 * The same file opened again (same st_dev and st_ino) gets its own number. -EBUSY: a block device
 * that is to be written and that somebody outside this host has claimed.
 */
int rcl_host_open_file(struct rcl_host *h, const char *path, u32 flags);
/*
 * Swap of so many bytes at path, or (NULL) in an unnamed file in dir (NULL: $TMPDIR or /var/tmp).
 * Each slot's checksum is kept and verified when it is read: -EIO and a count if it does not match.
 */
int rcl_host_open_swap(struct rcl_host *h, const char *path, const char *dir, u64 bytes, u32 flags);
/* No I/O on it may be under way. Device numbers are used again. */
void rcl_host_close_device(struct rcl_host *h, u16 dev);

struct rcl_host_device_info {
	u64 bytes;	    /* size now */
	u64 st_dev, st_ino; /* of a block device: its own number, and 0 */
	bool direct, rotational, is_block, writable;
	u64 reads, writes, read_bytes, written_bytes; /* requests and bytes so far */
	u64 errors, checksum_errors;
};
void rcl_host_device_info(struct rcl_host *h, u16 dev, struct rcl_host_device_info *info);
/* fdatasync: 0 or -errno. */
int rcl_host_sync(struct rcl_host *h, u16 dev);
int rcl_host_truncate(struct rcl_host *h, u16 dev, u64 bytes);
/* Give the disk space of blocks [first, first + nr) back; they read as zeros. */
int rcl_host_punch(struct rcl_host *h, u16 dev, u64 first, u64 nr);

/* Pages whose I/O has been submitted and has not ended. */
u32 rcl_host_io_under_way(const struct rcl_host *h);

/* Which way I/O goes: "io_uring" or "threads". */
const char *rcl_host_io_backend(const struct rcl_host *h);

#endif
