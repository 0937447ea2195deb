# SPDX-License-Identifier: MIT
# sqlite3: fill a database on disk, index it, answer 60,000 look-ups by the index. Nearly all of its
# memory is page cache, reached by pread and pwrite; making the index takes a heap.
input() {
	cat > script <<-'SQL'
		PRAGMA journal_mode = OFF;
		PRAGMA synchronous = OFF;
		PRAGMA temp_store = MEMORY;
		CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, s TEXT);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 160000)
		INSERT INTO t SELECT i, i * 7919 % 1000003, printf('%0120d', i * 104729 % 1000033) FROM n;
		CREATE INDEX by_k ON t (k);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
		SELECT sum(length(t.s)) FROM n, t WHERE t.k = (i * 15485863 % 160000 + 1) * 7919 % 1000003;
	SQL
}
binary=/usr/bin/sqlite3
arguments=(database)
environment=()
stdin=script
limits=(38M 26M 19M 13M)
