/* SPDX-License-Identifier: MIT */
/* --help. The manual pages (man.c) and shell completion (completion.c) are made of the same data.
 */
#include "cli/cli.h"

#include <string.h>

#define HELP_WIDTH 80

const char cli_about[] =
	"Linux 6.1's memory reclaim, as a program: what would the kernel do with this workload in "
	"this much memory?";

const struct cli_code cli_codes[] = {
	{CLI_OK, "done"},
	{CLI_FAILED, "failed: unreadable input, a failed write, counters out of bounds"},
	{CLI_USAGE, "the command line is wrong; nothing was done"},
	{CLI_OOM, "a run ended in an OOM kill"},
	{-1, NULL},
};

/* Print words of a text from column `indent` on, where the cursor is; keeps its line breaks. */
static void print_wrapped(FILE *out, const char *text, int indent)
{
	int column = indent;

	while (*text) {
		if (*text == '\n') {
			fputc('\n', out);
			if (text[1] && text[1] != '\n')
				fprintf(out, "%*s", indent, "");
			column = indent;
			text++;
			continue;
		}
		if (*text == ' ' && column > indent) {
			int next = (int)strcspn(text + 1, " \n");

			text++;
			if (column + 1 + next > HELP_WIDTH) {
				fprintf(out, "\n%*s", indent, "");
				column = indent;
			} else {
				fputc(' ', out);
				column++;
			}
			continue;
		}
		fputc(*text++, out);
		column++;
	}
	fputc('\n', out);
}

void cli_print_options(FILE *out, const struct cli_option *options)
{
	for (const struct cli_option *o = options; o && o->name; o++) {
		char left[64];
		int n = snprintf(left, sizeof(left), "  %c%c%s--%s%s%s", o->letter ? '-' : ' ',
				 o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name,
				 o->value ? " " : "", o->value ? o->value : "");

		if (n > 27)
			fprintf(out, "%s\n%*s", left, 28, "");
		else
			fprintf(out, "%-28s", left);
		print_wrapped(out, o->help, 28);
	}
}

void cli_print_verb_help(FILE *out, const struct cli_verb *verb)
{
	fprintf(out, "usage: reclaim %s %s%s\n\n", verb->name, verb->options ? "[OPTION]... " : "",
		verb->operands);
	print_wrapped(out, verb->description, 0);
	fprintf(out, "\nOptions:\n");
	cli_print_options(out, verb->options);
	cli_print_options(out, (const struct cli_option[]){cli_help_option, {0}});
	if (verb->examples)
		fprintf(out, "\nExamples:\n%s", verb->examples);
}

void cli_print_help(FILE *out, const struct cli_verb *const *list)
{
	fprintf(out, "usage: reclaim VERB [OPTION]... [ARGUMENT]...\n\n");
	print_wrapped(out, cli_about, 0);
	fprintf(out, "\nVerbs:\n");
	for (; *list; list++)
		fprintf(out, "  %-12s%s\n", (*list)->name, (*list)->summary);
	fprintf(out, "\n'reclaim VERB --help' explains a verb.\n\nExit codes:\n");
	for (const struct cli_code *c = cli_codes; c->meaning; c++)
		fprintf(out, "  %d  %s\n", c->code, c->meaning);
}
