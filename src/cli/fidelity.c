/* SPDX-License-Identifier: MIT */
/*
 * reclaim fidelity: recordings of a real kernel against runs of ours.
 *
 * A folder has specs/NAME.spec and results/NAME.POLICY[.SETTING].txt, and may have a second
 * recording of the same, results/NAME.POLICY[.SETTING].repeat.txt, whose difference from the first
 * is the kernel's own noise. For each recording the trace of its specification is generated and run
 * on a machine like the recorded one (sim/recording.c); then each counter is compared.
 */
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/pool.h"
#include "cli/settings.h"
#include "cli/table.h"
#include "sim/recording.h"
#include "sim/size.h"
#include "trace/gen.h"

static const struct cli_option options[] = {
	{0, "only", "NAME", true, "only recordings whose name contains NAME"},
	{'v', "verbose", NULL, false,
	 "all counters of both sides, not only those that are compared"},
	{0, "set", "NAME=VALUE", true, "run with another setting than the recording: what if"},
	{0, "check", NULL, false, "check content and invariants as 'reclaim sim --check' does"},
	{0, "seed", "N", false, "of the simulator's choices; default 1"},
	{'o', "output", "FILE", false, "write the report to FILE"},
	{'j', "jobs", "N", false, "runs at the same time; default: one per core"},
	{0},
};

struct workload {
	char name[64];
	struct rcl_trace_image *trace;
	struct workload *next;
};

/*
 * Some of what a run counts hangs on chance: when a flusher happens to pass, which of the few pages
 * of ZONE_DMA are free when memory first runs out. Two boots of the real kernel differ there, and
 * so do two starts of ours. We take the median of several that differ by a few pages: with a limit,
 * in what the group has charged at the start; without one, in what is free.
 */
#define ROUNDS		 7
#define ROUND_STEP_PAGES 5

struct comparison {
	char name[128]; /* NAME.POLICY[.SETTING] */
	struct rcl_recording real, repeat;
	bool has_repeat;
	const char *skipped; /* why; NULL = run */
	const struct rcl_trace_image *trace;
	struct rcl_sim_request req;
	struct rcl_sim_result res; /* of the first round */
	s64 (*values)[ROUNDS];	   /* per counter of rcl_recording_counters */
	struct rcl_error err;
	int ret;
};

struct fidelity {
	const char *dir;
	struct comparison *items;
	size_t nr;
	struct workload *workloads;
	char *known_misses; /* text of DIR/known-misses.txt, or NULL */
	unsigned int passed, compared, known;
	double worst; /* largest difference as a multiple of its bound */
	char worst_text[256];
};

/* ---- Reading the folder -------------------------------------------------------------------- */

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

static bool wanted(const struct cli_args *args, const char *name)
{
	const char *only;

	for (unsigned int i = 0; (only = cli_value_nth(args, "only", i)); i++)
		if (strstr(name, only))
			return true;
	return !cli_given(args, "only");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct comparison *)a)->name, ((const struct comparison *)b)->name);
}

static int list_recordings(struct fidelity *f, const struct cli_args *args)
{
	char path[1024];
	struct dirent *e;

	snprintf(path, sizeof(path), "%.1000s/results", f->dir);
	DIR *d = opendir(path);

	if (!d)
		return cli_error(CLI_FAILED, "%s: %s", path, strerror(errno));
	while ((e = readdir(d))) {
		struct comparison *items, *c;

		if (!ends_with(e->d_name, ".txt") || ends_with(e->d_name, ".repeat.txt") ||
		    strlen(e->d_name) >= sizeof(c->name))
			continue;
		items = realloc(f->items, (f->nr + 1) * sizeof(*items));
		if (!items) {
			closedir(d);
			return cli_error(CLI_FAILED, "out of memory");
		}
		f->items = items;
		c = &items[f->nr];
		memset(c, 0, sizeof(*c));
		snprintf(c->name, sizeof(c->name), "%.*s", (int)strlen(e->d_name) - 4, e->d_name);
		f->nr += wanted(args, c->name);
	}
	closedir(d);
	if (f->nr)
		qsort(f->items, f->nr, sizeof(*f->items), by_name);
	if (!f->nr)
		return cli_error(CLI_FAILED, "%s: no recordings (NAME.POLICY.txt)%s", path,
				 cli_given(args, "only") ? " of that name" : "");
	return 0;
}

/* The trace of a specification, generated once. */
static int workload_of(struct fidelity *f, const char *name, const struct rcl_trace_image **out)
{
	struct rcl_error err;
	char path[1024], *text;
	size_t size;
	struct workload *w;

	for (w = f->workloads; w; w = w->next) {
		if (!strcmp(w->name, name)) {
			*out = w->trace;
			return 0;
		}
	}
	w = calloc(1, sizeof(*w));
	if (!w)
		return cli_error(CLI_FAILED, "out of memory");
	w->next = f->workloads;
	f->workloads = w;
	snprintf(w->name, sizeof(w->name), "%s", name);
	snprintf(path, sizeof(path), "%.800s/specs/%.64s.spec", f->dir, name);
	if (rcl_gen_read_spec(path, &text, &size, &err))
		return cli_error(CLI_FAILED, "%s", err.text);
	int ret = rcl_gen_image(text, size, path, &w->trace, &err);

	free(text);
	if (ret)
		return cli_error(CLI_FAILED, "%s", err.text);
	*out = w->trace;
	return 0;
}

static int read_recording(struct fidelity *f, struct comparison *c)
{
	struct rcl_error err;
	char path[1024];

	snprintf(path, sizeof(path), "%.800s/results/%.100s.txt", f->dir, c->name);
	if (rcl_recording_read(path, &c->real, &err))
		return cli_error(CLI_FAILED, "%s", err.text);
	snprintf(path, sizeof(path), "%.800s/results/%.100s.repeat.txt", f->dir, c->name);
	int ret = rcl_recording_read(path, &c->repeat, &err);

	if (ret && ret != -ENOENT)
		return cli_error(CLI_FAILED, "%s", err.text);
	c->has_repeat = !ret;
	if (c->real.unknown[0])
		return cli_error(CLI_FAILED, "%s: settings that are not understood:%s", c->name,
				 c->real.unknown);
	if (c->real.lru_gen)
		c->skipped =
			"recorded with the multi-generational LRU, which does not exist here yet";
	return 0;
}

/* NULL when there is no such file, which is the rule. */
static char *read_known_misses(const char *dir)
{
	enum {
		MAX = 1 << 16
	};
	char path[1100], *text;
	size_t n;

	snprintf(path, sizeof(path), "%.1000s/known-misses.txt", dir);
	FILE *in = fopen(path, "r");

	if (!in)
		return NULL;
	text = malloc(MAX);
	if (text) {
		n = fread(text, 1, MAX - 1, in);
		text[n] = 0;
	}
	fclose(in);
	return text;
}

static int prepare(struct fidelity *f, const struct cli_args *args)
{
	u64 seed = 1;
	int ret = cli_integer(args, "seed", 0, UINT64_MAX, &seed);

	if (!ret)
		ret = list_recordings(f, args);
	if (!ret)
		f->known_misses = read_known_misses(f->dir);
	for (size_t i = 0; i < f->nr && !ret; i++) {
		struct comparison *c = &f->items[i];
		struct rcl_error err;

		ret = read_recording(f, c);
		if (ret || c->skipped)
			continue;
		ret = workload_of(f, c->real.trace, &c->trace);
		if (!ret && rcl_recording_request(&c->real, &c->req, &err))
			ret = cli_error(CLI_FAILED, "%s: %s", c->name, err.text);
		if (!ret)
			ret = cli_settings(args, &c->req.tunables);
		c->req.trace = c->trace;
		c->req.seed = seed;
		c->req.check = cli_given(args, "check");
	}
	return ret;
}

/* ---- Comparing ----------------------------------------------------------------------------- */

/* In percent of the real value; where that is small, of 1,000, so that its bound of 50 is 5%. */
static double percent(s64 diff, s64 real)
{
	return 100.0 * (double)diff / (double)max(real < 0 ? -real : real, (s64)1000);
}

/*
 * DIR/known-misses.txt lists what is known to be out of bounds, a line each: RECORDING COUNTER,
 * then why. They are reported and counted like any other, but do not make the command fail: a test
 * can then tell a new miss from an old one.
 */
static bool is_known(const struct fidelity *f, const char *recording, const char *counter)
{
	char key[256];
	const char *at = f->known_misses;
	size_t n = (size_t)snprintf(key, sizeof(key), "%s %s", recording, counter);

	while (at && (at = strstr(at, key))) {
		bool line_start = at == f->known_misses || at[-1] == '\n';

		if (line_start && (at[n] == ' ' || at[n] == '\n' || !at[n]))
			return true;
		at += n;
	}
	return false;
}

static int by_value(const void *a, const void *b)
{
	s64 x = *(const s64 *)a, y = *(const s64 *)b;

	return x < y ? -1 : x > y;
}

static void compare(struct fidelity *f, const struct comparison *c, u32 index, struct table *t)
{
	const char *counter = rcl_recording_counters[index];
	s64 real = rcl_recording_value(&c->real, counter);
	s64 ours = c->values[index][ROUNDS / 2];
	s64 bound = rcl_recording_bound(&c->real, c->has_repeat ? &c->repeat : NULL, counter);
	s64 diff = ours - real, size = diff < 0 ? -diff : diff;
	bool ok = size <= bound;
	double times = (double)size / (double)bound;

	bool known = !ok && is_known(f, c->name, counter);

	f->compared++;
	f->passed += ok;
	f->known += known;
	if (times > f->worst || !f->worst_text[0]) {
		f->worst = times;
		snprintf(f->worst_text, sizeof(f->worst_text), "%s %s %+.1f%%", c->name, counter,
			 percent(diff, real));
	}
	table_cell(t, "  %s", counter);
	table_cell(t, "%lld", (long long)real);
	table_cell(t, "%lld", (long long)ours);
	table_cell(t, "%+lld", (long long)diff);
	table_cell(t, "%+.1f%%", percent(diff, real));
	table_cell(t, "%lld", (long long)bound);
	table_cell(t, "%s", ok ? "ok" : known ? "OUT (known)" : "OUT");
}

static void print_settings(const struct comparison *c, FILE *out)
{
	char text[RCL_SIZE_TEXT];

	if (c->real.has_limit)
		fprintf(out, "limit %s", rcl_size_format(c->real.limit, text));
	else
		fprintf(out, "no limit, %s of memory", rcl_size_format(c->res.memory, text));
	fprintf(out, ", swappiness %lld, page_cluster %lld", (long long)c->real.swappiness,
		(long long)c->real.page_cluster);
	fprintf(out, "; medians of %u runs", ROUNDS);
}

static void print_list(FILE *out, const char *title, const struct rcl_recorded_list real[2],
		       const struct rcl_sim_counters *ours)
{
	struct table t;

	fprintf(out,
		"\n  %s, all counters: start and end of the recording, then ours (first run)\n",
		title);
	table_init(&t);
	table_column(&t, "  counter", true);
	table_column(&t, "start", false);
	table_column(&t, "end", false);
	table_column(&t, "ours: start", false);
	table_column(&t, "end", false);
	table_column(&t, "difference of the changes", false);
	for (size_t i = 0; i < ours->nr; i++) {
		const char *name = ours->end[i].name;
		s64 a = rcl_recorded_get(&real[0], name), b = rcl_recorded_get(&real[1], name);
		s64 x = ours->start[i].value, y = ours->end[i].value;

		if (!a && !b && !x && !y)
			continue;
		table_cell(&t, "  %s", name);
		table_cell(&t, "%lld", (long long)a);
		table_cell(&t, "%lld", (long long)b);
		table_cell(&t, "%lld", (long long)x);
		table_cell(&t, "%lld", (long long)y);
		table_cell(&t, "%+lld", (long long)((y - x) - (b - a)));
	}
	/* What only the recording has. */
	for (u32 i = 0; i < real[1].nr; i++) {
		const char *name = real[1].counter[i].name;
		bool known = false;

		for (size_t k = 0; k < ours->nr && !known; k++)
			known = !strcmp(ours->end[k].name, name);
		if (known)
			continue;
		table_cell(&t, "  %s", name);
		table_cell(&t, "%lld", (long long)rcl_recorded_get(&real[0], name));
		table_cell(&t, "%lld", (long long)real[1].counter[i].value);
		for (int k = 0; k < 3; k++)
			table_cell(&t, "-");
	}
	table_print(&t, out);
	table_free(&t);
}

static void report_one(struct fidelity *f, const struct comparison *c, bool verbose, FILE *out)
{
	char a[TEXT_MAX], b[TEXT_MAX];
	struct table t;

	fprintf(out, "%s: ", c->name);
	if (c->skipped) {
		fprintf(out, "skipped (%s)\n\n", c->skipped);
		return;
	}
	print_settings(c, out);
	fputc('\n', out);
	if (c->ret || c->res.outcome != RCL_SIM_COMPLETED) {
		/* A run that did not end has no counters: all of them are out of bounds. */
		fprintf(out, "  OUT: the run %s\n\n", c->ret ? c->err.text : c->res.detail);
		for (const char *const *n = rcl_recording_counters; *n; n++)
			f->compared++;
		f->worst = 1e9;
		snprintf(f->worst_text, sizeof(f->worst_text), "%s run +100.0%%", c->name);
		return;
	}
	table_init(&t);
	table_column(&t, "  counter", true);
	table_column(&t, "real", false);
	table_column(&t, "ours", false);
	table_column(&t, "difference", false);
	table_column(&t, "", false);
	table_column(&t, "bound", false);
	table_column(&t, "", true);
	for (u32 n = 0; rcl_recording_counters[n]; n++)
		compare(f, c, n, &t);
	table_print(&t, out);
	table_free(&t);
	fprintf(out, "  time: real %s, ours %s\n", text_time(c->real.time_ms * 1000000, a),
		text_time(c->res.run_ns, b));
	if (verbose) {
		print_list(out, "vmstat", c->real.vmstat, &c->res.vmstat);
		if (c->real.has_limit)
			print_list(out, "memory.stat", c->real.memstat, &c->res.memory_stat);
	}
	fputc('\n', out);
}

static void run_one(void *arg, size_t i)
{
	struct comparison *c = &((struct fidelity *)arg)->items[i];
	u32 nr = 0;

	if (c->skipped)
		return;
	while (rcl_recording_counters[nr])
		nr++;
	c->values = calloc(nr, sizeof(*c->values));
	for (u32 round = 0; round < ROUNDS && !c->ret; round++) {
		struct rcl_sim_request req = c->req;
		struct rcl_sim_result res;

		if (c->real.has_limit)
			req.start.kernel_pages += round;
		else
			req.start.free_pages -= round * ROUND_STEP_PAGES;
		c->ret = rcl_sim_run(&req, &res, &c->err);
		if (c->ret)
			break;
		for (u32 n = 0; n < nr; n++)
			c->values[n][round] =
				rcl_recording_run_value(&c->real, &res, rcl_recording_counters[n]);
		if (!round || res.outcome != RCL_SIM_COMPLETED) {
			if (round)
				rcl_sim_result_free(&c->res);
			c->res = res;
		} else {
			rcl_sim_result_free(&res);
		}
		if (res.outcome != RCL_SIM_COMPLETED)
			break;
	}
	for (u32 n = 0; n < nr; n++)
		qsort(c->values[n], ROUNDS, sizeof(s64), by_value);
}

static int compare_all(struct fidelity *f, const struct cli_args *args, unsigned int threads)
{
	const char *path = cli_value(args, "output");
	FILE *out;

	pool_run(threads, f->nr, run_one, f);
	out = cli_output_open(path);
	if (!out)
		return CLI_FAILED;
	for (size_t i = 0; i < f->nr; i++)
		report_one(f, &f->items[i], cli_given(args, "verbose"), out);
	fprintf(out, "fidelity: %u of %u counters within bounds; worst %s\n", f->passed,
		f->compared, f->worst_text[0] ? f->worst_text : "none");
	if (cli_output_close(out, path))
		return CLI_FAILED;
	return f->passed + f->known == f->compared ? CLI_OK : CLI_FAILED;
}

static void free_all(struct fidelity *f)
{
	for (size_t i = 0; i < f->nr; i++) {
		rcl_sim_result_free(&f->items[i].res);
		free(f->items[i].values);
	}
	free(f->items);
	free(f->known_misses);
	while (f->workloads) {
		struct workload *w = f->workloads;

		f->workloads = w->next;
		rcl_trace_image_free(w->trace);
		free(w);
	}
}

static int run(const struct cli_args *args)
{
	struct fidelity f = {.dir = args->operands[0]};
	u64 threads = 0;
	int ret = cli_integer(args, "jobs", 1, 256, &threads);

	if (!ret)
		ret = prepare(&f, args);
	if (!ret)
		ret = compare_all(&f, args, (unsigned int)threads);
	free_all(&f);
	return ret;
}

const struct cli_verb cli_fidelity = {
	.name = "fidelity",
	.operands = "DIR",
	.min_operands = 1,
	.max_operands = 1,
	.summary = "compare runs with recordings of a real kernel",
	.description =
		"Compare our counters with those of a real kernel. DIR has specs/NAME.spec and "
		"results/NAME.POLICY[.SETTING].txt; a second recording of the same as "
		"NAME.POLICY[.SETTING].repeat.txt tells the kernel's own noise.\n"
		"\n"
		"A counter of 1,000 or more may differ by 5% under a memory limit and by 15% "
		"without "
		"one, or by twice the difference of the two recordings where that is more; a "
		"smaller "
		"one by 50. The percentages of small counters are of 1,000. Exit code 1 says that "
		"a "
		"counter is out of its bounds.",
	.options = options,
	.examples = "  reclaim fidelity tests/fidelity\n"
		    "  reclaim fidelity tests/fidelity --only mixed.classic --verbose\n",
	.run = run,
};
