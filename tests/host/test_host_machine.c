/* SPDX-License-Identifier: MIT */
/*
 * A whole machine on real memory, threads, swap and files: 16 MiB in which 64 MiB are written and
 * read back, by one thread and by four, through io_uring and through threads.
 */
#define _GNU_SOURCE 1
#include "host_world.h"
#include "platform/host/faults.h"

#include <fcntl.h>

#define MACHINE_PAGES 4096ull
#define DATA_PAGES    16384ull
#define SWAP_PAGES    24576ull
#define MAX_THREADS   4u
#define RANDOM_PAGES  4096ull
#define STRIDE	      7933u  /* each page once, none next to the last; 1 modulo the threads */
#define STRIDE_BACK   11861u /* STRIDE * STRIDE_BACK is 1 modulo DATA_PAGES */

struct job {
	struct host_world *w;
	struct mm *mm;	      /* of all threads */
	struct host_file *hf; /* NULL: anonymous memory */
	struct file file;
	u32 no, of;
	pthread_t thread;
	u64 wrong, wrong_page, wrong_stamp;
	int err;
};

static u64 stamp_of(u64 page, u64 version)
{
	return (version << 32) + page + 1;
}

/* In the end the pages that come first in strides are those of version 2. */
static u64 last_stamp_of(u64 page)
{
	return stamp_of(page, page * STRIDE_BACK % DATA_PAGES < RANDOM_PAGES ? 2 : 1);
}

static int write_page(struct job *j, u64 page, u64 stamp)
{
	/* A file both ways: as a mapping, and as write() does it. */
	if (j->hf && page & 1)
		return rcl_file_write(j->w->m, &j->file, page, 1, stamp);
	return host_page_write(j->w, j->mm, page, stamp);
}

static int read_page(struct job *j, u64 page, u64 *stamp)
{
	if (j->hf && page & 2)
		return rcl_file_read(j->w->m, &j->file, page, 1, stamp);
	return host_page_read(j->w, j->mm, page, stamp);
}

static void write_all(struct job *j, u64 nr, u64 step, u64 version)
{
	for (u64 i = j->no; i < nr && !j->err; i += j->of) {
		u64 page = i * step % DATA_PAGES;

		j->err = write_page(j, page, stamp_of(page, version));
	}
}

static void check_page(struct job *j, u64 page, u64 expected)
{
	u64 stamp = 0;

	j->err = read_page(j, page, &stamp);
	if (j->err || stamp == expected)
		return;
	j->wrong++;
	j->wrong_page = page;
	j->wrong_stamp = stamp;
}

static void *work(void *arg)
{
	struct job *j = arg;
	struct task *t = rcl_host_enter(j->w->h, NULL);

	write_all(j, DATA_PAGES, 1, 1);
	for (u64 i = j->no; i < DATA_PAGES && !j->err; i += j->of)
		check_page(j, i, stamp_of(i, 1));
	write_all(j, RANDOM_PAGES, STRIDE, 2);
	rcl_host_leave(j->w->h, t);
	return NULL;
}

/* At pages that another thread has written: in strides, and all. */
static void *look(void *arg)
{
	struct job *j = arg;
	struct task *t = rcl_host_enter(j->w->h, NULL);
	u32 whose = (j->no + 1) % j->of;

	for (u64 i = whose; i < RANDOM_PAGES && !j->err; i += j->of) {
		u64 page = i * STRIDE % DATA_PAGES;

		check_page(j, page, stamp_of(page, 2));
	}
	for (u64 i = whose; i < DATA_PAGES && !j->err; i += j->of)
		check_page(j, i, last_stamp_of(i));
	rcl_host_leave(j->w->h, t);
	return NULL;
}

static void run(struct job *jobs, u32 nr, void *(*fn)(void *))
{
	for (u32 i = 0; i < nr; i++)
		assert_int_equal(pthread_create(&jobs[i].thread, NULL, fn, &jobs[i]), 0);
	for (u32 i = 0; i < nr; i++)
		assert_int_equal(pthread_join(jobs[i].thread, NULL), 0);
	for (u32 i = 0; i < nr; i++) {
		assert_int_equal(jobs[i].err, 0);
		if (jobs[i].wrong)
			print_error("page %llu says %llx, and %llu more are wrong\n",
				    (unsigned long long)jobs[i].wrong_page,
				    (unsigned long long)jobs[i].wrong_stamp,
				    (unsigned long long)jobs[i].wrong - 1);
		assert_int_equal(jobs[i].wrong, 0);
	}
}

/* What the disk has, without the machine. */
static void check_disk(const struct host_file *f)
{
	static char page[PAGE_SIZE];
	int fd = open(f->path, O_RDONLY);

	assert_true(fd >= 0);
	for (u64 i = 0; i < DATA_PAGES; i++) {
		assert_int_equal(pread(fd, page, PAGE_SIZE, (off_t)(i << PAGE_SHIFT)), PAGE_SIZE);
		assert_int_equal(rcl_host_stamp_of(page), last_stamp_of(i));
	}
	close(fd);
}

static void write_and_read(bool anon, u32 threads, bool no_uring)
{
	struct host_world *w = host_world_open(&(struct host_world_options){
		.pages = MACHINE_PAGES, .swap_pages = SWAP_PAGES, .no_uring = no_uring});
	struct host_file *hf = anon ? NULL : host_world_file(w, "data", DATA_PAGES);
	struct job jobs[MAX_THREADS] = {0};
	struct rcl_host_device_info info;
	struct mm *mm;

	assert_string_equal(rcl_host_io_backend(w->h), no_uring ? "threads" : "io_uring");
	assert_int_equal(rcl_mm_create(w->m, NULL, &mm), 0);
	assert_int_equal(rcl_mmap(w->m, mm, 0, DATA_PAGES,
				  VM_READ | VM_WRITE | (anon ? 0 : VM_SHARED),
				  anon ? NULL : &hf->file, 0),
			 0);
	for (u32 i = 0; i < threads; i++) {
		jobs[i] = (struct job){.w = w, .mm = mm, .hf = hf, .no = i, .of = threads};
		if (hf)
			rcl_file_open(w->m, hf->mapping, &jobs[i].file);
	}
	run(jobs, threads, work);
	run(jobs, threads, look);
	rcl_host_device_info(w->h, anon ? w->swap_dev : hf->dev, &info);
	assert_true(info.written_bytes >= (DATA_PAGES - MACHINE_PAGES) << PAGE_SHIFT);
	assert_true(info.read_bytes >= (DATA_PAGES - MACHINE_PAGES) << PAGE_SHIFT);
	assert_int_equal(info.errors + info.checksum_errors, 0);
	if (anon) {
		assert_true(host_events(w, PSWPOUT) >= DATA_PAGES - MACHINE_PAGES);
		assert_true(host_events(w, PSWPIN) >= DATA_PAGES - MACHINE_PAGES);
	} else {
		assert_int_equal(rcl_file_fsync(w->m, &hf->file), 0);
		check_disk(hf);
	}
	assert_int_equal(rcl_count_pinned(w->m, mm, 0, DATA_PAGES), 0);
	rcl_mm_destroy(w->m, mm);
	host_world_close(w);
}

static void anon_one_thread(void **state)
{
	(void)state;
	write_and_read(true, 1, false);
}
static void anon_four_threads(void **state)
{
	(void)state;
	write_and_read(true, 4, false);
}
static void anon_four_threads_pool(void **state)
{
	(void)state;
	write_and_read(true, 4, true);
}
static void file_one_thread(void **state)
{
	(void)state;
	write_and_read(false, 1, false);
}
static void file_four_threads(void **state)
{
	(void)state;
	write_and_read(false, 4, false);
}
static void file_four_threads_pool(void **state)
{
	(void)state;
	write_and_read(false, 4, true);
}

/* A machine that closes waits for the writes it has started, which take a while here. */
static void close_while_writing(bool no_uring)
{
	struct rcl_host_fault_rule slow = {.kind = RCL_FAULT_DELAY,
					   .dev = RCL_FAULT_ANY,
					   .op = RCL_IO_WRITE,
					   .nth = 1,
					   .amount = 30 * RCL_NSEC_PER_MSEC};
	struct rcl_host_faults faults = {.seed = 1, .nr_rules = 1, .rules = &slow};
	struct host_world *w = host_world_open(&(struct host_world_options){
		.pages = 2048, .swap_pages = 8192, .no_uring = no_uring, .faults = &faults});
	struct mm *mm;
	u64 page = 0;

	assert_int_equal(rcl_mm_create(w->m, NULL, &mm), 0);
	assert_int_equal(rcl_mmap(w->m, mm, 0, 8000, VM_READ | VM_WRITE, NULL, 0), 0);
	while (!__atomic_load_n(&w->h->io_inflight, __ATOMIC_RELAXED)) {
		assert_true(page < 8000);
		assert_int_equal(host_page_write(w, mm, page, page + 1), 0);
		page++;
	}
	rcl_mm_destroy(w->m, mm);
	host_world_close_at_once(w);
}
static void close_while_writing_uring(void **state)
{
	(void)state;
	close_while_writing(false);
}
static void close_while_writing_pool(void **state)
{
	(void)state;
	close_while_writing(true);
}

/*
 * A small group all of which is being written, to a disk that takes long. Who needs a page waits;
 * looking through the group's lists again and again would find nothing.
 */
#define SMALL_GROUP 200
static void waits_without_scanning(void **state)
{
	struct rcl_host_fault_rule slow = {.kind = RCL_FAULT_DELAY,
					   .dev = RCL_FAULT_ANY,
					   .op = RCL_IO_WRITE,
					   .nth = 1,
					   .amount = 50 * RCL_NSEC_PER_MSEC};
	struct rcl_host_faults faults = {.seed = 1, .nr_rules = 1, .rules = &slow};
	struct host_world *w = host_world_open(&(struct host_world_options){
		.pages = 4096, .swap_pages = 8192, .nr_cpus = 1, .faults = &faults});
	struct memcg *group;
	struct mm *mm;

	(void)state;
	assert_int_equal(rcl_memcg_create(w->m, w->m->root_memcg, "small", &group), 0);
	assert_int_equal(rcl_memcg_set_max(w->m, group, SMALL_GROUP * PAGE_SIZE), 0);
	assert_int_equal(rcl_mm_create(w->m, group, &mm), 0);
	assert_int_equal(rcl_mmap(w->m, mm, 0, 2000, VM_READ | VM_WRITE, NULL, 0), 0);
	assert_ptr_equal(rcl_host_enter(w->h, group), w->task);
	for (u64 page = 0; page < 2 * SMALL_GROUP; page++)
		assert_int_equal(host_page_write(w, mm, page, page + 1), 0);
	rcl_host_leave(w->h, w->task);
	assert_true(rcl_vmstat_get(w->m, "pswpout") >= SMALL_GROUP);
	/* Written once and freed once, each looked at some times. */
	assert_true(rcl_vmstat_get(w->m, "pgscan_anon") < 50 * SMALL_GROUP);
	rcl_mm_destroy(w->m, mm);
	rcl_memcg_destroy(w->m, group);
	host_world_close(w);
}

/*
 * A small group full of dirty pages of a file, none of which is being written: the flusher, who
 * alone writes such pages, is held up at another file. Who needs a page waits for it to come round.
 */
#define WRITERS	  8u /* each may write 32 pages before it is looked at */
#define NEXT_FILE 1000u

struct writer {
	struct host_world *w;
	struct memcg *group;
	struct file file;
	u64 first, nr;
	int err;
	pthread_t thread;
};

static void *write_file(void *arg)
{
	struct writer *wr = arg;
	struct task *t = rcl_host_enter(wr->w->h, wr->group);

	for (u64 i = 0; i < wr->nr && !wr->err; i++)
		wr->err = rcl_file_write(wr->w->m, &wr->file, wr->first + i, 1, wr->first + i + 1);
	rcl_host_leave(wr->w->h, t);
	return NULL;
}

static void waits_for_flusher(void **state)
{
	struct host_world *w =
		host_world_open(&(struct host_world_options){.pages = 4096, .nr_cpus = 2});
	struct host_file *hf = host_world_file(w, "data", NEXT_FILE);
	struct node *nd = &w->m->nodes[0];
	struct writer writers[WRITERS];
	struct mapping *next;
	struct memcg *group;
	struct folio *held;

	(void)state;
	assert_int_equal(rcl_host_truncate(w->h, hf->dev, 2 * NEXT_FILE << PAGE_SHIFT), 0);
	assert_int_equal(rcl_mapping_create(w->m, "next", hf->dev, NEXT_FILE, NEXT_FILE, 0, &next),
			 0);
	assert_int_equal(rcl_memcg_create(w->m, w->m->root_memcg, "small", &group), 0);
	assert_int_equal(rcl_memcg_set_max(w->m, group, SMALL_GROUP * PAGE_SIZE), 0);
	/* The flusher has begun with the first page, and waits for the lock of the second. */
	assert_int_equal(rcl_file_write(w->m, &hf->file, 0, 1, 1), 0);
	assert_int_equal(rcl_file_write(w->m, &hf->file, 1, 1, 2), 0);
	held = rcl_filemap_get_folio(w->m, hf->mapping, 1);
	assert_non_null(held);
	folio_lock(w->m, held);
	rcl_wakeup_flusher_threads(w->m);
	while (node_page_state(nd, NR_WRITEBACK) + node_page_state(nd, NR_WRITTEN) < 1)
		usleep(1000);
	for (u32 i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){.w = w, .group = group, .first = 60ull * i, .nr = 60};
		rcl_file_open(w->m, next, &writers[i].file);
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_file, &writers[i]),
				 0);
	}
	while (!__atomic_load_n(&group->max_events, __ATOMIC_RELAXED))
		usleep(1000);
	usleep(50000); /* (all retries take some hundred microseconds) */
	assert_int_equal(shared_read(&group->lruvecs[0]->stat[NR_WRITEBACK]), 0);
	folio_unlock(w->m, held);
	folio_put(w->m, held);
	for (u32 i = 0; i < WRITERS; i++) {
		assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
		assert_int_equal(writers[i].err, 0);
	}
	assert_int_equal(group->oom_events, 0);
	rcl_sync(w->m);
	rcl_mapping_destroy(w->m, next);
	rcl_memcg_destroy(w->m, group);
	host_world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anon_one_thread),
		cmocka_unit_test(anon_four_threads),
		cmocka_unit_test(anon_four_threads_pool),
		cmocka_unit_test(file_one_thread),
		cmocka_unit_test(file_four_threads),
		cmocka_unit_test(file_four_threads_pool),
		cmocka_unit_test(close_while_writing_uring),
		cmocka_unit_test(close_while_writing_pool),
		cmocka_unit_test(waits_without_scanning),
		cmocka_unit_test(waits_for_flusher),
	};

	host_watchdog(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
