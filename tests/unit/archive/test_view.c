/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/alloc_fail.h"
#include "tests/lib/footage.h"

#define S(x) ((int64_t)((x)*1000000))

/* A record of ten pictures a second and 1000 bytes a second. */
static struct index_record record(uint64_t epoch, uint32_t seq, double from, double to)
{
	return (struct index_record){
		.state = INDEX_LIVE,
		.chunk = {epoch, seq, 0},
		.start = {S(from)},
		.end = {S(to)},
		.bytes = (uint64_t)((to - from) * 1000),
		.fragments = (uint32_t)(to - from),
		.samples = {(uint32_t)((to - from) * 10)},
		.session = 1,
		.first_seq = (uint64_t)from + 1,
	};
}

static struct view *make(const struct index_record *records, size_t count, double from, double to)
{
	const struct view_evidence e = {.stream = "gate/main",
		.from = {S(from)},
		.to = {S(to)},
		.records = records,
		.record_count = count};
	struct view *v = NULL;
	assert_int_equal(view_make(&e, &v), 0);
	return v;
}

static void assert_span(
	const struct view_span *s, double start, double end, uint64_t bytes, uint32_t fragments)
{
	assert_int_equal(s->start.us, S(start));
	assert_int_equal(s->end.us, S(end));
	assert_int_equal(s->bytes, bytes);
	assert_int_equal(s->fragments, fragments);
}

static void spans_are_counted(void **state)
{
	(void)state;
	struct index_record r[3] = {
		record(3, 1, 0, 10), record(3, 2, 10.3, 20.3), record(3, 3, 40, 60)};
	r[2].gap_count = 1;
	r[2].gaps[0] = (struct gap){{S(45)}, {S(50)}, GAP_NETWORK};
	struct view *v = make(r, 3, 0, 100);
	struct view_span *spans;
	size_t count;
	assert_int_equal(view_spans(v, &spans, &count), 0);
	assert_int_equal(count, 3);
	assert_span(&spans[0], 0, 20.3, 20000, 20); /* 300 ms are jitter */
	assert_span(&spans[1], 40, 45, 6666, 6);    /* by time: 5 s of 15 */
	assert_span(&spans[2], 50, 60, 13334, 14);  /* the rest */
	free(spans);
	assert_int_equal(v->gap_count, 2);
	assert_int_equal(v->gaps[0].cause, GAP_UNKNOWN);
	assert_int_equal(v->gaps[1].cause, GAP_NETWORK);
	view_free(&v);
	view_free(&v);
	/* cut by the window */
	v = make(r, 3, 5, 12.3);
	assert_int_equal(view_spans(v, &spans, &count), 0);
	assert_int_equal(count, 1);
	assert_span(&spans[0], 5, 12.3, 5000 + 2000, 5 + 2);
	free(spans);
	view_free(&v);
	v = make(NULL, 0, 5, 10);
	assert_int_equal(view_spans(v, &spans, &count), 0);
	assert_int_equal(count, 0);
	free(spans);
	view_free(&v);
}

static void chunks_in_order_each_once(void **state)
{
	(void)state;
	struct index_record r[6] = {record(3, 2, 10, 20), record(3, 1, 0, 10), record(3, 2, 10, 20),
		record(2, 9, 10, 20), record(3, 3, 20, 30), record(3, 3, 20, 30)};
	r[2].chunk.gen = 1; /* a later copy */
	r[3].session = 2;   /* another camera process, at the same time */
	r[5].state = INDEX_TOMBSTONE;
	r[5].chunk.gen = 1; /* that copy is gone, and with it the chunk */
	struct view *v = make(r, 6, 0, 100);
	assert_int_equal(v->chunk_count, 3);
	assert_int_equal(v->chunks[0].record.chunk.seq, 1);
	assert_int_equal(v->chunks[1].record.chunk.epoch, 2);
	assert_int_equal(v->chunks[2].record.chunk.gen, 1);
	view_free(&v);
}

/* What has passed its ceiling is not shown any more, though its object may be there for a while, and
 * the hole says why. */
static void dropping_is_gone(void **state)
{
	(void)state;
	struct index_record r[3] = {
		record(3, 1, 0, 10), record(3, 2, 10, 20), record(3, 3, 20, 30)};
	r[0].state = INDEX_TOMBSTONE;
	r[1].state = INDEX_DROPPING;
	struct view *v = make(r, 3, 0, 30);
	assert_int_equal(v->chunk_count, 1);
	assert_int_equal(v->chunks[0].record.chunk.seq, 3);
	assert_int_equal(v->gap_count, 1);
	assert_int_equal(v->gaps[0].cause, GAP_EXPIRED);
	assert_int_equal(v->gaps[0].to.us, S(20));
	view_free(&v);
}

/* Of what two copies share, the later owner's counts; what only one has stays. */
static void copies_hide_no_more_than_they_hold(void **state)
{
	(void)state;
	struct index_record r[3] = {
		record(3, 1, 0, 30), record(4, 1, 10, 20), record(5, 1, 25, 28)};
	struct view *v = make(r, 3, 0, 100);
	assert_int_equal(v->chunk_count, 3);
	assert_int_equal(v->chunks[0].hidden_first, 11);
	assert_int_equal(v->chunks[0].hidden_last,
		20); /* 26 to 28 do not touch: shown twice rather than 21 to 25 not at all */
	assert_int_equal(v->chunks[1].hidden_first, 0);
	view_free(&v);
}

static void open_chunk(struct view_chunk *c, const struct footage_chunk *made, uint32_t fragments)
{
	struct buf *init = buf_copy(made->bytes, made->init_len);
	const struct view_open from = {
		.id = made->header.id,
		.len = made->len,
		.fragments = fragments,
		.head_len = (uint32_t)made->head_len,
		.table = &made->table,
		.init = init,
	};
	assert_int_equal(view_chunk_open(&from, c), 0);
	buf_unref(&init);
}

static void an_open_chunk_shows_what_is_durable(void **state)
{
	(void)state;
	struct footage f;
	struct footage_chunk made;
	struct view_chunk c;
	footage_start(&f, "gate/main", true);
	footage_chunk_begin(&made, &f, 3, 1);
	for (int i = 0; i < 5; i++)
		footage_chunk_add(&made, &f, GAP_NONE);
	open_chunk(&c, &made, 3);
	assert_int_equal(c.table->fragment_count, 3);
	assert_int_equal(c.table->tracks[1].sample_count, 75);
	assert_int_equal(c.record.fragments, 3);
	assert_int_equal(c.record.end.us, FOOTAGE_START_US + 3 * US_PER_SECOND);
	view_chunk_fini(&c);
	view_chunk_fini(&c);
	open_chunk(&c, &made, 0);
	assert_true(c.record.flags & INDEX_EMPTY);
	view_chunk_fini(&c);
	footage_chunk_fini(&made);
}

static void make_without_memory(void *user)
{
	const struct footage_chunk *made = user;
	struct index_record r = record(3, 9, 0, 10);
	struct buf *init = buf_copy(made->bytes, made->init_len);
	struct view_chunk open[1];
	struct view *v = NULL;
	struct view_span *spans = NULL;
	size_t count;
	const struct view_open from = {.id = made->header.id,
		.fragments = made->table.fragment_count,
		.head_len = (uint32_t)made->head_len,
		.table = &made->table,
		.init = init};
	if (view_chunk_open(&from, &open[0]) == 0) {
		const struct view_evidence e = {.stream = "gate/main",
			.to = {WALL_MAX_US},
			.records = &r,
			.record_count = 1,
			.open = open,
			.open_count = 1};
		if (view_make(&e, &v) == 0 && view_spans(v, &spans, &count) == 0)
			assert_int_equal(count, 2);
		free(spans);
		view_free(&v);
	}
	buf_unref(&init);
}

static void memory_may_fail(void **state)
{
	(void)state;
	struct footage f;
	struct footage_chunk made;
	footage_start(&f, "gate/main", true);
	footage_chunk_make(&made, &f, 3, 1, 4);
	alloc_fail_sweep(make_without_memory, &made);
	footage_chunk_fini(&made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_are_counted),
		cmocka_unit_test(chunks_in_order_each_once),
		cmocka_unit_test(dropping_is_gone),
		cmocka_unit_test(copies_hide_no_more_than_they_hold),
		cmocka_unit_test(an_open_chunk_shows_what_is_durable),
		cmocka_unit_test(memory_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
