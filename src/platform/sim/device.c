/* SPDX-License-Identifier: MIT */
/*
 * Block devices: from pages to requests, queues, and completions.
 *
 * A request is a run of adjacent blocks in one direction. It comes to be in one of two ways. A page
 * submitted as sync, or outside a plug, is a request by itself and is queued at once. Inside a plug
 * pages gather: a page that continues the last request for its device, at either end, joins it;
 * any other starts a new one. The plug is emptied, in order, when it is finished, when its task
 * waits, and before a new request when it already holds BLK_MAX_REQUEST_COUNT (twice that if for
 * several devices) or when its last request has grown to BLK_PLUG_FLUSH_SIZE.
 *
 * A queued request starts at once if the device has fewer than queue_depth in flight, else in
 * order of arrival. From start to completion:
 *
 *   ready      start + latency                        in parallel with others
 *   channel    from ready, or when the channel is free: seek if the head must move, request_ns,
 *              bytes / bandwidth                      one request at a time; writes have one of
 *                                                     their own if write_request_ns says so
 *
 * so a deep queue hides latency and the channel bounds throughput, in requests and in bytes.
 *
 * Some virtual disks are a thread that wakes up when there is something to do, does one request
 * after the other, and tells of them all when it finds no more (ends_together). Whoever goes on
 * submitting waits for the first until the last is done:
 *
 *   done       start + latency + its channel time, if the disk was idle; else its channel time
 *              after the request before it
 *   completion when the last of all those is done that came while the disk was busy
 *
 * Completion costs WORK_IO_DONE on the CPU that queued the request and ends each page's I/O there.
 *
 * Submitters wait in two cases, both when they create a request (not when a page joins one), so a
 * task never waits with pages in its hands: the device has nr_requests already; or, for writes, too
 * many are under way, so that reads do not drown in them (writeback throttling):
 *
 *   wbt_depth         kswapd
 *   a quarter of it   the flusher, and everyone while the device was read in the last 100 ms
 *   half of it        others
 *
 * On a device with a write cache those writers go on when all writes are done, on others when there
 * are a few less than half the depth.
 */
#include <stdio.h>

#include "platform/sim/internal.h"

#define BLK_MAX_REQUEST_COUNT 32
#define BLK_PLUG_FLUSH_SIZE   (128u << 10)
#define WBT_READ_NS	      (100 * RCL_NSEC_PER_MSEC)
#define POOL_CHUNK	      64

/* Requests and page I/Os come from chunks that live as long as the simulator. */
struct chunk {
	struct chunk *next;
	union {
		struct sim_request requests[POOL_CHUNK];
		struct sim_page_io pages[POOL_CHUNK];
	};
};

static struct chunk *new_chunk(struct rcl_sim *sim)
{
	struct chunk *c = malloc(sizeof(*c));

	RCL_ASSERT(c && "out of memory for I/O in flight");
	c->next = sim->chunks;
	sim->chunks = c;
	return c;
}

static struct sim_page_io *get_page(struct rcl_sim *sim, const struct rcl_io *io)
{
	struct sim_page_io *pio = sim->free_pages;

	if (unlikely(!pio)) {
		struct chunk *c = new_chunk(sim);
		for (u32 i = 0; i < POOL_CHUNK; i++) {
			c->pages[i].next = pio;
			pio = &c->pages[i];
		}
	}
	sim->free_pages = pio->next;
	pio->io = *io;
	pio->next = NULL;
	return pio;
}

static void put_page(struct rcl_sim *sim, struct sim_page_io *pio)
{
	pio->next = sim->free_pages;
	sim->free_pages = pio;
}

static struct sim_request *get_request(struct rcl_sim *sim)
{
	struct sim_request *rq = sim->free_requests;

	if (unlikely(!rq)) {
		struct chunk *c = new_chunk(sim);
		for (u32 i = 0; i < POOL_CHUNK; i++) {
			c->requests[i].link.next = (void *)rq;
			rq = &c->requests[i];
		}
		sim->nr_request_structs += POOL_CHUNK;
		if (heap_reserve(&sim->events, sim->nr_tasks + sim->nr_request_structs))
			RCL_ASSERT(!"out of memory for I/O in flight");
	}
	sim->free_requests = (void *)rq->link.next;
	return rq;
}

static void put_request(struct rcl_sim *sim, struct sim_request *rq)
{
	rq->link.next = (void *)sim->free_requests;
	sim->free_requests = rq;
}

/* ---- the device ---- */

static u64 write_channel(const struct sim_device *dev, const struct sim_request *rq)
{
	return dev->cfg.write_request_ns + rq->nr_pages * dev->cfg.write_page_ns;
}

/* A page of a large request may take less than one of a small one. */
static u64 less_for_many(const struct sim_device *dev, const struct sim_request *rq, u64 channel)
{
	const struct rcl_sim_device_config *cfg = &dev->cfg;
	u64 many = cfg->few_pages ? rq->nr_pages - min(rq->nr_pages, cfg->few_pages) : 0;
	bool write = rq->op == RCL_IO_WRITE;
	u64 each = write && cfg->write_request_ns ? cfg->write_page_ns : dev->page_ns;

	return channel - many * each + many * (write ? cfg->write_many_ns : cfg->read_many_ns);
}

/* On a disk whose requests end together: when this one is done. */
static u64 take_turn(struct sim_device *dev, struct sim_request *rq, u64 latency, u64 channel,
		     u64 now)
{
	struct sim_device *disk = dev->disk;

	if (disk->newest && disk->channel_free >= now) {
		disk->newest->reports = false;
		latency = 0;
	} else if (disk->cfg.pace[0]) {
		disk->pace = disk->cfg.pace[rng_below(&disk->chance, RCL_SIM_PACES)];
	}
	disk->newest = rq;
	rq->reports = true;
	disk->channel_free = max(now, disk->channel_free) + (latency + channel) * disk->pace / 100;
	return disk->channel_free;
}

static void start_request(struct rcl_sim *sim, struct sim_device *dev, struct sim_request *rq,
			  u64 now)
{
	u64 latency = device_latency(dev, rq->op);
	bool own = rq->op == RCL_IO_WRITE && dev->cfg.write_request_ns;
	u64 *channel_free = own ? &dev->write_free : &dev->channel_free;
	u64 channel = own ? write_channel(dev, rq) : device_channel(dev, rq->block, rq->nr_pages);
	u64 done;

	if (!own)
		dev->head = rq->block + rq->nr_pages;
	latency += rcl_sim_fault(sim, dev, rq, latency);
	if (dev->cfg.ends_together) {
		if (unlikely(rq->slow))
			channel += RCL_SIM_SLOW_FACTOR * (latency + channel);
		done = take_turn(dev, rq, latency, less_for_many(dev, rq, channel), now);
	} else {
		done = max(now + latency, *channel_free) + channel;
		*channel_free = done;
		/* A slow request is late, but does not keep the channel from others meanwhile. */
		if (unlikely(rq->slow))
			done += RCL_SIM_SLOW_FACTOR * (latency + channel);
	}

	rq->started_at = now;
	dev->stats.wait_ns += now - rq->queued_at;
	if (dev->in_flight++ == 0)
		dev->busy_since = now;
	sim->nr_in_flight++;
	rcl_sim_event_add(sim, &rq->event, done);
}

/* Hand a request to its device, as the running task. */
static void queue_request(struct rcl_sim *sim, struct sim_request *rq)
{
	struct sim_device *dev = sim->devices[rq->dev];
	struct platform *p = &sim->plat;

	if (sim->cfg.check)
		for (struct sim_page_io *pio = rq->first; pio; pio = pio->next)
			rcl_sim_data_submit(sim, pio);
	p->now += p->cost_ns[WORK_IO_SUBMIT];
	rq->queued_at = p->now;
	rq->event.cpu = p->cpu;
	/* Those in the queue come first even if one has just ended and a place is free. */
	if (dev->in_flight < dev->cfg.queue_depth && list_empty(&dev->queue))
		start_request(sim, dev, rq, p->now);
	else
		list_add_tail(&rq->link, &dev->queue);
}

/* Throttled writers are woken when no more writes than this are under way. */
static u32 wbt_wake_level(const struct sim_device *dev)
{
	u32 depth = dev->cfg.wbt_depth;

	return dev->cfg.write_cache ? 0 : (depth + 1) / 2 - min((depth + 3) / 8, depth / 2);
}

static void wake_submitters(struct rcl_sim *sim, u32 *seq)
{
	++*seq;
	rcl_sim_wake(&sim->plat, seq, UINT32_MAX);
}

/* The CPU is told at time t that a request has ended. */
static void end_request(struct rcl_sim *sim, struct sim_request *rq, u64 t)
{
	struct platform *p = &sim->plat;
	struct sim_device *dev = sim->devices[rq->dev];
	struct sim_page_io *pio = rq->first, *next;
	int err = rq->fail ? -EIO : 0;

	/* The device goes on at time t; the CPU may deal with what has ended later. */
	if (!list_empty(&dev->queue)) {
		struct sim_request *first = list_first_entry(&dev->queue, struct sim_request, link);
		list_del(&first->link);
		start_request(sim, dev, first, max(t, first->queued_at));
	}
	sim->nr_in_flight--;
	if (--dev->in_flight == 0)
		dev->stats.busy_ns += t - dev->busy_since;
	dev->stats.requests[rq->op]++;
	dev->stats.pages[rq->op] += rq->nr_pages;
	dev->stats.errors += rq->fail;
	dev->stats.slow += rq->slow;
	dev->stats.request_ns += t - rq->started_at;
	dev->nr_requests--;
	if (rq->op == RCL_IO_WRITE)
		dev->nr_writes--;
	else
		dev->last_read = t;

	p->now += p->cost_ns[WORK_IO_DONE];
	for (; pio; pio = next) {
		struct rcl_io io = pio->io;

		next = pio->next;
		if (sim->cfg.check && !err)
			rcl_sim_data_done(sim, dev, pio);
		put_page(sim, pio);
		sim->cfg.end_io(p->m, &io, err);
	}

	if (dev->cfg.nr_requests && dev->nr_requests == dev->cfg.nr_requests - 1)
		wake_submitters(sim, &dev->full_seq);
	if (dev->cfg.wbt_depth && rq->op == RCL_IO_WRITE && dev->nr_writes <= wbt_wake_level(dev))
		wake_submitters(sim, &dev->wbt_seq);
	put_request(sim, rq);
}

void rcl_sim_complete(struct rcl_sim *sim, struct sim_request *rq, u64 t)
{
	struct sim_device *disk = sim->devices[rq->dev]->disk;
	struct sim_request *done, *next;

	if (likely(!disk->cfg.ends_together)) {
		end_request(sim, rq, t);
		return;
	}
	list_add_tail(&rq->link, &disk->done);
	if (disk->newest == rq)
		disk->newest = NULL;
	if (!rq->reports)
		return;
	list_for_each_safe (done, next, &disk->done, link) {
		list_del(&done->link);
		end_request(sim, done, t);
	}
}

/* ---- submitters ---- */

/* How many writes may be under way for this task to add one. */
static u32 write_limit(const struct rcl_sim *sim, const struct sim_device *dev,
		       const struct task *t)
{
	u32 depth = dev->cfg.wbt_depth;

	if (t->flags & PF_KSWAPD)
		return depth;
	if ((t->flags & PF_FLUSHER) ||
	    (dev->last_read && sim->plat.now < dev->last_read + WBT_READ_NS))
		return (depth + 3) / 4;
	return (depth + 1) / 2;
}

/* Wait until the running task may create a request. A wait empties its plug. */
static void wait_for_room(struct rcl_sim *sim, struct sim_device *dev, u8 op)
{
	struct task *t = sim->running->task;

	for (;;) {
		if (op == RCL_IO_WRITE && dev->cfg.wbt_depth &&
		    dev->nr_writes >= write_limit(sim, dev, t)) {
			rcl_sim_wait_on(&sim->plat, &dev->wbt_seq, dev->wbt_seq, RCL_FOREVER, true);
			continue;
		}
		if (likely(!dev->cfg.nr_requests || dev->nr_requests < dev->cfg.nr_requests))
			return;
		rcl_sim_wait_on(&sim->plat, &dev->full_seq, dev->full_seq, RCL_FOREVER, true);
	}
}

static struct sim_request *new_request(struct rcl_sim *sim, struct sim_device *dev,
				       const struct rcl_io *io)
{
	struct sim_request *rq;

	wait_for_room(sim, dev, io->op);
	rq = get_request(sim);
	rq->event.node.pos = HEAP_OUT;
	rq->event.kind = EVENT_IO;
	rq->first = rq->last = get_page(sim, io);
	rq->block = io->block;
	rq->nr_pages = 1;
	rq->dev = io->dev;
	rq->op = io->op;
	rq->fail = rq->slow = rq->reports = false;
	dev->nr_requests++;
	if (io->op == RCL_IO_WRITE)
		dev->nr_writes++;
	else
		dev->last_read = sim->plat.now;
	return rq;
}

/* Join the last plugged request for this device, if the page continues it. */
static bool merge(struct rcl_sim *sim, struct sim_task *st, const struct sim_device *dev,
		  const struct rcl_io *io)
{
	struct sim_request *rq = NULL;
	struct list_head *l;
	struct sim_page_io *pio;

	for (l = st->plug.prev; l != &st->plug; l = l->prev) {
		rq = list_entry(l, struct sim_request, link);
		if (rq->dev == io->dev)
			break;
		if (!st->plug_multi)
			return false;
	}
	if (l == &st->plug || rq->op != io->op || rq->nr_pages >= dev->max_pages)
		return false;
	if (io->block == rq->block + rq->nr_pages) {
		pio = get_page(sim, io);
		rq->last->next = pio;
		rq->last = pio;
	} else if (io->block + 1 == rq->block) {
		pio = get_page(sim, io);
		pio->next = rq->first;
		rq->first = pio;
		rq->block--;
	} else {
		return false;
	}
	rq->nr_pages++;
	return true;
}

static bool plug_is_full(const struct sim_task *st, const struct sim_device *dev)
{
	const struct sim_request *last = list_last_entry(&st->plug, struct sim_request, link);

	if (!st->plug_count)
		return false;
	if (st->plug_count >= BLK_MAX_REQUEST_COUNT * (st->plug_multi ? 2 : 1))
		return true;
	if (dev->cfg.plug_pages)
		return st->plug_pages >= dev->cfg.plug_pages;
	return last->nr_pages * PAGE_SIZE >= BLK_PLUG_FLUSH_SIZE;
}

void rcl_sim_submit(struct platform *p, const struct rcl_io *io)
{
	struct rcl_sim *sim = to_sim(p);
	struct sim_task *st = sim->running;
	struct sim_device *dev;
	struct sim_request *rq;

	RCL_ASSERT(io->dev < sim->nr_devices && !sim->in_irq);
	dev = sim->devices[io->dev];
	p->now += p->cost_ns[WORK_IO_PAGE];
	if (!st->plug_depth || io->sync) {
		queue_request(sim, new_request(sim, dev, io));
		return;
	}
	if (merge(sim, st, dev, io)) {
		st->plug_pages++;
		return;
	}
	rq = new_request(sim, dev, io);
	if (plug_is_full(st, dev))
		rcl_sim_plug_flush(sim, st);
	if (st->plug_count)
		st->plug_multi |=
			list_last_entry(&st->plug, struct sim_request, link)->dev != io->dev;
	list_add_tail(&rq->link, &st->plug);
	st->plug_count++;
	st->plug_pages++;
}

void rcl_sim_plug_flush(struct rcl_sim *sim, struct sim_task *st)
{
	struct sim_request *rq, *next;

	list_for_each_safe (rq, next, &st->plug, link)
		queue_request(sim, rq);
	list_init(&st->plug);
	st->plug_count = st->plug_pages = 0;
	st->plug_multi = false;
}

void rcl_sim_plug_start(struct platform *p)
{
	to_sim(p)->running->plug_depth++;
}

void rcl_sim_plug_finish(struct platform *p)
{
	struct rcl_sim *sim = to_sim(p);
	struct sim_task *st = sim->running;

	RCL_ASSERT(st->plug_depth);
	if (--st->plug_depth == 0 && st->plug_count)
		rcl_sim_plug_flush(sim, st);
}

/* ---- opening and closing ---- */

int rcl_sim_add_device(struct rcl_sim *sim, const struct rcl_sim_device_config *cfg)
{
	struct sim_device *dev;
	u32 index = sim->nr_devices;

	if (index >= RCL_SIM_MAX_DEVICES || cfg->fail_read_ppm > 1000000 ||
	    cfg->fail_write_ppm > 1000000 || cfg->slow_ppm > 1000000)
		return -EINVAL;
	if (cfg->same_disk &&
	    (!index || !cfg->ends_together || !sim->devices[index - 1]->cfg.ends_together))
		return -EINVAL;
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	dev->cfg = *cfg;
	snprintf(dev->name, sizeof(dev->name), "%s", cfg->name ? cfg->name : "disk");
	dev->cfg.name = dev->name;
	if (!dev->cfg.queue_depth)
		dev->cfg.queue_depth = 1;
	dev->max_pages = max(cfg->max_request_bytes >> PAGE_SHIFT, 1u);
	if (cfg->bandwidth)
		dev->page_ns = PAGE_SIZE * RCL_NSEC_PER_SEC / cfg->bandwidth;
	list_init(&dev->queue);
	list_init(&dev->done);
	dev->pace = 100;
	dev->chance.state = cfg->chance;
	dev->disk = cfg->same_disk ? sim->devices[index - 1]->disk : dev;
	dev->predictable = !sim->cfg.explore && !cfg->fail_read_ppm && !cfg->slow_ppm &&
			   cfg->nr_requests != 1 && sim->cfg.end_io == rcl_end_io &&
			   !cfg->ends_together;
	if (sim->cfg.check && rcl_sim_data_init(dev)) {
		free(dev);
		return -ENOMEM;
	}
	sim->devices[index] = dev;
	sim->nr_devices++;
	return (int)index;
}

const struct rcl_sim_device_config *rcl_sim_device_config(const struct rcl_sim *sim, u16 dev)
{
	RCL_ASSERT(dev < sim->nr_devices);
	return &sim->devices[dev]->cfg;
}

void rcl_sim_device_get_stats(const struct rcl_sim *sim, u16 dev, struct rcl_sim_device_stats *out)
{
	const struct sim_device *d;

	RCL_ASSERT(dev < sim->nr_devices);
	d = sim->devices[dev];
	*out = d->stats;
	if (d->in_flight && sim->plat.now > d->busy_since)
		out->busy_ns += sim->plat.now - d->busy_since;
}

void rcl_sim_devices_exit(struct rcl_sim *sim)
{
	struct chunk *c, *next;

	for (u32 i = 0; i < sim->nr_devices; i++) {
		rcl_sim_data_exit_device(sim->devices[i]);
		free(sim->devices[i]);
	}
	for (c = sim->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
}
