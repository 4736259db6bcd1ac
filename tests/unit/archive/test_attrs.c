/* SPDX-License-Identifier: Apache-2.0 */
/* How guards are spelled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "storaged/archive/attrs.h"

static void test_numbers(void **state)
{
	(void)state;
	static const uint64_t numbers[] = {0, 1, 15, 16, 0xdeadbeef, UINT64_MAX};
	char text[ATTR_U64_SIZE + 1];
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		uint64_t back = 1;
		attr_u64_format(numbers[i], text);
		assert_int_equal(strlen(text), ATTR_U64_SIZE);
		assert_int_equal(attr_u64_parse(text, ATTR_U64_SIZE, &back), 0);
		assert_true(back == numbers[i]);
	}
	attr_u64_format(0xabc, text);
	assert_string_equal(text, "0000000000000abc");
}

static void test_order_of_bytes_is_order_of_numbers(void **state)
{
	(void)state;
	char last[ATTR_U64_SIZE + 1], next[ATTR_U64_SIZE + 1];
	uint64_t v = 0;
	attr_u64_format(v, last);
	for (int i = 0; i < 64; i++) {
		v = v * 2 + 1;
		attr_u64_format(v, next);
		assert_true(memcmp(last, next, ATTR_U64_SIZE) < 0);
		memcpy(last, next, sizeof(last));
	}
}

static void test_refused_texts(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "0", "000000000000000", "00000000000000000",
		"000000000000000G", "000000000000000A", " 00000000000000a", "0x0000000000000a"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		uint64_t v = 42;
		assert_int_equal(attr_u64_parse(texts[i], strlen(texts[i]), &v), ERR_FORMAT);
		assert_int_equal(v, 42);
	}
}

static void test_last(void **state)
{
	(void)state;
	char text[2 * ATTR_U64_SIZE + 1];
	chunk_last_format(0x51, 9, text);
	assert_string_equal(text, "00000000000000510000000000000009");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_order_of_bytes_is_order_of_numbers),
		cmocka_unit_test(test_refused_texts),
		cmocka_unit_test(test_last),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
