# SPDX-License-Identifier: MIT
source "$(dirname "$0")/lib.sh"

expect 0 tunables
silent
prints "vm.swappiness "
prints "read_ahead_kb"
[ "$(wc -l <<< "$out")" -gt 25 ] || fail "too few settings"
# Each has a default, a range and a meaning.
[ "$(awk 'NR > 1 && NF < 5' <<< "$out")" = "" ] || fail "a line with too little on it"
expect 0 tunables --json
prints '"tunables": ['
prints '"name": "vm.page-cluster"'
[ "$(grep -c '"help": "..*"' <<< "$out")" = "$(grep -c '"name"' <<< "$out")" ] || fail "help missing"
expect 0 tunables vm.swappiness
prints "default 60"
prints "range 0 to 200"
expect 2 tunables vm.swapiness
says "unknown setting 'vm.swapiness'; did you mean 'vm.swappiness'?"
expect 0 tunables -o "$work/list"
[ -s "$work/list" ] || fail "-o wrote nothing"
finish
