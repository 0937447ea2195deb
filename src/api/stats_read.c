/* SPDX-License-Identifier: MIT */
/*
 * Reading statistics pages.
 *
 * A page is copied with one read and only the copy is looked at, so nothing changes under the
 * checks, and a file cut short is a short copy. The copy is believed if the sequence number in it
 * is even and the file still has that number afterwards. Everything else in it is checked before it
 * is used, names included: they end up on terminals, where control characters would be commands.
 */
#define _GNU_SOURCE
#include "api/stats_read.h"

#include "platform/platform.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(struct stats_name) % 8 == 0, "figures are aligned behind names");
_Static_assert(sizeof(struct stats_header) % 8 == 0, "names are aligned behind the header");

#define STALE_INTERVALS 8u /* not written for so long: its keeper is dead, or stopped */

/* ---- Names --------------------------------------------------------------------------------- */

/* Bytes of the printable UTF-8 character at s, of which max may be looked at; 0: there is none. */
static size_t printable(const unsigned char *s, size_t max)
{
	static const unsigned int least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned int c = s[0];
	size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

	if (n == 1)
		return c >= 0x20 && c < 0x7f;
	if (!n || n > max)
		return 0;
	c &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	/* Not in the shortest form; control characters; surrogates; the directions of text. */
	if (c < least[n] || (c >= 0x80 && c < 0xa0) || (c >= 0xd800 && c < 0xe000) ||
	    c > 0x10ffff || (c >= 0x2028 && c < 0x202f) || (c >= 0x2066 && c < 0x206a))
		return 0;
	return n;
}

void rcl_stats_clean(char *name, size_t size)
{
	name[size - 1] = 0;
	for (size_t i = 0; name[i];) {
		size_t n = printable((unsigned char *)name + i, size - i);

		if (!n)
			name[i] = '?';
		i += n ? n : 1;
	}
}

/* ---- Checking ------------------------------------------------------------------------------ */

/* nr things of so many bytes fit into the block at this offset. */
static bool fits(const struct stats_header *h, u32 at, u32 nr, size_t each)
{
	return at % 8 == 0 && at >= sizeof(*h) && at <= h->bytes &&
	       nr <= (h->bytes - at) / (each ? each : 1);
}

static int check(const struct stats_header *h, size_t bytes)
{
	size_t group = sizeof(struct stats_group) + (size_t)h->nr_group_figures * sizeof(s64);

	if (memcmp(h->magic, STATS_MAGIC, sizeof(h->magic)))
		return -EINVAL;
	if (h->version != STATS_VERSION)
		return -EPROTO;
	if (h->seq & 1)
		return -EAGAIN;
	if (h->bytes > bytes || h->nr_figures > UINT16_MAX || h->nr_group_figures > UINT16_MAX ||
	    h->nr_groups > h->max_groups)
		return -EINVAL;
	if (h->group_bytes < group || h->group_bytes % 8)
		return -EINVAL;
	if (!fits(h, h->names_at, h->nr_figures + h->nr_group_figures, sizeof(struct stats_name)) ||
	    !fits(h, h->figures_at, h->nr_figures, sizeof(s64)) ||
	    !fits(h, h->groups_at, h->max_groups, h->group_bytes))
		return -EINVAL;
	return 0;
}

int rcl_stats_parse(void *block, size_t bytes, struct stats_view *view)
{
	struct stats_header *h = block;
	int err;

	if (bytes < sizeof(*h))
		return -EINVAL;
	err = check(h, bytes);
	if (err)
		return err;
	/* Cleaning what overlaps would undo what has been cleaned: each part behind the last. */
	if (h->figures_at < h->names_at || h->groups_at < h->figures_at ||
	    (h->figures_at - h->names_at) / sizeof(struct stats_name) <
		    h->nr_figures + h->nr_group_figures ||
	    (h->groups_at - h->figures_at) / sizeof(s64) < h->nr_figures)
		return -EINVAL;
	*view = (struct stats_view){.block = block, .header = h};
	view->names = (struct stats_name *)((char *)block + h->names_at);
	view->group_names = view->names + h->nr_figures;
	view->figures = (s64 *)((char *)block + h->figures_at);
	for (u32 i = 0; i < h->nr_figures + h->nr_group_figures; i++)
		rcl_stats_clean(view->names[i].name, sizeof(view->names[i].name));
	rcl_stats_clean(h->machine, sizeof(h->machine));
	for (u32 i = 0; i < h->nr_groups; i++) {
		struct stats_group *g = stats_view_group(view, i);

		rcl_stats_clean(g->name, sizeof(g->name));
		if (g->parent >= i)
			g->parent = STATS_NO_PARENT;
	}
	return 0;
}

void rcl_stats_view_free(struct stats_view *view)
{
	free(view->block);
	*view = (struct stats_view){0};
}

s64 rcl_stats_value(const struct stats_view *view, const struct stats_group *group,
		    const char *name)
{
	const struct stats_name *names = group ? view->group_names : view->names;
	const s64 *figures = group ? group->figures : view->figures;
	u32 nr = group ? view->header->nr_group_figures : view->header->nr_figures;

	for (u32 i = 0; i < nr; i++)
		if (!strcmp(names[i].name, name))
			return figures[i];
	return 0;
}

/* ---- Files --------------------------------------------------------------------------------- */

int rcl_stats_open(const char *path)
{
	/* Not a link to somewhere, nor a pipe to wait for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

static int load_once(int fd, struct stats_view *view)
{
	struct stat st;
	ssize_t got = -1;
	void *block;
	u32 seq;
	int err;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size < (off_t)sizeof(struct stats_header) || st.st_size > STATS_BYTES_MAX)
		return -EINVAL;
	block = malloc((size_t)st.st_size);
	if (!block)
		return -ENOMEM;
	got = pread(fd, block, (size_t)st.st_size, 0);
	if (got < 0)
		err = -errno;
	else
		err = rcl_stats_parse(block, (size_t)got, view);
	if (!err &&
	    (pread(fd, &seq, sizeof(seq), offsetof(struct stats_header, seq)) != sizeof(seq) ||
	     seq != view->header->seq))
		err = -EAGAIN;
	if (err)
		free(block);
	return err;
}

int rcl_stats_load(int fd, struct stats_view *view)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	int err;

	for (int i = 0; i < 100; i++) {
		err = load_once(fd, view);
		if (err != -EAGAIN)
			break;
		nanosleep(&moment, NULL);
	}
	return err;
}

/* Just made, or ours (whose locks we do not see), or written not long ago. */
static bool is_fresh(int fd)
{
	struct stats_header h;
	struct timespec now;

	if (pread(fd, &h, sizeof(h), 0) != sizeof(h) || memcmp(h.magic, STATS_MAGIC, 8) ||
	    h.pid == getpid())
		return true;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * RCL_NSEC_PER_SEC + (u64)now.tv_nsec - h.updated_ns <
	       STALE_INTERVALS * STATS_INTERVAL * RCL_NSEC_PER_MSEC;
}

bool rcl_stats_is_alive(int fd)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

	if (!flock(fd, LOCK_SH | LOCK_NB)) {
		flock(fd, LOCK_UN);
		return false;
	}
	/* By its keeper, or by a child of that one's that lives on. */
	if (fcntl(fd, F_GETLK, &lock) || lock.l_type != F_UNLCK)
		return true;
	return is_fresh(fd);
}

const char *rcl_stats_folder(u32 i)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (runtime && *runtime == '/' && i-- == 0)
		return runtime;
	return i == 0 ? "/dev/shm" : NULL;
}

/* Digits at s, and how many of them. */
static size_t digits(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n <= 10 ? n : 0;
}

bool rcl_stats_is_name(const char *name)
{
	static const char prefix[] = "reclaim-";
	size_t n;

	if (strncmp(name, prefix, sizeof(prefix) - 1))
		return false;
	name += sizeof(prefix) - 1;
	n = digits(name);
	if (!n || name[n] != '-')
		return false;
	name += n + 1;
	n = digits(name);
	return n && !name[n];
}
