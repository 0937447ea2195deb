# SPDX-License-Identifier: MIT
# Bad input of every kind to `reclaim sim`.
source "$(dirname "$0")/lib.sh"

make_traces
t=$work/small.bin

# Sizes.
for bad in 96X "" -5M 1.2.3M abc 96M,,64M 99999999999T nan%; do
	expect 2 sim "$t" --limit "$bad"
	says "--limit"
done
expect 2 sim "$t" --limit 96X
says "'96X'"
expect 2 sim "$t" --memory lots
says "--memory: 'lots' is not a size"
expect 2 sim "$t" --memory 0
expect 2 sim "$t" --memory 4K
says "at least 1M"
expect 2 sim "$t" --swap 1Q
says "--swap"

# Settings.
expect 2 sim "$t" --set vm.swapiness=10
says "unknown setting 'vm.swapiness'; did you mean 'vm.swappiness'?"
expect 2 sim "$t" --set vm.swappiness=201
says "201 is not in 0..200"
for bad in vm.swappiness vm.swappiness= vm.swappiness=x vm.swappiness=1.5 =5 ""; do
	expect 2 sim "$t" --set "$bad"
	says "--set"
done
expect 2 sim "$t" --set vm.swappiness=99999999999999999999

# Devices and the rest.
expect 2 sim "$t" --device nvmee
says "did you mean 'nvme'"
expect 2 sim "$t" --swap-device floppy
says "unknown device 'floppy'"
expect 2 sim "$t" --costs imaginary
says "imaginary"
expect 2 sim "$t" --seed x
expect 2 sim "$t" --seed -1
expect 2 sim "$t" --cpus 0
expect 2 sim "$t" --cpus 65
expect 2 sim "$t" --readahead maybe
expect 2 sim "$t" --jobs 0
expect 2 sim "$t" --json --csv

# Traces: not there, a folder, empty, nonsense, cut short, corrupt.
expect 1 sim "$work/none.bin"
says "none.bin"
expect 1 sim "$work"
: > "$work/empty"
expect 1 sim "$work/empty"
says "empty"
head -c 5000 /dev/zero | tr '\0' '\377' > "$work/junk"
expect 1 sim "$work/junk"
head -c 100000 "$t" > "$work/cut.bin"
expect 1 sim "$work/cut.bin"
grep -q '[0-9]' <<< "$err" || fail "no offset in: $err"
cp "$t" "$work/corrupt.bin"
printf '\377\377\377\017' | dd of="$work/corrupt.bin" bs=1 seek=50000 conv=notrunc status=none
expect 1 sim "$work/corrupt.bin"
says "50000"
gzip -c "$t" | head -c 20000 > "$work/cut.gz"
expect 1 sim "$work/cut.gz"
expect 1 sim "$t" --format nosuchformat
says "nosuchformat"

# Too little memory: an OOM kill is reported, the other limits still run, exit code 3.
expect 3 sim "$t" --swap 0 --limit 100M,2M,64K
prints "OOM kill at access"
prints "killed"
grep -q '^ *100M .*1.00x' <<< "$out" || fail "the run that fits is missing: $out"
expect 3 sim "$t" --swap 0 --limit 2M --json
prints '"outcome": "oom"'
[ "$(field access)" -gt 1 ] || fail "access number"
[ "$(field oom_kill)" = 1 ] || fail "oom_kill counts $(field oom_kill)"
expect 3 sim "$t" --limit 0
prints "OOM kill at access 1"
expect 3 sim "$t" --memory 4M --swap 0
prints "OOM kill at access"
expect 1 sim "$t" --limit 8M -o "$work/no/such/file"
finish
