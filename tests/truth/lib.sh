# SPDX-License-Identifier: MIT
# What the scripts of this folder share.

fail() {
	echo "${0##*/}: $1" >&2
	exit 1
}

# Set what programs/NAME.sh says: input (a function that makes the input in the current directory),
# binary, arguments (paths relative to the input), environment, stdin, also (folders it needs), and
# the limits it is run under, from about the peak it has without one down to where it thrashes.
load_program() {
	stdin='' also=()
	[ -f "$here/programs/$1.sh" ] || fail "no such program: $1"
	. "$here/programs/$1.sh"
	[ -x "$binary" ] || fail "$binary is not installed"
}

libraries_of() {
	local file
	for file; do
		ldd "$file" 2> /dev/null | grep -oE '/[^ ]+' || true
	done | sort -u
}
