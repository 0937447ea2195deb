/* SPDX-License-Identifier: MIT */
/* reclaim's own trace format: what is written is read, and damage is seen. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../folder.h"
#include "trace/areas.h"
#include "trace/live.h"
#include "trace/native_write.h"
#include "trace/trace.h"

#define FILE_REGION RCL_NATIVE_FIRST_FILE

static uint64_t random_next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	return *x ^= *x << 17;
}

struct bytes {
	uint8_t *at;
	size_t n;
};

static struct bytes read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct bytes b;

	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	b.n = (size_t)ftell(f);
	rewind(f);
	b.at = malloc(b.n + 1);
	assert_int_equal(fread(b.at, 1, b.n, f), b.n);
	fclose(f);
	return b;
}

/* Two tasks of one process and a forked one: all kinds of records. */
static struct bytes sample(unsigned int accesses)
{
	static const char command[] = "program\0argument";
	struct rcl_native_info info = {.window = 1000,
				       .native_ns = 12345,
				       .command = command,
				       .command_size = sizeof(command)};
	char path[TEST_FOLDER_SIZE];
	struct rcl_native_writer *w;
	struct rcl_error err;
	struct bytes b;
	uint64_t x = 1;

	assert_true(test_file_make(path));
	assert_int_equal(rcl_native_create(path, &info, &w, &err), 0);
	rcl_native_put_start(w);
	rcl_native_put_region(w, FILE_REGION, 1, 10 * 4096 + 1, "/a/file");
	rcl_native_put_task(w, 1, 0, 0, RCL_NATIVE_THREAD);
	rcl_native_put_task(w, 2, 2, 0, RCL_NATIVE_FORKED);
	rcl_native_put_event(w, 0, RCL_EVENT_MAP,
			     (uint64_t[]){0, 1000, 100, 3, RCL_NATIVE_HEAP, 0});
	rcl_native_put_event(w, 0, RCL_EVENT_MAP,
			     (uint64_t[]){1, 2000, 11, 1 | RCL_MAP_FILE, FILE_REGION, 0});
	rcl_native_put_event(w, 0, RCL_EVENT_CLONE, (uint64_t[]){1});
	for (unsigned int i = 0; i < accesses; i++) {
		uint64_t r = random_next(&x);

		rcl_native_put_access(w, (uint32_t)(r % 2), r & 4 ? RCL_REC_WRITE : RCL_REC_READ,
				      RCL_NATIVE_HEAP, 1000 + r / 8 % 100);
		if (!(i % 10))
			rcl_native_put_access(w, 1, RCL_REC_EXEC, FILE_REGION, 2000 + r / 8 % 11);
	}
	rcl_native_put_file(w, 0, false, FILE_REGION, 4095, 2);
	rcl_native_put_file(w, 0, true, FILE_REGION, 4096 * 600, 4096 * 1025);
	rcl_native_put_window(w, 0, 777, 1555);
	rcl_native_put_event(w, 0, RCL_EVENT_FORK, (uint64_t[]){2, 2});
	rcl_native_put_access(w, 2, RCL_REC_WRITE, RCL_NATIVE_HEAP, 1000);
	rcl_native_put_event(w, 2, RCL_EVENT_EXIT, (uint64_t[]){0});
	rcl_native_put_event(w, 0, RCL_EVENT_WAIT, (uint64_t[]){2});
	rcl_native_put_event(w, 0, RCL_EVENT_UNMAP, (uint64_t[]){3, 1000, 50});
	rcl_native_put_event(w, 1, RCL_EVENT_SYNC, (uint64_t[]){4});
	rcl_native_put_end(w, 777, 3);
	assert_int_equal(rcl_native_close(w, &err), 0);
	b = read_file(path);
	unlink(path);
	return b;
}

static struct rcl_trace_image *load(const uint8_t *data, size_t size, int expected)
{
	struct rcl_trace_image *image = NULL;
	struct rcl_error err = {""};
	int rc = rcl_trace_load_memory(data, size, "test", NULL, &image, &err);

	if (rc != expected)
		fail_msg("%d, not %d: %s", rc, expected, err.text);
	assert_true(rc ? !image && *err.text : !!image);
	return image;
}

static void what_is_written_is_read(void **state)
{
	struct bytes b = sample(5000);
	struct rcl_trace_image *image = load(b.at, b.n, 0);
	const struct rcl_trace_recording *r = image->recording;
	const struct rcl_trace_task *t = image->tasks;
	uint64_t x = 1, at[2] = {0}, word;

	(void)state;
	assert_non_null(r);
	assert_true(r->complete);
	assert_int_equal(r->status, 3);
	assert_int_equal(r->window, 1000);
	assert_int_equal(r->native_ns, 12345);
	assert_int_equal(r->references, 777);
	assert_int_equal(r->instructions, 1555);
	assert_memory_equal(r->command, "program\0argument", 17);
	assert_int_equal(image->nr_tasks, 3);
	assert_int_equal(image->nr_processes, 2);
	assert_int_equal(t[1].process, t[0].process);
	assert_int_not_equal(t[2].process, t[0].process);
	assert_int_equal(t[2].parent, 0);
	assert_true(t[2].forked && !t[1].forked);
	assert_string_equal(image->regions[FILE_REGION].name, "file");
	assert_string_equal(r->names[FILE_REGION], "/a/file");
	assert_int_equal(r->file_pages[FILE_REGION], 1625);
	at[0] = t[0].first + 3; /* behind its three events */
	at[1] = t[1].first;
	for (int i = 0; i < 5000; i++) {
		uint64_t v = random_next(&x);

		word = image->words[at[v % 2]++];
		assert_int_equal(rcl_word_page(word), 1000 + v / 8 % 100);
		assert_int_equal(rcl_word_write(word), !!(v & 4));
		assert_int_equal(rcl_word_kind(word), RCL_ACCESS_ANON);
		if (i % 10)
			continue;
		word = image->words[at[1]++];
		assert_int_equal(rcl_word_kind(word), RCL_ACCESS_MMAP);
		assert_int_equal(rcl_word_page(word), 2000 + v / 8 % 11);
	}
	/* Bytes 4095 and 4096 are in two pages; 1025 pages are three words. */
	word = image->words[at[0]++];
	assert_int_equal(rcl_word_page(word), 0);
	assert_int_equal(rcl_word_pages(word), 2);
	assert_int_equal(rcl_word_page(image->words[at[0]++]), 600);
	assert_int_equal(rcl_word_page(image->words[at[0]++]), 1112);
	assert_int_equal(rcl_word_pages(image->words[at[0]++]), 1);
	word = image->words[at[0]++];
	assert_true(rcl_word_is_event(word) && rcl_word_write(word));
	assert_int_equal(rcl_word_page(word), 777);
	word = image->words[at[0]++];
	assert_int_equal(r->events[rcl_word_page(word)].type, RCL_EVENT_FORK);
	assert_int_equal(r->events[rcl_word_page(word)].args[0], 2);
	assert_int_equal(r->events[rcl_word_page(word)].order, 2);
	assert_int_equal(image->summary.anon_pages, 101);
	rcl_trace_image_free(image);
	free(b.at);
}

/* Cut anywhere it is readable, or says that nothing is in it; more of it never has less. */
static void truncated_everywhere(void **state)
{
	struct bytes b = sample(300);
	uint64_t before = 0;

	(void)state;
	for (size_t n = 1; n < b.n; n++) {
		struct rcl_trace_image *image = NULL;
		struct rcl_error err = {""};
		uint8_t *copy = malloc(n); /* for AddressSanitizer: nothing behind it */
		int rc;

		memcpy(copy, b.at, n);
		rc = rcl_trace_load_memory(copy, n, "cut", n < 8 ? "reclaim" : NULL, &image, &err);
		if (!rc) {
			assert_false(image->recording->complete);
			assert_true(image->summary.accesses >= before);
			before = image->summary.accesses;
		} else {
			assert_true(rc == -ENODATA || rc == -EBADMSG);
			assert_int_equal(before, 0);
			assert_true(*err.text);
		}
		rcl_trace_image_free(image);
		free(copy);
	}
	assert_true(before > 0);
	free(b.at);
}

static void every_flipped_bit_is_seen(void **state)
{
	struct bytes b = sample(100);
	struct rcl_trace_image *whole = load(b.at, b.n, 0);

	(void)state;
	for (size_t i = 8; i < b.n; i++) {
		struct rcl_trace_image *image = NULL;
		int rc;

		b.at[i] ^= (uint8_t)(1 << i % 8);
		rc = rcl_trace_load_memory(b.at, b.n, "bad", NULL, &image, NULL);
		/* A size that points behind the end looks like a trace that was cut off, but only
		 * with a header whose checksum is right: never here. */
		if (rc != -EBADMSG)
			fail_msg("byte %zu: %d", i, rc);
		b.at[i] ^= (uint8_t)(1 << i % 8);
	}
	rcl_trace_image_free(whole);
	free(b.at);
}

static void other_versions_are_refused(void **state)
{
	struct bytes b = sample(10);
	struct rcl_error err;
	struct rcl_trace_image *image;

	(void)state;
	b.at[8] = 2;
	assert_int_equal(rcl_trace_load_memory(b.at, b.n, "new", NULL, &image, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "version 2"));
	assert_int_equal(load(b.at, 9, -EBADMSG), NULL);
	free(b.at);
}

/* Areas against a plain array of pages. */
static void areas_are_what_was_mapped(void **state)
{
	struct {
		uint32_t region, flags;
		uint64_t pgoff;
	} model[200], moved[200];
	struct rcl_areas a = {0};
	uint64_t x = 9;

	(void)state;
	memset(model, 0xff, sizeof(model));
	for (int step = 0; step < 20000; step++) {
		uint64_t page = random_next(&x) % 190, n = 1 + random_next(&x) % (200 - page);
		uint32_t region = (uint32_t)(random_next(&x) % 4);
		uint32_t flags = region > 1 ? RCL_MAP_FILE | RCL_MAP_READ : RCL_MAP_READ;
		uint64_t to = random_next(&x) % 190;

		switch (random_next(&x) % 4) {
		case 0:
			assert_int_equal(rcl_areas_map(&a, (struct rcl_area){page, page + n, flags,
									     region, 7}),
					 0);
			for (uint64_t i = 0; i < n; i++) {
				model[page + i].region = region;
				model[page + i].flags = flags;
				model[page + i].pgoff = 7 + i;
			}
			break;
		case 1:
			assert_int_equal(rcl_areas_unmap(&a, page, n), 0);
			memset(&model[page], 0xff, n * sizeof(*model));
			break;
		case 2:
			assert_int_equal(rcl_areas_protect(&a, page, n, RCL_MAP_WRITE), 0);
			for (uint64_t i = 0; i < n; i++)
				if (model[page + i].region != UINT32_MAX)
					model[page + i].flags =
						(model[page + i].flags & ~7u) | RCL_MAP_WRITE;
			break;
		default: {
			const struct rcl_area *area = rcl_areas_find(&a, page);

			/* One mapping, to a place that does not overlap. */
			n = area ? 1 + (n - 1) % (area->end - page) : 0;
			if (!n || to + n > 200 || (to < page + n && page < to + n))
				break;
			assert_int_equal(rcl_areas_move(&a, page, n, to, n), 0);
			memcpy(moved, &model[page], n * sizeof(*model));
			memset(&model[page], 0xff, n * sizeof(*model));
			memcpy(&model[to], moved, n * sizeof(*model));
		}
		}
		for (uint64_t p = 0; p < 200; p++) {
			const struct rcl_area *area = rcl_areas_find(&a, p);

			assert_int_equal(!area, model[p].region == UINT32_MAX);
			if (!area)
				continue;
			assert_int_equal(area->region, model[p].region);
			assert_int_equal(area->flags, model[p].flags);
			if (area->flags & RCL_MAP_FILE)
				assert_int_equal(area->pgoff + p - area->start, model[p].pgoff);
		}
	}
	rcl_areas_clear(&a);
}

static void count_gone(void *arg, const struct rcl_live_page *page)
{
	(void)page;
	++*(uint64_t *)arg;
}

static void live_pages_are_a_set(void **state)
{
	static bool model[3000];
	struct rcl_live l = {0};
	uint64_t x = 5, nr = 0, base = rcl_live_anon(3, 100);

	(void)state;
	memset(model, 0, sizeof(model));
	for (int step = 0; step < 30000; step++) {
		uint64_t at = random_next(&x) % 3000, n = 1 + random_next(&x) % 200, gone = 0;
		bool made;

		if (at + n > 3000)
			n = 3000 - at;
		if (step % 50) {
			assert_non_null(rcl_live_add(&l, base + at, &made));
			assert_int_equal(made, !model[at]);
			nr += made;
			model[at] = true;
			continue;
		}
		if (step % 100) {
			rcl_live_remove(&l, base + at, step % 300 ? n : 1u << 20, count_gone,
					&gone);
			for (uint64_t i = at; i < (step % 300 ? at + n : 3000); i++) {
				gone -= model[i];
				nr -= model[i];
				model[i] = false;
			}
			assert_int_equal(gone, 0);
		} else {
			/* Move to where nothing is. */
			uint64_t to = (at + n) % 3000, removed = 0;

			if (to + n > 3000 || (to < at + n && at < to + n))
				continue;
			rcl_live_remove(&l, base + to, n, count_gone, &removed);
			nr -= removed;
			rcl_live_move(&l, base + at, n, base + to);
			memcpy(&model[to], &model[at], n);
			memset(&model[at], 0, n);
		}
		assert_int_equal(l.nr, nr);
	}
	rcl_live_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(truncated_everywhere),
		cmocka_unit_test(every_flipped_bit_is_seen),
		cmocka_unit_test(other_versions_are_refused),
		cmocka_unit_test(areas_are_what_was_mapped),
		cmocka_unit_test(live_pages_are_a_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
