/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds of retention: whose cameras, under which policy, when; two daemons side by side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storaged/archive/policies.h"
#include "storaged/ownership/expiry.h"
#include "tests/unit/archive/oracle.h"

#define DAY (24 * 3600 * US_PER_SECOND)

/* One daemon's retention. */
struct side {
	struct rig_node *node;
	struct catalog *catalog;
	struct reader *reader;
	struct expiry *expiry;
	struct expiry_counts counts;
	const char *mine; /* cameras that begin so */
	int64_t ahead_us; /* its clock's */
	bool certain;
	struct loop_task expiry_stopped, reader_closed, catalog_closed;
	unsigned closed;
};

struct scene {
	struct rig rig;
	struct side sides[2];
	unsigned side_count;
	unsigned answers;
};

static bool is_mine(void *owner, const char *camera)
{
	struct side *side = owner;
	return strncmp(camera, side->mine, strlen(side->mine)) == 0;
}

static bool now(void *owner, struct wall *ret_now)
{
	struct side *side = owner;
	ret_now->us = loop_wall(&side->node->loop.loop).us + side->ahead_us;
	return side->certain;
}

static void on_round(void *owner, const struct expiry_counts *counts)
{
	((struct side *)owner)->counts = *counts;
}

static struct side *side_new(struct scene *s, struct rig_node *node, const char *mine)
{
	struct side *side = &s->sides[s->side_count++];
	*side = (struct side){.node = node, .mine = mine, .certain = true};
	struct loop *loop = &node->loop.loop;
	const struct reader_config reader = {.loop = loop, .store = node->store};
	assert_int_equal(reader_new(&reader, &side->reader), 0);
	assert_int_equal(catalog_new(loop, node->store, &side->catalog), 0);
	const struct expiry_config config = {
		.loop = loop,
		.store = node->store,
		.catalog = side->catalog,
		.reader = side->reader,
		.keeper = node->keeper,
		.is_mine = is_mine,
		.now = now,
		.round = on_round,
		.owner = side,
		.every_ns = 60 * NS_PER_SECOND,
		.safe_us = RETENTION_SAFE_MIN_US,
		.removes_per_second = 100,
	};
	assert_int_equal(expiry_new(&config, &side->expiry), 0);
	return side;
}

static void on_expiry_stopped(struct loop_task *task)
{
	container_of(task, struct side, expiry_stopped)->closed++;
}
static void on_reader_closed(struct loop_task *task)
{
	container_of(task, struct side, reader_closed)->closed++;
}
static void on_catalog_closed(struct loop_task *task)
{
	container_of(task, struct side, catalog_closed)->closed++;
}

static void side_end(struct scene *s, struct side *side)
{
	side->expiry_stopped.run = on_expiry_stopped;
	side->reader_closed.run = on_reader_closed;
	side->catalog_closed.run = on_catalog_closed;
	expiry_free(&side->expiry, &side->expiry_stopped);
	for (int i = 0; i < 1000 && side->closed < 1; i++)
		rig_run_s(&s->rig, 1);
	reader_free(&side->reader, &side->reader_closed);
	catalog_free(&side->catalog, &side->catalog_closed);
	for (int i = 0; i < 1000 && side->closed < 3; i++)
		rig_run_s(&s->rig, 1);
	assert_int_equal(side->closed, 3);
}

/* --- what an admin does --- */

struct put {
	struct catalog_put req;
	bool done;
};
static void on_put(struct catalog_put *req)
{
	assert_int_equal(req->status, 0);
	steppe__wire__camera__free_unpacked(req->camera, NULL);
	container_of(req, struct put, req)->done = true;
}

static void register_camera(struct scene *s, const char *id, const char *policy, bool removed)
{
	char *profile = "main";
	Steppe__Wire__Camera c = STEPPE__WIRE__CAMERA__INIT;
	c.id = (char *)id;
	c.policy = (char *)policy;
	c.profiles = &profile;
	c.n_profiles = 1;
	c.removed = removed;
	struct put put = {.req.done = on_put};
	catalog_put(s->sides[0].catalog, &put.req, &c);
	while (!put.done)
		rig_run_s(&s->rig, 1);
}

struct edit {
	struct policies_edit req;
	bool done;
};
static void on_edited(struct policies_edit *req)
{
	assert_int_equal(req->status, 0);
	steppe__wire__policies__free_unpacked(req->policies, NULL);
	container_of(req, struct edit, req)->done = true;
}

static void set_policy(struct scene *s, const char *name, int64_t floor_us, int64_t ceiling_us)
{
	Steppe__Wire__Policy p = STEPPE__WIRE__POLICY__INIT;
	p.name = (char *)name;
	p.floor_us = floor_us;
	p.ceiling_us = ceiling_us;
	Steppe__Wire__PoliciesEdit m = STEPPE__WIRE__POLICIES_EDIT__INIT;
	m.put = &p;
	struct edit edit = {.req.done = on_edited};
	struct rig_node *node = s->sides[0].node;
	policies_edit(&node->loop.loop, node->store, &edit.req, &m);
	while (!edit.done)
		rig_run_s(&s->rig, 1);
}

/* --- scenes --- */

static void record(struct scene *s, const char *stream, uint64_t session)
{
	struct recorder *r = rig_recorder(&s->rig, stream, LANE_LIVE, session);
	recorder_go(r, &s->rig.nodes[0]);
	assert_true(recorder_wait_open(r, 10 * NS_PER_SECOND));
	rig_run_s(&s->rig, 30);
	r->running = false;
	assert_true(recorder_drain(r, 60 * NS_PER_SECOND));
	recorder_hang_up(r, true);
}

struct search {
	const char *prefix;
	unsigned found;
};
static void look(void *user, int pool, const char *name)
{
	struct search *search = user;
	search->found +=
		pool == STORE_DATA && !strncmp(name, search->prefix, strlen(search->prefix));
}
static unsigned chunks(struct scene *s, const char *camera)
{
	char prefix[64];
	snprintf(prefix, sizeof(prefix), "chk/%s/", camera);
	struct search search = {prefix, 0};
	store_model_each(s->rig.model, look, &search);
	return search.found;
}

static void begin(struct scene *s, uint64_t seed)
{
	*s = (struct scene){0};
	rig_start(&s->rig, seed, NULL);
	(void)rig_node_start(&s->rig);
	record(s, "east/main", 0x51);
	record(s, "west/main", 0x52);
	rig_run_s(&s->rig, 40);
	assert_true(chunks(s, "east") > 3 && chunks(s, "west") > 3);
	side_new(s, &s->rig.nodes[0], "");
	set_policy(s, "month", 30 * DAY, 30 * DAY);
	set_policy(s, "forever", 30 * DAY, 0);
}

static void end(struct scene *s)
{
	for (unsigned i = 0; i < s->side_count; i++)
		side_end(s, &s->sides[i]);
	for (unsigned i = 0; i < s->rig.node_count; i++)
		if (s->rig.nodes[i].up)
			rig_node_stop(&s->rig.nodes[i]);
	rig_end(&s->rig);
}

static void test_a_round_takes_what_is_due(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, 1);
	struct side *side = &s.sides[0];
	register_camera(&s, "east", "month", false);
	register_camera(&s, "west", "forever", false);
	unsigned east = chunks(&s, "east"), west = chunks(&s, "west");
	side->ahead_us = 29 * DAY;
	rig_run_s(&s.rig, 150);
	assert_true(side->counts.rounds >= 2);
	assert_int_equal(side->counts.flagged, 0);
	assert_int_equal(side->counts.streams, side->counts.rounds); /* west has no ceiling */
	side->ahead_us = 31 * DAY;
	rig_run_s(&s.rig, 150);
	assert_int_equal(chunks(&s, "east"), 0);
	assert_int_equal(chunks(&s, "west"), west);
	assert_int_equal(side->counts.removed, east);
	assert_int_equal(side->counts.left + side->counts.failures, 0);
	/* what costs once costs nothing the next time */
	const struct store_counters before = *store_counters(side->node->store, STORE_META);
	uint64_t rounds = side->counts.rounds;
	rig_run_s(&s.rig, 1000);
	const struct store_counters *after = store_counters(side->node->store, STORE_META);
	rounds = side->counts.rounds - rounds;
	assert_true(rounds > 10);
	/* policies, the catalogue's map and two shards, one days object */
	assert_in_range(after->reads - before.reads, 1,
		(rounds + 1) * 5 + 20); /* and the stream is yielded */
	assert_int_equal(after->lists, 0);
	end(&s);
}

static void test_footage_of_a_removed_camera_goes_too(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, 2);
	register_camera(&s, "east", "month", true);
	s.sides[0].ahead_us = 31 * DAY;
	rig_run_s(&s.rig, 150);
	assert_int_equal(chunks(&s, "east"), 0);
	assert_true(chunks(&s, "west") > 0); /* nobody registered it: no policy holds */
	end(&s);
}

static void test_nothing_goes_while_the_time_is_not_certain(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, 3);
	register_camera(&s, "east", "month", false);
	s.sides[0].ahead_us = 31 * DAY;
	s.sides[0].certain = false;
	rig_run_s(&s.rig, 300);
	assert_true(chunks(&s, "east") > 0);
	assert_int_equal(s.sides[0].counts.rounds, 0);
	s.sides[0].certain = true;
	rig_run_s(&s.rig, 150);
	assert_int_equal(chunks(&s, "east"), 0);
	end(&s);
}

static void test_each_daemon_takes_its_own(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, 4);
	register_camera(&s, "east", "month", false);
	register_camera(&s, "west", "month", false);
	struct side *first = &s.sides[0];
	struct side *second = side_new(&s, rig_node_start(&s.rig), "west");
	first->mine = "east";
	unsigned east = chunks(&s, "east"), west = chunks(&s, "west");
	first->ahead_us = second->ahead_us = 31 * DAY;
	rig_run_s(&s.rig, 300);
	assert_int_equal(chunks(&s, "east") + chunks(&s, "west"), 0);
	assert_int_equal(first->counts.removed, east);
	assert_int_equal(second->counts.removed, west);
	end(&s);
}

/* Retention that is stopped in the middle of a round ends, and the stream it held can be yielded. */
static void test_stopping_at_any_moment(void **state)
{
	(void)state;
	for (unsigned wait = 0; wait < 20; wait++) {
		struct scene s;
		begin(&s, 100 + wait);
		register_camera(&s, "east", "month", false);
		s.sides[0].ahead_us = 31 * DAY;
		struct store_model_options *o = store_model_options(s.rig.model);
		o->write_min_ns = o->read_min_ns = 200 * NS_PER_MS;
		o->write_max_ns = o->read_max_ns = 400 * NS_PER_MS;
		rig_run_s(&s.rig, wait);
		end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_round_takes_what_is_due),
		cmocka_unit_test(test_footage_of_a_removed_camera_goes_too),
		cmocka_unit_test(test_nothing_goes_while_the_time_is_not_certain),
		cmocka_unit_test(test_each_daemon_takes_its_own),
		cmocka_unit_test(test_stopping_at_any_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
