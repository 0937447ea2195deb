/* SPDX-License-Identifier: MIT */
/*
 * A main for fuzz targets without a fuzzer: runs the target on each file that is named, and on each
 * file in each folder that is named. This is how the seed corpus is a test.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size = 0, max = 0;

	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	for (;;) {
		size_t n;

		if (size == max) {
			max = max ? 2 * max : 65536;
			data = realloc(data, max);
			if (!data)
				abort();
		}
		n = fread(data + size, 1, max - size, f);
		if (!n)
			break;
		size += n;
	}
	fclose(f);
	/* An exact copy, so that a sanitizer sees the first byte too many. */
	uint8_t *exact = malloc(size ? size : 1);

	if (!exact)
		abort();
	memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	free(data);
	return 0;
}

static int run(const char *path, unsigned int *runs)
{
	struct dirent *entry;
	struct stat st;
	int failed = 0;
	DIR *dir;

	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		++*runs;
		return run_file(path);
	}
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		char sub[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, entry->d_name);
		failed |= run(sub, runs);
	}
	if (dir)
		closedir(dir);
	return failed;
}

int main(int argc, char **argv)
{
	unsigned int runs = 0;
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= run(argv[i], &runs);
	printf("%u inputs\n", runs);
	return failed || !runs;
}
