/* SPDX-License-Identifier: Apache-2.0 */
/* Footage past its ceiling goes, and nothing else: whatever crashes, is held, is full or is done by
 * two owners. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "storaged/archive/writer_impl.h"
#include "tests/unit/archive/oracle.h"

#define STREAM "gate-7/main"
#define DAY    (24 * 3600 * US_PER_SECOND)

static const struct retention_rule month = {.floor_us = 30 * DAY, .ceiling_us = 30 * DAY};

struct scene {
	struct rig rig;
	struct rig_node *node;
	struct recorder *recorder;
	int32_t day;
	unsigned chunks; /* recorded */
	bool early;      /* a chunk was removed that no record calls dropping */
};

/* --- what the store holds --- */

struct tally {
	unsigned live, dropping, tombstones, objects;
	uint64_t bytes;
};

static void count_object(void *user, int pool, const char *name)
{
	struct tally *t = user;
	t->objects += pool == STORE_DATA && !strncmp(name, "chk/", 4);
}

static struct tally tally(struct scene *s)
{
	struct tally t = {0};
	char name[STORE_NAME_MAX + 1];
	size_t len;
	struct index_partition p = {0};
	index_partition_name(name, STREAM, s->day);
	const uint8_t *bytes = store_model_bytes(s->rig.model, STORE_META, name, &len);
	assert_int_equal(index_partition_decode(bytes, bytes ? len : 0, &p), 0);
	for (size_t i = 0; i < p.count; i++) {
		t.live += p.records[i].state == INDEX_LIVE;
		t.dropping += p.records[i].state == INDEX_DROPPING;
		t.tombstones += p.records[i].state == INDEX_TOMBSTONE;
		t.bytes += p.records[i].bytes;
		if (p.records[i].state == INDEX_TOMBSTONE)
			assert_int_equal(p.records[i].rule, RETENTION_CEILING);
	}
	index_partition_fini(&p);
	store_model_each(s->rig.model, count_object, &t);
	return t;
}

/* H4: removed only what the durable index calls dropping. */
static void on_change(void *user, const struct store_model_change *change)
{
	struct scene *s = user;
	int pool = change->pool;
	const char *name = change->name;
	struct chunk_id id;
	char stream[STREAM_NAME_MAX + 1], partition[STORE_NAME_MAX + 1];
	size_t len;
	struct index_partition p = {0};
	if (pool != STORE_DATA || store_model_exists(s->rig.model, pool, name) ||
		chunk_name_parse(name, stream, &id))
		return;
	index_partition_name(partition, STREAM, s->day);
	const uint8_t *bytes = store_model_bytes(s->rig.model, STORE_META, partition, &len);
	bool dropping = false;
	assert_int_equal(index_partition_decode(bytes, len, &p), 0);
	for (size_t i = 0; i < p.count; i++)
		if (p.records[i].chunk.epoch == id.epoch && p.records[i].chunk.seq == id.seq)
			dropping = p.records[i].state != INDEX_LIVE;
	index_partition_fini(&p);
	s->early |= !dropping;
}

/* --- scenes --- */

/* A minute of footage, at rest. */
static void begin(struct scene *s, uint64_t seed, uint8_t lane)
{
	*s = (struct scene){0};
	rig_start(&s->rig, seed, NULL);
	s->node = rig_node_start(&s->rig);
	s->recorder = rig_recorder(&s->rig, STREAM, lane, 0x51);
	recorder_go(s->recorder, s->node);
	assert_true(recorder_wait_open(s->recorder, 10 * NS_PER_SECOND));
	s->day = wall_day(s->recorder->footage.at);
	rig_run_s(&s->rig, 60);
	s->recorder->running = false;
	assert_true(recorder_drain(s->recorder, 60 * NS_PER_SECOND));
	rig_run_s(&s->rig, 40); /* silence seals */
	struct tally t = tally(s);
	s->chunks = t.objects;
	assert_true(t.objects > 5);
	assert_int_equal(t.live, t.objects);
	store_model_observe(s->rig.model, on_change, s);
}

static void end(struct scene *s)
{
	assert_false(s->early);
	store_model_observe(s->rig.model, NULL, NULL);
	for (unsigned i = 0; i < s->rig.node_count; i++)
		if (s->rig.nodes[i].up)
			rig_node_stop(&s->rig.nodes[i]);
	rig_end(&s->rig);
}

struct asked {
	struct writer_sweep req;
	bool done;
};

static void on_swept(struct writer_sweep *req)
{
	container_of(req, struct asked, req)->done = true;
}

static void ask(struct scene *s, struct asked *a, int64_t age_us, int64_t safe_us)
{
	*a = (struct asked){.req = {.done = on_swept,
				    .day = s->day,
				    .rule = month,
				    .now = {s->recorder->footage.at.us + age_us},
				    .safe_us = safe_us,
				    .removes_per_second = 1000}};
	writer_sweep(recorder_writer(s->recorder), &a->req);
}

static struct writer_sweep sweep(struct scene *s, int64_t age_us, int64_t safe_us)
{
	struct asked a;
	ask(s, &a, age_us, safe_us);
	for (int i = 0; i < 600 && !a.done; i++)
		rig_run_s(&s->rig, 1);
	assert_true(a.done);
	return a.req;
}

/* The head names no sweep once nothing is dropping. */
static void demand_no_intent(struct scene *s)
{
	int32_t days[HEAD_SWEEPS_MAX];
	rig_run_s(&s->rig, 20);
	assert_int_equal(writer_sweeps(recorder_writer(s->recorder), days), 0);
	struct oracle o;
	(void)oracle_read(&o, &s->rig, STREAM); /* what was acknowledged is gone, rightly */
	assert_int_equal(o.head.sweep_count, 0);
	oracle_fini(&o);
}

/* --- tests --- */

static void test_all_of_a_day_goes(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, 1, LANE_LIVE);
	const struct store_counters *meta = store_counters(s.node->store, STORE_META);
	const struct store_counters *data = store_counters(s.node->store, STORE_DATA);
	struct store_counters meta_was = *meta, data_was = *data;
	uint64_t bytes = tally(&s).bytes;
	struct writer_sweep w = sweep(&s, 40 * DAY, RETENTION_SAFE_US);
	assert_int_equal(w.status, 0);
	assert_int_equal(w.flagged, s.chunks);
	assert_int_equal(w.removed, s.chunks);
	assert_int_equal(w.left, 0);
	assert_int_equal(w.removed_bytes, bytes);
	/* one remove a chunk, two index writes, and the head's intent */
	assert_int_equal(data->removes - data_was.removes, s.chunks);
	assert_int_equal(data->writes - data_was.writes, 0);
	assert_in_range(meta->writes - meta_was.writes, 3, 4);
	assert_int_equal(data->lists + meta->lists, 0);
	struct tally t = tally(&s);
	assert_int_equal(t.objects, 0);
	assert_int_equal(t.tombstones, s.chunks);
	demand_no_intent(&s);
	/* and again: nothing is left to do */
	w = sweep(&s, 41 * DAY, RETENTION_SAFE_US);
	assert_int_equal(w.flagged + w.removed + w.left, 0);
	demand_no_intent(&s);
	end(&s);
}

static void test_only_what_is_past_its_ceiling(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, 2, LANE_LIVE);
	struct writer_sweep w = sweep(&s, 30 * DAY - 30 * US_PER_SECOND, 0);
	assert_int_equal(w.status, 0);
	struct tally t = tally(&s);
	assert_int_equal(t.tombstones, w.removed);
	assert_in_range(w.removed, 2, s.chunks - 2);
	assert_int_equal(t.live, s.chunks - w.removed);
	assert_int_equal(t.objects, t.live);
	end(&s);
}

static void test_nothing_below_its_ceiling(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, 3, LANE_LIVE);
	struct writer_sweep w = sweep(&s, 29 * DAY, 0);
	assert_int_equal(w.status, 0);
	assert_int_equal(w.flagged + w.removed + w.left, 0);
	assert_int_equal(tally(&s).live, s.chunks);
	demand_no_intent(&s);
	end(&s);
}

/* F3: nobody can tell when backfill was sealed; who sweeps waits. */
static void test_names_stay_taken_until_it_is_safe(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, 4, LANE_BACKFILL);
	struct writer_sweep w = sweep(&s, 40 * DAY, RETENTION_SAFE_MIN_US);
	assert_int_equal(w.status, 0);
	assert_int_equal(w.removed, 0);
	assert_int_equal(w.left, s.chunks);
	struct tally t = tally(&s);
	assert_int_equal(t.dropping, s.chunks);
	assert_int_equal(t.objects, s.chunks);
	int32_t days[HEAD_SWEEPS_MAX];
	assert_int_equal(writer_sweeps(recorder_writer(s.recorder), days), 1);
	assert_int_equal(days[0], s.day);
	rig_run_s(&s.rig, 3600);
	w = sweep(&s, 40 * DAY, RETENTION_SAFE_MIN_US);
	assert_int_equal(w.removed, s.chunks);
	assert_int_equal(tally(&s).objects, 0);
	demand_no_intent(&s);
	end(&s);
}

static void test_what_is_held_stays(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, 5, LANE_LIVE);
	struct writer *w = recorder_writer(s.recorder);
	int64_t last = s.recorder->footage.at.us;
	w->head.holds[w->head.hold_count++] = (struct head_hold){.id = {7},
		.state = HOLD_PLACED,
		.from = {last - 31 * US_PER_SECOND},
		.to = {last - 29 * US_PER_SECOND}};
	struct writer_sweep done = sweep(&s, 40 * DAY, 0);
	struct tally t = tally(&s);
	assert_in_range(t.live, 1, 2); /* two when the held seconds lie in two chunks */
	assert_int_equal(done.removed, s.chunks - t.live);
	assert_int_equal(t.objects, t.live);
	w->head.hold_count = 0;
	end(&s);
}

static void test_a_full_store_can_be_emptied(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, 6, LANE_LIVE);
	struct store_model_options *o = store_model_options(s.rig.model);
	o->pools[STORE_META].capacity_bytes = o->pools[STORE_DATA].capacity_bytes = 1;
	struct writer_sweep w = sweep(&s, 40 * DAY, 0);
	assert_int_equal(w.status, 0);
	assert_int_equal(w.removed, s.chunks);
	assert_int_equal(tally(&s).objects, 0);
	o->pools[STORE_META].capacity_bytes = o->pools[STORE_DATA].capacity_bytes = 0;
	demand_no_intent(&s);
	end(&s);
}

/* Kills the daemon after `skip` writes of the sweep; whether it had ended by then. */
static bool die_after(struct scene *s, unsigned skip)
{
	struct store_model_fault stuck = {.fate = STORE_MODEL_STUCK, .skip = skip, .times = 1000};
	struct asked a;
	store_model_plan(s->rig.model, &stuck);
	ask(s, &a, 40 * DAY, 0);
	rig_run_s(&s->rig, 30);
	bool ended = a.done;
	rig_node_kill(s->node);
	store_model_withdraw(&stuck);
	store_model_release(s->rig.model);
	return ended;
}

static void test_a_crash_anywhere_is_finished_by_the_next(void **state)
{
	(void)state;
	bool ended = false;
	for (unsigned skip = 0; !ended; skip++) {
		struct scene s;
		begin(&s, 100 + skip, LANE_LIVE);
		ended = die_after(&s, skip);
		s.node = rig_node_start(&s.rig);
		recorder_reconnect_only(s.recorder, s.node);
		assert_true(recorder_wait_open(s.recorder, 60 * NS_PER_SECOND));
		rig_run_s(&s.rig, 10);
		struct tally t = tally(&s);
		int32_t days[HEAD_SWEEPS_MAX];
		if (t.dropping)
			assert_int_equal(writer_sweeps(recorder_writer(s.recorder), days), 1);
		assert_int_equal(sweep(&s, 40 * DAY, 0).status, 0);
		t = tally(&s);
		assert_int_equal(t.objects, 0);
		assert_int_equal(t.live + t.dropping, 0);
		assert_int_equal(t.tombstones, s.chunks);
		demand_no_intent(&s);
		end(&s);
		assert_true(skip < 100);
	}
}

/* H5: an owner that was cut off in the middle of a sweep cannot flag anything once the next is
 * ready. */
static void test_a_zombie_sweeper_changes_nothing(void **state)
{
	(void)state;
	for (unsigned skip = 0; skip < 3; skip++) {
		struct scene s;
		begin(&s, 200 + skip, LANE_LIVE);
		struct rig_node *old = s.node;
		struct writer *zombie = recorder_writer(s.recorder);
		struct asked a;
		struct store_model_fault stuck = {
			.fate = STORE_MODEL_STUCK, .skip = skip, .times = 1};
		store_model_plan(s.rig.model, &stuck);
		ask(&s, &a, 40 * DAY, 0);
		(void)zombie;
		rig_run_s(&s.rig, 5);
		rig_node_pause(old, true);
		s.node = rig_node_start(&s.rig);
		recorder_reconnect_only(s.recorder, s.node);
		assert_true(recorder_wait_open(s.recorder, 60 * NS_PER_SECOND));
		struct tally before = tally(&s);
		store_model_withdraw(&stuck);
		store_model_release(s.rig.model);
		rig_node_pause(old, false);
		rig_run_s(&s.rig, 60);
		struct tally after = tally(&s);
		/* what was dropping already may still be removed, by either */
		assert_int_equal(after.live, before.live);
		assert_true(a.done);
		assert_int_equal(sweep(&s, 40 * DAY, 0).status, 0);
		after = tally(&s);
		assert_int_equal(after.objects, 0);
		assert_int_equal(after.tombstones, s.chunks);
		end(&s);
	}
}

static void test_outcomes_that_are_not_known(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct scene s;
		begin(&s, 300 + seed, LANE_LIVE);
		struct store_model_options *o = store_model_options(s.rig.model);
		o->unknown_applied = o->unknown_lost = o->unknown_late = 1000;
		o->write_eio = o->read_eio = 500;
		o->unknown_after_ns = 2 * NS_PER_SECOND;
		struct writer_sweep w = sweep(&s, 40 * DAY, 0);
		assert_int_equal(w.status, 0);
		o->unknown_applied = o->unknown_lost = o->unknown_late = o->write_eio = 0;
		o->read_eio = 0;
		if (w.left)
			w = sweep(&s, 40 * DAY, 0);
		struct tally t = tally(&s);
		assert_int_equal(t.objects, 0);
		assert_int_equal(t.tombstones, s.chunks);
		demand_no_intent(&s);
		end(&s);
	}
}

/* Footage goes on being recorded into the day that is swept. */
static void test_recording_goes_on(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, 7, LANE_LIVE);
	recorder_go(s.recorder, s.node);
	rig_run_s(&s.rig, 7);
	struct asked a;
	ask(&s, &a, 30 * DAY - 5 * US_PER_SECOND, 0);
	for (int i = 0; i < 200 && !a.done; i++)
		rig_run_s(&s.rig, 1);
	assert_true(a.done);
	assert_int_equal(a.req.status, 0);
	assert_in_range(a.req.removed, s.chunks, s.chunks + 2);
	s.recorder->running = false;
	assert_true(recorder_drain(s.recorder, 60 * NS_PER_SECOND));
	rig_run_s(&s.rig, 40);
	struct tally t = tally(&s);
	assert_int_equal(t.tombstones, a.req.removed);
	assert_int_equal(t.live, t.objects);
	assert_true(t.live > 0);
	end(&s);
}

static void test_a_daemon_that_stops_leaves_it_to_the_next(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, 8, LANE_LIVE);
	struct asked a;
	struct store_model_fault slow = {
		.fate = STORE_MODEL_STUCK, .prefix = "chk/", .skip = 2, .times = 1};
	store_model_plan(s.rig.model, &slow);
	ask(&s, &a, 40 * DAY, 0);
	rig_run_s(&s.rig, 2);
	assert_false(a.done);
	rig_node_stop_begin(s.node);
	rig_run_s(&s.rig, 2);
	store_model_withdraw(&slow);
	store_model_release(s.rig.model);
	rig_run_s(&s.rig, 10);
	assert_true(a.done);
	s.node = rig_node_start(&s.rig);
	recorder_reconnect_only(s.recorder, s.node);
	assert_true(recorder_wait_open(s.recorder, 60 * NS_PER_SECOND));
	assert_int_equal(sweep(&s, 40 * DAY, 0).status, 0);
	assert_int_equal(tally(&s).objects, 0);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_a_day_goes),
		cmocka_unit_test(test_only_what_is_past_its_ceiling),
		cmocka_unit_test(test_nothing_below_its_ceiling),
		cmocka_unit_test(test_names_stay_taken_until_it_is_safe),
		cmocka_unit_test(test_what_is_held_stays),
		cmocka_unit_test(test_a_full_store_can_be_emptied),
		cmocka_unit_test(test_a_crash_anywhere_is_finished_by_the_next),
		cmocka_unit_test(test_a_zombie_sweeper_changes_nothing),
		cmocka_unit_test(test_outcomes_that_are_not_known),
		cmocka_unit_test(test_recording_goes_on),
		cmocka_unit_test(test_a_daemon_that_stops_leaves_it_to_the_next),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
