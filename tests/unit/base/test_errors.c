/* SPDX-License-Identifier: Apache-2.0 */
#include "base/errors.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void each_code_has_its_words(void **state)
{
	(void)state;
	const char *words[ERR_GUARD - ERR_TLS + 1];
	for (int code = ERR_GUARD; code >= ERR_TLS; code--) {
		words[ERR_GUARD - code] = err_text(code);
		assert_string_not_equal(err_text(code), "unknown error");
		for (int other = ERR_GUARD; other > code; other--)
			assert_string_not_equal(words[ERR_GUARD - other], err_text(code));
	}
	assert_string_equal(err_text(0), "success");
	assert_string_equal(err_text(-ENOSPC), "No space left on device");
	assert_string_equal(err_text(-100000), "unknown error");
	assert_string_equal(err_text(5), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_code_has_its_words)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
