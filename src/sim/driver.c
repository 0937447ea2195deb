/* SPDX-License-Identifier: MIT */
/*
 * From a request to an open machine, and from the end of a run to its result.
 *
 * Order of a run: the platform and its devices; the machine on it; the files; the group; the
 * address spaces; what is in memory at the start; the counters; the tasks of the trace; the
 * counters again. Everything until the tasks is done by the calling thread or by tasks that end
 * before the next step, so it has an effect on the machine but not on the times.
 */
#include "sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "platform/sim/sim.h"
#include "trace/native.h"

#define MIN_MEMORY (1ull << 20)
#define MAX_MEMORY (1ull << 44)
#define MAX_SWAP   (1ull << 48)

/* ---- Requests ------------------------------------------------------------------------------ */

void rcl_sim_request_init(struct rcl_sim_request *req, const struct rcl_trace_image *trace)
{
	*req = (struct rcl_sim_request){
		.trace = trace,
		.limit = RCL_SIM_NO_LIMIT,
		.start = RCL_SIM_SMALL_PROGRAM,
	};
	/* A recording is of all that a program touches. */
	if (trace && trace->recording && trace->recording->source == RCL_NATIVE_RECORDED)
		req->start.anon_pages = 0;
	rcl_tunables_defaults(&req->tunables);
}

/* Tasks of a recording may overlap otherwise than they did when they were recorded. */
static u64 overlap(const struct rcl_trace_image *trace)
{
	return trace->recording ? min(max(trace->nr_tasks, 1u), 8u) : 1;
}

/* A quarter more than everything the trace touches, and room for page tables and the like. */
u64 rcl_sim_auto_memory(const struct rcl_trace_image *trace)
{
	u64 bytes = trace->summary.footprint_pages * PAGE_SIZE * overlap(trace);

	bytes += bytes / 4 + (256ull << 20);
	return bytes & ~((1ull << 20) - 1);
}

u64 rcl_sim_auto_swap(const struct rcl_trace_image *trace)
{
	u64 bytes = 2 * trace->summary.anon_pages * PAGE_SIZE * overlap(trace);

	return bytes ? bytes + (1ull << 20) : 0;
}

static bool known_costs(const char *name)
{
	for (const struct rcl_sim_costs *c = rcl_sim_cost_presets(); c->name; c++)
		if (!strcmp(c->name, name))
			return true;
	return false;
}

int rcl_sim_request_check(const struct rcl_sim_request *req, struct rcl_error *err)
{
	const char *devices[] = {req->device, req->swap_device};

	if (!req->nr_nodes && req->memory && req->memory < MIN_MEMORY)
		return rcl_error_set(err, -EINVAL, "a machine of %llu bytes: at least 1M is needed",
				     (unsigned long long)req->memory);
	if (!req->nr_nodes && req->memory > MAX_MEMORY)
		return rcl_error_set(err, -EINVAL, "a machine of %llu bytes: at most 16T",
				     (unsigned long long)req->memory);
	if (req->swap > MAX_SWAP)
		return rcl_error_set(err, -EINVAL, "swap of %llu bytes: at most 256T",
				     (unsigned long long)req->swap);
	if (req->nr_cpus > RCL_SIM_MAX_CPUS)
		return rcl_error_set(err, -EINVAL, "%u CPUs: at most %u", req->nr_cpus,
				     RCL_SIM_MAX_CPUS);
	for (u32 i = 0; i < ARRAY_SIZE(devices); i++)
		if (devices[i] && !rcl_sim_device_preset(devices[i]))
			return rcl_error_set(err, -EINVAL, "unknown device '%s'", devices[i]);
	if (req->cost && !known_costs(req->cost))
		return rcl_error_set(err, -EINVAL, "unknown costs '%s'", req->cost);
	for (const struct rcl_tunable_info *i = rcl_tunable_table(); i->name; i++) {
		s64 v = rcl_tunables_get(&req->tunables, i);

		if (v < i->min || v > i->max)
			return rcl_error_set(err, -EINVAL, "%s = %lld is out of range", i->name,
					     (long long)v);
	}
	return 0;
}

s64 rcl_sim_delta(const struct rcl_sim_counters *c, const char *name)
{
	return rcl_counter_get(c->end, c->nr, name) - rcl_counter_get(c->start, c->nr, name);
}

s64 rcl_sim_end(const struct rcl_sim_counters *c, const char *name)
{
	return rcl_counter_get(c->end, c->nr, name);
}

/* ---- The machine --------------------------------------------------------------------------- */

/* Zones as a PC has them: DMA, DMA32 below 3 GiB, the rest Normal; tiny machines only DMA32. */
static void layout_for(u64 pages, struct rcl_node_layout *layout)
{
	const u64 dma = 3840, dma32 = (3ull << 30 >> PAGE_SHIFT) - 4096;

	*layout = (struct rcl_node_layout){{0}};
	if (pages > 2 * 4096) {
		layout->managed[ZONE_DMA] = dma;
		pages -= dma;
	}
	layout->managed[ZONE_DMA32] = min(pages, dma32);
	layout->managed[ZONE_NORMAL] = pages - layout->managed[ZONE_DMA32];
}

static int open_machine(struct run *r)
{
	const struct rcl_sim_request *req = r->req;
	struct rcl_machine_config cfg = {
		.plat = r->plat,
		.nr_cpus = req->nr_cpus ? req->nr_cpus : 1,
		.nr_nodes = 1,
		.tunables = req->tunables,
		.charges_wait = req->charges_wait,
	};

	if (req->nr_nodes) {
		cfg.nr_nodes = req->nr_nodes;
		memcpy(cfg.nodes, req->nodes, req->nr_nodes * sizeof(req->nodes[0]));
	} else {
		u64 bytes = req->memory ? req->memory : rcl_sim_auto_memory(req->trace);

		layout_for(bytes >> PAGE_SHIFT, &cfg.nodes[0]);
	}
	for (u32 n = 0; n < cfg.nr_nodes; n++)
		for (u32 z = 0; z < MAX_NR_ZONES; z++)
			r->res->memory += cfg.nodes[n].managed[z] << PAGE_SHIFT;
	return rcl_machine_open(&cfg, &r->m);
}

static int switch_swap_on(struct run *r)
{
	u64 pages = r->req->swap >> PAGE_SHIFT;

	if (pages < 2)
		return 0;
	r->res->swap = pages << PAGE_SHIFT;
	return rcl_swapon(r->m, r->swap, pages, -1,
			  r->world->swap_rotational(r) ? 0 : SWAP_SOLIDSTATE);
}

static int open_group(struct run *r)
{
	int ret;

	if (r->req->limit == RCL_SIM_NO_LIMIT)
		return 0;
	ret = rcl_memcg_create(r->m, r->m->root_memcg, "program", &r->group);
	return ret ? ret : rcl_memcg_set_max(r->m, r->group, r->req->limit);
}

int rcl_run_create_file(struct run *r, const char *name, u32 region, u64 pages,
			struct mapping **out)
{
	return r->world->create_file(r, name, region, pages, out);
}

/* ---- The program --------------------------------------------------------------------------- */

static u64 region_pages(const struct rcl_trace_image *t, u32 i)
{
	return max(t->regions[i].pages, t->region_summaries[i].end);
}

static bool wants_random(const struct rcl_sim_request *req)
{
	if (req->readahead == RCL_SIM_READAHEAD_AUTO)
		return req->trace->format && !strcmp(req->trace->format, "tracegen");
	return req->readahead == RCL_SIM_READAHEAD_OFF;
}

static int create_tasks(struct run *r)
{
	const struct rcl_trace_image *trace = r->req->trace;
	struct runner *longest;

	r->nr_runners = trace->nr_tasks;
	r->nr_processes = trace->nr_processes;
	r->runners = calloc(r->nr_runners, sizeof(*r->runners));
	r->processes = calloc(r->nr_processes, sizeof(*r->processes));
	if (!r->runners || !r->processes)
		return -ENOMEM;
	longest = r->runners;
	for (u32 i = 0; i < r->nr_runners; i++) {
		const struct rcl_trace_task *task = &trace->tasks[i];
		struct runner *t = &r->runners[i];

		t->run = r;
		t->process = &r->processes[task->process];
		t->id = (u16)task->id;
		t->words = trace->words + task->first;
		t->nr_words = task->count;
		if (t->nr_words > longest->nr_words)
			longest = t;
	}
	longest->longest = true;
	return trace->recording ? rcl_run_play_init(r) : 0;
}

/* Addresses are the same in every process; files are one, opened by each. */
static int map_regions(struct run *r, struct process *p)
{
	const struct rcl_trace_image *trace = r->req->trace;
	bool random = wants_random(r->req);
	u64 vpn = FIRST_REGION_VPN;
	int ret;

	p->places = calloc(trace->nr_regions + 1, sizeof(*p->places));
	p->files = calloc(trace->nr_regions + 1, sizeof(*p->files));
	if (!p->places || !p->files)
		return -ENOMEM;
	for (u32 i = 0; i < trace->nr_regions; i++) {
		struct place *place = &p->places[i];

		place->base = vpn;
		place->pages = region_pages(trace, i);
		place->is_file = trace->regions[i].kind != RCL_ACCESS_ANON;
		if (!place->pages)
			continue;
		vpn += (place->pages + 2 * GIB_PAGES - 1) / GIB_PAGES * GIB_PAGES;
		if (place->pages >= LAST_VPN || vpn >= LAST_VPN - GIB_PAGES)
			return -E2BIG;
		if (place->is_file) {
			if (p == r->processes)
				ret = rcl_run_create_file(r, trace->regions[i].name, i,
							  place->pages, &place->mapping);
			else
				ret = 0;
			place->mapping = r->processes[0].places[i].mapping;
			if (ret)
				return ret;
			rcl_file_open(r->m, place->mapping, &p->files[i]);
			if (random)
				rcl_file_advise(r->m, &p->files[i], 0, place->pages,
						RCL_FADV_RANDOM);
		}
		ret = rcl_mmap(r->m, p->mm, place->base, place->pages,
			       VM_READ | VM_WRITE | (place->is_file ? VM_SHARED : 0) |
				       (place->is_file && random ? VM_RAND_READ : 0),
			       place->is_file ? &p->files[i] : NULL, 0);
		if (ret)
			return ret;
	}
	return 0;
}

static int create_processes(struct run *r)
{
	int ret = 0;

	for (u32 i = 0; i < r->nr_processes && !ret; i++) {
		if (r->play && !rcl_run_play_is_root(r, i))
			continue;
		ret = rcl_mm_create(r->m, r->group ? r->group : r->m->root_memcg,
				    &r->processes[i].mm);
		if (!ret && !r->play)
			ret = map_regions(r, &r->processes[i]);
	}
	return ret;
}

int rcl_run_task(struct run *r, struct mm *mm, struct memcg *group, const char *name,
		 void (*fn)(void *), void *arg, bool *killed)
{
	struct task t = {.m = r->m, .memcg = group, .mm = mm};
	int ret;

	snprintf(t.name, sizeof(t.name), "%s", name);
	rcl_task_attach(r->m, &t);
	ret = r->world->spawn(r, &t, fn, arg);
	if (!ret)
		ret = r->world->run_all(r);
	if (ret != -EDEADLK)
		rcl_task_detach(r->m, &t);
	*killed = fatal_signal_pending(&t);
	return ret;
}

void rcl_run_fail(struct run *r, enum rcl_sim_outcome outcome, u64 access, const char *fmt, ...)
{
	enum rcl_sim_outcome none = RCL_SIM_COMPLETED;
	va_list ap;

	if (outcome == RCL_SIM_CANCELLED || outcome == RCL_SIM_CORRUPT || outcome == RCL_SIM_BROKEN)
		__atomic_store_n(&r->stop, true, __ATOMIC_RELAXED);
	if (!__atomic_compare_exchange_n(&r->res->outcome, &none, outcome, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return;
	r->res->bad_access = access;
	va_start(ap, fmt);
	vsnprintf(r->res->detail, sizeof(r->res->detail), fmt, ap);
	va_end(ap);
}

/* ---- The run ------------------------------------------------------------------------------- */

static u64 wall_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * RCL_NSEC_PER_SEC + (u64)t.tv_nsec;
}

static void read_start(struct run *r, u64 *some, u64 *full)
{
	struct memcg *g = r->group ? r->group : r->m->root_memcg;
	struct rcl_sim_counters *vm = &r->res->vmstat, *cg = &r->res->memory_stat;

	rcl_psi_read(r->m, g, some, full);
	r->timeline_stall = *some;
	vm->nr = rcl_vmstat_read(r->m, vm->start, ARRAY_SIZE(vm->start));
	cg->nr = rcl_memory_stat_read(r->m, g, cg->start, ARRAY_SIZE(cg->start));
	RCL_ASSERT(vm->nr <= RCL_COUNTERS_MAX && cg->nr <= RCL_COUNTERS_MAX);
	r->start_ns = rcl_now(r->m);
}

static int run_tasks(struct run *r)
{
	int ret = 0;

	r->nr_alive = r->nr_runners;
	for (u32 i = 0; i < r->nr_runners && !ret; i++) {
		struct runner *t = &r->runners[i];

		t->task.m = r->m;
		t->task.memcg = r->group;
		t->task.mm = t->process->mm;
		snprintf(t->task.name, sizeof(t->task.name), "trace/%u", t->id);
		rcl_task_attach(r->m, &t->task);
		t->attached = true;
		ret = r->world->spawn(r, &t->task, rcl_run_replay, t);
	}
	return ret ? ret : r->world->run_all(r);
}

static void read_lists(struct run *r)
{
	static const char *const names[] = {"inactive_anon", "active_anon", "inactive_file",
					    "active_file", "unevictable"};
	struct rcl_sim_result *res = r->res;

	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		char name[32];

		snprintf(name, sizeof(name), "nr_%s", names[i]);
		res->lists[i] = r->group ? (u64)rcl_sim_end(&res->memory_stat, names[i]) / PAGE_SIZE
					 : (u64)rcl_sim_end(&res->vmstat, name);
	}
}

static int collect(struct run *r, u64 some, u64 full)
{
	struct rcl_sim_result *res = r->res;
	u64 end = r->start_ns;

	res->tasks = calloc(r->nr_runners, sizeof(*res->tasks));
	if (!res->tasks)
		return -ENOMEM;
	res->nr_tasks = r->nr_runners;
	for (u32 i = 0; i < r->nr_runners; i++) {
		const struct runner *t = &r->runners[i];

		end = max(end, t->end_ns);
		res->accesses += t->done;
		res->tasks[i] = (struct rcl_sim_task_result){
			.id = t->id,
			.accesses = t->done,
			.run_ns = max(t->end_ns, r->start_ns) - r->start_ns,
			.stall_ns = t->task.memstall_ns,
			.io_ns = t->task.io_wait_ns,
			.cpu_ns = t->task.cpu_ns,
		};
	}
	res->run_ns = end - r->start_ns;
	rcl_psi_read(r->m, r->group ? r->group : r->m->root_memcg, &res->stall_ns,
		     &res->full_stall_ns);
	res->stall_ns -= some;
	res->full_stall_ns -= full;
	if (r->group)
		res->usage_peak = (u64)r->group->watermark << PAGE_SHIFT;
	read_lists(r);
	return 0;
}

/* Address spaces and what is in them. -EINTR: the group's limit is too small even for that. */
static int start_program(struct run *r)
{
	int ret = create_processes(r);

	if (!ret && r->play && r->m->threaded)
		ret = rcl_run_play_open_files(r);
	if (!ret && !r->play)
		ret = rcl_run_replay_init(r);
	if (!ret && r->req->check && (!r->play || r->world->play_memory))
		ret = r->world->content_init(r);
	if (!ret)
		ret = rcl_run_start(r);
	return ret == -ENOMEM && r->group && r->group->failcnt ? -EINTR : ret;
}

static int play(struct run *r)
{
	u64 some, full, begun;
	int ret = start_program(r);

	if (ret && ret != -EINTR)
		return ret;
	read_start(r, &some, &full);
	if (ret) {
		r->res->vmstat.nr = rcl_vmstat_read(r->m, r->res->vmstat.end, RCL_COUNTERS_MAX);
		r->res->memory_stat.nr =
			rcl_memory_stat_read(r->m, r->group ? r->group : r->m->root_memcg,
					     r->res->memory_stat.end, RCL_COUNTERS_MAX);
		rcl_run_fail(r, RCL_SIM_OOM, 1, "killed before its first access: out of memory");
		return collect(r, some, full);
	}
	begun = wall_clock();
	rcl_run_watch(r);
	ret = run_tasks(r);
	rcl_run_watch_end(r);
	r->res->wall_ns = wall_clock() - begun;
	if (ret)
		return ret;
	/* (Where the machine's own tasks go on meanwhile there is no looking at all of it.) */
	if (r->req->check && !r->m->threaded && !rcl_check(r->m))
		rcl_run_fail(r, RCL_SIM_BROKEN, r->req->trace->count,
			     "an invariant of the machine does not hold at the end");
	ret = collect(r, some, full);
	return ret || !r->world->finish ? ret : r->world->finish(r);
}

static int set_up(struct run *r)
{
	int ret = r->world->open(r);

	if (ret)
		return ret;
	r->check_every = (u64)r->req->tunables.check_every;
	if (r->req->check && !r->check_every && r->plat->simulated)
		r->check_every = RCL_SIM_CHECK_EVERY;
	ret = open_machine(r);
	if (!ret && r->world->machine_opened)
		ret = r->world->machine_opened(r);
	if (!ret)
		ret = rcl_writeback_add_device(r->m, r->disk);
	if (!ret)
		ret = switch_swap_on(r);
	if (!ret)
		ret = open_group(r);
	if (!ret && r->req->by_region) {
		r->res->regions = calloc(r->req->trace->nr_regions + 1, sizeof(*r->res->regions));
		if (!r->res->regions)
			ret = -ENOMEM;
	}
	return ret ? ret : create_tasks(r);
}

static void free_places(struct run *r, u32 p)
{
	struct process *proc = &r->processes[p];

	for (u32 i = 0; proc->places && i < r->req->trace->nr_regions; i++) {
		free(proc->places[i].tables);
		free(proc->places[i].leaves);
		if (!p || !proc->places[i].is_file)
			free(proc->places[i].stamps);
	}
}

/* After a deadlock the machine cannot be closed in order: its memory goes with the platform. */
static void tear_down(struct run *r, bool orderly)
{
	u32 nr = r->processes ? r->nr_processes : 0;

	for (u32 i = 0; orderly && r->runners && i < r->nr_runners; i++)
		if (r->runners[i].attached)
			rcl_task_detach(r->m, &r->runners[i].task);
	for (u32 p = 0; orderly && r->m && p < nr; p++)
		if (r->processes[p].mm)
			rcl_mm_destroy(r->m, r->processes[p].mm);
	rcl_run_play_undo(r, orderly);
	for (u32 i = 0; orderly && r->m && nr && i < r->req->trace->nr_regions; i++)
		if (r->processes[0].places && r->processes[0].places[i].mapping)
			rcl_mapping_destroy(r->m, r->processes[0].places[i].mapping);
	if (orderly && r->m) {
		rcl_run_start_undo(r);
		if (r->world->machine_closing)
			r->world->machine_closing(r);
		rcl_machine_close(r->m);
	}
	r->world->close(r);
	for (u32 p = 0; p < nr; p++)
		free_places(r, p);
	for (u32 p = 0; p < nr; p++) {
		free(r->processes[p].places);
		free(r->processes[p].files);
	}
	free(r->runners);
	free(r->processes);
}

static int explain(struct run *r, int ret, struct rcl_error *err)
{
	const struct rcl_sim_start *s = &r->req->start;

	switch (ret) {
	case -ENOMEM:
		return rcl_error_set(err, ret,
				     "not enough memory to simulate a machine of %llu MiB",
				     (unsigned long long)(r->res->memory >> 20));
	case -E2BIG:
		return rcl_error_set(err, ret, "the trace's regions do not fit an address space");
	case -ENOSPC:
		return rcl_error_set(err, ret,
				     "the machine has no room for what it starts with "
				     "(%llu pages must stay free)",
				     (unsigned long long)s->free_pages);
	case -EDEADLK:
		return rcl_error_set(err, ret, "the simulated machine is stuck: %s",
				     r->world->stuck(r));
	default:
		return rcl_error_set(err, ret, "the run failed: %s", strerror(-ret));
	}
}

int rcl_run_in(const struct world_ops *world, const struct rcl_sim_request *req, void *world_arg,
	       struct rcl_sim_result *res, struct rcl_error *err)
{
	struct run r = {.req = req, .res = res, .world = world, .world_arg = world_arg, .err = err};
	int ret = rcl_sim_request_check(req, err);

	memset(res, 0, sizeof(*res));
	if (ret)
		return ret;
	ret = set_up(&r);
	if (!ret)
		ret = play(&r);
	if (ret && !r.explained)
		explain(&r, ret, err);
	tear_down(&r, ret != -EDEADLK);
	if (ret)
		rcl_sim_result_free(res);
	return ret;
}

int rcl_sim_run(const struct rcl_sim_request *req, struct rcl_sim_result *res,
		struct rcl_error *err)
{
	return rcl_run_in(&rcl_sim_world, req, NULL, res, err);
}

void rcl_sim_result_free(struct rcl_sim_result *res)
{
	free(res->tasks);
	free(res->regions);
	res->tasks = NULL;
	res->regions = NULL;
	res->nr_tasks = 0;
}
