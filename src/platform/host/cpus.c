/* SPDX-License-Identifier: MIT */
/*
 * How many processors the process may keep busy: those of its affinity, and no more than its cgroups
 * have time for.
 *
 * A cgroup has a quota of processor time for each period: cpu.max in version 2, cpu.cfs_quota_us and
 * cpu.cfs_period_us in version 1. Its ancestors have theirs, and the least counts. A process in a
 * container may see the hierarchy from its own cgroup on, and its path from the system's root all
 * the same: so what is not there of the path is passed over, down to where the hierarchy is mounted.
 *
 * That is at /sys/fs/cgroup, or for one controller in a folder of its own there, as everybody has
 * it. Quotas can be changed at any time; this is how it is now.
 */
#define _GNU_SOURCE 1 /* sched_getaffinity */
#include "platform/host/cpus.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define MOUNT "/sys/fs/cgroup"

/* The first line of a file; false: there is none. */
static bool read_line(const char *path, char *line, int size)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(line, size, f);

	if (f)
		fclose(f);
	return ok;
}

static u32 cpus_of(long long quota, long long period)
{
	if (quota <= 0 || period <= 0)
		return UINT32_MAX;
	return (u32)min((quota - 1) / period + 1, (long long)UINT32_MAX);
}

/* "max 100000", "150000 100000": the period is the kernel's default when it is missing. */
static u32 quota_v2(const char *cgroup)
{
	long long quota, period = 100000;
	char path[PATH_MAX + 32], line[64];

	snprintf(path, sizeof(path), "%s/cpu.max", cgroup);
	if (!read_line(path, line, sizeof(line)) || sscanf(line, "%lld %lld", &quota, &period) < 1)
		return UINT32_MAX;
	return cpus_of(quota, period);
}

static u32 quota_v1(const char *cgroup)
{
	char path[PATH_MAX + 32], line[64];
	long long quota, period;

	snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", cgroup);
	if (!read_line(path, line, sizeof(line)) || sscanf(line, "%lld", &quota) != 1)
		return UINT32_MAX;
	snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", cgroup);
	if (!read_line(path, line, sizeof(line)) || sscanf(line, "%lld", &period) != 1)
		return UINT32_MAX;
	return cpus_of(quota, period);
}

/* The least quota of a cgroup and of those above it. */
static u32 least_quota(const char *root, const char *folder, const char *name,
		       u32 (*quota)(const char *cgroup))
{
	char path[PATH_MAX];
	u32 least = UINT32_MAX;
	int mount = snprintf(path, sizeof(path), "%s" MOUNT "%s", root, folder);

	/* One outside of what is mounted shows its way there. */
	if (strstr(name, "/.."))
		name = "";
	if (snprintf(path + mount, sizeof(path) - (size_t)mount, "%s", name) >=
	    (int)sizeof(path) - mount)
		path[mount] = 0;
	for (;;) {
		char *last = strrchr(path + mount, '/');

		least = min(least, quota(path));
		if (!last)
			return least;
		*last = 0;
	}
}

/* Is "cpu" in "cpu,cpuacct"? */
static bool has_cpu(const char *controllers)
{
	for (const char *c = controllers; c; c = strchr(c, ',') ? strchr(c, ',') + 1 : NULL)
		if (!strncmp(c, "cpu", 3) && (!c[3] || c[3] == ','))
			return true;
	return false;
}

/* A line of /proc/self/cgroup, "4:cpu,cpuacct:/a/b" or "0::/a/b". */
static u32 quota_of_line(const char *root, char *line)
{
	char *controllers = strchr(line, ':'), *name, folder[128];
	u32 least;

	name = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!name)
		return UINT32_MAX;
	*controllers++ = 0;
	*name++ = 0;
	name[strcspn(name, "\n")] = 0;
	if (!*controllers) {
		least = least_quota(root, "", name, quota_v2);
		return min(least, least_quota(root, "/unified", name, quota_v2));
	}
	if (!has_cpu(controllers))
		return UINT32_MAX;
	least = least_quota(root, "/cpu", name, quota_v1);
	if (snprintf(folder, sizeof(folder), "/%s", controllers) < (int)sizeof(folder))
		least = min(least, least_quota(root, folder, name, quota_v1));
	return least;
}

u32 rcl_host_quota_cpus(const char *root)
{
	char path[PATH_MAX], line[PATH_MAX];
	u32 least = UINT32_MAX;
	FILE *f;

	if (snprintf(path, sizeof(path), "%s/proc/self/cgroup", root) >= PATH_MAX / 2)
		return least;
	f = fopen(path, "re");
	if (!f)
		return least;
	while (fgets(line, sizeof(line), f))
		least = min(least, quota_of_line(root, line));
	fclose(f);
	return least;
}

/* That the calling thread may use; the others are taken to be like it. */
static u32 affinity_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : (u32)CPU_COUNT(&set);
}

u32 rcl_host_usable_cpus(void)
{
	return max(min(affinity_cpus(), rcl_host_quota_cpus("")), 1u);
}
