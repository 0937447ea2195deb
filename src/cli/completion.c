/* SPDX-License-Identifier: MIT */
/*
 * Completion of command lines, from the verbs' data. What an option's value is follows from what
 * its help calls it:
 *
 *   FILE, QEMU, TRACE ...   a file, unless it is one of these:
 *   DEVICE, COSTS, FORMAT   the names there are
 *   NAME=VALUE              a setting, to be followed by its value
 *   a|b                     one of these
 *   N, X, SIZE, TIME, NAME  nothing to offer
 */
#include "cli/cli.h"

#include <string.h>

#include "mm/tunables.h"
#include "platform/sim/sim.h"
#include "trace/trace.h"

enum what {
	NOTHING,
	FILES,
	WORDS,
	SETTINGS
};

static enum what what_is(const char *value)
{
	static const char *const words[] = {"DEVICE", "COSTS", "FORMAT"};

	if (!strcmp(value, "NAME=VALUE"))
		return SETTINGS;
	if (!strcmp(value, "FILE") || !strcmp(value, "DIR"))
		return FILES;
	if (strchr(value, '|'))
		return WORDS;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(value, words[i]))
			return WORDS;
	return NOTHING;
}

static void word(FILE *out, const char *text, size_t *nr)
{
	fprintf(out, "%s%s", (*nr)++ ? " " : "", text);
}

/* The words a value may be, with spaces between them. */
static void words(FILE *out, const char *value)
{
	size_t nr = 0;

	if (!strcmp(value, "DEVICE")) {
		for (const struct rcl_sim_device_config *d = rcl_sim_device_presets(); d->name; d++)
			word(out, d->name, &nr);
	} else if (!strcmp(value, "COSTS")) {
		for (const struct rcl_sim_costs *c = rcl_sim_cost_presets(); c->name; c++)
			word(out, c->name, &nr);
	} else if (!strcmp(value, "FORMAT")) {
		const char *name;

		for (unsigned int i = 0; (name = rcl_trace_format_name(i)); i++)
			word(out, name, &nr);
	} else if (what_is(value) == SETTINGS) {
		for (const struct rcl_tunable_info *i = rcl_tunable_table(); i->name; i++)
			word(out, i->name, &nr);
	} else {
		for (; *value; value++)
			fputc(*value == '|' ? ' ' : *value, out);
	}
}

/* ---- bash ---------------------------------------------------------------------------------- */

static void bash_values(FILE *out, const struct cli_verb *verb)
{
	for (const struct cli_option *o = verb->options; o && o->name; o++) {
		if (!o->value)
			continue;
		fprintf(out, "\t%s:--%s", verb->name, o->name);
		if (o->letter)
			fprintf(out, " | %s:-%c", verb->name, o->letter);
		fputs(")\n", out);
		switch (what_is(o->value)) {
		case FILES:
			fputs("\t\t_reclaim_files \"$cur\"\n", out);
			break;
		case SETTINGS:
			fputs("\t\tCOMPREPLY=($(compgen -S = -W '", out);
			words(out, o->value);
			fputs("' -- \"$cur\"))\n\t\tcompopt -o nospace 2> /dev/null\n", out);
			break;
		case WORDS:
			fputs("\t\tCOMPREPLY=($(compgen -W '", out);
			words(out, o->value);
			fputs("' -- \"$cur\"))\n", out);
			break;
		case NOTHING:
			fputs("\t\t:\n", out);
		}
		fputs("\t\treturn ;;\n", out);
	}
}

/* Are the operands files? They are, where they are not NAMEs of something else. */
static bool takes_files(const struct cli_verb *verb)
{
	return verb->max_operands && !strstr(verb->operands, "NAME");
}

static void bash_options(FILE *out, const struct cli_verb *verb)
{
	fprintf(out, "\t%s) options='", verb->name);
	for (const struct cli_option *o = verb->options; o && o->name; o++)
		fprintf(out, "--%s ", o->name);
	fputs("--help' ;;\n", out);
}

static void bash(FILE *out, const struct cli_verb *const *verbs)
{
	fputs("# bash completion for reclaim; made from the program's own help\n"
	      "_reclaim_files() {\n"
	      "\tlocal IFS=$'\\n'\n"
	      "\tCOMPREPLY=($(compgen -f -- \"$1\"))\n"
	      "\tcompopt -o filenames 2> /dev/null\n"
	      "}\n\n"
	      "_reclaim() {\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	      "\tlocal verb=${COMP_WORDS[1]} options\n"
	      "\tCOMPREPLY=()\n"
	      "\tif ((COMP_CWORD == 1)); then\n"
	      "\t\tCOMPREPLY=($(compgen -W '",
	      out);
	for (const struct cli_verb *const *v = verbs; *v; v++)
		fprintf(out, "%s ", (*v)->name);
	fputs("--help --version' -- \"$cur\"))\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\t# '--option=value' comes as three words\n"
	      "\tif [[ $cur == = ]]; then\n"
	      "\t\tcur=\n"
	      "\telif [[ $prev == = ]]; then\n"
	      "\t\tprev=${COMP_WORDS[COMP_CWORD - 2]}\n"
	      "\tfi\n"
	      "\tcase $verb:$prev in\n",
	      out);
	for (const struct cli_verb *const *v = verbs; *v; v++)
		bash_values(out, *v);
	fputs("\tesac\n"
	      "\tif [[ $cur != -* ]]; then\n"
	      "\t\tcase $verb in\n",
	      out);
	for (const struct cli_verb *const *v = verbs; *v; v++) {
		if ((*v)->command)
			fprintf(out, "\t\t%s) COMPREPLY=($(compgen -c -f -- \"$cur\")) ;;\n",
				(*v)->name);
		else if (!takes_files(*v))
			fprintf(out, "\t\t%s) ;;\n", (*v)->name);
	}
	fputs("\t\t*) _reclaim_files \"$cur\" ;;\n"
	      "\t\tesac\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tcase $verb in\n",
	      out);
	for (const struct cli_verb *const *v = verbs; *v; v++)
		bash_options(out, *v);
	fputs("\tesac\n"
	      "\tCOMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
	      "}\n"
	      "complete -F _reclaim reclaim\n",
	      out);
}

/* ---- zsh ----------------------------------------------------------------------------------- */

/* The first sentence of a help, inside '...[...]'. */
static void zsh_text(FILE *out, const char *s)
{
	for (; *s && !(s[0] == '.' && (!s[1] || s[1] == ' ')) && *s != '\n'; s++) {
		if (*s == '\'')
			fputs("'\\''", out);
		else if (*s == '[' || *s == ']' || *s == ':' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else
			fputc(*s, out);
	}
}

static void zsh_option(FILE *out, const struct cli_option *o)
{
	const char *eq = o->value ? "=" : "", *plus = o->value ? "+" : "";

	fputs("\t\t'", out);
	if (o->repeats)
		fputc('*', out);
	else if (o->letter)
		fprintf(out, "(-%c --%s)", o->letter, o->name);
	if (o->letter)
		fprintf(out, "'{-%c%s,--%s%s}'", o->letter, plus, o->name, eq);
	else
		fprintf(out, "--%s%s", o->name, eq);
	fputc('[', out);
	zsh_text(out, o->help);
	fputc(']', out);
	if (o->value) {
		fputc(':', out);
		zsh_text(out, o->value);
		fputc(':', out);
		switch (what_is(o->value)) {
		case FILES:
			fputs("_files", out);
			break;
		case SETTINGS:
			fputs("_reclaim_settings", out);
			break;
		case WORDS:
			fputc('(', out);
			words(out, o->value);
			fputc(')', out);
			break;
		case NOTHING:
			fputc(' ', out);
		}
	}
	fputs("' \\\n", out);
}

static void zsh(FILE *out, const struct cli_verb *const *verbs)
{
	fputs("#compdef reclaim\n"
	      "# zsh completion for reclaim; made from the program's own help\n\n"
	      "_reclaim_settings() {\n"
	      "\tcompset -P '*=' && return\n"
	      "\tcompadd -S = -- ",
	      out);
	words(out, "NAME=VALUE");
	fputs("\n}\n\n", out);
	for (const struct cli_verb *const *v = verbs; *v; v++) {
		fprintf(out, "_reclaim_%s() {\n\t_arguments -s \\\n", (*v)->name);
		for (const struct cli_option *o = (*v)->options; o && o->name; o++)
			zsh_option(out, o);
		zsh_option(out, &cli_help_option);
		fprintf(out, "\t\t'%s'\n}\n\n",
			!takes_files(*v) ? "*: : "
			: (*v)->command	 ? "*::program:_normal"
					 : "*:file:_files");
	}
	fputs("_reclaim() {\n"
	      "\tlocal -a verbs\n"
	      "\tverbs=(\n",
	      out);
	for (const struct cli_verb *const *v = verbs; *v; v++) {
		fprintf(out, "\t\t'%s:", (*v)->name);
		zsh_text(out, (*v)->summary);
		fputs("'\n", out);
	}
	fputs("\t)\n"
	      "\tif ((CURRENT == 2)); then\n"
	      "\t\t_describe verb verbs\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tlocal verb=$words[2]\n"
	      "\tshift words\n"
	      "\t((CURRENT--))\n"
	      "\t(($+functions[_reclaim_$verb])) && _reclaim_$verb\n"
	      "}\n\n"
	      "_reclaim \"$@\"\n",
	      out);
}

bool cli_print_completion(FILE *out, const struct cli_verb *const *verbs, const char *shell)
{
	if (!strcmp(shell, "bash"))
		bash(out, verbs);
	else if (!strcmp(shell, "zsh"))
		zsh(out, verbs);
	else
		return false;
	return true;
}
