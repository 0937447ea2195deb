/* SPDX-License-Identifier: MIT */
/*
 * Faults injected on purpose: which rule strikes which transfer.
 *
 * Chance is a hash of seed, rule, request and place, so a transfer that is tried again meets the
 * same error again, and its neighbours do not. An error by count (nth) is remembered in the request
 * for the same reason. Everything else strikes the first transfer of a request only, or the first
 * SHORT_TRANSFERS, so that what was interrupted or fell short gets through in the end.
 */
#include "platform/host/io.h"

#define SHORT_TRANSFERS 2

static u64 scramble(u64 z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static bool concerns(const struct rcl_host_fault_rule *rule, const struct host_request *r)
{
	u64 first = (r->offset + r->from) >> PAGE_SHIFT;
	u64 end = (r->offset + r->upto + PAGE_SIZE - 1) >> PAGE_SHIFT;

	if (rule->dev != RCL_FAULT_ANY && rule->dev != r->dev->index)
		return false;
	if (rule->op != RCL_FAULT_ANY && rule->op != r->op)
		return false;
	if (rule->kind != RCL_FAULT_ERROR &&
	    r->transfers >= (rule->kind == RCL_FAULT_SHORT ? SHORT_TRANSFERS : 1))
		return false;
	return !rule->nr_blocks ||
	       (first < rule->first_block + rule->nr_blocks && end > rule->first_block);
}

static bool strikes(struct rcl_host_faults *f, u32 nr, const struct host_request *r)
{
	struct rcl_host_fault_rule *rule = &f->rules[nr];
	u64 seen = __atomic_add_fetch(&rule->seen, 1, __ATOMIC_RELAXED);
	u64 z = scramble(f->seed + nr);

	if (rule->nth)
		return seen % rule->nth == 0;
	return scramble(scramble(z ^ r->number) ^ r->from) % 1000000 < rule->ppm;
}

void rcl_host_fault_before(struct host_io *io, struct host_request *r)
{
	struct rcl_host_faults *f = io->faults;
	u32 nr_rules = __atomic_load_n(&f->nr_rules, __ATOMIC_ACQUIRE);

	if (!r->transfers)
		r->number = __atomic_fetch_add(&f->nr_requests, 1, __ATOMIC_RELAXED);
	r->inject = r->sticky_error && r->sticky_from == r->from ? r->sticky_error : 0;
	r->lose = 0;
	for (u32 i = 0; i < nr_rules && !r->inject; i++) {
		struct rcl_host_fault_rule *rule = &f->rules[i];

		if (!concerns(rule, r) || !strikes(f, i, r))
			continue;
		__atomic_fetch_add(&rule->hits, 1, __ATOMIC_RELAXED);
		switch (rule->kind) {
		case RCL_FAULT_ERROR:
			r->inject = -(int)rule->amount;
			if (rule->nth) {
				r->sticky_error = r->inject;
				r->sticky_from = r->from;
			}
			break;
		case RCL_FAULT_SHORT:
			r->lose = (u32)min(rule->amount, (u64)UINT32_MAX);
			break;
		case RCL_FAULT_DELAY:
			r->delay_ns = rule->amount;
			break;
		case RCL_FAULT_EINTR:
			r->interrupts = (u32)rule->amount;
			break;
		case RCL_FAULT_CORRUPT:
			r->corrupt = r->op == RCL_IO_READ;
			break;
		}
	}
	if (!r->inject && r->interrupts) {
		r->interrupts--;
		r->inject = -EINTR;
	}
	r->transfers++;
}

s64 rcl_host_fault_after(struct host_io *io, struct host_request *r, s64 res)
{
	u32 lose = res > 0 ? (u32)min(res, (s64)r->lose) : 0;

	/* What is said not to have been read must not be there. */
	for (u32 at = r->from + (u32)res - lose; r->op == RCL_IO_READ && lose; lose--, at++, res--)
		host_page_data(io, r, at >> PAGE_SHIFT)[at & (PAGE_SIZE - 1)] = (char)0xa5;
	return res - lose;
}
