/* SPDX-License-Identifier: MIT */
/* Amounts of memory as people write them, and back. */
#ifndef RCL_SIM_SIZE_H
#define RCL_SIM_SIZE_H

#include <stddef.h>
#include <stdint.h>

#include "trace/error.h"

/*
 * "4096", "96M", "1.5G", "40%", case and a trailing B or iB as one likes; units are powers of 1024.
 * A share needs `whole`, the bytes that 100% stands for; with 0, shares are refused. 0, or -EINVAL
 * with a text that quotes the input.
 */
int rcl_size_parse(const char *text, uint64_t whole, uint64_t *bytes, struct rcl_error *err);

/* As short as is exact to three digits: "96M", "1.5G", "52.4M". Returns buf. */
#define RCL_SIZE_TEXT 24
char *rcl_size_format(uint64_t bytes, char buf[RCL_SIZE_TEXT]);
/* The same, to be given to a program: reading it back gives the same bytes. "38.25M", "39172K". */
char *rcl_size_exact(uint64_t bytes, char buf[RCL_SIZE_TEXT]);

#endif
