/* SPDX-License-Identifier: Apache-2.0 */
/* Recorders and readers across takeovers, on virtual time: three daemons with one map and one store,
 * which die, hang, return and hand over. What was acknowledged is there, once; nothing is sent again
 * that need not be; readers see each fragment once, in order. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/fetch.h"
#include "tests/unit/client/fake_cluster.h"
#include "tests/unit/client/made.h"
#include "tests/unit/client/recorder_rig.h"

#define CAMERA    "gate-7"
#define SHOWN_MAX 1000

static struct fake_daemon three;
static struct fake_cluster cluster;

static void begin_cluster(uint64_t seed)
{
	static struct fake_daemon *const daemons[] = {&one, &two, &three};
	static const char *const addresses[] = {"one:1", "two:1", "three:1", NULL};
	begin(seed, addresses);
	fake_start(&three, &world, net, "three");
	fake_cluster_init(&cluster, daemons, 3);
}

static void finish_cluster(void)
{
	/* before the network of those that the rig stops */
	model_net_kill(net, "three");
	fake_stop(&three);
	finish();
}

static struct fake_daemon *owner(void)
{
	return fake_cluster_owner(&cluster, CAMERA);
}

static void run_ms(int64_t ms)
{
	sim_run_for(&world, ms * NS_PER_MS);
}

/* Its listener is gone; the map says so `ms` later, while pictures go on. */
static struct fake_daemon *kill_owner(unsigned seconds)
{
	struct fake_daemon *dead = owner();
	fake_kill(dead);
	if (recorder)
		show(seconds);
	else
		run_ms(seconds * 1000);
	fake_cluster_set(&cluster, dead, false);
	return dead;
}

static void revive(struct fake_daemon *d)
{
	fake_listen(d);
	fake_cluster_set(&cluster, d, true);
}

/* --- recording --- */

static void test_the_owner_dies(void **state)
{
	(void)state;
	for (unsigned ms = 0; ms < 1400; ms += 140)
		for (unsigned kind = 0; kind < 4; kind++) {
			begin_cluster(1000 + ms + kind);
			record(kind & 1, 0, 0);
			show(8);
			run_ms(ms);
			struct fake_daemon *first = owner();
			first->keep_undurable = kind & 2; /* had applied, was not acknowledged */
			kill_owner(1);
			show(10);
			assert_ptr_not_equal(owner(), first);
			assert_true(last.connected);
			assert_int_equal(end(60000), 0);
			check_all(owner());
			assert_int_equal(owner()->map_epoch, 2);
			assert_int_equal(cluster.takeovers, 1);
			finish_cluster();
		}
}

/* Planned: not one fragment goes twice. */
static void test_a_move(void **state)
{
	(void)state;
	for (unsigned ms = 0; ms < 2000; ms += 60) {
		begin_cluster(3000 + ms);
		record(ms % 120, 0, 0);
		show(8);
		run_ms(ms % 1000);
		struct fake_daemon *first = owner();
		fake_cluster_set(&cluster, first, false); /* given to another */
		fake_move(first, CAMERA);
		show(5);
		assert_true(last.connected);
		/* and back */
		struct fake_daemon *second = owner();
		fake_cluster_set(&cluster, first, true);
		fake_move(second, CAMERA);
		show(5);
		assert_ptr_equal(owner(), first);
		assert_int_equal(end(60000), 0);
		check_all(first);
		assert_int_equal(cluster.takeovers, 2);
		assert_int_equal(one.appends + two.appends + three.appends, (shown + 9) / 10);
		assert_int_equal(last.dropped_fragments, 0);
		finish_cluster();
	}
}

/* It hangs with what it took, its stream goes on elsewhere, and it comes back: as a zombie. */
static void test_a_zombie(void **state)
{
	(void)state;
	for (unsigned ms = 0; ms < 1000; ms += 100) {
		begin_cluster(5000 + ms);
		record(ms % 200, 0, 0);
		show(8);
		run_ms(ms);
		struct fake_daemon *zombie = owner();
		model_net_hang(net, zombie->party.name, true);
		sim_loop_pause(&zombie->loop, true);
		show(4);
		fake_cluster_set(&cluster, zombie, false);
		show(6);
		assert_true(last.connected);
		assert_ptr_equal(cluster.holder, owner());
		sim_loop_pause(&zombie->loop, false);
		model_net_hang(net, zombie->party.name, false);
		show(5);
		assert_int_equal(end(60000), 0);
		check_all(owner());
		finish_cluster();
	}
}

/* It takes what is sent and answers for its map, an old one; nothing becomes durable. */
static void test_a_daemon_without_its_store(void **state)
{
	(void)state;
	begin_cluster(6000);
	record(true, 0, 0);
	show(8);
	struct fake_daemon *first = owner();
	struct fake_map old = cluster.map;
	first->map = &old;
	first->durable_ns = 1000 * NS_PER_SECOND;
	show(3);
	fake_cluster_set(&cluster, first, false);
	show(8);
	assert_ptr_equal(cluster.holder, owner());
	assert_ptr_not_equal(owner(), first);
	assert_true(last.connected);
	assert_int_equal(end(60000), 0);
	check_all(owner());
	finish_cluster();
}

/* Anything happens to any daemon, and the map follows a few seconds late. */
static void test_chaos(void **state)
{
	(void)state;
	for (uint64_t seed = 7000; seed < 7060; seed++) {
		begin_cluster(seed);
		record(seed % 2, 0, 0);
		for (unsigned round = 0; round < 8; round++) {
			struct fake_daemon *d = cluster.daemons[sim_random_in(&world, 0, 2)];
			uint64_t what = sim_random_in(&world, 0, 3);
			show((unsigned)sim_random_in(&world, 1, 5));
			run_ms((int64_t)sim_random_in(&world, 0, 999));
			if (what == 0) {
				fake_kill(d);
			} else if (what == 1) {
				model_net_hang(net, d->party.name, true);
				sim_loop_pause(&d->loop, true);
			} else if (what == 2) {
				model_net_cut(net, "recorder", d->party.name, true);
			}
			show((unsigned)sim_random_in(&world, 0, 5));
			if (what != 2)
				fake_cluster_set(&cluster, d, false);
			if (what == 3)
				fake_move(d, CAMERA);
			show((unsigned)sim_random_in(&world, 0, 6));
			sim_loop_pause(&d->loop, false);
			model_net_hang(net, d->party.name, false);
			model_net_cut(net, "recorder", d->party.name, false);
			if (what == 0)
				fake_listen(d);
			if (what != 2)
				fake_cluster_set(&cluster, d, true);
			/* whoever holds what is another's by the map hands it over */
			if (cluster.holder && cluster.holder != owner())
				fake_move(cluster.holder, CAMERA);
		}
		show(5);
		assert_int_equal(end(120000), 0);
		check_ledger(cluster.holder);
		fake_check(cluster.holder);
		if (refused_writes == 0)
			check_all(cluster.holder);
		finish_cluster();
	}
}

/* --- reading --- */

static struct {
	int64_t capture_us;
	bool damaged;
} seen[SHOWN_MAX];
static size_t seen_count;
static bool fetched;
static int fetch_status;
static struct steppe_fetch *fetch;

static bool on_fragment(void *user, const struct steppe_fragment *f)
{
	(void)user;
	assert_true(seen_count < SHOWN_MAX);
	seen[seen_count].capture_us = f->capture_us;
	seen[seen_count++].damaged = f->damaged;
	return true;
}

static void on_fetched(void *user, int status)
{
	(void)user;
	fetched = true;
	fetch_status = status;
}

static bool is_fetched(void *user)
{
	(void)user;
	return fetched;
}

static void start_fetch(int64_t from_us, int64_t to_us, unsigned kind, bool follow)
{
	static const char *const streams[] = {CAMERA "/main", NULL};
	struct steppe_fetch_options o = STEPPE_INIT(steppe_fetch_options);
	o.streams = streams;
	o.from_us = from_us;
	o.to_us = to_us;
	o.backward = kind == 1;
	o.sync_only = kind == 2;
	o.follow = follow;
	o.fragment = on_fragment;
	o.done = on_fetched;
	o.window_bytes = 64 << 10;
	seen_count = 0;
	fetched = false;
	assert_int_equal(fetch_new(&core, &o, &fetch), 0);
	fetch_start(fetch);
}

/* In runs of two, forwards, the last run first, or the first of each. */
static void expect_seen(unsigned kind, size_t count)
{
	assert_int_equal(fetch_status, 0);
	assert_int_equal(seen_count, kind == 2 ? count / 2 : count);
	for (size_t i = 0; i < seen_count; i++) {
		size_t second = kind == 0 ? i : kind == 1 ? count - 2 - i / 2 * 2 + i % 2 : 2 * i;
		assert_false(seen[i].damaged);
		assert_int_equal(
			seen[i].capture_us, MADE_START_US + (int64_t)second * US_PER_SECOND);
	}
}

/* The daemon dies (or hangs) after each fragment; the map may never say so: another one answers. */
static void test_a_fetch_goes_on(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 40; k += 3)
		for (unsigned kind = 0; kind < 3; kind++)
			for (unsigned how = 0; how < 3; how++) {
				begin_cluster(8000 + k * 9 + kind * 3 + how);
				struct fake_daemon *first = owner();
				cluster.holder = first;
				fake_fill(first, 0, 40, 20000);
				start_fetch(MADE_START_US, MADE_START_US + 40 * US_PER_SECOND, kind,
					false);
				while (seen_count < (kind == 2 ? k / 2 : k) && !fetched)
					assert_true(sim_step(&world));
				if (how == 0) {
					model_net_hang(net, first->party.name, true);
					sim_loop_pause(&first->loop, true);
				} else {
					fake_kill(first);
				}
				if (how == 2)
					fake_cluster_set(&cluster, first, false);
				struct mono died = world.now;
				assert_true(sim_run_until(
					&world, is_fetched, NULL, 100 * NS_PER_SECOND));
				expect_seen(kind, 40);
				assert_true(world.now.ns - died.ns < 6 * NS_PER_SECOND);
				if (how != 2)
					assert_true(one.anys + two.anys + three.anys > 0 ||
						    world.now.ns == died.ns || k >= 36);
				sim_loop_pause(&first->loop, false);
				finish_cluster();
			}
}

/* Recorded and followed at the same time, across deaths, a hang and a move. */
static void test_a_follow_goes_on(void **state)
{
	(void)state;
	for (unsigned ms = 0; ms < 1000; ms += 100) {
		begin_cluster(9000 + ms);
		record(true, 0, 0);
		show(3);
		start_fetch(START_US, 0, 0, true);
		show(3);
		run_ms(ms);
		struct fake_daemon *dead = kill_owner(2);
		show(6);
		revive(dead);
		fake_move(cluster.holder, CAMERA);
		show(5);
		assert_ptr_equal(cluster.holder, dead);
		model_net_hang(net, dead->party.name, true);
		sim_loop_pause(&dead->loop, true);
		show(4);
		fake_cluster_set(&cluster, dead, false);
		show(6);
		sim_loop_pause(&dead->loop, false);
		model_net_hang(net, dead->party.name, false);
		show(5);
		assert_int_equal(end(60000), 0);
		check_all(owner());
		run_ms(5000);
		assert_false(fetched);
		assert_int_equal(seen_count, (shown + 9) / 10);
		for (size_t i = 0; i < seen_count; i++)
			assert_int_equal(seen[i].capture_us, START_US + (int64_t)i * 1000000);
		steppe_fetch_stop(fetch);
		assert_true(sim_run_until(&world, is_fetched, NULL, NS_PER_SECOND));
		finish_cluster();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_owner_dies),
		cmocka_unit_test(test_a_move),
		cmocka_unit_test(test_a_zombie),
		cmocka_unit_test(test_a_daemon_without_its_store),
		cmocka_unit_test(test_chaos),
		cmocka_unit_test(test_a_fetch_goes_on),
		cmocka_unit_test(test_a_follow_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
