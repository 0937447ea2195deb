/* SPDX-License-Identifier: MIT */
/*
 * A run while it runs: what the driver's files share.
 *
 *   driver.c  from the request to an open machine, and from its end to the result
 *   start.c   what is in memory before the first access
 *   replay.c  the accesses
 *   play.c    the same for recordings, which have a layout that changes
 *   watch.c   runs that take too long
 *   content.c checking runs: what each page must hold
 *   sim_world.c  the simulator under all this (world.h)
 */
#ifndef RCL_SIM_RUN_H
#define RCL_SIM_RUN_H

#include "mm/machine.h"
#include "mm/mm.h"
#include "mm/swap.h"
#include "mm/writeback.h"
#include "sim/driver.h"

/* Where a region of the trace is. */
struct place {
	u64 base;  /* virtual page number of its page 0 */
	u64 pages; /* its size */
	bool is_file;
	struct mapping *mapping; /* files: shared by all tasks */
	u64 *stamps;		 /* content expected of each page; 0 = never written */
	/* see replay.c */
	struct page_table **tables; /* table i maps base + i * 512 and on */
	void ***leaves; /* file's page i * 64 was last seen to have its entry there, and so on */
};

/* An address space, and the regions as its tasks see them. */
struct process {
	struct mm *mm;
	struct place *places; /* one per region */
	struct file *files;   /* one per region: open files of this process */
};

/* Where an access that is still to come will look; see replay.c. */
union upcoming {
	pte_t *pte;  /* memory: its page-table word; NULL: the long way */
	void **slot; /* calls: where the page cache keeps the page's entry; NULL: nowhere yet */
};
#define UPCOMING 64

/* A task of the trace. */
struct runner {
	struct run *run;
	struct process *process;
	struct task task;
	bool attached;	  /* the machine knows the task */
	u16 id;		  /* as in the trace */
	const u64 *words; /* its accesses */
	u64 nr_words, done;
	u64 located, fetched; /* accesses looked at ahead */
	union upcoming upcoming[UPCOMING];
	u64 write_region, write_first, write_end; /* write() under way; end 0: none */
	bool write_disturbed;			  /* others wrote to its pages meanwhile */
	bool longest;				  /* reports progress and keeps the timeline */
	u64 end_ns;
};

struct world_ops;

struct run {
	const struct rcl_sim_request *req;
	struct rcl_sim_result *res;
	const struct world_ops *world; /* c: what it stands on (world.h) */
	void *world_arg;	       /* c: what the caller told it */
	void *world_state;	       /* its own */
	struct rcl_error *err;	       /* c: where to say why, if that is more than a number */
	bool explained;		       /* somebody did */
	void *content;		       /* of a world that keeps its own account of it */
	int verified;		       /* how that ended */
	struct platform *plat;
	struct rcl *m;
	struct memcg *group; /* the program's; NULL: it runs in the root group */
	u16 disk, swap;
	u64 disk_blocks; /* used so far */

	u32 nr_runners, nr_processes, nr_alive;
	struct runner *runners;
	struct process *processes;
	struct play *play; /* play.c: of a recording; else NULL */
	bool stop;	   /* somebody failed in a way that ends the whole run */
	u64 check_every;   /* accesses; 0 = never */
	u64 start_ns;
	u64 timeline_stall; /* stall time at the last mark */

	/* start.c */
	u64 program_base;    /* first page of the program's own memory */
	struct mm *other_mm; /* the rest of the machine */
	struct mapping *program_file;
	struct folio **kernel; /* its memory */
	u64 nr_kernel, max_kernel;
	u64 own_kernel_pages; /* charged to the group beside what the engine charges */
};

/* Address of the first region, in pages; the program's own memory is below. */
#define FIRST_REGION_VPN (1ull << 24) /* 64 GiB */
#define LAST_VPN	 (1ull << 35) /* 128 TiB */
#define GIB_PAGES	 (1ull << 18)

/* Make a file of so many pages on the run's disk; of no region of the trace: NO_REGION. */
#define NO_REGION UINT32_MAX
int rcl_run_create_file(struct run *r, const char *name, u32 region, u64 pages,
			struct mapping **out);
/* Run fn to its end as a task of the program (group and mm), or of the rest of the machine. */
int rcl_run_task(struct run *r, struct mm *mm, struct memcg *group, const char *name,
		 void (*fn)(void *), void *arg, bool *killed);
/* The run ends with this outcome; the first one stands. */
void rcl_run_fail(struct run *r, enum rcl_sim_outcome outcome, u64 access, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* watch.c: from now on the request's time runs; it does no longer. */
void rcl_run_watch(struct run *r);
void rcl_run_watch_end(struct run *r);

/* start.c: 0, -EINTR (killed for want of memory), -errno. */
int rcl_run_start(struct run *r);
void rcl_run_start_undo(struct run *r);
/* Pages of it that a running program never stops using. */
void rcl_run_touch_own(struct run *r, struct mm *mm);

/* replay.c: the body of a task of the trace; arg is its struct runner. */
void rcl_run_replay(void *arg);
int rcl_run_replay_init(struct run *r);
/* Number in the trace, from 1, of a task's n-th access. */
u64 rcl_run_access_number(const struct runner *t, u64 n);

/* play.c: the same for recordings, whose tasks begin and end as the recording says. */
int rcl_run_play_init(struct run *r);
/* All files now, not when they are first used: for tasks that run at the same time. */
int rcl_run_play_open_files(struct run *r);
/* A region's file; NULL: not opened yet. */
struct mapping *rcl_run_play_mapping(const struct run *r, u32 region);
void rcl_run_play_undo(struct run *r, bool orderly);
bool rcl_run_play_is_root(const struct run *r, u32 process);
int rcl_run_play_begin(struct runner *t);
int rcl_run_play(struct runner *t, u32 n);
void rcl_run_play_end(struct runner *t, int error);

/* content.c: the simulator's part of world.h that says what pages hold. */
int rcl_run_content_init(struct run *r);
int rcl_run_check_memory(struct runner *t, u32 region, u64 page, bool write);
bool rcl_run_check_read(struct runner *t, u32 region, u64 page, u64 stamp);
u64 rcl_run_begin_write(struct runner *t, u32 region, u64 page, u64 pages);
void rcl_run_end_write(struct runner *t, bool failed);

#endif
