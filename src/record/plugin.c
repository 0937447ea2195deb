/* SPDX-License-Identifier: MIT */
/*
 * What QEMU tells, and the window.
 *
 * A reference is a load, a store, or the start of a block of instructions. Each task's references
 * are cut into windows. A page touched in a window becomes one record, where it was touched first,
 * and a second one where it was first written to if it had been read before: what a look at the
 * accessed and dirty bits at the window's end would show, and the order in which they were set.
 *
 * Nearly all references are to pages that are already in the window. They cost a look into a small
 * table that has one place for each page, and the countdown.
 */
#include "record/plugin.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/qemu_plugin.h"

PLUGIN_EXPORT int qemu_plugin_version = 1;

struct recorder rec = {.window_size = 100000, .out = -1, .layout_lock = PTHREAD_RWLOCK_INITIALIZER};

/* The task that a clone under way in this thread will start, and who starts it. */
static __thread struct cpu *cloning;

void complain(const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n = snprintf(text, sizeof(text), "reclaim record: ");

	va_start(ap, fmt);
	n += vsnprintf(text + n, sizeof(text) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(text) - 2)
		n = sizeof(text) - 2;
	text[n++] = '\n';
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		return;
}

void *must(void *p)
{
	if (!p) {
		complain("out of memory");
		_exit(125);
	}
	return p;
}

/* ---- The window ----------------------------------------------------------------------------- */

struct cpu *cpu_new(uint32_t task)
{
	struct cpu *c = must(calloc(1, sizeof(*c)));

	c->task = task;
	c->left = rec.window_size;
	c->window = 1;
	c->mask = 4095;
	c->slots = must(calloc(c->mask + 1, sizeof(*c->slots)));
	c->max_items = 1024;
	c->items = must(malloc(c->max_items * sizeof(*c->items)));
	c->max_args = 256;
	c->args = must(malloc(c->max_args * sizeof(*c->args)));
	c->raw = must(malloc(RCL_NATIVE_RAW_MAX));
	c->packed = must(malloc(RCL_NATIVE_CHUNK_HEADER + RCL_NATIVE_STORED_MAX));
	c->last_region = NO_REGION;
	c->fetched = UINT64_MAX;
	memset(c->recent, 0xff, sizeof(c->recent));
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

static struct slot *find(struct cpu *c, uint64_t page)
{
	uint64_t i = (page * 0x9e3779b97f4a7c15ull) >> 32;

	for (;; i++) {
		struct slot *s = &c->slots[i & c->mask];

		if (s->window != c->window || s->page == page)
			return s;
	}
}

static void grow(struct cpu *c)
{
	struct slot *old = c->slots;
	uint32_t nr = c->mask + 1;

	c->mask = 2 * nr - 1;
	c->slots = must(calloc(c->mask + 1, sizeof(*c->slots)));
	for (uint32_t i = 0; i < nr; i++)
		if (old[i].window == c->window)
			*find(c, old[i].page) = old[i];
	free(old);
}

static void push(struct cpu *c, uint64_t item)
{
	if (c->nr_items == c->max_items) {
		c->max_items *= 2;
		c->items = must(realloc(c->items, c->max_items * sizeof(*c->items)));
	}
	c->items[c->nr_items++] = item;
}

void cpu_note(struct cpu *c, unsigned int record, unsigned int event, const uint64_t *args,
	      unsigned int nr)
{
	if (rec.stopping)
		return;
	pthread_mutex_lock(&c->lock);
	if (c->nr_args + nr > c->max_args) {
		c->max_args = 2 * c->max_args + nr;
		c->args = must(realloc(c->args, c->max_args * sizeof(*c->args)));
	}
	push(c, (uint64_t)record << ITEM_TYPE_SHIFT | (uint64_t)event << ITEM_REGION_SHIFT |
			c->nr_args);
	for (unsigned int i = 0; i < nr; i++)
		c->args[c->nr_args++] = args[i];
	pthread_mutex_unlock(&c->lock);
}

/* A page that is not among the recent ones. */
static __attribute__((noinline)) void note_page(struct cpu *c, uint64_t page, unsigned int record)
{
	struct slot *s;

	if (rec.stopping)
		return;
	if (__atomic_load_n(&rec.seq, __ATOMIC_RELAXED) != c->seq)
		layout_sync(c);
	s = find(c, page);
	c->recent[page % RECENT] = page << 1 | (record == RCL_REC_WRITE);
	if (s->window == c->window) {
		if (record != RCL_REC_WRITE || s->written)
			return;
	}
	pthread_mutex_lock(&c->lock);
	if (c->nr_items * 2 > c->mask) {
		grow(c);
		s = find(c, page);
	}
	*s = (struct slot){.page = page, .window = c->window, .written = record == RCL_REC_WRITE};
	push(c, (uint64_t)record << ITEM_TYPE_SHIFT |
			(uint64_t)layout_find(page) << ITEM_REGION_SHIFT | (page & ITEM_PAGE_MASK));
	pthread_mutex_unlock(&c->lock);
}

static inline void touch(struct cpu *c, uint64_t page, unsigned int record)
{
	uint64_t known = c->recent[page % RECENT];

	if (__builtin_expect(known >> 1 != page || (record == RCL_REC_WRITE && !(known & 1)), 0))
		note_page(c, page, record);
}

void cpu_end_window(struct cpu *c)
{
	uint64_t references = rec.window_size - c->left;

	pthread_mutex_lock(&c->lock);
	if ((c->nr_items || references) && !c->ended)
		stream_add_window(c, references, c->instructions);
	c->nr_items = c->nr_args = 0;
	c->instructions = 0;
	c->left = rec.window_size;
	c->fetched = UINT64_MAX;
	if (!++c->window) { /* all stamps are to be older than the window */
		memset(c->slots, 0, (c->mask + 1ull) * sizeof(*c->slots));
		c->window = 1;
	}
	memset(c->recent, 0xff, sizeof(c->recent));
	pthread_mutex_unlock(&c->lock);
}

static inline void count(struct cpu *c)
{
	if (__builtin_expect(!--c->left, 0))
		cpu_end_window(c);
}

void cpu_touch(struct cpu *c, uint64_t address, uint64_t bytes, unsigned int record)
{
	if (!bytes)
		return;
	for (uint64_t page = address >> PAGE_SHIFT; page <= (address + bytes - 1) >> PAGE_SHIFT;
	     page++) {
		touch(c, page, record);
		count(c);
	}
}

void cpu_forget(struct cpu *c, uint64_t page, uint64_t pages)
{
	pthread_mutex_lock(&c->lock);
	for (uint32_t i = 0; i < c->nr_items; i++) {
		uint64_t p = c->items[i] & ITEM_PAGE_MASK;
		struct slot *s;

		if ((c->items[i] >> ITEM_TYPE_SHIFT) > RCL_REC_EXEC || p < page ||
		    p >= page + pages)
			continue;
		s = find(c, p);
		if (s->window == c->window)
			s->page = UINT64_MAX; /* the slot stays taken: others may lie behind it */
	}
	c->fetched = UINT64_MAX;
	memset(c->recent, 0xff, sizeof(c->recent));
	pthread_mutex_unlock(&c->lock);
}

/* ---- Processes ------------------------------------------------------------------------------ */

void record_stop(void)
{
	if (__atomic_exchange_n(&rec.stopping, true, __ATOMIC_ACQ_REL))
		return;
	for (uint32_t i = 0; i < CPUS_MAX; i++) {
		struct cpu *c = rec.cpus[i];

		if (!c || c->ended)
			continue;
		cpu_end_window(c);
		pthread_mutex_lock(&c->lock);
		stream_flush(c);
		c->ended = true;
		pthread_mutex_unlock(&c->lock);
	}
}

/* This is the child of a fork: the only thread in it, with a window that is empty. */
void record_child(struct cpu *c, uint32_t task, uint32_t parent)
{
	for (uint32_t i = 0; i < CPUS_MAX; i++)
		if (rec.cpus[i] != c)
			rec.cpus[i] = NULL; /* a thread of the parent; its memory is not ours */
	pthread_mutex_init(&c->lock, NULL);
	pthread_rwlock_init(&rec.layout_lock, NULL);
	c->task = task;
	c->nr_items = c->nr_args = 0;
	c->raw_size = c->raw_records = c->raw_windows = 0;
	c->last_region = NO_REGION;
	c->last_page = c->last_offset = 0;
	c->pending_child = 0;
	c->seq = rec.seq = 0;
	rec.process = rec.task = task;
	rec.pid = getpid();
	rec.nr_children = 0;
	stream_task(task, task, parent, RCL_NATIVE_FORKED);
}

/* ---- Callbacks ------------------------------------------------------------------------------ */

struct block {
	uint64_t first, last; /* pages of its instructions */
	uint32_t instructions;
};

static void on_memory(unsigned int cpu, qemu_meminfo info, uint64_t address, void *arg)
{
	struct cpu *c = rec.cpus[cpu];
	unsigned int record = qemu_plugin_mem_is_store(info) ? RCL_REC_WRITE : RCL_REC_READ;
	uint64_t page = address >> PAGE_SHIFT;
	uint64_t end = address + (1ull << qemu_plugin_mem_size_shift(info)) - 1;

	(void)arg;
	touch(c, page, record);
	if (__builtin_expect(end >> PAGE_SHIFT != page, 0))
		touch(c, end >> PAGE_SHIFT, record);
	count(c);
}

static void on_block(unsigned int cpu, void *arg)
{
	struct cpu *c = rec.cpus[cpu];
	const struct block *b = arg;

	if (b->last != c->fetched || b->first != b->last) {
		touch(c, b->first, RCL_REC_EXEC);
		if (b->last != b->first)
			touch(c, b->last, RCL_REC_EXEC);
		c->fetched = b->last;
	}
	c->instructions += b->instructions;
	count(c);
}

/* QEMU forgets translations and makes them again; a block's few bytes are kept for good. */
static struct block *new_block(void)
{
	static __thread struct block *pool;
	static __thread unsigned int left;

	if (!left) {
		left = 1024;
		pool = must(calloc(left, sizeof(*pool)));
	}
	return &pool[--left];
}

/* The first translation: the program is in memory, and nothing of it has run. */
static void start(void)
{
	struct cpu *c = NULL;

	rec.started = true;
	for (uint32_t i = 0; i < CPUS_MAX && !c; i++)
		c = rec.cpus[i];
	if (c)
		layout_read(c);
}

static void on_translate(qemu_id id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);
	struct block *b = new_block();

	(void)id;
	if (__builtin_expect(!rec.started, 0))
		start();
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t at = qemu_plugin_insn_vaddr(insn);

		if (!i)
			b->first = at >> PAGE_SHIFT;
		b->last = (at + qemu_plugin_insn_size(insn) - 1) >> PAGE_SHIFT;
		qemu_plugin_register_vcpu_mem_cb(insn, on_memory, QEMU_NO_REGISTERS,
						 QEMU_READ_WRITE, NULL);
	}
	b->instructions = (uint32_t)n;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_NO_REGISTERS, b);
}

static void on_cpu(qemu_id id, unsigned int cpu)
{
	uint32_t task = rec.task;

	(void)id;
	if (cpu >= CPUS_MAX) {
		complain("more than %u threads at a time", CPUS_MAX);
		_exit(125);
	}
	/* A thread is made in its parent's context, which has announced it. */
	if (cloning)
		task = cloning->pending_child;
	if (rec.cpus[cpu] && rec.cpus[cpu]->task == task)
		return;
	rec.cpus[cpu] = cpu_new(task);
	if (cloning)
		rec.cpus[cpu]->seq = cloning->seq;
}

static void end_cpu(struct cpu *c)
{
	if (!c || c->ended)
		return;
	cpu_end_window(c);
	pthread_mutex_lock(&c->lock);
	stream_flush(c);
	c->ended = true;
	pthread_mutex_unlock(&c->lock);
}

static void on_cpu_exit(qemu_id id, unsigned int cpu)
{
	(void)id;
	if (cpu < CPUS_MAX)
		end_cpu(rec.cpus[cpu]);
}

static void on_syscall(qemu_id id, unsigned int cpu, int64_t number, uint64_t a1, uint64_t a2,
		       uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
	struct cpu *c = rec.cpus[cpu];

	(void)id, (void)a7, (void)a8;
	c->call = (struct call){.number = number, .arg = {a1, a2, a3, a4, a5, a6}};
	c->call.region = NO_REGION;
	c->pending_child = 0;
	call_begin(c);
	cloning = c->pending_child ? c : NULL;
}

static void on_syscall_return(qemu_id id, unsigned int cpu, int64_t number, int64_t result)
{
	struct cpu *c = rec.cpus[cpu];

	(void)id;
	cloning = NULL;
	if (c->call.number == number)
		call_end(c, result);
}

static void on_end(qemu_id id, void *arg)
{
	(void)id, (void)arg;
	if (rec.pid == getpid())
		record_stop();
}

static bool parse(const char *arg)
{
	const char *value = strchr(arg, '=');
	size_t n = value ? (size_t)(value - arg) : 0;

	if (!value)
		return false;
	value++;
#define IS(name) (n == strlen(name) && !strncmp(arg, name, n))
	if (IS("out"))
		snprintf(rec.out_path, sizeof(rec.out_path), "%s", value);
	else if (IS("control"))
		snprintf(rec.control_path, sizeof(rec.control_path), "%s", value);
	else if (IS("self"))
		snprintf(rec.plugin_path, sizeof(rec.plugin_path), "%s", value);
	else if (IS("qemu"))
		snprintf(rec.qemu_path, sizeof(rec.qemu_path), "%s", value);
	else if (IS("window"))
		rec.window_size = strtoull(value, NULL, 10);
	else if (IS("task"))
		rec.task = (uint32_t)strtoul(value, NULL, 10);
	else if (IS("process"))
		rec.process = (uint32_t)strtoul(value, NULL, 10);
	else if (IS("seq"))
		rec.seq = (uint32_t)strtoul(value, NULL, 10);
	else
		return false;
#undef IS
	return true;
}

PLUGIN_EXPORT int qemu_plugin_install(qemu_id id, const void *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!parse(argv[i])) {
			complain("unknown plugin argument '%s'", argv[i]);
			return 1;
		}
	}
	if (!rec.window_size || !*rec.out_path || !*rec.control_path) {
		complain("the plugin is for 'reclaim record', which gives its arguments");
		return 1;
	}
	rec.pid = getpid();
	if (!stream_open())
		return 1;
	qemu_plugin_register_vcpu_init_cb(id, on_cpu);
	qemu_plugin_register_vcpu_exit_cb(id, on_cpu_exit);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
	qemu_plugin_register_vcpu_syscall_ret_cb(id, on_syscall_return);
	qemu_plugin_register_atexit_cb(id, on_end, NULL);
	return 0;
}
