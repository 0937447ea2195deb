/* SPDX-License-Identifier: MIT */
/*
 * The allocator's slow path: no zone is above its low watermark (behaviour: Linux 6.1
 * mm/page_alloc.c).
 *
 * A round goes through these steps, each followed by another look at the zones:
 *
 *   1  wake kswapd of every node on the list; try down to the min watermark, and below it as far as
 *      the request's flags reach (rcl_watermark_ok() has the shares)
 *   2  large orders: compaction, since memory may well be free but in pieces
 *   retry:
 *   3  wake kswapd again, lest it sleeps while somebody waits for it; who is reclaiming
 *      (PF_MEMALLOC) or dying (PF_OOM_VICTIM) may use the reserves; try
 *   4  give up here if the request must not wait, or is made by reclaim itself
 *   5  reclaim; if that freed something and there is still nothing for us, drain the CPUs' lists
 *      and look again
 *   6  compaction
 *   7  give up: __GFP_NORETRY; large orders, unless they asked to retry
 *   8  retry while it can help: the reclaimable pages would lift some zone above min, and no more
 *      than 16 rounds in a row freed nothing (large orders: no more than 16 rounds; where pages are
 *      pinned, a round counts as several)
 *   9  kill somebody; retry if that freed or will free something
 *
 * Who gives up gets NULL and, unless __GFP_NOWARN, leaves a report. With __GFP_NOFAIL giving up is
 * another round, with half of the min watermark open to it.
 *
 * Locking: none held; the steps wait. Where progress rests on others freeing memory (after a kill,
 * and in the rounds of __GFP_NOFAIL) a tick passes, as the reference's other CPUs would make use
 * of.
 *
 * Compaction does not exist yet: direct_compact() is its place and always skips.
 */
#include "mm/oom.h"
#include "mm/page_alloc_internal.h"
#include "mm/psi.h"
#include "mm/trace.h"
#include "mm/vmscan.h"

#include <stdio.h>

/* Failures of one node are reported at most this often. */
#define REPORT_INTERVAL_NS (10 * RCL_NSEC_PER_SEC)

enum compact_result {
	COMPACT_SKIPPED
};

static void sleep_a_tick(struct rcl *m)
{
	u32 nobody_wakes = 0;

	rcl_wait_on(m, &nobody_wakes, 0, rcl_jiffies_to_ns(m, 1), false);
}

static void wake_all_kswapds(const struct alloc_context *ac, gfp_t gfp, u32 order)
{
	struct node *last = NULL;

	for_each_zone_of(z, ac)
	{
		if (last != z->node)
			rcl_wakeup_kswapd(z, gfp, order, (int)ac->highest_zoneidx);
		last = z->node;
	}
}

/* The flags by which a request tries hard: no more than min, and what its gfp opens below it. */
static u32 gfp_to_alloc_flags(gfp_t gfp, u32 order)
{
	u32 flags = ALLOC_WMARK_MIN | (gfp & (__GFP_HIGH | __GFP_KSWAPD_RECLAIM));

	if (!(gfp & (__GFP_DIRECT_RECLAIM | __GFP_NOMEMALLOC))) {
		flags |= ALLOC_NON_BLOCK;
		if (order && flags & ALLOC_MIN_RESERVE)
			flags |= ALLOC_HIGHATOMIC;
	}
	return flags;
}

/* Who makes memory free may use what is kept for that. 0: ordinary request. */
static u32 reserve_flags_of(const struct task *t, gfp_t gfp)
{
	u32 pf = __atomic_load_n(&t->flags, __ATOMIC_RELAXED);

	if (gfp & __GFP_NOMEMALLOC)
		return 0;
	if (gfp & __GFP_MEMALLOC || pf & PF_MEMALLOC)
		return ALLOC_NO_WATERMARKS;
	return pf & PF_OOM_VICTIM ? ALLOC_OOM : 0;
}

static bool is_oom_victim(const struct task *t)
{
	return __atomic_load_n(&t->flags, __ATOMIC_RELAXED) & PF_OOM_VICTIM;
}

/*
 * Make a block by moving what is in its way. Not implemented: as if compaction found nothing
 * suitable in any zone. When it comes, it runs with PF_MEMALLOC and as a memory stall, and returns
 * the block that it captured.
 */
static struct folio *direct_compact(const struct alloc_context *ac, gfp_t gfp, u32 order,
				    u32 alloc_flags, enum compact_result *result)
{
	(void)ac, (void)gfp, (void)order, (void)alloc_flags;
	*result = COMPACT_SKIPPED;
	return NULL;
}

static u64 perform_reclaim(const struct alloc_context *ac, gfp_t gfp, u32 order)
{
	struct rcl *m = ac->m;
	struct task *t = rcl_current(m);
	u64 progress;

	RCL_DEBUG_ASSERT(!(t->flags & PF_MEMALLOC));
	rcl_poll(m);
	/* Whatever reclaim allocates must not reclaim again, and must not fail for lack of it. */
	__atomic_fetch_or(&t->flags, PF_MEMALLOC, __ATOMIC_RELAXED);
	progress = rcl_try_to_free_pages(m, ac->zonelist, order, gfp);
	__atomic_fetch_and(&t->flags, ~(u32)PF_MEMALLOC, __ATOMIC_RELAXED);
	rcl_poll(m);
	return progress;
}

static struct folio *direct_reclaim(const struct alloc_context *ac, gfp_t gfp, u32 order,
				    u32 alloc_flags, u64 *progress)
{
	struct rcl *m = ac->m;
	bool stall = rcl_psi_memstall_enter(m);
	struct folio *f = NULL;

	*progress = perform_reclaim(ac, gfp, order);
	if (*progress) {
		f = rcl_get_page_from_freelist(ac, gfp, order, alloc_flags);
		if (!f) {
			/* What was freed may sit on some CPU's list, or in the atomic reserve. */
			rcl_unreserve_highatomic(ac, false);
			rcl_drain_all_pages(m);
			f = rcl_get_page_from_freelist(ac, gfp, order, alloc_flags);
		}
	}
	rcl_psi_memstall_leave(m, stall);
	return f;
}

/* If everything reclaimable were free, would the request succeed in some zone? */
static bool reclaim_could_suffice(const struct alloc_context *ac, u32 order, u32 alloc_flags)
{
	for_each_zone_of(z, ac)
	{
		s64 available =
			(s64)rcl_zone_reclaimable_pages(z) + zone_page_state(z, NR_FREE_PAGES);

		if (rcl_watermark_ok(z, order, wmark_pages(z, WMARK_MIN), ac->highest_zoneidx,
				     alloc_flags, available))
			return true;
	}
	return false;
}

static bool should_reclaim_retry(const struct alloc_context *ac, u32 order, u32 alloc_flags,
				 bool progress, u32 *no_progress_loops)
{
	bool retry = false;

	/* Freed pages need not make a large block: there, progress does not count. */
	if (progress && order <= PAGE_ALLOC_COSTLY_ORDER)
		*no_progress_loops = 0;
	else
		*no_progress_loops += 1 + rcl_current(ac->m)->futile_rounds;
	if (*no_progress_loops <= MAX_RECLAIM_RETRIES) {
		retry = reclaim_could_suffice(ac, order, alloc_flags);
		rcl_poll(ac->m);
	}
	return retry || rcl_unreserve_highatomic(ac, true);
}

/*
 * Reclaim frees pages but no block of this order comes together. Without compaction to tell how far
 * it got, go on while single pages are there.
 */
static bool should_compact_retry(const struct alloc_context *ac, u32 order, u32 alloc_flags)
{
	if (!order || order > PAGE_ALLOC_COSTLY_ORDER)
		return false;
	for_each_zone_of(z, ac)
	{
		if (rcl_zone_watermark_ok(z, 0, wmark_pages(z, WMARK_MIN), (int)ac->highest_zoneidx,
					  alloc_flags))
			return true;
	}
	return false;
}

/*
 * Pins ended the rounds before others had the time for what they do meanwhile. What that might have
 * set free is kswapd's boost (it is not worth a refusal) and what sits on the CPUs' lists.
 */
static void turn_out_pockets(const struct alloc_context *ac)
{
	for_each_zone_of(z, ac)
	{
		spin_lock(&z->lock);
		set_watermark_boost(z, 0);
		spin_unlock(&z->lock);
	}
	rcl_drain_all_pages(ac->m);
}

/* Would killing somebody be right, and would it help this request? */
static bool oom_kill_helps(const struct alloc_context *ac, gfp_t gfp, u32 order)
{
	/* It frees pages, not blocks; not on a given node; and not low memory in particular. */
	return order <= PAGE_ALLOC_COSTLY_ORDER &&
	       !(gfp & (__GFP_RETRY_MAYFAIL | __GFP_THISNODE)) &&
	       ac->highest_zoneidx >= ZONE_NORMAL;
}

/* Step 9. again: it was not enough the last time. */
static struct folio *alloc_may_oom(const struct alloc_context *ac, gfp_t gfp, u32 order, bool again,
				   u64 *progress)
{
	struct rcl *m = ac->m;
	struct oom_control oc = {.gfp = gfp, .order = (int)order};
	struct folio *f;

	*progress = 0;
	if (!rcl_oom_trylock(m)) {
		/* Somebody is killing already. */
		*progress = 1;
		sleep_a_tick(m);
		return NULL;
	}
	/* Against a kill that ended just now: the high mark says that there is memory again. */
	f = rcl_get_page_from_freelist(ac, gfp & ~__GFP_DIRECT_RECLAIM, order, ALLOC_WMARK_HIGH);
	if (!f && oom_kill_helps(ac, gfp, order) &&
	    (rcl_out_of_memory(m, &oc) || gfp & __GFP_NOFAIL)) {
		*progress = 1;
		if (gfp & __GFP_NOFAIL)
			f = rcl_get_page_from_freelist(ac, gfp, order, ALLOC_NO_WATERMARKS);
	}
	rcl_oom_unlock(m);
	/* Let the victim, and time, get on. */
	if (!f && *progress && again)
		sleep_a_tick(m);
	return f;
}

static u64 pages_to_kb(u64 pages)
{
	return pages << (PAGE_SHIFT - 10);
}

static void report_zone(const struct zone *z)
{
	fprintf(stderr,
		"Node %u %s free:%llukB boost:%llukB min:%llukB low:%llukB high:%llukB "
		"managed:%llukB blocks:",
		z->node->id, z->name,
		(unsigned long long)pages_to_kb((u64)zone_page_state(z, NR_FREE_PAGES)),
		(unsigned long long)pages_to_kb(watermark_boost(z)),
		(unsigned long long)pages_to_kb(wmark_pages(z, WMARK_MIN)),
		(unsigned long long)pages_to_kb(wmark_pages(z, WMARK_LOW)),
		(unsigned long long)pages_to_kb(wmark_pages(z, WMARK_HIGH)),
		(unsigned long long)pages_to_kb(z->managed_pages));
	for (u32 o = 0; o < MAX_ORDER; o++)
		fprintf(stderr, " %llu", (unsigned long long)hint_read(&z->free_area[o].nr_free));
	fputc('\n', stderr);
}

static void report_failure(const struct alloc_context *ac, gfp_t gfp, u32 order)
{
	struct zone *first = preferred_zone(ac);
	struct node *nd = first ? first->node : ac->m->nodes;
	u64 now = rcl_now(ac->m);

	if (ac->m->quiet || gfp & __GFP_NOWARN ||
	    now < __atomic_load_n(&nd->alloc_report_at, __ATOMIC_RELAXED))
		return;
	/* A machine without a DMA zone cannot serve __GFP_DMA, and everybody knows. */
	if (gfp & __GFP_DMA && !first)
		return;
	__atomic_store_n(&nd->alloc_report_at, now + REPORT_INTERVAL_NS, __ATOMIC_RELAXED);

	fprintf(stderr, "%s: page allocation failure: order:%u, mode:%#x\n",
		rcl_current(ac->m)->name, order, gfp);
	for (u32 n = 0; n < ac->m->nr_nodes; n++)
		for_each_zone (z, ac->m->nodes + n)
			if (managed_zone(z))
				report_zone(z);
}

/* Steps 1 and 2. *give_up: it makes no sense to go on. */
static struct folio *first_attempts(const struct alloc_context *ac, gfp_t gfp, u32 order,
				    u32 alloc_flags, bool *give_up)
{
	bool costly = order > PAGE_ALLOC_COSTLY_ORDER;
	enum compact_result result;
	struct folio *f;

	*give_up = false;
	if (alloc_flags & ALLOC_KSWAPD)
		wake_all_kswapds(ac, gfp, order);
	f = rcl_get_page_from_freelist(ac, gfp, order, alloc_flags);
	if (f)
		return f;
	/* Small movable blocks come by themselves; and who may use the reserves has not tried yet.
	 */
	if (!(gfp & __GFP_DIRECT_RECLAIM) || !(gfp & __GFP_IO) ||
	    !(costly || (order && ac->migratetype != MIGRATE_MOVABLE)) ||
	    reserve_flags_of(rcl_current(ac->m), gfp))
		return NULL;
	f = direct_compact(ac, gfp, order, alloc_flags, &result);
	if (!f && costly && gfp & __GFP_NORETRY)
		*give_up = result == COMPACT_SKIPPED;
	return f;
}

/* What rounds of attempts leave to each other. */
struct attempt {
	u32 alloc_flags;
	u32 no_progress_loops; /* rounds in a row that freed nothing */
	u32 kills;	       /* times we came to step 9 */
	bool turned_out;       /* pockets, see there */
};

/* Steps 3 to 9, again and again. NULL: it is time to give up. */
static struct folio *attempt_rounds(const struct alloc_context *ac, gfp_t gfp, u32 order,
				    struct attempt *a)
{
	struct task *t = rcl_current(ac->m);
	bool costly = order > PAGE_ALLOC_COSTLY_ORDER, can_compact = gfp & __GFP_IO;

	for (;;) {
		u32 reserve_flags = reserve_flags_of(t, gfp);
		enum compact_result result;
		struct folio *f;
		u64 progress;

		if (a->alloc_flags & ALLOC_KSWAPD)
			wake_all_kswapds(ac, gfp, order);
		if (reserve_flags)
			a->alloc_flags = reserve_flags | (a->alloc_flags & ALLOC_KSWAPD);
		f = rcl_get_page_from_freelist(ac, gfp, order, a->alloc_flags);
		if (f)
			return f;

		if (!(gfp & __GFP_DIRECT_RECLAIM) || t->flags & PF_MEMALLOC)
			return NULL;
		f = direct_reclaim(ac, gfp, order, a->alloc_flags, &progress);
		if (f)
			return f;
		f = direct_compact(ac, gfp, order, a->alloc_flags, &result);
		if (f)
			return f;

		if (gfp & __GFP_NORETRY)
			return NULL;
		if (costly && !(can_compact && gfp & __GFP_RETRY_MAYFAIL))
			return NULL;
		if (should_reclaim_retry(ac, order, a->alloc_flags, progress,
					 &a->no_progress_loops))
			continue;
		if (progress && can_compact && should_compact_retry(ac, order, a->alloc_flags))
			continue;

		if (unlikely(t->futile_rounds) && !a->turned_out) {
			turn_out_pockets(ac);
			a->turned_out = true;
			continue;
		}
		f = alloc_may_oom(ac, gfp, order, a->kills++, &progress);
		if (f)
			return f;
		/* A victim that got nothing out of the reserves must die, not wait. */
		if (is_oom_victim(t) && (a->alloc_flags & ALLOC_OOM || gfp & __GFP_NOMEMALLOC))
			return NULL;
		if (!progress)
			return NULL;
		a->no_progress_loops = 0;
	}
}

struct folio *rcl_alloc_pages_slow(struct alloc_context *ac, gfp_t gfp, u32 order)
{
	struct attempt a = {0};
	struct folio *f = NULL;
	bool give_up = true;

	/* Atomic and able to wait is a contradiction: no extra reserves for who can wait. */
	if (gfp & __GFP_DIRECT_RECLAIM)
		gfp &= ~__GFP_ATOMIC;
	a.alloc_flags = gfp_to_alloc_flags(gfp, order);
	RCL_TRACE(mm_page_alloc_slow, order, gfp);

	if (preferred_zone(ac))
		f = first_attempts(ac, gfp, order, a.alloc_flags, &give_up);
	for (;;) {
		if (!f && !give_up)
			f = attempt_rounds(ac, gfp, order, &a);
		if (f)
			return f;
		if (!(gfp & __GFP_NOFAIL) || !(gfp & __GFP_DIRECT_RECLAIM))
			break;
		/* Some of the reserves, not all: others need them to make progress for us. */
		f = rcl_get_page_from_freelist(ac, gfp, order, ALLOC_MIN_RESERVE);
		if (!f)
			sleep_a_tick(ac->m);
		give_up = false;
	}
	report_failure(ac, gfp, order);
	return NULL;
}
