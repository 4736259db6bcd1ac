/* SPDX-License-Identifier: Apache-2.0 */
/* The conversation with a whole daemon in virtual time: who may do what, and recorders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storaged/metrics.h"
#include "tests/unit/session/asking.h"

static void test_roles_and_names(void **state)
{
	struct desk d;
	struct person recorder, viewer, admin;
	struct footage f;
	desk_start(&d, loops_of(state), NULL);
	footage_start(&f, "gate-1/main", false);
	person_dial(&recorder, &d, "rec", ROLE_RECORDER);
	person_dial(&viewer, &d, "chen", ROLE_INVESTIGATOR);
	person_dial(&admin, &d, "root", ROLE_ADMIN);
	person_expect_refusal(
		&recorder, ask_timeline(&recorder, "gate-1/main", 0, 1000), REFUSAL_ROLE);
	person_expect_refusal(
		&recorder, ask_fetch(&recorder, NULL, "gate-1/main", 0, 1000), REFUSAL_ROLE);
	person_expect_refusal(
		&admin, ask_fetch(&admin, NULL, "gate-1/main", 0, 1000), REFUSAL_ROLE);
	person_expect_refusal(&viewer, person_open(&viewer, &f), REFUSAL_ROLE);
	person_expect_refusal(
		&viewer, ask_timeline(&viewer, "gate..1/main", 0, 1000), REFUSAL_NAME);
	person_expect_refusal(&viewer, ask_timeline(&viewer, "gate-1", 0, 1000), REFUSAL_NAME);
	person_expect_refusal(
		&viewer, ask_timeline(&viewer, "gate-1/main", 1000, 1000), REFUSAL_TIME);
	person_expect_refusal(
		&viewer, ask_timeline(&viewer, "gate-1/main", -5, 1000), REFUSAL_TIME);
	person_expect_refusal(
		&viewer, ask_timeline(&viewer, "gate-1/main", 0, 1000), REFUSAL_UNKNOWN_STREAM);
	person_expect_refusal(
		&viewer, ask_fetch(&viewer, NULL, "gate-1/main", 0, 1000), REFUSAL_UNKNOWN_STREAM);
	person_expect_refusal(&recorder, person_open(&recorder, &f), REFUSAL_UNKNOWN_CAMERA);
	person_expect_refusal(
		&recorder, person_send(&recorder, 200, 0, NULL, NULL), REFUSAL_PROTOCOL);
	/* frames of what has ended mean nothing */
	person_append(&recorder, 77, &f);
	assert_null(person_hear(&recorder, 77));
	person_leave(&recorder);
	person_leave(&viewer);
	person_leave(&admin);
	desk_stop(&d);
}

static void test_recorded_seen_and_fetched(void **state)
{
	struct desk d;
	struct person recorder, viewer;
	struct footage f[4];
	uint64_t seqs[128];
	desk_start(&d, loops_of(state), NULL);
	person_dial(&recorder, &d, "rec", ROLE_RECORDER);
	person_dial(&viewer, &d, "chen", ROLE_INVESTIGATOR);
	/* several cameras, so that some are pinned to another loop */
	for (unsigned i = 0; i < 4; i++) {
		char name[STREAM_NAME_MAX + 1];
		snprintf(name, sizeof(name), "gate-%u/main", i);
		footage_start(&f[i], name, i == 1);
		f[i].at = d.world.wall;
		snprintf(name, sizeof(name), "gate-%u", i);
		desk_camera(&d, name);
		int64_t start_us = f[i].at.us;
		uint32_t stream = person_record(&recorder, &f[i], 20);
		Steppe__Wire__TimelineReply *t = person_expect(&viewer,
			ask_timeline(&viewer, f[i].stream, start_us, start_us + US_PER_DAY),
			FRAME_TIMELINE_REPLY, &steppe__wire__timeline_reply__descriptor);
		assert_int_equal(t->n_spans, 1);
		assert_int_equal(t->spans[0]->start_us, start_us);
		assert_int_equal(t->spans[0]->end_us, f[i].at.us);
		assert_int_equal(t->spans[0]->fragments, 20);
		assert_int_equal(t->n_gaps, 0);
		steppe__wire__timeline_reply__free_unpacked(t, NULL);
		/* open ... */
		assert_int_equal(
			take_fragments(&viewer,
				ask_fetch(&viewer, NULL, f[i].stream, start_us, f[i].at.us), seqs,
				128),
			20);
		for (unsigned k = 0; k < 20; k++)
			assert_int_equal(seqs[k], k + 1);
		Steppe__Wire__Close close = STEPPE__WIRE__CLOSE__INIT;
		close.seal = true;
		person_send(&recorder, FRAME_CLOSE, stream, &close.base, NULL);
		struct note *n;
		while ((n = person_hear(&recorder, stream)) && n->header.type == FRAME_ACK)
			note_free(n);
		assert_non_null(n);
		assert_int_equal(n->header.type, FRAME_CLOSED);
		note_free(n);
		/* ... and sealed: the same */
		sim_run_for(&d.world, 5 * NS_PER_SECOND);
		assert_int_equal(
			take_fragments(&viewer,
				ask_fetch(&viewer, NULL, f[i].stream, start_us, f[i].at.us), seqs,
				128),
			20);
	}
	person_leave(&recorder);
	person_leave(&viewer);
	desk_stop(&d);
}

static void test_what_a_recorder_gets_wrong(void **state)
{
	struct desk d;
	struct person recorder;
	struct footage f;
	struct fragment_header h;
	uint8_t header[FRAGMENT_HEADER_SIZE];
	desk_start(&d, loops_of(state), NULL);
	footage_start(&f, "gate-1/main", false);
	f.at = d.world.wall;
	desk_camera(&d, "gate-1");
	person_dial(&recorder, &d, "rec", ROLE_RECORDER);
	static const int refusals[] = {REFUSAL_CHECKSUM, REFUSAL_MALFORMED_MEDIA, REFUSAL_SEQUENCE,
		REFUSAL_PROTOCOL, REFUSAL_TOO_LARGE};
	for (unsigned i = 0; i < 5; i++) {
		uint64_t counted = metrics_refusals(refusals[i]);
		uint32_t stream = person_record(&recorder, &f, 1);
		struct footage attempt = f;
		if (i == 2)
			attempt.seq++;
		struct buf *body = footage_fragment(&attempt, &h);
		if (i == 3)
			h.session ^= 1;
		if (i == 4)
			h.body_len = FRAGMENT_BODY_MAX + 1;
		fragment_header_encode(&h, header);
		if (i == 0)
			body->data[body->len - 1] ^= 1;
		if (i == 1)
			body->len--;
		Steppe__Wire__Append append = STEPPE__WIRE__APPEND__INIT;
		append.header = (ProtobufCBinaryData){.data = header, .len = sizeof(header)};
		person_send(&recorder, FRAME_APPEND, stream, &append.base, body);
		person_expect_refusal(&recorder, stream, refusals[i]);
		assert_int_equal(metrics_refusals(refusals[i]), counted + 1);
		buf_unref(&body);
	}
	/* more than the credit */
	d.admit.limits.lane_window = 64 << 10;
	uint32_t stream = person_open(&recorder, &f);
	Steppe__Wire__Opened *opened =
		person_expect(&recorder, stream, FRAME_OPENED, &steppe__wire__opened__descriptor);
	uint64_t credit = opened->lanes[0]->credit;
	steppe__wire__opened__free_unpacked(opened, NULL);
	f.picture_bytes = 20000;
	store_model_stall(d.model, NULL, true);
	struct footage start = f;
	struct note *n = NULL;
	for (uint64_t sent = 0; sent < credit + (2u << 20); sent += h.body_len) {
		struct buf *body = footage_fragment(&f, &h);
		fragment_header_encode(&h, header);
		Steppe__Wire__Append append = STEPPE__WIRE__APPEND__INIT;
		append.header = (ProtobufCBinaryData){.data = header, .len = sizeof(header)};
		person_send(&recorder, FRAME_APPEND, stream, &append.base, body);
		buf_unref(&body);
	}
	while ((n = person_hear(&recorder, stream)) && n->header.type == FRAME_ACK)
		note_free(n);
	assert_non_null(n);
	assert_int_equal(n->header.type, FRAME_REFUSED);
	note_free(n);
	store_model_stall(d.model, NULL, false);
	(void)start;
	person_leave(&recorder);
	desk_stop(&d);
}

static void test_one_recorder_at_a_time(void **state)
{
	struct desk d;
	struct person first, again, other;
	struct footage f, g;
	desk_start(&d, loops_of(state), NULL);
	footage_start(&f, "gate-1/main", false);
	f.at = d.world.wall;
	footage_start(&g, "gate-1/main", false);
	g.session += 1;
	desk_camera(&d, "gate-1");
	person_dial(&first, &d, "rec", ROLE_RECORDER);
	person_dial(&again, &d, "rec", ROLE_RECORDER);
	person_dial(&other, &d, "stranger", ROLE_RECORDER);
	uint32_t stream = person_record(&first, &f, 3);
	person_expect_refusal(&other, person_open(&other, &g), REFUSAL_BUSY);
	/* the same recorder, on another connection: at once */
	person_record(&again, &f, 2);
	person_expect_refusal(&first, stream, REFUSAL_SUPERSEDED);
	/* after ten seconds of silence another may */
	sim_run_for(&d.world, 11 * NS_PER_SECOND);
	g.at = d.world.wall;
	person_record(&other, &g, 2);
	person_leave(&first);
	person_leave(&again);
	person_leave(&other);
	desk_stop(&d);
}

/* A recorder whose machine went down has forgotten what it sent last: OPENED must not name a number
 * that was taken, for it would stand for other footage from then on. */
static void test_a_recorder_that_lost_its_memory(void **state)
{
	struct desk d;
	struct person before, after;
	struct footage f;
	desk_start(&d, loops_of(state), NULL);
	footage_start(&f, "gate-1/main", false);
	f.at = d.world.wall;
	desk_camera(&d, "gate-1");
	person_dial(&before, &d, "rec", ROLE_RECORDER);
	uint32_t stream = person_record(&before, &f, 2);
	store_model_stall(d.model, NULL, true);
	person_append(&before, stream, &f);
	person_append(&before, stream, &f);
	Steppe__Wire__Ack *ack =
		person_expect(&before, stream, FRAME_ACK, &steppe__wire__ack__descriptor);
	assert_int_equal(ack->received, 4);
	assert_int_equal(ack->durable, 2);
	steppe__wire__ack__free_unpacked(ack, NULL);
	person_leave(&before);
	person_dial(&after, &d, "rec", ROLE_RECORDER);
	stream = person_open(&after, &f);
	sim_run_for(&d.world, NS_PER_SECOND);
	assert_true(list_empty(&after.notes));
	store_model_stall(d.model, NULL, false);
	Steppe__Wire__Opened *opened =
		person_expect(&after, stream, FRAME_OPENED, &steppe__wire__opened__descriptor);
	assert_int_equal(opened->lanes[0]->next_seq, 5);
	steppe__wire__opened__free_unpacked(opened, NULL);
	person_append(&after, stream, &f);
	do {
		ack = person_expect(&after, stream, FRAME_ACK, &steppe__wire__ack__descriptor);
		stream = ack->durable == 5 ? 0 : stream;
		steppe__wire__ack__free_unpacked(ack, NULL);
	} while (stream);
	person_leave(&after);
	desk_stop(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_roles_and_names),
		BOTH(test_recorded_seen_and_fetched),
		BOTH(test_what_a_recorder_gets_wrong),
		BOTH(test_one_recorder_at_a_time),
		BOTH(test_a_recorder_that_lost_its_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
