#!/bin/bash
# SPDX-License-Identifier: MIT
# reclaim record, on small programs compiled here.
source "$(dirname "$0")/lib.sh"

command -v qemu-x86_64 > /dev/null && command -v cc > /dev/null || exit 77
[ "$(uname -m)" = x86_64 ] || exit 77

cat > "$work/program.c" << 'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MIB = 1 << 20 };
static volatile int caught;

static void fill(char *p, size_t n)
{
	for (size_t i = 0; i < n; i += 64)
		((volatile char *)p)[i] = 1;
}
static void *thread(void *arg)
{
	char *p = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	fill(p, 4 * MIB);
	munmap(p, 4 * MIB);
	return arg;
}
static void on_signal(int number)
{
	caught += number == SIGUSR1;
}
int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	char *p = malloc(8 * MIB), name[] = "file", buf[65536];

	if (!strcmp(what, "heap")) {
		fill(p, 8 * MIB);
	} else if (!strcmp(what, "threads")) {
		pthread_t t[3];

		for (int i = 0; i < 3; i++)
			pthread_create(&t[i], NULL, thread, NULL);
		for (int i = 0; i < 3; i++)
			pthread_join(t[i], NULL);
	} else if (!strcmp(what, "fork")) {
		fill(p, 8 * MIB);
		for (int i = 0; i < 2; i++) {
			if (fork())
				continue;
			fill(p, 4 * MIB);
			_exit(0);
		}
		while (wait(NULL) > 0)
			;
	} else if (!strcmp(what, "exec")) {
		if (!fork()) {
			execl(argv[0], argv[0], "heap", NULL);
			_exit(1);
		}
		wait(NULL);
		if (system("exit 7") >> 8 != 7)
			return 1;
	} else if (!strcmp(what, "map")) {
		for (int i = 0; i < 4; i++) {
			p = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			fill(p, 8 * MIB);
			p = mremap(p, 8 * MIB, 16 * MIB, MREMAP_MAYMOVE);
			fill(p + 8 * MIB, 8 * MIB);
			if (p[8 * MIB - 64] != 1)
				return 1;
			munmap(p, 16 * MIB);
		}
	} else if (!strcmp(what, "signals")) {
		signal(SIGUSR1, on_signal);
		for (int i = 0; i < 100; i++)
			raise(SIGUSR1);
		return caught == 100 ? 0 : 1;
	} else if (!strcmp(what, "file")) {
		int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

		memset(buf, 1, sizeof(buf));
		for (int i = 0; i < 64; i++)
			if (write(fd, buf, sizeof(buf)) != sizeof(buf))
				return 1;
		lseek(fd, 0, SEEK_SET);
		while (read(fd, buf, sizeof(buf)) > 0)
			;
		p = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		fill(p, 4 * MIB);
		close(fd);
		unlink(name);
	} else if (!strcmp(what, "private")) {
		int fd = open(name, O_RDONLY);

		p = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		fill(p, 2 * MIB);
	} else if (!strcmp(what, "closes")) {
		for (int fd = 3; fd < 1024; fd++)
			close(fd);
		fill(p, 8 * MIB);
	} else if (!strcmp(what, "abort")) {
		fill(p, 8 * MIB);
		abort();
	} else if (!strcmp(what, "forever")) {
		for (;;)
			fill(p, 8 * MIB);
	}
	return 0;
}
END
cc -O1 -o "$work/dynamic" "$work/program.c" -pthread || exit 77
cc -O1 -static -o "$work/static" "$work/program.c" -pthread 2> /dev/null || rm -f "$work/static"
cd "$work"

record() {
	expect 0 record -q -o "$1.rcl" -- "$work/$2" "${@:3}"
	expect 0 info --all "$1.rcl"
}
region_mb() {
	awk -v name="$1" '$NF == name || index($0, name) { v = $2; if ($3 == "kB") v /= 1024; if ($3 == "GB") v *= 1024; print int(v + 0.5); exit }' \
		<<< "$(sed -n '/ region$/,/^$/p' <<< "$out" | tail -n +2)"
}

for kind in dynamic static; do
	[ -x "$kind" ] || continue
	record heap $kind heap
	prints "complete     yes; the program ended with code 0"
	prints "tasks        1 in 1 process"
	[ "$(region_mb '[anon]')" = 8 ] || fail "$kind: the heap is not 8 MB: $out"
	expect 0 sim heap.rcl --limit 200%,50% --json
done

record again dynamic heap
record heap dynamic heap
cmp -s heap.rcl again.rcl || fail "two recordings of one program differ"

record threads dynamic threads
prints "tasks        4 in 1 process"
[ "$(region_mb '[anon]')" -ge 4 ] || fail "the threads' memory is missing: $out"
expect 0 sim threads.rcl --limit 200%,60%

record fork dynamic fork
prints "tasks        3 in 3 processes"
expect 0 sim fork.rcl --limit 300%,80%

record exec dynamic exec
prints "tasks        3 in 3 processes"
prints "dash"
[ "$(region_mb '[anon]')" = 8 ] || fail "the program that was executed is missing: $out"
expect 0 sim exec.rcl --limit 300%

record map dynamic map
[ "$(region_mb '[anon]')" = 16 ] || fail "at most 16 MB are mapped at a time: $out"
expect 0 sim map.rcl --limit 200%,50%

record signals dynamic signals
prints "ended with code 0"

record file dynamic file
[ "$(region_mb "$work/file")" = 4 ] || fail "the file is not 4 MB: $out"
expect 0 sim file.rcl --limit 300%,50%

head -c 2097152 /dev/zero > file
record private dynamic private
[ "$(region_mb '[anon]')" -lt 2 ] || fail "private pages of a file are not anonymous regions: $out"
expect 0 sim private.rcl --limit 300%

record closes dynamic closes
prints "complete     yes"
[ "$(region_mb '[anon]')" = 8 ] || fail "what came after the descriptors were closed is missing"

expect 0 record -o abort.rcl -- "$work/dynamic" abort
says "ended with code 134"
expect 0 info abort.rcl
[ "$(region_mb '[anon]')" = 8 ] || fail "what came before the abort is missing: $out"

# A recording that is killed is readable.
timeout -s KILL 3 "$reclaim" record -q -o killed.rcl -- "$work/dynamic" forever > /dev/null 2>&1
expect 0 info killed.rcl
prints "complete     no"
prints "[anon]"
expect 0 sim killed.rcl --limit 200%
head -c $(($(stat -c %s killed.rcl) - 7)) killed.rcl > cut.rcl
expect 0 info cut.rcl
prints "are missing"

# A script; and options of the program are its own.
printf '#!/bin/sh -e\nexit 0\n' > script
chmod +x script
expect 0 record -q -o script.rcl ./script --window
expect 0 info script.rcl
prints "command      ./script --window"

# What cannot be done is said.
expect 1 record -o x.rcl -- no-such-program
says "no-such-program: program not found in \$PATH"
expect 1 record -o x.rcl -- ./no-such-program
says "program not found"
echo text > text
chmod +x text
expect 1 record -o x.rcl -- ./text
says "neither an ELF program nor a script"
chmod -x text
expect 1 record -o x.rcl -- ./text
says "Permission denied"
cp "$work/dynamic" other
printf '\xb7' | dd of=other bs=1 seek=18 conv=notrunc status=none
expect 1 record -o x.rcl -- ./other
says "not an x86-64 program (ELF machine 183, 64 bits)"
expect 1 record --qemu /no/qemu -o x.rcl -- true
says "apt-get install qemu-user"
RECLAIM_PLUGIN=/no/plugin expect 1 record -o x.rcl -- true
says "/no/plugin"
expect 1 record -o /dev/full -- true
says "No space left on device"
expect 1 record -o /no/such/folder/x -- true
says "/no/such/folder/x: No such file or directory"
expect 2 record -o x.rcl
says "too few arguments"
expect 2 record --window 0 -- true
says "--window 0"

# The disk fills up while the program runs.
if mkdir small 2> /dev/null && mount -t tmpfs -o size=16k none small 2> /dev/null; then
	expect 1 record -q --window 100 -o small/x.rcl -- "$work/dynamic" heap
	says "No space left on device"
	umount small
fi
finish
