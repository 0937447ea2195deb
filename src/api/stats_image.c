/* SPDX-License-Identifier: MIT */
/*
 * From an open machine to the block of its statistics.
 *
 * Figures come in two sorts: our own, those of struct rcl_stats for the machine and of memory.max
 * and memory.events for groups; and the kernel's, all of /proc/vmstat and memory.stat, under the
 * kernel's names. A name says once for all machines and groups what a figure is; figures follow in
 * the order of names.
 *
 * Groups are walked under memcg_lock, in which nobody waits, so the walk is kept short: a machine
 * with very many groups shows none. Groups that have been destroyed but still hold pages are not
 * shown; what they hold counts for those above.
 */
#define _GNU_SOURCE
#include "api/stats_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "api/stats_read.h"
#include "mm/machine.h"
#include "mm/psi.h"

#define WALK_MAX 1024 /* groups; each is read with all that are below it */

struct own {
	const char *name, *help;
	enum stats_kind kind;
	enum stats_unit unit;
	size_t field; /* in struct rcl_stats */
};

#define OF(f) offsetof(struct rcl_stats, f)
static const struct own machine_own[] = {
	{"budget", "memory the machine may use", STATS_GAUGE, STATS_BYTES, OF(budget)},
	{"used", "memory of the budget in use", STATS_GAUGE, STATS_BYTES, OF(used)},
	{"anon", "anonymous areas in memory", STATS_GAUGE, STATS_BYTES, OF(anon)},
	{"file", "files in memory", STATS_GAUGE, STATS_BYTES, OF(file)},
	{"dirty", "files in memory, not yet written", STATS_GAUGE, STATS_BYTES, OF(dirty)},
	{"writeback", "being written", STATS_GAUGE, STATS_BYTES, OF(writeback)},
	{"swap_used", "swap in use", STATS_GAUGE, STATS_BYTES, OF(swap_used)},
	{"swap_size", "swap there is", STATS_GAUGE, STATS_BYTES, OF(swap_size)},
	{"faults", "pins that took the long way", STATS_COUNTER, STATS_NUMBER, OF(faults)},
	{"major_faults", "pins that had to read", STATS_COUNTER, STATS_NUMBER, OF(major_faults)},
	{"refaults", "pages read again soon after reclaim had taken them", STATS_COUNTER,
	 STATS_PAGES, OF(refaults)},
	{"read", "read from files and swap", STATS_COUNTER, STATS_BYTES, OF(read)},
	{"written", "written to files and swap", STATS_COUNTER, STATS_BYTES, OF(written)},
	{"swapped_in", "pages read from swap", STATS_COUNTER, STATS_PAGES, OF(swapped_in)},
	{"swapped_out", "pages written to swap", STATS_COUNTER, STATS_PAGES, OF(swapped_out)},
	{"scanned", "pages that reclaim looked at", STATS_COUNTER, STATS_PAGES, OF(scanned)},
	{"reclaimed", "pages that reclaim took", STATS_COUNTER, STATS_PAGES, OF(reclaimed)},
	{"stalled_some", "time that some thread waited for memory", STATS_COUNTER, STATS_NS,
	 OF(stalled_some)},
	{"stalled_full", "time that all threads waited for memory", STATS_COUNTER, STATS_NS,
	 OF(stalled_full)},
	{"io_errors", "reads and writes that failed", STATS_COUNTER, STATS_NUMBER, OF(io_errors)},
	{"checksum_errors", "pages of swap that were not what was written", STATS_COUNTER,
	 STATS_NUMBER, OF(checksum_errors)},
};

enum group_own {
	GROUP_USAGE,
	GROUP_LIMIT,
	GROUP_PEAK,
	GROUP_LIMIT_HITS,
	GROUP_OOM,
	GROUP_STALLED_SOME,
	GROUP_STALLED_FULL,
	NR_GROUP_OWN
};
static const struct own group_own[NR_GROUP_OWN] = {
	[GROUP_USAGE] = {"usage", "memory charged", STATS_GAUGE, STATS_BYTES, 0},
	[GROUP_LIMIT] = {"limit", "the most that may be charged; absent when there is no limit",
			 STATS_GAUGE, STATS_BYTES, 0},
	[GROUP_PEAK] = {"peak", "the most that was ever charged", STATS_GAUGE, STATS_BYTES, 0},
	[GROUP_LIMIT_HITS] = {"limit_hits", "times that the limit was reached", STATS_COUNTER,
			      STATS_NUMBER, 0},
	[GROUP_OOM] = {"oom", "times that memory was refused", STATS_COUNTER, STATS_NUMBER, 0},
	[GROUP_STALLED_SOME] = {"stalled_some", "time that some thread waited for memory",
				STATS_COUNTER, STATS_NS, 0},
	[GROUP_STALLED_FULL] = {"stalled_full", "time that all threads waited for memory",
				STATS_COUNTER, STATS_NS, 0},
};

const char *rcl_stats_help(const char *name, bool of_group)
{
	const struct own *own = of_group ? group_own : machine_own;
	size_t nr = of_group ? ARRAY_SIZE(group_own) : ARRAY_SIZE(machine_own);

	for (size_t i = 0; i < nr; i++)
		if (!strcmp(own[i].name, name))
			return own[i].help;
	return NULL;
}

/* ---- Names --------------------------------------------------------------------------------- */

static void set_name(struct stats_name *n, const char *name, enum stats_kind kind,
		     enum stats_unit unit, bool own)
{
	snprintf(n->name, sizeof(n->name), "%s", name);
	n->kind = (u8)kind;
	n->unit = (u8)unit;
	n->own = own;
}

/* What the i-th of vmstat's list is: zones' figures, nodes', two limits, events. */
static void vmstat_name(struct stats_name *n, size_t i, const char *name)
{
	enum stats_kind kind = STATS_GAUGE;
	enum stats_unit unit = STATS_PAGES;
	size_t node = i - NR_ZONE_STAT_ITEMS;

	if (i >= NR_ZONE_STAT_ITEMS && node < NR_NODE_STAT_ITEMS) {
		switch (node) {
		case NR_VMSCAN_WRITE:
		case NR_VMSCAN_IMMEDIATE:
		case NR_DIRTIED:
		case NR_WRITTEN:
		case NR_THROTTLED_WRITTEN:
			kind = STATS_COUNTER;
			break;
		case NR_KERNEL_STACK_KB:
			unit = STATS_KIB;
			break;
		case WORKINGSET_NODES:
			unit = STATS_NUMBER;
			break;
		default:
			if (node >= WORKINGSET_REFAULT_ANON && node <= WORKINGSET_NODERECLAIM)
				kind = STATS_COUNTER;
		}
	} else if (i >= NR_ZONE_STAT_ITEMS + NR_NODE_STAT_ITEMS + 2) {
		kind = STATS_COUNTER;
		unit = !strncmp(name, "pgpg", 4) ? STATS_KIB : STATS_NUMBER;
	}
	set_name(n, name, kind, unit, false);
}

/* memory.stat: sizes in bytes, and counts of events. */
static void memory_stat_name(struct stats_name *n, const char *name)
{
	bool event = !strncmp(name, "pg", 2) || !strncmp(name, "workingset_", 11);

	set_name(n, name, event ? STATS_COUNTER : STATS_GAUGE, event ? STATS_NUMBER : STATS_BYTES,
		 false);
}

static struct stats_name *names_of(struct stats_header *h)
{
	return (struct stats_name *)((char *)h + h->names_at);
}
static s64 *figures_of(struct stats_header *h)
{
	return (s64 *)((char *)h + h->figures_at);
}
static struct stats_group *group_of(struct stats_header *h, u32 i)
{
	return (struct stats_group *)((char *)h + h->groups_at + (size_t)i * h->group_bytes);
}

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * RCL_NSEC_PER_SEC + (u64)t.tv_nsec;
}

struct stats_header *rcl_stats_image_create(const struct rcl_observe_config *cfg)
{
	struct rcl_counter vmstat[RCL_COUNTERS_MAX], memory[RCL_COUNTERS_MAX];
	size_t nr_vmstat = rcl_vmstat_read(cfg->m, vmstat, ARRAY_SIZE(vmstat));
	size_t nr_memory =
		rcl_memory_stat_read(cfg->m, cfg->m->root_memcg, memory, ARRAY_SIZE(memory));
	struct stats_header head =
				    {
					    .magic = STATS_MAGIC,
					    .version = STATS_VERSION,
					    .nr_figures =
						    (u32)(ARRAY_SIZE(machine_own) + nr_vmstat),
					    .nr_group_figures =
						    (u32)(ARRAY_SIZE(group_own) + nr_memory),
					    .max_groups = STATS_GROUPS_MAX,
					    .interval_ms = STATS_INTERVAL,
					    .pid = (s32)getpid(),
					    .opened_ns = now_ns(),
				    },
			    *h;
	struct stats_name *n;

	head.names_at = sizeof(head);
	head.figures_at = head.names_at + (head.nr_figures + head.nr_group_figures) *
						  (u32)sizeof(struct stats_name);
	head.groups_at = head.figures_at + head.nr_figures * (u32)sizeof(s64);
	head.group_bytes = (u32)(sizeof(struct stats_group) + head.nr_group_figures * sizeof(s64));
	head.bytes = head.groups_at + head.max_groups * head.group_bytes;
	snprintf(head.machine, sizeof(head.machine), "%s",
		 cfg->name ? cfg->name : program_invocation_short_name);
	rcl_stats_clean(head.machine, sizeof(head.machine));
	h = calloc(1, head.bytes);
	if (!h)
		return NULL;
	*h = head;
	n = names_of(h);
	for (size_t i = 0; i < ARRAY_SIZE(machine_own); i++, n++)
		set_name(n, machine_own[i].name, machine_own[i].kind, machine_own[i].unit, true);
	for (size_t i = 0; i < nr_vmstat; i++, n++)
		vmstat_name(n, i, vmstat[i].name);
	for (size_t i = 0; i < ARRAY_SIZE(group_own); i++, n++)
		set_name(n, group_own[i].name, group_own[i].kind, group_own[i].unit, true);
	for (size_t i = 0; i < nr_memory; i++, n++)
		memory_stat_name(n, memory[i].name);
	return h;
}

/* ---- Figures ------------------------------------------------------------------------------- */

static void fill_machine(const struct rcl_observe_config *cfg, struct stats_header *h)
{
	struct rcl_counter list[RCL_COUNTERS_MAX];
	size_t nr = rcl_vmstat_read(cfg->m, list, ARRAY_SIZE(list));
	struct rcl_stats stats = {.size = sizeof(stats)};
	s64 *f = figures_of(h);

	cfg->stats(cfg->arg, &stats);
	for (size_t i = 0; i < ARRAY_SIZE(machine_own); i++)
		*f++ = (s64) * (u64 *)((char *)&stats + machine_own[i].field);
	for (size_t i = 0; i < nr; i++)
		*f++ = list[i].value;
}

static s64 pages_to_bytes(s64 pages)
{
	return pages > 0 ? pages << PAGE_SHIFT : 0;
}

static u64 count_read(const u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static void fill_group(struct rcl *m, struct memcg *memcg, s64 *f)
{
	struct rcl_counter list[RCL_COUNTERS_MAX];
	size_t nr = rcl_memory_stat_read(m, memcg, list, ARRAY_SIZE(list));
	u64 max = count_read(&memcg->max), some, full;

	rcl_psi_read(m, memcg, &some, &full);
	f[GROUP_USAGE] = pages_to_bytes(shared_read(&memcg->usage));
	f[GROUP_LIMIT] = max == MEMCG_MAX ? INT64_MAX : (s64)(max << PAGE_SHIFT);
	f[GROUP_PEAK] = pages_to_bytes(shared_read(&memcg->watermark));
	f[GROUP_LIMIT_HITS] = (s64)count_read(&memcg->max_events);
	f[GROUP_OOM] = (s64)count_read(&memcg->oom_events);
	f[GROUP_STALLED_SOME] = (s64)some;
	f[GROUP_STALLED_FULL] = (s64)full;
	f += NR_GROUP_OWN;
	for (size_t i = 0; i < nr; i++)
		*f++ = list[i].value;
}

/* The record of a group's parent, or STATS_NO_PARENT. */
static u32 find(struct memcg *const *list, u32 nr, const struct memcg *memcg)
{
	while (nr--)
		if (list[nr] == memcg)
			return nr;
	return STATS_NO_PARENT;
}

static bool is_shown(const struct memcg *g)
{
	return g->parent && __atomic_load_n(&g->online, __ATOMIC_RELAXED);
}

static void fill_groups(struct rcl *m, struct stats_header *h)
{
	struct memcg *shown[STATS_GROUPS_MAX];
	u32 all = 0, online = 0, nr = 0;

	spin_lock(&m->memcg_lock);
	for_each_memcg (g, m->root_memcg) {
		all++;
		online += is_shown(g);
	}
	for_each_memcg (g, all <= WALK_MAX ? m->root_memcg : NULL) {
		struct stats_group *record = group_of(h, nr);

		if (!is_shown(g))
			continue;
		if (nr == h->max_groups)
			break;
		memcpy(record->name, g->name, sizeof(record->name));
		rcl_stats_clean(record->name, sizeof(record->name));
		record->id = g->id;
		record->parent = find(shown, nr, g->parent);
		fill_group(m, g, record->figures);
		shown[nr++] = g;
	}
	spin_unlock(&m->memcg_lock);
	h->nr_groups = nr;
	h->groups_left_out = online - nr;
}

void rcl_stats_image_fill(const struct rcl_observe_config *cfg, struct stats_header *h)
{
	fill_machine(cfg, h);
	fill_groups(cfg->m, h);
	h->updated_ns = now_ns();
}
