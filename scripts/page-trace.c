/* SPDX-License-Identifier: MIT */
/*
 * page-trace: a QEMU plugin that records which pages a program touches and writes to.
 *
 *   gcc -O2 -shared -fPIC -o page-trace.so page-trace.c
 *   qemu-x86_64 -plugin ./page-trace.so,out=FILE,window=100000 PROGRAM ARGUMENT...
 *
 * QEMU's user mode runs the program and calls the plugin at every load, store and block of
 * instructions; these are the references. Time is cut into windows of so many references. Within a
 * window only what sets a bit in a page table is kept: the first access of a page, "l HEX" when it
 * reads and "s HEX" when it writes, and where it reads, the first write that follows. More than the
 * accessed and dirty bits reclaim does not know about a page; that a read comes before a write
 * matters to faults, which map a page read-only first. The buffers of read and write calls, which
 * the kernel touches on the program's behalf, count too.
 *
 * What is lost is the order of repeated touches inside one window. It matters only to a memory so
 * small that one window does not fit in: the summary at the end of the file says how large the
 * widest one was.
 *
 * One thread of one process is traced. The declarations below are version 1 of QEMU's plugin
 * interface (QEMU 4.2 and later), of which distributions do not ship the header.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
typedef uint32_t plugin_meminfo;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum {
	NO_REGISTERS
};
enum {
	MEM_READ_WRITE = 3
};

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
bool qemu_plugin_mem_is_store(plugin_meminfo info);
unsigned int qemu_plugin_mem_size_shift(plugin_meminfo info);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
					   void (*fn)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*fn)(unsigned int, void *), int flags, void *arg);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      void (*fn)(unsigned int, plugin_meminfo, uint64_t, void *),
				      int flags, int rw, void *arg);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id id,
					  void (*fn)(plugin_id, unsigned int, int64_t, uint64_t,
						     uint64_t, uint64_t, uint64_t, uint64_t,
						     uint64_t, uint64_t, uint64_t));
void qemu_plugin_register_vcpu_syscall_ret_cb(plugin_id id, void (*fn)(plugin_id, unsigned int,
								       int64_t, int64_t));
void qemu_plugin_register_atexit_cb(plugin_id id, void (*fn)(plugin_id, void *), void *arg);
EXPORT int qemu_plugin_version = 1;

#define PAGE_SHIFT 12
#define RECENT	   64 /* pages known to be touched in this window, without a look-up */

/* Of x86-64. */
enum {
	SYS_READ = 0,
	SYS_WRITE = 1,
	SYS_PREAD64 = 17,
	SYS_PWRITE64 = 18
};

/* A page the program has touched: open addressing, never shrinks. */
struct slot {
	uint64_t page;	 /* + 1; 0: empty */
	uint64_t window; /* when it was touched last */
	bool written;	 /* in that window */
};

static struct {
	FILE *out;
	uint64_t window_size, window, left;
	uint64_t recent_read[RECENT], recent_written[RECENT]; /* page */
	struct slot *slots;
	uint64_t mask, pages;
	uint32_t touched, widest; /* pages in this window, in any */
	uint64_t references, records;
	uint64_t buffer; /* of the system call under way */
} state = {.window_size = 100000, .window = 1, .mask = (1 << 16) - 1};

static void *must(void *p)
{
	if (!p) {
		fprintf(stderr, "page-trace: out of memory\n");
		exit(1);
	}
	return p;
}

static struct slot *find(struct slot *slots, uint64_t mask, uint64_t page)
{
	uint64_t i = (page * 0x9e3779b97f4a7c15ull) >> 20;

	while (slots[i & mask].page && slots[i & mask].page != page + 1)
		i++;
	return &slots[i & mask];
}

static void grow(void)
{
	uint64_t mask = state.mask * 2 + 1;
	struct slot *slots = must(calloc(mask + 1, sizeof(*slots)));

	for (uint64_t i = 0; i <= state.mask; i++)
		if (state.slots[i].page)
			*find(slots, mask, state.slots[i].page - 1) = state.slots[i];
	free(state.slots);
	state.slots = slots;
	state.mask = mask;
}

static void note(uint64_t page, bool write)
{
	struct slot *s = find(state.slots, state.mask, page);

	state.recent_read[page % RECENT] = page;
	if (write)
		state.recent_written[page % RECENT] = page;
	if (!s->page) {
		if (++state.pages * 2 > state.mask) {
			grow();
			s = find(state.slots, state.mask, page);
		}
		s->page = page + 1;
	}
	if (s->window != state.window) {
		s->window = state.window;
		s->written = false;
		state.touched++;
	} else if (!write || s->written) {
		return;
	}
	s->written = write;
	state.records++;
	fprintf(state.out, "%c %llx\n", write ? 's' : 'l', (unsigned long long)page << PAGE_SHIFT);
}

static inline void touch(uint64_t page, bool write)
{
	const uint64_t *recent = write ? state.recent_written : state.recent_read;

	if (recent[page % RECENT] != page)
		note(page, write);
}

static void end_window(void)
{
	if (state.touched > state.widest)
		state.widest = state.touched;
	state.touched = 0;
	state.window++;
	state.left = state.window_size;
	memset(state.recent_read, 0xff, sizeof(state.recent_read));
	memset(state.recent_written, 0xff, sizeof(state.recent_written));
}

static void reference(uint64_t address, uint64_t size, bool write)
{
	touch(address >> PAGE_SHIFT, write);
	if (((address + size - 1) ^ address) >> PAGE_SHIFT)
		touch((address + size - 1) >> PAGE_SHIFT, write);
	state.references++;
	if (!--state.left)
		end_window();
}

static void on_memory(unsigned int cpu, plugin_meminfo info, uint64_t address, void *arg)
{
	(void)cpu, (void)arg;
	reference(address, 1ull << qemu_plugin_mem_size_shift(info),
		  qemu_plugin_mem_is_store(info));
}

static void on_block(unsigned int cpu, void *arg)
{
	(void)cpu;
	reference((uint64_t)(uintptr_t)arg, 1, false);
}

static void on_translate(plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (!i)
			qemu_plugin_register_vcpu_tb_exec_cb(
				tb, on_block, NO_REGISTERS,
				(void *)(uintptr_t)qemu_plugin_insn_vaddr(insn));
		qemu_plugin_register_vcpu_mem_cb(insn, on_memory, NO_REGISTERS, MEM_READ_WRITE,
						 NULL);
	}
}

static void on_syscall(plugin_id id, unsigned int cpu, int64_t number, uint64_t a1, uint64_t a2,
		       uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
	(void)id, (void)cpu, (void)number;
	(void)a1, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
	state.buffer = a2;
}

static void on_syscall_return(plugin_id id, unsigned int cpu, int64_t number, int64_t result)
{
	bool reads = number == SYS_READ || number == SYS_PREAD64;

	(void)id, (void)cpu;
	if (result <= 0 || !(reads || number == SYS_WRITE || number == SYS_PWRITE64))
		return;
	for (uint64_t page = state.buffer >> PAGE_SHIFT;
	     page <= (state.buffer + (uint64_t)result - 1) >> PAGE_SHIFT; page++)
		reference(page << PAGE_SHIFT, 1, reads);
}

static void on_end(plugin_id id, void *arg)
{
	(void)id, (void)arg;
	end_window();
	fprintf(state.out,
		"# %llu references in windows of %llu; %llu records; %llu pages; "
		"at most %u pages in a window\n",
		(unsigned long long)state.references, (unsigned long long)state.window_size,
		(unsigned long long)state.records, (unsigned long long)state.pages, state.widest);
	if (fclose(state.out))
		perror("page-trace");
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4))
			state.out = fopen(argv[i] + 4, "w");
		else if (!strncmp(argv[i], "window=", 7))
			state.window_size = strtoull(argv[i] + 7, NULL, 10);
	}
	if (!state.out || !state.window_size) {
		fprintf(stderr, "page-trace: out=FILE (writable) and window=N (above 0) needed\n");
		return 1;
	}
	state.slots = must(calloc(state.mask + 1, sizeof(*state.slots)));
	state.left = state.window_size;
	memset(state.recent_read, 0xff, sizeof(state.recent_read));
	memset(state.recent_written, 0xff, sizeof(state.recent_written));
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
	qemu_plugin_register_vcpu_syscall_ret_cb(id, on_syscall_return);
	qemu_plugin_register_atexit_cb(id, on_end, NULL);
	return 0;
}
