/* SPDX-License-Identifier: MIT */
/* reclaim tunables: the table of settings. */
#include "cli/cli.h"

#include <jansson.h>
#include <string.h>

#include "mm/tunables.h"

static const struct cli_option options[] = {
	{0, "json", NULL, false, "print the table as JSON"},
	{'o', "output", "FILE", false, "write to FILE"},
	{0},
};

static int print_json(FILE *out)
{
	json_t *list = json_array();

	for (const struct rcl_tunable_info *i = rcl_tunable_table(); i->name; i++)
		json_array_append_new(list, json_pack("{s:s,s:s,s:I,s:I,s:I,s:s}", "name", i->name,
						      "unit", i->unit, "default",
						      (json_int_t)i->def, "min", (json_int_t)i->min,
						      "max", (json_int_t)i->max, "help", i->help));
	json_t *root = json_pack("{s:o}", "tunables", list);
	int ret = json_dumpf(root, out, JSON_INDENT(2));

	fputc('\n', out);
	json_decref(root);
	return ret;
}

static void print_table(FILE *out)
{
	fprintf(out, "%-34s %9s  %-11s %-19s %s\n", "name", "default", "unit", "range", "meaning");
	for (const struct rcl_tunable_info *i = rcl_tunable_table(); i->name; i++) {
		char range[64];

		if (i->max == INT64_MAX)
			snprintf(range, sizeof(range), "%lld and more", (long long)i->min);
		else
			snprintf(range, sizeof(range), "%lld..%lld", (long long)i->min,
				 (long long)i->max);
		fprintf(out, "%-34s %9lld  %-11s %-19s %s\n", i->name, (long long)i->def, i->unit,
			range, i->help);
	}
}

static int run(const struct cli_args *args)
{
	const char *want = args->nr_operands ? args->operands[0] : NULL;
	const char *path = cli_value(args, "output");
	const char *nearest;

	if (want) {
		const struct rcl_tunable_info *i = rcl_tunable_find(want, &nearest);

		if (!i)
			return cli_error(CLI_USAGE, "unknown setting '%s'; did you mean '%s'?",
					 want, nearest);
		printf("%s: %s\n  default %lld%s%s, range %lld to %lld\n", i->name, i->help,
		       (long long)i->def, *i->unit ? " " : "", i->unit, (long long)i->min,
		       (long long)i->max);
		return cli_output_close(stdout, NULL);
	}
	FILE *out = cli_output_open(path);

	if (!out)
		return CLI_FAILED;
	if (cli_given(args, "json"))
		print_json(out);
	else
		print_table(out);
	return cli_output_close(out, path);
}

const struct cli_verb cli_tunables = {
	.name = "tunables",
	.operands = "[NAME]",
	.max_operands = 1,
	.summary = "list every setting with unit, default, range and meaning",
	.description = "List every setting that 'reclaim sim --set NAME=VALUE' takes, or explain "
		       "one. Names "
		       "are the kernel's where it has one.",
	.options = options,
	.examples = "  reclaim tunables\n"
		    "  reclaim tunables vm.swappiness\n",
	.run = run,
};
