/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void answers_for_each_number(void **state)
{
	(void)state;
#define CHECK_ROW(name, number, word, retry, text)                                                 \
	assert_int_equal(REFUSAL_##name, number);                                                  \
	assert_string_equal(refusal_word(number), word);                                           \
	assert_string_equal(refusal_text(number), text);                                           \
	assert_true(refusal_retry(number) == retry);
	REFUSALS(CHECK_ROW)
#undef CHECK_ROW
}

static void words_differ(void **state)
{
	(void)state;
	static const char *const words[] = {
#define WORD(name, number, word, retry, text) word,
		REFUSALS(WORD)
#undef WORD
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(words[i], words[j]);
}

static void unknown_numbers_are_answered(void **state)
{
	(void)state;
	static const int unknown[] = {INT32_MIN, -1, 0, 30, 1000, INT32_MAX};
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		assert_string_equal(refusal_word(unknown[i]), "unknown");
		assert_true(strlen(refusal_text(unknown[i])) > 0);
		assert_false(refusal_retry(unknown[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_for_each_number),
		cmocka_unit_test(words_differ),
		cmocka_unit_test(unknown_numbers_are_answered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
