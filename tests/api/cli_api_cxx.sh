# SPDX-License-Identifier: MIT
# A C++ program that uses all of the header compiles without a warning, and refers to C names.
source "$(dirname "$0")/../cli/lib.sh"
cxx=${CXX:-c++}
command -v "$cxx" > /dev/null || exit 77
source=$(cd "$here/../.." && pwd)

cat > "$work/program.cc" << 'END'
#include <reclaim/inline.h>

#include <cstdio>
#include <memory>

namespace
{
struct Closer {
	void operator()(rcl_machine *m) const
	{
		rcl_close(m);
	}
};
}

int main()
{
	rcl_options opt = RCL_OPTIONS_INIT;
	rcl_machine *machine = nullptr;
	rcl_group *group = nullptr;
	rcl_area *area = nullptr;
	struct rcl_pin pin = {}, pins[2] = {}; // the functions have these names, too
	struct rcl_peek peek = {};
	rcl_stats stats = {};
	rcl_tunable tunable;
	rcl_event event;
	char *message = nullptr;
	void *block = nullptr;

	opt.budget = 16 << 20;
	opt.flags = RCL_OPEN_NO_URING | RCL_OPEN_PREALLOCATE_SWAP;
	if (rcl_open(&opt, &machine, &message))
		return 1;
	std::unique_ptr<rcl_machine, Closer> owner(machine);
	if (rcl_group_create(machine, nullptr, "g", &group) ||
	    rcl_group_set_max(group, RCL_UNLIMITED) ||
	    rcl_area_anon(machine, group, 100, RCL_AREA_OPTIMISTIC, &area))
		return 1;
	if (rcl_pin(area, 3, RCL_WRITE | RCL_WAIT, &pin))
		return 1;
	static_cast<char *>(pin.addr)[0] = 1;
	rcl_unpin(&pin);
	rcl_place places[2] = {{area, 1}, {area, 2}};
	if (rcl_pin_batch(places, 2, RCL_READ, pins) || rcl_pin_range(area, 0, 0, RCL_READ, pins))
		return 1;
	rcl_unpin_batch(pins, 2);
	if (rcl_peek(area, 3, &peek) && !rcl_peek_ok(&peek))
		return 1;
	if (rcl_peek_inline(area, 3, &peek) && !rcl_peek_ok_inline(&peek))
		return 1;
	if (rcl_area_advise(area, 0, 0, RCL_ADVISE_RANDOM) || rcl_area_sync(area, 0, 0))
		return 1;
	if (rcl_frames_alloc(machine, group, 0, 0, &block))
		return 1;
	rcl_frames_free(machine, block, 0);
	stats.size = sizeof(stats);
	rcl_stats_read(machine, nullptr, &stats);
	for (size_t i = 0; rcl_tunable_info(i, &tunable); i++)
		std::puts(tunable.name);
	if (rcl_event_fd(machine) < 0 || rcl_event_read(machine, &event) < 0)
		return 1;
	std::puts(rcl_strerror(rcl_area_close(area)));
	return rcl_group_destroy(group) || event.kind == RCL_EVENT_OOM;
}
END
for std in c++11 c++17; do
	"$cxx" -std=$std -pedantic -Wall -Wextra -Werror -Wno-missing-field-initializers \
		-I"$source/include" -c "$work/program.cc" -o "$work/program.o" > "$work/log" 2>&1 ||
		fail "as $std: $(cat "$work/log")"
	nm "$work/program.o" | grep -q ' U rcl_pin_batch$' || fail "as $std: no C names"
done
finish
