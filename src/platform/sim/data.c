/* SPDX-License-Identifier: MIT */
/*
 * What pages contain, in checking runs: an 8-byte stamp stands for 4 KiB.
 *
 * Each frame has a stamp, and each block of a device. They move as data would: a write carries the
 * stamp its frame had when the request was submitted, and the block holds it once the request has
 * completed without error; a read changes its frame only at completion. So a page that is changed
 * while it is written, freed before its I/O ended, read before it was written or written to the
 * wrong place shows up as a wrong stamp in the end.
 *
 * Stamps of frames stand in an array by frame number, reserved when first needed. Blocks of a
 * device stand in an open-addressing hash of those that were ever written; the rest are blank, and
 * a blank block's content is derived from its address so that no two look alike.
 */
#include "platform/sim/internal.h"

#define NO_BLOCK UINT64_MAX

struct block_map {
	u64 nr, mask;
	struct {
		u64 block, stamp;
	} * slots;
};

static int map_resize(struct block_map *map, u64 size)
{
	struct block_map bigger = {.nr = map->nr, .mask = size - 1};

	bigger.slots = malloc(size * sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (u64 i = 0; i < size; i++)
		bigger.slots[i].block = NO_BLOCK;
	for (u64 i = 0; map->slots && i <= map->mask; i++) {
		u64 block = map->slots[i].block, j;
		if (block == NO_BLOCK)
			continue;
		j = block * 0x9e3779b97f4a7c15ull >> 20 & bigger.mask;
		while (bigger.slots[j].block != NO_BLOCK)
			j = (j + 1) & bigger.mask;
		bigger.slots[j].block = block;
		bigger.slots[j].stamp = map->slots[i].stamp;
	}
	free(map->slots);
	*map = bigger;
	return 0;
}

/* The block's slot, or the empty one where it would go. */
static u64 map_find(const struct block_map *map, u64 block)
{
	u64 i = block * 0x9e3779b97f4a7c15ull >> 20 & map->mask;

	while (map->slots[i].block != NO_BLOCK && map->slots[i].block != block)
		i = (i + 1) & map->mask;
	return i;
}

static void map_set(struct block_map *map, u64 block, u64 stamp)
{
	u64 i = map_find(map, block);

	if (map->slots[i].block == NO_BLOCK) {
		/* Half full at most; a failure to grow is fatal only when the map is really full.
		 */
		if (map->nr * 2 > map->mask && !map_resize(map, (map->mask + 1) * 2))
			i = map_find(map, block);
		RCL_ASSERT(map->nr < map->mask);
		map->nr++;
		map->slots[i].block = block;
	}
	map->slots[i].stamp = stamp;
}

int rcl_sim_data_init(struct sim_device *dev)
{
	int err;

	dev->blocks = calloc(1, sizeof(*dev->blocks));
	if (!dev->blocks)
		return -ENOMEM;
	err = map_resize(dev->blocks, 1024);
	if (err) {
		free(dev->blocks);
		dev->blocks = NULL;
	}
	return err;
}

void rcl_sim_data_exit_device(struct sim_device *dev)
{
	if (dev->blocks)
		free(dev->blocks->slots);
	free(dev->blocks);
}

void rcl_sim_data_exit(struct rcl_sim *sim)
{
	if (sim->stamps)
		sim->plat.ops->release(&sim->plat, sim->stamps, sim->nr_stamps * sizeof(u64));
	sim->stamps = NULL;
}

static u64 *stamp(struct rcl_sim *sim, struct folio *f)
{
	struct rcl *m = sim->plat.m;
	u64 pfn = folio_pfn(m, f);

	if (unlikely(!sim->stamps)) {
		sim->nr_stamps = m->nr_frames;
		sim->stamps = sim->plat.ops->reserve(&sim->plat, sim->nr_stamps * sizeof(u64));
		RCL_ASSERT(sim->stamps);
	}
	RCL_ASSERT(pfn < sim->nr_stamps);
	return &sim->stamps[pfn];
}

void rcl_sim_page_zero(struct platform *p, struct folio *f)
{
	*stamp(to_sim(p), f) = 0;
}

void rcl_sim_page_store(struct platform *p, struct folio *f, u64 value)
{
	*stamp(to_sim(p), f) = value;
}

u64 rcl_sim_page_load(struct platform *p, struct folio *f)
{
	return *stamp(to_sim(p), f);
}

void rcl_sim_page_copy(struct platform *p, struct folio *dst, struct folio *src)
{
	*stamp(to_sim(p), dst) = *stamp(to_sim(p), src);
}

static u64 block_content(const struct sim_device *dev, u16 index, u64 block)
{
	u64 i = map_find(dev->blocks, block);

	return dev->blocks->slots[i].block == block ? dev->blocks->slots[i].stamp
						    : rcl_sim_blank(index, block);
}

void rcl_sim_data_submit(struct rcl_sim *sim, struct sim_page_io *pio)
{
	if (pio->io.op == RCL_IO_WRITE)
		pio->stamp = *stamp(sim, pio->io.folio);
}

void rcl_sim_data_done(struct rcl_sim *sim, struct sim_device *dev, struct sim_page_io *pio)
{
	if (pio->io.op == RCL_IO_WRITE)
		map_set(dev->blocks, pio->io.block, pio->stamp);
	else
		*stamp(sim, pio->io.folio) = block_content(dev, pio->io.dev, pio->io.block);
}

u64 rcl_sim_device_content(struct rcl_sim *sim, u16 dev, u64 block)
{
	RCL_ASSERT(sim->cfg.check && dev < sim->nr_devices);
	return block_content(sim->devices[dev], dev, block);
}
