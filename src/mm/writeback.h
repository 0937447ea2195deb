/* SPDX-License-Identifier: MIT */
/*
 * Dirty pages and writeback (algorithm: Linux 6.1 mm/page-writeback.c and fs/fs-writeback.c):
 * dirty accounting and limits, throttling of writers, a flusher task per device, errors.
 */
#ifndef RCL_MM_WRITEBACK_H
#define RCL_MM_WRITEBACK_H

#include "mm/filemap.h"

/* Mark a file or anonymous folio dirty; true if it was clean. Puts the file on its device's list.
 * For files with buffers, creates them. The folio is locked or mapped and referenced. */
bool rcl_folio_mark_dirty(struct rcl *m, struct folio *f);
/*
 * Clear dirty for I/O: also collects dirty bits from page tables; true if it was dirty. False and
 * still dirty: it is pinned for writing and must not be written now. Locked.
 */
bool rcl_folio_clear_dirty_for_io(struct rcl *m, struct folio *f);
/* Clear dirty because the folio is thrown away (truncate): undo the counters. Locked. */
void rcl_folio_cancel_dirty(struct rcl *m, struct folio *f);
void rcl_folio_start_writeback(struct rcl *m, struct folio *f);
/* I/O completion: clears writeback, counts, rotates if PG_reclaim, wakes waiters. May not wait. */
void rcl_folio_end_writeback(struct rcl *m, struct folio *f);
/* Write one locked, already cleaned-for-io file folio (reclaim's pageout); unlocks it. */
int rcl_file_writepage(struct rcl *m, struct folio *f);
/* Remember that a write failed (-EIO, -ENOSPC): reported once to each open file. */
void rcl_mapping_set_error(struct mapping *mapping, int error);
/* The error an open file has not been told yet, or 0; it is now told. */
int rcl_file_check_wb_err(struct file *file);
/* The value a newly opened file starts with: errors nobody has seen are still reported to it. */
u32 rcl_mapping_wb_err_sample(struct mapping *mapping);
/* Start writing the file's dirty pages [first, last] and wait: 0 or an error of submission. */
int rcl_mapping_write_and_wait(struct rcl *m, struct mapping *mapping, u64 first, u64 last);
/* The file is about to be freed: take it off its device's lists; waits for a flusher in it. */
void rcl_writeback_forget(struct rcl *m, struct mapping *mapping);

/* After dirtying pages of a file: start background writeback, pause the task if over the limit. */
void rcl_balance_dirty_pages(struct rcl *m, struct mapping *mapping);
/* A task ends: what it dirtied unchecked is charged to the next on its CPU. */
void rcl_writeback_task_exit(struct rcl *m, struct task *t);
/* Wake the flushers to write everything (reclaim meets only unqueued dirty pages). */
void rcl_wakeup_flusher_threads(struct rcl *m);
/* Write everything dirty on all devices and wait for it (sync). */
void rcl_sync(struct rcl *m);
/* Dirtyable pages and the two limits, in pages, for the machine. */
void rcl_global_dirty_limits(struct rcl *m, u64 *background, u64 *dirty);
u64 rcl_global_dirtyable_memory(struct rcl *m);
/* May a node take more dirty pages? (__GFP_WRITE spreading) */
bool rcl_node_dirty_ok(struct node *nd);

int rcl_writeback_init(struct rcl *m);
void rcl_writeback_exit(struct rcl *m);
/* Files with this mapping->bdi, usually those of one device, get a flusher. No-op if they have it.
 */
int rcl_writeback_add_device(struct rcl *m, u16 dev);
/* Tunables or the size of memory changed. */
void rcl_writeback_tunables_changed(struct rcl *m);
/* A group's files become its parent's. offline: and it goes away, its number may be another's. */
void rcl_writeback_reparent(struct rcl *m, struct memcg *memcg);
void rcl_writeback_memcg_offline(struct rcl *m, struct memcg *memcg);
bool rcl_writeback_is_valid(struct rcl *m);

#endif
