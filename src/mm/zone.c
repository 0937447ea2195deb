/* SPDX-License-Identifier: MIT */
/*
 * Nodes and zones: layout, watermarks and reserves (behaviour: Linux 6.1 mm/page_alloc.c).
 *
 * Frame numbers. A zone starts at a multiple of the largest block, so that no block and no buddy is
 * in two zones. Zones follow each other node by node in the order of their types without the gaps
 * that physical memory has: a frame number is a position among the descriptors, no more. Frame 0 is
 * never handed out. Within a zone the managed frames are one run: at the end of ZONE_DMA (firmware
 * and boot code have its start), at the start of the other zones. The other frames of a zone's
 * span, which ends with a whole pageblock, are PG_reserved; frames between zones are nothing at
 * all.
 *
 * Watermarks. min is the zone's share of vm.min_free_kbytes (4 * sqrt of low memory, in kB, when
 * that is 0); low and high follow at equal distance: a quarter of min, or watermark_scale_factor
 * ten-thousandths of the zone if that is more. Below low kswapd is woken and works up to high;
 * below min requests must reclaim for themselves.
 *
 * Lowmem reserve. A request that could have used higher zones must leave managed(higher zones up to
 * its own) / ratio frames in a lower one, for those who can use nothing else.
 *
 * All memory is reserved at set-up and none later. Descriptors, of which there are a great many,
 * are only address space until a frame is first used.
 */
#include "mm/page_alloc_internal.h"

#define MAX_ORDER_NR_PAGES (1ull << (MAX_ORDER - 1))
#define PAGEBLOCK_NR_PAGES (1ull << PAGEBLOCK_ORDER)
#define DMA_PAGES	   4096ull /* 16 MiB: what a device with 24 address bits reaches */
#define DMA_RESERVED_PAGES 256ull  /* 1 MiB of it belongs to firmware and boot code */
#define DMA32_END_PAGES	   (3ull << (30 - PAGE_SHIFT)) /* devices take the last of the 4 GiB */

static const char *const zone_names[MAX_NR_ZONES] = {"DMA", "DMA32", "Normal", "Movable"};

static u64 align_up(u64 n, u64 to)
{
	return (n + to - 1) / to * to;
}

void rcl_layout_for_memory(u64 bytes, u32 nr_nodes, struct rcl_node_layout *out)
{
	u64 pages = bytes >> PAGE_SHIFT, pos = DMA_RESERVED_PAGES;

	memset(out, 0, nr_nodes * sizeof(*out));
	for (u32 n = 0; n < nr_nodes; n++) {
		u64 share = pages / nr_nodes + (n < pages % nr_nodes);
		const u64 zone_end[] = {DMA_PAGES, DMA32_END_PAGES, UINT64_MAX};

		for (u32 t = ZONE_DMA; t <= ZONE_NORMAL; t++) {
			u64 here = pos < zone_end[t] ? min(share, zone_end[t] - pos) : 0;

			out[n].managed[t] = here;
			share -= here;
			pos += here;
		}
	}
}

static size_t pcp_bytes(const struct rcl *m)
{
	return m->nr_cpus * sizeof(struct per_cpu_pages);
}

/* Place the zones of all nodes; returns the number of frames. */
static u64 place_zones(struct rcl *m, const struct rcl_node_layout *layout)
{
	u64 pfn = layout[0].managed[ZONE_DMA] ? 0 : MAX_ORDER_NR_PAGES;

	m->totalram_pages = 0;
	for (u32 n = 0; n < m->nr_nodes; n++) {
		struct node *nd = m->nodes + n;

		nd->m = m;
		nd->id = n;
		nd->start_pfn = pfn;
		for_each_zone (z, nd) {
			u64 managed;

			z->m = m;
			z->node = nd;
			z->type = (enum zone_type)(z - nd->zones);
			z->name = zone_names[z->type];
			z->zone_node = (u8)(n << 3 | z->type);
			m->zones[z->zone_node] = z;
			managed = z->managed_pages = layout[n].managed[z->type];
			z->start_pfn = z->managed_start = pfn;
			if (!managed)
				continue;
			z->spanned_pages = align_up(managed, PAGEBLOCK_NR_PAGES);
			if (z->type == ZONE_DMA && !n) {
				z->spanned_pages = align_up(managed + 1, DMA_PAGES);
				z->managed_start = pfn + z->spanned_pages - managed;
			}
			m->totalram_pages += managed;
			pfn = align_up(pfn + z->spanned_pages, MAX_ORDER_NR_PAGES);
		}
		nd->spanned_pages = pfn - nd->start_pfn;
	}
	return pfn;
}

/*
 * One reservation: links and states of free blocks, the types of pageblocks (see pageblock_slot()),
 * descriptors. All but the descriptors are 9 bytes a frame.
 */
struct tables {
	u64 nr_links;
	size_t before_frames, bytes;
};
static struct tables size_tables(const struct rcl *m)
{
	struct tables t = {.nr_links = m->nr_frames +
				       (u64)m->nr_nodes * MAX_NR_ZONES * MAX_ORDER * MIGRATE_TYPES};

	t.before_frames = align_up(t.nr_links * sizeof(struct block_link) + m->nr_frames +
					   m->nr_frames / PAGEBLOCK_NR_PAGES,
				   PAGE_SIZE);
	t.bytes = t.before_frames + m->nr_frames * sizeof(*m->frames);
	return t;
}

static int reserve_tables(struct rcl *m)
{
	struct tables t = size_tables(m);
	struct block_link *links;
	u64 nr_blocks = m->nr_frames / PAGEBLOCK_NR_PAGES;
	u32 head = (u32)m->nr_frames;

	RCL_ASSERT(t.nr_links <= UINT32_MAX);
	links = m->plat->ops->reserve(m->plat, t.bytes);
	if (!links)
		return -ENOMEM;
	m->frames = (struct folio *)((char *)links + t.before_frames);
	memset((char *)m->frames - nr_blocks, MIGRATE_MOVABLE, nr_blocks);
	for (u32 n = 0; n < m->nr_nodes; n++) {
		for_each_zone (z, m->nodes + n) {
			z->links = links;
			z->blocks = (u8 *)(links + t.nr_links);
			rcl_buddy_init_lists(z, head);
			head += MAX_ORDER * MIGRATE_TYPES;
		}
	}
	return 0;
}

static void release_tables(struct rcl *m)
{
	struct tables t = size_tables(m);

	if (m->frames)
		m->plat->ops->release(m->plat, (char *)m->frames - t.before_frames, t.bytes);
	m->frames = NULL;
}

/* Hand the managed frames to the buddy in the largest blocks there are, lowest first. */
static void free_all(struct zone *z)
{
	u64 end = z->managed_start + z->managed_pages;

	/* What boot code left of a pageblock goes on holding its like: what cannot be moved. */
	if (z->managed_start % PAGEBLOCK_NR_PAGES)
		set_pageblock_type(z->m, z->managed_start, MIGRATE_UNMOVABLE);
	spin_lock(&z->lock);
	for (u64 pfn = z->managed_start; pfn < end;) {
		u32 order = min((u32)__builtin_ctzll(pfn | MAX_ORDER_NR_PAGES),
				63 - (u32)__builtin_clzll(end - pfn));

		rcl_buddy_free(z, pfn, order, pageblock_type(z->m, pfn), true);
		pfn += 1ull << order;
	}
	mod_zone_state(z, NR_FREE_PAGES, (s64)z->managed_pages);
	spin_unlock(&z->lock);
}

static void reserve_frames(struct zone *z, u64 pfn, u64 end)
{
	for (; pfn < end; pfn++) {
		struct folio *f = pfn_folio(z->m, pfn);

		set_flags(f, z->frame_flags | BIT(PG_reserved));
		f->zone_node = z->zone_node;
	}
}

static int init_zone(struct zone *z)
{
	struct rcl *m = z->m;

	spin_init(&z->lock, m->threaded);
	z->frame_flags = m->threaded ? BIT(PG_threaded) : 0;
	if (!managed_zone(z))
		return 0;

	z->pcp = m->plat->ops->reserve(m->plat, pcp_bytes(m));
	if (!z->pcp)
		return -ENOMEM;
	for (u32 cpu = 0; cpu < m->nr_cpus; cpu++)
		rcl_pcp_init(&z->pcp[cpu]);

	reserve_frames(z, z->start_pfn, z->managed_start);
	reserve_frames(z, z->managed_start + z->managed_pages, z->start_pfn + z->spanned_pages);
	free_all(z);
	return 0;
}

static void add_node_zones(struct zonelist *zl, struct node *nd)
{
	for (u32 t = MAX_NR_ZONES; t-- > 0;)
		if (managed_zone(&nd->zones[t]))
			zl->zones[zl->nr++] = &nd->zones[t];
}

static void find_starts(struct zonelist *zl)
{
	for (u32 t = 0; t < MAX_NR_ZONES; t++) {
		u32 i = 0;

		while (i < zl->nr && zl->zones[i]->type > t)
			i++;
		zl->first[t] = (u8)i;
		zl->preferred[t] = i < zl->nr ? zl->zones[i] : NULL;
	}
}

/* The node itself, then the next ones round the circle: all others are equally far away. */
static void build_zonelists(struct rcl *m, struct node *nd)
{
	add_node_zones(&nd->thisnode_zonelist, nd);
	for (u32 i = 0; i < m->nr_nodes; i++)
		add_node_zones(&nd->zonelist, m->nodes + (nd->id + i) % m->nr_nodes);
	find_starts(&nd->thisnode_zonelist);
	find_starts(&nd->zonelist);
}

static u64 int_sqrt(u64 n)
{
	u64 root = 0;

	for (u64 bit = 1ull << 31; bit; bit >>= 1)
		if ((root | bit) * (root | bit) <= n)
			root |= bit;
	return root;
}

/* Frames that requests of the kernel itself could get: all but the movable zone's. */
static u64 lowmem_pages(const struct rcl *m)
{
	u64 sum = 0;

	for (u32 n = 0; n < m->nr_nodes; n++)
		for (u32 t = 0; t <= ZONE_NORMAL; t++)
			sum += m->nodes[n].zones[t].managed_pages;
	return sum;
}

static u64 min_free_kbytes(const struct rcl *m)
{
	u64 kb;

	if (m->tun.min_free_kbytes)
		return (u64)m->tun.min_free_kbytes;
	kb = int_sqrt(lowmem_pages(m) * (PAGE_SIZE >> 10) * 16);
	return min(max(kb, (u64)128), (u64)262144);
}

static void set_watermarks(struct zone *z, u64 pages_min)
{
	struct rcl *m = z->m;
	u64 min_pages = pages_min * z->managed_pages / m->totalram_pages;
	u64 scaled = z->managed_pages * (u64)m->tun.watermark_scale_factor / 10000;
	u64 step = max(min_pages >> 2, scaled);

	spin_lock(&z->lock);
	set_watermark_boost(z, 0);
	for (u32 w = WMARK_MIN; w < NR_WMARK; w++)
		__atomic_store_n(&z->watermark[w], min_pages + w * step, __ATOMIC_RELAXED);
	spin_unlock(&z->lock);
}

static void set_lowmem_reserve(struct node *nd)
{
	const struct tunables *tun = &nd->m->tun;
	const s64 ratio[MAX_NR_ZONES] = {tun->lowmem_reserve_dma, tun->lowmem_reserve_dma32,
					 tun->lowmem_reserve_normal, 0};

	for (u32 t = 0; t < MAX_NR_ZONES; t++) {
		struct zone *z = &nd->zones[t];
		u64 above = 0;

		for (u32 up = t + 1; up < MAX_NR_ZONES; up++) {
			above += nd->zones[up].managed_pages;
			hint_set(&z->lowmem_reserve[up],
				 ratio[t] && managed_zone(z) ? above / (u64)ratio[t] : 0);
		}
	}
}

/* What is never there for page cache: each zone's reserve and what kswapd keeps free. */
static void set_totalreserve(struct node *nd)
{
	u64 pages = 0;

	for_each_zone (z, nd) {
		u64 most = 0;

		for (u32 t = z->type; t < MAX_NR_ZONES; t++)
			most = max(most, z->lowmem_reserve[t]);
		pages += min(most + high_wmark_pages(z), z->managed_pages);
	}
	hint_set(&nd->totalreserve_pages, pages);
}

void rcl_setup_watermarks(struct rcl *m)
{
	u64 pages_min = min_free_kbytes(m) >> (PAGE_SHIFT - 10);

	for (u32 n = 0; n < m->nr_nodes; n++) {
		struct node *nd = m->nodes + n;

		set_lowmem_reserve(nd);
		for_each_zone (z, nd) {
			set_watermarks(z, pages_min);
			if (managed_zone(z))
				rcl_pcp_set_limits(z);
		}
		set_totalreserve(nd);
	}
}

int rcl_page_alloc_init(struct rcl *m, const struct rcl_node_layout *layout, u32 nr_nodes)
{
	const struct platform_ops *ops = m->plat->ops;
	int err = -ENOMEM;

	/* Per-CPU state goes without its lock in the simulator. */
	RCL_ASSERT(!(m->plat->simulated && m->threaded));
	if (!nr_nodes || nr_nodes > MAX_NODES)
		return -EINVAL;
	m->nr_nodes = nr_nodes;
	m->nodes = ops->reserve(m->plat, nr_nodes * sizeof(*m->nodes));
	if (!m->nodes)
		return -ENOMEM;
	m->nr_frames = place_zones(m, layout);
	if (!m->totalram_pages) {
		err = -EINVAL;
		goto fail;
	}
	err = reserve_tables(m);
	if (err)
		goto fail;
	for (u32 n = 0; n < nr_nodes; n++) {
		m->nodes[n].kswapd_highest_zoneidx = MAX_NR_ZONES;
		for_each_zone (z, m->nodes + n) {
			err = init_zone(z);
			if (err)
				goto fail;
		}
	}
	for (u32 n = 0; n < nr_nodes; n++)
		build_zonelists(m, m->nodes + n);
	rcl_setup_watermarks(m);
	err = rcl_oom_init(m);
	if (err)
		goto fail;
	return 0;
fail:
	rcl_page_alloc_destroy(m);
	return err;
}

void rcl_page_alloc_destroy(struct rcl *m)
{
	const struct platform_ops *ops = m->plat->ops;

	rcl_oom_exit(m);
	for (u32 n = 0; n < m->nr_nodes; n++)
		for_each_zone (z, m->nodes + n)
			if (z->pcp)
				ops->release(m->plat, z->pcp, pcp_bytes(m));
	release_tables(m);
	if (m->nodes)
		ops->release(m->plat, m->nodes, m->nr_nodes * sizeof(*m->nodes));
	m->nodes = NULL;
	m->nr_nodes = 0;
}

/* Per-CPU lists: each block marked, of the list's order and zone; the frames add up. */
static u64 pcp_frames(struct zone *z)
{
	u64 frames = 0;

	for (u32 cpu = 0; cpu < z->m->nr_cpus; cpu++) {
		struct per_cpu_pages *pcp = &z->pcp[cpu];
		u64 here = 0;

		for (u32 i = 0; i < NR_PCP_LISTS; i++) {
			u32 order = pindex_to_order(i);
			struct folio *f;

			list_for_each (f, &pcp->lists[i], lru) {
				here += 1u << order;
				if (!(f->flags & BIT(PG_pcp)) || f->order != order || f->refcount ||
				    f->zone_node != z->zone_node || here > pcp->count)
					return UINT64_MAX;
			}
		}
		if (here != pcp->count)
			return UINT64_MAX;
		frames += here;
	}
	return frames;
}

static bool zone_is_valid(struct zone *z)
{
	u64 free_pages, pcp_pages;

	for (u64 b = 0; b < z->spanned_pages; b += PAGEBLOCK_NR_PAGES)
		if (pageblock_type(z->m, z->start_pfn + b) >= MIGRATE_TYPES)
			return false;
	return rcl_buddy_is_valid(z, &free_pages, &pcp_pages) && pcp_pages == pcp_frames(z) &&
	       (s64)free_pages == z->stat[NR_FREE_PAGES];
}

bool rcl_page_alloc_is_valid(struct rcl *m)
{
	for (u32 n = 0; n < m->nr_nodes; n++)
		for_each_zone (z, m->nodes + n)
			if (managed_zone(z) && !zone_is_valid(z))
				return false;
	return true;
}
