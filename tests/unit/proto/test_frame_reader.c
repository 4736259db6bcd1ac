/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/frame_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/errors.h"

/* A conversation of four frames: with all parts, without meta, without body, without both. */
static const struct {
	uint8_t type;
	uint32_t meta_len, body_len;
} parts[] = {{FRAME_APPEND, 30, 70}, {FRAME_FRAGMENT, 0, 33},
	{FRAME_ACK, FRAME_READER_META_INLINE + 1, 0}, {FRAME_STOP, 0, 0}};
#define FRAMES (sizeof(parts) / sizeof(parts[0]))

static uint8_t talk[2048];
static size_t talk_len;

static size_t put_frame(uint8_t *to, uint8_t type, uint32_t meta_len, uint32_t body_len)
{
	struct frame_header h = {
		.type = type, .stream = type, .meta_len = meta_len, .body_len = body_len};
	for (size_t i = 0; i < meta_len + body_len; i++)
		to[FRAME_HEADER_SIZE + i] = (uint8_t)(i * 7);
	frame_header_encode(&h, to + FRAME_HEADER_SIZE, to);
	return FRAME_HEADER_SIZE + meta_len + body_len;
}

static int make_talk(void **state)
{
	(void)state;
	talk_len = 0;
	for (size_t i = 0; i < FRAMES; i++)
		talk_len += put_frame(
			talk + talk_len, parts[i].type, parts[i].meta_len, parts[i].body_len);
	return 0;
}

static void check_frame(struct frame_reader *r, size_t number)
{
	struct frame f = frame_reader_frame(r);
	assert_int_equal(f.header.type, parts[number].type);
	assert_int_equal(f.header.meta_len, parts[number].meta_len);
	assert_int_equal(f.body.len, parts[number].body_len);
	for (size_t i = 0; i < f.header.meta_len; i++)
		assert_int_equal(((const uint8_t *)f.meta)[i], (uint8_t)(i * 7));
	for (size_t i = 0; i < f.body.len; i++)
		assert_int_equal(f.body.data[i], (uint8_t)((i + f.header.meta_len) * 7));
}

/* Feeds `len` bytes; the number of frames that came out, or the code that ended it. */
static int feed(struct frame_reader *r, const uint8_t *data, size_t len, size_t *frames)
{
	while (len) {
		uint8_t *space;
		size_t room;
		frame_reader_space(r, &space, &room);
		assert_true(room > 0);
		size_t n = len < room ? len : room;
		memcpy(space, data, n);
		data += n;
		len -= n;
		int rc = frame_reader_add(r, n);
		if (rc < 0)
			return rc;
		if (rc == 1) {
			check_frame(r, *frames);
			++*frames;
			frame_reader_next(r);
		}
	}
	return 0;
}

static void in_pieces_of_every_size(void **state)
{
	(void)state;
	for (size_t piece = 1; piece <= talk_len; piece++) {
		struct frame_reader r;
		size_t frames = 0;
		frame_reader_init(&r, FRAME_META_MAX, FRAME_BODY_MAX);
		for (size_t at = 0; at < talk_len; at += piece)
			assert_int_equal(
				feed(&r, talk + at, piece < talk_len - at ? piece : talk_len - at,
					&frames),
				0);
		assert_int_equal(frames, FRAMES);
		assert_false(frame_reader_inside(&r));
		frame_reader_fini(&r);
	}
}

static void cut_at_every_byte(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < talk_len; cut++) {
		struct frame_reader r;
		size_t frames = 0, border = 0;
		frame_reader_init(&r, FRAME_META_MAX, FRAME_BODY_MAX);
		assert_int_equal(feed(&r, talk, cut, &frames), 0);
		for (size_t i = 0; i < frames; i++)
			border += FRAME_HEADER_SIZE + parts[i].meta_len + parts[i].body_len;
		assert_int_equal(frame_reader_inside(&r), cut != border);
		frame_reader_fini(&r);
		frame_reader_fini(&r);
		/* and it can begin anew */
		frames = 0;
		assert_int_equal(feed(&r, talk, talk_len, &frames), 0);
		assert_int_equal(frames, FRAMES);
		frame_reader_fini(&r);
	}
}

static void bodies_outlive_the_reader(void **state)
{
	(void)state;
	struct frame_reader r;
	frame_reader_init(&r, FRAME_META_MAX, FRAME_BODY_MAX);
	uint8_t *space;
	size_t room, len = FRAME_HEADER_SIZE + parts[0].meta_len + parts[0].body_len;
	int rc = 0;
	for (size_t at = 0; at < len; at += room) {
		frame_reader_space(&r, &space, &room);
		memcpy(space, talk + at, room);
		rc = frame_reader_add(&r, room);
	}
	assert_int_equal(rc, 1);
	struct slice body = frame_reader_frame(&r).body;
	buf_ref(body.buf);
	frame_reader_fini(&r);
	assert_memory_equal(body.data, talk + FRAME_HEADER_SIZE + parts[0].meta_len, body.len);
	slice_drop(&body);
}

/* Who alone holds a large body may put something before and behind it. */
static void room_around_large_bodies(void **state)
{
	(void)state;
	const uint32_t lens[] = {1, FRAME_ROOM_FROM - 1, FRAME_ROOM_FROM, 100001};
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		uint8_t *bytes = malloc(FRAME_HEADER_SIZE + lens[i]), *space;
		size_t len = put_frame(bytes, 1, 0, lens[i]), room;
		struct frame_reader r;
		frame_reader_init(&r, 0, lens[i]);
		for (size_t at = 0; at < len; at += room) {
			frame_reader_space(&r, &space, &room);
			memcpy(space, bytes + at, room);
			assert_int_equal(frame_reader_add(&r, room), at + room == len);
		}
		struct slice body = frame_reader_frame(&r).body;
		assert_memory_equal(body.data, bytes + FRAME_HEADER_SIZE, lens[i]);
		size_t before = (size_t)(body.data - body.buf->data);
		bool large = lens[i] >= FRAME_ROOM_FROM;
		assert_int_equal(before, large ? FRAME_ROOM_BEFORE : 0);
		assert_int_equal(body.buf->len, before + lens[i] + (large ? FRAME_ROOM_BEHIND : 0));
		frame_reader_fini(&r);
		free(bytes);
	}
}

static int first_error(const uint8_t *data, size_t len, uint32_t meta_max, uint32_t body_max)
{
	struct frame_reader r;
	size_t frames = 0;
	frame_reader_init(&r, meta_max, body_max);
	int rc = feed(&r, data, len, &frames);
	frame_reader_fini(&r);
	return rc;
}

static void refusals(void **state)
{
	(void)state;
	uint8_t bad[256];
	memcpy(bad, talk, sizeof(bad));
	bad[0] ^= 1;
	assert_int_equal(first_error(bad, sizeof(bad), FRAME_META_MAX, FRAME_BODY_MAX), ERR_FORMAT);
	memcpy(bad, talk, sizeof(bad));
	bad[4]++;
	assert_int_equal(
		first_error(bad, sizeof(bad), FRAME_META_MAX, FRAME_BODY_MAX), ERR_VERSION);
	memcpy(bad, talk, sizeof(bad));
	bad[FRAME_HEADER_SIZE] ^= 1;
	assert_int_equal(
		first_error(bad, sizeof(bad), FRAME_META_MAX, FRAME_BODY_MAX), ERR_CHECKSUM);
	/* limits are judged on the header alone */
	assert_int_equal(first_error(talk, FRAME_HEADER_SIZE, 29, 70), ERR_LIMIT);
	assert_int_equal(first_error(talk, FRAME_HEADER_SIZE, 30, 69), ERR_LIMIT);
	assert_int_equal(first_error(talk, FRAME_HEADER_SIZE, 30, 70), 0);
	/* a length that the checksum does not cover makes no room for a body */
	memcpy(bad, talk, sizeof(bad));
	bad[17] ^= 0x10;
	assert_int_equal(first_error(bad, FRAME_HEADER_SIZE + parts[0].meta_len, FRAME_META_MAX,
				 FRAME_BODY_MAX),
		ERR_CHECKSUM);
}

static void limits_change_between_frames(void **state)
{
	(void)state;
	struct frame_reader r;
	size_t frames = 0, first = FRAME_HEADER_SIZE + parts[0].meta_len + parts[0].body_len;
	frame_reader_init(&r, 30, 70);
	assert_int_equal(feed(&r, talk, first, &frames), 0);
	frame_reader_limits(&r, FRAME_META_MAX, FRAME_BODY_MAX);
	assert_int_equal(feed(&r, talk + first, talk_len - first, &frames), 0);
	assert_int_equal(frames, FRAMES);
	frame_reader_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(in_pieces_of_every_size),
		cmocka_unit_test(room_around_large_bodies), cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(bodies_outlive_the_reader), cmocka_unit_test(refusals),
		cmocka_unit_test(limits_change_between_frames)};
	return cmocka_run_group_tests(tests, make_talk, NULL);
}
