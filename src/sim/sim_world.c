/* SPDX-License-Identifier: MIT */
/* Runs on the simulator: virtual time, modelled devices, one seed. */
#include "platform/sim/sim.h"
#include "sim/world.h"

static struct rcl_sim *sim_of(struct run *r)
{
	return r->world_state;
}

static int open_devices(struct run *r)
{
	const char *disk = r->req->device ? r->req->device : RCL_SIM_DEFAULT_DEVICE;
	const char *swap = r->req->swap_device ? r->req->swap_device : disk;
	const struct rcl_sim_device_config *cfg = r->req->device_config;
	struct rcl_sim_device_config part;
	int ret = rcl_sim_add_device(sim_of(r), cfg ? cfg : rcl_sim_device_preset(disk));

	if (ret < 0)
		return ret;
	r->disk = (u16)ret;
	if (!r->req->swap)
		return 0;
	if (cfg) {
		part = *cfg;
		part.same_disk = cfg->ends_together;
		cfg = &part;
	}
	ret = rcl_sim_add_device(sim_of(r), cfg ? cfg : rcl_sim_device_preset(swap));
	if (ret < 0)
		return ret;
	r->swap = (u16)ret;
	return 0;
}

static int open_world(struct run *r)
{
	struct rcl_sim_config cfg = {
		.seed = r->req->seed,
		.nr_cpus = r->req->nr_cpus,
		.costs = r->req->cost,
		.check = r->req->check,
	};
	struct rcl_sim *sim;
	int ret = rcl_sim_create(&cfg, &sim);

	if (ret)
		return ret;
	r->world_state = sim;
	r->plat = rcl_sim_platform(sim);
	if (r->req->cost_ns)
		memcpy(r->plat->cost_ns, r->req->cost_ns, sizeof(r->plat->cost_ns));
	if (r->req->tunables.access_ns)
		r->plat->cost_ns[WORK_ACCESS] = (u32)r->req->tunables.access_ns;
	return open_devices(r);
}

static void close_world(struct run *r)
{
	if (r->world_state)
		rcl_sim_destroy(sim_of(r));
	r->world_state = NULL;
}

static bool swap_rotational(struct run *r)
{
	return rcl_sim_device_config(sim_of(r), r->swap)->rotational;
}

/* Files lie one behind the other on the disk. */
static int create_file(struct run *r, const char *name, u32 region, u64 pages, struct mapping **out)
{
	int ret = rcl_mapping_create(r->m, name, r->disk, r->disk_blocks, pages,
				     r->req->no_buffers ? 0 : MAPPING_BUFFERS, out);

	(void)region;

	if (!ret)
		r->disk_blocks += pages;
	return ret;
}

static int spawn(struct run *r, struct task *t, void (*fn)(void *), void *arg)
{
	return rcl_sim_spawn_user(sim_of(r), t, fn, arg);
}

static int run_all(struct run *r)
{
	return rcl_sim_run_users(sim_of(r));
}

static void at(struct run *r, u64 when, void (*fn)(void *), void *arg)
{
	rcl_sim_at(sim_of(r), when, fn, arg);
}

static const char *stuck(struct run *r)
{
	return rcl_sim_report(sim_of(r));
}

const struct world_ops rcl_sim_world = {
	.open = open_world,
	.close = close_world,
	.swap_rotational = swap_rotational,
	.create_file = create_file,
	.spawn = spawn,
	.run_all = run_all,
	.at = at,
	.stuck = stuck,
	.content_init = rcl_run_content_init,
	.check_memory = rcl_run_check_memory,
	.check_read = rcl_run_check_read,
	.begin_write = rcl_run_begin_write,
	.end_write = rcl_run_end_write,
};
