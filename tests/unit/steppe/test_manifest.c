/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "printed.h"
#include "tools/steppe/manifest.h"

static void fill(struct manifest *m)
{
	*m = (struct manifest){.made_us = 5,
		.from_us = 1,
		.to_us = 4,
		.start_us = 2,
		.end_us = 3,
		.close_gaps = true};
	strcpy(m->stream, "gate-7/main");
	strcpy(m->kind, "mp4");
	strcpy(m->software, "steppe test");
	strcpy(m->purpose, "a \"purpose\"");
	strcpy(m->case_id, "K-1");
	for (unsigned i = 0; i < 300; i++) {
		struct manifest_fragment f = {.session = UINT64_MAX - i,
			.seq = i + 1,
			.capture_us = 1000 * i,
			.duration_us = 999,
			.clock_error_us = i,
			.clock = i % 5,
			.digest = {(uint8_t)i, 7}};
		snprintf(f.chunk, sizeof(f.chunk), "chk/gate-7/main/%u", i);
		assert_int_equal(manifest_add_fragment(m, &f), 0);
	}
	for (int cause = STEPPE_GAP_UNKNOWN; cause <= STEPPE_GAP_DAMAGED; cause++) {
		struct steppe_gap_span g = {cause, cause + 1, cause};
		assert_int_equal(manifest_add_gap(m, &g), 0);
	}
	struct manifest_file file = {.name = "x.1.mp4", .bytes = 77, .sha256 = {1, 2, 3}};
	assert_int_equal(manifest_add_file(m, &file), 0);
	assert_int_equal(manifest_seal(m), 0);
}

static void test_round_trip(void **state)
{
	(void)state;
	struct manifest m, again;
	struct printed p;
	char why[128];
	fill(&m);
	printed_open(&p);
	manifest_write(&m, p.to);
	const char *text = printed_text(&p);
	assert_int_equal(manifest_read(&again, text, strlen(text), why, sizeof(why)), 0);
	assert_string_equal(again.stream, m.stream);
	assert_string_equal(again.purpose, m.purpose);
	assert_true(again.close_gaps);
	assert_int_equal(again.from_us, 1);
	assert_int_equal(again.end_us, 3);
	assert_int_equal(again.fragment_count, 300);
	assert_memory_equal(again.fragments, m.fragments, 300 * sizeof(m.fragments[0]));
	assert_int_equal(again.gap_count, m.gap_count);
	assert_memory_equal(again.gaps, m.gaps, m.gap_count * sizeof(m.gaps[0]));
	assert_int_equal(again.file_count, 1);
	assert_int_equal(again.files[0].bytes, 77);
	assert_memory_equal(again.files[0].sha256, m.files[0].sha256, 32);
	assert_memory_equal(again.chain, m.chain, 32);
	/* the chain tells when the list was changed */
	again.fragments[5].digest[0] ^= 1;
	uint8_t chain[32];
	memcpy(chain, again.chain, 32);
	assert_int_equal(manifest_seal(&again), 0);
	assert_memory_not_equal(chain, again.chain, 32);
	manifest_fini(&again);
	manifest_fini(&m);
	manifest_fini(&m);
	printed_free(&p);
}

static void refused(const char *text, const char *words)
{
	struct manifest m;
	char why[128] = "";
	assert_int_equal(manifest_read(&m, text, strlen(text), why, sizeof(why)), STEPPE_E_FORMAT);
	if (!strstr(why, words))
		fail_msg("\"%s\" does not say \"%s\"", why, words);
	manifest_fini(&m);
}

static void test_refused(void **state)
{
	(void)state;
	refused("[]", "not a JSON object");
	refused("{}", "has no \"format\"");
	refused("{\"format\":\"steppe-manifest/2\"}", "format");
	refused("{\"format\":\"steppe-manifest/1\"} {}", "follows");
	refused("{\"format\":\"steppe-manifest/1\",\n\"from_us\":\"x\"}", "line 2: an integer");
	refused("{\"format\":\"steppe-manifest/1\",\"files\":[{\"name\":\"../x\"}]}", "plain");
	refused("{\"format\":\"steppe-manifest/1\",\"files\":[{\"name\":\"\"}]}", "plain");
	refused("{\"format\":\"steppe-manifest/1\",\"files\":[{\"name\":\"x\",\"bytes\":-1}]}",
		"negative");
	refused("{\"format\":\"steppe-manifest/1\",\"files\":7}", "a list");
	refused("{\"format\":\"steppe-manifest/1\",\"chain_sha256\":\"abc\"}", "hexadecimal");
	refused("{\"format\":\"steppe-manifest/1\",\"fragments\":[{\"duration_us\":4294967296}]}",
		"smaller");
	refused("{\"format\":\"steppe-manifest/1\",\"fragments\":[1]}", "an object");
}

static void test_cut(void **state)
{
	(void)state;
	struct manifest m, again;
	struct printed p;
	char why[128];
	fill(&m);
	printed_open(&p);
	manifest_write(&m, p.to);
	const char *text = printed_text(&p);
	for (size_t len = 0; len + 2 < strlen(text); len += 97)
		assert_int_equal(
			manifest_read(&again, text, len, why, sizeof(why)), STEPPE_E_FORMAT);
	manifest_fini(&m);
	printed_free(&p);
}

static void test_later_members(void **state)
{
	(void)state;
	struct manifest m;
	char why[128];
	const char text[] = "{\"format\":\"steppe-manifest/"
			    "1\",\"signature\":{\"by\":[1,2]},\"stream\":\"a/b\"}";
	assert_int_equal(manifest_read(&m, text, strlen(text), why, sizeof(why)), 0);
	assert_string_equal(m.stream, "a/b");
	manifest_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_later_members),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
