#!/bin/bash
# SPDX-License-Identifier: MIT
source "$(dirname "$0")/lib.sh"
make_traces

expect 0 info "$work/small.bin"
prints "format       tracegen, compression: none"
prints "tasks        1 in 1 process"
prints "working set"
prints "anonymous"
grep -q '^ 100%' <<< "$out" || fail "the course does not go to the end: $out"
"$reclaim" convert "$work/small.bin" -o "$work/small.rcl" || fail "convert failed"
expect 0 info "$work/small.rcl"
prints "format       reclaim"
prints "made by      reclaim convert"
prints "complete     yes"
gzip -k "$work/small.rcl"
expect 0 info "$work/small.rcl.gz"
prints "compression: gzip"
"$reclaim" info - < "$work/small.rcl" > "$work/piped" || fail "standard input failed"
grep -q "format       reclaim" "$work/piped" || fail "standard input: $(cat "$work/piped")"

expect 1 info "$work/nothing"
says "nothing: cannot open: No such file or directory"
expect 2 info
says "too few arguments"
: > "$work/empty"
expect 1 info "$work/empty"
says "empty"
cp "$work/small.rcl" "$work/other"
printf '\x02' | dd of="$work/other" bs=1 seek=8 conv=notrunc status=none
expect 1 info "$work/other"
says "version 2 of the format; this program reads version 1"
cp "$work/small.rcl" "$work/bad"
printf '\xff\xff' | dd of="$work/bad" bs=1 seek=5000 conv=notrunc status=none
expect 1 info "$work/bad"
says "checksum is wrong"
head -c 40 "$work/small.rcl" > "$work/short"
expect 1 info "$work/short"
says "truncated at byte 40"
expect 1 info -o /dev/full "$work/small.rcl"
says "No space left on device"
finish
