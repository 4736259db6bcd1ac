/* SPDX-License-Identifier: Apache-2.0 */
/* Two daemons over one store: who is sent where, what moves, and what a recorder is told when. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "tests/unit/session/desk.h"

#define BOTH 3u

/* A camera that the map of both gives to that node. */
static const char *camera_of(unsigned node, char to[16])
{
	struct placement_node nodes[2] = {
		{.id = "node1", .weight = PLACEMENT_WEIGHT_ONE, .state = PLACEMENT_IN},
		{.id = "node2", .weight = PLACEMENT_WEIGHT_ONE, .state = PLACEMENT_IN}};
	const struct placement_map map = {.epoch = 1, .nodes = nodes, .node_count = 2};
	struct placement *p;
	assert_int_equal(placement_new(&map, &p), 0);
	for (unsigned i = 0;; i++) {
		snprintf(to, 16, "cam-%u", i);
		if (placement_owner(p, placement_camera(to)) == (int)node)
			break;
	}
	placement_free(&p);
	return to;
}

static void begin(struct desk *d)
{
	log_set_level(LOG_ERROR);
	desk_start_cluster(d, NULL);
	desk_map(d, 1, BOTH, BOTH);
}

static void film(struct footage *f, unsigned node)
{
	static char camera[16], stream[2][32];
	snprintf(stream[node], sizeof(stream[node]), "%s/main", camera_of(node, camera));
	footage_start(f, stream[node], false);
	f->at.us = INT64_C(1790000000) * US_PER_SECOND;
}

static void expect_redirect(struct person *p, uint32_t stream, const char *node, uint64_t epoch)
{
	Steppe__Wire__Redirect *r =
		person_expect(p, stream, FRAME_REDIRECT, &steppe__wire__redirect__descriptor);
	assert_string_equal(r->node, node);
	assert_int_equal(r->n_addresses, 1);
	assert_memory_equal(r->addresses[0], node, strlen(node));
	assert_int_equal(r->map_epoch, epoch);
	steppe__wire__redirect__free_unpacked(r, NULL);
}

static uint32_t timeline(struct person *p, const char *stream, bool any)
{
	Steppe__Wire__Timeline ask = STEPPE__WIRE__TIMELINE__INIT;
	ask.stream = (char *)(uintptr_t)stream;
	ask.from_us = INT64_C(1790000000) * US_PER_SECOND;
	ask.to_us = ask.from_us + US_PER_DAY;
	ask.any = any;
	return person_send(p, FRAME_TIMELINE, 0, &ask.base, NULL);
}

static void expect_fragments(struct person *p, uint32_t stream, unsigned spans, unsigned fragments)
{
	Steppe__Wire__TimelineReply *t = person_expect(
		p, stream, FRAME_TIMELINE_REPLY, &steppe__wire__timeline_reply__descriptor);
	unsigned count = 0;
	for (size_t i = 0; i < t->n_spans; i++)
		count += t->spans[i]->fragments;
	assert_int_equal(t->n_spans, spans);
	assert_int_equal(count, fragments);
	assert_int_equal(t->n_gaps, 0);
	steppe__wire__timeline_reply__free_unpacked(t, NULL);
}

static void test_who_is_sent_where(void **state)
{
	(void)state;
	struct desk d;
	struct person recorder, viewer;
	struct footage f;
	begin(&d);
	film(&f, 1);
	desk_camera(&d, strtok(strdupa(f.stream), "/"));
	person_dial(&recorder, &d, "recorder", ROLE_RECORDER);
	person_dial(&viewer, &d, "viewer", ROLE_INVESTIGATOR);
	expect_redirect(&recorder, person_open(&recorder, &f), "node2", 1);
	expect_redirect(&viewer, timeline(&viewer, f.stream, false), "node2", 1);
	/* asked for by somebody who does not reach the owner, the store answers */
	person_expect_refusal(&viewer, timeline(&viewer, f.stream, true), REFUSAL_UNKNOWN_STREAM);
	/* who follows is sent to the owner in any case */
	Steppe__Wire__Fetch fetch = STEPPE__WIRE__FETCH__INIT;
	fetch.stream = (char *)(uintptr_t)f.stream;
	fetch.from_us = 1;
	fetch.follow = fetch.any = true;
	expect_redirect(
		&viewer, person_send(&viewer, FRAME_FETCH, 0, &fetch.base, NULL), "node2", 1);
	/* nobody is left to own it */
	desk_map(&d, 2, 0, BOTH);
	person_expect_refusal(&recorder, person_open(&recorder, &f), REFUSAL_TAKING_OVER);
	person_expect_refusal(&viewer, timeline(&viewer, f.stream, false), REFUSAL_UNKNOWN_STREAM);
	desk_map(&d, 3, 1, BOTH);
	person_record(&recorder, &f, 3);
	expect_fragments(&viewer, timeline(&viewer, f.stream, false), 1, 3);
	person_leave(&recorder);
	person_leave(&viewer);
	desk_stop(&d);
}

static void test_the_map_is_told(void **state)
{
	(void)state;
	struct desk d;
	struct person p;
	begin(&d);
	person_dial(&p, &d, "recorder", ROLE_RECORDER);
	Steppe__Wire__Map ask = STEPPE__WIRE__MAP__INIT;
	for (ask.have_epoch = 0; ask.have_epoch < 6; ask.have_epoch++) {
		uint32_t stream = person_send(&p, FRAME_MAP, 0, &ask.base, NULL);
		Steppe__Wire__MapReply *r = person_expect(
			&p, stream, FRAME_MAP_REPLY, &steppe__wire__map_reply__descriptor);
		assert_string_equal(r->self, "node1");
		assert_int_equal(r->map->epoch, 1);
		assert_int_equal(r->map->n_nodes, ask.have_epoch ? 0 : 2);
		assert_int_equal(d.heard, ask.have_epoch > 1 ? ask.have_epoch : 0);
		steppe__wire__map_reply__free_unpacked(r, NULL);
	}
	/* a recorder that knows more than we do waits for us to know it */
	struct footage f;
	film(&f, 0);
	Steppe__Wire__Open open = STEPPE__WIRE__OPEN__INIT;
	open.stream = (char *)(uintptr_t)f.stream;
	open.map_epoch = 9;
	person_expect_refusal(
		&p, person_send(&p, FRAME_OPEN, 0, &open.base, NULL), REFUSAL_TAKING_OVER);
	assert_int_equal(d.heard, 9);
	/* words are an admin's */
	Steppe__Wire__NodeSet set = STEPPE__WIRE__NODE_SET__INIT;
	set.id = (char *)(uintptr_t) "node1";
	person_expect_refusal(
		&p, person_send(&p, FRAME_NODE_SET, 0, &set.base, NULL), REFUSAL_ROLE);
	person_leave(&p);
	desk_stop(&d);
}

/* The last acknowledgement comes before the redirect; the next owner finds nothing to recover, and
 * goes on with the next number. */
static void test_a_planned_move(void **state)
{
	(void)state;
	struct desk d;
	struct person one, two, viewer;
	struct footage f;
	begin(&d);
	film(&f, 1);
	desk_map(&d, 2, 1, BOTH); /* node2 is away */
	desk_camera(&d, strtok(strdupa(f.stream), "/"));
	person_dial_node(&one, &d, "recorder", ROLE_RECORDER, 0);
	person_dial_node(&two, &d, "recorder", ROLE_RECORDER, 1);
	person_dial_node(&viewer, &d, "viewer", ROLE_INVESTIGATOR, 1);
	uint32_t stream = person_record(&one, &f, 5);
	/* what is under way when it comes back */
	for (unsigned i = 0; i < 4; i++)
		person_append(&one, stream, &f);
	sim_run_for(&d.world, 20 * NS_PER_MS);
	desk_map(&d, 3, BOTH, BOTH);
	uint64_t durable = 0;
	for (bool redirected = false; !redirected;) {
		struct note *n = person_hear(&one, stream);
		assert_non_null(n);
		redirected = n->header.type == FRAME_REDIRECT;
		if (n->header.type == FRAME_ACK) {
			Steppe__Wire__Ack *ack =
				steppe__wire__ack__unpack(NULL, n->header.meta_len, n->meta);
			durable = ack->durable;
			steppe__wire__ack__free_unpacked(ack, NULL);
		} else {
			assert_true(redirected);
		}
		note_free(n);
	}
	assert_int_equal(durable, 9);
	assert_null(keeper_find(d.loops[0].keeper, f.stream));
	char head[STORE_NAME_MAX + 1];
	size_t len;
	snprintf(head, sizeof(head), "head/%s", f.stream);
	store_model_attr(d.model, STORE_META, head, "owner", &len);
	assert_int_equal(len, 0); /* yielded */
	stream = person_open(&two, &f);
	Steppe__Wire__Opened *opened =
		person_expect(&two, stream, FRAME_OPENED, &steppe__wire__opened__descriptor);
	assert_int_equal(opened->lanes[0]->next_seq, 10);
	steppe__wire__opened__free_unpacked(opened, NULL);
	expect_fragments(&viewer, timeline(&viewer, f.stream, false), 1, 9);
	person_leave(&one);
	person_leave(&two);
	person_leave(&viewer);
	desk_stop(&d);
}

/* Another daemon takes the stream by force: the recorder is sent there as soon as that is noticed,
 * and nothing acknowledged is lost. */
static void test_a_stream_is_lost(void **state)
{
	(void)state;
	struct desk d;
	struct person one, two;
	struct footage f, again;
	begin(&d);
	film(&f, 1);
	desk_map(&d, 2, 1, BOTH);
	desk_camera(&d, strtok(strdupa(f.stream), "/"));
	person_dial_node(&one, &d, "recorder", ROLE_RECORDER, 0);
	person_dial_node(&two, &d, "recorder", ROLE_RECORDER, 1);
	uint32_t stream = person_record(&one, &f, 5);
	desk_map(&d, 3, BOTH, 2); /* node1 has not heard */
	again = f;
	uint32_t there = person_open(&two, &f);
	Steppe__Wire__Opened *opened =
		person_expect(&two, there, FRAME_OPENED, &steppe__wire__opened__descriptor);
	assert_int_equal(opened->lanes[0]->next_seq, 6);
	steppe__wire__opened__free_unpacked(opened, NULL);
	person_append(&one, stream, &again); /* refused by the store */
	struct note *n;
	while ((n = person_hear(&one, stream)) && n->header.type == FRAME_ACK) {
		Steppe__Wire__Ack *ack =
			steppe__wire__ack__unpack(NULL, n->header.meta_len, n->meta);
		assert_int_equal(ack->durable, 5);
		steppe__wire__ack__free_unpacked(ack, NULL);
		note_free(n);
	}
	assert_non_null(n);
	assert_int_equal(n->header.type, FRAME_REFUSED); /* by its map it is ours still: soon */
	note_free(n);
	desk_map(&d, 3, BOTH, 1);
	expect_redirect(&one, person_open(&one, &again), "node2", 3);
	person_leave(&one);
	person_leave(&two);
	desk_stop(&d);
}

/* Many streams leave at a rate; all of them when the daemon leaves. */
static void test_moves_are_paced(void **state)
{
	(void)state;
	struct desk d;
	struct person recorder;
	static struct footage films[40];
	static char streams[40][32];
	begin(&d);
	desk_map(&d, 2, 1, BOTH);
	person_dial_node(&recorder, &d, "recorder", ROLE_RECORDER, 0);
	for (unsigned i = 0; i < 40; i++) {
		char camera[16];
		snprintf(camera, sizeof(camera), "many-%u", i);
		snprintf(streams[i], sizeof(streams[i]), "%s/main", camera);
		desk_camera(&d, camera);
		footage_start(&films[i], streams[i], false);
		films[i].at.us = INT64_C(1790000000) * US_PER_SECOND;
		person_record(&recorder, &films[i], 1);
	}
	desk_map(&d, 3, BOTH, BOTH);
	unsigned theirs = 0, gone = 0;
	for (unsigned i = 0; i < 40; i++)
		theirs += !moves_is_ours(d.loops[0].moves, streams[i]);
	assert_in_range(theirs, 8, 32);
	sim_run_for(&d.world, 100 * NS_PER_MS);
	for (unsigned i = 0; i < 40; i++)
		gone += !keeper_find(d.loops[0].keeper, streams[i]);
	assert_in_range(gone, 2, 7); /* fifty a second */
	sim_run_for(&d.world, 3 * NS_PER_SECOND);
	for (unsigned i = 0; i < 40; i++)
		assert_true(!keeper_find(d.loops[0].keeper, streams[i]) ==
			    !moves_is_ours(d.loops[0].moves, streams[i]));
	person_leave(&recorder);
	desk_stop(&d);
}

static void on_left(struct loop_task *task)
{
	task->run = NULL;
}

static void test_leaving(void **state)
{
	(void)state;
	struct desk d;
	struct person recorder;
	struct footage f[2];
	begin(&d);
	desk_map(&d, 2, 1, BOTH);
	person_dial_node(&recorder, &d, "recorder", ROLE_RECORDER, 0);
	uint32_t stream[2];
	for (unsigned i = 0; i < 2; i++) {
		film(&f[i], i);
		desk_camera(&d, strtok(strdupa(f[i].stream), "/"));
		stream[i] = person_record(&recorder, &f[i], 3);
	}
	desk_map(&d, 3, 2, BOTH); /* node1 says that it leaves */
	struct loop_task left = {.run = on_left};
	moves_leave(d.loops[0].moves, &left);
	assert_non_null(left.run);
	sim_run_for(&d.world, 2 * NS_PER_SECOND);
	assert_null(left.run);
	for (unsigned i = 0; i < 2; i++) {
		assert_null(keeper_find(d.loops[0].keeper, f[i].stream));
		expect_redirect(&recorder, stream[i], "node2", 3);
	}
	person_leave(&recorder);
	desk_stop(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_sent_where),
		cmocka_unit_test(test_the_map_is_told),
		cmocka_unit_test(test_a_planned_move),
		cmocka_unit_test(test_a_stream_is_lost),
		cmocka_unit_test(test_moves_are_paced),
		cmocka_unit_test(test_leaving),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
