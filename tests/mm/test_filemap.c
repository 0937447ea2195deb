/* SPDX-License-Identifier: MIT */
/* The page cache: reading, writing, faults, readahead, truncation; what is counted and charged. */
#include <setjmp.h>
#include <stdarg.h>

#include "lone_task.h"
#include "mm/filemap.h"
#include "mm/mm.h"
#include "mm/mm_lock.h"
#include "mm/page_io.h"
#include "mm/slab.h"
#include "mm/workingset.h"
#include "mm/writeback.h"

#include <cmocka.h>

#define FIRST_BLOCK 100
#define FILE_PAGES  4000

struct world {
	struct lone *w;
	struct rcl *m;
	struct mapping *mapping;
	struct file file;
};

static int setup_flags(void **state, u32 flags)
{
	struct world *x = calloc(1, sizeof(*x));

	x->w = lone_open(1, 16384);
	if (!x->w)
		return -1;
	x->m = x->w->m;
	assert_int_equal(rcl_writeback_add_device(x->m, 0), 0);
	assert_int_equal(
		rcl_mapping_create(x->m, "f", 0, FIRST_BLOCK, FILE_PAGES, flags, &x->mapping), 0);
	rcl_file_open(x->m, x->mapping, &x->file);
	*state = x;
	return 0;
}
static int setup(void **state)
{
	return setup_flags(state, 0);
}
static int setup_buffers(void **state)
{
	return setup_flags(state, MAPPING_BUFFERS);
}
static int teardown(void **state)
{
	struct world *x = *state;

	x->w->fail = 0;
	rcl_lru_add_drain_all(x->m);
	rcl_mapping_destroy(x->m, x->mapping);
	assert_int_equal(lone_node_stat(x->w, NR_FILE_PAGES), 0);
	assert_int_equal(lone_node_stat(x->w, NR_FILE_DIRTY), 0);
	assert_int_equal(lone_group_stat(x->w, NR_FILE_PAGES), 0);
	assert_int_equal(lone_group_stat(x->w, NR_SLAB_RECLAIMABLE_B), 0);
	lone_close(x->w);
	free(x);
	return 0;
}

static u64 stamp_of_block(u64 index)
{
	return (FIRST_BLOCK + index) << 32 | 1;
}
static int read_page(struct world *x, u64 index)
{
	u64 stamp = 0;
	int err = rcl_file_read(x->m, &x->file, index, 1, &stamp);

	if (!err)
		assert_int_equal(stamp, stamp_of_block(index));
	return err;
}
static bool cached(struct world *x, u64 index)
{
	void *e = rcl_radix_load(x->mapping, index);

	return e && !entry_is_shadow(e);
}
static struct folio *at(struct world *x, u64 index)
{
	assert_true(cached(x, index));
	return rcl_radix_load(x->mapping, index);
}
static bool has(struct world *x, u64 index, enum folio_flag flag)
{
	return folio_test(at(x, index), flag);
}
static void advise(struct world *x, enum rcl_fadvice advice)
{
	assert_int_equal(rcl_file_advise(x->m, &x->file, 0, 0, advice), 0);
}
static void assert_valid(struct world *x)
{
	assert_true(rcl_mapping_is_valid(x->m, x->mapping));
	assert_int_equal(lone_node_stat(x->w, NR_FILE_PAGES), x->mapping->nr_pages);
}

/* ---- reading ------------------------------------------------------------------------------- */

static void a_random_read_gets_one_page(void **state)
{
	struct world *x = *state;

	advise(x, RCL_FADV_RANDOM);
	assert_int_equal(read_page(x, 1000), 0);
	assert_int_equal(x->w->reads, 1);
	assert_int_equal(x->mapping->nr_pages, 1);
	assert_true(has(x, 1000, PG_uptodate));
	assert_false(has(x, 1000, PG_locked));
	assert_int_equal(lone_group_stat(x->w, NR_FILE_PAGES), 1);
	assert_int_equal(lone_events(x->w, PGPGIN), 4);
	/* The tree's: 2 levels. */
	assert_int_equal(lone_group_stat(x->w, NR_SLAB_RECLAIMABLE_B), 2 * (RADIX_NODE_BYTES + 8));
	rcl_lru_add_drain(x->m);
	assert_int_equal(folio_ref_count(at(x, 1000)), 1);
	assert_int_equal(read_page(x, 1000), 0);
	assert_int_equal(x->w->reads, 1);
	assert_valid(x);
	assert_int_equal(read_page(x, FILE_PAGES), -ENODATA);
	assert_int_equal(read_page(x, FILE_PAGES - 1), 0);
}

/* A request larger than the window is read in one go when random, and no further. */
static void a_random_read_of_many_pages_gets_just_these(void **state)
{
	struct world *x = *state;

	advise(x, RCL_FADV_RANDOM);
	assert_int_equal(rcl_file_read(x->m, &x->file, 10, 100, NULL), 0);
	assert_int_equal(x->w->reads, 100);
	assert_int_equal(x->mapping->nr_pages, 100);
	assert_int_equal(x->file.prev_index, 109);
	/* Each was used once. */
	for (u64 i = 10; i < 110; i++)
		assert_true(has(x, i, PG_referenced));
	assert_valid(x);
}

static void use_is_counted_once_per_visit(void **state)
{
	struct world *x = *state;

	advise(x, RCL_FADV_RANDOM);
	read_page(x, 5);
	rcl_lru_add_drain(x->m);
	assert_true(has(x, 5, PG_referenced));
	read_page(x, 5); /* the same page again: still the same use */
	read_page(x, 5);
	assert_true(has(x, 5, PG_referenced));
	assert_false(has(x, 5, PG_active));
	read_page(x, 6);
	read_page(x, 5); /* second use */
	rcl_lru_add_drain(x->m);
	assert_true(has(x, 5, PG_active));
	assert_false(has(x, 5, PG_referenced));
	assert_int_equal(lone_events(x->w, PGACTIVATE), 1);
	/* Of a read of several pages the first may be the page of last time. */
	assert_int_equal(rcl_file_read(x->m, &x->file, 5, 2, NULL), 0);
	assert_false(has(x, 5, PG_referenced));
	rcl_lru_add_drain(x->m);
	assert_true(has(x, 6, PG_active)); /* its second use */
}

static void a_failed_read_is_reported_and_can_be_repeated(void **state)
{
	struct world *x = *state;

	x->w->fail = -EIO;
	assert_int_equal(read_page(x, 0), -EIO);
	assert_true(x->file.ra_pages < 32);
	assert_false(has(x, 0, PG_uptodate));
	x->w->fail = 0;
	assert_int_equal(read_page(x, 0), 0);
	assert_valid(x);
}

static void a_killed_task_reads_nothing(void **state)
{
	struct world *x = *state;

	x->w->task.flags |= PF_KILLED;
	assert_int_equal(read_page(x, 0), -EINTR);
	assert_int_equal(rcl_file_write(x->m, &x->file, 0, 1, 1), -EINTR);
	x->w->task.flags &= ~(u32)PF_KILLED;
	assert_int_equal(x->mapping->nr_pages, 0);
}

/* ---- readahead ----------------------------------------------------------------------------- */

/* Index up to which the file is cached without a hole from 0 on. */
static u64 cached_to(struct world *x)
{
	u64 i = 0;

	while (cached(x, i))
		i++;
	return i;
}

static void a_stream_doubles_its_window(void **state)
{
	struct world *x = *state;
	/* Page read, and how far the file is cached then: windows of 4, 8, 16, 32, 32. */
	static const struct {
		u64 page, cached;
	} steps[] = {{0, 4},   {1, 12},	 {2, 12},  {3, 12},  {4, 28},  {11, 28},
		     {12, 60}, {27, 60}, {28, 92}, {59, 92}, {60, 124}};
	u64 page = 0;

	for (u32 i = 0; i < ARRAY_SIZE(steps); i++) {
		for (; page <= steps[i].page; page++)
			assert_int_equal(read_page(x, page), 0);
		assert_int_equal(cached_to(x), steps[i].cached);
	}
	assert_int_equal(x->mapping->nr_pages, 124);
	assert_valid(x);
}

static void a_stream_ends_with_the_file(void **state)
{
	struct world *x = *state;

	for (u64 i = 0; i < FILE_PAGES; i++)
		assert_int_equal(read_page(x, i), 0);
	assert_int_equal(x->w->reads, FILE_PAGES);
	assert_int_equal(x->mapping->nr_pages, FILE_PAGES);
	assert_valid(x);
}

static void random_misses_read_nothing_else(void **state)
{
	struct world *x = *state;
	static const u64 pages[] = {500, 3000, 70, 1200, 9};

	for (u32 i = 0; i < ARRAY_SIZE(pages); i++)
		read_page(x, pages[i]);
	assert_int_equal(x->mapping->nr_pages, ARRAY_SIZE(pages));
	/* The next but one after the last read is near enough for a stream. */
	read_page(x, 11);
	assert_int_equal(x->mapping->nr_pages, ARRAY_SIZE(pages) + 4);
	assert_true(has(x, 12, PG_readahead_));
}

/* Two readers that take turns on one open file: the marker alone says who is a stream. */
static void interleaved_streams_go_on(void **state)
{
	struct world *x = *state;

	read_page(x, 0);
	read_page(x, 2000);
	read_page(x, 2001);
	for (u64 i = 1; i < 200; i++) {
		read_page(x, i);
		read_page(x, 2001 + i);
	}
	/* Misses after the start: few. Each would have been a read of one page. */
	assert_true(cached(x, 210) && cached(x, 2210));
	assert_true(x->mapping->nr_pages >= 420 && x->mapping->nr_pages < 600);
	assert_valid(x);
}

/* Pages cached right before a miss are the trace of a stream. */
static void history_makes_a_stream(void **state)
{
	struct world *x = *state;

	advise(x, RCL_FADV_RANDOM);
	assert_int_equal(rcl_file_read(x->m, &x->file, 700, 6, NULL), 0);
	advise(x, RCL_FADV_NORMAL);
	read_page(x, 10);
	read_page(x, 706); /* not behind the last read, but 6 pages are there */
	assert_int_equal(x->file.ra_start, 706);
	assert_int_equal(x->file.ra_size, 7);
	assert_int_equal(x->file.ra_async_size, 1);
	assert_true(has(x, 712, PG_readahead_));
	assert_false(cached(x, 713));
}

static void a_large_request_may_exceed_the_window(void **state)
{
	struct world *x = *state;

	assert_int_equal(rcl_file_read(x->m, &x->file, 1000, 200, NULL), 0);
	assert_true(x->mapping->nr_pages >= 200 && x->mapping->nr_pages <= 320);
	x->w->nr_log = 0;
	advise(x, RCL_FADV_SEQUENTIAL);
	assert_int_equal(x->file.ra_pages, 64);
	/* The largest request of the device bounds what is read in one go. */
	assert_int_equal(rcl_file_advise(x->m, &x->file, 2000, 1000, RCL_FADV_WILLNEED), 0);
	assert_int_equal(x->w->nr_log, 320);
}

static void no_readahead_still_reads(void **state)
{
	struct world *x = *state;

	x->file.ra_pages = 0;
	assert_int_equal(rcl_file_read(x->m, &x->file, 0, 20, NULL), 0);
	assert_int_equal(x->mapping->nr_pages, 20);
}

/* ---- writing ------------------------------------------------------------------------------- */

static void a_write_reads_nothing_and_is_no_use(void **state)
{
	struct world *x = *state;
	s64 slab;

	assert_int_equal(rcl_file_write(x->m, &x->file, 3, 1, 42), 0);
	assert_int_equal(rcl_file_write(x->m, &x->file, 3, 1, 43), 0);
	assert_int_equal(x->w->reads, 0);
	assert_true(has(x, 3, PG_dirty) && has(x, 3, PG_uptodate) && has(x, 3, PG_private));
	assert_false(has(x, 3, PG_referenced) || has(x, 3, PG_active));
	assert_true(rcl_radix_get_tag(x->mapping, 3, TAG_DIRTY));
	assert_int_equal(lone_node_stat(x->w, NR_FILE_DIRTY), 1);
	slab = lone_group_stat(x->w, NR_SLAB_RECLAIMABLE_B);
	assert_int_equal(slab, RADIX_NODE_BYTES + 8 + BUFFER_HEAD_BYTES + 8);
	rcl_lru_add_drain(x->m);
	assert_int_equal(folio_ref_count(at(x, 3)), 2); /* tree, buffers */
	assert_valid(x);

	assert_int_equal(rcl_file_fsync(x->m, &x->file), 0);
	assert_int_equal(x->w->disk[FIRST_BLOCK + 3], 43);
	assert_int_equal(lone_node_stat(x->w, NR_FILE_DIRTY), 0);
	assert_false(has(x, 3, PG_dirty));
	assert_true(has(x, 3, PG_private));
	assert_true(folio_trylock(at(x, 3)));
	assert_true(rcl_filemap_release_folio(x->m, at(x, 3)));
	folio_unlock(x->m, at(x, 3));
	assert_int_equal(folio_ref_count(at(x, 3)), 1);
	assert_int_equal(lone_group_stat(x->w, NR_SLAB_RECLAIMABLE_B), RADIX_NODE_BYTES + 8);
	assert_valid(x);
}

static void small_blocks_mean_more_buffers(void **state)
{
	struct world *x = *state;

	x->mapping->block_size = 1024;
	assert_int_equal(rcl_file_write(x->m, &x->file, 0, 1, 42), 0);
	assert_int_equal(lone_group_stat(x->w, NR_SLAB_RECLAIMABLE_B), 4 * (BUFFER_HEAD_BYTES + 8));
	rcl_lru_add_drain(x->m);
	assert_int_equal(folio_ref_count(at(x, 0)), 2);
}

static void a_write_extends_the_file(void **state)
{
	struct world *x = *state;
	u64 stamp;

	assert_int_equal(rcl_file_write(x->m, &x->file, FILE_PAGES + 10, 2, 7), 0);
	assert_int_equal(x->mapping->size, FILE_PAGES + 12);
	assert_int_equal(rcl_file_read(x->m, &x->file, FILE_PAGES + 11, 1, &stamp), 0);
	assert_int_equal(stamp, 7);
	assert_int_equal(rcl_file_read(x->m, &x->file, FILE_PAGES + 12, 1, &stamp), -ENODATA);
}

static void a_dirty_page_keeps_its_buffers(void **state)
{
	struct world *x = *state;
	struct folio *f;

	assert_int_equal(rcl_file_write(x->m, &x->file, 0, 1, 1), 0);
	f = at(x, 0);
	assert_true(folio_trylock(f));
	assert_false(rcl_filemap_release_folio(x->m, f));
	folio_unlock(x->m, f);
	assert_true(folio_test(f, PG_private));
}

/* ---- shadows ------------------------------------------------------------------------------- */

/* Reclaim's last step, by hand. */
static void evict(struct world *x, u64 index)
{
	struct folio *f = at(x, index);
	void *shadow;

	rcl_lru_add_drain(x->m);
	folio_get(f);
	assert_int_equal(rcl_folio_isolate_lru(x->m, f), 0);
	folio_put(x->m, f);
	assert_true(folio_trylock(f));
	assert_true(rcl_filemap_release_folio(x->m, f));
	spin_lock(&x->mapping->lock);
	assert_true(folio_ref_freeze(f, 2));
	shadow = rcl_workingset_eviction(x->m, f, NULL);
	rcl_filemap_remove_folio(x->m, f, shadow);
	spin_unlock(&x->mapping->lock);
	folio_clear(f, PG_active);
	folio_unlock(x->m, f);
	folio_ref_unfreeze(f, 1);
	folio_put(x->m, f);
	assert_true(entry_is_shadow(rcl_radix_load(x->mapping, index)));
}

static void a_page_read_again_is_a_refault_one_written_is_not(void **state)
{
	struct world *x = *state;

	advise(x, RCL_FADV_RANDOM);
	read_page(x, 50);
	read_page(x, 51);
	evict(x, 50);
	evict(x, 51);
	assert_valid(x);
	assert_int_equal(x->mapping->nr_pages, 0);
	assert_int_equal(lone_group_stat(x->w, WORKINGSET_NODES), 1);
	read_page(x, 50);
	assert_int_equal(lone_group_stat(x->w, WORKINGSET_REFAULT_FILE), 1);
	assert_int_equal(lone_group_stat(x->w, WORKINGSET_NODES), 0);
	assert_int_equal(rcl_file_write(x->m, &x->file, 51, 1, 9), 0);
	assert_int_equal(lone_group_stat(x->w, WORKINGSET_REFAULT_FILE), 1);
	assert_valid(x);
}

static void an_exiting_file_keeps_no_shadows(void **state)
{
	struct world *x = *state;
	struct folio *f;

	read_page(x, 0);
	rcl_lru_add_drain(x->m);
	x->mapping->flags |= MAPPING_EXITING;
	f = at(x, 0);
	folio_get(f);
	folio_lock(x->m, f);
	spin_lock(&x->mapping->lock);
	rcl_filemap_remove_folio(x->m, f, (void *)3);
	spin_unlock(&x->mapping->lock);
	assert_null(rcl_radix_load(x->mapping, 0));
	folio_unlock(x->m, f);
	folio_put(x->m, f);
	folio_put(x->m, f);
}

/* ---- adding -------------------------------------------------------------------------------- */

static void adding_twice_fails_and_uncharges(void **state)
{
	struct world *x = *state;
	struct folio *f;
	s64 usage;

	read_page(x, 0);
	rcl_drain_stock(x->m, &x->m->cpus[0].stock);
	usage = x->w->group->usage;
	f = rcl_alloc_pages(x->m, GFP_HIGHUSER_MOVABLE, 0);
	assert_int_equal(rcl_filemap_add_folio(x->m, x->mapping, f, 0, GFP_KERNEL), -EEXIST);
	assert_null(f->mapping);
	assert_null(f->memcg);
	assert_false(folio_test(f, PG_locked));
	assert_int_equal(folio_ref_count(f), 1);
	folio_put(x->m, f);
	rcl_drain_stock(x->m, &x->m->cpus[0].stock);
	assert_int_equal(x->w->group->usage, usage);
	assert_valid(x);
}

/* ---- taking out ---------------------------------------------------------------------------- */

static void invalidation_takes_only_what_is_clean_and_unused(void **state)
{
	struct world *x = *state;
	struct folio *held;
	u64 failed;

	advise(x, RCL_FADV_RANDOM);
	assert_int_equal(rcl_file_read(x->m, &x->file, 0, 10, NULL), 0);
	assert_int_equal(rcl_file_write(x->m, &x->file, 4, 1, 5), 0);
	rcl_lru_add_drain(x->m);
	held = rcl_filemap_get_folio(x->m, x->mapping, 7);
	assert_non_null(held);
	assert_int_equal(rcl_invalidate_range_count(x->m, x->mapping, 2, 8, &failed), 5);
	assert_int_equal(failed, 2);
	for (u64 i = 0; i < 10; i++)
		assert_int_equal(cached(x, i), i < 2 || i > 8 || i == 4 || i == 7);
	folio_put(x->m, held);
	assert_valid(x);
	/* Advice writes first, but does not wait: the page goes the second time. */
	assert_int_equal(rcl_file_advise(x->m, &x->file, 0, 10, RCL_FADV_DONTNEED), 0);
	lone_complete_io(x->w);
	rcl_lru_add_drain(x->m);
	assert_int_equal(rcl_file_advise(x->m, &x->file, 0, 10, RCL_FADV_DONTNEED), 0);
	assert_int_equal(x->mapping->nr_pages, 0);
	assert_null(x->mapping->root);
	assert_int_equal(x->w->disk[FIRST_BLOCK + 4], 5);
}

static void truncation_takes_everything(void **state)
{
	struct world *x = *state;
	struct folio *f;

	advise(x, RCL_FADV_RANDOM);
	assert_int_equal(rcl_file_write(x->m, &x->file, 0, 8, 5), 0);
	read_page(x, 9);
	evict(x, 9);
	/* One under writeback: waited for. */
	f = at(x, 3);
	folio_lock(x->m, f);
	assert_true(rcl_folio_clear_dirty_for_io(x->m, f));
	assert_int_equal(rcl_file_writepage(x->m, f), 0);
	assert_true(folio_test(f, PG_writeback));
	rcl_truncate_range(x->m, x->mapping, 2, UINT64_MAX);
	assert_int_equal(x->w->disk[FIRST_BLOCK + 3], 5);
	assert_int_equal(x->w->disk[FIRST_BLOCK + 4], stamp_of_block(4)); /* lost */
	assert_int_equal(x->mapping->nr_pages, 2);
	assert_null(rcl_radix_load(x->mapping, 9));
	assert_int_equal(lone_node_stat(x->w, NR_FILE_DIRTY), 2);
	assert_valid(x);
}

/* ---- faults -------------------------------------------------------------------------------- */

struct faulter {
	struct mm mm;
	struct vma vma;
	bool major, retry;
	int error;
};

static struct folio *fault(struct world *x, struct faulter *fa, u64 index, bool again)
{
	struct folio *f;

	fa->vma.mm = &fa->mm;
	fa->mm.m = x->m;
	fa->mm.memcg = x->w->group;
	fa->major = false;
	fa->retry = again;
	mmap_read_lock(x->m, &fa->mm);
	f = rcl_filemap_fault(x->m, &fa->vma, &x->file, index, false, &fa->major, &fa->retry,
			      &fa->error);
	assert_int_equal(fa->mm.lock, fa->retry ? 0 : 1);
	if (!fa->retry)
		mmap_unlock(x->m, &fa->mm);
	if (f) {
		assert_true(folio_test(f, PG_locked) && folio_test(f, PG_uptodate));
		assert_true(f->mapping == x->mapping && f->index == index);
		folio_unlock(x->m, f);
		folio_put(x->m, f);
	}
	return f;
}

static void a_fault_on_an_absent_page_is_taken_twice(void **state)
{
	struct world *x = *state;
	struct faulter fa = {.vma.flags = VM_READ | VM_RAND_READ};

	assert_null(fault(x, &fa, 77, false));
	assert_true(fa.retry && fa.major);
	assert_int_equal(fa.error, 0);
	assert_int_equal(x->mapping->nr_pages, 1);
	assert_int_equal(lone_events(x->w, PGMAJFAULT), 1);
	assert_int_equal(x->w->group->events[PGMAJFAULT], 1);
	assert_non_null(fault(x, &fa, 77, true));
	assert_false(fa.retry || fa.major);
	/* Later faults find it at once; a fault is no use of the page. */
	assert_non_null(fault(x, &fa, 77, false));
	assert_int_equal(lone_events(x->w, PGMAJFAULT), 1);
	assert_false(has(x, 77, PG_referenced));
	assert_null(fault(x, &fa, FILE_PAGES, false));
	assert_int_equal(fa.error, -ENODATA);
	assert_false(fa.retry);
}

static void faults_read_around(void **state)
{
	struct world *x = *state;
	struct faulter fa = {.vma.flags = VM_READ};

	assert_null(fault(x, &fa, 1000, false));
	assert_true(fa.retry && fa.major);
	assert_int_equal(x->mapping->nr_pages, 32);
	assert_true(cached(x, 984) && cached(x, 1015));
	assert_true(has(x, 1008, PG_readahead_));
	assert_int_equal(x->file.mmap_miss, 1);
	/* A hit on the marker starts the next window: also with the lock released. */
	assert_null(fault(x, &fa, 1008, false));
	assert_true(fa.retry && !fa.major);
	assert_int_equal(x->file.mmap_miss, 0);
	assert_int_equal(x->mapping->nr_pages, 64);
	assert_non_null(fault(x, &fa, 1008, true));
}

static void too_many_misses_end_reading_around(void **state)
{
	struct world *x = *state;
	struct faulter fa = {.vma.flags = VM_READ};

	for (u32 i = 0; i < 100; i++)
		fault(x, &fa, i * 40, false);
	assert_int_equal(x->file.mmap_miss, 100);
	assert_true(x->mapping->nr_pages > 3000);
	rcl_truncate_range(x->m, x->mapping, 0, UINT64_MAX);
	assert_null(fault(x, &fa, 123, false));
	assert_int_equal(x->mapping->nr_pages, 1);
}

static void a_fault_reports_bad_media_on_the_second_attempt(void **state)
{
	struct world *x = *state;
	struct faulter fa = {.vma.flags = VM_READ | VM_RAND_READ};

	x->w->fail = -EIO;
	assert_null(fault(x, &fa, 5, false));
	assert_true(fa.retry);
	assert_null(fault(x, &fa, 5, true));
	assert_false(fa.retry);
	assert_int_equal(fa.error, -EIO);
	x->w->fail = 0;
	assert_non_null(fault(x, &fa, 5, true));
}

/* ---- everything at random ------------------------------------------------------------------ */

static void random_use_loses_nothing(void **state)
{
	struct world *x = *state;
	static u64 content[FILE_PAGES];

	for (u64 i = 0; i < FILE_PAGES; i++)
		content[i] = stamp_of_block(i);
	for (u32 step = 0; step < 20000; step++) {
		u64 r = lone_random_value(x->w), index = r % FILE_PAGES;
		u64 nr = min((r >> 16) % 20 + 1, FILE_PAGES - index), stamp;

		if (step % 4000 == 0)
			advise(x, step & 4000 ? RCL_FADV_RANDOM : RCL_FADV_NORMAL);
		switch ((r >> 32) % 16) {
		case 0 ... 6:
			assert_int_equal(rcl_file_read(x->m, &x->file, index, nr, &stamp), 0);
			assert_int_equal(stamp, content[index + nr - 1]);
			break;
		case 7 ... 10:
			assert_int_equal(rcl_file_write(x->m, &x->file, index, nr, r), 0);
			for (u64 i = 0; i < nr; i++)
				content[index + i] = r;
			break;
		case 11:
			assert_int_equal(rcl_file_fsync(x->m, &x->file), 0);
			for (u64 i = index; i < index + nr; i++)
				assert_int_equal(x->w->disk[FIRST_BLOCK + i], content[i]);
			break;
		case 12:
			rcl_invalidate_range(x->m, x->mapping, index, index + nr);
			break;
		case 13:
			rcl_file_advise(x->m, &x->file, index, nr * 10, RCL_FADV_DONTNEED);
			break;
		case 14:
			if (cached(x, index) && !has(x, index, PG_dirty) &&
			    !has(x, index, PG_writeback) && !has(x, index, PG_locked))
				evict(x, index);
			break;
		default:
			lone_complete_io(x->w);
		}
		if (step % 64 == 0)
			assert_valid(x);
	}
	assert_true(rcl_kmem_cache_is_valid(x->m, x->m->radix_node_cache));
	assert_true(rcl_kmem_cache_is_valid(x->m, x->m->buffer_head_cache));
	assert_true(rcl_check(x->m));
}

#define T(name)	 cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TB(name) cmocka_unit_test_setup_teardown(name, setup_buffers, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_random_read_gets_one_page),
		T(a_random_read_of_many_pages_gets_just_these),
		T(use_is_counted_once_per_visit),
		T(a_failed_read_is_reported_and_can_be_repeated),
		T(a_killed_task_reads_nothing),
		T(a_stream_doubles_its_window),
		T(a_stream_ends_with_the_file),
		T(random_misses_read_nothing_else),
		T(interleaved_streams_go_on),
		T(history_makes_a_stream),
		T(a_large_request_may_exceed_the_window),
		T(no_readahead_still_reads),
		TB(a_write_reads_nothing_and_is_no_use),
		TB(small_blocks_mean_more_buffers),
		TB(a_write_extends_the_file),
		TB(a_dirty_page_keeps_its_buffers),
		TB(a_page_read_again_is_a_refault_one_written_is_not),
		T(an_exiting_file_keeps_no_shadows),
		T(adding_twice_fails_and_uncharges),
		TB(invalidation_takes_only_what_is_clean_and_unused),
		TB(truncation_takes_everything),
		T(a_fault_on_an_absent_page_is_taken_twice),
		T(faults_read_around),
		T(too_many_misses_end_reading_around),
		T(a_fault_reports_bad_media_on_the_second_attempt),
		TB(random_use_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
