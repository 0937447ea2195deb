/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing recordings (any text), and with its first line the two small parsers: sizes and names of
 * settings. What is accepted must make a request that passes the checks, or be refused with a text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/recording.h"
#include "sim/size.h"

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static void small_parsers(const char *text)
{
	struct rcl_error err = {""};
	char buf[RCL_SIZE_TEXT];
	const char *nearest;
	uint64_t bytes;

	if (rcl_size_parse(text, 12345678, &bytes, &err))
		REQUIRE(*err.text);
	else
		REQUIRE(*rcl_size_format(bytes, buf) && strlen(buf) < sizeof(buf));
	REQUIRE(rcl_tunable_find(text, &nearest) || nearest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char name[] = "fuzz";
	struct rcl_recording *rec = malloc(sizeof(*rec));
	struct rcl_sim_request req;
	struct rcl_error err = {""};
	char line[128];
	size_t n = 0;

	REQUIRE(rec);
	while (n < size && n < sizeof(line) - 1 && data[n] && data[n] != '\n') {
		line[n] = (char)data[n];
		n++;
	}
	line[n] = 0;
	small_parsers(line);
	if (rcl_recording_parse(name, (const char *)data, size, rec, &err)) {
		REQUIRE(*err.text);
	} else if (rcl_recording_request(rec, &req, &err)) {
		REQUIRE(*err.text);
	} else {
		REQUIRE(!rcl_sim_request_check(&req, &err));
		for (const char *const *c = rcl_recording_counters; *c; c++)
			REQUIRE(rcl_recording_bound(rec, rec, *c) >= 50);
	}
	free(rec);
	return 0;
}
