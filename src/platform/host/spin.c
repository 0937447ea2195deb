/* SPDX-License-Identifier: MIT */
/*
 * Looking for the end of a read before going to sleep for it.
 *
 * A fast disk reads a page in some tens of microseconds. Going to sleep meanwhile and being woken
 * costs a good part of that again: the processor goes idle, an interrupt gets it out, in a virtual
 * machine both by way of the host. Who keeps looking has its page sooner; measured here, 45 us
 * instead of 60. It is the bargain that the kernel's haltpoll governor and adaptive mutexes make,
 * and made in the same way:
 *
 *   - never longer than cfg.spin_ns at a time; 0 turns it off;
 *   - a wait that was over within that time doubles the next one's window, from a quarter of it up;
 *     one that took longer halves it, and soon nobody looks. So slow disks, and fast ones that are
 *     behind with writing, are slept for;
 *   - only on a processor that nothing else of the machine's needs: one is left free besides those
 *     for its own threads that are awake (kswapd, flushers) and for others that look. With one
 *     processor, or a quota for no more, nobody does.
 *
 * What the rest of the system needs is not known here. The thread can be preempted at any time.
 */
#include "platform/host/spin.h"

static bool take_cpu(struct rcl_host *h)
{
	u32 busy = __atomic_load_n(&h->awake, __ATOMIC_RELAXED);

	if (busy + __atomic_add_fetch(&h->spinners, 1, __ATOMIC_RELAXED) < h->usable_cpus)
		return true;
	__atomic_sub_fetch(&h->spinners, 1, __ATOMIC_RELAXED);
	return false;
}

u64 rcl_host_spin_begin(struct rcl_host *h, struct host_spin *s)
{
	s->begun = h->cfg.spin_ns ? host_now(h) : 0;
	s->spinning = s->window_ns && h->cfg.spin_ns && take_cpu(h);
	return s->spinning ? s->begun + s->window_ns : 0;
}

void rcl_host_spin_stop(struct rcl_host *h, struct host_spin *s)
{
	if (s->spinning)
		__atomic_sub_fetch(&h->spinners, 1, __ATOMIC_RELAXED);
	s->spinning = false;
}

void rcl_host_spin_end(struct rcl_host *h, struct host_spin *s)
{
	u64 most = h->cfg.spin_ns, least = most / 4;

	if (!most)
		return;
	if (host_now(h) - s->begun <= most)
		s->window_ns = min(max(2 * s->window_ns, least), most);
	else
		s->window_ns = s->window_ns > least ? s->window_ns / 2 : 0;
}
