# SPDX-License-Identifier: MIT
# reclaim size: its answers are what `reclaim sim` says of the same limits, and always the same.
source "$(dirname "$0")/lib.sh"

make_traces
t=$work/small.bin
size() { expect 0 size "$t" "$@"; }

size
silent
for text in "small.bin: 32.0k accesses" "with memory for everything:" "Smallest limit for a slowdown of" \
	"at most 1.05x" "at most 1.2x" "at most 2x" "major faults  refaults" "swappiness 60" "no swap" \
	"swappiness 1 " "swappiness 100" "swappiness 150" "refaults of" "anonymous" "runs; limits are exact to"; do
	prints "$text"
done
[ "$(grep -c '^swappiness' <<< "$out")" = 4 ] || fail "four rows of swappiness expected"

# The same command, the same bytes, on any number of threads.
for form in "" --json; do
	size $form --jobs 1
	first=$out
	size $form --jobs 3
	[ "$out" = "$first" ] || fail "two runs differ ($form)"
done

# json EXPRESSION: of the last output.
json() { python3 -c 'import json, sys; j = json.load(sys.stdin); print('"$1"')' <<< "$out"; }

if command -v python3 > /dev/null; then
	size --json --slowdown 1.5 --slowdown 3x
	[ "$(json '[a["slowdown"] for a in j["answers"]]')" = "[1.5, 3.0]" ] || fail "--slowdown"
	ok=$(json 'all(a["slowdown_there"] <= a["slowdown"] < a["slowdown_then"]
		and a["limit"] - a["next_smaller"] == j["exact_to"] for a in j["answers"])')
	[ "$ok" = True ] || fail "answers are not exact: $(json 'j["answers"]')"
	ok=$(json 'all(p["limit"] < q["limit"] for q, p in zip(j["curve"], j["curve"][1:]))')
	[ "$ok" = True ] || fail "the curve is not sorted"
	[ "$(json '12 <= len(j["curve"]) <= 24')" = True ] || fail "$(json 'len(j["curve"])') points"
	# Regions: all that came back is somebody's
	# (but a few of the program's own stack).
	ok=$(json 'all(0 <= p["refaults"] - sum(r["at"][k]["refaults"] for r in j["regions"]) <= 4 and
		0 <= p["pgmajfault"] - sum(r["at"][k]["major_faults"] for r in j["regions"]) <= 4
		for k, a in enumerate(j["regions"][0]["at"]) for p in j["curve"] if p["limit"] == a["limit"])')
	[ "$ok" = True ] || fail "regions do not add up to the whole"
	[ "$(json 'sum(r["at"][-1]["refaults"] for r in j["regions"]) > 0')" = True ] || fail "no refaults"
	# What the footprint comes to at the end is what the trace touches.
	[ "$(json 'j["course"]["footprint"][-1] == j["trace"]["anon_pages"] + j["trace"]["file_pages"]')" = True ] ||
		fail "the course does not end with the footprint"
	# The same limit through sim: the same counters, the same slowdown.
	limit=$(json 'j["answers"][1]["limit"]')
	mine=$(json '[(p["pgmajfault"], p["pswpin"], p["pswpout"], p["run_ns"], p["slowdown"]) for p in j["curve"] if p["limit"] == '"$limit"'][0]')
	expect 0 sim "$t" --limit "$limit" --json
	theirs=$(json '(lambda r: (r["vmstat"]["pgmajfault"], r["vmstat"]["pswpin"], r["vmstat"]["pswpout"], r["time"]["run_ns"], r["time"]["slowdown"]))(j["runs"][0])')
	[ "$mine" = "$theirs" ] || fail "size says $mine, sim says $theirs"
	# Each setting's answers hold in sim too.
	size --json --slowdown 3
	for row in 'no swap=--swap 0' 'swappiness 1=--set vm.swappiness=1' 'swappiness 150=--set vm.swappiness=150'; do
		read -r limit slow <<< "$(json '[(a["limit"], a["slowdown_there"]) for s in j["settings"] if s["setting"] == "'"${row%%=*}"'" for a in s["answers"]][0]' | tr -d '(),')"
		kept=$out
		# shellcheck disable=SC2086
		expect 0 sim "$t" --limit "$limit" ${row#*=} --json
		[ "$(field slowdown)" = "$slow" ] || fail "${row%%=*} at $limit: size says $slow, sim $(field slowdown)"
		out=$kept
	done
	# Time of the program's own: the run takes as long as told, and counts for less when slowed down.
	size --json --slowdown 2 --no-settings
	before=$(json 'j["answers"][0]["limit"]')
	size --json --slowdown 2 --no-settings --run-time 20s
	[ "$(json 'abs(j["unlimited"]["run_ns"] / 20e9 - 1) < 0.001')" = True ] ||
		fail "--run-time 20s: $(json 'j["unlimited"]["run_ns"]')"
	[ "$(json 'j["answers"][0]["limit"]')" -lt "$before" ] || fail "the program's own time does not matter"
	[ "$(json 'len(j["settings"])')" = 1 ] || fail "--no-settings"
	size --json --slowdown 2 --no-settings --runs 6
	[ "$(json 'len(j["curve"])')" = 6 ] || fail "--runs 6"
fi

# Files only: swap plays no part.
cat > "$work/file.spec" <<- END
	seed 3
	file 1000
	phase 20000
	stream 1 pread zipf 0.8 0
END
"$reclaim" gen "$work/file.spec" -o "$work/file.bin"
expect 0 size "$work/file.bin"
[[ $out != *swappiness\ 150* ]] || fail "settings of swap for a program without anonymous memory"

# --report, -o, standard output.
size --no-settings --report "$work/r.html" -o "$work/text"
[ -z "$out" ] && grep -q "Smallest limit" "$work/text" || fail "-o"
grep -q '</html>' "$work/r.html" || fail "--report"
size --no-settings --report -
[[ $out == '<!DOCTYPE html>'*'</html>' ]] || fail "--report -"

# What is wrong is said.
expect 2 size
says "too few arguments"
expect 2 size "$t" --slowdown 1
says "a number above 1"
expect 2 size "$t" --slowdown often
says "often"
expect 2 size "$t" --run-time 5days
says "a time is needed"
expect 2 size "$t" --device floppy
says "unknown device 'floppy'"
expect 2 size "$t" --runs 1
says "--runs 1"
expect 1 size "$work/none"
says "$work/none"
expect 1 size "$t" --no-settings --report "$work/no/such/folder.html"
says "no/such/folder.html: No such file"
if [ -c /dev/full ]; then
	expect 1 size "$t" --no-settings --report /dev/full
	says "/dev/full: No space left"
fi
finish
