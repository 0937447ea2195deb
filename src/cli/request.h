/* SPDX-License-Identifier: MIT */
/* The options that describe a simulated machine, for every verb that has one. */
#ifndef RCL_CLI_REQUEST_H
#define RCL_CLI_REQUEST_H

#include "cli/cli.h"
#include "sim/driver.h"

/* Rows of a table of options. */
#define CLI_MACHINE_OPTIONS                                                                        \
	{'s', "swap", "SIZE", false,                                                               \
	 "size of the swap device; 0 = no swap. Default: twice the trace's anonymous memory, so "  \
	 "that it never fills up"},                                                                \
		{0, "set", "NAME=VALUE", true,                                                     \
		 "change a setting of the kernel; 'reclaim tunables' lists them"},                 \
		{'d', "device", "DEVICE", false,                                                   \
		 "the disk and the swap device: nvme, ssd, hdd or virtio. Default: nvme"},         \
		{0, "swap-device", "DEVICE", false, "another kind of device for swap"},            \
		{0, "costs", "COSTS", false,                                                       \
		 "what CPU work costs: native, or emulated (a guest under QEMU's software "        \
		 "emulation)"},                                                                    \
		{0, "cpus", "N", false, "CPUs of the machine; default 1"},                         \
		{0, "readahead", "on|off", false,                                                  \
		 "whether files are read ahead. Default: on, but off for tracegen's traces, "      \
		 "whose "                                                                          \
		 "recordings were made without"},                                                  \
	{                                                                                          \
		0, "seed", "N", false, "of all the simulator's choices; default 1"                 \
	}

/*
 * Everything of a request that does not depend on the trace: 0, or CLI_USAGE after saying what is
 * wrong. Sizes may be shares of a footprint: cli_size_option(), once the trace is known.
 */
int cli_request(const struct cli_args *args, struct rcl_sim_request *req);
/* --option SIZE, where 100% is `whole`; *out keeps its value when the option is not given. */
int cli_size_option(const struct cli_args *args, const char *option, u64 whole, u64 *out);

/*
 * All of --limit SIZE,SIZE,..., or, when it is not given, of the list `otherwise` (NULL: none). 0,
 * or CLI_USAGE after saying what is wrong. `limits` has room for max.
 */
int cli_limits(const struct cli_args *args, const char *otherwise, u64 whole, u64 *limits,
	       size_t max, size_t *nr);

#endif
