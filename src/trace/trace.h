/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_TRACE_H
#define RCL_TRACE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "trace/error.h"

/*
 * Traces of memory and file accesses, whatever their origin, as one stream of page accesses.
 *
 * Units: a page is 4096 bytes (RCL_TRACE_PAGE_SIZE); page numbers count from the start of their
 * region. Errors are negative errno with a text in struct rcl_error:
 *   -EINVAL   the caller's doing: unknown format, bad option, format not recognised
 *   -ENODATA  the trace holds no access
 *   -EBADMSG  the input is corrupt or truncated
 *   -EOVERFLOW  its pages do not fit into a region
 *   -ENOMEM, and whatever open() and read() return.
 */
#define RCL_TRACE_PAGE_SHIFT 12
#define RCL_TRACE_PAGE_SIZE  (1u << RCL_TRACE_PAGE_SHIFT)

enum rcl_access_kind {
	RCL_ACCESS_ANON, /* load or store in anonymous memory */
	RCL_ACCESS_MMAP, /* load or store through a mapping of a file */
	RCL_ACCESS_FILE, /* read() or write() of a file */
	RCL_ACCESS_EVENT /* no access: something else that happened (recordings only) */
};

/* One access: `pages` consecutive pages from `page` on, touched by one load, store or call. */
struct rcl_access {
	uint64_t page;	 /* < 2^36; page + pages <= 2^36 */
	uint32_t region; /* index of the region it falls in */
	uint8_t kind;	 /* enum rcl_access_kind */
	uint8_t write;	 /* 0 or 1 */
	uint32_t pages;	 /* 1 .. 512; a longer request comes as several accesses */
};

/*
 * A region is what pages belong to: one anonymous mapping, or one file. A file's region is reached
 * by RCL_ACCESS_FILE and by RCL_ACCESS_MMAP alike; the same page number is the same page.
 */
struct rcl_region {
	enum rcl_access_kind kind; /* RCL_ACCESS_ANON, or RCL_ACCESS_FILE for a file */
	char name[28];
	uint64_t pages; /* its size; 0 where the format does not say beforehand */
};

/* ---- The image: a whole trace, decoded once ------------------------------------------------ */

/*
 * An access packed into one word, the form in which every format is decoded:
 *
 *   bits 0-35 page | 36-44 pages - 1 | 45-46 kind | 47 write | 48-63 region
 *
 * A recording has words that are no accesses: with `write`, that many references (bits 0-35) have
 * been executed since the last such word; without, the page is an index into the image's events.
 */
#define RCL_WORD_PAGE_BITS    36
#define RCL_WORD_RUN_SHIFT    36
#define RCL_WORD_RUN_BITS     9
#define RCL_WORD_KIND_SHIFT   45
#define RCL_WORD_WRITE_SHIFT  47
#define RCL_WORD_REGION_SHIFT 48

#define RCL_TRACE_PAGES_MAX   (1ull << RCL_WORD_PAGE_BITS) /* pages in a region, at most */
#define RCL_TRACE_RUN_MAX     (1u << RCL_WORD_RUN_BITS)	   /* pages in an access, at most */
#define RCL_TRACE_REGIONS_MAX 65536u

_Static_assert(RCL_WORD_PAGE_BITS == RCL_WORD_RUN_SHIFT, "the run follows the page");
_Static_assert(RCL_WORD_RUN_SHIFT + RCL_WORD_RUN_BITS == RCL_WORD_KIND_SHIFT, "kind follows run");

static inline uint64_t rcl_word_page(uint64_t word)
{
	return word & (RCL_TRACE_PAGES_MAX - 1);
}

static inline uint32_t rcl_word_pages(uint64_t word)
{
	return (uint32_t)(word >> RCL_WORD_RUN_SHIFT & (RCL_TRACE_RUN_MAX - 1)) + 1;
}

static inline enum rcl_access_kind rcl_word_kind(uint64_t word)
{
	return (enum rcl_access_kind)(word >> RCL_WORD_KIND_SHIFT & 3);
}

static inline int rcl_word_write(uint64_t word)
{
	return (int)(word >> RCL_WORD_WRITE_SHIFT & 1);
}

static inline uint32_t rcl_word_region(uint64_t word)
{
	return (uint32_t)(word >> RCL_WORD_REGION_SHIFT);
}

static inline int rcl_word_is_event(uint64_t word)
{
	return rcl_word_kind(word) == RCL_ACCESS_EVENT;
}

static inline struct rcl_access rcl_word_unpack(uint64_t word)
{
	return (struct rcl_access){
		.page = rcl_word_page(word),
		.region = rcl_word_region(word),
		.kind = (uint8_t)rcl_word_kind(word),
		.write = (uint8_t)rcl_word_write(word),
		.pages = rcl_word_pages(word),
	};
}

static inline uint64_t rcl_word_pack(const struct rcl_access *a)
{
	return a->page | (uint64_t)(a->pages - 1) << RCL_WORD_RUN_SHIFT |
	       (uint64_t)a->kind << RCL_WORD_KIND_SHIFT |
	       (uint64_t)a->write << RCL_WORD_WRITE_SHIFT |
	       (uint64_t)a->region << RCL_WORD_REGION_SHIFT;
}

/* What a trace touches of one region. */
struct rcl_region_summary {
	uint64_t touches;   /* page accesses: an access of n pages counts n */
	uint64_t writes;    /* of those, the writing ones */
	uint64_t footprint; /* distinct pages */
	uint64_t end;	    /* one past the highest page touched */
};

struct rcl_trace_summary {
	uint64_t accesses; /* records of the image: loads, stores, calls */
	uint64_t touches;  /* page accesses: an access of n pages counts n */
	uint64_t reads;	   /* touches that read */
	uint64_t writes;   /* touches that write */
	uint64_t anon_touches, mmap_touches, file_touches; /* touches by kind */

	/* Distinct pages: in all, and reached by each kind. A file page that is both mapped and
	 * read counts in mmap_pages and in file_pages, but once in footprint_pages. */
	uint64_t footprint_pages;
	uint64_t anon_pages, mmap_pages, file_pages;

	uint64_t skipped; /* requests that touch no page: of no bytes, or not transfers */
};

/*
 * A task: one stream of words, which are in the order in which it made them. Tasks of one process
 * share an address space.
 */
struct rcl_trace_task {
	uint64_t first, count; /* its words */
	uint32_t id;	       /* as the trace has it */
	uint32_t process;      /* 0 .. nr_processes - 1 */
	uint32_t parent;       /* index of the task that starts it; its own: runs from the start */
	bool forked;	       /* its process is a copy of the parent's */
	uint64_t references, instructions;
};

/*
 * Something that happened between accesses, in a recording: an enum rcl_native_event and its
 * arguments (trace/native.h). Tasks and regions are indices of this image. Events that change an
 * address space happen one after the other within a process: number `order` comes when `order`
 * others have happened. A SYNC waits until args[0] of them have.
 */
struct rcl_trace_event {
	uint32_t type;
	uint32_t order;
	uint64_t args[5];
};

/* What there is to know of a recording beside its words. */
struct rcl_trace_recording {
	const struct rcl_trace_event *events;
	uint32_t nr_events;
	const uint64_t *file_pages; /* by region: the most pages a file ever has */
	const char *const *names;   /* by region, in full */
	const uint64_t *sizes;	    /* by region: bytes of a file when it was seen first */
	uint32_t source;	    /* enum rcl_native_source */
	uint32_t window;
	uint64_t native_ns; /* the program's CPU time without emulation; 0: not known */
	uint64_t native_wall_ns;
	uint64_t references, instructions;
	bool complete;	  /* it was recorded to its end */
	uint32_t status;  /* the program's exit code, if complete */
	uint64_t missing; /* bytes at the end that are no whole chunk */
	uint64_t chunks, bytes;
	const char *command; /* words with a NUL behind each */
	size_t command_size;
};

/*
 * A decoded trace: read-only once returned, so any number of threads may share it; the caller owns
 * it and frees it after the last of them is done.
 */
struct rcl_trace_image {
	const uint64_t *words; /* NULL after rcl_trace_scan */
	uint64_t count;	       /* of words; 0 after rcl_trace_scan */
	const struct rcl_region *regions;
	const struct rcl_region_summary *region_summaries;
	uint32_t nr_regions;
	/* Streams of words one behind the other; NULL: one task, which made all of them. */
	const struct rcl_trace_task *tasks;
	uint32_t nr_tasks, nr_processes;
	/*
	 * NULL, or the trace is a recording: pages of loads and stores are then pages of the
	 * address space, in regions of files too, and what lies where is told by its events. Pages
	 * of RCL_ACCESS_FILE are pages of the file, as ever. The footprint is the most that there
	 * was at any time, and so are the regions'.
	 */
	const struct rcl_trace_recording *recording;
	struct rcl_trace_summary summary;
	const char *format;	 /* name of the format it was read as */
	const char *compression; /* "none", "gzip", "xz" or "zstd" */
};

/*
 * Decode a whole trace. `path` and `format` as for rcl_trace_open. On success *out is the image;
 * on failure it is NULL.
 */
int rcl_trace_load(const char *path, const char *format, struct rcl_trace_image **out,
		   struct rcl_error *err);

/* The same of bytes in memory; `name` stands for the path in texts. */
int rcl_trace_load_memory(const void *data, size_t size, const char *name, const char *format,
			  struct rcl_trace_image **out, struct rcl_error *err);

/* The same without keeping the accesses: regions and summary only, in memory for the footprint. */
int rcl_trace_scan(const char *path, const char *format, struct rcl_trace_image **out,
		   struct rcl_error *err);

/* NULL is allowed. */
void rcl_trace_image_free(struct rcl_trace_image *image);

static inline struct rcl_access rcl_trace_image_get(const struct rcl_trace_image *image, uint64_t i)
{
	return rcl_word_unpack(image->words[i]);
}

/* ---- The reader: a trace as a stream ------------------------------------------------------- */

/* An open trace. One thread at a time; different readers are independent. */
struct rcl_trace;

/*
 * Open a trace.
 *
 * `path` is a file, or "-" for standard input. Compression (gzip, xz, zstd) is found from the
 * content. `format` is NULL or "" to find the format from the content too, or a name from
 * rcl_trace_format_name(), with options after a colon: "csv:obj-id-col=2,obj-size-col=3".
 * docs/trace-input.md lists formats and options.
 *
 * Input that cannot seek is spooled to an unlinked file under $TMPDIR as it is read, so that it
 * can be rewound.
 */
int rcl_trace_open(const char *path, const char *format, struct rcl_trace **out,
		   struct rcl_error *err);

/*
 * The same from memory that the caller keeps until close. `name` stands for the path in texts.
 */
int rcl_trace_open_memory(const void *data, size_t size, const char *name, const char *format,
			  struct rcl_trace **out, struct rcl_error *err);

/*
 * The next accesses, at most `max` (> 0): how many, 0 at the end of the trace, or a negative errno.
 * Accesses in front of a fault in the input are delivered first; the fault is then reported by
 * the next call, and by every further one until a rewind.
 */
ssize_t rcl_trace_next(struct rcl_trace *trace, struct rcl_access *buf, size_t max,
		       struct rcl_error *err);

/* The same as packed words: faster, for those who keep or forward them. */
ssize_t rcl_trace_next_words(struct rcl_trace *trace, uint64_t *buf, size_t max,
			     struct rcl_error *err);

/* Start again from the first access; the same accesses follow. */
int rcl_trace_rewind(struct rcl_trace *trace, struct rcl_error *err);

/* Regions are known once the trace is open, and do not change. Owned by the reader. */
uint32_t rcl_trace_nr_regions(const struct rcl_trace *trace);
const struct rcl_region *rcl_trace_region(const struct rcl_trace *trace, uint32_t index);

/* Requests seen so far that touch no page (of no bytes, or commands that move no data). */
uint64_t rcl_trace_skipped(const struct rcl_trace *trace);

/* The format's name, and the compression's: "none", "gzip", "xz" or "zstd". Static strings. */
const char *rcl_trace_format(const struct rcl_trace *trace);
const char *rcl_trace_compression(const struct rcl_trace *trace);

/* NULL is allowed. */
void rcl_trace_close(struct rcl_trace *trace);

/* The formats there are, for help texts: NULL when `index` is past the last. */
const char *rcl_trace_format_name(unsigned int index);
const char *rcl_trace_format_help(unsigned int index);

#endif
