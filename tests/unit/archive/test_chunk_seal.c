/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/errors.h"
#include "proto/digest.h"
#include "storaged/archive/chunk.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/footage.h"
#include "tests/lib/golden.h"

static void a_whole_chunk_never_changes(void **state)
{
	(void)state;
	struct footage f;
	struct footage_chunk c;
	footage_start(&f, "gate-7/main", true);
	f.picture_bytes = 20;
	footage_chunk_begin(&c, &f, 3, 2);
	c.alignment = 4096;
	footage_chunk_add(&c, &f, GAP_NONE);
	footage_chunk_add(&c, &f, GAP_NONE);
	f.at.us += 20 * US_PER_SECOND;
	footage_chunk_add(&c, &f, GAP_CAMERA_OFF);
	const uint8_t previous[DIGEST_SIZE] = {1, 2, 3};
	footage_chunk_seal(&c, CHUNK_END_FULL, previous);
	golden_check("chunk-1", c.bytes, c.len);
	footage_chunk_fini(&c);
}

static void the_seal_comes_back(void **state)
{
	(void)state;
	struct footage f;
	struct footage_chunk c;
	footage_start(&f, "gate-7/main", true);
	footage_chunk_make(&c, &f, 3, 1, 20);
	const uint8_t *at = c.bytes + c.seal.seal_offset;
	size_t len = c.len - c.seal.seal_offset;
	struct chunk_seal seal;
	struct chunk_table table = {0};
	assert_int_equal(chunk_seal_parse(at, len, &seal, &table), 0);
	assert_int_equal(seal.fragments, 20);
	assert_int_equal(seal.end_reason, CHUNK_END_FULL);
	assert_int_equal(seal.seal_offset, c.seal.seal_offset);
	assert_int_equal(seal.start.us, FOOTAGE_START_US);
	assert_int_equal(seal.end.us, FOOTAGE_START_US + 20 * US_PER_SECOND);
	assert_int_equal(seal.retention.from.us, seal.end.us);
	assert_false(seal.retention.doubtful);
	assert_memory_equal(seal.digest, c.seal.digest, DIGEST_SIZE);
	assert_int_equal(table.fragment_count, 20);
	assert_int_equal(table.fragments[7].offset, c.table.fragments[7].offset);
	chunk_table_fini(&table);
	assert_int_equal(chunk_seal_parse(at, len, &seal, NULL), 0);

	/* the digest is over the previous chunk's and every fragment's */
	struct digest d;
	uint8_t want[DIGEST_SIZE];
	digest_start(&d);
	digest_add(&d, seal.previous_digest, DIGEST_SIZE);
	for (int i = 0; i < 20; i++)
		digest_add(&d, c.table.fragments[i].digest, DIGEST_SIZE);
	assert_int_equal(digest_finish(&d, want), 0);
	assert_memory_equal(want, seal.digest, DIGEST_SIZE);
	footage_chunk_fini(&c);
}

static void a_damaged_seal_is_refused(void **state)
{
	(void)state;
	struct footage f;
	struct footage_chunk c;
	footage_start(&f, "gate-7/main", false);
	footage_chunk_make(&c, &f, 3, 1, 4);
	uint8_t *at = c.bytes + c.seal.seal_offset;
	size_t len = c.len - c.seal.seal_offset;
	struct chunk_seal seal;
	struct chunk_table table = {0};
	struct bytes b = bytes_reader(at, len);
	uint32_t box = bytes_get_u32(&b);
	for (size_t i = 0; i < box; i++) {
		assert_int_equal(chunk_seal_parse(at, i, &seal, &table), ERR_TRUNCATED);
		at[i] ^= 0x11;
		assert_true(chunk_seal_parse(at, len, &seal, &table) < 0);
		assert_null(table.fragments);
		at[i] ^= 0x11;
	}
	static const struct {
		size_t at;
		uint8_t value;
		int code;
	} wrong[] = {{24, 2, ERR_VERSION}, {25, 0, ERR_FORMAT}, {25, 9, ERR_FORMAT},
		{27, 0x80, ERR_FORMAT}, {31, 5, ERR_FORMAT}, {32, 1, ERR_FORMAT},
		{40, 0x80, ERR_FORMAT}, {48, 0, ERR_FORMAT}, {139, 1, ERR_FORMAT}};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint8_t was = at[wrong[i].at];
		at[wrong[i].at] = wrong[i].value;
		struct bytes crc = bytes_writer(at + 140, 4);
		if (wrong[i].at == 48)
			memset(at + 48, 0, 8);
		bytes_put_u32(&crc, crc32c(0, at, 140));
		assert_int_equal(chunk_seal_parse(at, len, &seal, &table), wrong[i].code);
		at[wrong[i].at] = was;
	}
	footage_chunk_fini(&c);
}

static void a_husk_has_a_seal_too(void **state)
{
	(void)state;
	struct chunk_table table = {0};
	struct chunk_seal seal = {.end_reason = CHUNK_END_RECOVERED}, back;
	struct buf *buf = NULL;
	assert_int_equal(chunk_seal_build(&seal, &table, &buf), 0);
	golden_check("chunk-husk-1", buf->data, buf->len);
	assert_int_equal(chunk_seal_parse(buf->data, buf->len, &back, &table), 0);
	assert_int_equal(back.fragments, 0);
	assert_int_equal(back.start.us, 0);
	chunk_table_fini(&table);
	buf_unref(&buf);
}

static struct chunk_retention retention(
	int64_t capture_us, int64_t receipt_us, uint8_t lane, uint8_t source)
{
	struct chunk_retention r = {0};
	const struct fragment_header h = {.lane = lane,
		.clock_source = source,
		.capture = {capture_us},
		.duration_us = 1000,
		.clock_error_us = 5000};
	chunk_retention_add(&r, &h, (struct wall){receipt_us});
	return r;
}

static void retention_counts_from_a_time_that_can_be_believed(void **state)
{
	(void)state;
	const int64_t now = FOOTAGE_START_US, day = US_PER_DAY;
	struct chunk_retention r = retention(now - 1000000, now, LANE_LIVE, CLOCK_RTCP);
	assert_int_equal(r.from.us, now - 999000);
	assert_false(r.doubtful);
	r = retention(now - day - 5000, now, LANE_LIVE, CLOCK_RTCP);
	assert_false(r.doubtful);
	r = retention(now - day - 5001, now, LANE_LIVE, CLOCK_RTCP);
	assert_true(r.doubtful);
	assert_int_equal(r.from.us, now);
	r = retention(now + 400 * day, now, LANE_LIVE, CLOCK_CAMERA); /* a camera in the future */
	assert_true(r.doubtful);
	assert_int_equal(r.from.us, now);
	r = retention(now - 5 * day, now, LANE_BACKFILL, CLOCK_RECORDER_NTP);
	assert_false(r.doubtful);
	assert_int_equal(r.from.us, now - 5 * day + 1000);
	r = retention(now - 5 * day, now, LANE_BACKFILL, CLOCK_CAMERA);
	assert_true(r.doubtful);
	r = retention(now + 5 * day, now, LANE_BACKFILL, CLOCK_RECORDER_NTP);
	assert_true(r.doubtful);
}

static void the_record_says_what_the_chunk_says(void **state)
{
	(void)state;
	struct footage f;
	struct footage_chunk c;
	footage_start(&f, "gate-7/main", true);
	f.lane = LANE_BACKFILL;
	footage_chunk_begin(&c, &f, 3, 2);
	c.header.gap_before = (struct gap){{FOOTAGE_START_US - 9}, {0}, GAP_REFUSED};
	for (int i = 0; i < 12; i++) {
		if (i % 3 == 2)
			f.at.us += 5 * US_PER_SECOND;
		if (i == 7)
			f.flags = FRAGMENT_CLOCK_BACK;
		footage_chunk_add(&c, &f, i % 3 == 2 ? GAP_NETWORK : GAP_NONE);
	}
	c.seal.damaged = true;
	footage_chunk_seal(&c, CHUNK_END_RECOVERED, NULL);
	const struct index_record *r = &c.record;
	assert_int_equal(
		r->flags, INDEX_BACKFILL | INDEX_CLOCK_BACK | INDEX_DAMAGED | INDEX_RECOVERED);
	assert_int_equal(r->fragments, 12);
	assert_int_equal(r->samples[0], 120);
	assert_int_equal(r->syncs[0], 6);
	assert_int_equal(r->samples[1], 300);
	assert_int_equal(r->syncs[1], 300);
	assert_int_equal(r->gap_count, 4);
	assert_int_equal(r->gaps[0].from.us, FOOTAGE_START_US + 2 * US_PER_SECOND);
	assert_int_equal(r->gaps[3].to.us - r->gaps[3].from.us, 5 * US_PER_SECOND);
	assert_int_equal(r->gaps[3].cause, GAP_NETWORK);
	assert_int_equal(r->gap_before.cause, GAP_REFUSED);
	assert_int_equal(r->gap_before.to.us, FOOTAGE_START_US);
	assert_int_equal(r->session, f.session);
	assert_int_equal(r->first_seq, 1);
	assert_int_equal(r->seal_offset, c.seal.seal_offset);
	assert_int_equal(index_record_frame_us(r), 100000);
	footage_chunk_fini(&c);

	footage_chunk_begin(&c, &f, 3, 3);
	footage_chunk_seal(&c, CHUNK_END_RECOVERED, NULL);
	assert_true(c.record.flags & INDEX_EMPTY);
	assert_int_equal(c.record.first_seq, 0);
	footage_chunk_fini(&c);
}

static void build_without_memory(void *user)
{
	const struct chunk_table *table = user;
	struct chunk_seal seal = {.end_reason = CHUNK_END_FULL}, back;
	struct chunk_table decoded = {0};
	struct buf *buf = NULL;
	if (chunk_seal_build(&seal, table, &buf) == 0)
		(void)chunk_seal_parse(buf->data, buf->len, &back, &decoded);
	else
		assert_null(buf);
	chunk_table_fini(&decoded);
	buf_unref(&buf);
}

static void memory_may_fail(void **state)
{
	(void)state;
	struct footage f;
	struct footage_chunk c;
	footage_start(&f, "gate-7/main", true);
	footage_chunk_make(&c, &f, 3, 1, 4);
	alloc_fail_sweep(build_without_memory, &c.table);
	footage_chunk_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_chunk_never_changes),
		cmocka_unit_test(the_seal_comes_back),
		cmocka_unit_test(a_damaged_seal_is_refused),
		cmocka_unit_test(a_husk_has_a_seal_too),
		cmocka_unit_test(retention_counts_from_a_time_that_can_be_believed),
		cmocka_unit_test(the_record_says_what_the_chunk_says),
		cmocka_unit_test(memory_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
