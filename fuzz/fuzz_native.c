/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing the reader of reclaim's own format.
 *
 * Checksums keep a fuzzer out. So the first byte of the input says how it is wrapped: 0, the bytes
 * are a whole trace; else they are the records of a stream, in a trace that is right around them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/native.h"
#include "trace/trace.h"

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#define STREAM_MAX 8192u

static uint8_t *put_chunk(uint8_t *p, uint32_t type, uint32_t task, const uint8_t *payload,
			  size_t size)
{
	struct rcl_chunk c = {.type = type,
			      .task = task,
			      .stored = (uint32_t)size,
			      .crc = rcl_crc32c(0, payload, size)};

	rcl_put_chunk(p, &c);
	memcpy(p + RCL_NATIVE_CHUNK_HEADER, payload, size);
	return p + RCL_NATIVE_CHUNK_HEADER + size;
}

static size_t wrap(uint8_t *trace, const uint8_t *data, size_t size)
{
	uint8_t region[16] = {0}, task[13] = {0}, *p = trace;

	memset(p, 0, RCL_NATIVE_HEADER);
	memcpy(p, RCL_NATIVE_MAGIC, 8);
	rcl_put_le32(p + 8, RCL_NATIVE_VERSION);
	rcl_put_le32(p + 12, RCL_NATIVE_HEADER);
	rcl_put_le32(p + 60, rcl_crc32c(0, p, 60));
	p += RCL_NATIVE_HEADER;
	for (uint32_t i = 0; i < 3; i++) {
		rcl_put_le32(region, i);
		region[4] = i == 2;
		p = put_chunk(p, RCL_NATIVE_REGION, 0, region, sizeof(region));
	}
	for (uint32_t i = 0; i < 3; i++) {
		rcl_put_le32(task, i);
		rcl_put_le32(task + 4, i / 2 * 2);
		task[12] = i == 0   ? RCL_NATIVE_FIRST
			   : i == 1 ? RCL_NATIVE_THREAD
				    : RCL_NATIVE_FORKED;
		p = put_chunk(p, RCL_NATIVE_TASK, 0, task, sizeof(task));
	}
	p = put_chunk(p, RCL_NATIVE_STREAM, 0, data, size / 2);
	p = put_chunk(p, RCL_NATIVE_STREAM, 2, data + size / 2, size - size / 2);
	return (size_t)(p - trace);
}

static void check(const struct rcl_trace_image *image)
{
	uint64_t next = 0;

	for (uint32_t i = 0; i < image->nr_tasks; i++) {
		REQUIRE(image->tasks[i].first == next);
		REQUIRE(image->tasks[i].process < image->nr_processes);
		REQUIRE(image->tasks[i].parent < image->nr_tasks);
		next += image->tasks[i].count;
	}
	REQUIRE(next == image->count);
	for (uint64_t i = 0; i < image->count; i++) {
		uint64_t w = image->words[i];

		REQUIRE(rcl_word_region(w) < image->nr_regions);
		if (rcl_word_is_event(w))
			REQUIRE(rcl_word_write(w) ||
				rcl_word_page(w) < image->recording->nr_events);
		else
			REQUIRE(rcl_word_page(w) + rcl_word_pages(w) <= RCL_TRACE_PAGES_MAX);
	}
	REQUIRE(image->summary.footprint_pages <= image->summary.touches);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t trace[STREAM_MAX + 1024];
	struct rcl_trace_image *image = NULL;
	struct rcl_error err = {""};
	int rc;

	if (!size || size > STREAM_MAX)
		return 0;
	if (*data) {
		size = wrap(trace, data + 1, size - 1);
		data = trace;
	} else {
		data++;
		size--;
	}
	rc = rcl_trace_load_memory(data, size, "fuzz", "reclaim", &image, &err);
	REQUIRE(rc ? !image && *err.text : !!image);
	if (!rc)
		check(image);
	rcl_trace_image_free(image);
	return 0;
}
