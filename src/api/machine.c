/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing a machine.
 *
 *   options     checked and completed (options.c)
 *   host        the arena, threads, I/O
 *   engine      one node with one zone, Normal: what the budget is good for is up to the program,
 *               so no part of it is set aside for devices that can only address so much
 *   swap        a device of the host, all of it one swap area
 *   observers   statistics page, metrics
 *
 * Closing goes the other way. In a forked child none of the threads exist and the arena is not
 * mapped: it only gives back what it inherited and waits for nobody.
 */
#define _GNU_SOURCE 1
#include "api/internal.h"

#include <stdlib.h>

#include "api/observe.h"
#include "api/punch.h"
#include "mm/swap.h"

#define STR_(x) #x
#define STR(x)	STR_(x)

const char *rcl_version(void)
{
	return STR(RCL_VERSION_MAJOR) "." STR(RCL_VERSION_MINOR) "." STR(RCL_VERSION_PATCH);
}

const char *rcl_strerror(int error)
{
	switch (error < 0 ? -error : error) {
	case 0:
		return "no error";
	case ENOMEM:
		return "the budget or the group's limit is full and nothing in it can go";
	case EIO:
		return "a page could not be read or written, or its checksum did not match";
	case ENOSPC:
		return "no space left on the disk, or no more groups";
	case ERANGE:
		return "beyond the end of the area, or out of the range of values";
	case EACCES:
		return "not allowed, or the area was opened for reading only";
	case EAGAIN:
		return "it would have had to wait";
	case ENODATA:
		return "the page holds nothing";
	case EBUSY:
		return "still in use: pinned pages, open areas or groups, or another process";
	case EINVAL:
		return "an argument makes no sense";
	case ENOENT:
		return "no such file, or no such name";
	case EFBIG:
		return "the file is larger than an area can be";
	case ECHILD:
		return "the machine belongs to the process that this one was forked from";
	}
	return strerrordesc_np(error < 0 ? -error : error) ?: "unknown error";
}

/* ---- opening ------------------------------------------------------------------------------- */

/* About what fast disks take. */
#define DEFAULT_SPIN_NS (100 * 1000)

static u64 spin_ns(int32_t us)
{
	return us < 0 ? 0 : us ? (u64)us * 1000 : DEFAULT_SPIN_NS;
}

static int open_host(struct rcl_machine *machine, const struct rcl_options *o,
		     struct rcl_host_faults *faults, char **message)
{
	u64 frames = o->budget >> PAGE_SHIFT;
	struct rcl_host_config cfg = {
		/* A zone begins and ends with whole blocks of the largest order. */
		.nr_frames = frames + 3ull * (1u << (MAX_ORDER - 1)),
		.nr_cpus = o->nr_cpus,
		.io_depth = o->io_depth,
		.spin_ns = spin_ns(o->io_spin_us),
		.no_uring = o->flags & RCL_OPEN_NO_URING,
		.populate = o->flags & RCL_OPEN_PREALLOCATE,
		.faults = faults,
	};
	int err = rcl_host_create(&cfg, &machine->host);

	if (err)
		return rcl_api_fail(message, err,
				    "budget: the system does not give %llu bytes of memory: %s",
				    (unsigned long long)o->budget, strerrordesc_np(-err));
	machine->arena = rcl_host_arena(machine->host);
	return 0;
}

static int open_engine(struct rcl_machine *machine, const struct rcl_options *o, char **message)
{
	struct rcl_machine_config cfg = {
		.plat = rcl_host_platform(machine->host),
		.nr_cpus = rcl_host_nr_cpus(machine->host),
		.nr_nodes = 1,
	};
	int err;

	cfg.nodes[0].managed[ZONE_NORMAL] = o->budget >> PAGE_SHIFT;
	rcl_api_tunables_defaults(&cfg.tunables);
	err = rcl_machine_open(&cfg, &machine->m);
	if (err)
		return rcl_api_fail(message, err, "budget: the tables for %llu bytes: %s",
				    (unsigned long long)o->budget, strerrordesc_np(-err));
	machine->m->quiet = true;
	return 0;
}

static u32 swap_flags(const struct rcl_options *o)
{
	return RCL_HOST_WRITE | (o->flags & RCL_OPEN_PREALLOCATE_SWAP ? RCL_HOST_PREALLOCATE : 0) |
	       (o->flags & RCL_OPEN_PUNCH_SWAP ? RCL_HOST_PUNCH : 0);
}

static int open_swap(struct rcl_machine *machine, const struct rcl_options *o, char **message)
{
	const char *option = o->swap_path ? "swap_path" : "swap_dir";
	const char *where = o->swap_path ?: o->swap_dir ?: "(none)";
	bool punch = o->flags & RCL_OPEN_PUNCH_SWAP;
	struct rcl_host_device_info info;
	int dev, err;

	if (!o->swap_size)
		return 0;
	dev = rcl_host_open_swap(machine->host, o->swap_path, o->swap_dir, o->swap_size,
				 swap_flags(o));
	if (dev < 0)
		return rcl_api_fail(message, dev, "%s '%s', swap_size %llu: %s", option, where,
				    (unsigned long long)o->swap_size, strerrordesc_np(-dev));
	machine->swap_dev = dev;
	machine->swap_size = o->swap_size;
	rcl_host_device_info(machine->host, (u16)dev, &info);
	err = rcl_swapon(machine->m, (u16)dev, o->swap_size >> PAGE_SHIFT, -1,
			 (info.rotational ? 0 : SWAP_SOLIDSTATE) | (punch ? SWAP_PUNCH : 0));
	if (!err && punch)
		err = rcl_puncher_start(machine);
	if (err)
		return rcl_api_fail(message, err, "swap_size: the tables for %llu bytes: %s",
				    (unsigned long long)o->swap_size, strerrordesc_np(-err));
	return 0;
}

static void fill_stats(void *arg, struct rcl_stats *stats)
{
	rcl_stats_read(arg, NULL, stats);
}

static int open_observer(struct rcl_machine *machine, const struct rcl_options *o, char **message)
{
	struct rcl_observe_config cfg = {
		.m = machine->m,
		.name = machine->name,
		.metrics = o->metrics,
		.page = o->flags & RCL_OPEN_STATS,
		.stats = fill_stats,
		.arg = machine,
	};

	return rcl_observe_start(&cfg, &machine->observer, message);
}

static void free_machine(struct rcl_machine *machine)
{
	pthread_mutex_destroy(&machine->lock);
	free(machine->name);
	free(machine);
}

/* What has been opened of it is closed. */
static void close_parts(struct rcl_machine *machine)
{
	rcl_puncher_stop(machine);
	if (machine->m)
		rcl_machine_close(machine->m);
	if (machine->swap_dev >= 0)
		rcl_host_close_device(machine->host, (u16)machine->swap_dev);
	if (machine->host)
		rcl_host_destroy(machine->host);
	while (!list_empty(&machine->former)) {
		struct list_head *l = machine->former.next;

		list_del(l);
		free(l); /* its first member */
	}
	free_machine(machine);
}

static struct rcl_machine *alloc_machine(const char *name)
{
	struct rcl_machine *machine = calloc(1, sizeof(*machine));

	if (!machine)
		return NULL;
	machine->name = strdup(name);
	if (!machine->name) {
		free(machine);
		return NULL;
	}
	pthread_mutex_init(&machine->lock, NULL);
	list_init(&machine->groups);
	list_init(&machine->areas);
	list_init(&machine->backings);
	list_init(&machine->former);
	machine->swap_dev = -1;
	return machine;
}

int rcl_open_with_faults(const struct rcl_options *options, struct rcl_host_faults *faults,
			 struct rcl_machine **out, char **message)
{
	struct rcl_machine *machine;
	struct rcl_options o;
	struct task *t;
	API_UNCANCELLED;
	int err;

	*out = NULL;
	if (message)
		*message = NULL;
	err = rcl_options_check(options, &o, message);
	if (err)
		return err;
	machine = alloc_machine(o.name ?: program_invocation_short_name);
	if (!machine)
		return rcl_api_fail(message, -ENOMEM, "out of memory");
	machine->budget = o.budget & ~(u64)(PAGE_SIZE - 1);
	err = open_host(machine, &o, faults, message);
	if (!err)
		err = open_engine(machine, &o, message);
	if (!err) {
		t = api_enter(machine, NULL);
		err = t ? open_swap(machine, &o, message)
			: rcl_api_fail(message, -ENOMEM, "out of memory");
		if (t)
			api_leave(machine, t);
	}
	if (!err)
		err = open_observer(machine, &o, message);
	if (err) {
		close_parts(machine);
		return err;
	}
	*out = machine;
	return 0;
}

int rcl_open(const struct rcl_options *options, struct rcl_machine **out, char **message)
{
	return rcl_open_with_faults(options, NULL, out, message);
}

/* ---- closing ------------------------------------------------------------------------------- */

void rcl_machine_close_device(struct rcl_machine *machine, int dev)
{
	struct rcl_host_device_info info;

	rcl_host_device_info(machine->host, (u16)dev, &info);
	pthread_mutex_lock(&machine->lock);
	machine->past_errors += info.errors;
	machine->past_checksum_errors += info.checksum_errors;
	pthread_mutex_unlock(&machine->lock);
	rcl_host_close_device(machine->host, (u16)dev);
}

/* The child of a fork: threads and arena are its parent's; what was allocated is its own copy. */
static int close_in_child(struct rcl_machine *machine)
{
	rcl_events_forget(machine);
	rcl_observe_stop(machine->observer);
	rcl_puncher_stop(machine);
	rcl_host_destroy(machine->host);
	free(machine->name);
	free(machine);
	return -ECHILD;
}

int rcl_close(struct rcl_machine *machine)
{
	API_UNCANCELLED;
	bool busy;

	if (!machine)
		return 0;
	if (!api_is_alive(machine))
		return close_in_child(machine);
	pthread_mutex_lock(&machine->lock);
	busy = !list_empty(&machine->areas) || !list_empty(&machine->groups) || machine->nr_blocks;
	pthread_mutex_unlock(&machine->lock);
	if (busy)
		return -EBUSY;
	rcl_observe_stop(machine->observer);
	rcl_events_stop(machine);
	close_parts(machine);
	return 0;
}
