/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "storaged/archive/index.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/golden.h"

#define DAY 20780

static struct index_record record(int64_t from_s, int64_t to_s)
{
	return (struct index_record){
		.state = INDEX_LIVE,
		.start = {(int64_t)DAY * US_PER_DAY + from_s * US_PER_SECOND},
		.end = {(int64_t)DAY * US_PER_DAY + to_s * US_PER_SECOND},
		.bytes = 1000,
		.fragments = 1,
		.samples = {(uint32_t)(to_s - from_s) * 10},
	};
}

static void days_come_back(void **state)
{
	(void)state;
	struct index_days d = {0}, back;
	struct index_day *day = index_days_put(&d, 20781);
	day->bytes = 5;
	index_days_put(&d, 20779)->seconds[95] = 900;
	day = index_days_put(&d, 20780);
	day->bytes = UINT64_MAX;
	day->gap_seconds[GAP_NETWORK] = 86400;
	assert_ptr_equal(index_days_put(&d, 20780), day);
	assert_int_equal(d.count, 3);
	struct buf *buf = NULL;
	assert_int_equal(index_days_encode(&d, &buf), 0);
	golden_check("index-days-1", buf->data, buf->len);
	assert_int_equal(index_days_decode(buf->data, buf->len, &back), 0);
	assert_int_equal(back.count, 3);
	assert_memory_equal(back.days, d.days, 3 * sizeof(*d.days));
	index_days_fini(&back);
	for (size_t i = 0; i < buf->len; i++) {
		buf->data[i] ^= 2;
		assert_int_equal(index_days_decode(buf->data, buf->len, &back), ERR_CHECKSUM);
		buf->data[i] ^= 2;
	}
	assert_int_equal(index_days_decode(buf->data, 10, &back), ERR_TRUNCATED);
	buf_unref(&buf);
	index_days_fini(&d);
	assert_int_equal(index_days_encode(&d, &buf), 0);
	assert_int_equal(index_days_decode(buf->data, buf->len, &back), 0);
	assert_int_equal(back.count, 0);
	index_days_fini(&back);
	buf_unref(&buf);
}

static void a_day_from_its_records(void **state)
{
	(void)state;
	struct index_record r[] = {
		record(-30, 30),      /* of the day before, reaches in */
		record(30, 1000),     /* over the first quarter-hour's end */
		record(500, 600),     /* a second copy counts once */
		record(2000, 2100),   /* after a hole */
		record(2100, 2200),   /* deleted since */
		record(86390, 86410), /* into the next day */
	};
	r[3].gap_before = (struct gap){{r[1].end.us}, r[3].start, GAP_CAMERA_OFF};
	r[4].state = INDEX_TOMBSTONE;
	struct index_day d;
	assert_int_equal(index_day_make(r, 6, DAY, &d), 0);
	assert_int_equal(d.day, DAY);
	assert_int_equal(d.bytes, 4000);
	assert_int_equal(d.seconds[0], 900);
	assert_int_equal(d.seconds[1], 100);
	assert_int_equal(d.seconds[2], 100);
	assert_int_equal(d.seconds[3], 0);
	assert_int_equal(d.seconds[95], 10);
	assert_int_equal(d.gap_seconds[GAP_CAMERA_OFF], 1000);
	assert_int_equal(d.gap_seconds[GAP_EXPIRED], 100);
	assert_int_equal(d.gap_seconds[GAP_UNKNOWN], 86390 - 2200);
	assert_int_equal(index_day_make(NULL, 0, DAY, &d), 0);
	assert_int_equal(d.bytes, 0);
}

static void make_without_memory(void *user)
{
	(void)user;
	struct index_record r = record(0, 10);
	struct index_day d;
	int rc = index_day_make(&r, 1, DAY, &d);
	assert_true(rc == 0 || rc == -12);
	struct index_days days = {0};
	if (index_days_put(&days, 3)) {
		struct buf *buf = NULL;
		struct index_days back = {0};
		if (index_days_encode(&days, &buf) == 0 &&
			index_days_decode(buf->data, buf->len, &back) == 0)
			assert_int_equal(back.count, 1);
		index_days_fini(&back);
		buf_unref(&buf);
	}
	index_days_fini(&days);
}

static void memory_may_fail(void **state)
{
	(void)state;
	alloc_fail_sweep(make_without_memory, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(days_come_back),
		cmocka_unit_test(a_day_from_its_records),
		cmocka_unit_test(memory_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
