/* SPDX-License-Identifier: MIT */
/*
 * Options of trace formats: "csv:obj-id-col=2,obj-size-col=3,delimiter=;".
 *
 * Names and quirks are those of libCacheSim's trace parameters, so that a command line for one
 * works for the other: `_` for `-`, `size-col` and `field` for `col`, blanks after a comma, and
 * "delimiter=,," for a comma. Only unit, size and write-op are ours. Each option is one row of a
 * table; what a row's value is stored as is decided by its type.
 */
#include "trace/options.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum value_type {
	VALUE_NUMBER, /* 1 .. max, into a uint32_t */
	VALUE_BOOL,   /* into an int8_t */
	VALUE_CHAR,
	VALUE_WORD,
};

static const struct option {
	const char *name;
	enum rcl_trace_option group;
	enum value_type type;
	size_t offset;
	uint32_t max;
} options[] = {
#define OPTION(name, group, type, field, max)                                                      \
	{                                                                                          \
		name, group, type, offsetof(struct rcl_trace_options, field), max                  \
	}
	OPTION("unit", RCL_OPT_UNIT, VALUE_NUMBER, unit, RCL_OPT_UNIT_MAX),
	OPTION("size", RCL_OPT_SIZE, VALUE_NUMBER, size, UINT32_MAX),
	OPTION("time-col", RCL_OPT_COLUMNS, VALUE_NUMBER, time_col, RCL_OPT_COLUMN_MAX),
	OPTION("obj-id-col", RCL_OPT_COLUMNS, VALUE_NUMBER, id_col, RCL_OPT_COLUMN_MAX),
	OPTION("obj-size-col", RCL_OPT_COLUMNS, VALUE_NUMBER, size_col, RCL_OPT_COLUMN_MAX),
	OPTION("size-col", RCL_OPT_COLUMNS, VALUE_NUMBER, size_col, RCL_OPT_COLUMN_MAX),
	OPTION("op-col", RCL_OPT_COLUMNS, VALUE_NUMBER, op_col, RCL_OPT_COLUMN_MAX),
	OPTION("delimiter", RCL_OPT_COLUMNS, VALUE_CHAR, delimiter, 0),
	OPTION("has-header", RCL_OPT_COLUMNS, VALUE_BOOL, header, 0),
	OPTION("header", RCL_OPT_COLUMNS, VALUE_BOOL, header, 0),
	OPTION("obj-id-is-num", RCL_OPT_COLUMNS, VALUE_BOOL, id_is_num, 0),
	OPTION("write-op", RCL_OPT_COLUMNS, VALUE_WORD, write_op, 0),
#undef OPTION
};

#define NR_OPTIONS (sizeof(options) / sizeof(options[0]))

/* A piece of the option text. */
struct piece {
	const char *at;
	size_t size;
};

/* Equal, with `_` as `-`, `field` as `col`, and any case. */
static int name_matches(struct piece got, const char *name)
{
	char buf[32];
	char *field;

	if (got.size >= sizeof(buf))
		return 0;
	for (size_t i = 0; i < got.size; i++)
		buf[i] = got.at[i] == '_' ? '-' : got.at[i];
	buf[got.size] = '\0';
	field = got.size > 6 ? buf + got.size - 6 : NULL;
	if (field && !strcasecmp(field, "-field"))
		strcpy(field, "-col");
	return !strcasecmp(buf, name);
}

static const struct option *option_find(struct piece name)
{
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		if (name_matches(name, options[i].name))
			return &options[i];
	}
	return NULL;
}

static int unknown(struct piece name, const char *format, uint32_t accepted, struct rcl_error *err)
{
	char list[256] = "";
	size_t n = 0;

	for (size_t i = 0; i < NR_OPTIONS; i++) {
		if (options[i].group & accepted)
			n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "",
					      options[i].name);
	}
	return rcl_error_set(err, -EINVAL, "format %s has no option '%.*s' (it has: %s)", format,
			     (int)name.size, name.at, n ? list : "none");
}

static int number(struct piece value, const struct option *o, uint32_t *out, struct rcl_error *err)
{
	unsigned long long v = 0;
	size_t i;

	for (i = 0; i < value.size && value.at[i] >= '0' && value.at[i] <= '9' && v <= UINT32_MAX;
	     i++)
		v = v * 10 + (unsigned long long)(value.at[i] - '0');
	if (!value.size || i < value.size || !v || v > o->max)
		return rcl_error_set(err, -EINVAL, "option %s: '%.*s' is not a number from 1 to %u",
				     o->name, (int)value.size, value.at, o->max);
	*out = (uint32_t)v;
	return 0;
}

static int boolean(struct piece value, const struct option *o, int8_t *out, struct rcl_error *err)
{
	static const char *const words[] = {"false", "true", "0", "1", "no", "yes"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strlen(words[i]) == value.size &&
		    !strncasecmp(words[i], value.at, value.size)) {
			*out = i & 1;
			return 0;
		}
	}
	return rcl_error_set(err, -EINVAL, "option %s: '%.*s' is neither true nor false", o->name,
			     (int)value.size, value.at);
}

static int store(struct rcl_trace_options *opt, const struct option *o, struct piece value,
		 struct rcl_error *err)
{
	char *field = (char *)opt + o->offset;

	switch (o->type) {
	case VALUE_NUMBER:
		return number(value, o, (uint32_t *)(void *)field, err);
	case VALUE_BOOL:
		return boolean(value, o, (int8_t *)field, err);
	case VALUE_CHAR:
		if (value.size == 2 && !memcmp(value.at, "\\t", 2))
			value = (struct piece){"\t", 1};
		if (value.size != 1 || strchr("\r\n\"", *value.at))
			return rcl_error_set(err, -EINVAL, "option %s: '%.*s' is not one character",
					     o->name, (int)value.size, value.at);
		*field = *value.at;
		return 0;
	case VALUE_WORD:
		if (!value.size || value.size >= sizeof(opt->write_op))
			return rcl_error_set(
				err, -EINVAL, "option %s: '%.*s' is not 1 to %zu characters",
				o->name, (int)value.size, value.at, sizeof(opt->write_op) - 1);
		memcpy(field, value.at, value.size);
		field[value.size] = '\0';
		return 0;
	}
	return 0;
}

/* The value from `p` on. A delimiter that looks empty is the comma that ended it. */
static struct piece take_value(const char *p, const struct option *o)
{
	struct piece value = {p, strcspn(p, ",;")};

	if (o->type == VALUE_CHAR && !value.size)
		value = *p ? (struct piece){p, 1} : (struct piece){",", 1};
	if (o->type == VALUE_CHAR && value.size == 1 && *p == '\\')
		value = (struct piece){p + 1, 1};
	while (value.size > 1 && value.at[value.size - 1] == ' ')
		value.size--;
	return value;
}

int rcl_trace_options_parse(struct rcl_trace_options *opt, const char *text, const char *format,
			    uint32_t accepted, struct rcl_error *err)
{
	const char *p = text ? text : "";

	*opt = (struct rcl_trace_options){.header = -1, .id_is_num = -1};
	for (;;) {
		const struct option *o;
		struct piece name, value;
		int rc;

		p += strspn(p, " ,;");
		if (!*p)
			return 0;
		name = (struct piece){p, strcspn(p, "=,;")};
		o = option_find(name);
		if (!o || !(o->group & accepted))
			return unknown(name, format, accepted, err);
		if (p[name.size] != '=')
			return rcl_error_set(err, -EINVAL, "option %s has no value (%s=...)",
					     o->name, o->name);
		value = take_value(p + name.size + 1, o);
		rc = store(opt, o, value, err);
		if (rc)
			return rc;
		p = value.at + value.size;
	}
}
