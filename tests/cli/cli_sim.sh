# SPDX-License-Identifier: MIT
# What `reclaim sim` prints, in all its forms, and that it is always the same.
source "$(dirname "$0")/lib.sh"

make_traces
t=$work/small.bin
sim() { expect 0 sim "$t" "$@"; }

# The table: a row a limit, a sentence below.
sim --limit 200%,50%,2M
silent
prints "small.bin: 32.0k accesses"
for column in limit "major faults" refaults "swapped in" written scanned stolen stalled "run time" slowdown; do
	prints "$column"
done
[ "$(grep -c 'x  ' <<< "$out")" = 3 ] || fail "three rows expected: $out"
prints "The knee is at"
sim
[ "$(grep -c '^[ 0-9.]*M  ' <<< "$out")" = 7 ] || fail "the default sweep has seven rows: $out"

# The same command, the same bytes; another seed or number of threads changes at most what it may.
for form in "" --json --csv; do
	sim --limit 50%,30% $form --jobs 1
	first=$out
	sim --limit 50%,30% $form --jobs 2
	[ "$out" = "$first" ] || fail "two runs differ ($form)"
done
sim --limit 50% --csv
plain=$out
sim --limit 50% --csv --check
[ "$out" = "$plain" ] || fail "--check changes the counters"

# JSON: deltas under the kernel's names, and they agree with each other.
sim --limit 4M --json
for key in '"runs": [' '"limit": 4194304' '"outcome": "completed"' '"settings": {' '"vm.swappiness": 60' \
	'"vmstat": {' '"memory_stat": {' '"lists": {' '"inactive_anon":' '"time": {' '"slowdown":'; do
	prints "$key"
done
[ "$(field pgsteal_anon)" -gt 0 ] || fail "no anonymous page was reclaimed at 4M"
[ "$(field pgscan_anon)" -ge "$(field pgsteal_anon)" ] || fail "more stolen than scanned"
[ "$(field workingset_refault_anon)" -le "$(field pgsteal_anon)" ] || fail "more refaults than evictions"
[ "$(field pswpin)" -gt 0 ] || fail "nothing swapped in"
[ "$(field peak_bytes)" -le 4194304 ] || fail "the group grew beyond its limit"
[ "$(field accesses)" = 32000 ] || fail "not all accesses were done"
sim --limit 1G --json
[ "$(field pgscan_anon)" = 0 ] || fail "reclaim with memory for everything"
[ "$(field pswpout)" = 0 ] || fail "swap with memory for everything"

# Settings do something.
sim --limit 6M --json --set vm.swappiness=10
low=$(field pgsteal_anon)
sim --limit 6M --json --set vm.swappiness=200
[ "$(field pgsteal_anon)" -gt "$low" ] || fail "swappiness 200 reclaims no more anonymous memory than 10"
prints '"vm.swappiness": 200'
sim --limit 4M --json --set vm.page-cluster=0
[ "$(field swap_ra)" = 0 ] || fail "readahead of swap with page-cluster 0"
sim --limit 4M --json --device hdd
slow=$(field run_ns)
sim --limit 4M --json --device nvme
[ "$slow" -gt "$(field run_ns)" ] || fail "a disk with a moving head is as fast as nvme"

# Without a limit, kswapd works in the machine's own memory.
sim --memory 10M --json
prints '"limit": null'
[ "$(field pgsteal_kswapd)" -gt 0 ] || fail "kswapd did not reclaim"
sim --memory 10M
prints "memory  major faults"

# CSV: as many fields in each line as in the head.
sim --limit 8M,4M --csv
[ "$(awk -F, '{ print NF }' <<< "$out" | sort -u | wc -l)" = 1 ] || fail "ragged CSV"
[ "$(wc -l <<< "$out")" = 3 ] || fail "CSV: a head and two lines"

# Compressed input, standard input, output to a file.
sim --limit 50% --csv
plain=$out
gzip -k "$t"
expect 0 sim "$t.gz" --limit 50% --csv
[ "$out" = "$plain" ] || fail "gzip changes the result"
"$reclaim" sim - --limit 50% --csv < "$t" > "$work/stdin"
[ "$(cat "$work/stdin")" = "$plain" ] || fail "standard input changes the result"
sim --limit 50% --csv -o "$work/file"
[ -z "$out" ] && [ "$(cat "$work/file")" = "$plain" ] || fail "-o"

# ASCII where the terminal has no blocks.
LC_ALL=C "$reclaim" sim "$t" --limit 50% | grep -q '[^ -~]' && fail "non-ASCII output in the C locale"
finish
