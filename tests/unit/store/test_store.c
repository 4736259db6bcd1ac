/* SPDX-License-Identifier: Apache-2.0 */
/* store.c: what it refuses before any implementation sees it, and what it counts. */
#include "tests/unit/store/fixture.h"

#include <errno.h>
#include <stdlib.h>

#include "storaged/store/store_impl.h"
#include "tests/lib/sim_loop.h"

/* A store that takes everything and answers 0 at once. */
struct yes_store {
	struct store store;
	struct sim_world world;
	struct sim_loop loop;
	int calls;
};

static struct yes_store *yes_of(struct store *s)
{
	return container_of(s, struct yes_store, store);
}

static void yes_write(struct store *s, struct store_write *req, int pool, const char *name,
	const struct store_edits *edits)
{
	(void)pool, (void)name, (void)edits;
	yes_of(s)->calls++;
	store_write_post(s, req, 0);
}

static void yes_read(struct store *s, struct store_read *req, int pool, const char *name)
{
	(void)pool;
	yes_of(s)->calls++;
	req->body = buf_copy(name, strlen(name));
	req->attrs = store_read_attrs_new(8);
	store_read_attrs_add(req->attrs, "a", "12345", 5);
	store_read_attrs_add(req->attrs, "empty", NULL, 0);
	store_read_attrs_add(req->attrs, "c", "678", 3);
	store_read_post(s, req, strcmp(name, "broken") == 0 ? -EIO : 0);
}

static int setup(void **state)
{
	static const struct store_ops ops = {.kind = "yes", .write = yes_write, .read = yes_read};
	struct yes_store *y = calloc(1, sizeof(*y));
	sim_world_init(&y->world, 1);
	sim_loop_init(&y->loop, &y->world);
	y->store = (struct store){
		.ops = &ops, .loop = &y->loop.loop, .pool_count = 2, .alignment = {1, 4096}};
	*state = y;
	return 0;
}

static int teardown(void **state)
{
	struct yes_store *y = *state;
	sim_loop_fini(&y->loop);
	sim_world_fini(&y->world);
	free(y);
	return 0;
}

static int write_status(
	struct yes_store *y, int pool, const char *name, const struct store_edits *edits)
{
	struct asked a;
	int before = y->calls;
	ask_write(&y->store, &a, pool, name, edits);
	sim_run_for(&y->world, 1);
	assert_int_equal(a.answers, 1);
	assert_int_equal(y->calls - before, a.write.status == 0);
	return a.write.status;
}

static void names_are_judged(void **state)
{
	struct yes_store *y = *state;
	const struct store_edits none = {0};
	static const char *const good[] = {
		"a", "a/b", "chk/gate-7/main.b/1.2.0", "..a", "a..", "...", ".x/-y"};
	static const char *const bad[] = {"", "/", "/a", "a/", "a//b", ".", "..", "a/.", "a/../b",
		"./a", "a b", "a\n", "\xc3\xa4", "a*"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(write_status(y, 0, good[i], &none), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(write_status(y, 0, bad[i], &none), -EINVAL);
	char longest[STORE_NAME_MAX + 2];
	memset(longest, 'x', sizeof(longest));
	longest[STORE_NAME_MAX] = 0;
	assert_int_equal(write_status(y, 0, longest, &none), 0);
	longest[STORE_NAME_MAX] = 'x';
	longest[STORE_NAME_MAX + 1] = 0;
	assert_int_equal(write_status(y, 0, longest, &none), -EINVAL);
	assert_int_equal(write_status(y, 2, "a", &none), -EINVAL);
	assert_int_equal(write_status(y, -1, "a", &none), -EINVAL);
}

static void guards_and_attributes_are_judged(void **state)
{
	struct yes_store *y = *state;
	static char big[STORE_ATTR_VALUE_MAX + 1];
	const struct store_guard ok[] = {{.kind = STORE_EXISTS}, {STORE_ATTR_EQUAL, "ver", "1", 1},
		{STORE_ATTR_BELOW, "fifteen-letters", big, STORE_ATTR_VALUE_MAX},
		{STORE_ATTR_EQUAL, "e", NULL, 0}};
	assert_int_equal(write_status(y, 0, "o",
				 &(struct store_edits){.guards = ok, .guard_count = ARRAY_LEN(ok)}),
		0);
	const struct store_guard bad[] = {{STORE_ATTR_EQUAL, NULL, "1", 1},
		{STORE_ATTR_EQUAL, "", "1", 1}, {STORE_ATTR_BELOW, "sixteen-letters!", "1", 1},
		{STORE_ATTR_BELOW, "v", big, sizeof(big)}, {STORE_ATTR_EQUAL, "v", NULL, 1},
		{.kind = (enum store_guard_kind)9}};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(
			write_status(y, 0, "o",
				&(struct store_edits){.guards = &bad[i], .guard_count = 1}),
			-EINVAL);
	const struct store_guard both[] = {{.kind = STORE_ABSENT}, {.kind = STORE_EXISTS}};
	assert_int_equal(
		write_status(y, 0, "o", &(struct store_edits){.guards = both, .guard_count = 2}),
		-EINVAL);
	assert_int_equal(
		write_status(y, 0, "o",
			&(struct store_edits){
				.guards = both, .guard_count = 1, .body_kind = STORE_BODY_REMOVE}),
		-EINVAL);
	const struct store_attr attr = {"name", "v", 1}, long_name = {"sixteen-letters!", "v", 1};
	assert_int_equal(
		write_status(y, 0, "o", &(struct store_edits){.attrs = &attr, .attr_count = 1}), 0);
	assert_int_equal(write_status(y, 0, "o",
				 &(struct store_edits){.attrs = &long_name, .attr_count = 1}),
		-EINVAL);
	const struct store_attr nine[STORE_ATTRS_MAX + 1] = {{0}};
	assert_int_equal(
		write_status(y, 0, "o",
			&(struct store_edits){.attrs = nine, .attr_count = ARRAY_LEN(nine)}),
		-EINVAL);
}

static void bodies_are_judged(void **state)
{
	struct yes_store *y = *state;
	const struct slice part = {.data = (const uint8_t *)"xyz", .len = 3};
	const struct slice huge = {.data = part.data, .len = STORE_OBJECT_MAX};
	const struct slice two[] = {huge, part};
	const struct store_attr attr = {"name", "v", 1};
	struct store_edits e = {.body_kind = STORE_BODY_WRITE_AT, .body = &part, .body_count = 1};
	assert_int_equal(write_status(y, 1, "o", &e), 0);
	e.offset = STORE_OBJECT_MAX - 3;
	assert_int_equal(write_status(y, 1, "o", &e), 0);
	e.offset++;
	assert_int_equal(write_status(y, 1, "o", &e), -EINVAL);
	e.offset = UINT64_MAX;
	assert_int_equal(write_status(y, 1, "o", &e), -EINVAL);
	e = (struct store_edits){.body_kind = STORE_BODY_WRITE_AT, .body = two, .body_count = 2};
	assert_int_equal(write_status(y, 1, "o", &e), -EINVAL);
	e = (struct store_edits){.body_kind = STORE_BODY_WHOLE, .body = &part, .body_count = 1};
	assert_int_equal(write_status(y, STORE_META, "o", &e), 0);
	assert_int_equal(write_status(y, STORE_DATA, "o", &e), -EINVAL);
	e.body_kind = STORE_BODY_NONE;
	assert_int_equal(write_status(y, 1, "o", &e), -EINVAL);
	e.body_kind = STORE_BODY_REMOVE;
	assert_int_equal(write_status(y, 1, "o", &e), -EINVAL);
	e = (struct store_edits){.body_kind = STORE_BODY_REMOVE, .attrs = &attr, .attr_count = 1};
	assert_int_equal(write_status(y, 1, "o", &e), -EINVAL);
	e = (struct store_edits){.body_kind = (enum store_body_kind)7};
	assert_int_equal(write_status(y, 1, "o", &e), -EINVAL);
}

static void counts_what_was_asked(void **state)
{
	struct yes_store *y = *state;
	const struct slice part = {.data = (const uint8_t *)"xyz", .len = 3};
	const struct slice parts[] = {part, part};
	assert_int_equal(
		write_status(y, 1, "o",
			&(struct store_edits){
				.body_kind = STORE_BODY_WRITE_AT, .body = parts, .body_count = 2}),
		0);
	assert_int_equal(
		write_status(y, 1, "o", &(struct store_edits){.body_kind = STORE_BODY_REMOVE}), 0);
	assert_int_equal(write_status(y, 1, "", &(struct store_edits){0}), -EINVAL);
	struct asked a;
	ask_read(&y->store, &a, 1, "four");
	sim_run_for(&y->world, 1);
	store_read_release(&a.read);
	const struct store_counters *c = store_counters(&y->store, 1);
	assert_int_equal(c->writes, 1);
	assert_int_equal(c->removes, 1);
	assert_int_equal(c->bytes_written, 6);
	assert_int_equal(c->reads, 1);
	assert_int_equal(c->bytes_read, 4);
	assert_int_equal(store_counters(&y->store, 0)->writes, 0);
	assert_int_equal(store_alignment(&y->store, 1), 4096);
	assert_int_equal(store_pool_count(&y->store), 2);
	assert_string_equal(store_kind(&y->store), "yes");
}

static void a_read_carries_its_attributes(void **state)
{
	struct yes_store *y = *state;
	struct asked a;
	size_t len = 99;
	ask_read(&y->store, &a, 0, "o");
	sim_run_for(&y->world, 1);
	assert_memory_equal(store_read_attr(&a.read, "a", &len), "12345", 5);
	assert_int_equal(len, 5);
	assert_memory_equal(store_read_attr(&a.read, "c", &len), "678", 3);
	assert_int_equal(len, 3);
	assert_non_null(store_read_attr(&a.read, "empty", &len));
	assert_int_equal(len, 0);
	len = 99;
	assert_non_null(store_read_attr(&a.read, "none", &len));
	assert_int_equal(len, 0);
	store_read_release(&a.read);
	store_read_release(&a.read);
	assert_non_null(store_read_attr(&a.read, "a", &len));
	assert_int_equal(len, 0);
	ask_read(&y->store, &a, 0, "broken");
	sim_run_for(&y->world, 1);
	assert_int_equal(a.read.status, -EIO);
	assert_null(a.read.body);
	assert_null(a.read.attrs);
	ask_read(&y->store, &a, 7, "o");
	sim_run_for(&y->world, 1);
	assert_int_equal(a.read.status, -EINVAL);
}

static void compares_as_guards_order(void **state)
{
	(void)state;
	assert_true(store_attr_compare("", 0, "", 0) == 0);
	assert_true(store_attr_compare(NULL, 0, "a", 1) < 0);
	assert_true(store_attr_compare("b", 1, "ab", 2) > 0);
	assert_true(store_attr_compare("ab", 2, "abc", 3) < 0);
	assert_true(store_attr_compare("\xff", 1, "\x01", 1) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_are_judged, setup, teardown),
		cmocka_unit_test_setup_teardown(guards_and_attributes_are_judged, setup, teardown),
		cmocka_unit_test_setup_teardown(bodies_are_judged, setup, teardown),
		cmocka_unit_test_setup_teardown(counts_what_was_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(a_read_carries_its_attributes, setup, teardown),
		cmocka_unit_test(compares_as_guards_order)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
