/* SPDX-License-Identifier: MIT */
/* Writeback: its arithmetic, a folio's way, flushing, errors, and the throttling of writers. */
#include "writeback_world.h"

/* ---- Arithmetic ----------------------------------------------------------------------------- */

static void position_curve(void **state_)
{
	(void)state_;
	/* freerun 1000, setpoint 2000, limit 3000 */
	assert_int_equal(rcl_pos_ratio_polynom(2000, 2000, 3000), 1024);
	assert_in_range(rcl_pos_ratio_polynom(2000, 1000, 3000), 2040, 2048);
	assert_int_equal(rcl_pos_ratio_polynom(2000, 0, 3000), 2048); /* clamped */
	assert_in_range(rcl_pos_ratio_polynom(2000, 3000, 3000), 0, 5);
	assert_int_equal(rcl_pos_ratio_polynom(2000, 4000, 3000), 0);
	/* half way to the limit: 1 - 1/8; the shift rounds down */
	assert_in_range(rcl_pos_ratio_polynom(2000, 2500, 3000), 894, 898);
	for (u64 d = 0; d < 3500; d++)
		assert_true(rcl_pos_ratio_polynom(2000, d, 3000) >=
			    rcl_pos_ratio_polynom(2000, d + 1, 3000));
	assert_int_equal(rcl_pos_ratio_polynom(5, 5, 5), 1024); /* no division by zero */
}

static void poll_interval_is_the_root_of_the_margin(void **state_)
{
	(void)state_;
	assert_int_equal(rcl_dirty_poll_interval(0, 1024), 32);
	assert_int_equal(rcl_dirty_poll_interval(0, 1023), 16);
	assert_int_equal(rcl_dirty_poll_interval(100, 356), 16);
	assert_int_equal(rcl_dirty_poll_interval(100, 355), 8);
	assert_int_equal(rcl_dirty_poll_interval(100, 101), 1);
	assert_int_equal(rcl_dirty_poll_interval(100, 100), 1);
	assert_int_equal(rcl_dirty_poll_interval(200, 100), 1);
}

static void shares_fade_by_half(void **state_)
{
	struct fprop global = {0}, a = {0}, b = {0};
	u64 num, den;

	(void)state_;
	rcl_fprop_fraction(&global, &a, &num, &den);
	assert_int_equal(num, 0);
	assert_int_equal(den, 1);
	assert_false(rcl_fprop_new_period(&global, 1)); /* nothing to fade */
	rcl_fprop_add(&global, &a, 100, false);
	rcl_fprop_add(&global, &b, 300, false);
	rcl_fprop_fraction(&global, &a, &num, &den);
	assert_int_equal(num, 100);
	assert_int_equal(den, 400);
	assert_true(rcl_fprop_new_period(&global, 1));
	rcl_fprop_add(&global, &b, 50, false);
	rcl_fprop_fraction(&global, &a, &num, &den);
	assert_int_equal(num, 50);
	assert_int_equal(den, 250);
	assert_true(rcl_fprop_new_period(&global, 3));
	rcl_fprop_fraction(&global, &b, &num, &den);
	assert_int_equal(num, 25);
	assert_int_equal(den, 31); /* 250 >> 3 */
	assert_true(rcl_fprop_new_period(&global, 70));
	rcl_fprop_fraction(&global, &b, &num, &den);
	assert_int_equal(num, 0);
	assert_int_equal(den, 1);
	/* the local counter may be a little ahead of the sum: never more than everything */
	a.events = 10;
	rcl_fprop_fraction(&global, &a, &num, &den);
	assert_true(num <= den);
}

static void limits_by_hand(void **state_)
{
	struct world w;
	u64 avail, bg, dirty;
	struct node *nd;

	(void)state_;
	world_open(&w, (struct world_config){0});
	nd = &w.m->nodes[0];
	avail = (u64)zone_page_state(&nd->zones[ZONE_DMA32], NR_FREE_PAGES) -
		nd->totalreserve_pages + 1;
	assert_int_equal(rcl_global_dirtyable_memory(w.m), avail);
	rcl_global_dirty_limits(w.m, &bg, &dirty);
	assert_int_equal(dirty, 20 * 4096 / 100 * avail / 4096);
	assert_int_equal(bg, 10 * 4096 / 100 * avail / 4096);
	w.m->tun.dirty_bytes = 10 * 4096 + 1;
	rcl_global_dirty_limits(w.m, &bg, &dirty);
	assert_int_equal(dirty, 11);
	assert_int_equal(bg, 5); /* the background limit is always below the other */
	w.m->tun.dirty_background_bytes = 3 * 4096;
	rcl_global_dirty_limits(w.m, &bg, &dirty);
	assert_int_equal(bg, 3);
	assert_true(rcl_node_dirty_ok(nd));
	nd->stat[NR_FILE_DIRTY] += 10; /* 11 * (avail - 1) / avail */
	assert_true(rcl_node_dirty_ok(nd));
	nd->stat[NR_WRITEBACK]++;
	assert_false(rcl_node_dirty_ok(nd));
	nd->stat[NR_FILE_DIRTY] -= 10;
	nd->stat[NR_WRITEBACK]--;
	world_close(&w);
}

/* ---- One folio ------------------------------------------------------------------------------- */

static struct folio *get_locked(struct world *w, struct file *file, u64 index)
{
	struct folio *f = rcl_filemap_get_folio(w->m, file->mapping, index);

	assert_non_null(f);
	folio_lock(w->m, f);
	return f;
}

static void circle_of_states(void **state_)
{
	struct world w;
	struct file file;
	struct mapping *mapping;
	struct folio *f;

	(void)state_;
	world_open(&w, (struct world_config){0});
	open_new(&w, 16, &file);
	mapping = file.mapping;
	w.m->tun.dirty_writeback_centisecs = 0;
	w.me->nr_dirtied_pause = 32;
	assert_int_equal(rcl_file_write(w.m, &file, 3, 1, 0), 0);
	expect(&w, 1, 0, 1, 0);
	assert_int_equal(w.me->nr_dirtied, 1);
	f = get_locked(&w, &file, 3);
	assert_true(folio_test(f, PG_dirty));
	assert_true(rcl_radix_get_tag(mapping, 3, TAG_DIRTY));
	assert_int_equal(mapping_wb_state(mapping), MAPPING_DIRTY_PAGES);

	/* dirty again: nothing; but it is in use, so it is not to be freed once written */
	folio_set(f, PG_reclaim);
	assert_false(rcl_folio_mark_dirty(w.m, f));
	assert_false(folio_test(f, PG_reclaim));
	expect(&w, 1, 0, 1, 0);

	/* cleaned: uncounted, still tagged */
	assert_true(rcl_folio_clear_dirty_for_io(w.m, f));
	assert_false(rcl_folio_clear_dirty_for_io(w.m, f));
	assert_true(rcl_radix_get_tag(mapping, 3, TAG_DIRTY));
	expect(&w, 0, 0, 1, 0);

	rcl_folio_start_writeback(w.m, f);
	assert_false(rcl_radix_get_tag(mapping, 3, TAG_DIRTY));
	assert_true(rcl_radix_get_tag(mapping, 3, TAG_WRITEBACK));
	assert_int_equal(mapping->wb->writeback_files, 1);
	expect(&w, 0, 1, 1, 0);

	/* dirtied while being written: counts twice */
	assert_true(rcl_folio_mark_dirty(w.m, f));
	expect(&w, 1, 1, 2, 0);
	rcl_folio_end_writeback(w.m, f);
	assert_false(rcl_radix_get_tag(mapping, 3, TAG_WRITEBACK));
	assert_int_equal(mapping->wb->writeback_files, 0);
	assert_int_equal(folio_ref_count(f), 2 + !folio_test(f, PG_lru)); /* nothing leaked */
	expect(&w, 1, 0, 2, 1);

	/* thrown away */
	rcl_folio_cancel_dirty(w.m, f);
	rcl_folio_cancel_dirty(w.m, f);
	expect(&w, 0, 0, 2, 1);

	/* through the device */
	assert_true(rcl_folio_mark_dirty(w.m, f));
	assert_true(rcl_folio_clear_dirty_for_io(w.m, f));
	assert_int_equal(rcl_file_writepage(w.m, f), 0);
	rcl_folio_wait_writeback(w.m, f);
	expect(&w, 0, 0, 3, 2);
	folio_put(w.m, f);
	world_close(&w);
}

/* A folio that reclaim waits for goes to the old end of its list when it is written. */
static void reclaim_mark_rotates(void **state_)
{
	struct world w;
	struct file file;
	struct folio *f;
	s64 rotated;

	(void)state_;
	world_open(&w, (struct world_config){0});
	open_new(&w, 64, &file);
	assert_int_equal(rcl_file_write(w.m, &file, 0, 64, 0), 0);
	rcl_lru_add_drain(w.m);
	f = get_locked(&w, &file, 60);
	assert_true(rcl_folio_clear_dirty_for_io(w.m, f));
	folio_set(f, PG_reclaim);
	rotated = w.m->cpus[0].events[PGROTATED];
	rcl_file_writepage(w.m, f);
	rcl_folio_wait_writeback(w.m, f);
	assert_false(folio_test(f, PG_reclaim));
	rcl_lru_add_drain(w.m);
	assert_int_equal(w.m->cpus[0].events[PGROTATED], rotated + 1);
	assert_ptr_equal(rcl_folio_lruvec(w.m, f)->lists[LRU_INACTIVE_FILE].prev, &f->lru);
	folio_put(w.m, f);
	world_close(&w);
}

static void anonymous_folios_have_only_the_flag(void **state_)
{
	struct world w;
	struct folio *f;

	(void)state_;
	world_open(&w, (struct world_config){0});
	f = rcl_alloc_pages(w.m, GFP_HIGHUSER, 0);
	assert_non_null(f);
	folio_set(f, PG_anon);
	folio_set(f, PG_swapbacked);
	assert_true(rcl_folio_mark_dirty(w.m, f));
	assert_false(rcl_folio_mark_dirty(w.m, f));
	expect(&w, 0, 0, 0, 0);
	folio_lock(w.m, f);
	assert_true(rcl_folio_clear_dirty_for_io(w.m, f));
	rcl_folio_start_writeback(w.m, f);
	expect(&w, 0, 1, 0, 0);
	rcl_folio_end_writeback(w.m, f);
	expect(&w, 0, 0, 0, 1);
	folio_unlock(w.m, f);
	folio_clear(f, PG_anon);
	folio_clear(f, PG_swapbacked);
	folio_put(w.m, f);
	world_close(&w);
}

/* ---- Flushing -------------------------------------------------------------------------------- */

/*
 * Let time pass, with writes that keep the device's record of completions: a wb without one has no
 * share of the background limit, and all it has counts as too much at the next look.
 */
static void live_on(struct world *w, struct file *busy, u64 seconds)
{
	for (u64 i = 0; i < seconds; i++) {
		assert_int_equal(rcl_file_write(w->m, busy, 0, 16, 0), 0);
		assert_int_equal(rcl_file_fsync(w->m, busy), 0);
		sleep_ms(w, 1000);
	}
}

static void old_data_is_written_after_30_seconds(void **state_)
{
	struct world w;
	struct file busy, file, young;

	(void)state_;
	world_open(&w, (struct world_config){0});
	open_new(&w, 16, &busy);
	open_new(&w, 16, &file);
	open_new(&w, 16, &young);
	live_on(&w, &busy, 1);
	assert_int_equal(rcl_file_write(w.m, &file, 0, 4, 0), 0);
	live_on(&w, &busy, 20);
	assert_int_equal(rcl_file_write(w.m, &young, 0, 5, 0), 0);
	live_on(&w, &busy, 8);
	assert_int_equal(state(&w, NR_FILE_DIRTY), 9);
	assert_int_equal(mapping_wb_state(file.mapping), MAPPING_DIRTY_PAGES);
	live_on(&w, &busy, 9);
	assert_int_equal(state(&w, NR_FILE_DIRTY), 5);
	assert_int_equal(mapping_wb_state(file.mapping), 0);
	assert_int_equal(mapping_wb_state(young.mapping), MAPPING_DIRTY_PAGES);
	live_on(&w, &busy, 20);
	assert_int_equal(state(&w, NR_FILE_DIRTY), 0);
	world_close(&w);
}

/* The other side of it: without a record, at the first look, whatever its age. */
static void first_data_is_written_at_the_first_look(void **state_)
{
	struct world w;
	struct file file;

	(void)state_;
	world_open(&w, (struct world_config){0});
	open_new(&w, 16, &file);
	assert_int_equal(rcl_file_write(w.m, &file, 0, 16, 0), 0);
	sleep_ms(&w, 4900);
	expect(&w, 16, 0, 16, 0);
	sleep_ms(&w, 200);
	expect(&w, 0, 0, 16, 16);
	world_close(&w);
}

static void never_without_an_interval(void **state_)
{
	struct world w;
	struct file file;

	(void)state_;
	world_open(&w, (struct world_config){0});
	w.m->tun.dirty_writeback_centisecs = 0;
	open_new(&w, 16, &file);
	assert_int_equal(rcl_file_write(w.m, &file, 0, 16, 0), 0);
	rcl_sync(w.m);
	assert_int_equal(rcl_file_write(w.m, &file, 0, 16, 0), 0);
	sleep_ms(&w, 200000);
	expect(&w, 16, 0, 32, 16);
	world_close(&w);
}

static void background_work_stops_at_its_limit(void **state_)
{
	struct world w;
	struct file a, b, c, d, *files[] = {&a, &b, &c, &d};
	u64 bg, dirty;

	(void)state_;
	/* Eight files of 4 MiB chunks: it stops between files, not in the middle of one. */
	world_open(&w, (struct world_config){.memory_mib = 512});
	for (int i = 0; i < 4; i++)
		open_new(&w, 4096, files[i]);
	rcl_file_write(w.m, &a, 0, 1, 0);
	rcl_sync(w.m); /* now it has a history: all completions are its own */
	rcl_global_dirty_limits(w.m, &bg, &dirty);
	for (u64 i = 0; i < bg + 1; i++)
		assert_int_equal(rcl_file_write(w.m, files[i % 4], i / 4, 1, 0), 0);
	assert_true(state(&w, NR_FILE_DIRTY) > (s64)bg);
	rcl_wb_wakeup(a.mapping->wb);
	sleep_ms(&w, 3000);
	rcl_global_dirty_limits(w.m, &bg, &dirty);
	assert_true(state(&w, NR_FILE_DIRTY) <= (s64)bg);
	assert_true(state(&w, NR_FILE_DIRTY) > (s64)bg - 4 * 4096);
	assert_int_equal(state(&w, NR_WRITEBACK), 0);
	world_close(&w);
}

static void flush_all_writes_everything(void **state_)
{
	struct world w;
	struct file a, b;

	(void)state_;
	world_open(&w, (struct world_config){0});
	open_new(&w, 1000, &a);
	rcl_file_open(w.m, file_on(&w, w.other_dev, 1000), &b);
	rcl_file_write(w.m, &a, 0, 700, 0);
	rcl_file_write(w.m, &b, 100, 300, 0);
	rcl_wakeup_flusher_threads(w.m);
	rcl_wakeup_flusher_threads(w.m);
	sleep_ms(&w, 500);
	expect(&w, 0, 0, 1000, 1000);
	assert_int_equal(mapping_wb_state(a.mapping), 0);
	world_close(&w);
}

/* Without integrity a pass goes on where the last one stopped, once around. */
static void cyclic_passes(void **state_)
{
	struct world w;
	struct file file;
	struct mapping *mapping;
	struct wb_control wbc = {.nr_to_write = 10, .range_cyclic = true};

	(void)state_;
	world_open(&w, (struct world_config){0});
	open_new(&w, 100, &file);
	mapping = file.mapping;
	rcl_file_write(w.m, &file, 0, 30, 0);
	rcl_do_writepages(w.m, mapping, &wbc);
	assert_int_equal(wbc.nr_to_write, 0);
	assert_int_equal(mapping->writeback_index, 10);
	sleep_ms(&w, 100);		     /* a page under writeback would be skipped */
	rcl_file_write(w.m, &file, 2, 3, 0); /* behind the cursor */
	wbc.nr_to_write = 22;
	rcl_do_writepages(w.m, mapping, &wbc); /* 10..29, then from the start: 2, 3 */
	assert_int_equal(wbc.nr_to_write, 0);
	assert_int_equal(mapping->writeback_index, 4);
	assert_true(rcl_radix_get_tag(mapping, 4, TAG_DIRTY));
	wbc.nr_to_write = 100;
	rcl_do_writepages(w.m, mapping, &wbc);
	assert_int_equal(wbc.nr_to_write, 99);
	assert_false(rcl_mapping_tagged(mapping, TAG_DIRTY));
	sleep_ms(&w, 100);
	expect(&w, 0, 0, 33, 33);
	world_close(&w);
}

static void fsync_writes_one_file_and_waits(void **state_)
{
	struct world w;
	struct file a, b;

	(void)state_;
	world_open(&w, (struct world_config){.check = true});
	open_new(&w, 1000, &a);
	open_new(&w, 1000, &b);
	rcl_file_write(w.m, &a, 0, 700, 11);
	rcl_file_write(w.m, &b, 0, 300, 22);
	assert_int_equal(rcl_file_fsync(w.m, &a), 0);
	assert_int_equal(state(&w, NR_FILE_DIRTY), 300);
	assert_int_equal(state(&w, NR_WRITTEN), 700);
	assert_false(rcl_mapping_tagged(a.mapping, TAG_TOWRITE));
	assert_int_equal(rcl_sim_device_content(w.sim, w.dev, a.mapping->first_block + 699), 11);
	rcl_sync(w.m);
	expect(&w, 0, 0, 1000, 1000);
	assert_int_equal(rcl_sim_device_content(w.sim, w.dev, b.mapping->first_block), 22);
	world_close(&w);
}

static void freeing_a_dirty_file(void **state_)
{
	struct world w;
	struct file file;

	(void)state_;
	world_open(&w, (struct world_config){0});
	open_new(&w, 5000, &file);
	rcl_file_write(w.m, &file, 0, 3000, 0);
	rcl_wakeup_flusher_threads(w.m);
	sleep_ms(&w, 2); /* the flusher is in the middle of it */
	assert_true(state(&w, NR_WRITEBACK) > 0);
	rcl_mapping_destroy(w.m, file.mapping);
	assert_int_equal(state(&w, NR_FILE_DIRTY), 0);
	assert_int_equal(state(&w, NR_WRITEBACK), 0);
	sleep_ms(&w, 10000);
	world_close(&w);
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static void each_open_file_hears_of_an_error_once(void **state_)
{
	struct world w;
	struct file a, b, later;

	(void)state_;
	world_open(&w, (struct world_config){.fail_write_ppm = 1000000});
	open_new(&w, 100, &a);
	rcl_file_open(w.m, a.mapping, &b);
	rcl_file_write(w.m, &a, 0, 3, 0);
	assert_int_equal(rcl_file_fsync(w.m, &a), -EIO);
	assert_int_equal(rcl_file_fsync(w.m, &a), 0);
	rcl_file_open(w.m, a.mapping, &later);
	assert_int_equal(rcl_file_fsync(w.m, &later), 0);
	assert_int_equal(rcl_file_fsync(w.m, &b), -EIO);
	assert_int_equal(rcl_file_fsync(w.m, &b), 0);
	/* the data is lost, not dirty: it is not written again for ever */
	expect(&w, 0, 0, 3, 3);

	/* nobody was told of this one when `later` opens the file again */
	rcl_file_write(w.m, &a, 0, 1, 0);
	rcl_wakeup_flusher_threads(w.m);
	sleep_ms(&w, 100);
	assert_true(a.mapping->flags & MAPPING_EIO);
	rcl_file_open(w.m, a.mapping, &later);
	rcl_mapping_set_error(a.mapping, -ENOSPC);
	assert_true(a.mapping->flags & MAPPING_ENOSPC);
	assert_int_equal(rcl_file_fsync(w.m, &later), -ENOSPC); /* the last one is the one told */
	assert_false(a.mapping->flags & (MAPPING_EIO | MAPPING_ENOSPC));
	assert_int_equal(rcl_file_fsync(w.m, &a), -ENOSPC);
	assert_int_equal(rcl_file_fsync(w.m, &later), 0);
	/* the same error again is news once it was seen */
	rcl_mapping_set_error(a.mapping, -ENOSPC);
	assert_int_equal(rcl_file_fsync(w.m, &later), -ENOSPC);
	world_close(&w);
}

/* ---- Throttling ------------------------------------------------------------------------------ */

struct writer {
	struct world *w;
	struct task task;
	struct file file;
	u64 pages, most_dirty, most_over, took_ns;
	bool random;
};

static void writer_run(void *arg)
{
	struct writer *wr = arg;
	struct rcl *m = wr->w->m;
	u64 start = rcl_now(m), size = wr->file.mapping->size;

	for (u64 i = 0; i < wr->pages; i++) {
		u64 dirty, bg, limit;
		u64 index = wr->random ? m->plat->ops->random(m->plat) % size : i % size;

		if (rcl_file_write(m, &wr->file, index, 1, 0))
			break;
		rcl_global_dirty_limits(m, &bg, &limit);
		dirty = (u64)(state(wr->w, NR_FILE_DIRTY) + state(wr->w, NR_WRITEBACK));
		wr->most_dirty = max(wr->most_dirty, dirty);
		wr->most_over = max(wr->most_over, dirty > limit ? dirty - limit : 0);
		rcl_poll(m);
	}
	wr->took_ns = rcl_now(m) - start;
}

static void writer_start(struct world *w, struct writer *wr, struct memcg *memcg, u64 file_pages,
			 u64 pages)
{
	memset(wr, 0, sizeof(*wr));
	wr->w = w;
	wr->pages = pages;
	wr->task.memcg = memcg;
	open_new(w, file_pages, &wr->file);
	rcl_task_attach(w->m, &wr->task);
	assert_int_equal(rcl_sim_spawn_user(w->sim, &wr->task, writer_run, wr), 0);
}

static void writer_end(struct world *w, struct writer *wr)
{
	rcl_writeback_task_exit(w->m, &wr->task);
	rcl_task_detach(w->m, &wr->task);
}

/* The machine can dirty far faster than the device writes: it must not get far over the limit, and
 * must keep the device busy. */
static void writer_is_slowed_to_the_device(void **state_)
{
	struct world w;
	struct writer wr;
	u64 bg, limit, ideal;

	(void)state_;
	world_open(&w, (struct world_config){.memory_mib = 64, .bandwidth = 20000000});
	rcl_global_dirty_limits(w.m, &bg, &limit);
	writer_start(&w, &wr, NULL, 40000, 40000);
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	ideal = (40000 - limit) * PAGE_SIZE * 50; /* ns at 20 MB/s for what cannot stay behind */
	assert_in_range(wr.took_ns, ideal * 9 / 10, ideal * 5 / 4);
	assert_true(wr.most_over < limit / 16);
	assert_true(wr.most_dirty > (limit + bg) / 2);
	writer_end(&w, &wr);
	world_close(&w);
}

/* Two writers share the device evenly, however different their demand. */
static void writers_share_evenly(void **state_)
{
	struct world w;
	struct writer a, b;

	(void)state_;
	world_open(&w,
		   (struct world_config){.memory_mib = 64, .bandwidth = 20000000, .nr_cpus = 2});
	writer_start(&w, &a, NULL, 30000, 30000);
	writer_start(&w, &b, NULL, 30000, 30000);
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	assert_in_range(a.took_ns, b.took_ns * 3 / 4, b.took_ns * 4 / 3);
	assert_true(a.most_over < 400);
	writer_end(&w, &a);
	writer_end(&w, &b);
	world_close(&w);
}

/* A group is held to its own limits, long before the machine's matter; or not at all. */
static void group_limits(void **state_)
{
	(void)state_;
	for (int on = 0; on < 2; on++) {
		struct world w;
		struct writer wr;
		struct memcg *g;

		world_open(&w, (struct world_config){.memory_mib = 512});
		w.m->tun.cgroup_writeback = on;
		assert_int_equal(rcl_memcg_create(w.m, w.m->root_memcg, "g", &g), 0);
		assert_int_equal(rcl_memcg_set_max(w.m, g, 32 << 20), 0);
		/* no page is read again: reclaim finds only dirty pages, unless somebody writes */
		writer_start(&w, &wr, g, 6000, 6000);
		assert_int_equal(rcl_sim_run_users(w.sim), 0);
		if (on) {
			/* from 15% of the 8192 pages it may use to 20%, and what it dirties between
			 * two checks */
			assert_in_range(wr.most_dirty, 1100, 8192 / 5 + 100);
			assert_ptr_equal(wr.file.mapping->wb->memcg, g);
			assert_non_null(wr.file.mapping->wb->domain);
		} else {
			assert_int_equal(wr.most_dirty, 6000);
			assert_ptr_equal(wr.file.mapping->wb, &w.m->wb->bdis[w.dev]->wb);
		}
		writer_end(&w, &wr);
		world_close(&w);
	}
}

static void files_of_a_group_that_goes(void **state_)
{
	struct world w;
	struct writer wr;
	struct memcg *g;
	struct wb *old;
	struct folio *f;

	(void)state_;
	world_open(&w, (struct world_config){0});
	assert_int_equal(rcl_memcg_create(w.m, w.m->root_memcg, "g", &g), 0);
	writer_start(&w, &wr, g, 500, 500);
	assert_int_equal(rcl_sim_run_users(w.sim), 0);
	writer_end(&w, &wr);
	old = wr.file.mapping->wb;
	assert_ptr_equal(old->memcg, g);
	f = get_locked(&w, &wr.file, 7);
	rcl_folio_clear_dirty_for_io(w.m, f);
	rcl_folio_start_writeback(w.m, f);
	folio_unlock(w.m, f);
	rcl_writeback_memcg_offline(w.m, g);
	assert_ptr_equal(wr.file.mapping->wb, &w.m->wb->bdis[w.dev]->wb);
	assert_int_equal(old->stat[WB_RECLAIMABLE], 0);
	assert_int_equal(old->stat[WB_WRITEBACK], 0);
	assert_int_equal(wr.file.mapping->wb->stat[WB_RECLAIMABLE], 499);
	expect(&w, 499, 1, 500, 0);
	rcl_folio_end_writeback(w.m, f);
	folio_put(w.m, f);
	rcl_sync(w.m);
	expect(&w, 0, 0, 500, 500);
	world_close(&w);
}

/* What an ended task dirtied without a check is checked by the next on its CPU. */
static void short_tasks_do_not_escape(void **state_)
{
	struct world w;
	struct task gone = {.nr_dirtied = 20};
	struct file file;

	(void)state_;
	world_open(&w, (struct world_config){0});
	open_new(&w, 100, &file);
	rcl_writeback_task_exit(w.m, &gone);
	assert_int_equal(gone.nr_dirtied, 0);
	assert_int_equal(w.m->wb->cpus[0].leaks, 20);
	w.me->nr_dirtied_pause = 15;
	rcl_file_write(w.m, &file, 0, 1, 0);
	/* 1 + 14 of the 20 reach 15: checked, free running, counted from 0 again */
	assert_int_equal(w.m->wb->cpus[0].leaks, 6);
	assert_int_equal(w.me->nr_dirtied, 0);
	assert_true(w.me->nr_dirtied_pause > 15);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(position_curve),
		cmocka_unit_test(poll_interval_is_the_root_of_the_margin),
		cmocka_unit_test(shares_fade_by_half),
		cmocka_unit_test(limits_by_hand),
		cmocka_unit_test(circle_of_states),
		cmocka_unit_test(reclaim_mark_rotates),
		cmocka_unit_test(anonymous_folios_have_only_the_flag),
		cmocka_unit_test(old_data_is_written_after_30_seconds),
		cmocka_unit_test(first_data_is_written_at_the_first_look),
		cmocka_unit_test(never_without_an_interval),
		cmocka_unit_test(background_work_stops_at_its_limit),
		cmocka_unit_test(flush_all_writes_everything),
		cmocka_unit_test(cyclic_passes),
		cmocka_unit_test(fsync_writes_one_file_and_waits),
		cmocka_unit_test(freeing_a_dirty_file),
		cmocka_unit_test(each_open_file_hears_of_an_error_once),
		cmocka_unit_test(writer_is_slowed_to_the_device),
		cmocka_unit_test(writers_share_evenly),
		cmocka_unit_test(group_limits),
		cmocka_unit_test(files_of_a_group_that_goes),
		cmocka_unit_test(short_tasks_do_not_escape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
