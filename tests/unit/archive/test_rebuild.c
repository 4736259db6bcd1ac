/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/rebuild.h"

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
#include "storaged/archive/objects.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/footage_store.h"

#define STREAM "gate-7/main"
#define CHUNKS 5

struct fixture {
	struct footage_store s;
	struct footage f;
	struct footage_chunk chunks[CHUNKS];
	struct rebuild rebuild;
	struct fsck fsck;
	bool done;
	char findings[2000]; /* "seq: what; ..." with a ! where nothing was repaired */
};

static void add_finding(struct fixture *x, const struct fsck_finding *finding)
{
	char stream[STREAM_NAME_MAX + 1];
	struct chunk_id id;
	size_t len = strlen(x->findings);
	const char *mark = finding->repaired ? "" : "!";
	if (chunk_name_parse(finding->object, stream, &id) == 0)
		snprintf(x->findings + len, sizeof(x->findings) - len, "%u: %s%s; ", id.seq,
			finding->what, mark);
	else
		snprintf(x->findings + len, sizeof(x->findings) - len, "%s%s; ", finding->what,
			mark);
}

static void on_finding(struct rebuild *r, const struct fsck_finding *finding)
{
	add_finding(container_of(r, struct fixture, rebuild), finding);
}

static void on_done(struct rebuild *r)
{
	struct fixture *x = container_of(r, struct fixture, rebuild);
	assert_false(x->done);
	x->done = true;
}

static void start(struct fixture *x)
{
	x->findings[0] = 0;
	x->done = false;
	x->rebuild = (struct rebuild){
		.loop = &x->s.loop.loop,
		.store = x->s.store,
		.stream = STREAM,
		.owner = "fsck:77",
		.finding = on_finding,
		.done = on_done,
	};
	rebuild_start(&x->rebuild);
	assert_false(x->done);
}

static const char *run(struct fixture *x)
{
	start(x);
	footage_store_wait(&x->s, &x->done);
	return x->findings;
}

static void on_fsck_finding(struct fsck *f, const struct fsck_finding *finding)
{
	add_finding(container_of(f, struct fixture, fsck), finding);
}

static void on_fsck_done(struct fsck *f)
{
	container_of(f, struct fixture, fsck)->done = true;
}

static const char *check(struct fixture *x)
{
	x->findings[0] = 0;
	x->done = false;
	x->fsck = (struct fsck){
		.loop = &x->s.loop.loop,
		.store = x->s.store,
		.stream = STREAM,
		.level = PROBE_DEEP,
		.list = true,
		.finding = on_fsck_finding,
		.done = on_fsck_done,
	};
	fsck_start(&x->fsck);
	footage_store_wait(&x->s, &x->done);
	assert_int_equal(x->fsck.status, 0);
	return x->findings;
}

/* Chunks of two epochs over midnight, one after a hole, one with a hole inside, one overlapping,
 * chained. */
static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	int32_t today = wall_day((struct wall){FOOTAGE_START_US});
	footage_store_open(&x->s, STREAM);
	footage_start(&x->f, STREAM, true);
	for (uint32_t i = 0; i < CHUNKS; i++) {
		struct footage_chunk *c = &x->chunks[i];
		struct gap gap = {x->f.at, {0}, i == 3 ? GAP_CAMERA_OFF : GAP_NONE};
		if (i == 3)
			x->f.at.us += 10800 * US_PER_SECOND;
		if (i == 2)
			x->f.at.us -= 2 * US_PER_SECOND;
		gap.to = x->f.at;
		footage_chunk_begin(c, &x->f, i < 2 ? 2 : 3, i + 1);
		c->header.gap_before = gap;
		/* the header is in the bytes already */
		struct buf *head = NULL;
		assert_int_equal(chunk_head_build(&c->header, c->bytes, c->init_len, &head), 0);
		memcpy(c->bytes, head->data, head->len);
		buf_unref(&head);
		for (int k = 0; k < 6; k++) {
			if (i == 1 && k == 3)
				x->f.at.us += 7 * US_PER_SECOND;
			footage_chunk_add(c, &x->f, i == 1 && k == 3 ? GAP_NETWORK : GAP_NONE);
		}
		footage_chunk_seal(c, i == 1 ? CHUNK_END_RECOVERED : CHUNK_END_FULL,
			i ? x->chunks[i - 1].seal.digest : NULL);
		if (i == 2)
			c->record.flags |= INDEX_OVERLAP;
		footage_store_chunk(&x->s, c);
	}
	x->s.head.sessions[x->s.head.session_count++] = (struct head_session){
		x->f.session, x->f.seq, x->chunks[CHUNKS - 1].seal.end, false};
	x->s.head.last_chunk = x->chunks[CHUNKS - 1].header.id;
	memcpy(x->s.head.last_digest, x->chunks[CHUNKS - 1].seal.digest, DIGEST_SIZE);
	x->s.head.last_end = x->chunks[CHUNKS - 1].seal.end;
	footage_store_head(&x->s);
	footage_store_days(&x->s, (const int32_t[]){today, today + 1}, 2);
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

static const char *partition(int day)
{
	static char name[STORE_NAME_MAX + 1];
	index_partition_name(name, STREAM, wall_day((struct wall){FOOTAGE_START_US}) + day);
	return name;
}

static const char *head_of(void)
{
	static char name[STORE_NAME_MAX + 1];
	head_name(name, STREAM);
	return name;
}

static const char *days_of(void)
{
	static char name[STORE_NAME_MAX + 1];
	index_days_name(name, STREAM);
	return name;
}

static void lose(struct fixture *x, const char *name)
{
	store_model_put(x->s.model, STORE_META, name, NULL, 0);
}

/* An object's bytes now, to be compared later. */
struct copy {
	uint8_t *data;
	size_t len;
};

static struct copy copy_of(struct fixture *x, const char *name)
{
	struct copy c;
	const uint8_t *bytes = store_model_bytes(x->s.model, STORE_META, name, &c.len);
	assert_non_null(bytes);
	c.data = malloc(c.len + 1);
	memcpy(c.data, bytes, c.len);
	return c;
}

static void assert_as_before(struct fixture *x, const char *name, struct copy *before)
{
	size_t len;
	const uint8_t *bytes = store_model_bytes(x->s.model, STORE_META, name, &len);
	assert_non_null(bytes);
	assert_int_equal(len, before->len);
	assert_memory_equal(bytes, before->data, len);
	free(before->data);
}

static void assert_attr(struct fixture *x, const char *name, const char *attr, const char *want)
{
	size_t len;
	const void *value = store_model_attr(x->s.model, STORE_META, name, attr, &len);
	assert_int_equal(len, strlen(want));
	assert_memory_equal(value, want, len);
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void what_is_whole_stays_as_it_is(void **state)
{
	struct fixture *x = *state;
	assert_string_equal(
		run(x), ""); /* the totals of the days were zero: no finding, but they are made */
	struct copy head = copy_of(x, head_of()), today = copy_of(x, partition(0)),
		    days = copy_of(x, days_of());
	(void)footage_store_cost(&x->s);
	assert_string_equal(run(x), "");
	assert_int_equal(x->rebuild.status, 0);
	assert_int_equal(x->rebuild.chunks, CHUNKS);
	assert_int_equal(footage_store_cost(&x->s).writes, 2); /* taken and yielded */
	assert_as_before(x, head_of(), &head);
	assert_as_before(x, partition(0), &today);
	assert_as_before(x, days_of(), &days);
	assert_attr(x, head_of(), ATTR_EPOCH, "0000000000000005");
	assert_attr(x, head_of(), ATTR_OWNER, "");
}

static void a_lost_partition_comes_back_byte_for_byte(void **state)
{
	struct fixture *x = *state;
	struct copy today = copy_of(x, partition(0)), tomorrow = copy_of(x, partition(1));
	lose(x, partition(0));
	lose(x, partition(1));
	assert_string_equal(run(x),
		"1: record was missing; 2: record was missing; 3: record was missing; "
		"4: record was missing; 5: record was missing; ");
	assert_int_equal(x->rebuild.status, 0);
	assert_as_before(x, partition(0), &today);
	assert_as_before(x, partition(1), &tomorrow);
	assert_attr(x, partition(0), ATTR_VER, "00000000000000040000000000000001");
	assert_string_equal(check(x), "");
}

static void a_damaged_record_comes_back(void **state)
{
	struct fixture *x = *state;
	size_t len;
	store_model_bytes(x->s.model, STORE_META, partition(0), &len)[INDEX_RECORD_SIZE + 33] ^= 1;
	assert_string_equal(run(x), "damaged records were dropped; 2: record was missing; ");
	assert_attr(x, partition(0), ATTR_VER, "00000000000000040000000000000004");
	assert_string_equal(check(x), "");
	/* rot that the store itself finds: all of the body is lost */
	struct store_model_fault fault = {.fate = STORE_MODEL_CHECKSUM,
		.reads = true,
		.prefix = partition(0),
		.skip = 0,
		.times = 2};
	store_model_plan(x->s.model, &fault);
	assert_string_equal(run(x),
		"damaged records were dropped; 1: record was missing; 2: record was missing; "
		"3: record was missing; ");
	store_model_withdraw(&fault);
	assert_string_equal(check(x), "");
}

static void a_wrong_record_is_made_right(void **state)
{
	struct fixture *x = *state;
	size_t len;
	struct copy today = copy_of(x, partition(0));
	struct index_record r = x->chunks[2].record;
	r.samples[0] += 7;
	index_record_encode(&r, store_model_bytes(x->s.model, STORE_META, partition(0), &len) +
					2 * INDEX_RECORD_SIZE);
	assert_string_equal(run(x), "3: record did not match its chunk; ");
	assert_as_before(x, partition(0), &today);
}

static void what_was_deleted_stays_deleted(void **state)
{
	struct fixture *x = *state;
	size_t len;
	struct index_record r = x->chunks[0].record;
	r.state = INDEX_TOMBSTONE;
	index_record_encode(&r, store_model_bytes(x->s.model, STORE_META, partition(0), &len));
	r = x->chunks[1].record;
	r.state = INDEX_DROPPING;
	index_record_encode(&r,
		store_model_bytes(x->s.model, STORE_META, partition(0), &len) + INDEX_RECORD_SIZE);
	struct copy today = copy_of(x, partition(0));
	assert_string_equal(run(x), "");
	assert_as_before(x, partition(0), &today);
}

static void a_lost_chunk_is_told_and_its_record_kept(void **state)
{
	struct fixture *x = *state;
	char name[STORE_NAME_MAX + 1];
	struct copy today = copy_of(x, partition(0));
	chunk_name(name, STREAM, &x->chunks[1].header.id);
	store_model_put(x->s.model, STORE_DATA, name, NULL, 0);
	assert_string_equal(run(x), "2: chunk is missing!; ");
	assert_as_before(x, partition(0), &today);
	/* a damaged one has a record that knows more than is left of it */
	today = copy_of(x, partition(0));
	chunk_name(name, STREAM, &x->chunks[2].header.id);
	size_t len;
	store_model_bytes(x->s.model, STORE_DATA, name, &len)[x->chunks[2].seal.seal_offset + 40] ^=
		1;
	assert_string_equal(run(x), "3: bytes between fragments are damaged!; 3: seal is damaged!; "
				    "2: chunk is missing!; ");
	assert_as_before(x, partition(0), &today);
}

static void a_lost_days_object_comes_back(void **state)
{
	struct fixture *x = *state;
	size_t len;
	assert_string_equal(run(x), "");
	struct copy days = copy_of(x, days_of());
	lose(x, days_of());
	assert_string_equal(run(x), "days object was lost; ");
	assert_as_before(x, days_of(), &days);
	days = copy_of(x, days_of());
	store_model_bytes(x->s.model, STORE_META, days_of(), &len)[30] ^= 1;
	assert_string_equal(run(x), "days object was lost; ");
	assert_as_before(x, days_of(), &days);
	struct index_days d;
	const uint8_t *bytes = store_model_bytes(x->s.model, STORE_META, days_of(), &len);
	assert_int_equal(index_days_decode(bytes, len, &d), 0);
	assert_int_equal(d.count, 2);
	assert_int_equal(d.days[0].bytes, x->chunks[0].len + x->chunks[1].len + x->chunks[2].len);
	assert_int_equal(d.days[0].gap_seconds[GAP_NETWORK], 7);
	index_days_fini(&d);
}

static void a_lost_head_comes_back(void **state)
{
	struct fixture *x = *state;
	struct footage_chunk open;
	size_t len;
	footage_chunk_begin(&open, &x->f, 3, 6);
	footage_chunk_add(&open, &x->f, GAP_NONE);
	footage_store_object(&x->s, &open);
	struct copy head = copy_of(x, head_of());
	lose(x, head_of());
	/* the owner had written a partition under an epoch of which no chunk is left */
	store_model_put_attr(
		x->s.model, STORE_META, partition(1), ATTR_VER, "00000000000000090000000000000007");
	assert_string_equal(run(x), "head was missing; ");
	assert_int_equal(x->rebuild.status, 0);
	assert_as_before(x, head_of(), &head);
	assert_attr(x, head_of(), ATTR_EPOCH, "000000000000000a");
	head = copy_of(x, head_of());
	store_model_bytes(x->s.model, STORE_META, head_of(), &len)[100] ^= 1;
	assert_string_equal(run(x), "head was damaged; ");
	assert_as_before(x, head_of(), &head);
	head = copy_of(x, head_of());
	store_model_put_attr(x->s.model, STORE_META, head_of(), ATTR_VER, "?");
	assert_string_equal(run(x), "head was damaged; ");
	assert_as_before(x, head_of(), &head);
	footage_chunk_fini(&open);
}

static void all_of_it_is_lost(void **state)
{
	struct fixture *x = *state;
	struct copy head = copy_of(x, head_of()), today = copy_of(x, partition(0)),
		    tomorrow = copy_of(x, partition(1));
	lose(x, head_of());
	lose(x, days_of());
	lose(x, partition(0));
	lose(x, partition(1));
	(void)run(x);
	assert_int_equal(x->rebuild.status, 0);
	assert_as_before(x, head_of(), &head);
	assert_as_before(x, partition(0), &today);
	assert_as_before(x, partition(1), &tomorrow);
	assert_string_equal(check(x), "");
	/* nothing at all */
	char name[STORE_NAME_MAX + 1];
	for (int i = 0; i < CHUNKS; i++) {
		chunk_name(name, STREAM, &x->chunks[i].header.id);
		store_model_put(x->s.model, STORE_DATA, name, NULL, 0);
	}
	lose(x, head_of());
	lose(x, days_of());
	lose(x, partition(0));
	lose(x, partition(1));
	assert_string_equal(run(x), "");
	assert_int_equal(x->rebuild.status, -ENOENT);
}

static void a_husk_goes_where_its_neighbour_is(void **state)
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
	assert_string_equal(run(x), "9: record was missing; ");
	assert_string_equal(check(x), "");
	assert_string_equal(run(x), "");
	buf_unref(&buf);
}

/* --- when things fail --------------------------------------------------------------------------
 */

/* Another daemon takes the stream at some moment: the rebuild is over, and writes nothing more. */
static void taken_by_another_at_any_moment(void **state)
{
	struct fixture *x = *state;
	for (int events = 1; events < 60; events++) {
		lose(x, partition(0));
		lose(x, partition(1));
		footage_store_head(&x->s); /* epoch 3 again */
		start(x);
		for (int i = 0; i < events && !x->done; i++)
			sim_step(&x->s.world);
		bool was_done = x->done;
		store_model_put_attr(
			x->s.model, STORE_META, head_of(), ATTR_EPOCH, "00000000000000ff");
		store_model_put_attr(x->s.model, STORE_META, head_of(), ATTR_OWNER, "n2:1");
		footage_store_wait(&x->s, &x->done);
		if (!was_done)
			assert_true(x->rebuild.status == ERR_FENCED || x->rebuild.status == 0);
		if (x->rebuild.status == ERR_FENCED)
			assert_attr(x, head_of(), ATTR_OWNER, "n2:1");
		if (store_model_exists(x->s.model, STORE_META, days_of()))
			lose(x, days_of());
	}
}

static void outcomes_that_are_unknown(void **state)
{
	struct fixture *x = *state;
	struct store_model_options *options = store_model_options(x->s.model);
	for (int round = 0; round < 20; round++) {
		struct copy today = copy_of(x, partition(0));
		lose(x, partition(0));
		lose(x, days_of());
		options->unknown_applied = options->unknown_lost = 2000;
		options->unknown_after_ns = NS_PER_SECOND;
		(void)run(x);
		options->unknown_applied = options->unknown_lost = 0;
		assert_int_equal(x->rebuild.status, 0);
		assert_as_before(x, partition(0), &today);
	}
}

static void each_operation_may_fail(void **state)
{
	struct fixture *x = *state;
	int ended = 0;
	for (unsigned k = 0; k < 40; k++) {
		struct store_model_fault fault = {
			.fate = STORE_MODEL_EIO, .reads = true, .skip = k, .times = 1};
		lose(x, partition(0));
		store_model_plan(x->s.model, &fault);
		(void)run(x);
		store_model_withdraw(&fault);
		assert_true(x->rebuild.status == 0 || x->rebuild.status == -EIO);
		ended += x->rebuild.status < 0;
		(void)run(x);
		assert_string_equal(check(x), "");
	}
	assert_true(ended >= 3);
	/* a store that is full says so in the end */
	struct store_model_fault fault = {
		.fate = STORE_MODEL_ENOSPC, .prefix = "idx/", .times = 1000};
	lose(x, partition(0));
	store_model_plan(x->s.model, &fault);
	(void)run(x);
	store_model_withdraw(&fault);
	assert_int_equal(x->rebuild.status, -ENOSPC);
}

static void memory_may_fail(void **state)
{
	struct fixture *x = *state;
	static const enum alloc_fail_mode modes[] = {ALLOC_FAIL_ONCE, ALLOC_FAIL_ON};
	for (int m = 0; m < 2; m++) {
		bool failed = true;
		for (unsigned k = 0; failed; k++) {
			lose(x, partition(0));
			lose(x, days_of());
			lose(x, head_of());
			alloc_fail_after(k, modes[m]);
			start(x);
			bool told = x->done;
			for (int i = 0; i < 4000 && !x->done; i++)
				sim_step(&x->s.world);
			failed = alloc_fail_stop();
			/* writes are tried again until there is memory */
			footage_store_wait(&x->s, &x->done);
			assert_false(told);
			assert_true(failed || x->rebuild.status == 0);
			(void)run(x);
			assert_int_equal(x->rebuild.status, 0);
		}
		assert_string_equal(check(x), "");
	}
}

static void stopped_at_any_moment(void **state)
{
	struct fixture *x = *state;
	for (int events = 0; events < 80; events++) {
		lose(x, partition(0));
		start(x);
		for (int i = 0; i < events; i++)
			sim_step(&x->s.world);
		rebuild_stop(&x->rebuild);
		footage_store_wait(&x->s, &x->done);
		assert_true(x->rebuild.status == 0 || x->rebuild.status == -ECANCELED);
	}
	(void)run(x);
	assert_string_equal(check(x), "");
}

/* --- which streams there are -------------------------------------------------------------------
 */

static bool streams_told;

static void on_streams(struct object_streams *s)
{
	(void)s;
	streams_told = true;
}

static void all_streams(void **state)
{
	struct fixture *x = *state;
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
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
		TEST(taken_by_another_at_any_moment),
		TEST(outcomes_that_are_unknown),
		TEST(each_operation_may_fail),
		TEST(memory_may_fail),
		TEST(stopped_at_any_moment),
		TEST(all_streams),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
