/* SPDX-License-Identifier: Apache-2.0 */
/* The sequences themselves: drawn alike from a seed, and a store that answers wrongly is found and
 * the sequence shortened to what it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/store/sequence.h"

static struct probe right, wrong;
static struct sequence_pair pair;
static struct sequence sequence;

static void open_pair(const struct store_model_options *options)
{
	const struct store_model_options ordinary = {.pool_count = 2};
	probe_open_model(&right, &ordinary);
	probe_open_model(&wrong, options);
	pair = (struct sequence_pair){.model = &right, .real = &wrong, .prefix = "test"};
}

static void close_pair(void)
{
	probe_close(&right);
	probe_close(&wrong);
}

static void test_the_same_seed(void **state)
{
	(void)state;
	static struct sequence again;
	sequence_draw(&sequence, 7, SEQUENCE_MOST, SEQUENCE_ANY, 0);
	sequence_draw(&again, 7, SEQUENCE_MOST, SEQUENCE_ANY, 0);
	assert_memory_equal(&sequence, &again, sizeof(sequence));
	sequence_draw(&again, 8, SEQUENCE_MOST, SEQUENCE_ANY, 0);
	assert_memory_not_equal(sequence.ops, again.ops, sizeof(sequence.ops));
}

/* Every outcome is met: a sequence that only ever fails proves nothing. */
static void test_outcomes(void **state)
{
	(void)state;
	char why[200];
	open_pair(&(struct store_model_options){.pool_count = 2});
	for (uint64_t seed = 1; seed <= 20; seed++) {
		sequence_draw(&sequence, seed, 200, SEQUENCE_ANY, 0);
		assert_int_equal(sequence_run(&pair, &sequence, why, sizeof(why)), 200);
	}
	struct store_model_counters c = store_model_counters(wrong.backend);
	assert_true(c.writes_applied > 800);
	assert_true(c.writes_refused > 800);
	assert_true(c.reads > 2000);
	close_pair();
}

/* Runs seeds until one differs, and shortens it. */
static unsigned find(void)
{
	char why[200];
	for (uint64_t seed = 1; seed <= 50; seed++) {
		sequence_draw(&sequence, seed, 200, SEQUENCE_ANY, 0);
		unsigned bad = sequence_run(&pair, &sequence, why, sizeof(why));
		if (bad == sequence.count)
			continue;
		sequence.count = bad + 1;
		sequence_shorten(&pair, &sequence);
		return sequence.count;
	}
	return 0;
}

/* An erasure-coded pool takes no writes inside: making an object and writing into it. */
static void test_finds_a_pool_that_refuses(void **state)
{
	(void)state;
	struct store_model_options coded = {.pool_count = 2};
	coded.pools[STORE_DATA].erasure_coded = true;
	open_pair(&coded);
	assert_in_range(find(), 1, 2);
	for (unsigned i = 0; i < sequence.count; i++)
		assert_int_equal(sequence.ops[i].pool, STORE_DATA);
	close_pair();
}

/* A store whose objects lose a byte, or an attribute, as soon as somebody writes again. */
static void spoil(void *user, const struct store_model_change *change)
{
	const char *what = user, *name = change->name;
	int pool = change->pool;
	size_t len = 0;
	uint8_t *bytes = store_model_bytes(wrong.backend, pool, name, &len);
	if (!bytes)
		return;
	if (strcmp(what, "byte") == 0 && len > 4096)
		bytes[len - 1] ^= 1;
	(void)store_model_attr(wrong.backend, pool, name, "state", &len);
	if (strcmp(what, "attribute") == 0 && len == 2)
		store_model_put_attr(wrong.backend, pool, name, "state", "9");
}

static void test_finds_damage(void **state)
{
	(void)state;
	static const char *const kinds[] = {"byte", "attribute"};
	for (size_t i = 0; i < 2; i++) {
		char kind[16];
		strcpy(kind, kinds[i]);
		open_pair(&(struct store_model_options){.pool_count = 2});
		store_model_observe(wrong.backend, spoil, kind);
		/* creating it, and what spoils it: one write can do both */
		assert_in_range(find(), 1, 2);
		close_pair();
	}
}

static void test_words(void **state)
{
	(void)state;
	char *text = NULL;
	size_t len = 0;
	struct sequence_op write = {.what = SEQUENCE_WRITE,
		.pool = STORE_DATA,
		.object = 3,
		.body_kind = STORE_BODY_WRITE_AT,
		.where = SEQUENCE_AT_END,
		.parts = {5, 7},
		.part_count = 2,
		.bytes = 9,
		.attrs = {{.attr = 0, .value = 2}},
		.attr_count = 1,
		.guards = {{.kind = STORE_EXISTS},
			{.kind = STORE_ATTR_BELOW, .attr = 1, .value = 4}},
		.guard_count = 2};
	struct sequence_op read = {
		.what = SEQUENCE_READ, .where = SEQUENCE_BEYOND, .shift = 9, .len = 100};
	sequence = (struct sequence){.ops = {write, read, {.what = SEQUENCE_LIST}}, .count = 3};
	FILE *to = open_memstream(&text, &len);
	assert_non_null(to);
	sequence_print(to, &sequence);
	fclose(to);
	assert_string_equal(text,
		"  data/3: write 5+7 bytes #9 at the end, set ep=\"10\", if there and len < "
		"\"\\0\"\n"
		"  meta/0: read 100 bytes 10 past the end\n"
		"  meta/0: list what begins so\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_seed),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_finds_a_pool_that_refuses),
		cmocka_unit_test(test_finds_damage),
		cmocka_unit_test(test_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
