/* SPDX-License-Identifier: Apache-2.0 */
/* The conversation with a whole daemon in virtual time: viewers, checking, and those who leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/session/asking.h"

static void test_a_snapshot_and_its_bytes(void **state)
{
	struct desk d;
	struct person recorder, viewer;
	struct footage f;
	desk_start(&d, loops_of(state), NULL);
	footage_start(&f, "gate-3/main", false);
	f.at = d.world.wall;
	int64_t start_us = f.at.us;
	desk_camera(&d, "gate-3");
	person_dial(&recorder, &d, "rec", ROLE_RECORDER);
	person_dial(&viewer, &d, "chen", ROLE_INVESTIGATOR);
	uint32_t recording = person_record(&recorder, &f, 10);
	Steppe__Wire__Snapshot ask = STEPPE__WIRE__SNAPSHOT__INIT;
	ask.stream = f.stream;
	ask.from_us = start_us;
	ask.to_us = start_us + US_PER_DAY;
	uint32_t stream = person_send(&viewer, FRAME_SNAPSHOT, 0, &ask.base, NULL);
	struct note *chunk = person_hear(&viewer, stream);
	assert_non_null(chunk);
	assert_int_equal(chunk->header.type, FRAME_SNAPSHOT_CHUNK);
	Steppe__Wire__SnapshotChunk *c =
		steppe__wire__snapshot_chunk__unpack(NULL, chunk->header.meta_len, chunk->meta);
	struct chunk_table table = {0};
	assert_int_equal(chunk_table_decode(&table, chunk->body + c->init_len,
				 chunk->header.body_len - c->init_len),
		0);
	assert_int_equal(table.fragment_count, 10);
	Steppe__Wire__SnapshotEnd *end = person_expect(
		&viewer, stream, FRAME_SNAPSHOT_END, &steppe__wire__snapshot_end__descriptor);
	assert_int_equal(end->chunks, 1);
	/* more is recorded meanwhile: what was taken down does not change */
	for (int i = 0; i < 10; i++)
		person_append(&recorder, recording, &f);
	sim_run_for(&d.world, 10 * NS_PER_SECOND);
	Steppe__Wire__Read read = STEPPE__WIRE__READ__INIT;
	read.snapshot = end->id;
	read.offset = table.fragments[9].offset - CHUNK_FRAG_BOX;
	read.length = table.fragments[9].body_len + CHUNK_FRAG_BOX;
	uint32_t number = person_send(&viewer, FRAME_READ, 0, &read.base, NULL);
	struct note *bytes = person_hear(&viewer, number);
	assert_non_null(bytes);
	assert_int_equal(bytes->header.type, FRAME_READ_REPLY);
	struct fragment_header h;
	struct wall receipt;
	uint8_t cause;
	assert_int_equal(chunk_frag_parse(bytes->body, CHUNK_FRAG_BOX, &h, &receipt, &cause), 0);
	assert_int_equal(h.seq, 10);
	assert_int_equal(fragment_check_crc(&h, bytes->body + CHUNK_FRAG_BOX), 0);
	/* beyond it, or of no snapshot */
	read.offset += UINT64_C(1) << 40;
	person_expect_refusal(
		&viewer, person_send(&viewer, FRAME_READ, 0, &read.base, NULL), REFUSAL_PROTOCOL);
	read.chunk = 5;
	person_expect_refusal(
		&viewer, person_send(&viewer, FRAME_READ, 0, &read.base, NULL), REFUSAL_SNAPSHOT);
	sim_run_for(&d.world, 700 * NS_PER_SECOND);
	read.chunk = 0;
	read.offset = 0;
	person_expect_refusal(
		&viewer, person_send(&viewer, FRAME_READ, 0, &read.base, NULL), REFUSAL_SNAPSHOT);
	note_free(chunk);
	note_free(bytes);
	chunk_table_fini(&table);
	steppe__wire__snapshot_chunk__free_unpacked(c, NULL);
	steppe__wire__snapshot_end__free_unpacked(end, NULL);
	person_leave(&recorder);
	person_leave(&viewer);
	desk_stop(&d);
}

static void test_the_live_edge_is_followed(void **state)
{
	struct desk d;
	struct person recorder, viewer;
	struct footage f;
	uint64_t seqs[512];
	desk_start(&d, loops_of(state), NULL);
	footage_start(&f, "gate-2/main", false);
	f.at = d.world.wall;
	int64_t start_us = f.at.us;
	desk_camera(&d, "gate-2");
	person_dial(&recorder, &d, "rec", ROLE_RECORDER);
	person_dial(&viewer, &d, "chen", ROLE_INVESTIGATOR);
	uint32_t recording = person_record(&recorder, &f, 10);
	Steppe__Wire__Fetch with = STEPPE__WIRE__FETCH__INIT;
	with.follow = true;
	uint32_t stream = ask_fetch(&viewer, &with, f.stream, start_us, 0);
	assert_int_equal(take_fragments(&viewer, stream, seqs, 10), 10);
	uint64_t expected = 11;
	for (int i = 0; i < 200; i++) {
		if (i == 100)
			f.at.us -= 3600 * US_PER_SECOND; /* the camera's clock steps back an hour */
		person_append(&recorder, recording, &f);
		sim_run_for(&d.world, NS_PER_SECOND);
		if (i % 20 == 19) {
			assert_int_equal(take_fragments(&viewer, stream, seqs, 10), 10);
			for (int k = 0; k < 10; k++)
				assert_int_equal(seqs[k], expected++);
		}
	}
	/* STOP has no answer, and nothing comes after it */
	person_send(&viewer, FRAME_STOP, stream, NULL, NULL);
	sim_run_for(&d.world, NS_PER_SECOND);
	struct note *n;
	while ((n = person_hear(&viewer, stream)))
		note_free(n);
	person_append(&recorder, recording, &f);
	assert_null(person_hear(&viewer, stream));
	person_leave(&recorder);
	person_leave(&viewer);
	desk_stop(&d);
}

/* From now on, when the day is in the index already: nothing is there yet, and what comes is shown. */
static void test_following_from_now(void **state)
{
	struct desk d;
	struct person recorder, viewer;
	struct footage f;
	uint64_t seqs[512];
	desk_start(&d, loops_of(state), NULL);
	footage_start(&f, "gate-2/main", false);
	f.at = d.world.wall;
	desk_camera(&d, "gate-2");
	person_dial(&recorder, &d, "rec", ROLE_RECORDER);
	person_dial(&viewer, &d, "chen", ROLE_INVESTIGATOR);
	uint32_t recording = person_record(&recorder, &f, 1000); /* a sealed chunk, and more */
	Steppe__Wire__Fetch with = STEPPE__WIRE__FETCH__INIT;
	with.follow = true;
	uint32_t stream = ask_fetch(&viewer, &with, f.stream, f.at.us + 5 * US_PER_SECOND, 0);
	sim_run_for(&d.world, NS_PER_SECOND);
	for (int i = 0; i < 20; i++) {
		person_append(&recorder, recording, &f);
		sim_run_for(&d.world, NS_PER_SECOND);
	}
	assert_int_equal(take_fragments(&viewer, stream, seqs, 12), 12);
	assert_true(seqs[0] > 990 && seqs[0] <= 1006); /* the run that reaches into the window */
	for (int k = 1; k < 12; k++)
		assert_int_equal(seqs[k], seqs[0] + (uint64_t)k);
	person_leave(&recorder);
	person_leave(&viewer);
	desk_stop(&d);
}

static void test_credit_holds_a_fetch_back(void **state)
{
	struct desk d;
	struct person recorder, viewer;
	struct footage f;
	uint64_t seqs[128];
	desk_start(&d, loops_of(state), NULL);
	footage_start(&f, "gate-2/main", false);
	f.at = d.world.wall;
	int64_t start_us = f.at.us;
	desk_camera(&d, "gate-2");
	person_dial(&recorder, &d, "rec", ROLE_RECORDER);
	person_dial(&viewer, &d, "chen", ROLE_INVESTIGATOR);
	person_record(&recorder, &f, 30);
	Steppe__Wire__Fetch with = STEPPE__WIRE__FETCH__INIT;
	with.credit = 1;
	with.backward = true;
	uint32_t stream = ask_fetch(&viewer, &with, f.stream, start_us, f.at.us);
	assert_int_equal(take_fragments(&viewer, stream, seqs, 1), 1);
	assert_null(person_hear(&viewer, stream));
	Steppe__Wire__FetchCredit more = STEPPE__WIRE__FETCH_CREDIT__INIT;
	more.credit = 1u << 30;
	person_send(&viewer, FRAME_FETCH_CREDIT, stream, &more.base, NULL);
	uint64_t first = seqs[0];
	/* the initial segment came with the first one; the rest of the runs, newest first */
	size_t count = 0;
	struct note *n;
	while ((n = person_hear(&viewer, stream)) && n->header.type == FRAME_FRAGMENT) {
		count++;
		note_free(n);
	}
	assert_int_equal(count, 29);
	assert_non_null(n);
	assert_int_equal(n->header.type, FRAME_FETCH_END);
	note_free(n);
	assert_true(first > 20);
	person_leave(&recorder);
	person_leave(&viewer);
	desk_stop(&d);
}

static void test_damage_is_told_and_the_rest_comes(void **state)
{
	struct desk d;
	struct person recorder, viewer;
	struct footage f;
	uint64_t seqs[128];
	desk_start(&d, loops_of(state), NULL);
	footage_start(&f, "gate-2/main", false);
	f.at = d.world.wall;
	int64_t start_us = f.at.us;
	desk_camera(&d, "gate-2");
	person_dial(&recorder, &d, "rec", ROLE_RECORDER);
	person_dial(&viewer, &d, "chen", ROLE_INVESTIGATOR);
	person_record(&recorder, &f, 10);
	struct chunk_id id = {.epoch = 1, .seq = 1};
	char name[STORE_NAME_MAX + 1];
	chunk_name(name, f.stream, &id);
	size_t len;
	uint8_t *bytes = store_model_bytes(d.model, STORE_DATA, name, &len);
	assert_non_null(bytes);
	bytes[len / 2] ^= 0x40;
	assert_int_equal(take_fragments(&viewer,
				 ask_fetch(&viewer, NULL, f.stream, start_us, f.at.us), seqs, 128),
		10);
	unsigned damaged = 0;
	for (unsigned i = 0; i < 10; i++) {
		damaged += seqs[i] >= 1000000;
		assert_int_equal(seqs[i] % 1000000, i + 1);
	}
	assert_int_equal(damaged, 1);
	person_leave(&recorder);
	person_leave(&viewer);
	desk_stop(&d);
}

static Steppe__Wire__FsckEnd *ask_fsck(struct person *p, const char *stream, uint32_t level,
	bool rebuild_index, unsigned *ret_told)
{
	Steppe__Wire__Fsck ask = STEPPE__WIRE__FSCK__INIT;
	ask.stream = (char *)(uintptr_t)stream;
	ask.level = level;
	ask.rebuild_index = rebuild_index;
	uint32_t number = person_send(p, FRAME_FSCK, 0, &ask.base, NULL);
	struct note *n;
	*ret_told = 0;
	while ((n = person_hear(p, number)) && n->header.type == FRAME_FSCK_FINDING) {
		++*ret_told;
		note_free(n);
	}
	assert_non_null(n);
	Steppe__Wire__FsckEnd *end = NULL;
	if (n->header.type == FRAME_FSCK_END)
		end = steppe__wire__fsck_end__unpack(NULL, n->header.meta_len, n->meta);
	note_free(n);
	return end;
}

static void test_verified_and_rebuilt(void **state)
{
	struct desk d;
	struct person recorder, admin, viewer;
	struct footage f;
	unsigned told;
	uint64_t seqs[128];
	desk_start(&d, loops_of(state), NULL);
	footage_start(&f, "gate-2/main", false);
	f.at = d.world.wall;
	int64_t start_us = f.at.us;
	desk_camera(&d, "gate-2");
	person_dial(&recorder, &d, "rec", ROLE_RECORDER);
	person_dial(&admin, &d, "root", ROLE_ADMIN);
	person_dial(&viewer, &d, "chen", ROLE_INVESTIGATOR);
	person_record(&recorder, &f, 10);
	/* verifying runs beside the recording; for a rebuild the recorder has to let go for a while */
	Steppe__Wire__FsckEnd *end = ask_fsck(&admin, f.stream, 3, false, &told);
	assert_non_null(end);
	assert_int_equal(end->findings, 0);
	steppe__wire__fsck_end__free_unpacked(end, NULL);
	end = ask_fsck(&admin, f.stream, 0, true, &told);
	assert_non_null(end);
	assert_int_equal(end->chunks, 1);
	steppe__wire__fsck_end__free_unpacked(end, NULL);
	assert_null(ask_fsck(&admin, "gate-9/main", 1, false, &told));
	person_leave(&recorder);
	sim_run_for(&d.world, 70 * NS_PER_SECOND);
	/* the index is lost, and comes back */
	char name[STORE_NAME_MAX + 1];
	index_partition_name(name, f.stream, wall_day((struct wall){start_us}));
	store_model_put(d.model, STORE_META, name, NULL, 0);
	end = ask_fsck(&admin, f.stream, 0, true, &told);
	assert_non_null(end);
	assert_int_equal(end->chunks, 1);
	steppe__wire__fsck_end__free_unpacked(end, NULL);
	assert_int_equal(take_fragments(&viewer,
				 ask_fetch(&viewer, NULL, f.stream, start_us, f.at.us), seqs, 128),
		10);
	/* a flipped byte is found by looking at every byte */
	struct chunk_id id = {.epoch = 1, .seq = 1};
	size_t len;
	chunk_name(name, f.stream, &id);
	store_model_bytes(d.model, STORE_DATA, name, &len)[3000] ^= 1;
	end = ask_fsck(&admin, f.stream, 3, false, &told);
	assert_non_null(end);
	assert_true(end->findings > 0 && told == end->findings);
	steppe__wire__fsck_end__free_unpacked(end, NULL);
	person_leave(&admin);
	person_leave(&viewer);
	desk_stop(&d);
}

/* Everything is under way when people go, one after the other, at any moment: nothing is left
 * behind and nothing breaks. */
static void test_people_leave_at_any_moment(void **state)
{
	for (unsigned step = 0; step < 60; step++) {
		struct desk d;
		struct person recorder, viewer;
		struct footage f;
		desk_start(&d, loops_of(state), NULL);
		footage_start(&f, "gate-2/main", false);
		f.at = d.world.wall;
		int64_t start_us = f.at.us;
		desk_camera(&d, "gate-2");
		person_dial(&recorder, &d, "rec", ROLE_RECORDER);
		person_dial(&viewer, &d, "chen", ROLE_INVESTIGATOR);
		uint32_t recording = person_record(&recorder, &f, 5);
		Steppe__Wire__Fetch with = STEPPE__WIRE__FETCH__INIT;
		ask_fetch(&viewer, &with, f.stream, start_us, f.at.us);
		with.follow = true;
		ask_fetch(&viewer, &with, f.stream, start_us, 0);
		ask_timeline(&viewer, f.stream, start_us, start_us + 1000);
		Steppe__Wire__Snapshot snapshot = STEPPE__WIRE__SNAPSHOT__INIT;
		snapshot.stream = f.stream;
		snapshot.from_us = start_us;
		snapshot.to_us = start_us + US_PER_DAY;
		person_send(&viewer, FRAME_SNAPSHOT, 0, &snapshot.base, NULL);
		person_append(&recorder, recording, &f);
		for (unsigned i = 0; i < step; i++)
			sim_step(&d.world);
		person_leave(step % 2 ? &viewer : &recorder);
		person_leave(step % 2 ? &recorder : &viewer);
		desk_stop(&d);
	}
}

/* An error of the store that passes is told, and leaves no hole behind that looks like damage. */
static void test_a_store_that_fails_is_no_damage(void **state)
{
	struct desk d;
	struct person recorder, viewer;
	struct footage f;
	uint64_t seqs[128];
	desk_start(&d, loops_of(state), NULL);
	footage_start(&f, "gate-1/main", false);
	f.at = d.world.wall;
	int64_t start_us = f.at.us;
	desk_camera(&d, "gate-1");
	person_dial(&recorder, &d, "rec", ROLE_RECORDER);
	person_dial(&viewer, &d, "chen", ROLE_INVESTIGATOR);
	person_record(&recorder, &f, 10);
	sim_run_for(&d.world, 90 * NS_PER_SECOND); /* the chunk is sealed in silence */
	struct store_model_fault fault = {
		.fate = STORE_MODEL_EIO, .reads = true, .prefix = "chk/", .times = 1};
	store_model_plan(d.model, &fault);
	person_expect_refusal(
		&viewer, ask_fetch(&viewer, NULL, f.stream, start_us, f.at.us), REFUSAL_STORE);
	assert_int_equal(take_fragments(&viewer,
				 ask_fetch(&viewer, NULL, f.stream, start_us, f.at.us), seqs, 128),
		10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(seqs[i], i + 1);
	person_leave(&recorder);
	person_leave(&viewer);
	desk_stop(&d);
}

/* The daemon stops while a fetch, whose viewer has gone, still waits for the store: the reader ends
 * before that read does. */
static void test_a_slow_read_outlasts_the_reader(void **state)
{
	struct desk d;
	struct person recorder, viewer;
	struct footage f;
	desk_start(&d, loops_of(state), NULL);
	footage_start(&f, "gate-1/main", false);
	f.at = d.world.wall;
	int64_t start_us = f.at.us;
	desk_camera(&d, "gate-1");
	person_dial(&recorder, &d, "rec", ROLE_RECORDER);
	person_dial(&viewer, &d, "chen", ROLE_INVESTIGATOR);
	person_record(&recorder, &f, 10);
	person_leave(&recorder);
	sim_run_for(&d.world, 90 * NS_PER_SECOND);
	/* what follows the table's two reads */
	struct store_model_fault fault = {
		.fate = STORE_MODEL_STUCK, .reads = true, .prefix = "chk/", .skip = 2, .times = 1};
	store_model_plan(d.model, &fault);
	(void)ask_fetch(&viewer, NULL, f.stream, start_us, f.at.us); /* no answer is waited for */
	sim_run_for(&d.world, NS_PER_SECOND);
	person_leave(&viewer);
	d.stuck = true;
	desk_stop(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_a_snapshot_and_its_bytes),
		BOTH(test_the_live_edge_is_followed),
		BOTH(test_following_from_now),
		BOTH(test_credit_holds_a_fetch_back),
		BOTH(test_damage_is_told_and_the_rest_comes),
		BOTH(test_verified_and_rebuilt),
		BOTH(test_people_leave_at_any_moment),
		BOTH(test_a_store_that_fails_is_no_damage),
		BOTH(test_a_slow_read_outlasts_the_reader),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
