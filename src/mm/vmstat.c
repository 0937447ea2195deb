/* SPDX-License-Identifier: MIT */
/*
 * Reading the counters.
 *
 * The engine adds to counters where things happen and never reads more than one of them to decide
 * something. Here they are gathered the other way round: every counter once, in the order and under
 * the names that /proc/vmstat and memory.stat use, so that a list can be laid beside a real
 * kernel's.
 *
 *   list         is the sum over          of
 *   vmstat       zones of all nodes       zone->stat
 *                nodes                    node->stat (slab turned from bytes into pages)
 *                CPUs                     cpu->events
 *                -                        the two dirty limits as they are now
 *   memory.stat  the group and those      lruvec->stat (sizes in bytes), memcg->events,
 *                below it                 memcg->kernel_pages (already holds those below)
 *
 * A size may be seen below zero while a task is between the two halves of moving a page from one
 * place to another; it reads as zero then, as the kernel does it. No lock is taken: each value is
 * right by itself, and all are right together when nothing runs.
 */
#include "mm/vmstat.h"
#include "mm/machine.h"
#include "mm/writeback.h"

/* A list being filled; counts on when it is full, so that the caller learns how much there is. */
struct gather {
	struct rcl_counter *out;
	size_t nr, max;
};

static void put(struct gather *g, const char *name, s64 value)
{
	if (g->nr < g->max)
		g->out[g->nr] = (struct rcl_counter){name, value};
	g->nr++;
}

static s64 not_negative(s64 v)
{
	return v < 0 ? 0 : v;
}

static const char *const zone_stat_names[] = {
#define RCL_X(e, n) n,
	RCL_ZONE_STATS(RCL_X)
#undef RCL_X
};

static const char *const node_stat_names[] = {
#define RCL_X(e, n) n,
	RCL_NODE_STATS(RCL_X)
#undef RCL_X
};

static const char *const vm_event_names[] = {
#define RCL_X(e, n, g) n,
	RCL_VM_EVENTS(RCL_X)
#undef RCL_X
};

static bool counted_in_bytes(enum node_stat_item item)
{
	return item == NR_SLAB_RECLAIMABLE_B || item == NR_SLAB_UNRECLAIMABLE_B;
}

static s64 machine_zone_stat(struct rcl *m, enum zone_stat_item item)
{
	s64 sum = 0;

	for (u32 n = 0; n < m->nr_nodes; n++)
		for_each_zone (z, &m->nodes[n])
			sum += shared_read(&z->stat[item]);
	return not_negative(sum);
}

static s64 machine_node_stat(struct rcl *m, enum node_stat_item item)
{
	s64 sum = 0;

	for (u32 n = 0; n < m->nr_nodes; n++)
		sum += shared_read(&m->nodes[n].stat[item]);
	sum = not_negative(sum);
	return counted_in_bytes(item) ? sum >> PAGE_SHIFT : sum;
}

static s64 machine_events(struct rcl *m, enum vm_event_item item)
{
	s64 sum = 0;

	for (u32 c = 0; c < m->nr_cpus; c++)
		sum += shared_read(&m->cpus[c].events[item]);
	return sum;
}

size_t rcl_vmstat_read(struct rcl *m, struct rcl_counter *out, size_t max)
{
	struct gather g = {.out = out, .max = max};
	u64 background, dirty;

	for (int i = 0; i < NR_ZONE_STAT_ITEMS; i++)
		put(&g, zone_stat_names[i], machine_zone_stat(m, i));
	for (int i = 0; i < NR_NODE_STAT_ITEMS; i++)
		put(&g, node_stat_names[i], machine_node_stat(m, i));
	rcl_global_dirty_limits(m, &background, &dirty);
	put(&g, "nr_dirty_threshold", (s64)dirty);
	put(&g, "nr_dirty_background_threshold", (s64)background);
	for (int i = 0; i < NR_VM_EVENT_ITEMS; i++)
		put(&g, vm_event_names[i], machine_events(m, i));
	return g.nr;
}

s64 rcl_counter_get(const struct rcl_counter *list, size_t nr, const char *name)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(list[i].name, name))
			return list[i].value;
	return 0;
}

s64 rcl_vmstat_get(struct rcl *m, const char *name)
{
	struct rcl_counter list[RCL_COUNTERS_MAX];
	size_t nr = rcl_vmstat_read(m, list, ARRAY_SIZE(list));

	RCL_ASSERT(nr <= ARRAY_SIZE(list));
	return rcl_counter_get(list, nr, name);
}

/*
 * memory.stat: what part of the node counters a group shows, in its order, and the unit of each:
 * bytes in one count, or 0 for an event. LINE marks where a value is not a node counter.
 */
enum memory_line {
	LINE_STAT,
	LINE_KERNEL,
	LINE_SLAB
};

static const struct {
	const char *name;
	enum memory_line line;
	u32 item;
	u32 unit;
} memory_stats[] = {
	{"anon", LINE_STAT, NR_ANON_MAPPED, PAGE_SIZE},
	{"file", LINE_STAT, NR_FILE_PAGES, PAGE_SIZE},
	{"kernel", LINE_KERNEL, 0, PAGE_SIZE},
	{"kernel_stack", LINE_STAT, NR_KERNEL_STACK_KB, 1024},
	{"pagetables", LINE_STAT, NR_PAGETABLE, PAGE_SIZE},
	{"shmem", LINE_STAT, NR_SHMEM, PAGE_SIZE},
	{"file_mapped", LINE_STAT, NR_FILE_MAPPED, PAGE_SIZE},
	{"file_dirty", LINE_STAT, NR_FILE_DIRTY, PAGE_SIZE},
	{"file_writeback", LINE_STAT, NR_WRITEBACK, PAGE_SIZE},
	{"swapcached", LINE_STAT, NR_SWAPCACHE, PAGE_SIZE},
	{"inactive_anon", LINE_STAT, NR_INACTIVE_ANON, PAGE_SIZE},
	{"active_anon", LINE_STAT, NR_ACTIVE_ANON, PAGE_SIZE},
	{"inactive_file", LINE_STAT, NR_INACTIVE_FILE, PAGE_SIZE},
	{"active_file", LINE_STAT, NR_ACTIVE_FILE, PAGE_SIZE},
	{"unevictable", LINE_STAT, NR_UNEVICTABLE, PAGE_SIZE},
	{"slab_reclaimable", LINE_STAT, NR_SLAB_RECLAIMABLE_B, 1},
	{"slab_unreclaimable", LINE_STAT, NR_SLAB_UNRECLAIMABLE_B, 1},
	{"slab", LINE_SLAB, 0, 1},
	{"workingset_refault_anon", LINE_STAT, WORKINGSET_REFAULT_ANON, 1},
	{"workingset_refault_file", LINE_STAT, WORKINGSET_REFAULT_FILE, 1},
	{"workingset_activate_anon", LINE_STAT, WORKINGSET_ACTIVATE_ANON, 1},
	{"workingset_activate_file", LINE_STAT, WORKINGSET_ACTIVATE_FILE, 1},
	{"workingset_restore_anon", LINE_STAT, WORKINGSET_RESTORE_ANON, 1},
	{"workingset_restore_file", LINE_STAT, WORKINGSET_RESTORE_FILE, 1},
	{"workingset_nodereclaim", LINE_STAT, WORKINGSET_NODERECLAIM, 1},
};

/* Events of memory.stat: one counter, or the sum of two. */
static const struct {
	const char *name;
	s32 item, plus; /* plus < 0: none */
} memory_events[] = {
	{"pgscan", PGSCAN_KSWAPD, PGSCAN_DIRECT},
	{"pgsteal", PGSTEAL_KSWAPD, PGSTEAL_DIRECT},
	{"pgscan_kswapd", PGSCAN_KSWAPD, -1},
	{"pgscan_direct", PGSCAN_DIRECT, -1},
	{"pgsteal_kswapd", PGSTEAL_KSWAPD, -1},
	{"pgsteal_direct", PGSTEAL_DIRECT, -1},
	{"pgfault", PGFAULT, -1},
	{"pgmajfault", PGMAJFAULT, -1},
	{"pgrefill", PGREFILL, -1},
	{"pgactivate", PGACTIVATE, -1},
	{"pgdeactivate", PGDEACTIVATE, -1},
	{"pglazyfree", PGLAZYFREE, -1},
	{"pglazyfreed", PGLAZYFREED, -1},
};

static s64 group_stat(struct rcl *m, struct memcg *root, enum node_stat_item item)
{
	s64 sum = 0;

	for_each_memcg (g, root)
		for (u32 n = 0; n < m->nr_nodes; n++)
			sum += shared_read(&g->lruvecs[n]->stat[item]);
	return not_negative(sum);
}

static s64 group_events(struct memcg *root, enum vm_event_item item)
{
	s64 sum = 0;

	for_each_memcg (g, root)
		sum += shared_read(&g->events[item]);
	return sum;
}

size_t rcl_memory_stat_read(struct rcl *m, struct memcg *memcg, struct rcl_counter *out, size_t max)
{
	struct gather g = {.out = out, .max = max};

	for (size_t i = 0; i < ARRAY_SIZE(memory_stats); i++) {
		s64 v = 0;

		switch (memory_stats[i].line) {
		case LINE_STAT:
			v = group_stat(m, memcg, memory_stats[i].item);
			break;
		case LINE_KERNEL:
			v = not_negative(shared_read(&memcg->kernel_pages));
			break;
		case LINE_SLAB:
			v = group_stat(m, memcg, NR_SLAB_RECLAIMABLE_B) +
			    group_stat(m, memcg, NR_SLAB_UNRECLAIMABLE_B);
			break;
		}
		put(&g, memory_stats[i].name, v * memory_stats[i].unit);
	}
	for (size_t i = 0; i < ARRAY_SIZE(memory_events); i++) {
		s64 v = group_events(memcg, memory_events[i].item);

		if (memory_events[i].plus >= 0)
			v += group_events(memcg, memory_events[i].plus);
		put(&g, memory_events[i].name, v);
	}
	return g.nr;
}

void rcl_count_vm_events(struct rcl *m, enum vm_event_item item, s64 n)
{
	count_vm_events(m, item, n);
}
