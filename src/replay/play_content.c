/* SPDX-License-Identifier: MIT */
/*
 * What every page must hold while a recording is replayed, whose address spaces change.
 *
 *   anonymous page   of a process, at an address: the stamp last written there. Unmapping forgets
 *                    it, mremap moves it, fork copies it, MADV_FREE makes zeros as good.
 *   file page        of a file, at an index: the stamp last written by whoever, through a mapping
 *                    or by write(); a blank of its own before that.
 *
 * Which of the two a mapped page is, the folio itself says, so private mappings of files need no
 * rule: until they are written to, theirs are the file's pages.
 *
 * Tasks of a recording run side by side, and what it does not say is who waited for whom. So pages
 * that two write to at the same time hold nobody knows what, until they are written again. One lock
 * covers the accounts and, for memory, the look at the page or the writing of it.
 */
#include <pthread.h>
#include <stdlib.h>

#include "replay/content.h"
#include "trace/native.h"

#define UNKNOWN	   UINT64_MAX
#define PENDING(i) (UINT64_MAX - 1 - (i)) /* runner i is in a write() to it */
#define FREE_VPN   UINT64_MAX
#define TASK_SHIFT 44
#define OR_ZERO	   (1ull << 62) /* stamp of a lazily freed page */

struct page_stamp {
	u64 vpn, stamp;
};

/* Open addressing; what is forgotten keeps its place, with stamp 0, until the next resize. */
struct pages {
	struct page_stamp *slots;
	u64 mask, nr; /* nr: places taken, forgotten ones (stamp 0) too */
};

struct play_content {
	pthread_mutex_t lock;
	struct pages *processes; /* lock */
	u64 **files;		 /* lock: stamps by region and page */
	u32 *region_of_dev;	 /* c: + 1 */
};

static struct play_content *content_of(const struct run *r)
{
	return r->content;
}

/* ---- Pages of a process -------------------------------------------------------------------- */

static struct page_stamp *slot_of(const struct pages *p, u64 vpn)
{
	u64 i = (vpn * 0x9e3779b97f4a7c15ull) >> 20 & p->mask;

	while (p->slots[i].vpn != vpn && p->slots[i].vpn != FREE_VPN)
		i = (i + 1) & p->mask;
	return &p->slots[i];
}

static void resize(struct pages *p, u64 size)
{
	struct pages bigger = {.mask = size - 1, .slots = malloc(size * sizeof(*bigger.slots))};

	RCL_ASSERT(bigger.slots);
	for (u64 i = 0; i < size; i++)
		bigger.slots[i].vpn = FREE_VPN;
	for (u64 i = 0; p->slots && i <= p->mask; i++) {
		if (p->slots[i].vpn == FREE_VPN || !p->slots[i].stamp)
			continue;
		*slot_of(&bigger, p->slots[i].vpn) = p->slots[i];
		bigger.nr++;
	}
	free(p->slots);
	*p = bigger;
}

static u64 get(const struct pages *p, u64 vpn)
{
	const struct page_stamp *s = p->slots ? slot_of(p, vpn) : NULL;

	return s && s->vpn == vpn ? s->stamp : 0;
}

static void set(struct pages *p, u64 vpn, u64 stamp)
{
	struct page_stamp *s;

	if (!p->slots || 2 * p->nr > p->mask)
		resize(p, p->slots ? 2 * (p->mask + 1) : 1024);
	s = slot_of(p, vpn);
	p->nr += s->vpn == FREE_VPN;
	*s = (struct page_stamp){vpn, stamp};
}

/* Visit what is known of a range. */
static void change_range(struct pages *p, u64 start, u64 pages, u64 (*change)(u64 stamp))
{
	for (u64 i = 0; p->slots && i <= p->mask; i++)
		if (p->slots[i].vpn != FREE_VPN && p->slots[i].vpn - start < pages)
			p->slots[i].stamp = change(p->slots[i].stamp);
}

static u64 forgotten(u64 stamp)
{
	(void)stamp;
	return 0;
}

static u64 or_zero(u64 stamp)
{
	return stamp && stamp != UNKNOWN ? stamp | OR_ZERO : stamp;
}

static void move(struct pages *p, u64 old, u64 old_pages, u64 new, u64 new_pages)
{
	u64 nr = 0, kept = min(old_pages, new_pages);
	struct page_stamp *moved = malloc((p->nr + 1) * sizeof(*moved));

	RCL_ASSERT(moved);
	for (u64 i = 0; p->slots && i <= p->mask; i++) {
		struct page_stamp *s = &p->slots[i];

		if (s->vpn == FREE_VPN || s->vpn - old >= old_pages)
			continue;
		if (s->stamp && s->vpn - old < kept)
			moved[nr++] = (struct page_stamp){s->vpn - old + new, s->stamp};
		s->stamp = 0;
	}
	for (u64 i = 0; i < nr; i++)
		set(p, moved[i].vpn, moved[i].stamp);
	free(moved);
}

static void copy(struct pages *dst, const struct pages *src)
{
	for (u64 i = 0; src->slots && i <= src->mask; i++)
		if (src->slots[i].vpn != FREE_VPN)
			set(dst, src->slots[i].vpn, src->slots[i].stamp);
}

/* ---- Set-up -------------------------------------------------------------------------------- */

int rcl_play_content_init(struct run *r)
{
	const struct rcl_trace_image *trace = r->req->trace;
	struct play_content *c = r->content = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	c->processes = calloc(r->nr_processes + 1, sizeof(*c->processes));
	c->files = calloc(trace->nr_regions + 1, sizeof(*c->files));
	c->region_of_dev = calloc(UINT16_MAX + 1, sizeof(u32));
	if (!c->processes || !c->files || !c->region_of_dev)
		return -ENOMEM;
	for (u32 i = 0; i < trace->nr_regions; i++) {
		u64 pages = trace->recording->file_pages[i];
		const struct mapping *mapping = rcl_run_play_mapping(r, i);

		if (!pages || !mapping)
			continue;
		c->region_of_dev[mapping->dev] = i + 1;
		c->files[i] = malloc(pages * sizeof(u64));
		if (!c->files[i])
			return -ENOMEM;
		for (u64 p = 0; p < pages; p++)
			c->files[i][p] = rcl_content_blank(i, p);
	}
	return 0;
}

void rcl_play_content_exit(struct run *r)
{
	struct play_content *c = content_of(r);

	if (!c)
		return;
	for (u32 i = 0; c->processes && i < r->nr_processes; i++)
		free(c->processes[i].slots);
	for (u32 i = 0; c->files && i < r->req->trace->nr_regions; i++)
		free(c->files[i]);
	free(c->processes);
	free(c->files);
	free(c->region_of_dev);
	pthread_mutex_destroy(&c->lock);
	free(c);
	r->content = NULL;
}

/* ---- Memory -------------------------------------------------------------------------------- */

static u64 new_stamp(const struct runner *t)
{
	return (u64)(t - t->run->runners) << TASK_SHIFT | (t->done + 1);
}

static bool fail(struct runner *t, const char *what, u64 page, u64 stamp, u64 expected)
{
	rcl_run_fail(t->run, RCL_SIM_CORRUPT, rcl_run_access_number(t, t->done),
		     "page %llu of %s holds %#llx; written last was %#llx",
		     (unsigned long long)page, what, (unsigned long long)stamp,
		     (unsigned long long)expected);
	return false;
}

/* The account of a mapped file's page. NULL: of a file the recording does not know (no such). */
static u64 *file_stamp(struct run *r, const struct folio *f)
{
	struct play_content *c = content_of(r);
	u32 region = c->region_of_dev[f->mapping->dev];

	if (!region || f->index >= r->req->trace->recording->file_pages[region - 1])
		return NULL;
	return &c->files[region - 1][f->index];
}

static void store(struct runner *t, struct folio *f, u64 vpn)
{
	struct run *r = t->run;
	struct play_content *c = content_of(r);
	u64 stamp = new_stamp(t), *account = folio_is_anon(f) ? NULL : file_stamp(r, f);

	r->plat->ops->page_store(r->plat, f, stamp);
	if (account)
		*account = *account >= PENDING(r->nr_runners) ? UNKNOWN : stamp;
	else if (folio_is_anon(f))
		set(&c->processes[t->process - r->processes], vpn, stamp);
}

static bool load(struct runner *t, struct folio *f, u64 vpn)
{
	struct run *r = t->run;
	struct play_content *c = content_of(r);
	u64 stamp = f ? r->plat->ops->page_load(r->plat, f) : 0;
	u64 expected, *account;

	if (f && !folio_is_anon(f)) {
		account = file_stamp(r, f);
		if (!account || *account >= PENDING(r->nr_runners) || stamp == *account)
			return true;
		return fail(t, "a mapped file", f->index, stamp, *account);
	}
	expected = get(&c->processes[t->process - r->processes], vpn);
	if (expected != UNKNOWN && expected & OR_ZERO) {
		if (!stamp)
			return true;
		expected &= ~OR_ZERO;
	}
	if (stamp == expected || expected == UNKNOWN)
		return true;
	return fail(t, "memory", vpn, stamp, expected);
}

int rcl_play_content_memory(struct runner *t, u64 vpn, bool write)
{
	struct play_content *c = content_of(t->run);
	struct pinned p;
	bool ok = true;
	int ret = rcl_content_pin(t, vpn, write, &p);

	if (ret)
		return ret;
	pthread_mutex_lock(&c->lock);
	if (write)
		store(t, p.folio, vpn);
	else
		ok = load(t, p.folio, vpn);
	pthread_mutex_unlock(&c->lock);
	rcl_content_unpin(t, &p);
	return ok ? 0 : -ECANCELED;
}

/* ---- Calls --------------------------------------------------------------------------------- */

bool rcl_play_content_read(struct runner *t, u32 region, u64 page, u64 stamp)
{
	struct run *r = t->run;
	struct play_content *c = content_of(r);
	u64 expected = UNKNOWN;

	pthread_mutex_lock(&c->lock);
	if (c->files[region] && page < r->req->trace->recording->file_pages[region])
		expected = c->files[region][page];
	pthread_mutex_unlock(&c->lock);
	if (expected >= PENDING(r->nr_runners) || stamp == expected || r->nr_runners > 1)
		return true;
	return fail(t, r->req->trace->regions[region].name, page, stamp, expected);
}

u64 rcl_play_content_begin_write(struct runner *t, u32 region, u64 page, u64 pages)
{
	struct run *r = t->run;
	struct play_content *c = content_of(r);
	u64 nr = c->files[region] ? r->req->trace->recording->file_pages[region] : 0;

	t->write_region = region;
	t->write_first = min(page, nr);
	t->write_end = min(page + pages, nr);
	pthread_mutex_lock(&c->lock);
	for (u64 p = t->write_first; p < t->write_end; p++) {
		u64 *account = &c->files[region][p];

		*account = *account >= PENDING(r->nr_runners) ? UNKNOWN
							      : PENDING((u64)(t - r->runners));
	}
	pthread_mutex_unlock(&c->lock);
	return new_stamp(t);
}

void rcl_play_content_end_write(struct runner *t, bool failed)
{
	struct run *r = t->run;
	struct play_content *c = content_of(r);

	pthread_mutex_lock(&c->lock);
	for (u64 p = t->write_first; p < t->write_end; p++) {
		u64 *account = &c->files[t->write_region][p];

		if (*account == PENDING((u64)(t - r->runners)) && !failed)
			*account = new_stamp(t);
		else
			*account = UNKNOWN;
	}
	pthread_mutex_unlock(&c->lock);
	t->write_end = 0;
}

/* ---- Changes of the layout ----------------------------------------------------------------- */

void rcl_play_content_event(struct runner *t, const struct rcl_trace_event *e)
{
	enum {
		DONTNEED = 4,
		FREE = 8
	};
	struct run *r = t->run;
	struct play_content *c = content_of(r);
	struct pages *own = &c->processes[t->process - r->processes];
	const u64 *a = e->args;
	u64 first, nr;

	pthread_mutex_lock(&c->lock);
	switch (e->type) {
	case RCL_EVENT_MAP:
	case RCL_EVENT_UNMAP:
		change_range(own, a[0], a[1], forgotten);
		break;
	case RCL_EVENT_MOVE:
		move(own, a[0], a[1], a[2], a[3]);
		break;
	case RCL_EVENT_ADVISE:
		/* (It may not have been possible for all of them.) */
		if (a[2] == DONTNEED || a[2] == FREE)
			change_range(own, a[0], a[1], or_zero);
		break;
	case RCL_EVENT_FORK:
		if (a[0] < r->nr_runners)
			copy(&c->processes[r->runners[a[0]].process - r->processes], own);
		break;
	case RCL_EVENT_EXEC:
		change_range(own, 0, UINT64_MAX, forgotten);
		break;
	case RCL_EVENT_TRUNCATE:
	case RCL_EVENT_DELETE:
		nr = c->files[a[0]] ? r->req->trace->recording->file_pages[a[0]] : 0;
		first = e->type == RCL_EVENT_DELETE ? 0 : a[1] >> PAGE_SHIFT;
		for (; first < nr; first++)
			c->files[a[0]][first] = UNKNOWN;
		break;
	default:
		break;
	}
	pthread_mutex_unlock(&c->lock);
}
