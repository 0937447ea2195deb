# SPDX-License-Identifier: MIT
# The table of compare. Input: for each case a line "RUN PROGRAM LIMIT", one or two recordings, and
# the prediction as two lines "CSV,NAME,..." and "CSV,VALUE,...".

function take(counters, line,   field, i, n, at) {
	n = split(line, field, " ")
	for (i = 3; i <= n; i++) {
		at = index(field[i], "=")
		counters[substr(field[i], 1, at - 1)] += substr(field[i], at + 1)
	}
}
function change(counter) {
	return (after[counter] - before[counter]) / runs
}
function one(real, ours,   percent, text) {
	if (real < 1000)
		return sprintf("%9.0f %9.0f        ", real, ours)
	percent = (ours - real) * 100 / real
	compared++
	text = sprintf("%9.0f %9.0f %+6.1f%%", real, ours, percent)
	if (percent > 15 || percent < -15) {
		outside++
		return text "!"
	}
	return text " "
}
function row(   refaults) {
	if (program == "")
		return
	refaults = "workingset_refault_"
	printf "%-8s %-15s  %s %s %s\n", program, limit,
		one(change("pgmajfault"), csv["pgmajfault"]),
		one(change("pswpin"), csv["pswpin"]),
		one(change(refaults "anon") + change(refaults "file"),
		    csv[refaults "anon"] + csv[refaults "file"])
	cases++
}
BEGIN {
	printf "%-8s %-15s  %27s  %27s  %27s\n", "", "", "major faults", "swap-ins", "refaults"
	printf "%-8s %-15s ", "program", "limit"
	for (i = 0; i < 3; i++)
		printf " %9s %9s %7s ", "real", "ours", "diff"
	print ""
}
$1 == "RUN" {
	row()
	program = $2
	limit = $3
	runs = 0
	delete before
	delete after
	delete csv
	names = ""
}
$1 == "VMSTAT" && $2 == "start" { runs++; take(before, $0) }
$1 == "VMSTAT" && $2 == "end" { take(after, $0) }
$1 ~ /^CSV,/ {
	if (names == "") {
		names = $0
		next
	}
	n = split(names, name, ",")
	split($0, value, ",")
	for (i = 2; i <= n; i++)
		csv[name[i]] = value[i]
}
END {
	row()
	printf "%d cases, %d figures of 1,000 or more: %d within 15%%, %d outside\n", cases,
		compared, compared - outside, outside
}
