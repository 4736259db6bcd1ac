/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/reader.h"

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
#include "storaged/archive/attrs.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/footage_store.h"
#include "tests/unit/archive/fake_writer.h"

#define S      US_PER_SECOND
#define STREAM "gate-7/main"

struct fixture {
	struct footage_store s;
	struct footage f;
	struct reader *reader;
	struct loop_task closed;
	bool is_closed;
};

static void on_closed(struct loop_task *task)
{
	container_of(task, struct fixture, closed)->is_closed = true;
}

static void open_reader(struct fixture *x)
{
	const struct reader_config config = {.loop = &x->s.loop.loop, .store = x->s.store};
	assert_int_equal(reader_new(&config, &x->reader), 0);
}

static void close_reader(struct fixture *x)
{
	x->closed.run = on_closed;
	x->is_closed = false;
	reader_free(&x->reader, &x->closed);
	footage_store_wait(&x->s, &x->is_closed);
}

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	footage_store_open(&x->s, STREAM);
	footage_start(&x->f, STREAM, true);
	open_reader(x);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;
	close_reader(x);
	footage_store_close(&x->s);
	free(x);
	return 0;
}

/* --- asking ------------------------------------------------------------------------------------
 */

struct question {
	struct reader_view req;
	bool told;
};

static void on_view(struct reader_view *req)
{
	struct question *q = container_of(req, struct question, req);
	assert_false(q->told);
	assert_true((req->status == 0) == (req->view != NULL));
	q->told = true;
}

static struct view *ask(
	struct fixture *x, int64_t from_s, int64_t to_s, struct writer *writer, int *ret_status)
{
	struct question q = {.req.done = on_view};
	reader_view(x->reader, &q.req, STREAM, (struct wall){FOOTAGE_START_US + from_s * S},
		(struct wall){FOOTAGE_START_US + to_s * S}, writer);
	assert_false(q.told);
	footage_store_wait(&x->s, &q.told);
	*ret_status = q.req.status;
	return q.req.view;
}

/* A view in words: spans "0-60" and gaps "60-80c", seconds after the start. */
static const char *words(const struct view *v)
{
	static char text[2000];
	static const char letter[GAP_CAUSES] = "-ucnrftxd";
	struct view_span *spans = NULL;
	size_t count = 0;
	text[0] = 0;
	assert_int_equal(view_spans(v, &spans, &count), 0);
	for (size_t i = 0; i < count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%g-%g ",
			(double)(spans[i].start.us - FOOTAGE_START_US) / 1e6,
			(double)(spans[i].end.us - FOOTAGE_START_US) / 1e6);
	for (size_t i = 0; i < v->gap_count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%g-%g%c ",
			(double)(v->gaps[i].from.us - FOOTAGE_START_US) / 1e6,
			(double)(v->gaps[i].to.us - FOOTAGE_START_US) / 1e6,
			letter[v->gaps[i].cause]);
	if (text[0])
		text[strlen(text) - 1] = 0;
	free(spans);
	return text;
}

static void expect(struct fixture *x, int64_t from_s, int64_t to_s, const char *want)
{
	int status;
	struct view *v = ask(x, from_s, to_s, NULL, &status);
	assert_int_equal(status, 0);
	assert_string_equal(words(v), want);
	view_free(&v);
}

/* Three chunks of ten fragments, 20 s apart before the third, for a reason the third gives. */
static void record_three(struct fixture *x)
{
	struct footage_chunk c;
	for (uint32_t seq = 1; seq <= 3; seq++) {
		struct gap gap = {{x->f.at.us}, {0}, seq == 3 ? GAP_CAMERA_OFF : GAP_NONE};
		if (seq == 3)
			x->f.at.us += 20 * S;
		footage_chunk_begin(&c, &x->f, 3, seq);
		c.header.gap_before = gap;
		for (int i = 0; i < 10; i++)
			footage_chunk_add(&c, &x->f, GAP_NONE);
		footage_chunk_seal(&c, CHUNK_END_FULL, NULL);
		footage_store_chunk(&x->s, &c);
		footage_chunk_fini(&c);
	}
	footage_store_head(&x->s);
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void a_stream_that_never_was(void **state)
{
	struct fixture *x = *state;
	int status;
	struct view *v = ask(x, 0, 60, NULL, &status);
	assert_int_equal(status, 0);
	assert_false(v->exists);
	assert_int_equal(v->chunk_count, 0);
	view_free(&v);
	struct question q = {.req.done = on_view};
	reader_view(x->reader, &q.req, STREAM, (struct wall){5}, (struct wall){5}, NULL);
	footage_store_wait(&x->s, &q.told);
	assert_int_equal(q.req.status, -EINVAL);
}

static void sealed_chunks(void **state)
{
	struct fixture *x = *state;
	int status;
	record_three(x);
	struct view *v = ask(x, 0, 3600, NULL, &status);
	assert_int_equal(status, 0);
	assert_true(v->exists);
	assert_string_equal(words(v), "0-20 40-50 20-40c");
	assert_int_equal(v->chunk_count, 3);
	assert_int_equal(v->chunks[1].record.chunk.seq, 2);
	struct view_span *spans;
	size_t count;
	assert_int_equal(view_spans(v, &spans, &count), 0);
	assert_int_equal(spans[0].fragments, 20);
	assert_int_equal(spans[0].bytes, v->chunks[0].record.bytes + v->chunks[1].record.bytes);
	assert_int_equal(spans[1].fragments, 10);
	free(spans);
	view_free(&v);
	expect(x, 5, 12, "5-12");
	expect(x, 25, 30, "25-30c"); /* in the middle of a hole, by what comes after it */
	expect(x, 45, 100, "45-50");
	v = ask(x, 10, 20, NULL, &status);
	assert_int_equal(
		v->chunk_count, 1); /* a chunk that ends where the window begins is not in it */
	view_free(&v);
}

/* The head and one read of its partition; nothing is listed, nothing is written. A second look
 * reads no bodies of partitions. */
static void a_days_timeline_costs_two_reads(void **state)
{
	struct fixture *x = *state;
	record_three(x);
	(void)footage_store_cost(&x->s);
	expect(x, 0, 3600, "0-20 40-50 20-40c");
	struct footage_cost cost = footage_store_cost(&x->s);
	assert_int_equal(cost.meta_reads, 2);
	assert_int_equal(cost.data_reads, 0);
	assert_int_equal(cost.lists, 0);
	assert_int_equal(cost.writes, 0);
	expect(x, 0, 3600, "0-20 40-50 20-40c");
	struct footage_cost again = footage_store_cost(&x->s);
	assert_int_equal(again.meta_reads, 2);
	assert_true(again.bytes_read <= HEAD_SIZE + 1);
}

static void memory_of_a_partition_is_good_while_its_version_is(void **state)
{
	struct fixture *x = *state;
	struct footage_chunk c;
	record_three(x);
	expect(x, 0, 3600, "0-20 40-50 20-40c");
	footage_chunk_make(&c, &x->f, 3, 4, 10);
	footage_store_chunk(&x->s, &c);
	footage_chunk_fini(&c);
	(void)footage_store_cost(&x->s);
	expect(x, 0, 3600, "0-20 40-60 20-40c");
	assert_int_equal(footage_store_cost(&x->s).meta_reads, 3);
	char name[STORE_NAME_MAX + 1];
	index_partition_name(name, STREAM, wall_day((struct wall){FOOTAGE_START_US}));
	store_model_put(x->s.model, STORE_META, name, NULL, 0);
	expect(x, 0, 3600, "");
}

static void over_midnight(void **state)
{
	struct fixture *x = *state;
	struct footage_chunk c;
	int status;
	int64_t midnight_s = (FOOTAGE_START_US / US_PER_DAY + 1) * 86400 - FOOTAGE_START_US / S;
	x->f.at.us = FOOTAGE_START_US + (midnight_s - 5) * S;
	for (uint32_t seq = 1; seq <= 2; seq++) {
		footage_chunk_make(&c, &x->f, 3, seq, 10);
		footage_store_chunk(&x->s, &c);
		footage_chunk_fini(&c);
	}
	footage_store_head(&x->s);
	struct view *v = ask(x, midnight_s, midnight_s + 86400, NULL, &status);
	assert_int_equal(status, 0);
	assert_int_equal(v->chunk_count, 2); /* the first began the day before */
	assert_int_equal(v->chunks[0].record.start.us, FOOTAGE_START_US + (midnight_s - 5) * S);
	view_free(&v);
	/* a quarter of an hour after midnight nothing from the day before can reach in */
	(void)footage_store_cost(&x->s);
	v = ask(x, midnight_s + 961, midnight_s + 2000, NULL, &status);
	assert_int_equal(footage_store_cost(&x->s).meta_reads, 2);
	view_free(&v);
}

static void chunks_of_intents(void **state)
{
	struct fixture *x = *state;
	struct footage_chunk open, sealed, husk = {0};
	int status;
	record_three(x);
	/* one sealed and not indexed yet, one open, a husk, one that was never made */
	footage_chunk_make(&sealed, &x->f, 3, 4, 5);
	footage_store_object(&x->s, &sealed);
	x->s.head.intents[x->s.head.intent_count++] = (struct head_intent){
		sealed.header.id, wall_day(sealed.start), x->f.session, LANE_LIVE};
	footage_chunk_begin(&open, &x->f, 3, 5);
	footage_chunk_add(&open, &x->f, GAP_NONE);
	footage_chunk_add(&open, &x->f, GAP_NONE);
	footage_store_object(&x->s, &open);
	husk.header.id = (struct chunk_id){3, 6, 0};
	husk.start = x->f.at;
	footage_store_object(&x->s, &husk);
	x->s.head.intents[x->s.head.intent_count++] =
		(struct head_intent){{3, 7, 0}, wall_day(x->f.at), x->f.session, LANE_LIVE};
	footage_store_head(&x->s);
	struct view *v = ask(x, 0, 3600, NULL, &status);
	assert_int_equal(status, 0);
	assert_string_equal(words(v), "0-20 40-57 20-40c");
	assert_int_equal(v->chunk_count, 5);
	const struct view_chunk *c = &v->chunks[4];
	assert_true(c->open);
	assert_int_equal(c->record.seal_offset, 0);
	assert_int_equal(c->record.state, INDEX_LIVE);
	assert_int_equal(c->table->fragment_count, 2);
	assert_int_equal(c->init->len, open.init_len);
	assert_int_equal(c->record.head_len, open.head_len);
	view_free(&v);
	/* bytes beyond `len` are not durable, whatever they are */
	char name[STORE_NAME_MAX + 1], text[17];
	chunk_name(name, STREAM, &open.header.id);
	attr_u64_format(open.table.fragments[1].offset - CHUNK_FRAG_BOX, text);
	store_model_put_attr(x->s.model, STORE_DATA, name, ATTR_LEN, text);
	expect(x, 0, 3600, "0-20 40-56 20-40c");
	/* once it is indexed, the record counts and the object is not read */
	footage_store_record(&x->s, &sealed.record);
	(void)footage_store_cost(&x->s);
	expect(x, 0, 3600, "0-20 40-56 20-40c");
	assert_int_equal(footage_store_cost(&x->s).data_reads,
		4); /* the open one's attributes and bytes, the husk's, the absent one's */
	footage_chunk_fini(&open);
	footage_chunk_fini(&sealed);
}

static void a_damaged_chunk_of_an_intent(void **state)
{
	struct fixture *x = *state;
	struct footage_chunk open;
	int status;
	footage_chunk_begin(&open, &x->f, 3, 1);
	for (int i = 0; i < 6; i++)
		footage_chunk_add(&open, &x->f, GAP_NONE);
	open.bytes[open.table.fragments[2].offset + 900] ^= 1;
	footage_store_object(&x->s, &open);
	struct view *v = ask(x, 0, 3600, NULL, &status);
	assert_int_equal(status, 0);
	assert_int_equal(v->chunks[0].table->fragment_count, 5);
	assert_true(v->chunks[0].record.flags & INDEX_DAMAGED);
	assert_string_equal(words(v), "0-2 3-6 2-3d");
	view_free(&v);
	footage_chunk_fini(&open);
}

static void what_was_deleted(void **state)
{
	struct fixture *x = *state;
	struct footage_chunk c;
	for (uint32_t seq = 1; seq <= 4; seq++) {
		footage_chunk_make(&c, &x->f, 3, seq, 10);
		if (seq == 2 || seq == 3)
			c.record.state = INDEX_TOMBSTONE;
		if (seq == 4)
			c.record.state = INDEX_DROPPING;
		footage_store_record(&x->s, &c.record);
		footage_chunk_fini(&c);
	}
	footage_store_head(&x->s);
	expect(x, 0, 3600, "0-10 30-40 10-30x");
}

static void of_two_copies_the_later_owners_counts(void **state)
{
	struct fixture *x = *state;
	struct footage_chunk a, b, c;
	int status;
	footage_chunk_make(&a, &x->f, 3, 1, 10);
	/* the next owner has the last three again, and goes on */
	x->f.at.us -= 3 * S;
	x->f.seq -= 3;
	footage_chunk_make(&b, &x->f, 4, 1, 8);
	/* and a third one all of that */
	x->f.at.us -= 8 * S;
	x->f.seq -= 8;
	footage_chunk_make(&c, &x->f, 5, 1, 8);
	footage_store_chunk(&x->s, &a);
	footage_store_chunk(&x->s, &b);
	footage_store_chunk(&x->s, &c);
	footage_store_record(&x->s, &c.record); /* and one record twice */
	footage_store_head(&x->s);
	struct view *v = ask(x, 0, 3600, NULL, &status);
	assert_int_equal(v->chunk_count, 2);
	assert_int_equal(v->chunks[0].record.chunk.epoch, 3);
	assert_int_equal(v->chunks[0].hidden_first, 8);
	assert_int_equal(v->chunks[0].hidden_last, 10);
	assert_int_equal(v->chunks[1].record.chunk.epoch, 5);
	assert_int_equal(v->chunks[1].hidden_first, 0);
	view_free(&v);
	footage_chunk_fini(&a);
	footage_chunk_fini(&b);
	footage_chunk_fini(&c);
}

static void damaged_records_are_told(void **state)
{
	struct fixture *x = *state;
	struct footage_chunk c;
	size_t len;
	char name[STORE_NAME_MAX + 1];
	for (uint32_t seq = 1; seq <= 3; seq++) {
		footage_chunk_make(&c, &x->f, 3, seq, 10);
		footage_store_chunk(&x->s, &c);
		footage_chunk_fini(&c);
	}
	footage_store_head(&x->s);
	index_partition_name(name, STREAM, wall_day((struct wall){FOOTAGE_START_US}));
	store_model_bytes(x->s.model, STORE_META, name, &len)[INDEX_RECORD_SIZE + 30] ^= 1;
	expect(x, 0, 3600, "0-10 20-30 10-20d");
	/* a head that cannot be read hides what is not indexed: that is an error */
	head_name(name, STREAM);
	store_model_bytes(x->s.model, STORE_META, name, &len)[30] ^= 1;
	int status;
	struct view *v = ask(x, 0, 60, NULL, &status);
	assert_int_equal(status, ERR_DAMAGED);
	assert_null(v);
}

static void long_windows_ask_which_days_there_are(void **state)
{
	struct fixture *x = *state;
	int32_t today = wall_day((struct wall){FOOTAGE_START_US});
	record_three(x);
	footage_store_days(&x->s, (const int32_t[]){today - 5, today}, 2);
	(void)footage_store_cost(&x->s);
	expect(x, -300 * 86400, 86400, "0-20 40-50 20-40c");
	assert_int_equal(footage_store_cost(&x->s).meta_reads, 4); /* head, days, two partitions */
	/* without a days object every day is tried, of a century the last 400 */
	char name[STORE_NAME_MAX + 1];
	index_days_name(name, STREAM);
	store_model_put(x->s.model, STORE_META, name, NULL, 0);
	(void)footage_store_cost(&x->s);
	expect(x, -30 * 86400, 86400, "0-20 40-50 20-40c");
	assert_int_equal(footage_store_cost(&x->s).meta_reads, 2 + 32);
	(void)footage_store_cost(&x->s);
	expect(x, -3000 * 86400, 86400, "0-20 40-50 20-40c");
	assert_int_equal(footage_store_cost(&x->s).meta_reads, 2 + 400);
}

/* --- streams of our own ------------------------------------------------------------------------
 */

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
	struct fixture *x = *state;
	struct writer w = {.epoch = 3};
	struct footage_chunk c;
	int status;
	record_three(x);
	footage_chunk_begin(&c, &x->f, 3, 4);
	for (int i = 0; i < 5; i++)
		footage_chunk_add(&c, &x->f, GAP_NONE);
	show(&w, &c, 3);
	w.open_gap = (struct gap){{FOOTAGE_START_US + 60 * S}, {0}, GAP_NETWORK};
	(void)footage_store_cost(&x->s);
	struct view *v = ask(x, 0, 3600, &w, &status);
	assert_int_equal(status, 0);
	assert_string_equal(words(v), "0-20 40-53 20-40c 60-3600n");
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
	v = ask(x, 0, 3600, &w, &status);
	assert_int_equal(v->chunk_count, 4);
	assert_false(v->chunks[3].open);
	view_free(&v);
	/* nothing durable yet */
	w.chunks[0].durable_fragments = 0;
	v = ask(x, 0, 3600, &w, &status);
	assert_int_equal(status, 0);
	view_free(&v);
	footage_chunk_fini(&c);
}

static void an_owner_that_lost_the_stream_says_nothing(void **state)
{
	struct fixture *x = *state;
	struct writer w = {.epoch = 2};
	int status;
	record_three(x);
	struct view *v = ask(x, 0, 3600, &w, &status);
	assert_int_equal(status, ERR_FENCED);
	assert_null(v);
	char name[STORE_NAME_MAX + 1];
	head_name(name, STREAM);
	store_model_put(x->s.model, STORE_META, name, NULL, 0);
	w.epoch = 3;
	v = ask(x, 0, 3600, &w, &status);
	assert_int_equal(status, ERR_FENCED);
}

/* A read that began before a question came does not answer it; all that came meanwhile share the
 * next. */
static void questions_share_reads_of_the_head(void **state)
{
	struct fixture *x = *state;
	struct writer w = {.epoch = 3};
	struct question q[10] = {0};
	record_three(x);
	(void)footage_store_cost(&x->s);
	for (int i = 0; i < 10; i++) {
		q[i].req.done = on_view;
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
		q[i].req.done = on_view;
		reader_view(x->reader, &q[i].req, STREAM, (struct wall){FOOTAGE_START_US},
			(struct wall){FOOTAGE_START_US + 60 * S}, &w);
	}
	footage_store_wait(&x->s, &q[0].told);
	for (int i = 0; i < 3; i++) {
		footage_store_wait(&x->s, &q[i].told);
		view_free(&q[i].req.view);
	}
}

/* --- days --------------------------------------------------------------------------------------
 */

struct days_question {
	struct reader_days req;
	bool told;
};

static void on_days(struct reader_days *req)
{
	container_of(req, struct days_question, req)->told = true;
}

static void the_days_object(void **state)
{
	struct fixture *x = *state;
	struct days_question q = {.req.done = on_days};
	reader_days(x->reader, &q.req, STREAM);
	footage_store_wait(&x->s, &q.told);
	assert_int_equal(q.req.status, -ENOENT);
	footage_store_days(&x->s, (const int32_t[]){20000, 20001}, 2);
	q.told = false;
	reader_days(x->reader, &q.req, STREAM);
	footage_store_wait(&x->s, &q.told);
	assert_int_equal(q.req.status, 0);
	assert_int_equal(q.req.days.count, 2);
	index_days_fini(&q.req.days);
	q.told = false;
	reader_days(x->reader, &q.req, "../x");
	footage_store_wait(&x->s, &q.told);
	assert_int_equal(q.req.status, -EINVAL);
}

/* --- when things fail --------------------------------------------------------------------------
 */

/* All that a view can touch: a long window with a days object, several partitions, intents. */
static void record_much(struct fixture *x)
{
	struct footage_chunk c;
	int32_t today = wall_day((struct wall){FOOTAGE_START_US});
	record_three(x);
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
	struct fixture *x = *state;
	int status, k = 0, failures = 0;
	record_much(x);
	for (bool hit = true; hit; k++) {
		struct store_model_fault fault = {
			.fate = STORE_MODEL_EIO, .reads = true, .skip = (unsigned)k, .times = 1};
		store_model_plan(x->s.model, &fault);
		struct view *v = ask(x, -300 * 86400, 86400, NULL, &status);
		hit = fault.times == 0 || !fault.planned;
		store_model_withdraw(&fault);
		assert_true(status == 0 || status == -EIO);
		failures += status == -EIO;
		if (status == 0)
			assert_string_equal(words(v), "0-20 40-52 20-40c");
		view_free(&v);
		assert_true(k < 100);
	}
	assert_int_equal(failures, 1 + 1 + 3 + 4);
}

static void memory_may_fail(void **state)
{
	struct fixture *x = *state;
	static const enum alloc_fail_mode modes[] = {ALLOC_FAIL_ONCE, ALLOC_FAIL_ON};
	record_much(x);
	for (int m = 0; m < 2; m++) {
		bool failed = true;
		for (unsigned k = 0; failed; k++) {
			struct question q = {.req.done = on_view};
			alloc_fail_after(k, modes[m]);
			reader_view(x->reader, &q.req, STREAM,
				(struct wall){FOOTAGE_START_US - 300 * US_PER_DAY},
				(struct wall){FOOTAGE_START_US + US_PER_DAY}, NULL);
			assert_false(q.told);
			footage_store_wait(&x->s, &q.told);
			failed = alloc_fail_stop();
			if (q.req.status == 0)
				assert_string_equal(words(q.req.view), "0-20 40-52 20-40c");
			view_free(&q.req.view);
			close_reader(x);
			open_reader(x);
		}
	}
}

/* Closed after each number of events: every request is told, none after the end. */
static void closed_at_any_moment(void **state)
{
	struct fixture *x = *state;
	record_much(x);
	for (int events = 0; events < 60; events++) {
		struct question q[2] = {{.req.done = on_view}, {.req.done = on_view}};
		struct days_question d = {.req.done = on_days};
		for (int i = 0; i < 2; i++)
			reader_view(x->reader, &q[i].req, STREAM,
				(struct wall){FOOTAGE_START_US - 300 * US_PER_DAY},
				(struct wall){FOOTAGE_START_US + US_PER_DAY}, NULL);
		reader_days(x->reader, &d.req, STREAM);
		for (int i = 0; i < events; i++)
			sim_step(&x->s.world);
		close_reader(x);
		assert_true(q[0].told && q[1].told && d.told);
		for (int i = 0; i < 2; i++) {
			assert_true(q[i].req.status == 0 || q[i].req.status == -ECANCELED);
			view_free(&q[i].req.view);
		}
		index_days_fini(&d.req.days);
		open_reader(x);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_stream_that_never_was),
		TEST(sealed_chunks),
		TEST(a_days_timeline_costs_two_reads),
		TEST(memory_of_a_partition_is_good_while_its_version_is),
		TEST(over_midnight),
		TEST(chunks_of_intents),
		TEST(a_damaged_chunk_of_an_intent),
		TEST(what_was_deleted),
		TEST(of_two_copies_the_later_owners_counts),
		TEST(damaged_records_are_told),
		TEST(long_windows_ask_which_days_there_are),
		TEST(what_the_writer_has_is_shown),
		TEST(an_owner_that_lost_the_stream_says_nothing),
		TEST(questions_share_reads_of_the_head),
		TEST(the_days_object),
		TEST(each_read_may_fail),
		TEST(memory_may_fail),
		TEST(closed_at_any_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
