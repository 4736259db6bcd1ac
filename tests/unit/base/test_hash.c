/* SPDX-License-Identifier: Apache-2.0 */
/* Placement and chunk lengths are computed from this hash on every machine alike: its values may
 * never change. */
#include "base/hash.h"

#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void values_are_for_ever(void **state)
{
	(void)state;
	assert_true(hash64(0, "", 0) == UINT64_C(0x48218226ff3cd4bf));
	assert_true(hash64(1, "", 0) == UINT64_C(0xdce423fc82c0d5b8));
	assert_true(hash64(0, "a", 1) == UINT64_C(0x4e23c0c98b9a6368));
	assert_true(hash64(0, "gate-7/main", 11) == UINT64_C(0x59597d96f3c2cef1));
	assert_true(hash64(7, "34020000001320000001", 20) == UINT64_C(0x8a689f465bff0b45));
	/* the same bytes at an odd address */
	static const char shifted[] = "xgate-7/main";
	assert_true(hash64(0, shifted + 1, 11) == hash64(0, "gate-7/main", 11));
}

static void lengths_and_zeroes_count(void **state)
{
	(void)state;
	static const uint8_t zeroes[32];
	uint64_t seen[33];
	for (size_t len = 0; len <= 32; len++) {
		seen[len] = hash64(0, zeroes, len);
		for (size_t i = 0; i < len; i++)
			assert_true(seen[i] != seen[len]);
	}
}

/* Names that differ in a digit spread evenly. */
static void names_spread_evenly(void **state)
{
	(void)state;
	enum { BUCKETS = 64, NAMES = 64000 };
	int count[BUCKETS] = {0};
	for (int i = 0; i < NAMES; i++) {
		char name[32];
		int len = snprintf(name, sizeof(name), "340200000013%08d", i);
		count[hash64(0, name, (size_t)len) % BUCKETS]++;
	}
	double chi = 0, mean = (double)NAMES / BUCKETS;
	for (int i = 0; i < BUCKETS; i++)
		chi += (count[i] - mean) * (count[i] - mean) / mean;
	/* 63 degrees of freedom: beyond 120 is one in 100,000 */
	assert_true(chi < 120);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(values_are_for_ever),
		cmocka_unit_test(lengths_and_zeroes_count), cmocka_unit_test(names_spread_evenly)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
