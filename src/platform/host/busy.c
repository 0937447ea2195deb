/* SPDX-License-Identifier: MIT */
/*
 * The times that a disk is busy, as sums.
 *
 * A disk that tells of all its requests at once (probe.c) has no gaps between their ends to measure.
 * But it does one after the other, so what passes from the first start to the last end is a sum:
 *
 *   latency + requests * request_ns + further pages * page_ns      of reads, and of writes
 *
 * where a page takes less in a large request than in a small one: those beyond the first few have a
 * figure of their own. Each such time gives an equation, and the seven figures are those that leave the least off, in
 * parts of the time, with squares or without. Without: then it is the usual that counts, as with a
 * median, whatever else disturbs the disk now and then. They are found by least squares over and
 * over, each equation being weighed by how far off it was before. What comes out below zero is left
 * out. Of many equations a sample is kept, each with the same chance to be in it. The commonest by
 * far are of one page, and say what latency and request are together; what tells these apart are
 * the others. So each of the three kinds has a sample of its own, and the samples weigh the same.
 */
#include "platform/host/busy.h"

#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"

#define NR_FIGURES BUSY_NS
#define ROUNDS	   20u
#define NEAR	   0.02 /* as good as met: weighs no more */
#define SAME	   1e-6 /* of a figure's equations: what is left of those that say nothing of their own */

void rcl_host_busy_begins(struct busy *b, u64 now)
{
	memset(b->term, 0, sizeof(b->term));
	b->begun = now;
}

void rcl_host_busy_request(struct busy *b, u32 op, u32 nr_pages)
{
	b->term[BUSY_REQUESTS + op]++;
	b->term[BUSY_PAGES + op] += min(nr_pages, RCL_HOST_FEW_PAGES) - 1;
	b->term[BUSY_MANY + op] += nr_pages - min(nr_pages, RCL_HOST_FEW_PAGES);
}

static enum busy_kind kind_of(const u32 *t)
{
	u32 requests = t[BUSY_REQUESTS + RCL_IO_READ] + t[BUSY_REQUESTS + RCL_IO_WRITE];

	if (requests + t[BUSY_PAGES + RCL_IO_READ] + t[BUSY_PAGES + RCL_IO_WRITE] > 1)
		return BUSY_SEVERAL;
	return t[BUSY_REQUESTS + RCL_IO_READ] ? BUSY_READ : BUSY_WRITE;
}

void rcl_host_busy_ends(struct busy *b, u64 now)
{
	enum busy_kind kind = kind_of(b->term);
	u64 i = b->nr[kind]++;

	b->term[BUSY_LATENCY] = 1;
	b->term[BUSY_NS] = (u32)min(max(now - b->begun, (u64)1), (u64)UINT32_MAX);
	if (i >= BUSY_SAMPLES) {
		b->chance = b->chance * 6364136223846793005ull + 1442695040888963407ull;
		i = (b->chance >> 32) * b->nr[kind] >> 32;
	}
	if (i < BUSY_SAMPLES)
		memcpy(b->sample[kind][i], b->term, sizeof(b->term));
}

/* How far off, in parts of the time. */
static double off_by(const u32 *t, const double *x)
{
	double sum = 0;

	for (u32 i = 0; i < NR_FIGURES; i++)
		sum += t[i] * x[i];
	return sum / t[BUSY_NS] - 1;
}

/* The sums of least squares, of one kind; x: what was found before, or NULL. */
static void sum_up(const struct busy *b, enum busy_kind kind, const double *x,
		   double (*sum)[NR_BUSY])
{
	u64 nr = min(b->nr[kind], (u64)BUSY_SAMPLES);

	for (u64 k = 0; k < nr; k++) {
		const u32 *t = b->sample[kind][k];
		double weight = 1 / ((double)nr * t[BUSY_NS] * t[BUSY_NS]);

		if (x) {
			double off = off_by(t, x);

			weight /= max(off < 0 ? -off : off, NEAR);
		}
		for (u32 i = 0; i < NR_FIGURES; i++)
			for (u32 j = 0; j < NR_BUSY; j++)
				sum[i][j] += weight * t[i] * t[j];
	}
}

/* By elimination, the best told from the others first; 0: cannot be told, or is left out. */
static void solve(double (*a)[NR_BUSY], u32 leave_out, double *x)
{
	double whole[NR_FIGURES];
	u32 order[NR_FIGURES], nr = 0, done = leave_out;

	for (u32 i = 0; i < NR_FIGURES; i++) {
		x[i] = 0;
		whole[i] = a[i][i];
	}
	for (;;) {
		u32 best = NR_FIGURES;
		double left = SAME;

		for (u32 i = 0; i < NR_FIGURES; i++) {
			if (done & 1u << i || a[i][i] <= left * whole[i])
				continue;
			best = i;
			left = a[i][i] / whole[i];
		}
		if (best == NR_FIGURES)
			break;
		done |= 1u << best;
		order[nr++] = best;
		for (u32 i = 0; i < NR_FIGURES; i++) {
			double by = a[i][best] / a[best][best];

			for (u32 j = 0; j < NR_BUSY && !(done & 1u << i); j++)
				a[i][j] -= by * a[best][j];
		}
	}
	while (nr--) {
		u32 i = order[nr];
		double value = a[i][BUSY_NS];

		for (u32 j = 0; j < NR_FIGURES; j++)
			value -= j == i ? 0 : a[i][j] * x[j];
		x[i] = value / a[i][i];
	}
}

static int compare_u32(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return (x > y) - (x < y);
}

static void paces(const struct busy *b, const double *x, u32 *out)
{
	u32 nr = (u32)min(b->nr[BUSY_SEVERAL], (u64)BUSY_SAMPLES), percent[BUSY_SAMPLES];

	for (u32 k = 0; k < nr; k++)
		percent[k] =
			(u32)min(100 / max(1 + off_by(b->sample[BUSY_SEVERAL][k], x), 1e-4), 1e6);
	qsort(percent, nr, sizeof(*percent), compare_u32);
	for (u32 i = 0; i < RCL_HOST_PACES; i++)
		out[i] = nr ? percent[(2 * i + 1) * nr / (2 * RCL_HOST_PACES)] : 0;
}

void rcl_host_busy_figures(const struct busy *b, struct rcl_host_busy_figures *out)
{
	double x[NR_FIGURES], sum[NR_BUSY][NR_BUSY];
	u32 leave_out = 0, worst;

	do {
		for (u32 round = 0; round < ROUNDS; round++) {
			memset(sum, 0, sizeof(sum));
			for (u32 kind = 0; kind < NR_BUSY_KINDS; kind++)
				sum_up(b, kind, round ? x : NULL, sum);
			solve(sum, leave_out, x);
		}
		worst = 0;
		for (u32 i = 1; i < NR_FIGURES; i++)
			worst = x[i] < x[worst] ? i : worst;
		leave_out |= 1u << worst;
	} while (x[worst] < 0);
	paces(b, x, out->pace);
	out->times = b->nr[BUSY_SEVERAL];
	out->latency_ns = (u64)x[BUSY_LATENCY];
	for (u32 op = 0; op < 2; op++) {
		out->request_ns[op] = (u64)x[BUSY_REQUESTS + op];
		out->page_ns[op] = (u64)x[BUSY_PAGES + op];
		out->many_ns[op] = (u64)x[BUSY_MANY + op];
	}
}
