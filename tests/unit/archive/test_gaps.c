/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storaged/archive/gaps.h"
#include "storaged/archive/index.h"
#include "tests/lib/alloc_fail.h"

/* Seconds everywhere, so that a case reads like its drawing. */
#define S(x) ((int64_t)((x)*1000000.0))
struct span {
	double from, to;
};
struct claim {
	double from, to;
	int cause;
};

static char *ask(const struct span *covers, size_t cover_count, const struct claim *claims,
	size_t claim_count, double from, double to)
{
	static char text[1000];
	struct gap_cover c[32];
	struct gap k[32], *gaps = NULL;
	size_t count = 0;
	for (size_t i = 0; i < cover_count; i++)
		c[i] = (struct gap_cover){{S(covers[i].from)}, {S(covers[i].to)}, GAP_LEAST_US};
	for (size_t i = 0; i < claim_count; i++)
		k[i] = (struct gap){
			{S(claims[i].from)}, {S(claims[i].to)}, (uint8_t)claims[i].cause};
	const struct gap_question q = {c, cover_count, k, claim_count, {S(from)}, {S(to)}};
	assert_int_equal(gaps_find(&q, &gaps, &count), 0);
	static const char letter[GAP_CAUSES] =
		"-ucnrftxd"; /* unknown camera network recorder refused thinned expired damaged */
	text[0] = 0;
	for (size_t i = 0; i < count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%g-%g%c",
			i ? " " : "", (double)gaps[i].from.us / 1e6, (double)gaps[i].to.us / 1e6,
			letter[gaps[i].cause]);
	free(gaps);
	return text;
}
#define COVERS(...)                                                                                \
	(const struct span[]){__VA_ARGS__},                                                        \
		sizeof((const struct span[]){__VA_ARGS__}) / sizeof(struct span)
#define CLAIMS(...)                                                                                \
	(const struct claim[]){__VA_ARGS__},                                                       \
		sizeof((const struct claim[]){__VA_ARGS__}) / sizeof(struct claim)
#define NO_COVERS NULL, 0
#define NO_CLAIMS NULL, 0

static void holes_between_footage(void **state)
{
	(void)state;
	assert_string_equal(ask(COVERS({10, 20}, {20, 30}), NO_CLAIMS, 0, 40), "");
	assert_string_equal(
		ask(COVERS({20, 30}, {10, 20}), NO_CLAIMS, 0, 40), ""); /* in any order */
	assert_string_equal(ask(COVERS({10, 20}, {20.5, 30}), NO_CLAIMS, 0, 40), ""); /* jitter */
	assert_string_equal(ask(COVERS({10, 20}, {20.6, 30}), NO_CLAIMS, 0, 40), "20-20.6u");
	assert_string_equal(
		ask(COVERS({10, 20}, {25, 30}), CLAIMS({20, 25, GAP_NETWORK}), 0, 40), "20-25n");
	assert_string_equal(
		ask(COVERS({10, 20}, {25, 30}), CLAIMS({20.3, 24.8, GAP_NETWORK}), 0, 40),
		"20-25n");
	assert_string_equal(ask(COVERS({10, 20}, {25, 30}), CLAIMS({22, 25, GAP_NETWORK}), 0, 40),
		"20-22u 22-25n");
	/* backfill filled most of it */
	assert_string_equal(
		ask(COVERS({10, 20}, {25, 30}, {20, 24}), CLAIMS({20, 25, GAP_NETWORK}), 0, 40),
		"24-25n");
	assert_string_equal(
		ask(COVERS({10, 20}, {25, 30}, {20, 24.7}), CLAIMS({20, 25, GAP_NETWORK}), 0, 40),
		"");
	/* a long chunk over short ones */
	assert_string_equal(ask(COVERS({10, 30}, {12, 14}, {29, 31}), NO_CLAIMS, 0, 40), "");
}

static void the_window_cuts(void **state)
{
	(void)state;
	assert_string_equal(
		ask(COVERS({10, 20}, {30, 40}), CLAIMS({20, 30, GAP_CAMERA_OFF}), 22, 27),
		"22-27c");
	assert_string_equal(
		ask(COVERS({10, 20}, {30, 40}), CLAIMS({20, 30, GAP_CAMERA_OFF}), 15, 25),
		"20-25c");
	assert_string_equal(ask(COVERS({10, 20}, {30, 40}), NO_CLAIMS, 25, 35), "25-30u");
	assert_string_equal(ask(COVERS({10, 20}, {30, 40}), NO_CLAIMS, 32, 35), "");
	assert_string_equal(ask(COVERS({10, 20}, {30, 40}), NO_CLAIMS, 50, 60), "");
}

static void before_the_first_and_after_the_last_only_claims_count(void **state)
{
	(void)state;
	assert_string_equal(ask(COVERS({10, 20}), CLAIMS({5, 10, GAP_CAMERA_OFF}), 0, 40), "5-10c");
	assert_string_equal(
		ask(COVERS({10, 20}), CLAIMS({20, 60, GAP_RECORDER_STOPPED}), 0, 40), "20-40r");
	assert_string_equal(
		ask(NO_COVERS, CLAIMS({20, 60, GAP_RECORDER_STOPPED}), 0, 40), "20-40r");
	assert_string_equal(ask(NO_COVERS, NO_CLAIMS, 0, 40), "");
}

static void what_expired_counts_first(void **state)
{
	(void)state;
	/* tombstones one after the other are one hole */
	assert_string_equal(ask(COVERS({0, 10}, {40, 50}),
				    CLAIMS({10, 20, GAP_EXPIRED}, {20.1, 30, GAP_EXPIRED},
					    {30, 40, GAP_EXPIRED}),
				    0, 50),
		"10-40x");
	assert_string_equal(ask(COVERS({0, 10}, {40, 50}),
				    CLAIMS({10, 40, GAP_NETWORK}, {20, 30, GAP_EXPIRED}), 0, 50),
		"10-20n 20-30x 30-40n");
	assert_string_equal(ask(COVERS({0, 10}, {40, 50}), CLAIMS({20, 30, GAP_EXPIRED}), 0, 50),
		"10-20u 20-30x 30-40u");
	/* but not where there is footage: another copy is kept */
	assert_string_equal(
		ask(COVERS({0, 10}, {10, 40}), CLAIMS({20, 30, GAP_EXPIRED}), 0, 50), "");
	/* of overlapping claims the earlier one */
	assert_string_equal(ask(COVERS({0, 10}, {40, 50}),
				    CLAIMS({10, 30, GAP_NETWORK}, {20, 40, GAP_CAMERA_OFF}), 0, 50),
		"10-30n 30-40c");
	assert_string_equal(ask(COVERS({0, 10}, {40, 50}),
				    CLAIMS({10, 40, GAP_NETWORK}, {10, 20, GAP_CAMERA_OFF}), 0, 50),
		"10-20c 20-40n");
	/* one claim over two holes */
	assert_string_equal(
		ask(COVERS({0, 10}, {20, 30}, {40, 50}), CLAIMS({10, 40, GAP_NETWORK}), 0, 50),
		"10-20n 30-40n");
}

/* A slow oracle: what millisecond by millisecond is covered, claimed, or neither. */
static void agrees_with_an_oracle(void **state)
{
	(void)state;
	srandom(7);
	for (int round = 0; round < 2000; round++) {
		enum { LEN = 60 };
		struct gap_cover covers[6];
		struct gap claims[6], *gaps;
		size_t n = (size_t)random() % 6 + 1, m = (size_t)random() % 6, count;
		uint8_t covered[LEN] = {0}, told[LEN] = {0};
		for (size_t i = 0; i < n; i++) {
			int64_t from = random() % (LEN - 10), to = from + random() % 10 + 1;
			covers[i] = (struct gap_cover){
				{from * US_PER_SECOND}, {to * US_PER_SECOND}, GAP_LEAST_US};
			memset(covered + from, 1, (size_t)(to - from));
		}
		bool claimed[LEN][GAP_CAUSES] = {{false}};
		for (size_t i = 0; i < m; i++) {
			int64_t from = random() % (LEN - 10), to = from + random() % 10 + 1;
			uint8_t cause = random() % 2 ? GAP_EXPIRED : GAP_NETWORK;
			claims[i] =
				(struct gap){{from * US_PER_SECOND}, {to * US_PER_SECOND}, cause};
			for (int64_t k = from; k < to; k++)
				claimed[k][cause] = true;
		}
		int64_t from = random() % LEN, to = from + random() % (LEN - from);
		const struct gap_question q = {
			covers, n, claims, m, {from * US_PER_SECOND}, {to * US_PER_SECOND}};
		int first = 0, last = LEN - 1;
		while (!covered[first])
			first++;
		while (!covered[last])
			last--;
		assert_int_equal(gaps_find(&q, &gaps, &count), 0);
		for (size_t i = 0; i < count; i++) {
			assert_true(gaps[i].from.us < gaps[i].to.us);
			assert_true(i == 0 || gaps[i].from.us >= gaps[i - 1].to.us);
			assert_true(gaps[i].from.us >= q.from.us && gaps[i].to.us <= q.to.us);
			for (int64_t k = gaps[i].from.us / US_PER_SECOND;
				k < gaps[i].to.us / US_PER_SECOND; k++)
				told[k] = gaps[i].cause;
		}
		for (int k = (int)from; k < to; k++) {
			uint8_t want = GAP_NONE;
			if (!covered[k])
				want = claimed[k][GAP_EXPIRED]   ? GAP_EXPIRED
				       : claimed[k][GAP_NETWORK] ? GAP_NETWORK
				       : k > first && k < last   ? GAP_UNKNOWN
								 : GAP_NONE;
			assert_int_equal(told[k], want);
		}
		free(gaps);
	}
}

static void slack(void **state)
{
	(void)state;
	assert_int_equal(gap_slack_us(0), 500000);
	assert_int_equal(gap_slack_us(40000), 500000);
	assert_int_equal(gap_slack_us(1000000), 2000000);
	const struct fragment_header h = {.duration_us = 1000000};
	assert_int_equal(gap_frame_us(&h, 25), 40000);
	assert_int_equal(gap_frame_us(&h, 0), 0);
}

static void of_a_table(void **state)
{
	(void)state;
	struct table_fragment f[4] = {
		{.capture = {S(0)}, .duration_us = 1000000, .run[0].sample_count = 10},
		{.capture = {S(1)}, .duration_us = 1000000, .run[0].sample_count = 10},
		{.capture = {S(5)},
			.duration_us = 1000000,
			.run[0].sample_count = 10,
			.gap_cause = GAP_CAMERA_OFF},
		{.capture = {S(7)}, .duration_us = 1000000, .run[0].sample_count = 10},
	};
	const struct chunk_table t = {.fragments = f, .fragment_count = 4};
	struct gap gaps[2];
	assert_int_equal(gaps_of_table(&t, 2, gaps, 2), 0);
	assert_int_equal(gaps_of_table(&t, 4, gaps, 1), 2);
	assert_int_equal(gaps_of_table(&t, 4, gaps, 2), 2);
	assert_int_equal(gaps[0].from.us, S(2));
	assert_int_equal(gaps[0].to.us, S(5));
	assert_int_equal(gaps[0].cause, GAP_CAMERA_OFF);
	assert_int_equal(gaps[1].cause, GAP_UNKNOWN);
}

static void without_memory(void *user)
{
	(void)user;
	struct gap_cover c = {{0}, {S(1)}, GAP_LEAST_US};
	struct gap k = {{S(1)}, {S(2)}, GAP_NETWORK}, *gaps = NULL;
	size_t count = 77;
	const struct gap_question q = {&c, 1, &k, 1, {0}, {S(3)}};
	int rc = gaps_find(&q, &gaps, &count);
	if (rc < 0) {
		assert_null(gaps);
		assert_int_equal(count, 77);
	}
	free(gaps);
}

static void memory_may_fail(void **state)
{
	(void)state;
	alloc_fail_sweep(without_memory, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holes_between_footage),
		cmocka_unit_test(the_window_cuts),
		cmocka_unit_test(before_the_first_and_after_the_last_only_claims_count),
		cmocka_unit_test(what_expired_counts_first),
		cmocka_unit_test(agrees_with_an_oracle),
		cmocka_unit_test(slack),
		cmocka_unit_test(of_a_table),
		cmocka_unit_test(memory_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
