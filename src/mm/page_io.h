/* SPDX-License-Identifier: MIT */
/* Block I/O of single pages for files; swap's is in swap.h. Submission counts pgpgin and pgpgout.
 */
#ifndef RCL_MM_PAGE_IO_H
#define RCL_MM_PAGE_IO_H

#include "mm/types.h"

/*
 * Start reading / writing a file folio at its place on the mapping's device. Read: the folio is
 * locked and not uptodate, and is unlocked at the end. Write: the folio is under writeback, which
 * ends with the I/O. Neither waits. sync: the caller will wait for it; start now, past any plug.
 */
void rcl_file_readpage(struct rcl *m, struct folio *f, bool sync);
/*
 * rcl_file_readpage() for somebody who will wait for this page and no other; submitting a page that
 * was in use not long ago counts as a stall. True: the read has ended already.
 */
bool rcl_file_read_alone(struct rcl *m, struct folio *f, bool sync);
void rcl_file_submit_write(struct rcl *m, struct folio *f, bool sync);

#endif
