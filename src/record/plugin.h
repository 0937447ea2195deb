/* SPDX-License-Identifier: MIT */
/*
 * The recorder's half that runs inside the emulator, one copy in each process of the recording.
 *
 *   plugin.c    QEMU's callbacks, and the window: which pages were touched, each once
 *   stream.c    the window's items as records, records as chunks, chunks into the trace
 *   layout.c    what is mapped where, so that an access can name its region
 *   files.c     which region a file is, and when it has gone
 *   syscalls.c  system calls: the layout's changes, files read and written, new tasks
 *
 * Locking: everything of a cpu is touched by its own thread, and by the one that ends the process;
 * cpu->lock is for these two, and is taken where the window or the stream changes, not for a page
 * already in it. The layout has a lock of its own. The order: cpu, layout, control.
 */
#ifndef RCL_RECORD_PLUGIN_H
#define RCL_RECORD_PLUGIN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "record/control.h"
#include "trace/areas.h"
#include "trace/native.h"

#define PAGE_SHIFT  12
#define PAGE_SIZE   (1ull << PAGE_SHIFT)
#define CPUS_MAX    4096u
#define RECENT	    256u /* pages known to be in the window, without a look-up */
#define FDS_MAX	    65536
#define NO_REGION   UINT32_MAX
#define FLUSH_EVERY 256u /* windows after which a chunk is written, however small */

/* One thing that happened in a window, in one word. */
enum {
	ITEM_TYPE_SHIFT = 56,
	ITEM_REGION_SHIFT = 36
};
#define ITEM_PAGE_MASK ((1ull << ITEM_REGION_SHIFT) - 1)

/* A page of this window. Of an older window: a free slot. */
struct slot {
	uint64_t page;
	uint32_t window;
	bool written;
};

struct call {
	int64_t number;
	uint64_t arg[6];
	uint32_t region; /* of the file that the call will close or unlink */
	uint32_t child;
	uint64_t bytes; /* of the file, before */
};

struct cpu {
	uint64_t recent[RECENT]; /* page << 1 | written */
	uint64_t left;		 /* references until the window ends */
	uint64_t instructions;
	pthread_mutex_t lock;
	uint32_t task;
	bool ended;
	uint64_t fetched; /* page of the last instructions */
	uint32_t window, nr_items, max_items;
	uint32_t mask; /* slots - 1 */
	struct slot *slots;
	uint64_t *items;
	uint64_t *args; /* of items that need more than a word */
	uint32_t nr_args, max_args;
	uint32_t seq; /* of the layout, as this cpu saw it last */
	struct call call;
	uint32_t pending_child; /* a thread that this one is about to start */

	/* The chunk that is being filled. */
	uint8_t *raw;
	uint32_t raw_size, raw_records, raw_windows;
	uint64_t last_page, last_offset;
	uint32_t last_region;
	uint8_t *packed; /* room for a compressed chunk */
};

struct recorder {
	struct rcl_control *control;
	uint64_t window_size;
	uint32_t process;
	uint32_t task; /* of its first thread */
	int pid;
	bool stopping, started;
	char out_path[4096], control_path[256], plugin_path[4096], qemu_path[4096];
	int out;
	struct cpu *cpus[CPUS_MAX];

	pthread_rwlock_t layout_lock;
	struct rcl_areas areas;
	uint32_t seq;
	uint64_t brk; /* address; 0: not known yet */

	uint32_t fds[FDS_MAX]; /* 0: not known; 1: no file; else region + 2 */
	struct {
		int pid;
		uint32_t task;
	} * children;
	uint32_t nr_children, max_children;
};

extern struct recorder rec;

void *must(void *p);
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* plugin.c */
struct cpu *cpu_new(uint32_t task);
void cpu_end_window(struct cpu *c);
void cpu_touch(struct cpu *c, uint64_t address, uint64_t bytes, unsigned int record);
/* An item of arguments; an enum rcl_native_event in `event` when `record` is RCL_REC_EVENT. */
void cpu_note(struct cpu *c, unsigned int record, unsigned int event, const uint64_t *args,
	      unsigned int nr);
/* Pages of a range may be other pages from here on: forget that they are in the window. */
void cpu_forget(struct cpu *c, uint64_t page, uint64_t pages);
/* All of this process is written out; nothing more will be. */
void record_stop(void);
void record_child(struct cpu *c, uint32_t task, uint32_t parent);

/* stream.c */
bool stream_open(void);
void stream_add_window(struct cpu *c, uint64_t references, uint64_t instructions);
void stream_flush(struct cpu *c);
void stream_region(uint32_t id, unsigned int kind, uint64_t bytes, const char *name);
void stream_task(uint32_t id, uint32_t process, uint32_t parent, unsigned int how);

/* layout.c: all but find change the layout, and note it. */
uint32_t layout_find(uint64_t page);
void layout_read(struct cpu *c);
void layout_map(struct cpu *c, uint64_t page, uint64_t pages, uint32_t flags, uint32_t region,
		uint64_t pgoff);
void layout_unmap(struct cpu *c, uint64_t page, uint64_t pages);
void layout_move(struct cpu *c, uint64_t page, uint64_t pages, uint64_t to, uint64_t to_pages);
void layout_change(struct cpu *c, unsigned int event, uint64_t page, uint64_t pages,
		   uint64_t value);
void layout_fork(struct cpu *c, uint32_t task);
void layout_exec(struct cpu *c);
void layout_brk(struct cpu *c, uint64_t brk);
void layout_sync(struct cpu *c);

/* files.c */
uint32_t file_region(int fd);
uint32_t file_region_stat(int dir, const char *path, int flags, uint64_t *links, uint64_t *bytes,
			  bool define);
void file_forget(int fd);
bool file_is_open(uint32_t region, int except);

/* syscalls.c */
void call_begin(struct cpu *c);
void call_end(struct cpu *c, int64_t result);

#endif
