/* SPDX-License-Identifier: MIT */
/*
 * Everything that writeback does at once, by several tasks in any order, with and without errors:
 * its books balance at every step, and nothing stays dirty.
 */
#include "writeback_world.h"

enum {
	FILES = 6,
	FILE_PAGES = 700,
	USERS = 4,
	STEPS = 1500
};

struct chaos {
	struct world w;
	struct file files[FILES];
	struct task tasks[USERS];
	struct memcg *groups[2];
	u64 steps, errors;
	bool broken;
};

/* A file of its own that is freed while a flusher may be in it. */
static void short_lived_file(struct chaos *c, u64 r)
{
	struct rcl *m = c->w.m;
	struct mapping *mapping;
	struct file file;

	if (rcl_mapping_create(m, "short", c->w.dev, DEVICE_BLOCKS - 1000, 1000, 0, &mapping)) {
		c->broken = true;
		return;
	}
	rcl_file_open(m, mapping, &file);
	rcl_file_write(m, &file, 0, 1 + r % 200, r);
	rcl_wakeup_flusher_threads(m);
	if (r & 1024)
		rcl_file_fsync(m, &file);
	else
		sleep_ms(&c->w, r >> 11 & 3);
	rcl_mapping_destroy(m, mapping);
}

static void chaos_step(struct chaos *c, struct file *mine)
{
	struct rcl *m = c->w.m;
	u64 r = m->plat->ops->random(m->plat);
	struct file *file = &mine[r % FILES];
	u64 index = (r >> 8) % FILE_PAGES, nr = 1 + (r >> 20) % 40, stamp;
	int err = 0;

	nr = min(nr, FILE_PAGES - index);
	switch ((r >> 32) % 64) {
	case 0:
		rcl_sync(m);
		break;
	case 1 ... 3:
		err = rcl_file_fsync(m, file);
		break;
	case 4 ... 5:
		rcl_wakeup_flusher_threads(m);
		break;
	case 6:
		rcl_truncate_range(m, file->mapping, index, index + nr);
		break;
	case 7:
		sleep_ms(&c->w, (r >> 40) % 3000);
		break;
	case 8:
		rcl_file_advise(m, file, index, nr, RCL_FADV_DONTNEED);
		break;
	case 9 ... 12:
		short_lived_file(c, r >> 40);
		break;
	case 13 ... 30:
		err = rcl_file_read(m, file, index, nr, &stamp);
		break;
	default:
		err = rcl_file_write(m, file, index, nr, r | 1);
	}
	c->errors += err == -EIO;
	if (err && err != -EIO)
		c->broken = true;
	if (++c->steps % 8 == 0 && !rcl_writeback_is_valid(m))
		c->broken = true;
}

static void chaos_user(void *arg)
{
	struct chaos *c = arg;
	struct file mine[FILES];

	for (int i = 0; i < FILES; i++)
		rcl_file_open(c->w.m, c->files[i].mapping, &mine[i]);
	for (int i = 0; i < STEPS && !c->broken; i++)
		chaos_step(c, mine);
}

static void chaos(u64 seed, u32 nr_cpus, u32 fail_ppm)
{
	struct chaos *c = calloc(1, sizeof(*c));
	struct world *w = &c->w;

	world_open(w, (struct world_config){.memory_mib = 16,
					    .seed = seed,
					    .nr_cpus = nr_cpus,
					    .explore = true,
					    .fail_write_ppm = fail_ppm});
	w->m->tun.dirty_expire_centisecs = 100;
	w->m->tun.dirty_writeback_centisecs = 50;
	for (int i = 0; i < FILES; i++)
		rcl_file_open(w->m, file_on(w, i % 2 ? w->dev : w->other_dev, FILE_PAGES),
			      &c->files[i]);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rcl_memcg_create(w->m, i ? c->groups[0] : w->m->root_memcg, "g",
						  &c->groups[i]),
				 0);
		assert_int_equal(rcl_memcg_set_max(w->m, c->groups[i], (6u - 2 * (u32)i) << 20), 0);
	}
	for (int i = 0; i < USERS; i++) {
		c->tasks[i].memcg = i ? c->groups[i % 2] : NULL;
		rcl_task_attach(w->m, &c->tasks[i]);
		assert_int_equal(rcl_sim_spawn_user(w->sim, &c->tasks[i], chaos_user, c), 0);
	}
	assert_int_equal(rcl_sim_run_users(w->sim), 0);
	assert_false(c->broken);
	assert_int_equal(c->errors > 0, fail_ppm > 0);
	for (int i = 0; i < USERS; i++)
		rcl_task_detach(w->m, &c->tasks[i]);
	rcl_sync(w->m);
	assert_int_equal(state(w, NR_FILE_DIRTY), 0);
	assert_int_equal(state(w, NR_WRITEBACK), 0);
	assert_true(state(w, NR_WRITTEN) > 10000);
	rcl_writeback_memcg_offline(w->m, c->groups[1]);
	rcl_writeback_memcg_offline(w->m, c->groups[0]);
	assert_true(rcl_writeback_is_valid(w->m));
	world_close(w);
	free(c);
}

static void everything_at_once(void **state_)
{
	(void)state_;
	for (u64 seed = 1; seed <= 4; seed++) {
		chaos(seed, 1, 0);
		chaos(seed, 3, seed % 2 ? 20000 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
