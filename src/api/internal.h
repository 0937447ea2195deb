/* SPDX-License-Identifier: MIT */
/*
 * What stands behind the public handles.
 *
 * Each area is an address space of the engine with one mapping in it that starts at page 0, so that
 * page N of the area is virtual page N. What several areas of one file share is a backing.
 *
 * Field legend:  c constant after creation   A atomic   L machine->lock   D area->lock
 *                B backing->lock, for writing to change, for reading to look
 *
 * Locks, outermost first: machine->lock, backing->lock, area->lock, whatever the engine takes.
 * machine->lock is never held while waiting for memory or I/O.
 */
#ifndef RCL_API_INTERNAL_H
#define RCL_API_INTERNAL_H

#include <pthread.h>
#include <time.h>

#include "mm/machine.h"
#include "mm/mm.h"
#include "platform/host/host.h"
#include "reclaim/reclaim.h"

struct events;	/* event.c */
struct puncher; /* punch.c */

/* Flushers: one for each filesystem that has files open, the last for all that come after. */
#define MAX_FILESYSTEMS 64u

/* Pressure over the last second, and what has been told of a group or the machine (event.c). */
#define PRESSURE_SAMPLES 10u
struct watch {
	u64 some_ns[PRESSURE_SAMPLES]; /* L: stall times, a ring */
	u32 pos, nr;		       /* L: next place in it; samples taken */
	enum rcl_pressure level;       /* L: told */
	u64 limits, ooms;	       /* L: counts that were told */
};

struct rcl_machine {
	struct rcl_host *host; /* c */
	struct rcl *m;	       /* c */
	char *arena;	       /* c: frame 0 */
	char *name;	       /* c */
	u64 budget, swap_size; /* c: bytes */
	int swap_dev;	       /* c: -1 = none */
	u32 freed;   /* A: wait word: changes when something frees memory that reclaim could not */
	u64 refused; /* A: calls that the machine had no memory for */

	pthread_mutex_t lock;
	struct list_head groups, areas, backings; /* L */
	struct list_head former;		  /* L: groups that were destroyed (group.c) */
	u64 nr_blocks;				  /* L: out of rcl_frames_alloc() */
	u32 nr_filesystems;			  /* L */
	u64 filesystems[MAX_FILESYSTEMS];	  /* L: st_dev of each */
	u64 past_errors, past_checksum_errors;	  /* L: of devices that were closed */
	struct watch watch;			  /* L */
	struct events *events;			  /* A: NULL before the first rcl_event_fd() */
	struct rcl_observer *observer;		  /* c: NULL = none (observe.h) */
	struct puncher *puncher;		  /* c: NULL = none */
};

struct rcl_group {
	struct rcl_machine *machine; /* c */
	struct rcl_group *parent;    /* c */
	struct memcg *memcg;	     /* c */
	struct list_head link;	     /* L: machine->groups */
	u64 users;		     /* L: areas, groups below, blocks of frames */
	struct watch watch;	     /* L */
};

struct old_dir;

struct rcl_area {
	/* What pinning reads: one cache line. The first four are known to reclaim/inline.h. */
	u64 pages;		     /* A */
	struct page_table **dir;     /* A: tables of 512 pages each; NULL: not known yet */
	char *arena;		     /* c */
	size_t versions;	     /* c: mm->version_distance; 0: not RCL_AREA_OPTIMISTIC */
	struct mm *mm;		     /* c */
	struct rcl_machine *machine; /* c */
	struct rcl_group *group;     /* c: NULL = none */
	struct backing *backing;     /* c: NULL = anonymous */

	u32 flags; /* c: enum rcl_area_flag */

	pthread_mutex_t lock;
	u64 mapped;		/* D: pages that the mapping and dir have room for */
	u64 dir_slots;		/* D */
	struct old_dir *old;	/* D: smaller directories, that somebody may still be reading */
	enum rcl_madvice order; /* D: of accesses, as advised */
	struct file file;	/* the engine's, of this area */
	struct list_head link;	/* L: machine->areas */
	struct list_head backing_link; /* B: backing->areas */
};

/* A file, for all the areas of it. */
struct backing {
	struct rcl_machine *machine; /* c */
	struct list_head link;	     /* L: machine->backings */
	u32 users;		     /* L */
	u64 st_dev, st_ino;	     /* c */
	bool is_block;		     /* c */
	bool writable;		     /* L */
	int dev;		     /* A: device that it is read and written through */
	int read_dev;		     /* L: the one before it was opened for writing, -1 = none */
	struct mapping *mapping;     /* c */
	u32 told_err;		     /* L: event.c: error sequence that was told */
	/*
	 * Faults hold it for reading, and what takes pages away or changes the size for writing:
	 * then a page that is not mapped is not going to be.
	 */
	pthread_rwlock_t lock;
	struct list_head areas; /* B */
	u64 bytes;		/* B, A: size */
};

static inline bool api_is_alive(const struct rcl_machine *machine)
{
	return rcl_host_is_alive(machine->host);
}
static inline struct memcg *api_memcg(const struct rcl_group *group)
{
	return group ? group->memcg : NULL;
}
/*
 * No call is a cancellation point, or a thread that is cancelled would take locks with it. Tasks
 * see to that themselves; this declaration is for functions that do things without.
 */
static inline int api_cancel_off(void)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return state;
}
static inline void api_cancel_restore(const int *state)
{
	pthread_setcancelstate(*state, NULL);
}
#define API_UNCANCELLED                                                                            \
	__attribute__((cleanup(api_cancel_restore), unused)) int cancel_state = api_cancel_off()

/* The calling thread is a task of the machine, and the group pays. NULL: out of memory. */
static inline struct task *api_enter(struct rcl_machine *machine, const struct rcl_group *group)
{
	return rcl_host_enter(machine->host, api_memcg(group));
}
static inline void api_leave(struct rcl_machine *machine, struct task *t)
{
	rcl_host_leave(machine->host, t);
}
static inline u64 area_pages(const struct rcl_area *area)
{
	return __atomic_load_n(&area->pages, __ATOMIC_ACQUIRE);
}
/* [first, first + nr) lies in the area. */
static inline bool area_has(const struct rcl_area *area, u64 first, u64 nr)
{
	u64 pages = area_pages(area);

	return first <= pages && nr <= pages - first;
}

/* ---- machine.c ---- */

/* What a machine of the library starts with. */
void rcl_api_tunables_defaults(struct tunables *t);
/* *message (if message is not NULL) becomes the formatted text. Returns err. */
int rcl_api_fail(char **message, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Check what does not depend on the system. *out: with all fields, whatever the caller's size. */
int rcl_options_check(const struct rcl_options *options, struct rcl_options *out, char **message);

/* rcl_open() with faults in its I/O, for tests. */
int rcl_open_with_faults(const struct rcl_options *options, struct rcl_host_faults *faults,
			 struct rcl_machine **out, char **message);
/* Errors of a device are the machine's, also after it is closed. */
void rcl_machine_close_device(struct rcl_machine *machine, int dev);

/* ---- wait.c ---- */

/* How long a call has been waiting for memory. */
struct patience {
	u64 ns;	     /* the next sleep */
	u32 seen;    /* machine->freed before the last attempt */
	u32 looks;   /* paid for so far */
	s64 written; /* pages, before the last attempt */
};
void rcl_patience_begin(struct rcl_machine *machine, struct patience *p);
/*
 * An attempt failed for lack of memory. True: `how` says to try again, and it is time to. False:
 * the refusal has been counted.
 */
bool rcl_patience_wait(struct rcl_machine *machine, struct rcl_group *group, u32 how,
		       struct patience *p);
/* Memory came free that reclaim could not have freed. */
void rcl_memory_freed(struct rcl_machine *machine);

/* ---- group.c ---- */

/* One more, or one fewer, user of the group, if there is one. machine->lock is held. */
void rcl_group_use(struct rcl_group *group, int n);

/* ---- area.c ---- */

/* Not linked anywhere, and of 0 pages. */
int rcl_area_create(struct rcl_machine *machine, struct rcl_group *group, u32 flags,
		    struct rcl_area **out);
/* Undo it: nothing is pinned, and nobody else knows it. */
void rcl_area_free(struct rcl_area *area);
void rcl_area_link(struct rcl_area *area);
/* Make room for so many pages in its mapping and directory; area->pages stays. Needs a task. */
int rcl_area_extend(struct rcl_area *area, u64 pages);
/* The word of a page has been found: let pins find its table. */
void rcl_area_note_table(struct rcl_area *area, u64 page, pte_t *pte);
/* Is a page of [first, first + nr) pinned? */
bool rcl_area_is_pinned(struct rcl_area *area, u64 first, u64 nr);
/* Unmap what is not pinned: 0, or -EBUSY if something is. Needs a task. */
int rcl_area_unmap(struct rcl_area *area, u64 first, u64 nr);

/* How many pages may be in memory: the machine's, or a group's limit. */
u64 rcl_area_room(const struct rcl_area *area);

/* ---- file.c ---- */

static inline void backing_read_lock(struct rcl_area *area)
{
	if (area->backing)
		pthread_rwlock_rdlock(&area->backing->lock);
}
static inline void backing_read_unlock(struct rcl_area *area)
{
	if (area->backing)
		pthread_rwlock_unlock(&area->backing->lock);
}
/* The area is the last call's: write what is dirty and let go. 0, or what writing met with. */
int rcl_backing_close(struct rcl_area *area);
int rcl_backing_punch(struct rcl_area *area, u64 first, u64 nr);

/* ---- event.c ---- */

/* Errors of a file that is about to be closed. machine->lock is held. */
void rcl_events_file_closing(struct backing *b);
/* End the monitor; the machine is closing. */
void rcl_events_stop(struct rcl_machine *machine);
/* In a forked child: let go of the descriptor. */
void rcl_events_forget(struct rcl_machine *machine);

#endif
