/* SPDX-License-Identifier: MIT */
/* Whole runs of small workloads: what must hold whatever the kernel's policy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/sim/sim.h"
#include "sim/driver.h"
#include "trace/gen.h"

#define MIB (1ull << 20)

static const char mixed[] = "seed 3\nanon 1500\nfile 1500\n"
			    "phase 1500\nstream 1 anon scan 1 1\n"
			    "phase 20000\n"
			    "stream 0.5 anon zipf 0.9 0.3\n"
			    "stream 0.3 pread zipf 0.8 0.4\n"
			    "stream 0.2 mmap uniform 0 0.3\n";

static struct rcl_trace_image *generate(const char *spec)
{
	struct rcl_trace_image *image = NULL;
	struct rcl_error err = {""};

	if (rcl_gen_image(spec, strlen(spec), "spec", &image, &err))
		fail_msg("%s", err.text);
	return image;
}

static void run(const struct rcl_sim_request *req, struct rcl_sim_result *res)
{
	struct rcl_error err = {""};

	if (rcl_sim_run(req, res, &err))
		fail_msg("%s", err.text);
}

static struct rcl_sim_request request(const struct rcl_trace_image *trace, u64 limit)
{
	struct rcl_sim_request req;

	rcl_sim_request_init(&req, trace);
	req.limit = limit;
	req.swap = rcl_sim_auto_swap(trace);
	req.seed = 1;
	return req;
}

static void assert_same(const struct rcl_sim_result *a, const struct rcl_sim_result *b)
{
	assert_int_equal(a->outcome, b->outcome);
	assert_int_equal(a->run_ns, b->run_ns);
	assert_int_equal(a->vmstat.nr, b->vmstat.nr);
	for (size_t i = 0; i < a->vmstat.nr; i++) {
		assert_string_equal(a->vmstat.end[i].name, b->vmstat.end[i].name);
		assert_int_equal(a->vmstat.start[i].value, b->vmstat.start[i].value);
		assert_int_equal(a->vmstat.end[i].value, b->vmstat.end[i].value);
	}
	for (size_t i = 0; i < a->memory_stat.nr; i++)
		assert_int_equal(a->memory_stat.end[i].value, b->memory_stat.end[i].value);
	assert_memory_equal(a->lists, b->lists, sizeof(a->lists));
	assert_memory_equal(a->timeline, b->timeline, sizeof(a->timeline));
}

static void enough_memory_needs_no_reclaim(void **state)
{
	struct rcl_trace_image *trace = generate(mixed);
	struct rcl_sim_request req = request(trace, 64 * MIB);
	struct rcl_sim_result res;

	(void)state;
	run(&req, &res);
	assert_int_equal(res.outcome, RCL_SIM_COMPLETED);
	assert_int_equal(res.accesses, 21500);
	assert_int_equal(rcl_sim_delta(&res.vmstat, "pgscan_anon"), 0);
	assert_int_equal(rcl_sim_delta(&res.vmstat, "pgscan_file"), 0);
	assert_int_equal(rcl_sim_delta(&res.vmstat, "pswpout"), 0);
	assert_int_equal(rcl_sim_delta(&res.vmstat, "workingset_refault_file"), 0);
	/* Every anonymous page is there; every file page was read once. */
	assert_int_equal(rcl_sim_delta(&res.vmstat, "nr_anon_pages"), 1500);
	assert_int_equal(rcl_sim_delta(&res.vmstat, "nr_file_pages"),
			 trace->summary.footprint_pages - 1500);
	assert_true(res.usage_peak < 64 * MIB);
	rcl_sim_result_free(&res);
	rcl_trace_image_free(trace);
}

static void pressure_reclaims_within_the_limit(void **state)
{
	struct rcl_trace_image *trace = generate(mixed);
	struct rcl_sim_request req = request(trace, 5 * MIB);
	struct rcl_sim_result res;

	(void)state;
	run(&req, &res);
	assert_int_equal(res.outcome, RCL_SIM_COMPLETED);
	assert_true(res.usage_peak <= 5 * MIB);
	assert_true(rcl_sim_delta(&res.vmstat, "pgsteal_anon") > 0);
	assert_true(rcl_sim_delta(&res.vmstat, "pgsteal_file") > 0);
	assert_true(rcl_sim_delta(&res.vmstat, "pgscan_anon") >=
		    rcl_sim_delta(&res.vmstat, "pgsteal_anon"));
	/* Only what went out can come back. */
	assert_true(rcl_sim_delta(&res.vmstat, "workingset_refault_anon") <=
		    rcl_sim_delta(&res.vmstat, "pgsteal_anon"));
	assert_true(rcl_sim_delta(&res.vmstat, "workingset_refault_file") <=
		    rcl_sim_delta(&res.vmstat, "pgsteal_file"));
	assert_true(rcl_sim_delta(&res.vmstat, "pswpout") > 0);
	/* The group's list sizes are the machine's: it is alone in it. */
	assert_int_equal(res.lists[0], rcl_sim_end(&res.vmstat, "nr_inactive_anon"));
	assert_int_equal(res.lists[3], rcl_sim_end(&res.vmstat, "nr_active_file"));
	assert_true(res.stall_ns > 0 && res.stall_ns < res.run_ns);
	assert_true(res.full_stall_ns <= res.stall_ns);

	u64 sum = 0;

	for (size_t i = 0; i < RCL_SIM_TIMELINE; i++)
		sum += res.timeline[i];
	assert_int_equal(sum, res.stall_ns);
	rcl_sim_result_free(&res);
	rcl_trace_image_free(trace);
}

static void the_same_request_gives_the_same_result(void **state)
{
	struct rcl_trace_image *trace = generate(mixed);
	struct rcl_sim_request req = request(trace, 4 * MIB);
	struct rcl_sim_result a, b, checked;

	(void)state;
	run(&req, &a);
	run(&req, &b);
	assert_same(&a, &b);
	/* Looking does not change anything. */
	req.check = true;
	req.tunables.check_every = 5000;
	run(&req, &checked);
	assert_int_equal(checked.outcome, RCL_SIM_COMPLETED);
	assert_same(&a, &checked);
	rcl_sim_result_free(&a);
	rcl_sim_result_free(&b);
	rcl_sim_result_free(&checked);
	rcl_trace_image_free(trace);
}

static void too_little_memory_is_an_oom_kill(void **state)
{
	struct rcl_trace_image *trace =
		generate("seed 1\nanon 2000\nphase 2000\nstream 1 anon scan 1 1\n");
	struct rcl_sim_request req = request(trace, 2 * MIB);
	struct rcl_sim_result res;

	(void)state;
	req.swap = 0;
	req.check = true;
	run(&req, &res);
	assert_int_equal(res.outcome, RCL_SIM_OOM);
	/* About 2 MiB of pages fit; the rest of the group's charge is tables and the program. */
	assert_in_range(res.bad_access, 300, 512);
	assert_int_equal(res.accesses, res.bad_access - 1);
	assert_int_equal(rcl_sim_delta(&res.vmstat, "oom_kill"), 1);
	rcl_sim_result_free(&res);

	req.limit = 0;
	run(&req, &res);
	assert_int_equal(res.outcome, RCL_SIM_OOM);
	assert_int_equal(res.bad_access, 1);
	rcl_sim_result_free(&res);
	rcl_trace_image_free(trace);
}

static void without_a_limit_kswapd_works(void **state)
{
	struct rcl_trace_image *trace = generate(mixed);
	struct rcl_sim_request req = request(trace, RCL_SIM_NO_LIMIT);
	struct rcl_sim_result res;

	(void)state;
	req.memory = 8 * MIB;
	req.check = true;
	run(&req, &res);
	assert_int_equal(res.outcome, RCL_SIM_COMPLETED);
	assert_int_equal(res.memory, 8 * MIB);
	assert_true(rcl_sim_delta(&res.vmstat, "pgsteal_kswapd") > 0);
	rcl_sim_result_free(&res);
	rcl_trace_image_free(trace);
}

static void the_machine_starts_as_told(void **state)
{
	struct rcl_trace_image *trace =
		generate("seed 1\nanon 10\nphase 10\nstream 1 anon scan 1 1\n");
	struct rcl_sim_request req = request(trace, 16 * MIB);
	struct rcl_sim_result res;

	(void)state;
	req.memory = 64 * MIB;
	req.start = (struct rcl_sim_start){
		.anon_pages = 20,
		.locked_pages = 17,
		.file_pages = 3,
		.kernel_pages = 30,
		.other_inactive_anon = 500,
		.other_active_anon = 200,
		.kernel_reclaimable = 300,
		.free_pages = 9000,
	};
	run(&req, &res);
	assert_int_equal(res.outcome, RCL_SIM_COMPLETED);

	const struct rcl_sim_counters *vm = &res.vmstat, *cg = &res.memory_stat;
	s64 free_pages = rcl_counter_get(vm->start, vm->nr, "nr_free_pages");

	assert_true(free_pages <= 9000 && free_pages > 9000 - 512);
	assert_int_equal(rcl_counter_get(cg->start, cg->nr, "anon"), 37 * PAGE_SIZE);
	assert_int_equal(rcl_counter_get(cg->start, cg->nr, "unevictable"), 17 * PAGE_SIZE);
	assert_int_equal(rcl_counter_get(cg->start, cg->nr, "file"), 3 * PAGE_SIZE);
	assert_int_equal(rcl_counter_get(cg->start, cg->nr, "kernel"), 30 * PAGE_SIZE);
	assert_int_equal(rcl_counter_get(vm->start, vm->nr, "nr_active_anon"), 200);
	assert_in_range(rcl_counter_get(vm->start, vm->nr, "nr_inactive_anon"), 490, 525);
	rcl_sim_result_free(&res);
	rcl_trace_image_free(trace);
}

/* Two tasks that share an anonymous region and a file, and one with a region of its own. */
static struct rcl_trace_image *tasks_image(uint64_t *words, size_t nr, struct rcl_region *regions,
					   struct rcl_region_summary *sums,
					   struct rcl_trace_task *tasks,
					   struct rcl_trace_image *image)
{
	uint64_t x = 88172645463325252ull;

	assert_int_equal(nr % 3, 0);
	for (uint32_t i = 0; i < 3; i++)
		tasks[i] = (struct rcl_trace_task){
			.first = nr / 3 * i,
			.count = nr / 3,
			.id = 3 * i,
			.process = i == 2,
			.parent = i,
		};

	regions[0] = (struct rcl_region){RCL_ACCESS_ANON, "shared", 600};
	regions[1] = (struct rcl_region){RCL_ACCESS_ANON, "own", 600};
	regions[2] = (struct rcl_region){RCL_ACCESS_FILE, "file", 600};
	for (size_t i = 0; i < nr; i++) {
		struct rcl_access a = {.pages = 1};

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		a.region = x >> 8 & 1 ? 2 : i / (nr / 3) == 2 ? 1 : 0;
		a.kind = a.region < 2 ? RCL_ACCESS_ANON
			 : x >> 9 & 1 ? RCL_ACCESS_FILE
				      : RCL_ACCESS_MMAP;
		a.write = x >> 10 & 1;
		a.page = (x >> 16) % 590;
		a.pages = (uint32_t)(1 + (x >> 40) % 10 * (x >> 50 & 1));
		words[i] = rcl_word_pack(&a);
	}
	for (int i = 0; i < 3; i++)
		sums[i] = (struct rcl_region_summary){.footprint = 600, .end = 600};
	*image = (struct rcl_trace_image){
		.words = words,
		.count = nr,
		.regions = regions,
		.region_summaries = sums,
		.nr_regions = 3,
		.tasks = tasks,
		.nr_tasks = 3,
		.nr_processes = 2,
		.format = "test",
		.summary = {.accesses = nr, .footprint_pages = 1800, .anon_pages = 1200},
	};
	return image;
}

static void several_tasks_share_what_they_share(void **state)
{
	static uint64_t words[30000];
	struct rcl_region regions[3];
	struct rcl_region_summary sums[3];
	struct rcl_trace_task tasks[3];
	struct rcl_trace_image image;
	struct rcl_sim_request req;
	struct rcl_sim_result a, b;

	(void)state;
	req = request(tasks_image(words, ARRAY_SIZE(words), regions, sums, tasks, &image), 3 * MIB);
	req.check = true;
	req.tunables.check_every = 5000;
	for (req.nr_cpus = 1; req.nr_cpus <= 3; req.nr_cpus += 2) {
		u64 sum = 0;

		run(&req, &a);
		if (a.outcome != RCL_SIM_COMPLETED)
			fail_msg("%u CPUs: %s", req.nr_cpus, a.detail);
		assert_int_equal(a.nr_tasks, 3);
		assert_int_equal(a.tasks[0].id, 0);
		assert_int_equal(a.tasks[2].id, 6);
		for (u32 i = 0; i < 3; i++) {
			sum += a.tasks[i].accesses;
			assert_true(a.tasks[i].run_ns <= a.run_ns);
		}
		assert_int_equal(sum, ARRAY_SIZE(words));
		assert_true(rcl_sim_delta(&a.vmstat, "pswpin") > 0);
		run(&req, &b);
		assert_same(&a, &b);
		rcl_sim_result_free(&a);
		rcl_sim_result_free(&b);
	}
}

static bool stop_soon(void *arg, u64 done, u64 accesses)
{
	(void)accesses;
	*(u64 *)arg = done;
	return done < 10000;
}

/*
 * A disk that tells of writes when it has done them all: soon all pages are on their way to it. Who
 * waits then gets on as well as who goes on looking, and activates fewer pages for it.
 */
static void charges_may_wait_for_writes(void **state)
{
	struct rcl_trace_image *trace =
		generate("seed 3\nanon 4096\nphase 4096\nstream 1 anon scan 1 1\n");
	struct rcl_sim_device_config disk = *rcl_sim_device_preset("virtio");
	struct rcl_sim_request req = request(trace, 4 * MIB);
	struct rcl_sim_result looks, waits;

	(void)state;
	disk.write_request_ns = 200000;
	disk.write_page_ns = 2000;
	disk.plug_pages = 256;
	disk.ends_together = true;
	req.device_config = &disk;
	run(&req, &looks);
	req.charges_wait = true;
	run(&req, &waits);
	assert_int_equal(waits.outcome, RCL_SIM_COMPLETED);
	assert_true(rcl_sim_delta(&waits.vmstat, "pgactivate") > 0);
	assert_true(2 * rcl_sim_delta(&waits.vmstat, "pgactivate") <
		    rcl_sim_delta(&looks.vmstat, "pgactivate"));
	rcl_sim_result_free(&looks);
	rcl_sim_result_free(&waits);
	rcl_trace_image_free(trace);
}

static void a_run_can_be_cancelled(void **state)
{
	struct rcl_trace_image *trace = generate(mixed);
	struct rcl_sim_request req = request(trace, 5 * MIB);
	struct rcl_sim_result res;
	u64 last = 0;

	(void)state;
	req.progress = (struct rcl_sim_progress){stop_soon, &last};
	run(&req, &res);
	assert_int_equal(res.outcome, RCL_SIM_CANCELLED);
	assert_true(last >= 10000 && res.accesses == last && last < trace->count);
	rcl_sim_result_free(&res);
	rcl_trace_image_free(trace);
}

static void nonsense_is_refused(void **state)
{
	struct rcl_trace_image *trace = generate(mixed);
	struct rcl_sim_request good = request(trace, 5 * MIB), req;
	struct rcl_sim_result res;
	struct rcl_error err;

	(void)state;
	req = good;
	req.device = "floppy";
	assert_int_equal(rcl_sim_run(&req, &res, &err), -EINVAL);
	assert_non_null(strstr(err.text, "floppy"));
	req = good;
	req.memory = 4096;
	assert_int_equal(rcl_sim_run(&req, &res, &err), -EINVAL);
	req = good;
	req.nr_cpus = 1000;
	assert_int_equal(rcl_sim_run(&req, &res, &err), -EINVAL);
	req = good;
	req.tunables.swappiness = 1000;
	assert_int_equal(rcl_sim_run(&req, &res, &err), -EINVAL);
	assert_non_null(strstr(err.text, "vm.swappiness"));
	req = good;
	req.cost = "imaginary";
	assert_int_equal(rcl_sim_run(&req, &res, &err), -EINVAL);
	rcl_trace_image_free(trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(enough_memory_needs_no_reclaim),
		cmocka_unit_test(pressure_reclaims_within_the_limit),
		cmocka_unit_test(the_same_request_gives_the_same_result),
		cmocka_unit_test(too_little_memory_is_an_oom_kill),
		cmocka_unit_test(without_a_limit_kswapd_works),
		cmocka_unit_test(the_machine_starts_as_told),
		cmocka_unit_test(several_tasks_share_what_they_share),
		cmocka_unit_test(charges_may_wait_for_writes),
		cmocka_unit_test(a_run_can_be_cancelled),
		cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
