/* SPDX-License-Identifier: MIT */
/* What the emulator is to be told to run in place of a path, scripts looked through. */
#ifndef RCL_RECORD_PROGRAM_H
#define RCL_RECORD_PROGRAM_H

#define RCL_SCRIPTS_MAX 4
#define RCL_SCRIPT_LINE 256 /* bytes of a #! line, as the kernel has it */

struct rcl_program {
	char path[4096]; /* the program: `path`, or the interpreter of the innermost script */
	/* interpreters and their arguments ("": none), the outermost script's first */
	char script[RCL_SCRIPTS_MAX][2][RCL_SCRIPT_LINE];
	unsigned int scripts;
	unsigned int machine, bits; /* of an ELF file */
};

/*
 * 0 when the emulator can run it. Else a negative errno: what access() says; -ENOEXEC for what is
 * no program at all (machine 0), or one for another machine.
 */
int rcl_program_find(struct rcl_program *p, const char *path);

/*
 * The words behind the emulator's own options: program, interpreters' arguments, and argv from its
 * second word on. `out` has room for all of argv and 2 + 2 * RCL_SCRIPTS_MAX words. argv[0] of the
 * program is *first. Returns how many words.
 */
unsigned int rcl_program_words(const struct rcl_program *p, const char *path,
			       const char *const *argv, const char **out, const char **first);

#endif
