/* SPDX-License-Identifier: MIT */
/*
 * watched_program NAME [NR [METRICS]]: a program to be watched by the tests of `reclaim top`. Opens
 * NR machines of that name (default 1), each with two groups and an area larger than the budget,
 * says "ready", and goes round the area of the first, slowly, until its standard input ends.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reclaim/reclaim.h"

#define PAGES 2048u

static void must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "%s: %s\n", what, rcl_strerror(err));
	exit(1);
}

struct machine {
	struct rcl_machine *machine;
	struct rcl_group *outer, *inner;
	struct rcl_area *area;
};

static void open_one(struct machine *m, const char *name, const char *metrics)
{
	struct rcl_options o = RCL_OPTIONS_INIT;
	char *why = NULL;
	int err;

	o.budget = 8 << 20;
	o.swap_size = 64 << 20;
	o.flags = RCL_OPEN_STATS;
	o.name = name;
	o.metrics = metrics;
	err = rcl_open(&o, &m->machine, &why);
	if (err)
		fprintf(stderr, "%s\n", why ? why : "?");
	must(err, "rcl_open");
	must(rcl_group_create(m->machine, NULL, "outer", &m->outer), "rcl_group_create");
	must(rcl_group_create(m->machine, m->outer, "inner", &m->inner), "rcl_group_create");
	must(rcl_group_set_max(m->inner, 4 << 20), "rcl_group_set_max");
	must(rcl_area_anon(m->machine, m->inner, PAGES, 0, &m->area), "rcl_area_anon");
}

static void go_round(struct machine *m, unsigned *page)
{
	for (unsigned i = 0; i < 64; i++) {
		struct rcl_pin pin;

		must(rcl_pin(m->area, *page, RCL_WRITE, &pin), "rcl_pin");
		memset(pin.addr, (int)*page, 64);
		rcl_unpin(&pin);
		*page = (*page + 1) % PAGES;
	}
}

int main(int argc, char **argv)
{
	size_t nr = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	struct machine *machines = calloc(nr, sizeof(*machines));
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	unsigned page = 0;
	char c;

	alarm(300);
	for (size_t i = 0; i < nr; i++)
		open_one(&machines[i], argv[1], argc > 3 ? argv[3] : NULL);
	puts("ready");
	fflush(stdout);
	for (;;) {
		go_round(&machines[0], &page);
		if (poll(&in, 1, 20) > 0 && read(STDIN_FILENO, &c, 1) <= 0)
			break;
	}
	for (size_t i = 0; i < nr; i++) {
		must(rcl_area_close(machines[i].area), "rcl_area_close");
		must(rcl_group_destroy(machines[i].inner), "rcl_group_destroy");
		must(rcl_group_destroy(machines[i].outer), "rcl_group_destroy");
		must(rcl_close(machines[i].machine), "rcl_close");
	}
	free(machines);
	return 0;
}
