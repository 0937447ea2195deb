/* SPDX-License-Identifier: MIT */
/*
 * The OOM killer (behaviour: Linux 6.1 mm/oom_kill.c).
 *
 * When reclaim has failed a task must die, so that the others live. It is the one with the most to
 * give: resident pages, swap entries and page tables, plus oom_score_adj thousandths of what there
 * is in all (of the machine's memory, or the group's limit, and swap). Never chosen: kernel tasks,
 * tasks without an address space, tasks at oom_score_adj -1000, and those whose memory was already
 * taken. Equals go to the youngest.
 *
 *   before anybody is chosen                            then
 *   the asking task is dying                            it gets the reserves; nobody else is killed
 *   the machine is short, but the request may not       nobody is killed: reclaim could not do all
 *   enter filesystems                                   it can; the caller tries again
 *   a victim has not given back its memory yet          nobody else is killed; the caller waits
 *   vm.oom_kill_allocating_task                         the asking task is chosen
 *
 * A kill marks the victim (PF_KILLED makes it leave at its next chance, PF_OOM_VICTIM opens it half
 * of the reserves until then), kills whoever shares its memory, and takes the memory away at once.
 * The reference does the last in a thread of its own; here it is the killer's work, and by the time
 * a kill returns the memory is free.
 *
 * Locking: one kill at a time. The page allocator only tries the lock (somebody else's kill serves
 * it as well); requests of a group wait for it and look again whether there is room. m->tasks_lock
 * covers the choice; the reaping happens without it, as it may wait.
 */
#include "mm/oom.h"

#include "mm/mm.h"
#include "mm/page_alloc_internal.h"
#include "mm/swap.h"
#include "mm/trace.h"

#define OOM_SCORE_ADJ_MIN (-1000)

struct oom_state {
	u32 lock; /* wait word: 1 while somebody kills */
	bool have_victim;
	u32 victim_id;	 /* lock: of the last kill */
	char victim[16]; /* lock */
};

int rcl_oom_init(struct rcl *m)
{
	m->oom_state = m->plat->ops->reserve(m->plat, sizeof(struct oom_state));
	return m->oom_state ? 0 : -ENOMEM;
}

void rcl_oom_exit(struct rcl *m)
{
	if (m->oom_state)
		m->plat->ops->release(m->plat, m->oom_state, sizeof(struct oom_state));
	m->oom_state = NULL;
}

bool rcl_oom_trylock(struct rcl *m)
{
	struct oom_state *os = m->oom_state;

	return !__atomic_exchange_n(&os->lock, 1, __ATOMIC_ACQUIRE);
}

void rcl_oom_unlock(struct rcl *m)
{
	struct oom_state *os = m->oom_state;

	__atomic_store_n(&os->lock, 0, __ATOMIC_RELEASE);
	rcl_wake(m, &os->lock, 1);
}

/* False if the task was killed while it waited. */
static bool lock_killable(struct rcl *m)
{
	struct oom_state *os = m->oom_state;

	while (!rcl_oom_trylock(m)) {
		if (fatal_signal_pending(rcl_current(m)))
			return false;
		rcl_wait_on(m, &os->lock, 1, rcl_jiffies_to_ns(m, 1), false);
	}
	return true;
}

static u32 task_flags(const struct task *t)
{
	return __atomic_load_n(&t->flags, __ATOMIC_RELAXED);
}

static void set_task_flags(struct task *t, u32 flags)
{
	__atomic_fetch_or(&t->flags, flags, __ATOMIC_RELAXED);
}

static bool in_subtree(const struct memcg *memcg, const struct memcg *root)
{
	while (memcg && memcg != root)
		memcg = memcg->parent;
	return memcg;
}

/* Does the limit that ran out apply to the task? */
static bool is_eligible(struct rcl *m, const struct task *t, const struct memcg *memcg)
{
	if (task_flags(t) & PF_KTHREAD || !t->mm)
		return false;
	return !memcg || in_subtree(t->memcg ? t->memcg : m->root_memcg, memcg);
}

static bool is_reaped(const struct mm *mm)
{
	return __atomic_load_n(&mm->dead, __ATOMIC_RELAXED);
}

s64 rcl_oom_badness(struct rcl *m, struct task *t, u64 totalpages)
{
	const struct mm *mm = t->mm;
	s64 points;

	if (!is_eligible(m, t, NULL) || t->oom_score_adj == OOM_SCORE_ADJ_MIN || is_reaped(mm))
		return INT64_MIN;
	points = shared_read(&mm->anon_rss) + shared_read(&mm->file_rss) +
		 shared_read(&mm->swap_ents) + shared_read(&mm->table_pages);
	return points + t->oom_score_adj * (s64)(totalpages / 1000);
}

/* NULL: nobody to kill, or, with *dying, a victim is on its way already. tasks_lock is held. */
static struct task *choose(struct rcl *m, const struct oom_control *oc, bool *dying)
{
	struct task *t, *chosen = NULL;
	s64 most = INT64_MIN;

	*dying = false;
	list_for_each (t, &m->tasks, link) {
		s64 points;

		if (!is_eligible(m, t, oc->memcg))
			continue;
		if (task_flags(t) & PF_OOM_VICTIM) {
			if (is_reaped(t->mm))
				continue;
			*dying = true;
			return NULL;
		}
		points = rcl_oom_badness(m, t, oc->totalpages);
		if (points == INT64_MIN || points < most)
			continue;
		chosen = t;
		most = points;
	}
	return chosen;
}

/* Nobody survives in an address space that is taken away. tasks_lock is held. */
static void kill_sharers(struct rcl *m, const struct mm *mm)
{
	struct task *t;

	list_for_each (t, &m->tasks, link) {
		if (t->mm == mm && !(task_flags(t) & PF_KTHREAD))
			set_task_flags(t, PF_KILLED);
	}
}

/*
 * Mark the victim and those who share its memory, and remember it; its address space with a
 * reference, since it may come to its end by itself. tasks_lock is held.
 */
static struct mm *mark_victim(struct rcl *m, struct task *t)
{
	struct oom_state *os = m->oom_state;
	struct memcg *memcg = t->memcg ? t->memcg : m->root_memcg;

	RCL_ASSERT(!(task_flags(t) & PF_KTHREAD));
	count_vm_event(m, OOM_KILL);
	RCL_TRACE(mark_victim, t->id);
	if (memcg)
		__atomic_add_fetch(&memcg->oom_kills, 1, __ATOMIC_RELAXED);
	rcl_mm_get(t->mm);
	kill_sharers(m, t->mm);
	set_task_flags(t, PF_KILLED | PF_OOM_VICTIM);
	memcpy(os->victim, t->name, sizeof(os->victim));
	os->victim_id = t->id;
	os->have_victim = true;
	return t->mm;
}

static void fill_totalpages(struct rcl *m, struct oom_control *oc)
{
	u64 ram = m->totalram_pages;

	if (oc->memcg)
		ram = min(__atomic_load_n(&oc->memcg->max, __ATOMIC_RELAXED), ram);
	oc->totalpages = max(ram + rcl_total_swap_pages(m), (u64)1);
}

/* The lock is held. */
static bool out_of_memory(struct rcl *m, struct oom_control *oc)
{
	struct task *t = rcl_current(m);
	struct mm *mm = NULL;
	bool dying = false;

	if (t->mm && !is_reaped(t->mm) && fatal_signal_pending(t)) {
		set_task_flags(t, PF_OOM_VICTIM);
		rcl_mm_reap(m, t->mm);
		return true;
	}
	if (!oc->memcg && oc->gfp && !(oc->gfp & __GFP_FS))
		return true;
	fill_totalpages(m, oc);

	spin_lock(&m->tasks_lock);
	if (oc->memcg || !m->tun.overcommit_kill_allocating_task ||
	    rcl_oom_badness(m, t, oc->totalpages) == INT64_MIN)
		t = choose(m, oc, &dying);
	if (t)
		mm = mark_victim(m, t);
	spin_unlock(&m->tasks_lock);

	if (mm) {
		rcl_mm_reap(m, mm);
		rcl_mm_put(mm);
	}
	return mm || dying;
}

/* A group has room again: somebody else's kill or exit was enough. */
static bool has_room(const struct oom_control *oc)
{
	u64 usage = (u64)max(shared_read(&oc->memcg->usage), (s64)0);

	return usage + (1ull << oc->order) <= __atomic_load_n(&oc->memcg->max, __ATOMIC_RELAXED);
}

bool rcl_out_of_memory(struct rcl *m, struct oom_control *oc)
{
	bool progress;

	/* The page allocator has the lock already. */
	if (!oc->memcg)
		return out_of_memory(m, oc);
	if (!lock_killable(m))
		return true;
	progress = has_room(oc) || fatal_signal_pending(rcl_current(m)) || out_of_memory(m, oc);
	rcl_oom_unlock(m);
	return progress;
}

bool rcl_oom_last_victim(struct rcl *m, char name[16], u32 *id)
{
	const struct oom_state *os = m->oom_state;

	if (!os->have_victim)
		return false;
	memcpy(name, os->victim, sizeof(os->victim));
	*id = os->victim_id;
	return true;
}
