/* SPDX-License-Identifier: MIT */
/*
 * Which slot next: the search for free slots in one area (algorithm: Linux 6.1 mm/swapfile.c).
 *
 * Why it matters: pages evicted one after the other get neighbouring slots, so they are written in
 * one request, and readahead around a slot later brings back pages that left together.
 *
 * Two ways to get there:
 *
 *   with seek cost     The area is used from its start. A run of SWAPFILE_CLUSTER slots in a row is
 *                      handed out in order; when it is used up, the lowest wholly free run (not
 *                      aligned) is looked for. If there is none, the first free slot will do.
 *   without            The area is cut into aligned clusters. Each CPU takes a wholly free cluster
 *                      from a queue and hands it out in order; clusters that become free join the
 *                      queue's end. If none is left, the search starts where this CPU last was.
 *
 * A search proceeds from a position through four steps, which become functions below:
 *
 *   place     choose the first position by one of the two ways
 *   inspect   the position is free: take it. Busy: onward if nothing was taken yet, else enough.
 *             Held by the swap cache alone while swap is over half full: drop it from there, then
 *             look again
 *   advance   after taking one: the next of the run, or a short look ahead
 *   onward    free slot after the position, then from the lowest one up to where the search began
 *             (and including that, which 6.1 forgets when it could not look there first)
 *
 * The whole request shares a ration of LATENCY_LIMIT steps. When it ends after at least one slot
 * was taken, the search ends too: the next request goes on from there. No time is charged for the
 * search, so that nothing becomes due in it and it never polls.
 */
#include "mm/swap_internal.h"

struct scan {
	struct swap_area *a;
	u64 pos;	  /* the slot in question */
	u64 base;	  /* where the search began, and where its wrapped part ends */
	int ration;	  /* steps left */
	bool long_search; /* a ration was used up going onward */
};

enum verdict {
	TAKEN,
	ONWARD,
	AGAIN,
	ENOUGH,
	FULL
};

/* Clusters of a device without seek cost. */

static void free_list_add_tail(struct swap_area *a, u32 idx)
{
	struct swap_cluster *c = a->clusters + idx;

	c->free = true;
	c->next = CLUSTER_NULL;
	if (a->free_head == CLUSTER_NULL)
		a->free_head = idx;
	else
		a->clusters[a->free_tail].next = idx;
	a->free_tail = idx;
}

void rcl_swap_cluster_inc(struct swap_area *a, u64 offset)
{
	u32 idx = (u32)(offset / SWAPFILE_CLUSTER);
	struct swap_cluster *c;

	if (!a->clusters)
		return;
	c = a->clusters + idx;
	if (c->free) {
		RCL_ASSERT(a->free_head == idx);
		a->free_head = c->next;
		c->free = false;
		c->next = CLUSTER_NULL;
	}
	RCL_ASSERT(c->count < SWAPFILE_CLUSTER);
	c->count++;
}

void rcl_swap_cluster_dec(struct swap_area *a, u64 offset)
{
	u32 idx = (u32)(offset / SWAPFILE_CLUSTER);

	if (!a->clusters)
		return;
	RCL_ASSERT(a->clusters[idx].count);
	if (!--a->clusters[idx].count)
		free_list_add_tail(a, idx);
}

static struct swap_cpu_cluster *this_cpu_cluster(struct swap_area *a)
{
	return a->percpu + rcl_this_cpu(a->m)->id;
}

/* Next free slot of this CPU's cluster, or of a new one. False: no cluster is wholly free. */
static bool place_in_cluster(struct scan *s)
{
	struct swap_area *a = s->a;
	struct swap_cpu_cluster *pc = this_cpu_cluster(a);

	for (;;) {
		u64 pos, end;

		if (pc->index == CLUSTER_NULL) {
			if (a->free_head == CLUSTER_NULL)
				return false;
			pc->index = a->free_head;
			pc->next = (u64)pc->index * SWAPFILE_CLUSTER;
		}
		end = min(a->max, (u64)(pc->index + 1) * SWAPFILE_CLUSTER);
		for (pos = pc->next; pos < end && a->map[pos]; pos++)
			;
		if (pos < end) {
			pc->next = pos + 1;
			s->pos = s->base = pos;
			return true;
		}
		pc->index = CLUSTER_NULL;
	}
}

/* Does the position lie in a free cluster that is not the next of the queue? */
static bool cluster_conflict(struct scan *s)
{
	struct swap_area *a = s->a;
	u32 idx = (u32)(s->pos / SWAPFILE_CLUSTER);

	if (a->free_head == CLUSTER_NULL || a->free_head == idx || !a->clusters[idx].free)
		return false;
	this_cpu_cluster(a)->index = CLUSTER_NULL;
	return true;
}

/* Runs of a device with seek cost. */

static void place_in_run(struct scan *s)
{
	struct swap_area *a = s->a;
	u64 last;

	s->pos = s->base = a->cluster_next;
	if (a->cluster_nr--)
		return;
	a->cluster_nr = SWAPFILE_CLUSTER - 1;
	if (a->pages - a->inuse < SWAPFILE_CLUSTER)
		return;
	s->pos = s->base = a->lowest_bit;
	last = s->pos + SWAPFILE_CLUSTER - 1;
	for (u64 pos = s->pos; last <= a->highest_bit; pos++) {
		if (a->map[pos]) {
			last = pos + SWAPFILE_CLUSTER;
		} else if (pos == last) {
			s->pos = a->cluster_next = pos - (SWAPFILE_CLUSTER - 1);
			return;
		}
		if (--s->ration < 0)
			s->ration = LATENCY_LIMIT;
	}
}

/* The steps both have in common. */

static enum verdict inspect(struct scan *s, bool have_some)
{
	struct swap_area *a = s->a;
	u16 word;

	if (a->clusters) {
		while (cluster_conflict(s)) {
			if (have_some)
				return ENOUGH;
			if (!place_in_cluster(s))
				return ONWARD;
		}
	}
	if (!a->highest_bit)
		return FULL;
	if (s->pos > a->highest_bit)
		s->base = s->pos = a->lowest_bit;
	word = a->map[s->pos];
	if (word == SWAP_HAS_CACHE && rcl_vm_swap_full(a->m)) {
		bool freed;

		spin_unlock(&a->lock);
		freed = rcl_swap_try_to_reclaim(a->m, swp_entry(a->type, s->pos), true);
		spin_lock(&a->lock);
		return freed ? AGAIN : ONWARD;
	}
	if (word)
		return have_some ? ENOUGH : ONWARD;
	swap_map_set(a, s->pos, SWAP_HAS_CACHE);
	rcl_swap_cluster_inc(a, s->pos);
	rcl_swap_range_alloc(a, s->pos);
	return TAKEN;
}

static bool worth_inspecting(struct swap_area *a, u64 pos)
{
	return !a->map[pos] || (a->map[pos] == SWAP_HAS_CACHE && rcl_vm_swap_full(a->m));
}

static void spend(struct scan *s)
{
	if (--s->ration < 0) {
		s->ration = LATENCY_LIMIT;
		s->long_search = true;
	}
}

static bool onward(struct scan *s)
{
	struct swap_area *a = s->a;

	while (++s->pos <= a->highest_bit) {
		spend(s);
		if (worth_inspecting(a, s->pos))
			return true;
	}
	for (s->pos = a->lowest_bit; s->pos <= min(s->base, a->max - 1); s->pos++) {
		spend(s);
		if (worth_inspecting(a, s->pos))
			return true;
	}
	return false;
}

static bool advance(struct scan *s)
{
	struct swap_area *a = s->a;
	u64 limit;

	if (--s->ration < 0)
		return false;
	if (a->clusters) {
		if (place_in_cluster(s))
			return true;
	} else if (a->cluster_nr && !a->map[++s->pos]) {
		a->cluster_nr--;
		return true;
	}
	if (s->long_search)
		return false;
	limit = s->pos < s->base ? min(s->base, a->max - 1) : a->highest_bit;
	for (; s->pos <= limit && --s->ration > 0; s->pos++)
		if (!a->map[s->pos])
			return true;
	return false;
}

/*
 * Where the next request starts. Without seek cost a CPU that leaves one 64 MiB tree for another
 * jumps to a random one, so that CPUs spread over the trees' locks.
 */
static void remember(struct scan *s)
{
	struct swap_area *a = s->a;
	struct swap_cpu_cluster *pc;
	u64 next = s->pos + 1;

	if (!(a->flags & SWAP_SOLIDSTATE)) {
		a->cluster_next = next;
		return;
	}
	pc = this_cpu_cluster(a);
	if (pc->scan_start >> SWAP_ADDRESS_SPACE_SHIFT != next >> SWAP_ADDRESS_SPACE_SHIFT) {
		struct platform *p = a->m->plat;

		if (a->highest_bit <= a->lowest_bit)
			return;
		next = a->lowest_bit + p->ops->random(p) % (a->highest_bit - a->lowest_bit + 1);
		next &= ~(SWAP_ADDRESS_SPACE_PAGES - 1);
		next = max(next, a->lowest_bit);
	}
	pc->scan_start = next;
}

u32 rcl_swap_scan(struct swap_area *a, u32 goal, swp_entry_t *out)
{
	struct scan s = {.a = a, .ration = LATENCY_LIMIT};
	bool candidate = true;
	u32 n = 0;

	RCL_DEBUG_ASSERT(spin_is_held(&a->lock));
	if (a->clusters) {
		s.pos = s.base = this_cpu_cluster(a)->scan_start;
		candidate = place_in_cluster(&s) || onward(&s);
	} else {
		place_in_run(&s);
	}
	while (candidate) {
		switch (inspect(&s, n)) {
		case TAKEN:
			out[n++] = swp_entry(a->type, s.pos);
			if (n < goal && s.pos < a->highest_bit && advance(&s))
				break;
			/* fallthrough */
		case ENOUGH:
			remember(&s);
			return n;
		case ONWARD:
			candidate = onward(&s);
			break;
		case AGAIN:
			break;
		case FULL:
			return n;
		}
	}
	return n;
}

int rcl_swap_scan_init(struct swap_area *a)
{
	struct platform *p = a->m->plat;
	/* The queue starts with clusters far apart, so that CPUs do not share trees or lines. */
	const u32 columns = SWAP_ADDRESS_SPACE_PAGES / SWAPFILE_CLUSTER;

	a->lowest_bit = 1;
	a->highest_bit = a->max - 1;
	a->cluster_next = 1;
	if (!(a->flags & SWAP_SOLIDSTATE))
		return 0;
	a->nr_clusters = (u32)((a->max + SWAPFILE_CLUSTER - 1) / SWAPFILE_CLUSTER);
	a->clusters = p->ops->reserve(p, a->nr_clusters * sizeof(*a->clusters));
	a->percpu = p->ops->reserve(p, a->m->nr_cpus * sizeof(*a->percpu));
	if (!a->clusters || !a->percpu)
		return -ENOMEM;
	for (u32 cpu = 0; cpu < a->m->nr_cpus; cpu++) {
		a->percpu[cpu].index = CLUSTER_NULL;
		a->percpu[cpu].scan_start = 1 + p->ops->random(p) % a->highest_bit;
	}
	a->free_head = a->free_tail = CLUSTER_NULL;
	/* The header and the slots past the end count as used: their clusters are never free. */
	a->clusters[0].count = 1;
	a->clusters[a->nr_clusters - 1].count +=
		(u16)((u64)a->nr_clusters * SWAPFILE_CLUSTER - a->max);
	for (u32 column = 0; column < columns; column++)
		for (u32 idx = column; idx < a->nr_clusters; idx += columns)
			if (!a->clusters[idx].count)
				free_list_add_tail(a, idx);
	return 0;
}

void rcl_swap_scan_exit(struct swap_area *a)
{
	struct platform *p = a->m->plat;

	if (a->clusters)
		p->ops->release(p, a->clusters, a->nr_clusters * sizeof(*a->clusters));
	if (a->percpu)
		p->ops->release(p, a->percpu, a->m->nr_cpus * sizeof(*a->percpu));
}

bool rcl_swap_clusters_valid(struct swap_area *a)
{
	u32 empty = 0, queued = 0, last = CLUSTER_NULL;

	if (!a->clusters)
		return true;
	for (u32 i = 0; i < a->nr_clusters; i++) {
		u32 used = 0;

		for (u32 k = 0; k < SWAPFILE_CLUSTER; k++) {
			u64 off = (u64)i * SWAPFILE_CLUSTER + k;

			used += off >= a->max || a->map[off];
		}
		if (used != a->clusters[i].count || a->clusters[i].free != !used)
			return false;
		empty += !used;
	}
	for (u32 i = a->free_head; i != CLUSTER_NULL; i = a->clusters[i].next) {
		if (!a->clusters[i].free || ++queued > empty)
			return false;
		last = i;
	}
	return queued == empty && (!queued || last == a->free_tail);
}
