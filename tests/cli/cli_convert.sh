#!/bin/bash
# SPDX-License-Identifier: MIT
source "$(dirname "$0")/lib.sh"
make_traces
cd "$work"

# The converted trace is the same workload: the same counters.
expect 0 convert small.bin -o small.rcl
silent
expect 0 sim small.bin --limit 8M,4M
tail -n +2 <<< "$out" > a
expect 0 sim small.rcl --limit 8M,4M
tail -n +2 <<< "$out" > b
cmp -s a b || fail "a converted trace gives other counters: $(diff a b)"

# Every other format that has pages.
printf 's 401000\nl 402000\ns 401008\n' > address.txt
printf 'I  0401000,3\n L 1ffeffe7e,8\n S 1ffeffe80,8\n' > lackey.txt
printf '1\n2\n3\n2\n' > blocks.txt
printf 'lbn,size,op\n8,4096,r\n16,8192,w\n' > disk.csv
for f in address.txt lackey.txt blocks.txt disk.csv; do
	expect 0 convert $f -o x.rcl
	expect 0 info x.rcl
	prints "format       reclaim"
	expect 0 sim x.rcl --limit 10M
done
xz -k small.bin
expect 0 convert small.bin.xz -o x.rcl
"$reclaim" convert - < small.bin > y.rcl || fail "standard input and output failed"
[ "$(wc -c < y.rcl)" -gt 1000 ] || fail "nothing on standard output"

# oracleGeneral: as many requests as touches, the same footprint, and the right next access.
expect 0 convert small.rcl --to oracleGeneral -o small.og
expect 0 info small.og --format oracleGeneral
prints "accesses     32000 of 32000 pages"
[ "$(stat -c %s small.og)" = $((32000 * 24)) ] || fail "not 24 bytes a request"
expect 0 convert blocks.txt --to oraclegeneral -o blocks.og
next=$(od -A n -t d8 -j 40 -N 8 blocks.og | tr -d ' ')
[ "$next" = 3 ] || fail "the second request's object is asked for again at 3, not $next"

expect 1 convert small.rcl -o x.rcl
says "small.rcl: it is in reclaim's format already"
expect 2 convert small.bin --to nonsense
says "'reclaim' or 'oracleGeneral'"
expect 1 convert nothing -o x.rcl
says "nothing: cannot open: No such file or directory"
expect 1 convert small.bin -o /no/such/folder/x
says "No such file or directory"
expect 1 convert small.bin -o /dev/full
says "No space left on device"
expect 1 convert small.bin --to oracleGeneral -o /dev/full
says "No space left on device"
finish
