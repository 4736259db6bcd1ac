/* SPDX-License-Identifier: Apache-2.0 */
/* What a writer puts where, in which order, and what it costs. */
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
	assert_int_equal(scene_append(s.recorder, &f, 0), -REFUSAL_NO_SYNC);
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
