-- What the demo's trace is of: a database in memory is filled, gets two indexes, and answers a
-- query. Numbers are scattered by arithmetic, so that every run does the same.

-- Sort for the indexes in memory, too.
PRAGMA cache_size = -200000;

CREATE TABLE orders(id INTEGER PRIMARY KEY, customer TEXT, price INTEGER);

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 130000)
INSERT INTO orders
SELECT i, printf('%016x%016x%016x%016x%016x', i * 2654435761 % 4294967291,
	i * 40503 % 65521, i * 7368787 % 1000003, i * i % 999983, i),
       (i * i * 7919 + i * 104729) % 1000003 FROM n;

CREATE INDEX orders_customer ON orders(customer);
CREATE INDEX orders_price ON orders(price);

SELECT count(*) FROM orders WHERE price < 100000 AND customer LIKE '%ab%';
