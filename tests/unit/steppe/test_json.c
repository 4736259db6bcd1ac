/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "printed.h"
#include "tools/steppe/json.h"
#include "tools/steppe/jsonread.h"

static void write_some(struct json *j)
{
	json_open(j, '{');
	json_member_string(j, "a", "x\"\\\n\x01\xff\xc3\xa4");
	json_member_string(j, "none", NULL);
	json_member_int(j, "n", INT64_MIN);
	json_member_double(j, "d", 1.5);
	json_key(j, "list");
	json_open(j, '[');
	json_uint(j, UINT64_MAX);
	json_bool(j, true);
	json_open(j, '{');
	json_close(j, '}');
	json_hex(j, (const uint8_t *)"\x00\xab", 2);
	json_close(j, ']');
	json_close(j, '}');
	json_end(j);
}

static void test_compact(void **state)
{
	(void)state;
	struct printed p;
	printed_open(&p);
	struct json j = {.to = p.to};
	write_some(&j);
	assert_string_equal(printed_text(&p),
		"{\"a\":\"x\\\"\\\\\\n\\u0001\xef\xbf\xbd\xc3\xa4\",\"none\":null,\"n\":-"
		"9223372036854775808,\"d\":1.500,"
		"\"list\":[18446744073709551615,true,{},\"00ab\"]}\n");
	printed_free(&p);
}

static void test_pretty(void **state)
{
	(void)state;
	struct printed p;
	printed_open(&p);
	struct json j = {.to = p.to, .pretty = true};
	json_open(&j, '{');
	json_member_int(&j, "a", 1);
	json_key(&j, "b");
	json_open(&j, '[');
	json_int(&j, 2);
	json_close(&j, ']');
	json_close(&j, '}');
	json_end(&j);
	assert_string_equal(printed_text(&p), "{\n  \"a\": 1,\n  \"b\": [\n    2\n  ]\n}\n");
	printed_free(&p);
}

static void test_lines(void **state)
{
	(void)state;
	struct printed p;
	printed_open(&p);
	struct json j = {.to = p.to};
	for (int i = 0; i < 2; i++) {
		json_open(&j, '{');
		json_member_int(&j, "i", i);
		json_close(&j, '}');
		json_end(&j);
	}
	assert_string_equal(printed_text(&p), "{\"i\":0}\n{\"i\":1}\n");
	printed_free(&p);
}

static void test_read(void **state)
{
	(void)state;
	const char text[] =
		" {\"k\" : [1, -2.5e3, true, null, \"\\u00e4\\ud83d\\ude00\\n\"] ,\n \"m\":{}}";
	static const enum jsonread_token want[] = {JSONREAD_OBJECT, JSONREAD_KEY, JSONREAD_ARRAY,
		JSONREAD_NUMBER, JSONREAD_NUMBER, JSONREAD_WORD, JSONREAD_WORD, JSONREAD_STRING,
		JSONREAD_CLOSE, JSONREAD_KEY, JSONREAD_OBJECT, JSONREAD_CLOSE, JSONREAD_CLOSE,
		JSONREAD_END, JSONREAD_END};
	struct jsonread j;
	jsonread_init(&j, text, strlen(text));
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_int_equal(jsonread_next(&j), want[i]);
		if (i == 3)
			assert_true(j.is_integer && j.number == 1);
		if (i == 4)
			assert_false(j.is_integer);
		if (i == 7)
			assert_string_equal(j.text, "\xc3\xa4\xf0\x9f\x98\x80\n");
	}
	assert_int_equal(j.line, 2);
}

/* Reads to the end; true when the text is JSON. */
static bool is_json(const char *text, size_t len)
{
	struct jsonread j;
	jsonread_init(&j, text, len);
	for (;;) {
		enum jsonread_token t = jsonread_next(&j);
		if (t == JSONREAD_END || t == JSONREAD_ERROR)
			return t == JSONREAD_END;
	}
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "{", "[1,]", "{\"a\":1,}", "{a:1}", "{\"a\" 1}",
		"[1 2]", "[01]", "[1.]", "[-]", "[1e]", "{\"a\":}", "[}", "{]", "nul", "\"\\x\"",
		"\"\\ud800\"", "\"\\udc00\"", "\"\\u0000\"", "\"a\nb\"", "\"open", "1 1", "{} x",
		"[,1]", "{,}", "{\"a\":1 \"b\":2}"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(is_json(bad[i], strlen(bad[i])));
	static const char *const good[] = {
		"[]", "{}", "1", "\"x\"", "[[],{}]", "[0,-0,10]", " true "};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(is_json(good[i], strlen(good[i])));
	char deep[80];
	memset(deep, '[', 40);
	memset(deep + 40, ']', 40);
	assert_false(is_json(deep, sizeof(deep)));
	assert_true(is_json(deep + 8, 64));
}

static void test_skip(void **state)
{
	(void)state;
	const char text[] = "{\"a\":{\"b\":[1,{}]},\"c\":2}";
	struct jsonread j;
	jsonread_init(&j, text, strlen(text));
	assert_int_equal(jsonread_next(&j), JSONREAD_OBJECT);
	assert_int_equal(jsonread_next(&j), JSONREAD_KEY);
	assert_true(jsonread_skip(&j, jsonread_next(&j)));
	assert_int_equal(jsonread_next(&j), JSONREAD_KEY);
	assert_string_equal(j.text, "c");
	assert_true(jsonread_skip(&j, jsonread_next(&j)));
	assert_int_equal(jsonread_next(&j), JSONREAD_CLOSE);
	jsonread_init(&j, "[[1", 3);
	assert_false(jsonread_skip(&j, jsonread_next(&j)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compact),
		cmocka_unit_test(test_pretty),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_skip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
