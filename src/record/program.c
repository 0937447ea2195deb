/* SPDX-License-Identifier: MIT */
#include "record/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Cut a #! line into the interpreter and all the rest, which is one argument. */
static void read_script(struct rcl_program *p, char *head)
{
	char *word, *rest, *end;

	head[strcspn(head, "\n")] = 0;
	word = head + 2 + strspn(head + 2, " \t");
	rest = word + strcspn(word, " \t");
	if (*rest)
		*rest++ = 0;
	rest += strspn(rest, " \t");
	for (end = rest + strlen(rest); end > rest && (end[-1] == ' ' || end[-1] == '\t'); end--)
		end[-1] = 0;
	strcpy(p->script[p->scripts][0], word);
	strcpy(p->script[p->scripts][1], rest);
	strcpy(p->path, word);
}

int rcl_program_find(struct rcl_program *p, const char *path)
{
	p->machine = p->bits = 0;
	snprintf(p->path, sizeof(p->path), "%s", path);
	for (p->scripts = 0;; p->scripts++) {
		char head[RCL_SCRIPT_LINE] = "";
		int fd = access(p->path, X_OK) ? -1 : open(p->path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head) - 1);
		Elf64_Ehdr elf;

		if (n < 0) {
			int code = errno;

			if (fd >= 0)
				close(fd);
			return -code;
		}
		close(fd);
		if (n >= (ssize_t)sizeof(elf) && !memcmp(head, ELFMAG, SELFMAG)) {
			memcpy(&elf, head, sizeof(elf));
			p->machine = elf.e_machine;
			p->bits = head[EI_CLASS] == ELFCLASS64 ? 64 : 32;
			return p->bits == 64 && p->machine == EM_X86_64 &&
					       (elf.e_type == ET_EXEC || elf.e_type == ET_DYN)
				       ? 0
				       : -ENOEXEC;
		}
		if (n < 3 || head[0] != '#' || head[1] != '!' || p->scripts == RCL_SCRIPTS_MAX)
			return -ENOEXEC;
		read_script(p, head);
	}
}

unsigned int rcl_program_words(const struct rcl_program *p, const char *path,
			       const char *const *argv, const char **out, const char **first)
{
	unsigned int n = 0;

	*first = p->scripts ? p->path : argv && argv[0] ? argv[0] : path;
	out[n++] = p->path;
	for (unsigned int i = p->scripts; i; i--) {
		if (*p->script[i - 1][1])
			out[n++] = p->script[i - 1][1];
		out[n++] = i > 1 ? p->script[i - 2][0] : path;
	}
	for (unsigned int i = 1; argv && argv[0] && argv[i]; i++)
		out[n++] = argv[i];
	return n;
}
