# SPDX-License-Identifier: MIT
# The shared library has every probe of the engine, and docs/observe.md tells of each.
source "$(dirname "$0")/../cli/lib.sh"
source=$(cd "$here/../.." && pwd)
library=$(dirname "$reclaim")/libreclaim.so
command -v readelf > /dev/null || exit 77
echo '#include <sys/sdt.h>' | "${CC:-cc}" -E - > /dev/null 2>&1 || { echo "no <sys/sdt.h>"; exit 77; }

grep -rhoE 'RCL_TRACE\([a-z_]+' "$source/src/mm" --include='*.c' | sed 's/.*(//' | sort -u > "$work/placed"
[ "$(wc -l < "$work/placed")" -ge 20 ] || fail "which probes are there?"
readelf -n "$library" | sed -n '/Provider: reclaim$/{n;s/.*Name: //p}' | sort -u > "$work/built"
diff "$work/placed" "$work/built" > "$work/log" ||
	fail "probes in the sources (<) and in the library (>) differ: $(cat "$work/log")"
sed -n 's/^| `\([a-z_]*\)` |.*/\1/p' "$source/docs/observe.md" | sort -u > "$work/told"
diff "$work/placed" "$work/told" > "$work/log" ||
	fail "probes in the sources (<) and in docs/observe.md (>) differ: $(cat "$work/log")"
# One nop each: none has a semaphore that somebody would have to look at.
readelf -n "$library" | grep -A2 'Provider: reclaim$' | grep -o 'Semaphore: .*' | grep -qv 'Semaphore: 0x0*$' &&
	fail "a probe has a semaphore"
finish
