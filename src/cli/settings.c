/* SPDX-License-Identifier: MIT */
/* --set NAME=VALUE. */
#include "cli/settings.h"

#include <stdlib.h>
#include <string.h>

#include "sim/size.h"

static int apply_setting(struct tunables *t, const char *text)
{
	const char *value = strchr(text, '='), *nearest = NULL;
	const struct rcl_tunable_info *info;
	char name[64];
	char *end;

	if (!value || value == text)
		return cli_error(CLI_USAGE, "--set %s: NAME=VALUE is needed", text);
	snprintf(name, sizeof(name), "%.*s", (int)min((size_t)(value - text), sizeof(name) - 1),
		 text);
	info = rcl_tunable_find(name, &nearest);
	if (!info)
		return cli_error(CLI_USAGE, "--set: unknown setting '%s'; did you mean '%s'?", name,
				 nearest);
	errno = 0;
	long long v = strtoll(++value, &end, 10);
	u64 bytes;

	/* Settings in bytes take sizes too. */
	if (*end && !strcmp(info->unit, "bytes") && !rcl_size_parse(value, 0, &bytes, NULL)) {
		v = (long long)bytes;
		end = "";
	}
	if (end == value || *end || errno)
		return cli_error(CLI_USAGE, "--set %s: '%s' is not a whole number", name, value);
	if (rcl_tunables_set(t, name, v))
		return cli_error(CLI_USAGE, "--set %s: %lld is not in %lld..%lld", name, v,
				 (long long)info->min, (long long)info->max);
	return 0;
}

int cli_settings(const struct cli_args *args, struct tunables *t)
{
	const char *text;
	int ret = 0;

	for (unsigned int i = 0; !ret && (text = cli_value_nth(args, "set", i)); i++)
		ret = apply_setting(t, text);
	if (!ret && t->dirty_bytes && t->dirty_bytes < 2 * (s64)PAGE_SIZE)
		ret = cli_error(CLI_USAGE, "--set vm.dirty_bytes: at least two pages, or 0");
	return ret;
}
