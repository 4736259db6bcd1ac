/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/fixture.h"

#include "storaged/store/store_url.h"

static char why[256];
static struct store_url url;

static void takes_a_url_apart(void **state)
{
	(void)state;
	assert_int_equal(
		store_url_parse("file:///srv/my%20video?cold=/mnt/big%3f&quota=12", &url, why, 256),
		0);
	assert_string_equal(url.scheme, "file");
	assert_string_equal(url.path, "/srv/my video");
	assert_string_equal(store_url_param(&url, "cold"), "/mnt/big?");
	assert_string_equal(store_url_param(&url, "quota"), "12");
	assert_null(store_url_param(&url, "quot"));
	assert_int_equal(store_url_parse("rados://?conf=", &url, why, 256), 0);
	assert_string_equal(url.path, "");
	assert_string_equal(store_url_param(&url, "conf"), "");
	assert_int_equal(store_url_parse("file:///x?", &url, why, 256), 0);
	assert_int_equal(url.param_count, 0);
}

static void refuses_what_is_no_url(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "/srv/video", "://x", "file:/x", "file:///a%2",
		"file:///a%zz", "file:///a%00b", "file:///x?cold", "file:///x?=1",
		"file:///x?a=1&a=2", "file:///x?a=%f"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		why[0] = 0;
		assert_int_equal(store_url_parse(bad[i], &url, why, 256), ERR_CONFIG);
		assert_int_not_equal(why[0], 0);
	}
	char many[1200] = "file:///x?";
	for (char k = 'a'; k < 'a' + STORE_URL_PARAMS_MAX + 1; k++) {
		char param[] = {k, '=', '1', '&', 0};
		strcat(many, param);
	}
	assert_int_equal(store_url_parse(many, &url, why, 256), ERR_CONFIG);
	memset(many + 8, 'x', sizeof(many) - 9);
	assert_int_equal(store_url_parse(many, &url, why, 256), ERR_CONFIG);
}

static void names_an_unknown_key(void **state)
{
	(void)state;
	static const char *const known[] = {"cold", NULL};
	assert_int_equal(store_url_parse("file:///x?cold=1", &url, why, 256), 0);
	assert_int_equal(store_url_check_keys(&url, known, why, 256), 0);
	assert_int_equal(store_url_parse("file:///x?cold=1&clod=2", &url, why, 256), 0);
	assert_int_equal(store_url_check_keys(&url, known, why, 256), ERR_CONFIG);
	assert_non_null(strstr(why, "clod"));
}

static void opens_no_unknown_scheme(void **state)
{
	(void)state;
	struct store_backend *backend = NULL;
	assert_int_equal(store_backend_open("ftp://x/y", &backend, why, 256), ERR_CONFIG);
	assert_non_null(strstr(why, "ftp"));
	assert_null(backend);
	store_backend_close(&backend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(takes_a_url_apart),
		cmocka_unit_test(refuses_what_is_no_url), cmocka_unit_test(names_an_unknown_key),
		cmocka_unit_test(opens_no_unknown_scheme)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
