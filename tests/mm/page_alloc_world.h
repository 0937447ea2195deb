/* SPDX-License-Identifier: MIT */
/*
 * The page allocator's own source over a platform that does nothing, with reclaim and its friends
 * replaced by hooks that each test sets. Once for each program.
 */
#ifndef RCL_TESTS_PAGE_ALLOC_WORLD_H
#define RCL_TESTS_PAGE_ALLOC_WORLD_H

#define rcl_try_to_free_pages	   hook_try_to_free_pages
#define rcl_zone_reclaimable_pages hook_zone_reclaimable_pages
#define rcl_node_reclaim	   hook_node_reclaim
#define rcl_node_dirty_ok	   hook_node_dirty_ok
#define rcl_wakeup_kswapd	   hook_wakeup_kswapd
#define rcl_psi_memstall_enter	   hook_psi_memstall_enter
#define rcl_psi_memstall_leave	   hook_psi_memstall_leave
#define rcl_out_of_memory	   hook_out_of_memory
#define rcl_oom_init		   hook_oom_init
#define rcl_oom_exit		   hook_oom_exit
#define rcl_oom_trylock		   hook_oom_trylock
#define rcl_oom_unlock		   hook_oom_unlock

#include "bare_machine.h"

#include "mm/buddy.c"
#include "mm/pcp.c"
#undef PAGEBLOCK_NR_PAGES
#include "mm/zone.c"
#include "mm/page_alloc.c"
#include "mm/page_alloc_slow.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct {
	u64 (*reclaim)(struct rcl *m);
	bool (*oom)(struct rcl *m);
	u64 reclaimable;
	u32 clean_nodes; /* bit n: node n may take dirty pages */
	bool oom_busy;
	int stalled;
	int nr_reclaim, nr_oom, nr_wake, nr_node_reclaim;
	struct zone *woken;
	struct folio *held[64];
	u32 nr_held;
} hook;

u64 hook_try_to_free_pages(struct rcl *m, struct zonelist *zl, u32 order, gfp_t gfp)
{
	(void)zl, (void)order, (void)gfp;
	assert_true(rcl_current(m)->flags & PF_MEMALLOC);
	assert_int_equal(hook.stalled, 1);
	hook.nr_reclaim++;
	return hook.reclaim ? hook.reclaim(m) : 0;
}
u64 hook_zone_reclaimable_pages(struct zone *z)
{
	(void)z;
	return hook.reclaimable;
}
int hook_node_reclaim(struct rcl *m, struct node *nd, gfp_t gfp, u32 order)
{
	(void)nd, (void)gfp, (void)order;
	hook.nr_node_reclaim++;
	return hook.reclaim && hook.reclaim(m) ? NODE_RECLAIM_SUCCESS : NODE_RECLAIM_FULL;
}
bool hook_node_dirty_ok(struct node *nd)
{
	return hook.clean_nodes & 1u << nd->id;
}
void hook_wakeup_kswapd(struct zone *z, gfp_t gfp, u32 order, int highest_zoneidx)
{
	(void)gfp, (void)order, (void)highest_zoneidx;
	assert_false(spin_is_held(&z->lock));
	hook.nr_wake++;
	hook.woken = z;
}
bool hook_psi_memstall_enter(struct rcl *m)
{
	(void)m;
	hook.stalled++;
	return false;
}
void hook_psi_memstall_leave(struct rcl *m, bool cookie)
{
	(void)m, (void)cookie;
	hook.stalled--;
}
bool hook_out_of_memory(struct rcl *m, struct oom_control *oc)
{
	assert_null(oc->memcg);
	hook.nr_oom++;
	return hook.oom ? hook.oom(m) : false;
}
int hook_oom_init(struct rcl *m)
{
	(void)m;
	return 0;
}
void hook_oom_exit(struct rcl *m)
{
	(void)m;
}
bool hook_oom_trylock(struct rcl *m)
{
	(void)m;
	return !hook.oom_busy;
}
void hook_oom_unlock(struct rcl *m)
{
	(void)m;
}

static inline struct bare *open_nodes(u32 nr_cpus, const struct rcl_node_layout *layout,
				      u32 nr_nodes)
{
	struct bare *b = bare_new(nr_cpus, false);

	memset(&hook, 0, sizeof(hook));
	hook.clean_nodes = ~0u;
	assert_int_equal(rcl_page_alloc_init(&b->m, layout, nr_nodes), 0);
	assert_true(rcl_page_alloc_is_valid(&b->m));
	return b;
}

/* One node with these frames per zone. */
static inline struct bare *open_zones(u32 nr_cpus, u64 dma, u64 dma32, u64 normal)
{
	struct rcl_node_layout layout = {{dma, dma32, normal, 0}};

	return open_nodes(nr_cpus, &layout, 1);
}

static inline void put(struct rcl *m, struct folio *f, u32 order)
{
	assert_int_equal(f->refcount, 1);
	f->refcount = 0;
	rcl_free_pages(m, f, order);
}

static inline s64 nr_free(struct zone *z)
{
	return zone_page_state(z, NR_FREE_PAGES);
}

static inline u64 take_frame(struct zone *z, u32 migratetype, u32 alloc_flags)
{
	u64 pfn;

	spin_lock(&z->lock);
	pfn = rcl_buddy_alloc(z, 0, migratetype, alloc_flags);
	assert_int_not_equal(pfn, NO_BLOCK);
	mod_zone_state(z, NR_FREE_PAGES, -1);
	spin_unlock(&z->lock);
	return pfn;
}

/* Take frames until the zone has this many free ones, regardless of watermarks. */
static inline struct list_head *drain_zone_to(struct zone *z, s64 left, struct list_head *taken,
					      u32 migratetype)
{
	list_init(taken);
	while (nr_free(z) > left) {
		struct folio *f = describe_block(z, take_frame(z, migratetype, 0), 0);

		prepare_folio(z, f, 0);
		f->refcount = 0;
		list_add_tail(&f->lru, taken);
	}
	return taken;
}

#endif
