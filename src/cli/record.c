/* SPDX-License-Identifier: MIT */
/* reclaim record: a trace of a program that runs. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "record/launch.h"

static const struct cli_option options[] = {
	{'o', "output", "FILE", false, "write the trace to FILE; without it: PROGRAM.rcl"},
	{0, "window", "N", false,
	 "keep each page once per N references, for reading and for writing (default 100000); 1 "
	 "keeps every reference"},
	{0, "calibrate", NULL, false,
	 "first run the program without emulation (input and output on /dev/null), and note its "
	 "time in the trace"},
	{0, "qemu", "FILE", false, "the emulator (default: qemu-x86_64, from $PATH)"},
	{'q', "quiet", NULL, false, "no summary at the end"},
	{0},
};

static void summary(const char *out, const struct rcl_record_result *r)
{
	double wall = (double)r->wall_ns / 1e9, cpu = (double)r->cpu_ns / 1e9;
	double native = (double)r->native_ns / 1e9;

	fprintf(stderr, "reclaim: %s: %.1f M references, %llu task%s, %.1f kB, %.1f s", out,
		(double)r->references / 1e6, (unsigned long long)r->tasks, r->tasks == 1 ? "" : "s",
		(double)r->bytes / 1e3, wall);
	if (native > 0)
		fprintf(stderr, "; CPU time %.1f s, %.1f times the %.2f s it takes by itself", cpu,
			cpu / native, native);
	fputc('\n', stderr);
	if (r->status)
		fprintf(stderr, "reclaim: the program ended with code %d\n", r->status);
	if (r->native_execs)
		fprintf(stderr,
			"reclaim: %u programs it started are not in the trace: not for x86-64\n",
			r->native_execs);
	if (r->regions_lost)
		fprintf(stderr, "reclaim: %u files are not in the trace: there were too many\n",
			r->regions_lost);
}

static int run(const struct cli_args *args)
{
	const char *out = cli_value(args, "output"), *slash;
	struct rcl_record_request req = {.window = 100000};
	struct rcl_record_result res;
	struct rcl_error err;
	char name[256];

	if (cli_integer(args, "window", 1, UINT32_MAX, &req.window))
		return CLI_USAGE;
	if (!out) {
		slash = strrchr(args->operands[0], '/');
		snprintf(name, sizeof(name), "%s.rcl", slash ? slash + 1 : args->operands[0]);
		out = name;
	}
	req.out = out;
	req.calibrate = cli_given(args, "calibrate");
	req.qemu = cli_value(args, "qemu");
	req.argv = args->operands;
	if (rcl_record(&req, &res, &err))
		return cli_error(CLI_FAILED, "%s", err.text);
	if (!cli_given(args, "quiet"))
		summary(out, &res);
	return CLI_OK;
}

const struct cli_verb cli_record = {
	.name = "record",
	.operands = "[--] PROGRAM [ARGUMENT]...",
	.min_operands = 1,
	.max_operands = UINT32_MAX,
	.command = true,
	.summary = "record the memory and file accesses of a program",
	.description =
		"Run an unmodified x86-64 Linux program and record which pages it touches and what "
		"they are: anonymous memory, mapped files, files read and written, by every task "
		"it "
		"starts. The program runs under QEMU's user mode, 10 to 60 times slower than by "
		"itself; Debian's package is qemu-user.\n"
		"\n"
		"The trace is for 'reclaim sim', 'reclaim size' and 'reclaim info'. It is readable "
		"up to where it was cut off, should the recording be killed.\n"
		"\n"
		"docs/recording.md says what a recording holds and what it does not.",
	.options = options,
	.examples = "  reclaim record -o sort.rcl -- sort -S 32M words.txt -o /dev/null\n"
		    "  reclaim record --calibrate -o build.rcl -- make\n"
		    "  reclaim record sqlite3 app.db '.read report.sql'\n",
	.run = run,
};
