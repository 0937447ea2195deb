/* SPDX-License-Identifier: MIT */
/* reclaim top: what machines of running programs do. */
#define _GNU_SOURCE
#include "cli/top.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/table.h"

static const struct cli_option options[] = {
	{0, "once", NULL, false,
	 "print what happens within one interval, as text, instead of showing it on a screen"},
	{0, "json", NULL, false,
	 "the same as JSON: every figure, and how fast those that count grow"},
	{'i', "interval", "SECONDS", false,
	 "between updates; 0.25 to 3600. Default: 1. Programs update their figures four times a "
	 "second"},
	{0, "sort", "tree|usage|faults|refaults|reclaimed|stalled", false,
	 "order of the groups. Default: tree"},
	{'o', "output", "FILE", false, "write to FILE; '-' or nothing: standard output"},
	{0},
};

/* A machine that could be shown. */
struct machine {
	int fd;
	char id[32]; /* PROCESS-N: what its file is named after */
	struct stats_view view;
};
struct machines {
	struct machine *list;
	size_t nr;
	size_t unreadable, of_another_version;
};

static void try_file(struct machines *all, const char *folder, const char *name)
{
	char path[4096];
	struct machine m, *more;
	int err;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return;
	m.fd = rcl_stats_open(path);
	if (m.fd < 0) {
		all->unreadable += m.fd == -EACCES;
		return;
	}
	err = rcl_stats_is_alive(m.fd) ? rcl_stats_load(m.fd, &m.view) : -ESRCH;
	if (err) {
		all->of_another_version += err == -EPROTO;
		close(m.fd);
		return;
	}
	more = realloc(all->list, (all->nr + 1) * sizeof(m));
	if (!more) {
		rcl_stats_view_free(&m.view);
		close(m.fd);
		return;
	}
	snprintf(m.id, sizeof(m.id), "%s", strchr(name, '-') + 1);
	all->list = more;
	all->list[all->nr++] = m;
}

static void try_folder(struct machines *all, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir)))
		if (rcl_stats_is_name(e->d_name))
			try_file(all, folder, e->d_name);
	closedir(dir);
}

/* Root sees everybody's. */
static void try_all_users(struct machines *all)
{
	static const char users[] = "/run/user";
	const char *own = getenv("XDG_RUNTIME_DIR");
	DIR *dir = geteuid() ? NULL : opendir(users);
	struct dirent *e;
	char path[512];

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", users, e->d_name);
		if (e->d_name[0] != '.' && (!own || strcmp(own, path)))
			try_folder(all, path);
	}
	closedir(dir);
}

static int by_age(const void *a, const void *b)
{
	const struct machine *x = a, *y = b;
	u64 i = x->view.header->opened_ns, k = y->view.header->opened_ns;

	return i < k ? -1 : i > k;
}

static void find_all(struct machines *all)
{
	const char *folder;

	for (u32 i = 0; (folder = rcl_stats_folder(i)); i++)
		try_folder(all, folder);
	try_all_users(all);
	if (all->nr)
		qsort(all->list, all->nr, sizeof(*all->list), by_age);
}

static void forget(struct machines *all)
{
	for (size_t i = 0; i < all->nr; i++) {
		rcl_stats_view_free(&all->list[i].view);
		if (all->list[i].fd >= 0)
			close(all->list[i].fd);
	}
	free(all->list);
}

/* Is it what the operand names: a process, a process's N-th, or a machine's name? NULL: any. */
static bool is_meant(const struct machine *m, const char *word)
{
	char pid[16];

	if (!word)
		return true;
	snprintf(pid, sizeof(pid), "%d", (int)m->view.header->pid);
	return !strcmp(word, pid) || !strcmp(word, m->id) || !strcmp(word, m->view.header->machine);
}

/* Does its process have more than this one? */
static bool has_more(const struct machines *all, const struct machine *m)
{
	size_t nr = 0;

	for (size_t i = 0; i < all->nr; i++)
		nr += all->list[i].view.header->pid == m->view.header->pid;
	return nr > 1;
}

static void print_list(const struct machines *all, const char *word, FILE *out)
{
	char text[TEXT_MAX];
	struct table t;

	table_init(&t);
	table_column(&t, "process", false);
	table_column(&t, "name", true);
	table_column(&t, "budget", false);
	table_column(&t, "used", false);
	table_column(&t, "open for", false);
	for (size_t i = 0; i < all->nr; i++) {
		const struct stats_view *v = &all->list[i].view;
		const struct stats_header *h = v->header;

		if (!is_meant(&all->list[i], word))
			continue;
		if (has_more(all, &all->list[i]))
			table_cell(&t, "%s", all->list[i].id);
		else
			table_cell(&t, "%d", (int)h->pid);
		table_cell(&t, "%s", h->machine);
		table_cell(&t, "%s",
			   top_amount((u64)rcl_stats_value(v, NULL, "budget"), TOP_BYTES, text));
		table_cell(&t, "%s",
			   top_amount((u64)rcl_stats_value(v, NULL, "used"), TOP_BYTES, text));
		table_cell(&t, "%s", text_time(h->updated_ns - h->opened_ns, text));
	}
	table_print(&t, out);
	table_free(&t);
}

static int nothing_found(const struct machines *all, const char *word)
{
	if (word && all->nr)
		return cli_error(
			CLI_FAILED,
			"top: no machine '%s'; 'reclaim top' without it lists what there is", word);
	if (all->of_another_version)
		return cli_error(CLI_FAILED,
				 "top: %zu machines of programs with another version of "
				 "reclaim, which this one cannot read",
				 all->of_another_version);
	if (all->unreadable)
		return cli_error(
			CLI_FAILED,
			"top: %zu machines, all of other users; only they and root may see "
			"them",
			all->unreadable);
	return cli_error(CLI_FAILED, "top: no program keeps statistics; it has to open its machine "
				     "with RCL_OPEN_STATS");
}

static int interval(const struct cli_args *args, u64 *ms)
{
	const char *value = cli_value(args, "interval");
	char *end;
	double s;

	*ms = 1000;
	if (!value)
		return 0;
	s = strtod(value, &end);
	if (end == value || *end || !isfinite(s) || s < 0.25 || s > 3600)
		return cli_error(CLI_USAGE, "top: --interval %s: 0.25 to 3600 seconds are possible",
				 value);
	*ms = (u64)(s * 1000 + 0.5);
	return 0;
}

static int sort_order(const struct cli_args *args, enum top_sort *sort)
{
	const char *value = cli_value(args, "sort"), *meant;

	*sort = TOP_BY_TREE;
	if (!value)
		return 0;
	for (u32 i = 0; i < NR_TOP_SORTS; i++) {
		if (!strcmp(value, top_sort_names[i])) {
			*sort = i;
			return 0;
		}
	}
	meant = cli_nearest(value, top_sort_names);
	return cli_error(CLI_USAGE, "top: --sort %s: unknown order; did you mean '%s'?", value,
			 meant ? meant : "usage");
}

/* One interval of it, in words. */
static int print_once(struct top *t, u64 ms, const struct cli_args *args)
{
	const struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
	const char *path = cli_value(args, "output");
	int err = 0, ret = 0;
	FILE *out;

	nanosleep(&pause, NULL);
	/* The program may be a little late. */
	for (int i = 0; i < 40 && !err; i++) {
		err = top_update(t);
		if (!err)
			nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	}
	if (err < 0)
		return cli_error(CLI_FAILED, "top: the statistics cannot be read any more: %s",
				 strerror(-err));
	out = cli_output_open(path);
	if (!out)
		return CLI_FAILED;
	if (cli_given(args, "json"))
		ret = top_print_json(t, out);
	else
		top_print(t, out);
	err = cli_output_close(out, path);
	return err ? err : ret;
}

static int show(struct machine *m, u64 ms, enum top_sort sort, const struct cli_args *args)
{
	struct top t = {.fd = m->fd, .sort = sort};
	bool once = cli_given(args, "once") || cli_given(args, "json");
	int ret = top_update(&t);

	if (ret < 0)
		ret = cli_error(CLI_FAILED, "top: the statistics cannot be read: %s",
				strerror(-ret));
	else if (once)
		ret = print_once(&t, ms, args);
	else if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		ret = cli_error(CLI_FAILED, "top: there is no terminal for a screen; try --once");
	else
		ret = top_screen(&t, ms);
	top_free(&t);
	return ret;
}

static int run(const struct cli_args *args)
{
	const char *word = args->nr_operands ? args->operands[0] : NULL;
	struct machines all = {0};
	struct machine *meant = NULL;
	size_t nr = 0;
	enum top_sort sort;
	u64 ms;
	int ret = interval(args, &ms);

	if (!ret)
		ret = sort_order(args, &sort);
	if (ret)
		return ret;
	find_all(&all);
	for (size_t i = 0; i < all.nr; i++) {
		if (!is_meant(&all.list[i], word))
			continue;
		meant = &all.list[i];
		nr++;
	}
	if (nr == 1) {
		ret = show(meant, ms, sort, args);
	} else if (!nr) {
		ret = nothing_found(&all, word);
	} else if (word) {
		print_list(&all, word, stderr);
		ret = cli_error(CLI_FAILED,
				"top: %zu machines are '%s'; name one by the first column", nr,
				word);
	} else {
		print_list(&all, NULL, stdout);
		ret = cli_output_close(stdout, NULL);
	}
	forget(&all);
	return ret;
}

const struct cli_verb cli_top = {
	.name = "top",
	.operands = "[PROCESS|NAME]",
	.max_operands = 1,
	.summary = "watch the memory of running programs that use the library",
	.description =
		"Show what a machine (a budget that a program opened with libreclaim) holds and "
		"does: how much of its budget is in use and for what, faults, refaults, pages "
		"scanned "
		"and reclaimed, swap, I/O and time lost to memory, each second, and the same for "
		"its "
		"groups.\n"
		"\n"
		"Programs are seen when they open their machines with RCL_OPEN_STATS. They then "
		"keep "
		"a file in $XDG_RUNTIME_DIR or /dev/shm that only their user and root can read. "
		"Without an operand, the one machine there is is shown, or a list of them.\n"
		"\n"
		"Keys: q quits, s changes the order of the groups, up and down move through them.",
	.options = options,
	.examples = "  reclaim top\n"
		    "  reclaim top kvstore --sort refaults\n"
		    "  reclaim top 4711 --json --interval 10 | jq .per_second.refaults\n",
	.run = run,
};
