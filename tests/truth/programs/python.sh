# SPDX-License-Identifier: MIT
# python3: a dict of 200,000 objects, 120,000 look-ups that favour some keys over others, and a sort
# of all objects. All of its memory is heap; reference counts make every read a write.
input() {
	cat > program.py <<-'PY'
		def numbers(x):
		    while True:
		        x = x * 16807 % 2147483647
		        yield x

		values = numbers(1)
		table = {}
		order = []
		for i in range(200000):
		    key = next(values)
		    table[key] = (key, str(key), [i])
		    order.append(key)
		total = 0
		for _ in range(120000):
		    a, b = next(values) % 200000, next(values) % 200000
		    total += table[order[a * b // 200000]][2][0]
		ranked = sorted(table.values(), key=lambda item: item[1])
		print(total, len(ranked), ranked[1000][0])
	PY
}
binary=/usr/bin/python3.11
arguments=(-S -s -B program.py)
environment=(PYTHONHASHSEED=0 LC_ALL=C.UTF-8)
also=(/usr/lib/python3.11)
limits=(79M 66M 55M 47M)
