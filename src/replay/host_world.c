/* SPDX-License-Identifier: MIT */
/*
 * Runs on real memory: what sim/world.h asks for, from the host platform.
 *
 * The trace's files are unnamed files in a folder, each filled with the blanks that tell its pages
 * apart before the run begins, and dropped from the kernel's cache. Tasks are threads; the thread
 * that makes the run is a task too, between open and close.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "platform/host/internal.h"
#include "replay/content.h"
#include "replay/replay.h"
#include "replay/split.h"

#define FILL_PAGES 256

struct host_world {
	const struct rcl_replay_options *opt;
	struct rcl_host *host;
	struct task *self;
	bool has_swap;
	u16 *files; /* devices of files */
	u32 nr_files, cap_files;
	struct task **spawned;
	u32 nr_spawned, cap_spawned;
	char dir[4096];
	u32 seq; /* of files made */
};

static struct host_world *world_of(struct run *r)
{
	return r->world_state;
}

/* More frames than any layout of this much memory has: zones begin at multiples of a block. */
static u64 frames_for(const struct rcl_sim_request *req)
{
	u64 pages = (req->memory ? req->memory : rcl_sim_auto_memory(req->trace)) >> PAGE_SHIFT;

	for (u32 n = 0; n < req->nr_nodes; n++)
		for (u32 z = 0; z < MAX_NR_ZONES; z++)
			pages += req->nodes[n].managed[z];
	return pages + 16384 * (req->nr_nodes + 1);
}

static const char *folder(const struct rcl_replay_options *opt)
{
	const char *dir = opt->dir ? opt->dir : getenv("TMPDIR");

	return dir && *dir ? dir : "/var/tmp";
}

static int open_swap(struct run *r)
{
	struct host_world *w = world_of(r);
	int ret;

	if (r->req->swap < 2 * PAGE_SIZE)
		return 0;
	ret = rcl_host_open_swap(w->host, w->opt->swap_path, w->dir, r->req->swap, RCL_HOST_WRITE);
	if (ret < 0) {
		r->explained = true;
		return rcl_error_set(r->err, ret, "swap of %llu bytes %s %s: %s",
				     (unsigned long long)r->req->swap,
				     w->opt->swap_path ? "on" : "in", w->opt->swap_path ?: w->dir,
				     strerror(-ret));
	}
	r->swap = (u16)ret;
	w->has_swap = true;
	return 0;
}

static int open_world(struct run *r)
{
	struct host_world *w = calloc(1, sizeof(*w));
	struct rcl_host_config cfg = {
		.nr_frames = frames_for(r->req),
		.nr_cpus = r->req->nr_cpus,
		.seed = r->req->seed,
	};
	int ret;

	if (!w)
		return -ENOMEM;
	r->world_state = w;
	w->opt = r->world_arg;
	cfg.no_uring = w->opt->no_uring;
	cfg.measure = w->opt->figures;
	snprintf(w->dir, sizeof(w->dir), "%s", folder(w->opt));
	ret = rcl_host_create(&cfg, &w->host);
	if (ret)
		return ret;
	r->plat = rcl_host_platform(w->host);
	return open_swap(r);
}

static void content_exit(struct run *r)
{
	if (r->req->trace->recording)
		rcl_play_content_exit(r);
	else
		rcl_content_exit(r);
}

static void close_world(struct run *r)
{
	struct host_world *w = world_of(r);

	content_exit(r);
	if (!w)
		return;
	for (u32 i = 0; i < w->nr_files; i++)
		rcl_host_close_device(w->host, w->files[i]);
	if (w->has_swap)
		rcl_host_close_device(w->host, r->swap);
	if (w->host)
		rcl_host_destroy(w->host);
	free(w->files);
	free(w->spawned);
	free(w);
	r->world_state = NULL;
}

static bool swap_rotational(struct run *r)
{
	struct rcl_host_device_info info;

	rcl_host_device_info(world_of(r)->host, r->swap, &info);
	return info.rotational;
}

/* ---- Files --------------------------------------------------------------------------------- */

static int write_all(int fd, const char *buf, size_t n)
{
	while (n) {
		ssize_t done = write(fd, buf, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? -errno : -EIO;
		buf += done;
		n -= (size_t)done;
	}
	return 0;
}

static int fill(int fd, u32 region, u64 pages)
{
	char *buf = malloc(FILL_PAGES * PAGE_SIZE);
	int ret = buf ? 0 : -ENOMEM;

	for (u64 page = 0; page < pages && !ret; page += FILL_PAGES) {
		u64 nr = min(pages - page, (u64)FILL_PAGES);

		for (u64 i = 0; i < nr; i++)
			rcl_host_stamp(buf + i * PAGE_SIZE, rcl_content_blank(region, page + i));
		ret = write_all(fd, buf, nr * PAGE_SIZE);
	}
	free(buf);
	if (!ret && fdatasync(fd))
		ret = -errno;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return ret;
}

static int open_unnamed(struct run *r, u64 pages, u32 region)
{
	struct host_world *w = world_of(r);
	char path[4200];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/.reclaim-%d-%u", w->dir, (int)getpid(), w->seq++);
	fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	ret = fill(fd, region, pages);
	if (!ret)
		ret = rcl_host_open_file(w->host, path, RCL_HOST_WRITE);
	unlink(path);
	close(fd);
	return ret;
}

static int create_file(struct run *r, const char *name, u32 region, u64 pages, struct mapping **out)
{
	struct host_world *w = world_of(r);
	int dev, ret;

	if (w->nr_files == w->cap_files) {
		u32 cap = w->cap_files ? 2 * w->cap_files : 16;
		u16 *more = realloc(w->files, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		w->files = more;
		w->cap_files = cap;
	}
	dev = open_unnamed(r, pages, region);
	if (dev < 0) {
		r->explained = true;
		return rcl_error_set(r->err, dev, "a file of %llu KiB in %s: %s",
				     (unsigned long long)(pages << (PAGE_SHIFT - 10)), w->dir,
				     strerror(-dev));
	}
	w->files[w->nr_files++] = (u16)dev;
	ret = rcl_mapping_create(r->m, name, (u16)dev, 0, pages,
				 r->req->no_buffers ? 0 : MAPPING_BUFFERS, out);
	if (!ret)
		(*out)->bdi = r->disk; /* one disk, one flusher */
	return ret;
}

/* ---- Tasks --------------------------------------------------------------------------------- */

static int spawn(struct run *r, struct task *t, void (*fn)(void *), void *arg)
{
	struct host_world *w = world_of(r);
	int ret;

	if (w->nr_spawned == w->cap_spawned) {
		u32 cap = w->cap_spawned ? 2 * w->cap_spawned : 16;
		struct task **more = realloc(w->spawned, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		w->spawned = more;
		w->cap_spawned = cap;
	}
	ret = r->plat->ops->spawn(r->plat, t, fn, arg);
	if (!ret)
		w->spawned[w->nr_spawned++] = t;
	return ret;
}

static int run_all(struct run *r)
{
	struct host_world *w = world_of(r);

	for (u32 i = 0; i < w->nr_spawned; i++)
		r->plat->ops->join(r->plat, w->spawned[i]);
	w->nr_spawned = 0;
	return 0;
}

static int machine_opened(struct run *r)
{
	struct host_world *w = world_of(r);

	w->self = rcl_host_enter(w->host, r->group);
	return w->self ? 0 : -ENOMEM;
}

static void machine_closing(struct run *r)
{
	struct host_world *w = world_of(r);

	if (w->self)
		rcl_host_leave(w->host, w->self);
	w->self = NULL;
}

/* Real time cannot be asked to stop. */
static void at(struct run *r, u64 when, void (*fn)(void *), void *arg)
{
	(void)r;
	(void)when;
	(void)fn;
	(void)arg;
}

static const char *stuck(struct run *r)
{
	(void)r;
	return "";
}

/* ---- The end ------------------------------------------------------------------------------- */

static void verify(void *arg)
{
	struct run *r = arg;

	r->verified = rcl_content_check_all(r);
}

/* Swap is on the disk that the files are on. */
static bool one_disk(const struct host_world *w)
{
	struct stat files, swap;

	return !w->opt->swap_path || (!stat(w->dir, &files) && !stat(w->opt->swap_path, &swap) &&
				      files.st_dev == swap.st_dev);
}

/* Who was killed for lack of memory might not have been, had the disk kept what was to go there. */
static void tell_of_swap(struct run *r)
{
	struct host_world *w = world_of(r);
	size_t length = strlen(r->res->detail);
	struct rcl_host_device_info info;

	if (r->res->outcome != RCL_SIM_OOM || !w->has_swap)
		return;
	rcl_host_device_info(w->host, r->swap, &info);
	if (info.errors)
		snprintf(r->res->detail + length, sizeof(r->res->detail) - length,
			 "; swap on %s failed %llu times (is the disk full?)",
			 w->opt->swap_path ?: w->dir, (unsigned long long)info.errors);
}

static int finish(struct run *r)
{
	bool killed;
	int ret;

	if (world_of(r)->opt->figures) {
		struct rcl_host_figures *f = world_of(r)->opt->figures;

		rcl_host_get_figures(world_of(r)->host, f);
		f->ends_together =
			one_disk(world_of(r)) && rcl_host_probe_ends_together(world_of(r)->dir);
	}

	tell_of_swap(r);
	if (!r->req->check || r->play || r->res->outcome != RCL_SIM_COMPLETED)
		return 0;
	ret = rcl_run_task(r, r->processes[0].mm, r->group, "verify", verify, r, &killed);
	if (!ret && r->verified && r->verified != -ECANCELED)
		rcl_run_fail(r, RCL_SIM_IO_ERROR, r->req->trace->count,
			     "a page could not be read back at the end: error %d", -r->verified);
	return ret;
}

/* Traces have regions at fixed places, recordings do not. */
static int content_init(struct run *r)
{
	return r->play ? rcl_play_content_init(r) : rcl_content_init(r);
}

static bool check_read(struct runner *t, u32 region, u64 page, u64 stamp)
{
	return t->run->play ? rcl_play_content_read(t, region, page, stamp)
			    : rcl_content_check_read(t, region, page, stamp);
}

static u64 begin_write(struct runner *t, u32 region, u64 page, u64 pages)
{
	return t->run->play ? rcl_play_content_begin_write(t, region, page, pages)
			    : rcl_content_begin_write(t, region, page, pages);
}

static void end_write(struct runner *t, bool failed)
{
	if (t->run->play)
		rcl_play_content_end_write(t, failed);
	else
		rcl_content_end_write(t, failed);
}

static const struct world_ops host_world = {
	.open = open_world,
	.close = close_world,
	.machine_opened = machine_opened,
	.machine_closing = machine_closing,
	.swap_rotational = swap_rotational,
	.create_file = create_file,
	.spawn = spawn,
	.run_all = run_all,
	.at = at,
	.stuck = stuck,
	.finish = finish,
	.content_init = content_init,
	.check_memory = rcl_content_check_memory,
	.check_read = check_read,
	.begin_write = begin_write,
	.end_write = end_write,
	.play_memory = rcl_play_content_memory,
	.play_event = rcl_play_content_event,
};

const char *rcl_replay_device_like(const char *dir)
{
	static const char *const forms[] = {"/sys/dev/block/%u:%u/queue/rotational",
					    "/sys/dev/block/%u:%u/../queue/rotational"};
	struct rcl_replay_options opt = {.dir = dir};
	struct stat st;
	char path[64];
	int c = '0';

	if (stat(folder(&opt), &st))
		return RCL_SIM_DEFAULT_DEVICE;
	for (u32 i = 0; i < ARRAY_SIZE(forms); i++) {
		FILE *f;

		snprintf(path, sizeof(path), forms[i], major(st.st_dev), minor(st.st_dev));
		f = fopen(path, "re");
		if (!f)
			continue;
		c = fgetc(f);
		fclose(f);
		break;
	}
	return c == '1' ? "virtio" : RCL_SIM_DEFAULT_DEVICE;
}

int rcl_replay_run(const struct rcl_sim_request *req, const struct rcl_replay_options *opt,
		   struct rcl_sim_result *res, struct rcl_error *err)
{
	struct rcl_sim_request real = *req;
	struct rcl_trace_image *split = NULL;
	int ret;

	memset(res, 0, sizeof(*res));
	if (opt->threads > 1) {
		if (req->trace->recording)
			return rcl_error_set(err, -EINVAL,
					     "a recording has threads of its own: it cannot be "
					     "shared out to %u",
					     opt->threads);
		ret = rcl_split(req->trace, opt->threads, &split);
		if (ret)
			return rcl_error_set(err, ret, "not enough memory to share the trace out");
		real.trace = split;
	}
	ret = rcl_run_in(&host_world, &real, (void *)opt, res, err);
	rcl_split_free(split);
	return ret;
}
