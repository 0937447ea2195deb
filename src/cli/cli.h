/* SPDX-License-Identifier: MIT */
/*
 * The command line: verbs and their options as data, from which parsing, --help and the manual
 * pages all come.
 */
#ifndef RCL_CLI_CLI_H
#define RCL_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifndef RCL_VERSION
#define RCL_VERSION "0.1.0"
#endif
#define RCL_VERSION_DATE "2026-11-21"

/* Exit codes, the same for every verb. */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1, /* unreadable or corrupt input, a failed write, counters out of bounds */
	CLI_USAGE = 2,	/* the command line itself is wrong */
	CLI_OOM = 3,	/* a run ended in an OOM kill */
};

struct cli_option {
	char letter; /* 0 = none */
	const char *name;
	const char *value; /* what the help calls its value; NULL = a switch */
	bool repeats;	   /* may be given more than once */
	const char *help;
};

struct cli_args;
struct cli_verb {
	const char *name;
	const char *operands; /* as in the synopsis; "" = none */
	unsigned int min_operands, max_operands;
	bool command; /* the operands are a command line: what follows the first is its own */
	const char *summary;		  /* one line */
	const char *description;	  /* paragraphs, separated by empty lines */
	const struct cli_option *options; /* a NULL name ends it; may be NULL */
	const char *examples;		  /* lines */
	int (*run)(const struct cli_args *args);
};

/* What a command line said. Strings are argv's. */
struct cli_args {
	const struct cli_verb *verb;
	unsigned int nr_operands;
	const char **operands;
	unsigned int nr_given;
	struct {
		const struct cli_option *option;
		const char *value; /* NULL for a switch */
	} * given;
};

/* Last value given for an option, or NULL. */
const char *cli_value(const struct cli_args *args, const char *option);
/* The i-th value given (from 0), or NULL past the last. */
const char *cli_value_nth(const struct cli_args *args, const char *option, unsigned int i);
bool cli_given(const struct cli_args *args, const char *option);
/* An integer in [lo, hi]: 0, or CLI_USAGE after saying what is wrong; `out` keeps its value when
 * the option was not given. */
int cli_integer(const struct cli_args *args, const char *option, uint64_t lo, uint64_t hi,
		uint64_t *out);

/*
 * Parse the words after the verb. 0; CLI_USAGE after an explanation on stderr; or -1 when --help
 * was asked for and has been printed. Free with cli_args_free() in every case.
 */
int cli_parse(const struct cli_verb *verb, int argc, char **argv, struct cli_args *args);
void cli_args_free(struct cli_args *args);

/* "reclaim: text" on stderr. Returns `code`. */
int cli_error(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The nearest of a NULL-ended list of names, or NULL when none is near. */
const char *cli_nearest(const char *name, const char *const *names);

/* What all help is made of. */
extern const char cli_about[];
extern const struct cli_option cli_help_option;
struct cli_code {
	int code;
	const char *meaning; /* NULL ends the list */
};
extern const struct cli_code cli_codes[];

void cli_print_verb_help(FILE *out, const struct cli_verb *verb);
void cli_print_help(FILE *out, const struct cli_verb *const *verbs);
void cli_print_options(FILE *out, const struct cli_option *options);

/*
 * The manual page of a verb, or of the program (NULL), for man(1); and what makes a shell complete
 * command lines: "bash" or "zsh", false for others. cli_write_docs() puts all of it into a folder:
 * man1/, bash/reclaim, zsh/_reclaim.
 */
void cli_print_man(FILE *out, const struct cli_verb *const *verbs, const struct cli_verb *verb);
bool cli_print_completion(FILE *out, const struct cli_verb *const *verbs, const char *shell);
int cli_write_docs(const char *folder, const struct cli_verb *const *verbs);

/* "-o FILE", or stdout for NULL and "-". close: 0, or CLI_FAILED after saying why. */
FILE *cli_output_open(const char *path);
int cli_output_close(FILE *out, const char *path);

extern const struct cli_verb cli_sim, cli_size, cli_gen, cli_tunables, cli_fidelity, cli_record,
	cli_info, cli_top, cli_convert, cli_import, cli_replay;

#endif
