#!/bin/bash
# SPDX-License-Identifier: MIT
# The sort of examples/: budgets from far below to above the size of the input, odd sizes, damage.
set -euo pipefail
sort=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export TMPDIR=$work

fail() {
	echo "FAIL: $*"
	exit 1
}

"$sort" --generate 60000 in
[ "$(stat -c %s in)" = 6000000 ] || fail "60000 records are 6000000 bytes"
for budget in 1M 3M 16M; do
	"$sort" in out --budget $budget >text
	"$sort" --check in out --budget 1M >/dev/null || fail "sorted with $budget"
	LC_ALL=C sort in | cmp - out || fail "other than sort(1), with $budget"
done
# With three times the input nothing has to leave; with a sixth, most of it.
grep -q 'swapped out *0 pages' text || fail "16M is enough: $(cat text)"
"$sort" in out --budget 1M >text
! grep -q 'swapped out *0 pages' text || fail "1M is not enough: $(cat text)"

for n in 0 1 40 41; do
	"$sort" --generate $n few
	"$sort" few out --budget 1M >/dev/null
	"$sort" --check few out >/dev/null || fail "$n records"
done

# The check is one: it finds a wrong byte, a missing record, a wrong order.
"$sort" in out >/dev/null
printf 'x' | dd of=out bs=1 seek=3000050 conv=notrunc status=none
! "$sort" --check in out >/dev/null 2>&1 || fail "a changed byte goes unnoticed"
head -c 5999900 in >less
! "$sort" --check in less >/dev/null 2>&1 || fail "a missing record goes unnoticed"
! "$sort" --check in in >/dev/null 2>&1 || fail "a wrong order goes unnoticed"
head -c 150 in >odd
! "$sort" odd out 2>text || fail "half a record"
grep -q 'odd: not a whole number of records' text || fail "half a record: $(cat text)"
! "$sort" nothing out 2>text || fail "no such file"
grep -q 'nothing: No such file' text || fail "no such file: $(cat text)"
