/* SPDX-License-Identifier: MIT */
/* Where tests make their files: a new folder below $TMPDIR, which tests/in_folder.sh empties. */
#ifndef RCL_TESTS_FOLDER_H
#define RCL_TESTS_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEST_FOLDER_SIZE 256
#define TEST_PATH_SIZE	 (TEST_FOLDER_SIZE + 64) /* of a file in it */

/* *path becomes the folder's; false: it could not be made. */
static inline bool test_folder_below(const char *tmp, char path[TEST_FOLDER_SIZE])
{
	return snprintf(path, TEST_FOLDER_SIZE, "%s/reclaim-XXXXXX", tmp) < TEST_FOLDER_SIZE &&
	       mkdtemp(path);
}
static inline bool test_folder_make(char path[TEST_FOLDER_SIZE])
{
	const char *tmp = getenv("TMPDIR");

	return test_folder_below(tmp && *tmp ? tmp : "/var/tmp", path);
}
/* The same, with a name that leaves room for a socket's. */
static inline bool test_folder_for_sockets(char path[TEST_FOLDER_SIZE])
{
	const char *tmp = getenv("TMPDIR");

	return test_folder_below(tmp && *tmp && strlen(tmp) < 64 ? tmp : "/tmp", path);
}

#endif
