/* SPDX-License-Identifier: MIT */
/*
 * Pinning, unpinning and peeking.
 *
 * The way to a page in memory is: its number is inside the area; the directory has the table that
 * holds its word; the word says that it is there and may be used so; one compare-and-swap counts
 * the pin. Nothing else is read or written: no lock, no counter, no thread-local. What is met with
 * off that way, in the order in which it is looked at, is the slow half's: a forked child (which
 * finds an empty directory), arguments that make no sense, an end, a page that is not there.
 *
 * All the waiting is the engine's but one case: there is no memory to be had. What happens then is
 * the caller's choice (wait.c), and it is made with nothing pinned by this call: who wants several
 * pages lets go of those it has before it sleeps, so two such calls cannot wait for each other.
 */
#include <stddef.h>

#include "api/internal.h"
#include "mm/pin.h"
#include "reclaim/inline.h"

/* Pages of a range or batch that are prefetched before the first of them is pinned. */
#define PREFETCH_CHUNK 1024u

#define HOW_MODE (RCL_READ | RCL_WRITE | RCL_OVERWRITE)
#define HOW_ALL	 (HOW_MODE | RCL_TRY | RCL_WAIT | RCL_NOFAIL | RCL_IF_KEPT)

/* One mode at least, no bit unknown, and TRY not together with a flag that waits. */
static inline bool how_is_valid(u32 how)
{
	return how <= HOW_ALL && how & HOW_MODE && !((how >> 1 | how >> 2) & how & RCL_TRY);
}
_Static_assert(RCL_TRY << 1 == RCL_WAIT && RCL_TRY << 2 == RCL_NOFAIL, "how_is_valid()");

static inline bool how_writes(u32 how)
{
	return how & (RCL_WRITE | RCL_OVERWRITE);
}

static inline void fill_pin(struct rcl_pin *pin, struct rcl_area *area, u64 page, u32 how,
			    pte_t *pte, u64 pfn)
{
	pin->addr = area->arena + (pfn << PAGE_SHIFT);
	pin->word = pte;
	pin->area = area;
	pin->page_low = (u32)page;
	pin->how = how;
}

/* Pin it if that takes nothing but the instruction. `how` is valid, and writes or does not. */
static inline __attribute__((always_inline)) bool pin_as(struct rcl_area *area, u64 page, u32 how,
							 bool writes, struct rcl_pin *pin)
{
	struct page_table *t;
	pte_t *pte;
	u64 pfn;

	if (unlikely(page >= area_pages(area)))
		return false;
	t = __atomic_load_n(&__atomic_load_n(&area->dir, __ATOMIC_ACQUIRE)[page / PTRS_PER_TABLE],
			    __ATOMIC_ACQUIRE);
	if (unlikely(!t))
		return false;
	pte = &t->e[page % PTRS_PER_TABLE];
	if (unlikely(!rcl_pin_fast(area->mm, pte, writes, &pfn)))
		return false;
	fill_pin(pin, area, page, how, pte, pfn);
	return true;
}

static inline __attribute__((always_inline)) bool pin_fast(struct rcl_area *area, u64 page, u32 how,
							   struct rcl_pin *pin)
{
	return how_writes(how) ? pin_as(area, page, how, true, pin)
			       : pin_as(area, page, how, false, pin);
}

static u32 engine_how(u32 how)
{
	return (how_writes(how) ? PIN_WRITE : 0) | (how & RCL_OVERWRITE ? PIN_OVERWRITE : 0) |
	       (how & RCL_TRY ? PIN_TRY : 0) | (how & RCL_IF_KEPT ? PIN_KEPT : 0);
}

/* The engine's errors, as ours. */
static int translate(const struct rcl_area *area, int err)
{
	switch (err) {
	case -EFAULT:
		return -ERANGE;
	case -ENODATA:
		/* Of a file: the end. */
		return area->backing ? -ERANGE : err;
	case -EINTR:
		return -ENOMEM;
	default:
		return err;
	}
}

/* One attempt, the long way. */
static int pin_once(struct rcl_area *area, u64 page, u32 how, struct rcl_pin *pin)
{
	struct rcl_machine *machine = area->machine;
	struct rcl *m = machine->m;
	bool over = how & RCL_NOFAIL;
	struct task *t;
	pte_t *pte;
	int err;
	u64 pfn;

	t = api_enter(machine, area->group);
	if (!t)
		return -ENOMEM;
	if (over)
		over = !task_test_set(m, PF_CHARGE_OVER);
	backing_read_lock(area);
	err = -ERANGE;
	if (page < area_pages(area))
		err = translate(area, rcl_pin_page(m, area->mm, page, engine_how(how), &pte, &pfn));
	backing_read_unlock(area);
	if (over)
		task_clear(m, PF_CHARGE_OVER);
	api_leave(machine, t);
	if (err)
		return err;
	rcl_area_note_table(area, page, pte);
	fill_pin(pin, area, page, how, pte, pfn);
	return 0;
}

static __attribute__((noinline, cold)) int pin_slow(struct rcl_area *area, u64 page, u32 how,
						    struct rcl_pin *pin)
{
	struct patience p;
	int err;

	pin->addr = NULL;
	if (!api_is_alive(area->machine))
		return -ECHILD;
	if (!how_is_valid(how))
		return -EINVAL;
	if (page >= area_pages(area))
		return -ERANGE;
	rcl_patience_begin(area->machine, &p);
	do {
		err = pin_once(area, page, how, pin);
	} while (err == -ENOMEM && rcl_patience_wait(area->machine, area->group, how, &p));
	return err;
}

int rcl_pin(struct rcl_area *area, uint64_t page, uint32_t how, struct rcl_pin *pin)
{
	if (likely(how_is_valid(how) && pin_fast(area, page, how, pin)))
		return 0;
	return pin_slow(area, page, how, pin);
}

/* The page was cleaned while it was pinned for writing. */
static __attribute__((noinline, cold)) void unpin_slow(struct rcl_pin *pin)
{
	struct rcl_area *area = pin->area;
	struct rcl_machine *machine = area->machine;
	struct task *t;

	if (!api_is_alive(machine))
		return;
	/* Without memory for a task the pin cannot be undone, and it must be. */
	while (!(t = api_enter(machine, area->group)))
		nanosleep(&(struct timespec){.tv_nsec = RCL_NSEC_PER_MSEC}, NULL);
	rcl_unpin_page(machine->m, area->mm, pin->page_low, pin->word);
	api_leave(machine, t);
}

void rcl_unpin(struct rcl_pin *pin)
{
	if (unlikely(!pin->addr))
		return;
	if (unlikely(!rcl_unpin_fast(pin->area->mm, pin->word, how_writes(pin->how))))
		unpin_slow(pin);
	pin->addr = NULL;
}

void rcl_unpin_batch(struct rcl_pin *pins, size_t nr)
{
	while (nr)
		rcl_unpin(&pins[--nr]);
}

/* ---- several pages ------------------------------------------------------------------------- */

/* Which pages: a range of one area, or (places not NULL) any. */
struct wanted {
	const struct rcl_place *places;
	struct rcl_area *area;
	u64 first;
	size_t nr;
};

static struct rcl_place wanted_at(const struct wanted *w, size_t i)
{
	if (w->places)
		return w->places[i];
	return (struct rcl_place){.area = w->area, .page = w->first + i};
}

static bool is_resident(struct rcl_area *area, u64 page)
{
	struct page_table **dir = __atomic_load_n(&area->dir, __ATOMIC_ACQUIRE);
	struct page_table *t = __atomic_load_n(&dir[page / PTRS_PER_TABLE], __ATOMIC_ACQUIRE);

	return t && pte_present(pte_read(&t->e[page % PTRS_PER_TABLE]));
}

/* No more than would push out what was just read: half of what there may be. */
static u64 prefetch_room(struct rcl_area *area)
{
	return rcl_area_room(area) / 2;
}

/* Start reading a run of pages of one area. */
static void prefetch_run(struct rcl_area *area, u64 first, u64 nr)
{
	struct task *t = api_enter(area->machine, area->group);

	if (!t)
		return;
	backing_read_lock(area);
	if (area_has(area, first, nr))
		rcl_pin_prefetch(area->machine->m, area->mm, first, nr);
	backing_read_unlock(area);
	api_leave(area->machine, t);
}

/* Start reading those of [from, upto) that are not there, runs of neighbours together. */
static void prefetch_wanted(const struct wanted *w, size_t from, size_t upto)
{
	struct rcl_place start = wanted_at(w, from);
	struct platform *plat = start.area->machine->m->plat;
	struct task *t = api_enter(start.area->machine, start.area->group);
	u64 room = prefetch_room(start.area), nr = 0;

	if (!t)
		return;
	plat->ops->plug_start(plat);
	for (size_t i = from; i < upto && room; i++) {
		struct rcl_place p = wanted_at(w, i);

		if (p.page >= area_pages(p.area) || is_resident(p.area, p.page))
			continue;
		room--;
		if (nr && (p.area != start.area || p.page != start.page + nr)) {
			prefetch_run(start.area, start.page, nr);
			nr = 0;
		}
		if (!nr)
			start = p;
		nr++;
	}
	if (nr)
		prefetch_run(start.area, start.page, nr);
	plat->ops->plug_finish(plat);
	api_leave(start.area->machine, t);
}

/* Pin all, or none and say why. Waits for I/O, but not for somebody to unpin. */
static int pin_all_once(const struct wanted *w, u32 how, struct rcl_pin *pins)
{
	bool may_read = !(how & (RCL_TRY | RCL_OVERWRITE));
	size_t fetched = 0;

	for (size_t i = 0; i < w->nr; i++) {
		struct rcl_place p = wanted_at(w, i);
		int err;

		if (likely(pin_fast(p.area, p.page, how, &pins[i])))
			continue;
		if (may_read && i >= fetched && w->nr - i > 1) {
			fetched = i + min(w->nr - i, (size_t)PREFETCH_CHUNK);
			prefetch_wanted(w, i, fetched);
		}
		err = pin_once(p.area, p.page, how, &pins[i]);
		if (unlikely(err)) {
			rcl_unpin_batch(pins, i);
			return err;
		}
	}
	return 0;
}

static int pin_all(const struct wanted *w, u32 how, struct rcl_pin *pins)
{
	struct rcl_place first = wanted_at(w, 0);
	struct rcl_machine *machine = first.area->machine;
	struct patience p;
	int err;

	/* So that whoever unpins all of them whatever was returned does no harm. */
	for (size_t i = 0; i < w->nr; i++)
		pins[i].addr = NULL;
	if (!api_is_alive(machine))
		return -ECHILD;
	if (!how_is_valid(how))
		return -EINVAL;
	for (size_t i = 0; w->places && i < w->nr; i++)
		if (w->places[i].area->machine != machine)
			return -EINVAL;
	rcl_patience_begin(machine, &p);
	do {
		err = pin_all_once(w, how, pins);
	} while (err == -ENOMEM && rcl_patience_wait(machine, first.area->group, how, &p));
	return err;
}

int rcl_pin_range(struct rcl_area *area, uint64_t first, size_t nr, uint32_t how,
		  struct rcl_pin *pins)
{
	struct wanted w = {.area = area, .first = first, .nr = nr};

	if (!nr)
		return 0;
	/* Also keeps a number that wraps around from looking like a page. */
	if (!area_has(area, first, nr)) {
		for (size_t i = 0; i < nr; i++)
			pins[i].addr = NULL;
		return api_is_alive(area->machine) ? -ERANGE : -ECHILD;
	}
	return pin_all(&w, how, pins);
}

int rcl_pin_batch(const struct rcl_place *places, size_t nr, uint32_t how, struct rcl_pin *pins)
{
	struct wanted w = {.places = places, .nr = nr};

	return nr ? pin_all(&w, how, pins) : 0;
}

int rcl_prefetch(struct rcl_area *area, uint64_t first, uint64_t nr)
{
	u64 pages = area_pages(area);

	if (!api_is_alive(area->machine))
		return -ECHILD;
	if (first >= pages || !nr)
		return 0;
	nr = min(nr, pages - first);
	nr = min(nr, max(prefetch_room(area), (u64)1));
	prefetch_run(area, first, nr);
	return 0;
}

/* ---- peeking ------------------------------------------------------------------------------- */

/* What inline.h says of words is what the engine means. */
_Static_assert(RCL_TABLE_WORDS_ == PTRS_PER_TABLE &&
		       sizeof(struct page_table) == RCL_TABLE_WORDS_ * sizeof(u64),
	       "tables, and the way from them to versions");
_Static_assert(RCL_WORD_HERE_ == PTE_PRESENT && RCL_WORD_USED_ == PTE_ACCESSED, "bits");
_Static_assert(RCL_WORD_PLACE_ == 0xffffffffull << PTE_PFN_SHIFT && PTE_PFN_SHIFT == PAGE_SHIFT,
	       "a frame's number is its place in the arena");
_Static_assert(RCL_WORD_STATE_ ==
		       (PTE_PRESENT | PTE_ZERO | (u64)PTE_MAX_WRITE_PINS << PTE_WRITE_PIN_SHIFT),
	       "there, and no pin for writing");
_Static_assert(RCL_WORD_SEEN_ == (RCL_WORD_STATE_ | PTE_IDENTITY),
	       "the place, and writes that have ended");
_Static_assert(offsetof(struct rcl_area, pages) == offsetof(struct rcl_area_front_, pages) &&
		       offsetof(struct rcl_area, dir) == offsetof(struct rcl_area_front_, tables) &&
		       offsetof(struct rcl_area, arena) ==
			       offsetof(struct rcl_area_front_, arena) &&
		       offsetof(struct rcl_area, versions) ==
			       offsetof(struct rcl_area_front_, versions),
	       "how an area begins");

/*
 * The page is there, and only lacks that it was accessed, so that reclaim sees it in use. Should
 * its word change just now, another time.
 */
static __attribute__((noinline, cold)) bool peek_unused(struct rcl_area *area, u64 page,
							struct rcl_peek *peek)
{
	struct page_table *t;
	pte_t *pte, word;

	if (page >= area_pages(area) || !area->versions)
		return false;
	t = __atomic_load_n(&__atomic_load_n(&area->dir, __ATOMIC_ACQUIRE)[page / PTRS_PER_TABLE],
			    __ATOMIC_ACQUIRE);
	if (!t)
		return false;
	pte = &t->e[page % PTRS_PER_TABLE];
	word = pte_read(pte);
	return (word & RCL_WORD_STATE_) == PTE_PRESENT &&
	       pte_change(area->mm, pte, word, word | PTE_ACCESSED) &&
	       rcl_peek_used_(area, page, peek);
}

bool rcl_peek(struct rcl_area *area, uint64_t page, struct rcl_peek *peek)
{
	return likely(rcl_peek_used_(area, page, peek)) || peek_unused(area, page, peek);
}

bool rcl_peek_ok(const struct rcl_peek *peek)
{
	return rcl_peek_ok_inline(peek);
}
