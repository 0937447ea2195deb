/* SPDX-License-Identifier: MIT */
/*
 * The accesses of a trace, one after the other: the simulator's hot path.
 *
 * Nearly all accesses find their page mapped, and then cost a look at the page-table word. With a
 * large footprint that look is a cache miss, and what there is to gain is to have several of them
 * under way at once: a batch of accesses first finds the addresses of its words and asks for them,
 * then goes through them in order. The address of a word never changes once its table exists, and
 * tables live as long as the address space, so an address may be remembered across waits; what the
 * word says may not, and is read when its turn comes.
 *
 * Where the tables are is remembered per region in a flat array, so that finding a word takes one
 * load from a small array in place of a walk down from the root.
 *
 * After every place where others may have run (a fault, a system call, a poll) the task looks
 * whether it has been killed.
 */
#include "sim/world.h"

#include <stdlib.h>

#define BATCH	  16
#define CHUNK	  16384 /* accesses between looks at progress, and uses of the program's own pages */
#define RUN_BITS  ((u64)(RCL_TRACE_RUN_MAX - 1) << RCL_WORD_RUN_SHIFT)
#define CALL_BIT  ((u64)RCL_ACCESS_FILE << RCL_WORD_KIND_SHIFT)
#define WRITE_BIT (1ull << RCL_WORD_WRITE_SHIFT)

_Static_assert(UPCOMING >= 4 * BATCH && !(UPCOMING & (UPCOMING - 1)), "room for all in view");
_Static_assert(RCL_ACCESS_FILE == 2, "one bit of the kind tells calls from memory accesses");

int rcl_run_replay_init(struct run *r)
{
	for (u32 p = 0; p < r->nr_processes; p++) {
		for (u32 i = 0; i < r->req->trace->nr_regions; i++) {
			struct place *place = &r->processes[p].places[i];

			place->tables = calloc(place->pages / PTRS_PER_TABLE + 1,
					       sizeof(struct page_table *));
			if (place->is_file)
				place->leaves =
					calloc(place->pages / RADIX_SLOTS + 1, sizeof(void **));
			if (!place->tables || (place->is_file && !place->leaves))
				return -ENOMEM;
		}
	}
	return 0;
}

u64 rcl_run_access_number(const struct runner *t, u64 n)
{
	return (u64)(t->words - t->run->req->trace->words) + n + 1;
}

/* The page-table word of a page, or NULL while there is no table for it. */
static inline pte_t *find_word(struct mm *mm, struct place *place, u64 page)
{
	struct page_table **slot = &place->tables[page / PTRS_PER_TABLE];
	struct page_table *table = hint_read(slot); /* (all threads find the same) */

	if (unlikely(!table)) {
		u64 vpn = place->base + page;
		pte_t *p = rcl_pte_lookup(mm, vpn);

		if (!p)
			return NULL;
		table = container_of(p - vpn % PTRS_PER_TABLE, struct page_table, e[0]);
		hint_set(slot, table);
	}
	return &table->e[page % PTRS_PER_TABLE];
}

/* Where the page cache keeps a page's entry, or once kept it; NULL when that is not known. */
static inline void **find_slot(const struct place *place, u64 page)
{
	void **leaf = hint_read(&place->leaves[page / RADIX_SLOTS]);

	return leaf ? leaf + page % RADIX_SLOTS : NULL;
}

/* Look again: what was found there was not this page. */
static void refresh_slot(struct place *place, u64 page)
{
	void **slot = rcl_radix_slot(place->mapping, page);

	hint_set(&place->leaves[page / RADIX_SLOTS], slot ? slot - page % RADIX_SLOTS : NULL);
}

/* Only for that: the frame may be getting another page just now. */
static inline RCL_RACY bool holds_page(void **slot, const struct place *place, u64 page)
{
	struct folio *f = slot ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : NULL;

	return f && !entry_is_shadow(f) && !radix_is_node(f) &&
	       racy_read(&f->mapping) == place->mapping && racy_read(&f->index) == page;
}

static bool is_dead(const struct runner *t)
{
	return unlikely(fatal_signal_pending((struct task *)&t->task) ||
			__atomic_load_n(&t->process->mm->dead, __ATOMIC_RELAXED) ||
			__atomic_load_n(&t->run->stop, __ATOMIC_RELAXED));
}

/* 0, or -errno of a memory access to one page by the long way. */
static int touch(struct runner *t, u32 region, u64 page, bool write)
{
	struct run *r = t->run;
	struct place *place = &t->process->places[region];
	int ret = rcl_touch(r->m, t->process->mm, place->base + page, write);

	if (ret)
		return ret;
	if (unlikely(r->req->check)) {
		ret = r->world->check_memory(t, region, page, write);
		if (ret)
			return ret;
	}
	rcl_work(r->m, WORK_ACCESS);
	rcl_poll(r->m);
	return is_dead(t) ? -EINTR : 0;
}

/* A read() or write(). A call that fails is the program's to handle: it goes on. */
static int call(struct runner *t, u64 word)
{
	struct run *r = t->run;
	u32 region = rcl_word_region(word);
	u64 page = rcl_word_page(word), pages = rcl_word_pages(word), stamp = 0;
	struct file *file = &t->process->files[region];
	int ret;

	if (rcl_word_write(word)) {
		if (unlikely(r->req->check))
			stamp = r->world->begin_write(t, region, page, pages);
		ret = rcl_file_write(r->m, file, page, pages, stamp);
		if (unlikely(r->req->check))
			r->world->end_write(t, ret != 0);
	} else {
		struct place *place = &t->process->places[region];
		void **slot = t->upcoming[t->done % UPCOMING].slot;

		if (likely(pages == 1))
			ret = rcl_file_read_page(r->m, file, page, slot, &stamp);
		else
			ret = rcl_file_read(r->m, file, page, pages, &stamp);
		if (!holds_page(slot, place, page))
			refresh_slot(place, page);
		if (unlikely(r->req->check) && !ret &&
		    !r->world->check_read(t, region, page + pages - 1, stamp))
			return -ECANCELED;
	}
	rcl_poll(r->m);
	if (is_dead(t))
		return -EINTR;
	if (ret == -EIO || ret == -ENOSPC) {
		r->res->io_errors++;
		ret = 0;
	}
	return ret;
}

static int do_slow_access(struct runner *t, u64 word)
{
	u64 page = rcl_word_page(word), end = page + rcl_word_pages(word);
	int ret = 0;

	if (word & CALL_BIT)
		return call(t, word);
	for (; page < end && !ret; page++)
		ret = touch(t, rcl_word_region(word), page, rcl_word_write(word));
	return ret;
}

/* The same, and whose page it was that cost something. A task counts for itself alone, so what
 * others do while it waits does not show here. */
static int slow_access(struct runner *t, u64 word)
{
	struct rcl_sim_region_result *regions = t->run->res->regions;
	u64 faults = t->task.maj_flt, refaults = t->task.refaults, stall = t->task.memstall_ns;
	int ret = do_slow_access(t, word);

	if (regions) {
		regions += rcl_word_region(word);
		regions->major_faults += t->task.maj_flt - faults;
		regions->refaults += t->task.refaults - refaults;
		regions->stall_ns += t->task.memstall_ns - stall;
	}
	return ret;
}

/* ---- Looking ahead ------------------------------------------------------------------------- */

/* Find where it says where a page is, and ask for that. */
static inline union upcoming locate(struct mm *mm, struct place *places, u64 w)
{
	u64 page = rcl_word_page(w);
	struct place *place = &places[rcl_word_region(w)];
	union upcoming up = {.pte = NULL};

	if (w & CALL_BIT) {
		up.slot = find_slot(place, page);
		__builtin_prefetch(up.slot, 1);
	} else if (likely(!(w & RUN_BITS))) {
		up.pte = find_word(mm, place, page);
		__builtin_prefetch(up.pte, 1);
	}
	return up;
}

/* A page of memory that will have to be brought in. */
static void fetch_absent(struct runner *t, u64 word, pte_t pte)
{
	struct place *place = &t->process->places[rcl_word_region(word)];

	if (pte_is_swap(pte))
		rcl_swap_fetch(t->run->m, pte_swap(pte));
	else if (place->mapping)
		rcl_radix_fetch(place->mapping, rcl_word_page(word));
}

/* Its place has arrived: ask for the page's descriptor, or for what a miss will change. */
static inline void fetch(struct runner *t, u64 w, union upcoming up)
{
	void *e;

	if (unlikely(!up.pte))
		return;
	if (!(w & CALL_BIT)) {
		pte_t pte = pte_read(up.pte);

		if (unlikely(!pte_present(pte)))
			fetch_absent(t, w, pte);
		return;
	}
	e = __atomic_load_n(up.slot, __ATOMIC_RELAXED);
	if (e && !entry_is_shadow(e))
		__builtin_prefetch(e, 1);
	else
		rcl_radix_fetch_slot(up.slot, rcl_word_page(w));
}

/* Before accesses [done, done + n) are made: see to those that follow. */
static void look_ahead(struct runner *t, u32 n)
{
	u64 end = t->done + n, i;
	u64 located = min(end + 2 * BATCH, t->nr_words), fetched = min(end + BATCH, t->nr_words);
	const u64 *words = t->words;
	struct mm *mm = t->process->mm;
	struct place *places = t->process->places;

	for (i = t->located; i < located; i++)
		t->upcoming[i % UPCOMING] = locate(mm, places, words[i]);
	t->located = i;
	for (i = t->fetched; i < fetched; i++)
		fetch(t, words[i], t->upcoming[i % UPCOMING]);
	t->fetched = i;
}

/* ---- The accesses -------------------------------------------------------------------------- */

/* False: the task was killed while others ran. */
static inline bool poll(struct runner *t)
{
	struct platform *p = t->run->plat;

	if (likely(p->now < p->next_event))
		return true;
	rcl_poll(t->run->m);
	return !is_dead(t);
}

/* Up to BATCH accesses; t->done counts those that are through. */
static int batch(struct runner *t, u32 n)
{
	struct run *r = t->run;
	bool check = r->req->check;
	u64 end = t->done + n;
	int ret;

	look_ahead(t, n);
	for (; t->done < end; t->done++) {
		u64 word = t->words[t->done];
		union upcoming up = t->upcoming[t->done % UPCOMING];

		if ((word & (CALL_BIT | RUN_BITS | WRITE_BIT)) == CALL_BIT) {
			u32 region = rcl_word_region(word);

			if (likely(up.slot && rcl_file_read_hit(r->m, &t->process->files[region],
								rcl_word_page(word), up.slot))) {
				if (unlikely(!poll(t)))
					return -EINTR;
				continue;
			}
		} else if (!(word & CALL_BIT) && likely(up.pte && !check)) {
			bool write = rcl_word_write(word);
			u64 need = PTE_PRESENT | (write ? PTE_WRITE : 0);

			if (likely((*up.pte & need) == need)) {
				*up.pte |= PTE_ACCESSED | (write ? PTE_DIRTY : 0);
				rcl_work(r->m, WORK_ACCESS);
				if (unlikely(!poll(t))) {
					t->done++;
					return -EINTR;
				}
				continue;
			}
		}
		ret = slow_access(t, word);
		if (unlikely(ret))
			return ret;
	}
	return 0;
}

/* Accesses after which part `mark` of the stall time's course is complete. */
static u64 mark_at(const struct runner *t, u32 mark)
{
	return (u64)(((__uint128_t)t->nr_words * (mark + 1) + RCL_SIM_TIMELINE - 1) /
		     RCL_SIM_TIMELINE);
}

static void mark_timeline(struct runner *t, u32 *mark)
{
	struct run *r = t->run;
	u64 some, full;

	while (*mark < RCL_SIM_TIMELINE && t->done >= mark_at(t, *mark)) {
		rcl_psi_read(r->m, r->group ? r->group : r->m->root_memcg, &some, &full);
		r->res->timeline[(*mark)++] = some - r->timeline_stall;
		r->timeline_stall = some;
	}
}

static bool go_on(struct runner *t)
{
	struct run *r = t->run;
	const struct rcl_sim_progress *p = &r->req->progress;
	u64 done = 0;

	if (!p->report)
		return true;
	for (u32 i = 0; i < r->nr_runners; i++)
		done += r->runners[i].done;
	if (p->report(p->arg, done, r->req->trace->count))
		return true;
	rcl_run_fail(r, RCL_SIM_CANCELLED, rcl_run_access_number(t, t->done), "cancelled");
	return false;
}

static int replay(struct runner *t)
{
	struct run *r = t->run;
	int (*some)(struct runner *, u32) = r->play ? rcl_run_play : batch;
	u64 next_check = r->check_every;
	u32 mark = 0;
	int ret = r->play ? rcl_run_play_begin(t) : 0;

	if (ret)
		return ret;

	while (t->done < t->nr_words) {
		u64 stop = min(t->nr_words, (t->done / CHUNK + 1) * CHUNK);

		if (r->check_every)
			stop = min(stop, next_check);
		if (t->longest && mark < RCL_SIM_TIMELINE)
			stop = min(stop, mark_at(t, mark));
		while (t->done < stop) {
			ret = some(t, (u32)min(stop - t->done, (u64)BATCH));
			if (unlikely(ret))
				return ret;
		}
		if (r->check_every && t->done >= next_check) {
			next_check += r->check_every;
			if (!rcl_check(r->m)) {
				rcl_run_fail(r, RCL_SIM_BROKEN, rcl_run_access_number(t, t->done),
					     "an invariant of the machine does not hold");
				return -ECANCELED;
			}
		}
		if (t->longest) {
			mark_timeline(t, &mark);
			if (!go_on(t))
				return -ECANCELED;
		}
		if (t->done % CHUNK == 0)
			rcl_run_touch_own(r, t->process->mm);
		if (is_dead(t))
			return -EINTR;
	}
	return 0;
}

void rcl_run_replay(void *arg)
{
	struct runner *t = arg;
	struct run *r = t->run;
	int ret = replay(t);

	u64 number = ret ? rcl_run_access_number(t, t->done) : 0;

	if (ret == -EIO)
		rcl_run_fail(r, RCL_SIM_IO_ERROR, number,
			     "a page could not be read back: bus error");
	else if (ret == -EINTR || ret == -ENOMEM)
		rcl_run_fail(r, RCL_SIM_OOM, number, "task %u was killed: out of memory", t->id);
	else if (ret && ret != -ECANCELED)
		rcl_run_fail(r, RCL_SIM_BROKEN, number, "an access failed: error %d", -ret);
	if (r->play)
		rcl_run_play_end(t, ret);
	t->end_ns = rcl_now(r->m);
	if (__atomic_sub_fetch(&r->nr_alive, 1, __ATOMIC_ACQ_REL))
		return;
	/* The last one reads the counters, before anything else runs. */
	struct rcl_sim_counters *vm = &r->res->vmstat, *cg = &r->res->memory_stat;

	vm->nr = rcl_vmstat_read(r->m, vm->end, ARRAY_SIZE(vm->end));
	cg->nr = rcl_memory_stat_read(r->m, r->group ? r->group : r->m->root_memcg, cg->end,
				      ARRAY_SIZE(cg->end));
}
