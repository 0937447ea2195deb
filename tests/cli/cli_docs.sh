#!/bin/bash
# SPDX-License-Identifier: MIT
# What the documentation names exists: links, the functions of docs/functions.md, verbs and options.
set -uo pipefail
reclaim=$1
cd "$(dirname "$0")/../.." || exit 1
bad=0
bad() {
	echo "$*"
	bad=1
}

# Links to files, and to headings of them.
for page in README.md CONTRIBUTING.md docs/*.md; do
	while read -r link; do
		file=${link%%#*} heading=
		[[ $link == *'#'* ]] && heading=${link#*#}
		file=${file:+$(dirname "$page")/$file}
		file=${file:-$page}
		[ -e "$file" ] || bad "$page: $link: no such file"
		[ -z "$heading" ] && continue
		sed -n 's/^#\+ //p' "$file" | tr '[:upper:]' '[:lower:]' | sed "s/[^a-z0-9 _-]//g; s/ /-/g" |
			grep -qx -e "$heading" || bad "$page: $link: no such heading"
	done < <(grep -oE '\]\([^)]+\)' "$page" | sed 's/^](//; s/)$//' | grep -v '^[a-z]*:')
done

# The map: file.c: `function()`.
named=0
while read -r cell; do
	files=()
	for file in $(grep -oE '`[a-z_0-9/]+\.[ch]`' <<< "$cell" | tr -d '`'); do
		[ -f "src/mm/$file" ] && files+=("src/mm/$file") || files+=("src/platform/$file")
	done
	for file in "${files[@]}"; do
		[ -f "$file" ] || bad "docs/functions.md: $file: no such file"
	done
	for name in $(grep -oE '`[a-z_0-9]+\(\)`' <<< "$cell" | tr -d '`()'); do
		named=$((named + 1))
		grep -qE "^[a-z#].*\b$name\(" "${files[@]}" /dev/null ||
			bad "docs/functions.md: $name() is not in ${files[*]}"
	done
done < <(awk -F'|' '/^\| / { print $3 }' docs/functions.md)
[ "$named" -gt 150 ] || bad "docs/functions.md: only $named functions were looked for"

# `reclaim VERB ... --option` in blocks of commands.
for page in README.md docs/*.md; do
	while read -r verb rest; do
		help=$("$reclaim" "$verb" --help 2> /dev/null) || { bad "$page: reclaim $verb: no such verb"; continue; }
		for option in $(grep -oE -e '(^| )--[a-z][a-z-]*' <<< "${rest%% -- *}"); do
			grep -qE -e "(^|[ ,])$option\b" <<< "$help" || bad "$page: reclaim $verb $option: no such option"
		done
	done < <(sed -n '/^```/,/^```/p' "$page" |
		sed -nE 's/^(\$ )?(reclaim [a-z]+.*)/\2/p' | sed 's/[|#].*//; s/^reclaim //')
done
exit $bad
