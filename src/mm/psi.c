/* SPDX-License-Identifier: MIT */
/*
 * Pressure stall information for memory.
 *
 * The question it answers is not "how much was reclaimed" but "how much work was lost to it". A
 * task is lost to memory between memstall enter and leave: while it reclaims (running, but not for
 * its own sake), waits for a page it had before, or is throttled. Seen from one group and all below
 * it, at any moment:
 *
 *   tasks stalled   tasks productive   the group is
 *   none            any                not under pressure
 *   some            some               partly stalled: time counts as `some`
 *   some            none               wholly stalled: time counts as `some` and as `full`
 *
 * Productive means running or waiting for a CPU outside a stall. A task asleep for another reason
 * (its own I/O, a timer) is neither: it would not have used the memory it did not get.
 *
 * Each change first books the time since the last change under the state that held until now, then
 * moves the task between the counts, in the task's group and every group above it. That is all the
 * work there is: two or three groups, a few additions each, no timer and no averages.
 *
 * The reference judges each CPU alone and weighs CPUs by their busy time; also it calls a CPU full
 * while a stalled task occupies it even if a productive one waits for that CPU. Here the group is
 * judged as a whole, so with more runnable tasks than CPUs `full` can be smaller than there.
 *
 * Locking: psi->lock per group, a leaf. Safe from wake-ups in I/O completion.
 */
#include "mm/machine.h"

/* Book the time since the last change. CPUs' clocks may differ a little: never run backwards. */
static void advance(struct psi *p, u64 now)
{
	u64 ns;

	if (now <= p->last)
		return;
	ns = now - p->last;
	p->last = now;
	if (p->nr_stalled) {
		p->some_ns += ns;
		if (!p->nr_productive)
			p->full_ns += ns;
	}
}

/* In g and the groups above it, up to but without `end`. */
static void change_groups(struct memcg *g, const struct memcg *end, int stalled, int productive,
			  u64 now)
{
	for (; g != end; g = g->parent) {
		struct psi *p = &g->psi;

		spin_lock(&p->lock);
		advance(p, now);
		p->nr_stalled += (u32)stalled;
		p->nr_productive += (u32)productive;
		RCL_DEBUG_ASSERT((s32)p->nr_stalled >= 0 && (s32)p->nr_productive >= 0);
		spin_unlock(&p->lock);
	}
}

static void change(struct rcl *m, struct task *t, int stalled, int productive)
{
	change_groups(t->memcg ? t->memcg : m->root_memcg, NULL, stalled, productive, rcl_now(m));
}

bool rcl_psi_memstall_enter(struct rcl *m)
{
	struct task *t = rcl_current(m);

	if (t->in_memstall)
		return true;
	t->in_memstall = true;
	t->memstall_since = rcl_now(m);
	change(m, t, 1, t->productive ? -1 : 0);
	return false;
}

void rcl_psi_memstall_leave(struct rcl *m, bool cookie)
{
	struct task *t = rcl_current(m);
	u64 now = rcl_now(m);

	if (cookie)
		return;
	RCL_ASSERT(t->in_memstall);
	t->in_memstall = false;
	if (now > t->memstall_since)
		t->memstall_ns += now - t->memstall_since;
	change(m, t, -1, t->productive ? 1 : 0);
}

void rcl_psi_task_change(struct rcl *m, struct task *t, bool productive)
{
	if (t->productive == productive)
		return;
	t->productive = productive;
	if (!t->in_memstall)
		change(m, t, 0, productive ? 1 : -1);
}

void rcl_psi_task_move(struct rcl *m, struct task *t, struct memcg *memcg)
{
	int stalled = t->in_memstall, counts = t->productive && !t->in_memstall;
	struct memcg *from = t->memcg ? t->memcg : m->root_memcg;
	struct memcg *to = memcg ? memcg : m->root_memcg, *common = from;
	u64 now = rcl_now(m);

	/* Nothing changes for the groups that it stays in. */
	while (!rcl_memcg_is_below(to, common))
		common = common->parent;
	change_groups(from, common, -stalled, -counts, now);
	t->memcg = memcg;
	change_groups(to, common, stalled, counts, now);
}

void rcl_psi_slept(struct rcl *m, struct task *t, u64 from, u64 to)
{
	RCL_DEBUG_ASSERT(t->productive && !t->in_memstall);
	for (struct memcg *g = t->memcg ? t->memcg : m->root_memcg; g; g = g->parent) {
		struct psi *p = &g->psi;

		spin_lock(&p->lock);
		if (unlikely(p->nr_stalled)) {
			advance(p, from);
			p->nr_productive--;
			advance(p, to);
			p->nr_productive++;
		} else {
			p->last = max(p->last, to);
		}
		spin_unlock(&p->lock);
	}
}

void rcl_psi_read(struct rcl *m, struct memcg *memcg, u64 *some_ns, u64 *full_ns)
{
	struct psi *p = &(memcg ? memcg : m->root_memcg)->psi;

	spin_lock(&p->lock);
	advance(p, rcl_now(m));
	*some_ns = p->some_ns;
	*full_ns = p->full_ns;
	spin_unlock(&p->lock);
}

void rcl_psi_reset(struct psi *p)
{
	spin_lock(&p->lock);
	p->some_ns = p->full_ns = 0;
	spin_unlock(&p->lock);
}
