/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* FIPS 180-4's example of two blocks, and the empty message. */
static const char message[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
static const uint8_t of_message[32] = {0x24, 0x8d, 0x6a, 0x61, 0xd2, 0x06, 0x38, 0xb8, 0xe5, 0xc0,
	0x26, 0x93, 0x0c, 0x3e, 0x60, 0x39, 0xa3, 0x3c, 0xe4, 0x59, 0x64, 0xff, 0x21, 0x67, 0xf6,
	0xec, 0xed, 0xd4, 0x19, 0xdb, 0x06, 0xc1};
static const uint8_t of_nothing[32] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb,
	0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4,
	0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};

static void known_digests(void **state)
{
	(void)state;
	uint8_t digest[32];
	assert_int_equal(digest_of(message, strlen(message), digest), 0);
	assert_memory_equal(digest, of_message, 32);
	assert_int_equal(digest_of(NULL, 0, digest), 0);
	assert_memory_equal(digest, of_nothing, 32);
}

static void pieces_make_the_whole(void **state)
{
	(void)state;
	for (size_t cut = 0; cut <= strlen(message); cut++) {
		struct digest d;
		uint8_t digest[32];
		digest_start(&d);
		digest_add(&d, message, cut);
		digest_add(&d, message + cut, strlen(message) - cut);
		assert_int_equal(digest_finish(&d, digest), 0);
		assert_memory_equal(digest, of_message, 32);
	}
}

static void a_failure_sticks(void **state)
{
	(void)state;
	struct digest d = {.context = NULL}; /* as after a start without memory */
	uint8_t digest[32], zeroes[32] = {0};
	memset(digest, 1, sizeof(digest));
	digest_add(&d, message, 8);
	assert_true(digest_finish(&d, digest) < 0);
	assert_memory_equal(digest, zeroes, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_digests),
		cmocka_unit_test(pieces_make_the_whole),
		cmocka_unit_test(a_failure_sticks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
