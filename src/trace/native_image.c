/* SPDX-License-Identifier: MIT */
/*
 * The image of a recording: one array of words with the tasks' streams one behind the other, and
 * tables beside it, all in one piece of memory.
 */
#include "trace/native_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "trace/image.h"

struct image {
	struct rcl_trace_image public;
	struct rcl_trace_recording rec;
	uint64_t mapped;
};

struct numbered {
	uint32_t process, order, event;
};

static int by_order(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;

	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return x->event < y->event ? -1 : x->event > y->event;
}

/* Events of a process with a number below this. */
static uint32_t rank(const struct numbered *n, uint32_t nr, uint32_t process, uint64_t order)
{
	uint32_t lo = 0, hi = nr, first;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (n[mid].process < process)
			lo = mid + 1;
		else
			hi = mid;
	}
	first = lo;
	hi = nr;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (n[mid].process == process && n[mid].order < order)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo - first;
}

/*
 * What was lost at the end leaves gaps in the numbers, and a gap would be waited for: number anew.
 */
static int number_events(struct rcl_native_load *l, const struct rcl_trace_task *tasks,
			 uint32_t nr_tasks, const uint64_t *words)
{
	struct numbered *n = malloc((l->nr_events + 1) * sizeof(*n));
	uint32_t nr = 0, next = 0;

	if (!n)
		return rcl_native_no_memory(l);
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t t = 0; t < nr_tasks; t++) {
			for (uint64_t i = 0; i < tasks[t].count; i++) {
				uint64_t w = words[tasks[t].first + i];
				struct rcl_trace_event *e = &l->events[rcl_word_page(w)];

				if (!rcl_word_is_event(w) || rcl_word_write(w))
					continue;
				if (!pass && rcl_event_has_seq(e->type))
					n[nr++] = (struct numbered){tasks[t].process, e->order,
								    (uint32_t)rcl_word_page(w)};
				else if (pass && e->type == RCL_EVENT_SYNC)
					e->args[0] = rank(n, nr, tasks[t].process, e->args[0]);
			}
		}
		if (!pass)
			qsort(n, nr, sizeof(*n), by_order);
	}
	for (uint32_t i = 0; i < nr; i++) {
		if (i && n[i].process != n[i - 1].process)
			next = 0;
		l->events[n[i].event].order = next++;
	}
	free(n);
	return 0;
}

/* Numbers of tasks as the trace has them become indices; what is not in the trace, no event. */
static void resolve_tasks(struct rcl_native_load *l, const uint32_t *index)
{
	for (uint32_t i = 0; i < l->nr_events; i++) {
		struct rcl_trace_event *e = &l->events[i];

		if (e->type == RCL_EVENT_FORK || e->type == RCL_EVENT_CLONE ||
		    e->type == RCL_EVENT_WAIT)
			e->args[0] = index[e->args[0]];
	}
}

static uint32_t list_tasks(struct rcl_native_load *l, struct rcl_trace_task *tasks, uint32_t *index,
			   uint32_t *nr_processes)
{
	uint32_t nr = 0;
	uint64_t first = 0;

	*nr_processes = 0;
	memset(index, 0xff, RCL_NATIVE_TASKS_MAX * sizeof(*index));
	for (uint32_t i = 0; i < l->end_tasks; i++) {
		struct rcl_load_task *t = &l->tasks[i];

		if (!t->known || !t->count)
			continue;
		tasks[nr] = (struct rcl_trace_task){.first = first,
						    .count = t->count,
						    .id = i,
						    .process = t->process,
						    .parent = t->parent,
						    .forked = t->how == RCL_NATIVE_FORKED,
						    .references = t->references,
						    .instructions = t->instructions};
		first += t->count;
		index[i] = nr++;
	}
	/* Processes by the order of their first tasks. */
	for (uint32_t i = 0; i < nr; i++) {
		struct rcl_load_process *p = &l->processes[tasks[i].process];

		if (p->known) {
			p->known = false;
			p->index = (*nr_processes)++;
		}
	}
	for (uint32_t i = 0; i < nr; i++) {
		struct rcl_load_task *t = &l->tasks[tasks[i].id];
		uint32_t parent = t->how == RCL_NATIVE_FIRST ? NOWHERE : index[tasks[i].parent];

		tasks[i].process = l->processes[tasks[i].process].index;
		tasks[i].parent = parent == NOWHERE ? i : parent;
	}
	return nr;
}

static void *put(uint8_t **at, size_t bytes)
{
	void *p = *at;

	*at += (bytes + 7) & ~7ull;
	return p;
}

static size_t names_size(const struct rcl_native_load *l)
{
	size_t n = 0;

	for (uint32_t i = 0; i < l->nr_regions; i++)
		n += l->regions[i].known ? strlen(l->regions[i].name) + 1 : 1;
	return n;
}

static int gather_words(struct rcl_native_load *l, struct image *im,
			const struct rcl_trace_task *tasks, uint32_t nr)
{
	uint64_t total = nr ? tasks[nr - 1].first + tasks[nr - 1].count : 0, *words;

	if (!l->keep || !total)
		return 0;
	words = mmap(NULL, total * sizeof(*words), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (words == MAP_FAILED)
		return rcl_native_no_memory(l);
	madvise(words, total * sizeof(*words), MADV_HUGEPAGE);
	for (uint32_t i = 0; i < nr; i++) {
		struct rcl_load_task *t = &l->tasks[tasks[i].id];

		memcpy(words + tasks[i].first, t->words, t->count * sizeof(*words));
		free(t->words);
		t->words = NULL;
	}
	im->public.words = words;
	im->public.count = total;
	im->mapped = total * sizeof(*words);
	return 0;
}

static void fill_regions(struct rcl_native_load *l, struct rcl_region *regions,
			 struct rcl_region_summary *sums, uint64_t *pages, uint64_t *sizes,
			 const char **names, char *text)
{
	for (uint32_t i = 0; i < l->nr_regions; i++) {
		const struct rcl_load_region *r = &l->regions[i];
		const char *name = r->known ? r->name : "", *slash = strrchr(name, '/');

		names[i] = strcpy(text, name);
		text += strlen(name) + 1;
		regions[i].kind = r->kind;
		regions[i].pages =
			r->kind == RCL_ACCESS_ANON
				? 0
				: (r->bytes + RCL_TRACE_PAGE_SIZE - 1) >> RCL_TRACE_PAGE_SHIFT;
		snprintf(regions[i].name, sizeof(regions[i].name), "%s", slash ? slash + 1 : name);
		sums[i] = (struct rcl_region_summary){.touches = r->touches,
						      .writes = r->writes,
						      .footprint = r->peak,
						      .end = r->end};
		pages[i] = r->pages;
		sizes[i] = r->bytes;
	}
	/* Words that are no accesses name region 0; their "pages" are within its end as well. */
	if (l->nr_regions)
		sums[0].end = RCL_TRACE_PAGES_MAX;
}

static void fill_summary(struct rcl_native_load *l, struct rcl_trace_summary *sum)
{
	*sum = l->sum;
	sum->reads = sum->touches - sum->writes;
	sum->footprint_pages = l->peak;
	sum->anon_pages = l->peak_anon;
	sum->mmap_pages = l->by_kind[RCL_ACCESS_MMAP];
	sum->file_pages = l->by_kind[RCL_ACCESS_FILE];
}

int rcl_native_make_image(struct rcl_native_load *l, struct rcl_trace_image **out)
{
	uint32_t nr_tasks = l->nr_tasks, nr = l->nr_regions, *index;
	size_t size = sizeof(struct image) + nr_tasks * sizeof(struct rcl_trace_task) +
		      nr * (sizeof(struct rcl_region) + sizeof(struct rcl_region_summary) +
			    2 * sizeof(uint64_t) + sizeof(char *)) +
		      l->nr_events * sizeof(struct rcl_trace_event) + names_size(l) +
		      l->rec.command_size + 128;
	struct image *im = calloc(1, size);
	uint8_t *at = (uint8_t *)(im + 1);
	struct rcl_trace_task *tasks;
	int rc;

	index = malloc(RCL_NATIVE_TASKS_MAX * sizeof(*index));
	if (!im || !index) {
		free(im);
		free(index);
		return rcl_native_no_memory(l);
	}
	tasks = put(&at, nr_tasks * sizeof(*tasks));
	im->public.tasks = tasks;
	im->public.nr_tasks = list_tasks(l, tasks, index, &im->public.nr_processes);
	rc = gather_words(l, im, tasks, im->public.nr_tasks);
	if (!rc && l->keep)
		rc = number_events(l, tasks, im->public.nr_tasks, im->public.words);
	if (!rc) {
		struct rcl_region *regions = put(&at, nr * sizeof(*regions));
		struct rcl_region_summary *sums = put(&at, nr * sizeof(*sums));
		uint64_t *pages = put(&at, nr * sizeof(*pages));
		uint64_t *sizes = put(&at, nr * sizeof(*sizes));
		const char **names = put(&at, nr * sizeof(*names));
		void *events = put(&at, l->nr_events * sizeof(*l->events));
		char *command = put(&at, l->rec.command_size + 1);

		fill_regions(l, regions, sums, pages, sizes, names, (char *)at);
		resolve_tasks(l, index);
		if (l->nr_events)
			memcpy(events, l->events, l->nr_events * sizeof(*l->events));
		memcpy(command, l->command, l->rec.command_size);
		im->rec = l->rec;
		im->rec.events = events;
		im->rec.nr_events = l->nr_events;
		im->rec.file_pages = pages;
		im->rec.sizes = sizes;
		im->rec.names = names;
		im->rec.command = command;
		for (uint32_t i = 0; i < im->public.nr_tasks; i++) {
			im->rec.references += tasks[i].references;
			im->rec.instructions += tasks[i].instructions;
		}
		im->public.regions = regions;
		im->public.region_summaries = sums;
		im->public.nr_regions = nr;
		im->public.recording = &im->rec;
		im->public.format = rcl_trace_format(l->t);
		im->public.compression = rcl_trace_compression(l->t);
		fill_summary(l, &im->public.summary);
		*out = &im->public;
	} else {
		if (im->public.words)
			munmap((void *)(uintptr_t)im->public.words, im->mapped);
		free(im);
	}
	free(index);
	return rc;
}

void rcl_native_image_free(struct rcl_trace_image *image)
{
	struct image *im = (struct image *)image;

	if (image->words)
		munmap((void *)(uintptr_t)image->words, im->mapped);
	free(im);
}
