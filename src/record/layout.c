/* SPDX-License-Identifier: MIT */
/*
 * The address space of this process as the program sees it: areas, ordered by address.
 *
 * It exists so that an access can name its region, and is kept the way the program's own calls
 * change it. Each change has a number. A task that sees a new number for the first time notes it
 * ahead of its next page (SYNC), and that is how the order of changes and accesses survives in
 * streams that are otherwise independent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "record/plugin.h"
#include "record/qemu_plugin.h"

uint32_t layout_find(uint64_t page)
{
	const struct rcl_area *a;
	uint32_t region;

	pthread_rwlock_rdlock(&rec.layout_lock);
	a = rcl_areas_find(&rec.areas, page);
	region = a ? a->region : RCL_NATIVE_ANON;
	pthread_rwlock_unlock(&rec.layout_lock);
	return region;
}

static void check(int rc)
{
	must(rc ? NULL : &rec);
}

/* Note a change, whose number is the first argument. The layout is locked for writing. */
static void note(struct cpu *c, unsigned int event, uint64_t *args, unsigned int nr)
{
	/* Changes by others that this task has not seen come first by their number. */
	args[0] = rec.seq;
	cpu_note(c, RCL_REC_EVENT, event, args, nr);
	c->seq = rec.seq + 1;
	__atomic_store_n(&rec.seq, rec.seq + 1, __ATOMIC_RELEASE);
}

void layout_sync(struct cpu *c)
{
	uint64_t seq = __atomic_load_n(&rec.seq, __ATOMIC_ACQUIRE);

	cpu_note(c, RCL_REC_EVENT, RCL_EVENT_SYNC, &seq, 1);
	c->seq = (uint32_t)seq;
}

void layout_map(struct cpu *c, uint64_t page, uint64_t pages, uint32_t flags, uint32_t region,
		uint64_t pgoff)
{
	uint64_t args[] = {0, page, pages, flags, region, pgoff};

	if (!pages)
		return;
	pthread_rwlock_wrlock(&rec.layout_lock);
	check(rcl_areas_map(&rec.areas,
			    (struct rcl_area){page, page + pages, flags, region, pgoff}));
	cpu_forget(c, page, pages);
	note(c, RCL_EVENT_MAP, args, 6);
	pthread_rwlock_unlock(&rec.layout_lock);
}

void layout_unmap(struct cpu *c, uint64_t page, uint64_t pages)
{
	uint64_t args[] = {0, page, pages};

	if (!pages)
		return;
	pthread_rwlock_wrlock(&rec.layout_lock);
	check(rcl_areas_unmap(&rec.areas, page, pages));
	cpu_forget(c, page, pages);
	note(c, RCL_EVENT_UNMAP, args, 3);
	pthread_rwlock_unlock(&rec.layout_lock);
}

void layout_move(struct cpu *c, uint64_t page, uint64_t pages, uint64_t to, uint64_t to_pages)
{
	uint64_t args[] = {0, page, pages, to, to_pages};

	pthread_rwlock_wrlock(&rec.layout_lock);
	check(rcl_areas_move(&rec.areas, page, pages, to, to_pages));
	cpu_forget(c, page, pages);
	cpu_forget(c, to, to_pages);
	note(c, RCL_EVENT_MOVE, args, 5);
	pthread_rwlock_unlock(&rec.layout_lock);
}

void layout_change(struct cpu *c, unsigned int event, uint64_t page, uint64_t pages, uint64_t value)
{
	uint64_t args[] = {0, page, pages, value};

	if (!pages)
		return;
	pthread_rwlock_wrlock(&rec.layout_lock);
	if (event == RCL_EVENT_PROTECT)
		check(rcl_areas_protect(&rec.areas, page, pages, (uint32_t)value));
	if (event == RCL_EVENT_ADVISE)
		cpu_forget(c, page, pages);
	note(c, event, args, 4);
	pthread_rwlock_unlock(&rec.layout_lock);
}

void layout_fork(struct cpu *c, uint32_t task)
{
	uint64_t args[] = {0, task};

	pthread_rwlock_wrlock(&rec.layout_lock);
	note(c, RCL_EVENT_FORK, args, 2);
	pthread_rwlock_unlock(&rec.layout_lock);
}

void layout_exec(struct cpu *c)
{
	uint64_t args[] = {0};

	pthread_rwlock_wrlock(&rec.layout_lock);
	note(c, RCL_EVENT_EXEC, args, 1);
	pthread_rwlock_unlock(&rec.layout_lock);
}

void layout_brk(struct cpu *c, uint64_t brk)
{
	uint64_t old = (rec.brk + PAGE_SIZE - 1) >> PAGE_SHIFT;
	uint64_t new = (brk + PAGE_SIZE - 1) >> PAGE_SHIFT;

	if (rec.brk && new > old)
		layout_map(c, old, new - old, RCL_MAP_READ | RCL_MAP_WRITE, RCL_NATIVE_HEAP, 0);
	else if (rec.brk && new < old)
		layout_unmap(c, new, old - new);
	rec.brk = brk;
}

/* ---- What is mapped when the program starts -------------------------------------------------- */

struct line {
	uint64_t start, end, offset;
	uint32_t flags;
	char path[PAGE_SIZE];
};

static bool read_line(FILE *f, struct line *l)
{
	unsigned long long start, end, offset;
	char text[2 * PAGE_SIZE], perm[8];
	int at = 0;

	if (!fgets(text, sizeof(text), f) ||
	    sscanf(text, "%llx-%llx %7s %llx %*s %*s %n", &start, &end, perm, &offset, &at) < 4)
		return false;
	text[strcspn(text, "\n")] = 0;
	*l = (struct line){.start = start, .end = end, .offset = offset};
	l->flags = (perm[0] == 'r' ? RCL_MAP_READ : 0) | (perm[1] == 'w' ? RCL_MAP_WRITE : 0) |
		   (perm[3] == 's' ? RCL_MAP_SHARED : 0);
	snprintf(l->path, sizeof(l->path), "%s", at ? text + at : "");
	return true;
}

/*
 * QEMU puts the program's memory far below its own, which begins with its own executable: what lies
 * below is the program's. QEMU gives the program's pages no right to be executed, as it never runs
 * them itself; an executable's mappings with code are found when the program runs them.
 */
void layout_read(struct cpu *c)
{
	FILE *f = fopen("/proc/self/maps", "re");
	struct line l;
	uint64_t guard_end = 0;
	uint32_t before = RCL_NATIVE_ANON;
	struct rlimit stack = {0};

	if (!f)
		return;
	getrlimit(RLIMIT_STACK, &stack);
	while (read_line(f, &l)) {
		uint64_t page, pages = (l.end - l.start) >> PAGE_SHIFT;
		uint32_t region = RCL_NATIVE_ANON;

		if (strstr(l.path, "qemu-x86_64"))
			break;
		if (l.start < guest_base)
			continue;
		page = (l.start - guest_base) >> PAGE_SHIFT;
		if (!(l.flags & RCL_MAP_READ)) {
			guard_end = l.end;
			before = RCL_NATIVE_ANON;
			continue; /* holes that QEMU keeps free, and guard pages */
		}
		if (*l.path == '/')
			region = file_region_stat(-100, l.path, 0, NULL, NULL, true);
		if (region != RCL_NATIVE_ANON && region != NO_REGION) {
			l.flags |= RCL_MAP_FILE;
			if (!(l.flags & RCL_MAP_WRITE))
				l.flags |= RCL_MAP_EXEC;
		} else {
			region = RCL_NATIVE_ANON;
			if (l.start == guard_end)
				region = RCL_NATIVE_STACK;
			else if (before >= RCL_NATIVE_FIRST_FILE)
				region = RCL_NATIVE_BSS;
		}
		layout_map(c, page, pages, l.flags, region, l.offset >> PAGE_SHIFT);
		before = region;
	}
	fclose(f);
}
