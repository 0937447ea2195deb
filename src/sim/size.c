/* SPDX-License-Identifier: MIT */
#include "sim/size.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char units[] = "KMGTP";

/* The unit behind the digits: what one of it is in bytes, 0 for a share, -1 when unknown. */
static double unit_bytes(const char *s)
{
	double bytes = 1;

	if (!strcmp(s, "%"))
		return 0;
	if (*s) {
		for (const char *u = units; *u; u++) {
			bytes *= 1024;
			if ((*s & ~32) == *u) {
				s++;
				return !*s || !strcasecmp(s, "b") || !strcasecmp(s, "ib") ? bytes
											  : -1;
			}
		}
		return !strcasecmp(s, "b") ? 1 : -1;
	}
	return bytes;
}

int rcl_size_parse(const char *text, uint64_t whole, uint64_t *bytes, struct rcl_error *err)
{
	double value = 0, place = 1;
	const char *s = text;
	bool digits = false;

	for (; *s >= '0' && *s <= '9'; s++, digits = true)
		value = value * 10 + (*s - '0');
	if (*s == '.')
		for (s++; *s >= '0' && *s <= '9'; s++, digits = true)
			value += (*s - '0') * (place /= 10);
	if (!digits)
		return rcl_error_set(err, -EINVAL,
				     "'%.40s' is not a size (such as 96M, 1.5G or 40%%)", text);
	double unit = unit_bytes(s);

	if (unit < 0)
		return rcl_error_set(
			err, -EINVAL,
			"'%.40s' is not a size: unknown unit '%.20s' (K, M, G, T, P%s)", text, s,
			whole ? " or %" : "");
	if (unit == 0) {
		if (!whole)
			return rcl_error_set(err, -EINVAL,
					     "'%.40s': a share makes no sense here, give bytes",
					     text);
		unit = (double)whole / 100;
	}
	value = round(value * unit);
	/* 2^60 is more than any machine the engine can describe. */
	if (!(value <= 0x1p60))
		return rcl_error_set(err, -EINVAL, "'%.40s' is too large", text);
	*bytes = (uint64_t)value;
	return 0;
}

/* "1.50" -> "1.5", "2.00" -> "2" */
static void drop_zeros(char *number)
{
	char *end = number + strlen(number) - 1;

	while (*end == '0')
		*end-- = 0;
	if (*end == '.')
		*end = 0;
}

char *rcl_size_format(uint64_t bytes, char buf[RCL_SIZE_TEXT])
{
	double v = (double)bytes;
	int u = -1;

	while (v >= 1024 && u < (int)strlen(units) - 1) {
		v /= 1024;
		u++;
	}
	int decimals = v == floor(v) || u < 0 ? 0 : v < 10 ? 2 : v < 100 ? 1 : 0;

	snprintf(buf, RCL_SIZE_TEXT, "%.*f", decimals, v);
	if (decimals)
		drop_zeros(buf);
	if (u >= 0)
		strncat(buf, (char[]){units[u], 0}, 2);
	return buf;
}

char *rcl_size_exact(uint64_t bytes, char buf[RCL_SIZE_TEXT])
{
	for (int u = (int)strlen(units) - 1; u >= 0; u--) {
		uint64_t unit = 1024ull << 10 * u;

		/* Up to four decimals, where they are all there is. */
		if (bytes < unit || bytes % (unit / 16))
			continue;
		snprintf(buf, RCL_SIZE_TEXT, "%.4f", (double)bytes / (double)unit);
		drop_zeros(buf);
		strncat(buf, (char[]){units[u], 0}, 2);
		return buf;
	}
	snprintf(buf, RCL_SIZE_TEXT, "%llu", (unsigned long long)bytes);
	return buf;
}
