/* SPDX-License-Identifier: MIT */
/*
 * struct rcl: a whole memory system as a value. Nothing in the engine is global.
 *
 * Field legend:  c constant after open   C owning CPU only   A atomic   g tasks_lock / memcg_lock
 */
#ifndef RCL_MM_MACHINE_H
#define RCL_MM_MACHINE_H

#include "mm/lru.h"
#include "mm/memcg.h"
#include "mm/page_alloc.h"
#include "mm/task.h"
#include "mm/tunables.h"
#include "mm/vmstat.h"
#include "platform/platform.h"

#define RCL_MAX_CPUS  64
#define RCL_MAX_MEMCG 65535

struct swap_state; /* swap_internal.h */
struct wb_state;   /* writeback.c */
struct kmem_cache; /* slab.h */
struct shrinkers;  /* shrinker.c */

struct cpu {
	u32 id;			       /* c */
	struct spinlock lock;	       /* host: protects the C fields against other threads */
	struct cpu_batches batches;    /* C */
	struct memcg_stock stock;      /* C */
	s64 events[NR_VM_EVENT_ITEMS]; /* A */
};

/* What to open. Sizes in frames; platform stays the caller's and must outlive the machine. */
struct rcl_machine_config {
	struct platform *plat;
	u32 nr_cpus, nr_nodes;
	struct rcl_node_layout nodes[MAX_NODES];
	struct tunables tunables;
	bool charges_wait; /* as with threads: see wait_for_writeback() in memcg.c */
};

struct rcl {
	struct platform *plat; /* c */
	bool threaded;	       /* c: copy of plat->threaded */
	bool charges_wait;     /* c: for writes to end, if that is all that there is to do */
	bool quiet;	       /* c once used: failures are returned, not reported on stderr too */
	struct folio *frames;  /* c: descriptor of frame 0 */
	u64 nr_frames;	       /* c: frame numbers 0..nr_frames-1, holes included */
	u64 totalram_pages;    /* c: managed frames */
	u32 nr_cpus, nr_nodes; /* c */
	struct cpu *cpus;      /* c */
	struct node *nodes;    /* c */
	struct zone *zones[MAX_NODES << 3]; /* c: by folio->zone_node */
	struct tunables tun;		    /* written by rcl_tunables_set + rcl_tunables_apply */

	struct spinlock memcg_lock;
	struct memcg *root_memcg;   /* c */
	struct memcg **memcg_by_id; /* g */
	u32 next_memcg_id;	    /* g */

	struct spinlock tasks_lock;
	struct list_head tasks;		/* g */
	u32 next_task_id;		/* g */
	struct list_head mappings;	/* g: every mapping, through mapping->link */
	struct list_head free_mappings; /* g: destroyed ones, see filemap.c */
	bool stopping;			/* A: the machine's own tasks must end */

	struct kmem_cache *radix_node_cache, *buffer_head_cache; /* c */
	struct shrinkers *shrinkers;				 /* shrinker.c */
	struct swap_state *swap;				 /* swap.c */
	struct wb_state *wb;					 /* writeback.c */
	void *workingset;					 /* workingset.c */
	void *mm_state;	 /* mm.c: pools of page tables and vmas */
	void *oom_state; /* oom.c */
};

static inline bool rcl_is_simulated(const struct platform *p)
{
	return !RCL_THREADS || likely(p->simulated);
}
static inline bool rcl_is_threaded(const struct rcl *m)
{
	return RCL_THREADS && unlikely(m->threaded);
}
static inline struct folio *pfn_folio(struct rcl *m, u64 pfn)
{
	return m->frames + pfn;
}
static inline u64 folio_pfn(struct rcl *m, const struct folio *f)
{
	return (u64)(f - m->frames);
}
static inline struct node *folio_node(struct rcl *m, const struct folio *f)
{
	return m->nodes + folio_node_id(f);
}
static inline struct zone *folio_zone(struct rcl *m, const struct folio *f)
{
	return m->zones[f->zone_node];
}
static inline struct task *rcl_current(struct rcl *m)
{
	struct platform *p = m->plat;
	return rcl_is_simulated(p) ? p->current : p->ops->current(p);
}
static inline struct cpu *rcl_this_cpu(struct rcl *m)
{
	struct platform *p = m->plat;
	return m->cpus + (rcl_is_simulated(p) ? p->cpu : p->ops->this_cpu(p));
}
/*
 * A CPU's own structures: in the simulator nobody else can be at them, on the host its lock is
 * taken (innermost but for zone->lock). cpu_lock() returns its argument.
 */
static inline struct cpu *cpu_lock(struct rcl *m, struct cpu *cpu)
{
	if (rcl_is_threaded(m))
		spin_lock(&cpu->lock);
	return cpu;
}
static inline void cpu_unlock(struct rcl *m, struct cpu *cpu)
{
	if (rcl_is_threaded(m))
		spin_unlock(&cpu->lock);
}
/*
 * The running task's own flags. Others may set PF_KILLED at the same time, so on the host these are
 * atomic. task_test_set() tells what was there before.
 */
static inline bool task_test_set(struct rcl *m, u32 flag)
{
	struct task *t = rcl_current(m);
	u32 old = t->flags;

	if (!rcl_is_threaded(m))
		t->flags = old | flag;
	else
		old = __atomic_fetch_or(&t->flags, flag, __ATOMIC_RELAXED);
	return old & flag;
}
static inline void task_clear(struct rcl *m, u32 flag)
{
	struct task *t = rcl_current(m);

	if (!rcl_is_threaded(m))
		t->flags &= ~flag;
	else
		__atomic_fetch_and(&t->flags, ~flag, __ATOMIC_RELAXED);
}
static inline bool rcl_is_kswapd(struct rcl *m)
{
	return rcl_current(m)->flags & PF_KSWAPD;
}
static inline u64 rcl_now(struct rcl *m)
{
	struct platform *p = m->plat;
	return rcl_is_simulated(p) ? p->now : p->ops->now(p);
}
/* Charge CPU work to the running task (simulator). */
static inline void rcl_work(struct rcl *m, enum rcl_work w)
{
	struct platform *p = m->plat;
	if (rcl_is_simulated(p))
		p->now += p->cost_ns[w];
}
static inline void rcl_work_n(struct rcl *m, enum rcl_work w, u64 n)
{
	struct platform *p = m->plat;
	if (rcl_is_simulated(p))
		p->now += p->cost_ns[w] * n;
}
/* A place where interrupts arrive and others may run (cond_resched). No spinlock held. */
static inline void rcl_poll(struct rcl *m)
{
	struct platform *p = m->plat;
	if (!rcl_is_simulated(p) || unlikely(p->now >= p->next_event))
		PLATFORM_CALL(p, poll)(p);
}
/* Sleep at most timeout_ns while *word == value; see platform.h. io: the wait is for I/O. */
static inline int rcl_wait_on(struct rcl *m, u32 *word, u32 value, u64 timeout_ns, bool io)
{
	return PLATFORM_CALL(m->plat, wait_on)(m->plat, word, value, timeout_ns, io);
}
static inline u32 rcl_wake(struct rcl *m, u32 *word, u32 n)
{
	return PLATFORM_CALL(m->plat, wake)(m->plat, word, n);
}
static inline u64 rcl_jiffies_to_ns(struct rcl *m, u64 jiffies)
{
	return jiffies * (RCL_NSEC_PER_SEC / (u64)m->tun.hz);
}
static inline void count_vm_events(struct rcl *m, enum vm_event_item item, s64 n)
{
	shared_add(&rcl_this_cpu(m)->events[item], n, m->threaded);
}
static inline void count_vm_event(struct rcl *m, enum vm_event_item item)
{
	count_vm_events(m, item, 1);
}
static inline void mod_zone_state(struct zone *z, enum zone_stat_item item, s64 n)
{
	shared_add(&z->stat[item], n, z->m->threaded);
}
static inline void mod_node_state(struct node *nd, enum node_stat_item item, s64 n)
{
	shared_add(&nd->stat[item], n, nd->m->threaded);
}
static inline bool fatal_signal_pending(struct task *t)
{
	return __atomic_load_n(&t->flags, __ATOMIC_RELAXED) & PF_KILLED;
}

/*
 * Open a machine on a platform: memory laid out, the root group, kswapd and flushers started.
 * 0 or -errno; on success the caller closes it.
 */
int rcl_machine_open(const struct rcl_machine_config *cfg, struct rcl **out);
/* Stop its tasks and free it. No user task may run in it any more. */
void rcl_machine_close(struct rcl *m);
/* Make changed tunables take effect. */
void rcl_tunables_apply(struct rcl *m);
/* Check every invariant of the whole machine; false (with text on stderr) if one is broken. */
bool rcl_check(struct rcl *m);

/* What the page lists need of all this for each page. */
#include "mm/lru_inline.h"

#endif
