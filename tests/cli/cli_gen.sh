# SPDX-License-Identifier: MIT
source "$(dirname "$0")/lib.sh"

make_traces
# A header page, 32000 records, padded to 64 KiB.
[ "$(stat -c %s "$work/small.bin")" = 196608 ] || fail "size $(stat -c %s "$work/small.bin")"
"$reclaim" gen "$work/small.spec" > "$work/again.bin"
cmp "$work/small.bin" "$work/again.bin" || fail "standard output has other bytes"
"$reclaim" gen - -o "$work/third.bin" < "$work/small.spec"
cmp "$work/small.bin" "$work/third.bin" || fail "standard input gives other bytes"

expect 1 gen "$work/none.spec" -o "$work/x.bin"
says "none.spec"
printf 'anon 10\nphase ten\n' > "$work/bad.spec"
expect 2 gen "$work/bad.spec" -o "$work/x.bin"
says "2"
[ ! -e "$work/x.bin" ] || fail "a bad specification left a file"
printf 'anon 10\nphase 10\nstream 1 anon sideways 1 1\n' > "$work/bad.spec"
expect 2 gen "$work/bad.spec" -o "$work/x.bin"
says "sideways"
expect 1 gen "$work/small.spec" -o "$work/no/such.bin"
says "such.bin"
finish
