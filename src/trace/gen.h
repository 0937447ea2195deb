/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_GEN_H
#define RCL_TRACE_GEN_H

#include <stddef.h>

#include "trace/error.h"
#include "trace/trace.h"

/*
 * Workloads from a short text, as traces. The same text gives the same bytes, everywhere.
 *
 * One directive a line; '#' starts a comment:
 *
 *   seed N         of the random numbers; before the first phase
 *   anon PAGES     pages of the anonymous mapping
 *   file PAGES     pages of the file
 *   phase OPS      a phase of OPS accesses, which the streams that follow make
 *   stream P KIND PATTERN ARG W [LO HI]
 *        P         share of the phase's accesses (the last stream takes the rest)
 *        KIND      anon; pread (read() and write() of the file); mmap (the file, mapped)
 *        PATTERN   scan (ARG: stride in pages); uniform (ARG unused); zipf (ARG: theta)
 *        W         share of its accesses that write
 *        LO HI     its pages, HI excluded; without them the whole mapping. Zipf's ranks are
 *                  shuffled over them, anew in each phase; a scan starts at LO in each phase.
 *
 * Mistakes are -EINVAL with the line's number.
 */

/*
 * Generate the trace of the specification in the file `spec_path` ("-": standard input) into
 * `out_path` ("-": standard output), in tracegen's format. A file that could not be finished is
 * removed.
 */
int rcl_gen(const char *spec_path, const char *out_path, struct rcl_error *err);

/*
 * The same straight into an image, from `size` bytes of specification; `name` stands for a path
 * in error texts. The caller owns the image (rcl_trace_image_free).
 */
int rcl_gen_image(const char *spec, size_t size, const char *name, struct rcl_trace_image **out,
		  struct rcl_error *err);

/* Read a file, or standard input for "-", for rcl_gen_image: *text is malloc'ed, for free(). */
int rcl_gen_read_spec(const char *path, char **text, size_t *size, struct rcl_error *err);

#endif
