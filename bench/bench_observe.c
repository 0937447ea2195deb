/* SPDX-License-Identifier: MIT */
/*
 * What it costs a program to be watched: by a machine without the observer thread, by one with a
 * statistics page, and by one whose metrics are asked for ten times a second besides.
 *
 *	bench_observe [-r repeats]
 *
 * Two figures: pins of pages in memory, which must not feel it, and the processor time of the
 * observer's thread. The three machines are open at a time and take turns, in short batches, so
 * that whatever else the computer does meets all of them alike; the fastest tenth of the batches
 * counts.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "reclaim/reclaim.h"

#define KINDS	    3
#define PAGES	    4096u
#define GROUPS	    8u
#define BUDGET	    (64ull << 20)
#define BATCH	    (1u << 16)
#define MAX_REPEATS 10000
#define OBSERVER    "reclaim-observe" /* the thread's name */

struct watched {
	struct rcl_machine *machine;
	struct rcl_group *groups[GROUPS];
	struct rcl_area *area;
	char observer[32]; /* its task, in /proc; "": there is none */
	double ns[MAX_REPEATS];
};

static const char *const names[KINDS] = {"unwatched", "statistics page", "and metrics asked for"};

static void check(const char *what, int err)
{
	if (!err)
		return;
	fprintf(stderr, "bench_observe: %s: %s\n", what, rcl_strerror(err));
	exit(1);
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Pin and unpin random pages; ns each. */
static double batch(struct rcl_area *area, uint64_t *seed)
{
	double start = now_ns();

	for (unsigned i = 0; i < BATCH; i++) {
		struct rcl_pin pin;

		check("pin", rcl_pin(area, next_random(seed) % PAGES, RCL_WRITE, &pin));
		*(volatile uint64_t *)pin.addr = i;
		rcl_unpin(&pin);
	}
	return (now_ns() - start) / BATCH;
}

/* The newest of this process's threads of that name. */
static void find_observer(char *task, size_t size)
{
	DIR *dir = opendir("/proc/self/task");
	long newest = 0;
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char path[300], name[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fgets(name, sizeof(name), f) && !strcmp(name, OBSERVER "\n") &&
		    atol(e->d_name) > newest)
			newest = atol(e->d_name);
		fclose(f);
	}
	if (dir)
		closedir(dir);
	snprintf(task, size, "%ld", newest);
}

/* Processor time of a thread. */
static double task_ns(const char *task)
{
	double ns = 0;
	char path[64];
	FILE *f;

	if (!*task)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", task);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%lf", &ns) != 1)
		ns = 0;
	if (f)
		fclose(f);
	return ns;
}

static void open_one(struct watched *w, unsigned kind, const char *address)
{
	struct rcl_options opt = RCL_OPTIONS_INIT;
	uint64_t seed = 1;
	char *why = NULL;

	opt.budget = BUDGET;
	opt.flags = kind ? RCL_OPEN_STATS : 0;
	opt.metrics = kind == 2 ? address : NULL;
	if (rcl_open(&opt, &w->machine, &why)) {
		fprintf(stderr, "bench_observe: %s\n", why);
		exit(1);
	}
	if (kind)
		find_observer(w->observer, sizeof(w->observer));
	for (unsigned i = 0; i < GROUPS; i++)
		check("group", rcl_group_create(w->machine, NULL, "group", &w->groups[i]));
	check("area", rcl_area_anon(w->machine, w->groups[0], PAGES, 0, &w->area));
	batch(w->area, &seed);
}

static atomic_bool stop;

static void *ask(void *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char answer[1 << 16];

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", (const char *)path);
	while (!atomic_load(&stop)) {
		static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		if (fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof(to)) &&
		    write(fd, request, sizeof(request) - 1) > 0)
			while (read(fd, answer, sizeof(answer)) > 0)
				;
		close(fd);
		usleep(100000);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double fastest_tenth(double *v, unsigned nr)
{
	qsort(v, nr, sizeof(*v), compare);
	return v[nr / 20];
}

int main(int argc, char **argv)
{
	static struct watched w[KINDS];
	uint64_t seed = 88172645463325252ull;
	char path[64], address[80];
	unsigned repeats = 1000;
	double start, seconds;
	pthread_t asking;

	if (argc == 3 && !strcmp(argv[1], "-r"))
		repeats = (unsigned)atoi(argv[2]);
	if ((argc != 1 && argc != 3) || !repeats || repeats > MAX_REPEATS) {
		fprintf(stderr, "usage: bench_observe [-r repeats]\n");
		return 2;
	}
	snprintf(path, sizeof(path), "/tmp/bench_observe.%d", (int)getpid());
	snprintf(address, sizeof(address), "unix:%s", path);
	for (unsigned k = 0; k < KINDS; k++)
		open_one(&w[k], k, address);
	check("thread", -pthread_create(&asking, NULL, ask, path));
	start = now_ns();
	for (unsigned r = 0; r < repeats; r++)
		for (unsigned k = 0; k < KINDS; k++)
			w[k].ns[r] = batch(w[k].area, &seed);
	seconds = (now_ns() - start) / 1e9;
	printf("%-24s %18s %24s\n", "", "pin+unpin, a hit", "observer, of a CPU");
	for (unsigned k = 0; k < KINDS; k++)
		printf("%-24s %15.2f ns %22.3f %%\n", names[k], fastest_tenth(w[k].ns, repeats),
		       task_ns(w[k].observer) / seconds / 1e9 * 100);
	atomic_store(&stop, true);
	pthread_join(asking, NULL);
	for (unsigned k = 0; k < KINDS; k++) {
		check("close", rcl_area_close(w[k].area));
		for (unsigned i = 0; i < GROUPS; i++)
			check("destroy", rcl_group_destroy(w[k].groups[i]));
		check("close", rcl_close(w[k].machine));
	}
	return 0;
}
