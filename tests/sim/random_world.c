/* SPDX-License-Identifier: MIT */
/*
 * What a world promises, and how it is checked:
 *
 *  - Anonymous memory: each task has a region of its own (in an address space that it may share).
 *    A page holds what the task stored last; zero if it never did or dropped it (DONTNEED, munmap);
 *    either of the two after MADV_FREE, until it is stored to again.
 *  - Files: page p may be written by one task only, the owner, so that the last stamp is known. The
 *    owner must read it back exactly. Others must read some stamp of that page that is not newer
 *    than the last. When writes to the disk may fail, an older stamp of the page is no loss: the
 *    kernel drops what it could not write, and says so at the next fsync.
 *  - Swap may fail to write too, but then the page stays: nothing is ever lost there. What cannot
 *    be read is an error to the task (-EIO), never wrong content.
 *  - A task that was killed for memory gets -EINTR and stops; all others go on.
 *  - At the end nothing leaks: groups can be destroyed, and every frame is free again.
 *
 * rcl_check() runs every few hundred operations, in the middle of everything.
 */
#include "random_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "mm/machine.h"
#include "mm/mm.h"
#include "mm/swap.h"
#include "mm/writeback.h"
#include "platform/sim/sim.h"

#define MAX_TASKS   6
#define MAX_GROUPS  4
#define MAX_FILES   3
#define REGION_VPN  0x10000ull
#define REGION_STEP 0x40000ull /* a task's memory, its file mappings above it */
#define CHECK_EVERY 256

struct world;

struct wfile {
	struct mapping *mapping;
	u64 pages;
	u32 *seq; /* last sequence number written to each page; 0 = never */
};

struct wtask {
	struct world *w;
	struct task task;
	u32 no;
	u64 rng;
	struct mm *mm;
	u64 anon_vpn, anon_pages;
	u64 *anon;  /* what each page holds */
	bool *lazy; /* MADV_FREE since: or zero */
	struct file file[MAX_FILES];
	u64 map_vpn[MAX_FILES]; /* 0 = not mapped */
	u64 operations, done;
};

struct world {
	u64 rng;
	struct rcl_sim *sim;
	struct platform *plat;
	struct rcl *m;
	struct memcg *groups[MAX_GROUPS];
	u32 nr_groups;
	struct wfile files[MAX_FILES];
	u32 nr_files;
	struct wtask tasks[MAX_TASKS];
	u32 nr_tasks;
	bool disk_loses_writes;
	u32 next_seq;
	struct world_result *res;
};

static u64 random_u64(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}
static u64 below(u64 *state, u64 n)
{
	return random_u64(state) % n;
}
static bool chance(u64 *state, u32 percent)
{
	return below(state, 100) < percent;
}

__attribute__((format(printf, 2, 3))) static void fail(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->res->error[0])
		return;
	va_start(ap, fmt);
	vsnprintf(w->res->error, sizeof(w->res->error), fmt, ap);
	va_end(ap);
}

/* ---- content ----------------------------------------------------------------------------- */

static u64 file_stamp(u32 file, u64 page, u32 seq)
{
	return (u64)(file + 1) << 56 | page << 32 | seq;
}

static bool file_stamp_ok(struct world *w, u32 no, u64 page, u64 stamp, bool owner)
{
	struct wfile *f = &w->files[no];
	u32 last = f->seq[page];
	u64 blank = rcl_sim_blank(f->mapping->dev, f->mapping->first_block + page);

	if (owner && !w->disk_loses_writes)
		return stamp == (last ? file_stamp(no, page, last) : blank);
	if (stamp == blank)
		return true;
	return stamp >> 32 == file_stamp(no, page, 0) >> 32 && (u32)stamp <= last;
}

static bool owns(const struct wtask *t, u64 page)
{
	return page % t->w->nr_tasks == t->no;
}

/* Touch a page and, before anything else can happen, read or write its content. */
static int access_page(struct wtask *t, u64 vpn, bool write, u64 *stamp)
{
	struct world *w = t->w;
	int err = rcl_touch(w->m, t->mm, vpn, write);
	pte_t *pte;

	if (err)
		return err;
	pte = rcl_pte_fast(t->mm, vpn);
	if (*pte & PTE_ZERO)
		*stamp = 0;
	else if (write)
		w->plat->ops->page_store(w->plat, pfn_folio(w->m, pte_pfn(*pte)), *stamp);
	else
		*stamp = w->plat->ops->page_load(w->plat, pfn_folio(w->m, pte_pfn(*pte)));
	return 0;
}

static int use_anon(struct wtask *t)
{
	struct world *w = t->w;
	/* Mostly a small hot set, sometimes anything. */
	u64 i = below(&t->rng, chance(&t->rng, 70) ? t->anon_pages / 4 + 1 : t->anon_pages);
	bool write = chance(&t->rng, 40);
	u64 stamp = write ? (u64)(t->no + 1) << 48 | ++w->next_seq : 0;
	int err = access_page(t, t->anon_vpn + i, write, &stamp);

	if (err)
		return err;
	if (write) {
		t->anon[i] = stamp;
		t->lazy[i] = false;
	} else if (t->lazy[i] && stamp == 0) {
		t->anon[i] = 0;
		t->lazy[i] = false;
	} else if (stamp != t->anon[i]) {
		fail(w, "task %u: page %llu holds %#llx, not %#llx", t->no, (unsigned long long)i,
		     (unsigned long long)stamp, (unsigned long long)t->anon[i]);
	}
	return 0;
}

static int use_mapped_file(struct wtask *t)
{
	struct world *w = t->w;
	u32 no = (u32)below(&t->rng, w->nr_files);
	struct wfile *f = &w->files[no];
	u64 page = below(&t->rng, f->pages);
	bool write = owns(t, page) && chance(&t->rng, 50);
	u64 stamp;
	int err;

	if (!t->map_vpn[no])
		return 0;
	if (write)
		stamp = file_stamp(no, page, ++w->next_seq);
	err = access_page(t, t->map_vpn[no] + page, write, &stamp);
	if (err)
		return err;
	if (write)
		f->seq[page] = (u32)stamp;
	else if (!file_stamp_ok(w, no, page, stamp, owns(t, page)))
		fail(w, "task %u: page %llu of file %u, mapped, holds %#llx, last %u", t->no,
		     (unsigned long long)page, no, (unsigned long long)stamp, f->seq[page]);
	return 0;
}

static int use_file(struct wtask *t)
{
	struct world *w = t->w;
	u32 no = (u32)below(&t->rng, w->nr_files);
	struct wfile *f = &w->files[no];
	u64 page = below(&t->rng, f->pages), stamp = 0, nr;
	int err;

	if (owns(t, page) && chance(&t->rng, 50)) {
		u32 seq = ++w->next_seq;

		/* From here on readers may see it, whether or not the call succeeds. */
		u32 before = f->seq[page];

		f->seq[page] = seq;
		err = rcl_file_write(w->m, &t->file[no], page, 1, file_stamp(no, page, seq));
		if (err)
			f->seq[page] = before;
		return err;
	}
	nr = 1 + below(&t->rng, min(8ull, (unsigned long long)(f->pages - page)));
	err = rcl_file_read(w->m, &t->file[no], page, nr, &stamp);
	if (err)
		return err;
	page += nr - 1;
	if (!file_stamp_ok(w, no, page, stamp, owns(t, page)))
		fail(w, "task %u: page %llu of file %u holds %#llx, last %u", t->no,
		     (unsigned long long)page, no, (unsigned long long)stamp, f->seq[page]);
	return 0;
}

/* ---- everything else a task may do -------------------------------------------------------- */

static int advise_memory(struct wtask *t)
{
	static const enum rcl_madvice advices[] = {
		RCL_MADV_DONTNEED, RCL_MADV_FREE,	RCL_MADV_FREE,
		RCL_MADV_COLD,	   RCL_MADV_PAGEOUT,	RCL_MADV_RANDOM,
		RCL_MADV_NORMAL,   RCL_MADV_SEQUENTIAL, RCL_MADV_WILLNEED};
	enum rcl_madvice a = advices[below(&t->rng, ARRAY_SIZE(advices))];
	u64 first = below(&t->rng, t->anon_pages);
	u64 nr = 1 + below(&t->rng, min(t->anon_pages - first, (u64)64));
	int err = rcl_madvise(t->w->m, t->mm, t->anon_vpn + first, nr, a);

	/* When it fails (at locked memory), it has done the part before that. */
	for (u64 i = first; i < first + nr; i++) {
		if (a == RCL_MADV_DONTNEED && !err) {
			t->anon[i] = 0;
			t->lazy[i] = false;
		} else if (a == RCL_MADV_DONTNEED || a == RCL_MADV_FREE) {
			t->lazy[i] = true;
		}
	}
	return err == -EINVAL ? 0 : err; /* locked memory */
}

static int lock_memory(struct wtask *t)
{
	u64 first = below(&t->rng, t->anon_pages);
	u64 nr = 1 + below(&t->rng, min(t->anon_pages - first, (u64)16));

	if (chance(&t->rng, 60))
		return rcl_munlock(t->w->m, t->mm, t->anon_vpn, t->anon_pages);
	return rcl_mlock(t->w->m, t->mm, t->anon_vpn + first, nr);
}

static int remap(struct wtask *t)
{
	struct world *w = t->w;
	u32 no = (u32)below(&t->rng, w->nr_files);
	u64 vpn = t->anon_vpn + REGION_STEP / 4 * (no + 1);
	u64 first, nr;
	int err;

	if (chance(&t->rng, 70)) {
		if (t->map_vpn[no]) {
			t->map_vpn[no] = 0;
			return rcl_munmap(w->m, t->mm, vpn, w->files[no].pages);
		}
		err = rcl_mmap(w->m, t->mm, vpn, w->files[no].pages, VM_READ | VM_WRITE | VM_EXEC,
			       &t->file[no], 0);
		t->map_vpn[no] = err ? 0 : vpn;
		return err;
	}
	/* Replace a part of the anonymous region: its content is gone. */
	first = below(&t->rng, t->anon_pages);
	nr = 1 + below(&t->rng, t->anon_pages - first);
	err = rcl_mmap(w->m, t->mm, t->anon_vpn + first, nr, VM_READ | VM_WRITE, NULL, 0);
	for (u64 i = first; !err && i < first + nr; i++) {
		t->anon[i] = 0;
		t->lazy[i] = false;
	}
	return err;
}

/* Where no region is: for things that come and go within one operation. */
static u64 scratch_vpn(const struct wtask *t)
{
	return REGION_VPN + REGION_STEP * (MAX_TASKS + t->no);
}

/* Move a part of the region away and back. */
static int move_memory(struct wtask *t)
{
	struct world *w = t->w;
	u64 first = below(&t->rng, t->anon_pages), vpn = t->anon_vpn + first;
	u64 nr = 1 + below(&t->rng, t->anon_pages - first);
	int err = rcl_mremap(w->m, t->mm, vpn, nr, scratch_vpn(t), nr);

	if (err)
		return err == -EFAULT ? 0 : err; /* more than one vma */
	err = rcl_mremap(w->m, t->mm, scratch_vpn(t), nr, vpn, nr);
	if (!err)
		return 0;
	/* It cannot come back: start afresh. */
	rcl_munmap(w->m, t->mm, scratch_vpn(t), nr);
	rcl_mmap(w->m, t->mm, vpn, nr, VM_READ | VM_WRITE, NULL, 0);
	for (u64 i = first; i < first + nr; i++) {
		t->anon[i] = 0;
		t->lazy[i] = false;
	}
	return err;
}

/* Touch a page of another address space, as a task of that process would. */
static int access_in(struct wtask *t, struct mm *mm, u64 vpn, bool write, u64 *stamp)
{
	struct mm *own = t->mm;
	int err;

	t->mm = mm;
	err = access_page(t, vpn, write, stamp);
	t->mm = own;
	return err;
}

/* A child sees what the parent had, and what either writes the other does not see. */
static int fork_and_compare(struct wtask *t)
{
	struct world *w = t->w;
	u64 start = below(&t->rng, t->anon_pages);
	struct mm *child;
	int err = rcl_mm_fork(w->m, t->mm, t->task.memcg, &child);

	if (err)
		return err;
	for (u64 n = 0; n < 20 && n < t->anon_pages && !err; n++) {
		u64 i = (start + n) % t->anon_pages, vpn = t->anon_vpn + i;
		u64 mine = (u64)(t->no + 1) << 48 | ++w->next_seq, seen = 0, before;

		if (t->lazy[i])
			continue;
		before = t->anon[i];
		if (chance(&t->rng, 50)) { /* the parent writes first */
			err = access_page(t, vpn, true, &mine);
			if (err)
				break;
			t->anon[i] = mine;
			err = access_in(t, child, vpn, false, &seen);
			if (!err && seen != before)
				fail(w, "a child saw %#llx, not %#llx", (unsigned long long)seen,
				     (unsigned long long)before);
			continue;
		}
		err = access_in(t, child, vpn, true, &mine);
		if (!err)
			err = access_page(t, vpn, false, &seen);
		if (!err && seen != before)
			fail(w, "a parent saw %#llx, not %#llx", (unsigned long long)seen,
			     (unsigned long long)before);
		rcl_poll(w->m);
		/* The child's page may be written again by the parent's code above: do not look. */
		if (!err) {
			u64 again = 0;

			err = access_in(t, child, vpn, false, &again);
			if (!err && again != mine)
				fail(w, "a child lost %#llx", (unsigned long long)mine);
			err = err ? err : rcl_madvise(w->m, child, vpn, 1, RCL_MADV_DONTNEED);
		}
		break;
	}
	rcl_mm_destroy(w->m, child);
	return err;
}

/* A private mapping shows the file, and hides what is written to it. */
static int map_privately(struct wtask *t)
{
	struct world *w = t->w;
	u32 no = (u32)below(&t->rng, w->nr_files);
	struct wfile *f = &w->files[no];
	u64 page = below(&t->rng, f->pages), vpn = scratch_vpn(t) + page, seen = 0;
	u64 mine = (u64)(t->no + 1) << 48 | ++w->next_seq;
	int err = rcl_mmap(w->m, t->mm, scratch_vpn(t), f->pages, VM_READ | VM_WRITE | VM_PRIVATE,
			   &t->file[no], 0);

	if (err)
		return err;
	if (chance(&t->rng, 70)) {
		err = access_page(t, vpn, false, &seen);
		if (!err && !file_stamp_ok(w, no, page, seen, owns(t, page)))
			fail(w, "a private mapping shows %#llx", (unsigned long long)seen);
	}
	for (u32 n = 0; n < 50 && !err; n++) {
		err = access_page(t, vpn, !n, n ? &seen : &mine);
		if (!err && n && seen != mine)
			fail(w, "a private page holds %#llx, not %#llx", (unsigned long long)seen,
			     (unsigned long long)mine);
		rcl_poll(w->m);
	}
	rcl_munmap(w->m, t->mm, scratch_vpn(t), f->pages);
	return err;
}

static int manage_file(struct wtask *t)
{
	struct world *w = t->w;
	u32 no = (u32)below(&t->rng, w->nr_files);
	u64 first = below(&t->rng, w->files[no].pages);
	int err;

	switch (below(&t->rng, 4)) {
	case 0:
		err = rcl_file_fsync(w->m, &t->file[no]);
		return err == -ENOSPC || err == -EIO ? 0 : err;
	case 1:
		rcl_sync(w->m);
		return 0;
	case 2:
		rcl_invalidate_range(w->m, w->files[no].mapping, first, UINT64_MAX);
		return 0;
	default:
		return rcl_file_advise(w->m, &t->file[no], first, 32,
				       (enum rcl_fadvice)below(&t->rng, 5));
	}
}

static int manage_groups(struct wtask *t)
{
	struct world *w = t->w;
	struct memcg *g = w->groups[below(&t->rng, w->nr_groups)];

	if (chance(&t->rng, 50)) {
		rcl_memcg_reclaim(w->m, g, below(&t->rng, 1 << 20));
		return 0;
	}
	if (g->parent) {
		int err = rcl_memcg_set_max(
			w->m, g,
			chance(&t->rng, 30) ? MEMCG_MAX : (256 + below(&t->rng, 2048)) << 12);
		return err;
	}
	return 0;
}

static int one_operation(struct wtask *t)
{
	u64 dice = below(&t->rng, 1000);

	if (dice < 500)
		return use_anon(t);
	if (dice < 700)
		return use_mapped_file(t);
	if (dice < 960)
		return use_file(t);
	if (dice < 975)
		return advise_memory(t);
	if (dice < 982)
		return lock_memory(t);
	if (dice < 989)
		return remap(t);
	if (dice < 991)
		return move_memory(t);
	if (dice < 993)
		return fork_and_compare(t);
	if (dice < 995)
		return map_privately(t);
	if (dice < 998)
		return manage_file(t);
	return manage_groups(t);
}

static void task_main(void *arg)
{
	struct wtask *t = arg;
	struct world *w = t->w;

	while (t->done < t->operations && !w->res->error[0]) {
		int err = one_operation(t);

		t->done++;
		w->res->operations++;
		rcl_poll(w->m);
		if (w->res->operations % CHECK_EVERY == 0 && !rcl_check(w->m))
			fail(w, "an invariant broke before operation %llu",
			     (unsigned long long)w->res->operations);
		/* Killed, or a thread of a process that was. */
		if (err == -EINTR || fatal_signal_pending(&t->task))
			return;
		if (err == -EIO)
			w->res->io_errors++;
		else if (err && err != -ENOMEM)
			fail(w, "task %u: operation %llu: error %d", t->no,
			     (unsigned long long)t->done, err);
	}
}

/* ---- building and tearing down ------------------------------------------------------------ */

static void random_tunables(struct world *w, struct tunables *tun)
{
	rcl_tunables_defaults(tun);
	tun->swappiness = (s64)below(&w->rng, 201);
	tun->page_cluster = (s64)below(&w->rng, 5);
	tun->watermark_scale_factor = 1 + (s64)below(&w->rng, 200);
	tun->watermark_boost_factor = chance(&w->rng, 50) ? 15000 : 0;
	tun->dirty_ratio = (s64)below(&w->rng, 60);
	tun->dirty_background_ratio = (s64)below(&w->rng, 30);
	tun->dirty_expire_centisecs = 1 + (s64)below(&w->rng, 200);
	tun->dirty_writeback_centisecs = 1 + (s64)below(&w->rng, 100);
	tun->fault_around_bytes = 4096 << below(&w->rng, 5);
	tun->fs_block_size = 512 << below(&w->rng, 4);
	tun->zone_reclaim_mode = chance(&w->rng, 20) ? (s64)below(&w->rng, 8) : 0;
	tun->cgroup_writeback = chance(&w->rng, 60);
}

static bool open_world(struct world *w, u64 seed)
{
	struct rcl_sim_config sim = {.seed = seed, .check = true};
	struct rcl_machine_config cfg = {0};
	struct rcl_sim_device_config disk, swap;
	static const char *const presets[] = {"nvme", "ssd", "hdd", "virtio"};
	u64 pages = 512 + below(&w->rng, 5000);
	int dev;

	sim.nr_cpus = 1 + (u32)below(&w->rng, 3);
	sim.explore = chance(&w->rng, 60);
	if (rcl_sim_create(&sim, &w->sim))
		return false;
	w->plat = rcl_sim_platform(w->sim);
	disk = *rcl_sim_device_preset(presets[below(&w->rng, 4)]);
	swap = *rcl_sim_device_preset(presets[below(&w->rng, 4)]);
	if (chance(&w->rng, 25)) {
		disk.fail_read_ppm = (u32)below(&w->rng, 5000);
		disk.fail_write_ppm = (u32)below(&w->rng, 5000);
		swap.fail_read_ppm = (u32)below(&w->rng, 5000);
		swap.fail_write_ppm = (u32)below(&w->rng, 5000);
		disk.slow_ppm = swap.slow_ppm = (u32)below(&w->rng, 20000);
	}
	w->disk_loses_writes = disk.fail_write_ppm;
	rcl_sim_add_device(w->sim, &disk);
	dev = rcl_sim_add_device(w->sim, &swap);

	cfg.plat = w->plat;
	cfg.nr_cpus = sim.nr_cpus;
	cfg.nr_nodes = 1 + (u32)chance(&w->rng, 25);
	for (u32 n = 0; n < cfg.nr_nodes; n++) {
		cfg.nodes[n].managed[ZONE_DMA32] = pages / cfg.nr_nodes;
		if (!n && chance(&w->rng, 50))
			cfg.nodes[n].managed[ZONE_DMA] = 256 + below(&w->rng, 1024);
		if (chance(&w->rng, 30))
			cfg.nodes[n].managed[ZONE_MOVABLE] = 256 + below(&w->rng, 512);
	}
	random_tunables(w, &cfg.tunables);
	if (rcl_machine_open(&cfg, &w->m))
		return false;
	/* No swap, swap that fills up, or enough. */
	if (chance(&w->rng, 85))
		return !rcl_swapon(w->m, (u16)dev, 16 + below(&w->rng, 6000), -1,
				   swap.rotational ? 0 : SWAP_SOLIDSTATE);
	return true;
}

static bool create_groups(struct world *w)
{
	w->groups[w->nr_groups++] = w->m->root_memcg;
	for (u32 n = (u32)below(&w->rng, MAX_GROUPS); n--;) {
		struct memcg *g;

		if (rcl_memcg_create(w->m, w->groups[below(&w->rng, w->nr_groups)], "g", &g))
			return false;
		if (chance(&w->rng, 70) &&
		    rcl_memcg_set_max(w->m, g, (256 + below(&w->rng, 3000)) << 12))
			return false;
		w->groups[w->nr_groups++] = g;
	}
	return true;
}

static bool create_files(struct world *w)
{
	u64 block = 0;

	w->nr_files = 1 + (u32)below(&w->rng, MAX_FILES);
	for (u32 i = 0; i < w->nr_files; i++) {
		struct wfile *f = &w->files[i];

		f->pages = 16 + below(&w->rng, 3000);
		f->seq = calloc(f->pages, sizeof(*f->seq));
		if (!f->seq ||
		    rcl_mapping_create(w->m, "file", 0, block, f->pages,
				       chance(&w->rng, 70) ? MAPPING_BUFFERS : 0, &f->mapping))
			return false;
		block += f->pages;
	}
	return true;
}

static bool create_tasks(struct world *w, u64 operations)
{
	w->nr_tasks = 1 + (u32)below(&w->rng, MAX_TASKS);
	for (u32 i = 0; i < w->nr_tasks; i++) {
		struct wtask *t = &w->tasks[i];
		struct memcg *g = w->groups[below(&w->rng, w->nr_groups)];

		t->w = w;
		t->no = i;
		t->rng = random_u64(&w->rng);
		t->operations = operations ? operations : 500 + below(&w->rng, 3000);
		t->anon_pages = 8 + below(&w->rng, 2500);
		t->anon_vpn = REGION_VPN + REGION_STEP * i;
		t->anon = calloc(t->anon_pages, sizeof(*t->anon));
		t->lazy = calloc(t->anon_pages, sizeof(*t->lazy));
		if (!t->anon || !t->lazy)
			return false;
		snprintf(t->task.name, sizeof(t->task.name), "task%u", i);
		t->task.node = (u32)below(&w->rng, w->m->nr_nodes);
		if (i && chance(&w->rng, 30)) {
			t->mm = w->tasks[i - 1].mm;
			t->task.memcg = w->tasks[i - 1].task.memcg;
		} else {
			t->task.memcg = g;
			if (rcl_mm_create(w->m, g, &t->mm))
				return false;
		}
		t->task.mm = t->mm;
		for (u32 f = 0; f < w->nr_files; f++)
			rcl_file_open(w->m, w->files[f].mapping, &t->file[f]);
		if (rcl_mmap(w->m, t->mm, t->anon_vpn, t->anon_pages, VM_READ | VM_WRITE, NULL, 0))
			return false;
		rcl_task_attach(w->m, &t->task);
		if (rcl_sim_spawn_user(w->sim, &t->task, task_main, t))
			return false;
	}
	return true;
}

/* Let the machine's own tasks finish what they are at, and the devices. */
static void settle(struct world *w)
{
	u32 word = 0;

	rcl_wait_on(w->m, &word, 0, 100 * RCL_NSEC_PER_SEC, false);
}

/*
 * A page whose last user went while it was locked stays in the swap cache; when swap is full nobody
 * takes it out, since anonymous lists are not scanned then. Pages of the group and those below.
 */
static s64 stranded_swap_cache(struct world *w, struct memcg *g)
{
	s64 pages = 0;

	for (u32 n = 0; n < w->m->nr_nodes; n++)
		pages += rcl_lruvec_page_state(g->lruvecs[n], NR_SWAPCACHE);
	return pages;
}

static void tear_down(struct world *w)
{
	s64 free_pages, kept;

	for (u32 i = 0; i < w->nr_tasks; i++) {
		struct wtask *t = &w->tasks[i];

		rcl_task_detach(w->m, &t->task);
		if (i + 1 == w->nr_tasks || w->tasks[i + 1].mm != t->mm)
			rcl_mm_destroy(w->m, t->mm);
	}
	for (u32 i = 0; i < w->nr_files; i++)
		rcl_mapping_destroy(w->m, w->files[i].mapping);
	w->m->tun.fail_alloc = 0;
	settle(w);
	for (u32 i = w->nr_groups; i-- > 1;) {
		/* What is left is swap cache that was under I/O when its last user went. */
		rcl_memcg_reclaim(w->m, w->groups[i], (u64)w->groups[i]->usage << PAGE_SHIFT);
		settle(w);
		rcl_memcg_reclaim(w->m, w->groups[i], (u64)w->groups[i]->usage << PAGE_SHIFT);
		if (rcl_memcg_destroy(w->m, w->groups[i]) &&
		    w->groups[i]->usage != stranded_swap_cache(w, w->groups[i]))
			fail(w, "group %u still holds %lld pages (%lld of the kernel's)", i,
			     (long long)w->groups[i]->usage, (long long)w->groups[i]->kernel_pages);
	}
	if (!rcl_check(w->m))
		fail(w, "an invariant broke at the end");
	rcl_memcg_reclaim(w->m, w->m->root_memcg, w->m->totalram_pages << PAGE_SHIFT);
	settle(w);
	rcl_memcg_reclaim(w->m, w->m->root_memcg, w->m->totalram_pages << PAGE_SHIFT);
	rcl_lru_add_drain_all(w->m);
	rcl_drain_all_pages(w->m);
	free_pages = rcl_vmstat_get(w->m, "nr_free_pages");
	/* Object caches keep some slabs, the swap cache's tree its shadows. */
	kept = rcl_vmstat_get(w->m, "nr_slab_reclaimable") +
	       rcl_vmstat_get(w->m, "nr_slab_unreclaimable") +
	       stranded_swap_cache(w, w->m->root_memcg);
	if (free_pages + kept != (s64)w->m->totalram_pages)
		fail(w, "%lld frames free and %lld kept of %llu at the end", (long long)free_pages,
		     (long long)kept, (unsigned long long)w->m->totalram_pages);
}

void random_world_run(u64 seed, u64 operations, struct world_result *res)
{
	struct world *w = calloc(1, sizeof(*w));

	memset(res, 0, sizeof(*res));
	w->rng = seed * 0x2545f4914f6cdd1dull + 1;
	w->res = res;
	if (!open_world(w, seed) || !create_groups(w) || !create_files(w) ||
	    !create_tasks(w, operations)) {
		fail(w, "the world could not be built");
	} else {
		/* Only tasks need to cope with injected failures. */
		if (chance(&w->rng, 20))
			w->m->tun.fail_alloc = (s64)below(&w->rng, 20000);
		if (rcl_sim_run_users(w->sim))
			fail(w, "%s", rcl_sim_report(w->sim));
		res->oom_kills = (u64)rcl_vmstat_get(w->m, "oom_kill");
		res->swapped_out = (u64)rcl_vmstat_get(w->m, "pswpout");
		res->written = (u64)rcl_vmstat_get(w->m, "nr_written");
		res->reclaimed = (u64)(rcl_vmstat_get(w->m, "pgsteal_anon") +
				       rcl_vmstat_get(w->m, "pgsteal_file"));
		res->digest = rcl_sim_digest(w->sim);
		/* After a deadlock or a broken invariant tasks still stand in the middle of things.
		 */
		if (!res->error[0])
			tear_down(w);
	}
	if (!res->error[0])
		rcl_machine_close(w->m);
	rcl_sim_destroy(w->sim);
	for (u32 i = 0; i < w->nr_tasks; i++) {
		free(w->tasks[i].anon);
		free(w->tasks[i].lazy);
	}
	for (u32 i = 0; i < w->nr_files; i++)
		free(w->files[i].seq);
	free(w);
}
