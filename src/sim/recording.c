/* SPDX-License-Identifier: MIT */
/*
 * Reading recordings and turning them into runs; see recording.h for the format.
 *
 * What a recording tells about the machine it was made on is used as it stands: the zones' managed
 * pages are the layout; vm.min_free_kbytes is the one value that gives each zone the min watermark
 * it had; the free pages, the LRU sizes and the group's charges at the start are put there before
 * the first access. Nothing is chosen to make the counters at the end come out.
 */
#include "sim/recording.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/size.h"

/* The part of a line not yet read. Never past the line's end. */
struct cursor {
	const char *at, *end;
};

/* The next word, cut to fit buf; false at the end of the line. */
static bool next_word(struct cursor *c, char *buf, size_t size)
{
	size_t n = 0;

	while (c->at < c->end && isspace((unsigned char)*c->at))
		c->at++;
	if (c->at == c->end)
		return false;
	for (; c->at < c->end && !isspace((unsigned char)*c->at); c->at++)
		if (n + 1 < size)
			buf[n++] = *c->at;
	buf[n] = 0;
	return true;
}

static bool parse_number(const char *s, s64 *out)
{
	char *end;

	errno = 0;
	long long v = strtoll(s, &end, 0);

	/* No counter is larger; differences and percentages of these do not overflow. */
	if (end == s || *end || errno || v > 1ll << 53 || v < -(1ll << 53))
		return false;
	*out = v;
	return true;
}

/* Split "key=value" in place; NULL when there is no '='. */
static char *split(char *word)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = 0;
	return value;
}

static void copy_text(char *dst, size_t size, const char *src)
{
	size_t n = min(strlen(src), size - 1);

	memcpy(dst, src, n);
	dst[n] = 0;
}

static const char *parse_setting(struct rcl_recording *rec, const char *key, const char *value)
{
	struct rcl_error err;
	s64 v = 0;

	if (!strcmp(key, "trace")) {
		copy_text(rec->trace, sizeof(rec->trace), value);
	} else if (!strcmp(key, "limit")) {
		rec->has_limit = strcmp(value, "none") && *value;
		if (rec->has_limit && rcl_size_parse(value, 0, &rec->limit, &err))
			return "limit is not a size";
	} else if (!strcmp(key, "lru_gen")) {
		if (!parse_number(value, &v))
			return "lru_gen is not a number";
		rec->lru_gen = (u32)v;
	} else if (!strcmp(key, "swappiness")) {
		if (!parse_number(value, &rec->swappiness))
			return "swappiness is not a number";
	} else if (!strcmp(key, "page_cluster")) {
		if (!parse_number(value, &rec->page_cluster))
			return "page_cluster is not a number";
	} else if (strcmp(key, "ram_mib") && strcmp(key, "kernel")) {
		size_t n = strlen(rec->unknown);

		snprintf(rec->unknown + n, sizeof(rec->unknown) - n, " %s=%s", key, value);
	}
	return NULL;
}

static const char *parse_settings(struct rcl_recording *rec, struct cursor c)
{
	char word[160];

	while (next_word(&c, word, sizeof(word))) {
		char *value = split(word);
		const char *wrong;

		if (!value)
			return "NAME=VALUE is needed";
		wrong = parse_setting(rec, word, value);
		if (wrong)
			return wrong;
	}
	return NULL;
}

static const char *parse_zones(struct rcl_recording *rec, struct cursor c)
{
	struct rcl_recorded_zone *z = NULL;
	char word[48], value[48];
	s64 v;

	while (next_word(&c, word, sizeof(word)) && next_word(&c, value, sizeof(value))) {
		if (!strcmp(word, "Node")) {
			if (rec->nr_zones == RCL_RECORDED_ZONES_MAX)
				return "too many zones";
			z = &rec->zones[rec->nr_zones++];
			if (value[0])
				value[strlen(value) - 1] = 0; /* the comma */
			if (!parse_number(value, &v) || v < 0 || v >= MAX_NODES)
				return "node number expected";
			z->node = (u32)v;
		} else if (!z) {
			return "Node expected";
		} else if (!strcmp(word, "zone")) {
			copy_text(z->name, sizeof(z->name), value);
		} else if (!parse_number(value, &v) || v < 0 || v > 1ll << 40) {
			return "number of pages expected";
		} else if (!strcmp(word, "min")) {
			z->min = (u64)v;
		} else if (!strcmp(word, "low")) {
			z->low = (u64)v;
		} else if (!strcmp(word, "high")) {
			z->high = (u64)v;
		} else if (!strcmp(word, "managed")) {
			z->managed = (u64)v;
		}
	}
	return NULL;
}

static const char *parse_counters(struct rcl_recorded_list pair[2], struct cursor c)
{
	struct rcl_recorded_list *list;
	char word[96];

	if (!next_word(&c, word, sizeof(word)) || (strcmp(word, "start") && strcmp(word, "end")))
		return "start or end expected";
	list = &pair[!strcmp(word, "end")];
	list->nr = 0;
	while (next_word(&c, word, sizeof(word))) {
		struct rcl_recorded_counter *n = &list->counter[list->nr];
		char *value = split(word);

		if (!value || !parse_number(value, &n->value))
			return "NAME=NUMBER expected";
		if (++list->nr == ARRAY_SIZE(list->counter))
			return "too many counters";
		copy_text(n->name, sizeof(n->name), word);
	}
	return NULL;
}

static const char *parse_time(struct rcl_recording *rec, struct cursor c)
{
	char word[96];

	while (next_word(&c, word, sizeof(word))) {
		char *value = split(word);
		s64 v;

		if (!value || !parse_number(value, &v))
			return "NAME=NUMBER expected";
		if (!strcmp(word, "ms"))
			rec->time_ms = (u64)v;
	}
	return NULL;
}

static const char *parse_line(struct rcl_recording *rec, struct cursor line)
{
	struct cursor c = line;
	char word[32];

	if (!next_word(&c, word, sizeof(word)))
		return NULL;
	if (!strcmp(word, "SETTINGS") || !strcmp(word, "GUEST"))
		return parse_settings(rec, c);
	if (!strcmp(word, "Node"))
		return parse_zones(rec, line);
	if (!strcmp(word, "VMSTAT"))
		return parse_counters(rec->vmstat, c);
	if (!strcmp(word, "MEMSTAT"))
		return parse_counters(rec->memstat, c);
	if (!strcmp(word, "TIME"))
		return parse_time(rec, c);
	if (!strcmp(word, "EXIT"))
		return next_word(&c, word, sizeof(word)) && !strcmp(word, "0")
			       ? NULL
			       : "the recorded program failed";
	return "unknown line";
}

int rcl_recording_parse(const char *name, const char *text, size_t size, struct rcl_recording *rec,
			struct rcl_error *err)
{
	const char *end = text + size;
	u32 number = 0;

	memset(rec, 0, sizeof(*rec));
	rec->swappiness = 60;
	rec->page_cluster = 3;
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		struct cursor line = {text, stop ? stop : end};
		const char *wrong = parse_line(rec, line);

		number++;
		if (wrong)
			return rcl_error_set(err, -EBADMSG, "%s:%u: %s", name, number, wrong);
		text = line.end + 1;
	}
	if (!rec->trace[0] || !rec->nr_zones || !rec->vmstat[0].nr || !rec->vmstat[1].nr)
		return rcl_error_set(err, -EBADMSG, "%s: not a whole recording: %s missing", name,
				     !rec->trace[0]   ? "SETTINGS trace=NAME"
				     : !rec->nr_zones ? "the zones"
						      : "VMSTAT start or end");
	return 0;
}

int rcl_recording_read(const char *path, struct rcl_recording *rec, struct rcl_error *err)
{
	/* Longer than any recording by far. */
	const size_t max = 1 << 20;
	FILE *f = fopen(path, "r");
	char *text;
	int ret;

	if (!f)
		return rcl_error_set(err, -errno, "%s: %s", path, strerror(errno));
	text = malloc(max);
	if (!text) {
		fclose(f);
		return rcl_error_set(err, -ENOMEM, "%s: out of memory", path);
	}
	size_t n = fread(text, 1, max, f);

	if (ferror(f))
		ret = rcl_error_set(err, -EIO, "%s: %s", path, strerror(errno));
	else if (n == max)
		ret = rcl_error_set(err, -EBADMSG, "%s: not a recording: too long", path);
	else
		ret = rcl_recording_parse(path, text, n, rec, err);
	free(text);
	fclose(f);
	return ret;
}

s64 rcl_recorded_get(const struct rcl_recorded_list *list, const char *name)
{
	for (u32 i = 0; i < list->nr; i++)
		if (!strcmp(list->counter[i].name, name))
			return list->counter[i].value;
	return 0;
}

static const char *const zone_names[MAX_NR_ZONES] = {"DMA", "DMA32", "Normal", "Movable"};

static int layout_of(const struct rcl_recording *rec, struct rcl_sim_request *req,
		     struct rcl_error *err)
{
	u64 total = 0;

	memset(req->nodes, 0, sizeof(req->nodes));
	for (u32 i = 0; i < rec->nr_zones; i++) {
		const struct rcl_recorded_zone *z = &rec->zones[i];
		u32 t = 0;

		if (!z->managed)
			continue;
		while (t < MAX_NR_ZONES && strcmp(z->name, zone_names[t]))
			t++;
		if (t == MAX_NR_ZONES || z->node >= ARRAY_SIZE(req->nodes))
			return rcl_error_set(err, -EINVAL, "zone %s of node %u is not modelled",
					     z->name, z->node);
		req->nodes[z->node].managed[t] += z->managed;
		req->nr_nodes = max(req->nr_nodes, z->node + 1);
		total += z->managed;
	}
	if (total < 256)
		return rcl_error_set(err, -EINVAL, "the recorded machine has no memory");
	return 0;
}

/*
 * Each zone's min watermark is its share of vm.min_free_kbytes rounded down to a page, so a few
 * values in a row may fit; the smallest is taken. 0 (computed by the engine) when none does.
 */
static s64 min_free_kbytes_of(const struct rcl_recording *rec)
{
	u64 total = 0, sum = 0;

	for (u32 i = 0; i < rec->nr_zones; i++) {
		total += rec->zones[i].managed;
		sum += rec->zones[i].min;
	}
	for (u64 pages = sum; pages <= sum + rec->nr_zones; pages++) {
		bool fits = true;

		for (u32 i = 0; i < rec->nr_zones; i++)
			fits &= pages * rec->zones[i].managed / total == rec->zones[i].min;
		if (fits)
			return (s64)(pages * 4);
	}
	return 0;
}

/*
 * The guest's kernel computes what DMA keeps in reserve for its own users before it has the memory
 * of the initrd and of its start-up code back: the ratio that gives the same reserve from all of
 * the zone. (The reserves were read from /proc/zoneinfo of guests of 144 to 208 MiB.)
 */
#define GUEST_INIT_PAGES 2766
static s64 lowmem_reserve_ratio_of(const struct rcl_recording *rec)
{
	const u64 ratio = 256; /* the kernel's */
	u64 reserve, upper = 0;

	for (u32 i = 0; i < rec->nr_zones; i++)
		if (strcmp(rec->zones[i].name, "DMA"))
			upper += rec->zones[i].managed;
	if (upper <= GUEST_INIT_PAGES)
		return (s64)ratio;
	reserve = (upper - GUEST_INIT_PAGES) / ratio;
	return reserve ? (s64)(upper / reserve) : (s64)ratio;
}

/* What was in memory when the counting began. */
static void start_of(const struct rcl_recording *rec, struct rcl_sim_start *start)
{
	const struct rcl_recorded_list *vm = &rec->vmstat[0], *cg = &rec->memstat[0];
	s64 locked, anon;

	memset(start, 0, sizeof(*start));
	if (rec->has_limit) {
		locked = rcl_recorded_get(cg, "unevictable") / (s64)PAGE_SIZE;
		anon = rcl_recorded_get(cg, "anon") / (s64)PAGE_SIZE;
		start->file_pages = (u32)(rcl_recorded_get(cg, "file") / (s64)PAGE_SIZE);
		start->kernel_pages = (u32)(rcl_recorded_get(cg, "kernel") / (s64)PAGE_SIZE);
	} else {
		locked = rcl_recorded_get(vm, "nr_unevictable");
		anon = rcl_recorded_get(vm, "nr_anon_pages");
	}
	start->locked_pages = (u32)locked;
	start->anon_pages = (u32)(anon > locked ? anon - locked : 0);

	s64 inactive = rcl_recorded_get(vm, "nr_inactive_anon") - start->anon_pages;

	start->other_inactive_anon = (u64)(inactive > 0 ? inactive : 0);
	start->other_active_anon = (u64)rcl_recorded_get(vm, "nr_active_anon");
	start->free_pages = (u64)rcl_recorded_get(vm, "nr_free_pages");
	start->kernel_reclaimable = (u64)rcl_recorded_get(vm, "nr_slab_reclaimable");
	start->kernel_dma = (u64)rcl_recorded_get(vm, "pgalloc_dma");
}

int rcl_recording_request(const struct rcl_recording *rec, struct rcl_sim_request *req,
			  struct rcl_error *err)
{
	rcl_sim_request_init(req, NULL);
	req->limit = rec->has_limit ? rec->limit : RCL_SIM_NO_LIMIT;
	if (layout_of(rec, req, err))
		return -EINVAL;
	req->swap = 1ull << 30;
	req->nr_cpus = 1;
	req->device = "virtio";
	req->swap_device = "virtio";
	req->cost = "emulated";
	req->readahead = RCL_SIM_READAHEAD_OFF;
	req->seed = 1;
	start_of(rec, &req->start);
	/* mkfs gives a filesystem under 512 MiB blocks of 1 KiB, and the guest's has 400 MiB. */
	if (rcl_tunables_set(&req->tunables, "sim.fs_block_size", 1024) ||
	    rcl_tunables_set(&req->tunables, "vm.swappiness", rec->swappiness) ||
	    rcl_tunables_set(&req->tunables, "vm.page-cluster", rec->page_cluster) ||
	    rcl_tunables_set(&req->tunables, "vm.lowmem_reserve_ratio.dma",
			     lowmem_reserve_ratio_of(rec)) ||
	    rcl_tunables_set(&req->tunables, "vm.min_free_kbytes", min_free_kbytes_of(rec)))
		return rcl_error_set(err, -EINVAL, "a recorded setting is out of its range");
	return 0;
}

const char *const rcl_recording_counters[] = {
	"pgscan_anon",
	"pgscan_file",
	"pgsteal_anon",
	"pgsteal_file",
	"workingset_refault_anon",
	"workingset_refault_file",
	"workingset_activate_anon",
	"workingset_activate_file",
	"workingset_restore_anon",
	"workingset_restore_file",
	"pswpin",
	"pswpout",
	"pgmajfault",
	"pgactivate",
	"pgdeactivate",
	"pgrotated",
	"nr_written",
	"inactive_anon",
	"active_anon",
	"inactive_file",
	"active_file",
	NULL,
};

/* The place of a list in enum lru_list, or -1 when the counter is not a list's size. */
static int list_of(const char *counter)
{
	static const char *const lists[] = {"inactive_anon", "active_anon", "inactive_file",
					    "active_file"};

	for (int i = 0; i < (int)ARRAY_SIZE(lists); i++)
		if (!strcmp(counter, lists[i]))
			return i;
	return -1;
}

s64 rcl_recording_value(const struct rcl_recording *rec, const char *counter)
{
	char name[64];

	if (list_of(counter) < 0)
		return rcl_recorded_delta(rec->vmstat, counter);
	if (rec->has_limit)
		return rcl_recorded_get(&rec->memstat[1], counter) / (s64)PAGE_SIZE;
	snprintf(name, sizeof(name), "nr_%s", counter);
	return rcl_recorded_get(&rec->vmstat[1], name);
}

s64 rcl_recording_run_value(const struct rcl_recording *rec, const struct rcl_sim_result *res,
			    const char *counter)
{
	int list = list_of(counter);

	(void)rec; /* a run's lists are already the group's, or the machine's without a limit */
	return list < 0 ? rcl_sim_delta(&res->vmstat, counter) : (s64)res->lists[list];
}

s64 rcl_recording_bound(const struct rcl_recording *rec, const struct rcl_recording *repeat,
			const char *counter)
{
	s64 real = rcl_recording_value(rec, counter);
	s64 noise = 0;

	if (real < 1000)
		return 50;
	if (repeat) {
		noise = real - rcl_recording_value(repeat, counter);
		noise = 2 * (noise < 0 ? -noise : noise);
	}
	return max(real * (rec->has_limit ? 5 : 15) / 100, noise);
}
