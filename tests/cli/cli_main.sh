# SPDX-License-Identifier: MIT
# Help, version, verbs and options that do not exist.
source "$(dirname "$0")/lib.sh"

expect 0 --help
silent
for verb in sim gen tunables fidelity; do prints "  $verb"; done
expect 0 --version
prints "reclaim "
expect 2
says "usage: reclaim"
expect 2 simm
says "did you mean 'sim'"
expect 2 frobnicate
says "unknown verb 'frobnicate'; see 'reclaim --help'"

for verb in sim gen tunables fidelity; do
	expect 0 $verb --help
	silent
	prints "usage: reclaim $verb"
	prints "--help"
	[ "$(awk 'length > 84' <<< "$out" | grep -v '^  reclaim')" = "" ] || fail "$verb --help is wider than 84"
	expect 2 $verb --frobnicate-it
	says "unknown option '--frobnicate-it'"
	expect 2 $verb -Z
	says "unknown option '-Z'"
	expect 2 $verb a b c
	says "unexpected argument"
done
expect 2 sim
says "too few arguments"
expect 2 sim x --limt 96M
says "did you mean '--limit'"
expect 2 sim x --limit
says "--limit needs a value"
expect 2 sim x --check=yes
says "--check takes no value"
expect 2 sim x --memory 1M --memory 2M
says "--memory is given twice"
# After -- everything is an operand.
expect 1 sim -- --limit
says "--limit"
# Output that cannot be written is a failure, not silence.
if [ -w /dev/full ]; then
	"$reclaim" tunables > /dev/full 2> "$work/err" && fail "a full disk went unnoticed"
	expect 1 tunables -o /dev/full
fi
expect 1 tunables -o "$work/no/such/folder"
says "No such file"
finish
