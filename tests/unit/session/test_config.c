/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"

static char why[512];

static int read_text(struct config *c, const char *text)
{
	why[0] = '\0';
	return config_read_text(c, "f.yaml", text, strlen(text), why, sizeof(why));
}

static void test_reads_what_it_should(void **state)
{
	(void)state;
	struct config c;
	assert_int_equal(config_init(&c), 0);
	assert_string_equal(c.node, "node1");
	assert_int_equal(c.chunk_max_us, INT64_C(900000000));
	assert_int_equal(read_text(&c, "# a comment\nnode: north-2\nstore: "
				       "file:///srv/video\ntls:\n  dir: /etc/steppe/pki\nchunk:\n"
				       "  min_length: 90s\n  max_bytes: 16MiB\nrecord:\n  "
				       "any_camera: true\nloops: 3\n"),
		0);
	assert_string_equal(c.node, "north-2");
	assert_int_equal(c.chunk_min_us, INT64_C(90000000));
	assert_int_equal(c.chunk_max_bytes, 16 << 20);
	assert_true(c.any_camera);
	assert_int_equal(c.loops, 3);
	assert_int_equal(config_finish(&c, why, sizeof(why)), 0);
	assert_string_equal(c.tls_cert, "/etc/steppe/pki/north-2.crt");
	config_fini(&c);
}

static void test_says_which_line_is_wrong(void **state)
{
	(void)state;
	static const struct {
		const char *text, *words;
	} rows[] = {
		{"node: a\nnope: 1\n", "f.yaml:2: there is no setting nope"},
		{"chunk:\n  min_length: soon\n",
			"f.yaml:2: chunk.min_length: soon is not a duration"},
		{"limits:\n  streams: 0\n", "f.yaml:2: limits.streams: 0 is not a number from 1"},
		{"limits:\n  ingest_memory: 1MiB\n",
			"f.yaml:2: limits.ingest_memory: 1MiB is not a size from 16MiB to 1024GiB"},
		{"node: [a, b]\n", "f.yaml:1: no setting is a list"},
		{"just words\n", "f.yaml:1: settings are written as"},
		{"node: a\n  b: c\n", "f.yaml:2: "},
		{"a:\n  b:\n    c:\n      d: 1\n", "f.yaml:4: settings are nested too deep"},
		{"record:\n  any_camera: perhaps\n",
			"f.yaml:2: record.any_camera: perhaps is neither true nor false"},
		{"? {a: b}\n: c\n", "f.yaml:1: a mapping cannot be a setting's name"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config c;
		assert_int_equal(config_init(&c), 0);
		assert_int_equal(read_text(&c, rows[i].text), ERR_CONFIG);
		if (strncmp(why, rows[i].words, strlen(rows[i].words)) != 0)
			fail_msg("row %zu says: %s", i, why);
		config_fini(&c);
	}
}

static void test_what_it_writes_it_reads(void **state)
{
	(void)state;
	struct config a, b;
	char *text = NULL;
	size_t len = 0;
	assert_int_equal(config_init(&a), 0);
	assert_int_equal(config_init(&b), 0);
	assert_int_equal(config_set(&a, "chunk.silence", "1500ms", why, sizeof(why)), 0);
	assert_int_equal(config_set(&a, "limits.lane_window", "3MiB", why, sizeof(why)), 0);
	FILE *to = open_memstream(&text, &len);
	config_write(&a, to);
	fclose(to);
	assert_int_equal(config_read_text(&b, "written", text, len, why, sizeof(why)), 0);
	assert_int_equal(b.chunk_silence_us, 1500000);
	assert_int_equal(b.lane_window, 3 << 20);
	free(text);
	config_fini(&a);
	config_fini(&b);
}

static void test_what_must_hold_together(void **state)
{
	(void)state;
	struct config c;
	assert_int_equal(config_init(&c), 0);
	assert_int_equal(config_finish(&c, why, sizeof(why)), ERR_CONFIG);
	assert_non_null(strstr(why, "store is not set"));
	assert_int_equal(config_set(&c, "store", "file:///srv", why, sizeof(why)), 0);
	assert_int_equal(config_finish(&c, why, sizeof(why)), ERR_CONFIG);
	assert_non_null(strstr(why, "tls is not set"));
	assert_int_equal(config_set(&c, "tls.dir", "/pki", why, sizeof(why)), 0);
	assert_int_equal(config_set(&c, "chunk.min_length", "10m", why, sizeof(why)), 0);
	assert_int_equal(config_set(&c, "chunk.max_length", "5m", why, sizeof(why)), 0);
	assert_int_equal(config_finish(&c, why, sizeof(why)), ERR_CONFIG);
	assert_non_null(strstr(why, "chunk.min_length"));
	config_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_what_it_should),
		cmocka_unit_test(test_says_which_line_is_wrong),
		cmocka_unit_test(test_what_it_writes_it_reads),
		cmocka_unit_test(test_what_must_hold_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
