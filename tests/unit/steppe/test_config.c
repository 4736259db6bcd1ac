/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "client/steppe.h"
#include "tools/steppe/camerasfile.h"
#include "tools/steppe/config.h"

#define HEAD "cluster: [a:1, \"b:2\"]\ntls: {ca: x/ca.crt, cert: /c, key: k}\n"

static void test_good(void **state)
{
	(void)state;
	struct config c;
	char why[256];
	const char text[] = HEAD "spool: {dir: /s, limit: 4G, memory: 16M}\n"
				 "passwords:\n  - {source: \"rtsp://10.\", user: u, password: p}\n "
				 " - {source: \"rtsp://10.1.\", password: q}\n";
	assert_int_equal(config_parse(&c, text, strlen(text), why, sizeof(why)), 0);
	assert_int_equal(c.cluster.count, 2);
	assert_string_equal(c.cluster.items[1], "b:2");
	assert_null(c.cluster.items[2]);
	assert_string_equal(c.ca, "x/ca.crt");
	assert_int_equal(c.spool_limit, 4ull << 30);
	assert_int_equal(c.memory_limit, 16u << 20);
	const char *user = NULL, *password = NULL;
	assert_true(config_find_password(&c, "rtsp://10.1.2.3/x", &user, &password));
	assert_string_equal(password, "q");
	assert_true(config_find_password(&c, "rtsp://10.2.2.3/x", &user, &password));
	assert_string_equal(password, "p");
	assert_string_equal(user, "u");
	assert_false(config_find_password(&c, "rtsp://11.2.2.3/x", &user, &password));
	config_fini(&c);
	config_fini(&c);
}

static void test_one_address(void **state)
{
	(void)state;
	struct config c;
	char why[256];
	const char text[] = "cluster: one:7600\ntls: {ca: a, cert: b, key: c}\n";
	assert_int_equal(config_parse(&c, text, strlen(text), why, sizeof(why)), 0);
	assert_int_equal(c.cluster.count, 1);
	config_fini(&c);
}

static void refused(const char *text, const char *words)
{
	struct config c;
	char why[256] = "";
	assert_int_equal(config_parse(&c, text, strlen(text), why, sizeof(why)), STEPPE_E_CONFIG);
	if (!strstr(why, words))
		fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static void test_refused(void **state)
{
	(void)state;
	refused("", "a map of keys and values");
	refused("cluster: [a:1\n", "config:");
	refused("tls: {ca: a, cert: b, key: c}\n", "cluster is missing");
	refused("cluster: a:1\n", "tls is missing");
	refused("cluster: a\ntls: {ca: a, cert: b, key: c}\n", "\"a\" is not HOST:PORT");
	refused("cluster: a:70000\ntls: {ca: a, cert: b, key: c}\n", "HOST:PORT");
	refused("cluster: []\ntls: {ca: a, cert: b, key: c}\n", "not one address");
	refused("cluster: a:1\ntls: {ca: a, cert: b}\n", "config:2: key is missing");
	refused(HEAD "clusters: x\n",
		"config:3: \"clusters\" is no key here; there are: cluster, tls, spool, passwords");
	refused(HEAD "spool: {limit: lots}\n", "config:3: limit: \"lots\" is not a size");
	refused(HEAD "spool: {dir: [a]}\n", "one value is wanted");
	refused(HEAD "passwords: {a: b}\n", "a list is wanted");
	refused(HEAD "passwords: [{source: a}]\n", "password is missing");
	refused(HEAD "cluster: a:1\n", "config:3: cluster: given twice");
	refused("cluster: [{a: b}]\ntls: {ca: a, cert: b, key: c}\n", "a string is wanted");
}

static void test_cameras(void **state)
{
	(void)state;
	struct camerasfile c;
	char why[256];
	const char text[] = "cameras:\n  - {camera: gate-7, source: \"rtsp://h/1\", user: u, "
			    "password: p, transport: udp, audio: no}\n"
			    "  - camera: gate-8\n    stream: sub\n    source: file.mp4\n    loop: "
			    "yes\n    clock: receipt\n";
	assert_int_equal(camerasfile_parse(&c, text, strlen(text), why, sizeof(why)), 0);
	assert_int_equal(c.count, 2);
	assert_string_equal(c.entries[0].stream, "gate-7/main");
	assert_string_equal(c.entries[0].source.password, "p");
	assert_true(c.entries[0].source.no_audio);
	assert_int_equal(c.entries[0].source.transport, SOURCE_UDP);
	assert_string_equal(c.entries[1].stream, "gate-8/sub");
	assert_true(c.entries[1].source.loop);
	assert_int_equal(c.entries[1].source.clock, SOURCE_CLOCK_RECEIPT);
	assert_int_equal(c.entries[1].source.start.us, -1);
	camerasfile_fini(&c);
	camerasfile_fini(&c);
}

static void test_password_from_environment(void **state)
{
	(void)state;
	struct camerasfile c;
	char why[256];
	const char text[] = "cameras: [{camera: a, source: b, password_env: STEPPE_TEST_WORD}]\n";
	unsetenv("STEPPE_TEST_WORD");
	assert_int_equal(
		camerasfile_parse(&c, text, strlen(text), why, sizeof(why)), STEPPE_E_CONFIG);
	assert_non_null(strstr(why, "STEPPE_TEST_WORD is not set"));
	setenv("STEPPE_TEST_WORD", "geheim", 1);
	assert_int_equal(camerasfile_parse(&c, text, strlen(text), why, sizeof(why)), 0);
	assert_string_equal(c.entries[0].source.password, "geheim");
	camerasfile_fini(&c);
}

static void cameras_refused(const char *text, const char *words)
{
	struct camerasfile c;
	char why[256] = "";
	assert_int_equal(
		camerasfile_parse(&c, text, strlen(text), why, sizeof(why)), STEPPE_E_CONFIG);
	if (!strstr(why, words))
		fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static void test_cameras_refused(void **state)
{
	(void)state;
	cameras_refused("cameras: []\n", "not one is given");
	cameras_refused("cameras:\n  - {camera: a}\n", "cameras:2: source is missing");
	cameras_refused("cameras:\n  - {camera: a, source: b}\n  - {camera: a, source: c}\n",
		"cameras:3: a/main is given twice");
	cameras_refused("cameras: [{camera: a/b/c, source: b}]\n", "is not a name");
	cameras_refused(
		"cameras: [{camera: a, source: b, transport: sctp}]\n", "neither tcp nor udp");
	cameras_refused(
		"cameras: [{camera: a, source: b, clock: sun}]\n", "neither auto nor receipt");
	cameras_refused("cameras: [{camera: a, source: b, audio: maybe}]\n", "neither yes nor no");
	cameras_refused("cameras: [{camera: a, source: b, password_file: /nowhere/at/all}]\n",
		"cannot be read");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_one_address),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_cameras),
		cmocka_unit_test(test_password_from_environment),
		cmocka_unit_test(test_cameras_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
