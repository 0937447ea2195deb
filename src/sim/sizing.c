/* SPDX-License-Identifier: MIT */
/*
 * The search for limits worth looking at.
 *
 * The slowdown of a program over its memory limit is 1 above what it uses, and rises as the limit
 * falls; mostly. Programs that write files may want more than they use, since what may be dirty is
 * a share of the limit. The curve may have cliffs (a loop over more than there is memory for),
 * plains, and small dents where less memory happens to do better. So nothing is interpolated: the
 * answer for an accepted slowdown is a pair of limits that were both run, a good and a bad one,
 * next to each other, and everything above the good one that was run was good as well. A dent below
 * the bad one does not count: who sets a limit wants it to hold with a little more memory too.
 *
 *   known so far                           next limits
 *   nothing                                five that cut the range from the top into fifths; or
 *                                          where a search under another setting has looked
 *   no bad limit                           two thirds of the smallest, until the floor
 *   no good limit                          half as much again as the largest, until the ceiling
 *   good and bad limit too far apart       the middle; two thirds points when all answers lie in
 *                                          one such gap, since then there are cores to spare
 *   answers exact, too few points to draw  the middle of the gaps over which the curve changes most
 *
 * What is asked for depends on what is known only, not on how many run at a time or in what order
 * they end: the same program gives the same curve on any machine.
 *
 * Limits are multiples of a power of two, at most 1/128 of the top: coarser than what is noise,
 * finer than what anybody would configure.
 */
#include "sim/sizing.h"

#include <math.h>
#include <string.h>

#define PAGE	     4096u
#define GRID	     5
#define EXACTNESS    128 /* parts of the top */
#define FLOOR_PARTS  64
#define FEWEST_DRAWN 18

static uint64_t round_down(const struct rcl_sizing *s, uint64_t bytes)
{
	return bytes / s->quantum * s->quantum;
}

void rcl_sizing_init(struct rcl_sizing *s, uint64_t need, uint64_t most, const double *accepted,
		     unsigned int nr_accepted, unsigned int max_points)
{
	memset(s, 0, sizeof(*s));
	s->quantum = PAGE;
	while (s->quantum * 2 <= need / EXACTNESS)
		s->quantum *= 2;
	s->top = need ? (need + s->quantum - 1) / s->quantum * s->quantum : s->quantum;
	s->floor = round_down(s, s->top / FLOOR_PARTS);
	if (!s->floor)
		s->floor = s->quantum;
	s->ceiling = round_down(s, most);
	if (s->ceiling < s->top)
		s->ceiling = s->top;
	if (nr_accepted > RCL_SIZING_ACCEPTED_MAX)
		nr_accepted = RCL_SIZING_ACCEPTED_MAX;
	memcpy(s->accepted, accepted, nr_accepted * sizeof(*accepted));
	s->nr_accepted = nr_accepted;
	s->max_points = max_points < RCL_SIZING_POINTS_MAX ? max_points : RCL_SIZING_POINTS_MAX;
	s->want_points = s->max_points < FEWEST_DRAWN ? s->max_points : FEWEST_DRAWN;
}

static void hint(struct rcl_sizing *s, uint64_t limit)
{
	if (s->nr_hints < sizeof(s->hints) / sizeof(s->hints[0]))
		s->hints[s->nr_hints++] = limit;
}

void rcl_sizing_init_near(struct rcl_sizing *s, const struct rcl_sizing *near,
			  unsigned int max_points)
{
	rcl_sizing_init(s, near->top, near->ceiling, near->accepted, near->nr_accepted, max_points);
	s->quantum = near->quantum; /* rounding the top up may have changed it */
	s->floor = near->floor;
	s->want_points = 0;
	/* Down to the first limit that is bad for everybody, and one more. */
	for (unsigned int i = 0, bad = 0; i < near->nr_points && bad < 2; i++) {
		hint(s, near->points[i].limit);
		bad += near->nr_accepted &&
		       !(near->points[i].slowdown <= near->accepted[near->nr_accepted - 1]);
	}
	if (near->nr_points && near->points[0].limit >= s->top)
		rcl_sizing_add(s, near->points[0].limit, near->points[0].slowdown);
}

void rcl_sizing_add(struct rcl_sizing *s, uint64_t limit, double slowdown)
{
	unsigned int i = 0;

	while (i < s->nr_points && s->points[i].limit > limit)
		i++;
	if (s->nr_points == RCL_SIZING_POINTS_MAX ||
	    (i < s->nr_points && s->points[i].limit == limit))
		return;
	memmove(&s->points[i + 1], &s->points[i], (s->nr_points - i) * sizeof(s->points[0]));
	s->points[i] = (struct rcl_sizing_point){limit, slowdown};
	s->nr_points++;
}

struct rcl_sizing_answer rcl_sizing_answer(const struct rcl_sizing *s, double accepted)
{
	struct rcl_sizing_answer a = {0};

	for (unsigned int i = 0; i < s->nr_points; i++) {
		if (!(s->points[i].slowdown <= accepted)) {
			a.has_bad = true;
			a.bad = s->points[i];
			break;
		}
		a.found = true;
		a.good = s->points[i];
	}
	return a;
}

/* ---- What next ----------------------------------------------------------------------------- */

struct batch {
	const struct rcl_sizing *s;
	uint64_t *limits;
	size_t nr, max;
};

static void want(struct batch *b, uint64_t limit)
{
	const struct rcl_sizing *s = b->s;

	if (b->nr == b->max || limit < s->floor || limit > s->ceiling)
		return;
	for (size_t i = 0; i < b->nr; i++)
		if (b->limits[i] == limit)
			return;
	for (unsigned int i = 0; i < s->nr_points; i++)
		if (s->points[i].limit == limit)
			return;
	b->limits[b->nr++] = limit;
}

static void want_first(struct batch *b)
{
	const struct rcl_sizing *s = b->s;

	for (unsigned int i = 0; i < s->nr_hints; i++)
		want(b, s->hints[i]);
	for (unsigned int i = GRID; i && !s->nr_hints; i--)
		want(b, round_down(s, s->top / GRID * i + s->top % GRID * i / GRID));
}

/* The gaps between good and bad limits that are still too wide; each once. */
static unsigned int wide_gaps(const struct rcl_sizing *s,
			      struct rcl_sizing_answer gaps[RCL_SIZING_ACCEPTED_MAX])
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < s->nr_accepted; i++) {
		struct rcl_sizing_answer a = rcl_sizing_answer(s, s->accepted[i]);
		bool known = false;

		if (!a.found || !a.has_bad || a.good.limit - a.bad.limit <= s->quantum)
			continue;
		for (unsigned int k = 0; k < nr; k++)
			known |= gaps[k].good.limit == a.good.limit;
		if (!known)
			gaps[nr++] = a;
	}
	return nr;
}

static void want_answers(struct batch *b)
{
	struct rcl_sizing_answer gaps[RCL_SIZING_ACCEPTED_MAX];
	const struct rcl_sizing *s = b->s;
	unsigned int nr = wide_gaps(s, gaps), parts = nr == 1 ? 3 : 2;

	for (unsigned int i = 0; i < nr; i++) {
		uint64_t width = gaps[i].good.limit - gaps[i].bad.limit;

		for (unsigned int k = 1; k < parts; k++) {
			uint64_t step = width / s->quantum * k / parts * s->quantum;

			if (step)
				want(b, gaps[i].bad.limit + step);
		}
	}
	/* Nothing bad yet for somebody: further down. */
	for (unsigned int i = 0; i < s->nr_accepted; i++) {
		struct rcl_sizing_answer a = rcl_sizing_answer(s, s->accepted[i]);

		if (a.found && !a.has_bad && a.good.limit > s->floor) {
			uint64_t next = round_down(s, a.good.limit / 3 * 2);

			want(b, next > s->floor ? next : s->floor);
			break;
		}
	}
	/* Nothing good yet for somebody: further up. */
	for (unsigned int i = 0; i < s->nr_accepted && s->nr_points; i++) {
		if (!rcl_sizing_answer(s, s->accepted[i]).found) {
			uint64_t next = round_down(s, s->points[0].limit / 2 * 3);

			want(b, next < s->ceiling ? next : s->ceiling);
			break;
		}
	}
}

/* How much there is to see between two neighbours: the change, in steps of what matters. */
static double interest(const struct rcl_sizing *s, unsigned int i)
{
	double most = 8, a = s->points[i].slowdown, b = s->points[i + 1].slowdown;
	double width = (double)(s->points[i].limit - s->points[i + 1].limit);

	if (width <= (double)s->quantum)
		return 0;
	for (unsigned int k = 0; k < s->nr_accepted; k++)
		most = fmax(most, 4 * s->accepted[k]);
	a = fmin(fmax(a, 1), most);
	b = fmin(fmax(b, 1), most);
	return fabs(log(b / a)) / log(most) + width / (double)s->top;
}

static void want_drawing(struct batch *b)
{
	const struct rcl_sizing *s = b->s;
	unsigned int best = 0;
	double most = 0;

	if (s->nr_points >= s->want_points)
		return;
	for (unsigned int i = 0; i + 1 < s->nr_points; i++) {
		double v = interest(s, i);

		if (v > most) {
			most = v;
			best = i;
		}
	}
	if (most > 0)
		want(b, round_down(s, (s->points[best].limit + s->points[best + 1].limit) / 2));
}

/* A curve that has been filled in where it changes most: the gaps go by halves, two at a time. */
static void want_second(struct batch *b)
{
	struct rcl_sizing guess;

	if (b->nr != 1 || b->s->nr_points + 1 >= b->s->want_points)
		return;
	/* As if the first had come out in the middle. */
	guess = *b->s;
	for (unsigned int i = 0; i + 1 < guess.nr_points; i++) {
		struct rcl_sizing_point *above = &guess.points[i], *below = above + 1;

		if (above->limit > b->limits[0] && below->limit < b->limits[0]) {
			double lower =
				isinf(below->slowdown) ? above->slowdown * 4 : below->slowdown;

			rcl_sizing_add(&guess, b->limits[0], sqrt(above->slowdown * lower));
			break;
		}
	}
	struct batch more = {.s = &guess, .limits = b->limits + 1, .max = 1};

	want_drawing(&more);
	b->nr += more.nr;
}

size_t rcl_sizing_next(const struct rcl_sizing *s, uint64_t limits[RCL_SIZING_BATCH])
{
	struct batch b = {.s = s, .limits = limits};

	if (s->nr_points >= s->max_points)
		return 0;
	b.max = s->max_points - s->nr_points;
	if (b.max > RCL_SIZING_BATCH)
		b.max = RCL_SIZING_BATCH;
	if (s->nr_hints || !s->nr_points)
		want_first(&b);
	if (!b.nr)
		want_answers(&b);
	if (!b.nr) {
		want_drawing(&b);
		want_second(&b);
	}
	return b.nr;
}

bool rcl_sizing_is_valid(const struct rcl_sizing *s)
{
	if (!s->quantum || s->top % s->quantum || s->floor % s->quantum || s->floor > s->top ||
	    s->ceiling < s->top || s->nr_points > RCL_SIZING_POINTS_MAX)
		return false;
	for (unsigned int i = 0; i < s->nr_points; i++)
		if ((i && s->points[i].limit >= s->points[i - 1].limit) ||
		    !(s->points[i].slowdown > 0))
			return false;
	return true;
}
