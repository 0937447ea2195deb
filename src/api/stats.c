/* SPDX-License-Identifier: MIT */
/*
 * Counters: the engine's lists as text, and the few of them that are looked at first as a struct.
 *
 * The machine's figures come from the list under the names of /proc/vmstat, a group's from that of
 * memory.stat; where a group has no such counter in the reference it has none here, and the field
 * is 0.
 */
#include "api/internal.h"

#include <stdio.h>

static u64 at_least_0(s64 v)
{
	return v > 0 ? (u64)v : 0;
}

static u64 pages_to_bytes(s64 pages)
{
	return at_least_0(pages) << PAGE_SHIFT;
}

struct list {
	struct rcl_counter counters[RCL_COUNTERS_MAX];
	size_t nr;
};

static void read_list(struct rcl_machine *machine, struct rcl_group *group, struct list *l)
{
	if (group)
		l->nr = rcl_memory_stat_read(machine->m, group->memcg, l->counters,
					     RCL_COUNTERS_MAX);
	else
		l->nr = rcl_vmstat_read(machine->m, l->counters, RCL_COUNTERS_MAX);
	RCL_ASSERT(l->nr <= RCL_COUNTERS_MAX);
}

static s64 get(const struct list *l, const char *name)
{
	return rcl_counter_get(l->counters, l->nr, name);
}

static void add_device(struct rcl_machine *machine, int dev, struct rcl_stats *s)
{
	struct rcl_host_device_info info;

	rcl_host_device_info(machine->host, (u16)dev, &info);
	s->io_errors += info.errors;
	s->checksum_errors += info.checksum_errors;
}

/* What is the machine's, whoever asks. */
static void fill_common(struct rcl_machine *machine, struct rcl_stats *s)
{
	struct backing *b;

	s->swap_size = machine->swap_dev >= 0 ? rcl_total_swap_pages(machine->m) << PAGE_SHIFT : 0;
	s->swap_used = s->swap_size - (rcl_nr_swap_pages(machine->m) << PAGE_SHIFT);
	pthread_mutex_lock(&machine->lock);
	s->io_errors = machine->past_errors;
	s->checksum_errors = machine->past_checksum_errors;
	if (machine->swap_dev >= 0)
		add_device(machine, machine->swap_dev, s);
	list_for_each (b, &machine->backings, link) {
		add_device(machine, b->dev, s);
		if (b->read_dev >= 0)
			add_device(machine, b->read_dev, s);
	}
	pthread_mutex_unlock(&machine->lock);
}

static void fill_machine(struct rcl_machine *machine, const struct list *l, struct rcl_stats *s)
{
	s->budget = machine->budget;
	s->used = pages_to_bytes((s64)machine->m->totalram_pages - get(l, "nr_free_pages"));
	s->anon = pages_to_bytes(get(l, "nr_anon_pages"));
	s->file = pages_to_bytes(get(l, "nr_file_pages") - get(l, "nr_swapcached"));
	s->dirty = pages_to_bytes(get(l, "nr_dirty"));
	s->writeback = pages_to_bytes(get(l, "nr_writeback"));
	s->faults = at_least_0(get(l, "pgfault"));
	s->major_faults = at_least_0(get(l, "pgmajfault"));
	s->read = at_least_0(get(l, "pgpgin")) * 1024;
	s->written = at_least_0(get(l, "pgpgout")) * 1024;
	s->swapped_in = at_least_0(get(l, "pswpin"));
	s->swapped_out = at_least_0(get(l, "pswpout"));
	/* Also what groups' limits took, unlike pgscan_direct. */
	s->scanned = at_least_0(get(l, "pgscan_anon") + get(l, "pgscan_file"));
	s->reclaimed = at_least_0(get(l, "pgsteal_anon") + get(l, "pgsteal_file"));
}

static void fill_group(struct rcl_group *group, const struct list *l, struct rcl_stats *s)
{
	u64 max = __atomic_load_n(&group->memcg->max, __ATOMIC_RELAXED);

	s->budget = max == MEMCG_MAX ? RCL_UNLIMITED : max << PAGE_SHIFT;
	s->used = rcl_group_usage(group);
	/* Sizes are in bytes here. */
	s->anon = at_least_0(get(l, "anon"));
	s->file = at_least_0(get(l, "file"));
	s->dirty = at_least_0(get(l, "file_dirty"));
	s->writeback = at_least_0(get(l, "file_writeback"));
	s->faults = at_least_0(get(l, "pgfault"));
	s->major_faults = at_least_0(get(l, "pgmajfault"));
	s->scanned = at_least_0(get(l, "pgscan"));
	s->reclaimed = at_least_0(get(l, "pgsteal"));
}

int rcl_stats_read(struct rcl_machine *machine, struct rcl_group *group, struct rcl_stats *out)
{
	struct rcl_stats s = {0};
	size_t size = out->size;
	struct list l;

	if (size < offsetof(struct rcl_stats, used) || (group && group->machine != machine))
		return -EINVAL;
	if (!api_is_alive(machine))
		return -ECHILD;
	read_list(machine, group, &l);
	if (group)
		fill_group(group, &l, &s);
	else
		fill_machine(machine, &l, &s);
	s.refaults =
		at_least_0(get(&l, "workingset_refault_anon") + get(&l, "workingset_refault_file"));
	fill_common(machine, &s);
	rcl_psi_read(machine->m, api_memcg(group), &s.stalled_some, &s.stalled_full);
	/* A caller of another version gets the fields that both know; those that we do not are 0.
	 */
	s.size = size;
	memset(out, 0, size);
	memcpy(out, &s, min(size, sizeof(s)));
	return 0;
}

size_t rcl_stats_text(struct rcl_machine *machine, struct rcl_group *group, char *buf, size_t size)
{
	struct list l;
	size_t len = 0;

	if (size)
		*buf = 0;
	if (!api_is_alive(machine) || (group && group->machine != machine))
		return 0;
	read_list(machine, group, &l);
	for (size_t i = 0; i < l.nr; i++) {
		size_t room = len < size ? size - len : 0;

		len += (size_t)snprintf(room ? buf + len : NULL, room, "%s %lld\n",
					l.counters[i].name, (long long)l.counters[i].value);
	}
	return len;
}
