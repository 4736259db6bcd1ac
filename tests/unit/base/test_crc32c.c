/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The definition, bit by bit. */
static uint32_t by_definition(uint32_t crc, const uint8_t *p, size_t len)
{
	crc = ~crc;
	for (; len; p++, len--) {
		crc ^= *p;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
	}
	return ~crc;
}

/* RFC 3720, B.4. */
static void known_checksums(void **state)
{
	(void)state;
	uint8_t data[32];
	memset(data, 0, sizeof(data));
	assert_int_equal(crc32c(0, data, 32), 0x8a9136aa);
	memset(data, 0xff, sizeof(data));
	assert_int_equal(crc32c(0, data, 32), 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		data[i] = i;
	assert_int_equal(crc32c(0, data, 32), 0x46dd794e);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(0, NULL, 0), 0);
}

/* Lengths around those of lanes, from any alignment. */
static void every_length_follows_the_definition(void **state)
{
	(void)state;
	enum { MAX = 3 * 2048 + 3 * 128 + 64 };
	uint8_t *data = malloc(MAX + 8);
	assert_non_null(data);
	uint32_t x = 1;
	for (size_t i = 0; i < MAX + 8; i++)
		data[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
	for (size_t len = 0; len <= MAX; len += len < 900 || len > MAX - 500 ? 1 : 61)
		assert_int_equal(
			crc32c(7, data + len % 8, len), by_definition(7, data + len % 8, len));
	free(data);
}

static void pieces_make_the_whole(void **state)
{
	(void)state;
	uint8_t data[1000];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31);
	uint32_t whole = crc32c(0, data, sizeof(data));
	for (size_t cut = 0; cut <= sizeof(data); cut++)
		assert_int_equal(
			crc32c(crc32c(0, data, cut), data + cut, sizeof(data) - cut), whole);
}

static void zeros_need_no_memory(void **state)
{
	(void)state;
	static const uint8_t zeros[500];
	for (size_t len = 0; len <= sizeof(zeros); len++)
		assert_int_equal(crc32c_zeros(99, len), crc32c(99, zeros, len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_checksums),
		cmocka_unit_test(every_length_follows_the_definition),
		cmocka_unit_test(pieces_make_the_whole),
		cmocka_unit_test(zeros_need_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
