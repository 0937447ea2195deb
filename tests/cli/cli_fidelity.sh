# SPDX-License-Identifier: MIT
# Reading recordings, and what is said about them.
source "$(dirname "$0")/lib.sh"

dir=$here/../fidelity
expect 2 fidelity
expect 1 fidelity "$work/none"
says "none/results"
mkdir -p "$work/f/specs" "$work/f/results"
expect 1 fidelity "$work/f"
says "no recordings"
cp "$dir/specs/pread-loop.spec" "$work/f/specs/"
r=$work/f/results
cp "$dir/results/pread-loop.classic.txt" "$dir/results/pread-loop.mglru.txt" "$r/"

# A report a recording, and the last line in its form. Whether counters are in bounds is not asked
# here; the exit code must agree with the line.
"$reclaim" fidelity "$work/f" > "$work/out" 2> "$work/err"
code=$?
out=$(cat "$work/out")
last=$(tail -1 "$work/out")
re='^fidelity: ([0-9]+) of 21 counters within bounds; worst pread-loop.classic [a-z_]+ [+-][0-9.]+%$'
[[ $last =~ $re ]] || fail "last line: $last"
if [ "${BASH_REMATCH[1]:-}" = 21 ]; then want=0; else want=1; fi
[ $code = $want ] || fail "exit code $code with '$last'"
prints "pread-loop.mglru: skipped"
prints "pgscan_file"
prints "limit 80M"
"$reclaim" fidelity "$work/f" --jobs 1 | cmp - "$work/out" || fail "two runs differ"

# --only and --verbose.
"$reclaim" fidelity "$work/f" --only classic --verbose > "$work/out"
out=$(cat "$work/out")
prints "memory.stat, all counters"
prints "nr_free_pages"
[[ $out != *mglru* ]] || fail "--only shows others"
expect 1 fidelity "$work/f" --only nothing
says "of that name"

# A wrong figure is out of bounds.
sed 's/workingset_refault_file=2[0-9]*/workingset_refault_file=99999/' \
	"$dir/results/pread-loop.classic.txt" > "$r/pread-loop.classic.txt"
expect 1 fidelity "$work/f"
grep -q 'workingset_refault_file .*OUT' <<< "$out" || fail "a wrong figure passed"
# ... but not where the kernel itself differs by more: the repeat widens the bound.
sed 's/workingset_refault_file=2[0-9]*/workingset_refault_file=300000/' \
	"$dir/results/pread-loop.classic.txt" > "$r/pread-loop.classic.repeat.txt"
"$reclaim" fidelity "$work/f" > "$work/out"
out=$(cat "$work/out")
grep -q 'workingset_refault_file .*ok' <<< "$out" || fail "the repeat does not widen the bound"
rm "$r/pread-loop.classic.repeat.txt"

# Recordings that are none.
bad() {
	printf '%s\n' "$1" > "$r/pread-loop.classic.txt"
	expect 1 fidelity "$work/f"
	says "$2"
}
bad "" "pread-loop.classic.txt: not a whole recording"
bad "HELLO world" ":1: unknown line"
bad "SETTINGS trace=x limit=manyM" ":1: limit is not a size"
bad "SETTINGS trace" ":1: NAME=VALUE"
bad $'SETTINGS trace=x\nVMSTAT middle a=1' ":2: start or end"
bad $'SETTINGS trace=x\nVMSTAT start a=b' ":2: NAME=NUMBER"
bad $'SETTINGS trace=x\nNode 0, zone DMA min many' ":2: number of pages"
bad $'SETTINGS trace=x\nzone DMA' ":2: unknown line"
bad "EXIT 1" "program failed"
good=$(cat "$dir/results/pread-loop.classic.txt")
bad "${good/ram_mib=512/colour=red}" "colour=red"
bad "${good/trace=pread-loop/trace=nosuch}" "nosuch.spec"
bad "${good//zone DMA32/zone Magic}" "zone Magic"
bad "${good/swappiness=60/swappiness=300}" "out of its range"
finish
