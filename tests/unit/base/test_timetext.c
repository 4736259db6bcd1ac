/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timetext.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct wall now = {INT64_C(1795470000000000)}; /* 2026-11-23T21:40:00Z */

static void zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

static int64_t parsed(const char *text)
{
	struct wall t = {-1};
	int rc = timetext_parse(text, now, &t);
	assert_true(rc == 0 || (rc == -EINVAL && t.us == -1));
	return t.us;
}

static void instants_are_read(void **state)
{
	(void)state;
	zone("UTC");
	assert_int_equal(parsed("now"), now.us);
	assert_int_equal(parsed("2026-11-23T21:40:00Z"), now.us);
	assert_int_equal(parsed("2026-11-23t21:40z"), now.us);
	assert_int_equal(parsed("2026-11-24T05:40:00+08:00"), now.us);
	assert_int_equal(parsed("2026-11-24 05:40:00+0800"), now.us);
	assert_int_equal(parsed("2026-11-23T16:10:00-05:30"), now.us);
	assert_int_equal(parsed("2026-11-23T21:40:00.5Z"), now.us + 500000);
	assert_int_equal(parsed("2026-11-23T21:40:00,123456789Z"), now.us + 123456);
	assert_int_equal(parsed("2026-11-23"), now.us - (21 * 60 + 40) * INT64_C(60000000));
	assert_int_equal(parsed("1970-01-01T00:00:00Z"), 0);
	assert_int_equal(parsed("9999-12-31T23:59:59.999999Z"), WALL_MAX_US);
	assert_int_equal(parsed("2024-02-29T00:00:00Z"), INT64_C(1709164800000000));
	assert_int_equal(
		parsed("2016-12-31T23:59:60Z"), INT64_C(1483228800000000)); /* a leap second */
	assert_int_equal(parsed("-15m"), now.us - INT64_C(900000000));
	assert_int_equal(parsed("-2d"), now.us - 2 * US_PER_DAY);
	assert_int_equal(parsed("@1795470000000000"), now.us);
	assert_int_equal(parsed("@0"), 0);
}

static void a_time_without_zone_is_local(void **state)
{
	(void)state;
	zone("Asia/Shanghai");
	assert_int_equal(parsed("2026-11-24T05:40:00"), now.us);
	assert_int_equal(parsed("2026-11-24 05:40"), now.us);
	zone("America/New_York");
	assert_int_equal(parsed("2026-11-23T16:40:00"), now.us);
	/* summer time is found for the day asked, not for today */
	assert_int_equal(parsed("2026-07-01T00:00:00"), INT64_C(1782878400000000));
}

static void other_text_is_refused(void **state)
{
	(void)state;
	zone("UTC");
	static const char *const bad[] = {"", "yesterday", "now ", "2026", "2026-11", "2026-1-2",
		"2026-13-01", "2026-00-01", "2026-11-00", "2026-11-31T00:00:00Z", "2025-02-29",
		"2026-11-23T", "2026-11-23T21", "2026-11-23T24:00:00Z", "2026-11-23T21:60:00Z",
		"2026-11-23T21:40:61Z", "2026-11-23T21:40:00.Z", "2026-11-23T21:40:00Zx",
		"2026-11-23T21:40:00+8", "2026-11-23T21:40:00+08:60", "2026-11-23T21:40:00+24:00",
		"1969-12-31T23:59:59Z", "1970-01-01T00:00:00+01:00", "10000-01-01T00:00:00Z", "-15",
		"-m", "--5m", "-100000d", "@", "@-1", "@ 1", "@1x", "@99999999999999999999",
		"@253402300800000000", "2026-11-23X21:40:00Z"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parsed(bad[i]), -1);
}

static void durations(void **state)
{
	(void)state;
	int64_t us = -7;
	static const struct {
		const char *text;
		int64_t us;
	} good[] = {{"0s", 0}, {"5us", 5}, {"500ms", 500000}, {"90s", 90000000}, {"15m", 900000000},
		{"24h", US_PER_DAY}, {"30d", 30 * US_PER_DAY}};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(timetext_parse_duration(good[i].text, &us), 0);
		assert_int_equal(us, good[i].us);
	}
	us = -7;
	static const char *const bad[] = {"", "5", "s", "-5s", "+5s", " 5s", "5 s", "5s ", "5w",
		"5S", "99999999999999999999s", "9999999999999d"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(timetext_parse_duration(bad[i], &us), -EINVAL);
	assert_int_equal(us, -7);
}

static void assert_text(int64_t us, bool utc, const char *text)
{
	char found[TIMETEXT_MAX];
	timetext_format((struct wall){us}, utc, found);
	assert_string_equal(found, text);
	/* and it is read back as the same instant */
	assert_int_equal(parsed(found), us);
}

static void instants_are_written(void **state)
{
	(void)state;
	zone("Asia/Shanghai");
	assert_text(now.us, true, "2026-11-23T21:40:00Z");
	assert_text(now.us, false, "2026-11-24T05:40:00+08:00");
	assert_text(now.us + 500000, true, "2026-11-23T21:40:00.500Z");
	assert_text(now.us + 1, false, "2026-11-24T05:40:00.000001+08:00");
	assert_text(WALL_MAX_US, true, "9999-12-31T23:59:59.999999Z");
	assert_text(0, true, "1970-01-01T00:00:00Z");
	zone("America/St_Johns");
	assert_text(now.us, false, "2026-11-23T18:10:00-03:30");
	zone("UTC");
	assert_text(now.us, false, "2026-11-23T21:40:00+00:00");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(instants_are_read),
		cmocka_unit_test(a_time_without_zone_is_local),
		cmocka_unit_test(other_text_is_refused), cmocka_unit_test(durations),
		cmocka_unit_test(instants_are_written)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
