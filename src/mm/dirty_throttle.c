/* SPDX-License-Identifier: MIT */
/*
 * How much may be dirty, and how writers are slowed down to stay there.
 *
 * Dirty pages cannot be reclaimed until they are written, so only a part of the memory that could
 * hold them may be dirty. For the machine that memory is free pages and file pages, less reserves;
 * for a group it is its file pages and what it may still grow by: its headroom, but no more than
 * clean memory exists elsewhere. Of it, vm.dirty_ratio is the limit and vm.dirty_background_ratio
 * the level down to which flushers work.
 *
 *     0 ........ background ........ freerun ........ setpoint ........ limit
 *                                 (bg + limit)/2   (freerun + limit)/2
 *
 *   dirty <= freerun    nobody is slowed. Both domains, machine and group, must be here
 *   freerun .. limit    flushers run; each writer sleeps so that together they dirty as fast as the
 *                       device writes: a little faster below the setpoint, slower above it
 *   >= limit            writers sleep until it is lower
 *
 * A writer looks only once in nr_dirtied_pause pages: in freerun about the square root of the
 * distance to the limit, else what it may dirty in one pause. So the price of a dirtied page is a
 * comparison. Three figures set a pause:
 *
 *   dirty_ratelimit  what one writer may dirty in a second if all is in balance: measured as write
 *                    bandwidth / number of writers, without counting them: if all were told rate r
 *                    and together dirtied d while the device wrote w, the balanced rate is r * w /
 * d pos_ratio        how far to deviate: 2 at freerun, 1 at the setpoint, 0 at the limit on a cubic
 *                    (flat in the middle, steep at the ends), then scaled by how this wb stands to
 *                    its own share of the limit
 *   pause            pages dirtied / (dirty_ratelimit * pos_ratio), less the time since the last
 *                    pause; kept within bounds, short debts are carried over to the next one
 *
 * A wb's share of a limit is its share of recent completions: of two counters, its own and the
 * domain's, that both fade by half in each period of three seconds (struct fprop).
 *
 * Bandwidth is estimated at most each 200 ms, and once more 200 ms after the last page of a file is
 * written. The reference does the latter from a timer; nothing but the estimate changes then, so
 * here it is made up for, with the same time stamp, before the next change of its inputs.
 *
 * The "strict limit" mode of network filesystems, and real-time tasks' extra room, are left out.
 *
 * Locking: estimates under wb->list_lock, a domain's limit under its lock. All other reads are of
 * single words and may be a little old; nothing here must be exact.
 */
#include "mm/trace.h"
#include "mm/wb_internal.h"

/* One domain's situation, as balance_dirty_pages sees it in one round. Pages. */
struct dirty_throttle_control {
	struct wb_domain *dom;
	struct dirty_throttle_control *gdtc; /* of a group: the machine's */
	struct wb *wb;
	struct fprop *wb_completions;
	u64 avail, dirty, thresh, bg_thresh;
	u64 wb_dirty, wb_thresh, wb_bg_thresh;
	u64 pos_ratio;
};

static u64 sub_floor(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

static u64 div_round_up(u64 a, u64 b)
{
	return (a + b - 1) / b;
}

static u64 roundup_pow_of_two(u64 v)
{
	return v < 2 ? 1 : 2ull << wb_ilog2(v - 1);
}

/* Fading counters ------------------------------------------------------------------------------ */

bool rcl_fprop_new_period(struct fprop *global, u64 periods)
{
	s64 events = shared_read(&global->events);

	if (events <= 1)
		return false;
	if (periods < 64)
		events -= events >> periods;
	__atomic_sub_fetch(&global->events, events, __ATOMIC_RELAXED);
	__atomic_add_fetch(&global->period, periods, __ATOMIC_RELEASE);
	return true;
}

/* Make up for the periods that began since the local counter was last used. */
static void fprop_reflect(struct fprop *global, struct fprop *local)
{
	u64 period = __atomic_load_n(&global->period, __ATOMIC_ACQUIRE);
	u64 was = __atomic_load_n(&local->period, __ATOMIC_RELAXED);
	s64 events;

	if (likely(was == period) ||
	    !__atomic_compare_exchange_n(&local->period, &was, period, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return;
	events = shared_read(&local->events);
	if (period - was < 64)
		events -= events >> (period - was);
	__atomic_sub_fetch(&local->events, events, __ATOMIC_RELAXED);
}

void rcl_fprop_add(struct fprop *global, struct fprop *local, s64 nr, bool threaded)
{
	fprop_reflect(global, local);
	shared_add(&local->events, nr, threaded);
	shared_add(&global->events, nr, threaded);
}

void rcl_fprop_fraction(struct fprop *global, struct fprop *local, u64 *num, u64 *den)
{
	s64 n, d;

	fprop_reflect(global, local);
	n = max(shared_read(&local->events), (s64)0);
	d = max(shared_read(&global->events), (s64)0);
	if (d <= n)
		d = n ? n : 1;
	*num = (u64)n;
	*den = (u64)d;
}

/* Domains -------------------------------------------------------------------------------------- */

static u64 period_ns(void)
{
	return 3 * RCL_NSEC_PER_SEC;
}

void rcl_wb_domain_init(struct rcl *m, struct wb_domain *dom)
{
	memset(dom, 0, sizeof(*dom));
	spin_init(&dom->lock, m->threaded);
	dom->period_end_ns = RCL_FOREVER;
	dom->dirty_limit_tstamp = wb_jiffies(m);
}

static void domain_age(struct rcl *m, struct wb_domain *dom)
{
	u64 end = __atomic_load_n(&dom->period_end_ns, __ATOMIC_RELAXED), now = rcl_now(m), missed;

	if (likely(now < end))
		return;
	spin_lock(&dom->lock);
	end = dom->period_end_ns;
	if (now >= end) {
		missed = (now - end) / period_ns();
		end = rcl_fprop_new_period(&dom->completions, missed + 1)
			      ? end + (missed + 1) * period_ns()
			      : RCL_FOREVER;
		__atomic_store_n(&dom->period_end_ns, end, __ATOMIC_RELAXED);
	}
	spin_unlock(&dom->lock);
}

static void domain_writeout_add(struct rcl *m, struct wb_domain *dom, struct fprop *local, s64 nr)
{
	domain_age(m, dom);
	rcl_fprop_add(&dom->completions, local, nr, m->threaded);
	if (unlikely(__atomic_load_n(&dom->period_end_ns, __ATOMIC_RELAXED) == RCL_FOREVER))
		__atomic_store_n(&dom->period_end_ns, rcl_now(m) + period_ns(), __ATOMIC_RELAXED);
}

void rcl_wb_writeout_add(struct wb *wb, s64 nr)
{
	struct rcl *m = wb->bdi->m;
	struct wb_domain *dom = wb->domain;

	wb_stat_add(wb, WB_WRITTEN, nr);
	domain_writeout_add(m, &m->wb->global, &wb->completions, nr);
	if (dom)
		domain_writeout_add(m, dom, &wb->memcg_completions, nr);
}

/* Limits --------------------------------------------------------------------------------------- */

static u64 node_dirtyable(struct node *nd)
{
	u64 pages = 0;

	for_each_zone (z, nd)
		pages += (u64)zone_page_state(z, NR_FREE_PAGES);
	pages = sub_floor(pages, hint_read(&nd->totalreserve_pages));
	return pages + (u64)node_page_state(nd, NR_INACTIVE_FILE) +
	       (u64)node_page_state(nd, NR_ACTIVE_FILE);
}

static u64 global_node_state(struct rcl *m, enum node_stat_item item)
{
	u64 sum = 0;

	for (u32 n = 0; n < m->nr_nodes; n++)
		sum += (u64)node_page_state(&m->nodes[n], item);
	return sum;
}

u64 rcl_global_dirtyable_memory(struct rcl *m)
{
	u64 pages = 0, reserve = 0;

	for (u32 n = 0; n < m->nr_nodes; n++) {
		reserve += hint_read(&m->nodes[n].totalreserve_pages);
		for_each_zone (z, &m->nodes[n])
			pages += (u64)zone_page_state(z, NR_FREE_PAGES);
	}
	return sub_floor(pages, reserve) + global_node_state(m, NR_INACTIVE_FILE) +
	       global_node_state(m, NR_ACTIVE_FILE) + 1;
}

static void domain_dirty_limits(struct rcl *m, struct dirty_throttle_control *dtc)
{
	u64 bytes = (u64)m->tun.dirty_bytes, bg_bytes = (u64)m->tun.dirty_background_bytes;
	u64 ratio = (u64)m->tun.dirty_ratio * PAGE_SIZE / 100; /* of PAGE_SIZE */
	u64 bg_ratio = (u64)m->tun.dirty_background_ratio * PAGE_SIZE / 100;

	if (dtc->gdtc) {
		/* A figure meant for the machine: the group gets the same share of its own. */
		if (bytes)
			ratio = min(div_round_up(bytes, dtc->gdtc->avail), PAGE_SIZE);
		if (bg_bytes)
			bg_ratio = min(div_round_up(bg_bytes, dtc->gdtc->avail), PAGE_SIZE);
		bytes = bg_bytes = 0;
	}
	dtc->thresh = bytes ? div_round_up(bytes, PAGE_SIZE) : ratio * dtc->avail / PAGE_SIZE;
	dtc->bg_thresh =
		bg_bytes ? div_round_up(bg_bytes, PAGE_SIZE) : bg_ratio * dtc->avail / PAGE_SIZE;
	dtc->thresh = min(dtc->thresh, (u64)UINT32_MAX);
	if (dtc->bg_thresh >= dtc->thresh)
		dtc->bg_thresh = dtc->thresh / 2;
}

void rcl_global_dirty_limits(struct rcl *m, u64 *background, u64 *dirty)
{
	struct dirty_throttle_control gdtc = {.avail = rcl_global_dirtyable_memory(m)};

	domain_dirty_limits(m, &gdtc);
	*background = gdtc.bg_thresh;
	*dirty = gdtc.thresh;
}

bool rcl_node_dirty_ok(struct node *nd)
{
	struct rcl *m = nd->m;
	u64 limit;

	if (m->tun.dirty_bytes)
		limit = div_round_up((u64)m->tun.dirty_bytes, PAGE_SIZE) * node_dirtyable(nd) /
			rcl_global_dirtyable_memory(m);
	else
		limit = (u64)m->tun.dirty_ratio * node_dirtyable(nd) / 100;
	limit = min(limit, (u64)UINT32_MAX);
	return (u64)node_page_state(nd, NR_FILE_DIRTY) + (u64)node_page_state(nd, NR_WRITEBACK) <=
	       limit;
}

void rcl_writeback_set_ratelimit(struct rcl *m)
{
	u64 background, dirty;

	rcl_global_dirty_limits(m, &background, &dirty);
	hint_set(&m->wb->global.dirty_limit, dirty);
	hint_set(&m->wb->ratelimit_pages, max(dirty / (m->nr_cpus * 32), (u64)16));
}

void rcl_writeback_tunables_changed(struct rcl *m)
{
	if (m->wb)
		rcl_writeback_set_ratelimit(m);
}

static u64 memcg_state(struct rcl *m, struct memcg *memcg, enum node_stat_item item)
{
	s64 sum = 0;

	for (u32 n = 0; n < m->nr_nodes; n++)
		sum += rcl_lruvec_page_state(memcg->lruvecs[n], item);
	return sum < 0 ? 0 : (u64)sum;
}

/* What the group and those above it may still be charged. */
static u64 memcg_headroom(struct memcg *memcg)
{
	u64 room = INT64_MAX / PAGE_SIZE;

	for (; memcg->parent; memcg = memcg->parent)
		room = min(room, sub_floor(hint_read(&memcg->max),
					   (u64)max(shared_read(&memcg->usage), (s64)0)));
	return room;
}

static void global_domain(struct rcl *m, struct wb *wb, struct dirty_throttle_control *gdtc)
{
	*gdtc = (struct dirty_throttle_control){
		.dom = &m->wb->global,
		.wb = wb,
		.wb_completions = &wb->completions,
		.avail = rcl_global_dirtyable_memory(m),
		.dirty = global_node_state(m, NR_FILE_DIRTY),
	};
	domain_dirty_limits(m, gdtc);
}

/* The group's; gdtc->dirty counts what the caller looks at (with or without writeback). */
static void memcg_domain(struct rcl *m, struct wb *wb, struct dirty_throttle_control *gdtc,
			 bool with_writeback, struct dirty_throttle_control *mdtc)
{
	struct memcg *memcg = wb->memcg;
	u64 filepages =
		memcg_state(m, memcg, NR_INACTIVE_FILE) + memcg_state(m, memcg, NR_ACTIVE_FILE);
	u64 clean, other_clean;

	*mdtc = (struct dirty_throttle_control){
		.dom = wb->domain,
		.gdtc = gdtc,
		.wb = wb,
		.wb_completions = &wb->memcg_completions,
		.dirty = memcg_state(m, memcg, NR_FILE_DIRTY),
	};
	if (with_writeback)
		mdtc->dirty += memcg_state(m, memcg, NR_WRITEBACK);
	clean = sub_floor(filepages, mdtc->dirty);
	other_clean = sub_floor(sub_floor(gdtc->avail, gdtc->dirty), clean);
	mdtc->avail = filepages + min(memcg_headroom(memcg), other_clean);
	domain_dirty_limits(m, mdtc);
}

static u64 freerun_ceiling(const struct dirty_throttle_control *dtc)
{
	return (dtc->thresh + dtc->bg_thresh) / 2;
}

static u64 wb_freerun_ceiling(const struct dirty_throttle_control *dtc)
{
	return (dtc->wb_thresh + dtc->wb_bg_thresh) / 2;
}

/* The limit never lies below what is dirty: it follows a falling threshold slowly. */
static u64 hard_limit(const struct dirty_throttle_control *dtc)
{
	return max(dtc->thresh, __atomic_load_n(&dtc->dom->dirty_limit, __ATOMIC_RELAXED));
}

/* The wb's share of a threshold, by its share of the domain's recent completions. */
static u64 wb_share(struct rcl *m, struct wb_domain *dom, struct fprop *local, u64 thresh)
{
	u64 num, den;

	domain_age(m, dom);
	rcl_fprop_fraction(&dom->completions, local, &num, &den);
	return thresh * num / den;
}

static void wb_dirty_limits(struct rcl *m, struct dirty_throttle_control *dtc)
{
	dtc->wb_thresh = wb_share(m, dtc->dom, dtc->wb_completions, dtc->thresh);
	dtc->wb_bg_thresh = dtc->thresh ? dtc->wb_thresh * dtc->bg_thresh / dtc->thresh : 0;
	dtc->wb_dirty = (u64)wb_stat(dtc->wb, WB_RECLAIMABLE) + (u64)wb_stat(dtc->wb, WB_WRITEBACK);
}

bool rcl_wb_over_bg_thresh(struct wb *wb)
{
	struct rcl *m = wb->bdi->m;
	struct dirty_throttle_control gdtc, mdtc;
	u64 reclaimable = (u64)wb_stat(wb, WB_RECLAIMABLE);

	global_domain(m, wb, &gdtc);
	if (gdtc.dirty > gdtc.bg_thresh ||
	    reclaimable > wb_share(m, &m->wb->global, &wb->completions, gdtc.bg_thresh))
		return true;
	if (!wb->domain)
		return false;
	memcg_domain(m, wb, &gdtc, false, &mdtc);
	return mdtc.dirty > mdtc.bg_thresh ||
	       reclaimable > wb_share(m, &m->wb->global, &wb->completions, mdtc.bg_thresh);
}

/* Position ------------------------------------------------------------------------------------- */

/* 1 + ((setpoint - dirty) / (limit - setpoint))^3, within 0 .. 2; fixed point. */
s64 rcl_pos_ratio_polynom(u64 setpoint, u64 dirty, u64 limit)
{
	s64 x = (((s64)setpoint - (s64)dirty) * (1 << RATELIMIT_CALC_SHIFT)) /
		(s64)((limit - setpoint) | 1);
	s64 ratio = x;

	ratio = ratio * x >> RATELIMIT_CALC_SHIFT;
	ratio = ratio * x >> RATELIMIT_CALC_SHIFT;
	ratio += 1 << RATELIMIT_CALC_SHIFT;
	return ratio < 0 ? 0 : min(ratio, (s64)2 << RATELIMIT_CALC_SHIFT);
}

static void wb_position_ratio(struct dirty_throttle_control *dtc)
{
	u64 write_bw = __atomic_load_n(&dtc->wb->avg_write_bandwidth, __ATOMIC_RELAXED);
	u64 limit = hard_limit(dtc), setpoint = (freerun_ceiling(dtc) + limit) / 2;
	u64 wb_thresh, wb_setpoint, span, intercept, share;
	u64 ratio;

	dtc->pos_ratio = 0;
	if (dtc->dirty >= limit)
		return;
	ratio = (u64)rcl_pos_ratio_polynom(setpoint, dtc->dirty, limit);

	/*
	 * The wb's own line falls from its setpoint (the domain's, scaled to its share) to zero
	 * over a span of eight seconds of bandwidth, or over its threshold when it is one of
	 * several; it is cut off at a quarter. A wb with no history gets a fair part of what is
	 * left.
	 */
	wb_thresh = max(min(dtc->wb_thresh, dtc->thresh), (limit - dtc->dirty) / 8);
	share = (wb_thresh << 16) / (dtc->thresh | 1);
	wb_setpoint = setpoint * share >> 16;
	span = (dtc->thresh - wb_thresh + 8 * write_bw) * share >> 16;
	intercept = wb_setpoint + span;
	if (dtc->wb_dirty < intercept - span / 4)
		ratio = ratio * (intercept - dtc->wb_dirty) / ((intercept - wb_setpoint) | 1);
	else
		ratio /= 4;

	/* Too little dirty to keep the device busy: let the pool fill. */
	intercept = wb_thresh / 2;
	if (dtc->wb_dirty < intercept)
		ratio = dtc->wb_dirty > intercept / 8 ? ratio * intercept / dtc->wb_dirty
						      : ratio * 8;
	dtc->pos_ratio = ratio;
}

/* Bandwidth and rate --------------------------------------------------------------------------- */

void rcl_wb_bandwidth_init(struct rcl *m, struct wb *wb)
{
	wb->bw_update_ns = RCL_FOREVER;
	wb->bw_time_stamp = wb_jiffies(m);
	wb->write_bandwidth = wb->avg_write_bandwidth = INIT_BW;
	wb->dirty_ratelimit = wb->balanced_dirty_ratelimit = INIT_BW;
}

static void update_write_bandwidth(struct rcl *m, struct wb *wb, u64 elapsed, u64 written)
{
	u64 hz = (u64)m->tun.hz, period = roundup_pow_of_two(3 * hz);
	u64 avg = wb->avg_write_bandwidth, old = wb->write_bandwidth;
	u64 bw = sub_floor(written, wb->written_stamp) * hz;

	if (elapsed > period) {
		bw /= elapsed;
		avg = bw;
	} else {
		bw = (bw + old * (period - elapsed)) >> wb_ilog2(period);
		/* Follow only a trend that goes on: both the last two estimates lie on one side. */
		if (avg > old && old >= bw)
			avg -= (avg - old) >> 3;
		if (avg < old && old <= bw)
			avg += (old - avg) >> 3;
	}
	avg = max(avg, (u64)1);
	if (wb_test(wb, WB_HAS_DIRTY_IO))
		shared_add(&wb->bdi->tot_write_bandwidth, (s64)(avg - wb->avg_write_bandwidth),
			   m->threaded);
	wb->write_bandwidth = bw;
	__atomic_store_n(&wb->avg_write_bandwidth, avg, __ATOMIC_RELAXED);
}

static void update_dirty_limit(struct rcl *m, struct dirty_throttle_control *dtc, u64 now)
{
	struct wb_domain *dom = dtc->dom;
	u64 target, limit;

	spin_lock(&dom->lock);
	if (now >= dom->dirty_limit_tstamp + wb_bandwidth_interval(m)) {
		target = max(dtc->thresh, dtc->dirty);
		limit = hint_read(&dom->dirty_limit);
		if (limit < dtc->thresh)
			limit = dtc->thresh;
		else if (limit > target)
			limit -= (limit - target) >> 5;
		__atomic_store_n(&dom->dirty_limit, limit, __ATOMIC_RELAXED);
		dom->dirty_limit_tstamp = now;
	}
	spin_unlock(&dom->lock);
}

static void update_dirty_ratelimit(struct rcl *m, struct dirty_throttle_control *dtc, u64 dirtied,
				   u64 elapsed)
{
	struct wb *wb = dtc->wb;
	u64 setpoint = (freerun_ceiling(dtc) + hard_limit(dtc)) / 2;
	u64 write_bw = wb->avg_write_bandwidth, rate = wb->dirty_ratelimit;
	u64 dirty_rate = (dirtied - wb->dirtied_stamp) * (u64)m->tun.hz / elapsed;
	u64 task_rate = (rate * dtc->pos_ratio >> RATELIMIT_CALC_SHIFT) + 1;
	u64 balanced = min(task_rate * write_bw / (dirty_rate | 1), write_bw);
	u64 bound, step = 0, shift;

	/* Move only where position and rate agree, and no further than the nearer of the two. */
	if (dtc->dirty < setpoint) {
		bound = min(min(wb->balanced_dirty_ratelimit, balanced), task_rate);
		if (rate < bound)
			step = bound - rate;
	} else {
		bound = max(max(wb->balanced_dirty_ratelimit, balanced), task_rate);
		if (rate > bound)
			step = rate - bound;
	}
	/* The target trembles: the nearer it is, the slower. */
	shift = rate / (2 * step + 1);
	step = shift < 64 ? div_round_up(step >> shift, 8) : 0;
	rate = rate < balanced ? rate + step : rate - step;
	__atomic_store_n(&wb->dirty_ratelimit, max(rate, (u64)1), __ATOMIC_RELAXED);
	wb->balanced_dirty_ratelimit = balanced;
}

static void update_bandwidth_at(struct wb *wb, u64 now, struct dirty_throttle_control *gdtc,
				struct dirty_throttle_control *mdtc)
{
	struct rcl *m = wb->bdi->m;
	u64 elapsed, dirtied, written;

	spin_lock(&wb->list_lock);
	elapsed = max(sub_floor(now, wb->bw_time_stamp), (u64)1);
	dirtied = (u64)wb_stat(wb, WB_DIRTIED);
	written = (u64)wb_stat(wb, WB_WRITTEN);
	if (gdtc) {
		update_dirty_limit(m, gdtc, now);
		update_dirty_ratelimit(m, gdtc, dirtied, elapsed);
	}
	if (mdtc) {
		update_dirty_limit(m, mdtc, now);
		update_dirty_ratelimit(m, mdtc, dirtied, elapsed);
	}
	update_write_bandwidth(m, wb, elapsed, written);
	wb->dirtied_stamp = dirtied;
	wb->written_stamp = written;
	__atomic_store_n(&wb->bw_time_stamp, max(now, wb->bw_time_stamp), __ATOMIC_RELAXED);
	spin_unlock(&wb->list_lock);
}

void rcl_wb_bandwidth_due(struct wb *wb)
{
	u64 due = __atomic_exchange_n(&wb->bw_update_ns, RCL_FOREVER, __ATOMIC_RELAXED);

	if (due != RCL_FOREVER)
		update_bandwidth_at(wb, wb_ns_to_jiffies(wb->bdi->m, due), NULL, NULL);
}

static bool bandwidth_is_old(struct rcl *m, struct wb *wb, u64 interval)
{
	return wb_jiffies(m) > __atomic_load_n(&wb->bw_time_stamp, __ATOMIC_RELAXED) + interval;
}

void rcl_wb_update_bandwidth(struct wb *wb)
{
	struct rcl *m = wb->bdi->m;

	rcl_wb_settle_bandwidth(wb);
	if (bandwidth_is_old(m, wb, wb_bandwidth_interval(m)))
		update_bandwidth_at(wb, wb_jiffies(m), NULL, NULL);
}

/* After an idle second what happened before says nothing: measure from now. */
void rcl_wb_bandwidth_estimate_start(struct wb *wb)
{
	struct rcl *m = wb->bdi->m;

	rcl_wb_settle_bandwidth(wb);
	if (!bandwidth_is_old(m, wb, (u64)m->tun.hz) ||
	    __atomic_load_n(&wb->writeback_files, __ATOMIC_RELAXED))
		return;
	spin_lock(&wb->list_lock);
	wb->dirtied_stamp = (u64)wb_stat(wb, WB_DIRTIED);
	wb->written_stamp = (u64)wb_stat(wb, WB_WRITTEN);
	__atomic_store_n(&wb->bw_time_stamp, wb_jiffies(m), __ATOMIC_RELAXED);
	spin_unlock(&wb->list_lock);
}

/* Pauses --------------------------------------------------------------------------------------- */

u64 rcl_dirty_poll_interval(u64 dirty, u64 thresh)
{
	return thresh > dirty ? 1ull << (wb_ilog2(thresh - dirty) >> 1) : 1;
}

/* No longer than an eighth of the time in which the device would run out of dirty pages. */
static s64 wb_max_pause(struct rcl *m, struct wb *wb, u64 wb_dirty)
{
	u64 hz = (u64)m->tun.hz, bw = __atomic_load_n(&wb->avg_write_bandwidth, __ATOMIC_RELAXED);
	u64 t = wb_dirty / (1 + bw / roundup_pow_of_two(1 + hz / 8)) + 1;

	return (s64)min(t, max(hz / 5, (u64)1));
}

static s64 wb_min_pause(struct rcl *m, struct wb *wb, s64 max_pause, u64 task_ratelimit,
			u64 dirty_ratelimit, u32 *nr_dirtied_pause)
{
	s64 hz = m->tun.hz, hz2 = (s64)roundup_pow_of_two((u64)hz);
	s64 hi = wb_ilog2(__atomic_load_n(&wb->avg_write_bandwidth, __ATOMIC_RELAXED));
	s64 lo = wb_ilog2(__atomic_load_n(&wb->dirty_ratelimit, __ATOMIC_RELAXED));
	s64 t = max((s64)1, hz / 100), pause, pages;

	/* 10 ms for one writer; longer, and so rarer, the more there are. */
	if (hi > lo)
		t += (hi - lo) * (10 * hz) / 1024;
	/* Aim at half the longest pause, so that small changes of rate need no cut. */
	t = min(t, 1 + max_pause / 2);
	pages = (s64)dirty_ratelimit * t / hz2;
	/* Interrupting a writer more often than every 32 pages hurts mixed reads and writes. */
	if (pages < DIRTY_POLL_THRESH) {
		t = max_pause;
		pages = (s64)dirty_ratelimit * t / hz2;
		if (pages > DIRTY_POLL_THRESH) {
			pages = DIRTY_POLL_THRESH;
			t = hz * DIRTY_POLL_THRESH / (s64)dirty_ratelimit;
		}
	}
	pause = hz * pages / (s64)(task_ratelimit + 1);
	if (pause > max_pause) {
		t = max_pause;
		pages = (s64)task_ratelimit * t / hz2;
	}
	*nr_dirtied_pause = (u32)pages;
	return pages >= DIRTY_POLL_THRESH ? 1 + t / 2 : t;
}

static void sleep_jiffies(struct rcl *m, s64 jiffies)
{
	u64 until = rcl_now(m) + rcl_jiffies_to_ns(m, (u64)jiffies), now;
	struct task *t = rcl_current(m);
	u32 word = 0;

	while ((now = rcl_now(m)) < until && !fatal_signal_pending(t))
		rcl_wait_on(m, &word, 0, until - now, true);
}

/*
 * With real threads the pages that are too many may be held back from the disk by pins, and whoever
 * waits may be the one to unpin them. So if a pause goes by in which the device wrote nothing, and
 * has nothing under way, the wait is over, and for a while others do not even begin.
 */
#define IDLE_NS (RCL_NSEC_PER_SEC / 5)

static s64 bdi_stat(struct bdi *bdi, enum wb_stat item)
{
	s64 sum = 0;

	for (u32 i = 0; i < __atomic_load_n(&bdi->nr_wbs, __ATOMIC_ACQUIRE); i++)
		sum += wb_stat(bdi->wbs[i], item);
	return sum;
}

static bool is_known_idle(struct rcl *m, struct bdi *bdi)
{
	return unlikely(m->threaded) && rcl_now(m) < hint_read(&bdi->idle_until_ns) &&
	       !bdi_stat(bdi, WB_WRITEBACK) &&
	       bdi_stat(bdi, WB_WRITTEN) == hint_read(&bdi->idle_written);
}

/* A pause is over, before which so many pages had been written. */
static bool was_idle(struct rcl *m, struct bdi *bdi, s64 written)
{
	if (likely(!m->threaded) || bdi_stat(bdi, WB_WRITEBACK) ||
	    bdi_stat(bdi, WB_WRITTEN) != written)
		return false;
	hint_set(&bdi->idle_written, written);
	hint_set(&bdi->idle_until_ns, rcl_now(m) + IDLE_NS);
	return true;
}

static void start_background(struct wb *wb)
{
	if (!wb_test(wb, WB_WRITEBACK_RUNNING))
		rcl_wb_wakeup(wb);
}

static bool in_freerun(const struct dirty_throttle_control *dtc)
{
	return dtc->dirty <= freerun_ceiling(dtc);
}

static void free_running(struct task *t, u64 now, const struct dirty_throttle_control *gdtc,
			 const struct dirty_throttle_control *mdtc)
{
	u64 interval = rcl_dirty_poll_interval(gdtc->dirty, gdtc->thresh);

	if (mdtc)
		interval = min(interval, rcl_dirty_poll_interval(mdtc->dirty, mdtc->thresh));
	t->dirty_paused_when = now;
	t->nr_dirtied = 0;
	t->nr_dirtied_pause = (u32)interval;
}

/* Fill in the wb's side and the position; false: a task that must not wait for itself is exempt. */
static bool judge(struct rcl *m, struct task *t, struct dirty_throttle_control *dtc, bool *exceeded)
{
	wb_dirty_limits(m, dtc);
	if (t->flags & PF_LOCAL_THROTTLE && dtc->wb_dirty < wb_freerun_ceiling(dtc))
		return false;
	*exceeded |= dtc->wb_dirty > dtc->wb_thresh && dtc->dirty > dtc->thresh;
	wb_position_ratio(dtc);
	return true;
}

/* A pause too short to be worth a switch is remembered instead. */
static void skip_pause(struct rcl *m, struct task *t, u64 now, s64 pause, u64 period, u64 dirtied)
{
	if (pause < -m->tun.hz) { /* a light writer: forget its credit */
		t->dirty_paused_when = now;
		t->nr_dirtied = 0;
	} else if (period) {
		t->dirty_paused_when += period;
		t->nr_dirtied = 0;
	} else if (t->nr_dirtied_pause <= dirtied) {
		t->nr_dirtied_pause += (u32)dirtied;
	}
}

static void note_exceeded(struct wb *wb, bool exceeded)
{
	if (exceeded != __atomic_exchange_n(&wb->dirty_exceeded, exceeded, __ATOMIC_RELAXED))
		__atomic_add_fetch(&wb->bdi->m->wb->nr_exceeded, exceeded ? 1 : -1,
				   __ATOMIC_RELAXED);
}

static void balance_dirty_pages(struct rcl *m, struct wb *wb, u64 pages_dirtied)
{
	struct dirty_throttle_control gdtc, mdtc_, *mdtc, *sdtc;
	struct task *t = rcl_current(m);

	for (;;) {
		u64 now = wb_jiffies(m), nr_dirty, dirty_ratelimit, task_ratelimit, period;
		s64 pause, max_pause, min_pause, written;
		u32 nr_dirtied_pause;
		bool exceeded = false;

		rcl_wb_settle_bandwidth(wb);
		global_domain(m, wb, &gdtc);
		nr_dirty = gdtc.dirty;
		gdtc.dirty += global_node_state(m, NR_WRITEBACK);
		mdtc = wb->domain ? &mdtc_ : NULL;
		if (mdtc)
			memcg_domain(m, wb, &gdtc, true, mdtc);
		if (!m->tun.laptop_mode && nr_dirty > gdtc.bg_thresh)
			start_background(wb);
		if (in_freerun(&gdtc) && (!mdtc || in_freerun(mdtc))) {
			free_running(t, now, &gdtc, mdtc);
			return;
		}
		start_background(wb);
		if (is_known_idle(m, wb->bdi)) {
			free_running(t, now, &gdtc, mdtc);
			t->nr_dirtied_pause = max(t->nr_dirtied_pause, (u32)DIRTY_POLL_THRESH);
			return;
		}

		if (!judge(m, t, &gdtc, &exceeded) || (mdtc && !judge(m, t, mdtc, &exceeded))) {
			free_running(t, now, &gdtc, mdtc);
			return;
		}
		sdtc = mdtc && mdtc->pos_ratio < gdtc.pos_ratio ? mdtc : &gdtc;
		note_exceeded(wb, exceeded);
		if (bandwidth_is_old(m, wb, wb_bandwidth_interval(m)))
			update_bandwidth_at(wb, now, &gdtc, mdtc);

		dirty_ratelimit = __atomic_load_n(&wb->dirty_ratelimit, __ATOMIC_RELAXED);
		task_ratelimit = dirty_ratelimit * sdtc->pos_ratio >> RATELIMIT_CALC_SHIFT;
		max_pause = wb_max_pause(m, wb, sdtc->wb_dirty);
		min_pause = wb_min_pause(m, wb, max_pause, task_ratelimit, dirty_ratelimit,
					 &nr_dirtied_pause);
		pause = max_pause;
		if (task_ratelimit) {
			period = (u64)m->tun.hz * pages_dirtied / task_ratelimit;
			pause = (s64)period;
			if (t->dirty_paused_when)
				pause -= (s64)(now - t->dirty_paused_when);
			if (pause < min_pause) {
				skip_pause(m, t, now, pause, period, pages_dirtied);
				return;
			}
			if (pause > max_pause) {
				now += (u64)min(pause - max_pause, max_pause);
				pause = max_pause;
			}
		}
		RCL_TRACE(balance_dirty_pages, wb->bdi->dev, pages_dirtied, task_ratelimit, pause);
		written = unlikely(m->threaded) ? bdi_stat(wb->bdi, WB_WRITTEN) : 0;
		sleep_jiffies(m, pause);
		t->dirty_paused_when = now + (u64)pause;
		t->nr_dirtied = 0;
		t->nr_dirtied_pause = nr_dirtied_pause;
		/* Below the limit one pause pays for it; at the limit, wait on, but not forever on
		 * a device that has nothing to write. */
		if (task_ratelimit || sdtc->wb_dirty <= wb_stat_error(m) ||
		    fatal_signal_pending(t) || was_idle(m, wb->bdi, written))
			return;
	}
}

/* Up to `most` of what tasks that ended have left. Others may take and leave at the same time. */
static u32 take_leaks(struct wb_cpu *cpu, u32 most)
{
	u32 leaks = __atomic_load_n(&cpu->leaks, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(&cpu->leaks, &leaks, leaks - min(leaks, most), true,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return min(leaks, most);
}

/* Something is due: this task's check, its CPU's, or closer watch since a limit is exceeded. */
static __attribute__((noinline)) void balance_slow(struct rcl *m, struct bdi *bdi, struct task *t,
						   struct wb_cpu *cpu)
{
	/* Judged as the writer's own group, whosever file it is. */
	struct wb *wb = rcl_wb_of(m, bdi, t->memcg);
	u32 ratelimit = t->nr_dirtied_pause;

	if (__atomic_load_n(&wb->dirty_exceeded, __ATOMIC_RELAXED))
		ratelimit = min(ratelimit, 32u >> (PAGE_SHIFT - 10));
	/* Many tasks that each stay below their own number still add up on a CPU. */
	if (t->nr_dirtied >= ratelimit) {
		__atomic_store_n(&cpu->dirtied, 0, __ATOMIC_RELAXED);
	} else if (__atomic_load_n(&cpu->dirtied, __ATOMIC_RELAXED) >=
		   hint_read(&m->wb->ratelimit_pages)) {
		__atomic_store_n(&cpu->dirtied, 0, __ATOMIC_RELAXED);
		ratelimit = 0;
	}
	if (__atomic_load_n(&cpu->leaks, __ATOMIC_RELAXED) && t->nr_dirtied < ratelimit)
		t->nr_dirtied += take_leaks(cpu, ratelimit - t->nr_dirtied);
	if (t->nr_dirtied >= ratelimit)
		balance_dirty_pages(m, wb, t->nr_dirtied);
}

void rcl_balance_dirty_pages(struct rcl *m, struct mapping *mapping)
{
	struct wb_state *ws = m->wb;
	struct bdi *bdi = wb_bdi(ws, mapping->bdi);
	struct wb_cpu *cpu = &ws->cpus[rcl_this_cpu(m)->id];
	struct task *t = rcl_current(m);

	if (likely(t->nr_dirtied < t->nr_dirtied_pause &&
		   __atomic_load_n(&cpu->dirtied, __ATOMIC_RELAXED) <
			   hint_read(&ws->ratelimit_pages) &&
		   !__atomic_load_n(&cpu->leaks, __ATOMIC_RELAXED) &&
		   !__atomic_load_n(&ws->nr_exceeded, __ATOMIC_RELAXED)))
		return;
	if (likely(bdi))
		balance_slow(m, bdi, t, cpu);
}

void rcl_writeback_task_exit(struct rcl *m, struct task *t)
{
	if (m->wb && t->nr_dirtied)
		__atomic_fetch_add(&m->wb->cpus[rcl_this_cpu(m)->id].leaks, t->nr_dirtied,
				   __ATOMIC_RELAXED);
	t->nr_dirtied = 0;
}
