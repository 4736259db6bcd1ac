/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"

static void what_is_put_is_got(void **state)
{
	(void)state;
	uint8_t space[200], copy[5];
	char text[10];
	struct bytes w = bytes_writer(space, sizeof(space));
	bytes_put_u8(&w, 0xfe);
	bytes_put_u16(&w, 0xfedc);
	bytes_put_u24(&w, 0xfedcba);
	bytes_put_u32(&w, 0xfedcba98);
	bytes_put_u64(&w, 0xfedcba9876543210);
	bytes_put(&w, "raw", 3);
	bytes_put_zero(&w, 2);
	bytes_put_string8(&w, "camera");
	bytes_put_string8(&w, "");
	assert_int_equal(w.error, 0);
	assert_int_equal(w.at, 1 + 2 + 3 + 4 + 8 + 3 + 2 + 7 + 1);
	struct bytes r = bytes_reader(space, w.at);
	assert_int_equal(bytes_get_u8(&r), 0xfe);
	assert_int_equal(bytes_get_u16(&r), 0xfedc);
	assert_int_equal(bytes_get_u24(&r), 0xfedcba);
	assert_int_equal(bytes_get_u32(&r), 0xfedcba98);
	assert_true(bytes_get_u64(&r) == 0xfedcba9876543210);
	bytes_get_copy(&r, copy, 5);
	assert_memory_equal(copy, "raw\0\0", 5);
	bytes_get_string8(&r, text, sizeof(text));
	assert_string_equal(text, "camera");
	assert_int_equal(bytes_left(&r), 1);
	bytes_get_string8(&r, text, sizeof(text));
	assert_string_equal(text, "");
	assert_int_equal(bytes_left(&r), 0);
	assert_int_equal(r.error, 0);
	/* big-endian */
	static const uint8_t first[] = {0xfe, 0xfe, 0xdc, 0xfe, 0xdc, 0xba};
	assert_memory_equal(space, first, sizeof(first));
}

static void the_first_error_sticks(void **state)
{
	(void)state;
	static const uint8_t three[] = {1, 2, 3};
	uint8_t copy[4] = {9, 9, 9, 9};
	char text[4] = "xyz";
	struct bytes r = bytes_reader(three, 3);
	assert_int_equal(bytes_get_u16(&r), 0x0102);
	assert_int_equal(bytes_get_u16(&r), 0);
	assert_int_equal(r.error, ERR_TRUNCATED);
	assert_int_equal(r.at, 2);
	assert_int_equal(bytes_left(&r), 0);
	assert_int_equal(bytes_get_u8(&r), 0); /* though one is there */
	bytes_fail(&r, ERR_FORMAT);
	assert_int_equal(r.error, ERR_TRUNCATED);
	assert_null(bytes_get_view(&r, 0));
	bytes_get_copy(&r, copy, 4);
	assert_memory_equal(copy, "\0\0\0\0", 4);
	bytes_get_string8(&r, text, sizeof(text));
	assert_string_equal(text, "");
	bytes_skip(&r, 1);
	assert_int_equal(r.at, 2);
}

static void lengths_near_the_end_of_the_world(void **state)
{
	(void)state;
	static const uint8_t three[] = {1, 2, 3};
	struct bytes r = bytes_reader(three, 3);
	bytes_skip(&r, 1);
	bytes_skip(&r, SIZE_MAX);
	assert_int_equal(r.error, ERR_TRUNCATED);
	r = bytes_reader(three, 3);
	assert_ptr_equal(bytes_get_view(&r, 3), three);
	assert_non_null(bytes_get_view(&r, 0));
	assert_int_equal(r.error, 0);
	r = bytes_reader(NULL, 0);
	assert_int_equal(bytes_get_u8(&r), 0);
	assert_int_equal(r.error, ERR_TRUNCATED);
	/* the view of a failed read has no bytes, whatever length was wanted */
	r = bytes_reader(NULL, 5);
	assert_int_equal(bytes_left(&r), 0);
	assert_int_equal(bytes_get_u8(&r), 0);
	assert_int_equal(r.error, ERR_TRUNCATED);
}

static void space_ends(void **state)
{
	(void)state;
	uint8_t space[4] = {9, 9, 9, 9};
	struct bytes w = bytes_writer(space, 3);
	bytes_put_u16(&w, 0x0102);
	bytes_put_u16(&w, 0x0304);
	assert_int_equal(w.error, ERR_LIMIT);
	bytes_put_u8(&w, 5); /* though it would fit */
	assert_int_equal(w.at, 2);
	assert_memory_equal(space, "\1\2\11\11", 4);
	w = bytes_writer(space, 4);
	char long_text[300];
	memset(long_text, 'x', 299);
	long_text[299] = 0;
	bytes_put_string8(&w, long_text);
	assert_int_equal(w.error, ERR_LIMIT);
	assert_int_equal(w.at, 0);
	/* counting only: a writer without space */
	w = bytes_writer(NULL, 0);
	bytes_put(&w, "", 0);
	assert_int_equal(w.error, 0);
}

static void strings_are_judged(void **state)
{
	(void)state;
	char text[4];
	struct bytes r = bytes_reader("\4abcd", 5);
	bytes_get_string8(&r, text, sizeof(text));
	assert_int_equal(r.error, ERR_FORMAT);
	assert_string_equal(text, "");
	r = bytes_reader("\3abc", 4);
	bytes_get_string8(&r, text, sizeof(text));
	assert_int_equal(r.error, 0);
	assert_string_equal(text, "abc");
	r = bytes_reader("\3a\0c", 4);
	bytes_get_string8(&r, text, sizeof(text));
	assert_int_equal(r.error, ERR_FORMAT);
	r = bytes_reader("\3ab", 3);
	bytes_get_string8(&r, text, sizeof(text));
	assert_int_equal(r.error, ERR_TRUNCATED);
	assert_string_equal(text, "");
}

static void varints(void **state)
{
	(void)state;
	static const struct {
		uint64_t value;
		size_t bytes;
	} cases[] = {{0, 1}, {1, 1}, {127, 1}, {128, 2}, {16383, 2}, {16384, 3}, {UINT32_MAX, 5},
		{UINT64_MAX >> 1, 9}, {UINT64_MAX, 10}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t space[10];
		struct bytes w = bytes_writer(space, sizeof(space));
		bytes_put_varint(&w, cases[i].value);
		assert_int_equal(w.error, 0);
		assert_int_equal(w.at, cases[i].bytes);
		struct bytes r = bytes_reader(space, w.at);
		assert_true(bytes_get_varint(&r) == cases[i].value);
		assert_int_equal(bytes_left(&r), 0);
		r = bytes_reader(space, w.at - 1);
		assert_int_equal(bytes_get_varint(&r), 0);
		assert_int_equal(r.error, ERR_TRUNCATED);
	}
	/* more than 64 bits */
	struct bytes r = bytes_reader("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10);
	assert_int_equal(bytes_get_varint(&r), 0);
	assert_int_equal(r.error, ERR_FORMAT);
	r = bytes_reader("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x80\x01", 11);
	assert_int_equal(bytes_get_varint(&r), 0);
	assert_int_equal(r.error, ERR_FORMAT);
}

static void signs_stay_small(void **state)
{
	(void)state;
	assert_true(zigzag(0) == 0 && zigzag(-1) == 1 && zigzag(1) == 2 && zigzag(-2) == 3);
	static const int64_t cases[] = {0, 1, -1, 1000000, -1000000, INT64_MAX, INT64_MIN};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_true(unzigzag(zigzag(cases[i])) == cases[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_put_is_got),
		cmocka_unit_test(the_first_error_sticks),
		cmocka_unit_test(lengths_near_the_end_of_the_world), cmocka_unit_test(space_ends),
		cmocka_unit_test(strings_are_judged), cmocka_unit_test(varints),
		cmocka_unit_test(signs_stay_small)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
