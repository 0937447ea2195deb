#!/bin/bash
# SPDX-License-Identifier: MIT
# The key-value store of examples/: it checks every value itself.
set -euo pipefail
kv=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "FAIL: $*"
	exit 1
}

for threads in "0 1" "1 1" "4 4"; do
	read -r readers writers <<<"$threads"
	"$kv" "$work/file" --keys 32K --budget 1M --ops 4K --readers "$readers" --writers "$writers" \
		>"$work/text" || fail "$threads: $(cat "$work/text")"
	grep -q 'every key once, in its last version' "$work/text" || fail "$threads: not verified"
done
cat "$work/text"
! grep -q 'reclaimed 0$' "$work/text" || fail "it fits"
! grep -q 'without a pin: 0.0%' "$work/text" || fail "no optimistic read succeeded"
! "$kv" "$work/no/file" 2>/dev/null || fail "no such folder"
