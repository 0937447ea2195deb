/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing the workload language: any text. What is accepted must make as many accesses as it says,
 * within its mappings, and the same ones again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/gen.h"
#include "trace/spec.h"

#define OPS_MAX	  20000u /* more accesses, or larger zipfs, only take longer */
#define PAGES_MAX 100000u

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static int is_small(const char *text, size_t size)
{
	struct rcl_error err = {""};
	struct rcl_spec spec;
	int rc = rcl_spec_parse(&spec, text, size, "fuzz", &err);
	int small = !rc && spec.ops <= OPS_MAX && spec.nr_phases < 50 && spec.anon <= PAGES_MAX &&
		    spec.file <= PAGES_MAX;

	REQUIRE(!rc || *err.text);
	rcl_spec_free(&spec);
	return small;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rcl_trace_image *images[2];
	struct rcl_error err = {""};

	if (!is_small((const char *)data, size))
		return 0;
	for (int i = 0; i < 2; i++) {
		int rc = rcl_gen_image((const char *)data, size, "fuzz", &images[i], &err);

		if (rc) {
			REQUIRE(*err.text && !images[i] && i == 0);
			return 0;
		}
	}
	REQUIRE(images[0]->count && images[0]->count == images[1]->count);
	REQUIRE(!memcmp(images[0]->words, images[1]->words, images[0]->count * sizeof(uint64_t)));
	for (uint64_t i = 0; i < images[0]->count; i++) {
		struct rcl_access a = rcl_trace_image_get(images[0], i);

		REQUIRE(a.region < images[0]->nr_regions);
		REQUIRE(a.page + a.pages <= images[0]->regions[a.region].pages);
	}
	rcl_trace_image_free(images[0]);
	rcl_trace_image_free(images[1]);
	return 0;
}
