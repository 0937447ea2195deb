/* SPDX-License-Identifier: MIT */
/*
 * The host platform without an engine on it: pages are submitted and waited for by hand. Frame N's
 * I/O ends in pages[N]. Tests run once for each backend; what io_uring cannot do here is skipped.
 */
#ifndef RCL_TESTS_IO_WORLD_H
#define RCL_TESTS_IO_WORLD_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/host/faults.h"
#include "platform/host/internal.h"

#include <cmocka.h>

#include "../folder.h"

#define IO_THREADS 4

struct io_page {
	u32 ended; /* A, and what waiters sleep on */
	int error;
};

struct io_world {
	struct rcl_host *h;
	struct platform *plat;
	struct rcl m; /* as much of it as the platform looks at */
	struct task *task;
	u64 nr_frames;
	struct io_page *pages;
	u64 nr_ended; /* A */
	char dir[TEST_FOLDER_SIZE];
	void (*on_end)(struct io_world *w); /* called before a page's I/O has ended */
	void *arg;
};

struct io_world_options {
	u64 frames; /* 0: 1024 */
	u32 io_depth;
	struct rcl_host_faults *faults;
};

/* A test's state is which backend it is for: `true` is io_uring. */
#define IO_TEST(f)                                                                                 \
	{.name = #f " (io_uring)", .test_func = f, .initial_state = &(bool){true}},                \
	{                                                                                          \
		.name = #f " (threads)", .test_func = f, .initial_state = &(bool)                  \
		{                                                                                  \
			false                                                                      \
		}                                                                                  \
	}

static inline void io_world_ended(struct rcl *m, const struct rcl_io *io, int error)
{
	struct io_world *w = container_of(m, struct io_world, m);
	struct io_page *page = &w->pages[io->folio - m->frames];

	if (w->on_end)
		w->on_end(w);
	RCL_ASSERT(!__atomic_load_n(&page->ended, __ATOMIC_RELAXED));
	page->error = error;
	__atomic_fetch_add(&w->nr_ended, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&page->ended, 1, __ATOMIC_RELEASE);
	w->plat->ops->wake(w->plat, &page->ended, UINT32_MAX);
}

/* Skips the test if its backend is not to be had here. */
static inline struct io_world *io_world_open(void **state, const struct io_world_options *opt)
{
	struct io_world *w = calloc(1, sizeof(*w));
	struct rcl_host_config hc = {.nr_frames = opt->frames ? opt->frames : 1024,
				     .io_depth = opt->io_depth,
				     .no_uring = !*(bool *)*state,
				     .seed = 1,
				     .faults = opt->faults};

	assert_int_equal(rcl_host_create(&hc, &w->h), 0);
	if (!hc.no_uring && strcmp(rcl_host_io_backend(w->h), "io_uring")) {
		rcl_host_destroy(w->h);
		free(w);
		skip();
	}
	w->nr_frames = hc.nr_frames;
	w->plat = rcl_host_platform(w->h);
	w->m.plat = w->plat;
	w->m.nr_frames = w->nr_frames;
	w->m.frames = calloc(w->nr_frames, sizeof(struct folio));
	w->pages = calloc(w->nr_frames, sizeof(*w->pages));
	/* There is no machine for threads to be attached to. */
	w->h->closing = true;
	w->h->end_io = io_world_ended;
	w->plat->m = &w->m;
	assert_true(test_folder_make(w->dir));
	w->task = rcl_host_enter(w->h, NULL);
	assert_non_null(w->task);
	return w;
}

static inline void io_world_close(struct io_world *w)
{
	rcl_host_leave(w->h, w->task);
	rcl_host_destroy(w->h);
	assert_int_equal(rmdir(w->dir), 0);
	free(w->m.frames);
	free(w->pages);
	free(w);
}

static inline char *io_data(struct io_world *w, u64 frame)
{
	return rcl_host_frame(w->h, frame);
}

/* Submit; sync: this thread will wait for it. */
static inline void io_submit(struct io_world *w, int dev, enum rcl_io_op op, u64 block, u64 frame,
			     bool sync)
{
	struct rcl_io io = {.folio = &w->m.frames[frame],
			    .block = block,
			    .dev = (u16)dev,
			    .op = (u8)op,
			    .sync = sync};

	__atomic_store_n(&w->pages[frame].ended, 0, __ATOMIC_RELAXED);
	w->plat->ops->submit(w->plat, &io);
}

static inline bool io_has_ended(struct io_world *w, u64 frame)
{
	return __atomic_load_n(&w->pages[frame].ended, __ATOMIC_ACQUIRE);
}

static inline int io_wait(struct io_world *w, u64 frame)
{
	while (!io_has_ended(w, frame))
		w->plat->ops->wait_on(w->plat, &w->pages[frame].ended, 0, RCL_FOREVER, true);
	return w->pages[frame].error;
}

/* One page, there and back. */
static inline int io_do(struct io_world *w, int dev, enum rcl_io_op op, u64 block, u64 frame)
{
	io_submit(w, dev, op, block, frame, true);
	return io_wait(w, frame);
}

static inline int io_write_stamp(struct io_world *w, int dev, u64 block, u64 frame, u64 stamp)
{
	rcl_host_stamp(io_data(w, frame), stamp);
	return io_do(w, dev, RCL_IO_WRITE, block, frame);
}

/* The stamp that is in a block; an error as a huge number. */
static inline u64 io_read_stamp(struct io_world *w, int dev, u64 block, u64 frame)
{
	int err;

	memset(io_data(w, frame), 0x5a, PAGE_SIZE);
	err = io_do(w, dev, RCL_IO_READ, block, frame);
	return err ? (u64)(s64)err : rcl_host_stamp_of(io_data(w, frame));
}

static inline const char *io_path(struct io_world *w, const char *name)
{
	static __thread char path[TEST_PATH_SIZE];

	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	return path;
}

/* A file of so many bytes, open for reading and writing. */
static inline int io_file(struct io_world *w, const char *name, u64 bytes)
{
	int dev = rcl_host_open_file(w->h, io_path(w, name), RCL_HOST_WRITE | RCL_HOST_CREATE);

	assert_true(dev >= 0);
	assert_int_equal(rcl_host_truncate(w->h, (u16)dev, bytes), 0);
	return dev;
}

static inline void io_file_gone(struct io_world *w, const char *name, int dev)
{
	rcl_host_close_device(w->h, (u16)dev);
	assert_int_equal(unlink(io_path(w, name)), 0);
}

static inline struct rcl_host_device_info io_info(struct io_world *w, int dev)
{
	struct rcl_host_device_info info;

	rcl_host_device_info(w->h, (u16)dev, &info);
	return info;
}

/* ---- random I/O against a model ---- */

/*
 * Threads write and read random runs of pages of one device, each in its own part of it, and know
 * what must be there. Errors are allowed if `errors` says so; then the page is tried again.
 */
struct io_model {
	struct io_world *w;
	int dev;
	u64 blocks; /* of each thread */
	u64 frames; /* of each thread */
	u32 rounds;
	bool errors;
	u64 nr_errors; /* A */
};

struct io_model_thread {
	struct io_model *model;
	u32 nr;
	u64 random;
	u64 *stamps; /* by block; 0 = zeros */
	pthread_t thread;
	u32 running; /* A */
};

static inline u64 io_random(struct io_model_thread *t, u64 n)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random % n;
}

/* The page comes out right in the end. */
static inline void io_model_settle(struct io_model_thread *t, enum rcl_io_op op, u64 block,
				   u64 frame)
{
	struct io_model *mo = t->model;
	int err = io_wait(mo->w, frame);

	for (u32 tries = 0; err; tries++) {
		RCL_ASSERT(mo->errors && tries < 1000);
		__atomic_fetch_add(&mo->nr_errors, 1, __ATOMIC_RELAXED);
		err = io_do(mo->w, mo->dev, op, block, frame);
	}
	if (op == RCL_IO_READ)
		RCL_ASSERT(rcl_host_stamp_of(io_data(mo->w, frame)) ==
			   t->stamps[block - t->nr * mo->blocks]);
}

static inline void io_model_round(struct io_model_thread *t, u32 round)
{
	struct io_model *mo = t->model;
	struct io_world *w = mo->w;
	u64 first_frame = t->nr * mo->frames, first_block = t->nr * mo->blocks;
	u64 blocks[64], nr = 1 + io_random(t, min(mo->frames, ARRAY_SIZE(blocks)));
	enum rcl_io_op op = io_random(t, 2) ? RCL_IO_READ : RCL_IO_WRITE;
	bool plug = io_random(t, 4), sync = io_random(t, 2), backwards = io_random(t, 4) == 0;
	u64 at = io_random(t, mo->blocks - nr + 1);

	for (u64 i = 0; i < nr; i++)
		blocks[i] = at + (backwards ? nr - 1 - i : i);
	/* Sometimes with gaps: runs that cannot be merged. */
	for (u64 i = 0, gap = io_random(t, 8); gap > 5 && i < nr; i++)
		blocks[i] = (blocks[i] - at) * 7;
	if (plug)
		w->plat->ops->plug_start(w->plat);
	for (u64 i = 0; i < nr; i++) {
		u64 frame = first_frame + i;

		for (u64 j = 0; j < i; j++)
			RCL_ASSERT(blocks[j] != blocks[i]);
		if (op == RCL_IO_WRITE) {
			t->stamps[blocks[i]] =
				((u64)t->nr + 1) << 56 | (u64)round << 24 | blocks[i];
			rcl_host_stamp(io_data(w, frame), t->stamps[blocks[i]]);
		} else {
			memset(io_data(w, frame), 0x5a, PAGE_SIZE);
		}
		io_submit(w, mo->dev, op, first_block + blocks[i], frame, sync);
	}
	if (plug)
		w->plat->ops->plug_finish(w->plat);
	for (u64 i = 0; i < nr; i++)
		io_model_settle(t, op, first_block + blocks[i], first_frame + i);
}

static inline void *io_model_thread(void *arg)
{
	struct io_model_thread *t = arg;
	struct io_model *mo = t->model;
	struct task *task = rcl_host_enter(mo->w->h, NULL);

	for (u32 i = 0; i < mo->rounds; i++)
		io_model_round(t, i);
	for (u64 b = 0; b < mo->blocks; b++) {
		io_submit(mo->w, mo->dev, RCL_IO_READ, t->nr * mo->blocks + b, t->nr * mo->frames,
			  true);
		io_model_settle(t, RCL_IO_READ, t->nr * mo->blocks + b, t->nr * mo->frames);
	}
	rcl_host_leave(mo->w->h, task);
	__atomic_store_n(&t->running, 0, __ATOMIC_RELEASE);
	return NULL;
}

/* meanwhile: called with a thread again and again while it runs. */
static inline void io_model_run(struct io_model *mo, void (*meanwhile)(pthread_t thread))
{
	struct io_model_thread t[IO_THREADS];
	bool running = meanwhile;

	for (u32 i = 0; i < IO_THREADS; i++) {
		t[i] = (struct io_model_thread){
			.model = mo, .nr = i, .random = 88172645463325252ull + i, .running = 1};
		t[i].stamps = calloc(mo->blocks, sizeof(u64));
		assert_int_equal(pthread_create(&t[i].thread, NULL, io_model_thread, &t[i]), 0);
	}
	while (running) {
		running = false;
		for (u32 i = 0; i < IO_THREADS; i++) {
			if (__atomic_load_n(&t[i].running, __ATOMIC_ACQUIRE)) {
				meanwhile(t[i].thread);
				running = true;
			}
		}
		usleep(20);
	}
	for (u32 i = 0; i < IO_THREADS; i++) {
		pthread_join(t[i].thread, NULL);
		free(t[i].stamps);
	}
}

#endif
