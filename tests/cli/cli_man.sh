# SPDX-License-Identifier: MIT
# Manual pages: one for every verb, with every option of its --help; and good enough for man(1).
source "$(dirname "$0")/lib.sh"

expect 0 --docs "$work/docs"
silent
pages=$work/docs/man1
verbs=$("$reclaim" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ -n "$verbs" ] || fail "no verbs in --help"
[ -s "$pages/reclaim.1" ] || fail "no reclaim.1"
for verb in $verbs; do
	page=$pages/reclaim-$verb.1
	[ -s "$page" ] || fail "no page for $verb"
	grep -qF "reclaim\\-$verb" "$pages/reclaim.1" || fail "reclaim.1 does not mention $verb"
	expect 0 --man "$verb"
	[ "$out" = "$(cat "$page")" ] || fail "--man $verb is not the page"
	for section in NAME SYNOPSIS DESCRIPTION OPTIONS "EXIT STATUS" "SEE ALSO"; do
		grep -qx ".SH $section" "$page" || fail "$verb: no section $section"
	done
	for option in $("$reclaim" "$verb" --help | sed -n '/^Options:/,/^$/s/^ *\(-.,\)\? *--\([a-z-]*\).*/\2/p'); do
		grep -qF -- "\\-\\-${option//-/\\-}\\fR" "$page" || fail "$verb: no --$option in the page"
	done
done
grep -qF 'vm.swappiness' "$pages/reclaim-tunables.1" || fail "settings are not in reclaim-tunables.1"

# What man(1) would say.
if command -v mandoc > /dev/null; then
	mandoc -T lint -W warning "$pages"/*.1 || fail "mandoc finds fault"
	mandoc -T utf8 "$pages/reclaim-size.1" | col -bx | grep -q "the smallest limit for each slowdown" ||
		fail "reclaim-size.1 cannot be read"
	mandoc -T utf8 "$pages/reclaim-gen.1" | col -bx | grep -q "phase OPS  *a phase of OPS" ||
		fail "lines that stand for themselves do not"
fi
if command -v groff > /dev/null; then
	warnings=$(groff -man -Tutf8 -ww "$pages"/*.1 2>&1 > /dev/null)
	[ -z "$warnings" ] || fail "groff: $warnings"
fi

expect 2 --man sizee
says "did you mean 'size'"
expect 1 --docs /dev/null/docs
says /dev/null/docs
finish
