/* SPDX-License-Identifier: MIT */
/*
 * Opening, closing and checking a whole machine.
 *
 * Subsystems come up in the order in which they lean on each other: memory, groups, shrinkers,
 * object caches, refault detection, swap, writeback, address spaces, and last the tasks that serve
 * them (kswapd; a flusher starts with its device). They go down in the reverse order, after
 * `stopping` has told the tasks to end. A failure on the way up takes down what was up.
 */
#include "mm/machine.h"

#include <stdio.h>
#include <stdlib.h>

#include "mm/filemap.h"
#include "mm/mm.h"
#include "mm/shrinker.h"
#include "mm/slab.h"
#include "mm/swap.h"
#include "mm/vmscan.h"
#include "mm/workingset.h"
#include "mm/writeback.h"

#define BUFFERS_PER_PAGE 8 /* at most: 512-byte blocks */

static int init_cpus(struct rcl *m, u32 nr)
{
	m->cpus = calloc(nr, sizeof(*m->cpus));
	if (!m->cpus)
		return -ENOMEM;
	m->nr_cpus = nr;
	for (u32 i = 0; i < nr; i++) {
		m->cpus[i].id = i;
		spin_init(&m->cpus[i].lock, m->threaded);
	}
	return 0;
}

static int init_caches(struct rcl *m)
{
	m->radix_node_cache = rcl_kmem_cache_create(
		m, "radix_tree_node", RADIX_NODE_BYTES, sizeof(struct radix_node),
		SLAB_RECLAIM_ACCOUNT, m->totalram_pages * (PAGE_SIZE / RADIX_NODE_BYTES) + 64);
	m->buffer_head_cache = rcl_kmem_cache_create(
		m, "buffer_head", BUFFER_HEAD_BYTES, sizeof(void *),
		SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, m->totalram_pages * BUFFERS_PER_PAGE + 64);
	return m->radix_node_cache && m->buffer_head_cache ? 0 : -ENOMEM;
}

static int init_subsystems(struct rcl *m, const struct rcl_machine_config *cfg)
{
	int err = init_cpus(m, cfg->nr_cpus);

	if (!err)
		err = rcl_page_alloc_init(m, cfg->nodes, cfg->nr_nodes);
	if (!err)
		err = rcl_memcg_init(m);
	if (!err)
		err = rcl_shrinkers_init(m);
	if (!err)
		err = init_caches(m);
	if (!err)
		err = rcl_workingset_init(m);
	if (!err)
		err = rcl_swap_init(m);
	if (!err)
		err = rcl_writeback_init(m);
	if (!err)
		err = rcl_mm_init(m);
	for (u32 n = 0; !err && n < m->nr_nodes; n++)
		err = rcl_kswapd_run(m, &m->nodes[n]);
	return err;
}

int rcl_machine_open(const struct rcl_machine_config *cfg, struct rcl **out)
{
	struct rcl *m;
	int err;

	if (!cfg->nr_cpus || cfg->nr_cpus > RCL_MAX_CPUS || !cfg->nr_nodes ||
	    cfg->nr_nodes > MAX_NODES)
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->plat = cfg->plat;
	RCL_ASSERT(RCL_THREADS || (cfg->plat->simulated && !cfg->plat->threaded));
	m->threaded = cfg->plat->threaded;
	m->charges_wait = m->threaded || cfg->charges_wait;
	m->tun = cfg->tunables;
	m->next_task_id = 1;
	cfg->plat->m = m;
	list_init(&m->tasks);
	list_init(&m->mappings);
	list_init(&m->free_mappings);
	spin_init(&m->tasks_lock, m->threaded);
	err = init_subsystems(m, cfg);
	if (err) {
		rcl_machine_close(m);
		return err;
	}
	*out = m;
	return 0;
}

void rcl_machine_close(struct rcl *m)
{
	if (m->plat->ops->closing)
		m->plat->ops->closing(m->plat);
	__atomic_store_n(&m->stopping, true, __ATOMIC_RELEASE);
	for (u32 n = 0; n < m->nr_nodes; n++)
		rcl_kswapd_stop(m, &m->nodes[n]);
	rcl_mm_exit(m);
	if (m->wb)
		rcl_writeback_exit(m);
	if (m->cpus && m->nodes)
		rcl_lru_add_drain_all(m);
	while (!list_empty(&m->mappings))
		rcl_mapping_destroy(m, list_first_entry(&m->mappings, struct mapping, link));
	rcl_mappings_exit(m);
	if (m->swap)
		rcl_swap_exit(m);
	rcl_workingset_exit(m);
	if (m->buffer_head_cache)
		rcl_kmem_cache_destroy(m, m->buffer_head_cache);
	if (m->radix_node_cache)
		rcl_kmem_cache_destroy(m, m->radix_node_cache);
	if (m->shrinkers)
		rcl_shrinkers_exit(m);
	rcl_memcg_exit(m);
	rcl_page_alloc_destroy(m);
	free(m->cpus);
	m->plat->m = NULL;
	free(m);
}

void rcl_tunables_apply(struct rcl *m)
{
	rcl_setup_watermarks(m);
	rcl_writeback_tunables_changed(m);
}

void rcl_task_attach(struct rcl *m, struct task *t)
{
	t->m = m;
	/* First look at the dirty limits after this many pages, as a new task's share is unknown.
	 */
	t->nr_dirtied_pause = 32;
	spin_lock(&m->tasks_lock);
	t->id = m->next_task_id++;
	list_add_tail(&t->link, &m->tasks);
	spin_unlock(&m->tasks_lock);
}

void rcl_task_detach(struct rcl *m, struct task *t)
{
	rcl_writeback_task_exit(m, t);
	spin_lock(&m->tasks_lock);
	list_del_init(&t->link);
	spin_unlock(&m->tasks_lock);
}

static bool check(bool ok, const char *what)
{
	if (!ok)
		fprintf(stderr, "reclaim: check failed: %s\n", what);
	return ok;
}

bool rcl_check(struct rcl *m)
{
	bool ok = true;
	struct mapping *mapping;
	struct mm *last = NULL;
	struct task *t;

	ok &= check(rcl_page_alloc_is_valid(m), "page allocator");
	ok &= check(rcl_memcg_is_valid(m), "memory cgroups");
	ok &= check(rcl_swap_is_valid(m), "swap");
	ok &= check(rcl_writeback_is_valid(m), "writeback");
	for_each_memcg (memcg, m->root_memcg)
		for (u32 n = 0; n < m->nr_nodes; n++)
			ok &= check(rcl_lruvec_is_valid(m, memcg->lruvecs[n]), "LRU lists");
	list_for_each (mapping, &m->mappings, link)
		ok &= check(rcl_mapping_is_valid(m, mapping), "page cache");
	list_for_each (t, &m->tasks, link) {
		if (t->mm && t->mm != last)
			ok &= check(rcl_mm_is_valid(m, t->mm), "address space");
		last = t->mm;
	}
	ok &= check(rcl_kmem_cache_is_valid(m, m->radix_node_cache), "tree node cache");
	ok &= check(rcl_kmem_cache_is_valid(m, m->buffer_head_cache), "buffer head cache");
	return ok;
}
