/* SPDX-License-Identifier: MIT */
/* A machine's statistics in Prometheus' text format, over HTTP on a socket of this computer. */
#ifndef RCL_API_METRICS_H
#define RCL_API_METRICS_H

#include <poll.h>

#include "api/stats_page.h"

/* Connections at a time; one more waits until the oldest is done, which takes METRICS_PATIENCE. */
#define METRICS_CLIENTS	 16u
#define METRICS_PATIENCE 5000u /* ms in which a client has asked and taken its answer */
#define METRICS_FDS	 (METRICS_CLIENTS + 1)

struct rcl_metrics;

/*
 * Listen at "unix:/path", "127.0.0.1:PORT" or "[::1]:PORT". 0; or -errno, and *message (if message
 * is not NULL) says what is wrong with the address.
 */
int rcl_metrics_open(const char *address, struct rcl_metrics **out, char **message);
/* Stop; remove the socket's file, unless keep. NULL: nothing. */
void rcl_metrics_close(struct rcl_metrics *s, bool keep);

/* What to wait for: fills at most METRICS_FDS entries and returns how many. */
nfds_t rcl_metrics_poll(struct rcl_metrics *s, struct pollfd *fds);
/* When to come back at the latest (CLOCK_MONOTONIC, ns); UINT64_MAX: only when something comes. */
u64 rcl_metrics_deadline(const struct rcl_metrics *s);
/*
 * Do what can be done without waiting, with the same entries after poll(). Who asks for figures
 * gets those that fill(arg) returns.
 */
void rcl_metrics_serve(struct rcl_metrics *s, const struct pollfd *fds, nfds_t nr,
		       const struct stats_header *(*fill)(void *arg), void *arg);

/* The text, malloc()ed; NULL: out of memory. */
char *rcl_metrics_text(const struct stats_header *block, size_t *bytes);

#endif
