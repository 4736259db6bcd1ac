/* SPDX-License-Identifier: Apache-2.0 */
/* The judge, by a table: what was seen, and what follows; and the median of clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/clock.h"
#include "storaged/ownership/members_judge.h"

#define S NS_PER_SECOND

static void test_verdicts(void **state)
{
	(void)state;
	static const struct {
		struct members_seen seen;
		bool trusted;
		enum members_verdict verdict;
	} rows[] = {
		/* alive: both signs must be missing */
		{{.alive = true}, true, VERDICT_STAYS},
		{{.alive = true, .still_ns = 60 * S}, true, VERDICT_STAYS},
		{{.alive = true, .silent_ns = 60 * S}, true, VERDICT_STAYS},
		{{.alive = true, .still_ns = 3 * S, .silent_ns = S}, true, VERDICT_DEAD},
		{{.alive = true, .still_ns = 3 * S - 1, .silent_ns = 3 * S}, true, VERDICT_STAYS},
		{{.alive = true, .still_ns = 3 * S, .silent_ns = S - 1}, true, VERDICT_STAYS},
		/* while our own reads stall only a refusal counts */
		{{.alive = true, .still_ns = 60 * S, .silent_ns = 60 * S}, false, VERDICT_STAYS},
		{{.alive = true, .refused = true}, false, VERDICT_DEAD},
		{{.alive = true, .refused = true}, true, VERDICT_DEAD},
		/* dead: a heartbeat that goes on, of one that wants to stay and can be reached */
		{{.changes = 1}, true, VERDICT_STAYS},
		{{.changes = 2}, true, VERDICT_ALIVE},
		{{.changes = 2}, false, VERDICT_STAYS},
		{{.changes = 9, .leaving = true}, true, VERDICT_STAYS},
		{{.changes = 9, .refused = true}, true, VERDICT_STAYS},
		{{.changes = 2, .still_ns = 60 * S}, true, VERDICT_ALIVE},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(
			members_judge(&rows[i].seen, rows[i].trusted, 3 * S), rows[i].verdict);
}

static void test_median(void **state)
{
	(void)state;
	int64_t none[1] = {7}, one[] = {-5}, even[] = {9, 1, 5, 3}, odd[] = {900, -900, 2};
	assert_int_equal(members_median_us(none, 0), 0);
	assert_int_equal(members_median_us(one, 1), -5);
	assert_int_equal(members_median_us(even, 4), 3);
	assert_int_equal(members_median_us(odd, 3), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_median),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
