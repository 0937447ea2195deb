/* SPDX-License-Identifier: MIT */
/*
 * Tunables, declared once: X(field, "name", unit, default, min, max, "help").
 * The command line, the API, the documentation and the JSON come from this table. Names are the
 * kernel's where it has one (sysctl vm.*, block queue attributes), else sim.* or debug.*.
 */
#ifndef RCL_MM_TUNABLES_H
#define RCL_MM_TUNABLES_H

#include "mm/types.h"

#define RCL_TUNABLES(X)                                                                            \
	X(swappiness, "vm.swappiness", "", 60, 0, 200,                                             \
	  "how much more anonymous memory may be reclaimed than page cache; 100 = equal cost")     \
	X(page_cluster, "vm.page-cluster", "log2 pages", 3, 0, 10,                                 \
	  "pages read in one go around a swapped-in page: 2^N; 0 = only the page")                 \
	X(min_free_kbytes, "vm.min_free_kbytes", "KiB", 0, 0, 262144,                              \
	  "memory kept free for emergencies; 0 = computed from the size of memory")                \
	X(watermark_scale_factor, "vm.watermark_scale_factor", "1/10000", 10, 1, 3000,             \
	  "distance between the watermarks as a fraction of a zone")                               \
	X(watermark_boost_factor, "vm.watermark_boost_factor", "1/10000", 15000, 0, 1000000,       \
	  "how far fragmentation raises the watermarks; 0 = off")                                  \
	X(lowmem_reserve_dma, "vm.lowmem_reserve_ratio.dma", "", 256, 0, 100000,                   \
	  "share of higher zones reserved in DMA: 1/N; 0 = none")                                  \
	X(lowmem_reserve_dma32, "vm.lowmem_reserve_ratio.dma32", "", 256, 0, 100000,               \
	  "share of higher zones reserved in DMA32: 1/N; 0 = none")                                \
	X(lowmem_reserve_normal, "vm.lowmem_reserve_ratio.normal", "", 32, 0, 100000,              \
	  "share of higher zones reserved in Normal: 1/N; 0 = none")                               \
	X(percpu_pagelist_high_fraction, "vm.percpu_pagelist_high_fraction", "", 0, 0, 100000,     \
	  "share of a zone the per-CPU lists may hold: 1/N; 0 = by the low watermark")             \
	X(dirty_ratio, "vm.dirty_ratio", "%", 20, 0, 100,                                          \
	  "dirty share of available memory at which writers are throttled")                        \
	X(dirty_background_ratio, "vm.dirty_background_ratio", "%", 10, 0, 100,                    \
	  "dirty share of available memory at which flushers start")                               \
	X(dirty_bytes, "vm.dirty_bytes", "bytes", 0, 0, INT64_MAX,                                 \
	  "dirty memory at which writers are throttled; 0 = use vm.dirty_ratio")                   \
	X(dirty_background_bytes, "vm.dirty_background_bytes", "bytes", 0, 0, INT64_MAX,           \
	  "dirty memory at which flushers start; 0 = use vm.dirty_background_ratio")               \
	X(dirty_writeback_centisecs, "vm.dirty_writeback_centisecs", "1/100 s", 500, 0, 360000,    \
	  "how often the flusher looks for old dirty data; 0 = never")                             \
	X(dirty_expire_centisecs, "vm.dirty_expire_centisecs", "1/100 s", 3000, 1, 360000,         \
	  "age at which dirty data must be written")                                               \
	X(vfs_cache_pressure, "vm.vfs_cache_pressure", "%", 100, 0, 10000,                         \
	  "weight of object caches against page cache")                                            \
	X(overcommit_kill_allocating_task, "vm.oom_kill_allocating_task", "", 0, 0, 1,             \
	  "the OOM killer takes the task that asked instead of the largest")                       \
	X(zone_reclaim_mode, "vm.zone_reclaim_mode", "bits", 0, 0, 7,                              \
	  "reclaim within a node before going to the next: 1 on, 2 write, 4 unmap")                \
	X(min_unmapped_ratio, "vm.min_unmapped_ratio", "%", 1, 0, 100,                             \
	  "node reclaim keeps this share of a node as unmapped page cache")                        \
	X(min_slab_ratio, "vm.min_slab_ratio", "%", 5, 0, 100,                                     \
	  "node reclaim shrinks slab above this share of a node")                                  \
	X(laptop_mode, "vm.laptop_mode", "s", 0, 0, 100000,                                        \
	  "reclaim does not start writes by itself")                                               \
	X(read_ahead_kb, "read_ahead_kb", "KiB", 128, 0, 65536,                                    \
	  "largest readahead window of a file")                                                    \
	X(fault_around_bytes, "fault_around_bytes", "bytes", 65536, 4096, 1048576,                 \
	  "size of the naturally aligned window a file fault maps from the page cache")            \
	X(hz, "kernel.hz", "1/s", 250, 100, 1000, "timer ticks: the unit of short sleeps")         \
	X(cgroup_writeback, "sim.cgroup_writeback", "", 1, 0, 1,                                   \
	  "each group's dirty pages have limits and a flusher of their own")                       \
	X(nr_inodes, "sim.nr_inodes", "files", 10000, 0, 1000000000,                               \
	  "files in use on the machine; a flush of everything may write that many pages more")     \
	X(fs_block_size, "sim.fs_block_size", "bytes", 4096, 512, 4096,                            \
	  "block size of the files' filesystem: a written page has a buffer head for each")        \
	X(access_ns, "sim.access_ns", "ns", 0, 0, 1000000000,                                      \
	  "the program's own work for each access of the trace; 0 = a memory access's")            \
	X(memcg_oom, "sim.oom", "", 1, 0, 1, "0: a group out of memory waits instead of killing")  \
	X(fail_alloc, "debug.fail_alloc", "1/1000000", 0, 0, 1000000,                              \
	  "chance that an allocation that may fail does")                                          \
	X(check_every, "debug.check_every", "accesses", 0, 0, INT64_MAX,                           \
	  "run the whole-machine check this often; 0 = never")

struct tunables {
#define RCL_X(field, name, unit, def, lo, hi, help) s64 field;
	RCL_TUNABLES(RCL_X)
#undef RCL_X
};

struct rcl_tunable_info {
	const char *name, *unit, *help;
	s64 def, min, max;
	size_t offset; /* of the s64 in struct tunables */
};
/* The table; NULL name ends it. */
const struct rcl_tunable_info *rcl_tunable_table(void);
void rcl_tunables_defaults(struct tunables *t);
/* By name: NULL when unknown; *nearest (may be NULL) gets the closest known name. */
const struct rcl_tunable_info *rcl_tunable_find(const char *name, const char **nearest);
/* Set by name, checking the range: 0, -ENOENT (unknown), -ERANGE. */
int rcl_tunables_set(struct tunables *t, const char *name, s64 value);
s64 rcl_tunables_get(const struct tunables *t, const struct rcl_tunable_info *info);
/* Edit distance of two short names, '-' equal to '_' and case ignored: for "did you mean". */
u32 rcl_name_distance(const char *a, const char *b);

#endif
