/* SPDX-License-Identifier: MIT */
/*
 * Waiting for memory that reclaim cannot give: until somebody unpins, frees, or raises a limit.
 *
 * Unpinning is one instruction and tells nobody, so who waits looks again after a while: 1 ms at
 * first, doubling up to 50 ms. Calls that free memory for good (an area closed, frames given back)
 * change the machine's word besides, and end the sleep. Sleeps vary by up to a half, so that two
 * who got in each other's way do not meet again. The time counts as a stall for memory.
 *
 * Pages that are being written are not full of what cannot go: they have not gone yet. Nor are
 * those that others just have in hand: locked until they have been read, or taken off their lists to
 * be reclaimed. A few threads that read at once have all of a small budget so. The engine gives up
 * on such pages as the kernel does, after a number of rounds without progress, which a small machine
 * goes through before its device is done with one of them. So even who does not ask to wait waits
 * for these, for some seconds at the most, since others may be as fast in taking them again. A
 * refusal says that what there is is pinned, or has nowhere to go.
 */
#include "api/internal.h"
#include "mm/vmscan.h"

#define FIRST_SLEEP_NS	 (1 * RCL_NSEC_PER_MSEC)
#define LONGEST_SLEEP_NS ((u64)(50 * RCL_NSEC_PER_MSEC))
#define LOOKS		 64u

static s64 nr_pages(struct rcl *m, enum node_stat_item item)
{
	s64 nr = 0;

	for (u32 i = 0; i < m->nr_nodes; i++)
		nr += node_page_state(&m->nodes[i], item);
	return max(nr, (s64)0);
}

void rcl_patience_begin(struct rcl_machine *machine, struct patience *p)
{
	p->ns = FIRST_SLEEP_NS;
	p->looks = 0;
	p->written = nr_pages(machine->m, NR_WRITTEN);
	p->seen = __atomic_load_n(&machine->freed, __ATOMIC_ACQUIRE);
}

void rcl_memory_freed(struct rcl_machine *machine)
{
	__atomic_add_fetch(&machine->freed, 1, __ATOMIC_RELEASE);
	rcl_wake(machine->m, &machine->freed, UINT32_MAX);
}

/* A group that has no room has counted the refusal itself. */
static bool is_group_full(struct rcl_group *group)
{
	for (; group; group = group->parent) {
		u64 usage = (u64)max(shared_read(&group->memcg->usage), (s64)0);

		if (usage >= __atomic_load_n(&group->memcg->max, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

/* Has something been written since the last attempt, or is being written? */
static bool writes_go_on(struct rcl *m, struct patience *p)
{
	s64 before = p->written;

	p->written = nr_pages(m, NR_WRITTEN);
	return p->written != before || nr_pages(m, NR_WRITEBACK);
}

/* This thread's last reclaim could have had pages, were they written, or not locked by others. */
static bool reclaim_met_unready(const struct task *t)
{
	return t->met_dirty || t->met_locked;
}

/*
 * Do others have frames in hand that no list has: taken off one, to be reclaimed if they can be, or
 * on their way to one, in a window of read-ahead that is being filled (task_flag)?
 */
static bool are_in_hand(struct rcl *m, const struct task *self)
{
	bool filling = false;
	struct task *t;

	if (nr_pages(m, NR_ISOLATED_ANON) + nr_pages(m, NR_ISOLATED_FILE) > 0)
		return true;
	spin_lock(&m->tasks_lock);
	list_for_each (t, &m->tasks, link)
		filling |= t != self &&
			   __atomic_load_n(&t->flags, __ATOMIC_RELAXED) & PF_MEMALLOC_NOFS;
	spin_unlock(&m->tasks_lock);
	return filling;
}

/*
 * How many of its LOOKS a thread pays for another one: all of them if there is nothing to wait for.
 * What others have in hand comes soon, and there, too, the more is pinned the less can be had.
 */
static u32 price_of_look(struct rcl_machine *machine, struct rcl_group *group, struct patience *p)
{
	bool writes = writes_go_on(machine->m, p);
	struct task *t = api_enter(machine, group);
	u32 price = LOOKS;

	if (!t)
		return price;
	if (writes || reclaim_met_unready(t))
		price = 1;
	else if (t->futile_rounds >= MAX_RECLAIM_RETRIES || is_group_full(group))
		price = LOOKS; /* what is on no list is not known to be the group's */
	else if (rcl_host_io_under_way(machine->host))
		price = 1;
	else if (are_in_hand(machine->m, t))
		price = LOOKS * (t->futile_rounds + 1) / MAX_RECLAIM_RETRIES;
	t->met_locked = false;
	api_leave(machine, t);
	return price;
}

/* Is there something under way that it makes sense to wait for? */
static bool may_look_again(struct rcl_machine *machine, struct rcl_group *group, u32 how,
			   struct patience *p)
{
	if (how & RCL_TRY)
		return false;
	p->looks += price_of_look(machine, group, p);
	return p->looks < LOOKS;
}

static void sleep_stalled(struct rcl_machine *machine, struct rcl_group *group, struct patience *p)
{
	struct rcl *m = machine->m;
	u64 ns = p->ns - m->plat->ops->random(m->plat) % (p->ns / 2);
	struct task *t = api_enter(machine, group);
	bool cookie;

	if (!t) {
		nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
		return;
	}
	cookie = rcl_psi_memstall_enter(m);
	rcl_wait_on(m, &machine->freed, p->seen, ns, false);
	rcl_psi_memstall_leave(m, cookie);
	api_leave(machine, t);
}

bool rcl_patience_wait(struct rcl_machine *machine, struct rcl_group *group, u32 how,
		       struct patience *p)
{
	if (!(how & (RCL_WAIT | RCL_NOFAIL)) && !may_look_again(machine, group, how, p)) {
		if (!is_group_full(group))
			__atomic_add_fetch(&machine->refused, 1, __ATOMIC_RELAXED);
		return false;
	}
	sleep_stalled(machine, group, p);
	p->ns = min(2 * p->ns, LONGEST_SLEEP_NS);
	p->seen = __atomic_load_n(&machine->freed, __ATOMIC_ACQUIRE);
	return true;
}
