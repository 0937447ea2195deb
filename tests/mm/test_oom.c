/* SPDX-License-Identifier: MIT */
/* The OOM killer's own source, with address spaces that only have sizes. */
#define rcl_mm_reap	     hook_mm_reap
#define rcl_total_swap_pages hook_total_swap_pages

#include "bare_machine.h"

#include "mm/oom.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct {
	struct mm *reaped;
	u32 nr_reaped, users;
	u64 swap;
	bool slow; /* reaping does not finish: the address space stays alive */
} hook;

void hook_mm_reap(struct rcl *m, struct mm *mm)
{
	assert_false(spin_is_held(&m->tasks_lock));
	hook.reaped = mm;
	hook.users = mm->users;
	hook.nr_reaped++;
	if (hook.slow)
		return;
	mm->dead = true;
	mm->anon_rss = mm->file_rss = mm->swap_ents = 0;
}
u64 hook_total_swap_pages(struct rcl *m)
{
	(void)m;
	return hook.swap;
}

#define NR_TASKS 6
struct world {
	struct bare *b;
	struct rcl *m;
	struct task tasks[NR_TASKS];
	struct mm mms[NR_TASKS];
	struct memcg root, left, right, left_child;
};

static struct world *open_world(void)
{
	struct world *w = aligned_alloc(_Alignof(struct world), sizeof(*w));

	memset(w, 0, sizeof(*w));
	memset(&hook, 0, sizeof(hook));
	w->b = bare_new(1, false);
	w->m = &w->b->m;
	w->m->totalram_pages = 100000;
	assert_int_equal(rcl_oom_init(w->m), 0);
	w->m->root_memcg = &w->root;
	w->left.parent = w->right.parent = &w->root;
	w->left_child.parent = &w->left;
	w->root.max = w->left.max = w->right.max = w->left_child.max = MEMCG_MAX;
	for (u32 i = 0; i < NR_TASKS; i++) {
		struct task *t = &w->tasks[i];

		t->m = w->m;
		t->id = 100 + i;
		t->name[0] = (char)('a' + i);
		t->mm = &w->mms[i];
		t->mm->users = 1;
		w->mms[i].anon_rss = 1000 * (i + 1);
		list_add_tail(&t->link, &w->m->tasks);
	}
	return w;
}

static void close_world(struct world *w)
{
	/* Whoever reaped has let go. */
	for (u32 i = 0; i < NR_TASKS; i++)
		assert_int_equal(w->mms[i].users, 1);
	rcl_oom_exit(w->m);
	bare_delete(w->b);
	free(w);
}

/* The page allocator's call, which holds the lock. Returns the victim, NULL if none. */
static struct task *global_oom(struct world *w, gfp_t gfp, bool *progress)
{
	struct oom_control oc = {.gfp = gfp};
	u32 before = hook.nr_reaped;

	assert_true(rcl_oom_trylock(w->m));
	*progress = rcl_out_of_memory(w->m, &oc);
	rcl_oom_unlock(w->m);
	if (hook.nr_reaped == before)
		return NULL;
	/* Another task may end, and let go of it, while it is being reaped. */
	assert_true(hook.users == 2 || hook.reaped == w->m->plat->current->mm);
	return &w->tasks[hook.reaped - w->mms];
}

static void test_badness(void **state)
{
	struct world *w = open_world();
	struct task *t = &w->tasks[0];
	(void)state;

	w->mms[0] = (struct mm){
		.users = 1, .anon_rss = 100, .file_rss = 20, .swap_ents = 3000, .table_pages = 7};
	assert_int_equal(rcl_oom_badness(w->m, t, 50000), 3127);
	t->oom_score_adj = 500;
	assert_int_equal(rcl_oom_badness(w->m, t, 50000), 3127 + 25000);
	t->oom_score_adj = -999;
	assert_int_equal(rcl_oom_badness(w->m, t, 50999), 3127 - 999 * 50);
	t->oom_score_adj = -1000;
	assert_int_equal(rcl_oom_badness(w->m, t, 50000), INT64_MIN);
	t->oom_score_adj = 0;
	w->mms[0].dead = true;
	assert_int_equal(rcl_oom_badness(w->m, t, 50000), INT64_MIN);
	w->mms[0].dead = false;
	t->flags = PF_KTHREAD;
	assert_int_equal(rcl_oom_badness(w->m, t, 50000), INT64_MIN);
	t->flags = 0;
	t->mm = NULL;
	assert_int_equal(rcl_oom_badness(w->m, t, 50000), INT64_MIN);
	close_world(w);
}

static void test_largest_dies(void **state)
{
	struct world *w = open_world();
	char name[16];
	bool progress;
	u32 id;
	(void)state;

	assert_false(rcl_oom_last_victim(w->m, name, &id));
	assert_ptr_equal(global_oom(w, GFP_KERNEL, &progress), &w->tasks[5]);
	assert_true(progress);
	assert_int_equal(w->tasks[5].flags, PF_KILLED | PF_OOM_VICTIM);
	assert_int_equal(w->tasks[4].flags, 0);
	assert_int_equal(bare_events(w->b, OOM_KILL), 1);
	assert_int_equal(w->root.oom_kills, 1);
	assert_true(rcl_oom_last_victim(w->m, name, &id));
	assert_string_equal(name, "f");
	assert_int_equal(id, 105);

	/* The first one has given all: the next largest. */
	assert_ptr_equal(global_oom(w, GFP_KERNEL, &progress), &w->tasks[4]);
	/* Protected, and preferred. */
	w->tasks[3].oom_score_adj = -1000;
	w->tasks[0].oom_score_adj = 500;
	assert_ptr_equal(global_oom(w, GFP_KERNEL, &progress), &w->tasks[0]);
	w->mms[1].anon_rss = w->mms[2].anon_rss;
	assert_ptr_equal(global_oom(w, GFP_KERNEL, &progress), &w->tasks[2]); /* the youngest */
	assert_ptr_equal(global_oom(w, GFP_KERNEL, &progress), &w->tasks[1]);
	/* Only the protected one is left. */
	assert_null(global_oom(w, GFP_KERNEL, &progress));
	assert_false(progress);
	assert_int_equal(bare_events(w->b, OOM_KILL), 5);
	close_world(w);
}

static void test_score_counts_swap_too(void **state)
{
	struct world *w = open_world();
	bool progress;
	(void)state;

	/* 5000 above the others: not with 100000 pages in all, but with swap it is. */
	w->tasks[0].oom_score_adj = 45;
	assert_ptr_equal(global_oom(w, GFP_KERNEL, &progress), &w->tasks[5]);
	hook.swap = 100000;
	assert_ptr_equal(global_oom(w, GFP_KERNEL, &progress), &w->tasks[0]);
	close_world(w);
}

static void test_one_at_a_time(void **state)
{
	struct world *w = open_world();
	bool progress;
	(void)state;

	hook.slow = true;
	assert_ptr_equal(global_oom(w, GFP_KERNEL, &progress), &w->tasks[5]);
	assert_null(global_oom(w, GFP_KERNEL, &progress));
	assert_true(progress);
	assert_int_equal(bare_events(w->b, OOM_KILL), 1);
	close_world(w);
}

static void test_sharers_die_too(void **state)
{
	struct world *w = open_world();
	bool progress;
	(void)state;

	w->tasks[1].mm = w->tasks[5].mm;
	w->tasks[2].mm = w->tasks[5].mm;
	w->tasks[2].flags = PF_KTHREAD;
	global_oom(w, GFP_KERNEL, &progress);
	assert_int_equal(w->tasks[1].flags, PF_KILLED);
	assert_int_equal(w->tasks[2].flags, PF_KTHREAD);
	assert_true(w->tasks[5].flags & PF_OOM_VICTIM);
	close_world(w);
}

static void test_no_fs_kills_nobody(void **state)
{
	struct world *w = open_world();
	bool progress;
	(void)state;

	assert_null(global_oom(w, GFP_NOFS, &progress));
	assert_true(progress);
	close_world(w);
}

static void test_allocating_task(void **state)
{
	struct world *w = open_world();
	bool progress;
	(void)state;

	w->m->tun.overcommit_kill_allocating_task = 1;
	w->b->plat.current = &w->tasks[1];
	assert_ptr_equal(global_oom(w, GFP_KERNEL, &progress), &w->tasks[1]);
	/* It is dying and has nothing left to give; choose again. */
	assert_ptr_equal(global_oom(w, GFP_KERNEL, &progress), &w->tasks[5]);
	w->b->plat.current = &w->tasks[2];
	w->tasks[2].oom_score_adj = -1000;
	assert_ptr_equal(global_oom(w, GFP_KERNEL, &progress), &w->tasks[4]);
	close_world(w);
}

static void test_dying_task_gets_reserves(void **state)
{
	struct world *w = open_world();
	bool progress;
	(void)state;

	w->b->plat.current = &w->tasks[0];
	w->tasks[0].flags = PF_KILLED;
	assert_ptr_equal(global_oom(w, GFP_KERNEL, &progress), &w->tasks[0]);
	assert_true(progress);
	assert_true(w->tasks[0].flags & PF_OOM_VICTIM);
	assert_int_equal(bare_events(w->b, OOM_KILL), 0);
	close_world(w);
}

static bool memcg_oom(struct world *w, struct memcg *memcg)
{
	struct oom_control oc = {.memcg = memcg, .gfp = GFP_KERNEL};
	bool progress = rcl_out_of_memory(w->m, &oc);

	/* Whatever happened, the lock is free. */
	assert_true(rcl_oom_trylock(w->m));
	rcl_oom_unlock(w->m);
	return progress;
}

static void test_group(void **state)
{
	struct world *w = open_world();
	(void)state;

	w->tasks[0].memcg = &w->left;
	w->tasks[1].memcg = &w->left_child;
	w->tasks[2].memcg = &w->right;
	w->left.max = w->left.usage = 5000;
	/* Within the subtree only; counted where the victim is. */
	assert_true(memcg_oom(w, &w->left));
	assert_ptr_equal(hook.reaped, &w->mms[1]);
	assert_int_equal(w->left_child.oom_kills, 1);
	assert_int_equal(w->left.oom_kills, 0);
	assert_true(memcg_oom(w, &w->left));
	assert_ptr_equal(hook.reaped, &w->mms[0]);
	/* Nobody is left in it. */
	assert_false(memcg_oom(w, &w->left));
	assert_int_equal(hook.nr_reaped, 2);
	/* A group that has room again needs no victim. */
	w->right.max = 100;
	w->right.usage = 99;
	assert_true(memcg_oom(w, &w->right));
	assert_int_equal(hook.nr_reaped, 2);
	w->right.usage = 100;
	assert_true(memcg_oom(w, &w->right));
	assert_int_equal(hook.nr_reaped, 3);
	close_world(w);
}

/* While another kill goes on a killed task does not wait for it; others would. */
static void test_group_lock(void **state)
{
	struct world *w = open_world();
	struct oom_control oc = {.memcg = &w->left, .gfp = GFP_KERNEL};
	(void)state;

	w->left.max = w->left.usage = 10;
	w->b->plat.current = &w->tasks[0];
	w->tasks[0].flags = PF_KILLED;
	assert_true(rcl_oom_trylock(w->m));
	assert_false(rcl_oom_trylock(w->m));
	assert_true(rcl_out_of_memory(w->m, &oc));
	assert_int_equal(hook.nr_reaped, 0);
	rcl_oom_unlock(w->m);
	close_world(w);
}

/* Any mixture of tasks: who dies is killable, in the group, and nobody else was worth more. */
static void test_random_choices(void **state)
{
	(void)state;
	for (u64 seed = 1; seed <= 2000; seed++) {
		struct world *w = open_world();
		struct memcg *groups[] = {NULL, &w->root, &w->left, &w->right, &w->left_child};
		struct memcg *memcg = groups[seed % ARRAY_SIZE(groups)];
		s64 points[NR_TASKS], most = INT64_MIN;
		u64 total = w->m->totalram_pages;
		bool progress;

		w->b->seed = seed;
		if (memcg) {
			memcg->max = (u64)(memcg->usage = 7000);
			total = 7000;
		}
		for (u32 i = 0; i < NR_TASKS; i++) {
			u64 r = bare_random(&w->b->plat);
			struct task *t = &w->tasks[i];

			t->memcg = groups[r % ARRAY_SIZE(groups)];
			t->oom_score_adj = r >> 8 & 3 ? (s32)((r >> 16) % 2001) - 1000 : -1000;
			t->flags = r >> 32 & 7 ? 0 : PF_KTHREAD;
			w->mms[i].anon_rss = (s64)(r >> 40) % 5000;
			points[i] =
				in_subtree(t->memcg ? t->memcg : &w->root, memcg ? memcg : &w->root)
					? rcl_oom_badness(w->m, t, total)
					: INT64_MIN;
			most = max(most, points[i]);
		}
		if (memcg)
			progress = memcg_oom(w, memcg);
		else
			global_oom(w, GFP_KERNEL, &progress);
		assert_int_equal(progress, most > INT64_MIN);
		assert_int_equal(hook.nr_reaped, progress);
		if (progress)
			assert_int_equal(points[hook.reaped - w->mms], most);
		close_world(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_badness),
		cmocka_unit_test(test_largest_dies),
		cmocka_unit_test(test_score_counts_swap_too),
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_sharers_die_too),
		cmocka_unit_test(test_no_fs_kills_nobody),
		cmocka_unit_test(test_allocating_task),
		cmocka_unit_test(test_dying_task_gets_reserves),
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_group_lock),
		cmocka_unit_test(test_random_choices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
