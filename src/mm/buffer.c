/* SPDX-License-Identifier: MIT */
/*
 * Private buffers: what a filesystem like ext4 hangs on a page that was written to.
 *
 * The engine has no use for them. They are modelled because they are there: each dirtied page has
 * one buffer of 104 bytes for every filesystem block in it (four when blocks are 1 KiB), charged to
 * the group that pays for the page, and they hold one extra reference that reclaim must drop
 * (releasing them) before it can free the page. Their dirty state always equals the folio's.
 *
 *   none  -> attached   first write to the page, or first dirtying through a mapping
 *   attached -> none    release by reclaim, invalidation or truncation, when clean and not being
 *                       written
 *
 * PG_private says that private_ heads the chain of buffers, each of which holds the next one's
 * address; both change under the folio lock.
 */
#include "mm/filemap.h"
#include "mm/machine.h"
#include "mm/slab.h"

static void free_chain(struct rcl *m, void *bh)
{
	while (bh) {
		void *next = *(void **)bh;

		rcl_kmem_cache_free(m, m->buffer_head_cache, bh);
		bh = next;
	}
}

int rcl_folio_create_buffers(struct rcl *m, struct folio *f)
{
	u32 nr = max((u32)PAGE_SIZE / f->mapping->block_size, 1u);
	void *head = NULL;

	RCL_ASSERT(folio_test(f, PG_locked));
	if (folio_needs_release(f))
		return 0;
	while (nr--) {
		void *bh = rcl_kmem_cache_alloc(m, m->buffer_head_cache,
						GFP_NOFS | __GFP_NOFAIL | __GFP_ACCOUNT, f->memcg);

		if (!bh) {
			free_chain(m, head);
			return -ENOMEM;
		}
		*(void **)bh = head;
		head = bh;
	}
	folio_get(f);
	hint_set(&f->private_, (u64)(uintptr_t)head);
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
	free_chain(m, (void *)(uintptr_t)f->private_);
	hint_set(&f->private_, 0);
	folio_clear(f, PG_private);
	folio_put(m, f);
	return true;
}
