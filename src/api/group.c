/* SPDX-License-Identifier: MIT */
/*
 * Groups: memory cgroups under a handle.
 *
 * Reclaim walks the tree of groups without a lock, and shadow entries name groups by number, so the
 * engine's struct of a group stays until the machine is closed. A group that is destroyed goes
 * offline: what it still holds, pages of files that others may be using, stays charged to it and so
 * to its parent, whose figures and limit do not change, and is reclaimed there. Once that has gone,
 * the struct serves the next group made under the same parent.
 */
#include "api/internal.h"

#include <stdlib.h>

/* A group of the engine that nobody has a handle of. */
struct former {
	struct list_head link; /* machine->lock: machine->former */
	struct memcg *memcg;
};

void rcl_group_use(struct rcl_group *group, int n)
{
	if (group)
		group->users += (u64)(s64)n;
}

/* One that has emptied, if there is one. machine->lock is held. */
static struct memcg *use_again(struct rcl_machine *machine, struct memcg *parent, const char *name)
{
	struct former *f;

	list_for_each (f, &machine->former, link) {
		struct memcg *memcg = f->memcg;

		if (memcg->parent != parent || rcl_memcg_revive(machine->m, memcg, name))
			continue;
		list_del(&f->link);
		free(f);
		return memcg;
	}
	return NULL;
}

static int make(struct rcl_machine *machine, struct rcl_group *parent, const char *name,
		struct rcl_group *group)
{
	struct memcg *above = parent ? parent->memcg : machine->m->root_memcg;
	int err = 0;

	pthread_mutex_lock(&machine->lock);
	group->memcg = use_again(machine, above, name);
	if (!group->memcg)
		err = rcl_memcg_create(machine->m, above, name, &group->memcg);
	if (!err) {
		group->machine = machine;
		group->parent = parent;
		list_add_tail(&group->link, &machine->groups);
		rcl_group_use(parent, 1);
	}
	pthread_mutex_unlock(&machine->lock);
	return err;
}

int rcl_group_create(struct rcl_machine *machine, struct rcl_group *parent, const char *name,
		     struct rcl_group **out)
{
	struct rcl_group *group;
	struct task *t;
	int err;

	*out = NULL;
	if (!api_is_alive(machine))
		return -ECHILD;
	if (!name || !*name || (parent && parent->machine != machine))
		return -EINVAL;
	group = calloc(1, sizeof(*group));
	if (!group)
		return -ENOMEM;
	t = api_enter(machine, NULL);
	if (!t) {
		free(group);
		return -ENOMEM;
	}
	err = make(machine, parent, name, group);
	api_leave(machine, t);
	if (err) {
		free(group);
		return err;
	}
	*out = group;
	return 0;
}

int rcl_group_destroy(struct rcl_group *group)
{
	struct rcl_machine *machine = group->machine;
	struct former *f;
	struct task *t;

	if (!api_is_alive(machine))
		return -ECHILD;
	f = malloc(sizeof(*f));
	t = api_enter(machine, NULL);
	if (!f || !t) {
		free(f);
		if (t)
			api_leave(machine, t);
		return -ENOMEM;
	}
	pthread_mutex_lock(&machine->lock);
	if (group->users) {
		pthread_mutex_unlock(&machine->lock);
		free(f);
		api_leave(machine, t);
		return -EBUSY;
	}
	list_del(&group->link);
	rcl_group_use(group->parent, -1);
	rcl_memcg_offline(machine->m, group->memcg);
	f->memcg = group->memcg;
	list_add_tail(&f->link, &machine->former);
	pthread_mutex_unlock(&machine->lock);
	api_leave(machine, t);
	free(group);
	return 0;
}

int rcl_group_set_max(struct rcl_group *group, uint64_t bytes)
{
	struct rcl_machine *machine = group->machine;
	struct task *t;
	int err;

	if (!api_is_alive(machine))
		return -ECHILD;
	t = api_enter(machine, NULL);
	if (!t)
		return -ENOMEM;
	err = rcl_memcg_set_max(machine->m, group->memcg,
				bytes == RCL_UNLIMITED ? MEMCG_MAX : bytes);
	api_leave(machine, t);
	rcl_memory_freed(machine);
	if (!err && rcl_group_usage(group) > bytes)
		err = -EBUSY;
	return err;
}

uint64_t rcl_group_usage(const struct rcl_group *group)
{
	s64 pages = group ? shared_read(&group->memcg->usage) : 0;

	return pages > 0 ? (u64)pages << PAGE_SHIFT : 0;
}

uint64_t rcl_group_reclaim(struct rcl_group *group, uint64_t bytes)
{
	struct rcl_machine *machine = group->machine;
	struct task *t;
	u64 gone;

	if (!api_is_alive(machine))
		return 0;
	t = api_enter(machine, NULL);
	if (!t)
		return 0;
	gone = rcl_memcg_reclaim(machine->m, group->memcg, bytes);
	api_leave(machine, t);
	return gone;
}
