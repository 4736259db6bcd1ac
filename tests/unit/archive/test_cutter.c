/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "storaged/archive/cutter.h"
#include "storaged/archive/index.h"

#define START_US (INT64_C(1795470000) * US_PER_SECOND)
#define MS       INT64_C(1000)

static struct fragment_header fragment(int64_t at_ms, uint32_t body_len, bool sync)
{
	return (struct fragment_header){
		.capture = {START_US + at_ms * MS},
		.duration_us = 1000000,
		.body_len = body_len,
		.flags = sync ? FRAGMENT_SYNC : 0,
	};
}

/* Adds fragments of `body_len` bytes, one a second with a sync every other one, until the chunk
 * must end. */
static int64_t seconds_until_end(struct cutter *c, uint32_t body_len, int *ret_reason)
{
	for (int64_t s = 0;; s++) {
		struct fragment_header h = fragment(s * 1000, body_len, s % 2 == 0);
		*ret_reason = cutter_end_before(c, &cutter_defaults, &h);
		if (*ret_reason)
			return s;
		cutter_add(c, &h, CHUNK_FRAG_BOX + body_len, 10);
	}
}

static void ends_at_a_sync_when_long_and_large_enough(void **state)
{
	(void)state;
	struct cutter c;
	int reason;
	cutter_start(&c, &cutter_defaults, "gate/main", 1, (struct wall){START_US});
	assert_int_equal(seconds_until_end(&c, 100000, &reason), 60);
	assert_int_equal(reason, CHUNK_END_FULL);
	/* 4 MiB come later than 60 s */
	cutter_start(&c, &cutter_defaults, "gate/main", 1, (struct wall){START_US});
	assert_int_equal(seconds_until_end(&c, 50000 - CHUNK_FRAG_BOX, &reason), 84);
	assert_int_equal(reason, CHUNK_END_FULL);
}

static void ends_after_fifteen_minutes_at_any_fragment(void **state)
{
	(void)state;
	struct cutter c;
	int reason;
	cutter_start(&c, &cutter_defaults, "gate/main", 1, (struct wall){START_US});
	assert_int_equal(seconds_until_end(&c, 100, &reason), 900);
}

static void never_grows_past_its_limit(void **state)
{
	(void)state;
	struct cutter c;
	cutter_start(&c, &cutter_defaults, "gate/main", 1, (struct wall){START_US});
	struct fragment_header h = fragment(0, 4u << 20, false);
	int n = 0;
	while (!cutter_end_before(&c, &cutter_defaults, &h)) {
		cutter_add(&c, &h, CHUNK_FRAG_BOX + h.body_len, 10);
		h.capture.us += h.duration_us;
		n++;
	}
	assert_int_equal(n, 7);
	assert_true(c.bytes <= cutter_defaults.max_bytes);
}

static void first_fragment_always_fits(void **state)
{
	(void)state;
	struct cutter_limits tiny = cutter_defaults;
	tiny.max_bytes = 10;
	struct cutter c;
	cutter_start(&c, &tiny, "gate/main", 0, (struct wall){START_US});
	struct fragment_header h = fragment(0, 1000, true);
	assert_int_equal(cutter_end_before(&c, &tiny, &h), 0);
}

static void ends_when_the_clock_steps_back(void **state)
{
	(void)state;
	struct cutter c;
	cutter_start(&c, &cutter_defaults, "gate/main", 1, (struct wall){START_US});
	struct fragment_header h = fragment(0, 1000, true);
	cutter_add(&c, &h, 1184, 10);
	h = fragment(1000, 1000, true);
	cutter_add(&c, &h, 1184, 10);
	h = fragment(1600, 1000, false);
	assert_int_equal(
		cutter_end_before(&c, &cutter_defaults, &h), 0); /* 400 ms back is jitter */
	h = fragment(1400, 1000, false);
	assert_int_equal(cutter_end_before(&c, &cutter_defaults, &h), CHUNK_END_CLOCK);
	h = fragment(-3600000, 1000, false);
	assert_int_equal(cutter_end_before(&c, &cutter_defaults, &h), CHUNK_END_CLOCK);
}

static void ends_before_a_fifth_gap(void **state)
{
	(void)state;
	struct cutter c;
	cutter_start(&c, &cutter_defaults, "gate/main", 1, (struct wall){START_US});
	for (int i = 0; i <= INDEX_GAPS_MAX; i++) {
		struct fragment_header h = fragment(i * 3000, 1000, true);
		assert_int_equal(cutter_end_before(&c, &cutter_defaults, &h), 0);
		assert_int_equal(cutter_gap_before(&c, &h), i > 0);
		cutter_add(&c, &h, 1184, 10);
	}
	struct fragment_header h = fragment(INDEX_GAPS_MAX * 3000 + 1000, 1000, true);
	assert_int_equal(cutter_end_before(&c, &cutter_defaults, &h), 0);
	h = fragment(INDEX_GAPS_MAX * 3000 + 2000, 1000, true);
	assert_int_equal(cutter_end_before(&c, &cutter_defaults, &h), CHUNK_END_FULL);
}

static void slow_pictures_make_no_gaps(void **state)
{
	(void)state;
	struct cutter c;
	cutter_start(&c, &cutter_defaults, "gate/main", 1, (struct wall){START_US});
	struct fragment_header h = fragment(0, 1000, true);
	cutter_add(&c, &h, 1184, 1); /* a picture a second: two may be missing */
	h = fragment(2900, 1000, true);
	assert_false(cutter_gap_before(&c, &h));
	h = fragment(3100, 1000, true);
	assert_true(cutter_gap_before(&c, &h));
}

/* 10,000 streams that begin at one moment end their first chunks evenly over a minute, and no
 * sooner than 7.5 s after. */
static void first_chunks_are_spread(void **state)
{
	(void)state;
	unsigned in_tenth[10] = {0};
	for (int i = 0; i < 10000; i++) {
		char stream[32];
		snprintf(stream, sizeof(stream), "cam-%d/main", i);
		struct cutter c;
		cutter_start(&c, &cutter_defaults, stream, 0, (struct wall){START_US});
		int64_t after = c.min_us - cutter_defaults.min_us / 8;
		assert_in_range(after, 0, cutter_defaults.min_us - 1);
		in_tenth[after * 10 / cutter_defaults.min_us]++;
		assert_in_range(c.min_bytes, cutter_defaults.min_bytes / 8,
			cutter_defaults.min_bytes * 9 / 8);
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(in_tenth[i], 850, 1150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_at_a_sync_when_long_and_large_enough),
		cmocka_unit_test(ends_after_fifteen_minutes_at_any_fragment),
		cmocka_unit_test(never_grows_past_its_limit),
		cmocka_unit_test(first_fragment_always_fits),
		cmocka_unit_test(ends_when_the_clock_steps_back),
		cmocka_unit_test(ends_before_a_fifth_gap),
		cmocka_unit_test(slow_pictures_make_no_gaps),
		cmocka_unit_test(first_chunks_are_spread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
