/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
	static const int unknown[] = {INT32_MIN, -1, 0, 31, 1000, INT32_MAX};
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		assert_string_equal(refusal_word(unknown[i]), "unknown");
		assert_true(strlen(refusal_text(unknown[i])) > 0);
		assert_false(refusal_retry(unknown[i]));
	}
}

/* The first table of docs/reference/refusals.md has a row a refusal, and no others. */
static void the_page_says_the_same(void **state)
{
	(void)state;
	static char page[64 << 10];
	FILE *f = fopen(REFUSALS_PAGE, "r");
	assert_non_null(f);
	size_t len = fread(page, 1, sizeof(page) - 1, f);
	fclose(f);
	assert_in_range(len, 1, sizeof(page) - 2);
	size_t rows = 0, count = 0;
	char row[256];
#define FIND_ROW(name, number, word, retry, text)                                                  \
	snprintf(row, sizeof(row), "\n| %d | `%s` | %s | %s |\n", number, word,                    \
		retry ? "yes" : "no", text);                                                       \
	if (!strstr(page, row))                                                                    \
		fail_msg("refusals.md lacks:%s", row);                                             \
	snprintf(row, sizeof(row), "\n| `%s` | ", word);                                           \
	if (!strstr(page, row))                                                                    \
		fail_msg("refusals.md does not say what to do about %s", word);                    \
	count++;
	REFUSALS(FIND_ROW)
#undef FIND_ROW
	for (const char *line = page; line; line = strchr(line + 1, '\n'))
		rows += line[0] == '\n' && line[1] == '|' && line[3] >= '0' && line[3] <= '9';
	assert_int_equal(rows, count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_for_each_number),
		cmocka_unit_test(words_differ),
		cmocka_unit_test(unknown_numbers_are_answered),
		cmocka_unit_test(the_page_says_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
