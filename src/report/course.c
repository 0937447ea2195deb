/* SPDX-License-Identifier: MIT */
/*
 * Footprint and working set over the course of a trace: for each page, the last part it was touched
 * in. What has been touched and given back since stays in the footprint.
 */
#include <errno.h>
#include <stdlib.h>

#include "report/report.h"
#include "trace/live.h"
#include "trace/trace.h"

static int note(struct rcl_course *c, struct rcl_live *seen, uint64_t key, uint32_t part)
{
	bool first;
	struct rcl_live_page *page = rcl_live_add(seen, key, &first);

	if (!page)
		return -ENOMEM;
	c->footprint[part] += first;
	/* What the set is made for is not needed here: its word holds the part. */
	c->working_set[part] += first || page->kinds != part + 1;
	page->kinds = part + 1;
	return 0;
}

static int note_word(const struct rcl_trace_image *trace, struct rcl_course *c,
		     struct rcl_live *seen, uint32_t process, uint64_t word, uint32_t part)
{
	uint64_t page = rcl_word_page(word), end = page + rcl_word_pages(word);
	/* In a recording, loads and stores go to pages of an address space. */
	bool by_address = trace->recording && rcl_word_kind(word) != RCL_ACCESS_FILE;
	int ret = 0;

	for (; page < end && !ret; page++)
		ret = note(c, seen,
			   by_address ? rcl_live_anon(process, page)
				      : rcl_live_file(rcl_word_region(word), page),
			   part);
	return ret;
}

/* Where part `part` of `of` of so many words begins. */
static uint64_t cut(uint64_t words, uint32_t part, uint32_t of)
{
	return words / of * part + words % of * part / of;
}

/* All tasks run from the start to the end, as far as anybody can tell. */
static int walk(const struct rcl_trace_image *trace, struct rcl_live *seen, struct rcl_course *c)
{
	const struct rcl_trace_task one = {.count = trace->count};
	const struct rcl_trace_task *tasks = trace->tasks ? trace->tasks : &one;
	uint32_t nr_tasks = trace->tasks ? trace->nr_tasks : 1;
	int ret = 0;

	for (uint32_t part = 0; part < c->nr; part++) {
		c->footprint[part] = part ? c->footprint[part - 1] : 0;
		for (const struct rcl_trace_task *t = tasks; t < tasks + nr_tasks; t++) {
			uint64_t i = t->first + cut(t->count, part, c->nr);
			uint64_t end = t->first + cut(t->count, part + 1, c->nr);

			for (; i < end && !ret; i++)
				if (!rcl_word_is_event(trace->words[i]))
					ret = note_word(trace, c, seen, t->process, trace->words[i],
							part);
		}
	}
	return ret;
}

int rcl_course_of(const struct rcl_trace_image *trace, uint32_t nr, struct rcl_course *out)
{
	struct rcl_live seen = {0};
	int ret = -ENOMEM;

	if (trace->count < nr)
		nr = (uint32_t)trace->count;
	*out = (struct rcl_course){
		.nr = nr,
		.working_set = calloc(nr + 1, sizeof(uint64_t)),
		.footprint = calloc(nr + 1, sizeof(uint64_t)),
	};
	if (out->working_set && out->footprint)
		ret = walk(trace, &seen, out);
	rcl_live_free(&seen);
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
