/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <string.h>

static const struct cli_verb *const verbs[] = {
	&cli_record, &cli_sim, &cli_size, &cli_gen, &cli_tunables, &cli_fidelity, NULL,
};

void cli_print_help(FILE *out, const struct cli_verb *const *list)
{
	fprintf(out,
		"usage: reclaim VERB [OPTION]... [ARGUMENT]...\n\n"
		"Linux 6.1's memory reclaim, as a program: what would the kernel do with this\n"
		"workload in this much memory?\n\nVerbs:\n");
	for (; *list; list++)
		fprintf(out, "  %-12s%s\n", (*list)->name, (*list)->summary);
	fprintf(out,
		"\n'reclaim VERB --help' explains a verb.\n\n"
		"Exit codes: 0 done; 1 failed; 2 the command line is wrong; 3 a run ended in an\n"
		"OOM kill.\n");
}

static int unknown_verb(const char *word)
{
	const char *names[sizeof(verbs) / sizeof(verbs[0])] = {NULL};

	for (size_t i = 0; verbs[i]; i++)
		names[i] = verbs[i]->name;
	const char *meant = cli_nearest(word, names);

	if (meant)
		return cli_error(CLI_USAGE, "unknown verb '%s'; did you mean '%s'?", word, meant);
	return cli_error(CLI_USAGE, "unknown verb '%s'; see 'reclaim --help'", word);
}

int main(int argc, char **argv)
{
	struct cli_args args;
	int ret;

	if (argc < 2) {
		cli_print_help(stderr, verbs);
		return CLI_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		cli_print_help(stdout, verbs);
		return cli_output_close(stdout, NULL);
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version")) {
		puts("reclaim " RCL_VERSION);
		return cli_output_close(stdout, NULL);
	}
	for (size_t i = 0; verbs[i]; i++) {
		if (strcmp(argv[1], verbs[i]->name))
			continue;
		ret = cli_parse(verbs[i], argc - 2, argv + 2, &args);
		if (!ret)
			ret = verbs[i]->run(&args);
		cli_args_free(&args);
		return ret < 0 ? CLI_OK : ret;
	}
	return unknown_verb(argv[1]);
}
