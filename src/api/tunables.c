/* SPDX-License-Identifier: MIT */
/*
 * Tunables by name: the engine's table but for what only a simulation has a use for.
 *
 * The engine reads a tunable as a plain word whenever it needs it, and a change takes effect with
 * the next look; watermarks and the like, which are computed from tunables, are computed anew. Two
 * changes at once are made one after the other.
 */
#include "api/internal.h"

static bool is_public(const struct rcl_tunable_info *info)
{
	return strncmp(info->name, "sim.", 4) && strcmp(info->name, "debug.check_every");
}

void rcl_api_tunables_defaults(struct tunables *t)
{
	rcl_tunables_defaults(t);
	/* Nobody is killed here; who asks for memory that is not there is told so. */
	t->memcg_oom = 0;
	t->nr_inodes = 0;
	/*
	 * A boost keeps up to a pageblock of 2 MiB more free for a while, for compaction to make huge
	 * pages of. There are none here, and in a small budget it is a good part of all memory.
	 */
	t->watermark_boost_factor = 0;
}

bool rcl_tunable_info(size_t i, struct rcl_tunable *out)
{
	struct tunables defaults;

	rcl_api_tunables_defaults(&defaults);
	for (const struct rcl_tunable_info *info = rcl_tunable_table(); info->name; info++) {
		if (!is_public(info) || i--)
			continue;
		*out = (struct rcl_tunable){.name = info->name,
					    .unit = info->unit,
					    .help = info->help,
					    .min = info->min,
					    .max = info->max,
					    .default_value = rcl_tunables_get(&defaults, info)};
		return true;
	}
	return false;
}

static const struct rcl_tunable_info *find(const char *name)
{
	const struct rcl_tunable_info *info = name ? rcl_tunable_find(name, NULL) : NULL;

	return info && is_public(info) ? info : NULL;
}

int rcl_tunable_set(struct rcl_machine *machine, const char *name, int64_t value)
{
	const struct rcl_tunable_info *info;
	struct task *t;
	int err;

	if (!api_is_alive(machine))
		return -ECHILD;
	info = find(name);
	if (!info)
		return -ENOENT;
	t = api_enter(machine, NULL);
	if (!t)
		return -ENOMEM;
	pthread_mutex_lock(&machine->lock);
	err = rcl_tunables_set(&machine->m->tun, info->name, value);
	if (!err)
		rcl_tunables_apply(machine->m);
	pthread_mutex_unlock(&machine->lock);
	api_leave(machine, t);
	return err;
}

int rcl_tunable_get(struct rcl_machine *machine, const char *name, int64_t *value)
{
	const struct rcl_tunable_info *info;

	if (!api_is_alive(machine))
		return -ECHILD;
	info = find(name);
	if (!info)
		return -ENOENT;
	*value = rcl_tunables_get(&machine->m->tun, info);
	return 0;
}
