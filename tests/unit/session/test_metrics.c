/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "proto/refusal.h"

static char page[64 << 10];

static void test_the_page(void **state)
{
	(void)state;
	metrics_add(METRIC_INGEST_BYTES, 1000);
	metrics_add(METRIC_INGEST_BYTES, 24);
	metrics_gauge_add(METRIC_CONNECTIONS, 3);
	metrics_gauge_add(METRIC_CONNECTIONS, -1);
	metrics_refusal(REFUSAL_BUSY);
	metrics_refusal(9999); /* a number nobody knows harms nothing */
	metrics_durable_wait(INT64_C(30000000));
	metrics_store_pools(2);
	metrics_store_add(1, STORE_METRIC_READS, 5);
	metrics_store_add(1, STORE_METRIC_READS, 2);
	metrics_store_add(0, STORE_METRIC_LISTS, 1);
	size_t len = metrics_format(page, sizeof(page));
	assert_int_equal(len, strlen(page));
	assert_non_null(strstr(page,
		"# TYPE steppe_ingest_bytes_total counter\nsteppe_ingest_bytes_total 1024\n"));
	assert_non_null(strstr(page, "# TYPE steppe_connections gauge\nsteppe_connections 2\n"));
	assert_non_null(strstr(page, "steppe_store_reads_total{pool=\"meta\"} 0\n"
				     "steppe_store_reads_total{pool=\"data\"} 7\n"));
	assert_non_null(strstr(page, "steppe_store_lists_total{pool=\"meta\"} 1\n"));
	assert_null(strstr(page, "pool=\"cold\""));
	assert_non_null(strstr(page, "steppe_refusals_total{reason=\"busy\"} 1\n"));
	assert_non_null(strstr(page, "steppe_durable_wait_seconds_bucket{le=\"0.025\"} 0\n"));
	assert_non_null(strstr(page, "steppe_durable_wait_seconds_bucket{le=\"0.05\"} 1\n"));
	assert_non_null(strstr(page, "steppe_durable_wait_seconds_count 1\n"));
}

static void test_too_little_space_is_told_and_not_overrun(void **state)
{
	(void)state;
	char small[64];
	memset(small, 'x', sizeof(small));
	assert_true(metrics_format(small, 32) > 32);
	assert_int_equal(small[32], 'x');
	assert_true(memchr(small, '\0', 32) != NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_page),
		cmocka_unit_test(test_too_little_space_is_told_and_not_overrun),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
