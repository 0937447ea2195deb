/* SPDX-License-Identifier: MIT */
#include "trace/convert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/live.h"
#include "trace/native_write.h"

#define FIRST_PAGE  (1ull << 24) /* 64 GiB: where the first region is put */
#define LAST_PAGE   (1ull << 35)
#define ALIGN_PAGES (1ull << 18)

/* ---- To reclaim's own format ------------------------------------------------------------------
 */

struct native {
	const struct rcl_trace_image *image;
	struct rcl_native_writer *w;
	uint64_t *base; /* page of each region */
	uint64_t seq;
};

static uint64_t region_pages(const struct rcl_trace_image *image, uint32_t i)
{
	uint64_t pages = image->regions[i].pages, end = image->region_summaries[i].end;

	return pages > end ? pages : end;
}

/* All regions are there from the start, each at a place of its own. */
static int place_regions(struct native *n, struct rcl_error *err)
{
	const struct rcl_trace_image *image = n->image;
	bool random = !strcmp(image->format, "tracegen"); /* as its recordings were made */
	uint64_t page = FIRST_PAGE;

	for (uint32_t i = 0; i < image->nr_regions; i++) {
		uint64_t pages = region_pages(image, i);
		bool file = image->regions[i].kind != RCL_ACCESS_ANON;
		uint32_t id = RCL_NATIVE_FIRST_FILE + i;

		if (pages > LAST_PAGE - page)
			return rcl_error_set(err, -EOVERFLOW,
					     "the trace's regions do not fit an address space");
		rcl_native_put_region(n->w, id, file, file ? pages * RCL_TRACE_PAGE_SIZE : 0,
				      image->regions[i].name);
		n->base[i] = page;
		if (!pages)
			continue;
		rcl_native_put_event(
			n->w, 0, RCL_EVENT_MAP,
			(uint64_t[]){n->seq++, page, pages,
				     RCL_MAP_READ | RCL_MAP_WRITE |
					     (file ? RCL_MAP_FILE | RCL_MAP_SHARED : 0),
				     id, 0});
		if (file && random) {
			rcl_native_put_event(n->w, 0, RCL_EVENT_ADVISE,
					     (uint64_t[]){n->seq++, page, pages, 1});
			rcl_native_put_event(n->w, 0, RCL_EVENT_FADVISE,
					     (uint64_t[]){id, 0, pages, 1});
		}
		page += (pages + 2 * ALIGN_PAGES - 1) / ALIGN_PAGES * ALIGN_PAGES;
	}
	return 0;
}

static void put_word(struct native *n, uint64_t word)
{
	uint32_t region = rcl_word_region(word);
	uint64_t page = rcl_word_page(word);

	if (rcl_word_kind(word) == RCL_ACCESS_FILE) {
		rcl_native_put_file(n->w, 0, rcl_word_write(word), RCL_NATIVE_FIRST_FILE + region,
				    page * RCL_TRACE_PAGE_SIZE,
				    (uint64_t)rcl_word_pages(word) * RCL_TRACE_PAGE_SIZE);
		return;
	}
	for (uint32_t i = 0; i < rcl_word_pages(word); i++)
		rcl_native_put_access(n->w, 0, rcl_word_write(word) ? RCL_REC_WRITE : RCL_REC_READ,
				      RCL_NATIVE_FIRST_FILE + region, n->base[region] + page + i);
}

int rcl_convert_native(const struct rcl_trace_image *image, const char *source, const char *out,
		       struct rcl_error *err)
{
	struct rcl_native_info info = {.source = RCL_NATIVE_CONVERTED,
				       .command = source,
				       .command_size = strlen(source) + 1};
	struct native n = {.image = image};
	int rc, closed;

	if (image->recording)
		return rcl_error_set(err, -EINVAL, "%s: it is in reclaim's format already", source);
	n.base = calloc(image->nr_regions + 1, sizeof(*n.base));
	if (!n.base)
		return rcl_error_set(err, -ENOMEM, "out of memory");
	rc = rcl_native_create(out, &info, &n.w, err);
	if (rc) {
		free(n.base);
		return rc;
	}
	rcl_native_put_start(n.w);
	rc = place_regions(&n, err);
	for (uint64_t i = 0; !rc && i < image->count; i++)
		put_word(&n, image->words[i]);
	if (!rc)
		rcl_native_put_end(n.w, 0, 0);
	closed = rcl_native_close(n.w, rc ? NULL : err);
	free(n.base);
	return rc ? rc : closed;
}

/* ---- To oracleGeneral -------------------------------------------------------------------------
 */

struct request {
	uint64_t object;
	int64_t next;
};

struct requests {
	struct request *at;
	uint64_t nr, max;
};

static int add_request(struct requests *r, uint64_t object)
{
	if (r->nr == r->max) {
		uint64_t max = r->max ? 2 * r->max : 4096;
		struct request *at = realloc(r->at, max * sizeof(*at));

		if (!at)
			return -ENOMEM;
		r->at = at;
		r->max = max;
	}
	r->at[r->nr++] = (struct request){.object = object};
	return 0;
}

static int add_word(struct requests *r, const struct rcl_trace_image *image,
		    const struct rcl_trace_task *task, uint64_t word)
{
	bool address = image->recording && rcl_word_kind(word) != RCL_ACCESS_FILE;
	uint64_t page = rcl_word_page(word);

	if (rcl_word_is_event(word))
		return 0;
	for (uint32_t i = 0; i < rcl_word_pages(word); i++) {
		uint64_t object = address ? rcl_live_anon(task->process, page + i)
					  : rcl_live_file(rcl_word_region(word), page + i);
		int rc = add_request(r, object & ~(1ull << 63));

		if (rc)
			return rc;
	}
	return 0;
}

/* The task that is the least far through its words goes next. */
static int merge(struct requests *r, const struct rcl_trace_image *image)
{
	const uint64_t parts = 1024;
	int rc = 0;

	for (uint64_t p = 0; p < parts; p++) {
		for (uint32_t k = 0; k < image->nr_tasks; k++) {
			const struct rcl_trace_task *t = &image->tasks[k];
			uint64_t i = (uint64_t)((unsigned __int128)t->count * p / parts);
			uint64_t end = (uint64_t)((unsigned __int128)t->count * (p + 1) / parts);

			for (; i < end && !rc; i++)
				rc = add_word(r, image, t, image->words[t->first + i]);
			if (rc)
				return rc;
		}
	}
	return 0;
}

/* When each object is asked for again: from the end backwards. */
static int find_next(struct requests *r)
{
	struct rcl_live last = {0};

	for (uint64_t i = r->nr; i-- > 0;) {
		bool made;
		struct rcl_live_page *p = rcl_live_add(&last, r->at[i].object + 1, &made);

		if (!p) {
			rcl_live_free(&last);
			return -ENOMEM;
		}
		r->at[i].next = made ? -1 : (int64_t)((uint64_t)p->kinds << 32 | p->region);
		p->region = (uint32_t)i;
		p->kinds = (uint32_t)(i >> 32);
	}
	rcl_live_free(&last);
	return 0;
}

static int write_requests(const struct requests *r, const char *path, struct rcl_error *err)
{
	FILE *out = strcmp(path, "-") ? fopen(path, "wb") : stdout;
	bool failed;

	if (!out)
		return rcl_error_set(err, -errno, "%s: %s", path, strerror(errno));
	for (uint64_t i = 0; i < r->nr; i++) {
		uint8_t record[24];

		rcl_put_le32(record, (uint32_t)(i / 1000000));
		rcl_put_le64(record + 4, r->at[i].object);
		rcl_put_le32(record + 12, RCL_TRACE_PAGE_SIZE);
		rcl_put_le64(record + 16, (uint64_t)r->at[i].next);
		if (fwrite(record, sizeof(record), 1, out) != 1)
			break;
	}
	failed = fflush(out) || ferror(out);
	if (out != stdout && fclose(out))
		failed = true;
	return failed ? rcl_error_set(err, -EIO, "%s: %s", path, strerror(errno)) : 0;
}

int rcl_convert_oracle(const struct rcl_trace_image *image, const char *out, struct rcl_error *err)
{
	struct requests r = {0};
	int rc = merge(&r, image);

	if (!rc)
		rc = find_next(&r);
	if (rc)
		rcl_error_set(err, rc, "out of memory");
	else
		rc = write_requests(&r, out, err);
	free(r.at);
	return rc;
}
