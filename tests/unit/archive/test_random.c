/* SPDX-License-Identifier: Apache-2.0 */
/* Random runs over everything at once. CHAOS_SEED runs one seed alone; CHAOS_RUNS and CHAOS_SECONDS
 * say how many and how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/archive/chaos.h"

#define RUNS    200
#define SECONDS 60

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void test_promises_hold(void **state)
{
	(void)state;
	struct chaos_result sum = {0};
	uint64_t one = setting("CHAOS_SEED", 0), first = one ? one : setting("CHAOS_FIRST", 1),
		 count = one ? 1 : setting("CHAOS_RUNS", RUNS);
	int64_t seconds = (int64_t)setting("CHAOS_SECONDS", SECONDS);
	for (uint64_t seed = first; seed < first + count; seed++) {
		struct chaos_result r;
		chaos_run(seed, seconds, &r);
		if (r.problem[0])
			fail_msg("%s", r.problem);
		sum.fragments += r.fragments;
		sum.acknowledged += r.acknowledged;
		sum.takeovers += r.takeovers;
		sum.kills += r.kills;
		sum.checks += r.checks;
	}
	print_message("%llu runs: %llu fragments, %llu takeovers, %llu kills, %llu checks\n",
		(unsigned long long)count, (unsigned long long)sum.fragments,
		(unsigned long long)sum.takeovers, (unsigned long long)sum.kills,
		(unsigned long long)sum.checks);
	/* runs in which nothing happens prove nothing */
	assert_true(sum.acknowledged == sum.fragments);
	assert_true(sum.takeovers >= count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_promises_hold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
