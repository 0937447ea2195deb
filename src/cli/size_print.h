/* SPDX-License-Identifier: MIT */
/* A sizing as text and as JSON. */
#ifndef RCL_CLI_SIZE_PRINT_H
#define RCL_CLI_SIZE_PRINT_H

#include "report/report.h"

void size_print_text(const struct rcl_report *r, FILE *out);
void size_print_json(const struct rcl_report *r, FILE *out);

#endif
