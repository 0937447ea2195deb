/* SPDX-License-Identifier: MIT */
/* A machine's statistics as one block (stats_page.h). */
#ifndef RCL_API_STATS_IMAGE_H
#define RCL_API_STATS_IMAGE_H

#include "api/observe.h"
#include "api/stats_page.h"

/* A block with all names in it, to be filled. free() it. NULL: out of memory. */
struct stats_header *rcl_stats_image_create(const struct rcl_observe_config *cfg);
/* Fill in the figures as they are now. */
void rcl_stats_image_fill(const struct rcl_observe_config *cfg, struct stats_header *block);

/* What one of our own figures is, for people; NULL: it is not ours. */
const char *rcl_stats_help(const char *name, bool of_group);

#endif
