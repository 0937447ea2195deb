/* SPDX-License-Identifier: MIT */
/*
 * Checking runs: what every page of the trace must hold.
 *
 * Each write stores a stamp that no other write stores, and the stamp is noted per page. A read
 * must return the stamp noted last: anything else means that a page was lost, kept too long or
 * mixed up on its way through swap, page cache, writeback or reclaim. A page never written reads as
 * zeros in anonymous memory, and as its block's own content in a file.
 *
 * A store through a mapping and its note happen without a wait between them. A write() may wait in
 * the middle, so while one is under way, what other tasks read of its pages proves nothing and is
 * not compared; a write() that failed, or during which others wrote to its pages, leaves them
 * unknown until they are written again.
 */
#include "platform/sim/sim.h"
#include "sim/run.h"

#include <stdlib.h>

#define STAMP_UNKNOWN UINT64_MAX

int rcl_run_content_init(struct run *r)
{
	for (u32 p = 0; p < r->nr_processes; p++) {
		for (u32 i = 0; i < r->req->trace->nr_regions; i++) {
			struct place *place = &r->processes[p].places[i];

			/* A file's content is one, however many processes map it. */
			if (place->is_file && p) {
				place->stamps = r->processes[0].places[i].stamps;
				continue;
			}
			place->stamps = calloc(place->pages ? place->pages : 1, sizeof(u64));
			if (!place->stamps)
				return -ENOMEM;
		}
	}
	return 0;
}

/* Stamps grow with the number of the access; the task keeps those of two tasks apart. */
static u64 new_stamp(const struct runner *t)
{
	return (u64)(t - t->run->runners) << 50 | (t->done + 1);
}

/* Another task's write() to one of these pages, under way; `from` on, for the next. */
static struct runner *writer_of(const struct runner *t, u32 from, u32 region, u64 first, u64 end)
{
	struct run *r = t->run;

	for (u32 i = from; i < r->nr_runners; i++) {
		struct runner *w = &r->runners[i];

		if (w != t && w->write_region == region && first < w->write_end &&
		    end > w->write_first)
			return w;
	}
	return NULL;
}

/* Others that write to these pages now cannot say who came last. True if there are any. */
static bool disturb_writers(const struct runner *t, u32 region, u64 first, u64 end)
{
	struct run *r = t->run;
	struct runner *w = NULL;
	bool any = false;

	while ((w = writer_of(t, w ? (u32)(w - r->runners) + 1 : 0, region, first, end)))
		any = w->write_disturbed = true;
	return any;
}

bool rcl_run_check_read(struct runner *t, u32 region, u64 page, u64 stamp)
{
	const struct place *place = &t->process->places[region];
	u64 expected = place->stamps[page];

	if (expected == STAMP_UNKNOWN ||
	    (place->is_file && writer_of(t, 0, region, page, page + 1)))
		return true;
	if (!expected && place->is_file)
		expected = rcl_sim_blank(place->mapping->dev, place->mapping->first_block + page);
	if (stamp == expected)
		return true;
	rcl_run_fail(t->run, RCL_SIM_CORRUPT, rcl_run_access_number(t, t->done),
		     "page %llu of region '%s' holds %#llx; written last was %#llx",
		     (unsigned long long)page, t->run->req->trace->regions[region].name,
		     (unsigned long long)stamp, (unsigned long long)expected);
	return false;
}

int rcl_run_check_memory(struct runner *t, u32 region, u64 page, bool write)
{
	struct run *r = t->run;
	struct mm *mm = t->process->mm;
	pte_t *pte = rcl_pte_lookup(mm, t->process->places[region].base + page);
	struct folio *f;

	RCL_ASSERT(pte && pte_present(*pte));
	f = pfn_folio(r->m, pte_pfn(*pte));
	if (write) {
		u64 stamp = new_stamp(t);

		r->plat->ops->page_store(r->plat, f, stamp);
		t->process->places[region].stamps[page] = stamp;
		disturb_writers(t, region, page, page + 1);
		return 0;
	}
	if (!rcl_run_check_read(t, region, page, r->plat->ops->page_load(r->plat, f)))
		return -ECANCELED;
	return 0;
}

u64 rcl_run_begin_write(struct runner *t, u32 region, u64 page, u64 pages)
{
	struct place *place = &t->process->places[region];
	u64 stamp = new_stamp(t);

	t->write_region = region;
	t->write_first = page;
	t->write_end = page + pages;
	t->write_disturbed = disturb_writers(t, region, page, page + pages);
	for (u64 i = 0; i < pages; i++)
		place->stamps[page + i] = stamp;
	return stamp;
}

void rcl_run_end_write(struct runner *t, bool failed)
{
	struct place *place = &t->process->places[t->write_region];

	for (u64 p = t->write_first; (failed || t->write_disturbed) && p < t->write_end; p++)
		place->stamps[p] = STAMP_UNKNOWN;
	t->write_end = 0;
}
