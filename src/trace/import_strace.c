/* SPDX-License-Identifier: MIT */
/*
 * File reads and writes from what strace printed.
 *
 *   [pid  1234] 12:34:56 openat(AT_FDCWD, "words.txt", O_RDONLY) = 3</tmp/words.txt>
 *   1234  read(3</tmp/words.txt>, "..."..., 131072) = 131072
 *   1234  pwrite64(4, "..."..., 4096, 8192 <unfinished ...>
 *   1234  <... pwrite64 resumed>) = 4096
 *
 * Each process has descriptors, each with a file and a position. Where strace was told to print
 * paths (-y) they are believed; else the calls that make descriptors are followed. A descriptor of
 * which neither is known, and one of a pipe, socket or device, is passed over. Files are known by
 * their paths, so a file that is renamed becomes another one.
 */
#define _GNU_SOURCE 1 /* stpcpy */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/convert.h"
#include "trace/import.h"
#include "trace/native_write.h"

#define FDS_MAX	  1024
#define TASKS_MAX 4096
#define ARGS_MAX  8
#define FILES_MAX (RCL_NATIVE_REGIONS_MAX - RCL_NATIVE_FIRST_FILE)

struct open_file {
	uint32_t file; /* + 1; 0: not known */
	uint64_t position;
};

struct task {
	long pid;
	struct open_file fds[FDS_MAX];
	char *unfinished;
};

struct strace {
	struct rcl_native_writer *w;
	struct task *tasks[TASKS_MAX];
	uint32_t nr_tasks;
	char **files;
	uint32_t nr_files;
	uint64_t calls;
	bool failed;
};

struct call {
	const char *name;
	char *args[ARGS_MAX];
	unsigned int nr;
	long long result;
	char *result_path; /* NULL: none */
};

/* ---- Lines ------------------------------------------------------------------------------------
 */

/* The end of a string or a bracket that begins at p. */
static char *skip_group(char *p)
{
	char close = *p == '"' ? '"' : *p == '[' ? ']' : *p == '{' ? '}' : *p == '<' ? '>' : ')';

	for (p++; *p && *p != close; p++) {
		if (close == '"' && *p == '\\' && p[1])
			p++;
		else if (close != '"' && close != '>' && strchr("\"[{(", *p)) {
			p = skip_group(p);
			if (!*p)
				break;
		}
	}
	return p;
}

/* Cut "name(a, b) = result" into its parts. */
static bool parse_call(char *text, struct call *c)
{
	char *p = text, *arg;

	*c = (struct call){.name = text};
	while (isalnum((unsigned char)*p) || *p == '_')
		p++;
	if (*p != '(' || p == text)
		return false;
	*p++ = 0;
	for (arg = p; *p && *p != ')'; p++) {
		if (strchr("\"[{<(", *p)) {
			p = skip_group(p);
			if (!*p)
				return false;
		} else if (*p == ',') {
			*p = 0;
			if (c->nr < ARGS_MAX)
				c->args[c->nr++] = arg;
			arg = p + 1 + (p[1] == ' ');
		}
	}
	if (*p != ')')
		return false;
	*p++ = 0;
	if (c->nr < ARGS_MAX && *arg)
		c->args[c->nr++] = arg;
	p = strstr(p, "= ");
	if (!p || (p[2] != '-' && !isdigit((unsigned char)p[2])))
		return false;
	c->result = strtoll(p + 2, &p, 0);
	if (*p == '<') {
		c->result_path = p + 1;
		*skip_group(p) = 0;
	}
	return true;
}

static struct task *task_of(struct strace *s, long pid)
{
	struct task *t;

	for (uint32_t i = 0; i < s->nr_tasks; i++)
		if (s->tasks[i]->pid == pid)
			return s->tasks[i];
	/* Lines without a number are the first process's. */
	if (s->nr_tasks == 1 && !s->tasks[0]->pid && pid) {
		s->tasks[0]->pid = pid;
		return s->tasks[0];
	}
	t = s->nr_tasks < TASKS_MAX ? calloc(1, sizeof(*t)) : NULL;
	if (!t) {
		s->failed = true;
		return NULL;
	}
	t->pid = pid;
	if (s->nr_tasks)
		rcl_native_put_task(s->w, s->nr_tasks, s->nr_tasks, 0, RCL_NATIVE_FIRST);
	s->tasks[s->nr_tasks++] = t;
	return t;
}

static uint32_t number_of(const struct strace *s, const struct task *t)
{
	uint32_t i = 0;

	while (s->tasks[i] != t)
		i++;
	return i;
}

/* ---- Files ------------------------------------------------------------------------------------
 */

static uint32_t file_of(struct strace *s, const char *path, size_t n)
{
	char name[RCL_NATIVE_NAME_MAX];

	if (n > 1 && path[0] == '"' && path[n - 1] == '"') {
		path++;
		n -= 2;
	}
	if (!n || n >= sizeof(name) || !strncmp(path, "pipe:", 5) || !strncmp(path, "socket:", 7) ||
	    !strncmp(path, "anon_inode:", 11) || !strncmp(path, "/dev/", 5) ||
	    !strncmp(path, "/proc/", 6) || !strncmp(path, "/sys/", 5))
		return 0;
	memcpy(name, path, n);
	name[n] = 0;
	for (uint32_t i = 0; i < s->nr_files; i++)
		if (!strcmp(s->files[i], name))
			return i + 1;
	if (s->nr_files == FILES_MAX)
		return 0;
	s->files[s->nr_files] = strdup(name);
	if (!s->files[s->nr_files]) {
		s->failed = true;
		return 0;
	}
	rcl_native_put_region(s->w, RCL_NATIVE_FIRST_FILE + s->nr_files, 1, 0, name);
	return ++s->nr_files;
}

/* The descriptor an argument names: "3", or "3</path>", which says whose it is. */
static struct open_file *fd_of(struct strace *s, struct task *t, const char *arg)
{
	char *end;
	long fd = arg ? strtol(arg, &end, 10) : -1;
	uint32_t file;
	size_t n;

	if (fd < 0 || fd >= FDS_MAX || end == arg)
		return NULL;
	if (*end == '<') {
		n = strcspn(end + 1, ">");
		file = file_of(s, end + 1, n);
		if (t->fds[fd].file != file)
			t->fds[fd] = (struct open_file){.file = file};
	}
	return &t->fds[fd];
}

static void io(struct strace *s, struct task *t, struct open_file *f, const char *offset,
	       long long bytes, bool write)
{
	uint64_t at;

	if (!f || !f->file || bytes <= 0 || bytes > 1 << 30)
		return;
	at = offset ? strtoull(offset, NULL, 0) : f->position;
	if (at > 1ull << 46)
		return;
	if (!offset)
		f->position += (uint64_t)bytes;
	rcl_native_put_file(s->w, number_of(s, t), write, RCL_NATIVE_FIRST_FILE + f->file - 1, at,
			    (uint64_t)bytes);
	s->calls++;
}

static void opened(struct strace *s, struct task *t, const struct call *c, const char *path)
{
	struct open_file *f;
	uint64_t region;

	if (c->result < 0 || c->result >= FDS_MAX)
		return;
	f = &t->fds[c->result];
	path = c->result_path ? c->result_path : path;
	*f = (struct open_file){.file = path ? file_of(s, path, strlen(path)) : 0};
	if (!f->file)
		return;
	region = RCL_NATIVE_FIRST_FILE + f->file - 1;
	rcl_native_put_event(s->w, number_of(s, t), RCL_EVENT_OPEN, &region);
	for (unsigned int i = 0; i < c->nr; i++)
		if (strstr(c->args[i], "O_TRUNC") && c->args[i][0] == 'O')
			rcl_native_put_event(s->w, number_of(s, t), RCL_EVENT_TRUNCATE,
					     (uint64_t[]){region, 0});
}

/* Its pages go with its name: who has it open still is not followed. */
static void deleted(struct strace *s, struct task *t, const char *path)
{
	size_t n = path ? strlen(path) : 0;
	uint64_t region;

	if (n < 3)
		return;
	for (uint32_t i = 0; i < s->nr_files; i++) {
		if (strlen(s->files[i]) != n - 2 || strncmp(s->files[i], path + 1, n - 2))
			continue;
		region = RCL_NATIVE_FIRST_FILE + i;
		rcl_native_put_event(s->w, number_of(s, t), RCL_EVENT_DELETE, &region);
	}
}

static void file_event(struct strace *s, struct task *t, struct open_file *f, unsigned int event,
		       uint64_t value)
{
	if (f && f->file)
		rcl_native_put_event(s->w, number_of(s, t), event,
				     (uint64_t[]){RCL_NATIVE_FIRST_FILE + f->file - 1, value});
}

/* ---- Calls ------------------------------------------------------------------------------------
 */

static bool is(const struct call *c, const char *name)
{
	return !strcmp(c->name, name);
}

static bool transfer(struct strace *s, struct task *t, struct call *c)
{
	struct open_file *f = fd_of(s, t, c->args[0]);
	bool positioned = c->name[0] == 'p';
	const char *kind = c->name + positioned;
	const char *offset = NULL;

	if (is(c, "sendfile") || is(c, "copy_file_range")) {
		bool copy = is(c, "copy_file_range");
		struct open_file *to = copy ? fd_of(s, t, c->args[2]) : f;
		struct open_file *from = copy ? f : fd_of(s, t, c->args[1]);

		/* With an offset of its own, given as "[N]" or "[N] => [M]". */
		offset = c->args[copy ? 1 : 2];
		offset = offset && *offset == '[' ? offset + 1 : NULL;
		io(s, t, from, offset, c->result, false);
		io(s, t, to, NULL, c->result, true);
		return true;
	}
	if (strncmp(kind, "read", 4) && strncmp(kind, "write", 5))
		return false;
	if (!strncmp(kind, "readlink", 8) || !strncmp(kind, "readahead", 9))
		return false;
	if (positioned && c->nr >= 4)
		offset = c->args[3];
	io(s, t, f, offset, c->result, kind[0] == 'w');
	return true;
}

static void descriptor_call(struct strace *s, struct task *t, struct call *c)
{
	struct open_file *f;

	if (is(c, "open") || is(c, "creat") || is(c, "openat") || is(c, "openat2")) {
		opened(s, t, c, c->args[!strncmp(c->name, "openat", 6)]);
		return;
	}
	if (is(c, "unlink") || is(c, "unlinkat")) {
		deleted(s, t, c->args[!strcmp(c->name, "unlinkat")]);
		return;
	}
	f = fd_of(s, t, c->args[0]);
	if (!f)
		return;
	if (is(c, "close")) {
		*f = (struct open_file){0};
	} else if (is(c, "lseek") || is(c, "_llseek")) {
		f->position = (uint64_t)c->result;
	} else if (is(c, "dup") || is(c, "dup2") || is(c, "dup3") ||
		   (is(c, "fcntl") && c->nr > 1 && !strncmp(c->args[1], "F_DUPFD", 7))) {
		if (c->result < FDS_MAX)
			t->fds[c->result] = *f;
	} else if (is(c, "ftruncate")) {
		file_event(s, t, f, RCL_EVENT_TRUNCATE,
			   c->nr > 1 ? strtoull(c->args[1], NULL, 0) & ((1ull << 46) - 1) : 0);
	} else if (is(c, "fsync") || is(c, "fdatasync")) {
		file_event(s, t, f, RCL_EVENT_FSYNC, 0);
	}
}

static void do_call(struct strace *s, struct task *t, struct call *c)
{
	struct task *child;

	if (c->result < 0)
		return;
	if (is(c, "clone") || is(c, "clone3") || is(c, "fork") || is(c, "vfork")) {
		child = task_of(s, (long)c->result);
		if (child)
			memcpy(child->fds, t->fds, sizeof(t->fds));
		return;
	}
	if (!transfer(s, t, c))
		descriptor_call(s, t, c);
}

/* ---- The text ---------------------------------------------------------------------------------
 */

/* Past "[pid 12] " or "12 ", and a time of any kind. */
static char *skip_front(char *p, long *pid)
{
	char *end;

	*pid = 0;
	p += strspn(p, " ");
	if (!strncmp(p, "[pid", 4)) {
		*pid = strtol(p + 4, &end, 10);
		p = *end == ']' ? end + 1 : end;
	} else if (isdigit((unsigned char)*p)) {
		long v = strtol(p, &end, 10);

		if (*end == ' ') {
			*pid = v;
			p = end;
		}
	}
	for (;;) {
		size_t n;

		p += strspn(p, " ");
		n = strspn(p, "0123456789:.+");
		if (!n || p[n] != ' ')
			return p;
		p += n;
	}
}

static int one_line(void *arg, char *line)
{
	struct strace *s = arg;
	char *joined = NULL, *mark;
	struct task *t;
	struct call c;
	long pid;

	line = skip_front(line, &pid);
	if (!*line || *line == '-' || *line == '+')
		return 0; /* signals and exits */
	t = task_of(s, pid);
	if (!t)
		return -ENOMEM;
	mark = strstr(line, " <unfinished ...>");
	if (mark) {
		*mark = 0;
		free(t->unfinished);
		t->unfinished = strdup(line);
		return t->unfinished ? 0 : -ENOMEM;
	}
	if (!strncmp(line, "<... ", 5)) {
		mark = strstr(line, " resumed>");
		if (!mark || !t->unfinished)
			return 0;
		mark += 9;
		joined = malloc(strlen(t->unfinished) + strlen(mark) + 1);
		if (!joined)
			return -ENOMEM;
		strcpy(stpcpy(joined, t->unfinished), mark);
		free(t->unfinished);
		t->unfinished = NULL;
		line = joined;
	}
	if (parse_call(line, &c))
		do_call(s, t, &c);
	free(joined);
	return s->failed ? -ENOMEM : 0;
}

int rcl_import_strace(const char *path, const char *out, struct rcl_error *err)
{
	struct rcl_native_info info = {
		.source = RCL_NATIVE_STRACE, .command = path, .command_size = strlen(path) + 1};
	struct strace *s = calloc(1, sizeof(*s));
	int rc = -ENOMEM, closed;

	if (s)
		s->files = calloc(FILES_MAX, sizeof(*s->files));
	if (!s || !s->files) {
		free(s);
		return rcl_error_set(err, rc, "out of memory");
	}
	rc = rcl_native_create(out, &info, &s->w, err);
	if (!rc) {
		rcl_native_put_start(s->w);
		if (err)
			*err->text = 0;
		rc = rcl_import_lines(path, one_line, s, err);
		if (rc && err && !*err->text)
			rcl_error_set(err, rc, "%s: out of memory, or more than %u tasks", path,
				      TASKS_MAX);
		if (!rc && !s->calls)
			rc = rcl_error_set(err, -EBADMSG,
					   "%s: no read or write of a file is in it; trace with "
					   "'strace -f -y -e trace=desc,file,process'",
					   path);
		if (!rc)
			rcl_native_put_end(s->w, 0, 0);
		closed = rcl_native_close(s->w, rc ? NULL : err);
		rc = rc ? rc : closed;
	}
	for (uint32_t i = 0; i < s->nr_files; i++)
		free(s->files[i]);
	for (uint32_t i = 0; i < s->nr_tasks; i++) {
		free(s->tasks[i]->unfinished);
		free(s->tasks[i]);
	}
	free(s->files);
	free(s);
	return rc;
}
