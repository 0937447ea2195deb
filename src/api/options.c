/* SPDX-License-Identifier: MIT */
/*
 * What a machine is opened with: defaults, and what can be said against it before the system has
 * been asked for anything. Each complaint names the option and the value, so that a program can
 * show it to its user as it is.
 *
 * The caller may have been compiled with another version's struct. A smaller one lacks fields of
 * ours, which have their defaults then; a larger one has fields that we do not know, and they must
 * be zero, since they would be ignored.
 */
#define _GNU_SOURCE 1
#include "api/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_BUDGET   ((u64)UINT32_MAX << (PAGE_SHIFT - 1)) /* half of what frame numbers reach */
#define MAX_SWAP     (1ull << 50)
#define MAX_IO_DEPTH 4096u
#define MAX_IO_SPIN  10000 /* us */
#define ALL_FLAGS                                                                                  \
	(RCL_OPEN_NO_URING | RCL_OPEN_PREALLOCATE_SWAP | RCL_OPEN_PUNCH_SWAP | RCL_OPEN_STATS |    \
	 RCL_OPEN_PREALLOCATE)

int rcl_api_fail(char **message, int err, const char *format, ...)
{
	va_list ap;

	if (!message)
		return err;
	va_start(ap, format);
	if (vasprintf(message, format, ap) < 0)
		*message = NULL;
	va_end(ap);
	return err;
}

/* As many fields as the caller's struct has; our defaults for the rest. */
static int copy_options(const struct rcl_options *from, struct rcl_options *to, char **message)
{
	const size_t oldest = offsetof(struct rcl_options, metrics) + sizeof(from->metrics);

	*to = (struct rcl_options)RCL_OPTIONS_INIT;
	if (!from)
		return rcl_api_fail(message, -EINVAL, "options: there are none");
	if (from->size < oldest)
		return rcl_api_fail(
			message, -EINVAL,
			"size: %zu is less than struct rcl_options ever had; start from "
			"RCL_OPTIONS_INIT",
			from->size);
	memcpy(to, from, min(from->size, sizeof(*to)));
	for (size_t i = sizeof(*to); i < from->size; i++)
		if (((const char *)from)[i])
			return rcl_api_fail(message, -EINVAL,
					    "size: %zu: an option is set that this version of the "
					    "library, %s, does not know",
					    from->size, rcl_version());
	to->size = sizeof(*to);
	return 0;
}

static int check_swap(const struct rcl_options *o, char **message)
{
	if (o->swap_path && o->swap_dir)
		return rcl_api_fail(message, -EINVAL,
				    "swap_path '%s' and swap_dir '%s': only one can be given",
				    o->swap_path, o->swap_dir);
	if (!o->swap_size && (o->swap_path || o->swap_dir))
		return rcl_api_fail(message, -EINVAL, "%s '%s' is given, but swap_size is 0",
				    o->swap_path ? "swap_path" : "swap_dir",
				    o->swap_path ? o->swap_path : o->swap_dir);
	if (o->swap_size && o->swap_size < 2 * PAGE_SIZE)
		return rcl_api_fail(message, -EINVAL,
				    "swap_size: %llu bytes is less than two pages, %lu",
				    (unsigned long long)o->swap_size, 2 * PAGE_SIZE);
	if (o->swap_size > MAX_SWAP)
		return rcl_api_fail(message, -EINVAL, "swap_size: %llu bytes is more than %llu",
				    (unsigned long long)o->swap_size, MAX_SWAP);
	return 0;
}

int rcl_options_check(const struct rcl_options *options, struct rcl_options *o, char **message)
{
	int err = copy_options(options, o, message);

	if (err)
		return err;
	if (o->budget < RCL_MIN_BUDGET)
		return rcl_api_fail(message, -EINVAL,
				    "budget: %llu bytes is less than the least that works, %llu",
				    (unsigned long long)o->budget, RCL_MIN_BUDGET);
	if (o->budget > MAX_BUDGET)
		return rcl_api_fail(message, -EINVAL, "budget: %llu bytes is more than %llu",
				    (unsigned long long)o->budget, (unsigned long long)MAX_BUDGET);
	if (o->flags & ~(u32)ALL_FLAGS)
		return rcl_api_fail(message, -EINVAL, "flags: %#x has bits that mean nothing: %#x",
				    o->flags, o->flags & ~(u32)ALL_FLAGS);
	if (o->io_depth > MAX_IO_DEPTH)
		return rcl_api_fail(message, -EINVAL, "io_depth: %u is more than %u", o->io_depth,
				    MAX_IO_DEPTH);
	if (o->io_spin_us < -1 || o->io_spin_us > MAX_IO_SPIN)
		return rcl_api_fail(message, -EINVAL, "io_spin_us: %d is not in -1 to %d",
				    o->io_spin_us, MAX_IO_SPIN);
	if (o->nr_cpus > RCL_MAX_CPUS)
		return rcl_api_fail(message, -EINVAL, "nr_cpus: %u is more than %d", o->nr_cpus,
				    RCL_MAX_CPUS);
	return check_swap(o, message);
}
