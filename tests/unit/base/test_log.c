/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char line[8192];

/* What log_line writes to standard error. */
#define CAPTURED(call) (capture(), (call), captured())

static int saved, pipe_ends[2];

static void capture(void)
{
	assert_int_equal(pipe(pipe_ends), 0);
	saved = dup(STDERR_FILENO);
	assert_true(saved >= 0 && dup2(pipe_ends[1], STDERR_FILENO) >= 0);
}

static const char *captured(void)
{
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	close(pipe_ends[1]);
	ssize_t n = read(pipe_ends[0], line, sizeof(line) - 1);
	close(pipe_ends[0]);
	assert_true(n >= 0);
	line[n] = 0;
	return line;
}

static void a_line_has_time_level_and_words(void **state)
{
	(void)state;
	int year, milliseconds, end = 0;
	CAPTURED(log_info("chunk sealed stream=%s bytes=%d", "gate-7/main", 42));
	assert_int_equal(sscanf(line,
				 "%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%3dZ info chunk sealed "
				 "stream=gate-7/main bytes=42\n%n",
				 &year, &milliseconds, &end),
		2);
	assert_int_equal(strlen(line), end);
	assert_in_range(year, 2024, 2200);
}

static void levels_are_thresholds(void **state)
{
	(void)state;
	enum log_level level = LOG_WARN;
	assert_string_equal(CAPTURED(log_debug("quiet")), "");
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
	assert_int_equal(level, LOG_WARN);
	assert_int_equal(log_level_parse("debug", &level), 0);
	log_set_level(level);
	assert_non_null(strstr(CAPTURED(log_debug("heard")), " debug heard\n"));
	log_set_level(LOG_ERROR);
	assert_string_equal(CAPTURED(log_warn("quiet")), "");
	assert_non_null(strstr(CAPTURED(log_error("heard")), " error heard\n"));
	log_set_level(LOG_INFO);
}

static void a_line_is_one_line(void **state)
{
	(void)state;
	CAPTURED(log_info("name=%s", "a\nb\r\x1b[2Jc\x7f\xc3\xa4"));
	assert_non_null(strstr(line, "name=a b  [2Jc \xc3\xa4\n"));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	/* a long one is cut, and still ends */
	static char text[6000];
	memset(text, 'x', sizeof(text) - 1);
	CAPTURED(log_info("%s", text));
	assert_in_range(strlen(line), 1900, 2048);
	assert_int_equal(line[strlen(line) - 1], '\n');
	assert_int_equal(line[strlen(line) - 2], 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_line_has_time_level_and_words),
		cmocka_unit_test(levels_are_thresholds), cmocka_unit_test(a_line_is_one_line)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
