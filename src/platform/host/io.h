/* SPDX-License-Identifier: MIT */
/*
 * What the files of the I/O half share: devices, requests, and who does what to them.
 *
 *   queue.c    makes requests of pages, hands them to the ring or the pool, and is told how each
 *              transfer went (rcl_host_request_step); it knows what is left to be done
 *   device.c   opens devices, knows their sizes and checksums
 *   claim.c    claims block devices
 *   uring.c, pool.c   do transfers
 *   measure.c  notes how long they took
 *   faults.c   meddles with them
 *
 * A request belongs to whoever is at it: the thread that forms it, then the backend (the kernel, a
 * thread of the pool), then the thread that handles its completion. `owner_gate` is where one hands
 * it to the next when nothing but the kernel stands between them.
 *
 * Field legend:  c constant after it is opened   A atomic   D host_io.devices_lock   r the
 * request's owner   S ring.sq_lock   P pool.lock
 */
#ifndef RCL_HOST_IO_H
#define RCL_HOST_IO_H

#include <sys/uio.h>

#include "platform/host/faults.h"
#include "platform/host/internal.h"

#define HOST_REQUEST_PAGES HOST_PLUG_PAGES
#define HOST_WRITE_PAGES   256u /* of these, in a write, */
#define HOST_READ_PAGES	   64u	/* and in a read, but for long ones: see queue.c */
#define HOST_SWAP_REQUESTS 32u	/* writes to swap that a plug gathers */
#define HOST_MAX_DEVICES   65535u
#define HOST_MAX_DEPTH	   4096u
#define HOST_RINGS	   64u
#define HOST_POOL_THREADS  16u

struct host_device {
	u16 index;
	int fd;					   /* c */
	int tail_fd;				   /* A: without O_DIRECT; -1 until one is needed */
	bool swap, writable, is_block, rotational; /* c */
	bool direct;				   /* A: fd has O_DIRECT */
	u64 bytes;		  /* A: size, or where it will be after rcl_host_truncate */
	u64 st_dev, st_ino;	  /* c: which file; a block device: its number, and 0 */
	struct host_claim *claim; /* c: block devices that are written; NULL: none */
	u32 *sums;		  /* A each: checksum of a swap slot, 0 = reads as zeros */
	u64 nr_slots;		  /* c */
	u64 reads, writes, read_bytes, written_bytes, errors, checksum_errors; /* A */
};

struct host_request {
	struct host_request *next; /* r: in a batch, or in the pool's queue */
	struct host_device *dev;   /* r */
	u64 offset;		   /* r: on the device, of the first page */
	u32 bytes;		   /* r: to be transferred */
	u32 done;		   /* r: transferred for good */
	u32 from, upto;		   /* r: what the transfer under way covers */
	u32 retries;		   /* r: transfers that got no further, since one did */
	u32 ended;		   /* r: pages whose I/O has been ended */
	u16 nr_pages, nr_iov;	   /* r */
	u16 ring;		   /* r: that it is in */
	u8 op;			   /* r */
	bool page_by_page;	   /* r: something failed: find out which pages it concerns */
	int fd;			   /* r */
	u32 owner_gate;		   /* A */
	u32 free_next;		   /* A: of the free list: index + 1 */
	/* r: measure.c */
	u64 started_at;
	bool first; /* of its kind under way */
	/* r: faults.c */
	u64 number, delay_ns;
	u32 interrupts, transfers;
	int inject;	  /* result of the transfer, if not 0: do nothing */
	u32 lose;	  /* bytes that the result is too large by */
	int sticky_error; /* that the transfer from sticky_from meets, whenever it is tried */
	u32 sticky_from;
	bool corrupt;
	struct { /* struct __kernel_timespec of the delay */
		s64 sec;
		long long nsec;
	} delay;

	struct iovec iov[HOST_REQUEST_PAGES]; /* r */
	struct rcl_io pages[HOST_REQUEST_PAGES];
};

struct host_claim;   /* claim.c */
struct host_rings;   /* uring.c */
struct host_pool;    /* pool.c */
struct host_measure; /* measure.c */

struct host_io {
	struct rcl_host *h; /* c */

	struct host_device **devices; /* A entries */
	pthread_mutex_t devices_lock; /* never held while waiting for anything but the system */
	u32 devices_next;	      /* D: where to look for a free number */
	struct list_head claims;      /* D: claim.c */

	struct host_request *requests; /* c: io_depth of them: their number is the bound */
	u64 free_requests;	       /* A: generation << 32 | index + 1 */
	u32 free_seq;		       /* A: counts returns while somebody waits for one */
	u32 free_waiters;	       /* A */

	struct host_rings *rings; /* c: NULL: the pool does it */
	struct host_pool *pool;	  /* c */
	struct rcl_host_faults *faults;
	struct host_measure *measure; /* c: NULL: nobody wants to know */
};

static inline struct host_device *host_device(struct rcl_host *h, u16 dev)
{
	struct host_device *d;

	RCL_ASSERT(dev < HOST_MAX_DEVICES);
	d = __atomic_load_n(&h->io->devices[dev], __ATOMIC_ACQUIRE);
	RCL_ASSERT(d && "I/O on a device that is not open");
	return d;
}
static inline u64 host_device_bytes(const struct host_device *d)
{
	return __atomic_load_n(&d->bytes, __ATOMIC_RELAXED);
}
static inline char *host_page_data(struct host_io *io, const struct host_request *r, u32 page)
{
	return host_folio_data(io->h, r->pages[page].folio);
}
static inline void host_count(u64 *counter, u64 n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* ---- device.c ---- */

int rcl_host_devices_init(struct host_io *io);
void rcl_host_devices_exit(struct host_io *io);
/* A page's checksum as it is kept: never 0. */
u32 rcl_host_checksum(const void *page);
/* Has the device, as it is now, nothing at this place and behind it? */
bool rcl_host_device_at_end(const struct host_device *d, u64 offset);

/* ---- claim.c ---- */

/*
 * Claim the block device `number`, which is at path: 0, or -EBUSY, -ENODEV or what open() says.
 * shared: others of this host may, too.
 */
int rcl_host_claim(struct host_io *io, const char *path, dev_t number, bool shared,
		   struct host_claim **out);
void rcl_host_unclaim(struct host_io *io, struct host_claim *c);
/* A descriptor that the system knows for the claimant's. */
int rcl_host_claim_fd(const struct host_claim *c);

/* ---- queue.c ---- */

/*
 * A transfer has moved res bytes, or failed with -errno. True: the request has been prepared for
 * the next one. False: it has ended, all its pages' I/O too, and it is not the caller's any more.
 * Never waits.
 */
bool rcl_host_request_step(struct host_io *io, struct host_request *r, s64 res);
/* As rcl_host_io_wait(), when there is nothing in the thread's plug. */
int rcl_host_io_sleep(struct host_io *io, struct host_thread *th, u32 *word, u32 value,
		      u64 timeout_ns, bool for_io);

/* ---- uring.c ---- */

/* 0, or why io_uring cannot be used here. */
int rcl_host_rings_init(struct host_io *io);
void rcl_host_rings_exit(struct host_io *io);
/* Start a list of requests. defer: the thread goes to rcl_host_rings_sleep() next. */
void rcl_host_rings_start(struct host_io *io, struct host_thread *th, struct host_request *list,
			  bool defer);
int rcl_host_rings_sleep(struct host_io *io, struct host_thread *th, u32 *word, u32 value,
			 u64 timeout_ns, bool for_io);
u32 rcl_host_rings_kick(struct host_io *io, const u32 *word);
/* Deal with what has completed in the thread's own ring, if nobody does. */
void rcl_host_rings_poll(struct host_io *io, struct host_thread *th);

/* ---- pool.c ---- */

int rcl_host_pool_init(struct host_io *io);
void rcl_host_pool_exit(struct host_io *io);
void rcl_host_pool_start(struct host_io *io, struct host_request *list);

/* ---- measure.c (but for init and exit not called when nobody wants to know) ---- */

int rcl_host_measure_init(struct host_io *io);
void rcl_host_measure_exit(struct host_io *io);
/* The running thread's CPU time. */
u64 rcl_host_measure_cpu(void);
/* A list of requests starts; one has ended. */
void rcl_host_measure_start(struct host_io *io, struct host_request *list);
void rcl_host_measure_end(struct host_io *io, const struct host_request *r);
/* CPU time that starting so many, and ending one, has taken. */
void rcl_host_measure_submitted(struct host_io *io, u32 requests, u32 pages, u64 ns);
void rcl_host_measure_ended(struct host_io *io, u32 pages, u64 ns);

/* ---- faults.c (not called when there are none) ---- */

/* A request's next transfer is about to start: decides inject, delay_ns, lose. */
void rcl_host_fault_before(struct host_io *io, struct host_request *r);
/* What it came to, as the request shall see it. */
s64 rcl_host_fault_after(struct host_io *io, struct host_request *r, s64 res);

#endif
