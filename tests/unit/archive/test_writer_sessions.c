/* SPDX-License-Identifier: Apache-2.0 */
/* What each kind of input gets: numbers, sessions, media, holes that are told of. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "proto/refusal.h"
#include "tests/unit/archive/scene.h"

/* --- sessions --- */

static void test_three_lanes_at_once(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	struct recorder *back = rig_recorder(&s.rig, STREAM, LANE_BACKFILL, 0x52);
	struct recorder *other = rig_recorder(&s.rig, STREAM, LANE_LIVE, 0x53);
	back->footage.at.us -= 3600 * US_PER_SECOND;
	scene_go(&s);
	recorder_go(back, s.node);
	recorder_go(other, s.node);
	rig_run_s(&s.rig, 40);
	oracle_demand(&s.rig, STREAM);
	scene_rest(&s);
	unsigned backfill = 0;
	for (size_t i = 0; i < s.found.chunk_count; i++)
		backfill += !!(s.found.chunks[i].record.flags & INDEX_BACKFILL);
	assert_true(backfill >= 3);
	scene_end(&s);
}

static void test_numbers(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	scene_go(&s);
	rig_run_s(&s.rig, 5);
	struct writer_session *session = session_of(s.recorder);
	struct footage f = s.recorder->footage;
	f.seq++; /* one is left out */
	assert_int_equal(scene_append(s.recorder, &f, 0), -REFUSAL_SEQUENCE);
	f.seq = s.recorder->footage.seq - 1; /* the last one again */
	assert_int_equal(scene_append(s.recorder, &f, 0), 0);
	assert_int_equal(session->received, s.recorder->footage.seq);
	f = s.recorder->footage;
	f.session++;
	assert_int_equal(scene_append(s.recorder, &f, 0), -REFUSAL_PROTOCOL);
	scene_rest(&s);
	scene_end(&s);
}

static void test_first_fragment_must_be_a_sync(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	s.recorder->running = true;
	recorder_reconnect_only(s.recorder, s.node);
	assert_true(recorder_wait_open(s.recorder, 10 * NS_PER_SECOND));
	struct fragment_header h;
	struct footage f = s.recorder->footage;
	struct buf *body = footage_fragment(&f, &h);
	h.flags &= (uint16_t)~FRAGMENT_SYNC;
	h.prefix_len = h.body_len - 1;
	struct slice slice = {.buf = body, .data = body->data, .len = body->len};
	int rc = writer_append(session_of(s.recorder), &h, &slice, h.capture);
	assert_true(rc == -REFUSAL_NO_SYNC || rc == -REFUSAL_MALFORMED_MEDIA);
	slice_drop(&slice);
	recorder_hang_up(s.recorder, false);
	scene_end(&s);
}

static void test_bad_media_and_times(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	scene_go(&s);
	rig_run_s(&s.rig, 3);
	struct footage f = s.recorder->footage;
	struct fragment_header h;
	struct buf *body = footage_fragment(&f, &h);
	struct slice slice = {.buf = body, .data = body->data, .len = body->len};
	struct wall capture = h.capture;
	h.capture.us = WALL_MAX_US + 1;
	assert_int_equal(writer_append(session_of(s.recorder), &h, &slice, capture), -REFUSAL_TIME);
	h.capture.us = -1;
	assert_int_equal(writer_append(session_of(s.recorder), &h, &slice, capture), -REFUSAL_TIME);
	h.capture = capture;
	body->data[4] ^= 0x40;
	assert_int_equal(writer_append(session_of(s.recorder), &h, &slice, capture),
		-REFUSAL_MALFORMED_MEDIA);
	slice_drop(&slice);
	struct buf *garbage = buf_copy("no init segment", 15);
	assert_int_equal(writer_init(session_of(s.recorder), garbage), -REFUSAL_MALFORMED_MEDIA);
	buf_unref(&garbage);
	const struct gap no_cause = {.from = capture, .to = capture},
			 backwards = {capture, {0}, GAP_NETWORK};
	assert_int_equal(writer_gap(session_of(s.recorder), &no_cause, false), -REFUSAL_PROTOCOL);
	assert_int_equal(writer_gap(session_of(s.recorder), &backwards, false), -REFUSAL_TIME);
	scene_rest(&s);
	scene_end(&s);
}

/* A second connection of the same session: the first is told, the second goes on with the next
 * number. */
static struct {
	struct writer_session session;
	int failed;
	unsigned told;
} second;

static void on_second_progress(struct writer_session *s, int failed)
{
	(void)s;
	second.told++;
	if (failed)
		second.failed = failed;
}

static void test_the_later_session_supersedes(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	scene_go(&s);
	rig_run_s(&s.rig, 5);
	struct writer *w = recorder_writer(s.recorder);
	struct buf *init = footage_init(&s.recorder->footage);
	memset(&second, 0, sizeof(second));
	second.session = (struct writer_session){
		.session = 0x51, .from_seq = 3, .progress = on_second_progress};
	s.recorder->running = false;
	assert_int_equal(writer_session_open(w, &second.session, init), 0);
	assert_true(second.session.durable >= 4);
	assert_true(second.session.received >= second.session.durable);
	rig_run_s(&s.rig, 1);
	assert_int_equal(s.recorder->refused, REFUSAL_SUPERSEDED);
	rig_run_s(&s.rig, 2);
	assert_int_equal(second.failed, 0);
	writer_session_close(&second.session, false);
	buf_unref(&init);
	recorder_reconnect(s.recorder);
	scene_rest(&s);
	scene_end(&s);
}

static int open_session(struct writer *w, struct writer_session *session, uint64_t id,
	uint64_t from, struct buf *init)
{
	*session = (struct writer_session){
		.session = id, .from_seq = from, .progress = on_second_progress};
	return writer_session_open(w, session, init);
}

static void test_sessions_are_few(void **state)
{
	(void)state;
	struct scene s;
	struct writer_session sessions[10];
	scene_start(&s, NULL);
	scene_go(&s);
	struct writer *w = recorder_writer(s.recorder);
	struct buf *init = footage_init(&s.recorder->footage);
	/* never heard of, and not from its beginning */
	assert_int_equal(open_session(w, &sessions[0], 0x99, 5, init), -REFUSAL_SESSION_FORGOTTEN);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(open_session(w, &sessions[i], 0x100 + i, 1, init), 0);
	assert_int_equal(open_session(w, &sessions[7], 0x200, 1, init), -REFUSAL_STREAMS);
	/* nothing was taken of it: it leaves no trace */
	writer_session_close(&sessions[3], false);
	assert_int_equal(open_session(w, &sessions[7], 0x200, 1, init), 0);
	for (unsigned i = 0; i < 8; i++)
		if (i != 3)
			writer_session_close(&sessions[i], false);
	buf_unref(&init);
	rig_run_s(&s.rig, 3);
	scene_rest(&s);
	scene_end(&s);
}

/* G4: sessions that were used are kept until they are closed, or silent for T_safe. */
static void use_session(struct scene *s, struct writer *w, uint64_t id, bool close)
{
	struct writer_session session;
	struct buf *init = footage_init(&s->recorder->footage);
	assert_int_equal(open_session(w, &session, id, 1, init), 0);
	struct footage f = s->recorder->footage;
	struct fragment_header h;
	f.session = id;
	f.seq = 0;
	struct buf *body = footage_fragment(&f, &h);
	struct slice slice = {.buf = body, .data = body->data, .len = body->len};
	assert_int_equal(writer_append(&session, &h, &slice, h.capture), 0);
	slice_drop(&slice);
	buf_unref(&init);
	sim_run_for(&s->rig.world, 3 * NS_PER_SECOND);
	writer_session_close(&session, close);
	sim_run_for(&s->rig.world, 3 * NS_PER_SECOND);
}

static void test_sessions_are_forgotten_late(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	scene_go(&s);
	struct writer *w = recorder_writer(s.recorder);
	struct writer_session session;
	struct buf *init = footage_init(&s.recorder->footage);
	for (unsigned i = 0; i < 7; i++)
		use_session(&s, w, 0x100 + i, i == 4);
	/* the closed one goes first */
	use_session(&s, w, 0x200, false);
	assert_int_equal(open_session(w, &session, 0x104, 2, init), -REFUSAL_SESSION_FORGOTTEN);
	rig_run_s(&s.rig, 60);
	assert_int_equal(open_session(w, &session, 0x300, 1, init), -REFUSAL_STREAMS);
	/* a day later the others may go too */
	s.recorder->idle_s = 86500;
	rig_run_s(&s.rig, 86500);
	assert_int_equal(open_session(w, &session, 0x300, 1, init), 0);
	writer_session_close(&session, false);
	buf_unref(&init);
	rig_node_kill(s.node);
	s.recorder->running = false;
	scene_end(&s);
}

/* --- gaps --- */

static void test_reported_gap_before_a_chunk(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	scene_go(&s);
	rig_run_s(&s.rig, 8);
	struct wall off = s.recorder->footage.at;
	const struct gap gap = {.from = off, .cause = GAP_CAMERA_OFF};
	assert_int_equal(writer_gap(session_of(s.recorder), &gap, true), 0);
	assert_int_equal(writer_open_gap(recorder_writer(s.recorder)).cause, GAP_CAMERA_OFF);
	s.recorder->idle_s = 40; /* the chunk is sealed for silence */
	rig_run_s(&s.rig, 30);
	assert_true(oracle_read(&s.found, &s.rig, STREAM));
	assert_int_equal(s.found.head.open_gap.cause, GAP_CAMERA_OFF); /* known to everybody */
	assert_true(s.found.head.open_gap.from.us == off.us);
	oracle_fini(&s.found);
	s.recorder->footage.at.us += 40 * US_PER_SECOND;
	s.recorder->footage.flags |= FRAGMENT_DISCONTINUITY;
	rig_run_s(&s.rig, 20);
	assert_int_equal(writer_open_gap(recorder_writer(s.recorder)).cause, GAP_NONE);
	scene_rest(&s);
	unsigned found = 0;
	for (size_t i = 0; i < s.found.chunk_count; i++) {
		const struct gap *g = &s.found.chunks[i].record.gap_before;
		if (g->cause != GAP_CAMERA_OFF)
			continue;
		found++;
		assert_true(g->from.us == off.us && g->to.us == off.us + 40 * US_PER_SECOND);
	}
	assert_int_equal(found, 1);
	assert_int_equal(s.found.head.open_gap.cause, GAP_NONE);
	scene_end(&s);
}

static void test_gap_inside_a_chunk_keeps_its_cause(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	rig_node_stop(s.node);
	s.rig.limits.min_bytes = 16u << 20;
	s.node = rig_node_start(&s.rig);
	scene_go(&s);
	rig_run_s(&s.rig, 4);
	const struct gap gap = {.from = s.recorder->footage.at,
		.to = {s.recorder->footage.at.us + 7 * US_PER_SECOND},
		.cause = GAP_NETWORK};
	assert_int_equal(writer_gap(session_of(s.recorder), &gap, false), 0);
	s.recorder->footage.at.us += 7 * US_PER_SECOND;
	s.recorder->footage.flags |= FRAGMENT_DISCONTINUITY;
	rig_run_s(&s.rig, 4);
	scene_rest(&s);
	assert_int_equal(s.found.chunk_count, 1);
	assert_int_equal(s.found.chunks[0].record.gap_count, 1);
	assert_int_equal(s.found.chunks[0].record.gaps[0].cause, GAP_NETWORK);
	scene_end(&s);
}

/* A recorder that was used before, for another store, tells of a hole before its first fragment:
 * before a stream's first footage nothing is missing. */
static void test_no_gap_before_the_first_footage(void **state)
{
	(void)state;
	for (unsigned open = 0; open < 2; open++) {
		struct scene s;
		scene_start(&s, NULL);
		scene_go(&s);
		const struct gap gap = {.from = {s.recorder->footage.at.us - 600 * US_PER_SECOND},
			.to = s.recorder->footage.at,
			.cause = GAP_RECORDER_STOPPED};
		assert_int_equal(writer_gap(session_of(s.recorder), &gap, open), 0);
		assert_int_equal(writer_open_gap(recorder_writer(s.recorder)).cause, GAP_NONE);
		rig_run_s(&s.rig, 20);
		scene_rest(&s);
		for (size_t i = 0; i < s.found.chunk_count; i++)
			assert_int_equal(s.found.chunks[i].record.gap_before.cause, GAP_NONE);
		/* afterwards it counts, also for a daemon that knows the head alone */
		s.node = rig_node_start(&s.rig);
		s.recorder->home = s.node;
		s.recorder->running = true;
		recorder_reconnect(s.recorder);
		assert_true(recorder_wait_open(s.recorder, 10 * NS_PER_SECOND));
		const struct gap later = {.from = s.recorder->footage.at,
			.to = {s.recorder->footage.at.us + US_PER_SECOND},
			.cause = GAP_RECORDER_STOPPED};
		assert_int_equal(writer_gap(session_of(s.recorder), &later, true), 0);
		assert_int_equal(
			writer_open_gap(recorder_writer(s.recorder)).cause, GAP_RECORDER_STOPPED);
		scene_rest(&s);
		scene_end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_lanes_at_once),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_first_fragment_must_be_a_sync),
		cmocka_unit_test(test_bad_media_and_times),
		cmocka_unit_test(test_the_later_session_supersedes),
		cmocka_unit_test(test_sessions_are_few),
		cmocka_unit_test(test_sessions_are_forgotten_late),
		cmocka_unit_test(test_reported_gap_before_a_chunk),
		cmocka_unit_test(test_gap_inside_a_chunk_keeps_its_cause),
		cmocka_unit_test(test_no_gap_before_the_first_footage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
