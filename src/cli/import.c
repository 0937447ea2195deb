/* SPDX-License-Identifier: MIT */
/* reclaim import: a trace from what other programs recorded. */
#include "cli/cli.h"

#include <string.h>

#include "trace/convert.h"

static const struct cli_option options[] = {
	{'o', "output", "FILE", false, "write the trace to FILE; '-' or nothing: standard output"},
	{0},
};

static int run(const struct cli_args *args)
{
	const char *kind = args->operands[0], *out = cli_value(args, "output");
	struct rcl_error err;
	int ret;

	out = out ? out : "-";
	if (!strcmp(kind, "strace"))
		ret = rcl_import_strace(args->operands[1], out, &err);
	else if (!strcmp(kind, "perf-script"))
		ret = rcl_import_perf(args->operands[1], out, &err);
	else
		return cli_error(CLI_USAGE, "import: '%s': 'strace' or 'perf-script' is needed",
				 kind);
	return ret ? cli_error(CLI_FAILED, "%s", err.text) : CLI_OK;
}

const struct cli_verb cli_import = {
	.name = "import",
	.operands = "strace|perf-script FILE",
	.min_operands = 2,
	.max_operands = 2,
	.summary = "make a trace from what strace or perf recorded",
	.description =
		"Make a trace without emulation. FILE is '-' for standard input.\n"
		"\n"
		"strace: the file reads and writes of a program that cannot be emulated. The "
		"program "
		"is to be traced with 'strace -f -y -o FILE -e trace=desc,file,process'; without "
		"-y, "
		"descriptors are followed from the calls that open them. Memory is not in it.\n"
		"\n"
		"perf-script: page faults, as printed by 'perf script -F pid,tid,event,addr' after "
		"'perf record -d -e page-faults -c 1', or of the tracepoint "
		"exceptions:page_fault_user. They are the first touches of pages: good for the "
		"footprint, not for how pages are used again.",
	.options = options,
	.examples =
		"  strace -f -y -o app.strace -e trace=desc,file,process app\n"
		"  reclaim import strace app.strace -o app.rcl\n"
		"  perf script -F pid,tid,event,addr | reclaim import perf-script - -o app.rcl\n",
	.run = run,
};
