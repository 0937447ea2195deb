# SPDX-License-Identifier: MIT
# sort: 31 MB of lines, in memory. Reads a file once, has a heap that it writes once and then reads
# in the order of the values, and writes a file.
input() {
	awk 'BEGIN {
		for (x = i = 1; i <= 500000; i++) {
			line = ""
			for (j = 0; j < 6; j++) {
				x = x * 16807 % 2147483647
				line = line sprintf("%010d", x)
			}
			print line
		}
	}' > lines
}
binary=/usr/bin/sort
arguments=(-S 256M --parallel=1 -T . -o sorted lines)
environment=(LC_ALL=C)
limits=(113M 79M 56M 48M 39M 33M)
