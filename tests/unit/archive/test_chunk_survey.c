/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/chunk_survey.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/errors.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/footage.h"

#define FRAGMENTS 8

static void make(struct footage_chunk *c, bool sealed)
{
	struct footage f;
	footage_start(&f, "gate-7/main", true);
	footage_chunk_begin(c, &f, 3, 1);
	c->alignment = 4096;
	for (int i = 0; i < FRAGMENTS; i++) {
		if (i == 4)
			f.at.us += 9 * US_PER_SECOND;
		footage_chunk_add(c, &f, i == 4 ? GAP_NETWORK : GAP_NONE);
	}
	if (sealed)
		footage_chunk_seal(c, CHUNK_END_FULL, NULL);
}

static void assert_tables_equal(const struct chunk_table *a, const struct chunk_table *b)
{
	struct buf *x = NULL, *y = NULL;
	assert_int_equal(chunk_table_encode(a, &x), 0);
	assert_int_equal(chunk_table_encode(b, &y), 0);
	assert_int_equal(x->len, y->len);
	assert_memory_equal(x->data, y->data, x->len);
	buf_unref(&x);
	buf_unref(&y);
}

/* What is found fragment by fragment is what the writer noted. */
static void an_open_chunk_tells_its_table(void **state)
{
	(void)state;
	struct footage_chunk c;
	make(&c, false);
	struct chunk_survey s = {0};
	assert_int_equal(chunk_survey(&s, c.bytes, c.len), 0);
	assert_true(s.head_known);
	assert_false(s.sealed);
	assert_int_equal(s.damaged, 0);
	assert_tables_equal(&s.table, &c.table);
	assert_int_equal(s.seal.retention.from.us, c.seal.retention.from.us);
	assert_int_equal(s.seal.end_reason, CHUNK_END_RECOVERED);
	assert_int_equal(s.end, c.table.fragments[FRAGMENTS - 1].offset +
					c.table.fragments[FRAGMENTS - 1].body_len);
	chunk_survey_fini(&s);
	chunk_survey_fini(&s);
	footage_chunk_fini(&c);
}

static void a_sealed_chunk_tells_its_seal(void **state)
{
	(void)state;
	struct footage_chunk c;
	make(&c, true);
	struct chunk_survey s = {0};
	assert_int_equal(chunk_survey(&s, c.bytes, c.len), 0);
	assert_true(s.sealed);
	assert_int_equal(s.seal.end_reason, CHUNK_END_FULL);
	assert_tables_equal(&s.table, &c.table);
	chunk_survey_fini(&s);
	/* a damaged fragment stays in the table that the seal vouches for: readers find its bytes
	 * wrong */
	c.bytes[c.table.fragments[2].offset + 2000] ^= 1;
	assert_int_equal(chunk_survey(&s, c.bytes, c.len), 0);
	assert_int_equal(s.damaged, 1);
	assert_tables_equal(&s.table, &c.table);
	chunk_survey_fini(&s);
	/* without the seal it is lost, and its neighbour says why there is a hole */
	c.bytes[c.seal.seal_offset + 30] ^= 1;
	assert_int_equal(chunk_survey(&s, c.bytes, c.len), 0);
	assert_int_equal(s.table.fragment_count, FRAGMENTS - 1);
	assert_int_equal(s.table.fragments[2].gap_cause, GAP_DAMAGED);
	assert_int_equal(s.table.fragments[3].gap_cause, GAP_NETWORK);
	assert_true(s.seal.damaged);
	chunk_survey_fini(&s);
	/* without a head nothing is known of tracks, but for the seal */
	c.bytes[200] ^= 1;
	assert_int_equal(chunk_survey(&s, c.bytes, c.len), ERR_DAMAGED);
	chunk_survey_fini(&s);
	c.bytes[c.seal.seal_offset + 30] ^= 1;
	assert_int_equal(chunk_survey(&s, c.bytes, c.len), 0);
	assert_false(s.head_known);
	assert_tables_equal(&s.table, &c.table);
	chunk_survey_fini(&s);
	footage_chunk_fini(&c);
}

static void nothing_at_all(void **state)
{
	(void)state;
	struct chunk_survey s = {0};
	assert_int_equal(chunk_survey(&s, "", 0), ERR_DAMAGED);
	chunk_survey_fini(&s);
}

static void survey_without_memory(void *user)
{
	const struct footage_chunk *c = user;
	struct chunk_survey s = {0};
	int rc = chunk_survey(&s, c->bytes, c->len);
	assert_true(rc == 0 || rc == -ENOMEM);
	chunk_survey_fini(&s);
}

static void memory_may_fail(void **state)
{
	(void)state;
	struct footage_chunk c;
	for (int sealed = 0; sealed < 2; sealed++) {
		make(&c, sealed);
		alloc_fail_sweep(survey_without_memory, &c);
		footage_chunk_fini(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_open_chunk_tells_its_table),
		cmocka_unit_test(a_sealed_chunk_tells_its_seal),
		cmocka_unit_test(nothing_at_all),
		cmocka_unit_test(memory_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
