/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

static int run(const struct cli_args *args)
{
	(void)args;
	return CLI_FAILED;
}

const struct cli_verb cli_convert = {.name = "convert", .operands = "", .summary = "", .description = "", .run = run};
