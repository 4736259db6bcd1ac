/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/names.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X65 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void accepts_ids_of_the_grammar(void **state)
{
	(void)state;
	assert_true(camera_id_is_valid("a"));
	assert_true(camera_id_is_valid("Gate-7_north.b"));
	assert_true(camera_id_is_valid("34020000001320000001")); /* GB/T 28181 */
	assert_true(camera_id_is_valid(X64));
	assert_true(profile_is_valid("main.b"));
	assert_true(profile_is_valid("fifteen-letters"));
}

static void refuses_other_ids(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", ".", "..", "-a", "_a", "a..b", "a/b", "a b", "a\n", "\xc3\xa9", "a\x7f", X65};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(camera_id_is_valid(bad[i]));
	assert_false(profile_is_valid("sixteen--letters"));
	assert_false(profile_is_valid(""));
}

static void splits_streams(void **state)
{
	(void)state;
	char camera[CAMERA_ID_MAX + 1], profile[PROFILE_MAX + 1];
	assert_int_equal(stream_name_split("gate-7/main.b", camera, profile), 0);
	assert_string_equal(camera, "gate-7");
	assert_string_equal(profile, "main.b");
	assert_int_equal(stream_name_split(X64 "/fifteen-letters", camera, profile), 0);
	assert_int_equal(strlen(camera), CAMERA_ID_MAX);
	assert_int_equal(stream_name_split("a/b", NULL, NULL), 0);
}

static void leaves_outputs_alone_when_refusing(void **state)
{
	(void)state;
	char camera[CAMERA_ID_MAX + 1] = "before", profile[PROFILE_MAX + 1] = "before";
	static const char *const bad[] = {"", "/", "a", "a/", "/b", "a/b/c", "a/..", "../b",
		X65 "/main", "a/sixteen--letters"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(stream_name_split(bad[i], camera, profile), -EINVAL);
	assert_string_equal(camera, "before");
	assert_string_equal(profile, "before");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_ids_of_the_grammar),
		cmocka_unit_test(refuses_other_ids),
		cmocka_unit_test(splits_streams),
		cmocka_unit_test(leaves_outputs_alone_when_refusing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
