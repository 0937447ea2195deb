/* SPDX-License-Identifier: MIT */
/* Open addressing; a removal closes the gap, so that there are no tombstones to step over. */
#include "trace/live.h"

#include <stdlib.h>

static uint64_t home(const struct rcl_live *l, uint64_t key)
{
	return (key * 0x9e3779b97f4a7c15ull >> 24) & l->mask;
}

static struct rcl_live_page *find(const struct rcl_live *l, uint64_t key)
{
	uint64_t i = home(l, key);

	while (l->slots[i].key && l->slots[i].key != key)
		i = (i + 1) & l->mask;
	return &l->slots[i];
}

static int grow(struct rcl_live *l)
{
	struct rcl_live bigger = {.mask = l->mask ? 2 * l->mask + 1 : 4095, .nr = l->nr};

	bigger.slots = calloc(bigger.mask + 1, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -1;
	for (uint64_t i = 0; l->mask && i <= l->mask; i++)
		if (l->slots[i].key)
			*find(&bigger, l->slots[i].key) = l->slots[i];
	free(l->slots);
	*l = bigger;
	return 0;
}

struct rcl_live_page *rcl_live_add(struct rcl_live *l, uint64_t key, bool *made)
{
	struct rcl_live_page *p = l->mask ? find(l, key) : NULL;

	*made = !p || !p->key;
	if (!*made)
		return p;
	if (2 * l->nr >= l->mask) {
		if (grow(l))
			return NULL;
		p = find(l, key);
	}
	l->nr++;
	*p = (struct rcl_live_page){.key = key};
	return p;
}

static void remove_at(struct rcl_live *l, uint64_t i)
{
	uint64_t hole = i;

	l->nr--;
	for (i = (i + 1) & l->mask; l->slots[i].key; i = (i + 1) & l->mask) {
		uint64_t h = home(l, l->slots[i].key);

		/* It may move into the hole unless its home lies behind the hole. */
		if (((i - h) & l->mask) >= ((i - hole) & l->mask)) {
			l->slots[hole] = l->slots[i];
			hole = i;
		}
	}
	l->slots[hole].key = 0;
}

void rcl_live_remove(struct rcl_live *l, uint64_t key, uint64_t pages,
		     void (*gone)(void *arg, const struct rcl_live_page *page), void *arg)
{
	if (!l->mask)
		return;
	if (pages <= l->mask / 4) {
		for (; pages; pages--, key++) {
			struct rcl_live_page *p = find(l, key);

			if (!p->key)
				continue;
			gone(arg, p);
			remove_at(l, (uint64_t)(p - l->slots));
		}
		return;
	}
	/* A large range: look at what there is instead. What moves into a hole comes from behind
	 * it, or round the end: that was looked at already, or is looked at again here. */
	for (uint64_t i = 0; i <= l->mask; i++) {
		while (l->slots[i].key && l->slots[i].key - key < pages) {
			gone(arg, &l->slots[i]);
			remove_at(l, i);
		}
	}
}

void rcl_live_move(struct rcl_live *l, uint64_t key, uint64_t pages, uint64_t to)
{
	/* An overlap is walked from the side that is given up last. */
	bool down = to > key;

	/* No more than are there can move: a range far larger is searched only that far. */
	for (uint64_t i = 0, found = 0; l->mask && i < pages && found < l->nr; i++) {
		uint64_t at = down ? pages - 1 - i : i;
		struct rcl_live_page *p = find(l, key + at), page = *p;

		if (!page.key)
			continue;
		found++;
		remove_at(l, (uint64_t)(p - l->slots));
		p = find(l, to + at);
		if (!p->key)
			l->nr++;
		page.key = to + at;
		*p = page;
	}
}

void rcl_live_free(struct rcl_live *l)
{
	free(l->slots);
	*l = (struct rcl_live){0};
}
