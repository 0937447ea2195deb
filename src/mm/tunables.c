/* SPDX-License-Identifier: MIT */
/*
 * The table of tunables as data, and access to a struct tunables by name.
 *
 * A name that does not exist is answered with the one it was most likely meant to be: the least
 * number of inserted, deleted and changed characters, where the prefix ("vm.", "debug.") may be
 * left out for nothing and '-' equals '_', because the kernel itself has both.
 */
#include "mm/lock.h"
#include "mm/tunables.h"

static const struct rcl_tunable_info table[] = {
#define RCL_X(field, name, unit, def, lo, hi, help)                                                \
	{name, unit, help, def, lo, hi, offsetof(struct tunables, field)},
	RCL_TUNABLES(RCL_X)
#undef RCL_X
		{.name = NULL},
};

const struct rcl_tunable_info *rcl_tunable_table(void)
{
	return table;
}

static s64 *field_of(struct tunables *t, const struct rcl_tunable_info *info)
{
	return (s64 *)((char *)t + info->offset);
}

s64 rcl_tunables_get(const struct tunables *t, const struct rcl_tunable_info *info)
{
	return *(const s64 *)((const char *)t + info->offset);
}

void rcl_tunables_defaults(struct tunables *t)
{
	for (const struct rcl_tunable_info *i = table; i->name; i++)
		*field_of(t, i) = i->def;
}

#define NAME_MAX_LEN 63

static char fold(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c == '-' ? '_' : c;
}

u32 rcl_name_distance(const char *a, const char *b)
{
	u32 row[NAME_MAX_LEN + 1];
	u32 nb = 0;

	while (b[nb] && nb < NAME_MAX_LEN)
		nb++;
	for (u32 j = 0; j <= nb; j++)
		row[j] = j;
	for (u32 i = 1; a[i - 1] && i <= NAME_MAX_LEN; i++) {
		u32 diagonal = row[0];

		row[0] = i;
		for (u32 j = 1; j <= nb; j++) {
			u32 change = diagonal + (fold(a[i - 1]) != fold(b[j - 1]));

			diagonal = row[j];
			row[j] = min(min(row[j], row[j - 1]) + 1, change);
		}
	}
	return row[nb];
}

/* "vm.swappiness" -> "swappiness". */
static const char *without_prefix(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot ? dot + 1 : name;
}

const struct rcl_tunable_info *rcl_tunable_find(const char *name, const char **nearest)
{
	u32 best = UINT32_MAX;

	if (nearest)
		*nearest = NULL;
	for (const struct rcl_tunable_info *i = table; i->name; i++) {
		if (!strcmp(i->name, name))
			return i;
		if (!nearest)
			continue;
		u32 d = min(rcl_name_distance(name, i->name),
			    rcl_name_distance(name, without_prefix(i->name)));
		if (d < best) {
			best = d;
			*nearest = i->name;
		}
	}
	return NULL;
}

/* (Machines may be running: they read words, whenever they need them.) */
RCL_RACY int rcl_tunables_set(struct tunables *t, const char *name, s64 value)
{
	const struct rcl_tunable_info *info = rcl_tunable_find(name, NULL);

	if (!info)
		return -ENOENT;
	if (value < info->min || value > info->max)
		return -ERANGE;
	*field_of(t, info) = value;
	return 0;
}
