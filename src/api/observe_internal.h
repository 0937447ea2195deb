/* SPDX-License-Identifier: MIT */
/* What the parts of the observer tell each other. */
#ifndef RCL_API_OBSERVE_INTERNAL_H
#define RCL_API_OBSERVE_INTERNAL_H

#include "mm/types.h"

/* *message (if message is not NULL) becomes the formatted text. Returns err. */
int rcl_observe_fail(char **message, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
