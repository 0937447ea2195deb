/* SPDX-License-Identifier: MIT */
/*
 * A whole trace in memory.
 *
 * A sweep replays one trace against hundreds of memory sizes in several threads; it is decoded
 * once, into eight bytes an access, and then only read. Words are decoded right where they will
 * stay, a piece at a time that fits the second-level cache, and counted while they are there.
 *
 * The array is mapped, not malloc'ed: it grows by mremap, which moves page tables and not data,
 * and is advised to use huge pages, because at 200 million words a second the page faults of 4 KiB
 * pages would cost as much as the decoding. What a header promises is believed only as far as
 * address space goes; memory is taken as words arrive.
 */
#define _GNU_SOURCE 1 /* mremap */
#include "trace/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "trace/format.h"

#define PIECE	     16384u	  /* words decoded and counted at a time: 128 KiB */
#define GROW_FIRST   (1ull << 18) /* 2 MiB */
#define EXPECTED_MAX (1ull << 32) /* beyond, grow like everyone else */

struct image {
	struct rcl_trace_image public;
	uint64_t mapped;	    /* bytes at public.words */
	struct rcl_trace_task task; /* the one there is */
	struct rcl_region regions[];
};

static int words_resize(struct rcl_image_builder *b, uint64_t max)
{
	size_t old = b->max * sizeof(uint64_t), size = max * sizeof(uint64_t);
	void *at;

	if (max > SIZE_MAX / sizeof(uint64_t) / 2)
		return -ENOMEM;
	if (b->words)
		at = mremap(b->words, old, size, MREMAP_MAYMOVE);
	else
		at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return -ENOMEM;
	if (size > old)
		madvise(at, size, MADV_HUGEPAGE); /* where the kernel has none, nothing is lost */
	b->words = at;
	b->max = max;
	return 0;
}

int rcl_image_begin(struct rcl_image_builder *b, const struct rcl_region *regions,
		    uint32_t nr_regions, uint64_t expected, bool keep)
{
	int rc;

	*b = (struct rcl_image_builder){.keep = keep};
	rc = rcl_tally_new(&b->tally, regions, nr_regions);
	if (rc)
		return rc;
	if (!keep || expected < PIECE || expected > EXPECTED_MAX)
		expected = PIECE;
	return words_resize(b, expected);
}

int rcl_image_room(struct rcl_image_builder *b, uint64_t **at, size_t *room)
{
	if (!b->keep)
		b->count = 0;
	if (b->count == b->max) {
		uint64_t max = b->max < GROW_FIRST ? GROW_FIRST : 2 * b->max;
		int rc = words_resize(b, max);

		if (rc)
			return rc;
	}
	*at = b->words + b->count;
	*room = b->max - b->count < PIECE ? b->max - b->count : PIECE;
	return 0;
}

int rcl_image_add(struct rcl_image_builder *b, size_t n)
{
	int rc = rcl_tally_add(b->tally, b->words + b->count, n);

	b->count += n;
	return rc;
}

void rcl_image_abandon(struct rcl_image_builder *b)
{
	rcl_tally_free(b->tally);
	if (b->words)
		munmap(b->words, b->max * sizeof(uint64_t));
	*b = (struct rcl_image_builder){0};
}

int rcl_image_end(struct rcl_image_builder *b, const struct rcl_region *regions,
		  uint32_t nr_regions, const char *format, const char *compression,
		  struct rcl_trace_image **out)
{
	size_t region_bytes = nr_regions * sizeof(struct rcl_region);
	struct rcl_region_summary *summaries;
	struct image *image;

	*out = NULL;
	if (!b->keep)
		b->count = 0;
	image = calloc(1, sizeof(*image) + region_bytes + nr_regions * sizeof(*summaries));
	/* Give back what was taken too much: a mapping shrinks in place. */
	if (!image || (b->count && words_resize(b, b->count))) {
		free(image);
		return -ENOMEM;
	}
	summaries = (void *)(image->regions + nr_regions);
	memcpy(image->regions, regions, region_bytes);
	rcl_tally_summary(b->tally, &image->public.summary, summaries);
	image->public.regions = image->regions;
	image->public.region_summaries = summaries;
	image->public.nr_regions = nr_regions;
	image->task.count = b->count;
	image->public.tasks = &image->task;
	image->public.nr_tasks = image->public.nr_processes = 1;
	image->public.format = format;
	image->public.compression = compression;
	if (b->count) {
		image->public.words = b->words;
		image->public.count = b->count;
		image->mapped = b->max * sizeof(uint64_t);
		mprotect(b->words, image->mapped, PROT_READ);
		b->words = NULL;
	}
	rcl_image_abandon(b);
	*out = &image->public;
	return 0;
}

void rcl_trace_image_free(struct rcl_trace_image *image)
{
	if (!image)
		return;
	if (image->recording) {
		rcl_native_image_free(image);
		return;
	}
	if (image->words)
		munmap((void *)(uintptr_t)image->words, ((struct image *)image)->mapped);
	free(image);
}

/* Decode all of an open trace. */
static int decode(struct rcl_trace *t, struct rcl_image_builder *b, struct rcl_error *err)
{
	for (;;) {
		uint64_t *at;
		size_t room;
		ssize_t n;
		int rc = rcl_image_room(b, &at, &room);

		if (!rc) {
			n = rcl_trace_next_words(t, at, room, err);
			if (n <= 0)
				return (int)n;
			rc = rcl_image_add(b, (size_t)n);
		}
		if (rc)
			return rcl_error_set(err, rc, "%s: out of memory after %llu accesses",
					     rcl_input_name(&t->input),
					     (unsigned long long)t->given);
	}
}

static int load(const struct rcl_trace_source *source, const char *format, bool keep,
		struct rcl_trace_image **out, struct rcl_error *err)
{
	struct rcl_image_builder b = {0};
	struct rcl_trace *t;
	int rc = rcl_trace_open_source(source, format, &t, err);

	*out = NULL;
	if (rc)
		return rc;
	if (t->format->load) {
		rc = t->format->load(t, keep, out);
		if (rc)
			rcl_error_set(err, rc, "%s", t->error.text);
		rcl_trace_close(t);
		return rc;
	}
	rc = rcl_image_begin(&b, t->regions, t->nr_regions, t->expected, keep);
	if (rc)
		rcl_error_set(err, rc, "%s: out of memory", rcl_input_name(&t->input));
	else
		rc = decode(t, &b, err);
	if (!rc) {
		rc = rcl_image_end(&b, t->regions, t->nr_regions, rcl_trace_format(t),
				   rcl_trace_compression(t), out);
		if (rc)
			rcl_error_set(err, rc, "%s: out of memory", rcl_input_name(&t->input));
		else
			(*out)->summary.skipped = t->skipped;
	}
	rcl_image_abandon(&b);
	rcl_trace_close(t);
	return rc;
}

int rcl_trace_load(const char *path, const char *format, struct rcl_trace_image **out,
		   struct rcl_error *err)
{
	return load(&(struct rcl_trace_source){.name = path}, format, true, out, err);
}

int rcl_trace_load_memory(const void *data, size_t size, const char *name, const char *format,
			  struct rcl_trace_image **out, struct rcl_error *err)
{
	struct rcl_trace_source source = {.name = name, .data = data ? data : "", .size = size};

	return load(&source, format, true, out, err);
}

int rcl_trace_scan(const char *path, const char *format, struct rcl_trace_image **out,
		   struct rcl_error *err)
{
	return load(&(struct rcl_trace_source){.name = path}, format, false, out, err);
}
