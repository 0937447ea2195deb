/* SPDX-License-Identifier: MIT */
/*
 * SQLite inside a memory budget smaller than its databases.
 *
 *	sqlite [--budget 32M] [--rows 400000] [--dir DIR] [--own-cache]
 *
 * A shop and an archive, two databases several times the budget together, each with a page cache of
 * its own: tables with indices are filled, queried, changed, scanned and joined, always in the same
 * way. The sums must be right at the end, and SQLite's integrity check must find nothing.
 *
 * By default all page caches live in one budget (sqlite_pcache.c) and reclaim decides whose pages
 * stay: while orders are looked up the shop has nearly all of it, and a scan of the archive takes
 * little away, since its pages are used once. --own-cache runs the same on SQLite's own cache, with
 * half of the memory for each database, as one would have to set it.
 *
 * What SQLite reads goes through the kernel's page cache as well, which may be larger than the
 * budget: look at misses rather than at seconds to see what a slow disk would make of it.
 */
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"
#include "sqlite_pcache.h"

static sqlite3 *db;
static char dir[512];

static void sql(const char *format, ...)
{
	char *text, *message = NULL;
	va_list ap;

	va_start(ap, format);
	text = sqlite3_vmprintf(format, ap);
	va_end(ap);
	if (sqlite3_exec(db, text, NULL, NULL, &message) != SQLITE_OK)
		die("%s: %s", text, message);
	sqlite3_free(text);
}

static sqlite3_stmt *prepare(const char *text)
{
	sqlite3_stmt *s;

	if (sqlite3_prepare_v2(db, text, -1, &s, NULL) != SQLITE_OK)
		die("%s: %s", text, sqlite3_errmsg(db));
	return s;
}

/* Bind numbers to a statement's parameters and run it to its end; its first number, 0 without. */
static int64_t run(sqlite3_stmt *s, int nr, ...)
{
	int64_t first = 0;
	va_list ap;
	int rc, rows = 0;

	va_start(ap, nr);
	for (int i = 1; i <= nr; i++)
		sqlite3_bind_int64(s, i, va_arg(ap, int64_t));
	va_end(ap);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		if (!rows++)
			first = sqlite3_column_int64(s, 0);
	if (rc != SQLITE_DONE)
		die("%s: %s", sqlite3_sql(s), sqlite3_errmsg(db));
	sqlite3_reset(s);
	return first;
}

static int64_t ask(const char *text)
{
	sqlite3_stmt *s = prepare(text);
	int64_t answer = run(s, 0);

	sqlite3_finalize(s);
	return answer;
}

/* One line of the table: what a phase did, and how its page cache fared. */
static void report(const char *what, uint64_t operations, double *since)
{
	static uint64_t dropped;
	int hits, misses, writes, unused;
	struct sqlite_pcache_stats stats;
	double time = seconds_now() - *since;

	sqlite_pcache_read_stats(&stats);

	sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_HIT, &hits, &unused, 1);
	sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_MISS, &misses, &unused, 1);
	sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_WRITE, &writes, &unused, 1);
	printf("%-34s %8.2f %11.0f %9d %9d %6.2f%% %9" PRIu64 " %9d\n", what, time,
	       (double)operations / time, hits, misses, 100.0 * hits / (hits + misses + 1e-9),
	       stats.dropped - dropped, writes);
	fflush(stdout);
	dropped = stats.dropped;
	*since = seconds_now();
}

static int64_t check_word(int64_t id)
{
	uint64_t x = (uint64_t)id;

	return (int64_t)(random_u64(&x) >> 1);
}

static void create(void)
{
	sql("CREATE TABLE main.customers(id INTEGER PRIMARY KEY, city INT, balance INT, name TEXT);"
	    "CREATE INDEX main.by_city ON customers(city);"
	    "CREATE TABLE main.orders(id INTEGER PRIMARY KEY, customer INT, amount INT, word INT,"
	    "  note TEXT);"
	    "CREATE INDEX main.by_customer ON orders(customer);"
	    "CREATE TABLE archive.events(id INTEGER PRIMARY KEY, day INT, amount INT, note TEXT);"
	    "CREATE INDEX archive.by_day ON events(day);");
}

static int64_t load(uint64_t rows, uint64_t *rng)
{
	sqlite3_stmt *customer = prepare("INSERT INTO customers VALUES(?1, ?2, 0, hex(?1 * ?1))");
	sqlite3_stmt *order = prepare("INSERT INTO orders VALUES(?1, ?2, ?3, ?4,"
				      " printf('%0100d', ?1))");
	uint64_t customers = rows / 10;
	int64_t total = 0;

	for (uint64_t i = 0; i < rows; i++) {
		int64_t amount = (int64_t)random_below(rng, 10000);

		if (i % 10000 == 0)
			sql("%s BEGIN", i ? "COMMIT;" : "");
		if (i < customers)
			run(customer, 2, (int64_t)i,
			    (int64_t)random_below(rng, customers / 20 + 1));
		run(order, 4, (int64_t)i, (int64_t)random_below(rng, customers), amount,
		    check_word((int64_t)i));
		total += amount;
	}
	sql("COMMIT");
	sqlite3_finalize(customer);
	sqlite3_finalize(order);
	return total;
}

static void load_archive(uint64_t rows, uint64_t *rng)
{
	sqlite3_stmt *event = prepare("INSERT INTO archive.events VALUES(?1, ?2, 1,"
				      " printf('%0150d', ?1))");

	for (uint64_t i = 0; i < rows; i++) {
		if (i % 10000 == 0)
			sql("%s BEGIN", i ? "COMMIT;" : "");
		run(event, 2, (int64_t)i, (int64_t)(i / 500 + random_below(rng, 20)));
	}
	sql("COMMIT");
	sqlite3_finalize(event);
}

static void query(uint64_t nr, uint64_t rows, uint64_t *rng)
{
	sqlite3_stmt *s = prepare("SELECT word FROM orders WHERE id = ?1");

	for (uint64_t i = 0; i < nr; i++) {
		int64_t id = (int64_t)random_skewed(rng, rows);

		if (run(s, 1, id) != check_word(id))
			die("order %" PRId64 " holds something else", id);
	}
	sqlite3_finalize(s);
}

static int64_t update(uint64_t nr, uint64_t rows, uint64_t *rng)
{
	sqlite3_stmt *order = prepare("UPDATE orders SET amount = amount + ?2 WHERE id = ?1");
	sqlite3_stmt *customer = prepare("UPDATE customers SET balance = balance + ?2"
					 " WHERE id = (SELECT customer FROM orders WHERE id = ?1)");
	int64_t total = 0;

	for (uint64_t i = 0; i < nr; i++) {
		int64_t id = (int64_t)random_skewed(rng, rows), n = (int64_t)random_below(rng, 100);

		if (i % 1000 == 0)
			sql("%s BEGIN", i ? "COMMIT;" : "");
		run(order, 2, id, n);
		run(customer, 2, id, n);
		total += n;
	}
	sql("COMMIT");
	sqlite3_finalize(order);
	sqlite3_finalize(customer);
	return total;
}

static void scan_archive(uint64_t nr, uint64_t rows, uint64_t *rng)
{
	sqlite3_stmt *s = prepare("SELECT count(note) FROM archive.events"
				  " WHERE day BETWEEN ?1 AND ?1 + 40");

	for (uint64_t i = 0; i < nr; i++)
		run(s, 1, (int64_t)random_below(rng, rows / 500 + 1));
	sqlite3_finalize(s);
}

static void join(uint64_t nr, uint64_t rows, uint64_t *rng)
{
	sqlite3_stmt *s = prepare("SELECT sum(o.amount), count(c.name) FROM customers c"
				  " JOIN orders o ON o.customer = c.id WHERE c.city = ?1");

	for (uint64_t i = 0; i < nr; i++)
		run(s, 1, (int64_t)random_below(rng, rows / 200 + 1));
	sqlite3_finalize(s);
}

static void workload(uint64_t rows)
{
	uint64_t rng = 4711;
	double t = seconds_now();
	int64_t total;

	printf("%-34s %8s %11s %9s %9s %7s %9s %9s\n", "", "seconds", "a second", "hits", "misses",
	       "hits", "dropped", "written");
	create();
	total = load(rows, &rng);
	report("insert orders, two indices", rows, &t);
	load_archive(rows, &rng);
	report("insert into the archive", rows, &t);
	query(rows, rows, &rng);
	report("look up orders, some often", rows, &t);
	total += update(rows / 4, rows, &rng);
	report("update orders and customers", rows / 4, &t);
	for (int i = 0; i < 4; i++) {
		ask("SELECT sum(length(note)) FROM archive.events");
		query(rows / 8, rows, &rng);
	}
	report("look up, full scans in between", rows / 2, &t);
	scan_archive(rows / 2000, rows, &rng);
	report("ranges of days of the archive", rows / 2000, &t);
	join(rows / 400, rows, &rng);
	report("join cities, customers, orders", rows / 400, &t);
	if (ask("SELECT sum(amount) FROM orders") != total ||
	    ask("SELECT count(*) FROM orders") != (int64_t)rows ||
	    ask("SELECT sum(amount) FROM archive.events") != (int64_t)rows)
		die("the sums are wrong");
	if (ask("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'") != 1)
		die("SQLite finds its database damaged");
	report("sums, PRAGMA integrity_check: ok", 2, &t);
}

static void remove_files(void)
{
	static const char *const names[] = {"shop.db", "archive.db"};
	static const char *const ends[] = {"", "-wal", "-shm"};
	char path[600];

	for (size_t i = 0; i < 6; i++) {
		snprintf(path, sizeof(path), "%s/%s%s", dir, names[i / 3], ends[i % 3]);
		unlink(path);
	}
	rmdir(dir);
}

int main(int argc, char **argv)
{
	uint64_t budget = 32 << 20, rows = 400000, pages;
	const char *where = getenv("TMPDIR");
	struct rcl_machine *machine;
	struct sqlite_pcache_stats stats;
	char path[600];
	struct rusage usage;
	bool own = false;
	struct stat shop, archive;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--own-cache"))
			own = true;
		else if (!strcmp(argv[i], "--budget") && i + 1 < argc)
			budget = parse_size(argv[++i]);
		else if (!strcmp(argv[i], "--rows") && i + 1 < argc)
			rows = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--dir") && i + 1 < argc)
			where = argv[++i];
		else
			die("usage: %s [--budget SIZE] [--rows N] [--dir DIR] [--own-cache]",
			    argv[0]);
	}
	if (rows < 4000)
		die("at least 4000 rows");
	snprintf(dir, sizeof(dir), "%s/reclaim-sqlite-XXXXXX", where ? where : "/var/tmp");
	if (!mkdtemp(dir))
		die("%s: cannot be made", dir);
	atexit(remove_files);

	machine = open_machine(budget, 0, "sqlite");
	if (!own)
		sqlite_pcache_use(machine, budget);
	/* Each cache may have all of the budget. SQLite's own: half of it, lest they have twice
	 * that. */
	pages = budget / RCL_PAGE_SIZE / (own ? 2 : 1);
	snprintf(path, sizeof(path), "%s/shop.db", dir);
	if (sqlite3_open(path, &db) != SQLITE_OK)
		die("%s: %s", path, sqlite3_errmsg(db));
	sql("ATTACH '%q/archive.db' AS archive", dir);
	for (int i = 0; i < 2; i++) {
		const char *schema = i ? "archive" : "main";

		sql("PRAGMA %s.page_size = 4096; PRAGMA %s.cache_size = %d;"
		    "PRAGMA %s.journal_mode = WAL; PRAGMA %s.synchronous = NORMAL",
		    schema, schema, (int)pages, schema, schema);
	}
	printf("SQLite %s, %s: %.0f MiB\n\n", sqlite3_libversion(),
	       own ? "its own page cache" : "its page caches in a budget",
	       (double)budget / (1 << 20));
	workload(rows);

	sql("PRAGMA main.wal_checkpoint(TRUNCATE); PRAGMA archive.wal_checkpoint(TRUNCATE)");
	stat(path, &shop);
	snprintf(path, sizeof(path), "%s/archive.db", dir);
	stat(path, &archive);
	getrusage(RUSAGE_SELF, &usage);
	printf("\nDatabases: %.1f and %.1f MiB. SQLite's heap besides the pages: %.1f MiB at most; "
	       "the process: %.1f MiB\n",
	       (double)shop.st_size / (1 << 20), (double)archive.st_size / (1 << 20),
	       (double)sqlite3_memory_highwater(0) / (1 << 20), (double)usage.ru_maxrss / 1024);
	if (!own) {
		sqlite_pcache_read_stats(&stats);
		printf("Page cache: %" PRIu64 " fetches; %" PRIu64
		       " unpinned pages were still there, "
		       "%" PRIu64 " were not\n",
		       stats.fetched, stats.kept, stats.dropped);
		print_stats(machine);
	}
	if (sqlite3_close(db) != SQLITE_OK || sqlite3_shutdown() != SQLITE_OK)
		die("closing: %s", sqlite3_errmsg(db));
	MUST(rcl_close(machine));
	return 0;
}
