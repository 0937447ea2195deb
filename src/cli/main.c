/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <string.h>

static const struct cli_verb *const verbs[] = {
	&cli_record, &cli_info,	  &cli_sim,	 &cli_size,	&cli_convert, &cli_import,
	&cli_gen,    &cli_replay, &cli_tunables, &cli_fidelity, &cli_top,     NULL,
};

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

/* For packagers: "--man [VERB]", "--completion bash|zsh", "--docs FOLDER". -1: none of them. */
static int print_docs(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : NULL;

	if (!strcmp(argv[1], "--docs") && what)
		return cli_write_docs(what, verbs);
	if (!strcmp(argv[1], "--completion") && what) {
		if (!cli_print_completion(stdout, verbs, what))
			return cli_error(CLI_USAGE, "--completion %s: bash or zsh is needed", what);
		return cli_output_close(stdout, NULL);
	}
	if (strcmp(argv[1], "--man"))
		return -1;
	for (size_t i = 0; what && verbs[i]; i++) {
		if (strcmp(what, verbs[i]->name))
			continue;
		cli_print_man(stdout, verbs, verbs[i]);
		return cli_output_close(stdout, NULL);
	}
	if (what)
		return unknown_verb(what);
	cli_print_man(stdout, verbs, NULL);
	return cli_output_close(stdout, NULL);
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
	ret = print_docs(argc, argv);
	if (ret >= 0)
		return ret;
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
