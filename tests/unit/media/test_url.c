/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tools/media/url.h"

static void redacted(const char *in, const char *out)
{
	char to[256];
	url_redact(in, to, sizeof(to));
	assert_string_equal(to, out);
}

static void test_redact(void **state)
{
	(void)state;
	redacted("rtsp://admin:s3cret@10.0.0.1/s", "rtsp://admin:***@10.0.0.1/s");
	redacted("rtsp://admin:a@b:c@10.0.0.1/s", "rtsp://admin:***@10.0.0.1/s");
	redacted("rtsp://admin@10.0.0.1/s", "rtsp://admin@10.0.0.1/s");
	redacted("no address", "no address");
	redacted("from http://x/ to rtsp://u:p@h and rtsp://v:q@i/",
		"from http://x/ to rtsp://u:***@h and rtsp://v:***@i/");
	redacted("'tcp://h:554' failed", "'tcp://h:554' failed");
	char small[12];
	url_redact("rtsp://u:password@h", small, sizeof(small));
	assert_string_equal(small, "rtsp://u:**");
}

static void test_password(void **state)
{
	(void)state;
	assert_true(url_has_password("rtsp://u:p@h/"));
	assert_false(url_has_password("rtsp://u@h/"));
	assert_false(url_has_password("rtsp://h:554/a:b@c"));
	assert_false(url_has_password("/tmp/file:with@signs"));
}

static void composed(const char *url, const char *user, const char *password, const char *out)
{
	char *made = url_with_credentials(url, user, password);
	assert_non_null(made);
	assert_string_equal(made, out);
	free(made);
}

static void test_compose(void **state)
{
	(void)state;
	composed("rtsp://h/s", "admin", "p@ss:w/rd", "rtsp://admin:p%40ss%3Aw%2Frd@h/s");
	composed("rtsp://joe@h/s", NULL, "x", "rtsp://joe:x@h/s");
	composed("rtsp://joe:old@h/s", NULL, "new", "rtsp://joe:new@h/s");
	composed("rtsp://joe@h/s", "ann", "x", "rtsp://ann:x@h/s");
	composed("rtsp://h/s", NULL, NULL, "rtsp://h/s");
	composed("file.mp4", "a", "b", "file.mp4");
}

static void test_kinds(void **state)
{
	(void)state;
	assert_true(url_is_live("rtsp://h/"));
	assert_true(url_is_live("UDP://239.0.0.1:1234"));
	assert_false(url_is_live("http://h/file.mp4"));
	assert_false(url_is_live("rtsp.mp4"));
	assert_true(url_is_rtsp("rtsps://h/"));
	assert_false(url_is_rtsp("udp://h"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_redact),
		cmocka_unit_test(test_password),
		cmocka_unit_test(test_compose),
		cmocka_unit_test(test_kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
