/* SPDX-License-Identifier: MIT */
/*
 * reclaim: one memory budget for a process's anonymous memory and file cache, kept by Linux's own
 * reclaim algorithm, in user space, on real memory, real files and real swap.
 *
 * A machine is a budget: so many bytes of page memory, and what decides which pages stay in it. An
 * area is an array of 4 KiB pages, larger than the budget if need be: anonymous (its cold pages go
 * to the machine's swap file) or of a file (its cold pages are written back and dropped). To use a
 * page, pin it; a pinned page stays where it is until it is unpinned.
 *
 *	struct rcl_options opt = RCL_OPTIONS_INIT;
 *	struct rcl_machine *machine;
 *	struct rcl_area *area;
 *	struct rcl_pin pin;
 *
 *	opt.budget = 256 << 20;
 *	opt.swap_size = 4ull << 30;
 *	err = rcl_open(&opt, &machine, NULL);			// each may fail: look at err
 *	err = rcl_area_anon(machine, NULL, 1000000, 0, &area);	// 4 GB of zeros
 *	err = rcl_pin(area, 4711, RCL_WRITE, &pin);		// page 4711 is in memory
 *	memcpy(pin.addr, data, RCL_PAGE_SIZE);
 *	rcl_unpin(&pin);					// and may leave it again
 *	err = rcl_area_close(area);
 *	err = rcl_close(machine);
 *
 * UNITS. Places and lengths in areas are pages of 4096 bytes, counted from 0. Budgets, limits, swap
 * and file sizes are bytes.
 *
 * ERRORS. Functions that can fail return 0 or a negative errno; rcl_strerror() says what it means
 * here. Whatever was not returned as an error was done. No call leaves something half done unless
 * its comment says so.
 *
 *	-ENOMEM		the budget or the group's limit is full and nothing in it can go (swap full
 *			or none, everything pinned); or the system gave no memory for metadata
 *	-EIO		a page could not be read or written, or its checksum in swap did not match
 *	-ENOSPC, ...	what the system said when writing: reported by the next rcl_area_sync()
 *	-ERANGE		pages beyond the end of the area
 *	-EACCES		writing to an area opened for reading
 *	-EAGAIN		RCL_TRY: it would have had to wait
 *	-ENODATA	RCL_IF_KEPT: the page holds nothing
 *	-EBUSY		pages are pinned, areas open, or a swap file or block device is in use by
 *			another
 *	-EINVAL		an argument makes no sense
 *	-ECHILD		the calling process is a fork of the one that opened the machine
 *
 * THREADS. All functions may be called by any thread at any time, except that closing something
 * must be the last call on it. Threads need not be registered, and pins are not theirs: one thread
 * may undo what another has pinned. Two threads may pin the same page, also both for writing:
 * keeping them apart is up to them, as with any memory. Most calls may sleep, for memory or I/O;
 * rcl_unpin(), the peeks and what says so do not wait for I/O. A thread may end, or be cancelled,
 * with pins in its hands: they stay. No call is a cancellation point, and none may be cancelled
 * asynchronously or made by a signal handler. The machine's own threads block all signals.
 *
 * WRITING BACK. A dirty page of a file is written whenever it suits the machine, but never while it
 * is pinned for writing: what reaches the file is what the page was between two such pins. So a
 * program that must have its log on the disk before a page (write-ahead logging) keeps the page
 * pinned for writing until the log is there. After a crash of the program the file holds, page by
 * page, some such state, not older than the last rcl_area_sync() that succeeded; after a crash of
 * the system the device may besides have torn the pages it was just writing.
 *
 * FORK. The machine belongs to the process that opened it. In a child its memory is not there:
 * calls return -ECHILD, addresses of pinned pages fault. A child may exec, or exit. One that does
 * neither should call rcl_close(), to let go of files and sockets: a TCP port for metrics stays
 * taken, should the parent be killed, for as long as the child has it open.
 *
 * OWNERSHIP. What a create function returns is the caller's, who closes it. Areas and groups are
 * closed before their machine. Strings and structs passed in are copied.
 *
 * The algorithm is that of Linux 6.1 (Documentation/admin-guide/mm, Documentation/admin-guide/
 * cgroup-v2); docs/6.1-differences.md lists where this one differs.
 */
#ifndef RECLAIM_RECLAIM_H
#define RECLAIM_RECLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RCL_VERSION_MAJOR 0
#define RCL_VERSION_MINOR 1
#define RCL_VERSION_PATCH 0

/* What the shared library exports. */
#define RCL_API __attribute__((visibility("default")))
/* The result must be looked at. */
#define RCL_MUST_CHECK __attribute__((warn_unused_result))

#define RCL_PAGE_SIZE  4096u
#define RCL_UNLIMITED  UINT64_MAX
#define RCL_MIN_BUDGET (1ull << 20) /* 1 MiB */
#define RCL_MAX_AREA   (1ull << 32) /* pages: 16 TiB */
#define RCL_MAX_PINS   1023u	    /* of one page at a time, 63 of them for writing; then -EBUSY */

struct rcl_machine; /* a budget and everything in it */
struct rcl_group;   /* a memory cgroup: a share of the budget with a limit of its own */
struct rcl_area;    /* an array of pages */

/* ---- Machines ------------------------------------------------------------------------------ */

enum rcl_open_flag {
	RCL_OPEN_NO_URING = 1,	       /* do I/O with threads even where io_uring is allowed */
	RCL_OPEN_PREALLOCATE_SWAP = 2, /* take the disk space at once instead of as needed */
	RCL_OPEN_PUNCH_SWAP = 4,       /* give disk space of freed swap slots back, soon after */
	RCL_OPEN_STATS = 8,	       /* keep a statistics page that `reclaim top` can attach to */
	RCL_OPEN_PREALLOCATE = 16,     /* take the whole budget from the system at once */
};

/*
 * What to open. Start from RCL_OPTIONS_INIT, so that fields that a later version adds have their
 * defaults.
 */
struct rcl_options {
	size_t size; /* of this struct, as the program was compiled */
	/*
	 * Bytes of page memory, at least RCL_MIN_BUDGET; rounded down to pages. Metadata comes on
	 * top: 2 to 2.5%. A little of the budget stays free (vm.min_free_kbytes and
	 * vm.watermark_scale_factor), as it does on a Linux machine of this size. It stays as it is
	 * until the machine is closed; to vary it, put all areas in one group and vary that one's
	 * limit.
	 */
	uint64_t budget;
	/*
	 * Bytes of swap; 0 = none: then anonymous pages never leave memory, except those of areas
	 * with RCL_AREA_CACHE. When it is full, so is the budget.
	 */
	uint64_t swap_size;
	/*
	 * Where swap is. swap_path: this file (created with mode 0600 if it is not there, locked
	 * against a second user, its content overwritten) or block device. Of a device ALL IS LOST,
	 * and at once: nobody asks, not even when there is a filesystem on it. It is refused
	 * (-EBUSY) while it is mounted or in use otherwise. What was written to swap stays there,
	 * when the machine is closed. NULL: an unnamed file in swap_dir, which vanishes with the
	 * process. swap_dir NULL: $TMPDIR, or /var/tmp.
	 */
	const char *swap_path;
	const char *swap_dir;
	uint32_t flags;	   /* enum rcl_open_flag */
	uint32_t io_depth; /* reads and writes under way at a time at most; 0 = 128 */
	uint32_t nr_cpus;  /* sets of per-CPU lists; 0 = as many as the system has, 64 at most */
	/* Name shown by `reclaim top` and in the metrics; NULL = the program's. */
	const char *name;
	/*
	 * Serve the counters in Prometheus' text format over HTTP: "unix:/path/of/socket" (mode
	 * 0600), or "127.0.0.1:PORT" or "[::1]:PORT". NULL = do not.
	 */
	const char *metrics;
	/*
	 * Microseconds that a thread at most looks for the end of its read before it sleeps: its
	 * page comes sooner, for some processor time. It only looks while the disk is that fast, and
	 * leaves a processor free. 0 = 100; -1 = sleep at once; 10000 at most.
	 */
	int32_t io_spin_us;
};
#define RCL_OPTIONS_INIT                                                                           \
	{                                                                                          \
		sizeof(struct rcl_options), 0, 0, NULL, NULL, 0, 0, 0, NULL, NULL, 0               \
	}

/*
 * Open a machine. Starts its threads (page reclaim, writeback, I/O completion). On failure *machine
 * is NULL and *message, if message is not NULL, points to a text that names the option and the
 * value at fault; the caller frees it with free().
 */
RCL_MUST_CHECK RCL_API int rcl_open(const struct rcl_options *options, struct rcl_machine **machine,
				    char **message);
/*
 * Close it and end its threads. -EBUSY: it still has areas, groups or frames, and stays open. In a
 * forked child: lets go of what the child has of it, and returns -ECHILD.
 */
RCL_API int rcl_close(struct rcl_machine *machine);

/* What an error of this library means, in a few words; never NULL. */
RCL_API const char *rcl_strerror(int error);
/* "0.1.0": of the library at run time. */
RCL_API const char *rcl_version(void);

/* ---- Groups -------------------------------------------------------------------------------- */

/*
 * A memory cgroup below parent (NULL: directly below the machine). What areas of the group hold
 * counts for it and for the groups above it. At most 65,000 groups.
 */
RCL_MUST_CHECK RCL_API int rcl_group_create(struct rcl_machine *machine, struct rcl_group *parent,
					    const char *name, struct rcl_group **group);
/*
 * -EBUSY: it still has areas, groups or frames, and stays. Pages of files that it brought in pass
 * to its parent.
 */
RCL_API int rcl_group_destroy(struct rcl_group *group);
/*
 * memory.max in bytes (rounded down to pages), or RCL_UNLIMITED, which it starts with. Reclaims
 * down to the new limit before it returns; -EBUSY: that did not succeed (pinned pages, swap full),
 * but the limit stands for whatever comes next.
 */
RCL_API int rcl_group_set_max(struct rcl_group *group, uint64_t bytes);
/* Bytes charged to it and below; NULL: 0. */
RCL_API uint64_t rcl_group_usage(const struct rcl_group *group);
/* Give up to so many bytes of cold pages back now; returns how many went (memory.reclaim). */
RCL_API uint64_t rcl_group_reclaim(struct rcl_group *group, uint64_t bytes);

/* ---- Areas --------------------------------------------------------------------------------- */

enum rcl_area_flag {
	RCL_AREA_WRITE = 1,  /* files: open for reading and writing (default: reading) */
	RCL_AREA_CREATE = 2, /* files, with WRITE: create with mode 0600 when it is not there */
	/*
	 * rcl_peek() may be used; pins for writing cost a little more. It notices writers that pin
	 * through this very area: what is written through another area of the same file (with or
	 * without this flag) escapes it, so have one area for both readers and writers.
	 */
	RCL_AREA_OPTIMISTIC = 4,
	RCL_AREA_BUFFERED = 8, /* files: read and write through the kernel's cache too */
	/*
	 * Anonymous: a cache of what the program can have again from elsewhere. When memory is
	 * short its cold pages are dropped, dirty or not, and read as zeros afterwards; they never
	 * go to swap. Pin them with RCL_IF_KEPT to learn whether they are still there.
	 */
	RCL_AREA_CACHE = 16,
};

/*
 * An anonymous area of so many pages, all zero. Takes no memory before its pages are pinned. group
 * NULL: charged to the machine alone. Flags: RCL_AREA_OPTIMISTIC, RCL_AREA_CACHE.
 */
RCL_MUST_CHECK RCL_API int rcl_area_anon(struct rcl_machine *machine, struct rcl_group *group,
					 uint64_t pages, uint32_t flags, struct rcl_area **area);
/*
 * A file as an area: page N is bytes N * 4096 and on; of the last page, the bytes after the end of
 * the file read as zero and are not written. The area is as long as the file: 0 pages when it was
 * just created, and rcl_area_truncate() makes it longer. Opened with O_DIRECT where the filesystem
 * has it. Two areas of one file show the same pages, and the same size, but rcl_peek() in one knows
 * nothing of pins in the other; changes that other programs make to the file meanwhile may or may
 * not be seen. Errors of open(2) as they are. -EFBIG: larger than RCL_MAX_AREA; -EISDIR, -EINVAL:
 * neither a regular file nor a block device.
 *
 * A block device is as long as it is. RCL_AREA_WRITE claims it for this machine (O_EXCL): -EBUSY
 * while it, or a partition of it, is mounted, swap, part of a RAID or volume group, or another's
 * area to write; -EROFS: write-protected. Reading is always allowed; what somebody else writes
 * meanwhile may or may not be seen. Nothing looks at what is on it before it is written.
 */
RCL_MUST_CHECK RCL_API int rcl_area_file(struct rcl_machine *machine, struct rcl_group *group,
					 const char *path, uint32_t flags, struct rcl_area **area);
/*
 * Close an area and give its pages back. -EBUSY: pages are pinned, and it stays open. After any
 * other result it is closed. Dirty pages of a file are written first (an error in doing so is
 * returned), but only rcl_area_sync() makes sure of the disk. Like it, waits for pages of the file
 * that are pinned for writing through other areas.
 */
RCL_API int rcl_area_close(struct rcl_area *area);
RCL_API uint64_t rcl_area_pages(const struct rcl_area *area);
/*
 * Make an anonymous area larger. Pages that are pinned stay where they are. -EINVAL: it would
 * become smaller, or is a file's; -ERANGE: more than RCL_MAX_AREA.
 */
RCL_API int rcl_area_grow(struct rcl_area *area, uint64_t pages);
/*
 * Size of a file in bytes; and set it: what is added reads as zeros and takes no disk space before
 * it is written. Cutting off a pinned page: -EBUSY, nothing changed. Anonymous areas: 0; -EINVAL.
 * Block devices: their size; -EINVAL.
 */
RCL_API uint64_t rcl_area_file_size(const struct rcl_area *area);
RCL_API int rcl_area_truncate(struct rcl_area *area, uint64_t bytes);
/*
 * Make pages zero and give their memory and swap (anonymous) or disk space (file) back. -EBUSY:
 * pinned pages among them are left as they are, the others are gone. nr 0: nothing.
 */
RCL_API int rcl_area_punch(struct rcl_area *area, uint64_t first, uint64_t nr);
/*
 * Write dirty pages of a file to the disk and wait until they are durable (fdatasync). Covers what
 * was written under pins that had been unpinned before the call. Waits for pages that are pinned
 * for writing just then, so whoever calls it has none of the area's pages pinned so. 0 means that
 * this and everything in the range since the last sync is on the disk; an error is reported once,
 * and pages whose writing failed are as lost as with fsync(2). nr 0: all pages from first on.
 * Anonymous areas: 0.
 */
RCL_API int rcl_area_sync(struct rcl_area *area, uint64_t first, uint64_t nr);

/*
 * Each as the madvise() of the same name. NORMAL, RANDOM and SEQUENTIAL are for the whole area,
 * whatever first and nr. nr 0: all pages from first on. Pinned pages are left alone.
 */
enum rcl_area_advice {
	RCL_ADVISE_NORMAL,
	RCL_ADVISE_RANDOM,     /* no read-ahead */
	RCL_ADVISE_SEQUENTIAL, /* once, in order: read far ahead; pages behind go first */
	RCL_ADVISE_WILLNEED,   /* start reading: the same as rcl_prefetch() */
	RCL_ADVISE_COLD,       /* first to go when memory is short */
	RCL_ADVISE_PAGEOUT,    /* go now */
};
RCL_API int rcl_area_advise(struct rcl_area *area, uint64_t first, uint64_t nr,
			    enum rcl_area_advice advice);

/* ---- Pages --------------------------------------------------------------------------------- */

enum rcl_pin_how {
	RCL_READ = 1,
	/*
	 * Read and write; the page is dirty from now on. With too many dirty pages of files about,
	 * waits until some are written (vm.dirty_ratio).
	 */
	RCL_WRITE = 2,
	/*
	 * Write, and all of the page: what it held is not read from disk or swap. Until written it
	 * holds zeros or what it held before; so do the pages of a range or batch that failed.
	 */
	RCL_OVERWRITE = 4,
	/*
	 * Only if it takes no waiting, for I/O or for memory; else -EAGAIN. Starts no I/O. Not with
	 * RCL_WAIT or RCL_NOFAIL (-EINVAL).
	 */
	RCL_TRY = 8,
	/*
	 * When the budget is full of what cannot go: without these, -ENOMEM. RCL_WAIT: wait until
	 * somebody unpins or frees; threads that wait so while each keeps pins wait for each other.
	 * RCL_NOFAIL: exceed the group's limit (and wait if the machine itself is full).
	 */
	RCL_WAIT = 16,
	RCL_NOFAIL = 32,
	/*
	 * Only a page that holds something. -ENODATA: nobody has pinned it since the area was made,
	 * or since it was punched or (RCL_AREA_CACHE) dropped. Pages of files always do.
	 */
	RCL_IF_KEPT = 64,
};

/*
 * A page in use. Only addr is the caller's business; the rest is how unpinning finds it. May be
 * moved, and undone through a copy, but once. (C++: say struct rcl_pin and struct rcl_peek, as
 * functions have these names, too.)
 */
struct rcl_pin {
	void *addr; /* 4096 bytes, until unpinned; NULL: not pinned */
	uint64_t *word;
	struct rcl_area *area;
	uint32_t page_low, how;
};

/*
 * Bring a page to memory and keep it there until rcl_unpin(). A page already in memory costs one
 * atomic instruction. How: one of RCL_READ, RCL_WRITE, RCL_OVERWRITE, plus flags (READ with WRITE
 * is WRITE). On failure pin->addr is NULL; after -EIO the next pin tries to read again. Pins of one
 * page count; every one is undone by itself. A page already pinned for reading may be pinned for
 * writing besides.
 *
 * What is pinned cannot be reclaimed: keep pins few and short. All of a budget's pages but some
 * percent can be pinned at once; before that, everything else gets slow.
 */
RCL_MUST_CHECK RCL_API int rcl_pin(struct rcl_area *area, uint64_t page, uint32_t how,
				   struct rcl_pin *pin);
/*
 * Undo it. pin->addr is NULL afterwards; a pin whose addr is NULL is left alone, so start with
 * struct rcl_pin pin = { 0 } where clean-up code may meet one that was never taken.
 */
RCL_API void rcl_unpin(struct rcl_pin *pin);
/*
 * Pin nr pages in a row, or any nr pages of areas of one machine (a batch; a page may be in it more
 * than once). What is missing is read all at once. All or none: on failure no page is pinned, and
 * all addr are NULL. Needs room in the budget for all of them. nr 0: 0.
 */
RCL_MUST_CHECK RCL_API int rcl_pin_range(struct rcl_area *area, uint64_t first, size_t nr,
					 uint32_t how, struct rcl_pin *pins);
struct rcl_place {
	struct rcl_area *area;
	uint64_t page;
};
RCL_MUST_CHECK RCL_API int rcl_pin_batch(const struct rcl_place *places, size_t nr, uint32_t how,
					 struct rcl_pin *pins);
RCL_API void rcl_unpin_batch(struct rcl_pin *pins, size_t nr);
/*
 * Start reading pages that will be wanted soon, and do not wait for them. Only a hint: returns 0
 * whether or not there was room to read them, and pages beyond the end are passed over.
 */
RCL_API int rcl_prefetch(struct rcl_area *area, uint64_t first, uint64_t nr);

/*
 * Optimistic reading, of areas opened with RCL_AREA_OPTIMISTIC: look at a page without pinning it,
 * then ask whether what was seen is to be believed. Writes no memory that threads share, so any
 * number of readers of one page do not slow each other down.
 *
 *	if (rcl_peek(area, page, &peek)) {
 *		value = lookup(peek.addr);	// copes with any bytes: it may see anything
 *		if (rcl_peek_ok(&peek))
 *			return value;
 *	}
 *	... pin it instead
 *
 * False: not in memory, beyond the end, or pinned for writing through this area. Between the calls
 * the page may be written to, or leave memory and its place hold something else: reading is safe,
 * believing is not. So copy what is needed, bound every offset and loop, follow no pointer found in
 * the page; and write to such pages only under a pin for writing, taken through this area: what is
 * written through another area of the same file, or what rcl_area_truncate() clears of the page in
 * which the file then ends, goes unnoticed. There is nothing to undo. The memory itself stays
 * readable until the machine is closed. A page that is looked at in this way counts as used, as one
 * that is pinned does.
 *
 * 512 pages in a row share a count of those that have left memory, and of one in 16 writes to each:
 * if that changes meanwhile, this look is one not to be believed, too. That is rare, and costs a
 * pin. Loops over many pages take a third to a half less time with rcl_peek_inline() and
 * rcl_peek_ok_inline() of <reclaim/inline.h>, which are the same, compiled into the caller.
 */
struct rcl_peek {
	const void *addr;
	const uint64_t *word, *version;
	uint64_t word_seen, version_seen;
};
RCL_API bool rcl_peek(struct rcl_area *area, uint64_t page, struct rcl_peek *peek);
RCL_API bool rcl_peek_ok(const struct rcl_peek *peek);

/* ---- Frames -------------------------------------------------------------------------------- */

/*
 * 2^order pages of the budget in a row (order 0 to 10), aligned to their size, zeroed; they never
 * leave memory. How: RCL_TRY, RCL_WAIT or RCL_NOFAIL, or 0. For I/O buffers and the like.
 */
RCL_MUST_CHECK RCL_API int rcl_frames_alloc(struct rcl_machine *machine, struct rcl_group *group,
					    unsigned order, uint32_t how, void **addr);
RCL_API void rcl_frames_free(struct rcl_machine *machine, void *addr, unsigned order);

/* ---- Tunables ------------------------------------------------------------------------------ */

/* Names and meanings are the kernel's: "vm.swappiness", "read_ahead_kb", ... */
struct rcl_tunable {
	const char *name, *unit, *help;
	int64_t min, max, default_value;
};
/* The i-th tunable there is; false: there are not so many. */
RCL_API bool rcl_tunable_info(size_t i, struct rcl_tunable *info);
/* -ENOENT: no tunable of that name; -ERANGE: the value is out of range. */
RCL_API int rcl_tunable_set(struct rcl_machine *machine, const char *name, int64_t value);
RCL_API int rcl_tunable_get(struct rcl_machine *machine, const char *name, int64_t *value);

/* ---- Counters and events ------------------------------------------------------------------- */

/* The figures one looks at first. Bytes and nanoseconds; counts since the machine was opened. */
struct rcl_stats {
	size_t size;		       /* of this struct, set by the caller */
	uint64_t budget;	       /* of the machine, or the group's limit */
	uint64_t used;		       /* charged (group), or not free (machine) */
	uint64_t anon, file;	       /* pages of areas in memory */
	uint64_t dirty, writeback;     /* of files; and being written, to files or swap */
	uint64_t swap_used, swap_size; /* of the machine; each CPU has some slots ahead */
	uint64_t faults, major_faults; /* pins that took the long way; that had to read */
	uint64_t refaults;	       /* pages read again that reclaim had taken not long before */
	uint64_t read, written;	       /* bytes, files and swap; 0 for groups */
	uint64_t swapped_in, swapped_out;    /* pages; 0 for groups */
	uint64_t scanned, reclaimed;	     /* pages */
	uint64_t stalled_some, stalled_full; /* ns that some thread, or all, waited for memory */
	uint64_t io_errors, checksum_errors; /* of the machine */
};
/*
 * Of a group and what is below, or (group NULL) of the machine. Start from
 * struct rcl_stats stats = { .size = sizeof(stats) }; without a size: -EINVAL.
 */
RCL_API int rcl_stats_read(struct rcl_machine *machine, struct rcl_group *group,
			   struct rcl_stats *stats);
/*
 * All counters, "name value" a line, under the kernel's names: /proc/vmstat's for the machine,
 * memory.stat's for a group. Writes at most size bytes with a 0 at the end and returns the length
 * that all of it has, as snprintf() does.
 */
RCL_API size_t rcl_stats_text(struct rcl_machine *machine, struct rcl_group *group, char *buf,
			      size_t size);

enum rcl_event_kind {
	RCL_EVENT_PRESSURE = 1, /* a level was entered or left; value: enum rcl_pressure */
	RCL_EVENT_LIMIT,	/* a group reached its limit; value: how often so far */
	RCL_EVENT_OOM,		/* memory was refused; value: how often so far */
	RCL_EVENT_IO_ERROR,	/* a write in the background failed; value: the errno */
};
/* Share of the last second in which threads waited for memory: 0, below 10%, below 40%, above. */
enum rcl_pressure {
	RCL_PRESSURE_NONE,
	RCL_PRESSURE_LOW,
	RCL_PRESSURE_MEDIUM,
	RCL_PRESSURE_CRITICAL,
};
struct rcl_event {
	enum rcl_event_kind kind;
	int value;
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint64_t lost;	  /* events before this one that the queue of 256 had no room for */
	char group[32];	  /* name of the group concerned; "" = the machine */
};
/*
 * A descriptor that is readable while events wait; it is the machine's and closes with it. Nothing
 * is collected before the first call.
 */
RCL_API int rcl_event_fd(struct rcl_machine *machine);
/* Take the oldest event: 1; 0 when there is none. Never waits. */
RCL_API int rcl_event_read(struct rcl_machine *machine, struct rcl_event *event);

#ifdef __cplusplus
}
#endif

#endif
