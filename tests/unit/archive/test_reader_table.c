/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "storaged/archive/reader.h"
#include "storaged/archive/reader_cache.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/footage_store.h"

#define STREAM "gate-7/main"

struct fixture {
	struct footage_store s;
	struct footage_chunk c;
	struct reader *reader;
	struct loop_task closed;
	bool is_closed;
	char name[STORE_NAME_MAX + 1];
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
	struct footage f;
	footage_store_open(&x->s, STREAM);
	footage_start(&f, STREAM, true);
	footage_chunk_make(&x->c, &f, 3, 1, 10);
	footage_store_chunk(&x->s, &x->c);
	chunk_name(x->name, STREAM, &x->c.header.id);
	open_reader(x);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;
	close_reader(x);
	footage_chunk_fini(&x->c);
	footage_store_close(&x->s);
	free(x);
	return 0;
}

struct question {
	struct reader_table req;
	bool told;
};

static void on_table(struct reader_table *req)
{
	struct question *q = container_of(req, struct question, req);
	assert_false(q->told);
	assert_true((req->status == 0) == (req->table != NULL));
	q->told = true;
}

static int ask(struct fixture *x, struct question *q, const struct index_record *record)
{
	*q = (struct question){.req.done = on_table};
	reader_table(x->reader, &q->req, STREAM, record);
	assert_false(q->told);
	footage_store_wait(&x->s, &q->told);
	return q->req.status;
}

static uint8_t *bytes_of(struct fixture *x)
{
	size_t len;
	return store_model_bytes(x->s.model, STORE_DATA, x->name, &len);
}

static void two_reads_the_first_time_none_the_second(void **state)
{
	struct fixture *x = *state;
	struct question q, again;
	(void)footage_store_cost(&x->s);
	assert_int_equal(ask(x, &q, &x->c.record), 0);
	struct footage_cost cost = footage_store_cost(&x->s);
	assert_int_equal(cost.data_reads, 2);
	assert_int_equal(cost.meta_reads, 0);
	assert_true(cost.bytes_read <= x->c.init_len + (x->c.len - x->c.seal.seal_offset));
	assert_int_equal(q.req.table->fragment_count, 10);
	assert_int_equal(q.req.init->len, x->c.init_len);
	assert_memory_equal(q.req.init->data, x->c.bytes, x->c.init_len);
	assert_memory_equal(q.req.seal.digest, x->c.seal.digest, DIGEST_SIZE);
	assert_int_equal(ask(x, &again, &x->c.record), 0);
	assert_int_equal(footage_store_cost(&x->s).data_reads, 0);
	assert_ptr_equal(again.req.table, q.req.table);
	reader_table_release(x->reader, &q.req);
	reader_table_release(x->reader, &q.req);
	reader_table_release(x->reader, &again.req);
}

static void a_damaged_seal_is_made_up_for(void **state)
{
	struct fixture *x = *state;
	struct question q;
	bytes_of(x)[x->c.seal.seal_offset + 50] ^= 1;
	bytes_of(x)[x->c.table.fragments[4].offset + 1000] ^= 1;
	assert_int_equal(ask(x, &q, &x->c.record), 0);
	assert_int_equal(q.req.table->fragment_count, 9);
	assert_int_equal(q.req.table->fragments[4].seq, 6);
	assert_int_equal(q.req.table->fragments[4].gap_cause, GAP_DAMAGED);
	assert_true(q.req.seal.damaged);
	reader_table_release(x->reader, &q.req);
}

static void a_damaged_table_is_made_up_for(void **state)
{
	struct fixture *x = *state;
	struct question q;
	bytes_of(x)[x->c.seal.seal_offset + 170] ^= 1;
	assert_int_equal(ask(x, &q, &x->c.record), 0);
	assert_int_equal(q.req.table->fragment_count, 10);
	assert_memory_equal(q.req.seal.digest, x->c.seal.digest, DIGEST_SIZE);
	reader_table_release(x->reader, &q.req);
}

static void without_its_init_segment_footage_means_nothing(void **state)
{
	struct fixture *x = *state;
	struct question q;
	bytes_of(x)[100] ^= 1;
	assert_int_equal(ask(x, &q, &x->c.record), ERR_DAMAGED);
	reader_table_release(x->reader, &q.req);
}

static void what_is_not_there(void **state)
{
	struct fixture *x = *state;
	struct question q;
	struct index_record r = x->c.record;
	r.chunk.seq = 9;
	assert_int_equal(ask(x, &q, &r), -ENOENT);
	r = x->c.record;
	r.state = INDEX_TOMBSTONE;
	assert_int_equal(ask(x, &q, &r), -ENOENT);
	r = x->c.record;
	r.seal_offset = 0; /* an open chunk has its table in the view */
	assert_int_equal(ask(x, &q, &r), -EINVAL);
	/* cut short since */
	store_model_put(x->s.model, STORE_DATA, x->name, x->c.bytes, x->c.seal.seal_offset);
	assert_int_equal(ask(x, &q, &x->c.record), 0);
	assert_int_equal(q.req.table->fragment_count, 10);
	reader_table_release(x->reader, &q.req);
}

static void each_read_may_fail(void **state)
{
	struct fixture *x = *state;
	struct question q;
	bytes_of(x)[x->c.seal.seal_offset + 50] ^= 1; /* so that there are three */
	for (unsigned k = 0; k < 4; k++) {
		struct store_model_fault fault = {
			.fate = STORE_MODEL_CHECKSUM, .reads = true, .skip = k, .times = 1};
		store_model_plan(x->s.model, &fault);
		int status = ask(x, &q, &x->c.record);
		store_model_withdraw(&fault);
		/* without the seal the rest will do */
		assert_int_equal(status, k == 0 || k == 2 ? ERR_CHECKSUM : 0);
		if (status == 0 && k == 1) {
			assert_int_equal(q.req.table->fragment_count, 10);
			reader_table_release(x->reader, &q.req);
			close_reader(x); /* and forget */
			open_reader(x);
		}
	}
	reader_table_release(x->reader, &q.req);
}

static void memory_may_fail(void **state)
{
	struct fixture *x = *state;
	static const enum alloc_fail_mode modes[] = {ALLOC_FAIL_ONCE, ALLOC_FAIL_ON};
	for (int damaged = 0; damaged < 2; damaged++) {
		for (int m = 0; m < 2; m++) {
			bool failed = true;
			for (unsigned k = 0; failed; k++) {
				struct question q = {.req.done = on_table};
				alloc_fail_after(k, modes[m]);
				reader_table(x->reader, &q.req, STREAM, &x->c.record);
				footage_store_wait(&x->s, &q.told);
				failed = alloc_fail_stop();
				assert_true(failed || q.req.status == 0);
				reader_table_release(x->reader, &q.req);
				close_reader(x);
				open_reader(x);
			}
		}
		bytes_of(x)[x->c.seal.seal_offset + 50] ^= 1;
	}
}

static void closed_at_any_moment(void **state)
{
	struct fixture *x = *state;
	for (int events = 0; events < 12; events++) {
		struct question q = {.req.done = on_table};
		reader_table(x->reader, &q.req, STREAM, &x->c.record);
		for (int i = 0; i < events; i++)
			sim_step(&x->s.world);
		if (q.told)
			reader_table_release(x->reader, &q.req);
		close_reader(x);
		assert_true(q.told);
		assert_true(q.req.status == 0 || q.req.status == -ECANCELED);
		open_reader(x);
	}
}

/* --- the cache --- */

static struct cache_entry *entry(struct cache *c, const char *name, uint64_t n)
{
	struct cache_entry *e = cache_entry_new(name);
	assert_non_null(e);
	e->version.n = n;
	e->partition.records = calloc(100, sizeof(*e->partition.records));
	e->partition.count = 100;
	cache_put(c, e);
	return e;
}

static void the_least_recently_used_goes(void **state)
{
	(void)state;
	struct cache c;
	assert_int_equal(cache_init(&c, 5 * 100 * sizeof(struct index_record)), 0);
	struct cache_entry *held = entry(&c, "a", 1), *e = entry(&c, "b", 2);
	cache_unref(&e);
	e = entry(&c, "c", 3);
	cache_unref(&e);
	e = entry(&c, "d", 4);
	cache_unref(&e);
	e = cache_find(&c, "b");
	cache_unref(&e);
	e = entry(&c, "e", 5);
	cache_unref(&e);
	e = cache_find(&c, "a");
	assert_null(e); /* gone, but good for who holds it */
	assert_int_equal(held->version.n, 1);
	cache_unref(&held);
	e = cache_find(&c, "b");
	assert_non_null(e);
	cache_unref(&e);
	e = entry(&c, "b", 6); /* in place of the older */
	cache_unref(&e);
	e = cache_find(&c, "b");
	assert_int_equal(e->version.n, 6);
	cache_unref(&e);
	cache_drop(&c, "b");
	cache_drop(&c, "b");
	assert_null(cache_find(&c, "b"));
	assert_true(c.bytes <= c.limit);
	cache_fini(&c);
	cache_fini(&c);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(two_reads_the_first_time_none_the_second),
		TEST(a_damaged_seal_is_made_up_for),
		TEST(a_damaged_table_is_made_up_for),
		TEST(without_its_init_segment_footage_means_nothing),
		TEST(what_is_not_there),
		TEST(each_read_may_fail),
		TEST(memory_may_fail),
		TEST(closed_at_any_moment),
		cmocka_unit_test(the_least_recently_used_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
