/* SPDX-License-Identifier: MIT */
/* I/O of the host platform on files: content against a model, ends of files, plugs, sleeping. */
#define _GNU_SOURCE 1 /* fallocate's flags */
#include "io_world.h"

#include <dirent.h>
#include <signal.h>
#include <time.h>

#include "platform/host/io.h"

static void pause_ns(long ns)
{
	struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

	nanosleep(&t, NULL);
}

/* ---- content ---- */

static struct io_model model(struct io_world *w, int dev)
{
	return (struct io_model){.w = w, .dev = dev, .blocks = 512, .frames = 64, .rounds = 200};
}

static void random_files(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	struct io_model mo;
	int dev = io_file(w, "file", IO_THREADS * 512 * PAGE_SIZE);

	mo = model(w, dev);
	io_model_run(&mo, NULL);
	assert_int_equal(rcl_host_sync(w->h, (u16)dev), 0);
	assert_int_equal(io_info(w, dev).errors, 0);
	assert_true(io_info(w, dev).reads > 0 && io_info(w, dev).writes > 0);
	io_file_gone(w, "file", dev);
	io_world_close(w);
}

static void nothing(int sig)
{
	(void)sig;
}

static void interrupt(pthread_t thread)
{
	pthread_kill(thread, SIGUSR1);
}

/* System calls are interrupted all the time. */
static void signals(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){.io_depth = 8});
	struct sigaction act = {.sa_handler = nothing}, old;
	struct io_model mo;
	int dev = io_file(w, "file", IO_THREADS * 512 * PAGE_SIZE);

	assert_int_equal(sigaction(SIGUSR1, &act, &old), 0);
	mo = model(w, dev);
	io_model_run(&mo, interrupt);
	assert_int_equal(sigaction(SIGUSR1, &old, NULL), 0);
	assert_int_equal(io_info(w, dev).errors, 0);
	io_file_gone(w, "file", dev);
	io_world_close(w);
}

/* Without O_DIRECT everything is the same. */
static void buffered(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	struct io_model mo;
	int dev = rcl_host_open_file(w->h, io_path(w, "file"),
				     RCL_HOST_WRITE | RCL_HOST_CREATE | RCL_HOST_BUFFERED);

	assert_true(dev >= 0);
	assert_false(io_info(w, dev).direct);
	assert_int_equal(rcl_host_truncate(w->h, (u16)dev, IO_THREADS * 512 * PAGE_SIZE), 0);
	mo = model(w, dev);
	io_model_run(&mo, NULL);
	assert_int_equal(io_info(w, dev).errors, 0);
	io_file_gone(w, "file", dev);
	io_world_close(w);
}

/* ---- ends of files ---- */

static u8 byte_at(u64 offset)
{
	return (u8)(offset * 31 + offset / 4096 + 1);
}

static void put_file(struct io_world *w, const char *name, u64 bytes)
{
	int fd = open(io_path(w, name), O_RDWR | O_CREAT | O_TRUNC, 0600);
	u8 *all = malloc(bytes + 1);

	for (u64 i = 0; i < bytes; i++)
		all[i] = byte_at(i);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, all, bytes, 0), bytes);
	close(fd);
	free(all);
}

static void check_page(struct io_world *w, u64 block, u64 frame, u64 bytes)
{
	const u8 *page = (u8 *)io_data(w, frame);

	for (u64 i = 0; i < PAGE_SIZE; i++) {
		u64 at = block * PAGE_SIZE + i;

		assert_int_equal(page[i], at < bytes ? byte_at(at) : 0);
	}
}

static void tails(void **state)
{
	static const u64 sizes[] = {0, 1, 511, 512, 4095, 4096, 4097, 8191, 10000, 12288, 20001};
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});

	for (u32 s = 0; s < ARRAY_SIZE(sizes); s++) {
		u64 blocks = (sizes[s] + PAGE_SIZE - 1) / PAGE_SIZE, last = blocks - 1;
		int dev, fd;
		u8 byte;

		put_file(w, "file", sizes[s]);
		dev = rcl_host_open_file(w->h, io_path(w, "file"), RCL_HOST_WRITE);
		assert_true(dev >= 0);
		assert_int_equal(io_info(w, dev).bytes, sizes[s]);
		/* All of it and two pages beyond, together and one by one. */
		memset(io_data(w, 0), 0x5a, (blocks + 2) * PAGE_SIZE);
		w->plat->ops->plug_start(w->plat);
		for (u64 b = 0; b < blocks + 2; b++)
			io_submit(w, dev, RCL_IO_READ, b, b, false);
		w->plat->ops->plug_finish(w->plat);
		for (u64 b = 0; b < blocks + 2; b++) {
			assert_int_equal(io_wait(w, b), 0);
			check_page(w, b, b, sizes[s]);
			memset(io_data(w, b), 0x5a, PAGE_SIZE);
			assert_int_equal(io_do(w, dev, RCL_IO_READ, b, b), 0);
			check_page(w, b, b, sizes[s]);
		}
		assert_int_equal(io_info(w, dev).read_bytes, 2 * sizes[s]);
		/* Writing them changes the file, but not its size. */
		for (u64 b = 0; b < blocks + 2; b++) {
			memset(io_data(w, b), 0xc3, PAGE_SIZE);
			assert_int_equal(io_do(w, dev, RCL_IO_WRITE, b, b), 0);
		}
		assert_int_equal(io_info(w, dev).written_bytes, sizes[s]);
		assert_int_equal(rcl_host_sync(w->h, (u16)dev), 0);
		fd = open(io_path(w, "file"), O_RDONLY);
		assert_int_equal(lseek(fd, 0, SEEK_END), sizes[s]);
		for (u64 i = 0; i < sizes[s]; i++) {
			assert_int_equal(pread(fd, &byte, 1, (off_t)i), 1);
			assert_int_equal(byte, 0xc3);
			if (i == 600 && sizes[s] > 5000)
				i = last * PAGE_SIZE - 1;
		}
		close(fd);
		io_file_gone(w, "file", dev);
	}
	io_world_close(w);
}

static void sizes_change(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	int dev = io_file(w, "file", 0);

	/* Grow to within a page, then beyond it. */
	assert_int_equal(rcl_host_truncate(w->h, (u16)dev, 3 * PAGE_SIZE + 100), 0);
	for (u64 b = 0; b < 4; b++)
		assert_int_equal(io_write_stamp(w, dev, b, 0, 100 + b), 0);
	assert_int_equal(io_read_stamp(w, dev, 2, 0), 102);
	assert_int_equal(io_do(w, dev, RCL_IO_READ, 3, 0), 0);
	rcl_host_stamp(io_data(w, 1), 103);
	assert_memory_equal(io_data(w, 0), io_data(w, 1), 100);
	assert_int_equal(io_data(w, 0)[100], 0);
	assert_int_equal(rcl_host_truncate(w->h, (u16)dev, 10 * PAGE_SIZE), 0);
	assert_int_equal(io_info(w, dev).bytes, 10 * PAGE_SIZE);
	/* What was behind the end is a hole now, in the page as well. */
	assert_int_equal(io_do(w, dev, RCL_IO_READ, 3, 0), 0);
	assert_memory_equal(io_data(w, 0), io_data(w, 1), 100);
	for (u32 i = 100; i < PAGE_SIZE; i++)
		assert_int_equal(io_data(w, 0)[i], 0);
	assert_int_equal(io_read_stamp(w, dev, 7, 0), 0);
	assert_int_equal(io_write_stamp(w, dev, 9, 0, 109), 0);
	assert_int_equal(io_read_stamp(w, dev, 9, 0), 109);
	/* Shrink and grow again: what was cut off is gone. */
	assert_int_equal(rcl_host_truncate(w->h, (u16)dev, 2 * PAGE_SIZE), 0);
	assert_int_equal(io_read_stamp(w, dev, 2, 0), 0);
	assert_int_equal(io_write_stamp(w, dev, 2, 0, 999), 0);
	assert_int_equal(rcl_host_truncate(w->h, (u16)dev, 10 * PAGE_SIZE), 0);
	assert_int_equal(io_read_stamp(w, dev, 1, 0), 101);
	assert_int_equal(io_read_stamp(w, dev, 2, 0), 0);
	assert_int_equal(io_read_stamp(w, dev, 9, 0), 0);
	/* Holes by hand. */
	if (!rcl_host_punch(w->h, (u16)dev, 1, 1)) {
		assert_int_equal(io_read_stamp(w, dev, 0, 0), 100);
		assert_int_equal(io_read_stamp(w, dev, 1, 0), 0);
	}
	assert_int_equal(rcl_host_punch(w->h, (u16)dev, 100, 5), 0);
	io_file_gone(w, "file", dev);
	io_world_close(w);
}

/* Somebody else cuts the file: the platform does not know, and reads zeros. */
static void cut_underneath(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});

	for (u32 flags = 0; flags <= RCL_HOST_BUFFERED; flags += RCL_HOST_BUFFERED) {
		int dev;

		put_file(w, "file", 64 * PAGE_SIZE);
		dev = rcl_host_open_file(w->h, io_path(w, "file"), flags);
		assert_int_equal(truncate(io_path(w, "file"), 20 * PAGE_SIZE + 1000), 0);
		memset(io_data(w, 0), 0x5a, 64 * PAGE_SIZE);
		w->plat->ops->plug_start(w->plat);
		for (u64 b = 0; b < 64; b++)
			io_submit(w, dev, RCL_IO_READ, b, b, true);
		for (u64 b = 0; b < 64; b++) {
			assert_int_equal(io_wait(w, b), 0);
			check_page(w, b, b, 20 * PAGE_SIZE + 1000);
		}
		w->plat->ops->plug_finish(w->plat);
		assert_int_equal(io_info(w, dev).errors, 0);
		io_file_gone(w, "file", dev);
	}
	io_world_close(w);
}

static void opening(void **state)
{
	bool inherited[64];
	struct io_world *w;
	int dev, other, fd;

	for (fd = 0; fd < 64; fd++)
		inherited[fd] = fcntl(fd, F_GETFD) >= 0;
	w = io_world_open(state, &(struct io_world_options){0});

	assert_int_equal(rcl_host_open_file(w->h, io_path(w, "none"), RCL_HOST_WRITE), -ENOENT);
	assert_int_equal(rcl_host_open_file(w->h, w->dir, 0), -EISDIR);
	assert_int_equal(mkfifo(io_path(w, "pipe"), 0600), 0);
	assert_int_equal(rcl_host_open_file(w->h, io_path(w, "pipe"), 0), -EINVAL);
	assert_int_equal(unlink(io_path(w, "pipe")), 0);
	put_file(w, "file", 2 * PAGE_SIZE);
	/* Numbers are used again, but not at the same time. */
	dev = rcl_host_open_file(w->h, io_path(w, "file"), 0);
	other = rcl_host_open_file(w->h, io_path(w, "file"), RCL_HOST_WRITE);
	assert_true(dev >= 0 && other >= 0 && dev != other);
	assert_int_equal(io_info(w, dev).st_ino, io_info(w, other).st_ino);
	assert_false(io_info(w, dev).writable);
	assert_true(io_info(w, other).writable);
	assert_int_equal(io_write_stamp(w, dev, 0, 0, 1), -EBADF);
	assert_int_equal(rcl_host_truncate(w->h, (u16)dev, 0), -EBADF);
	assert_int_equal(rcl_host_punch(w->h, (u16)dev, 0, 1), -EBADF);
	assert_int_equal(io_write_stamp(w, other, 0, 0, 1), 0);
	assert_int_equal(io_read_stamp(w, dev, 0, 0), 1);
	rcl_host_close_device(w->h, (u16)other);
	/* Nothing that is executed later inherits them. */
	for (fd = 0; fd < 64; fd++)
		if (!inherited[fd] && fcntl(fd, F_GETFD) >= 0)
			assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	io_file_gone(w, "file", dev);
	io_world_close(w);
}

/* ---- plugs ---- */

/* However they come, neighbours are one request, or a few if long and read; frames may be anywhere.
 */
static void merging(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){.frames = 2048});
	int dev = io_file(w, "file", 1024 * PAGE_SIZE);
	struct rcl_host_device_info info;

	w->plat->ops->plug_start(w->plat);
	for (u64 i = 0; i < 256; i++) {
		u64 b = i * 77 % 256;

		rcl_host_stamp(io_data(w, (b * 3) % 2048), 1000 + b);
		io_submit(w, dev, RCL_IO_WRITE, b, (b * 3) % 2048, false);
	}
	w->plat->ops->plug_finish(w->plat);
	for (u64 b = 0; b < 256; b++)
		assert_int_equal(io_wait(w, (b * 3) % 2048), 0);
	info = io_info(w, dev);
	assert_int_equal(info.writes, 1);
	assert_int_equal(info.written_bytes, 256 * PAGE_SIZE);
	/* Plugs nest; a read is not merged with a write, nor over a gap. */
	w->plat->ops->plug_start(w->plat);
	w->plat->ops->plug_start(w->plat);
	for (u64 b = 0; b < 100; b++)
		io_submit(w, dev, RCL_IO_READ, 99 - b, b, false);
	w->plat->ops->plug_finish(w->plat);
	assert_int_equal(io_info(w, dev).reads, 0);
	for (u64 b = 101; b < 120; b++)
		io_submit(w, dev, RCL_IO_READ, b, b, false);
	io_submit(w, dev, RCL_IO_WRITE, 100, 150, false);
	/* A wait starts it all. */
	assert_int_equal(io_wait(w, 150), 0);
	assert_int_equal(io_info(w, dev).reads, (100 + HOST_READ_PAGES - 1) / HOST_READ_PAGES + 1);
	assert_int_equal(io_info(w, dev).writes, 2);
	w->plat->ops->plug_finish(w->plat);
	for (u64 b = 0; b < 120; b++) {
		if (b != 100)
			assert_int_equal(io_wait(w, b), 0);
		if (b < 100)
			assert_int_equal(rcl_host_stamp_of(io_data(w, b)), 1000 + 99 - b);
	}
	io_file_gone(w, "file", dev);
	io_world_close(w);
}

/* Several devices in one plug. */
static void two_devices(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	int a = io_file(w, "a", 64 * PAGE_SIZE), b = io_file(w, "b", 64 * PAGE_SIZE);

	w->plat->ops->plug_start(w->plat);
	for (u64 i = 0; i < 64; i++) {
		rcl_host_stamp(io_data(w, 2 * i), 2 * i + 7);
		rcl_host_stamp(io_data(w, 2 * i + 1), 2 * i + 8);
		io_submit(w, a, RCL_IO_WRITE, i, 2 * i, false);
		io_submit(w, b, RCL_IO_WRITE, i, 2 * i + 1, false);
	}
	w->plat->ops->plug_finish(w->plat);
	for (u64 i = 0; i < 128; i++)
		assert_int_equal(io_wait(w, i), 0);
	assert_int_equal(io_info(w, a).writes, 1);
	assert_int_equal(io_info(w, b).writes, 1);
	for (u64 i = 0; i < 64; i++) {
		assert_int_equal(io_read_stamp(w, a, i, 200), 2 * i + 7);
		assert_int_equal(io_read_stamp(w, b, i, 200), 2 * i + 8);
	}
	io_file_gone(w, "a", a);
	io_file_gone(w, "b", b);
	io_world_close(w);
}

/*
 * Reclaim writes here and there, and goes on; what it began with is on its way by the time it has
 * come through its lists. Neighbours are one request, in whichever order they come.
 */
static void started_in_between(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	int dev = rcl_host_open_swap(w->h, NULL, w->dir, 256 * PAGE_SIZE, 0);

	assert_true(dev >= 0);
	w->plat->ops->plug_start(w->plat);
	for (u64 i = 0; i < 4; i++)
		io_submit(w, dev, RCL_IO_WRITE, 200 + i, 200 + i, false);
	for (u64 i = 0; i < HOST_SWAP_REQUESTS - 1; i++)
		io_submit(w, dev, RCL_IO_WRITE, 2 * i, 2 * i, false);
	assert_int_equal(io_info(w, dev).writes, 0);
	io_submit(w, dev, RCL_IO_WRITE, 150, 150, false);
	assert_int_equal(io_info(w, dev).writes, HOST_SWAP_REQUESTS);
	for (u64 i = 0; i < HOST_SWAP_REQUESTS - 1; i++)
		assert_int_equal(io_wait(w, 2 * i), 0);
	w->plat->ops->plug_finish(w->plat);
	assert_int_equal(io_wait(w, 150), 0);
	for (u64 i = 0; i < 4; i++)
		assert_int_equal(io_wait(w, 200 + i), 0);
	assert_int_equal(io_info(w, dev).writes, HOST_SWAP_REQUESTS + 1);
	rcl_host_close_device(w->h, (u16)dev);
	io_world_close(w);
}

/* ---- who sleeps where ---- */

/* I/O completes though nobody waits for it, again after a pause, and though its thread is gone. */
static void nobody_waits(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	int dev = io_file(w, "file", 64 * PAGE_SIZE);

	for (u32 round = 0; round < 3; round++) {
		for (u64 b = 0; b < 64; b += 2)
			io_submit(w, dev, RCL_IO_WRITE, b, b, false);
		for (u64 b = 0; b < 64; b += 2)
			while (!io_has_ended(w, b))
				pause_ns(100000);
		pause_ns(40000000);
	}
	assert_int_equal(__atomic_load_n(&w->h->io_inflight, __ATOMIC_RELAXED), 0);
	io_file_gone(w, "file", dev);
	io_world_close(w);
}

static u32 nr_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	u32 nr = 0;

	assert_non_null(d);
	while (readdir(d))
		nr++;
	closedir(d);
	return nr;
}

/* A thread that reads page by page and waits needs nobody else with io_uring. */
static void alone(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	int dev = io_file(w, "file", 64 * PAGE_SIZE);
	u32 threads = nr_threads();

	for (u32 i = 0; i < 200; i++)
		assert_int_equal(io_read_stamp(w, dev, i % 64, i % 8), 0);
	assert_int_equal(io_info(w, dev).reads, 200);
	if (*(bool *)*state)
		assert_int_equal(nr_threads(), threads);
	io_file_gone(w, "file", dev);
	io_world_close(w);
}

struct dying {
	struct io_world *w;
	int dev;
	bool leaves;
};

/* Ends in the middle: a plug begun, pages gathered that nobody has started. */
static void *dies(void *arg)
{
	struct dying *d = arg;
	struct task *t = rcl_host_enter(d->w->h, NULL);

	d->w->plat->ops->plug_start(d->w->plat);
	for (u64 b = 0; b < 32; b++)
		io_submit(d->w, d->dev, RCL_IO_WRITE, b * 2, b, b & 1);
	if (d->leaves)
		rcl_host_leave(d->w->h, t);
	pthread_exit(NULL);
}

static void thread_dies(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	struct dying d = {.w = w, .dev = io_file(w, "file", 64 * PAGE_SIZE)};

	for (u32 round = 0; round < 20; round++) {
		pthread_t thread;

		d.leaves = round & 1;
		for (u64 b = 0; b < 32; b++) {
			rcl_host_stamp(io_data(w, b), round * 100 + b);
			w->pages[b].ended = 0;
		}
		assert_int_equal(pthread_create(&thread, NULL, dies, &d), 0);
		for (u64 b = 0; b < 32; b++)
			assert_int_equal(io_wait(w, b), 0);
		pthread_join(thread, NULL);
		assert_int_equal(io_read_stamp(w, d.dev, 62, 100), round * 100 + 31);
	}
	io_file_gone(w, "file", d.dev);
	io_world_close(w);
}

#define LATE (2 * RCL_NSEC_PER_SEC)
struct sleeper {
	struct io_world *w;
	int dev;
	u32 word, ready, result;
};

/* Sleeps on a word that has nothing to do with the I/O it has under way. */
static void *sleeps(void *arg)
{
	struct sleeper *s = arg;
	struct io_world *w = s->w;
	struct task *t = rcl_host_enter(w->h, NULL);
	u64 start = w->plat->ops->now(w->plat);

	io_submit(w, s->dev, RCL_IO_READ, 0, 0, false);
	__atomic_store_n(&s->ready, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&s->word, __ATOMIC_ACQUIRE))
		w->plat->ops->wait_on(w->plat, &s->word, 0, RCL_FOREVER, true);
	s->result = w->plat->ops->now(w->plat) - start < LATE;
	io_wait(w, 0);
	rcl_host_leave(w->h, t);
	return NULL;
}

static void woken_by_others(void **state)
{
	struct rcl_host_fault_rule late = {
		.kind = RCL_FAULT_DELAY, .dev = -1, .op = -1, .nth = 1, .amount = LATE};
	struct rcl_host_faults faults = {.nr_rules = 1, .rules = &late};
	struct io_world *w = io_world_open(state, &(struct io_world_options){.faults = &faults});
	struct sleeper s = {.w = w, .dev = io_file(w, "file", 64 * PAGE_SIZE)};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, sleeps, &s), 0);
	while (!__atomic_load_n(&s.ready, __ATOMIC_ACQUIRE))
		pause_ns(100000);
	pause_ns(20000000); /* it sleeps by now; if not the test is weaker, not wrong */
	__atomic_store_n(&s.word, 1, __ATOMIC_RELEASE);
	w->plat->ops->wake(w->plat, &s.word, 1);
	pthread_join(thread, NULL);
	/* Long before its I/O was to begin. */
	assert_true(s.result);
	io_file_gone(w, "file", s.dev);
	io_world_close(w);
}

static void times_out(void **state)
{
	struct rcl_host_fault_rule late = {
		.kind = RCL_FAULT_DELAY, .dev = -1, .op = -1, .nth = 1, .amount = 300000000};
	struct rcl_host_faults faults = {.nr_rules = 1, .rules = &late};
	struct io_world *w = io_world_open(state, &(struct io_world_options){.faults = &faults});
	int dev = io_file(w, "file", 64 * PAGE_SIZE), err = 0;
	const struct platform_ops *ops = w->plat->ops;
	u64 start = ops->now(w->plat);

	io_submit(w, dev, RCL_IO_READ, 0, 0, true);
	while (!err)
		err = ops->wait_on(w->plat, &w->pages[0].ended, 0, 5000000, true);
	assert_int_equal(err, -ETIMEDOUT);
	assert_true(ops->now(w->plat) - start >= 5000000);
	assert_false(io_has_ended(w, 0));
	/* It was started all the same, and is not late because of that. */
	assert_int_equal(io_wait(w, 0), 0);
	assert_true(ops->now(w->plat) - start >= 300000000);
	/* No time at all: starts it and does not sleep. */
	late.amount = 0;
	io_submit(w, dev, RCL_IO_READ, 0, 0, true);
	err = ops->wait_on(w->plat, &w->pages[0].ended, 0, 0, true);
	assert_true(err <= 0);
	while (!io_has_ended(w, 0))
		pause_ns(100000);
	io_file_gone(w, "file", dev);
	io_world_close(w);
}

/* One thread starts, and does something else; another waits. */
struct relay {
	struct io_world *w;
	int dev;
	u32 turn;
};

static void *starts(void *arg)
{
	struct relay *r = arg;
	struct task *t = rcl_host_enter(r->w->h, NULL);

	for (u32 i = 0; i < 100; i++) {
		while (__atomic_load_n(&r->turn, __ATOMIC_ACQUIRE) != 2 * i)
			pause_ns(20000);
		io_submit(r->w, r->dev, RCL_IO_READ, i % 64, 0, false);
		__atomic_store_n(&r->turn, 2 * i + 1, __ATOMIC_RELEASE);
	}
	rcl_host_leave(r->w->h, t);
	return NULL;
}

static void waits_for_others(void **state)
{
	struct io_world *w = io_world_open(state, &(struct io_world_options){0});
	struct relay r = {.w = w, .dev = io_file(w, "file", 64 * PAGE_SIZE)};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, starts, &r), 0);
	for (u32 i = 0; i < 100; i++) {
		while (__atomic_load_n(&r.turn, __ATOMIC_ACQUIRE) != 2 * i + 1)
			pause_ns(20000);
		assert_int_equal(io_wait(w, 0), 0);
		__atomic_store_n(&r.turn, 2 * i + 2, __ATOMIC_RELEASE);
	}
	pthread_join(thread, NULL);
	io_file_gone(w, "file", r.dev);
	io_world_close(w);
}

/* ---- depth ---- */

#define DEPTH 3

/* Requests made and not ended: the one that is just ending is still one of them. */
static void count_under_way(struct io_world *w)
{
	struct rcl_host_faults *faults = w->arg;
	u64 ended = __atomic_load_n(&w->nr_ended, __ATOMIC_SEQ_CST);
	u64 made = __atomic_load_n(&faults->nr_requests, __ATOMIC_SEQ_CST);

	/* `ended` is old by now if anything, so this is too strict when several threads end I/O. */
	if (made > ended + DEPTH)
		RCL_ASSERT(made <= __atomic_load_n(&w->nr_ended, __ATOMIC_SEQ_CST) + DEPTH);
}

static void depth(void **state)
{
	struct rcl_host_fault_rule late = {
		.kind = RCL_FAULT_DELAY, .dev = -1, .op = -1, .nth = 1, .amount = 300000};
	struct rcl_host_faults faults = {.nr_rules = 1, .rules = &late};
	struct io_world *w = io_world_open(
		state, &(struct io_world_options){.faults = &faults, .io_depth = DEPTH});
	int dev = io_file(w, "file", 256 * PAGE_SIZE);

	w->arg = &faults;
	w->on_end = count_under_way;
	w->plat->ops->plug_start(w->plat);
	for (u64 b = 0; b < 100; b++)
		io_submit(w, dev, RCL_IO_READ, 2 * b, b, false);
	w->plat->ops->plug_finish(w->plat);
	/* All have been started, so nearly all have ended. */
	assert_true(__atomic_load_n(&w->nr_ended, __ATOMIC_RELAXED) >= 100 - DEPTH);
	for (u64 b = 0; b < 100; b++)
		assert_int_equal(io_wait(w, b), 0);
	w->on_end = NULL;
	io_file_gone(w, "file", dev);
	io_world_close(w);
}

/* ---- ends that nobody waits for ---- */

struct held_up {
	int dev;
	u32 holds;    /* A: somebody is held up at the end of the first page */
	u32 released; /* A */
};

static void hold_up(struct io_world *w)
{
	struct held_up *h = w->arg;

	if (__atomic_exchange_n(&h->holds, 1, __ATOMIC_SEQ_CST))
		return;
	while (!__atomic_load_n(&h->released, __ATOMIC_SEQ_CST))
		pause_ns(1000000);
}

static void *leaves_a_read(void *arg)
{
	struct io_world *w = arg;
	struct task *t = rcl_host_enter(w->h, NULL);

	io_submit(w, ((struct held_up *)w->arg)->dev, RCL_IO_READ, 0, 0, false);
	rcl_host_leave(w->h, t);
	return NULL;
}

/* A thread that does not sleep ends what it has started when it polls, whatever others do. */
static void polled(void **state)
{
	struct rcl_host_fault_rule late = {
		.kind = RCL_FAULT_DELAY, .dev = -1, .op = -1, .nth = 1, .amount = 3000000};
	struct rcl_host_faults faults = {.nr_rules = 1, .rules = &late};
	struct io_world *w = io_world_open(state, &(struct io_world_options){.faults = &faults});
	struct held_up held = {.dev = io_file(w, "file", 64 * PAGE_SIZE)};
	pthread_t thread;
	u64 until;

	/* Who ends what threads leave behind is held up: nobody else does it for us. */
	w->arg = &held;
	w->on_end = hold_up;
	assert_int_equal(pthread_create(&thread, NULL, leaves_a_read, w), 0);
	while (!__atomic_load_n(&held.holds, __ATOMIC_SEQ_CST))
		pause_ns(100000);
	for (u64 b = 1; b < 10; b++)
		io_submit(w, held.dev, RCL_IO_WRITE, 2 * b, b, false);
	until = host_now(w->h) + 10 * RCL_NSEC_PER_SEC;
	for (u64 b = 1; b < 10; b++)
		while (!io_has_ended(w, b) && host_now(w->h) < until)
			w->plat->ops->poll(w->plat);
	for (u64 b = 1; b < 10; b++)
		assert_true(io_has_ended(w, b));
	__atomic_store_n(&held.released, 1, __ATOMIC_SEQ_CST);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(io_wait(w, 0), 0);
	io_file_gone(w, "file", held.dev);
	io_world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IO_TEST(random_files),	  IO_TEST(signals),	 IO_TEST(buffered),
		IO_TEST(tails),		  IO_TEST(sizes_change), IO_TEST(cut_underneath),
		IO_TEST(opening),	  IO_TEST(merging),	 IO_TEST(two_devices),
		IO_TEST(nobody_waits),	  IO_TEST(alone),	 IO_TEST(thread_dies),
		IO_TEST(woken_by_others), IO_TEST(times_out),	 IO_TEST(waits_for_others),
		IO_TEST(depth),		  IO_TEST(polled),	 IO_TEST(started_in_between),
	};

	alarm(200);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
