/* SPDX-License-Identifier: MIT */
/*
 * Sharing a trace out to threads.
 *
 * The accesses of a page must stay in order, or nobody could say what the page must hold; nothing
 * else needs to. So pages are dealt out, not accesses: in chunks, that requests of several pages
 * and read-ahead find neighbours together, by a hash, so that no pattern of the program decides who
 * has how much to do.
 */
#include "replay/split.h"

#include <stdlib.h>

#define CHUNK_PAGES 64

static u32 share_of(u64 word, u64 page, u32 threads)
{
	u64 x = (u64)rcl_word_region(word) << 40 ^ page / CHUNK_PAGES;

	x *= 0x9e3779b97f4a7c15ull;
	return (u32)((x >> 32) * threads >> 32);
}

/* The parts of an access, one chunk each; returns how many words they are. */
static u64 parts_of(u64 word, u32 threads, u32 share, u64 *out)
{
	struct rcl_access a = rcl_word_unpack(word);
	u64 page = a.page, end = a.page + a.pages, nr = 0;

	while (page < end) {
		u64 stop = min(end, (page / CHUNK_PAGES + 1) * CHUNK_PAGES);

		if (share_of(word, page, threads) == share) {
			a.page = page;
			a.pages = (u32)(stop - page);
			if (out)
				out[nr] = rcl_word_pack(&a);
			nr++;
		}
		page = stop;
	}
	return nr;
}

static u64 share_out(const struct rcl_trace_image *trace, const struct rcl_trace_task *task,
		     u32 threads, u32 share, u64 *out)
{
	u64 nr = 0;

	for (u64 i = 0; i < task->count; i++)
		nr += parts_of(trace->words[task->first + i], threads, share,
			       out ? out + nr : NULL);
	return nr;
}

int rcl_split(const struct rcl_trace_image *trace, u32 threads, struct rcl_trace_image **out)
{
	struct rcl_trace_image *split = malloc(sizeof(*split));
	struct rcl_trace_task *tasks;
	u64 *words, count = 0;
	u32 nr = 0;

	if (!split)
		return -ENOMEM;
	*split = *trace;
	tasks = calloc((size_t)trace->nr_tasks * threads + 1, sizeof(*tasks));
	split->tasks = tasks;
	split->words = NULL;
	for (u32 t = 0; tasks && t < trace->nr_tasks; t++) {
		for (u32 s = 0; s < threads; s++, nr++) {
			tasks[nr] = trace->tasks[t];
			tasks[nr].id = nr + 1;
			tasks[nr].parent = nr;
			tasks[nr].first = count;
			tasks[nr].count = share_out(trace, &trace->tasks[t], threads, s, NULL);
			count += tasks[nr].count;
		}
	}
	words = malloc((count + 1) * sizeof(*words));
	split->words = words;
	if (!tasks || !words) {
		rcl_split_free(split);
		return -ENOMEM;
	}
	split->nr_tasks = nr;
	split->count = count;
	for (u32 i = 0; i < nr; i++)
		share_out(trace, &trace->tasks[i / threads], threads, i % threads,
			  words + tasks[i].first);
	*out = split;
	return 0;
}

void rcl_split_free(struct rcl_trace_image *split)
{
	if (!split)
		return;
	free((void *)split->tasks);
	free((void *)split->words);
	free(split);
}
