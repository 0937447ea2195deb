/* SPDX-License-Identifier: MIT */
/*
 * How long requests take, and what they cost.
 *
 * What a disk does is told by three times: how long the first request of a burst takes, how soon
 * after it the next ones end, and how much longer larger ones take. So of each request it is noted
 * whether any of its kind was under way when it started:
 *
 *   none      it is a first one: its time goes into a histogram, large ones into another
 *   some      if it had started when the one before it ended, the time since then is a gap
 *
 * Medians of the histograms are what a disk usually does, whatever else disturbs it now and then.
 * Gaps are averaged: completions that are handled together have gaps of nothing, and the sum is
 * right all the same.
 *
 * Of a disk that tells of all its requests at once no gap says anything; see busy.c for what does.
 *
 * What starting and ending requests costs the CPU is so much for each and so much for each of their
 * pages: the two that fit best.
 *
 * Field legend:  m measure.lock, innermost
 */
#define _GNU_SOURCE 1 /* CLOCK_THREAD_CPUTIME_ID */
#include "platform/host/measure.h"

#include <stdlib.h>
#include <time.h>

#include "platform/host/busy.h"
#include "platform/host/io.h"

#define STEPS	 8u /* buckets for each power of two */
#define BUCKETS	 (40u * STEPS)
#define LARGE	 8u /* pages */
#define FEW	 16u
#define PERCENTS 100u

struct times {
	u64 nr;
	u32 buckets[BUCKETS];
};

struct op_measure {
	u64 requests, pages; /* m */
	u32 under_way;	     /* m */
	u64 last_end;	     /* m */
	struct times all;    /* m */
	struct times one;    /* m: first ones, of one page */
	struct times large;  /* m: first ones, of LARGE pages or more */
	u64 large_pages;     /* m */
	u64 gaps, gap_pages; /* m */
	u64 gap_ns;	     /* m */
};

/* CPU time for so many requests with so many pages: sums for least squares, in parts of the time. */
struct work {
	u64 requests, ns;
	double rr, rp, pp, rn, pn;
};

struct host_measure {
	pthread_mutex_t lock;
	struct op_measure op[2];
	struct busy busy;	   /* m */
	struct work submits, ends; /* m */
};

/* ---- histograms ---------------------------------------------------------------------------- */

static void add(struct times *t, u64 ns)
{
	u32 power, bucket;

	ns |= STEPS;
	power = 63 - (u32)__builtin_clzll(ns);
	bucket = power * STEPS + (u32)(ns >> (power - 3) & (STEPS - 1));
	t->buckets[min(bucket, BUCKETS - 1)]++;
	t->nr++;
}

/* The time that so many percent took less than: the middle of its bucket. */
static u64 percentile(const struct times *t, u32 percent)
{
	u64 below = t->nr * percent / PERCENTS;
	u32 i = 0;

	for (; i < BUCKETS - 1 && below >= t->buckets[i]; i++)
		below -= t->buckets[i];
	return i < 3 * STEPS ? 0 : (2 * (u64)(STEPS + i % STEPS) + 1) << (i / STEPS) >> 4;
}

/* ---- noting -------------------------------------------------------------------------------- */

u64 rcl_host_measure_cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (u64)t.tv_sec * RCL_NSEC_PER_SEC + (u64)t.tv_nsec;
}

static bool idle(const struct host_measure *ms)
{
	return !ms->op[RCL_IO_READ].under_way && !ms->op[RCL_IO_WRITE].under_way;
}

void rcl_host_measure_start(struct host_io *io, struct host_request *list)
{
	struct host_measure *ms = io->measure;
	u64 now = host_now(io->h);

	pthread_mutex_lock(&ms->lock);
	if (idle(ms))
		rcl_host_busy_begins(&ms->busy, now);
	for (; list; list = list->next) {
		rcl_host_busy_request(&ms->busy, list->op, list->nr_pages);
		list->started_at = now;
		list->first = !ms->op[list->op].under_way++;
	}
	pthread_mutex_unlock(&ms->lock);
}

void rcl_host_measure_end(struct host_io *io, const struct host_request *r)
{
	struct host_measure *ms = io->measure;
	struct op_measure *op = &ms->op[r->op];
	u64 now = host_now(io->h), took = now - r->started_at;

	pthread_mutex_lock(&ms->lock);
	op->requests++;
	op->pages += r->nr_pages;
	add(&op->all, took);
	if (r->first && r->nr_pages == 1) {
		add(&op->one, took);
	} else if (r->first && r->nr_pages >= LARGE) {
		add(&op->large, took);
		op->large_pages += r->nr_pages;
	} else if (!r->first && r->started_at < op->last_end) {
		op->gaps++;
		op->gap_pages += r->nr_pages;
		op->gap_ns += now - op->last_end;
	}
	op->last_end = now;
	op->under_way--;
	if (idle(ms))
		rcl_host_busy_ends(&ms->busy, now);
	pthread_mutex_unlock(&ms->lock);
}

static void add_work(struct work *w, u32 requests, u32 pages, u64 ns)
{
	double weight = 1 / (double)max(ns, (u64)1), r = requests, p = pages;

	w->requests += requests;
	w->ns += ns;
	w->rr += weight * r * r;
	w->rp += weight * r * p;
	w->pp += weight * p * p;
	w->rn += r;
	w->pn += p;
}

void rcl_host_measure_submitted(struct host_io *io, u32 requests, u32 pages, u64 ns)
{
	struct host_measure *ms = io->measure;

	pthread_mutex_lock(&ms->lock);
	add_work(&ms->submits, requests, pages, ns);
	pthread_mutex_unlock(&ms->lock);
}

void rcl_host_measure_ended(struct host_io *io, u32 pages, u64 ns)
{
	struct host_measure *ms = io->measure;

	pthread_mutex_lock(&ms->lock);
	add_work(&ms->ends, 1, pages, ns);
	pthread_mutex_unlock(&ms->lock);
}

/* ---- what it comes to ---------------------------------------------------------------------- */

static u64 less(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

static void figures_of(const struct op_measure *op, struct rcl_host_op_figures *out)
{
	u64 one = op->one.nr >= FEW ? percentile(&op->one, 50) : 0;

	out->requests = op->requests;
	out->pages = op->pages;
	if (op->requests >= FEW)
		out->slow_ns = percentile(&op->all, 99);
	if (one && op->large.nr >= FEW)
		out->page_ns = less(percentile(&op->large, 50), one) /
			       max(op->large_pages / op->large.nr - 1, (u64)1);
	if (op->gaps >= FEW)
		out->request_ns = less(op->gap_ns, op->gap_pages * out->page_ns) / op->gaps;
	out->latency_ns = less(one, out->request_ns + out->page_ns);
}

/* If all had as many pages, or one comes out below zero: all of it is the requests'. */
static void figures_of_work(const struct work *w, u64 *request_ns, u64 *page_ns)
{
	double det = w->rr * w->pp - w->rp * w->rp, request, page;

	if (w->requests < FEW)
		return;
	*request_ns = w->ns / w->requests;
	if (det <= 1e-6 * w->rr * w->pp)
		return;
	request = (w->rn * w->pp - w->pn * w->rp) / det;
	page = (w->rr * w->pn - w->rp * w->rn) / det;
	if (request < 0 || page < 0)
		return;
	*request_ns = (u64)request;
	*page_ns = (u64)page;
}

void rcl_host_get_figures(struct rcl_host *h, struct rcl_host_figures *out)
{
	struct host_measure *ms = h->io->measure;

	*out = (struct rcl_host_figures){
		.depth = h->cfg.io_depth,
		.request_pages = HOST_WRITE_PAGES,
		.plug_pages = HOST_PLUG_PAGES,
	};
	if (!ms)
		return;
	pthread_mutex_lock(&ms->lock);
	for (u32 op = 0; op < ARRAY_SIZE(ms->op); op++)
		figures_of(&ms->op[op], &out->op[op]);
	rcl_host_busy_figures(&ms->busy, &out->busy);
	figures_of_work(&ms->submits, &out->submit_ns, &out->submit_page_ns);
	figures_of_work(&ms->ends, &out->end_ns, &out->end_page_ns);
	out->unmeasured = less(ms->op[RCL_IO_READ].requests + ms->op[RCL_IO_WRITE].requests,
			       ms->submits.requests);
	pthread_mutex_unlock(&ms->lock);
}

int rcl_host_measure_init(struct host_io *io)
{
	io->measure = calloc(1, sizeof(*io->measure));
	if (!io->measure)
		return -ENOMEM;
	pthread_mutex_init(&io->measure->lock, NULL);
	return 0;
}

void rcl_host_measure_exit(struct host_io *io)
{
	if (io->measure)
		pthread_mutex_destroy(&io->measure->lock);
	free(io->measure);
	io->measure = NULL;
}
