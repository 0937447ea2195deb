/* SPDX-License-Identifier: MIT */
/* Manual pages, in the man(7) macros, from the verbs' data. */
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "mm/tunables.h"

#define LINE 76 /* of the source: for those who read it */

/* One character of running text. */
static void put(FILE *out, char c)
{
	if (c == '\\')
		fputs("\\e", out);
	else if (c == '-')
		fputs("\\-", out);
	else if (c == '\'')
		fputs("\\(aq", out);
	else
		fputc(c, out);
}

/* Running text from the start of a line, broken into lines at spaces. Ends within a line. */
static void flow(FILE *out, const char *s, size_t len)
{
	size_t column = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] == ' ' && column) {
			size_t next = i + 1;

			while (next < len && s[next] != ' ')
				next++;
			if (column + (next - i) > LINE) {
				fputc('\n', out);
				column = 0;
				continue;
			}
		}
		/* What would be a request at the start of a line. */
		if (!column && s[i] == '.')
			fputs("\\&", out);
		put(out, s[i]);
		column += s[i] == '-' ? 2 : s[i] == '\'' ? 5 : 1;
	}
}

static void text(FILE *out, const char *s)
{
	flow(out, s, strlen(s));
}

static void upper(FILE *out, const char *s)
{
	for (; *s; s++)
		fputc(toupper((unsigned char)*s), out);
}

/*
 * Paragraphs, separated by empty lines. Lines that begin with two spaces are left as they are, line
 * by line; others run together.
 */
static void paragraphs(FILE *out, const char *s)
{
	bool literal = false, gap = false;

	while (*s) {
		size_t len = strcspn(s, "\n");
		bool indented = len > 2 && s[0] == ' ' && s[1] == ' ';

		if (literal && !indented)
			fputs(".EE\n.RE\n", out);
		if (gap && len)
			fputs(".PP\n", out);
		if (indented && !literal)
			fputs(".RS 2\n.EX\n", out);
		if (indented)
			for (size_t i = 2; i < len; i++)
				put(out, s[i]);
		else
			flow(out, s, len);
		if (len)
			fputc('\n', out);
		gap = !len;
		literal = indented;
		s += len + (s[len] == '\n');
	}
	if (literal)
		fputs(".EE\n.RE\n", out);
}

static void section(FILE *out, const char *name)
{
	fprintf(out, ".SH %s\n", name);
}

static void option(FILE *out, const struct cli_option *o)
{
	fputs(".TP\n", out);
	if (o->letter)
		fprintf(out, "\\fB\\-%c\\fR, ", o->letter);
	fputs("\\fB\\-\\-", out);
	text(out, o->name);
	fputs("\\fR", out);
	if (o->value) {
		fputs(" \\fI", out);
		text(out, o->value);
		fputs("\\fR", out);
	}
	fputc('\n', out);
	text(out, o->help);
	fputs(o->repeats ? ".\nMay be given more than once.\n" : ".\n", out);
}

static void exit_codes(FILE *out)
{
	section(out, "EXIT STATUS");
	for (const struct cli_code *c = cli_codes; c->meaning; c++) {
		fprintf(out, ".TP\n.B %d\n", c->code);
		text(out, c->meaning);
		fputs(".\n", out);
	}
}

static void head(FILE *out, const char *verb, const char *summary)
{
	fputs(".\\\" Made from the program's own help; do not edit.\n.TH RECLAIM", out);
	if (verb) {
		fputs("\\-", out);
		upper(out, verb);
	}
	fputs(" 1 \"" RCL_VERSION_DATE "\" \"reclaim " RCL_VERSION "\" \"User Commands\"\n", out);
	section(out, "NAME");
	fprintf(out, "reclaim%s%s \\- ", verb ? "\\-" : "", verb ? verb : "");
	text(out, summary);
	fputc('\n', out);
	section(out, "SYNOPSIS");
}

static void settings(FILE *out)
{
	section(out, "SETTINGS");
	for (const struct rcl_tunable_info *i = rcl_tunable_table(); i->name; i++) {
		fputs(".TP\n\\fB", out);
		text(out, i->name);
		fprintf(out, "\\fR (%lld", (long long)i->def);
		if (i->unit && i->unit[0]) {
			fputc(' ', out);
			text(out, i->unit);
		}
		fputs(")\n", out);
		text(out, i->help);
		fputs(".\n", out);
	}
}

static void see_also(FILE *out, const struct cli_verb *const *verbs, const struct cli_verb *but)
{
	bool first = true;

	section(out, "SEE ALSO");
	if (but)
		fputs("\\fBreclaim\\fR(1)", out);
	for (first = !but; *verbs; verbs++) {
		if (*verbs == but)
			continue;
		fprintf(out, "%s\\fBreclaim\\-%s\\fR(1)", first ? "" : ",\n", (*verbs)->name);
		first = false;
	}
	fputc('\n', out);
}

static void verb_page(FILE *out, const struct cli_verb *const *verbs, const struct cli_verb *verb)
{
	head(out, verb->name, verb->summary);
	fprintf(out, "\\fBreclaim %s\\fR ", verb->name);
	if (verb->options)
		fputs("[\\fIOPTION\\fR]... ", out);
	fputs("\\fI", out);
	text(out, verb->operands);
	fputs("\\fR\n", out);
	section(out, "DESCRIPTION");
	paragraphs(out, verb->description);
	section(out, "OPTIONS");
	for (const struct cli_option *o = verb->options; o && o->name; o++)
		option(out, o);
	option(out, &cli_help_option);
	if (!strcmp(verb->name, "tunables"))
		settings(out);
	exit_codes(out);
	if (verb->examples) {
		section(out, "EXAMPLES");
		fputs(".EX\n", out);
		for (const char *s = verb->examples; *s; s++) {
			if (*s == '\n')
				fputc('\n', out);
			else
				put(out, *s);
		}
		fputs(".EE\n", out);
	}
	see_also(out, verbs, verb);
}

void cli_print_man(FILE *out, const struct cli_verb *const *verbs, const struct cli_verb *verb)
{
	if (verb) {
		verb_page(out, verbs, verb);
		return;
	}
	head(out, NULL, "Linux memory reclaim on traces of programs");
	fputs("\\fBreclaim\\fR \\fIVERB\\fR [\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...\n.br\n"
	      "\\fBreclaim\\fR \\fIVERB\\fR \\fB\\-\\-help\\fR\n.br\n"
	      "\\fBreclaim\\fR \\fB\\-\\-version\\fR\n",
	      out);
	section(out, "DESCRIPTION");
	paragraphs(out, cli_about);
	section(out, "VERBS");
	for (const struct cli_verb *const *v = verbs; *v; v++) {
		fprintf(out, ".TP\n\\fBreclaim\\-%s\\fR(1)\n", (*v)->name);
		text(out, (*v)->summary);
		fputs(".\n", out);
	}
	exit_codes(out);
	see_also(out, verbs, NULL);
}

/* ---- All of it ----------------------------------------------------------------------------- */

static int make_folder(const char *path)
{
	if (mkdir(path, 0777) && errno != EEXIST)
		return cli_error(CLI_FAILED, "%s: %s", path, strerror(errno));
	return 0;
}

static FILE *open_in(const char *folder, const char *name, char *path, size_t size)
{
	if ((size_t)snprintf(path, size, "%s/%s", folder, name) >= size) {
		cli_error(CLI_FAILED, "%s: the path is too long", folder);
		return NULL;
	}
	return cli_output_open(path);
}

static int write_page(const char *folder, const struct cli_verb *const *verbs,
		      const struct cli_verb *verb)
{
	char name[64], path[4096];
	FILE *out;

	snprintf(name, sizeof(name), "man1/reclaim%s%s.1", verb ? "-" : "", verb ? verb->name : "");
	out = open_in(folder, name, path, sizeof(path));
	if (!out)
		return CLI_FAILED;
	cli_print_man(out, verbs, verb);
	return cli_output_close(out, path);
}

static int write_completion(const char *folder, const struct cli_verb *const *verbs,
			    const char *shell, const char *name)
{
	char path[4096];
	FILE *out = open_in(folder, name, path, sizeof(path));

	if (!out)
		return CLI_FAILED;
	cli_print_completion(out, verbs, shell);
	return cli_output_close(out, path);
}

int cli_write_docs(const char *folder, const struct cli_verb *const *verbs)
{
	static const char *const folders[] = {"", "/man1", "/bash", "/zsh"};
	char path[4096];
	int ret = 0;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && !ret; i++) {
		snprintf(path, sizeof(path), "%s%s", folder, folders[i]);
		ret = make_folder(path);
	}
	if (!ret)
		ret = write_page(folder, verbs, NULL);
	for (const struct cli_verb *const *v = verbs; *v && !ret; v++)
		ret = write_page(folder, verbs, *v);
	if (!ret)
		ret = write_completion(folder, verbs, "bash", "bash/reclaim");
	return ret ? ret : write_completion(folder, verbs, "zsh", "zsh/_reclaim");
}
