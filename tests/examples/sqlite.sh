#!/bin/bash
# SPDX-License-Identifier: MIT
# SQLite on page caches in a budget: a small run, right to the byte, that does not fit.
set -euo pipefail
sqlite=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "FAIL: $*"
	exit 1
}

"$sqlite" --budget 2M --rows 16000 --dir "$work" >"$work/text" || fail "$(cat "$work/text")"
cat "$work/text"
grep -q 'integrity_check: ok' "$work/text" || fail "no integrity check"
# Reclaim took pages, without writing any of them to swap, and SQLite read them again.
[ "$(sed -n 's/.*still there, \([0-9]*\) were not/\1/p' "$work/text")" -gt 1000 ] || fail "no page was dropped"
grep -q 'swapped out *0 pages' "$work/text" || fail "a cache went to swap"
rm "$work/text"
[ -z "$(ls -A "$work")" ] || fail "files are left: $(ls -A "$work")"

# With room for everything nothing is dropped.
"$sqlite" --budget 64M --rows 8000 --dir "$work" >"$work/text" || fail "$(cat "$work/text")"
grep -q 'still there, 0 were not' "$work/text" || fail "pages were dropped that had room: $(cat "$work/text")"
"$sqlite" --own-cache --budget 2M --rows 8000 --dir "$work" >"$work/text" || fail "$(cat "$work/text")"
grep -q 'integrity_check: ok' "$work/text" || fail "SQLite's own cache: no integrity check"
