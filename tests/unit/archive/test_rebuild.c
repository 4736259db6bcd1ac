/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errors.h"
#include "storaged/archive/attrs.h"
#include "storaged/archive/objects.h"
#include "tests/lib/alloc_fail.h"
#include "tests/unit/archive/rebuilding.h"

/* --- tests --- */

static void what_is_whole_stays_as_it_is(void **state)
{
	struct rebuilding_desk *x = *state;
	assert_string_equal(rebuilding_run(x),
		""); /* the totals of the days were zero: no finding, but they are made */
	struct rebuilding_copy head = rebuilding_copy_of(x, rebuilding_head_of()),
			       today = rebuilding_copy_of(x, rebuilding_partition(0)),
			       days = rebuilding_copy_of(x, rebuilding_days_of());
	(void)footage_store_cost(&x->s);
	assert_string_equal(rebuilding_run(x), "");
	assert_int_equal(x->rebuild.status, 0);
	assert_int_equal(x->rebuild.chunks, CHUNKS);
	assert_int_equal(footage_store_cost(&x->s).writes, 2); /* taken and yielded */
	rebuilding_assert_as_before(x, rebuilding_head_of(), &head);
	rebuilding_assert_as_before(x, rebuilding_partition(0), &today);
	rebuilding_assert_as_before(x, rebuilding_days_of(), &days);
	rebuilding_assert_attr(x, rebuilding_head_of(), ATTR_EPOCH, "0000000000000005");
	rebuilding_assert_attr(x, rebuilding_head_of(), ATTR_OWNER, "");
}

static void a_lost_partition_comes_back_byte_for_byte(void **state)
{
	struct rebuilding_desk *x = *state;
	struct rebuilding_copy today = rebuilding_copy_of(x, rebuilding_partition(0)),
			       tomorrow = rebuilding_copy_of(x, rebuilding_partition(1));
	rebuilding_lose(x, rebuilding_partition(0));
	rebuilding_lose(x, rebuilding_partition(1));
	assert_string_equal(rebuilding_run(x),
		"1: record was missing; 2: record was missing; 3: record was missing; "
		"4: record was missing; 5: record was missing; ");
	assert_int_equal(x->rebuild.status, 0);
	rebuilding_assert_as_before(x, rebuilding_partition(0), &today);
	rebuilding_assert_as_before(x, rebuilding_partition(1), &tomorrow);
	rebuilding_assert_attr(
		x, rebuilding_partition(0), ATTR_VER, "00000000000000040000000000000001");
	assert_string_equal(rebuilding_check(x), "");
}

static void a_damaged_record_comes_back(void **state)
{
	struct rebuilding_desk *x = *state;
	size_t len;
	store_model_bytes(
		x->s.model, STORE_META, rebuilding_partition(0), &len)[INDEX_RECORD_SIZE + 33] ^= 1;
	assert_string_equal(
		rebuilding_run(x), "damaged records were dropped; 2: record was missing; ");
	rebuilding_assert_attr(
		x, rebuilding_partition(0), ATTR_VER, "00000000000000040000000000000004");
	assert_string_equal(rebuilding_check(x), "");
	/* rot that the store itself finds: all of the body is lost */
	struct store_model_fault fault = {.fate = STORE_MODEL_CHECKSUM,
		.reads = true,
		.prefix = rebuilding_partition(0),
		.skip = 0,
		.times = 2};
	store_model_plan(x->s.model, &fault);
	assert_string_equal(rebuilding_run(x),
		"damaged records were dropped; 1: record was missing; 2: record was missing; "
		"3: record was missing; ");
	store_model_withdraw(&fault);
	assert_string_equal(rebuilding_check(x), "");
}

static void a_wrong_record_is_made_right(void **state)
{
	struct rebuilding_desk *x = *state;
	size_t len;
	struct rebuilding_copy today = rebuilding_copy_of(x, rebuilding_partition(0));
	struct index_record r = x->chunks[2].record;
	r.samples[0] += 7;
	index_record_encode(
		&r, store_model_bytes(x->s.model, STORE_META, rebuilding_partition(0), &len) +
			    2 * INDEX_RECORD_SIZE);
	assert_string_equal(rebuilding_run(x), "3: record did not match its chunk; ");
	rebuilding_assert_as_before(x, rebuilding_partition(0), &today);
}

static void what_was_deleted_stays_deleted(void **state)
{
	struct rebuilding_desk *x = *state;
	size_t len;
	struct index_record r = x->chunks[0].record;
	r.state = INDEX_TOMBSTONE;
	index_record_encode(
		&r, store_model_bytes(x->s.model, STORE_META, rebuilding_partition(0), &len));
	r = x->chunks[1].record;
	r.state = INDEX_DROPPING;
	index_record_encode(
		&r, store_model_bytes(x->s.model, STORE_META, rebuilding_partition(0), &len) +
			    INDEX_RECORD_SIZE);
	struct rebuilding_copy today = rebuilding_copy_of(x, rebuilding_partition(0));
	assert_string_equal(rebuilding_run(x), "");
	rebuilding_assert_as_before(x, rebuilding_partition(0), &today);
}

static void a_lost_chunk_is_told_and_its_record_kept(void **state)
{
	struct rebuilding_desk *x = *state;
	char name[STORE_NAME_MAX + 1];
	struct rebuilding_copy today = rebuilding_copy_of(x, rebuilding_partition(0));
	chunk_name(name, STREAM, &x->chunks[1].header.id);
	store_model_put(x->s.model, STORE_DATA, name, NULL, 0);
	assert_string_equal(rebuilding_run(x), "2: chunk is missing!; ");
	rebuilding_assert_as_before(x, rebuilding_partition(0), &today);
	/* a damaged one has a record that knows more than is left of it */
	today = rebuilding_copy_of(x, rebuilding_partition(0));
	chunk_name(name, STREAM, &x->chunks[2].header.id);
	size_t len;
	store_model_bytes(x->s.model, STORE_DATA, name, &len)[x->chunks[2].seal.seal_offset + 40] ^=
		1;
	assert_string_equal(rebuilding_run(x),
		"3: bytes between fragments are damaged!; 3: seal is damaged!; "
		"2: chunk is missing!; ");
	rebuilding_assert_as_before(x, rebuilding_partition(0), &today);
}

static void a_lost_days_object_comes_back(void **state)
{
	struct rebuilding_desk *x = *state;
	size_t len;
	assert_string_equal(rebuilding_run(x), "");
	struct rebuilding_copy days = rebuilding_copy_of(x, rebuilding_days_of());
	rebuilding_lose(x, rebuilding_days_of());
	assert_string_equal(rebuilding_run(x), "days object was lost; ");
	rebuilding_assert_as_before(x, rebuilding_days_of(), &days);
	days = rebuilding_copy_of(x, rebuilding_days_of());
	store_model_bytes(x->s.model, STORE_META, rebuilding_days_of(), &len)[30] ^= 1;
	assert_string_equal(rebuilding_run(x), "days object was lost; ");
	rebuilding_assert_as_before(x, rebuilding_days_of(), &days);
	struct index_days d;
	const uint8_t *bytes =
		store_model_bytes(x->s.model, STORE_META, rebuilding_days_of(), &len);
	assert_int_equal(index_days_decode(bytes, len, &d), 0);
	assert_int_equal(d.count, 2);
	assert_int_equal(d.days[0].bytes, x->chunks[0].len + x->chunks[1].len + x->chunks[2].len);
	assert_int_equal(d.days[0].gap_seconds[GAP_NETWORK], 7);
	index_days_fini(&d);
}

static void a_lost_head_comes_back(void **state)
{
	struct rebuilding_desk *x = *state;
	struct footage_chunk open;
	size_t len;
	footage_chunk_begin(&open, &x->f, 3, 6);
	footage_chunk_add(&open, &x->f, GAP_NONE);
	footage_store_object(&x->s, &open);
	struct rebuilding_copy head = rebuilding_copy_of(x, rebuilding_head_of());
	rebuilding_lose(x, rebuilding_head_of());
	/* the owner had written a partition under an epoch of which no chunk is left */
	store_model_put_attr(x->s.model, STORE_META, rebuilding_partition(1), ATTR_VER,
		"00000000000000090000000000000007");
	assert_string_equal(rebuilding_run(x), "head was missing; ");
	assert_int_equal(x->rebuild.status, 0);
	rebuilding_assert_as_before(x, rebuilding_head_of(), &head);
	rebuilding_assert_attr(x, rebuilding_head_of(), ATTR_EPOCH, "000000000000000a");
	head = rebuilding_copy_of(x, rebuilding_head_of());
	store_model_bytes(x->s.model, STORE_META, rebuilding_head_of(), &len)[100] ^= 1;
	assert_string_equal(rebuilding_run(x), "head was damaged; ");
	rebuilding_assert_as_before(x, rebuilding_head_of(), &head);
	head = rebuilding_copy_of(x, rebuilding_head_of());
	store_model_put_attr(x->s.model, STORE_META, rebuilding_head_of(), ATTR_VER, "?");
	assert_string_equal(rebuilding_run(x), "head was damaged; ");
	rebuilding_assert_as_before(x, rebuilding_head_of(), &head);
	footage_chunk_fini(&open);
}

static void all_of_it_is_lost(void **state)
{
	struct rebuilding_desk *x = *state;
	struct rebuilding_copy head = rebuilding_copy_of(x, rebuilding_head_of()),
			       today = rebuilding_copy_of(x, rebuilding_partition(0)),
			       tomorrow = rebuilding_copy_of(x, rebuilding_partition(1));
	rebuilding_lose(x, rebuilding_head_of());
	rebuilding_lose(x, rebuilding_days_of());
	rebuilding_lose(x, rebuilding_partition(0));
	rebuilding_lose(x, rebuilding_partition(1));
	(void)rebuilding_run(x);
	assert_int_equal(x->rebuild.status, 0);
	rebuilding_assert_as_before(x, rebuilding_head_of(), &head);
	rebuilding_assert_as_before(x, rebuilding_partition(0), &today);
	rebuilding_assert_as_before(x, rebuilding_partition(1), &tomorrow);
	assert_string_equal(rebuilding_check(x), "");
	/* nothing at all */
	char name[STORE_NAME_MAX + 1];
	for (int i = 0; i < CHUNKS; i++) {
		chunk_name(name, STREAM, &x->chunks[i].header.id);
		store_model_put(x->s.model, STORE_DATA, name, NULL, 0);
	}
	rebuilding_lose(x, rebuilding_head_of());
	rebuilding_lose(x, rebuilding_days_of());
	rebuilding_lose(x, rebuilding_partition(0));
	rebuilding_lose(x, rebuilding_partition(1));
	assert_string_equal(rebuilding_run(x), "");
	assert_int_equal(x->rebuild.status, -ENOENT);
}

static void a_husk_goes_where_its_neighbour_is(void **state)
{
	struct rebuilding_desk *x = *state;
	struct chunk_table none = {0};
	struct footage_chunk husk = {.header = {.id = {3, 9, 0}},
		.seal = {.end_reason = CHUNK_END_RECOVERED},
		.sealed = true};
	struct buf *buf = NULL;
	assert_int_equal(chunk_seal_build(&husk.seal, &none, &buf), 0);
	husk.bytes = buf->data;
	husk.len = buf->len;
	footage_store_object(&x->s, &husk);
	assert_string_equal(rebuilding_run(x), "9: record was missing; ");
	assert_string_equal(rebuilding_check(x), "");
	assert_string_equal(rebuilding_run(x), "");
	buf_unref(&buf);
}

/* --- which streams there are --- */

static bool streams_told;

static void on_streams(struct object_streams *s)
{
	(void)s;
	streams_told = true;
}

static void all_streams(void **state)
{
	struct rebuilding_desk *x = *state;
	struct object_streams s = {.store = x->s.store, .done = on_streams};
	store_model_put(x->s.model, STORE_META, "idx/only-index/main/20240101", "", 0);
	store_model_put(x->s.model, STORE_META, "idx/only-index/main/20240102", "", 0);
	store_model_put(x->s.model, STORE_DATA,
		"chk/only-chunks/sub/0000000000000001.00000001.0000", "", 0);
	store_model_put(x->s.model, STORE_DATA, "chk/strange", "", 0);
	streams_told = false;
	object_streams_start(&s);
	footage_store_wait(&x->s, &streams_told);
	assert_int_equal(s.status, 0);
	assert_int_equal(s.count, 3);
	assert_string_equal(s.names[0], STREAM);
	assert_string_equal(s.names[1], "only-chunks/sub");
	assert_string_equal(s.names[2], "only-index/main");
	object_streams_fini(&s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rebuilding_setup, rebuilding_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_whole_stays_as_it_is),
		TEST(a_lost_partition_comes_back_byte_for_byte),
		TEST(a_damaged_record_comes_back),
		TEST(a_wrong_record_is_made_right),
		TEST(what_was_deleted_stays_deleted),
		TEST(a_lost_chunk_is_told_and_its_record_kept),
		TEST(a_lost_days_object_comes_back),
		TEST(a_lost_head_comes_back),
		TEST(all_of_it_is_lost),
		TEST(a_husk_goes_where_its_neighbour_is),
		TEST(all_streams),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
