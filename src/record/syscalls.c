/* SPDX-License-Identifier: MIT */
/*
 * System calls, seen before and after they are made.
 *
 * Before: what will not be known afterwards (a file that is about to be closed, unlinked or cut
 * short), the ends of tasks, and exec. After: everything that depends on whether it worked.
 *
 * Exec: left to QEMU, it would start the new program without emulation. So the plugin makes the
 * call itself, before QEMU does, with the emulator as the program and the same plugin in it. What
 * the emulator cannot run (another architecture) is left to QEMU and counted.
 *
 * The kernel touches the program's buffers on its behalf; these are accesses like others.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record/plugin.h"
#include "record/program.h"
#include "record/qemu_plugin.h"

static void *guest(uint64_t address)
{
	return (void *)(uintptr_t)(address + guest_base);
}

static void event1(struct cpu *c, unsigned int event, uint64_t a)
{
	cpu_note(c, RCL_REC_EVENT, event, &a, 1);
}

static void event2(struct cpu *c, unsigned int event, uint64_t a, uint64_t b)
{
	uint64_t args[] = {a, b};

	cpu_note(c, RCL_REC_EVENT, event, args, 2);
}

static uint64_t pages_of(uint64_t bytes)
{
	return (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

static uint32_t new_task(void)
{
	uint32_t task = __atomic_fetch_add(&rec.control->next_task, 1, __ATOMIC_RELAXED);

	if (task >= RCL_NATIVE_TASKS_MAX) {
		complain("more than %u tasks", RCL_NATIVE_TASKS_MAX);
		_exit(125);
	}
	return task;
}

/* ---- Reading and writing -------------------------------------------------------------------- */

static void touch_vector(struct cpu *c, uint64_t vector, uint64_t nr, uint64_t bytes,
			 unsigned int record)
{
	const struct iovec *v = guest(vector);

	cpu_touch(c, vector, nr * sizeof(*v), RCL_REC_READ);
	for (uint64_t i = 0; i < nr && bytes; i++) {
		uint64_t n = v[i].iov_len < bytes ? v[i].iov_len : bytes;

		cpu_touch(c, (uint64_t)(uintptr_t)v[i].iov_base, n, record);
		bytes -= n;
	}
}

/* `bytes` were read or written; at `offset`, or where the descriptor's position says they ended. */
static void file_io(struct cpu *c, int fd, const uint64_t *offset, uint64_t bytes, bool write)
{
	uint32_t region = file_region(fd);
	uint64_t args[3] = {region, 0, bytes};
	off_t at;

	if (region == NO_REGION)
		return;
	if (offset) {
		args[1] = *offset;
	} else {
		at = lseek(fd, 0, SEEK_CUR);
		if (at < (off_t)bytes)
			return;
		args[1] = (uint64_t)at - bytes;
	}
	cpu_note(c, write ? RCL_REC_FILE_WRITE : RCL_REC_FILE_READ, 0, args, 3);
}

/* A position that the call reads from memory and moves on there. */
static void copy_io(struct cpu *c, int fd, uint64_t pointer, uint64_t bytes, bool write)
{
	uint64_t offset;

	if (pointer) {
		offset = *(uint64_t *)guest(pointer) - bytes;
		file_io(c, fd, &offset, bytes, write);
	} else {
		file_io(c, fd, NULL, bytes, write);
	}
}

static bool end_io(struct cpu *c, uint64_t n)
{
	const uint64_t *a = c->call.arg;
	int fd = (int)a[0];

	switch (c->call.number) {
	case SYS_read:
	case SYS_pread64:
		file_io(c, fd, c->call.number == SYS_read ? NULL : &a[3], n, false);
		cpu_touch(c, a[1], n, RCL_REC_WRITE);
		return true;
	case SYS_write:
	case SYS_pwrite64:
		cpu_touch(c, a[1], n, RCL_REC_READ);
		file_io(c, fd, c->call.number == SYS_write ? NULL : &a[3], n, true);
		return true;
	case SYS_readv:
	case SYS_preadv:
	case SYS_preadv2:
		file_io(c, fd, c->call.number == SYS_readv || (int64_t)a[3] == -1 ? NULL : &a[3], n,
			false);
		touch_vector(c, a[1], a[2], n, RCL_REC_WRITE);
		return true;
	case SYS_writev:
	case SYS_pwritev:
	case SYS_pwritev2:
		touch_vector(c, a[1], a[2], n, RCL_REC_READ);
		file_io(c, fd, c->call.number == SYS_writev || (int64_t)a[3] == -1 ? NULL : &a[3],
			n, true);
		return true;
	case SYS_sendfile:
		copy_io(c, (int)a[1], a[2], n, false);
		file_io(c, fd, NULL, n, true);
		return true;
	case SYS_copy_file_range:
	case SYS_splice:
		copy_io(c, fd, a[1], n, false);
		copy_io(c, (int)a[2], a[3], n, true);
		return true;
	case SYS_recvfrom:
	case SYS_getdents64:
		cpu_touch(c, a[1], n, RCL_REC_WRITE);
		return true;
	case SYS_sendto:
		cpu_touch(c, a[1], n, RCL_REC_READ);
		return true;
	case SYS_recvmsg:
	case SYS_sendmsg: {
		const struct msghdr *h = guest(a[1]);

		touch_vector(c, (uint64_t)(uintptr_t)h->msg_iov, h->msg_iovlen, n,
			     c->call.number == SYS_recvmsg ? RCL_REC_WRITE : RCL_REC_READ);
		return true;
	}
	case SYS_getrandom:
		cpu_touch(c, a[0], n, RCL_REC_WRITE);
		return true;
	default:
		return false;
	}
}

/* ---- Files come and go ---------------------------------------------------------------------- */

static void begin_lose_name(struct cpu *c, int dir, uint64_t path)
{
	uint64_t links = 0;
	uint32_t region =
		file_region_stat(dir, guest(path), AT_SYMLINK_NOFOLLOW, &links, NULL, false);

	if (links == 1)
		c->call.region = region;
}

static void begin_close(struct cpu *c, int fd)
{
	struct stat st;

	if (fd < 0 || fd >= FDS_MAX || rec.fds[fd] < 2)
		return;
	if (!fstat(fd, &st) && !st.st_nlink && !file_is_open(rec.fds[fd] - 2, fd))
		c->call.region = rec.fds[fd] - 2;
}

/* The process ends: files without a name end with it. */
static void close_all(struct cpu *c)
{
	for (int fd = 0; fd < FDS_MAX; fd++) {
		c->call.region = NO_REGION;
		begin_close(c, fd);
		if (c->call.region != NO_REGION)
			event1(c, RCL_EVENT_DELETE, c->call.region);
		file_forget(fd);
	}
}

static void begin_open(struct cpu *c, int dir, uint64_t path, uint64_t flags)
{
	if (flags & O_TRUNC && (flags & O_ACCMODE) != O_RDONLY)
		c->call.region = file_region_stat(dir, guest(path), 0, NULL, &c->call.bytes, true);
}

static bool begin_file(struct cpu *c)
{
	const uint64_t *a = c->call.arg;

	switch (c->call.number) {
	case SYS_open:
		begin_open(c, AT_FDCWD, a[0], a[1]);
		return true;
	case SYS_openat:
		begin_open(c, (int)a[0], a[1], a[2]);
		return true;
	case SYS_creat:
		begin_open(c, AT_FDCWD, a[0], O_TRUNC | O_WRONLY);
		return true;
	case SYS_close:
		begin_close(c, (int)a[0]);
		return true;
	case SYS_dup2:
	case SYS_dup3:
		if (a[0] != a[1])
			begin_close(c, (int)a[1]);
		return true;
	case SYS_unlink:
		begin_lose_name(c, AT_FDCWD, a[0]);
		return true;
	case SYS_unlinkat:
		begin_lose_name(c, (int)a[0], a[1]);
		return true;
	case SYS_rename:
		begin_lose_name(c, AT_FDCWD, a[1]);
		return true;
	case SYS_renameat:
	case SYS_renameat2:
		begin_lose_name(c, (int)a[2], a[3]);
		return true;
	case SYS_truncate:
		c->call.region = file_region_stat(AT_FDCWD, guest(a[0]), 0, NULL, NULL, true);
		return true;
	default:
		return false;
	}
}

static void end_open(struct cpu *c, int fd)
{
	uint32_t region;

	file_forget(fd);
	region = file_region(fd);
	if (region == NO_REGION)
		return;
	event1(c, RCL_EVENT_OPEN, region);
	if (c->call.region == region && c->call.bytes)
		event2(c, RCL_EVENT_TRUNCATE, region, 0);
}

static bool end_file(struct cpu *c, int64_t result)
{
	const uint64_t *a = c->call.arg;
	uint32_t region = c->call.region;

	switch (c->call.number) {
	case SYS_open:
	case SYS_openat:
	case SYS_creat:
		end_open(c, (int)result);
		return true;
	case SYS_close:
	case SYS_dup2:
	case SYS_dup3:
		file_forget((int)(c->call.number == SYS_close ? a[0] : a[1]));
		if (region != NO_REGION)
			event1(c, RCL_EVENT_DELETE, region);
		return true;
	case SYS_close_range:
		memset(rec.fds, 0, sizeof(rec.fds));
		return true;
	case SYS_unlink:
	case SYS_unlinkat:
	case SYS_rename:
	case SYS_renameat:
	case SYS_renameat2:
		if (region != NO_REGION && !file_is_open(region, -1))
			event1(c, RCL_EVENT_DELETE, region);
		return true;
	case SYS_truncate:
	case SYS_ftruncate:
		if (c->call.number == SYS_ftruncate)
			region = file_region((int)a[0]);
		if (region != NO_REGION)
			event2(c, RCL_EVENT_TRUNCATE, region, a[1]);
		return true;
	case SYS_fsync:
	case SYS_fdatasync:
		region = file_region((int)a[0]);
		if (region != NO_REGION)
			event1(c, RCL_EVENT_FSYNC, region);
		return true;
	case SYS_fadvise64: {
		uint64_t args[] = {file_region((int)a[0]), a[1] >> PAGE_SHIFT, pages_of(a[2]),
				   a[3]};

		if (args[0] != NO_REGION)
			cpu_note(c, RCL_REC_EVENT, RCL_EVENT_FADVISE, args, 4);
		return true;
	}
	default:
		return false;
	}
}

/* ---- Memory --------------------------------------------------------------------------------- */

static uint32_t map_flags(uint64_t prot)
{
	return (prot & PROT_READ ? RCL_MAP_READ : 0) | (prot & PROT_WRITE ? RCL_MAP_WRITE : 0) |
	       (prot & PROT_EXEC ? RCL_MAP_EXEC : 0);
}

static void end_mmap(struct cpu *c, uint64_t at)
{
	const uint64_t *a = c->call.arg;
	uint32_t region = NO_REGION, flags = map_flags(a[2]);

	if (a[3] & MAP_SHARED)
		flags |= RCL_MAP_SHARED;
	if (!(a[3] & MAP_ANONYMOUS))
		region = file_region((int)a[4]);
	if (region != NO_REGION)
		flags |= RCL_MAP_FILE;
	else if (a[3] & MAP_SHARED)
		region = RCL_NATIVE_SHARED;
	else
		region = a[3] & MAP_STACK ? RCL_NATIVE_THREAD_STACKS : RCL_NATIVE_ANON;
	layout_map(c, at >> PAGE_SHIFT, pages_of(a[1]), flags, region,
		   flags & RCL_MAP_FILE ? a[5] >> PAGE_SHIFT : 0);
}

static bool end_memory(struct cpu *c, uint64_t result)
{
	const uint64_t *a = c->call.arg;
	uint64_t page = a[0] >> PAGE_SHIFT, pages = pages_of(a[1]);

	switch (c->call.number) {
	case SYS_mmap:
		end_mmap(c, result);
		return true;
	case SYS_munmap:
		layout_unmap(c, page, pages);
		return true;
	case SYS_mremap:
		if (pages)
			layout_move(c, page, pages, result >> PAGE_SHIFT, pages_of(a[2]));
		return true;
	case SYS_brk:
		layout_brk(c, result);
		return true;
	case SYS_mprotect:
	case SYS_pkey_mprotect:
		layout_change(c, RCL_EVENT_PROTECT, page, pages, map_flags(a[2]));
		return true;
	case SYS_madvise:
		layout_change(c, RCL_EVENT_ADVISE, page, pages, a[2]);
		return true;
	case SYS_mlock:
	case SYS_mlock2:
	case SYS_munlock:
		layout_change(c, RCL_EVENT_LOCK, page, pages_of((a[0] & (PAGE_SIZE - 1)) + a[1]),
			      c->call.number != SYS_munlock);
		return true;
	default:
		return false;
	}
}

/* ---- Tasks ---------------------------------------------------------------------------------- */

static void begin_clone(struct cpu *c, uint64_t flags)
{
	c->call.child = new_task();
	if (flags & CLONE_VM && !(flags & CLONE_VFORK)) {
		c->pending_child = c->call.child;
		stream_task(c->call.child, rec.process, c->task, RCL_NATIVE_THREAD);
	} else {
		/* The child begins with an empty window, and both see which pages they still share.
		 */
		cpu_end_window(c);
	}
}

static void end_clone(struct cpu *c, int64_t result)
{
	if (!result && getpid() != rec.pid) {
		record_child(c, c->call.child, c->task);
		return;
	}
	if (result <= 0)
		return;
	if (c->pending_child) {
		event1(c, RCL_EVENT_CLONE, c->call.child);
		return;
	}
	layout_fork(c, c->call.child);
	pthread_rwlock_wrlock(&rec.layout_lock);
	if (rec.nr_children == rec.max_children) {
		rec.max_children = rec.max_children ? 2 * rec.max_children : 64;
		rec.children =
			must(realloc(rec.children, rec.max_children * sizeof(*rec.children)));
	}
	rec.children[rec.nr_children].pid = (int)result;
	rec.children[rec.nr_children++].task = c->call.child;
	pthread_rwlock_unlock(&rec.layout_lock);
}

static void end_wait(struct cpu *c, int pid)
{
	uint32_t task = UINT32_MAX;

	pthread_rwlock_wrlock(&rec.layout_lock);
	for (uint32_t i = 0; i < rec.nr_children; i++) {
		if (rec.children[i].pid == pid) {
			task = rec.children[i].task;
			rec.children[i] = rec.children[--rec.nr_children];
			break;
		}
	}
	pthread_rwlock_unlock(&rec.layout_lock);
	if (task != UINT32_MAX)
		event1(c, RCL_EVENT_WAIT, task);
}

static bool end_task(struct cpu *c, int64_t result)
{
	const uint64_t *a = c->call.arg;

	switch (c->call.number) {
	case SYS_clone:
	case SYS_fork:
	case SYS_vfork:
		end_clone(c, result);
		return true;
	case SYS_wait4: {
		const int *status = a[1] ? guest(a[1]) : NULL;

		if (result > 0 && !(status && (WIFSTOPPED(*status) || WIFCONTINUED(*status))))
			end_wait(c, (int)result);
		return true;
	}
	case SYS_waitid: {
		const siginfo_t *info = a[2] ? guest(a[2]) : NULL;

		if (!result && info &&
		    (info->si_code == CLD_EXITED || info->si_code == CLD_KILLED ||
		     info->si_code == CLD_DUMPED))
			end_wait(c, info->si_pid);
		return true;
	}
	default:
		return false;
	}
}

/* ---- Exec ----------------------------------------------------------------------------------- */

static char *put_option(char *to, const char *name, const char *value)
{
	*to++ = ',';
	to = stpcpy(to, name);
	*to++ = '=';
	for (; *value; value++) {
		if (*value == ',')
			*to++ = ','; /* a comma that separates nothing is doubled */
		*to++ = *value;
	}
	*to = 0;
	return to;
}

static char *plugin_option(uint32_t task)
{
	char *text = must(malloc(6 * sizeof(rec.out_path)));
	char *to = stpcpy(text, "file"), number[32];

	to = put_option(text, "file", rec.plugin_path);
	memmove(text, text + 1, strlen(text)); /* no comma in front */
	to--;
	to = put_option(to, "out", rec.out_path);
	to = put_option(to, "control", rec.control_path);
	to = put_option(to, "self", rec.plugin_path);
	to = put_option(to, "qemu", rec.qemu_path);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)rec.window_size);
	to = put_option(to, "window", number);
	snprintf(number, sizeof(number), "%u", task);
	to = put_option(to, "task", number);
	snprintf(number, sizeof(number), "%u", rec.process);
	to = put_option(to, "process", number);
	snprintf(number, sizeof(number), "%u", rec.seq);
	put_option(to, "seq", number);
	return text;
}

static void exec_program(struct cpu *c, const char *path, const char *const *argv,
			 char *const *envp)
{
	struct rcl_program *p = must(calloc(1, sizeof(*p)));
	unsigned int argc = 0;
	const char **args;

	if (rcl_program_find(p, path)) {
		if (p->machine)
			__atomic_fetch_add(&rec.control->native_execs, 1, __ATOMIC_RELAXED);
		free(p);
		return;
	}
	while (argv && argv[argc])
		argc++;
	args = must(calloc(argc + 8 + 2 + 2 * RCL_SCRIPTS_MAX, sizeof(*args)));
	layout_exec(c);
	args[0] = rec.qemu_path;
	args[1] = "-plugin";
	args[2] = plugin_option(c->task);
	args[3] = "-0";
	rcl_program_words(p, path, argv, args + 5, &args[4]);
	close_all(c);
	record_stop();
	execve(rec.qemu_path, (char **)(uintptr_t)args, envp);
	complain("%s: %s", rec.qemu_path, strerror(errno));
	_exit(126);
}

static void begin_exec(struct cpu *c)
{
	const uint64_t *a = c->call.arg;

	if (c->call.number == SYS_execve) {
		if (a[0])
			exec_program(c, guest(a[0]), guest(a[1]), guest(a[2]));
	} else if (a[1]) {
		const char *path = guest(a[1]);
		char by_fd[64];

		if (!*path && a[4] & AT_EMPTY_PATH) {
			snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", (int)a[0]);
			path = by_fd;
		}
		if (*path == '/' || (int)a[0] == AT_FDCWD)
			exec_program(c, path, guest(a[2]), guest(a[3]));
	}
}

/* ---- All of them ---------------------------------------------------------------------------- */

static bool ends_programs(uint64_t signal)
{
	return signal == SIGABRT || signal == SIGKILL || signal == SIGTERM || signal == SIGINT ||
	       signal == SIGQUIT || signal == SIGSEGV || signal == SIGBUS;
}

static void write_out(struct cpu *c)
{
	cpu_end_window(c);
	pthread_mutex_lock(&c->lock);
	stream_flush(c);
	pthread_mutex_unlock(&c->lock);
}

void call_begin(struct cpu *c)
{
	const uint64_t *a = c->call.arg;

	if (begin_file(c))
		return;
	switch (c->call.number) {
	case SYS_clone:
		begin_clone(c, a[0]);
		break;
	case SYS_fork:
	case SYS_vfork:
		begin_clone(c, 0);
		break;
	case SYS_execve:
	case SYS_execveat:
		begin_exec(c);
		break;
	case SYS_exit:
		event1(c, RCL_EVENT_EXIT, a[0] & 255);
		write_out(c);
		__atomic_fetch_add(&rec.control->ended, 1, __ATOMIC_RELAXED);
		break;
	case SYS_exit_group:
		close_all(c);
		event1(c, RCL_EVENT_EXIT, a[0] & 255);
		__atomic_fetch_add(&rec.control->ended, 1, __ATOMIC_RELAXED);
		record_stop();
		break;
	case SYS_kill:
	case SYS_tkill:
		if (ends_programs(a[1]))
			write_out(c);
		break;
	case SYS_tgkill:
		if (ends_programs(a[2]))
			write_out(c);
		break;
	default:
		break;
	}
}

void call_end(struct cpu *c, int64_t result)
{
	if (result < 0 && result > -4096)
		return;
	if (result > 0 && end_io(c, (uint64_t)result))
		return;
	if (!end_file(c, result) && !end_memory(c, (uint64_t)result))
		end_task(c, result);
}
