/* SPDX-License-Identifier: MIT */
#include "trace/areas.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace/native.h"

/* First area that ends behind the page. */
static uint32_t index_of(const struct rcl_areas *a, uint64_t page)
{
	uint32_t lo = 0, hi = a->nr;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (a->at[mid].end > page)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

const struct rcl_area *rcl_areas_find(const struct rcl_areas *a, uint64_t page)
{
	uint32_t i = index_of(a, page);

	return i < a->nr && a->at[i].start <= page ? &a->at[i] : NULL;
}

static int insert(struct rcl_areas *a, uint32_t i, struct rcl_area area)
{
	if (a->nr == a->max) {
		uint32_t max = a->max ? 2 * a->max : 32;
		struct rcl_area *at = realloc(a->at, max * sizeof(*at));

		if (!at)
			return -ENOMEM;
		a->at = at;
		a->max = max;
	}
	memmove(&a->at[i + 1], &a->at[i], (a->nr - i) * sizeof(*a->at));
	a->at[i] = area;
	a->nr++;
	return 0;
}

/* Make a border at the page. */
static int split(struct rcl_areas *a, uint64_t page)
{
	uint32_t i = index_of(a, page);
	struct rcl_area upper;

	if (i == a->nr || a->at[i].start >= page)
		return 0;
	upper = a->at[i];
	upper.pgoff += page - upper.start;
	upper.start = page;
	a->at[i].end = page;
	return insert(a, i + 1, upper);
}

int rcl_areas_unmap(struct rcl_areas *a, uint64_t page, uint64_t pages)
{
	int rc = split(a, page);
	uint32_t from, to;

	if (!rc)
		rc = split(a, page + pages);
	if (rc)
		return rc;
	from = to = index_of(a, page);
	while (to < a->nr && a->at[to].start < page + pages)
		to++;
	if (to > from)
		memmove(&a->at[from], &a->at[to], (a->nr - to) * sizeof(*a->at));
	a->nr -= to - from;
	return 0;
}

int rcl_areas_map(struct rcl_areas *a, struct rcl_area area)
{
	int rc = rcl_areas_unmap(a, area.start, area.end - area.start);
	struct rcl_area *before;
	uint32_t i;

	if (rc)
		return rc;
	i = index_of(a, area.start);
	before = i ? &a->at[i - 1] : NULL;
	/* Programs that map a little at a time, like a growing heap, have one area all the same. */
	if (before && before->end == area.start && before->flags == area.flags &&
	    before->region == area.region && !(area.flags & RCL_MAP_FILE)) {
		before->end = area.end;
		return 0;
	}
	return insert(a, i, area);
}

int rcl_areas_move(struct rcl_areas *a, uint64_t page, uint64_t pages, uint64_t to,
		   uint64_t to_pages)
{
	const struct rcl_area *old = rcl_areas_find(a, page);
	struct rcl_area area = {.flags = RCL_MAP_READ | RCL_MAP_WRITE};
	int rc;

	if (old) {
		area = *old;
		area.pgoff += page - old->start;
	}
	area.start = to;
	area.end = to + to_pages;
	rc = rcl_areas_unmap(a, page, pages);
	return rc ? rc : rcl_areas_map(a, area);
}

int rcl_areas_protect(struct rcl_areas *a, uint64_t page, uint64_t pages, uint32_t flags)
{
	const uint32_t all = RCL_MAP_READ | RCL_MAP_WRITE | RCL_MAP_EXEC;
	int rc = split(a, page);

	if (!rc)
		rc = split(a, page + pages);
	for (uint32_t i = index_of(a, page); !rc && i < a->nr && a->at[i].start < page + pages; i++)
		a->at[i].flags = (a->at[i].flags & ~all) | (flags & all);
	return rc;
}

int rcl_areas_copy(struct rcl_areas *to, const struct rcl_areas *from)
{
	rcl_areas_clear(to);
	for (uint32_t i = 0; i < from->nr; i++) {
		int rc = insert(to, i, from->at[i]);

		if (rc)
			return rc;
	}
	return 0;
}

void rcl_areas_clear(struct rcl_areas *a)
{
	free(a->at);
	*a = (struct rcl_areas){0};
}
