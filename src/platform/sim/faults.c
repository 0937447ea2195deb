/* SPDX-License-Identifier: MIT */
/*
 * What goes wrong by chance, and the presets: devices, and costs of CPU work.
 *
 * Faults come from a random stream of their own, drawn only for devices that have faults: turning
 * them on for one device changes nothing else by itself.
 */
#include "platform/sim/internal.h"

#define PPM 1000000

static bool happens(struct rcl_sim *sim, u32 ppm)
{
	return ppm && rng_below(&sim->rng_fault, PPM) < ppm;
}

u64 rcl_sim_fault(struct rcl_sim *sim, struct sim_device *dev, struct sim_request *rq, u64 latency)
{
	u32 fail = rq->op == RCL_IO_READ ? dev->cfg.fail_read_ppm : dev->cfg.fail_write_ppm;

	rq->fail = happens(sim, fail);
	rq->slow = happens(sim, dev->cfg.slow_ppm);
	/* Exploring: up to as much again, so that completions overtake each other. */
	return unlikely(sim->cfg.explore) ? rng_below(&sim->rng_device, latency + 1) : 0;
}

static const struct rcl_sim_costs cost_presets[] = {
	{
		.name = "native",
		.help = "a current server",
#define RCL_X(e, n, d, h) [e] = d,
		.ns = {RCL_WORK(RCL_X)},
#undef RCL_X
	},
	{
		/*
		 * Measured in the guest of the fidelity recordings: an anonymous page first touched
		 * costs 20 us, a read() of a cached page 14.5 us, a page scanned and freed 4.8 us,
		 * one swapped out 19 us, a page of a large sequential write 10 us, a read() that
		 * goes to the disk 258 us of which the CPU idles for 225 us.
		 */
		.name = "emulated",
		.help = "a guest whose instructions QEMU emulates (the fidelity recordings)",
		.ns =
			{
				[WORK_ACCESS] = 130,
				[WORK_FAULT] = 12000,
				[WORK_ZERO] = 3000,
				[WORK_SYSCALL] = 8500,
				[WORK_COPY] = 6000,
				[WORK_ALLOC] = 5000,
				[WORK_SCAN] = 2800,
				[WORK_SKIP] = 170,
				[WORK_RMAP] = 1000,
				[WORK_FREE] = 2000,
				[WORK_IO_PAGE] = 7000,
				[WORK_IO_SUBMIT] = 4000,
				[WORK_IO_DONE] = 6000,
				[WORK_SWITCH] = 3000,
			},
	},
	{.name = NULL},
};

const struct rcl_sim_costs *rcl_sim_cost_presets(void)
{
	return cost_presets;
}

static const struct rcl_sim_device_config device_presets[] = {
	{
		.name = "nvme",
		.read_latency_ns = 78000,
		.write_latency_ns = 18000,
		.bandwidth = 3200000000,
		.request_ns = 500,
		.queue_depth = 1023,
		.nr_requests = 1023,
		.max_request_bytes = 512 << 10,
		.wbt_depth = 16,
	},
	{
		.name = "ssd", /* SATA: one command at a time on the wire */
		.read_latency_ns = 100000,
		.write_latency_ns = 50000,
		.bandwidth = 530000000,
		.request_ns = 3000,
		.queue_depth = 32,
		.nr_requests = 64,
		.max_request_bytes = 1280 << 10,
		.wbt_depth = 16,
		.write_cache = true,
	},
	{
		.name = "hdd", /* 7200 rpm */
		.bandwidth = 180000000,
		.request_ns = 50000,
		.seek_ns = 12500000,
		.queue_depth = 32,
		.nr_requests = 64,
		.max_request_bytes = 1280 << 10,
		.wbt_depth = 16,
		.write_cache = true,
		.rotational = true,
	},
	{
		/*
		 * QEMU's emulated CPU and virtio disk on a file in the host's page cache: 225 us
		 * asleep for a 4 KiB read, of which handling the interrupt and switching back are
		 * CPU work ("emulated" above). No writeback throttling: ten writes at once were
		 * seen.
		 */
		.name = "virtio",
		.read_latency_ns = 195000,
		.write_latency_ns = 195000,
		.bandwidth = 1500000000,
		.request_ns = 15000,
		.queue_depth = 256,
		.nr_requests = 256,
		.max_request_bytes = 1280 << 10,
		.write_cache = true,
		.rotational = true,
	},
	{.name = NULL},
};

const struct rcl_sim_device_config *rcl_sim_device_presets(void)
{
	return device_presets;
}

const struct rcl_sim_device_config *rcl_sim_device_preset(const char *name)
{
	for (const struct rcl_sim_device_config *d = device_presets; d->name; d++)
		if (!strcmp(d->name, name))
			return d;
	return NULL;
}
