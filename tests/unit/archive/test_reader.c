/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/archive/attrs.h"
#include "tests/unit/archive/reading.h"

/* --- tests --- */

static void a_stream_that_never_was(void **state)
{
	struct reading *x = *state;
	int status;
	struct view *v = reading_ask(x, 0, 60, NULL, &status);
	assert_int_equal(status, 0);
	assert_false(v->exists);
	assert_int_equal(v->chunk_count, 0);
	view_free(&v);
	struct reading_question q = {.req.done = reading_on_view};
	reader_view(x->reader, &q.req, STREAM, (struct wall){5}, (struct wall){5}, NULL);
	footage_store_wait(&x->s, &q.told);
	assert_int_equal(q.req.status, -EINVAL);
}

static void sealed_chunks(void **state)
{
	struct reading *x = *state;
	int status;
	reading_record(x);
	struct view *v = reading_ask(x, 0, 3600, NULL, &status);
	assert_int_equal(status, 0);
	assert_true(v->exists);
	assert_string_equal(reading_words(v), "0-20 40-50 20-40c");
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
	reading_expect(x, 5, 12, "5-12");
	reading_expect(x, 25, 30, "25-30c"); /* in the middle of a hole, by what comes after it */
	reading_expect(x, 45, 100, "45-50");
	v = reading_ask(x, 10, 20, NULL, &status);
	assert_int_equal(
		v->chunk_count, 1); /* a chunk that ends where the window begins is not in it */
	view_free(&v);
}

/* The head and one read of its partition; nothing is listed, nothing is written. A second look
 * reads no bodies of partitions. */
static void a_days_timeline_costs_two_reads(void **state)
{
	struct reading *x = *state;
	reading_record(x);
	(void)footage_store_cost(&x->s);
	reading_expect(x, 0, 3600, "0-20 40-50 20-40c");
	struct footage_cost cost = footage_store_cost(&x->s);
	assert_int_equal(cost.meta_reads, 2);
	assert_int_equal(cost.data_reads, 0);
	assert_int_equal(cost.lists, 0);
	assert_int_equal(cost.writes, 0);
	reading_expect(x, 0, 3600, "0-20 40-50 20-40c");
	struct footage_cost again = footage_store_cost(&x->s);
	assert_int_equal(again.meta_reads, 2);
	assert_true(again.bytes_read <= HEAD_SIZE + 1);
}

static void memory_of_a_partition_is_good_while_its_version_is(void **state)
{
	struct reading *x = *state;
	struct footage_chunk c;
	reading_record(x);
	reading_expect(x, 0, 3600, "0-20 40-50 20-40c");
	footage_chunk_make(&c, &x->f, 3, 4, 10);
	footage_store_chunk(&x->s, &c);
	footage_chunk_fini(&c);
	(void)footage_store_cost(&x->s);
	reading_expect(x, 0, 3600, "0-20 40-60 20-40c");
	assert_int_equal(footage_store_cost(&x->s).meta_reads, 3);
	char name[STORE_NAME_MAX + 1];
	index_partition_name(name, STREAM, wall_day((struct wall){FOOTAGE_START_US}));
	store_model_put(x->s.model, STORE_META, name, NULL, 0);
	reading_expect(x, 0, 3600, "");
}

static void over_midnight(void **state)
{
	struct reading *x = *state;
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
	struct view *v = reading_ask(x, midnight_s, midnight_s + 86400, NULL, &status);
	assert_int_equal(status, 0);
	assert_int_equal(v->chunk_count, 2); /* the first began the day before */
	assert_int_equal(v->chunks[0].record.start.us, FOOTAGE_START_US + (midnight_s - 5) * S);
	view_free(&v);
	/* a quarter of an hour after midnight nothing from the day before can reach in */
	(void)footage_store_cost(&x->s);
	v = reading_ask(x, midnight_s + 961, midnight_s + 2000, NULL, &status);
	assert_int_equal(footage_store_cost(&x->s).meta_reads, 2);
	view_free(&v);
}

static void chunks_of_intents(void **state)
{
	struct reading *x = *state;
	struct footage_chunk open, sealed, husk = {0};
	int status;
	reading_record(x);
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
	struct view *v = reading_ask(x, 0, 3600, NULL, &status);
	assert_int_equal(status, 0);
	assert_string_equal(reading_words(v), "0-20 40-57 20-40c");
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
	reading_expect(x, 0, 3600, "0-20 40-56 20-40c");
	/* once it is indexed, the record counts and the object is not read */
	footage_store_record(&x->s, &sealed.record);
	(void)footage_store_cost(&x->s);
	reading_expect(x, 0, 3600, "0-20 40-56 20-40c");
	assert_int_equal(footage_store_cost(&x->s).data_reads,
		4); /* the open one's attributes and bytes, the husk's, the absent one's */
	footage_chunk_fini(&open);
	footage_chunk_fini(&sealed);
}

static void a_damaged_chunk_of_an_intent(void **state)
{
	struct reading *x = *state;
	struct footage_chunk open;
	int status;
	footage_chunk_begin(&open, &x->f, 3, 1);
	for (int i = 0; i < 6; i++)
		footage_chunk_add(&open, &x->f, GAP_NONE);
	open.bytes[open.table.fragments[2].offset + 900] ^= 1;
	footage_store_object(&x->s, &open);
	struct view *v = reading_ask(x, 0, 3600, NULL, &status);
	assert_int_equal(status, 0);
	assert_int_equal(v->chunks[0].table->fragment_count, 5);
	assert_true(v->chunks[0].record.flags & INDEX_DAMAGED);
	assert_string_equal(reading_words(v), "0-2 3-6 2-3d");
	view_free(&v);
	footage_chunk_fini(&open);
}

static void what_was_deleted(void **state)
{
	struct reading *x = *state;
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
	reading_expect(x, 0, 3600, "0-10 10-40x"); /* what is being deleted is gone too */
}

static void of_two_copies_the_later_owners_counts(void **state)
{
	struct reading *x = *state;
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
	struct view *v = reading_ask(x, 0, 3600, NULL, &status);
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
	struct reading *x = *state;
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
	reading_expect(x, 0, 3600, "0-10 20-30 10-20d");
	/* a head that cannot be read hides what is not indexed: that is an error */
	head_name(name, STREAM);
	store_model_bytes(x->s.model, STORE_META, name, &len)[30] ^= 1;
	int status;
	struct view *v = reading_ask(x, 0, 60, NULL, &status);
	assert_int_equal(status, ERR_DAMAGED);
	assert_null(v);
}

static void long_windows_ask_which_days_there_are(void **state)
{
	struct reading *x = *state;
	int32_t today = wall_day((struct wall){FOOTAGE_START_US});
	reading_record(x);
	footage_store_days(&x->s, (const int32_t[]){today - 5, today}, 2);
	(void)footage_store_cost(&x->s);
	reading_expect(x, -300 * 86400, 86400, "0-20 40-50 20-40c");
	assert_int_equal(footage_store_cost(&x->s).meta_reads, 4); /* head, days, two partitions */
	/* without a days object every day is tried, of a century the last 400 */
	char name[STORE_NAME_MAX + 1];
	index_days_name(name, STREAM);
	store_model_put(x->s.model, STORE_META, name, NULL, 0);
	(void)footage_store_cost(&x->s);
	reading_expect(x, -30 * 86400, 86400, "0-20 40-50 20-40c");
	assert_int_equal(footage_store_cost(&x->s).meta_reads, 2 + 32);
	(void)footage_store_cost(&x->s);
	reading_expect(x, -3000 * 86400, 86400, "0-20 40-50 20-40c");
	assert_int_equal(footage_store_cost(&x->s).meta_reads, 2 + 400);
}

/* --- days --- */

static void the_days_object(void **state)
{
	struct reading *x = *state;
	struct reading_days_question q = {.req.done = reading_on_days};
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, reading_setup, reading_teardown)
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
		TEST(the_days_object),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
