/* SPDX-License-Identifier: MIT */
/* Reading statistics pages of other programs. What is in the files may be anything. */
#ifndef RCL_API_STATS_READ_H
#define RCL_API_STATS_READ_H

#include "api/stats_page.h"

/* No page is larger. */
#define STATS_BYTES_MAX (1u << 20)

/* A block that has been looked through: offsets and counts are right, names are printable. */
struct stats_view {
	void *block; /* malloc()ed, the view's */
	struct stats_header *header;
	struct stats_name *names, *group_names;
	s64 *figures;
};

/*
 * Check a copy of a page. The view takes the block over, if 0 is returned. -EINVAL: it is none, or
 * damaged; -EPROTO: of another version; -EAGAIN: it was copied in the middle of a change.
 */
int rcl_stats_parse(void *block, size_t bytes, struct stats_view *view);
void rcl_stats_view_free(struct stats_view *view);

/* Value of a figure of the machine (group NULL) or a group; 0 if there is none of that name. */
s64 rcl_stats_value(const struct stats_view *view, const struct stats_group *group,
		    const char *name);
static inline struct stats_group *stats_view_group(const struct stats_view *view, u32 i)
{
	return (struct stats_group *)((char *)view->block + view->header->groups_at +
				      (size_t)i * view->header->group_bytes);
}

/* Make a name (of so many bytes) one that ends and can be shown: printable UTF-8. */
void rcl_stats_clean(char *name, size_t size);

/* Open a page's file: a descriptor, or -errno. */
int rcl_stats_open(const char *path);
/*
 * Read it: what rcl_stats_parse() says, or an error of reading. Waits a little when it is being
 * changed; -EAGAIN when that does not end.
 */
int rcl_stats_load(int fd, struct stats_view *view);
/* Does the program that keeps it still live? */
bool rcl_stats_is_alive(int fd);

/* Where pages may be: the i-th folder, or NULL after the last. The first is where new ones go. */
const char *rcl_stats_folder(u32 i);
/* Is this the name of a page's file? */
bool rcl_stats_is_name(const char *name);

#endif
