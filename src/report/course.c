/* SPDX-License-Identifier: MIT */
/*
 * Footprint and working set over the course of a trace: for each page, the last part it was touched
 * in. Regions may be sparse, so the marks lie in chunks that exist where something was touched.
 */
#include <errno.h>
#include <stdlib.h>

#include "report/report.h"
#include "trace/trace.h"

#define CHUNK_PAGES 4096

struct marks {
	uint8_t **chunks; /* of CHUNK_PAGES marks: last part + 1; 0 = never */
	uint64_t nr;
};

static int note(struct rcl_course *c, struct marks *m, uint64_t page, uint64_t pages, uint32_t part)
{
	for (; pages; page++, pages--) {
		uint8_t **chunk = &m->chunks[page / CHUNK_PAGES], *mark;

		if (!*chunk) {
			*chunk = calloc(CHUNK_PAGES, 1);
			if (!*chunk)
				return -ENOMEM;
		}
		mark = &(*chunk)[page % CHUNK_PAGES];
		if (*mark == part + 1)
			continue;
		c->footprint[part] += !*mark;
		c->working_set[part]++;
		*mark = (uint8_t)(part + 1);
	}
	return 0;
}

static int walk(const struct rcl_trace_image *trace, struct marks *marks, struct rcl_course *c)
{
	for (uint32_t part = 0; part < c->nr; part++) {
		uint64_t i = trace->count / c->nr * part + trace->count % c->nr * part / c->nr;
		uint64_t end = trace->count / c->nr * (part + 1) +
			       trace->count % c->nr * (part + 1) / c->nr;

		c->footprint[part] = part ? c->footprint[part - 1] : 0;
		for (; i < end; i++) {
			uint64_t w = trace->words[i];

			if (note(c, &marks[rcl_word_region(w)], rcl_word_page(w), rcl_word_pages(w),
				 part))
				return -ENOMEM;
		}
	}
	return 0;
}

int rcl_course_of(const struct rcl_trace_image *trace, uint32_t nr, struct rcl_course *out)
{
	struct marks *marks = calloc(trace->nr_regions + 1, sizeof(*marks));
	int ret = marks ? 0 : -ENOMEM;

	if (trace->count < nr)
		nr = (uint32_t)trace->count;
	*out = (struct rcl_course){
		.nr = nr,
		.working_set = calloc(nr + 1, sizeof(uint64_t)),
		.footprint = calloc(nr + 1, sizeof(uint64_t)),
	};
	if (!out->working_set || !out->footprint)
		ret = -ENOMEM;
	for (uint32_t i = 0; !ret && i < trace->nr_regions; i++) {
		marks[i].nr = trace->region_summaries[i].end / CHUNK_PAGES + 1;
		marks[i].chunks = calloc(marks[i].nr, sizeof(*marks[i].chunks));
		if (!marks[i].chunks)
			ret = -ENOMEM;
	}
	if (!ret)
		ret = walk(trace, marks, out);
	for (uint32_t i = 0; marks && i < trace->nr_regions; i++) {
		for (uint64_t k = 0; marks[i].chunks && k < marks[i].nr; k++)
			free(marks[i].chunks[k]);
		free(marks[i].chunks);
	}
	free(marks);
	if (ret)
		rcl_course_free(out);
	return ret;
}

void rcl_course_free(struct rcl_course *course)
{
	free(course->working_set);
	free(course->footprint);
	*course = (struct rcl_course){0};
}
