/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "tests/lib/golden.h"

static const char meta[] = "meta part";

static void encode(uint8_t to[FRAME_HEADER_SIZE])
{
	struct frame_header h = {.type = FRAME_APPEND,
		.flags = 0x0102,
		.stream = 0x03040506,
		.meta_len = sizeof(meta),
		.body_len = 0x00070809};
	frame_header_encode(&h, meta, to);
}

static void round_trip(void **state)
{
	(void)state;
	uint8_t wire[FRAME_HEADER_SIZE];
	encode(wire);
	static const uint8_t expected[20] = {
		'S', 'T', 'P', 'E', 1, 19, 1, 2, 3, 4, 5, 6, 0, 0, 0, 10, 0, 7, 8, 9};
	assert_memory_equal(wire, expected, sizeof(expected));
	struct frame_header h;
	assert_int_equal(frame_header_decode(wire, &h), 0);
	assert_int_equal(h.type, FRAME_APPEND);
	assert_int_equal(h.flags, 0x0102);
	assert_int_equal(h.stream, 0x03040506);
	assert_int_equal(h.meta_len, sizeof(meta));
	assert_int_equal(h.body_len, 0x00070809);
	assert_int_equal(frame_check(wire, meta), 0);
}

static void a_frame_without_meta(void **state)
{
	(void)state;
	uint8_t wire[FRAME_HEADER_SIZE];
	struct frame_header h = {.type = FRAME_STOP, .stream = 1};
	frame_header_encode(&h, NULL, wire);
	assert_int_equal(frame_header_decode(wire, &h), 0);
	assert_int_equal(frame_check(wire, NULL), 0);
}

static void any_changed_bit_shows(void **state)
{
	(void)state;
	uint8_t wire[FRAME_HEADER_SIZE];
	struct frame_header h;
	for (size_t bit = 0; bit < 8 * FRAME_HEADER_SIZE; bit++) {
		encode(wire);
		wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
		/* a length that grew past the meta at hand must not be followed by the checksum */
		int rc = frame_header_decode(wire, &h);
		if (rc == 0 && h.meta_len <= sizeof(meta))
			rc = frame_check(wire, meta);
		else if (rc == 0)
			rc = ERR_TRUNCATED;
		assert_int_not_equal(rc, 0);
	}
	encode(wire);
	assert_int_equal(frame_check(wire, "Meta part"), ERR_CHECKSUM);
}

static void refuses(void **state)
{
	(void)state;
	uint8_t wire[FRAME_HEADER_SIZE];
	struct frame_header h = {.type = 99}, before = h;
	encode(wire);
	wire[0] = 'X';
	assert_int_equal(frame_header_decode(wire, &h), ERR_FORMAT);
	encode(wire);
	wire[4] = FRAME_VERSION + 1;
	assert_int_equal(frame_header_decode(wire, &h), ERR_VERSION);
	encode(wire);
	wire[13] = 0x10, wire[15] = 1; /* meta: the limit and one byte */
	assert_int_equal(frame_header_decode(wire, &h), ERR_LIMIT);
	encode(wire);
	wire[16] = 0x80;
	assert_int_equal(frame_header_decode(wire, &h), ERR_LIMIT);
	assert_memory_equal(&h, &before, sizeof(h));
}

static void as_ever(void **state)
{
	(void)state;
	uint8_t wire[FRAME_HEADER_SIZE + sizeof(meta)];
	encode(wire);
	memcpy(wire + FRAME_HEADER_SIZE, meta, sizeof(meta));
	golden_check("frame-1", wire, sizeof(wire));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(a_frame_without_meta),
		cmocka_unit_test(any_changed_bit_shows),
		cmocka_unit_test(refuses),
		cmocka_unit_test(as_ever),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
