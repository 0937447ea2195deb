# SPDX-License-Identifier: MIT
# The comparison with real programs: its arithmetic, and that the recordings are what it expects.
. "$(dirname "$0")/../cli/lib.sh"

# A sum of two runs is halved; 15% is the bound; small figures are not judged.
table=$(awk -f "$here/compare.awk" <<'END'
RUN thing 64M
VMSTAT start pgmajfault=10 pswpin=5
VMSTAT end pgmajfault=1010 pswpin=2005 workingset_refault_anon=900
VMSTAT start pgmajfault=0 pswpin=0
VMSTAT end pgmajfault=1200 pswpin=2000 workingset_refault_anon=900
CSV,limit,pgmajfault,pswpin,workingset_refault_anon,workingset_refault_file
CSV,67108864,1200,2400,7,8
RUN thing unlimited
VMSTAT start pgmajfault=10
VMSTAT end pgmajfault=20
CSV,limit,pgmajfault,pswpin,workingset_refault_anon,workingset_refault_file
CSV,,3,0,0,0
END
)
has() { [[ $(tr -s ' ' <<< "$table") == *"$1"* ]] || fail "no '$1' in:"$'\n'"$table"; }
has "thing 64M 1100 1200 +9.1% 2000 2400 +20.0%! 900 15"
has "thing unlimited 10 3 0 0 0 0"
has "2 cases, 2 figures of 1,000 or more: 1 within 15%, 1 outside"

# Each program has a recording without a limit and under each of its limits; each ran to its end.
for program in "$here"/programs/*.sh; do
	name=$(basename "$program" .sh)
	(
		. "$program"
		[ ${#limits[@]} -ge 4 ] || exit 1
		for limit in unlimited "${limits[@]}"; do
			grep -qx 'EXIT 0' "$here/results/$name.$limit.txt" || exit 1
		done
	) || fail "$name: a recording is missing, or its program failed"
done
for recording in "$here"/results/*.txt; do
	for line in SETTINGS GUEST 'VMSTAT start' 'VMSTAT end' 'MEMSTAT end' TIME; do
		grep -q "^$line " "$recording" || fail "$recording: no line $line"
	done
done
finish
