/* SPDX-License-Identifier: MIT */
/* Files as areas: what is on the disk when, sizes, tails, holes, sharing, errors of writing. */
#include "api_test.h"

#include <fcntl.h>

#include "api/internal.h"
#include "platform/host/faults.h"

static struct folder folder;

/* A file of so many bytes; byte i is i * 7 + i / 4096. */
static char byte_at(uint64_t i)
{
	return (char)(i * 7 + i / 4096);
}
static const char *make_file(const char *name, uint64_t bytes)
{
	const char *path = folder_file(&folder, name);
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	char *buf = malloc(bytes + 1);

	assert_true(fd >= 0);
	for (uint64_t i = 0; i < bytes; i++)
		buf[i] = byte_at(i);
	assert_int_equal(write(fd, buf, bytes), bytes);
	free(buf);
	assert_ok(close(fd));
	return path;
}

/* What another program sees of the page. */
static void read_disk(const char *name, uint64_t page, void *buf)
{
	int fd = open(folder_file(&folder, name), O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	memset(buf, 0xee, RCL_PAGE_SIZE);
	n = pread(fd, buf, RCL_PAGE_SIZE, (off_t)(page * RCL_PAGE_SIZE));
	assert_true(n >= 0);
	assert_ok(close(fd));
}
static uint64_t disk_size(const char *name)
{
	struct stat st;

	assert_ok(stat(folder_file(&folder, name), &st));
	return (uint64_t)st.st_size;
}

static struct rcl_area *open_area(struct rcl_machine *machine, const char *name, uint32_t flags)
{
	struct rcl_area *area;

	assert_ok(rcl_area_file(machine, NULL, folder_file(&folder, name), flags, &area));
	return area;
}

static void test_reading(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0);
	const uint64_t bytes = 2000 * RCL_PAGE_SIZE + 1234;
	struct rcl_area *area;
	struct rcl_pin pin;

	(void)state;
	make_file("f", bytes);
	for (uint32_t buffered = 0; buffered < 2; buffered++) {
		area = open_area(machine, "f", buffered ? RCL_AREA_BUFFERED : 0);
		assert_int_equal(rcl_area_pages(area), 2001);
		assert_int_equal(rcl_area_file_size(area), bytes);
		for (uint64_t page = 0; page < 2001; page++) {
			uint64_t first = page * RCL_PAGE_SIZE;
			const char *c;

			assert_ok(rcl_pin(area, page, RCL_READ, &pin));
			c = pin.addr;
			for (uint64_t i = 0; i < RCL_PAGE_SIZE; i++)
				if (c[i] != (first + i < bytes ? byte_at(first + i) : 0))
					fail_msg("page %lu byte %lu", page, i);
			rcl_unpin(&pin);
		}
		assert_int_equal(rcl_pin(area, 2001, RCL_READ, &pin), -ERANGE);
		/* It was opened for reading. */
		assert_int_equal(rcl_pin(area, 0, RCL_WRITE, &pin), -EACCES);
		assert_int_equal(rcl_pin(area, 1999, RCL_OVERWRITE, &pin), -EACCES);
		assert_null(pin.addr);
		assert_int_equal(rcl_area_truncate(area, 0), -EACCES);
		assert_int_equal(rcl_area_punch(area, 0, 1), -EACCES);
		assert_int_equal(rcl_area_grow(area, 3000), -EINVAL);
		assert_ok(rcl_area_sync(area, 0, 0));
		assert_ok(rcl_area_close(area));
	}
	assert_true(read_stats(machine, NULL).read >= 2 * bytes);
	assert_ok(rcl_close(machine));
}

static void test_bad_files(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0);
	struct rcl_area *area = (void *)1;

	(void)state;
	assert_int_equal(rcl_area_file(machine, NULL, folder_file(&folder, "none"), 0, &area),
			 -ENOENT);
	assert_null(area);
	assert_int_equal(rcl_area_file(machine, NULL, NULL, 0, &area), -EINVAL);
	assert_int_equal(
		rcl_area_file(machine, NULL, folder_file(&folder, "none"), RCL_AREA_CREATE, &area),
		-EINVAL);
	assert_int_equal(rcl_area_file(machine, NULL, "/dev/null", 0, &area), -EINVAL);
	assert_int_equal(rcl_area_file(machine, NULL, folder.path, 0, &area), -EISDIR);
	assert_int_equal(rcl_area_file(machine, NULL, "/etc/passwd", RCL_AREA_CACHE, &area),
			 -EINVAL);
	assert_int_equal(access(folder_file(&folder, "none"), F_OK), -1);
	assert_ok(rcl_close(machine));
}

static void test_sync_is_on_disk(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0);
	static char buf[RCL_PAGE_SIZE];
	struct rcl_area *area;
	struct stat st;

	(void)state;
	area = open_area(machine, "new", RCL_AREA_WRITE | RCL_AREA_CREATE);
	assert_ok(stat(folder_file(&folder, "new"), &st));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(rcl_area_pages(area), 0);
	assert_ok(rcl_area_truncate(area, 3000 * RCL_PAGE_SIZE));
	assert_int_equal(disk_size("new"), 3000 * RCL_PAGE_SIZE);
	for (uint64_t i = 0; i < 3000; i++)
		write_page(area, i, i);
	assert_ok(rcl_area_sync(area, 0, 0));
	assert_int_equal(read_stats(machine, NULL).dirty, 0);
	for (uint64_t i = 0; i < 3000; i++) {
		read_disk("new", i, buf);
		assert_true(page_is(buf, i));
	}
	/* A part of it. */
	for (uint64_t i = 0; i < 100; i++)
		write_page(area, i, i + 1);
	assert_ok(rcl_area_sync(area, 10, 20));
	for (uint64_t i = 10; i < 30; i++) {
		read_disk("new", i, buf);
		assert_true(page_is(buf, i + 1));
	}
	assert_int_equal(rcl_area_sync(area, 2990, 11), -ERANGE);
	/* Closing writes, too. */
	assert_ok(rcl_area_close(area));
	for (uint64_t i = 0; i < 100; i++) {
		read_disk("new", i, buf);
		assert_true(page_is(buf, i + 1));
	}
	assert_ok(rcl_close(machine));
}

/* A page that is written while it is pinned for writing is written again later. */
static void test_tail(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0);
	static char buf[RCL_PAGE_SIZE];
	struct rcl_area *area;
	struct rcl_pin pin;
	char *c;

	(void)state;
	make_file("t", 2 * RCL_PAGE_SIZE + 100);
	area = open_area(machine, "t", RCL_AREA_WRITE);
	assert_int_equal(rcl_area_pages(area), 3);
	assert_ok(rcl_pin(area, 2, RCL_WRITE, &pin));
	c = pin.addr;
	assert_true(is_zero(c + 100, RCL_PAGE_SIZE - 100));
	memset(c, 'x', RCL_PAGE_SIZE);
	rcl_unpin(&pin);
	assert_ok(rcl_area_sync(area, 0, 0));
	/* The file is as long as it was. */
	assert_int_equal(disk_size("t"), 2 * RCL_PAGE_SIZE + 100);
	read_disk("t", 2, buf);
	assert_int_equal(buf[99], 'x');
	assert_int_equal((unsigned char)buf[100], 0xee);
	/* What was put behind its end does not turn up when it becomes longer. */
	assert_ok(rcl_area_truncate(area, 2 * RCL_PAGE_SIZE + 500));
	assert_int_equal(rcl_area_file_size(area), 2 * RCL_PAGE_SIZE + 500);
	assert_ok(rcl_pin(area, 2, RCL_WRITE, &pin));
	c = pin.addr;
	assert_int_equal(c[99], 'x');
	assert_true(is_zero(c + 100, RCL_PAGE_SIZE - 100));
	c[499] = 'y';
	rcl_unpin(&pin);
	assert_ok(rcl_area_sync(area, 0, 0));
	assert_int_equal(disk_size("t"), 2 * RCL_PAGE_SIZE + 500);
	read_disk("t", 2, buf);
	assert_int_equal(buf[99], 'x');
	assert_true(is_zero(buf + 100, 399));
	assert_int_equal(buf[499], 'y');
	/* Nor when it was shorter in between. */
	assert_ok(rcl_area_truncate(area, 2 * RCL_PAGE_SIZE + 50));
	assert_ok(rcl_area_truncate(area, 4 * RCL_PAGE_SIZE));
	assert_ok(rcl_pin(area, 2, RCL_READ, &pin));
	c = pin.addr;
	assert_int_equal(c[49], 'x');
	assert_true(is_zero(c + 50, RCL_PAGE_SIZE - 50));
	rcl_unpin(&pin);
	check_zero(area, 3);
	assert_ok(rcl_area_close(area));
	read_disk("t", 2, buf);
	assert_int_equal(buf[49], 'x');
	assert_true(is_zero(buf + 50, RCL_PAGE_SIZE - 50));
	assert_ok(rcl_close(machine));
}

static void test_truncation(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0);
	struct rcl_area *area, *reader;
	static char buf[RCL_PAGE_SIZE];
	struct rcl_pin pin, other;

	(void)state;
	make_file("r", 100 * RCL_PAGE_SIZE);
	area = open_area(machine, "r", RCL_AREA_WRITE);
	reader = open_area(machine, "r", 0);
	for (uint64_t i = 0; i < 100; i++)
		write_page(area, i, i);
	/* Pinned by whomever: nothing changes. */
	assert_ok(rcl_pin(reader, 60, RCL_READ, &pin));
	assert_int_equal(rcl_area_truncate(area, 60 * RCL_PAGE_SIZE), -EBUSY);
	assert_int_equal(rcl_area_truncate(area, 60 * RCL_PAGE_SIZE + 1), 0);
	assert_true(page_is(pin.addr, 60) || is_zero((char *)pin.addr + 1, RCL_PAGE_SIZE - 1));
	rcl_unpin(&pin);
	assert_int_equal(rcl_area_pages(area), 61);
	assert_int_equal(rcl_area_pages(reader), 61);
	assert_int_equal(rcl_area_file_size(reader), 60 * RCL_PAGE_SIZE + 1);
	for (uint64_t i = 0; i < 60; i++)
		check_page(reader, i, i);
	assert_int_equal(rcl_pin(reader, 61, RCL_READ, &pin), -ERANGE);
	assert_int_equal(rcl_pin(area, 99, RCL_WRITE, &pin), -ERANGE);
	/* Down to nothing, and up again: zeros. */
	assert_ok(rcl_area_truncate(area, 0));
	assert_int_equal(disk_size("r"), 0);
	assert_int_equal(rcl_pin(area, 0, RCL_READ, &pin), -ERANGE);
	assert_ok(rcl_area_truncate(area, 600000 * (uint64_t)RCL_PAGE_SIZE));
	assert_int_equal(rcl_area_pages(reader), 600000);
	check_zero(reader, 0);
	check_zero(area, 599999);
	write_page(area, 300000, 3);
	check_page(reader, 300000, 3);
	assert_int_equal(rcl_area_truncate(area, RCL_MAX_AREA * RCL_PAGE_SIZE + 1), -EFBIG);
	assert_ok(rcl_pin(area, 500, RCL_WRITE, &other));
	assert_ok(rcl_area_truncate(area, 501 * RCL_PAGE_SIZE));
	fill_page(other.addr, 500);
	rcl_unpin(&other);
	assert_ok(rcl_area_close(reader));
	assert_ok(rcl_area_close(area));
	assert_int_equal(disk_size("r"), 501 * RCL_PAGE_SIZE);
	read_disk("r", 500, buf);
	assert_true(page_is(buf, 500));
	assert_ok(rcl_close(machine));
}

static void test_punch(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0);
	static char buf[RCL_PAGE_SIZE];
	struct rcl_area *area;
	struct rcl_pin pin;

	(void)state;
	make_file("h", 200 * RCL_PAGE_SIZE);
	area = open_area(machine, "h", RCL_AREA_WRITE);
	for (uint64_t i = 0; i < 200; i++)
		write_page(area, i, i);
	assert_ok(rcl_area_sync(area, 0, 0));
	for (uint64_t i = 40; i < 60; i++)
		write_page(area, i, i + 1);
	assert_ok(rcl_pin(area, 45, RCL_READ, &pin));
	assert_int_equal(rcl_area_punch(area, 20, 100), -EBUSY);
	assert_true(page_is(pin.addr, 46));
	rcl_unpin(&pin);
	for (uint64_t i = 0; i < 200; i++) {
		if (i < 20 || i >= 120)
			check_page(area, i, i);
		else if (i == 45)
			check_page(area, i, 46);
		else
			check_zero(area, i);
	}
	assert_ok(rcl_area_sync(area, 0, 0));
	read_disk("h", 44, buf);
	assert_true(is_zero(buf, sizeof(buf)));
	read_disk("h", 45, buf);
	assert_true(page_is(buf, 46));
	read_disk("h", 119, buf);
	assert_true(is_zero(buf, sizeof(buf)));
	assert_int_equal(disk_size("h"), 200 * RCL_PAGE_SIZE);
	/* And they can be written again. */
	write_page(area, 50, 7);
	assert_ok(rcl_area_punch(area, 199, 1));
	assert_int_equal(rcl_area_punch(area, 199, 2), -ERANGE);
	assert_ok(rcl_area_close(area));
	read_disk("h", 50, buf);
	assert_true(page_is(buf, 7));
	assert_int_equal(disk_size("h"), 200 * RCL_PAGE_SIZE);
	assert_ok(rcl_close(machine));
}

static void test_sharing(void **state)
{
	struct rcl_machine *machine = open_machine(4 * MIB, 0);
	static char buf[RCL_PAGE_SIZE];
	struct rcl_area *reader, *writer, *link;
	struct rcl_pin a, b;

	(void)state;
	make_file("s", 50 * RCL_PAGE_SIZE);
	assert_ok(symlink("s", folder_file(&folder, "link")));
	/* First for reading, then also for writing, by another name. */
	reader = open_area(machine, "s", 0);
	assert_ok(rcl_pin(reader, 9, RCL_READ, &a));
	writer = open_area(machine, "s", RCL_AREA_WRITE);
	link = open_area(machine, "link", 0);
	assert_ok(rcl_pin(writer, 9, RCL_WRITE, &b));
	assert_ptr_equal(a.addr, b.addr);
	fill_page(b.addr, 9);
	assert_true(page_is(a.addr, 9));
	rcl_unpin(&a);
	rcl_unpin(&b);
	check_page(link, 9, 9);
	assert_int_equal(rcl_pin(reader, 9, RCL_WRITE, &a), -EACCES);
	assert_ok(rcl_area_sync(reader, 0, 0));
	read_disk("s", 9, buf);
	assert_true(page_is(buf, 9));
	/* The others stay when one goes. */
	write_page(writer, 10, 10);
	assert_ok(rcl_area_close(writer));
	read_disk("s", 10, buf);
	assert_true(page_is(buf, 10));
	check_page(reader, 10, 10);
	assert_ok(rcl_area_close(reader));
	check_page(link, 10, 10);
	assert_ok(rcl_area_close(link));
	assert_ok(unlink(folder_file(&folder, "link")));
	assert_ok(rcl_close(machine));
}

/* More files than there are flushers, open at the same time. */
static void test_many_files(void **state)
{
	struct rcl_machine *machine = open_machine(8 * MIB, 0);
	struct rcl_area *areas[200];
	static char buf[RCL_PAGE_SIZE];
	char name[16];

	(void)state;
	for (uint64_t i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "m%lu", i);
		areas[i] = open_area(machine, name, RCL_AREA_WRITE | RCL_AREA_CREATE);
		assert_ok(rcl_area_truncate(areas[i], 20 * RCL_PAGE_SIZE));
		for (uint64_t j = 0; j < 20; j++)
			write_page(areas[i], j, i * 100 + j);
	}
	for (uint64_t i = 0; i < 200; i++) {
		assert_ok(rcl_area_close(areas[i]));
		snprintf(name, sizeof(name), "m%lu", i);
		for (uint64_t j = 0; j < 20; j++) {
			read_disk(name, j, buf);
			assert_true(page_is(buf, i * 100 + j));
		}
		assert_ok(unlink(folder_file(&folder, name)));
	}
	assert_ok(rcl_close(machine));
}

static void test_prefetch_and_order(void **state)
{
	struct rcl_machine *machine = open_machine(16 * MIB, 0);
	struct rcl_stats before, after;
	struct rcl_area *area;
	struct rcl_pin pins[64];

	(void)state;
	make_file("q", 2000 * RCL_PAGE_SIZE);
	area = open_area(machine, "q", 0);
	assert_ok(rcl_area_advise(area, 0, 0, RCL_ADVISE_RANDOM));
	before = read_stats(machine, NULL);
	for (uint64_t i = 0; i < 10; i++) {
		assert_ok(rcl_pin(area, i * 190, RCL_READ, &pins[0]));
		assert_int_equal(*(char *)pins[0].addr, byte_at(i * 190 * RCL_PAGE_SIZE));
		rcl_unpin(&pins[0]);
	}
	after = read_stats(machine, NULL);
	assert_int_equal(after.read - before.read, 10 * RCL_PAGE_SIZE);
	/* What was prefetched is there, and does not have to be read. */
	before = after;
	assert_ok(rcl_prefetch(area, 500, 64));
	assert_ok(rcl_pin_range(area, 500, 64, RCL_READ, pins));
	rcl_unpin_batch(pins, 64);
	after = read_stats(machine, NULL);
	assert_int_equal(after.read - before.read, 64 * RCL_PAGE_SIZE);
	/* Reading ahead does happen when it is wanted. */
	assert_ok(rcl_area_advise(area, 0, 0, RCL_ADVISE_SEQUENTIAL));
	assert_ok(rcl_pin(area, 1000, RCL_READ, &pins[0]));
	rcl_unpin(&pins[0]);
	assert_true(read_stats(machine, NULL).read - after.read > 8 * RCL_PAGE_SIZE);
	/* ... and far ahead: how far, that is for memory to say. */
	assert_in_range(area->file.ra_pages, 65, machine->m->totalram_pages / 6);
	assert_int_equal(__builtin_popcount(area->file.ra_pages), 1);
	assert_ok(rcl_area_advise(area, 0, 0, RCL_ADVISE_NORMAL));
	assert_int_equal(area->file.ra_pages, 32);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
}

/* How many of the first nr pages are in memory. */
static uint64_t count_resident(struct rcl_area *area, uint64_t nr)
{
	uint64_t here = 0;

	for (uint64_t i = 0; i < nr; i++) {
		struct rcl_pin pin;

		if (rcl_pin(area, i, RCL_READ | RCL_TRY, &pin))
			continue;
		here++;
		rcl_unpin(&pin);
	}
	return here;
}

static void read_all(struct rcl_area *area, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		struct rcl_pin pin;

		assert_ok(rcl_pin(area, i, RCL_READ, &pin));
		assert_int_equal(*(char *)pin.addr, byte_at(i * RCL_PAGE_SIZE));
		rcl_unpin(&pin);
	}
}

/* Read a long file from its start to its end: what is left of another one, that was read before? */
static uint64_t left_after_stream(enum rcl_area_advice order, uint64_t group_max)
{
	enum {
		KEPT = 512,
		LONG = 16384
	};
	struct rcl_machine *machine = open_machine(group_max ? 64 * MIB : 16 * MIB, 0);
	struct rcl_group *group = NULL;
	struct rcl_area *kept, *stream;
	uint64_t left;

	make_file("kept", KEPT * RCL_PAGE_SIZE);
	make_file("long", LONG * RCL_PAGE_SIZE);
	if (group_max) {
		assert_ok(rcl_group_create(machine, NULL, "g", &group));
		assert_ok(rcl_group_set_max(group, group_max));
	}
	assert_ok(rcl_area_file(machine, group, folder_file(&folder, "kept"), 0, &kept));
	assert_ok(rcl_area_file(machine, group, folder_file(&folder, "long"), 0, &stream));
	read_all(kept, KEPT);
	assert_ok(rcl_area_advise(stream, 0, 0, order));
	read_all(stream, LONG);
	left = count_resident(kept, KEPT);
	assert_ok(rcl_area_close(kept));
	assert_ok(rcl_area_close(stream));
	if (group)
		assert_ok(rcl_group_destroy(group));
	assert_ok(rcl_close(machine));
	return left;
}

/* A stream makes room for itself, in the machine and in a group: others' pages stay. */
static void test_streams_pay_for_themselves(void **state)
{
	(void)state;
	assert_in_range(left_after_stream(RCL_ADVISE_NORMAL, 0), 0, 100);
	/* (kswapd may come in between.) */
	assert_in_range(left_after_stream(RCL_ADVISE_SEQUENTIAL, 0), 400, 512);
	assert_in_range(left_after_stream(RCL_ADVISE_SEQUENTIAL, 16 * MIB), 400, 512);
}

/* An error of writing is told once to each area that was open, and counted. */
static void test_write_errors(void **state)
{
	struct rcl_host_fault_rule rule = {.kind = RCL_FAULT_ERROR,
					   .dev = RCL_FAULT_ANY,
					   .op = RCL_IO_WRITE,
					   .nth = 1,
					   .amount = ENOSPC};
	struct rcl_host_faults faults = {.seed = 1, .nr_rules = 1, .rules = &rule};
	struct rcl_options opt = {.size = sizeof(opt), .budget = 4 * MIB};
	struct rcl_machine *machine;
	struct rcl_area *area, *other;

	(void)state;
	make_file("e", 100 * RCL_PAGE_SIZE);
	assert_ok(rcl_open_with_faults(&opt, &faults, &machine, NULL));
	area = open_area(machine, "e", RCL_AREA_WRITE);
	other = open_area(machine, "e", 0);
	write_page(area, 5, 5);
	assert_int_equal(rcl_area_sync(area, 0, 0), -ENOSPC);
	assert_ok(rcl_area_sync(area, 0, 0));
	assert_int_equal(rcl_area_sync(other, 0, 0), -ENOSPC);
	assert_ok(rcl_area_sync(other, 0, 0));
	assert_true(read_stats(machine, NULL).io_errors >= 1);
	assert_ok(rcl_area_close(other));
	/* Closing tells, and closes all the same. */
	write_page(area, 6, 6);
	assert_int_equal(rcl_area_close(area), -ENOSPC);
	assert_true(read_stats(machine, NULL).io_errors >= 2);
	assert_ok(rcl_close(machine));
}

/* A page that cannot be read is an error to whoever wants it, and can be read later. */
static void test_read_errors(void **state)
{
	struct rcl_host_fault_rule rule = {.kind = RCL_FAULT_ERROR,
					   .dev = RCL_FAULT_ANY,
					   .op = RCL_IO_READ,
					   .first_block = 30,
					   .nr_blocks = 1,
					   .nth = 1,
					   .amount = EIO};
	struct rcl_host_faults faults = {.seed = 1, .nr_rules = 1, .rules = &rule};
	struct rcl_options opt = {.size = sizeof(opt), .budget = 4 * MIB};
	struct rcl_machine *machine;
	struct rcl_pin pins[64], pin;
	struct rcl_area *area;

	(void)state;
	make_file("e", 100 * RCL_PAGE_SIZE);
	assert_ok(rcl_open_with_faults(&opt, &faults, &machine, NULL));
	area = open_area(machine, "e", 0);
	assert_int_equal(rcl_pin(area, 30, RCL_READ, &pin), -EIO);
	assert_null(pin.addr);
	assert_int_equal(rcl_pin_range(area, 0, 64, RCL_READ, pins), -EIO);
	assert_null(pins[0].addr);
	assert_ok(rcl_pin_range(area, 31, 60, RCL_READ, pins));
	rcl_unpin_batch(pins, 60);
	rule.nth = 0; /* the disk has recovered */
	assert_ok(rcl_pin(area, 30, RCL_READ, &pin));
	assert_int_equal(*(char *)pin.addr, byte_at(30 * RCL_PAGE_SIZE));
	rcl_unpin(&pin);
	assert_ok(rcl_area_close(area));
	assert_ok(rcl_close(machine));
}

static void test_overwrite_of_a_file(void **state)
{
	struct rcl_machine *machine = open_machine(8 * MIB, 0);
	static char buf[RCL_PAGE_SIZE];
	struct rcl_stats before, after;
	struct rcl_area *area;
	struct rcl_pin pin;

	(void)state;
	make_file("o", 500 * RCL_PAGE_SIZE);
	area = open_area(machine, "o", RCL_AREA_WRITE);
	before = read_stats(machine, NULL);
	for (uint64_t i = 0; i < 500; i++) {
		assert_ok(rcl_pin(area, i, RCL_OVERWRITE, &pin));
		fill_page(pin.addr, i);
		rcl_unpin(&pin);
	}
	after = read_stats(machine, NULL);
	assert_int_equal(after.read, before.read);
	assert_ok(rcl_area_close(area));
	for (uint64_t i = 0; i < 500; i++) {
		read_disk("o", i, buf);
		assert_true(page_is(buf, i));
	}
	assert_ok(rcl_close(machine));
}

static int set_up(void **state)
{
	(void)state;
	folder_make(&folder);
	return 0;
}
static int tear_down(void **state)
{
	(void)state;
	folder_remove(&folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_sync_is_on_disk),
		cmocka_unit_test(test_tail),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_punch),
		cmocka_unit_test(test_sharing),
		cmocka_unit_test(test_many_files),
		cmocka_unit_test(test_prefetch_and_order),
		cmocka_unit_test(test_streams_pay_for_themselves),
		cmocka_unit_test(test_write_errors),
		cmocka_unit_test(test_read_errors),
		cmocka_unit_test(test_overwrite_of_a_file),
	};

	alarm(WATCHDOG_SECONDS);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
