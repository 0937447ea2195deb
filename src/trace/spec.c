/* SPDX-License-Identifier: MIT */
/*
 * The specification language, read as its first implementation reads it: each line is matched with
 * sscanf against one pattern after the other. That reader is lenient (blanks where they please,
 * "seed7", "+5", "-1" for the largest number, numbers as 1e-3 or 0x1p-4, anything behind the last
 * number), and it never complains: a misspelt directive is passed over, an unknown pattern is a
 * zipf, and a range of no pages divides by zero.
 *
 * So the numbers here are still sscanf's, in the "C" locale, which keeps every specification that
 * means something meaning the same. What means nothing is an error with its line: whatever is
 * left on a line that is not a comment, words that are not in the language, streams without a
 * phase, pages that a record or the mapping does not have, shares that are not shares.
 */
#define _GNU_SOURCE 1
#include "trace/spec.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/tracegen.h"

#define LINE_BYTES     512u /* what the first implementation reads at once, its terminator included */
#define SHARES_EPSILON 1e-9

struct parser {
	struct rcl_spec *spec;
	const char *name;
	unsigned int line;
	char text[LINE_BYTES];
	struct rcl_error *err;
};

__attribute__((format(printf, 3, 4))) static int fail(struct parser *p, unsigned int line,
						      const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return rcl_error_set(p->err, -EINVAL, "%s: line %u: %s", p->name, line, why);
}

/* Nothing but blanks and a comment from `rest` on? */
static bool is_blank(const char *rest)
{
	rest += strspn(rest, " \t\r\n\v\f");
	return !*rest || *rest == '#';
}

/* ---- directives with one number ------------------------------------------------------------ */

/* 1: the line is `directive` with *value; 0: it is another; negative: it is it, but wrong. */
static int take_number(struct parser *p, const char *directive, unsigned long long *value)
{
	const char *at = p->text + strspn(p->text, " \t\r\n\v\f");
	size_t length = strlen(directive);
	int used = 0;

	if (strncmp(at, directive, length))
		return 0;
	errno = 0;
	if (sscanf(at + length, "%llu%n", value, &used) != 1)
		return fail(p, p->line, "%s needs a number: '%s'", directive, p->text);
	if (errno == ERANGE)
		return fail(p, p->line, "%s: the number exceeds 64 bits: '%s'", directive, p->text);
	if (!is_blank(at + length + used))
		return fail(p, p->line, "more than a number after %s: '%s'", directive, p->text);
	return 1;
}

static int take_pages(struct parser *p, const char *directive, uint64_t *pages)
{
	unsigned long long v;
	int rc = take_number(p, directive, &v);

	if (rc != 1)
		return rc;
	if (v > RCL_TRACEGEN_PAGES_MAX)
		return fail(p, p->line, "%s: %llu pages are more than a trace can number (%u)",
			    directive, v, RCL_TRACEGEN_PAGES_MAX);
	*pages = v;
	return 1;
}

static int take_seed(struct parser *p)
{
	unsigned long long v;
	int rc = take_number(p, "seed", &v);

	if (rc != 1)
		return rc;
	if (p->spec->nr_phases)
		return fail(p, p->line, "seed has to stand before the first phase");
	p->spec->seed = v;
	return 1;
}

static int phase_check(struct parser *p);

static int take_phase(struct parser *p)
{
	struct rcl_spec *spec = p->spec;
	unsigned long long ops;
	int rc = take_number(p, "phase", &ops);

	if (rc != 1)
		return rc;
	rc = phase_check(p);
	if (rc)
		return rc;
	if (ops > RCL_TRACEGEN_RECORDS_MAX - spec->ops)
		return fail(p, p->line, "phase: %llu accesses are too many", ops);
	if (spec->nr_phases == spec->phases_max) {
		size_t max = spec->phases_max ? 2 * spec->phases_max : 8;
		struct rcl_spec_phase *phases = realloc(spec->phases, max * sizeof(*phases));

		if (!phases)
			return rcl_error_set(p->err, -ENOMEM, "%s: out of memory", p->name);
		spec->phases = phases;
		spec->phases_max = max;
	}
	spec->phases[spec->nr_phases++] = (struct rcl_spec_phase){.ops = ops, .line = p->line};
	spec->ops += ops;
	return 1;
}

/* ---- streams ------------------------------------------------------------------------------- */

static int stream_words(struct parser *p, const char *kind, const char *pattern,
			struct rcl_spec_stream *s)
{
	if (!strcmp(kind, "anon"))
		s->kind = RCL_ACCESS_ANON;
	else if (!strcmp(kind, "pread"))
		s->kind = RCL_ACCESS_FILE;
	else if (!strcmp(kind, "mmap"))
		s->kind = RCL_ACCESS_MMAP;
	else
		return fail(p, p->line, "unknown kind '%s' (anon, pread or mmap)", kind);
	if (!strcmp(pattern, "scan"))
		s->pattern = RCL_PATTERN_SCAN;
	else if (!strcmp(pattern, "uniform"))
		s->pattern = RCL_PATTERN_UNIFORM;
	else if (!strcmp(pattern, "zipf"))
		s->pattern = RCL_PATTERN_ZIPF;
	else
		return fail(p, p->line, "unknown pattern '%s' (scan, uniform or zipf)", pattern);
	return 0;
}

static int stream_numbers(struct parser *p, const struct rcl_spec_stream *s, uint64_t ops)
{
	uint64_t last;

	if (!(s->share >= 0 && s->share <= 1))
		return fail(p, p->line, "the share %g is not between 0 and 1", s->share);
	if (!(s->write >= 0 && s->write <= 1))
		return fail(p, p->line, "the share of writes %g is not between 0 and 1", s->write);
	if (!isfinite(s->arg))
		return fail(p, p->line, "the argument %g is not a number", s->arg);
	/* The stride is cut to an integer; its multiples have to stay within 64 bits. */
	if (s->pattern == RCL_PATTERN_SCAN &&
	    (s->arg < 0 || s->arg >= 0x1p63 ||
	     __builtin_mul_overflow((uint64_t)s->arg, ops, &last)))
		return fail(p, p->line, "the stride %g is not one that %llu accesses can take",
			    s->arg, (unsigned long long)ops);
	if (s->lo >= s->hi)
		return fail(p, p->line, "the range %llu %llu has no page",
			    (unsigned long long)s->lo, (unsigned long long)s->hi);
	if (s->hi > RCL_TRACEGEN_PAGES_MAX)
		return fail(p, p->line,
			    "the range ends at %llu, beyond what a trace can number (%u)",
			    (unsigned long long)s->hi, RCL_TRACEGEN_PAGES_MAX);
	return 0;
}

static int take_stream(struct parser *p)
{
	struct rcl_spec *spec = p->spec;
	struct rcl_spec_phase *phase = spec->nr_phases ? &spec->phases[spec->nr_phases - 1] : NULL;
	struct rcl_spec_stream s = {.line = p->line};
	char kind[16], pattern[16];
	unsigned long long lo, hi;
	const char *rest;
	int used = 0, rc;

	rest = p->text + strspn(p->text, " \t\r\n\v\f");
	if (strncmp(rest, "stream", 6))
		return 0;
	rest += 6;
	errno = 0;
	if (sscanf(rest, " %lf %15s %15s %lf %lf%n", &s.share, kind, pattern, &s.arg, &s.write,
		   &used) != 5)
		return fail(p, p->line, "stream needs P KIND PATTERN ARG W [LO HI]: '%s'", p->text);
	rest += used;
	if (!phase)
		return fail(p, p->line, "a stream has to follow a phase");
	if (phase->nr_streams == RCL_SPEC_STREAMS)
		return fail(p, p->line, "a phase has at most %u streams", RCL_SPEC_STREAMS);
	rc = stream_words(p, kind, pattern, &s);
	if (rc)
		return rc;
	s.hi = s.kind == RCL_ACCESS_ANON ? spec->anon : spec->file;
	used = 0;
	if (!is_blank(rest) && sscanf(rest, " %llu %llu%n", &lo, &hi, &used) == 2) {
		s.lo = lo;
		s.hi = hi;
	}
	if (errno == ERANGE)
		return fail(p, p->line, "a number is out of range: '%s'", p->text);
	if (!is_blank(rest + used))
		return fail(p, p->line, "not a page range at the end: '%s'", p->text);
	rc = stream_numbers(p, &s, phase->ops);
	if (rc)
		return rc;
	phase->streams[phase->nr_streams++] = s;
	return 1;
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* The last phase is complete: can its streams make its accesses? */
static int phase_check(struct parser *p)
{
	const struct rcl_spec *spec = p->spec;
	const struct rcl_spec_phase *phase;
	double sum = 0;

	if (!spec->nr_phases)
		return 0;
	phase = &spec->phases[spec->nr_phases - 1];
	if (!phase->nr_streams && phase->ops)
		return fail(p, phase->line, "a phase of %llu accesses has no stream to make them",
			    (unsigned long long)phase->ops);
	for (uint32_t i = 0; i + 1 < phase->nr_streams; i++)
		sum += phase->streams[i].share;
	if (sum > 1 + SHARES_EPSILON)
		return fail(p, phase->streams[phase->nr_streams - 1].line,
			    "the shares before this stream add up to %g", sum);
	return 0;
}

/* Mappings can be declared at any point; what counts is how large they are in the end. */
static int ranges_check(struct parser *p)
{
	const struct rcl_spec *spec = p->spec;

	for (size_t i = 0; i < spec->nr_phases; i++) {
		const struct rcl_spec_phase *phase = &spec->phases[i];

		for (uint32_t k = 0; k < phase->nr_streams; k++) {
			const struct rcl_spec_stream *s = &phase->streams[k];
			bool anon = s->kind == RCL_ACCESS_ANON;
			uint64_t pages = anon ? spec->anon : spec->file;

			if (s->hi > pages)
				return fail(p, s->line,
					    "the range ends at %llu, but %s has %llu pages",
					    (unsigned long long)s->hi, anon ? "anon" : "file",
					    (unsigned long long)pages);
		}
	}
	return 0;
}

static int parse_line(struct parser *p)
{
	int rc;

	if (is_blank(p->text))
		return 0;
	rc = take_seed(p);
	if (!rc)
		rc = take_pages(p, "anon", &p->spec->anon);
	if (!rc)
		rc = take_pages(p, "file", &p->spec->file);
	if (!rc)
		rc = take_phase(p);
	if (!rc)
		rc = take_stream(p);
	if (!rc)
		rc = fail(p, p->line, "not seed, anon, file, phase or stream: '%s'", p->text);
	return rc < 0 ? rc : 0;
}

/* Copy the next line into p->text. */
static int take_line(struct parser *p, const char **text, const char *end)
{
	const char *eol = memchr(*text, '\n', (size_t)(end - *text));
	const char *line = *text;
	size_t n = (size_t)((eol ? eol : end) - line);

	*text = eol ? eol + 1 : end;
	p->line++;
	p->text[0] = '\0';
	if (memchr(line, '\0', n))
		return fail(p, p->line, "a zero byte: this is not a specification");
	while (n && (line[n - 1] == '\r' || line[n - 1] == ' '))
		n--;
	if (n >= LINE_BYTES) {
		/* The first implementation would read the rest as a line of its own. */
		while (n && (*line == ' ' || *line == '\t')) {
			line++;
			n--;
		}
		if (*line == '#')
			return 0;
		return fail(p, p->line, "the line has %zu bytes, %u are the most", n,
			    LINE_BYTES - 1);
	}
	memcpy(p->text, line, n);
	p->text[n] = '\0';
	return 0;
}

static int parse_all(struct parser *p, const char *text, const char *end)
{
	int rc = 0;

	while (!rc && text < end) {
		rc = take_line(p, &text, end);
		if (!rc)
			rc = parse_line(p);
	}
	if (!rc)
		rc = phase_check(p);
	if (!rc)
		rc = ranges_check(p);
	if (!rc && !p->spec->ops)
		rc = rcl_error_set(p->err, -ENODATA, "%s: the specification makes no access",
				   p->name);
	return rc;
}

int rcl_spec_parse(struct rcl_spec *spec, const char *text, size_t size, const char *name,
		   struct rcl_error *err)
{
	struct parser p = {.spec = spec, .name = name, .err = err};
	locale_t c_locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0), before;
	int rc;

	memset(spec, 0, sizeof(*spec));
	if (!c_locale)
		return rcl_error_set(err, -ENOMEM, "%s: out of memory", name);
	before = uselocale(c_locale);
	rc = parse_all(&p, text, text + size);
	uselocale(before);
	freelocale(c_locale);
	return rc;
}

void rcl_spec_free(struct rcl_spec *spec)
{
	free(spec->phases);
	memset(spec, 0, sizeof(*spec));
}
