/* SPDX-License-Identifier: MIT */
/*
 * Error texts. They are formatted where the failure is seen, because only there are the offset
 * and the offending value still known; callers above pass them on untouched.
 */
#include "trace/error.h"

#include <stdarg.h>
#include <stdio.h>

int rcl_error_set(struct rcl_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}
