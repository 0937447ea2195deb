/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing the reader of statistics pages: any bytes. What is accepted must be safe to walk and to
 * show: every figure of every group, names that end and hold no control characters, paths of groups
 * that come to an end; also after being turned into the metrics' text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/metrics.h"
#include "api/stats_read.h"

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static void check_name(const char *name, size_t size)
{
	size_t len = strnlen(name, size);

	REQUIRE(len < size);
	for (size_t i = 0; i < len; i++)
		REQUIRE((unsigned char)name[i] >= 0x20 && name[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *block = calloc(1, size ? size : 1);
	struct stats_view v;
	volatile s64 sum = 0; /* so that everything is read */
	size_t bytes;
	char *text;

	(void)sum;
	memcpy(block, data, size);
	if (rcl_stats_parse(block, size, &v)) {
		free(block);
		return 0;
	}
	check_name(v.header->machine, sizeof(v.header->machine));
	for (u32 i = 0; i < v.header->nr_figures; i++) {
		check_name(v.names[i].name, sizeof(v.names[i].name));
		sum ^= v.figures[i];
	}
	for (u32 i = 0; i < v.header->nr_group_figures; i++)
		check_name(v.group_names[i].name, sizeof(v.group_names[i].name));
	for (u32 i = 0; i < v.header->nr_groups; i++) {
		struct stats_group *g = stats_view_group(&v, i);

		check_name(g->name, sizeof(g->name));
		REQUIRE(g->parent < i || g->parent == STATS_NO_PARENT);
		for (u32 k = 0; k < v.header->nr_group_figures; k++)
			sum ^= g->figures[k];
		sum ^= rcl_stats_value(&v, g, "usage");
	}
	sum ^= rcl_stats_value(&v, NULL, "budget");
	/* Paths grow with the square of the depth: not for thousands of groups. */
	if (v.header->nr_groups <= STATS_GROUPS_MAX && v.header->nr_group_figures < 100) {
		text = rcl_metrics_text(v.header, &bytes);
		REQUIRE(text && strlen(text) == bytes);
		free(text);
	}
	rcl_stats_view_free(&v);
	return 0;
}
