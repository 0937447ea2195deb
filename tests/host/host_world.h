/* SPDX-License-Identifier: MIT */
/*
 * A machine on the host platform: so many frames of real memory, swap in an unnamed file, files in
 * a folder of its own that is gone afterwards. The calling thread has entered it.
 *
 *	struct host_world *w = host_world_open(&(struct host_world_options){.pages = 4096});
 *	struct host_file *f = host_world_file(w, "name", 1000);
 *	...
 *	host_world_close(w);
 */
#ifndef RCL_TESTS_HOST_WORLD_H
#define RCL_TESTS_HOST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mm/filemap.h"
#include "mm/machine.h"
#include "mm/mm.h"
#include "mm/pin.h"
#include "mm/swap.h"
#include "mm/writeback.h"
#include "platform/host/host.h"
#include "platform/host/internal.h"

#include <cmocka.h>

#include "../folder.h"

#define HOST_WORLD_FILES 16

struct host_world_options {
	u64 pages;	/* the machine's memory */
	u64 swap_pages; /* 0: no swap */
	u32 nr_cpus;	/* 0: as the system has */
	u32 io_depth;
	bool no_uring;
	struct rcl_host_faults *faults;
	void (*tune)(struct tunables *tun); /* change tunables before the machine opens */
};

struct host_file {
	char path[TEST_PATH_SIZE];
	u16 dev;
	u64 pages;
	struct mapping *mapping;
	struct file file; /* for one thread; others open their own by rcl_file_open() */
};

struct host_world {
	struct rcl_host *h;
	struct platform *plat;
	struct rcl *m;
	struct task *task;
	char dir[TEST_FOLDER_SIZE];
	bool has_swap;
	u16 swap_dev;
	u32 nr_files;
	struct host_file files[HOST_WORLD_FILES];
};

/* A test that hangs fails. Call it first in main(). */
static inline void host_watchdog(unsigned seconds)
{
	alarm(seconds);
}

/* Frames that an arena needs for a machine of that much memory in one zone. */
static inline u64 host_frames_for(u64 pages)
{
	const u64 block = 1ull << (MAX_ORDER - 1);

	return block + (pages + block - 1) / block * block;
}

static inline struct host_world *host_world_open(const struct host_world_options *opt)
{
	struct host_world *w = calloc(1, sizeof(*w));
	struct rcl_host_config hc = {.nr_frames = host_frames_for(opt->pages),
				     .nr_cpus = opt->nr_cpus,
				     .io_depth = opt->io_depth,
				     .no_uring = opt->no_uring,
				     .seed = 1,
				     .faults = opt->faults};
	struct rcl_machine_config mc = {.nr_nodes = 1, .nodes[0].managed[ZONE_DMA32] = opt->pages};
	int dev;

	assert_true(test_folder_make(w->dir));
	assert_int_equal(rcl_host_create(&hc, &w->h), 0);
	w->plat = rcl_host_platform(w->h);
	/* Opening a machine needs a task; the machine knows it once it is there. */
	assert_non_null(rcl_host_enter(w->h, NULL));
	mc.plat = w->plat;
	mc.nr_cpus = rcl_host_nr_cpus(w->h);
	rcl_tunables_defaults(&mc.tunables);
	if (opt->tune)
		opt->tune(&mc.tunables);
	assert_int_equal(rcl_machine_open(&mc, &w->m), 0);
	rcl_host_leave(w->h, rcl_current(w->m));
	w->task = rcl_host_enter(w->h, NULL);
	assert_non_null(w->task);
	if (opt->swap_pages) {
		dev = rcl_host_open_swap(w->h, NULL, w->dir, opt->swap_pages << PAGE_SHIFT,
					 RCL_HOST_WRITE | RCL_HOST_CREATE);
		assert_true(dev >= 0);
		w->has_swap = true;
		w->swap_dev = (u16)dev;
		assert_int_equal(rcl_swapon(w->m, (u16)dev, opt->swap_pages, -1, SWAP_SOLIDSTATE),
				 0);
	}
	return w;
}

/* A new file of so many pages, all zeros, with its page cache. */
static inline struct host_file *host_world_file(struct host_world *w, const char *name, u64 pages)
{
	struct host_file *f = &w->files[w->nr_files];
	int dev;

	assert_true(w->nr_files < HOST_WORLD_FILES);
	snprintf(f->path, sizeof(f->path), "%s/%s", w->dir, name);
	dev = rcl_host_open_file(w->h, f->path, RCL_HOST_WRITE | RCL_HOST_CREATE);
	assert_true(dev >= 0);
	f->dev = (u16)dev;
	f->pages = pages;
	assert_int_equal(rcl_host_truncate(w->h, f->dev, pages << PAGE_SHIFT), 0);
	assert_int_equal(rcl_writeback_add_device(w->m, f->dev), 0);
	assert_int_equal(rcl_mapping_create(w->m, name, f->dev, 0, pages, 0, &f->mapping), 0);
	rcl_file_open(w->m, f->mapping, &f->file);
	w->nr_files++;
	return f;
}

static inline u64 host_events(struct host_world *w, enum vm_event_item item)
{
	s64 sum = 0;

	for (u32 i = 0; i < w->m->nr_cpus; i++)
		sum += shared_read(&w->m->cpus[i].events[item]);
	return (u64)sum;
}

/*
 * On a slow disk all of a small machine may be on its way to swap. The engine gives up on that
 * after a while, as the kernel does; waiting is the caller's affair, and src/api/wait.c's.
 */
static inline int host_pin(struct host_world *w, struct mm *mm, u64 vpn, u32 how, pte_t **pte,
			   u64 *pfn)
{
	int err;

	while ((err = rcl_pin_page(w->m, mm, vpn, how, pte, pfn)) == -ENOMEM && w->has_swap)
		usleep(1000); /* (a watchdog is on) */
	return err;
}

/* Pin a page of an address space, write or read its stamp, unpin it: 0 or -errno. */
static inline int host_page_write(struct host_world *w, struct mm *mm, u64 vpn, u64 stamp)
{
	pte_t *pte;
	u64 pfn;
	int err = host_pin(w, mm, vpn, PIN_WRITE | PIN_OVERWRITE, &pte, &pfn);

	if (err)
		return err;
	rcl_host_stamp(rcl_host_frame(w->h, pfn), stamp);
	if (!rcl_unpin_fast(mm, pte, true))
		rcl_unpin_page(w->m, mm, vpn, pte);
	return 0;
}
static inline int host_page_read(struct host_world *w, struct mm *mm, u64 vpn, u64 *stamp)
{
	pte_t *pte;
	u64 pfn;
	int err = host_pin(w, mm, vpn, 0, &pte, &pfn);

	if (err)
		return err;
	*stamp = rcl_host_stamp_of(rcl_host_frame(w->h, pfn));
	rcl_unpin_fast(mm, pte, false);
	return 0;
}

/* Write what is dirty and wait until the machine's own tasks have nothing to do: rcl_check()
 * needs quiet. No other thread may be in the machine. (kswapd takes a nap of a tenth of a second
 * before it sleeps, and looks again then.) */
static inline void host_world_settle(struct host_world *w)
{
	struct rcl_host_device_info info;

	rcl_lru_add_drain_all(w->m);
	rcl_sync(w->m);
	/* (Pages on their way to swap are nobody's to wait for.) */
	for (u32 n = 0; n < w->m->nr_nodes; n++)
		while (node_page_state(&w->m->nodes[n], NR_WRITEBACK))
			usleep(1000);
	for (u32 n = 0; n < w->m->nr_nodes; n++) {
		for (u32 ms = 0; ms < 130; ms++) {
			if (!__atomic_load_n(&w->m->nodes[n].kswapd_asleep, __ATOMIC_SEQ_CST))
				ms = 0;
			usleep(1000);
		}
	}
	/* Who ended I/O last has let go of the device's lock, and of batches. */
	if (w->has_swap)
		rcl_host_device_info(w->h, w->swap_dev, &info);
	rcl_lru_add_drain_all(w->m);
}

/* Address spaces are gone already. Page caches go with the machine; then the files. */
static inline void host_world_close_at_once(struct host_world *w)
{
	rcl_machine_close(w->m);
	rcl_host_leave(w->h, w->task);
	for (u32 i = 0; i < w->nr_files; i++) {
		rcl_host_close_device(w->h, w->files[i].dev);
		unlink(w->files[i].path);
	}
	if (w->has_swap)
		rcl_host_close_device(w->h, w->swap_dev);
	rcl_host_destroy(w->h);
	assert_int_equal(rmdir(w->dir), 0);
	free(w);
}
static inline void host_world_close(struct host_world *w)
{
	host_world_settle(w);
	assert_true(rcl_check(w->m));
	host_world_close_at_once(w);
}

#endif
