/* SPDX-License-Identifier: MIT */
/*
 * Generating a trace: specification in, file or image out.
 *
 * The specification is read whole before anything is written, so that a mistake in its last line
 * leaves no file behind, and so that the header can be written first: its count of records is
 * known, and the output may be a pipe.
 */
#include "trace/gen.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace/image.h"
#include "trace/spec.h"
#include "trace/tracegen.h"
#include "trace/workload.h"

#define BATCH	       65536u	  /* records made at a time: 256 KiB */
#define SPEC_BYTES_MAX (1u << 20) /* a megabyte of directives is a wrong file */

/* ---- input --------------------------------------------------------------------------------- */

static int read_all(int fd, const char *name, char *text, size_t *size, struct rcl_error *err)
{
	size_t n = 0;

	for (;;) {
		ssize_t got = read(fd, text + n, SPEC_BYTES_MAX + 1 - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return rcl_error_set(err, -errno, "%s: cannot read at byte %zu: %s", name,
					     n, strerror(errno));
		n += (size_t)got;
		if (n > SPEC_BYTES_MAX)
			return rcl_error_set(err, -EINVAL,
					     "%s: more than %u bytes: this is not a specification",
					     name, SPEC_BYTES_MAX);
		if (!got)
			break;
	}
	*size = n;
	return 0;
}

static const char *input_name(const char *path)
{
	return strcmp(path, "-") ? path : "standard input";
}

int rcl_gen_read_spec(const char *path, char **text, size_t *size, struct rcl_error *err)
{
	bool is_stdin = !strcmp(path, "-");
	const char *name = input_name(path);
	int fd, rc;

	*text = malloc(SPEC_BYTES_MAX + 1);
	if (!*text)
		return rcl_error_set(err, -ENOMEM, "%s: out of memory", name);
	fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		rc = rcl_error_set(err, -errno, "%s: cannot open: %s", name, strerror(errno));
	else
		rc = read_all(fd, name, *text, size, err);
	if (fd >= 0 && !is_stdin)
		close(fd);
	if (rc) {
		free(*text);
		*text = NULL;
	}
	return rc;
}

/* ---- output to a file ---------------------------------------------------------------------- */

struct output {
	int fd;
	const char *name;
	uint64_t written;
};

static int write_all(struct output *o, const void *data, size_t size, struct rcl_error *err)
{
	const char *p = data;

	while (size) {
		ssize_t n = write(o->fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int code = n < 0 ? errno : EIO;

			return rcl_error_set(err, -code, "%s: cannot write at byte %llu: %s",
					     o->name, (unsigned long long)o->written,
					     strerror(code));
		}
		o->written += (uint64_t)n;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

static int write_header(struct output *o, const struct rcl_spec *spec, struct rcl_error *err)
{
	uint64_t header[RCL_TRACEGEN_HEADER / 8] = {
		htole64(spec->ops),
		htole64(spec->anon),
		htole64(spec->file),
	};

	return write_all(o, header, sizeof(header), err);
}

static int write_records(struct output *o, const struct rcl_spec *spec, const char *spec_name,
			 struct rcl_error *err)
{
	uint32_t *records = malloc(BATCH * sizeof(*records));
	struct rcl_workload *workload = NULL;
	ssize_t n = 0;
	int rc = 0;

	if (!records || rcl_workload_new(&workload, spec))
		rc = rcl_error_set(err, -ENOMEM, "%s: out of memory", spec_name);
	while (!rc && (n = rcl_workload_next(workload, records, BATCH, spec_name, err)) > 0)
		rc = write_all(o, records, (size_t)n * sizeof(*records), err);
	rcl_workload_free(workload);
	free(records);
	return rc ? rc : (int)n;
}

static int write_padding(struct output *o, const struct rcl_spec *spec, struct rcl_error *err)
{
	static const char zeros[RCL_TRACEGEN_ALIGN];

	return write_all(o, zeros, rcl_tracegen_size(spec->ops) - o->written, err);
}

static int write_trace(struct output *o, const struct rcl_spec *spec, const char *spec_name,
		       struct rcl_error *err)
{
	int rc = write_header(o, spec, err);

	if (!rc)
		rc = write_records(o, spec, spec_name, err);
	if (!rc)
		rc = write_padding(o, spec, err);
	return rc;
}

static int write_file(const char *path, const struct rcl_spec *spec, const char *spec_name,
		      struct rcl_error *err)
{
	struct output o = {.fd = STDOUT_FILENO, .name = "standard output"};
	struct stat st;
	int rc;

	if (!strcmp(path, "-"))
		return write_trace(&o, spec, spec_name, err);
	o.name = path;
	o.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (o.fd < 0)
		return rcl_error_set(err, -errno, "%s: cannot create: %s", path, strerror(errno));
	rc = write_trace(&o, spec, spec_name, err);
	/* A device or a pipe is not ours to remove. */
	if (rc && !fstat(o.fd, &st) && S_ISREG(st.st_mode))
		unlink(path);
	if (close(o.fd) && !rc)
		rc = rcl_error_set(err, -errno, "%s: cannot write: %s", path, strerror(errno));
	return rc;
}

int rcl_gen(const char *spec_path, const char *out_path, struct rcl_error *err)
{
	const char *name = input_name(spec_path);
	struct rcl_spec spec;
	size_t size;
	char *text;
	int rc = rcl_gen_read_spec(spec_path, &text, &size, err);

	if (rc)
		return rc;
	rc = rcl_spec_parse(&spec, text, size, name, err);
	if (!rc)
		rc = write_file(out_path, &spec, name, err);
	rcl_spec_free(&spec);
	free(text);
	return rc;
}

/* ---- output to an image -------------------------------------------------------------------- */

static int fill(struct rcl_image_builder *b, const struct rcl_tracegen_map *map,
		struct rcl_workload *workload, uint32_t *records, const char *name,
		struct rcl_error *err)
{
	for (;;) {
		uint64_t *at;
		size_t room, good;
		ssize_t n = 0;
		int rc = rcl_image_room(b, &at, &room);

		if (!rc) {
			n = rcl_workload_next(workload, records, room < BATCH ? room : BATCH, name,
					      err);
			if (n <= 0)
				return (int)n;
			/* The specification was checked: every record is good. */
			good = rcl_tracegen_decode(map, (const uint8_t *)records, (size_t)n, at);
			rc = rcl_image_add(b, good);
		}
		if (rc)
			return rcl_error_set(err, rc, "%s: out of memory", name);
	}
}

int rcl_gen_image(const char *text, size_t size, const char *name, struct rcl_trace_image **out,
		  struct rcl_error *err)
{
	uint32_t *records = malloc(BATCH * sizeof(*records));
	struct rcl_workload *workload = NULL;
	struct rcl_image_builder b = {0};
	struct rcl_tracegen_map map;
	struct rcl_spec spec;
	int rc = rcl_spec_parse(&spec, text, size, name, err);

	*out = NULL;
	if (rc)
		goto out;
	rcl_tracegen_map_init(&map, spec.anon, spec.file);
	if (!records || rcl_workload_new(&workload, &spec) ||
	    rcl_image_begin(&b, map.regions, map.nr_regions, spec.ops, true)) {
		rc = rcl_error_set(err, -ENOMEM, "%s: out of memory", name);
		goto out;
	}
	rc = fill(&b, &map, workload, records, name, err);
	if (!rc && rcl_image_end(&b, map.regions, map.nr_regions, "tracegen", "none", out))
		rc = rcl_error_set(err, -ENOMEM, "%s: out of memory", name);
out:
	rcl_image_abandon(&b);
	rcl_workload_free(workload);
	rcl_spec_free(&spec);
	free(records);
	return rc;
}
