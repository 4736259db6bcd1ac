/* SPDX-License-Identifier: Apache-2.0 */
/* What must go, and when its object may: the borders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storaged/archive/retention.h"

#define DAY US_PER_DAY

static const int64_t noon = 20000 * DAY + DAY / 2;
static const struct retention_rule month = {.floor_us = 30 * DAY, .ceiling_us = 30 * DAY};

static struct index_record record(void)
{
	return (struct index_record){.state = INDEX_LIVE,
		.start = {noon},
		.end = {noon + 60 * US_PER_SECOND},
		.retention = {noon + 60 * US_PER_SECOND}};
}

static void test_due_to_the_microsecond(void **state)
{
	(void)state;
	struct index_record r = record();
	struct wall due = {r.retention.us + 30 * DAY};
	assert_true(retention_is_due(&r, &month, due));
	assert_false(retention_is_due(&r, &month, (struct wall){due.us - 1}));
	r.state = INDEX_DROPPING;
	assert_false(retention_is_due(&r, &month, due));
	r.state = INDEX_TOMBSTONE;
	assert_false(retention_is_due(&r, &month, due));
}

static void test_without_a_ceiling_nothing_goes(void **state)
{
	(void)state;
	const struct retention_rule forever = {.floor_us = 30 * DAY};
	struct index_record r = record();
	assert_false(retention_is_due(&r, &forever, (struct wall){noon + 100000 * DAY}));
	assert_false(retention_day_is_due(1, &forever, (struct wall){noon}));
}

/* A camera that boots in 1970 or 2037: ages count from the retention instant, whatever the capture
 * times say. */
static void test_capture_times_do_not_matter(void **state)
{
	(void)state;
	struct index_record r = record();
	r.start = r.end = (struct wall){0};
	assert_false(retention_is_due(&r, &month, (struct wall){noon + DAY}));
	r.start = r.end = (struct wall){noon + 4000 * DAY};
	assert_true(retention_is_due(&r, &month, (struct wall){noon + 31 * DAY}));
}

static void test_a_day_is_looked_at_from_its_first_instant_on(void **state)
{
	(void)state;
	struct wall first = {20030 * DAY};
	assert_true(retention_day_is_due(20000, &month, first));
	assert_false(retention_day_is_due(20000, &month, (struct wall){first.us - 1}));
}

static void test_when_the_name_is_free(void **state)
{
	(void)state;
	struct index_record r = record();
	struct wall late = {r.end.us + DAY + 3600 * US_PER_SECOND + RETENTION_SAFE_US};
	assert_true(retention_is_settled(&r, late, RETENTION_SAFE_US));
	assert_false(retention_is_settled(&r, (struct wall){late.us - 1}, RETENTION_SAFE_US));
	const uint16_t uncertain[] = {INDEX_DOUBTFUL, INDEX_BACKFILL, INDEX_RECOVERED};
	for (size_t i = 0; i < 3; i++) {
		r.flags = uncertain[i];
		assert_false(retention_is_settled(
			&r, (struct wall){noon + 1000 * DAY}, RETENTION_SAFE_US));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_due_to_the_microsecond),
		cmocka_unit_test(test_without_a_ceiling_nothing_goes),
		cmocka_unit_test(test_capture_times_do_not_matter),
		cmocka_unit_test(test_a_day_is_looked_at_from_its_first_instant_on),
		cmocka_unit_test(test_when_the_name_is_free),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
