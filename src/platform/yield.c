/* SPDX-License-Identifier: MIT */
#include "platform/platform.h"

#include <sched.h>

void rcl_yield(void)
{
	sched_yield();
}
