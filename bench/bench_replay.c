/* SPDX-License-Identifier: MIT */
/*
 * How many accesses a second a replay gets through, on one core.
 *
 *	bench_replay [-r repeats] [-n accesses] [workload]...
 *
 * The accesses are zipf(1.0) over a million pages, in an order that is the same each time. Each
 * workload is generated into memory, then replayed `repeats` times; the median counts. What is
 * measured is the thread's CPU time between the first and the last progress report, so neither
 * opening the machine nor generating the trace counts, and a shared machine disturbs less.
 *
 * A cache simulator to compare with may be named by RECLAIM_BENCH_PEER: a command that gets the
 * path of a trace (tracegen's format) and a number of pages as arguments and prints lines of
 * "NAME ACCESSES_PER_SECOND MISS_RATIO". Its runs alternate with ours. Without it, a `cachesim` on
 * PATH is used: its CPU time is that of the whole process, reading a trace of 20-byte records
 * included.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mm/types.h"
#include "sim/driver.h"
#include "trace/gen.h"

#define MAX_REPEATS 31
#define MAX_PEERS   8

struct workload {
	const char *name, *help;
	const char *kind;
	u64 limit_pages; /* 0: everything the program touches fits */
	bool warm;	 /* touch every page once first; that is not measured */
	bool peer;	 /* compare: every access is one that a cache sees */
};

#define PAGES 1000000ull

static const struct workload workloads[] = {
	{"pread", "read() of a file, room for 100k pages", "pread", 100000, false, true},
	{"mmap", "loads from a mapped file, room for 100k pages", "mmap", 100000, false, false},
	{"anon", "stores to anonymous memory, room for 100k pages", "anon", 100000, false, false},
	{"pread-1%", "read() of a file, 1% misses", "pread", 927000, true, false},
	{"mmap-1%", "loads from a mapped file, 1% misses", "mmap", 927000, true, false},
	{"anon-1%", "stores to anonymous memory, 1% misses", "anon", 927000, true, false},
	{"pread-hit", "read() of a file, no misses", "pread", 0, true, false},
	{"anon-hit", "stores to anonymous memory, no misses", "anon", 0, true, false},
};

/* zipf(1.0) over PAGES pages, all of them touched once before if the workload is to be warm. */
static void write_spec(const struct workload *w, u64 accesses, char *spec, size_t size)
{
	bool anon = !strcmp(w->kind, "anon");
	char warm[128] = "";

	if (w->warm)
		snprintf(warm, sizeof(warm), "phase %llu\nstream 1 %s scan 1 %d\n", PAGES, w->kind,
			 anon);
	snprintf(spec, size, "seed 1\n%s %llu\n%sphase %llu\nstream 1 %s zipf 1.0 %d\n",
		 anon ? "anon" : "file", PAGES, warm, (unsigned long long)accesses, w->kind, anon);
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, u32 n)
{
	qsort(v, n, sizeof(*v), compare);
	return n & 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void die(const char *what, const char *text)
{
	fprintf(stderr, "bench_replay: %s: %s\n", what, text);
	exit(1);
}

/* ---- Ours ---------------------------------------------------------------------------------- */

struct meter {
	u64 skip, first, last;
	double first_s, last_s;
};

static bool progress(void *arg, u64 done, u64 all)
{
	struct meter *mt = arg;

	mt->last = done;
	mt->last_s = cpu_seconds();
	(void)all;
	if (!mt->first && done >= mt->skip) {
		mt->first = done;
		mt->first_s = mt->last_s;
	}
	return true;
}

struct rates {
	double rate, miss; /* accesses per second, share of accesses */
};

static struct rates run_ours(const struct rcl_trace_image *trace, const struct workload *w)
{
	struct meter mt = {.skip = w->warm ? PAGES : 0};
	struct rcl_sim_request req;
	struct rcl_sim_result res;
	struct rcl_error err;
	struct rates r;
	s64 misses;

	rcl_sim_request_init(&req, trace);
	req.readahead = RCL_SIM_READAHEAD_OFF;
	req.swap = rcl_sim_auto_swap(trace);
	if (w->limit_pages)
		req.limit = w->limit_pages * PAGE_SIZE;
	req.progress.report = progress;
	req.progress.arg = &mt;
	if (rcl_sim_run(&req, &res, &err))
		die(w->name, err.text);
	if (res.outcome != RCL_SIM_COMPLETED)
		die(w->name, res.detail);
	misses = rcl_sim_delta(&res.vmstat, "pgpgin") / (s64)(PAGE_SIZE / 1024);
	if (w->warm && strcmp(w->kind, "anon"))
		misses -= (s64)PAGES;
	r.rate = (double)(mt.last - mt.first) / (mt.last_s - mt.first_s);
	r.miss = (double)misses / (double)(res.accesses - mt.skip);
	rcl_sim_result_free(&res);
	return r;
}

/* ---- The peer ------------------------------------------------------------------------------ */

struct peer {
	char name[48];
	double rate[MAX_REPEATS], miss;
	u32 nr;
};

static struct peer *peer_named(struct peer *peers, const char *name)
{
	for (u32 i = 0; i < MAX_PEERS; i++) {
		if (!peers[i].nr)
			snprintf(peers[i].name, sizeof(peers[i].name), "%.*s",
				 (int)sizeof(peers[i].name) - 1, name);
		if (!strcmp(peers[i].name, name))
			return &peers[i];
	}
	return NULL;
}

static void note_peer(struct peer *peers, const char *name, double rate, double miss)
{
	struct peer *p = peer_named(peers, name);

	if (!p || p->nr == MAX_REPEATS)
		return;
	p->rate[p->nr++] = rate;
	p->miss = miss;
}

static void run_command(const char *cmd, const char *trace, u64 pages, struct peer *peers)
{
	char line[512], name[48];
	double rate, miss;
	FILE *f;

	snprintf(line, sizeof(line), "%s %s %llu", cmd, trace, (unsigned long long)pages);
	f = popen(line, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%47s %lf %lf", name, &rate, &miss) == 3)
			note_peer(peers, name, rate, miss);
	if (f)
		pclose(f);
}

static double children_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_CHILDREN, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static void run_cachesim(const char *trace, const struct rcl_trace_image *image, u64 pages,
			 struct peer *peers)
{
	static const char *const policies[] = {"clock", "lru"};

	for (u32 i = 0; i < ARRAY_SIZE(policies); i++) {
		double begun = children_seconds(), miss = 0;
		char line[512], *at;
		FILE *f;

		snprintf(line, sizeof(line),
			 "cachesim %s oracleGeneralBin %s %llu --ignore-obj-size 1 2>&1", trace,
			 policies[i], (unsigned long long)pages);
		f = popen(line, "r");
		if (!f)
			return;
		while (fgets(line, sizeof(line), f)) {
			at = strstr(line, "miss ratio ");
			if (at)
				miss = strtod(at + 11, NULL);
		}
		if (pclose(f))
			return;
		snprintf(line, sizeof(line), "cachesim/%s", policies[i]);
		note_peer(peers, line, (double)image->count / (children_seconds() - begun), miss);
	}
}

static bool on_path(const char *program)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "command -v %s >/dev/null 2>&1", program);
	return !system(cmd);
}

/* The accesses as a file a peer can read: tracegen's records, or libCacheSim's oracleGeneral. */
static void write_trace(FILE *f, const struct rcl_trace_image *image, bool oracle)
{
	u64 header[512] = {image->count, 0, image->summary.footprint_pages};

	if (!oracle)
		fwrite(header, sizeof(header), 1, f);
	for (u64 i = 0; i < image->count; i++) {
		u64 page = rcl_word_page(image->words[i]);

		if (oracle) {
			struct __attribute__((packed)) {
				u32 time;
				u64 id;
				u32 size;
				s64 next;
			} rec = {(u32)(i / 1000000), page, 1, -1};

			fwrite(&rec, sizeof(rec), 1, f);
		} else {
			u32 rec = (u32)page | 1u << 30;

			fwrite(&rec, sizeof(rec), 1, f);
		}
	}
}

/* ---- One workload -------------------------------------------------------------------------- */

static void show(const char *name, double rate, double miss, double base)
{
	printf("  %-22s %8.2f M/s  %6.1f ns  misses %5.2f%%", name, rate / 1e6, 1e9 / rate,
	       miss * 100);
	if (base > 0)
		printf("  reclaim: %.2fx", base / rate);
	printf("\n");
}

static void bench(const struct workload *w, u64 accesses, u32 repeats)
{
	const char *cmd = getenv("RECLAIM_BENCH_PEER");
	bool use_peer = w->peer && ((cmd && *cmd) || on_path("cachesim"));
	double rates[MAX_REPEATS], ours;
	struct peer peers[MAX_PEERS] = {0};
	char spec[256], path[] = "/tmp/bench_replay.XXXXXX";
	struct rcl_trace_image *image;
	struct rcl_error err;
	struct rates r = {0};

	write_spec(w, accesses, spec, sizeof(spec));
	if (rcl_gen_image(spec, strlen(spec), w->name, &image, &err))
		die(w->name, err.text);
	if (use_peer) {
		int fd = mkstemp(path);
		FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

		if (!f)
			die(path, "cannot be written");
		write_trace(f, image, !(cmd && *cmd));
		if (fclose(f))
			die(path, "cannot be written");
	}
	printf("%s: %s\n", w->name, w->help);
	for (u32 i = 0; i < repeats; i++) {
		r = run_ours(image, w);
		rates[i] = r.rate;
		if (use_peer && cmd && *cmd)
			run_command(cmd, path, w->limit_pages, peers);
		else if (use_peer)
			run_cachesim(path, image, w->limit_pages, peers);
	}
	ours = median(rates, repeats);
	show("reclaim", ours, r.miss, 0);
	for (u32 i = 0; i < MAX_PEERS && peers[i].nr; i++)
		show(peers[i].name, median(peers[i].rate, peers[i].nr), peers[i].miss, ours);
	if (use_peer)
		unlink(path);
	rcl_trace_image_free(image);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	u64 accesses = 20000000;
	u32 repeats = 3;
	int opt;

	while ((opt = getopt(argc, argv, "r:n:")) != -1) {
		if (opt == 'r')
			repeats = (u32)strtoul(optarg, NULL, 0);
		else if (opt == 'n')
			accesses = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	if (!repeats || repeats > MAX_REPEATS || !accesses)
		return 2;
	printf("%llu accesses, medians of %u runs\n", (unsigned long long)accesses, repeats);
	for (u32 i = 0; i < ARRAY_SIZE(workloads); i++) {
		bool wanted = optind == argc;

		for (int a = optind; a < argc; a++)
			wanted |= !strcmp(argv[a], workloads[i].name);
		if (wanted)
			bench(&workloads[i], accesses, repeats);
	}
	return 0;
}
