/* SPDX-License-Identifier: MIT */
/*
 * Counters, under the kernel's names, declared once.
 *
 *   RCL_ZONE_STATS   kept per zone; sizes in pages
 *   RCL_NODE_STATS   kept per node, and the same per (memcg, node) in the lruvec
 *   RCL_VM_EVENTS    counted per machine, and those marked 1 also per memcg
 *
 * Each line of the events is X(ENUM, "name", per_memcg), of the others X(ENUM, "name").
 *
 * Units: the engine counts pages, with these exceptions. NR_SLAB_* are bytes (an object is less
 * than a page); NR_KERNEL_STACK_KB, PGPGIN and PGPGOUT are KiB, as the kernel shows them.
 *
 * Reading the machine's or a group's counters as a
 * list of names and values is rcl_vmstat_read() and rcl_memory_stat_read().
 */
#ifndef RCL_MM_VMSTAT_H
#define RCL_MM_VMSTAT_H

#include "mm/types.h"

#define RCL_ZONE_STATS(X)                                                                          \
	X(NR_FREE_PAGES, "nr_free_pages")                                                          \
	X(NR_ZONE_INACTIVE_ANON, "nr_zone_inactive_anon")                                          \
	X(NR_ZONE_ACTIVE_ANON, "nr_zone_active_anon")                                              \
	X(NR_ZONE_INACTIVE_FILE, "nr_zone_inactive_file")                                          \
	X(NR_ZONE_ACTIVE_FILE, "nr_zone_active_file")                                              \
	X(NR_ZONE_UNEVICTABLE, "nr_zone_unevictable")                                              \
	X(NR_ZONE_WRITE_PENDING, "nr_zone_write_pending")                                          \
	X(NR_MLOCK, "nr_mlock")

/* The LRU sizes come first and in the order of enum lru_list. */
#define RCL_NODE_STATS(X)                                                                          \
	X(NR_INACTIVE_ANON, "nr_inactive_anon")                                                    \
	X(NR_ACTIVE_ANON, "nr_active_anon")                                                        \
	X(NR_INACTIVE_FILE, "nr_inactive_file")                                                    \
	X(NR_ACTIVE_FILE, "nr_active_file")                                                        \
	X(NR_UNEVICTABLE, "nr_unevictable")                                                        \
	X(NR_SLAB_RECLAIMABLE_B, "nr_slab_reclaimable")                                            \
	X(NR_SLAB_UNRECLAIMABLE_B, "nr_slab_unreclaimable")                                        \
	X(NR_ISOLATED_ANON, "nr_isolated_anon")                                                    \
	X(NR_ISOLATED_FILE, "nr_isolated_file")                                                    \
	X(WORKINGSET_NODES, "workingset_nodes")                                                    \
	X(WORKINGSET_REFAULT_ANON, "workingset_refault_anon")                                      \
	X(WORKINGSET_REFAULT_FILE, "workingset_refault_file")                                      \
	X(WORKINGSET_ACTIVATE_ANON, "workingset_activate_anon")                                    \
	X(WORKINGSET_ACTIVATE_FILE, "workingset_activate_file")                                    \
	X(WORKINGSET_RESTORE_ANON, "workingset_restore_anon")                                      \
	X(WORKINGSET_RESTORE_FILE, "workingset_restore_file")                                      \
	X(WORKINGSET_NODERECLAIM, "workingset_nodereclaim")                                        \
	X(NR_ANON_MAPPED, "nr_anon_pages")                                                         \
	X(NR_FILE_MAPPED, "nr_mapped")                                                             \
	X(NR_FILE_PAGES, "nr_file_pages")                                                          \
	X(NR_FILE_DIRTY, "nr_dirty")                                                               \
	X(NR_WRITEBACK, "nr_writeback")                                                            \
	X(NR_SHMEM, "nr_shmem")                                                                    \
	X(NR_VMSCAN_WRITE, "nr_vmscan_write")                                                      \
	X(NR_VMSCAN_IMMEDIATE, "nr_vmscan_immediate_reclaim")                                      \
	X(NR_DIRTIED, "nr_dirtied")                                                                \
	X(NR_WRITTEN, "nr_written")                                                                \
	X(NR_THROTTLED_WRITTEN, "nr_throttled_written")                                            \
	X(NR_KERNEL_STACK_KB, "nr_kernel_stack")                                                   \
	X(NR_PAGETABLE, "nr_page_table_pages")                                                     \
	X(NR_SWAPCACHE, "nr_swapcached")

#define RCL_VM_EVENTS(X)                                                                           \
	X(PGPGIN, "pgpgin", 0)                                                                     \
	X(PGPGOUT, "pgpgout", 0)                                                                   \
	X(PSWPIN, "pswpin", 0)                                                                     \
	X(PSWPOUT, "pswpout", 0)                                                                   \
	X(PGALLOC_DMA, "pgalloc_dma", 0)                                                           \
	X(PGALLOC_DMA32, "pgalloc_dma32", 0)                                                       \
	X(PGALLOC_NORMAL, "pgalloc_normal", 0)                                                     \
	X(PGALLOC_MOVABLE, "pgalloc_movable", 0)                                                   \
	X(ALLOCSTALL_DMA, "allocstall_dma", 0)                                                     \
	X(ALLOCSTALL_DMA32, "allocstall_dma32", 0)                                                 \
	X(ALLOCSTALL_NORMAL, "allocstall_normal", 0)                                               \
	X(ALLOCSTALL_MOVABLE, "allocstall_movable", 0)                                             \
	X(PGSCAN_SKIP_DMA, "pgskip_dma", 0)                                                        \
	X(PGSCAN_SKIP_DMA32, "pgskip_dma32", 0)                                                    \
	X(PGSCAN_SKIP_NORMAL, "pgskip_normal", 0)                                                  \
	X(PGSCAN_SKIP_MOVABLE, "pgskip_movable", 0)                                                \
	X(PGFREE, "pgfree", 0)                                                                     \
	X(PGACTIVATE, "pgactivate", 1)                                                             \
	X(PGDEACTIVATE, "pgdeactivate", 1)                                                         \
	X(PGLAZYFREE, "pglazyfree", 1)                                                             \
	X(PGFAULT, "pgfault", 1)                                                                   \
	X(PGMAJFAULT, "pgmajfault", 1)                                                             \
	X(PGLAZYFREED, "pglazyfreed", 1)                                                           \
	X(PGREFILL, "pgrefill", 1)                                                                 \
	X(PGREUSE, "pgreuse", 0)                                                                   \
	X(PGSTEAL_KSWAPD, "pgsteal_kswapd", 1)                                                     \
	X(PGSTEAL_DIRECT, "pgsteal_direct", 1)                                                     \
	X(PGSCAN_KSWAPD, "pgscan_kswapd", 1)                                                       \
	X(PGSCAN_DIRECT, "pgscan_direct", 1)                                                       \
	X(PGSCAN_DIRECT_THROTTLE, "pgscan_direct_throttle", 0)                                     \
	X(PGSCAN_ANON, "pgscan_anon", 0)                                                           \
	X(PGSCAN_FILE, "pgscan_file", 0)                                                           \
	X(PGSTEAL_ANON, "pgsteal_anon", 0)                                                         \
	X(PGSTEAL_FILE, "pgsteal_file", 0)                                                         \
	X(ZONE_RECLAIM_FAILED, "zone_reclaim_failed", 0)                                           \
	X(SLABS_SCANNED, "slabs_scanned", 0)                                                       \
	X(KSWAPD_LOW_WMARK_HIT_QUICKLY, "kswapd_low_wmark_hit_quickly", 0)                         \
	X(KSWAPD_HIGH_WMARK_HIT_QUICKLY, "kswapd_high_wmark_hit_quickly", 0)                       \
	X(PAGEOUTRUN, "pageoutrun", 0)                                                             \
	X(PGROTATED, "pgrotated", 0)                                                               \
	X(OOM_KILL, "oom_kill", 0)                                                                 \
	X(UNEVICTABLE_PGCULLED, "unevictable_pgs_culled", 0)                                       \
	X(UNEVICTABLE_PGSCANNED, "unevictable_pgs_scanned", 0)                                     \
	X(UNEVICTABLE_PGRESCUED, "unevictable_pgs_rescued", 0)                                     \
	X(UNEVICTABLE_PGMLOCKED, "unevictable_pgs_mlocked", 0)                                     \
	X(UNEVICTABLE_PGMUNLOCKED, "unevictable_pgs_munlocked", 0)                                 \
	X(UNEVICTABLE_PGCLEARED, "unevictable_pgs_cleared", 0)                                     \
	X(UNEVICTABLE_PGSTRANDED, "unevictable_pgs_stranded", 0)                                   \
	X(SWAP_RA, "swap_ra", 0)                                                                   \
	X(SWAP_RA_HIT, "swap_ra_hit", 0)

#define RCL_X(e, n) e,
enum zone_stat_item {
	RCL_ZONE_STATS(RCL_X) NR_ZONE_STAT_ITEMS
};
enum node_stat_item {
	RCL_NODE_STATS(RCL_X) NR_NODE_STAT_ITEMS
};
#undef RCL_X
#define RCL_X(e, n, g) e,
enum vm_event_item {
	RCL_VM_EVENTS(RCL_X) NR_VM_EVENT_ITEMS
};
#undef RCL_X

struct rcl_counter {
	const char *name;
	s64 value; /* pages, events, or bytes for names of memory.stat that are sizes */
};

/*
 * The machine's counters as /proc/vmstat would show them (slab in pages). Fills at most `max`
 * entries and returns how many there are. Names are static strings.
 */
size_t rcl_vmstat_read(struct rcl *m, struct rcl_counter *out, size_t max);
/*
 * A group's counters with its descendants', as memory.stat of cgroup v2 shows them: sizes in bytes
 * (anon, file, kernel, pagetables, slab, inactive_anon ...), then events.
 */
size_t rcl_memory_stat_read(struct rcl *m, struct memcg *memcg, struct rcl_counter *out,
			    size_t max);
/* More entries than either list has. */
#define RCL_COUNTERS_MAX 160
/* Value of one counter by its name in the list above; 0 if absent. */
s64 rcl_vmstat_get(struct rcl *m, const char *name);
/* The same in a list already read. */
s64 rcl_counter_get(const struct rcl_counter *list, size_t nr, const char *name);

/* Count events on the running CPU, for callers without machine.h (inline: count_vm_events). */
void rcl_count_vm_events(struct rcl *m, enum vm_event_item item, s64 n);

#endif
