/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/session/admit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_counts_up_to_the_limit(void **state)
{
	(void)state;
	struct admit a;
	admit_init(&a, &(struct admit_limits){
			       .streams = 2, .fetches = 1, .ingest_bytes = 100, .lane_window = 10});
	assert_true(admit_stream(&a));
	assert_true(admit_stream(&a));
	assert_false(admit_stream(&a));
	admit_stream_end(&a);
	assert_true(admit_stream(&a));
	assert_true(admit_fetch(&a));
	assert_false(admit_fetch(&a));
	admit_fetch_end(&a);
	assert_true(admit_fetch(&a));
}

static void test_windows_shrink_as_memory_is_used_up(void **state)
{
	(void)state;
	struct admit a;
	admit_init(&a,
		&(struct admit_limits){.streams = 10, .ingest_bytes = 1000, .lane_window = 400});
	assert_int_equal(admit_window(&a), 400);
	for (int i = 0; i < 5; i++)
		assert_true(admit_stream(&a));
	assert_int_equal(admit_window(&a), 200);
	admit_ingest(&a, 900);
	assert_int_equal(admit_window(&a), 20);
	admit_ingest(&a, 200);
	assert_int_equal(admit_window(&a), 0);
	admit_ingest(&a, -1100);
	assert_int_equal(admit_window(&a), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_up_to_the_limit),
		cmocka_unit_test(test_windows_shrink_as_memory_is_used_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
