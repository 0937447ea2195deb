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

# Medians of several runs, with the least and the greatest; what is marked follows from these.
replay --limit 50%,20% --repeat 3 --compare
prints "medians of 3 runs"
prints "of all runs"
[ "$(grep -c '^[ 0-9.]*[KM]  ' <<< "$out")" = 2 ] || fail "a row for each limit expected: $out"
bad=$(awk '
	/^counter / {rows = 1; next}
	/^(all|[0-9]+) .*counters of 1000 or more/ {
		said = ($1 == "all" ? 0 : $1)
		said_in = match($0, /; [0-9]+ are off within/) ? substr($0, RSTART + 2) + 0 : 0
		if (said != out || said_in != between)
			print "said " said " and " said_in ", marked " out " and " between
		rows = out = between = 0
		nr_tables++
	}
	rows {
		split($4, ends, "[.][.]")
		lo = ends[1]; hi = ends[2]; mark = $6
		if ($3 < lo || $3 > hi || lo > hi) print "median: " $0
		off = ($2 >= 1000 || $3 >= 1000) && ($2 == 0 || ($3 - $2) / $2 > 0.05 || ($2 - $3) / $2 > 0.05)
		want = !off ? "" : $2 >= lo && $2 <= hi ? "~" : "!"
		if (mark == "(few)") mark = ""
		if (mark != want) print "mark: " $0
		out += want == "!"; between += want == "~"
	}
	END {if (nr_tables != 2) print nr_tables + 0 " verdicts"}' <<< "$out")
[ -z "$bad" ] || fail "$bad"
replay --limit 50% --repeat 2 --csv
[ "$(wc -l <<< "$out")" = 2 ] || fail "one row for two runs expected: $out"
replay --limit 50% --repeat 3 --json
if command -v python3 > /dev/null; then
	python3 - "$work/out" << 'END' || fail "minimum, median, maximum of the runs"
import json, sys
run = json.load(open(sys.argv[1]))["runs"][0]
assert run["repeat"] == 3, run["repeat"]
for what in ("vmstat", "memory_stat"):
    assert run[what].keys() == run["min"][what].keys() == run["max"][what].keys()
    for name, v in run[what].items():
        assert run["min"][what][name] <= v <= run["max"][what][name], (what, name)
for name, v in run["min"]["time"].items():
    assert v <= run["time"][name] <= run["max"]["time"][name], name
assert run["min"]["time"]["run_ns"] < run["max"]["time"]["run_ns"], "three runs, not one"
assert run["vmstat"]["pgsteal_anon"] > 0
END
fi
replay --limit 50% --json
if grep -q '"min"' <<< "$out"; then fail "one run has no spread"; fi
# (Runs that are killed: each is.)
expect 3 replay "$t" --limit 50% --swap-size 0 --repeat 2
prints "2 of 2 runs: OOM kill"

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
for n in 0 100 three -1 ''; do
	expect 2 replay "$t" --repeat "$n"
	says "--repeat"
done
expect 1 replay "$t" --dir "$work/no/folder"
says "no/folder"
expect 2 replay "$t" --json --csv
expect 1 replay "$t" --limit 50% --swap "$work/no/folder/swap"
says "no/folder/swap: No such file"
# A disk that is full, or a limit on files: it is not the machine that has no room.
(trap '' XFSZ && ulimit -f 2048 && exec "$reclaim" replay "$t" --swap-size 1M --dir "$work/dir") \
	> "$work/out" 2>&1 && fail "a file larger than files may be"
grep -q "a file of 6000 KiB in $work/dir: File too large" "$work/out" || fail "$(cat "$work/out")"
# on_disk SIZE CODE TEXT ARGUMENTS...: as expect, prints; on a disk of that size, if one can be made.
on_disk() {
	local size=$1 code=$2 text=$3 got
	shift 3
	unshare -rm sh -c 'mount -t tmpfs -o size=$1 none "$2" || exit 77
		shift 2; exec "$@"' - "$size" "$work/dir" "$reclaim" replay "$t" --dir "$work/dir" "$@" \
		> "$work/out" 2>&1
	got=$?
	if [ $got = 77 ]; then
		echo "a disk of $size: skipped, cannot mount one"
	elif [ $got != "$code" ] || ! grep -q "$text" "$work/out"; then
		fail "a disk of $size: exit code $got; it says: $(cat "$work/out")"
	fi
}
if unshare -rm true 2> /dev/null; then
	on_disk 3M 1 "a file of 6000 KiB in $work/dir: No space left" --limit 50%
	on_disk 6500K 3 "swap on $work/dir failed [1-9]" --limit 30%
else
	echo "a full disk: skipped, no namespaces"
fi
[ -z "$(ls -A "$work/dir")" ] || [ "$(ls "$work/dir")" = swap ] || fail "files stay behind"
finish
