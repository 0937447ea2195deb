/* SPDX-License-Identifier: MIT */
/*
 * heartbeat MICROSECONDS: a process that wakes up, does nothing, and sleeps again.
 *
 * Linux on x86 clears a page's accessed bit without flushing the TLB, and trusts that the entry
 * will be displaced soon. A processor's TLB holds a few thousand pages at most. QEMU's grows with
 * the program and forgets only when the address space is switched, so with one program alone in the
 * guest, pages in constant use look unused to reclaim. On a real machine other processes run now
 * and then; this is one of them.
 */
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	long us = argc > 1 ? atol(argv[1]) : 0;
	struct timespec pause = {us / 1000000, us % 1000000 * 1000};

	while (us > 0)
		nanosleep(&pause, NULL);
	return 0;
}
