/* SPDX-License-Identifier: MIT */
/*
 * Writeback's own structures, shared by writeback.c (what is dirty), wb.c (these
 * structures), dirty_throttle.c (how much may be dirty) and flusher.c (who writes it).
 *
 *   bdi         a device with files on it; one flusher task
 *   wb          the dirty files of one group on one device; the unit of flushing, bandwidth
 *               estimation and throttling. The root group has one on each device, other groups get
 *               theirs when they first dirty a file there
 *   wb_domain   what dirty limits apply to: the machine, and each group that has dirtied files
 *
 * A file belongs to the wb of the group that was charged for its first dirtied page, and stays
 * there.
 *
 * Times are jiffies (ticks of kernel.hz, from 1 on), as all arithmetic of the reference's control
 * loop is; those that end in _ns are the machine's clock.
 *
 * Field legend:  c constant after set-up   W wb->list_lock   S wb_state->lock   A atomic
 *                M mapping->lock   D domain->lock   C owning CPU only
 */
#ifndef RCL_MM_WB_INTERNAL_H
#define RCL_MM_WB_INTERNAL_H

#include "mm/filemap.h"
#include "mm/machine.h"
#include "mm/writeback.h"

#define WB_MAX_DEVICES 64

#define RATELIMIT_CALC_SHIFT 10
#define DIRTY_POLL_THRESH    (128 >> (PAGE_SHIFT - 10))	  /* pages: check no more often than this */
#define MIN_WRITEBACK_PAGES  (4096l >> (PAGE_SHIFT - 10)) /* 4 MiB */
#define DIRTY_SCOPE	     8 /* a chunk is at most this part of the dirty limit */
#define INIT_BW		     (100l << (20 - PAGE_SHIFT)) /* 100 MiB/s, in pages */

/* Events of one counter that fade by half each period; see dirty_throttle.c. */
struct fprop {
	s64 events; /* A */
	u64 period; /* A */
};

struct wb_domain {
	struct spinlock lock;
	struct fprop completions; /* of all its wbs */
	u64 period_end_ns;	  /* A: when its counters fade; RCL_FOREVER: nothing to fade */
	u64 dirty_limit;	  /* D: the limit, following decreases slowly */
	u64 dirty_limit_tstamp;	  /* D */
};

enum wb_stat {
	WB_RECLAIMABLE,
	WB_WRITEBACK,
	WB_DIRTIED,
	WB_WRITTEN,
	NR_WB_STATS
};

enum wb_state_bit {
	WB_HAS_DIRTY_IO = 1, /* b_dirty, b_io or b_more_io is not empty */
	WB_START_ALL = 2,    /* somebody asked for everything to be written */
	WB_WRITEBACK_RUNNING = 4
};

/* One request to a flusher; lives on the requester's stack until `done`. */
struct wb_work {
	struct list_head link;
	long nr_pages;
	bool sync_all; /* data integrity: every page that is dirty now */
	bool tagged;   /* as if sync_all in choosing pages, but without waiting */
	bool for_kupdate, for_background, for_sync;
	u32 done; /* A: wait word, 0 until finished */
};

struct wb {
	struct bdi *bdi;	  /* c */
	struct memcg *memcg;	  /* S: NULL: the root group's, or its group is gone */
	struct wb_domain *domain; /* c: the group's; NULL: the machine's limits only */
	struct spinlock list_lock;
	u32 state;		     /* A: enum wb_state_bit; WB_HAS_DIRTY_IO changes under W */
	struct list_head b_dirty;    /* W: newest first, by dirtied_when */
	struct list_head b_io;	     /* W: being written now, from the tail */
	struct list_head b_more_io;  /* W: want another turn */
	struct list_head b_attached; /* W: clean */
	struct list_head work_list;  /* W */
	u64 wake_ns;		     /* W: when the flusher must look; RCL_FOREVER: not asked */
	u64 last_old_flush;	     /* flusher only */

	s64 stat[NR_WB_STATS]; /* A: pages; those of a file change under its mapping->lock */
	s32 writeback_files;   /* A: files with pages under writeback */

	/* bandwidth, in pages per second */
	u64 bw_update_ns;		  /* A: estimate is due then; RCL_FOREVER: not asked */
	u64 bw_time_stamp;		  /* W: of the last estimate */
	u64 dirtied_stamp, written_stamp; /* W: the counters then */
	u64 write_bandwidth;		  /* W: estimated */
	u64 avg_write_bandwidth;	  /* A: smoothed */
	u64 dirty_ratelimit;		  /* A: base rate for one dirtier */
	u64 balanced_dirty_ratelimit;	  /* W */
	bool dirty_exceeded;		  /* A: check often */
	struct fprop completions, memcg_completions; /* A: share of the domains' */
};

struct bdi {
	struct rcl *m;	 /* c */
	u16 dev;	 /* c */
	struct wb wb;	 /* the root group's */
	struct wb **wbs; /* S: all, [0] = &wb; entries below nr_wbs never change */
	u32 nr_wbs;	 /* S; A for readers */
	u32 *wb_of;	 /* S; A for readers: by memcg id: index in wbs, 0 = root's or none yet */
	s64 tot_write_bandwidth; /* A: of wbs with dirty files */
	u64 idle_until_ns;	 /* A: until then nobody waits for what it does not write, */
	s64 idle_written;	 /* A: if it has written that many pages, and writes none */
	u32 kick;		 /* A: wait word of the flusher */
	bool stopping;		 /* A: the flusher must end */
	struct task flusher;
};

/* Pages dirtied on a CPU. */
struct wb_cpu {
	u32 dirtied; /* a hint: since the last check of the limits */
	u32 leaks;   /* a hint: by tasks that ended before theirs */
};

struct wb_state {
	struct wb_cpu *cpus; /* c: one per CPU */
	u64 ratelimit_pages; /* T: a CPU may dirty this many between two checks */
	s32 nr_exceeded;     /* A: wbs with dirty_exceeded */
	struct spinlock lock;
	struct bdi *bdis[WB_MAX_DEVICES]; /* c once set */
	struct wb_domain global;
	struct wb_domain *domains; /* by memcg id; untouched = zero */
	size_t domains_bytes;
};
static inline struct bdi *wb_bdi(const struct wb_state *ws, u32 i)
{
	return __atomic_load_n(&ws->bdis[i], __ATOMIC_ACQUIRE);
}

/* mapping->wb_state */
enum mapping_wb_state {
	MAPPING_DIRTY_PAGES = 1, /* has dirty pages, or had until a moment ago */
	MAPPING_SYNC = 2,	 /* a flusher is writing it */
	MAPPING_QUEUED = 4,	 /* on b_io or b_more_io */
	MAPPING_FREEING = 8,
	MAPPING_PIN = 0x100 /* from this bit on: how many hold it otherwise */
};

/* How a file is to be written. */
struct wb_control {
	long nr_to_write;
	bool sync_all, tagged;
	bool range_cyclic; /* go on where the last pass stopped */
	u64 first, last;   /* else: page range */
};

static inline u64 wb_tick_ns(const struct rcl *m)
{
	return RCL_NSEC_PER_SEC / (u64)m->tun.hz;
}
static inline u64 wb_ns_to_jiffies(const struct rcl *m, u64 ns)
{
	return ns / wb_tick_ns(m) + 1;
}
static inline u64 wb_jiffies(struct rcl *m)
{
	return wb_ns_to_jiffies(m, rcl_now(m));
}
static inline u64 wb_centisecs_to_jiffies(const struct rcl *m, s64 cs)
{
	return ((u64)cs * (u64)m->tun.hz + 99) / 100;
}
static inline u32 wb_ilog2(u64 v)
{
	return 63 - (u32)__builtin_clzll(v);
}
static inline s64 wb_stat(const struct wb *wb, enum wb_stat item)
{
	s64 v = shared_read(&wb->stat[item]);
	return v < 0 ? 0 : v;
}
static inline void wb_stat_add(struct wb *wb, enum wb_stat item, s64 n)
{
	shared_add(&wb->stat[item], n, wb->bdi->m->threaded);
}
static inline bool wb_test(const struct wb *wb, enum wb_state_bit bit)
{
	return __atomic_load_n(&wb->state, __ATOMIC_RELAXED) & bit;
}
/* Percpu counters of the reference are off by up to this many pages. */
static inline u64 wb_stat_error(const struct rcl *m)
{
	return m->nr_cpus * 8 * (1 + wb_ilog2(m->nr_cpus));
}

static inline u32 mapping_wb_state(const struct mapping *mapping)
{
	return __atomic_load_n(&mapping->wb_state, __ATOMIC_ACQUIRE);
}
/* With list_lock held. The word is also what MAPPING_SYNC and pins are waited for on. */
static inline void mapping_wb_change(struct mapping *mapping, u32 clear, u32 set)
{
	__atomic_store_n(&mapping->wb_state, (mapping->wb_state & ~clear) | set, __ATOMIC_RELEASE);
}
static inline u64 wb_bandwidth_interval(const struct rcl *m) /* jiffies */
{
	return max((u64)m->tun.hz / 5, (u64)1);
}

/* wb.c: the objects and their lists */
struct wb *rcl_wb_of(struct rcl *m, struct bdi *bdi, struct memcg *memcg);
/* Lock the lists the file is on. */
struct wb *rcl_mapping_lock_wb(struct mapping *mapping);
void rcl_mapping_attach_wb(struct mapping *mapping, struct wb *wb);
/* The lists changed: keep WB_HAS_DIRTY_IO and the device's total bandwidth. list_lock held. */
void rcl_wb_note_lists(struct wb *wb);
/* Keep a file from being freed while no lock is held. Pin with list_lock held. */
void rcl_mapping_pin(struct mapping *mapping);
void rcl_mapping_unpin(struct rcl *m, struct mapping *mapping);

/* dirty_throttle.c */
void rcl_wb_domain_init(struct rcl *m, struct wb_domain *dom);
void rcl_wb_bandwidth_init(struct rcl *m, struct wb *wb);
void rcl_wb_update_bandwidth(struct wb *wb); /* now */
void rcl_wb_bandwidth_due(struct wb *wb);    /* the estimate asked for is overdue */
void rcl_wb_bandwidth_estimate_start(struct wb *wb);
void rcl_wb_writeout_add(struct wb *wb, s64 nr);
bool rcl_wb_over_bg_thresh(struct wb *wb);
void rcl_writeback_set_ratelimit(struct rcl *m);
s64 rcl_pos_ratio_polynom(u64 setpoint, u64 dirty, u64 limit);
u64 rcl_dirty_poll_interval(u64 dirty, u64 thresh);
/* Fading counters: one period for every `periods`; false when nothing is left. */
bool rcl_fprop_new_period(struct fprop *global, u64 periods);
void rcl_fprop_add(struct fprop *global, struct fprop *local, s64 nr, bool threaded);
void rcl_fprop_fraction(struct fprop *global, struct fprop *local, u64 *num, u64 *den);
/* An overdue estimate is made with the figures from before the change that is about to happen. */
static inline void rcl_wb_settle_bandwidth(struct wb *wb)
{
	if (unlikely(rcl_now(wb->bdi->m) >= __atomic_load_n(&wb->bw_update_ns, __ATOMIC_RELAXED)))
		rcl_wb_bandwidth_due(wb);
}

/* flusher.c */
int rcl_flusher_start(struct bdi *bdi);
void rcl_flusher_stop(struct bdi *bdi);
void rcl_wb_wakeup(struct wb *wb);	   /* the flusher looks at it now */
void rcl_wb_wakeup_delayed(struct wb *wb); /* list_lock held; after dirty_writeback_centisecs */
/* Write the file's dirty pages as told (ext4's way); first error of submission. May wait. */
int rcl_do_writepages(struct rcl *m, struct mapping *mapping, struct wb_control *wbc);

#endif
