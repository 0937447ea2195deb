/* SPDX-License-Identifier: MIT */
/*
 * Who runs, and when it is.
 *
 * There is no scheduler's own stack. A task that must wait runs the event loop itself: it handles
 * what is due, until some task may run; if that is another one it switches straight to it, and if
 * it is itself it simply returns. The commonest case of all, a lone task that reads a page from a
 * device, therefore costs no switch: it advances the clock to the completion, handles it where it
 * stands, finds itself awake and goes on. The thread that opened the simulator is a task like the
 * others, except that its stack is not ours.
 *
 * Time. Each CPU has a clock; it moves while a task works on it and jumps when an interrupt or a
 * wake-up finds it idle. One CPU at a time is "running" in the sense of the host: platform->now,
 * cpu and current are its state. The others stand still, so clocks differ, but by no more than
 * QUANTUM:
 *
 *   a running CPU gives way at its next poll    when its clock is QUANTUM past the slowest busy one
 *   an event is handled                         when every busy CPU has reached its time, or the
 *                                               CPU it interrupts has
 *   the next CPU to run                         is the busy one whose clock is least
 *
 * platform->next_event is the earliest clock at which a poll could find something to do. Whatever
 * makes something happen earlier lowers it; it is computed afresh whenever a task is taken up.
 *
 * Scheduling on one CPU is the reference's fair scheduler for tasks of equal weight, in small:
 *
 *   picked       the runnable task with the least virtual run time (CPU time it had)
 *   slept        starts at least at the queue's least virtual time minus half a latency period: a
 *                bonus, but no hoard of unused time
 *   new          starts one slice late, so that forking gains nothing
 *   woken        preempts if it is behind the running task by more than the wake-up granularity
 *   tick         a running task with competitors loses the CPU when it used up its share of the
 *                latency period, or is that much ahead of the first competitor
 *
 * Preemption happens at polls only: the reference's kernel without forced preemption. Ticks are a
 * multiple of 4 ms (250 per second) of the CPU's clock.
 *
 * Placing. A woken task returns to its CPU unless that is busy and another one idle. A CPU that
 * falls idle takes a waiting task from the longest queue. At a tick a CPU with two tasks more than
 * the least loaded one gives one away.
 *
 * Waiting is by address: sleepers hang in one of a fixed set of buckets, first come first woken.
 *
 * Deadlock: no task can run and nothing is due. Or, since the machine's own tasks may have timers
 * for ever: all users have been asleep without a timeout, with no I/O under way, for a long time.
 *
 * Exploring (cfg.explore) replaces each choice that a real machine leaves open by a random one:
 * whether a poll preempts, who runs, who is woken first, how far CPUs drift apart.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "platform/sim/internal.h"

#define QUANTUM		(u64)10000 /* ns that CPUs' clocks may differ */
#define EXPLORE_QUANTUM (u64)200000
#define EXPLORE_PREEMPT 8 /* a poll preempts once in so many */

/* The reference's defaults for one CPU. */
#define SCHED_LATENCY		 6000000ull
#define SCHED_MIN_GRANULARITY	 750000ull
#define SCHED_WAKEUP_GRANULARITY 1000000ull
#define SCHED_NR_LATENCY	 8
#define SCHED_HZ		 250

#define FIRST_VRUNTIME (1ull << 40) /* so that no bonus can make one negative */

#define STACK_BATCH  16
#define STACK_BYTES  65536ul
#define STACK_COLOUR 320ul /* stack tops differ by this, else they all fall into one cache set */

struct stack_batch {
	struct stack_batch *next;
	char *mem;
	size_t bytes;
	u32 nr;
	struct sim_task *tasks[STACK_BATCH];
};

static inline u64 bit(u32 cpu)
{
	return 1ull << cpu;
}

/* The CPU's clock, wherever it is kept now. */
static inline u64 cpu_clock(const struct rcl_sim *sim, const struct sim_cpu *c)
{
	return c->id == sim->plat.cpu ? sim->plat.now : c->now;
}

static inline u32 nr_running(const struct sim_cpu *c)
{
	return c->rq.nr + (c->curr != NULL);
}

/* Tell the pressure accounting that a task became runnable or went to sleep. */
static inline void productive(struct rcl_sim *sim, struct sim_task *st, bool on)
{
	struct task *t = st->task;

	if ((t->memcg || st->user) && !t->in_memstall && sim->plat.m && st != &sim->main)
		rcl_psi_task_change(sim->plat.m, t, on);
}

/* ---- the fair part ---- */

/* Bring the CPU time of a CPU's task and the queue's least virtual time up to date. */
static inline void account(struct rcl_sim *sim, struct sim_cpu *c)
{
	struct sim_task *st = c->curr;
	u64 now = cpu_clock(sim, c), least;

	st->task->cpu_ns += now - st->exec_start;
	st->vruntime += now - st->exec_start;
	st->exec_start = now;
	least = st->vruntime;
	if (c->rq.nr)
		least = min(least, c->rq.slots[0].key);
	c->min_vruntime = max(c->min_vruntime, least);
}

static u64 slice(const struct rcl_sim *sim, u32 nr)
{
	u64 period = nr > SCHED_NR_LATENCY ? nr * sim->min_granularity : sim->latency;

	return period / nr;
}

static inline void arm_tick(struct rcl_sim *sim, struct sim_cpu *c, u64 now)
{
	c->next_tick = (now / sim->tick + 1) * sim->tick;
}

/* A wake-up or event may concern the running CPU earlier than it thinks. */
static inline void look_at(struct rcl_sim *sim, u64 t)
{
	sim->plat.next_event = min(sim->plat.next_event, t);
}

static inline void enqueue(struct rcl_sim *sim, struct sim_cpu *c, struct sim_task *st)
{
	st->state = TASK_RUNNABLE;
	st->cpu = c->id;
	heap_push(&c->rq, &st->rq, st->vruntime, st->tie);
	sim->busy |= bit(c->id);
}

/* Virtual time counts from each queue's own least. */
static void change_queue(struct sim_task *st, const struct sim_cpu *from, const struct sim_cpu *to)
{
	st->vruntime += to->min_vruntime - from->min_vruntime;
}

static struct sim_task *rq_task(struct sim_cpu *c, u32 i)
{
	return container_of(c->rq.slots[i].node, struct sim_task, rq);
}

static struct sim_cpu *select_cpu(struct rcl_sim *sim, struct sim_task *st)
{
	struct sim_cpu *prev = &sim->cpus[st->cpu];
	u64 idle;

	if (sim->nr_cpus == 1 || !(sim->busy & bit(prev->id)))
		return prev;
	idle = ~sim->busy & (sim->nr_cpus == 64 ? ~0ull : bit(sim->nr_cpus) - 1);
	return idle ? &sim->cpus[__builtin_ctzll(idle)] : prev;
}

/* Make a waiting or new task runnable, on behalf of whatever runs now (a task or an event). */
static inline void make_runnable(struct rcl_sim *sim, struct sim_task *st, struct sim_cpu *c)
{
	struct sim_cpu *prev = &sim->cpus[st->cpu];
	u64 now;

	if (c->curr)
		account(sim, c);
	if (unlikely(c != prev)) {
		change_queue(st, prev, c);
		sim->stats.migrations++;
	}
	st->vruntime = max(st->vruntime, c->min_vruntime - sim->latency / 2);
	if (!(sim->busy & bit(c->id))) {
		/* A wake-up reaches an idle CPU at the waker's time. */
		if (c->id != sim->plat.cpu)
			c->now = max(c->now, sim->plat.now);
		now = cpu_clock(sim, c);
		if (now > c->idle_since)
			sim->stats.idle_ns += now - c->idle_since;
		if (c->id != sim->plat.cpu) {
			sim->horizon = min(sim->horizon, c->now + QUANTUM);
			look_at(sim, sim->horizon);
		}
		enqueue(sim, c, st);
		return;
	}
	enqueue(sim, c, st);
	if (!c->curr)
		return;
	now = cpu_clock(sim, c);
	if (c->rq.nr == 1)
		arm_tick(sim, c, now);
	if (c->curr->vruntime > st->vruntime + sim->wakeup_granularity)
		c->need_resched = true;
	if (c->id == sim->plat.cpu)
		look_at(sim, c->need_resched ? 0 : c->next_tick);
}

/* A CPU without work takes the task that would wait longest from the longest queue. */
static bool pull_task(struct rcl_sim *sim, struct sim_cpu *c)
{
	struct sim_cpu *busiest = NULL;
	struct sim_task *st;
	u32 last;

	for (u64 left = sim->busy; left; left &= left - 1) {
		struct sim_cpu *o = &sim->cpus[__builtin_ctzll(left)];
		if (o != c && o->curr && o->rq.nr && (!busiest || o->rq.nr > busiest->rq.nr))
			busiest = o;
	}
	if (!busiest)
		return false;
	last = 0;
	for (u32 i = 1; i < busiest->rq.nr; i++)
		if (heap_before(&busiest->rq.slots[last], &busiest->rq.slots[i]))
			last = i;
	st = rq_task(busiest, last);
	heap_remove(&busiest->rq, &st->rq);
	change_queue(st, busiest, c);
	enqueue(sim, c, st);
	sim->stats.migrations++;
	return true;
}

/* The running CPU has competitors for its task: is the task's time up? */
static void tick(struct rcl_sim *sim, struct sim_cpu *c)
{
	u64 ideal, ran;

	account(sim, c);
	ideal = slice(sim, nr_running(c));
	ran = c->now - c->curr->slice_start;
	if (ran > ideal)
		c->need_resched = true;
	else if (ran >= sim->min_granularity && c->curr->vruntime > c->rq.slots[0].key + ideal)
		c->need_resched = true;
	arm_tick(sim, c, c->now);

	if (sim->nr_cpus > 1) {
		struct sim_cpu *least = NULL;
		for (u32 i = 0; i < sim->nr_cpus; i++)
			if (!least || nr_running(&sim->cpus[i]) < nr_running(least))
				least = &sim->cpus[i];
		if (nr_running(least) + 2 <= nr_running(c)) {
			struct sim_task *st = rq_task(c, c->rq.nr - 1);
			heap_remove(&c->rq, &st->rq);
			st->cpu = c->id;
			make_runnable(sim, st, least);
		}
	}
}

/* Take up the next task of a CPU that has none. */
static inline void pick(struct rcl_sim *sim, struct sim_cpu *c)
{
	struct sim_task *st;

	if (unlikely(sim->cfg.explore))
		st = rq_task(c, (u32)rng_below(&sim->rng_sched, c->rq.nr));
	else
		st = rq_task(c, 0);
	heap_remove(&c->rq, &st->rq);
	if (st != c->last) {
		c->now += sim->plat.cost_ns[WORK_SWITCH];
		sim->stats.switches++;
		c->last = st;
	}
	c->curr = st;
	c->need_resched = false;
	c->min_vruntime = max(c->min_vruntime, st->vruntime);
	st->state = TASK_RUNNING;
	st->exec_start = st->slice_start = c->now;
	if (c->rq.nr)
		arm_tick(sim, c, c->now);
	digest(sim, c->now ^ (u64)st->task->id << 48 ^ st->tie);
}

/* ---- events ---- */

static void unlink_waiter(struct rcl_sim *sim, struct sim_task *st)
{
	list_del(&st->waiter);
	if (st->timer.node.pos != HEAP_OUT)
		heap_remove(&sim->events, &st->timer.node);
	if (st->forever && st->user)
		sim->nr_users_forever--;
}

static inline void wake_up_task(struct rcl_sim *sim, struct sim_task *st, int result)
{
	RCL_DEBUG_ASSERT(st->state == TASK_WAITING);
	unlink_waiter(sim, st);
	st->result = result;
	productive(sim, st, true);
	make_runnable(sim, st, select_cpu(sim, st));
}

static void users_hang(struct rcl_sim *sim, u64 now)
{
	if (sim->nr_users && sim->nr_users == sim->nr_users_forever && !sim->nr_in_flight &&
	    now > sim->last_user + sim->cfg.hung_task_ns)
		rcl_sim_stuck(sim, "every user task has been asleep for too long");
}

/* Handle the first event, on the CPU it interrupts. Leaves plat.now, cpu and current changed. */
static void run_event(struct rcl_sim *sim)
{
	u64 t = sim->events.slots[0].key;
	struct sim_event *ev = container_of(heap_pop(&sim->events), struct sim_event, node);
	struct sim_cpu *c = &sim->cpus[ev->cpu];

	sim->plat.cpu = c->id;
	sim->plat.now = max(c->now, t);
	sim->plat.current = c->curr ? c->curr->task : &c->idle;
	sim->in_irq = true;
	sim->stats.events++;
	digest(sim, t);
	if (unlikely(sim->alarm_at && t >= sim->alarm_at)) {
		sim->alarm_at = 0;
		sim->alarm(sim->alarm_arg);
	}
	if (ev->kind == EVENT_IO) {
		rcl_sim_complete(sim, container_of(ev, struct sim_request, event), t);
	} else {
		struct sim_task *st = container_of(ev, struct sim_task, timer);
		if (unlikely(!st->user))
			users_hang(sim, t);
		wake_up_task(sim, st, -ETIMEDOUT);
	}
	sim->in_irq = false;
	c->now = sim->plat.now;
}

void rcl_sim_event_add(struct rcl_sim *sim, struct sim_event *ev, u64 t)
{
	heap_push(&sim->events, &ev->node, t, sim->event_seq++);
	look_at(sim, t);
}

/* ---- the loop ---- */

static inline struct sim_cpu *slowest_busy(const struct rcl_sim *sim)
{
	struct sim_cpu *c;

	if (!sim->busy)
		return NULL;
	c = &sim->cpus[__builtin_ctzll(sim->busy)];
	for (u64 left = sim->busy & (sim->busy - 1); left; left &= left - 1) {
		struct sim_cpu *o = &sim->cpus[__builtin_ctzll(left)];
		if (o->now < c->now)
			c = o;
	}
	return c;
}

/* Make c the running CPU. */
static inline void enter(struct rcl_sim *sim, struct sim_cpu *c)
{
	struct platform *p = &sim->plat;
	u64 t;

	p->now = c->now;
	p->cpu = c->id;
	p->current = c->curr->task;
	sim->running = c->curr;
	if (c->curr->user)
		sim->last_user = c->now;
	t = sim->horizon;
	if (sim->events.nr)
		t = min(t, sim->events.slots[0].key);
	if (c->rq.nr)
		t = min(t, c->next_tick);
	if (unlikely(c->need_resched || sim->cfg.explore))
		t = 0;
	p->next_event = t;
}

/* How far c may run before another CPU must catch up. */
static inline void set_horizon(struct rcl_sim *sim, const struct sim_cpu *c)
{
	u64 least = UINT64_MAX, quantum = QUANTUM;

	sim->horizon = UINT64_MAX;
	if (likely(sim->busy == bit(c->id)))
		return;
	for (u64 left = sim->busy & ~bit(c->id); left; left &= left - 1)
		least = min(least, sim->cpus[__builtin_ctzll(left)].now);
	if (unlikely(sim->cfg.explore))
		quantum = rng_below(&sim->rng_sched, EXPLORE_QUANTUM);
	sim->horizon = least + quantum;
}

/* Handle what is due until a task may run; make its CPU the running one and return it. */
static struct sim_task *dispatch(struct rcl_sim *sim)
{
	for (;;) {
		struct sim_cpu *c = slowest_busy(sim);

		if (sim->events.nr && (!c || sim->events.slots[0].key <= c->now)) {
			run_event(sim);
			continue;
		}
		if (unlikely(!c)) {
			rcl_sim_stuck(sim, "no task can run and nothing is due");
			continue;
		}
		if (!c->curr)
			pick(sim, c);
		set_horizon(sim, c);
		enter(sim, c);
		return c->curr;
	}
}

/* After every switch, on the new stack: what the old one could not do itself. */
static void finish_switch(struct rcl_sim *sim)
{
	struct sim_task *left = sim->leaving;

	if (left->state == TASK_ENDED) {
		list_del(&left->all);
		list_add(&left->all, &sim->free_tasks);
		sim->nr_tasks--;
	}
}

static inline void switch_to(struct rcl_sim *sim, struct sim_task *from, struct sim_task *to)
{
	sim->leaving = from;
	rcl_coro_switch(&from->coro, &to->coro, from->state == TASK_ENDED);
	finish_switch(sim);
}

/* The running task leaves its CPU. */
static struct sim_cpu *give_up_cpu(struct rcl_sim *sim)
{
	struct sim_cpu *c = &sim->cpus[sim->plat.cpu];

	c->now = sim->plat.now;
	account(sim, c);
	c->curr = NULL;
	return c;
}

/* ... and will not want it back for now. */
static inline void leave_cpu(struct rcl_sim *sim)
{
	struct sim_cpu *c = give_up_cpu(sim);

	c->last = NULL;
	if (c->rq.nr || (sim->nr_cpus > 1 && pull_task(sim, c)))
		return;
	sim->busy &= ~bit(c->id);
	c->idle_since = c->now;
}

/* May the first event be handled by a poll of c, whose clock has passed it? */
static bool may_run_event(const struct rcl_sim *sim, const struct sim_cpu *c)
{
	const struct sim_event *ev;
	u64 t;

	if (!sim->events.nr)
		return false;
	t = sim->events.slots[0].key;
	if (t > c->now)
		return false;
	ev = container_of(sim->events.slots[0].node, struct sim_event, node);
	return ev->cpu == c->id || !(sim->busy & bit(ev->cpu)) || sim->cpus[ev->cpu].now >= t;
}

void rcl_sim_poll(struct platform *p)
{
	struct rcl_sim *sim = to_sim(p);
	struct sim_task *st = sim->running, *next;
	struct sim_cpu *c = &sim->cpus[p->cpu];
	u64 busy = sim->busy;

	RCL_ASSERT(!sim->in_irq);
	c->now = p->now;
	while (may_run_event(sim, c))
		run_event(sim);
	p->cpu = c->id;
	p->now = c->now;
	if (sim->busy & ~busy) /* an event gave an idle CPU work */
		set_horizon(sim, c);
	if (c->rq.nr) {
		if (unlikely(sim->cfg.explore) && rng_below(&sim->rng_sched, EXPLORE_PREEMPT) == 0)
			c->need_resched = true;
		if (!c->need_resched && c->now >= c->next_tick)
			tick(sim, c);
	}
	if (c->need_resched && c->rq.nr) {
		account(sim, c);
		c->curr = NULL;
		enqueue(sim, c, st);
		pick(sim, c);
		sim->stats.preemptions += c->curr != st;
	}
	c->need_resched = false;
	if (likely(c->curr == st && c->now < sim->horizon &&
		   !(sim->events.nr && sim->events.slots[0].key <= c->now))) {
		enter(sim, c);
		return;
	}
	next = dispatch(sim);
	if (next != st)
		switch_to(sim, st, next);
}

static inline struct list_head *bucket(struct rcl_sim *sim, const u32 *word)
{
	u64 hash = (u64)(uintptr_t)word * 0x9e3779b97f4a7c15ull;

	return &sim->buckets[hash >> (64 - WAIT_BUCKET_BITS)];
}

int rcl_sim_wait_on(struct platform *p, u32 *word, u32 value, u64 timeout_ns, bool io)
{
	struct rcl_sim *sim = to_sim(p);
	struct sim_task *st = sim->running, *next;

	RCL_ASSERT(!sim->in_irq);
	if (*word != value)
		return -EAGAIN;
	if (st->plug_count) {
		rcl_sim_plug_flush(sim, st);
		if (*word != value)
			return -EAGAIN;
	}
	if (!timeout_ns)
		return -ETIMEDOUT;

	st->state = TASK_WAITING;
	st->word = word;
	st->value = value;
	st->result = 0;
	st->slept_at = p->now;
	list_add_tail(&st->waiter, bucket(sim, word));
	st->forever = timeout_ns >= RCL_FOREVER - p->now;
	if (!st->forever) {
		st->timer.cpu = p->cpu;
		rcl_sim_event_add(sim, &st->timer, p->now + timeout_ns);
	} else if (st->user) {
		sim->nr_users_forever++;
	}
	productive(sim, st, false);
	leave_cpu(sim);

	next = dispatch(sim);
	if (next != st)
		switch_to(sim, st, next);
	if (io)
		st->task->io_wait_ns += p->now - st->slept_at;
	return st->result;
}

/* The next waiter on word: the first, or any of them when exploring. */
static inline struct sim_task *find_waiter(struct rcl_sim *sim, struct list_head *head,
					   const u32 *word)
{
	struct sim_task *st, *found = NULL;
	u32 seen = 0;

	list_for_each (st, head, waiter) {
		if (st->word != word)
			continue;
		if (likely(!sim->cfg.explore))
			return st;
		if (rng_below(&sim->rng_sched, ++seen) == 0)
			found = st;
	}
	return found;
}

u32 rcl_sim_wake(struct platform *p, u32 *word, u32 n)
{
	struct rcl_sim *sim = to_sim(p);
	struct list_head *head = bucket(sim, word);
	struct sim_task *st;
	u32 woken = 0;

	while (woken < n && !list_empty(head) && (st = find_waiter(sim, head, word))) {
		wake_up_task(sim, st, 0);
		woken++;
	}
	return woken;
}

/* ---- tasks ---- */

static void task_body(void *arg)
{
	struct sim_task *st = arg;
	struct rcl_sim *sim = st->sim;
	struct sim_task *next;

	rcl_coro_started(&st->coro, &sim->leaving->coro);
	finish_switch(sim);
	st->fn(st->arg);

	RCL_ASSERT(!st->plug_count && !sim->in_irq);
	productive(sim, st, false);
	leave_cpu(sim);
	st->state = TASK_ENDED;
	st->ended = 1;
	st->task->platform = NULL;
	rcl_sim_wake(&sim->plat, &st->ended, UINT32_MAX);
	if (st->user && --sim->nr_users == 0) {
		sim->users_seq++;
		rcl_sim_wake(&sim->plat, &sim->users_seq, UINT32_MAX);
	}
	next = dispatch(sim);
	switch_to(sim, st, next);
	__builtin_unreachable();
}

/* A batch of stacks, each above a page that must not be touched, with its task at the top. */
static int grow_stacks(struct rcl_sim *sim)
{
	size_t guard = sim->guard_bytes, each = guard + sim->stack_bytes;
	struct stack_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->bytes = each * STACK_BATCH;
	b->mem = mmap(NULL, b->bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (b->mem == MAP_FAILED) {
		free(b);
		return -ENOMEM;
	}
	b->next = sim->stacks;
	sim->stacks = b;
	for (u32 i = 0; i < STACK_BATCH; i++) {
		char *low = b->mem + i * each;
		size_t colour = (i * STACK_COLOUR) & ~63ul;
		size_t top = sim->stack_bytes - sizeof(struct sim_task) - colour;
		struct sim_task *st = (void *)((uintptr_t)(low + guard + top) & ~63ul);

		if (mprotect(low, guard, PROT_NONE))
			return -ENOMEM;
		rcl_coro_init(&st->coro, low + guard, (size_t)((char *)st - (low + guard)));
		b->tasks[b->nr++] = st;
		list_add_tail(&st->all, &sim->free_tasks);
	}
	return 0;
}

static void init_task(struct rcl_sim *sim, struct sim_task *st, struct task *t, bool user)
{
	struct rcl_coro coro = st->coro;

	memset(st, 0, sizeof(*st));
	st->coro = coro;
	st->sim = sim;
	st->task = t;
	st->user = user;
	st->rq.pos = st->timer.node.pos = HEAP_OUT;
	st->timer.kind = EVENT_TIMER;
	st->tie = rng_next(&sim->rng_sched);
	list_init(&st->plug);
	t->platform = st;
	list_add_tail(&st->all, &sim->tasks);
	sim->nr_tasks++;
	sim->nr_users += user;
}

int rcl_sim_spawn_task(struct rcl_sim *sim, struct task *t, bool user, void (*fn)(void *),
		       void *arg)
{
	struct sim_cpu *c = &sim->cpus[sim->plat.cpu];
	struct sim_task *st;

	RCL_ASSERT(!sim->in_irq);
	for (u32 i = 0; i < sim->nr_cpus; i++)
		if (heap_reserve(&sim->cpus[i].rq, sim->nr_tasks + 1))
			return -ENOMEM;
	/* Room for a timer each beside the requests. */
	if (heap_reserve(&sim->events, sim->nr_tasks + 1 + sim->nr_request_structs))
		return -ENOMEM;
	if (list_empty(&sim->free_tasks) && grow_stacks(sim))
		return -ENOMEM;
	st = list_first_entry(&sim->free_tasks, struct sim_task, all);
	list_del(&st->all);
	init_task(sim, st, t, user);
	st->fn = fn;
	st->arg = arg;
	rcl_coro_prepare(&st->coro, task_body, st);

	for (u32 i = 0; i < sim->nr_cpus; i++)
		if (nr_running(&sim->cpus[i]) < nr_running(c))
			c = &sim->cpus[i];
	st->cpu = c->id;
	st->vruntime = c->min_vruntime + slice(sim, nr_running(c) + 1);
	productive(sim, st, true);
	make_runnable(sim, st, c);
	return 0;
}

void rcl_sim_sched_init(struct rcl_sim *sim)
{
	u32 cpus = min(sim->nr_cpus, 8u);
	u32 factor = 1;

	while (cpus >>= 1)
		factor++;
	sim->latency = SCHED_LATENCY * factor;
	sim->min_granularity = SCHED_MIN_GRANULARITY * factor;
	sim->wakeup_granularity = SCHED_WAKEUP_GRANULARITY * factor;
	sim->tick = RCL_NSEC_PER_SEC / SCHED_HZ;
	sim->stack_bytes =
		rcl_coro_stack_bytes(sim->cfg.stack_bytes ? sim->cfg.stack_bytes : STACK_BYTES);
	/* The host's pages may be larger than the simulated ones. */
	sim->guard_bytes = (size_t)sysconf(_SC_PAGESIZE);
	sim->stack_bytes = (sim->stack_bytes + sim->guard_bytes - 1) & ~(sim->guard_bytes - 1);
	list_init(&sim->tasks);
	list_init(&sim->free_tasks);
	for (u32 i = 0; i < NR_WAIT_BUCKETS; i++)
		list_init(&sim->buckets[i]);
	for (u32 i = 0; i < sim->nr_cpus; i++) {
		struct sim_cpu *c = &sim->cpus[i];
		c->id = i;
		c->min_vruntime = FIRST_VRUNTIME;
		memcpy(c->idle.name, "idle", 5);
		c->idle.flags = PF_KTHREAD;
		list_init(&c->idle.link);
	}

	/* The caller's thread is running, on CPU 0. */
	rcl_coro_init_thread(&sim->main.coro);
	init_task(sim, &sim->main, &sim->main_task, true);
	sim->main.state = TASK_RUNNING;
	sim->main.vruntime = FIRST_VRUNTIME;
	sim->cpus[0].curr = sim->cpus[0].last = &sim->main;
	sim->busy = bit(0);
	sim->horizon = UINT64_MAX;
	enter(sim, &sim->cpus[0]);
}

void rcl_sim_sched_exit(struct rcl_sim *sim)
{
	struct stack_batch *b, *next;

	for (b = sim->stacks; b; b = next) {
		next = b->next;
		for (u32 i = 0; i < b->nr; i++)
			rcl_coro_exit(&b->tasks[i]->coro);
		munmap(b->mem, b->bytes);
		free(b);
	}
	for (u32 i = 0; i < sim->nr_cpus; i++)
		free(sim->cpus[i].rq.slots);
	free(sim->events.slots);
}
