/* SPDX-License-Identifier: MIT */
/* The page of a sizing: well-formed, escaped, complete, and harmless for any numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/chart.h"
#include "report/report.h"
#include "trace/trace.h"

#define POINTS 12

struct sample {
	struct rcl_report r;
	struct rcl_report_point points[POINTS];
	struct rcl_report_step steps[2][POINTS];
	struct rcl_report_setting settings[2];
	struct rcl_report_region regions[40];
	uint64_t set[120], all[120];
};

static struct sample *make_sample(void)
{
	struct sample *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->r = (struct rcl_report){
		.trace = "dir/<b>&\"x\".trace",
		.version = "0",
		.accesses = 123456,
		.anon_pages = 9000,
		.file_pages = 1000,
		.need = 40u << 20,
		.run_ns = 1500000000,
		.memory = 1u << 30,
		.swap = 1u << 27,
		.device = "nvme",
		.swap_device = "hdd",
		.exact = 1u << 18,
		.nr_runs = 17,
		.nr_points = POINTS,
		.points = s->points,
		.nr_accepted = 2,
		.accepted = {1.05, 2},
		.nr_settings = 2,
		.settings = s->settings,
		.nr_at = 2,
		.at = {{.limit = 38u << 20, .slowdown = 1.04},
		       {.limit = 20u << 20, .slowdown = 1.9}},
		.nr_regions = 40,
		.regions = s->regions,
		.course = {.nr = 120, .working_set = s->set, .footprint = s->all},
	};
	for (uint32_t i = 0; i < POINTS; i++) {
		s->points[i] = (struct rcl_report_point){
			.limit = (40ull - 3 * i) << 20,
			.slowdown = i == POINTS - 1 ? INFINITY : pow(1.4, i),
			.major_faults = i * i * 100,
			.refaults = i * i * i * 100,
			.swap_in = i * 1000,
			.swap_out = i * 1100,
			.written = i * 1200,
			.run_ns = 1500000000ull * (i + 1),
			.stall_ns = 100000000ull * i,
		};
		for (int k = 0; k < 2; k++) {
			s->steps[k][i].limit = s->points[i].limit;
			s->steps[k][i].slowdown = s->points[i].slowdown * (1 + 0.1 * k);
		}
	}
	for (int k = 0; k < 2; k++) {
		s->settings[k] = (struct rcl_report_setting){
			.name = k ? "no swap" : "swappiness 60",
			.answers = {{.found = true,
				     .limit = 38u << 20,
				     .slowdown = 1.04,
				     .worse_limit = 37u << 20,
				     .worse_slowdown = 1.0501},
				    {.found = !k,
				     .limit = 20u << 20,
				     .slowdown = 1.9,
				     .worse_limit = 19u << 20,
				     .worse_slowdown = INFINITY}},
			.at = {1.04, k ? INFINITY : 1.9},
			.nr_points = POINTS,
			.points = s->steps[k],
		};
	}
	for (uint32_t i = 0; i < 40; i++) {
		s->regions[i].name = i ? "/lib/<x>&y.so" : "";
		s->regions[i].file = i & 1;
		s->regions[i].pages = 400 - i;
		s->regions[i].at[1].refaults = 100 - i;
	}
	for (uint32_t i = 0; i < 120; i++) {
		s->set[i] = 1000 + i;
		s->all[i] = 50 * (i + 1);
	}
	return s;
}

static char *page_of(const struct rcl_report *r)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	rcl_report_html(r, out);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(strlen(text), size);
	return text;
}

/* Every element is closed, in order; void elements and the doctype aside. Attributes are quoted. */
static void assert_well_formed(const char *page)
{
	static const char *const none[] = {"meta", "link", "!DOCTYPE"};
	char stack[64][16];
	int depth = 0;

	for (const char *s = strchr(page, '<'); s; s = strchr(s, '<')) {
		const char *end = strchr(s, '>');
		char name[16];
		bool skip = false;
		int quotes = 0;

		assert_non_null(end);
		for (const char *c = s + 1; c < end; c++) {
			assert_true(*c != '<');
			quotes += *c == '"';
		}
		assert_int_equal(quotes % 2, 0);
		assert_int_equal(sscanf(s + 1 + (s[1] == '/'), "%15[A-Za-z0-9!]", name), 1);
		for (size_t i = 0; i < 3; i++)
			skip |= !strcmp(name, none[i]);
		if (s[1] == '/') {
			assert_true(depth > 0);
			assert_string_equal(stack[--depth], name);
		} else if (!skip && end[-1] != '/') {
			assert_true(depth < 64);
			strcpy(stack[depth++], name);
		}
		s = end;
	}
	assert_int_equal(depth, 0);
}

static void assert_harmless(const char *page)
{
	/* Numbers that are none would break the drawing without a word. */
	assert_null(strstr(page, "nan"));
	assert_null(strstr(page, "inf\""));
	assert_null(strstr(page, "inf "));
	/* Nothing from outside, nothing that runs. */
	assert_null(strstr(page, "http"));
	assert_null(strstr(page, "<script"));
	assert_null(strstr(page, "src="));
	assert_null(strstr(page, "@import"));
	assert_non_null(strstr(page, "prefers-color-scheme:dark"));
	assert_non_null(strstr(page, "@media print"));
	assert_non_null(strstr(page, "name=\"viewport\""));
}

static void shows_everything(void **state)
{
	struct sample *s = make_sample();
	char *page = page_of(&s->r);

	(void)state;
	assert_well_formed(page);
	assert_harmless(page);
	/* Names are text, whatever is in them. */
	assert_non_null(strstr(page, "How much memory for &lt;b&gt;&amp;&quot;x&quot;.trace?"));
	assert_non_null(strstr(page, "/lib/&lt;x&gt;&amp;y.so"));
	assert_non_null(strstr(page, "(no name)"));
	assert_non_null(strstr(page, "16 more, with fewer"));
	/* Answers, settings, runs. */
	assert_non_null(strstr(page, "<b>38 MiB</b>"));
	assert_non_null(strstr(page, "no swap"));
	assert_non_null(strstr(page, "<th scope=\"row\">7 MiB</th>"));
	assert_non_null(strstr(page, ">killed<"));
	/* Four drawings that say what they show. */
	size_t drawings = 0;

	for (const char *at = page; (at = strstr(at, "role=\"img\"")); at++)
		drawings++;
	assert_int_equal(drawings, 4);
	for (const char *const *id =
		     (const char *const[]){"slowdown", "faults", "traffic", "course", NULL};
	     *id; id++) {
		char want[64];

		snprintf(want, sizeof(want), "<title id=\"%s-t\">", *id);
		assert_non_null(strstr(page, want));
		snprintf(want, sizeof(want), "<desc id=\"%s-d\">", *id);
		assert_non_null(strstr(page, want));
	}
	free(page);
	free(s);
}

static void is_the_same_each_time(void **state)
{
	struct sample *s = make_sample();
	char *a = page_of(&s->r), *b = page_of(&s->r);

	(void)state;
	assert_string_equal(a, b);
	free(a);
	free(b);
	free(s);
}

/* Little, nothing, and too much to show. */
static void stands_extremes(void **state)
{
	struct sample *s = make_sample();
	char *page;

	(void)state;
	for (int round = 0; round < 6; round++) {
		if (round == 0) { /* killed everywhere */
			for (uint32_t i = 0; i < POINTS; i++)
				s->points[i].slowdown = s->steps[0][i].slowdown = INFINITY;
			s->settings[0].answers[0].found = s->settings[0].answers[1].found = false;
			s->r.nr_at = 0;
		} else if (round == 1) { /* a program of one page */
			s->r.anon_pages = 0;
			s->r.file_pages = 1;
			s->r.need = 4096;
			s->r.course.nr = 1;
			s->r.nr_points = 1;
			s->points[0] = (struct rcl_report_point){.limit = 4096, .slowdown = 1};
			s->settings[0].nr_points = 1;
		} else if (round == 2) {
			s->r.course.nr = 0;
			s->r.nr_regions = 0;
		} else if (round == 3) {
			s->r.nr_points = s->settings[0].nr_points = s->settings[1].nr_points = 0;
		} else if (round == 4) { /* as large as it gets */
			s->r.nr_points = 2;
			s->r.need = 1ull << 60;
			s->r.run_ns = UINT64_MAX;
			s->points[0] = (struct rcl_report_point){
				.limit = 1ull << 60,
				.slowdown = 1e9,
				.major_faults = UINT64_MAX,
				.refaults = UINT64_MAX,
				.swap_in = 1ull << 50,
				.swap_out = 1ull << 50,
				.written = 1ull << 50,
				.run_ns = UINT64_MAX,
			};
		} else {
			s->r.nr_accepted = 0;
			s->r.nr_settings = 1;
		}
		page = page_of(&s->r);
		assert_well_formed(page);
		assert_harmless(page);
		free(page);
	}
	free(s);
}

static void texts(void **state)
{
	char buf[CHART_TEXT];

	(void)state;
	assert_string_equal(chart_size(40108032, buf), "38.2 MiB");
	assert_string_equal(chart_limit(40108032, buf), "38.25 MiB");
	assert_string_equal(chart_size(100, buf), "100 B");
	assert_string_equal(chart_count(9999, buf), "9999");
	assert_string_equal(chart_count(12345, buf), "12.3k");
	assert_string_equal(chart_count(9.999e6, buf), "10.0M");
}

/* ---- Footprint and working set --------------------------------------------------------------- */

static void course_counts_pages(void **state)
{
	/* Two regions with the same page numbers; 8 accesses in 4 parts, the last a little longer.
	 */
	const struct rcl_access accesses[] = {
		{.page = 0, .pages = 3},
		{.page = 1, .pages = 1},
		{.page = 0, .pages = 1, .region = 1},
		{.page = 0, .pages = 1, .region = 0},
		{.page = 1ull << 33, .pages = 2},
		{.page = (1ull << 33) + 1, .pages = 2},
		{.page = 2, .pages = 1},
		{.page = 2, .pages = 1, .write = 1},
	};
	static const uint64_t set[] = {3, 2, 3, 1}, all[] = {3, 4, 7, 7};
	uint64_t words[9];
	const struct rcl_trace_task tasks[1] = {{.count = 9}};
	const struct rcl_region regions[2] = {{.name = "a"}, {.name = "b"}};
	const struct rcl_region_summary sums[2] = {{.end = (1ull << 33) + 3}, {.end = 1}};
	const struct rcl_trace_image image = {
		.words = words,
		.count = 9,
		.tasks = tasks,
		.nr_tasks = 1,
		.regions = regions,
		.region_summaries = sums,
		.nr_regions = 2,
	};
	struct rcl_course c;

	(void)state;
	for (int i = 0; i < 8; i++)
		words[i] = rcl_word_pack(&accesses[i]);
	/* What happens between accesses touches nothing. */
	words[8] = (uint64_t)RCL_ACCESS_EVENT << RCL_WORD_KIND_SHIFT | 12345;
	assert_int_equal(rcl_course_of(&image, 4, &c), 0);
	assert_int_equal(c.nr, 4);
	assert_memory_equal(c.working_set, set, sizeof(set));
	assert_memory_equal(c.footprint, all, sizeof(all));
	rcl_course_free(&c);
	/* No more parts than accesses. */
	assert_int_equal(rcl_course_of(&image, 255, &c), 0);
	assert_int_equal(c.nr, 9);
	assert_int_equal(c.footprint[8], 7);
	rcl_course_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_everything),    cmocka_unit_test(is_the_same_each_time),
		cmocka_unit_test(stands_extremes),     cmocka_unit_test(texts),
		cmocka_unit_test(course_counts_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
