# SPDX-License-Identifier: MIT
# `reclaim replay`: every page verified, by one thread and by many, against the prediction; bad input.
source "$(dirname "$0")/lib.sh"

make_traces
t=$work/small.bin
mkdir "$work/dir"
replay() { expect 0 replay "$t" --dir "$work/dir" "$@"; }

# A thread, from plenty to very little; nothing stays behind.
replay --limit 100%,50%,20%
silent
prints "real memory and files, every page verified"
[ "$(grep -c '^[ 0-9.]*[KM]  ' <<< "$out")" = 3 ] || fail "three rows expected: $out"
[ -z "$(ls -A "$work/dir")" ] || fail "files stay behind: $(ls "$work/dir")"

# What was predicted is what happens. (With more than the noise of so short a run only when the
# machine is busy: each counter of 1,000 and more is within 5% in `bench`-like runs, see docs/.)
replay --limit 50% --compare
prints "predicted for what was measured: a read "
prints "at a limit of"
prints "pgsteal_anon"
# The disk and the CPU of the run; or a device that is asked for, which is what `sim` has.
replay --limit 50% --compare --device hdd
if grep -q "what was measured" <<< "$out"; then fail "--device is what shall be predicted for"; fi
predicted=$(awk '$1 == "pgsteal_file" {print $2}' <<< "$out")
expect 0 sim "$t" --limit 50% --device hdd --csv
[ "$(awk -F, 'NR == 1 {for (i = 1; i <= NF; i++) if ($i == "pgsteal_file") c = i} NR == 2 {print $c}' <<< "$out")" = "$predicted" ] ||
	fail "the prediction for a device is not what sim says of it"

# Many threads; the pool of threads for I/O; a named swap file; a machine with less than all.
replay --limit 50%,10% --threads 2
replay --limit 50%,10% --threads 8 --no-uring
replay --limit 30% --swap "$work/dir/swap" --swap-size 32M
[ -f "$work/dir/swap" ] || fail "a named swap file is the user's, and stays"
replay --memory 24M --threads 4

# Recordings, whose address spaces change.
expect 0 replay "$here/../../data/gzip.rcl" --limit 30% --dir "$work/dir"
prints "every page verified"
expect 2 replay "$here/../../data/gzip.rcl" --threads 2
says "has threads of its own"

# Forms of output.
replay --limit 50% --json
prints '"pgmajfault"'
replay --limit 50% --csv
prints "pgmajfault"

# Bad input.
expect 2 replay
expect 1 replay "$work/nothing"
says "cannot open"
expect 2 replay "$t" --limit 12Q
says "--limit"
expect 2 replay "$t" --threads 0
says "--threads"
expect 1 replay "$t" --dir "$work/no/folder"
says "no/folder"
expect 2 replay "$t" --json --csv
expect 1 replay "$t" --limit 50% --swap "$work/no/folder/swap"
finish
