/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/fragment.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/errors.h"
#include "proto/digest.h"
#include "tests/lib/golden.h"

#define BODY 400

static struct fragment_header header(void)
{
	return (struct fragment_header){.lane = LANE_BACKFILL,
		.track_count = 2,
		.clock_source = CLOCK_RTCP,
		.flags = FRAGMENT_SYNC | FRAGMENT_DISCONTINUITY,
		.session = 0x0102030405060708,
		.seq = 42,
		.capture = {INT64_C(1795470000123456)},
		.duration_us = 999999,
		.clock_error_us = 2000000,
		.body_len = BODY,
		.prefix_len = 200,
		.tfdt_offset = {60, 120}};
}

static void fill(uint8_t body[BODY])
{
	for (size_t i = 0; i < BODY; i++)
		body[i] = (uint8_t)(i * 7 + 1);
}

static void assert_equal(const struct fragment_header *a, const struct fragment_header *b)
{
	uint8_t x[FRAGMENT_HEADER_SIZE], y[FRAGMENT_HEADER_SIZE];
	fragment_header_encode(a, x);
	fragment_header_encode(b, y);
	assert_memory_equal(x, y, sizeof(x));
}

static void round_trip(void **state)
{
	(void)state;
	uint8_t body[BODY], wire[FRAGMENT_HEADER_SIZE];
	struct fragment_header h = header(), read;
	fill(body);
	assert_int_equal(fragment_seal(&h, body, true), 0);
	fragment_header_encode(&h, wire);
	assert_int_equal(fragment_header_decode(wire, sizeof(wire), &read), 0);
	assert_equal(&h, &read);
	assert_int_equal(read.lane, LANE_BACKFILL);
	assert_int_equal(read.track_count, 2);
	assert_int_equal(read.clock_source, CLOCK_RTCP);
	assert_int_equal(read.flags, h.flags);
	assert_int_equal(read.session, h.session);
	assert_int_equal(read.seq, 42);
	assert_int_equal(read.capture.us, h.capture.us);
	assert_int_equal(fragment_end(&read).us, h.capture.us + 999999);
	assert_int_equal(read.clock_error_us, 2000000);
	assert_int_equal(read.tfdt_offset[1], 120);
	for (size_t len = 0; len < sizeof(wire); len++)
		assert_int_equal(fragment_header_decode(wire, len, &read), ERR_TRUNCATED);
}

/* Larger than what is hashed at a time, and no multiple of it. */
static void large_bodies(void **state)
{
	(void)state;
	const uint32_t lens[] = {200, 201, 200 + 16384, 201 + 16384, 100001};
	uint8_t *body = malloc(100001);
	assert_non_null(body);
	for (size_t i = 0; i < 100001; i++)
		body[i] = (uint8_t)(i * 7 + i / 251);
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		struct fragment_header h = header(), plain;
		h.body_len = lens[i];
		plain = h;
		assert_int_equal(fragment_seal(&h, body, true), 0);
		assert_int_equal(fragment_check_crc(&h, body), 0);
		assert_int_equal(fragment_check_digest(&h, body), 0);
		assert_int_equal(fragment_seal(&plain, body, false), 0);
		assert_int_equal(plain.rest_crc, h.rest_crc);
		assert_int_equal(plain.prefix_crc, h.prefix_crc);
	}
	free(body);
}

static void any_changed_bit_of_the_header_shows(void **state)
{
	(void)state;
	uint8_t wire[FRAGMENT_HEADER_SIZE];
	struct fragment_header h = header();
	fragment_header_encode(&h, wire);
	for (size_t bit = 0; bit < 8 * sizeof(wire); bit++) {
		wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int rc = fragment_header_decode(wire, sizeof(wire), &h);
		assert_int_equal(rc, bit < 8 ? ERR_VERSION : ERR_CHECKSUM);
		wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* What decoding says of a header with a right checksum. */
static int judge(struct fragment_header h)
{
	uint8_t wire[FRAGMENT_HEADER_SIZE], body[BODY];
	struct fragment_header read;
	fragment_header_encode(&h, wire);
	int rc = fragment_header_decode(wire, sizeof(wire), &read);
	fill(body);
	/* recorders are told the same before they send it */
	if (rc < 0)
		assert_int_equal(fragment_seal(&h, body, false), rc);
	return rc;
}

#define JUDGE(change)                                                                              \
	({                                                                                         \
		struct fragment_header h = header();                                               \
		change;                                                                            \
		judge(h);                                                                          \
	})

static void headers_beyond_limits_are_refused(void **state)
{
	(void)state;
	assert_int_equal(JUDGE(h.body_len = FRAGMENT_BODY_MAX), 0);
	assert_int_equal(JUDGE(h.body_len = FRAGMENT_BODY_MAX + 1), ERR_LIMIT);
	assert_int_equal(JUDGE(h.track_count = 5), ERR_LIMIT);
	assert_int_equal(JUDGE(h.duration_us = 60000000), 0);
	assert_int_equal(JUDGE(h.duration_us = 60000001), ERR_LIMIT);
}

static void headers_without_sense_are_refused(void **state)
{
	(void)state;
	assert_int_equal(JUDGE((void)h), 0);
	assert_int_equal(JUDGE(h.lane = LANES), ERR_FORMAT);
	assert_int_equal(JUDGE(h.track_count = 0), ERR_FORMAT);
	assert_int_equal(JUDGE(h.clock_source = CLOCK_RECORDER_NTP + 1), ERR_FORMAT);
	assert_int_equal(JUDGE(h.flags = 1 << 6), ERR_FORMAT);
	assert_int_equal(JUDGE(h.flags = FRAGMENT_SYNC_OPEN), ERR_FORMAT);
	assert_int_equal(JUDGE(h.flags = FRAGMENT_NO_VIDEO), ERR_FORMAT);
	assert_int_equal(JUDGE(h.session = 0), ERR_FORMAT);
	assert_int_equal(JUDGE(h.seq = 0), ERR_FORMAT);
	assert_int_equal(JUDGE(h.capture.us = -1), ERR_FORMAT);
	assert_int_equal(JUDGE(h.capture.us = WALL_MAX_US), ERR_FORMAT);
	assert_int_equal(JUDGE(h.capture.us = WALL_MAX_US - h.duration_us), 0);
	assert_int_equal(JUDGE(h.prefix_len = BODY), 0);
	assert_int_equal(JUDGE(h.prefix_len = BODY + 1), ERR_FORMAT);
	assert_int_equal(JUDGE(h.tfdt_offset[0] = 0), ERR_FORMAT);
	assert_int_equal(JUDGE(h.tfdt_offset[1] = 67), ERR_FORMAT); /* overlaps the first */
	assert_int_equal(JUDGE(h.tfdt_offset[1] = 68), 0);
	assert_int_equal(JUDGE(h.tfdt_offset[1] = 192), 0);
	assert_int_equal(JUDGE(h.tfdt_offset[1] = 193), ERR_FORMAT);
	assert_int_equal(JUDGE(h.tfdt_offset[1] = UINT32_MAX - 3), ERR_FORMAT);
	assert_int_equal(JUDGE(h.tfdt_offset[2] = 180), ERR_FORMAT); /* beyond the count */
}

static void a_nonzero_spare_byte_is_refused(void **state)
{
	(void)state;
	static const size_t spare[] = {6, 7, 136, 139};
	for (size_t i = 0; i < ARRAY_LEN(spare); i++) {
		uint8_t wire[FRAGMENT_HEADER_SIZE];
		struct fragment_header h = header();
		fragment_header_encode(&h, wire);
		wire[spare[i]] = 1;
		struct bytes crc = bytes_writer(wire + 140, 4);
		bytes_put_u32(&crc, crc32c(0, wire, 140));
		assert_int_equal(fragment_header_decode(wire, sizeof(wire), &h), ERR_FORMAT);
	}
}

/* The checksums by their definition: over a copy in which the tfdt values are zero. */
static void checksums_follow_their_definition(void **state)
{
	(void)state;
	uint8_t body[BODY], plain[FRAGMENT_HEADER_SIZE + BODY], digest[DIGEST_SIZE];
	struct fragment_header h = header();
	fill(body);
	assert_int_equal(fragment_seal(&h, body, true), 0);
	fragment_header_encode(&h, plain);
	memcpy(plain + 72, body, BODY);
	memset(plain + 72 + 60, 0, 8);
	memset(plain + 72 + 120, 0, 8);
	assert_int_equal(h.prefix_crc, crc32c(0, plain + 72, 200));
	assert_int_equal(h.rest_crc, crc32c(0, body + 200, BODY - 200));
	assert_int_equal(digest_of(plain, 72 + 200, digest), 0);
	assert_memory_equal(h.prefix_digest, digest, DIGEST_SIZE);
	assert_int_equal(digest_of(body + 200, BODY - 200, digest), 0);
	assert_memory_equal(h.rest_digest, digest, DIGEST_SIZE);
	uint8_t both[2 * DIGEST_SIZE], expected[DIGEST_SIZE];
	memcpy(both, h.prefix_digest, DIGEST_SIZE);
	memcpy(both + DIGEST_SIZE, h.rest_digest, DIGEST_SIZE);
	assert_int_equal(digest_of(both, sizeof(both), expected), 0);
	assert_int_equal(fragment_digest(&h, digest), 0);
	assert_memory_equal(digest, expected, DIGEST_SIZE);
}

static void only_tfdt_may_change(void **state)
{
	(void)state;
	uint8_t body[BODY];
	struct fragment_header h = header();
	fill(body);
	assert_int_equal(fragment_seal(&h, body, true), 0);
	for (size_t i = 0; i < BODY; i++) {
		bool tfdt = (i >= 60 && i < 68) || (i >= 120 && i < 128);
		body[i] ^= 0x40;
		assert_int_equal(fragment_check_crc(&h, body), tfdt ? 0 : ERR_CHECKSUM);
		assert_int_equal(fragment_check_digest(&h, body), tfdt ? 0 : ERR_CHECKSUM);
		assert_int_equal(
			fragment_check_prefix_crc(&h, body), tfdt || i >= 200 ? 0 : ERR_CHECKSUM);
		body[i] ^= 0x40;
	}
	/* the digest covers the header's own fields too */
	h.capture.us++;
	assert_int_equal(fragment_check_crc(&h, body), 0);
	assert_int_equal(fragment_check_digest(&h, body), ERR_CHECKSUM);
}

static void without_digests(void **state)
{
	(void)state;
	uint8_t body[BODY];
	static const uint8_t zeroes[DIGEST_SIZE];
	struct fragment_header h = header();
	memset(h.rest_digest, 1, DIGEST_SIZE);
	fill(body);
	assert_int_equal(fragment_seal(&h, body, false), 0);
	assert_memory_equal(h.prefix_digest, zeroes, DIGEST_SIZE);
	assert_memory_equal(h.rest_digest, zeroes, DIGEST_SIZE);
	assert_int_equal(fragment_check_crc(&h, body), 0);
	assert_int_equal(fragment_check_digest(&h, body), -ENODATA);
}

static void a_prefix_that_is_all(void **state)
{
	(void)state;
	uint8_t body[BODY];
	struct fragment_header h = header();
	h.prefix_len = BODY, h.tfdt_offset[1] = BODY - 8;
	fill(body);
	assert_int_equal(fragment_seal(&h, body, true), 0);
	assert_int_equal(h.rest_crc, 0);
	assert_int_equal(fragment_check_crc(&h, body), 0);
	assert_int_equal(fragment_check_digest(&h, body), 0);
}

static void as_ever(void **state)
{
	(void)state;
	uint8_t both[FRAGMENT_HEADER_SIZE + BODY];
	struct fragment_header h = header();
	fill(both + FRAGMENT_HEADER_SIZE);
	assert_int_equal(fragment_seal(&h, both + FRAGMENT_HEADER_SIZE, true), 0);
	fragment_header_encode(&h, both);
	golden_check("fragment-header-1", both, sizeof(both));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(large_bodies),
		cmocka_unit_test(any_changed_bit_of_the_header_shows),
		cmocka_unit_test(headers_beyond_limits_are_refused),
		cmocka_unit_test(headers_without_sense_are_refused),
		cmocka_unit_test(a_nonzero_spare_byte_is_refused),
		cmocka_unit_test(checksums_follow_their_definition),
		cmocka_unit_test(only_tfdt_may_change),
		cmocka_unit_test(without_digests),
		cmocka_unit_test(a_prefix_that_is_all),
		cmocka_unit_test(as_ever),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
