/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/errors.h"
#include "tools/media/bits.h"
#include "tools/media/nal.h"

static void test_annexb(void **state)
{
	(void)state;
	const uint8_t in[] = {
		9, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 0, 0, 2, 0, 0, 1, 0, 0, 1, 0x65, 0, 0};
	struct nal_scan scan = nal_scan_annexb(in, sizeof(in));
	struct nal nal;
	assert_true(nal_next(&scan, &nal));
	assert_int_equal(nal.data[0], 0x67);
	assert_int_equal(nal.len, 2);
	assert_true(nal_next(&scan, &nal));
	assert_int_equal(nal.data[0], 0x68);
	assert_int_equal(
		nal.len, 4); /* 00 00 02 is data; the zeroes before the next start code are not */
	assert_true(nal_next(&scan, &nal));
	assert_int_equal(nal.data[0], 0x65);
	assert_int_equal(nal.len, 1);
	assert_false(nal_next(&scan, &nal));
	assert_false(nal_next(&scan, &nal));
}

static void test_prefixed(void **state)
{
	(void)state;
	const uint8_t in[] = {0, 2, 0x67, 1, 0, 0, 0, 1, 0x65, 0, 9, 1};
	struct nal_scan scan = nal_scan_prefixed(in, sizeof(in), 2);
	struct nal nal;
	assert_true(nal_next(&scan, &nal));
	assert_int_equal(nal.len, 2);
	assert_true(nal_next(&scan, &nal));
	assert_int_equal(nal.data[0], 0x65);
	assert_false(nal_next(&scan, &nal));
	assert_true(scan.damaged);
}

static void test_empty(void **state)
{
	(void)state;
	struct nal nal;
	for (size_t len = 0; len < 4; len++) {
		struct nal_scan a = nal_scan_annexb("\0\0\1", len),
				p = nal_scan_prefixed("\0\0\0", len, 4);
		assert_false(nal_next(&a, &nal));
		assert_false(nal_next(&p, &nal));
	}
}

static void test_bits(void **state)
{
	(void)state;
	/* 1 010 011 00100 | ... : ue 0 1 2 3, then se of the same codes */
	const uint8_t in[] = {0xa6, 0x42, 0x98, 0xe2, 0x00};
	struct bits b = bits_reader(in, sizeof(in));
	assert_int_equal(bits_get_ue(&b), 0);
	assert_int_equal(bits_get_ue(&b), 1);
	assert_int_equal(bits_get_ue(&b), 2);
	assert_int_equal(bits_get_ue(&b), 3);
	const uint8_t prevention[] = {0, 0, 3, 1, 0, 0, 3};
	b = bits_reader(prevention, sizeof(prevention));
	assert_int_equal(bits_get(&b, 32), 0x00000100);
	assert_int_equal(bits_get(&b, 8), 0);
	assert_int_equal(b.error, 0);
	(void)bits_get(&b, 1);
	assert_int_equal(b.error, ERR_TRUNCATED);
	assert_int_equal(bits_get_ue(&b), 0);
	const uint8_t endless[8] = {0};
	b = bits_reader(endless, sizeof(endless));
	(void)bits_get_ue(&b);
	assert_int_not_equal(b.error, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_annexb),
		cmocka_unit_test(test_prefixed),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_bits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
