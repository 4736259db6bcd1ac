/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/fsck.h"

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

#define STREAM "gate-7/main"
#define CHUNKS 4

struct fixture {
	struct footage_store s;
	struct footage f;
	struct footage_chunk chunks[CHUNKS];
	struct fsck fsck;
	bool done;
	unsigned progress;
	char findings[2000]; /* "seq: what; ..." */
};

static void on_finding(struct fsck *f, const struct fsck_finding *finding)
{
	struct fixture *x = container_of(f, struct fixture, fsck);
	char stream[STREAM_NAME_MAX + 1];
	struct chunk_id id;
	size_t len = strlen(x->findings);
	if (chunk_name_parse(finding->object, stream, &id) == 0)
		snprintf(x->findings + len, sizeof(x->findings) - len, "%u: %s; ", id.seq,
			finding->what);
	else
		snprintf(x->findings + len, sizeof(x->findings) - len, "%s; ", finding->what);
}

static void on_progress(struct fsck *f)
{
	container_of(f, struct fixture, fsck)->progress++;
}

static void on_done(struct fsck *f)
{
	struct fixture *x = container_of(f, struct fixture, fsck);
	assert_false(x->done);
	x->done = true;
}

static void start(struct fixture *x, enum probe_level level, bool list)
{
	x->findings[0] = 0;
	x->done = false;
	x->progress = 0;
	x->fsck = (struct fsck){
		.loop = &x->s.loop.loop,
		.store = x->s.store,
		.stream = STREAM,
		.level = level,
		.list = list,
		.finding = on_finding,
		.progress = on_progress,
		.done = on_done,
	};
	fsck_start(&x->fsck);
	assert_false(x->done);
}

static const char *run(struct fixture *x, enum probe_level level, bool list)
{
	start(x, level, list);
	footage_store_wait(&x->s, &x->done);
	return x->findings;
}

static void put_days(struct fixture *x)
{
	int32_t today = wall_day((struct wall){FOOTAGE_START_US});
	footage_store_days(&x->s, (const int32_t[]){today, today + 1}, 2);
}

/* Four chunks, chained, the last on the next day. */
static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	footage_store_open(&x->s, STREAM);
	footage_start(&x->f, STREAM, true);
	for (uint32_t i = 0; i < CHUNKS; i++) {
		struct footage_chunk *c = &x->chunks[i];
		if (i == CHUNKS - 1)
			x->f.at.us += 10800 * US_PER_SECOND;
		footage_chunk_begin(c, &x->f, 3, i + 1);
		for (int k = 0; k < 6; k++)
			footage_chunk_add(c, &x->f, GAP_NONE);
		footage_chunk_seal(c, CHUNK_END_FULL, i ? x->chunks[i - 1].seal.digest : NULL);
		footage_store_chunk(&x->s, c);
	}
	footage_store_head(&x->s);
	put_days(x);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;
	for (int i = 0; i < CHUNKS; i++)
		footage_chunk_fini(&x->chunks[i]);
	footage_store_close(&x->s);
	free(x);
	return 0;
}

static const char *name_of(const struct fixture *x, int chunk)
{
	static char name[STORE_NAME_MAX + 1];
	chunk_name(name, STREAM, &x->chunks[chunk].header.id);
	return name;
}

static uint8_t *bytes_of(struct fixture *x, int chunk)
{
	size_t len;
	return store_model_bytes(x->s.model, STORE_DATA, name_of(x, chunk), &len);
}

static const char *partition(int day)
{
	static char name[STORE_NAME_MAX + 1];
	index_partition_name(name, STREAM, wall_day((struct wall){FOOTAGE_START_US}) + day);
	return name;
}

/* --- tests --- */

static void all_is_well_and_what_that_costs(void **state)
{
	struct fixture *x = *state;
	(void)footage_store_cost(&x->s);
	assert_string_equal(run(x, PROBE_ATTRS, false), "");
	assert_int_equal(x->fsck.status, 0);
	assert_int_equal(x->fsck.chunks, CHUNKS);
	assert_int_equal(x->fsck.chunks_total, CHUNKS);
	assert_int_equal(x->progress, CHUNKS);
	struct footage_cost cost = footage_store_cost(&x->s);
	assert_int_equal(cost.meta_reads, 4); /* head, days, two partitions */
	assert_int_equal(cost.data_reads, CHUNKS);
	assert_int_equal(cost.lists, 0);
	assert_string_equal(run(x, PROBE_TABLES, false), "");
	cost = footage_store_cost(&x->s);
	assert_int_equal(cost.data_reads, 3 * CHUNKS);
	assert_string_equal(run(x, PROBE_DEEP, false), "");
	cost = footage_store_cost(&x->s);
	assert_int_equal(cost.data_reads, 2 * CHUNKS);
	assert_int_equal(cost.writes, 0);
	assert_string_equal(run(x, PROBE_DEEP, true), "");
	assert_int_equal(footage_store_cost(&x->s).lists, 2); /* a pool each: partitions, chunks */
}

static void a_chunk_is_gone(void **state)
{
	struct fixture *x = *state;
	store_model_put(x->s.model, STORE_DATA, name_of(x, 1), NULL, 0);
	assert_string_equal(run(x, PROBE_ATTRS, false), "2: chunk is missing; ");
	assert_int_equal(x->fsck.findings, 1);
	assert_int_equal(x->fsck.status, 0);
}

static void a_chunk_is_cut(void **state)
{
	struct fixture *x = *state;
	store_model_put(
		x->s.model, STORE_DATA, name_of(x, 1), x->chunks[1].bytes, x->chunks[1].len - 900);
	store_model_put_attr(x->s.model, STORE_DATA, name_of(x, 1), ATTR_EP, "0000000000000003");
	char len[17];
	attr_u64_format(x->chunks[1].len, len);
	store_model_put_attr(x->s.model, STORE_DATA, name_of(x, 1), ATTR_LEN, len);
	store_model_put_attr(x->s.model, STORE_DATA, name_of(x, 1), ATTR_STATE, ATTR_STATE_SEALED);
	assert_string_equal(run(x, PROBE_ATTRS, false),
		"2: object is shorter than its attribute says; 2: size differs from the record; ");
}

static void a_chunk_is_damaged(void **state)
{
	struct fixture *x = *state;
	/* a byte of a picture: only reading it all tells */
	bytes_of(x, 0)[x->chunks[0].table.fragments[2].offset + 2000] ^= 1;
	assert_string_equal(run(x, PROBE_TABLES, false), "");
	assert_string_equal(run(x, PROBE_DEEP, false), "1: fragment is damaged; ");
	/* the seal: the fragments make up for it */
	bytes_of(x, 1)[x->chunks[1].seal.seal_offset + 60] ^= 1;
	assert_string_equal(run(x, PROBE_ATTRS, false), "");
	assert_string_equal(run(x, PROBE_TABLES, false),
		"2: bytes between fragments are damaged; 2: seal is damaged; ");
	/* the header */
	bytes_of(x, 2)[100] ^= 1;
	assert_string_equal(run(x, PROBE_TABLES, false),
		"2: bytes between fragments are damaged; 2: seal is "
		"damaged; 3: header is damaged; ");
}

/* Checksums that are right, over other bytes: what only a digest tells. */
static void a_chunk_was_forged(void **state)
{
	struct fixture *x = *state;
	const struct footage_chunk *c = &x->chunks[0];
	uint8_t *bytes = bytes_of(x, 0), cause;
	const struct table_fragment *f = &c->table.fragments[2];
	struct fragment_header h;
	struct wall receipt;
	uint8_t *box = bytes + f->offset - CHUNK_FRAG_BOX;
	assert_int_equal(chunk_frag_parse(box, CHUNK_FRAG_BOX, &h, &receipt, &cause), 0);
	struct fragment_header forged = h;
	bytes[f->offset + 2000] ^= 1;
	assert_int_equal(fragment_seal(&forged, bytes + f->offset, false), 0);
	memcpy(forged.prefix_digest, h.prefix_digest, DIGEST_SIZE);
	memcpy(forged.rest_digest, h.rest_digest, DIGEST_SIZE);
	chunk_frag_build(&forged, receipt, cause, box);
	assert_string_equal(run(x, PROBE_DEEP, false), "1: digest does not match; ");
	/* with a digest of its own: then the table knows better */
	assert_int_equal(fragment_seal(&forged, bytes + f->offset, true), 0);
	chunk_frag_build(&forged, receipt, cause, box);
	assert_string_equal(run(x, PROBE_DEEP, false), "1: digest does not match; ");
}

static void another_chunk_in_its_place(void **state)
{
	struct fixture *x = *state;
	memcpy(bytes_of(x, 0), x->chunks[1].bytes,
		x->chunks[0].len < x->chunks[1].len ? x->chunks[0].len : x->chunks[1].len);
	assert_non_null(strstr(run(x, PROBE_TABLES, false), "1: header names another chunk; "));
}

static void a_record_is_wrong(void **state)
{
	struct fixture *x = *state;
	size_t len;
	struct index_record r = x->chunks[1].record;
	uint8_t *body = store_model_bytes(x->s.model, STORE_META, partition(0), &len);
	r.end.us += 5;
	index_record_encode(&r, body + INDEX_RECORD_SIZE);
	assert_string_equal(run(x, PROBE_ATTRS, false), "");
	assert_string_equal(run(x, PROBE_TABLES, false), "2: record does not match its chunk; ");
	body = store_model_bytes(x->s.model, STORE_META, partition(0), &len);
	body[INDEX_RECORD_SIZE + 7] ^= 1;
	assert_string_equal(run(x, PROBE_ATTRS, false), "record is damaged; ");
	assert_string_equal(
		run(x, PROBE_ATTRS, true), "record is damaged; 2: chunk is in no partition; ");
}

static void the_chain_is_broken(void **state)
{
	struct fixture *x = *state;
	struct footage_chunk *c = &x->chunks[2], again;
	/* made again with another chunk before it */
	struct footage f;
	footage_start(&f, STREAM, true);
	f.at = c->start;
	f.seq = c->table.fragments[0].seq - 1;
	footage_chunk_begin(&again, &f, 3, 3);
	for (int k = 0; k < 6; k++)
		footage_chunk_add(&again, &f, GAP_NONE);
	const uint8_t other[DIGEST_SIZE] = {1};
	footage_chunk_seal(&again, CHUNK_END_FULL, other);
	footage_store_object(&x->s, &again);
	size_t len;
	uint8_t *body = store_model_bytes(x->s.model, STORE_META, partition(0), &len);
	index_record_encode(&again.record, body + 2 * INDEX_RECORD_SIZE);
	assert_string_equal(run(x, PROBE_ATTRS, false), "");
	assert_string_equal(run(x, PROBE_TABLES, false),
		"3: chain of digests is broken; 4: chain of digests is broken; ");
	/* what expired before proves nothing */
	struct index_record r = x->chunks[1].record;
	r.state = INDEX_TOMBSTONE;
	body = store_model_bytes(x->s.model, STORE_META, partition(0), &len);
	index_record_encode(&r, body + INDEX_RECORD_SIZE);
	assert_string_equal(run(x, PROBE_TABLES, false), "4: chain of digests is broken; ");
	footage_chunk_fini(&again);
}

/* What is named may not be made yet; what was counted was there. */
static void a_partition_is_missing(void **state)
{
	struct fixture *x = *state;
	struct index_days d = {0};
	struct buf *buf = NULL;
	char name[STORE_NAME_MAX + 1];
	store_model_put(x->s.model, STORE_META, partition(0), NULL, 0);
	assert_string_equal(run(x, PROBE_ATTRS, false), "");
	for (int day = 0; day < 2; day++)
		index_days_put(&d, wall_day((struct wall){FOOTAGE_START_US}) + day)->bytes = 1000;
	assert_int_equal(index_days_encode(&d, &buf), 0);
	index_days_name(name, STREAM);
	store_model_put(x->s.model, STORE_META, name, buf->data, buf->len);
	assert_string_equal(run(x, PROBE_ATTRS, false), "partition is missing; ");
	buf_unref(&buf);
	index_days_fini(&d);
}

static void small_objects_are_damaged(void **state)
{
	struct fixture *x = *state;
	char name[STORE_NAME_MAX + 1];
	size_t len;
	index_days_name(name, STREAM);
	store_model_bytes(x->s.model, STORE_META, name, &len)[20] ^= 1;
	assert_string_equal(run(x, PROBE_ATTRS, false),
		"days object is damaged; day is not named in the days object; "
		"day is not named in the days object; ");
	assert_int_equal(x->fsck.chunks, CHUNKS); /* all the same */
	store_model_put(x->s.model, STORE_META, name, NULL, 0);
	assert_string_equal(run(x, PROBE_ATTRS, false),
		"day is not named in the days object; day is not named in the days object; ");
	/* the head knows of a chunk that is no intent any more */
	x->s.head.last_chunk = x->chunks[CHUNKS - 1].header.id;
	footage_store_head(&x->s);
	assert_string_equal(run(x, PROBE_ATTRS, false),
		"days object is missing; "
		"day is not named in the days object; day is not named in the days object; ");
	x->s.head.intents[0].chunk = x->s.head.last_chunk;
	x->s.head.intents[0].day = wall_day(x->chunks[CHUNKS - 1].start);
	x->s.head.intents[0].session = x->f.session;
	x->s.head.intent_count = 1;
	footage_store_head(&x->s);
	assert_string_equal(run(x, PROBE_ATTRS, false),
		"day is not named in the days object; day is not named in the days object; ");
	x->s.head.intent_count = 0;
	footage_store_head(&x->s);
	put_days(x);
	head_name(name, STREAM);
	store_model_bytes(x->s.model, STORE_META, name, &len)[200] ^= 1;
	assert_string_equal(run(x, PROBE_ATTRS, false), "head is damaged; ");
	store_model_put(x->s.model, STORE_META, name, NULL, 0);
	assert_string_equal(run(x, PROBE_ATTRS, false), "");
	assert_int_equal(x->fsck.status, -ENOENT);
	assert_string_equal(run(x, PROBE_ATTRS, true), "head is missing; ");
	assert_int_equal(x->fsck.status, 0);
}

static void chunks_of_intents_are_looked_at(void **state)
{
	struct fixture *x = *state;
	struct footage_chunk open;
	footage_chunk_begin(&open, &x->f, 3, 5);
	for (int i = 0; i < 4; i++)
		footage_chunk_add(&open, &x->f, GAP_NONE);
	open.bytes[open.table.fragments[1].offset + 2000] ^= 1;
	footage_store_object(&x->s, &open);
	x->s.head.intents[x->s.head.intent_count++] =
		(struct head_intent){.chunk = {3, 6, 0}, .day = 20000};
	footage_store_head(&x->s);
	assert_string_equal(run(x, PROBE_ATTRS, true), "");
	assert_int_equal(x->fsck.chunks, CHUNKS + 1);
	assert_string_equal(run(x, PROBE_TABLES, false), "5: fragment is damaged; ");
	footage_chunk_fini(&open);
}

/* A husk: sealed with nothing in it, and indexed as empty. */
static void husks_are_well(void **state)
{
	struct fixture *x = *state;
	struct chunk_table none = {0};
	struct footage_chunk husk = {.header = {.id = {3, 9, 0}},
		.seal = {.end_reason = CHUNK_END_RECOVERED},
		.sealed = true};
	struct buf *buf = NULL;
	assert_int_equal(chunk_seal_build(&husk.seal, &none, &buf), 0);
	husk.bytes = buf->data;
	husk.len = buf->len;
	footage_store_object(&x->s, &husk);
	const struct index_source source = {.header = &husk.header,
		.seal = &husk.seal,
		.table = &none,
		.pool = STORE_DATA,
		.bytes = buf->len};
	index_record_make(&source, &husk.record);
	husk.record.start = husk.record.end = (struct wall){FOOTAGE_START_US};
	footage_store_record(&x->s, &husk.record);
	for (int level = PROBE_ATTRS; level <= PROBE_DEEP; level++)
		assert_string_equal(run(x, (enum probe_level)level, true), "");
	buf_unref(&buf);
}

/* Deleted, or moved to another pool, between the read of the partition and that of the chunk. */
static void what_changes_meanwhile_is_not_told(void **state)
{
	struct fixture *x = *state;
	size_t len;
	for (int events = 0; events < 40; events++) {
		start(x, PROBE_TABLES, false);
		for (int i = 0; i < events; i++)
			sim_step(&x->s.world);
		/* the deletion is over, as far as the index and the chunk go */
		struct index_record r = x->chunks[1].record;
		r.state = INDEX_TOMBSTONE;
		index_record_encode(
			&r, store_model_bytes(x->s.model, STORE_META, partition(0), &len) +
				    INDEX_RECORD_SIZE);
		store_model_put(x->s.model, STORE_DATA, name_of(x, 1), NULL, 0);
		footage_store_wait(&x->s, &x->done);
		assert_string_equal(x->findings, "");
		index_record_encode(&x->chunks[1].record,
			store_model_bytes(x->s.model, STORE_META, partition(0), &len) +
				INDEX_RECORD_SIZE);
		footage_store_object(&x->s, &x->chunks[1]);
	}
}

static void each_read_may_fail(void **state)
{
	struct fixture *x = *state;
	for (unsigned k = 0; k < 20; k++) {
		struct store_model_fault fault = {
			.fate = STORE_MODEL_CHECKSUM, .reads = true, .skip = k, .times = 1};
		store_model_plan(x->s.model, &fault);
		(void)run(x, PROBE_TABLES, false);
		bool hit = !fault.planned;
		store_model_withdraw(&fault);
		/* rot is a finding, not the end */
		assert_int_equal(x->fsck.status, 0);
		assert_true(!hit || x->fsck.findings > 0);
	}
	struct store_model_fault fault = {
		.fate = STORE_MODEL_EIO, .reads = true, .prefix = "chk/", .times = 3};
	store_model_plan(x->s.model, &fault);
	assert_non_null(strstr(run(x, PROBE_ATTRS, false), "object cannot be read"));
	store_model_withdraw(&fault);
}

static void memory_may_fail(void **state)
{
	struct fixture *x = *state;
	static const enum alloc_fail_mode modes[] = {ALLOC_FAIL_ONCE, ALLOC_FAIL_ON};
	for (int m = 0; m < 2; m++) {
		bool failed = true;
		for (unsigned k = 0; failed; k++) {
			alloc_fail_after(k, modes[m]);
			(void)run(x, PROBE_DEEP, true);
			failed = alloc_fail_stop();
			assert_true(failed || x->fsck.status == 0);
		}
		assert_string_equal(x->findings, "");
	}
}

static void stopped_at_any_moment(void **state)
{
	struct fixture *x = *state;
	for (int events = 0; events < 60; events++) {
		start(x, PROBE_DEEP, true);
		for (int i = 0; i < events; i++)
			sim_step(&x->s.world);
		fsck_stop(&x->fsck);
		footage_store_wait(&x->s, &x->done);
		assert_true(x->fsck.status == 0 || x->fsck.status == -ECANCELED);
		fsck_stop(&x->fsck);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(all_is_well_and_what_that_costs),
		TEST(a_chunk_is_gone),
		TEST(a_chunk_is_cut),
		TEST(a_chunk_is_damaged),
		TEST(a_chunk_was_forged),
		TEST(another_chunk_in_its_place),
		TEST(a_record_is_wrong),
		TEST(the_chain_is_broken),
		TEST(a_partition_is_missing),
		TEST(small_objects_are_damaged),
		TEST(chunks_of_intents_are_looked_at),
		TEST(husks_are_well),
		TEST(what_changes_meanwhile_is_not_told),
		TEST(each_read_may_fail),
		TEST(memory_may_fail),
		TEST(stopped_at_any_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
