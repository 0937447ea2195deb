/* SPDX-License-Identifier: MIT */
/*
 * Command lines: options in any order among the operands, "--name VALUE" or "--name=VALUE",
 * "-o VALUE" or "-oVALUE", "--" ends the options.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "mm/tunables.h"

int cli_error(int code, const char *fmt, ...)
{
	va_list ap;

	fputs("reclaim: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}

const char *cli_nearest(const char *name, const char *const *names)
{
	/* Farther than this, a suggestion is noise. */
	uint32_t best = (uint32_t)strlen(name) / 2 + 2;
	const char *nearest = NULL;

	for (; *names; names++) {
		uint32_t d = rcl_name_distance(name, *names);

		if (d < best) {
			best = d;
			nearest = *names;
		}
	}
	return nearest;
}

const struct cli_option cli_help_option = {'h', "help", NULL, false, "print this help"};

static const struct cli_option *find_long(const struct cli_verb *verb, const char *name, size_t len)
{
	for (const struct cli_option *o = verb->options; o && o->name; o++)
		if (strlen(o->name) == len && !memcmp(o->name, name, len))
			return o;
	return len == 4 && !memcmp(name, "help", 4) ? &cli_help_option : NULL;
}

static const struct cli_option *find_letter(const struct cli_verb *verb, char letter)
{
	for (const struct cli_option *o = verb->options; o && o->name; o++)
		if (o->letter && o->letter == letter)
			return o;
	return letter == 'h' ? &cli_help_option : NULL;
}

static int unknown_option(const struct cli_verb *verb, const char *word)
{
	const char *names[64] = {"help"};
	size_t nr = 1;
	char name[64];

	for (const struct cli_option *o = verb->options; o && o->name && nr < 63; o++)
		names[nr++] = o->name;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
	const char *meant = cli_nearest(name + strspn(name, "-"), names);

	if (meant && word[1] == '-')
		return cli_error(CLI_USAGE, "%s: unknown option '%s'; did you mean '--%s'?",
				 verb->name, name, meant);
	return cli_error(CLI_USAGE, "%s: unknown option '%s'; see 'reclaim %s --help'", verb->name,
			 name, verb->name);
}

static int record(struct cli_args *args, const struct cli_option *o, const char *value)
{
	for (unsigned int i = 0; i < args->nr_given; i++)
		if (args->given[i].option == o && !o->repeats && o->value)
			return cli_error(CLI_USAGE, "%s: --%s is given twice", args->verb->name,
					 o->name);
	args->given[args->nr_given].option = o;
	args->given[args->nr_given++].value = value;
	return 0;
}

int cli_parse(const struct cli_verb *verb, int argc, char **argv, struct cli_args *args)
{
	bool options = true;

	*args = (struct cli_args){.verb = verb};
	args->operands = calloc((size_t)argc + 1, sizeof(*args->operands));
	args->given = calloc((size_t)argc + 1, sizeof(*args->given));
	if (!args->operands || !args->given)
		return cli_error(CLI_FAILED, "out of memory");
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i], *value = NULL;
		const struct cli_option *o;

		if (!options || word[0] != '-' || !word[1]) {
			args->operands[args->nr_operands++] = word;
			options = options && !verb->command;
			continue;
		}
		if (!strcmp(word, "--")) {
			options = false;
			continue;
		}
		if (word[1] == '-') {
			size_t len = strcspn(word + 2, "=");

			o = find_long(verb, word + 2, len);
			if (word[2 + len] == '=')
				value = word + 3 + len;
		} else {
			o = find_letter(verb, word[1]);
			if (o && word[2])
				value = word + 2;
		}
		if (!o)
			return unknown_option(verb, word);
		if (o == &cli_help_option) {
			cli_print_verb_help(stdout, verb);
			return -1;
		}
		if (!o->value && value)
			return cli_error(CLI_USAGE, "%s: --%s takes no value", verb->name, o->name);
		if (o->value && !value) {
			if (i + 1 == argc)
				return cli_error(CLI_USAGE, "%s: --%s needs a value: %s",
						 verb->name, o->name, o->value);
			value = argv[++i];
		}
		if (record(args, o, value))
			return CLI_USAGE;
	}
	if (args->nr_operands < verb->min_operands)
		return cli_error(CLI_USAGE, "%s: too few arguments; usage: reclaim %s %s",
				 verb->name, verb->name, verb->operands);
	if (args->nr_operands > verb->max_operands)
		return cli_error(CLI_USAGE, "%s: unexpected argument '%s'", verb->name,
				 args->operands[verb->max_operands]);
	return 0;
}

void cli_args_free(struct cli_args *args)
{
	free(args->operands);
	free(args->given);
	*args = (struct cli_args){.verb = args->verb};
}

const char *cli_value_nth(const struct cli_args *args, const char *option, unsigned int n)
{
	for (unsigned int i = 0; i < args->nr_given; i++)
		if (!strcmp(args->given[i].option->name, option) && !n--)
			return args->given[i].value;
	return NULL;
}

const char *cli_value(const struct cli_args *args, const char *option)
{
	return cli_value_nth(args, option, 0);
}

bool cli_given(const struct cli_args *args, const char *option)
{
	for (unsigned int i = 0; i < args->nr_given; i++)
		if (!strcmp(args->given[i].option->name, option))
			return true;
	return false;
}

int cli_integer(const struct cli_args *args, const char *option, uint64_t lo, uint64_t hi,
		uint64_t *out)
{
	const char *text = cli_value(args, option);
	unsigned long long v;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	v = strtoull(text, &end, 0);
	if (text[0] < '0' || text[0] > '9' || *end || errno || v < lo || v > hi)
		return cli_error(CLI_USAGE, "--%s %s: a number from %llu to %llu is needed", option,
				 text, (unsigned long long)lo, (unsigned long long)hi);
	*out = v;
	return 0;
}

FILE *cli_output_open(const char *path)
{
	if (!path || !strcmp(path, "-"))
		return stdout;
	FILE *out = fopen(path, "w");

	if (!out)
		cli_error(CLI_FAILED, "%s: %s", path, strerror(errno));
	return out;
}

int cli_output_close(FILE *out, const char *path)
{
	bool failed = fflush(out) || ferror(out);

	if (out != stdout && fclose(out))
		failed = true;
	if (failed)
		return cli_error(CLI_FAILED, "%s: %s", path ? path : "standard output",
				 strerror(errno));
	return CLI_OK;
}
