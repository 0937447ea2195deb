/* SPDX-License-Identifier: MIT */
/* reclaim gen: a trace from a workload specification. */
#include "cli/cli.h"

#include <errno.h>

#include "trace/gen.h"

static const struct cli_option options[] = {
	{'o', "output", "FILE", false, "write the trace to FILE; '-' or nothing: standard output"},
	{0},
};

static int run(const struct cli_args *args)
{
	const char *out = cli_value(args, "output");
	struct rcl_error err;
	int ret = rcl_gen(args->operands[0], out ? out : "-", &err);

	if (!ret)
		return CLI_OK;
	return cli_error(ret == -EINVAL ? CLI_USAGE : CLI_FAILED, "%s", err.text);
}

const struct cli_verb cli_gen = {
	.name = "gen",
	.operands = "SPEC",
	.min_operands = 1,
	.max_operands = 1,
	.summary = "generate a trace from a workload specification",
	.description =
		"Generate a trace in tracegen's format from the specification in the file SPEC "
		"('-': "
		"standard input). The same specification gives the same bytes everywhere.\n"
		"\n"
		"A specification has one directive a line; '#' starts a comment:\n"
		"\n"
		"  seed N         of the random numbers\n"
		"  anon PAGES     pages of anonymous memory\n"
		"  file PAGES     pages of the file\n"
		"  phase OPS      a phase of OPS accesses, made by the streams that follow\n"
		"  stream SHARE KIND PATTERN ARG WRITES [LO HI]\n"
		"\n"
		"SHARE of the phase's accesses go to a stream (the last takes the rest), WRITES of "
		"them write. KIND is anon, pread (read() and write() on the file) or mmap; PATTERN "
		"is "
		"scan (ARG: stride), uniform or zipf (ARG: theta). LO and HI bound its pages.",
	.options = options,
	.examples = "  reclaim gen mixed.spec -o mixed.bin\n"
		    "  reclaim gen mixed.spec | reclaim sim - --limit 96M\n",
	.run = run,
};
