/* SPDX-License-Identifier: MIT */
/*
 * Tables: one request a line, fields between delimiters.
 *
 * Which column is what comes from the options (counted from 1, as libCacheSim has it), or from the
 * names in a header line. Only four roles matter: the identifier, the size, the operation, and
 * everything else, which is passed over; so a line is one walk over its bytes with a small array
 * that says what each column is for.
 *
 * An identifier is an address when its column's name says in which unit (lbn, lba and sector: 512
 * bytes; offset: bytes; block: pages) or unit= does. Otherwise it names an object, with pages of
 * its own. A missing size column means one byte of it, so one page.
 *
 * Operations are words (read, r, get / write, w, set, ...) or SCSI commands in hexadecimal (28,
 * 2a). "0" and "1" mean opposite things in different collections; write-op= settles it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "trace/text.h"

enum role {
	ROLE_NONE,
	ROLE_ID,
	ROLE_SIZE,
	ROLE_OP,
};

struct csv_state {
	uint8_t roles[RCL_OPT_COLUMN_MAX]; /* of column 1, 2, ... */
	uint32_t columns;		   /* up to the last with a role */
	uint32_t unit;
	char delimiter;
	bool id_is_text;
};

/* A field of a line, without its quotes. */
struct field {
	const uint8_t *at, *end;
};

/* What the fields of a line say. */
struct row {
	uint64_t id, size;
	int direction;
};

/* ---- fields -------------------------------------------------------------------------------- */

/* The field at `p`: where it stops (at a delimiter or the newline). */
static inline const uint8_t *field_take(const uint8_t *p, char delimiter, struct field *f)
{
	uint8_t d = (uint8_t)delimiter;

	while (*p == ' ' && d != ' ')
		p++;
	if (__builtin_expect(*p == '"', 0)) {
		f->at = ++p;
		while (*p != '"' && *p != '\n')
			p++;
		f->end = p;
		while (*p != d && *p != '\n')
			p++;
		return p;
	}
	f->at = p;
	while (*p != d && *p != '\n')
		p++;
	f->end = p;
	/* Carriage returns belong to the line's end, blanks to nothing. */
	while (f->end > f->at && (f->end[-1] == '\r' || f->end[-1] == ' '))
		f->end--;
	return p;
}

static bool field_number(const struct field *f, uint64_t *value)
{
	const uint8_t *p = f->at;

	if (*p == '0' && (p[1] | 0x20) == 'x')
		return rcl_text_hex(p, value) == f->end;
	return rcl_text_decimal(p, value) == f->end;
}

/*
 * The field at `p` as a number: where it stops, or NULL. Almost every one is bare digits up to the
 * delimiter, and is read in one go; the others are taken as fields first.
 */
static inline const uint8_t *field_take_number(const uint8_t *p, char delimiter, uint64_t *value)
{
	const uint8_t *end = rcl_text_decimal(p, value);
	struct field f;

	if (__builtin_expect(end && (*end == (uint8_t)delimiter || *end == '\n'), 1))
		return end;
	end = field_take(p, delimiter, &f);
	return field_number(&f, value) ? end : NULL;
}

static bool field_is(const struct field *f, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(f->end - f->at) == n && !strncasecmp((const char *)f->at, word, n);
}

/* FNV-1a: identifiers that are not numbers are told apart by 64 bits. */
static uint64_t field_hash(const struct field *f)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (const uint8_t *p = f->at; p < f->end; p++)
		h = (h ^ *p) * 0x100000001b3ull;
	return h;
}

/* 0 read, 1 write, -1 neither; -2 when the field is no operation. */
static int field_direction(const struct rcl_trace *t, const struct field *f)
{
	static const struct {
		const char *word;
		int direction;
	} words[] = {
		{"r", 0},     {"w", 1},	       {"read", 0},   {"write", 1},  {"get", 0},
		{"set", 1},   {"gets", 0},     {"put", 1},    {"rs", 0},     {"ws", 1},
		{"rd", 0},    {"wr", 1},       {"add", 1},    {"cas", 1},    {"replace", 1},
		{"trim", -1}, {"discard", -1}, {"unmap", -1}, {"flush", -1}, {"delete", -1},
	};
	uint64_t code = 0;

	if (*t->options.write_op)
		return field_is(f, t->options.write_op);
	if (f->end - f->at <= 2 && rcl_text_hex(f->at, &code) == f->end) {
		int direction = rcl_scsi_direction((uint32_t)code);

		/* Two digits are a command, known here or not; a lone 0 or 1 may be anything. */
		if (f->end - f->at == 2 || direction >= 0)
			return direction;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (field_is(f, words[i].word))
			return words[i].direction;
	}
	return -2;
}

/* ---- the header ---------------------------------------------------------------------------- */

static const struct column_name {
	const char *name;
	enum role role;
	uint32_t unit; /* identifiers: of an address; 0: an object */
} column_names[] = {
	{"lbn", ROLE_ID, 512},
	{"lba", ROLE_ID, 512},
	{"sector", ROLE_ID, 512},
	{"offset", ROLE_ID, 1},
	{"block", ROLE_ID, RCL_TRACE_PAGE_SIZE},
	{"obj_id", ROLE_ID, 0},
	{"obj-id", ROLE_ID, 0},
	{"object", ROLE_ID, 0},
	{"id", ROLE_ID, 0},
	{"key", ROLE_ID, 0},
	{"size", ROLE_SIZE, 0},
	{"len", ROLE_SIZE, 0},
	{"length", ROLE_SIZE, 0},
	{"bytes", ROLE_SIZE, 0},
	{"obj_size", ROLE_SIZE, 0},
	{"obj-size", ROLE_SIZE, 0},
	{"op", ROLE_OP, 0},
	{"cmd", ROLE_OP, 0},
	{"operation", ROLE_OP, 0},
	{"type", ROLE_OP, 0},
};

static const struct column_name *column_named(const struct field *f)
{
	for (size_t i = 0; i < sizeof(column_names) / sizeof(column_names[0]); i++) {
		if (field_is(f, column_names[i].name))
			return &column_names[i];
	}
	return NULL;
}

/* The delimiter of a line: the one it has most of. */
static char delimiter_guess(const uint8_t *line)
{
	static const char candidates[] = {',', '\t', ';', '|', ' '};
	size_t best = 0, best_count = 0;

	for (size_t i = 0; i < sizeof(candidates); i++) {
		size_t count = 0;

		for (const uint8_t *p = line; *p != '\n'; p++)
			count += *p == (uint8_t)candidates[i];
		if (count > best_count) {
			best = i;
			best_count = count;
		}
	}
	return candidates[best];
}

static void role_set(struct csv_state *s, uint32_t column, enum role role)
{
	if (!column)
		return;
	s->roles[column - 1] = (uint8_t)role;
	if (column > s->columns)
		s->columns = column;
}

static bool role_taken(const struct csv_state *s, enum role role)
{
	return memchr(s->roles, role, sizeof(s->roles)) != NULL;
}

/* Give roles by the names in `line`, to columns and roles that have none yet. */
static void header_read(struct csv_state *s, const uint8_t *line)
{
	const uint8_t *p = line;

	for (uint32_t column = 1; column <= RCL_OPT_COLUMN_MAX; column++) {
		const struct column_name *name;
		struct field f;

		p = field_take(p, s->delimiter, &f);
		name = column_named(&f);
		if (name && !role_taken(s, name->role) && !s->roles[column - 1]) {
			role_set(s, column, name->role);
			if (name->role == ROLE_ID)
				s->unit = name->unit;
		}
		if (*p++ == '\n')
			return;
	}
}

/* Is there something else than a number in a column that has to hold one? */
static bool line_is_header(const struct csv_state *s, const uint8_t *line)
{
	const uint8_t *p = line;

	for (uint32_t column = 1; column <= s->columns; column++) {
		enum role role = s->roles[column - 1];
		struct field f;
		uint64_t v;

		p = field_take(p, s->delimiter, &f);
		if ((role == ROLE_SIZE || (role == ROLE_ID && !s->id_is_text)) &&
		    !field_number(&f, &v))
			return true;
		if (*p++ == '\n')
			break;
	}
	return false;
}

static void options_apply(struct csv_state *s, const struct rcl_trace_options *opt)
{
	role_set(s, opt->id_col, ROLE_ID);
	role_set(s, opt->size_col, ROLE_SIZE);
	role_set(s, opt->op_col, ROLE_OP);
	s->unit = opt->unit;
	s->id_is_text = opt->id_is_num == 0;
}

static bool csv_probe(const struct rcl_probe *probe)
{
	struct csv_state s = {0};
	uint8_t line[1024];

	if (!rcl_text_first_line(probe, line, sizeof(line)))
		return false;
	s.delimiter = delimiter_guess(line);
	header_read(&s, line);
	/* A name alone may be any word; two of them are a header. */
	return role_taken(&s, ROLE_ID) && (role_taken(&s, ROLE_SIZE) || role_taken(&s, ROLE_OP));
}

static int csv_columns(struct rcl_trace *t, const uint8_t *line, bool *header)
{
	struct csv_state *s = t->state;
	bool named = false;

	s->delimiter = t->options.delimiter ? t->options.delimiter : delimiter_guess(line);
	options_apply(s, &t->options);
	if (t->options.header != 0 && !t->options.id_col) {
		header_read(s, line);
		named = role_taken(s, ROLE_ID);
		if (t->options.unit)
			s->unit = t->options.unit;
	}
	if (!role_taken(s, ROLE_ID))
		return rcl_trace_fail_line(
			t, line, "no column is known to hold the identifier; say obj-id-col=N");
	*header = t->options.header > 0 || named ||
		  (t->options.header < 0 && line_is_header(s, line));
	return 0;
}

static int csv_start(struct rcl_trace *t)
{
	struct csv_state *s = t->state;
	const uint8_t *limit, *p;
	bool header = false;
	int rc;

	for (;;) {
		rc = rcl_text_lines(t, &limit);
		if (rc <= 0)
			return rc ? rc
				  : rcl_trace_fail(t, -ENODATA, "%s: the trace is empty (no line)",
						   rcl_input_name(&t->input));
		p = t->input.cur;
		if (!rcl_text_is_comment(p))
			break;
		rcl_text_used(t, rcl_text_next_line(p));
		t->line++;
	}
	rc = csv_columns(t, p, &header);
	if (rc)
		return rc;
	if (header) {
		rcl_text_used(t, rcl_text_next_line(p));
		t->line++;
	}
	rcl_trace_add_region(t, RCL_ACCESS_FILE, s->unit ? "file" : "objects", 0);
	return 0;
}

/* ---- the rows ------------------------------------------------------------------------------ */

/* Parse the line of `p`: NULL, or what is wrong with it. *next is set behind the line. */
static const char *parse(const struct rcl_trace *t, const struct csv_state *s, const uint8_t *p,
			 struct row *row, const uint8_t **next)
{
	*row = (struct row){.size = 1};
	for (uint32_t column = 0; column < s->columns; column++) {
		enum role role = (enum role)s->roles[column];
		struct field f;

		if (role == ROLE_SIZE) {
			p = field_take_number(p, s->delimiter, &row->size);
			if (!p)
				return "the size is not a number";
		} else if (role == ROLE_ID && !s->id_is_text) {
			p = field_take_number(p, s->delimiter, &row->id);
			if (!p)
				return "the identifier is not a number (for names: "
				       "obj-id-is-num=false)";
		} else {
			p = field_take(p, s->delimiter, &f);
		}
		if (role == ROLE_ID && s->id_is_text)
			row->id = field_hash(&f);
		if (role == ROLE_OP) {
			row->direction = field_direction(t, &f);
			if (row->direction == -2)
				return "unknown operation (read, write, 28, 2a, ..., or say which "
				       "writes with write-op=)";
		}
		if (*p == '\n' && column + 1 < s->columns)
			return "the line has too few fields";
		if (*p != '\n')
			p++;
	}
	*next = rcl_text_next_line(p);
	return NULL;
}

static int csv_next(struct rcl_trace *t, uint64_t *out, size_t max, size_t *n)
{
	struct csv_state *s = t->state;
	const uint8_t *p, *next, *limit;
	int rc;

	while ((rc = rcl_trace_emit(t, out, max, n)) == 0 && *n < max) {
		rc = rcl_text_lines(t, &limit);
		if (rc <= 0)
			return rc;
		for (p = t->input.cur; p < limit && *n < max && !t->rest.pages; p = next) {
			const char *wrong;
			struct row row;

			if (rcl_text_is_comment(p)) {
				next = rcl_text_next_line(p);
				t->line++;
				continue;
			}
			wrong = parse(t, s, p, &row, &next);
			if (!wrong && row.direction < 0)
				t->skipped++;
			else if (!wrong &&
				 rcl_trace_request(t, s->unit, row.id, row.size, row.direction))
				wrong = "the request exceeds 4 GiB, or ends beyond 2^64 pages";
			if (wrong) {
				rcl_text_used(t, p);
				return rcl_trace_fail_line(t, p, wrong);
			}
			t->line++;
			rc = rcl_trace_emit(t, out, max, n);
			if (rc)
				return rc;
		}
		rcl_text_used(t, p);
	}
	return rc;
}

const struct rcl_format rcl_format_csv = {
	.name = "csv",
	.help = "text: a table of requests with a header line, or options obj-id-col=N, "
		"obj-size-col=N, op-col=N, ... (and unit=BYTES, size=BYTES, write-op=WORD)",
	.options = RCL_OPT_UNIT | RCL_OPT_SIZE | RCL_OPT_COLUMNS,
	.state_size = sizeof(struct csv_state),
	.probe = csv_probe,
	.start = csv_start,
	.next = csv_next,
};
