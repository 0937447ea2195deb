/* SPDX-License-Identifier: MIT */
/*
 * Folios: waiting for the lock or for writeback, and the end of a folio's life.
 *
 * A sleeper first sets PG_waiters, then sleeps on the flags word itself while it still has the
 * value the sleeper saw; whoever clears PG_locked or PG_writeback and finds PG_waiters set wakes
 * all sleepers, and each looks again. Any change of the flags between look and sleep makes the
 * platform return at once, so no wake-up is lost.
 *
 * The last reference to a folio is dropped by whoever lets go of it: unmapping, truncation, a batch
 * drain. At that point nobody can find the folio (it left its mapping before its last reference
 * could go), so taking it off its LRU list, uncharging and freeing need no folio lock.
 */
#include "mm/machine.h"

static void wait_bit(struct rcl *m, struct folio *f, enum folio_flag bit)
{
	for (;;) {
		u32 v = folio_flags(f);

		if (!(v & BIT(bit)))
			return;
		if (!(v & BIT(PG_waiters))) {
			folio_set(f, PG_waiters);
			continue;
		}
		rcl_wait_on(m, &f->flags, v, RCL_FOREVER, true);
	}
}

void rcl_folio_wait_locked(struct rcl *m, struct folio *f)
{
	wait_bit(m, f, PG_locked);
}

void rcl_folio_wait_writeback(struct rcl *m, struct folio *f)
{
	wait_bit(m, f, PG_writeback);
}

void rcl_folio_lock_slow(struct rcl *m, struct folio *f)
{
	do {
		wait_bit(m, f, PG_locked);
	} while (!folio_trylock(f));
}

void rcl_folio_wake(struct rcl *m, struct folio *f)
{
	folio_clear(f, PG_waiters);
	rcl_wake(m, &f->flags, UINT32_MAX);
}

void rcl_folio_put_last(struct rcl *m, struct folio *f)
{
	RCL_DEBUG_ASSERT(!folio_mapped(f));
	if (folio_test(f, PG_lru)) {
		struct lruvec *lv = rcl_folio_lruvec(m, f);

		spin_lock(&lv->lru_lock);
		rcl_lruvec_del_folio(lv, f);
		folio_clear(f, PG_lru);
		spin_unlock(&lv->lru_lock);
	}
	/* It may have been meant for a list that it never reached. */
	folio_clear(f, PG_active);
	folio_clear(f, PG_unevictable);
	rcl_memcg_uncharge(m, f);
	rcl_free_pages(m, f, f->order);
}
