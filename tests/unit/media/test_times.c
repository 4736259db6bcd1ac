/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/errors.h"
#include "tools/media/clockmap.h"
#include "tools/media/frameheader.h"
#include "tools/media/gather.h"
#include "tools/media/reorder.h"

#define NOW INT64_C(1795470000000000)
#define MS  INT64_C(1000)

static void test_reorder_none(void **state)
{
	(void)state;
	struct reorder r;
	reorder_init(&r, -1, 100);
	for (int64_t pts = 1000; pts < 2000; pts += 100)
		assert_int_equal(reorder_next(&r, pts), pts);
}

static void test_reorder_two(void **state)
{
	(void)state;
	/* I b B P as decoded: 0 300 100 200 600 400 500 ... */
	const int64_t pts[] = {0, 300, 100, 200, 600, 400, 500, 900, 700, 800};
	struct reorder r;
	reorder_init(&r, 2, 100);
	int64_t last = INT64_MIN;
	for (size_t i = 0; i < 10; i++) {
		int64_t dts = reorder_next(&r, pts[i]);
		assert_int_equal(dts, ((int64_t)i - 2) * 100);
		assert_true(dts > last && dts <= pts[i]);
		last = dts;
	}
	/* far away: another run */
	assert_int_equal(reorder_next(&r, 5000000), 4999800);
}

static struct clockmap_result take(
	struct clockmap *c, int64_t media_us, int64_t delay_us, int64_t sender_us)
{
	struct clockmap_reading r = {media_us, NOW + media_us + delay_us, sender_us};
	return clockmap_take(c, &r);
}

static void test_receipt_then_sender(void **state)
{
	(void)state;
	struct clockmap c;
	clockmap_init(&c, CLOCKMAP_AUTO, 0);
	struct clockmap_result r = take(&c, 0, 200 * MS, -1);
	assert_true(r.stepped);
	assert_int_equal(r.source, STEPPE_CLOCK_RECEIPT);
	assert_int_equal(r.wall_us, NOW + 200 * MS);
	assert_true(r.error_us >= 2 * US_PER_SECOND);
	/* the first report differs little: followed at 500 ppm, no step */
	r = take(&c, US_PER_SECOND, 200 * MS, NOW + US_PER_SECOND);
	assert_false(r.stepped);
	assert_int_equal(r.source, STEPPE_CLOCK_RTCP);
	assert_int_equal(r.wall_us, NOW + US_PER_SECOND + 200 * MS - 500);
	for (int64_t s = 2; s < 600; s++)
		r = take(&c, s * US_PER_SECOND, 200 * MS, NOW + s * US_PER_SECOND);
	assert_int_equal(r.wall_us, NOW + 599 * US_PER_SECOND);
	assert_int_equal(r.error_us, 100 * MS);
	/* reports cease: the last word stands */
	r = take(&c, 700 * US_PER_SECOND, 900 * MS, -1);
	assert_int_equal(r.wall_us, NOW + 700 * US_PER_SECOND);
	assert_int_equal(r.source, STEPPE_CLOCK_RTCP);
}

static void test_sender_steps(void **state)
{
	(void)state;
	struct clockmap c;
	clockmap_init(&c, CLOCKMAP_AUTO, 0);
	(void)take(&c, 0, 0, NOW);
	struct clockmap_result r = take(&c, US_PER_SECOND, 0, NOW + 61 * US_PER_SECOND);
	assert_true(r.stepped);
	assert_int_equal(r.wall_us, NOW + 61 * US_PER_SECOND);
	/* two clocks a minute apart: nobody knows which is right */
	assert_true(r.error_us >= 60 * US_PER_SECOND);
	assert_int_equal(c.camera_ahead_us, 60 * US_PER_SECOND);
}

static void test_sender_unset(void **state)
{
	(void)state;
	struct clockmap c;
	clockmap_init(&c, CLOCKMAP_AUTO, 0);
	struct clockmap_result r = take(&c, 0, 0, 12345);
	assert_int_equal(r.source, STEPPE_CLOCK_RECEIPT);
	assert_int_equal(r.wall_us, NOW);
	clockmap_init(&c, CLOCKMAP_RECEIPT, 0);
	r = take(&c, 0, 0, NOW + 5000 * MS);
	assert_int_equal(r.source, STEPPE_CLOCK_RECEIPT);
	assert_int_equal(r.wall_us, NOW);
}

static void test_receipt_jitter(void **state)
{
	(void)state;
	struct clockmap c;
	clockmap_init(&c, CLOCKMAP_AUTO, 0);
	int64_t last = 0;
	for (int64_t i = 0; i < 1000; i++) {
		struct clockmap_result r = take(&c, i * 40 * MS, (i * 7919 % 97) * MS, -1);
		if (i > 0) {
			assert_false(r.stepped);
			/* true durations, to the slew */
			assert_in_range(r.wall_us - last, 40 * MS - 20, 40 * MS + 20);
		}
		last = r.wall_us;
	}
	/* a stall of the camera's ticks is a step */
	assert_true(take(&c, 1000 * 40 * MS, 60 * US_PER_SECOND, -1).stepped == false);
	struct clockmap_result r = {0};
	bool stepped = false;
	for (int64_t i = 1001; i < 2000; i++) {
		r = take(&c, i * 40 * MS, 60 * US_PER_SECOND, -1);
		stepped = stepped || r.stepped;
	}
	assert_true(stepped);
	assert_int_equal(r.wall_us, NOW + 1999 * 40 * MS + 60 * US_PER_SECOND);
}

static void test_declared(void **state)
{
	(void)state;
	struct clockmap c;
	clockmap_init(&c, CLOCKMAP_DECLARED, 77);
	struct clockmap_result r = take(&c, 5000, 0, NOW);
	assert_int_equal(r.wall_us, 77);
	assert_int_equal(r.source, STEPPE_CLOCK_DECLARED);
	assert_int_equal(r.error_us, 0);
	assert_int_equal(take(&c, 9000, 999999, -1).wall_us, 4077);
}

static void test_restart(void **state)
{
	(void)state;
	struct clockmap c;
	clockmap_init(&c, CLOCKMAP_AUTO, 0);
	(void)take(&c, 0, 0, -1);
	clockmap_restart(&c);
	struct clockmap_result r = take(&c, US_PER_SECOND, 100 * MS, -1);
	assert_true(r.stepped);
	assert_int_equal(r.wall_us, NOW + US_PER_SECOND + 100 * MS);
}

static void test_gather(void **state)
{
	(void)state;
	struct gather g = {.tolerance = 90};
	assert_false(gather_ends(&g, 0, false));
	assert_int_equal(gather_add(&g, "ab", 2), 0);
	g.pts = 9000;
	assert_false(gather_ends(&g, 9050, false));
	assert_true(gather_ends(&g, 18000, false));
	assert_false(gather_ends(&g, 18000, true));
	assert_int_equal(gather_add(&g, "cd", 2), 0);
	assert_int_equal(g.len, 4);
	assert_memory_equal(g.data, "abcd", 4);
	assert_int_equal(gather_add(&g, "", (4u << 20)), ERR_LIMIT);
	gather_fini(&g);
	gather_fini(&g);
}

static void test_frame_headers(void **state)
{
	(void)state;
	/* AAC LC, 16 kHz, mono, 7 bytes of header, a frame of 9 */
	const uint8_t in[] = {0xff, 0xf1, 0x60, 0x40, 0x01, 0x3f, 0xfc, 0xde, 0x02};
	struct adts adts;
	assert_int_equal(adts_parse(in, sizeof(in), &adts), 0);
	assert_int_equal(adts.sample_rate, 16000);
	assert_int_equal(adts.channels, 1);
	assert_int_equal(adts.header_len, 7);
	assert_int_equal(adts.frame_len, 9);
	assert_memory_equal(adts.config, "\x14\x08", 2);
	for (size_t len = 0; len < sizeof(in); len++)
		assert_int_equal(adts_parse(in, len, &adts), ERR_FORMAT);
	const uint8_t jpeg[] = {
		0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc0, 0, 11, 8, 0, 120, 0, 160, 3};
	uint16_t width, height;
	assert_int_equal(jpeg_size(jpeg, sizeof(jpeg), &width, &height), 0);
	assert_int_equal(width, 160);
	assert_int_equal(height, 120);
	for (size_t len = 0; len < 16; len++)
		assert_int_equal(jpeg_size(jpeg, len, &width, &height), ERR_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reorder_none),
		cmocka_unit_test(test_reorder_two),
		cmocka_unit_test(test_receipt_then_sender),
		cmocka_unit_test(test_sender_steps),
		cmocka_unit_test(test_sender_unset),
		cmocka_unit_test(test_receipt_jitter),
		cmocka_unit_test(test_declared),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_gather),
		cmocka_unit_test(test_frame_headers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
