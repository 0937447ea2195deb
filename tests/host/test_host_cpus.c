/* SPDX-License-Identifier: MIT */
/* How many processors the process may keep busy: affinity, and the quotas of its cgroups. */
#define _GNU_SOURCE 1 /* sched_setaffinity */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sched.h>
#include <unistd.h>

#include "platform/host/cpus.h"

#include <cmocka.h>

#include "../folder.h"

#define NONE UINT32_MAX

static char root[TEST_FOLDER_SIZE];

/* A file in the test's own /proc or /sys. */
static void put(const char *path, const char *text)
{
	char command[TEST_FOLDER_SIZE + 512];

	snprintf(command, sizeof(command),
		 "mkdir -p \"$(dirname '%s%s')\" && printf %%b '%s' > '%s%s'", root, path, text,
		 root, path);
	assert_int_equal(system(command), 0);
}

static int set_up(void **state)
{
	(void)state;
	return test_folder_make(root) ? 0 : -1;
}
static int tear_down(void **state)
{
	char command[TEST_FOLDER_SIZE + 16];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

static u32 quota(void)
{
	return rcl_host_quota_cpus(root);
}

static void nothing_to_read(void **state)
{
	(void)state;
	assert_int_equal(quota(), NONE);
	put("/proc/self/cgroup", "0::/a\\n");
	assert_int_equal(quota(), NONE);
	put("/proc/self/cgroup", "rubbish\\n1:x\\n\\n::\\n");
	put("/sys/fs/cgroup/cpu.max", "");
	assert_int_equal(quota(), NONE);
	put("/sys/fs/cgroup/cpu.max", "rubbish\\n");
	assert_int_equal(quota(), NONE);
	put("/sys/fs/cgroup/cpu.max", "0 0\\n");
	assert_int_equal(quota(), NONE);
}

static void version_2(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "0::/a/b/c\\n");
	put("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\\n");
	assert_int_equal(quota(), NONE);
	put("/sys/fs/cgroup/a/b/c/cpu.max", "400000 100000\\n");
	assert_int_equal(quota(), 4);
	/* A bit more is another processor. */
	put("/sys/fs/cgroup/a/b/c/cpu.max", "400001 100000\\n");
	assert_int_equal(quota(), 5);
	put("/sys/fs/cgroup/a/b/c/cpu.max", "1000 100000\\n");
	assert_int_equal(quota(), 1);
	put("/sys/fs/cgroup/a/b/c/cpu.max", "150000 50000\\n");
	assert_int_equal(quota(), 3);
	/* The least of all above counts. b has no such file. */
	put("/sys/fs/cgroup/a/cpu.max", "200000 100000\\n");
	assert_int_equal(quota(), 2);
	put("/sys/fs/cgroup/a/cpu.max", "900000 100000\\n");
	assert_int_equal(quota(), 3);
	put("/sys/fs/cgroup/other/cpu.max", "1000 100000\\n");
	assert_int_equal(quota(), 3);
}

/* It sees its own cgroup as the root, and its path may be the system's. */
static void in_a_container(void **state)
{
	(void)state;
	put("/sys/fs/cgroup/cpu.max", "250000 100000\\n");
	put("/proc/self/cgroup", "0::/\\n");
	assert_int_equal(quota(), 3);
	put("/proc/self/cgroup", "0::/kubepods/pod1/x\\n");
	assert_int_equal(quota(), 3);
	put("/sys/fs/cpu.max", "1 100000\\n");
	put("/sys/cpu.max", "1 100000\\n");
	put("/proc/self/cgroup", "0::/../../x\\n");
	assert_int_equal(quota(), 3);
}

static void version_1(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "5:cpuset:/a\\n4:cpu,cpuacct:/a/b\\n0::/a\\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\\n");
	put("/sys/fs/cgroup/cpuset/a/cpu.cfs_quota_us", "1\\n");
	put("/sys/fs/cgroup/cpuset/a/cpu.cfs_period_us", "100000\\n");
	assert_int_equal(quota(), NONE);
	put("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "600000\\n");
	assert_int_equal(quota(), 6);
	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "250000\\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "50000\\n");
	assert_int_equal(quota(), 5);
	/* A controller by itself, after a name that begins like it. */
	put("/proc/self/cgroup", "2:cpuacct:/a\\n1:cpu:/a\\n");
	put("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "100000\\n");
	put("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\\n");
	assert_int_equal(quota(), 1);
}

static void paths_that_are_too_long(void **state)
{
	static char line[8000], path[9000];
	FILE *f;

	(void)state;
	put("/proc/self/cgroup", "");
	put("/sys/fs/cgroup/cpu.max", "200000 100000\\n");
	memset(line, 'a', sizeof(line) - 1);
	for (size_t i = 0; i < sizeof(line) - 1; i += 100)
		line[i] = '/';
	for (size_t length = 3000; length < sizeof(line); length += 97) {
		snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
		f = fopen(path, "w");
		fprintf(f, "0::%.*s\n", (int)length, line);
		fclose(f);
		assert_int_equal(quota(), 2);
	}
}

static void affinity(void **state)
{
	cpu_set_t all, one;
	u32 here = rcl_host_usable_cpus();

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	assert_in_range(here, 1, CPU_COUNT(&all));
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&one); cpu++)
		if (CPU_ISSET(cpu, &all))
			CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(rcl_host_usable_cpus(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	assert_int_equal(rcl_host_usable_cpus(), here);
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(nothing_to_read), IN_FOLDER(version_2),
		IN_FOLDER(in_a_container),  IN_FOLDER(version_1),
		IN_FOLDER(affinity),	    IN_FOLDER(paths_that_are_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
