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
/* Clear dirty for I/O: also collects dirty bits from page tables; true if it was dirty. Locked. */
bool rcl_folio_clear_dirty_for_io(struct rcl *m, struct folio *f);
/* Clear dirty because the folio is thrown away (truncate): undo the counters. Locked. */
void rcl_folio_cancel_dirty(struct rcl *m, struct folio *f);
void rcl_folio_start_writeback(struct rcl *m, struct folio *f);
/* I/O completion: clears writeback, counts, rotates if PG_reclaim, wakes waiters. May not wait. */
void rcl_folio_end_writeback(struct rcl *m, struct folio *f);
/* Write one locked, already cleaned-for-io file folio (reclaim's pageout); unlocks it. */
int rcl_file_writepage(struct rcl *m, struct folio *f);
void rcl_mapping_set_error(struct mapping *mapping, int error);

/* After dirtying pages of a file: start background writeback, pause the task if over the limit. */
void rcl_balance_dirty_pages(struct rcl *m, struct mapping *mapping);
/* Wake the flushers to write everything (reclaim meets only unqueued dirty pages). */
void rcl_wakeup_flusher_threads(struct rcl *m);
/* Write everything dirty on all devices and wait for it (sync). */
void rcl_sync(struct rcl *m);
/* Dirtyable pages and the two limits, in pages, for the machine. */
void rcl_global_dirty_limits(struct rcl *m, u64 *background, u64 *dirty);
/* May a node take more dirty pages? (__GFP_WRITE spreading) */
bool rcl_node_dirty_ok(struct node *nd);

int rcl_writeback_init(struct rcl *m);
void rcl_writeback_exit(struct rcl *m);
/* A device with files on it: gets a flusher. */
int rcl_writeback_add_device(struct rcl *m, u16 dev);

#endif
