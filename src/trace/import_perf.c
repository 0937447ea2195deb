/* SPDX-License-Identifier: MIT */
/*
 * Page faults as perf script prints them. A line counts if it has the name of a page-fault event,
 * with the address behind it:
 *
 *   1234/1235  page-faults:  7f12a4c0b000 ...
 *   sort 1234 [001] 12.3: exceptions:page_fault_user: address=0x7f12a4c0b000 ip=... error_code=0x6
 *
 * The tracepoint's error code says whether it was a write (bit 1); the software event does not.
 * Nothing tells what was mapped where: all is anonymous memory, mapped as it is touched.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace/convert.h"
#include "trace/import.h"
#include "trace/native_write.h"

#define TASKS_MAX 4096
#define RUN	  512 /* pages that are mapped together */

struct task {
	long tid;
	uint32_t process; /* task that stands for it */
	long pid;
	uint64_t seq;	/* of the process's first task */
	uint64_t *runs; /* mapped: numbers + 1, open addressing */
	uint64_t mask, nr;
};

struct perf {
	struct rcl_native_writer *w;
	struct task *tasks;
	uint32_t nr_tasks;
	uint64_t accesses;
};

static struct task *task_of(struct perf *p, long pid, long tid)
{
	struct task *t = p->tasks, *leader = NULL;

	for (; t < p->tasks + p->nr_tasks; t++) {
		if (t->tid == tid)
			return t;
		if (t->pid == pid && !leader)
			leader = t;
	}
	if (p->nr_tasks == TASKS_MAX)
		return NULL;
	*t = (struct task){.tid = tid, .pid = pid};
	t->process = leader ? leader->process : p->nr_tasks;
	if (p->nr_tasks)
		rcl_native_put_task(p->w, p->nr_tasks, t->process, 0, RCL_NATIVE_FIRST);
	p->nr_tasks++;
	return t;
}

/* Map the run a page lies in, once a process. */
static int map_run(struct perf *p, uint32_t task, uint64_t page)
{
	struct task *t = &p->tasks[p->tasks[task].process];
	uint64_t run = page / RUN, i;

	if (2 * t->nr >= t->mask) {
		uint64_t mask = t->mask ? 2 * t->mask + 1 : 63;
		uint64_t *runs = calloc(mask + 1, sizeof(*runs));

		if (!runs)
			return -ENOMEM;
		for (uint64_t k = 0; t->mask && k <= t->mask; k++) {
			if (!t->runs[k])
				continue;
			for (i = t->runs[k]; runs[i & mask]; i++)
				;
			runs[i & mask] = t->runs[k];
		}
		free(t->runs);
		t->runs = runs;
		t->mask = mask;
	}
	for (i = run + 1; t->runs[i & t->mask]; i++)
		if (t->runs[i & t->mask] == run + 1)
			return 0;
	t->runs[i & t->mask] = run + 1;
	t->nr++;
	rcl_native_put_event(p->w, task, RCL_EVENT_MAP,
			     (uint64_t[]){t->seq++, run * RUN, RUN, RCL_MAP_READ | RCL_MAP_WRITE,
					  RCL_NATIVE_ANON, 0});
	return 0;
}

static void ids(const char *line, long *pid, long *tid)
{
	char *end;

	/* The first number that stands alone: "1234", or "1234/1235". */
	for (const char *w = line; *w; w += strcspn(w, " \t")) {
		w += strspn(w, " \t");
		*pid = *tid = strtol(w, &end, 10);
		if (end > w && *end == '/')
			*tid = strtol(end + 1, &end, 10);
		if (end > w && (!*end || *end == ' ' || *end == '\t'))
			return;
	}
	*pid = *tid = 0;
}

static int one_line(struct perf *p, const char *line)
{
	const char *event = strstr(line, "page-faults"), *at, *code;
	bool write = false;
	uint64_t address;
	struct task *t;
	long pid, tid;
	char *end;

	if (!event)
		event = strstr(line, "page_fault_user");
	if (!event)
		event = strstr(line, "page-fault");
	if (!event || !(at = strchr(event, ' ')))
		return 0;
	at += strspn(at, " \t");
	if (!strncmp(at, "address=", 8))
		at += 8;
	address = strtoull(at, &end, 16);
	if (end == at || address >> 12 >= RCL_TRACE_PAGES_MAX)
		return 0;
	code = strstr(at, "error_code=");
	if (code)
		write = strtoull(code + 11, NULL, 0) & 2;
	ids(line, &pid, &tid);
	t = task_of(p, pid, tid);
	if (!t)
		return 0;
	p->accesses++;
	if (map_run(p, (uint32_t)(t - p->tasks), address >> 12))
		return -ENOMEM;
	rcl_native_put_access(p->w, (uint32_t)(t - p->tasks), write ? RCL_REC_WRITE : RCL_REC_READ,
			      RCL_NATIVE_ANON, address >> 12);
	return 0;
}

static int line_of(void *arg, char *line)
{
	return one_line(arg, line);
}

int rcl_import_perf(const char *path, const char *out, struct rcl_error *err)
{
	struct rcl_native_info info = {
		.source = RCL_NATIVE_PERF, .command = path, .command_size = strlen(path) + 1};
	struct perf p = {0};
	int rc, closed;

	p.tasks = calloc(TASKS_MAX, sizeof(*p.tasks));
	if (!p.tasks)
		return rcl_error_set(err, -ENOMEM, "out of memory");
	rc = rcl_native_create(out, &info, &p.w, err);
	if (rc) {
		free(p.tasks);
		return rc;
	}
	rcl_native_put_start(p.w);
	rc = rcl_import_lines(path, line_of, &p, err);
	if (rc == -ENOMEM)
		rcl_error_set(err, rc, "%s: out of memory", path);
	if (!rc && !p.accesses)
		rc = rcl_error_set(err, -EBADMSG,
				   "%s: no page fault with an address is in it; record with "
				   "'perf record -d -e page-faults'",
				   path);
	if (!rc)
		rcl_native_put_end(p.w, 0, 0);
	closed = rcl_native_close(p.w, rc ? NULL : err);
	for (uint32_t i = 0; i < p.nr_tasks; i++)
		free(p.tasks[i].runs);
	free(p.tasks);
	return rc ? rc : closed;
}
