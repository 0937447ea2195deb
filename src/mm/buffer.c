/* SPDX-License-Identifier: MIT */
/*
 * Private buffers: what a filesystem like ext4 hangs on a page that was written to.
 *
 * The engine has no use for them. They are modelled because they are there: with 4 KiB blocks each
 * dirtied page has one buffer of 104 bytes, charged to the group that pays for the page, and an
 * extra reference that reclaim must drop (releasing the buffer) before it can free the page. A
 * buffer's own dirty state always equals the folio's.
 *
 *   none  -> attached   first write to the page, or first dirtying through a mapping
 *   attached -> none    release by reclaim, invalidation or truncation, when clean and not being
 *                       written
 *
 * PG_private says that private_ holds the buffer; both change under the folio lock.
 */
#include "mm/filemap.h"
#include "mm/machine.h"
#include "mm/slab.h"

int rcl_folio_create_buffers(struct rcl *m, struct folio *f)
{
	void *bh;

	RCL_ASSERT(folio_test(f, PG_locked));
	if (folio_needs_release(f))
		return 0;
	bh = rcl_kmem_cache_alloc(m, m->buffer_head_cache, GFP_NOFS | __GFP_NOFAIL | __GFP_ACCOUNT,
				  f->memcg);
	if (!bh)
		return -ENOMEM;
	folio_get(f);
	f->private_ = (u64)(uintptr_t)bh;
	folio_set(f, PG_private);
	return 0;
}

bool rcl_filemap_release_folio(struct rcl *m, struct folio *f)
{
	RCL_ASSERT(folio_test(f, PG_locked));
	if (!folio_needs_release(f))
		return true;
	if (folio_flags(f) & (BIT(PG_writeback) | BIT(PG_dirty)))
		return false;
	RCL_DEBUG_ASSERT(folio_ref_count(f) > 1);
	rcl_kmem_cache_free(m, m->buffer_head_cache, (void *)(uintptr_t)f->private_);
	f->private_ = 0;
	folio_clear(f, PG_private);
	folio_put(m, f);
	return true;
}
