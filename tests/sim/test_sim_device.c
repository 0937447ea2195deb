/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "mm/machine.h"
#include "platform/sim/sim.h"

#define MS	  RCL_NSEC_PER_MSEC
#define US	  1000ull
#define NR_FRAMES 4096

/* A simulator with one device, frames to do I/O on, and a task that runs the test. */
struct rig {
	struct rcl_sim *sim;
	struct platform *p;
	struct rcl *m; /* frames and platform: all that data and end_io need */
	struct task task, others[16];
	u32 done, errors; /* pages */
	u64 done_at[NR_FRAMES];
	void (*body)(struct rig *);
	u64 arg;
};

static void end_io(struct rcl *m, const struct rcl_io *io, int error)
{
	struct rig *r = (void *)m->memcg_by_id; /* the rig's machine has no groups */
	struct folio *f = io->folio;

	assert_true(folio_test(f, PG_locked));
	assert_true(error == 0 || error == -EIO);
	r->errors += error != 0;
	r->done++;
	r->done_at[folio_pfn(m, f)] = r->p->now;
	folio_clear(f, PG_locked);
	if (folio_test_clear(f, PG_waiters))
		rcl_wake(m, &f->flags, UINT32_MAX);
	rcl_wake(m, &r->done, UINT32_MAX);
}

static struct rig *open_rig(struct rcl_sim_config cfg, const struct rcl_sim_device_config *dev)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	cfg.end_io = end_io;
	assert_int_equal(rcl_sim_create(&cfg, &r->sim), 0);
	if (dev)
		assert_int_equal(rcl_sim_add_device(r->sim, dev), 0);
	r->p = rcl_sim_platform(r->sim);
	r->m = calloc(1, sizeof(*r->m));
	assert_non_null(r->m);
	r->m->plat = r->p;
	r->m->nr_frames = NR_FRAMES;
	r->m->frames = calloc(NR_FRAMES, sizeof(struct folio));
	assert_non_null(r->m->frames);
	r->m->memcg_by_id = (void *)r;
	/* Pressure is booked to the root group. */
	r->m->root_memcg = calloc(1, sizeof(struct memcg));
	assert_non_null(r->m->root_memcg);
	r->p->m = r->m;
	return r;
}

static void close_rig(struct rig *r)
{
	rcl_sim_destroy(r->sim);
	free(r->m->root_memcg);
	free(r->m->frames);
	free(r->m);
	free(r);
}

static void body(void *arg)
{
	struct rig *r = arg;

	r->body(r);
}

static void run(struct rig *r, void (*fn)(struct rig *))
{
	r->body = fn;
	assert_int_equal(rcl_sim_spawn_user(r->sim, &r->task, body, r), 0);
	assert_int_equal(rcl_sim_run_users(r->sim), 0);
}

static void start_io(struct rig *r, u8 op, u16 dev, u64 pfn, u64 block, bool sync)
{
	struct rcl_io io = {
		.folio = pfn_folio(r->m, pfn), .block = block, .dev = dev, .op = op, .sync = sync};

	assert_false(folio_test(io.folio, PG_locked));
	folio_set(io.folio, PG_locked);
	r->p->ops->submit(r->p, &io);
}

static void wait_page(struct rig *r, u64 pfn)
{
	struct folio *f = pfn_folio(r->m, pfn);

	while (folio_test(f, PG_locked)) {
		folio_set(f, PG_waiters);
		rcl_wait_on(r->m, &f->flags, folio_flags(f), RCL_FOREVER, true);
	}
}

static void wait_pages(struct rig *r, u32 nr)
{
	while (r->done < nr)
		rcl_wait_on(r->m, &r->done, r->done, RCL_FOREVER, true);
}

static struct rcl_sim_device_stats stats(struct rig *r, u16 dev)
{
	struct rcl_sim_device_stats s;

	rcl_sim_device_get_stats(r->sim, dev, &s);
	return s;
}

static u64 requests(struct rig *r)
{
	struct rcl_sim_device_stats s = stats(r, 0);

	return s.requests[0] + s.requests[1];
}

/* Does one request after the other, and tells when it has no more. */
static const struct rcl_sim_device_config together = {
	.name = "together",
	.read_latency_ns = 50 * US,
	.write_latency_ns = 20 * US,
	.request_ns = 10 * US,
	.write_request_ns = 30 * US,
	.write_page_ns = 5 * US,
	.queue_depth = 64,
	.max_request_bytes = 1 << 20,
	.ends_together = true,
};

static const struct rcl_sim_device_config simple = {
	.name = "simple",
	.read_latency_ns = 50 * US,
	.write_latency_ns = 20 * US,
	.bandwidth = 1ull << 30, /* 3814 ns a page */
	.request_ns = 1 * US,
	.queue_depth = 8,
	.max_request_bytes = 64 << 10,
};
#define PAGE_NS (PAGE_SIZE * RCL_NSEC_PER_SEC / (1ull << 30))

/* ---- times ---- */

static void one_read(struct rig *r)
{
	u64 start = r->p->now, submit = r->p->cost_ns[WORK_IO_SUBMIT] + r->p->cost_ns[WORK_IO_PAGE];
	u64 took = 50 * US + 1 * US + PAGE_NS;

	start_io(r, RCL_IO_READ, 0, 1, 100, true);
	assert_int_equal(r->p->now, start + submit);
	wait_page(r, 1);
	assert_int_equal(r->done_at[1], start + submit + took + r->p->cost_ns[WORK_IO_DONE]);
	assert_int_equal(r->p->now, r->done_at[1] + r->p->cost_ns[WORK_SWITCH]);
	assert_int_equal(r->task.io_wait_ns, r->p->now - start - submit);
	assert_int_equal(stats(r, 0).busy_ns, took);
	assert_int_equal(stats(r, 0).request_ns, took);
	assert_int_equal(stats(r, 0).wait_ns, 0);
}

static void test_time_of_one_read(void **state)
{
	struct rig *r = open_rig((struct rcl_sim_config){.seed = 1}, &simple);

	(void)state;
	run(r, one_read);
	assert_int_equal(r->done, 1);
	assert_int_equal(stats(r, 0).requests[RCL_IO_READ], 1);
	assert_int_equal(stats(r, 0).pages[RCL_IO_WRITE], 0);
	close_rig(r);
}

static void many_at_once(struct rig *r)
{
	u64 first = r->p->now + r->p->cost_ns[WORK_IO_SUBMIT] + r->p->cost_ns[WORK_IO_PAGE];

	for (u32 i = 0; i < 8; i++)
		start_io(r, RCL_IO_WRITE, 0, i, i * 10, false);
	wait_pages(r, 8);
	/* The latency overlaps, the channel does not: they leave it one after the other. */
	assert_int_equal(stats(r, 0).busy_ns, 20 * US + 8 * (1 * US + PAGE_NS));
	assert_in_range(r->done_at[7], first + 20 * US + 8 * (1 * US + PAGE_NS),
			first + 40 * US + 8 * (1 * US + PAGE_NS));
}

static void test_latency_overlaps_channel_does_not(void **state)
{
	struct rig *r = open_rig((struct rcl_sim_config){.seed = 1}, &simple);

	(void)state;
	run(r, many_at_once);
	close_rig(r);
}

static void twelve_reads(struct rig *r)
{
	for (u32 i = 0; i < 12; i++)
		start_io(r, RCL_IO_READ, 0, i, i * 10, false);
	wait_pages(r, 12);
}

static void test_depth_and_order(void **state)
{
	struct rcl_sim_device_config cfg = simple;
	struct rig *r;

	(void)state;
	cfg.queue_depth = 2;
	cfg.bandwidth = cfg.request_ns = 0;
	r = open_rig((struct rcl_sim_config){.seed = 1}, &cfg);
	run(r, twelve_reads);
	/* Two at a time, first come first served; only latency counts: six rounds of 50 us. */
	for (u32 i = 2; i < 12; i++)
		assert_in_range(r->done_at[i], r->done_at[i - 2] + 50 * US - 2 * US,
				r->done_at[i - 2] + 50 * US + 2 * US);
	assert_in_range(stats(r, 0).busy_ns, 300 * US, 303 * US);
	assert_true(stats(r, 0).wait_ns > 0);
	close_rig(r);
}

static void test_seeks(void **state)
{
	struct rcl_sim_device_config cfg = {.seek_ns = 10 * MS, .request_ns = 1 * MS};
	struct rig *r = open_rig((struct rcl_sim_config){.seed = 1}, &cfg);

	(void)state;
	run(r, twelve_reads);
	assert_int_equal(stats(r, 0).busy_ns, 11 * 10 * MS + 12 * MS); /* the head starts at 0 */
	close_rig(r);
}

static void in_sequence(struct rig *r)
{
	for (u32 i = 0; i < 12; i++) {
		start_io(r, RCL_IO_READ, 0, i, 500 + i, true);
		wait_page(r, i);
	}
}

static void test_no_seek_in_sequence(void **state)
{
	struct rcl_sim_device_config cfg = {.seek_ns = 10 * MS, .request_ns = 1 * MS};
	struct rig *r = open_rig((struct rcl_sim_config){.seed = 1}, &cfg);

	(void)state;
	run(r, in_sequence);
	assert_int_equal(stats(r, 0).busy_ns, 10 * MS + 12 * MS);
	close_rig(r);
}

/* ---- plugs ---- */

static void forwards(struct rig *r)
{
	r->p->ops->plug_start(r->p);
	for (u32 i = 0; i < 8; i++)
		start_io(r, RCL_IO_READ, 0, i, 40 + i, false);
	assert_int_equal(requests(r), 0);
	r->p->ops->plug_finish(r->p);
	wait_pages(r, 8);
	assert_int_equal(requests(r), 1);
	assert_int_equal(stats(r, 0).busy_ns, 51 * US + 8 * PAGE_NS);
}

static void backwards(struct rig *r)
{
	r->p->ops->plug_start(r->p);
	for (u32 i = 0; i < 8; i++)
		start_io(r, RCL_IO_READ, 0, i, 47 - i, false);
	r->p->ops->plug_finish(r->p);
	wait_pages(r, 8);
	assert_int_equal(requests(r), 1);
}

static void with_gap(struct rig *r)
{
	r->p->ops->plug_start(r->p);
	for (u32 i = 0; i < 8; i++)
		start_io(r, RCL_IO_READ, 0, i, 40 + i + (i > 3), false);
	r->p->ops->plug_finish(r->p);
	wait_pages(r, 8);
	assert_int_equal(requests(r), 2);
}

static void both_ways(struct rig *r)
{
	r->p->ops->plug_start(r->p);
	for (u32 i = 0; i < 8; i++)
		start_io(r, i & 1 ? RCL_IO_WRITE : RCL_IO_READ, 0, i, 40 + i, false);
	r->p->ops->plug_finish(r->p);
	wait_pages(r, 8);
	assert_int_equal(requests(r), 8);
}

static void past_the_plug(struct rig *r)
{
	r->p->ops->plug_start(r->p);
	start_io(r, RCL_IO_READ, 0, 0, 40, false);
	start_io(r, RCL_IO_READ, 0, 1, 41, true);
	/* The sync page goes at once, the wait for it takes the rest along. */
	wait_page(r, 1);
	wait_page(r, 0);
	assert_int_equal(requests(r), 2);
	assert_true(r->done_at[1] < r->done_at[0]);
	r->p->ops->plug_finish(r->p);
}

static void nested(struct rig *r)
{
	r->p->ops->plug_start(r->p);
	r->p->ops->plug_start(r->p);
	start_io(r, RCL_IO_READ, 0, 0, 40, false);
	r->p->ops->plug_finish(r->p);
	start_io(r, RCL_IO_READ, 0, 1, 41, false);
	r->p->ops->plug_finish(r->p);
	wait_pages(r, 2);
	assert_int_equal(requests(r), 1);
	/* Without a plug nothing merges. */
	start_io(r, RCL_IO_READ, 0, 0, 40, false);
	start_io(r, RCL_IO_READ, 0, 1, 41, false);
	wait_pages(r, 4);
	assert_int_equal(requests(r), 3);
}

static void to_the_size(struct rig *r)
{
	/* 64 KiB at most: 40 pages are 16 + 16 + 8. */
	r->p->ops->plug_start(r->p);
	for (u32 i = 0; i < 40; i++)
		start_io(r, RCL_IO_WRITE, 0, i, 40 + i, false);
	r->p->ops->plug_finish(r->p);
	wait_pages(r, 40);
	assert_int_equal(requests(r), 3);
	assert_int_equal(stats(r, 0).pages[RCL_IO_WRITE], 40);
}

static void test_plug_merges(void **state)
{
	void (*const bodies[])(struct rig *) = {forwards,      backwards, with_gap,   both_ways,
						past_the_plug, nested,	  to_the_size};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bodies); i++) {
		struct rig *r = open_rig((struct rcl_sim_config){.seed = 1}, &simple);
		run(r, bodies[i]);
		close_rig(r);
	}
}

/* When does a plug empty itself? Seen from the clock: submitting costs time. */
static void until_count(struct rig *r)
{
	u64 start = r->p->now, page = r->p->cost_ns[WORK_IO_PAGE];
	u64 cost = r->p->cost_ns[WORK_IO_SUBMIT];

	r->p->ops->plug_start(r->p);
	for (u32 i = 0; i < 32; i++)
		start_io(r, RCL_IO_WRITE, 0, i, i * 10, false);
	assert_int_equal(r->p->now, start + 32 * page);
	start_io(r, RCL_IO_WRITE, 0, 32, 32 * 10, false);
	assert_int_equal(r->p->now, start + 33 * page + 32 * cost);
	r->p->ops->plug_finish(r->p);
	assert_int_equal(r->p->now, start + 33 * page + 33 * cost);
	wait_pages(r, 33);
}

static void until_count_two_devices(struct rig *r)
{
	u64 start = r->p->now, page = r->p->cost_ns[WORK_IO_PAGE];
	u64 cost = r->p->cost_ns[WORK_IO_SUBMIT];

	r->p->ops->plug_start(r->p);
	for (u32 i = 0; i < 64; i++)
		start_io(r, RCL_IO_WRITE, i & 1, i, i * 10, false);
	assert_int_equal(r->p->now, start + 64 * page);
	/* The last request of each device is found behind the other's. */
	start_io(r, RCL_IO_WRITE, 0, 64, 62 * 10 + 1, false);
	start_io(r, RCL_IO_WRITE, 1, 65, 63 * 10 + 1, false);
	assert_int_equal(r->p->now, start + 66 * page);
	start_io(r, RCL_IO_WRITE, 1, 66, 5000, false);
	assert_int_equal(r->p->now, start + 67 * page + 64 * cost);
	r->p->ops->plug_finish(r->p);
	wait_pages(r, 67);
	assert_int_equal(stats(r, 0).pages[RCL_IO_WRITE], 33);
	assert_int_equal(stats(r, 0).requests[RCL_IO_WRITE], 32);
	assert_int_equal(stats(r, 1).pages[RCL_IO_WRITE], 34);
	assert_int_equal(stats(r, 1).requests[RCL_IO_WRITE], 33);
}

static void until_size(struct rig *r)
{
	u64 start = r->p->now, page = r->p->cost_ns[WORK_IO_PAGE];
	u64 cost = r->p->cost_ns[WORK_IO_SUBMIT];

	r->p->ops->plug_start(r->p);
	for (u32 i = 0; i < 40; i++)
		start_io(r, RCL_IO_WRITE, 0, i, i, false);
	assert_int_equal(r->p->now, start + 40 * page); /* growing does not flush */
	start_io(r, RCL_IO_WRITE, 0, 40, 1000, false);
	assert_int_equal(r->p->now, start + 41 * page + cost);
	start_io(r, RCL_IO_WRITE, 0, 41, 2000, false);
	assert_int_equal(r->p->now, start + 42 * page + cost); /* a small last one does not */
	r->p->ops->plug_finish(r->p);
	wait_pages(r, 42);
	assert_int_equal(requests(r), 3);
}

static void test_plug_empties_itself(void **state)
{
	struct rcl_sim_device_config cfg = simple;
	struct rig *r;

	(void)state;
	cfg.max_request_bytes = 512 << 10;
	r = open_rig((struct rcl_sim_config){.seed = 1}, &cfg);
	run(r, until_count);
	close_rig(r);
	r = open_rig((struct rcl_sim_config){.seed = 1}, &cfg);
	run(r, until_size);
	close_rig(r);
	r = open_rig((struct rcl_sim_config){.seed = 1}, &cfg);
	assert_int_equal(rcl_sim_add_device(r->sim, &cfg), 1);
	run(r, until_count_two_devices);
	close_rig(r);
}

/* ---- limits on submitters ---- */

static void fill_queue(struct rig *r)
{
	bool plugged = r->arg;
	u32 most = 0;

	if (plugged)
		r->p->ops->plug_start(r->p);
	for (u32 i = 0; i < 200; i++) {
		start_io(r, RCL_IO_WRITE, 0, i, i * 10, false);
		most = max(most, i + 1 - r->done);
	}
	if (plugged)
		r->p->ops->plug_finish(r->p);
	wait_pages(r, 200);
	r->arg = most;
}

static u64 most_queued(struct rcl_sim_device_config cfg, u32 flags, bool plugged, u64 *end)
{
	struct rig *r = open_rig((struct rcl_sim_config){.seed = 1}, &cfg);
	u64 most;

	r->arg = plugged;
	r->task.flags = flags;
	run(r, fill_queue);
	most = r->arg;
	*end = r->p->now;
	close_rig(r);
	return most;
}

static void test_submitters_wait_for_room(void **state)
{
	struct rcl_sim_device_config cfg = simple;
	u64 free_end, end;

	(void)state;
	assert_true(most_queued(cfg, 0, false, &free_end) > 40);
	cfg.nr_requests = 20;
	assert_int_equal(most_queued(cfg, 0, false, &end), 20);
	/* The device was never idle for it. */
	assert_in_range(end, free_end - 50 * US, free_end + 50 * US);
	assert_int_equal(most_queued(cfg, 0, true, &end), 20);
}

static void test_writes_are_throttled(void **state)
{
	struct rcl_sim_device_config cfg = simple;
	u64 end;

	(void)state;
	cfg.wbt_depth = 16;
	for (u32 plugged = 0; plugged < 2; plugged++) {
		assert_int_equal(most_queued(cfg, PF_KSWAPD, plugged, &end), 16);
		assert_int_equal(most_queued(cfg, 0, plugged, &end), 8);
		assert_int_equal(most_queued(cfg, PF_FLUSHER, plugged, &end), 4);
		cfg.write_cache = true;
	}
}

static void write_after_read(struct rig *r)
{
	u32 base;

	start_io(r, RCL_IO_READ, 0, 999, 5, true);
	wait_page(r, 999);
	base = r->done;
	for (u32 i = 0; i < 20; i++) {
		start_io(r, RCL_IO_WRITE, 0, i, i * 10, false);
		assert_true(i + 1 - (r->done - base) <= 4);
	}
	wait_pages(r, 21);
}

static void test_reads_narrow_the_throttle(void **state)
{
	struct rcl_sim_device_config cfg = simple;
	struct rig *r;

	(void)state;
	cfg.wbt_depth = 16;
	r = open_rig((struct rcl_sim_config){.seed = 1}, &cfg);
	run(r, write_after_read);
	close_rig(r);
}

/* ---- faults ---- */

static void two_thousand(struct rig *r)
{
	for (u32 i = 0; i < 2000; i++) {
		start_io(r, i & 1 ? RCL_IO_WRITE : RCL_IO_READ, 0, i, i * 3, true);
		wait_page(r, i);
	}
}

static struct rcl_sim_device_stats with_faults(u32 read_ppm, u32 write_ppm, u32 slow_ppm, u64 seed)
{
	struct rcl_sim_device_config cfg = simple;
	struct rcl_sim_device_stats s;
	struct rig *r;

	cfg.fail_read_ppm = read_ppm;
	cfg.fail_write_ppm = write_ppm;
	cfg.slow_ppm = slow_ppm;
	r = open_rig((struct rcl_sim_config){.seed = seed}, &cfg);
	run(r, two_thousand);
	s = stats(r, 0);
	assert_int_equal(s.errors, r->errors);
	close_rig(r);
	return s;
}

static void test_faults(void **state)
{
	struct rcl_sim_device_stats s, again;

	(void)state;
	assert_int_equal(with_faults(0, 0, 0, 1).errors, 0);
	assert_int_equal(with_faults(1000000, 0, 0, 1).errors, 1000);
	assert_int_equal(with_faults(1000000, 1000000, 0, 1).errors, 2000);
	assert_in_range(with_faults(0, 100000, 0, 1).errors, 70, 130);
	s = with_faults(50000, 50000, 10000, 7);
	assert_in_range(s.slow, 5, 40);
	assert_true(s.request_ns > s.slow * 20 * US * RCL_SIM_SLOW_FACTOR);
	again = with_faults(50000, 50000, 10000, 7);
	assert_memory_equal(&s, &again, sizeof(s));
}

static void test_bad_devices(void **state)
{
	struct rig *r = open_rig((struct rcl_sim_config){.seed = 1}, NULL);
	struct rcl_sim_device_config cfg = simple;

	(void)state;
	cfg.fail_read_ppm = 1000001;
	assert_int_equal(rcl_sim_add_device(r->sim, &cfg), -EINVAL);
	cfg.fail_read_ppm = 0;
	for (int i = 0; i < RCL_SIM_MAX_DEVICES; i++)
		assert_int_equal(rcl_sim_add_device(r->sim, &cfg), i);
	assert_int_equal(rcl_sim_add_device(r->sim, &cfg), -EINVAL);
	assert_null(rcl_sim_device_preset("floppy"));
	for (const struct rcl_sim_device_config *d = rcl_sim_device_presets(); d->name; d++)
		assert_ptr_equal(rcl_sim_device_preset(d->name), d);
	assert_true(rcl_sim_device_preset("hdd")->seek_ns > 0);
	close_rig(r);
}

/* ---- content ---- */

static void store(struct rig *r, u64 pfn, u64 stamp)
{
	r->p->ops->page_store(r->p, pfn_folio(r->m, pfn), stamp);
}

static u64 load(struct rig *r, u64 pfn)
{
	return r->p->ops->page_load(r->p, pfn_folio(r->m, pfn));
}

static void content(struct rig *r)
{
	store(r, 1, 111);
	store(r, 2, 222);
	r->p->ops->page_copy(r->p, pfn_folio(r->m, 3), pfn_folio(r->m, 2));
	assert_int_equal(load(r, 3), 222);
	r->p->ops->page_zero(r->p, pfn_folio(r->m, 3));
	assert_int_equal(load(r, 3), 0);

	/* The device gets what the page held at submission, and has it at completion. */
	start_io(r, RCL_IO_WRITE, 0, 1, 70, true);
	store(r, 1, 112);
	assert_int_equal(rcl_sim_device_content(r->sim, 0, 70), rcl_sim_blank(0, 70));
	wait_page(r, 1);
	assert_int_equal(rcl_sim_device_content(r->sim, 0, 70), 111);

	/* In a plug, submission is when it is flushed. */
	r->p->ops->plug_start(r->p);
	start_io(r, RCL_IO_WRITE, 0, 2, 71, false);
	store(r, 2, 223);
	r->p->ops->plug_finish(r->p);
	store(r, 2, 224);
	wait_page(r, 2);
	assert_int_equal(rcl_sim_device_content(r->sim, 0, 71), 223);

	/* A read changes the page at completion. */
	store(r, 4, 9);
	start_io(r, RCL_IO_READ, 0, 4, 70, true);
	assert_int_equal(load(r, 4), 9);
	wait_page(r, 4);
	assert_int_equal(load(r, 4), 111);
	start_io(r, RCL_IO_READ, 0, 4, 12345, true);
	wait_page(r, 4);
	assert_int_equal(load(r, 4), rcl_sim_blank(0, 12345));
}

static void test_content(void **state)
{
	struct rig *r = open_rig((struct rcl_sim_config){.seed = 1, .check = true}, &simple);

	(void)state;
	assert_true(r->p->has_data);
	run(r, content);
	close_rig(r);
	r = open_rig((struct rcl_sim_config){.seed = 1}, &simple);
	assert_false(r->p->has_data);
	assert_null(r->p->ops->page_load);
	close_rig(r);
}

static void failed_write(struct rig *r)
{
	store(r, 1, 111);
	start_io(r, RCL_IO_WRITE, 0, 1, 70, true);
	wait_page(r, 1);
	assert_int_equal(r->errors, 1);
	assert_int_equal(rcl_sim_device_content(r->sim, 0, 70), rcl_sim_blank(0, 70));
}

static void test_failed_write_changes_nothing(void **state)
{
	struct rcl_sim_device_config cfg = simple;
	struct rig *r;

	(void)state;
	cfg.fail_write_ppm = 1000000;
	r = open_rig((struct rcl_sim_config){.seed = 1, .check = true}, &cfg);
	run(r, failed_write);
	close_rig(r);
}

/* ---- all together ---- */

#define RANDOM_BLOCKS 300

struct worker {
	struct rig *r;
	u32 nr;
	u64 *model; /* content of this worker's blocks */
	u64 pages;
};

/*
 * Each worker has frames and blocks of its own and does what it likes with them: single pages and
 * runs, plugged or not, waiting now and then. What a block holds in the end, and what each read
 * brings, is known.
 */
static void random_io(void *arg)
{
	struct worker *w = arg;
	struct rig *r = w->r;
	struct platform *p = r->p;
	u64 frame0 = w->nr * RANDOM_BLOCKS, block0 = w->nr * RANDOM_BLOCKS;
	u32 plugs = 0;

	for (u32 i = 0; i < 250; i++) {
		u64 x = p->ops->random(p);
		u64 first = x % RANDOM_BLOCKS, nr = 1 + (x >> 20) % 40;
		u8 op = x >> 30 & 1;
		bool down = x >> 31 & 1, sync = (x >> 32) % 8 == 0;

		if ((x >> 40) % 4 == 0) {
			p->ops->plug_start(p);
			plugs++;
		}
		for (u64 j = 0; j < nr; j++) {
			u64 b = down ? first - j : first + j;
			if (b >= RANDOM_BLOCKS)
				break;
			wait_page(r, frame0 + b);
			if (op == RCL_IO_WRITE) {
				w->model[b] = p->ops->random(p);
				store(r, frame0 + b, w->model[b]);
			} else {
				store(r, frame0 + b, 0);
			}
			start_io(r, op, 0, frame0 + b, block0 + b, sync);
			w->pages++;
		}
		if (plugs && (x >> 44) % 4 == 0) {
			p->ops->plug_finish(p);
			plugs--;
		}
		if ((x >> 48) % 3 == 0) {
			wait_page(r, frame0 + first);
			assert_int_equal(load(r, frame0 + first), w->model[first]);
		}
		p->now += x >> 50;
		rcl_poll(r->m);
	}
	while (plugs--)
		p->ops->plug_finish(p);
	for (u32 b = 0; b < RANDOM_BLOCKS; b++)
		wait_page(r, frame0 + b);
}

static u64 random_run(u64 seed)
{
	struct rcl_sim_device_config cfg = *rcl_sim_device_preset(
		((const char *[]){"nvme", "ssd", "hdd", "virtio"})[seed % 4]);
	struct rcl_sim_config simcfg = {
		.seed = seed, .nr_cpus = 1 + seed % 3, .explore = seed & 4, .check = true};
	struct worker workers[6] = {0};
	struct rig *r;
	u64 pages = 0, digest;
	struct rcl_sim_device_stats s;

	cfg.queue_depth = min(cfg.queue_depth, 1 + (u32)seed % 40);
	cfg.nr_requests = seed % 3 ? 10 + (u32)seed % 50 : 0;
	r = open_rig(simcfg, &cfg);
	for (u32 i = 0; i < 6; i++) {
		workers[i] = (struct worker){.r = r, .nr = i};
		workers[i].model = malloc(RANDOM_BLOCKS * sizeof(u64));
		assert_non_null(workers[i].model);
		for (u64 b = 0; b < RANDOM_BLOCKS; b++)
			workers[i].model[b] = rcl_sim_blank(0, i * RANDOM_BLOCKS + b);
		/* The first look at a block that was never touched sees it through a read. */
		for (u64 b = 0; b < RANDOM_BLOCKS; b++)
			store(r, i * RANDOM_BLOCKS + b, workers[i].model[b]);
		r->others[i].flags = i == 0 ? PF_KSWAPD : i == 1 ? PF_FLUSHER : 0;
		assert_int_equal(rcl_sim_spawn_user(r->sim, &r->others[i], random_io, &workers[i]),
				 0);
	}
	assert_int_equal(rcl_sim_run_users(r->sim), 0);
	for (u32 i = 0; i < 6; i++) {
		pages += workers[i].pages;
		for (u64 b = 0; b < RANDOM_BLOCKS; b++) {
			u64 block = i * RANDOM_BLOCKS + b;
			assert_int_equal(rcl_sim_device_content(r->sim, 0, block),
					 workers[i].model[b]);
		}
		free(workers[i].model);
	}
	s = stats(r, 0);
	assert_int_equal(r->done, pages);
	assert_int_equal(s.pages[0] + s.pages[1], pages);
	assert_true(s.requests[0] + s.requests[1] < pages);
	assert_true(s.busy_ns <= r->p->now);
	digest = rcl_sim_digest(r->sim);
	close_rig(r);
	return digest;
}

static void test_random_io(void **state)
{
	(void)state;
	for (u64 seed = 0; seed < 24; seed++)
		assert_int_equal(random_run(seed), random_run(seed));
}

/* ---- Disks whose requests end together ---- */

static void pass(struct rig *r, u64 ns)
{
	u32 nobody = 0;

	rcl_wait_on(r->m, &nobody, 0, ns, false);
}

/* The first waits for the second, which came while the disk was busy, though it was done before. */
static void one_while_busy(struct rig *r)
{
	u64 from = r->p->now, begun;

	start_io(r, RCL_IO_WRITE, 0, 1, 100, false);
	begun = r->p->now;
	pass(r, 40 * US); /* of 20 + 30 + 5 */
	start_io(r, RCL_IO_READ, 0, 2, 500, false);
	assert_int_equal(r->done, 0);
	wait_pages(r, 2);
	assert_true(r->done_at[1] >= begun + 65 * US);
	assert_true(r->done_at[1] < from + 75 * US);
	assert_true(r->done_at[2] - r->done_at[1] < 3 * US);
	/* Then it is idle again, and one more has its own latency and ends alone. */
	from = r->p->now;
	start_io(r, RCL_IO_READ, 0, 3, 700, false);
	wait_pages(r, 3);
	assert_in_range(r->done_at[3] - from, 60 * US, 66 * US);
}

/* Of forty pages thirty-two take less. */
static void large_one(struct rig *r)
{
	u64 from;

	r->p->ops->plug_start(r->p);
	for (u32 i = 0; i < 40; i++)
		start_io(r, RCL_IO_WRITE, 0, i, i, false);
	from = r->p->now;
	r->p->ops->plug_finish(r->p);
	wait_pages(r, 40);
	assert_int_equal(requests(r), 1);
	assert_in_range(r->done_at[0] - from, 122 * US, 128 * US); /* 20 + 30 + 8 * 5 + 32 * 1 */
}

/* As long as there are more, none of them ends. */
static void many_while_busy(struct rig *r)
{
	for (u32 i = 0; i < 10; i++) {
		start_io(r, RCL_IO_WRITE, 0, i, 10 * i, false);
		pass(r, 25 * US);
		assert_int_equal(r->done, 0);
	}
	wait_pages(r, 10);
	assert_true(r->done_at[9] - r->done_at[0] < 10 * 3 * US);
	assert_int_equal(requests(r), 10);
	assert_int_equal(stats(r, 0).pages[RCL_IO_WRITE], 10);
}

/* Two devices on one disk wait for one another; on two disks they do not. */
static void two_devices(struct rig *r)
{
	start_io(r, RCL_IO_READ, 0, 1, 100, false);
	for (u32 i = 0; i < 8; i++)
		start_io(r, RCL_IO_WRITE, 1, 10 + i, 10 * i, false);
	wait_page(r, 1);
	assert_int_equal(r->done, r->arg ? 9 : 1);
	wait_pages(r, 9);
}

static void test_ends_together(void **state)
{
	struct rcl_sim_device_config second = together;
	struct rig *r;

	(void)state;
	r = open_rig((struct rcl_sim_config){.seed = 1}, &together);
	run(r, one_while_busy);
	close_rig(r);
	r = open_rig((struct rcl_sim_config){.seed = 1}, &together);
	run(r, many_while_busy);
	close_rig(r);
	second.few_pages = 8;
	second.write_many_ns = 1 * US;
	second.plug_pages = 64;
	r = open_rig((struct rcl_sim_config){.seed = 1}, &second);
	run(r, large_one);
	close_rig(r);
	for (u32 same = 0; same < 2; same++) {
		r = open_rig((struct rcl_sim_config){.seed = 1}, &together);
		r->arg = same;
		second.same_disk = same != 0;
		assert_int_equal(rcl_sim_add_device(r->sim, &second), 1);
		run(r, two_devices);
		close_rig(r);
	}
	/* Only a disk that is like it can be shared. */
	second.same_disk = true;
	r = open_rig((struct rcl_sim_config){.seed = 1}, NULL);
	assert_int_equal(rcl_sim_add_device(r->sim, &second), -EINVAL);
	assert_int_equal(rcl_sim_add_device(r->sim, &simple), 0);
	assert_int_equal(rcl_sim_add_device(r->sim, &second), -EINVAL);
	close_rig(r);
}

static void reads_one_by_one(struct rig *r)
{
	r->arg = 0;
	for (u32 i = 0; i < 200; i++) {
		u64 from = r->p->now, took;

		start_io(r, RCL_IO_READ, 0, i, 10 * i, false);
		wait_pages(r, i + 1);
		took = r->done_at[i] - from;
		if (took > 100 * US)
			r->arg++;
		assert_true(took < 66 * US || (took > 600 * US && took < 606 * US));
	}
}

/* One pace of so many is ten times as slow: about as many reads are. Which ones is by chance. */
static void test_paces(void **state)
{
	struct rcl_sim_device_config cfg = together;
	u64 slow[3];

	(void)state;
	for (u32 i = 0; i < RCL_SIM_PACES; i++)
		cfg.pace[i] = i < RCL_SIM_PACES * 3 / 4 ? 100 : 1000;
	for (u32 k = 0; k < 3; k++) {
		struct rig *r = open_rig((struct rcl_sim_config){.seed = 1}, &cfg);

		run(r, reads_one_by_one);
		assert_in_range(r->arg, 25, 75);
		slow[k] = r->p->now;
		close_rig(r);
		cfg.chance = k;
	}
	assert_int_equal(slow[0], slow[1]);
	assert_int_not_equal(slow[1], slow[2]);
}

/* How many pages are gathered before some are started. */
static void plug_until_started(struct rig *r)
{
	u64 now = r->p->now;

	r->p->ops->plug_start(r->p);
	for (r->arg = 0; r->arg < 300; r->arg++) {
		start_io(r, RCL_IO_WRITE, 0, r->arg, r->arg, false);
		if (r->p->now - now >= r->p->cost_ns[WORK_IO_SUBMIT])
			break;
		now = r->p->now;
	}
	r->p->ops->plug_finish(r->p);
	wait_pages(r, (u32)r->arg + 1);
}

/* As in the kernel, when the last request has 128 KiB; or with so many pages. */
static void test_plug_pages(void **state)
{
	static const u32 plug_pages[] = {0, 96};
	struct rcl_sim_device_config cfg = simple;

	(void)state;
	cfg.max_request_bytes = 128 << 10;
	for (u32 k = 0; k < ARRAY_SIZE(plug_pages); k++) {
		struct rig *r;

		cfg.plug_pages = plug_pages[k];
		r = open_rig((struct rcl_sim_config){.seed = 1}, &cfg);
		run(r, plug_until_started);
		assert_int_equal(r->arg, plug_pages[k] ? 96 : 32);
		close_rig(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_of_one_read),
		cmocka_unit_test(test_latency_overlaps_channel_does_not),
		cmocka_unit_test(test_depth_and_order),
		cmocka_unit_test(test_seeks),
		cmocka_unit_test(test_no_seek_in_sequence),
		cmocka_unit_test(test_plug_merges),
		cmocka_unit_test(test_plug_empties_itself),
		cmocka_unit_test(test_submitters_wait_for_room),
		cmocka_unit_test(test_writes_are_throttled),
		cmocka_unit_test(test_reads_narrow_the_throttle),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_bad_devices),
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_failed_write_changes_nothing),
		cmocka_unit_test(test_random_io),
		cmocka_unit_test(test_ends_together),
		cmocka_unit_test(test_paces),
		cmocka_unit_test(test_plug_pages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
