/* SPDX-License-Identifier: MIT */
/*
 * Page I/O: submission for swap and files, and completion of all of it (algorithm: Linux 6.1
 * mm/page_io.c; for files fs/mpage.c and fs/buffer.c).
 *
 * Who holds what while an I/O is under way:
 *
 *   read    the folio is locked by the I/O itself; completion sets uptodate (or error) and unlocks
 *   write   the folio has PG_writeback and is not locked; completion ends the writeback
 *
 * Either way the cache the folio is in keeps it there: a locked folio, and one under writeback, is
 * not removed, so that completion can rely on PG_swapcache and mapping.
 *
 * A failed read leaves the folio not uptodate; the waiter finds out. A failed write of a swap page
 * makes it dirty again, so that reclaim does not drop the only copy, and takes PG_reclaim away, so
 * that it is not moved to where it would be freed next. A failed write of a file page is remembered
 * in the file for fsync; its data is considered lost, as there.
 *
 * Submission counts pgpgin and pgpgout in KiB. CPU work and merging are the platform's.
 */
#include "mm/page_io.h"
#include "mm/psi.h"
#include "mm/swap_internal.h"
#include "mm/trace.h"
#include "mm/writeback.h"

static void submit(struct rcl *m, struct folio *f, u16 dev, u64 block, enum rcl_io_op op, bool sync)
{
	struct platform *p = m->plat;
	struct rcl_io io = {.folio = f, .block = block, .dev = dev, .op = (u8)op, .sync = sync};

	count_vm_events(m, op == RCL_IO_READ ? PGPGIN : PGPGOUT, PAGE_SIZE / 1024);
	PLATFORM_CALL(p, submit)(p, &io);
}

/* A file may be opened for writing while it is in use. */
static u16 mapping_dev(const struct mapping *mapping)
{
	return __atomic_load_n(&mapping->dev, __ATOMIC_RELAXED);
}

void rcl_file_readpage(struct rcl *m, struct folio *f, bool sync)
{
	struct mapping *mapping = f->mapping;

	RCL_ASSERT(folio_test(f, PG_locked) && !folio_test(f, PG_uptodate));
	submit(m, f, mapping_dev(mapping), mapping->first_block + f->index, RCL_IO_READ, sync);
}

bool rcl_file_read_alone(struct rcl *m, struct folio *f, bool sync)
{
	struct mapping *mapping = f->mapping;
	struct platform *p = m->plat;
	struct rcl_io io = {.folio = f,
			    .block = mapping->first_block + f->index,
			    .dev = mapping_dev(mapping),
			    .op = RCL_IO_READ,
			    .sync = sync};
	bool stall = folio_test(f, PG_workingset);
	bool cookie = stall && rcl_psi_memstall_enter(m), alone;
	u64 token;

	RCL_ASSERT(folio_test(f, PG_locked) && !folio_test(f, PG_uptodate));
	count_vm_events(m, PGPGIN, PAGE_SIZE / 1024);
	alone = PLATFORM_HAS(p, read_begin) && PLATFORM_CALL(p, read_begin)(p, &io, &token);
	if (unlikely(!alone))
		PLATFORM_CALL(p, submit)(p, &io);
	if (stall)
		rcl_psi_memstall_leave(m, cookie);
	if (likely(alone))
		PLATFORM_CALL(p, read_end)(p, &io, token);
	return alone;
}

void rcl_file_submit_write(struct rcl *m, struct folio *f, bool sync)
{
	struct mapping *mapping = f->mapping;

	RCL_ASSERT(folio_test(f, PG_writeback));
	submit(m, f, mapping_dev(mapping), mapping->first_block + f->index, RCL_IO_WRITE, sync);
}

int rcl_swap_writepage(struct rcl *m, struct folio *f)
{
	swp_entry_t e = f->private_;

	RCL_ASSERT(folio_test(f, PG_locked) && folio_test(f, PG_swapcache));
	/* The last page table that referred to the slot may be gone: then nobody will read it. */
	if (rcl_folio_free_swap(m, f)) {
		folio_unlock(m, f);
		return 0;
	}
	count_vm_event(m, PSWPOUT);
	RCL_TRACE(mm_swap_writepage, swp_offset(e), folio_pfn(m, f));
	rcl_folio_start_writeback(m, f);
	folio_unlock(m, f);
	submit(m, f, swap_area_of(m, e)->dev, swp_offset(e), RCL_IO_WRITE, false);
	return 0;
}

void rcl_swap_readpage(struct rcl *m, struct folio *f, bool sync)
{
	swp_entry_t e = f->private_;
	struct platform *p = m->plat;
	struct rcl_io io = {.folio = f,
			    .block = swp_offset(e),
			    .dev = swap_area_of(m, e)->dev,
			    .op = RCL_IO_READ,
			    .sync = sync};
	u64 token;
	/* Waiting for a page that was in use not long ago is a stall; submission counts too. */
	bool stall = folio_test(f, PG_workingset);
	bool cookie = stall && rcl_psi_memstall_enter(m);

	RCL_ASSERT(folio_test(f, PG_locked) && folio_test(f, PG_swapcache));
	RCL_ASSERT(!folio_test(f, PG_uptodate));
	count_vm_event(m, PSWPIN);
	RCL_TRACE(mm_swap_readpage, io.block, folio_pfn(m, f), sync);
	count_vm_events(m, PGPGIN, PAGE_SIZE / 1024);
	if (sync && PLATFORM_HAS(p, read_begin) && PLATFORM_CALL(p, read_begin)(p, &io, &token)) {
		PLATFORM_CALL(p, read_end)(p, &io, token);
	} else {
		PLATFORM_CALL(p, submit)(p, &io);
		if (sync)
			rcl_folio_wait_locked(m, f);
	}
	if (stall)
		rcl_psi_memstall_leave(m, cookie);
}

static void end_read(struct rcl *m, struct folio *f, int error)
{
	if (error) {
		folio_set(f, PG_error);
		folio_clear(f, PG_uptodate);
	} else {
		folio_clear(f, PG_error);
		folio_set(f, PG_uptodate);
	}
	folio_unlock(m, f);
}

static void end_write(struct rcl *m, struct folio *f, int error)
{
	if (!error) {
		folio_clear(f, PG_error);
	} else {
		folio_set(f, PG_error);
		if (folio_test(f, PG_swapcache)) {
			/* Swap has no dirty accounting: the flag is all there is. */
			folio_set(f, PG_dirty);
			folio_clear(f, PG_reclaim);
		} else if (f->mapping) {
			rcl_mapping_set_error(f->mapping, error);
		}
	}
	rcl_folio_end_writeback(m, f);
}

void rcl_end_io(struct rcl *m, const struct rcl_io *io, int error)
{
	if (io->op == RCL_IO_READ) {
		RCL_ASSERT(folio_test(io->folio, PG_locked));
		end_read(m, io->folio, error);
	} else {
		RCL_ASSERT(folio_test(io->folio, PG_writeback));
		end_write(m, io->folio, error);
	}
}
