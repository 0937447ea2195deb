/* SPDX-License-Identifier: MIT */
/*
 * The page cache: files' folios and shadow entries in a 64-ary radix tree (algorithm: Linux 6.1
 * mm/filemap.c, lib/xarray.c, mm/readahead.c, mm/truncate.c, fs/buffer.c for private buffers).
 *
 * Field legend:  M mapping->lock   i i_mmap_lock   c constant   A atomic   W wb->list_lock
 */
#ifndef RCL_MM_FILEMAP_H
#define RCL_MM_FILEMAP_H

#include "mm/gfp.h"
#include "mm/lock.h"
#include "mm/page.h"

#define RADIX_SHIFT   6
#define RADIX_SLOTS   64
#define RADIX_NO_LEAF UINT32_MAX
enum radix_tag {
	TAG_DIRTY,
	TAG_WRITEBACK,
	TAG_TOWRITE,
	NR_RADIX_TAGS
};

/*
 * What objects of the two caches take in the reference: 576 bytes of node and the free pointer that
 * a cache with a constructor keeps outside of the object; one buffer for each 4 KiB block.
 */
#define RADIX_NODE_BYTES  584
#define BUFFER_HEAD_BYTES 104
#define BUFFER_HEAD_MEM	  8 /* bytes we keep for a buffer: nothing but its identity */

/* A tree node is one object of m->radix_node_cache (RADIX_NODE_BYTES), charged. */
struct radix_node {
	u8 shift, offset; /* of this level; slot in the parent */
	u8 count;	  /* M: slots in use */
	u8 nr_values;	  /* M: of these, shadow entries */
	u32 leaf;	  /* level 0: first index / RADIX_SLOTS (if it fits), else RADIX_NO_LEAF */
	struct radix_node *parent;
	struct mapping *mapping;       /* NULL: not in a tree */
	struct list_head private_list; /* on the shadow-node list, else empty */
	void *slots[RADIX_SLOTS];      /* M: folio, shadow (odd) or child node */
	u64 tags[NR_RADIX_TAGS];       /* M: bit per slot */
};

enum mapping_flag {
	MAPPING_BUFFERS = 1, /* the filesystem attaches buffer heads to dirtied pages (ext4) */
	MAPPING_UNEVICTABLE = 2,
	MAPPING_EXITING = 4, /* being destroyed: leave no shadows */
	MAPPING_EIO = 8,     /* A: a write failed since the last fsync */
	MAPPING_ENOSPC = 16
};

struct mapping {
	struct rcl *m;	       /* c */
	char name[64];	       /* c */
	struct list_head link; /* m->tasks_lock: m->mappings */
	u32 flags;	       /* A: enum mapping_flag */
	u16 dev;	       /* A: device that it is read and written through */
	u16 bdi;	       /* c: which flusher writes it back; as dev unless changed at once */
	u64 first_block;       /* c: block of page 0; the file is contiguous on its device */
	u32 block_size; /* c: of the filesystem, bytes: decides how many buffers a page has */
	u64 size;	/* pages in the file; reads beyond give -ENODATA, writes extend */
	struct spinlock lock;
	void *root;   /* M: folio/shadow at index 0, or top node (tagged, see radix.c) */
	u8 height;    /* M: levels; 0 = root is an entry */
	u8 root_tags; /* M: bit per tag: some entry has it */
	u64 nr_pages; /* M: folios in the tree */
	struct spinlock i_mmap_lock;
	struct list_head i_mmap; /* i: vmas that map this file, through vma->file_link */
	/* writeback.c */
	struct wb *wb; /* M+W: whose dirty data this is (wb_internal.h); NULL: nobody's yet */
	struct list_head wb_link; /* W: on one of wb's lists, once wb is set */
	u32 wb_state;		  /* W: enum mapping_wb_state (wb_internal.h) */
	u64 dirtied_when;	  /* W: jiffies */
	u64 writeback_index;	  /* W: where the last pass stopped */
	u32 wb_err;		  /* A: error sequence, reported once to each open file */
};

static inline u32 mapping_flags(const struct mapping *mapping)
{
	return __atomic_load_n(&mapping->flags, __ATOMIC_RELAXED);
}

/* An open file: position of the readahead window and which errors it has seen. */
struct file {
	struct mapping *mapping;
	bool random, sequential; /* advice */
	bool once;		 /* more than that: drop_behind.c; nothing of the reference's */
	/* readahead state, in pages */
	u64 ra_start;
	u32 ra_size, ra_async_size, ra_pages;
	u32 mmap_miss;
	s64 prev_index; /* last page read() touched, -1 = none */
	u32 wb_err_seen;
};

int rcl_mapping_create(struct rcl *m, const char *name, u16 dev, u64 first_block, u64 pages,
		       u32 flags, struct mapping **out);
/* Drop all pages (dirty ones are lost) and free it. No vma may map it. */
void rcl_mapping_destroy(struct rcl *m, struct mapping *mapping);
/* The machine closes: free what destroyed ones have left. */
void rcl_mappings_exit(struct rcl *m);
void rcl_file_open(struct rcl *m, struct mapping *mapping, struct file *out);

/*
 * Buffered read / write of `nr` whole pages from `index` on, as pread/pwrite do it: page cache,
 * readahead, mark-accessed, dirtying, throttling. Return 0 or -errno (-EIO, -ENOMEM, -EINTR when
 * killed). `stamp`: with page data, the content written, the same for each page; ignored otherwise.
 * Reads store the last page's in *stamp.
 */
int rcl_file_read(struct rcl *m, struct file *file, u64 index, u64 nr, u64 *stamp);
int rcl_file_write(struct rcl *m, struct file *file, u64 index, u64 nr, u64 stamp);
/* rcl_file_read() of one page; slot: where rcl_radix_slot() said its entry is likely to be, or NULL
 */
int rcl_file_read_page(struct rcl *m, struct file *file, u64 index, void **slot, u64 *stamp);
/*
 * The same, if there is next to nothing to do: the page is there and ready, and nobody else's turn
 * comes in between. False: nothing has been done, take the long way. The caller polls afterwards.
 */
bool rcl_file_read_hit(struct rcl *m, struct file *file, u64 index, void **slot);
/* Write all dirty pages of the file and wait; returns the first error since the last call. */
int rcl_file_fsync(struct rcl *m, struct file *file);
enum rcl_fadvice {
	RCL_FADV_NORMAL,
	RCL_FADV_RANDOM,
	RCL_FADV_SEQUENTIAL,
	RCL_FADV_DONTNEED,
	RCL_FADV_WILLNEED
};
int rcl_file_advise(struct rcl *m, struct file *file, u64 index, u64 nr, enum rcl_fadvice advice);

/* Look a folio up and take a reference; NULL when absent (or only a shadow). Takes no lock. */
struct folio *rcl_filemap_get_folio(struct rcl *m, struct mapping *mapping, u64 index);
/*
 * Add a new folio (locked by this call) at index: charges it to the running task's group, inserts
 * it, evaluates a shadow it replaces, puts it on the LRU. 0, -EEXIST, -ENOMEM.
 */
int rcl_filemap_add_folio(struct rcl *m, struct mapping *mapping, struct folio *f, u64 index,
			  gfp_t gfp);
/* The same, when rcl_radix_slot() has said where its entry is likely to be (or slot is NULL). */
int rcl_filemap_add_folio_at(struct rcl *m, struct mapping *mapping, struct folio *f, u64 index,
			     gfp_t gfp, void **slot);
/*
 * Remove a folio from the tree, leaving `shadow` (or NULL) in its slot, and undo its counters. The
 * folio is locked and mapping->lock held; the tree's reference becomes the caller's.
 */
void rcl_filemap_remove_folio(struct rcl *m, struct folio *f, void *shadow);
/*
 * The folio at index, locked, with a reference; a new one (not uptodate) when there is none. NULL
 * when out of memory. With __GFP_WRITE: it will be overwritten, a shadow in its place says nothing.
 */
struct folio *rcl_filemap_grab_folio(struct rcl *m, struct mapping *mapping, u64 index, gfp_t gfp);
/* Read a locked folio and wait; it is unlocked then. 0, or -EIO. */
int rcl_filemap_read_folio(struct rcl *m, struct file *file, struct folio *f);
/*
 * Page fault on a shared file mapping: the uptodate folio at index, locked, with a reference, or
 * NULL with *error set (-EIO, -ENOMEM, -ENODATA beyond the end). Called with the mmap lock held for
 * reading. *major set when the page was not in the cache (counted here as PGMAJFAULT).
 *
 * *retry on entry: this call repeats a fault that returned with *retry set; it then waits with the
 * mmap lock held. *retry on return (folio NULL, *error 0): the mmap lock was released to wait; take
 * it again, look the vma up again, and repeat the fault (the reference then counts a second
 * PGFAULT). Otherwise the lock is still held.
 */
struct folio *rcl_filemap_fault(struct rcl *m, struct vma *vma, struct file *file, u64 index,
				bool exec, bool *major, bool *retry, int *error);

/*
 * The slot of its file's tree that holds a folio of a file, or NULL where that is not known: a
 * folio with buffers has no room to remember it. Right while the folio is locked and in the file: a
 * leaf stays where it is while there is a folio in it. (The exception is a leaf that holds nothing
 * but index 0, which may become the root: not known either.) Without the lock it is a guess, good
 * for fetching memory.
 */
static inline void **folio_slot(const struct folio *f)
{
	return folio_flags(f) & (BIT(PG_private) | BIT(PG_swapcache) | BIT(PG_anon))
		       ? NULL
		       : (void **)(uintptr_t)hint_read(&f->private_);
}

/* Private buffers (MAPPING_BUFFERS). needs_release: has some; release: free them if clean. */
static inline bool folio_needs_release(const struct folio *f)
{
	return folio_test(f, PG_private);
}
bool rcl_filemap_release_folio(struct rcl *m, struct folio *f);
int rcl_folio_create_buffers(struct rcl *m, struct folio *f);

/*
 * Remove pages [first, last]: truncate also drops dirty and mapped ones, and returns how many stay
 * because they are pinned or locked in memory; invalidate only clean unmapped ones and returns how
 * many.
 */
u64 rcl_truncate_range(struct rcl *m, struct mapping *mapping, u64 first, u64 last);
u64 rcl_invalidate_range(struct rcl *m, struct mapping *mapping, u64 first, u64 last);
/* The same; *nr_failed: folios that stayed and were not locked or under writeback. */
u64 rcl_invalidate_range_count(struct rcl *m, struct mapping *mapping, u64 first, u64 last,
			       u64 *nr_failed);

/*
 * Readahead (readahead.c). sync: the page at index is needed and absent; if one page was asked for
 * and is read alone, it is returned with a reference, its read submitted or over; slot: where its
 * entry is likely to be, or NULL. async: f, at
 * index, is there and carries the marker. window: read what file->ra_* describes. force: read
 * exactly these pages, no window.
 */
struct folio *rcl_page_cache_sync_ra(struct rcl *m, struct file *file, u64 index, u64 req_count,
				     void **slot);
void rcl_page_cache_async_ra(struct rcl *m, struct file *file, struct folio *f, u64 index,
			     u64 req_count);
void rcl_page_cache_ra_window(struct rcl *m, struct file *file);
/* The reader had to wait for the page at index: if nothing more of the stream is being read, go on. */
void rcl_page_cache_ra_resume(struct rcl *m, struct file *file, u64 index);
void rcl_page_cache_force_ra(struct rcl *m, struct file *file, u64 index, u64 nr);

/*
 * Tree (radix.c); mapping->lock held except for load. A slot holds NULL, a folio, a shadow (bit 0
 * set) or a child node: its address (64-byte aligned) with its level in bits 2..5 and bit 1 set.
 */
static inline bool radix_is_node(const void *e)
{
	return ((uintptr_t)e & 3) == 2;
}
static inline u32 radix_level(const void *node)
{
	return (uintptr_t)node >> 2 & 15;
}
static inline struct radix_node *radix_to_node(const void *e)
{
	return (struct radix_node *)((uintptr_t)e & ~63ul);
}
/*
 * The entry at index, or NULL. Without the lock the answer may be stale, and while nodes are being
 * freed and used again it may even be an entry of another index or file: whoever takes a reference
 * to a folio found here looks at its mapping and index afterwards (rcl_filemap_get_folio does).
 */
static inline void *rcl_radix_load(struct mapping *mapping, u64 index)
{
	void *e = __atomic_load_n(&mapping->root, __ATOMIC_ACQUIRE);

	if (unlikely(!radix_is_node(e)))
		return index ? NULL : e;
	if (unlikely(index >> (radix_level(e) + 1) * RADIX_SHIFT))
		return NULL;
	do {
		u32 slot = index >> radix_level(e) * RADIX_SHIFT & (RADIX_SLOTS - 1);

		e = __atomic_load_n(&radix_to_node(e)->slots[slot], __ATOMIC_ACQUIRE);
	} while (radix_is_node(e));
	return e;
}
/*
 * Where the entry at index is kept, or NULL where there is no node for it. For look-ups to come:
 * the place may be read at any later time, to learn which memory to fetch, but it says nothing.
 */
static inline void **rcl_radix_slot(struct mapping *mapping, u64 index)
{
	void *e = __atomic_load_n(&mapping->root, __ATOMIC_ACQUIRE);
	u32 shift = radix_level(e) * RADIX_SHIFT;
	void **slot;

	if (unlikely(!radix_is_node(e) || index >> shift >> RADIX_SHIFT))
		return NULL;
	for (;; shift -= RADIX_SHIFT) {
		slot = &radix_to_node(e)->slots[index >> shift & (RADIX_SLOTS - 1)];
		if (!shift)
			return slot;
		e = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
		if (unlikely(!radix_is_node(e)))
			return NULL;
	}
}
/* Is this, which rcl_radix_slot() once said, still the slot of index? */
static inline bool rcl_radix_slot_holds(struct mapping *mapping, void **slot, u64 index)
{
	struct radix_node *node =
		container_of(slot - index % RADIX_SLOTS, struct radix_node, slots[0]);

	return __atomic_load_n(&node->mapping, __ATOMIC_RELAXED) == mapping &&
	       __atomic_load_n(&node->leaf, __ATOMIC_RELAXED) == index / RADIX_SLOTS &&
	       index / RADIX_SLOTS != RADIX_NO_LEAF;
}
/* Fetch what a store at index, whose slot this is, will read and write. */
static inline void rcl_radix_fetch_slot(void **slot, u64 index)
{
	__builtin_prefetch(slot, 1);
	__builtin_prefetch(slot - (index & (RADIX_SLOTS - 1)) -
			   offsetof(struct radix_node, slots) / sizeof(*slot));
}
static inline void rcl_radix_fetch(struct mapping *mapping, u64 index)
{
	void **slot = rcl_radix_slot(mapping, index);

	if (slot)
		rcl_radix_fetch_slot(slot, index);
}
/* An empty node, charged to the running task's group; NULL when out of memory. Waits as gfp says.
 */
struct radix_node *rcl_radix_alloc_node(struct rcl *m, gfp_t gfp);
/* Free a node from rcl_radix_alloc_node() that no tree took. NULL is fine. */
void rcl_radix_free_node(struct rcl *m, struct radix_node *node);
/*
 * Make the slot for index exist. Takes *spare first (and sets it NULL), then allocates further
 * nodes without waiting. -ENOMEM: the path may be there in part; come back with a spare node, or
 * give up with rcl_radix_unreserve().
 */
int rcl_radix_reserve(struct rcl *m, struct mapping *mapping, u64 index, struct radix_node **spare);
/* Free the nodes on the way to index that hold nothing. */
void rcl_radix_unreserve(struct rcl *m, struct mapping *mapping, u64 index);
/*
 * Store an entry (NULL erases and prunes) and return the old one. The path must exist unless entry
 * is NULL. NULL and shadows also clear the tags.
 */
void *rcl_radix_store(struct rcl *m, struct mapping *mapping, u64 index, void *entry);
/* The same for an index whose slot is known. */
void *rcl_radix_store_slot(struct rcl *m, struct mapping *mapping, void **slot, u64 index,
			   void *entry);
void rcl_radix_set_tag(struct mapping *mapping, u64 index, enum radix_tag tag);
void rcl_radix_clear_tag(struct mapping *mapping, u64 index, enum radix_tag tag);
bool rcl_radix_get_tag(struct mapping *mapping, u64 index, enum radix_tag tag);
static inline bool rcl_mapping_tagged(const struct mapping *mapping, enum radix_tag tag)
{
	return hint_read(&mapping->root_tags) >> tag & 1;
}
/* Next folio with index in [*index, last] that has the tag; sets *index. NULL: none. */
struct folio *rcl_radix_next_tagged(struct mapping *mapping, u64 *index, u64 last,
				    enum radix_tag tag);
/*
 * Next folio, or next entry (folio or shadow), in [*index, last]; sets *index. NULL: none. Allowed
 * without the lock: then what is found needs the same second look as with rcl_radix_load().
 */
void *rcl_radix_next(struct mapping *mapping, u64 *index, u64 last);
void *rcl_radix_next_entry(struct mapping *mapping, u64 *index, u64 last);
/* Free a node that holds nothing but shadows (shadow shrinker). */
void rcl_radix_delete_node(struct rcl *m, struct radix_node *node);
bool rcl_mapping_is_valid(struct rcl *m, struct mapping *mapping);

#endif
