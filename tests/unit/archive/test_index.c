/* SPDX-License-Identifier: Apache-2.0 */
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
#include "storaged/archive/index.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/golden.h"

#define START_US INT64_C(1795470000000000)

static struct index_record sample(void)
{
	struct index_record r = {
		.state = INDEX_LIVE,
		.pool = STORE_DATA,
		.flags = INDEX_OVERLAP | INDEX_RECOVERED,
		.chunk = {7, 41, 2},
		.start = {START_US},
		.end = {START_US + 60000000},
		.retention = {START_US + 60000000},
		.bytes = 5000000,
		.seal_offset = 4990000,
		.fragments = 58,
		.samples = {580, 1200, 3, 0},
		.syncs = {29, 1200, 3, 0},
		.gap_before = {{START_US - 9000000}, {START_US}, GAP_CAMERA_OFF},
		.gap_count = 2,
		.session = 0x1122334455667788,
		.first_seq = 4711,
		.head_len = 900,
		.init_crc = 0xdeadbeef,
		.lane = LANE_BACKFILL,
		.end_reason = CHUNK_END_FULL,
		.rule = 3,
	};
	r.gaps[0] = (struct gap){{START_US + 1000000}, {START_US + 2000000}, GAP_NETWORK};
	r.gaps[1] = (struct gap){{START_US + 59000001}, {START_US + 60000000}, GAP_UNKNOWN};
	memset(r.digest, 0x5a, sizeof(r.digest));
	return r;
}

static void mend(uint8_t *record)
{
	struct bytes b = bytes_writer(record + INDEX_RECORD_SIZE - 4, 4);
	bytes_put_u32(&b, crc32c(0, record, INDEX_RECORD_SIZE - 4));
}

static void a_record_comes_back(void **state)
{
	(void)state;
	const struct index_record r = sample();
	struct index_record back;
	uint8_t bytes[INDEX_RECORD_SIZE];
	index_record_encode(&r, bytes);
	golden_check("index-record-1", bytes, sizeof(bytes));
	memset(&back, 0, sizeof(back));
	assert_int_equal(index_record_decode(bytes, &back), 0);
	assert_int_equal(back.flags, r.flags);
	assert_int_equal(back.chunk.epoch, 7);
	assert_int_equal(back.chunk.seq, 41);
	assert_int_equal(back.chunk.gen, 2);
	assert_int_equal(back.end.us, r.end.us);
	assert_int_equal(back.bytes, r.bytes);
	assert_int_equal(back.seal_offset, r.seal_offset);
	assert_memory_equal(back.samples, r.samples, sizeof(r.samples));
	assert_memory_equal(back.syncs, r.syncs, sizeof(r.syncs));
	assert_int_equal(back.gap_before.to.us, START_US);
	assert_int_equal(back.gap_count, 2);
	assert_int_equal(back.gaps[1].from.us, r.gaps[1].from.us);
	assert_int_equal(back.gaps[1].to.us, r.gaps[1].to.us);
	assert_int_equal(back.gaps[0].cause, GAP_NETWORK);
	assert_int_equal(back.first_seq, 4711);
	uint8_t again[INDEX_RECORD_SIZE];
	index_record_encode(&back, again);
	assert_memory_equal(bytes, again, sizeof(bytes));
	assert_int_equal(index_record_frame_us(&back), (60000000 - 1000000 - 999999) / 580);
}

static void a_damaged_record_is_refused(void **state)
{
	(void)state;
	const struct index_record r = sample();
	struct index_record back;
	uint8_t bytes[INDEX_RECORD_SIZE];
	index_record_encode(&r, bytes);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] ^= 4;
		assert_int_equal(index_record_decode(bytes, &back), ERR_CHECKSUM);
		bytes[i] ^= 4;
	}
	static const struct {
		size_t at;
		uint8_t value;
		int code;
	} wrong[] = {
		{99, 2, ERR_VERSION},
		{0, 0, ERR_FORMAT},
		{0, 4, ERR_FORMAT},
		{1, STORE_POOLS_MAX, ERR_FORMAT},
		{18, LANES, ERR_FORMAT},
		{20, 0x80, ERR_FORMAT},
		{28, 0x7f, ERR_FORMAT},
		{48, 0xff, ERR_FORMAT},
		{96, GAP_CAUSES, ERR_FORMAT},
		{98, 5, ERR_FORMAT},
		{98, 1, ERR_FORMAT},
		{140, 0x7f, ERR_FORMAT},
		{172, 0, ERR_FORMAT},
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint8_t was = bytes[wrong[i].at];
		bytes[wrong[i].at] = wrong[i].value;
		mend(bytes);
		assert_int_equal(index_record_decode(bytes, &back), wrong[i].code);
		bytes[wrong[i].at] = was;
	}
}

static void a_partition_leaves_damage_out(void **state)
{
	(void)state;
	uint8_t body[3 * INDEX_RECORD_SIZE + 5];
	struct index_record r = sample();
	for (uint32_t i = 0; i < 3; i++) {
		r.chunk.seq = i + 1;
		index_record_encode(&r, body + (size_t)i * INDEX_RECORD_SIZE);
	}
	struct index_partition p;
	assert_int_equal(index_partition_decode(body, 3 * INDEX_RECORD_SIZE, &p), 0);
	assert_int_equal(p.count, 3);
	assert_int_equal(p.damaged, 0);
	index_partition_fini(&p);
	index_partition_fini(&p);
	body[INDEX_RECORD_SIZE + 50] ^= 1;
	assert_int_equal(index_partition_decode(body, sizeof(body), &p), 0);
	assert_int_equal(p.count, 2);
	assert_int_equal(p.damaged, 2); /* one record, and the torn end */
	assert_int_equal(p.records[1].chunk.seq, 3);
	index_partition_fini(&p);
	/* what a newer program wrote is not damage */
	body[INDEX_RECORD_SIZE + 50] ^= 1;
	body[INDEX_RECORD_SIZE + 99] = 9;
	mend(body + INDEX_RECORD_SIZE);
	assert_int_equal(index_partition_decode(body, sizeof(body), &p), ERR_VERSION);
	assert_int_equal(index_partition_decode(NULL, 0, &p), 0);
	assert_int_equal(p.count, 0);
	index_partition_fini(&p);
	assert_int_equal(
		index_partition_decode(body, (INDEX_RECORDS_MAX + 1ul) * INDEX_RECORD_SIZE, &p),
		ERR_LIMIT);
}

static void versions(void **state)
{
	(void)state;
	const struct index_version v = {0x1a, 0xffffffffffffffff};
	struct index_version back;
	char text[33];
	index_version_format(&v, text);
	assert_string_equal(text, "000000000000001affffffffffffffff");
	assert_int_equal(index_version_parse(text, 32, &back), 0);
	assert_int_equal(back.epoch, v.epoch);
	assert_int_equal(back.n, v.n);
	assert_int_equal(index_version_parse(text, 31, &back), ERR_FORMAT);
	text[3] = 'A';
	assert_int_equal(index_version_parse(text, 32, &back), ERR_FORMAT);
}

static void names(void **state)
{
	(void)state;
	char name[STORE_NAME_MAX + 1], stream[STREAM_NAME_MAX + 1];
	int32_t day;
	static const struct {
		int32_t day;
		const char *name;
	} days[] = {
		{0, "idx/gate-7/main/19700101"},
		{19782, "idx/gate-7/main/20240229"},
		{20780, "idx/gate-7/main/20261123"},
		{2932896, "idx/gate-7/main/99991231"},
	};
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		index_partition_name(name, "gate-7/main", days[i].day);
		assert_string_equal(name, days[i].name);
		assert_int_equal(index_partition_name_parse(name, stream, &day), 0);
		assert_int_equal(day, days[i].day);
		assert_string_equal(stream, "gate-7/main");
	}
	static const char *const bad[] = {"idx/gate-7/main/days", "idx/gate-7/main/20230229",
		"idx/gate-7/main/2023022", "idx/gate-7/20240229", "chk/gate-7/main/20240229",
		"idx/", "", "idx/gate-7/main/19691231", "idx/20240229"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(index_partition_name_parse(bad[i], stream, &day), 0);
	index_days_name(name, "gate-7/main");
	assert_string_equal(name, "idx/gate-7/main/days");
}

static void decode_without_memory(void *user)
{
	struct index_partition p = {0};
	if (index_partition_decode(user, INDEX_RECORD_SIZE, &p) < 0)
		assert_null(p.records);
	index_partition_fini(&p);
}

static void memory_may_fail(void **state)
{
	(void)state;
	uint8_t body[INDEX_RECORD_SIZE];
	const struct index_record r = sample();
	index_record_encode(&r, body);
	alloc_fail_sweep(decode_without_memory, body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_comes_back),
		cmocka_unit_test(a_damaged_record_is_refused),
		cmocka_unit_test(a_partition_leaves_damage_out),
		cmocka_unit_test(versions),
		cmocka_unit_test(names),
		cmocka_unit_test(memory_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
