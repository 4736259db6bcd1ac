/* SPDX-License-Identifier: Apache-2.0 */
/* Who is in the cluster and alive: joining, dying, hanging, leading, leaving, and what must not be
 * taken for a death. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "tests/lib/alloc_fail.h"
#include "tests/unit/ownership/members_rig.h"

static void begin(struct rig *rig, unsigned nodes)
{
	rig_init(rig, 1);
	for (unsigned i = 0; i < nodes; i++)
		assert_int_equal(rig_join(rig, i), 0);
	rig_run(rig, 5000);
}

static void all_see(struct rig *rig, unsigned nodes, unsigned of, int alive)
{
	for (unsigned i = 0; i < nodes; i++)
		if (rig->nodes[i].lives)
			assert_int_equal(rig_alive(rig, i, of), alive);
}

static void test_three_join(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 3);
	int leader = rig_leader(&rig, 0);
	assert_in_range(leader, 0, 2);
	for (unsigned i = 0; i < 3; i++) {
		all_see(&rig, 3, i, 1);
		assert_int_equal(rig_leader(&rig, i), leader);
		assert_int_equal(members_self(rig.nodes[i].members), i);
		assert_int_equal(rig_epoch(&rig, i), rig_epoch(&rig, 0));
		assert_int_equal(rig.nodes[i].expulsions, 0);
	}
	assert_int_equal(rig_epoch(&rig, 0), 3); /* a change a join, nothing else */
	rig_run(&rig, 60000);
	assert_int_equal(rig_epoch(&rig, 0), 3);
	rig_fini(&rig);
}

static void test_an_id_is_one_daemons(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 2);
	/* the same id elsewhere, while it runs */
	assert_int_equal(rig_start(&rig, 3, 1), 0);
	rig_run(&rig, 10000);
	assert_int_equal(rig.nodes[3].joins, 1);
	assert_int_equal(rig.nodes[3].join.status, -EEXIST);
	assert_non_null(strstr(rig.nodes[3].join.words, "h1:1"));
	rig_stop(&rig, 3);
	/* while it cannot be reached, but beats */
	model_net_cut(rig.net, "h1:1", "h3:1", true);
	assert_int_equal(rig_start(&rig, 3, 1), 0);
	rig_run(&rig, 30000);
	assert_int_equal(rig.nodes[3].join.status, -EEXIST);
	rig_stop(&rig, 3);
	assert_int_equal(rig.nodes[1].expulsions, 0);
	/* when it is dead */
	model_net_cut(rig.net, "h1:1", "h3:1", false);
	rig_kill(&rig, 1);
	assert_int_equal(rig_start(&rig, 3, 1), 0);
	rig_run(&rig, 1000);
	assert_int_equal(rig.nodes[3].joins, 1);
	assert_int_equal(rig.nodes[3].join.status, 0);
	rig_fini(&rig);
}

static void test_an_id_is_taken_from_one_that_hangs(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 2);
	rig_pause(&rig, 1, true);
	assert_int_equal(rig_start(&rig, 3, 1), 0);
	rig_run(&rig, 30000);
	assert_int_equal(rig.nodes[3].joins, 1);
	assert_int_equal(rig.nodes[3].join.status, 0);
	rig_pause(&rig, 1, false);
	rig_run(&rig, 5000);
	assert_int_equal(rig.nodes[1].expulsions, 1);
	assert_int_equal(rig.nodes[1].expelled, -EEXIST);
	assert_int_equal(rig.nodes[3].expulsions, 0);
	assert_int_equal(rig_alive(&rig, 0, 1), 1);
	rig_fini(&rig);
}

/* A restart at the same address, with the dead one's heartbeat still there. */
static void test_a_daemon_comes_back_at_once(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 3);
	for (unsigned round = 0; round < 3; round++) {
		rig_kill(&rig, round);
		assert_int_equal(rig_join(&rig, round), 0);
		rig_run(&rig, 10000);
		for (unsigned i = 0; i < 3; i++)
			all_see(&rig, 3, i, 1);
	}
	rig_fini(&rig);
}

static void test_a_kill_is_seen_at_once(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 4);
	unsigned leader = (unsigned)rig_leader(&rig, 0);
	unsigned victim = (leader + 1) % 4, other = (leader + 2) % 4;
	rig_kill(&rig, victim);
	int64_t ms = rig_until_alive(&rig, other, victim, 0, 5000);
	assert_in_range(ms, 0, 300);
	/* and of the leader by who waits least */
	rig_kill(&rig, leader);
	ms = rig_until_alive(&rig, other, leader, 0, 10000);
	assert_in_range(ms, 0, 1200);
	rig_fini(&rig);
}

static void test_a_hang_is_seen_and_forgiven(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 4);
	unsigned leader = (unsigned)rig_leader(&rig, 0);
	unsigned victim = (leader + 1) % 4, other = (leader + 2) % 4;
	rig_pause(&rig, victim, true);
	rig_run(&rig, 2500);
	assert_int_equal(rig_alive(&rig, other, victim), 1);
	assert_in_range(rig_until_alive(&rig, other, victim, 0, 10000), 0, 3500);
	rig_run(&rig, 20000);
	rig_pause(&rig, victim, false);
	assert_in_range(rig_until_alive(&rig, other, victim, 1, 10000), 0, 5000);
	rig_run(&rig, 3000);
	assert_int_equal(rig_alive(&rig, victim, victim), 1);
	assert_int_equal(rig.nodes[victim].expulsions, 0);
	rig_fini(&rig);
}

static void test_a_leader_hangs(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 4);
	unsigned leader = (unsigned)rig_leader(&rig, 0);
	unsigned other = (leader + 2) % 4;
	rig_pause(&rig, leader, true);
	assert_in_range(rig_until_alive(&rig, other, leader, 0, 10000), 0, 7000);
	rig_run(&rig, 20000);
	int now = rig_leader(&rig, other);
	assert_int_not_equal(now, (int)leader);
	rig_pause(&rig, leader, false);
	assert_in_range(rig_until_alive(&rig, other, leader, 1, 10000), 0, 6000);
	rig_run(&rig, 3000);
	assert_int_equal(rig_leader(&rig, leader), now);
	rig_fini(&rig);
}

/* A node that beats but cannot be asked, or answers but cannot beat, lives. */
static void test_half_a_sign_is_a_sign(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 3);
	unsigned leader = (unsigned)rig_leader(&rig, 0);
	unsigned one = (leader + 1) % 3, two = (leader + 2) % 3;
	model_net_cut(rig.net, rig.nodes[leader].address, rig.nodes[one].address, true);
	store_model_stall(rig.store, rig.nodes[two].store, true);
	rig_run(&rig, 60000);
	assert_int_equal(rig_alive(&rig, leader, one), 1);
	assert_int_equal(rig_alive(&rig, leader, two), 1);
	assert_int_equal(rig_leader(&rig, leader), (int)leader);
	model_net_cut(rig.net, rig.nodes[leader].address, rig.nodes[one].address, false);
	store_model_stall(rig.store, rig.nodes[two].store, false);
	rig_run(&rig, 10000);
	assert_int_equal(rig_epoch(&rig, leader), 3);
	rig_fini(&rig);
}

static void test_a_stalled_store_kills_nobody(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 4);
	int leader = rig_leader(&rig, 0);
	store_model_stall(rig.store, NULL, true);
	rig_run(&rig, 60000);
	store_model_stall(rig.store, NULL, false);
	rig_run(&rig, 20000);
	for (unsigned i = 0; i < 4; i++)
		all_see(&rig, 4, i, 1);
	assert_int_equal(rig_epoch(&rig, 0), 4);
	assert_in_range(rig_leader(&rig, 0), 0, 3);
	(void)leader; /* whoever of the old ones leads */
	/* slow, with answers that come late, for a while */
	struct store_model_options *options = store_model_options(rig.store);
	options->write_max_ns = options->read_max_ns = 8 * NS_PER_SECOND;
	options->write_min_ns = options->read_min_ns = 2 * NS_PER_SECOND;
	rig_run(&rig, 120000);
	options->write_max_ns = options->read_max_ns = 2 * NS_PER_MS;
	options->write_min_ns = options->read_min_ns = NS_PER_MS;
	rig_run(&rig, 20000);
	assert_int_equal(rig_epoch(&rig, 0), 4);
	rig_fini(&rig);
}

static void test_faults_are_survived(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 4);
	struct store_model_options *options = store_model_options(rig.store);
	options->unknown_applied = options->unknown_lost = options->unknown_late = 150;
	options->write_eio = options->read_eio = 300;
	options->unknown_after_ns = 2 * NS_PER_SECOND;
	for (unsigned round = 0; round < 12; round++) {
		unsigned victim = round % 4;
		rig_kill(&rig, victim);
		rig_run(&rig, 8000);
		for (int status = 1; status;) { /* as whoever starts daemons tries again */
			status = rig_join(&rig, victim);
			if (status)
				rig_stop(&rig, victim);
		}
		rig_run(&rig, 30000);
	}
	options->unknown_applied = options->unknown_lost = options->unknown_late = 0;
	options->write_eio = options->read_eio = 0;
	rig_run(&rig, 90000);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(rig.nodes[i].expulsions, 0);
		all_see(&rig, 4, i, 1);
	}
	rig_fini(&rig);
}

/* Two that both believe to lead change the map only under its guard. */
static void test_two_lead_for_a_moment(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 4);
	unsigned leader = (unsigned)rig_leader(&rig, 0);
	/* the leader's own store hangs: it goes on believing, the others find another */
	store_model_stall(rig.store, rig.nodes[leader].store, true);
	rig_run(&rig, 6000);
	unsigned other = (leader + 1) % 4;
	assert_int_not_equal(rig_leader(&rig, other), (int)leader);
	unsigned victim = (unsigned)rig_leader(&rig, other) == (leader + 2) % 4 ? (leader + 3) % 4
										: (leader + 2) % 4;
	rig_kill(&rig, victim);
	rig_run(&rig, 1000);
	store_model_stall(rig.store, rig.nodes[leader].store, false);
	rig_run(&rig, 10000);
	all_see(&rig, 4, victim, 0);
	for (unsigned i = 0; i < 4; i++)
		if (rig.nodes[i].lives)
			all_see(&rig, 4, i, 1);
	assert_int_equal(rig_epoch(&rig, leader), 5);
	rig_fini(&rig);
}

static void on_left(struct loop_task *task)
{
	container_of(task, struct rig_node, left)->has_left = true;
}

static void test_leaving(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 3);
	unsigned leader = (unsigned)rig_leader(&rig, 0);
	struct rig_node *n = &rig.nodes[leader];
	n->left.run = on_left;
	members_leave(n->members, &n->left);
	assert_false(n->has_left);
	rig_run(&rig, 200);
	assert_true(n->has_left);
	assert_int_equal(rig_alive(&rig, leader, leader), 0);
	/* it goes on beating while it moves its streams, and stays what it said */
	rig_run(&rig, 15000);
	all_see(&rig, 3, leader, 0);
	assert_int_not_equal(rig_leader(&rig, (leader + 1) % 3), (int)leader);
	rig_stop(&rig, leader);
	assert_int_equal(rig_join(&rig, leader), 0);
	rig_run(&rig, 5000);
	all_see(&rig, 3, leader, 1);
	rig_fini(&rig);
}

struct setting {
	struct members_set set;
	unsigned done;
};

static void on_set(struct members_set *set)
{
	container_of(set, struct setting, set)->done++;
}

static int set(struct rig *rig, unsigned by, struct members_set what)
{
	struct setting s = {.set = what};
	s.set.done = on_set;
	members_set(rig->nodes[by].members, &s.set);
	assert_int_equal(s.done, 0);
	rig_run(rig, 2000);
	assert_int_equal(s.done, 1);
	return s.set.status;
}

static void test_an_admins_words(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 3);
	assert_int_equal(set(&rig, 0, (struct members_set){.id = "n7", .weight = 5}), -ENOENT);
	assert_int_equal(
		set(&rig, 0, (struct members_set){.id = "n1", .weight = 5000000}), -EINVAL);
	assert_int_equal(set(&rig, 0, (struct members_set){.id = "n1", .weight = 500}), 0);
	assert_int_equal(
		set(&rig, 1, (struct members_set){.id = "n2", .state = PLACEMENT_DRAINING}), 0);
	for (unsigned i = 0; i < 3; i++) {
		const struct cluster_map *map = members_map(rig.nodes[i].members);
		assert_int_equal(map->nodes[1].weight, 500);
		assert_int_equal(map->nodes[2].state, PLACEMENT_DRAINING);
	}
	assert_int_equal(set(&rig, 0, (struct members_set){.id = "n2", .remove = true}), -EBUSY);
	rig_kill(&rig, 2);
	rig_run(&rig, 3000);
	assert_int_equal(set(&rig, 0, (struct members_set){.id = "n2", .remove = true}), 0);
	all_see(&rig, 2, 2, -1);
	assert_int_equal(rig_join(&rig, 2), -EPERM);
	rig_stop(&rig, 2);
	assert_int_equal(set(&rig, 0, (struct members_set){.id = "n2", .state = PLACEMENT_IN}), 0);
	assert_int_equal(rig_join(&rig, 2), 0);
	assert_int_equal(
		set(&rig, 0, (struct members_set){.id = "n9", .state = PLACEMENT_IN}), -ENOENT);
	rig_fini(&rig);
}

/* A node that hangs is removed; when it comes back it is told. */
static void test_a_zombie_was_removed(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 3);
	unsigned victim = (unsigned)rig_leader(&rig, 0), other = (victim + 1) % 3;
	char id[8] = {'n', (char)('0' + victim)};
	rig_pause(&rig, victim, true);
	rig_run(&rig, 15000);
	assert_int_equal(set(&rig, other, (struct members_set){.id = id, .remove = true}), 0);
	rig_pause(&rig, victim, false);
	rig_run(&rig, 5000);
	assert_int_equal(rig.nodes[victim].expelled, -EPERM);
	assert_int_equal(rig.nodes[victim].expulsions, 1);
	assert_int_equal(rig_alive(&rig, other, victim), -1);
	rig_fini(&rig);
}

static void test_clocks(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 5);
	sim_loop_step_wall(&rig.nodes[1].loop, 3600 * US_PER_SECOND);
	sim_loop_step_wall(&rig.nodes[2].loop, -7200 * US_PER_SECOND);
	rig_run(&rig, 10000);
	int64_t last_us[5] = {0};
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 5; i++) {
			int64_t us = members_time_us(rig.nodes[i].members);
			int64_t off = us - rig.world.wall.us;
			assert_true(off > -3 * US_PER_SECOND && off < 3 * US_PER_SECOND);
			assert_true(us >= last_us[i]);
			last_us[i] = us;
		}
		if (round == 10)
			rig_kill(&rig, 4);
		rig_run(&rig, 500);
		if (round == 10)
			assert_int_equal(rig_join(&rig, 4), 0);
		if (round >= 10 && round < 14) /* until it was told, it knows its own alone */
			last_us[4] = 0;
	}
	rig_fini(&rig);
}

static void test_features_are_what_all_know(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1);
	rig.nodes[2].features = 3; /* older */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(rig_join(&rig, i), 0);
	assert_int_equal(members_map(rig.nodes[2].members)->features, 3);
	rig_stop(&rig, 2);
	rig.nodes[2].features = 7; /* upgraded */
	rig_run(&rig, 5000);
	assert_int_equal(rig_join(&rig, 2), 0);
	rig_run(&rig, 5000);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(members_map(rig.nodes[i].members)->features, 7);
	rig_fini(&rig);
}

static void test_a_full_store(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 3);
	struct store_model_options *options = store_model_options(rig.store);
	options->pools[STORE_META].capacity_bytes = 1;
	rig_run(&rig, 60000);
	for (unsigned i = 0; i < 3; i++)
		all_see(&rig, 3, i, 1);
	assert_int_equal(rig_epoch(&rig, 0), 3);
	unsigned victim = (unsigned)rig_leader(&rig, 0);
	rig_kill(&rig, victim);
	rig_run(&rig, 5000);
	all_see(&rig, 3, victim, 0);
	assert_int_equal(rig_join(&rig, victim), 0);
	rig_fini(&rig);
}

static void test_alone(void **state)
{
	(void)state;
	struct rig rig;
	rig_init(&rig, 1);
	rig.alone = true;
	assert_int_equal(rig_join(&rig, 0), 0);
	assert_int_equal(members_map(rig.nodes[0].members)->node_count, 1);
	assert_int_equal(rig_leader(&rig, 0), 0);
	const struct store_counters before = *store_counters(rig.nodes[0].store, STORE_META);
	rig_run(&rig, 60000);
	assert_int_equal(store_counters(rig.nodes[0].store, STORE_META)->writes, before.writes);
	rig_stop(&rig, 0);
	/* under another id, on a disk that is full */
	store_model_options(rig.store)->pools[STORE_META].capacity_bytes = 1;
	struct store_model_fault full = {
		.fate = STORE_MODEL_ENOSPC, .prefix = "cluster/map", .times = 1000};
	store_model_plan(rig.store, &full);
	assert_int_equal(rig_join(&rig, 1), 0);
	assert_int_equal(members_map(rig.nodes[1].members)->node_count, 1);
	assert_int_equal(rig_epoch(&rig, 1), 2);
	store_model_withdraw(&full);
	rig_fini(&rig);
}

/* What N nodes cost in a minute: each writes once and reads once a second, the leader reads all and
 * writes once more. */
static void count(unsigned nodes, uint64_t *ret_store, uint64_t *ret_frames)
{
	struct rig rig;
	begin(&rig, nodes);
	for (unsigned i = 0; i < nodes; i++)
		rig.nodes[i].load.streams = 10000; /* what it carries makes no difference */
	uint64_t before = 0, after = 0, frames = model_net_counts(rig.net).frames;
	for (unsigned i = 0; i < nodes; i++) {
		const struct store_counters *c = store_counters(rig.nodes[i].store, STORE_META);
		before += c->reads + c->writes;
	}
	rig_run(&rig, 60000);
	for (unsigned i = 0; i < nodes; i++) {
		const struct store_counters *c = store_counters(rig.nodes[i].store, STORE_META);
		after += c->reads + c->writes;
	}
	*ret_store = after - before;
	*ret_frames = model_net_counts(rig.net).frames - frames;
	rig_fini(&rig);
}

static void test_the_cost_is_linear(void **state)
{
	(void)state;
	uint64_t store, frames;
	for (unsigned nodes = 2; nodes <= 16; nodes *= 2) {
		count(nodes, &store, &frames);
		/* beats, looks and the leader's reads of beats; its renewals and looks at the map */
		uint64_t expected = 60 * (nodes + (nodes - 1) + (nodes - 1) + 2);
		assert_in_range(store, expected - 3 * nodes - 4, expected + 3 * nodes + 4);
		assert_true(frames <= 4 * nodes);
	}
}

/* Memory that runs out anywhere delays; nobody is lost over it. */
static bool is_short_of_memory(unsigned k)
{
	struct rig rig;
	rig_init(&rig, 1);
	assert_int_equal(rig_join(&rig, 0), 0);
	alloc_fail_after(k, ALLOC_FAIL_ONCE);
	int rc = rig_start(&rig, 1, 1);
	if (!rc)
		rig_run(&rig, 4000);
	bool failed = alloc_fail_stop();
	rig_run(&rig, 4000);
	if (!rc && rig.nodes[1].joins && !rig.nodes[1].join.status) {
		rig_run(&rig, 10000);
		assert_int_equal(rig_alive(&rig, 0, 1), 1);
		assert_int_equal(rig_alive(&rig, 1, 0), 1);
	}
	rig_fini(&rig);
	return failed;
}

static void test_memory_runs_out(void **state)
{
	(void)state;
	for (unsigned k = 0; is_short_of_memory(k); k++)
		;
}

/* Stopped in the middle of everything. */
static void test_stopping_at_any_time(void **state)
{
	(void)state;
	for (unsigned ms = 0; ms < 60; ms++) {
		struct rig rig;
		rig_init(&rig, ms + 1);
		assert_int_equal(rig_start(&rig, 0, 0), 0);
		rig_run(&rig, ms);
		assert_int_equal(rig_start(&rig, 1, 1), 0);
		rig_run(&rig, ms);
		rig_stop(&rig, ms % 2);
		rig_run(&rig, 100 * ms);
		rig_fini(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_join),
		cmocka_unit_test(test_an_id_is_one_daemons),
		cmocka_unit_test(test_an_id_is_taken_from_one_that_hangs),
		cmocka_unit_test(test_a_daemon_comes_back_at_once),
		cmocka_unit_test(test_a_kill_is_seen_at_once),
		cmocka_unit_test(test_a_hang_is_seen_and_forgiven),
		cmocka_unit_test(test_a_leader_hangs),
		cmocka_unit_test(test_half_a_sign_is_a_sign),
		cmocka_unit_test(test_a_stalled_store_kills_nobody),
		cmocka_unit_test(test_faults_are_survived),
		cmocka_unit_test(test_two_lead_for_a_moment),
		cmocka_unit_test(test_leaving),
		cmocka_unit_test(test_an_admins_words),
		cmocka_unit_test(test_a_zombie_was_removed),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_features_are_what_all_know),
		cmocka_unit_test(test_a_full_store),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_the_cost_is_linear),
		cmocka_unit_test(test_memory_runs_out),
		cmocka_unit_test(test_stopping_at_any_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
