#!/bin/bash
# SPDX-License-Identifier: MIT
source "$(dirname "$0")/lib.sh"
cd "$work"

cat > with.strace << 'END'
1234  execve("/usr/bin/app", ["app"], 0x7ffd /* 20 vars */) = 0
1234  openat(AT_FDCWD, "in.txt", O_RDONLY) = 3</data/in.txt>
1234  read(3</data/in.txt>, "a \"quoted\" (text), with = 5\n"..., 8192) = 8192
1234  read(3</data/in.txt>, "", 8192) = 4096
1234  pread64(3</data/in.txt>, "x"..., 4096, 40960) = 4096
1234  lseek(3</data/in.txt>, 0, SEEK_SET) = 0
1234  openat(AT_FDCWD, "out", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 4</data/out>
1234  clone(child_stack=NULL, flags=SIGCHLD) = 1240
1234  write(4</data/out>, "y"..., 12288 <unfinished ...>
1240  read(3</data/in.txt>, "z"..., 4096) = 4096
1234  <... write resumed>) = 12288
1234  write(1<pipe:[77]>, "hello", 5) = 5
1234  read(9, 0x1, 5) = -1 EBADF (Bad file descriptor)
1234  --- SIGCHLD {si_signo=SIGCHLD} ---
1234  fsync(4</data/out>) = 0
1234  close(4</data/out>) = 0
1234  +++ exited with 0 +++
END
expect 0 import strace with.strace -o with.rcl
silent
expect 0 info with.rcl
prints "made by      reclaim import strace"
prints "tasks        2 in 2 processes"
prints "/data/in.txt"
prints "accesses     5 of 8 pages: 62.5% read, 37.5% write"
expect 0 sim with.rcl --limit 10M

# Without paths, in the form strace has for a terminal, with times.
cat > without.strace << 'END'
12:00:00.1 openat(AT_FDCWD, "/data/in.txt", O_RDONLY) = 3
12:00:00.2 read(3, "a", 4096) = 4096
12:00:00.3 dup2(3, 7) = 7
12:00:00.4 read(7, "b", 4096) = 4096
[pid    55] 12:00:00.5 pwrite64(5, "b", 4096, 0) = 4096
12:00:00.6 close(3) = 0
12:00:00.7 read(3, "b", 4096) = 4096
END
expect 0 import strace without.strace -o without.rcl
expect 0 info without.rcl
prints "accesses     2 of 2 pages"
"$reclaim" import strace - < with.strace > piped.rcl || fail "standard input failed"
cmp -s <("$reclaim" info piped.rcl | grep -v "^command\|^chunks" | tail -n +2) <("$reclaim" info with.rcl | grep -v "^command\|^chunks" | tail -n +2) ||
	fail "standard input makes another trace"

cat > faults.txt << 'END'
  100/100  page-faults:  7f12a4c0b000 main
  100/101  page-faults:      55d0c0ffe010 [unknown]
  100/101  page-faults:      55d0c0fff010 [unknown]
sort 200 [001] 12.3: exceptions:page_fault_user: address=0x7f12a4c0b000 ip=0x1 error_code=0x6
END
expect 0 import perf-script faults.txt -o faults.rcl
expect 0 info faults.rcl
prints "tasks        3 in 2 processes"
prints "accesses     4 of 4 pages: 75.0% read, 25.0% write"
expect 0 sim faults.rcl --limit 10M

echo "nothing of use" > text
expect 1 import strace text -o x.rcl
says "text: no read or write of a file is in it"
expect 1 import perf-script text -o x.rcl
says "text: no page fault with an address is in it"
expect 1 import strace nothing -o x.rcl
says "nothing: cannot open: No such file or directory"
expect 2 import other text
says "'strace' or 'perf-script'"
expect 2 import strace
says "too few arguments"
expect 1 import strace with.strace -o /dev/full
says "No space left on device"
finish
