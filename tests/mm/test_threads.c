/* SPDX-License-Identifier: MIT */
/*
 * The engine under real threads: a platform of pthreads and futexes on which I/O is done at once, a
 * few tasks that fault, map, advise and read, and little memory. Nothing is lost, nobody hangs, and
 * all invariants hold in the end. (ThreadSanitizer finds more here than the checks do.)
 *
 * Entries are only touched through rcl_handle_fault(): the inline short cut of rcl_touch() is the
 * simulator's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "mm/filemap.h"
#include "mm/machine.h"
#include "mm/mm.h"
#include "mm/mm_lock.h"
#include "mm/oom.h"
#include "mm/page_alloc_internal.h"
#include "mm/pin.h"
#include "mm/swap.h"
#include "mm/writeback.h"

#include <cmocka.h>

#define THREADS	   4
#define PAGES	   2000
#define SWAP_PAGES 4000
#define FILE_PAGES 1000
#define SPACE	   1200 /* pages of each address space that are used */

struct world;
struct worker {
	struct task task;
	struct world *w;
	pthread_t thread;
	struct file file; /* mappings of it may outlive the thread */
	u64 seed, steps, killed;
	u32 cpu;
};
struct world {
	struct platform plat;
	struct rcl *m;
	struct memcg *group[2];
	struct mm *mm[2]; /* each is shared by two threads */
	struct mapping *mapping;
	struct worker workers[THREADS];
	u32 stop;
};

struct started {
	struct task *task;
	void (*fn)(void *);
	void *arg;
	pthread_t thread;
};

static __thread struct task *self;
static __thread u32 this_cpu;
static struct task main_task;

static u64 host_now(struct platform *p)
{
	struct timespec t;

	(void)p;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * RCL_NSEC_PER_SEC + (u64)t.tv_nsec;
}
static struct task *host_current(struct platform *p)
{
	(void)p;
	return self ? self : &main_task;
}
static u32 host_this_cpu(struct platform *p)
{
	(void)p;
	return this_cpu;
}
static void *start(void *arg)
{
	struct started *s = arg;

	self = s->task;
	s->fn(s->arg);
	return NULL;
}
static int host_spawn(struct platform *p, struct task *t, void (*fn)(void *), void *arg)
{
	struct started *s = malloc(sizeof(*s));

	(void)p;
	*s = (struct started){.task = t, .fn = fn, .arg = arg};
	t->platform = s;
	return pthread_create(&s->thread, NULL, start, s);
}
static void host_join(struct platform *p, struct task *t)
{
	struct started *s = t->platform;

	(void)p;
	pthread_join(s->thread, NULL);
	free(s);
}
static int host_wait_on(struct platform *p, u32 *word, u32 value, u64 timeout_ns, bool io)
{
	/* Never longer than this, so that a lost wake-up shows as slowness and not as a hang. */
	u64 ns = timeout_ns < RCL_NSEC_PER_SEC / 10 ? timeout_ns : RCL_NSEC_PER_SEC / 10;
	struct timespec t = {.tv_sec = 0, .tv_nsec = (long)ns};
	long err;

	(void)p, (void)io;
	if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
		return -EAGAIN;
	err = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &t, NULL, 0);
	if (!err)
		return 0;
	return errno == ETIMEDOUT ? (ns == timeout_ns ? -ETIMEDOUT : 0)
	       : errno == EAGAIN  ? -EAGAIN
				  : 0;
}
static u32 host_wake(struct platform *p, u32 *word, u32 n)
{
	(void)p;
	return (u32)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n > 1 << 30 ? 1 << 30 : n, NULL,
			    NULL, 0);
}
static void host_nothing(struct platform *p)
{
	(void)p;
}
static void host_submit(struct platform *p, const struct rcl_io *io)
{
	rcl_end_io(p->m, io, 0);
}
static u64 host_random(struct platform *p)
{
	static __thread u64 seed = 88172645463325252ull;

	(void)p;
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}
static void *host_reserve(struct platform *p, size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)p;
	return mem == MAP_FAILED ? NULL : mem;
}
static void host_release(struct platform *p, void *mem, size_t bytes)
{
	(void)p;
	munmap(mem, bytes);
}
static const struct platform_ops host_ops = {
	.now = host_now,
	.current = host_current,
	.this_cpu = host_this_cpu,
	.spawn = host_spawn,
	.join = host_join,
	.wait_on = host_wait_on,
	.wake = host_wake,
	.poll = host_nothing,
	.submit = host_submit,
	.plug_start = host_nothing,
	.plug_finish = host_nothing,
	.random = host_random,
	.reserve = host_reserve,
	.release = host_release,
};

static u64 next_random(struct worker *k)
{
	u64 z = k->seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/*
 * A task comes and goes with an address space of its own, and whoever runs out of memory meanwhile
 * takes that: the killer may be at it while it is destroyed.
 */
static void live_and_die(struct worker *k, u64 pages)
{
	struct rcl *m = k->w->m;
	struct task *t = calloc(1, sizeof(*t));
	int err = rcl_mm_create(m, k->task.memcg, &t->mm);

	assert_int_equal(err, 0);
	t->memcg = k->task.memcg;
	rcl_task_attach(m, t);
	rcl_mmap(m, t->mm, 0, pages, VM_READ | VM_WRITE, NULL, 0);
	for (u64 i = 0; i < pages && !err; i++)
		err = rcl_handle_fault(m, t->mm, i, true, false);
	k->killed += err == -EINTR;
	rcl_task_detach(m, t);
	rcl_mm_destroy(m, t->mm);
	free(t);
}

static void kill_somebody(struct rcl *m, bool slowly)
{
	struct oom_control oc = {.gfp = GFP_KERNEL};
	struct mm *mm = NULL;
	struct task *t;

	if (slowly) {
		spin_lock(&m->tasks_lock);
		list_for_each (t, &m->tasks, link)
			if (t->mm && t->oom_score_adj != -1000)
				mm = t->mm;
		if (mm)
			rcl_mm_get(mm);
		spin_unlock(&m->tasks_lock);
		sched_yield();
		if (mm) {
			rcl_mm_reap(m, mm);
			rcl_mm_put(mm);
		}
		return;
	}
	if (!rcl_oom_trylock(m))
		return;
	rcl_out_of_memory(m, &oc);
	rcl_oom_unlock(m);
}

/* The others may move and unmap what is pinned, so the pin is a short one: no table goes. */
static void pin_some(struct worker *k, struct mm *mm, u64 vpn, u64 how)
{
	struct rcl *m = k->w->m;
	bool write = how & PIN_WRITE;
	pte_t *pte;
	u64 pfn;

	mmap_read_lock(m, mm);
	pte = rcl_pte_lookup(mm, vpn);
	if (pte && rcl_pin_fast(mm, pte, write, &pfn) && !rcl_unpin_fast(mm, pte, write))
		rcl_unpin_page(m, mm, vpn, pte);
	mmap_unlock(m, mm);
	rcl_pin_prefetch(m, mm, vpn, 8);
	/* A page that is pinned keeps its area, hence its table. */
	if (!rcl_pin_page(m, mm, vpn, (u32)how, &pte, &pfn) && !rcl_unpin_fast(mm, pte, write))
		rcl_unpin_page(m, mm, vpn, pte);
}

static void step(struct worker *k, struct mm *mm, struct file *file)
{
	struct rcl *m = k->w->m;
	u64 r = next_random(k), vpn = r % SPACE, pages = 1 + (r >> 16) % 60;
	struct mm *child;
	u64 stamp = 0;

	switch (r >> 32 & 31) {
	case 0:
		rcl_mmap(m, mm, vpn, pages, VM_READ | VM_WRITE, NULL, 0);
		break;
	case 1:
		rcl_mmap(m, mm, vpn, pages, VM_READ | VM_WRITE | VM_RAND_READ, file,
			 (r >> 40) % FILE_PAGES);
		break;
	case 2:
		rcl_munmap(m, mm, vpn, pages);
		break;
	case 3:
	case 4:
		rcl_madvise(m, mm, vpn, pages,
			    (enum rcl_madvice)((r >> 40) % (RCL_MADV_WILLNEED + 1)));
		break;
	case 5:
		rcl_mlock(m, mm, vpn, pages / 8 + 1);
		break;
	case 6:
		rcl_munlock(m, mm, vpn, pages);
		break;
	case 7:
	case 8:
	case 9:
		rcl_file_read(m, file, (r >> 40) % (FILE_PAGES - 8), 1 + (r >> 60), &stamp);
		break;
	case 10:
		rcl_file_write(m, file, (r >> 40) % (FILE_PAGES - 8), 1 + (r >> 60), stamp);
		break;
	case 11:
		if (!rcl_mm_fork(m, mm, k->task.memcg, &child)) {
			for (u64 i = vpn; i < vpn + pages; i++)
				if (rcl_handle_fault(m, child, i, r >> 50 & 1, false) == -EFAULT)
					break;
			rcl_mm_destroy(m, child);
		}
		break;
	case 12:
		if (!rcl_mremap(m, mm, vpn, pages, 2 * SPACE + vpn, pages))
			rcl_mremap(m, mm, 2 * SPACE + vpn, pages, vpn, pages);
		break;
	case 13:
		if (r >> 41 & 1)
			live_and_die(k, pages);
		else if (!(r >> 42 & 3))
			kill_somebody(m, r >> 44 & 1);
		break;
	case 14:
	case 15:
	case 16:
		pin_some(k, mm, vpn, r >> 40 & (PIN_WRITE | PIN_OVERWRITE | PIN_TRY));
		break;
	default:
		for (u64 i = vpn; i < vpn + pages; i++)
			if (rcl_handle_fault(m, mm, i, r >> 50 & 1, false) == -EFAULT)
				break;
	}
	k->steps++;
}

static void *work(void *arg)
{
	struct worker *k = arg;

	self = &k->task;
	this_cpu = k->cpu;
	while (!__atomic_load_n(&k->w->stop, __ATOMIC_RELAXED))
		step(k, k->task.mm, &k->file);
	return NULL;
}

static void threads(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct rcl_machine_config cfg = {.plat = &w->plat,
					 .nr_cpus = 2,
					 .nr_nodes = 1,
					 .nodes[0].managed[ZONE_DMA32] = PAGES};
	struct timespec second = {.tv_sec = 1};
	u64 steps = 0;
	s64 left = 0;

	(void)state;
	w->plat.ops = &host_ops;
	w->plat.threaded = true;
	w->plat.next_event = UINT64_MAX;
	rcl_tunables_defaults(&cfg.tunables);
	cfg.tunables.memcg_oom = 1;
	assert_int_equal(rcl_machine_open(&cfg, &w->m), 0);
	rcl_task_attach(w->m, &main_task);
	assert_int_equal(rcl_writeback_add_device(w->m, 0), 0);
	assert_int_equal(rcl_mapping_create(w->m, "f", 0, 0, FILE_PAGES, 0, &w->mapping), 0);
	assert_int_equal(rcl_swapon(w->m, 1, SWAP_PAGES, -1, SWAP_SOLIDSTATE), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rcl_memcg_create(w->m, w->m->root_memcg, "g", &w->group[i]), 0);
		assert_int_equal(rcl_mm_create(w->m, w->group[i], &w->mm[i]), 0);
	}
	assert_int_equal(rcl_memcg_set_max(w->m, w->group[0], 600 * PAGE_SIZE), 0);
	for (u32 i = 0; i < THREADS; i++) {
		struct worker *k = &w->workers[i];

		k->w = w;
		k->seed = i + 1;
		k->cpu = i & 1; /* two threads on a CPU: as if they were switched in the middle */
		k->task.memcg = w->group[i / 2];
		k->task.mm = w->mm[i / 2];
		k->task.oom_score_adj = -1000;
		rcl_file_open(w->m, w->mapping, &k->file);
		rcl_task_attach(w->m, &k->task);
	}
	for (u32 i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&w->workers[i].thread, NULL, work, &w->workers[i]),
				 0);
	nanosleep(&second, NULL);
	__atomic_store_n(&w->stop, 1, __ATOMIC_RELAXED);
	for (u32 i = 0; i < THREADS; i++) {
		pthread_join(w->workers[i].thread, NULL);
		assert_true(w->workers[i].steps > 0);
		steps += w->workers[i].steps;
	}
	assert_true(steps > 100);
	/* A check needs quiet: the flusher has nothing to do now, and kswapd goes to sleep. */
	rcl_lru_add_drain_all(w->m);
	rcl_sync(w->m);
	while (!__atomic_load_n(&w->m->nodes[0].kswapd_asleep, __ATOMIC_SEQ_CST))
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	assert_true(rcl_check(w->m));
	for (u32 i = 0; i < THREADS; i++)
		rcl_task_detach(w->m, &w->workers[i].task);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(w->mm[i]->lock, 0);
		rcl_mm_destroy(w->m, w->mm[i]);
	}
	rcl_lru_add_drain_all(w->m);
	rcl_mapping_destroy(w->m, w->mapping);
	rcl_lru_add_drain_all(w->m);
	/* A page in the swap cache whose last user could not lock it stays until reclaim finds it.
	 */
	for_each_lru (l)
		left += w->m->nodes[0].stat[l];
	assert_int_equal(left, w->m->nodes[0].stat[NR_SWAPCACHE]);
	for (int i = 0; i < 2 && left; i++)
		rcl_memcg_reclaim(w->m, w->group[i], (u64)left * PAGE_SIZE);
	for_each_lru (l)
		assert_int_equal(w->m->nodes[0].stat[l], 0);
	assert_int_equal(w->m->nodes[0].stat[NR_ANON_MAPPED], 0);
	assert_int_equal(w->m->nodes[0].stat[NR_FILE_MAPPED], 0);
	assert_int_equal(w->m->nodes[0].stat[NR_PAGETABLE], 0);
	assert_int_equal(w->m->nodes[0].stat[NR_ISOLATED_ANON], 0);
	assert_int_equal(w->m->nodes[0].stat[NR_ISOLATED_FILE], 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(rcl_memcg_destroy(w->m, w->group[i]), 0);
	rcl_task_detach(w->m, &main_task);
	rcl_machine_close(w->m);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(threads)};

	alarm(120); /* who hangs fails */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
