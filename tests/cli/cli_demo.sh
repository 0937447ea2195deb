# SPDX-License-Identifier: MIT
# The shipped trace of a real program is whole, and shows what `make demo` says it shows.
source "$(dirname "$0")/lib.sh"

t=$here/../../demo/sqlite.trace.xz
expect 0 sim "$t" --limit 100%,50%,20% --set sim.access_ns=78
silent
prints "3.23M accesses to 40.1M"
prints "The knee is at"

# faults VARIABLE LIMIT: major faults of a run.
faults() {
	expect 0 sim "$t" --limit "$2" --set sim.access_ns=78 --json
	printf -v "$1" %s "$(field pgmajfault)"
}
faults all 100%
faults half 50%
faults fifth 20%
[ "$all" = 0 ] || fail "with memory for everything there are $all major faults"
[ "$half" -gt 1000 ] || fail "at half of it only $half"
# Something that the program uses all the time no longer fits.
[ "$fifth" -gt $((half * 10)) ] || fail "at a fifth $fifth, not ten times the $half at half"

# sim.access_ns is the program's own time for each access.
expect 0 sim "$t" --limit 100% --json
short=$(field run_ns)
expect 0 sim "$t" --limit 100% --set sim.access_ns=78 --json
long=$(field run_ns)
extra=$((3231707 * 76)) # a memory access is 2 ns
[ $((long - short)) -ge $extra ] && [ $((long - short)) -lt $((extra + extra / 20)) ] ||
	fail "sim.access_ns=78 makes $((long - short)) ns, $extra expected"
finish
