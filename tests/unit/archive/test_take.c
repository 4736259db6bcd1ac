/* SPDX-License-Identifier: Apache-2.0 */
/* Takeovers: what the next owner makes of what the last one left. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/refusal.h"
#include "storaged/archive/pins.h"
#include "storaged/archive/reader.h"
#include "tests/unit/archive/oracle.h"

#define STREAM "gate-7/main"

struct scene {
	struct rig rig;
	struct rig_node *first, *second;
	struct recorder *recorder;
};

static void begin(struct scene *s, const struct cutter_limits *limits, uint32_t picture_bytes)
{
	*s = (struct scene){0};
	rig_start(&s->rig, 1, NULL);
	if (limits)
		s->rig.limits = *limits;
	s->first = rig_node_start(&s->rig);
	s->recorder = rig_recorder(&s->rig, STREAM, LANE_LIVE, 0x51);
	s->recorder->footage.picture_bytes = picture_bytes;
	s->recorder->window = 64u << 20;
	recorder_go(s->recorder, s->first);
	assert_true(recorder_wait_open(s->recorder, 10 * NS_PER_SECOND));
}

/* Everything made is durable, nothing is sealed for it, and the daemon is gone. */
static void die_at_rest(struct scene *s)
{
	s->recorder->running = false;
	assert_true(recorder_drain(s->recorder, 60 * NS_PER_SECOND));
	rig_node_kill(s->first);
}

static void take_over(struct scene *s)
{
	s->second = rig_node_start(&s->rig);
	recorder_reconnect_only(s->recorder, s->second);
	assert_true(recorder_wait_open(s->recorder, 60 * NS_PER_SECOND));
}

static void end(struct scene *s)
{
	rig_node_stop(s->second);
	rig_end(&s->rig);
}

static struct oracle_chunk last_chunk(struct scene *s)
{
	struct oracle o;
	(void)oracle_read(&o, &s->rig, STREAM); /* damage is looked for by the test itself */
	assert_true(o.chunk_count > 0);
	struct oracle_chunk c = o.chunks[o.chunk_count - 1];
	oracle_fini(&o);
	return c;
}

static const struct cutter_limits long_chunks = {
	.min_us = 600 * US_PER_SECOND,
	.min_bytes = 30u << 20,
	.max_us = 900 * US_PER_SECOND,
	.max_bytes = 32u << 20,
	.silence_ns = 60 * NS_PER_SECOND,
	.batch_bytes = 1u << 20,
	.batch_ns = NS_PER_SECOND,
};

static struct index_record record_of(bool killed)
{
	struct scene s;
	begin(&s, &long_chunks, 300);
	rig_run_s(&s.rig, 4);
	const struct gap gap = {.from = s.recorder->footage.at, .cause = GAP_NETWORK};
	assert_int_equal(writer_gap(&s.recorder->connection->session, &gap, true), 0);
	s.recorder->footage.at.us += 9 * US_PER_SECOND;
	s.recorder->footage.flags |= FRAGMENT_DISCONTINUITY;
	rig_run_s(&s.rig, 4);
	s.recorder->running = false;
	assert_true(recorder_drain(s.recorder, 60 * NS_PER_SECOND));
	if (killed)
		rig_node_kill(s.first);
	else
		rig_node_stop(s.first);
	take_over(&s);
	rig_run_s(&s.rig, 5);
	oracle_demand_rest(&s.rig, STREAM);
	struct index_record r = last_chunk(&s).record;
	end(&s);
	return r;
}

/* But for who sealed it and why. */
static void test_recovered_record_is_the_one_the_writer_would_have_made(void **state)
{
	(void)state;
	struct index_record written = record_of(false), recovered = record_of(true);
	assert_int_equal(written.end_reason, CHUNK_END_STOP);
	assert_int_equal(recovered.end_reason, CHUNK_END_RECOVERED);
	assert_true(recovered.flags & INDEX_RECOVERED);
	recovered.end_reason = written.end_reason;
	recovered.flags &= (uint16_t)~INDEX_RECOVERED;
	uint8_t a[INDEX_RECORD_SIZE], b[INDEX_RECORD_SIZE];
	index_record_encode(&written, a);
	index_record_encode(&recovered, b);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(written.gap_count, 1);
	assert_int_equal(written.gaps[0].cause, GAP_NETWORK);
}

static void test_large_chunk_is_read_in_pieces(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, &long_chunks, 90000); /* fragments of more than a megabyte */
	rig_run_s(&s.rig, 22);
	die_at_rest(&s);
	uint64_t bytes = 0;
	char name[STORE_NAME_MAX + 1];
	size_t len;
	const struct chunk_id id = {.epoch = 1, .seq = 1};
	chunk_name(name, STREAM, &id);
	(void)store_model_bytes(s.rig.model, STORE_DATA, name, &len);
	assert_true(len > 20u << 20);
	take_over(&s);
	/* READY long before the content is read */
	assert_true(store_counters(s.second->store, STORE_DATA)->bytes_read < 4u << 20);
	rig_run_s(&s.rig, 10);
	bytes = store_counters(s.second->store, STORE_DATA)->bytes_read;
	assert_true(bytes >= len && bytes < 4 * len);
	assert_true(store_counters(s.second->store, STORE_DATA)->reads > 10);
	oracle_demand_rest(&s.rig, STREAM);
	end(&s);
}

/* --- damage --- */

static uint8_t *chunk_bytes(struct scene *s, size_t *ret_len)
{
	char name[STORE_NAME_MAX + 1];
	const struct chunk_id id = {.epoch = 1, .seq = 1};
	chunk_name(name, STREAM, &id);
	uint8_t *bytes = store_model_bytes(s->rig.model, STORE_DATA, name, ret_len);
	assert_non_null(bytes);
	return bytes;
}

static void test_damaged_fragment_is_lost_alone(void **state)
{
	(void)state;
	struct scene s;
	size_t len;
	begin(&s, &long_chunks, 3000);
	rig_run_s(&s.rig, 20);
	die_at_rest(&s);
	chunk_bytes(&s, &len)[len / 2] ^= 1;
	take_over(&s);
	rig_run_s(&s.rig, 5);
	struct oracle_chunk c = last_chunk(&s);
	assert_true(c.indexed && c.sealed);
	assert_true(c.record.flags & INDEX_DAMAGED);
	assert_int_equal(c.record.fragments, s.recorder->made - 1);
	end(&s);
}

static void test_damaged_head_loses_no_fragment(void **state)
{
	(void)state;
	struct scene s;
	size_t len;
	begin(&s, &long_chunks, 3000);
	rig_run_s(&s.rig, 10);
	die_at_rest(&s);
	chunk_bytes(&s, &len)[20] ^= 1;
	take_over(&s);
	rig_run_s(&s.rig, 5);
	struct oracle_chunk c = last_chunk(&s);
	assert_true(c.indexed && c.sealed);
	assert_true(c.record.flags & INDEX_DAMAGED);
	assert_int_equal(c.record.fragments, s.recorder->made);
	end(&s);
}

static void test_everything_damaged(void **state)
{
	(void)state;
	struct scene s;
	size_t len;
	begin(&s, &long_chunks, 60000);
	rig_run_s(&s.rig, 15);
	die_at_rest(&s);
	uint8_t *bytes = chunk_bytes(&s, &len);
	memset(bytes, 0xee, len);
	take_over(&s);
	rig_run_s(&s.rig, 20);
	struct oracle_chunk c = last_chunk(&s);
	assert_true(c.indexed && c.sealed);
	assert_true(c.record.flags & INDEX_DAMAGED && c.record.flags & INDEX_EMPTY);
	/* and the stream goes on */
	s.recorder->running = true;
	recorder_go(s.recorder, s.second);
	uint64_t acked = s.recorder->acked;
	rig_run_s(&s.rig, 10);
	assert_true(s.recorder->acked > acked + 5);
	s.recorder->running = false;
	recorder_hang_up(s.recorder, false);
	end(&s);
}

/* Sealed, and dead before the record: the seal is used as it is; a damaged one is followed by
 * another. */
static struct oracle_chunk sealed_not_indexed(bool damage_seal)
{
	struct scene s;
	size_t len;
	begin(&s, &long_chunks, 300);
	rig_run_s(&s.rig, 6);
	struct store_model_fault fault = {.fate = STORE_MODEL_EIO, .prefix = "idx/", .times = 1000};
	store_model_plan(s.rig.model, &fault);
	recorder_hang_up(s.recorder, true);
	s.recorder->running = false;
	rig_run_s(&s.rig, 3);
	rig_node_kill(s.first);
	store_model_withdraw(&fault);
	uint8_t *bytes = chunk_bytes(&s, &len);
	if (damage_seal) {
		struct chunk_item item = {0};
		struct chunk_header header;
		size_t init_len, head_len;
		assert_int_equal(chunk_head_parse(bytes, len, &header, &init_len, &head_len), 0);
		uint64_t at = head_len;
		while (item.kind != CHUNK_ITEM_SEAL && item.kind != CHUNK_ITEM_END)
			chunk_scan(bytes, len, &at, false, &item);
		if (item.kind == CHUNK_ITEM_SEAL)
			bytes[item.offset + 60] ^= 1;
	}
	take_over(&s);
	rig_run_s(&s.rig, 5);
	struct oracle_chunk c = last_chunk(&s);
	assert_true(c.indexed && c.sealed);
	assert_int_equal(c.record.fragments, s.recorder->made);
	end(&s);
	return c;
}

static void test_sealed_by_the_last_owner(void **state)
{
	(void)state;
	struct oracle_chunk c = sealed_not_indexed(false);
	assert_int_equal(c.record.end_reason, CHUNK_END_STOP);
	assert_false(c.record.flags & (INDEX_RECOVERED | INDEX_DAMAGED));
}

static void test_damaged_seal_is_made_again(void **state)
{
	(void)state;
	struct oracle_chunk c = sealed_not_indexed(true);
	assert_int_equal(c.record.end_reason, CHUNK_END_RECOVERED);
}

/* A chunk that the store cannot read keeps its intent and holds nothing else up. */
static void test_unreadable_chunk_waits(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, &long_chunks, 300);
	rig_run_s(&s.rig, 6);
	die_at_rest(&s);
	struct store_model_fault fault = {.fate = STORE_MODEL_CHECKSUM,
		.reads = true,
		.prefix = "chk/gate-7/main/0000000000000001",
		.skip = 1,
		.times = 1000};
	store_model_plan(s.rig.model, &fault);
	s.second = rig_node_start(&s.rig);
	recorder_go(s.recorder, s.second);
	rig_run_s(&s.rig, 30);
	assert_true(s.recorder->acked > 20);
	oracle_demand(&s.rig, STREAM);
	store_model_withdraw(&fault);
	rig_run_s(&s.rig, 20);
	s.recorder->running = false;
	assert_true(recorder_drain(s.recorder, 60 * NS_PER_SECOND));
	rig_node_stop(s.second);
	oracle_demand_rest(&s.rig, STREAM);
	rig_end(&s.rig);
}

/* P2 holds from READY on, while the chunks of the last owner are still being read. */
static void on_view(struct reader_view *req)
{
	(void)req;
}

static bool has_view(void *user)
{
	struct reader_view *req = user;
	return req->view || req->status != 1;
}

static void on_reader_closed(struct loop_task *task)
{
	(void)task;
}

static void test_readers_see_what_is_not_recovered_yet(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, &long_chunks, 300);
	rig_run_s(&s.rig, 6);
	die_at_rest(&s);
	/* the recovery's first read does not come back */
	struct store_model_fault fault = {.fate = STORE_MODEL_STUCK,
		.reads = true,
		.prefix = "chk/gate-7/main/0000000000000001",
		.skip = 1,
		.times = 1};
	store_model_plan(s.rig.model, &fault);
	take_over(&s);
	rig_run_s(&s.rig, 2);
	struct writer_open_chunk open[HEAD_INTENTS_MAX];
	assert_int_equal(writer_open_chunks(recorder_writer(s.recorder), open), 1);
	assert_null(open[0].table);
	struct reader *reader = NULL;
	const struct reader_config config = {
		.loop = &s.second->loop.loop, .store = s.second->store};
	assert_int_equal(reader_new(&config, &reader), 0);
	struct reader_view req = {.done = on_view, .status = 1};
	const struct wall from = s.recorder->headers[0].capture, to = s.recorder->footage.at;
	reader_view(reader, &req, STREAM, from, to, recorder_writer(s.recorder));
	assert_true(sim_run_until(&s.rig.world, has_view, &req, 10 * NS_PER_SECOND));
	assert_int_equal(req.status, 0);
	assert_int_equal(req.view->chunk_count, 1);
	assert_int_equal(req.view->chunks[0].record.fragments, s.recorder->acked);
	view_free(&req.view);
	struct loop_task closed = {.run = on_reader_closed};
	reader_free(&reader, &closed);
	store_model_release(s.rig.model);
	rig_run_s(&s.rig, 5);
	end(&s);
}

/* --- husks --- */

static void test_intent_without_chunk_becomes_a_husk(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, NULL, 300);
	/* the create is sent, its outcome never told, and it arrives after the takeover */
	struct store_model_fault fault = {.fate = STORE_MODEL_UNKNOWN_LATE,
		.prefix = "chk/",
		.times = 1,
		.late_ns = 60 * NS_PER_SECOND};
	store_model_plan(s.rig.model, &fault);
	rig_run_s(&s.rig, 3);
	rig_node_kill(s.first);
	s.recorder->running = false;
	take_over(&s);
	rig_run_s(&s.rig, 3);
	struct oracle o;
	assert_true(oracle_read(&o, &s.rig, STREAM));
	bool husk = false;
	for (size_t i = 0; i < o.chunk_count; i++)
		husk |= o.chunks[i].id.epoch == 1 && (o.chunks[i].record.flags & INDEX_EMPTY);
	assert_true(husk);
	oracle_fini(&o);
	rig_run_s(&s.rig, 100); /* the create comes, and is refused */
	assert_int_equal(store_model_counters(s.rig.model).parked, 0);
	assert_true(recorder_drain(s.recorder, 60 * NS_PER_SECOND));
	oracle_demand(&s.rig, STREAM);
	end(&s);
}

/* --- heads and partitions that retention left --- */

static void edit_head(struct scene *s, void (*edit)(struct head *head))
{
	char name[STORE_NAME_MAX + 1];
	struct head head;
	struct buf *body = NULL;
	size_t len;
	head_name(name, STREAM);
	uint8_t *bytes = store_model_bytes(s->rig.model, STORE_META, name, &len);
	assert_int_equal(head_decode(bytes, len, &head), 0);
	edit(&head);
	assert_int_equal(head_encode(&head, &body), 0);
	memcpy(bytes, body->data, len);
	buf_unref(&body);
}

static int32_t day_of_test;

static void add_sweep_and_holds(struct head *head)
{
	head->sweeps[head->sweep_count++] =
		(struct head_sweep){.kind = HEAD_SWEEP, .day = day_of_test};
	head->sweeps[head->sweep_count++] = (struct head_sweep){
		.kind = HEAD_SWEEP, .day = day_of_test - 7}; /* no such partition */
	for (unsigned i = 0; i < 2; i++) {
		struct head_hold *hold = &head->holds[head->hold_count++];
		memset(hold->id, 'a' + (int)i, sizeof(hold->id));
		hold->state = i ? HOLD_PLACED : HOLD_PLACING;
		hold->from = (struct wall){day_of_test * US_PER_DAY};
		hold->to = (struct wall){(day_of_test + 30) * US_PER_DAY};
	}
}

static struct index_version version_of(struct scene *s, int32_t day)
{
	char name[STORE_NAME_MAX + 1];
	struct index_version v = {0};
	size_t len;
	index_partition_name(name, STREAM, day);
	const void *text = store_model_attr(s->rig.model, STORE_META, name, "ver", &len);
	assert_int_equal(index_version_parse(text, len, &v), 0);
	return v;
}

static size_t pins_of(struct scene *s, int32_t day)
{
	char name[STORE_NAME_MAX + 1];
	size_t len;
	index_partition_name(name, STREAM, day);
	(void)store_model_attr(s->rig.model, STORE_META, name, "pins", &len);
	return len / PIN_SIZE;
}

static void test_named_partitions_are_raised_before_ready(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, NULL, 300);
	rig_run_s(&s.rig, 20);
	s.recorder->running = false;
	assert_true(recorder_drain(s.recorder, 60 * NS_PER_SECOND));
	rig_node_stop(s.first);
	day_of_test = wall_day((struct wall){s.recorder->footage.at.us});
	edit_head(&s, add_sweep_and_holds);
	struct index_version before = version_of(&s, day_of_test);
	take_over(&s);
	struct index_version after = version_of(&s, day_of_test);
	assert_true(after.epoch == before.epoch + 1 && after.n == before.n + 1);
	assert_int_equal(pins_of(&s, day_of_test), 2);
	/* intents and holds stay until retention finishes them; new partitions inherit the holds */
	s.recorder->footage.at.us += US_PER_DAY;
	recorder_go(s.recorder, s.second);
	rig_run_s(&s.rig, 20);
	struct oracle o;
	assert_true(oracle_read(&o, &s.rig, STREAM));
	assert_int_equal(o.head.sweep_count, 2);
	assert_int_equal(o.head.hold_count, 2);
	oracle_fini(&o);
	assert_int_equal(pins_of(&s, day_of_test + 1), 2);
	s.recorder->running = false;
	assert_true(recorder_drain(s.recorder, 60 * NS_PER_SECOND));
	end(&s);
}

/* --- who takes --- */

static void test_two_daemons_make_one_stream(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 30; seed++) {
		struct rig rig;
		rig_start(&rig, seed, NULL);
		struct rig_node *a = rig_node_start(&rig), *b = rig_node_start(&rig);
		struct recorder *x = rig_recorder(&rig, STREAM, LANE_LIVE, 0x51);
		struct recorder *y = rig_recorder(&rig, STREAM, LANE_BACKFILL, 0x52);
		recorder_go(x, a);
		recorder_go(y, b);
		/* each steals it back and forth; at no time do both keep it */
		rig_run_s(&rig, 20);
		oracle_demand(&rig, STREAM);
		y->home = a;
		recorder_hang_up(y, false);
		recorder_hang_up(x, false);
		rig_run_s(&rig, 10);
		x->running = y->running = false;
		recorder_reconnect(x);
		recorder_reconnect(y);
		assert_true(recorder_drain(x, 60 * NS_PER_SECOND) &&
			    recorder_drain(y, 60 * NS_PER_SECOND));
		rig_node_stop(b);
		rig_node_stop(a);
		oracle_demand_rest(&rig, STREAM);
		rig_end(&rig);
	}
}

/* G1: a daemon that comes back takes a higher epoch, from itself too. */
static void test_every_take_is_a_higher_epoch(void **state)
{
	(void)state;
	struct scene s;
	begin(&s, NULL, 100);
	for (uint64_t epoch = 1; epoch < 5; epoch++) {
		assert_true(writer_epoch(recorder_writer(s.recorder)) == epoch);
		rig_run_s(&s.rig, 7);
		rig_node_kill(s.first);
		s.first = rig_node_start(&s.rig);
		s.recorder->home = s.first;
		rig_run_s(&s.rig, 3);
	}
	s.second = s.first;
	s.recorder->running = false;
	assert_true(recorder_drain(s.recorder, 60 * NS_PER_SECOND));
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recovered_record_is_the_one_the_writer_would_have_made),
		cmocka_unit_test(test_large_chunk_is_read_in_pieces),
		cmocka_unit_test(test_damaged_fragment_is_lost_alone),
		cmocka_unit_test(test_damaged_head_loses_no_fragment),
		cmocka_unit_test(test_everything_damaged),
		cmocka_unit_test(test_sealed_by_the_last_owner),
		cmocka_unit_test(test_damaged_seal_is_made_again),
		cmocka_unit_test(test_unreadable_chunk_waits),
		cmocka_unit_test(test_readers_see_what_is_not_recovered_yet),
		cmocka_unit_test(test_intent_without_chunk_becomes_a_husk),
		cmocka_unit_test(test_named_partitions_are_raised_before_ready),
		cmocka_unit_test(test_two_daemons_make_one_stream),
		cmocka_unit_test(test_every_take_is_a_higher_epoch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
