/* SPDX-License-Identifier: Apache-2.0 */
/* The local store's pure parts: records and paths. */
#include "tests/unit/store/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "storaged/store/store_local_path.h"
#include "storaged/store/store_local_record.h"

static void records_come_back(void **state)
{
	(void)state;
	static uint8_t bytes[LOCAL_RECORD_MAX];
	static char big[STORE_ATTR_VALUE_MAX];
	memset(big, 'b', sizeof(big));
	struct local_record r = {.flags = LOCAL_OTHER_FILE,
				    .id = UINT64_MAX - 1,
				    .size = STORE_OBJECT_MAX},
			    back;
	struct store_attr attrs[STORE_ATTRS_MAX];
	char names[STORE_ATTRS_MAX][STORE_ATTR_NAME_MAX + 1];
	for (size_t i = 0; i < STORE_ATTRS_MAX; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "fourteen-chrs-%zu", i);
		attrs[i] = (struct store_attr){names[i], big, sizeof(big)};
	}
	assert_int_equal(local_record_set_attrs(&r, attrs, STORE_ATTRS_MAX), 0);
	size_t len = local_record_encode(&r, bytes);
	assert_int_equal(len, LOCAL_RECORD_MAX);
	assert_int_equal(local_record_decode(bytes, len, &back), 0);
	assert_int_equal(back.flags, r.flags);
	assert_true(back.id == r.id && back.size == r.size);
	assert_int_equal(back.attr_count, STORE_ATTRS_MAX);
	for (size_t i = 0; i < STORE_ATTRS_MAX; i++) {
		const struct store_read_attr *a = local_record_attr(&back, names[i]);
		assert_non_null(a);
		assert_int_equal(store_attr_compare(a->value, a->len, big, sizeof(big)), 0);
	}
	assert_null(local_record_attr(&back, "none"));
}

/* The golden bytes of docs/format/local-store.md. */
static void a_record_is_these_bytes(void **state)
{
	(void)state;
	static const uint8_t golden[] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0x10, 0, 1,
		2, 'e', 'p', 0, 4, '0', '0', '0', '5'};
	uint8_t bytes[LOCAL_RECORD_MAX];
	struct local_record r = {.id = 7, .size = 4096};
	assert_int_equal(local_record_set_attrs(&r, &(struct store_attr){"ep", "0005", 4}, 1), 0);
	assert_int_equal(local_record_encode(&r, bytes), sizeof(golden));
	assert_memory_equal(bytes, golden, sizeof(golden));
}

static void attributes_are_set_in_order(void **state)
{
	(void)state;
	struct local_record r = {0};
	const struct store_attr many[] = {
		{"a", "1", 1}, {"b", "2", 1}, {"a", "3", 1}, {"b", "", 0}, {"c", "", 0}};
	assert_int_equal(local_record_set_attrs(&r, many, ARRAY_LEN(many)), 0);
	assert_int_equal(r.attr_count, 1);
	assert_memory_equal(local_record_attr(&r, "a")->value, "3", 1);
	/* more than may stay are refused, but not those that only pass by */
	struct store_attr eight[STORE_ATTRS_MAX];
	char names[STORE_ATTRS_MAX][2];
	for (size_t i = 0; i < STORE_ATTRS_MAX; i++) {
		names[i][0] = (char)('p' + i);
		names[i][1] = 0;
		eight[i] = (struct store_attr){names[i], "v", 1};
	}
	struct local_record full = r;
	assert_int_equal(local_record_set_attrs(&full, eight, STORE_ATTRS_MAX), -EINVAL);
	eight[STORE_ATTRS_MAX - 1] = (struct store_attr){"a", NULL, 0};
	full = r;
	assert_int_equal(local_record_set_attrs(&full, eight, STORE_ATTRS_MAX), 0);
	assert_int_equal(full.attr_count, STORE_ATTRS_MAX - 1);
}

static void what_is_no_record_is_refused(void **state)
{
	(void)state;
	uint8_t bytes[LOCAL_RECORD_MAX + 1];
	struct local_record r = {.id = 7, .size = 4096}, back;
	assert_int_equal(local_record_set_attrs(&r, &(struct store_attr){"ep", "0005", 4}, 1), 0);
	size_t len = local_record_encode(&r, bytes);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(local_record_decode(bytes, cut, &back), ERR_TRUNCATED);
	bytes[len] = 0;
	assert_int_equal(local_record_decode(bytes, len + 1, &back), ERR_FORMAT);
	bytes[0] = 2;
	assert_int_equal(local_record_decode(bytes, len, &back), ERR_VERSION);
	bytes[0] = 1;
	bytes[18] = STORE_ATTRS_MAX + 1;
	assert_int_equal(local_record_decode(bytes, len, &back), ERR_FORMAT);
	/* any byte at all: no crash, and nothing out of bounds for the sanitizer to see */
	srand(1);
	for (int i = 0; i < 20000; i++) {
		uint8_t *copy = malloc(len);
		assert_non_null(copy);
		memcpy(copy, bytes, len);
		for (int k = 0; k < 3; k++)
			copy[(size_t)rand() % len] = (uint8_t)rand();
		(void)local_record_decode(copy, len, &back);
		free(copy);
	}
}

static void assert_path(const char *name, uint8_t file, const char *path)
{
	char to[LOCAL_PATH_MAX];
	local_path(to, name, file);
	assert_string_equal(to, path);
}

static void paths_say_whose_they_are(void **state)
{
	(void)state;
	assert_path("chk/gate-7/main/3.17.0", 0, "chk/gate-7/main/3.17.0.mp4");
	assert_path("chk/gate-7/main/3.17.0", 1, "chk/gate-7/main/3.17.0~.mp4");
	assert_path("a", 0, "a.mp4");
	assert_path("a.mp4", 0, "a.mp4.mp4");
	assert_path("a.mp4/b", 0, "a.mp4+/b.mp4");
	assert_path(".mp4/b", 0, ".mp4+/b.mp4");
	assert_path("mp4/b", 0, "mp4/b.mp4");
	char name[STORE_NAME_MAX + 1], path[LOCAL_PATH_MAX];
	memset(name, 'x', STORE_NAME_MAX);
	name[STORE_NAME_MAX] = 0;
	local_path(path, name, 1);
	assert_int_equal(strlen(path), STORE_NAME_MAX + 2 + 5);
	assert_int_equal(strcspn(path, "/"), 201);
	/* components of the most bytes and of the most names */
	for (int i = 0; i + 5 <= STORE_NAME_MAX; i += 5)
		memcpy(name + i, i + 5 == STORE_NAME_MAX ? "x.mp4" : ".mp4/", 5);
	local_path(path, name, 1);
	assert_true(strlen(path) < LOCAL_PATH_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(records_come_back),
		cmocka_unit_test(a_record_is_these_bytes),
		cmocka_unit_test(attributes_are_set_in_order),
		cmocka_unit_test(what_is_no_record_is_refused),
		cmocka_unit_test(paths_say_whose_they_are)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
