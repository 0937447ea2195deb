/* SPDX-License-Identifier: MIT */
/* Recordings: the shipped ones parse and become requests; bounds; text that is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/recording.h"

static struct rcl_recording *parse(const char *text)
{
	struct rcl_recording *rec = malloc(sizeof(*rec));
	struct rcl_error err = {""};

	if (rcl_recording_parse("text", text, strlen(text), rec, &err))
		fail_msg("%s", err.text);
	return rec;
}

static const char example[] =
	"SETTINGS trace=mixed ram_mib=512 limit=96M swappiness=10 page_cluster=0\n"
	"GUEST kernel=6.1.0-56-amd64 limit=96M lru_gen=0x0000 swappiness=10 page_cluster=0\n"
	"Node 0, zone DMA min 22 low 27 high 32 managed 3840 Node 0, zone DMA32 min 656 low 820 "
	"high 984 managed 112750 Node 0, zone Normal min 0 low 0 high 0 managed 0 \n"
	"VMSTAT start nr_free_pages=107233 nr_inactive_anon=994 nr_active_anon=419 pswpin=10\n"
	"MEMSTAT start anon=135168 file=12288 kernel=61440 unevictable=69632\n"
	"VMSTAT end pswpin=2010 pgmajfault=300\n"
	"MEMSTAT end inactive_anon=40960\n"
	"TIME ms=17892 ops=274576 sink=19\n"
	"EXIT 0\n";

static void what_a_recording_says(void **state)
{
	struct rcl_recording *rec = parse(example);
	struct rcl_sim_request req;
	struct rcl_error err = {""};

	(void)state;
	assert_string_equal(rec->trace, "mixed");
	assert_true(rec->has_limit);
	assert_int_equal(rec->limit, 96 << 20);
	assert_int_equal(rec->lru_gen, 0);
	assert_int_equal(rec->swappiness, 10);
	assert_int_equal(rec->time_ms, 17892);
	assert_int_equal(rec->nr_zones, 3);
	assert_string_equal(rec->unknown, "");
	assert_int_equal(rcl_recording_value(rec, "pswpin"), 2000);
	assert_int_equal(rcl_recording_value(rec, "pswpout"), 0);
	assert_int_equal(rcl_recording_value(rec, "inactive_anon"), 10);

	assert_int_equal(rcl_recording_request(rec, &req, &err), 0);
	assert_int_equal(req.limit, 96 << 20);
	assert_int_equal(req.nr_nodes, 1);
	assert_int_equal(req.nodes[0].managed[ZONE_DMA], 3840);
	assert_int_equal(req.nodes[0].managed[ZONE_DMA32], 112750);
	assert_int_equal(req.tunables.swappiness, 10);
	assert_int_equal(req.tunables.page_cluster, 0);
	/* The one value that gives the zones 22 and 656 pages. */
	u64 pages = (u64)req.tunables.min_free_kbytes / 4;

	assert_int_equal(pages * 3840 / 116590, 22);
	assert_int_equal(pages * 112750 / 116590, 656);
	assert_int_equal(req.start.locked_pages, 17);
	assert_int_equal(req.start.anon_pages, 16);
	assert_int_equal(req.start.file_pages, 3);
	assert_int_equal(req.start.kernel_pages, 15);
	assert_int_equal(req.start.free_pages, 107233);
	free(rec);
}

static void bounds_are_the_kernels_noise_or_a_share(void **state)
{
	struct rcl_recording *a = parse(example), *b = parse(example), *global;

	(void)state;
	assert_int_equal(rcl_recording_bound(a, NULL, "pswpin"), 100); /* 5% of 2000 */
	assert_int_equal(rcl_recording_bound(a, b, "pswpin"), 100);    /* no noise */
	assert_int_equal(rcl_recording_bound(a, b, "pgmajfault"), 50); /* small */
	b->vmstat[1].counter[0].value = 2310;
	assert_int_equal(rcl_recording_bound(a, b, "pswpin"), 600); /* twice the noise */
	b->vmstat[1].counter[1].value = 900;
	assert_int_equal(rcl_recording_bound(a, b, "pgmajfault"), 50);
	global = parse(example);
	global->has_limit = false;
	assert_int_equal(rcl_recording_bound(global, NULL, "pswpin"), 300); /* 15% */
	free(a);
	free(b);
	free(global);
}

static void all_shipped_recordings_are_good(void **state)
{
	DIR *d = opendir(RCL_TESTS_DIR "/fidelity/results");
	struct rcl_recording *rec = malloc(sizeof(*rec));
	unsigned int nr = 0;
	struct dirent *e;

	(void)state;
	assert_non_null(d);
	while ((e = readdir(d))) {
		struct rcl_sim_request req;
		struct rcl_error err = {""};
		char path[1024];

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), RCL_TESTS_DIR "/fidelity/results/%.200s", e->d_name);
		if (rcl_recording_read(path, rec, &err) || rcl_recording_request(rec, &req, &err))
			fail_msg("%s: %s", e->d_name, err.text);
		assert_string_equal(rec->unknown, "");
		assert_true(req.tunables.min_free_kbytes > 0);
		assert_memory_equal(rec->trace, e->d_name, strlen(rec->trace));
		assert_int_equal(strstr(e->d_name, ".mglru") != NULL, rec->lru_gen != 0);
		nr++;
	}
	closedir(d);
	free(rec);
	assert_true(nr >= 36);
}

/* Cut and damaged text never does worse than be refused. */
static void damage_is_survived(void **state)
{
	struct rcl_recording *rec = malloc(sizeof(*rec));
	uint64_t x = 88172645463325252ull;
	char text[sizeof(example)];

	(void)state;
	for (size_t n = 0; n < sizeof(example); n++) {
		char *copy = malloc(n ? n : 1); /* so that reading past the end is seen */

		memcpy(copy, example, n);
		rcl_recording_parse("cut", copy, n, rec, NULL);
		free(copy);
	}
	for (int i = 0; i < 20000; i++) {
		memcpy(text, example, sizeof(example));
		for (int k = 0; k < 4; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			text[x % (sizeof(text) - 1)] = (char)(x >> 32);
		}
		struct rcl_sim_request req;

		if (!rcl_recording_parse("damaged", text, sizeof(text) - 1, rec, NULL))
			rcl_recording_request(rec, &req, NULL);
	}
	free(rec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_recording_says),
		cmocka_unit_test(bounds_are_the_kernels_noise_or_a_share),
		cmocka_unit_test(all_shipped_recordings_are_good),
		cmocka_unit_test(damage_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
