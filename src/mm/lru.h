/* SPDX-License-Identifier: MIT */
/*
 * LRU lists and the per-CPU batches in front of them (algorithm: Linux 6.1 mm/swap.c). What is done
 * for each page stands in lru_inline.h.
 *
 * Field legend:  L lru_lock   A atomic   c constant
 */
#ifndef RCL_MM_LRU_H
#define RCL_MM_LRU_H

#include "mm/zone.h"

enum lru_list {
	LRU_INACTIVE_ANON,
	LRU_ACTIVE_ANON,
	LRU_INACTIVE_FILE,
	LRU_ACTIVE_FILE,
	LRU_UNEVICTABLE,
	NR_LRU_LISTS
};
#define LRU_BASE		  0
#define LRU_ACTIVE		  1
#define LRU_FILE		  2
#define for_each_lru(l)		  for (int l = 0; l < NR_LRU_LISTS; l++)
#define for_each_evictable_lru(l) for (int l = 0; l <= LRU_ACTIVE_FILE; l++)

struct lruvec {
	struct list_head lists[NR_LRU_LISTS]; /* L: head = young, tail = old */
	struct spinlock lru_lock;
	u32 flags;	       /* A: enum lruvec_flag */
	u64 anon_cost;	       /* L: decaying count of pages whose reclaim cost I/O */
	u64 file_cost;	       /* L */
	s64 nonresident_age;   /* A: clock of evictions and activations */
	s64 refaults[2];       /* WORKINGSET_ACTIVATE_{ANON,FILE} at the end of the last reclaim */
	struct node *node;     /* c */
	struct memcg *memcg;   /* c */
	struct lruvec *parent; /* c: of memcg's parent on this node; NULL for the root group's */
	s64 stat[NR_NODE_STAT_ITEMS]; /* A: this group's own share of the node's counters */
	s64 zone_size[MAX_NR_ZONES][NR_LRU_LISTS]; /* L: pages per zone and list */
	struct spinlock shadow_lock;
	struct list_head
		shadow_nodes; /* shadow_lock: tree nodes that hold only shadows, oldest first */
	u64 nr_shadow_nodes;  /* shadow_lock */
	/* A, a hint: the folio next to be fetched for the next scan, and how many may still be */
	struct {
		struct folio *at;
		u32 left;
	} ahead[NR_LRU_LISTS];
};
enum lruvec_flag {
	LRUVEC_CONGESTED = 1
};

static inline bool is_file_lru(int lru)
{
	return lru == LRU_INACTIVE_FILE || lru == LRU_ACTIVE_FILE;
}
static inline bool is_active_lru(int lru)
{
	return lru == LRU_ACTIVE_ANON || lru == LRU_ACTIVE_FILE;
}

#define FOLIO_BATCH_SIZE 15
struct folio_batch {
	u32 nr;
	struct folio *folios[FOLIO_BATCH_SIZE];
};
struct cpu_batches {
	struct folio_batch lru_add, rotate, deactivate_file, deactivate, lazyfree, activate;
};

void rcl_lruvec_init(struct lruvec *lv, struct node *node, struct memcg *memcg);

/* Size of one list in pages, zones 0..zone_idx. */
u64 rcl_lruvec_lru_size(const struct lruvec *lv, int lru, int zone_idx);
/* Take a folio that need not stay there off the unevictable list. Else nothing. */
void rcl_lruvec_rescue_folio(struct rcl *m, struct lruvec *lv, struct folio *f);

/*
 * The old end of a list is a chain of cold descriptors: each has to come from memory before the
 * next one is known, and a scan would wait for them one by one. So they are fetched one at a time
 * from where there is other work in between. start: a scan ended here (lru_lock); fetch: one more.
 */
#define LRU_AHEAD 64u
static inline void lru_start_ahead(struct lruvec *lv, int lru)
{
	__atomic_store_n(&lv->ahead[lru].at, list_last_entry(&lv->lists[lru], struct folio, lru),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&lv->ahead[lru].left, LRU_AHEAD, __ATOMIC_RELAXED);
}

/* Queue on this CPU's batch; the folio reaches its list when the batch is full or drained. */
void rcl_folio_add_lru(struct rcl *m, struct folio *f);
void rcl_folio_rotate_reclaimable(struct rcl *m, struct folio *f);
void rcl_folio_activate(struct rcl *m, struct folio *f);
void rcl_folio_deactivate(struct rcl *m, struct folio *f);
void rcl_folio_deactivate_file(struct rcl *m, struct folio *f);
void rcl_folio_mark_lazyfree(struct rcl *m, struct folio *f);
void rcl_lru_add_drain(struct rcl *m);	   /* this CPU */
void rcl_lru_add_drain_all(struct rcl *m); /* every CPU */

/* Take a folio off its list (caller holds a reference): 0, or -EBUSY if it is not on one. */
int rcl_folio_isolate_lru(struct rcl *m, struct folio *f);
/* Put an isolated folio back and drop the isolation's reference. */
void rcl_folio_putback_lru(struct rcl *m, struct folio *f);
/* mlock accounting (mm/mlock.c): an evictable folio becomes unevictable and back. */
void rcl_mlock_folio(struct rcl *m, struct folio *f);
void rcl_munlock_folio(struct rcl *m, struct folio *f);

/* Record that reclaim of this kind cost I/O, here and in all parents. */
void rcl_lru_note_cost(struct rcl *m, struct lruvec *lv, bool file, u32 nr_pages);

bool rcl_lruvec_is_valid(struct rcl *m, struct lruvec *lv);

#endif
