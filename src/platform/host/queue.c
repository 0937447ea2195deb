/* SPDX-License-Identifier: MIT */
/*
 * From pages to requests, and back.
 *
 * Pages gather in the submitting thread's plug. They are started when the plug is finished or full
 * (with HOST_SWAP_REQUESTS writes to swap, as in the reference, or HOST_PLUG_PAGES pages), when the
 * thread is about to sleep, and at once when there is no plug; but a page that its thread
 * will wait for (rcl_io.sync) stays until then, since sleeping and starting are one system call.
 * Starting sorts them by device, direction and place, and makes one request of each run of up to
 * HOST_REQUEST_PAGES neighbours. Some need none: what lies beyond the end of a file, and slots of
 * swap never written, read as zeros. The last page of a file that ends within a page is a request
 * by itself, through a descriptor that may do part of a page.
 *
 * There are io_depth requests, and so that many under way at most. A thread that finds none waits
 * until one has ended; it holds none itself then, but for those it has started.
 *
 * A request may take several transfers: they are interrupted, or fall short. After each,
 * rcl_host_request_step() says what is left:
 *
 *   all moved       its pages' I/O is ended, the request is free
 *   part moved      another transfer goes on where this one stopped; with O_DIRECT, at the page
 *                   boundary before that
 *   nothing moved   a read is at the end of the file if the system says so (the file has become
 *                   shorter): the rest is zeros. Else it is tried again, but not for ever
 *   failed          if it was for one page, that page fails. Else the pages are tried one by one
 *                   from there on, so that an error hits those pages only that it concerns
 *
 * Ending a page's I/O calls the engine, in the thread that happens to handle the completion, which
 * may be the submitter itself. When the last page's I/O of a device has ended the device may be
 * closed: nothing touches it afterwards.
 */
#include "platform/host/io.h"

#include <stdlib.h>

#define RETRIES	   1000u /* transfers without progress after which one has failed */
#define INTERRUPTS 1000000u

/* ---- free requests ---- */

static struct host_request *pop_request(struct host_io *io)
{
	u64 head = __atomic_load_n(&io->free_requests, __ATOMIC_ACQUIRE), next;
	struct host_request *r;

	do {
		if (!(u32)head)
			return NULL;
		r = &io->requests[(u32)head - 1];
		/* Stale if somebody was quicker; then the generation has changed too. */
		next = __atomic_load_n(&r->free_next, __ATOMIC_RELAXED) | ((head >> 32) + 1) << 32;
	} while (!__atomic_compare_exchange_n(&io->free_requests, &head, next, true,
					      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	return r;
}

static void push_request(struct host_io *io, struct host_request *r)
{
	u64 head = __atomic_load_n(&io->free_requests, __ATOMIC_RELAXED), next;

	do {
		__atomic_store_n(&r->free_next, (u32)head, __ATOMIC_RELAXED);
		next = (u64)(r - io->requests + 1) | ((head >> 32) + 1) << 32;
	} while (!__atomic_compare_exchange_n(&io->free_requests, &head, next, true,
					      __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	/* Either this sees the waiter or the waiter sees the request. */
	if (unlikely(__atomic_load_n(&io->free_waiters, __ATOMIC_SEQ_CST))) {
		__atomic_add_fetch(&io->free_seq, 1, __ATOMIC_SEQ_CST);
		rcl_host_wake(&io->h->plat, &io->free_seq, 1);
	}
}

/* All the caller's requests must have been started. */
static struct host_request *wait_for_request(struct host_io *io, struct host_thread *th)
{
	struct host_request *r;

	__atomic_add_fetch(&io->free_waiters, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		u32 seq = __atomic_load_n(&io->free_seq, __ATOMIC_SEQ_CST);

		r = pop_request(io);
		if (r)
			break;
		rcl_host_io_sleep(io, th, &io->free_seq, seq, RCL_FOREVER, true);
	}
	__atomic_sub_fetch(&io->free_waiters, 1, __ATOMIC_SEQ_CST);
	return r;
}

/* ---- transfers ---- */

/* Lay out the next transfer: from what is done to the end, or to the end of a page. */
static void prepare(struct host_io *io, struct host_request *r)
{
	u32 nr = 0, at;

	r->from = r->done;
	if (r->fd == r->dev->fd && __atomic_load_n(&r->dev->direct, __ATOMIC_RELAXED))
		r->from &= ~(u32)(PAGE_SIZE - 1);
	r->upto = r->bytes;
	if (r->page_by_page)
		r->upto = min(r->upto, (r->done & ~(u32)(PAGE_SIZE - 1)) + (u32)PAGE_SIZE);
	for (at = r->from; at < r->upto;) {
		u32 in_page = at & (PAGE_SIZE - 1);
		u32 len = min((u32)PAGE_SIZE - in_page, r->upto - at);
		char *p = host_page_data(io, r, at >> PAGE_SHIFT) + in_page;

		if (nr && (char *)r->iov[nr - 1].iov_base + r->iov[nr - 1].iov_len == p)
			r->iov[nr - 1].iov_len += len;
		else
			r->iov[nr++] = (struct iovec){.iov_base = p, .iov_len = len};
		at += len;
	}
	r->nr_iov = (u16)nr;
	if (unlikely(io->faults))
		rcl_host_fault_before(io, r);
}

static void zero_rest(struct host_io *io, struct host_request *r)
{
	for (u32 at = r->done; at < r->bytes;) {
		u32 in_page = at & (PAGE_SIZE - 1);

		memset(host_page_data(io, r, at >> PAGE_SHIFT) + in_page, 0, PAGE_SIZE - in_page);
		at += (u32)PAGE_SIZE - in_page;
	}
}

/* Is what has been read what was written? */
static int verify(struct host_io *io, struct host_request *r, u32 page)
{
	struct host_device *d = r->dev;
	u32 want = __atomic_load_n(&d->sums[r->pages[page].block], __ATOMIC_RELAXED);

	if (likely(rcl_host_checksum(host_page_data(io, r, page)) == want))
		return 0;
	host_count(&d->checksum_errors, 1);
	return -EIO;
}

/* End the I/O of the pages up to, not including, `upto`. */
static void end_pages(struct host_io *io, struct host_request *r, u32 upto, int error)
{
	struct rcl_host *h = io->h;

	for (; r->ended < upto; r->ended++) {
		struct rcl_io page = r->pages[r->ended];
		int err = error;

		if (!err && r->op == RCL_IO_READ) {
			if (unlikely(r->corrupt && r->ended == 0))
				host_page_data(io, r, 0)[PAGE_SIZE / 2] ^= 1;
			if (r->dev->swap)
				err = verify(io, r, r->ended);
		}
		if (unlikely(err))
			host_count(&r->dev->errors, 1);
		h->end_io(h->plat.m, &page, err);
		__atomic_fetch_sub(&h->io_inflight, 1, __ATOMIC_RELEASE);
	}
}

static void finish(struct host_io *io, struct host_request *r)
{
	end_pages(io, r, r->nr_pages, 0);
	push_request(io, r);
}

static void finish_measured(struct host_io *io, struct host_request *r)
{
	struct host_thread *th = host_this_thread(io->h);
	u64 from = rcl_host_measure_cpu(), took;
	u32 pages = r->nr_pages;

	rcl_host_measure_end(io, r);
	finish(io, r);
	took = rcl_host_measure_cpu() - from;
	rcl_host_measure_ended(io, pages, took);
	if (th)
		th->ending_ns += took;
}

static void finish_any(struct host_io *io, struct host_request *r)
{
	if (unlikely(io->measure))
		finish_measured(io, r);
	else
		finish(io, r);
}

/* The page at r->done cannot be transferred. True: others are left to try. */
static bool fail(struct host_io *io, struct host_request *r, int error)
{
	u32 page = r->done >> PAGE_SHIFT;

	r->retries = 0;
	end_pages(io, r, page, 0);
	r->done = page << PAGE_SHIFT;
	if (page + 1 < r->nr_pages && !r->page_by_page) {
		r->page_by_page = true;
		prepare(io, r);
		return true;
	}
	end_pages(io, r, page + 1, error);
	if (page + 1 == r->nr_pages) {
		if (io->measure)
			rcl_host_measure_end(io, r);
		push_request(io, r);
		return false;
	}
	r->done += (u32)PAGE_SIZE;
	prepare(io, r);
	return true;
}

static bool again(struct host_io *io, struct host_request *r, u32 limit)
{
	if (++r->retries > limit)
		return fail(io, r, -EIO);
	prepare(io, r);
	return true;
}

bool rcl_host_request_step(struct host_io *io, struct host_request *r, s64 res)
{
	u32 at;

	if (unlikely(io->faults))
		res = rcl_host_fault_after(io, r, res);
	/* ECANCELED: the thread that submitted it is gone. */
	if (unlikely(res == -EINTR || res == -EAGAIN || res == -ECANCELED))
		return again(io, r, INTERRUPTS);
	if (unlikely(res < 0))
		return fail(io, r, (int)res);
	at = r->from + (u32)res;
	if (likely(at >= r->bytes)) {
		finish_any(io, r);
		return false;
	}
	if (at > r->done) {
		r->done = at;
		r->retries = 0;
		prepare(io, r);
		return true;
	}
	if (r->op == RCL_IO_READ && rcl_host_device_at_end(r->dev, r->offset + r->done)) {
		zero_rest(io, r);
		finish_any(io, r);
		return false;
	}
	return again(io, r, RETRIES);
}

/* ---- from pages to requests ---- */

static bool goes_before(const struct rcl_io *a, const struct rcl_io *b)
{
	if (a->dev != b->dev)
		return a->dev < b->dev;
	if (a->op != b->op)
		return a->op < b->op;
	return a->block < b->block;
}

/* They nearly always come in order; then this is one pass. */
static void sort_pages(struct rcl_io *pages, u32 nr)
{
	static const u8 gaps[] = {132, 57, 23, 10, 4, 1};
	u32 in_order = 1;

	while (in_order < nr && !goes_before(&pages[in_order], &pages[in_order - 1]))
		in_order++;
	if (in_order >= nr)
		return;
	for (u32 g = 0; g < ARRAY_SIZE(gaps); g++) {
		for (u32 gap = gaps[g], i = gap; i < nr; i++) {
			struct rcl_io page = pages[i];
			u32 j = i;

			for (; j >= gap && goes_before(&page, &pages[j - gap]); j -= gap)
				pages[j] = pages[j - gap];
			pages[j] = page;
		}
	}
}

/*
 * A page that needs no transfer: its I/O ends here. Slots of swap never written, and what is beyond
 * a file's end, read as zeros; a write there was for a page that has been cut off since.
 */
static bool ends_at_once(struct rcl_host *h, struct host_device *d, const struct rcl_io *io)
{
	int err = 0;

	if (io->block >= (host_device_bytes(d) + PAGE_SIZE - 1) >> PAGE_SHIFT)
		err = d->swap ? -EIO : 0;
	else if (io->op == RCL_IO_WRITE)
		err = d->writable ? 1 : -EBADF;
	else if (!d->swap || __atomic_load_n(&d->sums[io->block], __ATOMIC_RELAXED))
		err = 1;
	if (err > 0)
		return false;
	if (err)
		host_count(&d->errors, 1);
	else if (io->op == RCL_IO_READ)
		memset(host_folio_data(h, io->folio), 0, PAGE_SIZE);
	h->end_io(h->plat.m, io, err);
	__atomic_fetch_sub(&h->io_inflight, 1, __ATOMIC_RELEASE);
	return true;
}

static void begin_request(struct host_request *r, struct host_device *d, const struct rcl_io *page)
{
	u64 offset = page->block << PAGE_SHIFT, left = host_device_bytes(d);

	/* It may have become shorter just now; then one transfer more finds out. */
	left = left > offset ? left - offset : PAGE_SIZE;
	memset(r, 0, offsetof(struct host_request, owner_gate));
	r->dev = d;
	r->offset = offset;
	r->op = page->op;
	r->fd = d->fd;
	r->bytes = (u32)min(left, PAGE_SIZE);
	if (r->bytes < PAGE_SIZE) {
		int tail = __atomic_load_n(&d->tail_fd, __ATOMIC_ACQUIRE);

		if (tail >= 0)
			r->fd = tail;
	}
	r->number = r->delay_ns = 0;
	r->interrupts = r->transfers = 0;
	r->inject = r->sticky_error = 0;
	r->lose = r->sticky_from = 0;
	r->corrupt = false;
	r->pages[0] = *page;
	r->nr_pages = 1;
}

/*
 * A reader that reads ahead waits for the first pages of what it has asked for, and uses them while
 * the rest is on its way: so its reads are several requests. But who fills a plug with reads is far
 * ahead, and is best served by requests that are as long as can be. Nobody waits for the first page
 * of a write.
 */
static u32 most_pages(u8 op, const struct host_plug *plug)
{
	if (op == RCL_IO_WRITE)
		return HOST_WRITE_PAGES;
	return plug->nr == HOST_PLUG_PAGES ? HOST_REQUEST_PAGES : HOST_READ_PAGES;
}

static bool join_request(struct host_request *r, const struct rcl_io *page, u32 most)
{
	if (page->dev != r->dev->index || page->op != r->op || r->nr_pages >= most ||
	    page->block != r->pages[0].block + r->nr_pages || r->bytes & (PAGE_SIZE - 1) ||
	    host_device_bytes(r->dev) < (page->block + 1) << PAGE_SHIFT)
		return false;
	r->pages[r->nr_pages++] = *page;
	r->bytes += (u32)PAGE_SIZE;
	return true;
}

/* The request has all its pages. */
static void complete_request(struct host_io *io, struct host_request *r)
{
	struct host_device *d = r->dev;

	if (r->op == RCL_IO_WRITE) {
		host_count(&d->writes, 1);
		host_count(&d->written_bytes, r->bytes);
		for (u32 i = 0; d->swap && i < r->nr_pages; i++)
			__atomic_store_n(&d->sums[r->pages[i].block],
					 rcl_host_checksum(host_page_data(io, r, i)),
					 __ATOMIC_RELAXED);
	} else {
		host_count(&d->reads, 1);
		host_count(&d->read_bytes, r->bytes);
		/* A transfer of a part leaves the rest as it was. */
		if (r->bytes & (PAGE_SIZE - 1))
			memset(host_page_data(io, r, 0) + r->bytes, 0, PAGE_SIZE - r->bytes);
	}
	prepare(io, r);
}

static void start_list(struct host_io *io, struct host_thread *th, struct host_request *list,
		       bool defer)
{
	if (!list)
		return;
	if (unlikely(io->measure))
		rcl_host_measure_start(io, list);
	if (io->rings)
		rcl_host_rings_start(io, th, list, defer);
	else
		rcl_host_pool_start(io, list);
}

/*
 * Start all that the thread has gathered; how many requests. defer: it goes to sleep next, which may
 * be what starts.
 */
static u32 start_plugged(struct host_io *io, struct host_thread *th, bool defer)
{
	struct host_plug *plug = &th->plug;
	struct host_request *list = NULL, **tail = &list, *r = NULL;
	u32 nr = plug->nr, requests = 0;

	plug->nr = plug->swap_requests = 0;
	plug->must_start = false;
	sort_pages(plug->pages, nr);
	for (u32 i = 0; i < nr; i++) {
		const struct rcl_io *page = &plug->pages[i];
		struct host_device *d = host_device(io->h, page->dev);

		if (ends_at_once(io->h, d, page) ||
		    (r && join_request(r, page, most_pages(r->op, plug))))
			continue;
		if (r) {
			complete_request(io, r);
			*tail = r;
			tail = &r->next;
		}
		r = pop_request(io);
		if (unlikely(!r)) {
			start_list(io, th, list, false);
			list = NULL;
			tail = &list;
			r = wait_for_request(io, th);
		}
		begin_request(r, d, page);
		requests++;
	}
	if (r) {
		complete_request(io, r);
		*tail = r;
	}
	start_list(io, th, list, defer);
	return requests;
}

/* What it deals with on the way, ends of earlier ones, is not part of it. */
static void flush_measured(struct host_io *io, struct host_thread *th)
{
	u64 from = rcl_host_measure_cpu(), ending = th->ending_ns;
	u32 pages = th->plug.nr, requests = start_plugged(io, th, false);

	rcl_host_measure_submitted(io, requests, pages,
				   rcl_host_measure_cpu() - from - (th->ending_ns - ending));
}

static void flush(struct host_io *io, struct host_thread *th, bool defer)
{
	if (unlikely(io->measure) && !defer)
		flush_measured(io, th);
	else
		start_plugged(io, th, defer);
}

/*
 * Reclaim that comes to the end of its lists starts over with more of them, and passes over what is
 * still being written; so it must not sit on what it has given up, for the sake of larger requests.
 */
static bool enough_swap(struct rcl_host *h, struct host_plug *plug, const struct rcl_io *page)
{
	const struct rcl_io *last = plug->nr ? &plug->pages[plug->nr - 1] : NULL;

	if (page->op != RCL_IO_WRITE || !host_device(h, page->dev)->swap)
		return false;
	if (last && last->dev == page->dev && last->op == page->op &&
	    (last->block + 1 == page->block || page->block + 1 == last->block))
		return false;
	return ++plug->swap_requests > HOST_SWAP_REQUESTS;
}

void rcl_host_submit(struct platform *p, const struct rcl_io *page)
{
	struct rcl_host *h = to_host(p);
	struct host_thread *th = host_this_thread(h);
	struct host_plug *plug = &th->plug;

	__atomic_fetch_add(&h->io_inflight, 1, __ATOMIC_RELAXED);
	if (unlikely(enough_swap(h, plug, page))) {
		flush(h->io, th, false);
		plug->swap_requests = 1;
	}
	plug->pages[plug->nr++] = *page;
	plug->must_start |= !page->sync;
	if (plug->nr == HOST_PLUG_PAGES || (plug->must_start && !plug->depth))
		flush(h->io, th, false);
}

void rcl_host_plug_start(struct platform *p)
{
	host_this_thread(to_host(p))->plug.depth++;
}

void rcl_host_plug_finish(struct platform *p)
{
	struct rcl_host *h = to_host(p);
	struct host_thread *th = host_this_thread(h);

	RCL_ASSERT(th->plug.depth);
	if (--th->plug.depth == 0 && th->plug.must_start)
		flush(h->io, th, false);
}

void rcl_host_plug_flush(struct rcl_host *h, struct host_thread *th)
{
	if (th->plug.nr)
		flush(h->io, th, false);
}

int rcl_host_io_sleep(struct host_io *io, struct host_thread *th, u32 *word, u32 value,
		      u64 timeout_ns, bool for_io)
{
	if (io->rings)
		return rcl_host_rings_sleep(io, th, word, value, timeout_ns, for_io);
	return rcl_host_futex_wait(io->h, word, value, timeout_ns);
}

int rcl_host_io_wait(struct rcl_host *h, struct host_thread *th, u32 *word, u32 value,
		     u64 timeout_ns, bool for_io)
{
	if (th->plug.nr)
		flush(h->io, th, true);
	return rcl_host_io_sleep(h->io, th, word, value, timeout_ns, for_io);
}

void rcl_host_io_poll(struct rcl_host *h)
{
	struct host_thread *th = host_this_thread(h);

	if (h->io->rings && th)
		rcl_host_rings_poll(h->io, th);
}

u32 rcl_host_io_kick(struct rcl_host *h, const u32 *word)
{
	return h->io->rings ? rcl_host_rings_kick(h->io, word) : 0;
}

u32 rcl_host_io_under_way(const struct rcl_host *h)
{
	return __atomic_load_n(&h->io_inflight, __ATOMIC_RELAXED);
}

const char *rcl_host_io_backend(const struct rcl_host *h)
{
	return h->io->rings ? "io_uring" : "threads";
}

/* ---- opening and closing ---- */

static size_t requests_bytes(const struct rcl_host *h)
{
	return h->cfg.io_depth * sizeof(struct host_request);
}

int rcl_host_io_init(struct rcl_host *h)
{
	struct host_io *io;
	int err;

	h->cfg.io_depth = min(h->cfg.io_depth, HOST_MAX_DEPTH);
	io = calloc(1, sizeof(*io));
	if (!io)
		return -ENOMEM;
	h->io = io;
	io->h = h;
	io->faults = h->cfg.faults;
	io->requests = h->plat.ops->reserve(&h->plat, requests_bytes(h));
	err = io->requests ? rcl_host_devices_init(io) : -ENOMEM;
	if (!err && h->cfg.measure)
		err = rcl_host_measure_init(io);
	if (!err && (h->cfg.no_uring || rcl_host_rings_init(io)))
		err = rcl_host_pool_init(io);
	if (err) {
		rcl_host_io_exit(h);
		return err;
	}
	for (u32 i = 0; i < h->cfg.io_depth; i++)
		io->requests[i].free_next = i + 1 < h->cfg.io_depth ? i + 2 : 0;
	io->free_requests = 1;
	return 0;
}

void rcl_host_io_exit(struct rcl_host *h)
{
	struct host_io *io = h->io;

	if (io->rings)
		rcl_host_rings_exit(io);
	if (io->pool)
		rcl_host_pool_exit(io);
	if (io->devices)
		rcl_host_devices_exit(io);
	rcl_host_measure_exit(io);
	if (io->requests)
		h->plat.ops->release(&h->plat, io->requests, requests_bytes(h));
	free(io);
	h->io = NULL;
}
