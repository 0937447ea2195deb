/* SPDX-License-Identifier: MIT */
#ifndef RCL_CLI_SETTINGS_H
#define RCL_CLI_SETTINGS_H

#include "cli/cli.h"
#include "mm/tunables.h"

/* Apply every --set of a command line: 0, or CLI_USAGE after saying what is wrong. */
int cli_settings(const struct cli_args *args, struct tunables *t);

#endif
