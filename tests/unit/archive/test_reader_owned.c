/* SPDX-License-Identifier: Apache-2.0 */
/* Views of streams of our own, and views when things fail. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/archive/attrs.h"
#include "tests/lib/alloc_fail.h"
#include "tests/unit/archive/fake_writer.h"
#include "tests/unit/archive/reading.h"

/* --- streams of our own --- */

static void show(struct writer *w, const struct footage_chunk *c, uint32_t durable)
{
	static struct buf init;
	init = (struct buf){.len = c->init_len, .data = c->bytes, .refs = 100};
	const struct table_fragment *next =
		durable < c->table.fragment_count ? &c->table.fragments[durable] : NULL;
	w->chunks[w->count++] = (struct writer_open_chunk){
		.id = c->header.id,
		.durable_len = next ? next->offset - CHUNK_FRAG_BOX : c->len,
		.durable_fragments = durable,
		.table = &c->table,
		.init = &init,
		.head_len = (uint32_t)c->head_len,
		.day = wall_day(c->start),
	};
}

static void what_the_writer_has_is_shown(void **state)
{
	struct reading *x = *state;
	struct writer w = {.epoch = 3};
	struct footage_chunk c;
	int status;
	reading_record(x);
	footage_chunk_begin(&c, &x->f, 3, 4);
	for (int i = 0; i < 5; i++)
		footage_chunk_add(&c, &x->f, GAP_NONE);
	show(&w, &c, 3);
	w.open_gap = (struct gap){{FOOTAGE_START_US + 60 * S}, {0}, GAP_NETWORK};
	(void)footage_store_cost(&x->s);
	struct view *v = reading_ask(x, 0, 3600, &w, &status);
	assert_int_equal(status, 0);
	assert_string_equal(reading_words(v), "0-20 40-53 20-40c 60-3600n");
	assert_int_equal(v->chunks[3].table->fragment_count, 3); /* durable ones alone */
	assert_int_equal(v->chunks[3].table->tracks[0].sample_count, 30);
	view_free(&v);
	struct footage_cost cost = footage_store_cost(&x->s);
	assert_int_equal(cost.meta_reads, 2);
	assert_int_equal(cost.data_reads, 0);
	/* the same chunk by index and by memory is one */
	footage_chunk_seal(&c, CHUNK_END_FULL, NULL);
	footage_store_record(&x->s, &c.record);
	w.count = 0;
	show(&w, &c, 3);
	v = reading_ask(x, 0, 3600, &w, &status);
	assert_int_equal(v->chunk_count, 4);
	assert_false(v->chunks[3].open);
	view_free(&v);
	/* nothing durable yet */
	w.chunks[0].durable_fragments = 0;
	v = reading_ask(x, 0, 3600, &w, &status);
	assert_int_equal(status, 0);
	view_free(&v);
	footage_chunk_fini(&c);
}

static void an_owner_that_lost_the_stream_says_nothing(void **state)
{
	struct reading *x = *state;
	struct writer w = {.epoch = 2};
	int status;
	reading_record(x);
	struct view *v = reading_ask(x, 0, 3600, &w, &status);
	assert_int_equal(status, ERR_FENCED);
	assert_null(v);
	char name[STORE_NAME_MAX + 1];
	head_name(name, STREAM);
	store_model_put(x->s.model, STORE_META, name, NULL, 0);
	w.epoch = 3;
	v = reading_ask(x, 0, 3600, &w, &status);
	assert_int_equal(status, ERR_FENCED);
}

/* A read that began before a question came does not answer it; all that came meanwhile share the
 * next. */
static void questions_share_reads_of_the_head(void **state)
{
	struct reading *x = *state;
	struct writer w = {.epoch = 3};
	struct reading_question q[10] = {0};
	reading_record(x);
	(void)footage_store_cost(&x->s);
	for (int i = 0; i < 10; i++) {
		q[i].req.done = reading_on_view;
		reader_view(x->reader, &q[i].req, STREAM, (struct wall){FOOTAGE_START_US},
			(struct wall){FOOTAGE_START_US + 60 * S}, &w);
	}
	for (int i = 0; i < 10; i++)
		footage_store_wait(&x->s, &q[i].told);
	assert_int_equal(footage_store_cost(&x->s).meta_reads, 2 + 10);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(q[i].req.status, 0);
		view_free(&q[i].req.view);
	}
	/* fenced between the two reads: the first is served, the others are not */
	memset(q, 0, sizeof(q));
	for (int i = 0; i < 3; i++) {
		q[i].req.done = reading_on_view;
		reader_view(x->reader, &q[i].req, STREAM, (struct wall){FOOTAGE_START_US},
			(struct wall){FOOTAGE_START_US + 60 * S}, &w);
	}
	footage_store_wait(&x->s, &q[0].told);
	for (int i = 0; i < 3; i++) {
		footage_store_wait(&x->s, &q[i].told);
		view_free(&q[i].req.view);
	}
}

/* --- when things fail --- */

/* All that a view can touch: a long window with a days object, several partitions, intents. */
static void record_much(struct reading *x)
{
	struct footage_chunk c;
	int32_t today = wall_day((struct wall){FOOTAGE_START_US});
	reading_record(x);
	footage_store_days(&x->s, (const int32_t[]){today - 5, today - 4, today}, 3);
	for (uint32_t seq = 4; seq <= 5; seq++) {
		footage_chunk_begin(&c, &x->f, 3, seq);
		footage_chunk_add(&c, &x->f, GAP_NONE);
		footage_store_object(&x->s, &c);
		footage_chunk_fini(&c);
	}
}

static void each_read_may_fail(void **state)
{
	struct reading *x = *state;
	int status, k = 0, failures = 0;
	record_much(x);
	for (bool hit = true; hit; k++) {
		struct store_model_fault fault = {
			.fate = STORE_MODEL_EIO, .reads = true, .skip = (unsigned)k, .times = 1};
		store_model_plan(x->s.model, &fault);
		struct view *v = reading_ask(x, -300 * 86400, 86400, NULL, &status);
		hit = fault.times == 0 || !fault.planned;
		store_model_withdraw(&fault);
		assert_true(status == 0 || status == -EIO);
		failures += status == -EIO;
		if (status == 0)
			assert_string_equal(reading_words(v), "0-20 40-52 20-40c");
		view_free(&v);
		assert_true(k < 100);
	}
	assert_int_equal(failures, 1 + 1 + 3 + 4);
}

static void memory_may_fail(void **state)
{
	struct reading *x = *state;
	static const enum alloc_fail_mode modes[] = {ALLOC_FAIL_ONCE, ALLOC_FAIL_ON};
	record_much(x);
	for (int m = 0; m < 2; m++) {
		bool failed = true;
		for (unsigned k = 0; failed; k++) {
			struct reading_question q = {.req.done = reading_on_view};
			alloc_fail_after(k, modes[m]);
			reader_view(x->reader, &q.req, STREAM,
				(struct wall){FOOTAGE_START_US - 300 * US_PER_DAY},
				(struct wall){FOOTAGE_START_US + US_PER_DAY}, NULL);
			assert_false(q.told);
			footage_store_wait(&x->s, &q.told);
			failed = alloc_fail_stop();
			if (q.req.status == 0)
				assert_string_equal(reading_words(q.req.view), "0-20 40-52 20-40c");
			view_free(&q.req.view);
			reading_close(x);
			reading_open(x);
		}
	}
}

/* Closed after each number of events: every request is told, none after the end. */
static void closed_at_any_moment(void **state)
{
	struct reading *x = *state;
	record_much(x);
	for (int events = 0; events < 60; events++) {
		struct reading_question q[2] = {
			{.req.done = reading_on_view}, {.req.done = reading_on_view}};
		struct reading_days_question d = {.req.done = reading_on_days};
		for (int i = 0; i < 2; i++)
			reader_view(x->reader, &q[i].req, STREAM,
				(struct wall){FOOTAGE_START_US - 300 * US_PER_DAY},
				(struct wall){FOOTAGE_START_US + US_PER_DAY}, NULL);
		reader_days(x->reader, &d.req, STREAM);
		for (int i = 0; i < events; i++)
			sim_step(&x->s.world);
		reading_close(x);
		assert_true(q[0].told && q[1].told && d.told);
		for (int i = 0; i < 2; i++) {
			assert_true(q[i].req.status == 0 || q[i].req.status == -ECANCELED);
			view_free(&q[i].req.view);
		}
		index_days_fini(&d.req.days);
		reading_open(x);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, reading_setup, reading_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_the_writer_has_is_shown),
		TEST(an_owner_that_lost_the_stream_says_nothing),
		TEST(questions_share_reads_of_the_head),
		TEST(each_read_may_fail),
		TEST(memory_may_fail),
		TEST(closed_at_any_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
