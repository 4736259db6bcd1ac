/* SPDX-License-Identifier: Apache-2.0 */
/* Decode times inside a chunk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "storaged/archive/timeline.h"

#define START_US INT64_C(1795470000000000)

/* One second of video at 90 kHz and of audio at 8 kHz. */
static const struct bmff_sample video = {.size = 1, .duration = 90000},
				audio = {.size = 1, .duration = 8000};

static struct timeline two_tracks(void)
{
	const struct bmff_init init = {.track_count = 2,
		.tracks = {{.id = 1, .timescale = 90000}, {.id = 2, .timescale = 8000}}};
	struct timeline t;
	timeline_init(&t, &init);
	return t;
}

static void put(struct timeline *t, int64_t at_us, uint16_t flags, uint64_t ticks[2])
{
	struct bmff_run runs[2] = {
		{.track_id = 1, .decode_time = ticks[0], .sample_count = 1, .samples = &video},
		{.track_id = 2, .decode_time = ticks[1], .sample_count = 1, .samples = &audio}};
	const struct fragment_header h = {
		.flags = flags, .capture = {START_US + at_us}, .duration_us = 1000000};
	assert_int_equal(timeline_place(t, &h, runs, 2), 0);
	ticks[0] = runs[0].decode_time;
	ticks[1] = runs[1].decode_time;
}

static void test_counts_from_the_first_sample(void **state)
{
	(void)state;
	struct timeline t = two_tracks();
	/* audio begins a tenth of a second after video, and stays there */
	uint64_t ticks[2] = {UINT64_C(1000) * 90000, UINT64_C(1000) * 8000 + 800};
	put(&t, 0, 0, ticks);
	assert_int_equal(ticks[0], 0);
	assert_int_equal(ticks[1], 800);
	uint64_t more[2] = {UINT64_C(1001) * 90000, UINT64_C(1001) * 8000 + 800};
	put(&t, 1000000, 0, more);
	assert_int_equal(more[0], 90000);
	assert_int_equal(more[1], 8800);
}

static void test_wall_clock_ticks_are_small_in_the_chunk(void **state)
{
	(void)state;
	struct timeline t = two_tracks();
	uint64_t ticks[2] = {
		(uint64_t)START_US / 1000000 * 90000, (uint64_t)START_US / 1000000 * 8000};
	put(&t, 0, 0, ticks);
	assert_int_equal(ticks[0], 0);
	assert_int_equal(ticks[1], 0);
}

static void test_a_hole_follows_the_capture_time(void **state)
{
	(void)state;
	struct timeline t = two_tracks();
	uint64_t ticks[2] = {0, 0}, later[2] = {90000, 8000};
	put(&t, 0, 0, ticks);
	/* the recorder's ticks run on over a hole of 20 s */
	put(&t, 21000000, FRAGMENT_DISCONTINUITY, later);
	assert_int_equal(later[0], 21 * 90000);
	assert_int_equal(later[1], 21 * 8000);
	/* and from there they continue */
	uint64_t next[2] = {180000, 16000};
	put(&t, 22000000, 0, next);
	assert_int_equal(next[0], 22 * 90000);
}

static void test_ticks_that_start_again(void **state)
{
	(void)state;
	struct timeline t = two_tracks();
	uint64_t ticks[2] = {900000, 80000}, restarted[2] = {0, 0};
	put(&t, 0, 0, ticks);
	put(&t, 1000000, 0, restarted); /* a recorder that was restarted, without saying so */
	assert_int_equal(restarted[0], 90000);
	assert_int_equal(restarted[1], 8000);
}

static void test_never_steps_back(void **state)
{
	(void)state;
	struct timeline t = two_tracks();
	uint64_t ticks[2] = {0, 0}, back[2] = {90000, 8000};
	put(&t, 0, 0, ticks);
	put(&t, 300000, FRAGMENT_CLOCK_BACK,
		back); /* the clock says 0.7 s before the end of what is there */
	assert_true(back[0] >= 90000 && back[1] >= 8000);
	assert_int_equal(back[0], 90000);
}

static void test_any_ticks_keep_order(void **state)
{
	(void)state;
	struct timeline t = two_tracks();
	uint64_t seed = 1, end[2] = {0, 0};
	for (int i = 0; i < 10000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		uint64_t ticks[2] = {seed >> 20, seed >> 24};
		put(&t, (int64_t)(seed >> 40), (seed & 7) ? 0 : FRAGMENT_DISCONTINUITY, ticks);
		assert_true(ticks[0] >= end[0] && ticks[1] >= end[1]);
		end[0] = ticks[0] + 90000;
		end[1] = ticks[1] + 8000;
		if (i % 50 == 0) {
			t = two_tracks();
			end[0] = end[1] = 0;
		}
	}
}

static void test_refused(void **state)
{
	(void)state;
	struct timeline t = two_tracks();
	const struct fragment_header h = {.capture = {START_US}};
	struct bmff_run run = {.track_id = 3, .sample_count = 1, .samples = &video};
	assert_int_equal(timeline_place(&t, &h, &run, 1), ERR_FORMAT);
	run.track_id = 0;
	assert_int_equal(timeline_place(&t, &h, &run, 1), ERR_FORMAT);
	run.track_id = 2;
	run.decode_time = UINT64_MAX;
	assert_int_equal(timeline_place(&t, &h, &run, 1), ERR_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_from_the_first_sample),
		cmocka_unit_test(test_wall_clock_ticks_are_small_in_the_chunk),
		cmocka_unit_test(test_a_hole_follows_the_capture_time),
		cmocka_unit_test(test_ticks_that_start_again),
		cmocka_unit_test(test_never_steps_back),
		cmocka_unit_test(test_any_ticks_keep_order),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
