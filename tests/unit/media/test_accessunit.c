/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/errors.h"
#include "footage.h"
#include "tools/media/accessunit.h"
#include "tools/media/h264.h"

/* Start codes in, and what an MP4 of the same footage holds out: sample by sample, and the
 * configuration record. */
static void same_as_mp4(const char *name, enum steppe_codec codec, bool same_config)
{
	struct footage stream, mp4;
	footage_load(&stream, name, true);
	footage_load(&mp4, name, false);
	assert_int_equal(stream.count, mp4.count);
	struct accessunit unit;
	struct accessunit_result r;
	accessunit_init(&unit, codec);
	for (size_t i = 0; i < stream.count; i++) {
		assert_int_equal(accessunit_convert(&unit, stream.packets[i]->data,
					 (size_t)stream.packets[i]->size, &r),
			0);
		assert_int_equal(r.sync, (mp4.packets[i]->flags & AV_PKT_FLAG_KEY) != 0);
		assert_int_equal(r.config_changed, i == 0);
		size_t len = (size_t)mp4.packets[i]->size;
		/* what ffmpeg keeps in the record besides the sets, the encoder's SEI, comes in
		 * front of sync pictures */
		assert_true(r.len == len || (r.sync && r.len > len && !same_config));
		assert_memory_equal(r.data + r.len - len, mp4.packets[i]->data, len);
	}
	struct buf *config;
	assert_int_equal(paramsets_config(&unit.sets, &config), 0);
	if (same_config) {
		assert_int_equal(config->len, mp4.stream->codecpar->extradata_size);
		assert_memory_equal(config->data, mp4.stream->codecpar->extradata, config->len);
	}
	struct paramsets_picture picture;
	assert_int_equal(paramsets_picture(&unit.sets, &picture), 0);
	assert_int_equal(picture.width, 768);
	assert_int_equal(picture.height, 576);
	assert_int_equal(picture.reorder, 0);
	/* and the record is one that can be taken over again */
	struct paramsets again;
	unsigned length_size;
	paramsets_init(&again, codec);
	assert_int_equal(paramsets_load(&again, config->data, config->len, &length_size), 0);
	assert_int_equal(length_size, 4);
	assert_true(paramsets_complete(&again));
	paramsets_fini(&again);
	buf_unref(&config);
	accessunit_fini(&unit);
	footage_free(&stream);
	footage_free(&mp4);
}

static void test_h264_footage(void **state)
{
	(void)state;
	same_as_mp4("street-h264.mp4", STEPPE_H264, true);
}

static void test_h265_footage(void **state)
{
	(void)state;
	/* ffmpeg's record also holds the encoder's SEI: the sets alone are compared */
	same_as_mp4("street-h265.mp4", STEPPE_H265, false);
}

/* Open GOPs: I pictures with a recovery point, CRA pictures. */
static void open_gops(const char *name, enum steppe_codec codec, size_t key_every)
{
	struct footage f;
	footage_load(&f, name, false);
	struct accessunit unit;
	struct accessunit_result r;
	accessunit_init(&unit, codec);
	assert_int_equal(accessunit_configure(&unit, f.stream->codecpar->extradata,
				 (size_t)f.stream->codecpar->extradata_size),
		0);
	size_t open = 0, closed = 0;
	for (size_t i = 0; i < f.count; i++) {
		assert_int_equal(accessunit_convert(
					 &unit, f.packets[i]->data, (size_t)f.packets[i]->size, &r),
			0);
		closed += r.sync && !r.sync_open;
		open += r.sync_open;
		assert_true(r.sync || !r.sync_open);
	}
	assert_int_equal(closed, 1);
	assert_int_equal(open, (f.count - 1) / key_every);
	struct paramsets_picture picture;
	assert_int_equal(paramsets_picture(&unit.sets, &picture), 0);
	assert_true(picture.reorder >= 1);
	accessunit_fini(&unit);
	footage_free(&f);
}

static void test_h264_open(void **state)
{
	(void)state;
	open_gops("small/bframes-h264.mp4", STEPPE_H264, 12);
}

static void test_h265_open(void **state)
{
	(void)state;
	open_gops("small/bframes-h265.ts", STEPPE_H265, 12);
}

/* A camera that changes its resolution: the record changes with the picture that can be decoded by
 * it. */
static void test_resize(void **state)
{
	(void)state;
	struct footage f;
	footage_load(&f, "small/resize-h264.ts", false);
	struct accessunit unit;
	struct accessunit_result r;
	accessunit_init(&unit, STEPPE_H264);
	unsigned changes = 0;
	for (size_t i = 0; i < f.count; i++) {
		assert_int_equal(accessunit_convert(
					 &unit, f.packets[i]->data, (size_t)f.packets[i]->size, &r),
			0);
		changes += r.config_changed;
		assert_true(r.sync || !r.config_changed);
	}
	assert_int_equal(changes, 2);
	struct paramsets_picture picture;
	assert_int_equal(paramsets_picture(&unit.sets, &picture), 0);
	assert_int_equal(picture.width, 160);
	accessunit_fini(&unit);
	footage_free(&f);
}

/* Sets that change where decoding cannot start stay among the pictures, and count from the next
 * start. */
static void test_change_inside_gop(void **state)
{
	(void)state;
	const uint8_t sps[] = {0, 0, 1, 0x67, 66, 0, 10, 0xf4, 0x0b, 0x12},
		      pps[] = {0, 0, 1, 0x68, 0xce, 0x3c, 0x80},
		      pps_new[] = {0, 0, 1, 0x68, 0xce, 0x3c, 0x81},
		      idr[] = {0, 0, 1, 0x65, 0x88, 0x84}, inter[] = {0, 0, 1, 0x41, 0x9a, 0x02};
	uint8_t in[64];
	struct accessunit unit;
	struct accessunit_result r;
	accessunit_init(&unit, STEPPE_H264);
	uint8_t *p =
		mempcpy(mempcpy(mempcpy(in, sps, sizeof(sps)), pps, sizeof(pps)), idr, sizeof(idr));
	assert_int_equal(accessunit_convert(&unit, in, (size_t)(p - in), &r), 0);
	assert_true(r.sync && r.config_changed);
	assert_int_equal(r.len, 4 + 3);
	p = mempcpy(mempcpy(in, pps_new, sizeof(pps_new)), inter, sizeof(inter));
	assert_int_equal(accessunit_convert(&unit, in, (size_t)(p - in), &r), 0);
	assert_false(r.sync || r.config_changed);
	assert_int_equal(r.len, 4 + 4 + 4 + 3);
	assert_int_equal(accessunit_convert(&unit, idr, sizeof(idr), &r), 0);
	assert_true(r.sync && r.config_changed);
	assert_int_equal(accessunit_convert(&unit, idr, sizeof(idr), &r), 0);
	assert_true(r.sync && !r.config_changed);
	/* sets alone make no sample, but are kept */
	assert_int_equal(accessunit_convert(&unit, pps, sizeof(pps), &r), 0);
	assert_int_equal(r.len, 0);
	assert_int_equal(accessunit_convert(&unit, idr, sizeof(idr), &r), 0);
	assert_true(r.config_changed);
	accessunit_fini(&unit);
}

static void test_limits(void **state)
{
	(void)state;
	struct accessunit unit;
	struct accessunit_result r;
	accessunit_init(&unit, STEPPE_H264);
	size_t len = 5u << 20;
	uint8_t *big = malloc(len);
	assert_non_null(big);
	memset(big, 0xaa, len);
	memcpy(big, "\0\0\1\x65", 4);
	assert_int_equal(accessunit_convert(&unit, big, len, &r), ERR_LIMIT);
	free(big);
	/* a flood of parameter sets keeps to its bounds */
	for (unsigned i = 0; i < 256; i++) {
		uint8_t pps[] = {0, 0, 1, 0x68, (uint8_t)i, (uint8_t)(255 - i), 0x80};
		assert_int_equal(accessunit_convert(&unit, pps, sizeof(pps), &r), 0);
		assert_in_range(unit.sets.count, 0, PARAMSETS_MAX);
	}
	accessunit_fini(&unit);
}

static void test_recovery_point(void **state)
{
	(void)state;
	const uint8_t sei[] = {0x06, 0x05, 0x02, 0xaa, 0xbb, 0x06, 0x01, 0xc4, 0x80},
		      other[] = {0x06, 0x05, 0x02, 0xaa, 0xbb, 0x80},
		      cut[] = {0x06, 0xff, 0xff, 0xff};
	assert_true(h264_has_recovery_point(&(struct nal){sei, sizeof(sei)}));
	assert_false(h264_has_recovery_point(&(struct nal){other, sizeof(other)}));
	assert_false(h264_has_recovery_point(&(struct nal){cut, sizeof(cut)}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_h264_footage),
		cmocka_unit_test(test_h265_footage),
		cmocka_unit_test(test_h264_open),
		cmocka_unit_test(test_h265_open),
		cmocka_unit_test(test_resize),
		cmocka_unit_test(test_change_inside_gop),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_recovery_point),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
