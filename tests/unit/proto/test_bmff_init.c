/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/bmff.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/errors.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/golden.h"

static const uint8_t avcc[] = {1, 0x4d, 0x40, 0x1e, 0xff, 0xe0, 0};
static const uint8_t hvcc[23] = {1, 1, 0x60};
static const uint8_t asc[] = {0x11, 0x90};
static const char mime[] = "application/json";

#define VIDEO(number, kind, bytes, len)                                                            \
	{                                                                                          \
		.id = (number), .media = BMFF_VIDEO, .codec = (kind), .timescale = 90000,          \
		.width = 768, .height = 576, .config = (bytes), .config_len = (len)                \
	}
#define AUDIO(number, kind, bytes, len)                                                            \
	{                                                                                          \
		.id = (number), .media = BMFF_AUDIO, .codec = (kind), .timescale = 8000,           \
		.channels = 1, .sample_bits = 16, .sample_rate = 8000, .config = (bytes),          \
		.config_len = (len)                                                                \
	}
#define METADATA(number)                                                                           \
	{                                                                                          \
		.id = (number), .media = BMFF_METADATA, .codec = BMFF_TEXT_METADATA,               \
		.timescale = 1000, .config = (const uint8_t *)mime, .config_len = sizeof(mime) - 1 \
	}

static const struct bmff_init full = {.track_count = 4,
	.tracks = {VIDEO(1, BMFF_H264, avcc, sizeof(avcc)), AUDIO(2, BMFF_AAC, asc, sizeof(asc)),
		METADATA(3), AUDIO(4, BMFF_PCMA, NULL, 0)}};

static struct buf *build(const struct bmff_init *init)
{
	struct buf *buf = NULL;
	assert_int_equal(bmff_init_build(init, &buf), 0);
	return buf;
}

static void assert_track_equal(const struct bmff_track *a, const struct bmff_track *b)
{
	assert_int_equal(a->id, b->id);
	assert_int_equal(a->media, b->media);
	assert_int_equal(a->codec, b->codec);
	assert_int_equal(a->timescale, b->timescale);
	assert_int_equal(a->width, b->width);
	assert_int_equal(a->height, b->height);
	assert_int_equal(a->channels, b->channels);
	assert_int_equal(a->sample_rate, b->sample_rate);
	assert_int_equal(a->config_len, b->config_len);
	if (a->config_len)
		assert_memory_equal(a->config, b->config, a->config_len);
}

static void every_codec_round_trips(void **state)
{
	(void)state;
	static const struct bmff_init others = {.track_count = 3,
		.tracks = {VIDEO(1, BMFF_H265, hvcc, sizeof(hvcc)), VIDEO(2, BMFF_MJPEG, NULL, 0),
			AUDIO(3, BMFF_PCMU, NULL, 0)}};
	const struct bmff_init *inits[] = {&full, &others};
	for (size_t i = 0; i < ARRAY_LEN(inits); i++) {
		struct buf *buf = build(inits[i]);
		struct bmff_init read;
		assert_int_equal(bmff_init_parse(buf->data, buf->len, &read), 0);
		assert_int_equal(read.track_count, inits[i]->track_count);
		for (size_t k = 0; k < read.track_count; k++) {
			assert_track_equal(&inits[i]->tracks[k], &read.tracks[k]);
			assert_int_equal(read.tracks[k].default_flags, 0);
			assert_int_equal(read.tracks[k].default_duration, 0);
		}
		/* written again by its verbatim entries it is the same */
		struct buf *again = build(&read);
		assert_int_equal(again->len, buf->len);
		assert_memory_equal(again->data, buf->data, buf->len);
		buf_unref(&again);
		buf_unref(&buf);
	}
}

static void as_ever(void **state)
{
	(void)state;
	struct buf *buf = build(&full);
	golden_check("init-1", buf->data, buf->len);
	buf_unref(&buf);
}

static void high_sample_rates_are_left_to_the_codec(void **state)
{
	(void)state;
	struct bmff_init init = {.track_count = 1,
				 .tracks = {AUDIO(1, BMFF_AAC, asc, sizeof(asc))}},
			 read;
	init.tracks[0].sample_rate = 96000;
	struct buf *buf = build(&init);
	assert_int_equal(bmff_init_parse(buf->data, buf->len, &read), 0);
	assert_int_equal(read.tracks[0].sample_rate, 0);
	buf_unref(&buf);
}

static void a_foreign_entry_is_kept(void **state)
{
	(void)state;
	static const uint8_t entry[] = {
		0, 0, 0, 20, 'a', 'b', 'c', 'd', 0, 0, 0, 0, 0, 0, 0, 1, 9, 8, 7, 6};
	struct bmff_init init = {.track_count = 1, .tracks = {METADATA(1)}}, read;
	init.tracks[0].entry = entry, init.tracks[0].entry_len = sizeof(entry);
	struct buf *buf = build(&init);
	assert_int_equal(bmff_init_parse(buf->data, buf->len, &read), 0);
	assert_int_equal(read.tracks[0].codec, BMFF_OTHER);
	assert_int_equal(read.tracks[0].entry_len, sizeof(entry));
	assert_memory_equal(read.tracks[0].entry, entry, sizeof(entry));
	buf_unref(&buf);
}

static void building_refuses(void **state)
{
	(void)state;
#define REFUSED(change, expected)                                                                  \
	do {                                                                                       \
		struct bmff_init i = full;                                                         \
		struct buf *buf = NULL;                                                            \
		change;                                                                            \
		assert_int_equal(bmff_init_build(&i, &buf), expected);                             \
		assert_null(buf);                                                                  \
	} while (0)
	REFUSED(i.track_count = 0, -EINVAL);
	REFUSED(i.track_count = 5, -EINVAL);
	REFUSED(i.tracks[1].id = 1, -EINVAL);
	REFUSED(i.tracks[3].id = 5, -EINVAL);
	REFUSED(i.tracks[0].timescale = 0, -EINVAL);
	REFUSED(i.tracks[0].timescale = 1000001, -EINVAL);
	REFUSED(i.tracks[0].width = 0, -EINVAL);
	REFUSED(i.tracks[0].config_len = 6, -EINVAL);
	REFUSED(i.tracks[0].media = BMFF_AUDIO, -EINVAL);
	REFUSED(i.tracks[0].codec = BMFF_OTHER, -EINVAL);
	REFUSED(i.tracks[1].channels = 0, -EINVAL);
	REFUSED(i.tracks[1].sample_rate = 0, -EINVAL);
	REFUSED(i.tracks[2].config_len = 0, -EINVAL);
	REFUSED(i.tracks[2].config_len = sizeof(mime), -EINVAL); /* with its NUL */
	uint8_t *large = calloc(1, FRAGMENT_INIT_MAX);
	assert_non_null(large);
	REFUSED((i.tracks[0].config = large, i.tracks[0].config_len = FRAGMENT_INIT_MAX),
		ERR_LIMIT);
	free(large);
}

static void cut_segments_are_refused(void **state)
{
	(void)state;
	struct buf *buf = build(&full);
	struct bmff_init read;
	for (size_t len = 0; len < buf->len; len++)
		assert_int_equal(bmff_init_parse(buf->data, len, &read), ERR_TRUNCATED);
	uint8_t *longer = calloc(1, FRAGMENT_INIT_MAX + 1);
	assert_non_null(longer);
	memcpy(longer, buf->data, buf->len);
	assert_int_equal(bmff_init_parse(longer, buf->len + 1, &read), ERR_FORMAT);
	assert_int_equal(bmff_init_parse(longer, FRAGMENT_INIT_MAX + 1, &read), ERR_LIMIT);
	free(longer);
	buf_unref(&buf);
}

static uint8_t *find(struct buf *buf, const char name[5])
{
	uint8_t *at = memmem(buf->data, buf->len, name, 4);
	assert_non_null(at);
	return at;
}

/* Renames or changes a byte of the first box so called and gives what reading says then. */
static int parse_with(const char name[5], int offset, uint8_t value)
{
	struct buf *buf = build(&full);
	struct bmff_init read;
	find(buf, name)[offset] = value;
	int rc = bmff_init_parse(buf->data, buf->len, &read);
	buf_unref(&buf);
	return rc;
}

static void what_is_missing_or_wrong_is_refused(void **state)
{
	(void)state;
	static const char *const needed[] = {"ftyp", "moov", "trak", "tkhd", "mdia", "mdhd", "hdlr",
		"minf", "stbl", "stsd", "mvex", "trex", "avcC", "esds"};
	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		assert_int_equal(parse_with(needed[i], 0, 'X'), ERR_FORMAT);
	assert_int_equal(parse_with("mvhd", 0, 'X'), 0);         /* nothing in it is of interest */
	assert_int_equal(parse_with("tkhd", 19, 2), ERR_FORMAT); /* track number */
	assert_int_equal(parse_with("mdhd", 16, 0x7f), ERR_FORMAT); /* timescale */
	assert_int_equal(parse_with("hdlr", 12, 'x'), ERR_FORMAT);  /* an unknown kind of media */
	assert_int_equal(parse_with("stsd", 11, 2), ERR_FORMAT);    /* two descriptions */
	assert_int_equal(parse_with("trex", 11, 2), ERR_FORMAT);    /* another track's, twice */
	assert_int_equal(parse_with("trex", 11, 9), ERR_FORMAT);
	assert_int_equal(parse_with("stts", 11, 1), ERR_FORMAT); /* a sample outside of fragments */
	assert_int_equal(parse_with("stsz", 15, 1), ERR_FORMAT);
	assert_int_equal(parse_with("dinf", 0, 'e'), 0);
	assert_int_equal(parse_with("stsd", -1, 0xff), ERR_FORMAT); /* larger than its parent */
}

static void edit_lists_are_refused(void **state)
{
	(void)state;
	struct buf *buf = build(&full);
	struct bmff_init read;
	memcpy(find(buf, "mdia"), "edts", 4);
	assert_int_equal(bmff_init_parse(buf->data, buf->len, &read), ERR_FORMAT);
	buf_unref(&buf);
}

static void defaults_are_read(void **state)
{
	(void)state;
	struct buf *buf = build(&full);
	struct bmff_init read;
	uint8_t *trex = find(buf, "trex");
	trex[19] = 1, trex[23] = 2, trex[27] = 3;
	assert_int_equal(bmff_init_parse(buf->data, buf->len, &read), 0);
	assert_int_equal(read.tracks[0].default_duration, 1);
	assert_int_equal(read.tracks[0].default_size, 2);
	assert_int_equal(read.tracks[0].default_flags, 3);
	buf_unref(&buf);
}

static void build_or_enomem(void *user)
{
	(void)user;
	struct buf *buf = NULL;
	int rc = bmff_init_build(&full, &buf);
	assert_true((rc == 0 && buf) || (rc == -ENOMEM && !buf));
	buf_unref(&buf);
}

static void memory_may_run_out(void **state)
{
	(void)state;
	alloc_fail_sweep(build_or_enomem, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_codec_round_trips),
		cmocka_unit_test(as_ever),
		cmocka_unit_test(high_sample_rates_are_left_to_the_codec),
		cmocka_unit_test(a_foreign_entry_is_kept),
		cmocka_unit_test(building_refuses),
		cmocka_unit_test(cut_segments_are_refused),
		cmocka_unit_test(what_is_missing_or_wrong_is_refused),
		cmocka_unit_test(edit_lists_are_refused),
		cmocka_unit_test(defaults_are_read),
		cmocka_unit_test(memory_may_run_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
