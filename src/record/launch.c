/* SPDX-License-Identifier: MIT */
/*
 * Starting a recording: the trace's head, the emulator with the plugin, the trace's end.
 *
 * The plugin writes everything in between itself (stream.c). So this process has nothing to do
 * while the program runs, and if it is killed, only the mark at the end is missing.
 */
#define _GNU_SOURCE 1 /* stpcpy */
#include "record/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "record/control.h"
#include "record/program.h"
#include "trace/native_write.h"

#define PLUGIN_NAME "reclaim-record.so"

struct launch {
	const struct rcl_record_request *req;
	struct rcl_program runs; /* what the emulator runs for it */
	char program[PATH_MAX], qemu[PATH_MAX], plugin[PATH_MAX], out[PATH_MAX];
	char control_path[64];
	int control_fd;
	struct rcl_control *control;
};

/* ---- Finding things ------------------------------------------------------------------------- */

/* As a shell finds a command. The errno is that of the last candidate that exists, or ENOENT. */
static int find_in_path(const char *name, char *out)
{
	const char *path = getenv("PATH");
	int code = ENOENT;

	if (strchr(name, '/')) {
		memccpy(out, name, 0, PATH_MAX - 1);
		return access(name, X_OK) ? errno : 0;
	}
	if (!path)
		path = "/usr/bin:/bin";
	for (; *path; path += *path == ':') {
		size_t n = strcspn(path, ":");
		struct stat st;

		snprintf(out, PATH_MAX, "%.*s%s%s", (int)n, path, n ? "/" : "", name);
		path += n;
		if (!access(out, X_OK) && !stat(out, &st) && S_ISREG(st.st_mode))
			return 0;
		if (errno != ENOENT && errno != ENOTDIR)
			code = errno;
	}
	return code;
}

static int find_qemu(struct launch *l, struct rcl_error *err)
{
	const char *name = l->req->qemu ? l->req->qemu : "qemu-x86_64";

	if (find_in_path(name, l->qemu))
		return rcl_error_set(err, -ENOENT,
				     "%s was not found: recording needs QEMU's user mode (Debian: "
				     "apt-get install qemu-user)",
				     name);
	return 0;
}

/* Next to this program, or where it is installed. */
static int find_plugin(struct launch *l, struct rcl_error *err)
{
	const char *given = getenv("RECLAIM_PLUGIN");
	char self[PATH_MAX - 64], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = 0;
	slash = strrchr(self, '/');
	if (slash)
		*slash = 0;
	if (given) {
		snprintf(l->plugin, PATH_MAX, "%s", given);
	} else {
		snprintf(l->plugin, PATH_MAX, "%s/" PLUGIN_NAME, self);
		if (access(l->plugin, R_OK))
			snprintf(l->plugin, PATH_MAX, "%s/../lib/reclaim/" PLUGIN_NAME, self);
	}
	if (access(l->plugin, R_OK))
		return rcl_error_set(err, -ENOENT,
				     "%s: the recorder's plugin is not there; $RECLAIM_PLUGIN can "
				     "say where it is",
				     l->plugin);
	return 0;
}

/* Can the emulator run it? */
static int check_program(struct launch *l, struct rcl_error *err)
{
	const struct rcl_program *p = &l->runs;
	int rc = rcl_program_find(&l->runs, l->program);

	if (rc == -ENOEXEC && !p->machine)
		return rcl_error_set(err, rc, "%s: neither an ELF program nor a script", p->path);
	if (rc == -ENOEXEC)
		return rcl_error_set(err, rc, "%s: not an x86-64 program (ELF machine %u, %u bits)",
				     p->path, p->machine, p->bits);
	return rc ? rcl_error_set(err, rc, "%s: %s", p->path, strerror(-rc)) : 0;
}

static int find_program(struct launch *l, struct rcl_error *err)
{
	const char *name = l->req->argv[0];
	int code = find_in_path(name, l->program);

	if (code == ENOENT)
		return rcl_error_set(err, -ENOENT, "%s: program not found%s", name,
				     strchr(name, '/') ? "" : " in $PATH");
	if (code)
		return rcl_error_set(err, -code, "%s: %s", l->program, strerror(code));
	return check_program(l, err);
}

/* ---- The recording's files ------------------------------------------------------------------ */

static size_t command_line(const char *const *argv, char *out, size_t size)
{
	size_t n = 0;

	for (; *argv && n + strlen(*argv) + 1 <= size; argv++)
		n += (size_t)(stpcpy(out + n, *argv) - (out + n)) + 1;
	return n;
}

static int create_trace(struct launch *l, const struct rcl_record_result *res,
			struct rcl_error *err)
{
	char command[RCL_NATIVE_COMMAND_MAX];
	struct rcl_native_info info = {
		.window = (uint32_t)l->req->window,
		.native_ns = res->native_ns,
		.native_wall_ns = res->native_wall_ns,
		.source = RCL_NATIVE_RECORDED,
		.command = command,
		.command_size = command_line(l->req->argv, command, sizeof(command)),
	};
	struct rcl_native_writer *w;
	struct stat st;
	int rc = rcl_native_create(l->req->out, &info, &w, err);

	if (rc)
		return rc;
	rcl_native_put_start(w);
	rc = rcl_native_close(w, err);
	if (rc)
		return rc;
	/* The program may change its directory. */
	if (!realpath(l->req->out, l->out) || stat(l->out, &st))
		return rcl_error_set(err, -errno, "%s: %s", l->req->out, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return rcl_error_set(err, -EINVAL, "%s: a recording goes to a regular file",
				     l->req->out);
	l->control->out_dev = st.st_dev;
	l->control->out_ino = st.st_ino;
	return 0;
}

/* A file without a name: whatever happens, it goes with the last of those who have it. */
static int create_control(struct launch *l, struct rcl_error *err)
{
	l->control_fd = memfd_create("reclaim-record", MFD_CLOEXEC);
	if (l->control_fd >= 0 && !ftruncate(l->control_fd, sizeof(*l->control)))
		l->control = mmap(NULL, sizeof(*l->control), PROT_READ | PROT_WRITE, MAP_SHARED,
				  l->control_fd, 0);
	if (!l->control || l->control == MAP_FAILED) {
		l->control = NULL;
		return rcl_error_set(err, -errno, "memory to share with the program: %s",
				     strerror(errno));
	}
	snprintf(l->control_path, sizeof(l->control_path), "/proc/%d/fd/%d", getpid(),
		 l->control_fd);
	l->control->magic = RCL_CONTROL_MAGIC;
	l->control->next_task = 1;
	l->control->next_region = RCL_NATIVE_FIRST_FILE;
	return 0;
}

/* ---- Running -------------------------------------------------------------------------------- */

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Wait for a child; keys that interrupt are meant for it. 128 + signal if it was killed. */
static int wait_for(pid_t child, struct rusage *usage)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, interrupt, quit;
	int status = 0;

	sigaction(SIGINT, &ignore, &interrupt);
	sigaction(SIGQUIT, &ignore, &quit);
	while (wait4(child, &status, 0, usage) < 0 && errno == EINTR)
		;
	sigaction(SIGINT, &interrupt, NULL);
	sigaction(SIGQUIT, &quit, NULL);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static char **words(const char *const *argv)
{
	return (char **)(uintptr_t)argv;
}

static uint64_t nanoseconds(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_usec * 1000;
}

static int calibrate(struct launch *l, struct rcl_record_result *res, struct rcl_error *err)
{
	struct rusage usage = {0};
	uint64_t begun = now();
	pid_t child = fork();

	if (child < 0)
		return rcl_error_set(err, -errno, "fork: %s", strerror(errno));
	if (!child) {
		int fd = open("/dev/null", O_RDWR);

		dup2(fd, STDIN_FILENO);
		dup2(fd, STDOUT_FILENO);
		execv(l->program, words(l->req->argv));
		_exit(127);
	}
	wait_for(child, &usage);
	res->native_wall_ns = now() - begun;
	/* Of the program and all it has waited for: what others do meanwhile does not matter. */
	res->native_ns = nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime);
	return 0;
}

static char *put_option(char *to, const char *name, const char *value)
{
	to = stpcpy(to, name);
	for (; *value; value++) {
		if (*value == ',')
			*to++ = ','; /* a comma that separates nothing is doubled */
		*to++ = *value;
	}
	*to = 0;
	return to;
}

static void become_emulator(struct launch *l)
{
	char *option = malloc(10 * PATH_MAX), *to = option, window[32];
	size_t argc = 0;
	const char **all;

	while (l->req->argv[argc])
		argc++;
	all = calloc(argc + 8 + 2 + 2 * RCL_SCRIPTS_MAX, sizeof(*all));
	if (!option || !all)
		_exit(125);
	to = put_option(to, "file=", l->plugin);
	to = put_option(to, ",out=", l->out);
	to = put_option(to, ",control=", l->control_path);
	to = put_option(to, ",self=", l->plugin);
	to = put_option(to, ",qemu=", l->qemu);
	snprintf(window, sizeof(window), "%llu", (unsigned long long)l->req->window);
	put_option(to, ",window=", window);
	all[0] = l->qemu;
	all[1] = "-plugin";
	all[2] = option;
	all[3] = "-0";
	rcl_program_words(&l->runs, l->program, l->req->argv, all + 5, &all[4]);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* Where the emulator lies decides where it finds room for the program. */
	personality(ADDR_NO_RANDOMIZE);
	execv(l->qemu, words(all));
	fprintf(stderr, "reclaim: %s: %s\n", l->qemu, strerror(errno));
	_exit(125);
}

static int finish(struct launch *l, struct rcl_record_result *res, struct rcl_error *err)
{
	struct rcl_control *c = l->control;
	struct stat st;
	int rc;

	if (c->error)
		return rcl_error_set(err, -c->error, "%s: %s; the trace ends there", l->req->out,
				     strerror(c->error));
	if (!c->references)
		return rcl_error_set(err, -ECHILD,
				     "%s: nothing was recorded: the emulator ended with code %d",
				     l->req->argv[0], res->status);
	rc = rcl_native_append_end(l->out, c->references, (uint32_t)res->status, err);
	if (rc)
		return rc;
	res->references = c->references;
	res->instructions = c->instructions;
	res->tasks = c->next_task;
	res->native_execs = c->native_execs;
	res->regions_lost = c->regions_lost;
	if (!stat(l->out, &st))
		res->bytes = (uint64_t)st.st_size;
	return 0;
}

static int run(struct launch *l, struct rcl_record_result *res, struct rcl_error *err)
{
	struct rusage usage = {0};
	uint64_t begun = now();
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child < 0)
		return rcl_error_set(err, -errno, "fork: %s", strerror(errno));
	if (!child)
		become_emulator(l);
	res->status = wait_for(child, &usage);
	res->wall_ns = now() - begun;
	res->cpu_ns = nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime);
	return finish(l, res, err);
}

int rcl_record(const struct rcl_record_request *req, struct rcl_record_result *res,
	       struct rcl_error *err)
{
	struct launch *l = calloc(1, sizeof(*l));
	int rc;

	*res = (struct rcl_record_result){0};
	if (!l)
		return rcl_error_set(err, -ENOMEM, "out of memory");
	l->req = req;
	l->control_fd = -1;
	rc = find_program(l, err);
	if (!rc)
		rc = find_qemu(l, err);
	if (!rc)
		rc = find_plugin(l, err);
	if (!rc && req->calibrate)
		rc = calibrate(l, res, err);
	if (!rc)
		rc = create_control(l, err);
	if (!rc)
		rc = create_trace(l, res, err);
	if (!rc)
		rc = run(l, res, err);
	if (l->control)
		munmap(l->control, sizeof(*l->control));
	if (l->control_fd >= 0)
		close(l->control_fd);
	free(l);
	return rc;
}
