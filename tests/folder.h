/* SPDX-License-Identifier: MIT */
/* Where tests make their files: a new folder below $TMPDIR, which tests/in_folder.sh empties. */
#ifndef RCL_TESTS_FOLDER_H
#define RCL_TESTS_FOLDER_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEST_FOLDER_SIZE 256
#define TEST_PATH_SIZE	 (TEST_FOLDER_SIZE + 64) /* of a file in it */

static inline const char *test_tmp(void)
{
	const char *tmp = getenv("TMPDIR");

	return tmp && *tmp ? tmp : "/var/tmp";
}
/* *path becomes the folder's; false: it could not be made. */
static inline bool test_folder_below(const char *tmp, char path[TEST_FOLDER_SIZE])
{
	return snprintf(path, TEST_FOLDER_SIZE, "%s/reclaim-XXXXXX", tmp) < TEST_FOLDER_SIZE &&
	       mkdtemp(path);
}
static inline bool test_folder_make(char path[TEST_FOLDER_SIZE])
{
	return test_folder_below(test_tmp(), path);
}
/* The same for a file, which is empty. */
static inline bool test_file_make(char path[TEST_FOLDER_SIZE])
{
	int fd = -1;

	if (snprintf(path, TEST_FOLDER_SIZE, "%s/reclaim-XXXXXX", test_tmp()) < TEST_FOLDER_SIZE)
		fd = mkstemp(path);
	return fd >= 0 && !close(fd);
}
/* The same, with a name that leaves room for a socket's. */
static inline bool test_folder_for_sockets(char path[TEST_FOLDER_SIZE])
{
	const char *tmp = getenv("TMPDIR");

	return test_folder_below(tmp && *tmp && strlen(tmp) < 64 ? tmp : "/tmp", path);
}

#endif
