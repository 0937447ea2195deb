/* SPDX-License-Identifier: MIT */
/*
 * Recordings: what replay.c does for plain accesses, for programs with a layout that changes.
 *
 * Loads and stores are at addresses, and what lies there is told by the recording's events, which
 * become the same calls of the engine that the program made of the kernel. A recording is a stream
 * for each task, and what ties the streams together is:
 *
 *   order   Events that change an address space are numbered within the process, and each waits for
 *           those before it. A task that has seen a change (SYNC) waits for it too.
 *   start   A task waits for the event of its parent that starts it; a forked one gets a copy of
 *           the address space at that point.
 *   end     A parent that waited for a child waits for the end of its stream.
 *
 * What is not recorded is who waited for whom in other ways (locks, pipes): such tasks run side by
 * side here. So an access may come later than another task's unmapping of its page; it touches
 * nothing then, and is counted as stray.
 *
 * Between two marks of a stream lies a window of references, which take the program's own time: the
 * run's share of the time it takes without emulation, or a nanosecond each where that is not known.
 *
 * An address space that nobody uses any more (exec, exit) is emptied at once and destroyed at the
 * end of the run, as a task of it may still be asleep in a fault.
 */
#include "sim/world.h"

#include <stdlib.h>

#include "mm/mm_lock.h"
#include "trace/native.h"

#define NS_PER_REFERENCE 1.0
#define ALL_PAGES	 (1ull << 36)

enum {
	TASK_WAITS,
	TASK_RUNS,
	TASK_NEVER
};

struct play_process {
	u32 applied; /* events that changed the layout; others sleep on it */
	u32 alive;   /* tasks that have not ended */
};

struct play {
	struct play_process *processes; /* by index */
	u32 *started, *ended;		/* by task, slept on */
	struct file *files;		/* by region */
	struct mapping **mappings;	/* by region; made when first used */
	struct mm **old;		/* emptied, to be destroyed */
	u32 nr_old;
	double ns_per_reference;
};

static const struct rcl_trace_recording *recording(const struct run *r)
{
	return r->req->trace->recording;
}

static bool is_dead(const struct runner *t)
{
	return unlikely(fatal_signal_pending((struct task *)&t->task) ||
			__atomic_load_n(&t->process->mm->dead, __ATOMIC_RELAXED) ||
			__atomic_load_n(&t->run->stop, __ATOMIC_RELAXED));
}

/* ---- Set-up --------------------------------------------------------------------------------- */

int rcl_run_play_init(struct run *r)
{
	const struct rcl_trace_image *trace = r->req->trace;
	const struct rcl_trace_recording *rec = recording(r);
	struct play *p = r->play = calloc(1, sizeof(*p));
	u32 forks = 0;

	if (!p)
		return -ENOMEM;
	for (u32 i = 0; i < rec->nr_events; i++)
		forks += rec->events[i].type == RCL_EVENT_EXEC;
	p->processes = calloc(r->nr_processes, sizeof(*p->processes));
	p->started = calloc(r->nr_runners, sizeof(u32));
	p->ended = calloc(r->nr_runners, sizeof(u32));
	p->files = calloc(trace->nr_regions + 1, sizeof(*p->files));
	p->mappings = calloc(trace->nr_regions + 1, sizeof(*p->mappings));
	p->old = calloc(forks + 1, sizeof(struct mm *));
	if (!p->processes || !p->started || !p->ended || !p->files || !p->mappings || !p->old)
		return -ENOMEM;
	for (u32 i = 0; i < r->nr_runners; i++) {
		const struct rcl_trace_task *t = &trace->tasks[i];

		p->processes[t->process].alive++;
		p->started[i] = t->parent == i ? TASK_RUNS : TASK_WAITS;
	}
	p->ns_per_reference = NS_PER_REFERENCE;
	if (rec->native_ns && rec->references)
		p->ns_per_reference = (double)rec->native_ns / (double)rec->references;
	return 0;
}

/* A process that starts with an empty address space, as all do that are not forked. */
bool rcl_run_play_is_root(const struct run *r, u32 process)
{
	const struct rcl_trace_image *trace = r->req->trace;

	for (u32 i = 0; i < r->nr_runners; i++)
		if (trace->tasks[i].process == process)
			return trace->tasks[i].parent == i;
	return true;
}

void rcl_run_play_undo(struct run *r, bool orderly)
{
	struct play *p = r->play;

	if (!p)
		return;
	for (u32 i = 0; orderly && r->m && p->old && i < p->nr_old; i++)
		rcl_mm_destroy(r->m, p->old[i]);
	for (u32 i = 0; orderly && r->m && p->mappings && i < r->req->trace->nr_regions; i++)
		if (p->mappings[i])
			rcl_mapping_destroy(r->m, p->mappings[i]);
	free(p->processes);
	free(p->started);
	free(p->ended);
	free(p->files);
	free(p->mappings);
	free(p->old);
	free(p);
	r->play = NULL;
}

/* The file of a region, NULL when there is no memory for it. */
static struct file *file_of(struct run *r, u32 region)
{
	const struct rcl_trace_recording *rec = recording(r);
	struct play *p = r->play;

	if (!p->mappings[region]) {
		u64 size = (rec->sizes[region] + PAGE_SIZE - 1) >> PAGE_SHIFT;

		/* Room on the disk for all that it will grow to. */
		if (rcl_run_create_file(r, rec->names[region], region,
					max(rec->file_pages[region], (u64)1), &p->mappings[region]))
			return NULL;
		p->mappings[region]->size = size;
		rcl_file_open(r->m, p->mappings[region], &p->files[region]);
		if (r->req->readahead == RCL_SIM_READAHEAD_OFF)
			rcl_file_advise(r->m, &p->files[region], 0, rec->file_pages[region],
					RCL_FADV_RANDOM);
	}
	return &p->files[region];
}

struct mapping *rcl_run_play_mapping(const struct run *r, u32 region)
{
	return r->play->mappings[region];
}

int rcl_run_play_open_files(struct run *r)
{
	for (u32 i = 0; i < r->req->trace->nr_regions; i++)
		if (recording(r)->file_pages[i] && !file_of(r, i))
			return -ENOMEM;
	return 0;
}

/* ---- Waiting -------------------------------------------------------------------------------- */

/* Until *word is at least `value`: 0, or -EINTR. */
static int wait_until(struct runner *t, u32 *word, u32 value)
{
	struct rcl *m = t->run->m;

	for (;;) {
		u32 now = __atomic_load_n(word, __ATOMIC_ACQUIRE);

		if (now >= value)
			return 0;
		rcl_wait_on(m, word, now, RCL_FOREVER, false);
		if (fatal_signal_pending(&t->task) || t->run->stop)
			return -EINTR;
	}
}

static void set_word(struct run *r, u32 *word, u32 value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	rcl_wake(r->m, word, UINT32_MAX);
}

int rcl_run_play_begin(struct runner *t)
{
	struct run *r = t->run;
	u32 self = (u32)(t - r->runners);
	int ret = wait_until(t, &r->play->started[self], TASK_RUNS);

	if (ret || r->play->started[self] == TASK_NEVER)
		return -ECANCELED;
	t->task.mm = t->process->mm;
	return 0;
}

static void start_task(struct run *r, u32 task, u32 how)
{
	struct runner *t = &r->runners[task];

	if (r->play->started[task] != TASK_WAITS)
		return;
	/* What started it is not in the recording: it begins with nothing. */
	if (how == TASK_RUNS && !t->process->mm &&
	    rcl_mm_create(r->m, r->group ? r->group : r->m->root_memcg, &t->process->mm))
		how = TASK_NEVER;
	set_word(r, &r->play->started[task], how);
}

void rcl_run_play_end(struct runner *t, int error)
{
	struct run *r = t->run;
	struct play *p = r->play;
	u32 self = (u32)(t - r->runners), process = (u32)(t->process - r->processes);

	for (u32 i = 0; i < r->nr_runners; i++)
		if (r->req->trace->tasks[i].parent == self)
			start_task(r, i, error ? TASK_NEVER : TASK_RUNS);
	if (!__atomic_sub_fetch(&p->processes[process].alive, 1, __ATOMIC_ACQ_REL) &&
	    t->process->mm && !r->stop)
		rcl_munmap(r->m, t->process->mm, 0, ALL_PAGES);
	/* Nobody shall wait for what this task would have done. */
	if (error)
		set_word(r, &p->processes[process].applied, UINT32_MAX);
	set_word(r, &p->ended[self], 1);
}

/* ---- Events --------------------------------------------------------------------------------- */

static int map(struct runner *t, const u64 *a)
{
	struct run *r = t->run;
	u32 flags = VM_READ | VM_WRITE | (a[2] & RCL_MAP_EXEC ? VM_EXEC : 0);
	struct file *file = NULL;

	if (a[2] & RCL_MAP_FILE) {
		file = file_of(r, (u32)a[3]);
		if (!file)
			return -ENOMEM;
		if (!(a[2] & RCL_MAP_SHARED))
			flags |= VM_PRIVATE;
		if (file->random)
			flags |= VM_RAND_READ;
	}
	return rcl_mmap(r->m, t->process->mm, a[0], a[1], flags, file, a[4]);
}

static int protect(struct runner *t, const u64 *a)
{
	struct run *r = t->run;
	struct mm *mm = t->process->mm;
	u32 exec = a[2] & RCL_MAP_EXEC ? VM_EXEC : 0;

	mmap_write_lock(r->m, mm);
	rcl_vma_set_flags(mm, a[0], a[0] + a[1], exec, VM_EXEC & ~exec);
	mmap_unlock(r->m, mm);
	return 0;
}

static int advise(struct runner *t, const u64 *a)
{
	static const struct {
		u32 number;
		enum rcl_madvice advice;
	} known[] = {{0, RCL_MADV_NORMAL},   {1, RCL_MADV_RANDOM},   {2, RCL_MADV_SEQUENTIAL},
		     {3, RCL_MADV_WILLNEED}, {4, RCL_MADV_DONTNEED}, {8, RCL_MADV_FREE},
		     {20, RCL_MADV_COLD},    {21, RCL_MADV_PAGEOUT}};

	for (u32 i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].number == a[2])
			rcl_madvise(t->run->m, t->process->mm, a[0], a[1], known[i].advice);
	return 0;
}

static int file_advise(struct runner *t, const u64 *a)
{
	static const enum rcl_fadvice known[] = {RCL_FADV_NORMAL, RCL_FADV_RANDOM,
						 RCL_FADV_SEQUENTIAL, RCL_FADV_WILLNEED,
						 RCL_FADV_DONTNEED};
	struct file *file = file_of(t->run, (u32)a[0]);

	if (!file)
		return -ENOMEM;
	/* No length means to the end of the file. */
	if (a[3] < ARRAY_SIZE(known) && file->mapping->size > a[1])
		rcl_file_advise(t->run->m, file, a[1], a[2] ? a[2] : file->mapping->size - a[1],
				known[a[3]]);
	return 0;
}

static int truncate_file(struct runner *t, u32 region, u64 pages)
{
	struct file *file = file_of(t->run, region);
	struct mapping *mapping;

	if (!file)
		return -ENOMEM;
	mapping = file->mapping;
	if (pages < mapping->size)
		rcl_truncate_range(t->run->m, mapping, pages, mapping->size - 1);
	mapping->size = min(pages, max(recording(t->run)->file_pages[region], (u64)1));
	return 0;
}

static int fork_process(struct runner *t, u32 task)
{
	struct run *r = t->run;
	struct runner *child;
	int ret;

	if (task >= r->nr_runners || r->play->started[task] != TASK_WAITS)
		return 0;
	child = &r->runners[task];
	if (!child->process->mm) {
		ret = rcl_mm_fork(r->m, t->process->mm, r->group ? r->group : r->m->root_memcg,
				  &child->process->mm);
		if (ret)
			return ret;
	}
	start_task(r, task, TASK_RUNS);
	return 0;
}

static int exec(struct runner *t)
{
	struct run *r = t->run;
	struct mm *old = t->process->mm, *mm;
	int ret = rcl_mm_create(r->m, r->group ? r->group : r->m->root_memcg, &mm);

	if (ret)
		return ret;
	rcl_munmap(r->m, old, 0, ALL_PAGES);
	t->process->mm = mm;
	for (u32 i = 0; i < r->nr_runners; i++)
		if (r->runners[i].process == t->process && r->runners[i].task.mm)
			r->runners[i].task.mm = mm;
	r->play->old[r->play->nr_old++] = old;
	return 0;
}

static int layout_event(struct runner *t, const struct rcl_trace_event *e)
{
	struct run *r = t->run;
	u32 *applied = &r->play->processes[t->process - r->processes].applied;
	struct mm *mm;
	const u64 *a = e->args;
	bool known = true; /* to those who keep account of the content, when it is done */
	int ret = wait_until(t, applied, e->order);

	if (ret)
		return ret;
	mm = t->process->mm;
	switch (e->type) {
	case RCL_EVENT_MAP:
		ret = map(t, a);
		break;
	case RCL_EVENT_UNMAP:
		ret = rcl_munmap(r->m, mm, a[0], a[1]);
		break;
	case RCL_EVENT_MOVE:
		/* What is not one mapping is left where it is: its pages will be stray. */
		known = !rcl_mremap(r->m, mm, a[0], a[1], a[2], a[3]);
		break;
	case RCL_EVENT_PROTECT:
		ret = protect(t, a);
		break;
	case RCL_EVENT_ADVISE:
		ret = advise(t, a);
		break;
	case RCL_EVENT_LOCK:
		if (a[2])
			rcl_mlock(r->m, mm, a[0], a[1]);
		else
			rcl_munlock(r->m, mm, a[0], a[1]);
		break;
	case RCL_EVENT_FORK:
		if (r->content)
			r->world->play_event(t, e);
		known = false;
		ret = fork_process(t, (u32)a[0]);
		break;
	default:
		ret = exec(t);
	}
	if (r->content && known)
		r->world->play_event(t, e);
	if (*applied == e->order)
		set_word(r, applied, e->order + 1);
	return ret;
}

static int event(struct runner *t, const struct rcl_trace_event *e)
{
	struct run *r = t->run;
	struct play *p = r->play;
	struct file *file;

	if (rcl_event_has_seq(e->type))
		return layout_event(t, e);
	switch (e->type) {
	case RCL_EVENT_SYNC:
		return wait_until(t, &p->processes[t->process - r->processes].applied,
				  (u32)e->args[0]);
	case RCL_EVENT_CLONE:
		if (e->args[0] < r->nr_runners)
			start_task(r, (u32)e->args[0], TASK_RUNS);
		return 0;
	case RCL_EVENT_WAIT:
		return e->args[0] < r->nr_runners ? wait_until(t, &p->ended[e->args[0]], 1) : 0;
	case RCL_EVENT_OPEN:
		file = file_of(r, (u32)e->args[0]);
		if (file && r->req->readahead != RCL_SIM_READAHEAD_OFF)
			rcl_file_open(r->m, file->mapping, file);
		return file ? 0 : -ENOMEM;
	case RCL_EVENT_TRUNCATE:
	case RCL_EVENT_DELETE:
		if (r->content)
			r->world->play_event(t, e);
		return truncate_file(t, (u32)e->args[0],
				     e->type == RCL_EVENT_DELETE
					     ? 0
					     : (e->args[1] + PAGE_SIZE - 1) >> PAGE_SHIFT);
	case RCL_EVENT_FSYNC:
		file = file_of(r, (u32)e->args[0]);
		if (file && rcl_file_fsync(r->m, file))
			r->res->io_errors++;
		return file ? 0 : -ENOMEM;
	case RCL_EVENT_FADVISE:
		return file_advise(t, e->args);
	default:
		return 0;
	}
}

/* ---- Words ---------------------------------------------------------------------------------- */

/* A read() or write(). One that fails is the program's to handle: it goes on. */
static int call(struct runner *t, u64 word)
{
	struct run *r = t->run;
	struct file *file = file_of(r, rcl_word_region(word));
	u64 page = rcl_word_page(word), pages = rcl_word_pages(word), stamp = 0;
	int ret;

	if (!file)
		return -ENOMEM;
	if (rcl_word_write(word)) {
		if (r->content)
			stamp = r->world->begin_write(t, rcl_word_region(word), page, pages);
		ret = rcl_file_write(r->m, file, page, pages, stamp);
		if (r->content)
			r->world->end_write(t, ret != 0);
	} else {
		/* Some of the file may be from before the recording saw its size. */
		if (page + pages > file->mapping->size)
			file->mapping->size = page + pages;
		ret = rcl_file_read(r->m, file, page, pages, &stamp);
		if (r->content && !ret &&
		    !r->world->check_read(t, rcl_word_region(word), page + pages - 1, stamp))
			return -ECANCELED;
	}
	if (ret == -EIO || ret == -ENOSPC) {
		r->res->io_errors++;
		ret = 0;
	}
	return ret;
}

static void spend(struct run *r, u64 references)
{
	u32 cost = r->plat->cost_ns[WORK_ACCESS];

	if (cost)
		rcl_work_n(r->m, WORK_ACCESS,
			   (u64)((double)references * r->play->ns_per_reference / cost));
}

static int do_word(struct runner *t, u64 word)
{
	struct run *r = t->run;
	int ret;

	switch (rcl_word_kind(word)) {
	case RCL_ACCESS_FILE:
		return call(t, word);
	case RCL_ACCESS_EVENT:
		if (!rcl_word_write(word))
			return event(t, &recording(r)->events[rcl_word_page(word)]);
		spend(r, rcl_word_page(word));
		return 0;
	default:
		ret = rcl_touch(r->m, t->process->mm, rcl_word_page(word), rcl_word_write(word));
		if (!ret && r->content)
			ret = r->world->play_memory(t, rcl_word_page(word), rcl_word_write(word));
		if (ret == -EFAULT || ret == -ENODATA || ret == -EACCES) {
			r->res->stray++;
			ret = 0;
		}
		return ret;
	}
}

/* The same, and whose page it was that cost something. */
static int slow_word(struct runner *t, u64 word)
{
	struct rcl_sim_region_result *regions = t->run->res->regions;
	u64 faults = t->task.maj_flt, refaults = t->task.refaults, stall = t->task.memstall_ns;
	int ret = do_word(t, word);

	if (regions) {
		regions += rcl_word_region(word);
		regions->major_faults += t->task.maj_flt - faults;
		regions->refaults += t->task.refaults - refaults;
		regions->stall_ns += t->task.memstall_ns - stall;
	}
	rcl_poll(t->run->m);
	return ret;
}

int rcl_run_play(struct runner *t, u32 n)
{
	u64 end = t->done + n;

	for (; t->done < end; t->done++) {
		u64 word = t->words[t->done];
		bool write = rcl_word_write(word);
		u64 need = PTE_PRESENT | (write ? PTE_WRITE : 0);
		pte_t *p = NULL;
		int ret;

		if (rcl_word_kind(word) <= RCL_ACCESS_MMAP)
			p = rcl_pte_fast(t->process->mm, rcl_word_page(word));
		/* On real memory others change the word at the same time: rcl_touch() knows how. */
		if (likely(p && (pte_read(p) & need) == need && !t->run->content &&
			   !t->run->m->threaded)) {
			*p |= PTE_ACCESSED | (write ? PTE_DIRTY : 0);
			continue;
		}
		ret = slow_word(t, word);
		if (unlikely(ret))
			return ret;
		if (is_dead(t))
			return -EINTR;
	}
	return 0;
}
