/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/payload.h"
#include "tests/lib/alloc_fail.h"

/* Byte `i` of everything that was ever added. */
static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 131 + (i >> 8) * 7);
}

static int add(struct payload *p, size_t *at, size_t len)
{
	uint8_t bytes[20000];
	assert_true(len <= sizeof(bytes));
	for (size_t i = 0; i < len; i++)
		bytes[i] = byte_at(*at + i);
	int rc = payload_add(p, bytes, len);
	if (rc == 0)
		*at += len;
	return rc;
}

static void assert_bytes(const uint8_t *bytes, size_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], byte_at(from + i));
}

static void test_bytes_are_given_as_they_came(void **state)
{
	(void)state;
	struct payload p = {0};
	size_t at = 0, taken = 0;
	for (int round = 0; round < 5; round++) {
		for (size_t i = 0; i < 100; i++)
			assert_int_equal(add(&p, &at, 1 + i * 37 % 5000), 0);
		struct buf *b;
		size_t len = p.len, before = 100, behind = 50;
		assert_int_equal(payload_take(&p, len, before, behind, &b), 0);
		assert_int_equal(b->len, before + len + behind);
		memset(b->data, 0xee, before);
		memset(b->data + before + len, 0xee, behind);
		assert_bytes(b->data + before, taken, len);
		assert_int_equal(p.len, 0);
		taken += len;
		buf_unref(&b);
	}
	payload_drop(&p);
}

static void test_a_part_is_taken_and_the_rest_stays(void **state)
{
	(void)state;
	struct payload p = {0};
	size_t at = 0;
	struct buf *b;
	assert_int_equal(add(&p, &at, 3000), 0);
	assert_int_equal(payload_take(&p, 1000, 200, 0, &b), 0);
	assert_bytes(b->data + 200, 0, 1000);
	buf_unref(&b);
	assert_int_equal(p.len, 2000);
	uint8_t moved[500];
	payload_move(&p, sizeof(moved), moved);
	assert_bytes(moved, 1000, 500);
	payload_move(&p, 0, moved);
	assert_int_equal(add(&p, &at, 100), 0);
	assert_int_equal(payload_take(&p, 1600, 0, 0, &b), 0);
	assert_bytes(b->data, 1500, 1600);
	buf_unref(&b);
	payload_drop(&p);
	payload_drop(&p);
}

/* More room before the bytes than was kept. */
static void test_a_long_head(void **state)
{
	(void)state;
	struct payload p = {0};
	size_t at = 0;
	struct buf *b;
	assert_int_equal(add(&p, &at, 3000), 0);
	assert_int_equal(payload_take(&p, 3000, 70000, 10, &b), 0);
	assert_int_equal(b->len, 70000 + 3000 + 10);
	memset(b->data, 0xee, 70000);
	assert_bytes(b->data + 70000, 0, 3000);
	buf_unref(&b);
	payload_drop(&p);
}

static void fill_and_take(void *user)
{
	(void)user;
	struct payload p = {0};
	size_t at = 0, taken = 0;
	struct buf *b = NULL;
	for (int i = 0; i < 5; i++)
		(void)add(&p, &at, 7000);
	size_t part = p.len / 2;
	if (part && payload_take(&p, part, 9000, 20, &b) == 0) {
		taken = part;
		assert_bytes(b->data + 9000, 0, taken);
		buf_unref(&b);
	}
	assert_int_equal(p.len, at - taken);
	if (p.len && payload_take(&p, p.len, 10, 0, &b) == 0) {
		assert_bytes(b->data + 10, taken, at - taken);
		buf_unref(&b);
	}
	payload_drop(&p);
}

static void test_without_memory_nothing_is_lost(void **state)
{
	(void)state;
	alloc_fail_sweep(fill_and_take, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_are_given_as_they_came),
		cmocka_unit_test(test_a_part_is_taken_and_the_rest_stays),
		cmocka_unit_test(test_a_long_head),
		cmocka_unit_test(test_without_memory_nothing_is_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
