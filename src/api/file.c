/* SPDX-License-Identifier: MIT */
/*
 * Files as areas.
 *
 * All areas of one file (the same st_dev and st_ino) share its backing: the engine's page cache of
 * it, its size, and the device that it is read and written through. The device is opened with what
 * the first area asks for; the first area that wants to write brings a device that can, and the old
 * one stays, for reads that are under way, until the backing is closed.
 *
 * What takes pages away keeps the backing's lock for writing. Faults hold it for reading, so while
 * it is held a word without a frame stays so, and a page that is unmapped in every area can only
 * come back after it: pinned or not is then a question with an answer that lasts.
 *
 *   truncate   smaller   areas end at the new size (new pins see it); unmap what is beyond. Pinned:
 *                        areas end where they did, nothing has changed. Else: page cache, disk
 *              larger    room in all areas, disk, areas end at the new size
 *   punch      unmap; for each run without pinned pages: page cache, disk
 *
 * The last page of a file that does not end with a page: its rest is zero. What somebody put there
 * in memory is never written, but must not turn up when the file becomes longer, so every change of
 * size clears the rest of the page in which the file ends, or ended. That page stays locked while
 * the size changes, so that no write of it, begun with the old size, ends after.
 */
#define _GNU_SOURCE 1
#include "api/internal.h"

#include <stdlib.h>

#include "mm/pin.h"
#include "mm/writeback.h"

static u64 pages_of(u64 bytes)
{
	return bytes / PAGE_SIZE + (bytes % PAGE_SIZE != 0);
}

/* ---- opening ------------------------------------------------------------------------------- */

static u32 device_flags(u32 flags)
{
	return (flags & RCL_AREA_WRITE ? RCL_HOST_WRITE : 0) |
	       (flags & RCL_AREA_CREATE ? RCL_HOST_CREATE : 0) |
	       (flags & RCL_AREA_BUFFERED ? RCL_HOST_BUFFERED : 0);
}

/* The flusher for files of this filesystem. machine->lock is held. */
static u16 flusher_of(struct rcl_machine *machine, u64 st_dev)
{
	for (u32 i = 0; i < machine->nr_filesystems; i++)
		if (machine->filesystems[i] == st_dev)
			return (u16)i;
	if (machine->nr_filesystems < MAX_FILESYSTEMS)
		machine->filesystems[machine->nr_filesystems++] = st_dev;
	return (u16)(machine->nr_filesystems - 1);
}

/* The last part of a path, for reports. */
static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* machine->lock is held. */
static int create_backing(struct rcl_machine *machine, const char *path, int dev,
			  const struct rcl_host_device_info *info, struct backing **out)
{
	struct rcl *m = machine->m;
	struct backing *b = calloc(1, sizeof(*b));
	pthread_rwlockattr_t attr;
	int err;

	if (!b)
		return -ENOMEM;
	err = rcl_mapping_create(m, last_part(path), (u16)dev, 0, pages_of(info->bytes), 0,
				 &b->mapping);
	if (!err) {
		b->mapping->bdi = flusher_of(machine, info->st_dev);
		err = rcl_writeback_add_device(m, b->mapping->bdi);
		if (err)
			rcl_mapping_destroy(m, b->mapping);
	}
	if (err) {
		free(b);
		return err;
	}
	b->machine = machine;
	b->st_dev = info->st_dev;
	b->st_ino = info->st_ino;
	b->is_block = info->is_block;
	b->writable = info->writable;
	b->bytes = info->bytes;
	b->dev = dev;
	b->read_dev = -1;
	list_init(&b->areas);
	/* Faults never stop; whoever wants to change the size must get in between. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&b->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	list_add_tail(&b->link, &machine->backings);
	*out = b;
	return 0;
}

static struct backing *find_backing(struct rcl_machine *machine,
				    const struct rcl_host_device_info *info)
{
	struct backing *b;

	list_for_each (b, &machine->backings, link)
		if (b->st_dev == info->st_dev && b->st_ino == info->st_ino &&
		    b->is_block == info->is_block)
			return b;
	return NULL;
}

/* The backing of a file that has just been opened as dev, which becomes its or is closed. */
static int get_backing(struct rcl_machine *machine, const char *path, int dev, struct backing **out)
{
	struct rcl_host_device_info info;
	struct backing *b;
	int err = 0;

	rcl_host_device_info(machine->host, (u16)dev, &info);
	if (pages_of(info.bytes) > RCL_MAX_AREA) {
		rcl_host_close_device(machine->host, (u16)dev);
		return -EFBIG;
	}
	pthread_mutex_lock(&machine->lock);
	b = find_backing(machine, &info);
	if (!b) {
		err = create_backing(machine, path, dev, &info, &b);
	} else if (info.writable && !b->writable) {
		b->writable = true;
		b->read_dev = b->dev;
		__atomic_store_n(&b->dev, dev, __ATOMIC_RELEASE);
		__atomic_store_n(&b->mapping->dev, (u16)dev, __ATOMIC_RELEASE);
		dev = -1;
	}
	if (!err) {
		b->users++;
		if (b->dev == dev)
			dev = -1;
	}
	pthread_mutex_unlock(&machine->lock);
	if (dev >= 0)
		rcl_host_close_device(machine->host, (u16)dev);
	*out = b;
	return err;
}

/* The last one destroys it: no page of it is mapped any more. */
static void put_backing(struct backing *b)
{
	struct rcl_machine *machine = b->machine;
	bool last;

	/* Out of the list first: who opens the file from now on has a backing of their own. */
	pthread_mutex_lock(&machine->lock);
	last = !--b->users;
	if (last) {
		list_del(&b->link);
		rcl_events_file_closing(b);
	}
	pthread_mutex_unlock(&machine->lock);
	if (!last)
		return;
	rcl_mapping_destroy(machine->m, b->mapping);
	rcl_machine_close_device(machine, b->dev);
	if (b->read_dev >= 0)
		rcl_machine_close_device(machine, b->read_dev);
	pthread_rwlock_destroy(&b->lock);
	free(b);
}

/* Make the area show the file. */
static int attach(struct rcl_area *area, struct backing *b)
{
	int err;

	area->backing = b;
	rcl_file_open(area->machine->m, b->mapping, &area->file);
	pthread_rwlock_wrlock(&b->lock);
	err = rcl_area_extend(area, pages_of(b->bytes));
	if (!err) {
		area->pages = pages_of(b->bytes);
		list_add_tail(&area->backing_link, &b->areas);
	}
	pthread_rwlock_unlock(&b->lock);
	return err;
}

static int open_file(struct rcl_machine *machine, struct rcl_group *group, const char *path,
		     u32 flags, struct rcl_area **out)
{
	struct rcl_area *area;
	struct backing *b;
	int dev, err;

	err = rcl_area_create(machine, group, flags, &area);
	if (err)
		return err;
	dev = rcl_host_open_file(machine->host, path, device_flags(flags));
	err = dev < 0 ? dev : get_backing(machine, path, dev, &b);
	if (err) {
		rcl_area_free(area);
		return err;
	}
	err = attach(area, b);
	if (err) {
		rcl_area_free(area);
		put_backing(b);
		return err;
	}
	rcl_area_link(area);
	*out = area;
	return 0;
}

int rcl_area_file(struct rcl_machine *machine, struct rcl_group *group, const char *path,
		  uint32_t flags, struct rcl_area **out)
{
	const u32 known =
		RCL_AREA_WRITE | RCL_AREA_CREATE | RCL_AREA_OPTIMISTIC | RCL_AREA_BUFFERED;
	struct task *t;
	int err;

	*out = NULL;
	if (!api_is_alive(machine))
		return -ECHILD;
	if (!path || flags & ~known || (flags & RCL_AREA_CREATE && !(flags & RCL_AREA_WRITE)) ||
	    (group && group->machine != machine))
		return -EINVAL;
	t = api_enter(machine, group);
	if (!t)
		return -ENOMEM;
	err = open_file(machine, group, path, flags, out);
	api_leave(machine, t);
	return err;
}

/* ---- writing ------------------------------------------------------------------------------- */

/* Start writing what is dirty in [first, last] and wait. 0, or what the area was not told yet. */
static int write_out(struct rcl_area *area, u64 first, u64 last)
{
	struct rcl *m = area->machine->m;
	int err = rcl_mapping_write_and_wait(m, area->backing->mapping, first, last);
	int late = rcl_file_check_wb_err(&area->file);

	return late ? late : err;
}

int rcl_backing_close(struct rcl_area *area)
{
	struct backing *b = area->backing;
	bool wrote = area->flags & RCL_AREA_WRITE;
	int err = 0;

	pthread_rwlock_wrlock(&b->lock);
	list_del(&area->backing_link);
	pthread_rwlock_unlock(&b->lock);
	/* What only this area's words know becomes the pages'. */
	rcl_area_unmap(area, 0, area->mapped);
	if (wrote)
		err = write_out(area, 0, UINT64_MAX);
	rcl_area_free(area);
	put_backing(b);
	return err;
}

int rcl_area_sync(struct rcl_area *area, uint64_t first, uint64_t nr)
{
	struct rcl_machine *machine = area->machine;
	struct task *t;
	int err, hard;

	if (!api_is_alive(machine))
		return -ECHILD;
	if (!area_has(area, first, nr))
		return -ERANGE;
	if (!area->backing)
		return 0;
	t = api_enter(machine, area->group);
	if (!t)
		return -ENOMEM;
	err = write_out(area, first, nr ? first + nr - 1 : UINT64_MAX);
	/* Also after an error: what could be written is made durable. */
	hard = rcl_host_sync(machine->host,
			     (u16)__atomic_load_n(&area->backing->dev, __ATOMIC_ACQUIRE));
	api_leave(machine, t);
	return err ? err : hard;
}

/* ---- size ---------------------------------------------------------------------------------- */

uint64_t rcl_area_file_size(const struct rcl_area *area)
{
	return area->backing ? __atomic_load_n(&area->backing->bytes, __ATOMIC_RELAXED) : 0;
}

static void set_pages(struct backing *b, u64 pages)
{
	struct rcl_area *area;

	list_for_each (area, &b->areas, backing_link)
		__atomic_store_n(&area->pages, pages, __ATOMIC_RELEASE);
}

static void set_mapping_size(struct mapping *mapping, u64 pages)
{
	spin_lock(&mapping->lock);
	__atomic_store_n(&mapping->size, pages, __ATOMIC_RELAXED);
	spin_unlock(&mapping->lock);
}

/* Unmap [first, first + nr) in all areas. -EBUSY: something is pinned and stays. */
static int unmap_all(struct backing *b, u64 first, u64 nr)
{
	struct rcl_area *area;
	int ret = 0;

	list_for_each (area, &b->areas, backing_link) {
		int err = rcl_area_unmap(area, first, nr);

		if (err)
			ret = err;
	}
	return ret;
}

/* Set the size on the disk, with the page in which the file ends (the smaller size) locked. */
static int set_disk_size(struct backing *b, u64 end, u64 bytes)
{
	struct rcl_machine *machine = b->machine;
	struct rcl *m = machine->m;
	struct folio *f = NULL;
	int err;

	while (end % PAGE_SIZE) {
		f = rcl_filemap_get_folio(m, b->mapping, end / PAGE_SIZE);
		if (!f)
			break;
		folio_lock(m, f);
		if (f->mapping == b->mapping)
			break;
		folio_unlock(m, f);
		folio_put(m, f);
	}
	if (f)
		rcl_folio_wait_writeback(m, f);
	err = rcl_host_truncate(machine->host, (u16)b->dev, bytes);
	if (f) {
		char *page = rcl_host_frame(machine->host, folio_pfn(m, f));

		if (!err && folio_test(f, PG_uptodate))
			memset(page + end % PAGE_SIZE, 0, PAGE_SIZE - end % PAGE_SIZE);
		folio_unlock(m, f);
		folio_put(m, f);
	}
	if (!err)
		__atomic_store_n(&b->bytes, bytes, __ATOMIC_RELAXED);
	return err;
}

static int make_smaller(struct backing *b, u64 bytes)
{
	u64 was = pages_of(b->bytes), is = pages_of(bytes);
	int err;

	set_pages(b, is);
	err = unmap_all(b, is, was - is);
	if (err) {
		set_pages(b, was);
		return err;
	}
	set_mapping_size(b->mapping, is);
	if (is < was)
		rcl_truncate_range(b->machine->m, b->mapping, is, UINT64_MAX);
	err = set_disk_size(b, bytes, bytes);
	if (err) {
		set_mapping_size(b->mapping, was);
		set_pages(b, was);
	}
	return err;
}

static int make_larger(struct backing *b, u64 bytes)
{
	u64 is = pages_of(bytes);
	struct rcl_area *area;
	int err = 0;

	list_for_each (area, &b->areas, backing_link)
		if (!err)
			err = rcl_area_extend(area, is);
	if (!err)
		err = set_disk_size(b, b->bytes, bytes);
	if (!err) {
		set_mapping_size(b->mapping, is);
		set_pages(b, is);
	}
	return err;
}

int rcl_area_truncate(struct rcl_area *area, uint64_t bytes)
{
	struct rcl_machine *machine = area->machine;
	struct backing *b = area->backing;
	struct task *t;
	int err = 0;

	if (!api_is_alive(machine))
		return -ECHILD;
	if (!b || b->is_block)
		return -EINVAL;
	if (!(area->flags & RCL_AREA_WRITE))
		return -EACCES;
	if (pages_of(bytes) > RCL_MAX_AREA)
		return -EFBIG;
	t = api_enter(machine, area->group);
	if (!t)
		return -ENOMEM;
	pthread_rwlock_wrlock(&b->lock);
	if (bytes < b->bytes)
		err = make_smaller(b, bytes);
	else if (bytes > b->bytes)
		err = make_larger(b, bytes);
	pthread_rwlock_unlock(&b->lock);
	rcl_memory_freed(machine);
	api_leave(machine, t);
	return err;
}

/* ---- holes --------------------------------------------------------------------------------- */

static bool is_pinned(struct backing *b, u64 first, u64 nr)
{
	struct rcl_area *area;

	list_for_each (area, &b->areas, backing_link)
		if (rcl_area_is_pinned(area, first, nr))
			return true;
	return false;
}

/* The filesystem cannot make holes: pages of zeros do as well, but for the space. */
static int write_zeros(struct rcl_area *area, u64 first, u64 nr)
{
	struct rcl *m = area->machine->m;

	for (u64 page = first; page < first + nr; page++) {
		pte_t *pte;
		u64 pfn;
		int err = rcl_pin_page(m, area->mm, page, PIN_WRITE | PIN_OVERWRITE, &pte, &pfn);

		if (err)
			return err;
		memset(rcl_host_frame(area->machine->host, pfn), 0, PAGE_SIZE);
		if (!rcl_unpin_fast(area->mm, pte, true))
			rcl_unpin_page(m, area->mm, page, pte);
	}
	return 0;
}

static int punch_run(struct rcl_area *area, u64 first, u64 nr)
{
	struct backing *b = area->backing;
	int err;

	rcl_truncate_range(area->machine->m, b->mapping, first, first + nr - 1);
	err = rcl_host_punch(area->machine->host, (u16)b->dev, first, nr);
	return err == -EOPNOTSUPP ? write_zeros(area, first, nr) : err;
}

/* [first, first + nr) but for pinned pages, as few runs as there are. */
static int punch_between_pins(struct rcl_area *area, u64 first, u64 nr)
{
	struct backing *b = area->backing;
	u64 end = first + nr;
	int err = 0;

	while (!err && first < end) {
		u64 upto = first;

		while (upto < end && !is_pinned(b, upto, 1))
			upto++;
		if (upto > first)
			err = punch_run(area, first, upto - first);
		first = upto + 1;
	}
	return err ? err : -EBUSY;
}

int rcl_backing_punch(struct rcl_area *area, u64 first, u64 nr)
{
	struct backing *b = area->backing;
	int err;

	pthread_rwlock_wrlock(&b->lock);
	if (first + nr > pages_of(b->bytes))
		err = -ERANGE;
	else
		err = unmap_all(b, first, nr);
	if (!err)
		err = punch_run(area, first, nr);
	else if (err == -EBUSY)
		err = punch_between_pins(area, first, nr);
	pthread_rwlock_unlock(&b->lock);
	return err;
}
