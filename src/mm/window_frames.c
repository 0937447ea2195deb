/* SPDX-License-Identifier: MIT */
/*
 * Frames for a window of a file, on real memory.
 *
 * Real devices are faster, some by more than twice, when the pages of a request are neighbours in
 * memory, too. The kernel gets that from folios of many pages. Here a page stays a page, so that
 * each can be pinned, dirtied and reclaimed by itself, and only the frames of a window are taken
 * together:
 *
 *   1. blocks of the buddy, the largest first, that are to be had without reclaim, taken apart;
 *   2. when most of the window is still missing, memory is short: as much is reclaimed at once as
 *      the window lacks. Pages leave in the order in which they came, so windows that came
 *      together leave together, and their frames meet again in the buddy: 1. once more;
 *   3. single frames, by all means that the caller's gfp allows;
 *   4. all of them in the order of memory.
 *
 * So a stream keeps using the same long runs of frames, once it has them.
 */
#include "mm/window_frames.h"

#include "mm/machine.h"
#include "mm/page_alloc.h"
#include "mm/vmscan.h"

/* The largest block that is not larger than what is missing. */
static u32 fitting_order(u32 missing)
{
	return min(31u - (u32)__builtin_clz(missing), MAX_ORDER - 1u);
}

/* By place in memory; the descriptors are an array. */
static void sort_frames(struct folio **f, u32 nr)
{
	static const u16 gaps[] = {301, 132, 57, 23, 10, 4, 1};

	for (u32 g = 0; g < ARRAY_SIZE(gaps); g++) {
		for (u32 gap = gaps[g], i = gap; i < nr; i++) {
			struct folio *one = f[i];
			u32 j = i;

			for (; j >= gap && f[j - gap] > one; j -= gap)
				f[j] = f[j - gap];
			f[j] = one;
		}
	}
}

/* Neither reclaims nor wakes those who do. */
static void take_blocks(struct rcl *m, struct window_frames *w, gfp_t gfp, u32 wanted)
{
	u32 order = fitting_order(wanted);

	gfp = (gfp & ~__GFP_RECLAIM) | __GFP_NOWARN | __GFP_NOMEMALLOC;
	while (w->nr < wanted && order) {
		struct folio *f;

		order = min(order, fitting_order(wanted - w->nr));
		f = order ? rcl_alloc_pages(m, gfp, order) : NULL;
		if (!f) {
			order -= order > 0;
			continue;
		}
		rcl_split_page(m, f, order);
		for (u32 i = 0; i < 1u << order; i++)
			w->f[w->nr++] = f + i;
	}
}

static void fill(struct rcl *m, struct window_frames *w, gfp_t gfp, u32 wanted)
{
	u32 missing;

	w->nr = w->used = 0;
	take_blocks(m, w, gfp, wanted);
	missing = wanted - w->nr;
	if (missing > wanted / 2 && missing >= SWAP_CLUSTER_MAX) {
		rcl_reclaim_ahead(m, gfp, missing);
		take_blocks(m, w, gfp, wanted);
	}
	while (w->nr < wanted) {
		struct folio *f = rcl_alloc_pages(m, gfp, 0);

		if (!f)
			break;
		w->f[w->nr++] = f;
	}
	sort_frames(w->f, w->nr);
}

struct folio *rcl_window_frame(struct rcl *m, struct window_frames *w, gfp_t gfp, u32 wanted)
{
	if (w->used == w->nr)
		fill(m, w, gfp, max(min(wanted, WINDOW_FRAMES_MAX), 1u));
	return w->used < w->nr ? w->f[w->used++] : NULL;
}

void rcl_window_frames_free(struct rcl *m, struct window_frames *w)
{
	while (w->used < w->nr)
		folio_put(m, w->f[w->used++]);
}
