/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/errors.h"
#include "client/fragmenter.h"
#include "tests/lib/alloc_fail.h"

#define START_US INT64_C(1795470000000000)
#define VIDEO    0
#define AUDIO    1

static const uint8_t avcc[] = {1, 66, 0, 30, 255, 225, 0, 4, 103, 66, 0, 30, 1, 0, 2, 104, 1};

static const struct steppe_track tracks[] = {
	{.size = sizeof(struct steppe_track),
		.codec = STEPPE_H264,
		.timescale = 90000,
		.width = 640,
		.height = 480,
		.config = avcc,
		.config_len = sizeof(avcc)},
	{.size = sizeof(struct steppe_track),
		.codec = STEPPE_PCMA,
		.timescale = 8000,
		.channels = 1,
		.sample_rate = 8000},
};

static struct fragmenter f;

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(fragmenter_init(&f, tracks, 1), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fragmenter_fini(&f);
	fragmenter_fini(&f); /* twice is harmless */
	return 0;
}

/* A picture at 25 a second: decoded as number `dts`, shown as number `pts`. */
static struct steppe_sample picture(int64_t dts, int64_t pts, bool sync)
{
	static uint8_t data[64];
	struct steppe_sample s = STEPPE_INIT(steppe_sample);
	data[0] = (uint8_t)dts;
	s.track = VIDEO;
	s.data = data;
	s.len = sizeof(data);
	s.dts = dts * 3600;
	s.pts = pts * 3600;
	s.sync = sync;
	s.wall_us = -1;
	return s;
}

static int write_sample(const struct steppe_sample *s)
{
	return fragmenter_write(&f, s, (struct wall){START_US});
}

static void write_picture(int64_t n, bool sync)
{
	struct steppe_sample s = picture(n, n, sync);
	assert_int_equal(write_sample(&s), 0);
}

/* Takes the next fragment, checks it against itself, and gives its runs. */
static struct bmff_sample samples[8192];
static struct bmff_run runs[FRAGMENT_TRACKS_MAX];
static size_t run_count;
static struct fragment_header header;
static uint8_t gap_cause;
static int64_t gap_from_us;

static bool next(void)
{
	struct item *item = fragmenter_take(&f);
	if (!item)
		return false;
	header = item->header;
	gap_cause = item->gap_cause;
	gap_from_us = item->gap_from_us;
	header.session = header.seq = 1;
	assert_int_equal(fragment_seal(&header, item->body->data, true), 0);
	assert_int_equal(bmff_fragment_parse(item->body->data, item->body->len, header.body_len,
				 runs, &run_count, samples, ARRAY_LEN(samples)),
		0);
	assert_int_equal(bmff_fragment_agrees(&header, runs, run_count), 0);
	item_free(&item);
	return true;
}

static void test_a_second_each_and_at_sync(void **state)
{
	(void)state;
	for (int i = 0; i < 120; i++)
		write_picture(i, i % 60 == 0);
	assert_int_equal(fragmenter_flush(&f), 0);
	static const struct {
		unsigned count;
		bool sync;
	} expected[] = {{25, true}, {25, false}, {10, false}, {25, true}, {25, false}, {10, false}};
	uint64_t at = 0;
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		assert_true(next());
		assert_int_equal(runs[0].sample_count, expected[i].count);
		assert_int_equal(!!(header.flags & FRAGMENT_SYNC), expected[i].sync);
		assert_int_equal(!!(header.flags & FRAGMENT_DISCONTINUITY), i == 0);
		assert_int_equal(header.capture.us, START_US + (int64_t)at * 40000);
		assert_int_equal(header.duration_us, expected[i].count * 40000);
		assert_int_equal(header.clock_source, CLOCK_RECEIPT);
		assert_int_equal(header.clock_error_us, 2000000);
		at += expected[i].count;
	}
	assert_false(next());
	assert_int_equal(f.pending_bytes, 0);
}

static void test_decode_times_run_on(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		write_picture(i, i % 50 == 0);
	assert_int_equal(fragmenter_flush(&f), 0);
	uint64_t expected = 0;
	while (next()) {
		if (expected)
			assert_int_equal(runs[0].decode_time, expected);
		expected = runs[0].decode_time + runs[0].sample_count * 3600u;
	}
}

static void test_nothing_before_the_first_sync(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++)
		write_picture(i, i == 10);
	assert_int_equal(f.skipped, 10);
	assert_int_equal(fragmenter_flush(&f), 0);
	assert_true(next());
	assert_int_equal(runs[0].sample_count, 20);
	assert_true(header.flags & FRAGMENT_SYNC);
}

static void test_last_duration_is_a_guess(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		write_picture(i, i == 0);
	assert_int_equal(fragmenter_flush(&f), 0);
	assert_true(next());
	assert_true(header.flags & FRAGMENT_ESTIMATED_DURATION);
	assert_int_equal(samples[9].duration, 3600);
	assert_int_equal(fragmenter_flush(&f), 0);
	assert_false(next());
	/* given by the caller it is not */
	for (int i = 10; i < 12; i++) {
		struct steppe_sample s = picture(i, i, i == 10);
		s.duration = 1800;
		assert_int_equal(write_sample(&s), 0);
	}
	assert_int_equal(fragmenter_flush(&f), 0);
	assert_true(next());
	assert_false(header.flags & FRAGMENT_ESTIMATED_DURATION);
	assert_int_equal(samples[1].duration, 1800);
}

/* I P B B ...: cut where what was decoded is all shown before what comes. */
static void test_pictures_out_of_order(void **state)
{
	(void)state;
	static const int pts[] = {1, 4, 2, 3, 7, 5, 6, 10, 8, 9, 13, 11, 12, 16, 14, 15, 19, 17, 18,
		22, 20, 21, 25, 23, 24, 28, 26, 27, 31, 29, 30, 34, 32, 33, 37, 35, 36, 40, 38, 39,
		43, 41, 42, 46, 44, 45, 49, 47, 48, 52, 50, 51, 55, 53, 54};
	for (size_t i = 0; i < ARRAY_LEN(pts); i++) {
		struct steppe_sample s = picture((int64_t)i, pts[i], i == 0);
		assert_int_equal(write_sample(&s), 0);
	}
	assert_int_equal(fragmenter_flush(&f), 0);
	int64_t end = START_US;
	unsigned fragments = 0;
	while (next()) {
		/* from the second on the order is known: each begins where the one before ends */
		if (fragments++ != 1)
			assert_int_equal(header.capture.us, end);
		assert_true(header.duration_us <= 1040000);
		end = fragment_end(&header).us;
	}
	assert_true(fragments >= 3);
}

static void test_two_tracks(void **state)
{
	(void)state;
	fragmenter_fini(&f);
	assert_int_equal(fragmenter_init(&f, tracks, 2), 0);
	uint8_t sound[160] = {0};
	int64_t audio = 0;
	for (int i = 0; i < 75; i++) {
		write_picture(i, i % 50 == 0);
		while (audio * 160 * 25 < (i + 1) * 8000) {
			struct steppe_sample s = STEPPE_INIT(steppe_sample);
			s.track = AUDIO;
			s.data = sound;
			s.len = sizeof(sound);
			s.dts = s.pts = audio++ * 160;
			s.duration = 160;
			s.wall_us = -1;
			assert_int_equal(write_sample(&s), 0);
		}
	}
	assert_int_equal(fragmenter_flush(&f), 0);
	uint64_t video_end = 0, audio_end = 0;
	unsigned sounds = 0;
	while (next()) {
		assert_int_equal(run_count, 2);
		assert_int_equal(runs[0].track_id, 1);
		if (video_end) {
			assert_int_equal(runs[0].decode_time, video_end);
			assert_int_equal(runs[1].decode_time, audio_end);
		}
		/* on one time base: apart by less than a picture */
		assert_true(llabs((long long)(runs[0].decode_time * 8 / 90) -
				    (long long)runs[1].decode_time) < 320);
		video_end = runs[0].decode_time + runs[0].sample_count * 3600u;
		audio_end = runs[1].decode_time + runs[1].sample_count * 160u;
		sounds += runs[1].sample_count;
	}
	assert_int_equal(sounds, audio);
}

static void test_large_pictures_are_cut_by_size(void **state)
{
	(void)state;
	uint8_t *data = calloc(1, 400000);
	for (int i = 0; i < 9; i++) {
		struct steppe_sample s = picture(i, i, i == 0);
		s.data = data;
		s.len = 400000;
		assert_int_equal(write_sample(&s), 0);
	}
	assert_int_equal(fragmenter_flush(&f), 0);
	unsigned total = 0;
	while (next()) {
		assert_true(header.body_len <= (1u << 20) + 4096);
		total += runs[0].sample_count;
	}
	assert_int_equal(total, 9);
	free(data);
}

static void test_too_large_a_sample(void **state)
{
	(void)state;
	uint8_t *data = calloc(1, FRAGMENT_BODY_MAX);
	write_picture(0, true);
	struct steppe_sample s = picture(1, 1, false);
	s.data = data;
	s.len = FRAGMENT_BODY_MAX;
	assert_int_equal(write_sample(&s), ERR_LIMIT);
	write_picture(2, false); /* hangs on what was refused */
	write_picture(3, true);
	assert_int_equal(fragmenter_flush(&f), 0);
	assert_true(next());
	assert_int_equal(runs[0].sample_count, 1);
	assert_true(next());
	assert_int_equal(runs[0].sample_count, 1);
	assert_true(header.flags & FRAGMENT_DISCONTINUITY);
	assert_int_equal(header.capture.us, START_US + 120000);
	free(data);
}

static void test_what_makes_no_sense(void **state)
{
	(void)state;
	struct steppe_sample good = picture(0, 0, true), s;
	s = good, s.track = 1;
	assert_int_equal(write_sample(&s), -EINVAL);
	s = good, s.len = 0;
	assert_int_equal(write_sample(&s), -EINVAL);
	s = good, s.data = NULL;
	assert_int_equal(write_sample(&s), -EINVAL);
	s = good, s.pts = INT64_MAX / 4;
	assert_int_equal(write_sample(&s), -EINVAL);
	s = good, s.size = 8;
	assert_int_equal(write_sample(&s), -EINVAL);
	s = good, s.duration = -1;
	assert_int_equal(write_sample(&s), -EINVAL);
	s = good, s.wall_us = WALL_MAX_US + 1;
	assert_int_equal(write_sample(&s), -EINVAL);
	struct fragmenter other;
	struct steppe_track t = tracks[0];
	assert_int_equal(fragmenter_init(&other, tracks, 0), -EINVAL);
	assert_int_equal(fragmenter_init(&other, tracks, 5), -EINVAL);
	t.timescale = 0;
	assert_int_equal(fragmenter_init(&other, &t, 1), -EINVAL);
	t = tracks[0], t.codec = 99;
	assert_int_equal(fragmenter_init(&other, &t, 1), -EINVAL);
	t = tracks[0], t.config = NULL;
	assert_int_equal(fragmenter_init(&other, &t, 1), -EINVAL);
}

/* --- time --- */

static void test_capture_is_that_of_the_first_shown(void **state)
{
	(void)state;
	static const int pts[] = {3, 1, 2, 6, 4, 5};
	for (size_t i = 0; i < ARRAY_LEN(pts); i++) {
		struct steppe_sample s = picture((int64_t)i, pts[i], i == 0);
		s.wall_us = START_US + pts[i] * 40000;
		s.clock = STEPPE_CLOCK_DECLARED;
		assert_int_equal(write_sample(&s), 0);
	}
	assert_int_equal(fragmenter_flush(&f), 0);
	assert_true(next());
	assert_int_equal(header.capture.us, START_US + 40000);
	assert_int_equal(header.clock_source, CLOCK_DECLARED);
	assert_int_equal(header.clock_error_us, 0);
}

/* A clock that is ahead is followed by 500 ppm of the time that passes. */
static void test_slew(void **state)
{
	(void)state;
	for (int i = 0; i < 250; i++) {
		struct steppe_sample s = picture(i, i, i % 25 == 0);
		s.wall_us = START_US + i * 40000 + (i ? 200000 : 0);
		s.clock = STEPPE_CLOCK_RTCP;
		s.clock_error_us = 1000;
		assert_int_equal(write_sample(&s), 0);
	}
	assert_int_equal(fragmenter_flush(&f), 0);
	for (int i = 0; next(); i++) {
		assert_int_equal(header.capture.us, START_US + i * 1000000 + i * 500);
		assert_false(i && header.flags & FRAGMENT_DISCONTINUITY);
		assert_int_equal(header.clock_source, CLOCK_RTCP);
	}
}

static void test_a_step_begins_a_discontinuity(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		struct steppe_sample s = picture(i, i, i % 25 == 0);
		s.wall_us =
			START_US + i * 40000 + (i >= 10 ? 3000000 : 0) - (i >= 30 ? 7000000 : 0);
		assert_int_equal(write_sample(&s), 0);
	}
	assert_int_equal(fragmenter_flush(&f), 0);
	static const struct {
		unsigned count;
		int64_t at_us;
		uint16_t flags;
	} expected[] = {
		{10, 0, FRAGMENT_SYNC | FRAGMENT_DISCONTINUITY},
		{15, 3400000, FRAGMENT_DISCONTINUITY},
		{5, 4000000, FRAGMENT_SYNC},
		{20, -2800000, FRAGMENT_DISCONTINUITY | FRAGMENT_CLOCK_BACK},
	};
	uint64_t end = 0;
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		assert_true(next());
		assert_int_equal(runs[0].sample_count, expected[i].count);
		assert_int_equal(header.capture.us, START_US + expected[i].at_us);
		assert_int_equal(header.flags & ~FRAGMENT_ESTIMATED_DURATION, expected[i].flags);
		assert_true(runs[0].decode_time >= end); /* decode time never goes back */
		end = runs[0].decode_time + runs[0].sample_count * 3600u;
	}
	assert_false(next());
}

static void test_ticks_that_jump_leave_a_hole(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		write_picture(i, i == 0);
	for (int i = 110; i < 120; i++)
		write_picture(i, false);
	assert_int_equal(fragmenter_flush(&f), 0);
	assert_true(next());
	assert_int_equal(header.duration_us, 400000);
	assert_true(header.flags & FRAGMENT_ESTIMATED_DURATION);
	uint64_t end = runs[0].decode_time + 36000;
	assert_true(next());
	assert_int_equal(header.capture.us, START_US + 110 * 40000);
	assert_true(header.flags & FRAGMENT_DISCONTINUITY);
	assert_int_equal(runs[0].decode_time, end + 100 * 3600);
}

static void test_ticks_that_begin_anew(void **state)
{
	(void)state;
	for (int i = 1000; i < 1010; i++)
		write_picture(i, i == 1000);
	write_picture(0, false); /* backwards and not decodable: left out */
	for (int i = 1; i < 11; i++) {
		struct steppe_sample s = picture(i, i, i == 1);
		s.wall_us = START_US + 10000000 + i * 40000;
		assert_int_equal(write_sample(&s), 0);
	}
	assert_int_equal(fragmenter_flush(&f), 0);
	assert_true(next());
	assert_int_equal(runs[0].sample_count, 10);
	uint64_t end = runs[0].decode_time + 36000;
	assert_true(next());
	assert_int_equal(runs[0].sample_count, 10);
	assert_true(header.flags & FRAGMENT_DISCONTINUITY);
	assert_int_equal(header.capture.us, START_US + 10040000);
	assert_true(runs[0].decode_time > end);
}

static void test_gap(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		write_picture(i, i == 0);
	assert_int_equal(fragmenter_gap(&f, STEPPE_GAP_CAMERA_OFF), 0);
	write_picture(200, false); /* not decodable any more */
	write_picture(201, true);
	assert_int_equal(fragmenter_flush(&f), 0);
	assert_true(next());
	assert_int_equal(gap_cause, STEPPE_GAP_NONE);
	assert_true(next());
	assert_int_equal(gap_cause, STEPPE_GAP_CAMERA_OFF);
	assert_int_equal(gap_from_us, START_US + 400000);
	assert_int_equal(header.capture.us, START_US + 201 * 40000);
	assert_true(header.flags & FRAGMENT_DISCONTINUITY);
}

static void test_other_tracks_later(void **state)
{
	(void)state;
	struct steppe_track other = tracks[0];
	other.width = 1280;
	for (int i = 0; i < 10; i++)
		write_picture(i, i == 0);
	assert_int_equal(fragmenter_tracks(&f, &other, 1), 0);
	write_picture(10, false);
	write_picture(11, true);
	assert_int_equal(fragmenter_flush(&f), 0);
	struct item *first = fragmenter_take(&f), *second = fragmenter_take(&f);
	assert_non_null(second);
	assert_true(first->init->len == second->init->len);
	assert_memory_not_equal(first->init->data, second->init->data, first->init->len);
	item_free(&first);
	item_free(&second);
	/* tracks that make no sense change nothing */
	other.timescale = 0;
	assert_int_equal(fragmenter_tracks(&f, &other, 1), -EINVAL);
	write_picture(12, true);
	assert_int_equal(fragmenter_flush(&f), 0);
	assert_true(next());
}

static void test_sound_alone(void **state)
{
	(void)state;
	fragmenter_fini(&f);
	assert_int_equal(fragmenter_init(&f, &tracks[1], 1), 0);
	uint8_t sound[160] = {0};
	for (int i = 0; i < 125; i++) {
		struct steppe_sample s = STEPPE_INIT(steppe_sample);
		s.data = sound;
		s.len = sizeof(sound);
		s.dts = s.pts = i * 160;
		s.wall_us = -1;
		assert_int_equal(write_sample(&s), 0);
	}
	assert_int_equal(fragmenter_flush(&f), 0);
	unsigned total = 0;
	while (next()) {
		assert_int_equal(header.flags & (FRAGMENT_SYNC | FRAGMENT_NO_VIDEO),
			FRAGMENT_SYNC | FRAGMENT_NO_VIDEO);
		assert_true(header.duration_us <= 1000000);
		total += runs[0].sample_count;
	}
	assert_int_equal(total, 125);
}

/* What memory is short for is lost, with what hangs on it; everything after is as it should be. */
static void short_of_memory(void *user)
{
	(void)user;
	struct fragmenter g;
	if (fragmenter_init(&g, tracks, 1) < 0)
		return;
	bool lost = false;
	for (int i = 0; i < 100; i++) {
		struct steppe_sample s = picture(i, i, i % 20 == 0);
		lost = fragmenter_write(&g, &s, (struct wall){START_US}) < 0 || lost;
	}
	lost = fragmenter_flush(&g) < 0 || lost;
	struct item *item;
	bool sync_wanted = true;
	uint32_t after = 0;
	while ((item = fragmenter_take(&g))) {
		bool sync = item->header.flags & FRAGMENT_SYNC;
		assert_true(sync || !sync_wanted || !(item->header.flags & FRAGMENT_DISCONTINUITY));
		sync_wanted = false;
		after++;
		item_free(&item);
	}
	assert_true(lost || after == 5);
	fragmenter_fini(&g);
}

static void test_short_of_memory(void **state)
{
	(void)state;
	alloc_fail_sweep(short_of_memory, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_second_each_and_at_sync),
		TEST(test_decode_times_run_on),
		TEST(test_nothing_before_the_first_sync),
		TEST(test_last_duration_is_a_guess),
		TEST(test_pictures_out_of_order),
		TEST(test_two_tracks),
		TEST(test_large_pictures_are_cut_by_size),
		TEST(test_too_large_a_sample),
		TEST(test_what_makes_no_sense),
		TEST(test_capture_is_that_of_the_first_shown),
		TEST(test_slew),
		TEST(test_a_step_begins_a_discontinuity),
		TEST(test_ticks_that_jump_leave_a_hole),
		TEST(test_ticks_that_begin_anew),
		TEST(test_gap),
		TEST(test_other_tracks_later),
		TEST(test_sound_alone),
		TEST(test_short_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
