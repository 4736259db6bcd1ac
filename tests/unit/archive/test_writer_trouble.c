/* SPDX-License-Identifier: Apache-2.0 */
/* A writer whose store is in trouble or that is fenced, and what those who watch it are told. */
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
		cmocka_unit_test(test_full_store_refuses_loudly_and_goes_on),
		cmocka_unit_test(test_errors_of_the_store_are_told),
		cmocka_unit_test(test_head_and_index_in_trouble),
		cmocka_unit_test(test_followers_see_what_is_durable),
		cmocka_unit_test(test_a_fenced_writer_tells_everybody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
