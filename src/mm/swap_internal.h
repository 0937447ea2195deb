/* SPDX-License-Identifier: MIT */
/*
 * What the parts of swap share: areas and slots (swapfile.c), the search for a slot (swap_scan.c),
 * the per-CPU slot caches (swap_slots.c), slots to be punched (swap_held.c), the swap cache and
 * readahead (swap_state.c) and I/O (page_io.c).
 *
 * Locks, outermost first; none is ever held across a wait:
 *
 *   slots->alloc_lock, slots->free_lock   slots on their way out of and back to an area
 *     area->lock                          map, owners, cache words, clusters (swap_area->lock)
 *       swap->avail_lock                  order of the areas that have a free slot
 *
 * Field legend:  S area->lock   V swap->avail_lock   A atomic   c constant after swapon
 *                a slots->alloc_lock   f slots->free_lock
 */
#ifndef RCL_MM_SWAP_INTERNAL_H
#define RCL_MM_SWAP_INTERNAL_H

#include "mm/machine.h"
#include "mm/swap.h"

/*
 * A word of the swap map: the number of page-table references, and a bit while the slot is claimed
 * by the swap cache, by a slot cache, or by somebody about to insert it into the swap cache.
 * 0 = the slot is free. A count that reaches SWAP_MAP_MAX stays there: the slot is lost, not data.
 */
#define SWAP_HAS_CACHE 0x8000u
#define SWAP_MAP_BAD   0x7fffu
#define SWAP_MAP_MAX   0x7ffeu

#define SWAPFILE_CLUSTER 512u /* slots: HPAGE_PMD_NR, the kernel's size with CONFIG_THP_SWAP */
#define LATENCY_LIMIT	 256
#define CLUSTER_NULL	 UINT32_MAX

#define SWAP_ADDRESS_SPACE_SHIFT 14 /* one tree for each 64 MiB of swap */
#define SWAP_ADDRESS_SPACE_PAGES (1ull << SWAP_ADDRESS_SPACE_SHIFT)

#define SWAP_SLOTS_CACHE_SIZE		      64u
#define THRESHOLD_ACTIVATE_SWAP_SLOTS_CACHE   (5 * SWAP_SLOTS_CACHE_SIZE)
#define THRESHOLD_DEACTIVATE_SWAP_SLOTS_CACHE (2 * SWAP_SLOTS_CACHE_SIZE)

/* A run of SWAPFILE_CLUSTER slots on a device without seek cost. */
struct swap_cluster {
	u32 next;  /* S: next free cluster, or CLUSTER_NULL */
	u16 count; /* S: slots in use */
	bool free; /* S: on the free list */
};

/* Where one CPU takes slots from on a device without seek cost. */
struct swap_cpu_cluster {
	u32 index;	/* S: the cluster, or CLUSTER_NULL */
	u64 next;	/* S: next slot to look at in it */
	u64 scan_start; /* S: where to look when no cluster is free (cluster_next_cpu) */
};

/*
 * One node of the trees the reference keeps the swap cache in. Ours is a flat array of words; the
 * nodes exist for the frames they take.
 */
struct swap_tree_node {
	void *object; /* S: from m->radix_node_cache, NULL when the node does not exist */
	u32 used;     /* S: entries below it that exist: words, or nodes of the level below */
};
#define SWAP_TREE_LEVELS 6

struct swap_area {
	struct rcl *m; /* c */
	u32 type;      /* c: index in swap->areas */
	u16 dev;       /* c */
	u32 flags;     /* c: enum swap_flag */
	int prio;      /* c */
	u64 max;       /* c: slots, the header included */
	u64 pages;     /* c: slots that can be given out */
	struct spinlock lock;
	u16 *map;     /* S: see SWAP_HAS_CACHE */
	u16 *owner;   /* S: id of the group charged for the slot, 0 = none */
	void **cache; /* S for writers: folio, shadow (odd) or NULL */
	struct swap_tree_node *tree[SWAP_TREE_LEVELS]; /* S */

	u64 inuse;	 /* S: slots not free */
	u64 nr_held;	 /* S: of these, freed and to be punched */
	u64 *held;	 /* S: a bit for each slot; NULL: nothing is held */
	u64 lowest_bit;	 /* S: no free slot below; max when full */
	u64 highest_bit; /* S: no free slot above; 0 when full */

	/* with seek cost */
	u64 cluster_next; /* S: next slot to try */
	u32 cluster_nr;	  /* S: slots left before a new run is looked for */
	/* without */
	struct swap_cluster *clusters; /* S: NULL for a device with seek cost */
	u32 nr_clusters;	       /* c */
	u32 free_head, free_tail;      /* S: first in, first out */
	struct swap_cpu_cluster *percpu;

	struct list_head avail_link; /* V: empty when full */
};

struct swap_slots_cache {
	struct spinlock alloc_lock, free_lock;
	u32 nr, cur; /* a: slots[cur..cur+nr-1] wait to be used */
	u32 nr_ret;  /* f: slots_ret[0..nr_ret-1] wait to be freed */
	swp_entry_t slots[SWAP_SLOTS_CACHE_SIZE];
	swp_entry_t slots_ret[SWAP_SLOTS_CACHE_SIZE];
};

struct swap_state {
	struct swap_area *areas[MAX_SWAPFILES]; /* c once nr_areas covers it */
	u32 nr_rotate_swap;			/* A: areas with seek cost */
	u32 nr_areas;				/* A */
	int least_priority;			/* V */
	s64 nr_swap_pages;    /* A: slots neither in use nor in a slot cache; held ones are */
	u32 held_word;	      /* A: wait word: 0 while who punches sleeps */
	s64 total_swap_pages; /* A */
	struct spinlock avail_lock;
	struct list_head avail; /* V: by descending priority */

	bool slots_cache_active;	/* A */
	struct swap_slots_cache *slots; /* c: one per CPU */

	s64 readahead_hits;	  /* A: readahead pages used since the last window was chosen */
	u64 readahead_prev;	  /* A: offset of the last swap-in without hits */
	u32 readahead_last_pages; /* A: last window */
	u32 nap;		  /* wait word nobody wakes: a sleep for a while */
};

static inline struct swap_area *swap_area_of(struct rcl *m, swp_entry_t e)
{
	struct swap_state *s = m->swap;
	RCL_DEBUG_ASSERT(swp_type(e) < s->nr_areas);
	RCL_DEBUG_ASSERT(swp_offset(e) && swp_offset(e) < s->areas[swp_type(e)]->max);
	return s->areas[swp_type(e)];
}
/* Counts are also read without the lock. */
static inline void swap_map_set(struct swap_area *a, u64 offset, u16 word)
{
	__atomic_store_n(a->map + offset, word, __ATOMIC_RELAXED);
}
static inline u32 swap_map_count(u16 word)
{
	return word & ~SWAP_HAS_CACHE;
}
/* Is this folio pointer or shadow a folio? */
static inline bool swap_word_is_folio(const void *word)
{
	return word && !((uintptr_t)word & 1);
}

/* swapfile.c */
/* Up to `goal` slots from the best areas, marked SWAP_HAS_CACHE: how many. */
u32 rcl_swap_get_slots(struct rcl *m, u32 goal, swp_entry_t *out);
/* Give slots that nobody refers to (map word SWAP_HAS_CACHE) back to their areas. */
void rcl_swap_release_slots(struct rcl *m, const swp_entry_t *slots, u32 nr);
/* Claim a slot for the swap cache: 0, -EEXIST (claimed by another), -ENOENT (nobody refers to it).
 */
int rcl_swap_cache_prepare(struct rcl *m, swp_entry_t e);
/* Drop that claim; frees the slot if no page table refers to it. */
void rcl_swap_cache_release(struct rcl *m, swp_entry_t e);
/* Drop the cached folio of a slot if nobody refers to the slot (and, unless `anyway`, the folio is
 * unmapped or swap is full): true if it was dropped. */
bool rcl_swap_try_to_reclaim(struct rcl *m, swp_entry_t e, bool anyway);
/* Book-keeping of one slot of a locked area. */
void rcl_swap_range_alloc(struct swap_area *a, u64 offset);

/* Make a slot of a locked area that nobody refers to free. */
void rcl_swap_make_free(struct swap_area *a, u64 offset);

/* swap_held.c */
int rcl_swap_held_init(struct swap_area *a);
void rcl_swap_held_exit(struct swap_area *a);
/* Hold a freed slot of a locked area back. */
void rcl_swap_hold(struct swap_area *a, u64 offset);
/* Make some held slots free; false: there are none. */
bool rcl_swap_use_held(struct rcl *m);
bool rcl_swap_held_valid(const struct swap_area *a);

/* swap_scan.c */
int rcl_swap_scan_init(struct swap_area *a);
void rcl_swap_scan_exit(struct swap_area *a);
/* Find and mark up to `goal` slots of a locked area: how many. May drop the lock in between. */
u32 rcl_swap_scan(struct swap_area *a, u32 goal, swp_entry_t *out);
/* One slot of a cluster was taken / freed. */
void rcl_swap_cluster_inc(struct swap_area *a, u64 offset);
void rcl_swap_cluster_dec(struct swap_area *a, u64 offset);
bool rcl_swap_clusters_valid(struct swap_area *a);

/* swap_slots.c */
int rcl_swap_slots_init(struct rcl *m);
void rcl_swap_slots_exit(struct rcl *m);
/* A slot for swapping out, or 0. */
swp_entry_t rcl_swap_slot_alloc(struct rcl *m);
/* Nobody refers to this slot any more. */
void rcl_swap_slot_free(struct rcl *m, swp_entry_t e);

/* swap_state.c */
/* Forget the shadow of a slot that is being freed; area->lock is held. */
void rcl_swap_clear_shadow(struct swap_area *a, u64 offset);
int rcl_swap_tree_init(struct swap_area *a);
void rcl_swap_tree_exit(struct swap_area *a);
bool rcl_swap_tree_valid(struct swap_area *a);

#endif
