/* SPDX-License-Identifier: Apache-2.0 */
/* What a writer puts where, in which order, and what it costs; what each kind of input gets. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "proto/refusal.h"
#include "tests/unit/archive/oracle.h"

#define STREAM "gate-7/main"

/* --- helpers --- */

struct scene {
	struct rig rig;
	struct rig_node *node;
	struct recorder *recorder;
	struct oracle found;
};

static void scene_start(struct scene *s, const struct store_model_options *options)
{
	*s = (struct scene){0};
	rig_start(&s->rig, 1, options);
	s->node = rig_node_start(&s->rig);
	s->recorder = rig_recorder(&s->rig, STREAM, LANE_LIVE, 0x51);
}

static void scene_go(struct scene *s)
{
	recorder_go(s->recorder, s->node);
	assert_true(recorder_wait_open(s->recorder, 10 * NS_PER_SECOND));
}

/* The recorders stop, everything becomes durable, the daemon ends; what is there then is in
 * s->found. */
static void scene_rest(struct scene *s)
{
	for (unsigned i = 0; i < s->rig.recorder_count; i++) {
		s->rig.recorders[i].running = false;
		assert_true(recorder_drain(&s->rig.recorders[i], 60 * NS_PER_SECOND));
	}
	rig_node_stop(s->node);
	oracle_demand_rest(&s->rig, STREAM);
	oracle_fini(&s->found);
	assert_true(oracle_read(&s->found, &s->rig, STREAM));
}

static void scene_end(struct scene *s)
{
	oracle_fini(&s->found);
	rig_end(&s->rig);
}

static struct writer_session *session_of(struct recorder *r)
{
	assert_true(r->connection && r->connection->open);
	return &r->connection->session;
}

/* Hands one fragment made outside of the recorder to its session. */
static int append(struct recorder *r, struct footage *f, uint16_t flags)
{
	struct fragment_header h;
	f->flags |= flags;
	struct buf *body = footage_fragment(f, &h);
	struct slice slice = {.buf = body, .data = body->data, .len = body->len};
	int rc = writer_append(session_of(r), &h, &slice, h.capture);
	slice_drop(&slice);
	return rc;
}

/* --- good times --- */

static void test_records_and_rests(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	scene_go(&s);
	rig_run_s(&s.rig, 60);
	assert_true(s.recorder->acked >= 57);
	oracle_demand(&s.rig, STREAM);
	scene_rest(&s);
	assert_true(s.found.chunk_count >= 6);
	assert_int_equal(s.found.epoch, 1);
	scene_end(&s);
}

/* In a long run: the seal, the index record and one head write; creation rides on the first batch. */
static void test_three_writes_a_chunk(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	scene_go(&s);
	rig_run_s(&s.rig, 30); /* past the first day's creation */
	struct store_counters meta = *store_counters(s.node->store, STORE_META);
	struct store_counters data = *store_counters(s.node->store, STORE_DATA);
	assert_true(oracle_read(&s.found, &s.rig, STREAM));
	size_t before = s.found.chunk_count;
	oracle_fini(&s.found);
	rig_run_s(&s.rig, 600);
	assert_true(oracle_read(&s.found, &s.rig, STREAM));
	uint64_t chunks = s.found.chunk_count - before;
	const struct store_counters *m = store_counters(s.node->store, STORE_META);
	const struct store_counters *d = store_counters(s.node->store, STORE_DATA);
	assert_true(chunks > 80);
	assert_int_equal(m->writes - meta.writes, 2 * chunks);    /* head, index */
	assert_true(d->writes - data.writes <= chunks + 600 + 1); /* seals, a batch a second */
	assert_int_equal(m->reads - meta.reads, 0);               /* nobody else may write here */
	assert_int_equal(d->reads - data.reads, 0);
	assert_int_equal(m->lists + d->lists, 0);
	scene_rest(&s);
	scene_end(&s);
}

/* What comes while a batch is on its way goes out together, in batches of at most four times the
 * size at which one is due. */
static void test_a_busy_store_gets_larger_batches(void **state)
{
	(void)state;
	enum { FRAGMENTS = 96 };
	struct scene s = {0};
	rig_start(&s.rig, 1, NULL);
	s.rig.limits.min_us = s.rig.limits.max_us = 600 * US_PER_SECOND;
	s.rig.limits.max_bytes = 16u << 20;
	s.node = rig_node_start(&s.rig);
	s.recorder = rig_recorder(&s.rig, STREAM, LANE_LIVE, 0x51);
	s.recorder->window = 64u << 20;
	s.recorder->footage.picture_bytes = 1000;
	scene_go(&s);
	s.recorder->running = false;
	assert_true(recorder_drain(s.recorder, 10 * NS_PER_SECOND));
	struct store_counters before = *store_counters(s.node->store, STORE_DATA);
	store_model_stall(s.rig.model, NULL, true);
	for (unsigned i = 0; i < FRAGMENTS; i++)
		recorder_make(s.recorder);
	rig_run_s(&s.rig, 3);
	store_model_stall(s.rig.model, NULL, false);
	assert_true(recorder_drain(s.recorder, 10 * NS_PER_SECOND));
	const struct store_counters *after = store_counters(s.node->store, STORE_DATA);
	uint64_t writes = after->writes - before.writes,
		 bytes = after->bytes_written - before.bytes_written,
		 most = BATCH_GATHER * (uint64_t)s.rig.limits.batch_bytes;
	assert_true(bytes > 3 * most);
	/* the first went out with what there was; each of the others lacks less than a fragment */
	assert_true((writes - 1) * (most - 2 * bytes / FRAGMENTS) <= bytes);
	assert_true(writes * (most + 4096) >= bytes);
	scene_rest(&s);
	scene_end(&s);
}

static void test_batches_end_on_the_alignment(void **state)
{
	(void)state;
	struct store_model_options options = {0};
	options.pools[STORE_DATA] =
		(struct store_model_pool){.alignment = 8192, .erasure_coded = true};
	struct scene s;
	scene_start(&s, &options);
	s.recorder->footage.picture_bytes = 2000;
	scene_go(&s);
	struct store_counters before = *store_counters(s.node->store, STORE_DATA);
	rig_run_s(&s.rig, 100);
	/* a batch fills sixteen alignments, or waits ten seconds */
	const struct store_counters *after = store_counters(s.node->store, STORE_DATA);
	uint64_t writes = after->writes - before.writes,
		 bytes = after->bytes_written - before.bytes_written;
	assert_true(bytes / writes > 16 * 8192 / 3);
	scene_rest(&s);
	for (size_t i = 0; i < s.found.chunk_count; i++)
		assert_int_equal(s.found.chunks[i].record.seal_offset % 8192, 0);
	scene_end(&s);
}

static void test_slow_stream_on_an_erasure_coded_pool(void **state)
{
	(void)state;
	struct store_model_options options = {0};
	options.pools[STORE_DATA] =
		(struct store_model_pool){.alignment = 32768, .erasure_coded = true};
	struct scene s;
	scene_start(&s, &options);
	s.rig.limits.min_us = 60 * US_PER_SECOND;
	s.recorder->footage.picture_bytes = 20;
	scene_go(&s);
	rig_run_s(&s.rig, 60);
	/* acknowledged all the same, ten seconds late at most and a bit */
	assert_true(s.recorder->acked + 13 >= s.recorder->made);
	scene_rest(&s);
	scene_end(&s);
}

static void test_shared_bodies(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	s.recorder->share = true;
	scene_go(&s);
	rig_run_s(&s.rig, 30);
	for (size_t i = s.recorder->kept; i <= s.recorder->made; i++)
		assert_int_equal(fragment_check_crc(&s.recorder->headers[i - 1],
					 s.recorder->bodies[i - 1]->data),
			0);
	scene_rest(&s);
	scene_end(&s);
}

static void test_memory_is_tables_and_what_is_not_durable(void **state)
{
	(void)state;
	struct scene s;
	struct writer_stats stats;
	scene_start(&s, NULL);
	s.recorder->footage.picture_bytes = 8000;
	scene_go(&s);
	rig_run_s(&s.rig, 29);
	writer_stats(recorder_writer(s.recorder), &stats);
	assert_true(stats.recording && stats.epoch == 1);
	assert_true(stats.bytes > 2000000 && stats.fragments >= 27);
	/* two chunks' worth of machinery and a second of footage */
	assert_true(stats.memory_bytes < 300000);
	scene_rest(&s);
	scene_end(&s);
}

static void test_many_streams_do_not_write_in_step(void **state)
{
	(void)state;
	struct rig rig;
	rig_start(&rig, 1, NULL);
	struct rig_node *n = rig_node_start(&rig);
	static const char *const names[] = {
		"a/main", "b/main", "c/main", "d/main", "e/main", "f/main"};
	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		recorder_go(rig_recorder(&rig, names[i], LANE_LIVE, 0x60 + i), n);
	rig_run_s(&rig, 20);
	/* all make their fragments in the same instants; their writes go out in many */
	uint64_t most = 0;
	for (int i = 0; i < 400; i++) {
		uint64_t before = store_counters(n->store, STORE_DATA)->writes;
		sim_run_for(&rig.world, 50 * NS_PER_MS);
		uint64_t now = store_counters(n->store, STORE_DATA)->writes - before;
		most = now > most ? now : most;
	}
	assert_true(most < 2 * ARRAY_LEN(names));
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		rig.recorders[i].running = false;
		assert_true(recorder_drain(&rig.recorders[i], 60 * NS_PER_SECOND));
	}
	rig_node_stop(n);
	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		oracle_demand_rest(&rig, names[i]);
	rig_end(&rig);
}

/* --- where chunks end --- */

static void test_codec_change_ends_the_chunk(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	scene_go(&s);
	rig_run_s(&s.rig, 8);
	if (s.recorder->made % 2)
		recorder_make(s.recorder); /* the next one begins with a sync */
	s.recorder->footage.audio = true;
	recorder_change_init(s.recorder);
	rig_run_s(&s.rig, 8);
	scene_rest(&s);
	bool codec = false;
	for (size_t i = 0; i + 1 < s.found.chunk_count; i++)
		if (s.found.chunks[i].record.init_crc != s.found.chunks[i + 1].record.init_crc) {
			assert_int_equal(s.found.chunks[i].record.end_reason, CHUNK_END_CODEC);
			codec = true;
		}
	assert_true(codec);
	scene_end(&s);
}

static void test_codec_change_needs_a_sync(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	scene_go(&s);
	rig_run_s(&s.rig, 8);
	if (!(s.recorder->made % 2))
		recorder_make(s.recorder); /* the next one does not */
	struct footage f = s.recorder->footage;
	f.audio = true;
	struct buf *init = footage_init(&f);
	assert_int_equal(writer_init(session_of(s.recorder), init), 0);
	assert_int_equal(append(s.recorder, &f, 0), -REFUSAL_NO_SYNC);
	buf_unref(&init);
	recorder_hang_up(s.recorder, false);
	rig_run_s(&s.rig, 5);
	scene_rest(&s);
	scene_end(&s);
}

static void test_silence_seals(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	s.rig.limits.min_us = 600 * US_PER_SECOND;
	scene_go(&s);
	rig_run_s(&s.rig, 8);
	s.recorder->idle_s = 30;
	rig_run_s(&s.rig, 30);
	oracle_demand_rest(&s.rig, STREAM); /* sealed, indexed, and nothing left in the head */
	assert_true(oracle_read(&s.found, &s.rig, STREAM));
	assert_int_equal(
		s.found.chunks[s.found.chunk_count - 1].record.end_reason, CHUNK_END_SILENCE);
	rig_run_s(&s.rig, 5);
	scene_rest(&s);
	scene_end(&s);
}

static void test_reopened_camera_goes_on_in_its_chunk(void **state)
{
	(void)state;
	struct scene s;
	struct cutter_limits long_chunks = rig_limits;
	long_chunks.min_us = 600 * US_PER_SECOND;
	long_chunks.max_us = 900 * US_PER_SECOND;
	long_chunks.min_bytes = 16u << 20;
	scene_start(&s, NULL);
	rig_node_stop(s.node);
	s.rig.limits = long_chunks;
	s.node = rig_node_start(&s.rig);
	scene_go(&s);
	for (int i = 0; i < 6; i++) {
		rig_run_s(&s.rig, 3);
		recorder_hang_up(s.recorder, false);
		s.recorder->footage.at.us += 5 * US_PER_SECOND;
		s.recorder->footage.flags |= FRAGMENT_DISCONTINUITY;
		rig_run_s(&s.rig, 2);
	}
	scene_rest(&s);
	/* five gaps do not fit into one record; reconnecting alone ends nothing */
	assert_true(s.found.chunk_count <= 2);
	scene_end(&s);
}

static void test_clock_that_steps_back_is_flagged_not_refused(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	scene_go(&s);
	rig_run_s(&s.rig, 7);
	s.recorder->footage.at.us -= 5 * US_PER_SECOND;
	s.recorder->footage.flags |= FRAGMENT_CLOCK_BACK;
	rig_run_s(&s.rig, 10);
	scene_rest(&s);
	unsigned back = 0, overlap = 0;
	for (size_t i = 0; i < s.found.chunk_count; i++) {
		back += !!(s.found.chunks[i].record.flags & INDEX_CLOCK_BACK);
		overlap += !!(s.found.chunks[i].record.flags & INDEX_OVERLAP);
	}
	assert_true(back && overlap);
	scene_end(&s);
}

static void test_midnight(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	int64_t midnight = (s.recorder->footage.at.us / US_PER_DAY + 1) * US_PER_DAY;
	s.recorder->footage.at.us = midnight - 13 * US_PER_SECOND - US_PER_SECOND / 2;
	scene_go(&s);
	rig_run_s(&s.rig, 30);
	scene_rest(&s);
	int32_t day = wall_day((struct wall){midnight});
	unsigned before = 0, after = 0, over = 0;
	for (size_t i = 0; i < s.found.chunk_count; i++) {
		const struct index_record *r = &s.found.chunks[i].record;
		before += wall_day(r->start) == day - 1;
		after += wall_day(r->start) == day;
		over += r->start.us < midnight && r->end.us > midnight;
	}
	assert_true(before && after);
	assert_int_equal(over, 1); /* it belongs to the day of its start */
	scene_end(&s);
}

static void test_days_are_counted(void **state)
{
	(void)state;
	struct scene s;
	char name[STORE_NAME_MAX + 1];
	struct index_days days;
	size_t len;
	scene_start(&s, NULL);
	scene_go(&s);
	rig_run_s(&s.rig, 1000); /* a quarter-hour and more */
	index_days_name(name, STREAM);
	const uint8_t *bytes = store_model_bytes(s.rig.model, STORE_META, name, &len);
	assert_int_equal(index_days_decode(bytes, len, &days), 0);
	assert_int_equal(days.count, 1);
	unsigned seconds = 0;
	for (unsigned i = 0; i < 96; i++)
		seconds += days.days[0].seconds[i];
	assert_true(seconds > 700 && seconds < 1001);
	index_days_fini(&days);
	scene_rest(&s);
	scene_end(&s);
}

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
	assert_int_equal(append(s.recorder, &f, 0), -REFUSAL_SEQUENCE);
	f.seq = s.recorder->footage.seq - 1; /* the last one again */
	assert_int_equal(append(s.recorder, &f, 0), 0);
	assert_int_equal(session->received, s.recorder->footage.seq);
	f = s.recorder->footage;
	f.session++;
	assert_int_equal(append(s.recorder, &f, 0), -REFUSAL_PROTOCOL);
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

/* --- a store in trouble --- */

static void test_full_store_refuses_loudly_and_goes_on(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	scene_go(&s);
	rig_run_s(&s.rig, 10);
	store_model_options(s.rig.model)->pools[STORE_DATA].capacity_bytes = 1;
	rig_run_s(&s.rig, 30);
	assert_int_equal(s.recorder->refused, REFUSAL_FULL);
	uint64_t acked = s.recorder->acked;
	oracle_demand(&s.rig, STREAM);
	store_model_options(s.rig.model)->pools[STORE_DATA].capacity_bytes = 0;
	rig_run_s(&s.rig, 30);
	assert_true(s.recorder->acked > acked + 30);
	scene_rest(&s);
	scene_end(&s);
}

static void test_errors_of_the_store_are_told(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	scene_go(&s);
	rig_run_s(&s.rig, 10);
	struct store_model_fault fault = {.fate = STORE_MODEL_EIO, .prefix = "chk/", .times = 10};
	store_model_plan(s.rig.model, &fault);
	rig_run_s(&s.rig, 60);
	assert_int_equal(s.recorder->refused, REFUSAL_STORE);
	scene_rest(&s);
	scene_end(&s);
}

static void test_head_and_index_in_trouble(void **state)
{
	(void)state;
	static const char *const prefixes[] = {"head/", "idx/"};
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		struct scene s;
		scene_start(&s, NULL);
		scene_go(&s);
		rig_run_s(&s.rig, 10);
		struct store_model_fault fault = {
			.fate = STORE_MODEL_EIO, .prefix = prefixes[i], .times = 1000};
		store_model_plan(s.rig.model, &fault);
		rig_run_s(&s.rig, 200);
		assert_int_equal(s.recorder->refused, REFUSAL_STORE);
		oracle_demand(&s.rig, STREAM);
		store_model_withdraw(&fault);
		rig_run_s(&s.rig, 30);
		scene_rest(&s);
		scene_end(&s);
	}
}

/* --- what readers see --- */

static struct {
	struct writer_watch watch;
	unsigned changed, gone;
	uint64_t seen;
	struct writer *writer;
} viewer;

static void on_changed(struct writer_watch *watch)
{
	struct writer_open_chunk chunks[HEAD_INTENTS_MAX];
	(void)watch;
	viewer.changed++;
	size_t count = writer_open_chunks(viewer.writer, chunks);
	for (size_t i = 0; i < count; i++)
		if (chunks[i].durable_fragments)
			viewer.seen =
				chunks[i].table->fragments[chunks[i].durable_fragments - 1].seq;
}

static void on_gone(struct writer_watch *watch)
{
	(void)watch;
	viewer.gone++;
}

static void test_followers_see_what_is_durable(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	scene_go(&s);
	memset(&viewer, 0, sizeof(viewer));
	viewer.watch.changed = on_changed;
	viewer.watch.gone = on_gone;
	viewer.writer = recorder_writer(s.recorder);
	writer_watch_start(viewer.writer, &viewer.watch);
	rig_run_s(&s.rig, 20);
	assert_true(viewer.changed >= 15);
	assert_true(viewer.seen >= 18 && viewer.seen <= s.recorder->acked);
	assert_int_equal(viewer.gone, 0);
	scene_rest(&s);
	assert_int_equal(viewer.gone, 1);
	scene_end(&s);
}

static void test_a_fenced_writer_tells_everybody(void **state)
{
	(void)state;
	struct scene s;
	scene_start(&s, NULL);
	scene_go(&s);
	memset(&viewer, 0, sizeof(viewer));
	viewer.watch.changed = on_changed;
	viewer.watch.gone = on_gone;
	viewer.writer = recorder_writer(s.recorder);
	writer_watch_start(viewer.writer, &viewer.watch);
	rig_run_s(&s.rig, 5);
	struct rig_node *other = rig_node_start(&s.rig);
	struct recorder *thief = rig_recorder(&s.rig, STREAM, LANE_BACKFILL, 0x52);
	recorder_go(thief, other);
	rig_run_s(&s.rig, 3);
	assert_int_equal(s.recorder->refused, REFUSAL_NOT_OWNER);
	assert_int_equal(viewer.gone, 1);
	recorder_hang_up(s.recorder, false);
	s.recorder->home = other;
	rig_run_s(&s.rig, 10);
	rig_node_stop(s.node);
	s.node = other;
	scene_rest(&s);
	assert_true(s.found.epoch >= 2);
	scene_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_and_rests),
		cmocka_unit_test(test_three_writes_a_chunk),
		cmocka_unit_test(test_a_busy_store_gets_larger_batches),
		cmocka_unit_test(test_batches_end_on_the_alignment),
		cmocka_unit_test(test_slow_stream_on_an_erasure_coded_pool),
		cmocka_unit_test(test_shared_bodies),
		cmocka_unit_test(test_memory_is_tables_and_what_is_not_durable),
		cmocka_unit_test(test_many_streams_do_not_write_in_step),
		cmocka_unit_test(test_codec_change_ends_the_chunk),
		cmocka_unit_test(test_codec_change_needs_a_sync),
		cmocka_unit_test(test_silence_seals),
		cmocka_unit_test(test_reopened_camera_goes_on_in_its_chunk),
		cmocka_unit_test(test_clock_that_steps_back_is_flagged_not_refused),
		cmocka_unit_test(test_midnight),
		cmocka_unit_test(test_days_are_counted),
		cmocka_unit_test(test_three_lanes_at_once),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_first_fragment_must_be_a_sync),
		cmocka_unit_test(test_bad_media_and_times),
		cmocka_unit_test(test_the_later_session_supersedes),
		cmocka_unit_test(test_sessions_are_few),
		cmocka_unit_test(test_sessions_are_forgotten_late),
		cmocka_unit_test(test_reported_gap_before_a_chunk),
		cmocka_unit_test(test_gap_inside_a_chunk_keeps_its_cause),
		cmocka_unit_test(test_full_store_refuses_loudly_and_goes_on),
		cmocka_unit_test(test_errors_of_the_store_are_told),
		cmocka_unit_test(test_head_and_index_in_trouble),
		cmocka_unit_test(test_followers_see_what_is_durable),
		cmocka_unit_test(test_a_fenced_writer_tells_everybody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
