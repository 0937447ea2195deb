/* SPDX-License-Identifier: MIT */
/*
 * An out-of-core sort that knows nothing of temporary files.
 *
 *	sort IN OUT [--budget 64M]	sort records of 100 bytes by their first 10
 *	sort --check IN OUT		is OUT sorted, and has it the records of IN?
 *	sort --generate N FILE		N random records
 *
 * The textbook's external sort reads as much as fits, sorts it, writes it to a temporary file as a
 * run, and merges the runs. It has a memory size, files, buffers and read-ahead of its own. Here a
 * run is a piece of an anonymous area as large as the input. Runs that fit the budget stay in
 * memory; if they do not, reclaim swaps out the cold ones, which is what a temporary file is. So
 * the same program sorts in memory and out of core, and there is no size at which it changes over.
 *
 *   read     the input is a file area, read once from front to end (SEQUENTIAL): reclaim reads
 *            ahead, and lets pages go behind. A quarter of the budget is pinned as a work space
 *            for records; their keys are sorted in frames, memory that never leaves.
 *   sort     within the work space, then out to the next run, page by page with RCL_OVERWRITE,
 *            since what was in the page does not matter and need not be read. A finished run is
 *            cold until the merge.
 *   merge    one page of every run is pinned. Pages that a run needs next are prefetched, several
 *            at once and early enough. What was merged is punched out: it goes without being
 *            written to swap, or gives its swap back.
 *   write    the output is a file area, too, cut to size first; dirty pages are written back in the
 *            background while the merge goes on. The sync at the end makes it durable.
 *
 * A page of a run holds 40 records and 96 bytes of nothing, so that no record crosses pages there.
 */
#include <errno.h>
#include <sys/stat.h>

#include "common.h"

enum {
	RECORD = 100,
	KEY = 10,
	PER_PAGE = RCL_PAGE_SIZE / RECORD,
	MAX_AHEAD = 64 /* pages */
};

/* ---- Files as streams of records ----------------------------------------------------------- */

struct stream {
	struct rcl_area *area;
	uint32_t how;
	uint64_t at, size; /* bytes */
	struct rcl_pin pin;
};

static struct stream open_stream(struct rcl_machine *machine, const char *path, uint32_t how,
				 uint64_t size)
{
	struct stream s = {.how = how, .size = size};
	uint32_t flags = how == RCL_READ ? 0 : RCL_AREA_WRITE | RCL_AREA_CREATE;
	int err = rcl_area_file(machine, NULL, path, flags, &s.area);

	if (err)
		die("%s: %s", path, rcl_strerror(err));
	if (how == RCL_READ)
		s.size = rcl_area_file_size(s.area);
	else
		MUST(rcl_area_truncate(s.area, size));
	if (s.size % RECORD)
		die("%s: not a whole number of records", path);
	MUST(rcl_area_advise(s.area, 0, 0, RCL_ADVISE_SEQUENTIAL));
	return s;
}

/* The next record to `record` or, when writing, from it. */
static void next_record(struct stream *s, char *record)
{
	for (size_t done = 0, n; done < RECORD; done += n, s->at += n) {
		size_t offset = s->at % RCL_PAGE_SIZE;

		n = RCL_PAGE_SIZE - offset < RECORD - done ? RCL_PAGE_SIZE - offset : RECORD - done;
		if (!s->pin.addr)
			MUST(rcl_pin(s->area, s->at / RCL_PAGE_SIZE, s->how, &s->pin));
		if (s->how == RCL_READ)
			memcpy(record + done, (char *)s->pin.addr + offset, n);
		else
			memcpy((char *)s->pin.addr + offset, record + done, n);
		if (offset + n == RCL_PAGE_SIZE)
			rcl_unpin(&s->pin);
	}
}

static void close_stream(struct stream *s)
{
	rcl_unpin(&s->pin);
	MUST(rcl_area_sync(s->area, 0, 0));
	MUST(rcl_area_close(s->area));
}

/* ---- Sorting what fits ----------------------------------------------------------------------- */

/* A key, and which record of the work space has it. */
struct entry {
	uint64_t high;
	uint16_t low;
	uint32_t record;
};

static struct entry make_entry(const unsigned char *record, uint32_t index)
{
	struct entry e = {.low = (uint16_t)(record[8] << 8 | record[9]), .record = index};

	for (int i = 0; i < 8; i++)
		e.high = e.high << 8 | record[i];
	return e;
}

static bool is_less(const struct entry *a, const struct entry *b)
{
	return a->high != b->high ? a->high < b->high : a->low < b->low;
}

/* In place: the C library's qsort() may take as much memory again, outside of the budget. */
static void sort_entries(struct entry *e, size_t n)
{
	while (n > 1) {
		struct entry pivot = e[n / 2], tmp;
		size_t i = 0, j = n - 1;

		for (;; i++, j--) {
			while (is_less(&e[i], &pivot))
				i++;
			while (is_less(&pivot, &e[j]))
				j--;
			if (i >= j)
				break;
			tmp = e[i];
			e[i] = e[j];
			e[j] = tmp;
		}
		/* [0, i) is at most the pivot, [i, n) at least. Recurse into the smaller part. */
		if (i < n - i) {
			sort_entries(e, i);
			e += i;
			n -= i;
		} else {
			sort_entries(e + i, n - i);
			n = i;
		}
	}
}

/* ---- Runs ------------------------------------------------------------------------------------ */

struct sorter {
	struct rcl_machine *machine;
	uint64_t records, chunk; /* of the input; of the work space, and so of a run */
	uint64_t pages;		 /* of a run */
	uint64_t nr_runs;
	struct rcl_area *runs; /* run r: pages [r * pages, (r + 1) * pages) */
};

static void *record_in(const struct rcl_pin *pins, uint64_t i)
{
	return (char *)pins[i / PER_PAGE].addr + i % PER_PAGE * RECORD;
}

static void make_runs(struct sorter *s, struct stream *in)
{
	struct rcl_pin *work = calloc(s->pages, sizeof(*work)), pin;
	struct rcl_area *work_area;
	unsigned order = 0;
	struct entry *entries;
	void *frames;

	while ((uint64_t)RCL_PAGE_SIZE << order < s->chunk * sizeof(*entries))
		order++;
	MUST(rcl_frames_alloc(s->machine, NULL, order, 0, &frames));
	entries = frames;
	MUST(rcl_area_anon(s->machine, NULL, s->pages, 0, &work_area));
	MUST(rcl_pin_range(work_area, 0, s->pages, RCL_OVERWRITE, work));
	for (uint64_t run = 0; run < s->nr_runs; run++) {
		uint64_t first = run * s->pages, left = s->records - run * s->chunk;
		uint64_t n = left < s->chunk ? left : s->chunk;

		for (uint64_t i = 0; i < n; i++) {
			next_record(in, record_in(work, i));
			entries[i] = make_entry(record_in(work, i), (uint32_t)i);
		}
		sort_entries(entries, n);
		for (uint64_t i = 0; i < n; i++) {
			if (i % PER_PAGE == 0)
				MUST(rcl_pin(s->runs, first + i / PER_PAGE, RCL_OVERWRITE, &pin));
			memcpy((char *)pin.addr + i % PER_PAGE * RECORD,
			       record_in(work, entries[i].record), RECORD);
			if (i % PER_PAGE == PER_PAGE - 1 || i == n - 1)
				rcl_unpin(&pin);
		}
		MUST(rcl_area_advise(s->runs, first, (n + PER_PAGE - 1) / PER_PAGE,
				     RCL_ADVISE_COLD));
	}
	rcl_unpin_batch(work, s->pages);
	MUST(rcl_area_close(work_area));
	rcl_frames_free(s->machine, frames, order);
	free(work);
}

/* ---- Merging --------------------------------------------------------------------------------- */

struct cursor {
	uint64_t first, at, end; /* records, as numbered in the whole area */
	struct rcl_pin pin;
	const char *record;
};

/*
 * Have the cursor's record at hand. Pages are read in groups of `ahead`: as the cursor enters one,
 * the next one is asked for, and the last one is given back.
 */
static void settle(struct sorter *s, struct cursor *c, uint64_t ahead)
{
	if (c->at % PER_PAGE == 0 || !c->pin.addr) {
		uint64_t page = c->at / PER_PAGE, first = c->first / PER_PAGE;
		uint64_t last = (c->end + PER_PAGE - 1) / PER_PAGE, next = page + ahead;

		rcl_unpin(&c->pin);
		if ((page - first) % ahead == 0) {
			if (page > first)
				MUST(rcl_area_punch(s->runs, page - ahead, ahead));
			if (next < last)
				MUST(rcl_prefetch(s->runs, next,
						  last - next < ahead ? last - next : ahead));
		}
		MUST(rcl_pin(s->runs, page, RCL_READ, &c->pin));
	}
	c->record = (char *)c->pin.addr + c->at % PER_PAGE * RECORD;
}

static void sift_down(struct cursor **heap, size_t n, size_t i)
{
	struct cursor *c = heap[i];

	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && memcmp(heap[child + 1]->record, heap[child]->record, KEY) < 0)
			child++;
		if (memcmp(c->record, heap[child]->record, KEY) <= 0)
			break;
		heap[i] = heap[child];
	}
	heap[i] = c;
}

static void merge(struct sorter *s, struct stream *out, uint64_t ahead)
{
	struct cursor *cursors = calloc(s->nr_runs, sizeof(*cursors));
	struct cursor **heap = calloc(s->nr_runs, sizeof(struct cursor *));
	size_t n = s->nr_runs;

	for (size_t r = 0; r < n; r++) {
		uint64_t left = s->records - r * s->chunk;

		heap[r] = &cursors[r];
		cursors[r].first = cursors[r].at = r * s->chunk;
		cursors[r].end = r * s->chunk + (left < s->chunk ? left : s->chunk);
		MUST(rcl_prefetch(s->runs, r * s->pages, ahead < s->pages ? ahead : s->pages));
	}
	for (size_t r = 0; r < n; r++)
		settle(s, &cursors[r], ahead);
	for (size_t i = n / 2; i-- > 0;)
		sift_down(heap, n, i);
	while (n) {
		struct cursor *c = heap[0];

		next_record(out, (char *)c->record);
		if (++c->at < c->end) {
			settle(s, c, ahead);
		} else {
			rcl_unpin(&c->pin);
			heap[0] = heap[--n];
		}
		if (n)
			sift_down(heap, n, 0);
	}
	free(heap);
	free(cursors);
}

static void sort(const char *in_path, const char *out_path, uint64_t budget, uint64_t in_size)
{
	struct sorter s = {0};
	uint64_t budget_pages = budget / RCL_PAGE_SIZE, ahead;
	double start = seconds_now(), sorted, end;
	struct stream in, out;

	/* Swap must hold the runs, if it comes to that. */
	s.machine = open_machine(budget, in_size + in_size / 16 + (16 << 20), "sort");
	in = open_stream(s.machine, in_path, RCL_READ, 0);
	s.records = in.size / RECORD;
	/* A run: a quarter of the budget, and its keys in the largest piece of frames at most. */
	s.pages = budget_pages / 4;
	if (s.pages * PER_PAGE * sizeof(struct entry) > RCL_PAGE_SIZE << 10)
		s.pages = (RCL_PAGE_SIZE << 10) / (PER_PAGE * sizeof(struct entry));
	s.chunk = s.pages * PER_PAGE;
	s.nr_runs = (s.records + s.chunk - 1) / s.chunk;
	ahead = s.nr_runs ? budget_pages / 4 / s.nr_runs : 1;
	if (!ahead)
		die("%" PRIu64 " runs are too many to merge at once: larger budget", s.nr_runs);
	if (ahead > MAX_AHEAD)
		ahead = MAX_AHEAD;
	MUST(rcl_area_anon(s.machine, NULL, s.nr_runs * s.pages + 1, 0, &s.runs));
	make_runs(&s, &in);
	close_stream(&in);
	sorted = seconds_now();

	out = open_stream(s.machine, out_path, RCL_OVERWRITE, in_size);
	merge(&s, &out, ahead);
	close_stream(&out);
	MUST(rcl_area_close(s.runs));
	end = seconds_now();
	printf("%" PRIu64 " records, %.1f MiB: %" PRIu64 " runs in %.2f s, merged in %.2f s, "
	       "%.1f MiB/s\n",
	       s.records, (double)in_size / (1 << 20), s.nr_runs, sorted - start, end - sorted,
	       (double)in_size / (1 << 20) / (end - start));
	print_stats(s.machine);
	MUST(rcl_close(s.machine));
}

/* ---- Checking and making --------------------------------------------------------------------- */

/* The same for the same records in any order. */
static uint64_t checksum(struct stream *s, uint64_t *out_of_order)
{
	char record[RECORD], last[KEY] = {0};
	uint64_t sum = 0;

	*out_of_order = 0;
	while (s->at < s->size) {
		uint64_t hash = 0, word;

		next_record(s, record);
		*out_of_order += memcmp(last, record, KEY) > 0;
		memcpy(last, record, KEY);
		for (size_t i = 0; i < RECORD; i += sizeof(word)) {
			word = 0;
			memcpy(&word, record + i, RECORD - i < 8 ? RECORD - i : 8);
			hash ^= word;
			hash = random_u64(&hash);
		}
		sum += hash;
	}
	return sum;
}

static void check(const char *in_path, const char *out_path, uint64_t budget)
{
	struct rcl_machine *machine = open_machine(budget, 0, "sort");
	struct stream in = open_stream(machine, in_path, RCL_READ, 0);
	struct stream out = open_stream(machine, out_path, RCL_READ, 0);
	uint64_t unsorted, ignored;

	if (checksum(&in, &ignored) != checksum(&out, &unsorted) || in.size != out.size)
		die("%s does not have the records of %s", out_path, in_path);
	if (unsorted)
		die("%s is not sorted: %" PRIu64 " records are too small", out_path, unsorted);
	close_stream(&in);
	close_stream(&out);
	MUST(rcl_close(machine));
	printf("%s is sorted and has the records of %s\n", out_path, in_path);
}

static void generate(uint64_t nr, const char *path, uint64_t budget)
{
	struct rcl_machine *machine = open_machine(budget, 0, "sort");
	struct stream out = open_stream(machine, path, RCL_OVERWRITE, nr * RECORD);
	uint64_t rng = 1;
	char record[RECORD];

	for (uint64_t i = 0; i < nr; i++) {
		for (int k = 0; k < KEY; k++)
			record[k] = (char)(' ' + random_below(&rng, 95));
		snprintf(record + KEY, RECORD - KEY, "%022" PRIu64 "%067d", i, 0);
		record[RECORD - 1] = '\n';
		next_record(&out, record);
	}
	close_stream(&out);
	MUST(rcl_close(machine));
}

int main(int argc, char **argv)
{
	uint64_t budget = 64 << 20;
	const char *args[2], *mode = "";
	struct stat st;
	int n = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--budget") && i + 1 < argc)
			budget = parse_size(argv[++i]);
		else if (!strcmp(argv[i], "--check") || !strcmp(argv[i], "--generate"))
			mode = argv[i];
		else if (argv[i][0] != '-' && n < 2)
			args[n++] = argv[i];
		else
			n = 3;
	}
	if (n != 2)
		die("usage: %s IN OUT [--budget SIZE] | --check IN OUT | --generate N FILE",
		    argv[0]);
	if (!strcmp(mode, "--generate")) {
		generate(strtoull(args[0], NULL, 10), args[1], budget);
	} else if (*mode) {
		check(args[0], args[1], budget);
	} else {
		if (stat(args[0], &st))
			die("%s: %s", args[0], strerror(errno));
		sort(args[0], args[1], budget, (uint64_t)st.st_size);
	}
	return 0;
}
