/* SPDX-License-Identifier: MIT */
/* reclaim convert: a trace in another format. */
#include "cli/cli.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "trace/convert.h"

static const struct cli_option options[] = {
	{'o', "output", "FILE", false, "write the trace to FILE; '-' or nothing: standard output"},
	{0, "to", "NAME", false, "'reclaim' (the default) or 'oracleGeneral'"},
	{0, "format", "NAME", false, "the trace's format, when it cannot be told from its content"},
	{0},
};

static int run(const struct cli_args *args)
{
	const char *out = cli_value(args, "output"), *to = cli_value(args, "to");
	bool oracle = to && !strcasecmp(to, "oracleGeneral");
	struct rcl_trace_image *image;
	struct rcl_error err;
	int ret;

	if (to && !oracle && strcasecmp(to, "reclaim"))
		return cli_error(CLI_USAGE, "convert: --to %s: 'reclaim' or 'oracleGeneral'", to);
	if (rcl_trace_load(args->operands[0], cli_value(args, "format"), &image, &err))
		return cli_error(CLI_FAILED, "%s", err.text);
	out = out ? out : "-";
	ret = oracle ? rcl_convert_oracle(image, out, &err)
		     : rcl_convert_native(image, args->operands[0], out, &err);
	rcl_trace_image_free(image);
	return ret ? cli_error(CLI_FAILED, "%s", err.text) : CLI_OK;
}

const struct cli_verb cli_convert = {
	.name = "convert",
	.operands = "TRACE",
	.min_operands = 1,
	.max_operands = 1,
	.summary = "convert a trace to reclaim's format, or to oracleGeneral",
	.description =
		"Convert a trace, in any format that 'reclaim sim' reads, to reclaim's own: "
		"smaller, "
		"with a checksum for each chunk. Or to libCacheSim's oracleGeneral, for comparison "
		"with the caches it simulates: each page accessed is a request of 4096 bytes, the "
		"object being the page; events of a recording are left out.",
	.options = options,
	.examples = "  reclaim convert big.tracegen.gz -o big.rcl\n"
		    "  reclaim convert sort.rcl --to oracleGeneral -o sort.oracleGeneral\n",
	.run = run,
};
