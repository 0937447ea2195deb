# SPDX-License-Identifier: MIT
# What the command-line tests share. Usage: source lib.sh; each test gets the program as $1.
set -uo pipefail
reclaim=$1
here=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
export LC_ALL=C.UTF-8

fail() {
	echo "FAIL: $*"
	failures=$((failures + 1))
}

# expect CODE ARGUMENTS...: run the program; its output is in $out, its messages in $err.
expect() {
	local code=$1 got
	shift
	"$reclaim" "$@" > "$work/out" 2> "$work/err" < /dev/null
	got=$?
	out=$(cat "$work/out")
	err=$(cat "$work/err")
	[ $got = "$code" ] || fail "reclaim $*: exit code $got, not $code; it says: $err"
}

# says TEXT / prints TEXT: the messages / the output of the last run contain it.
says() {
	[[ $err == *"$1"* ]] || fail "expected a message with '$1', got: $err"
}
prints() {
	[[ $out == *"$1"* ]] || fail "expected output with '$1', got: $(head -c 2000 <<< "$out")"
}
silent() {
	[ -z "$err" ] || fail "expected no message, got: $err"
}

# A small workload: anonymous memory, read() and mapped file.
make_traces() {
	cat > "$work/small.spec" <<- END
		seed 7
		anon 2000
		file 1500
		phase 2000
		stream 1 anon scan 1 1
		phase 30000
		stream 0.6 anon zipf 0.9 0.3
		stream 0.2 pread zipf 0.8 0.3
		stream 0.2 mmap uniform 0 0.2
	END
	"$reclaim" gen "$work/small.spec" -o "$work/small.bin" || fail "gen failed"
}

# field NAME: its number in the JSON output of a single run.
field() {
	grep -o "\"$1\": -\?[0-9.]*" <<< "$out" | head -1 | sed 's/.*: //'
}

finish() {
	[ $failures = 0 ] && echo "all passed"
	exit $((failures != 0))
}
