/* SPDX-License-Identifier: MIT */
/*
 * Waiting for memory that reclaim cannot give: until somebody unpins, frees, or raises a limit.
 *
 * Unpinning is one instruction and tells nobody, so who waits looks again after a while: 1 ms at
 * first, doubling up to 50 ms. Calls that free memory for good (an area closed, frames given back)
 * change the machine's word besides, and end the sleep. Sleeps vary by up to a half, so that two
 * who got in each other's way do not meet again. The time counts as a stall for memory.
 *
 * Pages that are being written are not full of what cannot go: they have not gone yet. The engine
 * gives up on them as the kernel does, after a number of rounds without progress, which a small
 * machine goes through before its device is done with one write. So even who does not ask to wait
 * waits for these, for some seconds at the most, since pages may be dirtied as fast as written.
 */
#include "api/internal.h"

#define FIRST_SLEEP_NS	 (1 * RCL_NSEC_PER_MSEC)
#define LONGEST_SLEEP_NS ((u64)(50 * RCL_NSEC_PER_MSEC))
#define WRITES_WAITED	 64u

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
	p->writes_waited = 0;
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

/* This thread's last reclaim could have had pages, were they written. */
static bool met_dirty(struct rcl_machine *machine, struct rcl_group *group)
{
	struct task *t = api_enter(machine, group);
	bool met = t && t->met_dirty;

	if (t)
		api_leave(machine, t);
	return met;
}

/* Has something been written since the last attempt, or is about to be? */
static bool may_wait_for_writes(struct rcl_machine *machine, struct rcl_group *group, u32 how,
				struct patience *p)
{
	s64 before = p->written;

	p->written = nr_pages(machine->m, NR_WRITTEN);
	return !(how & RCL_TRY) &&
	       (p->written != before || nr_pages(machine->m, NR_WRITEBACK) ||
		met_dirty(machine, group)) &&
	       p->writes_waited++ < WRITES_WAITED;
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
	if (!(how & (RCL_WAIT | RCL_NOFAIL)) && !may_wait_for_writes(machine, group, how, p)) {
		if (!is_group_full(group))
			__atomic_add_fetch(&machine->refused, 1, __ATOMIC_RELAXED);
		return false;
	}
	sleep_stalled(machine, group, p);
	p->ns = min(2 * p->ns, LONGEST_SLEEP_NS);
	p->seen = __atomic_load_n(&machine->freed, __ATOMIC_ACQUIRE);
	return true;
}
