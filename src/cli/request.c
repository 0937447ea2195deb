/* SPDX-License-Identifier: MIT */
#include "cli/request.h"

#include <string.h>

#include "cli/settings.h"
#include "platform/sim/sim.h"
#include "sim/size.h"

int cli_size_option(const struct cli_args *args, const char *option, u64 whole, u64 *out)
{
	const char *text = cli_value(args, option);
	struct rcl_error err;

	if (text && rcl_size_parse(text, whole, out, &err))
		return cli_error(CLI_USAGE, "--%s: %s", option, err.text);
	return 0;
}

/* Append the limits of one list; *nr counts them. */
static int parse_limits(const char *list, u64 whole, u64 *limits, size_t max, size_t *nr)
{
	while (1) {
		size_t len = strcspn(list, ",");
		struct rcl_error err;
		char text[64];

		if (*nr == max)
			return cli_error(CLI_USAGE, "--limit: more than %zu limits", max);
		snprintf(text, sizeof(text), "%.*s", (int)min(len, sizeof(text) - 1), list);
		if (rcl_size_parse(text, whole, &limits[*nr], &err))
			return cli_error(CLI_USAGE, "--limit: %s", err.text);
		++*nr;
		if (!list[len])
			return 0;
		list += len + 1;
	}
}

int cli_limits(const struct cli_args *args, const char *otherwise, u64 whole, u64 *limits,
	       size_t max, size_t *nr)
{
	const char *list;
	int ret = 0;

	*nr = 0;
	if (!cli_given(args, "limit"))
		return otherwise ? parse_limits(otherwise, whole, limits, max, nr) : 0;
	for (unsigned int i = 0; !ret && (list = cli_value_nth(args, "limit", i)); i++)
		ret = parse_limits(list, whole, limits, max, nr);
	return ret;
}

static int device_option(const struct cli_args *args, const char *option, const char **out)
{
	const char *names[32] = {NULL};
	size_t nr = 0;

	*out = cli_value(args, option);
	if (!*out || rcl_sim_device_preset(*out))
		return 0;
	for (const struct rcl_sim_device_config *d = rcl_sim_device_presets(); d->name; d++)
		if (nr < ARRAY_SIZE(names) - 1)
			names[nr++] = d->name;
	const char *meant = cli_nearest(*out, names);

	return cli_error(CLI_USAGE, "--%s: unknown device '%s'%s%s%s (nvme, ssd, hdd, virtio)",
			 option, *out, meant ? "; did you mean '" : "", meant ? meant : "",
			 meant ? "'?" : "");
}

static int readahead_of(const struct cli_args *args, enum rcl_sim_readahead *out)
{
	const char *text = cli_value(args, "readahead");

	if (!text || !strcmp(text, "auto"))
		*out = RCL_SIM_READAHEAD_AUTO;
	else if (!strcmp(text, "on"))
		*out = RCL_SIM_READAHEAD_ON;
	else if (!strcmp(text, "off"))
		*out = RCL_SIM_READAHEAD_OFF;
	else
		return cli_error(CLI_USAGE, "--readahead %s: on or off is needed", text);
	return 0;
}

/* What can be wrong without knowing the trace; everything but sizes that may be shares. */
int cli_request(const struct cli_args *args, struct rcl_sim_request *req)
{
	u64 cpus = 1;
	int ret;

	rcl_sim_request_init(req, NULL);
	req->seed = 1;
	req->check = cli_given(args, "check");
	req->cost = cli_value(args, "costs");
	ret = cli_settings(args, &req->tunables);
	if (!ret)
		ret = device_option(args, "device", &req->device);
	if (!ret)
		ret = device_option(args, "swap-device", &req->swap_device);
	if (!ret)
		ret = readahead_of(args, &req->readahead);
	if (!ret)
		ret = cli_integer(args, "seed", 0, UINT64_MAX, &req->seed);
	if (!ret)
		ret = cli_integer(args, "cpus", 1, RCL_SIM_MAX_CPUS, &cpus);
	req->nr_cpus = (u32)cpus;
	if (!req->device)
		req->device = RCL_SIM_DEFAULT_DEVICE;
	return ret;
}
