/* SPDX-License-Identifier: MIT */
/* Threads of the host platform: entering, ending, forking, sleeping, and machines that come and go.
 */
#define _GNU_SOURCE 1 /* pthread_getname_np */
#include "host_world.h"

#include <dirent.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define THREADS 4

static struct host_world *small_world(void)
{
	return host_world_open(&(struct host_world_options){.pages = 2048});
}

static u32 nr_tasks(struct rcl *m)
{
	struct task *t;
	u32 nr = 0;

	spin_lock(&m->tasks_lock);
	list_for_each (t, &m->tasks, link)
		nr++;
	spin_unlock(&m->tasks_lock);
	return nr;
}

static u32 load(u32 *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}
static void set(u32 *word, u32 v)
{
	__atomic_store_n(word, v, __ATOMIC_RELEASE);
}
static void await(u32 *word, u32 v)
{
	while (load(word) != v)
		usleep(100);
}

/* ---- entering and leaving ---- */

static void enter_nests(void **state)
{
	struct host_world *w = small_world();
	struct memcg *g;

	(void)state;
	assert_int_equal(rcl_memcg_create(w->m, w->m->root_memcg, "g", &g), 0);
	assert_ptr_equal(rcl_current(w->m), w->task);
	assert_int_equal(w->task->flags, 0);
	assert_null(w->task->mm);
	assert_ptr_equal(rcl_host_enter(w->h, g), w->task);
	assert_ptr_equal(w->task->memcg, g);
	assert_ptr_equal(rcl_host_enter(w->h, w->m->root_memcg), w->task);
	assert_null(w->task->memcg);
	rcl_host_leave(w->h, w->task);
	assert_ptr_equal(w->task->memcg, g);
	rcl_host_leave(w->h, w->task);
	assert_null(w->task->memcg);
	assert_in_range(rcl_this_cpu(w->m)->id, 0, rcl_host_nr_cpus(w->h) - 1);
	assert_int_equal(rcl_memcg_destroy(w->m, g), 0);
	host_world_close(w);
}

struct visitor {
	struct host_world *w;
	struct task *task;
	pthread_t thread;
	struct memcg *memcg;
	u32 phase, may_end;
};

static void *visit(void *arg)
{
	struct visitor *v = arg;
	struct host_world *w = v->w;

	v->task = rcl_host_enter(w->h, v->memcg);
	set(&v->phase, 1);
	for (int i = 0; i < 1000; i++) {
		struct task *t = rcl_host_enter(w->h, v->memcg);

		if (t != v->task || rcl_current(w->m) != t || t->memcg != v->memcg)
			return "wrong task";
		rcl_host_leave(w->h, t);
	}
	rcl_host_leave(w->h, v->task);
	set(&v->phase, 2);
	await(&v->may_end, 1);
	return NULL;
}

static void thread_ends(void **state)
{
	struct host_world *w = small_world();
	struct visitor v[2 * THREADS] = {0};
	u32 before = nr_tasks(w->m);
	void *res;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(v); i++) {
		v[i].w = w;
		assert_int_equal(pthread_create(&v[i].thread, NULL, visit, &v[i]), 0);
	}
	for (u32 i = 0; i < ARRAY_SIZE(v); i++) {
		await(&v[i].phase, 2);
		for (u32 j = 0; j < i; j++)
			assert_ptr_not_equal(v[i].task, v[j].task);
	}
	/* Having left they are tasks still; having ended they are not. */
	assert_int_equal(nr_tasks(w->m), before + ARRAY_SIZE(v));
	for (u32 i = 0; i < ARRAY_SIZE(v); i++) {
		set(&v[i].may_end, 1);
		assert_int_equal(pthread_join(v[i].thread, &res), 0);
		assert_null(res);
	}
	assert_int_equal(nr_tasks(w->m), before);
	host_world_close(w);
}

/* Threads that have entered may outlive the machine and the host. */
static void thread_outlives(void **state)
{
	struct host_world *w = small_world();
	struct visitor v[THREADS] = {0};
	void *res;

	(void)state;
	for (u32 i = 0; i < THREADS; i++) {
		v[i].w = w;
		assert_int_equal(pthread_create(&v[i].thread, NULL, visit, &v[i]), 0);
		await(&v[i].phase, 2);
	}
	host_world_close(w);
	for (u32 i = 0; i < THREADS; i++) {
		set(&v[i].may_end, 1);
		assert_int_equal(pthread_join(v[i].thread, &res), 0);
		assert_null(res);
	}
}

static u32 productive(struct memcg *g)
{
	u32 nr;

	spin_lock(&g->psi.lock);
	nr = g->psi.nr_productive;
	spin_unlock(&g->psi.lock);
	return nr;
}

static void *sleep_visit(void *arg)
{
	struct visitor *v = arg;
	struct task *t = rcl_host_enter(v->w->h, v->memcg);

	set(&v->phase, 1);
	while (!load(&v->may_end))
		rcl_wait_on(v->w->m, &v->may_end, 0, RCL_FOREVER, true);
	rcl_host_leave(v->w->h, t);
	return NULL;
}

/* Who counts as productive, for the machine and for a group. */
static void pressure_counts(void **state)
{
	struct host_world *w = small_world();
	struct memcg *root = w->m->root_memcg, *g;
	struct visitor v = {.w = w};
	bool stall;
	u64 some, full, some2;

	(void)state;
	assert_int_equal(rcl_memcg_create(w->m, root, "g", &g), 0);
	assert_int_equal(productive(root), 1);
	rcl_host_enter(w->h, g);
	assert_int_equal(productive(g), 1);
	assert_int_equal(productive(root), 1);
	stall = rcl_psi_memstall_enter(w->m);
	assert_int_equal(productive(g), 0);
	assert_int_equal(g->psi.nr_stalled, 1);
	rcl_psi_read(w->m, g, &some, &full);
	rcl_wait_on(w->m, &v.phase, 0, 3 * RCL_NSEC_PER_MSEC, false);
	rcl_psi_read(w->m, g, &some2, &full);
	assert_true(some2 - some >= 3 * RCL_NSEC_PER_MSEC);
	assert_true(full >= 3 * RCL_NSEC_PER_MSEC);
	rcl_psi_memstall_leave(w->m, stall);
	assert_true(w->task->memstall_ns >= 3 * RCL_NSEC_PER_MSEC);
	assert_int_equal(productive(g), 1);
	rcl_host_leave(w->h, w->task);
	assert_int_equal(productive(g), 0);
	assert_int_equal(g->psi.nr_stalled, 0);
	assert_int_equal(productive(root), 1);

	/* Another one: asleep in the engine it does not count. */
	v.memcg = g;
	assert_int_equal(pthread_create(&v.thread, NULL, sleep_visit, &v), 0);
	await(&v.phase, 1);
	while (productive(g))
		usleep(100);
	assert_int_equal(productive(root), 1);
	set(&v.may_end, 1);
	rcl_wake(w->m, &v.may_end, 1);
	assert_int_equal(pthread_join(v.thread, NULL), 0);
	assert_int_equal(productive(g), 0);
	assert_int_equal(productive(root), 1);
	assert_int_equal(rcl_memcg_destroy(w->m, g), 0);
	host_world_close(w);
}

/* ---- fork ---- */

static int in_child(struct host_world *w, u64 *reserved, char *arena)
{
	unsigned char vec;

	if (rcl_host_is_alive(w->h))
		return 1;
	if (reserved[0] || reserved[511])
		return 2;
	if (mincore(arena, PAGE_SIZE, &vec) != -1 || errno != ENOMEM)
		return 3;
	if (rcl_host_enter(w->h, NULL))
		return 4;
	if (!rcl_host_is_alive(w->h))
		rcl_host_destroy(w->h);
	return 0;
}

/* Destructors run in the order of the keys, so the host's has been through when this ends it all.
 */
static void end_child(void *value)
{
	_exit(*(char *)value);
}

static void forked(void **state)
{
	struct host_world *w = small_world();
	u64 *reserved = w->plat->ops->reserve(w->plat, PAGE_SIZE);
	char *arena = rcl_host_arena(w->h);
	struct mm *mm;
	int status;
	pid_t pid;

	(void)state;
	reserved[0] = reserved[511] = 1;
	arena[0] = 1;
	assert_int_equal(rcl_mm_create(w->m, NULL, &mm), 0);
	assert_int_equal(rcl_mmap(w->m, mm, 10, 10, VM_READ | VM_WRITE, NULL, 0), 0);
	assert_int_equal(rcl_handle_fault(w->m, mm, 12, true, false), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		int err = in_child(w, reserved, arena);
		pthread_key_t key;

		if (err || pthread_key_create(&key, end_child) || pthread_setspecific(key, ""))
			_exit(err ? err : 5);
		pthread_exit(NULL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);

	assert_true(rcl_host_is_alive(w->h));
	assert_int_equal(reserved[0] & reserved[511] & (u64)arena[0], 1);
	assert_int_equal(rcl_handle_fault(w->m, mm, 13, true, false), 0);
	w->plat->ops->release(w->plat, reserved, PAGE_SIZE);
	rcl_mm_destroy(w->m, mm);
	host_world_close(w);
}

/* ---- sleeping and waking ---- */

#define ROUNDS 100000

struct player {
	struct host_world *w;
	pthread_t thread;
	u32 *turn, me;
	u64 spurious;
};

/* Everybody waits for their turn; a lost wake-up is a hang. */
static void *play(void *arg)
{
	struct player *p = arg;
	struct rcl *m = p->w->m;
	struct task *t = rcl_host_enter(p->w->h, NULL);
	u32 now;

	while ((now = load(p->turn)) < ROUNDS) {
		if (now % THREADS != p->me) {
			if (!rcl_wait_on(m, p->turn, now, RCL_FOREVER, false) &&
			    load(p->turn) == now)
				p->spurious++;
			continue;
		}
		__atomic_store_n(p->turn, now + 1, __ATOMIC_RELAXED);
		rcl_wake(m, p->turn, UINT32_MAX);
	}
	rcl_host_leave(p->w->h, t);
	return NULL;
}

static void ping_pong(void **state)
{
	struct host_world *w = small_world();
	struct player p[THREADS];
	u32 turn = 0;

	(void)state;
	for (u32 i = 0; i < THREADS; i++) {
		p[i] = (struct player){.w = w, .turn = &turn, .me = i};
		assert_int_equal(pthread_create(&p[i].thread, NULL, play, &p[i]), 0);
	}
	for (u32 i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(p[i].thread, NULL), 0);
	assert_int_equal(turn, ROUNDS);
	for (u32 i = 0; i < ARRAY_SIZE(w->h->sleepers); i++)
		assert_true(load(&w->h->sleepers[i]) <= 4); /* the machine's own tasks */
	host_world_close(w);
}

struct gate {
	struct host_world *w;
	u32 free, served;
};

/* A lock with one word: each release wakes one. */
static void *contend(void *arg)
{
	struct gate *g = arg;
	struct rcl *m = g->w->m;
	struct task *t = rcl_host_enter(g->w->h, NULL);

	for (int i = 0; i < ROUNDS / 10; i++) {
		while (!__atomic_exchange_n(&g->free, 0, __ATOMIC_ACQUIRE))
			rcl_wait_on(m, &g->free, 0, RCL_FOREVER, false);
		g->served++;
		if (!(i % 64))
			sched_yield();
		__atomic_store_n(&g->free, 1, __ATOMIC_RELEASE);
		rcl_wake(m, &g->free, 1);
	}
	rcl_host_leave(g->w->h, t);
	return NULL;
}

static void one_word_lock(void **state)
{
	struct gate g = {.w = small_world(), .free = 1};
	pthread_t threads[THREADS];

	(void)state;
	for (u32 i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, contend, &g), 0);
	for (u32 i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(g.served, THREADS * (ROUNDS / 10));
	host_world_close(g.w);
}

static void on_signal(int sig)
{
	(void)sig;
}

struct storm {
	pthread_t target;
	u32 stop, sent;
};
static void *send_signals(void *arg)
{
	struct storm *s = arg;

	while (!load(&s->stop)) {
		pthread_kill(s->target, SIGUSR1);
		set(&s->sent, s->sent + 1);
		usleep(500);
	}
	return NULL;
}

static void timeouts(void **state)
{
	struct host_world *w = small_world();
	struct sigaction sa = {.sa_handler = on_signal};
	struct storm s = {.target = pthread_self()};
	const u64 ns = 20 * RCL_NSEC_PER_MSEC;
	pthread_t thread;
	u32 word = 5;
	u64 start, waited;
	int err;

	(void)state;
	assert_int_equal(rcl_wait_on(w->m, &word, 4, RCL_FOREVER, false), -EAGAIN);
	assert_int_equal(rcl_wait_on(w->m, &word, 4, 0, false), -EAGAIN);
	assert_int_equal(rcl_wait_on(w->m, &word, 5, 0, true), -ETIMEDOUT);
	assert_int_equal(rcl_wake(w->m, &word, 1), 0);

	/* Signals do not make it shorter, nor (the deadline is absolute) longer for ever. */
	sigaction(SIGUSR1, &sa, NULL);
	assert_int_equal(pthread_create(&thread, NULL, send_signals, &s), 0);
	while (!load(&s.sent))
		usleep(100);
	waited = w->task->io_wait_ns;
	start = rcl_now(w->m);
	err = rcl_wait_on(w->m, &word, 5, ns, true);
	assert_int_equal(err, -ETIMEDOUT);
	assert_true(rcl_now(w->m) - start >= ns);
	assert_true(w->task->io_wait_ns - waited >= ns);
	set(&s.stop, 1);
	pthread_join(thread, NULL);
	host_world_close(w);
}

/* ---- the machine's own threads ---- */

struct spawned {
	struct host_world *w;
	struct task task;
	sigset_t mask;
	char name[16];
	bool is_current;
};
static void spawned_main(void *arg)
{
	struct spawned *s = arg;

	s->is_current = rcl_current(s->w->m) == &s->task;
	pthread_sigmask(SIG_SETMASK, NULL, &s->mask);
	pthread_getname_np(pthread_self(), s->name, sizeof(s->name));
}

static void spawn_and_join(void **state)
{
	struct host_world *w = small_world();
	struct spawned s = {.w = w, .task = {.name = "a-long-name-123", .flags = PF_KTHREAD}};
	sigset_t mine;

	(void)state;
	rcl_task_attach(w->m, &s.task);
	assert_int_equal(w->plat->ops->spawn(w->plat, &s.task, spawned_main, &s), 0);
	w->plat->ops->join(w->plat, &s.task);
	rcl_task_detach(w->m, &s.task);
	assert_true(s.is_current);
	assert_null(s.task.platform);
	assert_string_equal(s.name, "rcl-a-long-name");
	for (int sig = 1; sig < 32; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			assert_true(sigismember(&s.mask, sig));
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	assert_false(sigismember(&mine, SIGUSR1));
	host_world_close(w);
}

static u32 count_in(const char *dir)
{
	DIR *d = opendir(dir);
	u32 nr = 0;

	assert_non_null(d);
	while (readdir(d))
		nr++;
	closedir(d);
	return nr;
}

static void open_and_close(void **state)
{
	u32 threads = 0, files = 0;
	size_t used = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct host_world *w = small_world();
		struct mm *mm;

		assert_int_equal(rcl_mm_create(w->m, NULL, &mm), 0);
		assert_int_equal(rcl_mmap(w->m, mm, 0, 100, VM_READ | VM_WRITE, NULL, 0), 0);
		for (u64 vpn = 0; vpn < 100; vpn++)
			assert_int_equal(rcl_handle_fault(w->m, mm, vpn, true, false), 0);
		rcl_mm_destroy(w->m, mm);
		host_world_close(w);
		if (i == 9) {
			threads = count_in("/proc/self/task");
			files = count_in("/proc/self/fd");
			used = mallinfo2().uordblks + mallinfo2().hblkhd;
		}
	}
	assert_int_equal(count_in("/proc/self/task"), threads);
	assert_int_equal(count_in("/proc/self/fd"), files);
	/* What malloc keeps in its caches varies a little; anything kept in each round is more. */
	assert_true(mallinfo2().uordblks + mallinfo2().hblkhd < used + 4096);
}

/* ---- memory ---- */

struct faulter {
	struct host_world *w;
	struct mm *mm;
	struct memcg *memcg;
	pthread_t thread;
	u64 pages;
	int err;
};

static void *fault_all(void *arg)
{
	struct faulter *f = arg;
	struct rcl *m = f->w->m;
	struct task *t = rcl_host_enter(f->w->h, f->memcg);

	for (u64 vpn = 0; vpn < f->pages && !f->err; vpn++)
		f->err = rcl_handle_fault(m, f->mm, vpn, true, false);
	rcl_host_leave(f->w->h, t);
	return NULL;
}

static void anon_faults(void **state)
{
	struct host_world *w = host_world_open(&(struct host_world_options){.pages = 8192});
	struct faulter f[THREADS];

	(void)state;
	for (u32 i = 0; i < THREADS; i++) {
		f[i] = (struct faulter){.w = w, .pages = 1500};
		assert_int_equal(rcl_mm_create(w->m, NULL, &f[i].mm), 0);
		assert_int_equal(rcl_mmap(w->m, f[i].mm, 0, 1500, VM_READ | VM_WRITE, NULL, 0), 0);
		assert_int_equal(pthread_create(&f[i].thread, NULL, fault_all, &f[i]), 0);
	}
	for (u32 i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(f[i].thread, NULL), 0);
		assert_int_equal(f[i].err, 0);
		assert_int_equal(f[i].mm->anon_rss, 1500);
	}
	assert_int_equal(shared_read(&w->m->nodes[0].stat[NR_ANON_MAPPED]), THREADS * 1500);
	for (u32 i = 0; i < THREADS; i++)
		rcl_mm_destroy(w->m, f[i].mm);
	assert_int_equal(shared_read(&w->m->nodes[0].stat[NR_ANON_MAPPED]), 0);
	host_world_close(w);
}

static void kill_allocating_task(struct tunables *tun)
{
	tun->overcommit_kill_allocating_task = 1;
}

/* Nobody can be killed, so who asks for more than there is gets an error. */
static void fault_until_full(const struct host_world_options *opt, bool limit)
{
	struct host_world *w = host_world_open(opt);
	struct faulter f = {.w = w, .pages = 4000};

	if (limit) {
		assert_int_equal(rcl_memcg_create(w->m, w->m->root_memcg, "g", &f.memcg), 0);
		assert_int_equal(rcl_memcg_set_max(w->m, f.memcg, 500 * PAGE_SIZE), 0);
	}
	assert_int_equal(rcl_mm_create(w->m, f.memcg, &f.mm), 0);
	assert_int_equal(rcl_mmap(w->m, f.mm, 0, f.pages, VM_READ | VM_WRITE, NULL, 0), 0);
	assert_int_equal(pthread_create(&f.thread, NULL, fault_all, &f), 0);
	assert_int_equal(pthread_join(f.thread, NULL), 0);
	assert_int_equal(f.err, -ENOMEM);
	assert_in_range(f.mm->anon_rss, limit ? 300 : 1000, limit ? 500 : 2048);
	assert_false(f.mm->dead);
	/* There is room again, and it can be used. */
	assert_int_equal(rcl_munmap(w->m, f.mm, 0, 200), 0);
	f.err = 0;
	f.pages = 100;
	assert_int_equal(rcl_mmap(w->m, f.mm, 0, f.pages, VM_READ | VM_WRITE, NULL, 0), 0);
	fault_all(&f);
	assert_int_equal(f.err, 0);
	rcl_mm_destroy(w->m, f.mm);
	if (limit) {
		rcl_lru_add_drain_all(w->m);
		assert_int_equal(rcl_memcg_destroy(w->m, f.memcg), 0);
	}
	host_world_close(w);
}

static void out_of_memory(void **state)
{
	(void)state;
	fault_until_full(&(struct host_world_options){.pages = 2048}, false);
	fault_until_full(&(struct host_world_options){.pages = 2048, .tune = kill_allocating_task},
			 false);
}

static void group_out_of_memory(void **state)
{
	(void)state;
	fault_until_full(&(struct host_world_options){.pages = 2048}, true);
	fault_until_full(&(struct host_world_options){.pages = 2048, .tune = kill_allocating_task},
			 true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(enter_nests),
		cmocka_unit_test(thread_ends),
		cmocka_unit_test(thread_outlives),
		cmocka_unit_test(pressure_counts),
		cmocka_unit_test(forked),
		cmocka_unit_test(ping_pong),
		cmocka_unit_test(one_word_lock),
		cmocka_unit_test(timeouts),
		cmocka_unit_test(spawn_and_join),
		cmocka_unit_test(open_and_close),
		cmocka_unit_test(anon_faults),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(group_out_of_memory),
	};

	host_watchdog(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
