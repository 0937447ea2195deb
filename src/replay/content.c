/* SPDX-License-Identifier: MIT */
/*
 * What every page of a trace must hold while threads work on it.
 *
 * A stamp names the write it was made by: the task, and which of its accesses. The platform spreads
 * it over all 512 words of the page, each different, so that a page that is torn, misplaced or old
 * cannot pass for another.
 *
 *   pages that one task uses      hold the stamp noted at the last write: exactly that
 *   pages that several tasks use  hold the stamp of some write of the trace to this page (which
 *                                 was last, only the page itself knows), or what was there first
 *   pages never written           zeros in anonymous memory, a blank of their own in a file
 *
 * While a page of memory is looked at or written it is pinned: reclaim works at the same time.
 */
#include "replay/content.h"

#include <stdlib.h>

#include "mm/pin.h"

#define STAMP_UNKNOWN UINT64_MAX
#define TASK_SHIFT    44
#define OWNER_NONE    0
#define OWNER_SHARED  UINT16_MAX

/* Beside place->stamps: whose page each is. Runner + 1, or one of the above. */
struct content {
	u16 ***owners; /* by process, by region (of process 0 for files), by page */
};

static struct place *place_of(const struct runner *t, u32 region)
{
	return &t->process->places[region];
}

static struct content *content_of(const struct run *r)
{
	return r->content;
}

static u16 owner_of(const struct runner *t, u32 region, u64 page)
{
	struct run *r = t->run;

	return content_of(r)->owners[t->process - r->processes][region][page];
}

static void note_owners(struct run *r, u32 runner)
{
	const struct runner *t = &r->runners[runner];
	u16 **owners = content_of(r)->owners[t->process - r->processes];

	for (u64 i = 0; i < t->nr_words; i++) {
		u64 w = t->words[i], page = rcl_word_page(w), end = page + rcl_word_pages(w);
		u16 *owner = owners[rcl_word_region(w)];

		for (; page < end; page++) {
			if (owner[page] == OWNER_NONE)
				owner[page] = (u16)(runner + 1);
			else if (owner[page] != runner + 1)
				owner[page] = OWNER_SHARED;
		}
	}
}

static int init_process(struct run *r, u32 p)
{
	struct content *c = content_of(r);
	u32 nr = r->req->trace->nr_regions;

	c->owners[p] = calloc(nr + 1, sizeof(u16 *));
	if (!c->owners[p])
		return -ENOMEM;
	for (u32 i = 0; i < nr; i++) {
		struct place *place = &r->processes[p].places[i];

		if (place->is_file && p) {
			place->stamps = r->processes[0].places[i].stamps;
			c->owners[p][i] = c->owners[0][i];
			continue;
		}
		place->stamps = calloc(place->pages + 1, sizeof(u64));
		c->owners[p][i] = calloc(place->pages + 1, sizeof(u16));
		if (!place->stamps || !c->owners[p][i])
			return -ENOMEM;
		for (u64 page = 0; place->is_file && page < place->pages; page++)
			place->stamps[page] = rcl_content_blank(i, page);
	}
	return 0;
}

int rcl_content_init(struct run *r)
{
	struct content *c = r->content = calloc(1, sizeof(*c));
	int ret = 0;

	if (!c)
		return -ENOMEM;
	c->owners = calloc(r->nr_processes + 1, sizeof(u16 **));
	if (!c->owners)
		return -ENOMEM;
	for (u32 p = 0; p < r->nr_processes && !ret; p++)
		ret = init_process(r, p);
	for (u32 i = 0; i < r->nr_runners && !ret; i++)
		note_owners(r, i);
	return ret;
}

void rcl_content_exit(struct run *r)
{
	struct content *c = content_of(r);

	if (!c)
		return;
	for (u32 p = 0; c->owners && p < r->nr_processes && c->owners[p]; p++) {
		for (u32 i = 0; i < r->req->trace->nr_regions; i++)
			if (!p || !r->processes[p].places[i].is_file)
				free(c->owners[p][i]);
		free(c->owners[p]);
	}
	free(c->owners);
	free(c);
	r->content = NULL;
}

static u64 new_stamp(const struct runner *t)
{
	return (u64)(t - t->run->runners) << TASK_SHIFT | (t->done + 1);
}

/* Did some access of the trace write this stamp to this page? */
static bool was_written(const struct run *r, u64 stamp, u32 region, u64 page)
{
	u64 n = (stamp & ((1ull << TASK_SHIFT) - 1)) - 1;
	u64 task = stamp >> TASK_SHIFT, w;

	if (task >= r->nr_runners || n >= r->runners[task].nr_words)
		return false;
	w = r->runners[task].words[n];
	return rcl_word_write(w) && rcl_word_region(w) == region && page >= rcl_word_page(w) &&
	       page < rcl_word_page(w) + rcl_word_pages(w);
}

bool rcl_content_check_read(struct runner *t, u32 region, u64 page, u64 stamp)
{
	const struct place *place = place_of(t, region);
	u64 expected = __atomic_load_n(&place->stamps[page], __ATOMIC_RELAXED);
	struct run *r = t->run;

	if (expected == STAMP_UNKNOWN || stamp == expected)
		return true;
	if (owner_of(t, region, page) == OWNER_SHARED) {
		u64 first = place->is_file ? rcl_content_blank(region, page) : 0;

		if (stamp == first || was_written(r, stamp, region, page))
			return true;
	}
	rcl_run_fail(r, RCL_SIM_CORRUPT, rcl_run_access_number(t, t->done),
		     "page %llu of region '%s' holds %#llx; written last was %#llx",
		     (unsigned long long)page, r->req->trace->regions[region].name,
		     (unsigned long long)stamp, (unsigned long long)expected);
	return false;
}

static void note(struct runner *t, u32 region, u64 page, u64 stamp)
{
	if (owner_of(t, region, page) != OWNER_SHARED)
		__atomic_store_n(&place_of(t, region)->stamps[page], stamp, __ATOMIC_RELAXED);
}

int rcl_content_pin(struct runner *t, u64 vpn, bool write, struct pinned *out)
{
	struct rcl *m = t->run->m;
	struct mm *mm = t->process->mm;
	u64 pfn;
	int ret;

	for (;;) {
		pte_t *pte = rcl_pte_lookup(mm, vpn);

		*out = (struct pinned){.mm = mm, .vpn = vpn, .pte = pte, .write = write};
		if (pte && rcl_pin_fast(mm, pte, write, &pfn)) {
			out->folio = pfn_folio(m, pfn);
			return 0;
		}
		if (pte && !write && pte_present(pte_read(pte)) && pte_read(pte) & PTE_ZERO)
			return 0;
		ret = rcl_touch(m, mm, vpn, write);
		if (ret)
			return ret;
	}
}

void rcl_content_unpin(struct runner *t, struct pinned *p)
{
	if (p->folio && !rcl_unpin_fast(p->mm, p->pte, p->write))
		rcl_unpin_page(t->run->m, p->mm, p->vpn, p->pte);
}

int rcl_content_check_memory(struct runner *t, u32 region, u64 page, bool write)
{
	struct platform *plat = t->run->plat;
	struct pinned p;
	bool ok = true;
	int ret = rcl_content_pin(t, place_of(t, region)->base + page, write, &p);

	if (ret)
		return ret;
	if (write) {
		u64 stamp = new_stamp(t);

		plat->ops->page_store(plat, p.folio, stamp);
		note(t, region, page, stamp);
	} else {
		u64 stamp = p.folio ? plat->ops->page_load(plat, p.folio) : 0;

		ok = rcl_content_check_read(t, region, page, stamp);
	}
	rcl_content_unpin(t, &p);
	return ok ? 0 : -ECANCELED;
}

u64 rcl_content_begin_write(struct runner *t, u32 region, u64 page, u64 pages)
{
	u64 stamp = new_stamp(t);

	t->write_region = region;
	t->write_first = page;
	t->write_end = page + pages;
	for (u64 i = 0; i < pages; i++)
		note(t, region, page + i, stamp);
	return stamp;
}

void rcl_content_end_write(struct runner *t, bool failed)
{
	/* Nobody knows which of them it reached. */
	for (u64 p = t->write_first; failed && p < t->write_end; p++)
		__atomic_store_n(&place_of(t, (u32)t->write_region)->stamps[p], STAMP_UNKNOWN,
				 __ATOMIC_RELAXED);
	t->write_end = 0;
}

static int check_page(struct runner *t, u32 region, u64 page)
{
	struct run *r = t->run;
	struct place *place = place_of(t, region);
	u64 stamp = 0;
	int ret;

	if (!place->is_file)
		return rcl_content_check_memory(t, region, page, false);
	ret = rcl_file_read(r->m, &t->process->files[region], page, 1, &stamp);
	if (ret)
		return ret;
	return rcl_content_check_read(t, region, page, stamp) ? 0 : -ECANCELED;
}

int rcl_content_check_all(struct run *r)
{
	int ret = 0;

	for (u32 i = 0; i < r->nr_runners && !ret; i++) {
		struct runner *t = &r->runners[i];

		for (u64 n = 0; n < t->nr_words && !ret; n++) {
			u64 w = t->words[n], end = rcl_word_page(w) + rcl_word_pages(w);

			/* Each page once: at the first access of the one who owns it. */
			for (u64 page = rcl_word_page(w); page < end && !ret; page++) {
				u16 *owner = &content_of(r)->owners[t->process - r->processes]
								   [rcl_word_region(w)][page];

				if (*owner == OWNER_NONE)
					continue;
				ret = check_page(t, rcl_word_region(w), page);
				*owner = OWNER_NONE;
			}
		}
	}
	return ret;
}
