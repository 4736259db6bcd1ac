/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/bmff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/errors.h"

static const uint8_t plain[] = {0, 0, 0, 12, 'f', 'r', 'e', 'e', 1, 2, 3, 4};
static const uint8_t large[] = {0, 0, 0, 1, 'm', 'd', 'a', 't', 0, 0, 0, 1, 0, 0, 0, 0};
static const uint8_t uuid[] = {
	0, 0, 0, 25, 'u', 'u', 'i', 'd', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 99};

static void headers_of_all_widths(void **state)
{
	(void)state;
	struct bmff_box box;
	struct bytes b = bytes_reader(plain, sizeof(plain));
	assert_int_equal(bmff_box_read(&b, &box), 0);
	assert_int_equal(box.type, BMFF_FOURCC('f', 'r', 'e', 'e'));
	assert_int_equal(box.size, 12);
	assert_int_equal(box.header, 8);
	assert_null(box.uuid);
	assert_int_equal(b.at, 8);
	b = bytes_reader(large, sizeof(large)); /* its payload is not there, and need not be */
	assert_int_equal(bmff_box_read(&b, &box), 0);
	assert_true(box.size == UINT64_C(1) << 32);
	assert_int_equal(box.header, 16);
	b = bytes_reader(uuid, sizeof(uuid));
	assert_int_equal(bmff_box_read(&b, &box), 0);
	assert_int_equal(box.header, 24);
	assert_memory_equal(box.uuid, uuid + 8, 16);
}

static void cut_headers_are_truncated(void **state)
{
	(void)state;
	static const struct {
		const uint8_t *data;
		size_t header;
	} boxes[] = {{plain, 8}, {large, 16}, {uuid, 24}};
	for (size_t i = 0; i < ARRAY_LEN(boxes); i++)
		for (size_t len = 0; len < boxes[i].header; len++) {
			struct bytes b = bytes_reader(boxes[i].data, len);
			struct bmff_box box;
			assert_int_equal(bmff_box_read(&b, &box), ERR_TRUNCATED);
		}
}

static void impossible_sizes_are_refused(void **state)
{
	(void)state;
	static const uint8_t to_the_end[8] = {0, 0, 0, 0, 'm', 'd', 'a', 't'},
			     small[8] = {0, 0, 0, 7, 'f', 'r', 'e', 'e'},
			     small_large[16] = {0, 0, 0, 1, 'm', 'd', 'a', 't', 0, 0, 0, 0, 0, 0, 0,
				     15},
			     small_uuid[24] = {0, 0, 0, 23, 'u', 'u', 'i', 'd'};
	const struct bytes inputs[] = {bytes_reader(to_the_end, 8), bytes_reader(small, 8),
		bytes_reader(small_large, 16), bytes_reader(small_uuid, 24)};
	for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
		struct bytes b = inputs[i];
		struct bmff_box box;
		assert_int_equal(bmff_box_read(&b, &box), ERR_FORMAT);
	}
}

static void children_fill_their_parent(void **state)
{
	(void)state;
	uint8_t data[sizeof(plain) + sizeof(uuid)];
	memcpy(data, plain, sizeof(plain));
	memcpy(data + sizeof(plain), uuid, sizeof(uuid));
	struct bytes parent = bytes_reader(data, sizeof(data)), payload;
	struct bmff_box box;
	assert_int_equal(bmff_box_next(&parent, &box, &payload), 1);
	assert_int_equal(bytes_get_u32(&payload), 0x01020304);
	assert_int_equal(bytes_left(&payload), 0);
	assert_int_equal(bmff_box_next(&parent, &box, &payload), 1);
	assert_int_equal(bytes_get_u8(&payload), 99);
	assert_int_equal(bmff_box_next(&parent, &box, &payload), 0);
	assert_int_equal(bmff_box_next(&parent, &box, &payload), 0);

	for (size_t len = 1; len < sizeof(plain); len++) {
		parent = bytes_reader(data, len);
		assert_int_equal(bmff_box_next(&parent, &box, &payload), ERR_FORMAT);
		assert_int_equal(bmff_box_next(&parent, &box, &payload), ERR_FORMAT);
	}
	parent = bytes_reader(large, sizeof(large));
	assert_int_equal(bmff_box_next(&parent, &box, &payload), ERR_FORMAT);
}

static void boxes_are_closed_with_their_size(void **state)
{
	(void)state;
	uint8_t space[64];
	struct bytes b = bytes_writer(space, sizeof(space));
	size_t outer = bmff_box_begin(&b, BMFF_FOURCC('m', 'o', 'o', 'f'));
	size_t inner = bmff_full_box_begin(&b, BMFF_FOURCC('m', 'f', 'h', 'd'), 1, 0x020304);
	bytes_put_u32(&b, 7);
	bmff_box_end(&b, inner);
	bmff_box_end(&b, outer);
	static const uint8_t expected[] = {0, 0, 0, 24, 'm', 'o', 'o', 'f', 0, 0, 0, 16, 'm', 'f',
		'h', 'd', 1, 2, 3, 4, 0, 0, 0, 7};
	assert_int_equal(b.at, sizeof(expected));
	assert_memory_equal(space, expected, sizeof(expected));

	b = bytes_writer(space, 20); /* an error inside sticks and nothing is patched */
	outer = bmff_box_begin(&b, BMFF_FOURCC('m', 'o', 'o', 'f'));
	bytes_put_zero(&b, 13);
	bmff_box_end(&b, outer);
	assert_int_equal(b.error, ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_of_all_widths),
		cmocka_unit_test(cut_headers_are_truncated),
		cmocka_unit_test(impossible_sizes_are_refused),
		cmocka_unit_test(children_fill_their_parent),
		cmocka_unit_test(boxes_are_closed_with_their_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
