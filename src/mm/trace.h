/* SPDX-License-Identifier: MIT */
/*
 * Probes: places in the engine that a tracer can attach to while it runs (bpftrace, perf,
 * SystemTap), as USDT notes of the provider "reclaim". Names are those of the kernel's tracepoints
 * where it has one there, and arguments mean what they mean there; docs/observe.md lists them.
 *
 * A probe is one nop and a note that says where its arguments are, so arguments should be what is
 * at hand anyway. None stands where a page is hit. Without <sys/sdt.h>, and in the engine for
 * simulated machines alone, there are none.
 */
#ifndef RCL_MM_TRACE_H
#define RCL_MM_TRACE_H

#if !defined(RCL_SIM_ONLY) && !defined(RCL_NO_PROBES) && defined(__has_include)
#if __has_include(<sys/sdt.h>)
#define RCL_HAS_PROBES 1
#endif
#endif

#ifdef RCL_HAS_PROBES
#define SDT_USE_VARIADIC 1
#include <sys/sdt.h>
#define RCL_TRACE(name, ...) STAP_PROBEV(reclaim, name, ##__VA_ARGS__)
#else
static inline void trace_nothing(int first, ...)
{
	(void)first;
}
/* Checked, and not done. */
#define RCL_TRACE(name, ...)                                                                       \
	do {                                                                                       \
		if (0)                                                                             \
			trace_nothing(0, ##__VA_ARGS__);                                           \
	} while (0)
#endif

#endif
